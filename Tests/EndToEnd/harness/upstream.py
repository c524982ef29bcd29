"""A resolver that says what a test wants: it keeps every query as it came, and answers by script, over UDP, TCP and TLS."""
import collections, contextlib, socket, struct, threading, time

import dns.flags, dns.message, dns.rcode, dns.rdatatype, dns.rrset

from .far import Asked as Noted
from .far import IP_TRANSPARENT, IPV6_TRANSPARENT
from .namespaces import GOOD, GOOD6, RESOLVER

IP_PKTINFO = 8  # <linux/in.h>
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
AUTHORITY = "test. 60 IN SOA ns.test. root.test. 1 3600 600 86400 60"


class Query:
    """One query: what it asks, and what it gives away of who asks."""

    def __init__(self, raw, transport, server, peer):
        self.raw, self.transport, self.server, self.peer, self.at = raw, transport, server, peer, time.monotonic()
        self.id, self.flags = struct.unpack(">HH", raw[:4])
        labels, at = [], 12
        while raw[at]:
            labels.append(raw[at + 1:at + 1 + raw[at]].decode("latin-1"))
            at += 1 + raw[at]
        self.spelt = ".".join(labels)
        self.name, self.number = self.spelt.lower(), int.from_bytes(raw[at + 1:at + 3])
        self.type, self.port = dns.rdatatype.to_text(self.number), peer[1]
        self.question, self.rest = raw[12:at + 5], raw[at + 5:]

    def __repr__(self):
        return f"<{self.transport} to {self.server}: {self.spelt} {self.type} {self.raw.hex()}>"

    @property
    def text(self):
        """The name as a zone file writes it."""
        return "".join(letter if letter in PLAIN else f"\\{ord(letter):03}" for letter in self.name)

    @property
    def payload(self):
        """The size its OPT record offers; 512 without one (RFC 6891 §6.2.5)."""
        return int.from_bytes(self.rest[3:5]) if self.rest[:3] == b"\0\0\x29" else 512

    def head(self, flags=0x8180, answers=0):
        """A header and the question again, for answers written by hand."""
        return struct.pack(">6H", self.id, flags, 1, answers, 0, 0) + self.question


class Answer:
    """Records as zone files write them, in this order; `{name}` stands for the name in question."""

    def __init__(self, *records, authority=(), additional=(), rcode="NOERROR", truncated=False, delay=0.0):
        self.sections, self.rcode, self.truncated, self.delay = (records, authority, additional), rcode, truncated, delay

    def __call__(self, query):
        time.sleep(self.delay)
        reply = dns.message.make_response(dns.message.from_wire(query.raw), recursion_available=True)
        reply.set_rcode(dns.rcode.from_text(self.rcode))
        for section, lines in zip((reply.answer, reply.authority, reply.additional), self.sections):
            section.extend(rrset(line.format(name=query.text)) for line in lines)
        wire = reply.to_wire(max_size=65535, want_shuffle=False) if not self.truncated or query.transport != "udp" else None
        if wire is None or (query.transport == "udp" and len(wire) > query.payload):
            return [query.head(flags=0x8380)]
        return [wire]


def rrset(line):
    owner, ttl, _, kind, *value = line.split(" ", 4)
    return dns.rrset.from_text_list(owner, int(ttl), "IN", kind, [" ".join(value)])


def addresses(*values, ttl=60):
    """The records for these addresses; those of the other family are left out by `both`."""
    return Answer(*(f"{{name}}. {ttl} IN {'AAAA' if ':' in value else 'A'} {value}" for value in values))


def failing(rcode):
    return Answer(rcode=rcode)


def by_hand(write):
    """An answer of raw bytes: `write(query)` gives one message, or several to be sent one after the other."""
    def answer(query):
        written = write(query)
        return [written] if isinstance(written, bytes) else written
    return answer


EMPTY = Answer(authority=(AUTHORITY,))
UNKNOWN = Answer(authority=(AUTHORITY,), rcode="NXDOMAIN")
SILENCE = by_hand(lambda query: [])


class Upstream:
    """`zone[name, type]` is a list of answers, taken in turn, the last one for good; `suffixes` answer whole domains."""

    def __init__(self, bench, far=None, tls=None, everywhere=True):
        self.bench, self.far, self.seen, self.zone, self.suffixes = bench, far, [], {}, {}
        self.mistakes = []
        self._turn, self._lock, self._sockets = collections.Counter(), threading.Lock(), []
        with bench.inside("out"):
            self._open(socket.AF_INET, RESOLVER)
            if everywhere:  # questions that went to a server nobody configured
                self._open(socket.AF_INET, "0.0.0.0", tcp=False)
                self._open(socket.AF_INET6, "::", tcp=False)
            if tls is not None:
                self._stream(socket.AF_INET, RESOLVER, 853, tls)
        self.reset()

    def reset(self):
        self.zone.clear(), self.suffixes.clear(), self._turn.clear()
        for name in ("allowed.test", "plain.test", "cn.test"):
            self.holds(name, GOOD, GOOD6)
        self.suffixes["wild.test"] = {"A": addresses(GOOD), "AAAA": addresses(GOOD6)}
        self.suffixes["evil.test"] = {"A": addresses("11.66.0.66")}

    def holds(self, name, *values, ttl=60):
        """`name` has these addresses, and nothing else."""
        for kind in ("A", "AAAA"):
            family = [value for value in values if (":" in value) == (kind == "AAAA")]
            self.zone[name, kind] = [addresses(*family, ttl=ttl) if family else EMPTY]

    def says(self, name, kind, *answers):
        self.zone[name, kind] = list(answers)
        self._turn[name, kind] = 0

    # -- what was seen

    def mark(self):
        return len(self.seen)

    def since(self, mark, **wanted):
        with self._lock:
            queries = self.seen[mark:]
        return [query for query in queries if all(getattr(query, key) == value for key, value in wanted.items())]

    def heard_nothing(self, mark):
        assert not self.since(mark), f"reached the upstream: {self.since(mark)}"

    # -- the wire

    def _open(self, family, address, tcp=True):
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            udp.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        else:
            udp.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
            udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        udp.bind((address, 53))
        self._start(udp, self._datagrams, address)
        if tcp:
            self._stream(family, address, 53, None)

    def _stream(self, family, address, port, tls):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(256)
        self._start(listener, self._accept, address, tls)

    def _start(self, sock, work, *arguments):
        self._sockets.append(sock)
        threading.Thread(target=self._quietly, args=(work, sock, *arguments), daemon=True).start()

    @staticmethod
    def _quietly(work, *arguments):
        with contextlib.suppress(OSError, struct.error):  # who asked may be gone
            work(*arguments)

    def _datagrams(self, udp, server):
        while True:
            raw, notes, _, peer = udp.recvmsg(65535, 64)
            if not raw:
                return  # shut down
            came_to = [socket.inet_ntoa(note[8:12]) for level, kind, note in notes if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO)]
            query = self._note(raw, "udp", *(came_to or [server]), peer)
            answer = self._answer(query)
            if getattr(answer, "delay", 0) or getattr(answer, "slow", False):
                threading.Thread(target=self._quietly, args=(self._send, udp, answer, query), daemon=True).start()
            else:
                self._quietly(self._send, udp, answer, query)

    def _send(self, udp, answer, query):
        """From the address that was asked (ip(7), IP_PKTINFO)."""
        place = struct.pack("=i4s4s", 0, socket.inet_aton(query.server), bytes(4)) if ":" not in query.server else None
        notes = [(socket.IPPROTO_IP, IP_PKTINFO, place)] if place else []
        for wire in self._made(answer, query):
            udp.sendmsg([wire], notes, 0, query.peer)

    def _made(self, answer, query):
        """What a script makes of a query; its own mistakes are kept for the end of the test."""
        try:
            return answer(query)
        except Exception as mistake:
            self.mistakes.append((query, mistake))
            return []

    def _accept(self, listener, server, tls):
        while True:
            connection, peer = listener.accept()
            threading.Thread(target=self._quietly, args=(self._converse, connection, server, peer, tls), daemon=True).start()

    def _converse(self, connection, server, peer, tls):
        connection.settimeout(30)
        with (tls.wrap_socket(connection, server_side=True) if tls else connection) as stream:
            reader = stream.makefile("rb")
            while len(prefix := reader.read(2)) == 2:
                query = self._note(reader.read(int.from_bytes(prefix)), "tls" if tls else "tcp", server, peer)
                for wire in self._made(self._answer(query), query):
                    stream.sendall(struct.pack(">H", len(wire)) + wire)

    def _note(self, raw, transport, server, peer):
        query = Query(raw, transport, server, peer)
        with self._lock:
            self.seen.append(query)
        if self.far is not None:
            self.far.note(Noted(query.name, query.type, server))
        return query

    def _answer(self, query):
        key = (query.name, query.type)
        answers = self.zone.get(key)
        if answers:
            with self._lock:
                turn = self._turn[key]
                self._turn[key] += 1
            return answers[min(turn, len(answers) - 1)]
        if any(name == query.name for name, _ in self.zone):
            return EMPTY
        for suffix, kinds in self.suffixes.items():
            if query.name == suffix or query.name.endswith("." + suffix):
                return kinds.get(query.type, kinds.get("*", EMPTY))
        return UNKNOWN

    def send_from(self, address, port, wire, peer):
        """A datagram to the gate's resolver from a place of the test's choice."""
        with self.bench.inside("out"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            udp.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
            udp.bind((address, port))
            udp.sendto(wire, peer)

    def close(self):
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
