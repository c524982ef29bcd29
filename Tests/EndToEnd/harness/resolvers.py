"""Real resolvers on the far side: unbound over UDP and over TLS, with certificates good and bad, and what the wire shows."""
import os, shutil, socket, subprocess, threading

from .far import wire_name
from .gate import eventually
from .namespaces import GOOD, RESOLVER, run

ETH_P_ALL = 3  # <linux/if_ether.h>

CONFIGURATION = """
server:
  interface: {address}@{port}
{tls}
  access-control: 0.0.0.0/0 allow
  directory: "{dir}"
  chroot: ""
  username: ""
  pidfile: "{dir}/unbound.pid"
  use-syslog: no
  logfile: "{dir}/unbound.log"
  log-queries: yes
  log-time-ascii: no
  module-config: "iterator"
  num-threads: 1
  local-zone: "test." redirect
  local-data: "test. 60 IN A {answer}"
remote-control:
  control-enable: no
"""


class Authority:
    """A certificate authority of the bench's own."""

    def __init__(self, directory, name):
        self.dir, self.name, self.file, self.key = directory, name, directory / f"{name}.pem", directory / f"{name}.key"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", str(self.key), "-out", str(self.file))

    def certificate(self, host, *, days=20):
        """Key and certificate for one DNS name; a negative number of days is over already."""
        stem = f"{self.name}-{host.replace('*', 'any')}-{days}"
        key, request, file, extensions = (self.dir / f"{stem}.{end}" for end in ("key", "csr", "pem", "cnf"))
        extensions.write_text(f"subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}",
            "-keyout", str(key), "-out", str(request))
        run("openssl", "x509", "-req", "-in", str(request), "-CA", str(self.file), "-CAkey", str(self.key), "-CAcreateserial",
            "-days", str(days), "-extfile", str(extensions), "-out", str(file))
        return key, file


class Unbound:
    """Answers every name below test. with `answer`, and writes down who asked for what."""

    def __init__(self, bench, directory, port, certificate=None, answer=GOOD, address=RESOLVER):
        self.bench, self.dir, self.port, self.address = bench, directory / f"unbound-{port}", port, address
        self.dir.mkdir()
        key, file = certificate or (None, None)
        tls = f'  tls-port: {port}\n  tls-service-key: "{key}"\n  tls-service-pem: "{file}"' if certificate else ""
        (self.dir / "unbound.conf").write_text(
            CONFIGURATION.format(address=address, port=port, tls=tls, dir=self.dir, answer=answer))
        self.start()

    def start(self):
        path = shutil.which("unbound", path=os.environ["PATH"] + ":/usr/sbin")
        self.process = subprocess.Popen(self.bench.command("out", path, "-d", "-c", self.dir / "unbound.conf"),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._listens, 10, "unbound does not start")

    def _listens(self):
        with self.bench.inside("out"), socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0

    def asked(self, name):
        """How often the name's IPv4 addresses were asked for."""
        log = self.dir / "unbound.log"
        return log.read_text().lower().count(f" {name.lower()}. a in") if log.exists() else 0

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(5)


class Wire:
    """All frames between the gate and the far side."""

    def __init__(self, bench):
        self.frames = []
        with bench.inside("out"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self._socket.bind(("o0", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        try:
            while frame := self._socket.recv(65536):
                self.frames.append(frame)
        except OSError:
            pass

    def shows(self, name):
        """Whether the name was asked for, or answered about, in the clear."""
        return any(wire_name(name)[:-1] in frame.lower() for frame in list(self.frames))

    def connections(self, port):
        """How many connections to this port were begun (RFC 9293 §3.1: SYN without ACK)."""
        return sum(1 for frame in list(self.frames) if frame[12:14] == b"\x08\x00" and frame[23] == 6
                   and int.from_bytes(frame[36:38], "big") == port and frame[47] & 0x12 == 0x02)

    def close(self):
        self._socket.close()
