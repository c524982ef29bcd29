"""What an attack has to come to, asserted whole: the answer, the log, and a far side that saw nothing."""
import contextlib, ipaddress, re, time

from .client import Agent, client_hello, connect, drain, get, read_head
from .far import Accepted, Asked, Received
from .gate import A1
from .namespaces import GOOD

OK, FLIGHT = b"HTTP/1.1 200", b"FLIGHT "


class Trial:
    """One module's gate and far side, and the outcomes of the catalogue as methods.

    Every negative outcome is followed by `passes()` in the same test: a gate that refuses everything proves
    nothing. What leaked late would stand in the far side's log before the positive control's own bytes.
    """

    def __init__(self, bench, far, gate, agent=None, name="a1"):
        self.bench, self.far, self.gate, self.name = bench, far, gate, name
        self.agent = agent or Agent(bench)

    # -- negative outcomes

    def denied(self, *segments, reason, status=403, **options):
        """DENY: a verdict of the policy, told as DESIGN section 4 says."""
        reply = self.refused(*segments, reason=reason, status=status, **options)
        assert (reply.field("Proxy-Status") or "").startswith("exitgate; error="), reply.head
        assert reply.field("Content-Type") == "application/json" and reply.field("Connection") == "close"
        told = reply.json
        assert told["reason"] == reason and isinstance(told["policy_generation"], int), told
        return reply

    def malformed(self, *segments, status=400, reason=None, **options):
        """BAD: no request at all; the connection ends and nothing behind it is read."""
        return self.refused(*segments, status=status, reason=reason, **options)

    def refused(self, *segments, status, reason=None, resolves=False, dials=False, agent=None, itself=False, **wanted):
        """`itself`: not by a double, since what the agent did before is what it is refused for."""
        client, name = (self.agent, self.name) if itself else self.stranger()
        seen, written = self.far.mark(), self.gate.log.mark()
        reply = client.send(*segments)
        expected = status if isinstance(status, (tuple, set)) else (status,)
        assert reply.status in expected, f"{status} expected for {segments!r}, got {reply}"
        assert reply.ended == "closed", f"the connection stays {reply.ended} after {reply.status}: {segments!r}"
        assert reply.raw.count(b"HTTP/1.1 ") == 1, f"something behind the refusal was answered: {reply.raw!r}"
        self.nothing_reached_the_far_side(seen, resolves=resolves, dials=dials)
        record = self.recorded(written, agent or name, **({"reason": reason} if reason else {}), **wanted)
        assert record.host is None or speaks_of(b"".join(segments), record.host), f"{record} is not about {segments!r}"
        assert self.gate.is_alive, f"the gate died of {segments!r}: {self.gate.said[-5:]}"
        return reply

    def stranger(self):
        """Who sends what is to be refused, and the name it has in the log: for a1 a double of it, where there is one.

        Of identical denials within ten seconds the log writes the first and counts the rest, agent by agent; so each
        denial has a record of its own. That nothing was counted beside it, the doubles prove when the gate ends.
        """
        return self.gate.doubles.take() if self.agent.port == A1 and self.gate.doubles else (self.agent, self.name)

    def recorded(self, written, agent, **wanted):
        """The one record that this agent was denied something after the mark."""
        self.gate.log.wait_for(written, agent=agent, verdict="deny")
        denials = [entry for entry in self.gate.log.entries(written) if entry.agent == agent and entry.verdict == "deny"]
        assert len(denials) == 1 and denials[0].event == "decision", f"one record of one denial expected, got {denials}"
        assert denials[0].matches(wanted), f"{wanted} expected, got {denials}"
        return denials[0]

    def nothing_reached_the_far_side(self, seen, resolves=False, dials=False):
        events = self.far.since(seen)
        leaked = [event for event in events if not (
            (isinstance(event, Asked) and resolves) or (isinstance(event, Accepted) and dials))]
        assert not leaked, f"reached the far side: {leaked}"

    def settles(self, seconds=5.0):
        """Waits until nothing more arrives at the far side from what was sent before."""
        deadline, seen = time.monotonic() + seconds, -1
        while seen != (seen := self.far.mark()):
            assert time.monotonic() < deadline, "the far side is still being spoken to"
            time.sleep(0.2)

    # -- positive controls

    def passes(self):
        """ALLOW, both ways of asking; what the origin got is exactly what was meant for it."""
        self.tunnels(b"allowed.test:443", b"allowed.test")
        self.fetches("http://plain.test/control")

    def tunnels(self, authority, name, address=GOOD, request=None, rule="tunnel"):
        """A CONNECT that opens, and whose first flight arrives whole and once."""
        seen, written, flight = self.far.mark(), self.gate.log.mark(), client_hello(name)
        with self.agent.open() as sock:
            sock.sendall(request or connect(authority))
            reply = read_head(sock)
            assert reply.raw.startswith(OK), f"{authority!r} should pass: {reply}"
            sock.sendall(flight)
            answer = sock.recv(4096)
        assert answer == FLIGHT + address.encode(), answer
        got = [event for event in self.far.since(seen, Received)]
        assert b"".join(event.data for event in got) == flight and {event.address for event in got} == {address}
        self.gate.log.wait_for(written, verdict="allow", agent=self.name, rule=rule)
        return reply

    def fetches(self, url, host="plain.test", rule="plain", fields="", **options):
        """A plain request that is answered; returns the reply and what the origin received."""
        seen, written = self.far.mark(), self.gate.log.mark()
        reply = self.agent.send(get(url, host, "Connection: close\r\n" + fields, **options))
        assert reply.status == 200 and reply.ended == "closed", f"{url} should pass: {reply}"
        self.gate.log.wait_for(written, verdict="allow", agent=self.name, rule=rule)
        return reply, b"".join(event.data for event in self.far.since(seen, Received))

    def opened(self, authority="allowed.test:443", client=None):
        """A tunnel that stands and has not said a word yet."""
        seen, sock = self.far.mark(), (client or self.agent).open()
        sock.sendall(connect(authority))
        reply = read_head(sock)
        assert reply.raw.startswith(OK), reply
        self.far.wait_for(seen, Accepted)  # the kernel accepts before the origin does: none of its events come later
        return sock

    def first_flight(self, *segments, authority="allowed.test:443", gap=0.0, client=None):
        """Opens a tunnel, sends these bytes, and reads what comes of it."""
        with self.opened(authority, client) as sock:
            for segment in segments:
                try:
                    sock.sendall(segment)
                except OSError:
                    break
            return drain(sock)


def speaks_of(request, host):
    """Whether the request names this host, also where an address is spelt in another way than the canonical one."""
    if ":" not in host:
        return host.encode() in request.lower()
    literals = []
    for literal in re.findall(rb"\[([0-9a-fA-F:.]+)\]", request):
        with contextlib.suppress(ValueError):
            literals.append(ipaddress.ip_address(literal.decode()))
    return ipaddress.ip_address(host) in literals
