"""Who a command is to its policy: `exitgate run --agent NAME`; and datagrams, for which a sandbox has no way out."""
import hashlib, subprocess

import pytest

from harness.box import PYTHON
from harness.far import Accepted, Received
from harness.gate import eventually
from harness.namespaces import EVIL, GOOD

AGENTS = f"""version: 1
agents:
  ci: {{ listen: 127.0.0.1:3128 }}
  review: {{ token_sha256: "{hashlib.sha256(b"t0ken").hexdigest()}" }}
rules:
  - {{ id: web-of-ci, action: allow, agents: [ci], to: [web.test], protocol: http }}
  - {{ id: raw-of-review, action: allow, agents: [review], to: [raw.test], protocol: tcp, ports: [5432] }}
"""
RAW = f"""
import socket
try:
    with socket.create_connection(("raw.test", 5432), 5) as s: s.sendall(b"\\x00opaque"); print(s.recv(64).decode() or "end")
except OSError as error: print(type(error).__name__)
"""


@pytest.fixture
def policy(box):
    path = box.work / "agents.yaml"
    path.write_text(AGENTS)
    return path


def records(box):
    """How often the default agent was told what."""
    there = box.log.path.exists()
    return {verdict: len(box.records(agent="default", verdict=verdict)) if there else 0 for verdict in ("allow", "deny")}


def test_the_rules_of_its_agent_count_and_no_others(box, policy):
    before = records(box)
    for agent, web, raw in (("ci", True, False), ("review", False, True), (None, False, False)):
        flags = ("--agent", agent) if agent else ()
        mark = box.far.mark()
        for options in (("--noproxy", "*"), ()):
            done = box.run("curl", "-sS", *options, "-m", "5", "http://web.test/x", policy=policy, flags=flags)
            assert done.stdout.startswith("origin ") == web, (agent, options, done)
            if not web and not options:
                assert '"error":"denied"' in done.stdout, "not a token, a rule is missing"
        assert (box.far.since(mark, Received) != []) == web
        mark = box.far.mark()
        assert box.python(RAW, policy=policy, flags=flags).startswith("FLIGHT ") == raw, agent
        assert (box.far.since(mark, Accepted) != []) == raw
        if agent:
            assert box.records(agent=agent, verdict="allow") and box.records(agent=agent, verdict="deny")
            assert box.records(event="notice", detail=f"run: agent: {agent}")
    after = records(box)
    assert after["deny"] > before["deny"] and after["allow"] == before["allow"], "the default agent has neither"


def test_what_is_denied_names_the_agent_and_a_rule_for_it(box, policy):
    done = box.run("curl", "-sS", "--noproxy", "*", "-m", "5", f"http://{EVIL}/", policy=policy, flags=("--agent", "ci"))
    assert f"exitgate: blocked http://{EVIL}:80 for ci (no-rule)" in done.stderr and 'agents: ["ci"]' in done.stderr, done
    done = box.run(PYTHON, "-c", f"import socket; socket.socket(2, 2).sendto(b'x', ('{EVIL}', 123))", policy=policy, flags=("--agent", "ci"))
    assert eventually(lambda: box.records(layer="kernel", protocol="udp", agent="ci")), done


def test_an_agent_that_the_policy_does_not_know_is_refused(box, policy):
    for name, remedy in (("c1", "Did you mean 'ci'?"), ("somebody", "Write ci, review or default.")):
        done = box.run("sh", "-c", "echo ran", policy=policy, flags=("--agent", name))
        assert done.returncode == 64 and "ran" not in done.stdout, done
        assert f"'{name}' is no agent of this policy. {remedy}" in done.stderr, done


def test_a_reload_cannot_take_the_agent_away(box, policy):
    process, line = box.start("sh", "-c", "echo up; sleep 60", flags=("--policy", policy, "--agent", "ci"))
    assert line == "up"
    policy.write_text(AGENTS.replace("  ci:", "  cj:").replace("agents: [ci]", "agents: [cj]"))
    done = subprocess.run(box.on_host(box.binary, "reload", "--control", box.state / "control.sock"), capture_output=True, text=True,
                          timeout=30, env=box.environment())
    assert done.returncode != 0 and "the policy has no agent 'ci' any more" in done.stdout + done.stderr, done


# -- datagrams

ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 7777)); print("up", flush=True)
while True:
    data, where = s.recvfrom(2048); s.sendto(data, where); print(data.decode(), flush=True)
"""
ASK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
try: s.connect((sys.argv[1], 7777)); s.send(sys.argv[2].encode()); print(s.recv(64).decode())
except OSError as error: print(type(error).__name__)
"""


def denied(box):
    """Records of datagrams to the echo that the table denied, in either mode: no way out is none to let anything pass."""
    if not box.log.path.exists():
        return 0
    return len([r for r in box.records(layer="kernel", protocol="udp", verdict="deny") if r["whole"]["dst_endpoint"]["port"] == 7777])


@pytest.fixture
def echo(box):
    process = subprocess.Popen(box.bench.command("out", PYTHON, "-c", ECHO, GOOD), stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    yield process
    process.kill(), process.wait()


def test_a_rule_for_datagrams_is_refused_and_none_gets_out_without_one(box, echo):
    rule = f'  - {{ id: echo, action: allow, to: [{GOOD}/32], protocol: udp, ports: [7777] }}\n'
    own = box.work / "udp.yaml"
    own.write_text(box.policy.read_text() + rule)
    line = own.read_text().splitlines().index(rule.rstrip()) + 1
    for text in (rule, rule.replace("action: allow", "action: deny")):
        own.write_text(box.policy.read_text() + text)
        done = box.run("sh", "-c", "echo ran", policy=own)
        assert done.returncode == 65 and "ran" not in done.stdout, done
        assert f"{own}:{line}:" in done.stderr and "whose network has no way out for datagrams. Remove the rule" in done.stderr, done
    for mode in ("enforce", "audit"):
        before = denied(box)
        said = box.python(ASK, GOOD, f"from-{mode}", flags=("--mode", mode))
        assert said.strip() in ("ConnectionRefusedError", "PermissionError", "TimeoutError", "timeout"), said
        assert eventually(lambda: denied(box) > before, because="it is recorded")
    done = subprocess.run(box.on_host(PYTHON, "-c", ASK, GOOD, "from-the-host"), capture_output=True, text=True, timeout=10)
    assert done.stdout == "from-the-host\n", ("the far side is there and answers", done)
    assert echo.stdout.readline() == "from-the-host\n", "the first that it ever heard"
