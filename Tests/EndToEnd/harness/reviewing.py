"""`exitgate review` beside a gate, and what speaks HTTP to it."""
import html, http.client, json, re, signal, subprocess, threading, time, urllib.parse

from .gate import BINARY, QUIET, eventually


class Reviewing:
    """The page over a gate's log, in the gate's namespace."""

    def __init__(self, gate, *flags, listen="127.0.0.1:0", log=None, prefix=(), binary=BINARY, stdin=subprocess.DEVNULL):
        self.gate, self.bench = gate, gate.bench
        command = [*prefix, binary, "review", "--listen", listen, "--audit-log", log or gate.log.path, "--policy", gate.policy, *flags]
        self.process = subprocess.Popen(self.bench.command("gw", *command), stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=QUIET, cwd=gate.directory)
        self.read_address()
        self.origin = f"http://{self.host}:{self.port}"
        self.cookie = self.proof = None

    def read_address(self):
        """Reads the next address that it prints, which lets one browser in."""
        self.address = self.process.stdout.readline().strip()
        match = re.fullmatch(r"http://(.+):(\d+)(/[0-9a-f]{16}/)\?token=([0-9a-f]{64})", self.address)
        assert match, (self.address, self.process.stderr.read() if self.process.poll() is not None else "")
        self.host, self.port, self.base, self.token = match[1], int(match[2]), match[3], match[4]

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

    def change(self, body, path="apply", **spoiled):
        """What the page's own script would send, with some of it replaced."""
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", "X-Exitgate-Token": self.proof}
        return self.ask(path, method="POST", headers=headers | spoiled, body=json.dumps(body).encode())

    def submit(self, values, path="answer", **spoiled):
        """What a browser sends for a form of the page without its script, with some of it replaced."""
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
        return self.ask(path, method="POST", headers=headers | spoiled, body=urllib.parse.urlencode(values).encode())

    def listen(self, proof=None, lives=True):
        """The stream of events of an open page: somebody who can be asked, as long as it is not closed and lives."""
        answer = self.ask("events?proof=" + (proof or self.proof))
        assert answer.status == 200, answer.status
        if lives:
            threading.Thread(target=self._live, args=(answer,), daemon=True).start()
        return answer

    def _live(self, stream):
        """What the page's script says as often as it is asked."""
        while not stream.isclosed() and self.process.poll() is None:
            try:
                self.change({}, "here")
            except OSError:
                return
            time.sleep(5)

    def forms(self, path="", action="answer"):
        """The hidden fields and the buttons of each form of the page."""
        found = []
        for form in re.findall(rf'<form [^>]*action="{action}".*?</form>', self.ask(path).text, re.S):
            hidden = {name: html.unescape(value) for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)}
            found.append((hidden, re.findall(r'name="answer" value="([\w-]+)"', form)))
        return found

    def form(self, host, seconds=20):
        """What the form of the question about `host` sends, but for the answer."""
        def look():
            for card in re.findall(r'<li id="q-.*?</form>', self.ask().text, re.S):
                if f"://{host}:" in re.sub(r"<[^>]+>", "", card):
                    return {name: html.unescape(value) for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', card)}
        return eventually(look, seconds, f"no question about {host}")

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
