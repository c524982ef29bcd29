"""DNS: ten thousand questions to unbound and to the gate, before the same upstream. Every difference is a row of DESIGN section 5."""
import collections, time

import pytest

from harness.asker import Asker
from harness.differ import Answered, drawn, exchanged
from harness.namespaces import GOOD, GOOD6, run
from harness.programs import found, nsd, unbound

SEED, COUNT = 8914, 10_000
ADDRESS = "11.11.0.54"
ZONE = f"""$ORIGIN test.
$TTL 300
@ IN SOA ns root 1 3600 600 86400 60
@ IN NS ns
ns IN A {ADDRESS}
allowed IN A {GOOD}
allowed IN AAAA {GOOD6}
allowed IN TXT "hello"
allowed IN MX 10 mail
allowed IN HTTPS 1 . alpn=h2 ipv4hint=169.254.169.254
allowed IN CAA 0 issue "ca.test"
cn IN CNAME allowed
alias.wild IN CNAME evil
deep.wild IN CNAME c1
{chr(10).join(f"c{number} IN CNAME c{number + 1}" for number in range(1, 10))}
c10 IN A {GOOD}
empty.wild IN TXT "no address"
mail IN TXT "v=spf1 -all"
mail IN MX 10 allowed
mail IN A {GOOD}
priv IN A 10.0.0.5
mixed IN A {GOOD}
mixed IN A 169.254.169.254
evil IN A 11.66.0.66
*.evil IN A 11.66.0.66
*.wild IN A {GOOD}
*.wild IN AAAA {GOOD6}
{chr(10).join(f"many IN A 11.12.0.{number + 1}" for number in range(60))}
"""

pytestmark = pytest.mark.skipif(not (found("nsd") and found("unbound")), reason="nsd or unbound is not installed")

ALLOWED = {"allowed.test", "cn.test", "many.test", "priv.test", "mixed.test", "deep.wild.test", "alias.wild.test", "empty.wild.test", "mail.test"}
TUNNELS = {"NULL", "TYPE65534", "AXFR"}
LONGEST = 1232


def may_be_resolved(name):
    return name in ALLOWED or (name.endswith(".wild.test") and name != "bad.wild.test")


def is_no_name(asked):
    return asked.kind == "no hostname"


class Row:
    """A row of DESIGN section 5, which differences it explains, and for which questions."""

    def __init__(self, row, fields, holds):
        self.row, self.fields, self.holds, self.used = row, set(fields), holds, 0


def rows():
    whole = ("answered", "rcode", "records", "truncated", "edns", "authoritative")
    return [
        Row("accepted: one question", whole, lambda asked, theirs, ours: asked.kind in (
            "no question", "two questions", "counts", "trailing", "cut", "pointer", "label type", "two OPTs", "option cut", "other section") and ours.rcode == "FORMERR"),
        Row("accepted: opcode QUERY", whole, lambda asked, theirs, ours: asked.kind == "opcode" and ours.rcode == "NOTIMP"),
        Row("accepted: class IN", whole, lambda asked, theirs, ours: asked.kind == "class" and ours.rcode == "REFUSED"),
        Row("accepted: EDNS version above 0 gets BADVERS", whole, lambda asked, theirs, ours: asked.kind == "EDNS version" and ours.rcode == "BADVERS"),
        Row("accepted: RD=0 is answered from policy and cache", whole, lambda asked, theirs, ours: not asked.recursive and (
            (ours.rcode == "REFUSED" and ours.ede in ([20], [])) or may_be_resolved(asked.name))),
        Row("types: AXFR, IXFR, NULL, private types: REFUSED", whole, lambda asked, theirs, ours: asked.type in TUNNELS and ours.rcode == "REFUSED"),
        Row("types: HTTPS and SVCB: NODATA", ("records", "truncated", "rcode"), lambda asked, theirs, ours: asked.type in ("HTTPS", "SVCB")
            and ours.rcode == "NOERROR" and not ours.records),
        Row("types: ANY: RFC 8482", whole, lambda asked, theirs, ours: asked.type == "ANY" and may_be_resolved(asked.name)
            and {kind for _, kind, _ in ours.records} == {"HINFO"}),
        Row("types: others only by `types`", ("records", "rcode", "truncated"), lambda asked, theirs, ours: asked.type not in ("A", "AAAA", "CNAME")
            and may_be_resolved(asked.name) and ours.rcode == "NOERROR" and not ours.records and not (asked.name == "mail.test" and asked.type in ("TXT", "MX"))),
        Row("policy: a name nobody may resolve does not exist", whole, lambda asked, theirs, ours: not may_be_resolved(asked.name)
            and ours.rcode == "NXDOMAIN" and not ours.records and not set(ours.ede) - {15, 18}),
        Row("policy: what is no hostname does not exist", whole, lambda asked, theirs, ours: is_no_name(asked) and ours.rcode == "NXDOMAIN" and not ours.records),
        Row("addresses: the floor takes its own away", ("records", "truncated"), lambda asked, theirs, ours: asked.name in ("priv.test", "mixed.test")
            and ours.records < theirs.records),
        Row("rebuilt: a chain of at most eight", ("records", "rcode", "truncated"), lambda asked, theirs, ours: asked.name == "deep.wild.test" and ours.rcode == "SERVFAIL"),
    ]


def explained(asked, theirs, ours, table):
    left = theirs.differences(ours)
    for row in table:
        if left and row.holds(asked, theirs, ours):
            if left & row.fields:
                row.used += 1
            left -= row.fields
    return left


def test_ten_thousand_questions_differ_from_unbounds_answers_by_the_design_alone(own_stage, tmp_path):
    stage = own_stage(scripted=False, upstream=(ADDRESS,), start=False)
    run("ip", "-n", stage.bench.names["out"], "addr", "add", f"{ADDRESS}/16", "dev", "o0")
    servers = [nsd(stage.bench, "out", tmp_path / "nsd", ADDRESS, ZONE)]
    try:
        servers.append(unbound(stage.bench, "gw", tmp_path / "unbound", "10.66.0.1", 5300, ADDRESS, 'local-zone: "test." nodefault\n  minimal-responses: yes'))
        stage.gate.start()
        questions = drawn(COUNT, SEED)
        for asker in (Asker(stage.bench, port=5300), stage.asker):  # what is asked without recursion is in both caches, or in none
            for name in sorted(ALLOWED):
                asker.ask(name, "A", edns=b"")
        theirs, ours = exchanged(Asker(stage.bench, port=5300), questions), exchanged(stage.asker, questions)
        for _ in range(3):  # what an upstream too busy to answer made of it: a failure is remembered for some seconds
            again = failed(questions, theirs, ours)
            if not again:
                break
            time.sleep(6)
            for place, answers in ((Asker(stage.bench, port=5300), theirs), (stage.asker, ours)):
                answers.update(exchanged(place, again))
        assert stage.gate.is_alive
    finally:
        for server in servers:
            server.stop()
    compare(questions, theirs, ours)


def failed(questions, theirs, ours):
    """Questions that one of the two could not find an answer to, and should have."""
    return {number: asked for number, asked in enumerate(questions) if asked.name != "deep.wild.test"
            and any(failure(asked, answers.get(number)) for answers in (theirs, ours))}


def failure(asked, wire):
    return asked.kind in ("plain", "no hostname") if wire is None else len(wire) > 3 and wire[3] & 15 == 2


def compare(questions, theirs, ours):
    table, unexplained, same = rows(), [], 0
    for number, asked in enumerate(questions):
        left, right = Answered(theirs.get(number), strict=False), Answered(ours.get(number))
        same += not left.differences(right)
        rest = explained(asked, left, right, table)
        if rest:
            unexplained.append(f"{asked.kind} {asked.name} {asked.type} rd={asked.recursive} size={asked.size}: {sorted(rest)}: unbound {left}, gate {right}: {asked.wire.hex()}")
    kinds = collections.Counter(line.split(": ")[0].split(" rd=")[0] for line in unexplained)
    assert not unexplained, f"{len(unexplained)} differences that no row explains: {kinds.most_common(20)}\n" + "\n".join(unexplained[:25])
    assert same > COUNT / 4, f"{same} answers are the same"
    unused = [row.row for row in table if not row.used]
    assert not unused, f"rows that explained nothing: {unused}"
