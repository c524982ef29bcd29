"""Receivers of a shipped log on loopback: rsyslog over TLS, and OTLP/HTTP as the protocol's own definitions read it."""
import contextlib, http.server, os, pathlib, shutil, signal, socket, ssl, subprocess, threading

from .gate import ROOT, eventually
from .namespaces import run

RSYSLOGD = shutil.which("rsyslogd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
CONFIGURATION = (ROOT / "scripts" / "deploy" / "shipping" / "rsyslog.conf").read_text()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Authority:
    """Makes certificates in a directory of its own."""

    def __init__(self, directory):
        self.dir, self.ca = directory, directory / "ca.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=Receivers CA", "-keyout", str(directory / "ca.key"), "-out", str(self.ca))

    def certificate(self, name, *names):
        """A certificate good for `names` (`DNS:…`, `IP:…`), and its key."""
        key, request, made = (self.dir / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extension = self.dir / f"{name}.ext"
        extension.write_text("subjectAltName=" + ",".join(names) + "\n")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
        run("openssl", "x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self.dir / "ca.key"), "-CAcreateserial",
            "-days", "2", "-extfile", str(extension), "-out", str(made))
        return made, key


class Rsyslog:
    """rsyslogd under the configuration of scripts/deploy, which writes each message as it came to a file; one that `asks` wants a certificate of its authority."""

    def __init__(self, directory, authority, names=("IP:127.0.0.1", "DNS:localhost"), driver="ossl", asks=False):
        self.dir, self.file, self.port, self.process = directory, directory / "received.log", free_port(), None
        directory.mkdir(exist_ok=True)
        shutil.copy(authority.ca, directory / "ca.pem")
        certificate, key = authority.certificate(f"rsyslog-{directory.name}", *names)
        text = CONFIGURATION if asks else CONFIGURATION.replace("x509/certvalid", "anon")
        for there, here in (("/etc/exitgate-receiver/cert.pem", certificate), ("/etc/exitgate-receiver/key.pem", key), ("/etc/exitgate-receiver", directory),
                            ("/var/log/exitgate-received.log", self.file), ("6514", self.port), ("0.0.0.0", "127.0.0.1"), ('"ossl"', f'"{driver}"')):
            assert there in text
            text = text.replace(there, str(here))
        (directory / "rsyslog.conf").write_text(f'global(workDirectory="{directory}")\n{text}')
        self.start()

    def start(self):
        self.said = open(self.dir / "said", "ab")
        self.process = subprocess.Popen([RSYSLOGD, "-n", "-f", self.dir / "rsyslog.conf", "-i", self.dir / "pid"], stdout=self.said, stderr=self.said)

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        eventually(listens, 30, lambda: (self.dir / "said").read_text())

    def lines(self):
        return self.file.read_text().splitlines() if self.file.exists() else []

    def bodies(self):
        """The records in the messages, in the order in which they came, without the signed heads."""
        return [line[line.index('] {"seq":') + 2:] for line in self.lines() if " exitgate - head [" not in line]

    def stop(self, how=signal.SIGTERM):
        if self.process:
            self.process.send_signal(how)
            self.process.wait(30)
            self.said.close()
            self.process = None


class Collector:
    """An OTLP/HTTP receiver: what the protocol's definitions do not know is refused with 400, and remembered."""

    def __init__(self, certificate=None):
        from google.protobuf import json_format
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
        self.kinds = {"/v1/logs": ExportLogsServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}
        self.parse, self.requests, self.faults, self.answers, self.lock = json_format.Parse, [], [], [], threading.Lock()
        self.open = set()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                collector.open.add(self.connection)

            def finish(self):
                collector.open.discard(self.connection)
                super().finish()

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, fields, answer = collector.take(self.path, self.headers, body)
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.handler, self.certificate, self.port, self.server = Handler, certificate, free_port(), None
        self.start()

    def start(self):
        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self.handler)
        self.server.daemon_threads = True
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.server.handle_error = lambda *_: None
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
            for connection in list(self.open):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def take(self, path, headers, body):
        with self.lock:
            if self.answers:
                status, fields, answer, takes = self.answers.pop(0)
                if not takes:
                    return status, fields, answer
            else:
                status, fields, answer = 200, {"Content-Type": "application/json"}, b"{}"
            try:
                assert headers["Content-Type"] == "application/json", headers["Content-Type"]
                message = self.parse(body, self.kinds[path]())  # an unknown field is an error
            except Exception as error:
                self.faults.append((path, repr(error), body[:2000]))
                return 400, {}, b"{}"
            self.requests.append((path, message))
            return status, fields, answer

    def answer(self, status, fields=None, body=b"{}", takes=False):
        """What the next request gets instead; with `takes` it is taken all the same."""
        with self.lock:
            self.answers.append((status, fields or {}, body, takes))

    def records(self):
        with self.lock:
            logs = [message for path, message in self.requests if path == "/v1/logs"]
        return [record for message in logs for resource in message.resource_logs for scope in resource.scope_logs for record in scope.log_records]

    def bodies(self):
        return [record.body.string_value for record in self.records() if record.event_name != "exitgate.head"]

    def metrics(self):
        with self.lock:
            told = [message for path, message in self.requests if path == "/v1/metrics"]
        return {metric.name: metric for message in told for resource in message.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics}
