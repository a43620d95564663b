// The worklist: what came, how far it is, what it shows; drop files anywhere on the page.

import { get, post, putFile } from "/static/api.js";
import { element, localTime, notice, replace } from "/static/dom.js";

const COLUMNS = [
  ["Study", "received_at", (s) => String(s.id)],
  ["Patient", "patient_id", (s) => s.patient_id ?? "–"],
  ["", null, (s) => [s.sex, s.age_years && `${Math.round(s.age_years)} y`].filter(Boolean).join(" ")],
  ["Scans", null, (s) => s.scans ?? ""],
  ["State", "status", (s) => (s.status === "analysing" && s.progress ? `analysing: ${s.progress}` : s.status)],
  ["SSS", "sss", (s) => s.sss ?? "–"],
  ["SDS", "sds", (s) => s.sds ?? "–"],
  ["TPD stress %", "tpd_stress_percent", (s) => fixed(s.tpd_stress_percent, 1)],
  ["LVEF %", "lvef_percent", (s) => fixed(s.lvef_percent, 0)],
  ["Perfusion", null, (s) => (s.status === "failed" ? s.note : s.category ?? "")],
  ["Warnings", null, (s) => s.warnings ?? ""],
  ["Received", "received_at", (s) => localTime(s.received_at).slice(0, 16), (s) => localTime(s.received_at)],
];
const SIZE = 25;
const fixed = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));

export function showWorklist(room, reader) {
  const shown = { search: "", status: "", sort: "received_at", order: "desc", start: 0 };
  const table = element("tbody");
  const head = element("tr");
  const empty = element("div", { id: "empty" });
  const count = element("span", { class: "count" });
  const progress = element("div", { class: "uploads", id: "uploads" });
  let timer = null;
  let wasShown = false;

  async function load() {
    clearTimeout(timer);
    try {
      const query = new URLSearchParams({ ...shown, count: SIZE });
      const told = await get(`/api/studies?${query}`);
      keepFocus(head, "button", drawHead);
      keepFocus(table, "tr", () => replace(table, told.studies.map(row)));
      replace(empty, told.total ? [] : whatNow());
      if (!wasShown && document.activeElement === document.body) lastOpened()?.focus();
      wasShown = true;
      sessionStorage.setItem("worklist", JSON.stringify(told.studies.map((study) => study.id)));
      const last = Math.min(shown.start + SIZE, told.total);
      count.textContent = told.total ? `${shown.start + 1} to ${last} of ${told.total}` : "no studies";
      later.disabled = last >= told.total;
      earlier.disabled = shown.start === 0;
      const busy = told.studies.some((s) => ["waiting", "analysing"].includes(s.status));
      timer = setTimeout(load, busy ? 1000 : 10000);
    } catch (error) {
      notice(error.message, true);
      timer = setTimeout(load, 5000);
    }
  }

  function drawHead() {
    replace(head, COLUMNS.map(([label, sort]) => {
      const isSorted = sort && shown.sort === sort && label !== "Study";
      const press = () => sort && change({ sort, order: isSorted && shown.order === "desc" ? "asc" : "desc", start: 0 });
      const arrow = isSorted ? (shown.order === "desc" ? " ▾" : " ▴") : "";
      return element("th", sort ? {} : { class: "plain" }, sort ? element("button", { onclick: press }, label + arrow) : label);
    }));
  }

  function row(study) {
    const open = () => (location.hash = `#/study/${study.id}`);
    const keys = (event) => {
      const next = { ArrowDown: made.nextElementSibling, ArrowUp: made.previousElementSibling ?? search }[event.key];
      if (event.key === "Enter") open();
      else if (next) next.focus();
      else return;
      event.preventDefault();
    };
    const made = element(
      "tr",
      { tabIndex: 0, onclick: open, onkeydown: keys, data: { study: study.id, status: study.status } },
      COLUMNS.map(([, , text, full]) => element("td", full ? { title: full(study) } : {}, String(text(study)))),
    );
    made.title = study.note;
    return made;
  }

  // What to do about a list without a row.
  function whatNow() {
    const all = () => {
      search.value = status.value = "";
      change({ search: "", status: "", start: 0 });
    };
    if (shown.search || shown.status) {
      return [element("p", {}, "No study matches the search and the state chosen."), element("button", { id: "show-all", onclick: all }, "Show all studies")];
    }
    return [
      element("p", {}, "There is no study yet. Drop the DICOM files of a patient (or their folder, or a zip) on this page, or press Add files or Add folder."),
      element("p", {}, "The analysis starts by itself and takes a minute or two; then the study opens by a click on its row."),
      element("p", {}, "Without files at hand: ", element("code", {}, "myoperf demo -o demo"), " simulates a patient; add the folder demo/simulated/dicom."),
    ];
  }

  // The row of the study that was read last, or the first: from there the keyboard goes on.
  function lastOpened() {
    return table.querySelector(`tr[data-study="${sessionStorage.getItem("opened") ?? 0}"]`) ?? table.firstElementChild;
  }

  function change(wanted) {
    Object.assign(shown, wanted);
    load();
  }

  async function upload(files) {
    const sent = [];
    const bar = element("progress", { max: 1, value: 0 });
    const line = element("div", {}, `${files.length} files `, bar);
    progress.append(line);
    try {
      for (const [i, { file, name }] of files.entries()) {
        sent.push({ name, sha256: await putFile(file, (share) => (bar.value = (i + share) / files.length)) });
      }
      const told = await post("/api/uploads", { files: sent });
      notice(`Study ${told.study} received.`);
      change({ start: 0 });
    } catch (error) {
      notice(error.message, true);
    } finally {
      line.remove();
    }
  }

  const search = element("input", {
    type: "search", id: "search", placeholder: "Patient ID or study number",
    oninput: (event) => change({ search: event.target.value.trim(), start: 0 }),
    onkeydown: (event) => event.key === "ArrowDown" && table.firstElementChild?.focus(),
  });
  const status = element(
    "select",
    { id: "status", onchange: (event) => change({ status: event.target.value, start: 0 }) },
    ["", "waiting", "analysing", "ready", "failed", "signed"].map((s) => element("option", { value: s }, s || "all states")),
  );
  const later = element("button", { onclick: () => change({ start: shown.start + SIZE }) }, "Next");
  const earlier = element("button", { onclick: () => change({ start: Math.max(0, shown.start - SIZE) }) }, "Previous");
  const chosen = (event) => upload([...event.target.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
  const files = element("input", { type: "file", id: "files", multiple: true, onchange: chosen });
  const folder = element("input", { type: "file", id: "folder", onchange: chosen });
  folder.webkitdirectory = true;

  replace(
    room,
    element("header", {}, element("h1", {}, "Reading room"), search, status, count, earlier, later,
      element("label", { class: "button" }, "Add files", files), element("label", { class: "button" }, "Add folder", folder),
      element("a", { class: "button", href: "#/trials", id: "trials" }, "Reader studies"),
      element("span", { class: "reader" }, reader)),
    progress,
    element("table", { class: "worklist" }, element("thead", {}, head), table),
    empty,
    element("p", { class: "hint" }, "Drop files, folders or zip files anywhere here. Arrows and Enter open a study. Research use only."),
  );
  room.ondragover = (event) => event.preventDefault();
  room.ondrop = async (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    const dropped = (await Promise.all(entries.map(filesOf))).flat();
    if (dropped.length) upload(dropped);
  };
  load();
  return () => {
    clearTimeout(timer);
    room.ondragover = room.ondrop = null;
  };
}

// Draw elements anew; the one of the same place or study has the focus again.
function keepFocus(parent, selector, draw) {
  const before = document.activeElement;
  const place = [...parent.querySelectorAll(selector)].indexOf(before);
  draw();
  if (place < 0) return;
  const study = before.dataset.study;
  const after = study ? parent.querySelector(`[data-study="${study}"]`) : parent.querySelectorAll(selector)[place];
  after?.focus();
}

// All files of a dropped file or folder, with their paths in it.
async function filesOf(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, name: entry.fullPath.slice(1) }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    found.push(...(await Promise.all(some.map(filesOf))).flat());
  }
}
