"""`exitgate run` on a terminal: the command has one of its own, and the person's hears what was blocked."""
import fcntl, os, pty, re, select, signal, struct, subprocess, termios, time

from harness.box import PYTHON
from harness.far import Accepted
from harness.gate import eventually
from harness.namespaces import EVIL


class Terminal:
    """A person's terminal, with a command started on it as a shell does."""

    def __init__(self, box, *command, flags=(), size=(30, 100), streams=(0, 1, 2)):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave, self.shown = slave, ""

        def own_session():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        handles = [slave if stream in streams else subprocess.PIPE for stream in (0, 1, 2)]
        self.process = subprocess.Popen(box.command(*command, flags=flags), stdin=handles[0], stdout=handles[1], stderr=handles[2],
                                        env=box.environment({"TERM": "xterm"}), cwd=box.project, preexec_fn=own_session)
        box.started.append(self.process)

    def types(self, text):
        os.write(self.master, text.encode())

    def shows(self, pattern, seconds=15):
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.shown)):
            assert time.monotonic() < deadline, f"{pattern!r} expected, shown {self.shown!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.shown += os.read(self.master, 4096).decode("utf-8", "replace")
        return found

    def ends(self, seconds=15):
        status = self.process.wait(seconds)
        while select.select([self.master], [], [], 0.2)[0]:
            self.shown += os.read(self.master, 4096).decode("utf-8", "replace")
        return status

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def test_a_command_has_a_terminal_of_its_own(box):
    script = "import os, sys; print([os.isatty(n) for n in (0, 1, 2)], os.ttyname(0), os.get_terminal_size(), os.getsid(0) == os.getpid(), os.tcgetpgrp(0) == os.getpgrp(), 'end'); open('/dev/tty', 'w').write('to the tty')"
    terminal = Terminal(box, PYTHON, "-c", script)
    terminal.shows(r"to the tty")
    assert "[True, True, True] /dev/pts/0 os.terminal_size(columns=100, lines=30) True True end\r\n" in terminal.shown
    assert terminal.ends() == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before, "the person's terminal is as it was"


def test_keys_and_job_control_are_the_commands(box):
    terminal = Terminal(box, "sh", "-i")
    terminal.shows(r"[$#] ")
    terminal.types("echo sum $((20+22))\n")
    terminal.shows(r"sum 42")
    terminal.types("sleep 30; echo never\n")
    time.sleep(0.5)
    terminal.types("\x03")
    terminal.types("echo after-the-key\n")
    terminal.shows(r"(?:\n|[$#] )after-the-key\r\n")
    assert not re.search(r"\nnever", terminal.shown)
    terminal.resize(50, 132)
    terminal.types("while [ \"$(stty size)\" != '50 132' ]; do sleep 0.1; done; echo resized\n")
    terminal.shows(r"(?:\n|[$#] )resized\r\n")
    terminal.types("exit 9\n")
    assert terminal.ends() == 9


def test_what_the_command_does_to_its_terminal_ends_there(box):
    script = "import tty, os, sys; tty.setraw(0); os.system('stty -echo'); print('done', flush=True)"
    terminal = Terminal(box, PYTHON, "-c", script)
    terminal.shows("done")
    assert terminal.ends() == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before
    terminal = Terminal(box, PYTHON, "-c", "import time; print('up', flush=True); time.sleep(30)")
    terminal.shows("up")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.ends() == 128 + signal.SIGTERM
    assert termios.tcgetattr(terminal.slave) == terminal.before


def test_only_what_is_a_terminal_is_replaced(box):
    terminal = Terminal(box, PYTHON, "-c", "import os; print([os.isatty(n) for n in (0, 1, 2)])", streams=(1, 2))
    terminal.process.stdin.close()
    terminal.shows(r"\[False, True, True\]")
    assert terminal.ends() == 0
    assert box.run(PYTHON, "-c", "import os; print([os.isatty(n) for n in (0, 1, 2)]); open('/dev/tty')").stdout == "[False, False, False]\n"


def test_a_blocked_destination_is_said_on_the_terminal_once(box):
    mark = box.far.mark()
    terminal = Terminal(box, "sh", "-c", f"for i in 1 2 3; do curl -s -m 5 http://{EVIL}/ >/dev/null; done; stty -a >/dev/null; echo over")
    terminal.shows(r"over")
    line = f'exitgate: blocked http://{EVIL}:80 (no-rule). To allow it: - {{ id: "allow-{EVIL}-80-http", action: allow, to: ["{EVIL}/32"], protocol: http }}\r\n'
    assert terminal.ends() == 0 and terminal.shown.count("blocked") == 1 and line in terminal.shown, terminal.shown
    assert box.far.since(mark, Accepted) == []
    done = box.run("curl", "-s", "-m", "5", f"http://{EVIL}/")
    assert done.stderr == line.replace("\r\n", "\n")
    assert box.run("curl", "-s", "-m", "5", f"http://{EVIL}/", flags=("--quiet",)).stderr == ""
    done = box.run("curl", "-s", "--noproxy", "*", "-m", "5", "http://evil.test/")
    assert done.stderr == 'exitgate: blocked the name evil.test (no-rule). To allow it: - { id: "allow-evil.test-443", action: allow, to: ["evil.test"] }\n'
    done = box.run("curl", "-s", "-m", "5", "http://web.test/", "-X", "POST", flags=("--mode", "audit"))
    assert done.stderr.startswith("exitgate: would block http://web.test:80 "), done.stderr


def test_the_pushed_back_key_stays_in_the_commands_terminal(box):
    """TIOCSTI types into a terminal; here it is refused, and the terminal would be the command's own."""
    script = "import fcntl, termios\ntry: fcntl.ioctl(0, termios.TIOCSTI, b'x'); print('TYPED')\nexcept OSError as error: print('refused', error.errno)"
    terminal = Terminal(box, PYTHON, "-c", script)
    terminal.shows(r"refused 1")
    assert terminal.ends() == 0 and "TYPED" not in terminal.shown
