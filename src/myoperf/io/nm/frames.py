"""Frames of an NM file: which energy window, detector, view, gate and slice each one is, and which to use.

Vectors with one number a frame give the order (PS3.3 C.8.4.8); the position in the file means nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset

from myoperf.errors import InputError
from myoperf.io.beats import refuse_missing_gates
from myoperf.io.header import items, number, stated_numbers, text_of
from myoperf.io.kinds import is_gated
from myoperf.io.plausible import MOST_IMAGES
from myoperf.io.quirks import nuclide_from_window_name
from myoperf.io.tracers import NUCLIDES, nuclide_of
from myoperf.types import Finding, Severity

VECTORS = {
    "window": "EnergyWindowVector",
    "detector": "DetectorVector",
    "rotation": "RotationVector",
    "beat": "RRIntervalVector",
    "slot": "TimeSlotVector",
    "slice": "SliceVector",
    "view": "AngularViewVector",
}
_COUNTS = {
    "window": ("NumberOfEnergyWindows", "energy windows"),
    "detector": ("NumberOfDetectors", "detectors"),
    "rotation": ("NumberOfRotations", "rotations"),
    "beat": ("NumberOfRRIntervals", "R-R intervals"),
    "slot": ("NumberOfTimeSlots", "time slots"),
}
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FrameTable:
    """Every frame's energy window, detector, rotation, R-R interval, time slot, slice and view.

    Parameters
    ----------
    index
        Name to an array of shape (frames,), values from 1 as in the file; all 1 where the file has
        no such vector.
    present
        The names of the vectors in the file.
    """

    index: Mapping[str, Ints]
    present: frozenset[str]

    def __getitem__(self, name: str) -> Ints:
        return self.index[name]


def frame_table(dataset: Dataset, name: str, frames: int) -> tuple[FrameTable, tuple[Finding, ...]]:
    """Read the frame vectors.

    A missing Time Slot Vector is replaced by the order of the frames where every view or slice occurs as often as
    there are time slots, with a finding.

    Raises
    ------
    InputError
        When a vector's length is not the number of frames, when its values are not whole numbers from 1, when one is
        missing that the file cannot be read without, or when time slots are.
    """
    index: dict[str, Ints] = {}
    present = set()
    for key, keyword in VECTORS.items():
        values = np.array(stated_numbers(dataset, keyword, name))
        if not values.size:
            index[key] = np.ones(frames, dtype=np.int64)
            continue
        label = dictionary_description(keyword)
        if values.size != frames:
            raise InputError(f"{name}: {label} has {values.size} values for {frames} frames; export the file again.")
        stated = number(dataset, _COUNTS[key][0]) if key in _COUNTS else None
        highest = MOST_IMAGES if key == "slice" else max(frames, int(stated or 0))
        if (values != np.round(values)).any() or values.min() < 1 or values.max() > highest:
            raise InputError(
                f"{name}: {label} has values from {values.min():g} to {values.max():g}; whole numbers from 1 to "
                f"{highest} are expected. Export the file again."
            )
        index[key] = values.astype(np.int64)
        present.add(key)
    if "slot" not in present:
        index["slot"], findings = _slots_in_order(dataset, index, name)
    else:
        findings = ()
        _refuse_missing_vector(dataset, index, name)
    refuse_missing_gates(dataset, np.unique(index["slot"]).size, name, gated=is_gated(dataset))
    return FrameTable(index, frozenset(present)), findings


def _slots_in_order(dataset: Dataset, index: Mapping[str, Ints], name: str) -> tuple[Ints, tuple[Finding, ...]]:
    """Return the time slots of a file without Time Slot Vector: each frame's place among those that are alike."""
    kinds = np.stack(list(index.values()), axis=1)
    alike, occurrences = np.unique(kinds, axis=0, return_inverse=True, return_counts=True)[1:]
    stated = int(number(dataset, "NumberOfTimeSlots") or 1)
    slots = np.ones(len(kinds), dtype=np.int64)
    if stated == 1 or (occurrences == 1).all():
        _refuse_missing_vector(dataset, index, name)
        return slots, ()
    if (occurrences != stated).any():
        raise InputError(
            f"{name}: Time Slot Vector is missing, and its views or slices do not each occur {stated} times, once for "
            "every time slot. Export the file with its vectors."
        )
    for kind in range(occurrences.size):
        slots[alike.ravel() == kind] = np.arange(1, stated + 1)
    message = f"Time Slot Vector is missing: the {stated} time slots were taken in the order of the frames."
    return slots, (Finding("time-slots-in-order", "warning", message),)


def _refuse_missing_vector(dataset: Dataset, index: Mapping[str, Ints], name: str) -> None:
    """Refuse frames that are alike because a vector is missing or constant, by the name of that vector.

    A file may count more than one detector without need of their vector, as reconstructions do.
    """
    kinds = np.stack(list(index.values()), axis=1)
    if len(np.unique(kinds, axis=0)) == len(kinds):
        return
    for key, (keyword, words) in _COUNTS.items():
        stated = number(dataset, keyword) or 1
        if stated > 1 and (index[key] == 1).all():
            raise InputError(
                f"{name}: {dictionary_description(VECTORS[key])} is missing or constant, and the file holds {stated:g} "
                f"{words}: which frame belongs to which is unknown. Export the file with its vectors."
            )


def select_frames(
    dataset: Dataset, table: FrameTable, pixels: NDArray[np.generic]
) -> tuple[NDArray[np.bool_], tuple[Finding, ...]]:
    """Select the frames of one energy window and one R-R interval window.

    The energy window is the one whose limits contain the nuclide's photopeak; where nuclide or limits
    are unknown, the one with most counts, with a warning. The R-R window is the one with most counts.

    Returns
    -------
    (which frames to keep, findings)
    """
    keep, findings = _photopeak_frames(dataset, table, pixels)
    beats = np.unique(table["beat"][keep])
    if beats.size == 1:
        return keep, findings
    counts = [float(pixels[keep & (table["beat"] == beat)].sum(dtype=np.float64)) for beat in beats]
    chosen = beats[int(np.argmax(counts))]
    share = 100.0 * max(counts) / max(sum(counts), 1e-9)
    message = f"The file has {beats.size} R-R interval windows; the one with most counts ({share:.0f} %) was used."
    return keep & (table["beat"] == chosen), (*findings, Finding("rr-windows", "info", message))


def _photopeak_frames(
    dataset: Dataset, table: FrameTable, pixels: NDArray[np.generic]
) -> tuple[NDArray[np.bool_], tuple[Finding, ...]]:
    """Select the frames of the photopeak among several energy windows."""
    windows = np.unique(table["window"])
    if windows.size == 1:
        return np.ones(table["window"].size, dtype=bool), ()
    limits = {int(w): window_limits(dataset, int(w)) for w in windows}
    nuclide_name = nuclide_of(dataset) or ""
    candidates = [w for w in limits if window_holds(dataset, w, nuclide_name)]
    if candidates:
        chosen = min(candidates, key=lambda w: limits[w][1] - limits[w][0] if limits[w] else np.inf)
        severity: Severity = "info"
        why = f"window {chosen} contains the photopeak and was used"
    else:
        chosen = max(limits, key=lambda w: float(pixels[table["window"] == w].sum(dtype=np.float64)))
        severity = "warning"
        why = f"none is known to contain the photopeak, so window {chosen}, which has most counts, was used"
    message = f"The file has {windows.size} energy windows; {why}."
    return table["window"] == chosen, (Finding("energy-windows", severity, message),)


def window_holds(dataset: Dataset, window: int, nuclide: str) -> bool:
    """Whether an energy window holds a radionuclide's photopeak: by its limits, where there are none by its name."""
    limits = window_limits(dataset, window)
    if limits:
        return nuclide in NUCLIDES and limits[0] <= NUCLIDES[nuclide].photopeak_kev <= limits[1]
    described = items(dataset, "EnergyWindowInformationSequence")[window - 1 : window]
    return any(nuclide_from_window_name((text_of(part, "EnergyWindowName"),)) == nuclide for part in described)


def window_limits(dataset: Dataset, window: int) -> tuple[float, ...]:
    """Return an energy window's (lower, upper) limit in keV, or an empty tuple; windows are counted from 1."""
    sequence = items(dataset, "EnergyWindowInformationSequence")
    if not 1 <= window <= len(sequence):
        return ()
    for part in items(sequence[window - 1], "EnergyWindowRangeSequence"):
        lower, upper = number(part, "EnergyWindowLowerLimit"), number(part, "EnergyWindowUpperLimit")
        if lower is not None and upper is not None and upper > lower:
            return lower, upper
    return ()


def stack_frames(
    pixels: NDArray[np.generic], slot: Ints, position: Ints, name: str, *, things: str
) -> NDArray[np.float32]:
    """Return frames stacked by time slot and position, shape (gates, positions, rows, columns).

    Parameters
    ----------
    pixels
        Shape (frames, rows, columns).
    slot
        Each frame's time slot, as in the file.
    position
        Each frame's view or slice, from 0, every number in use.
    things
        What the positions are, for the message.

    Raises
    ------
    InputError
        When a gate lacks a position or has it more than once, or a gate is missing.
    """
    gates, gate = np.unique(slot, return_inverse=True)
    if gates[-1] - gates[0] + 1 != gates.size:
        raise InputError(f"{name}: gates are missing between {gates[0]} and {gates[-1]}; export the file again.")
    filled = np.zeros((gates.size, int(position.max()) + 1), dtype=np.int64)
    np.add.at(filled, (gate, position), 1)
    if (filled != 1).any():
        words = {"missing": int((filled == 0).sum()), "there more than once": int((filled > 1).sum())}
        counts = " and ".join(f"{count} {things} are {what}" for what, count in words.items() if count)
        raise InputError(f"{name}: going by the frame vectors, {counts}; export the file again.")
    array = np.empty((*filled.shape, *pixels.shape[1:]), dtype=np.float32)
    array[gate, position] = pixels
    return array


def gate_duration_ms(dataset: Dataset, gates: int) -> NDArray[np.float64] | None:
    """Return each gate's length (PS3.3 C.8.4.14, NM Multi-gated), shape (gates,); None where the file gives none.

    Time Slot Time of every slot, else Frame Time, else the mean of the R-R limits or the heart rate
    divided by the number of gates.
    """
    for gated in items(dataset, "GatedInformationSequence"):
        for data in items(gated, "DataInformationSequence"):
            slots = [number(slot, "TimeSlotTime") for slot in items(data, "TimeSlotInformationSequence")]
            if len(slots) == gates and all(slot is not None and slot > 0 for slot in slots):
                return np.asarray(slots, dtype=np.float64)
            time = number(data, "FrameTime")
            if time is not None and time > 0:
                return np.full(gates, time)
            low, high = number(data, "LowRRValue"), number(data, "HighRRValue")
            beat = number(data, "NominalInterval") or (0.5 * (low + high) if low and high else None)
            if beat:
                return np.full(gates, beat / gates)
    rate = number(dataset, "HeartRate")
    return np.full(gates, 60000.0 / rate / gates) if rate and 20.0 <= rate <= 250.0 else None
