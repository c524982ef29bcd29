"""Hosts that lack something: `exitgate run` refuses with the remedy, and goes on weaker only where it is told to, loudly."""
import pathlib, platform, subprocess

import pytest

from harness.box import PYTHON

X86 = platform.machine() == "x86_64"
UNSHARE, RULESET = 272 if X86 else 97, 444
# Has a system call fail with an errno for what is started: seccomp(2) by prctl(2), one comparison.
WITHOUT = """
import ctypes, os, struct, sys
number, errno = int(sys.argv[1]), int(sys.argv[2])
code = b"".join(struct.pack("HBBI", *i) for i in ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | errno), (0x06, 0, 0, 0x7fff0000)))
buffer = ctypes.create_string_buffer(code, len(code))
class Program(ctypes.Structure): _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(4, ctypes.addressof(buffer))), 0, 0) == 0, ctypes.get_errno()
os.execvp(sys.argv[3], sys.argv[3:])
"""


def on(box, prefix, *command, flags=()):
    """The command with something in front of the gate: behind the change of user, where it is the ordinary user's."""
    whole = box.command(*command, flags=flags)
    at = whole.index(box.binary) if box.binary in whole else whole.index(str(box.binary))
    return subprocess.run([*map(str, whole[:at]), *map(str, prefix), *map(str, whole[at:])], capture_output=True, text=True,
                          timeout=30, env=box.environment(), cwd=box.project, stdin=subprocess.DEVNULL)


def without(number, errno):
    return [PYTHON, "-c", WITHOUT, number, errno]


def test_without_user_namespaces_nothing_starts(box):
    done = on(box, without(UNSHARE, 1), "sh", "-c", "echo ran")
    assert done.returncode == 69 and "ran" not in done.stdout, done
    assert "cannot make a user namespace: " in done.stderr and "max_user_namespaces" in done.stderr
    done = on(box, without(UNSHARE, 1), "true", flags=("--allow-weaker", "user-namespace"))
    assert done.returncode == 64 and "nothing holds without user-namespace" in done.stderr


def test_without_landlock_it_starts_only_when_told(box):
    done = on(box, without(RULESET, 38), "sh", "-c", "echo ran")
    assert done.returncode == 69 and "ran" not in done.stdout and "Landlock" in done.stderr and "--allow-weaker landlock" in done.stderr, done
    done = on(box, without(RULESET, 38), "sh", "-c", "echo ran; touch /usr/x ~/y; ls /srv", flags=("--allow-weaker", "landlock"))
    assert "ran\n" in done.stdout and "WEAKER" in done.stderr and "landlock" in done.stderr, done
    assert not pathlib.Path("/usr/x").exists() and "audit" not in done.stdout, "the view of files holds without it"
    assert [r for r in box.records(event="notice") if r["detail"] == "run: WEAKER without: landlock"]


def test_with_a_masked_proc_it_starts_only_when_told(box):
    masked = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /proc/tty && exec \"$@\"", "sh"]

    def under(*command, flags=()):
        return subprocess.run([*masked, *box.command(*command, flags=flags)], capture_output=True, text=True, timeout=30,
                              env=box.environment(), cwd=box.project, stdin=subprocess.DEVNULL)

    done = under("sh", "-c", "echo ran")
    assert done.returncode == 69 and "cannot mount /proc" in done.stderr and "--allow-weaker proc" in done.stderr and "ran" not in done.stdout, done
    done = under("sh", "-c", "echo ran; ls /proc", flags=("--allow-weaker", "proc"))
    assert done.returncode == 0 and done.stdout == "ran\n" and "WEAKER" in done.stderr, done


# Answers the question for Landlock's ABI with another number, and lets all else pass: seccomp_unotify(2).
OLD_LANDLOCK = """
import ctypes, fcntl, os, socket, struct, sys
number, filter_call, abi = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
code = b"".join(struct.pack("HBBI", *i) for i in ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x7fc00000), (0x06, 0, 0, 0x7fff0000)))
buffer = ctypes.create_string_buffer(code, len(code))
class Program(ctypes.Structure): _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    listener = libc.syscall(filter_call, 1, 8, ctypes.byref(Program(4, ctypes.addressof(buffer))))
    assert listener >= 0, ctypes.get_errno()
    socket.send_fds(theirs, [b"x"], [listener])
    os.close(listener)
    os.execvp(sys.argv[4], sys.argv[4:])
_, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
if os.fork() == 0:
    for descriptor in (0, 1, 2): os.close(descriptor)
    while True:
        notice = bytearray(80)
        try: fcntl.ioctl(listener, 0xc0502100, notice)
        except OSError: os._exit(0)
        asked = struct.unpack_from("6Q", notice, 32)
        answer = struct.pack("=QqiI", struct.unpack_from("Q", notice)[0], abi if asked[2] & 1 else 0, 0, 0 if asked[2] & 1 else 1)
        try: fcntl.ioctl(listener, 0xc0182101, bytearray(answer))
        except OSError: pass
_, status = os.waitpid(child, 0)
os._exit(os.waitstatus_to_exitcode(status))
"""
SECCOMP = 317 if X86 else 277


def test_with_an_old_landlock_it_starts_only_when_told(box):
    for abi, first in ((1, "moving files between directories"), (2, "truncating files"), (4, "ioctl(2) on devices"), (5, "reaching abstract Unix sockets")):
        old = [PYTHON, "-c", OLD_LANDLOCK, RULESET, SECCOMP, abi]
        done = on(box, old, "sh", "-c", "echo ran")
        assert done.returncode == 69 and "ran" not in done.stdout, (abi, done)
        assert first in done.stderr and f"Landlock's ABI is {abi}" in done.stderr and "Use Linux 6.12 or later" in done.stderr, (abi, done)
    done = on(box, [PYTHON, "-c", OLD_LANDLOCK, RULESET, SECCOMP, 1], "sh", "-c", "echo ran; touch /usr/x", flags=("--allow-weaker", "landlock"))
    assert "ran\n" in done.stdout and "WEAKER: truncating files is not limited: Landlock's ABI is 1, 3 is needed" in done.stderr, done
    assert not pathlib.Path("/usr/x").exists(), "what there is of it holds, and the view of files"
    told = [r["detail"] for r in box.records(event="notice")]
    assert "run: WEAKER: truncating files is not limited: Landlock's ABI is 1, 3 is needed" in told, told
    done = on(box, [PYTHON, "-c", OLD_LANDLOCK, RULESET, SECCOMP, 6], "sh", "-c", "echo ran")
    assert done.returncode == 0 and done.stdout == "ran\n" and "WEAKER" not in done.stderr, done


# Has unshare(2) make a user namespace and nothing else, as where AppArmor takes the rights in it away.
NO_RIGHTS = WITHOUT.replace("((0x20, 0, 0, 0), (0x15, 0, 1, number),", "((0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x45, 1, 0, 0x10000000),").replace(
    "Program(4,", "Program(6,")


def test_where_apparmor_takes_the_rights_in_a_user_namespace_nothing_starts(box):
    assert "Program(6," in NO_RIGHTS and "(0x45," in NO_RIGHTS
    done = on(box, [PYTHON, "-c", NO_RIGHTS, UNSHARE, 1], "sh", "-c", "echo ran")
    assert done.returncode == 69 and "ran" not in done.stdout, done
    assert "cannot make namespaces within the user namespace: Operation not permitted" in done.stderr, done
    assert "kernel.apparmor_restrict_unprivileged_userns=0" in done.stderr and "'userns,'" in done.stderr
    done = on(box, [PYTHON, "-c", NO_RIGHTS, UNSHARE, 1], "true", flags=("--allow-weaker", "namespaces"))
    assert done.returncode == 64 and "nothing holds without namespaces" in done.stderr


def test_where_the_number_of_user_namespaces_is_nought_nothing_starts(box):
    within = ["unshare", "--user", "--map-root-user", "sh", "-c", 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"', "sh"]
    done = on(box, within, "sh", "-c", "echo ran")
    assert done.returncode == 69 and "ran" not in done.stdout, done
    assert "cannot make a user namespace: " in done.stderr and "sysctl user.max_user_namespaces=10000" in done.stderr, done
    done = on(box, [*within[:-2], 'exec "$@"', "sh"], "sh", "-c", "echo ran", flags=("--allow-weaker", "proc"))
    assert done.returncode == 0 and done.stdout == "ran\n", ("the same where there may be some", done)


def test_with_a_proc_that_is_read_only_nothing_starts(box):
    fixed = ["unshare", "-m", "sh", "-c", 'mount -o bind,remount,ro /proc && exec "$@"', "sh"]
    for flags in ((), ("--allow-weaker", "proc")):
        done = subprocess.run([*fixed, *box.command("sh", "-c", "echo ran", flags=flags)], capture_output=True, text=True, timeout=30,
                              env=box.environment(), cwd=box.project, stdin=subprocess.DEVNULL)
        assert done.returncode == 69 and "ran" not in done.stdout, done
        assert "Read-only file system" in done.stderr and "mount -o remount,rw /proc" in done.stderr, done
    done = subprocess.run([*fixed[:-2], 'exec "$@"', "sh", *box.command("sh", "-c", "echo ran")], capture_output=True, text=True, timeout=30,
                          env=box.environment(), cwd=box.project, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and done.stdout == "ran\n", ("the same with the host's own", done)
