"""The far side of a webhook in `gw`: checks every signature by its own means, misbehaves on request, and answers back."""
import hashlib, hmac, http.client, http.server, json, secrets, socket, ssl, threading, time

from .gate import eventually

SECRET = b"a secret of the tests, of enough bytes"


def sign(text, secret=SECRET):
    return "v1=" + hmac.new(secret, text, hashlib.sha256).hexdigest()


class Hook:
    """What is posted to `/hook?for=gate`; `misbehave` says how the next requests are treated instead of being taken."""

    def __init__(self, bench, certificate=None, port=0, host="127.0.0.1", path=None):
        self.bench, self.messages, self.faults, self.how = bench, [], [], []
        self.heard = threading.Condition()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                hook.take(self)

            def address_string(self):
                return "somebody"

            def do_GET(self):
                hook.faults.append(f"GET {self.path}")

            def log_message(self, *_):
                pass

        with bench.inside("gw"):
            listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(str(path) if path else (host, port))
            listener.listen(64)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.daemon_threads, self.server.handle_error = True, lambda *_: None
        self.port, self.expected = None if path else listener.getsockname()[1], "/" if path else "/hook?for=gate"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            listener = context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        self.server.socket = listener
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        moment, signature = request.headers.get_all("Exitgate-Timestamp"), request.headers.get_all("Exitgate-Signature")
        right = (moment and signature and len(moment) == len(signature) == 1 and abs(int(moment[0]) - time.time()) < 60
                 and hmac.compare_digest(signature[0], sign(f"{moment[0]}.".encode() + body)))
        if not right or request.path != self.expected or request.headers["Content-Type"] != "application/json":
            self.faults.append((request.path, dict(request.headers), body))
        with self.heard:
            how = self.how.pop(0) if len(self.how) > 1 or self.how and self.how[0][1] else self.how[0] if self.how else None
            message = {"key": request.headers["Idempotency-Key"], "at": time.monotonic(), "taken": how is None} | json.loads(body)
            self.messages.append(message)
            self.heard.notify_all()
        if how:
            how[0](request)
            return
        request.send_response(200)
        request.send_header("Content-Length", "2")
        request.end_headers()
        request.wfile.write(b"{}")

    def misbehave(self, *hows, once=True):
        """Treats the next requests so, each once; with `once` false the last from then on, until `behave`."""
        with self.heard:
            self.how = [(how, once or place < len(hows) - 1) for place, how in enumerate(hows)]

    def behave(self):
        self.misbehave()

    def wait_for(self, event, seconds=30, taken=True, after=0, **wanted):
        def fits(message):
            inner = message.get("question") or message.get("closed") or {}
            return message["event"] == event and message["taken"] == taken and all(inner.get(name) == value for name, value in wanted.items())
        with self.heard:
            found = lambda: next((message for message in self.messages[after:] if fits(message)), None)
            assert self.heard.wait_for(lambda: found() is not None, seconds), (event, wanted, self.messages[-5:], self.faults)
            return found()

    def count(self, event):
        with self.heard:
            return sum(message["event"] == event for message in self.messages)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def answering(status, **fields):
    def how(request):
        request.send_response(status)
        for name, value in ({"Content-Length": "0"} | fields).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
    return how


def slow(request):
    time.sleep(12)


def endless(request):
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
    except OSError:
        pass


def interims(request):
    """Answers that are none yet, without an end."""
    try:
        while True:
            request.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 256)
    except OSError:
        pass


def no_http(request):
    request.wfile.write(b"\x00" * 100)


def cut(request):
    request.connection.shutdown(socket.SHUT_RDWR)


class FarSide:
    """Sends answers back to the gate's callback."""

    def __init__(self, bench, port, role="gw", host="127.0.0.1"):
        self.bench, self.port, self.role, self.host = bench, port, role, host

    def post(self, body, *, headers=None, path="/v1/answer", method="POST"):
        with self.bench.inside(self.role):
            connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
            connection.connect()
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            for one in value if isinstance(value, list) else [value]:
                connection.putheader(name, one)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, text

    def signed(self, body, *, moment=None, nonce=None, secret=SECRET):
        moment, nonce = str(int(time.time()) if moment is None else moment), nonce or secrets.token_urlsafe(16)
        return {"Exitgate-Timestamp": moment, "Exitgate-Nonce": nonce, "Exitgate-Signature": sign(f"{moment}.{nonce}.".encode() + body, secret),
                "Content-Type": "application/json"}

    def answer(self, question, decision="allow", span="once", by="alice", **changed):
        body = json.dumps({name: value for name, value in (
            {"id": question["id"], "decision": decision, "for": span, "by": by, "digest": question["digest"], "generation": question["generation"]} | changed).items() if value is not None}).encode()
        return self.post(body, headers=self.signed(body))
