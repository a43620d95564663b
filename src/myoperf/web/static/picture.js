// One plane of one scan on a canvas: values, outlines of the wall, lines and marks.

import { canvasOf, placeOn } from "/static/dom.js";
import { paint, paletteOf } from "/static/colour.js";
import { add, crossings, dot } from "/static/space.js";

const OUTLINE = ["#35c4ff", "#ffb000"]; // inner and outer surface, as in the report

const MOST_CUTS = 32;

export class Picture {
  // `source()` gives {stack, plane, field, frame, window, palette, surfaces, gate, outlines, mask, lines, marks}.
  constructor(size, source, properties = {}) {
    this.size = size;
    this.source = source;
    this.canvas = canvasOf(size, size, properties);
    this.cuts = new Map(); // a cine goes through the same few again and again
  }

  // Draw; what was cut before is cut again only when plane or frame changed.
  draw() {
    const told = this.source();
    const pixels = this.canvas.width;
    const { plane, field, frame = 0 } = told;
    const key = [plane.origin, plane.right, plane.down, field, frame, told.gate].join();
    let cut = this.cuts.get(key);
    if (!cut) {
      if (this.cuts.size >= MOST_CUTS) this.cuts.clear();
      cut = { values: told.stack.cut(plane, field, pixels, frame) };
      this.cuts.set(key, cut);
    }
    this.values = cut.values;
    const context = this.canvas.getContext("2d");
    const shown = told.mask ? (cut.masked ??= masked(cut.values, told, pixels)) : cut.values;
    paint(context, shown, pixels, pixels, told.window, paletteOf(told.palette));
    if (told.outlines) {
      if (cut.surfaces !== told.surfaces) [cut.surfaces, cut.lines] = [told.surfaces, this.outlinesOf(told)];
      cut.lines?.forEach((lines, i) => this.stroke(lines, OUTLINE[i], field));
    }
    for (const line of told.lines ?? []) this.stroke([line.points], line.colour, field, line.dash);
    for (const mark of told.marks ?? []) this.mark(mark, field);
  }

  outlinesOf({ surfaces, gate = 0, plane }) {
    return surfaces ? [0, 1].map((which) => crossings(surfaces, gate, which, plane)) : [];
  }

  stroke(lines, colour, field, dash = []) {
    const context = this.canvas.getContext("2d");
    const scale = this.canvas.width / field;
    const middle = this.canvas.width / 2;
    context.save();
    context.setLineDash(dash);
    context.strokeStyle = colour;
    context.lineWidth = Math.max(1, this.canvas.width / 160);
    context.beginPath();
    for (const points of lines) {
      points.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](middle + x * scale, middle + y * scale));
    }
    context.stroke();
    context.restore();
  }

  mark({ at, colour, radius = 4 }, field) {
    const context = this.canvas.getContext("2d");
    const scale = this.canvas.width / field;
    const middle = this.canvas.width / 2;
    for (const [style, width] of [["#000000c0", 5], [colour, 2.5]]) { // dark around, so that it stands out on a bright wall
      context.strokeStyle = style;
      context.lineWidth = width;
      context.beginPath();
      context.arc(middle + at[0] * scale, middle + at[1] * scale, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  // The LPS point under a mouse event.
  pointAt(event) {
    const { plane, field } = this.source();
    const [x, y] = placeOn(this.canvas, event).map((v) => ((v - this.canvas.width / 2) * field) / this.canvas.width);
    return add(add(plane.origin, plane.right, x), plane.down, y);
  }

  valueAt(event) {
    const [x, y] = placeOn(this.canvas, event).map(Math.floor);
    return this.values?.[y * this.canvas.width + x] ?? 0;
  }
}

// Where a point lies on a plane: mm right of and below its origin, and off it.
export function onPlane(plane, point) {
  const from = add(point, plane.origin, -1);
  return [dot(from, plane.right), dot(from, plane.down), dot(from, plane.into)];
}

// Values with everything away from the ventricle black: gut and liver do not dazzle.
function masked(values, { plane, field, pose }, pixels) {
  const out = Float32Array.from(values);
  const pixel = field / pixels;
  const [start, right, down] = [add(plane.origin, pose.apex, -1), plane.right, plane.down];
  const along = [dot(start, pose.axis), dot(right, pose.axis) * pixel, dot(down, pose.axis) * pixel];
  const front = [dot(start, pose.anterior), dot(right, pose.anterior) * pixel, dot(down, pose.anterior) * pixel];
  const side = [dot(start, pose.lateral), dot(right, pose.lateral) * pixel, dot(down, pose.lateral) * pixel];
  const radius = pose.reach * pose.reach;
  for (let row = 0; row < pixels; row++) {
    for (let column = 0; column < pixels; column++) {
      const [x, y] = [column + 0.5 - pixels / 2, row + 0.5 - pixels / 2];
      const a = along[0] + x * along[1] + y * along[2];
      const f = front[0] + x * front[1] + y * front[2];
      const s = side[0] + x * side[1] + y * side[2];
      if (a < -14 || a > pose.length + 10 || f * f + s * s > radius) out[row * pixels + column] = 0;
    }
  }
  return out;
}
