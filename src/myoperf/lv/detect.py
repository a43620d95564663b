"""Candidates for the left ventricle: matched filters over places, sizes and directions of the long axis."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from myoperf.geometry import affine_from_axes, reslice, transform_points
from myoperf.types import Float, Volume
from myoperf.ventricle.bullet import TYPICAL_AXIS, Bullet

GRID_MM = 8.0
"""Spacing of the coarse grid on which places are compared."""
WALL_SIGMA_MM = 6.5
"""SD of a 10 mm wall's profile at 10 to 13 mm resolution."""
SUPPORT_MM = 15.0
"""How far from the mid-wall the image is compared."""
RADII_MM = (16.0, 20.0, 25.0, 31.0, 38.0)
CAP_RATIO, LENGTH_RATIO = 1.3, 2.6
"""Cap and whole length over the mid-wall radius."""
CONE_DEG = 65.0
"""Largest angle of a long axis to the typical one."""


def axis_directions(total: int = 90) -> Float:
    """Return apex-to-base directions spread evenly over a cone about the typical one.

    Parameters
    ----------
    total
        Points of the Fibonacci lattice on the whole sphere; about 0.29 of them lie in the cone.

    Returns
    -------
    Shape (n, 3), LPS unit vectors.
    """
    k = np.arange(total) + 0.5
    z = 1 - 2 * k / total
    turn = np.pi * (1 + np.sqrt(5.0)) * k
    ring = np.sqrt(1 - z**2)
    sphere = np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)
    inside = sphere @ TYPICAL_AXIS > np.cos(np.deg2rad(CONE_DEG))
    return np.concatenate([TYPICAL_AXIS[None], sphere[inside]])


def prepare(volume: Volume, *, spacing_mm: float = 4.0, sigma_mm: float = 3.0) -> Volume:
    """Resample to the static, non-negative image on cubes along the patient's axes, without spikes, lightly smoothed.

    A median over a voxel and its six neighbours takes out single hot voxels and lines but keeps
    sheets, even when the wall is one voxel thick.
    """
    static = np.clip(volume.summed().array[0].astype(np.float32), 0.0, None)
    cross = ndimage.generate_binary_structure(3, 1)
    if min(volume.spacing_mm) > 1.5 and min(static.shape) >= 3:
        static = ndimage.median_filter(static, footprint=cross)
    static = ndimage.gaussian_filter(static, sigma_mm / volume.spacing_mm)
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in static.shape], indexing="ij"), axis=-1).reshape(-1, 3)
    world = transform_points(volume.lps_from_index, corners)
    low, high = world.min(axis=0), world.max(axis=0)
    nx, ny, nz = (int(np.floor(v)) + 1 for v in (high - low) / spacing_mm)
    axes = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    return reslice(volume.with_array(static), affine_from_axes(low, axes, spacing_mm), (nz, ny, nx))


def _template(axis: Float, radius: float) -> tuple[Float, Float]:
    """Return wall weights and support of a bullet on the coarse grid, centred on the middle of its long axis."""
    cap, length = CAP_RATIO * radius, LENGTH_RATIO * radius
    half = int(np.ceil((0.5 * length + SUPPORT_MM) / GRID_MM)) + 1
    line = np.arange(-half, half + 1) * GRID_MM
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    points = np.stack([x, y, z], axis=-1)
    hub = (cap - 0.5 * length) * axis
    distance = Bullet(hub, axis, radius, cap, length - cap).distance_mm(points)
    along = (points - hub) @ axis
    wall = np.exp(-0.5 * (distance / WALL_SIGMA_MM) ** 2)
    wall = wall / (1 + np.exp((along - (length - cap)) / 3.0))
    support = (distance < SUPPORT_MM) & (along < length - cap + SUPPORT_MM)
    weights = np.where(support, wall, 0.0)
    weights = np.where(support, weights - weights.sum() / support.sum(), 0.0)
    return weights / np.linalg.norm(weights), support.astype(np.float64)


def _correlate(spectrum: NDArray[Any], kernel: Float, shape: tuple[int, ...], grid: tuple[int, ...]) -> Float:
    """Correlate with an odd cubic kernel through the Fourier domain, cropped to the image's grid."""
    half = kernel.shape[0] // 2
    padded = np.zeros(shape, dtype=np.float32)
    padded[: kernel.shape[0], : kernel.shape[1], : kernel.shape[2]] = kernel
    full = fft.irfftn(spectrum * np.conj(fft.rfftn(padded)), s=shape)
    full = np.roll(full, (half, half, half), axis=(0, 1, 2))
    return np.asarray(full[tuple(slice(0, n) for n in grid)])


def candidates(image: Volume, *, count: int = 24) -> list[tuple[float, Bullet]]:
    """Return places, sizes and directions that look like a left ventricle.

    The image's square root (so that hot liver or bowel counts for less) is compared with each
    bullet by normalised cross-correlation: the local mean and spread drop out.

    Parameters
    ----------
    image
        From `prepare`.
    count
        How many at most; they differ by 16 mm, 40 degrees or a third in size.

    Returns
    -------
    Correlation and bullet of each, best first.
    """
    step = round(GRID_MM / float(image.spacing_mm[0]))
    smooth = ndimage.uniform_filter(image.array[0], step)[step // 2 :: step, step // 2 :: step, step // 2 :: step]
    affine = image.lps_from_index.copy()
    affine[:3, 3] = transform_points(affine, (step // 2 - 0.5 * (1 - step % 2),) * 3)
    affine[:3, :3] *= step
    root = np.sqrt(np.maximum(smooth, 0.0)).astype(np.float32)
    grid = root.shape
    biggest = 2 * (int(np.ceil((0.5 * LENGTH_RATIO * RADII_MM[-1] + SUPPORT_MM) / GRID_MM)) + 1) + 1
    shape = tuple(fft.next_fast_len(n + biggest // 2, real=True) for n in grid)
    padded = np.zeros(shape, dtype=np.float32)
    padded[tuple(slice(0, n) for n in grid)] = root
    spectrum, spectrum_square = fft.rfftn(padded), fft.rfftn(padded**2)
    floor = 1e-3 * float(root.max()) ** 2 + 1e-12
    matches: list[tuple[float, int, Float, float]] = []
    for radius in RADII_MM:
        for axis in axis_directions():
            weights, support = _template(axis, radius)
            mean = _correlate(spectrum, support / support.sum(), shape, grid)
            square = _correlate(spectrum_square, support / support.sum(), shape, grid)
            spread = np.sqrt(np.maximum(square - mean**2, floor) * support.sum())
            match = _correlate(spectrum, weights, shape, grid) / spread
            top = np.argpartition(match.ravel(), -12)[-12:]
            matches += [(float(match.ravel()[i]), int(i), axis, radius) for i in top]
    matches.sort(key=lambda item: -item[0])
    chosen: list[tuple[float, Bullet]] = []
    for value, place, axis, radius in matches:
        centre = transform_points(affine, np.array(np.unravel_index(place, grid), dtype=float))
        cap, length = CAP_RATIO * radius, LENGTH_RATIO * radius
        bullet = Bullet(centre + (cap - 0.5 * length) * axis, axis, radius, cap, length - cap)
        if all(_differ(bullet, other) for _, other in chosen):
            chosen.append((value, bullet))
        if len(chosen) == count:
            break
    return chosen


def _differ(one: Bullet, two: Bullet) -> bool:
    """Return whether two candidates differ enough to refine both."""
    far = np.linalg.norm(one.hub_mm - two.hub_mm) > 16.0
    turned = float(one.axis @ two.axis) < np.cos(np.deg2rad(40.0))
    sized = abs(np.log(one.radius_mm / two.radius_mm)) > 0.3
    return bool(far or turned or sized)
