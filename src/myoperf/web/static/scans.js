// The scans of an analysis: stacks, surfaces, polar maps and pose, as the parts of the page use them.

import { add, dot, norm, poseOf, Stack } from "/static/space.js";

const MAPS = ["uptake", "below", "compared", "severity", "deviation", "phase", "thickening", "motion"];

// What the first picture needs; `fetched(role)` gives an array of the analysis, or null where it has none.
export function loadScans(scene, fetched) {
  return Promise.all(scene.scans.map(async (scan) => {
    const name = scan.name;
    const wanted = [`heart/${name}`, `surface/${name}`, ...MAPS.map((kind) => `polar-${kind}/${name}`)];
    const [heart, surface, ...maps] = await Promise.all(wanted.map(fetched));
    const pose = poseOf(scan.lv_frame);
    return {
      ...scan, heart: new Stack(heart), surface, maps: Object.fromEntries(MAPS.map((kind, i) => [kind, maps[i]])),
      pose: { ...pose, reach: reachOf(surface, pose) + 12 },
    };
  }));
}

// The larger arrays, which cine, raw views and correction need.
export async function loadRest(scans, fetched) {
  await Promise.all(scans.map(async (scan) => {
    const roles = ["volume", "gated", "gated-surface", "raw"];
    const [volume, gated, gatedSurface, raw] = await Promise.all(roles.map((role) => fetched(`${role}/${scan.name}`)));
    Object.assign(scan, { volume: new Stack(volume), gatedStack: gated && new Stack(gated), gatedSurface, rawViews: raw });
  }));
}

// The largest distance of the outer surface from the long axis.
function reachOf(surface, pose) {
  const points = surface.values;
  let farthest = 0;
  for (let i = points.length / 2; i < points.length; i += 3) {
    const from = add([points[i], points[i + 1], points[i + 2]], pose.apex, -1);
    farthest = Math.max(farthest, norm(add(from, pose.axis, -dot(from, pose.axis))));
  }
  return farthest;
}
