"""ATTACKS section NFT, on the sidecar: what a program could send as if it were the kernel, or as if it answered."""
import json, subprocess, sys, time

import pytest

from harness.gate import eventually
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6, run
from harness.packets import NEIGHBORS, UDP
from harness.sidecar import POLICY, seen
from test_nft import passes

# What comes to the router by the agent's link: neighbour discovery that only a program can have sent, and the kernel's own.
LINK = """table inet link {
  counter forged { }
  counter own { }
  chain in { type filter hook prerouting priority -300;
    iifname "f0" icmpv6 type { 133, 134, 135, 136 } ip6 length > 40 counter name forged
    iifname "f0" icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 length <= 32 counter name own
  }
}
"""


def discovers(fence):
    """The control: the agent's kernel answers who it is, and the router finds it."""
    before = seen(fence.bench, "own", table="link", role="gw")
    run("ip", "-6", "-n", fence.bench.names["gw"], "neigh", "flush", "dev", "f0")
    subprocess.run(fence.bench.command("gw", "ping", "-c1", "-W1", "fd66::2"), capture_output=True)
    eventually(lambda: seen(fence.bench, "own", table="link", role="gw") > before)
    near = json.loads(run("ip", "-6", "-n", fence.bench.names["gw"], "-j", "neigh", "show", "fd66::2"))
    assert near and "lladdr" in near[0], near


def test_NFT_03_neighbour_discovery_of_a_programs_own_reaches_nobody_while_open_nor_closed(own_fence):
    fence = own_fence(start=False)
    run(*fence.bench.command("gw", "nft", "-f", "-"), input=LINK)
    forged = lambda: seen(fence.bench, "forged", table="link", role="gw")
    assert "sent" in fence.python(NEIGHBORS, EVIL6, "fd66::1")
    eventually(lambda: forged() >= 5 and fence.seen("stray") > 0, because="the control: without a gate it does get out")
    fence.start()
    strays, before = fence.seen("stray"), forged()
    places = (EVIL6, GOOD6, "fd66::1", "ff02::1", "ff02::2")
    for state in ("open", "closed"):
        assert "sent" not in fence.python(NEIGHBORS, *places), state
        discovers(fence)
        assert (fence.seen("stray"), forged()) == (strays, before), state
        if state == "open":
            passes(fence)
            assert fence.stop() == 0
    run(*fence.enter(*fence.command()[2:3], "firewall", "remove"))
    done = subprocess.run(fence.enter(*fence.command()[2:3], "firewall", "close"), capture_output=True, text=True)
    assert done.returncode == 0, done
    assert "sent" not in fence.python(NEIGHBORS, *places), "closed by an order, before its gate comes"
    discovers(fence)
    assert (fence.seen("stray"), forged()) == (strays, before)


# PORT PEER: listens there, and puts a connection attempt of PEER, which is elsewhere, on the loopback device.
ANSWERED = """
import socket, struct, sys, time
port, peer = int(sys.argv[1]), sys.argv[2]
def total(data):
    data += b"\\0" * (len(data) % 2); s = sum(struct.unpack(f">{len(data)//2}H", data))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
listener = socket.create_server(("0.0.0.0", port))
ends = socket.inet_aton(peer) + socket.inet_aton("10.66.0.2")
tcp = struct.pack(">HHIIBBHHH", 443, port, 7, 0, 0x50, 2, 1024, 0, 0)
tcp = tcp[:16] + struct.pack(">H", total(ends + struct.pack(">BBH", 0, 6, len(tcp)) + tcp)) + tcp[18:]
head = struct.pack(">BBHHHBBH", 0x45, 0, 40, 7, 0, 64, 6, 0) + ends
frame = b"\\0" * 12 + b"\\x08\\0" + head[:10] + struct.pack(">H", total(head)) + head[12:] + tcp
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)); raw.bind(("lo", 0))
for _ in range(3): raw.send(frame); time.sleep(0.1)
print("done")
"""


@pytest.mark.parametrize("open_to_others", [True, False])
def test_NFT_15_a_port_that_is_open_to_others_answers_nobody_else(own_fence, open_to_others):
    """Answers by it are those to what came in: not to what a program itself put on the loopback device."""
    fence = own_fence(extra=("--inbound", "8080") if open_to_others else ())
    server = subprocess.Popen(fence.bench.command("agent", sys.executable, "-m", "http.server", "8080"),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asks = fence.bench.command("out", "curl", "-sS", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}", "http://10.66.0.2:8080/")
        reached = lambda: subprocess.run(asks, capture_output=True, text=True).stdout == "200"
        if open_to_others:
            eventually(reached, seconds=5, because="the control: others do reach it")
        else:
            assert not reached()
    finally:
        server.kill(), server.wait()
    assert fence.python(ANSWERED, "8080", EVIL) == "done\n"
    time.sleep(0.3)
    assert fence.seen("stray") == 0, "its answer went to a host that had asked nothing"
    passes(fence)


# DEVICE MAC: frames beside the IP stack, by both ways.
BESIDE = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0); s.bind((sys.argv[1], 0))
for bypass in (0, 1):
    s.setsockopt(263, 20, bypass)
    for ethertype in (b"\\x08\\0", b"\\x86\\xdd", b"\\x12\\x34"):
        try: s.send(b"\\xff" * 6 + s.getsockname()[4] + ethertype + b"MARK" * 16); print("sent")
        except OSError: pass
"""
# Every frame that comes by the other end of the second cable and holds the mark.
FAR_END = """table netdev end {
  chain in {
    type filter hook ingress device "b1" priority 0;
    @ll,112,32 0x4d41524b counter
  }
}
"""


def marked(fence):
    listed = json.loads(run(*fence.bench.command("out", "nft", "-j", "list", "table", "netdev", "end")))
    return next(part["counter"]["packets"] for entry in listed["nftables"] if "rule" in entry
                for part in entry["rule"]["expr"] if "counter" in part)


def attach(fence):
    names = fence.bench.names
    run("ip", "link", "add", "b0", "netns", names["agent"], "type", "veth", "peer", "name", "b1", "netns", names["out"])
    run("ip", "-n", names["out"], "link", "set", "b1", "up")
    run("ip", "-n", names["agent"], "link", "set", "b0", "up")
    run(*fence.bench.command("out", "nft", "-f", "-"), input=FAR_END)


def test_NFT_20_21_a_device_that_is_attached_later_is_no_way_out_beside_the_ip_stack(own_fence):
    fence = own_fence(start=False)
    attach(fence)
    assert fence.python(BESIDE, "b0").count("sent") == 6
    eventually(lambda: marked(fence) == 6, because="the control: without a gate they arrive")
    run("ip", "-n", fence.bench.names["agent"], "link", "del", "b0")
    run(*fence.bench.command("out", "nft", "delete", "table", "netdev", "end"))
    fence.start()
    for turn in range(3):
        attach(fence)
        fence.wait_to_say("the device b0 came; frames beside the IP stack are stopped on it")
        eventually(lambda: [r for r in fence.records(event="notice") if "the device b0 came" in r.get("detail", "")])
        assert "sent" not in fence.python(BESIDE, "b0")
        assert "sent" not in fence.python(BESIDE, "a0"), "the first device is guarded still"
        assert marked(fence) == 0
        status = fence.status()
        assert status["enforcing"] and status["fence"]["unguarded"] == [] and status["fence"]["canary"] == "counted"
        assert status["fence"]["denied_frames"] >= 12 * (turn + 1), "what was counted before goes on being counted"
        run("ip", "-n", fence.bench.names["agent"], "link", "del", "b0")
        run(*fence.bench.command("out", "nft", "delete", "table", "netdev", "end"))
    assert "sent" not in fence.python(BESIDE, "a0")
    passes(fence)
    assert fence.seen("stray") == 0
