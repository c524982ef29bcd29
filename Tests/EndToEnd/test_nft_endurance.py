"""The catalogue's large numbers, on the sidecar: reloads, restarts, kills and flows, while an agent sends all it can.

Each says how many there were; where a number is bound by time, the time is.
"""
import json, os, pathlib, random, re, signal, socket, subprocess, sys, time

import pytest

from harness.gate import eventually
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6
from harness.packets import FLOOD, FLOWS, PROBE, UDP
from harness.sidecar import POLICY, remove_group
from test_nft import passes

RESTARTS = 75  # seconds
MEMORY = pathlib.Path("/sys/fs/cgroup/memory")  # of control groups, version 1; version 2 has it beside the others

# IPV4 PORT: one flow that goes on; prints nothing.
STEADY = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 40123)); s.connect((sys.argv[1], int(sys.argv[2])))
while True:
    try: s.send(b"MARK")
    except OSError: pass
    time.sleep(0.02)
"""


def flood(fence, seconds):
    """Sends until it is ended; the second number it prints is that of datagrams its kernel let go."""
    return subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", FLOOD, EVIL, EVIL6, str(seconds), "100000000"),
                            stdout=subprocess.PIPE, text=True)


def ask_reload(fence):
    """A reload without a process of its own."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(20)
        control.connect(str(fence.control))
        control.sendall(b'{"exitgate":1,"request":"reload"}\n')
        control.shutdown(socket.SHUT_WR)
        return json.loads(b"".join(iter(lambda: control.recv(65536), b"")))


def test_NFT_23_a_thousand_reloads_under_load_have_no_gap(own_fence):
    fence = own_fence()
    texts = [POLICY, POLICY.replace("ports: [123] }", "ports: [123, 124] }")]
    sender = flood(fence, 300)
    started, before = time.monotonic(), fence.status()["policy"]["generation"]
    for turn in range(1000):
        fence.policy.write_text(texts[turn % 2])
        ask_reload(fence)
    seconds = time.monotonic() - started
    assert fence.status()["policy"]["generation"] == before + 1000
    sender.kill()
    print(f"1000 reloads in {seconds:.0f} s")
    assert fence.seen("stray") == 0
    held = fence.status()["fence"]["denied_packets"]
    assert held > 100_000, "what was sent meanwhile, which reloads do not make the table forget"
    passes(fence)


def test_NFT_23_a_keeper_that_is_killed_in_the_middle_of_a_batch_leaves_it_whole(own_fence):
    many = "".join(f'  - {{ id: r{n}, action: allow, to: [11.{n % 60 + 100}.0.0/16], protocol: udp, ports: [{n + 1000}] }}\n'
                   for n in range(1500))
    texts = [POLICY + many, POLICY + many.replace("ports: [1", "ports: [2")]
    fence = own_fence(texts[0])
    sender = flood(fence, 300)
    random.seed(23)
    whole = [sorted(map(int, re.findall(r"r\d+,.*ports: \[(\d+)\]", text))) for text in texts]
    assert len(whole[0]) == len(whole[1]) == 1500 and whole[0] != whole[1]
    for turn in range(8):
        fence.policy.write_text(texts[(turn + 1) % 2])
        fence.process.send_signal(signal.SIGHUP)
        time.sleep(random.uniform(0.05, 0.6))
        os.kill(fence.keeper, signal.SIGKILL)
        assert fence.ends(15) == 70
        rules = fence.agent("nft", "-n", "list", "chain", "inet", "exitgate", "udp_grants").stdout
        assert sorted(port for port in map(int, re.findall(r"udp dport (\d+)", rules)) if port >= 1000) in whole, "half of a policy"
        assert "policy drop" in fence.agent("nft", "list", "chain", "inet", "exitgate", "out").stdout
        assert "sent" not in fence.python(UDP, EVIL, "443", EVIL6, "443")
        fence.start()
    sender.kill()
    assert fence.seen("stray") == 0
    passes(fence)


def test_OPS_01_killed_and_started_again_for_over_a_minute(own_fence):
    fence = own_fence()
    probe = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", PROBE, EVIL, str(RESTARTS)), stdout=subprocess.PIPE, text=True)
    deadline, turns = time.monotonic() + RESTARTS - 2, 0
    while time.monotonic() < deadline:
        fence.kill()
        fence.start()
        turns += 1
    count, through = map(int, probe.communicate(timeout=60)[0].split())
    print(f"{turns} restarts in {RESTARTS} s, {count} attempts")
    assert turns >= 20 and count >= 10 * RESTARTS and through == 0
    assert fence.seen("stray") == 0
    passes(fence)


@pytest.fixture
def tight():
    """A control group that holds next to nothing."""
    if not MEMORY.is_dir():
        pytest.skip("no memory controller of control groups version 1")
    group = MEMORY / f"exitgate-{os.getpid()}"
    group.mkdir()
    yield group
    eventually(lambda: remove_group(group))


def test_OPS_01_a_gate_that_the_kernel_kills_for_want_of_memory_leaves_it_closed(own_fence, tight):
    fence = own_fence()
    (tight / "memory.limit_in_bytes").write_text(str(64 << 10))
    (tight / "cgroup.procs").write_text(str(fence.process.pid))
    names = "import socket, sys\nfor n in range(400):\n try: socket.create_connection(('web.test', 80), 1).sendall(b'GET / HTTP/1.1\\r\\nHost: web.test\\r\\nX: ' + b'x' * 20000)\n except OSError: pass\n"
    askers = [subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", names), stderr=subprocess.DEVNULL) for _ in range(4)]
    try:
        assert fence.process.wait(30) == -signal.SIGKILL
    finally:
        for one in askers:
            one.kill(), one.wait()
    assert "oom_kill 1" in (tight / "memory.oom_control").read_text()
    assert "sent" not in fence.python(UDP, EVIL, "443", EVIL6, "443")
    assert fence.agent("curl", "-sS", "-m", "2", f"http://{EVIL}/").returncode != 0
    fence.start()
    passes(fence)
    assert fence.seen("stray") == 0


def test_NFT_26_a_hundred_thousand_flows_open_nothing(own_fence):
    fence = own_fence()
    before = fence.seen("ntp")
    sent = int(fence.python(FLOWS, GOOD, GOOD6, timeout=120))
    assert sent == 100_000
    eventually(lambda: fence.seen("ntp") >= before + 99_000, because="the control: what a rule grants does pass")
    assert int(fence.python(FLOWS, EVIL, EVIL6, timeout=120)) == 0, "and as many to strangers do not"
    assert "flowtable" not in fence.agent("nft", "list", "ruleset").stdout
    passes(fence)
    assert fence.stop() == 0 and fence.seen("stray") == 0


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_NFT_14_a_flow_of_the_gate_before_is_not_taken_for_one_of_the_next(own_fence, end):
    fence = own_fence()
    sender = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", STEADY, GOOD, "123"))
    try:
        eventually(lambda: fence.seen("ntp") >= 5)
        getattr(fence, end)()
        # The same number of rules, in the same order: only what the first one grants is another.
        fence.policy.write_text(POLICY.replace('to: [11.11.0.10/32, "2a0e:b107:11::10/128"], protocol: udp, ports: [123]',
                                               "to: [11.66.0.0/24], protocol: udp, ports: [125]"))
        fence.start()
        at = fence.seen("ntp")
        time.sleep(1.5)
        assert fence.seen("ntp") == at, "the flow went on, as another rule's"
        assert sender.poll() is None, "it sends all the while"
        assert fence.seen("stray") == 0
        assert fence.python(UDP, EVIL, "125").split() == ["sent"], "the control: the new rule's own flow passes"
        fence.reload(POLICY)
        eventually(lambda: fence.seen("ntp") > at, because="and with the rule back it passes again")
    finally:
        sender.kill(), sender.wait()
