"""Files that are parts of one scan: single slices, and gates that were exported as files or series of their own."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from myoperf.io.header import number, numbers, text_of
from myoperf.io.kinds import image_name, is_attenuation_corrected, is_gated, position_of
from myoperf.io.nm.joined import gate_numbers, has_one_gate
from myoperf.io.state import detect_state

Files = Sequence[tuple[Path, Dataset]]
Key = tuple[object, ...]


def is_single_slice(header: Dataset) -> bool:
    """Whether an NM file holds one image, as workstations export reconstructions slice by slice."""
    return number(header, "NumberOfFrames") in (None, 1.0)


def with_gates_joined(scans: Iterable[Files]) -> list[list[tuple[Path, Dataset]]]:
    """Return the files of scans, those that hold one gate each of the same scan together.

    They must agree in study, state, position, correction, size and name (numbers apart) and be told apart as gates;
    otherwise they stay scans of their own.
    """
    joined: list[list[tuple[Path, Dataset]]] = []
    gates: dict[Key, list[Files]] = {}
    for files in scans:
        key = _gate_key(files)
        if key is None:
            joined.append(list(files))
        else:
            gates.setdefault(key, []).append(files)
    for parts in gates.values():
        first = [files[0][1] for files in parts]
        together = len(parts) > 1 and gate_numbers(first) is not None
        joined += [[file for files in parts for file in files]] if together else [list(files) for files in parts]
    return joined


def _gate_key(files: Files) -> Key | None:
    """Return what the gates of one scan have in common; None where the files are no single gate."""
    header = files[0][1]
    pet = text_of(header, "SeriesType").upper()
    if pet:
        one_gate = "GATED" in pet and len({number(h, "TriggerTime") for _, h in files}) == 1
        place: Key = tuple(sorted(numbers(h, "ImagePositionPatient") for _, h in files))
    else:
        one_gate, place = len(files) == 1 and is_gated(header) and has_one_gate(header), ()
    if not one_gate:
        return None
    size = tuple(number(header, keyword) for keyword in ("NumberOfFrames", "Rows", "Columns"))
    condition = (detect_state(header)[0], position_of(header), is_attenuation_corrected(header))
    name = re.sub(r"\d+(?:\.\d+)?", "", image_name(header))
    return text_of(header, "SOPClassUID"), text_of(header, "StudyInstanceUID"), size, place, condition, name
