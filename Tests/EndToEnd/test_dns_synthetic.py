"""DNS: synthetic answers. A name gets an address of the gate's own, nothing is asked upstream, and the connection carries the name."""
import ipaddress, socket

import pytest

from harness.client import client_hello, connect, drain, get, read_head, socks
from harness.far import Accepted
from harness.namespaces import GOOD6
from harness.naming import fresh_name

FLAGS = ("--dns-answers", "synthetic")
POOL, ULA = ipaddress.ip_network("198.18.0.0/15"), ipaddress.ip_network("fd00::/8")


def leased(stage, name, kind="A"):
    """The address the name gets: of the pool, for thirty seconds at most, with nobody asked."""
    seen = stage.upstream.mark()
    reply = stage.ask(name, kind)
    address, = reply.addresses
    assert ipaddress.ip_address(address) in (POOL if kind == "A" else ULA), reply
    assert reply.records[0][:2] == (name, kind) and 1 <= reply.ttls[0] <= 30 and stage.plain_flags(reply)
    stage.upstream.heard_nothing(seen)
    return address


def literal(address):
    return f"[{address}]" if ":" in address else address


def test_a_name_has_one_address_of_each_family_and_shares_it_with_none(stage):
    names = ["allowed.test", "asked.test", *(fresh_name() for _ in range(200))]
    for kind in ("A", "AAAA"):
        given = {name: leased(stage, name, kind) for name in names}
        assert len(set(given.values())) == len(names)
        assert {name: leased(stage, name, kind) for name in names} == given, "and keeps it"
    prefixes = {ipaddress.ip_network((leased(stage, name, "AAAA"), 48), strict=False) for name in names}
    assert len(prefixes) == 1, prefixes
    assert leased(stage, "ALLOWED.test".lower()) == stage.ask("AlLoWeD.TEST").addresses[0]


def test_the_prefix_is_of_each_gate_its_own(own_stage):
    prefixes = {ipaddress.ip_network((own_stage(extra=FLAGS).ask("allowed.test", "AAAA").addresses[0], 48), strict=False) for _ in range(2)}
    assert len(prefixes) == 2


def test_DNS_01_denied_names_get_none(stage):
    for kind in ("A", "AAAA", "TXT", "HTTPS"):
        stage.denied(fresh_name("evil.test"), kind)
    stage.denied("bad.wild.test", reason="deny-rule", ede=15)
    leased(stage, "allowed.test")


@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_DNS_21_a_connection_to_the_address_carries_the_name(stage, kind):
    """The name is decided, resolved, dialled and recorded; the TLS handshake has to speak of it."""
    name = fresh_name()
    address = leased(stage, name, kind)
    seen, written, dialled = stage.upstream.mark(), stage.log.mark(), stage.far.mark()
    with stage.trial.agent.open() as sock:
        sock.sendall(connect(f"{literal(address)}:443"))
        assert read_head(sock).raw.startswith(b"HTTP/1.1 200")
        sock.sendall(client_hello(name))
        assert sock.recv(100) == b"FLIGHT " + GOOD6.encode()
    record = stage.log.wait_for(written, layer="connect", verdict="allow")[0]
    assert record.host == name and record.rule == "wild", record.line
    assert {query.name for query in stage.upstream.since(seen)} == {name}, "now it is asked for"
    assert {event.address for event in stage.far.since(dialled, Accepted)} == {GOOD6}
    with stage.trial.agent.open() as sock:
        sock.sendall(connect(f"{literal(address)}:443"))
        assert read_head(sock).raw.startswith(b"HTTP/1.1 200")
        sock.sendall(client_hello("evil.test"))
        sock.settimeout(3)
        assert not drain(sock).raw
    assert stage.log.wait_for(written, reason="sni-mismatch")


def test_socks_and_plain_http_to_the_address_carry_it_too(stage):
    address = leased(stage, "allowed.test")
    written = stage.log.mark()
    greeting, request = socks((socket.inet_aton(address),), 443)
    with stage.trial.agent.open() as sock:
        sock.sendall(greeting)
        assert sock.recv(2) == b"\5\0"
        sock.sendall(request)
        assert sock.recv(10)[:2] == b"\5\0"
        sock.sendall(client_hello("allowed.test"))
        assert sock.recv(100).startswith(b"FLIGHT")
    assert stage.log.wait_for(written, layer="socks", verdict="allow", host="allowed.test")
    plain = leased(stage, "plain.test")
    reply = stage.trial.agent.send(get("http://plain.test/", host="plain.test", fields="Connection: close\r\n"))
    assert reply.status == 200 and plain != address


def test_a_pool_address_that_no_name_has_is_denied(stage):
    leased(stage, "allowed.test")
    prefix = ipaddress.ip_network((leased(stage, "allowed.test", "AAAA"), 48), strict=False)
    for address in ("198.19.255.254", "198.18.200.200", str(prefix[0xDEADBEEF])):
        seen = stage.upstream.mark()
        reply = stage.trial.agent.send(connect(f"{literal(address)}:443"))
        assert reply.status == 403 and reply.json["reason"] == "synthetic-unnamed", (address, reply)
        stage.upstream.heard_nothing(seen)
    stage.tunnels()


def test_DNS_20_inner_addresses_behind_a_pool_address_are_never_dialled(stage):
    name = fresh_name()
    stage.upstream.holds(name, "169.254.169.254")
    address = leased(stage, name)
    seen = stage.far.mark()
    reply = stage.trial.agent.send(connect(f"{address}:443"))
    assert reply.status == 403 and reply.json["reason"] == "special-address", reply
    assert not stage.far.since(seen, Accepted)


def test_the_port_still_counts(stage):
    address = leased(stage, "allowed.test")
    seen = stage.upstream.mark()
    reply = stage.trial.agent.send(connect(f"{address}:22"))
    assert reply.status == 403 and reply.json["reason"] == "no-rule"
    stage.upstream.heard_nothing(seen)


def test_DNS_09_data_in_labels_goes_nowhere_by_being_looked_up(stage):
    seen = stage.upstream.mark()
    for number in range(300):
        leased(stage, f"{'secret' * 8}{number}.wild.test")
    stage.upstream.heard_nothing(seen)
    leased(stage, "allowed.test")


def test_status_shows_the_pool(stage):
    leased(stage, "allowed.test")
    pool = stage.status["dns"]["pool"]
    assert pool and any(value >= 1 for value in pool.values() if isinstance(value, int)), pool
