// Aligned rows of slices, stress over rest: short axis, vertical and horizontal long axis, with one cursor for all.

import { element, replace } from "/static/dom.js";
import { onPlane, Picture } from "/static/picture.js";
import { planeOf, segmentAt } from "/static/space.js";

const COUNT = 10;
const VIEWS = [["sa", "Short axis", "apex → base"], ["vla", "Vertical long axis", "septal → lateral"], ["hla", "Horizontal long axis", "inferior → anterior"]];
const COORDINATE = { sa: "along", vla: "side", hla: "front" };

export function showSlices(view, body) {
  const scans = view.pair;
  const values = element("output", { class: "value", id: "value" });
  const size = Math.floor(Math.min((body.clientWidth - 92) / COUNT, (innerHeight - 150) / (3 * scans.length) - 4));
  const rows = VIEWS.map(([name, title, way]) => {
    const cells = scans.map((scan) => rowOf(view, scan, name, size, values));
    return element("section", { class: "slices", data: { view: name } },
      element("h2", {}, title, element("small", {}, ` ${way}`)),
      cells.map(({ scan, pictures }) => element("div", { class: "row" },
        element("span", { class: `row-label ${scan.state ?? ""}` }, scan.title), pictures.map((p) => p.canvas))));
  });
  const redraw = (all) => all && body.querySelectorAll("canvas").forEach((canvas) => canvas.picture?.draw());
  const controls = windowControls(view, scans, values);
  if (view.comparable.length > 2) controls.prepend(...scans.map((scan, i) => chooser(view, scans, i)));
  replace(body, controls, rows);
  view.redraws.add(redraw);
  redraw(true);
}

// Which scan stands in a row: prone, corrected for attenuation, repeated or earlier ones can be read beside the scored ones.
export function chooser(view, scans, i) {
  const change = (event) => {
    view.chosen = scans.map((scan, j) => (j === i ? event.target.value : scan.name));
    view.panel?.();
    view.showPart(view.part);
  };
  return element("select", { id: `row-${i}`, "aria-label": `Scan of row ${i + 1}`, onchange: change },
    view.comparable.map((scan) => element("option", { value: scan.name, selected: scan === scans[i] }, scan.title)));
}

function rowOf(view, scan, name, size, values) {
  const offsets = offsetsOf(scan, name);
  const pictures = offsets.map((offset, i) => {
    const plane = planeOf(scan.pose, name, offset);
    const picture = new Picture(size, () => ({
      stack: scan.heart, plane, field: view.field, window: view.windowOf(scan), palette: view.palette, surfaces: scan.surface,
      outlines: view.outlines, mask: view.mask, pose: scan.pose, lines: cursorLines(view, scan, name, offsets, i, plane),
    }), { class: "tile", tabIndex: -1 });
    picture.canvas.picture = picture;
    picture.canvas.addEventListener("click", (event) => view.setCursor(scan, picture.pointAt(event)));
    picture.canvas.addEventListener("mousemove", (event) => {
      const segment = segmentAt(scan.pose, picture.pointAt(event));
      const percent = (100 * picture.valueAt(event)) / scan.lv_maximum;
      const where = segment ? `, ${view.scene.segments[segment - 1].name} (${segment})` : "";
      values.textContent = `${scan.title}: ${percent.toFixed(0)} %${where}`;
      view.mark(segment);
    });
    picture.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [first, second] = offsets;
      view.cursor[COORDINATE[name]] += Math.sign(event.deltaY) * (second - first);
      view.redraw();
    }, { passive: false });
    return picture;
  });
  return { scan, pictures };
}

// Evenly spaced planes: the short axis from just before the apex to just past the base, the others over the width.
function offsetsOf(scan, name) {
  const half = scan.pose.length / 2;
  const wide = 0.92 * (scan.pose.reach - 14);
  const [low, high] = name === "sa" ? [-half - 5, half + 2] : [-wide, wide];
  return Array.from({ length: COUNT }, (_, i) => low + ((high - low) * i) / (COUNT - 1));
}

// The cursor on the slice that it is nearest to.
function cursorLines(view, scan, name, offsets, i, plane) {
  const at = view.cursor[COORDINATE[name]];
  const nearest = offsets.reduce((best, offset, j) => (Math.abs(offset - at) < Math.abs(offsets[best] - at) ? j : best), 0);
  if (nearest !== i) return [];
  const [x, y] = onPlane(plane, view.pointOf(scan));
  const half = view.field / 2;
  const style = { colour: "#7dff8ab0", dash: [3, 4] };
  return [{ points: [[x, -half], [x, half]], ...style }, { points: [[-half, y], [half, y]], ...style }];
}

// Lower and upper end of the scale, in percent of the ventricle's maximum, for each state.
export function windowControls(view, scans, values) {
  return element("div", { class: "windows" }, scans.map((scan) => {
    const window = view.windows[scan.name];
    const said = element("output", {}, text());
    function text() {
      return `${window[0]} to ${window[1]} %`;
    }
    const slider = (end, label) => element("input", {
      type: "range", min: "0", max: "150", step: "1", value: String(window[end]), id: `window-${scan.name}-${end}`,
      "aria-label": `${scan.title}: ${label} end of the scale`,
      oninput: (event) => {
        window[end] = Number(event.target.value);
        if (window[1] <= window[0]) window[1 - end] = end ? window[1] - 1 : window[0] + 1;
        said.textContent = text();
        view.redraw();
      },
    });
    return element("span", { class: "window" }, element("b", { class: scan.state ?? "" }, scan.title), slider(0, "lower"), slider(1, "upper"), said);
  }), values);
}
