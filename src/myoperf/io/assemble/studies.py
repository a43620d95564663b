"""Files and folders to studies: list the files, sort them by header, choose scans, then read their pixels."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.dataset import Dataset

from myoperf.dicom import quiet_pydicom
from myoperf.errors import InputError, MyoPerfError
from myoperf.io.assemble.choice import choose, in_order
from myoperf.io.assemble.groups import Group, group_series
from myoperf.io.assemble.names import names_of_studies
from myoperf.io.assemble.series import AttenuationSeries, Progress, Series, Skipped, Sorted, sort_files
from myoperf.io.containers import contents
from myoperf.io.files import name_disk_errors
from myoperf.io.header import study_of, text_of
from myoperf.types import AttenuationImage, Finding, Scan, Sex, State, Study


@dataclass(frozen=True, eq=False)
class ReadResult:
    """Studies, and the files that are part of none."""

    studies: tuple[Study, ...]
    skipped: tuple[Skipped, ...] = ()


def find_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the given files and those in the given folders, zip archives and DICOMDIRs, without hidden ones.

    A file in an archive has the archive's path before its own. Links to folders are followed. A device or a pipe in a
    folder is returned as well, so that it is named when it is refused.

    Raises
    ------
    InputError
        When a path does not exist.
    """
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            files.update(dict.fromkeys(file for inside in sorted(_files_in(path)) for file in contents(inside)))
        elif path.exists():
            files.update(dict.fromkeys(contents(path)))
        else:
            raise InputError(f"{path.name}: no such file or folder.")
    return tuple(files)


def _files_in(root: Path) -> Iterator[Path]:
    """Yield the files of a folder and of those in it, each folder once, so that no circle of links is followed."""
    entered: set[Path] = set()
    for folder, inner, names in os.walk(root, followlinks=True):
        real = Path(folder).resolve()
        if real in entered:
            inner.clear()
            continue
        entered.add(real)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        yield from (Path(folder, name) for name in names if not name.startswith("."))


@quiet_pydicom()
def read_studies(
    paths: str | Path | Sequence[str | Path],
    *,
    state: State | None = None,
    sex: Sex | None = None,
    series: Sequence[str] = (),
    every_series: bool = False,
    progress: Progress | None = None,
) -> ReadResult:
    """Read files or folders into studies, each with all scans of one patient's visit.

    Parameters
    ----------
    paths
        DICOM or NIfTI files, or folders of them, in any order; one path or several.
    state
        The user's state for scans whose files give none; a study of one scan takes it even where the
        file gives another.
    sex
        The patient's sex, where the files do not give it.
    series
        Series Numbers or Series Instance UIDs: only these are read as scans. All by default, but for what an earlier
        analysis derived from another series that is there too.
    every_series
        Whether series that repeat another one (its reconstruction, its short axis, its sum over the gates) are read
        as scans too, instead of being set aside.
    progress
        Called with the number of steps (files and studies) done and their total.

    Returns
    -------
    ReadResult
        Studies by Study Instance UID (by Patient ID where there is none). A study of stress alone and one of rest alone
        of the same patient, at most 30 days apart, are one. Two NIfTI files of one folder form a study where their
        names give stress and rest; else each is a study. In each, the first scan of a state is the one to score.

    Raises
    ------
    InputError
        When a single given file cannot be used, or no study can be read; otherwise files that cannot
        be used are listed in ``skipped``. When `state` would have to hold for several scans that nothing tells apart,
        `sex` contradicts a file, or `series` names none that is there.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    files = find_files(given)
    alone = files == tuple(given) and len(given) == 1
    report = progress or (lambda done, total: None)
    found = sort_files(files, report, alone=alone)
    groups = group_series(_chosen(found, series) if series else _without_results(found))
    if not groups:
        raise InputError(_why_no_study(given, files, found, alone=alone))
    read: list[tuple[Group, Study]] = []
    for done, group in enumerate(groups):
        report(len(files) + done, len(files) + len(groups))
        study = _study(group, state, found.skipped, alone=alone, every_series=every_series)
        if study is not None:
            read.append((group, _with_sex(study, sex)))
    report(len(files) + len(groups), len(files) + len(groups))
    if not read:
        raise InputError(_why_no_study(given, files, found, alone=alone))
    studies = _with_attenuation(read, found)
    names = names_of_studies([[path for one in group.series for path in one.paths] for group, _ in read], given)
    return ReadResult(
        tuple(replace(study, name=name) for study, name in zip(studies, names, strict=True)), tuple(found.skipped)
    )


def _why_no_study(given: Sequence[Path], files: Sequence[Path], found: Sorted, *, alone: bool) -> str:
    """Return in one line that no file was usable, and the most common reason."""
    if not files:
        return "The folder holds no files; give the folder with the files of the camera or the workstation."
    skipped = [*found.skipped, *(s for one in found.attenuation for s in _skip_attenuation(one))]
    names = {path.name for path in files}  # the reason of a series begins with its first file
    reasons = Counter(
        rest if first in names else item.reason for item in skipped for first, _, rest in [item.reason.partition(": ")]
    )
    if not reasons:
        return f"None of the {len(files)} files is a perfusion study."
    reason, count = reasons.most_common(1)[0]
    if alone:
        return f"{files[0].name}: {reason}"
    if len(files) == 1:
        is_index = given[0].name.upper() == "DICOMDIR"
        whole = "folder" if given[0].is_dir() else "DICOMDIR" if is_index else "archive"
        return f"The {whole}'s only file is not a usable perfusion study: {reason}"
    return f"None of {len(files)} files is a usable perfusion study; {count} of them: {reason}"


def _chosen(found: Sorted, wanted: Sequence[str]) -> list[Series]:
    """Return the series that the user wants; the others are skipped with the reason."""
    known = {str(one.number): one for one in found.series if one.number is not None}
    missing = [name for name in wanted if name not in known and name not in {one.uid for one in found.series}]
    if missing:
        numbers = ", ".join(sorted(known, key=int)) or "none has a number"
        raise InputError(f"No series {missing[0]} among the scans; their series numbers: {numbers}.")
    chosen = [one for one in found.series if one.uid in wanted or str(one.number) in wanted]
    left = [path for one in found.series if one not in chosen for path in one.paths]
    found.skipped += [Skipped(path.name, "not one of the series chosen with --series") for path in left]
    return chosen


def _without_results(found: Sorted) -> list[Series]:
    """Return the series without those that an earlier analysis derived from another one that is there too.

    What it derived is no further scan of the patient. Results alone, as they come back from an archive, are read.
    """
    sources = {one.study_key for one in found.series if not one.is_result}
    kept = [one for one in found.series if not (one.is_result and (one.study_key in sources or not one.headers))]
    kept = kept if sources else found.series
    left = [path for one in found.series if one not in kept for path in one.paths]
    found.skipped += [Skipped(path.name, "a result of MyoPerf; what it was made from is used") for path in left]
    return kept


def _study(
    group: Group, state: State | None, skipped: list[Skipped], *, alone: bool, every_series: bool
) -> Study | None:
    """Choose and read a study's scans; None where none can be read."""
    series = _with_user_state(group.series, state)
    scans: list[tuple[Series, Scan]] = []
    findings = list(group.findings)
    chosen = choose([one.candidate for one in series])
    for order in map(list, [(i,) for group in chosen for i in group] if every_series else chosen):
        while order:
            one = series[order.pop(0)]
            try:
                with name_disk_errors(one.candidate.name):
                    scans.append((one, one.read(one.candidate.state)))
                break
            except MyoPerfError as error:
                if alone:
                    raise
                skipped.extend(_skipped(path, error) for path in one.paths)
        findings += _set_aside(one, [series[position] for position in order], skipped)
    if not scans:
        return None
    scans = [scans[i] for i in in_order([one.candidate for one, _ in scans])]
    header = next((one.headers[0] for one, _ in scans if one.headers), Dataset())
    study = study_of(header, tuple(scan for _, scan in scans), tuple(findings))
    uids = (text_of(one.headers[0], "StudyInstanceUID") for one, _ in scans if one.headers)
    different = tuple(dict.fromkeys(uid for uid in uids if uid))
    return replace(study, study_uids=different if len(different) > 1 else ())


def _skipped(path: Path, error: MyoPerfError) -> Skipped:
    """Return a file that could not be read and why; the reason of a series begins with its first file."""
    return Skipped(path.name, str(error).removeprefix(f"{path.name}: "))


def _set_aside(used: Series, others: Sequence[Series], skipped: list[Skipped]) -> list[Finding]:
    """Skip the series that repeat the one that is used; return the finding."""
    if not others:
        return []
    kind = used.candidate.kind
    for other in others:
        reason = f"set aside ({other.candidate.kind}): {used.candidate.name} ({kind}) is used"
        skipped.extend(Skipped(path.name, reason) for path in other.paths)
    what = f"{used.candidate.state} state" if used.candidate.state else "study"
    kinds = ", ".join(other.candidate.kind for other in others)
    message = f"Several scans of the {what}: {kind} used; set aside: {kinds}."
    return [Finding("scans-set-aside", "info", message)]


def _with_user_state(series: Sequence[Series], state: State | None) -> Sequence[Series]:
    """Return the series with the user's state where their files give none, or where there is only one.

    Raises
    ------
    InputError
        When several scans have no state and nothing else tells them apart: they may be stress and rest.
    """
    if state is None:
        return series
    unknown = [series[group[0]].candidate for group in choose([one.candidate for one in series])]
    conditions = [candidate.condition for candidate in unknown if candidate.state is None]
    if len(set(conditions)) < len(conditions):
        raise InputError(
            f"Several scans of one study do not say whether they are stress or rest, so --state {state} cannot apply "
            "to all of them; give one at a time, by --series NUMBER or as a file of its own."
        )
    return [
        replace(one, candidate=replace(one.candidate, state=state))
        if one.candidate.state is None or len(series) == 1
        else one
        for one in series
    ]


def _with_sex(study: Study, sex: Sex | None) -> Study:
    """Return the study with the sex that the user gave.

    Raises
    ------
    InputError
        When the file gives the other sex.
    """
    if sex is None or study.sex == sex:
        return study
    if study.sex in ("M", "F"):
        raise InputError("--sex contradicts the files of a study; leave it out, or have the files corrected.")
    finding = Finding("sex-given", "info", "The patient's sex was given by the user, not by the file.")
    return replace(study, sex=sex, findings=(*study.findings, finding))


def _with_attenuation(read: Sequence[tuple[Group, Study]], found: Sorted) -> list[Study]:
    """Return the studies with the CTs and maps that belong to them; those of no study are skipped."""
    images: dict[int, list[AttenuationSeries]] = {}
    for one in found.attenuation:
        owner = _owner(one, read)
        if owner is None:
            found.skipped += _skip_attenuation(one)
        else:
            images.setdefault(owner, []).append(one)
    shared = Finding(
        "instance-uid-repeated", "warning", "Different images have the same SOP Instance UID; all of them were read."
    )
    out = []
    for position, (_, study) in enumerate(read):
        findings = (*study.findings, *((shared,) if found.repeated_uid else ()))
        mine = tuple(one.image for one in images.get(position, ()))
        if mine:
            findings += (Finding("attenuation-images", "info", f"With the scans came {_described(mine)}."),)
        out.append(replace(study, attenuation=mine, findings=findings))
    return out


def _owner(one: AttenuationSeries, read: Sequence[tuple[Group, Study]]) -> int | None:
    """Return the position of the study that a CT or a map belongs to: of its study, else of its patient or folder."""
    same_study = [
        i
        for i, (group, study) in enumerate(read)
        if any(s.study_key == one.study_key for s in group.series)
        and (not one.patient_id or study.patient_id in (None, one.patient_id))
    ]
    folder = one.image.files[0].parent
    same_patient = [i for i, (_, study) in enumerate(read) if one.patient_id and study.patient_id == one.patient_id]
    same_folder = [
        i
        for i, (group, _) in enumerate(read)
        if any(not s.headers and s.paths[0].parent == folder for s in group.series)
    ]
    for candidates in (same_study, same_patient, same_folder if not one.patient_id else []):
        if len(candidates) == 1:
            return candidates[0]
    return None


def _described(images: Sequence[AttenuationImage]) -> str:
    """Count CTs and maps in words."""
    slices = Counter(len(image.files) for image in images if image.kind == "ct")
    maps = len(images) - slices.total()
    parts = [f"{'a CT' if count == 1 else f'{count} CTs'} of {size} slices" for size, count in slices.items()]
    parts += [f"{maps} attenuation map{'s' if maps > 1 else ''}"] if maps else []
    return " and ".join(parts)


def _skip_attenuation(one: AttenuationSeries) -> list[Skipped]:
    """Return the files of a CT or a map that belongs to no study, with the reason."""
    what = "modality CT" if one.image.kind == "ct" else "an attenuation map"
    reason = f"{what}, not a perfusion image; it is kept only where it comes with a scan of its study."
    return [Skipped(path.name, reason) for path in one.image.files]
