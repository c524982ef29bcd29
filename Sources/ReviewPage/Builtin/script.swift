// Written by scripts/embed-page. Change Assets/review.js instead.

extension PageAsset {
  static let script =
    #"""
    "use strict";
    // Keeps the sections of the page up to date, copies the rule, and asks for it to be applied.
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

      const replace = (current, next) => {
        const open = openDetails(current);
        const focused = current.contains(document.activeElement) ? name(document.activeElement) : null;
        remember(next);
        current.replaceWith(document.adoptNode(next));
        for (const summary of next.querySelectorAll("details > summary")) {
          if (open.includes(summary.textContent)) summary.parentElement.open = true;
        }
        enhance(next);
        if (focused) {
          const places = next.querySelectorAll("a, button, summary, [tabindex]");
          [...places].find((element) => name(element) === focused)?.focus({ preventScroll: true });
        }
      };

      const take = (page) => {
        for (const current of document.querySelectorAll("[data-live]")) {
          const next = page.getElementById(current.id);
          if (next && !next.isEqualNode(sent.get(current.id))) replace(current, next);
        }
      };

      // One question at a time, and one more when something came up meanwhile.
      let isAsking = false, isStale = false;
      const refresh = () => {
        if (isAsking) { isStale = true; return; }
        isAsking = true;
        isStale = false;
        const request = new XMLHttpRequest();
        request.open("GET", location.href);
        request.responseType = "document";
        request.onload = () => {
          if (request.status === 200 && request.responseXML) take(request.responseXML);
          if (request.status === 403) say("The session has ended. Start exitgate review again.");
        };
        request.onloadend = () => setTimeout(() => { isAsking = false; if (isStale) refresh(); }, 500);
        request.send();
      };

      // MARK: Events

      const show = (isOn, text) => {
        live.classList.toggle("on", isOn);
        live.textContent = text;
      };

      let blocked = null;
      const listen = () => {
        const events = new EventSource("events");
        events.onopen = () => show(true, "Live");
        events.onerror = () => show(false, "Connection lost; trying again");
        for (const type of ["log", "gate", "verified", "pending"]) events.addEventListener(type, refresh);
        events.addEventListener("log", (event) => {
          const now = JSON.parse(event.data).blocked;
          if (blocked !== null && now > blocked) say(`${now - blocked} more blocked`);
          blocked = now;
        });
        addEventListener("pagehide", () => events.close());
      };

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
        try {
          const answer = await fetch("apply", {
            method: "POST",
            headers: { "Content-Type": "application/json", "X-Exitgate-Token": token },
            body: JSON.stringify({ ...button.dataset }),
          });
          const isJSON = answer.headers.get("Content-Type") === "application/json";
          const result = isJSON ? await answer.json() : { applied: false, text: await answer.text() };
          outcome.textContent = (result.applied ? "Applied: " : "Not applied: ") + result.text;
          button.disabled = result.applied;
        } catch {
          outcome.textContent = "Not applied: the page's server does not answer.";
          button.disabled = false;
        }
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
      listen();
    })();

    """#
}
