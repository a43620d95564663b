// Reader studies: the list, a new one, and reading the next case blind.

import { BullsEye } from "/static/bullseye.js";
import { get, getArray, post } from "/static/api.js";
import { showCine } from "/static/cine.js";
import { element, localDay, notice, replace } from "/static/dom.js";
import { ofUptake } from "/static/prior.js";
import { showRaw } from "/static/raw.js";
import { showSlices } from "/static/slices.js";
import { ImageView } from "/static/view.js";

const VESSELS = ["LAD", "LCX", "RCA"];
const SURE = [["definitely not", 0], ["probably not", 0.2], ["possibly not", 0.4], ["possibly", 0.6], ["probably", 0.8], ["definitely", 1]];
const TABLES = [["readings.csv", "My readings"], ["predictions.csv", "All readers"], ["times.csv", "Times"]];

export async function showTrials(room) {
  const found = await get("/api/trials");
  const name = element("input", { id: "trial-name", placeholder: "Name", maxLength: 100 });
  const cases = element("textarea", { id: "trial-cases", rows: 8, placeholder: "One case a line: study number, then LAD, LCX, RCA by angiography (0 or 1) where known\n12, 1, 0, 0\n15" });
  const make = async () => {
    try {
      const { trial } = await post("/api/trials", { name: name.value, cases: casesOf(cases.value) });
      location.hash = `#/trial/${trial}`;
    } catch (error) {
      notice(error.message, true);
    }
  };
  replace(room,
    element("header", {}, element("a", { href: "#/", class: "button" }, "‹ Worklist"), element("h1", {}, "Reader studies")),
    element("table", { class: "worklist" },
      element("thead", {}, element("tr", {}, ["Name", "Made", "You have read", "", "Tables"].map((text) => element("th", { class: "plain" }, text)))),
      element("tbody", {}, found.map((one) => element("tr", { data: { trial: one.id } },
        element("td", {}, one.name), element("td", {}, localDay(one.made_at)), element("td", {}, `${one.done} of ${one.of}`),
        element("td", {}, one.done < one.of ? element("a", { class: "button", href: `#/trial/${one.id}` }, one.done ? "Go on" : "Begin") : "done"),
        element("td", {}, TABLES.map(([file, label]) => element("a", { class: "button", href: `/api/trials/${one.id}/export/${file}` }, label))))))),
    element("section", { class: "new-trial" }, element("h2", {}, "New reader study"),
      element("p", { class: "hint" }, "Every reader reads all cases alone, then all again with the machine's help, each time in an order of their own; patient and study number are not shown."),
      name, cases, element("button", { id: "make-trial", class: "main", onclick: make }, "Make")));
}

// Lines such as "12, 1, 0, 0" or "15": study number, angiography.
function casesOf(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const [study, ...ica] = line.split(/[\s,;]+/).map(Number);
    if (!Number.isInteger(study) || ![0, 3].includes(ica.length)) throw new Error(`A line is a study number, or it and three of 0 or 1; got "${line}".`);
    return ica.length ? { study, ica } : { study };
  });
}

// Read a reader study, case after case; returns what leaves it.
export async function showTrial(room, id) {
  const state = { leave: null, gone: false };
  const next = async () => {
    state.leave?.();
    state.leave = null;
    const turn = await get(`/api/trials/${id}/next`);
    if (turn.turn === null) {
      replace(room, element("p", { class: "hint", id: "all-read" }, "You have read all cases. Thank you."), element("a", { class: "button", href: "#/trials" }, "Reader studies"));
    } else if (!state.gone) {
      const view = new CaseView(id, next);
      await view.load(turn.turn);
      state.leave = view.show(room);
    }
  };
  await next();
  return () => {
    state.gone = true;
    state.leave?.();
  };
}

class CaseView extends ImageView {
  constructor(trial, next) {
    super([["Slices", showSlices], ["Cine", showCine], ["Raw", showRaw]]);
    Object.assign(this, { trial, next, called: {}, seconds: 0, since: null });
  }

  async load(turn) {
    const path = `/api/trials/${this.trial}/cases/${turn}`;
    this.told = await get(path);
    const has = new Set(this.told.files);
    await this.loadScene(this.told.scene, (role) => (has.has(role) ? getArray(`${path}/files/${role}`) : null));
  }

  show(room) {
    const { turn, of, helped } = this.told;
    this.head = element("header");
    this.body = element("section", { id: "part" });
    const aside = element("aside", { id: "panel" });
    replace(this.head, element("a", { href: "#/trials", class: "button" }, "‹ Reader studies"),
      element("h1", {}, `Case ${turn + 1} of ${of}`), element("span", { id: "arm", class: "state" }, helped ? "with the machine's help" : "without help"),
      this.partButtons(), this.displayControls());
    replace(room, this.head, element("div", { class: "study" }, this.body, aside));
    this.panel = () => this.drawPanel(aside);
    this.panel();
    this.showPart(0);
    const keys = (event) => !this.isTyping(event) && this.press(event);
    const visible = () => this.count(document.visibilityState === "visible");
    addEventListener("keydown", keys);
    document.addEventListener("visibilitychange", visible);
    visible();
    return () => {
      removeEventListener("keydown", keys);
      document.removeEventListener("visibilitychange", visible);
      this.leavePart?.();
    };
  }

  // Seconds for which the case was in sight.
  count(isVisible) {
    if (this.since !== null) this.seconds += (performance.now() - this.since) / 1000;
    this.since = isVisible ? performance.now() : null;
  }

  drawPanel(aside) {
    const eyes = this.pair.map((scan) => new BullsEye(190, () => ({ ...discOf(this, scan), marked: this.segment, names: this.scene.segments.map((s) => s.name) })));
    const send = element("button", { id: "answer", class: "main", disabled: true, onclick: () => this.answer(send) }, "Answer and go on");
    const choose = (vessel, value) => {
      this.called[vessel] = value;
      send.disabled = VESSELS.some((one) => this.called[one] === undefined);
    };
    const question = (vessel) => element("fieldset", { data: { vessel } }, element("legend", {}, `${vessel} diseased?`), SURE.map(([label, value]) =>
      element("label", {}, element("input", { type: "radio", name: vessel, value: String(value), checked: this.called[vessel] === value, onchange: () => choose(vessel, value) }), label)));
    replace(aside, element("div", { class: "eyes" }, eyes.map((eye) => eye.figure)), this.told.helped ? helpOf(this.scene) : null,
      VESSELS.map(question), element("div", { class: "buttons" }, send));
    this.panelRedraw = () => eyes.forEach((eye) => eye.draw());
    this.redraws.add(this.panelRedraw);
    this.panelRedraw();
  }

  async answer(button) {
    button.disabled = true;
    this.count(false);
    try {
      await post(`/api/trials/${this.trial}/cases/${this.told.turn}`, { ...this.called, seconds: this.seconds });
    } catch (error) {
      notice(error.message, true);
    }
    this.next().catch((error) => notice(error.message, true));
  }
}

// Uptake; numbers of segments only where the reader may see them.
function discOf(view, scan) {
  return scan.segments_percent ? ofUptake(view, scan) : { ...ofUptake(view, { ...scan, segments_percent: [] }), labels: null };
}

// What the machine says: its words, scores and the network's probabilities.
function helpOf(scene) {
  const { scores, diagnosis } = scene;
  const sum = (values) => (values ? values.reduce((a, b) => a + b, 0) : "–");
  const network = !diagnosis ? "No network was run."
    : diagnosis.abstained ? `The network abstains: ${diagnosis.reason}`
      : `Network: ${VESSELS.map((vessel) => `${vessel} ${Math.round(100 * diagnosis.per_vessel[vessel])} %`).join(", ")}; patient ${Math.round(100 * diagnosis.per_patient)} %`;
  return element("section", { id: "help" }, element("h2", {}, "The machine"), element("p", { class: "summary" }, scores.summary),
    element("p", {}, `SSS ${sum(scores.stress)}  SRS ${sum(scores.rest)}`), element("p", {}, network));
}
