"""DNS: an upstream that fails, waits or lies costs the names it answers for, a bounded time, and nobody else."""
import ssl, time

import pytest

from harness.asker import NETWORK, NO_AUTHORITY, opt, query, within
from harness.gate import exitgate
from harness.namespaces import GOOD, RESOLVER, run
from harness.naming import LISTENERS, POLICY, fresh_name
from harness.servers import certificates
from harness.upstream import EMPTY, SILENCE, UNKNOWN, Answer, addresses, failing


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"])
def test_an_upstream_that_refuses_is_a_failure_and_no_denial(stage, rcode):
    name = fresh_name()
    stage.upstream.says(name, "A", failing(rcode))
    with within(5):
        reply = stage.ask(name)
    assert reply.rcode == "SERVFAIL" and reply.ede and reply.ede[0] in (NO_AUTHORITY, NETWORK), reply
    stage.resolves()


def test_an_upstream_that_is_silent_costs_four_and_a_half_seconds(stage):
    name = fresh_name()
    stage.upstream.says(name, "A", SILENCE)
    seen, began = stage.upstream.mark(), time.monotonic()
    reply = stage.ask(name)
    assert reply.rcode == "SERVFAIL" and reply.ede == [NO_AUTHORITY], reply
    assert 1.5 < time.monotonic() - began < 5.0
    tries = stage.upstream.since(seen)
    assert len(tries) == 2 and {query.server for query in tries} == {RESOLVER}, f"two tries, at nobody else: {tries}"
    assert tries[0].port != tries[1].port and tries[0].id != tries[1].id
    stage.resolves()


def test_a_lost_answer_is_asked_for_again(stage):
    name = fresh_name()
    stage.upstream.says(name, "A", SILENCE, addresses(GOOD))
    with within(4):
        assert stage.ask(name).addresses == [GOOD]


def test_others_are_answered_while_one_name_waits(stage):
    waiting = [fresh_name() for _ in range(50)]
    for name in waiting:
        stage.upstream.says(name, "A", SILENCE)
    with stage.asker.datagrams() as sock:
        for number, name in enumerate(waiting):
            sock.send(query(name, id=number))
        for _ in range(20):
            with within(0.5):
                assert stage.ask(fresh_name()).addresses == [GOOD]
        sock.settimeout(6)
        assert {sock.recv(2048)[3] & 15 for _ in waiting} == {2}


def test_one_question_upstream_however_many_wait(stage):
    """Coalesced by name and type; each is answered under its own id and in its own letters."""
    name = fresh_name()
    stage.upstream.says(name, "A", Answer(f"{{name}}. 60 IN A {GOOD}", delay=0.5))
    seen = stage.upstream.mark()
    with stage.asker.datagrams() as sock:
        sock.settimeout(5)
        for number in range(200):
            sock.send(query(name.upper() if number % 2 else name, id=number))
        replies = [sock.recv(2048) for _ in range(200)]
    assert {int.from_bytes(reply[:2]) for reply in replies} == set(range(200))
    for reply in replies:
        assert reply[3] & 15 == 0 and reply[6:8] == b"\0\1"
        assert (name.split(".")[0].upper() if reply[1] % 2 else name.split(".")[0]).encode() in reply
    assert len(stage.upstream.since(seen)) == 1
    assert stage.upstream.since(seen)[0].type == "A"


def test_names_that_are_not_there_and_types_that_are_not(stage):
    """NXDOMAIN and NODATA of the upstream are its own, remembered (RFC 2308), and no denial."""
    missing, empty = fresh_name(), fresh_name()
    stage.upstream.says(missing, "A", UNKNOWN)
    stage.upstream.says(empty, "A", EMPTY)
    seen = stage.upstream.mark()
    for _ in range(3):
        gone, nothing = stage.ask(missing), stage.ask(empty)
        assert (gone.rcode, gone.ede, gone.addresses) == ("NXDOMAIN", [], []), gone
        assert (nothing.rcode, nothing.ede, nothing.addresses) == ("NOERROR", [], []), nothing
    assert len(stage.upstream.since(seen)) == 2, "asked once each"
    stage.resolves()


def test_without_recursion_only_the_policy_and_the_cache_answer(stage):
    name = fresh_name()
    seen = stage.upstream.mark()
    reply = stage.ask(name, flags=0)
    assert reply.rcode == "REFUSED" and reply.ede == [20] and stage.plain_flags(reply, rd=False), reply
    stage.upstream.heard_nothing(seen)
    stage.resolves(name)
    seen = stage.upstream.mark()
    cached = stage.ask(name, flags=0)
    assert cached.addresses == [GOOD] and stage.plain_flags(cached, rd=False)
    denial = stage.ask(fresh_name("evil.test"), flags=0)
    assert denial.rcode == "NXDOMAIN" and denial.ede == [18] and stage.plain_flags(denial, rd=False)
    stage.upstream.heard_nothing(seen)


def test_the_size_of_an_answer_is_the_clients(stage):
    many = [f"11.12.0.{number + 1}" for number in range(60)]
    stage.upstream.says("many.test", "A", addresses(*many))
    for edns, limit in ((b"", 512), (opt(512), 512), (opt(0), 512), (opt(900), 900), (opt(1232), 1232), (opt(65535), 1232)):
        reply = stage.ask("many.test", edns=edns)
        assert len(reply.wire) <= limit, (limit, reply)
        assert reply.truncated == (not reply.addresses) and (reply.truncated or len(reply.addresses) == 60), reply
        assert reply.truncated == (limit < 1000)
        assert (reply.message.edns == 0) == bool(edns)
    assert len(stage.ask("many.test", tcp=True, edns=b"").addresses) == 60


def test_ipv6_addresses_need_a_way_out(own_stage):
    with_it = own_stage()
    assert with_it.ask("allowed.test", "AAAA").addresses == ["2a0e:b107:11::10"]
    without = own_stage(start=False, dns=LISTENERS[:1])
    for address, device in (("2a0e:b107:11::1/64", "f1"), ("fd66::1/64", "f0")):
        run("ip", "-6", "-n", without.bench.names["gw"], "addr", "del", address, "dev", device)
    without.gate.start()
    without.empty("allowed.test", "AAAA")
    without.denied("evil.test", "AAAA")
    without.resolves()


# -- several upstreams

SECOND, SPLIT = "11.11.0.54", "11.11.0.55"


def test_a_second_upstream_is_asked_when_the_first_is_silent(own_stage):
    stage = own_stage(upstream=(SECOND, RESOLVER))  # nobody answers at the first
    run("ip", "-n", stage.bench.names["out"], "route", "add", "blackhole", f"{SECOND}/32", "table", "100")
    with within(5):
        assert stage.ask("allowed.test").addresses == [GOOD]
    assert len(stage.status["resolver"]["upstreams"]) == 2, stage.status["resolver"]


def test_a_zone_of_its_own_upstream_and_no_other(own_stage):
    """Split horizon: names of the zone go to its upstream and nowhere else, not even when that fails."""
    policy = POLICY + "  - { id: corp, action: allow, to: ['*.corp.test'], allow-private: true }\n"
    stage = own_stage(policy, extra=("--dns-forward", f"corp.test={SPLIT}", "--dns-forward", f"dark.corp.test={SECOND}"))
    stage.upstream.suffixes["corp.test"] = {"A": addresses(GOOD)}
    seen = stage.upstream.mark()
    stage.ask("a.corp.test"), stage.ask("notcorp.wild.test")
    servers = {query.name: query.server for query in stage.upstream.since(seen)}
    assert servers["a.corp.test"] == SPLIT and servers["notcorp.wild.test"] == RESOLVER, servers
    run("ip", "-n", stage.bench.names["out"], "route", "add", "blackhole", f"{SECOND}/32", "table", "100")
    seen = stage.upstream.mark()
    reply = stage.ask("b.dark.corp.test")
    assert reply.rcode == "SERVFAIL" and reply.ede
    stage.upstream.heard_nothing(seen)
    stage.denied("corp.test.evil.test")


# -- over TLS

@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    directory = tmp_path_factory.mktemp("identity")
    certificates(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem", directory / "server.key")
    return directory / "ca.pem", context


def test_an_upstream_over_tls_is_checked_by_certificate_and_name(own_stage, identity):
    ca, context = identity
    stage = own_stage(upstream=(f"tls://{RESOLVER}:853#web.test",), extra=("--dns-upstream-ca", str(ca)), tls=context)
    seen = stage.upstream.mark()
    assert stage.ask("allowed.test").addresses == [GOOD]
    assert [query.transport for query in stage.upstream.since(seen)] == ["tls"]
    for _ in range(20):
        stage.ask(fresh_name())
    assert {query.transport for query in stage.upstream.since(seen)} == {"tls"}
    assert len({query.port for query in stage.upstream.since(seen)}) < 10, "connections are used again"
    stage.denied(fresh_name("evil.test"))


@pytest.mark.parametrize("name, trusted", [("other.test", True), ("web.test", False)])
def test_an_upstream_that_cannot_prove_its_name_is_told_nothing(own_stage, identity, name, trusted):
    ca, context = identity
    extra = ("--dns-upstream-ca", str(ca)) if trusted else ()
    stage = own_stage(upstream=(f"tls://{RESOLVER}:853#{name}",), extra=extra, tls=context)
    seen = stage.upstream.mark()
    with within(5):
        reply = stage.ask("allowed.test")
    assert reply.rcode == "SERVFAIL" and reply.ede, reply
    stage.upstream.heard_nothing(seen)  # neither over TLS nor, as a way out, in the clear
    stage.denied(fresh_name("evil.test"))


def test_wrong_flags_are_told_before_anything_is_bound(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nrules: []\n")
    wrong = [("--dns-listen", "10.66.0.1"), ("--dns-listen", "host.test:53"), ("--dns-upstream", "resolver.test"), ("--dns-upstream", "tls://11.11.0.53"),
             ("--dns-upstream", "https://11.11.0.53"), ("--dns-forward", "corp.test"), ("--dns-forward", "corp.test=resolver.test"),
             ("--dns-rate", "-1"), ("--dns-rate", "many"), ("--dns-answers", "false"), ("--dns-upstream-ca", str(tmp_path / "none.pem"))]
    for flag, value in wrong:
        done = exitgate("serve", "--policy", policy, "--audit-log", tmp_path / "a.jsonl", "--control", tmp_path / "c", f"{flag}={value}", timeout=5)
        assert done.returncode in (64, 66, 69, 78) and (value in done.stderr or flag in done.stderr), (flag, value, done.returncode, done.stderr)
        assert "ready" not in done.stderr
