"""`exitgate run` with `gw` as the host: an ordinary user's or root's command, and the far side that it may or may not reach.

The gate lives in `gw`, whose only way leads to `out`, where every packet is counted by destination.
"""
import contextlib, json, os, pathlib, pwd, shutil, signal, socket, subprocess, sys, tempfile

from .audit import AuditLog
from .far import PORTS, Far
from .namespaces import GOOD, GOOD6, RESOLVER, Namespaces, run
from .sidecar import route, seen

USER = f"exitgate-test{os.getpid()}"  # made for the run, gone after it
PYTHON = "/usr/bin/python3"  # a sandbox sees no other
POLICY = """version: 1
rules:
  - { id: web, action: allow, to: [web.test], protocol: http, http: [{ methods: [GET] }] }
  - { id: raw, action: allow, to: [raw.test], protocol: tcp, ports: [22, 5432] }
"""


# setns(2), then all capabilities kept over execve(2): inheritable, then ambient (capabilities(7)).
ENTER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
descriptors = [os.open(f"/proc/{sys.argv[1]}/ns/{name}", os.O_RDONLY) for name in ("user", "net")]
for descriptor in descriptors:
    assert libc.setns(descriptor, 0) == 0, os.strerror(ctypes.get_errno())
header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert libc.capget(header, data) == 0
for half in (0, 3):
    data[half + 2] = data[half + 1]
assert libc.capset(header, data) == 0, os.strerror(ctypes.get_errno())
for number in range(41):
    libc.prctl(47, 2, number, 0, 0)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@contextlib.contextmanager
def ordinary_user():
    run("useradd", "--create-home", "--shell", "/bin/sh", USER)
    try:
        yield pwd.getpwnam(USER)
    finally:
        subprocess.run(["userdel", "--remove", USER], capture_output=True)


class Box:
    def __init__(self, account, binary, ports=PORTS):
        """Without `ports` whoever makes it puts servers of its own on the far side."""
        self.account, self.binary = account, binary
        self.home = pathlib.Path(account.pw_dir)
        # Beside the home, as a checkout on another disk is; what a test puts into the home stays out of sight.
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="exitgate-box", dir="/srv"))
        self.state = pathlib.Path(tempfile.mkdtemp(prefix="exitgate-state", dir="/srv"))
        self.project = self.work / "project"
        self.project.mkdir()
        self.policy = self.work / "policy.yaml"
        self.policy.write_text(POLICY)
        self.log = AuditLog(self.state / "audit.jsonl")
        self.work.chmod(0o755)
        for path in (self.project, self.state):
            os.chown(path, account.pw_uid, account.pw_gid)
        self.started = []
        self.bench = Namespaces()
        try:
            route(self.bench)
            if not ports:
                return
            self.far = Far(self.bench, ports)
            self.far.reset_zone()
            for name in ("web.test", "raw.test"):
                self.far.answers(name, GOOD, GOOD6)
        except BaseException:
            self.close()
            raise

    def on_host(self, *command):
        """What the person who starts it would start beside it: the same user, in the gate's network."""
        return ["nsenter", f"--net=/run/netns/{self.bench.names['gw']}", "setpriv", "--reuid", str(self.account.pw_uid),
                "--regid", str(self.account.pw_gid), "--clear-groups", *map(str, command)]

    def command(self, *command, flags=(), policy=None):
        return self.on_host(self.binary, "run", "--policy", policy or self.policy, "--audit-log", self.log.path,
                            "--control", self.state / "control.sock", "--dns-upstream", RESOLVER, *flags, "--", *command)

    def environment(self, more=None):
        return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.home), "LANG": "C.UTF-8",
                "NO_COLOR": "1", "USER": self.account.pw_name} | (more or {})

    def run(self, *command, flags=(), env=None, timeout=30, cwd=None, policy=None, **options):
        return subprocess.run(self.command(*command, flags=flags, policy=policy), capture_output=True, text=True,
                              timeout=timeout, env=self.environment(env), cwd=cwd or self.project,
                              **({"stdin": subprocess.DEVNULL} if "input" not in options else {}) | options)

    def python(self, script, *arguments, **options):
        """What a script prints inside, which must go well."""
        done = self.run(PYTHON, "-c", script, *arguments, **options)
        assert done.returncode == 0, done
        return done.stdout

    def start(self, *command, flags=(), env=None, **options):
        """A command that goes on; it has started when it has written a line."""
        process = subprocess.Popen(self.command(*command, flags=flags), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.environment(env), cwd=self.project, **{"stdin": subprocess.DEVNULL} | options)
        self.started.append(process)
        return process, process.stdout.readline().rstrip("\n")

    def inner(self, process):
        """The host's number of the command itself: the child of the first process of its namespace."""
        def last(pid):
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return int(children[0]) if children else None
        setup = last(process.pid)
        return last(last(setup))

    def records(self, **wanted):
        found = []
        for line in self.log.path.read_text().splitlines():
            record = json.loads(line)["unmapped"] | {"whole": json.loads(line)}
            if all(record.get(key) == value for key, value in wanted.items()):
                found.append(record)
        return found

    def seen(self, counter="stray"):
        return seen(self.bench, counter)

    def end(self):
        """Ends what a test left running."""
        while self.started:
            process = self.started.pop()
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(5)

    def inside(self, process, *command, timeout=120):
        """In the user and network namespace of a command, with every capability there is: what nobody in it has."""
        return subprocess.run([sys.executable, "-c", ENTER, str(self.inner(process)), *command], capture_output=True,
                              text=True, timeout=timeout)

    def close(self):
        self.end()
        if hasattr(self, "far"):
            self.far.close()
        self.bench.remove()
        for path in (self.work, self.state):
            shutil.rmtree(path, ignore_errors=True)


class Trap:
    """A Unix socket of the host that no command may reach; it knows whether one did."""

    def __init__(self, address, owner=None):
        self.address, self.hits = address, 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(address)
        self.socket.listen(16)
        self.socket.setblocking(False)
        if not address.startswith("\0"):
            os.chmod(address, 0o777)

    def count(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.accept()[0].close()
                self.hits += 1
        return self.hits

    def close(self):
        self.socket.close()
        if not self.address.startswith("\0"):
            pathlib.Path(self.address).unlink(missing_ok=True)
