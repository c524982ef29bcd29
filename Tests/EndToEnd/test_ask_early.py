"""What comes behind a request that waits for a person is held with it: it reaches the far side once and after the answer, or never."""
import pytest

from harness.client import client_hello, connect, get, read_head, socks
from harness.far import Accepted, Received
from harness.namespaces import GOOD
from test_ask import reviewer, silent, stage  # noqa: F401: fixtures

FLIGHT = client_hello("x.asked.test")


@pytest.mark.parametrize("split", [False, True], ids=["at once", "while it waits"])
def test_HTTP_23_early_data_behind_a_connect_that_waits_arrives_once_and_after_the_answer(stage, reviewer, split):
    seen = stage.far.mark()
    with stage.agent.open(15) as sock:
        sock.sendall(connect("x.asked.test:443") + (b"" if split else FLIGHT))
        question = reviewer.question("x.asked.test")
        if split:
            sock.sendall(FLIGHT)
        silent(stage, seen)
        reviewer.approve(question)
        head = read_head(sock)
        assert head.raw.startswith(b"HTTP/1.1 200")
        assert (head.body or sock.recv(100)) == b"FLIGHT " + GOOD.encode()
    assert b"".join(event.data for event in stage.far.since(seen, Received)) == FLIGHT
    assert len(stage.far.since(seen, Accepted)) == 1


@pytest.mark.parametrize("answer", ["refused", "nobody answers"])
def test_HTTP_23_nothing_behind_a_connect_that_was_not_approved_is_read(stage, reviewer, answer):
    seen, written = stage.far.mark(), stage.gate.log.mark()
    with stage.agent.open(15) as sock:
        sock.sendall(connect("x.asked.test:443") + get("http://plain.test/"))
        question = reviewer.question("x.asked.test")
        if answer == "refused":
            reviewer.refuse(question)
        reply = read_head(sock)
        assert reply.status == 403, reply
        rest = b""
        while data := sock.recv(4096):
            rest += data
        assert b"HTTP/1.1" not in rest and b"origin" not in rest, rest
    silent(stage, seen)
    asked = {str(entry.line) for entry in stage.gate.log.entries(written) if entry.event == "decision"}
    assert not [line for line in asked if "plain.test" in line], "what lies behind was never a request"


def test_HTTP_23_what_is_sent_behind_socks_waits_too(stage, reviewer):
    seen = stage.far.mark()
    greeting, request = socks(b"x.asked.test", 443)
    with stage.agent.open(15) as sock:
        sock.sendall(greeting + request + FLIGHT)
        question = reviewer.question("x.asked.test")
        silent(stage, seen)
        reviewer.refuse(question)
        rest = b""
        while data := sock.recv(4096):
            rest += data
        assert b"FLIGHT" not in rest
    silent(stage, seen)
