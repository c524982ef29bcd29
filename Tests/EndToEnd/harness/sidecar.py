"""The real binary as the sidecar of `agent`: it shares that namespace, and `gw` only routes to `out`.

The far side counts every packet by destination, so that what gets out is seen whatever it is.
"""
import contextlib, json, os, pathlib, shutil, signal, subprocess, sys, tempfile

from .audit import AuditLog
from .far import PORTS, Far
from .gate import BINARY, QUIET, eventually, exitgate
from .namespaces import EVIL, EVIL6, GOOD, GOOD6, RESOLVER, Namespaces, run
from .speech import Speech

USER = 2001  # whom the gate becomes
GROUPS = next((pathlib.Path(line.split()[4]) for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
               if " - cgroup2 " in line), None)
POLICY = """version: 1
rules:
  - { id: web,  action: allow, to: [web.test], protocol: http, http: [{ methods: [GET] }] }
  - { id: raw,  action: allow, to: [raw.test, raw4.test, raw6.test], protocol: tcp, ports: [22, 5432, 8443] }
  - { id: ntp,  action: allow, to: [11.11.0.10/32, "2a0e:b107:11::10/128"], protocol: udp, ports: [123] }
  - { id: stun, action: allow, to: [stun.test], protocol: udp, ports: ["3478-3480"] }
"""
# Everything the sandbox may say to nobody: whatever is not for the hosts that rules name, neighbour discovery apart,
# of which the kernel's own is no longer than one option of 8 bytes makes it.
COUNTERS = """table inet seen {
  counter stray { }
  counter ntp { }
  counter stun { }
  counter good { }
  chain in { type filter hook prerouting priority -300;
    iifname != "o0" accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } ip6 length <= 32 accept
    icmpv6 type mld2-listener-report accept
    udp dport 123 counter name ntp
    udp dport 3478 counter name stun
    ip daddr { 11.11.0.10, 11.11.0.53 } counter name good accept
    ip6 daddr 2a0e:b107:11::10 counter name good accept
    counter name stray
  }
}
"""


def route(bench, counters=COUNTERS):
    """Makes `gw` a router between `agent` and `out`, where every packet is counted."""
    for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        run(*bench.command("gw", "sysctl", "-qw", f"{key}=1"))
    run("ip", "-n", bench.names["out"], "route", "add", "10.66.0.0/24", "via", "11.11.0.1")
    run("ip", "-6", "-n", bench.names["out"], "route", "add", "fd66::/64", "via", "2a0e:b107:11::1")
    run(*bench.command("out", "nft", "-f", "-"), input=counters)


def seen(bench, counter, table="seen", role="out"):
    """Packets that reached the far side."""
    listed = json.loads(run(*bench.command(role, "nft", "-j", "list", "counter", "inet", table, counter)))
    return next(entry["counter"]["packets"] for entry in listed["nftables"] if "counter" in entry)


class Fenced:
    VERB, ROLE = "sidecar", "agent"  # the command, and whose namespace the gate is in

    def __init__(self, policy=POLICY, *, extra=(), grouped=True, start=True, ports=PORTS):
        self.extra, self.grouped = extra, grouped
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="exitgate-fence"))  # the gate's user comes so far
        self.directory.chmod(0o755)
        self.home = self.directory / "gate"
        self.home.mkdir()
        os.chown(self.home, USER, USER)
        self.policy, self.control = self.directory / "policy.yaml", self.home / "control.sock"
        self.log = AuditLog(self.home / "audit.jsonl")
        self.policy.write_text(policy)
        self.bench = Namespaces()
        self.group = GROUPS / self.bench.names[self.ROLE] if GROUPS else None
        self.process = self.speech = None
        try:
            self.lay()
            self.far = Far(self.bench, ports)
            self.far.reset_zone()
            for name in ("web.test", "raw.test", "stun.test"):
                self.far.answers(name, GOOD, GOOD6)
            self.far.answers("raw4.test", GOOD)
            self.far.answers("raw6.test", GOOD6)
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    def lay(self):
        """Makes the network."""
        route(self.bench)

    # -- the gate

    def enter(self, *command):
        """In the gate's network, with the file systems of the host: where its control group can be seen."""
        return ["nsenter", f"--net=/run/netns/{self.bench.names[self.ROLE]}", *map(str, command)]

    def command(self):
        return self.enter(BINARY, self.VERB, "--policy", self.policy, "--audit-log", self.log.path, "--control",
                          self.control, "--dns-upstream", RESOLVER, *self.extra)

    def start(self, wait=True):
        if self.grouped and self.group:
            self.group.mkdir(exist_ok=True)
        group = self.group / "cgroup.procs" if self.grouped and self.group else None
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=QUIET,
            cwd=self.directory, preexec_fn=lambda: group and group.write_text(str(os.getpid())))
        self.speech = Speech(self.process)
        if wait:
            self.wait_to_say("exitgate: ready")
        return self

    @property
    def said(self):
        return self.speech.lines if self.speech else []

    def wait_to_say(self, words, seconds=20):
        self.speech.wait_for(words, seconds)

    def ends(self, seconds=15):
        """How it ended, when what it said to its end has been heard."""
        return self.speech.wait_for_end(seconds)

    @property
    def keeper(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def status(self):
        return json.loads(self.tell("status", "--json").stdout)

    def tell(self, *arguments):
        return exitgate(*arguments, "--control", self.control)

    def reload(self, policy):
        self.policy.write_text(policy)
        done = self.tell("reload")
        assert done.returncode == 0, done.stderr
        return done

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(5)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(15)
        return self.process.returncode if self.process else None

    def records(self, **wanted):
        """Decision records whose fields are these, as the log has them by now."""
        found = []
        for line in self.log.path.read_text().splitlines():
            record = json.loads(line)["unmapped"] | {"whole": json.loads(line)}
            if all(record.get(key) == value for key, value in wanted.items()):
                found.append(record)
        return found

    # -- the agent, and what is seen of it

    def agent(self, *command, timeout=20, **options):
        return subprocess.run(self.bench.command("agent", *command), capture_output=True, text=True, timeout=timeout,
                              **options)

    def python(self, script, *arguments, prefix=(), timeout=60):
        done = self.agent(*prefix, sys.executable, "-c", script, *arguments, timeout=timeout)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def seen(self, counter):
        """Packets that reached the far side: `stray` are those that never should."""
        return seen(self.bench, counter)

    def close(self):
        with contextlib.suppress(Exception):
            self.stop()
        if self.process and self.process.poll() is None:
            self.kill()
        if hasattr(self, "far"):
            self.far.close()
        self.bench.remove()
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.group and self.group.exists():
            eventually(lambda: remove_group(self.group), because="the gate's control group is still in use")


def remove_group(group):
    """Whether a control group is gone: not, while a process is in it."""
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()
