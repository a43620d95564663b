"""Files and folders to studies: find, sort by header, choose, then read each pixel once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.dataset import Dataset

from myoperf.errors import InputError, MyoPerfError
from myoperf.io.assemble.choice import Candidate, choose
from myoperf.io.assemble.scans import nifti_scan, nm_scan, pt_scan
from myoperf.io.header import number, numbers, patient_of, read_header, text_of
from myoperf.io.kinds import image_words, is_gated, is_prone, is_short_axis, kind_of
from myoperf.io.nifti import is_nifti
from myoperf.io.pet.slices import is_attenuation_corrected
from myoperf.io.state import detect_state, state_in_text
from myoperf.types import Finding, Framing, Scan, State, Study

__all__ = ["ReadResult", "Skipped", "find_files", "read_studies"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Skipped:
    """A file that was not used, by name only, and why in one line."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class ReadResult:
    """The studies found and the files left out."""

    studies: tuple[Study, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, eq=False)
class _Series:
    """Files that make one scan: one NM file, the slices of a PET series, or one NIfTI file."""

    paths: tuple[Path, ...]
    headers: tuple[Dataset, ...]
    candidate: Candidate
    study_key: tuple[str, str]

    def read(self, state: State | None) -> Scan:
        """Decode the pixels and build the scan."""
        if not self.headers:
            return nifti_scan(self.paths[0], state)
        if self.candidate.modality == "PT":
            return pt_scan(self.paths, self.headers, state)
        return nm_scan(self.paths[0], self.headers[0], state)


def find_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """List the files given and those in the folders given, recursively, hidden ones left out.

    Raises
    ------
    InputError
        When a path does not exist.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if not any(x.startswith(".") for x in p.relative_to(path).parts))
            found.update(dict.fromkeys(p for p in inside if p.is_file()))
        elif path.exists():
            found[path] = None
        else:
            raise InputError(f"{path.name}: no such file or folder.")
    return tuple(found)


def read_studies(paths: Sequence[Path], *, state: State | None = None, progress: Progress | None = None) -> ReadResult:
    """Read files or folders into studies, at most one scan a known state each.

    Parameters
    ----------
    paths
        DICOM or NIfTI files, or folders of them, in any order and mixture.
    state
        The state the user names for scans whose files do not tell; where exactly one scan is read
        it wins over the file.
    progress
        Called with (files or scans done, of how many).

    Returns
    -------
    ReadResult
        Studies by Study Instance UID (by Patient ID where there is none); NIfTI files of one folder
        make a study where their names tell different states, else one each.

    Raises
    ------
    InputError
        When a single given file cannot be used, or no study is left; otherwise files that cannot be
        used are listed in ``skipped``.
    """
    paths = [Path(path) for path in paths]
    alone = len(paths) == 1 and paths[0].is_file()
    files = find_files(paths)
    tell = progress or _silent
    skipped: list[Skipped] = []
    series = _sort(files, skipped, tell, alone=alone)
    by_study: dict[tuple[str, str], list[_Series]] = {}
    for one in series:
        by_study.setdefault(one.study_key, []).append(one)
    studies = []
    for done, group in enumerate(by_study.values()):
        tell(len(files) + done, len(files) + len(by_study))
        study = _study(group, state, skipped, alone=alone)
        if study is not None:
            studies.append(study)
    tell(len(files) + len(by_study), len(files) + len(by_study))
    if not studies:
        raise InputError(_nothing(files, skipped))
    return ReadResult(tuple(studies), tuple(skipped))


def _silent(done: int, total: int) -> None:
    """Report to nobody."""


def _nothing(files: Sequence[Path], skipped: Sequence[Skipped]) -> str:
    """Say in one line that nothing was usable and the commonest reason."""
    if not files:
        return "The folder holds no files; give the folder the camera's or the workstation's files are in."
    reasons = Counter(_after_name(item) for item in skipped)
    if not reasons:
        return f"None of {len(files)} file(s) is a perfusion study."
    reason, count = reasons.most_common(1)[0]
    which = "" if len(files) == 1 else f"None of {len(files)} files is a usable perfusion study; {count} of them: "
    return f"{which}{reason}"


def _after_name(item: Skipped) -> str:
    """Give a reason without the file's name before it."""
    return item.reason.removeprefix(f"{item.file}: ")


def _sort(files: Sequence[Path], skipped: list[Skipped], tell: Progress, *, alone: bool) -> list[_Series]:
    """Read every header and group the files into series."""
    series: list[_Series] = []
    slices: dict[tuple[str, str], list[tuple[Path, Dataset]]] = {}
    seen: dict[str, str] = {}
    nifti = [path for path in files if is_nifti(path)]
    for done, path in enumerate(files):
        tell(done, len(files))
        try:
            if is_nifti(path):
                series.append(_nifti_series(path, nifti))
                continue
            header = read_header(path)
            kind = kind_of(header, path.name)
            uid = text_of(header, "SOPInstanceUID")
            if uid and uid in seen:
                raise InputError(f"{path.name}: a copy of {seen[uid]} (same SOP Instance UID).")
            seen[uid] = path.name
            if kind == "pt":
                key = (text_of(header, "StudyInstanceUID"), text_of(header, "SeriesInstanceUID"))
                slices.setdefault(key, []).append((path, header))
            else:
                series.append(_dicom_series([(path, header)], raw=kind == "nm-raw"))
        except MyoPerfError as error:
            if alone:
                raise
            skipped.append(Skipped(path.name, str(error)))
    series += [_dicom_series(group, raw=False) for group in slices.values()]
    return series


def _dicom_series(files: Sequence[tuple[Path, Dataset]], *, raw: bool) -> _Series:
    """Describe the DICOM files of one scan."""
    first = files[0][1]
    pet = text_of(first, "Modality") == "PT" or text_of(first, "SeriesType") != ""
    words = set(image_words(first))
    corrected = is_attenuation_corrected(first) or bool(words & {"ac", "irac", "iracrr", "ctac", "acsc"})
    candidate = Candidate(
        name=files[0][0].name,
        state=detect_state(first)[0],
        modality="PT" if pet else "NM",
        raw=raw,
        framing=_framing([header for _, header in files], pet=pet),
        orientation="short_axis" if not raw and is_short_axis(first) else "transaxial",
        prone=is_prone(first),
        corrected=corrected,
        series=number(first, "SeriesNumber") or 0.0,
    )
    study_uid = text_of(first, "StudyInstanceUID")
    fallback = text_of(first, "PatientID") or str(files[0][0].parent)
    key = ("uid", study_uid) if study_uid else ("patient", fallback)
    return _Series(tuple(path for path, _ in files), tuple(header for _, header in files), candidate, key)


def _framing(headers: Sequence[Dataset], *, pet: bool) -> Framing:
    """Tell the framing that headers declare (the frames themselves decide when the scan is read)."""
    kind = text_of(headers[0], "SeriesType").upper()
    if ("GATED" in kind) if pet else is_gated(headers[0]):
        return "gated"
    several = len({numbers(header, "ImagePositionPatient") for header in headers}) < len(headers)
    return "dynamic" if pet and "DYNAMIC" in kind and several else "static"


def _nifti_series(path: Path, all_nifti: Sequence[Path]) -> _Series:
    """Describe a NIfTI file; files of one folder whose names tell different states are one study."""
    stem = path.name.split(".nii")[0]
    mine = state_in_text(stem)
    beside = [state_in_text(p.name.split(".nii")[0]) for p in all_nifti if p.parent == path.parent]
    paired = len(beside) == 2 and set(beside) == {"stress", "rest"}
    key = ("folder", str(path.parent)) if paired else ("file", str(path))
    return _Series((path,), (), Candidate(path.name, mine, "NM", False, "static", "transaxial"), key)


def _study(group: Sequence[_Series], state: State | None, skipped: list[Skipped], *, alone: bool) -> Study | None:
    """Choose and read a study's scans; None where none can be read."""
    group = [replace(s, candidate=replace(s.candidate, state=_told(s.candidate, state, group))) for s in group]
    scans: list[tuple[_Series, Scan]] = []
    findings: list[Finding] = []
    for chosen in choose([one.candidate for one in group]):
        order = list(chosen)
        while order:
            one = group[order.pop(0)]
            try:
                scans.append((one, one.read(one.candidate.state)))
                break
            except MyoPerfError as error:
                if alone:
                    raise
                skipped.extend(Skipped(path.name, str(error)) for path in one.paths)
        left = [group[position] for position in order]
        used = f"{one.candidate.name} ({one.candidate.kind}) is used"
        for other in left:
            skipped.extend(Skipped(p.name, f"set aside ({other.candidate.kind}): {used}") for p in other.paths)
        if left:
            what = f"{one.candidate.state} state" if one.candidate.state else "study"
            kinds = ", ".join(other.candidate.kind for other in left)
            message = f"Several scans of the {what}: {one.candidate.kind} used; set aside: {kinds}."
            findings.append(Finding("scans-set-aside", "info", message))
    if not scans:
        return None
    header = next((one.headers[0] for one, _ in scans if one.headers), Dataset())
    return Study(scans=tuple(scan for _, scan in scans), findings=tuple(findings), **patient_of(header))


def _told(candidate: Candidate, state: State | None, group: Sequence[_Series]) -> State | None:
    """Let the user's state stand where the file tells none, and over the file where there is one scan only."""
    return state if state is not None and (candidate.state is None or len(group) == 1) else candidate.state
