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
