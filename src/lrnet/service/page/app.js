// The page: a list of videos with a place to drop more, one video with its report, and the place to watch a call from.

import * as api from "./api.js";
import { detail } from "./detail.js";
import { home } from "./home.js";
import { dropOn, forget, restore } from "./uploads.js";
import { watch } from "./watch.js";
import { learn, many } from "./words.js";

const main = document.getElementById("main");
let view = { leave: () => {}, moved: () => {} };
let shown = null;

function route() {
  const [, place, id, part] = location.hash.split("?")[0].split("/");
  const wanted = id && /^[0-9a-f]{32}$/.test(id) ? `${id}/${part ?? ""}` : place === "watch" ? place : "";
  if (wanted === shown) {
    view.moved();
    return;
  }
  const first = shown === null;
  shown = wanted;
  view.leave();
  for (const question of document.querySelectorAll("dialog")) question.close(); // it was about what was shown
  main.replaceChildren();
  document.body.classList.toggle("wide", !["", "watch"].includes(wanted));
  view = wanted === "watch" ? watch(main) : wanted ? detail(main, id, part ?? "report") : home(main);
  if (!first) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

/** Show what the service says about itself. Returns whether it answered, and so whether the names of the verdicts are known. */
async function tellAbout() {
  const said = document.getElementById("about");
  try {
    const about = await api.about();
    const kept = about.keep_days ? `Videos and reports are deleted after ${many(about.keep_days, "day")}.` : "Videos and reports are kept until they are deleted.";
    learn(about);
    document.body.dataset.role = about.role;
    const link = document.createElement("a");
    link.href = "/api";
    link.textContent = "API";
    said.replaceChildren(`${kept} lrnet ${about.lrnet_version}, model ${about.model}. `, link);
    document.getElementById("signout").hidden = !about.token;
    return true;
  } catch {
    return false; // the list says so
  }
}

/** Ask again until the service answers, and then show the place once more, with the names of the verdicts. */
async function askAgain() {
  do await new Promise((done) => { setTimeout(done, 3000); }); while (!await tellAbout());
  if (shown === "watch") return; // it reads the names when it needs them; a watch that runs must not be left
  shown = null;
  route();
}

// A video that misses the place for it must not replace the page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
dropOn(document.body);
document.getElementById("signout").addEventListener("submit", forget);
restore();
const known = await tellAbout();
addEventListener("hashchange", route);
route();
if (!known) askAgain();
