// Bull's eyes, scores, numbers, findings, words and signature: everything beside the images.

import { BullsEye, middleOf, segmentMeans } from "/static/bullseye.js";
import { post } from "/static/api.js";
import { element, localTime, notice, replace } from "/static/dom.js";
import { differenceOf, ofUptake, priorChooser, priorDiscs, priorTable } from "/static/prior.js";

const KINDS = [["Uptake", uptake], ["Defects", defects], ["Severity", severity], ["SDs", deviations], ["Scores", scores], ["Phase", phase], ["Thickening", thickening], ["Motion", motion], ["Flow", flow], ["Prior", priorDiscs]];

const EYES = { 1: 240, 2: 190 }; // size of one or two bull's eyes; of more, three stand side by side

export function showPanel(view, aside) {
  const state = { kind: "Uptake", draft: null };
  const hovered = element("output", { class: "value", id: "hovered" });

  function draw() {
    const measured = KINDS.map(([label, of]) => [label, of(view, edited())]).filter(([, discs]) => discs.length);
    const [kind, discs] = measured.find(([label]) => label === state.kind) ?? measured[0];
    const isPrior = kind === "Prior";
    const eyes = discs.map((disc) => new BullsEye(EYES[discs.length] ?? 124, () => ({ ...disc, marked: view.segment, names: view.scene.segments.map((s) => s.name) }), {
      hover: (text, segment) => ((hovered.textContent = text), view.mark(segment)),
      click: (segment, event) => (disc.edit ? score(disc.edit, segment, event) : goTo(segment)),
    }));
    const kinds = element("nav", { class: "kinds" }, measured.map(([label]) =>
      element("button", { id: `kind-${label.toLowerCase()}`, "aria-pressed": String(label === kind), onclick: () => ((state.kind = label), draw()) }, label)));
    const figures = element("div", { class: "eyes" }, eyes.map((eye) => eye.figure));
    replace(aside, doubts(), apart(view), priorChooser(view, compared), kinds, figures, hovered, isPrior ? priorTable(view) : null, sums(), words(), numbersOf(view), findings(), history());
    eyes.forEach((eye) => eye.draw());
    view.redraws.delete(view.panelRedraw);
    view.panelRedraw = () => eyes.forEach((eye) => eye.draw());
    view.redraws.add(view.panelRedraw);
  }

  // Another study was chosen to be read beside this one, or none.
  function compared() {
    state.kind = view.prior ? "Prior" : "Uptake";
    draw();
    view.showPart(0);
  }

  // How much there is to doubt, above everything else.
  function doubts() {
    const all = [...view.scene.findings, ...view.scans.flatMap((scan) => scan.findings)].filter((f) => f.severity !== "info");
    if (!all.length) return null;
    const show = () => aside.querySelector("#findings").scrollIntoView();
    return element("button", { class: "doubts", onclick: show }, `${all.length} warning${all.length > 1 ? "s" : ""}: ${[...new Set(all.map((f) => f.code.replaceAll("-", " ")))].join(", ")}`);
  }

  // The scores that stand: the reader's where there are any.
  function edited() {
    const { reading } = view.told;
    return {
      stress: reading.stress_scores ?? view.scene.scores.stress, rest: reading.rest_scores ?? view.scene.scores.rest,
      own: reading.stress_scores !== null || reading.rest_scores !== null,
    };
  }

  function goTo(segment) {
    const scan = view.pair[0];
    const [fraction, angle] = middleOf(segment);
    const rings = scan.mid_wall_mm.length;
    const ring = scan.mid_wall_mm[Math.min(rings - 1, Math.floor(fraction * rings))];
    view.setCursor(scan, ring[Math.round((angle / 360) * ring.length) % ring.length]);
    view.mark(segment);
  }

  async function score(which, segment, event) {
    if (view.isSigned) return notice("The study is signed; write an addendum.", true);
    const now = edited();
    const changed = [...now[which]];
    changed[segment - 1] = (changed[segment - 1] + (event.shiftKey ? 4 : 1)) % 5;
    const body = { stress: now.stress, rest: now.rest, [which]: changed };
    await view.change("scores", body);
    return null;
  }

  function sums() {
    const { stress, rest, own } = edited();
    if (!stress && !rest) return null;
    const sum = (values) => (values ? values.reduce((a, b) => a + b, 0) : "–");
    const difference = stress && rest && !isApart(view) ? stress.reduce((a, s, i) => a + Math.max(0, s - rest[i]), 0) : "–";
    const whose = own ? "reader's scores" : "machine's scores";
    return element("p", { class: "sums", id: "sums" }, `SSS ${sum(stress)}  SRS ${sum(rest)}  SDS ${difference}  (${whose})`,
      own && !view.isSigned ? element("button", { onclick: () => view.change("scores", { stress: null, rest: null }) }, "Machine's") : null);
  }

  function words() {
    const { reading, signature, addenda, study } = view.told;
    const text = element("textarea", {
      id: "impression", rows: 4, disabled: view.isSigned, placeholder: "Your impression; the machine's summary stands where this is empty.",
      oninput: (event) => (state.draft = event.target.value) });
    text.value = state.draft ?? reading.impression;
    const save = () => view.change("impression", { text: text.value }, "Saved.").then((answer) => answer && (state.draft = null));
    const sign = async () => {
      if (text.value !== reading.impression && !(await view.change("impression", { text: text.value }))) return;
      state.draft = null;
      if (confirm(`Sign study ${study.id} as final? It cannot be changed afterwards.`)) await view.change("sign", {}, "Signed.");
    };
    const button = (id, label, action, kind = "") => element("button", { id, class: kind, onclick: action, disabled: view.isBusy && id === "sign" }, label);
    return element("section", {}, element("h2", {}, "Impression"),
      element("p", { class: "summary" }, view.scene.scores.summary || "No summary: no normal limits applied."), text,
      view.isSigned
        ? element("p", { class: "signature", id: "signature" }, `Signed by ${signature.reader}, ${localTime(signature.signed_at)}`)
        : element("div", { class: "buttons" }, button("save", "Save", save), button("undo", "Undo", () => view.change("undo", {}, "Taken back.")), button("sign", "Sign", sign, "main")),
      addenda.map((one) => element("p", { class: "addendum" }, `Addendum, ${one.reader}, ${localTime(one.made_at)}: ${one.text}`)),
      view.isSigned ? addendumForm() : null);
  }

  function addendumForm() {
    const text = element("textarea", { id: "addendum", rows: 2, placeholder: "Addendum" });
    const add = async () => {
      try {
        await post(`/api/studies/${view.id}/addenda`, { text: text.value });
        await view.refresh();
      } catch (error) {
        notice(error.message, true);
      }
    };
    return element("div", {}, text, element("button", { id: "add-addendum", onclick: add }, "Add addendum"));
  }

  function history() {
    const told = { analysis: "measured", completion: "completed", scores: "changed scores", impression: "changed the impression", undo: "took the last change back" };
    return element("details", {}, element("summary", {}, `History (${view.told.history.length})`),
      view.told.history.map((one) => element("p", {}, `${localTime(one.made_at)} ${one.reader} ${told[one.kind]}`)));
  }

  function findings() {
    const all = [...view.scene.findings, ...view.scans.flatMap((scan) => scan.findings.map((f) => ({ ...f, message: `${scan.title}: ${f.message}` })))];
    const order = { failure: 0, warning: 1, info: 2 };
    all.sort((a, b) => order[a.severity] - order[b.severity]);
    const shown = all.some((one) => one.severity !== "info");
    return element("details", { open: shown, id: "findings" }, element("summary", {}, `Findings (${all.length})`),
      all.map((one) => element("p", { class: one.severity }, one.message)));
  }

  draw();
  return draw;
}

// Whether stress and rest were both scored but not compared: their ventricles cannot be one heart's, or a pose is in doubt.
const isApart = (view) => {
  const { stress, rest, compared } = view.scene.scores;
  return Boolean(stress && rest && !compared);
};

// Why they were not compared, and what a reader can do.
function apart(view) {
  if (!isApart(view)) return null;
  const differ = view.scene.findings.find((finding) => finding.code === "ventricles-differ");
  const why = differ ? differ.message : "The pose of one of them is in doubt.";
  return element("p", { class: "warning", id: "apart" }, `Stress and rest were not compared: no SDS, no map of their difference. ${why} Check both poses under Correct.`);
}

// The abbreviation that readers know, where the name has one: "Total perfusion deficit (TPD)" is TPD.
const shortOf = (label) => label.match(/\(([A-Z][A-Z, ]+)\)/)?.[1] ?? label;

function numbersOf(view) {
  const shown = view.scans.length > 2 ? view.scans.filter((scan) => view.pair.includes(scan)) : view.scans; // the panel is narrow
  const isScored = shown.every((scan) => Object.values(view.scene.scored).includes(scan.name));
  const difference = isScored && view.scene.numbers.some((row) => row.values[""]) ? [["", "S vs R"]] : [];
  const columns = [...shown.map((scan) => [scan.name, scan.title]), ...difference];
  const before = new Map((view.isComplete ? [] : view.completeNumbers ?? []).map((row) => [row.label, row]));
  const isAwaited = (row, name) => name && before.get(row.label)?.values[name] !== undefined;
  const rows = [...view.scene.numbers];
  for (const [label, row] of before) if (!rows.some((one) => one.label === label)) rows.push({ ...row, values: {} });
  const cell = (row, name) => {
    const entry = row.values[name];
    if (!entry) return isAwaited(row, name) ? element("td", { class: "awaited", title: "being worked out" }, "…") : element("td");
    const text = entry.value === null ? "–" : `${entry.value.toFixed(row.digits)}${{ low: " ↓", high: " ↑" }[entry.flag] ?? ""}`;
    const range = entry.low === undefined ? (view.isComplete ? "" : "The interval is being worked out.") : `95 % interval ${entry.low.toFixed(row.digits)} to ${entry.high.toFixed(row.digits)}`;
    return element("td", { title: range, class: entry.flag ? "outside" : "" }, text);
  };
  return element("table", { class: "numbers" },
    element("thead", {}, element("tr", {}, ["", ...columns.map(([, title]) => title)].map((text) => element("th", {}, text)), element("th", { class: "normal" }, "normal"))),
    element("tbody", {}, rows.filter((row) => columns.some(([name]) => row.values[name] || isAwaited(row, name))).map((row) => element("tr", { data: { number: row.label } },
      element("th", { title: row.label }, shortOf(row.label), element("small", {}, row.unit && ` ${row.unit}`)), columns.map(([name]) => cell(row, name)), element("td", { class: "normal", title: row.published && `Published for other programs: ${row.published}` }, row.normal)))));
}

// --- what the bull's eyes show --------------------------------------------------------------------

function uptake(view) {
  const discs = view.pair.map((scan) => ofUptake(view, scan));
  const [first, second] = view.pair;
  if (!second || first === second) return discs;
  if (first.state === second.state) return [...discs, differenceOf(first, second, "Upper – lower row, %")];
  const [stress, rest] = ["stress", "rest"].map((state) => view.pair.find((scan) => scan.state === state));
  if (stress && rest && !isApart(view)) discs.push(differenceOf(asCompared(rest), stress, "Rest – stress, %"));
  return discs;
}

// A rest scan with its map as it was compared with stress: turned about the long axis where the two poses differ.
function asCompared(rest) {
  const { compared } = rest.maps;
  return compared ? { ...rest, maps: { uptake: compared }, segments_percent: segmentMeans(compared) } : rest;
}

// Uptake with what lies below the normal limits in black, inside of the defects that the impression names, and the scores.
function defects(view, edited) {
  return view.pair.filter((scan) => scan.maps.below).map((scan) => ({
    ...ofUptake(view, scan), title: `${scan.title}: defects`, map: scan.maps.below,
    labels: scan.name === view.scene.scored[scan.state] ? edited[scan.state]?.map(String) : undefined,
  }));
}

const ofMap = (kind, title, palette, window, label) => (view) => view.scans.filter((scan) => scan.maps[kind]).map((scan) => ({
  title: `${scan.title}: ${title}`, map: scan.maps[kind], window, palette, unit: scan.maps[kind].unit, digits: ["severity", "deviation"].includes(kind) ? 1 : 0, labels: label?.(scan),
}));

function severity(view) {
  return ofMap("severity", "severity", "inferno", [0, 4])(view);
}

// Standard deviations of normal patients above or below their mean; the number of a segment is its mean.
function deviations(view) {
  return ofMap("deviation", "SDs from normal", "difference", [-5, 5], (scan) => segmentMeans(scan.maps.deviation).map((v) => v.toFixed(1)))(view);
}

function phase(view) {
  return ofMap("phase", "phase", "phase", [0, 360])(view);
}

function thickening(view) {
  return ofMap("thickening", "thickening, %", "viridis", [0, 100])(view);
}

function motion(view) {
  return ofMap("motion", "motion, mm", "viridis", [0, 12])(view);
}

// Blood flow of the segments, and its reserve, on the scales of the report.
function flow(view) {
  const discs = view.scans.filter((scan) => scan.flow_ml_min_g).map((scan) => discOf(view, `${scan.title}: flow, ml/min/g`, scan.flow_ml_min_g, 4, "ml/min/g"));
  const reserve = view.scene.flow_reserve;
  return reserve ? [...discs, discOf(view, "Flow reserve", reserve, 4, "")] : discs;
}

const discOf = (view, title, segments, most, unit) => ({
  title, segments: segments.map((value) => value ?? NaN), window: [0, most], palette: view.palette, unit, digits: 2, labels: segments.map((value) => value?.toFixed(1) ?? "–"),
});

function scores(view, edited) {
  return ["stress", "rest"].filter((state) => edited[state]).map((state) => ({
    title: `${state}: click to change`, segments: edited[state], window: [0, 4], palette: "inferno", unit: "of 4",
    labels: edited[state].map(String), edit: state,
  }));
}
