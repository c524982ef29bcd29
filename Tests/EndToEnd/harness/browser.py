"""A headless Chromium, driven by the DevTools protocol over a pipe: no port is opened, and nothing is installed but the browser."""
import base64, json, os, shutil, subprocess, threading, time

PROGRAM = shutil.which("chromium")
FLAGS = ("--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--no-first-run", "--no-proxy-server", "--disable-gpu",
         "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # it asks for updates and the like
         "--disable-features=AutofillServerCommunication,OptimizationHints,Translate,MediaRouter", "about:blank")

# In every page before its own scripts: what would show that a value became a script, or that something was only held back by the policy.
WITNESS = """
  globalThis.witness = { ran: [], held: [] };
  for (const name of ["alert", "confirm", "prompt", "pwned"]) globalThis[name] = (...words) => witness.ran.push([name, ...words].join(" "));
  addEventListener("securitypolicyviolation", (event) => witness.held.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  addEventListener("error", (event) => witness.ran.push(`error ${event.message}`));
"""

# Every text that can be seen, with the ratio of its colour to what is behind it (WCAG 2.2, relative luminance).
CONTRAST = """(() => {
  const channels = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => { const [r, g, b] = rgb.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (element) => { for (let at = element; at; at = at.parentElement) { const c = channels(getComputedStyle(at).backgroundColor); if (c.length && (c.length < 4 || c[3] === 1)) return c; } return [255, 255, 255]; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const found = new Map();
  const add = (element, colour, kind) => { const back = behind(element), key = `${kind} ${colour} on ${back}`; found.set(key, { pair: key, ratio: ratio(channels(colour), back), text: (element.textContent || element.value || "").trim().slice(0, 40) }); };
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    if (!box.width || !box.height || style.visibility === "hidden") continue;
    if ([...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) add(element, element instanceof SVGElement ? style.fill : style.color, "text");
    if (["INPUT", "SELECT"].includes(element.tagName)) { add(element, style.color, "text"); add(element.parentElement, style.borderTopColor, "edge"); }
    if (element.tagName === "INPUT") add(element, getComputedStyle(element, "::placeholder").color, "text");
    if (element.tagName === "rect") add(element.ownerSVGElement.parentElement, style.fill, "edge");
  }
  return [...found.values()];
})()"""


class Browser:
    def __init__(self, bench, directory, role="gw"):
        self.messages, self.answers, self.last = [], {}, 0
        self._heard = threading.Condition()
        down, up = os.pipe(), os.pipe()
        inner = f'exec "$@" 3<&{down[0]} 4>&{up[1]}'
        command = bench.command(role, "bash", "-c", inner, "bash", PROGRAM, f"--user-data-dir={directory}", *FLAGS)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        pass_fds=(down[0], up[1]), env={"PATH": os.environ["PATH"], "HOME": str(directory), "LANG": "C.UTF-8"})
        os.close(down[0])
        os.close(up[1])
        self._down, self._up = os.fdopen(down[1], "wb", buffering=0), os.fdopen(up[0], "rb", buffering=0)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        rest = b""
        while chunk := self._up.read(65536):
            *whole, rest = (rest + chunk).split(b"\0")
            with self._heard:
                for text in whole:
                    message = json.loads(text)
                    if "id" in message:
                        self.answers[message["id"]] = message
                    else:
                        self.messages.append(message)
                self._heard.notify_all()

    def call(self, method, session=None, seconds=60, **parameters):
        with self._heard:
            self.last += 1
            number = self.last
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        self._down.write(json.dumps(message).encode() + b"\0")
        with self._heard:
            assert self._heard.wait_for(lambda: number in self.answers, seconds), f"{method} is not answered"
            answer = self.answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def page(self, **options):
        return Page(self, **options)

    def close(self):
        self.process.kill()
        self.process.wait()
        self._down.close()


class Page:
    """One tab, of a profile of its own."""

    def __init__(self, browser, width=1024, height=800, dark=False, script=True, still=False):
        self.browser = browser
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        self.target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WITNESS)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.look(dark, still)
        if not script:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def look(self, dark, still=False):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}])

    def call(self, method, **parameters):
        return self.browser.call(method, session=self.session, **parameters)

    def events(self, method):
        with self.browser._heard:
            return [m["params"] for m in self.browser.messages if m["method"] == method and m.get("sessionId") == self.session]

    def go(self, url):
        loads = len(self.events("Page.loadEventFired"))
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        self.loaded(loads)
        return self

    def loaded(self, before, seconds=60):
        deadline = time.monotonic() + seconds
        while len(self.events("Page.loadEventFired")) <= before:
            assert time.monotonic() < deadline, "the page does not load"
            time.sleep(0.02)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, allowUnsafeEvalBlockedByCSP=False)
        assert "exceptionDetails" not in answer, (expression, answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, expression, seconds=60):
        """Waits until an expression is true, and answers its value."""
        deadline = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, (expression, self.text)
            time.sleep(0.05)
        return value

    @property
    def text(self):
        """As HTML has it, so that it can be read without any script too."""
        root = self.call("DOM.getDocument", depth=0)["root"]["nodeId"]
        return self.call("DOM.getOuterHTML", nodeId=root)["outerHTML"]

    def key(self, name, text=None):
        code = {"Tab": 9, "Enter": 13, "Space": 32}[name]
        key = {"Space": " "}.get(name, name)
        text = {"Enter": "\r", "Space": " "}.get(name)
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", key=key, code=name, windowsVirtualKeyCode=code, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=name, windowsVirtualKeyCode=code)

    def picture(self, path, height=None):
        clip = {"clip": {"x": 0, "y": 0, "width": self.evaluate("innerWidth"), "height": height, "scale": 1}} if height else {}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **clip)["data"]))

    @property
    def requests(self):
        return [event["request"]["url"] for event in self.events("Network.requestWillBeSent")]

    @property
    def tree(self):
        """What a screen reader is told: (role, name, properties) of each node."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        value = lambda node, field: node.get(field, {}).get("value")
        return [(value(n, "role"), value(n, "name"), {p["name"]: p["value"].get("value") for p in n.get("properties", [])})
                for n in nodes if not n.get("ignored")]
