"use strict";
// Keeps the sections of the page up to date, sends answers, copies the rule, and asks for it to be applied.
// All that is shown was made by the server; nothing here makes markup of anything.
(() => {
  const byId = (id) => document.getElementById(id);
  const token = document.querySelector('meta[name="exitgate-token"]').content;
  const live = byId("live"), said = byId("said");

  // What the server sent last of each section, before anything here changed it.
  const sent = new Map();
  const remember = (section) => sent.set(section.id, section.cloneNode(true));

  const say = (text) => { said.textContent = text; };

  // MARK: Sections

  const openDetails = (section) =>
    [...section.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent);

  // By what an element is found again in the section's next form.
  const name = (element) =>
    element && (element.id ? "#" + element.id : element.getAttribute("href") || element.textContent);

  // What was typed or chosen and not sent yet.
  const drafts = (section) =>
    [...section.querySelectorAll("form.answer input:not([type=hidden]), form.answer select")].map((field) => [field.id, field.value]);

  const replace = (current, next) => {
    const open = openDetails(current), written = drafts(current);
    const focused = current.contains(document.activeElement) ? name(document.activeElement) : null;
    remember(next);
    current.replaceWith(document.adoptNode(next));
    for (const summary of next.querySelectorAll("details > summary")) {
      if (open.includes(summary.textContent)) summary.parentElement.open = true;
    }
    for (const [id, value] of written) if (byId(id)) byId(id).value = value;
    enhance(next);
    if (focused) {
      const stops = next.querySelectorAll("a, button, summary, input, select, [tabindex]");
      [...stops].find((element) => name(element) === focused)?.focus({ preventScroll: true });
    }
  };

  // A question that has just come up, changed or moved is not answered by a click that was meant for what stood there.
  const settling = 700;
  const settled = new Map();
  const answers = (part) =>
    new Map([...part.querySelectorAll("form[data-answer]")].map((form) => [form.dataset.answer, Math.round(form.getBoundingClientRect().top)]));
  const settle = (before, after) => {
    for (const [digest, top] of after) {
      if (Math.abs((before.get(digest) ?? -9999) - top) > 2) settled.set(digest, performance.now() + settling);
    }
    for (const digest of settled.keys()) if (before.has(digest) && !after.has(digest)) settled.delete(digest);
  };

  // Whatever changes the page may move what is further down.
  const move = (change) => {
    const before = answers(document);
    change();
    settle(before, answers(document));
  };

  // The gate's clock against this one, in milliseconds.
  let skew = 0;
  const read = (page) => {
    const now = Date.parse(page.querySelector('meta[name="exitgate-now"]')?.content);
    if (now) skew = now - Date.now();
  };
  const count = () => {
    for (const time of document.querySelectorAll(".left time")) {
      const left = Math.ceil((Date.parse(time.dateTime) - Date.now() - skew) / 1000);
      time.textContent = left <= 0 ? "now" : left < 120 ? `${left} s from now` : `${Math.ceil(left / 60)} min from now`;
    }
  };

  const take = (page) => {
    document.title = page.title;
    read(page);
    move(() => {
      for (const current of document.querySelectorAll("[data-live]")) {
        const next = page.getElementById(current.id);
        if (next && !next.isEqualNode(sent.get(current.id))) replace(current, next);
      }
    });
    count();
  };

  // One question at a time, and one more when something came up meanwhile.
  let isAsking = false, isStale = false, isPressed = false;
  const refresh = () => {
    if (isAsking || isPressed) { isStale = true; return; }
    isAsking = true;
    isStale = false;
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.onload = () => {
      if (request.status === 200 && request.responseXML && !isPressed) take(request.responseXML);
      else if (isPressed) isStale = true;
      if (request.status === 403) say("The session has ended. Start exitgate review again.");
    };
    request.onloadend = () => setTimeout(() => { isAsking = false; if (isStale) refresh(); }, 500);
    request.send();
  };

  // What is under a finger stays there until it is lifted.
  const press = (isDown) => () => {
    isPressed = isDown;
    if (!isDown && isStale) setTimeout(refresh, 50);
  };
  addEventListener("pointerdown", press(true));
  for (const type of ["pointerup", "pointercancel", "blur"]) addEventListener(type, press(false));

  // MARK: Events

  const show = (isOn, text) => {
    live.classList.toggle("on", isOn);
    live.textContent = text;
  };

  let blocked = null, waiting = 0;
  const listen = () => {
    const events = new EventSource("events?proof=" + token);
    events.onopen = () => show(true, "Live");
    events.onerror = () => show(false, "Connection lost; trying again");
    for (const type of ["log", "gate", "verified", "pending"]) events.addEventListener(type, refresh);
    events.addEventListener("log", (event) => {
      const now = JSON.parse(event.data).blocked;
      if (blocked !== null && now > blocked) say(`${now - blocked} more blocked`);
      blocked = now;
    });
    events.addEventListener("pending", (event) => {
      const now = JSON.parse(event.data).waiting;
      if (now > waiting) say(now === 1 ? "A question waits for an answer" : `${now} questions wait for an answer`);
      waiting = now ?? waiting;
    });
    // Whoever does not answer for a while is nobody who can be asked.
    events.addEventListener("beat", () => tell("here", {}));
    addEventListener("pagehide", () => events.close());
  };

  // MARK: Answers

  const tell = async (path, values) => {
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Exitgate-Token": token },
        body: JSON.stringify(values),
      });
      const isJSON = answer.headers.get("Content-Type") === "application/json";
      return isJSON ? await answer.json() : { applied: false, text: await answer.text() };
    } catch {
      return { applied: false, text: "the page's server does not answer" };
    }
  };

  const answer = async (event) => {
    const form = event.target.closest("form[data-answer]");
    if (!form) return;
    event.preventDefault();
    const outcome = byId("answered");
    const announce = (text) => move(() => { outcome.textContent = text; });
    if (performance.now() < (settled.get(form.dataset.answer) ?? 0)) {
      announce("Nothing was answered: this question has just come up, changed or moved. Look again.");
      return;
    }
    const { token: own, ...values } = Object.fromEntries(new FormData(form, event.submitter));
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    const result = await tell(form.getAttribute("action"), values);
    announce((result.applied ? "Done: " : "No effect: ") + result.text);
    for (const button of form.querySelectorAll("button")) button.disabled = false;
    refresh();
  };
  document.addEventListener("submit", answer);

  // MARK: Buttons

  const copy = async (button) => {
    try {
      await navigator.clipboard.writeText(byId(button.dataset.copy).textContent);
      say("Copied");
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(byId(button.dataset.copy));
      say("Selected; copy it with the keyboard");
    }
  };

  const apply = async (button) => {
    const outcome = byId("outcome");
    button.disabled = true;
    button.closest("[data-live]")?.removeAttribute("data-live");
    outcome.textContent = "Being applied";
    const result = await tell("apply", { ...button.dataset });
    outcome.textContent = (result.applied ? "Applied: " : "Not applied: ") + result.text;
    button.disabled = result.applied;
  };

  const enhance = (part) => {
    for (const button of part.querySelectorAll("button[data-copy]")) {
      button.hidden = false;
      button.addEventListener("click", () => copy(button));
    }
    const button = part.querySelector("#apply");
    if (!button) return;
    button.hidden = false;
    button.addEventListener("click", () => apply(button));
  };

  for (const section of document.querySelectorAll("[data-live]")) remember(section);
  enhance(document);
  settle(new Map(), answers(document));
  read(document);
  count();
  setInterval(count, 1000);
  listen();
})();
