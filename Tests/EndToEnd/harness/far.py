"""The far side: an origin on every address of `out` that logs what reaches it, and a scripted DNS server."""
import collections, contextlib, socket, struct, threading, time

from .namespaces import EVIL, GOOD, GOOD6, RESOLVER

PORTS = (22, 25, 80, 443, 853, 3128, 5432, 8080, 8443)
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75  # <linux/in.h>, <linux/in6.h>: answer from addresses that are not ours
TYPES = {"A": 1, "CNAME": 5, "AAAA": 28}
RCODES = {"FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}

Accepted = collections.namedtuple("Accepted", "address port")  # a connection was opened: where to
Received = collections.namedtuple("Received", "address port data")
Asked = collections.namedtuple("Asked", "name type server")


class Far:
    """`events` holds everything that reached the far side, in order; `zone` what names resolve to.

    zone["name TYPE"] is a list of answers, taken in turn, the last one for good. An answer is a list of
    addresses, [("CNAME", name), …] records, or one of the words of `RCODES`, `silence`, `garbage`, `truncated`.
    """

    def __init__(self, bench, ports=PORTS, resolver=True):
        self.bench, self.events, self.zone, self.script = bench, [], {}, None
        self._lock, self._sockets, self._turn = threading.Lock(), [], collections.Counter()
        with bench.inside("out"):
            for port in ports:
                self._listen(socket.AF_INET, "0.0.0.0", port)
                self._listen(socket.AF_INET6, "::", port)
            if resolver:
                for address in (GOOD, EVIL):
                    self._listen(socket.AF_INET, address, 53)
                self._serve_dns()

    # -- what was seen

    def mark(self):
        return len(self.events)

    def since(self, mark, kind=object):
        with self._lock:
            return [event for event in self.events[mark:] if isinstance(event, kind)]

    def wait_for(self, mark, kind, count=1, seconds=10):
        deadline = time.monotonic() + seconds
        while len(found := self.since(mark, kind)) < count:
            assert time.monotonic() < deadline, f"{count} {kind.__name__} expected at the far side, got {found}"
            time.sleep(0.005)
        return found

    def note(self, event):
        with self._lock:
            self.events.append(event)

    # -- names

    def answers(self, name, *addresses):
        """`name` resolves to `addresses`, for good."""
        for kind in ("A", "AAAA"):
            self.zone[f"{name} {kind}"] = [[address for address in addresses if (":" in address) == (kind == "AAAA")]]

    def reset_zone(self):
        self.zone.clear(), self._turn.clear()
        for name in ("allowed.test", "plain.test", "cn.test", "a.wild.test", "a.b.wild.test", "xn--bcher-kva.test"):
            self.answers(name, GOOD)
        self.answers("v6.wild.test", GOOD6)
        self.answers("evil.test", EVIL)

    # -- origins

    def _listen(self, family, address, port):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        else:
            listener.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
        listener.bind((address, port))
        listener.listen(1024)
        self._start(listener, self._accept)

    def _start(self, sock, work):
        self._sockets.append(sock)
        threading.Thread(target=self._guarded, args=(work, sock), daemon=True).start()

    @staticmethod
    def _guarded(work, sock):
        with contextlib.suppress(OSError):
            work(sock)

    def _accept(self, listener):
        while True:
            connection, _ = listener.accept()
            address, port = connection.getsockname()[:2]
            self.note(Accepted(address, port))
            threading.Thread(target=self._guarded, args=(self._converse, connection), daemon=True).start()

    def _converse(self, connection):
        address, port = connection.getsockname()[:2]
        with connection:
            while data := connection.recv(262144):
                self.note(Received(address, port, data))
                if self.script is not None:
                    if not self.script(connection, data):
                        return
                elif data[:1].isalpha() and b" HTTP/1." in data:
                    body = f"origin {address}".encode()
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Origin: yes\r\n\r\n%s" % (len(body), body))
                else:
                    connection.sendall(b"FLIGHT " + address.encode())

    # -- names on the wire

    def _serve_dns(self):
        for address in (RESOLVER, "0.0.0.0"):  # the second sees questions that went to a server nobody configured
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            udp.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
            udp.bind((address, 53))
            self._start(udp, self._datagrams)
        tcp = socket.socket()
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((RESOLVER, 53))
        tcp.listen(64)
        self._start(tcp, self._streams)

    def _datagrams(self, udp):
        while True:
            query, peer = udp.recvfrom(4096)
            if not query:
                return  # shut down
            reply = self._reply(query, udp.getsockname()[0], False)
            with contextlib.suppress(OSError):  # who asked may be gone
                if reply is not None:
                    udp.sendto(reply, peer)

    def _streams(self, tcp):
        while True:
            connection, _ = tcp.accept()
            with connection, contextlib.suppress(OSError, struct.error):
                connection.settimeout(5)
                length, = struct.unpack(">H", connection.recv(2, socket.MSG_WAITALL))
                reply = self._reply(connection.recv(length, socket.MSG_WAITALL), RESOLVER, True)
                if reply is not None:
                    connection.sendall(struct.pack(">H", len(reply)) + reply)

    def _reply(self, query, server, over_tcp):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
            at += 1 + query[at]
        number, = struct.unpack(">H", query[at + 1:at + 3])
        kind = {value: key for key, value in TYPES.items()}.get(number, str(number))
        key = f"{'.'.join(labels)} {kind}"
        self.note(Asked(".".join(labels), kind, server))
        return self._answer(query, query[12:at + 5], kind, self._next(key), over_tcp)

    def _next(self, key):
        sets = self.zone.get(key)
        if sets is None:
            return [] if any(other.startswith(key.split(" ")[0] + " ") for other in self.zone) else "NXDOMAIN"
        turn = self._turn[key]
        self._turn[key] += 1
        return sets[min(turn, len(sets) - 1)]

    @staticmethod
    def _answer(query, question, kind, answer, over_tcp):
        if answer == "silence":
            return None
        if answer == "garbage":
            return query[:2] + b"\x81\x80\x00\x01\x00\xff\x00\x00\x00\x00" + question + b"\xc0\xff" * 20
        if answer == "truncated" and not over_tcp:
            return query[:2] + struct.pack(">5H", 0x8380, 1, 0, 0, 0) + question
        if answer == "truncated":
            answer = [GOOD] if kind == "A" else []
        if isinstance(answer, str):
            return query[:2] + struct.pack(">5H", 0x8180 | RCODES[answer], 1, 0, 0, 0) + question
        records = [record(entry, kind) for entry in answer]
        return query[:2] + struct.pack(">5H", 0x8180, 1, len(records), 0, 0) + question + b"".join(records)

    def close(self):
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(entry, kind):
    """An address, or (owner, type, value) for the rest; the owner of an address is the question."""
    owner, kind, value = (b"\xc0\x0c", kind, entry) if isinstance(entry, str) else (wire_name(entry[0]), *entry[1:])
    if kind == "CNAME":
        data = wire_name(value)
    else:
        data = socket.inet_pton(socket.AF_INET6 if kind == "AAAA" else socket.AF_INET, value)
    return owner + struct.pack(">HHIH", TYPES[kind], 1, 60, len(data)) + data
