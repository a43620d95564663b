"""Read thousands of damaged inputs and analyse some: how many are read right, how many refused and why, any fault.

    PYTHONPATH=tests python benchmarks/fuzz.py                  10,000 read, 200 analysed (make fuzz)
    PYTHONPATH=tests python benchmarks/fuzz.py --mutants 600 --analyses 10

writes docs/results/fuzz.json, which docs/fuzz.md shows. Each mutant is read under a clock of 20 s and in a process that
may use 2 GB; a mutant that exceeds either is a fault. "Read right" means equal to what the undamaged input gives; of an
analysis, the pose within 0.1 mm and the segments within 0.1 point.

With ``--keep FILE`` every outcome is appended to FILE as it comes, and a later run with the same FILE reads what is
there instead of repeating it; with ``--only TARGET`` one target is run, and nothing is written but FILE.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import platform
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from myoperf.dicom import quiet_pydicom
from myoperf.version import __version__
from support.mutations import TARGETS, Target, attempt, mutate

COMMAND = "PYTHONPATH=tests python benchmarks/fuzz.py"
RESULT = Path(__file__).parents[1] / "docs" / "results" / "fuzz.json"
LONGEST_S, LARGEST_BYTES = 20.0, 2 * 2**30
_FIRST_SEED = 1000
"""The tests use the seeds below."""


class TooLongError(Exception):
    """Reading took longer than allowed."""


def _ring(*_: object) -> None:
    raise TooLongError


def under_a_clock(read: Callable[[Path], Any], seconds: float) -> Callable[[Path], Any]:
    """Return a reader that raises `TooLongError` after some seconds."""

    def timed(folder: Path) -> Any:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            return read(folder)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    return timed


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One damaged input and how its reading ended; ``took_s`` includes damaging it, ``peak_mb`` is the largest yet."""

    target: str
    seed: int
    damage: str
    harmless: bool
    kind: str
    cause: str
    seconds: float
    took_s: float
    peak_mb: float


class Kept:
    """The outcomes of earlier runs in a file of one JSON object a line; without a file, nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        text = path.read_text(encoding="utf-8") if path and path.exists() else ""
        complete = text[: text.rfind("\n") + 1]  # a run that was killed may leave half a line
        if path and complete != text:
            path.write_text(complete, encoding="utf-8")
        self.mutants = {(row.target, row.seed): row for row in (Mutant(**json.loads(x)) for x in complete.splitlines())}

    def add(self, mutant: Mutant) -> None:
        """Append one outcome."""
        if self._path:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(mutant)) + "\n")


def run(target: Target, seeds: Iterable[int], kept: Kept, *, seconds: float) -> list[Mutant]:
    """Damage a target's input once for each seed and read it; what an earlier run kept is not repeated."""
    missing = [seed for seed in seeds if (target.name, seed) not in kept.mutants]
    mutants = [kept.mutants[target.name, seed] for seed in seeds if (target.name, seed) in kept.mutants]
    if not missing:
        return mutants
    with tempfile.TemporaryDirectory(prefix="myoperf-fuzz-") as place:
        original = Path(place) / "original"
        original.mkdir()
        target.write(original)
        expected = target.read(original)
        read = under_a_clock(target.read, seconds)
        for seed in missing:
            start, folder = time.perf_counter(), Path(place) / "mutant"
            shutil.copytree(original, folder)
            damage, harmless = mutate(target, folder, np.random.default_rng([seed, TARGET_NUMBER[target.name]]))
            outcome = attempt(read, folder, expected)
            shutil.rmtree(folder)
            mutant = Mutant(
                target=target.name,
                seed=seed,
                damage=damage,
                harmless=harmless,
                kind=outcome.kind,
                cause=outcome.cause,
                seconds=round(outcome.seconds, 4),
                took_s=round(time.perf_counter() - start, 4),
                peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            )
            kept.add(mutant)
            mutants.append(mutant)
    return mutants


ANALYSES = {"analysis of a reconstruction": 100, "analysis of PET": 101}
TARGET_NUMBER = {target.name: number for number, target in enumerate(TARGETS)} | ANALYSES


def summarise(name: str, mutants: list[Mutant]) -> dict[str, Any]:
    """Return the counts of one target."""
    kinds = Counter(mutant.kind for mutant in mutants)
    harmless = [mutant for mutant in mutants if mutant.harmless]
    causes = Counter(mutant.cause for mutant in mutants if mutant.kind == "refused")
    faults = Counter(mutant.cause for mutant in mutants if mutant.kind == "fault")
    return {
        "target": name,
        "mutants": len(mutants),
        **{kind: kinds[kind] for kind in ("right", "other", "refused", "fault")},
        "harmless": len(harmless),
        "harmless_right": sum(mutant.kind == "right" for mutant in harmless),
        "longest_s": round(max(mutant.seconds for mutant in mutants), 3),
        "by_damage": {
            damage: dict(Counter(mutant.kind for mutant in mutants if mutant.damage == damage))
            for damage in sorted({mutant.damage for mutant in mutants})
        },
        "refused_because": dict(causes.most_common(12)),
        "faults": dict(faults),
    }


# ------------------------------------------------------------------------------------------------ analyses


def analyses() -> list[Target]:
    """Return the targets that are analysed: a simulated patient's reconstruction, and PET."""
    from myoperf.io import read_studies
    from myoperf.phantom.acquire import Protocol
    from myoperf.phantom.cohort import simulate_cohort
    from myoperf.phantom.cohort_scans import CohortOptions
    from myoperf.phantom.records import PopulationOptions
    from myoperf.pipeline import Options, analyze, load_models

    models = load_models(diagnosis=False)
    options = Options(interval_draws=0)

    def write(modality: str) -> Callable[[Path], None]:
        def to(folder: Path) -> None:
            tracer = "N-13" if modality == "pet" else "Tc-99m"
            wanted = CohortOptions(
                modality=modality,
                fast=modality == "spect",
                protocol=Protocol(gates=1),
                population=PopulationOptions(tracer=tracer),
            )
            simulate_cohort(1, folder / "cohort", seed=11, options=wanted)
            for path in sorted((folder / "cohort" / "patient-0001" / "dicom").rglob("*stress*")):
                inside = sorted(path.glob("*.dcm")) if path.is_dir() else [path]
                for file in inside:
                    file.rename(folder / file.name)
            shutil.rmtree(folder / "cohort")

        return to

    def read(folder: Path) -> Any:
        with quiet_pydicom():
            study = read_studies(folder).studies[0]
        result = analyze(study, models, options).results[0]
        frame = result.frame
        return [np.round([*frame.apex_mm, *frame.base_mm], 6), np.asarray(result.segments_percent)]

    return [
        Target(name="analysis of a reconstruction", write=write("spect"), read=read),
        Target(name="analysis of PET", write=write("pet"), read=read),
    ]


def _loosely(outcome_read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Return a reader whose results are equal where they differ by less than 0.1 mm and 0.1 point."""

    class Loose(list[Any]):
        def __eq__(self, other: object) -> bool:
            pairs = zip(self, other, strict=True)  # type: ignore[call-overload]
            return all(np.abs(np.asarray(a) - np.asarray(b)).max() <= 0.1 for a, b in pairs)

        __hash__ = None  # type: ignore[assignment]

    def read(folder: Path) -> Any:
        return {"result": Loose(outcome_read(folder))}

    return read


def run_readers(given: argparse.Namespace, kept: Kept) -> list[list[Mutant]]:
    """Read the mutants of every reader, in 2 GB."""
    unlimited = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (LARGEST_BYTES, unlimited[1]))
    seeds = range(_FIRST_SEED, _FIRST_SEED + max(1, given.mutants // len(TARGETS)))
    read = []
    for target in TARGETS:
        if given.only in (None, target.name):
            read.append(run(target, seeds, kept, seconds=LONGEST_S))
            _report(read[-1])
            gc.collect()
    resource.setrlimit(resource.RLIMIT_DATA, unlimited)  # torch reserves more
    return read


def run_analyses(given: argparse.Namespace, kept: Kept) -> list[list[Mutant]]:
    """Analyse the mutants of two simulated studies."""
    seeds = range(_FIRST_SEED, _FIRST_SEED + given.analyses // 2)
    analysed = []
    for target in analyses() if seeds and (given.only is None or given.only in ANALYSES) else []:
        if given.only in (None, target.name):
            loose = Target(name=target.name, write=target.write, read=_loosely(target.read))
            analysed.append(run(loose, seeds, kept, seconds=120.0))
            _report(analysed[-1])
    return analysed


def main() -> None:
    """Run all targets and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--analyses", type=int, default=200)
    parser.add_argument("--only", help="name of one target; no result is written", choices=list(TARGET_NUMBER))
    parser.add_argument("--keep", type=Path, help="file of outcomes that later runs with it do not repeat")
    given = parser.parse_args()
    signal.signal(signal.SIGALRM, _ring)
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)
    kept = Kept(given.keep)
    read, analysed = run_readers(given, kept), run_analyses(given, kept)
    every = [mutant for mutants in (*read, *analysed) for mutant in mutants]
    if given.only is None:
        result = {
            "myoperf": __version__,
            "machine": platform.processor() or platform.machine(),
            "command": f"{COMMAND} --mutants {given.mutants} --analyses {given.analyses}",
            "seconds": round(sum(mutant.took_s for mutant in every), 1),
            "limit_s": LONGEST_S,
            "limit_gb": LARGEST_BYTES / 2**30,
            "peak_mb_reading": round(max(mutant.peak_mb for mutants in read for mutant in mutants)),
            "peak_mb": round(max(mutant.peak_mb for mutant in every)),
            "read": [summarise(mutants[0].target, mutants) for mutants in read],
            "analysed": [summarise(mutants[0].target, mutants) for mutants in analysed],
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if any(mutant.kind == "fault" for mutant in every) else 0)


def _report(mutants: list[Mutant]) -> None:
    row = summarise(mutants[0].target, mutants)
    counts = ", ".join(f"{row[kind]} {kind}" for kind in ("right", "other", "refused", "fault"))
    print(f"{row['target']}: {row['mutants']} mutants: {counts}; longest {row['longest_s']} s", flush=True)
    for cause, count in row["faults"].items():
        print(f"   fault {count}x: {cause}", flush=True)


if __name__ == "__main__":
    main()
