"""Slices of the ventricle as the clinic lays them out: evenly spaced, equally large, centred on the long axis."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from myoperf.geometry import horizontal_long_axis, index_from_lps, reslice, transform_points, vertical_long_axis
from myoperf.types import MYOCARDIUM, Float, LVFrame, ScanResult, Volume

_PAST_APEX_MM = 5.0
_PAST_BASE_MM = 2.0


@dataclass(frozen=True)
class Extent:
    """How far slices must reach to show one or more ventricles, in mm from the middle of the long axis.

    Parameters
    ----------
    septal_lateral, inferior_anterior
        (low, high) along the lateral and the anterior direction.
    field_mm
        Side of the square field of every slice.
    """

    septal_lateral: tuple[float, float]
    inferior_anterior: tuple[float, float]
    field_mm: float

    def long_axis_offsets(self, plane: str, count: int) -> Float:
        """Place `count` planes from septal to lateral (``"vla"``) or inferior to anterior (``"hla"``)."""
        low, high = self.septal_lateral if plane == "vla" else self.inferior_anterior
        return np.linspace(0.92 * low, 0.92 * high, count)

    def short_axis_offsets(self, frame: LVFrame, count: int) -> Float:
        """Place `count` planes from just before the apex to just past the base of this frame."""
        half = 0.5 * frame.length_mm
        return np.linspace(-half - _PAST_APEX_MM, half + _PAST_BASE_MM, count)


def extent_of(results: tuple[ScanResult, ...]) -> Extent:
    """Return one extent for several scans, so that their slices share one scale."""
    lateral = [_reach(r, r.frame.lateral) for r in results]
    anterior = [_reach(r, r.frame.anterior) for r in results]
    longest = max(r.frame.length_mm for r in results)
    sides = [(min(low for low, _ in pairs), max(high for _, high in pairs)) for pairs in (lateral, anterior)]
    widest = max(abs(edge) for side in sides for edge in side)
    field = float(np.clip(max(2.0 * widest + 24.0, longest + 24.0), 80.0, 170.0))
    return Extent(sides[0], sides[1], field)


def _reach(result: ScanResult, direction: Float) -> tuple[float, float]:
    """Measure how far the labelled wall reaches from the long axis along a direction (1st to 99th percentile)."""
    voxels = np.argwhere(result.labels.array[0] == MYOCARDIUM)
    if voxels.shape[0] < 8:
        return -32.0, 32.0
    points = transform_points(result.labels.lps_from_index, voxels) - result.frame.centre_mm
    low, high = np.percentile(points @ direction, (1.0, 99.0))
    return float(np.clip(low, -70.0, -16.0)), float(np.clip(high, 16.0, 70.0))


def views_of(short_axis: Volume) -> dict[str, Volume]:
    """Return the short-axis volume and its two long-axis views as ``"sa"``, ``"vla"`` and ``"hla"``."""
    static = short_axis.summed()
    return {"sa": static, "vla": vertical_long_axis(static), "hla": horizontal_long_axis(static)}


def plane_tiles(
    view: Volume, centre_mm: Float, offsets_mm: Float, *, field_mm: float, pixels: int = 96, order: int = 3
) -> Float:
    """Cut evenly spaced planes out of a volume, smoothly interpolated.

    Parameters
    ----------
    view
        Its index axes are (slice, row, column) of the picture wanted.
    centre_mm
        LPS point in the middle of every picture and at offset zero.
    offsets_mm
        Shape (slices,), evenly spaced along the first index axis.
    field_mm, pixels
        Side of the square picture.
    order
        Spline order.

    Returns
    -------
    Array of shape (slices, pixels, pixels), not negative.
    """
    step = view.spacing_mm
    centre = transform_points(index_from_lps(view.lps_from_index), centre_mm)
    between = float(offsets_mm[1] - offsets_mm[0]) if len(offsets_mm) > 1 else 1.0
    pixel = field_mm / pixels
    scale = np.array([between, pixel, pixel]) / step
    first = np.array([offsets_mm[0], 0.5 * (pixel - field_mm), 0.5 * (pixel - field_mm)]) / step
    shape = (len(offsets_mm), pixels, pixels)
    planes, rows, columns = (
        _interpolation(size, count, float(start), float(stride), order)
        for size, count, start, stride in zip(view.grid_shape, shape, centre + first, scale, strict=True)
    )
    tiles = rows @ np.tensordot(planes, view.array[0].astype(np.float32), axes=1) @ columns.T
    return np.asarray(np.maximum(tiles, 0.0))


def _interpolation(size: int, count: int, first: float, step: float, order: int) -> Float:
    """Return the matrix (count, size) that reads a spline through `size` samples at first, first + step, ...

    Zero beyond the samples. Splines along perpendicular axes do not mix, so three small products cut a stack of planes.
    """
    at = np.meshgrid(first + step * np.arange(count), np.arange(size), indexing="ij")
    return np.asarray(ndimage.map_coordinates(np.eye(size, dtype=np.float32), at, order=order, mode="constant"))


def label_on_short_axis(result: ScanResult, label: int, labels: Volume | None = None) -> Volume:
    """Resample one label to the short-axis grid, as a smooth fraction from 0 to 1."""
    given = labels or result.labels
    mask = given.with_array((given.array == label).astype(np.float32))
    return reslice(mask, result.short_axis.lps_from_index, result.short_axis.grid_shape)


def lv_maximum(result: ScanResult) -> float:
    """Return the highest value in the labelled wall on the short axis, or in the whole volume where there is none."""
    values = result.short_axis.summed().array[0]
    wall = values[label_on_short_axis(result, MYOCARDIUM).array[0] > 0.5]
    highest = float(wall.max()) if wall.size else float(values.max())
    return highest if highest > 0 else 1.0
