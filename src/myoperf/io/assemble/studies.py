"""Files and folders to studies: list the files, sort them by header, choose scans, then read their pixels."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.dataset import Dataset

from myoperf.errors import InputError, MyoPerfError
from myoperf.io.assemble.choice import Candidate, choose
from myoperf.io.assemble.scans import nifti_scan, nm_scan, pt_scan
from myoperf.io.header import number, numbers, read_header, study_of, text_of
from myoperf.io.kinds import image_words, is_attenuation_corrected, is_gated, is_prone, is_short_axis, kind_of
from myoperf.io.nifti import is_nifti, name_without_suffix
from myoperf.io.state import detect_state, state_in_text
from myoperf.types import Finding, Framing, Scan, State, Study

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Skipped:
    """A file that was not used, by name only, and why in one line."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class ReadResult:
    """Studies, and the files that are part of none."""

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
    """Return the given files and those in the given folders, recursively, without hidden ones.

    Raises
    ------
    InputError
        When a path does not exist.
    """
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if not any(x.startswith(".") for x in p.relative_to(path).parts))
            files.update(dict.fromkeys(p for p in inside if p.is_file()))
        elif path.exists():
            files[path] = None
        else:
            raise InputError(f"{path.name}: no such file or folder.")
    return tuple(files)


def read_studies(
    paths: str | Path | Sequence[str | Path], *, state: State | None = None, progress: Progress | None = None
) -> ReadResult:
    """Read files or folders into studies, each with one scan of each state and any dynamic PET.

    Parameters
    ----------
    paths
        DICOM or NIfTI files, or folders of them, in any order; one path or several.
    state
        The user's state for scans whose files give none; a study of one scan takes it even where the
        file gives another.
    progress
        Called with the number of steps (files and studies) done and their total.

    Returns
    -------
    ReadResult
        Studies by Study Instance UID (by Patient ID where there is none). Two NIfTI files of one
        folder form a study where their names give stress and rest; else each is a study.

    Raises
    ------
    InputError
        When a single given file cannot be used, or no study can be read; otherwise files that cannot
        be used are listed in ``skipped``.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    alone = len(given) == 1 and given[0].is_file()
    files = find_files(given)
    report = progress or (lambda done, total: None)
    skipped: list[Skipped] = []
    series = _series_of(files, skipped, report, alone=alone)
    by_study: dict[tuple[str, str], list[_Series]] = {}
    for one in series:
        by_study.setdefault(one.study_key, []).append(one)
    studies = []
    for done, group in enumerate(by_study.values()):
        report(len(files) + done, len(files) + len(by_study))
        study = _study(group, state, skipped, alone=alone)
        if study is not None:
            studies.append(study)
    report(len(files) + len(by_study), len(files) + len(by_study))
    if not studies:
        raise InputError(_why_no_study(files, skipped))
    return ReadResult(tuple(studies), tuple(skipped))


def _why_no_study(files: Sequence[Path], skipped: Sequence[Skipped]) -> str:
    """Return in one line that no file was usable, and the most common reason."""
    if not files:
        return "The folder holds no files; give the folder with the files of the camera or the workstation."
    reasons = Counter(item.reason.removeprefix(f"{item.file}: ") for item in skipped)
    if not reasons:
        return f"None of {len(files)} file(s) is a perfusion study."
    reason, count = reasons.most_common(1)[0]
    which = "" if len(files) == 1 else f"None of {len(files)} files is a usable perfusion study; {count} of them: "
    return f"{which}{reason}"


def _series_of(files: Sequence[Path], skipped: list[Skipped], report: Progress, *, alone: bool) -> list[_Series]:
    """Read every header and group the files into series; files that cannot be used go to `skipped`."""
    series: list[_Series] = []
    slices: dict[tuple[str, str], list[tuple[Path, Dataset]]] = {}
    name_by_uid: dict[str, str] = {}
    nifti = [path for path in files if is_nifti(path)]
    for done, path in enumerate(files):
        report(done, len(files))
        try:
            if is_nifti(path):
                series.append(_nifti_series(path, nifti))
                continue
            header = read_header(path)
            kind = kind_of(header, path.name)
            uid = text_of(header, "SOPInstanceUID")
            if uid and uid in name_by_uid:
                raise InputError(f"{path.name}: a copy of {name_by_uid[uid]} (same SOP Instance UID).")
            name_by_uid[uid] = path.name
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
    """Return the series of one scan's DICOM files."""
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
    """Return the framing that headers declare; when the scan is read, its frames decide."""
    kind = text_of(headers[0], "SeriesType").upper()
    if ("GATED" in kind) if pet else is_gated(headers[0]):
        return "gated"
    several = len({numbers(header, "ImagePositionPatient") for header in headers}) < len(headers)
    return "dynamic" if pet and "DYNAMIC" in kind and several else "static"


def _nifti_series(path: Path, all_nifti: Sequence[Path]) -> _Series:
    """Return the series of a NIfTI file; a stress and a rest file alone in a folder are one study."""
    state = state_in_text(name_without_suffix(path))
    in_folder = [state_in_text(name_without_suffix(p)) for p in all_nifti if p.parent == path.parent]
    paired = len(in_folder) == 2 and set(in_folder) == {"stress", "rest"}
    key = ("folder", str(path.parent)) if paired else ("file", str(path))
    return _Series((path,), (), Candidate(path.name, state, "NM", False, "static", "transaxial"), key)


def _study(group: Sequence[_Series], state: State | None, skipped: list[Skipped], *, alone: bool) -> Study | None:
    """Choose and read a study's scans; None where none can be read."""
    group = [_with_user_state(series, state, only=len(group) == 1) for series in group]
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
        set_aside = [group[position] for position in order]
        used = f"{one.candidate.name} ({one.candidate.kind}) is used"
        for other in set_aside:
            skipped.extend(Skipped(p.name, f"set aside ({other.candidate.kind}): {used}") for p in other.paths)
        if set_aside:
            what = f"{one.candidate.state} state" if one.candidate.state else "study"
            kinds = ", ".join(other.candidate.kind for other in set_aside)
            message = f"Several scans of the {what}: {one.candidate.kind} used; set aside: {kinds}."
            findings.append(Finding("scans-set-aside", "info", message))
    if not scans:
        return None
    header = next((one.headers[0] for one, _ in scans if one.headers), Dataset())
    return study_of(header, tuple(scan for _, scan in scans), tuple(findings))


def _with_user_state(series: _Series, state: State | None, *, only: bool) -> _Series:
    """Return the series with the user's state where its files give none, or where it is the study's only one."""
    if state is None or not (series.candidate.state is None or only):
        return series
    return replace(series, candidate=replace(series.candidate, state=state))
