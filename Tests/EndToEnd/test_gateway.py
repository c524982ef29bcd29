"""The gateway: what it captures from two agents behind it, what it forwards, what it says."""
import json, pathlib, subprocess, sys, time

from harness.far import Accepted, Asked, Received
from harness.gate import BINARY, eventually
from harness.gateway import POLICY, UNASKED, passes
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6, run
from harness.packets import UDP
from harness.sidecar import USER, seen

OPAQUE = """
import socket, sys
for host, port in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        with socket.create_connection((host, int(port)), 5) as s:
            s.sendall(b"\\x00opaque"); print(s.recv(64).decode() or "end")
    except OSError as error: print(type(error).__name__)
"""


def test_a_program_without_proxy_settings_reaches_what_a_rule_names(behind):
    for family, name in (("-4", "11."), ("-6", "2a0e:")):
        mark = behind.far.mark()
        done = behind.agent("curl", "-sS", family, "-m", "5", "http://web.test/x")
        assert done.returncode == 0 and done.stdout.startswith("origin "), done
        received, = behind.far.since(mark, Received)
        assert received.address in (GOOD, GOOD6) and received.port == 80 and b"Host: web.test" in received.data
    assert behind.records(layer="transparent", rule="web", verdict="allow", agent="ci")
    done = behind.other("curl", "-sS", "-m", "5", "http://web.test/x")
    assert done.stdout.startswith("origin ") and behind.records(layer="transparent", rule="web", agent="dev")


def test_a_program_without_proxy_settings_is_told_why_not(behind):
    mark = behind.far.mark()
    for url, words in ((f"http://{EVIL}/", "no-rule"), (f"http://[{EVIL6}]/", "no-rule"), ("http://169.254.169.254/", "special-address")):
        done = behind.agent("curl", "-sS", "-g", "-m", "5", "-i", url)
        assert done.stdout.startswith("HTTP/1.1 403 ") and f'"reason":"{words}"' in done.stdout, done
    assert behind.agent("curl", "-sS", "-m", "5", "http://evil.test/").returncode == 6, "its name does not even resolve"
    assert behind.far.since(mark, Accepted) == []
    assert not [asked for asked in behind.far.since(mark, Asked) if "evil" in asked.name]


def test_opaque_protocols_pass_by_name_and_by_no_other(behind):
    mark = behind.far.mark()
    assert behind.python(OPAQUE, "raw.test", "5432").startswith("FLIGHT ")
    assert len(behind.far.since(mark, Accepted)) == 1
    mark = behind.far.mark()
    said = behind.python(OPAQUE, "raw.test", "25", GOOD, "5432", EVIL, "22", EVIL6, "22").split()
    assert set(said) <= {"ConnectionResetError", "end"} and len(said) == 4, said
    assert behind.far.since(mark, Accepted) == []


def test_POL_31_who_an_agent_is_its_interface_says(behind):
    """What one of them may do by its name, the other may not, whatever it claims."""
    behind.far.answers("dev.test", GOOD)
    assert behind.other(sys.executable, "-c", OPAQUE, "dev.test", "8443").stdout.startswith("FLIGHT ")
    mark, written = behind.far.mark(), behind.log.mark()
    assert "gaierror" in behind.python(OPAQUE, "dev.test", "8443")
    assert behind.agent("dig", "+short", "dev.test").stdout == ""
    synthetic = behind.other("dig", "+short", "dev.test").stdout.split()[0]
    assert behind.python(OPAQUE, synthetic, "8443").strip() in ("ConnectionResetError", "end"), "its address does not help"
    assert behind.far.since(mark, Accepted) == []
    behind.log.wait_for(written, verdict="deny", agent="ci", layer="transparent", host="dev.test", port=8443)
    passes(behind)


def test_DNS_03_every_question_is_the_gates_whoever_is_asked(behind):
    mark = behind.far.mark()
    for server in (EVIL, "8.8.8.8", "10.66.0.1", "fd66::1", EVIL6):
        for flag in ("+notcp", "+tcp"):
            done = behind.agent("dig", "+short", "+tries=1", "+time=3", flag, f"@{server}", "web.test", "A")
            assert done.stdout.startswith("198.1"), (server, flag, done.stdout)
            done = behind.agent("dig", "+tries=1", "+time=3", flag, f"@{server}", "evil.test", "A")
            assert "status: NXDOMAIN" in done.stdout and "EDE: 18" in done.stdout
    assert behind.far.since(mark, Asked) == []


def test_udp_is_forwarded_by_block_and_no_further(own_behind):
    fence = own_behind()
    before = fence.seen("ntp")
    fence.python(UDP, GOOD, "123", GOOD6, "123")
    eventually(lambda: fence.seen("ntp") == before + 2)
    good = fence.seen("good")
    fence.python(UDP, GOOD, "124", GOOD6, "122", EVIL, "123", EVIL6, "123", GOOD, "443")
    assert eventually(lambda: fence.records(layer="kernel", protocol="udp", reason="no-rule", agent="ci"))
    fence.other(sys.executable, "-c", UDP, GOOD, "124")
    eventually(lambda: fence.seen("good") == good + 1, because="the other agent's rule is the other agent's")
    # Its flows leave with the gateway's address, and answers find their way back.
    script = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto(b"time", (sys.argv[1], 123)); print(s.recvfrom(99)[0].decode())
"""
    for address, own in ((GOOD, "11.11.0.1"), (GOOD6, "2a0e:b107:11::1")):
        server = subprocess.Popen(fence.bench.command("out", sys.executable, "-c", """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 123)); print("ready", flush=True)
data, peer = s.recvfrom(99); s.sendto(peer[0].encode(), peer)
""", address), stdout=subprocess.PIPE, text=True)
        assert server.stdout.readline() == "ready\n"
        assert fence.python(script, address).strip() == own
        server.wait(5)
    assert fence.strays() == (0, 0)


def test_udp_is_forwarded_by_name_once_its_addresses_were_asked_for(own_behind):
    fence = own_behind()
    fence.python(UDP, GOOD, "3478")
    assert fence.agent("dig", "+short", "stun.test", "A").stdout.split() == [GOOD], "datagrams need the name's own address"
    assert fence.status()["fence"]["learned"] == 3
    fence.other(sys.executable, "-c", UDP, GOOD, "3478")
    fence.python(UDP, GOOD, "3478", GOOD, "3481", EVIL, "3478")
    eventually(lambda: fence.seen("stun") == 1)
    assert fence.other("dig", "+short", "stun.test", "A").stdout.split() == [GOOD]
    fence.other(sys.executable, "-c", UDP, GOOD, "3478")
    eventually(lambda: fence.seen("stun") == 2, because="each agent is opened what it asked for itself")
    assert fence.strays() == (0, 0)


def test_without_forwarding_all_but_udp_works_and_that_is_said(own_behind):
    fence = own_behind(forwards=False)
    assert any("net.ipv4.ip_forward" in line and "protocol: udp" in line for line in fence.said), fence.said
    before = fence.seen("ntp")
    fence.python(UDP, GOOD, "123", GOOD6, "123")
    assert fence.agent("curl", "-sS", "-m", "5", "http://web.test/").stdout.startswith("origin ")
    assert fence.seen("ntp") == before
    fence.forward(True)
    fence.python(UDP, GOOD, "123", GOOD6, "123")
    eventually(lambda: fence.seen("ntp") == before + 2, because="as soon as the host forwards")
    assert fence.strays() == (0, 0)


def test_in_audit_mode_rules_deny_nothing_and_the_floor_and_other_agents_stay_out_of_reach(own_behind):
    fence = own_behind(POLICY.replace("version: 1\n", "version: 1\nmode: audit\n"))
    assert any("NOT ENFORCING" in line for line in fence.said) and "NOT ENFORCING" in fence.status()["warning"]
    fence.python(UDP, EVIL, "443", EVIL6, "443")
    eventually(lambda: fence.seen("stray") == 2, because="what no rule names passes")
    assert fence.agent("ping", "-c1", "-W2", GOOD).returncode == 0, "other protocols too, and answers come back"
    assert fence.agent("curl", "-sS", "-m", "5", f"http://{EVIL}/").stdout.startswith("origin ")
    assert eventually(lambda: fence.records(layer="kernel", would_deny=True, verdict="allow", agent="ci"))
    assert fence.status()["fence"]["would_deny_packets"] >= 3
    run(*fence.bench.command("gw", "nft", "-f", "-"), input=UNASKED)
    time.sleep(0.2)
    strays = fence.strays()
    fence.python(UDP, "10.67.0.2", "9", "fd67::2", "9", "10.66.0.1", "7777", "11.11.0.1", "7777", "2a0e:b107:11::1", "7777", "169.254.169.254", "80")
    for address in ("10.67.0.2", "10.66.0.1", "11.11.0.1"):
        assert '"error":"denied"' in fence.agent("curl", "-sS", "-m", "3", f"http://{address}:7777/").stdout
    assert seen(fence.bench, "unasked", role="gw") == 0
    fence.kill()
    fence.python(UDP, EVIL, "53", EVIL6, "53")
    assert fence.agent("curl", "-sS", "-m", "1", f"http://{EVIL}/").returncode != 0
    assert fence.strays() == strays, "what is the gate's to carry goes nowhere without it"
    fence.start()
    fence.reload(POLICY)
    fence.python(UDP, EVIL, "443", EVIL6, "443")
    assert fence.agent("ping", "-c1", "-W1", EVIL).returncode != 0
    assert fence.strays() == strays and fence.status()["enforcing"]
    passes(fence)


def test_an_agent_that_the_policy_does_not_know_is_said_and_gets_what_everybody_gets(own_behind):
    fence = own_behind(links=("f0=cii",))
    assert any("declares no agent 'cii'" in line and "by: interface" in line for line in fence.said), fence.said
    passes(fence)


def test_one_interface_without_a_name_is_the_default_agent_and_has_the_proxy(own_behind):
    fence = own_behind(links=("f0",))
    mark = fence.far.mark()
    done = fence.agent("curl", "-sS", "-m", "5", "-x", "http://10.66.0.1:3128", "http://web.test/")
    assert done.stdout.startswith("origin "), done
    assert fence.records(agent="default", rule="web", layer="http")
    done = fence.agent("curl", "-sS", "-m", "5", "-x", "http://10.66.0.1:3128", f"http://{EVIL}/")
    assert '"reason":"no-rule"' in done.stdout
    assert fence.agent("curl", "-sS", "-m", "5", "http://web.test/").stdout.startswith("origin ")
    assert len(fence.far.since(mark, Accepted)) == 2


def test_status_says_who_is_behind_what_and_what_each_process_may_do(behind):
    status = behind.status()
    fence = status["fence"]
    assert status["enforcing"] and fence["mode"] == "gateway" and fence["in_force"] and fence["owned"] and fence["canary"] == "counted"
    assert fence["interfaces"] == [{"interface": name, "agent": agent, "state": "up", "whole": True}
                                   for name, agent in (("f0", "ci"), ("f2", "dev"))]
    gate, keeper = status["processes"]
    assert gate == {"role": "gate", "pid": behind.process.pid, "user": USER, "capabilities": "none", "no_new_privs": True, "seccomp": True,
                    "writes": [str(behind.home)]}
    assert keeper["role"] == "keeper" and keeper["capabilities"] == "net_admin" and keeper["seccomp"] and keeper["no_new_privs"]
    behind.python(UDP, EVIL, "9")
    eventually(lambda: behind.status()["fence"]["denied_packets"] > fence["denied_packets"])
    page = behind.tell("status").stdout
    assert "gateway, in force, owned by the gate alone; nothing is exempt" in page and "f0 of agent ci, up" in page
    assert "proved just now" in page


def test_every_thread_of_the_gate_is_confined(behind):
    for task in pathlib.Path(f"/proc/{behind.process.pid}/task").iterdir():
        fields = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        assert fields["Uid"].split() == [str(USER)] * 4 and fields["Seccomp"] == "2" and fields["NoNewPrivs"] == "1"
        assert all(int(fields[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")), task


def test_firewall_prints_the_table_that_stands(behind):
    printed = behind.firewall("print", "--policy", behind.policy, "--interface", "f0=ci", "--interface", "f2=dev")
    assert printed.returncode == 0 and "# ip rule add fwmark" in printed.stdout and "# ip -6 route add local default dev lo" in printed.stdout
    for line in ("chain agent_0", "chain agent_1", "ct count over 8192", "tproxy ip to 127.0.0.1:15001", "masquerade"):
        assert line in printed.stdout
    check = subprocess.run(["unshare", "--net", "nft", "-c", "-f", "-"], input=printed.stdout, capture_output=True, text=True)
    assert check.returncode == 0, check.stderr


def test_doctor_says_what_a_gateway_lacks(own_behind):
    fence = own_behind(start=False, forwards=False)
    report = subprocess.run(fence.enter(BINARY, "doctor", "--for", "gateway", "--json"), capture_output=True, text=True)
    findings = {finding["id"]: finding for finding in json.loads(report.stdout)["findings"]}
    assert findings["ip-forward"]["state"] == "absent" and "ip_forward=1" in json.dumps(findings["ip-forward"])
    assert findings["src-valid-mark"]["state"] == "present" and "ct count" in report.stdout
