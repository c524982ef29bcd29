"""DNS: the way up. Each question is built anew, each answer believed only when it is the one that was asked for."""
import math, struct, time

import pytest

from harness.asker import query, within
from harness.client import connect
from harness.gate import eventually
from harness.namespaces import EVIL, GOOD, RESOLVER
from harness.naming import fresh_name
from harness.upstream import Answer, addresses, by_hand

FALSE = "11.66.0.66"


def test_DNS_10_the_upstream_never_sees_the_clients_letters(stage):
    spelt = []
    for number in range(40):
        letters = "".join(letter.upper() if number >> (at % 6) & 1 else letter for at, letter in enumerate("somelongishlabel"))
        name = f"{letters}{number}.WiLd.TEST"
        seen = stage.upstream.mark()
        assert stage.ask(name).records == [(name, "A", GOOD)], "the answer keeps the client's case"
        asked, = stage.upstream.since(seen)
        assert asked.name == name.lower() and (asked.spelt != name)
        spelt.append((name, asked.spelt))
    same = sum(a == b for name, asked in spelt for a, b in zip(name, asked) if a.isalpha())
    letters = sum(a.isalpha() for name, _ in spelt for a in name)
    lower = all(asked == asked.lower() for _, asked in spelt)
    assert lower or abs(same / letters - 0.5) < 0.1, f"{same} of {letters} letters are the client's"


def test_DNS_10_the_answer_keeps_the_clients_case_from_the_cache_too(stage):
    name = fresh_name()
    stage.resolves(name)
    seen = stage.upstream.mark()
    for spelt in (name.upper(), name.title(), name):
        for tcp in (False, True):
            assert stage.ask(spelt, tcp=tcp).records == [(spelt, "A", GOOD)]
    stage.upstream.heard_nothing(seen)


def test_DNS_12_what_goes_up_is_a_question_and_nothing_else(stage):
    """Its own flags, its own EDNS, of the size 1232, and no option."""
    seen = stage.upstream.mark()
    stage.resolves()
    asked, = stage.upstream.since(seen)
    assert asked.flags & ~0x0110 == 0 and asked.flags & 0x0100, f"{asked.flags:04x}"
    assert asked.rest == b"" or asked.rest == struct.pack(">BHHIH", 0, 41, 1232, 0, 0), asked.rest.hex()
    assert asked.server == RESOLVER


def test_DNS_13_pointers_in_answers_that_lead_nowhere(stage):
    """Loops, a pointer past the end, a chain of two hundred: the answer is thrown away, and the gate lives."""
    def chain(asked):
        links = b"".join(struct.pack(">H", 0xC000 | len(asked.head()) + 2 * step) for step in range(200))
        return asked.head(answers=1) + links + struct.pack(">HHHIH4s", 0xC000 | len(asked.head()) + 398, 1, 1, 60, 4, b"\x0b\x42\0\x42")

    def ending(tail):
        return lambda asked: asked.head(answers=1) + tail

    hostile = [ending(b"\xc0\xff" + struct.pack(">HHIH4s", 1, 1, 60, 4, b"\x0b\x42\0\x42")), chain,
               lambda asked: asked.head(answers=1) + struct.pack(">HHHIH4s", 0xC000 | len(asked.head()), 1, 1, 60, 4, b"\x0b\x42\0\x42"),
               ending(b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\x10\x0b\x42"), ending(b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\3\x0b\x42\0"), ending(b""),
               lambda asked: asked.head(answers=65535), lambda asked: asked.head(answers=1) + b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\2\xc0\x0c",
               lambda asked: asked.raw[:2] + b"\x81\x80", lambda asked: b"", lambda asked: asked.head(answers=1) + b"\x40" * 300]
    for write in hostile:
        name = fresh_name()
        stage.upstream.says(name, "A", by_hand(write))
        with within(5):
            reply = stage.ask(name)
        assert reply.rcode == "SERVFAIL" and not reply.message.answer, (reply, write)
        assert stage.gate.is_alive
    stage.resolves()


def test_DNS_17_ids_and_ports_cannot_be_guessed(own_stage):
    stage = own_stage()
    seen = stage.upstream.mark()
    for _ in range(400):
        stage.ask(fresh_name())
    asked = stage.upstream.since(seen)
    ids, ports = [query.id for query in asked], [query.port for query in asked]
    assert len(asked) == 400
    assert len(set(ids)) > 390 and max(ids) - min(ids) > 60_000, "ids are spread over all 16 bits"
    assert len(set(ports)) > 380 and max(ports) - min(ports) > 20_000, "ports are spread over the ephemeral range"
    for values in (ids, ports):
        steps = {b - a for a, b in zip(values, values[1:])}
        assert len(steps) > 350, "neither counts upwards"
    assert math.log2(65536) + math.log2(max(ports) - min(ports)) >= 30, "at least 2^30 to guess among"


def wrong(asked, which):
    """A reply with the false address that differs from the right one in one thing."""
    wire = bytearray(asked.head(answers=1) + struct.pack(">HHHIH4s", 0xC00C, 1, 1, 600, 4, bytes([11, 66, 0, 66])))
    if which == "id":
        wire[:2] = struct.pack(">H", asked.id ^ 1)
    elif which == "question name":
        wire[13] ^= 1
    elif which == "question type":
        wire[len(asked.head()) - 3] = 28
    elif which == "question class":
        wire[len(asked.head()) - 1] = 3
    elif which == "no question":
        wire[4:6] = b"\0\0"
        del wire[12:len(asked.head())]
    elif which == "no answer bit":
        wire[2] &= 0x7F
    elif which == "opcode":
        wire[2] |= 0x28
    return bytes(wire)


@pytest.mark.parametrize("which", ["id", "question name", "question type", "question class", "no question", "no answer bit", "opcode"])
def test_DNS_17_a_reply_that_is_not_to_this_question(stage, which):
    name = fresh_name()
    stage.upstream.says(name, "A", by_hand(lambda asked: [wrong(asked, which)] * 3 + addresses(GOOD)(asked)))
    assert stage.ask(name).addresses == [GOOD]
    assert stage.ask(name).addresses == [GOOD], "nor is it in the cache"


@pytest.mark.parametrize("place", [(RESOLVER, 5353), (EVIL, 53), (GOOD, 53), (EVIL, 5353)])
def test_DNS_17_a_reply_from_somewhere_else(stage, place):
    name = fresh_name()

    def spoof(asked):
        stage.upstream.send_from(*place, wrong(asked, "nothing"), asked.peer)
        time.sleep(0.05)
        return addresses(GOOD)(asked)

    stage.upstream.says(name, "A", by_hand(spoof))
    assert stage.ask(name).addresses == [GOOD]


def test_DNS_17_a_reply_after_the_answer_changes_nothing(stage):
    name = fresh_name()
    stage.upstream.says(name, "A", by_hand(lambda asked: addresses(GOOD)(asked) + [wrong(asked, "nothing")] * 5))
    assert stage.ask(name).addresses == [GOOD]
    time.sleep(0.1)
    assert stage.ask(name).addresses == [GOOD]


def test_DNS_17_many_wrong_replies_end_in_tcp_or_in_no_answer(stage):
    """Who guesses a thousand times does not get a thousand tries at one question."""
    name = fresh_name()

    def flood(asked):
        return ([wrong(asked, "id")] * 1000 if asked.transport == "udp" else []) + addresses(GOOD)(asked)

    stage.upstream.says(name, "A", by_hand(flood))
    reply = stage.ask(name)
    assert reply.addresses in ([GOOD], []) and FALSE not in reply.addresses, reply
    stage.resolves()


JUNK = {
    "another owner in the answer": Answer(f"{{name}}. 60 IN A {GOOD}", f"other.wild.test. 60 IN A {FALSE}"),
    "another owner first": Answer(f"other.wild.test. 60 IN A {FALSE}", f"{{name}}. 60 IN A {GOOD}"),
    "in additional": Answer(f"{{name}}. 60 IN A {GOOD}", additional=(f"evil.test. 60 IN A {FALSE}", f"{{name}}. 60 IN A {FALSE}")),
    "in authority": Answer(f"{{name}}. 60 IN A {GOOD}", authority=("wild.test. 60 IN NS evil.test.", f"other.wild.test. 60 IN A {FALSE}")),
    "an alias of another name": Answer(f"{{name}}. 60 IN A {GOOD}", "other.wild.test. 60 IN CNAME evil.test.", f"evil.test. 60 IN A {FALSE}"),
    "of another class of type": Answer(f"{{name}}. 60 IN A {GOOD}", "{name}. 60 IN AAAA 2a0e:b107:66::66", '{name}. 60 IN TXT "x"'),
}


@pytest.mark.parametrize("kind", JUNK)
def test_DNS_18_records_outside_the_chain(stage, kind):
    name = fresh_name()
    stage.upstream.says(name, "A", JUNK[kind])
    seen = stage.upstream.mark()
    reply = stage.ask(name)
    assert reply.records == [(name, "A", GOOD)], reply
    assert not reply.message.authority and not reply.message.additional
    stage.upstream.zone.pop((name, "A"))
    stage.upstream.says("other.wild.test", "A", addresses("11.11.0.10"))
    assert stage.ask("other.wild.test").addresses == ["11.11.0.10"], "nothing about it was kept"
    stage.denied("evil.test", recorded=False)
    assert len(stage.upstream.since(seen)) <= 2


def test_DNS_18_an_answer_for_another_name_alone_is_none(stage):
    name = fresh_name()
    stage.upstream.says(name, "A", Answer(f"other.wild.test. 60 IN A {FALSE}"))
    reply = stage.ask(name)
    assert not reply.addresses and reply.rcode in ("NOERROR", "SERVFAIL"), reply
    stage.resolves()


def aliases(*names, end=f"60 IN A {GOOD}"):
    owners = ("{name}",) + names
    return Answer(*(f"{owner}. 60 IN CNAME {target}." for owner, target in zip(owners, names)), f"{owners[-1]}. {end}")


def test_DNS_19_the_requested_name_governs_and_the_target_stays_denied(stage):
    stage.upstream.says("cn.test", "A", aliases("evil.test", end=f"60 IN A {FALSE}"))
    reply = stage.ask("cn.test")
    assert reply.records == [("cn.test", "CNAME", "evil.test"), ("evil.test", "A", FALSE)], reply
    stage.denied("evil.test", recorded=False)
    stage.trial.denied(connect("evil.test:443"), reason="no-rule")
    assert stage.ask("cn.test").records == reply.records


def test_DNS_19_a_denied_name_in_the_chain_denies_it(stage):
    for chain in (("bad.wild.test",), ("harmless.test", "x.tracker.test"), ("tracker.test", "harmless.test")):
        name, written = fresh_name(), stage.log.mark()
        stage.upstream.says(name, "A", aliases(*chain))
        stage.is_denial(stage.ask(name), ede=15)
        record = stage.recorded(written, verdict="deny", reason="cname-denied", question=name)
        assert record.rule == "bad"
    stage.resolves()


def test_DNS_19_loops_and_long_chains_are_no_answer(stage):
    loop, itself, long, longest = (fresh_name() for _ in range(4))
    stage.upstream.says(loop, "A", Answer("{name}. 60 IN CNAME other.test.", "other.test. 60 IN CNAME {name}."))
    stage.upstream.says(itself, "A", Answer("{name}. 60 IN CNAME {name}."))
    stage.upstream.says(long, "A", aliases(*(f"c{number}.test" for number in range(20))))
    stage.upstream.says(longest, "A", aliases(*(f"c{number}.test" for number in range(7))))
    for name in (loop, itself, long):
        with within(5):
            reply = stage.ask(name)
        assert reply.rcode == "SERVFAIL" and not reply.message.answer, reply
    assert stage.ask(longest).addresses == [GOOD], "seven links are fine"
    stage.resolves()


def test_DNS_19_a_chain_the_upstream_leaves_open_is_followed(stage):
    name = fresh_name()
    stage.upstream.says(name, "A", Answer("{name}. 60 IN CNAME next.test."))
    stage.upstream.says("next.test", "A", Answer("{name}. 60 IN CNAME last.test."))
    stage.upstream.says("last.test", "A", addresses(GOOD))
    assert stage.ask(name).addresses == [GOOD]
    stage.denied("next.test"), stage.denied("last.test")


def test_DNS_19_a_dname_is_its_alias_and_nothing_more(stage):
    name = fresh_name()
    stage.upstream.says(name, "A", Answer("wild.test. 60 IN DNAME evil.test.", "{name}. 60 IN CNAME x.evil.test.", f"x.evil.test. 60 IN A {GOOD}"))
    reply = stage.ask(name)
    assert [kind for _, kind, _ in reply.records] == ["CNAME", "A"], reply
    stage.denied("x.evil.test")


def test_DNS_24_lives_are_between_five_seconds_and_an_hour(stage):
    for ttl, told in ((0, 5), (1, 5), (4, 5), (60, 60), (3600, 3600), (86400, 3600), (0x7FFFFFFF, 3600)):
        name = fresh_name()
        stage.upstream.says(name, "A", addresses(GOOD, ttl=ttl))
        first = stage.ask(name).ttls[0]
        assert told - 1 <= first <= told, (ttl, first)
    for ttl in (0x80000000, 0xFFFFFFFF):  # RFC 2181 §8: as if zero
        name = fresh_name()
        raw = struct.pack(">HHHI", 0xC00C, 1, 1, ttl) + b"\0\4\x0b\x0b\0\x0a"
        stage.upstream.says(name, "A", by_hand(lambda asked: asked.head(answers=1) + raw))
        assert 4 <= stage.ask(name).ttls[0] <= 5, ttl


def test_DNS_24_what_is_cached_grows_old_and_is_asked_anew(stage):
    name = fresh_name()
    stage.upstream.says(name, "A", addresses(GOOD, ttl=0), addresses("11.11.0.11"))
    seen = stage.upstream.mark()
    assert stage.ask(name).addresses == [GOOD]
    time.sleep(2.1)
    again = stage.ask(name)
    assert again.addresses == [GOOD] and again.ttls[0] <= 3, "TTL 0 lives five seconds, and counts down"
    assert len(stage.upstream.since(seen)) == 1
    eventually(lambda: stage.ask(name).addresses == ["11.11.0.11"], 6, "after five seconds it is asked anew")
    assert len(stage.upstream.since(seen)) == 2


def test_DNS_24_a_thousand_addresses_are_sixty_four(stage):
    many = [f"11.12.{number // 250}.{number % 250 + 1}" for number in range(1000)]
    stage.upstream.says("many.test", "A", addresses(*many))
    reply = stage.ask("many.test", tcp=True)
    assert len(reply.addresses) == 64 and set(reply.addresses) <= set(many), len(reply.addresses)
    cut = stage.ask("many.test", edns=b"")
    assert cut.truncated and not cut.message.answer and len(cut.wire) <= 512


def test_DNS_24_ten_thousand_names_leave_the_memory_bounded(own_stage):
    stage = own_stage()
    stage.resolves()
    before = stage.gate.resident
    with stage.asker.datagrams() as sock:
        sock.settimeout(5)
        for batch in range(100):
            for number in range(100):
                sock.send(query(f"m{batch}-{number}.wild.test", id=number))
            for _ in range(100):
                sock.recv(2048)
    grown = stage.gate.resident - before
    assert grown < 64 << 10, f"{grown} KiB for ten thousand names"
    assert stage.status["dns"]["cached"] >= 1000, stage.status["dns"]
    assert stage.ask(fresh_name()).addresses == [GOOD]
