"""The kill switch: `stop-all` cuts and denies everything until `resume`, whatever else goes on."""
import json, pathlib, select, socket, subprocess, sys, threading, time

import pytest

from harness.client import Agent, connect, drain, get
from harness.far import Accepted, Received
from harness.gate import A2, BASE, BINARY, QUIET, eventually
from harness.namespaces import EVIL, GOOD
from harness.packets import UDP
from harness.sidecar import POLICY

BOTH = BASE.replace("agents: [a1], action: allow", "action: allow")


def order(gate, request, **fields):
    """One request on the control socket, as a person's command sends it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(gate.control))
        sock.sendall(json.dumps({"exitgate": 1, "request": request} | fields).encode() + b"\n")
        return json.loads(sock.makefile("rb").readline())


def stopped(gate):
    return json.loads(gate.tell("status", "--json").stdout)["stop"]


def flow(trial):
    """A tunnel through which bytes have gone both ways."""
    trial.far.answers("raw.test", GOOD)
    sock = trial.opened("raw.test:8443")
    sock.sendall(b"ping")
    assert sock.recv(4096)
    return sock


def is_cut(sock, seconds):
    """Whether the other end is gone within that time; what was under way before may still arrive."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([sock], [], [], left)[0]:
            return False
        try:
            if sock.recv(65536) == b"":
                return True
        except ConnectionError:
            return True
    return False


def test_everything_is_cut_and_denied_until_it_is_taken_back(fresh):
    trial = fresh(BOTH)
    held, seen, written = [flow(trial) for _ in range(20)], trial.far.mark(), trial.gate.log.mark()
    done = trial.gate.tell("stop-all")
    assert done.returncode == 0 and "STOPPED: everything is denied to everybody" in done.stdout and "20 connections cut" in done.stdout, done
    assert all(is_cut(sock, 1) for sock in held)
    for request in (connect("allowed.test:443"), connect("raw.test:8443"), get("http://plain.test/"), connect(f"{GOOD}:443"), connect("evil.test:443")):
        trial.denied(request, reason="stopped")
    assert not trial.far.since(seen, Accepted), "nobody was dialled"
    assert trial.gate.tell("status").stdout.startswith("STOPPED: ")
    # Nothing but the order itself lifts it.
    assert trial.gate.reload(BOTH + "# changed\n").returncode == 0
    trial.denied(connect("allowed.test:443"), reason="stopped")
    done = trial.gate.tell("resume")
    assert done.returncode == 0 and "nobody is stopped" in done.stdout, done
    trial.passes()
    asked = [(entry.fields["api"]["operation"], entry.fields["unmapped"].get("subject"))
             for entry in trial.gate.log.entries(written) if entry.event == "control"]
    assert asked == [("stop-all", "everybody"), ("reload", None), ("resume", "everybody")], asked
    closes = [entry for entry in trial.gate.log.entries(written) if entry.event == "close" and "stopped" in entry.line]
    assert len(closes) == 20


def test_a_restart_and_a_crash_leave_the_order_standing(fresh):
    trial = fresh(BOTH)
    assert trial.gate.tell("stop-all").returncode == 0
    trial.gate.kill()
    trial.gate.start()
    assert any("STOPPED by order: everybody" in line for line in trial.gate.said)
    trial.denied(connect("allowed.test:443"), reason="stopped")
    assert trial.gate.tell("resume").returncode == 0
    trial.passes()
    trial.gate.stop()
    trial.gate.start()
    trial.passes()
    trial.gate.stop()
    order_file = pathlib.Path(f"{trial.gate.log.path}.stop")
    order_file.write_text("no such agent!\n")
    order_file.chmod(0o600)
    trial.gate.start()
    trial.denied(connect("allowed.test:443"), reason="stopped")


def test_one_agent_is_stopped_and_the_other_goes_on(fresh):
    trial = fresh(BOTH)
    other = type(trial)(trial.bench, trial.far, trial.gate, Agent(trial.bench, port=A2), "a2")
    cut, kept = flow(trial), flow(other)
    done = trial.gate.tell("stop-all", "--agent", "a1", "--json")
    assert json.loads(done.stdout) == {"everybody": False, "agents": ["a1"], "closed": 1, "warnings": []}, done
    assert is_cut(cut, 1)
    trial.denied(connect("allowed.test:443"), reason="stopped", itself=True)
    kept.sendall(b"more")
    assert kept.recv(4096)
    other.tunnels(b"allowed.test:443", b"allowed.test")
    wrong = trial.gate.tell("stop-all", "--agent", "a3")
    assert wrong.returncode == 69 and "there is no agent a3" in wrong.stderr and "a1, a2" in wrong.stderr
    assert trial.gate.tell("resume", "--agent", "a2").returncode == 69
    assert trial.gate.tell("stop-all").returncode == 0
    assert is_cut(kept, 1)
    assert "resume without --agent" in trial.gate.tell("resume", "--agent", "a1").stderr
    trial.denied(connect("raw.test:8443"), reason="stopped", itself=True)
    other.denied(connect("allowed.test:443"), reason="stopped")
    assert trial.gate.tell("resume").returncode == 0
    trial.passes()


def test_a_stop_by_name_is_no_other_agents_and_outlives_a_policy_that_renames_it(fresh):
    trial = fresh(BOTH, doubles=0)
    refused = lambda port, tries: [Agent(trial.bench, port=port).send(connect("allowed.test:443")).json["reason"] for _ in range(tries)]
    assert trial.gate.tell("stop-all", "--agent", "a1").returncode == 0
    swapped = BOTH.replace("a1: {", "x: {").replace("a2: {", "a1: {").replace("x: {", "a2: {")
    for other in (BOTH.replace("a1", "b1"), swapped, BOTH.replace("agents: { ", "agents: { a3: { listen: 10.66.0.1:3131 }, ")):
        done = trial.gate.reload(other)
        assert done.returncode == 65 and "a1 is stopped by name, and this policy tells agents apart otherwise" in done.stderr, done
        assert refused(3128, 2) == ["stopped", "stopped"]
        assert Agent(trial.bench, port=A2).send(connect("allowed.test:443")).raw.startswith(b"HTTP/1.1 200")
    assert trial.gate.reload(BOTH + "# the same agents\n").returncode == 0
    assert refused(3128, 1) == ["stopped"]
    # A start cannot ask: then it is everybody.
    trial.gate.kill()
    trial.gate.start()
    assert any("STOPPED by order: a1" in line for line in trial.gate.said)
    trial.gate.kill()
    trial.gate.write(BOTH.replace("a1", "b1"))
    trial.gate.start()
    assert any("STOPPED by order: everybody" in line for line in trial.gate.said)
    assert [entry for entry in trial.gate.log.entries() if "agents are told apart otherwise now, so everybody is" in entry.line]
    assert refused(3128, 1) + refused(3129, 1) == ["stopped", "stopped"]
    assert trial.gate.tell("resume").returncode == 0
    type(trial)(trial.bench, trial.far, trial.gate, trial.agent, "b1").tunnels(b"allowed.test:443", b"allowed.test")


def test_an_order_without_a_log_is_carried_out_and_says_that_it_is_not_recorded(fresh, tmp_path):
    full = tmp_path / "small"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", full], check=True)
    try:
        trial = fresh(BOTH, audit=full / "audit.jsonl")
        held = flow(trial)
        filler = full / "filler"
        with open(filler, "wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass
        # The first record that does not go in makes it known.
        eventually(lambda: trial.agent.send(connect("allowed.test:443"), timeout=0.3).status == 503, 30)
        eventually(lambda: "cannot be written" in trial.gate.tell("status").stdout.lower())
        done = trial.gate.tell("stop-all")
        assert done.returncode == 1 and "it is not recorded: the audit log cannot be written" in done.stderr, done
        assert "at the next start it is as it was before" in done.stderr, "nor is there room for the order itself"
        assert "STOPPED: everything is denied" in done.stdout and "1 connection cut" in done.stdout
        assert is_cut(held, 2)
        filler.unlink()
        eventually(lambda: trial.agent.send(connect("allowed.test:443"), timeout=0.3).status == 403, 30)
        eventually(lambda: trial.gate.tell("stop-all").returncode == 0, 30, "the control: with room it is whole")
        assert trial.gate.tell("resume").returncode == 0
        trial.passes()
        trial.gate.stop()
    finally:
        subprocess.run(["umount", "-l", full], check=True)


def test_audit_mode_lets_nothing_of_a_stopped_agent_pass(fresh):
    trial = fresh("mode: audit\n" + BOTH)
    open_one = flow(trial)
    assert trial.gate.tell("stop-all").returncode == 0
    assert is_cut(open_one, 1)
    trial.denied(connect("evil.test:443"), reason="stopped")
    assert trial.gate.tell("resume").returncode == 0
    assert trial.opened("evil.test:443")


def test_it_takes_less_than_100_ms_also_when_the_loops_are_busy(fresh):
    """From the order's first byte until the last of 16 tunnels that pour is cut, as the log has it; the answer waits for the disk too."""
    trial = fresh(BOTH)
    ends = threading.Event()

    def pours(connection, data):
        while not ends.is_set():
            try:
                connection.sendall(b"x" * 65536)
            except OSError:
                break
        return False

    trial.far.answers("raw.test", GOOD)
    trial.far.script = pours
    took = []
    for _ in range(8):
        ends.clear()
        socks = []
        for _ in range(16):
            sock = trial.opened("raw.test:8443")
            sock.sendall(b"go")
            socks.append(sock)
        time.sleep(0.3)  # they do pour by now
        gone = []

        def watch(sock):
            while True:
                try:
                    if sock.recv(1 << 20) == b"":
                        break
                except OSError:
                    break
            gone.append(sock)

        watchers = [threading.Thread(target=watch, args=(sock,)) for sock in socks]
        for thread in watchers:
            thread.start()
        time.sleep(0.2)
        assert not gone
        written, began = trial.gate.log.mark(), time.time()
        assert order(trial.gate, "stop-all")["stopped"]["closed"] == 16
        ended = [entry.fields["time"] / 1000 for entry in trial.gate.log.entries(written) if entry.event == "close"]
        assert len(ended) == 16
        took.append(max(ended) - began)
        for thread in watchers:
            thread.join(10)
        assert len(gone) == 16
        ends.set()
        for sock in socks:
            sock.close()
        assert order(trial.gate, "resume")["stopped"]["everybody"] is False
    assert min(took) < 0.1, took


def test_the_kernel_lets_nothing_of_a_stopped_sandbox_pass(own_fence):
    fence = own_fence(extra=("--inbound", "8080"))
    server = subprocess.Popen(fence.bench.command("agent", sys.executable, "-m", "http.server", "8080", "--bind", "10.66.0.2"),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    probe = lambda: subprocess.run(fence.bench.command("out", "curl", "-sS", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}", "http://10.66.0.2:8080/"),
                                   capture_output=True, text=True).stdout
    try:
        eventually(lambda: probe() == "200", because="the control: others do reach it")
        assert fence.python(UDP, GOOD, "123").split() == ["sent"]
        assert fence.agent("dig", "+short", "stun.test", "A").stdout.split() == [GOOD]
        assert fence.tell("stop-all").returncode == 0
        at = fence.seen("ntp"), fence.seen("stun")
        assert "sent" not in fence.python(UDP, GOOD, "123", GOOD, "3478", EVIL, "443")
        assert fence.agent("dig", "+short", "+tries=1", "+time=1", "web.test", "A").stdout.strip() == ""
        assert fence.agent("curl", "-sS", "-m", "2", "http://web.test/").returncode != 0
        assert probe() == "000"
        assert (fence.seen("ntp"), fence.seen("stun"), fence.seen("stray")) == (*at, 0)
        assert fence.tell("resume").returncode == 0
        assert fence.python(UDP, GOOD, "123").split() == ["sent"]
        eventually(lambda: fence.seen("ntp") > at[0])
        assert fence.agent("curl", "-sS", "-m", "5", "http://web.test/").stdout.startswith("origin ")
        assert probe() == "200"
    finally:
        server.kill(), server.wait()
    assert fence.seen("stray") == 0


def test_datagrams_of_audit_mode_end_too(own_fence):
    fence = own_fence("mode: audit\n" + POLICY)
    assert fence.python(UDP, EVIL, "443").split() == ["sent"], "the control: audit mode lets them pass"
    assert fence.tell("stop-all").returncode == 0
    at = fence.seen("stray")
    assert "sent" not in fence.python(UDP, EVIL, "443", GOOD, "123")
    assert fence.seen("stray") == at
    assert fence.tell("resume").returncode == 0
    assert fence.python(UDP, EVIL, "443").split() == ["sent"]


def test_a_large_policy_on_its_way_into_the_table_holds_no_stop_up(own_fence):
    """10,000 rules, 500 of them the kernel's: while they are read and put in force, tunnels are cut within 100 ms, and the table follows."""
    fence = own_fence()
    big = POLICY + "".join(f"  - {{ id: w{number}, action: allow, to: [w{number}.big.test] }}\n" for number in range(9_500)) + "".join(
        f"  - {{ id: u{number}, action: allow, to: [11.{20 + number // 250}.{number % 250}.0/24], protocol: udp, ports: [{number + 100}] }}\n" for number in range(500))
    waits = ("import socket, sys, time\ns = socket.create_connection(('raw4.test', 8443), 10)\ns.sendall(b'ping')\nassert s.recv(64)\nprint('up', flush=True)\n"
             "try:\n while s.recv(65536): pass\nexcept OSError: pass\nprint(time.time(), flush=True)")
    took = []
    for wait in (0.1, 0.3, 0.5, 0.7):
        held = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", waits), stdout=subprocess.PIPE, text=True)
        assert held.stdout.readline() == "up\n"
        fence.policy.write_text(big)
        reload = subprocess.Popen([BINARY, "reload", "--control", fence.control], env=QUIET, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(wait)
        under_way, began = reload.poll() is None, time.time()
        order(fence, "stop-all")
        ended = float(held.stdout.readline())
        if under_way:
            took.append(ended - began)
        said, _ = reload.communicate(timeout=60)
        assert reload.returncode == 0, said[-500:]
        assert fence.status()["stop"]["everybody"]
        assert "sent" not in fence.python(UDP, GOOD, "123"), "the table has followed, whatever the reload put there"
        assert fence.tell("resume").returncode == 0
        assert fence.python(UDP, GOOD, "123").split() == ["sent"]
        fence.reload(POLICY)
    assert took and min(took) < 0.1, took
