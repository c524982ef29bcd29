"""`reviewers`: who may see, answer and change what is written, by what the kernel says of the peer."""
import json, os, pathlib, shutil, subprocess, tempfile

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
