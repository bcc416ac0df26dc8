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
  }

  ticks();
  const list = document.getElementById("list");
  if (list && list.dataset.live === "true") {
    const events = new EventSource(base + "/events?at=" + list.dataset.at);
    events.addEventListener("changed", () => { renew().catch(() => {}); });
    addEventListener("pagehide", () => events.close());
  }
})();
