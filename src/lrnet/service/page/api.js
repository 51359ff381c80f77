// The service, as the page asks it.

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.message);
    this.status = status;
    this.hint = problem.hint ?? "";
  }
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(0, { message: "The service does not answer.", hint: "Check that it still runs." });
  }
  if (response.status === 401) location.assign("/signin");
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return response.status === 204 ? null : response.json();
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

/** The parameters of a search; `verdict` may also be a state: "failed" or "cancelled". */
export function query({ text, verdict, sort }) {
  const query = new URLSearchParams();
  if (text) query.set("q", text);
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

/** Send a file; `tell` gets the share that is sent. Returns the request, to be aborted, and a promise of the video. */
export function upload(file, tell) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    const broken = (message, hint) => reject(new ApiError(request.status, { message, hint }));
    request.upload.addEventListener("progress", (event) => event.lengthComputable && tell(event.loaded / event.total));
    request.addEventListener("error", () => broken("The upload broke off.", "Check the connection, then try again."));
    request.addEventListener("abort", () => resolve(null));
    request.addEventListener("load", () => {
      let answer = null;
      try {
        answer = JSON.parse(request.responseText);
      } catch { /* reported below */ }
      if (request.status === 401) location.assign("/signin");
      if (request.status === 201 && answer) resolve(answer);
      else broken(answer?.message ?? `The service answered with status ${request.status}.`, answer?.hint ?? "");
    });
  });
  request.open("POST", `/v1/videos?name=${encodeURIComponent(file.name)}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(file);
  return { request, done };
}

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
