"""`log blocked` on a terminal: what is longer than the screen is shown as git does, and nothing of it is ever lost."""
import fcntl, os, pty, select, shutil, struct, subprocess, termios, time

import pytest

from harness.gate import BINARY, QUIET, exitgate
from test_review_index import LINE

HOSTS = [f"h{number:02}.many.test" for number in range(40)]


@pytest.fixture
def log(binary, tmp_path):
    """A log of 40 places, which take more than a screen of 24 rows; one of one place for the control."""
    path = tmp_path / "audit.jsonl"
    path.write_text("".join(LINE % (seq, seq - 1, 1_795_600_000_000 + seq, host, seq, "default", "no-rule", "deny", "", seq)
                            for seq, host in enumerate(HOSTS, 1)))
    return path


@pytest.fixture
def pager(tmp_path):
    """A program that notes what it was given, and how."""
    path = tmp_path / "pager"
    path.write_text(f'#!/bin/sh\necho "$LESS" >>{tmp_path}/started\ncat >{tmp_path}/shown\n')
    path.chmod(0o755)
    return path


def on_terminal(log, *words, rows=24, keys=b"", env=None, colour=False):
    """What the terminal shows, and how it ended."""
    own, other = pty.openpty()
    fcntl.ioctl(own, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 100, 0, 0))
    variables = {name: value for name, value in QUIET.items() if not colour or name != "NO_COLOR"} | {"TERM": "xterm"} | (env or {})
    process = subprocess.Popen([BINARY, "log", "blocked", "--audit-log", log, *words], stdin=other, stdout=other, stderr=other,
                               env=variables, start_new_session=True)
    os.close(other)
    seen, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([own], [], [], 0.1)[0]:
            try:
                piece = os.read(own, 65536)
            except OSError:
                break
            seen += piece
            if keys and b":" in piece:
                os.write(own, keys)
    else:
        process.kill()
        raise AssertionError(f"it does not end: {seen[-500:]!r}")
    os.close(own)
    return seen.decode().replace("\r\n", "\n"), process.wait(timeout=30)


def whole(text):
    return all(host in text for host in HOSTS)


def test_more_than_a_screen_is_handed_to_the_pager_and_all_of_it(log, pager, tmp_path):
    seen, status = on_terminal(log, env={"PAGER": str(pager)})
    plain = exitgate("log", "blocked", "--audit-log", log)
    assert status == 0 and "h01" not in seen and (tmp_path / "shown").read_text() == plain.stdout and whole(plain.stdout)
    assert (tmp_path / "started").read_text() == "FRX\n", "colours pass, other sequences do not"
    seen, _ = on_terminal(log, env={"PAGER": "false", "EXITGATE_PAGER": f"{pager} --its-own words", "LESS": "S"})
    assert "h01" not in seen and (tmp_path / "started").read_text() == "FRX\nS\n", "what the person has set is left"


def test_where_nobody_wants_it_nothing_is_paged(log, pager, tmp_path):
    wanted = {"PAGER": str(pager)}
    for words, env, rows in ((("--no-pager",), wanted, 24), ((), wanted | {"EXITGATE_PAGER": ""}, 24), ((), wanted | {"EXITGATE_PAGER": "cat"}, 24),
                             ((), wanted | {"TERM": "dumb"}, 24), ((), wanted | {"EXITGATE_NO_PAGER": "yes"}, 24), ((), wanted, 2000)):
        seen, status = on_terminal(log, *words, env=env, rows=rows)
        assert status == 0 and whole(seen), (words, env, rows)
    assert whole(exitgate("log", "blocked", "--audit-log", log, env=wanted | {"TERM": "xterm"}).stdout), "nor into a pipe"
    assert not (tmp_path / "started").exists()
    on_terminal(log, env=wanted)
    assert (tmp_path / "started").exists(), "the control"


@pytest.mark.parametrize("broken", ("/does/not/exist", "false", "kill -9 $$", "head -c 10 >/dev/null; exit 3"))
def test_a_pager_that_fails_loses_nothing(log, broken):
    seen, status = on_terminal(log, env={"PAGER": broken})
    assert status == 0 and whole(seen) and "failed" in seen and "--no-pager" in seen, seen[-500:]


def test_a_pager_that_is_left_early_is_no_failure(log):
    seen, status = on_terminal(log, env={"PAGER": "head -n 1"})
    assert status == 0 and not whole(seen) and "failed" not in seen and "39" not in seen, seen


def test_with_less_the_first_screen_is_shown_and_left(log):
    if not shutil.which("less"):
        pytest.skip("less is not installed")
    seen, status = on_terminal(log, keys=b"q", colour=True)
    assert status == 0 and "many.test" in seen and not whole(seen), seen
    assert "\x1b[1m" in seen or "\x1b[31m" in seen, "its colours are colours"
