// What a page does beyond HTML: new mail appears, all can be ticked at once, and what is written is saved.
"use strict";
(() => {
  const base = document.body.dataset.base;

  function ticks() {
    const list = document.getElementById("list");
    const all = list && list.querySelector("[data-all]");
    if (!all) return;
    all.hidden = false;
    list.querySelector("[data-all-label]").hidden = false;
    all.addEventListener("change", () => {
      for (const box of list.querySelectorAll('input[name="message"]')) box.checked = all.checked;
    });
  }

  // The list and the folders are taken from the same page, fetched anew; what was ticked stays ticked.
  async function renew() {
    const list = document.getElementById("list");
    if (!list || list.dataset.live !== "true") return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const ticked = new Set([...list.querySelectorAll('input[name="message"]:checked')].map((box) => box.value));
    for (const selector of ["#list", "nav ul", "nav .quota"]) {
      const [old, fresh] = [document.querySelector(selector), page.querySelector(selector)];
      if (old && fresh) old.replaceWith(document.adoptNode(fresh));
    }
    for (const box of document.querySelectorAll('#list input[name="message"]')) box.checked = ticked.has(box.value);
    ticks();
    times();
  }

  // Times stand in UTC; the reader's zone is known here. Lists have what is short, the rest is in the title.
  function times() {
    const language = document.documentElement.lang;
    const format = (options) => new Intl.DateTimeFormat(language, options);
    const clock = { hour: "2-digit", minute: "2-digit" };
    const full = format({ year: "numeric", month: "short", day: "numeric", weekday: "short", ...clock, timeZoneName: "short" });
    const day = format({ year: "numeric", month: "numeric", day: "numeric" });
    const [time, date] = [format(clock), format({ month: "short", day: "numeric" })];
    const now = new Date();
    for (const element of document.querySelectorAll("time[datetime]")) {
      const moment = new Date(element.dateTime);
      if (isNaN(moment)) continue;
      const whole = full.format(moment);
      let short = day;
      if (moment.getFullYear() === now.getFullYear()) short = date;
      if (day.format(moment) === day.format(now)) short = time;
      element.textContent = "full" in element.dataset ? whole : short.format(moment);
      element.title = whole;
    }
  }

  // A message's frame is as high as what is in it; no script runs there, so this one measures it.
  function fit(frame) {
    const measure = () => {
      const page = frame.contentDocument && frame.contentDocument.documentElement;
      if (!page || !frame.contentDocument.body) return;
      const height = Math.ceil(page.getBoundingClientRect().height) + frame.offsetHeight - frame.clientHeight;
      frame.style.height = Math.min(Math.max(height, 48), 100000) + "px";
    };
    const loaded = () => {
      measure();
      const page = frame.contentDocument && frame.contentDocument.documentElement;
      if (page) new ResizeObserver(measure).observe(page);
    };
    frame.addEventListener("load", loaded);
    if (frame.contentDocument && frame.contentDocument.readyState === "complete") loaded();
  }

  // What is being written is saved while it is typed, and before the page is left.
  function writing() {
    const form = document.getElementById("compose");
    if (!form) return;
    const files = form.querySelector("#files");
    const status = document.getElementById("saved");
    const url = form.getAttribute("action");
    let dirty = false;
    let failed = false;
    let leaving = false;
    let timer = 0;
    let saving = Promise.resolve(true);
    const stop = new AbortController();

    const octets = () => Number(document.getElementById("attached").dataset.octets);

    function fields(withFiles) {
      const data = new FormData(form);
      if (!withFiles) data.delete("files");
      data.set("action", "autosave");
      return data;
    }

    function say(words, time) {
      status.textContent = words;
      if (time) {
        const now = document.createElement("time");
        now.textContent = new Date().toLocaleTimeString(document.documentElement.lang, { timeStyle: "short" });
        status.append(" ", now);
      }
    }

    // The answer is the same page: what is attached, and what is to be said, is taken from it.
    function take(page) {
      // What was wrong before stays to be read until something else is.
      const ids = page.querySelector("#problems .problem") ? ["state", "attached", "problems"] : ["state", "attached"];
      for (const id of ids) {
        const [old, fresh] = [document.getElementById(id), page.getElementById(id)];
        if (old && fresh) old.replaceWith(document.adoptNode(fresh));
      }
      const discard = form.querySelector('[value="discard"]');
      if (discard) discard.hidden = false;
      const key = form.querySelector('[name="key"]').value;
      history.replaceState(null, "", base + "/compose?kept=" + key);
    }

    async function saveNow() {
      clearTimeout(timer);
      timer = 0;
      if (!dirty) return !failed;
      dirty = false;
      failed = false;
      const chosen = [...files.files];
      try {
        const answer = await fetch(url, { method: "POST", body: fields(chosen.length > 0), signal: stop.signal });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const kept = page.getElementById("compose");
        if (!answer.ok || !kept || kept.dataset.kept !== "true") {
          const why = page.querySelector(".problem");
          throw new Error(why ? why.textContent : form.dataset.unsaved);
        }
        // Others may have been chosen meanwhile.
        if (chosen.length > 0 && chosen[0] === files.files[0]) files.value = "";
        take(page);
        say(form.dataset.saved, true);
        return true;
      } catch (error) {
        if (leaving) return false;
        dirty = true;
        failed = true;
        say(error instanceof TypeError ? form.dataset.unsaved : error.message, false);
        plan();
        return false;
      }
    }

    // One at a time.
    function save() {
      saving = saving.then(saveNow);
      return saving;
    }

    // Often while one types; with much attached, less often.
    function plan() {
      if (!timer) timer = setTimeout(save, octets() > 1 << 20 ? 30000 : 3000);
    }

    form.addEventListener("input", (event) => {
      if (event.target === files) return;
      dirty = true;
      plan();
    });

    files.addEventListener("change", () => {
      let sum = octets();
      const [fit, large] = [new DataTransfer(), []];
      for (const file of files.files) {
        if (sum + file.size <= Number(form.dataset.most)) {
          sum += file.size;
          fit.items.add(file);
        } else {
          large.push(file.name);
        }
      }
      if (large.length > 0) {
        files.files = fit.files;
        const problem = document.createElement("p");
        problem.className = "problem";
        problem.setAttribute("role", "alert");
        problem.textContent = form.dataset.tooLarge.replace("{}", large.join(", "));
        document.getElementById("problems").replaceChildren(problem);
      }
      if (fit.files.length === 0) return;
      dirty = true;
      save();
    });

    form.addEventListener("submit", () => {
      leaving = true;
      clearTimeout(timer);
      stop.abort();
      // After this, what was pressed is in the form that is sent.
      setTimeout(() => {
        for (const button of document.querySelectorAll("button")) button.disabled = true;
      }, 0);
    });

    // Back again: the page as it was left.
    addEventListener("pageshow", () => {
      leaving = false;
      for (const button of document.querySelectorAll("button")) button.disabled = false;
    });

    // A key in a field of one line sends nothing.
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.tagName === "INPUT" && !event.isComposing) event.preventDefault();
    });

    // Any other way from here saves first.
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a[href]");
      const here = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
      if (!link || !here || !dirty || link.target || link.getAttribute("href").startsWith("#")) return;
      event.preventDefault();
      save().then(() => { location.href = link.href; });
    });
    document.addEventListener("submit", (event) => {
      if (event.target === form || !dirty) return;
      event.preventDefault();
      save().then(() => event.target.submit());
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden" && dirty && !leaving) save();
    });
    addEventListener("pagehide", () => {
      if (!dirty || leaving) return;
      fetch(url, { method: "POST", body: fields(false), keepalive: true }).catch(() => {});
    });
    // A request that outlives its page carries 64 KiB.
    const isMuch = () => new Blob([...fields(false).values()]).size > 60000 || files.files.length > 0;
    addEventListener("beforeunload", (event) => {
      if (dirty && !leaving && (failed || isMuch())) event.preventDefault();
    });
  }

  ticks();
  times();
  for (const frame of document.querySelectorAll("article iframe")) fit(frame);
  writing();
  const list = document.getElementById("list");
  if (list && list.dataset.live === "true") {
    const events = new EventSource(base + "/events?at=" + list.dataset.at);
    events.addEventListener("changed", () => { renew().catch(() => {}); });
    addEventListener("pagehide", () => events.close());
  }
})();
