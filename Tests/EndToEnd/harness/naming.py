"""The DNS listener under test: a gate with its upstream in namespaces of their own, and its outcomes as methods."""
import contextlib, itertools, json, time

import dns.flags, dns.rdatatype

from .asker import PROHIBITED, Asker, Reply, opt
from .client import Agent
from .far import Far
from .gate import SHARED, Gate
from .namespaces import GATE, GATE6, GOOD, GOOD6, RESOLVER, Namespaces
from .trial import Trial
from .upstream import Upstream

POLICY = """version: 1
rules:
  - { id: tunnel, action: allow, to: [allowed.test, rebind.test, priv.test, mixed.test, cn.test, many.test] }
  - { id: wild, action: allow, to: ["*.wild.test"], limits: { dns-labels: none } }
  - { id: plain, action: allow, protocol: http, to: [plain.test] }
  - { id: asked, action: ask, to: [asked.test] }
  - { id: texts, action: allow, protocol: dns, types: [TXT, MX], to: [mail.test] }
  - { id: bad, action: deny, to: [bad.wild.test, "**.tracker.test"] }
"""
AGENT = "default"  # whose questions they are: the listener belongs to no agent
ROOT_SOA = ". 5 IN SOA . . {generation} 5 5 5 5"
LISTENERS = (f"{GATE}:53", f"[{GATE6}]:53")

_fresh = itertools.count()


def fresh_name(suffix="wild.test"):
    """A name nobody asked for yet, so that nothing is cached and its record is its own."""
    return f"n{next(_fresh)}.{suffix}"


class Stage:
    def __init__(self, directory, policy=POLICY, *, rate=0, extra=(), upstream=(RESOLVER,), dns=LISTENERS, scripted=True, tls=None,
                 start=True, resolv_conf=f"nameserver {RESOLVER}\n", **options):
        self.bench = Namespaces(resolv_conf=resolv_conf)
        self.far = Far(self.bench, ports=(80, 443), resolver=False)
        self.upstream = Upstream(self.bench, self.far, tls) if scripted else None
        flags = [word for address in dns for word in ("--dns-listen", address)]
        if rate is not None:
            flags += ["--dns-rate", str(rate)]
        self.gate = Gate(self.bench, directory, policy, upstream=upstream, extra=(*flags, *extra), doubles=0, **options)
        self.log, self.asker = self.gate.log, Asker(self.bench)
        self.trial = Trial(self.bench, self.far, self.gate, Agent(self.bench, port=SHARED), AGENT)
        if start:
            try:
                self.gate.start()
            except BaseException:
                self.close()
                raise

    def close(self):
        with contextlib.ExitStack() as rest:  # each of them, whatever becomes of the others
            rest.callback(self.bench.remove)
            rest.callback(self.far.close)
            if self.upstream:
                rest.callback(self.upstream.close)
            self.gate.stop()
        assert not (self.upstream and self.upstream.mistakes), self.upstream.mistakes[:3]

    def ask(self, *arguments, **options):
        try:
            return self.asker.ask(*arguments, **options)
        except AssertionError:
            assert self.gate.is_alive, f"the gate died of {arguments}: {self.gate.said[-12:]}"
            raise

    @property
    def status(self):
        return json.loads(self.gate.tell("status", "--json").stdout)

    @property
    def generation(self):
        return self.status["policy"]["generation"]

    # -- negative outcomes

    def denied(self, name, kind="A", *, reason="no-rule", ede=PROHIBITED, asker=None, recorded=True, **options):
        """DNSREF: the denial of DESIGN section 4, the question echoed, nothing upstream, one record."""
        seen, written = self.upstream.mark(), self.log.mark()
        reply = (asker or self.asker).ask(name, kind, **options)
        self.is_denial(reply, ede if options.get("edns", opt()) else None)
        self.upstream.heard_nothing(seen)
        if recorded:
            self.recorded(written, verdict="deny", question=name.lower(), type=kind, reason=reason)
        return reply

    def is_denial(self, reply, ede=PROHIBITED):
        assert reply.rcode == "NXDOMAIN" and not reply.message.answer, reply
        assert self.plain_flags(reply), f"flags {reply.flags:04x}"
        soa = [line for rrset in reply.message.authority for line in rrset.to_text().splitlines()]
        assert soa == [ROOT_SOA.format(generation=self.generation)], soa
        assert reply.ede == ([] if ede is None else [ede]), f"{ede} expected, got {reply}"
        assert self.gate.is_alive, self.gate.said[-5:]

    def empty(self, name, kind, *, ede=None, forwarded=0, **options):
        """NODATA: the name is there, and has nothing of this type; by default nobody upstream was asked."""
        seen = self.upstream.mark()
        reply = self.ask(name, kind, **options)
        assert reply.rcode == "NOERROR" and not reply.message.answer, reply
        assert ede is None or reply.ede == [ede], reply
        assert len(self.upstream.since(seen)) == forwarded, self.upstream.since(seen)
        return reply

    def refused(self, name, kind, *, ede=PROHIBITED, rcode="REFUSED", **options):
        seen = self.upstream.mark()
        reply = self.ask(name, kind, **options)
        assert reply.rcode == rcode and not reply.message.answer, reply
        assert ede is None or reply.ede == [ede], reply
        self.upstream.heard_nothing(seen)
        return reply

    def malformed(self, wire, rcode="FORMERR", tcp=False):
        """An answer that says what was wrong with the message, and nothing else."""
        seen = self.upstream.mark()
        answer = self.asker.raw(wire, tcp)
        assert answer is not None, f"no answer to {wire.hex()}"
        reply = Reply(answer)
        assert reply.rcode == rcode and answer[:2] == wire[:2] and not reply.message.answer, (reply, wire.hex())
        self.upstream.heard_nothing(seen)
        return reply

    def recorded(self, written, **wanted):
        return self.log.wait_for(written, layer="dns", **{"agent": AGENT} | wanted)[0]

    @staticmethod
    def plain_flags(reply, rd=True):
        """QR, RA, and RD when it was set; never AA, AD or Z, nor TC."""
        wanted = dns.flags.QR | dns.flags.RA | (dns.flags.RD if rd else 0)
        return reply.flags & 0xFFF0 == wanted

    # -- positive controls

    def resolves(self, name=None, kind="A", address=GOOD, rule=None, **options):
        """ALLOW: a name of its own, asked upstream exactly once, answered and recorded."""
        name = name or fresh_name()
        seen, written = self.upstream.mark(), self.log.mark()
        reply = self.ask(name, kind, **options)
        assert reply.rcode == "NOERROR" and reply.records == [(name, kind, address)], reply
        assert self.plain_flags(reply) and not reply.ede, reply
        asked = self.upstream.since(seen)
        assert [(query.name, query.type) for query in asked] == [(name.lower(), kind)], asked
        self.recorded(written, verdict="allow", question=name.lower(), type=kind, **({"rule": rule} if rule else {}))
        return reply

    def tunnels(self, name="allowed.test", rule="tunnel"):
        """A CONNECT that opens; of the two addresses of a name, IPv6 comes first (RFC 8305)."""
        return self.trial.tunnels(f"{name}:443", name, address=GOOD6, rule=rule)

    def stays_silent(self, seconds=0.3):
        """Waits a little; nothing may reach the upstream meanwhile."""
        mark = self.upstream.mark()
        time.sleep(seconds)
        self.upstream.heard_nothing(mark)
