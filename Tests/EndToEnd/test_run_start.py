"""The sandbox of `exitgate run` from its start to its end: what has to hold before a command begins, and between one command and the next."""
import json, os, socket, subprocess

from harness.box import POLICY, PYTHON
from harness.far import Accepted
from harness.gate import eventually
from harness.namespaces import RESOLVER
from test_run_attacks import SYSCALL, reaches_the_world


def beside(box, *command, policy=None, timeout=30):
    """A command of the same user while another runs: with files of its own."""
    whole = box.on_host(box.binary, "run", "--policy", policy or box.policy, "--dns-upstream", RESOLVER, "--", *command)
    return subprocess.run(whole, capture_output=True, text=True, timeout=timeout, env=box.environment(), cwd=box.project,
                          stdin=subprocess.DEVNULL)


def test_NFT_13_nobody_inside_speaks_to_the_kernels_filter(box):
    script = SYSCALL + """
import socket
for family, kind, protocol in ((16, 3, 12), (16, 2, 12)):
    try: socket.socket(family, kind, protocol); print("OPEN")
    except OSError as error: print(error.errno)
print("unshare", *call(272, 0x10000000 | 0x40000000))
print("plain", socket.socket(16, 3, 0).fileno() > 0)
"""
    said = box.python(script).splitlines()
    assert "OPEN" not in said and said[2] == "unshare -1 1", said
    assert said[3] == "plain True", "the control: what glibc asks for addresses with is there"
    for command in (("unshare", "-Urn", "nft", "list", "ruleset"), ("nft", "list", "ruleset")):
        done = box.run(*command)
        assert done.returncode != 0 and "exitgate" not in done.stdout, done
    reaches_the_world(box)


def test_NFT_25_only_families_that_the_table_knows_can_be_opened(box):
    script = """
import socket
for family in range(46):
    for kind in (1, 2, 3, 5):
        try: socket.socket(family, kind).close(); print(family); break
        except OSError: pass
"""
    assert {int(family) for family in box.python(script).split()} <= {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    script = "import socket; s = socket.socket(40, 1); s.settimeout(2); s.connect((2, 1024)); print('CONNECTED')"
    assert "CONNECTED" not in box.run(PYTHON, "-c", script).stdout
    reaches_the_world(box)


SEARCH = """
import os, socket, stat, sys
met = []
for top, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if (top, name) not in (("/", "proc"), ("/", "sys"))]
    for name in files:
        path = os.path.join(top, name)
        try:
            if not stat.S_ISSOCK(os.lstat(path).st_mode): continue
            s = socket.socket(socket.AF_UNIX); s.connect(path); s.sendall(b'{"command":"status"}\\n'); met.append(path)
        except OSError: pass
for family, host in ((2, "127.0.0.1"), (10, "::1")):
    for port in range(1, 65536):
        s = socket.socket(family, 1); s.settimeout(1)
        try:
            s.connect((host, port))
            if s.getsockname() == s.getpeername(): continue  # it met itself by the port it was given
            s.sendall(b"GET /status HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n"); met.append((host, port, s.recv(80).split(b"\\r\\n")[0].decode()))
        except OSError: pass
        finally: s.close()
print(met)
"""


def test_CTL_01_nothing_inside_leads_to_the_controls(box):
    """Every socket file and every port of the loopback is tried; only the proxy answers, and not about itself."""
    (box.state / "control.sock").unlink(missing_ok=True)
    process, line = box.start("sh", "-c", "echo up; sleep 60")
    assert line == "up"
    status = ["status", "--json", "--control", str(box.state / "control.sock")]
    outside = subprocess.run(box.on_host(box.binary, *status), capture_output=True, text=True, timeout=20)
    assert outside.returncode == 0 and json.loads(outside.stdout)["version"], "the control: whoever started it may ask"
    done = beside(box, PYTHON, "-c", SEARCH, timeout=120)
    assert done.returncode == 0, done
    met = eval(done.stdout)
    assert met == [("127.0.0.1", 3128, "HTTP/1.1 400 Bad Request"), ("::1", 3128, "HTTP/1.1 400 Bad Request")]
    done = beside(box, str(box.binary), *status)
    assert done.returncode != 0 and "version" not in done.stdout, done


def test_OPS_02_without_a_gate_no_command_begins_and_none_goes_on(box):
    marker = box.project / "ran"

    def refused(*flags, policy=None, status):
        done = box.run("sh", "-c", "touch ran", flags=flags, policy=policy)
        assert done.returncode == status and done.stderr.startswith("exitgate: ") and not marker.exists(), done

    broken = box.work / "broken.yaml"
    broken.write_text("version: 1\nrules: [\n")
    refused(policy=broken, status=65)
    refused("--audit-log", "/proc/nowhere/audit.jsonl", status=78)
    refused("--dns-upstream", "nowhere", status=64)
    process, line = box.start("sh", "-c", "echo up; exec sleep 60")
    assert line == "up"
    inner = box.inner(process)
    process.kill()
    process.wait(10)
    eventually(lambda: not os.path.exists(f"/proc/{inner}"), because="the command outlived its gate")
    reaches_the_world(box)


def test_OPS_04_a_sandbox_begins_with_its_own_policy_and_nothing_of_the_one_before(box):
    fetch = ("curl", "-sS", "--noproxy", "*", "-m", "5", "http://web.test/")
    reaches_the_world(box)
    other = box.work / "other.yaml"
    other.write_text(POLICY.replace("web.test", "elsewhere.test"))
    mark = box.far.mark()
    assert beside(box, *fetch, policy=other).returncode != 0
    # At the same time, of the same user, in the same directory: each has the policy it was started with.
    process, line = box.start("sh", "-c", "echo up; read line; curl -sS --noproxy '*' -m 5 http://web.test/", stdin=subprocess.PIPE)
    assert line == "up"
    assert beside(box, *fetch, policy=other).returncode != 0
    assert box.far.since(mark, Accepted) == []
    out, err = process.communicate("go\n", timeout=20)
    assert out.startswith("origin"), (out, err)
    assert len(box.far.since(mark, Accepted)) == 1
