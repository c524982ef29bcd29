"""The real binary: started in `gw`, stopped in order, asked by its own command line."""
import json, os, pathlib, resource, signal, subprocess, time

from .audit import AuditLog
from .doubles import Doubles
from .namespaces import GATE, RESOLVER
from .speech import Speech

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("EXITGATE_BINARY", ROOT / ".build/debug/exitgate"))
QUIET = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8", "NO_COLOR": "1"}
A1, A2, SHARED = 3128, 3129, 3130  # the listeners of the two agents, and one that belongs to nobody

BASE = """version: 1
agents: { a1: { listen: 10.66.0.1:3128 }, a2: { listen: 10.66.0.1:3129 } }
rules:
  - { id: tunnel, agents: [a1], action: allow, to: [allowed.test, "*.wild.test", rebind.test, priv.test, mixed.test, cn.test, dead.test, refused.test, bücher.test] }
  - { id: plain,  agents: [a1], action: allow, protocol: http, to: [plain.test, dead.test, refused.test] }
  - { id: paths,  agents: [a1], action: allow, protocol: http, to: [paths.test], http: [{ methods: [GET], path: "/public/**" }] }
  - { id: opaque, agents: [a1], action: allow, protocol: tcp, to: [raw.test], ports: [5432, 8443] }
  - { id: bad,    agents: [a1], action: deny,  to: [bad.wild.test] }
"""


def exitgate(*arguments, text=None, timeout=20, env=None, cwd=None):
    """Runs a command of the binary to its end, outside the bench."""
    return subprocess.run([BINARY, *map(str, arguments)], input=text, capture_output=True, text=True,
                          timeout=timeout, env=QUIET | (env or {}), cwd=cwd)


class Gate:
    def __init__(self, bench, directory, policy=BASE, *, extra=(), env=None, nofile=None, audit=None,
                 upstream=(RESOLVER,), listen=(f"{GATE}:{SHARED}",), doubles=24):
        self.bench, self.directory, self.extra, self.env, self.nofile = bench, directory, extra, env or {}, nofile
        self.policy, self.control = directory / "policy.yaml", directory / "control.sock"
        self.upstream, self.listen = upstream, listen
        self.log = AuditLog(audit or directory / "audit.jsonl")
        self.doubles = Doubles(bench, policy, doubles)
        self.write(policy)
        self.process = self.speech = None

    def command(self):
        flags = [("--proxy-listen", address) for address in self.listen]
        flags += [("--dns-upstream", address) for address in self.upstream]
        flags += [("--audit-log", self.log.path), ("--control", self.control), ("--policy", self.policy)]
        return self.bench.command("gw", BINARY, "serve", *(word for flag in flags for word in flag), *self.extra)

    def start(self, wait=True):
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (self.nofile, self.nofile))) if self.nofile else None
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=QUIET | self.env, cwd=self.directory, preexec_fn=limit)
        self.speech = Speech(self.process)
        if wait:
            self.wait_to_say("exitgate: ready")
        return self

    @property
    def said(self):
        return self.speech.lines if self.speech else []

    def wait_to_say(self, words, seconds=20, after=0):
        self.speech.wait_for(words, seconds, after)

    def ends(self, seconds=15):
        """How it ended, when what it said to its end has been heard."""
        return self.speech.wait_for_end(seconds)

    @property
    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def resident(self):
        """Resident memory of its own in KiB, without the pages of files that are mapped."""
        return self._memory("RssAnon") + self._memory("RssShmem")

    @property
    def peak(self):
        """The most that was ever resident since `forget_peak`, in KiB."""
        return self._memory("VmHWM")

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")  # proc_pid_clear_refs(5)

    def _memory(self, kind):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith(kind)).split()[1])

    @property
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    @property
    def open_connections(self):
        return json.loads(self.tell("status", "--json").stdout)["connections"]["open"]

    def tell(self, *arguments, **options):
        """A command to the running gate over its control socket."""
        return exitgate(*arguments, "--control", self.control, **options)

    def write(self, policy):
        """Writes a policy, in which the doubles of a1 have their part, to be loaded later."""
        self.policy.write_text(self.doubles.joined_to(policy))

    def reload(self, policy):
        """Writes a policy and reloads it; returns the finished command."""
        self.write(policy)
        return self.tell("reload")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(5)
        self.doubles.refused.clear()  # what was counted and not written yet died with it

    def stop(self, seconds=12):
        if self.is_alive:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"the gate did not end in {seconds} s after SIGTERM; it said {self.said[-5:]}") from None
            self.doubles.were_each_counted_once(self.log)
        return self.process.returncode


def eventually(check, seconds=10.0, because=""):
    """Waits until `check` is true, without guessing how long that takes. Says nothing of speed: whoever asks for that gives `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, because or f"not true within {seconds} s"
        time.sleep(0.01)
    return value
