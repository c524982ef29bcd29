"""ATTACKS section NFT, on the gateway. The `behind` fixture proves after each test that no stray packet got out, and none to
the other agent; each test runs on a host that forwards by itself and on one that does not."""
import json, subprocess, sys, time

import pytest

from harness.far import Accepted
from harness.gate import eventually
from harness.gateway import POLICY, UNASKED, passes
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6, run
from harness.packets import (BROADCAST, CONNECT, EVERY_UDP, FAST_OPEN, FLOOD, FLOWS, FORGED, FRAGMENTS, FRAMES, ICMP, MARKED, ODD_TCP,
                             PASSED_ON, PROTOCOLS, ROUTERS, UDP)
from harness.sidecar import USER, seen
from test_nft import container

OTHER, OTHER6 = "10.67.0.2", "fd67::2"
FIRST, SECOND = "10.66.0.1", "fd66::1"  # the gateway's own addresses on the link


def sends(behind, script, *arguments, prefix=()):
    """Runs a sender that has to get something as far as its own kernel lets go, and nothing to whom rules name."""
    good = behind.seen("good")
    said = behind.python(script, *arguments, prefix=prefix)
    assert said, "the control: it did try"
    time.sleep(0.05)
    assert behind.seen("good") == good, "packets that no rule grants reached a host that rules name"
    return said


def test_NFT_01_ipv6_is_held_like_ipv4(behind):
    for address in (EVIL, EVIL6, OTHER, OTHER6):
        assert behind.agent("ping", "-c1", "-W1", address).returncode != 0
        done = behind.agent("curl", "-g", "-sS", "-m", "3", f"http://{f'[{address}]' if ':' in address else address}/")
        assert '"error":"denied"' in done.stdout, done
    sends(behind, UDP, EVIL, "443", EVIL6, "443", OTHER, "9", OTHER6, "9")
    link = json.loads(run("ip", "-n", behind.bench.names["gw"], "-j", "addr", "show", "f0"))[0]["addr_info"]
    local = next(entry["local"] for entry in link if entry["local"].startswith("fe80"))
    done = behind.agent("curl", "-g", "-sS", "-m", "3", f"http://[{local}%25a0]/")
    assert done.returncode != 0 or '"error"' in done.stdout
    passes(behind)


def test_NFT_02_udp_of_every_kind(behind):
    assert "sent" in sends(behind, EVERY_UDP, EVIL, EVIL6)
    found = eventually(lambda: behind.records(layer="kernel", protocol="udp", agent="ci"))
    assert {record["reason"] for record in found} <= {"no-rule", "special-address", "private-address", "self-address"}
    passes(behind)


def test_NFT_03_icmp_carries_nothing_out(behind):
    for address in (EVIL, EVIL6, GOOD, GOOD6, OTHER, FIRST, SECOND):
        assert behind.agent("ping", "-c1", "-W1", "-s", "1000", "-p", "5345", address).returncode != 0
    for address in (EVIL, GOOD, OTHER, FIRST):
        assert "sent" in sends(behind, ICMP, address)
    eventually(lambda: [r for r in behind.records(layer="kernel", agent="ci") if "icmp" in json.dumps(r["whole"])])
    passes(behind)


def test_NFT_04_every_other_protocol(behind):
    assert "sent" in sends(behind, PROTOCOLS, EVIL, EVIL6, GOOD)
    assert "sent" in sends(behind, PROTOCOLS, OTHER, OTHER6, FIRST)
    passes(behind)


def test_NFT_05_multicast_broadcast_and_link_services(behind):
    run(*behind.bench.command("gw", "nft", "-f", "-"), input=UNASKED)
    try:
        sends(behind, UDP, "224.0.0.251", "5353", "239.255.255.250", "1900", "10.66.0.255", "137", FIRST, "123", FIRST, "67",
              "ff02::fb%a0", "5353", "ff02::1:2%a0", "547")
        sends(behind, BROADCAST)
        assert seen(behind.bench, "unasked", role="gw") == 0, "nothing of it comes as far as the gateway's own sockets"
    finally:
        run(*behind.bench.command("gw", "nft", "delete", "table", "inet", "seen"))
    passes(behind)


def test_NFT_06_the_gateways_own_services_are_out_of_reach(behind):
    """By whichever of its addresses; the control is the same service, asked from where no agent is."""
    service = subprocess.Popen(behind.bench.command("gw", sys.executable, "-c", """
import select, socket
made = []
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    s = socket.socket(socket.AF_INET6, kind); s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0); s.bind(("::", 7777)); made.append(s)
    if kind == socket.SOCK_STREAM: s.listen()
print("ready", flush=True)
while True:
    for s in select.select(made, [], [])[0]:
        peer = s.accept()[1] if s.type == socket.SOCK_STREAM else s.recvfrom(99)[1]
        print(peer[0].removeprefix("::ffff:"), flush=True)
"""), stdout=subprocess.PIPE, text=True)
    try:
        assert service.stdout.readline() == "ready\n"
        own = (FIRST, "11.11.0.1", SECOND, "2a0e:b107:11::1", "10.67.0.1", "fd67::1")
        for address in own:
            behind.python(UDP, address, "7777")
            done = behind.agent("curl", "-g", "-sS", "-m", "3", f"http://{f'[{address}]' if ':' in address else address}:7777/")
            assert '"reason":"self-address"' in done.stdout, done
        assert behind.agent("curl", "-sS", "-m", "1", "--interface", "a0", "http://127.0.0.1:7777/").returncode != 0
        assert subprocess.run(behind.bench.command("out", sys.executable, "-c", UDP, "11.11.0.1", "7777"), capture_output=True).returncode == 0
        assert service.stdout.readline() == "11.11.0.10\n", "the first that came is the control"
    finally:
        service.kill(), service.wait()
    passes(behind)


def test_NFT_07_the_gates_ports_on_other_hosts_are_like_any_other(behind):
    mark = behind.far.mark()
    for port in (3128, 15001, 15353):
        done = behind.agent("curl", "-sS", "-m", "3", f"http://{EVIL}:{port}/")
        assert '"reason":"no-rule"' in done.stdout, done
    for address in (FIRST, "11.11.0.1", "127.0.0.1"):
        for port in (15001, 15353, 3128):
            done = behind.agent("curl", "-sS", "-m", "2", f"http://{address}:{port}/")
            assert done.returncode == 7 or '"error":"denied"' in done.stdout, done
    assert behind.far.since(mark, Accepted) == []
    passes(behind)


def test_NFT_08_a_forged_mark_opens_nothing(behind):
    mark = behind.far.mark()
    assert sends(behind, MARKED, EVIL, EVIL6, "0.5").split()[-1] == "marked"
    assert behind.far.since(mark, Accepted) == []
    passes(behind)


def test_NFT_09_the_gates_user_is_nobody_behind_it(behind):
    as_gate = ("setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups")
    mark = behind.far.mark()
    assert "sent" in sends(behind, UDP, EVIL, "443", EVIL6, "443", prefix=as_gate)
    assert '"reason":"no-rule"' in behind.agent(*as_gate, "curl", "-sS", "-m", "3", f"http://{EVIL}/").stdout
    assert behind.far.since(mark, Accepted) == []
    passes(behind)


def test_NFT_10_whoever_opened_a_socket_the_link_is_what_counts(behind):
    assert "sent" in sends(behind, PASSED_ON, EVIL, EVIL6)
    passes(behind)


def test_NFT_11_packets_without_an_owner_follow_the_same_rules(behind):
    """A reset to whoever knocks at an agent's closed port: nobody's packet, and the knock does not even come in."""
    for role, port in (("out", 9), ("out", 15001), ("other", 9)):
        done = subprocess.run(behind.bench.command(role, "curl", "-sS", "-m", "1", f"http://10.66.0.2:{port}/"), capture_output=True, text=True)
        assert done.returncode in (7, 28) or '"error":"denied"' in done.stdout, "not even a reset comes back"
    passes(behind)


def test_NFT_12_an_agent_that_owns_its_network_gets_nowhere_by_it(own_behind):
    fence = own_behind()
    assert fence.agent("nft", "flush", "ruleset").returncode == 0, "root in its own namespace, with every capability"
    for words in (("ip", "route", "add", "11.77.0.0/16", "via", FIRST), ("ip", "addr", "add", "10.66.0.9/24", "dev", "a0"),
                  ("ip", "link", "add", "link", "a0", "name", "v7", "type", "macvlan")):
        fence.agent(*words)
    fence.python(UDP, EVIL, "443", EVIL6, "443", "11.77.0.1", "443")
    assert '"error":"denied"' in fence.agent("curl", "-sS", "-m", "3", "--interface", "10.66.0.9", f"http://{EVIL}/").stdout
    assert fence.strays() == (0, 0) and fence.status()["enforcing"]
    passes(fence)


def test_NFT_14_15_a_flow_ends_with_its_rule_whatever_the_far_side_sends(own_behind):
    fence = own_behind()
    sender = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 40123)); s.connect((sys.argv[1], 123)); s.settimeout(0.1); got = 0
for _ in range(100):
    try: s.send(b"MARK")
    except OSError: pass
    try: got += len(s.recv(99)) > 0; print(got, flush=True)
    except OSError: pass
""", GOOD), stdout=subprocess.PIPE, text=True)
    pusher = None
    try:
        eventually(lambda: fence.seen("ntp") >= 3)
        # The far side answers what it got, and goes on whatever comes.
        pusher = subprocess.Popen(fence.bench.command("out", sys.executable, "-c", """
import socket, threading, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("11.11.0.10", 123)); peers = {("11.11.0.1", 40123), ("10.66.0.2", 40123)}
def hear():
    while True: peers.add(s.recvfrom(99)[1])
threading.Thread(target=hear, daemon=True).start()
for _ in range(100):
    for peer in list(peers): s.sendto(b"push", peer)
    time.sleep(0.05)
"""))
        assert sender.stdout.readline() == "1\n", "the control: it is answered"
        fence.reload(POLICY.replace("ports: [123]", "ports: [124]"))
        time.sleep(0.2)
        at = fence.seen("ntp")
        assert not [line for line in fence.bench_flows() if "src=10.66.0.2 dst=11.11.0.10" in line], "its entry is gone from connection tracking"
        time.sleep(1.5)
        assert fence.seen("ntp") == at, "packets went on after the rule was gone"
        assert fence.strays()[0] == 0
        fence.reload(POLICY)
        eventually(lambda: fence.seen("ntp") > at, because="with the rule back it passes again")
    finally:
        for one in filter(None, (sender, pusher)):
            one.kill(), one.wait()


def test_NFT_14_captured_connections_end_with_their_rule(own_behind):
    fence = own_behind()
    held = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", """
import socket, sys
s = socket.create_connection(("raw.test", 5432), 5); s.sendall(b"\\x00a"); s.recv(64); print("open", flush=True); s.settimeout(10)
try: print("end" if s.recv(1) == b"" else "data")
except OSError as error: print(type(error).__name__)
"""), stdout=subprocess.PIPE, text=True)
    assert held.stdout.readline() == "open\n"
    fence.reload(POLICY.replace("ports: [22, 5432, 8443]", "ports: [22]"))
    started = time.monotonic()
    assert held.communicate(timeout=5)[0].strip() in ("ConnectionResetError", "end")
    assert time.monotonic() - started < 2
    assert [record for record in fence.records(event="close") if "revoked" in json.dumps(record["whole"])]


def test_NFT_16_nothing_related_but_errors(behind):
    listed = run(*behind.bench.command("gw", "nft", "list", "table", "inet", "exitgate"))
    assert all("icmp" in line for line in listed.splitlines() if "related" in line)
    assert "helper" not in listed
    passes(behind)


def test_NFT_17_odd_tcp(behind):
    mark = behind.far.mark()
    assert sends(behind, ODD_TCP, EVIL, GOOD, OTHER) == "done\n"
    sends(behind, FAST_OPEN, EVIL)
    assert behind.far.since(mark, Accepted) == []
    passes(behind)


def test_NFT_18_fragments_and_extension_headers(behind):
    assert sends(behind, FRAGMENTS, EVIL, EVIL6) == "done\n"
    assert sends(behind, FRAGMENTS, OTHER, OTHER6) == "done\n"
    passes(behind)


def test_NFT_19_the_capture_takes_no_port_out_of_the_policys_reach(behind):
    mark = behind.far.mark()
    assert "data" not in behind.python(CONNECT, EVIL)
    assert behind.far.since(mark, Accepted) == []
    assert len(behind.records(layer="transparent", verdict="deny", agent="ci")) >= 8
    passes(behind)


def test_NFT_20_another_link_is_no_way_out(own_behind):
    fence = own_behind()
    gw, agent = fence.bench.names["gw"], fence.bench.names["agent"]
    # A second link that nobody enrolled, between the same two.
    for words in (("link", "add", "b0", "netns", agent, "type", "veth", "peer", "name", "f9", "netns", gw),
                  ("-n", agent, "addr", "add", "10.68.0.2/24", "dev", "b0"), ("-n", agent, "link", "set", "b0", "up"),
                  ("-n", gw, "addr", "add", "10.68.0.1/24", "dev", "f9"), ("-n", gw, "link", "set", "f9", "up"),
                  ("-n", fence.bench.names["out"], "route", "add", "10.68.0.0/24", "via", "11.11.0.1"),
                  ("-n", agent, "route", "add", "11.66.0.0/16", "via", "10.68.0.1")):
        run("ip", *words)
    good = fence.seen("good")
    fence.python(UDP, EVIL, "443")
    fence.agent("ip", "route", "add", "11.11.0.10/32", "via", "10.68.0.1")
    fence.python(UDP, GOOD, "123", GOOD, "443")
    assert fence.agent("curl", "-sS", "-m", "1", f"http://{EVIL}/").returncode in (7, 28)
    # A namespace behind the agent is an agent's, and gets what it gets.
    nested = f"{agent}-n"
    run("ip", "netns", "add", nested)
    fence.bench.names["nested"] = nested
    for words in (("link", "add", "c0", "netns", nested, "type", "veth", "peer", "name", "c1", "netns", agent),
                  ("-n", nested, "addr", "add", "10.69.0.2/24", "dev", "c0"), ("-n", nested, "link", "set", "c0", "up"),
                  ("-n", agent, "addr", "add", "10.69.0.1/24", "dev", "c1"), ("-n", agent, "link", "set", "c1", "up"),
                  ("-n", nested, "route", "add", "default", "via", "10.69.0.1"), ("-n", agent, "route", "del", "11.66.0.0/16")):
        run("ip", *words)
    fence.agent("sysctl", "-qw", "net.ipv4.ip_forward=1")
    subprocess.run(fence.bench.command("nested", sys.executable, "-c", UDP, EVIL, "443", GOOD, "123"), check=True)
    time.sleep(0.2)
    assert fence.seen("good") == good and fence.strays() == (0, 0)
    fence.agent("ip", "route", "del", "11.11.0.10/32")
    passes(fence)


def test_NFT_21_what_claims_to_come_from_elsewhere_is_dropped(behind):
    """Not so another address of the link's own network: whoever is behind the link is the agent, and gets what it gets."""
    sends(behind, FORGED, OTHER, "11.11.0.53", "127.0.0.1", "192.0.2.7", "11.11.0.1", FIRST, "--", EVIL, GOOD, OTHER)
    sends(behind, FORGED, OTHER6, "2a0e:b107:66::7", "::1", SECOND, "--", EVIL6, GOOD6, OTHER6)
    sends(behind, FORGED, "10.66.0.99", "--", EVIL, OTHER)
    sends(behind, FORGED, "fd66::99", "--", EVIL6, OTHER6)
    mac = json.loads(run("ip", "-n", behind.bench.names["gw"], "-j", "link", "show", "f0"))[0]["address"]
    assert "sent" in sends(behind, FRAMES, mac, EVIL)
    passes(behind)


def test_NFT_21_an_agent_is_no_router(behind):
    """Advertisements and redirects change nothing in how the gateway routes."""
    routes = lambda: [run("ip", family, "-n", behind.bench.names["gw"], "route", "show") for family in ("-4", "-6")]
    before = routes()
    assert "sent" in sends(behind, ROUTERS, "a0")
    time.sleep(0.3)
    assert routes() == before
    passes(behind)


def test_NFT_22_nobody_else_can_remove_or_shadow_the_table(behind):
    gw = lambda *words, **options: subprocess.run(behind.bench.command("gw", "nft", *words), capture_output=True, text=True, **options)
    for words in (("flush", "ruleset"), ("delete", "table", "inet", "exitgate"), ("flush", "chain", "inet", "exitgate", "prerouting"),
                  ("add", "element", "inet", "exitgate", "live", "{ 9 }")):
        gw(*words)
        assert "goto agent_0" in gw("list", "table", "inet", "exitgate").stdout, words
    shadow = """table inet shadow { chain p { type filter hook prerouting priority -400; policy accept; accept; }
      chain f { type filter hook forward priority -400; policy accept; accept; }
    }
"""
    assert gw("-f", "-", input=shadow).returncode == 0
    try:
        sends(behind, UDP, EVIL, "443", EVIL6, "443", OTHER, "9")
        assert '"reason":"no-rule"' in behind.agent("curl", "-sS", "-m", "3", f"http://{EVIL}/").stdout
    finally:
        gw("delete", "table", "inet", "shadow")
    assert behind.status()["enforcing"]
    passes(behind)


def test_NFT_22_the_routing_of_what_was_captured_is_made_anew(own_behind):
    fence = own_behind()
    for words in (("rule", "del", "priority", "17767"), ("-6", "rule", "del", "priority", "17767"), ("route", "flush", "table", "17767")):
        run("ip", *[word for word in words if word == "-6"], "-n", fence.bench.names["gw"], *[word for word in words if word != "-6"])
    assert fence.agent("curl", "-sS", "-m", "1", f"http://{EVIL}/").returncode != 0, "without it nothing is taken, and nothing passes"
    fence.python(UDP, EVIL, "443", EVIL6, "443")
    assert fence.strays() == (0, 0)
    fence.wait_to_say("the routing of what was captured, which was made anew", seconds=13)
    assert "made anew" in fence.log.path.read_text()
    passes(fence)


def test_NFT_23_a_reload_under_load_has_no_gap(own_behind):
    fence = own_behind()
    senders = [subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", FLOOD, EVIL, EVIL6, "90", "260000"),
                                stdout=subprocess.PIPE, text=True) for _ in range(2)]
    reloads = 0
    while any(sender.poll() is None for sender in senders):
        fence.reload(POLICY if reloads % 2 else POLICY.replace("ports: [123]", "ports: [123, 125]"))
        reloads += 1
    counts = [tuple(map(int, sender.communicate()[0].split())) for sender in senders]
    assert sum(sent for _, sent in counts) >= 400_000 and sum(count for count, _ in counts) >= 500_000 and reloads >= 10, (counts, reloads)
    assert fence.strays() == (0, 0)
    passes(fence)


def test_NFT_24_what_is_missing_stops_the_start_with_its_remedy(own_behind):
    fence = own_behind(start=False)
    start = lambda prefix=(): subprocess.run([*prefix, *map(str, fence.command())], capture_output=True, text=True, timeout=20)
    done = start(("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"))
    assert done.returncode == 69 and "CAP_NET_ADMIN" in done.stderr, done
    gw = fence.bench.names["gw"]
    for links, words in (((), "--interface"), (("f7=ci",), "there is no interface f7"), (("lo",), "IF=AGENT")):
        fence.links = links
        done = start()
        assert done.returncode == (69 if "f7" in words else 64) and words in done.stderr, done
    fence.links = ("f0=ci", "f2=dev")
    run("ip", "-n", gw, "link", "set", "lo", "down")
    done = start()
    assert done.returncode == 69 and "ip link set lo up" in done.stderr
    run("ip", "-n", gw, "link", "set", "lo", "up")
    run(*fence.bench.command("gw", "sysctl", "-qw", "net.ipv4.conf.f0.src_valid_mark=1"))
    done = start()
    assert done.returncode == 69 and "sysctl -w net/ipv4/conf/f0/src_valid_mark=0" in done.stderr, done
    run(*fence.bench.command("gw", "sysctl", "-qw", "net.ipv4.conf.f0.src_valid_mark=0"))
    run("ip", "-n", gw, "link", "add", "br0", "type", "bridge")
    run("ip", "-n", gw, "link", "set", "f2", "master", "br0")
    done = start()
    assert done.returncode == 69 and "f2 is a port of br0" in done.stderr, done
    assert run(*fence.bench.command("gw", "nft", "list", "tables")) == "" and "17767" not in run("ip", "-n", gw, "rule"), "nothing was left behind"
    run("ip", "-n", gw, "link", "set", "f2", "nomaster")
    fence.start()
    passes(fence)


def test_NFT_24_a_second_gate_in_the_namespace_is_refused(behind):
    second = [word if word != behind.control else behind.home / "second.sock" for word in behind.command()]
    done = subprocess.run(list(map(str, second)) + ["--log-group", "77", "--proxy-port", "3999", "--dns-port", "3998", "--transparent-port", "3997"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 69 and "running process owns it" in done.stderr, done
    passes(behind)


THIEF = "table inet thief {\n chain p {\n type filter hook prerouting priority -400\n udp dport 9 drop\n }\n}\n"


def test_NFT_24_a_table_that_is_not_proved_stops_the_start(own_behind):
    fence = own_behind(start=False)
    run(*fence.bench.command("gw", "nft", "-f", "-"), input=THIEF)
    fence.start(wait=False)
    assert fence.ends(15) == 69
    eventually(lambda: any("was not counted by it" in line and "nft list ruleset" in line for line in fence.said))
    fence.python(UDP, EVIL, "443", EVIL6, "443")
    run(*fence.bench.command("gw", "nft", "delete", "table", "inet", "thief"))
    fence.start()
    passes(fence)
    assert fence.strays() == (0, 0)


def test_NFT_26_one_agent_can_fill_nothing_for_the_other(own_behind):
    fence = own_behind()
    run(*fence.bench.command("gw", "sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=300"))  # longer than all this takes
    for places in ((GOOD, GOOD6), (EVIL, EVIL6)):
        assert int(fence.python(FLOWS, *places, timeout=120)) == 100_000, "the control: its own kernel let them go"
    tracked = len(fence.bench_flows())
    assert 4000 < tracked <= 8192 + 200, "one agent's flows are bounded"
    before = fence.seen("good")
    fence.other(sys.executable, "-c", UDP, GOOD, "124")
    eventually(lambda: fence.seen("good") == before + 1, because="the other agent's flows have room")
    assert fence.other("curl", "-sS", "-m", "5", "http://web.test/").stdout.startswith("origin ")
    assert "flowtable" not in run(*fence.bench.command("gw", "nft", "list", "ruleset"))
    assert fence.strays() == (0, 0)
