"""The index beside a large log, by the command line: the same answers as without, whatever becomes of its file."""
import csv, io, json, os, pathlib, pty, re, subprocess

import pytest

from harness.gate import BINARY, QUIET, exitgate

COMMANDS = (("blocked", "--json"), ("blocked", "--csv"), ("blocked",), ("stats", "--json"), ("suggest",),
            ("blocked", "--json", "--agent", "ci"), ("blocked", "--json", "--since", "2026-11-25T10:30:00Z"),
            ("stats", "--json", "--destination", "*.evil.test"), ("blocked", "--json", "--reason", "no-rule", "--layer", "connect"))
LINE = ('{"seq":%d,"prev":"%064x","class_uid":4001,"category_uid":4,"activity_id":5,"type_uid":400105,"time":%d,"severity_id":1,"action_id":2,'
        '"disposition_id":2,"src_endpoint":{"ip":"127.0.0.1","port":50000},"dst_endpoint":{"hostname":"%s","port":443},"connection_info":'
        '{"protocol_name":"tcp","uid":"%d"},"unmapped":{"event":"decision","agent":"%s","protocol":"https","layer":"connect","reason":"%s",'
        '"verdict":"%s","generation":1,"listener":"127.0.0.1:3128"%s},"hash":"%064x"}\n')


def lines(first, count):
    """Decisions of three agents about a few hundred hosts, some of which audit mode let pass, over two hours and a half."""
    for seq in range(first, first + count):
        passed = seq % 5 == 0
        yield LINE % (seq, seq - 1, 1_795_600_000_000 + seq * 300, f"h{seq % 311}.evil.test", seq, ("default", "ci", "review")[seq % 3],
                      "no-rule", "allow" if passed else "deny", ',"would_deny":true' if passed else "", seq)


class Log:
    def __init__(self, directory, count=30_000):
        self.path, self.count = directory / "audit.jsonl", count
        self.index = directory / "audit.jsonl.index"
        self.path.write_text("".join(lines(1, count)))

    def append(self, count):
        with open(self.path, "a") as file:
            file.writelines(lines(self.count + 1, count))
        self.count += count

    def ask(self, *words, **more):
        done = exitgate("log", *words, "--audit-log", self.path, timeout=120, **more)
        assert done.returncode == 0, done
        return done

    def agrees(self, word="", commands=COMMANDS):
        """What is said beside the results of the first command; each says what it says without an index."""
        said = None
        for command in commands:
            own, truth = self.ask(*command), self.ask(*command, "--no-index")
            assert own.stdout == truth.stdout and "index" not in truth.stderr, command
            said = own.stderr if said is None else said
        assert word in said if word else "index" not in said, said
        return said


@pytest.fixture
def log(binary, tmp_path):
    return Log(tmp_path)


def test_every_review_says_the_same_with_the_index(log):
    log.agrees()
    assert log.index.stat().st_mode & 0o777 == 0o600
    denied = sum(json.loads(line)["count"] for line in log.ask("blocked", "--json").stdout.splitlines())
    assert denied == log.count, "every record of this log is a denial, or would be one"
    log.append(2_000)
    log.agrees()
    os.rename(log.path, f"{log.path}.000001")
    log.path.write_text("")
    log.append(500)
    log.agrees(commands=COMMANDS[:4])
    os.unlink(f"{log.path}.000001")
    log.agrees(commands=COMMANDS[:4])


def test_a_small_log_gets_no_index(binary, tmp_path):
    log = Log(tmp_path, 100)
    log.agrees(commands=COMMANDS[:2])
    assert not log.index.exists()


def test_only_what_was_appended_is_read(log, tmp_path):
    def read():
        trace = tmp_path / "trace"
        subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=pread64,openat", "-P", log.path, BINARY, "log", "stats", "--audit-log", log.path],
                       check=True, capture_output=True, timeout=120, env=QUIET)
        return sum(int(size) for size in re.findall(r"pread64.*= (\d+)$", trace.read_text(), re.M))

    assert read() >= log.path.stat().st_size
    assert read() == 0
    before = log.path.stat().st_size
    log.append(100)
    # The ends of what was read before, and what is new.
    assert log.path.stat().st_size - before <= read() < 200_000


def test_the_first_reading_shows_how_far_it_is_on_a_terminal_alone(log):
    log.append(30_000)
    assert log.path.stat().st_size > 16 << 20
    screen, terminal = pty.openpty()
    done = subprocess.Popen([BINARY, "log", "blocked", "--json", "--audit-log", log.path], stdout=subprocess.DEVNULL, stderr=terminal,
                            env=QUIET | {"TERM": "xterm"})
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(screen, 4096):
            shown += piece
    except OSError:
        pass  # the other end is closed
    os.close(screen)
    assert done.wait(60) == 0
    assert b"exitgate: indexing the log [" in shown and b"100 %" in shown and shown.endswith(b"\r\x1b[K"), shown
    log.index.unlink()
    assert log.ask("blocked", "--json").stderr == ""


@pytest.mark.parametrize("name, spoil, word", [
    ("broken", lambda log: log.index.write_bytes(log.index.read_bytes()[:100] + os.urandom(60_000)), "made anew"),
    ("cut off", lambda log: log.index.write_bytes(log.index.read_bytes()[:5000]), "made anew"),
    ("of another layout", lambda log: sqlite(log.index, "PRAGMA user_version = 77"), "made anew"),
    ("a note of somebody's", lambda log: log.index.write_text("remember the milk\n" * 9), "is no index of Exitgate's"),
    ("a link", lambda log: (log.index.unlink(), log.index.symlink_to("/etc/passwd")), "is not a plain file"),
    ("a directory", lambda log: (log.index.unlink(), log.index.mkdir()), "is not a plain file"),
    ("open to others", lambda log: log.index.chmod(0o666), "can be written by others"),
    ("somebody else's", lambda log: os.chown(log.index, 1234, 1234), "belongs to user 1234"),
])
def test_AUD_08_an_index_that_is_not_ours_or_not_whole_changes_no_answer(log, name, spoil, word):
    log.agrees(commands=COMMANDS[:1])
    if name == "somebody else's" and os.geteuid() != 0:
        pytest.skip("needs root, to give a file away")
    spoil(log)
    own = None if log.index.is_dir() else log.index.read_bytes()
    log.agrees(word, COMMANDS[:1])
    assert (word == "made anew") or log.index.is_dir() or log.index.read_bytes() == own, "what is not ours is left alone"
    log.agrees(word if word != "made anew" else "", COMMANDS[:2])


def sqlite(path, statement):
    import sqlite3
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()


def test_AUD_08_a_log_that_was_rewritten_is_read_anew_and_the_person_told(log):
    log.agrees(commands=COMMANDS[:1])
    text = log.path.read_text().replace("h7.evil.test", "h7.good.test")
    with open(log.path, "r+") as file:  # the same file
        file.write(text)
    assert "exitgate log verify" in log.agrees("changed where no writer changes it", COMMANDS[:3])
    log.agrees(commands=COMMANDS[:3])


def test_who_reads_the_log_of_somebody_else_has_an_index_of_his_own(log, tmp_path, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a file away")
    os.chown(log.path, 1234, 1234)
    cache = tmp_path / "cache"
    monkeypatch.setitem(QUIET, "XDG_CACHE_HOME", str(cache))
    log.agrees(commands=COMMANDS[:3])
    own = list((cache / "exitgate").iterdir())
    assert not log.index.exists() and any(path.name.endswith(".index") for path in own)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in own) and (cache / "exitgate").stat().st_mode & 0o777 == 0o700
    log.append(100)
    log.agrees(commands=COMMANDS[:2])
    (cache / "exitgate").chmod(0o777)
    log.agrees("can be written by others", COMMANDS[:1])


def test_without_the_library_without_room_and_where_nothing_can_be_written_the_log_is_read(log, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    exitgate_log = f"'{BINARY}' log blocked --json --audit-log"
    truth = log.ask("blocked", "--json", "--no-index").stdout
    library = subprocess.run("ldconfig -p | awk '$1 == \"libsqlite3.so.0\" { print $NF; exit }'", shell=True, capture_output=True, text=True).stdout.strip()
    assert library, "the control needs the library"
    full = log.path.stat().st_size + (1 << 16)
    for prepare, word in ((f"mount --bind /dev/null '{library}'; {exitgate_log} '{log.path}'", "libsqlite3.so.0 cannot be loaded"),
                          (f"mount --bind '{tmp_path}' '{tmp_path}'; mount -o remount,ro,bind '{tmp_path}'; {exitgate_log} '{log.path}'", "read-only"),
                          (f"mount -t tmpfs -o size={full} none /mnt; cp '{log.path}' /mnt; {exitgate_log} /mnt/audit.jsonl", "full")):
        done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", prepare], capture_output=True, text=True, timeout=120, env=QUIET)
        assert done.returncode == 0 and done.stdout == truth, (prepare, done.stderr)
        assert "read without an index" in done.stderr and word in done.stderr.lower(), done.stderr
        assert not log.index.exists()
    log.agrees(commands=COMMANDS[:1])
    assert log.index.exists(), "the control: here there is one"


def test_AUD_05_an_index_leaves_the_log_the_room_it_needs(log):
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    size = log.path.stat().st_size
    for room, has_index in ((12 << 20, False), (64 << 20, True)):
        script = (f"mount -t tmpfs -o size={size + room} none /mnt; cp '{log.path}' /mnt; "
                  f"'{BINARY}' log blocked --json --audit-log /mnt/audit.jsonl >/dev/null; ls /mnt")
        done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script], capture_output=True, text=True, timeout=120, env=QUIET)
        assert ("audit.jsonl.index" in done.stdout) == has_index, (room, done.stdout, done.stderr)
        assert ("left for the log" in done.stderr) != has_index, done.stderr


def test_AUD_02_AUD_10_hostile_values_come_out_of_the_index_as_they_went_in(log):
    hostile = ["'); DROP TABLE kind; --", "=cmd|'/c calc'!A1", "\\u001b[2J\\u202e", "%s%n%d", "\\u0000", "a\\\"b"]
    with open(log.path, "a") as file:
        for place, value in enumerate(hostile):
            line = LINE % (log.count + place, 0, 1_795_600_000_000, "hostile.test", 1, "default", value, "deny", f',"rule":"{value}"', 0)
            file.write(line)
    log.agrees()
    table = log.ask("blocked", "--csv", "--destination", "hostile.test").stdout
    assert re.fullmatch(r"[\n\x20-\x7e]*", table.replace("\r\n", "\n"))
    rows = list(csv.reader(io.StringIO(table)))
    assert len(rows) == 2 and not any(cell[:1] in "=+-@" for cell in rows[1] if cell)
    seen = json.loads(log.ask("blocked", "--json", "--destination", "hostile.test").stdout)
    assert seen["count"] == len(hostile) and set(seen["reasons"]) == {json.loads(f'"{value}"') for value in hostile}
