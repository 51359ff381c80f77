"use strict";
(() => {
  const clip = document.getElementById("clip");
  const note = document.getElementById("clip-note");
  const clock = (t) => {
    const tenths = Math.round(t * 10), minutes = Math.floor(tenths / 600);
    const rest = `${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
    return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
  };

  // Some browsers play no video from a data address: give them the same bytes as a blob.
  for (const video of document.querySelectorAll("video")) {
    video.addEventListener("error", () => {
      const [head, body] = (video.getAttribute("src") || "").split(",");
      if (!head.startsWith("data:") || !body) return;
      const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
      video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
    }, { once: true });
  }

  // Moves something for every frame while a video plays, and when it is sought.
  const follow = (video, move) => {
    const step = () => { move(); if (!video.paused && !video.ended) requestAnimationFrame(step); };
    for (const event of ["play", "seeked", "timeupdate", "loadedmetadata"]) video.addEventListener(event, step);
  };
  const place = (line, share) => {
    line.setAttribute("x1", `${100 * share}%`);
    line.setAttribute("x2", `${100 * share}%`);
    line.classList.toggle("shown", share >= 0 && share <= 1);
  };

  // A clip shows pieces of the video: [second of the clip, first second, last second of the video].
  const piecesOf = (video) => video.dataset.pieces.split(";").map((piece) => piece.split(",").map(Number));
  const reveal = (element) => {
    for (let box = element.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  };

  if (clip) {
    const pieces = piecesOf(clip);
    const inVideo = () => {
      const [at, start, stop] = pieces.findLast(([at]) => clip.currentTime >= at - 1e-3) || pieces[0];
      return Math.min(start + clip.currentTime - at, stop);
    };
    // Inside the service's page: that has the whole video.
    const whole = (time) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `Show ${clock(time)} in the whole video`;
      button.addEventListener("click", () => parent.postMessage({ whole: time }, "*"));
      return button;
    };
    const distance = (time) => ([, start, stop]) => Math.max(start - time, time - stop, 0);
    const seek = (time) => {
      const away = distance(time);
      const piece = pieces.reduce((best, other) => (away(other) < away(best) ? other : best));
      const [at, start, stop] = piece;
      const shown = Math.min(Math.max(time, start), stop);
      const missed = away(piece) > 0.1;
      note.textContent = missed ? `${clock(time)} is not in this clip; this is ${clock(shown)}. ` : `At ${clock(shown)}.`;
      if (missed && parent !== window) note.append(whole(time));
      clip.pause();
      clip.currentTime = at + Math.min(shown - start, Math.max(stop - start - 0.02, 0));
      const box = clip.getBoundingClientRect();
      if (box.bottom < 60 || box.top > innerHeight - 60) clip.scrollIntoView({ block: "nearest" });
    };

    for (const track of document.querySelectorAll(".track")) {
      const end = Number(track.dataset.end);
      track.classList.add("live");
      track.addEventListener("click", (event) => {
        const button = event.target.closest("[data-time]");
        // A click from the keyboard has no place.
        if (button && event.detail === 0) return seek(Number(button.dataset.time));
        const box = track.getBoundingClientRect();
        seek(Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * end);
      });
      const buttons = [...track.querySelectorAll("[data-time]")];
      track.addEventListener("keydown", (event) => {
        const at = buttons.indexOf(event.target.closest("[data-time]"));
        if (at < 0) return;
        const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          seek(Number(buttons[at].dataset.time));
        } else if (to !== undefined && buttons[to]) {
          event.preventDefault();
          buttons[at].setAttribute("tabindex", "-1");
          buttons[to].setAttribute("tabindex", "0");
          buttons[to].focus();
        }
      });
      const heads = track.querySelectorAll(".playhead");
      follow(clip, () => heads.forEach((line) => place(line, inVideo() / end)));
    }

    const starts = [...document.querySelectorAll("[data-from]")].map((mark) => Number(mark.dataset.from)).sort((a, b) => a - b);
    for (const button of document.querySelectorAll("[data-go]")) {
      button.addEventListener("click", () => {
        const now = inVideo();
        const next = button.dataset.go > 0 ? starts.find((t) => t > now + 0.1) : starts.findLast((t) => t < now - 0.1);
        if (next === undefined) note.textContent = `No suspicious stretch ${button.dataset.go > 0 ? "after" : "before"} ${clock(now)}.`;
        else seek(next);
      });
    }
    for (const button of document.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => seek(inVideo() + Number(button.dataset.step) / Number(clip.dataset.rate)));
    }
    // Links of the form #t=90 lead to a second of the video.
    const follow_link = () => {
      const found = /^#t=(\d+(\.\d+)?)$/.exec(location.hash);
      if (!found) return;
      seek(Number(found[1]));
      clip.scrollIntoView({ block: "nearest" });
      if (parent !== window) parent.postMessage({ top: clip.getBoundingClientRect().top + scrollY }, "*");
    };
    for (const link of document.querySelectorAll('a[href^="#t="]')) link.addEventListener("click", () => setTimeout(follow_link));
    addEventListener("hashchange", follow_link);
    if (clip.readyState >= 1) follow_link(); else clip.addEventListener("loadedmetadata", follow_link, { once: true });
  }
  for (const link of document.querySelectorAll('a[href^="#person-"]')) {
    link.addEventListener("click", () => { const target = document.getElementById(link.hash.slice(1)); if (target) { target.open = true; reveal(target); } });
  }

  for (const pair of document.querySelectorAll(".slow")) {
    const video = pair.querySelector("video");
    if (!video) continue;
    const [[, first, last]] = piecesOf(video);
    const length = last - first;
    video.defaultPlaybackRate = video.playbackRate = 0.25;
    const cursors = pair.querySelectorAll(".cursor");
    follow(video, () => cursors.forEach((line) => place(line, video.currentTime / length)));
    for (const trace of pair.querySelectorAll(".trace")) {
      trace.addEventListener("click", (event) => {
        const box = trace.getBoundingClientRect();
        video.currentTime = ((event.clientX - box.left) / box.width) * length;
      });
    }
  }

  // Print what is folded away.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.print:not([open])")];
    opened.forEach((d) => { d.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((d) => { d.open = false; }));
})();

// Inside another page (the service's), that page gives the frame the report's whole height.
if (parent !== window) {
  new ResizeObserver(() => parent.postMessage({ height: document.documentElement.offsetHeight }, "*")).observe(document.documentElement);
}
