"""`serve` gives up what it does not need before it hears of the network, and goes on doing all that it is for."""
import json, os, pathlib, re, shutil, signal, stat, tempfile

from harness.client import Agent, connect, read_head
from harness.gate import BASE, eventually
from harness.namespaces import GATE

KEPT = {1 << 2, 1 << 10}  # CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE (capabilities(7))


def status(agent, host):
    with agent.open() as sock:
        sock.sendall(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return read_head(sock).status


def threads(pid):
    """What the kernel says of each thread."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        yield dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)


def test_status_says_what_the_process_may_do_and_the_kernel_says_the_same(fresh):
    trial = fresh()
    gate = trial.gate
    process, = json.loads(gate.tell("status", "--json").stdout)["processes"]
    assert process == {"role": "gate", "pid": gate.process.pid, "user": 0, "capabilities": "dac_read_search,net_bind_service",
                       "no_new_privs": True, "seccomp": True, "writes": [str(gate.directory)]}
    page = gate.tell("status").stdout
    assert re.search(rf"process +gate {gate.process.pid}: user 0, capabilities dac_read_search,net_bind_service, no new privileges, "
                     rf"seccomp, writes in {gate.directory} alone", page), page
    seen = list(threads(gate.process.pid))
    assert len(seen) >= 2
    for fields in seen:
        assert fields["Seccomp"] == "2" and fields["NoNewPrivs"] == "1"
        assert all(int(fields[name], 16) == sum(KEPT) for name in ("CapPrm", "CapEff", "CapBnd")), fields
        assert int(fields["CapInh"], 16) == int(fields["CapAmb"], 16) == 0
    assert status(trial.agent, "plain.test") == 200


def test_what_only_the_start_needed_is_given_back(fresh):
    trial = fresh()
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{trial.gate.process.pid}/status").read_text().splitlines())
    now, most = (int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM"))
    assert now < 0.8 * most, f"{now} of {most} KiB"
    assert status(trial.agent, "plain.test") == 200


def test_signals_that_it_does_not_listen_to_do_what_they_do_by_default(fresh):
    gate = fresh().gate
    gate.process.send_signal(signal.SIGTSTP)
    eventually(lambda: pathlib.Path(f"/proc/{gate.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T")
    gate.process.send_signal(signal.SIGCONT)
    gate.process.send_signal(signal.SIGUSR1)
    assert gate.process.wait(10) == -signal.SIGUSR1


def policies(pid):
    """How the kernel schedules each thread."""
    return {os.sched_getscheduler(int(task.name)) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()}


def test_it_works_in_batches_unless_whoever_starts_it_has_chosen(fresh):
    trial = fresh()
    assert status(trial.agent, "plain.test") == 200
    kernel = tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2])
    assert policies(trial.gate.process.pid) == {os.SCHED_BATCH if kernel >= (6, 6) else os.SCHED_OTHER}
    chosen = fresh(start=False)
    whole = chosen.gate.command
    chosen.gate.command = lambda: [*whole()[:4], "chrt", "--idle", "0", *whole()[4:]]
    chosen.gate.start()
    assert status(chosen.agent, "plain.test") == 200
    assert policies(chosen.gate.process.pid) == {os.SCHED_IDLE}


def test_an_ordinary_users_gate_is_confined_and_has_no_capability(fresh):
    home = pathlib.Path(tempfile.mkdtemp(prefix="exitgate-user"))
    try:
        os.chown(home, 65534, 65534)
        trial = fresh(start=False)
        gate = trial.gate
        gate.policy, gate.control, gate.log.path = home / "policy.yaml", home / "run/control.sock", home / "state/deep/audit.jsonl"
        gate.write(BASE)
        gate.policy.chmod(0o644)
        whole = gate.command
        gate.command = lambda: [*whole()[:4], "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *whole()[4:]]
        gate.start()
        process, = json.loads(gate.tell("status", "--json").stdout)["processes"]
        assert process | {"pid": 0} == {"role": "gate", "pid": 0, "user": 65534, "capabilities": "none", "no_new_privs": True,
                                        "seccomp": True, "writes": [str(home / "run"), str(home / "state/deep")]}
        assert {fields["Seccomp"] for fields in threads(gate.process.pid)} == {"2"}
        assert status(trial.agent, "plain.test") == 200
        trial.denied(connect("evil.test:443"), reason="no-rule")
        assert gate.reload(BASE.replace("plain.test", "other.test")).returncode == 0
    finally:
        if trial.gate.is_alive:
            trial.gate.stop()
        shutil.rmtree(home)


def test_reloads_read_what_they_name_wherever_it_is(fresh, tmp_path):
    trial = fresh(doubles=0)
    gate = trial.gate
    # A file of somebody else that nobody but he may read, in a directory that is his alone.
    theirs = tmp_path / "theirs"
    theirs.mkdir(0o700)
    team = theirs / "team.yaml"
    team.write_text("version: 1\nrules:\n  - { id: team, action: allow, protocol: http, to: [team.test] }\n")
    team.chmod(0o600)
    for path in (team, theirs):
        os.chown(path, 65534, 65534)
    trial.far.answers("team.test", "11.11.0.10")
    with_team = BASE.replace("rules:\n", f"include: [\"file:{team}\", builtin:npm, system:apt]\nrules:\n", 1)
    assert status(trial.agent, "team.test") == 403
    done = gate.reload(with_team)
    assert done.returncode == 0, done.stderr
    assert status(trial.agent, "team.test") == 200
    # A port below 1024, and a Unix socket in a directory that the start knew nothing of.
    socket = tmp_path / "sockets" / "gate.sock"
    socket.parent.mkdir()
    more = with_team.replace("agents: {", f"agents: {{ low: {{ listen: {GATE}:81 }}, unix: {{ listen: \"unix:{socket}\" }},", 1)
    done = gate.reload(more)
    assert done.returncode == 0, done.stderr
    assert status(Agent(trial.bench, port=81), "plain.test") == 403
    assert stat.S_ISSOCK(socket.stat().st_mode)
    assert gate.reload(BASE).returncode == 0
    assert status(trial.agent, "team.test") == 403


def test_a_unix_listener_of_the_start_is_taken_away_at_the_end(fresh, tmp_path):
    socket = tmp_path / "agents" / "gate.sock"
    socket.parent.mkdir()
    trial = fresh(BASE, listen=(f"unix:{socket}",))
    assert stat.S_ISSOCK(socket.stat().st_mode)
    assert trial.gate.stop() == 0 and not socket.exists()


def test_the_log_is_rotated_and_its_files_are_made_and_removed(fresh):
    trial = fresh(extra=("--audit-rotate-at", "64KiB", "--audit-keep", "2"), doubles=0)
    gate = trial.gate
    wave = 0
    while len(list(gate.directory.glob("audit.jsonl.*[0-9]"))) < 2 and wave < 1200:
        for _ in range(50):
            assert status(trial.agent, "plain.test") == 200
        wave += 50
    assert len(list(gate.directory.glob("audit.jsonl.*[0-9]"))) == 2, os.listdir(gate.directory)
    gate.log.path.rename(gate.directory / "moved")
    eventually(gate.log.path.exists, because="a file that somebody moved away is followed by a new one")
    assert gate.stop() == 0


def test_nothing_is_written_beside_the_directories_of_the_start(fresh, tmp_path):
    """What proves Landlock: a directory that was put in place of the log's is another, and the gate closes."""
    logs = tmp_path / "logs"
    logs.mkdir()
    trial = fresh(audit=logs / "audit.jsonl", doubles=0)
    assert status(trial.agent, "plain.test") == 200
    logs.rename(tmp_path / "old")
    logs.mkdir()
    eventually(lambda: status(trial.agent, "plain.test") == 503, because="what cannot be recorded is not allowed")
    assert list(logs.iterdir()) == []
    # The control: in the directory itself the same is done, and the gate opens again.
    logs.rmdir()
    (tmp_path / "old").rename(logs)
    eventually(lambda: status(trial.agent, "plain.test") == 200)
