"""What programs try without asking the gate: the parts of POL, TLS, DNS and OPS that only the kernel's table can show."""
import subprocess

import pytest

from harness.far import Accepted, Asked, Received
from harness.gate import BINARY, eventually
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6, RESOLVER
from harness.packets import UDP
from harness.sidecar import POLICY

# What a network may translate or unpack to 169.254.169.254, where cloud machines keep their credentials.
EMBEDDED = ["64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:5601:5601", "::ffff:0:a9fe:a9fe",
            "::a9fe:a9fe", "::ffff:169.254.169.254"]
EVERYWHERE = """version: 1
rules:
  - { id: any-udp, action: allow, to: ["11.0.0.0/8", "2000::/3"], protocol: udp, ports: [123] }
  - { id: any-tcp, action: allow, to: ["11.0.0.0/8", "2000::/3"], protocol: tcp, ports: [5432] }
  - { id: web, action: allow, to: [web.test], protocol: http }
"""
SECURE = POLICY + "  - { id: tls, action: allow, to: [web.test] }\n"
# HOST...: what comes back on port 5432 when a program speaks first.
SPEAKS = """
import socket, sys
for host in sys.argv[1:]:
    try:
        with socket.create_connection((host, 5432), 5) as s: s.sendall(b"\\x00opaque"); print(s.recv(64).decode() or "end")
    except OSError as error: print(type(error).__name__)
"""
# NAME ROUNDS: asks for a name of its own each time and sends a datagram the moment the answer is there.
AT_ONCE = """
import socket, struct, sys
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); asking.connect(("127.0.0.53", 53)); asking.settimeout(5)
for number in range(int(sys.argv[2])):
    labels = f"n{number}.{sys.argv[1]}".encode().split(b".")
    asking.send(struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + b"".join(bytes([len(l)]) + l for l in labels) + b"\\0\\0\\1\\0\\1")
    answer = asking.recv(512)
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (socket.inet_ntoa(answer[-4:]), 3478))
print("sent")
"""


def web(fenced):
    """The positive control: a name that a rule knows is reached."""
    done = fenced.agent("curl", "-sS", "-m", "10", "http://web.test/")
    assert done.stdout.startswith("origin "), done


def test_POL_16_an_address_opens_nothing_that_a_name_opened(fenced):
    web(fenced)
    mark = fenced.far.mark()
    for url in (f"http://{EVIL}/", f"http://[{EVIL6}]/", f"http://{GOOD}/", f"http://[{GOOD6}]/"):
        done = fenced.agent("curl", "-gsS", "-m", "5", url)
        assert '"reason":"no-rule"' in done.stdout, done
    for url in (f"https://{EVIL}/", f"https://{GOOD}/", f"https://[{EVIL6}]/"):
        assert fenced.agent("curl", "-gksS", "-m", "5", url).returncode == 35, "cut at its first flight"
    said = fenced.python(SPEAKS, GOOD, EVIL, GOOD6, EVIL6).split()
    assert len(said) == 4 and set(said) <= {"ConnectionResetError", "end"}, said
    assert fenced.far.since(mark, Accepted) == []
    web(fenced)


def test_POL_18_ipv4_embedded_in_ipv6_goes_nowhere_by_itself_either(own_fence):
    fence = own_fence(EVERYWHERE)
    mark, strays = fence.far.mark(), fence.seen("stray")
    assert "sent" not in fence.python(UDP, *[word for address in EMBEDDED for word in (address, "123")])
    assert "FLIGHT" not in fence.python(SPEAKS, *EMBEDDED)
    assert fence.far.since(mark, Accepted) == [] and fence.seen("stray") == strays
    # The control: the same rules open what lies beside.
    assert fence.python(UDP, GOOD6, "123", EVIL6, "123").split() == ["sent", "sent"]
    assert fence.python(SPEAKS, EVIL6, EVIL).split("\n")[:2] == [f"FLIGHT {EVIL6}", f"FLIGHT {EVIL}"]


def test_TLS_08_a_server_name_opens_no_address(own_fence):
    """An allowed name is claimed on the way to another's address: that address is never dialled."""
    fence = own_fence(SECURE)
    mark = fence.far.mark()
    for address in (EVIL, f"[{EVIL6}]", GOOD):
        fence.agent("openssl", "s_client", "-connect", f"{address}:443", "-servername", "web.test", stdin=subprocess.DEVNULL, timeout=30)
    flights = fence.far.wait_for(mark, Received, 3)
    assert {flight.address for flight in flights} <= {GOOD, GOOD6} and all(b"web.test" in flight.data for flight in flights)
    assert {event.address for event in fence.far.since(mark, Accepted)} <= {GOOD, GOOD6}, "the name's own, found by the gate itself"
    assert any(asked.name == "web.test" for asked in fence.far.since(mark, Asked))
    # Without a name, or with one that no rule knows, nobody is dialled.
    mark = fence.far.mark()
    for words in (("-noservername",), ("-servername", "evil.test")):
        fence.agent("openssl", "s_client", "-connect", f"{EVIL}:443", *words, stdin=subprocess.DEVNULL, timeout=30)
    assert fence.far.since(mark, Accepted) == [] and len(fence.records(verdict="deny", layer="transparent")) == 2
    # Nor does the way to the name carry another's name.
    mark = fence.far.mark()
    fence.agent("openssl", "s_client", "-connect", "web.test:443", "-servername", "evil.test", stdin=subprocess.DEVNULL, timeout=30)
    assert fence.far.since(mark, Received) == []


def test_DNS_04_no_other_resolver_is_asked_by_any_port(fenced):
    mark = fenced.far.mark()
    for server in (RESOLVER, EVIL, EVIL6):
        done = fenced.agent("dig", "+time=3", "+tries=1", f"@{server}", "leak.evil.test")
        assert "status: NXDOMAIN" in done.stdout, "the gate answers in its place"
        assert fenced.agent("dig", "+time=1", "+tries=1", "-p", "5353", f"@{server}", "leak.evil.test").returncode != 0
    done = fenced.agent("dig", "+time=3", "+tries=1", "-b", "10.66.0.2#53", f"@{RESOLVER}", "leak.evil.test")
    assert "status: NXDOMAIN" in done.stdout or done.returncode != 0, done
    assert fenced.far.since(mark, Asked) == []
    web(fenced)


def test_DNS_05_other_transports_of_names_do_not_pass(fenced):
    mark = fenced.far.mark()
    ports = [word for address in (EVIL, EVIL6, RESOLVER, GOOD) for port in ("784", "853", "8853", "443") for word in (address, port)]
    assert "sent" not in fenced.python(UDP, *ports)
    for server in (EVIL, EVIL6, RESOLVER):
        fenced.agent("kdig", "+tls", "+timeout=2", "+retry=0", f"@{server}", "leak.evil.test")
    assert fenced.far.since(mark, Accepted) == [] and fenced.far.since(mark, Asked) == []
    written = [record["whole"]["dst_endpoint"] for record in fenced.records(verdict="deny", layer="transparent")]
    assert {place["ip"] for place in written if place["port"] == 853} >= {EVIL, EVIL6, RESOLVER}, written
    web(fenced)


def test_DNS_23_names_of_one_address_open_nothing_to_each_other(own_fence):
    fence = own_fence()
    fence.far.answers("evil.test", GOOD)
    web(fence)
    assert fence.status()["fence"]["learned"] == 0, "what goes through the gate opens nothing in the kernel"
    assert fence.agent("dig", "+short", "stun.test", "A").stdout.split() == [GOOD]
    mark = fence.far.mark()
    for port in ("80", "3478"):
        done = fence.agent("curl", "-sS", "-m", "5", "--resolve", f"evil.test:{port}:{GOOD}", f"http://evil.test:{port}/")
        assert '"reason":"no-rule"' in done.stdout, done
    assert "sent" not in fence.python(UDP, GOOD, "443", GOOD, "80", GOOD, "3481", GOOD6, "3478")
    assert fence.far.since(mark, Accepted) == []
    assert fence.python(UDP, GOOD, "3478").split() == ["sent"], "of the one that was asked for, its protocol and ports"


def test_DNS_25_an_answer_comes_when_its_address_is_open_and_not_before(own_fence):
    fence = own_fence(POLICY.replace("[stun.test]", '["*.stun.test"]'))
    for number in range(60):
        fence.far.answers(f"n{number}.stun.test", GOOD if number % 2 else f"11.11.0.{100 + number}")
    assert fence.python(AT_ONCE, "stun.test", "60").split() == ["sent"], "the first datagram after each answer passes"
    eventually(lambda: fence.seen("stun") == 60)


def test_DNS_26_a_name_without_addresses_matches_none(own_fence):
    fence = own_fence(POLICY + "  - { id: void, action: allow, to: [notresolved.test], protocol: udp, ports: [8080] }\n"
                               "  - { id: void-tcp, action: allow, to: [notresolved.test], protocol: tcp, ports: [8080] }\n")
    assert "NXDOMAIN" in fence.agent("dig", "notresolved.test", "A").stdout
    mark = fence.far.mark()
    assert "sent" not in fence.python(UDP, EVIL, "8080", EVIL6, "8080", GOOD, "8080")
    for address in (EVIL, f"[{EVIL6}]", GOOD):
        assert '"reason":"no-rule"' in fence.agent("curl", "-gsS", "-m", "5", f"http://{address}:8080/").stdout
    assert fence.far.since(mark, Accepted) == [] and fence.status()["fence"]["learned"] == 0
    # The control: with an address that address passes, and it alone.
    fence.far.answers("notresolved.test", GOOD)
    fence.reload(fence.policy.read_text() + "  - { id: more, action: deny, to: [more.test] }\n")  # forgets what was answered
    assert fence.agent("dig", "+short", "notresolved.test", "A").stdout.split() == [GOOD]
    assert fence.python(UDP, GOOD, "8080", EVIL, "8080").split() == ["sent", "PermissionError"]


CAPABILITIES = ["net_admin", "net_bind_service", "net_raw", "setuid", "setgid", "setpcap", "sys_admin", "sys_ptrace", "sys_resource", "dac_override",
                "dac_read_search", "chown", "fowner", "kill", "audit_write", "sys_chroot", "mknod"]


def test_OPS_05_with_each_capability_taken_away_it_holds_or_does_not_start(own_fence):
    fence, refused = own_fence(start=False), set()
    whole = fence.command
    for name in CAPABILITIES:
        at = whole().index(str(BINARY))
        fence.command = lambda: [*whole()[:at], "setpriv", "--bounding-set", f"-{name}", "--inh-caps", f"-{name}", *whole()[at:]]
        fence.start(wait=False)
        eventually(lambda: fence.process.poll() is not None or any("exitgate: ready" in line for line in fence.said), seconds=20)
        if fence.process.poll() is not None:
            refused.add(name)
            assert fence.ends() == 69 and any(f"CAP_{name.upper()}" in line for line in fence.said), (name, fence.said)
            continue
        mark = fence.far.mark()
        assert '"reason":"no-rule"' in fence.agent("curl", "-sS", "-m", "5", f"http://{EVIL}/").stdout, name
        assert "sent" not in fence.python(UDP, EVIL, "123"), name
        assert fence.far.since(mark, Accepted) == []
        web(fence)
        assert fence.stop() == 0, name
    assert "net_admin" in refused and len(refused) < len(CAPABILITIES), refused
