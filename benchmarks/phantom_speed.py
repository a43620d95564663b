"""Time the simulation and watch its memory: docs/results/phantom_speed.csv, and the table of docs/phantom-physics.md.

    python benchmarks/phantom_speed.py [--patients 16] [--full 2]

Fast mode: FastStream at 64^3 on two processes. Full physics: stress and rest, 64 views, 64 x 64, 8 gates, on two
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
from myoperf.phantom.fast import FastStream
from myoperf.phantom.population import draw_patient

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/phantom-physics.md"
START, END = "<!-- phantom_speed: start -->", "<!-- phantom_speed: end -->"


def fast(first: int, count: int, quick: bool) -> tuple[float, float, float]:
    """Give processor seconds of a run of images and the peak memory (MB) after its first quarter and its end."""
    start, stream, peaks = time.process_time(), FastStream(1, quick_labels=quick), []
    for index in range(count):
        stream[first + index]
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return time.process_time() - start, peaks[max(count // 4 - 1, 0)], peaks[-1]


def cohort(count: int) -> tuple[float, float]:
    """Give the peak memory (MB) of a process after a quarter and at the end of a cohort on disk."""
    peaks: list[float] = []

    def note(_: int) -> None:
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    options = CohortOptions(as_="arrays", fast=True, protocol=Protocol(gates=1))
    with tempfile.TemporaryDirectory() as folder:
        simulate_cohort(count, Path(folder) / "cohort", seed=1, options=options, progress=note)
    return peaks[max(count // 4 - 1, 0)], peaks[-1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=16)
    parser.add_argument("--full", type=int, default=2)
    options = parser.parse_args()
    half, load = options.patients // 2, os.getloadavg()[0]
    rows: list[tuple[str, float]] = []
    for quick in (False, True):
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            list(pool.map(fast, (0, 1), (2, 2), (quick, quick)))  # imports and compiled code
            wall = time.perf_counter()
            parts = list(pool.map(fast, (100, 200), (half, half), (quick, quick)))
            wall = time.perf_counter() - wall
        work = sum(p[0] for p in parts) / (2 * half)
        name = "fast 64^3, quick labels" if quick else "fast 64^3"
        rows += [
            (f"{name}: images a second, two processes, wall", 2 * half / wall),
            (f"{name}: processor seconds an image", work),
            (f"{name}: patients (stress and rest) a second that two free cores would make", 1.0 / work),
            (f"{name}: peak memory of a process after a quarter, MB", max(p[1] for p in parts)),
            (f"{name}: peak memory of a process at the end, MB", max(p[2] for p in parts)),
        ]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        quarter, end = pool.submit(cohort, options.patients).result()
    rows += [
        (f"cohort of {options.patients} on disk, fast, peak memory after a quarter, MB", quarter),
        (f"cohort of {options.patients} on disk, fast, peak memory at the end, MB", end),
    ]
    walls, works = [], []
    for index in range(options.full + 1):  # the first warms up
        rng = np.random.default_rng([9, index])
        patient = draw_patient(rng)
        begin, work = time.perf_counter(), time.process_time()
        for state in ("stress", "rest"):
            acquire(patient, state, rng, Protocol(views=64), threads=2)
        walls.append(time.perf_counter() - begin)
        works.append(time.process_time() - work)
    rows += [
        ("full physics, stress and rest, 64 views, 8 gates: seconds a patient, wall", float(np.median(walls[1:]))),
        ("the same: processor seconds a patient", float(np.median(works[1:]))),
        ("load of the machine before it began (1 min; cores: " + str(os.cpu_count()) + ")", load),
    ]
    with (ROOT / "docs/results/phantom_speed.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("what", "value"))
        writer.writerows((name, round(value, 3)) for name, value in rows)
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {value:.3g} |" for name, value in rows)])
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
