// The start: the place to drop videos on, and the list of all videos, live.

import * as api from "./api.js";
import { announce, bin, confirmDelete, h } from "./dom.js";
import { about, hooks, send, uploads } from "./uploads.js";
import { STATES, decides, decimals, found, hasBundle, inPart, many, share, size, stage, when } from "./words.js";

const PAGE = 30;
const MOST_BUNDLES = 100; // in one answer of the service
const ENDINGS = "video/*,.mkv,.avi,.mts,.m2ts,.mxf,.flv,.wmv,.ts,.vob,.y4m";

const SORTS = { newest: "Newest first", oldest: "Oldest first", name: "By name", probability: "By probability" };

/** Show the start in `main`. Returns what takes it away, and what is called when its address changes. */
export function home(main) {
  document.title = "lrnet";
  const view = new Home(main);
  hooks.redraw = () => view.showUploads();
  const stop = api.listen("/v1/events", { video: (video) => view.changed(video), deleted: ({ id }) => view.gone(id) }, {
    opened: () => view.opened(),
    broken: () => view.say(api.AWAY),
    refused: () => view.watchWorkers(),
  });
  const timer = setInterval(() => view.watchWorkers(), 10000);
  view.watchWorkers();
  view.showUploads();
  const leave = () => {
    hooks.redraw = () => {};
    clearInterval(timer);
    stop();
    view.leave();
  };
  return { leave, moved: () => view.readAddress() && view.load() };
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
    this.text = h("input", { type: "search", "aria-label": "Search by name or SHA-256", placeholder: "Search", oninput: () => this.typed() });
    this.sort = h("select", { "aria-label": "Order", onchange: () => this.load() }, Object.entries(SORTS).map(([value, text]) => h("option", { value }, text)));
    [this.name, this.from, this.to] = ["search", "date", "date"].map((type) => h("input", { type, max: type === "date" && "9999-12-31", onchange: () => this.load() }));
    const label = (text, input) => h("label", {}, text, input);
    this.further = h("details", { class: "further" }, h("summary", {}, "Case and dates"), h("p", {}, label("Of the case ", this.name), label("From day ", this.from), label("to day ", this.to)));
    this.table = h("a", { class: "button", download: "videos.csv" }, "CSV");
    this.chosen = h("p", { class: "chosen", hidden: true }, h("span", {}), (this.bundles = h("a", { class: "button", download: "evidence.zip" }, "Evidence bundles")), h("button", { type: "button", class: "danger admin", onclick: () => this.removeChosen() }, "Delete them"));
    this.verdict = h(
      "select",
      { "aria-label": "Verdict", onchange: () => this.load() },
      h("option", { value: "" }, "Any verdict"),
      Object.entries(STATES).map(([value, text]) => h("option", { value }, text)),
      h("option", { value: "failed" }, "Not examined"),
      h("option", { value: "cancelled" }, "Cancelled"),
    );
    main.append(
      this.banner,
      dropZone(),
      h(
        "section",
        { "aria-labelledby": "history" },
        h("div", { class: "list-head" }, h("h2", { id: "history" }, "Videos", this.count), h("div", { class: "find", role: "search" }, this.text, this.verdict, this.sort, this.table, this.further)),
        this.chosen,
        this.uploads,
        this.list,
        this.empty,
        this.more,
      ),
    );
    this.readAddress();
  }

  get search() {
    return { text: this.text.value.trim(), verdict: this.verdict.value, sort: this.sort.value, name: this.name.value.trim(), from: day(this.from), to: day(this.to) };
  }

  /** Take filter and search from the address, "#/?q=…&case=…&from=2026-11-27". Returns whether they are others than before. */
  readAddress() {
    const before = this.address();
    const given = new URLSearchParams(location.hash.split("?")[1] ?? "");
    this.text.value = given.get("q") ?? "";
    this.verdict.value = given.get("state") ?? given.get("verdict") ?? "";
    this.sort.value = given.get("sort") ?? "newest";
    this.name.value = given.get("case") ?? "";
    this.from.value = given.get("from") ?? "";
    this.to.value = given.get("to") ?? "";
    if (this.name.value || this.from.value || this.to.value) this.further.open = true;
    if (this.verdict.selectedIndex < 0) this.verdict.value = "";
    if (this.sort.selectedIndex < 0) this.sort.value = "newest";
    return this.address() !== before;
  }

  address() {
    const { from, to, ...search } = this.search;
    const query = api.query(search);
    if (from) query.set("from", from);
    if (to) query.set("to", to);
    return query.size ? `#/?${query}` : "#/";
  }

  opened() {
    this.say("");
    this.watchWorkers();
    this.load();
  }

  leave() {
    clearTimeout(this.typing);
    this.asked = null; // answers that are on their way have come too late
  }

  get filtered() {
    return Boolean(this.text.value.trim() || this.verdict.value || this.name.value.trim() || this.from.value || this.to.value);
  }

  /** Whether a video that comes in belongs in the list, whose order is that of numbers. */
  get plain() {
    return !this.filtered && this.sort.value === "newest";
  }

  typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.load(), 200);
  }

  async load(limit = Math.min(200, Math.max(PAGE, this.rows.size))) {
    const asked = (this.asked = {});
    const arrived = (this.arrived = new Set()); // while the answer is on its way, which may not know them
    const here = location.hash;
    const leaving = /^#\/(videos\/[0-9a-f]{32}|watch)/.test(here); // a link that was followed and is not yet heard of
    if (!leaving && here !== this.address() && (here || this.address() !== "#/")) history.replaceState(null, "", this.address());
    this.table.href = `/v1/videos.csv?${api.query(this.search)}`;
    try {
      const page = await api.history(this.search, limit);
      if (asked !== this.asked) return; // a later search has been asked for
      const items = page.items.filter((video) => !this.deleted.has(video.id));
      page.total -= page.items.length - items.length;
      const known = new Map(items.map((video) => [video.id, this.rows.get(video.id)?.update(video) ?? new Row(video, this)]));
      const newer = !this.plain ? [] : [...this.rows].filter(([id, row]) => arrived.has(id) && !known.has(id) && within(page, row.video));
      page.total += newer.length;
      this.show([...newer, ...known]);
      this.turn(page);
      this.choose();
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
      const page = await api.history(this.search, PAGE, this.before);
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

  show(rows) {
    this.rows = new Map(rows);
    arrange(this.list, [...this.rows.values()].map((row) => row.element));
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
    this.empty.hidden = this.total !== 0 || uploads.length > 0;
  }

  /** A video has changed, on the service's word. */
  changed(video) {
    if (this.deleted.has(video.id)) return;
    const row = this.rows.get(video.id);
    const before = row?.video.state;
    if (row) {
      row.update(video);
      this.choose();
    } else if (this.plain && within(this, video)) {
      this.arrived?.add(video.id);
      this.show([...this.rows, [video.id, new Row(video, this)]].sort(([, a], [, b]) => b.video.number - a.video.number));
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
    this.choose();
    this.total = Math.max(0, this.total - 1);
    this.countUp();
    if (!this.rows.size && this.before) this.load(); // those behind "Show more"
    if (focused) (next?.querySelector("a") ?? this.text).focus();
  }

  async remove(video) {
    if (await confirmDelete(video)) await this.delete(video);
  }

  async delete(video) {
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

  /** Rows were ticked or not. */
  choose() {
    const chosen = [...this.rows.values()].filter((row) => row.box.checked);
    this.chosen.hidden = !chosen.length;
    this.chosen.firstChild.textContent = `${many(chosen.length, "video")} selected`;
    const bundled = chosen.filter((row) => hasBundle(row.video));
    this.bundles.hidden = !bundled.length;
    this.bundles.textContent = bundled.length > MOST_BUNDLES ? `Evidence bundles of the first ${MOST_BUNDLES}` : "Evidence bundles";
    this.bundles.href = `/v1/bundles?${bundled.slice(0, MOST_BUNDLES).map((row) => `id=${row.video.id}`).join("&")}`;
    return chosen.map((row) => row.video);
  }

  async removeChosen() {
    const videos = this.choose();
    if (!(await confirmDelete(videos.length === 1 ? videos[0] : { name: many(videos.length, "video"), state: "done" }))) return;
    for (const video of videos) await this.delete(video);
    this.text.focus();
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

/** The day in a field; "" for one beyond the year 9999, which Date does not read. */
const day = (input) => (input.validity.valid ? input.value : "");

/** Whether a video belongs to those that are shown, newest first; the older ones are behind "Show more". */
const within = ({ before }, video) => !before || video.number > before;

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
    this.box = h("input", { type: "checkbox", class: "box", "aria-label": `Select ${video.name}`, onchange: () => list.choose() });
    this.element = h(
      "li",
      { class: "video" },
      h("span", { class: "mark" }, this.box, this.symbol),
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
    const { kind, symbol, text, rest } = described(video);
    this.symbol.className = `symbol ${kind}`;
    this.symbol.textContent = symbol;
    const moment = video.verdict?.when && h("a", { href: `#/videos/${video.id}?t=${video.verdict.moment[0]}` }, video.verdict.when);
    this.status.replaceChildren(h("span", { class: kind }, text), ...(moment ? [" · ", moment] : []), h("span", { class: "when" }, ` · ${rest}`));
    this.value.replaceChildren(...(decides(video.verdict) ? [h("b", {}, decimals(video.verdict.probability)), h("span", {}, "probability of fake")] : []));
    this.bar.hidden = video.state !== "running";
    const done = share(video.progress);
    if (done === null) this.bar.removeAttribute("value");
    else this.bar.value = done;
    return this;
  }
}

/** The words of a row. */
function described(video) {
  const ofCase = (...parts) => [video.case && `case ${video.case}`, ...parts].filter(Boolean).join(" · ");
  const rest = ofCase(when(video.created), size(video.size));
  switch (video.state) {
    case "done": {
      const part = inPart(video.verdict);
      return { kind: video.verdict.state, symbol: part ? "◐" : video.verdict.symbol, text: [video.verdict.headline, part].filter(Boolean).join(", "), rest };
    }
    case "failed": return { kind: "failed", symbol: "✕", text: "Not examined", rest: ofCase(video.failure.message) };
    case "running": return { kind: "running", symbol: "●", text: stage(video.progress), rest: found(video.progress) ? ofCase(found(video.progress)) : rest };
    case "cancelled": return { kind: "queued", symbol: "–", text: "Cancelled", rest };
    default: return { kind: "queued", symbol: "…", text: video.attempts ? "Waiting to be tried again" : "Waiting", rest };
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
    h("p", {}, "How the faces in them move and look is examined, and a report says what was found."),
    h("p", { class: "choose" }, input, h("label", { for: "file", class: "button main" }, "Choose videos"), " ", h("a", { class: "button submit", href: "#/watch" }, "Watch a call")),
    h(
      "details",
      { class: "about", open: Boolean(about.case || about.examiner || about.notes) },
      h("summary", {}, "Case, examiner, notes"),
      field("Case", "case", 200),
      field("Examiner", "examiner", 200),
      field("Notes", "notes", 4000),
      h("p", { class: "note" }, "They stand in the report of every video that is handed in after this."),
    ),
    h("p", { class: "note" }, "Videos stay with this service: they are sent nowhere else."),
    h("p", { class: "note" }, "What it mostly does not see: talking heads made from a photo, lips that were synchronised to other words, small or coarsely encoded faces. “No evidence” does not mean genuine."),
  );
}

function field(label, name, maxlength) {
  const input = h(name === "notes" ? "textarea" : "input", { maxlength, autocomplete: "off", oninput: () => { about[name] = input.value.trim(); } });
  input.value = about[name];
  return h("label", {}, label, input);
}
