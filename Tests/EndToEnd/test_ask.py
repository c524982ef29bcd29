"""A person decides: connections that a rule asks about are held, and what an answer opens is what was shown, once."""
import json, os, select, socket, stat, subprocess, threading, time

import pytest

from harness.client import Agent, client_hello, connect, drain, get, read_head, socks
from harness.far import Accepted, Asked, Received
from harness.gate import A2, BASE, BINARY, QUIET, eventually
from harness.namespaces import GOOD
from harness.reviewer import Reviewer
from harness.trial import Trial

RULES = """  - { id: ask-tls, action: ask, to: ["**.asked.test"] }
  - { id: ask-ssh, action: ask, to: ["**.asked.test"], protocol: tcp, ports: [22, 8443] }
  - { id: ask-web, action: ask, to: ["**.asked.test"], protocol: http }
  - { id: ask-path, action: ask, to: [paths.asked.test], protocol: http, http: [{ methods: [GET, POST], path: "/api/**" }] }
  - { id: ask-low, action: ask, to: [priv.test, rebind.test] }
  - { id: ask-bad, action: ask, to: [bad.wild.test] }
"""
POLICY = BASE + RULES


@pytest.fixture
def stage(fresh):
    """A gate of the test's own, for what people answer is kept; held for 5 s."""
    trial = fresh(POLICY.replace("version: 1\n", "version: 1\ndefaults: { hold: 5s }\n"))
    for name in ("x.asked.test", "y.asked.test", "y.x.asked.test", "asked.test", "paths.asked.test"):
        trial.far.answers(name, GOOD)
    yield trial
    trial.passes()


@pytest.fixture
def reviewer(stage):
    person = Reviewer(stage.gate)
    yield person
    person.close()


class Held:
    """A request that is on its way in a thread."""

    def __init__(self, agent, *segments, timeout=15):
        self.reply = None
        self.thread = threading.Thread(target=self._send, args=(agent, segments, timeout))
        self.thread.start()

    def _send(self, agent, segments, timeout):
        with agent.open(timeout) as sock:
            for segment in segments:
                sock.sendall(segment)
            self.reply = read_head(sock)
            if self.reply.raw.startswith(b"HTTP/1.1 403"):
                rest = drain(sock)
                self.reply.raw += rest.raw

    def end(self):
        self.thread.join(20)
        assert self.reply is not None, "nothing came back"
        return self.reply


def silent(stage, seen):
    """Nobody was asked for a name and nobody was dialled."""
    assert not stage.far.since(seen), stage.far.since(seen)


def test_without_anybody_there_it_is_denied_at_once(stage):
    began = time.monotonic()
    stage.denied(connect("x.asked.test:443"), reason="no-approver")
    assert time.monotonic() - began < 4
    assert stage.gate.tell("pending").stderr == "Nothing waits for a person.\n"


def test_CTL_13_nothing_moves_while_it_is_pending_and_a_denial_is_a_403(stage, reviewer):
    seen, written = stage.far.mark(), stage.gate.log.mark()
    held = Held(stage.agent, connect("x.asked.test:443"))
    question = reviewer.question("x.asked.test")
    assert (question["agent"], question["port"], question["protocol"], question["count"], question["waiting"]) == ("a1", 443, "https", 1, 1)
    assert question["candidate_rule"].startswith('{ id: "approved-' + question["id"])
    time.sleep(0.3)
    assert held.reply is None
    silent(stage, seen)
    assert [(entry.verdict, entry.reason) for entry in stage.gate.log.entries(written) if entry.event == "decision"] == [("ask", "ask-rule")]
    reviewer.refuse(question)
    reply = held.end()
    assert reply.status == 403 and reply.json["reason"] == "refused", reply
    silent(stage, seen)
    # A plain request with a body of which no more than a head's worth is taken.
    big = get("http://y.asked.test/up", "y.asked.test", "Content-Length: 10485760\r\n", method="POST")
    with stage.agent.open(15) as sock:
        before = stage.gate.resident
        sock.sendall(big)
        sock.settimeout(0.5)
        sent = 0
        try:
            while sent < 10 << 20:
                sent += sock.send(b"x" * 65536)
        except TimeoutError:
            pass
        assert sent < 10 << 20, "the gate took all of it"
        assert stage.gate.resident - before < 1024
        reviewer.refuse(reviewer.question("y.asked.test"))
        sock.settimeout(10)
        assert read_head(sock).status == 403
    silent(stage, seen)
    # The control: an approval lets the same on.
    held = Held(stage.agent, connect("asked.test:443"))
    reviewer.approve(reviewer.question("asked.test"))
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    assert [event.name for event in stage.far.since(seen, Asked)] and stage.far.wait_for(seen, Accepted)


def test_the_hold_ends_with_an_id_and_the_retry_passes_once(stage, reviewer):
    began = time.monotonic()
    reply = Held(stage.agent, get("http://x.asked.test/", "x.asked.test")).end()
    assert 4.5 < time.monotonic() - began < 12
    assert reply.status == 403 and reply.field("Retry-After") == "5"
    assert reply.field("Proxy-Status") == 'exitgate; error=http_request_denied; details="pending-approval"'
    told = reply.json
    assert told["error"] == "pending_approval" and told["reason"] == "pending-approval"
    waits = subprocess.Popen([BINARY, "wait", told["id"], "--control", stage.gate.control], env=QUIET, stdout=subprocess.PIPE, text=True)
    assert f"(once) for agent a1: http://x.asked.test:80" in reviewer.approve(told["id"], "--note", "for the docs")
    assert waits.wait(10) == 0 and "allowed (once) by user 0 by control" in waits.stdout.read()
    written = stage.gate.log.mark()
    stage.fetches("http://x.asked.test/", "x.asked.test", rule="ask-web")
    entry = stage.gate.log.wait_for(written, verdict="allow", reason="approved")[0]
    assert entry.fields["unmapped"]["approval"] == {"id": told["id"], "scope": "once", "channel": "control", "uid": 0}
    person = [record for record in stage.gate.log.entries() if record.event == "control" and record.fields["api"]["operation"] == "approve"]
    assert len(person) == 1 and person[0].fields["actor"]["user"]["uid"] == "0"
    said = person[0].fields["unmapped"]
    assert (said["subject"], said["scope"], said["destinations"], said["note"]) == (told["id"], "once", ["http://x.asked.test:80"], "for the docs")
    held = Held(stage.agent, get("http://x.asked.test/", "x.asked.test"))
    assert reviewer.question("x.asked.test")["id"] != told["id"], "it was for one connection"
    reviewer.refuse(reviewer.question("x.asked.test"))
    assert held.end().status == 403
    assert subprocess.run([BINARY, "wait", told["id"], "--control", stage.gate.control], env=QUIET).returncode == 0


def test_CTL_11_an_approval_is_for_what_was_shown(stage, reviewer):
    seen, held = stage.far.mark(), Held(stage.agent, connect("x.asked.test:443"))
    reviewer.approve(reviewer.question("x.asked.test"), "--session")
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    stage.far.wait_for(seen, Accepted)  # the kernel accepts before the origin does: nothing of it comes later
    others = [(connect("x.asked.test:22"), "x.asked.test", {"port": 22, "protocol": "tcp"}),
              (get("http://x.asked.test/", "x.asked.test"), "x.asked.test", {"protocol": "http"}),
              (connect("y.x.asked.test:443"), "y.x.asked.test", {}), (connect("asked.test:443"), "asked.test", {})]
    for request, host, wanted in others:
        seen, held = stage.far.mark(), Held(stage.agent, request)
        reviewer.refuse(reviewer.question(host, **wanted), "--session")
        assert held.end().json["reason"] == "refused"
        silent(stage, seen)
    seen = stage.far.mark()
    assert Agent(stage.bench, port=A2).send(connect("x.asked.test:443"), timeout=10).json["reason"] == "pending-approval", "another agent is asked about"
    silent(stage, seen)
    stage.tunnels(b"x.asked.test:443", b"x.asked.test", rule="ask-tls")
    # After a restart nothing of it is left.
    reviewer.close()
    stage.gate.stop()
    stage.gate.start()
    stage.denied(connect("x.asked.test:443"), reason="no-approver")


def test_CTL_11_where_a_rule_looks_at_paths_each_is_another_question(stage, reviewer):
    held = Held(stage.agent, get("http://paths.asked.test/api/a", "paths.asked.test", "Connection: close\r\n"))
    question = reviewer.question("paths.asked.test")
    assert (question["method"], question["path"], question["rule"]) == ("GET", "/api/a", "ask-path")
    assert 'http: [{ methods: ["GET"], path: "/api/a" }]' in question["candidate_rule"]
    reviewer.approve(question, "--session")
    assert held.end().status == 200
    for request in (get("http://paths.asked.test/api/b", "paths.asked.test"), get("http://paths.asked.test/api/a", "paths.asked.test", method="POST")):
        seen, held = stage.far.mark(), Held(stage.agent, request)
        reviewer.refuse(eventually(lambda: next(iter(reviewer.questions()), None)))
        assert held.end().status == 403
        silent(stage, seen)
    stage.fetches("http://paths.asked.test/api/a", "paths.asked.test", rule="ask-path")


def test_CTL_12_answers_that_cross_count_once_and_late_ones_not_at_all(stage, reviewer):
    held = Held(stage.agent, connect("x.asked.test:443"))
    question = reviewer.question("x.asked.test")
    wrong = stage.gate.tell("approve", question["id"], "--session", "--digest", "0" * 32)
    assert wrong.returncode == 1 and "not what was shown" in wrong.stderr
    both = [subprocess.Popen([BINARY, verb, question["id"], "--control", stage.gate.control], env=QUIET, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for verb in ("approve", "refuse")]
    ends = [one.wait(20) for one in both]
    assert sorted(ends) == [0, 1], [one.communicate() for one in both]
    assert held.end().raw.startswith(b"HTTP/1.1 200" if ends[0] == 0 else b"HTTP/1.1 403")
    late = reviewer.approve(question["id"], "--always", status=1)
    assert "is over" in late, late
    assert stage.gate.tell("approve", "a" * 16).returncode == 1
    assert json.loads(stage.gate.tell("pending", "--granted", "--json").stdout) == []


def test_CTL_14_the_floor_and_deny_rules_are_not_for_people(stage, reviewer):
    stage.far.answers("priv.test", "10.0.0.5")
    for name, address in (("priv.test", "10.0.0.5"), ("rebind.test", "127.0.0.1")):
        stage.far.answers(name, address)
        seen, held = stage.far.mark(), Held(stage.agent, connect(f"{name}:443"))
        reviewer.approve(reviewer.question(name), "--session")
        reply = held.end()
        assert reply.status == 403 and reply.json["reason"] in ("private-address", "special-address"), reply.json
        assert not stage.far.since(seen, Accepted)
    stage.denied(connect("bad.wild.test:443"), reason="deny-rule")
    stage.denied(connect("169.254.169.254:443"), reason="special-address")
    assert reviewer.questions() == []
    # A deny rule that comes while it is held.
    seen, held = stage.far.mark(), Held(stage.agent, connect("x.asked.test:443"))
    question = reviewer.question("x.asked.test")
    assert stage.gate.reload(POLICY + "  - { id: no, action: deny, to: [x.asked.test] }\n").returncode == 0
    assert held.end().json["reason"] == "deny-rule"
    assert "does not ask any more" in reviewer.approve(question["id"], "--session", status=1)
    silent(stage, seen)


def test_CTL_10_a_flood_is_bounded_and_buries_nothing(stage, reviewer):
    def ask(names):
        for name in names:
            with stage.agent.open() as sock:
                sock.sendall(connect(f"{name}:443"))
                sock.settimeout(0.05)
                try:
                    sock.recv(1)
                except TimeoutError:
                    pass
    assert stage.gate.reload(POLICY + '  - { id: all, action: ask, to: ["*"], allow-public-suffix: true }\n').returncode == 0
    written = stage.gate.log.mark()
    ask(f"x.evil{number}.test" for number in range(5))
    ask(["registry.example.evil.test"])
    ask(f"y.evil{number}.test" for number in range(300))
    questions = reviewer.questions()
    assert [question["host"] for question in questions] == [f"x.evil{number}.test" for number in range(5)] + ["registry.example.evil.test"]
    stage.gate.log.wait_for(written, reason="approval-rate")
    assert stage.gate.is_alive
    # The control: the one among them that is wanted can still be had.
    held = Held(stage.agent, connect("registry.example.evil.test:443"))
    reviewer.refuse(reviewer.question("registry.example.evil.test"))
    assert held.end().json["reason"] == "refused"


def test_CTL_10_many_names_of_one_domain_are_one_question_that_lists_them(stage, reviewer):
    names = [f"n{number}.asked.test" for number in range(8)]
    for name in names + ["n20.asked.test"]:
        stage.far.answers(name, GOOD)
    held = []
    for number, name in enumerate(names):
        held.append(Held(stage.agent, connect(f"{name}:443")))
        eventually(lambda: sum(1 + len(one["joined"]) for one in reviewer.questions()) == number + 1)
    question, = reviewer.questions()
    assert [question["host"]] + [place["host"] for place in question["joined"]] == names and question["domain"] == "asked.test"
    for scope in ("--once", "--always"):
        assert "not offered" in reviewer.approve(question, scope, "--digest", question["digest"], status=1)
    blind = stage.gate.tell("approve", question["id"], "--session")
    assert blind.returncode == 64 and "may list more by now" in blind.stderr, blind
    seen = stage.far.mark()
    reviewer.approve(question, "--session", "--digest", question["digest"])
    assert all(one.end().raw.startswith(b"HTTP/1.1 200") for one in held)
    # The kernel accepts before the origin does.
    eventually(lambda: len(stage.far.since(seen, Accepted)) == len(names))
    seen = stage.far.mark()
    reply = Held(stage.agent, connect("n20.asked.test:443")).end()
    assert reply.status == 403 and reply.json["reason"] in ("approval-rate", "pending-approval"), "what was not listed was not approved"
    silent(stage, seen)


def test_whoever_follows_hears_of_each_question_and_that_the_gate_ended(stage, reviewer):
    held = Held(stage.agent, connect("x.asked.test:443"))
    question = reviewer.question("x.asked.test")
    reviewer.refuse(question)
    assert held.end().status == 403
    eventually(lambda: [event["event"] for event in reviewer.events] == ["asked", "closed"])
    assert reviewer.events[0]["question"]["held_until"] == question["held_until"] > question["since"], "until when, also to who follows"
    assert question["addresses"] == [] and question["addresses_note"] == "not looked up before it is allowed"
    assert reviewer.events[0]["question"]["id"] == question["id"] and reviewer.events[1]["closed"]["outcome"] == "refused"
    stage.gate.stop()
    assert reviewer.process.wait(10) == 69 and "the gate has ended" in reviewer.process.stderr.read()
    stage.gate.start()


def test_always_is_written_down_survives_a_restart_and_is_revoked(stage, reviewer):
    held = Held(stage.agent, connect("x.asked.test:443"))
    question = reviewer.question("x.asked.test")
    assert f"exitgate revoke approved-{question['id']}" in reviewer.approve(question, "--always", "--note", "the build \x1b[2J needs it")
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    overlay = stage.gate.log.path.parent / "approvals.yaml"
    text = overlay.read_text()
    assert question["candidate_rule"] in text and "user 0 by control: the build ?[2J needs it\n" in text and oct(overlay.stat().st_mode)[-3:] == "600"
    reviewer.close()
    stage.gate.stop()
    stage.gate.start()
    stage.tunnels(b"x.asked.test:443", b"x.asked.test", rule="ask-tls")
    granted = json.loads(stage.gate.tell("pending", "--granted", "--json").stdout)
    assert [(grant["id"], grant["scope"], grant["agent"]) for grant in granted] == [(f"approved-{question['id']}", "always", "a1")]
    with stage.opened("x.asked.test:443") as sock:
        done = stage.gate.tell("revoke", granted[0]["id"])
        assert done.returncode == 0 and "1 connection cut" in done.stdout, done
        assert drain(sock).ended in ("closed", "reset")
    assert "approved-" not in overlay.read_text()
    stage.denied(connect("x.asked.test:443"), reason="no-approver")
    assert stage.gate.tell("revoke", granted[0]["id"]).returncode == 1


def test_an_overlay_is_no_link(stage, reviewer, tmp_path):
    """Two who come by different names would lock and replace it beside each other, and who may turn the link decides what it says."""
    real, overlay = tmp_path / "real.yaml", stage.gate.log.path.parent / "approvals.yaml"
    real.write_text("version: 1\nrules: []\n")
    held = Held(stage.agent, connect("x.asked.test:443"))
    question = reviewer.question("x.asked.test")
    overlay.symlink_to(real)
    refused = reviewer.approve(question, "--always", status=1)
    assert f"{overlay}" in refused and "is a symbolic link, and exitgate changes this file" in refused and ".." not in refused
    done = stage.gate.tell("reload")
    assert done.returncode == 65 and "is a symbolic link, and exitgate changes this file. Name the file that it leads to.\n" in done.stderr, done
    assert held.reply is None and overlay.is_symlink() and real.read_text() == "version: 1\nrules: []\n"
    # The control: as a file it takes the answer, and keeps its mode.
    overlay.unlink()
    real.rename(overlay)
    overlay.chmod(0o640)
    reviewer.approve(question, "--always")
    assert held.end().raw.startswith(b"HTTP/1.1 200") and question["candidate_rule"] in overlay.read_text()
    assert oct(overlay.stat().st_mode)[-3:] == "640"
    reviewer.close()
    stage.gate.stop()
    overlay.rename(real)
    overlay.symlink_to(real)
    stage.gate.start(wait=False)
    assert stage.gate.ends() == 65 and any("is a symbolic link" in line for line in stage.gate.said)
    overlay.unlink()
    real.rename(overlay)
    stage.gate.start()


def test_a_time_ends_what_is_open(stage, reviewer):
    held = Held(stage.agent, get("http://x.asked.test/", "x.asked.test", "Connection: close\r\n"))
    reviewer.approve(reviewer.question("x.asked.test"), "--for", "4s")
    assert held.end().status == 200
    held = Held(stage.agent, connect("y.asked.test:443"))
    reviewer.approve(reviewer.question("y.asked.test"), "--for", "3s")
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    stage.fetches("http://x.asked.test/", "x.asked.test", rule="ask-web")
    again = []
    with stage.opened("y.asked.test:443") as sock:
        # An agent that goes on asking does not keep what is open.
        for _ in range(100):
            again.append(stage.agent.open())
            again[-1].sendall(connect("y.asked.test:443"))
            if select.select([sock], [], [], 0.05)[0]:
                break
        sock.settimeout(15)
        assert drain(sock).ended in ("closed", "reset")
    for one in again:
        one.close()
    stage.gate.log.wait_for(event="close", reason="expired", seconds=5)


def test_socks_is_held_too(stage, reviewer):
    replies = []
    def ask():
        with stage.agent.open(15) as sock:
            for segment in socks(b"x.asked.test", 443):
                sock.sendall(segment)
            raw = b""
            while len(raw) < 4:
                raw += sock.recv(64)
            replies.append(raw[:4])
    thread = threading.Thread(target=ask)
    thread.start()
    reviewer.approve(reviewer.question("x.asked.test"))
    thread.join(15)
    assert replies == [b"\x05\x00\x05\x00"]


def test_CTL_03_an_agent_cannot_approve_its_own_request(stage, reviewer):
    """As the sandbox's user on the host, and over a copied message: the kernel says who speaks, and the id is spent."""
    held = Held(stage.agent, connect("x.asked.test:443"))
    question = reviewer.question("x.asked.test")
    os.chmod(stage.gate.control, 0o666)  # as if the file's mode were no help
    for parent in stage.gate.control.parents:
        if stat.S_IMODE(parent.stat().st_mode) & 0o005 != 0o005:
            parent.chmod(0o755)
    message = json.dumps({"exitgate": 1, "request": "approve", "id": question["id"], "generation": question["generation"],
                          "digest": question["digest"], "scope": "once", "seconds": None, "note": None}) + "\n"
    script = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode()); "
              "s.settimeout(5); print(s.recv(100))")
    def send(*prefix):
        return subprocess.run([*prefix, "/usr/bin/python3", "-c", script, str(stage.gate.control), message], capture_output=True, text=True, timeout=20)
    stranger = send("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert "answered" not in stranger.stdout, stranger
    assert reviewer.question("x.asked.test")["waiting"] == 1 and held.reply is None, "nothing was decided"
    stage.gate.log.wait_for(event="control")
    assert "answered" in send().stdout, "the control: the same message of the gate's own user counts"
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    assert "decided already" in send().stdout, "a replay has no effect"


@pytest.mark.parametrize("name", ["github.com." + ".".join(["aaaa"] * 30) + ".evil.asked.test", "xn--80ak6aa92e.asked.test"])
def test_CTL_09_the_end_of_a_name_is_always_shown(stage, reviewer, name):
    held = Held(stage.agent, connect(f"{name}:443"))
    reviewer.question(name)
    shown = stage.gate.tell("pending").stdout
    assert "asked.test:443" in shown and "registered domain asked.test" in shown, shown
    if name.startswith("xn--"):
        assert "xn--80ak6aa92e.asked.test" in shown and "looks like 'apple' and is not" in shown
    reviewer.refuse(reviewer.question(name))
    assert held.end().status == 403


def test_names_are_answered_at_once_and_each_request_is_decided_once(stage, reviewer):
    """Whoever gives up, is answered, or times out: for every request that was held there is one decision."""
    reviewer.always("x.asked.test", "approve")
    written = stage.gate.log.mark()
    threads = [Held(stage.agent, get("http://x.asked.test/", "x.asked.test", "Connection: close\r\n")) for _ in range(6)]
    for _ in range(4):
        with stage.agent.open() as sock:
            sock.sendall(get("http://x.asked.test/", "x.asked.test"))
    for held in threads:
        held.end()
    def settled():
        entries = [entry for entry in stage.gate.log.entries(written) if entry.event == "decision" and entry.host == "x.asked.test"]
        asked = {entry.flow for entry in entries if entry.verdict == "ask"}
        ends = [entry.flow for entry in entries if entry.verdict != "ask"]
        # Who asks beside another for the same has his end in the log alone, and each of the six had one.
        return len(ends) == len(set(ends)) and 1 <= len(asked) and asked <= set(ends) and len(ends) >= 6
    eventually(settled, 15)
