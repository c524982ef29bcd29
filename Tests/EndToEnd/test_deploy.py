"""What `scripts/deploy` holds, run: an image of local files, a pod of podman, units and a compose file."""
import json, os, pathlib, re, shutil, signal, socket, ssl, subprocess, sys, tempfile, threading

import pytest
import yaml

from harness.far import Accepted, Asked, Far
from harness.gate import BINARY, eventually, exitgate
from harness.gateway import passes as forwarded
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6, RESOLVER, Namespaces
from harness.packets import FLOOD, UDP
from harness.pods import DEPLOY, Podman, lacking
from harness.servers import certificates
from harness.sidecar import POLICY, USER, route, seen
from test_nft import passes as reached

CLOCK = "162.159.200.1"  # as the manifest has it; in `out` every address answers
PROGRAMS = ("bash", "sleep", "curl", "dig", "ping", "nft", "cat")
COUNTERS = f"""table inet seen {{
  counter stray {{ }}
  counter clock {{ }}
  counter beyond {{ }}
  chain in {{ type filter hook prerouting priority -300;
    iifname != "o0" accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report }} accept
    ip daddr {RESOLVER} udp dport 53 accept
    ip daddr {GOOD} tcp dport {{ 22, 80, 443 }} accept
    ip6 daddr {GOOD6} tcp dport {{ 22, 80, 443 }} accept
    ip daddr {CLOCK} udp dport 123 counter name clock accept
    counter name stray
  }}
}}
"""
STRAYS = (f"udp/{EVIL}/443", f"udp/{EVIL6}/443", f"udp/{CLOCK}/124", f"udp/{RESOLVER}/54", f"udp/{GOOD}/123", f"udp/{GOOD}/443")
needs_pods = pytest.mark.skipif(lacking() is not None, reason=f"{lacking()} is not installed")


class Secure(threading.Thread):
    """An origin of TLS on GOOD, port 443, whose certificate is for the name of the manifest."""

    def __init__(self, bench, directory):
        super().__init__(daemon=True)
        self.authority = certificates(directory, ["api.example.com", "evil.example.com"])
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(directory / "server.pem", directory / "server.key")
        with bench.inside("out"):
            self.listener = socket.create_server((GOOD, 443))
        self.start()

    def run(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecure")
            except OSError:
                plain.close()


class Pod:
    """The manifest for podman, as it is, played in the bench's namespace."""

    def __init__(self, directory):
        self.bench = Namespaces()
        try:
            route(self.bench, COUNTERS)
            self.far = Far(self.bench, ports=(22, 25, 80, 853, 8080))
            for name in ("api.example.com", "packages.example.com", "code.example.com"):
                self.far.answers(name, GOOD, *([] if name.startswith("api") else [GOOD6]))
            self.secure = Secure(self.bench, directory)
            self.podman = Podman(self.bench, pathlib.Path(tempfile.mkdtemp(prefix="exitgate-pods")))
            self.podman.enter(DEPLOY / "image", "-b", BINARY, environment={"EXITGATE_BUILDER": " ".join(map(str, self.podman.words))})
            path = os.environ["PATH"] + ":/usr/sbin"
            self.podman.image("agent", *(shutil.which(program, path=path) for program in PROGRAMS), f"{self.secure.authority}=/ca.pem",
                              files={"etc/passwd": "root:x:0:0::/:/bin/bash\n"})
        except BaseException:
            self.close()
            raise

    def play(self, manifest=DEPLOY / "pod-podman.yaml"):
        self.podman.run("kube", "play", "--network", "host", manifest)
        self.wait()

    def wait(self):
        eventually(lambda: self.podman.within("agent-gate", "/usr/bin/exitgate", "status").returncode == 0, 15, "the gate of the pod is not ready")

    def status(self):
        return json.loads(self.podman.within("agent-gate", "/usr/bin/exitgate", "status", "--json").stdout)

    def agent(self, *command, user=None):
        return self.podman.run("exec", *(["--user", user] if user else []), "agent-agent", *command, status=None, timeout=30)

    def sends(self, *places, user=None):
        """The places of bash's /dev/udp and /dev/tcp that took what was sent."""
        script = 'for place; do (echo MARK >/dev/$place) 2>/dev/null && echo "$place"; done'
        return self.agent("bash", "-c", script, "sends", *places, user=user).stdout.split()

    def records(self, **wanted):
        log = pathlib.Path(self.podman.run("volume", "inspect", "--format", "{{.Mountpoint}}", "log").stdout.strip()) / "audit.jsonl"
        found = [json.loads(line)["unmapped"] for line in log.read_text().splitlines()]
        return [record for record in found if all(record.get(key) == value for key, value in wanted.items())]

    def seen(self, counter):
        return seen(self.bench, counter)

    def close(self):
        for part in ("podman", "far"):
            if hasattr(self, part):
                getattr(self, part).close()
        if hasattr(self, "secure"):
            self.secure.listener.close()
        self.bench.remove()


@pytest.fixture(scope="module")
def made(binary, tmp_path_factory):
    pod = Pod(tmp_path_factory.mktemp("secure"))
    yield pod
    pod.close()


@pytest.fixture(scope="module")
def played(made):
    made.play()
    return made


@pytest.fixture
def pod(played):
    """The pod; nothing that a test sends may reach anybody but whom the ConfigMap names."""
    before = played.seen("stray")
    yield played
    assert played.seen("stray") == before, "packets reached hosts that no rule names"


def passes(pod):
    """The positive control of a test: what the ConfigMap names still passes."""
    assert pod.agent("curl", "-sS", "-m", "5", "http://packages.example.com/x").stdout in (f"origin {GOOD}", f"origin {GOOD6}")
    before = pod.seen("clock")
    assert pod.sends(f"udp/{CLOCK}/123")
    eventually(lambda: pod.seen("clock") == before + 1)


# -- the pod

@needs_pods
def test_the_agent_of_the_pod_reaches_what_the_config_map_names(pod):
    done = pod.agent("curl", "-sS", "-m", "5", "--cacert", "/ca.pem", "https://api.example.com/v1")
    assert done.stdout == "secure", done
    assert pod.agent("curl", "-sS", "-6", "-m", "5", "http://packages.example.com/x").stdout.startswith("origin ")
    talk = 'exec 3<>/dev/tcp/code.example.com/22; printf "\\0SSH" >&3; read -rn 6 -t 5 answer <&3; echo "$answer"'
    assert pod.agent("bash", "-c", talk).stdout == "FLIGHT\n"
    passes(pod)
    for rule, layer in (("api", "transparent"), ("packages", "transparent"), ("code", "transparent")):
        assert pod.records(rule=rule, verdict="allow", layer=layer), rule


@needs_pods
def test_the_agent_of_the_pod_reaches_nothing_else(pod):
    mark = pod.far.mark()
    refused = lambda *words: pod.agent("curl", "-gsS", "-m", "5", *words)
    for url in (f"http://{EVIL}/", f"http://[{EVIL6}]/", f"http://{GOOD}:8080/", "http://169.254.169.254/latest/"):
        assert '"error":"denied"' in refused(url).stdout, url
    assert '"near_miss":"http"' in refused("-X", "POST", "http://packages.example.com/x").stdout
    assert refused("http://evil.example.com/").returncode == 6, "its name does not even resolve"
    # The name of one place in the handshake, the address of another.
    assert refused("--cacert", "/ca.pem", "--connect-to", "evil.example.com:443:api.example.com:443", "https://evil.example.com/").returncode == 35
    assert pod.agent("bash", "-c", "exec 3<>/dev/tcp/code.example.com/25; echo >&3; read -t 5 <&3").returncode != 0
    for server in (EVIL, "8.8.8.8", "127.0.0.11"):
        answer = pod.agent("dig", "+tries=1", "+time=3", f"@{server}", "evil.example.com").stdout
        assert "status: NXDOMAIN" in answer and "EDE: 18" in answer
    assert pod.sends(*STRAYS) == []
    for address in (EVIL, EVIL6, GOOD):
        assert pod.agent("ping", "-c1", "-W1", address).returncode != 0
    assert [event for event in pod.far.since(mark, Accepted) if event.port != 80] == []
    assert not [asked for asked in pod.far.since(mark, Asked) if "evil" in asked.name]
    assert eventually(lambda: pod.records(layer="kernel", protocol="udp", reason="no-rule"))
    passes(pod)


@needs_pods
def test_the_agent_of_the_pod_can_change_nothing(pod):
    bounding = int(re.search(r"CapBnd:\s*(\w+)", pod.agent("cat", "/proc/self/status").stdout)[1], 16)
    assert bounding and not bounding >> 12 & 1 and not bounding >> 13 & 1, "neither CAP_NET_ADMIN nor CAP_NET_RAW"
    for command in (("flush", "ruleset"), ("delete", "table", "inet", "exitgate"), ("list", "ruleset")):
        assert pod.agent("nft", *command).returncode != 0
    # The gate's user in another container is not the gate.
    assert pod.sends(*STRAYS, user="2001:2001") == []
    assert '"error":"denied"' in pod.agent("curl", "-sS", "-m", "5", f"http://{EVIL}/", user="2001:2001").stdout
    # Its log and its socket are in a file system that the agent does not have.
    assert pod.agent("bash", "-c", "echo /run/exitgate/* /var/log/exitgate/* /etc/exitgate/*").stdout.split() == [
        "/run/exitgate/*", "/var/log/exitgate/*", "/etc/exitgate/*"]
    passes(pod)


@needs_pods
def test_the_gate_of_the_pod_is_confined_and_exempt_by_a_group_of_its_own(pod):
    status = pod.status()
    assert status["enforcing"] and status["fence"]["owned"] and not status["fence"]["weak"], status["fence"]
    gate, keeper = status["processes"]
    assert gate["user"] == 2001 and gate["capabilities"] == "none" and gate["seccomp"] and gate["no_new_privs"]
    assert keeper["capabilities"] == "net_admin" and keeper["seccomp"] and keeper["no_new_privs"]
    lines = pod.podman.enter("nft", "list", "chain", "inet", "exitgate", "out").stdout
    assert re.search(r'meta skuid 2001 socket cgroupv2 level \d+ ', lines), lines
    written = pod.podman.run("exec", "agent-gate", "/usr/bin/exitgate", "man", status=None)
    assert written.returncode == 0
    mounts = pathlib.Path(f"/proc/{pod.podman.pid('agent-gate')}/mountinfo").read_text()
    assert re.search(r"^\d+ \d+ \S+ \S+ / ro[, ]", mounts, re.M), "its root file system is read-only"


@needs_pods
def test_killing_the_gate_of_the_pod_leaves_it_closed(pod):
    passes(pod)
    pod.podman.run("stop", "--time", "0", "agent-gate")
    mark = pod.far.mark()
    assert pod.sends(*STRAYS) == []
    assert pod.agent("curl", "-sS", "-m", "2", f"http://{EVIL}/").returncode == 7
    assert pod.agent("curl", "-sS", "-m", "2", "http://packages.example.com/x").returncode == 6
    assert pod.agent("curl", "-sS", "-m", "2", f"http://{GOOD}/x").returncode == 7
    assert pod.far.since(mark) == []
    pod.podman.run("start", "agent-gate")
    pod.wait()
    passes(pod)
    # Killed at once, while the agent goes on sending.
    flood = f'end=$((SECONDS + 4)); n=0; while ((SECONDS < end)); do for place in {" ".join(STRAYS[:3])}; do (echo >/dev/$place) 2>/dev/null; n=$((n + 1)); done; done; echo $n'
    said = []
    sender = threading.Thread(target=lambda: said.append(pod.agent("bash", "-c", flood).stdout))
    sender.start()
    for _ in range(2):
        pod.podman.run("kill", "--signal", "KILL", "agent-gate")
        eventually(lambda: pod.podman.run("inspect", "--format", "{{.State.Running}}", "agent-gate").stdout == "false\n", 10)
        pod.podman.run("start", "agent-gate")
        pod.wait()
    sender.join()
    assert int(said[0]) > 100
    passes(pod)


@needs_pods
def test_nothing_leaves_while_the_pod_starts_and_what_was_counted_can_be(made):
    """Last of the pod's tests: the agent sends from its first instruction, in a namespace that was never closed."""
    made.podman.run("pod", "rm", "--force", "--time", "0", "agent", status=None)
    made.podman.enter(BINARY, "firewall", "remove")
    manifest = made.podman.directory / "flooding.yaml"
    flood = f'while :; do for place in {" ".join(STRAYS[:3])}; do (echo >/dev/$place) 2>/dev/null; n=$((n + 1)); done; echo $n >/sent; done'
    manifest.write_text((DEPLOY / "pod-podman.yaml").read_text().replace("command: [sleep, infinity]", f"command: [bash, -c, {json.dumps(flood)}]"))
    before = made.seen("stray")
    made.play(manifest)
    sent = lambda: int(made.agent("cat", "/sent").stdout or 0)
    eventually(lambda: sent() > 100, 20)
    assert made.seen("stray") == before
    passes(made)
    made.podman.run("stop", "--time", "0", "agent-gate")
    made.podman.enter(BINARY, "firewall", "remove")
    eventually(lambda: made.seen("stray") > before, 10, "the control: this way does lead out")


# -- a namespace that is closed before its gate comes

FRAME = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("a0", 0x0800))
try: s.send(b"\\xff" * 12 + b"\\x08\\x00" + b"MARK" * 16); print("sent")
except OSError: pass
"""


def closed_by(fence, verb):
    return subprocess.run(fence.enter(BINARY, "firewall", verb), capture_output=True, text=True, timeout=20)


def test_OPS_02_a_namespace_can_be_closed_before_its_gate_comes(own_fence):
    fence = own_fence(start=False)
    done = closed_by(fence, "close")
    assert done.returncode == 0 and "nothing gets out" in done.stderr, done
    assert "sent" not in fence.python(UDP, EVIL, "443", EVIL6, "443", GOOD, "123", GOOD6, "123")
    assert fence.agent("curl", "-sS", "-m", "2", f"http://{GOOD}/").returncode == 7
    assert fence.agent("curl", "-gsS", "-m", "2", f"http://[{GOOD6}]/").returncode == 7
    assert fence.agent("ping", "-c1", "-W1", EVIL).returncode != 0
    assert "sent" not in fence.python(FRAME), "nor what passes by the IP stack"
    assert fence.seen("stray") == 0 and fence.seen("good") == 0
    assert closed_by(fence, "close").returncode == 0, "once more changes nothing"
    flood = subprocess.Popen(fence.bench.command("agent", sys.executable, "-c", FLOOD, EVIL, EVIL6, "30", "150000"), stdout=subprocess.PIPE, text=True)
    fence.start()
    done = closed_by(fence, "close")
    assert done.returncode == 0 and "a gate that runs" in done.stderr, done
    count, passed = map(int, flood.communicate(timeout=60)[0].split())
    assert count == 150_000 and passed == 0 and fence.seen("stray") == 0
    reached(fence)
    fence.stop()
    assert closed_by(fence, "remove").returncode == 0
    assert fence.python(UDP, EVIL, "443").split() == ["sent"], "the control: this way does lead out"
    eventually(lambda: fence.seen("stray") > 0)


def test_closing_needs_the_privilege_and_says_so(own_fence):
    fence = own_fence(start=False)
    done = subprocess.run(["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", *fence.enter(BINARY, "firewall", "close")],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 69 and "CAP_NET_ADMIN" in done.stderr, done
    assert fence.agent("nft", "list", "tables").stdout == ""


# -- what is only read here: no cluster, no docker and no systemd is at hand

UNITS = ("exitgate.service", "exitgate-sidecar@.service", "exitgate-gateway.service", "exitgate-ship.service")


def setting(unit, key):
    return [line.split("=", 1)[1] for line in (DEPLOY / unit).read_text().splitlines() if line.startswith(key + "=")]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit, most", [(UNITS[0], 1.5), (UNITS[1], 2.0), (UNITS[2], 2.0), (UNITS[3], 1.5)])
def test_the_units_are_in_form_and_hardened(unit, most, tmp_path):
    score = subprocess.run(["systemd-analyze", "security", "--offline=true", DEPLOY / unit], capture_output=True, text=True)
    assert float(re.search(r"exposure level for \S+: ([\d.]+)", score.stdout)[1]) <= most, score.stdout
    copy = tmp_path / unit.replace("@", "@box")
    copy.write_text((DEPLOY / unit).read_text().replace("/usr/bin/exitgate", str(BINARY)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True)
    assert done.returncode == 0 and copy.name not in done.stderr, done.stderr


def permitted(unit):
    """The system calls that a unit's filters let through."""
    groups, current = {}, None
    for line in subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True).stdout.splitlines():
        if line.startswith("@"):
            current = groups.setdefault(line.strip(), [])
        elif current is not None and (word := line.strip()) and not word.startswith("#"):
            current.append(word)
    expand = lambda word: set().union(*map(expand, groups[word])) if word.startswith("@") else {word}
    allowed = set()
    for line in setting(unit, "SystemCallFilter"):
        for word in line.removeprefix("~").split():
            allowed = allowed - expand(word) if line.startswith("~") else allowed | expand(word)
    return allowed


@pytest.mark.skipif(not (shutil.which("systemd-analyze") and shutil.which("strace")), reason="systemd-analyze or strace is not installed")
@pytest.mark.parametrize("unit", UNITS[:2])
def test_the_gate_starts_and_works_with_what_its_unit_leaves_it(unit, own_fence, tmp_path):
    """As the unit's user, with its capabilities, and with no system call beyond its filters."""
    policy = "".join(line for line in POLICY.splitlines(True) if "sidecar" in unit or "protocol: udp" not in line)
    fence = own_fence(policy, start=False)
    works_within(unit, fence, reached if "sidecar" in unit else None, tmp_path / "trace")


@pytest.mark.skipif(not (shutil.which("systemd-analyze") and shutil.which("strace")), reason="systemd-analyze or strace is not installed")
def test_the_gateway_starts_and_works_with_what_its_unit_leaves_it(own_behind, tmp_path):
    """Its interfaces come from the environment, as the unit's file has them."""
    fence = own_behind(start=False, links=())
    environment = "EXITGATE_INTERFACE=f0=ci,f2=dev"
    assert environment.split("=")[0] in (DEPLOY / UNITS[2]).read_text()
    works_within(UNITS[2], fence, forwarded, tmp_path / "trace", environment)
    assert fence.strays() == (0, 0)


def works_within(unit, fence, check, trace, *environment):
    limits = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "--no-new-privs"]
    capabilities = ",".join("+" + name.lower().removeprefix("cap_") for name in setting(unit, "CapabilityBoundingSet")[0].split())
    for kind in ("--inh-caps", "--ambient-caps", "--bounding-set"):
        limits += [kind, ",".join(filter(None, ("-all", capabilities)))]
    command = fence.command()
    if unit == UNITS[0]:
        command[command.index("sidecar")] = "serve"
    fence.group.mkdir()
    into = f'echo $$ >{fence.group}/cgroup.procs; exec "$@"'
    fence.command = lambda: command[:2] + ["strace", "-f", "-qq", "-o", trace, "env", *environment, "sh", "-c", into, "sh", *limits, *command[2:]]
    fence.grouped = False
    fence.start()
    fence.tell("reload")
    if check:
        gate, keeper = fence.status()["processes"]
        assert gate["capabilities"] == "none" and keeper["capabilities"] == "net_admin" and keeper["user"] == USER
        check(fence)
    pid = int(re.search(r"process (\d+)", fence.tell("status").stdout)[1])
    os.kill(pid, signal.SIGTERM)
    assert fence.ends(15) == 0
    called = trace.read_text()
    called = called[called.index(f'execve("{BINARY}"'):]
    used = set(re.findall(r"^\d+ +(\w+)\(", called, re.M))
    # libdispatch asks for the priority that it has, or a higher one, and goes on without.
    assert used - permitted(unit) <= {"setpriority"}, used - permitted(unit)
    assert {"capset", "seccomp"} <= used if check else "socket" in used


def test_the_manifests_differ_in_where_the_gate_stands_and_in_nothing_else():
    native, podman = (list(yaml.safe_load_all((DEPLOY / name).read_text())) for name in ("pod.yaml", "pod-podman.yaml"))
    assert native[0] == podman[0], "the policy"
    one, other = native[1]["spec"], podman[1]["spec"]
    gate = one["initContainers"].pop()
    assert gate.pop("restartPolicy") == "Always" and gate["startupProbe"]["exec"]["command"] == ["/usr/bin/exitgate", "status"]
    close = other["initContainers"].pop()
    assert close["args"] == ["firewall", "close"] and close["image"] == gate["image"]
    assert close["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    assert other.pop("restartPolicy") == "OnFailure" and other["containers"].pop(0) == gate
    assert one == other and one["containers"][0]["securityContext"]["capabilities"]["drop"] == ["NET_ADMIN", "NET_RAW"]


def test_the_policies_of_the_manifests_are_one_and_load(binary, tmp_path):
    pods = next(yaml.safe_load_all((DEPLOY / "pod.yaml").read_text()))["data"]["policy.yaml"]
    shared = DEPLOY / "policy.yaml"
    assert yaml.safe_load(pods) == yaml.safe_load(shared.read_text())
    assert exitgate("firewall", "print", "--policy", shared).stdout.count(f"ip daddr {CLOCK} udp dport 123") == 1


def test_the_compose_file_is_as_strict_as_the_pod():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    spec = list(yaml.safe_load_all((DEPLOY / "pod.yaml").read_text()))[1]["spec"]
    gate, agent = spec["initContainers"][0], spec["containers"][0]
    assert services["gate"]["command"] == gate["args"] and services["gate"]["image"] == gate["image"]
    assert {"drop": services["gate"]["cap_drop"], "add": services["gate"]["cap_add"]} == gate["securityContext"]["capabilities"]
    assert services["gate"]["healthcheck"]["test"][1:] == gate["startupProbe"]["exec"]["command"]
    assert services["gate"]["read_only"] and services["gate"]["cgroup"] == "private" and services["gate"]["user"] == "0:0"
    assert services["agent"]["network_mode"] == "service:gate" and services["agent"]["cap_drop"] == agent["securityContext"]["capabilities"]["drop"]
    assert services["agent"]["depends_on"] == {"gate": {"condition": "service_healthy"}} and "restart" not in services["agent"]
    for service in services.values():
        assert service["security_opt"] == ["no-new-privileges:true"] and service["pull_policy"] == "never" and not service.get("privileged")
