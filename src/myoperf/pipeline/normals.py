"""Building normal limits from a folder of studies with a low likelihood of disease (``myoperf normals build``).

What limits are, and how they are read and chosen, is in `myoperf.perfusion.normal_limits`; how those of the package
were made, in `myoperf.research.normal_limits`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from myoperf.errors import InputError, MyoPerfError
from myoperf.io import read_studies
from myoperf.perfusion import (
    LimitsLabel,
    NormalLimits,
    Perfusion,
    build_limits,
    build_robust_limits,
    detector_of,
    isotope_of,
    leave_out,
    with_cutoffs,
)
from myoperf.perfusion.normal_limits import MIN_MAPS
from myoperf.pipeline.analyze import analyze
from myoperf.pipeline.engines import Engine, LocalEngine, ThisProcess, WorkerDied
from myoperf.pipeline.models import load_models
from myoperf.pipeline.options import Models, Options
from myoperf.types import Finding, PolarMap, Position, Report, ScanResult, State, Study

EACH = "each"
"""As a camera: separate limits for each kind of camera."""


@dataclass(frozen=True)
class NormalMap:
    """The polar map of one normal scan, and which scan it is; tracer and camera as the file names them.

    Attributes
    ----------
    corrected, position
        Whether the scan was corrected for attenuation, and how the patient lay.
    patient
        Tells which stress and rest are one patient's; None where that is not known.
    tid_ratio
        Of the patient's stress and rest.
    """

    polar: PolarMap
    state: State
    sex: str | None
    tracer: str | None = None
    camera: str | None = None
    corrected: bool | None = None
    position: Position | None = None
    patient: str | None = None
    tid_ratio: float | None = None


@dataclass(frozen=True)
class Pooled:
    """Maps of all studies, and how many studies failed, or were left out because the ventricle was doubtful.

    `mixed`: the patients are a department's own, some of them ill.
    """

    maps: tuple[NormalMap, ...]
    studies: int
    failed: int
    doubtful: int
    mixed: bool = False


def patient_folders(folder: Path) -> tuple[Path, ...]:
    """Return the sub-folders, one for each patient; a simulated cohort (with a ``cohort.csv``) holds its patients'.

    Raises
    ------
    InputError
        When there are none.
    """
    found: list[Path] = []
    for inner in sorted(folder.iterdir()) if folder.is_dir() else ():
        if inner.is_dir():
            found += patient_folders(inner) if (inner / "cohort.csv").is_file() else [inner]
    if not found:
        what = "has no sub-folders" if folder.is_dir() else "is no folder"
        raise InputError(f"{folder.name} {what}; expected a folder with one sub-folder for each patient.")
    return tuple(found)


def measure_normals(
    folders: Sequence[Path], *, workers: int = 1, progress: Callable[[int], None] = lambda _: None
) -> Pooled:
    """Analyse the study in each folder and return the static maps of scans without a warning on the ventricle.

    Parameters
    ----------
    folders
        One patient each.
    workers
        Processes.
    progress
        Called with the number of folders done.

    Raises
    ------
    InputError
        When no folder gives a map.
    """
    engine: Engine = LocalEngine(workers=workers) if workers > 1 else ThisProcess()
    ended: dict[Path, tuple[NormalMap, ...] | str] = {}
    for folder, outcome in engine.map(_measure, folders):
        ended[folder] = outcome.reason if isinstance(outcome, WorkerDied) else outcome
        progress(len(ended))
    done = [ended[folder] for folder in folders]
    maps = tuple(one for of_folder in done if not isinstance(of_folder, str) for one in of_folder)
    reasons = [reason for reason in done if isinstance(reason, str)]
    if not maps:
        why = f"The first that failed: {reasons[0]}" if reasons else "The ventricle was doubtful in all."
        raise InputError(f"No study in the folder gave a normal polar map. {why}")
    return Pooled(
        maps=maps,
        studies=len(folders),
        failed=len(reasons),
        doubtful=sum(not of_folder for of_folder in done),
    )


@cache
def _models() -> Models:
    """Return the models without normal limits and classifier; cached once for each process."""
    return replace(load_models(), limits=(), classify=None)


def _measure(folder: Path) -> tuple[NormalMap, ...] | str:
    """Return a patient's usable maps, at most one for each state, position and correction, or why there is none.

    A state whose ventricle is doubtful has no map. Stress and rest of two days are two studies: all in the folder
    count.
    """
    usable: dict[tuple[State, bool | None, Position | None], NormalMap] = {}
    analysed, reason = False, "it holds no study"
    try:
        studies = read_studies([folder]).studies
    except MyoPerfError as error:
        return str(error)
    for study in studies:
        try:
            report = analyze(study, _models(), Options(interval_draws=0))
        except MyoPerfError as error:
            reason = str(error)
            continue
        analysed = True
        for result in report.results:
            if result.state is not None and not any(_is_doubtful(f) for f in result.findings):
                one = _normal_map(study, result, report, patient=folder.as_posix())
                usable.setdefault((one.state, one.corrected, one.position), one)
    return tuple(usable.values()) if analysed else reason


def _normal_map(study: Study, result: ScanResult, report: Report, *, patient: str) -> NormalMap:
    """Return the map of a scan of known state with what limits need to know of it."""
    scan = result.scan
    return NormalMap(
        result.polar,
        "stress" if result.state == "stress" else "rest",
        study.sex,
        scan.tracer,
        scan.camera,
        corrected=scan.attenuation_corrected if scan.modality == "NM" else None,
        position=scan.position,
        patient=patient,
        tid_ratio=report.scores.tid_ratio,
    )


def _is_doubtful(finding: Finding) -> bool:
    """Return whether a finding makes the ventricle doubtful."""
    return finding.severity != "info" and (finding.code.startswith("lv-") or finding.code == "check-orientation")


def pool_normals(
    pooled: Pooled, *, name: str, version: str, tracer: str | None, camera: str | None, provenance: str, licence: str
) -> tuple[NormalLimits, ...]:
    """Return limits for each state: of women, of men, and of both together (used where the sex is not known).

    Prone scans and those corrected for attenuation have limits of their own. Limits of 20 patients or more hold the
    cut-offs that 5 % of them pass.

    Parameters
    ----------
    pooled
        Of `measure_normals`.
    name
        Start of the limits' names; tracer and camera are added where there are several.
    tracer
        Which tracer the limits hold for; None builds separate limits for each tracer that the files name.
    camera
        Which camera the limits hold for; None for any; "each" builds separate limits for each camera that the files
        name, solid-state cameras together.
    """
    groups: dict[tuple[str | None, str | None, bool, bool], list[NormalMap]] = {}
    for one in pooled.maps:
        detector = detector_of(one.camera) if camera == EACH else camera
        of = (tracer or isotope_of(one.tracer), detector, one.corrected is True, one.position == "prone")
        groups.setdefault(of, []).append(one)
    several = len({of[:2] for of in groups}) > 1
    limits: list[NormalLimits] = []
    for (isotope, detector, corrected, prone), maps in groups.items():
        marks = [m for m in ((isotope, detector) if several else ()) if m]
        marks += ["ac"] * corrected + ["prone"] * prone
        label = LimitsLabel(
            name="-".join([name, *map(_slug, marks)]),
            version=version,
            state="stress",
            tracer=isotope,
            camera=detector,
            corrected=True if corrected else None,
            position="prone" if prone else None,
            provenance=provenance + _MIXED * pooled.mixed,
            licence=licence,
        )
        limits += _by_sex_and_state(maps, label, mixed=pooled.mixed)
    return tuple(limits)


_MIXED = "; of a department's own patients, some of them ill (robust)"


@dataclass(frozen=True, eq=False)
class _Built:
    """Limits of one state and sex, the maps that they rest on, and each of these against limits of the others."""

    limits: NormalLimits
    maps: tuple[NormalMap, ...]
    left_out: tuple[tuple[Perfusion, float], ...]


def _by_sex_and_state(maps: list[NormalMap], label: LimitsLabel, *, mixed: bool) -> list[NormalLimits]:
    """Build the limits that there are enough maps for, named by sex and state, with cut-offs of their own."""
    states: tuple[State, ...] = ("stress", "rest")
    out: dict[State, list[NormalLimits]] = {state: [] for state in states}
    for sex, word in (("F", "women"), ("M", "men"), (None, "all")):
        built: dict[State, _Built] = {}
        for state in states:
            chosen = [m for m in maps if m.state == state and sex in (None, m.sex)]
            if len(chosen) >= MIN_MAPS:
                named = replace(label, name=f"{label.name}-{word}-{state}", state=state, sex=sex)
                built[state] = _build(chosen, named, mixed=mixed)
        sds, ratios = _compared(built)
        for state, one in built.items():
            polar, paired = [m.polar for m in one.maps], state == "stress"
            held = with_cutoffs(
                one.limits,
                polar,
                sds=sds if paired else (),
                tid_ratios=ratios if paired else (),
                left_out=one.left_out,
            )
            out[state].append(held)
    return [*out["stress"], *out["rest"]]


def _build(maps: list[NormalMap], label: LimitsLabel, *, mixed: bool) -> _Built:
    """Build limits, robustly where some patients are ill; those count whose maps are in line."""
    polar = [m.polar for m in maps]
    limits, kept = build_robust_limits(polar, label) if mixed else (build_limits(polar, label), range(len(maps)))
    held = tuple(maps[i] for i in kept)
    return _Built(limits, held, leave_out([m.polar for m in held], label) if len(held) > MIN_MAPS else ())


def _compared(built: Mapping[State, _Built]) -> tuple[list[int], list[float]]:
    """Return the summed difference scores and the TID ratios of the patients with both states."""
    if len(built) < 2:
        return [], []
    scores = {
        state: {m.patient: p.scores for m, (p, _) in zip(one.maps, one.left_out, strict=False) if m.patient is not None}
        for state, one in built.items()
    }
    both = [patient for patient in scores["stress"] if patient in scores["rest"]]
    sds = [int(np.maximum(scores["stress"][p] - scores["rest"][p], 0).sum()) for p in both]
    return sds, [m.tid_ratio for m in built["stress"].maps if m.tid_ratio is not None and m.patient in both]


def _slug(text: str) -> str:
    """Return a name that is safe in a file name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
