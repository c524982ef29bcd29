"""The review page as other programs see it: who is let in, what is shown, what changes something."""
import json, os, pathlib, re, socket, subprocess

import pytest

from harness.client import connect, get
from harness.gate import BASE, BINARY, QUIET, eventually, exitgate
from harness.namespaces import GATE, run
from harness.reviewing import Reviewing

OVERLAY = "version: 1\n# kept by people\nrules:\n  - { id: mine, action: allow, to: [mine.test] }  # stays\n"
POLICY = BASE.replace("version: 1\n", "version: 1\ninclude: [file:overlay.yaml]\n")


@pytest.fixture
def made(fresh, tmp_path):
    """A gate whose policy includes an overlay, and the page over its log."""
    pages = []

    def make(policy=POLICY, overlay=OVERLAY, **options):
        trial = fresh(policy, start=False)
        file = trial.gate.directory / "overlay.yaml"
        file.write_text(overlay)
        trial.gate.start()
        page = Reviewing(trial.gate, "--rules", file, "--control", trial.gate.control, **options)
        page.overlay = file
        pages.append(page)
        return trial, page

    yield make
    for page in pages:
        page.close()


@pytest.fixture
def both(made):
    trial, page = made()
    page.enter()
    return trial, page


def curl(page, *flags, path="", cookie=True):
    """The status that curl gets."""
    cookie = ("-H", f"Cookie: {page.cookie}") if cookie else ()
    return int(run(*page.bench.command("gw", "curl", "-sS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", *cookie, *flags, page.origin + page.base + path)))


def test_CTL_03_the_address_lets_one_in_and_is_then_dead(made):
    trial, page = made()
    assert page.ask().status == 403
    answer = page.enter()
    cookie = answer.getheader("Set-Cookie")
    assert f"Path={page.base}" in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert page.ask().status == 200
    assert page.ask("?token=" + page.token, cookie=False).status == 403, "it was used"
    assert page.ask(cookie=False).status == 403
    # Its process's own words, arguments and environment hold no token; what it printed is dead.
    for secret in (page.cookie.partition("=")[2], page.proof):
        for part in ("cmdline", "environ"):
            assert secret.encode() not in open(f"/proc/{page.process.pid}/{part}", "rb").read()


def test_what_was_blocked_is_shown_with_its_rule_and_its_records(both):
    trial, page = both
    trial.denied(connect("evil.test:443"), reason="no-rule")
    trial.agent.send(connect("api.evil.test:443"))
    page.shows("api.<b>evil.test</b>:443")
    assert "2 groups" in page.ask().text or "3 groups" in page.ask().text
    group = page.ask("group?agent=a1&host=api.evil.test&port=443&protocol=https").text
    assert "to: [&quot;api.evil.test&quot;] }" in group and '<ins>+   - {' in group and "# stays" in group
    assert "no-rule" in group and "from 10.66.0.2:" in group
    trial.passes()


def test_filters_are_those_of_the_command_line(both):
    trial, page = both
    trial.agent.send(connect("api.evil.test:443"))
    trial.agent.send(connect("bad.wild.test:443"))
    page.shows("bad.<b>wild.test</b>:443")
    for query, seen, unseen in (
        ("destination=**.evil.test", "evil.test</b>:443", "wild.test</b>"), ("reason=deny-rule", "wild.test</b>", "evil.test</b>"),
        ("agent=a2", "Nothing was blocked", "</b>:443"), ("layer=dns", "Nothing was blocked", "</b>:443"), ("since=1h", "</b>:443", "Nothing was blocked"),
    ):
        text = page.ask("?" + query).text
        assert seen in text and unseen not in text, query
    for query in ("destination=%00", "since=x", "agent=..%2f..%2fetc", "layer=x", "a=%zz", "agent=a1&agent=a2"):
        answer = page.ask("?" + query)
        assert answer.status == 400 and "</b>:443" not in answer.text, query
    assert page.ask("group?agent=a1&host=nowhere.test&port=443&protocol=https").status == 400
    assert page.ask("nothing").status == 404


def test_the_policy_is_asked_as_by_explain(both):
    trial, page = both
    told = exitgate("explain", "--policy", trial.gate.policy, "--agent", "a1", "evil.test:443").stdout
    shown = page.ask("explain?destination=evil.test%3A443&agent=a1").text
    assert "would allow it" in told and "no-rule" in shown
    text = re.sub(r"<[^>]+>", "", shown).replace("&quot;", '"').replace("&#39;", "'")
    for line in told.splitlines():
        assert line in text, line
    for wrong in ("destination=%22%3E%3Cimg", "destination=a.test%3A443&agent=nobody", "destination=a.test%3A443&protocol=x", "destination=--help", "destination=a.test"):
        assert page.ask("explain?" + wrong).status == 200


def test_the_gates_own_address_is_denied_where_the_page_explains_it(made):
    """The page is held to little, and has to know this machine's addresses all the same."""
    rule = "  - { id: everywhere, action: allow, to: [0.0.0.0/0], ports: [80, 443], allow-private: true }\n"
    trial, page = made(POLICY.replace("rules:\n", "rules:\n" + rule, 1))
    page.enter()
    for address, verdict in ((GATE, "deny"), ("11.11.0.99", "allow")):
        told = subprocess.run(page.bench.command("gw", BINARY, "explain", "--policy", trial.gate.policy, "--agent", "a1", f"{address}:443"),
                              capture_output=True, text=True, env=QUIET).stdout
        text = re.sub(r"<[^>]+>", "", page.ask(f"explain?destination={address}%3A443&agent=a1").text)
        assert f"{verdict}: " in told and f"{verdict}: " in text, (told, text)


def test_whether_the_log_is_whole_and_what_the_gate_says(both):
    trial, page = both
    page.shows(">Intact<", "integrity")
    page.shows("<strong class=\"good\">enforce</strong>", "integrity")
    assert "generation 1" in page.ask("integrity").text and "role=\"alert\"" not in page.ask().text


def test_CTL_16_audit_mode_is_said_on_every_page(made):
    trial, page = made(policy=POLICY.replace("version: 1\n", "version: 1\nmode: audit\n"))
    page.enter()
    for path in ("", "explain", "integrity"):
        page.shows('role="alert">NOT ENFORCING', path)
    trial.agent.send(connect("evil.test:443"))
    page.shows("NOT ENFORCING: it passed")
    trial.gate.reload(POLICY)
    eventually(lambda: 'role="alert"' not in page.ask().text, 30, "enforced again")


def test_a_log_that_was_changed_is_said_to_be(made, tmp_path):
    trial, page = made()
    trial.denied(connect("evil.test:443"), reason="no-rule")
    trial.gate.stop()
    text = trial.gate.log.path.read_text()
    trial.gate.log.path.write_text(text.replace("no-rule", "no_rule", 1))
    second = Reviewing(trial.gate)
    try:
        second.enter()
        second.shows("NOT INTACT")
        second.shows("The audit log is NOT INTACT", "integrity")
    finally:
        second.close()


def test_a_rule_is_applied_once_and_the_gate_lets_it_pass(both):
    trial, page = both
    trial.denied(connect("rebind.evil.test:443"), reason="no-rule", itself=True)
    page.shows("rebind.<b>evil.test</b>")
    wanted = page.suggestion("rebind.evil.test")
    answer = page.change(wanted)
    told = json.loads(answer.text)
    assert answer.status == 200 and told["applied"] and "generation 2" in told["text"], told
    text = page.overlay.read_text()
    assert text.startswith(OVERLAY) and f"- {wanted['rule']}" in text
    assert re.search(r"# added 20\S+Z by root with exitgate review: denied once, no-rule", text)
    told = exitgate("explain", "--policy", trial.gate.policy, "--agent", "a1", "rebind.evil.test:443")
    assert told.returncode == 0, told
    # A second time it is there already, and nothing is changed.
    answer = page.change(wanted)
    assert answer.status == 409 and page.overlay.read_text() == text, answer.text
    assert json.loads(trial.gate.tell("status", "--json").stdout)["policy"]["generation"] == 2


def test_the_page_holds_no_more_than_it_needs(both):
    trial, page = both
    threads = list(pathlib.Path(f"/proc/{page.process.pid}/task").glob("*/status"))
    assert len(threads) >= 2
    for thread in threads:
        fields = dict(line.split(":\t", 1) for line in thread.read_text().splitlines() if ":\t" in line)
        assert fields["Seccomp"] == "2" and fields["NoNewPrivs"] == "1"
        # CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER (capabilities(7)): what concerns files, of root's.
        assert {int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")} == {0b1111}, fields


def test_nothing_is_written_beside_the_directories_of_the_start(fresh, tmp_path):
    """What proves Landlock: a directory that was put in place of the overlay's is another."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "overlay.yaml").write_text(OVERLAY)
    trial = fresh(POLICY.replace("file:overlay.yaml", f'"file:{rules}/overlay.yaml"'))
    page = Reviewing(trial.gate, "--rules", rules / "overlay.yaml", "--control", trial.gate.control)
    try:
        page.enter()
        for name in ("first.evil.test", "second.evil.test"):
            trial.denied(connect(f"{name}:443"), reason="no-rule", itself=True)
            page.shows(f"{name.partition('.')[0]}.<b>evil.test</b>")
        assert page.change(page.suggestion("first.evil.test")).status == 200
        rules.rename(tmp_path / "aside")
        rules.mkdir()
        (rules / "overlay.yaml").write_text(OVERLAY)
        answer = page.change(page.suggestion("second.evil.test"))
        assert answer.status != 200 and "cannot be written" in answer.text, answer.text
        assert (rules / "overlay.yaml").read_text() == OVERLAY and [file.name for file in rules.iterdir()] == ["overlay.yaml"]
    finally:
        page.close()


FORGED = {
    "a foreign origin": {"Origin": "http://evil.test"}, "the origin null": {"Origin": "null"}, "no origin": {"Origin": None},
    "another port": {"Origin": "http://127.0.0.1:1"}, "cross-site": {"Sec-Fetch-Site": "cross-site"}, "same-site": {"Sec-Fetch-Site": "same-site"},
    "typed": {"Sec-Fetch-Site": "none"}, "no Sec-Fetch-Site": {"Sec-Fetch-Site": None}, "plain text": {"Content-Type": "text/plain"},
    "a form": {"Content-Type": "application/x-www-form-urlencoded"}, "no type": {"Content-Type": None}, "no token": {"X-Exitgate-Token": None},
    "a wrong token": {"X-Exitgate-Token": "0" * 64}, "no cookie": {"Cookie": None}, "another cookie": {"Cookie": "exitgate-review-1=" + "0" * 64},
}


def test_CTL_04_no_other_site_changes_anything(both):
    trial, page = both
    trial.denied(connect("b.evil.test:443"), reason="no-rule", itself=True)
    page.shows("b.<b>evil.test</b>")
    wanted = page.suggestion("b.evil.test")
    for name, spoiled in FORGED.items():
        answer = page.change(wanted, **spoiled)
        assert answer.status == 403, (name, answer.status, answer.text)
    query = "&".join(f"{key}={value}" for key, value in (("agent", "a1"), ("host", "b.evil.test"), ("port", "443"), ("protocol", "https")))
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = page.ask("apply?" + query, method=method, headers={"X-Exitgate-Token": page.proof, "Origin": page.origin, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"})
        assert answer.status in (403, 404), (method, answer.status)
    body = json.dumps(wanted)
    assert curl(page, "-X", "POST", "-H", "Origin: http://evil.test", "-H", "Content-Type: text/plain", "-d", body, path="apply") == 403
    assert curl(page, "-d", body, path="apply") == 403  # a form, as any page can send it
    assert curl(page, "-F", "rule=x", "-H", "Origin: null", path="apply") == 403
    assert page.overlay.read_text() == OVERLAY
    assert json.loads(trial.gate.tell("status", "--json").stdout)["policy"]["generation"] == 1
    # The control: the page's own request, with nothing else changed.
    assert page.change(wanted).status == 200 and "b.evil.test" in page.overlay.read_text()


def test_CTL_04_what_was_not_offered_is_not_applied(both):
    trial, page = both
    trial.denied(connect("c.evil.test:443"), reason="no-rule", itself=True)
    trial.denied(connect("bad.wild.test:443"), reason="deny-rule", itself=True)
    page.shows("c.<b>evil.test</b>")
    wanted = page.suggestion("c.evil.test")
    for spoiled in ({"rule": '{ id: "x", action: allow, to: ["**.test"] }'}, {"rule": wanted["rule"] + "\n- x"}, {"host": "bad.wild.test"}, {"agent": "a2"},
                    {"port": "22"}, {"protocol": "tcp"}, {"rule": ""}, {"host": "../../etc/passwd"}):
        answer = page.change(wanted | spoiled)
        assert answer.status in (400, 409) and page.overlay.read_text() == OVERLAY, (spoiled, answer.text)
    for body in (b"", b"x", b"[]", b'{"agent":"a1"}', b'{"rule":1}', b"[" * 10000):
        headers = {"Origin": page.origin, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", "X-Exitgate-Token": page.proof}
        assert page.ask("apply", method="POST", headers=headers, body=body).status == 400
    assert page.ask("apply", method="POST", headers=headers, body=b"x" * 20000).status == 413
    assert page.ask("other", method="POST", headers=headers, body=b"{}").status == 404
    assert page.overlay.read_text() == OVERLAY and page.change(wanted).status == 200


def test_CTL_05_names_that_were_led_here_open_nothing(both):
    trial, page = both
    names = ("evil.test", f"evil.test:{page.port}", f"127.0.0.1.evil.test:{page.port}", f"127.evil.test:{page.port}", f"localhost.evil.test:{page.port}",
             f"user@127.0.0.1:{page.port}", "[::1", f"[::1]:{page.port}", "127.0.0.1", "127.0.0.1:1", f"127.1:{page.port}", f"LOCALHOST:{page.port}", "")
    for path in ("", "review.js", "events", "group?agent=a1", "?token=" + page.token):
        for name in names:
            assert curl(page, "-H", f"Host: {name}" if name else "Host;", path=path) == 403, (path, name)
            assert page.ask(path, headers={"Host": name}).status == 403, (path, name)
        assert page.ask(path, headers={"Host": None}).status == 403 and curl(page, "-H", "Host:", path=path) == 403
        assert curl(page, "-0", "-H", "Host:", path=path) == 403
    assert page.ask(raw_path=True, path="http://evil.test/").status == 403
    # The control: both names of the page, to the byte.
    for name in (f"127.0.0.1:{page.port}", f"localhost:{page.port}"):
        assert page.ask(headers={"Host": name}).status == 200
        assert page.ask(headers={"Host": name}, cookie=False).status == 403


def test_CTL_06_no_other_site_listens(both):
    trial, page = both
    handshake = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    for origin in ("http://evil.test", None, "null", page.origin):
        for path in ("", "events", "apply"):
            answer = page.ask(path, headers=handshake | {"Origin": origin})
            assert answer.status == 403 and answer.getheader("Upgrade") is None, (origin, path)
    for headers in ({"Origin": "http://evil.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Cookie": None}):
        answer = page.ask("events", headers=headers)
        assert answer.status == 403 and answer.getheader("Access-Control-Allow-Origin") is None, headers
    answer = page.ask("events", headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status == 200 and answer.getheader("Content-Type") == "text/event-stream"
    trial.agent.send(connect("evil.test:443"))
    lines = []
    while not (lines and lines[-1].startswith("data: {\"blocked\":") and not lines[-1].endswith(":0}")):
        lines.append(answer.readline().decode().strip())
        assert len(lines) < 100
    assert "event: log" in lines


def test_listeners_are_bounded_and_pages_are_served_meanwhile(both):
    trial, page = both
    held = [page.ask("events") for _ in range(16)]
    assert all(answer.status == 200 for answer in held)
    assert page.ask("events").status == 503 and page.ask().status == 200
    held.pop().close()
    eventually(lambda: page.ask("events").status == 200, 30, "there is room again")


def test_CTL_06_a_stream_ends_with_its_session(made):
    """A ninth browser takes the place of the one that was used longest ago, which hears nothing from then on."""
    outer, inner = os.openpty()
    trial, page = made(stdin=inner)
    try:
        page.enter()
        streams = [page.ask("events?proof=" + page.proof)]
        for _ in range(8):
            os.write(outer, b"\n")
            page.read_address()
            page.enter()
            streams.append(page.ask("events?proof=" + page.proof))
        assert all(stream.status == 200 for stream in streams)
        streams[0].fp.raw._sock.settimeout(20)
        assert streams[0].read().startswith(b"retry: "), "which comes to its end"
        asking = lambda: json.loads(trial.gate.tell("status", "--json").stdout)["asking"]["channels"]
        eventually(lambda: asking() == 1, 20)
        for stream in streams[1:]:
            stream.close()
        eventually(lambda: asking() == 0, 20)
    finally:
        os.close(outer), os.close(inner)


def test_connections_that_say_nothing_keep_nobody_out(both):
    trial, page = both
    with page.bench.inside("gw"):
        silent = [socket.create_connection((page.host, page.port), 5) for _ in range(80)]
    try:
        for _ in range(5):
            assert page.ask().status == 200
    finally:
        for one in silent:
            one.close()


def test_every_answer_says_what_a_browser_may_do_with_it(both):
    trial, page = both
    answers = [page.ask(path) for path in ("", "explain", "integrity", "review.js", "review.css", "review.svg", "nothing", "events")]
    answers += [page.ask(cookie=False), page.ask(headers={"Host": "evil.test"}), page.ask("apply", method="POST", body=b"{}"), page.ask(headers={"Origin": "null"})]
    for answer in answers:
        policy = answer.getheader("Content-Security-Policy")
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ") and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert answer.getheader("X-Content-Type-Options") == "nosniff" and answer.getheader("Referrer-Policy") == "no-referrer"
        assert answer.getheader("Cross-Origin-Opener-Policy") == "same-origin" and answer.getheader("Cross-Origin-Resource-Policy") == "same-origin"
        assert answer.getheader("Cache-Control") == "no-store" and answer.getheader("Access-Control-Allow-Origin") is None
    for answer in answers[:3]:
        assert re.findall(r"<script[^>]*>", answer.text) == ['<script src="review.js" defer>'] and " style=" not in answer.text


def test_CTL_02_the_page_is_out_of_reach_through_the_gate(both):
    trial, page = both
    for to in (f"127.0.0.1:{page.port}", f"localhost:{page.port}", f"{GATE}:{page.port}", f"[::1]:{page.port}"):
        reply = trial.agent.send(connect(to))
        assert reply.status == 403 and b"exitgate review" not in reply.raw, (to, reply)
        reply = trial.agent.send(get(f"http://{to}{page.base}?token={page.token}", host=to))
        assert reply.status == 403 and b"Set-Cookie" not in reply.raw, (to, reply)
    assert page.ask().status == 200  # it is there, for those who are let in


def test_CTL_02_a_rule_that_opens_this_machine_opens_no_page(made):
    policy = POLICY + "  - { id: local, agents: [a1], action: allow, to: [127.0.0.1/32], protocol: http, ports: [\"1-65535\"], allow-loopback: true }\n"
    trial, page = made(policy=policy)
    reply = trial.agent.send(get(f"http://127.0.0.1:{page.port}{page.base}", host=f"127.0.0.1:{page.port}"))
    assert reply.status == 403 and b"What was blocked" not in reply.raw
    page.enter()
    assert "What was blocked" in page.ask().text


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "10.66.0.1:0", "[::]:0", "unix:/tmp/x", "localhost:0", "127.0.0.1"])
def test_only_a_loopback_address_is_listened_on(listen, tmp_path):
    (tmp_path / "audit.jsonl").write_text("")
    told = exitgate("review", "--listen", listen, "--audit-log", tmp_path / "audit.jsonl")
    assert told.returncode == 64 and "loopback" in told.stderr, told


def test_a_page_by_ipv6(made):
    trial, page = made(listen="[::1]:0")
    page.enter()
    assert page.ask().status == 200 and page.ask(headers={"Host": f"127.0.0.1:{page.port}"}).status == 403


def test_AUD_04_long_and_many_names_are_shown_in_bounds(both):
    trial, page = both
    long = ".".join(["a" * 60] * 4) + ".test"
    trial.agent.send(connect(f"{long}:443"))
    for number in range(120):
        trial.agent.send(connect(f"n{number}.many.test:443"))
    page.shows("many.test</b>:443")
    eventually(lambda: "Page 1 of 3" in page.ask().text, 30, "pages")
    first, last = page.ask().text, page.ask("?page=3").text
    assert first.count("<li><h3>") == 50 and last.count("<li><h3>") < 50 and page.ask("?page=999").text.count("<li><h3>") == last.count("<li><h3>")


def test_without_an_overlay_or_a_log_it_says_so(fresh):
    trial = fresh()
    page = Reviewing(trial.gate)
    try:
        page.enter()
        trial.agent.send(connect("evil.test:443"))
        page.shows("<b>evil.test</b>:443")
        text = page.ask("group?agent=a1&host=evil.test&port=443&protocol=https").text
        assert "--rules FILE" in text and 'id="apply"' not in text
        answer = page.change({"agent": "a1", "host": "evil.test", "port": "443", "protocol": "https", "rule": "x"})
        assert answer.status == 409 and "--rules" in answer.text
    finally:
        page.close()
    told = exitgate("review", "--audit-log", "/nowhere/audit.jsonl")
    assert told.returncode == 78 and "--audit-log" in told.stderr
