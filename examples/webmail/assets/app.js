// What a page does beyond HTML: new mail appears, and all can be ticked at once.
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

  ticks();
  times();
  for (const frame of document.querySelectorAll("article iframe")) fit(frame);
  const list = document.getElementById("list");
  if (list && list.dataset.live === "true") {
    const events = new EventSource(base + "/events?at=" + list.dataset.at);
    events.addEventListener("changed", () => { renew().catch(() => {}); });
    addEventListener("pagehide", () => events.close());
  }
})();
