// The service, as the page asks it.

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.message);
    this.status = status;
    this.hint = problem.hint ?? "";
  }
}

/** What it means that a request came to nothing: nobody answers, unless it was given up here. */
const away = (error) => error.name === "AbortError" ? error : new ApiError(0, { message: "The service does not answer.", hint: "Check that it still runs." });

async function ask(path, options = {}) {
  const response = await answer(path, options);
  return response.status === 204 ? null : response.json();
}

async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw away(error);
  }
  if (response.status === 401) location.assign("/signin");
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return response;
}

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return { message: `The service answered with status ${response.status}.` };
  }
}

export const about = () => ask("/v1/about");
export const video = (id) => ask(`/v1/videos/${id}`);
export const remove = (id) => ask(`/v1/videos/${id}`, { method: "DELETE" });
export const cancel = (id) => ask(`/v1/videos/${id}/cancel`, { method: "POST" });
export const again = (id) => ask(`/v1/videos/${id}/again`, { method: "POST" });
export const ofFile = (sha256) => ask(`/v1/videos?sha256=${sha256}&limit=10`);

export const result = (id) => ask(`/v1/videos/${id}/result`);

/** The parameters of a search; `verdict` may also be a state: "failed" or "cancelled". Days are local: 2026-11-27. */
export function query({ text, verdict, sort, name, from, to }) {
  const query = new URLSearchParams();
  if (text) query.set("q", text);
  if (name) query.set("case", name);
  if (from) query.set("since", new Date(`${from}T00:00`).toISOString());
  if (to) {
    const until = new Date(`${to}T00:00`);
    until.setDate(until.getDate() + 1); // 23 to 25 hours
    query.set("until", until.toISOString());
  }
  if (verdict === "failed" || verdict === "cancelled") query.set("state", verdict);
  else if (verdict) query.set("verdict", verdict);
  if (sort && sort !== "newest") query.set("sort", sort);
  return query;
}

export function history(search, limit, before) {
  const parameters = query(search);
  parameters.set("limit", limit);
  if (before) parameters.set("before", before);
  return ask(`/v1/videos?${parameters}`);
}

/** One request with a body; `tell` gets how many bytes are sent. Resolves to the answer, or to null if it is aborted. */
function put(method, path, headers, body, tell, aborted) {
  const request = new XMLHttpRequest();
  aborted.addEventListener("abort", () => request.abort());
  return new Promise((resolve, reject) => {
    const broken = (message, hint) => reject(new ApiError(request.status, { message, hint }));
    request.upload.addEventListener("progress", (event) => tell(event.loaded));
    request.addEventListener("error", () => broken("The upload broke off.", "Check the connection, then try again."));
    request.addEventListener("abort", () => resolve(null));
    request.addEventListener("load", () => {
      let answer = null;
      try {
        answer = JSON.parse(request.responseText);
      } catch { /* reported below */ }
      if (request.status === 401) location.assign("/signin");
      if ((request.status === 200 || request.status === 201) && answer) resolve(answer);
      else broken(answer?.message ?? `The service answered with status ${request.status}.`, answer?.hint ?? "");
    });
    request.open(method, path);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(body);
  });
}

const PART = 16 * 2 ** 20; // bytes; a larger file is sent in parts of this size

/**
 * Send a file. Resolves to the video, or to null if it is aborted.
 *
 * `about` says what else is known of it; `state` keeps how far a large file is, so that another try goes on there; `tell`
 * gets the share that is sent.
 */
export async function upload(file, about, state, tell, aborted) {
  const parameters = new URLSearchParams({ name: file.name });
  for (const [name, value] of Object.entries(about)) if (value) parameters.set(name, value);
  const octets = { "Content-Type": "application/octet-stream" };
  if (file.size <= PART) return put("POST", `/v1/videos?${parameters}`, octets, file, (sent) => tell(sent / file.size), aborted);
  let at = null;
  if (state.id) {
    at = await ask(`/v1/uploads/${state.id}`).catch((error) => {
      if (error.status !== 404) throw error;
      return null; // it was too old
    });
  }
  if (!at) {
    parameters.set("size", file.size);
    at = await ask(`/v1/uploads?${parameters}`, { method: "POST" });
    state.id = at.id;
  }
  while (at && !at.video) {
    if (aborted.aborted) return null;
    const from = at.offset;
    const part = file.slice(from, from + PART);
    at = await put("PATCH", `/v1/uploads/${at.id}`, { ...octets, "Upload-Offset": from }, part, (sent) => tell((from + sent) / file.size), aborted);
  }
  return at?.video ?? null;
}

export const giveUp = (upload) => ask(`/v1/uploads/${upload}`, { method: "DELETE" });

/** Begin a watch; `hear` gets its events until it is over. Closing the answer, which `signal` does, ends it. */
export async function watch(parameters, hear, signal) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "");
  const { body } = await answer(`/watch?${new URLSearchParams(given)}`, { method: "POST", signal });
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const read = () => reader.read().catch((error) => { throw away(error); });
  for (let rest = "", got = await read(); !got.done; got = await read()) {
    const lines = (rest + got.value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) hear(JSON.parse(line));
  }
}

export const feed = (watch, body, signal) => ask(`/watch/${watch}`, { method: "PATCH", headers: { "Content-Type": "application/octet-stream" }, body, signal });
export const endWatch = (watch, signal) => ask(`/watch/${watch}/stop`, { method: "POST", signal });

/**
 * Listen to a stream of events. The browser connects again by itself, but not after an answer that is no stream (a
 * service that is just starting, a video that is gone): then `refused` is called, and it is tried again here. `broken` is
 * called whenever the connection is lost.
 */
export function listen(path, listeners, { opened = () => {}, broken = () => {}, refused = () => {} } = {}) {
  let source = null;
  let timer = 0;
  const connect = () => {
    source = new EventSource(path);
    for (const [name, listener] of Object.entries(listeners)) {
      source.addEventListener(name, (event) => listener(JSON.parse(event.data)));
    }
    source.addEventListener("open", opened);
    source.addEventListener("error", () => {
      broken();
      if (source.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(connect, 3000);
      refused();
    });
  };
  connect();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

export const AWAY = "The service does not answer. What is shown may be out of date; the page connects again by itself.";
