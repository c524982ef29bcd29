"""The semantics of the policy language: `exitgate explain` and the running gate answer the table of the unit tests, line by line.

The table is Tests/Fixtures/semantics.tsv, its policies stand beside it; its head says what the fields mean, at what time the
cases are judged and on what machine. What needs traffic of its own stands below it, row by row of the same numbers.
"""
import contextlib, datetime, ipaddress, json, socket, subprocess, threading, time

import pytest

from harness.client import ECH, Agent, Stream, client_hello, connect, drain, extension, get, hello, read_head, records, server_name, socks
from harness.clock import Clock
from harness.far import PORTS, Accepted, Asked, Far, Received
from harness.gate import BINARY, QUIET, ROOT, Gate, eventually
from harness.namespaces import GATE, GOOD, Namespaces, run
from harness.trial import Trial

FIXTURES = ROOT / "Tests/Fixtures"
FIELDS = ("row", "policy", "agent", "traffic", "target", "request", "answer", "reason", "rule", "because")


class Case:
    def __init__(self, line):
        for field, text in zip(FIELDS, line.split("\t"), strict=True):
            setattr(self, field, None if text == "-" else text)
        host, _, port = (self.target or "").rpartition(":")
        self.host, self.port = host.lower().removesuffix("."), int(port) if port.isdecimal() else None
        self.method, self.path = self.request.split(" ") if self.request else (None, None)
        self.allowed = self.answer in ("allow", "would-deny")

    def __repr__(self):
        return f"{self.row}-{self.policy}-{self.traffic}-{self.target}-{self.request or self.because}".replace(" ", "_")

    @property
    def literal(self):
        """The address that the target is, or None for a name."""
        text = self.host.strip("[]")
        return text if text[:1].isdigit() and text.replace(".", "").isdigit() or ":" in text else None


TEXT = (FIXTURES / "semantics.tsv").read_text()
HEAD = {words[1].rstrip(":"): words[2:] for words in map(str.split, TEXT.splitlines()) if len(words) > 2 and words[0] == "#" and words[1].endswith(":")}
CASES = sorted((Case(line) for line in TEXT.splitlines() if line and line[0] != "#"), key=lambda case: case.policy)  # a gate for each policy, one after another
NOW = datetime.datetime.fromisoformat(HEAD["now"][0])


def among(*traffic, answers=("allow", "ask", "deny", "would-deny", "malformed")):
    return [case for case in CASES if case.traffic in traffic and case.answer in answers and case.policy != "datagrams"]


CARRIED = among("tunnel", "http")
EXPLAINED = among("https", "tcp", "udp", "dns")  # no client can ask for one of these and not for the others
ALIASES = among("alias")
RELOADS = among("tunnel", answers=("stays", "closes"))
REFUSED = [case for case in CASES if case.answer == "refused"]
# Left to the unit tests: who may resolve what has no way in yet, and datagrams have none in serve.
UNANSWERED = [case for case in CASES if case.traffic == "resolve" or case.policy == "datagrams"]


def test_each_line_of_the_table_is_answered_here_or_has_nobody_to_ask():
    groups = [CARRIED, EXPLAINED, ALIASES, RELOADS, REFUSED, UNANSWERED]
    assert sorted(map(repr, CASES)) == sorted(repr(case) for group in groups for case in group) and len(CASES) > 150
    assert {case.row for case in CARRIED} >= {str(row) for row in (1, 2, 3, 4, 5, 6, 7, 8, 10, 13)}
    assert len(UNANSWERED) < 15


class Stage:
    """A machine with the addresses of the table, at the time of the table, and a gate on one policy of it at a time."""

    def __init__(self, directory):
        self.directory, self.gate, self._name = directory, None, None
        self.bench = Namespaces()
        for address in HEAD["local"]:
            if address not in ("127.0.0.1", "::1", "fd66::1"):
                run("ip", "-n", self.bench.names["gw"], "addr", "add", f"{address}/32", "dev", "lo")
        self.far = Far(self.bench, ports=sorted({*PORTS, *(case.port for case in CASES if case.allowed and case.port)}))
        self.clock = Clock(directory)
        self.clock.stop(int(NOW.timestamp() * 1000))
        self._own = [self._serve(case) for case in CASES if case.answer == "allow" and case.traffic == "tunnel" and case.literal in HEAD["local"]]

    def _serve(self, case):
        """Something that answers on an address of the gate's machine, where a rule leads there."""
        family = socket.AF_INET6 if ":" in case.literal else socket.AF_INET
        with self.bench.inside("gw"):
            listener = socket.create_server((case.literal, case.port), family=family)

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as connection:
                        connection.recv(65536)
                        connection.sendall(b"FLIGHT home")

        threading.Thread(target=answer, daemon=True).start()
        return listener

    @property
    def flags(self):
        return [word for address in HEAD["listeners"] for word in ("--proxy-listen", address)] + ["--dns-upstream", HEAD["resolvers"][0]]

    def under(self, name, agent="default"):
        """The gate on this policy, and the client that is this agent."""
        if self._name != name:
            self.end()
            directory = self.directory / name
            directory.mkdir(exist_ok=True)
            self.gate = Gate(self.bench, directory, policy(name), listen=HEAD["listeners"], upstream=HEAD["resolvers"], env=self.clock.environment, doubles=0)
            self.gate.start()
            self._name = name
        self.far.script = None
        self.far.reset_zone()
        return Trial(self.bench, self.far, self.gate, Agent(self.bench, GATE, {"default": 3129, "a1": 3141, "a2": 3142}[agent]), agent)

    def asks(self, *arguments):
        """A command of the binary on the gate's machine, at its time."""
        return subprocess.run(self.bench.command("gw", BINARY, *arguments), capture_output=True, text=True, timeout=15, env=QUIET | self.clock.environment)

    def counted(self, written, **wanted):
        """The one record, or what was counted instead of it: a moment later, by the gate's own clock."""
        self.clock.skip(12)
        judged = lambda: [entry for entry in self.gate.log.entries(written) if entry.event in ("decision", "rollup")]
        eventually(judged, 3, "nothing is on record")
        entries = judged()
        assert len(entries) == 1 and entries[0].count == 1 and entries[0].matches(wanted), f"{wanted} expected once, got {entries}"
        return entries[0]

    def end(self):
        if self.gate is not None:
            self.gate.stop()
            self.gate.log.verify()
        self.gate = self._name = None

    def close(self):
        try:
            self.end()
        finally:
            for listener in self._own:
                listener.close()
            self.far.close()
            self.bench.remove()


@pytest.fixture(scope="module")
def stage(bench, tmp_path_factory):
    made = Stage(tmp_path_factory.mktemp("semantics"))
    yield made
    made.close()


def policy(name):
    return (FIXTURES / f"semantics/{name}.yaml").read_text()


# -- exitgate explain

def explained(stage, case):
    """What `explain` says: the status it exits with and its answer."""
    agent = ("--agent", case.agent) if case.agent != "default" else ()
    traffic = ("--protocol", case.traffic) if case.traffic != "tunnel" else ()
    request = ("--method", case.method, "--path", case.path) if case.request else ()
    done = stage.asks("explain", "--json", "--policy", FIXTURES / f"semantics/{case.policy}.yaml", *agent, *traffic, *request, *stage.flags, "--", case.target)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def is_explained(stage, case):
    status, told = explained(stage, case)
    if case.answer == "malformed":
        if ":" not in case.target:
            assert status == 64 and "the port is missing" in told, (status, told)
        else:
            assert status == 1 and (told["verdict"], told["reason"]) == ("deny", "malformed-request"), (status, told)
        return
    verdict = "allow" if case.allowed else case.answer
    assert status == {"allow": 0, "deny": 1, "ask": 2}[verdict], (status, told)
    assert (told["verdict"], told["reason"], told["rule"]) == (verdict, case.reason, case.rule), told
    assert told["would_deny"] == (case.answer == "would-deny"), told


@pytest.mark.parametrize("case", EXPLAINED, ids=repr)
def test_explain_answers_for_one_protocol_alone(stage, case):
    is_explained(stage, case)


# -- the running gate

def expected(case):
    """The record of it. With nobody to ask, asking is denying."""
    if case.answer == "ask":
        return {"verdict": "deny", "reason": "no-approver", "rule": case.rule}
    verdict = "allow" if case.allowed else "deny"
    return {"verdict": verdict, "reason": case.reason, "rule": case.rule, "would_deny": case.answer == "would-deny"}


def speaks(sock, case):
    """A first flight of that host arrives, and is answered from where it should."""
    sock.sendall(client_hello(None if case.literal else case.host))
    address = ipaddress.ip_address(case.literal or GOOD)
    origin = "home" if str(address) in HEAD["local"] else str(getattr(address, "ipv4_mapped", None) or address)
    assert sock.recv(100) == b"FLIGHT " + origin.encode(), f"answered from {origin}"


def tunnels(trial, case):
    with trial.agent.open() as sock:
        sock.sendall(connect(case.target))
        reply = read_head(sock)
        if case.allowed:
            assert reply.status == 200, reply
            speaks(sock, case)
            return
        reply.raw += drain(sock).raw
    assert reply.status == (400 if case.answer == "malformed" else 403), reply
    told = reply.json
    assert (told["reason"], told["rule"]) == ("no-approver" if case.answer == "ask" else case.reason, case.rule), told


def tunnels_by_socks(trial, case):
    packed = case.literal and (socket.inet_pton(socket.AF_INET6 if ":" in case.literal else socket.AF_INET, case.literal),)
    greeting, request = socks(packed or case.target.rpartition(":")[0].encode(), case.port)
    with trial.agent.open() as sock:
        sock.sendall(greeting)
        assert sock.recv(2) == b"\x05\x00"
        sock.sendall(request)
        reply = sock.recv(100)
        assert reply[:2] == (b"\x05\x00" if case.allowed else b"\x05\x02"), reply
        if case.allowed:
            speaks(sock, case)


def fetches(trial, case):
    with trial.agent.open() as sock:
        sock.sendall(get(f"http://{case.target.removesuffix(':80')}{case.path}", case.target.removesuffix(":80"), method=case.method))
        status, fields, body = Stream(sock).answer()
    if case.allowed:
        assert (status, body) == (200, b"origin " + GOOD.encode()), (status, body)
        return
    told = json.loads(body)
    assert status == 403 and (told["reason"], told["rule"]) == ("no-approver" if case.answer == "ask" else case.reason, case.rule), told


def is_carried_out(stage, case, ask, layer):
    trial = stage.under(case.policy, case.agent)
    if not case.literal and case.answer != "malformed":
        stage.far.answers(case.host, GOOD)
    seen, written = stage.far.mark(), stage.gate.log.mark()
    ask(trial, case)
    place = {"host": (case.literal or case.host), "port": case.port} if case.answer != "malformed" else {"host": None}
    if case.literal:
        place.pop("host")  # a record has the canonical spelling; which that is, the unit tests say
    stage.counted(written, agent=case.agent, layer=layer, **expected(case), **place)
    if not case.allowed:
        assert not stage.far.since(seen), "neither asked for nor dialled"


@pytest.mark.parametrize("case", CARRIED, ids=repr)
def test_explain_and_the_gate_answer_as_the_table_says(stage, case):
    is_explained(stage, case)
    if case.traffic == "http":
        is_carried_out(stage, case, fetches, "http")
        return
    is_carried_out(stage, case, tunnels, "connect" if case.answer != "malformed" else "http")
    if case.answer != "malformed":
        is_carried_out(stage, case, tunnels_by_socks, "socks")


@pytest.mark.parametrize("case", ALIASES, ids=repr)
def test_row_11_a_chain_of_aliases_is_judged_name_by_name(stage, case):
    trial = stage.under(case.policy, case.agent)
    for number, name in enumerate((f"direct-{case.target}.wild.test", f"behind-{case.target}.wild.test")):
        middle = [] if number == 0 else [("between.example", "CNAME", case.target)]
        chain = [(name, "CNAME", case.target if number == 0 else "between.example"), *middle]
        stage.far.zone[f"{name} A"], stage.far.zone[f"{name} AAAA"] = [[*chain, (case.target, "A", GOOD)]], [chain]
        seen, written = stage.far.mark(), stage.gate.log.mark()
        with trial.agent.open() as sock:
            sock.sendall(connect(f"{name}:443"))
            reply = read_head(sock)
            if case.answer == "allow":
                assert reply.status == 200, reply
                sock.sendall(client_hello(name))
                assert sock.recv(100) == b"FLIGHT " + GOOD.encode()
        if case.answer == "allow":
            stage.counted(written, verdict="allow", reason="rule", rule="tunnel", host=name)
        else:
            assert reply.status == 403, reply
            stage.counted(written, verdict="deny", reason=case.reason, rule=case.rule, host=name)
            assert not stage.far.since(seen, Accepted)


@pytest.mark.parametrize("case", REFUSED, ids=repr)
def test_rows_1_2_5_15_what_cannot_be_enforced_is_not_loaded(stage, case):
    """Neither to begin with nor in place of another, and `explain` and `check` say the same."""
    path = FIXTURES / f"semantics/{case.policy}.yaml"
    started = stage.asks("serve", "--policy", path, "--proxy-listen", "127.0.0.1:3999", "--dns-upstream", HEAD["resolvers"][0],
                         "--audit-log", stage.directory / "never.jsonl", "--control", stage.directory / "never.sock")
    # What only serve cannot enforce is a warning where it is not known who will start with the file.
    of_serve = "protocol: udp" in path.read_text()
    assert started.returncode == 65 and f"{case.policy}.yaml:4:" in started.stderr, started
    for done in (stage.asks("explain", "--policy", path, "allowed.test:443"), stage.asks("check", path)):
        assert (done.returncode != 65) == of_serve, done
        assert f"{case.policy}.yaml:4:" in done.stdout + done.stderr or of_serve and done.returncode == 1, done
    trial = stage.under("base", "a1")
    before = stage.gate.policy.read_text()
    assert stage.gate.reload(path.read_text()).returncode == 65
    assert json.loads(stage.gate.tell("status", "--json").stdout)["policy"]["generation"] == 1
    trial.tunnels("allowed.test:443", "allowed.test")
    stage.gate.write(before)


def test_row_14_a_reload_ends_what_lost_its_rule_and_nothing_else(stage):
    first, second = RELOADS[0].policy.split(">")
    trial = stage.under(first)
    stage._name = None  # it will not be this policy's gate any more
    flows = []
    written = stage.gate.log.mark()
    for case in RELOADS:
        stage.far.answers(case.host, GOOD)
        flows.append(trial.opened(case.target))
        speaks(flows[-1], case)
        record, = [entry for entry in stage.gate.log.entries(written) if entry.event == "decision" and entry.host == case.host]
        assert (record.reason, record.rule) == (case.reason, case.rule)
    assert stage.gate.reload(policy(second)).returncode == 0
    began = time.monotonic()
    for case, sock in zip(RELOADS, flows):
        if case.answer == "closes":
            sock.settimeout(3)
            assert drain(sock).ended != "open", f"{case.because}: it goes on"
            stage.gate.log.wait_for(written, event="close", host=case.host, rule=case.rule, reason="revoked")
    assert time.monotonic() - began < 1
    for case, sock in zip(RELOADS, flows):
        if case.answer == "stays":
            speaks(sock, case)
        sock.close()
    closed = stage.gate.log.wait_for(written, len(RELOADS), event="close")
    assert {entry.host: entry.reason == "revoked" for entry in closed} == {case.host: case.answer == "closes" for case in RELOADS}
    assert {case.answer for case in RELOADS} == {"stays", "closes"}


# -- what needs traffic of its own

ECH_HELLO = extension(ECH, bytes.fromhex("00000100010000200000") + bytes(200))
FLIGHTS = [  # row 9: behind a CONNECT to allowed.test, what is sent and why it ends; None: it passes
    ("the same name", client_hello("allowed.test"), None), ("in capitals", client_hello("ALLOWED.test"), None),
    ("another name", client_hello("a.wild.test"), "sni-mismatch"), ("a name below", client_hello("x.allowed.test"), "sni-mismatch"),
    ("no name", client_hello(None), "sni-missing"), ("no TLS", b"SSH-2.0-x\r\n", "not-tls"),
    ("encrypted, under the same name", records(hello(server_name(b"allowed.test"), ECH_HELLO)), None),
    ("encrypted, under another name", records(hello(server_name(b"public.test"), ECH_HELLO)), "encrypted-client-hello")]
HOSTS = [  # row 9: a request, and the status of the answer
    ("CONNECT without Host", connect("allowed.test:443", False), 200), ("CONNECT, Host without the port", connect("allowed.test:443", "allowed.test"), 200),
    ("CONNECT, Host is the gate", connect("allowed.test:443", f"{GATE}:3141"), 200), ("CONNECT, Host is a third place", connect("allowed.test:443", "a.wild.test:443"), 400),
    ("CONNECT, Host has another port", connect("allowed.test:443", "allowed.test:444"), 400), ("http, the same Host", get("http://plain.test/"), 200),
    ("http, the same Host with the port", get("http://plain.test/", "plain.test:80"), 200), ("http, another Host", get("http://plain.test/", "allowed.test"), 400),
    ("http, Host is the gate", get("http://plain.test/", f"{GATE}:3141"), 400), ("http, another port", get("http://plain.test/", "plain.test:81"), 400),
    ("http, no Host", get("http://plain.test/", None), 400)]


@pytest.mark.parametrize("flight, reason", [flight[1:] for flight in FLIGHTS], ids=[flight[0] for flight in FLIGHTS])
def test_row_9_the_name_in_the_first_flight_is_the_one_in_connect(stage, flight, reason):
    trial = stage.under("base", "a1")
    seen, written = stage.far.mark(), stage.gate.log.mark()
    with trial.opened() as sock:
        sock.sendall(flight)
        if reason is None:
            assert sock.recv(100) == b"FLIGHT " + GOOD.encode()
            assert b"".join(event.data for event in stage.far.since(seen, Received)) == flight
            stage.counted(written, verdict="allow", reason="rule", rule="tunnel")
            return
        reply = drain(sock)
    assert reply.raw == b"" and reply.ended != "open" and not stage.far.since(seen, Received), reply
    stage.clock.skip(12)
    denied, = stage.gate.log.wait_for(written, verdict="deny", layer="sni")
    assert denied.count == 1 and (denied.reason, denied.rule, denied.host) == (reason, "tunnel", "allowed.test"), denied


@pytest.mark.parametrize("request_, status", [host[1:] for host in HOSTS], ids=[host[0] for host in HOSTS])
def test_row_9_where_host_counts_and_where_it_does_not(stage, request_, status):
    trial = stage.under("base", "a1")
    seen, written = stage.far.mark(), stage.gate.log.mark()
    with trial.agent.open() as sock:
        sock.sendall(request_)
        assert read_head(sock).status == status
        if status == 200 and request_.startswith(b"CONNECT"):
            sock.sendall(client_hello())
            assert sock.recv(100) == b"FLIGHT " + GOOD.encode()
    if status == 200:
        stage.counted(written, verdict="allow")
    else:
        stage.counted(written, verdict="deny", layer="http")
        assert not stage.far.since(seen)


LIMITS = """version: 1
agents: { a1: { listen: 10.66.0.1:3141 }, a2: { listen: 10.66.0.1:3142 } }
rules:
  - { id: two, action: allow, to: [two.test, again.test], limits: { connections: 2 } }
  - { id: out, action: allow, protocol: tcp, ports: [8443], to: [out.test], limits: { bytes-out: 64KiB } }
  - { id: in, action: allow, protocol: tcp, ports: [8443], to: [in.test], limits: { bytes-in: 64KiB } }
  - { id: brief, action: allow, to: [brief.test], limits: { duration: 90s } }
"""


@pytest.fixture(scope="module")
def limited(stage):
    stage.under("base")
    stage.end()
    stage.gate = Gate(stage.bench, stage.directory, LIMITS, listen=HEAD["listeners"], upstream=HEAD["resolvers"], env=stage.clock.environment, doubles=0).start()
    agents = []
    for number, name in enumerate(("a1", "a2")):
        agents.append(Trial(stage.bench, stage.far, stage.gate, Agent(stage.bench, GATE, 3141 + number), name))
    for name in ("two.test", "again.test", "out.test", "in.test", "brief.test"):
        stage.far.answers(name, GOOD)
    stage.far.script = None
    yield agents
    stage.end()


def test_row_12_connections_are_counted_by_agent_and_rule(stage, limited):
    one, two = limited
    with one.opened("two.test:443"), one.opened("again.test:443") as second:
        reply = one.denied(connect("two.test:443"), reason="connection-limit", status=503, rule="two", itself=True)
        assert "connection_limit_reached" in reply.field("Proxy-Status")
        with two.opened("two.test:443"):
            pass
        second.close()
        eventually(lambda: one.agent.send(connect("two.test:443"), timeout=0.3).raw.startswith(b"HTTP/1.1 200"))


@pytest.mark.parametrize("direction, rule", [("out", "out"), ("in", "in")])
def test_row_12_bytes_are_a_budget_over_connections_and_cut_mid_stream(stage, limited, direction, rule):
    one, two = limited
    arrived, limit = [], 65536

    def answer(connection, data):
        arrived.append(len(data))
        if direction == "in":
            connection.sendall(bytes(len(data)))
        return True

    def pour(trial, count):
        """How many bytes came through, and how it ended."""
        arrived.clear()
        back, written = b"", trial.gate.log.mark()
        with trial.opened(f"{direction}.test:8443") as sock, contextlib.suppress(OSError):
            for _ in range(count):
                sock.sendall(bytes(8192))
                if direction == "in":
                    while len(back) % 8192 or not back or len(back) < sum(arrived):
                        data = sock.recv(8192)
                        if not data:
                            break
                        back += data
            sock.shutdown(socket.SHUT_WR)
            back += drain(sock).raw
        record, = trial.gate.log.wait_for(written, event="close", agent=trial.name, rule=rule)
        trial.settles()
        return (sum(arrived) if direction == "out" else len(back)), record.reason

    stage.far.script = answer
    assert pour(one, 5) == (5 * 8192, "finished"), "within the budget"
    through, reason = pour(one, 20)
    assert reason == f"bytes-{direction}-limit" and through <= limit - 5 * 8192, (through, reason)
    arrived.clear()
    one.denied(connect(f"{direction}.test:8443"), reason=f"bytes-{direction}-limit", rule=rule, itself=True)
    assert not arrived, "of a budget that is spent nothing is left, and nobody is dialled"
    assert pour(two, 5) == (5 * 8192, "finished"), "another agent has its own"
    stage.far.script = None


def test_row_12_a_duration_ends_a_connection_that_is_busy(stage, limited):
    one, _ = limited
    written = stage.gate.log.mark()
    with one.opened("brief.test:443") as sock:
        sock.sendall(client_hello("brief.test"))
        assert sock.recv(100).startswith(b"FLIGHT")
        stage.clock.skip(60)
        sock.sendall(b"busy")
        assert sock.recv(100).startswith(b"FLIGHT"), "not before"
        stage.clock.skip(40)
        assert drain(sock).ended != "open"
    stage.gate.log.wait_for(written, event="close", rule="brief", reason="duration-limit")


def test_row_13_audit_mode_lets_pass_what_it_records_and_the_floor_holds_for_names_too(stage):
    trial = stage.under("audit")
    for name, reason, rule in (("none.test", "no-rule", None), ("off.test", "deny-rule", "off")):
        stage.far.answers(name, GOOD)
        written = stage.gate.log.mark()
        with trial.opened(f"{name}:443") as sock:
            sock.sendall(client_hello(name))
            assert sock.recv(100).startswith(b"FLIGHT")
        stage.counted(written, verdict="allow", would_deny=True, reason=reason, rule=rule, host=name)
    for number, (address, reason) in enumerate((("169.254.169.254", "special-address"), ("10.1.2.3", "private-address"), ("127.0.0.1", "special-address"),
                                                ("11.1.1.1", "self-address"), (HEAD["resolvers"][0].partition(":")[0], None))):
        for kind in ("on", "unruled"):
            name = "on.test" if kind == "on" else f"n{number}.test"
            stage.far.answers(name, address)
            stage.clock.skip(7200)  # what is remembered of the name
            seen, written = stage.far.mark(), stage.gate.log.mark()
            with trial.agent.open() as sock:
                sock.sendall(connect(f"{name}:443"))
                reply = read_head(sock)
                assert reply.status == (403 if reason else 200), (name, address, reply)
                if not reason:
                    sock.sendall(client_hello(name))
                    assert sock.recv(100) == b"FLIGHT " + address.encode()
            stage.counted(written, verdict="deny" if reason else "allow", host=name, **({"reason": reason} if reason else {}))
            assert not [event for event in stage.far.since(seen, Accepted) if reason]
    status = stage.gate.tell("status").stdout
    assert "audit" in status and json.loads(stage.gate.tell("status", "--json").stdout)["enforcing"] is False, status
