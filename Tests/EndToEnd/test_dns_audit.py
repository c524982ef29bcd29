"""DNS: what the log and `exitgate status` say of questions, and what `explain` says before one is asked."""
import json, subprocess

import pytest

from harness.asker import query
from harness.gate import eventually, exitgate
from harness.namespaces import GOOD
from harness.naming import POLICY, fresh_name
from harness.upstream import Answer, failing


def test_one_record_for_each_question_with_all_there_is_to_know(stage):
    rows = [("allowed.test", "A", "allow", "rule", "tunnel", None), (fresh_name(), "AAAA", "allow", "rule", "wild", None),
            (fresh_name("evil.test"), "A", "deny", "no-rule", None, 18), (fresh_name("tracker.test"), "A", "deny", "deny-rule", "bad", 15),
            ("allowed.test", "TXT", "deny", "record-type", None, 18), ("allowed.test", "NULL", "deny", "record-type", None, 18)]
    for name, kind, verdict, reason, rule, ede in rows:
        written = stage.log.mark()
        reply = stage.ask(name, kind)
        record = stage.recorded(written, question=name, type=kind)
        assert (record.event, record.verdict, record.reason, record.layer) == ("decision", verdict, reason, "dns"), record.line
        assert rule is None or record.rule == rule, record.line
        assert record.ede == ede, record.line
        assert record.rcode in (reply.rcode, reply.rcode.title(), reply.rcode.lower(), {"NXDOMAIN": "NXDomain", "NOERROR": "NoError"}.get(reply.rcode)), record.line
        assert record.fields["class_uid"] == 4003, "OCSF's DNS activity"


def test_failures_of_the_upstream_stand_in_the_log_as_such(stage):
    name, written = fresh_name(), stage.log.mark()
    stage.upstream.says(name, "A", failing("SERVFAIL"))
    assert stage.ask(name).rcode == "SERVFAIL"
    record = stage.recorded(written, question=name)
    assert record.verdict == "allow" and record.rule == "wild", record.line


def test_chatter_is_counted_and_not_repeated(own_stage):
    """A thousand of the same denial are one record and a roll-up; none is lost from the count."""
    stage = own_stage()
    for _ in range(1000):
        stage.ask("chatter.evil.test")
    for _ in range(500):
        stage.ask("allowed.test")
    stage.gate.stop()
    denied = [entry for entry in stage.log.entries() if entry.layer == "dns" and entry.verdict == "deny"]
    assert sum(entry.count for entry in denied) == 1000 and len(denied) <= 4, denied
    allowed = [entry for entry in stage.log.entries() if entry.layer == "dns" and entry.verdict == "allow"]
    assert sum(entry.count for entry in allowed) == 500 and len(allowed) <= 4, allowed
    stage.log.verify()


def test_questions_that_wait_together_are_each_counted(own_stage):
    stage = own_stage()
    name = fresh_name()
    stage.upstream.says(name, "A", Answer("{name}. 60 IN A 11.11.0.10", delay=0.5))
    with stage.asker.datagrams() as sock:
        sock.settimeout(5)
        for number in range(20):
            sock.send(query(name, id=number))
        assert len({sock.recv(2048)[:2] for _ in range(20)}) == 20
    stage.gate.stop()
    assert sum(entry.count for entry in stage.log.entries() if entry.layer == "dns") == 20


def test_many_names_fill_neither_the_log_nor_the_memory(own_stage):
    """The keys of roll-ups are bounded: ten thousand names are all counted, if not all named."""
    stage = own_stage()
    stage.ask("allowed.test")
    with stage.asker.datagrams() as sock:
        sock.settimeout(5)
        for batch in range(200):
            for number in range(50):
                sock.send(query(f"x{batch}-{number}.evil.test", id=number))
            for _ in range(50):
                sock.recv(2048)
    stage.gate.stop()
    denied = [entry for entry in stage.log.entries() if entry.layer == "dns" and entry.verdict == "deny"]
    assert sum(entry.count for entry in denied) == 10_000, len(denied)
    stage.log.verify()


def test_status_shows_cache_pool_and_upstreams(stage):
    for _ in range(3):
        stage.ask("allowed.test")
    told = stage.status["dns"]
    assert told["cached"] >= 1 and told["hits"] >= 2 and told["queries"] >= 3 and told["forwarded"] >= 1 and told["pool"] is None, told
    assert "11.11.0.53" in json.dumps(stage.status["resolver"]["upstreams"]), stage.status["resolver"]
    text = stage.gate.tell("status").stdout
    assert "dns" in text.lower() and "11.11.0.53" in text, text


def test_the_listeners_are_announced_and_in_the_status(stage):
    assert any("10.66.0.1:53" in line for line in stage.gate.said), stage.gate.said
    assert "10.66.0.1:53" in stage.status["dns"]["listeners"] and "[fd66::1]:53" in stage.status["dns"]["listeners"]


def test_explain_shows_the_answer_a_name_would_get(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("".join(line for line in POLICY.splitlines(keepends=True) if "protocol: dns" not in line))

    def said(name, kind="A"):
        return exitgate("explain", "--policy", policy, "--type", kind, name)

    assert said("allowed.test").returncode == 0 and "rule tunnel" in said("allowed.test").stdout
    for name, kind, words in (("evil.test", "A", "NXDOMAIN, EDE 18"), ("bad.wild.test", "AAAA", "NXDOMAIN, EDE 15"), ("allowed.test", "NULL", "REFUSED, EDE 18"),
                              ("allowed.test", "TXT", "no data"), ("evil.test", "TXT", "NXDOMAIN")):
        told = said(name, kind)
        assert told.returncode == 1 and words in told.stdout, told.stdout


def test_reload_changes_answers_at_once(own_stage):
    """What the cache holds is kept by generation: a name denied now is denied now."""
    stage = own_stage()
    assert stage.ask("allowed.test").addresses == [GOOD]
    stage.denied("later.test")
    assert stage.gate.reload(POLICY.replace("allowed.test", "later.test")).returncode == 0
    stage.upstream.holds("later.test", GOOD)
    assert stage.ask("later.test").addresses == [GOOD], "a denial is not remembered across policies"
    stage.denied("allowed.test")
    stage.denied("allowed.test", tcp=True, recorded=False)


def test_a_policy_in_audit_mode_lets_pass_and_says_what_it_would_not(own_stage):
    stage = own_stage(POLICY.replace("version: 1\n", "version: 1\nmode: audit\n"))
    written = stage.log.mark()
    assert stage.ask("x.evil.test").addresses == ["11.66.0.66"]
    record = stage.recorded(written, question="x.evil.test")
    assert record.would_deny and record.verdict == "allow", record.line
    stage.upstream.holds("inner.evil.test", "169.254.169.254")
    assert not stage.ask("inner.evil.test").addresses, "the floor denies in both modes"


def test_a_log_that_cannot_be_written_asks_nothing_new_upstream(own_stage, tmp_path):
    """AUD-05 for questions: refused while nothing can be recorded, answered again when there is room."""
    full = tmp_path / "small"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", full], check=True)
    try:
        stage = own_stage(audit=full / "audit.jsonl")
        stage.resolves()
        filler = full / "filler"
        with open(filler, "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
        eventually(lambda: stage.ask(fresh_name()).rcode == "SERVFAIL", 20, "questions are still asked while nothing can be recorded")
        seen = stage.upstream.mark()
        for _ in range(20):
            assert stage.ask(fresh_name()).rcode == "SERVFAIL"
        assert stage.ask("x.evil.test").rcode in ("NXDOMAIN", "SERVFAIL")
        stage.upstream.heard_nothing(seen)
        filler.unlink()
        eventually(lambda: stage.ask(fresh_name()).addresses, 10, "it does not recover")
        stage.gate.stop()
        stage.log.verify()
    finally:
        subprocess.run(["umount", "-l", full], check=True)


def test_AUD_06_every_refused_question_is_counted(own_stage):
    """Denied, malformed, of a type or a class that nobody gets, cut by the budget: the log's counts are those of the status."""
    stage = own_stage()
    sent = 0
    for number in range(50):
        for name, kind in (("x.evil.test", "A"), (f"y{number}.evil.test", "AAAA"), ("bad.wild.test", "A"), ("allowed.test", "TXT"), ("allowed.test", "NULL")):
            stage.ask(name, kind, tcp=number % 5 == 0)
            sent += 1
        for wire in (query("allowed.test", qclass=3), query("allowed.test", flags=0x2800), query("allowed.test", edns=b"", counts=(2, 0, 0, 0)),
                     query([b"a b", b"wild", b"test"])):
            stage.asker.raw(wire)
            sent += 1
    stage.gate.stop()
    denied = [entry for entry in stage.log.entries() if entry.layer == "dns" and entry.verdict == "deny"]
    assert sum(entry.count for entry in denied) == sent, (sent, denied[:20])
    stage.log.verify()
