"""Ways in: Unix sockets, IPv6, tokens over SOCKS. Each is the same walk, under the agent it belongs to."""
import hashlib, json, socket

from harness.client import Agent, client_hello, connect, drain
from harness.gate import BASE, SHARED
from harness.namespaces import GATE6, GOOD, GOOD6, run
from harness.trial import Trial


class UnixAgent(Agent):
    """A client of a listener that is a path."""

    def __init__(self, bench, path):
        super().__init__(bench)
        self.path = str(path)

    def open(self, timeout=5.0):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(self.path)
        return sock


def test_an_agents_unix_socket(fresh, tmp_path):
    path = tmp_path / "a1.sock"
    trial = fresh(BASE.replace("a1: { listen: 10.66.0.1:3128 }", f'a1: {{ listen: "unix:{path}" }}'))
    inside = Trial(trial.bench, trial.far, trial.gate, UnixAgent(trial.bench, path))
    inside.denied(connect("evil.test:443"), reason="no-rule")
    inside.malformed(connect("0x7f.1:443"))
    inside.passes()
    trial.gate.stop()
    assert not path.exists(), "gone when the gate ends"


def test_a_listener_on_ipv6_and_upstreams_on_ipv6(fresh):
    trial = fresh(BASE + "  - { id: block, agents: [a1], action: allow, to: [2a0e:b107:11::/64] }\n", listen=(f"[{GATE6}]:3131",))
    stranger = Trial(trial.bench, trial.far, trial.gate, Agent(trial.bench, GATE6, 3131), "default")
    stranger.denied(connect("allowed.test:443"), reason="no-rule")
    stranger.denied(connect(f"[{GATE6}]:3131"), reason="self-address")
    trial.tunnels("v6.wild.test:443", "v6.wild.test", address=GOOD6)
    with trial.opened(f"[{GOOD6}]:443") as sock:
        sock.sendall(client_hello(None))
        assert sock.recv(100) == b"FLIGHT " + GOOD6.encode()
    trial.denied(connect("[2a0e:b107:12::10]:443"), reason="no-rule")


def test_a_name_with_one_dead_address_is_reached_at_another(fresh):
    """RFC 8305: the family that does not answer costs a fraction of a second."""
    trial = fresh()
    trial.far.answers("both.wild.test", GOOD, "2a0e:b107:99::1")
    run("ip", "-6", "-n", trial.bench.names["out"], "route", "add", "blackhole", "2a0e:b107:99::/48", "table", "100")
    trial.tunnels("both.wild.test:443", "both.wild.test")


def test_a_token_over_socks(fresh):
    token = b"the-token"
    trial = fresh(f"""version: 1
agents: {{ t1: {{ token_sha256: "{hashlib.sha256(token).hexdigest()}" }} }}
rules:
  - {{ id: tunnel, agents: [t1], action: allow, to: [allowed.test] }}
""", name="t1", port=SHARED)

    def ask(password):
        with trial.agent.open() as sock:
            sock.sendall(b"\x05\x02\x00\x02")
            assert sock.recv(2) == b"\x05\x02", "a token is asked for where agents have one"
            sock.sendall(b"\x01\x05agent" + bytes([len(password)]) + password + b"\x05\x01\x00\x03\x0callowed.test\x01\xbb")
            sock.settimeout(0.5)
            return drain(sock).raw

    right, wrong = ask(token), ask(b"another")
    assert b"\x05\x00\x00" in right, right
    assert b"\x05\x00\x00" not in wrong, wrong
    assert token.decode() not in trial.gate.log.path.read_text()
    reply = trial.agent.send(b"\x05\x01\x00")
    assert reply.raw[:2] == b"\x05\xff" and reply.ended == "closed", "no way in without a token"


def test_status_as_json_and_the_read_only_commands(trial):
    trial.passes()
    told = json.loads(trial.gate.tell("status", "--json").stdout)
    assert told["enforcing"] is True and told["policy"]["generation"] == 1 and len(told["listeners"]) == 3 + len(trial.gate.doubles)
    with trial.opened() as sock:
        sock.sendall(client_hello())
        assert sock.recv(100).startswith(b"FLIGHT")
        assert json.loads(trial.gate.tell("status", "--json").stdout)["connections"]["open"] >= 1
