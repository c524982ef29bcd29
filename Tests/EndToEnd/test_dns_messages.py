"""DNS: messages that are no plain question. Each is answered by what was wrong with it, or by nothing, and told to nobody."""
import json, random, struct

import pytest

from harness.asker import Reply, option, opt, query, question
from harness.audit import strict
from harness.gate import eventually
from harness.naming import fresh_name

ALLOWED = question("allowed.test")
HEAD = bytes.fromhex("12340100")


def test_DNS_11_two_questions_in_one_packet(stage):
    stage.malformed(bytes.fromhex("12340100000200000000000007616c6c6f776564047465737400000100010a73656372657464617461046576696c04746573740000010001"))
    stage.malformed(query("allowed.test", counts=(2, 0, 0, 0), edns=b"", rest=ALLOWED))
    stage.malformed(query("allowed.test", counts=(2, 0, 0, 0), edns=b"", rest=question("secretdata.evil.test")), tcp=True)
    stage.malformed(query("allowed.test", counts=(1, 0, 0, 0), edns=b"", rest=question("secretdata.evil.test")))
    stage.resolves()


TXT = bytes.fromhex("046c65616b046576696c047465737400001000010000003c000706736563726574")


@pytest.mark.parametrize("counts", [(1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1), (1, 1, 1, 1), (1, 0xFFFF, 0, 0)])
def test_DNS_12_records_in_other_sections_reach_nobody(stage, counts):
    name = fresh_name()
    seen = stage.upstream.mark()
    answer = stage.asker.raw(query(name, counts=counts, edns=b"", rest=TXT * min(3, sum(counts) - 1)), timeout=1)
    if answer is not None and Reply(answer).rcode == "NOERROR":  # an additional record may be looked over, never passed on
        assert counts == (1, 0, 0, 1)
    for asked in stage.upstream.since(seen):
        assert b"leak" not in asked.raw and b"secret" not in asked.raw and (asked.name, asked.type) == (name, "A"), asked
    stage.resolves()


OPTIONS = [("private", 65001, b"S3CRET" * 33), ("client subnet", 8, b"\0\1\x20\0S3CR"), ("cookie", 10, b"S3CRETaa"), ("long cookie", 10, b"S3CRETaa" * 5),
           ("padding", 12, b"S3CRET" * 20), ("key tag", 14, b"S3CRET"), ("NSID", 3, b"S3CRET"), ("empty", 65001, b""), ("keepalive", 11, b"S3")]


@pytest.mark.parametrize("code, data", [pytest.param(*row[1:], id=row[0]) for row in OPTIONS])
def test_DNS_12_options_stay_here(stage, code, data):
    for tcp in (False, True):
        name = fresh_name()
        seen = stage.upstream.mark()
        reply = stage.ask(name, tcp=tcp, edns=opt(options=option(code, data)))
        assert reply.addresses == ["11.11.0.10"], reply
        sent, = stage.upstream.since(seen)
        assert b"S3" not in sent.raw, sent
        assert b"S3" not in reply.wire.replace(data[:8], b"") or code == 10, "only a cookie may come back"
    plain = fresh_name()
    seen = stage.upstream.mark()
    stage.ask(plain, edns=b"")
    bare, = stage.upstream.since(seen)
    assert len(bare.raw) - len(plain) == len(sent.raw) - len(name) and bare.rest == sent.rest, "the same question, whatever the client sent along"


def test_DNS_12_flags_a_client_sets_are_not_passed_on(stage):
    sent = []
    for flags, dnssec in ((0x0100, 0), (0x0110, 0x8000), (0x0120, 0), (0x0150, 0), (0x0580, 0), (0x0300, 0x7FFF)):
        name = fresh_name()
        seen = stage.upstream.mark()
        stage.ask(name, flags=flags, edns=opt(flags=dnssec))
        sent += [(query.flags, query.rest) for query in stage.upstream.since(seen)]
    assert len(sent) >= 4 and len(set(sent)) == 1, sent


def test_DNS_12_signatures_are_not_carried(stage):
    tsig = question("key.test", 250, 255) + struct.pack(">IH", 0, 30) + b"\x04hmac\0" + bytes(24)
    answer = stage.asker.raw(query(fresh_name(), counts=(1, 0, 0, 1), edns=b"", rest=tsig), timeout=1)
    assert answer is None or len(answer) < 200
    assert all(b"hmac" not in asked.raw for asked in stage.upstream.since(0))
    stage.resolves()


POINTERS = ["123401000001000000000000c00c00010001", "12340100000100000000000003777777c01600010001c010", "123401000001000000000000c0ff00010001",
            "123401000001000000000000c00000010001", "12340100000100000000000003777777c00c00010001", "123401000001000000000000c00ec00c00010001"]


@pytest.mark.parametrize("message", POINTERS)
def test_DNS_13_pointers_in_a_question_are_never_followed(stage, message):
    stage.malformed(bytes.fromhex(message))
    stage.malformed(bytes.fromhex(message), tcp=True)
    stage.resolves()


LABELS = [[b"allowed.test"], [b"evil.test\0\0a", b"allowed", b"test"], [b'\n{"verdict":"allow"}', b"allowed", b"test"], [b"allowed\0", b"test"],
          [b"all\\owed", b"test"], [b"allowed", b"test\n"], [b"\xc3\xbc", b"wild", b"test"], [b"a b", b"wild", b"test"], [b"*", b"wild", b"test"],
          [b"x\x1b[2J", b"wild", b"test"], [b"a\x2ewild", b"test"], [b"a", b"wild\x2etest"], [b"%41", b"wild", b"test"], [b"\xff" * 63, b"wild", b"test"]]


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: b".".join(labels).decode("latin-1").encode("unicode_escape").decode()[:30])
def test_DNS_14_bytes_that_no_name_has(stage, labels):
    seen, written = stage.upstream.mark(), stage.log.mark()
    for tcp in (False, True):
        answer = stage.asker.raw(query(labels), tcp)
        reply = Reply(answer)
        assert reply.rcode == "NXDOMAIN" and not reply.message.answer and reply.ede == [18], reply
    stage.upstream.heard_nothing(seen)
    record = stage.recorded(written, verdict="deny", reason="malformed-request")
    raw = b".".join(labels)
    for line in stage.log.lines()[written:]:
        strict(line)
        assert all(32 <= ord(letter) < 127 for letter in line), "nothing in the log drives a terminal"
    assert record.host_raw and raw[-4:].decode("latin-1").lower() in json.dumps(record.host_raw, ensure_ascii=False).lower() or b"\n" in raw or b"\xff" in raw, record.line
    stage.resolves()


def test_DNS_14_underscores_and_digits_are_names(stage):
    for label in ("_x", "1", "a-b", "a" * 63, "xn--bcher-kva"):
        stage.resolves(f"{label}.wild.test")


VALID = query("allowed.test")


def test_DNS_15_every_prefix_of_a_question(stage):
    seen = stage.upstream.mark()
    for length in range(len(VALID)):
        if length < 12:
            assert stage.asker.gone(VALID[:length], wait=0.01), f"{length} bytes are no message"
        else:
            answer = stage.asker.raw(VALID[:length])
            assert answer is not None and Reply(answer).rcode == "FORMERR" and answer[:2] == VALID[:2], length
    stage.upstream.heard_nothing(seen)
    assert stage.ask("allowed.test").addresses


MALFORMED = {
    "label type 0x40": HEAD + bytes(6) + b"\0\0" + b"\x41" + b"a" * 65, "label type 0x80": b"",
    "trailing byte": query("allowed.test", edns=b"", rest=b"\0"), "trailing kilobyte": query("allowed.test", rest=b"x" * 1024),
    "name of 256 bytes": query([b"a" * 63] * 3 + [b"b" * 62], edns=b""), "label past the end": HEAD + b"\0\1" + bytes(6) + b"\x3fallowed",
    "no end of the name": HEAD + b"\0\1" + bytes(6) + b"\x07allowed\x04test", "type cut": HEAD + b"\0\1" + bytes(6) + ALLOWED[:-3],
    "OPT cut": query("allowed.test", edns=opt()[:-2], counts=(1, 0, 0, 1)), "OPT longer than the message": query("allowed.test", edns=opt()[:-2] + b"\xff\xff"),
    "two OPTs": query("allowed.test", edns=opt() + opt(), counts=(1, 0, 0, 2)), "OPT with a name": query("allowed.test", edns=b"\1x" + opt(), counts=(1, 0, 0, 1)),
    "option cut": query("allowed.test", edns=opt(options=b"\xfd\xe9\xff\xff12")), "counts that are not there": query("allowed.test", edns=b"", counts=(1, 0, 0, 9)),
}
MALFORMED["label type 0x40"] = HEAD + b"\0\1" + bytes(6) + b"\x41" + b"a" * 65 + b"\0\0\1\0\1"
MALFORMED["label type 0x80"] = HEAD + b"\0\1" + bytes(6) + b"\x81" + b"a" * 65 + b"\0\0\1\0\1"


@pytest.mark.parametrize("kind", MALFORMED)
def test_DNS_15_messages_that_end_or_count_wrongly(stage, kind):
    for tcp in (False, True):
        stage.malformed(MALFORMED[kind], tcp=tcp)
    stage.resolves()


def test_DNS_15_large_datagrams(stage):
    seen = stage.upstream.mark()
    for size in (1500, 4096, 65507):
        wire = query("allowed.test", edns=b"") + b"x" * (size - len(query("allowed.test", edns=b"")))
        answer = stage.asker.raw(wire, timeout=0.5)
        assert answer is None or Reply(answer).rcode == "FORMERR" and len(answer) <= 512, (size, answer)
    stage.upstream.heard_nothing(seen)
    stage.resolves()


def test_DNS_15_mutations_neither_crash_it_nor_leak_through_it(own_stage):
    """A hundred thousand; what is answered is a message, and what goes upstream is an allowed name and nothing else."""
    stage = own_stage()
    random_ = random.Random(1035)
    seeds = [VALID, query("allowed.test", edns=b""), query("a.wild.test", "HTTPS", edns=opt(options=option(10, b"12345678")))]
    seen, answered = stage.upstream.mark(), 0
    with stage.asker.datagrams() as sock:
        sock.settimeout(0.0)
        for count in range(100_000):
            wire = bytearray(random_.choice(seeds))
            for _ in range(random_.randint(1, 4)):
                wire[random_.randrange(len(wire))] = random_.randrange(256)
            if random_.random() < 0.1:
                wire = wire[:random_.randrange(len(wire))]
            sock.send(wire)
            answered += sum(1 for _ in drained(sock))
    assert stage.gate.is_alive and answered > 10_000, (answered, stage.gate.said[-3:])
    for asked in stage.upstream.since(seen):
        assert asked.name == "allowed.test" or asked.name.endswith(".wild.test") or asked.name == "cn.test", asked
        assert asked.name.count(".") <= 4 and len(asked.rest) <= 11, asked
    eventually(lambda: stage.asker.raw(query("allowed.test"), timeout=1), 10, "nothing is answered any more")  # the queue may still be full
    assert stage.ask(fresh_name()).addresses == ["11.11.0.10"]


def drained(sock):
    try:
        while wire := sock.recv(65535):
            assert len(wire) >= 12 and wire[2] & 0x80, wire.hex()
            yield wire
    except BlockingIOError:
        return


def test_DNS_16_an_answer_is_no_question(stage):
    seen = stage.upstream.mark()
    assert stage.asker.gone(bytes.fromhex("12348180000100000000000007616c6c6f77656404746573740000010001"))
    assert stage.asker.gone(query("allowed.test", flags=0x8100)) and stage.asker.gone(query("leak.evil.test", flags=0xA800))
    stage.upstream.heard_nothing(seen)
    stage.resolves()


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 5, 6, 15])
def test_DNS_16_only_queries_are_implemented(stage, opcode):
    stage.malformed(query("allowed.test", flags=opcode << 11 | 0x0100), rcode="NOTIMP")
    stage.malformed(query("leak.evil.test", flags=opcode << 11, edns=b""), rcode="NOTIMP", tcp=True)
    stage.resolves()


@pytest.mark.parametrize("qclass", [3, 4, 0, 2, 254, 255, 65535])
def test_DNS_16_only_the_internet_class(stage, qclass):
    stage.malformed(query("allowed.test", qclass=qclass), rcode="REFUSED")
    stage.malformed(query("leak.evil.test", qclass=qclass, edns=b""), rcode="REFUSED", tcp=True)
    stage.malformed(query("version.bind", "TXT", qclass=3), rcode="REFUSED")
    stage.resolves()


def test_DNS_16_no_question_at_all(stage):
    stage.malformed(bytes.fromhex("123401000000000000000000"))
    stage.malformed(bytes.fromhex("123401000000000000000000"), tcp=True)
    stage.malformed(struct.pack(">6H", 0x1234, 0x0100, 0, 0, 0, 1) + opt())
    stage.resolves()


@pytest.mark.parametrize("version", [1, 255])
def test_DNS_16_a_later_edns_is_told_the_version(stage, version):
    reply = stage.malformed(query("allowed.test", edns=opt(version=version)), rcode="BADVERS")
    assert reply.message.edns == 0
    stage.resolves()
