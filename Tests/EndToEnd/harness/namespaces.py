"""Three network namespaces, agent -- gw -- out, with no route to any real network.

`agent` is the sandbox, `gw` holds the gate, `out` stands for the internet: it answers on *every* address, so a
connection to the wrong place is seen there and not lost. The names are unique to the process that made them.
"""
import contextlib, ctypes, itertools, os, pathlib, shutil, subprocess

GATE, GATE6 = "10.66.0.1", "fd66::1"  # on the agent's link
GOOD, GOOD6 = "11.11.0.10", "2a0e:b107:11::10"  # public addresses on purpose: documentation ranges are on the floor
RESOLVER, EVIL, EVIL6 = "11.11.0.53", "11.66.0.66", "2a0e:b107:66::66"
BLACKHOLE = "11.99.99.99"  # swallows packets: neither answer nor reset
BLACKHOLES = tuple(f"11.99.99.{number}" for number in range(1, 9))  # so do these
CLONE_NEWNET = 0x40000000  # <sched.h>

_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count()

ROUTES = {  # what `ip` and then `ip -6` are told, a command a line
    "agent": ("link set lo up\nlink set a0 up\naddr add 10.66.0.2/24 dev a0\nroute add default via 10.66.0.1\n",
              "addr add fd66::2/64 dev a0 nodad\nroute add default via fd66::1\n"),
    "gw": ("link set lo up\nlink set f0 up\nlink set f1 up\naddr add 10.66.0.1/24 dev f0\naddr add 11.11.0.1/16 dev f1\n"
           "route add default via 11.11.0.10\n",
           "addr add fd66::1/64 dev f0 nodad\naddr add 2a0e:b107:11::1/64 dev f1 nodad\n"
           "route add default via 2a0e:b107:11::10\n"),
    "out": ("link set lo up\nlink set o0 up\naddr add 11.11.0.10/16 dev o0\naddr add 11.11.0.53/16 dev o0\n"
            "rule add iif o0 lookup 100\nroute add local default dev lo table 100\n"
            "route add blackhole 11.99.99.0/24 table 100\n",
            "addr add 2a0e:b107:11::10/64 dev o0 nodad\nrule add iif o0 lookup 100\n"
            "route add local default dev lo table 100\n"),
}


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, **options)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.stdout


class Namespaces:
    def __init__(self, hosts="", resolv_conf=f"nameserver {RESOLVER}\n"):
        tag = f"xg{os.getpid():x}n{next(_serial)}"
        self.names = {role: f"{tag}-{role}" for role in ROUTES}
        self.etc = self.files("gw")
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._fds = {}
        try:
            self._build(hosts, resolv_conf)
        except BaseException:
            self.remove()
            raise

    def _build(self, hosts, resolv_conf):
        for name in self.names.values():
            run("ip", "netns", "add", name)
        agent, gw, out = (self.names[role] for role in ("agent", "gw", "out"))
        run("ip", "link", "add", "a0", "netns", agent, "type", "veth", "peer", "name", "f0", "netns", gw)
        run("ip", "link", "add", "o0", "netns", out, "type", "veth", "peer", "name", "f1", "netns", gw)
        for role, name in self.names.items():
            for family, commands in zip(("-4", "-6"), ROUTES[role]):
                run("ip", family, "-n", name, "-batch", "-", input=commands)
            self._fds[role] = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0",
                "net.ipv4.conf.default.rp_filter=0", "net.ipv4.ip_forward=0")
        self.etc.mkdir(parents=True)
        (self.etc / "hosts").write_text("127.0.0.1 localhost\n" + hosts)
        (self.etc / "resolv.conf").write_text(resolv_conf)

    def files(self, role):
        """The folder whose files `ip netns exec` mounts over /etc."""
        return pathlib.Path("/etc/netns") / self.names[role]

    @contextlib.contextmanager
    def inside(self, role):
        """Sockets that this thread opens here belong to `role`; they stay there afterwards."""
        self._enter(self._fds[role])
        try:
            yield
        finally:
            self._enter(self._own)

    def command(self, role, *command):
        return ["ip", "netns", "exec", self.names[role], *map(str, command)]

    def remove(self):
        for name in self.names.values():
            for pid in subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split():
                if int(pid) != os.getpid():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), 9)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        for fd in (*self._fds.values(), self._own):
            os.close(fd)
        for role in self.names:
            shutil.rmtree(self.files(role), ignore_errors=True)
        with contextlib.suppress(OSError):
            self.etc.parent.rmdir()

    @staticmethod
    def _enter(fd):
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
