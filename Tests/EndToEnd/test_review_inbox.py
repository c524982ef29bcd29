"""Questions on the review page: held while it is open, answered from it, and by nothing but it."""
import json, pathlib, shutil, signal, subprocess, tempfile, time

import pytest

from harness.client import connect, get
from harness.far import Accepted, Asked
from harness.gate import BINARY, eventually, exitgate
from harness.namespaces import GOOD
from harness.reviewing import Reviewing
from test_ask import Held, RULES
from harness.gate import BASE

POLICY = (BASE + RULES).replace("version: 1\n", "version: 1\ndefaults: { hold: 20s }\n")
HOSTS = ("x.asked.test", "y.asked.test", "z.asked.test", "asked.test", "paths.asked.test")


@pytest.fixture
def asked(fresh):
    """A gate whose policy asks, and the page beside it."""
    trial = fresh(POLICY)
    for name in HOSTS:
        trial.far.answers(name, GOOD)
    page = Reviewing(trial.gate, "--control", trial.gate.control)
    page.enter()
    yield trial, page
    page.close()
    trial.passes()


def channels(trial):
    return json.loads(trial.gate.tell("status", "--json").stdout)["asking"]["channels"]


def open_page(trial, page, lives=True):
    stream = page.listen(lives=lives)
    eventually(lambda: channels(trial) == 1, 20, "the page does not count as somebody who can be asked")
    return stream


def pending(trial):
    return json.loads(trial.gate.tell("pending", "--json").stdout)


def answers(trial, written):
    return [entry for entry in trial.gate.log.entries(written) if entry.event == "control" and entry.fields["api"]["operation"] in ("approve", "refuse")]


def test_agents_are_held_only_while_a_page_is_open(asked):
    trial, page = asked
    # Pages that were loaded, streams without the session's own token: nobody is there.
    assert "Nobody is asked by this page yet" in page.ask().text
    silent = [page.ask("events"), page.ask("events?proof=" + "0" * 64), page.ask("events?proof=" + page.cookie.partition("=")[2])]
    assert all(stream.status == 200 for stream in silent)
    time.sleep(0.5)
    assert channels(trial) == 0
    trial.denied(connect("x.asked.test:443"), reason="no-approver", itself=True)
    # With it, somebody is.
    stream = open_page(trial, page)
    assert "You can be asked." in page.ask().text
    held = Held(trial.agent, connect("y.asked.test:443"), timeout=30)
    form = page.form("y.asked.test")
    assert form["token"] == page.proof and form["generation"] == "1" and held.reply is None
    seen = []
    while "event: pending" not in seen:
        seen.append(stream.readline().decode().strip())
        assert len(seen) < 200, seen
    second = open_page(trial, page)
    stream.close()
    time.sleep(0.3)
    assert channels(trial) == 1 and held.reply is None, "another one is open still"
    second.close()
    eventually(lambda: channels(trial) == 0, 20, "the page was closed")
    eventually(lambda: "Nobody is asked by this page yet" in page.ask().text, 20)
    trial.denied(connect("z.asked.test:443"), reason="no-approver", itself=True)
    # What was held goes on being held for its time, and can be answered.
    assert page.submit(form | {"answer": "refuse"}).status == 200
    assert held.end().status == 403
    for one in silent:
        one.close()


def test_a_page_that_hangs_is_nobody_who_can_be_asked(asked):
    """The browser, or the tunnel to it: the stream stays open, and nothing comes back by it."""
    trial, page = asked
    stream, began = open_page(trial, page, lives=False), time.monotonic()
    eventually(lambda: channels(trial) == 0, 60, "it is believed to live")
    assert 25 < time.monotonic() - began < 50
    trial.denied(connect("x.asked.test:443"), reason="no-approver", itself=True)
    assert page.change({}, "here", **{"X-Exitgate-Token": "0" * 64}).status == 403 and page.ask("here").status != 200 and channels(trial) == 0
    # A sign of life, and it is somebody again.
    assert page.change({}, "here").status == 200
    eventually(lambda: channels(trial) == 1, 20)
    stream.close()
    eventually(lambda: channels(trial) == 0, 20)
    # The page's own process, with a browser that lives.
    stream, began = open_page(trial, page), time.monotonic()
    page.process.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: channels(trial) == 0, 60, "its process is believed to live")
        assert time.monotonic() - began < 50
    finally:
        page.process.send_signal(signal.SIGCONT)
    eventually(lambda: channels(trial) == 1, 60)
    stream.close()


def test_what_a_question_shows(asked):
    trial, page = asked
    stream = open_page(trial, page)
    trial.denied(connect("w.asked.test:8444"), reason="no-rule", itself=True)
    held = [Held(trial.agent, connect("y.asked.test:8443"), timeout=30), Held(trial.agent, get("http://paths.asked.test/api/v1?q=secret", "paths.asked.test"), timeout=30)]
    page.form("y.asked.test")
    form = page.form("paths.asked.test")
    text = page.ask().text
    for words in ("tcp://y.</", "<b>asked.test</b><b>:8443</b>", "<code>GET /api/v1</code>", "agent <strong>a1</strong>; asked once, 1 connection held",
                  "opaque bytes, nothing is looked at inside", "not encrypted", "no ready-made list knows it", "not looked up before it is allowed",
                  "<code>ask-ssh</code>, generation 1", "Always adds", f"id: &quot;approved-{form['id']}", "**.asked.test would cover every name there",
                  "w.asked.test", "held until <time datetime=\"20", "the question is over <time datetime=\"20", "Waiting for you: 2", "<title>(2) Blocked"):
        assert words.replace("y.</", "y.<") in text, (words, text)
    assert "secret" not in text
    assert sorted(buttons for _, buttons in page.forms())[0] == ["refuse", "refuse-session", "refuse-always", "once", "session", "always", "time"]
    # Who else has used it.
    assert page.submit(form | {"answer": "session", "note": "manual"}).status == 200
    held[1].end()
    eventually(lambda: trial.gate.log.entries() and "approved" in trial.gate.log.path.read_text(), 20)
    again = Held(trial.agent, connect("paths.asked.test:443"), timeout=30)
    page.form("paths.asked.test")
    eventually(lambda: "passed 1, blocked 0" in page.ask().text, 20, "the agent's own use")
    for host in ("y.asked.test", "paths.asked.test"):
        assert page.submit(page.form(host) | {"answer": "refuse"}).status == 200
    assert held[0].end().status == 403 and again.end().status == 403
    eventually(lambda: "refused (once) by user 0 by page" in page.ask().text, 20, "what was over last")
    stream.close()


def test_each_answer_counts_and_is_recorded_as_the_pages(asked):
    trial, page = asked
    stream, written, seen = open_page(trial, page), trial.gate.log.mark(), trial.far.mark()
    # Once, without a script.
    held = Held(trial.agent, connect("x.asked.test:443"), timeout=30)
    done = page.submit(page.form("x.asked.test") | {"answer": "once", "note": "for the docs"})
    assert done.status == 200 and "allowed (once) for agent a1: https://x.asked.test:443" in done.text, done.text
    assert held.end().raw.startswith(b"HTTP/1.1 200") and trial.far.wait_for(seen, Accepted)
    record = answers(trial, written)[0].fields["unmapped"]
    assert (record["channel"], record["scope"], record["note"], record["destinations"]) == ("page", "once", "for the docs", ["https://x.asked.test:443"])
    # For a time, and by the page's own script.
    held = Held(trial.agent, connect("y.asked.test:443"), timeout=30)
    form = page.form("y.asked.test")
    done = page.change({name: form[name] for name in ("id", "generation", "digest")} | {"answer": "time", "seconds": "3600", "note": ""}, "answer")
    assert done.status == 200 and json.loads(done.text)["applied"], done.text
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    # Always: in the overlay, with who.
    held = Held(trial.agent, connect("asked.test:443"), timeout=30)
    form = page.form("asked.test")
    assert page.submit(form | {"answer": "always", "note": "the team's"}).status == 200
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    overlay = (trial.gate.log.path.parent / "approvals.yaml").read_text()
    assert f'id: "approved-{form["id"]}"' in overlay and "user 0 by page: the team's" in overlay, overlay
    # Refused for ever.
    held = Held(trial.agent, connect("z.asked.test:443"), timeout=30)
    refused = page.form("z.asked.test")
    assert page.submit(refused | {"answer": "refuse-always"}).status == 200
    assert held.end().status == 403
    trial.denied(connect("z.asked.test:443"), reason="refused", itself=True)
    # All of it can be taken back, and what passed is cut.
    standing = page.forms("standing", "revoke")
    assert len(standing) == 3 and "until 20" in page.ask("standing").text
    for values, _ in standing:
        done = page.submit(values, "revoke")
        assert done.status == 200 and "taken back" in done.text, done.text
        assert page.submit(values, "revoke").status == 409, "once"
    assert "Nothing stands." in page.ask("standing").text
    held = Held(trial.agent, connect("z.asked.test:443"), timeout=30)
    assert page.submit(page.form("z.asked.test") | {"answer": "refuse"}).status == 200
    held.end()
    stream.close()


FORGED = {
    "a foreign origin": {"Origin": "http://evil.test"}, "the origin null": {"Origin": "null"}, "no origin": {"Origin": None}, "another port": {"Origin": "http://127.0.0.1:1"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"}, "same-site": {"Sec-Fetch-Site": "same-site"}, "no Sec-Fetch-Site": {"Sec-Fetch-Site": None},
    "plain text": {"Content-Type": "text/plain"}, "no type": {"Content-Type": None}, "multipart": {"Content-Type": "multipart/form-data; boundary=x"},
    "no cookie": {"Cookie": None}, "another cookie": {"Cookie": "exitgate-review-1=" + "0" * 64}, "a name that was led here": {"Host": "evil.test"},
}


def test_CTL_04_no_other_site_answers(asked):
    trial, page = asked
    stream, written, seen = open_page(trial, page), trial.gate.log.mark(), trial.far.mark()
    held = Held(trial.agent, connect("x.asked.test:443"), timeout=30)
    form = page.form("x.asked.test") | {"answer": "session"}
    values = {name: value for name, value in form.items() if name != "token"}
    for name, spoiled in FORGED.items():
        assert page.submit(form, **spoiled).status == 403, name
        assert page.change(values, "answer", **spoiled).status == 403, name
        assert page.submit({"token": page.proof, "id": form["id"]}, "revoke", **spoiled).status == 403, name
    for token in (None, "", "0" * 64, page.cookie.partition("=")[2]):
        own = values | ({} if token is None else {"token": token})
        assert page.submit(own).status == 403, token
        assert page.change(values, "answer", **{"X-Exitgate-Token": token}).status == 403, token
    query = "&".join(f"{name}={value}" for name, value in form.items())
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        assert page.ask("answer?" + query, method=method, headers={"Origin": page.origin, "Sec-Fetch-Site": "same-origin"}).status in (403, 404), method
    # A form's token opens nothing that has no form.
    assert page.submit(form, "apply").status == 403
    assert held.reply is None and len(pending(trial)) == 1 and not answers(trial, written)
    assert not trial.far.since(seen, Asked) and not trial.far.since(seen, Accepted)
    # The control.
    assert page.submit(form).status == 200 and held.end().raw.startswith(b"HTTP/1.1 200") and len(answers(trial, written)) == 1
    stream.close()


def test_CTL_05_a_rebound_name_sees_no_question(asked):
    trial, page = asked
    stream = open_page(trial, page)
    held = Held(trial.agent, connect("x.asked.test:443"), timeout=30)
    form = page.form("x.asked.test")
    for name in ("evil.test", f"127.0.0.1.evil.test:{page.port}", f"localhost.evil.test:{page.port}", None):
        for path in ("", "standing", "events?proof=" + page.proof):
            answer = page.ask(path, headers={"Host": name})
            assert answer.status == 403 and "asked.test" not in answer.text, (name, path)
    assert "x.<b>asked.test</b>" in page.ask().text
    page.submit(form | {"answer": "refuse"})
    held.end()
    stream.close()


def test_CTL_12_stale_and_repeated_answers_have_no_effect_and_say_why(asked):
    trial, page = asked
    stream, written, seen = open_page(trial, page), trial.gate.log.mark(), trial.far.mark()
    held = Held(trial.agent, connect("x.asked.test:443"), timeout=30)
    form = page.form("x.asked.test")
    for spoiled, why in (({"digest": "0" * 32}, "not what was shown"), ({"generation": "2"}, "policy has changed"), ({"id": "a" * 16}, "no question is called so"),
                         ({"id": "../../etc/passwd"}, "it is no answer"), ({"answer": "time", "seconds": "99999999"}, "not offered")):
        done = page.submit(form | {"answer": "once"} | spoiled)
        assert done.status == 409 and why in done.text and "No effect" in done.text, (spoiled, done.text)
    for broken in ({"answer": "allow"}, {"generation": "x"}, {"answer": "time"}, {"digest": ""}):
        assert page.submit(form | {"answer": "once"} | broken).status == 400, broken
    assert held.reply is None and not trial.far.since(seen, Accepted)
    # The policy changes while it is looked at: what was shown is not what would be allowed.
    trial.gate.reload(POLICY + "  - { id: more, action: allow, to: [more.test] }\n")
    done = page.submit(form | {"answer": "once"})
    assert done.status == 409 and "generation 2 is in force" in done.text, done.text
    fresh = page.form("x.asked.test")
    assert fresh["generation"] == "2" and fresh["digest"] != form["digest"]
    # Twice the same: the first counts.
    assert page.submit(fresh | {"answer": "once"}).status == 200
    done = page.submit(fresh | {"answer": "session"})
    assert done.status == 409 and "decided already: allowed (once) by user 0 by page" in done.text, done.text
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    assert len([one for one in answers(trial, written) if one.fields.get("status_id") != 2]) == 1
    held = Held(trial.agent, connect("x.asked.test:443"), timeout=30)
    assert page.submit(fresh | {"answer": "once"}).status == 409, "it was for one connection"
    page.submit(page.form("x.asked.test") | {"answer": "refuse"})
    assert held.end().status == 403
    stream.close()


def test_CTL_10_a_list_that_grew_is_not_approved_by_who_saw_less(asked):
    trial, page = asked
    stream = open_page(trial, page)
    held = [Held(trial.agent, connect(f"n{number}.many.asked.test:443"), timeout=30) for number in range(6)]
    eventually(lambda: any(len(one["joined"]) == 5 for one in pending(trial)), 30, "they are not joined")
    (form, offers), = page.forms()
    assert "once" not in offers and "always" not in offers and "session" in offers
    text = page.ask().text
    assert all(f"n{number}.many.<b>asked.test</b>" in text for number in range(6)) and "the 6 destinations listed" in text
    held.append(Held(trial.agent, connect("n6.many.asked.test:443"), timeout=30))
    eventually(lambda: any(len(one["joined"]) == 6 for one in pending(trial)), 30)
    done = page.submit(form | {"answer": "session"})
    assert done.status == 409 and "not what was shown" in done.text
    assert all(one.reply is None for one in held)
    (form, _), = page.forms()
    assert page.submit(form | {"answer": "refuse-session"}).status == 200
    assert all(one.end().status == 403 for one in held)
    stream.close()


# -- roles

READER, APPROVER = 61001, 61002


@pytest.fixture
def reviewers(fresh):
    """The page as another user runs it, whom the policy gives a role."""
    place, pages = pathlib.Path(tempfile.mkdtemp(prefix="exitgate-roles")), []
    place.chmod(0o755)
    copy = place / "exitgate"
    shutil.copy(BINARY, copy)
    copy.chmod(0o755)
    trial = fresh(POLICY + f"reviewers: {{ read: [{READER}], approve: [{APPROVER}] }}\n", start=False)
    trial.gate.control = place / "control.sock"
    trial.gate.start()
    (place / "audit.jsonl").write_text("")
    (place / "audit.jsonl").chmod(0o644)
    shutil.copy(trial.gate.policy, place / "policy.yaml")

    def make(user):
        page = Reviewing(trial.gate, "--policy", place / "policy.yaml", "--control", trial.gate.control, log=place / "audit.jsonl", binary=copy,
                         prefix=("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"))
        pages.append(page)
        page.enter()
        return page

    yield trial, make
    for page in pages:
        page.close()
    shutil.rmtree(place, ignore_errors=True)


def test_CTL_01_a_page_shows_and_does_what_its_user_may(reviewers):
    trial, make = reviewers
    reader, approver = make(READER), make(APPROVER)
    stream = reader.listen()
    eventually(lambda: "You may look and not answer" in reader.ask().text, 20)
    assert channels(trial) == 0, "who only reads cannot be asked"
    trial.denied(connect("x.asked.test:443"), reason="no-approver", itself=True)
    other = open_page(trial, approver)
    held = Held(trial.agent, connect("y.asked.test:443"), timeout=30)
    eventually(lambda: "y.<b>asked.test</b>" in reader.ask().text, 20)
    assert reader.forms() == []
    form = approver.form("y.asked.test")
    (_, offers), = approver.forms()
    assert "always" not in offers and "refuse-always" not in offers and "once" in offers
    done = approver.submit(form | {"answer": "always"})
    assert done.status == 409 and "needs the role &#39;edit&#39;" in done.text
    own = {name: form[name] for name in ("id", "generation", "digest")} | {"answer": "once", "token": reader.proof}
    done = reader.submit(own)
    assert done.status == 409 and "needs the role &#39;approve&#39;" in done.text and held.reply is None
    assert approver.submit(form | {"answer": "refuse"}).status == 200 and held.end().status == 403
    stream.close()
    other.close()


# -- from inside

LOOK = """
import socket, sys
port = int(sys.argv[1])
for host in ("127.0.0.1", "localhost", "::1"):
    try:
        with socket.create_connection((host, port), 10) as s:
            s.settimeout(10)
            s.sendall(f"GET {sys.argv[2]} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nConnection: close\\r\\n\\r\\n".encode())
            got = b""
            while data := s.recv(65536): got += data
            print(host, "review" in got.decode("latin-1").lower(), got[:20])
    except OSError as error:
        print(host, False, type(error).__name__)
"""


class Beside:
    """What the page needs to know of a command's gate: whoever starts one starts the other beside it."""

    def __init__(self, box, policy):
        self.bench = self
        self.command = lambda role, *words: box.on_host(*words)
        self.control, self.log, self.policy, self.directory = box.state / "control.sock", box.log, policy, box.work


def test_CTL_03_nothing_inside_a_sandbox_reaches_the_page(box):
    policy = box.work / "asks.yaml"
    policy.write_text("version: 1\nrules:\n  - { id: all, action: allow, to: [\"0.0.0.0/0\", \"::/0\"], protocol: http, ports: [\"1-65535\"], allow-public-suffix: true }\n")
    box.run("/bin/true", flags=("--policy", policy))
    page = Reviewing(Beside(box, policy), "--control", box.state / "control.sock")
    try:
        inside = box.python(LOOK, str(page.port), f"{page.base}?token={page.token}", flags=("--policy", policy)).splitlines()
        assert len(inside) == 3 and all(line.split()[1] == "False" for line in inside), inside
        # The control: the same from outside is let in, and its one-time token is not used up.
        outside = subprocess.run(box.on_host("curl", "-sS", "-i", "-m", "10", page.address), capture_output=True, text=True)
        assert "303 See Other" in outside.stdout and "Set-Cookie" in outside.stdout, outside
    finally:
        page.close()
