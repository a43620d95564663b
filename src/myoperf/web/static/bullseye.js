// A bull's eye: apex in the middle, anterior on top, septum on the left; values on hover, a segment on a click.

import { canvasOf, element, placeOn } from "/static/dom.js";
import { paint, paletteOf } from "/static/colour.js";
import { segmentOf } from "/static/space.js";

const EDGES = [0.16, 0.45, 0.72, 1];

export class BullsEye {
  // `source()` gives {title, map: {shape, values} | null, segments: 17 numbers | null, window, palette, labels, unit,
  // marked: number of a segment}; `on.hover(text)`, `on.click(segment)`.
  constructor(size, source, on = {}) {
    this.source = source;
    this.canvas = canvasOf(size, size, { role: "img" });
    this.title = element("figcaption");
    this.figure = element("figure", { class: "bulls-eye" }, this.title, this.canvas);
    this.canvas.addEventListener("mousemove", (event) => {
      const place = this.placeOf(event);
      on.hover?.(place ? this.textAt(place) : "", place ? segmentOf(...place) : 0);
    });
    this.canvas.addEventListener("mouseleave", () => on.hover?.("", 0));
    this.canvas.addEventListener("click", (event) => {
      const place = this.placeOf(event);
      if (place) on.click?.(segmentOf(...place), event);
    });
  }

  draw() {
    const told = this.source();
    this.title.textContent = told.title;
    this.canvas.setAttribute("aria-label", told.title);
    const size = this.canvas.width;
    const values = new Float32Array(size * size).fill(NaN);
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const place = this.placeAt(column + 0.5, row + 0.5);
        if (place) values[row * size + column] = this.valueOf(told, place);
      }
    }
    paint(this.canvas.getContext("2d"), values, size, size, told.window, paletteOf(told.palette));
    this.drawBorders(told.marked);
    if (told.labels) this.drawLabels(told.labels);
  }

  valueOf({ map, segments }, [fraction, angle]) {
    if (!map) return segments ? segments[segmentOf(fraction, angle) - 1] : NaN;
    const [rings, angles] = map.shape;
    const ring = Math.min(rings - 1, Math.floor(fraction * rings));
    return map.values[ring * angles + (Math.round((angle / 360) * angles) % angles)];
  }

  textAt(place) {
    const told = this.source();
    const value = this.valueOf(told, place);
    const number = segmentOf(...place);
    return `${told.names?.[number - 1] ?? ""} (${number}): ${Number.isFinite(value) ? value.toFixed(told.digits ?? 0) : "–"} ${told.unit ?? ""}`;
  }

  placeOf(event) {
    return this.placeAt(...placeOn(this.canvas, event));
  }

  // Share of the way from apex to base and angle (0 anterior, 90 septal) of a pixel; null outside the disc.
  placeAt(x, y) {
    const radius = this.canvas.width / 2;
    const [right, up] = [(x - radius) / (0.96 * radius), (radius - y) / (0.96 * radius)];
    const fraction = Math.hypot(right, up);
    return fraction < 1 ? [fraction, ((Math.atan2(-right, up) * 180) / Math.PI + 360) % 360] : null;
  }

  drawBorders(marked) {
    const context = this.canvas.getContext("2d");
    context.lineWidth = Math.max(1, this.canvas.width / 220);
    context.strokeStyle = "#ffffff70";
    const cuts = { 1: [45, 135, 225, 315], 2: [30, 90, 150, 210, 270, 330], 3: [30, 90, 150, 210, 270, 330] };
    EDGES.forEach((edge, level) => {
      this.arc(edge, 0, 360);
      for (const angle of cuts[level] ?? []) this.ray(EDGES[level - 1], edge, angle);
    });
    if (marked) {
      const [low, high, start, end] = sectorOf(marked);
      context.strokeStyle = "#ffffff";
      context.lineWidth *= 2.5;
      this.arc(high, start, end);
      if (low > 0) this.arc(low, start, end);
      if (end - start < 360) [start, end].forEach((angle) => this.ray(low, high, angle));
    }
  }

  drawLabels(labels) {
    const context = this.canvas.getContext("2d");
    const size = this.canvas.width;
    context.font = `600 ${Math.round(size / 15)}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = size / 90;
    context.strokeStyle = "#000000b0";
    context.fillStyle = "#ffffff";
    labels.forEach((label, i) => {
      const [low, high, start, end] = sectorOf(i + 1);
      const radius = i === 16 ? 0 : (low + high) / 2;
      const [x, y] = this.pixelOf(radius, (start + end) / 2);
      context.strokeText(label, x, y);
      context.fillText(label, x, y);
    });
  }

  pixelOf(fraction, angle) {
    const radius = this.canvas.width / 2;
    const turn = (angle * Math.PI) / 180;
    return [radius - 0.96 * radius * fraction * Math.sin(turn), radius - 0.96 * radius * fraction * Math.cos(turn)];
  }

  arc(fraction, start, end) {
    const context = this.canvas.getContext("2d");
    context.beginPath();
    for (let angle = start; angle <= end; angle += 3) context.lineTo(...this.pixelOf(fraction, angle));
    context.stroke();
  }

  ray(low, high, angle) {
    const context = this.canvas.getContext("2d");
    context.beginPath();
    context.moveTo(...this.pixelOf(low, angle));
    context.lineTo(...this.pixelOf(high, angle));
    context.stroke();
  }
}

// Inner and outer edge, first and last angle of a segment.
function sectorOf(segment) {
  if (segment === 17) return [0, EDGES[0], 0, 360];
  const [level, width, first] = segment > 12 ? [1, 90, 13] : segment > 6 ? [2, 60, 7] : [3, 60, 1];
  const middle = (segment - first) * width;
  return [EDGES[level - 1], EDGES[level], middle - width / 2, middle + width / 2];
}

// Means of a polar map over the 17 segments.
export function segmentMeans({ shape: [rings, angles], values }) {
  const [sums, counts] = [new Array(17).fill(0), new Array(17).fill(0)];
  for (let ring = 0; ring < rings; ring++) {
    for (let angle = 0; angle < angles; angle++) {
      const segment = segmentOf((ring + 0.5) / rings, (angle * 360) / angles) - 1;
      sums[segment] += values[ring * angles + angle];
      counts[segment] += 1;
    }
  }
  return sums.map((sum, i) => sum / Math.max(1, counts[i]));
}

export const middleOf = (segment) => {
  const [low, high, start, end] = sectorOf(segment);
  return [segment === 17 ? 0.02 : (low + high) / 2, ((start + end) / 2 + 360) % 360];
};
