"""Programs that know no proxy in the sandbox of `exitgate run`, to real servers: by name where a rule names them, and not at
all where none does. Node's fetch, Go with its own resolver and with the C library's, Java, ssh and psql."""
import os, pathlib, pwd, shutil, subprocess, tempfile

import pytest

from harness.box import Box
from harness.namespaces import GOOD, run
from harness.services import NAMES, POSTGRES, Services
from harness.sidecar import seen

NEEDED = ("node", "go", "java", "javac", "ssh", "sshd", "psql", "nginx", "git", "nft", "redis-server")
missing = [name for name in NEEDED if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None] + ([] if POSTGRES else ["postgres"])
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")

POLICY = """version: 1
rules:
  - { id: web,   action: allow, to: [web.test] }
  - { id: shell, action: allow, to: [ssh.test], protocol: tcp, ports: [22] }
  - { id: base,  action: allow, to: [db.test], protocol: tcp, ports: [5432] }
"""
BEGUN = """table inet opened {
  counter begun { }
  chain in { type filter hook prerouting priority -299; iifname "o0" tcp flags & (syn | ack) == syn counter name begun; }
}
"""
NODE = "fetch(process.argv[1]).then(r => r.text()).then(t => process.stdout.write(t)).catch(e => { console.error(e.cause?.code ?? e); process.exit(3) })"
GO = """package main
import ("fmt"; "io"; "net/http"; "os"; "time")
func main() {
	client := http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{Proxy: nil}}
	answer, err := client.Get(os.Args[1])
	if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(3) }
	text, _ := io.ReadAll(answer.Body)
	fmt.Print(string(text))
}
"""
JAVA = """import java.net.URI; import java.net.http.*; import java.time.Duration;
public class Get {
  public static void main(String[] words) throws Exception {
    // Else it asks plain servers for h2c, which is denied (HTTP-15).
    var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(8)).build();
    try { System.out.print(client.send(HttpRequest.newBuilder(URI.create(words[0])).build(), HttpResponse.BodyHandlers.ofString()).body()); }
    catch (java.io.IOException error) { System.err.println(error); System.exit(3); }
  }
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The programs, built once."""
    home = tmp_path_factory.mktemp("built")
    (home / "get.go").write_text(GO)
    (home / "Get.java").write_text(JAVA)
    for name, cgo in (("get-go", "0"), ("get-cgo", "1")):
        run("go", "build", "-o", str(home / name), str(home / "get.go"),
            env=os.environ | {"CGO_ENABLED": cgo, "GOCACHE": str(home / "cache"), "GOPATH": str(home / "path"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"})
    run("javac", "-d", str(home), str(home / "Get.java"))
    return home


@pytest.fixture(scope="module", params=["ordinary", "root"])
def host(runner, request, built):
    account = request.getfixturevalue("ordinary") if request.param == "ordinary" else pwd.getpwuid(0)
    box, services = Box(account, runner, ports=(25, 8080)), None
    directory = pathlib.Path(tempfile.mkdtemp(prefix="exitgate-services"))
    try:
        box.policy.write_text(POLICY)
        run(*box.bench.command("out", "nft", "-f", "-"), input=BEGUN)
        for name in NAMES:
            box.far.answers(name, GOOD)
        services = Services(box.bench, directory)
        for source in (*(built / name for name in ("get-go", "get-cgo", "Get.class")), services.ca, directory / "client", directory / "known_hosts"):
            target = box.project / pathlib.Path(source).name
            shutil.copy(source, target)
            os.chown(target, account.pw_uid, account.pw_gid)
        yield box
        box.log.verify()
    finally:
        if services:
            services.close()
        shutil.rmtree(directory, ignore_errors=True)
        box.close()


def begun(host):
    return seen(host.bench, "begun", table="opened")


WAYS = {
    "node": ("node", "-e", NODE),
    "go": ("./get-go",),
    "go with the C library": ("./get-cgo",),
    "java": ("java", "-XX:-UsePerfData", "-cp", ".", "Get"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_programs_of_other_languages_pass_by_name(host, way, scheme):
    trust = {"NODE_EXTRA_CA_CERTS": "ca.pem", "SSL_CERT_FILE": "ca.pem", "JAVA_TOOL_OPTIONS": f"-Djavax.net.ssl.trustStore={store(host)} -Djavax.net.ssl.trustStorePassword=changeit"}
    policy = None if scheme == "https" else plain(host)
    before, recorded = begun(host), len(passed(host))
    done = host.run(*way, f"{scheme}://web.test/hello.txt", env=trust, flags=tuple(word for name in trust for word in ("--env", name)), policy=policy)
    assert done.returncode == 0 and done.stdout == "hello\n", done
    assert begun(host) > before and len(passed(host)) > recorded


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("url", ["https://denied.test/hello.txt", f"https://{GOOD}/hello.txt", "https://web.test:8443/hello.txt", "http://web.test/hello.txt"])
def test_programs_of_other_languages_reach_nothing_else(host, way, url):
    before = begun(host)
    done = host.run(*way, url)
    assert (done.returncode == 3 or '"error":"denied"' in done.stdout) and "hello" not in done.stdout, done
    assert begun(host) == before


def passed(host):
    return host.records(layer="transparent", rule="web", verdict="allow") if host.log.path.exists() else []


def plain(host):
    policy = host.work / "plain.yaml"
    policy.write_text("version: 1\nrules:\n  - { id: web, action: allow, to: [web.test], protocol: http }\n")
    return policy


def store(host):
    """The test's authority as Java keeps such things, in the working directory."""
    kept = host.project / "trust.p12"
    if not kept.exists():
        run("keytool", "-importcert", "-noprompt", "-alias", "test", "-file", str(host.project / "ca.pem"), "-keystore", str(kept), "-storepass", "changeit", "-storetype", "PKCS12")
        kept.chmod(0o644)
    return kept.name


def ssh(host, name, *words):
    options = {"UserKnownHostsFile": "known_hosts", "IdentityFile": "client", "IdentitiesOnly": "yes", "BatchMode": "yes", "ConnectTimeout": 5, "HostKeyAlias": "ssh.test"}
    return host.run("ssh", "-F", "/dev/null", *(word for key, value in options.items() for word in ("-o", f"{key}={value}")), f"root@{name}", *words)


def test_ssh_passes_by_name_and_by_no_other(host):
    before = begun(host)
    for name in ("web.test", "denied.test", GOOD):
        assert ssh(host, name, "true").returncode == 255
    assert begun(host) == before
    done = ssh(host, "ssh.test", "head -c 1000000 /dev/zero")
    assert done.returncode == 0 and len(done.stdout) == 1_000_000, done
    assert begun(host) == before + 1


def test_psql_passes_by_name_and_by_no_other(host):
    def ask(name):
        return host.run("psql", "-X", f"host={name} user=postgres dbname=postgres connect_timeout=5 sslmode=disable", "-Atc", "select 6 * 7")
    before = begun(host)
    for name in ("web.test", "denied.test", GOOD):
        assert ask(name).returncode == 2
    assert begun(host) == before
    done = ask("db.test")
    assert done.returncode == 0 and done.stdout == "42\n", done
    assert begun(host) > before
