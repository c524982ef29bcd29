"""Questions of every kind, drawn from a seed, sent to two servers; and how their answers differ."""
import dataclasses, random, select, struct, time

import dns.exception, dns.message, dns.rcode, dns.rdatatype

from .asker import opt, option, query, question

TYPES = ["A"] * 12 + ["AAAA"] * 6 + ["CNAME", "TXT", "MX", "NS", "SOA", "SRV", "PTR", "HTTPS", "SVCB", "ANY", "NULL", "TYPE65534", "AXFR", "DNSKEY", "CAA"]
NAMES = ["allowed.test", "cn.test", "many.test", "mail.test", "priv.test", "mixed.test", "bad.wild.test", "evil.test", "wild.test", "test", "deep.wild.test",
         "gone.allowed.test", "alias.wild.test", "empty.wild.test", "missing.away.test", "allowed.test.svc.cluster.local", "x.default.svc.cluster.local"]
ODD = [[b"a b", b"wild", b"test"], [b"x\0", b"wild", b"test"], [b"\xff", b"wild", b"test"], [b"allowed.test"], [b"*", b"wild", b"test"]]


@dataclasses.dataclass
class Question:
    wire: bytes
    name: str = ""
    type: str = "A"
    kind: str = "plain"  # or what is odd about it
    recursive: bool = True
    size: int = 512


def drawn(count, seed):
    random_ = random.Random(seed)
    return [one(random_, number) for number in range(count)]


def one(random_, number):
    name = random_.choice(NAMES + [f"n{random_.randrange(300)}.wild.test"] * 14 + [f"x{random_.randrange(300)}.evil.test"] * 4)
    spelt = "".join(letter.upper() if random_.random() < 0.3 else letter for letter in name) if random_.random() < 0.5 else name
    kind = random_.choice(TYPES)
    edns, size = drawn_edns(random_)
    asked = Question(b"", name, kind, size=size)
    flags = 0x0100
    dice = random_.random()
    if dice < 0.12:
        return malformed(random_, asked, spelt, number)
    if dice < 0.16:
        flags, asked.recursive = 0, False
    elif dice < 0.24:
        flags |= random_.choice([0x0010, 0x0020, 0x0030, 0x0040, 0x0400])
    labels = spelt
    if random_.random() < 0.02:
        labels, asked.kind = random_.choice(ODD), "no hostname"
    asked.wire = query(labels, kind, id=number, flags=flags, edns=edns)
    return asked


def drawn_edns(random_):
    """An OPT record or none, and the size that an answer may have."""
    if random_.random() < 0.35:
        return b"", 512
    size = random_.choice([0, 512, 900, 1232, 1232, 4096, 65535])
    options = random_.choice([b"", b"", b"", option(10, b"12345678"), option(3, b""), option(8, b"\0\1\x18\0\x0a\1\2"), option(65001, b"x" * 40),
                              option(12, bytes(60)), option(11, b"")])
    return opt(size, options, flags=random_.choice([0, 0, 0, 0x8000])), max(512, min(size, 1232))


def malformed(random_, asked, spelt, number):
    plain = query(spelt, asked.type, id=number, edns=b"")
    shapes = {
        "answer": query(spelt, asked.type, id=number, flags=0x8180, edns=b""),
        "opcode": query(spelt, asked.type, id=number, flags=random_.choice([1, 2, 4, 5, 6, 9]) << 11, edns=b""),
        "class": query(spelt, asked.type, id=number, qclass=random_.choice([3, 4, 254, 255, 9999]), edns=b""),
        "no question": struct.pack(">6H", number, 0x0100, 0, 0, 0, 0),
        "two questions": query(spelt, asked.type, id=number, edns=b"", counts=(2, 0, 0, 0), rest=question("secret.evil.test")),
        "counts": query(spelt, asked.type, id=number, edns=b"", counts=random_.choice([(1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 3), (9, 0, 0, 0)])),
        "trailing": plain + b"\0" * random_.randint(1, 40),
        "cut": plain[:random_.randint(13, len(plain) - 1)],
        "short": plain[:random_.randint(2, 11)],
        "pointer": struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",
        "label type": struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + b"\x41abc\0\0\1\0\1",
        "EDNS version": query(spelt, asked.type, id=number, edns=opt(version=random_.choice([1, 7, 255]))),
        "two OPTs": query(spelt, asked.type, id=number, edns=opt() + opt(), counts=(1, 0, 0, 2)),
        "option cut": query(spelt, asked.type, id=number, edns=opt(options=b"\0\x0a\0\xff1")),
        "other section": query(spelt, asked.type, id=number, edns=b"", counts=(1, 1, 0, 0), rest=b"\1x\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4"),
    }
    asked.kind = random_.choice(sorted(shapes))
    asked.wire = shapes[asked.kind]
    return asked


class Answered:
    """An answer reduced to what two servers could agree on."""

    FIELDS = ("answered", "rcode", "records", "truncated", "authoritative", "edns")

    def __init__(self, wire, strict=True):
        self.answered = wire is not None
        self.rcode, self.records, self.truncated, self.authoritative, self.edns, self.ede = None, frozenset(), False, False, None, []
        if not self.answered:
            return
        try:
            message = dns.message.from_wire(wire)
        except dns.exception.DNSException:  # unbound sends some malformed questions back with the answer bit set
            assert not strict, wire.hex()
            self.rcode = dns.rcode.to_text(wire[3] & 15)
            return
        self.rcode, self.edns = dns.rcode.to_text(message.rcode()), message.edns >= 0
        self.truncated, self.authoritative = bool(message.flags & 0x0200), bool(message.flags & 0x0400)
        self.records = frozenset((str(rrset.name).lower(), dns.rdatatype.to_text(rrset.rdtype), str(value).lower()) for rrset in message.answer for value in rrset)
        self.ede = [int(option.code) for option in message.options if int(option.otype) == 15]

    def __repr__(self):
        return f"{self.rcode} tc={self.truncated} edns={self.edns} ede={self.ede} {sorted(self.records)[:4]}" if self.answered else "nothing"

    def differences(self, other):
        return {field for field in self.FIELDS if getattr(self, field) != getattr(other, field)}


def exchanged(asker, questions, window=64, patience=1.0):
    """Sends each question once, no more than `window` being unanswered; the answers by number.

    - `questions`: a list, or a dictionary of some of its questions by number.
    """
    answers, waiting = {}, {}
    with asker.datagrams() as sock:
        sock.setblocking(False)

        def take(wait):
            if select.select([sock], [], [], wait)[0]:
                try:
                    while True:
                        wire = sock.recv(65535)
                        number = int.from_bytes(wire[:2])
                        answers.setdefault(number, wire)
                        waiting.pop(number, None)
                except BlockingIOError:
                    pass

        for number, asked in questions.items() if isinstance(questions, dict) else enumerate(questions):
            sock.send(asked.wire)
            if asked.kind not in ("answer", "short"):  # these two are answered by nobody who reads them rightly
                waiting[number] = time.monotonic()
            take(0)
            while len(waiting) >= window:
                take(0.01)
                overdue = time.monotonic() - patience
                waiting = {number: since for number, since in waiting.items() if since > overdue}
        end = time.monotonic() + patience
        while waiting and time.monotonic() < end:
            take(0.05)
        take(0.2)
    return answers
