"""The semantics table of the policy language: `exitgate explain` and the running gate give the same answer, row by row."""
import json

import pytest

from harness.client import client_hello, connect, get, read_head
from harness.gate import exitgate
from harness.namespaces import GOOD

POLICY = """version: 1
agents: { a1: { listen: 10.66.0.1:3128 }, a2: { listen: 10.66.0.1:3129 } }
rules:
  - { id: exact, action: allow, to: [one.test, bücher.test] }
  - { id: below, action: allow, to: ["*.below.test"] }
  - { id: whole, action: allow, to: ["**.whole.test"] }
  - { id: block, action: allow, to: [11.11.0.0/24] }
  - { id: inner, action: deny, to: [11.11.0.66/32] }
  - { id: ports, action: allow, to: [ports.test], ports: [443, "8440-8443"] }
  - { id: mine, action: allow, agents: [a1], to: [mine.test] }
  - { id: plain, action: allow, protocol: http, to: [plain.test], ports: [80, 8080] }
  - { id: paths, action: allow, protocol: http, to: [paths.test], ports: [80, 8080], http: [{ methods: [GET, HEAD], path: "/repository/**" }] }
  - { id: opaque, action: allow, protocol: tcp, to: [db.test], ports: [5432] }
  - { id: no, action: deny, to: [no.whole.test] }
  - { id: wide-ask, action: ask, to: ["**.person.test"] }
  - { id: narrow, action: allow, to: [known.person.test] }
  - { id: gone, action: allow, to: [gone.test], expires: 2020-01-01T00:00:00Z }
  - { id: inside, action: allow, to: [inside.test, 10.9.0.0/16], allow-private: true }
  - { id: home, action: allow, to: [home.test], ports: [8443], allow-loopback: true }
"""

# row of the table, protocol, destination, answer, reason, rule
ROWS = [
    (1, "https", "ONE.test.:443", "allow", "rule", "exact"), (1, "https", "xn--bcher-kva.test:443", "allow", "rule", "exact"),
    (2, "https", "one.test:443", "allow", "rule", "exact"), (2, "https", "a.one.test:443", "deny", "no-rule", None),
    (2, "https", "a.below.test:443", "allow", "rule", "below"), (2, "https", "a.b.below.test:443", "allow", "rule", "below"),
    (2, "https", "below.test:443", "deny", "no-rule", None), (2, "https", "xbelow.test:443", "deny", "no-rule", None),
    (2, "https", "whole.test:443", "allow", "rule", "whole"), (2, "https", "a.whole.test:443", "allow", "rule", "whole"),
    (3, "https", "11.11.0.10:443", "allow", "rule", "block"), (3, "https", "11.11.1.10:443", "deny", "no-rule", None),
    (3, "https", "named.test:443", "deny", "no-rule", None),
    (4, "https", "ports.test:8443", "allow", "rule", "ports"), (4, "https", "ports.test:8444", "deny", "no-rule", None),
    (4, "http", "plain.test:8080", "allow", "rule", "plain"), (4, "http", "one.test:80", "deny", "no-rule", None),
    (4, "https", "mine.test:443", "allow", "rule", "mine"), (4, "http", "paths.test:80/repository/a", "allow", "rule", "paths"),
    (4, "http", "paths.test:80/other", "deny", "no-rule", None), (4, "http", "paths.test:8080/repository/../other", "deny", "no-rule", None),
    (5, "https", "169.254.169.254:443", "deny", "special-address", None), (5, "http", "169.254.169.254:80", "deny", "special-address", None),
    (5, "https", "127.0.0.1:443", "deny", "special-address", None), (5, "https", "[::ffff:127.0.0.1]:443", "deny", "special-address", None),
    (5, "https", "10.9.1.1:443", "allow", "rule", "inside"), (5, "https", "10.8.1.1:443", "deny", "private-address", None),
    (5, "https", "10.66.0.1:3128", "deny", "self-address", None), (5, "https", "[64:ff9b::a9fe:a9fe]:443", "deny", "special-address", None),
    (6, "https", "no.whole.test:443", "deny", "deny-rule", "no"), (6, "https", "11.11.0.66:443", "deny", "deny-rule", "inner"),
    (6, "https", "known.person.test:443", "allow", "rule", "narrow"), (6, "https", "a.person.test:443", "ask", "ask-rule", "wide-ask"),
    (7, "https", "nowhere.test:443", "deny", "no-rule", None), (8, "https", "gone.test:443", "deny", "no-rule", None),
    (10, "tcp", "db.test:5432", "allow", "rule", "opaque"), (10, "tcp", "db.test:5433", "deny", "no-rule", None),
]


def explained(trial, agent, protocol, place):
    """What `explain` says: verdict word of its exit status, reason and rule."""
    host, _, path = place.partition("/")
    extra = ("--path", "/" + path) if path else ()
    done = exitgate("explain", "--json", "--policy", trial.gate.policy, "--agent", agent, "--protocol", protocol, *extra,
                    "--proxy-listen", "10.66.0.1:3128", host)
    told = json.loads(done.stdout)
    rule = told.get("rule")
    return {0: "allow", 1: "deny", 2: "ask"}[done.returncode], told["reason"], rule["id"] if isinstance(rule, dict) else rule


def carried_out(trial, agent, protocol, place):
    """What the gate did, as its log has it."""
    host, _, path = place.partition("/")
    written = trial.gate.log.mark()
    with trial.agent.open() as sock:
        sock.sendall(get(f"http://{host}/{path}", host.removesuffix(":80")) if protocol == "http" else connect(host))
        reply = read_head(sock)
    record = trial.gate.log.wait_for(written, event="decision", agent=agent)[0]
    assert (reply.status == 200) == (record.verdict == "allow"), (reply, record)
    return record.verdict, record.reason, record.rule


@pytest.mark.parametrize("row, protocol, place, answer, reason, rule", ROWS)
def test_explain_and_the_gate_agree(trial, row, protocol, place, answer, reason, rule):
    name = place.split(":")[0].lower().rstrip(".")
    if not name[0].isdigit() and name[0] != "[":
        trial.far.answers(name, GOOD)
    assert explained(trial, "a1", protocol, place) == (answer, reason, rule), f"row {row}"
    done = carried_out(trial, "a1", protocol, place)
    expected = ("deny", "no-approver", rule) if answer == "ask" else (answer, reason, rule)
    assert done == expected, "with nobody to ask, asking is denying"


def test_a_rule_of_one_agent_is_none_of_another(trial, other):
    other.denied(connect("mine.test:443"), reason="no-rule")
    assert explained(trial, "a2", "https", "mine.test:443") == ("deny", "no-rule", None)
    trial.far.answers("mine.test", GOOD)
    trial.tunnels("mine.test:443", "mine.test", rule="mine")


def test_what_a_name_resolves_to_is_judged_by_its_rule(trial):
    trial.far.answers("private.whole.test", "10.9.0.1")
    trial.denied(connect("private.whole.test:443"), reason="private-address", resolves=True)
    trial.far.answers("inside.test", "127.0.0.1")
    trial.denied(connect("inside.test:443"), reason="special-address", resolves=True)
    trial.far.answers("a.whole.test", GOOD)
    trial.tunnels("a.whole.test:443", "a.whole.test", rule="whole")


def test_a_name_of_a_block_rule_is_not_matched_by_its_address(trial):
    trial.far.answers("named.test", "11.11.0.10")
    trial.denied(connect("named.test:443"), reason="no-rule")
    with trial.agent.open() as sock:
        sock.sendall(connect("11.11.0.10:443"))
        assert read_head(sock).status == 200
        sock.sendall(client_hello(None))  # a client that was given an address has no name to send
        assert sock.recv(100).startswith(b"FLIGHT")
