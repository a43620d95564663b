"""Attenuation: the share of each voxel's photons that reaches the camera, computed from an attenuation map."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from myoperf.errors import InputError
from myoperf.geometry import reslice
from myoperf.recon.system import SystemGeometry
from myoperf.types import Float64, Volume

_HIGHEST_PER_CM = 2.0  # cortical bone has 0.3 at 140 keV; a map with values beyond 2 is in other units


def attenuation_on_grid(
    attenuation: Volume, geometry: SystemGeometry, axis_lps_mm: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Return an attenuation map resampled to the grid of the reconstruction.

    Parameters
    ----------
    attenuation
        One frame, linear attenuation at the energy of the photons in 1/cm (water 0.15 at 140 keV).
    geometry, axis_lps_mm
        Of the projections.

    Returns
    -------
    (rows, columns, columns), 1/mm; 0 (air) outside the map.

    Raises
    ------
    InputError
        When the map has several frames, or values of no tissue: negative, or in Hounsfield units.
    """
    low, high = float(attenuation.array.min()), float(attenuation.array.max())
    if attenuation.frames != 1 or low < 0 or high > _HIGHEST_PER_CM:
        raise InputError(
            f"An attenuation map needs one frame of values in 1/cm (water 0.15 at 140 keV); "
            f"got {attenuation.frames} frame(s) from {low:.3g} to {high:.3g}: convert it first."
        )
    shape = (geometry.rows, geometry.columns, geometry.columns)
    return np.asarray(reslice(attenuation, geometry.lps_from_index(axis_lps_mm), shape).array[0] / 10.0)


def attenuation_factors(
    mu_per_mm: NDArray[np.floating], geometry: SystemGeometry, *, pad_planes: int = 0
) -> NDArray[np.float32]:
    """Return the share of photons that reaches the camera from every voxel: ``exp(-integral of mu)``.

    For each view, planes are rotated so that the camera is at the end of an axis, summed along it
    (a voxel itself counts by half) and rotated back; both rotations are bilinear.

    Parameters
    ----------
    mu_per_mm
        (rows, columns, columns) on the geometry's grid.
    geometry
        Camera and grid.
    pad_planes
        Planes added at both ends, each a copy of the outermost.

    Returns
    -------
    (views, voxels, rows + 2 pad_planes), float32, in (0, 1].
    """
    size, side = geometry.columns, int(np.ceil(geometry.columns * np.sqrt(2.0))) + 2
    planes = np.ascontiguousarray(mu_per_mm.reshape(geometry.rows, -1).T, dtype=np.float32)
    steps = np.arange(side) - 0.5 * (side - 1)
    x, y = (axis / geometry.column_mm for axis in geometry.voxels_mm)
    factors = np.empty((len(geometry.angles_deg), x.size, geometry.rows + 2 * pad_planes), dtype=np.float32)
    for angle, out in zip(np.deg2rad(geometry.angles_deg), factors, strict=True):
        sine, cosine = np.sin(angle), np.cos(angle)
        depth, across = steps[:, None], steps[None, :]
        rotate = _bilinear(depth * cosine + across * sine, depth * sine - across * cosine, size)
        rotated = (rotate @ planes).reshape(side, side, -1)
        to_camera = np.cumsum(rotated[::-1], axis=0)[::-1] - 0.5 * rotated
        rotate_back = _bilinear(x * sine + y * cosine, y * sine - x * cosine, side)
        path = (rotate_back @ to_camera.reshape(side * side, -1)) * np.float32(geometry.column_mm)
        out[:] = np.exp(-np.pad(path, ((0, 0), (pad_planes, pad_planes)), mode="edge"))
    return factors


def _bilinear(row: Float64, column: Float64, size: int) -> sparse.csr_array:
    """Return the matrix that samples a (size, size) plane at positions relative to its centre; 0 outside."""
    middle = 0.5 * (size - 1)
    row, column = row.ravel() + middle, column.ravel() + middle
    top, left = np.floor(row).astype(np.int64), np.floor(column).astype(np.int64)
    sample, pixel, weight = [], [], []
    for down in (0, 1):
        for right in (0, 1):
            r, c = top + down, left + right
            keep = (r >= 0) & (r < size) & (c >= 0) & (c < size)
            share = (1.0 - np.abs(row - r)) * (1.0 - np.abs(column - c))
            sample.append(np.flatnonzero(keep))
            pixel.append((r * size + c)[keep])
            weight.append(share[keep])
    entries = np.concatenate(weight).astype(np.float32), (np.concatenate(sample), np.concatenate(pixel))
    return sparse.coo_array(entries, shape=(row.size, size * size)).tocsr()
