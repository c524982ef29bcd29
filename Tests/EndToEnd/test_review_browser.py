"""The review page in a browser: live, by keyboard, on a phone, dark and light, and with hostile values in every field."""
import json, re, subprocess, time, urllib.parse

import pytest

from harness.browser import CONTRAST, PROGRAM, Browser
from harness.client import client_hello, connect, get
from harness.gate import eventually
from harness.reviewing import Reviewing
from test_review_page import OVERLAY, POLICY

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed (Debian: chromium)")


@pytest.fixture
def reviewed(fresh, tmp_path):
    """A gate, the page over its log, and a browser in the gate's namespace."""
    made = []

    def make(policy=POLICY, log=None):
        trial = fresh(policy, start=False)
        (trial.gate.directory / "overlay.yaml").write_text(OVERLAY)
        trial.gate.start()
        if log:
            log(trial)
        page = Reviewing(trial.gate, "--rules", trial.gate.directory / "overlay.yaml", "--control", trial.gate.control)
        browser = Browser(trial.bench, tmp_path / "profile")
        made.extend((page, browser))
        return trial, page, browser

    yield make
    for one in reversed(made):
        one.close()


def nothing_foreign(page, tab):
    """No script but the page's own ran, nothing was even tried, and nobody else was asked."""
    assert tab.evaluate("witness.ran") == [] and tab.evaluate("witness.held") == []
    assert tab.events("Page.javascriptDialogOpening") == []
    assert tab.requests and all(url.startswith(page.origin + page.base) for url in tab.requests), tab.requests


def test_what_is_blocked_appears_without_a_reload(reviewed):
    trial, page, browser = reviewed()
    tab = browser.page().go(page.address)
    assert tab.evaluate("location.href") == page.origin + page.base, "no token stays in the address"
    tab.until("document.getElementById('live').className.includes('on')")
    assert "Nothing was blocked" in tab.text
    tab.evaluate("globalThis.kept = 'not loaded anew'")
    trial.denied(connect("live.evil.test:443"), reason="no-rule", itself=True)
    start = time.monotonic()
    tab.until("document.querySelector('ol.groups h3')?.textContent === 'https://live.evil.test:443'")
    print(f"shown after {time.monotonic() - start:.2f} s")
    trial.agent.send(connect("second.evil.test:443"))
    tab.until("document.querySelectorAll('ol.groups > li').length === 2")
    tab.until("document.getElementById('said').textContent.includes('more blocked')")
    assert tab.evaluate("kept") == "not loaded anew"
    nothing_foreign(page, tab)
    # The server goes away: the page says so.
    page.close()
    tab.until("document.getElementById('live').textContent.includes('lost')")


def test_a_rule_is_applied_from_the_page_and_what_was_denied_passes(reviewed):
    trial, page, browser = reviewed()
    trial.denied(connect("named.evil.test:443"), reason="no-rule", itself=True)
    tab = browser.page().go(page.address)
    tab.until("!!document.querySelector('ol.groups h3 a')")
    tab.evaluate("document.querySelector('ol.groups h3 a').focus()")
    loads = len(tab.events("Page.loadEventFired"))
    tab.key("Enter")
    tab.loaded(loads)
    assert tab.evaluate("document.querySelector('h1').textContent") == "https://named.evil.test:443"
    records = tab.evaluate("[...document.querySelectorAll('ol.records summary')].map((s) => s.textContent)")
    assert len(records) == 1 and "no-rule" in records[0]
    added = tab.evaluate("[...document.querySelectorAll('pre.diff ins')].map((i) => i.textContent)")
    assert len(added) == 2 and "# added" in added[0] and "named.evil.test" in added[1]
    tab.evaluate("document.getElementById('apply').focus()")
    tab.key("Space")
    tab.until("document.getElementById('outcome').textContent.startsWith('Applied: ')")
    assert "generation 2" in tab.evaluate("document.getElementById('outcome').textContent")
    assert added[1].removeprefix("+ ") in (trial.gate.directory / "overlay.yaml").read_text()
    record = json.loads(trial.gate.tell("status", "--json").stdout)
    assert record["policy"]["generation"] == 2
    # The far side has no such name: what was 403 is now tried.
    assert trial.agent.send(connect("named.evil.test:443")).status != 403
    nothing_foreign(page, tab)


VIEWS = ("", "explain?destination=evil.test%3A443&agent=a1", "integrity", "group?agent=a1&host=evil.test&port=443&protocol=https")


@pytest.fixture
def shown(reviewed):
    """A page with something of everything on it."""
    trial, page, browser = reviewed()
    for host in ("evil.test", "registry.npmjs.org", "bad.wild.test", ".".join(["a" * 60] * 4) + ".test"):
        trial.agent.send(connect(f"{host}:443"))
    trial.passes()
    page_tab = browser.page().go(page.address)
    page_tab.until("document.querySelectorAll('ol.groups > li').length >= 4")
    cookies = page_tab.call("Network.getAllCookies")["cookies"]
    page.cookie = f"{cookies[0]['name']}={cookies[0]['value']}"

    def tab(**options):
        own = browser.page(**options)
        own.call("Network.setCookie", url=page.origin + page.base, name=cookies[0]["name"], value=cookies[0]["value"],
                 path=page.base, httpOnly=True, sameSite="Strict")
        return own

    return trial, page, tab


def test_colours_are_told_apart_in_light_and_dark(shown):
    trial, page, tab = shown
    backgrounds = {}
    for dark in (False, True):
        own = tab(dark=dark)
        pairs = []
        for view in VIEWS:
            own.go(page.origin + page.base + view)
            own.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
            pairs += own.evaluate(CONTRAST)
            backgrounds[dark] = own.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert len({pair["pair"] for pair in pairs}) >= 8
        poor = [pair for pair in pairs if pair["ratio"] < (4.5 if pair["pair"].startswith("text") else 3)]
        assert not poor, poor
        # The control: what is measured would be found too faint.
        own.evaluate("document.querySelector('h1').style.color = getComputedStyle(document.documentElement).backgroundColor")
        assert any(pair["ratio"] < 4.5 for pair in own.evaluate(CONTRAST))
    assert backgrounds[False] != backgrounds[True]


def test_all_warnings_are_told_apart_too(reviewed):
    trial, page, browser = reviewed(policy=POLICY.replace("version: 1\n", "version: 1\nmode: audit\n"))
    trial.agent.send(connect("evil.test:443"))
    tab = browser.page().go(page.address)
    for dark in (False, True):
        tab.look(dark)
        for view in ("", "integrity"):
            tab.go(page.origin + page.base + view)
            tab.until("document.querySelector('.banner')?.textContent.startsWith('NOT ENFORCING')")
            assert all(pair["ratio"] >= (4.5 if pair["pair"].startswith("text") else 3) for pair in tab.evaluate(CONTRAST))
    assert ("alert", None) in [(role, None) for role, _, _ in tab.tree]


@pytest.mark.parametrize("width", [320, 360, 768])
def test_a_phone_needs_no_sideways_scrolling(shown, width):
    trial, page, tab = shown
    own = tab(width=width, height=640)
    for view in VIEWS + ("group?agent=a1&host=" + ".".join(["a" * 60] * 4) + ".test&port=443&protocol=https",):
        own.go(page.origin + page.base + view)
        own.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
        assert own.evaluate("document.querySelector('h1') !== null && document.querySelector('main') !== null")
        assert own.evaluate("document.documentElement.scrollWidth") <= width, view
        wide = own.evaluate("[...document.querySelectorAll('body *:not(.skip):not(.unseen)')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && e.getBoundingClientRect().width).map((e) => e.outerHTML.slice(0, 80))")
        assert wide == [], (view, wide)
        small = own.evaluate("[...document.querySelectorAll('button:not([hidden]), input, select, nav a, summary')].filter((e) => e.getBoundingClientRect().height < 24 && e.getBoundingClientRect().height > 0).map((e) => e.outerHTML.slice(0, 80))")
        assert small == [], (view, small)  # WCAG 2.2, 2.5.8


def test_everything_is_reached_by_keyboard_and_seen_when_it_is(shown):
    trial, page, tab = shown
    own = tab(still=True)
    for view in VIEWS:
        own.go(page.origin + page.base + view)
        wanted = own.evaluate("[...document.querySelectorAll('a[href], button:not([hidden]):not(:disabled), input, select, summary, [tabindex=\"0\"]')].filter((e) => e.checkVisibility()).length")
        reached = []
        for _ in range(wanted + 5):
            own.key("Tab")
            found = own.evaluate("""(() => { const e = document.activeElement, s = getComputedStyle(e);
                if (e === document.body) return null;
                globalThis.walk ??= new Map(); if (!walk.has(e)) walk.set(e, walk.size);
                return { number: walk.get(e), name: e.textContent.trim() || e.getAttribute('name'), outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 }; })()""")
            if found is None or (reached and found["number"] == 0):
                break
            reached.append(found)
        assert reached[0]["name"] == "Skip to the content", reached[:2]
        assert len({stop["number"] for stop in reached}) == wanted, (view, wanted, reached)
        assert all(stop["outline"] for stop in reached), [stop for stop in reached if not stop["outline"]]
    # The skip link leads past the navigation.
    own.go(page.origin + page.base)
    own.key("Tab")
    own.key("Enter")
    eventually(lambda: own.evaluate("document.activeElement.id") == "content", 20)


def test_a_screen_reader_is_told_what_everything_is(shown):
    trial, page, tab = shown
    own = tab()
    for view in VIEWS:
        own.go(page.origin + page.base + view)
        tree = own.tree
        roles = [role for role, _, _ in tree]
        assert roles.count("main") == 1 and roles.count("banner") == 1 and "navigation" in roles and "status" in roles, roles
        headings = [properties["level"] for role, _, properties in tree if role == "heading"]
        assert headings[0] == 1 and headings.count(1) == 1 and all(b - a <= 1 for a, b in zip(headings, headings[1:])), headings
        for role, name, properties in tree:
            if role in ("link", "button", "textbox", "combobox", "image", "navigation", "region", "search", "form", "DisclosureTriangle"):
                assert (name or "").strip(), (view, role, properties)
            if properties.get("focusable") and role not in ("RootWebArea", "main"):
                assert (name or "").strip(), (view, role)
        assert tree[0][1].endswith(" - Exitgate review") and own.evaluate("document.documentElement.lang") == "en"
        assert own.evaluate("new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size === document.querySelectorAll('[id]').length")
    own.go(page.origin + page.base)
    names = {name for role, name, _ in own.tree if role in ("textbox", "combobox")}
    assert names == {"Since", "Agent", "Destination", "Reason", "Seen by", "Order"}
    image = next(name for role, name, _ in own.tree if role == "image")
    assert re.fullmatch(r"Decisions by hour \(UTC\), .*: \d+ passed, \d+ blocked, at most \d+ in an hour", image)


def test_it_can_be_read_without_any_script(shown):
    trial, page, tab = shown
    own = tab(script=False)
    own.go(page.origin + page.base)
    assert "<b>evil.test</b>:443" in own.text and "Not live" in own.text
    own.go(page.origin + page.base + VIEWS[3])
    assert 'class="diff"' in own.text and re.search(r'id="apply"[^>]* hidden', own.text) and "exitgate reload" in own.text
    own.go(page.origin + page.base + VIEWS[1])
    assert "would allow it" in own.text


def test_what_moves_stands_still_for_those_who_ask(shown):
    trial, page, tab = shown
    for still, seconds in ((True, "0s"), (False, "0.2s")):
        own = tab(still=still)
        own.go(page.origin + page.base)
        own.until("document.getElementById('live').className.includes('on')")
        assert own.evaluate("getComputedStyle(document.getElementById('live'), '::before').transitionDuration") == seconds


# -- hostile values

HOSTILE = ('"><img src=x onerror=alert(1)>', "a1</script><script>alert(1)</script>", "<svg/onload=alert(1)>", "' onfocus='alert(1)' autofocus='",
           "javascript:alert(1)", "</title><script>pwned()</script>", "{{7*7}}", "&lt;script&gt;alert(1)", "\u202e<b>x", "</textarea><iframe srcdoc='<script>parent.pwned()</script>'>")


def test_CTL_07_hostile_requests_are_shown_as_text_and_run_nothing(reviewed):
    trial, page, browser = reviewed()
    for value in HOSTILE:
        raw = value.encode()
        trial.agent.send(b"CONNECT " + raw + b".evil.test:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        trial.agent.send(get("http://plain.test/", fields=f"User-Agent: {value}\r\n".encode("latin-1", "replace").decode("latin-1")))
        trial.agent.send(b"GE" + raw.replace(b" ", b"") + b" http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    trial.agent.send(connect("allowed.test:443"), client_hello(b"\"><img src=x onerror=alert(1)>.evil.test"))
    trial.agent.send(connect("evil.test:443"))
    tab = browser.page().go(page.address)
    tab.until("document.querySelector('ol.groups')?.textContent.includes('no destination that can be read')")
    links = tab.evaluate("[...document.querySelectorAll('ol.groups h3 a')].map((a) => a.href)")
    for link in links:
        tab.go(link)
        tab.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
        nothing_foreign(page, tab)
    assert "onerror=alert(1)" in tab.evaluate("document.body.textContent") or any("agent=a1" in link for link in links)
    for value in HOSTILE:
        for view in ("?destination=", "?agent=", "explain?agent=a1&destination=", "explain?destination=a.test:443&agent=", "group?agent=", "nothing?x="):
            tab.go(page.origin + page.base + view + urllib.parse.quote(value))
            assert tab.evaluate("globalThis.witness?.ran ?? []") == [], (view, value)
    assert tab.events("Page.javascriptDialogOpening") == []


def forge(trial):
    """A log in which every text of a record is hostile, as no gate writes it."""
    trial.agent.send(connect("evil.test:443"))
    eventually(lambda: "evil.test" in trial.gate.log.path.read_text(), 20)
    trial.gate.stop()
    lines = trial.gate.log.path.read_text().splitlines()
    record = json.loads(next(line for line in lines if '"evil.test"' in line))

    def spoil(value, hostile):
        if isinstance(value, dict):
            return {key: spoil(inner, hostile) for key, inner in value.items()}
        if isinstance(value, list):
            return [spoil(inner, hostile) for inner in value]
        return hostile if isinstance(value, str) else value

    forged = []
    for hostile in HOSTILE:
        whole = spoil(record, hostile)
        whole["unmapped"] |= {"event": "decision", "verdict": "deny", "layer": "connect", "detail": hostile, "method": hostile, "rule": hostile, "host_raw": hostile, "process": hostile}
        whole["actor"] = {"process": {"name": hostile}}
        forged.append(whole)
        kept = json.loads(json.dumps(whole))
        kept["dst_endpoint"], kept["unmapped"]["protocol"] = {"hostname": "x.evil.test", "port": 443}, "https"
        forged.append(kept)
    trial.gate.log.path.write_text("\n".join(lines + [json.dumps(one, separators=(",", ":")) for one in forged]) + "\n")


def test_CTL_07_a_forged_log_is_shown_as_text_and_runs_nothing(reviewed):
    trial, page, browser = reviewed(log=forge)
    tab = browser.page().go(page.address)
    tab.until("document.querySelectorAll('ol.groups > li').length > 10")
    assert "onerror=alert(1)" in tab.evaluate("document.body.textContent"), "it is there, as text"
    assert tab.evaluate("document.querySelectorAll('img, iframe, script:not([src=\"review.js\"]), [onerror], [onload], [onfocus]').length") == 0
    links = tab.evaluate("[...document.querySelectorAll('ol.groups h3 a')].map((a) => a.href)")
    assert all(link.startswith(page.origin + page.base + "group?") for link in links)
    for link in links + [page.origin + page.base + "integrity"]:
        tab.go(link)
        tab.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
        nothing_foreign(page, tab)
        assert tab.evaluate("document.documentElement.outerHTML.match(/[^\\x20-\\x7e\\n]/g)") is None, "AUD-02, AUD-03"
    tab.until("document.body.textContent.includes('NOT INTACT')")


def test_CTL_07_what_would_run_is_held_back_by_the_browser_too(reviewed):
    """The control: markup that a fault let in would run nothing, and the witness would tell."""
    trial, page, browser = reviewed()
    tab = browser.page().go(page.address)
    tab.until("document.getElementById('live').className.includes('on')")
    for attempt in ("document.body.innerHTML = '<img src=x onerror=alert(1)>'", "document.body.setAttribute('onclick', 'alert(1)')",
                    "document.createElement('script').text = 'alert(1)'", "eval('alert(1)')"):
        assert tab.evaluate(f"(() => {{ try {{ {attempt}; return 'done'; }} catch (error) {{ return error.name; }} }})()") in ("TypeError", "EvalError"), attempt
    tab.evaluate("{ const image = document.createElement('img'); image.src = 'http://evil.test/x'; document.body.append(image); }")
    tab.evaluate("{ const style = document.createElement('style'); style.textContent = '* { color: red }'; document.body.append(style); }")
    tab.until("witness.held.some((h) => h.startsWith('img-src') && h.includes('evil.test')) && witness.held.some((h) => h.startsWith('style-src'))")
    assert tab.evaluate("witness.ran") == [] and tab.events("Page.javascriptDialogOpening") == []


def test_CTL_04_another_site_in_the_same_browser_changes_and_learns_nothing(reviewed):
    """Another server of the same machine, by another port: the same site, but not the same origin."""
    trial, page, browser = reviewed()
    trial.denied(connect("d.evil.test:443"), reason="no-rule", itself=True)
    tab = browser.page().go(page.address)
    tab.until("!!document.querySelector('ol.groups h3')")
    script = ("import http.server\nclass H(http.server.BaseHTTPRequestHandler):\n"
              "  def do_GET(self):\n    print(self.headers.get('Cookie'), flush=True); self.send_response(200); self.send_header('Content-Type', 'text/html'); self.end_headers(); self.wfile.write(b'<title>other</title>')\n"
              "  def log_message(self, *a): pass\n"
              "s = http.server.HTTPServer(('127.0.0.1', 0), H); print(s.server_port, flush=True); s.serve_forever()")
    other = subprocess.Popen(trial.bench.command("gw", "python3", "-c", script), stdout=subprocess.PIPE, text=True)
    try:
        port = int(other.stdout.readline())
        tab.go(f"http://127.0.0.1:{port}/")
        assert other.stdout.readline().strip() == "None", "no other server is sent the session's cookie"
        told = tab.evaluate(f"""(async () => {{
          const at = "{page.origin}{page.base}", told = [];
          for (const options of [{{ method: "POST", mode: "no-cors", credentials: "include", headers: {{ "Content-Type": "text/plain" }}, body: "{{}}" }},
                                 {{ method: "POST", credentials: "include", headers: {{ "Content-Type": "application/json", "X-Exitgate-Token": "0" }}, body: "{{}}" }},
                                 {{ credentials: "include" }}]) {{
            try {{ const answer = await fetch(at + "apply", options); told.push(answer.type); }} catch {{ told.push("refused"); }}
          }}
          told.push(await new Promise((done) => {{ const e = new EventSource(at + "events", {{ withCredentials: true }}); e.onopen = () => done("open"); e.onerror = () => done("refused"); }}));
          told.push(await new Promise((done) => {{ const s = new WebSocket(at.replace("http", "ws") + "events"); s.onopen = () => done("open"); s.onerror = () => done("refused"); }}));
          told.push(await new Promise((done) => {{ const f = document.createElement("iframe"); f.src = at; f.onload = () => {{ try {{ done(f.contentDocument ? "readable" : "refused"); }} catch {{ done("refused"); }} }}; document.body.append(f); }}));
          return told;
        }})()""")
        assert told[1:] == ["refused"] * 5 and told[0] in ("refused", "opaque"), told
    finally:
        other.kill()
        other.wait()
    assert (trial.gate.directory / "overlay.yaml").read_text() == OVERLAY
