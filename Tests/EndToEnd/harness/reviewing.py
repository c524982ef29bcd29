"""`exitgate review` beside a gate, and what speaks HTTP to it."""
import http.client, json, re, signal, subprocess

from .gate import BINARY, QUIET, eventually


class Reviewing:
    """The page over a gate's log, in the gate's namespace."""

    def __init__(self, gate, *flags, listen="127.0.0.1:0", log=None):
        self.gate, self.bench = gate, gate.bench
        command = [BINARY, "review", "--listen", listen, "--audit-log", log or gate.log.path, "--policy", gate.policy, *flags]
        self.process = subprocess.Popen(self.bench.command("gw", *command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=QUIET, cwd=gate.directory)
        self.address = self.process.stdout.readline().strip()
        match = re.fullmatch(r"http://(.+):(\d+)(/[0-9a-f]{16}/)\?token=([0-9a-f]{64})", self.address)
        assert match, (self.address, self.process.stderr.read() if self.process.poll() is not None else "")
        self.host, self.port, self.base, self.token = match[1], int(match[2]), match[3], match[4]
        self.origin = f"http://{self.host}:{self.port}"
        self.cookie = self.proof = None

    def ask(self, path="", *, method="GET", headers=None, body=None, cookie=True, raw_path=False):
        """One request; the header `Host` can be given, or left out with None."""
        own = {"Host": f"{self.host}:{self.port}"} | ({"Cookie": self.cookie} if cookie and self.cookie else {}) | (headers or {})
        with self.bench.inside("gw"):
            connection = http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=30)
            connection.connect()
        connection.putrequest(method, path if raw_path else self.base + path, skip_host=True, skip_accept_encoding=True)
        for name, value in own.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.text = "" if answer.getheader("Content-Type") == "text/event-stream" else answer.read().decode()
        return answer

    def enter(self):
        """Exchanges the one-time token; from then on `ask` carries the session's cookie."""
        answer = self.ask("?token=" + self.token)
        assert answer.status == 303 and answer.getheader("Location") == self.base, (answer.status, answer.text)
        self.cookie = answer.getheader("Set-Cookie").partition(";")[0]
        self.proof = re.search(r'name="exitgate-token" content="([0-9a-f]{64})"', self.ask().text)[1]
        return answer

    def change(self, body, **spoiled):
        """What the page's own script would send, with some of it replaced."""
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", "X-Exitgate-Token": self.proof}
        return self.ask("apply", method="POST", headers=headers | spoiled, body=json.dumps(body).encode())

    def suggestion(self, host):
        """What is sent to have the rule for a host applied."""
        page = self.ask(f"group?agent=a1&host={host}&port=443&protocol=https").text
        rule = re.search(r'id="apply" data-rule="([^"]*)"', page)[1].replace("&quot;", '"')
        return {"agent": "a1", "host": host, "port": "443", "protocol": "https", "rule": rule}

    def shows(self, words, path=""):
        return eventually(lambda: words in self.ask(path).text, 30, f"{words!r} is not shown")

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()
