"""Files that are parts of one scan: single slices, and gates that were exported as files or series of their own."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset

from myoperf.io.header import number, numbers, text_of
from myoperf.io.kinds import image_name, is_attenuation_corrected, is_gated, position_of
from myoperf.io.nm.joined import gate_numbers, has_one_gate, name_of_all_gates, names_gate
from myoperf.io.state import detect_state

Files = Sequence[tuple[Path, Dataset]]
Key = tuple[object, ...]
_FEWEST_UNMARKED = 3
"""Fewer scans named "gate 1", "gate 2" that Image Type does not call gated may be repeated ones."""


def is_single_slice(header: Dataset) -> bool:
    """Whether an NM file holds one image, as workstations export reconstructions slice by slice."""
    return number(header, "NumberOfFrames") in (None, 1.0)


def with_gates_joined(scans: Iterable[Files]) -> list[list[tuple[Path, Dataset]]]:
    """Return the files of scans, those that hold one gate each of the same scan together.

    They must agree in study, state, position, correction, size and name, and it must be clear which gate each holds;
    otherwise they stay scans of their own. Names are compared whole first, then without numbers, then without letters
    that may count the gates: "Rest 1" and "Rest 2" may be two scans, of which something else tells the gates.
    """
    waiting = list(scans)
    joined: list[list[tuple[Path, Dataset]]] = []
    for name_of_scan in (str, partial(name_of_all_gates, letters=False), partial(name_of_all_gates, letters=True)):
        gates: dict[Key | int, list[Files]] = {}
        for place, files in enumerate(waiting):
            gates.setdefault(_gate_key(files, name_of_scan) or place, []).append(files)
        waiting = []
        for parts in gates.values():
            if _are_gates(parts):
                joined.append([file for files in parts for file in files])
            else:
                waiting += parts
    return joined + [list(files) for files in waiting]


def _are_gates(scans: Sequence[Files]) -> bool:
    """Whether scans that may be gates of one scan can be distinguished as such."""
    headers = [files[0][1] for files in scans]
    fewest = 2 if all(text_of(h, "SeriesType") or is_gated(h) for h in headers) else _FEWEST_UNMARKED
    return len(scans) >= fewest and gate_numbers(headers) is not None


def _gate_key(files: Files, name_of_scan: Callable[[str], str]) -> Key | None:
    """Return what the gates of one scan have in common; None where the files are no single gate."""
    header = files[0][1]
    pet = text_of(header, "SeriesType").upper()
    if pet:
        one_gate = "GATED" in pet and len({number(h, "TriggerTime") for _, h in files}) == 1
        place: Key = tuple(sorted(numbers(h, "ImagePositionPatient") for _, h in files))
    else:
        one_gate = len(files) == 1 and (is_gated(header) or names_gate(header)) and has_one_gate(header)
        place = ()
    if not one_gate:
        return None
    size = tuple(number(header, keyword) for keyword in ("NumberOfFrames", "Rows", "Columns"))
    condition = (detect_state(header)[0], position_of(header), is_attenuation_corrected(header))
    name = name_of_scan(image_name(header))
    return text_of(header, "SOPClassUID"), text_of(header, "StudyInstanceUID"), size, place, condition, name
