"""A person in front of a terminal on which `exitgate run` was started: what is seen, and what is typed."""
import contextlib, fcntl, os, pty, re, struct, subprocess, termios, time

from .screen import Watch

DEAF = 2.2  # in seconds: longer than nothing counts after a key that means nothing, and between two letters
QUIET = 0.7  # in seconds: longer than the gate wants no key to have come before one counts
VEILED = "another question: press the space bar to read it"


class Seat:
    def __init__(self, box, *command, flags=(), rows=30, columns=100, streams=(0, 1, 2), policy=None, shell=None, env=None):
        self.box, self.shape = box, (rows, columns)
        self.master, self.slave = pty.openpty()
        self._shape()
        self.before = termios.tcgetattr(self.slave)
        self.watch = Watch(self.master, rows, columns)
        words = shell or box.command(*command, flags=flags, policy=policy)

        def own_session():
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

        handles = [self.slave if stream in streams else subprocess.PIPE for stream in (0, 1, 2)]
        self.process = subprocess.Popen(words, stdin=handles[0], stdout=handles[1], stderr=handles[2], cwd=box.project, preexec_fn=own_session,
                                        env=box.environment({"TERM": "xterm"} | (env or {})))
        box.started.append(self.process)

    def _shape(self):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", *self.shape, 0, 0))

    def resize(self, rows, columns):
        self.shape = (rows, columns)
        with self.watch.lock:
            self.watch.screen.size(rows, columns)
        self._shape()

    def types(self, text):
        os.write(self.master, text.encode())

    def chooses(self, key):
        """Until the choice is on the screen, and Enter counts."""
        self.types(key)
        self.watch.until(lambda screen: re.search(rf"│ {key}: .*── press Enter", screen.text), why=f"{key} is not chosen")
        time.sleep(0.4)

    def answers(self, key):
        self.chooses(key)
        self.types("\r")

    def look(self, what):
        return self.watch.look(what)

    @property
    def text(self):
        return self.look(lambda screen: screen.text)

    @property
    def log(self):
        return self.look(lambda screen: screen.log)

    @property
    def word(self):
        """The word that was said at the start."""
        return self.watch.until(lambda screen: re.search(r"bear the word (\w+)", screen.log), why="no word was said")[1]

    def shows(self, pattern, seconds=20):
        """Until the screen, not what scrolled by, holds this."""
        return self.watch.until(lambda screen: re.search(pattern, screen.text), seconds, f"{pattern!r} is not on the screen")

    def asked(self, about, seconds=20):
        """Until the gate asks about this on a screen of its own, and a key counts."""
        word = self.word
        if self.watch.until(lambda screen: about in screen.text or VEILED in screen.text, seconds, f"nobody asks about {about}") and VEILED in self.text:
            time.sleep(QUIET)
            self.types(" ")
        self.watch.until(lambda screen: screen.alternate and screen.lines[0].startswith(f"┌─ exitgate asks ── the word is {word}") and about in screen.text,
                         seconds, f"nobody asks about {about}")
        time.sleep(QUIET)

    def free(self, seconds=20):
        """Until the command has the terminal again."""
        self.watch.until(lambda screen: "exitgate asks" not in screen.text, seconds, "the question is still there")

    def ends(self, seconds=30):
        status = self.process.wait(seconds)
        time.sleep(0.2)
        return status

    def questions(self):
        import json
        done = subprocess.run(self.box.on_host(self.box.binary, "pending", "--json", "--control", self.box.state / "control.sock"), capture_output=True, text=True,
                              env=self.box.environment())
        return json.loads(done.stdout) if done.returncode == 0 else []

    def hang_up(self):
        """As when the window is closed: every descriptor of the master side, and ours of the slave's."""
        self.watch.close()
        os.close(self.slave)
        os.close(self.master)

    def close(self):
        self.watch.close()
        for descriptor in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)
