"""Real programs through the gate to real servers: each is let through where a rule says so, denied where none does,
and both stand in the log."""
import base64, itertools, os, shutil, subprocess, sys

import pytest

from harness.client import Agent, get, read_head
from harness.gate import Gate
from harness.namespaces import Namespaces
from harness.servers import Servers

PROXY = "http://10.66.0.1:3128"
POLICY = """version: 1
agents: { a1: { listen: 10.66.0.1:3128 } }
rules:
  - { id: secure, action: allow, to: [web.test, git.test, index.test, ws.test] }
  - { id: plain, action: allow, protocol: http, to: [web.test, apt.test] }
  - { id: websocket, action: allow, protocol: tcp, ports: [80], to: [ws.test] }
"""

_fresh = itertools.count()


class Programs:
    """Runs programs in the sandbox, with the proxy variables that an agent would have."""

    def __init__(self, bench, gate, servers, tmp_path):
        self.bench, self.gate, self.servers, self.tmp = bench, gate, servers, tmp_path
        self.written = gate.log.mark()
        self.denied = f"n{next(_fresh)}.denied.test"  # a name of its own, so that its denial has a record of its own

    def run(self, *command, status=0, **variables):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.tmp), "LANG": "C.UTF-8", "NO_PROXY": "", "no_proxy": ""}
        for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
            environment[name] = PROXY
        done = subprocess.run(self.bench.command("agent", *command), capture_output=True, text=True, timeout=30, env=environment | variables, cwd=self.tmp)
        assert status is None or (done.returncode == 0) == (status == 0), f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def says(self, verdict, host, **wanted):
        """The log says so; what was allowed has a close record with its bytes as well."""
        record = self.gate.log.wait_for(self.written, verdict=verdict, host=host, agent="a1", **wanted)[0]
        if verdict == "allow":
            closed = self.gate.log.wait_for(self.written, event="close", flow=record.flow)[0]
            assert closed.bytes_out > 0 and closed.bytes_in > 0
        return record


@pytest.fixture(scope="module")
def stage(bench, tmp_path_factory):
    namespaces = Namespaces()
    servers = Servers(namespaces, tmp_path_factory.mktemp("servers"))
    gate = Gate(namespaces, tmp_path_factory.mktemp("gate"), POLICY).start()
    yield namespaces, gate, servers
    gate.stop()
    gate.log.verify()
    servers.close()
    namespaces.remove()


@pytest.fixture
def programs(stage, tmp_path):
    namespaces, gate, servers = stage
    return Programs(namespaces, gate, servers, tmp_path)


def needs(program):
    return pytest.mark.skipif(shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") is None, reason=f"{program} is not installed")


@pytest.mark.parametrize("version, spoken", [("--http1.1", "1.1"), ("--http2", "2")])
def test_curl_over_tls(programs, version, spoken):
    shape = ("-sS", "--cacert", programs.servers.ca, version, "-w", "%{http_version} %{http_connect}")
    done = programs.run("curl", *shape, "https://web.test/hello.txt")
    assert done.stdout == f"hello\n{spoken} 200"
    programs.says("allow", "web.test", rule="secure", protocol="https", layer="connect")
    done = programs.run("curl", *shape, f"https://{programs.denied}/hello.txt", status=56)
    assert done.stdout.endswith("403")
    programs.says("deny", programs.denied, reason="no-rule", layer="connect")


def test_curl_over_plain_http(programs):
    done = programs.run("curl", "-sS", "http://web.test/hello.txt", "http://web.test/hello.txt")
    assert done.stdout == "hello\n" * 2
    programs.says("allow", "web.test", rule="plain", protocol="http")
    done = programs.run("curl", "-sS", "-i", f"http://{programs.denied}/hello.txt")
    assert " 403 " in done.stdout and '"reason":"no-rule"' in done.stdout.replace(" ", "")
    programs.says("deny", programs.denied, reason="no-rule", layer="http")


def test_curl_over_socks5(programs):
    socks = ("--socks5-hostname", "10.66.0.1:3128", "--cacert", programs.servers.ca)
    assert programs.run("curl", "-sS", *socks, "https://web.test/hello.txt").stdout == "hello\n"
    programs.says("allow", "web.test", rule="secure", layer="socks")
    programs.run("curl", "-sS", *socks, f"https://{programs.denied}/hello.txt", status=97)
    programs.says("deny", programs.denied, reason="no-rule", layer="socks")


def test_TLS_07_the_name_inside_the_encrypted_stream_is_out_of_sight(programs):
    """A limit that is documented: SNI and CONNECT agree, and what the request inside says is not seen."""
    done = programs.run("curl", "-sS", "--cacert", programs.servers.ca, "-H", "Host: denied.test", "https://web.test/hello.txt")
    assert done.stdout == "hello\n"
    programs.says("allow", "web.test", rule="secure")
    assert not [entry for entry in programs.gate.log.entries(programs.written) if entry.host == "denied.test"]


@needs("wget")
def test_wget(programs):
    shape = ("-q", "-O-", f"--ca-certificate={programs.servers.ca}", "--tries=1")
    assert programs.run("wget", *shape, "https://web.test/hello.txt").stdout == "hello\n"
    assert programs.run("wget", *shape, "http://web.test/hello.txt").stdout == "hello\n"
    programs.says("allow", "web.test", rule="secure")
    programs.says("allow", "web.test", rule="plain")
    programs.run("wget", *shape, f"https://{programs.denied}/hello.txt", status=8)
    programs.says("deny", programs.denied, reason="no-rule")


def test_git_clone(programs):
    shape = ("git", "-c", f"http.sslCAInfo={programs.servers.ca}", "clone", "-q")
    programs.run(*shape, "https://git.test/git/project.git", "clone", GIT_TERMINAL_PROMPT="0")
    assert (programs.tmp / "clone" / "README").read_text() == "from the origin\n"
    programs.says("allow", "git.test", rule="secure")
    done = programs.run(*shape, f"https://{programs.denied}/git/project.git", "other", status=128)
    assert "403" in done.stderr
    programs.says("deny", programs.denied, reason="no-rule")


def test_pip_download(programs):
    shape = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0", "--cert", programs.servers.ca, "-d")
    alone = {"PIP_CONFIG_FILE": "/dev/null"}
    programs.run(*shape, programs.tmp / "got", "--index-url", "https://index.test/simple/", "exitgate-sample", **alone)
    assert [file.name for file in (programs.tmp / "got").iterdir()] == ["exitgate_sample-1.0-py3-none-any.whl"]
    programs.says("allow", "index.test", rule="secure")
    programs.run(*shape, programs.tmp / "not", "--index-url", f"https://{programs.denied}/simple/", "exitgate-sample", status=1, **alone)
    programs.says("deny", programs.denied, reason="no-rule")


@needs("apt-get")
@pytest.mark.parametrize("verdict", ["allow", "deny"])
def test_apt(programs, verdict):
    host = "apt.test" if verdict == "allow" else programs.denied
    for folder in ("etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d", "state/lists/partial", "cache/archives/partial"):
        (programs.tmp / folder).mkdir(parents=True)
    (programs.tmp / "status").write_text("")
    (programs.tmp / "etc/apt/sources.list").write_text(f"deb [trusted=yes] http://{host}/debs ./\n")
    options = {"Dir::Etc": programs.tmp / "etc/apt", "Dir::State": programs.tmp / "state", "Dir::State::status": programs.tmp / "status", "Dir::Cache": programs.tmp / "cache",
               "APT::Sandbox::User": "root", "Acquire::http::Proxy": PROXY, "Acquire::Retries": 0, "Acquire::Languages": "none", "APT::Update::Error-Mode": "any", "Dir::Etc::main": "/dev/null", "Dir::Etc::parts": "/dev/null"}
    shape = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    programs.run("apt-get", "-q", *shape, "update", status=0 if verdict == "allow" else 100)
    record = programs.says(verdict, host, layer="http")
    assert record.rule == ("plain" if verdict == "allow" else None)
    if verdict == "allow":
        programs.run("apt-get", "-q", *shape, "download", "exitgate-sample")
        assert (programs.tmp / "exitgate-sample_1.0_all.deb").exists()


CLIENTS = {
    "requests": "import requests; r = requests.get(sys.argv[1], verify=ca); print(r.status_code, r.text.strip())",
    "httpx": "import httpx; r = httpx.get(sys.argv[1], verify=ssl.create_default_context(cafile=ca)); print(r.status_code, r.text.strip())",
    "urllib": "import urllib.request; r = urllib.request.urlopen(sys.argv[1], context=ssl.create_default_context(cafile=ca)); print(r.status, r.read().decode().strip())",
}


@pytest.mark.parametrize("library", CLIENTS)
def test_python_clients(programs, library):
    script = f"import sys, ssl; ca = {str(programs.servers.ca)!r}\n{CLIENTS[library]}"
    for url in ("https://web.test/hello.txt", "http://web.test/hello.txt"):
        assert programs.run(sys.executable, "-c", script, url).stdout == "200 hello\n"
    programs.says("allow", "web.test", rule="secure")
    programs.says("allow", "web.test", rule="plain")
    done = programs.run(sys.executable, "-c", script, f"https://{programs.denied}/hello.txt", status=1)
    assert "403" in done.stderr
    programs.says("deny", programs.denied, reason="no-rule")


NODE = """
const { ProxyAgent, setGlobalDispatcher } = require('undici');
setGlobalDispatcher(new ProxyAgent(process.env.https_proxy));
fetch(process.argv[1]).then(async r => console.log(r.status, (await r.text()).trim())).catch(e => { console.error(String(e.cause || e)); process.exit(1); });
"""


@needs("node")
@pytest.mark.skipif(not os.path.exists("/usr/share/nodejs/undici"), reason="node-undici is not installed")
def test_nodes_fetch_with_a_proxy_agent(programs):
    variables = {"NODE_EXTRA_CA_CERTS": str(programs.servers.ca), "NODE_PATH": "/usr/share/nodejs"}
    assert programs.run("node", "-e", NODE, "https://web.test/hello.txt", **variables).stdout == "200 hello\n"
    programs.says("allow", "web.test", rule="secure")
    programs.run("node", "-e", NODE, f"https://{programs.denied}/hello.txt", status=1, **variables)
    programs.says("deny", programs.denied, reason="no-rule")


WEBSOCKET = """
import ssl, sys
from websockets.sync.client import connect
secure = {"ssl": ssl.create_default_context(cafile=sys.argv[2])} if sys.argv[1].startswith("wss") else {}
with connect(sys.argv[1], proxy=sys.argv[3], **secure) as socket:
    socket.send("one"); print(socket.recv()); socket.send("two"); print(socket.recv())
"""


@pytest.mark.parametrize("url, rule", [("wss://ws.test/ws", "secure"), ("ws://ws.test/ws", "websocket")])
def test_websocket_echo(programs, url, rule):
    done = programs.run(sys.executable, "-c", WEBSOCKET, url, programs.servers.ca, PROXY)
    assert done.stdout == "echo one\necho two\n"
    programs.says("allow", "ws.test", rule=rule)
    denied = programs.run(sys.executable, "-c", WEBSOCKET, url.replace("ws.test", programs.denied), programs.servers.ca, PROXY, status=1)
    assert "403" in denied.stderr
    programs.says("deny", programs.denied, reason="no-rule")


def test_websocket_over_a_plain_request(programs):
    """Without CONNECT: an upgrade of a request that an http rule covers would do; here a tcp rule carries it."""
    key = base64.b64encode(os.urandom(16)).decode()
    fields = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
    with Agent(programs.bench).open() as sock:
        sock.sendall(get("http://ws.test/ws", "ws.test", fields))
        assert read_head(sock).status == 101
        sock.sendall(bytes([0x81, 0x83, 0, 0, 0, 0]) + b"one")
        assert sock.recv(100) == b"\x81\x08echo one"
    programs.says("allow", "ws.test", rule="websocket")


def test_openssl_s_client_and_unbound(programs):
    """HTTP/1.0 and no Host on CONNECT; the names come from unbound."""
    shape = ("openssl", "s_client", "-proxy", "10.66.0.1:3128", "-verify_return_error", "-CAfile", programs.servers.ca)
    done = programs.run("sh", "-c", f"echo | {' '.join(map(str, shape))} -connect web.test:443 -servername web.test")
    assert "Verify return code: 0" in done.stdout
    programs.says("allow", "web.test", rule="secure")
    programs.run("sh", "-c", f"echo | {' '.join(map(str, shape))} -connect web.test:443 -servername denied.test", status=1)
    programs.says("deny", "web.test", layer="sni", reason="sni-mismatch")
    done = programs.run("sh", "-c", f"echo | {' '.join(map(str, shape))} -connect unknown.web.test:443 -servername x", status=1)
    programs.says("deny", "unknown.web.test", reason="no-rule")
