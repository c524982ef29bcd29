"""Real programs that know no proxy, through the sidecar to real servers: by name where a rule names them, not at all
where none does. Each runs as plain root and as root of a container, with and without raw sockets."""
import itertools, os, pathlib, shutil, socket, tempfile

import pytest

from harness.far import Asked
from harness.gate import eventually
from harness.namespaces import EVIL, EVIL6, GOOD, GOOD6, run
from harness.services import NAMES, POSTGRES, Services
from harness.sidecar import Fenced, seen
from test_nft import container

PROGRAMS = ("ssh", "sftp", "sshd", "psql", "redis-cli", "redis-server", "nginx", "git", "dig", "ping", "nft", "setpriv")
POLICY = """version: 1
rules:
  - { id: web,    action: allow, to: [web.test, git.test] }
  - { id: plain,  action: allow, to: [git.test], protocol: http }
  - { id: shell,  action: allow, to: [ssh.test], protocol: tcp, ports: [22] }
  - { id: base,   action: allow, to: [db.test], protocol: tcp, ports: [5432] }
  - { id: cache,  action: allow, to: [cache.test], protocol: tcp, ports: [6379] }
  - { id: clock,  action: allow, to: [11.11.0.10/32], protocol: udp, ports: [123] }
"""
# Connections that reach the far side, and packets that are for nobody there whom a rule names.
COUNTERS = """table inet opened {
  counter begun { }
  counter other { }
  chain in { type filter hook prerouting priority -299;
    iifname != "o0" accept
    tcp flags & (syn | ack) == syn counter name begun accept
    meta l4proto tcp accept
    udp dport { 53, 123 } ip daddr { 11.11.0.10, 11.11.0.53 } accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report } accept
    counter name other
  }
}
"""
AGENTS = {"root": (), "container": container(), "container without raw sockets": container(raw=False)}
_fresh = itertools.count()

missing = [name for name in PROGRAMS if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None] + ([] if POSTGRES else ["postgres"])
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="module", params=AGENTS)
def fence(binary, request):
    """A sidecar for each kind of agent, so that each one's denials have records of their own and no repetition is summed up."""
    fence, services = Fenced(POLICY, ports=(25, 8080)), None
    fence.prefix = AGENTS[request.param]
    try:
        run(*fence.bench.command("out", "nft", "-f", "-"), input=COUNTERS)
        for name in NAMES:
            fence.far.answers(name, GOOD)
        services = Services(fence.bench, pathlib.Path(tempfile.mkdtemp(prefix="exitgate-services")))
        fence.services = services
        yield fence
        fence.log.verify()
    finally:
        if services:
            services.close()
            shutil.rmtree(services.dir, ignore_errors=True)
        fence.close()


class Programs:
    """Runs programs as the agent, in a directory of the test's own."""

    def __init__(self, fence, home):
        self.fence, self.prefix, self.home, self.services = fence, fence.prefix, home, fence.services
        self.written = fence.log.mark()
        self.before = self.opened()
        self.denied = f"n{next(_fresh)}.denied.test"  # it would resolve, had a rule named it

    @property
    def holds_raw(self):
        return not self.prefix or "net_raw" in " ".join(self.prefix)

    def opened(self):
        return self.counter("begun"), self.counter("other")

    def counter(self, name):
        return seen(self.fence.bench, name, table="opened")

    def __call__(self, *command, timeout=20, **variables):
        environment = {"PATH": os.environ["PATH"] + ":/usr/sbin", "HOME": str(self.home), "LANG": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0"}
        return self.fence.agent(*self.prefix, *command, timeout=timeout, env=environment | variables, cwd=self.home)

    def ssh(self, *words, program="ssh", known="ssh.test"):
        options = {"UserKnownHostsFile": self.services.dir / "known_hosts", "IdentityFile": self.services.dir / "client", "IdentitiesOnly": "yes", "BatchMode": "yes",
                   "ConnectTimeout": 5, "HostKeyAlias": known}
        return self(program, "-F", "/dev/null", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")), *words)

    def psql(self, host, query, port=5432):
        return self("psql", "-X", f"host={host} port={port} user=postgres dbname=postgres connect_timeout=5", "-Atc", query)

    def passed(self, rule, host, port):
        """The log has a decision and an end with bytes, and the far side saw connections."""
        decided = self.fence.log.wait_for(self.written, rule=rule, verdict="allow", layer="transparent", host=host, port=port)[0]
        closed = self.fence.log.wait_for(self.written, event="close", flow=decided.flow)[0]
        assert closed.bytes_out > 0 and closed.bytes_in > 0
        assert self.counter("begun") > self.before[0]

    def refused(self, **wanted):
        """The log says why, and not a connection or packet came as far as the other side."""
        self.fence.log.wait_for(self.written, verdict="deny", **wanted)
        assert self.opened() == self.before

    def unknown(self, name):
        self.refused(layer="dns", question=name, reason="no-rule")


@pytest.fixture
def programs(fenced, tmp_path):
    return Programs(fenced, tmp_path)


# -- OpenSSH

def test_ssh_runs_a_command_and_moves_bulk(programs):
    done = programs.ssh("root@ssh.test", "cat; head -c 3000000 /dev/zero", )
    assert done.returncode == 0 and len(done.stdout) == 3_000_000, done.stderr
    programs.passed("shell", "ssh.test", 22)


def test_sftp_fetches_a_file(programs):
    done = programs.ssh(f"root@ssh.test:{programs.services.root}/hello.txt", str(programs.home / "got"), program="sftp")
    assert done.returncode == 0 and (programs.home / "got").read_text() == "hello\n", done.stderr
    programs.passed("shell", "ssh.test", 22)


def test_ssh_to_a_name_that_no_rule_knows(programs):
    done = programs.ssh(f"root@{programs.denied}", "true")
    assert done.returncode == 255 and "Could not resolve" in done.stderr, done
    programs.unknown(programs.denied)


@pytest.mark.parametrize("to, port, host", [(GOOD, 22, GOOD), ("ssh.test", 2222, "ssh.test"), ("web.test", 22, "web.test")],
                         ids=["by its address", "on another port", "by another name of the same server"])
def test_ssh_beside_its_rule(programs, to, port, host):
    done = programs.ssh("-p", str(port), f"root@{to}", "true")
    assert done.returncode == 255, done
    programs.refused(layer="transparent", host=host, port=port, reason="no-rule")


# -- PostgreSQL

def test_psql_asks_and_copies(programs):
    done = programs.psql("db.test", "select 6 * 7; select repeat('x', 2000000)")
    assert done.returncode == 0 and done.stdout[:3] == "42\n" and len(done.stdout) == 2_000_004, done.stderr
    programs.passed("base", "db.test", 5432)


@pytest.mark.parametrize("host, port", [(GOOD, 5432), ("db.test", 5433)], ids=["by its address", "on another port"])
def test_psql_beside_its_rule(programs, host, port):
    done = programs.psql(host, "select 1", port)
    assert done.returncode == 2 and done.stdout == "", done
    programs.refused(layer="transparent", host=host, port=port, reason="no-rule")


def test_psql_to_a_name_that_no_rule_knows(programs):
    done = programs.psql(programs.denied, "select 1")
    assert done.returncode == 2 and "could not translate" in done.stderr, done
    programs.unknown(programs.denied)


# -- Redis

def test_redis_keeps_a_value(programs):
    talk = lambda *words: programs("redis-cli", "-h", "cache.test", *words)
    assert talk("set", "key", "v" * 100_000).stdout == "OK\n"
    assert talk("get", "key").stdout == "v" * 100_000 + "\n"
    programs.passed("cache", "cache.test", 6379)


@pytest.mark.parametrize("host, port", [(GOOD, 6379), ("cache.test", 6380)], ids=["by its address", "on another port"])
def test_redis_beside_its_rule(programs, host, port):
    done = programs("redis-cli", "-h", host, "-p", str(port), "get", "key")
    assert done.returncode != 0 and "v" * 10 not in done.stdout, done
    programs.refused(layer="transparent", host=host, port=port, reason="no-rule")


# -- curl and git

def test_curl_over_tls(programs):
    done = programs("curl", "-sS", "-m", "10", "--cacert", programs.services.ca, "-w", "%{http_version}", "https://web.test/hello.txt")
    assert done.stdout == "hello\n2", done
    programs.passed("web", "web.test", 443)


@pytest.mark.parametrize("words, layer, reason", [
    (("--connect-to", "denied.test:443:web.test:443", "https://denied.test/hello.txt"), "sni", "sni-mismatch"),
    (("--connect-to", "denied.test:443:11.11.0.10:443", "https://denied.test/hello.txt"), "transparent", "no-rule"),
    (("https://11.11.0.10/hello.txt",), "transparent", "no-rule"),
], ids=["another name in the handshake", "that name at the address", "by its address"])
def test_curl_over_tls_beside_its_rule(programs, words, layer, reason):
    done = programs("curl", "-sS", "-m", "10", "-k", *words)
    assert done.returncode == 35 and done.stdout == "", done
    programs.refused(layer=layer, port=443, reason=reason)


@pytest.mark.parametrize("scheme, rule, port", [("https", "web", 443), ("http", "plain", 80)])
def test_git_clones(programs, scheme, rule, port):
    done = programs("git", "-c", f"http.sslCAInfo={programs.services.ca}", "clone", "-q", f"{scheme}://git.test/git/project.git", "clone")
    assert done.returncode == 0 and (programs.home / "clone" / "README").read_text() == "from the origin\n", done
    programs.passed(rule, "git.test", port)


def test_git_clones_from_no_other_place(programs):
    clone = ("git", "-c", "http.sslVerify=false", "clone", "-q")
    assert "Could not resolve" in programs(*clone, f"https://{programs.denied}/git/project.git", "one").stderr
    programs.unknown(programs.denied)
    assert programs(*clone, f"https://{GOOD}/git/project.git", "two").returncode == 128
    assert "403" in programs(*clone, f"http://{GOOD}/git/project.git", "three").stderr
    programs.refused(layer="transparent", host=GOOD, port=80, reason="no-rule", protocol="http")


# -- names, echoes and datagrams

def test_dig_learns_addresses_that_stand_for_names_and_no_others(programs):
    mark = programs.fence.far.mark()
    for server in ((), (f"@{EVIL}",), ("@1.1.1.1", "+tcp")):
        assert programs("dig", "+short", "+tries=1", "+time=3", *server, "db.test").stdout.startswith("198.1")
        answer = programs("dig", "+tries=1", "+time=3", *server, programs.denied, "TXT").stdout
        assert "status: NXDOMAIN" in answer and "EDE: 18" in answer
    assert programs.fence.far.since(mark, Asked) == []
    programs.unknown(programs.denied)


def test_ping_reaches_nobody(programs):
    for address in (GOOD, GOOD6, EVIL, EVIL6, "web.test"):
        assert programs("ping", "-c1", "-W1", address).returncode != 0
    assert programs.opened() == programs.before
    if programs.holds_raw:  # else there was no socket to send by
        eventually(lambda: '"icmp type 8 code 0"' in "".join(programs.fence.log.lines()[programs.written:]))


def initial():
    """A QUIC client's first datagram, by its outside: a long header of version 1, filled up (RFC 9000 §14.1, §17.2.2)."""
    return (b"\xc3\x00\x00\x00\x01\x08" + os.urandom(8) + b"\x00\x00\x44\x9e" + os.urandom(2000))[:1200]


QUIC = """
import socket, sys
for address in sys.argv[2:]:
    for found in socket.getaddrinfo(address, 443, type=socket.SOCK_DGRAM):
        with socket.socket(found[0], socket.SOCK_DGRAM) as s:
            try:
                for _ in range(3): s.sendto(bytes.fromhex(sys.argv[1]), found[4])
                print("sent")
            except OSError as error: print(type(error).__name__)
"""


def test_quic_falls_back_at_once(programs):
    """Each first datagram is refused to the sender, who need not wait to try TCP."""
    done = programs("python3", "-c", QUIC, initial().hex(), "web.test", GOOD, GOOD6, EVIL, EVIL6)
    assert done.returncode == 0 and set(done.stdout.split()) == {"PermissionError"}, done
    programs.refused(layer="kernel", protocol="udp", port=443, reason="no-rule")


def test_a_granted_datagram_is_answered(programs):
    talk = "exec 3<>/dev/udp/%s/%d; echo hello >&3; timeout 2 dd bs=2048 count=1 status=none <&3"
    assert programs("bash", "-c", talk % (GOOD, 123)).stdout == "echo hello\n"
    assert programs("bash", "-c", talk % (GOOD, 124)).stdout == ""
    programs.refused(layer="kernel", protocol="udp", host=GOOD, port=124, reason="no-rule")


# -- what raw sockets add

RAW = """
import socket, struct, sys
def tried(make, send):
    try: s = make()
    except OSError: print("none"); return
    try: send(s); print("sent")
    except OSError: print("refused")
syn = struct.pack(">HHIIBBHHH", 40000, 22, 1, 0, 5 << 4, 2, 1024, 0, 0)
for address in sys.argv[1:]:
    tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP), lambda s: s.sendto(syn, (address, 0)))
    tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), lambda s: s.sendto(b"\\x08\\0\\0\\0\\0\\1\\0\\1MARK", (address, 0)))
    tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP), lambda s: s.sendto(b"\\0\\x7b\\x01\\xbb\\0\\x0cMARK", (address, 0)))
def frame():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("a0", 0x0800)); return s
tried(frame, lambda s: s.send(b"\\xff" * 12 + b"\\x08\\0" + b"\\x45" + b"MARK" * 15))
def marked():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1); return s
tried(marked, lambda s: s.sendto(b"MARK", (sys.argv[1], 443)))
"""


def test_NFT_04_raw_sockets_send_nothing_out(programs):
    done = programs("python3", "-c", RAW, EVIL, GOOD)
    said = done.stdout.split()
    # A handshake of one's own making is captured like any other; nothing else is even taken.
    taken = ["sent", "refused", "refused"] * 2 + ["refused"] * 2
    assert said == (taken if programs.holds_raw else ["none"] * 8), done
    assert programs.opened() == programs.before
    # The control: what a rule grants still passes from here.
    assert programs("redis-cli", "-h", "cache.test", "ping").stdout == "PONG\n"
