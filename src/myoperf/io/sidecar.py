"""The JSON file beside a NIfTI image: what NIfTI cannot hold, and never who the patient is.

``NAME.json`` beside ``NAME.nii.gz`` has the keys of BIDS for PET (bids-specification, "Positron Emission Tomography")
where BIDS has one, and under ``"MyoPerf"`` what is needed to read the scan back: its kind, state, framing, position,
correction, times, findings, and of raw projections their geometry.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args

import numpy as np

from myoperf.errors import InputError
from myoperf.io.files import open_file
from myoperf.io.nifti import name_without_suffix
from myoperf.types import (
    Array,
    Finding,
    Framing,
    Modality,
    Orientation,
    Position,
    Projections,
    Scan,
    Severity,
    State,
    Volume,
)
from myoperf.version import __version__

SCHEMA = "myoperf.image/1"
_SCAN = (
    "state",
    "modality",
    "framing",
    "orientation",
    "position",
    "attenuation_corrected",
    "tracer",
    "camera",
    "frame_duration_ms",
    "frame_start_ms",
    "series_number",
    "description",
)
"""Fields of a scan that its sidecar holds."""
_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "state": (*get_args(State), None),
    "modality": get_args(Modality),
    "framing": get_args(Framing),
    "orientation": get_args(Orientation),
    "position": (*get_args(Position), None),
}
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "attenuation_corrected": bool,
    "series_number": (int, NoneType),
    "description": str,
    **dict.fromkeys(("tracer", "camera"), (str, NoneType)),
}
"""Values, and kinds of values, that the fields may have; times are read with the scan."""


def sidecar_path(image: Path) -> Path:
    """Return the path of the JSON file that belongs to a NIfTI file."""
    return image.with_name(f"{name_without_suffix(image)}.json")


def sidecar_text(scan: Scan) -> str:
    """Return the text of a scan's sidecar."""
    return json.dumps({**_bids(scan), "MyoPerf": _myoperf(scan)}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _bids(scan: Scan) -> dict[str, Any]:
    """Return the keys of BIDS that are known."""
    radionuclide, _, tracer = (scan.tracer or "").partition(" ")
    dynamic = scan.framing == "dynamic"
    values = {
        "Modality": scan.modality,
        "BodyPart": "heart",
        "ManufacturersModelName": scan.camera,
        "TracerRadionuclide": radionuclide.replace("-", "") or None,
        "TracerName": tracer or None,
        "AttenuationCorrection": "corrected" if scan.attenuation_corrected else "none",
        "FrameTimesStart": _seconds(scan.frame_start_ms) if dynamic else None,
        "FrameDuration": _seconds(scan.frame_duration_ms) if dynamic else None,
        "ConversionSoftware": "MyoPerf",
        "ConversionSoftwareVersion": __version__,
    }
    return {key: value for key, value in values.items() if value is not None}


def _myoperf(scan: Scan) -> dict[str, Any]:
    raw = isinstance(scan.image, Projections)
    kind: Literal["projections", "volume"] = "projections" if raw else "volume"
    return {
        "schema": SCHEMA,
        "kind": kind,
        **{name: _plain(getattr(scan, name)) for name in _SCAN},
        "findings": [[f.code, f.severity, f.message] for f in scan.findings],
        **({"projections": {n: _plain(getattr(scan.image, n)) for n in _geometry_fields()}} if raw else {}),
    }


_LATER_FIELDS = ("heads", "collimator")
"""Fields that sidecars of version 0.2 do not have."""


_NOT_GEOMETRY = ("array", "window_kev", "scatter_windows", "attenuation")


def _geometry_fields() -> tuple[str, ...]:
    """Return the fields of projections that say where the counts were measured."""
    return tuple(field.name for field in fields(Projections) if field.name not in _NOT_GEOMETRY)


def _seconds(values: Any) -> list[float] | None:
    return None if values is None else [float(value) / 1000.0 for value in values]


def _plain(value: Any) -> Any:
    """Turn arrays and tuples into lists."""
    return np.asarray(value).tolist() if isinstance(value, np.ndarray | tuple) else value


_RESULTS = ("volume", "short_axis", "lv_labels", "lv_labels_gated")
"""What follows a scan's name and an underscore in the names of NIfTI files among the results."""


def read_sidecar(image: Path) -> Mapping[str, Any] | None:
    """Return MyoPerf's part of the JSON file beside a NIfTI image; None where there is none.

    Raises
    ------
    InputError
        When the JSON file cannot be read or is incomplete: it may be what says that the image is not transaxial.
    """
    path = sidecar_path(image)
    try:
        stream = open_file(path)
    except InputError:
        return None
    try:
        with stream:
            content = json.loads(stream.read())
    except (OSError, ValueError, RecursionError):
        raise InputError(
            f"{image.name}: the JSON file beside it is damaged; convert the study again, or remove that file."
        ) from None
    block = content.get("MyoPerf") if isinstance(content, dict) else None
    if not isinstance(block, dict) or block.get("schema") != SCHEMA:
        return None
    chosen = all(key in block and block[key] in choices for key, choices in _CHOICES.items())
    if not chosen or not all(key in block and isinstance(block[key], kind) for key, kind in _KINDS.items()):
        raise InputError(f"{image.name}: the JSON file beside it is not complete; convert the study again.")
    return block


def scan_of_sidecar(image: Projections | Volume, block: Mapping[str, Any], *, state: State | None, name: str) -> Scan:
    """Return the scan of an image and its sidecar.

    Parameters
    ----------
    state
        To record; None leaves it unknown.
    name
        Of the image's file, for messages and as the scan's source.

    Raises
    ------
    InputError
        When the sidecar is not complete or does not fit the image.
    """
    try:
        values = {key: block[key] for key in _SCAN if key != "state"}
        for key in ("frame_duration_ms", "frame_start_ms"):
            values[key] = None if values[key] is None else np.asarray(values[key], dtype=np.float64)
        findings = tuple(Finding(*_fields_of_finding(*finding)) for finding in block["findings"])
        return Scan(image, state=state, source=(name,), findings=findings, **values)
    except (InputError, KeyError, TypeError, ValueError):
        raise InputError(f"{name}: the JSON file beside it is not complete; convert the study again.") from None


def _fields_of_finding(code: Any, severity: Any, message: Any) -> tuple[str, Severity, str]:
    """Return the fields of a finding that a sidecar holds; ValueError where it is none."""
    if severity not in get_args(Severity) or not isinstance(code, str) or not isinstance(message, str):
        raise ValueError("a finding has a code, a severity and a message")
    return code, severity, message


def projections_of_sidecar(counts: Array, block: Mapping[str, Any], *, name: str) -> Projections:
    """Return raw projections from their counts, shape (gates, views, rows, columns), and their sidecar.

    Raises
    ------
    InputError
        When the sidecar is not complete or does not fit the counts.
    """
    try:
        given = block["projections"]
        geometry = {key: given[key] for key in _geometry_fields() if key in given or key not in _LATER_FIELDS}
        for key in ("pixel_mm", "axis_lps_mm"):
            geometry[key] = tuple(geometry[key])
        return Projections(counts, **geometry)
    except (InputError, KeyError, TypeError, ValueError):
        raise InputError(f"{name}: the JSON file beside it does not fit its views; convert the study again.") from None


def is_result_volume(image: Path) -> bool:
    """Whether a NIfTI file lies beside the ``results.json`` of the analysis that made it."""
    try:
        with open_file(image.parent / "results.json") as stream:
            content = json.loads(stream.read())
    except (InputError, OSError, ValueError, RecursionError):
        return False
    if not isinstance(content, dict) or not str(content.get("schema", "")).startswith("myoperf.report/"):
        return False
    name, _, kind = image.name.removesuffix(".nii.gz").partition("_")
    scans = content.get("scans")
    names = [scan.get("name") for scan in scans if isinstance(scan, dict)] if isinstance(scans, list) else []
    return name in names and kind in _RESULTS
