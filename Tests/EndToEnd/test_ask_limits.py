"""How much may be asked: what waits always fits what people read it by, and the answer to it counts."""
import base64, collections, hashlib

import pytest

from harness.client import get, read_head
from harness.far import Accepted
from harness.gate import SHARED, eventually
from harness.namespaces import GOOD
from harness.reviewer import Reviewer

AGENTS = [f"agent{number}" for number in range(4)]
POLICY = ("version: 1\ndefaults: { hold: 20s }\nagents:\n"
          + "".join(f"  {name}: {{ token_sha256: {hashlib.sha256(name.encode()).hexdigest()} }}\n" for name in AGENTS)
          + "rules:\n  - { id: ask, action: ask, protocol: http, to: ['**.test'], allow-public-suffix: true, http: [{ methods: [GET], path: '/**' }] }\n")
# The longest line of a request is 8 KiB.
PATH = "/" + "x" * 7900


@pytest.fixture
def crowd(fresh):
    """A gate that asks about every path, with somebody there; and how an agent asks it."""
    trial = fresh(POLICY, doubles=0)
    trial.agent.port = SHARED
    open_ones = []

    def ask(name, host, path=PATH):
        token = base64.b64encode(f"{name}:{name}".encode()).decode()
        sock = trial.agent.open(60)
        open_ones.append(sock)
        sock.sendall(get(f"http://{host}{path}", host, f"Proxy-Authorization: Basic {token}\r\nConnection: close\r\n"))
        return sock

    reviewer = Reviewer(trial.gate)
    yield trial, reviewer, ask
    reviewer.close()
    for sock in open_ones:
        sock.close()


def test_CTL_10_twenty_questions_with_the_longest_paths_are_all_shown_and_answered(crowd):
    trial, reviewer, ask = crowd
    held = {f"h.{name}d{number}.test": ask(name, f"h.{name}d{number}.test") for name in AGENTS for number in range(5)}
    for host in held:
        trial.far.answers(host, GOOD)
    questions = eventually(lambda: (found := reviewer.questions()) and len(found) == 20 and found, 20)
    assert {question["host"] for question in questions} == set(held) and all(question["path"] == PATH for question in questions)
    assert len(trial.gate.tell("pending").stdout) > 20 * len(PATH), "people are shown all of it"
    for question in questions:
        seen = trial.far.mark()
        reviewer.approve(question, "--once")
        assert read_head(held[question["host"]]).status == 200
        assert trial.far.wait_for(seen, Accepted)
    assert reviewer.questions() == []
    eventually(lambda: sum(event["event"] == "asked" for event in reviewer.events) == 20, because="whoever follows saw each")


def test_CTL_10_a_list_that_grows_too_long_says_so_and_can_still_be_answered(crowd):
    trial, reviewer, ask = crowd
    written, fits = trial.gate.log.mark(), []
    for number in range(30):
        fits.append(ask("agent0", f"n{number}.one.test", f"/{number}/" + "x" * 5000))
        if number < 8:
            eventually(lambda: sum(1 + len(one["joined"]) for one in reviewer.questions()) == number + 1)
    question, = eventually(lambda: [one for one in reviewer.questions() if one["more"]], 20)
    eventually(lambda: next(iter(reviewer.questions()))["more"] + 1 + len(question["joined"]) == 30)
    listed = 1 + len(question["joined"])
    assert 8 <= listed < 12
    assert f"{30 - listed} more did not fit and were denied" in trial.gate.tell("pending").stdout
    for sock in fits[listed:]:
        assert read_head(sock).status == 403
    counted = lambda: sum(entry.count if entry.event == "rollup" else 1 for entry in trial.gate.log.entries(written)
                          if entry.event in ("decision", "rollup") and entry.reason == "approval-queue-full")
    eventually(lambda: counted() == 30 - listed, 20, "each of them is in the log")
    for number in range(listed):
        trial.far.answers(f"n{number}.one.test", GOOD)
    question, = reviewer.questions()
    reviewer.approve(question, "--session", "--digest", question["digest"])
    for sock in fits[:listed]:
        assert read_head(sock).status == 200


def test_CTL_10_so_many_connections_wait_for_one_question(crowd):
    trial, reviewer, ask = crowd
    trial.far.answers("x.one.test", GOOD)
    socks = [ask("agent0", "x.one.test", "/") for _ in range(80)]
    eventually(lambda: reviewer.questions() and reviewer.questions()[0]["count"] == 80, 20)
    question, = reviewer.questions()
    assert question["waiting"] == 64
    # Of what is asked again, the end alone has a record.
    asked = [entry for entry in trial.gate.log.entries() if entry.event == "decision" and entry.verdict == "ask"]
    assert len(asked) == 1
    reviewer.approve(question, "--session")
    statuses = collections.Counter(read_head(sock).status for sock in socks)
    assert statuses == {200: 64, 403: 16}
