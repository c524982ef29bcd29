"""Real programs whose connection is held for a person: none hangs past its own time or sees a broken answer, and what is
tried again after an approval succeeds."""
import json, os, shutil, subprocess, sys, time

import pytest

from harness.gate import Gate, eventually
from harness.namespaces import Namespaces
from harness.programs import PATHS, compiled
from harness.reviewer import Reviewer
from harness.servers import Servers

HOLD = 7  # in seconds: longer than the 5 s after which httpx gives up by itself
GO = """package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	pem, _ := os.ReadFile(os.Args[2])
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	answer, err := client.Get(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	text, _ := io.ReadAll(answer.Body)
	fmt.Print(answer.StatusCode, " ", string(text))
}
"""
NODE = """
const { ProxyAgent, setGlobalDispatcher } = require('undici');
setGlobalDispatcher(new ProxyAgent(process.env.https_proxy));
fetch(process.argv[1]).then(async r => console.log(r.status, (await r.text()).trim())).catch(e => { console.error(String(e.cause || e)); process.exit(1); });
"""
NODE_HTTP = """
const http = require('http'), proxy = new URL(process.env.http_proxy);
http.get({ host: proxy.hostname, port: proxy.port, path: process.argv[1], headers: { Host: new URL(process.argv[1]).host } }, answer => {
  let text = ''; answer.on('data', part => text += part); answer.on('end', () => { console.log(answer.statusCode, text.trim()); process.exit(answer.statusCode == 200 ? 0 : 1); });
}).on('error', error => { console.error(String(error)); process.exit(2); });
"""
PYTHON = {
    "requests": "import requests; r = requests.get(sys.argv[1], verify=ca); print(r.status_code, r.text.strip())",
    "httpx": "import httpx; r = httpx.get(sys.argv[1], verify=ssl.create_default_context(cafile=ca)); print(r.status_code, r.text.strip())",
}


def python(library):
    return lambda ca, tmp: [sys.executable, "-c", f"import sys, ssl; ca = {str(ca)!r}\n{PYTHON[library]}", "https://web.test/hello.txt"]


def cargo(ca, tmp):
    """A project with one dependency, which comes from the bench's registry."""
    (tmp / "src").mkdir(exist_ok=True)
    (tmp / "src" / "lib.rs").write_text("")
    (tmp / "Cargo.toml").write_text('[package]\nname = "project"\nversion = "0.1.0"\n[dependencies]\nexitgate-sample = "1"\n')
    (tmp / ".cargo").mkdir(exist_ok=True)
    (tmp / ".cargo" / "config.toml").write_text(
        f'[source.crates-io]\nreplace-with = "bench"\n[source.bench]\nregistry = "https://git.test/git/index.git"\n[net]\nretry = 0\n[http]\ncainfo = "{ca}"\n')
    return ["cargo", "fetch"]


def apt(ca, tmp):
    """One file by apt's own client: `update` asks for ten, each of which is held for its time."""
    return ["/usr/lib/apt/apt-helper", "-o", "Acquire::Retries=0", "download-file", "http://apt.test/debs/Release", tmp / "got"]


# Each: how it is called, what it says when it went well, what it says when it was told to come back, and where it goes.
PROGRAMS = {
    "curl": (lambda ca, tmp: ["curl", "-sS", "--cacert", ca, "https://web.test/hello.txt"], "hello", "response 403", "web.test"),
    "curl-plain": (lambda ca, tmp: ["curl", "-sS", "--fail-with-body", "http://web.test/hello.txt"], "hello", "pending_approval", "web.test"),
    "curl-socks": (lambda ca, tmp: ["curl", "-sS", "--proxy", tmp / "socks", "--cacert", ca, "https://web.test/hello.txt"], "hello", "SOCKS5", "web.test"),
    "git": (lambda ca, tmp: ["git", "-c", f"http.sslCAInfo={ca}", "ls-remote", "https://git.test/git/project.git"], "HEAD", "403", "git.test"),
    "pip": (lambda ca, tmp: [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0", "--cert", ca,
                             "-d", tmp / "got", "--index-url", "https://index.test/simple/", "exitgate-sample"], "", "No matching distribution", "index.test"),
    "requests": (python("requests"), "200 hello", "403", "web.test"),
    "httpx": (python("httpx"), "200 hello", "imed out", "web.test"),
    "node": (lambda ca, tmp: ["node", "-e", NODE, "https://web.test/hello.txt"], "200 hello", "cancelled", "web.test"),
    "go": (lambda ca, tmp: [go(), "https://web.test/hello.txt", ca], "200 hello", "Forbidden", "web.test"),
    "node-http": (lambda ca, tmp: ["node", "-e", NODE_HTTP, "http://web.test/hello.txt"], "200 hello", "pending_approval", "web.test"),
    "cargo": (cargo, "", "403", "git.test"),
    "apt": (apt, "", "403", "apt.test"),
    "npm": (lambda ca, tmp: ["npm", "ping", "--registry", "https://web.test/", "--cafile", ca, "--fetch-retries", "0"], None, "403", "web.test"),
}
NEEDS = {"npm": "npm", "node": "node", "node-http": "node", "go": "go", "git": "git", "cargo": "cargo", "apt": "apt-get"}
PORTS = {name: 4000 + number for number, name in enumerate(PROGRAMS)}
POLICY = ("version: 1\nagents:\n" + "".join(f"  p-{name}: {{ listen: 10.66.0.1:{port} }}\n" for name, port in PORTS.items())
          + "rules:\n  - { id: secure, action: ask, to: [web.test, git.test, index.test] }\n"
          + "  - { id: plain, action: ask, protocol: http, to: [web.test, apt.test] }\n")


def go():
    return compiled("go-fetch", GO, "go", "build", "-o", CGO_ENABLED="0", GO111MODULE="off", GOCACHE="/tmp/exitgate-go-cache", GOFLAGS="")


@pytest.fixture(scope="module")
def stage(bench, tmp_path_factory):
    namespaces = Namespaces()
    servers = Servers(namespaces, tmp_path_factory.mktemp("servers"))
    gate = Gate(namespaces, tmp_path_factory.mktemp("gate"), POLICY, extra=("--hold", HOLD), doubles=0).start()
    reviewer = Reviewer(gate)
    yield namespaces, gate, servers, reviewer
    reviewer.close()
    gate.stop()
    gate.log.verify()
    servers.close()
    namespaces.remove()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_held_program_ends_by_itself_and_its_retry_passes(stage, tmp_path, name):
    if name in NEEDS and shutil.which(NEEDS[name], path=PATHS) is None or name == "node" and not os.path.exists("/usr/share/nodejs/undici"):
        pytest.skip(f"{name} is not installed")
    namespaces, gate, servers, reviewer = stage
    command, good, told, host = PROGRAMS[name]
    proxy = f"10.66.0.1:{PORTS[name]}"
    words = [f"socks5h://{proxy}" if word == tmp_path / "socks" else str(word) for word in command(servers.ca, tmp_path)]
    environment = {"PATH": PATHS, "HOME": str(tmp_path), "LANG": "C.UTF-8", "NO_PROXY": "", "no_proxy": "", "PIP_CONFIG_FILE": "/dev/null", "GIT_TERMINAL_PROMPT": "0",
                   "NODE_EXTRA_CA_CERTS": str(servers.ca), "NODE_PATH": "/usr/share/nodejs"}
    if (home := os.environ.get("RUSTUP_HOME", os.path.expanduser("~/.rustup"))) and os.path.isdir(home):
        environment["RUSTUP_HOME"] = home  # where cargo is rustup's
    environment |= {variable: f"http://{proxy}" for variable in ("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY")}

    def run():
        return subprocess.run(namespaces.command("agent", *words), capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path)

    written, began = gate.log.mark(), time.monotonic()
    done = run()
    took = time.monotonic() - began
    assert done.returncode != 0 and told in done.stdout + done.stderr, done
    gate.log.wait_for(written, verdict="deny", reason="pending-approval", agent=f"p-{name}", host=host)
    assert took < HOLD + 20, f"{name} hung for {took:.1f} s"
    assert not [entry for entry in gate.log.entries(written) if entry.verdict == "allow"]
    question = next(one for one in reviewer.questions() if one["agent"] == f"p-{name}" and one["host"] == host)
    reviewer.approve(question, "--session")
    done = run()
    if good is None:  # the server knows no such request, but the program has got to it
        gate.log.wait_for(written, verdict="allow", reason="approved", agent=f"p-{name}")
    else:
        assert done.returncode == 0 and good in done.stdout, done
        gate.log.wait_for(written, verdict="allow", reason="approved", agent=f"p-{name}", host=host)


@pytest.mark.parametrize("name", ["curl", "requests"])
def test_what_is_answered_in_time_is_not_noticed(stage, tmp_path, name):
    namespaces, gate, servers, reviewer = stage
    agent = "p-npm" if name == "curl" else "p-httpx"
    for grant in json.loads(gate.tell("pending", "--granted", "--json").stdout):
        if grant["agent"] == agent:
            gate.tell("revoke", grant["id"])
    port = PORTS[agent.removeprefix("p-")]
    command, good, _, host = PROGRAMS[name]
    environment = {"PATH": PATHS, "HOME": str(tmp_path), "https_proxy": f"http://10.66.0.1:{port}"}
    process = subprocess.Popen(namespaces.command("agent", *map(str, command(servers.ca, tmp_path))), stdout=subprocess.PIPE, text=True, env=environment)
    reviewer.approve(reviewer.question(host, agent=agent))
    assert good in process.communicate(timeout=30)[0]
