"""DNS: real clients and real upstreams. Each client resolves what it may, is told no at once, and never stalls."""
import sys

import pytest

from harness.asker import within
from harness.namespaces import GOOD, GOOD6, run
from harness.naming import fresh_name
from harness.programs import CARES, DNSPYTHON, KUBERNETES, PLAIN, dnsmasq, found, go_client, musl_client, nsd, run_in, unbound


def needs(*programs):
    missing = [program for program in programs if found(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{' '.join(missing)} is not installed")


def said(stage, *command, status=None, **options):
    done = run_in(stage.bench, "agent", *command, **options)
    assert status is None or done.returncode == status, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout


# -- tools

@needs("dig")
def test_dig(stage):
    server = "@10.66.0.1"
    assert said(stage, "dig", server, "allowed.test", "+short", status=0).split() == [GOOD]
    assert said(stage, "dig", server, "allowed.test", "AAAA", "+short", "+tcp").split() == [GOOD6]
    assert said(stage, "dig", "@fd66::1", "allowed.test", "+short").split() == [GOOD]
    for flags in ("+edns=0", "+noedns", "+cookie", "+nocookie", "+nsid", "+subnet=10.0.0.0/8", "+dnssec", "+padding=128", "+keepalive", "+bufsize=512",
                  "+cdflag", "+adflag", "+ednsopt=65001:deadbeef", "+ednsflags=0x4000"):
        answer = said(stage, "dig", server, "allowed.test", flags)
        assert "status: NOERROR" in answer and f"\tA\t{GOOD}" in answer, (flags, answer)
        assert "WARNING" not in answer and "malformed" not in answer.lower(), (flags, answer)
    assert "status: NOERROR" in said(stage, "dig", server, "allowed.test", "+norec"), "it is cached by now"
    denied = said(stage, "dig", server, "x.evil.test")
    assert "status: NXDOMAIN" in denied and "EDE: 18" in denied and "SOA\t. . " in denied, denied
    assert "EDE: 15" in said(stage, "dig", server, "bad.wild.test")
    assert "status: REFUSED" in said(stage, "dig", server, fresh_name(), "+norec")
    assert "status: REFUSED" in said(stage, "dig", server, "allowed.test", "AXFR") or "Transfer failed" in said(stage, "dig", server, "allowed.test", "AXFR")
    assert "BADVERS" in said(stage, "dig", server, "allowed.test", "+edns=1", "+noednsneg")
    assert said(stage, "dig", server, "-x", GOOD, "+short") == ""
    for kind in ("TXT", "MX", "HTTPS", "SVCB", "SOA", "ANY", "CAA", "DNSKEY"):
        assert "status: NOERROR" in said(stage, "dig", server, "allowed.test", kind), kind


@needs("kdig")
def test_kdig(stage):
    assert said(stage, "kdig", "@10.66.0.1", "allowed.test", "+short", status=0).split() == [GOOD]
    for flags in (["+tcp"], ["+edns"], ["+padding"], ["+cookie"], ["+nsid"], ["+bufsize=512"], ["+tcp", "+keepopen"]):
        answer = said(stage, "kdig", "@10.66.0.1", "allowed.test", *flags, status=0)
        assert "status: NOERROR" in answer and GOOD in answer and "WARNING" not in answer, (flags, answer)
    denied = said(stage, "kdig", "@10.66.0.1", "x.evil.test", "+edns")
    assert "status: NXDOMAIN" in denied and "Prohibited" in denied, denied
    both = said(stage, "kdig", "@10.66.0.1", "+tcp", "+keepopen", "allowed.test", "A", "allowed.test", "AAAA")
    assert GOOD in both and GOOD6 in both


@needs("delv")
def test_delv(stage):
    """Without validation: the gate forwards no DNSSEC, and says so by having none."""
    answer = said(stage, "delv", "@10.66.0.1", "-i", "allowed.test", "A", status=0)
    assert GOOD in answer, answer
    assert "ncache nxdomain" in run_in(stage.bench, "agent", "delv", "@10.66.0.1", "-i", "x.evil.test").stderr.lower() + said(
        stage, "delv", "@10.66.0.1", "-i", "x.evil.test").lower()


@needs("drill")
def test_drill(stage):
    for flags in ([], ["-t"], ["-D"], ["-b", "512"]):
        answer = said(stage, "drill", *flags, "@10.66.0.1", "allowed.test", status=0)
        assert GOOD in answer and "rcode: NOERROR" in answer, (flags, answer)
    assert "rcode: NXDOMAIN" in said(stage, "drill", "@10.66.0.1", "x.evil.test")


# -- resolvers of programs; each prints what it found, one a line

def glibc(name):
    return ("getent", "ahosts", name)


def musl(name):
    return (str(musl_client()), name)


def go(name):
    return (str(go_client()), name)


def cares(name):
    return (sys.executable, "-c", CARES, name)


def dnspython(name):
    return (sys.executable, "-c", DNSPYTHON, name, "A", "AAAA")


CLIENTS = [pytest.param(glibc, marks=needs("getent")), pytest.param(musl, marks=needs("musl-gcc")), pytest.param(go, marks=needs("go")),
           pytest.param(cares), pytest.param(dnspython)]

LIMITS = {cares: 1.9, dnspython: 1.9}  # seconds; their interpreter starts as well. A stall is two seconds or five.


@pytest.fixture(scope="module", autouse=True)
def built():
    """Outside the clocks of the tests."""
    for program, build in (("musl-gcc", musl_client), ("go", go_client)):
        if found(program):
            build()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("resolv_conf", [PLAIN, KUBERNETES], ids=["plain", "kubernetes"])
def test_a_resolver_finds_what_it_may_and_is_told_no_at_once(stage, client, resolv_conf):
    """With three search suffixes and ndots:5 as well: neither an allowed nor a denied name stalls."""
    seen = stage.upstream.mark()
    for name in ("allowed.test", fresh_name(), "allowed.test."):
        with within(LIMITS.get(client, 1)):
            done = run_in(stage.bench, "agent", *client(name), resolv_conf=resolv_conf)
        assert done.returncode == 0 and {GOOD, GOOD6} == {line.split()[0] for line in done.stdout.splitlines()}, (name, done.stdout, done.stderr)
    for name in ("x.evil.test", "bad.wild.test", "evil", "kubernetes.default"):
        with within(LIMITS.get(client, 1)):
            done = run_in(stage.bench, "agent", *client(name), resolv_conf=resolv_conf)
        assert done.returncode != 0 and GOOD not in done.stdout, (name, done.stdout)
    asked = {query.name for query in stage.upstream.since(seen)}
    assert all(name.endswith(("allowed.test", ".wild.test")) and "cluster" not in name for name in asked), asked


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.values[0] is not musl])
def test_a_resolver_takes_a_large_answer_over_tcp(stage, client):
    """All but musl, which asks over TCP since 1.2.4 alone."""
    many = {f"11.12.0.{number + 1}" for number in range(60)}
    stage.upstream.holds("many.test", *sorted(many), GOOD6)
    done = run_in(stage.bench, "agent", *client("many.test"))
    got = {line.split()[0] for line in done.stdout.splitlines()} - {GOOD6}
    assert got and got <= many and len(got) >= 40, (len(got), done.stdout, done.stderr)


def test_a_name_with_one_family_is_found(stage):
    only4, only6 = fresh_name(), fresh_name()
    stage.upstream.holds(only4, GOOD)
    stage.upstream.holds(only6, GOOD6)
    for client in (glibc, musl, go, cares):
        if not any(found(program) is None for program in {musl: ("musl-gcc",), go: ("go",)}.get(client, ())):
            for name, address in ((only4, GOOD), (only6, GOOD6)):
                with within(LIMITS.get(client, 1)):
                    done = run_in(stage.bench, "agent", *client(name), resolv_conf=KUBERNETES)
                assert {line.split()[0] for line in done.stdout.splitlines()} == {address}, (client, done.stdout, done.stderr)


def test_curl_through_the_names_of_the_gate(stage):
    """The proxy and the listener agree: what resolves is what may be connected to."""
    done = run_in(stage.bench, "agent", "curl", "-sS", "-m", "5", "-x", "http://10.66.0.1:3130", "http://plain.test/")
    assert "origin" in done.stdout, done.stderr
    done = run_in(stage.bench, "agent", "curl", "-sS", "-m", "5", "--noproxy", "*", "http://x.evil.test/")
    assert done.returncode == 6, "could not resolve host"


# -- upstreams

ADDRESS = "11.11.0.54"
ZONE = f"""$ORIGIN test.
$TTL 300
@ IN SOA ns root 1 3600 600 86400 60
@ IN NS ns
ns IN A {ADDRESS}
allowed IN A {GOOD}
allowed IN AAAA {GOOD6}
allowed IN TXT "not for you"
cn IN CNAME allowed
*.wild IN A {GOOD}
a.b.c IN A {GOOD}
mail IN TXT "v=spf1 -all"
mail IN MX 10 allowed
{chr(10).join(f"many IN A 11.12.0.{number + 1}" for number in range(60))}
"""


def started(kind, bench, directory):
    if kind == "nsd":
        return nsd(bench, "out", directory, ADDRESS, ZONE)
    if kind == "unbound":
        records = [line for line in ZONE.splitlines() if " IN " in line and not line.startswith(("@", "*", "cn"))]
        lines = [f"local-data: '{owner}.test. 300 {rest}'" for owner, rest in (line.replace(" 10 allowed", " 10 allowed.test.").split(" ", 1) for line in records)]
        more = 'local-zone: "test." static\n  local-zone: "wild.test." redirect\n  local-data: "wild.test. 300 IN A 11.11.0.10"\n  ' + "\n  ".join(lines)
        return unbound(bench, "out", directory, ADDRESS, more=more + '\n  local-data: "cn.test. 300 IN CNAME allowed.test."')
    records = [f"--address=/wild.test/{GOOD}", f"--host-record=allowed.test,{GOOD},{GOOD6},300", "--cname=cn.test,allowed.test", "--txt-record=mail.test,v=spf1 -all",
               "--local=/test/", *(f"--host-record=many.test,11.12.0.{number + 1},300" for number in range(60)), "--mx-host=mail.test,allowed.test,10"]
    return dnsmasq(bench, "out", directory, ADDRESS, *records)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=needs(kind)) for kind in ("unbound", "nsd", "dnsmasq")])
def test_real_upstreams(kind, own_stage, tmp_path):
    stage = own_stage(scripted=False, upstream=(ADDRESS,), start=False)
    run("ip", "-n", stage.bench.names["out"], "addr", "add", f"{ADDRESS}/16", "dev", "o0")
    server = started(kind, stage.bench, tmp_path / kind)
    try:
        stage.gate.start()
        assert stage.ask("allowed.test").addresses == [GOOD]
        assert stage.ask("allowed.test", "AAAA").addresses == [GOOD6]
        for _ in range(20):
            assert stage.ask(fresh_name()).addresses == [GOOD]
        assert stage.ask("cn.test").records[0] == ("cn.test", "CNAME", "allowed.test")
        assert stage.ask("cn.test").addresses == [GOOD]
        assert len(stage.ask("many.test", tcp=True).addresses) == 60
        assert stage.ask("mail.test", "TXT").records == [("mail.test", "TXT", '"v=spf1 -all"')]
        assert [value.lower() for _, _, value in stage.ask("mail.test", "MX").records] == ["10 allowed.test"]
        assert not stage.ask("allowed.test", "TXT").message.answer
        missing = stage.ask("rebind.test")
        assert missing.rcode == "NXDOMAIN" and not missing.ede, missing
        stage.is_denial(stage.ask("x.evil.test"))
        with within(2):
            assert stage.trial.agent.send(b"CONNECT allowed.test:443 HTTP/1.1\r\nHost: allowed.test\r\n\r\n", timeout=1).raw.startswith(b"HTTP/1.1 200")
    finally:
        server.stop()
