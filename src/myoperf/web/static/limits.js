// The limits of the wall, moved by hand: how far (mm outwards) on a coarse grid of the wall, as types.WallShift has it.

import { element } from "/static/dom.js";
import { Picture } from "/static/picture.js";
import { add, dot, norm, planeOf, unit } from "/static/space.js";

const [ROWS, COLUMNS] = [12, 24];
const MOST_MM = 20;
const REACH_MM = 14; // how far from a limit it can be taken hold of
const WIDTH_MM = 16; // a drag moves its surroundings too: standard deviation of a bell
const SHOWN = [["sa", -0.28, "Short axis, apical"], ["sa", 0, "Short axis, middle"], ["sa", 0.28, "Short axis, basal"],
  ["hla", 0, "Horizontal long axis"], ["vla", 0, "Vertical long axis"]];

export const noShift = () => [new Float32Array(ROWS * COLUMNS), new Float32Array(ROWS * COLUMNS)];

// What the database holds of an analysis, or nothing -> inner and outer shift.
export const shiftOf = (stored) => stored ? [stored.inner_mm, stored.outer_mm].map((rows) => Float32Array.from(rows.flat())) : noShift();

// The same as the database holds it; null where nothing is moved.
export function storedOf(shift) {
  const [inner, outer] = shift.map((values) => Array.from({ length: ROWS }, (_, row) =>
    Array.from(values.subarray(row * COLUMNS, (row + 1) * COLUMNS), (mm) => Math.round(mm * 20) / 20)));
  return [inner, outer].flat(2).some((mm) => mm !== 0) ? { inner_mm: inner, outer_mm: outer } : null;
}

export const sumOf = (one, other) => one.map((values, which) => values.map((mm, i) => clamped(mm + other[which][i])));
export const differenceOf = (one, other) => one.map((values, which) => values.map((mm, i) => mm - other[which][i]));
export const farthest = (shift) => Math.max(...shift.map((values) => values.reduce((most, mm) => Math.max(most, Math.abs(mm)), 0)));
export const everywhere = (shift, which, mm) => shift.map((values, i) => (i === which ? values.map((v) => clamped(v + mm)) : values));
const clamped = (mm) => Math.max(-MOST_MM, Math.min(MOST_MM, mm));

// Value of a shift at a place of the wall, as WallShift.on_map interpolates it.
function valueAt(values, fraction, angle) {
  const row = Math.max(0, Math.min(ROWS - 1, fraction * ROWS - 0.5));
  const column = (((angle % 360) + 360) % 360) * (COLUMNS / 360);
  const [low, left] = [Math.min(Math.floor(row), ROWS - 2), Math.floor(column) % COLUMNS];
  const [down, right, next] = [row - low, column - Math.floor(column), (left + 1) % COLUMNS];
  const along = (at) => values[low * COLUMNS + at] * (1 - down) + values[(low + 1) * COLUMNS + at] * down;
  return along(left) * (1 - right) + along(next) * right;
}

const placeOf = ([, , rings, angles], ring, angle) => [(ring + 0.5) / rings, (angle * 360) / angles];
function pointOf({ shape: [, , rings, angles], values }, which, ring, angle) {
  const i = ((which * rings + ring) * angles + angle) * 3;
  return [values[i], values[i + 1], values[i + 2]];
}
const normalOf = (surface, ring, angle) => unit(add(pointOf(surface, 1, ring, angle), pointOf(surface, 0, ring, angle), -1));

// The surfaces of a scan after its limits were moved by a shift.
export function movedSurface(surface, shift) {
  const { shape } = surface;
  const values = Float32Array.from(surface.values);
  for (let ring = 0; ring < shape[2]; ring++) {
    for (let angle = 0; angle < shape[3]; angle++) {
      const normal = normalOf(surface, ring, angle);
      for (const which of [0, 1]) {
        const mm = valueAt(shift[which], ...placeOf(shape, ring, angle));
        const i = ((which * shape[2] + ring) * shape[3] + angle) * 3;
        normal.forEach((part, axis) => (values[i + axis] += mm * part));
      }
    }
  }
  return { shape, values };
}

// The limit nearest to a point, or null where none is near.
export function nearestLimit(surface, point) {
  let best = null;
  for (const which of [0, 1]) {
    for (let ring = 0; ring < surface.shape[2]; ring++) {
      for (let angle = 0; angle < surface.shape[3]; angle++) {
        const distance = norm(add(pointOf(surface, which, ring, angle), point, -1));
        if (!best || distance < best.distance) best = { which, ring, angle, distance };
      }
    }
  }
  return best.distance < REACH_MM ? best : null;
}

// A shift after the limit under `grip` was drawn outwards by so many mm; `both` draws the other limit along.
export function pulled(shift, surface, grip, mm, both) {
  const [, , rings, angles] = surface.shape;
  const at = pointOf(surface, grip.which, grip.ring, grip.angle);
  const bell = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => {
    const ring = Math.min(rings - 1, Math.round(((Math.floor(i / COLUMNS) + 0.5) / ROWS) * rings - 0.5));
    const angle = Math.round(((i % COLUMNS) / COLUMNS) * angles) % angles;
    return Math.exp(-0.5 * (norm(add(pointOf(surface, grip.which, ring, angle), at, -1)) / WIDTH_MM) ** 2);
  });
  const here = Math.max(0.2, valueAt(bell, ...placeOf(surface.shape, grip.ring, grip.angle)));
  return shift.map((values, which) => which === grip.which || both ? values.map((v, i) => clamped(v + (mm * bell[i]) / here)) : values);
}

// Five slices on which the limits are dragged; `edit` has {scan, shift, both}, `changed()` says that it changed.
export function limitPictures(view, edit, size, changed) {
  return SHOWN.map(([name, share, title], i) => {
    const planeNow = () => planeOf(edit.scan.pose, name, share * edit.scan.pose.length);
    const picture = new Picture(size, () => ({
      stack: edit.scan.volume, plane: planeNow(), field: view.field, window: view.windowOf(edit.scan), palette: view.palette,
      surfaces: edit.surface, outlines: true,
    }), { class: "tile handle", id: `limits-${i}` });
    let held = null;
    picture.canvas.addEventListener("pointerdown", (event) => {
      picture.canvas.setPointerCapture(event.pointerId);
      const [point, surface] = [picture.pointAt(event), edit.surface];
      const grip = nearestLimit(surface, point);
      held = grip && { ...grip, point, surface, shift: edit.shift, outwards: normalOf(surface, grip.ring, grip.angle) };
    });
    picture.canvas.addEventListener("pointermove", (event) => {
      if (!held || !event.buttons) return;
      const mm = dot(add(picture.pointAt(event), held.point, -1), held.outwards);
      edit.shift = pulled(held.shift, held.surface, held, mm, edit.both);
      changed();
    });
    picture.canvas.addEventListener("pointerup", () => (held = null));
    return { draw: () => picture.draw(), figure: element("figure", {}, element("figcaption", {}, title), picture.canvas) };
  });
}
