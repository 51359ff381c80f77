"use strict";
(() => {
  const clip = document.getElementById("clip");
  const note = document.getElementById("clip-note");
  const clock = (t) => `${Math.floor(t / 60)}:${(t % 60).toFixed(1).padStart(4, "0")}`;

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

  if (clip) {
    const start = Number(clip.dataset.start), stop = Number(clip.dataset.stop);
    const seek = (time) => {
      if (time < start - 0.05 || time > stop + 0.05) {
        note.textContent = `${clock(time)} is not in the embedded clip, which shows ${clock(start)} to ${clock(stop)}.`;
        return;
      }
      note.textContent = `At ${clock(time)}.`;
      clip.currentTime = Math.min(Math.max(time - start, 0), Math.max(stop - start - 0.02, 0));
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
      follow(clip, () => heads.forEach((line) => place(line, (clip.currentTime + start) / end)));
    }
    for (const button of document.querySelectorAll("button[data-seek]")) {
      button.addEventListener("click", () => seek(Number(button.dataset.seek)));
    }
  }

  for (const pair of document.querySelectorAll(".slow")) {
    const video = pair.querySelector("video");
    if (!video) continue;
    const length = Number(video.dataset.stop) - Number(video.dataset.start);
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
