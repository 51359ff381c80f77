// Uploads. They go on while the page shows something else.

import * as api from "./api.js";
import { announce, h } from "./dom.js";
import { size } from "./words.js";

const AT_ONCE = 3; // uploads that run side by side
export const uploads = [];
export const hooks = { redraw: () => {} }; // the list of videos, if it is shown
addEventListener("beforeunload", (event) => uploads.some((upload) => !upload.problem) && event.preventDefault());

const watching = () => document.body.classList.contains("watching"); // which leaving would end
const elsewhere = () => /^#\/(videos\/|watch)/.test(location.hash) && !watching();

/** Take videos that are dropped anywhere on the page, whatever it shows. */
export function dropOn(element) {
  let depth = 0;
  const mark = (on) => element.classList.toggle("over", on);
  const holds = (event) => event.dataTransfer?.types.includes("Files");
  element.addEventListener("dragenter", (event) => holds(event) && ++depth && mark(true));
  element.addEventListener("dragleave", (event) => holds(event) && --depth <= 0 && mark(false));
  element.addEventListener("drop", (event) => {
    depth = 0;
    mark(false);
    if (!holds(event)) return;
    if (elsewhere()) location.hash = "#/"; // where uploads are shown
    send([...event.dataTransfer.files]);
  });
}

/** What is said of the videos that are handed in next; the fields of the page fill it. */
export const about = { case: "", examiner: "", notes: "" };

const KEPT = "lrnet uploads"; // of this tab: rows outlive a reload, the files themselves cannot

/** Show the rows that were there before the page was loaded again. */
export function restore() {
  let rows = [];
  try {
    rows = JSON.parse(sessionStorage.getItem(KEPT)) ?? [];
  } catch { /* the browser keeps nothing */ }
  for (const { file, about, sent, problem } of rows) {
    const upload = Object.assign(new Upload(file, false), { about, sent });
    uploads.push(upload);
    upload.fail(problem ?? { message: "The upload broke off when the page was left.", hint: "Try again, and choose the file once more." });
  }
}

/** Forget all rows, before another user signs in. */
export function forget() {
  uploads.length = 0;
}

addEventListener("pagehide", () => {
  const rows = uploads.map(({ file: { name, size, lastModified }, about, sent, problem }) => ({ file: { name, size, lastModified }, about, sent, problem }));
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(rows));
  } catch { /* the browser keeps nothing */ }
});

/** Upload files; one alone is shown when it is there. */
export function send(files) {
  const show = files.length === 1 && uploads.length === 0;
  if (files.length > 1) announce(`${files.length} videos are uploaded`);
  for (const file of files) {
    const upload = new Upload(file, show);
    uploads.push(upload);
    if (!file.size) upload.fail({ message: "The file is empty.", hint: "Choose another file, or look why this one has no content." });
  }
  hooks.redraw();
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
    this.about = { ...about };
    this.sent = {}; // how far a large file is
    this.status = h("span");
    this.bar = h("progress", { max: "1", value: "0", "aria-label": `Upload of ${file.name}` });
    this.retry = h("button", { type: "button", "aria-label": `Try ${file.name} again`, onclick: () => this.again() }, "Try again");
    this.stop = h("button", { type: "button", class: "quiet", onclick: () => this.cancel() });
    this.symbol = h("span", { "aria-hidden": "true" });
    this.element = h(
      "li",
      { class: "video" },
      this.symbol,
      h("div", {}, h("span", { class: "name" }, h("bdi", {}, file.name)), h("p", { class: "status" }, this.status, h("span", { class: "when" }, ` · ${size(file.size)}`))),
      this.retry,
      this.stop,
      this.bar,
    );
    this.look("Waiting to be uploaded");
  }

  /** Show the row as one that waits and has sent nothing, or as one that failed. */
  look(text, failed = false) {
    this.status.className = failed ? "failed" : "uploading";
    this.status.textContent = text;
    this.symbol.className = `symbol ${this.status.className}`;
    this.symbol.textContent = failed ? "✕" : "↑";
    this.bar.value = 0;
    this.bar.hidden = failed;
    this.retry.hidden = !failed || !this.file.size;
    this.stop.textContent = failed ? "Dismiss" : "Stop";
    this.stop.setAttribute("aria-label", `${failed ? "Dismiss" : "Stop the upload of"} ${this.file.name}`);
  }

  async start() {
    this.request = new AbortController();
    this.status.textContent = "Uploading";
    const tell = (sent) => {
      this.bar.value = sent;
      this.status.textContent = sent < 1 ? `Uploading, ${Math.floor(100 * sent)} %` : "Being stored";
    };
    try {
      const video = await api.upload(this.file, this.about, this.sent, tell, this.request.signal);
      this.end();
      const busy = uploads.length > 0 || document.querySelector("dialog") || location.hash.startsWith("#/videos/") || watching();
      if (video && this.show && !busy) location.hash = `#/videos/${video.id}`;
    } catch (error) {
      this.fail(error);
    }
    startNext();
  }

  fail({ message, hint }) {
    this.problem = { message, hint };
    this.look(`${message} ${hint}`, true);
    announce(`${this.file.name}: ${message}`);
  }

  /** Ask for the file of a row that a reload left. */
  choose() {
    const { name, size: bytes, lastModified } = this.file;
    const input = h("input", {
      type: "file",
      onchange: () => {
        const [file] = input.files;
        if (file.name !== name || file.size !== bytes) {
          this.fail({ message: "This is another file.", hint: `Choose ${name} (${size(bytes)}), or dismiss this row.` });
          return;
        }
        if (file.lastModified !== lastModified) this.sent = {}; // what was sent of it may be of another content
        this.file = file;
        this.again();
      },
    });
    input.click();
  }

  again() {
    if (!(this.file instanceof File)) {
      this.choose();
      return;
    }
    this.problem = this.request = null;
    this.look("Waiting to be uploaded");
    this.stop.focus();
    startNext();
  }

  cancel() {
    if (this.request && !this.problem) this.request.abort();
    else this.end();
    if (this.sent.id) api.giveUp(this.sent.id).catch(() => {}); // else it is deleted after a day
  }

  end() {
    const at = uploads.indexOf(this);
    if (at >= 0) uploads.splice(at, 1);
    const focused = this.element.contains(document.activeElement);
    hooks.redraw();
    if (focused) (uploads[Math.min(at, uploads.length - 1)]?.stop ?? document.getElementById("file"))?.focus();
  }
}
