"""AUD: what the log says, what it never says, and what happens when it cannot be written."""
import collections, hashlib, itertools, json, random, re, subprocess, threading

import pytest

from harness.client import client_hello, connect, drain, get, read_head
from harness.far import Accepted, Received
from harness.gate import BINARY, SHARED, eventually, exitgate
from harness.namespaces import GOOD

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
    for command in (("tail",), ("blocked",), ("stats",), ("blocked", "--json"), ("suggest",), ("suggest", "--json")):
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
            # A record that fits into the last page still goes in; the one after it does not.
            eventually(lambda: closed() and "cannot be written" in trial.gate.tell("status").stdout.lower(), 5, "the status does not say so")
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


def test_AUD_05_only_so_many_files_are_kept_where_somebody_says_so(fresh):
    trial = fresh(extra=("--audit-rotate-at", "64KiB", "--audit-keep", "2"))
    path = trial.gate.log.path
    kept = lambda: sorted(int(file.suffix[1:]) for file in path.parent.glob(path.name + ".0*"))

    def some(more):
        for number in range(more):
            trial.agent.send(connect(f"n{number}-{random.randrange(1 << 40)}.evil.test:443"))

    def settled():
        return len(kept()) == 2 and kept()[-1] >= 4

    eventually(lambda: some(40) or settled(), 30, f"too many files: {kept()}")
    trial.agent.send(connect("evil.test:443"))
    trial.gate.stop()
    eventually(settled)
    assert kept()[0] > 1 and kept()[1] == kept()[0] + 1, kept()
    first = json.loads(path.with_name(f"{path.name}.{kept()[0]:06}").read_text().splitlines()[0])["seq"]
    done = exitgate("log", "verify", "--audit-log", path)
    assert done.returncode == 0 and f"begins with record {first}:" in done.stdout, done
    told = [json.loads(line) for file in [*(path.with_name(f"{path.name}.{number:06}") for number in kept()), path] for line in file.read_text().splitlines()]
    assert any(f"removes {path.name}.{kept()[0] - 1:06}" in json.dumps(record) for record in told), "what was taken away is in the log"
    path.with_name(f"{path.name}.{kept()[1]:06}").unlink()
    done = exitgate("log", "verify", "--audit-log", path)
    assert done.returncode == 1 and "missing before it" in done.stdout, f"what goes from the middle is found: {done}"


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
    """`kill -9` under load: each accept at the origin has its record, and the next start mends the tail.

    Round by round, and each connection by a name that nobody else asks for, so that no record can stand for another.
    """
    trial = fresh()
    for round_ in range(3):
        stop, names = threading.Event(), itertools.count()
        if round_:
            trial.gate.start()

        def load():
            while not stop.is_set():
                name = f"r{round_}n{next(names)}.wild.test"
                trial.far.answers(name, GOOD)
                try:
                    with trial.agent.open(2) as sock:
                        sock.sendall(connect(f"{name}:443") + client_hello(name))
                        read_head(sock)
                except OSError:
                    return

        seen, written = trial.far.mark(), trial.gate.log.mark()
        workers = [threading.Thread(target=load) for _ in range(8)]
        for worker in workers:
            worker.start()
        trial.far.wait_for(seen, Accepted, 30 + random.randrange(60), 10)
        trial.gate.kill()
        stop.set()
        for worker in workers:
            worker.join()
        trial.settles()
        arrived = collections.Counter(re.search(rb"r\dn\d+\.wild\.test", event.data).group().decode() for event in trial.far.since(seen, Received))
        allowed = collections.Counter(entry.host for entry in trial.gate.log.entries(written) if entry.event == "decision" and entry.verdict == "allow")
        assert arrived and set(arrived.values()) == set(allowed.values()) == {1}, (arrived, allowed)
        assert not arrived - allowed, f"round {round_}: reached the origin and are not on record: {arrived - allowed}"
        accepts = len(trial.far.since(seen, Accepted))
        assert accepts <= allowed.total(), f"round {round_}: {accepts} connections were accepted, {allowed.total()} are on record"
    trial.gate.start()
    trial.passes()
    trial.gate.stop()
    done = exitgate("log", "verify", "--audit-log", trial.gate.log.path)
    assert done.returncode == 0, done
    assert [entry.event for entry in trial.gate.log.entries()].count("recovered") == 3, "each start after a kill says so"


def test_AUD_08_tampering_is_found_and_the_record_named(fresh):
    trial = fresh()
    path = trial.gate.log.path
    for number in range(12):
        trial.agent.send(connect(f"n{number}.evil.test:443"))
    trial.passes()
    trial.gate.stop()
    older = path.read_bytes()
    trial.gate.start()
    trial.passes()
    trial.gate.stop()
    good = path.read_bytes()
    lines = good.splitlines(keepends=True)
    last = len(lines)
    assert [entry.seq for entry in trial.gate.log.entries()] == list(range(1, last + 1)) and b"evil" in lines[5]
    assert exitgate("log", "verify", "--audit-log", path).returncode == 0
    tamperings = {  # the file, then line, record and fault of the first finding
        "a byte changed": (lines[:5] + [lines[5].replace(b"evil", b"live", 1)] + lines[6:], 6, 6, "its hash is wrong"),
        "a byte of the hash changed": (lines[:5] + [lines[5][:-4] + (b"0" if lines[5][-4:-3] != b"0" else b"1") + lines[5][-3:]] + lines[6:], 6, 6, "its hash is wrong"),
        "a line removed": (lines[:5] + lines[6:], 6, 7, "record 6 is missing before it"),
        "two lines removed": (lines[:5] + lines[7:], 6, 8, "records 6 to 7 are missing before it"),
        "the first line removed": (lines[1:], 1, 2, "record 1 is missing before it"),
        "two lines swapped": (lines[:4] + [lines[5], lines[4]] + lines[6:], 5, 6, "record 5 is missing before it"),
        "a line repeated": (lines[:5] + [lines[4]] + lines[5:], 6, 5, "out of order (6 belongs here)"),
        "a line made up": (lines[:5] + [lines[4].replace(b'"seq":5,', b'"seq":6,', 1)] + lines[5:], 6, 6, "its 'prev' does not fit"),
        "a line that is none": (lines[:5] + [b"{}\n"] + lines[5:], 6, None, "not a record"),
        "the last line removed": (lines[:-1], None, last - 1, f"record {last} was signed and is not here"),
        "the end removed": (lines[:6], None, 6, f"record {last} was signed and is not here"),
        "an older copy put back": ([older], None, older.count(b"\n"), f"record {last} was signed and is not here")}
    for name, (forged, line, record, fault) in tamperings.items():
        path.write_bytes(b"".join(forged))
        done = exitgate("log", "verify", "--json", "--audit-log", path)
        first = json.loads(done.stdout)["findings"][0]
        assert done.returncode == 1 and (first["line"], first["seq"]) == (line, record) and fault in first["problem"], (name, done.stdout)
        said = exitgate("log", "verify", "--audit-log", path)
        place = f"{path}:{line}: " if line else f"{path}: "
        named = f"record {record}: " if record else ""
        assert said.returncode == 1 and said.stdout.startswith(place + named) and "NOT INTACT" in said.stdout, (name, said)
    path.write_bytes(good)
    assert exitgate("log", "verify", "--audit-log", path).returncode == 0


def unwritten(trial, *secrets):
    """None of these stands in the log, in what the gate said, or in what the commands make of the log."""
    texts = {"the log": trial.gate.log.path.read_text(), "what the gate said": "\n".join(trial.gate.said)}
    for command in (("log", "tail"), ("log", "blocked"), ("log", "stats"), ("log", "blocked", "--json")):
        texts[" ".join(command)] = exitgate(*command, "--audit-log", trial.gate.log.path).stdout
    for place, text in texts.items():
        for secret in secrets:
            assert secret.lower() not in text.lower(), f"{secret!r} stands in {place}"


def test_AUD_09_nothing_secret_is_written(trial):
    secret = "s3cr3t-marker"
    fields = f"Authorization: Bearer {secret}\r\nCookie: {secret}\r\nX-Api-Key: {secret}\r\nProxy-Authorization: Basic {secret}\r\n"
    for place in ("plain.test", "evil.test"):
        body = get(f"http://{place}/?token={secret}", place, fields + f"Connection: close\r\nContent-Length: {len(secret)}\r\n", method="POST")
        trial.agent.send(body + secret.encode())
    trial.agent.send(get(f"http://user:{secret}@plain.test/"))
    trial.agent.send(connect(f"user:{secret}@allowed.test:443"))
    trial.agent.send(connect("allowed.test:443", fields=fields), timeout=0.3)
    unwritten(trial, secret, "token=")
    trial.passes()


NO_REQUESTS = {  # what is no request of the gate's, and the parts of it that are nobody's business
    "a POP3 password": (b"PASS hunter2secret\r\n\r\n", "hunter2secret"),
    "a Redis password": (b"AUTH s3cr3tredis\r\n\r\n", "s3cr3tredis"),
    "a Redis password with a user": (b"AUTH default s3cr3tredis\r\n\r\n", "s3cr3tredis"),
    "a word and a token": (b"password ghp_SECRET\r\n\r\n", "ghp_SECRET"),
    "an SMTP login": (b"AUTH PLAIN AGJvYgBzM2NyM3Q=\r\n\r\n", "AGJvYgBzM2NyM3Q"),
    "an IMAP login": (b"a1 LOGIN bob s3cr3timap\r\n\r\n", "s3cr3timap"),
    "userinfo with a space": (b"GET http://user:pa ss@plain.test/ HTTP/1.1\r\n\r\n", "user:", ":pa"),
    "userinfo with an @": (b"GET http://user:p@ss@plain.test/ HTTP/1.1\r\n\r\n", "user:", "p@ss", "ss@"),
    "userinfo with a slash": (b"GET http://user:pa/s3cr3t@plain.test/ HTTP/1.1\r\n\r\n", "user:", "s3cr3t"),
    "userinfo with a question mark": (b"GET http://user:pa?s3cr3t@plain.test/ HTTP/1.1\r\n\r\n", "user:", "s3cr3t"),
    "userinfo in CONNECT": (b"CONNECT user:s3cr3t@allowed.test:443 HTTP/1.1\r\n\r\n", "user:", "s3cr3t"),
    "a path that is a secret": (b"GET http://plain.test/services/T00/B00/webhooksecret HTTP/1.1\r\nBad Header\r\n\r\n", "services", "T00/", "webhooksecret"),
    "a path in origin form": (b"GET /services/webhooksecret HTTP/1.1\r\nHost: plain.test\r\n\r\n", "services", "webhooksecret"),
    "a query": (b"GET http://plain.test?key=s3cr3tquery HTTP/1.1\r\nBad Header\r\n\r\n", "key=", "s3cr3tquery"),
    "a method that is a secret": (b"ghp_SECRET http://plain.test/ HTTP/1.1\r\nBad Header\r\n\r\n", "ghp_SECRET"),
    "a version that is a secret": (b"GET http://plain.test/ ghp_SECRET\r\nHost: plain.test\r\n\r\n", "ghp_SECRET"),
    "a field without a name": (b"GET http://plain.test/ HTTP/1.1\r\nghp_SECRET\r\n\r\n", "ghp_SECRET"),
    "a cookie without a request": (b"Cookie: session=s3cr3tcookie\r\n\r\n", "session", "s3cr3tcookie"),
    "a body without a head": (b'{"password": "s3cr3tbody"}\r\n\r\n', "password", "s3cr3tbody"),
}


@pytest.mark.parametrize("name", NO_REQUESTS)
def test_AUD_09_what_is_no_request_leaves_nothing_of_itself(trial, name):
    sent, *secrets = NO_REQUESTS[name]
    trial.malformed(sent, status={400, 501, 505})
    unwritten(trial, *secrets)
    trial.passes()


def test_AUD_09_a_token_sent_to_socks_is_not_written(fresh):
    trial = fresh(f"""version: 1
agents: {{ t1: {{ token_sha256: "{hashlib.sha256(b'right-token').hexdigest()}" }} }}
rules:
  - {{ id: tunnel, agents: [t1], action: allow, to: [allowed.test] }}
""", name="t1", port=SHARED)
    for password in (b"wrong-token", b"right-token"):
        with trial.agent.open() as sock:
            sock.sendall(b"\x05\x01\x02")
            assert sock.recv(2) == b"\x05\x02"
            sock.sendall(b"\x01\x09user-name" + bytes([len(password)]) + password + b"\x05\x01\x00\x03\x0callowed.test\x01\xbb")
            sock.settimeout(0.3)
            drain(sock)
    trial.gate.log.wait_for(verdict="allow", agent="t1")
    trial.gate.log.wait_for(verdict="deny", reason="unknown-agent")
    unwritten(trial, "wrong-token", "right-token", "user-name")


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
