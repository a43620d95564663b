"""The torso about the heart, as closed-form solids painted on a grid with soft, sub-voxel edges.

Each solid has a signed distance (mm, negative inside); a voxel's share of it is a ramp one voxel wide.
Where solids overlap, the first of this list wins, so that the shares of a voxel never sum to more than one:
spine, aorta (blood), kidneys, spleen, gallbladder, bowel, stomach, liver, lungs, then body.
Attenuation coefficients: water and ICRU tissues after NIST XCOM, rounded; lung at about a quarter of
water's density.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.geometry import index_from_lps, transform_points
from myoperf.kernels import kernel
from myoperf.phantom.parts import EllipsoidShape, Torso, Tube
from myoperf.phantom.photons import PHOTONS
from myoperf.phantom.records import Grid, PatientModel
from myoperf.types import Float, Float32

STATIC_ORGANS = ("spine", "blood", "kidneys", "spleen", "gallbladder", "bowel", "stomach", "liver", "lungs", "body")
"""In the order of precedence; ``blood`` is the descending aorta here."""

ATTENUATION_PER_MM: Mapping[str, float] = PHOTONS["Tc-99m"].attenuation_per_mm


def _unit_from_mm(shape: EllipsoidShape) -> Float:
    """Return the (3, 3) matrix that turns and scales an offset in mm so that the surface lies at length 1."""
    cy, sy = np.cos(np.deg2rad(shape.yaw_deg)), np.sin(np.deg2rad(shape.yaw_deg))
    cr, sr = np.cos(np.deg2rad(shape.roll_deg)), np.sin(np.deg2rad(shape.roll_deg))
    yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    roll = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
    return np.asarray((yaw @ roll / np.asarray(shape.radii_mm)).T)


def _window(grid: Grid, centre: Float, reach: Float | float) -> NDArray[np.int64]:
    """Return index bounds (3, 2) of the voxels within a box of half-size `reach` mm about a point; may be empty."""
    corners = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]) * reach + centre
    return grid.bounds(transform_points(index_from_lps(grid.lps_from_index), corners))


@kernel(fastmath=True)
def _paint_ellipsoid(out: Any, affine: Any, window: Any, centre: Any, unit_from_mm: Any, voxel_mm: float) -> None:
    """Raise each voxel of a window to its share of an ellipsoid; `unit_from_mm` maps its surface to the unit sphere.

    The distance to the surface has no closed form. To first order it is (r - 1) over the length of r's gradient,
    where r is the radius in the space of the unit sphere; the ramp of one voxel needs no better.
    """
    m = unit_from_mm
    for i in range(window[0, 0], window[0, 1]):
        for j in range(window[1, 0], window[1, 1]):
            for k in range(window[2, 0], window[2, 1]):
                px = affine[0, 0] * i + affine[0, 1] * j + affine[0, 2] * k + affine[0, 3] - centre[0]
                py = affine[1, 0] * i + affine[1, 1] * j + affine[1, 2] * k + affine[1, 3] - centre[1]
                pz = affine[2, 0] * i + affine[2, 1] * j + affine[2, 2] * k + affine[2, 3] - centre[2]
                u = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz
                v = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz
                w = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz
                radius = np.sqrt(u * u + v * v + w * w)
                gx = m[0, 0] * u + m[1, 0] * v + m[2, 0] * w
                gy = m[0, 1] * u + m[1, 1] * v + m[2, 1] * w
                gz = m[0, 2] * u + m[1, 2] * v + m[2, 2] * w
                slope = np.sqrt(gx * gx + gy * gy + gz * gz)  # radius times the length of its gradient
                share = 1.0
                if slope > 1e-9:
                    share = min(max(0.5 - radius * (radius - 1.0) / (slope * voxel_mm), 0.0), 1.0)
                if share > out[i, j, k]:
                    out[i, j, k] = share


@kernel(fastmath=True)
def _paint_capsule(
    out: Any, bright: Any, affine: Any, window: Any, start: Any, stop: Any, radius: float, level: float, voxel_mm: float
) -> None:
    """Raise each voxel of a window to its share of a rod with round ends, and mark those with the rod's brightness."""
    dx, dy, dz = stop[0] - start[0], stop[1] - start[1], stop[2] - start[2]
    length2 = dx * dx + dy * dy + dz * dz + 1e-12
    for i in range(window[0, 0], window[0, 1]):
        for j in range(window[1, 0], window[1, 1]):
            for k in range(window[2, 0], window[2, 1]):
                px = affine[0, 0] * i + affine[0, 1] * j + affine[0, 2] * k + affine[0, 3] - start[0]
                py = affine[1, 0] * i + affine[1, 1] * j + affine[1, 2] * k + affine[1, 3] - start[1]
                pz = affine[2, 0] * i + affine[2, 1] * j + affine[2, 2] * k + affine[2, 3] - start[2]
                along = min(max((px * dx + py * dy + pz * dz) / length2, 0.0), 1.0)
                qx, qy, qz = px - along * dx, py - along * dy, pz - along * dz
                distance = np.sqrt(qx * qx + qy * qy + qz * qz) - radius
                share = min(max(0.5 - distance / voxel_mm, 0.0), 1.0)
                if share > out[i, j, k]:
                    out[i, j, k] = share
                    bright[i, j, k] = level


# The trunk as the kernels read it: places in the array that `_trunk` makes of a `Torso`.
_HALF_WIDTH, _HALF_DEPTH, _POWER, _WAIST, _CHEST_WALL, _LEFT_DOME, _RIGHT_DOME = range(7)


_DOME_BEHIND = 0.35
"""How far behind the body's middle the left dome is highest, in half depths of the body."""


@kernel(fastmath=True)
def _outline(x: float, y: float, z: float, trunk: Any, inset_mm: float) -> Any:
    """Return the signed distance to the body's superelliptic outline shrunk by an inset, to first order."""
    grow = 1.0 + trunk[_WAIST] * z
    a, b, power = trunk[_HALF_WIDTH] * grow - inset_mm, trunk[_HALF_DEPTH] * grow - inset_mm, trunk[_POWER]
    u, v = abs(x) / a, abs(y) / b
    radius = (u**power + v**power) ** (1.0 / power)
    if radius < 0.05:  # the gradient vanishes on the axis
        return -0.95 * min(a, b)
    gx, gy = (u / radius) ** (power - 1.0) / a, (v / radius) ** (power - 1.0) / b
    return (radius - 1.0) / np.sqrt(gx * gx + gy * gy)


@kernel(fastmath=True)
def _dome(x: float, y: float, trunk: Any) -> Any:
    """Return the height of the diaphragm: the smooth maximum of two domes, parabolas about the lungs' middles.

    The left dome is highest behind the heart, which lies on its front slope: seen from the left and from behind, the
    inferior wall stands behind the abdomen.
    """
    behind = y - _DOME_BEHIND * trunk[_HALF_DEPTH]
    right = trunk[_RIGHT_DOME] - 0.0042 * ((x + 0.48 * trunk[_HALF_WIDTH]) ** 2 + 0.8 * y * y)
    left = trunk[_LEFT_DOME] - 0.0050 * ((x - 0.44 * trunk[_HALF_WIDTH]) ** 2 + 0.8 * behind * behind)
    gap = right - left
    return 0.5 * (right + left) + 0.5 * np.sqrt(gap * gap + 144.0)


@kernel(fastmath=True)
def _compose(layers: Any, breasts: Any, hollow: Any, affine: Any, trunk: Any, voxel_mm: float) -> None:
    """Cut lungs and abdomen at rib cage and diaphragm, add the body, and give each layer what the earlier left.

    `layers` is ordered as STATIC_ORGANS; `hollow` (the mediastinum) is kept free of lung.
    """
    spleen, bowel, stomach, liver, lungs, last = 3, 5, 6, 7, 8, 9
    for i in range(layers.shape[1]):
        for j in range(layers.shape[2]):
            for k in range(layers.shape[3]):
                x = affine[0, 0] * i + affine[0, 1] * j + affine[0, 2] * k + affine[0, 3]
                y = affine[1, 0] * i + affine[1, 1] * j + affine[1, 2] * k + affine[1, 3]
                z = affine[2, 0] * i + affine[2, 1] * j + affine[2, 2] * k + affine[2, 3]
                skin = min(max(0.5 - _outline(x, y, z, trunk, 0.0) / voxel_mm, 0.0), 1.0)
                body = max(skin, breasts[i, j, k])
                if body <= 0.0:
                    for layer in range(last + 1):
                        layers[layer, i, j, k] = 0.0
                    continue
                cut = layers[lungs, i, j, k] > 0.0
                for layer in (spleen, bowel, stomach, liver):
                    cut = cut or layers[layer, i, j, k] > 0.0
                if cut:
                    cage = min(max(0.5 - _outline(x, y, z, trunk, trunk[_CHEST_WALL]) / voxel_mm, 0.0), 1.0)
                    above = min(max(0.5 + 0.9 * (z - _dome(x, y, trunk)) / voxel_mm, 0.0), 1.0)
                    layers[lungs, i, j, k] *= cage * above * (1.0 - hollow[i, j, k])
                    for layer in (spleen, bowel, stomach, liver):
                        layers[layer, i, j, k] *= cage * (1.0 - above)
                free = body
                for layer in range(last):
                    share = min(layers[layer, i, j, k], 1.0) * free
                    layers[layer, i, j, k] = share
                    free -= share
                layers[last, i, j, k] = free


def _trunk(torso: Torso) -> Float:
    outline = (torso.half_width_mm, torso.half_depth_mm, torso.outline_power, torso.waist_per_mm)
    return np.array([*outline, torso.wall_mm, torso.diaphragm_left_mm, torso.diaphragm_right_mm])


def diaphragm_mm(torso: Torso, points_mm: Float) -> Float:
    """Return the height (LPS z, mm) of the diaphragm above or below LPS points (n, 3), shape (n,)."""
    trunk = _trunk(torso)
    return np.array([_dome(x, y, trunk) for x, y, _ in points_mm])


def outside_cage_mm(torso: Torso, points_mm: Float) -> Float:
    """Return how far LPS points (n, 3) lie outside the rib cage, mm, shape (n,): negative inside.

    Exact on the cage and to first order near it.
    """
    trunk = _trunk(torso)
    return np.array([_outline(x, y, z, trunk, trunk[_CHEST_WALL]) for x, y, z in points_mm])


def _paint_solids(out: Float32, grid: Grid, shapes: tuple[EllipsoidShape, ...], width: float) -> None:
    for shape in shapes:
        centre = np.asarray(shape.centre_mm)
        window = _window(grid, centre, max(shape.radii_mm) + width)
        _paint_ellipsoid(out, grid.lps_from_index, window, centre, _unit_from_mm(shape), width)


def _paint_tubes(out: Float32, bright: Float32, grid: Grid, tubes: tuple[Tube, ...], width: float) -> None:
    for tube in tubes:
        points = np.asarray(tube.points_mm)
        for start, stop in pairwise(points):
            reach = 0.5 * np.abs(stop - start) + tube.radius_mm + width
            window = _window(grid, 0.5 * (start + stop), reach)
            _paint_capsule(
                out, bright, grid.lps_from_index, window, start, stop, tube.radius_mm, tube.brightness, width
            )


def static_organs(patient: PatientModel, grid: Grid) -> dict[str, Float32]:
    """Paint everything that does not beat.

    Returns
    -------
    `STATIC_ORGANS` -> occupancy, float32 (planes, rows, columns), plus ``bowel_uptake``: occupancy of the
    bowel times the brightness of its loops. The heart is not yet in it.
    """
    torso = patient.torso
    width = float(np.cbrt(grid.voxel_ml * 1000.0))
    layers = np.zeros((len(STATIC_ORGANS), *grid.shape), dtype=np.float32)
    bright, breasts, hollow = (np.zeros(grid.shape, dtype=np.float32) for _ in range(3))
    for layer, organ in zip(layers, STATIC_ORGANS, strict=True):
        _paint_solids(layer, grid, torso.solids.get(organ, ()), width)
    _paint_solids(breasts, grid, torso.solids.get("breasts", ()), width)
    _paint_solids(hollow, grid, torso.solids.get("mediastinum", ()), width)
    centre, reach = np.asarray(torso.spine_mm), np.array([0.0, 0.0, 400.0])
    columns = ((0, centre, torso.spine_radius_mm), (1, np.asarray(torso.aorta_mm), torso.aorta_radius_mm))
    for index, foot, radius in columns:
        column = Tube((tuple(foot - reach), tuple(foot + reach)), radius)
        _paint_tubes(layers[index], np.zeros(grid.shape, np.float32), grid, (column,), width)
    _paint_tubes(layers[5], bright, grid, torso.loops, width)
    _compose(layers, breasts, hollow, grid.lps_from_index, _trunk(torso), width)
    out = dict(zip(STATIC_ORGANS, layers, strict=True))
    out["bowel_uptake"] = out["bowel"] * bright
    return out


def attenuation_of(occupancy: Mapping[str, Float32], per_mm: Mapping[str, float] = ATTENUATION_PER_MM) -> Float32:
    """Return the linear attenuation, 1/mm, of voxels shared by organs.

    Parameters
    ----------
    occupancy
        Share of each voxel that an organ fills, by organ, all of one shape.
    per_mm
        Attenuation of each tissue, 1/mm (default: at 140.5 keV, Tc-99m); an organ that it lacks is soft tissue.
    """
    first = next(iter(occupancy.values()))
    mu = np.zeros(first.shape, dtype=np.float32)
    for organ, share in occupancy.items():
        mu += share * np.float32(per_mm.get(organ, per_mm["soft"]))
    return mu
