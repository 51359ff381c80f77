// The page: a list of videos with a place to drop more, and one video with its report.

import * as api from "./api.js";
import { detail } from "./detail.js";
import { home } from "./home.js";
import { many } from "./words.js";

const main = document.getElementById("main");
let leave = () => {};
let shown = null;

function route() {
  const [, , id, view] = location.hash.split("/");
  const wanted = id && /^[0-9a-f]{32}$/.test(id) ? `${id}/${view ?? ""}` : "";
  if (wanted === shown) return;
  const first = shown === null;
  shown = wanted;
  leave();
  for (const question of document.querySelectorAll("dialog")) question.close(); // it asked about what was shown
  main.replaceChildren();
  document.body.classList.toggle("wide", wanted !== "");
  leave = wanted ? detail(main, id, view ?? "report") : home(main);
  if (!first) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

async function tellAbout() {
  const said = document.getElementById("about");
  try {
    const about = await api.about();
    const kept = about.keep_days ? `Videos and reports are deleted after ${many(about.keep_days, "day")}.` : "Videos and reports are kept until they are deleted.";
    const link = document.createElement("a");
    link.href = "/openapi.json";
    link.textContent = "API description";
    said.replaceChildren(`${kept} lrnet ${about.lrnet_version}, model ${about.model}. `, link);
    document.getElementById("signout").hidden = !about.token;
  } catch { /* the list tells of it */ }
}

// A video that misses the place for it must not replace the page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
addEventListener("hashchange", route);
route();
tellAbout();
