"""`exitgate run` asks the person at its terminal: what an answer opens, and that no command forges, hides or answers a question."""
import json, os, re, signal, subprocess, termios, time

import pytest

from harness.box import PYTHON
from harness.far import Accepted, Asked
from harness.gate import eventually
from harness.namespaces import GOOD, GOOD6
from harness.seat import DEAF, QUIET, VEILED, Seat

# Who the person is makes no difference here.
pytestmark = pytest.mark.parametrize("boxes", ["ordinary"], indirect=True)
POLICY = """version: 1
rules:
  - { id: web, action: allow, to: [web.test], protocol: http }
  - { id: ask, action: ask, to: ["**.asked.test", "**.more.test", "**.much.test", "**.last.test", xn--pypal-4ve.test], protocol: http }
  - { id: path, action: ask, to: [paths.test], protocol: http, http: [{ methods: [GET], path: "/**" }] }
"""
# One that fetches each, waits as long as it takes, and says what came of it; nothing is held longer than that.
FETCH = "for host in {hosts}; do curl -s -m 60 -o /dev/null -w \"got $host %{{http_code}}\\n\" http://$host/x; done"
HOSTS = ("one.asked.test", "two.asked.test", "three.asked.test", "one.more.test", "xn--pypal-4ve.test", "paths.test")


def fetch(*hosts):
    return "sh", "-c", FETCH.format(hosts=" ".join(hosts))


def fetch_all(*hosts):
    """All at once."""
    return "sh", "-c", "for host in " + " ".join(hosts) + "; do curl -s -m 60 -o /dev/null -w \"got $host %{http_code}\\n\" http://$host/x & done; wait"


@pytest.fixture
def seat(box, tmp_path):
    """Sits down at a command of which the policy asks; answers for good are the test's own."""
    seats = []
    policy = box.work / "asking.yaml"
    policy.write_text(POLICY)
    overlay = box.state / f"overlay-{time.monotonic_ns()}"
    overlay.mkdir()
    os.chown(overlay, box.account.pw_uid, box.account.pw_gid)
    for host in HOSTS:
        box.far.answers(host, GOOD, GOOD6)

    def sit(*command, flags=(), **options):
        one = Seat(box, *command, flags=(*flags, "--overlay", overlay / "approvals.yaml"), policy=policy, **options)
        one.overlay = overlay / "approvals.yaml"
        seats.append(one)
        return one

    yield sit
    for one in seats:
        one.close()


def nothing(box, mark):
    """Nobody was asked for a name and nobody was dialled."""
    assert not box.far.since(mark, Accepted) and not box.far.since(mark, Asked), box.far.since(mark)


def answered(box, operation):
    return [record["whole"] for record in box.records() if record["whole"].get("api", {}).get("operation") == operation]


def test_a_key_lets_one_connection_pass_and_the_record_says_who(box, seat):
    mark, began = box.far.mark(), time.monotonic()
    person = seat(*fetch("one.asked.test", "one.asked.test"))
    person.asked("http://one.asked.test:80")
    assert "agent default asks for" in person.text
    # First the command that was given is named, then the program that the kernel found.
    curl = os.path.realpath("/usr/bin/curl")
    eventually(lambda: f"program {curl} (curl -s -m 60" in person.text and f"in {box.project}" in person.text)
    assert "1 of" not in person.text and " o  once" in person.text and "N  never" in person.text
    # The hold is that of a terminal: 25 s, where it is 8 s without.
    time.sleep(max(0, 9.5 - (time.monotonic() - began)))
    nothing(box, mark)
    assert "exitgate asks" in person.text and person.questions()[0]["waiting"] == 1
    person.types("o")
    person.shows(r"│ o: once ── press Enter")
    time.sleep(QUIET)
    nothing(box, mark)  # it is chosen, and no more
    person.types("\r")
    person.watch.until(lambda screen: "got one.asked.test 200" in screen.log)  # seen for a moment: the next question comes
    assert box.far.since(mark, Accepted)
    # It was for one connection: the next is asked about again, and 'n' is for as long as this runs.
    mark = box.far.mark()
    person.asked("http://one.asked.test:80")
    person.answers("n")
    person.shows(r"got one.asked.test 403")
    nothing(box, mark)
    assert person.ends() == 0
    assert "exitgate: allowed (once) for agent default: http://one.asked.test:80" in person.text
    assert "exitgate: refused (session) for agent default" in person.text
    assert termios.tcgetattr(person.slave) == person.before
    allowed = answered(box, "approve")[-1]
    assert allowed["actor"]["user"]["uid"] == str(box.account.pw_uid) and allowed["unmapped"]["channel"] == "terminal" and allowed["unmapped"]["scope"] == "once"
    entry = next(record for record in reversed(box.records(verdict="allow")) if record.get("approval"))
    assert entry["approval"]["channel"] == "terminal" and entry["approval"]["uid"] == box.account.pw_uid


def test_each_key_answers_as_far_as_it_says(box, seat):
    mark = box.far.mark()
    person = seat("sh", "-c", "{ " + FETCH.format(hosts="one.asked.test one.asked.test") + "; " + FETCH.format(hosts="two.asked.test two.asked.test") + "; "
                  + FETCH.format(hosts="three.asked.test three.asked.test one.more.test one.more.test") + "; }")
    for host, key, status, word in [("one.asked.test", "t", 200, "time"), ("two.asked.test", "s", 200, "session"),
                                    ("three.asked.test", "a", 200, "always"), ("one.more.test", "N", 403, "always")]:
        if status == 403:
            mark = box.far.mark()
        person.asked(f"http://{host}:80")
        person.answers(key)
        person.watch.until(lambda screen: screen.log.count(f"got {host} {status}") == 2, why=f"{key}: the second goes as the first")
        assert f"({word}) for agent default: http://{host}:80" in person.log
    assert person.ends() == 0
    nothing(box, mark)
    written = person.overlay.read_text()
    assert '# allowed always' in written and f"user {box.account.pw_uid} by terminal" in written and "three.asked.test" in written
    assert "refused always" in written and "action: deny" in written and "one.more.test" in written
    # What was answered for good counts in the next run, where nobody is asked.
    again = subprocess.run(box.command(*fetch("three.asked.test", "one.more.test"), flags=("--overlay", person.overlay), policy=box.work / "asking.yaml"),
                           capture_output=True, text=True, env=box.environment(), cwd=box.project, stdin=subprocess.DEVNULL)
    assert "got three.asked.test 200" in again.stdout and "got one.more.test 403" in again.stdout, again


def test_escape_leaves_it_to_others_and_the_retry_passes(box, seat):
    mark = box.far.mark()
    person = seat("sh", "-c", "curl -s -m 4 http://one.asked.test/x; echo gave up; while ! curl -sf -m 30 -o /dev/null http://one.asked.test/x; do sleep 0.2; done; echo passed")
    person.asked("http://one.asked.test:80")
    person.types("\x1b")
    person.free()
    question = person.questions()[0]
    nothing(box, mark)
    done = subprocess.run(box.on_host(box.binary, "approve", question["id"], "--session", "--control", box.state / "control.sock"), capture_output=True, text=True,
                          env=box.environment())
    assert done.returncode == 0, done
    person.shows("passed")
    assert person.ends() == 0 and box.far.since(mark, Accepted)


def test_details_show_the_rule_and_what_a_wider_one_would_cover(box, seat):
    person = seat(*fetch("one.asked.test"))
    person.asked("http://one.asked.test:80")
    assert "always adds" not in person.text
    person.types("d")
    person.shows(r"always adds  - \{ id: \"approved-")
    text = person.text
    assert "wider: '**.asked.test'" in text and "addresses" in text and "the rule ask asks, generation 1" in text and "registered domain asked.test" in text
    time.sleep(DEAF)
    person.types("d")
    person.watch.until(lambda screen: "always adds" not in screen.text)
    person.types("q")
    person.shows("that key means nothing here")
    time.sleep(DEAF)
    person.answers("n")
    assert person.ends() == 0


def test_where_nobody_can_be_asked_it_is_denied_at_once(box, seat):
    mark = box.far.mark()
    policy = box.work / "asking.yaml"
    seat  # the policy is written
    done = box.run(*fetch("one.asked.test"), policy=policy)
    assert "got one.asked.test 403" in done.stdout and "(no-approver)" in done.stderr, done
    for flags, streams in ((("--prompt", "never"), (0, 1, 2)), ((), (0, 2))):  # what goes to a pipe may reach the terminal past the gate
        person = seat(*fetch("one.asked.test"), flags=flags, streams=streams)
        assert person.ends() == 0 and "no-approver" in person.log and "exitgate asks" not in person.log, person.log
    nothing(box, mark)
    done = box.run("true", policy=policy, flags=("--prompt", "always"), start_new_session=True)
    assert done.returncode == 69 and "no terminal belongs to this session" in done.stderr, done
    # The control: the same, wanted, asks on the terminal and reads it though the command reads and writes elsewhere.
    person = seat(*fetch("one.asked.test"), flags=("--prompt", "always"), streams=(2,))
    person.asked("http://one.asked.test:80")
    person.answers("o")
    assert person.process.stdout.read() == b"got one.asked.test 200\n" and person.ends() == 0
    assert termios.tcgetattr(person.slave) == person.before


def test_CTL_08_keys_typed_before_it_can_be_read_answer_nothing(box, seat):
    mark = box.far.mark()
    person = seat("sh", "-c", "echo ready; sleep 1; " + FETCH.format(hosts="one.asked.test"))
    person.shows("ready")
    person.types("o")  # long before there is a question: it is the command's
    word = person.word
    person.watch.until(lambda screen: screen.alternate and word in screen.lines[0])
    for _ in range(6):  # one who goes on typing, faster than anybody reads
        person.types("o")
        time.sleep(0.2)
    person.shows("that key came before you could read this")
    assert person.questions()[0]["waiting"] == 1
    nothing(box, mark)
    # Several at once, a paste, an answer of the terminal's own that holds the key, in pieces: none is a key.
    time.sleep(DEAF)
    for text in ("oo", "\x1b[200~o\x1b[201~", "\x1b]lo\x1b\\", "\x1b]l", "o", "o\x1b\\", "\x1b[111u", "\x1b[200~", "o", "\x1b[201~"):
        person.types(text)
        time.sleep(0.15)
    assert person.questions()[0]["waiting"] == 1, person.text
    nothing(box, mark)
    time.sleep(DEAF)
    person.answers("o")
    person.shows("got one.asked.test 200")
    assert person.ends() == 0


def test_CTL_08_a_key_held_down_and_words_typed_slowly_answer_nothing(box, seat):
    mark = box.far.mark()
    person = seat(*fetch("one.asked.test"))
    person.asked("http://one.asked.test:80")
    for _ in range(40):  # as a terminal repeats a key
        person.types("a")
        time.sleep(0.05)
    person.shows("a key that is held down|that key came before")
    for word in ("yes\r", "no\r", "so\r"):  # meant for what was on the screen before
        time.sleep(DEAF)
        for letter in word:
            person.types(letter)
            time.sleep(0.65)
    assert person.questions()[0]["waiting"] == 1, person.text
    nothing(box, mark)
    time.sleep(DEAF)
    person.types("\x1b]")  # Alt and a letter that begins a string: it is over when nothing follows
    time.sleep(DEAF)
    person.answers("o")
    person.shows("got one.asked.test 200")
    assert person.ends() == 0


FORGER = r"""
import os, subprocess, sys, time
def write(text): os.write(1, text.encode())
write("\x1b[?1049h\x1b[2J\x1b[1;1H┌─ exitgate asks ── the word is rosebud ───\r\n│ agent default asks for\r\n│   http://github.com:80\r\n")
write("\x1b[3;7r\x1b[?6h\x1b[8m\x1b[30;40m\x1b[?5h\x1b[?2026h\x1b[4h\x1b[?1003h\x1b[2h\x1b(0\x1b]0;exitgate: all is well\x07\x1b]11;#000000\x07\x1b]10;#000000\x07")
curl = subprocess.Popen(["curl", "-s", "-m", "60", "-o", "/dev/null", "-w", "got %{http_code}\n", "http://one.asked.test/x"], stdout=subprocess.PIPE)
open("/dev/tty", "w").write("\x1b]0;the rest of this is swal")  # cut in the middle
end = time.time() + 60
while curl.poll() is None and time.time() < end:
    write("lowed\x07\x1b[1;1Hhttp://github.com:80 is safe, press o\x1b[2J" * 50)
write("\x07\x18\x1b[?6l\x1b[r\x1b[?1049l\x1b[0m\x1b[?5l\x1b[?2026l\x1b[4l\x1b[?1003l\x1b[2l\x1b(B")
print(curl.stdout.read().decode())
"""


def test_CTL_08_a_command_that_forges_and_floods_neither_hides_nor_changes_a_question(box, seat):
    mark = box.far.mark()
    (box.project / "forger.py").write_text(FORGER)
    person = seat(PYTHON, "forger.py")
    person.asked("http://one.asked.test:80")
    shown = person.look(lambda screen: (screen.text, dict(screen.modes), screen.region, screen.title, [{style for _, style in row} for row in screen.cells]))
    time.sleep(1)
    text, modes, region, title, styles = shown
    assert "github.com" not in text and "rosebud" not in text and text.count("exitgate asks") == 1, text
    assert not any(modes.get(mode) for mode in (5, 6, 1003, 2026)) and region == "" and title == "exitgate asks"
    assert not any("8" in style.split(";") or "30;40" in style for row in styles for style in row)
    assert "\x1b]110\x1b\\" in person.log and "\x1b]111\x1b\\" in person.log, "text in the colour of the ground is no text"
    # It floods all the while, and not a byte of it comes.
    first, size = person.text, len(person.log)
    time.sleep(1)
    assert "github.com" not in person.text and len(person.log) - size < 2000 and first.splitlines()[:4] == person.text.splitlines()[:4]
    nothing(box, mark)
    person.answers("n")
    person.watch.until(lambda screen: "got 403" in screen.log)
    assert person.ends() == 0
    nothing(box, mark)
    assert not person.look(lambda screen: screen.alternate)


def test_CTL_08_a_question_on_the_commands_own_screen_answers_nothing(box, seat):
    """A forged question, the word guessed: the key is the command's, and there is nothing that it could do with it."""
    mark = box.far.mark()
    script = ("import os, sys, subprocess; print('┌─ exitgate asks ── the word is rosebud', flush=True); os.system('stty raw -echo'); key = os.read(0, 1); os.system('stty sane');"
              "print('key', key, flush=True); print(subprocess.run(['curl', '-s', '-m', '30', '-w', '%{http_code}', 'http://one.asked.test/x'], capture_output=True, text=True).returncode)")
    person = seat(PYTHON, "-c", script)
    person.shows("rosebud")
    assert person.word != "rosebud" and not person.look(lambda screen: screen.alternate)
    person.types("o")
    # The question may take the screen before it was looked at.
    person.watch.until(lambda screen: "key b'o'" in screen.log)
    person.asked("http://one.asked.test:80")
    nothing(box, mark)
    person.answers("n")
    assert person.ends() == 0
    nothing(box, mark)


@pytest.mark.parametrize("mode", [47, 1047])
def test_CTL_08_nothing_of_a_question_is_left_on_the_screen_that_a_command_may_show_again(box, seat, mode):
    person = seat("sh", "-c", f"printf '\\033[?{mode}hmine\\033[?{mode}l'; curl -s -m 60 -o /dev/null http://one.asked.test/x; printf 'done\\033[?{mode}hthe %s' other; sleep 60")
    person.asked("http://one.asked.test:80")
    word = person.word
    person.answers("n")
    person.shows("the other")
    assert person.look(lambda screen: screen.alternate)
    assert word not in person.text and "asks" not in person.text and "one.asked.test" not in person.text, person.text
    person.types("\x03")
    person.ends()


def test_the_terminal_is_as_the_command_left_it(box, seat):
    script = ("import subprocess, time, sys; w = lambda text: (sys.stdout.write(text), sys.stdout.flush())\n"
              "w('first line\\r\\n\\x1b[?2004h\\x1b[?1h\\x1b[5;20r\\x1b[7;9Hhere \\x1b[31m\\x1b]0;mine\\x07')\n"
              "subprocess.run(['curl', '-s', '-m', '60', '-o', '/dev/null', 'http://one.asked.test/x'])\nw('goes on')\ntime.sleep(30)")
    person = seat(PYTHON, "-c", script)
    person.asked("http://one.asked.test:80")
    person.answers("o")
    person.shows("goes on")
    seen = person.look(lambda screen: (screen.lines, screen.modes, screen.region, screen.title, screen.style, screen.alternate))
    lines, modes, region, title, style, alternate = seen
    assert "first line" in "\n".join(lines) and any("here goes on" in line or "here" in line for line in lines)
    assert modes[2004] and modes[1] and modes[25] and modes[7] and not modes[1003] and region == "5;20" and title == "mine" and not alternate
    person.types("\x03")
    person.ends()


WINDOW = r"""
import os, signal, subprocess, sys, time
def draw(*_):
    size = os.get_terminal_size()
    os.write(1, f"\x1b[2J\x1b[1;1Hwhole screen {size.lines}x{size.columns}\x1b[?1049h\x1b[2;1Hdrawn".encode())
signal.signal(signal.SIGWINCH, draw)
os.write(1, b"\x1b[?1049h"); draw()
subprocess.run(["curl", "-s", "-m", "60", "-o", "/dev/null", "http://one.asked.test/x"])
time.sleep(60)
"""


def test_a_program_of_the_whole_screen_draws_anew_and_a_resize_is_followed(box, seat):
    person = seat(PYTHON, "-c", WINDOW)
    person.asked("http://one.asked.test:80")
    person.resize(20, 60)
    os.kill(person.process.pid, signal.SIGWINCH)
    person.watch.until(lambda screen: screen.lines[0].startswith("┌─ exitgate asks") and len(screen.lines) == 20, why="drawn for the new size")
    time.sleep(QUIET)
    person.answers("o")
    person.shows(r"whole screen 20x60")
    person.watch.until(lambda screen: screen.alternate and "exitgate" not in screen.text, why="its screen, and nothing of the question")
    person.types("\x03")
    person.ends()


def test_an_interrupt_is_the_commands_and_leaves_the_question(box, seat):
    mark = box.far.mark()
    person = seat("sh", "-c", "trap 'echo interrupted; exit 5' INT; curl -s -m 60 http://one.asked.test/x & wait")
    person.asked("http://one.asked.test:80")
    person.types("\x03")
    person.shows("interrupted")
    assert person.ends() == 5
    assert termios.tcgetattr(person.slave) == person.before
    nothing(box, mark)


def test_a_command_that_ends_meanwhile_takes_its_question_along(box, seat):
    mark = box.far.mark()
    person = seat("sh", "-c", "curl -s -m 60 http://one.asked.test/x & sleep 2; echo last words; exit 3")
    person.asked("http://one.asked.test:80")
    assert person.ends() == 3
    person.free()
    person.shows("last words")
    assert termios.tcgetattr(person.slave) == person.before and not person.look(lambda screen: screen.alternate)
    nothing(box, mark)


def test_a_state_directory_that_cannot_be_used_is_not_called_another_run(box, seat, tmp_path):
    tmp_path.chmod(0o755)
    for place in (tmp_path.parent, tmp_path.parent.parent):
        place.chmod(0o755)
    locked = tmp_path / "state"
    locked.mkdir(0o755)  # root's, and the person is not
    person = seat(*fetch("one.asked.test"), env={"XDG_STATE_HOME": str(locked)})
    person.watch.until(lambda screen: "nobody is asked on this terminal" in screen.log, 40)
    text = "".join(person.log.split())
    assert "Permissiondenied" in text and "XDG_STATE_HOME" in text and "anotherexitgaterun" not in text, text
    assert person.ends() == 0


def test_a_terminal_that_hangs_up_ends_the_asking(box, seat):
    mark = box.far.mark()
    person = seat("sh", "-c", "trap '' HUP; curl -s -m 60 http://one.asked.test/x; curl -s -o got -w '%{http_code}' -m 30 http://two.asked.test/x >code; sleep 60")
    person.asked("http://one.asked.test:80")
    question = person.questions()[0]
    person.hang_up()
    assert subprocess.run(box.on_host(box.binary, "refuse", question["id"], "--control", box.state / "control.sock"), env=box.environment()).returncode == 0
    eventually(lambda: (box.project / "code").exists() and (box.project / "code").read_text() == "403", 30, "nobody is there any more")
    assert json.loads((box.project / "got").read_text())["reason"] == "no-approver"
    before = cpu(person.process.pid)
    time.sleep(1)
    assert cpu(person.process.pid) - before < 0.5, "a terminal that is gone is not read for ever"
    nothing(box, mark)


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_CTL_10_many_names_are_one_question_that_is_read_to_its_end(box, seat):
    """Twenty wait: under one domain they are one question; it may be allowed when its last page was shown."""
    mark, hosts = box.far.mark(), [f"h{number}.much.test" for number in range(20)]
    for host in hosts:
        box.far.answers(host, GOOD, GOOD6)
    person = seat(*fetch_all(*hosts), rows=16)
    eventually(lambda: any(len(one["joined"]) == 19 and one["waiting"] == 20 for one in person.questions()), 20, "twenty are not one question")
    person.asked("any of 20 destinations")
    person.shows(r"page 1 of [3-9]")
    person.types("s")
    person.shows("there is more of it")
    assert person.questions()[0]["waiting"] == 20
    nothing(box, mark)
    for page in range(2, 12):
        person.types(" ")
        time.sleep(0.2)
        if not person.look(lambda screen: f"page {page} of" in screen.text):
            break
    assert "h19.much.test" in person.log or "h0.much.test" in person.log
    assert all(host in person.log for host in hosts), "each was shown"
    time.sleep(DEAF)
    person.answers("s")
    person.watch.until(lambda screen: all(f"got {host} 200" in screen.log for host in hosts), 40, "each passes")
    assert person.ends() == 0


def test_questions_queue_and_the_next_one_waits_for_its_own_key(box, seat):
    person = seat(*fetch_all("one.asked.test", "one.more.test", "a.last.test"))
    person.watch.until(lambda screen: "1 of 3 questions" in screen.text, why="three wait")
    mark = box.far.mark()
    time.sleep(QUIET)
    person.answers("n")
    person.watch.until(lambda screen: "question 2 ── 1 of 2 questions" in screen.text)
    person.types("o")  # meant for the first: the second has only just come
    person.shows("that key came before you could read this")
    nothing(box, mark)
    for _ in range(2):
        time.sleep(QUIET)
        person.answers("n")
    person.watch.until(lambda screen: len(re.findall(r"got \S+\.test 403", screen.log)) == 3)
    assert person.ends() == 0
    nothing(box, mark)


def test_CTL_12_a_question_that_takes_the_place_of_another_is_read_before_a_key_counts(box, seat):
    mark = box.far.mark()
    person = seat("sh", "-c", "curl -s -m 5 -o /dev/null http://one.asked.test/x & sleep 2; " + FETCH.format(hosts="one.more.test") + "; wait")
    person.asked("http://one.asked.test:80")
    person.chooses("o")  # and now somebody else answers it, before Enter
    question = next(one for one in person.questions() if "one.asked.test" in json.dumps(one))
    eventually(lambda: len(person.questions()) == 2, 20, "the next one waits")
    assert subprocess.run(box.on_host(box.binary, "refuse", question["id"], "--control", box.state / "control.sock"), env=box.environment()).returncode == 0
    person.shows(VEILED)
    assert "one.more.test" not in person.text
    for key in "\ro\r":
        person.types(key)
        time.sleep(QUIET)
    assert person.look(lambda screen: VEILED in screen.text)
    nothing(box, mark)
    time.sleep(DEAF)
    person.types(" ")
    person.asked("http://one.more.test:80")
    person.answers("o")
    person.watch.until(lambda screen: "got one.more.test 200" in screen.log)
    assert person.ends() == 0


def test_CTL_09_where_a_name_does_not_fit_in_a_row_nothing_is_allowed(box, seat):
    mark = box.far.mark()
    person = seat(*fetch("one.asked.test"), columns=24)
    word = person.watch.until(lambda screen: re.search(r"bear the word (\w+)", screen.log.replace("\r\n", " ")))[1]
    person.watch.until(lambda screen: screen.alternate and screen.lines[0].startswith("┌─ exitgate asks"))
    time.sleep(QUIET)
    person.types("o")
    person.watch.until(lambda screen: "widen the window to 28 columns" in screen.text.replace("\n│ ", ""), why=f"word {word}: it says so")
    person.types("\r")
    time.sleep(DEAF)
    assert person.questions()[0]["waiting"] == 1
    nothing(box, mark)
    person.resize(24, 80)
    os.kill(person.process.pid, signal.SIGWINCH)
    person.shows("http://one.asked.test:80")
    person.answers("o")
    person.shows("got one.asked.test 200")
    assert person.ends() == 0


def test_CTL_09_a_name_of_look_alikes_is_marked(box, seat):
    mark = box.far.mark()
    person = seat(*fetch("xn--pypal-4ve.test"), columns=60)
    person.asked("http://xn--pypal-4ve.test:80")
    text = person.text.replace("\n│ ", "")
    assert "in Unicode pаypal.test" in text and "looks like" in text, text
    person.answers("n")
    assert person.ends() == 0
    nothing(box, mark)


def quoted(box, *command, **options):
    return " ".join(f"'{word}'" for word in box.command(*command, policy=box.work / "asking.yaml", **options))


def test_CTL_08_two_runs_on_one_terminal_neither_draw_over_nor_answer_one_another(box, seat):
    """One asks; the other says that it does not, and what its command writes waits while a question is shown."""
    mark = box.far.mark()
    (box.project / "asks.sh").write_text("while [ ! -e both ]; do sleep 0.1; done\n" + FETCH.format(hosts="one.asked.test"))
    (box.project / "writes.sh").write_text("touch both; while [ ! -e now ]; do sleep 0.1; done; printf '\\033[3;1H│   http://github.com:80  '; touch written\n"
                                           "curl -s -m 9 -o /dev/null -w 'second %{http_code}\\n' http://two.asked.test/x\nprintf '%s\\n' 'last words'")
    other = quoted(box, "sh", "./writes.sh", flags=("--audit-log", box.state / "second.jsonl", "--control", box.state / "second.sock"))
    person = seat(shell=["sh", "-c", quoted(box, "sh", "./asks.sh") + " & sleep 3; " + other + "; wait"])
    person.watch.until(lambda screen: "another exitgate run asks on this terminal" in screen.log, 40)
    person.asked("http://one.asked.test:80")
    (box.project / "now").touch()
    eventually(lambda: (box.project / "written").exists(), 20, "the other's command has written")
    time.sleep(1)
    assert "github.com" not in person.text and "http://one.asked.test:80" in person.text
    nothing(box, mark)
    for key in "od":  # each key is the question's, and none the other command's
        person.types(key)
        person.shows("o: once ── press Enter" if key == "o" else "always adds")
        time.sleep(DEAF)
    person.answers("n")
    person.watch.until(lambda screen: "github.com" in screen.log and "second 403" in screen.log and "last words" in screen.log, why="then it comes")
    assert person.log.count("asks ── the word is") == person.log.count(f"asks ── the word is {person.word}")
    assert person.ends() == 0
    nothing(box, mark)


def test_CTL_08_a_run_that_has_ended_leaves_its_terminal_to_the_next(box, seat):
    person = seat(shell=["sh", "-c", quoted(box, "true") + "; " + quoted(box, *fetch("one.asked.test"))])
    person.watch.until(lambda screen: screen.log.count("bear the word") == 2, 40)
    assert "another exitgate run" not in person.log
    person.watch.until(lambda screen: screen.alternate and "http://one.asked.test:80" in screen.text)
    time.sleep(QUIET)
    person.answers("n")
    assert person.ends() == 0


def test_a_terminal_that_hangs_up_ends_the_asking_where_the_prompt_reads_it_itself(box, seat):
    mark = box.far.mark()
    person = seat("sh", "-c", "trap '' HUP; while [ ! -e gone ]; do sleep 0.1; done; curl -s -o itself -w '%{http_code}' -m 30 http://two.asked.test/x >status; sleep 60",
                  flags=("--prompt", "always"), streams=(2,))
    assert person.word

    def asked_by():
        done = subprocess.run(box.on_host(box.binary, "status", "--json", "--control", box.state / "control.sock"), capture_output=True, text=True, env=box.environment())
        return json.loads(done.stdout)["asking"]["channels"]

    eventually(lambda: asked_by() == 1, 20, "somebody is at the terminal")
    person.hang_up()
    eventually(lambda: asked_by() == 0, 20, "nobody is there any more")
    (box.project / "gone").touch()
    eventually(lambda: (box.project / "status").exists() and (box.project / "status").read_text() == "403", 30)
    assert json.loads((box.project / "itself").read_text())["reason"] == "no-approver"
    nothing(box, mark)


def leave(person):
    """Ends the shell, once the command is over: what is typed before that is the command's."""
    eventually(lambda: not subprocess.run(["pgrep", "-P", str(person.process.pid)], capture_output=True).stdout, 30, "the command goes on")
    person.types("exit\r")


def test_stopped_it_gives_the_terminal_back_and_asks_again_in_front(box, seat):
    mark = box.far.mark()
    person = seat(shell=["bash", "--norc", "--noprofile", "-i"], env={"PS1": "shell> "})
    person.shows("shell>")
    person.types(quoted(box, *fetch("one.asked.test")) + "\r")
    person.asked("http://one.asked.test:80")
    children = subprocess.run(["pgrep", "-P", str(person.process.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(children[0]), signal.SIGTSTP)
    person.watch.until(lambda screen: "Stopped" in screen.text and not screen.alternate, why="the shell has its screen")
    person.types("bg\r")
    person.types("echo still $((40+2)) here\r")
    person.shows("still 42 here")
    time.sleep(2.5)
    assert not person.look(lambda screen: screen.alternate) and "asks" not in person.text.split("still 42")[1]
    nothing(box, mark)
    person.types("fg\r")
    person.asked("http://one.asked.test:80")
    person.answers("n")
    person.watch.until(lambda screen: "got one.asked.test 403" in screen.log)
    leave(person)
    person.ends()
    nothing(box, mark)


def test_in_the_background_nothing_is_read_until_it_is_in_front(box, seat):
    """A shell with job control starts it behind itself; brought to the front, it asks."""
    mark = box.far.mark()
    command = quoted(box, *fetch("one.asked.test"))
    person = seat(shell=["bash", "--norc", "--noprofile", "-i"], env={"PS1": "shell> "})
    person.shows("shell>")
    person.types(f"{command} &\r")
    eventually(lambda: person.questions() and person.questions()[0]["waiting"] == 1, 20, "held")
    bells = person.look(lambda screen: screen.bells)
    person.types("echo still $((40+2)) here\r")
    person.shows("still 42 here")
    assert "exitgate asks" not in person.log and bells >= 1
    nothing(box, mark)
    person.types("fg\r")
    person.asked("http://one.asked.test:80")
    person.answers("o")
    person.shows("got one.asked.test 200")
    leave(person)
    person.ends()
