// Positions are LPS millimetres, as everywhere in MyoPerf; a stack's affine maps (plane, row, column) to them.

export const add = (a, b, times = 1) => [a[0] + times * b[0], a[1] + times * b[1], a[2] + times * b[2]];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const norm = (a) => Math.sqrt(dot(a, a));
export const unit = (a) => add([0, 0, 0], a, 1 / norm(a));

// The pose of a ventricle with the directions that follow from it (types.LVFrame).
export function poseOf(frame) {
  const [apex, base] = [frame.apex_mm, frame.base_mm];
  const axis = unit(add(base, apex, -1));
  const anterior = unit(add(frame.anterior, axis, -dot(axis, frame.anterior)));
  const length = norm(add(base, apex, -1));
  return { apex, base, axis, anterior, lateral: cross(axis, anterior), length, centre: add(apex, axis, length / 2) };
}

// The three planes that nuclear cardiology reads, as geometry.py defines them: which way is right, down, and into the
// stack. Seen from the apex the septum is on the left of a short-axis slice.
export function viewsOf(pose) {
  const { axis, anterior, lateral } = pose;
  const minus = (v) => add([0, 0, 0], v, -1);
  return {
    sa: { right: lateral, down: minus(anterior), into: axis },
    vla: { right: minus(axis), down: minus(anterior), into: lateral },
    hla: { right: lateral, down: axis, into: anterior },
  };
}

// A plane of a view: `offset` mm along its direction from the middle of the ventricle.
export function planeOf(pose, view, offset, middle = pose.centre) {
  const directions = viewsOf(pose)[view];
  return { ...directions, origin: add(middle, directions.into, offset) };
}

// Fixed planes of the patient, through a point.
export const BODY = {
  transaxial: { right: [1, 0, 0], down: [0, 1, 0], into: [0, 0, 1] },
  coronal: { right: [1, 0, 0], down: [0, 0, -1], into: [0, 1, 0] },
};

// Segment (1 to 17) of a place in the ventricle, as segments.py has it; 0 outside.
export function segmentAt(pose, point) {
  const from = add(point, pose.apex, -1);
  const fraction = dot(from, pose.axis) / pose.length;
  const angle = (Math.atan2(-dot(from, pose.lateral), dot(from, pose.anterior)) * 180) / Math.PI;
  return fraction < -0.15 || fraction > 1.1 ? 0 : segmentOf(Math.max(0, Math.min(0.999, fraction)), angle);
}

export function segmentOf(fraction, angle) {
  const around = ((angle % 360) + 360) % 360;
  if (fraction < 0.16) return 17;
  if (fraction < 0.45) return 13 + Math.floor(((around + 45) % 360) / 90);
  return (fraction < 0.72 ? 7 : 1) + Math.floor(((around + 30) % 360) / 60);
}

// A stack of slices that can be read anywhere.
export class Stack {
  constructor(array) {
    [this.frames, this.planes, this.rows, this.columns] = array.shape;
    Object.assign(this, { values: array.values, step: array.step, affine: array.lps_from_index });
    this.inverse = inverted(array.lps_from_index);
  }

  // Values of a square of the plane (pixels x pixels, `field` mm wide), trilinear; 0 outside the stack.
  cut(plane, field, pixels, frame = 0, out = new Float32Array(pixels * pixels)) {
    const pixel = field / pixels;
    const corner = add(add(plane.origin, plane.right, 0.5 * (pixel - field)), plane.down, 0.5 * (pixel - field));
    const start = indexOf(this.inverse, corner, 1);
    const right = indexOf(this.inverse, plane.right, 0).map((v) => v * pixel);
    const down = indexOf(this.inverse, plane.down, 0).map((v) => v * pixel);
    const { values, planes, rows, columns, step } = this;
    const [perRow, perPlane] = [columns, rows * columns];
    const first = frame * planes * perPlane;
    for (let row = 0; row < pixels; row++) {
      let p = start[0] + row * down[0];
      let r = start[1] + row * down[1];
      let c = start[2] + row * down[2];
      for (let column = 0; column < pixels; column++, p += right[0], r += right[1], c += right[2]) {
        const p0 = Math.floor(p); // no arrays in this loop: it runs half a million times for one page of slices
        const r0 = Math.floor(r);
        const c0 = Math.floor(c);
        let value = 0;
        if (p0 >= 0 && r0 >= 0 && c0 >= 0 && p0 + 1 < planes && r0 + 1 < rows && c0 + 1 < columns) {
          const wp = p - p0;
          const wr = r - r0;
          const wc = c - c0;
          const at = first + p0 * perPlane + r0 * perRow + c0;
          const near =
            (1 - wr) * ((1 - wc) * values[at] + wc * values[at + 1]) +
            wr * ((1 - wc) * values[at + perRow] + wc * values[at + perRow + 1]);
          const far =
            (1 - wr) * ((1 - wc) * values[at + perPlane] + wc * values[at + perPlane + 1]) +
            wr * ((1 - wc) * values[at + perPlane + perRow] + wc * values[at + perPlane + perRow + 1]);
          value = step * ((1 - wp) * near + wp * far);
        }
        out[row * pixels + column] = value;
      }
    }
    return out;
  }
}

function indexOf(inverse, point, isPosition) {
  return inverse.map((row) => row[0] * point[0] + row[1] * point[1] + row[2] * point[2] + isPosition * row[3]);
}

// Inverse of an affine: three rows of four.
function inverted(m) {
  const [a, b, c] = [0, 1, 2].map((column) => [m[0][column], m[1][column], m[2][column]]);
  const volume = dot(a, cross(b, c));
  const rows = [cross(b, c), cross(c, a), cross(a, b)].map((row) => row.map((v) => v / volume));
  const origin = [m[0][3], m[1][3], m[2][3]];
  return rows.map((row) => [...row, -dot(row, origin)]);
}

// Where surfaces (rings x angles points, closed round the angles) cross a plane: lines of two points on it, in mm right
// of and below its origin. `surfaces` is an array of shape (gates, 2, rings, angles, 3).
export function crossings(surfaces, gate, which, plane) {
  const [, count, rings, angles] = surfaces.shape;
  const first = ((gate * count + which) * rings) * angles * 3;
  const at = (ring, angle) => {
    const i = first + (ring * angles + (angle % angles)) * 3;
    const from = add([surfaces.values[i], surfaces.values[i + 1], surfaces.values[i + 2]], plane.origin, -1);
    return [dot(from, plane.right), dot(from, plane.down), dot(from, plane.into)];
  };
  const lines = [];
  for (let ring = 0; ring + 1 < rings; ring++) {
    for (let angle = 0; angle < angles; angle++) {
      const [p, q, r, s] = [at(ring, angle), at(ring, angle + 1), at(ring + 1, angle), at(ring + 1, angle + 1)];
      for (const triangle of [[p, q, r], [q, s, r]]) {
        const line = acrossTriangle(triangle);
        if (line) lines.push(line);
      }
    }
  }
  return lines;
}

function acrossTriangle(triangle) {
  const points = [];
  for (let i = 0; i < 3; i++) {
    const [a, b] = [triangle[i], triangle[(i + 1) % 3]];
    if (a[2] >= 0 !== b[2] >= 0) {
      const share = a[2] / (a[2] - b[2]);
      points.push([a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])]);
    }
  }
  return points.length === 2 ? points : null;
}
