// The start: the place to drop videos on, and the list of all videos, live.

import * as api from "./api.js";
import { announce, bin, confirmDelete, h } from "./dom.js";
import { STATES, decimals, found, share, size, stage, when } from "./words.js";

const PAGE = 30;
const AT_ONCE = 3; // uploads that run side by side
const ENDINGS = "video/*,.mkv,.avi,.mts,.m2ts,.mxf,.flv,.wmv,.ts,.vob,.y4m";

// Uploads go on while the page shows something else.
const uploads = [];
let redraw = () => {};
addEventListener("beforeunload", (event) => uploads.some((upload) => !upload.problem) && event.preventDefault());

/** Show the start in `main`; returns what takes it away again. */
export function home(main) {
  document.title = "lrnet";
  const view = new Home(main);
  redraw = () => view.showUploads();
  const stop = api.listen("/v1/events", { video: (video) => view.changed(video), deleted: ({ id }) => view.gone(id) }, {
    opened: () => view.load(),
    refused: () => view.watchWorkers(),
  });
  const timer = setInterval(() => view.watchWorkers(), 10000);
  view.watchWorkers();
  view.showUploads();
  return () => {
    redraw = () => {};
    clearInterval(timer);
    stop();
    view.leave();
  };
}

class Home {
  constructor(main) {
    this.rows = new Map();
    this.deleted = new Set(); // an answer or event that was on its way may still name them
    this.banner = h("p", { class: "banner", role: "status", hidden: true });
    this.uploads = h("ul", { class: "videos", "aria-label": "Uploads" });
    this.list = h("ul", { class: "videos", "aria-label": "Videos" });
    this.count = h("span", { class: "count" });
    this.empty = h("p", { class: "empty", hidden: true });
    this.more = h("p", { class: "more", hidden: true }, h("button", { type: "button", onclick: () => this.loadMore() }, "Show more"));
    this.text = h("input", { type: "search", "aria-label": "Search by name or SHA-256", placeholder: "Search", oninput: () => this.search() });
    this.verdict = h(
      "select",
      { "aria-label": "Verdict", onchange: () => this.load() },
      h("option", { value: "" }, "Any verdict"),
      Object.entries(STATES).map(([value, text]) => h("option", { value }, text)),
      h("option", { value: "failed" }, "Not examined"),
    );
    main.append(
      this.banner,
      dropZone(),
      h(
        "section",
        { "aria-labelledby": "history" },
        h("div", { class: "list-head" }, h("h2", { id: "history" }, "Videos", this.count), h("div", { class: "find", role: "search" }, this.text, this.verdict)),
        this.uploads,
        this.list,
        this.empty,
        this.more,
      ),
    );
    this.dropping = new AbortController();
    dropOn(document.body, this.dropping.signal);
  }

  leave() {
    clearTimeout(this.typing);
    this.asked = null; // answers that are on their way have come too late
    this.dropping.abort();
  }

  get filtered() {
    return Boolean(this.text.value.trim() || this.verdict.value);
  }

  search() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.load(), 200);
  }

  async load(limit = Math.min(200, Math.max(PAGE, this.rows.size))) {
    const asked = (this.asked = {});
    const arrived = (this.arrived = new Set()); // while the answer is on its way, which may not know them
    try {
      const page = await api.history({ text: this.text.value.trim(), verdict: this.verdict.value, limit });
      if (asked !== this.asked) return; // a later search has been asked for
      const items = page.items.filter((video) => !this.deleted.has(video.id));
      page.total -= page.items.length - items.length;
      const known = new Map(items.map((video) => [video.id, this.rows.get(video.id)?.update(video) ?? new Row(video, this)]));
      const newer = this.filtered ? [] : [...this.rows].filter(([id]) => arrived.has(id) && !known.has(id));
      const kept = new Map([...newer, ...known]);
      page.total += newer.length;
      this.rows = kept;
      arrange(this.list, [...kept.values()].map((row) => row.element));
      this.turn(page);
      this.loaded = true;
      if (this.filtered) announce(`${page.total} found`);
    } catch (error) {
      if (asked !== this.asked) return;
      this.loaded = false;
      this.complain(error);
    }
  }

  async loadMore() {
    const asked = this.asked;
    try {
      const page = await api.history({ text: this.text.value.trim(), verdict: this.verdict.value, limit: PAGE, before: this.before });
      if (asked !== this.asked) return; // the list is another one now
      const fresh = page.items.filter((video) => !this.rows.has(video.id) && !this.deleted.has(video.id)).map((video) => new Row(video, this));
      for (const row of fresh) this.rows.set(row.video.id, row);
      this.list.append(...fresh.map((row) => row.element));
      fresh[0]?.link.focus();
      this.turn(page);
    } catch (error) {
      if (asked === this.asked) this.complain(error);
    }
  }

  turn(page) {
    this.before = page.before;
    this.more.hidden = page.before === null;
    this.total = page.total;
    this.countUp();
  }

  countUp() {
    this.count.textContent = this.total ? String(this.total) : "";
    this.empty.textContent = this.filtered ? "Nothing found." : "No videos yet. Those that you drop above appear here with their verdicts.";
    this.empty.hidden = this.total === undefined || this.rows.size > 0 || uploads.length > 0;
  }

  /** A video has changed, on the service's word. */
  changed(video) {
    if (this.deleted.has(video.id)) return;
    const row = this.rows.get(video.id);
    const before = row?.video.state;
    if (row) row.update(video);
    else if (!this.filtered) {
      const fresh = new Row(video, this);
      this.arrived?.add(video.id);
      this.rows = new Map([[video.id, fresh], ...this.rows]);
      this.list.prepend(fresh.element);
      this.total = (this.total ?? 0) + 1;
      this.countUp();
    }
    if (row && before !== video.state) {
      if (video.state === "done") announce(`${video.name}: ${video.verdict.headline}`);
      if (video.state === "failed") announce(`${video.name} could not be examined. ${video.failure.message}`);
    }
  }

  gone(id) {
    this.deleted.add(id);
    const row = this.rows.get(id);
    if (!row) return;
    const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
    const focused = row.element.contains(document.activeElement);
    row.element.remove();
    this.rows.delete(id);
    this.total = Math.max(0, this.total - 1);
    this.countUp();
    if (focused) (next?.querySelector("a") ?? this.text).focus();
  }

  async remove(video) {
    if (!(await confirmDelete(video))) return;
    try {
      await api.remove(video.id);
    } catch (error) {
      if (error.status !== 404) {
        this.complain(error);
        return;
      }
    }
    this.gone(video.id);
    announce(`${video.name} is deleted`);
  }

  showUploads() {
    arrange(this.uploads, uploads.map((upload) => upload.element));
    this.countUp();
  }

  /** Say when nobody would do the work. */
  async watchWorkers() {
    try {
      const { slots } = await api.about();
      this.say(slots ? "" : "No worker is running. Videos are taken in and wait until one is started.");
      if (this.loaded === false) this.load();
    } catch (error) {
      this.complain(error);
    }
  }

  complain(error) {
    this.say(`${error.message} ${error.hint ?? ""}`);
  }

  say(text) {
    this.banner.hidden = !text;
    if (this.banner.textContent !== text) this.banner.textContent = text;
  }
}

/** Put elements into a list in this order, moving as little as possible: what has the focus keeps it. */
function arrange(list, elements) {
  const wanted = new Set(elements);
  for (const element of [...list.children]) if (!wanted.has(element)) element.remove();
  elements.forEach((element, i) => {
    if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
  });
}

class Row {
  constructor(video, list) {
    this.symbol = h("span", { class: "symbol", "aria-hidden": "true" });
    this.link = h("a", { class: "name", href: `#/videos/${video.id}` }, h("bdi", {}, video.name));
    this.status = h("p", { class: "status" });
    this.value = h("p", { class: "value" });
    this.bar = h("progress", { max: "1", "aria-label": `Progress of ${video.name}` });
    this.element = h(
      "li",
      { class: "video" },
      this.symbol,
      h("div", {}, this.link, this.status),
      this.value,
      bin(video.name, () => list.remove(this.video)),
      this.bar,
    );
    this.update(video);
  }

  update(video) {
    if (this.video && this.video.revision >= video.revision) return this; // nothing new, or an answer that was overtaken
    this.video = video;
    const { kind, symbol, text, rest } = told(video);
    this.symbol.className = `symbol ${kind}`;
    this.symbol.textContent = symbol;
    this.status.replaceChildren(h("span", { class: kind }, text), h("span", { class: "when" }, ` · ${rest}`));
    const { probability = null, held_back: held } = video.verdict ?? {};
    this.value.replaceChildren(...(probability === null ? [] : [h("b", {}, held ? `(${decimals(probability)})` : decimals(probability)), h("span", {}, held ? "held back" : "probability")]));
    this.bar.hidden = video.state !== "running";
    const done = share(video.progress);
    if (done === null) this.bar.removeAttribute("value");
    else this.bar.value = done;
    return this;
  }
}

/** What a row says of a video. */
function told(video) {
  const rest = `${when(video.created)} · ${size(video.size)}`;
  switch (video.state) {
    case "done": return { kind: video.verdict.state, symbol: video.verdict.symbol, text: video.verdict.headline, rest };
    case "failed": return { kind: "failed", symbol: "✕", text: "Not examined", rest: video.failure.message };
    case "running": return { kind: "running", symbol: "●", text: stage(video.progress), rest: found(video.progress) || rest };
    default: return { kind: "queued", symbol: "○", text: video.attempts ? "Waiting to be tried again" : "Waiting", rest };
  }
}

function dropZone() {
  const input = h("input", {
    type: "file", id: "file", multiple: true, accept: ENDINGS,
    onchange: () => {
      send([...input.files]);
      input.value = "";
    },
  });
  return h(
    "section",
    { class: "drop", "aria-labelledby": "drop-title" },
    h("h1", { id: "drop-title" }, "Drop videos here"),
    h("p", {}, "How the faces in them move is examined, and a report says what was found."),
    h("p", { class: "choose" }, input, h("label", { for: "file", class: "button main" }, "Choose videos")),
    h("p", { class: "note" }, "They stay on the machine that serves this page."),
  );
}

/** Take videos that are dropped anywhere on the page. */
function dropOn(element, signal) {
  let depth = 0;
  const mark = (on) => element.classList.toggle("over", on);
  const holds = (event) => event.dataTransfer?.types.includes("Files");
  element.addEventListener("dragenter", (event) => holds(event) && ++depth && mark(true), { signal });
  element.addEventListener("dragleave", (event) => holds(event) && --depth <= 0 && mark(false), { signal });
  element.addEventListener("drop", (event) => {
    depth = 0;
    mark(false);
    if (holds(event)) send([...event.dataTransfer.files]);
  }, { signal });
  signal.addEventListener("abort", () => mark(false));
}

/** Upload files; one alone is shown when it is there. */
function send(files) {
  const show = files.length === 1 && uploads.length === 0;
  for (const file of files) uploads.push(new Upload(file, show));
  if (files.length > 1) announce(`${files.length} videos are uploaded`);
  redraw();
  startNext();
}

function startNext() {
  const running = uploads.filter((upload) => upload.request && !upload.problem).length;
  for (const upload of uploads.filter((u) => !u.request && !u.problem).slice(0, Math.max(0, AT_ONCE - running))) upload.start();
}

class Upload {
  constructor(file, show) {
    this.file = file;
    this.show = show;
    this.status = h("span", { class: "uploading" }, "Waiting to be uploaded");
    this.bar = h("progress", { max: "1", value: "0", "aria-label": `Upload of ${file.name}` });
    this.stop = h("button", { type: "button", class: "quiet", "aria-label": `Stop the upload of ${file.name}`, onclick: () => this.cancel() }, "Stop");
    this.symbol = h("span", { class: "symbol uploading", "aria-hidden": "true" }, "↑");
    this.element = h(
      "li",
      { class: "video" },
      this.symbol,
      h("div", {}, h("span", { class: "name" }, h("bdi", {}, file.name)), h("p", { class: "status" }, this.status, h("span", { class: "when" }, ` · ${size(file.size)}`))),
      h("span"),
      this.stop,
      this.bar,
    );
  }

  async start() {
    const { request, done } = api.upload(this.file, (sent) => {
      this.bar.value = sent;
      this.status.textContent = sent < 1 ? `Uploading, ${Math.floor(100 * sent)} %` : "Being stored";
    });
    this.request = request;
    this.status.textContent = "Uploading";
    try {
      const video = await done;
      this.end();
      const busy = uploads.length > 0 || document.querySelector("dialog") || location.hash.startsWith("#/videos/");
      if (video && this.show && !busy) location.hash = `#/videos/${video.id}`;
    } catch (error) {
      this.fail(error);
    }
    startNext();
  }

  fail(error) {
    this.problem = error;
    this.symbol.className = this.status.className = "failed";
    this.symbol.classList.add("symbol");
    this.symbol.textContent = "✕";
    this.status.textContent = `${error.message} ${error.hint}`;
    this.bar.hidden = true;
    this.stop.textContent = "Dismiss";
    this.stop.setAttribute("aria-label", `Dismiss ${this.file.name}`);
    announce(`${this.file.name}: ${error.message}`);
  }

  cancel() {
    if (this.request && !this.problem) this.request.abort();
    else this.end();
  }

  end() {
    const at = uploads.indexOf(this);
    if (at >= 0) uploads.splice(at, 1);
    const focused = this.element.contains(document.activeElement);
    redraw();
    if (focused) (uploads[Math.min(at, uploads.length - 1)]?.stop ?? document.getElementById("file"))?.focus();
  }
}
