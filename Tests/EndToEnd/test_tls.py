"""TLS: the first flight inside a tunnel, whole or in any pieces, names the host that was asked for."""
import time

import pytest

from harness.client import ECH, client_hello, drain, extension, hello, records, server_name
from harness.far import Received
from harness.namespaces import GOOD

ANSWER = b"FLIGHT " + GOOD.encode()


def refused(trial, *segments, reason, gap=0.0):
    """The tunnel ends, not a byte of the first flight reaches the origin, and one record says why."""
    client, name = trial.stranger()
    seen, written = trial.far.mark(), trial.gate.log.mark()
    reply = trial.first_flight(*segments, gap=gap, client=client)
    assert reply.raw == b"" and reply.ended in ("closed", "reset"), reply
    assert not trial.far.since(seen, Received), "bytes reached the origin"
    trial.recorded(written, name, layer="sni", reason=reason, host="allowed.test", port=443, rule="tunnel")
    assert trial.gate.is_alive


def passes(trial, *segments, gap=0.0):
    seen = trial.far.mark()
    with trial.opened() as sock:
        for segment in segments:
            sock.sendall(segment)
            if gap:
                time.sleep(gap)
        assert sock.recv(100).startswith(ANSWER)
    received = b"".join(event.data for event in trial.far.since(seen, Received))
    assert received == b"".join(segments), "the flight arrives whole and once"


def test_TLS_01_another_name_than_connect(trial):
    for name in ("evil.test", "allowed.test.evil.test", "xallowed.test", "a.wild.test", "bad.wild.test"):
        refused(trial, client_hello(name), reason="sni-mismatch")
    passes(trial, client_hello())


def test_TLS_02_no_name_or_an_address_as_name(trial):
    refused(trial, client_hello(None), reason="sni-missing")
    refused(trial, client_hello("11.66.0.66"), reason="sni-malformed")
    passes(trial, client_hello())


@pytest.mark.parametrize("size", [1, 2, 5, 50, 16000])
def test_TLS_03_a_hello_over_many_records(trial, size):
    refused(trial, records(hello(server_name(b"evil.test")), size), reason="sni-mismatch")
    passes(trial, records(hello(server_name(b"allowed.test")), size))


def test_TLS_03_a_hello_over_many_segments(trial):
    flight, evil = client_hello(padding=1500), client_hello("evil.test", padding=1500)
    for step in (1, 700):
        refused(trial, *(evil[at:at + step] for at in range(0, len(evil), step)), reason="sni-mismatch", gap=0.0 if step == 1 else 0.02)
        passes(trial, *(flight[at:at + step] for at in range(0, len(flight), step)), gap=0.0 if step == 1 else 0.02)


def test_TLS_03_a_large_hello_passes_and_a_larger_one_does_not(trial):
    passes(trial, client_hello(padding=30000))
    refused(trial, *[b"\x16\x03\x01\x40\x00" + b"\x01\x03\x00\x00" + bytes(16380)] + [b"\x16\x03\x01\x40\x00" + bytes(16384)] * 5, reason="hello-too-large")
    passes(trial, client_hello())


def test_TLS_04_encrypted_hello_under_the_right_and_under_another_outer_name(trial):
    ech = extension(ECH, bytes.fromhex("00000100010000200000") + bytes(200))
    refused(trial, records(hello(server_name(b"public.cdn.test"), ech)), reason="encrypted-client-hello")
    refused(trial, records(hello(ech)), reason="sni-missing")
    passes(trial, records(hello(server_name(b"allowed.test"), ech)))


LONG = b"\x00\x00" + b"\xff\xff" + b"\xff\xfd" + b"\x00" + b"\xff\xfa" + b"a" * 10
MALFORMED = {
    "trailing dot": server_name(b"allowed.test."), "NUL": server_name(b"allowed.test\0.evil.test"), "two names": server_name(b"allowed.test", b"evil.test"),
    "the same name twice": server_name(b"allowed.test", b"allowed.test"), "unknown type first": server_name((1, b"allowed.test"), b"allowed.test"),
    "empty name": server_name(b""), "newline": server_name(b"allowed.test\n"), "space": server_name(b"allowed.test "), "no entries": extension(0, b"\0\0"),
    "IPv6": server_name(b"::1"), "odd IPv4": server_name(b"127.1"), "port": server_name(b"allowed.test:443"), "UTF-8": server_name("b\xfccher.test".encode()),
    "list shorter than the extension": extension(0, server_name(b"allowed.test")[4:] + b"x"), "list longer than the extension": extension(0, b"\x00\x40\x00\x00\x0callowed.test"),
    "name longer than the list": extension(0, b"\x00\x0f\x00\x00\xffallowed.test"), "two extensions": server_name(b"allowed.test") + server_name(b"evil.test"),
    "a name of 254": server_name(b"a." * 125 + b"test"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_TLS_05_a_server_name_that_can_be_read_two_ways(trial, name):
    refused(trial, records(hello(MALFORMED[name])), reason="sni-malformed")
    passes(trial, client_hello())


def test_TLS_05_capitals_are_the_same_name(trial):
    passes(trial, client_hello("ALLOWED.test"))


@pytest.mark.parametrize("first", [
    b"SSH-2.0-OpenSSH_9.2\r\n", b"GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n", b"\x05\x01\x00", b"\0\0\0\0", b"\x80\x2e\x01\x00\x02" + bytes(50),
    b"\x15\x03\x01\x00\x02\x02\x28", b"\x17\x03\x03\x00\x05hello", b"\x16\x03\x01\x00\x00" * 3, b"\x16\x05\x01\x00\x05\x01\0\0\x01\0", b"PRI * HTTP/2.0\r\n\r\n",
    b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", b"\x16\x03\x01\xff\xff" + bytes(100), b"CONNECT evil.test:443 HTTP/1.1\r\n\r\n"])
def test_TLS_06_bytes_that_are_not_tls(trial, first):
    refused(trial, first, reason="not-tls")
    passes(trial, client_hello())


def test_TLS_03_06_silent_and_stalled_clients_are_ended_at_the_deadline(trial):
    """All at once, since each takes the ten seconds of the deadline."""
    seen, written, began = trial.far.mark(), trial.gate.log.mark(), time.monotonic()
    flight = client_hello()
    strangers = [trial.stranger() for _ in range(4)]
    stalled = [trial.opened(client=client) for client, _ in strangers]
    for sock, part in zip(stalled, (b"", flight[:5], flight[:-1], b"\x16")):
        sock.sendall(part)
        sock.settimeout(16)
    for sock, (_, name) in zip(stalled, strangers):
        reply = drain(sock)
        assert reply.raw == b"" and reply.ended in ("closed", "reset"), reply
        sock.close()
        trial.recorded(written, name, layer="sni", reason="hello-timeout", host="allowed.test", rule="tunnel")
    assert 8 < time.monotonic() - began < 14, "ended when the deadline passed"
    assert not trial.far.since(seen, Received)
    passes(trial, flight)


def test_TLS_09_a_second_hello_still_goes_to_the_address_of_the_first(trial):
    """A limit that is documented: behind the first flight the tunnel is opaque, but it leads where it was decided to."""
    seen = trial.far.mark()
    with trial.opened() as sock:
        sock.sendall(client_hello())
        assert sock.recv(100).startswith(ANSWER)
        sock.sendall(client_hello("evil.test"))
        assert sock.recv(100).startswith(ANSWER)
    assert {event.address for event in trial.far.since(seen, Received)} == {GOOD}
