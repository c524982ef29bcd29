"""The audit log as a reader sees it: every line one strict JSON object, chained by hash."""
import hashlib, json, time


def strict(line):
    """Parses one line; duplicate keys and constants that JSON lacks are errors."""
    def unique(pairs):
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), f"a key stands twice: {line!r}"
        return dict(pairs)

    def refuse(word):
        raise ValueError(word)

    return json.loads(line, object_pairs_hook=unique, parse_constant=refuse)


class Entry:
    """One record; fields that a test asks for by name, wherever the schema puts them."""

    def __init__(self, line):
        self.line, self.fields = line, strict(line)
        own = self.fields.get("unmapped", {})
        self.event, self.agent, self.layer = own.get("event"), own.get("agent"), own.get("layer")
        self.verdict, self.reason, self.rule = own.get("verdict"), own.get("reason"), own.get("rule")
        self.protocol, self.would_deny = own.get("protocol"), own.get("would_deny", False)
        self.detail, self.host_raw = own.get("detail"), own.get("host_raw")
        self.generation, self.seq = own.get("generation"), self.fields.get("seq")
        self.count = self.fields.get("count", 1)
        asked = self.fields.get("query", {})
        self.question, self.type = asked.get("hostname"), asked.get("type")
        self.rcode, self.ede = self.fields.get("rcode"), own.get("ede")
        place = self.fields.get("dst_endpoint", {})
        self.host = place.get("hostname") or place.get("ip")
        self.address, self.port = place.get("ip"), place.get("port")
        self.flow = self.fields.get("connection_info", {}).get("uid")
        traffic = self.fields.get("traffic", {})
        self.bytes_out, self.bytes_in = traffic.get("bytes_out"), traffic.get("bytes_in")

    def __repr__(self):
        return f"<{self.seq} {self.event} {self.agent} {self.layer} {self.host}:{self.port} {self.verdict} {self.reason} {self.rule}>"

    def matches(self, wanted):
        return all(getattr(self, key) == value for key, value in wanted.items())


class AuditLog:
    def __init__(self, path):
        self.path = path

    def lines(self):
        """The whole lines; one that is being written is left for the next time."""
        if not self.path.exists():
            return []
        whole, newline, _ = self.path.read_bytes().rpartition(b"\n")
        return (whole + newline).decode("ascii").splitlines()

    def entries(self, since=0):
        return [Entry(line) for line in self.lines()[since:]]

    def mark(self):
        return len(self.lines())

    def wait_for(self, since=0, count=1, seconds=15.0, **wanted):
        """Waits for `count` records with these fields after the mark, and returns them."""
        deadline = time.monotonic() + seconds
        while True:
            entries = self.entries(since)
            found = [entry for entry in entries if entry.matches(wanted)]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"no record {wanted} among {entries}"
            time.sleep(0.01)

    def verify(self):
        """The chain, checked by a second implementation."""
        previous = None
        for line in self.path.read_bytes().splitlines():
            fields = strict(line)
            assert previous is None or fields["prev"] == previous, f"seq {fields['seq']}: the chain is broken"
            covered = line[:line.rindex(b',"hash":"')]
            assert hashlib.sha256(covered).hexdigest() == fields["hash"], f"seq {fields['seq']}: wrong hash"
            previous = fields["hash"]
