"""Who asks, as the kernel says: shown to the person and kept in the log where the gate shares the client's namespaces, and never decided by."""
import json, os, pathlib, signal, subprocess, sys, time

import pytest

from harness.far import Accepted
from harness.gate import eventually, exitgate
from harness.namespaces import GATE, GOOD
from test_ask import reviewer  # noqa: F401: a fixture

POLICY = """version: 1
defaults: { hold: 5s }
agents: { a1: { listen: 127.0.0.1:3128 }, a2: { listen: 10.66.0.1:3128 } }
rules:
  - { id: ask, action: ask, to: ["**.asked.test", 11.11.0.10] }
"""
# One who asks by himself, from a directory of his own, and says what came back.
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[2], 3128), 20) as s:
    s.sendall(f"CONNECT {sys.argv[1]}:443 HTTP/1.1\\r\\nHost: {sys.argv[1]}:443\\r\\n\\r\\n".encode())
    s.settimeout(20); print(s.recv(4096).split(b"\\r\\n")[0].decode())
"""


@pytest.fixture
def stage(fresh):
    trial = fresh(POLICY, listen=())
    for name in ("x.asked.test", "y.asked.test"):
        trial.far.answers(name, GOOD)
    return trial


def witness(stage):
    return json.loads(stage.gate.tell("status", "--json").stdout)["asking"]["witness"]


def client(stage, directory, host, *more, place=("gw", "127.0.0.1")):
    directory.mkdir(exist_ok=True)
    (directory / "ask.py").write_text(CLIENT)
    return subprocess.Popen(stage.gate.bench.command(place[0], sys.executable, "ask.py", host, place[1], *more), cwd=directory, stdout=subprocess.PIPE, text=True)


def test_the_person_and_the_log_see_the_program_and_where_it_runs(stage, reviewer, tmp_path):
    mark, written = stage.far.mark(), stage.gate.log.mark()
    process = client(stage, tmp_path / "where it runs", "x.asked.test", "a\x1b[2Jb\u202e")
    question = eventually(lambda: next((one for one in reviewer.questions() if one["program"]), None), 10, "nobody was found")
    assert question["pid"] == process.pid and question["cwd"] == str(tmp_path / "where it runs"), question
    assert question["program"].startswith(os.path.realpath(sys.executable) + " (") and "ask.py" in question["program"] and question["addresses"] == []
    shown = stage.gate.tell("pending").stdout
    assert f", process {process.pid}, in {tmp_path}/where it runs" in shown and "addresses not looked up before it is allowed" in shown
    assert "\x1b" not in shown and "\u202e" not in shown and "\\u{1b}[2Jb\\u{202e}" in shown, "what it calls itself drives no terminal"
    assert not stage.far.since(mark)
    reviewer.approve(question)
    assert process.communicate(timeout=20)[0] == "HTTP/1.1 200 Connection established\n"
    stage.far.wait_for(mark, Accepted)
    runs = os.path.realpath(sys.executable)
    allowed = stage.gate.log.wait_for(written, verdict="allow", reason="approved")[0].fields["actor"]["process"]
    assert allowed == {"name": os.path.basename(runs), "pid": process.pid, "cmd_line": question["program"],
                       "file": {"name": os.path.basename(runs), "path": runs, "type_id": 1}, "working_directory": question["cwd"]}
    answer = next(entry for entry in stage.gate.log.entries(written) if entry.event == "control" and entry.fields["api"]["operation"] == "approve")
    assert answer.fields["unmapped"]["program"] == {"command": question["program"], "cwd": question["cwd"], "pid": process.pid}
    assert stage.gate.tell("log", "verify", "--audit-log", stage.gate.log.path).returncode in (0, 64)
    # Its addresses are known from here on, and shown without a word to anybody.
    mark = stage.far.mark()
    process = client(stage, tmp_path / "again", "x.asked.test")
    question = reviewer.question("x.asked.test")
    assert question["addresses"] == [GOOD] and not stage.far.since(mark), question
    reviewer.refuse(question, "--session")
    assert process.communicate(timeout=20)[0].startswith("HTTP/1.1 403")


def test_POL_32_a_program_is_named_by_what_runs_and_not_by_what_it_calls_itself(stage, reviewer, tmp_path):
    """No rule speaks of programs, so a forged name opens nothing; nor does it make the person believe another."""
    (tmp_path / "ask.py").write_text(CLIENT)
    forged = ["bash", "-c", 'exec -a /usr/bin/git "$@"', "-", "/usr/bin/python3", "ask.py", "x.asked.test", "127.0.0.1"]
    process = subprocess.Popen(stage.gate.bench.command("gw", *forged), cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    question = eventually(lambda: next((one for one in reviewer.questions() if one["program"]), None), 10, "nobody was found")
    assert question["program"].startswith(os.path.realpath("/usr/bin/python3") + " (/usr/bin/git ask.py"), question
    written = stage.gate.log.mark()
    reviewer.refuse(question)
    assert process.communicate(timeout=20)[0].startswith("HTTP/1.1 403")
    stage.gate.log.wait_for(written, event="decision", verdict="deny")
    blocked = exitgate("log", "blocked", "--json", "--audit-log", stage.gate.log.path)
    assert json.loads(blocked.stdout)["processes"] == [os.path.basename(os.path.realpath("/usr/bin/python3"))], blocked


SHARED = """
import os, socket, time
s = socket.create_connection(("127.0.0.1", 3128), 20)
child = os.fork()
if not child:
    os.execvp("sleep", ["sleep", "60"]) if os.set_inheritable(s.fileno(), True) is None else None
time.sleep(0.5)
s.sendall(b"CONNECT y.asked.test:443 HTTP/1.1\\r\\nHost: y.asked.test:443\\r\\n\\r\\n"); print(s.recv(4096)[:12].decode())
os.kill(child, 9)
"""


def test_POL_32_a_connection_in_several_hands_is_nobodys(stage, reviewer, tmp_path):
    process = subprocess.Popen(stage.gate.bench.command("gw", sys.executable, "-c", SHARED), cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    question = eventually(lambda: next((one for one in reviewer.questions() if one["program"]), None), 10, "nobody was found")
    assert question["program"].startswith("one of 2 processes that share the connection: ") and question["pid"] is None, question
    written = stage.gate.log.mark()
    reviewer.refuse(question)
    assert process.communicate(timeout=20)[0].startswith("HTTP/1.1 403")
    denied, = stage.gate.log.wait_for(written, event="decision", verdict="deny")
    assert set(denied.fields["actor"]["process"]) == {"cmd_line", "working_directory"}, "none of them is named as the one"


def test_an_address_is_shown_as_itself_and_one_who_cannot_be_seen_is_not_guessed(stage, reviewer, tmp_path):
    """The agent of another network namespace has no socket here, so nobody is behind it."""
    mark = stage.far.mark()
    process = client(stage, tmp_path, GOOD, place=("agent", GATE))
    question = reviewer.question(GOOD)
    time.sleep(1)  # long enough to look, if there were anybody
    question = reviewer.question(GOOD, agent="a2")
    assert question["addresses"] == [GOOD] and (question["program"], question["cwd"], question["pid"]) == (None, None, None)
    reviewer.refuse(question, "--session")
    assert process.communicate(timeout=20)[0].startswith("HTTP/1.1 403")
    assert not stage.far.since(mark)


def test_one_who_is_gone_or_hangs_the_seer_holds_nobody_up(stage, reviewer, tmp_path):
    """Without the process that looks, and with one that does not answer, questions come and are answered as before."""
    gate = stage.gate.process.pid
    children = pathlib.Path(f"/proc/{gate}/task/{gate}/children").read_text().split()
    seer = next(int(child) for child in children if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "exitgate-see")
    status = pathlib.Path(f"/proc/{seer}/status").read_text()
    assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status
    assert witness(stage) == {"running": True, "sentence": f"seen by process {seer}"} and f"are seen by process {seer}" in stage.gate.tell("status").stdout
    for number in (signal.SIGSTOP, signal.SIGKILL):
        os.kill(seer, number)
        process = client(stage, tmp_path / "one", "y.asked.test")
        question = reviewer.question("y.asked.test")
        assert question["program"] is None
        reviewer.approve(question)
        assert process.communicate(timeout=20)[0] == "HTTP/1.1 200 Connection established\n"
    assert stage.gate.is_alive
    eventually(lambda: not witness(stage)["running"])
    assert "has ended" in witness(stage)["sentence"]


def test_a_gate_that_asks_nobody_has_no_process_that_looks(fresh):
    trial = fresh("version: 1\nrules:\n  - { id: web, action: allow, to: [x.asked.test] }\n", listen=())
    pid = trial.gate.process.pid
    assert not pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert witness(trial) is None
    # A reload cannot start one: a gate has threads by then. It is said, with what to do.
    assert trial.gate.reload(POLICY).returncode == 0
    assert witness(trial) == {"running": False, "sentence": "not seen: nothing was asked when the gate started. Start the gate anew to see them"}
    assert "programs that ask are not seen: nothing was asked when the gate started" in trial.gate.tell("status").stdout
    trial.gate.stop()
    trial.gate.start()
    assert witness(trial)["running"]
