"""One scan from its files: image, state, tracer, camera and findings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from myoperf.errors import InputError, UnsupportedInputError
from myoperf.io.beats import check_beats
from myoperf.io.characters import check_character_set
from myoperf.io.convert import read_converted
from myoperf.io.header import camera_of, encode_header, number, read_frames, text_of
from myoperf.io.kinds import correction_conflicts, is_attenuation_corrected, is_gated, kind_of, modality_of, position_of
from myoperf.io.nifti import name_without_suffix, read_nifti_with_findings
from myoperf.io.nm.frames import gate_duration_ms
from myoperf.io.nm.joined import JoinedImage, join_gates, join_slices
from myoperf.io.nm.projections import projections_from
from myoperf.io.nm.volume import volume_from
from myoperf.io.pet.slices import slice_grid, volume_from_slices
from myoperf.io.plausible import check_volume
from myoperf.io.sidecar import read_sidecar
from myoperf.io.slice_views import slice_view_in_text
from myoperf.io.state import detect_state
from myoperf.io.state_words import state_in_text
from myoperf.io.stressor import stressors_of
from myoperf.io.tracers import tracer_of
from myoperf.io.words import words_of
from myoperf.text import printable
from myoperf.types import Finding, Framing, Orientation, Projections, Scan, State, Volume

_AIR_HU, _LEAST_AIR = -900, 0.1
"""A tenth of the voxels so low is the air around a patient in a CT; no reconstruction of counts undershoots so far."""


def nm_scan(path: Path, header: Dataset, state: State | None = None) -> Scan:
    """Read one NM file, raw or reconstructed.

    Parameters
    ----------
    header
        From `read_header`.
    state
        The state to record; None leaves it unknown, with a finding.
    """
    return _nm_scan(JoinedImage(header=header, pixels=read_frames(path)), (path,), (header,), state)


def joined_nm_scan(paths: Sequence[Path], headers: Sequence[Dataset], state: State | None = None) -> Scan:
    """Read an NM image that was exported as one file a slice or one file a gate, given in any order."""
    name = paths[0].name
    pixels = [read_frames(path) for path in paths]
    single = kind_of(headers[0], name) == "nm-volume" and all(len(frames) == 1 for frames in pixels)
    joined = (join_slices if single else join_gates)(headers, pixels, name)
    return _nm_scan(joined, paths, headers, state)


def _nm_scan(joined: JoinedImage, paths: Sequence[Path], headers: Sequence[Dataset], state: State | None) -> Scan:
    """Return the scan of an NM image, whole or joined from its files."""
    header, name = joined.header, paths[0].name
    kind = kind_of(header, name)
    orientation: Orientation = "transaxial"
    image: Projections | Volume
    if kind == "nm-raw":
        image, findings = projections_from(header, joined.pixels, name)
    else:
        image, orientation, findings = volume_from(header, joined.pixels, name)
        _refuse_no_counts(image, name)
    gated = image.frames > 1
    duration = gate_duration_ms(header, image.frames) if gated else None
    what = "raw projections" if kind == "nm-raw" else "reconstruction"
    return Scan(
        image=image,
        state=state,
        modality="NM",
        framing="gated" if gated else "static",
        orientation=orientation,
        position=position_of(header),
        attenuation_corrected=is_attenuation_corrected(header),
        stressors=stressors_of(header) if state == "stress" else (),
        tracer=tracer_of(header),
        camera=camera_of(header),
        frame_duration_ms=duration,
        series_number=series_number(header),
        description=f"{'gated' if gated else 'ungated'} SPECT {what}",
        source=tuple(printable(path.name) for path in paths),
        source_headers=tuple(encode_header(header, path.name) for path, header in zip(paths, headers, strict=True)),
        frame_of_reference=text_of(header, "FrameOfReferenceUID") or None,
        findings=joined.findings
        + findings
        + _gate_findings(header, gated, duration is not None)
        + _common_findings(header, state),
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
    volume = volume_from_slices(grid, headers, pixels, name)
    check_volume(volume, name)
    _refuse_no_counts(volume, name)
    findings = grid.findings + (check_beats(headers[0]) if grid.framing == "gated" else ())
    modality = modality_of(headers[0])
    if modality == "NM":
        message = (
            "The series is stored as PET; by its radionuclide or its description it is SPECT, and was read as such."
        )
        findings += (Finding("spect-stored-as-pet", "info", message),)
    elif not is_attenuation_corrected(headers[0]):
        message = "The PET series is not marked as corrected for attenuation."
        findings += (Finding("pet-uncorrected", "warning", message),)
    return Scan(
        image=volume,
        state=state,
        modality=modality,
        framing=grid.framing,
        position=position_of(headers[0]),
        attenuation_corrected=is_attenuation_corrected(headers[0]),
        stressors=stressors_of(headers[0]) if state == "stress" else (),
        tracer=tracer_of(headers[0]),
        camera=camera_of(headers[0]),
        frame_duration_ms=grid.duration_ms,
        frame_start_ms=grid.start_ms,
        series_number=series_number(headers[0]),
        description=f"{grid.framing} {'PET' if modality == 'PT' else 'SPECT'} reconstruction",
        source=tuple(printable(path.name) for path in paths),
        source_headers=tuple(encode_header(header, path.name) for path, header in zip(paths, headers, strict=True)),
        frame_of_reference=text_of(headers[0], "FrameOfReferenceUID") or None,
        findings=findings + _common_findings(headers[0], state),
    )


def nifti_scan(path: Path, state: State | None = None) -> Scan:
    """Read a NIfTI file as a scan; its name, or the JSON file of a conversion, says what it is.

    Raises
    ------
    UnsupportedInputError
        When it looks like a label mask (whole numbers up to 3), or its name says long axis.
    InputError
        When it contains no counts.
    """
    block = read_sidecar(path)
    if block is not None:
        scan = read_converted(path, block, state)
        if isinstance(scan.image, Volume):
            check_volume(scan.image, path.name)
            _refuse_no_counts(scan.image, path.name)
        return scan
    (volume, affine_findings), stem = read_nifti_with_findings(path), name_without_suffix(path)
    check_volume(volume, path.name)
    _refuse_no_counts(volume, path.name)
    values = volume.array
    if values.max() <= 3 and np.array_equal(values, np.round(values)):
        raise UnsupportedInputError(f"{path.name}: a mask of labels, not counts; give the image.")
    if np.mean(values <= _AIR_HU) > _LEAST_AIR:
        raise UnsupportedInputError(f"{path.name}: a CT (Hounsfield units), not counts; give the SPECT or PET image.")
    view = slice_view_in_text(stem)
    if view == "long_axis":
        raise UnsupportedInputError(f"{path.name}: long-axis slices; give the transaxial or the short-axis volume.")
    words = set(words_of(stem))
    framing: Framing = "static"
    findings: tuple[Finding, ...] = ()
    if volume.frames > 1:
        framing = "dynamic" if words & {"dyn", "dynamic"} else "gated"
        if not words & {"dyn", "dynamic", "gated", "gate", "sgate", "rgate"}:
            message = f"A NIfTI file does not say what its {volume.frames} frames are: they are read as cardiac gates."
            findings = (Finding("framing-assumed", "warning", message),)
    return Scan(
        image=volume,
        state=state or state_in_text(stem),
        modality="PT" if words & {"pet", "pt"} else "NM",
        framing=framing,
        orientation="short_axis" if view == "short_axis" else "transaxial",
        description=f"{framing} NIfTI volume",
        source=(printable(path.name),),
        findings=affine_findings + findings + (() if state else _unknown_state()),
    )


def series_number(header: Dataset) -> int | None:
    """Return Series Number, or None."""
    value = number(header, "SeriesNumber")
    return None if value is None else int(value)


def _refuse_no_counts(volume: Volume, name: str) -> None:
    """Refuse a volume that is empty or constant."""
    if volume.array.max() <= 0 or volume.array.max() == volume.array.min():
        raise InputError(f"{name}: the volume contains no counts.")


def _gate_findings(header: Dataset, gated: bool, timed: bool) -> tuple[Finding, ...]:
    """Return findings where a file marked as gated is not, and on the beats and the gates of one that is."""
    if not gated and (is_gated(header) or (number(header, "NumberOfTimeSlots") or 0) > 1):
        message = "The file is marked as gated, or states several time slots, but has one frame; it was read as static."
        return (Finding("gated-single", "info", message),)
    if not gated:
        return ()
    findings = check_beats(header)
    if not timed:
        findings += (Finding("gate-duration-missing", "info", "The file does not give the duration of the gates."),)
    return findings


def _common_findings(header: Dataset, state: State | None) -> tuple[Finding, ...]:
    """Return findings about the state, a prone patient and a doubtful correction for attenuation."""
    in_file, findings = detect_state(header)
    if state is None:
        findings = _unknown_state() if in_file is None else ()
    elif in_file is None:
        findings = (Finding("state-given", "info", f"The state ({state}) was given by the user, not by the file."),)
    elif in_file != state:
        message = f"The user gave the state as {state}; the file says {in_file}."
        findings = (Finding("state-overridden", "warning", message),)
    findings += check_character_set(header)
    if position_of(header) == "prone":
        findings += (Finding("prone", "info", "The patient lay prone."),)
    if correction_conflicts(header):
        used = "corrected" if is_attenuation_corrected(header) else "not corrected"
        message = f"The series' name contradicts the file's attributes, by which it is {used} for attenuation."
        findings += (Finding("correction-conflict", "warning", message),)
    return findings


def _unknown_state() -> tuple[Finding, ...]:
    """Return the finding that the state is unknown."""
    message = "The file does not say whether this is stress or rest; give the state with --state."
    return (Finding("state-unknown", "warning", message),)
