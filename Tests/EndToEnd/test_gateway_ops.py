"""ATTACKS section OPS, on the gateway: what holds while it dies, starts, stops and is broken, and while links come and go."""
import json, os, pathlib, signal, subprocess, sys, time

from harness.gate import eventually
from harness.gateway import POLICY, join, passes
from harness.namespaces import EVIL, EVIL6, GOOD, run
from harness.packets import FLOOD, FORGED, PROBE, UDP


def closed(fence):
    """Nothing gets out, to nobody."""
    fence.python(UDP, EVIL, "443", EVIL6, "443", GOOD, "443")
    assert fence.agent("ping", "-c1", "-W1", EVIL).returncode != 0
    assert fence.agent("curl", "-sS", "-m", "1", f"http://{EVIL}/").returncode != 0
    assert fence.strays() == (0, 0)


def test_OPS_01_killed_and_started_again_nothing_gets_out_between(own_behind):
    fence = own_behind()
    probe = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", PROBE, EVIL, "10"), stdout=subprocess.PIPE, text=True)
    for turn in range(5):
        fence.kill()
        assert fence.agent("curl", "-sS", "-m", "1", "http://web.test/").returncode != 0, "closed while nobody is there"
        fence.start()
    count, let_go = map(int, probe.communicate(timeout=30)[0].split())
    assert count > 200 and let_go > 100, "the control: its own kernel let them go"
    assert fence.strays() == (0, 0)
    passes(fence)


def test_OPS_01_a_gate_that_hangs_is_closed(own_behind):
    fence = own_behind()
    fence.process.send_signal(signal.SIGSTOP)
    try:
        closed(fence)
        before = fence.seen("ntp")
        fence.python(UDP, GOOD, "123")
        eventually(lambda: fence.seen("ntp") == before + 1, because="what the kernel was told still holds")
    finally:
        fence.process.send_signal(signal.SIGCONT)
    passes(fence)


def test_OPS_01_without_its_keeper_the_gate_ends_and_stays_closed(own_behind):
    fence = own_behind()
    os.kill(fence.keeper, signal.SIGKILL)
    assert fence.ends(10) == 70
    assert any("stays closed" in line for line in fence.said)
    closed(fence)
    fence.start()
    passes(fence)


def test_OPS_02_a_clean_stop_stays_closed_and_only_an_order_opens(own_behind):
    fence = own_behind()
    passes(fence)
    owned = fence.firewall("remove")
    assert owned.returncode == 69 and "running process" in owned.stderr
    keeper = fence.keeper
    assert fence.stop() == 0
    eventually(lambda: not pathlib.Path(f"/proc/{keeper}").exists(), because="the keeper ends with its gate")
    closed(fence)
    gw = fence.bench.names["gw"]
    assert "17767" in run("ip", "-n", gw, "rule") and "17767" in run("ip", "-6", "-n", gw, "rule")
    done = fence.firewall("remove")
    assert done.returncode == 0 and "removed" in done.stderr, done
    assert "17767" not in run("ip", "-n", gw, "rule") + run("ip", "-6", "-n", gw, "rule")
    assert run(*fence.bench.command("gw", "nft", "list", "tables")) == ""
    fence.python(UDP, EVIL, "443")
    eventually(lambda: fence.seen("stray") > 0, because="the control: this way does lead out")
    again = fence.firewall("remove")
    assert again.returncode == 0 and "no table" in again.stderr


def test_OPS_02_nothing_gets_out_while_it_starts(own_behind):
    fence = own_behind(start=False)
    fence.start(), fence.stop()  # the table is there from now on
    flood = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", FLOOD, EVIL, EVIL6, "20", "150000"),
                             stdout=subprocess.PIPE, text=True)
    for _ in range(4):
        fence.start(), fence.stop()
    count, let_go = map(int, flood.communicate(timeout=60)[0].split())
    assert count > 10_000 and let_go > 10_000 and fence.strays() == (0, 0)


def test_OPS_02_a_closed_namespace_is_taken_over_by_the_gateway(own_behind):
    fence = own_behind(start=False)
    done = fence.firewall("close")
    assert done.returncode == 0, done.stderr
    closed(fence)
    fence.start()
    passes(fence)
    assert fence.strays() == (0, 0)


def test_OPS_03_a_bad_reload_changes_nothing_in_the_kernel(own_behind):
    fence = own_behind()
    listed = lambda: [line for line in run(*fence.bench.command("gw", "nft", "list", "table", "inet", "exitgate")).splitlines()
                      if "packets " not in line]
    before = listed()
    for text in ("rules: [", "version: 1\nrules: [{ id: x, action: allow, to: [a.test], protocol: udp }]", ""):
        fence.policy.write_text(text)
        assert fence.tell("reload").returncode == 65
    assert listed() == before
    for _ in range(200):
        fence.process.send_signal(signal.SIGHUP)
    fence.reload(POLICY)
    assert fence.strays() == (0, 0)
    passes(fence)


def rebuild(fence):
    """The container behind f0 goes away, and another comes under the same names."""
    agent, gw = fence.bench.names["agent"], fence.bench.names["gw"]
    os.close(fence.bench._fds.pop("agent"))
    # A namespace's links go when the kernel finds the time for it, with many others before them; this one goes now.
    run("ip", "-n", agent, "link", "del", "a0")
    run("ip", "netns", "del", agent)
    eventually(lambda: "f0" not in run("ip", "-n", gw, "-br", "link"), because="the link goes with its end")
    del fence.bench.names["agent"]
    run("ip", "netns", "add", agent)
    fence.bench.names["agent"], fence.bench._fds["agent"] = agent, os.open(f"/run/netns/{agent}", os.O_RDONLY | os.O_CLOEXEC)
    return lambda: join(fence.bench, "agent", "f0", 66, name=agent)


def test_OPS_04_a_sandbox_that_is_made_anew_is_nobodys_until_it_is_enrolled(own_behind):
    fence = own_behind()
    passes(fence)
    come_back = rebuild(fence)
    fence.wait_to_say("the interface f0 of agent ci is gone")
    link, _ = fence.status()["fence"]["interfaces"]
    assert link == {"interface": "f0", "agent": "ci", "state": "gone", "whole": False}
    assert "f0 of agent ci is gone" in fence.status()["warning"]
    come_back()
    closed(fence)
    assert fence.agent("dig", "+short", "+tries=1", "+time=1", "@10.66.0.1", "web.test").stdout.strip()[:3] != "198"
    before = fence.seen("ntp")
    fence.python(UDP, GOOD, "123")
    assert fence.seen("ntp") == before, "nor does it get what its rules grant to the agent that was there before"
    # A refusal would hold what was sent, and go to whoever the sender says it is: out by the uplink.
    good = fence.seen("good")
    assert "sent" in fence.python(FORGED, GOOD, EVIL, "--", EVIL, "11.11.0.1")
    time.sleep(0.1)
    assert fence.seen("good") == good and fence.strays() == (0, 0)
    assert "gone, so nothing is taken from it" in fence.tell("status").stdout
    assert "is gone" in fence.log.path.read_text()
    assert fence.other("curl", "-sS", "-m", "5", "http://web.test/").stdout.startswith("origin "), "the other agent goes on"
    fence.stop()
    closed(fence)
    fence.start()
    passes(fence)
    assert fence.strays() == (0, 0)


def test_OPS_04_a_link_that_is_renamed_is_closed_and_one_that_was_down_is_the_same(own_behind):
    fence = own_behind()
    link = lambda *words: run("ip", "-n", fence.bench.names["gw"], "link", "set", *words)
    link("f0", "down")
    fence.wait_to_say("the interface f0 of agent ci is down")
    link("f0", "up")
    fence.wait_to_say("the interface f0 of agent ci is up")
    run("ip", "-6", "-n", fence.bench.names["gw"], "addr", "add", "fd66::1/64", "dev", "f0", "nodad")
    passes(fence)
    link("f0", "down"), link("f0", "name", "g0"), link("g0", "up")
    fence.wait_to_say("the interface f0 of agent ci is renamed to g0")
    closed(fence)
    link("g0", "down"), link("g0", "name", "f0"), link("f0", "up")
    eventually(lambda: fence.status()["fence"]["interfaces"][0]["whole"])
    passes(fence)


def test_OPS_06_a_udp_rule_that_runs_out_ends_its_flows(own_behind):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4))
    fence = own_behind(POLICY.replace("ports: [123] }", f"ports: [123], expires: {soon} }}"))
    fence.python(UDP, GOOD, "123")
    eventually(lambda: fence.seen("ntp") == 1)

    def is_over():
        before = fence.seen("ntp")
        fence.python(UDP, GOOD, "123")
        time.sleep(0.1)
        return fence.seen("ntp") == before
    eventually(is_over, seconds=8)
    assert fence.agent("curl", "-sS", "-m", "5", "http://web.test/").stdout.startswith("origin ")


THIEF = "table inet thief {\n chain p {\n type filter hook prerouting priority -400\n udp dport 9 drop\n }\n}\n"


def test_OPS_08_status_is_proved_by_packets_that_the_table_must_count(own_behind):
    fence = own_behind()
    before = fence.status()
    assert before["fence"]["canary"] == "counted" and before["enforcing"]
    for _ in range(5):
        fence.status()
    assert not [record for record in fence.records(layer="kernel") if "127.0.0.1" in json.dumps(record["whole"])], "they are no agent's packets"
    run(*fence.bench.command("gw", "nft", "-f", "-"), input=THIEF)
    broken = fence.status()
    assert broken["fence"]["canary"] == "missed" and not broken["enforcing"] and "NOT ENFORCING" in broken["warning"]
    fence.wait_to_say("did not count a packet that it has to deny")
    assert eventually(lambda: "did not count a packet" in fence.log.path.read_text())
    run(*fence.bench.command("gw", "nft", "delete", "table", "inet", "thief"))
    assert fence.status()["enforcing"]
    passes(fence)


def test_OPS_08_a_table_that_is_gone_is_said(own_behind):
    fence = own_behind()
    keeper = fence.keeper
    os.kill(keeper, signal.SIGSTOP)  # nobody can take an owned table away but its owner
    gone = subprocess.run(fence.bench.command("gw", "nft", "delete", "table", "inet", "exitgate"), capture_output=True, text=True)
    assert gone.returncode != 0 and "Operation not permitted" in gone.stderr
    os.kill(keeper, signal.SIGCONT)
    assert fence.status()["fence"]["in_force"]
    passes(fence)


# [ADDRESS]...: two hundred datagrams to each, from the inside; prints how many its kernel let go.
CANARIES = """
import socket, sys
gone = 0
for address in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(200):
        try: gone += s.sendto(b"canary", (address, 9)) > 0
        except OSError: pass
print(gone)
"""


def test_OPS_08_what_is_sent_from_inside_an_agents_namespace_hits_the_deny_counter(own_behind):
    """What `status` counts is measured: each packet that an agent was denied is in it, and none of them is at the far side."""
    fence = own_behind()
    denied = lambda: fence.status()["fence"]["denied_packets"]
    send = {"ci": fence.agent, "dev": fence.other}
    for agent, sends in send.items():
        before, written = denied(), fence.log.mark()
        gone = int(sends(sys.executable, "-c", CANARIES, EVIL, EVIL6).stdout)
        assert gone == 400, "the control: its own kernel let them go"
        own = denied() - before
        assert 400 <= own < 420, f"{own} of {gone} were counted"
        assert fence.log.wait_for(written, layer="kernel", protocol="udp", agent=agent, verdict="deny")
        assert fence.strays() == (0, 0)
    # Something that takes packets before the table: they are not counted, and status says so.
    run(*fence.bench.command("gw", "nft", "-f", "-"), input=THIEF)
    before = denied()
    assert int(fence.agent(sys.executable, "-c", CANARIES, EVIL).stdout) == 200
    assert denied() - before < 20 and not fence.status()["enforcing"] and "NOT ENFORCING" in fence.status()["warning"]
    run(*fence.bench.command("gw", "nft", "delete", "table", "inet", "thief"))
    passes(fence)
    assert fence.status()["enforcing"] and fence.strays() == (0, 0)
