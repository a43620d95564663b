"""PET slices to `Volume`: ordered by geometry, static, gated or dynamic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from myoperf.errors import GeometryError, InputError, UnsupportedInputError
from myoperf.io.header import items, number, numbers, text_of
from myoperf.io.nm.frames import pixel_spacing
from myoperf.io.pet.dynamic import activity_factors, frame_starts_ms
from myoperf.io.planes import plane_axes, stack_affine
from myoperf.types import Finding, Float, Framing, Volume

__all__ = ["SliceGrid", "slice_grid", "volume_from_slices"]


@dataclass(frozen=True, eq=False)
class SliceGrid:
    """Where each slice of a PET series belongs.

    Parameters
    ----------
    order
        Shape (frames, planes): the number of the slice in the list given.
    lps_from_index
        Shape (4, 4).
    framing
        Static, gated or dynamic.
    duration_ms
        Shape (frames,) or None.
    start_ms
        Shape (frames,), of time frames; else None.
    factors
        Shape (frames,): what the frames' values are multiplied with.
    findings
        What of the frames is to be known.
    """

    order: NDArray[np.int64]
    lps_from_index: Float
    framing: Framing
    duration_ms: Float | None
    start_ms: Float | None = None
    factors: Float | None = None
    findings: tuple[Finding, ...] = ()


def slice_grid(headers: Sequence[Dataset], name: str) -> SliceGrid:
    """Order a series' slices by where they lie and when they were taken, never by their number in the series.

    Parameters
    ----------
    headers
        One a slice, in any order.
    name
        A file's name, for messages.

    Raises
    ------
    GeometryError
        When orientation, position or spacing is missing or differs, or slices are not evenly spaced.
    InputError
        When the slices do not make whole frames.
    """
    first = headers[0]
    axes = plane_axes(numbers(first, "ImageOrientationPatient"), name)
    spacing = pixel_spacing(first, name)
    for header in headers:
        same = _same_orientation(header, first)
        if not same or any(number(header, side) != number(first, side) for side in ("Rows", "Columns")):
            raise GeometryError(f"{name}: the series' slices differ in orientation or size.")
        if len(numbers(header, "ImagePositionPatient")) != 3:
            raise GeometryError(f"{name}: Image Position is missing in a slice; its place is never guessed.")
    positions = np.array([numbers(header, "ImagePositionPatient") for header in headers])
    depth = positions @ axes[0]
    planes, plane = _levels(depth)
    if planes.size < 3:
        raise UnsupportedInputError(f"{name}: {planes.size} slice(s) are no volume; give the whole series.")
    steps = np.diff(planes)
    if np.ptp(steps) > 0.05 * np.median(steps) + 0.02:
        raise GeometryError(f"{name}: slices {steps.min():.2f} to {steps.max():.2f} mm apart; some are missing.")
    _refuse_whole_body(first, float(planes[-1] - planes[0]), name)
    frames = len(headers) // planes.size
    time, framing = _frame_times(headers, plane, planes.size, frames, name)
    order = np.empty((frames, planes.size), dtype=np.int64)
    order[time, plane] = np.arange(len(headers))
    affine = stack_affine(axes, positions[order[0, 0]], float(steps.mean()), spacing)
    leading = [headers[i] for i in order[:, 0]]
    grid = SliceGrid(order, affine, framing, _durations(leading, framing))
    return _timed(grid, leading) if framing == "dynamic" else grid


def _timed(grid: SliceGrid, leading: Sequence[Dataset]) -> SliceGrid:
    """Add what makes time frames fit for flow: their starts, and decay and counts brought to one measure."""
    findings: tuple[Finding, ...] = ()
    told = number(leading[0], "NumberOfTimeSlices")
    if told is not None and told != len(leading):
        text = f"The dynamic series speaks of {told:.0f} time frames; {len(leading)} are there."
        findings = (Finding("time-frames-missing", "warning", text),)
    starts = None if grid.duration_ms is None else frame_starts_ms(leading, grid.duration_ms)
    if starts is None or grid.duration_ms is None:
        return replace(grid, findings=findings)
    factors, said = activity_factors(leading, starts, grid.duration_ms)
    return replace(grid, start_ms=starts, factors=factors, findings=(*findings, *said))


def volume_from_slices(
    grid: SliceGrid, headers: Sequence[Dataset], pixels: Sequence[NDArray[np.generic]], name: str
) -> Volume:
    """Stack decoded slices with each slice's own rescale slope and intercept (PS3.3 C.8.9.4).

    Raises
    ------
    InputError
        When the volume holds no counts.
    """
    rows, columns = pixels[0].shape
    array = np.empty((*grid.order.shape, rows, columns), dtype=np.float32)
    for place in np.ndindex(*grid.order.shape):
        at = int(grid.order[place])
        slope = number(headers[at], "RescaleSlope")
        array[place] = pixels[at].astype(np.float64) * (1.0 if slope is None else slope) + (
            number(headers[at], "RescaleIntercept") or 0.0
        )
    if grid.factors is not None:
        array *= grid.factors.astype(np.float32)[:, None, None, None]
    if array.max() <= 0 or array.max() == array.min():
        raise InputError(f"{name}: the series holds no counts.")
    return Volume(array, grid.lps_from_index)


def _same_orientation(header: Dataset, other: Dataset) -> bool:
    """Whether two slices lie parallel."""
    mine, its = numbers(header, "ImageOrientationPatient"), numbers(other, "ImageOrientationPatient")
    return len(mine) == len(its) and np.allclose(mine, its, atol=1e-3)


def _levels(depth: Float) -> tuple[Float, NDArray[np.int64]]:
    """Group depths closer than 0.05 mm: (the levels, each slice's level)."""
    order = np.argsort(depth)
    label = np.cumsum(np.diff(depth[order], prepend=depth[order][0]) > 0.05)
    level = np.empty(depth.size, dtype=np.int64)
    level[order] = label
    return np.array([depth[level == k].mean() for k in range(int(label[-1]) + 1)]), level


def _refuse_whole_body(header: Dataset, length_mm: float, name: str) -> None:
    """Refuse a whole-body series longer than any heart study."""
    if text_of(header, "SeriesType").upper().find("WHOLE BODY") >= 0 and length_mm > 500.0:
        raise UnsupportedInputError(f"{name}: a whole-body PET of {length_mm:.0f} mm, not a study of the heart.")


def _frame_times(
    headers: Sequence[Dataset], plane: NDArray[np.int64], planes: int, frames: int, name: str
) -> tuple[NDArray[np.int64], Framing]:
    """Tell each slice's frame by the first attribute that sorts them into whole frames."""
    if frames * planes != len(headers) or (np.bincount(plane) != frames).any():
        raise InputError(f"{name}: {len(headers)} slices at {planes} positions make no whole frames; some are missing.")
    if frames == 1:
        return np.zeros(len(headers), dtype=np.int64), "static"
    kind = text_of(headers[0], "SeriesType").upper()
    gated = "GATED" in kind or ("DYNAMIC" not in kind and len({number(h, "TriggerTime") for h in headers}) == frames)
    keys = ("TriggerTime", "ImageIndex") if gated else ("FrameReferenceTime", "AcquisitionTime", "ImageIndex")
    for keyword in keys:
        values = [_sortable(header, keyword) for header in headers]
        if any(value is None for value in values):
            continue
        moments = np.asarray(values, dtype=np.float64)
        if keyword == "ImageIndex":  # PS3.3 C.8.9.4.1.9: slices vary fastest, then slots, then R-R windows, then time
            moments = np.floor((moments - moments.min()) / planes)
        distinct, frame = np.unique(moments, return_inverse=True)
        if distinct.size == frames and np.unique(frame * planes + plane).size == len(headers):
            return frame.astype(np.int64), "gated" if gated else "dynamic"
    raise InputError(f"{name}: {frames} frames at one place and nothing to order them by; export it again.")


def _sortable(header: Dataset, keyword: str) -> float | None:
    """Give a moment as a number; a DICOM time as seconds."""
    if keyword != "AcquisitionTime":
        return number(header, keyword)
    text = text_of(header, keyword)
    try:
        return int(text[0:2]) * 3600.0 + int(text[2:4]) * 60.0 + float(text[4:])
    except ValueError:
        return None


def _durations(headers: Sequence[Dataset], framing: Framing) -> Float | None:
    """Give the frames' lengths: Frame Time of a gate, Actual Frame Duration of a time frame, in ms."""
    if framing == "static":
        return None
    keyword = "FrameTime" if framing == "gated" else "ActualFrameDuration"
    values = [number(header, keyword) for header in headers]
    if all(value is not None and value > 0 for value in values):
        return np.asarray(values, dtype=np.float64)
    beat = number(headers[0], "NominalInterval")
    if framing == "gated" and beat and beat > 0:
        return np.full(len(headers), beat / len(headers))
    return None


def is_attenuation_corrected(header: Dataset) -> bool:
    """Whether Corrected Image says ATTN, or attenuation correction is described."""
    return "ATTN" in text_of(header, "CorrectedImage") or bool(items(header, "AttenuationCorrectionSourceSequence"))
