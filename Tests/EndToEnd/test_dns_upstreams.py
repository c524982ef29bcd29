"""Upstream resolvers: over TLS or not at all, a zone's names to its own server alone, and a dead one in nobody's way."""
import concurrent.futures, json, time

import pytest

from harness.client import connect, drain
from harness.far import Accepted, Asked
from harness.gate import eventually, exitgate
from harness.namespaces import BLACKHOLE, GOOD, RESOLVER, run
from harness.resolvers import Authority, Unbound, Wire

NAME, GOOD_PORT = "dns.resolver.test", 8853
pytestmark = pytest.mark.usefixtures("bench")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"), "bench")


@pytest.fixture
def resolve(fresh, authority, tmp_path):
    """Makes a gate with these upstreams, and unbound on whatever ports the test wants; they end with the test."""
    made = []

    def make(upstream, *extra, ports=(), ca=True):
        trust = ("--dns-upstream-ca", authority.file) if ca else ()
        trial = fresh(start=False, upstream=upstream, extra=(*trust, "--loops", "1", *extra))
        trial.wire = Wire(trial.bench)
        trial.unbound = {port: Unbound(trial.bench, tmp_path, port, certificate) for port, certificate in ports}
        made.extend([trial.wire.close, *(server.stop for server in trial.unbound.values())])
        trial.gate.start()
        return trial

    yield make
    for end in made:
        end()


def secure(port, name=NAME):
    return f"tls://{RESOLVER}:{port}#{name}"


def fails(trial, name):
    sock = trial.agent.open(8)
    sock.sendall(connect(f"{name}:443"))
    reply = drain(sock)
    assert reply.status in (502, 504) and reply.json["reason"] in ("dns-error", "dns-timeout"), reply
    return reply


def test_over_tls_a_name_is_resolved_and_never_seen(resolve, authority):
    trial = resolve([secure(GOOD_PORT)], ports=[(GOOD_PORT, authority.certificate(NAME))])
    trial.tunnels("allowed.test:443", "allowed.test")
    assert trial.unbound[GOOD_PORT].asked("allowed.test") == 1
    assert not trial.wire.shows("allowed.test")
    assert not trial.far.since(0, Asked), "the resolver on port 53 was asked too"


def test_in_the_clear_the_same_name_is_seen(resolve):
    """The positive control of the wire: it would show a name that leaked."""
    trial = resolve([RESOLVER], ca=False)
    trial.tunnels("allowed.test:443", "allowed.test")
    assert trial.wire.shows("allowed.test")


def wrong_name(authority, _):
    return authority.certificate("other.resolver.test")


def part_of_a_label(authority, _):
    return authority.certificate("d*.resolver.test")


def wrong_authority(_, directory):
    return Authority(directory, "stranger").certificate(NAME)


def expired(authority, _):
    return authority.certificate(NAME, days=-1)


@pytest.mark.parametrize("make, why", [(wrong_name, "mismatch"), (part_of_a_label, "mismatch"), (wrong_authority, "unable to get local issuer"),
                                       (expired, "expired")])
def test_a_certificate_that_is_not_good_is_as_no_server(resolve, authority, tmp_path, make, why):
    bad, good = 8854, GOOD_PORT
    trial = resolve([secure(bad)], "--dns-forward", f"wild.test={secure(good)}",
                    ports=[(bad, make(authority, tmp_path)), (good, authority.certificate(NAME))])
    fails(trial, "allowed.test")
    fails(trial, "rebind.test")
    row = upstreams(trial)[f"{RESOLVER}:{bad}"]
    assert row["state"] == "down" and row["failures"] >= 2 and "certificate is refused" in row["cause"] and why in row["cause"], row
    assert sum("certificate is refused" in line for line in trial.gate.said) == 1, trial.gate.said
    assert trial.unbound[bad].asked("allowed.test") == 0 and trial.wire.connections(bad) >= 1
    assert not trial.wire.shows("allowed.test") and not trial.far.since(0, Asked)
    trial.tunnels("a.wild.test:443", "a.wild.test")
    assert trial.unbound[good].asked("a.wild.test") == 1


def test_a_server_that_speaks_no_tls_is_never_spoken_to_in_the_clear(resolve, authority):
    # The far side's own port 853 answers whatever it gets, in the clear.
    trial = resolve([secure(853)], "--dns-forward", f"wild.test={secure(GOOD_PORT)}",
                    ports=[(GOOD_PORT, authority.certificate(NAME))])
    fails(trial, "allowed.test")
    assert Accepted(RESOLVER, 853) in trial.far.since(0, Accepted)
    assert not trial.wire.shows("allowed.test") and not trial.far.since(0, Asked)
    trial.tunnels("a.wild.test:443", "a.wild.test")


def test_a_wildcard_certificate_is_good_for_the_name(resolve, authority):
    trial = resolve([secure(GOOD_PORT)], ports=[(GOOD_PORT, authority.certificate("*.resolver.test"))])
    trial.tunnels("allowed.test:443", "allowed.test")


def test_without_the_authority_the_systems_are_believed_and_it_is_none_of_them(resolve, authority):
    trial = resolve([secure(GOOD_PORT)], ports=[(GOOD_PORT, authority.certificate(NAME))], ca=False)
    fails(trial, "allowed.test")
    assert trial.unbound[GOOD_PORT].asked("allowed.test") == 0


def test_many_names_share_one_connection_which_ends_when_idle(resolve, authority):
    trial = resolve([secure(GOOD_PORT)], ports=[(GOOD_PORT, authority.certificate(NAME))])
    before = trial.wire.connections(GOOD_PORT)
    names = [f"n{number}.wild.test" for number in range(40)]
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        list(pool.map(trial.opened, (f"{name}:443" for name in names)))
    assert all(trial.unbound[GOOD_PORT].asked(name) == 1 for name in names)
    assert trial.wire.connections(GOOD_PORT) - before == 1
    eventually(lambda: not established(trial, GOOD_PORT), 14, "the idle connection stays")
    trial.tunnels("allowed.test:443", "allowed.test")
    assert trial.wire.connections(GOOD_PORT) - before == 2


def established(trial, port):
    return run(*trial.bench.command("gw", "ss", "-Htn", "state", "established", f"( dport = :{port} )")).strip()


def timed(trial, name):
    began = time.monotonic()
    trial.opened(f"{name}:443").close()
    return time.monotonic() - began


def upstreams(trial):
    return {row["address"]: row for row in json.loads(trial.gate.tell("status", "--json").stdout)["resolver"]["upstreams"]}


def test_a_dead_first_server_is_in_the_way_of_two_questions_and_a_probe_now_and_then(resolve):
    dead = f"{BLACKHOLE}:53"
    trial = resolve([BLACKHOLE, RESOLVER], ca=False)
    for number in range(20):
        trial.far.answers(f"n{number}.wild.test", GOOD)
    assert timed(trial, "n0.wild.test") > 1.9, "the first one pays for finding it out"
    slow = [took for took in (timed(trial, f"n{number}.wild.test") for number in range(1, 20)) if took > 0.4]
    assert len(slow) <= 2 and max(slow, default=0) < 1.5, slow
    row = upstreams(trial)[dead]
    assert row["state"] == "down" and row["timeouts"] >= 2 and row["cause"] == "it does not answer", row
    assert upstreams(trial)[f"{RESOLVER}:53"]["state"] == "up" and upstreams(trial)[f"{RESOLVER}:53"]["latency_us"] > 0
    assert sum(dead in line and "asked last" in line for line in trial.gate.said) == 1, trial.gate.said
    told = trial.gate.tell("status").stdout
    assert f"{dead}, DOWN" in told and f"{RESOLVER}:53, up" in told, told


def test_a_server_that_comes_back_is_asked_again(resolve, authority):
    trial = resolve([secure(GOOD_PORT)], ports=[(GOOD_PORT, authority.certificate(NAME))])
    trial.tunnels("allowed.test:443", "allowed.test")
    trial.unbound[GOOD_PORT].stop()
    fails(trial, "gone.wild.test")
    row = upstreams(trial)[f"{RESOLVER}:{GOOD_PORT}"]
    assert row["state"] == "down" and row["transport"] == "tls" and row["certificate_name"] == NAME, row
    trial.unbound[GOOD_PORT].start()
    trial.tunnels("back.wild.test:443", "back.wild.test")
    assert upstreams(trial)[f"{RESOLVER}:{GOOD_PORT}"]["state"] == "up"
    assert any("answers again" in line for line in trial.gate.said)


def test_a_zone_is_asked_of_its_server_and_of_no_other(resolve):
    trial = resolve([RESOLVER], "--dns-forward", f"wild.test.={RESOLVER}:5301", ports=[(5301, None)], ca=False)
    trial.tunnels("a.wild.test:443", "a.wild.test")
    trial.tunnels("allowed.test:443", "allowed.test")
    assert trial.unbound[5301].asked("a.wild.test") and not trial.unbound[5301].asked("allowed.test")
    assert {event.name for event in trial.far.since(0, Asked)} == {"allowed.test"}
    trial.unbound[5301].stop()
    fails(trial, "b.wild.test")
    assert {event.name for event in trial.far.since(0, Asked)} == {"allowed.test"}, "a zone's name went elsewhere"


def test_the_servers_of_zones_are_out_of_reach(resolve):
    policy_wide = [f"{RESOLVER}:5301", f"{RESOLVER}:53", f"{RESOLVER}:853"]
    trial = resolve(["11.11.0.99"], "--dns-forward", f"corp.test={RESOLVER}:5301", ca=False)
    trial.gate.reload(trial.gate.policy.read_text() + '  - { id: wide, agents: [a1], action: allow, protocol: tcp, to: ["11.0.0.0/8"], ports: ["1-65535"] }\n')
    for destination in policy_wide:
        assert trial.agent.send(connect(destination)).status == 403, destination
    assert not trial.far.since(0, Accepted)


@pytest.mark.parametrize("words", [
    ("--dns-upstream", f"tls://{RESOLVER}"), ("--dns-upstream", "tls://dns.test#dns.test"), ("--dns-upstream", "dns.test"),
    ("--dns-forward", "10.0.0.1"), ("--dns-forward", ".=10.0.0.1"), ("--dns-forward", "bücher.test=10.0.0.1")])
def test_an_upstream_that_cannot_be_meant_is_a_wrong_command_line(binary, words, tmp_path):
    told = exitgate("serve", "--policy", tmp_path / "none.yaml", *words)
    assert told.returncode == 64 and "--dns-" in told.stderr, told
    assert exitgate("explain", "example.com:443", *words).returncode == 64


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_authorities_that_cannot_be_read_end_the_start(fresh, tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    trial = fresh(start=False, upstream=[secure(GOOD_PORT)], extra=("--dns-upstream-ca", file))
    trial.gate.start(wait=False)
    assert trial.gate.ends(10) == 78
    eventually(lambda: any("--dns-upstream-ca" in line for line in trial.gate.said), 3)
