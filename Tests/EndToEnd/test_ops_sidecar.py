"""ATTACKS section OPS, on the sidecar: what holds while it dies, starts, stops and is broken."""
import json, os, pathlib, signal, subprocess, sys, time

from harness.far import Accepted
from harness.gate import eventually, exitgate
from harness.namespaces import EVIL, EVIL6, GOOD
from harness.packets import FLOOD, PROBE, UDP
from harness.sidecar import POLICY, USER
from test_nft import container, passes


def test_OPS_01_killed_and_started_again_nothing_gets_out_between(own_fence):
    fence = own_fence()
    probe = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", PROBE, EVIL, "12"), stdout=subprocess.PIPE, text=True)
    for turn in range(6):
        fence.kill()
        assert fence.agent("curl", "-sS", "-m", "1", "http://web.test/").returncode != 0, "closed while nobody is there"
        fence.start()
    count, through = map(int, probe.communicate(timeout=30)[0].split())
    assert count > 200 and through == 0
    assert fence.seen("stray") == 0
    passes(fence)


def test_OPS_01_a_gate_that_hangs_is_closed(own_fence):
    fence = own_fence()
    fence.process.send_signal(signal.SIGSTOP)
    try:
        assert "sent" not in fence.python(UDP, EVIL, "443", EVIL6, "443")
        assert fence.agent("curl", "-sS", "-m", "2", f"http://{EVIL}/").returncode == 28
        assert fence.python(UDP, GOOD, "123").split() == ["sent"], "what the kernel was told still holds"
    finally:
        fence.process.send_signal(signal.SIGCONT)
    assert fence.seen("stray") == 0
    passes(fence)


def test_OPS_01_without_its_keeper_the_gate_ends_and_stays_closed(own_fence):
    fence = own_fence()
    os.kill(fence.keeper, signal.SIGKILL)
    assert fence.ends(10) == 70
    assert any("stays closed" in line for line in fence.said)
    assert "sent" not in fence.python(UDP, EVIL, "443", EVIL6, "443")
    assert fence.agent("curl", "-sS", "-m", "2", f"http://{EVIL}/").returncode == 7
    fence.start()
    passes(fence)
    assert fence.seen("stray") == 0


def test_OPS_02_a_clean_stop_stays_closed_and_only_an_order_opens(own_fence):
    fence = own_fence()
    passes(fence)
    owned = subprocess.run(fence.enter(*fence.command()[2:3], "firewall", "remove"), capture_output=True, text=True)
    assert owned.returncode == 69 and "running process" in owned.stderr
    keeper = fence.keeper
    assert fence.stop() == 0
    assert not pathlib.Path(f"/proc/{keeper}").exists(), "the keeper ends before its gate"
    assert "sent" not in fence.python(UDP, EVIL, "443", EVIL6, "443")
    assert fence.agent("ping", "-c1", "-W1", EVIL).returncode != 0
    assert fence.seen("stray") == 0
    done = subprocess.run(fence.enter(*fence.command()[2:3], "firewall", "remove"), capture_output=True, text=True)
    assert done.returncode == 0 and "removed" in done.stderr, done
    assert fence.python(UDP, EVIL, "443").split() == ["sent"], "the control: this way does lead out"
    eventually(lambda: fence.seen("stray") > 0)
    again = subprocess.run(fence.enter(*fence.command()[2:3], "firewall", "remove"), capture_output=True, text=True)
    assert again.returncode == 0 and "no table" in again.stderr


def test_OPS_02_nothing_gets_out_while_it_starts(own_fence):
    fence = own_fence(start=False)
    fence.start(), fence.stop()  # the table is there from now on
    flood = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", FLOOD, EVIL, EVIL6, "20", "150000"),
                             stdout=subprocess.PIPE, text=True)
    for _ in range(4):
        fence.start(), fence.stop()
    count, passed = map(int, flood.communicate(timeout=60)[0].split())
    assert count > 10_000 and passed == 0 and fence.seen("stray") == 0


def test_OPS_03_a_bad_reload_changes_nothing_in_the_kernel(own_fence):
    fence = own_fence()
    before = fence.agent("nft", "list", "table", "inet", "exitgate").stdout
    for text in ("rules: [", "version: 1\nrules: [{ id: x, action: allow, to: [a.test], protocol: udp }]", ""):
        fence.policy.write_text(text)
        assert fence.tell("reload").returncode == 65
    rules = lambda text: [line for line in text.splitlines() if "packets " not in line]
    assert rules(fence.agent("nft", "list", "table", "inet", "exitgate").stdout) == rules(before)
    for _ in range(200):
        fence.process.send_signal(signal.SIGHUP)
    fence.reload(POLICY)
    assert fence.seen("stray") == 0
    passes(fence)


def test_OPS_06_a_udp_rule_that_runs_out_ends_its_flows(own_fence):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4))
    fence = own_fence(POLICY.replace("ports: [123] }", f"ports: [123], expires: {soon} }}"))
    script = UDP.replace("print(\"sent\")", "print('sent')")
    assert fence.python(script, GOOD, "123").split() == ["sent"]
    eventually(lambda: "sent" not in fence.python(script, GOOD, "123"), seconds=8)
    assert fence.agent("curl", "-sS", "-m", "5", "http://web.test/").stdout.startswith("origin ")


def test_OPS_08_status_asks_the_kernel(own_fence):
    fence = own_fence()
    assert fence.status()["enforcing"]
    before = fence.status()["fence"]["denied_packets"]
    assert "sent" not in fence.python(UDP, EVIL, "9")
    assert fence.status()["fence"]["denied_packets"] > before
    os.kill(fence.keeper, signal.SIGSTOP)
    os.kill(fence.keeper, signal.SIGCONT)
    assert fence.status()["fence"]["in_force"]


def test_OPS_06_a_keeper_that_hangs_blocks_nobody_and_what_was_refused_is_undone(own_fence):
    fence = own_fence()
    wider = POLICY.replace("ports: [123] }", "ports: [123, 124] }")
    os.kill(fence.keeper, signal.SIGSTOP)
    try:
        started = time.monotonic()
        status = fence.status()
        assert time.monotonic() - started < 4
        assert not status["enforcing"] and not status["fence"]["kept"] and "does not answer" in status["warning"]
        assert "NO ANSWER" in fence.tell("status").stdout
        fence.policy.write_text(wider)
        done = fence.tell("reload")
        assert done.returncode != 0 and "does not answer" in done.stderr and time.monotonic() - started < 9, done
        assert fence.status()["policy"]["generation"] == status["policy"]["generation"]
        assert "sent" not in fence.python(UDP, EVIL, "443", EVIL6, "443", GOOD, "124")
    finally:
        os.kill(fence.keeper, signal.SIGCONT)
    fence.wait_to_say("answers again")
    eventually(lambda: fence.status()["enforcing"])
    assert "sent" not in fence.python(UDP, GOOD, "124"), "a policy that was refused is not in force"
    assert "does not answer" in fence.log.path.read_text()
    fence.reload(wider)
    assert fence.python(UDP, GOOD, "124").split() == ["sent"], "the control"
    passes(fence)
    assert fence.seen("stray") == 0


def test_OPS_01_a_keeper_that_hangs_for_good_ends_the_gate_which_stays_closed(own_fence):
    fence = own_fence()
    keeper = fence.keeper
    os.kill(keeper, signal.SIGSTOP)
    assert fence.process.wait(20) == 70
    fence.wait_to_say("stays closed")  # the keeper may say more: it still has the pipe
    assert "sent" not in fence.python(UDP, EVIL, "443", EVIL6, "443")
    os.kill(keeper, signal.SIGCONT)
    eventually(lambda: not pathlib.Path(f"/proc/{keeper}").exists(), because="it sees that its gate is gone")
    fence.start()
    passes(fence)
    assert fence.seen("stray") == 0


# Takes the packets that prove the table away before it sees them: so it is for the gate as if they had passed.
THIEF = "table inet thief {\n chain o {\n type filter hook output priority -400\n ip daddr 224.0.0.1 drop\n ip6 daddr ff01::/16 drop\n }\n}\n"


def test_OPS_08_status_is_proved_by_packets_that_the_table_must_count(own_fence):
    fence = own_fence()
    before = fence.status()
    assert before["fence"]["canary"] == "counted" and before["enforcing"]
    assert "proved just now" in fence.tell("status").stdout
    for _ in range(5):
        fence.status()
    assert fence.status()["fence"]["denied_packets"] == before["fence"]["denied_packets"], "they are no agent's packets"
    assert not fence.records(layer="kernel"), "nor are they denials in the log"
    fence.agent("nft", "-f", "-", input=THIEF)
    broken = fence.status()
    assert broken["fence"]["canary"] == "missed" and not broken["enforcing"] and "NOT ENFORCING" in broken["warning"]
    assert "NOT PROVED" in fence.tell("status").stdout
    fence.wait_to_say("did not count a packet that it has to deny")
    assert eventually(lambda: "did not count a packet" in fence.log.path.read_text())
    fence.agent("nft", "delete", "table", "inet", "thief")
    assert fence.status()["enforcing"]
    fence.wait_to_say("counts the packets that it has to deny again")
    passes(fence)


def test_OPS_08_the_alarm_comes_by_itself(own_fence):
    fence = own_fence()
    fence.agent("nft", "-f", "-", input=THIEF)
    fence.wait_to_say("did not count a packet that it has to deny", seconds=13)
    assert eventually(lambda: "did not count a packet" in fence.log.path.read_text())
    assert fence.seen("stray") == 0


def test_NFT_24_a_table_that_is_not_proved_stops_the_start(own_fence):
    fence = own_fence(start=False)
    fence.agent("nft", "-f", "-", input=THIEF)
    fence.start(wait=False)
    assert fence.ends(15) == 69
    eventually(lambda: any("was not counted by it" in line and "nft list ruleset" in line for line in fence.said))
    assert not any("ready" in line for line in fence.said)
    assert "sent" not in fence.python(UDP, EVIL, "443", EVIL6, "443"), "what is there of it stays closed"
    fence.agent("nft", "delete", "table", "inet", "thief")
    fence.start()
    passes(fence)
    assert fence.seen("stray") == 0


def test_a_gate_that_starts_as_nobody_says_that_no_proof_is_possible(own_fence):
    fence = own_fence(start=False)
    for path in (fence.home, fence.policy):
        os.chown(path, USER, USER)
    nobody = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all,+net_admin",
              "--ambient-caps=-all,+net_admin", "--bounding-set=-all,+net_admin")
    whole = fence.command
    fence.command = lambda: [*whole()[:2], *nobody, *whole()[2:]]
    fence.start()
    status = fence.status()
    assert status["fence"]["canary"] == "impossible" and status["enforcing"] and status["fence"]["in_force"]
    assert {process["user"] for process in status["processes"]} == {USER}
    assert "no proof is possible" in fence.tell("status").stdout
    passes(fence)
    assert "sent" not in fence.python(UDP, EVIL, "443") and fence.seen("stray") == 0


def test_the_lost_samples_of_a_flood_are_counted(own_fence):
    fence = own_fence()
    before = fence.status()["fence"]["denied_packets"]
    count, passed = map(int, fence.python(FLOOD, EVIL, EVIL6, "10", "20000").split())
    assert passed == 0 and fence.status()["fence"]["denied_packets"] >= before + count
    first = fence.records(layer="kernel", verdict="deny")
    assert 1 <= len(first) <= 200, "a flood fills no log"
