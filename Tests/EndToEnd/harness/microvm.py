"""A microVM with a tap: a Debian kernel, an initramfs of busybox, and a script that is all its life.

It boots on KVM where there is one that boots it, else on QEMU's own emulation; its only device is the network card.
"""
import gzip, os, pathlib, re, shutil, stat, subprocess, tempfile, time

PROGRAMS = "sh mount mkdir insmod ip wget nc nslookup ping ping6 tftp timeout echo cat poweroff".split()
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "failover", "net_failover", "virtio_net")  # in the order in which they need each other
KERNEL = next(iter(sorted(pathlib.Path("/boot").glob("vmlinuz-*cloud*"), reverse=True)), None)
QEMU = shutil.which("qemu-system-x86_64")
BUSYBOX = shutil.which("busybox")

INIT = """#!/bin/sh
mkdir -p /proc /sys /dev; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
echo "### up"
for module in {modules}; do insmod /modules/$module.ko; done
echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
ip link set lo up; ip link set eth0 up
ip addr add {address}/24 dev eth0; ip route add default via {router}
ip -6 addr add {address6}/64 dev eth0; ip -6 route add default via {router6}
try() {{ number=$1; shift; echo "### $number"; timeout 4 sh -c "$*" 2>&1; status=$?; echo; echo "=== $number $status"; }}
{tries}
poweroff -f
"""


def lacking():
    """What cannot be had here, in words; empty when a microVM can."""
    # The name of the interpreter stands in front of the program's text (elf(5), PT_INTERP).
    static = BUSYBOX and b"/ld-linux" not in pathlib.Path(BUSYBOX).read_bytes()[:4096]
    return [name for name, there in (("qemu-system-x86", QEMU), ("linux-image-cloud-amd64", KERNEL), ("busybox-static", static)) if not there]


def archive(files):
    """An initramfs: `files` names each by its path, with its mode and its bytes, or a directory without."""
    out, number = b"", 0
    for name, mode, data in [*files, ("TRAILER!!!", 0, b"")]:
        number += 1
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"  # cpio(5), newc
        out += head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
    return gzip.compress(out, 1)


def life(command, console, count, *, boots=(8, 60), ends=120):
    """Runs a machine to its end; what came of each of its `count` tries, in order: its status and what it said.

    `boots` are the seconds that it gets to come up in, on KVM and without: on a KVM that is itself emulated some kernels never do."""
    for accelerator, patience in zip(("kvm", "tcg"), boots):
        if accelerator == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
            continue
        with console.open("wb") as output:
            machine = subprocess.Popen([*command, "-accel", accelerator], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + patience
            while b"### up" not in console.read_bytes() and machine.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            if b"### up" in console.read_bytes():
                machine.wait(ends)
                break
        finally:
            machine.kill(), machine.wait()
    said = console.read_text(errors="replace").replace("\r", "")
    assert "### up" in said, f"the machine did not boot: {said[-2000:]}"
    tries = re.findall(r"^### (\d+)\n(.*?)\n=== \1 (\d+)$", said, re.DOTALL | re.MULTILINE)
    assert len(tries) == count, said[-3000:]
    return [(int(status), text.strip()) for _, text, status in tries]


class MicroVM:
    """Runs `commands` in a machine whose card is `tap` of the namespace `role`, and holds what came of each."""

    def __init__(self, bench, role, tap, *, address, router, address6, router6, commands, resolver):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="exitgate-vm"))
        try:
            tries = "\n".join(f"try {number} '{command}'" for number, command in enumerate(commands))
            init = INIT.format(modules=" ".join(MODULES), address=address, router=router, address6=address6, router6=router6, tries=tries)
            (self.directory / "initrd").write_bytes(archive(self._files(init, resolver)))
            command = [QEMU, "-M", "q35", "-m", "256", "-no-user-config", "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio",
                       "-kernel", KERNEL, "-initrd", self.directory / "initrd", "-append", "console=ttyS0 quiet loglevel=0 panic=-1",
                       "-device", "virtio-net-pci,netdev=n,romfile=", "-netdev", f"tap,id=n,ifname={tap},script=no,downscript=no"]
            self.results = dict(zip(commands, life(bench.command(role, *command), self.directory / "console", len(commands))))
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    @staticmethod
    def _files(init, resolver):
        release = KERNEL.name.removeprefix("vmlinuz-")
        modules = {path.name: path for path in pathlib.Path("/lib/modules", release, "kernel").rglob("*.ko")}
        directory, program = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
        yield from ((name, directory, b"") for name in ("bin", "etc", "modules", "proc", "sys", "dev"))
        yield "bin/busybox", program, pathlib.Path(BUSYBOX).read_bytes()
        yield from ((f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox") for name in PROGRAMS)
        yield from ((f"modules/{name}.ko", stat.S_IFREG | 0o644, modules[f"{name}.ko"].read_bytes()) for name in MODULES)
        yield "etc/resolv.conf", stat.S_IFREG | 0o644, f"nameserver {resolver}\n".encode()
        yield "init", program, init.encode()
