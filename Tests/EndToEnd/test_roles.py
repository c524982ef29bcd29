"""`reviewers`: who may see, answer and change what is written, by what the kernel says of the peer."""
import json, os, pathlib, re, shutil, subprocess, tempfile

import pytest

from harness.client import connect
from harness.gate import BASE, BINARY, QUIET, eventually

READER, APPROVER, EDITOR, STRANGER = 61001, 61002, 61003, 61004
POLICY = BASE + f"""  - {{ id: ask, agents: [a1], action: ask, protocol: http, to: [ask.test] }}
reviewers: {{ read: [{READER}], approve: [{APPROVER}], edit: [{EDITOR}] }}
"""


@pytest.fixture
def reviewed(fresh):
    """A gate whose control socket others can come to, and what a user's command gets there."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="exitgate-roles"))
    place.chmod(0o711)
    copy = place / "exitgate"
    shutil.copy(BINARY, copy)
    copy.chmod(0o755)
    trial = fresh(POLICY, start=False)
    trial.gate.control = place / "control.sock"
    trial.gate.start()

    def tell(user, *words):
        return subprocess.run(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", copy, *words, "--control", trial.gate.control],
                              capture_output=True, text=True, timeout=20, env=QUIET, cwd="/")

    yield trial, tell
    shutil.rmtree(place, ignore_errors=True)


def refusals(trial, written):
    return [(entry.fields["actor"]["user"]["uid"], entry.fields["api"]["operation"])
            for entry in trial.gate.log.entries(written) if entry.event == "control" and entry.fields.get("status_id") == 2]


def test_CTL_01_each_user_may_do_what_the_policy_gives_him_and_a_stranger_nothing(reviewed):
    trial, tell = reviewed
    written = trial.gate.log.mark()
    for user in (READER, APPROVER, EDITOR):
        assert tell(user, "status", "--json").returncode == 0, tell(user, "status")
        assert json.loads(tell(user, "pending", "--json").stdout) == []
    for user, words in ((READER, ("reload",)), (READER, ("stop-all",)), (READER, ("resume",)), (READER, ("revoke", "x")), (APPROVER, ("reload",))):
        done = tell(user, *words)
        assert done.returncode == (1 if words[0] == "revoke" else 69) and f"user {user} has" in done.stderr and "needs the role" in done.stderr, done
    done = tell(STRANGER, "status")
    assert done.returncode == 69 and "no gate answers" in done.stderr, done
    assert refusals(trial, written) == [
        (str(READER), "reload"), (str(READER), "stop-all"), (str(READER), "resume"), (str(READER), "revoke"), (str(APPROVER), "reload"),
        (str(STRANGER), "connect")]
    assert not json.loads(trial.gate.tell("status", "--json").stdout)["stop"]["everybody"]
    # The control: with the role it is done.
    assert tell(EDITOR, "reload").returncode == 0
    assert tell(APPROVER, "stop-all").returncode == 0
    trial.denied(connect("allowed.test:443"), reason="stopped")
    assert tell(APPROVER, "resume").returncode == 0
    trial.passes()


def test_CTL_03_a_reader_cannot_answer_and_is_nobody_who_can_be_asked(reviewed):
    trial, tell = reviewed
    follow = lambda user: subprocess.Popen(
        ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", trial.gate.control.parent / "exitgate", "pending", "--follow", "--json",
         "--control", trial.gate.control], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=QUIET, cwd="/")
    channels = lambda: json.loads(trial.gate.tell("status", "--json").stdout)["asking"]["channels"]
    trial.far.answers("ask.test", "11.11.0.10")
    ask = b"GET http://ask.test/ HTTP/1.1\r\nHost: ask.test\r\nConnection: close\r\n\r\n"
    watcher = follow(READER)
    try:
        eventually(lambda: tell(READER, "pending", "--json").returncode == 0)
        trial.denied(ask, reason="no-approver")
    finally:
        watcher.kill(), watcher.wait()
    approver = follow(APPROVER)
    try:
        eventually(lambda: sum(channels().values()) if isinstance(channels(), dict) else channels(), because="the approver is there")
        with trial.agent.open(20) as sock:
            sock.sendall(ask)
            question, = eventually(lambda: json.loads(tell(READER, "pending", "--json").stdout))
            written = trial.gate.log.mark()
            for user, words in ((READER, ("approve", question["id"])), (READER, ("refuse", question["id"])), (APPROVER, ("approve", question["id"], "--always"))):
                done = tell(user, *words)
                assert done.returncode != 0 and "needs the role" in done.stderr, done
            assert len(refusals(trial, written)) == 3
            assert json.loads(tell(READER, "pending", "--json").stdout), "it still waits"
            assert tell(APPROVER, "approve", question["id"]).returncode == 0
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    finally:
        approver.kill(), approver.wait()


def test_CTL_03_what_was_refused_for_good_is_taken_back_by_who_may_write_it(reviewed):
    trial, tell = reviewed
    trial.far.answers("ask.test", "11.11.0.10")
    assert trial.gate.reload(POLICY.replace("to: [ask.test] }", "to: [ask.test], ports: [8001, 8002] }")).returncode == 0
    follow = subprocess.Popen([BINARY, "pending", "--follow", "--control", trial.gate.control], stdout=subprocess.DEVNULL, env=QUIET)
    rules = []
    try:
        for verb, port in (("refuse", 8001), ("approve", 8002)):
            ask = f"GET http://ask.test:{port}/ HTTP/1.1\r\nHost: ask.test:{port}\r\nConnection: close\r\n\r\n".encode()
            eventually(lambda: json.loads(trial.gate.tell("status", "--json").stdout)["asking"]["channels"])
            with trial.agent.open(20) as sock:
                sock.sendall(ask)
                question, = eventually(lambda: json.loads(tell(EDITOR, "pending", "--json").stdout))
                assert tell(EDITOR, verb, question["id"], "--always").returncode == 0
                sock.recv(4096)
            rules.append(f"approved-{question['id']}")
        written = trial.gate.log.mark()
        done = tell(APPROVER, "revoke", rules[0])
        assert done.returncode == 1 and "needs the role 'edit'" in done.stderr and refusals(trial, written) == [(str(APPROVER), "revoke")], done
        assert [one["id"] for one in json.loads(tell(EDITOR, "pending", "--all", "--json").stdout)] == rules
        # The controls: what closes more is anybody's who answers, and the editor takes back both.
        assert tell(APPROVER, "revoke", rules[1]).returncode == 0 and tell(EDITOR, "revoke", rules[0]).returncode == 0
        assert json.loads(tell(EDITOR, "pending", "--all", "--json").stdout) == []
    finally:
        follow.kill(), follow.wait()


def test_CTL_03_what_another_gate_wrote_down_as_refused_is_taken_back_by_who_may_write_it(reviewed):
    """The file says more than this gate has read: whose refusal it is, is looked up where it is taken out."""
    trial, tell = reviewed
    overlay = trial.gate.log.path.parent / "approvals.yaml"
    line = lambda name, action, host: f'  - {{ id: "{name}", action: {action}, agents: ["a1"], to: ["{host}"], protocol: http }}\n'
    no, yes = line("approved-no", "deny", "ask.test"), line("approved-yes", "allow", "plain.test")
    overlay.write_text("version: 1\nrules:\n" + no + yes)
    overlay.chmod(0o600)
    assert json.loads(tell(EDITOR, "pending", "--all", "--json").stdout) == [], "it is not read yet"
    written = trial.gate.log.mark()
    done = tell(APPROVER, "revoke", "approved-no")
    assert done.returncode == 1 and f"needs the role 'edit', and user {APPROVER} has 'approve'" in done.stderr, done
    assert refusals(trial, written) == [(str(APPROVER), "revoke")] and no in overlay.read_text()
    # The controls: what was allowed is anybody's who answers, and the editor takes out the other.
    assert tell(APPROVER, "revoke", "approved-yes").returncode == 0 and overlay.read_text() == "version: 1\nrules:\n" + no
    assert tell(EDITOR, "revoke", "approved-no").returncode == 0 and "approved-no" not in overlay.read_text()


def test_CTL_15_a_reader_with_many_connections_keeps_nobody_from_the_kill_switch(reviewed):
    trial, tell = reviewed
    follow = ["setpriv", f"--reuid={READER}", f"--regid={READER}", "--clear-groups", trial.gate.control.parent / "exitgate", "pending", "--follow", "--control", trial.gate.control]
    many = [subprocess.Popen(follow, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=QUIET, cwd="/") for _ in range(40)]
    try:
        eventually(lambda: sum(one.poll() is not None for one in many) >= 32, 30, "no more than eight are let in")
        assert sum(one.poll() is None for one in many) == 8
        assert tell(APPROVER, "status").returncode == 0
        assert trial.gate.tell("stop-all").returncode == 0
        trial.denied(connect("allowed.test:443"), reason="stopped")
        assert tell(APPROVER, "resume").returncode == 0
        trial.passes()
    finally:
        for one in many:
            one.kill(), one.wait()


def test_who_is_no_reviewer_any_more_is_a_stranger_after_the_reload(reviewed):
    trial, tell = reviewed
    assert tell(APPROVER, "status").returncode == 0
    assert oct(trial.gate.control.stat().st_mode & 0o777) == "0o666"
    assert trial.gate.reload(POLICY.split("reviewers:")[0]).returncode == 0
    assert oct(trial.gate.control.stat().st_mode & 0o777) == "0o600"
    assert tell(APPROVER, "status").returncode == 69
    trial.gate.control.chmod(0o666)
    written = trial.gate.log.mark()
    assert tell(APPROVER, "status").returncode == 69
    assert refusals(trial, written) == [(str(APPROVER), "connect")]


def test_CTL_03_who_follows_is_who_the_policy_in_force_says(reviewed):
    """A role that is taken away ends what its holder has open; one that is narrowed leaves nobody who can be asked."""
    trial, tell = reviewed
    trial.far.answers("ask.test", "11.11.0.10")
    follow = lambda: subprocess.Popen(
        ["setpriv", f"--reuid={APPROVER}", f"--regid={APPROVER}", "--clear-groups", trial.gate.control.parent / "exitgate", "pending", "--follow", "--json",
         "--control", trial.gate.control], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=QUIET, cwd="/", text=True)
    channels = lambda: json.loads(trial.gate.tell("status", "--json").stdout)["asking"]["channels"]
    ask = b"GET http://ask.test/ HTTP/1.1\r\nHost: ask.test\r\nConnection: close\r\n\r\n"
    person = follow()
    try:
        eventually(lambda: channels() == 1)
        assert trial.gate.reload(POLICY.replace(f"approve: [{APPROVER}], ", "").replace(f"read: [{READER}]", f"read: [{READER}, {APPROVER}]")).returncode == 0
        assert channels() == 0 and person.poll() is None, "who may still read goes on reading"
        trial.denied(ask, reason="no-approver")
        assert trial.gate.reload(POLICY).returncode == 0
        assert channels() == 1, "the control: with the role back he can be asked"
        with trial.agent.open(20) as sock:
            sock.sendall(ask)
            question, = eventually(lambda: json.loads(tell(READER, "pending", "--json").stdout))
            assert tell(APPROVER, "approve", question["id"]).returncode == 0
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        assert trial.gate.reload(POLICY.split("reviewers:")[0]).returncode == 0
        assert person.wait(10) == 69 and "the gate has ended" in person.stderr.read()
        assert channels() == 0
        trial.denied(ask, reason="no-approver")
    finally:
        person.kill(), person.wait()


def test_CTL_15_a_crowd_of_strangers_is_counted_not_recorded_one_by_one(reviewed):
    trial, tell = reviewed
    written, said = trial.gate.log.mark(), len(trial.gate.said)
    script = ("import socket, sys\nfor _ in range(400):\n s = socket.socket(socket.AF_UNIX)\n s.connect(sys.argv[1])\n"
              " try: s.sendall(b'x'); s.recv(1)\n except OSError: pass\n s.close()")
    done = subprocess.run(["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "/usr/bin/python3", "-c", script, str(trial.gate.control)],
                          timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counted = lambda: [entry for entry in trial.gate.log.entries(written) if entry.fields["unmapped"].get("reason") == "control-refusals"]
    eventually(counted, 30, "those that were not recorded are counted")
    # A reviewer's own refusals are not lost among them.
    assert tell(READER, "reload").returncode == 69
    singles = refusals(trial, written)
    assert (str(READER), "reload") in singles and singles.count((str(STRANGER), "connect")) < 40
    told = lambda: sum(int(re.search(r"control socket: (\d+) more of users without a role", entry.line)[1]) for entry in counted())
    eventually(lambda: told() + refusals(trial, written).count((str(STRANGER), "connect")) == 400, 30)
    assert sum("control socket" in line for line in trial.gate.said[said:]) < 60
    assert tell(APPROVER, "status").returncode == 0
    trial.passes()
