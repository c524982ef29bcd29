"""DNS: what no rule speaks of is never asked upstream: by no transport, for no type, under no disguise."""
import os, socket, ssl

import pytest

from harness.asker import BLOCKED, PROHIBITED, Asker, query
from harness.client import client_hello, connect, drain, get
from harness.namespaces import EVIL, GATE6, GOOD6, RESOLVER
from harness.naming import fresh_name
from harness.upstream import Answer

TYPES = ["A", "AAAA", "TXT", "MX", "NS", "SOA", "SRV", "NULL", "CNAME", "PTR", "HTTPS", "SVCB", "ANY", "AXFR", "IXFR", "TYPE65534", "DNSKEY", "DS",
         "CAA", "NAPTR", "LOC", "KEY", "OPT", "TYPE128", "MAILB", "MAILA"]


def test_DNS_01_the_question_itself_is_the_leak(stage):
    stage.denied("sk-live-0123456789.evil.test")
    stage.denied(f"{os.urandom(15).hex()}.{os.urandom(20).hex()}.evil.test")
    stage.denied("evil.test"), stage.denied("test"), stage.denied("com"), stage.denied("allowed.test.evil.test")
    stage.denied("notallowed.test"), stage.denied("wild.test"), stage.denied("sub.allowed.test")
    stage.resolves()


def test_DNS_01_a_deny_rule_says_blocked_and_names_itself(stage):
    written = stage.log.mark()
    stage.denied("bad.wild.test", reason="deny-rule", ede=BLOCKED)
    assert stage.recorded(written, question="bad.wild.test").rule == "bad"
    stage.denied("x.tracker.test", reason="deny-rule", ede=BLOCKED)
    stage.resolves("good.wild.test")


def test_DNS_01_without_edns_there_is_no_extended_error(stage):
    reply = stage.denied("plainly.evil.test", edns=b"")
    assert reply.message.edns == -1 and len(reply.wire) < 512, "no OPT where none was sent"
    stage.resolves(edns=b"")


def test_DNS_02_nothing_is_resolved_before_it_is_decided(stage):
    trial = stage.trial
    trial.denied(connect("leak1.evil.test:443"), reason="no-rule")
    trial.denied(get("http://leak2.evil.test/", host="leak2.evil.test"), reason="no-rule")
    seen, written = stage.upstream.mark(), stage.log.mark()
    with trial.opened("allowed.test:443") as sock:
        sock.sendall(client_hello("leak3.evil.test"))
        sock.settimeout(3)
        assert not drain(sock).raw
    stage.log.wait_for(written, reason="sni-mismatch")
    trial.denied(connect("asked.test:443"), reason="no-approver")
    stage.denied("leak4.evil.test")
    asked = {query.name for query in stage.upstream.since(seen)}
    assert asked <= {"allowed.test"}, asked
    stage.tunnels()


@pytest.mark.parametrize("address", ["10.66.0.1", GATE6])
def test_DNS_03_tcp_is_the_same_policy(stage, address):
    asker = Asker(stage.bench, address)
    stage.denied(fresh_name("evil.test"), tcp=True, asker=asker)
    stage.denied(fresh_name("bad.wild.test").split(".", 1)[1], tcp=True, asker=asker, reason="deny-rule", ede=BLOCKED, recorded=False)
    stage.denied(fresh_name("evil.test"), asker=asker)
    for tcp in (True, False):
        name = fresh_name()
        assert asker.ask(name, tcp=tcp).addresses == ["11.11.0.10"], "TCP for allowed names works"


def test_DNS_03_a_truncated_answer_upstream_is_fetched_over_tcp(stage):
    name = fresh_name()
    stage.upstream.says(name, "A", Answer("{name}. 60 IN A 11.11.0.10", truncated=True))
    seen = stage.upstream.mark()
    assert stage.ask(name).addresses == ["11.11.0.10"]
    assert [query.transport for query in stage.upstream.since(seen)] == ["udp", "tcp"]
    stage.denied(fresh_name("evil.test"), tcp=True)


def test_DNS_04_the_gates_own_resolver_is_out_of_reach_through_the_gate(stage):
    """Packets that bypass the gate are the kernel table's; this is what the proxy and the listener can be asked for."""
    for authority in (f"{RESOLVER}:53", f"{RESOLVER}:853", "10.66.0.1:53"):
        stage.trial.denied(connect(authority), reason="self-address")
    for authority in (f"{RESOLVER}:443", f"{EVIL}:53", "allowed.test:53"):
        stage.trial.denied(connect(authority), reason="no-rule")
    with stage.bench.inside("agent"):
        direct = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with direct:
        direct.sendto(query("leak.evil.test"), (RESOLVER, 53))
        stage.stays_silent()
    stage.tunnels()
    stage.resolves()


def test_DNS_05_dns_over_tls_is_no_https_port(stage):
    stage.trial.denied(connect("allowed.test:853"), reason="no-rule")
    stage.trial.denied(connect(f"{EVIL}:853"), reason="no-rule")
    stage.trial.denied(connect(f"[{GOOD6}]:853"), reason="no-rule")
    stage.tunnels()


def test_DNS_05_the_listener_speaks_no_tls(stage):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with stage.asker.stream(2) as sock, pytest.raises((OSError, ssl.SSLError)):
        context.wrap_socket(sock)
    stage.resolves(tcp=True)


def test_DNS_06_resolvers_that_speak_https_are_denied_like_any_host(stage):
    for host in ("cloudflare-dns.com", "dns.google", "1.1.1.1", "8.8.8.8", "[2606:4700:4700::1111]", "mozilla.cloudflare-dns.com", "dns.quad9.net"):
        stage.trial.denied(connect(f"{host}:443"), reason="no-rule")
    for host in ("cloudflare-dns.com", "dns.google", "use-application-dns.net", "resolver.arpa", "_dns.resolver.arpa"):
        stage.denied(host)
    stage.denied("_dns.resolver.arpa", "SVCB", recorded=False)  # RFC 9462: nothing tells a client to go round the gate
    stage.resolves()


REFUSED = ["NULL", "AXFR", "IXFR", "TYPE65534", "TYPE65280", "OPT", "TYPE128", "MAILA", "MAILB"]
NOT_THERE = ["TXT", "MX", "NS", "SOA", "SRV", "PTR", "DNSKEY", "DS", "CAA", "NAPTR", "LOC", "KEY"]


@pytest.mark.parametrize("kind", TYPES)
def test_DNS_07_a_denied_name_is_denied_for_every_type(stage, kind):
    seen = stage.upstream.mark()
    for name in ("leak.evil.test", "evil.test", fresh_name("evil.test")):
        for tcp in (False, True):
            reply = stage.ask(name, kind, tcp=tcp)
            assert reply.rcode in ("NXDOMAIN", "REFUSED") and not reply.message.answer, reply
            assert reply.ede == [PROHIBITED] and (reply.rcode == "NXDOMAIN" or kind in REFUSED), reply
    stage.upstream.heard_nothing(seen)
    stage.resolves()


@pytest.mark.parametrize("kind", REFUSED)
def test_DNS_07_types_that_only_tunnels_and_transfers_use_are_refused(stage, kind):
    stage.refused("allowed.test", kind)
    stage.refused(fresh_name(), kind, tcp=True)
    stage.resolves()


@pytest.mark.parametrize("kind", NOT_THERE)
def test_DNS_07_an_allowed_name_has_no_records_of_types_nobody_named(stage, kind):
    stage.empty("allowed.test", kind, ede=PROHIBITED)
    stage.empty(fresh_name(), kind, tcp=True)
    stage.resolves()


def test_DNS_07_any_is_answered_by_rfc_8482(stage):
    seen = stage.upstream.mark()
    for name in ("allowed.test", fresh_name()):
        assert stage.ask(name, "ANY").records == [(name, "HINFO", '"RFC8482" ""')]
    stage.upstream.heard_nothing(seen)
    stage.resolves()


def test_DNS_07_a_rule_that_names_types_opens_those_and_no_others(stage):
    stage.upstream.says("mail.test", "TXT", Answer('{name}. 60 IN TXT "v=spf1 -all"'))
    stage.upstream.says("mail.test", "MX", Answer("{name}. 60 IN MX 10 mx.mail.test."))
    assert stage.ask("mail.test", "TXT").records == [("mail.test", "TXT", '"v=spf1 -all"')]
    owner, kind, value = stage.ask("mail.test", "MX").records[0]
    assert (owner, kind, value.lower()) == ("mail.test", "MX", "10 mx.mail.test")
    seen = stage.upstream.mark()
    for kind in ("SRV", "NS", "CAA"):
        assert not stage.ask("mail.test", kind).message.answer
    for kind in ("TXT", "MX"):
        stage.denied("sub.mail.test", kind, recorded=False)
    stage.upstream.heard_nothing(seen)


def test_DNS_10_names_inside_records_are_not_in_the_gates_own_letters(stage):
    stage.upstream.says("mail.test", "MX", Answer("{name}. 60 IN MX 10 mx.mail.test."))
    assert [stage.ask("mail.test", "MX").records[0][2] for _ in range(3)] == ["10 mx.mail.test"] * 3


def test_DNS_08_hints_and_encrypted_hellos_never_come_through(stage):
    stage.upstream.says("allowed.test", "HTTPS", Answer("{name}. 60 IN HTTPS 1 . alpn=h2 ipv4hint=169.254.169.254 ech=AARhYmNk"))
    stage.upstream.says("allowed.test", "SVCB", Answer("{name}. 60 IN SVCB 1 evil.test. ipv6hint=fd00:ec2::254"))
    for kind in ("HTTPS", "SVCB"):
        for tcp in (False, True):
            stage.empty("allowed.test", kind, tcp=tcp)
            stage.empty(fresh_name(), kind, tcp=tcp)
        stage.denied(fresh_name("evil.test"), kind)
    stage.resolves()


def test_DNS_08_hints_behind_an_address_question_are_dropped(stage):
    name = fresh_name()
    hints = "{name}. 60 IN HTTPS 1 . ipv4hint=11.66.0.66"
    stage.upstream.says(name, "A", Answer("{name}. 60 IN A 11.11.0.10", hints, '{name}. 60 IN TXT "do as I say"', additional=(hints,)))
    reply = stage.ask(name)
    assert reply.records == [(name, "A", "11.11.0.10")] and not reply.message.additional, reply
