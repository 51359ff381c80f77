// One video: its progress while it is examined, then its report and its annotated copy.

import * as api from "./api.js";
import { announce, confirmDelete, h, svg } from "./dom.js";
import { Player } from "./player.js";
import { decides, decimals, found, hasBundle, inPart, share, size, stage, when, withPrior } from "./words.js";

const CLIPS = 400; // that the plot of a running examination shows

/** Show a video in `main`. Returns what takes it away. */
export function detail(main, id, view) {
  document.title = "lrnet";
  const shown = new Detail(main, view);
  // A stream cannot say why there is none: no such video, a session that has ended, a service that is away.
  const refused = () => api.video(id).catch((error) => {
    if (error.status === 404) stop();
    shown.missing(error);
  });
  const stop = api.listen(`/v1/videos/${id}/events`, {
    state: (video) => {
      shown.become(video);
      if (!["queued", "running"].includes(video.state)) stop();
    },
    decode: (news) => shown.progress(news),
    faces: (news) => shown.progress(news),
    clips: (news) => shown.clips(news),
    deleted: () => {
      stop();
      shown.missing();
    },
  }, { opened: () => shown.say(""), broken: () => shown.say(api.AWAY), refused });
  const fit = (event) => shown.fit(event);
  addEventListener("message", fit);
  const timer = setInterval(() => shown.watchWorkers(), 10000);
  const leave = () => {
    shown.left = true;
    removeEventListener("message", fit);
    clearInterval(timer);
    stop();
  };
  return { leave, moved: () => shown.seek() };
}

/** The second that the address names, "#/videos/…?t=90"; null if it names none. */
const second = () => {
  const given = new URLSearchParams(location.hash.split("?")[1] ?? "").get("t");
  return given && Number.isFinite(Number(given)) ? Math.max(0, Number(given)) : null;
};

class Detail {
  constructor(main, view) {
    this.main = main;
    this.view = view;
    this.banner = h("p", { class: "banner", role: "status", hidden: true });
    this.now = null;
    this.scored = [];
    this.left = false; // for another view: what is on its way has come too late
  }

  become(video) {
    const before = this.video?.state;
    this.video = video;
    this.now = null;
    this.scored = [];
    document.title = `${video.verdict ? `${video.verdict.headline}: ` : ""}${video.name} – lrnet`;
    const focused = this.main.contains(document.activeElement) && document.activeElement !== this.main;
    this.main.replaceChildren(back(), this.banner, this.head(), ...this.body());
    this.watchWorkers();
    if (focused) this.focusDelete();
    if (before && before !== video.state) announce(this.word());
  }

  /** Say something about the service; an empty text takes it back. */
  say(text) {
    if (!this.banner.isConnected && text) this.main.prepend(this.banner);
    this.banner.textContent = text;
    this.banner.hidden = !text;
  }

  /** Say when a video waits and nobody would examine it. */
  async watchWorkers() {
    if (this.video?.state !== "queued") return;
    const { slots } = await api.about().catch(() => ({ slots: 1 })); // the stream says when the service is away
    if (!this.left && this.video.state === "queued") this.say(slots ? "" : "No worker is running. The video waits until one is started.");
  }

  /** Give the report its whole height, so that there is one scroll (it cannot be measured through its sandbox), and go where it leads. */
  fit({ source, data }) {
    if (!this.frame || source !== this.frame.contentWindow) return;
    if (Number.isFinite(data?.height)) this.frame.style.height = `${Math.min(Math.max(data.height, 200), 100_000)}px`;
    if (Number.isFinite(data?.whole)) location.hash = `#/videos/${this.video.id}/overlay?t=${data.whole.toFixed(2)}`;
    if (Number.isFinite(data?.top)) {
      const least = Math.min(Math.max(data.top, 0) + innerHeight, 100_000); // its height may still be on the way
      if (this.frame.offsetHeight < least) this.frame.style.height = `${least}px`;
      scrollTo(0, this.frame.getBoundingClientRect().top + scrollY + data.top - 20);
    }
  }

  /** Show the second that the address names. */
  seek() {
    const time = second();
    if (time === null) return;
    if (this.frame?.isConnected) this.frame.src = `${this.video.links.report}#t=${time}`;
    if (this.player?.isConnected) this.player.show(time);
  }

  word() {
    const { video } = this;
    if (video.state === "done") return `${video.name}: ${video.verdict.headline}`;
    if (video.state === "failed") return `${video.name} could not be examined. ${video.failure.message}`;
    if (video.state === "cancelled") return `${video.name} is cancelled`;
    return video.state === "running" ? `${video.name} is being examined` : `${video.name} waits`;
  }

  head() {
    const { video } = this;
    const verdict = video.verdict;
    const part = inPart(verdict);
    const line = verdict
      ? h("p", {}, h("span", { class: verdict.state }, h("span", { "aria-hidden": "true" }, `${part ? "◐" : verdict.symbol} `), verdict.headline), verdict.when && [" · ", h("a", { href: `#/videos/${video.id}${this.view === "overlay" ? "/overlay" : ""}?t=${verdict.moment[0]}` }, verdict.when)], part && h("strong", {}, ` · ${part}`), decides(verdict) && this.probability())
      : h("p", { class: "meta" }, `${when(video.created)} · ${size(video.size)}`);
    return h("div", { class: "head" }, h("div", {}, h("h1", {}, h("bdi", {}, video.name)), line), this.actions());
  }

  /** The probability, for the share of fakes that the reader expects: half of them, as in the model's measurements. */
  probability() {
    const shown = h("output", {}, decimals(this.video.verdict.probability));
    const input = h("input", {
      type: "number", min: "0.1", max: "99.9", step: "any", value: "50", "aria-label": "Expected share of fakes, percent",
      oninput: () => {
        const prior = Number(input.value) / 100;
        if (prior > 0 && prior < 1) shown.textContent = decimals(withPrior(this.video.verdict.probability, prior));
      },
    });
    return h("span", { class: "meta" }, " · probability of fake ", shown, " if ", input, " % of such videos are fake");
  }

  actions() {
    const { video } = this;
    const done = video.state === "done";
    const ended = !["queued", "running"].includes(video.state);
    return h(
      "p",
      { class: "actions" },
      done && h("a", { class: "button", href: video.links.report, target: "_blank", rel: "noopener" }, "Open report"),
      hasBundle(video) && h("a", { class: "button", href: video.links.bundle, download: "" }, "Evidence bundle"),
      done && h("a", { class: "button", href: video.links.result, download: `${video.name}.json` }, "JSON"),
      ended && h("button", { type: "button", class: "submit", onclick: () => this.again() }, "Examine again"),
      !ended && h("button", { type: "button", class: "submit", onclick: () => this.cancel() }, "Cancel"),
      h("button", { type: "button", class: "danger admin", onclick: () => this.remove() }, video.state === "running" ? "Stop and delete" : "Delete"),
    );
  }

  body() {
    switch (this.video.state) {
      case "done": return [this.failedExtras(), this.views(), this.view === "overlay" ? this.overlay() : this.report(), this.facts()].flat().filter(Boolean);
      case "failed": return [this.problem(), ...this.facts()];
      case "cancelled": return [h("p", { class: "empty" }, "The examination was cancelled."), ...this.facts()];
      default: return [this.pending(), ...this.facts()];
    }
  }

  views() {
    const at = `#/videos/${this.video.id}`;
    const link = (href, text, current) => h("a", { href, "aria-current": current && "page" }, text);
    return h("nav", { class: "views", "aria-label": "Views" }, link(at, "Report", this.view !== "overlay"), link(`${at}/overlay`, "Annotated video", this.view === "overlay"));
  }

  failedExtras() {
    const failed = Object.entries(this.video.verdict.extras_failed);
    return failed.length > 0 && h("p", { class: "banner" }, `The verdict stands, but something could not be made. ${failed.map(([name, why]) => `${name}: ${why}`).join(" ")}`);
  }

  report() {
    if (this.video.verdict.extras_failed["report.html"]) return h("p", { class: "empty" }, "There is no report. The JSON has the whole result.");
    this.frame = h("iframe", { class: "report", src: `${this.video.links.report}${second() === null ? "" : `#t=${second()}`}`, title: `Report on ${this.video.name}`, sandbox: "allow-scripts allow-modals allow-downloads" });
    return this.frame;
  }

  overlay() {
    const missing = h("p", { class: "note", hidden: true }, "There is no annotated video: it could not be made, or the service was started without it.");
    this.player = new Player(this.video, () => { missing.hidden = false; });
    if (second() !== null) this.player.show(second());
    const note = h("p", { class: "note" }, "The score beside a face is the network’s raw output for the clip around that moment; it is no probability.");
    return [this.player.element, missing, note];
  }

  problem() {
    const { failure } = this.video;
    return h("div", { class: "problem" }, h("h2", {}, "Not examined"), h("p", {}, failure.message), h("p", {}, failure.hint));
  }

  pending() {
    const waiting = this.video.state === "queued";
    const again = this.video.attempts > (waiting ? 0 : 1);
    this.stage = h("h2", {}, waiting ? "Waiting for a worker" : "Starting");
    this.bar = h("progress", { max: "1", "aria-label": "Progress" });
    this.figures = { frames: h("dd", {}, "0"), faces: h("dd", {}, "0"), clips: h("dd", {}, "0") };
    this.plot = svg("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": "Scores of the latest clips" });
    this.scores = h("figure", { class: "scores", hidden: true }, this.plot, h("figcaption", {}, "Scores of the latest clips over the time of the video: raw output of the network from 0 to 1, no probabilities. The verdict comes at the end."));
    const figure = (name, value) => h("div", {}, h("dt", {}, name), value);
    return h(
      "section",
      { class: "pending" },
      this.stage,
      this.bar,
      again && h("p", { class: "note" }, "The worker that had the video was lost; the examination begins again at the start of the video."),
      !waiting && h("dl", { class: "figures" }, figure("Frames", this.figures.frames), figure("Faces", this.figures.faces), figure("Clips scored", this.figures.clips)),
      this.scores,
    );
  }

  progress(news) {
    if (this.video?.state !== "running") return;
    this.now = { ...this.now, ...news };
    this.stage.textContent = stage(this.now);
    const done = share(this.now);
    if (done === null) this.bar.removeAttribute("value");
    else this.bar.value = done;
    this.bar.setAttribute("aria-valuetext", [stage(this.now), found(this.now)].filter(Boolean).join(", "));
    // Drawing goes through the frames once more: the count of those examined stays.
    if (this.now.stage === "examining") this.figures.frames.textContent = String(this.now.frames);
    this.figures.faces.textContent = String(this.now.faces ?? 0);
    this.figures.clips.textContent = String(this.now.clips ?? 0);
  }

  clips({ clips, scored }) {
    this.progress({ clips });
    this.scored = [...this.scored, ...scored].slice(-CLIPS);
    const end = Math.max(this.now?.duration ?? 0, ...this.scored.map((clip) => clip.stop));
    this.scores.hidden = !this.scored.length;
    this.plot.replaceChildren(
      ...this.scored
        .filter((clip) => clip.score !== null)
        .map((clip) => svg("rect", { x: (1000 * clip.start) / end, width: Math.max(2, (1000 * (clip.stop - clip.start)) / end), y: 100 * (1 - clip.score), height: 100 * clip.score, "fill-opacity": "0.5" })),
    );
  }

  facts() {
    const { video } = this;
    const fact = (name, value, kind) => [h("dt", {}, name), h("dd", { class: kind }, value)];
    const list = h("dl", { class: "facts" }, fact("SHA-256", video.sha256, "hash"), fact("Handed in", when(video.created)), video.case && fact("Case", video.case), video.examiner && fact("Examiner", video.examiner), video.notes && fact("Notes", video.notes, "notes"), video.finished && fact("Finished", when(video.finished)), fact("Size", size(video.size)), video.verdict && fact("Model", `${video.verdict.model}, ${video.verdict.model_hash.slice(0, 12)}`));
    const others = h("div", { hidden: true });
    api.ofFile(video.sha256).then(({ items }) => {
      if (items.length < 2) return;
      others.append(h("h2", { id: "same" }, "This file was handed in before or since"), comparison(items, video.id));
      others.hidden = false;
    }).catch(() => {});
    return [list, others];
  }

  async cancel() {
    await api.cancel(this.video.id).catch((error) => this.say(`${error.message} ${error.hint}`));
  }

  async again() {
    try {
      const { id } = await api.again(this.video.id);
      if (!this.left) location.hash = `#/videos/${id}`;
    } catch (error) {
      this.say(`${error.message} ${error.hint}`);
    }
  }

  focusDelete() {
    this.main.querySelector("button.danger")?.focus({ preventScroll: true });
  }

  async remove() {
    if (!(await confirmDelete(this.video))) {
      if (!this.left) this.focusDelete(); // the button may be a new one by now
      return;
    }
    try {
      await api.remove(this.video.id);
    } catch (error) {
      if (error.status !== 404) {
        if (!this.left) this.say(`${error.message} ${error.hint}`);
        return;
      }
    }
    announce(`${this.video.name} is deleted`);
    if (!this.left) location.hash = "#/";
  }

  /** Say why nothing is shown; what is shown already stays while the service is away. */
  missing(error) {
    const gone = !error || error.status === 404;
    if (this.left || (this.video && !gone)) return;
    const text = gone ? "There is no such video. It may have been deleted." : `${error.message} ${error.hint}`;
    this.main.replaceChildren(back(), h("h1", {}, gone ? "No such video" : "Not shown"), h("p", { class: "empty" }, text));
  }
}

/** What was found in the same file at different times, side by side. */
function comparison(videos, shown) {
  const row = ({ id, created, state, verdict }) => {
    const date = id === shown ? `${when(created)} (this one)` : h("a", { href: `#/videos/${id}` }, when(created));
    const value = decides(verdict) ? decimals(verdict.probability) : "–";
    const cells = [verdict?.headline ?? state, verdict?.when || "–", value, inPart(verdict) || "–", verdict ? `${verdict.model}, ${verdict.model_hash.slice(0, 12)}` : "–"];
    return h("tr", { "aria-current": id === shown && "true" }, h("th", { scope: "row" }, date), cells.map((cell) => h("td", {}, cell)));
  };
  const heads = ["Handed in", "Verdict", "Seconds", "Probability of fake", "Not examined", "Model"];
  return h("div", { class: "results", tabindex: "0", role: "region", "aria-labelledby": "same" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, videos.map(row))));
}

const back = () => h("p", {}, h("a", { class: "back", href: "#/" }, "← All videos"));
