// Building the page: no markup is ever made from text, so a file's name can be nothing but text.

/** An element. `properties` become attributes; functions become listeners ("onclick"); false and null are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  assign(element, properties);
  element.append(...children.flat().filter((child) => child !== null && child !== false));
  return element;
}

/** The same for SVG. */
export function svg(tag, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  assign(element, properties);
  element.append(...children);
  return element;
}

function assign(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
}

/** Say something to screen readers; the latest text counts. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/**
 * Ask before a video is deleted. Each question has a new dialog: a browser reports a closing only with its next
 * frame, when the same element may be asking again already.
 */
export function confirmDelete(video) {
  const running = video.state === "running" || video.state === "queued";
  const text = running
    ? "Its examination ends, and the video is deleted from the service."
    : "The video, its report and its annotated copy are deleted from the service. This cannot be undone.";
  const question = `Delete ${video.name}?`;
  const dialog = h(
    "dialog",
    { "aria-label": question },
    h(
      "form",
      { method: "dialog" },
      h("h2", {}, question),
      h("p", {}, text),
      h("p", { class: "actions" }, h("button", { value: "no", class: "quiet", autofocus: true }, "Keep it"), h("button", { value: "yes", class: "danger" }, "Delete")),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

/** A button with a bin on it. */
export function bin(name, onclick) {
  return h(
    "button",
    { class: "bin admin", type: "button", "aria-label": `Delete ${name}`, title: "Delete", onclick },
    svg(
      "svg",
      { viewBox: "0 0 24 24", "aria-hidden": "true" },
      svg("path", { d: "M4 7h16M9.5 7V4.5h5V7M6.5 7l.8 12.5h9.4L17.5 7M10.2 11v5M13.8 11v5" }),
    ),
  );
}
