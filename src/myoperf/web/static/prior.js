// Another study of the same patient beside this one: its scans in the rows, the difference of the maps, what changed.

import { get, getArray } from "/static/api.js";
import { element, localDay, notice, replace } from "/static/dom.js";
import { loadRest, loadScans } from "/static/scans.js";

// The list of the patient's other studies; it appears where there are any.
export function priorChooser(view, onchange) {
  const place = element("div", { class: "prior" });
  view.priors ??= get(`/api/studies/${view.id}/priors`);
  view.priors.then((found) => {
    if (!found.length) return;
    const label = (one) => `study ${one.id}, received ${localDay(one.received_at)}: ${one.scans ?? ""}`;
    const choose = async (event) => {
      try {
        await comparePrior(view, Number(event.target.value));
      } catch (error) {
        notice(error.message, true);
      }
      onchange();
    };
    const options = found.map((one) => element("option", { value: String(one.id), selected: one.id === view.prior?.id }, label(one)));
    replace(place, "Beside ", element("select", { id: "prior", onchange: choose }, element("option", { value: "0" }, "no other study"), options));
  }, (error) => notice(error.message, true));
  return place;
}

// Show another study beside, or none: stress over its stress (or rest over its rest) in the rows.
async function comparePrior(view, id) {
  [view.prior, view.chosen] = [null, null];
  if (!id) return;
  const told = await get(`/api/studies/${id}`);
  const path = `/api/studies/${id}/files/${told.reading.analysis}`;
  const scene = await get(`${path}/scene`);
  const fetched = (role) => (told.files[role] ? getArray(`${path}/${role}`) : null);
  const found = await loadScans(scene, fetched);
  const scans = found.map((scan) => ({ ...scan, name: `study ${id}: ${scan.name}`, title: `${scan.title}, study ${id}` }));
  const rest = loadRest(found, fetched).then(() => scans.forEach((scan, i) => Object.assign(scan, { ...found[i], name: scan.name, title: scan.title })));
  view.rest = Promise.all([view.rest, rest]);
  for (const scan of scans) view.windows[scan.name] ??= [0, 100];
  const scored = Object.fromEntries(Object.entries(scene.scored).map(([state, name]) => [state, scans.find((scan) => scan.name === `study ${id}: ${name}`)]));
  const changes = await get(`/api/studies/${view.id}/priors/${id}`).catch((error) => ({ changes: [], notes: [error.message] }));
  view.prior = { id, scans, scored, ...changes };
  const [now, before] = pairsOf(view)[0] ?? [];
  if (now) view.chosen = [now.name, before.name];
}

// The scored scans of each state in both studies.
function pairsOf(view) {
  const ofState = (state) => [view.scans.find((scan) => scan.name === view.scene.scored[state]), view.prior.scored[state]];
  return ["stress", "rest"].map(ofState).filter(([now, before]) => now && before);
}

// Uptake now, in the other study, and the difference, for stress and rest.
export function priorDiscs(view) {
  if (!view.prior) return [];
  return pairsOf(view).flatMap(([now, before]) => [...[now, before].map((scan) => ofUptake(view, scan)), differenceOf(now, before, `${now.title}: change, %`)]);
}

export function ofUptake(view, scan) {
  return {
    title: `${scan.title}, %`, map: scan.maps.uptake, window: view.windows[scan.name], palette: view.palette, unit: "%",
    labels: scan.segments_percent.map((v) => v.toFixed(0)),
  };
}

// The map of one scan less that of another, in points of percent of their own maxima.
export function differenceOf(scan, less, title) {
  const change = scan.segments_percent.map((v, i) => v - less.segments_percent[i]);
  const [map, other] = [scan.maps.uptake, less.maps.uptake];
  const isAlike = map.shape.join() === other.shape.join();
  const values = isAlike ? map.values.map((v, i) => v - other.values[i]) : null;
  return { title, map: isAlike ? { shape: map.shape, values } : null, segments: change, window: [-50, 50], palette: "difference", unit: "%", labels: change.map((v) => v.toFixed(0)) };
}

// What changed since the other study, beyond what repeated scans differ by first.
export function priorTable(view) {
  const { id, changes, notes } = view.prior;
  const sorted = [...changes].sort((a, b) => Number(b.exceeds) - Number(a.exceeds));
  const cells = (one) => [one.before, one.after, one.after - one.before, one.limit].map((v) => element("td", {}, v.toFixed(one.digits)));
  return element("section", { id: "prior-changes" },
    notes.map((text) => element("p", { class: "info" }, text)),
    element("table", { class: "numbers" },
      element("thead", {}, element("tr", {}, ["", `study ${id}`, "now", "change"].map((text) => element("th", {}, text)), element("th", { title: "What 95 % of repeated scans of an unchanged patient differ by less than" }, "repeats"))),
      element("tbody", {}, sorted.map((one) => element("tr", { class: one.exceeds ? "changed" : "", data: { change: one.name } },
        element("th", { title: one.label }, one.label), cells(one))))));
}
