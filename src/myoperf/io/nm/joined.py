"""One NM image that was exported as several files: a file a slice, or a file a gate."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from myoperf.errors import InputError
from myoperf.io.header import copied_header, items, number, numbers, stated_numbers, text_of
from myoperf.io.nm.frames import VECTORS
from myoperf.io.pet.slices import slice_grid
from myoperf.io.scale import PHILIPS_GROUP, value_scale
from myoperf.types import Finding

_GATE_NAME = re.compile(
    r"(?:gate|bin|slot|phase|interval|frame)[ _#-]*"
    r"(?:(?P<gate>\d{1,2})(?!\d|\.\d| ?%)|(?P<letter>[a-p])(?![^\W_]))"
    r"|(?P<share>\d{1,2}(?:\.\d+)?) ?%",
    re.IGNORECASE,
)
_COUNT = re.compile(r"\d+|(?<![^\W_])[A-P](?![^\W_])")
"""What may count gates in a name: numbers, and capitals that stand alone."""
_FEWEST_GATES = 4
"""Fewer files that differ by a number or a letter may be repeated scans."""
_GEOMETRY = ("ImagePositionPatient", "ImageOrientationPatient")
_SCALES = ("RescaleSlope", "RescaleIntercept", "RealWorldValueMappingSequence")


@dataclass(frozen=True, eq=False, kw_only=True)
class JoinedImage:
    """Several files as one multi-frame image.

    Parameters
    ----------
    header
        The first file's, with the vectors and the position of the whole.
    pixels
        Shape (frames, rows, columns), each file's scale applied.
    findings
        What differed between the files.
    """

    header: Dataset
    pixels: NDArray[np.generic]
    findings: tuple[Finding, ...] = ()


def gate_numbers(headers: Sequence[Dataset]) -> tuple[float, ...] | None:
    """Return the order of files that hold a gate each; None where nothing tells the gates apart.

    By Time Slot Vector, else Trigger Time, else a number or a letter behind "gate", "bin" or kin, or a number before a
    per cent sign, in Image ID or the description, else the only number or capital letter of Image ID or the description
    that differs, where it counts the files ("3/8", "G3", "MIBI C"). Letters count from A, which is 1.
    """
    for read in (_time_slot, lambda header: number(header, "TriggerTime"), _gate_in_name):
        found = [read(header) for header in headers]
        order = tuple(value for value in found if value is not None)
        if len(order) == len(headers) == len(set(order)):
            return order
    return _counted_in_name(headers) if len(headers) >= _FEWEST_GATES else None


def _counted_in_name(headers: Sequence[Dataset]) -> tuple[float, ...] | None:
    """Return the number or letter by which the files' names differ, if they count from 1, 0 or A without a gap."""
    for keyword in ("ImageID", "SeriesDescription"):
        texts = [_COUNT.findall(text_of(header, keyword)) for header in headers]
        if len({len(counts) for counts in texts}) > 1:
            continue
        differing = [values for values in zip(*texts, strict=True) if len(set(values)) > 1]
        counts = [_count(value) for value in differing[0]] if len(differing) == 1 else []
        if sorted(counts) in (list(range(len(headers))), list(range(1, len(headers) + 1))):
            return tuple(float(count) for count in counts)
    return None


def _count(text: str) -> int:
    """Return a number, or the place of a letter in the alphabet."""
    return int(text) if text.isdecimal() else ord(text.upper()) - ord("A") + 1


def name_of_all_gates(text: str, *, letters: bool) -> str:
    """Return a name without what may count gates in it: numbers and, if asked for, letters."""
    return _COUNT.sub("", _GATE_NAME.sub("", text)) if letters else re.sub(r"\d+(?:\.\d+)?", "", text)


def names_gate(header: Dataset) -> bool:
    """Whether Image ID or the description names one gate ("gate 3", "bin 3"), whatever Image Type says."""
    match = _gate_match(header)
    return match is not None and match[0].lower().startswith(("gate", "bin"))


def has_one_gate(header: Dataset) -> bool:
    """Whether all frames of a file belong to one time slot."""
    return len(set(numbers(header, "TimeSlotVector"))) <= 1


def join_gates(headers: Sequence[Dataset], pixels: Sequence[NDArray[np.generic]], name: str) -> JoinedImage:
    """Join files that hold one gate each.

    Parameters
    ----------
    headers, pixels
        Of each file; the frames' vectors stay, and Time Slot Vector becomes that of the whole.

    Raises
    ------
    InputError
        When nothing tells the gates apart, their images differ in number or size, or a gate is missing.
    """
    gates = gate_numbers(headers)
    if gates is None or len({array.shape for array in pixels}) > 1:
        raise InputError(f"{name}: the gates' files cannot be joined; export the gates as one file.")
    _refuse_missing_gates(gates, headers[0], name)
    order = np.argsort(gates).tolist()
    header = _unscaled(headers[order[0]])
    frames = pixels[0].shape[0]
    for keyword in VECTORS.values():
        parts = [numbers(headers[i], keyword) for i in order]
        if all(len(part) == frames for part in parts):
            setattr(header, keyword, [int(value) for part in parts for value in part])
    header.TimeSlotVector = np.repeat(np.arange(1, len(order) + 1), frames).tolist()
    header.NumberOfTimeSlots, header.NumberOfFrames = len(order), frames * len(order)
    stacked = np.concatenate([value_scale(headers[i], name).apply(pixels[i]) for i in order])
    return JoinedImage(header=header, pixels=stacked, findings=_geometry_findings(headers))


def _refuse_missing_gates(gates: Sequence[float], first: Dataset, name: str) -> None:
    """Refuse gates of which one is missing, by a gap in their numbers or by Number of Time Slots.

    Trigger times are no numbers of gates: between them more values are missing than there.
    """
    present = {int(gate) for gate in gates}
    missing = sorted(set(range(min(1, *present), max(present) + 1)) - present)
    expected = int(number(first, "NumberOfTimeSlots") or 0)
    gap = 0 < len(missing) < len(present)
    if gap or len(present) < expected:
        which = f"{_gate_label(missing[0], first)} is not" if gap else f"not all of {expected} gates are"
        raise InputError(f"{name}: {which} among the gates' files; export all gates.")


def join_slices(headers: Sequence[Dataset], pixels: Sequence[NDArray[np.generic]], name: str) -> JoinedImage:
    """Join files that hold one slice each, by position and, where gated, by time slot.

    Raises
    ------
    GeometryError, InputError
        As `myoperf.io.pet.slices.slice_grid`: when positions are missing, uneven or too few.
    """
    gated = len({_time_slot(header) for header in headers}) > 1
    places = [_slice_place(header, name, gated=gated) for header in headers]
    grid = slice_grid(places, name)
    order, planes = grid.order.ravel().tolist(), grid.order.shape[1]
    header = _unscaled(headers[order[0]])
    header.NumberOfFrames = len(order)
    header.SliceVector = (np.arange(len(order)) % planes + 1).tolist()
    header.TimeSlotVector = (np.arange(len(order)) // planes + 1).tolist()
    header.SpacingBetweenSlices = f"{np.linalg.norm(grid.lps_from_index[:3, 0]):.9g}"
    detector = Dataset()
    for keyword in _GEOMETRY:
        detector[keyword] = places[order[0]][keyword]
    views = [code for part in items(header, "DetectorInformationSequence") for code in items(part, "ViewCodeSequence")]
    detector.ViewCodeSequence = views
    header.DetectorInformationSequence = [detector]
    stacked = np.concatenate([value_scale(headers[i], name).apply(pixels[i]) for i in order])
    return JoinedImage(header=header, pixels=stacked)


def _slice_place(header: Dataset, name: str, *, gated: bool) -> Dataset:
    """Return a slice's place where `slice_grid` looks for it, that of PET: at the top level."""
    place = Dataset()
    for keyword in _GEOMETRY:
        holders = (*items(header, "DetectorInformationSequence")[:1], header)
        holder = next((h for h in holders if stated_numbers(h, keyword, name)), None)
        if holder is not None:
            place[keyword] = holder[keyword]
    for keyword in ("PixelSpacing", "Rows", "Columns"):
        if keyword in header:
            place[keyword] = header[keyword]
    if gated:
        place.SeriesType, place.TriggerTime = ["GATED", "IMAGE"], str(int(_time_slot(header) or 0))
    return place


def _time_slot(header: Dataset) -> float | None:
    """Return the one time slot of a file's frames."""
    slots = set(numbers(header, "TimeSlotVector"))
    return slots.pop() if len(slots) == 1 else None


def _gate_in_name(header: Dataset) -> float | None:
    """Return the number of a gate in Image ID or the series description."""
    match = _gate_match(header)
    return None if match is None else float(match["share"] or _count(match["gate"] or match["letter"]))


def _gate_match(header: Dataset) -> re.Match[str] | None:
    """Return where Image ID or the series description names a gate."""
    matches = (_GATE_NAME.search(text_of(header, keyword)) for keyword in ("ImageID", "SeriesDescription"))
    return next((match for match in matches if match), None)


def _gate_label(gate: int, like: Dataset) -> str:
    """Return a gate's name, by a letter where another gate's file has one."""
    match = _gate_match(like)
    return f"gate {chr(ord('A') + gate - 1) if match and match['letter'] else gate}"


def _geometry_findings(headers: Sequence[Dataset]) -> tuple[Finding, ...]:
    """Return a warning where the gates' files differ in position, orientation or spacing."""
    first, *others = [_numbers_of_grid(header) for header in headers]
    if all(len(grid) == len(first) and np.allclose(grid, first, atol=0.05) for grid in others):
        return ()
    message = "The gates' files differ in position, orientation or spacing; those of the first gate were used for all."
    return (Finding("gates-geometry-differs", "warning", message),)


def _numbers_of_grid(header: Dataset) -> tuple[float, ...]:
    """Return position, orientation and spacings, in this order."""
    holders = (*items(header, "DetectorInformationSequence"), header)
    place = tuple(value for holder in holders for keyword in _GEOMETRY for value in numbers(holder, keyword))
    return (*place, *numbers(header, "PixelSpacing"), *numbers(header, "SpacingBetweenSlices"))


def _unscaled(header: Dataset) -> Dataset:
    """Return a header's own copy, without the scales that have been applied."""
    unscaled = copied_header(header)
    for tag in list(unscaled.keys()):
        if tag.group == PHILIPS_GROUP or keyword_for_tag(tag) in _SCALES:
            del unscaled[tag]
    return unscaled
