"""What an agent asks: well-formed questions, raw bytes, over UDP and TCP; and what a denial has to look like."""
import socket, struct, time

import dns.edns, dns.flags, dns.message, dns.opcode, dns.rcode, dns.rdataclass, dns.rdatatype

BLOCKED, FILTERED, PROHIBITED, NOT_READY, NO_AUTHORITY, NETWORK = 15, 17, 18, 20, 22, 23  # RFC 8914 §5.2


def question(name, kind="A", qclass="IN"):
    """A question as it stands on the wire; `name` may be labels of bytes."""
    labels = [label.encode("latin-1") for label in name.split(".") if label] if isinstance(name, str) else name
    number = kind if isinstance(kind, int) else dns.rdatatype.from_text(kind)
    place = qclass if isinstance(qclass, int) else dns.rdataclass.from_text(qclass)
    return b"".join(bytes([len(label)]) + label for label in labels) + struct.pack(">BHH", 0, number, place)


def opt(size=1232, options=b"", version=0, flags=0):
    """An OPT record (RFC 6891 §6.1.2)."""
    return struct.pack(">BHHBBHH", 0, 41, size, 0, version, flags, len(options)) + options


def option(code, data):
    return struct.pack(">HH", code, len(data)) + data


def query(name, kind="A", *, id=0x1234, flags=0x0100, edns=opt(), counts=None, qclass="IN", rest=b""):
    """A whole query; `counts` overrides what the header says of the sections."""
    counts = counts or (1, 0, 0, 1 if edns else 0)
    return struct.pack(">6H", id, flags, *counts) + question(name, kind, qclass) + edns + rest


class Reply:
    """An answer read strictly, with what tests ask of it by name."""

    def __init__(self, wire):
        self.wire, self.message = wire, dns.message.from_wire(wire)
        self.rcode, self.flags = dns.rcode.to_text(self.message.rcode()), self.message.flags
        self.truncated = bool(self.flags & dns.flags.TC)
        self.ede = [option.code for option in self.message.options if isinstance(option, dns.edns.EDEOption)]

    def __repr__(self):
        return f"<{self.rcode} {' / '.join(map(str, self.message.answer)) or 'empty'} ede={self.ede} {len(self.wire)} bytes>"

    @property
    def records(self):
        """(owner, type, value), in order."""
        return [(str(rrset.name).rstrip("."), dns.rdatatype.to_text(rrset.rdtype), str(value).strip("."))
                for rrset in self.message.answer for value in rrset]

    @property
    def addresses(self):
        return [value for _, kind, value in self.records if kind in ("A", "AAAA")]

    @property
    def ttls(self):
        return [rrset.ttl for rrset in self.message.answer]


class Asker:
    """Asks one DNS listener of the gate from the sandbox."""

    def __init__(self, bench, address="10.66.0.1", port=53):
        self.bench, self.place, self._serial = bench, (address, port), 0
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def datagrams(self):
        with self.bench.inside("agent"):
            sock = socket.socket(self.family, socket.SOCK_DGRAM)
        sock.connect(self.place)
        return sock

    def stream(self, timeout=5.0):
        with self.bench.inside("agent"):
            sock = socket.socket(self.family, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        sock.connect(self.place)
        return sock

    def raw(self, wire, tcp=False, timeout=6.0):
        """Sends these bytes as one message; the answer, or None when there is none in time."""
        try:
            if not tcp:
                with self.datagrams() as sock:
                    sock.settimeout(timeout)
                    sock.send(wire)
                    return sock.recv(65535)
            with self.stream(timeout) as sock:
                sock.sendall(struct.pack(">H", len(wire)) + wire)
                return read_message(sock)
        except (TimeoutError, ConnectionRefusedError, ConnectionResetError):
            return None

    def ask(self, name, kind="A", *, tcp=False, timeout=6.0, **options):
        """One question; what comes back has its id, its question letter by letter, and is read strictly."""
        self._serial = self._serial % 65535 + 1
        wire = self.raw(query(name, kind, id=self._serial, **options), tcp, timeout)
        assert wire is not None, f"no answer for {name} {kind}"
        asked = question(name, kind, options.get("qclass", "IN"))
        assert wire[:2] == struct.pack(">H", self._serial) and wire[12:12 + len(asked)] == asked, wire.hex()
        return Reply(wire)

    def gone(self, wire, wait=0.3):
        """Whether these bytes get no answer at all, while a question behind them does."""
        with self.datagrams() as sock:
            sock.send(wire)
            sock.settimeout(5)
            sock.send(query("after.denied.test", id=0x7E57))
            first = sock.recv(65535)
            sock.settimeout(wait)
            try:
                return first[:2] == b"\x7e\x57" and not sock.recv(65535)
            except TimeoutError:
                return first[:2] == b"\x7e\x57"


def read_message(sock):
    """One message of a stream, or None at its end."""
    raw = b""
    while len(raw) < 2 or len(raw) < 2 + int.from_bytes(raw[:2]):
        data = sock.recv(65536 if len(raw) < 2 else 2 + int.from_bytes(raw[:2]) - len(raw))
        if not data:
            return None
        raw += data
    return raw[2:]


def within(seconds):
    """Times a block: `with within(1): …` fails when it takes longer."""
    class Timer:
        def __enter__(self):
            self.began = time.monotonic()

        def __exit__(self, kind, *_):
            took = time.monotonic() - self.began
            assert kind is not None or took < seconds, f"took {took:.2f} s, {seconds} s allowed"
    return Timer()
