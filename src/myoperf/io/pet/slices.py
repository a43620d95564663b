"""PET slices to `Volume`: sorted by position and time; static, gated or dynamic."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from myoperf.errors import GeometryError, InputError, UnsupportedInputError
from myoperf.geometry import affine_from_axes
from myoperf.io.beats import refuse_missing_gates
from myoperf.io.header import number, numbers, stated_numbers, text_of
from myoperf.io.pet.dynamic import acquisition_moments_ms, activity_factors, check_gaps, frame_starts_ms
from myoperf.io.planes import check_slices, pixel_spacing_mm, plane_axes
from myoperf.io.plausible import check_frames, check_position
from myoperf.io.scale import value_scale
from myoperf.types import Finding, Float, Framing, Volume

_MOST_DRIFT_MM = 1.0
"""Of a slice from the line along the first one's normal; more would shear the volume."""


@dataclass(frozen=True, eq=False)
class SliceGrid:
    """Where each slice of a PET series belongs.

    Parameters
    ----------
    order
        Shape (frames, planes): each slice's position in the list of headers.
    lps_from_index
        Shape (4, 4).
    framing
        Static, gated or dynamic.
    duration_ms
        Shape (frames,) or None.
    start_ms
        Shape (frames,), of time frames; else None.
    factors
        Shape (frames,): factors of the frames' values, or None.
    findings
        What the reader must know about the frames.
    """

    order: NDArray[np.int64]
    lps_from_index: Float
    framing: Framing
    duration_ms: Float | None
    start_ms: Float | None = None
    factors: Float | None = None
    findings: tuple[Finding, ...] = ()


def slice_grid(headers: Sequence[Dataset], name: str) -> SliceGrid:
    """Return a series' slices ordered by position and time, never by their number in the series.

    Parameters
    ----------
    headers
        One for each slice, in any order.
    name
        A file's name, for messages.

    Raises
    ------
    GeometryError
        When orientation, position or spacing is missing or differs, or slices are not evenly spaced.
    InputError
        When the slices do not form complete frames.
    """
    first = headers[0]
    axes = plane_axes(stated_numbers(first, "ImageOrientationPatient", name), name)
    spacing = pixel_spacing_mm(first, name)
    _refuse_different_slices(headers, name)
    positions = np.array([numbers(header, "ImagePositionPatient") for header in headers])
    depth = positions @ axes[0]
    aside = positions - positions[0] - np.outer(depth - depth[0], axes[0])
    if np.abs(aside).max() > _MOST_DRIFT_MM:
        raise GeometryError(f"{name}: the slices are shifted against each other, as with a tilted gantry.")
    planes, plane = _levels(depth)
    if planes.size < 3:
        what = "a single slice is" if planes.size == 1 else f"{planes.size} slices are"
        raise UnsupportedInputError(f"{name}: {what} not a volume; give the whole series.")
    steps = np.diff(planes)
    if np.ptp(steps) > 0.05 * np.median(steps) + 0.02:
        raise GeometryError(f"{name}: slices {steps.min():.2f} to {steps.max():.2f} mm apart; some are missing.")
    _refuse_whole_body(first, float(planes[-1] - planes[0]), name)
    frames = len(headers) // planes.size
    check_frames(frames, name)
    time, framing = _frame_times(headers, plane, planes.size, frames, name)
    order = np.empty((frames, planes.size), dtype=np.int64)
    order[time, plane] = np.arange(len(headers))
    affine = np.asarray(affine_from_axes(positions[order[0, 0]], axes, (float(steps.mean()), *spacing)))
    leading = [headers[i] for i in order[:, 0]]
    if framing == "gated" and number(first, "NumberOfRRIntervals") in (None, 1.0):
        refuse_missing_gates(first, frames, name, gated=True)
    findings = check_slices(first, planes.size)
    grid = SliceGrid(order, affine, framing, _durations(leading, framing), findings=findings)
    return _with_timing(grid, leading) if framing == "dynamic" else grid


def _refuse_different_slices(headers: Sequence[Dataset], name: str) -> None:
    """Refuse slices that cannot be of one image: of other orientation, size, spacing, unit or patient, or nowhere."""
    first = headers[0]
    for header in headers:
        same = _same_orientation(header, first)
        if not same or any(number(header, side) != number(first, side) for side in ("Rows", "Columns")):
            raise GeometryError(f"{name}: the series' slices differ in orientation or size.")
        spacing = stated_numbers(header, "PixelSpacing", name)
        if len(spacing) != 2 or not np.allclose(spacing, numbers(first, "PixelSpacing"), rtol=1e-3):
            raise GeometryError(f"{name}: the series' slices differ in Pixel Spacing.")
        if len(stated_numbers(header, "ImagePositionPatient", name)) != 3:
            raise GeometryError(f"{name}: Image Position is missing in a slice; a position is never guessed.")
        check_position("Image Position", numbers(header, "ImagePositionPatient"), name)
    for keyword, what in (("Units", "have several units"), ("PatientID", "are of several patients")):
        if len({text_of(header, keyword) for header in headers} - {""}) > 1:
            raise InputError(f"{name}: the series' slices {what}; export the series again.")


def _with_timing(grid: SliceGrid, leading: Sequence[Dataset]) -> SliceGrid:
    """Return the grid with what flow needs of time frames: their starts and factors. `leading` are first slices."""
    findings: tuple[Finding, ...] = ()
    expected = number(leading[0], "NumberOfTimeSlices")
    if expected is not None and expected != len(leading):
        text = f"The dynamic series should have {expected:.0f} time frames; it has {len(leading)}."
        findings = (Finding("time-frames-missing", "warning", text),)
    starts = None if grid.duration_ms is None else frame_starts_ms(leading, grid.duration_ms)
    if starts is None or grid.duration_ms is None:
        return replace(grid, findings=grid.findings + findings)
    findings = findings or check_gaps(starts, grid.duration_ms)
    factors, factor_findings = activity_factors(leading, starts, grid.duration_ms)
    return replace(grid, start_ms=starts, factors=factors, findings=grid.findings + findings + factor_findings)


def volume_from_slices(
    grid: SliceGrid, headers: Sequence[Dataset], pixels: Sequence[NDArray[np.generic]], name: str
) -> Volume:
    """Return the volume of decoded slices, each with its own scale (PS3.3 C.8.9.4)."""
    rows, columns = pixels[0].shape
    array = np.empty((*grid.order.shape, rows, columns), dtype=np.float32)
    for index in np.ndindex(*grid.order.shape):
        position = int(grid.order[index])
        array[index] = value_scale(headers[position], name).apply(pixels[position])
    if grid.factors is not None:
        array *= grid.factors.astype(np.float32)[:, None, None, None]
    return Volume(array, grid.lps_from_index)


def _same_orientation(header: Dataset, other: Dataset) -> bool:
    """Whether two slices are parallel."""
    first, second = (numbers(h, "ImageOrientationPatient") for h in (header, other))
    return len(first) == len(second) and np.allclose(first, second, atol=1e-3)


def _levels(depth: Float) -> tuple[Float, NDArray[np.int64]]:
    """Group depths closer than 0.05 mm; return the levels and each slice's level."""
    order = np.argsort(depth)
    label = np.cumsum(np.diff(depth[order], prepend=depth[order][0]) > 0.05)
    level = np.empty(depth.size, dtype=np.int64)
    level[order] = label
    return np.array([depth[level == k].mean() for k in range(int(label[-1]) + 1)]), level


def _refuse_whole_body(header: Dataset, length_mm: float, name: str) -> None:
    """Refuse a whole-body series longer than any heart study."""
    if text_of(header, "SeriesType").upper().find("WHOLE BODY") >= 0 and length_mm > 500.0:
        raise UnsupportedInputError(f"{name}: a whole-body PET of {length_mm:.0f} mm, not a cardiac study.")


def _frame_times(
    headers: Sequence[Dataset], plane: NDArray[np.int64], planes: int, frames: int, name: str
) -> tuple[NDArray[np.int64], Framing]:
    """Return each slice's frame, by the first attribute that sorts them into complete frames, and the framing."""
    at_position = np.bincount(plane)
    if np.ptp(at_position):
        stated = number(headers[0], "NumberOfTimeSlices") or number(headers[0], "NumberOfTimeSlots")
        usual = int(stated) if stated and stated in at_position else int(np.median(at_position))
        kinds = {"missing": int((at_position < usual).sum()), "there more than once": int((at_position > usual).sum())}
        what = " and ".join(f"at {count} of them slices are {words}" for words, count in kinds.items() if count)
        raise InputError(
            f"{name}: {len(headers)} slices at {planes} positions do not form complete frames: {what}. Export the "
            "series again."
        )
    if frames == 1:
        return np.zeros(len(headers), dtype=np.int64), "static"
    kind = text_of(headers[0], "SeriesType").upper()
    gated = "GATED" in kind or ("DYNAMIC" not in kind and len({number(h, "TriggerTime") for h in headers}) == frames)
    keys = ("TriggerTime", "ImageIndex") if gated else ("FrameReferenceTime", "AcquisitionTime", "ImageIndex")
    for keyword in keys:
        moments = _moments(headers, keyword)
        if moments is None:
            continue
        if keyword == "ImageIndex":  # PS3.3 C.8.9.4.1.9: slices vary fastest, then slots, then R-R windows, then time
            moments = np.floor((moments - moments.min()) / planes)
        distinct, frame = np.unique(moments, return_inverse=True)
        if distinct.size == frames and np.unique(frame * planes + plane).size == len(headers):
            return frame.astype(np.int64), "gated" if gated else "dynamic"
    raise InputError(
        f"{name}: {frames} frames at one position and nothing to order them by (no usable reference or "
        "acquisition times); export the series again."
    )


def _moments(headers: Sequence[Dataset], keyword: str) -> Float | None:
    """Return an attribute of every slice as a sortable number; None where a slice lacks it."""
    if keyword == "AcquisitionTime":
        return acquisition_moments_ms(headers)
    values = [number(header, keyword) for header in headers]
    return None if any(value is None for value in values) else np.asarray(values, dtype=np.float64)


def _durations(headers: Sequence[Dataset], framing: Framing) -> Float | None:
    """Return the frames' durations in ms: Frame Time of gates, Actual Frame Duration of time frames."""
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
