"""Servers of opaque protocols on the far side, beside nginx and git: OpenSSH, PostgreSQL, Redis, an echo of datagrams."""
import contextlib, os, pathlib, pwd, shutil, socket, subprocess, threading

from .gate import eventually
from .namespaces import GOOD, run
from .servers import Servers, certificates

NAMES = ("web.test", "git.test", "ssh.test", "db.test", "cache.test", "denied.test")
SSHD = """
ListenAddress {address}:22
HostKey {dir}/host
AuthorizedKeysFile {dir}/client.pub
PidFile {dir}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""
POSTGRES = next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


class Services(Servers):
    """On GOOD, in a directory that other users may enter."""

    def __init__(self, bench, directory):
        self.bench, self.dir, self._children, self._httpd = bench, directory, [], []
        self.root = directory / "root"
        self.root.mkdir()
        directory.chmod(0o755)
        (self.root / "hello.txt").write_text("hello\n")
        self.ca = certificates(directory, NAMES)
        self._nginx()
        self._git()
        self._ssh()
        self._postgres()
        self._redis()
        self._echo(123)

    def _wait(self, port, name):
        def answers():
            with self.bench.inside("out"):
                probe = socket.socket()
            with probe:
                probe.settimeout(1)
                return probe.connect_ex((GOOD, port)) == 0
        eventually(answers, 15, f"{name} does not start")

    def _ssh(self):
        for key in ("host", "client"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.dir / key))
        (self.dir / "known_hosts").write_text("ssh.test " + (self.dir / "host.pub").read_text())
        (self.dir / "sshd.conf").write_text(SSHD.format(address=GOOD, dir=self.dir))
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd(8): where its child is confined to
        self._spawn(shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin"), "-D", "-f", self.dir / "sshd.conf")
        self._wait(22, "sshd")

    def _postgres(self):
        owner = pwd.getpwnam("postgres")
        data = self.dir / "postgres"
        data.mkdir(mode=0o700)
        os.chown(data, owner.pw_uid, owner.pw_gid)
        become = ("setpriv", "--reuid", owner.pw_uid, "--regid", owner.pw_gid, "--clear-groups")
        made = subprocess.run([*map(str, become), POSTGRES / "initdb", "-D", data, "-A", "trust", "--no-sync", "--locale", "C", "-E", "UTF8"],
                              capture_output=True, text=True, cwd="/")
        assert made.returncode == 0, made.stderr
        with (data / "pg_hba.conf").open("a") as file:
            file.write("host all all 10.66.0.0/24 trust\nhost all all 11.11.0.0/24 trust\n")
        self._spawn(*become, POSTGRES / "postgres", "-D", data, "-c", f"listen_addresses={GOOD}", "-c", "unix_socket_directories=", "-F")
        self._wait(5432, "postgres")

    def _redis(self):
        self._spawn("redis-server", "--bind", GOOD, "--port", "6379", "--save", "", "--protected-mode", "no", "--dir", self.dir)
        self._wait(6379, "redis-server")

    def _echo(self, port):
        with self.bench.inside("out"):
            self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind((GOOD, port))

        def answer():
            while True:
                data, peer = self.datagrams.recvfrom(2048)
                if not data:
                    return
                self.datagrams.sendto(b"echo " + data, peer)

        threading.Thread(target=answer, daemon=True).start()

    def close(self):
        super().close()
        with contextlib.suppress(OSError):
            self.datagrams.shutdown(socket.SHUT_RDWR)
        self.datagrams.close()
