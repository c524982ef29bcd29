"""What an agent sends: raw bytes in chosen segments, and ClientHellos in every shape."""
import dataclasses, json, os, socket, struct, time


@dataclasses.dataclass
class Reply:
    raw: bytes
    ended: str  # "closed", "reset" or "open": how the connection stood when reading stopped

    @property
    def head(self):
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def body(self):
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def status(self):
        line = self.head.split("\r\n")[0].split(" ")
        return int(line[1]) if len(line) > 1 and line[0].startswith("HTTP/1.") else None

    def field(self, name):
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    @property
    def json(self):
        return json.loads(self.body)


class Agent:
    """Opens connections from the sandbox to one listener of the gate."""

    def __init__(self, bench, address="10.66.0.1", port=3128):
        self.bench, self.address, self.port = bench, address, port

    def open(self, timeout=5.0):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        with self.bench.inside("agent"):
            sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        sock.connect((self.address, self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def send(self, *segments, gap=0.02, timeout=5.0, finish=False):
        """Sends each segment by itself and reads until the gate closes or `timeout` passes."""
        with self.open(timeout) as sock:
            try:
                for index, segment in enumerate(segments):
                    if index:
                        time.sleep(gap)
                    sock.sendall(segment)
                if finish:
                    sock.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before it was all sent: what was answered is still to be read
            return drain(sock)


def drain(sock):
    raw = b""
    try:
        while data := sock.recv(65536):
            raw += data
        return Reply(raw, "closed")
    except TimeoutError:
        return Reply(raw, "open")
    except ConnectionResetError:
        return Reply(raw, "reset")


def read_head(sock):
    raw = b""
    while b"\r\n\r\n" not in raw:
        data = sock.recv(65536)
        if not data:
            return Reply(raw, "closed")
        raw += data
    return Reply(raw, "open")


class Stream:
    """A connection whose answers are read one by one, each by its own framing (RFC 9112 §6.3)."""

    def __init__(self, sock):
        self.sock, self.rest = sock, b""

    def _until(self, enough):
        while not enough():
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(self.rest)
            self.rest += data

    def _line(self):
        self._until(lambda: b"\r\n" in self.rest)
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def _take(self, count):
        self._until(lambda: len(self.rest) >= count)
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def answer(self, method="GET"):
        """The next final answer: status, fields by lower-case name, body."""
        status = int(self._line().removeprefix(b"HTTP/1.1 ")[:3])
        lines = iter(self._line, b"")
        fields = {name.lower(): value.strip() for name, _, value in (line.decode("latin-1").partition(":") for line in lines)}
        if 100 <= status < 200:
            return self.answer(method)
        if method == "HEAD" or status in (204, 304):
            return status, fields, b""
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._line(), 16):
                body += self._take(size + 2)[:-2]
            assert self._line() == b"", "no trailers"
            return status, fields, body
        return status, fields, self._take(int(fields["content-length"]))


def latin(text):
    return text.encode("latin-1") if isinstance(text, str) else text


def connect(authority, host=None, fields="", version="1.1"):
    """A CONNECT whose Host repeats the target; `host=False` leaves it out."""
    target = latin(authority)
    line = b"" if host is False else b"Host: " + (target if host is None else latin(host)) + b"\r\n"
    return b"CONNECT " + target + b" HTTP/" + version.encode() + b"\r\n" + line + latin(fields) + b"\r\n"


def get(url, host="plain.test", fields="", method="GET", version="1.1"):
    line = b"" if host is None else b"Host: " + latin(host) + b"\r\n"
    return method.encode() + b" " + latin(url) + b" HTTP/" + version.encode() + b"\r\n" + line + latin(fields) + b"\r\n"


# -- TLS (RFC 8446 §4.1.2, RFC 6066 §3)

ECH = 0xFE0D


def extension(kind, body):
    return struct.pack(">HH", kind, len(body)) + body


def server_name(*names):
    """A server_name extension: each name bytes, or (type, bytes)."""
    entries = [name if isinstance(name, tuple) else (0, name) for name in names]
    packed = b"".join(bytes([kind]) + struct.pack(">H", len(name)) + name for kind, name in entries)
    return extension(0, struct.pack(">H", len(packed)) + packed)


def hello(*extensions, padding=0):
    """A ClientHello handshake message; padding comes first, so that the name comes late."""
    rest = extension(10, bytes.fromhex("0006001d00170018")) + extension(13, bytes.fromhex("000604030804 0401"))
    extras = (extension(21, bytes(padding)) if padding else b"") + b"".join(extensions) + rest
    suites = bytes.fromhex("130113021303c02bc02f")
    body = (b"\x03\x03" + os.urandom(32) + b"\x20" + os.urandom(32) + struct.pack(">H", len(suites)) + suites
            + b"\x01\x00" + struct.pack(">H", len(extras)) + extras)
    return b"\x01" + struct.pack(">I", len(body))[1:] + body


def records(handshake, size=16000):
    cuts = (handshake[at:at + size] for at in range(0, len(handshake), size))
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(cut)) + cut for cut in cuts)


def client_hello(name=b"allowed.test", **options):
    return records(hello(*([server_name(latin(name))] if name else []), **options))


# -- SOCKS5 (RFC 1928)

def socks(host, port, greeting=b"\x05\x01\x00"):
    """Greeting and CONNECT; `host` bytes for a name, 4 or 16 packed bytes in a tuple for an address."""
    if isinstance(host, tuple):
        packed = host[0]
        target = (b"\x01" if len(packed) == 4 else b"\x04") + packed
    else:
        target = b"\x03" + bytes([len(host)]) + host
    return greeting, b"\x05\x01\x00" + target + struct.pack(">H", port)
