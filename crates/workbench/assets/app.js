// The page works without this file. It posts the same forms by fetch, applies patches, and brings the keys.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const root = document.documentElement;
  root.classList.add("js");
  if (localStorage.getItem("rail") === "off") root.classList.add("rail-off");
  const typing = (el) => el && (el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName));
  const fragment = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  };

  // ── What you opened stays open while pieces are replaced ────────────────────────────────────────────────
  const opened = new Map();
  document.addEventListener("toggle", (event) => {
    const el = event.target;
    if (el.tagName === "DETAILS" && el.id && !el.dataset.quiet) {
      opened.set(el.id, el.open);
      if (scroller()?.contains(el)) following = atEnd(scroller()); // you are reading what you opened
    }
    delete el.dataset.quiet;
  }, true);
  const keepOpen = (within) => {
    for (const el of within.querySelectorAll("details[id]")) {
      if (opened.has(el.id) && el.open !== opened.get(el.id)) el.open = opened.get(el.id);
      else if (el.open) el.dataset.quiet = "1"; // its own toggle event is no act of the user
    }
  };

  // ── Following the end ───────────────────────────────────────────────────────────────────────────────────
  const scroller = () => $("scroller");
  let following = true;
  let pinned = 0; // where following last put the page
  const atEnd = (el) => el.scrollHeight - el.scrollTop - el.clientHeight < 48;
  const toEnd = () => {
    const el = scroller();
    if (el) el.scrollTop = el.scrollHeight;
    pinned = el ? el.scrollTop : 0;
  };
  // The line above the composer leads to what waits; while that is in sight, the line is in the way.
  const showWaiting = () => {
    const line = document.querySelector("#waiting>a");
    const target = line && $(line.dataset.jump);
    const view = scroller()?.getBoundingClientRect();
    if (!target || !view) return;
    const box = target.getBoundingClientRect();
    line.hidden = box.bottom - 24 < view.bottom && box.top > view.top - box.height / 2;
  };
  const showLatest = () => {
    showWaiting();
    const pill = $("latest");
    if (pill) pill.hidden = following || !scroller() || atEnd(scroller());
  };
  document.addEventListener("scroll", (event) => {
    if (event.target !== scroller()) return;
    following = atEnd(event.target);
    showLatest();
  }, true);
  const settle = () => {
    const el = scroller();
    // You moved up, but the scroll event is still to come: a patch in between must not pull you back.
    if (el && el.scrollTop < pinned - 4 && !atEnd(el)) following = false;
    if (following) toEnd();
    showLatest();
  };

  // ── Patches ─────────────────────────────────────────────────────────────────────────────────────────────
  const MOST_ITEMS = 300;
  const orderOf = (el) => Number(el.dataset.order);
  const putItem = (timeline, op) => {
    const next = fragment(op.html).firstElementChild;
    const old = $(op.id);
    if (old && old.outerHTML === next.outerHTML) return; // what you type in it stays
    keepOpen(next);
    const first = timeline.firstElementChild;
    // Belongs to an earlier page, unless it waits for you.
    if (!old && first && $("earlier") && op.order < orderOf(first) && !next.querySelector("form")) return;
    const focused = old && old.contains(document.activeElement);
    if (old && orderOf(old) === op.order) {
      old.replaceWith(next);
    } else {
      if (old) old.remove();
      let after = timeline.lastElementChild;
      while (after && (after.className === "new-mark" || orderOf(after) > op.order)) after = after.previousElementSibling;
      if (after) after.after(next); else timeline.prepend(next);
    }
    if (focused) next.focus({ preventScroll: true });
  };
  const ops = {
    put: (op, timeline) => timeline && putItem(timeline, op),
    remove: (op) => $(op.id)?.remove(),
    keep: (op, timeline) => {
      if (!timeline) return;
      const ids = new Set(op.ids);
      for (const el of [...timeline.children]) if (el.id && !ids.has(el.id) && (orderOf(el) >= op.from || el.querySelector("form"))) el.remove();
    },
    tail: (op) => {
      const el = $(op.id);
      if (!el) return;
      while (el.children.length > op.from) el.lastElementChild.remove();
      el.append(fragment(op.blocks.join("")));
    },
    region: (op) => {
      const el = $(op.id);
      if (!el) return;
      const next = fragment(op.html);
      keepOpen(next);
      el.replaceChildren(next);
    },
    busy: (op, timeline) => timeline?.setAttribute("aria-busy", String(op.on)),
    title: (op) => { document.title = `${op.text} · ${$("main")?.dataset.product ?? ""}`; },
    row: (op) => {
      const old = $(op.id);
      const next = fragment(op.html).firstElementChild;
      if (old) return old.replaceWith(next);
      const recent = $("recent");
      if (!op.id.startsWith("r-") || !recent) return;
      recent.querySelector(".hint")?.remove();
      recent.prepend(next);
    },
  };
  const apply = (list) => {
    const timeline = document.querySelector("[data-live] #timeline");
    if (timeline?.children.length) document.querySelector(".transcript>.empty")?.remove();
    for (const op of list) ops[op.op]?.(op, timeline);
    // The page stays flat: old items leave at the top while nobody looks at them.
    if (timeline && following && timeline.children.length > MOST_ITEMS) {
      while (timeline.children.length > MOST_ITEMS / 2) timeline.firstElementChild.remove();
      if (!$("earlier")) {
        const p = document.createElement("p");
        p.className = "earlier";
        p.id = "earlier";
        timeline.before(p);
      }
      const a = document.createElement("a");
      a.className = "button";
      a.textContent = "Show earlier";
      a.href = `${location.pathname}?before=${timeline.firstElementChild.dataset.order}`;
      $("earlier").replaceChildren(a);
    }
    markNew(timeline);
    settle();
    tick();
  };

  // ── The one stream ──────────────────────────────────────────────────────────────────────────────────────
  const SILENCE = 25_000;
  let source = null;
  let last = null; // sequence of the last frame
  let heard = 0;
  let retry = 250;
  let retryTimer = 0;
  let offlineTimer = 0;
  const online = (on) => {
    clearTimeout(offlineTimer);
    const line = $("offline");
    if (!line) return;
    if (on) line.hidden = true;
    else offlineTimer = setTimeout(() => { line.hidden = false; }, 500);
  };
  const connect = () => {
    clearTimeout(retryTimer);
    source?.close();
    const address = document.body.dataset.stream;
    if (!address) return;
    const url = new URL(address, location.href);
    if (last !== null && url.searchParams.has("after")) url.searchParams.set("after", last);
    const mine = new EventSource(url);
    source = mine;
    heard = Date.now();
    const alive = () => {
      heard = Date.now();
      retry = 250;
      online(true);
    };
    mine.onopen = alive;
    mine.addEventListener("tick", alive);
    mine.addEventListener("patch", (event) => {
      if (source !== mine) return;
      alive();
      if (event.lastEventId) last = event.lastEventId;
      apply(JSON.parse(event.data).ops);
    });
    mine.addEventListener("reset", () => { if (source === mine) { alive(); refresh(); } });
    mine.onerror = () => { if (source === mine) reconnect(); };
  };
  const reconnect = () => {
    source?.close();
    source = null;
    online(false);
    clearTimeout(retryTimer);
    retryTimer = setTimeout(connect, retry + Math.random() * 100);
    retry = Math.min(retry * 2, 5_000);
    if (retry > 1_000) refused();
  };
  // A restarted program knows no earlier visit and may live at another path; a page can't ask for its address.
  const refused = async () => {
    const answer = await fetch(document.body.dataset.home, { method: "HEAD", cache: "no-store" }).catch(() => null);
    const line = $("offline");
    if ([403, 404].includes(answer?.status) && line) line.textContent = "The program was restarted; open the address that it printed. Nothing is lost.";
  };
  // The page re-reads itself: the log moved on too far to patch.
  const refresh = async () => {
    source?.close();
    source = null;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const draft = $("text")?.value;
      $("main").replaceWith(document.adoptNode(page.getElementById("main")));
      if (draft && $("text")) $("text").value = draft;
      document.body.dataset.stream = page.body.dataset.stream;
      document.title = page.title;
      last = null;
      keepOpen(document);
      settle();
      connect();
    } catch {
      reconnect();
    }
  };
  setInterval(() => {
    if (source && Date.now() - heard > SILENCE) reconnect();
  }, 5_000);
  addEventListener("resize", settle); // a turned phone, an opened keyboard: the end stays in sight
  addEventListener("online", connect);
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  addEventListener("pagehide", () => source?.close());

  // ── Away and back ───────────────────────────────────────────────────────────────────────────────────────
  let seen = null; // last item when you left
  const markNew = (timeline) => {
    if (seen === null || !timeline || timeline.querySelector(".new-mark")) return;
    const left = seen ? $(seen) : null;
    const fresh = left ? left.nextElementSibling : timeline.firstElementChild;
    if (!fresh) return;
    const mark = document.createElement("div");
    mark.className = "new-mark";
    mark.textContent = "New";
    fresh.before(mark);
  };
  document.addEventListener("visibilitychange", () => {
    const timeline = document.querySelector("[data-live] #timeline");
    if (document.hidden) {
      timeline?.querySelector(".new-mark")?.remove();
      seen = timeline?.lastElementChild?.id ?? "";
    } else {
      seen = null;
      // A stream that slept may look open: anything older than a sign of life is asked again.
      if (!source || source.readyState === EventSource.CLOSED || Date.now() - heard > 16_000) connect();
      settle();
    }
  });

  // ── Forms ───────────────────────────────────────────────────────────────────────────────────────────────
  const sayError = (form, text) => {
    const line = form.querySelector(".form-error");
    if (!line) return;
    line.textContent = text;
    line.hidden = !text;
    if (text) line.scrollIntoView({ block: "nearest" });
  };
  // The text that waits in the composer of the page that is loaded next.
  const keepDraft = (draft) => sessionStorage.setItem("draft", JSON.stringify(draft));
  const send = async (form, submitter) => {
    const data = new URLSearchParams(new FormData(form, submitter));
    const own = [...form.elements].filter((el) => el.tagName === "BUTTON");
    const area = form.matches(".composer") ? form.querySelector("textarea") : null;
    sayError(form, "");
    own.forEach((button) => { button.disabled = true; });
    if (area) area.readOnly = true;
    let answer = null;
    try {
      const response = await fetch(submitter?.getAttribute("formaction") || form.action, {
        method: "POST",
        body: data,
        headers: { Accept: "application/json" },
        signal: AbortSignal.timeout(60_000),
      });
      const json = (response.headers.get("content-type") ?? "").startsWith("application/json");
      answer = json ? await response.json() : { error: response.status === 413 ? "That is too long to be sent; shorten it or put it into a file." : "That was refused; reload the page and try again." };
    } catch {
      answer = { error: "It did not arrive; your text is still here. Check that the program runs and try again." };
    }
    own.forEach((button) => { button.disabled = false; });
    if (area) area.readOnly = false;
    if (answer.draft) keepDraft({ to: answer.location, text: answer.draft, error: answer.error });
    if (answer.location) {
      if (new URL(answer.location, location.href).href === location.href) location.reload();
      else location.assign(answer.location);
      return;
    }
    if (answer.error) {
      sayError(form, answer.error);
      area?.focus();
      return;
    }
    if ("clear" in form.dataset && area) {
      remember(area.value);
      area.value = "";
      form.elements.key.value = crypto.randomUUID();
      following = true;
      toEnd();
      area.focus();
    }
    if (form.dataset.close) $(form.dataset.close).open = false;
    if ("report" in form.dataset) form.querySelector(".report").innerHTML = answer.report ?? "";
    if ("reload" in form.dataset) {
      keepDraft({ to: location.pathname, text: $("text")?.value });
      location.reload();
    }
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if ("stay" in form.dataset) {
      event.preventDefault();
      send(form, event.submitter);
    } else if ("themeForm" in form.dataset && event.submitter) {
      event.preventDefault();
      const theme = event.submitter.value;
      root.dataset.theme = theme;
      for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === event.submitter));
      fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form, event.submitter)), headers: { Accept: "application/json" } }).catch(() => {});
    }
  });

  // ── Composer: what you wrote before ─────────────────────────────────────────────────────────────────────
  let recalled = 0;
  const sent = [];
  const remember = (text) => { sent.push(text); recalled = 0; };
  const prompts = () => {
    const shown = [...document.querySelectorAll(".prompt .text")].map((el) => el.textContent);
    return shown.length ? shown : sent;
  };

  // ── Pointer ─────────────────────────────────────────────────────────────────────────────────────────────
  const jump = (id) => {
    const el = $(id);
    if (!el) return false;
    following = false;
    el.querySelector("details")?.setAttribute("open", "");
    el.scrollIntoView({ block: "center" });
    el.focus({ preventScroll: true });
    return true;
  };
  const panel = async (href) => {
    const chat = document.querySelector(".chat");
    if (!chat) return;
    chat.classList.add("with-panel");
    document.querySelector("[data-panel]")?.setAttribute("aria-expanded", "true");
    if (!href) return;
    const answer = await fetch(href).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const detail = page.querySelector(".page");
    detail.querySelector(".page-head p")?.remove();
    $("drawer-detail").replaceChildren(...detail.childNodes);
  };
  document.addEventListener("click", async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const target = event.target.closest("a,button");
    if (!target) return;
    if ("collapse" in target.dataset) {
      localStorage.setItem("rail", root.classList.toggle("rail-off") ? "off" : "on");
      $("rail-toggle").open = false;
    } else if (target.matches(".copy")) {
      const text = target.closest(".code").querySelector("code").textContent;
      await navigator.clipboard.writeText(text).then(() => { target.textContent = "Copied"; }, () => { target.textContent = "Not allowed"; });
      setTimeout(() => { target.textContent = "Copy"; }, 1500);
    } else if (target.id === "latest") {
      event.preventDefault();
      following = true;
      toEnd();
      showLatest();
    } else if (target.dataset.jump) {
      if (jump(target.dataset.jump)) event.preventDefault();
    } else if ("panel" in target.dataset) {
      event.preventDefault();
      const open = document.querySelector(".chat").classList.toggle("with-panel");
      target.setAttribute("aria-expanded", String(open));
    } else if ("detail" in target.dataset) {
      event.preventDefault();
      panel(target.href);
    } else if (target.matches(".show-all")) {
      event.preventDefault();
      const answer = await fetch(target.href).catch(() => null);
      if (!answer?.ok) { location.assign(target.href); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const inner = target.closest(".inner,.call-page");
      inner?.replaceChildren(...page.querySelector(".call-page").childNodes);
    }
  });

  // ── Keys ────────────────────────────────────────────────────────────────────────────────────────────────
  let leader = 0;
  const stop = () => $("stop-form") && document.querySelector(".stop") && $("stop-form").requestSubmit();
  const step = (by) => {
    const items = [...document.querySelectorAll("#timeline>.prompt,#timeline>.answer,#timeline>.ask,#timeline>.error")];
    const at = items.indexOf(document.activeElement?.closest(".item"));
    const to = items[at < 0 ? (by > 0 ? 0 : items.length - 1) : Math.max(0, Math.min(items.length - 1, at + by))];
    if (to) jump(to.id);
  };
  const answerAsk = (key) => {
    const focused = document.activeElement?.closest("[data-ask]");
    // Without a focused ask the key only leads to one: what is answered has been looked at.
    if (focused) focused.querySelector(`[data-key="${key}"]`)?.click();
    else jump(document.querySelector("[data-ask]")?.id);
  };
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const el = event.target;
    if (el.matches?.(".composer textarea")) {
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        if (!el.value.trim()) return;
        if (document.querySelector(".stop")) sayError(el.form, "Still working; press Stop first, or wait until it is done.");
        else el.form.requestSubmit();
      } else if (event.key === "Escape" && !el.value) {
        stop();
      } else if (event.key === "ArrowUp" && (!el.value || recalled)) {
        const list = prompts();
        if (recalled < list.length) { event.preventDefault(); el.value = list[list.length - ++recalled]; }
      } else if (event.key === "ArrowDown" && recalled) {
        const list = prompts();
        event.preventDefault();
        el.value = --recalled ? list[list.length - recalled] : "";
      } else if (event.key.length === 1) {
        recalled = 0;
      }
      return;
    }
    if (typing(el)) return;
    if (leader && Date.now() - leader < 1500) {
      leader = 0;
      const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    const acts = {
      "/": () => $("text")?.focus(),
      "?": () => $("keys")?.showModal(),
      g: () => { leader = Date.now(); },
      j: () => step(1),
      k: () => step(-1),
      a: () => answerAsk("a"),
      d: () => answerAsk("d"),
      Escape: () => { if (!document.querySelector("dialog[open]") && !$("text")?.value) stop(); },
    };
    if (acts[event.key]) {
      if (event.key !== "Escape") event.preventDefault();
      acts[event.key]();
    }
  });

  // ── Running clocks ──────────────────────────────────────────────────────────────────────────────────────
  const tick = () => {
    for (const el of document.querySelectorAll(".clock[data-since]")) {
      const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(el.dataset.since)) / 1000));
      el.textContent = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
    }
  };
  setInterval(tick, 1000);

  // ── Start ───────────────────────────────────────────────────────────────────────────────────────────────
  const draft = JSON.parse(sessionStorage.getItem("draft") ?? "null");
  if (draft && draft.to === location.pathname && $("text")) {
    $("text").value = draft.text ?? "";
    if (draft.text && !draft.error) $("text").focus();
    sayError($("composer"), draft.error ?? "");
    sessionStorage.removeItem("draft");
  }
  for (const el of document.querySelectorAll("details[open]")) el.dataset.quiet = "1";
  if (location.hash.length > 1 && $(decodeURIComponent(location.hash.slice(1)))) jump(decodeURIComponent(location.hash.slice(1)));
  else toEnd();
  tick();
  connect();
})();
