"""The sidecar: what it captures, what it lets pass, what it says."""
import json, pathlib, subprocess, time

import pytest

from harness.far import Accepted, Asked, Received
from harness.gate import eventually
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6, RESOLVER
from harness.packets import UDP
from harness.sidecar import USER

FLAGS = ("--inbound", "8080")


def test_a_program_without_proxy_settings_reaches_what_a_rule_names(fenced):
    mark = fenced.far.mark()
    done = fenced.agent("curl", "-sS", "-m", "5", "http://web.test/x")
    assert done.returncode == 0 and done.stdout == f"origin {GOOD}", done
    received, = fenced.far.since(mark, Received)
    assert (received.address, received.port) == (GOOD, 80) and b"Host: web.test" in received.data
    assert fenced.records(layer="transparent", rule="web", verdict="allow")
    done = fenced.agent("curl", "-sS", "-6", "-m", "5", "http://web.test/x")
    assert done.returncode == 0 and done.stdout.startswith("origin "), done


def test_a_program_without_proxy_settings_is_told_why_not(fenced):
    mark = fenced.far.mark()
    for url, words in ((f"http://{EVIL}/", "no-rule"), (f"http://[{EVIL6}]/", "no-rule"), ("http://169.254.169.254/", "special-address")):
        done = fenced.agent("curl", "-sS", "-g", "-m", "5", "-i", url)
        assert done.stdout.startswith("HTTP/1.1 403 ") and f'"reason":"{words}"' in done.stdout, done
    done = fenced.agent("curl", "-sS", "-m", "5", "http://evil.test/")
    assert done.returncode == 6, "its name does not even resolve"
    done = fenced.agent("curl", "-sS", "-m", "5", "-X", "POST", "http://web.test/x")
    assert '"near_miss":"http"' in done.stdout, done
    assert fenced.far.since(mark, Accepted) == []
    assert not [asked for asked in fenced.far.since(mark, Asked) if "evil" in asked.name]


def test_opaque_protocols_pass_by_name_and_by_no_other(fenced):
    script = """
import socket, sys
for host, port in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        with socket.create_connection((host, int(port)), 5) as s:
            s.sendall(b"\\x00opaque"); print(s.recv(64).decode() or "end")
    except OSError as error: print(type(error).__name__)
"""
    # A name of both families goes by whichever answers first, so each has a name of its own.
    for name, address in (("raw4.test", GOOD), ("raw6.test", GOOD6)):
        mark = fenced.far.mark()
        assert fenced.python(script, name, "5432").split("\n")[0] == f"FLIGHT {address}"
        assert [accepted.address for accepted in fenced.far.since(mark, Accepted)] == [address]
    mark = fenced.far.mark()
    said = fenced.python(script, "raw.test", "25", GOOD, "5432", EVIL, "22", EVIL6, "22").split()
    assert set(said) <= {"ConnectionResetError", "end"} and len(said) == 4, said
    assert fenced.far.since(mark, Accepted) == []


def test_DNS_03_every_question_is_the_gates_whoever_is_asked(fenced):
    mark = fenced.far.mark()
    for server in (EVIL, "8.8.8.8", "127.0.0.11", "::1", EVIL6):
        for flag in ("+notcp", "+tcp"):
            done = fenced.agent("dig", "+short", "+tries=1", "+time=3", flag, f"@{server}", "web.test", "A")
            assert done.stdout.startswith("198.1"), (server, flag, done.stdout)
            done = fenced.agent("dig", "+tries=1", "+time=3", flag, f"@{server}", "evil.test", "A")
            assert "status: NXDOMAIN" in done.stdout and "EDE: 18" in done.stdout
    assert fenced.far.since(mark, Asked) == []


def test_udp_passes_by_block_and_no_further(fenced):
    before = fenced.seen("ntp")
    assert fenced.python(UDP, GOOD, "123", GOOD6, "123").split() == ["sent", "sent"]
    eventually(lambda: fenced.seen("ntp") == before + 2)
    assert "sent" not in fenced.python(UDP, GOOD, "124", GOOD6, "122", EVIL, "123", EVIL6, "123", GOOD, "443")
    assert eventually(lambda: fenced.records(layer="kernel", protocol="udp", reason="no-rule"))


def test_udp_passes_by_name_once_its_addresses_were_asked_for(own_fence):
    fence = own_fence()
    assert "sent" not in fence.python(UDP, GOOD, "3478")
    done = fence.agent("dig", "+short", "stun.test", "A")
    assert done.stdout.split() == [GOOD], "datagrams need the name's own address"
    assert fence.python(UDP, GOOD, "3478", GOOD, "3480").split() == ["sent", "sent"]
    assert "sent" not in fence.python(UDP, GOOD, "3481", EVIL, "3478")
    eventually(lambda: fence.seen("stun") == 1)
    assert fence.seen("stray") == 0
    assert fence.status()["fence"]["learned"] == 3
    # TCP to that address is captured like any other.
    assert fence.agent("curl", "-sS", "-m", "5", f"http://{GOOD}/").stdout.startswith('{"error":"denied"')


def test_udp_passes_by_a_name_of_the_hosts_file(own_fence):
    fence = own_fence(start=False)
    hosts = fence.directory / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{EVIL} stun.test\n{EVIL6} stun.test\n10.99.0.1 raw.test\n")
    hosts.chmod(0o644)
    whole = fence.command
    fence.command = lambda: [*whole()[:2], "unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts), *whole()[2:]]
    fence.start()
    assert "sent" not in fence.python(UDP, EVIL, "3478", EVIL6, "3478")
    mark = fence.far.mark()
    assert fence.agent("dig", "+short", "stun.test", "A").stdout.split() == [EVIL], "the address that the host's own file gives"
    assert fence.agent("dig", "+short", "stun.test", "AAAA").stdout.split() == [EVIL6]
    assert fence.far.since(mark, Asked) == []
    assert fence.python(UDP, EVIL, "3478", EVIL6, "3478").split() == ["sent", "sent"]
    eventually(lambda: fence.seen("stun") == 2)
    # The answer opens what its rule names, and the file opens nothing by itself.
    assert "sent" not in fence.python(UDP, EVIL, "3477", EVIL, "443", GOOD, "3478", "10.99.0.1", "3478")
    assert fence.seen("stray") == 2, "those two alone"


def test_others_reach_the_ports_that_are_open_to_them(fenced):
    server = subprocess.Popen(fenced.bench.command("agent", "python3", "-m", "http.server", "8080"), stderr=subprocess.DEVNULL)
    shut = subprocess.Popen(fenced.bench.command("agent", "python3", "-m", "http.server", "8081"), stderr=subprocess.DEVNULL)
    try:
        probe = lambda port: subprocess.run(fenced.bench.command(
            "gw", "curl", "-sS", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", f"http://10.66.0.2:{port}/"),
            capture_output=True, text=True).stdout
        eventually(lambda: probe(8080) == "200", seconds=8)
        assert probe(8081) == "000" and probe(15001) == "000" and probe(3128) == "000"
        # The agent's own servers are its own business.
        assert fenced.agent("curl", "-sS", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:8081/").stdout == "200"
    finally:
        for one in (server, shut):
            one.kill()
            one.wait()


def test_status_says_what_is_enforced_and_what_each_process_may_do(fenced):
    status = fenced.status()
    assert status["enforcing"] and status["fence"]["in_force"] and status["fence"]["owned"] and not status["fence"]["weak"]
    gate, keeper = status["processes"]
    assert gate == {"role": "gate", "pid": fenced.process.pid, "user": USER, "capabilities": "none",
                    "no_new_privs": True, "seccomp": True, "writes": [str(fenced.home)]}
    assert keeper["role"] == "keeper" and keeper["capabilities"] == "net_admin" and keeper["seccomp"] and keeper["no_new_privs"] and keeper["writes"] == []
    before = status["fence"]["denied_packets"]
    fenced.python(UDP, EVIL, "9")
    assert fenced.status()["fence"]["denied_packets"] == before + 1
    page = fenced.tell("status").stdout
    assert "in force, owned by the gate alone" in page and "capabilities none" in page and "no files" in page


def test_every_thread_of_the_gate_is_confined(fenced):
    for task in pathlib.Path(f"/proc/{fenced.process.pid}/task").iterdir():
        fields = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        assert fields["Uid"].split() == [str(USER)] * 4 and fields["Seccomp"] == "2" and fields["NoNewPrivs"] == "1"
        assert all(int(fields[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")), task
