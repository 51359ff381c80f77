// One video: its progress while it is examined, then its report and its annotated copy.

import * as api from "./api.js";
import { announce, confirmDelete, h, svg } from "./dom.js";
import { decimals, found, share, size, stage, when } from "./words.js";

/** Show a video in `main`; returns what takes it away again. */
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
      if (video.state === "done" || video.state === "failed") stop();
    },
    decode: (news) => shown.progress(news),
    faces: (news) => shown.progress(news),
    clips: (news) => shown.clips(news),
    deleted: () => {
      stop();
      shown.missing();
    },
  }, { refused });
  return () => {
    shown.left = true;
    stop();
  };
}

class Detail {
  constructor(main, view) {
    this.main = main;
    this.view = view;
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
    this.main.replaceChildren(back(), this.head(), ...this.body());
    if (focused) this.focusDelete();
    if (before && before !== video.state) announce(this.word());
  }

  word() {
    const { video } = this;
    if (video.state === "done") return `${video.name}: ${video.verdict.headline}`;
    if (video.state === "failed") return `${video.name} could not be examined. ${video.failure.message}`;
    return video.state === "running" ? `${video.name} is being examined` : `${video.name} waits`;
  }

  head() {
    const { video } = this;
    const verdict = video.verdict;
    const line = verdict
      ? h(
          "p",
          {},
          h("span", { class: verdict.state }, h("span", { "aria-hidden": "true" }, `${verdict.symbol} `), verdict.headline),
          h("span", { class: "meta" }, verdict.probability === null ? "" : ` · ${verdict.held_back ? "held back; the probability would be" : "probability"} ${decimals(verdict.probability)}`),
        )
      : h("p", { class: "meta" }, `${when(video.created)} · ${size(video.size)}`);
    return h("div", { class: "head" }, h("div", {}, h("h1", {}, h("bdi", {}, video.name)), line), this.actions());
  }

  actions() {
    const { video } = this;
    const done = video.state === "done";
    return h(
      "p",
      { class: "actions" },
      done && h("a", { class: "button", href: video.links.report, target: "_blank", rel: "noopener" }, "Open report"),
      done && h("a", { class: "button", href: video.links.result, download: `${video.name}.json` }, "JSON"),
      h("button", { type: "button", class: "danger", onclick: () => this.remove() }, video.state === "running" ? "Stop and delete" : "Delete"),
    );
  }

  body() {
    switch (this.video.state) {
      case "done": return [this.views(), this.view === "overlay" ? this.overlay() : this.report()].flat();
      case "failed": return [this.problem(), this.facts()];
      default: return [this.pending(), this.facts()];
    }
  }

  views() {
    const at = `#/videos/${this.video.id}`;
    const link = (href, text, current) => h("a", { href, "aria-current": current && "page" }, text);
    return h("nav", { class: "views", "aria-label": "Views" }, link(at, "Report", this.view !== "overlay"), link(`${at}/overlay`, "Annotated video", this.view === "overlay"));
  }

  report() {
    return h("iframe", { class: "report", src: this.video.links.report, title: `Report on ${this.video.name}`, sandbox: "allow-scripts allow-modals allow-downloads" });
  }

  overlay() {
    const missing = h("p", { class: "note", hidden: true }, "There is no annotated video: the service was started without it.");
    const player = h("video", { class: "overlay", src: this.video.links.overlay, controls: true, playsinline: true, preload: "metadata", "aria-label": `Annotated copy of ${this.video.name}` });
    player.addEventListener("error", () => {
      player.hidden = true;
      missing.hidden = false;
    });
    const note = h("p", { class: "note" }, "The score beside a face is the network’s raw output for the clip around that moment; it is no probability. The copy has no sound.");
    return [player, missing, note];
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
    this.plot = svg("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": "Clip scores so far" });
    this.scores = h("figure", { class: "scores", hidden: true }, this.plot, h("figcaption", {}, "Scores of the clips so far over the time of the video: raw output of the network from 0 to 1, no probabilities. The verdict comes at the end."));
    const figure = (name, value) => h("div", {}, h("dt", {}, name), value);
    return h(
      "section",
      { class: "pending" },
      this.stage,
      this.bar,
      again && h("p", { class: "note" }, "The worker that had it was lost; it is tried again."),
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
    this.scored.push(...scored);
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
    return h("dl", { class: "facts" }, fact("SHA-256", video.sha256, "hash"), fact("Handed in", when(video.created)), fact("Size", size(video.size)));
  }

  focusDelete() {
    this.main.querySelector("button.danger")?.focus({ preventScroll: true });
  }

  async remove() {
    if (!(await confirmDelete(this.video))) {
      if (!this.left) this.focusDelete(); // the button that asked may have been drawn anew meanwhile
      return;
    }
    try {
      await api.remove(this.video.id);
    } catch (error) {
      if (error.status !== 404) {
        if (!this.left) this.main.prepend(h("p", { class: "banner", role: "alert" }, `${error.message} ${error.hint}`));
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
    this.main.replaceChildren(back(), h("p", { class: "empty" }, text));
  }
}

const back = () => h("p", {}, h("a", { class: "back", href: "#/" }, "← All videos"));
