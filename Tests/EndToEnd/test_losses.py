"""AUD-06 of what the kernel's table holds back: a record for each packet, or its number in a record."""
import json, subprocess, sys, time

from harness.gate import eventually
from harness.gateway import passes as agents_pass
from harness.namespaces import EVIL, EVIL6, GOOD, run
from harness.packets import FLOOD, FORGED, ODD_TCP, UDP
from harness.sidecar import POLICY
from test_nft import passes

# Counts what an agent sends before the gate's own table sees it: the other half of the sum.
SENT = """table inet sent {
  counter flood { }
  chain in { type filter hook prerouting priority -500; iifname "f0" udp dport 443 counter name flood; }
}
"""
# ADDRESS: a datagram with a source that is not this host's, which IP_TRANSPARENT lets it choose.
FOREIGN = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(0, 19, 1); s.bind(("11.88.0.1", 7000))
for _ in range(5):
    try: s.sendto(b"MARK", (sys.argv[1], 123)); print("sent")
    except OSError: pass
"""


def held_back(fence, agent, reason="denied"):
    """How many packets of an agent are in the log: by records and roll-ups of their own, and as lost."""
    recorded = lost = 0
    for record in fence.records(agent=agent):
        if "events_lost" in record:
            lost += record["events_lost"] * (record["reason"] == reason)
        elif record.get("layer") == "kernel" and (record["reason"] == reason or reason == "denied"):
            # Those packets of an agent's kernel that look for routers have no port.
            recorded += record["whole"].get("count", 1) * ("dst_endpoint" in record["whole"])
    return recorded, lost


def packets_sent(fence):
    """What the counter of SENT has."""
    counter = json.loads(run(*fence.bench.command("gw", "nft", "-j", "list", "counter", "inet", "sent", "flood")))
    return next(entry["counter"]["packets"] for entry in counter["nftables"] if "counter" in entry)


def test_AUD_06_a_flood_of_one_agent_hides_nothing_of_the_other(own_behind):
    fence = own_behind()
    # An agent's kernel looks for routers when it likes. Told as a number, that would be one more than what it sent.
    run(*fence.bench.command("agent", "sysctl", "-qw", "net.ipv6.conf.a0.router_solicitations=0"))
    run(*fence.bench.command("gw", "nft", "-f", "-"), input=SENT)
    started = time.monotonic()
    flood = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", FLOOD, EVIL, EVIL6, "4", "10000000"),
                             stdout=subprocess.PIPE, text=True)
    eventually(lambda: fence.records(layer="kernel", agent="ci"))
    mark = fence.log.mark()
    fence.other(sys.executable, "-c", UDP, EVIL, "9999")
    fence.log.wait_for(mark, layer="kernel", agent="dev", port=9999)
    assert flood.poll() is None, "it came through while the flood went on"
    count, _ = map(int, flood.communicate(timeout=30)[0].split())
    assert count / (time.monotonic() - started) >= 2000
    agents_pass(fence)
    assert fence.stop() == 0
    sent = packets_sent(fence)
    recorded, lost = held_back(fence, "ci")
    assert sent > 10_000 and recorded + lost == sent, (recorded, lost, sent)
    assert held_back(fence, "dev") == (1, 0)
    fence.log.verify()
    assert fence.strays() == (0, 0)


def test_AUD_06_what_comes_while_the_gate_ends_hides_none_of_a_flood(own_behind):
    fence = own_behind()
    run(*fence.bench.command("gw", "nft", "-f", "-"), input=SENT)
    run(*fence.bench.command("agent", sys.executable, "-c", FLOOD, EVIL, EVIL6, "2", "10000000"))
    # Packets of the same kind, few enough for each to be heard of; a ping has no port, so 'held_back' does not count it.
    pings = subprocess.Popen(fence.bench.command("agent", "ping", "-n", "-i", "0.05", EVIL), stdout=subprocess.PIPE)
    try:
        assert b"PING" in pings.stdout.readline()
        assert fence.stop() == 0
    finally:
        pings.kill()
        pings.wait()
    sent = packets_sent(fence)
    recorded, lost = held_back(fence, "ci")
    assert sent > 10_000 and recorded + lost >= sent, (recorded, lost, sent)
    assert recorded + lost <= sent + 100, "no more than the pings of its end besides"


def test_AUD_06_a_flood_of_one_program_hides_no_other_kind_of_packet(own_fence):
    fence = own_fence()
    flood = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", FLOOD, EVIL, EVIL6, "6", "10000000"),
                             stdout=subprocess.PIPE, text=True)
    eventually(lambda: fence.records(layer="kernel", protocol="udp"))
    fence.reload(POLICY + "\n")
    assert fence.agent("ping", "-c1", "-W1", EVIL).returncode != 0
    eventually(lambda: [r for r in fence.records(layer="kernel") if "icmp type 8" in r.get("detail", "")])
    eventually(lambda: fence.records(reason="denied", agent="default"), because="told each second, not at the end alone")
    assert flood.poll() is None, "they came through while the flood went on"
    count, passed = map(int, flood.communicate(timeout=30)[0].split())
    passes(fence)
    assert fence.stop() == 0
    recorded, lost = held_back(fence, "default")
    assert passed == 0 and count > 10_000 and recorded + lost == count, (recorded, lost, count)
    assert fence.seen("stray") == 0


def test_AUD_06_odd_and_forged_packets_are_recorded(own_fence):
    fence = own_fence()
    assert fence.python(ODD_TCP, EVIL, GOOD) == "done\n"
    assert "sent" not in fence.python(FOREIGN, GOOD)
    for reason, least in (("odd-packet", 8), ("spoofed-source", 5)):
        eventually(lambda: fence.records(layer="kernel", reason=reason, verdict="deny", agent="default"))
    passes(fence)
    assert fence.status()["fence"]["denied_packets"] >= 13
    assert fence.stop() == 0
    assert sum(held_back(fence, "default", "odd-packet")) >= 8
    assert sum(held_back(fence, "default", "spoofed-source")) == 5
    assert fence.seen("stray") == 0


def test_AUD_06_frames_beside_the_ip_stack_are_counted_in_the_log(own_fence):
    fence = own_fence()
    script = """
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0); s.bind(("a0", 0))
for _ in range(7):
    try: s.send(b"\\xff" * 6 + s.getsockname()[4] + b"\\x08\\x00" + b"MARK" * 16); print("sent")
    except OSError: pass
"""
    assert "sent" not in fence.python(script)
    eventually(lambda: sum(record["events_lost"] for record in fence.records(reason="frame", agent="default")) == 7)
    passes(fence)


def test_AUD_06_forged_sources_are_recorded_for_the_agent_behind_the_link(own_behind):
    fence = own_behind()
    agents_pass(fence)
    assert "sent" in fence.python(FORGED, "10.66.0.9", "11.88.0.1", "--", EVIL, GOOD)
    eventually(lambda: fence.records(layer="kernel", reason="spoofed-source", agent="ci"))
    agents_pass(fence)
    assert fence.stop() == 0
    assert sum(held_back(fence, "ci", "spoofed-source")) == 6, "10.66.0.9 does lead back by that link"
    assert held_back(fence, "dev") == (0, 0)
    assert fence.strays() == (0, 0)


def test_AUD_06_what_a_command_in_a_sandbox_floods_is_counted(box):
    box.run("true")  # so that there is a log
    mark = len(box.records())
    count, passed = map(int, box.python(FLOOD, EVIL, EVIL6, "2", "10000000").split())
    records = box.records()[mark:]
    recorded = sum(record["whole"].get("count", 1) for record in records
                   if record.get("layer") == "kernel" and "dst_endpoint" in record["whole"])
    lost = sum(record.get("events_lost", 0) for record in records)
    assert passed == 0 and count > 2000 and recorded + lost == count, (recorded, lost, count)
