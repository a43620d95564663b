"""Pose and cavity of a left ventricle from a mask of its wall alone."""

import numpy as np

from myoperf.errors import AnalysisError, InputError
from myoperf.geometry import index_from_lps, largest_piece, transform_points
from myoperf.lv.labels import paint_labels
from myoperf.lv.refine import fit_bullet
from myoperf.types import BLOOD_POOL, MYOCARDIUM, Float, LVFrame, Volume
from myoperf.ventricle.bullet import Bullet, rays_over_bullet
from myoperf.ventricle.fit import bend_sheet

MOST_FROM_POSE = 4000
"""Most voxels that a fit from a known pose uses; few walls have more."""
FEW_POINTS = 600


def _wall_points(mask: Volume) -> Float:
    """Return the LPS positions (n, 3) of the largest connected piece of the wall."""
    if mask.frames != 1:
        raise InputError(f"A wall mask has one frame; got {mask.frames}.")
    piece = largest_piece(mask.array[0] == MYOCARDIUM)
    if not piece.any():
        raise AnalysisError("The mask of the wall is empty; no pose can be taken from it.")
    points = transform_points(mask.lps_from_index, np.argwhere(piece))
    if len(points) < 50 or np.linalg.matrix_rank(points - points.mean(axis=0), tol=1.0) < 3:
        raise AnalysisError(f"A wall of {len(points)} voxels is too small to take a pose from; 50 are needed.")
    return points


def _thinned(mask: Volume, points: Float) -> Float:
    """Leave out whole diagonal layers of voxels where there are too many.

    Layers depend on a voxel's place alone. Leaving out every n-th of a list would select different voxels
    as soon as one is added at its start, which moved the long axis by up to 2 degrees.
    """
    every = -(-len(points) // MOST_FROM_POSE)
    if every == 1:
        return points
    index = np.rint(transform_points(index_from_lps(mask.lps_from_index), points)).astype(int)
    return np.asarray(points[index.sum(axis=1) % every == 0])


def _fit(points: Float, near: LVFrame | None = None) -> Bullet:
    """Fit a bullet to wall points, started from a pose, or else from both ends of each principal axis as the apex."""
    if near is not None:
        return _fit_along(points, near.axis)[1]
    _, vectors = np.linalg.eigh(np.cov((points - points.mean(axis=0)).T))
    few = points[:: len(points) // FEW_POINTS + 1]  # enough to tell which start is the best
    _, best = min((_fit_along(few, axis) for axis in (*vectors.T, *-vectors.T)), key=lambda fit: fit[0])
    return fit_bullet(points[:: len(points) // 3000 + 1], best)[1]


def _fit_along(points: Float, axis: Float) -> tuple[float, Bullet]:
    """Fit a bullet started along an axis, the apex at its low end; return the mean distance and the bullet."""
    centre = points.mean(axis=0)
    along = (points - centre) @ axis
    across = np.linalg.norm(points - centre - along[:, None] * axis, axis=1)
    radius = float(np.percentile(across, 60))
    low, high = np.percentile(along, (1, 99))
    cap = min(1.25 * radius, 0.7 * float(high - low))
    hub = centre + (float(low) + cap) * axis
    return fit_bullet(points, Bullet(hub, axis, radius, cap, max(float(high - low) - cap, 5.0)))


def _rim(points: Float, bullet: Bullet) -> Float:
    """Return the height above the hub at which the wall ends in each of 12 sectors; NaN where a sector is bare."""
    offset = points - bullet.hub_mm
    along = offset @ bullet.axis
    radial = offset - along[:, None] * bullet.axis
    one = np.cross(bullet.axis, np.eye(3)[int(np.argmin(np.abs(bullet.axis)))])
    turn = np.arctan2(radial @ np.cross(bullet.axis, one), radial @ one)
    sector = np.floor((turn + np.pi) / (2 * np.pi) * 12).astype(int) % 12
    outer = np.linalg.norm(radial, axis=1) > 0.4 * bullet.radius_mm
    return np.array(
        [
            np.percentile(along[outer & (sector == k)], 98) if (outer & (sector == k)).sum() > 5 else np.nan
            for k in range(12)
        ]
    )


def frame_from_mask(mask: Volume, *, near: LVFrame | None = None) -> LVFrame:
    """Estimate the pose from the geometry of a wall mask.

    A bullet (half ellipsoid and cylinder) is fitted to all wall voxels by robust least squares,
    started from both ends of each principal axis; the closed end is the apex. The apex is the
    bullet's tip (mid-wall), the base the median over sectors of where the wall ends, and the anterior
    direction follows from the patient's axes (`myoperf.geometry.anterior_direction`).

    Parameters
    ----------
    mask
        One frame; 1 in the wall. Only its largest connected piece is used.
    near
        A pose close to the true one: the fit starts only from there, which is several times faster. Of
        more than 4,000 voxels, layers are left out.

    Raises
    ------
    AnalysisError
        When the mask is empty or too small.
    InputError
        When it has several frames.
    """
    points = _wall_points(mask)
    bullet = _fit(points) if near is None else _fit(_thinned(mask, points), near)
    ends = _rim(points, bullet)
    end = float(np.nanmedian(ends)) + 0.5 * float(mask.spacing_mm.min())
    end = max(end, 0.2 * bullet.radius_mm)
    return Bullet(bullet.hub_mm, bullet.axis, bullet.radius_mm, bullet.cap_mm, end).frame()


def cavity_from_wall(mask: Volume, frame: LVFrame) -> Volume:
    """Return labels of wall (1) and blood pool (2) from a mask of the wall alone.

    The pool is what lies inside the mid-wall surface and apical to the mitral plane of `frame`. Gaps in
    the wall (a defect that was not drawn) are bridged by a smooth surface.

    Parameters
    ----------
    mask
        One frame; 1 in the wall.
    frame
        Its pose, for instance from `frame_from_mask`.

    Returns
    -------
    uint8 on the mask's grid; the wall is kept as given.
    """
    points = _wall_points(mask)
    fitted = _fit(_thinned(mask, points), near=frame)
    cap = float(np.clip((fitted.hub_mm - frame.apex_mm) @ frame.axis, 5.0, 0.9 * frame.length_mm))
    hub = frame.apex_mm + cap * frame.axis
    bullet = Bullet(hub, frame.axis, fitted.radius_mm, cap, frame.length_mm - cap)
    rays = rays_over_bullet(bullet, frame.anterior, step_mm=3.0)
    shape = bullet.radius_along(rays)
    ring, angle, distance, height = rays.locate(points)
    cell = np.rint(ring).astype(int) * rays.angles + np.rint(angle).astype(int) % rays.angles
    kept = height <= bullet.base_mm
    hits = np.bincount(cell[kept], minlength=shape.size).reshape(shape.shape)
    total = np.bincount(cell[kept], weights=distance[kept], minlength=shape.size).reshape(shape.shape)
    middle = np.where(hits > 0, total / np.maximum(hits, 1), shape)
    middle = bend_sheet(middle, np.minimum(hits, 3), shape, stiffness=1.0)
    rim = np.full(rays.angles, bullet.base_mm)
    inside = paint_labels(mask, rays, inner_mm=middle, outer_mm=middle, rim_mm=rim).array[0] > 0
    wall = mask.array[0] == MYOCARDIUM
    labels = np.where(wall, MYOCARDIUM, np.where(inside, BLOOD_POOL, 0)).astype(np.uint8)
    return mask.with_array(labels)
