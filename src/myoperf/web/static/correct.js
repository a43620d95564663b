// Correction of the pose (apex, base, anterior direction) and of the wall's limits, by dragging; then measured again.

import { element, replace } from "/static/dom.js";
import { differenceOf, everywhere, farthest, limitPictures, movedSurface, noShift, shiftOf, storedOf, sumOf } from "/static/limits.js";
import { onPlane, Picture } from "/static/picture.js";
import { add, BODY, dot, planeOf, poseOf, unit } from "/static/space.js";

const FIELD_MM = 190;
const HANDLES = { apex: "#ff3b5c", base: "#4dd2ff", anterior: "#ffd54d" };
const HINTS = {
  pose: "Drag the red apex or the blue base, and with them the axis; on the short axis the yellow anterior mark (roll) or the middle.",
  wall: "Drag the blue inner or the orange outer limit; its surroundings follow. The pose stays.",
};

export function showCorrection(view, body) {
  const edit = { mode: view.correctedMode ?? "pose", also: false, both: false };
  const size = Math.floor(Math.min((body.clientWidth - 30) / 3, (innerHeight - 130) / 2));
  const ofPose = ["sa", "hla", "vla", "transaxial", "coronal"].map((name) => pictureOf(view, edit, name, size, changed));
  const pictures = { pose: ofPose, wall: limitPictures(view, edit, size, limitsChanged) };
  const said = element("output", { class: "value", id: "pose" });
  const hint = element("p");
  const place = element("div", { class: "correct" });
  const aside = element("div", { class: "aside" }, said, outcome(view), hint);
  const apply = element("button", { id: "apply", class: "main", onclick: send }, "Measure");
  const choose = element("select", { id: "scan", onchange: (event) => start(event.target.value) },
    view.scans.map((scan) => element("option", { value: scan.name }, scan.title)));
  const check = (name, label) => element("label", {}, element("input", {
    type: "checkbox", id: name, title: name === "both" ? "Move both limits together" : "Move the other scan alike", onchange: (event) => (edit[name] = event.target.checked) }), label);
  const slider = (id, title, most, moved) => element("input", {
    type: "range", id, min: String(-most), max: String(most), step: "1", value: "0", "aria-label": title,
    oninput: (event) => moved(Number(event.target.value)) });
  const valve = slider("valve", "Valve plane along the axis, mm", 30, moveValve);
  const allRound = [0, 1].map((which) => slider(["inner", "outer"][which], `${["Inner", "Outer"][which]} limit all round, mm`, 10, (mm) => moveAllRound(which, mm)));
  const modes = ["pose", "wall"].map((mode) => element("button", { id: `mode-${mode}`, onclick: () => show(mode) }, mode === "pose" ? "Pose" : "Wall limits"));
  const controls = {
    pose: [element("span", {}, "Valve plane "), valve],
    wall: [element("span", {}, "Inner "), allRound[0], element("span", {}, "Outer "), allRound[1], check("both", "both"),
      element("button", { id: "machine-limits", onclick: asMeasured }, "Machine's limits")],
  };
  const bar = element("div", { class: "windows" });

  function show(mode) {
    edit.mode = view.correctedMode = mode;
    modes.forEach((button) => button.setAttribute("aria-pressed", String(button.id === `mode-${mode}`)));
    replace(bar, choose, element("nav", {}, modes), controls[mode], view.scans.length > 1 ? also : null,
      element("button", { onclick: () => start(edit.scan.name) }, "Reset"), apply);
    replace(place, pictures[mode].map((picture) => picture.figure), aside);
    hint.textContent = HINTS[mode];
    draw();
  }

  function start(name) {
    edit.scan = view.scans.find((scan) => scan.name === name);
    edit.pose = edit.shown = edit.scan.pose;
    edit.surface = edit.scan.surface;
    edit.before = limitsOf(view, name); // the surfaces are those with these limits
    edit.shift = edit.dragged = edit.before;
    edit.round = [0, 0];
    for (const input of [valve, ...allRound]) input.value = "0";
    choose.value = name;
    show(edit.mode);
  }

  function changed(settled) {
    if (settled) edit.shown = edit.pose;
    draw();
  }

  function limitsChanged() {
    edit.surface = movedSurface(edit.scan.surface, differenceOf(edit.shift, edit.before));
    draw();
  }

  function moveValve(mm) {
    const { apex, axis, length: before } = edit.scan.pose;
    const frame = { apex_mm: apex, base_mm: add(apex, axis, before + mm), anterior: edit.scan.pose.anterior };
    edit.pose = { ...edit.scan.pose, ...poseOf(frame) };
    draw();
  }

  function moveAllRound(which, mm) {
    edit.shift = everywhere(edit.shift, which, mm - edit.round[which]);
    edit.round[which] = mm;
    limitsChanged();
  }

  function asMeasured() {
    edit.shift = noShift();
    limitsChanged();
  }

  function draw() {
    for (const picture of pictures[edit.mode]) picture.draw();
    const [before, now] = [edit.scan.pose, edit.pose];
    const turn = (Math.acos(Math.min(1, dot(before.axis, now.axis))) * 180) / Math.PI;
    const limits = farthest(edit.shift);
    said.textContent = edit.mode === "pose" ? `axis ${now.length.toFixed(0)} mm (${signed(now.length - before.length)}), turned by ${turn.toFixed(0)}°`
      : limits ? `limits moved by up to ${limits.toFixed(1)} mm` : "limits as the machine has them";
    apply.disabled = view.isSigned || view.isBusy;
  }

  async function send() {
    const [name, change] = [edit.scan.name, differenceOf(edit.shift, edit.before)];
    const others = edit.also ? view.scans.filter((scan) => scan !== edit.scan) : [];
    const [poses, limits] = [{}, {}];
    if (farthest(change) > 0) {
      limits[name] = storedOf(edit.shift);
      for (const other of others) limits[other.name] = storedOf(sumOf(limitsOf(view, other.name), change));
    }
    if (edit.pose !== edit.scan.pose || farthest(change) === 0) {
      poses[name] = frameOf(edit.pose);
      for (const other of others) poses[other.name] = movedAlike(edit.scan.pose, edit.pose, other.pose);
    }
    view.awaited = { started: performance.now(), before: view.number, numbers: headline(view) };
    if (await view.change("correction", { poses, limits })) view.watch();
  }

  const also = check("also", "other scan too");
  replace(body, bar, place);
  const redraw = (all) => all && draw();
  view.redraws.add(redraw);
  start(view.correctedScan ?? view.scans[0].name);
  return () => (view.correctedScan = edit.scan.name);
}

// The limits that a reader gave a scan in the analysis that is shown.
function limitsOf(view, name) {
  const { correction } = view.told.analyses.find((one) => one.number === view.number);
  return shiftOf(correction?.[name]?.limits);
}

// What the last correction changed.
function outcome(view) {
  if (!view.awaited || view.awaited.before === view.number) return null;
  const [before, after] = [view.awaited.numbers, headline(view)];
  view.awaited.seconds ??= (performance.now() - view.awaited.started) / 1000;
  const row = (name) => element("tr", { class: before[name] === after[name] ? "" : "changed" },
    [name, before[name] ?? "–", "→", after[name] ?? "–"].map((text, i) => element(i ? "td" : "th", {}, text)));
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return element("section", { id: "outcome" }, element("h2", {}, `Measured in ${view.awaited.seconds.toFixed(1)} s`),
    element("table", { class: "numbers" }, element("tbody", {}, names.map(row))));
}

function headline(view) {
  const wanted = { "Total perfusion deficit (TPD)": "TPD, %", "Summed score (SSS, SRS, SDS)": "Summed score" };
  const out = {};
  for (const row of view.scene.numbers) {
    for (const [column, entry] of Object.entries(wanted[row.label] ? row.values : {})) {
      if (entry.value !== null) out[`${wanted[row.label]} ${column || "difference"}`] = entry.value.toFixed(row.digits);
    }
  }
  return out;
}

const signed = (mm) => `${mm < 0 ? "−" : "+"}${Math.abs(mm).toFixed(0)}`;
const frameOf = (pose) => ({ apex_mm: pose.apex, base_mm: pose.base, anterior: pose.anterior });

// Move another scan's pose as this one was moved, seen from the ventricle.
function movedAlike(before, after, other) {
  const inside = (point) => {
    const from = add(point, before.centre, -1);
    return [dot(from, before.lateral), dot(from, before.anterior), dot(from, before.axis)];
  };
  const stretch = other.length / before.length;
  const outside = ([side, front, along]) =>
    add(add(add(other.centre, other.lateral, side), other.anterior, front), other.axis, along * stretch);
  const tip = add(after.centre, after.anterior, 10);
  const middle = outside(inside(after.centre));
  return { apex_mm: outside(inside(after.apex)), base_mm: outside(inside(after.base)), anterior: unit(add(outside(inside(tip)), middle, -1)) };
}

function pictureOf(view, edit, name, size, changed) {
  const planeNow = () => {
    const pose = edit.shown;
    if (BODY[name]) return { ...BODY[name], origin: pose.centre };
    return planeOf(pose, name, 0);
  };
  const handlesNow = () => {
    const { pose } = edit;
    if (name === "sa") return { middle: pose.centre, anterior: add(pose.centre, pose.anterior, 45) };
    return { apex: pose.apex, base: pose.base };
  };
  const picture = new Picture(size, () => {
    const plane = planeNow();
    const marks = Object.entries(handlesNow()).map(([what, point]) => ({ at: onPlane(plane, point), colour: HANDLES[what] ?? "#7dff8a", radius: 6 }));
    return {
      stack: edit.scan.volume, plane, field: FIELD_MM, window: view.windowOf(edit.scan), palette: view.palette,
      surfaces: edit.scan.surface, outlines: view.outlines, lines: poseLines(edit.pose, name, plane), marks,
    };
  }, { class: "tile handle", id: `correct-${name}` });
  let held = null;
  picture.canvas.addEventListener("pointerdown", (event) => {
    picture.canvas.setPointerCapture(event.pointerId);
    held = nearest(handlesNow(), planeNow(), picture.pointAt(event));
  });
  picture.canvas.addEventListener("pointermove", (event) => {
    if (!held || !event.buttons) return;
    edit.pose = { ...edit.pose, ...dragged(edit.pose, held, picture.pointAt(event), planeNow()) };
    changed(false);
  });
  picture.canvas.addEventListener("pointerup", () => {
    held = null;
    changed(true);
  });
  const titles = { sa: "Short axis, middle", hla: "Horizontal long axis", vla: "Vertical long axis", transaxial: "Transaxial", coronal: "Coronal" };
  return { draw: () => picture.draw(), figure: element("figure", {}, element("figcaption", {}, titles[name]), picture.canvas) };
}

function nearest(handles, plane, point) {
  const at = onPlane(plane, point);
  const distance = ([, place]) => Math.hypot(...onPlane(plane, place).slice(0, 2).map((v, i) => v - at[i]));
  const [what, place] = Object.entries(handles).sort((a, b) => distance(a) - distance(b))[0];
  return distance([what, place]) < 25 ? what : null;
}

// The pose after a handle was dragged to a point of a plane; what lies across the plane stays.
function dragged(pose, what, point, plane) {
  const frame = { apex_mm: pose.apex, base_mm: pose.base, anterior: pose.anterior };
  const inPlane = (place) => add(point, plane.into, dot(add(place, point, -1), plane.into));
  if (what === "apex") frame.apex_mm = inPlane(pose.apex);
  else if (what === "base") frame.base_mm = inPlane(pose.base);
  else if (what === "anterior") frame.anterior = add(point, pose.centre, -1);
  else {
    const shift = add(inPlane(pose.centre), pose.centre, -1);
    frame.apex_mm = add(pose.apex, shift);
    frame.base_mm = add(pose.base, shift);
  }
  const made = poseOf(frame);
  return made.length > 20 && Number.isFinite(made.anterior[0]) ? made : {};
}

// Long axis and valve plane, as they are on a plane.
function poseLines(pose, name, plane) {
  const flat = (point) => onPlane(plane, point).slice(0, 2);
  if (name === "sa") return [{ points: [flat(pose.centre), flat(add(pose.centre, pose.anterior, 45))], colour: HANDLES.anterior }];
  const across = name === "hla" ? pose.lateral : name === "vla" ? pose.anterior : null;
  const axis = { points: [flat(pose.apex), flat(pose.base)], colour: "#7dff8a" };
  if (!across) return [axis];
  const valve = [add(pose.base, across, -38), add(pose.base, across, 38)].map(flat);
  return [axis, { points: valve, colour: HANDLES.base, dash: [5, 4] }];
}
