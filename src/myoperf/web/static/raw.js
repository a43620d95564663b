// Raw views as the camera took them, rotating, with lines to see motion against, sinogram and linogram.

import { canvasOf, element, isForPage, placeOn, replace } from "/static/dom.js";
import { paintStretched, paletteOf } from "/static/colour.js";
import { windowControls } from "/static/slices.js";

export function showRaw(view, body) {
  const scans = view.scans.filter((scan) => scan.rawViews);
  if (!scans.length) {
    replace(body, element("p", { class: "hint" }, "No scan of this study came as raw views."));
    return null;
  }
  const play = { on: true, at: 0, rate: 10, last: 0 };
  const size = Math.floor(Math.min((body.clientWidth - 40) / scans.length, innerHeight - 430));
  const columns = scans.map((scan) => columnOf(view, scan, play, size));
  const button = element("button", { id: "play", title: "Space", onclick: toggle }, "Pause");
  const rate = element("input", { type: "range", min: "2", max: "30", value: "10", "aria-label": "Views a second", oninput: (e) => (play.rate = Number(e.target.value)) });
  replace(body, windowControls(view, scans, null), element("div", { class: "windows" }, button, rate,
    element("span", { class: "hint" }, "Space: pause; , and . : one view. The heart must stay between the lines; drag them.")),
    element("div", { class: "row" }, columns.map((column) => column.element)));
  const draw = () => columns.forEach((column) => column.draw());
  const redraw = (all) => all && draw();
  view.redraws.add(redraw);

  function toggle() {
    play.on = !play.on;
    button.textContent = play.on ? "Pause" : "Play";
  }

  function keys(event) {
    if (![" ", ",", "."].includes(event.key) || !isForPage(event)) return;
    event.preventDefault();
    if (event.key === " ") toggle();
    else {
      play.at += event.key === "." ? 1 : -1;
      draw();
    }
  }

  const step = (time) => {
    play.request = requestAnimationFrame(step);
    if (play.on && time - play.last >= 1000 / play.rate - 2) {
      play.last = time;
      play.at += 1;
      draw();
    }
  };
  addEventListener("keydown", keys);
  play.request = requestAnimationFrame(step);
  return () => {
    cancelAnimationFrame(play.request);
    removeEventListener("keydown", keys);
  };
}

function columnOf(view, scan, play, size) {
  const { shape: [views, rows, columns], values, angles_deg: angles, step, heart } = scan.rawViews;
  const lines = heart ? [...heart] : [0.3, 0.55]; // of the height
  const [picture, sinogram, linogram] = [canvasOf(size, Math.round((size * rows) / columns)), canvasOf(size, 110), canvasOf(size, 110)];
  const caption = element("figcaption");
  const limits = [0, highest(values)];
  picture.addEventListener("pointerdown", (event) => picture.setPointerCapture(event.pointerId));
  picture.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    const height = placeOn(picture, event)[1] / picture.height;
    lines[Math.abs(height - lines[0]) < Math.abs(height - lines[1]) ? 0 : 1] = Math.min(0.99, Math.max(0.01, height));
    draw();
  });

  function draw() {
    const at = ((play.at % views) + views) % views;
    const palette = paletteOf(view.palette);
    const scale = view.windows[scan.name].map((percent) => (percent / 100) * limits[1]);
    const first = at * rows * columns;
    paintStretched(picture, values.subarray(first, first + rows * columns), columns, rows, scale, palette);
    const context = picture.getContext("2d");
    context.fillStyle = "#7dff8a";
    for (const height of lines) context.fillRect(0, height * picture.height, picture.width, 1.5);
    caption.textContent = `${scan.title}: view ${at + 1} of ${views}, ${angles[at].toFixed(0)}°, ${Math.round(limits[1] * step)} counts at most`;
    const row = Math.floor(((lines[0] + lines[1]) / 2) * rows);
    drawLine(sinogram, sinogramOf(row), columns, at, palette);
    drawLine(linogram, linogramOf(), rows, at, palette);
  }

  // Counts of one row in every view.
  function sinogramOf(row) {
    return Float32Array.from({ length: views * columns }, (_, i) =>
      values[Math.floor(i / columns) * rows * columns + row * columns + (i % columns)]);
  }

  let sums = null;
  // Counts of every row in every view, summed over the columns: a patient who moves along the body bends its lines.
  function linogramOf() {
    sums ??= Float32Array.from({ length: views * rows }, (_, i) => {
      const start = i * columns;
      let sum = 0;
      for (let column = 0; column < columns; column++) sum += values[start + column];
      return sum;
    });
    return sums;
  }

  function drawLine(canvas, numbers, width, at, palette) {
    const turned = new Float32Array(numbers.length); // views run to the right
    for (let i = 0; i < views; i++) for (let j = 0; j < width; j++) turned[j * views + i] = numbers[i * width + j];
    paintStretched(canvas, turned, views, width, [0, numbers.reduce((a, b) => Math.max(a, b), 1e-9)], palette);
    canvas.getContext("2d").fillStyle = "#7dff8a";
    canvas.getContext("2d").fillRect(((at + 0.5) / views) * canvas.width, 0, 1.5, canvas.height);
  }

  return {
    draw,
    element: element("div", { class: "column" }, element("figure", {}, caption, picture),
      element("figure", {}, element("figcaption", { title: "Of the row in the middle between the lines" }, "Sinogram"), sinogram),
      element("figure", {}, element("figcaption", {}, "Linogram"), linogram)),
  };
}

const highest = (values) => values.reduce((a, b) => Math.max(a, b), 1);
