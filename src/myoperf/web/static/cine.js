// Gated slices in motion, with the surfaces of the wall in every gate and the volume curve.

import { canvasOf, element, isForPage, replace } from "/static/dom.js";
import { Picture } from "/static/picture.js";
import { chooser, windowControls } from "/static/slices.js";
import { planeOf } from "/static/space.js";

const SHOWN = [["sa", -0.28, "apical"], ["sa", 0, "mid"], ["sa", 0.28, "basal"], ["hla", 0, "HLA"], ["vla", 0, "VLA"]];

export function showCine(view, body) {
  const isChosen = view.comparable.length > 2; // of many scans two are read against each other, as in the slices
  const pair = isChosen ? view.pair : view.scans;
  const choosers = isChosen ? pair.map((_, i) => chooser(view, pair, i)) : [];
  const scans = pair.filter((scan) => scan.gatedStack);
  const gates = Math.max(...scans.map((scan) => scan.gates));
  if (!scans.length) {
    replace(body, element("div", { class: "windows" }, choosers), element("p", { class: "hint" }, isChosen ? "Neither of these scans is gated." : "No scan of this study is gated."));
    return null;
  }
  const play = { on: true, gate: 0, rate: 16, last: 0, drawn: 0, times: [], since: performance.now() };
  const size = Math.floor(Math.min((body.clientWidth - 46) / SHOWN.length, (innerHeight - 280) / scans.length - 24));
  const speed = element("output", {}, "");
  const rows = scans.map((scan) => rowOf(view, scan, play, gates, size));
  const button = element("button", { id: "play", title: "Space", onclick: toggle }, "Pause");
  const rate = element("input", {
    type: "range", min: "2", max: "30", value: String(play.rate), id: "rate", "aria-label": "Gates a second",
    oninput: (event) => (play.rate = Number(event.target.value)),
  });

  function toggle() {
    play.on = !play.on;
    button.textContent = play.on ? "Pause" : "Play";
  }

  function draw() {
    const start = performance.now();
    for (const row of rows) row.draw();
    play.times.push(performance.now() - start);
    play.drawn += 1;
  }

  function step(time) {
    play.request = requestAnimationFrame(step);
    if (play.on && time - play.last >= 1000 / play.rate - 2) {
      play.last = time;
      play.gate += 1;
      draw();
    }
    if (time - play.since > 1000) {
      speed.textContent = `${play.rate} gates/s set, ${Math.round((1000 * play.drawn) / (time - play.since))} shown`;
      speed.dataset.shown = String((1000 * play.drawn) / (time - play.since));
      speed.dataset.drawMs = String(play.times.sort((a, b) => a - b)[play.times.length >> 1] ?? "");
      [play.since, play.drawn, play.times] = [time, 0, []];
    }
  }

  function keys(event) {
    if (![" ", ",", "."].includes(event.key) || !isForPage(event)) return;
    event.preventDefault();
    if (event.key === " ") toggle();
    else {
      play.gate += event.key === "." ? 1 : -1;
      draw();
    }
  }

  const controls = windowControls(view, scans, null);
  controls.prepend(...choosers);
  replace(body, controls,
    element("div", { class: "windows" }, button, rate, speed, element("span", { class: "hint" }, "Space: pause; , and . : one gate")),
    rows.map((row) => row.element), element("div", { class: "row cine" }, rows.map((row) => row.curve)));
  const redraw = (all) => all && draw();
  view.redraws.add(redraw);
  addEventListener("keydown", keys);
  play.request = requestAnimationFrame(step);
  return () => {
    cancelAnimationFrame(play.request);
    removeEventListener("keydown", keys);
  };
}

// `most` is the number of gates of the scan with most: scans of fewer gates beat as fast.
function rowOf(view, scan, play, most, size) {
  const gateOf = () => Math.floor(((((play.gate % most) + most) % most) * scan.gates) / most);
  const pictures = SHOWN.map(([name, share]) => {
    const plane = planeOf(scan.pose, name, share * scan.pose.length);
    return new Picture(size, () => ({
      stack: scan.gatedStack, plane, field: view.field, frame: gateOf(), gate: scan.gatedSurface ? gateOf() : 0,
      window: view.windowOf(scan, scan.gated_maximum), palette: view.palette, surfaces: scan.gatedSurface ?? scan.surface,
      outlines: view.outlines, mask: view.mask, pose: scan.pose,
    }), { class: "tile", data: { cine: scan.name } });
  });
  const curve = canvasOf(260, 110);
  const figures = pictures.map((picture, i) =>
    element("figure", {}, element("figcaption", {}, `${scan.title} ${SHOWN[i][2]}`), picture.canvas));
  return {
    element: element("div", { class: "row cine" }, figures),
    curve: element("figure", {}, element("figcaption", {}, `${scan.title}: volume, ml`), curve),
    draw() {
      for (const picture of pictures) picture.draw();
      drawCurve(curve, scan, gateOf());
    },
  };
}

function drawCurve(canvas, scan, gate) {
  const context = canvas.getContext("2d");
  const [width, height] = [canvas.width, canvas.height];
  context.clearRect(0, 0, width, height);
  if (!scan.volumes_ml) return;
  const most = Math.max(...scan.volumes_ml, ...(scan.curve?.ml ?? [])) * 1.08;
  const x = (share) => 30 + share * (width - 40);
  const y = (ml) => height - 16 - (ml / most) * (height - 26);
  context.strokeStyle = context.fillStyle = "#8b95a5";
  context.font = `${Math.round(11 * (window.devicePixelRatio || 1))}px system-ui`;
  for (let ml = 0; ml < most; ml += most > 160 ? 50 : 25) {
    context.fillText(String(ml), 2, y(ml) + 4);
    context.fillRect(26, y(ml), 3, 1);
  }
  context.strokeStyle = "#e6e9ee";
  context.beginPath();
  scan.curve?.time.forEach((share, i) => context.lineTo(x(share), y(scan.curve.ml[i])));
  context.stroke();
  scan.volumes_ml.forEach((ml, i) => {
    context.fillStyle = i === gate ? "#7dff8a" : "#ffb454";
    context.beginPath();
    context.arc(x((i + 0.5) / scan.gates), y(ml), i === gate ? 5 : 3, 0, 2 * Math.PI);
    context.fill();
  });
}
