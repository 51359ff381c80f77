// How things are said.

/** What each verdict is called; the service says it (see `learn`), so that the page, the report and the API agree. */
export const STATES = {};

export function learn(about) {
  Object.assign(STATES, about.states);
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const when = (text) => day.format(new Date(text));

export function size(bytes) {
  if (bytes < 1e3) return many(bytes, "byte");
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** A time in a video: 0:07, 1:02:07. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const pad = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${pad(whole % 60)}` : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(whole % 60)}`;
}

/** Two decimals, never rounded up to 1.00 or down to 0.00, as in the report. */
export function decimals(value) {
  return (value === 0 || value === 1 ? value : Math.min(Math.max(value, 0.01), 0.99)).toFixed(2);
}

export const many = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

/** What is being done with a running video. */
export function stage(progress) {
  if (!progress) return "Starting";
  const span = progress.duration ? `${clock(progress.time)} of ${clock(progress.duration)}` : clock(progress.time);
  switch (progress.stage) {
    case "loading": return "Loading the model";
    case "examining": return `Examining the motion, ${span}`;
    case "examined": return "Scoring the last clips";
    case "report": return "Writing the report";
    default: return `Drawing the landmarks, ${span}`;
  }
}

/** What was found so far, in a few words; empty if nothing. */
export function found(progress) {
  if (!progress || (!progress.faces && !progress.clips)) return "";
  return [many(progress.faces, "face"), progress.clips ? `${many(progress.clips, "clip")} scored` : null].filter(Boolean).join(", ");
}

/** How much of the work is done, 0 to 1; null if it cannot be said. Examining takes most of the time. */
export function share(progress) {
  if (!progress || progress.stage === "loading") return null;
  const within = progress.duration ? Math.min(1, progress.time / progress.duration) : null;
  switch (progress.stage) {
    case "examining": return within === null ? null : 0.75 * within;
    case "examined": return 0.75;
    case "report": return 0.78;
    default: return within === null ? 0.8 : 0.8 + 0.2 * within;
  }
}

/** One frame that is left of a video is no picture. */
const CUT = ["part_of_the_video_could_not_be_decoded", "video_examined_in_part"];

/** What was not examined of a judged video, in a few words; empty if all of it was. */
export function inPart(verdict) {
  if (!verdict) return "";
  const cut = verdict.reasons.some(({ code }) => CUT.includes(code));
  if (verdict.frames === 1 && !cut) return "a picture, not a video";
  const { seconds_examined: seconds, duration, share_examined: share, damaged_packets: damaged } = verdict;
  if (share !== null && share < 0.95 && duration - seconds > 0.5) return `only ${seconds.toFixed(1)} of ${duration.toFixed(1)} s examined`;
  return damaged ? `damaged: ${many(damaged, "part")} left out` : "";
}

/** Whether the probability may stand beside the verdict: beside one that decides nothing it would be quoted as one. */
export const decides = (verdict) => verdict !== null && verdict.probability !== null && ["likely_fake", "no_evidence_of_manipulation"].includes(verdict.state);

/** A probability that holds where half of the videos are fake, for another share of fakes: the odds are multiplied. */
export function withPrior(probability, prior) {
  const odds = (probability / (1 - probability)) * (prior / (1 - prior));
  return Number.isFinite(odds) ? odds / (1 + odds) : 1;
}

/** Whether a video has an evidence bundle. */
export const hasBundle = (video) => video.state === "done" && !("evidence.zip" in video.verdict.extras_failed);
