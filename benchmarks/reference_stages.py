"""What `references.py` reads from the files that `myoperf` writes, sorted into stages of plain values.

A stage has up to four sections, each a mapping from a key to a value: "numbers" (compared within a tolerance),
"exact" (compared for equality; a list line by line), "masks" (whole label arrays) and "messages" (sentences).
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom

__all__ = ["Stages", "describe_inputs", "describe_results", "put", "put_value", "unpack_mask"]

Stages = dict[str, dict[str, dict[str, Any]]]
"""Stage -> section -> key -> value."""

_SAMPLES, _FEWER_SAMPLES = 400, 150
_INTERVAL = ("value", "low", "high", "sd")
_DROPPED = ("study_uid", "patient_id", "timings_s", "peak_memory_mb", "myoperf", "command")
"""Keys of results.json whose values name a patient or differ from run to run."""
_MESSAGES = ("message", "reason", "summary")
"""Keys of results.json that hold sentences."""


def describe_results(folder: Path) -> Stages:
    """Return the stages of everything that ``myoperf analyze`` wrote into a folder, pictures and pages left out."""
    stages: Stages = {}
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    put(stages, "files", "exact", "names", [str(file.relative_to(folder)) for file in files])
    for file in files:
        stage = str(file.relative_to(folder))
        if file.name == "results.json":
            _describe_numbers(stages, json.loads(file.read_text(encoding="utf-8")))
        elif file.suffix == ".dcm":
            _describe_dicom(stages, stage, pydicom.dcmread(file))
        else:
            _describe_arrays(stages, stage, file)
    return stages


def describe_inputs(folder: Path) -> Stages:
    """Return the stages of simulated inputs: pixels, true labels, truth files and tables."""
    stages: Stages = {}
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for file in files:
        stage = str(file.relative_to(folder))
        if file.suffix == ".json":
            put_value(stages, stage, "", json.loads(file.read_text(encoding="utf-8")))
        elif file.suffix == ".csv":
            put(stages, stage, "exact", "lines", file.read_text(encoding="utf-8").splitlines())
        else:
            _describe_arrays(stages, stage, file)
    for parent, group in groupby((file for file in files if file.suffix == ".dcm"), key=lambda file: file.parent):
        slices = list(group)
        for images in [slices] if len(slices) > 4 else [[image] for image in slices]:  # PET: a file a slice
            stage = str((parent if len(images) > 1 else images[0]).relative_to(folder))
            headers = [pydicom.dcmread(image) for image in images]
            put(stages, stage, "exact", "attributes", [element.keyword for element in headers[0]])
            _put_array(stages, stage, "slope", np.array([float(h.get("RescaleSlope", 1)) for h in headers]))
            _put_array(stages, stage, "pixels", np.stack([h.pixel_array for h in headers]))
    return stages


def put(stages: Stages, stage: str, section: str, key: str, value: Any) -> None:
    """Set one value of a stage."""
    stages.setdefault(stage, {}).setdefault(section, {})[key] = value


def put_value(stages: Stages, stage: str, key: str, value: Any) -> None:
    """Sort a JSON value into the sections of a stage; what is nested goes under its dotted path."""
    below = f"{key}." if key else ""
    if isinstance(value, dict) and set(_INTERVAL) <= value.keys():
        put(stages, stage, "numbers", key, [value[part] for part in _INTERVAL])
        rest = [f"{part} {entry}" for part, entry in value.items() if part not in _INTERVAL]
        put(stages, stage, "exact", key, ", ".join(rest))
    elif isinstance(value, dict):
        for part, entry in value.items():
            if part == "findings":
                put(stages, stage, "exact", below + part, [f"{f['severity']} {f['code']}" for f in entry])
                put(stages, stage, "messages", below + part, [f["message"] for f in entry])
            elif part not in _DROPPED:
                put_value(stages, stage, below + part, entry)
    elif isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        for index, entry in enumerate(value, start=1):
            put_value(stages, stage, f"{below}{index}", entry)
    elif _is_numeric(value):
        put(stages, stage, "numbers", key, value)
    else:
        put(stages, stage, "messages" if key.split(".")[-1] in _MESSAGES else "exact", key, value)


def unpack_mask(mask: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return the label array that a stage holds."""
    packed = zlib.decompress(base64.b64decode(mask["zlib"]))
    return np.frombuffer(packed, np.uint8).reshape(mask["shape"])


def _is_numeric(value: Any) -> bool:
    """Whether a JSON value is a number, or a list of numbers and nulls."""
    if isinstance(value, list):
        return any(_is_numeric(entry) for entry in value) and all(e is None or _is_numeric(e) for e in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _put_array(stages: Stages, stage: str, key: str, array: np.ndarray[Any, Any], count: int = _FEWER_SAMPLES) -> None:
    """Describe an array by its shape, sum, mean, largest magnitude and values at fixed, scattered places."""
    values = np.asarray(array, dtype=np.float64).ravel()
    places = np.arange(values.size, dtype=np.uint64)
    if values.size > count:  # Knuth's multiplicative hashing: the same places with every version of numpy
        places = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(values.size)
    put(stages, stage, "exact", f"{key} shape", list(array.shape))
    for name, number in (("sum", values.sum()), ("mean", values.mean()), ("largest", np.abs(values).max())):
        put(stages, stage, "numbers", f"{key} {name}", float(number))
    put(stages, stage, "numbers", f"{key} samples", values[places].tolist())


def _put_mask(stages: Stages, stage: str, labels: np.ndarray[Any, Any]) -> None:
    """Keep a whole label array, compressed, so that the voxels that differ can be counted."""
    array = np.ascontiguousarray(labels, dtype=np.uint8)
    counts = {str(label): int(n) for label, n in zip(*np.unique(array, return_counts=True), strict=True)}
    packed = base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()
    put(stages, stage, "masks", "voxels", {"shape": list(array.shape), "counts": counts, "zlib": packed})


def _describe_arrays(stages: Stages, stage: str, file: Path) -> None:
    """Describe a NIfTI volume, a NIfTI label volume or an npz file; other files have nothing to compare."""
    if file.name.endswith(".nii.gz"):
        image: Any = nibabel.load(file)
        put(stages, stage, "numbers", "affine", image.affine.ravel().tolist())
        if "labels" in file.name:
            _put_mask(stages, stage, np.asarray(image.dataobj))
        else:
            _put_array(stages, stage, "voxels", np.asarray(image.dataobj), _SAMPLES)
    elif file.suffix == ".npz":
        with np.load(file) as arrays:
            for name, array in arrays.items():
                if array.dtype.kind == "U":
                    put(stages, stage, "messages", name, str(array))
                else:
                    _put_array(stages, stage, name, array, _SAMPLES if name == "maximum" else _FEWER_SAMPLES)


def _describe_numbers(stages: Stages, results: dict[str, Any]) -> None:
    """Sort results.json into a stage for each part of the study and of each scan."""
    put(stages, "results: structure", "exact", "keys", sorted(set(_paths_of(results))))
    scans = results.pop("scans")
    put(stages, "results: scans", "exact", "names", [scan["name"] for scan in scans])
    parts = {"": results, **{f"{scan['name']} ": scan for scan in scans}}
    for owner, part in parts.items():
        for key, value in part.items():
            if key == "findings":
                put_value(stages, f"results: {owner}findings", "", {key: value})
            elif isinstance(value, dict):
                put_value(stages, f"results: {owner}{key}", "", value)
            else:
                put_value(stages, f"results: {owner}{'segments' if key == 'segments_percent' else 'scan'}", key, value)


def _paths_of(value: Any, path: str = "") -> Iterable[str]:
    """Yield every key path of a JSON value; keys of intervals are compared with their numbers."""
    if isinstance(value, dict) and path.split(".")[-1] not in (*_DROPPED, "intervals"):
        for key, entry in value.items():
            below = f"{path}.{key}" if path else key
            yield below
            yield from _paths_of(entry, below)
    elif isinstance(value, list):
        for entry in value:
            yield from _paths_of(entry, path + "[]")


def _describe_dicom(stages: Stages, stage: str, data: pydicom.Dataset) -> None:
    """Describe a Structured Report, a Segmentation or an Encapsulated PDF."""
    put(stages, stage, "exact", "attributes", [element.keyword for element in data])
    put(stages, stage, "exact", "description", str(data.get("SeriesDescription", "")))
    if data.Modality == "SR":
        items = list(_items_of(data))
        lines = [line for line, _, _ in items]
        put(stages, stage, "exact", "content", [f"{line} x {len(list(same))}" for line, same in groupby(lines)])
        put(stages, stage, "messages", "texts", [text for _, text, _ in items if text is not None])
        numbers = [number for _, _, number in items if number is not None]
        for index, number in enumerate(numbers, start=1):
            put(stages, stage, "numbers", f"number {index}", number)
    elif data.Modality == "SEG":
        segments: Sequence[pydicom.Dataset] = data.SegmentSequence
        frames: Sequence[pydicom.Dataset] = data.PerFrameFunctionalGroupsSequence
        names = [
            f"{s.SegmentNumber} {s.SegmentLabel} {_code(s.SegmentedPropertyTypeCodeSequence[0])}" for s in segments
        ]
        sums = Counter[int]()
        for frame, pixels in zip(frames, data.pixel_array.reshape(len(frames), -1), strict=True):
            sums[frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber] += int(pixels.sum())
        put(stages, stage, "exact", "segments", names)
        put(stages, stage, "exact", "pixels", [f"{number}: {sums[number]}" for number in sorted(sums)])
        for name, frame in (("first", frames[0]), ("last", frames[-1])):
            place = frame.PlanePositionSequence[0].ImagePositionPatient
            put(stages, stage, "numbers", f"{name} frame", [float(v) for v in place])
    else:
        pages = len(re.findall(rb"/Type\s*/Page\b", bytes(data.EncapsulatedDocument)))
        put(stages, stage, "exact", "pages", pages)
        put(stages, stage, "exact", "title", str(data.DocumentTitle))


def _items_of(item: pydicom.Dataset, depth: int = 0) -> Iterable[tuple[str, str | None, float | None]]:
    """Yield (depth, type and codes; text; number) of every content item in order, without UIDs and versions."""
    concept = _code(item.ConceptNameCodeSequence[0]) if "ConceptNameCodeSequence" in item else ""
    line, text, number = f"{depth} {item.ValueType} {concept}", None, None
    if item.ValueType == "NUM":
        measured = item.MeasuredValueSequence[0]
        line, number = f"{line} {_code(measured.MeasurementUnitsCodeSequence[0])}", float(measured.NumericValue)
    elif item.ValueType == "CODE":
        code = _code(item.ConceptCodeSequence[0])
        value, _, text = code.rpartition("|")
        line += f" {value if concept.startswith('FINDING|') else code}"  # a finding's meaning is its message
    elif item.ValueType == "TEXT":
        text = re.sub(r"\d+\.\d+[\w.+]*", "VERSION", item.TextValue)
    yield line, text, number
    for child in item.get("ContentSequence", []):
        yield from _items_of(child, depth + 1)


def _code(code: pydicom.Dataset) -> str:
    """Write a code as value, scheme and meaning."""
    return f"{code.get('CodeValue') or code.LongCodeValue}|{code.CodingSchemeDesignator}|{code.CodeMeaning}"
