// Elements without templates: text from files is only ever set as text, never as markup.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function replace(parent, ...children) {
  parent.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

export function notice(text, isError = false) {
  const box = document.getElementById("notice");
  box.textContent = text;
  box.classList.toggle("error", isError);
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => (box.textContent = ""), isError ? 9000 : 3500);
}

// A time that the server keeps in UTC, by this computer's clock and with its zone.
export function localTime(utc) {
  const fields = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" };
  return new Date(utc).toLocaleString("sv-SE", { ...fields, timeZoneName: "shortOffset" });
}

export const localDay = (utc) => localTime(utc).slice(0, 10);

// A canvas whose pixels are those of the screen; `size` is in CSS pixels.
export function canvasOf(width, height, properties = {}) {
  const ratio = window.devicePixelRatio || 1;
  const canvas = element("canvas", properties);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  return canvas;
}

// Where a mouse event is on a canvas, in the canvas's own pixels.
export function placeOn(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left) * canvas.width) / box.width,
    ((event.clientY - box.top) * canvas.height) / box.height,
  ];
}

// Whether a key is meant for the page, not for what has the focus: words are typed, and a button or a list that the Tab
// key led to is pressed by the keyboard. One that was clicked keeps the focus, but nobody means it any more.
export function isForPage(event) {
  const { target } = event;
  if (target.tagName === "TEXTAREA" || (target.tagName === "INPUT" && !["range", "checkbox"].includes(target.type))) return false;
  const isControl = ["BUTTON", "SELECT", "A"].includes(target.tagName);
  if (isControl && target.dataset.byKeyboard) return false;
  if (isControl) target.blur();
  return true;
}

// Remember of every control whether the keyboard led to it; `:focus-visible` turns true at the first key.
export function watchFocus() {
  let isPointer = false;
  addEventListener("pointerdown", () => (isPointer = true), true);
  addEventListener("keydown", () => (isPointer = false), true);
  addEventListener("focusin", ({ target }) => {
    if (isPointer) delete target.dataset.byKeyboard;
    else target.dataset.byKeyboard = "true";
  });
}
