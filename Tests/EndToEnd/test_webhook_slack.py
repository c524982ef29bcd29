"""`scripts/deploy/webhook/slack` between a gate and a strict stand-in for Slack, which knows what Slack's reference says of messages."""
import hashlib, hmac, http.server, json, socket, subprocess, threading, time, urllib.parse

import pytest

from harness.client import connect
from harness.gate import QUIET, ROOT, eventually
from harness.hooks import SECRET, FarSide, sign
from harness.namespaces import GOOD
from test_ask import Held
from test_webhook import CALLBACK, POLICY, channels, controls

SCRIPT, BRIDGE = ROOT / "scripts" / "deploy" / "webhook" / "slack", 9473
TOKEN, SIGNING, CHANNEL, ALICE, MALLORY = "xoxb-a-token", b"8f742231b10e8888abcd99yyyzzz85a5", "C0123456789", "U0123456789", "U0666666666"


def fault(content):
    """Why Slack would refuse a message (reference of chat.postMessage and of Block Kit); nil for a good one."""
    def plain(text, limit):
        return set(text) <= {"type", "text", "emoji"} and text["type"] == "plain_text" and 1 <= len(text["text"]) <= limit
    if not set(content) <= {"channel", "text", "blocks", "ts", "user", "unfurl_links", "unfurl_media"} or not content.get("text"):
        return "invalid_arguments"
    # Slack makes links of text and looks them up: a name of an agent's choice would be fetched before anybody has said yes.
    if ".test" in content["text"] or not ("ts" in content or "user" in content) and [content.get("unfurl_links"), content.get("unfurl_media")] != [False, False]:
        return "a_link_that_is_looked_up"
    if content["channel"] != CHANNEL:
        return "channel_not_found"
    for block in content.get("blocks", []):
        if block["type"] == "section":
            if set(block) != {"type", "text"} or not plain(block["text"], 3000):
                return "invalid_blocks"
        elif block["type"] == "actions":
            names = [element["action_id"] for element in block["elements"]]
            if set(block) != {"type", "elements"} or not 1 <= len(names) <= 25 or len(set(names)) != len(names):
                return "invalid_blocks"
            for element in block["elements"]:
                if (not set(element) <= {"type", "action_id", "text", "value", "style"} or element["type"] != "button" or not plain(element["text"], 75)
                        or len(element["value"]) > 2000 or element.get("style", "danger") not in ("primary", "danger")):
                    return "invalid_blocks"
        else:
            return "invalid_blocks"
    return "invalid_blocks" if len(content.get("blocks", [])) > 50 else None


class Slack:
    def __init__(self, bench):
        self.bench, self.messages, self.whispers, self.faults, self.is_down, self.heard = bench, {}, [], [], False, threading.Condition()
        slack = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = (503, {}) if slack.is_down else (200, slack.take(self.path.removeprefix("/api/"), self.headers, json.loads(body)))
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        with bench.inside("gw"):
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            listener.listen(16)
        self.port = listener.getsockname()[1]
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket, self.server.daemon_threads = listener, True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, method, headers, content):
        with self.heard:
            wrong = None
            if headers["Authorization"] != "Bearer " + TOKEN:
                wrong = "invalid_auth"
            elif not headers["Content-Type"].startswith("application/json"):
                wrong = "invalid_post_type"
            elif method == "chat.update" and content.get("ts") not in self.messages:
                wrong = "message_not_found"
            elif method not in ("chat.postMessage", "chat.update", "chat.postEphemeral"):
                wrong = "unknown_method"
            wrong = wrong or fault(content)
            if wrong:
                self.faults.append((method, wrong, content))
                return {"ok": False, "error": wrong}
            moment = content.get("ts") or f"{time.time():.6f}"
            if method == "chat.postEphemeral":
                self.whispers.append(content)
            else:
                self.messages[moment] = content
            self.heard.notify_all()
            return {"ok": True, "channel": CHANNEL, "ts": moment}

    def wait_for(self, words, seconds=30):
        def found():
            return next((content for content in self.messages.values() if words in content["blocks"][0]["text"]["text"]), None)
        with self.heard:
            assert self.heard.wait_for(lambda: found() is not None, seconds), (words, self.messages, self.faults)
            return found()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Click(FarSide):
    """What Slack sends when somebody presses a button."""

    def press(self, message, offer, user=ALICE, *, moment=None, secret=SIGNING, body=None):
        button = next(element for element in message["blocks"][-1]["elements"] if element["action_id"] == offer)
        payload = {"type": "block_actions", "user": {"id": user, "username": "alice", "name": "alice", "team_id": "T1"}, "channel": {"id": CHANNEL, "name": "gate"},
                   "actions": [{"type": "button", "action_id": offer, "block_id": "b", "value": button["value"], "action_ts": "1"}], "response_url": "https://hooks.slack.com/actions/x"}
        body = body or urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()
        moment = str(int(time.time()) if moment is None else moment)
        headers = {"X-Slack-Request-Timestamp": moment, "Content-Type": "application/x-www-form-urlencoded",
                   "X-Slack-Signature": "v0=" + hmac.new(secret, f"v0:{moment}:".encode() + body, hashlib.sha256).hexdigest()}
        return self.post(body, headers=headers, path="/slack")[0]


@pytest.fixture
def bridged(fresh, tmp_path):
    trial = fresh(POLICY, start=False)
    for name in ("x.asked.test", "y.asked.test"):
        trial.far.answers(name, GOOD)
    slack, files = Slack(trial.bench), {}
    for name, text in (("secret", SECRET), ("signing", SIGNING + b"\n"), ("token", TOKEN.encode() + b"\n")):
        files[name] = tmp_path / name
        files[name].write_bytes(text)
        files[name].chmod(0o600)
    command = trial.bench.command("gw", "python3", SCRIPT, "--listen", f"127.0.0.1:{BRIDGE}", "--secret-file", files["secret"], "--callback", f"http://127.0.0.1:{CALLBACK}/v1/answer",
                                  "--signing-secret-file", files["signing"], "--token-file", files["token"], "--channel", CHANNEL, "--user", ALICE, "--api", f"http://127.0.0.1:{slack.port}/api")
    bridge = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=QUIET)
    assert "ready" in bridge.stderr.readline()
    trial.gate.extra = ("--webhook", f"http://127.0.0.1:{BRIDGE}/exitgate", "--webhook-secret-file", files["secret"], "--webhook-callback-listen", f"127.0.0.1:{CALLBACK}")
    trial.gate.start()
    eventually(lambda: channels(trial) == 1, 30)
    yield trial, slack, Click(trial.bench, BRIDGE)
    bridge.terminate()
    bridge.wait(10)
    bridge.stderr.close()
    slack.close()
    assert not slack.faults, slack.faults
    trial.passes()


def test_somebody_in_a_channel_is_asked_and_answers(bridged):
    trial, slack, click = bridged
    written, held = trial.gate.log.mark(), Held(trial.agent, connect("x.asked.test:443"), timeout=60)
    message = slack.wait_for("https://x.asked.test:443")
    assert [element["action_id"] for element in message["blocks"][1]["elements"]] == ["once", "time", "session", "refuse", "refuse-session"], "not for good"
    assert "the exact rule: { id:" in message["blocks"][0]["text"]["text"] and held.reply is None
    assert click.press(message, "time") == 200 and held.end().raw.startswith(b"HTTP/1.1 200")
    done = slack.wait_for(f"allowed (time) by alice ({ALICE}) by webhook")
    assert len(done["blocks"]) == 1 and len(slack.messages) == 1, "the buttons are gone"
    record = controls(trial, written)[0].fields
    assert record["unmapped"]["channel"] == "webhook" and f"alice ({ALICE})" in json.dumps(record)
    # Too late: whoever presses hears why.
    assert click.press(message, "refuse") == 200
    assert "No effect: it is decided already" in slack.whispers[-1]["text"] and slack.whispers[-1]["user"] == ALICE
    held = Held(trial.agent, connect("y.asked.test:443"), timeout=60)
    assert click.press(slack.wait_for("https://y.asked.test:443"), "refuse") == 200 and held.end().status == 403


def test_CTL_03_only_slack_and_the_gate_are_believed_and_only_who_is_named_answers(bridged):
    trial, slack, click = bridged
    written, held = trial.gate.log.mark(), Held(trial.agent, connect("x.asked.test:443"), timeout=60)
    message, now = slack.wait_for("https://x.asked.test:443"), int(time.time())
    assert click.press(message, "once", secret=b"another") == 401
    assert click.press(message, "once", moment=now - 900) == 401 and click.press(message, "once", moment=now + 900) == 401
    assert click.post(b"payload=x", headers={}, path="/slack")[0] == 401
    for body in (b"payload=x", b"x", b"payload=%7B%7D"):
        assert click.press(message, "once", body=body) == 400, body
    for headers in ({}, {"Exitgate-Timestamp": str(now), "Exitgate-Signature": sign(f"{now}.".encode() + b"{}", b"another")},
                    {"Exitgate-Timestamp": str(now - 900), "Exitgate-Signature": sign(f"{now - 900}.".encode() + b"{}")}):
        assert click.post(b"{}", headers=headers, path="/exitgate")[0] == 401, headers
    assert click.press(message, "once", MALLORY) == 200 and "not among those" in slack.whispers[-1]["text"]
    assert held.reply is None and not controls(trial, written)
    # The control.
    assert click.press(message, "once") == 200 and held.end().raw.startswith(b"HTTP/1.1 200")


def test_while_slack_is_down_nobody_can_be_asked(bridged):
    trial, slack, click = bridged
    slack.is_down = True
    held = Held(trial.agent, connect("x.asked.test:443"), timeout=60)
    eventually(lambda: channels(trial) == 0, 60, "the bridge hides that Slack is down")
    slack.is_down = False
    message = slack.wait_for("https://x.asked.test:443", 90)
    eventually(lambda: channels(trial) == 1, 60)
    if held.reply is None:
        click.press(message, "refuse")
    held.end()


QUESTION = {"id": "k3vt7m2qnd5wzx4a", "agent": "a1", "host": "long.asked.test", "port": 443, "protocol": "https", "method": None, "path": None, "rule": "ask-tls", "candidate_rule": None,
            "domain": "asked.test", "since": "2026-11-29T21:14:05Z", "count": 1, "held_until": None, "program": None, "cwd": None, "generation": 1, "digest": "5d3f",
            "offers": ["once", "refuse", "refuse-session", "session", "time"], "joined": []}


def told(click, slack, question):
    """What stands in the channel for a question that a gate tells of."""
    body, now = json.dumps({"version": 1, "event": "asked", "question": question}).encode(), int(time.time())
    assert click.post(body, headers={"Exitgate-Timestamp": str(now), "Exitgate-Signature": sign(f"{now}.".encode() + body)}, path="/exitgate")[0] == 200
    message = list(slack.messages.values())[-1]
    return "".join(block["text"]["text"] for block in message["blocks"][:-1]), [element["action_id"] for element in message["blocks"][-1]["elements"]]


def test_CTL_08_a_program_that_calls_itself_something_else_forges_no_line(bridged):
    trial, slack, click = bridged
    text, buttons = told(click, slack, QUESTION | {"program": "/bin/sh (x\nhttps://github.com:443\u202e\u200b\r\x1b[2J)", "cwd": "/tmp/a\nthe exact rule: none"})
    lines = text.split("\n")
    assert lines[1] == "https://long.asked.test:443" and "https://github.com:443" not in lines and not any(line.startswith("the exact rule") for line in lines), lines
    assert text.replace("\n", "").isprintable() and "x\\u{a}https://github.com:443\\u{202e}\\u{200b}\\u{d}\\u{1b}[2J" in text, text
    assert buttons == ["once", "time", "session", "refuse", "refuse-session"]


def test_CTL_10_nothing_is_allowed_that_was_not_shown(bridged):
    trial, slack, click = bridged
    place = {name: QUESTION[name] for name in ("port", "protocol", "method", "path")}
    hosts = [f"n{number}." + "a" * 60 + "." + "b" * 60 + "." + "c" * 60 + ".asked.test" for number in range(19)]
    text, buttons = told(click, slack, QUESTION | {"id": "a" * 16, "offers": ["time", "session", "refuse", "refuse-session"], "joined": [place | {"host": host} for host in hosts]})
    assert all(f"https://{host}:443" in text for host in hosts) and buttons == ["time", "session", "refuse", "refuse-session"]
    long = [place | {"host": host, "method": "GET", "path": "/" + "p" * 2000} for host in hosts]
    text, buttons = told(click, slack, QUESTION | {"id": "b" * 16, "offers": ["time", "session", "refuse", "refuse-session"], "joined": long})
    assert hosts[-1] in text and hosts[9] not in text and "exitgate pending" in text and buttons == ["refuse", "refuse-session"], "what is cut out could be allowed"


def test_who_is_nobody_is_told_so_whatever_he_sends(bridged):
    trial, slack, click = bridged
    for moment in ("\xb2", "1" * 5000, "-1", ""):
        for stamp, mark, path in (("X-Slack-Request-Timestamp", "X-Slack-Signature", "/slack"), ("Exitgate-Timestamp", "Exitgate-Signature", "/exitgate")):
            assert click.post(b"{}", headers={stamp: moment, mark: "v1=\xe9"}, path=path)[0] == 401, (moment, path)
            assert click.post(b"{}", headers={stamp: str(int(time.time())), mark: "v1=\xe9"}, path=path)[0] == 401, path
