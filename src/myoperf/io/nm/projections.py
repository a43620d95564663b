"""Raw NM tomography (TOMO, GATED TOMO) to `Projections`: views joined over detectors and sorted by angle."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from myoperf.errors import GeometryError, InputError
from myoperf.io.header import has_value, items, number, numbers, stated_number, text_of
from myoperf.io.nm.collimator import axis_offset_findings, axis_offset_mm, refuse_other_collimators
from myoperf.io.nm.frames import FrameTable, frame_table, select_frames, stack_frames
from myoperf.io.nm.windows import photopeak_kev, windows_beside
from myoperf.io.planes import pixel_spacing_mm
from myoperf.io.plausible import check_angle, check_position, check_projections
from myoperf.io.quirks import first_start_angle, orbit_radii, rotation_sign, view_ranks
from myoperf.io.scale import value_scale
from myoperf.types import Finding, Projections

_EMPTY = Dataset()


@dataclass(frozen=True, eq=False)
class _Views:
    """The views of one detector in one rotation.

    Parameters
    ----------
    labels
        Values of Angular View Vector, in order.
    angles_deg
        Shape (views,).
    sign
        +1 where the angle rises, -1 where it falls.
    radii_mm
        One a view, or None.
    why_no_radii
        Why there are none, in words.
    axis_offset_mm
        Where the detector sees the axis of rotation.
    collimator
        Its name, empty where the file gives none.
    """

    detector: int
    rotation: int
    labels: tuple[int, ...]
    angles_deg: NDArray[np.float64]
    sign: int
    radii_mm: tuple[float, ...] | None
    why_no_radii: str
    axis_offset_mm: float
    collimator: str


def projections_from(
    dataset: Dataset, pixels: NDArray[np.generic], name: str
) -> tuple[Projections, tuple[Finding, ...]]:
    """Return the projections of a raw NM file.

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
    (projections with counts as float32, their scale applied; findings)

    Raises
    ------
    GeometryError
        When start angle, step, direction or spacing is missing, or arc and step disagree.
    InputError
        When views are missing, counts are negative or there are none.
    UnsupportedInputError
        When the collimator is not a parallel-hole one.
    """
    collimator_findings = refuse_other_collimators(dataset, name)
    counts = value_scale(dataset, name).apply(pixels)
    if counts.min() < 0:
        raise InputError(f"{name}: negative counts in raw projections; export the file again.")
    if not counts.any():
        raise InputError(f"{name}: no counts in any projection.")
    table, table_findings = frame_table(dataset, name, pixels.shape[0])
    keep, frame_findings = select_frames(dataset, table, counts)
    spacing = pixel_spacing_mm(dataset, name)
    views = _all_views(dataset, table, keep, name)
    array = stack_frames(counts[keep], table["slot"][keep], _positions(table, keep, views), name, things="views")
    angles = np.concatenate([part.angles_deg for part in views])
    order = _along_orbit(angles, views[0].sign)
    flip, axis_z = _rows_and_height(dataset, spacing[0], pixels.shape[1], name)
    array = array[:, order, ::-1] if flip else array[:, order]
    radius, radius_findings = _radius(views, order)
    offsets = np.concatenate([np.full(len(part.labels), part.axis_offset_mm) for part in views])[order]
    heads = np.concatenate([np.full(len(part.labels), part.detector) for part in views])[order]
    names = {part.collimator for part in views}
    peak = photopeak_kev(dataset, table, keep)
    beside = windows_beside(dataset, table, keep, counts, keys=_keys(views))
    projections = Projections(
        array,
        angles[order] % 360.0,
        spacing,
        radius,
        (0.0, 0.0, axis_z),
        offsets if offsets.any() else None,
        heads if np.unique(heads).size > 1 else None,
        (names.pop() or None) if len(names) == 1 else None,
        window_kev=peak,
        scatter_windows=tuple(
            replace(one, counts=one.counts[order, ::-1] if flip else one.counts[order]) for one in beside
        ),
    )
    check_projections(projections, name)
    findings = collimator_findings + table_findings + frame_findings + radius_findings
    findings += axis_offset_findings(tuple(part.axis_offset_mm for part in views))
    return projections, findings + _orientation_finding(dataset, views) + _arc_finding(angles)


def _all_views(dataset: Dataset, table: FrameTable, keep: NDArray[np.bool_], name: str) -> list[_Views]:
    """Return the views of every (rotation, detector) pair in the file."""
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
    """Return one detector's views in one rotation (PS3.3 C.8.4.11 detector, C.8.4.12 rotation)."""
    rotation_number, detector_number = pair
    rotations, detectors = items(dataset, "RotationInformationSequence"), items(dataset, "DetectorInformationSequence")
    if not 1 <= rotation_number <= len(rotations):
        raise GeometryError(f"{name}: rotation {rotation_number} is not described; angles are missing.")
    rotation = rotations[rotation_number - 1]
    detector = detectors[detector_number - 1] if 1 <= detector_number <= len(detectors) else _EMPTY
    views = labels[pair]
    of_detector, of_rotation = (stated_number(part, "StartAngle", name) for part in (detector, rotation))
    first = number(rotations[0], "StartAngle")
    shift = 0.0 if of_rotation is None or first is None else of_rotation - first
    start = first_start_angle(of_detector, of_rotation, shift)
    step, sign = stated_number(rotation, "AngularStep", name), rotation_sign(text_of(rotation, "RotationDirection"))
    if start is None or not step or sign is None:
        missing = "Start Angle" if start is None else "Rotation Direction" if step else "Angular Step"
        stated = sign is None and step and start is not None and text_of(rotation, "RotationDirection")
        what = "is neither CW nor CC" if stated else "is missing or 0" if missing == "Angular Step" else "is missing"
        raise GeometryError(f"{name}: {missing} {what}; export the file with its rotation.")
    other_heads = [key for key in labels if key[0] == rotation_number and key[1] != detector_number]
    if of_detector is None and any(set(labels[head]) & set(views) for head in other_heads):
        raise GeometryError(f"{name}: detector {detector_number} has no Start Angle; export the file with its angles.")
    check_angle("Start Angle", start, name)
    check_angle("Angular Step", step, name)
    _check_arc(number(rotation, "ScanArc"), abs(step), len(views), total, name)
    ranks = view_ranks(views, own_start=of_detector is not None or not other_heads)
    angles = start + sign * abs(step) * np.asarray(ranks, dtype=np.float64)
    values = numbers(detector, "RadialPosition") or numbers(rotation, "RadialPosition")
    if len(values) == total > len(views):
        before = sum(len(labels[key]) for key in labels if key < pair)
        values = values[before : before + len(views)]
    radii, why_none = orbit_radii(values, len(views))
    if not values and any(has_value(part, "RadialPosition") for part in (detector, rotation)):
        why_none = "the radial position is not a number as DICOM writes it"
    offset = axis_offset_mm(detector, name)
    collimator = text_of(detector, "CollimatorGridName")
    return _Views(detector_number, rotation_number, views, angles, sign, radii, why_none, offset, collimator)


def _check_arc(arc: float | None, step: float, views: int, total: int, name: str) -> None:
    """Refuse a Scan Arc that does not match the step and the number of views.

    It may cover one head or all, and end at the last view or a step beyond: all four are accepted.
    """
    spans = [count * step for count in (views, views - 1, total, total - 1)]
    if arc:
        if min(abs(span - abs(arc)) for span in spans) > 0.1 * step + 0.5:
            message = f"{views} views {step:g} degrees apart do not fit the scan arc of {abs(arc):g} degrees"
            raise GeometryError(f"{name}: {message}; export the file again.")
    elif views * step > 360.0 + 0.5 * step:
        raise GeometryError(
            f"{name}: {views} views {step:g} degrees apart exceed a full turn, and no scan arc is given."
        )


def _positions(table: FrameTable, keep: NDArray[np.bool_], views: list[_Views]) -> NDArray[np.int64]:
    """Return every kept frame's position among the views of all detectors and rotations."""
    position = {key: index for index, key in enumerate(_keys(views))}
    frames = zip(*(table[name][keep].tolist() for name in ("rotation", "detector", "view")), strict=True)
    return np.array([position[frame] for frame in frames], dtype=np.int64)


def _keys(views: list[_Views]) -> list[tuple[int, int, int]]:
    """Return (rotation, detector, label) of all views, in the order in which they are stacked."""
    return [(part.rotation, part.detector, label) for part in views for label in part.labels]


def _along_orbit(angles: NDArray[np.float64], sign: int) -> NDArray[np.int64]:
    """Return the views' order along the orbit: from the far side of its largest gap, in the direction of rotation."""
    turned = np.round(sign * angles, 6) % 360.0
    order = np.argsort(turned, kind="stable")
    gaps = np.diff(turned[order], append=turned[order][0] + 360.0)
    if gaps.max() - np.median(gaps) < 1e-3 or np.isclose(gaps, gaps.max(), atol=1e-3).sum() > 1:
        after = int(np.flatnonzero(order == 0)[0])  # a full turn: keep the file's first view first
    else:
        after = (int(np.argmax(gaps)) + 1) % order.size
    return np.roll(order, -after)


def _rows_and_height(dataset: Dataset, row_mm: float, rows: int, name: str) -> tuple[bool, float]:
    """Return whether the rows must be flipped to start at the head, and the height of the middle row in mm.

    Image Orientation of the first detector decides (PS3.3 C.8.4.11): rows along -z start at the head,
    as in `Projections`; rows along +z must be flipped. Without an orientation along the axis, rows
    start at the head, as PS3.3 C.8.4.8 has projections displayed, and the height is 0.
    """
    detector = next(iter(items(dataset, "DetectorInformationSequence")), _EMPTY)
    cosines, position = numbers(detector, "ImageOrientationPatient"), numbers(detector, "ImagePositionPatient")
    if len(cosines) != 6 or abs(cosines[5]) < 0.9:
        return False, 0.0
    check_position("Image Position", position, name)
    down = float(np.sign(cosines[5]))
    height = position[2] + down * row_mm * (rows - 1) / 2.0 if len(position) == 3 else 0.0
    return down > 0, height


def _orientation_finding(dataset: Dataset, views: list[_Views]) -> tuple[Finding, ...]:
    """Return a finding where a detector's Image Orientation contradicts its start angle."""
    detectors = items(dataset, "DetectorInformationSequence")
    for part in views:
        cosines = (
            numbers(detectors[part.detector - 1], "ImageOrientationPatient") if part.detector <= len(detectors) else ()
        )
        if len(cosines) != 6 or min(abs(cosines[0]), abs(cosines[1])) < 0.05:
            continue  # a constant such as (1, 0, 0) is no detector's orientation
        first = np.deg2rad(part.angles_deg[0])
        if -np.cos(first) * cosines[0] + np.sin(first) * cosines[1] < 0.9:
            message = "The detector's Image Orientation contradicts its Start Angle; the Start Angle was used."
            return (Finding("detector-orientation", "warning", message),)
    return ()


def _radius(views: list[_Views], order: NDArray[np.int64]) -> tuple[NDArray[np.float64] | None, tuple[Finding, ...]]:
    """Return the radii of all views in mm, or None and a finding that says why."""
    radii: list[float] = []
    for part in views:
        if part.radii_mm is None:
            message = (
                f"The orbit's radius is unknown ({part.why_no_radii}), so the collimator's blur cannot be modelled."
            )
            return None, (Finding("no-radius", "info", message),)
        radii.extend(part.radii_mm)
    return np.asarray(radii)[order], ()


def _arc_finding(angles: NDArray[np.float64]) -> tuple[Finding, ...]:
    """Return a warning where the views cover less than half a turn."""
    turned = np.sort(angles % 360.0)
    gaps = np.diff(turned, append=turned[0] + 360.0)
    covered = 360.0 - float(gaps.max()) + float(np.median(gaps))
    if covered >= 175.0:
        return ()
    return (
        Finding("short-arc", "warning", f"The views cover {covered:.0f} degrees; a reliable reconstruction needs 180."),
    )
