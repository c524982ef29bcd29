"""DNS: addresses in answers pass the same floor as addresses that are dialled, and open nothing by being looked up."""
import ipaddress, socket, threading

import pytest

from harness.asker import FILTERED
from harness.client import client_hello, connect, drain, read_head
from harness.far import Accepted
from harness.namespaces import EVIL, GOOD, GOOD6, RESOLVER
from harness.naming import fresh_name
from harness.upstream import EMPTY, UNKNOWN, Answer, addresses

SPECIAL = ["169.254.169.254", "100.100.100.200", "168.63.129.16", "127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "10.0.0.5", "172.16.0.1",
           "192.168.1.1", "100.64.0.1", "192.0.2.1", "198.18.0.1", "198.19.255.255", "240.0.0.1", "10.66.0.1", "11.11.0.1"]
SPECIAL6 = ["::1", "::", "fd00:ec2::254", "fe80::1", "fd66::1", "ff02::1", "2001:db8::1", "::ffff:169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:5601:5601", "::a9fe:a9fe", "2a0e:b107:11:0:0:5efe:7f00:1", "fec0::1"]


@pytest.mark.parametrize("address", SPECIAL + SPECIAL6)
def test_DNS_20_an_inner_address_is_taken_out_and_said_to_be(stage, address):
    name, kind, written = fresh_name(), "AAAA" if ":" in address else "A", stage.log.mark()
    stage.upstream.holds(name, address)
    reply = stage.empty(name, kind, ede=FILTERED, forwarded=1)
    assert address not in reply.wire.decode("latin-1")
    record = stage.recorded(written, verdict="deny", reason="rebinding", question=name)
    assert record.address in (canonical(address), ipaddress.ip_address(address).compressed), record.line
    stage.empty(name, kind, ede=FILTERED)  # from the cache as well
    stage.trial.denied(connect(f"{name}:443"), reason=reason_of(address), resolves=True)
    stage.resolves()


def canonical(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_ntop(family, socket.inet_pton(family, address))


def reason_of(address):
    if address in ("10.66.0.1", "11.11.0.1", "fd66::1"):
        return "self-address"
    private = ("10.", "172.16.", "192.168.", "100.64.", "192.0.2.", "198.1", "240.", "2001:db8", "fec0")
    return "private-address" if address.startswith(private) else "special-address"


def test_DNS_20_behind_an_alias_too(stage):
    name = fresh_name()
    stage.upstream.says(name, "A", Answer("{name}. 60 IN CNAME inner.test.", "inner.test. 60 IN A 169.254.169.254"))
    reply = stage.ask(name)
    assert not reply.addresses and reply.ede == [FILTERED], reply
    stage.resolves()


def test_DNS_20_a_private_address_where_the_rule_allows_it(own_stage):
    stage = own_stage("version: 1\nrules:\n  - { id: lan, action: allow, to: [lan.test, meta.test], allow-private: true }\n"
                      "  - { id: wild, action: allow, to: ['*.wild.test'] }\n")
    stage.upstream.holds("lan.test", "10.0.0.5")
    assert stage.ask("lan.test").addresses == ["10.0.0.5"]
    stage.upstream.holds("meta.test", "169.254.169.254")
    stage.empty("meta.test", "A", ede=FILTERED, forwarded=1)
    other = fresh_name()
    stage.upstream.holds(other, "10.0.0.5")
    stage.empty(other, "A", ede=FILTERED, forwarded=1)
    stage.resolves()


def test_DNS_21_rebinding_between_two_answers(stage):
    """The listener's answer and the proxy's own lookup are each judged; nothing inner is ever dialled."""
    for kind in ("A", "AAAA"):
        stage.upstream.says("rebind.test", kind, *[addresses(GOOD, ttl=0), addresses("169.254.169.254", ttl=0)] * 20 if kind == "A" else [EMPTY])
    seen, outcomes = stage.far.mark(), []

    def tunnel():
        with stage.trial.agent.open() as sock:
            sock.sendall(connect("rebind.test:443"))
            outcomes.append(read_head(sock).status)

    for _ in range(5):
        stage.ask("rebind.test")
        threads = [threading.Thread(target=tunnel) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert len(outcomes) == 50 and set(outcomes) <= {200, 403}, outcomes
    assert {event.address for event in stage.far.since(seen, Accepted)} <= {GOOD}
    stage.resolves()


MIXED = [(GOOD, "169.254.169.254"), ("169.254.169.254", GOOD), ("11.11.99.99", "169.254.169.254", GOOD), (GOOD, "::1"), ("127.0.0.1", GOOD, "fd00:ec2::254")]


@pytest.mark.parametrize("values", MIXED)
def test_DNS_22_mixed_answers_lose_what_is_inner(stage, values):
    name = fresh_name()
    stage.upstream.holds(name, *values)
    for kind in ("A", "AAAA"):
        for _ in range(2):
            left = stage.ask(name, kind).addresses
            assert set(left) <= {GOOD, "11.11.99.99"}, left
            assert kind == "AAAA" or GOOD in left or left == [], left
    seen = stage.far.mark()
    stage.trial.agent.send(connect(f"{name}:443"), timeout=1)
    assert {event.address for event in stage.far.since(seen, Accepted)} <= {GOOD, "11.11.99.99"}
    stage.resolves()


def test_DNS_23_a_lookup_opens_no_address(stage):
    """An allowed and a denied name share an address: having resolved the one opens nothing to the other."""
    stage.upstream.holds("evil.test", GOOD)
    assert stage.ask("allowed.test").addresses == [GOOD]
    stage.denied("evil.test")
    stage.trial.denied(connect("evil.test:443"), reason="no-rule")
    stage.trial.denied(connect(f"{GOOD}:443"), reason="no-rule")
    stage.trial.denied(connect(f"{GOOD}:80"), reason="no-rule")
    seen = stage.far.mark()
    with stage.trial.opened("allowed.test:443") as sock:  # the same address under another name inside
        sock.sendall(client_hello("evil.test"))
        sock.settimeout(3)
        assert not drain(sock).raw
    assert [event.address for event in stage.far.since(seen, Accepted)] == [GOOD6]
    stage.tunnels()


def test_DNS_26_a_rule_whose_name_has_no_address_matches_none(stage):
    nowhere = fresh_name()
    stage.upstream.says(nowhere, "A", UNKNOWN)
    stage.upstream.says(nowhere, "AAAA", UNKNOWN)
    assert stage.ask(nowhere).rcode == "NXDOMAIN"
    seen = stage.far.mark()
    reply = stage.trial.agent.send(connect(f"{nowhere}:443"))
    assert reply.status == 502, reply
    assert not stage.far.since(seen, Accepted)
    for literal in (EVIL, GOOD):
        stage.trial.denied(connect(f"{literal}:8080"), reason="no-rule")
    stage.resolves()


def test_DNS_27_names_are_absolute(own_stage):
    """The gate's own search list is no part of a name, single labels are names like any, and nothing else is looked into."""
    policy = "version: 1\nrules:\n  - { id: wild, action: allow, to: ['*.wild.test', allowed, allowed.test] }\n"
    stage = own_stage(policy, resolv_conf=f"search evil.test corp.test\noptions ndots:5\nnameserver {RESOLVER}\n", upstream=())
    with stage.bench.inside("agent"):
        ears = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for sock, port in zip(ears, (5353, 5355)):
        sock.bind(("", port))
        group = "224.0.0.251" if port == 5353 else "224.0.0.252"
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton("10.66.0.2"))
        sock.settimeout(0.3)
    seen = stage.upstream.mark()
    missing = fresh_name()
    stage.upstream.says(missing, "A", UNKNOWN)
    assert stage.ask(missing).rcode == "NXDOMAIN"
    stage.ask("allowed"), stage.ask("allowed.test")
    for name in (missing, "allowed"):
        assert stage.trial.agent.send(connect(f"{name}:443")).status in (502, 403)
    asked = {query.name for query in stage.upstream.since(seen)}
    assert asked <= {missing, "allowed", "allowed.test"}, asked
    for sock in ears:
        with sock, pytest.raises(TimeoutError):
            sock.recv(2048)
    stage.resolves()


SEARCHED = ["{name}.default.svc.cluster.local", "{name}.svc.cluster.local", "{name}.cluster.local", "{name}.prod-1.svc.cluster.local"]


@pytest.mark.parametrize("tried", SEARCHED)
def test_DNS_27_a_search_list_ends_here(stage, tried):
    """What a resolver with a Kubernetes search list tries first is answered at once, and never asked upstream."""
    name = tried.format(name=fresh_name())
    for kind in ("A", "AAAA"):
        seen = stage.upstream.mark()
        reply = stage.ask(name, kind)
        assert reply.rcode == "NXDOMAIN" and not reply.message.answer
        stage.upstream.heard_nothing(seen)
    stage.denied("kubernetes.default.svc.cluster.local", recorded=False)
    stage.resolves()


def test_DNS_27_noise_of_a_search_list_is_told_apart_in_the_log(stage):
    written, name = stage.log.mark(), fresh_name() + ".svc.cluster.local"
    stage.ask(name)
    assert stage.recorded(written, question=name).reason == "search-suffix"
    written, secret = stage.log.mark(), "stolen.evil.test.svc.cluster.local"
    stage.ask(secret)
    assert stage.recorded(written, question=secret).reason == "no-rule", "what could not be resolved by itself is no noise"
