"""Building normal limits from a folder of studies with a low likelihood of disease (``myoperf normals build``).

What limits are, and how they are read and chosen, is in `myoperf.perfusion.normal_limits`; how those of the package
were made, in `myoperf.research.normal_limits`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from myoperf.errors import InputError, MyoPerfError
from myoperf.io import read_studies
from myoperf.perfusion import LimitsLabel, NormalLimits, build_limits, detector_of, isotope_of
from myoperf.perfusion.normal_limits import MIN_MAPS
from myoperf.pipeline.analyze import analyze
from myoperf.pipeline.engines import Engine, LocalEngine, ThisProcess, WorkerDied
from myoperf.pipeline.models import load_models
from myoperf.pipeline.options import Models, Options
from myoperf.types import Finding, PolarMap, State

EACH = "each"
"""As a camera: separate limits for each kind of camera."""


@dataclass(frozen=True)
class NormalMap:
    """The polar map of one normal scan, and which scan it is; tracer and camera as the file names them."""

    polar: PolarMap
    state: State
    sex: str | None
    tracer: str | None = None
    camera: str | None = None


@dataclass(frozen=True)
class Pooled:
    """Maps of all studies, and how many studies failed, or were left out because the ventricle was doubtful."""

    maps: tuple[NormalMap, ...]
    studies: int
    failed: int
    doubtful: int


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
    """Return a patient's usable maps, at most one for each state, or the reason why no study could be analysed.

    A state whose ventricle is doubtful has no map. Stress and rest of two days are two studies: all in the folder
    count.
    """
    usable: dict[State, NormalMap] = {}
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
                scan = result.scan
                one = NormalMap(result.polar, result.state, study.sex, scan.tracer, scan.camera)
                usable.setdefault(result.state, one)
    return tuple(usable.values()) if analysed else reason


def _is_doubtful(finding: Finding) -> bool:
    """Return whether a finding makes the ventricle doubtful."""
    return finding.severity != "info" and (finding.code.startswith("lv-") or finding.code == "check-orientation")


def pool_normals(
    pooled: Pooled, *, name: str, version: str, tracer: str | None, camera: str | None, provenance: str, licence: str
) -> tuple[NormalLimits, ...]:
    """Return limits for each state: of women, of men, and of both together (used where the sex is not known).

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
    groups: dict[tuple[str | None, str | None], list[NormalMap]] = {}
    for one in pooled.maps:
        of = (tracer or isotope_of(one.tracer), detector_of(one.camera) if camera == EACH else camera)
        groups.setdefault(of, []).append(one)
    limits: list[NormalLimits] = []
    for (isotope, detector), maps in groups.items():
        marks = [m for m in ((isotope, detector) if len(groups) > 1 else ()) if m]
        label = LimitsLabel(
            name="-".join([name, *map(_slug, marks)]),
            version=version,
            state="stress",
            tracer=isotope,
            camera=detector,
            provenance=provenance,
            licence=licence,
        )
        limits += _by_sex_and_state(maps, label)
    return tuple(limits)


def _by_sex_and_state(maps: list[NormalMap], label: LimitsLabel) -> list[NormalLimits]:
    """Build the limits that there are enough maps for, named by sex and state."""
    out = []
    states: tuple[State, ...] = ("stress", "rest")
    for state in states:
        for sex, word in (("F", "women"), ("M", "men"), (None, "all")):
            chosen = [m.polar for m in maps if m.state == state and sex in (None, m.sex)]
            if len(chosen) >= MIN_MAPS:
                named = replace(label, name=f"{label.name}-{word}-{state}", state=state, sex=sex)
                out.append(build_limits(chosen, named))
    return out


def _slug(text: str) -> str:
    """Return a name that is safe in a file name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
