"""The sandbox of `exitgate run` under attack, from within; by an ordinary user and by root."""
import contextlib, json, os, platform, signal, subprocess

import pytest

from harness.box import POLICY, PYTHON, Trap
from harness.far import Accepted, Asked
from harness.namespaces import EVIL, EVIL6

SYSCALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return result, ctypes.get_errno()
"""
TRY = """
import socket
def tries(path):
    s = socket.socket(socket.AF_UNIX)
    try: s.connect(path); return "CONNECTED"
    except OSError as error: return type(error).__name__
"""


def reaches_the_world(box):
    """The positive control of a test: what a rule names still passes."""
    mark = box.far.mark()
    assert box.run("curl", "-sS", "--noproxy", "*", "-m", "5", "http://web.test/").stdout.startswith("origin")
    assert len(box.far.since(mark, Accepted)) == 1


def test_SBX_01_a_client_that_ignores_proxy_settings(box):
    reaches_the_world(box)
    mark = box.far.mark()
    for command in (
        ("env", "-u", "HTTPS_PROXY", "-u", "https_proxy", "curl", "-sk", "-m", "3", f"https://{EVIL}/"),
        ("env", "NO_PROXY=*", "no_proxy=*", "curl", "-sk", "-m", "3", f"https://{EVIL}/"),
        ("curl", "-sk", "-m", "3", "--noproxy", "*", f"https://{EVIL}/"),
        ("curl", "-sk", "-m", "3", "--noproxy", "*", "--connect-to", f"web.test:443:{EVIL}:443", "https://web.test/"),
        ("curl", "-sk", "-m", "3", "--noproxy", "*", "--resolve", f"web.test:443:{EVIL}", "https://web.test/"),
    ):
        assert box.run(*command).returncode != 0, command
    script = "import socket; s = socket.create_connection((%r, 443), 3); s.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n'); print(s.recv(9))"
    for address in (EVIL, EVIL6):
        assert "FLIGHT" not in box.run(PYTHON, "-c", script % address).stdout
    assert box.far.since(mark, Accepted) == []


@pytest.fixture
def traps(box, tmp_path):
    """Sockets of the host where daemons have theirs, in the gate's network as in the host's."""
    places = ["/run/exitgate-trap.sock", "/tmp/exitgate-trap.sock", "/var/lib/exitgate-trap.sock", f"{box.home}/trap.sock",
              "/dev/shm/exitgate-trap.sock", f"{box.work}/trap.sock", "\0exitgate-trap"]
    with box.bench.inside("gw"):
        made = [Trap(place) for place in places]
    made.append(Trap("\0exitgate-trap-of-the-host"))
    yield made
    for trap in made:
        trap.close()


def attempts(box, addresses, flags=()):
    return box.python(TRY + "import sys, json\nfor a in json.loads(sys.argv[1]): print(tries(a))", json.dumps(addresses), flags=flags).split()


def test_SBX_02_SBX_03_SBX_05_sockets_of_daemons_are_not_there(box, traps):
    paths = [trap.address for trap in traps if not trap.address.startswith("\0")]
    outside = subprocess.run(box.on_host("/usr/bin/python3", "-c", TRY + "import sys\nfor a in sys.argv[1:]: print(tries(a))", *paths),
                             capture_output=True, text=True, cwd="/")
    reachable = outside.stdout.split().count("CONNECTED")
    assert reachable >= len(paths) - 1, "the traps stand open to the same user outside"  # a home may be closed to it
    assert sum(trap.count() for trap in traps) == reachable
    wellknown = ["/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock",
                 "/run/crio/crio.sock", "/run/dbus/system_bus_socket", f"/run/user/{box.account.pw_uid}/bus",
                 "/run/systemd/private", "/run/systemd/resolve/io.systemd.Resolve", "/var/lib/lxd/unix.socket"]
    said = attempts(box, paths + wellknown)
    assert len(said) == len(paths + wellknown) and "CONNECTED" not in said, said
    assert sum(trap.count() for trap in traps) == reachable, "a socket of the host was reached"
    for name in ("SSH_AUTH_SOCK", "GPG_AGENT_INFO", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "TMUX"):
        assert box.run("sh", "-c", f"echo [${name}]", env={name: paths[1]}).stdout == "[]\n"
    # Named, it is reached, and the log says so.
    shown = f"{box.work}/trap.sock"
    assert attempts(box, [shown], flags=("--write", shown)) == ["CONNECTED"]
    assert [r for r in box.records(event="notice") if r["detail"] == f"run: writable: {shown}"]


def test_SBX_04_abstract_sockets_of_the_host_are_not_there(box, traps):
    names = [trap.address for trap in traps if trap.address.startswith("\0")] + ["\0/tmp/.X11-unix/X0"]
    inside = subprocess.run(box.on_host("/usr/bin/python3", "-c", TRY + "print(tries('\\0exitgate-trap'))"), capture_output=True, text=True, cwd="/")
    assert inside.stdout == "CONNECTED\n"
    counted = sum(trap.count() for trap in traps)
    assert set(attempts(box, names)) == {"ConnectionRefusedError"}
    assert sum(trap.count() for trap in traps) == counted


def test_SBX_06_io_uring_and_other_families_are_closed(box):
    script = SYSCALL + """
import socket
parameters = ctypes.create_string_buffer(120)
print("io_uring", *call(425, 4, parameters), *call(426, 0, 0, 0, 0, 0, 0), *call(427, 0, 0, 0, 0))
for family, kind, protocol in ((40, 1, 0), (17, 3, 0x0300), (17, 2, 0), (38, 5, 0), (16, 3, 12), (16, 3, 15), (16, 3, 16), (2, 3, 1), (2, 10, 0x0300), (10, 3, 58), (29, 3, 1), (44, 2, 0)):
    print("socket", family, *call(41 if sys.argv[1] == "x86_64" else 198, family, kind, protocol))
for family, kind in ((2, 1), (2, 2), (10, 1), (10, 2), (1, 1), (16, 3)):
    print("plain", family, call(41 if sys.argv[1] == "x86_64" else 198, family, kind, 0)[0] >= 0)
"""
    said = box.python(script, platform.machine()).splitlines()
    assert said[0] == "io_uring -1 38 -1 38 -1 38", said
    assert len([line for line in said if line.startswith("socket") and line.split()[2] == "-1"]) == 12, said
    assert [line for line in said if line.startswith("plain")] == [f"plain {family} True" for family in (2, 2, 10, 10, 1, 16)]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the other ABIs are of x86_64")
def test_SBX_07_foreign_system_calls_kill(box):
    # mov eax,359 (socket); push rbx; mov ebx,2; mov ecx,1; xor edx,edx; int 0x80; pop rbx; ret
    i386 = bytes.fromhex("b867010000" "53" "bb02000000" "b901000000" "31d2" "cd80" "5b" "c3")
    # mov eax,0x40000029 (x32 socket); mov edi,2; mov esi,1; xor edx,edx; syscall; ret
    x32 = bytes.fromhex("b829000040" "bf02000000" "be01000000" "31d2" "0f05" "c3")
    native = bytes.fromhex("b829000000" "bf02000000" "be01000000" "31d2" "0f05" "c3")
    script = """
import ctypes, mmap, sys
page = mmap.mmap(-1, 4096, prot=7); page.write(bytes.fromhex(sys.argv[1]))
print(ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))() >= 0)
"""
    assert box.run(PYTHON, "-c", script, native.hex()).stdout == "True\n"
    for code in (i386, x32):
        done = box.run(PYTHON, "-c", script, code.hex())
        assert done.returncode == 128 + signal.SIGSYS and done.stdout == "", done


def test_SBX_08_the_gate_is_neither_seen_nor_steered(box):
    script = SYSCALL + """
print([int(name) for name in os.listdir("/proc") if name.isdigit()] == [os.getpid()])
for name in ("mem", "environ", "maps", "root", "cwd", "fd", "ns/net", "exe"):
    try: os.open(f"/proc/1/{name}", os.O_RDONLY) if name not in ("root", "cwd") else os.listdir(f"/proc/1/{name}"); print("OPEN", name)
    except OSError: print("closed")
for signal in (9, 19, 15):
    try: os.kill(1, signal); print("sent", signal)
    except OSError as error: print("refused")
for number in (101, 310, 311, 438, 312, 434):
    print(number, *call(number, 16, 1, 0, 0, 0, 0) if number == 101 else call(number, 1, 0, 0, 0, 0))
"""
    said = box.python(script).splitlines()
    assert said[0] == "True", "other processes than its own are seen"
    assert "OPEN" not in " ".join(said) and said.count("closed") == 8, said
    assert "sent 9" not in said and "sent 19" not in said, said
    for number in (101, 310, 311, 438, 312):
        assert f"{number} -1 1" in said, said
    # And it is there: the command runs, the gate answers.
    reaches_the_world(box)


def test_SBX_09_no_way_into_another_namespace_or_group(box):
    script = SYSCALL + """
for what in ("/proc/1/ns/net", "/proc/self/ns/net", "/proc/self/ns/user"):
    try: print(what, *call(308, os.open(what, os.O_RDONLY), 0))
    except OSError as error: print(what, "closed")
for flags in (0x10000000, 0x40000000, 0x20000, 0x20000000, 0x08000000, 0x02000000, 0x04000000, 0x80, 0x50000000):
    print("unshare", *call(272, flags), "clone", *call(56, flags | 17, 0, 0, 0, 0))
print("clone3", *call(435, ctypes.create_string_buffer(88), 88))
for path in ("/run/netns", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs"):
    print(path, os.path.exists(path))
"""
    said = box.python(script).splitlines()
    assert all(line.endswith(("closed", "-1 1")) for line in said[:3]), said
    assert said[3:12] == ["unshare -1 1 clone -1 1"] * 7 + [said[10]] + ["unshare -1 1 clone -1 1"], said
    assert said[10].startswith("unshare -1 1 "), "the last of these bits is part of clone's signal"
    assert said[12] == "clone3 -1 38" and all(line.endswith("False") for line in said[13:]), said
    assert box.run("unshare", "-Urn", "true").returncode != 0 and box.run("sh", "-c", "true & wait").returncode == 0


def test_SBX_10_only_the_three_streams_are_open(box):
    reader, writer = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, reader), stack.callback(os.close, writer)
        netns = os.open(f"/run/netns/{box.bench.names['gw']}", os.O_RDONLY)
        stack.callback(os.close, netns)
        command = box.command(PYTHON, "-c", "import os; print(sorted(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/fd')))")
        done = subprocess.run(command, pass_fds=(writer, netns), capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env=box.environment(), cwd=box.project, timeout=30)
    assert done.stdout == "['0', '1', '2', '3'] 4\n", done  # the fourth is the listing's own


def test_SBX_11_the_gates_ports_are_taken(box):
    script = """
import socket
for family, address, kind, port in ((2, "127.0.0.1", 1, 3128), (2, "127.0.0.1", 1, 15001), (2, "127.0.0.1", 2, 15353), (10, "::1", 1, 3128), (10, "::1", 1, 15001), (10, "::1", 2, 15353)):
    s = socket.socket(family, kind)
    s.setsockopt(1, 2, 1); s.setsockopt(1, 15, 1)
    try: s.bind((address, port)); s.listen() if kind == 1 else None; print("BOUND")
    except OSError as error: print(error.errno)
"""
    assert box.python(script).split() == ["98"] * 6


def test_SBX_12_a_command_cannot_loosen_its_policy(box):
    folder = box.project / "conf"
    folder.mkdir(exist_ok=True)
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    for path in (folder, policy):
        os.chown(path, box.account.pw_uid, box.account.pw_gid)
    script = """
import os, sys
policy, folder = sys.argv[1:]
def tries(what, *arguments):
    try: what(*arguments); print("DONE", what, arguments)
    except OSError as error: print(type(error).__name__)
tries(open, policy, "w"); tries(open, policy, "a"); tries(os.unlink, policy); tries(os.rename, policy, policy + "2")
open(folder + "/other", "w").close(); tries(os.replace, folder + "/other", policy)
tries(os.rename, folder, folder + "2")
tries(os.chmod, policy, 0o777); tries(os.truncate, policy, 0)
print(open(policy).read()[:10])
"""
    said = box.python(script, policy, folder, policy=policy)
    assert "DONE" not in said and said.splitlines()[-1] == "version: 1", said
    assert policy.read_text() == POLICY
    for flag in ("--audit-log", "--control"):
        done = box.run("true", flags=(flag, box.project / "mine"))
        assert done.returncode == 78 and "the command could change" in done.stderr and not (box.project / "mine").exists(), done


ROOT_INSIDE = """
import socket, sys
sent = []
for family, address in ((2, "11.66.0.66"), (2, "11.11.0.10"), (2, "11.11.0.53"), (10, "2a0e:b107:66::66"), (2, "10.66.0.2")):
    for kind, port in ((1, 80), (1, 443), (2, 53), (2, 123)):
        s = socket.socket(family, kind); s.settimeout(1)
        try: s.connect((address, port)); s.send(b"GET / HTTP/1.0\\r\\n\\r\\n"); s.recv(64)
        except OSError: pass
for family, protocol in ((2, 1), (10, 58), (2, 255)):
    try: socket.socket(family, 3, protocol).sendto(b"\\x08\\x00\\xf7\\xff\\x00\\x00\\x00\\x00" * 4, ("11.66.0.66" if family == 2 else "2a0e:b107:66::66", 0))
    except OSError: pass
for device in ("lo", "trap0"):
    try:
        s = socket.socket(17, 3, 0x0300); s.bind((device, 0x0800)); s.send(b"\\xff" * 14 + b"\\x45" + b"\\0" * 40)
    except OSError: pass
"""


def test_NFT_12_20_root_in_the_commands_namespaces_gets_nothing_out(box):
    """Somebody who got every capability there is inside changes everything there, and the way out is still none."""
    process, line = box.start("sh", "-c", "echo up; sleep 60")
    assert line == "up"

    def inside(*command):
        return box.inside(process, *command)

    assert "CapEff:\t000001ff" in inside("cat", "/proc/self/status").stdout
    before, mark = box.seen(), box.far.mark()
    assert "nat_out" in inside("nft", "list", "ruleset").stdout
    inside("nft", "flush", "ruleset")
    assert inside("nft", "delete", "table", "inet", "exitgate").returncode != 0, "the table has an owner"
    assert "nat_out" in inside("nft", "list", "ruleset").stdout
    for command in (("ip", "link", "add", "trap0", "type", "veth", "peer", "name", "trap1"), ("ip", "link", "set", "trap0", "up"),
                    ("ip", "link", "set", "trap1", "up"), ("ip", "addr", "add", "11.11.0.99/16", "dev", "trap0"),
                    ("ip", "route", "flush", "table", "local"), ("ip", "route", "add", "default", "dev", "trap0"),
                    ("ip", "-6", "route", "add", "default", "dev", "trap0"), ("sysctl", "-w", "net.ipv4.ip_forward=1")):
        inside(*command)
    assert "trap0" in inside("ip", "link").stdout, "the changes took effect"
    inside(PYTHON, "-c", ROOT_INSIDE)
    assert box.seen() == before and box.far.since(mark, Accepted) == [] and box.far.since(mark, Asked) == []
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
    reaches_the_world(box)


def test_a_command_cannot_change_its_network_itself(box):
    for command in (("nft", "flush", "ruleset"), ("ip", "link", "add", "d0", "type", "dummy"), ("ip", "route", "add", "11.0.0.0/8", "dev", "lo"),
                    ("ip", "link", "set", "lo", "down"), ("iptables", "-F"), ("mount", "-t", "tmpfs", "none", "/tmp"), ("umount", "/tmp"),
                    ("chroot", "/", "true"), ("hostname", "other")):
        assert box.run(*command).returncode != 0, command
    assert "CapEff:\t0000000000000000" in box.run("cat", "/proc/self/status").stdout


def test_the_terminal_cannot_be_typed_into(box):
    script = SYSCALL + "print(*call(16, 0, 0x5412, ctypes.create_string_buffer(b'x')), *call(16, 0, 0x541C, ctypes.create_string_buffer(b'\\x02')), *call(16, 0, 0xdead00005412, ctypes.create_string_buffer(b'x')))"
    assert box.python(script) == "-1 1 -1 1 -1 1\n"
