// Colour scales and windows: values to pixels.

import { get } from "/static/api.js";

let tables = null;

export async function loadPalettes() {
  if (!tables) {
    const told = await get("/api/palettes");
    tables = new Map(told.names.map((name) => [name, packed(told.colours[name])]));
  }
  return [...tables.keys()];
}

function packed(colours) {
  const table = new Uint32Array(colours.length); // little-endian RGBA, as ImageData holds it
  colours.forEach(([red, green, blue], i) => (table[i] = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0));
  return table;
}

export const paletteOf = (name) => tables.get(name);

// Fill a canvas with values (pixels x pixels or rows x columns): low to high is the whole scale.
export function paint(context, values, columns, rows, window, palette) {
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const last = palette.length - 1;
  const scale = last / Math.max(window[1] - window[0], 1e-9);
  for (let i = 0; i < pixels.length; i++) {
    const level = (values[i] - window[0]) * scale;
    pixels[i] = Number.isNaN(level) ? 0 : palette[level <= 0 ? 0 : level >= last ? last : level | 0];
  }
  context.putImageData(image, 0, 0);
}

// Draw values of any size stretched over the whole canvas, smoothed.
export function paintStretched(canvas, values, columns, rows, window, palette) {
  const small = new OffscreenCanvas(columns, rows);
  paint(small.getContext("2d"), values, columns, rows, window, palette);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

// A bar of the scale, low on the left.
export function paintBar(canvas, palette) {
  const [columns, rows] = [canvas.width, canvas.height];
  const values = Float32Array.from({ length: columns * rows }, (_, i) => (i % columns) / columns);
  paint(canvas.getContext("2d"), values, columns, rows, [0, 1], palette);
}
