"""One scan from its files: pixels, geometry, state, tracer, camera and what reading noticed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from myoperf.errors import InputError, UnsupportedInputError
from myoperf.io.header import camera_of, encode_header, read_frames
from myoperf.io.kinds import is_gated, is_prone, kind_of
from myoperf.io.nifti import read_nifti
from myoperf.io.nm.frames import gate_duration_ms
from myoperf.io.nm.projections import projections_from
from myoperf.io.nm.volume import volume_from
from myoperf.io.pet.slices import is_attenuation_corrected, slice_grid, volume_from_slices
from myoperf.io.state import detect_state, state_in_text, words_of
from myoperf.io.tracers import tracer_of
from myoperf.types import Finding, Framing, Orientation, Projections, Scan, State, Volume

__all__ = ["nifti_scan", "nm_scan", "pt_scan"]


def nm_scan(path: Path, header: Dataset, state: State | None = None) -> Scan:
    """Read one NM file, raw or reconstructed.

    Parameters
    ----------
    header
        As `read_header` gives it.
    state
        The state decided on; None leaves it unknown with a finding.
    """
    kind = kind_of(header, path.name)
    pixels = read_frames(path)
    orientation: Orientation = "transaxial"
    image: Projections | Volume
    if kind == "nm-raw":
        image, findings = projections_from(header, pixels, path.name)
    else:
        image, orientation, findings = volume_from(header, pixels, path.name)
    gated = image.frames > 1
    duration = gate_duration_ms(header, image.frames) if gated else None
    what = "raw projections" if kind == "nm-raw" else "reconstruction"
    return Scan(
        image=image,
        state=state,
        modality="NM",
        framing="gated" if gated else "static",
        orientation=orientation,
        tracer=tracer_of(header),
        camera=camera_of(header),
        frame_duration_ms=duration,
        description=f"{'gated' if gated else 'ungated'} SPECT {what}",
        source=(path.name,),
        source_headers=(encode_header(header, path.name),),
        findings=findings + _gate_findings(header, gated, duration is not None) + _common_findings(header, state),
    )


def pt_scan(paths: Sequence[Path], headers: Sequence[Dataset], state: State | None = None) -> Scan:
    """Read the slices of one PET series, given in any order."""
    name = paths[0].name
    grid = slice_grid(headers, name)
    pixels = []
    for path in paths:
        frames = read_frames(path)
        if frames.shape[0] != 1:
            raise UnsupportedInputError(f"{path.name}: several frames in one PET file; export it as single slices.")
        pixels.append(frames[0])
    findings = grid.findings
    if not is_attenuation_corrected(headers[0]):
        message = "The PET series is not said to be corrected for attenuation."
        findings += (Finding("pet-uncorrected", "warning", message),)
    return Scan(
        image=volume_from_slices(grid, headers, pixels, name),
        state=state,
        modality="PT",
        framing=grid.framing,
        tracer=tracer_of(headers[0]),
        camera=camera_of(headers[0]),
        frame_duration_ms=grid.duration_ms,
        frame_start_ms=grid.start_ms,
        description=f"{grid.framing} PET reconstruction",
        source=tuple(path.name for path in paths),
        source_headers=tuple(encode_header(header, path.name) for path, header in zip(paths, headers, strict=True)),
        findings=findings + _common_findings(headers[0], state),
    )


def nifti_scan(path: Path, state: State | None = None) -> Scan:
    """Read a NIfTI file as a scan; its name may tell the state, the framing and short-axis slices.

    Raises
    ------
    UnsupportedInputError
        When it looks like a label mask (whole numbers up to 3).
    InputError
        When it holds no counts.
    """
    volume = read_nifti(path)
    values = volume.array
    if values.max() <= 0 or values.max() == values.min():
        raise InputError(f"{path.name}: the volume holds no counts.")
    if values.max() <= 3 and np.array_equal(values, np.round(values)):
        raise UnsupportedInputError(f"{path.name}: a mask of labels, not counts; give the image.")
    words = set(words_of(path.name.split(".nii")[0]))
    framing: Framing = "static"
    findings: tuple[Finding, ...] = ()
    if volume.frames > 1:
        framing = "dynamic" if words & {"dyn", "dynamic"} else "gated"
        if not words & {"dyn", "dynamic", "gated", "gate", "sgate", "rgate"}:
            message = f"NIfTI does not tell what its {volume.frames} frames are: taken for gates of the heart beat."
            findings = (Finding("framing-assumed", "warning", message),)
    return Scan(
        image=volume,
        state=state or state_in_text(path.name.split(".nii")[0]),
        modality="PT" if words & {"pet", "pt"} else "NM",
        framing=framing,
        orientation="short_axis" if words & {"sa", "sax", "shortaxis"} or {"short", "axis"} <= words else "transaxial",
        description=f"{framing} NIfTI volume",
        source=(path.name,),
        findings=findings + (() if state else _unknown(None)),
    )


def _gate_findings(header: Dataset, gated: bool, timed: bool) -> tuple[Finding, ...]:
    """Say where the file calls itself gated and is not, or gives no duration."""
    if is_gated(header) and not gated:
        return (Finding("gated-single", "info", "The file calls itself gated but holds one frame; read as static."),)
    if gated and not timed:
        return (Finding("gate-duration-missing", "info", "The file does not tell the length of the gates."),)
    return ()


def _common_findings(header: Dataset, state: State | None) -> tuple[Finding, ...]:
    """Say what state and posture a reader must know of."""
    told, findings = detect_state(header)
    if state is None:
        findings = _unknown(told)
    elif told is None:
        findings = (Finding("state-given", "info", f"The state ({state}) was given by the user, not by the file."),)
    elif told != state:
        message = f"The user named the state {state}; the file says {told}."
        findings = (Finding("state-overridden", "warning", message),)
    if is_prone(header):
        findings += (Finding("prone", "info", "The patient lay prone."),)
    return findings


def _unknown(told: State | None) -> tuple[Finding, ...]:
    """Say that nothing tells the state."""
    if told is not None:
        return ()
    message = "Nothing in the file tells stress from rest; name it with --state."
    return (Finding("state-unknown", "warning", message),)
