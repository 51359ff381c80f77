// Watch a call: the browser shares a window, a tab or the camera, and what the service says of it is shown as it comes.

import * as api from "./api.js";
import { announce, h, svg } from "./dom.js";
import { about } from "./uploads.js";
import { STATES, clock, decides, decimals } from "./words.js";

const TYPES = ["video/webm;codecs=vp8", "video/webm", "video/mp4"];
const SLICE = 250; // ms of recording in one request
const BITS = 2_500_000; // a second
const SIZE = { width: { max: 1280 }, height: { max: 720 }, frameRate: { max: 25 } };
const MOST_WAITING = 32 * 2 ** 20; // bytes that wait to be sent
const QUIET = 10_000; // ms without a request, after which an empty one says that the page is still there
const MINUTE = 60; // seconds of a time line
const ALARM = 0.9; // the line that evidence must stay above for an alarm
const LATE = 3; // seconds of lag from which the page says that the machine is too slow
const MOST_PEOPLE = 20; // that the page remembers

const SOURCES = {
  screen: () => navigator.mediaDevices.getDisplayMedia({ video: SIZE, audio: false }),
  camera: () => navigator.mediaDevices.getUserMedia({ video: { ...SIZE, width: { ideal: 1280, max: 1280 } }, audio: false }),
};
const REFUSALS = {
  NotAllowedError: "The browser was not allowed to share anything. Allow it when it asks, or in its settings for this page.",
  NotFoundError: "The browser found no camera.",
  NotReadableError: "The camera is in use by another program.",
};

/** Show the place to watch a call from in `main`. Returns what takes it away, and ends a watch with it. */
export function watch(main) {
  document.title = "Watch a call – lrnet";
  const view = new Watch(main);
  return { leave: () => view.leave(), moved: () => {} };
}

class Watch {
  constructor(main) {
    this.problem = h("p", { class: "banner", role: "alert", hidden: true });
    this.keep = h("input", { type: "checkbox", class: "box" });
    const { mediaDevices } = navigator; // a phone has a camera, but shares no window
    const start = (kind, text) => h("button", { type: "button", class: "main submit", onclick: () => this.begin(SOURCES[kind]) }, text);
    this.choice = h("div", { class: "choice" }, h("p", { class: "controls" }, Boolean(mediaDevices?.getDisplayMedia) && start("screen", "Share a window or tab"), start("camera", "Use the camera")), h("label", {}, this.keep, " Keep the recording and its report, as a video in the list"));
    this.state = h("strong", {});
    this.figures = h("span", {});
    this.button = h("button", { type: "button", onclick: () => this.stop() }, "Stop");
    this.strip = h("p", { class: "strip", hidden: true }, this.state, this.figures, this.button);
    this.film = h("video", { autoplay: true, playsinline: true, muted: true, "aria-label": "What is shared" });
    this.film.muted = true;
    this.boxes = svg("svg", { "aria-hidden": "true" });
    this.stage = h("div", { class: "stage", hidden: true }, this.film, this.boxes);
    this.summary = h("section", { class: "summary", hidden: true, tabindex: "-1", "aria-label": "The watch is over" });
    this.list = h("ul", { class: "people", "aria-label": "People in view" });
    main.append(
      h("p", {}, h("a", { class: "back", href: "#/" }, "← All videos")),
      h("h1", {}, "Watch a call"),
      h("p", { class: "lead" }, "While a call runs, the motion of the faces in it is judged once a second. The picture goes to the machine that serves this page and nowhere else. Nothing is kept unless you ask for it."),
      this.problem, this.choice, this.strip, this.stage, this.summary, this.list,
      h("p", { class: "note" }, "“Likely fake” is said of a person whose evidence, the bars of the last minute, has stayed above the dashed line for five seconds. It is a statistical suspicion and no proof: in 22 minutes of genuine video it was never said, which does not exclude ten times an hour."),
      h("p", { class: "note" }, "That it is not said is no evidence that a caller is genuine: it was said of 33 of 64 fakes of known kinds, and of 2 of 60 of other kinds. The report of a kept recording is made like any other, and may decide otherwise."),
    );
    if (!globalThis.isSecureContext || !mediaDevices?.getUserMedia) {
      this.choice.hidden = true;
      this.say("Here the browser shares no window and no camera: it does so only with a page of the same machine (http://127.0.0.1 or http://localhost), or one that comes over TLS.");
    }
  }

  say(text) {
    this.problem.hidden = !text;
    this.problem.textContent = text;
  }

  /** Ask the browser for a picture, and watch it. */
  async begin(source) {
    if (this.asking) return;
    this.asking = true;
    this.say("");
    this.summary.hidden = true;
    let stream;
    try {
      stream = await source();
    } catch (error) {
      this.say(REFUSALS[error.name] ?? `Nothing can be shared: ${error.message}`);
      return;
    } finally {
      this.asking = false;
    }
    if (this.left) end(stream); // while the browser asked
    else await this.run(stream);
  }

  /** One watch, from its beginning to its end. */
  async run(stream) {
    const kept = this.keep.checked;
    Object.assign(this, { stream, kept, people: new Map(), pending: [], waiting: 0, id: null, recorder: null, began: null, last: null, failure: null, ended: null, stopping: false });
    stream.getVideoTracks()[0].addEventListener("ended", () => this.stop());
    this.film.srcObject = stream;
    this.show(true);
    this.abort = new AbortController();
    const name = `call ${new Date().toLocaleString("sv").replaceAll(":", ".")}.webm`;
    try {
      await api.watch({ ...(kept ? { ...about, name } : {}), keep: kept }, (event) => this.hear(event), this.abort.signal);
      if (!this.ended) throw new api.ApiError(0, { message: "The service has ended the watch.", hint: "Check that it still runs." });
    } catch (error) {
      this.failure ??= error;
    }
    this.over();
  }

  /** Turn the page to a watch that runs, or back. */
  show(on) {
    document.body.classList.toggle("watching", on);
    this.choice.hidden = on;
    this.strip.hidden = this.stage.hidden = !on;
    this.button.disabled = false;
    this.list.replaceChildren();
    this.boxes.replaceChildren();
    this.tell();
    clearInterval(this.timer);
    if (on) {
      this.button.focus();
      this.timer = setInterval(() => this.tell(), 1000);
      announce("The watch begins");
    }
    (on ? addEventListener : removeEventListener)("beforeunload", ask);
  }

  hear(event) {
    switch (event.event) {
      case "watch": this.id = event.id; break;
      case "ready": this.record(); break;
      case "verdict": this.judge(event); break;
      case "error": if (!this.stopping) this.failure ??= event; break;
      case "end":
        this.ended = event;
        if (event.message) this.failure ??= { message: event.message };
        break;
    }
  }

  record() {
    if (this.stopping) return;
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    const recorder = (this.recorder = new MediaRecorder(this.stream, { mimeType, videoBitsPerSecond: BITS }));
    const on = (event, does) => recorder.addEventListener(event, (told) => this.recorder === recorder && does(told)); // not once it is over
    on("dataavailable", ({ data }) => this.take(data));
    on("error", () => this.fail({ message: "The browser could not go on with the recording." }));
    on("stop", () => {
      this.stopping = true;
      this.feed();
    });
    recorder.start(SLICE);
    this.began = this.sent = performance.now();
    this.tell();
  }

  take(data) {
    this.pending.push(data);
    this.waiting += data.size;
    if (this.waiting > MOST_WAITING) this.fail({ message: "The service takes the recording too slowly." });
    else this.feed();
  }

  /** Send what waits, one request at a time: no timer drives it, because timers of a hidden page hardly run. */
  async feed() {
    if (this.feeding) return;
    this.feeding = true;
    const { id, abort: { signal } } = this;
    try {
      while (this.pending.length) {
        this.waiting = 0;
        this.sent = performance.now();
        await api.feed(id, new Blob(this.pending.splice(0)), signal);
      }
      if (this.stopping) await api.endWatch(id, signal);
    } catch (error) {
      if (error.status !== 404 && !signal.aborted) this.fail(error); // the stream of events says why it is over
    } finally {
      this.feeding = false;
    }
  }

  fail(error) {
    this.failure ??= error;
    this.abort.abort();
  }

  stop() {
    this.button.disabled = true;
    if (this.recorder?.state === "recording") this.recorder.stop();
    else if (!this.recorder) this.abort?.abort();
    end(this.stream);
  }

  judge(event) {
    this.last = event;
    this.lag = (performance.now() - this.began) / 1000 - event.time;
    for (const face of event.faces) {
      const person = this.people.get(face.face) ?? new Person(face.face);
      this.people.delete(face.face);
      this.people.set(face.face, person); // the latest at the end
      if (person.take(face, event.time)) announce(`Person ${face.face}: ${STATES[face.state]}`);
    }
    const most = Math.max(MOST_PEOPLE, event.faces.length);
    for (const number of this.people.keys()) if (this.people.size > most) this.people.delete(number);
    const shown = event.faces.map((face) => this.people.get(face.face).element);
    if (shown.length !== this.list.children.length || shown.some((element, i) => this.list.children[i] !== element)) this.list.replaceChildren(...shown);
    this.draw(event.faces);
    this.tell();
  }

  /** Boxes on the faces; the recording has the pixels of the film. */
  draw(faces) {
    const { videoWidth: width, videoHeight: height } = this.film;
    this.boxes.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.boxes.replaceChildren(...faces.filter((face) => face.box).flatMap(({ face, state, box: [left, top, right, bottom] }) => {
      const pad = 0.12 * (right - left);
      const at = { x: left - pad, y: top - pad };
      return [
        svg("rect", { ...at, width: right - left + 2 * pad, height: Math.min(bottom + pad, height) - at.y, class: state }),
        svg("text", { x: at.x, y: Math.max(at.y - height / 90, height / 26), "font-size": height / 28 }, `Person ${face}`),
      ];
    }));
  }

  /** The line above the picture. */
  tell() {
    if (!document.body.classList.contains("watching")) return;
    const now = performance.now();
    const time = this.began === null ? 0 : (now - this.began) / 1000;
    const { last } = this;
    this.state.textContent = this.began === null ? "Starting" : this.button.disabled ? "Ending" : this.kept ? "● Recording" : "● Watching";
    this.state.classList.toggle("recording", this.kept);
    const late = last && (this.lag > LATE || last.seconds_left_out >= 1) ? `this machine cannot keep up, ${last.seconds_left_out.toFixed(0)} s left out` : null;
    const lag = last ? `${Math.max(0, this.lag).toFixed(1)} s behind` : this.began === null ? null : "waiting for a face";
    this.figures.textContent = [clock(time), lag, late, this.kept ? "will be kept" : "nothing is kept"].filter(Boolean).join(" · ");
    if (this.recorder && now - this.sent > QUIET && !this.feeding) this.take(new Blob([]));
    if (last && time - last.time - this.lag > LATE) this.boxes.replaceChildren();
    document.title = `${[...this.people.values()].some((p) => p.alarm !== null) ? "▲" : "●"} ${clock(time)} Watching – lrnet`;
  }

  /** The watch has ended, for whatever reason: say what was found and what is kept. */
  over() {
    end(this.stream);
    this.abort.abort();
    if (this.recorder?.state === "recording") this.recorder.stop();
    this.recorder = null;
    this.pending = [];
    this.film.srcObject = null;
    this.stopping = true;
    this.show(false);
    if (this.left) return;
    document.title = "Watch a call – lrnet";
    const { failure, ended } = this;
    if (failure && failure.name !== "AbortError") this.say([failure.message, failure.hint].filter(Boolean).join(" "));
    if (this.began === null) return;
    const video = ended?.video;
    this.summary.replaceChildren(
      h("h2", {}, "The watch is over"),
      this.people.size ? h("ul", {}, [...this.people.values()].map((person) => h("li", {}, person.closing()))) : h("p", {}, "Nobody was in view for long enough to be judged."),
      video
        ? h("p", {}, h("a", { class: "button", href: `#/videos/${video}` }, "Open its report"), " The recording is kept, as a video in the list.")
        : h("p", { class: "note" }, this.kept ? "What the service has received of the recording is in the list of videos, if it still runs." : "Nothing was kept."),
    );
    this.summary.hidden = false;
    this.summary.focus();
    announce("The watch is over");
  }

  leave() {
    this.left = true;
    this.abort?.abort();
  }
}

/** One person in view: the words of now, and the last minute. */
class Person {
  constructor(number) {
    this.number = number;
    this.alarm = null; // when it was first raised
    this.looks = [];
    this.state = h("strong", {});
    this.more = h("span", { class: "note" });
    this.plot = svg("svg", { viewBox: `0 0 ${MINUTE} 40`, preserveAspectRatio: "none", role: "img", "aria-label": `Evidence against person ${number} in the last minute; an alarm needs five seconds above the line` });
    this.element = h("li", {}, h("div", {}, h("span", {}, `Person ${number}`), this.state, this.more), this.plot);
  }

  /** Take the verdict of a look. Returns whether it is this person's first alarm. */
  take(face, time) {
    this.face = face;
    this.looks.push({ time, probability: face.probability, state: face.state });
    this.looks = this.looks.filter((look) => look.time > time - MINUTE);
    this.state.className = face.state;
    this.state.textContent = STATES[face.state];
    const number = decides(face) ? `probability of fake ${decimals(face.probability)} (${decimals(face.low)} to ${decimals(face.high)})` : null;
    const first = face.state === "likely_fake" && this.alarm === null;
    if (first) this.alarm = time;
    const before = this.alarm !== null && face.state !== "likely_fake" ? this.before() : null;
    this.more.textContent = [before, number, `${face.seconds.toFixed(0)} s judged`, ...face.doubts].filter(Boolean).join(" · ");
    this.plot.replaceChildren(
      ...this.looks.filter((look) => look.probability !== null).map((look) => svg("rect", { x: MINUTE - 1 - (time - look.time), y: 40 * (1 - look.probability), width: 0.8, height: 40 * look.probability, class: look.state })),
      svg("line", { x1: 0, x2: MINUTE, y1: 40 * (1 - ALARM), y2: 40 * (1 - ALARM) }),
    );
    return first;
  }

  before() {
    return `first called ${STATES.likely_fake.toLowerCase()} at ${clock(this.alarm)}`;
  }

  closing() {
    const alarm = this.alarm === null ? "" : `, ${this.before()}`;
    return [`Person ${this.number}, at last: `, h("span", { class: this.face.state }, STATES[this.face.state]), `, ${this.face.seconds.toFixed(0)} s judged${alarm}.`];
  }
}

const ask = (event) => event.preventDefault();

function end(stream) {
  for (const track of stream.getTracks()) track.stop();
}
