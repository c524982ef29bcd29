"""Questions in a browser: live, by keyboard, without a script, on a phone, dark and light, and with hostile names and sites."""
import json, re, subprocess

import pytest

from harness.browser import CONTRAST, PROGRAM, Browser
from harness.client import connect, get
from harness.far import Accepted
from harness.gate import eventually
from harness.namespaces import GOOD
from harness.reviewing import Reviewing
from test_ask import Held
from test_review_browser import nothing_foreign
from test_review_inbox import POLICY, channels, pending

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed (Debian: chromium)")


@pytest.fixture
def watched(fresh, tmp_path):
    """A gate that asks, the page beside it, and a browser in the gate's namespace."""
    trial = fresh(POLICY.replace("hold: 20s", "hold: 60s"))
    for name in ("x.asked.test", "y.asked.test", "asked.test", "paths.asked.test"):
        trial.far.answers(name, GOOD)
    page = Reviewing(trial.gate, "--control", trial.gate.control)
    browser = Browser(trial.bench, tmp_path / "profile")
    yield trial, page, browser
    browser.close()
    page.close()
    trial.passes()


def attended(trial, page, browser, **options):
    tab = browser.page(**options).go(page.address)
    tab.until("document.getElementById('pending')?.textContent.includes('You can be asked.')")
    return tab


def steady(tab):
    """Waits until the page takes clicks for what is shown now."""
    tab.evaluate("new Promise((done) => setTimeout(done, 900))")


def button(offer):
    return f"document.querySelector('button[value=\"{offer}\"]')"


def hold(trial, *segments):
    return Held(trial.agent, *segments, timeout=80)


def test_a_question_appears_counts_down_and_is_answered_by_keyboard(watched):
    trial, page, browser = watched
    tab = attended(trial, page, browser)
    assert channels(trial) == 1
    tab.evaluate("globalThis.kept = 'not loaded anew'")
    seen, held = trial.far.mark(), hold(trial, connect("x.asked.test:443"))
    tab.until("document.querySelector('.question h3')?.textContent === 'https://x.asked.test:443'")
    assert tab.evaluate("document.title").startswith("(1) ")
    first = int(tab.until("document.querySelector('.left time').textContent.match(/^(\\d+) s from now$/)?.[1]"))
    assert 20 < first <= 61, first
    tab.until(f"Number(document.querySelector('.left time').textContent.match(/\\d+/)[0]) < {first}")
    # What is being written stays, whatever comes up meanwhile.
    tab.evaluate("document.querySelector('input[name=note]').focus()")
    tab.call("Input.insertText", text="for the docs")
    other = hold(trial, connect("y.asked.test:443"))
    tab.until("document.querySelectorAll('.question').length === 2 && document.title.startsWith('(2) ')")
    assert tab.evaluate("[document.activeElement.name, document.activeElement.value]") == ["note", "for the docs"]
    steady(tab)
    tab.evaluate(button("once") + ".focus()")
    tab.key("Enter")
    tab.until("document.getElementById('answered').textContent.startsWith('Done: allowed (once) for agent a1: https://x.asked.test:443')")
    assert held.end().raw.startswith(b"HTTP/1.1 200") and trial.far.wait_for(seen, Accepted)
    tab.until("document.querySelectorAll('.question').length === 1")
    record = next(one for one in trial.gate.log.entries() if one.event == "control" and one.fields["api"]["operation"] == "approve")
    assert record.fields["unmapped"]["channel"] == "page" and record.fields["unmapped"]["note"] == "for the docs"
    # Enter in the text refuses.
    steady(tab)
    tab.evaluate("document.querySelector('input[name=note]').focus()")
    tab.key("Enter")
    tab.until("document.getElementById('answered').textContent.startsWith('Done: refused (once)')")
    assert other.end().status == 403 and tab.evaluate("kept") == "not loaded anew"
    nothing_foreign(page, tab)
    # The tab goes: so does the one who could be asked.
    browser.call("Target.closeTarget", targetId=tab.target)
    eventually(lambda: channels(trial) == 0, 30)
    trial.denied(connect("asked.test:443"), reason="no-approver", itself=True)


def test_it_is_answered_without_any_script(watched):
    trial, page, browser = watched
    stream_tab = attended(trial, page, browser)
    cookies = stream_tab.call("Network.getAllCookies")["cookies"][0]
    held = hold(trial, connect("x.asked.test:443"))
    eventually(lambda: pending(trial), 20)
    tab = browser.page(script=False)
    tab.call("Network.setCookie", url=page.origin + page.base, name=cookies["name"], value=cookies["value"], path=page.base, httpOnly=True, sameSite="Strict")
    tab.go(page.origin + page.base)
    assert "x.<b>asked.test</b>" in tab.text
    # By keyboard alone: tabs to the button, and presses it.
    root = tab.call("DOM.getDocument", depth=0)["root"]["nodeId"]
    node = tab.call("DOM.querySelector", nodeId=root, selector="button[value=once]")["nodeId"]
    tab.call("DOM.focus", nodeId=node)
    loads = len(tab.events("Page.loadEventFired"))
    tab.key("Enter")
    tab.loaded(loads)
    assert "allowed (once) for agent a1: https://x.asked.test:443" in tab.text, tab.text
    assert held.end().raw.startswith(b"HTTP/1.1 200")
    assert all(url.startswith(page.origin + page.base) for url in tab.requests)


def test_CTL_12_a_click_that_was_meant_for_another_question_has_no_effect(watched):
    trial, page, browser = watched
    tab = attended(trial, page, browser)
    first = hold(trial, connect("x.asked.test:443"))
    tab.until("document.querySelectorAll('.question').length === 1")
    # At once, as by a click on what stood there before.
    tab.evaluate(button("once") + ".click()")
    tab.until("document.getElementById('answered').textContent.startsWith('Nothing was answered')")
    assert first.reply is None and len(pending(trial)) == 1
    steady(tab)
    second = hold(trial, connect("y.asked.test:443"))
    tab.until("document.querySelectorAll('.question').length === 2")
    trial.gate.tell("refuse", next(one["id"] for one in pending(trial) if one["host"] == "x.asked.test"))
    # The second moves up under the pointer in the moment in which the first goes.
    tab.evaluate("""new Promise((done) => { const look = () => { const forms = document.querySelectorAll('.question form');
      if (forms.length === 1) { forms[0].querySelector('button[value=session]').click(); done(); } else setTimeout(look, 5); }; look(); })""")
    tab.until("document.getElementById('answered').textContent.startsWith('Nothing was answered')")
    assert [one["host"] for one in pending(trial)] == ["y.asked.test"] and second.reply is None
    steady(tab)
    # Twice in a row: the first counts, and the button is dead meanwhile.
    tab.evaluate(f"{{ const b = {button('refuse')}; b.click(); b.click(); }}")
    tab.until("document.getElementById('answered').textContent.startsWith('Done: refused')")
    assert first.end().status == 403 and second.end().status == 403
    answers = [one for one in trial.gate.log.entries() if one.event == "control" and one.fields["api"]["operation"] in ("approve", "refuse")]
    assert len(answers) == 2 and not [one for one in answers if one.fields.get("status_id") == 2], answers


def test_a_stale_page_is_told_why(watched):
    trial, page, browser = watched
    tab = attended(trial, page, browser)
    held = hold(trial, connect("x.asked.test:443"))
    tab.until("document.querySelectorAll('.question').length === 1")
    steady(tab)
    # The form of before, kept while the question was answered elsewhere.
    tab.evaluate("globalThis.old = document.querySelector('.question form').cloneNode(true)")
    trial.gate.tell("refuse", pending(trial)[0]["id"])
    tab.until("document.querySelectorAll('.question').length === 0")
    tab.evaluate("document.querySelector('main').append(old); old.querySelector('button[value=once]').click()")
    tab.until("document.getElementById('answered').textContent.startsWith('No effect: it is decided already: refused (once) by user 0 by control')")
    assert held.end().status == 403


OTHER = """
import http.server
class H(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    self.send_response(200); self.send_header('Content-Type', 'text/html'); self.end_headers(); self.wfile.write(b'<title>other</title><body></body>')
  def log_message(self, *a): pass
s = http.server.HTTPServer(('127.0.0.1', 0), H); print(s.server_port, flush=True); s.serve_forever()
"""


def test_CTL_04_another_site_sends_its_own_form_and_frames_the_page(watched):
    """A form that sends itself, and a frame to be clicked through: the attacker even knows the path and the question."""
    trial, page, browser = watched
    tab = attended(trial, page, browser)
    held = hold(trial, connect("x.asked.test:443"))
    tab.until("document.querySelectorAll('.question').length === 1")
    steady(tab)
    fields = tab.evaluate("[...document.querySelectorAll('.question form input[type=hidden]')].map((i) => [i.name, i.value])")
    other = subprocess.Popen(trial.bench.command("gw", "python3", "-c", OTHER), stdout=subprocess.PIPE, text=True)
    try:
        port, context = int(other.stdout.readline()), browser.call("Target.getTargetInfo", targetId=tab.target)["targetInfo"]["browserContextId"]
        for known in (fields, [one for one in fields if one[0] != "token"]):
            target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
            evil = object.__new__(type(tab))
            evil.browser, evil.target = browser, target
            evil.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime"):
                evil.call(f"{domain}.enable")
            evil.go(f"http://127.0.0.1:{port}/")
            framed = evil.evaluate(f"new Promise((done) => {{ const f = document.createElement('iframe'); f.src = '{page.origin}{page.base}'; f.onload = () => {{ try {{ done(f.contentDocument ? 'readable' : 'refused'); }} catch {{ done('refused'); }} }}; document.body.append(f); }})")
            assert framed == "refused"
            loads = len(evil.events("Page.loadEventFired"))
            evil.evaluate(f"""{{ const f = document.createElement('form'); f.method = 'post'; f.action = '{page.origin}{page.base}answer';
              for (const [name, value] of [...{json.dumps(known)}, ['answer', 'session']]) {{ const i = document.createElement('input'); i.name = name; i.value = value; f.append(i); }}
              document.body.append(f); f.submit(); }}""")
            evil.loaded(loads)
            eventually(lambda: "refused: " in evil.text, 20, evil.text)
            assert held.reply is None and len(pending(trial)) == 1
    finally:
        other.kill()
        other.wait()
    # The page itself cannot be put in a frame, even by itself.
    assert tab.evaluate("new Promise((done) => { const f = document.createElement('iframe'); f.src = location.href; f.onload = () => { try { done(f.contentDocument?.querySelector('form') ? 'framed' : 'refused'); } catch { done('refused'); } }; document.body.append(f); setTimeout(() => done('refused'), 3000); })") == "refused"
    # The control: the page's own button.
    steady(tab)
    tab.evaluate(button("session") + ".click()")
    assert held.end().raw.startswith(b"HTTP/1.1 200")


HOSTILE_PATHS = ("/api/'onfocus='alert(1)'autofocus='", "/api/&quot%3E%3Cimg%20src=x%20onerror=alert(1)", "/api/javascript:alert(1)", "/api/%3C/code%3E%3Cscript%3Ealert(1)%3C/script%3E")
MALFORMED_PATHS = ("/api/\"><img src=x onerror=alert(1)>", "/api/</code><script>alert(1)</script>", "/api/\r\x1b[2KAllow github.com?")


def test_CTL_08_hostile_requests_cannot_draw_on_the_page(watched):
    trial, page, browser = watched
    tab = attended(trial, page, browser)
    ask = lambda path: b"GET http://paths.asked.test" + path.encode() + b" HTTP/1.1\r\nHost: paths.asked.test\r\nUser-Agent: <img src=x onerror=alert(1)>\r\n\r\n"
    for path in MALFORMED_PATHS:
        assert trial.agent.send(ask(path)).status == 400 and not pending(trial)
    held = [hold(trial, ask(path)) for path in HOSTILE_PATHS]
    shown = len(HOSTILE_PATHS)
    tab.until(f"document.querySelectorAll('.question').length === {shown}")
    paths = tab.evaluate("[...document.querySelectorAll('.question > p > code')].map((c) => c.textContent).sort()")
    assert paths == sorted("GET " + path for path in HOSTILE_PATHS), paths
    assert tab.evaluate("document.querySelectorAll('.question img, .question script, [onerror], [onfocus]').length") == 0
    assert tab.evaluate("document.querySelectorAll('.question form').length") == shown
    assert tab.evaluate("document.documentElement.outerHTML.match(/[^\\x20-\\x7e\\n]/g)") is None
    nothing_foreign(page, tab)
    for one in pending(trial):
        trial.gate.tell("refuse", one["id"])
    for one in held:
        one.end()


@pytest.mark.parametrize("width", [320, 1024])
def test_CTL_09_the_end_of_a_name_and_what_it_looks_like_are_shown(watched, width):
    trial, page, browser = watched
    tab = attended(trial, page, browser, width=width, height=640)
    padded = "github.com." + ".".join(["a" * 60, "a" * 60, "a" * 60]) + ".asked.test"
    twin = "xn--80ak6aa92e.asked.test"
    held = []
    for host in (padded, twin):
        held.append(hold(trial, connect(f"{host}:443")))
        tab.until(f"document.querySelectorAll('.question').length === {len(held)}")
    for place, host in ((0, padded), (1, twin)):
        assert tab.evaluate(f"document.querySelectorAll('.question h3')[{place}].textContent") == f"https://{host}:443"
        marked = tab.evaluate(f"""(() => {{ const h = document.querySelectorAll('.question h3')[{place}], b = [...h.querySelectorAll('b')], box = b[0].getBoundingClientRect();
          return {{ text: b.map((e) => e.textContent).join(''), weight: Number(getComputedStyle(b[0]).fontWeight), seen: box.width > 0 && box.right <= innerWidth + 1 && box.left >= 0, hidden: getComputedStyle(h).overflow }}; }})()""")
        assert marked == {"text": "asked.test:443", "weight": marked["weight"], "seen": True, "hidden": "visible"} and marked["weight"] >= 700, marked
    assert tab.evaluate("document.querySelector('bdi').textContent") == "аррӏе.asked.test"
    assert "looks like 'apple' and is not" in tab.evaluate("document.querySelectorAll('.question')[1].querySelector('.marks').textContent")
    assert "a label as long as data would be" in tab.evaluate("document.querySelectorAll('.question')[0].querySelector('.marks').textContent")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for one in pending(trial):
        trial.gate.tell("refuse", one["id"])
    for one in held:
        assert one.end().status == 403


def test_everybody_can_answer(watched):
    trial, page, browser = watched
    tab = attended(trial, page, browser)
    held = [hold(trial, connect("x.asked.test:443")), hold(trial, get("http://paths.asked.test/api/v1", "paths.asked.test", method="POST"))]
    tab.until("document.querySelectorAll('.question').length === 2")
    steady(tab)
    for dark in (False, True):
        tab.look(dark)
        poor = [pair for pair in tab.evaluate(CONTRAST) if pair["ratio"] < (4.5 if pair["pair"].startswith("text") else 3)]
        assert not poor, poor
    # Names for a screen reader.
    tree = tab.tree
    for role, name, _ in tree:
        if role in ("button", "textbox", "combobox", "form", "region", "link"):
            assert (name or "").strip(), role
    names = {name for role, name, _ in tree if role == "form"}
    assert {"Answer to https://x.asked.test:443", "Answer to http://paths.asked.test:80"} <= names, names
    headings = [properties["level"] for role, _, properties in tree if role == "heading"]
    assert headings.count(1) == 1 and all(b - a <= 1 for a, b in zip(headings, headings[1:])), headings
    assert tab.evaluate("new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size === document.querySelectorAll('[id]').length")
    # By keyboard, in the order of the page, and seen when it is reached; a refusal comes first.
    tab.evaluate("document.querySelector('#content').focus()")
    reached = []
    for _ in range(40):
        tab.key("Tab")
        found = tab.evaluate("(() => { const e = document.activeElement, s = getComputedStyle(e); return e.closest('.question') ? [e.id, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2] : null; })()")
        if found is None and reached:
            break
        if found:
            reached.append(found)
    assert len(reached) == 18 and all(seen for _, seen in reached), reached
    assert reached[0][0].startswith("answer-refuse-")
    # On a phone.
    tab.call("Emulation.setDeviceMetricsOverride", width=320, height=640, deviceScaleFactor=1, mobile=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 320
    small = tab.evaluate("[...document.querySelectorAll('.question button, .question select, .question input:not([type=hidden])')].filter((e) => e.getBoundingClientRect().height < 24 || e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))")
    assert small == []
    # What stands.
    tab.evaluate(button("session") + ".click()")
    tab.until("document.getElementById('answered').textContent.startsWith('Done: ')")
    tab.go(page.origin + page.base + "standing")
    assert tab.evaluate("document.querySelectorAll('.question form button').length") == 1
    for dark in (False, True):
        tab.look(dark)
        assert all(pair["ratio"] >= (4.5 if pair["pair"].startswith("text") else 3) for pair in tab.evaluate(CONTRAST))
    steady(tab)
    tab.evaluate("document.querySelector('.question form button').focus()")
    tab.key("Space")
    tab.until("document.getElementById('answered').textContent.startsWith('Done: taken back')")
    tab.until("document.body.textContent.includes('Nothing stands.')")
    for one in pending(trial):
        trial.gate.tell("refuse", one["id"])
    for one in held:
        one.end()
