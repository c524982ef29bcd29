"""DNS: iodine and dns2tcp, as their packages ship them, against a policy that knows them not and one that lets their names through."""
import socket, subprocess, threading, time

import pytest

from harness.namespaces import GOOD, RESOLVER
from harness.naming import POLICY, fresh_name
from harness.programs import PATHS, Daemon, found, unbound
from harness.upstream import by_hand

TUNNEL = "t.wild.test"
PASSWORD = "bench"
CLOSED = POLICY.replace('  - { id: wild, action: allow, to: ["*.wild.test"], limits: { dns-labels: none } }\n', "")
OPEN = POLICY.replace(", limits: { dns-labels: none }", "")
OPEN_TEXT = OPEN + "  - { id: text, action: allow, protocol: dns, types: [TXT, SRV, MX], to: ['*.wild.test'] }\n"

pytestmark = pytest.mark.skipif(not (found("iodined") and found("dns2tcpd")), reason="iodine or dns2tcp is not installed")


def relayed(bench, port):
    """Hands each query to a server of the far side's loopback, and its answer back."""
    def ask(query):
        with bench.inside("out"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(6)
            sock.sendto(query.raw, ("127.0.0.1", port))
            try:
                return [sock.recv(65535)]
            except TimeoutError:
                return []
    answer = by_hand(ask)
    answer.slow = True
    return answer


@pytest.fixture
def tunnel(own_stage, tmp_path):
    """A gate, and the far end of a tunnel as the authority for its domain; what the far end is asked is seen by the upstream."""
    daemons = []

    def make(policy, kind):
        stage = own_stage(policy)
        if kind == "iodine":
            server = Daemon(stage.bench, "out", found("iodined"), "-f", "-c", "-P", PASSWORD, "-l", "127.0.0.1", "-p", "5354", "10.99.0.1/24", TUNNEL)
        else:
            (tmp_path / "dns2tcpd").write_text(f"listen = 127.0.0.1\nport = 5354\nuser = root\nchroot = {tmp_path}\ndomain = {TUNNEL}\n"
                                               f"key = {PASSWORD}\nresources = web:{GOOD}:80\n")
            server = Daemon(stage.bench, "out", found("dns2tcpd"), "-F", "-d", "1", "-f", tmp_path / "dns2tcpd")
        daemons.append(server)
        server.ready(lambda: b":14EA" in udp_sockets(stage.bench), 10)  # 5354
        stage.upstream.suffixes = {TUNNEL: {"*": relayed(stage.bench, 5354)}}
        return stage

    yield make
    for server in daemons:
        server.stop()


def udp_sockets(bench):
    return subprocess.run(bench.command("out", "cat", "/proc/net/udp"), capture_output=True, timeout=5).stdout


def iodine(stage, *mode, seconds=12, say=None):
    """Runs the client for a while; what it printed, and whether a tunnel stood."""
    client = subprocess.Popen(stage.bench.command("agent", found("iodine"), "-f", "-r", "-P", PASSWORD, *mode, "10.66.0.1", TUNNEL), env={"PATH": PATHS},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    timer = threading.Timer(seconds, client.terminate)
    timer.start()
    if say:
        say(client)
    output = client.communicate(timeout=seconds + 10)[0].decode("utf-8", "replace")
    timer.cancel()
    return output, "Connection setup complete" in output


MODES = [(), ("-T", "NULL"), ("-T", "TXT"), ("-T", "CNAME"), ("-T", "A"), ("-T", "SRV"), ("-T", "MX")]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode[-1] if mode else "default")
def test_DNS_09_iodine_fails_before_a_policy_that_does_not_name_its_domain(tunnel, mode):
    stage = tunnel(CLOSED, "iodine")
    seen = stage.upstream.mark()
    output, stood = iodine(stage, *mode, seconds=8)
    assert not stood, output
    stage.upstream.heard_nothing(seen)
    assert [entry for entry in stage.log.entries() if entry.layer == "dns" and entry.verdict == "deny"], "it was tried"
    assert stage.ask("allowed.test").addresses == [GOOD]


@pytest.mark.parametrize("mode", [("-T", "NULL"), ("-T", "TXT"), ("-T", "SRV"), ("-T", "MX"), ("-T", "PRIVATE")], ids=lambda mode: mode[-1])
def test_DNS_09_iodine_finds_no_records_of_its_types_even_where_its_domain_is_allowed(tunnel, mode):
    stage = tunnel(OPEN, "iodine")
    seen = stage.upstream.mark()
    output, stood = iodine(stage, *mode, seconds=8)
    assert not stood, output
    stage.upstream.heard_nothing(seen)
    assert stage.ask("allowed.test").addresses == [GOOD]


def test_DNS_09_the_tunnels_do_carry_data_through_a_resolver_without_a_policy(own_stage, tunnel, tmp_path):
    """The control of this file: it is the gate that stops them, not the bench."""
    for kind in ("iodine", "dns2tcp"):
        stage = tunnel(CLOSED, kind)
        stage.gate.stop()
        resolver = unbound(stage.bench, "gw", tmp_path / f"open-{kind}", "10.66.0.1", forward=RESOLVER, more='local-zone: "test." transparent')
        try:
            assert iodine(stage, seconds=8)[1] if kind == "iodine" else dns2tcp(stage, "TXT", 10)
        finally:
            resolver.stop()


def over_budget(stage, seconds=20):
    """The alert, and the denial that follows it; both name what was spent and by whom."""
    alert = stage.log.wait_for(0, layer="dns", verdict="allow", reason="dns-budget", seconds=seconds)[0]
    assert alert.agent == "default" and "wild.test" in (alert.detail or "") and "4" in alert.detail, alert.line
    denied = stage.log.wait_for(0, layer="dns", verdict="deny", reason="dns-budget", seconds=seconds)[0]
    assert denied.agent == "default", denied.line
    return alert


@pytest.mark.parametrize("policy, mode", [(OPEN, ()), (OPEN, ("-T", "CNAME")), (OPEN, ("-T", "A")), (OPEN_TEXT, ("-T", "TXT"))], ids=["default", "CNAME", "A", "TXT"])
def test_DNS_09_iodine_spends_the_budget_where_its_domain_is_allowed(tunnel, policy, mode):
    """Its handshake alone, and pings through what it opened, come to more than any client needs."""
    stage = tunnel(policy, "iodine")

    def traffic(client):
        while client.poll() is None:
            flood(stage)
            if any(entry.reason == "dns-budget" and entry.verdict == "deny" for entry in stage.log.entries()):
                client.terminate()

    iodine(stage, *mode, seconds=40, say=traffic)
    over_budget(stage)
    seen = stage.upstream.mark()
    stage.is_denial(stage.ask(fresh_name(TUNNEL)))
    stage.upstream.heard_nothing(seen)
    assert stage.ask("allowed.test").addresses == [GOOD], "the rest goes on"
    assert sum(len(query.name) for query in stage.upstream.since(0) if query.name.endswith(TUNNEL)) < 3 * 8192


def flood(stage):
    """Something to carry, once the tunnel stands."""
    with stage.bench.inside("agent"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(10):
            try:
                sock.sendto(bytes(range(256)) * 3, ("10.99.0.1", 9))
            except OSError:
                break
            time.sleep(0.02)
    time.sleep(0.1)


def dns2tcp(stage, kind, seconds=12):
    """Runs the client, speaks a line into the tunnel, and says whether anything came back."""
    client = subprocess.Popen(stage.bench.command("agent", found("dns2tcpc"), "-c", "-k", PASSWORD, "-z", TUNNEL, "-r", "web", "-l", "8888", "-T", kind, "10.66.0.1"),
                              env={"PATH": PATHS}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    answered, deadline = b"", time.monotonic() + seconds
    try:
        while time.monotonic() < deadline and client.poll() is None and not answered:
            time.sleep(0.3)
            with stage.bench.inside("agent"), socket.socket() as sock:
                sock.settimeout(max(0.1, min(4, deadline - time.monotonic())))
                try:
                    sock.connect(("127.0.0.1", 8888))
                    sock.sendall(b"GET /" + b"x" * 6000 + b" HTTP/1.1\r\nHost: plain.test\r\nConnection: close\r\n\r\n")
                    answered = sock.recv(4096)
                except OSError:
                    pass
    finally:
        client.terminate()
        client.communicate(timeout=5)
    return answered


@pytest.mark.parametrize("kind", ["TXT", "KEY"])
@pytest.mark.parametrize("policy", [CLOSED, OPEN], ids=["denied", "wildcard"])
def test_DNS_09_dns2tcp_fails_where_nobody_opened_its_types(tunnel, policy, kind):
    stage = tunnel(policy, "dns2tcp")
    seen = stage.upstream.mark()
    assert not dns2tcp(stage, kind, 6)
    stage.upstream.heard_nothing(seen)
    assert [entry for entry in stage.log.entries() if entry.layer == "dns" and entry.verdict == "deny"], "it was tried"
    assert stage.ask("allowed.test").addresses == [GOOD]


def test_DNS_09_dns2tcp_says_what_no_name_has_even_where_a_rule_opened_its_type(tunnel):
    """Its labels hold an equals sign, so its questions end before any budget is spent."""
    stage = tunnel(OPEN_TEXT, "dns2tcp")
    seen, written = stage.upstream.mark(), stage.log.mark()
    assert not dns2tcp(stage, "TXT", 6)
    stage.upstream.heard_nothing(seen)
    raw = [entry.host_raw for entry in stage.log.entries(written) if entry.reason == "malformed-request"]
    assert any(host and "=" in host for host in raw), raw
    assert stage.ask("allowed.test").addresses == [GOOD]
