"""`exitgate run`: what a command in its sandbox reaches, what it finds, and how it ends. By an ordinary user and by root."""
import os, pathlib, signal, subprocess

from harness.box import PYTHON
from harness.far import Accepted, Asked, Received
from harness.gate import eventually, exitgate
from harness.namespaces import EVIL, EVIL6, GOOD

CONNECT = """
import socket, sys
for host, port in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        with socket.create_connection((host, int(port)), 5) as s:
            s.sendall(b"\\x00opaque"); print(s.recv(64).decode() or "end")
    except OSError as error: print(type(error).__name__)
"""


def test_a_program_without_proxy_settings_reaches_what_a_rule_names(box):
    for flag in ("-4", "-6"):
        mark = box.far.mark()
        done = box.run("curl", "-sS", flag, "--noproxy", "*", "-m", "5", "http://web.test/x")
        assert done.returncode == 0 and done.stdout.startswith("origin "), done
        received, = box.far.since(mark, Received)
        assert received.port == 80 and b"Host: web.test" in received.data
    assert box.records(layer="transparent", rule="web", verdict="allow")


def test_a_program_with_proxy_settings_finds_them(box):
    mark = box.far.mark()
    done = box.run("curl", "-sS", "-m", "5", "http://web.test/x")
    assert done.returncode == 0 and done.stdout.startswith("origin "), done
    assert b"Host: web.test" in box.far.since(mark, Received)[0].data
    assert box.records(layer="http", rule="web", verdict="allow")


def test_a_program_is_told_why_not(box):
    mark = box.far.mark()
    for url, words in ((f"http://{EVIL}/", "no-rule"), (f"http://[{EVIL6}]/", "no-rule"), ("http://169.254.169.254/", "special-address")):
        done = box.run("curl", "-sS", "-g", "--noproxy", "*", "-m", "5", "-i", url)
        assert done.stdout.startswith("HTTP/1.1 403 ") and f'"reason":"{words}"' in done.stdout, done
    done = box.run("curl", "-sS", "--noproxy", "*", "-m", "5", "http://evil.test/")
    assert done.returncode == 6, "its name does not even resolve"
    assert box.far.since(mark, Accepted) == []
    assert not [asked for asked in box.far.since(mark, Asked) if "evil" in asked.name]


def test_opaque_protocols_pass_by_name_and_by_no_other(box):
    mark = box.far.mark()
    assert box.python(CONNECT, "raw.test", "5432").startswith("FLIGHT ")
    assert len(box.far.since(mark, Accepted)) == 1
    mark = box.far.mark()
    said = box.python(CONNECT, "raw.test", "25", GOOD, "5432", EVIL, "22", EVIL6, "22").split()
    assert set(said) <= {"ConnectionResetError", "end"} and len(said) == 4, said
    assert box.far.since(mark, Accepted) == []


def test_DNS_03_every_question_is_the_gates_whoever_is_asked(box):
    mark = box.far.mark()
    for server in (EVIL, "8.8.8.8", "127.0.0.53", "::1", EVIL6):
        for flag in ("+notcp", "+tcp"):
            done = box.run("dig", "+short", "+tries=1", "+time=3", flag, f"@{server}", "web.test", "A")
            assert done.stdout.startswith("198.1"), (server, flag, done)
            done = box.run("dig", "+tries=1", "+time=3", flag, f"@{server}", "evil.test", "A")
            assert "status: NXDOMAIN" in done.stdout and "EDE: 18" in done.stdout
    assert box.far.since(mark, Asked) == []


def test_other_protocols_are_refused_at_once_and_recorded(box):
    script = """
import socket, sys, time
for family, kind, where in ((2, 2, ("11.66.0.66", 123)), (10, 2, ("2a0e:b107:66::66", 443)), (2, 2, ("11.11.0.10", 443))):
    s = socket.socket(family, kind); s.settimeout(3)
    began = time.monotonic()
    try: s.connect(where); s.send(b"MARK"); s.recv(1); print("answered")
    except OSError as error: print(type(error).__name__, time.monotonic() - began < 1)
"""
    said = box.python(script).splitlines()
    assert len(said) == 3 and "answered" not in said and all(line.endswith("True") for line in said), said
    assert eventually(lambda: box.records(layer="kernel", protocol="udp", reason="no-rule"))


def test_the_commands_own_servers_are_its_own_business(box):
    script = """
import socket, threading
for family, address in ((2, "127.0.0.1"), (10, "::1")):
    s = socket.create_server((address, 0), family=family)
    threading.Thread(target=lambda: s.accept()[0].sendall(b"own")).start()
    print(socket.create_connection(s.getsockname()[:2]).recv(3).decode())
"""
    assert box.python(script).split() == ["own", "own"]


# -- how it begins and ends

def test_the_exit_status_is_the_commands(box):
    assert [box.run("sh", "-c", f"exit {number}").returncode for number in (0, 1, 7, 255)] == [0, 1, 7, 255]
    assert box.run("sh", "-c", "kill -KILL $$").returncode == 128 + signal.SIGKILL


def test_a_command_that_is_not_there_is_named(box):
    done = box.run("no-such-command")
    assert done.returncode == 127 and "'no-such-command' is not in the sandbox. Show its directory with --read." in done.stderr
    done = box.run("/etc/passwd")
    assert done.returncode == 126 and "'/etc/passwd' cannot be run" in done.stderr
    done = box.run()
    assert done.returncode == 64 and "exitgate run -- CMD" in done.stderr


def test_streams_pass_through(box):
    done = box.run("sh", "-c", "cat; echo err >&2", input="in")
    assert (done.returncode, done.stdout, done.stderr) == (0, "in", "err\n")


def test_signals_pass_through(box):
    # Waited for, not handled: a handler of Python's that comes between 'up' and a sleep runs behind the sleep.
    script = "import signal, sys\nsignal.pthread_sigmask(0, {1, 2, 10, 15}); print('up', flush=True); sys.exit(40 + signal.sigwait({1, 2, 10, 15}))"
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGTERM):
        process, line = box.start(PYTHON, "-c", script)
        assert line == "up", process.communicate()
        process.send_signal(number)
        assert process.wait(10) == 40 + number


def test_a_key_that_goes_to_all_of_them_ends_the_command_as_it_wants(box):
    """Without a terminal of the sandbox's own a key's signal goes to every process of the group."""
    script = "import signal, sys, time\nsignal.signal(3, lambda n, _: sys.exit(43))\nprint('up', flush=True); time.sleep(30)"
    process, line = box.start(PYTHON, "-c", script, start_new_session=True)
    assert line == "up", process.communicate()
    os.killpg(process.pid, signal.SIGQUIT)
    assert process.wait(10) == 43 and process.stderr.read() == ""


def marked(word):
    """Processes that have this word in their command line."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


def test_all_descendants_die_with_the_command(box):
    word = f"exitgate-orphan-{os.getpid()}"
    orphan = f"import os, sys, time\nif os.fork(): sys.exit()\nos.setsid()\nif os.fork(): sys.exit()\ntime.sleep(60)"
    done = box.run("sh", "-c", f"{PYTHON} -c '{orphan}' {word} </dev/null >/dev/null 2>&1; ps ax | grep -c {word}")
    assert done.returncode == 0 and int(done.stdout) >= 1, done
    assert eventually(lambda: not marked(word))


def test_a_gate_that_is_killed_takes_the_sandbox_with_it(box):
    word = f"exitgate-left-{os.getpid()}"
    process, line = box.start("sh", "-c", f"echo up; exec {PYTHON} -c 'import time; time.sleep(60)' {word}")
    assert line == "up" and eventually(lambda: marked(word))
    process.send_signal(signal.SIGKILL)
    process.wait(5)
    assert eventually(lambda: not marked(word))


def test_several_run_at_the_same_time_without_files_named(box):
    before = {"XDG_STATE_HOME": str(box.state), "XDG_RUNTIME_DIR": str(box.state)}
    command = box.on_host(box.binary, "run", "--policy", box.policy, "--dns-upstream", "11.11.0.53", "--", "sleep", "1")
    if box.account.pw_uid == 0:
        return  # root's files are the system's
    running = [subprocess.Popen(command, env=box.environment(before), cwd=box.project, stderr=subprocess.PIPE)
               for _ in range(3)]
    assert [process.wait(20) for process in running] == [0, 0, 0], [process.stderr.read() for process in running]
    logs = sorted((box.state / "exitgate").glob("*.jsonl"))
    assert logs and all(exitgate("log", "verify", "--audit-log", log).returncode == 0 for log in logs)


def test_audit_mode_lets_pass_and_records(box):
    mark = box.far.mark()
    script = "import urllib.request; print(urllib.request.urlopen('http://allowed.test/', timeout=5).read().decode())"
    assert box.run(PYTHON, "-c", script).returncode != 0
    assert box.far.since(mark, Accepted) == []
    done = box.run(PYTHON, "-c", script, flags=("--mode", "audit"))
    assert done.returncode == 0 and "origin" in done.stdout, done
    assert any("allowed.test" in str(record["whole"]) for record in box.records(verdict="allow", would_deny=True))


# -- files and the environment

def test_files_are_those_that_were_named(box):
    secret, shown = box.home / ".ssh" / "id", box.home / "shown"
    secret.parent.mkdir(exist_ok=True)
    for path in (secret, shown):
        path.write_text("content")
        os.chown(path, box.account.pw_uid, box.account.pw_gid)
    see = ("sh", "-c", f"cat {secret} {shown}; ls -A {box.home}; ls {box.state} {box.work}; touch new /usr/new {shown}")
    done = box.run(*see)
    assert "content" not in done.stdout and "audit" not in done.stdout and "policy.yaml" not in done.stdout, done
    assert (box.project / "new").exists() and not pathlib.Path("/usr/new").exists()
    done = box.run("sh", "-c", f"cat {secret} {shown}; echo more >>{shown}", flags=("--read", shown))
    assert done.stdout == "content" and shown.read_text() == "content", done
    done = box.run("sh", "-c", f"cat {secret}; echo more >{shown}", flags=("--write", shown))
    assert done.stdout == "" and shown.read_text() == "more\n", done
    # A home that is shown has no secrets in it all the same; naming one shows it.
    done = box.run("sh", "-c", f"cat {shown} {secret}", flags=("--read", box.home))
    assert done.stdout == "more\n", done
    done = box.run("cat", secret, flags=("--read", box.home, "--read", secret))
    assert done.stdout == "content", done
    note, = {record["detail"] for record in box.records(event="notice") if f"{secret}" in record["detail"]}
    assert note.startswith("run: readable: ") and "content" not in box.log.path.read_text()


def test_what_is_in_tmp_is_gone_with_the_command(box):
    done = box.run("sh", "-c", "echo x >/tmp/left-by-a-command; echo x >/var/tmp/left; echo x >~/left; ls /tmp /var/tmp ~")
    assert done.stdout.split() == [f"{box.home}:", "left", "/tmp:", "left-by-a-command", "/var/tmp:", "left"] or "left" in done.stdout
    assert not any(pathlib.Path(path).exists() for path in ("/tmp/left-by-a-command", "/var/tmp/left", box.home / "left"))


def test_the_environment_is_what_was_named(box):
    env = {"AWS_SECRET_ACCESS_KEY": "s3cr3t", "GH_TOKEN": "t0ken", "SSH_AUTH_SOCK": "/tmp/agent", "LC_ALL": "C"}
    plain = box.run("env", env=env).stdout
    assert not any(word in plain for word in ("s3cr3t", "t0ken", "SSH_AUTH_SOCK")) and "LC_ALL=C\n" in plain
    assert "https_proxy=http://127.0.0.1:3128\n" in plain
    assert "GH_TOKEN=t0ken\n" in box.run("env", env=env, flags=("--env", "GH_TOKEN")).stdout
    assert [r for r in box.records(event="notice") if r["detail"] == "run: variables: GH_TOKEN"]
    assert "t0ken" not in box.log.path.read_text()


def test_a_directory_that_would_open_too_much_is_refused(box):
    for directory in ("/", "/tmp", box.home, box.home.parent):
        done = box.run("true", cwd=directory)
        assert done.returncode == 64 and "would open too much" in done.stderr, (directory, done)


def test_the_gate_keeps_nothing_it_does_not_need(box):
    process, line = box.start("sh", "-c", "echo up; sleep 20")
    assert line == "up"
    for pid in os.listdir(f"/proc/{process.pid}/task"):
        status = dict(entry.split(":\t", 1) for entry in pathlib.Path(f"/proc/{process.pid}/task/{pid}/status").read_text().splitlines() if ":\t" in entry)
        assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"
        assert int(status["CapEff"], 16) & ~0x40e == 0, status["CapEff"]  # as root: files of others, and low ports
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
