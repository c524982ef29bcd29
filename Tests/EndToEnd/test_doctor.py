"""`exitgate doctor`: what it sees as root, as an ordinary user, without a capability, and in namespaces."""
import ctypes, errno, json, os, platform, struct, subprocess, sys

import pytest

from harness.gate import BINARY, QUIET, eventually
from harness.sidecar import GROUPS

MODES = ("serve", "run", "sidecar", "gateway")


class Host:
    """What one run of the doctor says."""

    def __init__(self, *prefix, mode=None, group=None, **options):
        flags = ["--for", mode] if mode else []
        enter = (lambda: group and (group / "cgroup.procs").write_text(str(os.getpid())))
        done = subprocess.run([*map(str, prefix), BINARY, "doctor", "--json", *flags], capture_output=True, text=True,
                              timeout=60, env=QUIET, preexec_fn=options.pop("preexec_fn", enter), **options)
        self.status, self.said = done.returncode, done.stderr
        assert self.status in (0, 69), done
        told = json.loads(done.stdout)
        self.findings = {finding["id"]: finding for finding in told["findings"]}
        self.modes = {mode["mode"]: mode for mode in told["modes"]}

    def verdict(self, mode):
        return self.modes[mode]["verdict"]

    def losses(self, mode, severity):
        return {loss["finding"]: loss for loss in self.modes[mode]["losses"] if loss["severity"] == severity}


@pytest.fixture
def inside(bench):
    """The agent's namespace of the bench, with the control groups of the host."""
    return ["nsenter", f"--net=/run/netns/{bench.names['agent']}"]


@pytest.fixture
def group():
    """A control group that nobody else is in."""
    if not GROUPS:
        pytest.skip("needs cgroup v2")
    made = GROUPS / f"xg-doctor-{os.getpid()}"
    made.mkdir()
    yield made
    eventually(lambda: not made.joinpath("cgroup.procs").read_text())
    made.rmdir()


def tables(inside):
    return subprocess.run([*inside, "nft", "list", "tables"], capture_output=True, text=True, check=True).stdout


def test_as_root_everything_is_looked_at_and_nothing_is_left(inside, group):
    host = Host(*inside, mode="sidecar", group=group)
    assert host.status == 0, host.losses("sidecar", "required")
    assert list(host.modes) == list(MODES)
    for word in ("nf-tables:tproxy", "nf-tables:connection-tracking-with-marks", "nf-tables:table-flags-owner-and-persist",
                 "nf-tables:limit-and-log-to-a-group", "net-admin", "landlock", "seccomp"):
        assert host.findings[word]["state"] == "present", host.findings[word]
    assert host.findings["cgroup"]["detail"].startswith("alone in /") and "delegated" in host.findings["cgroup"]["detail"]
    assert host.verdict("serve") == "runs" and host.modes["sidecar"]["built"]
    assert host.findings["landlock"]["detail"] == f"ABI {landlock()}"
    assert tables(inside) == "", "the scratch tables are gone"


def landlock():
    return ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)


def test_its_word_is_the_starts_word(inside, group, tmp_path):
    """Where the doctor says no for want of a control group, the start says no for the same; and the other way round."""
    if GROUPS is None or os.path.exists(GROUPS / "cgroup.events"):
        pytest.skip("needs the root of cgroup v2")
    host = Host(*inside, mode="sidecar", preexec_fn=lambda: (GROUPS / "cgroup.procs").write_text(str(os.getpid())))
    assert host.status == 69 and list(host.losses("sidecar", "required")) == ["cgroup"]
    assert "--accept-weaker-exemption" in host.losses("sidecar", "required")["cgroup"]["remedy"]
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nrules: []\n")
    started = subprocess.run([*inside, BINARY, "sidecar", "--policy", policy, "--dns-upstream", "11.11.0.53"], env=QUIET,
                             capture_output=True, text=True, timeout=20)
    assert started.returncode == 69 and "control group" in started.stderr
    assert tables(inside) == ""


def test_an_ordinary_user_is_told_what_could_not_be_looked_at(inside):
    host = Host(*inside, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", mode="sidecar")
    assert host.status == 69
    required = host.losses("sidecar", "required")
    assert set(required) >= {"net-admin", "nf-tables"} and host.findings["nf-tables"]["state"] == "not looked at"
    assert host.verdict("sidecar") == host.verdict("gateway") == "cannot"
    assert host.verdict("serve") == "weaker" and "unprivileged-ports" in host.losses("serve", "weakens")
    assert Host(*inside, "setpriv", "--reuid", "65534", "--clear-groups", mode="serve").status == 0


def test_root_without_the_capability_is_no_better(inside):
    host = Host(*inside, "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-all", mode="gateway")
    assert host.status == 69 and host.findings["net-admin"]["state"] == "absent"
    assert "NET_ADMIN" in host.losses("gateway", "required")["net-admin"]["remedy"]
    assert host.findings["transparent"]["state"] == "present", "CAP_NET_RAW is enough for that"
    host = Host(*inside, "setpriv", "--bounding-set", "-setuid,-setgid", "--inh-caps", "-all", mode="sidecar")
    assert host.status == 69 and "SETUID" in host.losses("sidecar", "required")["gate-user"]["remedy"]


def test_in_a_user_namespace_the_capability_counts_for_its_own_network_alone(inside):
    own = Host(*inside, "unshare", "-Urn", mode="sidecar")
    assert own.findings["net-admin"]["state"] == "present" and own.findings["nf-tables:reject"]["state"] == "present"
    assert own.status == 69 and "gate-user" in own.losses("sidecar", "required"), "one user alone is mapped"
    other = Host(*inside, "unshare", "-Ur", mode="sidecar")
    assert other.findings["net-admin"]["state"] == "limited" and other.verdict("sidecar") == "cannot"
    assert other.findings["nf-tables"]["state"] == "not looked at"


def test_what_people_read_says_the_same(inside):
    done = subprocess.run([*inside, "setpriv", "--reuid", "65534", "--clear-groups", BINARY, "doctor", "--for", "sidecar"],
                          capture_output=True, text=True, timeout=60, env=QUIET)
    assert done.returncode == 69 and done.stderr == ""
    assert "sidecar: CANNOT run here" in done.stdout and "required: CAP_NET_ADMIN: " in done.stdout
    assert "gateway:" not in done.stdout


# -- ATTACKS

def test_NFT_13_user_namespaces_are_reported_and_can_be_closed(inside):
    """In a namespace whose limit is 0, as the recommended sysctl has it, and in one without."""
    unpriv = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    host = Host(*inside, *unpriv)
    assert host.findings["user-namespaces"]["state"] == "present"
    assert host.verdict("run") in ("runs", "weaker"), host.losses("run", "required")
    exposed = host.losses("sidecar", "exposes")
    assert "nf_tables" in exposed["user-namespaces"]["loss"] and "max_user_namespaces=0" in exposed["user-namespaces"]["remedy"]
    reached = subprocess.run([*inside, *unpriv, "unshare", "-Urn", "nft", "list", "ruleset"], capture_output=True, text=True)
    assert reached.returncode == 0, "the control: it is as the doctor says"
    shut = ("unshare", "-Ur", "sh", "-c", 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"', "sh")
    host = Host(*inside, *shut)
    assert host.findings["user-namespaces"]["state"] == "absent" and host.verdict("run") == "cannot"
    assert "user.max_user_namespaces" in host.losses("run", "required")["user-namespaces"]["remedy"]
    assert "user-namespaces" not in host.losses("sidecar", "exposes")
    refused = subprocess.run([*inside, *shut, "unshare", "-Urn", "nft", "list", "ruleset"], capture_output=True, text=True)
    assert refused.returncode != 0 and "No space left" in refused.stderr


FAMILIES = {"VSOCK": (40, 1), "ALG": (38, 5), "PACKET": (17, 3), "TIPC": (30, 5), "KCM": (41, 2), "XDP": (44, 3)}
OPENS = """
import socket, sys
for family, kind in zip(sys.argv[1::2], sys.argv[2::2]):
    try: socket.socket(int(family), int(kind), 0).close(); print("open")
    except OSError as error: print(error.errno)
"""


def profile():
    """The recommended profile of an agent, as seccomp(2) takes it: sockets of UNIX, INET, INET6 and routes, no
    io_uring, no user namespaces."""
    socket_, unshare, uring = (41, 272, 425) if platform.machine() == "x86_64" else (198, 97, 425)
    allow, deny = (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | errno.EPERM)
    load = lambda offset: (0x20, 0, 0, offset)  # of struct seccomp_data: 0 the call, 16 and 32 arguments
    jump = lambda here, value, there, kind=0x15: (kind, there - here - 1, 0, value)
    program = [load(0), jump(1, uring, 13), jump(2, unshare, 5), jump(3, socket_, 8), allow,
               load(16), jump(6, 0x10000000, 13, kind=0x45), allow,
               load(16), jump(9, 1, 17), jump(10, 2, 17), jump(11, 10, 17), jump(12, 16, 14), deny,
               load(32), jump(15, 0, 17), deny, allow]
    code = b"".join(struct.pack("HBBI", *one) for one in program)
    buffer = ctypes.create_string_buffer(code)
    libc = ctypes.CDLL(None, use_errno=True)

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    whole = Program(len(program), ctypes.addressof(buffer))
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(whole), 0, 0) == 0, os.strerror(ctypes.get_errno())


def test_NFT_25_families_past_the_table_are_reported_and_can_be_closed(inside):
    words = [str(number) for pair in FAMILIES.values() for number in pair]
    really = dict(zip(FAMILIES, subprocess.run([*inside, sys.executable, "-c", OPENS, *words], capture_output=True, text=True,
                                               check=True).stdout.split()))
    host = Host(*inside)
    assert "open" in really.values(), "the control: some of them open here"
    for name, found in really.items():
        assert (host.findings[f"family:{name}"]["state"] == "present") == (found == "open"), (name, found)
        assert (f"family:{name}" in host.losses("sidecar", "exposes")) == (found == "open")
    assert host.findings["io-uring"]["state"] == "present" and "io-uring" in host.losses("sidecar", "exposes")
    host = Host(*inside, preexec_fn=profile)
    assert host.losses("sidecar", "exposes") == {}, "nothing is left open under the recommended profile"
    assert all(host.findings[f"family:{name}"]["state"] == "absent" for name in FAMILIES)
    assert host.findings["user-namespaces"]["detail"].startswith("refused: Operation not permitted")
