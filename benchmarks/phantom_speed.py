"""Time the simulation and watch its memory: docs/results/phantom_speed.csv.

    python benchmarks/phantom_speed.py [--patients 16] [--full 2] [--parts fast,quick,cohort,full]

Fast mode: `simulate_fast` at 64^3 on two processes. Full physics: stress and rest, 64 views, 64 x 64, 8 gates, on two
threads. Wall and processor time are both written: other work on the machine lengthens the first only.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from myoperf.phantom.acquire import Protocol, acquire
from myoperf.phantom.cohort import CohortOptions, simulate_cohort
from myoperf.phantom.fast import simulate_fast
from myoperf.phantom.population import draw_patient

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results/phantom_speed.csv"


def fast(first: int, count: int, quick: bool) -> tuple[float, float, float]:
    """Return processor seconds of a run of images and the peak memory (MB) after its first quarter and its end."""
    start, peaks = time.process_time(), []
    for index in range(first, first + count):
        rng = np.random.default_rng([1, index])
        simulate_fast(draw_patient(rng), rng, state="rest" if index % 2 else "stress", quick_labels=quick)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return time.process_time() - start, peaks[max(count // 4 - 1, 0)], peaks[-1]


def cohort(count: int) -> tuple[float, float]:
    """Return the peak memory (MB) of a process after a quarter and at the end of a cohort on disk."""
    peaks: list[float] = []

    def note(_: int) -> None:
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    options = CohortOptions(as_="arrays", fast=True, protocol=Protocol(gates=1))
    with tempfile.TemporaryDirectory() as folder:
        simulate_cohort(count, Path(folder) / "cohort", seed=1, options=options, progress=note)
    return peaks[max(count // 4 - 1, 0)], peaks[-1]


def time_fast(images: int, quick: bool) -> list[tuple[str, float]]:
    """Time images on two processes."""
    half = images // 2
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(fast, (0, 1), (2, 2), (quick, quick)))  # imports and compiled code
        wall = time.perf_counter()
        parts = list(pool.map(fast, (100, 200), (half, half), (quick, quick)))
        wall = time.perf_counter() - wall
    work = sum(p[0] for p in parts) / (2 * half)
    name = "fast 64^3, quick labels" if quick else "fast 64^3"
    return [
        (f"{name}: images a second, two processes, wall", 2 * half / wall),
        (f"{name}: processor seconds an image", work),
        (f"{name}: peak memory of a process after a quarter, MB", max(p[1] for p in parts)),
        (f"{name}: peak memory of a process at the end, MB", max(p[2] for p in parts)),
    ]


def time_cohort(patients: int) -> list[tuple[str, float]]:
    """Watch the memory of a cohort written to disk."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        quarter, end = pool.submit(cohort, patients).result()
    name = "cohort on disk, fast model"
    return [
        (f"{name}: patients", patients),
        (f"{name}: peak memory after a quarter, MB", quarter),
        (f"{name}: peak memory at the end, MB", end),
    ]


def time_full(patients: int) -> list[tuple[str, float]]:
    """Time full physics on two threads."""
    walls, works = [], []
    for index in range(patients + 1):  # the first warms up
        rng = np.random.default_rng([9, index])
        patient = draw_patient(rng)
        begin, work = time.perf_counter(), time.process_time()
        for state in ("stress", "rest"):
            acquire(patient, state, rng, Protocol(views=64), threads=2)
        walls.append(time.perf_counter() - begin)
        works.append(time.process_time() - work)
    name = "full physics, stress and rest, 64 views, 8 gates"
    return [
        (f"{name}: seconds a patient, wall", float(np.median(walls[1:]))),
        (f"{name}: processor seconds a patient", float(np.median(works[1:]))),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=16)
    parser.add_argument("--full", type=int, default=2)
    parser.add_argument("--parts", default="fast,quick,cohort,full", help="rows of other parts stay as they are")
    options = parser.parse_args()
    there: dict[str, dict[str, str]] = {}
    if RESULTS.exists():
        with RESULTS.open(encoding="utf-8") as file:
            there = {row["what"]: row for row in csv.DictReader(file)}
    parts = {
        "fast": lambda: time_fast(options.patients, quick=False),
        "quick": lambda: time_fast(options.patients, quick=True),
        "cohort": lambda: time_cohort(options.patients),
        "full": lambda: time_full(options.full),
    }
    for part in filter(None, options.parts.split(",")):
        load = f"{os.getloadavg()[0]:.1f}"
        there |= {name: {"what": name, "value": f"{value:.3f}", "load": load} for name, value in parts[part]()}
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("what", "value", "load"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(there.values())
    print(*there.values(), sep="\n")


if __name__ == "__main__":
    main()
