"""Read thousands of damaged inputs and analyse some: how many are read right, how many refused and why, any fault.

    python benchmarks/fuzz.py                                   10,000 read, 200 analysed (make fuzz)
    python benchmarks/fuzz.py --mutants 600 --analyses 10

writes docs/results/fuzz.json, which docs/fuzz.md shows. Each mutant is read under a clock of 20 s and in a process that
may use 2 GB; a mutant that exceeds either is a fault. "Read right" means equal to what the undamaged input gives; of an
analysis, the pose within 0.1 mm and the segments within 0.1 point.
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
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from myoperf.dicom import quiet_pydicom  # noqa: E402
from myoperf.version import __version__  # noqa: E402
from support.mutations import TARGETS, Outcome, Target, attempt, mutate  # noqa: E402

RESULT = ROOT / "docs" / "results" / "fuzz.json"
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


def run(target: Target, seeds: Iterable[int], *, seconds: float) -> list[tuple[str, bool, Outcome]]:
    """Damage a target's input once for each seed and read it; return kind of damage, harmless or not, and outcome."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="myoperf-fuzz-") as place:
        original = Path(place) / "original"
        original.mkdir()
        target.write(original)
        expected = target.read(original)
        read = under_a_clock(target.read, seconds)
        for seed in seeds:
            folder = Path(place) / "mutant"
            shutil.copytree(original, folder)
            kind, harmless = mutate(target, folder, np.random.default_rng([seed, TARGET_NUMBER[target.name]]))
            outcome = attempt(read, folder, expected)
            outcomes.append((kind, harmless, outcome))
            shutil.rmtree(folder)
    return outcomes


TARGET_NUMBER = {target.name: number for number, target in enumerate(TARGETS)} | {
    "analysis of a reconstruction": 100,
    "analysis of PET": 101,
}


def summarise(name: str, outcomes: list[tuple[str, bool, Outcome]]) -> dict[str, Any]:
    """Return the counts of one target."""
    of_kind = Counter(outcome.kind for _, _, outcome in outcomes)
    harmless = [outcome for _, is_harmless, outcome in outcomes if is_harmless]
    causes = Counter(outcome.cause for _, _, outcome in outcomes if outcome.kind == "refused")
    faults = Counter(outcome.cause for _, _, outcome in outcomes if outcome.kind == "fault")
    return {
        "target": name,
        "mutants": len(outcomes),
        **{kind: of_kind[kind] for kind in ("right", "other", "refused", "fault")},
        "harmless": len(harmless),
        "harmless_right": sum(outcome.kind == "right" for outcome in harmless),
        "longest_s": round(max(outcome.seconds for _, _, outcome in outcomes), 3),
        "by_damage": {
            kind: dict(Counter(outcome.kind for k, _, outcome in outcomes if k == kind))
            for kind in sorted({kind for kind, _, _ in outcomes})
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


def main() -> None:
    """Run all targets and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--analyses", type=int, default=200)
    parser.add_argument("--only", help="name of one target; nothing is written")
    parser.add_argument("--first-seed", type=int, default=_FIRST_SEED)
    given = parser.parse_args()
    signal.signal(signal.SIGALRM, _ring)
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)
    resource.setrlimit(resource.RLIMIT_DATA, (LARGEST_BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    start, rows = time.perf_counter(), []
    each = max(1, given.mutants // len(TARGETS))
    seeds = range(given.first_seed, given.first_seed + each)
    for target in TARGETS:
        if given.only in (None, target.name):
            rows.append(summarise(target.name, run(target, seeds, seconds=LONGEST_S)))
            _tell(rows[-1])
            gc.collect()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    of_analyses: list[dict[str, Any]] = []
    if given.analyses and given.only is None:
        resource.setrlimit(
            resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )  # torch reserves more
        targets = analyses()
        seeds = range(given.first_seed, given.first_seed + max(1, given.analyses // len(targets)))
        for target in targets:
            loose = Target(name=target.name, write=target.write, read=_loosely(target.read))
            of_analyses.append(summarise(target.name, run(loose, seeds, seconds=120.0)))
            _tell(of_analyses[-1])
    if given.only is None:
        result = {
            "myoperf": __version__,
            "machine": platform.processor() or platform.machine(),
            "command": f"python benchmarks/fuzz.py --mutants {given.mutants} --analyses {given.analyses}",
            "seconds": round(time.perf_counter() - start, 1),
            "limit_s": LONGEST_S,
            "limit_gb": LARGEST_BYTES / 2**30,
            "peak_mb_reading": round(peak_mb),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "read": rows,
            "analysed": of_analyses,
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    faults = sum(row["fault"] for row in (*rows, *of_analyses))
    sys.exit(1 if faults else 0)


def _tell(row: dict[str, Any]) -> None:
    counts = ", ".join(f"{row[kind]} {kind}" for kind in ("right", "other", "refused", "fault"))
    print(f"{row['target']}: {row['mutants']} mutants: {counts}; longest {row['longest_s']} s", flush=True)
    for cause, count in row["faults"].items():
        print(f"   fault {count}x: {cause}", flush=True)


if __name__ == "__main__":
    main()
