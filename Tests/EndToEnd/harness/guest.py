"""A machine of its own for `exitgate run`: Debian's kernel, the gate under test, and no network.

What this host's kernel is not, it can be: one with a tree of control groups whose controllers are free, and with a Landlock of 2022.
"""
import pathlib, re, shutil, stat, subprocess, tempfile

from .microvm import BUSYBOX, KERNEL, QEMU, archive, life

PROGRAMS = "sh mount umount switch_root mkdir rmdir chown chmod cp touch cat ls echo sleep su id dd grep ip modprobe timeout poweroff seq env tail".split()
# pivot_root(2) leaves no initramfs, so the machine moves to a file system in memory first.
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
if [ ! -e /moved ]; then
  echo "### up"
  mkdir /new; mount -t tmpfs -o mode=755,size=500m new /new
  for part in bin sbin etc usr lib lib64 opt home tmp run var tests init; do [ -e /$part ] && cp -a /$part /new/; done
  mkdir /new/proc /new/sys /new/dev; touch /new/moved
  umount /proc /sys /dev
  exec switch_root /new /init
fi
mount -t cgroup2 groups /sys/fs/cgroup; ip link set lo up; modprobe nf_tables; chmod 1777 /tmp; chown -R 1000:1000 /home/agent
try() { echo "### $1"; (cd /home/agent/project && timeout 60 sh "/tests/$1") 2>&1; status=$?; echo; echo "=== $1 $status"; }
for test in $(seq COUNT); do try $test; done
poweroff -f
"""


class Guest:
    """Runs shell `scripts` as root, one after the other, and holds what came of each: its status and what it said."""

    def __init__(self, binary, scripts, files=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="exitgate-guest"))
        try:
            (self.directory / "initrd").write_bytes(archive(self._files(binary, scripts, files)))
            command = [QEMU, "-M", "q35", "-m", "1024", "-no-user-config", "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio",
                       "-kernel", KERNEL, "-initrd", self.directory / "initrd", "-append", "console=ttyS0 quiet loglevel=0 panic=-1"]
            self.results = life(command, self.directory / "console", len(scripts), boots=(15, 120), ends=400)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    @staticmethod
    def _files(binary, scripts, files):
        program, plain = stat.S_IFREG | 0o755, stat.S_IFREG | 0o644
        made = set()

        def put(path, mode, data):
            for parent in reversed(pathlib.PurePath(path).parents):
                if str(parent) not in (".", "/", *made):
                    made.add(str(parent))
                    yield str(parent).lstrip("/"), stat.S_IFDIR | 0o755, b""
            yield path.lstrip("/"), mode, data

        stripped = subprocess.run(["strip", "-o", "/dev/stdout", binary], capture_output=True).stdout
        libraries = re.findall(r"(/\S+\.so\S*) \(", subprocess.run(["ldd", binary], capture_output=True, text=True).stdout)
        modules = pathlib.Path("/lib/modules", KERNEL.name.removeprefix("vmlinuz-"))
        wanted = [path for part in ("net/netfilter", "net/ipv4/netfilter", "net/ipv6/netfilter", "lib") for path in (modules / "kernel" / part).rglob("*.ko")]
        wanted += (modules / "kernel").rglob("crc32c*.ko")
        for name in ("proc/.", "sys/.", "dev/.", "tmp/.", "run/.", "var/tmp/.", "home/agent/project/."):
            yield from list(put(name.removesuffix("/.") + "/x", plain, b""))[:-1]
        yield from put("/bin/busybox", program, pathlib.Path(BUSYBOX).read_bytes())
        for name in PROGRAMS:
            yield from put(f"/bin/{name}", stat.S_IFLNK | 0o777, b"busybox")
        yield from put("/sbin/modprobe", stat.S_IFLNK | 0o777, b"/bin/busybox")
        yield from put("/usr/bin/exitgate", program, stripped or pathlib.Path(binary).read_bytes())
        for path in sorted({*libraries}):
            yield from put(path, program, pathlib.Path(path).read_bytes())
        for path in [*wanted, *(modules / f"modules.{name}" for name in ("dep", "alias", "symbols"))]:
            yield from put(str(path), plain, path.read_bytes())
        yield from put("/etc/passwd", plain, b"root:x:0:0:root:/:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n")
        yield from put("/etc/group", plain, b"root:x:0:\nagent:x:1000:\n")
        yield from put("/etc/resolv.conf", plain, b"nameserver 127.0.0.1\n")
        for path, text in files:
            yield from put(path, plain, text.encode())
        for number, script in enumerate(scripts):
            yield from put(f"/tests/{number + 1}", plain, script.encode())
        yield from put("/init", program, INIT.replace("COUNT", str(len(scripts))).encode())
