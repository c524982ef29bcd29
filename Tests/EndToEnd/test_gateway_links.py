"""What becomes of an agent whose link goes: another device under its name, and under its number, is nobody's."""
import json, os, signal, subprocess, sys, time

from harness.gate import eventually
from harness.gateway import address, passes
from harness.namespaces import GOOD, GOOD6, run
from harness.packets import UDP
from test_gateway_ops import closed

# SECONDS: what the first agent's rules grant, again and again; prints how many datagrams its kernel let go.
GRANTED = f"""
import socket, sys, time
end = time.monotonic() + float(sys.argv[1]); count = 0
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 40123))
while time.monotonic() < end:
    try: count += s.sendto(b"MARK", ("{GOOD}", 123)) > 0
    except OSError: pass
    time.sleep(0.0005)
print(count)
"""


def listed(fence, name):
    """A device of the gateway, as the kernel lists it; None where it is not there."""
    done = subprocess.run(["ip", "-n", fence.bench.names["gw"], "-j", "link", "show", name], capture_output=True, text=True)
    return json.loads(done.stdout)[0] if done.returncode == 0 else None


def move_in(fence):
    """The first agent's cable goes; one that was laid elsewhere comes in its place, end and all, under its name and number."""
    agent, gw, workshop = fence.bench.names["agent"], fence.bench.names["gw"], f"{fence.bench.names['gw']}-w"
    number, mac = listed(fence, "f0")["ifindex"], listed(fence, "f0")["address"]
    run("ip", "netns", "add", workshop)
    fence.bench.names["workshop"] = workshop
    run("ip", "-n", workshop, "link", "add", "f0", "index", str(number), "address", mac, "type", "veth",
        "peer", "name", "b0", "netns", agent)
    run("ip", "-n", agent, "link", "set", "b0", "up")
    run("ip", "-n", gw, "link", "del", "f0")
    run("ip", "-n", workshop, "link", "set", "f0", "netns", gw, "up")
    assert listed(fence, "f0")["ifindex"] == number, "the control: it did get the old number"
    address(fence.bench, "f0", 66)
    for words in (("addr", "add", "10.66.0.2/24", "dev", "b0"), ("route", "add", "default", "via", "10.66.0.1"),
                  ("-6", "addr", "add", "fd66::2/64", "dev", "b0", "nodad"), ("-6", "route", "add", "default", "via", "fd66::1")):
        family = words[:1] if words[0] == "-6" else ()
        run("ip", *family, "-n", agent, *words[len(family):])


def is_lost(fence, state):
    """The first agent's link is said to be `state`, everywhere, and the table takes nothing from it."""
    fence.wait_to_say(f"the interface f0 of agent ci is {state}: nothing that comes by it is taken")
    link, other = fence.status()["fence"]["interfaces"]
    assert link == {"interface": "f0", "agent": "ci", "state": state, "whole": False} and other["whole"]
    assert f"f0 of agent ci is {state}" in fence.status()["warning"]
    assert f"f0 of agent ci is {state}" in fence.log.path.read_text()
    closed(fence)
    before = fence.seen("ntp"), fence.seen("good")
    fence.python(UDP, GOOD, "123", GOOD6, "123")
    assert fence.agent("dig", "+short", "+tries=1", "+time=1", "@10.66.0.1", "web.test").stdout.strip()[:3] != "198"
    time.sleep(0.1)
    assert (fence.seen("ntp"), fence.seen("good")) == before, "nor does it get what the rules of the agent before it grant"
    assert fence.other("curl", "-sS", "-m", "5", "http://web.test/").stdout.startswith("origin "), "the other agent goes on"
    assert "goto agent_0" not in run(*fence.bench.command("gw", "nft", "list", "chain", "inet", "exitgate", "prerouting"))


def test_OPS_04_a_cable_that_is_moved_in_under_the_old_number_is_nobodys(own_behind):
    fence = own_behind()
    passes(fence)
    sender = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", GRANTED, "9"), stdout=subprocess.PIPE, text=True)
    eventually(lambda: fence.seen("ntp") > 100, because="the control: the first agent's flow is granted")
    move_in(fence)
    # The flow goes on under the same ports, and its rule lives: it is the cable that is another.
    at = fence.seen("ntp")
    time.sleep(0.5)
    assert fence.seen("ntp") == at, "the new cable carries the old agent's flow on"
    is_lost(fence, "gone")
    assert int(sender.communicate(timeout=30)[0]) > at + 1000, "the control: its own kernel let the rest go"
    assert fence.seen("ntp") == at, "not one datagram of the flow that was open came through the new cable"
    fence.reload(fence.policy.read_text())
    fence.reload(fence.policy.read_text().replace("ports: [123] }", "ports: [123, 125] }"))
    time.sleep(2.5)
    assert fence.status()["fence"]["interfaces"][0]["state"] == "gone", "nor does it come back by itself, or by a reload"
    closed(fence)
    fence.stop()
    closed(fence)
    fence.start()
    passes(fence)
    assert fence.status()["fence"]["interfaces"][0]["state"] == "up" and fence.strays() == (0, 0)


def test_NFT_20_a_link_that_becomes_a_port_of_a_bridge_is_nobodys(own_behind):
    fence = own_behind()
    passes(fence)
    link = lambda *words: run("ip", "-n", fence.bench.names["gw"], "link", *words)
    link("add", "br0", "type", "bridge"), link("set", "br0", "up")
    link("set", "f0", "master", "br0")
    is_lost(fence, "enslaved")
    # The bridge takes the gateway's address over: what comes by it is no agent's, and goes nowhere.
    run("ip", "-n", fence.bench.names["gw"], "addr", "del", "10.66.0.1/24", "dev", "f0")
    run("ip", "-n", fence.bench.names["gw"], "addr", "add", "10.66.0.1/24", "dev", "br0")
    closed(fence)
    link("set", "f0", "nomaster"), link("del", "br0")
    run("ip", "-n", fence.bench.names["gw"], "addr", "add", "10.66.0.1/24", "dev", "f0")
    is_lost(fence, "enslaved")
    fence.stop()
    fence.start()
    passes(fence)
    assert fence.strays() == (0, 0)


def test_OPS_04_a_link_whose_changes_were_not_heard_is_nobodys(own_behind):
    """More changes than the keeper's socket holds, while it could not read them: any of them may have been the cable's."""
    fence = own_behind()
    passes(fence)
    gw, keeper = fence.bench.names["gw"], fence.keeper
    run("ip", "-n", gw, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    flaps = "".join(f"link set v0 {'up' if turn % 2 == 0 else 'down'}\n" for turn in range(4000))
    for _ in range(5):  # a keeper that hangs for longer than a second or two is given up by its gate
        os.kill(keeper, signal.SIGSTOP)
        run("ip", "-n", gw, "-batch", "-", input=flaps)
        os.kill(keeper, signal.SIGCONT)
        time.sleep(0.5)
        if any("lost from sight" in line for line in fence.said):
            break
    fence.wait_to_say("the interface f0 of agent ci is lost from sight: nothing that comes by it is taken")
    fence.wait_to_say("the interface f2 of agent dev is lost from sight: nothing that comes by it is taken")
    closed(fence)
    before = fence.seen("ntp")
    fence.python(UDP, GOOD, "123")
    assert not all(link["whole"] for link in fence.status()["fence"]["interfaces"])
    assert fence.seen("ntp") == before
    fence.stop()
    fence.start()
    passes(fence)
    assert fence.strays() == (0, 0)
