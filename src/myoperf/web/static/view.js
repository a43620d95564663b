// What is shown of a study's images and how: scans, windows, palette, cursor, and the parts of the page that draw them.

import { loadPalettes, paintBar, paletteOf } from "/static/colour.js";
import { canvasOf, element, notice, replace } from "/static/dom.js";
import { loadRest, loadScans } from "/static/scans.js";
import { add, dot } from "/static/space.js";

const remembered = { palette: "warm-metal", outlines: false, mask: false };

export class ImageView {
  // `parts` are pairs of a label and what shows the part, `show(view, body)`.
  constructor(parts) {
    Object.assign(this, { parts, part: 0, ...remembered });
    this.windows = {};
    this.cursor = { side: 0, front: 0, along: 0 };
    this.segment = 0;
    this.redraws = new Set();
  }

  // Load what the first picture needs; `this.rest` is done when the larger arrays are there too.
  async loadScene(scene, fetched) {
    this.scans = await loadScans(scene, fetched);
    this.rest = loadRest(this.scans, fetched);
    this.scene = scene;
    this.field = Math.min(170, Math.max(80, 2 * Math.max(...this.scans.map((s) => s.pose.reach)) + 4,
      Math.max(...this.scans.map((s) => s.pose.length)) + 24));
    for (const scan of this.scans) this.windows[scan.name] ??= [0, 100];
  }

  // Window of a scan in counts; gates have a maximum of their own.
  windowOf(scan, maximum = scan.lv_maximum) {
    return this.windows[scan.name].map((percent) => (percent * maximum) / 100);
  }

  // The two scans that are read against each other (the scored ones unless others are chosen), or those that there are.
  get pair() {
    if (this.chosen) return this.chosen.map((name) => this.comparable.find((scan) => scan.name === name)).filter(Boolean);
    const scored = ["stress", "rest"].map((state) => this.scans.find((s) => s.name === this.scene.scored[state])).filter(Boolean);
    return scored.length ? scored : this.scans;
  }

  // The scans of the study and, where one is chosen, of an earlier one.
  get comparable() {
    return [...this.scans, ...(this.prior?.scans ?? [])];
  }

  // --- the cursor: mm from the ventricle's middle, the same place in every scan ------------------

  pointOf(scan) {
    const { centre, lateral, anterior, axis } = scan.pose;
    const { side, front, along } = this.cursor;
    return add(add(add(centre, lateral, side), anterior, front), axis, along);
  }

  setCursor(scan, point) {
    const from = add(point, scan.pose.centre, -1);
    const { lateral, anterior, axis } = scan.pose;
    this.cursor = { side: dot(from, lateral), front: dot(from, anterior), along: dot(from, axis) };
    this.redraw();
  }

  mark(segment) {
    if (segment !== this.segment) {
      this.segment = segment;
      this.redraw("marks");
    }
  }

  redraw(what = "all") {
    this.wanted = this.wanted === "all" ? "all" : what;
    this.pending ??= requestAnimationFrame(() => {
      const all = this.wanted === "all";
      this.pending = this.wanted = null;
      for (const redraw of this.redraws) redraw(all);
    });
  }

  // --- the page ---------------------------------------------------------------------------------

  partButtons() {
    return element("nav", {}, this.parts.map(([label], i) =>
      element("button", { id: `part-${label.toLowerCase()}`, "aria-pressed": String(i === this.part), onclick: () => this.showPart(i) }, label)));
  }

  displayControls() {
    const set = (name) => (event) => {
      this[name] = remembered[name] = event.target.type === "checkbox" ? event.target.checked : event.target.value;
      if (name === "palette") paintBar(this.bar, paletteOf(this.palette));
      this.redraw();
    };
    const select = element("select", { id: "palette", title: "Palette (P)", onchange: set("palette") });
    loadPalettes().then((names) => {
      replace(select, names.map((name) => element("option", { value: name, selected: name === this.palette }, name)));
    });
    this.bar = canvasOf(90, 12, { class: "bar" });
    paintBar(this.bar, paletteOf(this.palette));
    const check = (name, label, title) => element("label", { title },
      element("input", { type: "checkbox", id: name, checked: this[name], onchange: set(name) }), label);
    return element("div", { class: "display" }, this.bar, select, check("outlines", "Outlines", "C"), check("mask", "Mask", "M"));
  }

  showPart(i) {
    this.leavePart?.();
    this.redraws.clear();
    this.part = i;
    this.panelRedraw && this.redraws.add(this.panelRedraw);
    for (const [at, button] of [...this.head.querySelectorAll("nav button")].entries()) {
      button.setAttribute("aria-pressed", String(at === i));
    }
    this.leavePart = null;
    if (i === 0) this.leavePart = this.parts[i][1](this, this.body) ?? null;
    else this.rest.then(() => this.part === i && (this.leavePart = this.parts[i][1](this, this.body) ?? null), (error) => notice(error.message, true));
    this.redraw();
  }

  // Whether a key belongs to what has the focus; a slider and a checkbox that were just used take few keys.
  isTyping({ key, target, ctrlKey, metaKey, altKey }) {
    const isControl = ["range", "checkbox"].includes(target.type);
    const takesKey = isControl ? /^(Arrow|Home|End| )/.test(key) : ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
    return takesKey || ctrlKey || metaKey || altKey;
  }

  // Do what a key stands for in every view; return whether it stands for something.
  press(event) {
    const step = { ArrowLeft: ["along", -4], ArrowRight: ["along", 4], ArrowUp: ["front", 4], ArrowDown: ["front", -4] }[event.key];
    const number = Number(event.key);
    if (step) {
      this.cursor[step[0]] += step[1];
      this.redraw();
    } else if (number >= 1 && number <= this.parts.length) this.showPart(number - 1);
    else if (event.key === "c" || event.key === "m") this.head.querySelector(event.key === "c" ? "#outlines" : "#mask").click();
    else if (event.key === "p" || event.key === "P") this.nextPalette(event.shiftKey ? -1 : 1);
    else return false;
    event.preventDefault();
    return true;
  }

  nextPalette(step) {
    const select = this.head.querySelector("#palette");
    select.selectedIndex = (select.selectedIndex + step + select.length) % select.length;
    select.dispatchEvent(new Event("change"));
  }
}
