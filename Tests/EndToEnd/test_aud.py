"""AUD: what the log says, what it never says, and what happens when it cannot be written."""
import random, re, subprocess, threading, time

import pytest

from harness.client import client_hello, connect, get, read_head
from harness.far import Accepted
from harness.gate import BINARY, eventually, exitgate

HOSTILE = [b"\x1b]52;c;ZXZpbA==\x07.evil.test", b"evil\x9b2J.test", b"a\r\n{\"verdict\":\"allow\"}.test", b"\xe2\x80\xaegnp.test", b"\xe2\x80\xa8.test",
           b"\xff\xfe.test", b"\xc0\xaf.test", b"%n%s%25s.test", b"=cmd|'/c'!A1.test", b"\"},{\"a\":\"b.test", b"\x08\x08\x08.test", b"\\u0000.test", b"\x7f.test"]


def plain(text):
    return not re.search(rb"[^\n\x20-\x7e]", text)


def test_AUD_01_hostile_bytes_never_make_a_line(trial):
    written = trial.gate.log.mark()
    sent = [connect(host + b":443") for host in HOSTILE] + [get(b"http://" + host + b"/") for host in HOSTILE]
    sent += [get('http://evil.test/%0d%0a{"verdict":"allow"}', "evil.test"), get("http://evil.test/", "evil.test", "User-Agent: x%0ay\r\n"),
             get("http://plain.test/", fields="User-Agent: a\nb\r\n")]
    for request in sent:
        trial.refused(request, status={400, 403})
    entries = [entry for entry in trial.gate.log.entries(written) if entry.event != "checkpoint"]  # each line parsed strictly
    assert [(entry.event, entry.verdict) for entry in entries] == [("decision", "deny")] * len(sent), "one record of one request"
    trial.passes()


def test_AUD_02_neither_the_file_nor_the_commands_show_a_control_byte(trial):
    for host in HOSTILE:
        trial.refused(connect(host + b":443"), status={400, 403})
    assert plain(trial.gate.log.path.read_bytes())
    for command in (("tail",), ("blocked",), ("stats",), ("blocked", "--json")):
        done = subprocess.run([*map(str, (BINARY, "log", *command, "--audit-log", trial.gate.log.path))], capture_output=True, timeout=10)
        assert done.returncode == 0, (command, done.stderr)
        assert plain(re.sub(rb"[\xe2-\xef][\x80-\xbf]{2}", b"", done.stdout)), (command, done.stdout[:500])
    trial.passes()


def test_AUD_03_bytes_that_are_no_text_stay_told_apart(fresh):
    trial = fresh()
    shown = []
    for host in (b"\xff.test", b"\xfe.test", b"\xc3\xa9.test", b"e\xcc\x81.test", b"\xef\xbf\xbd.test"):
        written = trial.gate.log.mark()
        trial.malformed(connect(host + b":443"))
        shown += [entry.host_raw for entry in trial.gate.log.entries(written)]
    shown = [text for text in shown if text is not None]
    assert shown and len(set(shown)) == len(shown), shown
    assert trial.gate.log.path.read_bytes().isascii()
    trial.passes()


def test_AUD_04_fields_are_cut_and_lines_short(trial):
    for request in (connect(b"a" * 7000 + b".test:443"), connect(b"a." * 3000 + b"test:443"), get(b"http://" + b"\x01" * 5000 + b".test/"),
                    b"M" * 7000 + b" http://x.test/ HTTP/1.1\r\n\r\n", get("http://evil.test/" + "a" * 7000, "evil.test")):
        trial.refused(request, status={400, 403, 414, 431})
    assert max(map(len, trial.gate.log.lines())) <= 4096
    trial.passes()


def test_AUD_05_a_log_that_cannot_be_written_closes_the_gate_to_what_is_new(fresh, tmp_path):
    """On a file system of one MiB, filled up: new allows are refused, what stands goes on, room makes it right again."""
    full = tmp_path / "small"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", full], check=True)
    try:
        trial = fresh(audit=full / "audit.jsonl")
        trial.passes()
        with trial.opened() as standing:
            standing.sendall(client_hello())
            assert standing.recv(100).startswith(b"FLIGHT")
            filler = full / "filler"
            with open(filler, "wb", buffering=0) as file:
                with pytest.raises(OSError):
                    while True:
                        file.write(bytes(4096))
            seen = trial.far.mark()

            def closed():
                reply = trial.agent.send(connect("allowed.test:443"), timeout=0.3)
                return reply.status == 503 and reply

            reply = eventually(closed, 20, "new tunnels stay allowed while nothing can be recorded")
            assert reply.json["reason"] == "audit-unavailable"
            seen = trial.far.mark()
            assert trial.agent.send(get("http://plain.test/")).status == 503
            assert trial.agent.send(connect("evil.test:443")).status in (403, 503)
            assert not trial.far.since(seen, Accepted)
            standing.sendall(b"still here")
            assert standing.recv(100).startswith(b"FLIGHT"), "a tunnel that stands goes on"
            status = trial.gate.tell("status").stdout
            assert "cannot be written" in status.lower(), status
            filler.unlink()
        eventually(lambda: trial.agent.send(connect("allowed.test:443"), timeout=0.3).raw.startswith(b"HTTP/1.1 200"), 10, "it does not recover")
        trial.gate.stop()
        trial.gate.log.verify()
        assert exitgate("log", "verify", "--audit-log", trial.gate.log.path).returncode == 0
    finally:
        subprocess.run(["umount", "-l", full], check=True)


def test_AUD_05_a_log_that_was_moved_or_removed_goes_on_in_a_new_file(fresh):
    trial = fresh()
    path = trial.gate.log.path
    for take_away in (lambda: path.rename(path.with_name("moved.jsonl")), path.unlink):
        trial.passes()
        take_away()
        eventually(lambda: [trial.agent.send(connect("evil.test:443"))] and path.exists(), 10, "the log is not begun anew")
        written = trial.gate.log.mark()
        trial.tunnels("allowed.test:443", "allowed.test")
        trial.gate.log.wait_for(written, verdict="allow", host="allowed.test")


def test_AUD_06_every_refusal_is_counted_and_every_allow_recorded(fresh):
    trial = fresh()
    malformed, denied, allowed = 25, 40, 12
    for number in range(malformed):
        trial.agent.send([b"GARBAGE\r\n\r\n", b"\x05\x00", connect("x:0"), get("http://[/"), b"GET / HTTP/1.1\r\n\r\n"][number % 5], finish=True)
    for number in range(denied):
        trial.agent.send(connect(f"n{number % 4}.evil.test:443"))
    for number in range(allowed):
        trial.tunnels("allowed.test:443", "allowed.test")
    for _ in range(3):
        trial.first_flight(client_hello("evil.test"))
    trial.gate.stop()
    entries = trial.gate.log.entries()
    total = lambda **wanted: sum(entry.count for entry in entries if entry.matches(wanted) and entry.event in ("decision", "rollup"))
    assert total(verdict="deny", reason="malformed-request") == malformed
    assert total(verdict="deny", reason="no-rule") == denied
    assert total(verdict="deny", layer="sni") == 3
    assert total(verdict="allow") == allowed + 3
    opened = {entry.flow for entry in entries if entry.event == "decision" and entry.verdict == "allow"}
    closed = {entry.flow for entry in entries if entry.event == "close"}
    assert opened == closed, "each connection that was let through has its close record"
    trial.gate.log.verify()


def test_AUD_07_what_reached_the_origin_was_recorded_before_and_a_kill_loses_nothing_of_it(fresh):
    """`kill -9` under load: each accept at the origin has its record, and the next start mends the tail."""
    trial = fresh()
    stop = threading.Event()

    def load():
        while not stop.is_set():
            try:
                with trial.agent.open(2) as sock:
                    sock.sendall(connect("allowed.test:443"))
                    read_head(sock)
            except OSError:
                return

    for round_ in range(3):
        if round_:
            trial.gate.start()
        seen = trial.far.mark()
        workers = [threading.Thread(target=load) for _ in range(8)]
        for worker in workers:
            worker.start()
        trial.far.wait_for(seen, Accepted, 30 + random.randrange(60), 10)
        trial.gate.kill()
        for worker in workers:
            worker.join()
        time.sleep(0.1)
        raw = trial.gate.log.path.read_bytes()
        whole = raw[:raw.rfind(b"\n") + 1].count(b'"verdict":"allow"') - sum(raw[:raw.rfind(b"\n") + 1].count(word) for word in (b'"would_deny":true',))
        accepts = len(trial.far.since(0, Accepted))
        assert whole >= accepts, f"{accepts} connections reached the origin, {whole} are on record"
    trial.gate.start()
    trial.passes()
    trial.gate.stop()
    done = exitgate("log", "verify", "--audit-log", trial.gate.log.path)
    assert done.returncode == 0, done
    assert [entry for entry in trial.gate.log.entries() if entry.event == "recovered"], "the start after a kill says so"


def test_AUD_08_tampering_is_found_and_the_record_named(fresh):
    trial = fresh()
    for number in range(12):
        trial.agent.send(connect(f"n{number}.evil.test:443"))
    trial.passes()
    trial.gate.stop()
    path = trial.gate.log.path
    good = path.read_bytes()
    lines = good.splitlines(keepends=True)
    assert exitgate("log", "verify", "--audit-log", path).returncode == 0
    flipped = lines[:5] + [lines[5].replace(b"evil", b"evil"[::-1], 1)] + lines[6:]
    changed = {"a byte changed": flipped, "a line removed": lines[:5] + lines[6:], "two lines swapped": lines[:4] + [lines[5], lines[4]] + lines[6:],
               "a line repeated": lines[:5] + [lines[4]] + lines[5:], "a line made up": lines[:5] + [lines[4].replace(b'"seq":', b'"seq":1')] + lines[5:]}
    for name, forged in changed.items():
        path.write_bytes(b"".join(forged))
        done = exitgate("log", "verify", "--audit-log", path)
        assert done.returncode not in (0, 64), f"{name}: not found: {done}"
        assert re.search(r"\b\d+\b", done.stdout + done.stderr), f"{name}: names the record: {done}"
    path.write_bytes(good)
    assert exitgate("log", "verify", "--audit-log", path).returncode == 0


def test_AUD_09_nothing_secret_is_written(trial):
    secret = "s3cr3t-marker"
    fields = f"Authorization: Bearer {secret}\r\nCookie: {secret}\r\nX-Api-Key: {secret}\r\nProxy-Authorization: Basic {secret}\r\n"
    for place in ("plain.test", "evil.test"):
        body = get(f"http://{place}/?token={secret}", place, fields + f"Connection: close\r\nContent-Length: {len(secret)}\r\n", method="POST")
        trial.agent.send(body + secret.encode())
    trial.agent.send(get(f"http://user:{secret}@plain.test/"))
    trial.agent.send(connect(f"user:{secret}@allowed.test:443"))
    trial.agent.send(connect("allowed.test:443", fields=fields), timeout=0.3)
    for part in ("log", "said"):
        text = trial.gate.log.path.read_text() if part == "log" else "\n".join(trial.gate.said)
        assert secret not in text, f"the secret stands in {part}"
    for command in (("log", "tail"), ("log", "blocked")):
        assert secret not in exitgate(*command, "--audit-log", trial.gate.log.path).stdout
    trial.passes()


def test_AUD_10_a_second_writer_and_loose_files_are_refused(fresh, tmp_path):
    trial = fresh()
    second = fresh(start=False, audit=trial.gate.log.path)
    second.gate.start(wait=False)
    assert second.gate.process.wait(10) not in (0, None)
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "elsewhere.jsonl")
    third = fresh(start=False, audit=link)
    third.gate.start(wait=False)
    assert third.gate.process.wait(10) != 0 and not (tmp_path / "elsewhere.jsonl").exists()
    trial.passes()
