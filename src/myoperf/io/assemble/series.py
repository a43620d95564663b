"""Files to series: every header read, copies left out, slices of one series together, attenuation images apart."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from myoperf.dicom import DERIVED_BY
from myoperf.errors import InputError, MyoPerfError
from myoperf.io.assemble.choice import Candidate
from myoperf.io.assemble.instances import Instances
from myoperf.io.assemble.parts import is_single_slice, with_gates_joined
from myoperf.io.assemble.scans import joined_nm_scan, nifti_scan, nm_scan, pt_scan, series_number
from myoperf.io.characters import repair_character_set
from myoperf.io.files import name_disk_errors
from myoperf.io.header import number, numbers, read_header, text_of
from myoperf.io.kinds import (
    image_name,
    is_attenuation_corrected,
    is_gated,
    is_pet_object,
    is_short_axis,
    kind_of,
    modality_of,
    position_of,
)
from myoperf.io.nifti import is_nifti, name_without_suffix, refuse_zstd
from myoperf.io.nm.isotopes import isotope_headers
from myoperf.io.series_names import names_attenuation_map
from myoperf.io.sidecar import is_result_volume, read_sidecar, sidecar_path
from myoperf.io.state import detect_state
from myoperf.io.state_words import state_in_text
from myoperf.io.tracers import tracer_of
from myoperf.types import AttenuationImage, Framing, Scan, State

Progress = Callable[[int, int], None]
StudyKey = tuple[str, str]
"""What files of one study share: ("uid", Study Instance UID), ("patient", ID), or a folder or file of NIfTI."""


@dataclass(frozen=True)
class Skipped:
    """A file that was not used, by name only, and why in one line."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class Series:
    """Files that make one scan: one NM file, the slices of a PET series, or one NIfTI file."""

    paths: tuple[Path, ...]
    headers: tuple[Dataset, ...]
    candidate: Candidate
    study_key: StudyKey

    @property
    def number(self) -> int | None:
        """Series Number; None where absent."""
        return series_number(self.headers[0]) if self.headers else None

    @property
    def is_result(self) -> bool:
        """Whether MyoPerf derived it from another series: a reconstruction or short axis among its results."""
        if not self.headers:
            return is_result_volume(self.paths[0])
        return text_of(self.headers[0], "DerivationDescription").startswith(DERIVED_BY)

    @property
    def uid(self) -> str:
        """Series Instance UID; empty where absent."""
        return text_of(self.headers[0], "SeriesInstanceUID") if self.headers else ""

    def read(self, state: State | None) -> Scan:
        """Decode the pixels and build the scan."""
        if not self.headers:
            return nifti_scan(self.paths[0], state)
        if is_pet_object(self.headers[0]):
            return pt_scan(self.paths, self.headers, state)
        if len(self.paths) > 1 or (not self.candidate.raw and is_single_slice(self.headers[0])):
            return joined_nm_scan(self.paths, self.headers, state)
        return nm_scan(self.paths[0], self.headers[0], state)


@dataclass(frozen=True, eq=False)
class AttenuationSeries:
    """Files that make one CT or attenuation map, and the study that they are labelled with."""

    image: AttenuationImage
    study_key: StudyKey
    patient_id: str = ""


@dataclass(eq=False)
class Sorted:
    """Files sorted into series; `repeated_uid` is whether different images had one SOP Instance UID."""

    series: list[Series] = field(default_factory=list)
    attenuation: list[AttenuationSeries] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    repeated_uid: bool = False


def sort_files(files: Sequence[Path], progress: Progress, *, alone: bool) -> Sorted:
    """Read every header and sort the files into series.

    Parameters
    ----------
    alone
        Whether one file was given: an error of it is raised; otherwise files that cannot be used are skipped.
    """
    out, instances = Sorted(), Instances()
    slices: dict[tuple[str, ...], list[tuple[Path, Dataset]]] = {}
    whole: list[list[tuple[Path, Dataset]]] = []
    nifti = [path for path in files if is_nifti(path)]
    sidecars = {sidecar_path(path) for path in nifti}
    for done, path in enumerate(files):
        progress(done, len(files))
        if path in sidecars:
            continue
        try:
            with name_disk_errors(path.name):
                if is_nifti(path):
                    _add_nifti(out, path, nifti)
                    continue
                refuse_zstd(path)
                header = read_header(path)
                repair_character_set(header)
                kind = kind_of(header, path.name)
                original = instances.original_of(path, header)
                if original is not None:
                    raise InputError(f"{path.name}: a copy of {original} (same SOP Instance UID).")
                single = kind in ("pt", "ct") or (kind == "map" and text_of(header, "Modality") != "NM")
                if single or (kind == "nm-volume" and is_single_slice(header)):
                    slices.setdefault((kind, *_series_key(header)), []).append((path, header))
                elif kind == "map":
                    out.attenuation.append(_attenuation_series([(path, header)], "map"))
                else:
                    whole.append([(path, header)])
        except MyoPerfError as error:
            if alone:
                raise
            out.skipped.append(Skipped(path.name, str(error).removeprefix(f"{path.name}: ")))
    for (stored_as, *_), group in slices.items():
        if stored_as in ("pt", "nm-volume"):
            whole.append(group)
        else:
            out.attenuation.append(_attenuation_series(group, stored_as))
    for group in with_gates_joined(whole):
        out.series += _emission_series(group)
    out.repeated_uid = instances.repeated_uid
    return out


def _series_key(header: Dataset) -> tuple[str, ...]:
    """Return what all slices of one series share: its UIDs and, as some de-identifiers write one UID into all, more."""
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesType")
    description = re.sub(r"\d+", "", text_of(header, "SeriesDescription"))
    return (*(text_of(header, keyword) for keyword in keywords), description)


def _emission_series(files: Sequence[tuple[Path, Dataset]]) -> list[Series]:
    """Return the series of one scan's DICOM files, one for each radionuclide."""
    if len(files) > 1:
        return [_series_of(files)]
    path, header = files[0]
    return [_series_of([(path, variant)]) for variant in isotope_headers(header)]


def _series_of(files: Sequence[tuple[Path, Dataset]]) -> Series:
    """Return the series of one scan's DICOM files."""
    path, first = files[0]
    kind = kind_of(first, path.name)
    candidate = Candidate(
        name=path.name,
        state=detect_state(first)[0],
        modality=modality_of(first),
        raw=kind == "nm-raw",
        framing=_framing([header for _, header in files], pet=kind == "pt"),
        orientation="short_axis" if kind != "nm-raw" and is_short_axis(first) else "transaxial",
        position=position_of(first),
        corrected=is_attenuation_corrected(first),
        tracer=tracer_of(first),
        series=number(first, "SeriesNumber") or 0.0,
    )
    paths, headers = tuple(path for path, _ in files), tuple(header for _, header in files)
    return Series(paths, headers, candidate, _study_key(*files[0]))


def _attenuation_series(files: Sequence[tuple[Path, Dataset]], kind: str) -> AttenuationSeries:
    """Return the CT or the attenuation map of some files."""
    path, header = files[0]
    image = AttenuationImage(
        "ct" if kind == "ct" else "map",
        tuple(path for path, _ in files),
        state=state_in_text(image_name(header)),
        series_number=series_number(header),
        frame_of_reference=text_of(header, "FrameOfReferenceUID") or None,
        patient_id=text_of(header, "PatientID") or None,
    )
    return AttenuationSeries(image, _study_key(path, header), text_of(header, "PatientID"))


def _study_key(path: Path, header: Dataset) -> StudyKey:
    """Return the Study Instance UID, else the patient's ID, else the folder."""
    study_uid = text_of(header, "StudyInstanceUID")
    fallback = text_of(header, "PatientID") or str(path.parent)
    return ("uid", study_uid) if study_uid else ("patient", fallback)


def _framing(headers: Sequence[Dataset], *, pet: bool) -> Framing:
    """Return the framing that headers declare; when the scan is read, its frames decide."""
    kind = text_of(headers[0], "SeriesType").upper()
    if ("GATED" in kind) if pet else is_gated(headers[0]):
        return "gated"
    several = len({numbers(header, "ImagePositionPatient") for header in headers}) < len(headers)
    return "dynamic" if pet and "DYNAMIC" in kind and several else "static"


def _add_nifti(out: Sorted, path: Path, all_nifti: Sequence[Path]) -> None:
    """Add a NIfTI file.

    A stress and a rest file alone in a folder are one study, so are those of a conversion; else each file is one.
    """
    name = name_without_suffix(path)
    if names_attenuation_map(name):
        image = AttenuationImage("map", (path,), state=state_in_text(name))
        out.attenuation.append(AttenuationSeries(image, ("folder", str(path.parent))))
        return
    out.series.append(_converted_series(path) or _nifti_series(path, all_nifti))


def _nifti_series(path: Path, all_nifti: Sequence[Path]) -> Series:
    """Return the series of a NIfTI file that only its name describes."""
    stems = [name_without_suffix(p) for p in all_nifti if p.parent == path.parent]
    in_folder = [state_in_text(stem) for stem in stems if not names_attenuation_map(stem)]
    paired = len(in_folder) == 2 and set(in_folder) == {"stress", "rest"}
    key = ("folder", str(path.parent)) if paired else ("file", str(path))
    state = state_in_text(name_without_suffix(path))
    return Series((path,), (), Candidate(path.name, state, "NM", False, "static", "transaxial"), key)


def _converted_series(path: Path) -> Series | None:
    """Return the series of a NIfTI file that `myoperf convert` wrote, whose folder holds one study; None for others."""
    block = read_sidecar(path)
    if block is None:
        return None
    try:
        candidate = Candidate(
            name=path.name,
            raw=block["kind"] == "projections",
            corrected=block["attenuation_corrected"],
            series=float(block["series_number"] or 0),
            **{key: block[key] for key in ("state", "modality", "framing", "orientation", "position", "tracer")},
        )
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path.name}: the JSON file beside it is not complete; convert the study again.") from None
    return Series((path,), (), candidate, ("folder", str(path.parent)))
