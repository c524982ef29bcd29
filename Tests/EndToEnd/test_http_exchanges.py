"""HTTP: what passes between the request and its answer: upgrades, early data, and origins that mean harm."""
import socket

import pytest

from harness.client import Reply, Stream, client_hello, connect, drain, get, read_head
from harness.far import Accepted, Received
from harness.namespaces import GOOD

WEBSOCKET = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGVzdA==\r\nSec-WebSocket-Version: 13\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"


def scripted(trial, *answers):
    """The origin gives these answers, one to each thing it receives, then closes."""
    rest = list(answers)

    def answer(connection, _):
        connection.sendall(rest.pop(0))
        return bool(rest)

    trial.far.script = answer


def test_HTTP_14_an_upgrade_passes_where_an_http_rule_covers_it(trial):
    scripted(trial, SWITCH, b"\x81\x02hi")
    seen, written = trial.far.mark(), trial.gate.log.mark()
    with trial.agent.open() as sock:
        sock.sendall(get("http://plain.test/ws", fields=WEBSOCKET))
        assert read_head(sock).status == 101
        sock.sendall(b"RAWBYTES")
        assert sock.recv(100) == b"\x81\x02hi"
    received = trial.far.since(seen, Received)
    assert received[-1].data == b"RAWBYTES" and b"upgrade: websocket" in received[0].data.lower()
    trial.gate.log.wait_for(written, verdict="allow", host="plain.test")


def test_HTTP_14_an_upgrade_that_no_rule_covers_is_denied(trial):
    trial.denied(get("http://evil.test/ws", "evil.test", WEBSOCKET), reason="no-rule")
    for protocol in ("TLS/1.0", "foo", "websocket, h2c", "connect-udp"):
        trial.refused(get("http://plain.test/", fields=f"Connection: Upgrade\r\nUpgrade: {protocol}\r\n"), status={400, 403})
    trial.passes()


def test_HTTP_14_a_101_that_nobody_asked_for_opens_nothing(trial):
    scripted(trial, SWITCH + b"RAW")
    reply = trial.agent.send(get("http://plain.test/"))
    assert reply.status == 502 and b"RAW" not in reply.raw and reply.ended == "closed", reply
    scripted(trial, SWITCH.replace(b"websocket", b"other") + b"RAW")
    reply = trial.agent.send(get("http://plain.test/ws", fields=WEBSOCKET))
    assert reply.status == 502 and b"RAW" not in reply.raw, reply
    trial.far.script = None
    trial.passes()


def test_HTTP_14_an_upgrade_that_the_origin_declines_stays_a_request(trial):
    seen = trial.far.mark()
    reply = trial.agent.send(get("http://plain.test/ws", fields=WEBSOCKET), b"RAWBYTES" * 4, gap=0.3, timeout=4)
    assert reply.status == 200, reply
    assert all(b"RAWBYTES" not in event.data for event in trial.far.since(seen, Received))


def test_HTTP_15_neither_h2c_nor_prior_knowledge(trial):
    h2c = "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    trial.denied(get("http://plain.test/", fields=h2c), reason="upgrade")
    trial.malformed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status={400, 505})
    trial.malformed(b"PRI * H", b"TTP/2.0\r\n\r\nSM\r\n\r\n", status={400, 505})
    trial.passes()


def test_HTTP_23_nothing_behind_a_denied_connect_is_read(trial):
    reply = trial.denied(connect("evil.test:443") + get("http://plain.test/"), reason="no-rule")
    assert b"origin" not in reply.raw
    trial.denied(connect("evil.test:443"), get("http://plain.test/"), reason="no-rule")
    trial.passes()


def test_HTTP_23_nothing_behind_a_connect_that_failed_is_read(trial):
    trial.far.zone["refused.test A"] = ["SERVFAIL"]
    seen = trial.far.mark()
    reply = trial.agent.send(connect("refused.test:443") + get("http://plain.test/"))
    assert reply.status == 502 and reply.ended == "closed" and reply.raw.count(b"HTTP/1.1 ") == 1, reply
    assert not trial.far.since(seen, (Accepted, Received))
    trial.passes()


def test_HTTP_23_early_data_behind_an_allowed_connect_arrives_once_and_after_it(trial):
    seen, flight = trial.far.mark(), client_hello()
    with trial.agent.open() as sock:
        sock.sendall(connect("allowed.test:443") + flight)
        head = read_head(sock)
        assert head.raw.startswith(b"HTTP/1.1 200")
        answer = head.body or sock.recv(100)
    assert answer == b"FLIGHT " + GOOD.encode()
    assert b"".join(event.data for event in trial.far.since(seen, Received)) == flight


HOSTILE = {
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nX: stray\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nbodyHTTP/1.1 200 OK\r\nX: stray\r\n\r\n",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nbodystray",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nstray",
    "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n stray: b\r\nContent-Length: 0\r\n\r\n",
    "no HTTP": b"SSH-2.0-stray\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nstray",
    "bad status": b"HTTP/1.1 20x OK\r\nContent-Length: 5\r\n\r\nstray",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nstray",
    "NUL in a field": b"HTTP/1.1 200 OK\r\nX: a\0stray\r\nContent-Length: 0\r\n\r\n",
    "huge head": b"HTTP/1.1 200 OK\r\nX: " + b"stray" * 20000 + b"\r\n\r\n",
    "nothing": b"HT",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_HTTP_26_an_answer_that_can_be_read_two_ways_is_not_passed_on(trial, name):
    scripted(trial, HOSTILE[name])
    reply = trial.agent.send(get("http://plain.test/"), get("http://plain.test/second"), gap=0.2)
    assert reply.status == 502 and b"stray" not in reply.raw and reply.ended == "closed", reply
    assert reply.raw.count(b"HTTP/1.1 ") == 1 and reply.json["reason"] == "bad-upstream"
    trial.far.script = None
    trial.passes()


SURPLUS = {  # method, what the origin sends, and the answer that is in it
    "bytes behind the body": ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodySTRAY", 200, b"body"),
    "an answer behind the answer": ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSTRAY", 200, b"body"),
    "a body on 204": ("GET", b"HTTP/1.1 204 No Content\r\n\r\nSTRAY", 204, b""),
    "a body on 304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nSTRAY", 304, b""),
    "a body on HEAD": ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSTRAY", 200, b""),
    "bytes behind the last chunk": ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\nSTRAY", 200, b"body"),
    "interim answers": ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 5 + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodySTRAY", 200, b"body"),
}
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"


@pytest.mark.parametrize("name", SURPLUS)
def test_HTTP_26_bytes_beyond_an_answer_never_reach_the_next_one(trial, name):
    """Ten rounds on one connection of the agent: the answer, then the one to a request of another path, and nothing else."""
    method, surplus, status, body = SURPLUS[name]
    rounds = 10
    scripted(trial, *[surplus, SECOND] * rounds)
    seen = trial.far.mark()
    with trial.agent.open() as sock:
        stream = Stream(sock)
        for round_ in range(rounds):
            sock.sendall(get(f"http://plain.test/{round_}", method=method))
            first = stream.answer(method)
            assert (first[0], first[2]) == (status, body), (round_, first)
            sock.sendall(get(f"http://plain.test/next{round_}"))
            second = stream.answer()
            assert (second[0], second[2]) == (200, b"second"), (round_, second)
        sock.settimeout(0.2)
        assert drain(sock) == Reply(b"", "open") and not stream.rest, "nothing follows"
    requests = [event.data.split(b" ")[1].decode() for event in trial.far.since(seen, Received)]
    assert requests == [f"/{word}{round_}" for round_ in range(rounds) for word in ("", "next")], "each request arrives, once"
    assert len(trial.far.since(seen, Accepted)) == 2 * rounds, "a connection upstream serves one request"
    trial.far.script = None
    trial.passes()


def test_HTTP_26_interim_answers_have_an_end(trial):
    """However many there are: some are no fault, thousands are, and the client is told of none of those."""
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    scripted(trial, b"HTTP/1.1 102 Processing\r\n\r\n" * 5000 + final)
    written = trial.gate.log.mark()
    reply = trial.agent.send(get("http://plain.test/"))
    assert reply.status == 502 and reply.ended == "closed" and reply.raw.count(b"HTTP/1.1 ") == 1, reply.raw[:200]
    assert reply.json["reason"] == "bad-upstream"
    trial.gate.log.wait_for(written, event="close", host="plain.test", reason="bad-upstream")
    scripted(trial, b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + final)
    with trial.agent.open() as sock:
        sock.sendall(get("http://plain.test/"))
        assert Stream(sock).answer()[0] == 200
    trial.far.script = None
    trial.passes()


def test_HTTP_27_refusals_repeat_nothing_of_the_request(trial):
    marks = (b"<script>", b"s3cr3t", b"/hidden", b"q=1", b"Bearer")
    trial.far.zone["refused.test A"] = ["SERVFAIL"]
    fields = "Authorization: Bearer s3cr3t\r\nCookie: s3cr3t\r\nReferer: http://x/hidden\r\n"
    answers = [
        trial.denied(get("http://evil.test/hidden/%3Cscript%3E?q=1", "evil.test", fields), reason="no-rule"),
        trial.malformed(get("http://evil.test/<script>alert(1)</script>?q=1", "evil.test", fields), status={400, 403}),
        trial.malformed(get("http://<script>.test/?q=1", "x", fields)),
        trial.agent.send(get("http://refused.test/hidden?q=1", "refused.test", fields))]
    for reply in answers:
        assert reply.field("Content-Type") == "application/json" and reply.field("X-Content-Type-Options") == "nosniff"
        assert not [mark for mark in marks if mark in reply.raw], reply
        assert b"11.11.0." not in reply.raw and b"/etc" not in reply.raw and b"/tmp" not in reply.raw
    assert answers[-1].status == 502
    trial.passes()


def test_HTTP_29_the_gates_own_environment_redirects_nothing(fresh):
    proxy = "http://11.66.0.66:80"
    trial = fresh(env={"HTTPS_PROXY": proxy, "https_proxy": proxy, "HTTP_PROXY": proxy, "ALL_PROXY": proxy, "NO_PROXY": "*"})
    trial.passes()
    assert {event.address for event in trial.far.since(0, Accepted)} == {GOOD}


def test_HTTP_half_close_is_carried_through_a_tunnel(trial):
    """One direction's end never ends the other (DESIGN section 3)."""
    trial.far.answers("raw.test", GOOD)

    def answer(connection, data):
        while more := connection.recv(65536):
            data += more
        connection.sendall(b"%d bytes, then the end" % len(data))
        return False

    trial.far.script = answer
    with trial.opened("raw.test:5432") as sock:
        sock.sendall(b"x" * 5000)
        sock.shutdown(socket.SHUT_WR)
        assert drain(sock).raw == b"5000 bytes, then the end"
