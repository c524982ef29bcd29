"""Real servers on the far side: nginx with TLS under a CA of its own, git, package indexes, apt, WebSockets, unbound."""
import base64, hashlib, http.server, io, json, os, shutil, subprocess, tarfile, threading, time, zipfile

from .gate import eventually
from .namespaces import GOOD, RESOLVER, run

NAMES = ("web.test", "git.test", "index.test", "npm.test", "apt.test", "ws.test", "denied.test")

NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log; events {{ worker_connections 256; }}
http {{
  access_log {dir}/access.log; types {{ text/html html; }} default_type application/octet-stream;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {{
    listen {address}:80; listen {address}:443 ssl http2; server_name _; root {dir}/root; autoindex on;
    ssl_certificate {dir}/server.pem; ssl_certificate_key {dir}/server.key;
    location /git/ {{ proxy_pass http://127.0.0.1:9000; proxy_set_header Content-Length $http_content_length; }}
    location /ws {{ proxy_pass http://127.0.0.1:9001; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }}
  }}
}}
"""

UNBOUND = """
server:
  interface: {address}
  access-control: 0.0.0.0/0 allow
  directory: "{dir}"
  chroot: ""
  username: ""
  pidfile: "{dir}/unbound.pid"
  use-syslog: no
  logfile: "{dir}/unbound.log"
  module-config: "iterator"
  local-zone: "test." static
{records}
remote-control:
  control-enable: no
"""


class Servers:
    def __init__(self, bench, directory):
        self.bench, self.dir, self._children, self._httpd = bench, directory, [], []
        self.root = directory / "root"
        self.root.mkdir()
        (self.root / "hello.txt").write_text("hello\n")
        self.ca = certificates(directory)
        self._nginx()
        self._unbound()
        self._git()
        self._index()
        self._registry()
        self._apt()
        self._websockets()

    def _spawn(self, *command):
        self._children.append(subprocess.Popen(self.bench.command("out", *command), stdin=subprocess.DEVNULL,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def _nginx(self):
        (self.dir / "nginx.conf").write_text(NGINX.format(dir=self.dir, address=GOOD))
        self._spawn(shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"), "-c", self.dir / "nginx.conf", "-p", self.dir)
        eventually(lambda: (self.dir / "nginx.pid").exists(), 5, "nginx does not start")

    def _unbound(self):
        records = "\n".join(f'  local-data: "{name}. 60 IN A {GOOD}"' for name in NAMES)
        (self.dir / "unbound.conf").write_text(UNBOUND.format(dir=self.dir, address=RESOLVER, records=records))
        self._spawn(shutil.which("unbound", path=os.environ["PATH"] + ":/usr/sbin"), "-d", "-c", self.dir / "unbound.conf")
        eventually(lambda: (self.dir / "unbound.pid").exists(), 5, "unbound does not start")

    def _git(self):
        work, bare = self.dir / "work", self.dir / "repos" / "project.git"
        git = ["git", "-c", "user.name=Bench", "-c", "user.email=bench@example.test", "-c", "init.defaultBranch=main"]
        run(*git, "init", "-q", str(work))
        (work / "README").write_text("from the origin\n")
        run(*git, "-C", str(work), "add", "README")
        run(*git, "-C", str(work), "commit", "-q", "-m", "First")
        run(*git, "clone", "-q", "--bare", str(work), str(bare))
        self._crates(git)
        self._serve(9000, git_backend(self.dir / "repos"))

    def _crates(self, git):
        """One package of cargo: its index is a git repository, which every version of it reads (Cargo Book, "Registry Index")."""
        name, packed = "exitgate-sample-1.0.0", io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for path, content in (("Cargo.toml", '[package]\nname = "exitgate-sample"\nversion = "1.0.0"\n'), ("src/lib.rs", "pub const ANSWER: u8 = 42;\n")):
                entry = tarfile.TarInfo(f"{name}/{path}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content.encode()))
        (self.root / "crates").mkdir()
        (self.root / "crates" / f"{name}.crate").write_bytes(packed.getvalue())
        about = {"name": "exitgate-sample", "vers": "1.0.0", "deps": [], "cksum": hashlib.sha256(packed.getvalue()).hexdigest(), "features": {}, "yanked": False}
        index = self.dir / "index"
        run(*git, "init", "-q", str(index))
        (index / "ex" / "it").mkdir(parents=True)
        (index / "ex" / "it" / "exitgate-sample").write_text(json.dumps(about) + "\n")
        (index / "config.json").write_text(json.dumps({"dl": "https://git.test/crates/{crate}-{version}.crate"}))
        run(*git, "-C", str(index), "add", ".")
        run(*git, "-C", str(index), "commit", "-q", "-m", "First")
        run(*git, "clone", "-q", "--bare", str(index), str(self.dir / "repos" / "index.git"))

    def _serve(self, port, handler):
        with self.bench.inside("out"):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._httpd.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def _index(self):
        folder = self.root / "simple" / "exitgate-sample"
        folder.mkdir(parents=True)
        wheel = folder / "exitgate_sample-1.0-py3-none-any.whl"
        info = "exitgate_sample-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("exitgate_sample.py", "answer = 42\n")
            archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: exitgate-sample\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        (folder / "index.html").write_text(f'<!DOCTYPE html><html><body><a href="{wheel.name}#sha256={digest}">{wheel.name}</a></body></html>')

    def _registry(self):
        """One package of npm, as a registry of plain files."""
        about = {"name": "exitgate-sample", "version": "1.0.0", "main": "index.js"}
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, content in (("package.json", json.dumps(about)), ("index.js", "module.exports = 42;\n")):
                entry = tarfile.TarInfo(f"package/{name}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content.encode()))
        folder = self.root / "npm"
        folder.mkdir()
        (folder / "exitgate-sample-1.0.0.tgz").write_bytes(packed.getvalue())
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(packed.getvalue()).digest()).decode()
        version = about | {"dist": {"tarball": "https://npm.test/npm/exitgate-sample-1.0.0.tgz", "integrity": integrity}}
        (folder / "exitgate-sample").write_text(json.dumps(
            {"name": about["name"], "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}))

    def _apt(self):
        tree, repository = self.dir / "deb", self.root / "debs"
        (tree / "DEBIAN").mkdir(parents=True)
        repository.mkdir()
        control = "Package: exitgate-sample\nVersion: 1.0\nArchitecture: all\nMaintainer: Bench <bench@example.test>\nDescription: a package of the bench\n"
        (tree / "DEBIAN" / "control").write_text(control)
        tree.chmod(0o755), (tree / "DEBIAN").chmod(0o755)
        package = repository / "exitgate-sample_1.0_all.deb"
        run("dpkg-deb", "--build", "--root-owner-group", str(tree), str(package))
        data = package.read_bytes()
        index = f"{control}Filename: ./{package.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n".encode()
        (repository / "Packages").write_bytes(index)
        date = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
        (repository / "Release").write_text(f"Origin: bench\nDate: {date}\nSHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n")

    def _websockets(self):
        with self.bench.inside("out"):
            import socket
            listener = socket.create_server(("127.0.0.1", 9001))
        from websockets.sync.server import serve

        def echo(connection):
            for message in connection:
                connection.send(f"echo {message}")

        server = serve(echo, sock=listener)
        self._httpd.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def close(self):
        for child in self._children:
            child.terminate()
        for child in self._children:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
        for server in self._httpd:
            server.shutdown()


def certificates(directory, names=NAMES):
    """A CA of the bench's own and one certificate for every name."""
    ca, key, request = directory / "ca.pem", directory / "server.key", directory / "server.csr"
    extensions = directory / "san.cnf"
    extensions.write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\nbasicConstraints=CA:FALSE\n")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=Bench CA",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", str(directory / "ca.key"), "-out", str(ca))
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=bench", "-keyout", str(key), "-out", str(request))
    run("openssl", "x509", "-req", "-in", str(request), "-CA", str(ca), "-CAkey", str(directory / "ca.key"), "-CAcreateserial", "-days", "2",
        "-extfile", str(extensions), "-out", str(directory / "server.pem"))
    return ca


def git_backend(repositories):
    """`git http-backend` as a CGI program (git-http-backend(1))."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            environment = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(repositories), "GIT_HTTP_EXPORT_ALL": "1", "REQUEST_METHOD": self.command,
                           "PATH_INFO": path.removeprefix("/git"), "QUERY_STRING": query, "CONTENT_LENGTH": str(len(body)), "REMOTE_ADDR": "127.0.0.1",
                           "CONTENT_TYPE": self.headers.get("Content-Type", ""), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                           "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
            answer = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, timeout=20).stdout
            head, _, content = answer.partition(b"\r\n\r\n")
            fields = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
            self.send_response(int(dict(fields).get("Status", "200").split()[0]))
            for name, value in fields:
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    return Handler
