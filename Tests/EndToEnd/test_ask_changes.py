"""What was answered, when the policy changes, when agents are stopped, and when it is over by itself."""
import fcntl, json, os, signal, subprocess, time

import pytest

from harness.client import connect, drain
from harness.far import Accepted
from harness.gate import BASE, BINARY, QUIET, eventually
from harness.namespaces import GOOD
from harness.reviewer import Reviewer
from test_ask import Held, reviewer  # noqa: F401: a fixture

ASKS = "version: 1\ndefaults: { hold: 20s }\n" + BASE.removeprefix("version: 1\n").replace("rebind.test, priv.test, ", "")
NARROW = ASKS + "  - { id: low, action: ask, to: [priv.test, x.asked.test] }\n"
WIDE = NARROW.replace("x.asked.test] }", "x.asked.test], allow-private: true }")


@pytest.fixture
def stage(fresh):
    trial = fresh(NARROW)
    trial.far.answers("priv.test", "10.66.0.9")
    trial.far.answers("x.asked.test", GOOD)
    yield trial
    trial.passes()


def standing(stage):
    return json.loads(stage.gate.tell("pending", "--all", "--json").stdout)


@pytest.mark.parametrize("scope", [("--session",), ("--for", "1h"), ("--always",)])
def test_CTL_14_an_approval_ends_with_the_leave_of_the_rule_that_asked(stage, reviewer, scope):
    held = [Held(stage.agent, connect(f"{name}:443")) for name in ("priv.test", "x.asked.test")]
    questions = [reviewer.question(name) for name in ("priv.test", "x.asked.test")]
    assert all(question["leave"] == [] for question in questions)
    for question in questions:
        reviewer.approve(question, *scope)
    assert held[0].end().json["reason"] == "private-address"
    assert held[1].end().raw.startswith(b"HTTP/1.1 200")
    stage.tunnels(b"x.asked.test:443", b"x.asked.test", rule="low")
    # The same rule on another line, with another reason, is the same to people.
    assert stage.gate.reload("# moved\n" + NARROW.replace("x.asked.test] }", "x.asked.test], reason: told otherwise }")).returncode == 0
    stage.tunnels(b"x.asked.test:443", b"x.asked.test", rule="low")
    written, seen = stage.gate.log.mark(), stage.far.mark()
    assert stage.gate.reload(WIDE).returncode == 0
    held = [Held(stage.agent, connect(f"{name}:443")) for name in ("priv.test", "x.asked.test")]
    question = reviewer.question("priv.test")
    assert question["leave"] == ["private addresses"] and "allow-private: true" in question["candidate_rule"]
    assert "also where it leads to private addresses" in stage.gate.tell("pending").stdout
    assert not stage.far.since(seen), "nothing of it was looked up or dialled"
    if scope != ("--always",):
        assert standing(stage) == []
        ended = [entry for entry in stage.gate.log.entries(written) if entry.fields["unmapped"].get("reason") == "approval-changed"]
        assert len(ended) == 2, "each end is recorded with its reason"
    for name, one in zip(("priv.test", "x.asked.test"), held):
        reviewer.refuse(reviewer.question(name))
        assert one.end().json["reason"] == "refused"


def test_stop_all_ends_the_questions_that_wait(stage, reviewer):
    stage.far.answers("x.asked.test", GOOD)
    held = [Held(stage.agent, connect(f"{name}:443")) for name in ("priv.test", "x.asked.test")]
    question, _ = reviewer.question("priv.test"), reviewer.question("x.asked.test")
    waits = subprocess.Popen([BINARY, "wait", question["id"], "--control", stage.gate.control], env=QUIET, stdout=subprocess.PIPE, text=True)
    written, seen, began = stage.gate.log.mark(), stage.far.mark(), time.monotonic()
    assert stage.gate.tell("stop-all", "--agent", "a1").returncode == 0
    assert [one.end().json["reason"] for one in held] == ["stopped", "stopped"]
    assert time.monotonic() - began < 10, "they did not wait for the end of the hold"
    assert reviewer.questions() == [] and waits.wait(10) == 2 and "the agent was stopped" in waits.stdout.read()
    entries = stage.gate.log.entries(written)
    assert sum(entry.fields["unmapped"].get("reason") == "question-stopped" for entry in entries) == 2
    assert [entry.reason for entry in entries if entry.event == "decision"] == ["stopped", "stopped"]
    assert "the agent was stopped" in reviewer.approve(question["id"], "--session", status=1)
    assert not stage.far.since(seen)
    assert stage.gate.tell("resume").returncode == 0
    held = Held(stage.agent, connect("x.asked.test:443"))
    reviewer.approve(reviewer.question("x.asked.test"))
    assert held.end().raw.startswith(b"HTTP/1.1 200")


def test_CTL_15_an_answer_that_waits_for_its_file_holds_nobody_up(stage, reviewer):
    overlay = stage.gate.log.path.parent / "approvals.yaml"
    assert stage.gate.reload(NARROW.replace("hold: 20s", "hold: 5m")).returncode == 0
    say = lambda *words: subprocess.Popen([BINARY, *words, "--control", stage.gate.control], env=QUIET, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    held = [Held(stage.agent, connect(f"{name}:443"), timeout=300) for name in ("priv.test", "x.asked.test")]
    questions = [reviewer.question(name) for name in ("priv.test", "x.asked.test")]

    def speaks(process):
        try:
            return any(os.readlink(entry.path).startswith("socket:") for entry in os.scandir(f"/proc/{process.pid}/fd"))
        except OSError:  # it has ended, or closed one
            return False

    def answer():
        answers = [say("approve", question["id"], "--always") for question in questions]
        eventually(lambda: all(process.poll() is not None or speaks(process) for process in answers))
        return answers

    # Another process is writing, for as long as it likes.
    with open(f"{overlay}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        began, answers = time.monotonic(), answer()
        assert answers[0].wait(30) == 1 and answers[1].wait(30) == 1, "an end is put to waiting"
        hung = time.monotonic() - began
        assert all("is being changed by another process" in process.stdout.read() for process in answers) and not overlay.exists()
        # Whoever were held up by the answers would be done behind them. A slow machine has more than one try to be done before.
        for _ in range(15):
            [process.wait(30) for process in answers]
            answers, began = answer(), time.monotonic()
            assert stage.gate.tell("stop-all", "--agent", "a2").returncode == 0 and stage.gate.tell("resume", "--agent", "a2").returncode == 0
            took = time.monotonic() - began
            if took < hung / 2 and all(process.poll() is None for process in answers):
                break
        else:
            pytest.fail(f"an order took {took} s, and an answer waits {hung} s")
        assert held[0].reply is None
    # The control: what waited counts once the other is done.
    assert [answer.wait(30) for answer in answers] == [0, 0] and overlay.read_text().count("action: allow") == 2
    assert held[1].end().raw.startswith(b"HTTP/1.1 200") and held[0].end().json["reason"] == "private-address"
    with stage.opened("x.asked.test:443") as sock, open(f"{overlay}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        taken = say("revoke", f"approved-{questions[1]['id']}")
        sock.settimeout(30)
        assert drain(sock).ended in ("closed", "reset"), "it is cut, whatever the file says"
        assert taken.wait(30) == 1 and "taken back until the file is read again" in taken.stdout.read()
    assert stage.gate.tell("revoke", f"approved-{questions[1]['id']}").returncode == 0 and overlay.read_text().count("action: allow") == 1


def test_a_question_that_is_over_by_itself_is_recorded_and_whoever_waits_for_it_answers_nothing(stage, reviewer):
    held = Held(stage.agent, connect("x.asked.test:443"))
    question = reviewer.question("x.asked.test")
    waits = subprocess.Popen([BINARY, "wait", question["id"], "--control", stage.gate.control], env=QUIET, stdout=subprocess.DEVNULL)
    channels = lambda: json.loads(stage.gate.tell("status", "--json").stdout)["asking"]["channels"]
    assert channels() == 1
    reviewer.close()
    eventually(lambda: channels() == 0)
    stage.denied(connect("priv.test:443"), reason="no-approver")
    assert waits.poll() is None and held.reply is None, "what is held goes on being held"
    assert stage.gate.tell("refuse", question["id"]).returncode == 0
    assert held.end().status == 403 and waits.wait(10) == 1


def test_one_who_hangs_is_nobody_who_can_be_asked(stage, reviewer):
    channels = lambda: json.loads(stage.gate.tell("status", "--json").stdout)["asking"]["channels"]
    other = Reviewer(stage.gate)
    eventually(lambda: channels() == 2)
    reviewer.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        eventually(lambda: channels() == 1, 60, "one who hangs is believed to live")
        assert 20 < time.monotonic() - began < 50
        # The control: who lives is counted all the time, and is asked.
        held = Held(stage.agent, connect("x.asked.test:443"))
        other.refuse(other.question("x.asked.test"))
        assert held.end().json["reason"] == "refused" and channels() == 1
        other.close()
        eventually(lambda: channels() == 0)
        stage.denied(connect("priv.test:443"), reason="no-approver")
    finally:
        reviewer.process.send_signal(signal.SIGCONT)
    eventually(lambda: channels() == 1, 40, "it lives again")
    held = Held(stage.agent, connect("priv.test:443"))
    reviewer.refuse(reviewer.question("priv.test"))
    assert held.end().json["reason"] == "refused"


def test_everything_that_stands_is_listed_and_taken_back(stage, reviewer):
    def answer(name, verb, *scope):
        held = Held(stage.agent, connect(f"{name}:443"))
        question = reviewer.question(name)
        getattr(reviewer, verb)(question, *scope)
        return question["id"], held.end()
    allowed, reply = answer("x.asked.test", "approve", "--for", "1h")
    assert reply.raw.startswith(b"HTTP/1.1 200")
    refused, reply = answer("priv.test", "refuse", "--session")
    assert reply.json["reason"] == "refused"
    listed = {one["id"]: (one["scope"], one["allows"], one["places"]) for one in standing(stage)}
    assert listed == {allowed: ("time", True, ["https://x.asked.test:443"]), refused: ("session", False, ["https://priv.test:443"])}
    assert "refused (session) for agent a1: https://priv.test:443, by user 0 by control" in stage.gate.tell("pending", "--all").stdout
    stage.denied(connect("priv.test:443"), reason="refused", itself=True)
    for one in (allowed, refused):
        assert stage.gate.tell("revoke", one).returncode == 0
        assert stage.gate.tell("revoke", one).returncode == 1
    assert standing(stage) == []
    held = Held(stage.agent, connect("priv.test:443"))
    reviewer.refuse(reviewer.question("priv.test"))
    assert held.end().status == 403


def rule(name, host, expires):
    return f'  - {{ id: "{name}", action: allow, agents: ["a1"], to: ["{host}"], expires: "{expires}" }}\n'


def test_what_was_written_for_a_while_ends_then(stage, reviewer):
    reviewer.close()
    stage.gate.stop()
    at = lambda seconds: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    overlay = stage.gate.log.path.parent / "approvals.yaml"
    overlay.write_text("version: 1\nrules:\n" + rule("approved-old", "priv.test", at(-60)) + rule("approved-new", "x.asked.test", at(8)))
    overlay.chmod(0o600)
    stage.gate.start()
    assert any("the rule 'approved-old' expired at" in line and "exitgate revoke approved-old" in line for line in stage.gate.said)
    assert [one["id"] for one in standing(stage)] == ["approved-new"]
    stage.denied(connect("priv.test:443"), reason="no-approver")
    with stage.opened("x.asked.test:443") as sock:
        sock.settimeout(30)
        assert drain(sock).ended in ("closed", "reset"), "its end cuts what it let pass"
    stage.denied(connect("x.asked.test:443"), reason="no-approver", itself=True)
    assert standing(stage) == []
    assert stage.gate.tell("revoke", "approved-old").returncode == 0
    assert "approved-old" not in overlay.read_text() and "approved-new" in overlay.read_text()
