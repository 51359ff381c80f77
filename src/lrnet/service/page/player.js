// The annotated video: moments, suspicious stretches, single frames.

import * as api from "./api.js";
import { h } from "./dom.js";
import { clock } from "./words.js";

export class Player {
  constructor(video, failed) {
    this.stretches = [];
    this.rate = 25;
    this.film = h("video", { class: "overlay", src: video.links.overlay, controls: true, playsinline: true, preload: "metadata", "aria-label": `Annotated copy of ${video.name}` });
    this.said = h("span", { role: "status", class: "note" });
    const button = (text, does) => h("button", { type: "button", onclick: does }, text);
    this.jumps = [button("◀ Suspicious", () => this.jump(-1)), button("Suspicious ▶", () => this.jump(1))];
    const step = (by) => this.show(this.film.currentTime + by / this.rate);
    this.controls = h("p", { class: "controls" }, this.jumps, button("◀ Frame", () => step(-1)), button("Frame ▶", () => step(1)), this.said);
    for (const jump of this.jumps) jump.hidden = true;
    this.element = h("div", {}, this.film, this.controls);
    this.film.addEventListener("error", () => {
      this.element.hidden = true;
      failed();
    });
    api.result(video.id).then((result) => this.learn(result)).catch(() => {}); // then there are no jumps
  }

  get isConnected() {
    return this.element.isConnected;
  }

  learn({ faces, video, verdict }) {
    this.rate = Math.min(Math.max(video.frame_rate ?? 25, 1), 240);
    this.stretches = faces.flatMap((face) => face.explanation?.suspicious ?? []).map(([start]) => start).sort((a, b) => a - b);
    if (!this.stretches.length && verdict.state === "likely_fake" && verdict.moment) this.stretches = [verdict.moment[0]];
    for (const jump of this.jumps) jump.hidden = !this.stretches.length;
  }

  /** Show a second. */
  show(time) {
    this.film.pause();
    this.film.currentTime = Math.max(0, time);
    this.said.textContent = `At ${clock(time)}.`;
  }

  jump(by) {
    const now = this.film.currentTime;
    const next = by > 0 ? this.stretches.find((t) => t > now + 0.1) : this.stretches.findLast((t) => t < now - 0.1);
    if (next === undefined) this.said.textContent = `No suspicious stretch ${by > 0 ? "after" : "before"} ${clock(now)}.`;
    else this.show(next);
  }
}
