"""The sidecar under `mode: audit`: what the table would deny passes and is recorded, and the floor still denies."""
import json, subprocess, sys, time

import pytest

from harness.far import Accepted, Received
from harness.gate import eventually
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6, run
from harness.packets import FLOOD, UDP
from harness.sidecar import POLICY as ENFORCE

POLICY = ENFORCE.replace("version: 1\n", "version: 1\nmode: audit\n") + (
    '  - { id: no-time, action: deny, to: [11.66.0.67/32], protocol: udp, ports: [123] }\n')
# Where no policy leads in either mode; the far side counts it apart.
FLOOR = ("169.254.169.254", "100.100.100.200", "168.63.129.16", "10.99.0.1", "192.168.7.7", "172.16.0.9", "100.64.0.1", "0.0.0.1",
         "203.0.113.9", "198.18.0.77", "240.0.0.1", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
         "2001:db8::9", "fd12::9")
COUNTERS = """table inet floor {
  counter floor { }
  counter passed { }
  chain in { type filter hook prerouting priority -301;
    iifname != "o0" accept
    ip daddr { %s } counter name floor
    ip6 daddr { %s } counter name floor
    ip daddr { 11.66.0.66, 11.66.0.67 } counter name passed
    ip6 daddr 2a0e:b107:66::66 counter name passed
  }
}
""" % (", ".join(a for a in FLOOR if ":" not in a), ", ".join(a for a in FLOOR if ":" in a))


class Counted:
    """The far side's counters of what only audit mode lets pass, and of what nothing does."""

    def __init__(self, fence):
        self.fence = fence
        run(*fence.bench.command("out", "nft", "-f", "-"), input=COUNTERS)

    def __getattr__(self, counter):
        listed = json.loads(run(*self.fence.bench.command("out", "nft", "-j", "list", "counter", "inet", "floor", counter)))
        return next(entry["counter"]["packets"] for entry in listed["nftables"] if "counter" in entry)

    def settled(self):
        """What passed, once what had left the table has arrived; a flow that goes on never comes to rest."""
        for _ in range(40):
            before = self.passed
            time.sleep(0.1)
            if self.passed == before:
                return before
        raise AssertionError("the far side goes on counting")


@pytest.fixture
def watched(own_fence):
    """A sidecar in audit mode, and the far side's counters."""
    fence = own_fence(POLICY)
    return fence, Counted(fence)


def pings(fence):
    """How many hosts answer an echo, which no rule speaks of."""
    return sum(fence.agent("ping", "-c1", "-W1", address).returncode == 0 for address in (GOOD, GOOD6))


def test_what_rules_would_deny_passes_and_is_recorded_and_the_floor_denies(watched):
    fence, far = watched
    to_floor = [word for address in FLOOR for word in (address, "443")]
    assert fence.python(UDP, EVIL, "443", EVIL6, "9", "11.66.0.67", "123").split() == ["sent"] * 3
    assert "sent" not in fence.python(UDP, *to_floor, "224.0.0.251", "5353", "ff02::fb%a0", "5353", "127.0.0.11", "5000")
    eventually(lambda: far.passed == 3)
    assert pings(fence) == 2, "other protocols pass too, and their answers come back"
    assert far.floor == 0
    # Each flow is recorded by its first packet, as what enforce mode would have said.
    eventually(lambda: len(fence.records(layer="kernel", would_deny=True, verdict="allow")) >= 5)
    watched_udp = {(r["whole"]["dst_endpoint"]["ip"], r["reason"], r.get("rule")) for r in fence.records(layer="kernel", would_deny=True, protocol="udp")}
    assert watched_udp == {(EVIL, "no-rule", None), (EVIL6, "no-rule", None), ("11.66.0.67", "deny-rule", "no-time")}
    denied = fence.records(layer="kernel", verdict="deny")
    assert {r["reason"] for r in denied} == {"special-address", "private-address", "synthetic-unnamed"} and not any(r.get("would_deny") for r in denied)
    # The control: what rules name passes as ever, and was no would-be denial.
    assert fence.python(UDP, GOOD, "123").split() == ["sent"]
    eventually(lambda: fence.seen("ntp") >= 1)
    assert not [r for r in fence.records(layer="kernel") if r.get("protocol") == "udp" and r["whole"]["dst_endpoint"]["ip"] == GOOD]


def test_captured_connections_pass_too_and_the_floor_denies(watched):
    fence, far = watched
    mark = fence.far.mark()
    assert fence.agent("curl", "-sS", "-m", "5", f"http://{EVIL}/").stdout.startswith("origin ")
    assert fence.far.since(mark, Received)[0].address == EVIL
    record, = fence.records(layer="transparent", would_deny=True)
    assert record["reason"] == "no-rule" and record["verdict"] == "allow"
    mark = fence.far.mark()
    for address in ("169.254.169.254", "10.99.0.1"):
        assert '"error":"denied"' in fence.agent("curl", "-sS", "-m", "5", f"http://{address}/").stdout
    assert fence.far.since(mark, Accepted) == [] and far.floor == 0


def test_OPS_08_a_sidecar_in_audit_mode_says_everywhere_that_nothing_is_enforced(watched):
    fence, far = watched
    assert any("NOT ENFORCING" in line and "audit" in line for line in fence.said), fence.said
    fence.python(UDP, EVIL, "443")
    status = fence.status()
    assert not status["enforcing"] and "in the kernel's table too" in status["warning"]
    assert status["fence"]["would_deny_packets"] == 1 and status["fence"]["canary"] == "counted"
    page = fence.tell("status").stdout
    assert page.startswith("NOT ENFORCING") and "AUDIT MODE: 1 packet passed that 'mode: enforce' would deny" in page
    fence.reload(ENFORCE)
    assert fence.status()["enforcing"] and fence.status()["fence"]["would_deny_packets"] is None
    said = len(fence.said)
    fence.reload(POLICY)
    eventually(lambda: any("NOT ENFORCING" in line for line in fence.said[said:]))


def test_NFT_23_the_mode_changes_in_one_step_under_load(own_fence):
    fence = own_fence()
    far = Counted(fence)
    fence.reload(POLICY)
    # The neighbours are known from here on: 256 packets would else wait for each, long after they passed the table.
    assert fence.python(UDP, EVIL, "443", EVIL6, "443").split() == ["sent"] * 2
    eventually(lambda: far.passed == 2)
    fence.reload(ENFORCE)
    strangers = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", FLOOD, EVIL, EVIL6, "60", "500000"),
                                 stdout=subprocess.PIPE, text=True)
    metadata = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", FLOOD, "169.254.169.254", "fd00:ec2::254", "60", "500000"),
                                stdout=subprocess.PIPE, text=True)
    turns = 0
    while metadata.poll() is None:
        fence.reload(POLICY)
        before = far.passed
        eventually(lambda: strangers.poll() is not None or far.passed > before, because="audit mode lets the strangers' flow pass")
        fence.reload(ENFORCE)
        at = far.settled()
        assert not fence.status()["fence"]["would_deny_packets"]
        time.sleep(0.05)
        later = far.passed
        assert later == at, ("the same flow ended with the mode", at, later)
        turns += 1
    count, passed = map(int, metadata.communicate()[0].split())
    assert count >= 500_000 and passed == 0 and far.floor == 0 and turns >= 5, (count, passed, turns)
    count, passed = map(int, strangers.communicate()[0].split())
    assert passed > 0, "the control: this way did lead out for a while"
    assert "sent" not in fence.python(UDP, EVIL, "443", EVIL6, "443") and pings(fence) == 0


def test_CTL_16_audit_mode_ends_by_itself_in_the_table_too(own_fence):
    ending = lambda until: POLICY.replace("mode: audit\n", f"mode: audit\naudit-until: {until}\n")
    fence = own_fence(ending("2999-01-01T00:00:00Z"))
    far = Counted(fence)
    assert fence.python(UDP, EVIL, "443").split() == ["sent"], "the control: it is only watched"
    eventually(lambda: far.passed == 1)
    assert "2999-01-01T00:00:00" in fence.status()["warning"]
    # Only now, so that all it has to leave time for is the reload itself.
    end = int(time.time()) + 20
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    fence.reload(ending(until))
    assert until[:-1] in fence.status()["warning"], "the control: its end is to come"
    eventually(lambda: fence.status()["enforcing"], 60)
    assert time.time() >= end
    eventually(lambda: fence.status()["fence"]["would_deny_packets"] is None, 30)
    before = far.settled()
    assert "sent" not in fence.python(UDP, EVIL, "443", EVIL6, "443") and pings(fence) == 0
    assert fence.python(UDP, GOOD, "123").split() == ["sent"], "the control: what a rule allows goes on"
    assert far.passed == before


def test_frames_beside_the_ip_stack_stay_stopped_in_audit_mode(watched):
    fence, far = watched
    before = fence.status()["fence"]["denied_frames"]
    script = """
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.bind(("a0", 0))
try: s.send(bytes(12) + b"\\x08\\x00" + bytes(40)); print("sent")
except OSError: print("stopped")
"""
    assert fence.python(script).split() == ["stopped"]
    assert fence.status()["fence"]["denied_frames"] == before + 1
