"""ATTACKS section NFT, on the sidecar. The `fenced` fixture proves after each test that no stray packet got out."""
import json, os, pathlib, subprocess, sys, threading, time

import pytest

from harness.far import Accepted, Asked
from harness.gate import eventually, exitgate
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6, RESOLVER
from harness.packets import (BROADCAST, CONNECT, EVERY_UDP, FAST_OPEN, FLOOD, FRAGMENTS, ICMP, MANY_FLOWS, MARKED, ODD_TCP, PASSED_ON,
                             PROTOCOLS, UDP)
from harness.sidecar import POLICY, USER, remove_group

# What Docker leaves a container, and what is left of it without raw sockets.
DOCKER = "chown,dac_override,fsetid,fowner,mknod,net_raw,setgid,setuid,setfcap,setpcap,net_bind_service,sys_chroot,kill,audit_write"


def container(*, raw=True):
    """A root agent with a container's capabilities."""
    names = [name for name in DOCKER.split(",") if raw or name != "net_raw"]
    return ("setpriv", "--bounding-set", "-all," + ",".join("+" + name for name in names), "--inh-caps", "-all")


def passes(fenced):
    """The positive control of a test: what rules name still passes."""
    before = fenced.seen("ntp")
    assert fenced.python(UDP, GOOD, "123").split() == ["sent"]
    eventually(lambda: fenced.seen("ntp") == before + 1)
    done = fenced.agent("curl", "-sS", "-m", "5", "http://web.test/")
    assert done.stdout.startswith("origin "), done


def test_NFT_01_ipv6_is_held_like_ipv4(fenced):
    for address in (EVIL, EVIL6):
        assert fenced.agent("ping", "-c1", "-W1", address).returncode != 0
        assert "sent" not in fenced.python(UDP, address, "53", address, "443", address, "9")[:4] or address
        done = fenced.agent("curl", "-g", "-sS", "-m", "3", f"http://{f'[{address}]' if ':' in address else address}/")
        assert '"reason":"no-rule"' in done.stdout
    link = fenced.agent("curl", "-g", "-sS", "-m", "3", "http://[fe80::1%25a0]/")
    assert link.returncode != 0 or '"error"' in link.stdout
    passes(fenced)


def test_NFT_02_udp_of_every_kind(fenced):
    assert "sent" not in fenced.python(EVERY_UDP, EVIL, EVIL6)
    found = eventually(lambda: fenced.records(layer="kernel", protocol="udp"))
    assert {record["reason"] for record in found} <= {"no-rule", "special-address", "private-address"}
    passes(fenced)


def test_NFT_03_icmp_carries_nothing_out(fenced):
    for address in (EVIL, EVIL6, GOOD, GOOD6):
        assert fenced.agent("ping", "-c1", "-W1", "-s", "1000", "-p", "5345", address).returncode != 0
    fenced.agent("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")
    assert fenced.agent("setpriv", "--reuid", "65534", "--clear-groups", "ping", "-c1", "-W1", EVIL).returncode != 0
    before = fenced.seen("good")
    assert "sent" not in fenced.python(ICMP, EVIL) and "sent" not in fenced.python(ICMP, GOOD)
    assert fenced.seen("good") == before
    eventually(lambda: [r for r in fenced.records(layer="kernel") if "icmp" in json.dumps(r["whole"])])
    passes(fenced)


def test_NFT_04_every_other_protocol(fenced):
    before = fenced.seen("good")
    assert "sent" not in fenced.python(PROTOCOLS, EVIL, EVIL6, GOOD)
    assert fenced.seen("good") == before
    passes(fenced)


def test_NFT_05_multicast_broadcast_and_link_services(fenced):
    targets = ["224.0.0.251", "5353", "239.255.255.250", "1900", "10.66.0.255", "137", "10.66.0.1", "123", "10.66.0.1", "67",
               "ff02::fb%a0", "5353", "ff02::1:2%a0", "547"]
    assert "sent" not in fenced.python(UDP, *targets)
    assert "sent" not in fenced.python(BROADCAST)
    passes(fenced)


def test_NFT_07_the_gates_ports_on_other_hosts_are_like_any_other(fenced):
    mark = fenced.far.mark()
    for port in (3128, 15001, 15353):
        done = fenced.agent("curl", "-sS", "-m", "3", f"http://{EVIL}:{port}/")
        assert '"reason":"no-rule"' in done.stdout, done
    assert fenced.far.since(mark, Accepted) == []
    # Straight at the listeners: they take redirected connections only.
    for port in (15001, 15353):
        assert fenced.agent("curl", "-sS", "-m", "2", f"http://127.0.0.1:{port}/").returncode == 7
        assert fenced.agent("curl", "-gsS", "-m", "2", f"http://[::1]:{port}/").returncode == 7
    passes(fenced)


def test_NFT_08_a_forged_mark_opens_nothing(fenced):
    only_raw = ("setpriv", "--bounding-set", "-all,+net_raw", "--inh-caps", "-all,+net_raw", "--ambient-caps", "-all,+net_raw",
                "--reuid", "65534", "--clear-groups")
    mark = fenced.far.mark()
    for prefix in (only_raw, ()):
        assert fenced.python(MARKED, EVIL, EVIL6, "0.5", prefix=prefix).split() == ["marked"]
    assert fenced.far.since(mark, Accepted) == []
    passes(fenced)


def test_NFT_09_whoever_becomes_the_gates_user_is_not_exempt(fenced):
    mark = fenced.far.mark()
    as_gate = ("setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups")
    assert "sent" not in fenced.python(UDP, EVIL, "443", EVIL6, "443", RESOLVER, "9", prefix=as_gate)
    done = fenced.agent(*as_gate, "curl", "-sS", "-m", "3", f"http://{EVIL}/")
    assert '"reason":"no-rule"' in done.stdout
    assert fenced.far.since(mark, Accepted) == []
    passes(fenced)


def test_NFT_09_without_a_group_of_its_own_the_gate_does_not_start_unless_told(own_fence):
    fence = own_fence(grouped=False, start=False)
    fence.start(wait=False)
    assert fence.ends(10) == 69
    assert any("control group" in line and "--accept-weaker-exemption" in line for line in fence.said), fence.said
    assert fence.agent("nft", "list", "tables").stdout == "", "nothing was left behind"
    fence.extra = ("--accept-weaker-exemption",)
    fence.start()
    assert fence.status()["fence"]["weak"]
    passes(fence)


def test_NFT_10_what_counts_is_who_sends_and_not_who_opened(fenced):
    assert "sent" not in fenced.python(PASSED_ON, EVIL, EVIL6)
    passes(fenced)


def test_NFT_11_packets_without_an_owner_follow_the_same_rules(fenced):
    # A reset to whoever knocks at a closed port: nobody's packet.
    for port in (9, 15001):
        done = subprocess.run(fenced.bench.command("out", "curl", "-sS", "-m", "1", f"http://10.66.0.2:{port}/"), capture_output=True)
        assert done.returncode == 28, "not even a reset comes back"
    passes(fenced)


def test_NFT_12_a_container_cannot_touch_the_rules_nor_go_around(fenced):
    for words in (("nft", "flush", "ruleset"), ("nft", "delete", "table", "inet", "exitgate"),
                  ("ip", "route", "add", "11.77.0.0/16", "via", "10.66.0.1"), ("ip", "link", "add", "d0", "type", "veth")):
        assert fenced.agent(*container(), *words).returncode != 0, words
    assert "sent" not in fenced.python(UDP, EVIL, "443", EVIL6, "443", prefix=container())
    assert "chain out" in fenced.agent("nft", "list", "table", "inet", "exitgate").stdout
    passes(fenced)


def test_NFT_14_15_a_flow_ends_with_its_rule_whatever_the_far_side_sends(own_fence):
    fence = own_fence()
    script = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 40123)); s.connect((sys.argv[1], 123))
for _ in range(60):
    try: s.send(b"MARK")
    except OSError: pass
    time.sleep(0.1)
"""
    sender = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", script, GOOD))
    try:
        eventually(lambda: fence.seen("ntp") >= 3)
        kept = fence.bench.command("out", sys.executable, "-c", """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("11.11.0.10", 123))
for _ in range(60): s.sendto(b"push", ("10.66.0.2", 40123)); time.sleep(0.1)
""")
        pusher = subprocess.Popen(kept)
        time.sleep(0.5)
        mark = fence.far.mark()
        fence.reload(POLICY.replace("ports: [123]", "ports: [124]"))
        at = fence.seen("ntp")
        time.sleep(2)
        assert fence.seen("ntp") == at, "packets went on after the rule was gone"
        assert fence.seen("stray") == 0
        fence.reload(POLICY)
        eventually(lambda: fence.seen("ntp") > at, because="with the rule back it passes again")
        pusher.kill(), pusher.wait()
    finally:
        sender.kill(), sender.wait()


def test_NFT_14_a_learned_address_is_gone_with_its_rule(own_fence):
    fence = own_fence()
    assert fence.agent("dig", "+short", "stun.test", "A").stdout.split() == [GOOD]
    assert fence.python(UDP, GOOD, "3478").split() == ["sent"]
    fence.reload(POLICY.replace('"3478-3480"', "3480"))
    assert "sent" not in fence.python(UDP, GOOD, "3478", GOOD, "3480")
    assert fence.status()["fence"]["learned"] == 0
    assert fence.agent("dig", "+short", "stun.test", "A").stdout.split() == [GOOD]
    assert fence.python(UDP, GOOD, "3478", GOOD, "3480").split() == ["PermissionError", "sent"]


def test_NFT_14_captured_connections_end_with_their_rule(own_fence):
    fence = own_fence()
    script = """
import socket, sys
s = socket.create_connection(("raw.test", 5432), 5); s.sendall(b"\\x00a"); s.recv(64); print("open", flush=True); s.settimeout(10)
try: print("end" if s.recv(1) == b"" else "data")
except OSError as error: print(type(error).__name__)
"""
    held = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", script), stdout=subprocess.PIPE, text=True)
    assert held.stdout.readline() == "open\n"
    fence.reload(POLICY.replace("ports: [22, 5432, 8443]", "ports: [22]"))
    started = time.monotonic()
    assert held.communicate(timeout=5)[0].strip() in ("ConnectionResetError", "end")
    assert time.monotonic() - started < 2
    assert [record for record in fence.records(event="close") if "revoked" in json.dumps(record["whole"])]


def test_NFT_16_nothing_related_but_errors(fenced):
    listed = fenced.agent("nft", "list", "table", "inet", "exitgate").stdout
    assert all("icmp" in line for line in listed.splitlines() if "related" in line)
    assert "helper" not in listed
    passes(fenced)


def test_NFT_17_odd_tcp(fenced):
    before = fenced.seen("good")
    assert fenced.python(ODD_TCP, EVIL, GOOD) == "done\n"
    fenced.python(FAST_OPEN, EVIL)
    time.sleep(0.2)
    assert fenced.seen("good") == before
    passes(fenced)


def test_NFT_18_fragments_and_extension_headers(fenced):
    assert fenced.python(FRAGMENTS, EVIL, EVIL6) == "done\n"
    passes(fenced)


def test_NFT_19_the_redirect_takes_no_port_out_of_the_policys_reach(fenced):
    mark = fenced.far.mark()
    assert "data" not in fenced.python(CONNECT, EVIL)
    assert fenced.far.since(mark, Accepted) == []
    assert len(fenced.records(layer="transparent", verdict="deny")) >= 8
    passes(fenced)


def test_NFT_20_another_way_out_is_no_way_out(fenced):
    names = fenced.bench.names
    for words in (("ip", "link", "add", "b0", "netns", names["agent"], "type", "veth", "peer", "name", "b1", "netns", names["out"]),
                  ("ip", "-n", names["agent"], "addr", "add", "10.77.0.2/24", "dev", "b0"), ("ip", "-n", names["agent"], "link", "set", "b0", "up"),
                  ("ip", "-n", names["out"], "addr", "add", "10.77.0.1/24", "dev", "b1"), ("ip", "-n", names["out"], "link", "set", "b1", "up")):
        subprocess.run(words, check=True)
    try:
        before = json.loads(subprocess.run(["ip", "-n", names["out"], "-s", "-j", "link", "show", "b1"], capture_output=True, text=True).stdout)
        assert "sent" not in fenced.python(UDP, "10.77.0.1", "123", "10.77.0.1", "9")
        done = fenced.agent("curl", "-sS", "-m", "3", "http://10.77.0.1/")
        assert '"reason":"private-address"' in done.stdout
        assert fenced.agent("ping", "-c1", "-W1", "10.77.0.1").returncode != 0
        seen = subprocess.run(fenced.bench.command("out", "ip", "neigh", "show", "dev", "b1"), capture_output=True, text=True).stdout
        assert before and "10.77.0.2" not in seen, "not even an address was asked for"
    finally:
        subprocess.run(["ip", "-n", names["out"], "link", "del", "b1"])
    passes(fenced)


def test_NFT_21_frames_beside_the_ip_stack_do_not_leave(fenced):
    script = """
import fcntl, socket, struct, sys
mac = bytes.fromhex(sys.argv[1].replace(":", ""))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)); s.bind(("a0", 0))
own = s.getsockname()[4]
udp = struct.pack(">HHHH", 40000, 443, 12, 0) + b"MARK"
ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton("10.66.0.2"), socket.inet_aton(sys.argv[2])) + udp
for bypass in (0, 1):
    s.setsockopt(263, 20, bypass)
    for mark in (0, 1, 2):
        s.setsockopt(socket.SOL_SOCKET, 36, mark)
        try: s.send(mac + own + b"\\x08\\x00" + ip); print("sent")
        except OSError: pass
"""
    mac = json.loads(subprocess.run(["ip", "-n", fenced.bench.names["gw"], "-j", "link", "show", "f0"], capture_output=True, text=True).stdout)[0]["address"]
    before = fenced.status()["fence"]["denied_frames"]
    assert "sent" not in fenced.python(script, mac, EVIL)
    assert "sent" not in fenced.python(script, mac, EVIL, prefix=container())
    assert fenced.status()["fence"]["denied_frames"] >= before + 6
    assert fenced.agent(*container(raw=False), sys.executable, "-c", script, mac, EVIL).returncode != 0
    passes(fenced)


def test_NFT_22_nobody_else_can_remove_or_shadow_the_table(fenced):
    for words in (("flush", "ruleset"), ("delete", "table", "inet", "exitgate"), ("flush", "chain", "inet", "exitgate", "out"),
                  ("add", "element", "inet", "exitgate", "live", "{ 9 }"), ("delete", "table", "netdev", "exitgate")):
        fenced.agent("nft", *words)
        assert "chain out" in fenced.agent("nft", "list", "table", "inet", "exitgate").stdout, words
        assert "egress_0" in fenced.agent("nft", "list", "table", "netdev", "exitgate").stdout, words
    shadow = """table inet shadow { chain out { type filter hook output priority -400; policy accept; accept; }
      chain nat { type nat hook output priority -150; policy accept; accept; }
    }
"""
    assert fenced.agent("nft", "-f", "-", input=shadow).returncode == 0
    try:
        assert "sent" not in fenced.python(UDP, EVIL, "443", EVIL6, "443")
        assert '"reason":"no-rule"' in fenced.agent("curl", "-sS", "-m", "3", f"http://{EVIL}/").stdout
    finally:
        fenced.agent("nft", "delete", "table", "inet", "shadow")
    assert fenced.status()["enforcing"]
    passes(fenced)




def test_NFT_23_a_reload_under_load_has_no_gap(own_fence):
    fence = own_fence()
    senders = [subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", FLOOD, EVIL, EVIL6, "60", "260000"),
                                stdout=subprocess.PIPE, text=True) for _ in range(2)]
    reloads = 0
    while any(sender.poll() is None for sender in senders):
        fence.reload(POLICY if reloads % 2 else POLICY.replace("ports: [123]", "ports: [123, 124]"))
        reloads += 1
    counts = [tuple(map(int, sender.communicate()[0].split())) for sender in senders]
    assert sum(count for count, _ in counts) >= 500_000 and reloads >= 10, (counts, reloads)
    assert sum(passed for _, passed in counts) == 0 and fence.seen("stray") == 0
    passes(fence)


def test_NFT_24_without_the_privilege_nothing_starts(own_fence):
    fence = own_fence(start=False)
    lacking = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]
    done = subprocess.run(lacking + fence.command(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 69 and "CAP_NET_ADMIN" in done.stderr, done
    fence.extra = ("--user", "root")
    done = subprocess.run(fence.command(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 64 and "--user" in done.stderr, done
    fence.extra = ("--accept-weaker-exemption", "--policy", "/nonexistent.yaml")
    assert subprocess.run(fence.command(), capture_output=True, text=True, timeout=20).returncode == 65
    assert fence.agent("nft", "list", "tables").stdout == "", "nothing was left behind"


def test_NFT_24_a_second_gate_in_the_namespace_is_refused(fenced):
    second = [word if word != fenced.control else fenced.home / "second.sock" for word in fenced.command()]
    group = fenced.group / "second"
    group.mkdir()
    try:
        done = subprocess.run(list(map(str, second)) + ["--log-group", "77", "--proxy-port", "3999", "--dns-port", "3998", "--transparent-port", "3997"],
                              capture_output=True, text=True, timeout=20, preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())))
        assert done.returncode == 69 and "running process owns it" in done.stderr, done
        assert (group / "cgroup.procs").read_text() == "", "its keeper ended before it did"
    finally:
        eventually(lambda: remove_group(group))
    passes(fenced)


def test_NFT_26_a_full_set_or_table_opens_nothing(fenced):
    assert fenced.python(MANY_FLOWS, GOOD, EVIL) == "done\n"
    assert "sent" not in fenced.python(UDP, EVIL, "123", EVIL6, "123")
    listed = fenced.agent("nft", "list", "ruleset").stdout
    assert "flowtable" not in listed
    passes(fenced)
