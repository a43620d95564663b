// One study: what is known of it, what is shown of it, and the parts of the page that share both.

import { get, getArray, post } from "/static/api.js";
import { element, notice, replace } from "/static/dom.js";
import { showCine } from "/static/cine.js";
import { showCorrection } from "/static/correct.js";
import { showPanel } from "/static/panel.js";
import { showRaw } from "/static/raw.js";
import { showSlices } from "/static/slices.js";
import { ImageView } from "/static/view.js";

const PARTS = [["Slices", showSlices], ["Cine", showCine], ["Raw", showRaw], ["Correct", showCorrection], ["Report", showReport]];

export async function showStudy(room, id, reader) {
  const view = new StudyView(id, reader);
  await view.load();
  sessionStorage.setItem("opened", String(id)); // where the worklist goes on
  post(`/api/studies/${id}/opened`).catch((error) => notice(error.message, true));
  return view.show(room);
}

class StudyView extends ImageView {
  constructor(id, reader) {
    super(PARTS);
    Object.assign(this, { id, reader });
  }

  // --- what is known ---------------------------------------------------------------------------

  async load() {
    this.told = await get(`/api/studies/${this.id}`);
    const number = this.told.reading.analysis;
    if (number && number !== this.number) await this.loadAnalysis(number);
    this.number = number;
    this.tellFailure();
  }

  // Say why a measurement failed that was still open when the study was last looked at.
  tellFailure() {
    const failed = this.told.jobs.filter((job) => job.state === "failed").at(-1)?.id ?? 0;
    if (this.lastFailure !== undefined && failed > this.lastFailure) {
      notice(this.told.jobs.find((job) => job.id === failed).reason, true);
    }
    this.lastFailure = failed;
  }

  async loadAnalysis(number) {
    const path = `/api/studies/${this.id}/files/${number}`;
    const { files } = this.told;
    const known = this.arrays ?? new Map(); // by content: what a correction leaves as it was is not fetched again
    this.arrays = new Map();
    const fetched = (role) => {
      const sha256 = files[role];
      if (!sha256) return null;
      const array = known.get(sha256) ?? getArray(`${path}/${role}`);
      this.arrays.set(sha256, array);
      return array;
    };
    const scene = await get(`${path}/scene`);
    await this.loadScene(scene, fetched);
    this.isComplete = this.told.analyses.find((one) => one.number === number)?.complete ?? true;
    if (this.isComplete) this.completeNumbers = scene.numbers;
  }

  // What the page shows of the study, but for the words of progress.
  known() {
    return JSON.stringify(this.told, (name, value) => (name === "progress" ? null : value));
  }

  get isSigned() {
    return this.told.signature !== null;
  }

  get version() {
    return this.told.study.version;
  }

  get isBusy() {
    return this.told.jobs.some((job) => ["queued", "running"].includes(job.state));
  }

  // --- changes ----------------------------------------------------------------------------------

  async change(path, body, said) {
    try {
      const answer = await post(`/api/studies/${this.id}/${path}`, { ...body, version: this.version });
      await this.refresh();
      if (said) notice(said);
      return answer;
    } catch (error) {
      notice(error.message, true);
      await this.refresh();
      return null;
    }
  }

  // Look at the study again; one look after the other, so that none sees half of another's.
  refresh() {
    this.refreshing = (this.refreshing ?? Promise.resolve()).catch(() => null).then(() => this.lookAgain());
    return this.refreshing;
  }

  async lookAgain() {
    const before = this.number;
    const was = this.known();
    await this.load();
    if (this.known() === was) { // a click or a word in the making is not disturbed
      const state = this.head.querySelector(".state");
      if (this.isBusy && state) state.textContent = this.busyText();
      return;
    }
    this.drawHead();
    if (!this.number) {
      this.showWhy();
      return;
    }
    if (this.number !== before) this.showPart(this.part);
    if (this.panel) this.panel();
    else this.panel = showPanel(this, this.aside); // the first analysis came while the page was open
    this.redraw();
  }

  // Look for changes now and from then on; only the latest call goes on.
  async watch() {
    clearTimeout(this.timer);
    const turn = (this.turn = (this.turn ?? 0) + 1);
    try {
      const told = await get(`/api/studies/${this.id}`);
      const other = told.study.version !== this.version;
      const last = told.history.at(-1);
      if (other && last && last.reader !== this.reader && last.reader !== "machine") notice(`${last.reader} changed this study.`);
      if (other || told.jobs.length !== this.told.jobs.length || this.isBusy) await this.refresh();
    } catch (error) {
      notice(error.message, true);
    }
    const isMeasured = this.told.jobs.some((job) => job.kind === "correct" && ["queued", "running"].includes(job.state));
    if (turn === this.turn) this.timer = setTimeout(() => this.watch(), isMeasured ? 100 : this.isBusy ? 500 : 3000);
  }

  // --- the page ---------------------------------------------------------------------------------

  show(room) {
    this.head = element("header");
    this.body = element("section", { id: "part" });
    this.aside = element("aside", { id: "panel" });
    replace(room, this.head, element("div", { class: "study" }, this.body, this.aside));
    this.part = 0;
    this.drawHead();
    if (this.number) {
      this.panel = showPanel(this, this.aside);
      this.showPart(0);
    } else this.showWhy();
    const keys = (event) => this.press(event);
    addEventListener("keydown", keys);
    this.turn = 0;
    this.timer = setTimeout(() => this.watch(), 1000);
    return () => {
      removeEventListener("keydown", keys);
      clearTimeout(this.timer);
      this.turn += 1;
      this.leavePart?.();
    };
  }

  // Why there is nothing to read: the study still waits, or its analysis failed.
  showWhy() {
    const { note, status } = this.told.study;
    const hasFailed = status === "failed";
    replace(this.body, element("p", { class: hasFailed ? "failure" : "hint", id: "why" }, note || "The study is not analysed yet."),
      hasFailed ? element("p", {}, "Add the right files to the worklist; they become a study of their own.") : null,
      hasFailed ? element("button", { id: "retry", title: "With the same files, as after an update of MyoPerf", onclick: () => this.retry() }, "Analyse again") : null);
  }

  async retry() {
    try {
      await post(`/api/studies/${this.id}/retry`);
      location.hash = "#/";
    } catch (error) {
      notice(error.message, true);
    }
  }

  drawHead() {
    const { study } = this.told;
    const who = [study.patient_id ?? `study ${study.id}, unknown patient`, study.sex, study.age_years && `${Math.round(study.age_years)} y`];
    const state = this.isBusy ? this.busyText() : this.isSigned ? `signed by ${study.signed_by}` : study.status;
    const busy = this.isBusy ? "busy" : study.status;
    replace(this.head, element("a", { href: "#/", class: "button", title: "Worklist (Esc)" }, "‹ Worklist"),
      element("h1", {}, who.filter(Boolean).join("  ")), element("span", { id: "state", class: `state ${busy}` }, state),
      this.number ? this.partButtons() : null, this.number ? this.displayControls() : null);
  }

  busyText() {
    const job = this.told.jobs.find((one) => ["running", "queued"].includes(one.state));
    const what = { correct: "measuring in the new pose", complete: "function and report", analyze: "analysing" }[job.kind];
    return `${what}${job.progress ? `: ${job.progress}` : ""}`;
  }

  press(event) {
    if (this.isTyping(event) || super.press(event)) return;
    if (event.key === "u" && !this.isSigned) this.change("undo", {}, "Taken back.");
    else if (event.key === "Escape") location.hash = "#/";
    else if (event.key === "PageDown" || event.key === "PageUp") this.neighbour(event.key === "PageDown" ? 1 : -1);
    else return;
    event.preventDefault();
  }

  // The next study of the worklist as it was last shown.
  neighbour(step) {
    const list = JSON.parse(sessionStorage.getItem("worklist") ?? "[]");
    const next = list[list.indexOf(this.id) + step];
    if (next) location.hash = `#/study/${next}`;
    else notice("There is no further study on this page of the worklist.");
  }
}

function showReport(view, body) {
  const number = view.number;
  if (!view.told.files["report.html"]) {
    replace(body, element("p", { class: "hint" }, "The report of the corrected analysis is being written."));
    return;
  }
  const path = `/api/studies/${view.id}`;
  const link = (name, label) => element("a", { class: "button", href: `${path}/export/${name}`, id: `export-${name.split(".")[0]}` }, label);
  replace(body,
    element("div", { class: "bar-of-links" }, link("report.pdf", "PDF"), link("results.json", "Results"),
      link("reading.json", "Reading"), link("dicom.zip", "DICOM"),
      element("span", { class: "hint" }, "Shown is the machine's report. PDF and DICOM hold the reader's words, scores and signature too.")),
    element("iframe", { src: `${path}/files/${number}/report.html`, title: "Report", sandbox: "" }));
}
