"""Normal limits from a folder of studies with a low likelihood of disease."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from myoperf.errors import InputError, MyoPerfError
from myoperf.io import read_studies
from myoperf.perfusion import NormalLimits, build_limits, detector_of, isotope_of
from myoperf.perfusion.normal_limits import MIN_MAPS
from myoperf.pipeline.analyze import analyze
from myoperf.pipeline.models import load_models
from myoperf.pipeline.options import Models, Options
from myoperf.types import Finding, PolarMap, State

__all__ = ["EACH", "NormalMap", "Pooled", "measure_normals", "patient_folders", "pool_normals"]


EACH = "each"
"""As a camera: limits for each kind of camera by itself."""


@dataclass(frozen=True)
class NormalMap:
    """One normal scan's polar map and what it is of; tracer and camera as the file names them."""

    polar: PolarMap
    state: State
    sex: str | None
    tracer: str | None = None
    camera: str | None = None


@dataclass(frozen=True)
class Pooled:
    """Maps of all studies, and how many studies failed or were doubtful and so left out."""

    maps: tuple[NormalMap, ...]
    studies: int
    failed: int
    doubtful: int


def patient_folders(folder: Path) -> tuple[Path, ...]:
    """List the sub-folders, one a patient; those of a simulated cohort (with a ``cohort.csv``) give their patients.

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
        raise InputError(f"{folder.name} {what}; expected a folder with one sub-folder a patient.")
    return tuple(found)


def measure_normals(
    folders: Sequence[Path], *, workers: int = 1, progress: Callable[[int], None] = lambda _: None
) -> Pooled:
    """Analyse one study a folder and keep the static maps of scans without a warning on the ventricle.

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
    done: list[tuple[NormalMap, ...] | str] = []
    if workers == 1:
        for folder in folders:
            done.append(_measure(folder))
            progress(len(done))
    else:
        with ProcessPoolExecutor(workers) as pool:
            for maps in pool.map(_measure, folders):
                done.append(maps)
                progress(len(done))
    maps = tuple(m for found in done if not isinstance(found, str) for m in found)
    reasons = [found for found in done if isinstance(found, str)]
    if not maps:
        why = f"The first that failed: {reasons[0]}" if reasons else "The ventricle was in doubt in all."
        raise InputError(f"No study in the folder gave a normal polar map. {why}")
    return Pooled(
        maps=maps,
        studies=len(folders),
        failed=len(reasons),
        doubtful=sum(not found for found in done),
    )


@cache
def _models() -> Models:
    """Give what a patient is analysed with, less the limits and the classifier."""
    return replace(load_models(), limits=(), classify=None)


def _measure(folder: Path) -> tuple[NormalMap, ...] | str:
    """Give a patient's usable maps, one a state, none where the ventricle is in doubt; else why there are none.

    Stress and rest of two days are two studies: all in the folder are taken.
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
            if result.state is not None and not any(_doubts(f) for f in result.findings):
                scan = result.scan
                one = NormalMap(result.polar, result.state, study.sex, scan.tracer, scan.camera)
                usable.setdefault(result.state, one)
    return tuple(usable.values()) if analysed else reason


def _doubts(finding: Finding) -> bool:
    """Whether a finding puts the ventricle in doubt."""
    return finding.severity != "info" and (finding.code.startswith("lv-") or finding.code == "check-orientation")


def pool_normals(
    pooled: Pooled, *, name: str, version: str, tracer: str | None, camera: str | None, provenance: str, licence: str
) -> tuple[NormalLimits, ...]:
    """Pool the maps of each state: women, men, and both together (used where the sex is not known).

    Parameters
    ----------
    pooled
        Of `measure_normals`.
    name
        Start of the limits' names; tracer and camera are added where there are several.
    tracer
        What the limits hold for. None: each tracer that the files name gets limits of its own.
    camera
        What the limits hold for; None for any; "each": every camera the files name, solid-state ones together.
    """
    groups: dict[tuple[str | None, str | None], list[NormalMap]] = {}
    for one in pooled.maps:
        of = (tracer or isotope_of(one.tracer), detector_of(one.camera) if camera == EACH else camera)
        groups.setdefault(of, []).append(one)
    limits: list[NormalLimits] = []
    for (isotope, detector), maps in groups.items():
        marks = [m for m in ((isotope, detector) if len(groups) > 1 else ()) if m]
        build = partial(
            build_limits, version=version, tracer=isotope, camera=detector, provenance=provenance, licence=licence
        )
        limits += _by_sex_and_state(maps, "-".join([name, *map(_slug, marks)]), build)
    return tuple(limits)


def _by_sex_and_state(maps: list[NormalMap], name: str, build: Callable[..., NormalLimits]) -> list[NormalLimits]:
    """Build what there are at least ten maps for."""
    out = []
    for state in ("stress", "rest"):
        for sex, word in (("F", "women"), ("M", "men"), (None, "all")):
            chosen = [m.polar for m in maps if m.state == state and sex in (None, m.sex)]
            if len(chosen) >= MIN_MAPS:
                out.append(build(chosen, name=f"{name}-{word}-{state}", state=state, sex=sex))
    return out


def _slug(text: str) -> str:
    """Make a name fit for a file."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
