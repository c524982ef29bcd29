"""The gateway and its host: who gets an answer by which link, what the kernel has room for, what errors come back."""
import json, pathlib, subprocess, sys, time

from harness.gate import BINARY, eventually
from harness.gateway import POLICY, passes
from harness.namespaces import EVIL, GOOD, GOOD6, run
from harness.packets import ROUTERS, SOURCE_ROUTED

PROXY = "http://10.66.0.1:3128"

# HOST PORT [DEVICE]: whether anything at all answers to a connection.
KNOCK = """
import socket, sys
s = socket.socket(); s.settimeout(1.5)
if sys.argv[3:]: s.setsockopt(socket.SOL_SOCKET, 25, sys.argv[3].encode())
try: s.connect((sys.argv[1], int(sys.argv[2]))); print("open")
except OSError as error: print(type(error).__name__)
"""


def stranger(fence):
    """A host behind a link of the gateway that nobody enrolled: 10.68.0.2."""
    gw, name = fence.bench.names["gw"], f"{fence.bench.names['gw']}-stranger"
    run("ip", "netns", "add", name)
    fence.bench.names["stranger"] = name
    for words in (("link", "add", "b0", "netns", name, "type", "veth", "peer", "name", "f9", "netns", gw),
                  ("-n", name, "addr", "add", "10.68.0.2/24", "dev", "b0"), ("-n", name, "link", "set", "b0", "up"),
                  ("-n", gw, "addr", "add", "10.68.0.1/24", "dev", "f9"), ("-n", gw, "link", "set", "f9", "up"),
                  ("-n", name, "route", "add", "default", "via", "10.68.0.1")):
        run("ip", *words)


def test_NFT_06_the_default_agents_proxy_answers_that_agent_alone(own_behind):
    fence = own_behind(links=("f0", "f2=dev"))
    stranger(fence)
    written = fence.log.mark()
    knock = lambda role, *words: subprocess.run(fence.bench.command(role, sys.executable, "-c", KNOCK, *words), capture_output=True, text=True).stdout.strip()
    for role in ("out", "stranger", "gw"):
        assert knock(role, "10.66.0.1", "3128") == "TimeoutError", f"no answer to {role}, not even a refusal"
    for port in ("15001", "15353"):
        assert knock("out", "10.66.0.1", port) == knock("stranger", "10.66.0.1", port) == "ConnectionRefusedError", "nor is anybody there"
    # The other agent's connections are its own, whatever they are aimed at.
    assert fence.other("curl", "-sS", "-m", "3", "-x", PROXY, "http://web.test/").returncode in (7, 56)
    fence.log.wait_for(written, layer="transparent", verdict="deny", agent="dev", reason="self-address", port=3128)
    # Without the table's rule, the socket itself takes from its link alone.
    listening = run(*fence.bench.command("gw", "ss", "-Hltn", "sport = :3128"))
    assert "10.66.0.1%f0:3128" in listening and listening.count("\n") == 1, listening
    done = fence.agent("curl", "-sS", "-m", "5", "-x", PROXY, "http://web.test/")
    assert done.stdout.startswith("origin "), "the control: the agent gets an answer"
    assert {record["agent"] for record in fence.records(layer="http")} == {"default"}
    assert fence.log.wait_for(written, layer="http", verdict="allow", agent="default")


def test_NFT_26_reloads_give_an_agent_no_more_flows(own_behind):
    fence = own_behind()
    script = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000)); held = []
for port in range(int(sys.argv[1]), int(sys.argv[1]) + 5000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", port)); held.append(s)
    try: s.sendto(b"x", (sys.argv[2], 123))
    except OSError: pass
print("done")
"""
    for turn, first in enumerate((20000, 25000, 30000, 35000)):
        assert fence.python(script, first, GOOD) == "done\n"
        fence.reload(POLICY if turn % 2 else POLICY.replace("ports: [22, 5432, 8443]", "ports: [22, 5432]"))
    tracked = [line for line in fence.bench_flows() if "src=10.66.0.2" in line]
    assert 6000 < len(tracked) <= 8192 + 100, f"{len(tracked)} of 20,000"
    assert fence.seen("ntp") <= 8192 + 100
    assert fence.other("curl", "-sS", "-m", "5", "http://web.test/").stdout.startswith("origin "), "the control: the other agent has room"
    assert fence.strays() == (0, 0)


def test_NFT_26_where_the_kernel_has_no_room_for_all_each_agent_gets_less_and_that_is_said(own_behind):
    most = int(pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
    count = most // (2 * 8192) + 1
    fence = own_behind(start=False)
    gw = fence.bench.names["gw"]
    for number in range(count - 2):
        run("ip", "-n", gw, "link", "add", f"w{number}", "type", "veth", "peer", "name", f"x{number}")
    fence.links = ("f0=ci", "f2=dev", *(f"w{number}=spare{number}" for number in range(count - 2)))
    fence.start()
    room = most // 2 // count
    warning, = [line for line in fence.said if "nf_conntrack_max" in line]
    assert f"nf_conntrack_max is {most}, so each of {count} agents has at most {room} tracked flows in place of 8192" in warning
    assert f"sysctl -w net.netfilter.nf_conntrack_max={count * 16384}" in warning
    assert f"ct count over {room} " in run(*fence.bench.command("gw", "nft", "list", "chain", "inet", "exitgate", "flows_0"))
    passes(fence)
    report = subprocess.run(fence.enter(BINARY, "doctor", "--for", "gateway", "--json"), capture_output=True, text=True)
    finding, = [one for one in json.loads(report.stdout)["findings"] if one["id"] == "conntrack-max"]
    assert finding["detail"] == f"{most}: room for 8192 flows of each of {count - 1} agents", finding


def test_NFT_22_a_route_in_our_table_that_is_not_ours_stops_the_start(own_behind):
    fence = own_behind(start=False)
    ip = lambda *words: run("ip", "-n", fence.bench.names["gw"], *words)
    ip("route", "add", "default", "via", GOOD, "table", "17767")
    fence.start(wait=False)
    assert fence.ends(15) == 69
    eventually(lambda: any("'ip route show table 17767' shows something that is not ours" in line for line in fence.said))
    ip("route", "del", "default", "table", "17767")
    fence.start()
    passes(fence)
    # Later it is said, and opens nothing: what was captured and is led elsewhere is not forwarded.
    ip("route", "add", "11.66.0.0/16", "via", GOOD, "table", "17767")
    fence.wait_to_say("which is NOT made anew", seconds=13)
    assert fence.agent("curl", "-sS", "-m", "1", f"http://{EVIL}/").returncode != 0
    ip("route", "del", "11.66.0.0/16", "table", "17767")
    passes(fence)
    assert fence.strays() == (0, 0)


# ADDRESS: sends what a rule grants, then waits for what comes of it: the error, the path's MTU, and all ICMP messages there were.
SENDS = """
import select, socket, sys
six = ":" in sys.argv[1]; family, level = (socket.AF_INET6, 41) if six else (socket.AF_INET, 0)
s = socket.socket(family, socket.SOCK_DGRAM); s.setsockopt(level, 25 if six else 11, 1); s.setsockopt(level, 23 if six else 10, 2)
raw = socket.socket(family, socket.SOCK_RAW, 58 if six else 1); raw.settimeout(0.5)
s.connect((sys.argv[1], 123)); s.settimeout(4); s.send(b"x" * 1400)
try: print(s.recv(99))
except OSError as error: print(error.errno, s.getsockopt(level, 24 if six else 14))
kinds = []
try:
    while True: kinds.append(raw.recv(2000)[0 if six else 20])
except OSError: pass
print(kinds.count(2 if six else 3))
"""

# ADDRESS AGENT: answers the first datagram with "fragmentation needed" (MTU 1300), about its flow and about flows there are none of.
ANSWERS = """
import socket, struct, sys
own, agent = sys.argv[1:3]; six = ":" in own; family = socket.AF_INET6 if six else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM); s.bind((own, 123)); raw = socket.socket(family, socket.SOCK_RAW, 58 if six else 1)
print("ready", flush=True)
peer = s.recvfrom(2000)[1][:2]
def total(data):
    n = sum(struct.unpack(f">{len(data)//2}H", data))
    while n >> 16: n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff
def error(source, port, to):
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, own)
    udp = struct.pack(">HHHH", port, 123, 1408, 0)
    if six: raw.sendto(struct.pack(">BBHI", 2, 0, 0, 1300) + struct.pack(">IHBB", 6 << 28, 1408, 17, 63) + ends + udp, (to, 0)); return
    head = struct.pack(">BBHHHBBH", 0x45, 0, 1428, 7, 0x4000, 63, 17, 0) + ends
    message = struct.pack(">BBHHH", 3, 4, 0, 0, 1300) + head[:10] + struct.pack(">H", total(head)) + head[12:] + udp
    raw.sendto(message[:2] + struct.pack(">H", total(message)) + message[4:], (to, 0))
error(agent, 9, agent); error(peer[0], 9, peer[0]); error(peer[0], peer[1] ^ 1, peer[0])
error(peer[0], peer[1], peer[0])
"""


def test_NFT_03_an_error_about_a_granted_flow_reaches_its_agent_and_no_other_does(own_behind):
    fence = own_behind()
    for own, agent in ((GOOD, "10.66.0.2"), (GOOD6, "fd66::2")):
        router = subprocess.Popen(fence.bench.command("out", sys.executable, "-c", ANSWERS, own, agent), stdout=subprocess.PIPE, text=True)
        try:
            assert router.stdout.readline() == "ready\n"
            assert fence.python(SENDS, own).split() == ["90", "1300", "1"], "EMSGSIZE, what fits, and the one message about it"
        finally:
            router.kill(), router.wait()
    passes(fence)
    assert fence.strays() == (0, 0)


CREDULOUS = ("net.ipv4.conf.all.accept_redirects=1", "net.ipv4.conf.f0.accept_redirects=1", "net.ipv4.conf.all.secure_redirects=0",
             "net.ipv4.conf.f0.secure_redirects=0", "net.ipv4.conf.all.accept_source_route=1", "net.ipv4.conf.f0.accept_source_route=1",
             "net.ipv6.conf.all.accept_redirects=1", "net.ipv6.conf.f0.accept_redirects=1", "net.ipv6.conf.f0.accept_ra=2",
             "net.ipv6.conf.f0.accept_source_route=1", "net.ipv6.conf.all.accept_source_route=1")


def test_NFT_21_a_host_that_believes_routers_and_source_routes_believes_no_agent(own_behind):
    """accept_ra, accept_redirects and accept_source_route at their worst: what an agent sends does not come so far."""
    fence = own_behind()
    gw = fence.bench.names["gw"]
    run(*fence.bench.command("gw", "sysctl", "-qw", *CREDULOUS))
    learned = lambda: [line for line in run("ip", "-6", "-n", gw, "route", "show").splitlines() if "proto ra" in line or "2a0e:b107:dead::" in line]
    routes = lambda: [run("ip", family, "-n", gw, *words) for family in ("-4", "-6") for words in (("route", "show"), ("-br", "addr", "show", "dev", "f0"))]
    before = routes()
    assert learned() == []
    good = fence.seen("good")
    assert "sent" in fence.python(ROUTERS, "a0")
    assert set(fence.python(SOURCE_ROUTED, "10.66.0.1", EVIL, GOOD, "10.67.0.2").split()) == {"sent"}
    time.sleep(0.5)
    assert routes() == before and learned() == [] and fence.strays() == (0, 0) and fence.seen("good") == good
    passes(fence)
    # The control: without the table this host does believe them.
    fence.stop()
    assert fence.firewall("remove").returncode == 0
    believes = lambda: "sent" in fence.python(ROUTERS, "a0") and len(learned()) >= 2
    eventually(believes, because="the router and its prefix")
    assert set(fence.python(SOURCE_ROUTED, "10.66.0.1", EVIL).split()) == {"sent"}
    eventually(lambda: fence.strays()[0] > 0, because="a packet went on along the route that its source wrote")
