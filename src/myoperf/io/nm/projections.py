"""Raw NM tomography (TOMO, GATED TOMO) to `Projections`: views joined over detectors and sorted by angle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from myoperf.errors import GeometryError, InputError
from myoperf.io.header import items, number, numbers, text_of
from myoperf.io.nm.frames import FrameTable, beat_choice, frame_table, pixel_spacing, window_choice
from myoperf.io.quirks import first_start_angle, orbit_radii, rotation_sign, view_ranks
from myoperf.types import Finding, Projections

__all__ = ["projections_from"]

_EMPTY = Dataset()


@dataclass(frozen=True, eq=False)
class _Views:
    """The views of one detector in one rotation.

    Parameters
    ----------
    labels
        Values of Angular View Vector, in order.
    angles_deg
        Their angles.
    sign
        +1 where the angle rises.
    radii
        One a view, or None.
    """

    detector: int
    rotation: int
    labels: tuple[int, ...]
    angles_deg: NDArray[np.float64]
    sign: int
    radii: tuple[float, ...] | None
    no_radius: str


def projections_from(
    dataset: Dataset, pixels: NDArray[np.generic], name: str
) -> tuple[Projections, tuple[Finding, ...]]:
    """Build the projections of a raw NM file.

    Parameters
    ----------
    dataset
        Header with the NM modules of PS3.3 C.8.4.
    pixels
        Shape (frames, rows, columns).
    name
        The file's name, for messages.

    Returns
    -------
    (projections with counts as float32, findings)

    Raises
    ------
    GeometryError
        When start angle, step, direction or spacing is missing, or arc and step disagree.
    InputError
        When views are missing, counts are negative or there are none.
    """
    if pixels.min() < 0:
        raise InputError(f"{name}: negative counts in raw projections; export the file again.")
    if not pixels.any():
        raise InputError(f"{name}: no counts in any projection.")
    table = frame_table(dataset, name, pixels.shape[0])
    keep, findings = window_choice(dataset, table, pixels)
    keep, more = beat_choice(table, pixels, keep)
    spacing = pixel_spacing(dataset, name)
    views = _all_views(dataset, table, keep, name)
    array = _gather(table, pixels, keep, views, name)
    angles = np.concatenate([part.angles_deg for part in views])
    order = _along_orbit(angles, views[0].sign)
    flip, axis_z = _rows_and_height(dataset, spacing[0], pixels.shape[1])
    array = array[:, order, ::-1] if flip else array[:, order]
    radius, said = _radius(views, order)
    projections = Projections(array, angles[order] % 360.0, spacing, radius, (0.0, 0.0, axis_z))
    return projections, findings + more + said + _orientation_finding(dataset, views) + _arc_finding(angles)


def _all_views(dataset: Dataset, table: FrameTable, keep: NDArray[np.bool_], name: str) -> list[_Views]:
    """Work out the views of every (rotation, detector) pair in the file."""
    pairs = sorted({(int(r), int(d)) for r, d in zip(table["rotation"][keep], table["detector"][keep], strict=True)})
    labels: dict[tuple[int, int], tuple[int, ...]] = {}
    for pair in pairs:
        here = keep & (table["rotation"] == pair[0]) & (table["detector"] == pair[1])
        labels[pair] = tuple(int(view) for view in np.unique(table["view"][here]))
    total = sum(len(value) for value in labels.values())
    return [_views_of(dataset, pair, labels, total, name) for pair in pairs]


def _views_of(
    dataset: Dataset, pair: tuple[int, int], labels: dict[tuple[int, int], tuple[int, ...]], total: int, name: str
) -> _Views:
    """Work out one detector's views in one rotation (PS3.3 C.8.4.11 detector, C.8.4.12 rotation)."""
    rotation_number, detector_number = pair
    rotations, detectors = items(dataset, "RotationInformationSequence"), items(dataset, "DetectorInformationSequence")
    if not 1 <= rotation_number <= len(rotations):
        raise GeometryError(f"{name}: rotation {rotation_number} is not described; angles are missing.")
    rotation = rotations[rotation_number - 1]
    detector = detectors[detector_number - 1] if 1 <= detector_number <= len(detectors) else _EMPTY
    mine = labels[pair]
    own, common = number(detector, "StartAngle"), number(rotation, "StartAngle")
    first = number(rotations[0], "StartAngle")
    start = first_start_angle(own, common, 0.0 if common is None or first is None else common - first)
    step, sign = number(rotation, "AngularStep"), rotation_sign(text_of(rotation, "RotationDirection"))
    for value, keyword in ((start, "Start Angle"), (step or None, "Angular Step"), (sign, "Rotation Direction")):
        if value is None:
            raise GeometryError(f"{name}: {keyword} is missing or unusable; export the file with its rotation.")
    if start is None or step is None or sign is None:  # told above; narrows the types
        raise GeometryError(f"{name}: the angles are missing.")
    heads = [other for other in labels if other[0] == rotation_number and other[1] != detector_number]
    if own is None and any(set(labels[other]) & set(mine) for other in heads):
        raise GeometryError(f"{name}: detector {detector_number} has no Start Angle of its own.")
    _check_arc(number(rotation, "ScanArc"), abs(step), len(mine), total, name)
    ranks = view_ranks(mine, own_start=own is not None or not heads)
    angles = start + sign * abs(step) * np.asarray(ranks, dtype=np.float64)
    values = numbers(detector, "RadialPosition") or numbers(rotation, "RadialPosition")
    if len(values) == total > len(mine):
        done = sum(len(labels[other]) for other in sorted(labels) if other < pair)
        values = values[done : done + len(mine)]
    radii, why = orbit_radii(values, len(mine))
    return _Views(detector_number, rotation_number, mine, angles, sign, radii, why)


def _check_arc(arc: float | None, step: float, views: int, total: int, name: str) -> None:
    """Refuse an arc that the step and the number of views do not make.

    Scan Arc is written for one head or for all, and from first to last view or a step beyond: all
    four are believed.
    """
    spans = [count * step for count in (views, views - 1, total, total - 1)]
    if arc:
        if min(abs(span - abs(arc)) for span in spans) > 0.1 * step + 0.5:
            message = f"{views} views of {step:g} degrees do not make a scan arc of {abs(arc):g} degrees"
            raise GeometryError(f"{name}: {message}; export the file again.")
    elif views * step > 360.0 + 0.5 * step:
        raise GeometryError(f"{name}: {views} views of {step:g} degrees exceed a turn and no scan arc is given.")


def _gather(
    table: FrameTable, pixels: NDArray[np.generic], keep: NDArray[np.bool_], views: list[_Views], name: str
) -> NDArray[np.float32]:
    """Put every frame at its (gate, view): shape (gates, views, rows, columns)."""
    slots = np.unique(table["slot"][keep])
    total = sum(len(part.labels) for part in views)
    array = np.zeros((slots.size, total, *pixels.shape[1:]), dtype=np.float32)
    filled = np.zeros((slots.size, total), dtype=np.int64)
    offset, place = 0, {}
    for part in views:
        place.update({(part.rotation, part.detector, label): offset + k for k, label in enumerate(part.labels)})
        offset += len(part.labels)
    for frame in np.flatnonzero(keep):
        key = (int(table["rotation"][frame]), int(table["detector"][frame]), int(table["view"][frame]))
        at = int(np.searchsorted(slots, table["slot"][frame])), place[key]
        array[at] = pixels[frame]
        filled[at] += 1
    if (filled != 1).any():
        message = f"{int((filled == 0).sum())} views are missing and {int((filled > 1).sum())} stand twice"
        raise InputError(f"{name}: {message} (frames told apart by their vectors); export the file again.")
    return array


def _along_orbit(angles: NDArray[np.float64], sign: int) -> NDArray[np.int64]:
    """Sort views along the orbit: from the far side of its largest gap, in the direction of rotation."""
    turned = np.round(sign * angles, 6) % 360.0
    order = np.argsort(turned, kind="stable")
    gaps = np.diff(turned[order], append=turned[order][0] + 360.0)
    if gaps.max() - np.median(gaps) < 1e-3 or np.isclose(gaps, gaps.max(), atol=1e-3).sum() > 1:
        after = int(np.flatnonzero(order == 0)[0])  # a full turn: keep the file's first view first
    else:
        after = (int(np.argmax(gaps)) + 1) % order.size
    return np.roll(order, -after)


def _rows_and_height(dataset: Dataset, row_mm: float, rows: int) -> tuple[bool, float]:
    """Tell whether rows run towards the head, and the height of the middle row.

    Image Orientation of the first detector (PS3.3 C.8.4.11): rows along -z start at the head, as
    `Projections` wants; along +z they have to be turned. Without an orientation along the axis the
    rows start at the head, as PS3.3 C.8.4.8 has projections displayed, and the height is 0.
    """
    detector = next(iter(items(dataset, "DetectorInformationSequence")), _EMPTY)
    cosines, position = numbers(detector, "ImageOrientationPatient"), numbers(detector, "ImagePositionPatient")
    if len(cosines) != 6 or abs(cosines[5]) < 0.9:
        return False, 0.0
    down = float(np.sign(cosines[5]))
    height = position[2] + down * row_mm * (rows - 1) / 2.0 if len(position) == 3 else 0.0
    return down > 0, height


def _orientation_finding(dataset: Dataset, views: list[_Views]) -> tuple[Finding, ...]:
    """Say so where a detector's Image Orientation contradicts its start angle."""
    detectors = items(dataset, "DetectorInformationSequence")
    for part in views:
        cosines = (
            numbers(detectors[part.detector - 1], "ImageOrientationPatient") if part.detector <= len(detectors) else ()
        )
        if len(cosines) != 6 or min(abs(cosines[0]), abs(cosines[1])) < 0.05:
            continue  # a constant like (1, 0, 0) says nothing of the detector
        first = np.deg2rad(part.angles_deg[0])
        if -np.cos(first) * cosines[0] + np.sin(first) * cosines[1] < 0.9:
            message = "The detector's Image Orientation contradicts its Start Angle; the Start Angle was used."
            return (Finding("detector-orientation", "warning", message),)
    return ()


def _radius(views: list[_Views], order: NDArray[np.int64]) -> tuple[NDArray[np.float64] | None, tuple[Finding, ...]]:
    """Join the radii of all views, or say why there are none."""
    radii: list[float] = []
    for part in views:
        if part.radii is None:
            message = f"No orbit radius ({part.no_radius}); the collimator's blur cannot follow the distance."
            return None, (Finding("no-radius", "info", message),)
        radii.extend(part.radii)
    return np.asarray(radii)[order], ()


def _arc_finding(angles: NDArray[np.float64]) -> tuple[Finding, ...]:
    """Warn where the views cover less than half a turn."""
    turned = np.sort(angles % 360.0)
    gaps = np.diff(turned, append=turned[0] + 360.0)
    covered = 360.0 - float(gaps.max()) + float(np.median(gaps))
    if covered >= 175.0:
        return ()
    return (Finding("short-arc", "warning", f"The views cover {covered:.0f} degrees; a faithful image needs 180."),)
