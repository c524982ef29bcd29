"""DNS: the listeners themselves: whose they are, when they come and go, and what is said when they cannot be had."""
import hashlib, socket, subprocess

from harness.asker import Asker
from harness.gate import QUIET, eventually, exitgate
from harness.namespaces import GOOD
from harness.naming import LISTENERS, POLICY, fresh_name
from harness.upstream import addresses

RULES = """rules:
  - { id: wild, agents: [a1], action: allow, to: ["*.wild.test"] }
"""
ONE = "version: 1\nagents: { a1: { listen: 10.66.0.1:3128, dns: 10.66.0.1:5301 } }\n" + RULES
TWO = "version: 1\nagents: { a1: { listen: 10.66.0.1:3128, dns: 10.66.0.1:5301 }, a2: { listen: 10.66.0.1:3129, dns: 10.66.0.1:5302 } }\n" + RULES


def answers(asker, name=None):
    """The rcode of an answer, or None where nobody listens."""
    try:
        return asker.ask(name or fresh_name(), timeout=1).rcode
    except AssertionError:
        return None


def test_a_reload_opens_and_closes_the_listeners_of_agents(own_stage):
    stage = own_stage(ONE, dns=())
    first, second = (Asker(stage.bench, port=port) for port in (5301, 5302))
    assert answers(first) == "NOERROR" and answers(second) is None
    assert stage.gate.reload(TWO).returncode == 0
    assert answers(first) == "NOERROR" and answers(second) == "NXDOMAIN", "a2 has its listener, and no rule"
    assert second.ask(fresh_name(), tcp=True).rcode == "NXDOMAIN"
    assert stage.gate.reload(ONE).returncode == 0
    eventually(lambda: answers(second) is None, 5, "the listener of an agent that is gone still answers")
    assert first.ask(fresh_name(), tcp=True).addresses == [GOOD]


def test_an_agent_with_a_token_has_a_dns_listener_beside_it(own_stage):
    """The listener tells who asks, since a question carries no token."""
    digest = hashlib.sha256(b"secret").hexdigest()
    stage = own_stage(f'version: 1\nagents: {{ a1: {{ token_sha256: "{digest}", dns: 10.66.0.1:5301 }} }}\n{RULES}', dns=LISTENERS)
    assert Asker(stage.bench, port=5301).ask(fresh_name()).addresses == [GOOD]
    assert stage.ask(fresh_name()).rcode == "NXDOMAIN", "the common listener is nobody's"


def test_an_address_that_is_taken_ends_the_start(own_stage, tmp_path):
    """Over UDP or TCP alone, too: 78, the address named, and nothing left half-started."""
    stage = own_stage()
    taken = []
    with stage.bench.inside("gw"):
        taken.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        taken[0].bind(("10.66.0.1", 5391))
        taken.append(socket.create_server(("10.66.0.1", 5392)))
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    for port in (53, 5391, 5392):
        command = ("serve", "--policy", policy, "--proxy-listen", "10.66.0.1:3999", "--dns-listen", f"10.66.0.1:{port}", "--dns-upstream", "11.11.0.53",
                   "--audit-log", tmp_path / "a.jsonl", "--control", tmp_path / "c.sock")
        done = subprocess.run(stage.bench.command("gw", stage.gate.command()[4], *command), capture_output=True, text=True, timeout=10, env=QUIET)
        assert done.returncode == 78 and f"10.66.0.1:{port}" in done.stderr and "exitgate: ready" not in done.stderr, done
    for sock in taken:
        sock.close()
    stage.resolves()


def test_cluster_local_goes_upstream_where_a_forward_names_it(own_stage):
    """A cluster's own names are resolved by the cluster's resolver, when there is one and a rule lets them."""
    policy = POLICY + "  - { id: services, action: allow, to: ['*.svc.cluster.local'], allow-private: true }\n"
    stage = own_stage(policy, extra=("--dns-forward", "cluster.local=11.11.0.55"))
    stage.upstream.suffixes["svc.cluster.local"] = {"A": addresses("10.96.0.10")}
    seen = stage.upstream.mark()
    assert stage.ask("db.prod.svc.cluster.local").addresses == ["10.96.0.10"]
    assert [query.server for query in stage.upstream.since(seen)] == ["11.11.0.55"]
    without = own_stage(policy)
    seen = without.upstream.mark()
    assert without.ask("db.prod.svc.cluster.local").rcode == "NXDOMAIN"
    without.upstream.heard_nothing(seen)


def test_a_command_line_without_listeners_answers_no_names(own_stage):
    stage = own_stage(POLICY.replace("  - { id: texts, action: allow, protocol: dns, types: [TXT, MX], to: [mail.test] }\n", ""), dns=())
    assert answers(stage.asker) is None
    stage.tunnels()
    told = exitgate("check", stage.gate.policy)
    assert told.returncode == 0, told.stderr
