"""Normal limits from a folder of studies with a low likelihood of disease."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from myoperf.errors import InputError, MyoPerfError
from myoperf.io import read_studies
from myoperf.pipeline.analyze import Models, Options, analyze
from myoperf.quant import NormalLimits, build_limits
from myoperf.types import PolarMap, State

__all__ = ["NormalMap", "Pooled", "measure_normals", "pool_normals"]


@dataclass(frozen=True)
class NormalMap:
    """One normal scan's polar map and what it is of."""

    polar: PolarMap
    state: State
    sex: str | None


@dataclass(frozen=True)
class Pooled:
    """Maps of all studies, and how many studies failed or were doubtful and so left out."""

    maps: tuple[NormalMap, ...]
    studies: int
    failed: int
    doubtful: int


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
    done: list[tuple[NormalMap, ...] | None] = []
    if workers == 1:
        for folder in folders:
            done.append(_measure(folder))
            progress(len(done))
    else:
        with ProcessPoolExecutor(workers) as pool:
            for maps in pool.map(_measure, folders):
                done.append(maps)
                progress(len(done))
    maps = tuple(m for found in done if found for m in found)
    if not maps:
        raise InputError("No study in the folder gave a normal polar map.")
    return Pooled(
        maps=maps,
        studies=len(folders),
        failed=sum(found is None for found in done),
        doubtful=sum(found is not None and len(found) == 0 for found in done),
    )


def _measure(folder: Path) -> tuple[NormalMap, ...] | None:
    """Give a study's usable maps, none where the ventricle is in doubt; None when it cannot be analysed."""
    try:
        study = read_studies([folder]).studies[0]
        report = analyze(study, Models(limits=()), Options())
    except MyoPerfError:
        return None
    usable = []
    for result in report.results:
        doubt = any(f.severity != "info" and f.code.startswith("lv-") for f in result.findings)
        if result.state is not None and not doubt:
            usable.append(NormalMap(result.polar, result.state, study.sex))
    return tuple(usable)


def pool_normals(
    pooled: Pooled, *, name: str, version: str, tracer: str | None, camera: str | None, provenance: str, licence: str
) -> tuple[NormalLimits, ...]:
    """Pool the maps of each state: women, men, and both together (used where the sex is not known)."""
    build = partial(build_limits, version=version, tracer=tracer, camera=camera, provenance=provenance, licence=licence)
    limits = []
    for state in ("stress", "rest"):
        for sex, word in (("F", "women"), ("M", "men"), (None, "all")):
            maps = [m.polar for m in pooled.maps if m.state == state and sex in (None, m.sex)]
            if len(maps) >= 10:
                limits.append(build(maps, name=f"{name}-{word}-{state}", state=state, sex=sex))
    return tuple(limits)
