"""The real binary as the gateway of two agents: `ci` in the namespace `agent`, `dev` in `other`, each behind a link of its own.

An agent has no say in where the gate is: what it sends leaves its namespace, and what becomes of it is seen in `out` alone.
"""
import os, subprocess

from .gate import eventually
from .namespaces import GOOD, run
from .packets import UDP
from .sidecar import POLICY as SHARED
from .sidecar import Fenced, route, seen

POLICY = SHARED.replace("rules:\n", """agents: { ci: { by: interface }, dev: { by: interface } }
rules:
  - { id: devs,  agents: [dev], action: allow, to: [dev.test], protocol: tcp, ports: [8443] }
  - { id: clock, agents: [dev], action: allow, to: [11.11.0.10/32], protocol: udp, ports: [124] }
""")


# Whatever comes to the other agent, and to the gateway by an agent's link, but for answers and neighbour discovery.
UNASKED = """table inet seen {
  counter unasked { }
  chain in { type filter hook input priority -300;
    iifname != { "a0", "f0", "f2" } accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report } accept
    ct state established,related accept
    meta mark 0x45670001 accept
    counter name unasked
  }
}
"""


def join(bench, role, device, net, name=None):
    """Makes the namespace `role` behind `device` of `gw`: 10.NET.0.2, fdNET::2."""
    name = name or f"{bench.names['gw']}-{role}"
    if role not in bench.names:
        run("ip", "netns", "add", name)
        bench.names[role] = name
        bench._fds[role] = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    run("ip", "link", "add", "a0", "netns", name, "type", "veth", "peer", "name", device, "netns", bench.names["gw"])
    address(bench, device, net)
    for words in (("link", "set", "lo", "up"), ("link", "set", "a0", "up"), ("addr", "add", f"10.{net}.0.2/24", "dev", "a0"),
                  ("-6", "addr", "add", f"fd{net}::2/64", "dev", "a0", "nodad"), ("route", "add", "default", "via", f"10.{net}.0.1"),
                  ("-6", "route", "add", "default", "via", f"fd{net}::1")):
        family = words[:1] if words[0] == "-6" else ()
        run("ip", *family, "-n", name, *words[len(family):])


def address(bench, device, net):
    gw = bench.names["gw"]
    run("ip", "-n", gw, "link", "set", device, "up")
    run("ip", "-n", gw, "addr", "add", f"10.{net}.0.1/24", "dev", device)
    run("ip", "-6", "-n", gw, "addr", "add", f"fd{net}::1/64", "dev", device, "nodad")


class Behind(Fenced):
    """Started with both interfaces enrolled; `forwards` says whether the host routes by itself."""

    VERB, ROLE = "gateway", "gw"
    LINKS = ("f0=ci", "f2=dev")

    def __init__(self, policy=POLICY, *, links=LINKS, forwards=True, **options):
        self.links, self.forwards = links, forwards
        super().__init__(policy, **options)

    def lay(self):
        route(self.bench)
        join(self.bench, "other", "f2", 67)
        run("ip", "-n", self.bench.names["out"], "route", "add", "10.67.0.0/24", "via", "11.11.0.1")
        run("ip", "-6", "-n", self.bench.names["out"], "route", "add", "fd67::/64", "via", "2a0e:b107:11::1")
        run(*self.bench.command("other", "nft", "-f", "-"), input=UNASKED)
        if not self.forwards:
            self.forward(False)

    def forward(self, on):
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            run(*self.bench.command("gw", "sysctl", "-qw", f"{key}={int(on)}"))

    def command(self):
        return super().command() + [word for link in self.links for word in ("--interface", link)]

    # -- the other agent, and what is seen of both

    def other(self, *command, timeout=20, **options):
        return subprocess.run(self.bench.command("other", *command), capture_output=True, text=True, timeout=timeout, **options)

    def strays(self):
        """Packets that went where none should: to strangers, and from one agent to the other."""
        return self.seen("stray"), seen(self.bench, "unasked", role="other")

    def bench_flows(self):
        """What connection tracking knows in the gateway, a line each."""
        return run(*self.bench.command("gw", "conntrack", "-L")).splitlines()

    def firewall(self, *words):
        """The command `firewall` where the gate is."""
        return subprocess.run(self.enter(self.command()[2], "firewall", *words), capture_output=True, text=True)


def passes(behind):
    """The positive control of a test: what rules name still passes; it went after everything that the test sent."""
    if behind.forwards:
        before = behind.seen("ntp")
        behind.python(UDP, GOOD, "123")
        eventually(lambda: behind.seen("ntp") == before + 1)
    done = behind.agent("curl", "-sS", "-m", "5", "http://web.test/")
    assert done.stdout.startswith("origin "), done
