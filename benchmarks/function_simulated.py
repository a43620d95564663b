"""Volumes, ejection fraction and phase on simulated patients against their truth.

Full physics (views, noise), OSEM, the classical left ventricle, then `measure_function`; nothing is told
to the measurement. Run: python benchmarks/function_simulated.py --patients 40 --seed 501 --state stress
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np

from myoperf.errors import MyoPerfError
from myoperf.lv import find_lv
from myoperf.phantom.acquire import Protocol, acquire, expected_views
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions
from myoperf.phantom.truth import truth
from myoperf.polar import sample_polar_map
from myoperf.quant import measure_function
from myoperf.recon import reconstruct

COLUMNS = ("edv_ml", "esv_ml", "lvef_percent", "phase_sd_deg", "phase_bandwidth_deg")


def measure_patient(seed: int, index: int, state: Any, gates: int, noiseless: bool = False) -> dict[str, Any] | None:
    rng = np.random.default_rng([seed, index])
    patient = draw_patient(rng, PopulationOptions(normal=index % 4 == 0))
    known = truth(patient)
    if noiseless:
        views = expected_views(patient, state, Protocol(gates=gates), rng)[0]
        views = replace(views, array=views.array * (1e6 / views.array.sum()))
    else:
        views = acquire(patient, state, rng, Protocol(gates=gates)).projections
    volume = reconstruct(views).volume
    try:
        fit = find_lv(volume.summed())
        polar = sample_polar_map(volume.summed(), fit.labels, fit.frame).maximum
        start = time.perf_counter()
        result = measure_function(volume, fit.frame, fit.labels, polar)
    except MyoPerfError as error:
        print(f"{index}: {error}", flush=True)
        return None
    row: dict[str, Any] = {"index": index, "seconds": time.perf_counter() - start}
    row["wall_mm"] = float(np.mean(patient.ventricle.wall_mm))
    row["reliable"] = bool(result.more["phase_reliable"])
    for name in COLUMNS:
        row[f"{name}_true"] = float(getattr(known, name)[state])
        row[name] = float(getattr(result, name))
    print(index, {k: round(v, 1) for k, v in row.items()}, flush=True)
    return row


def line(name: str, rows: list[dict[str, Any]], column: str, *, relative: bool) -> str:
    true = np.array([r[f"{column}_true"] for r in rows])
    seen = np.array([r[column] for r in rows])
    error = 100 * (seen / true - 1) if relative else seen - true
    r = float(np.corrcoef(true, seen)[0, 1]) if len(rows) > 2 else float("nan")
    half = 1.96 * error.std(ddof=1) / np.sqrt(len(rows))
    return (
        f"| {name} | {column} | {len(rows)} | {error.mean():+.1f} ({error.mean() - half:+.1f} to "
        f"{error.mean() + half:+.1f}) | {error.std(ddof=1):.1f} | {r:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--seed", type=int, default=501)
    parser.add_argument("--state", choices=("stress", "rest"), default="stress")
    parser.add_argument("--gates", type=int, default=8)
    parser.add_argument("--noiseless", action="store_true")
    options = parser.parse_args()
    jobs = (
        measure_patient(options.seed, i, options.state, options.gates, options.noiseless)
        for i in range(options.patients)
    )
    rows = [row for row in jobs if row is not None]
    groups = {
        "all": rows,
        "EDV >= 70 ml": [r for r in rows if r["edv_ml_true"] >= 70],
        "EDV < 70 ml": [r for r in rows if r["edv_ml_true"] < 70],
        "wall <= 11 mm": [r for r in rows if r["wall_mm"] <= 11],
        "phase reliable": [r for r in rows if r["reliable"]],
    }
    noise = ", without noise" if options.noiseless else ""
    print(f"\nSimulated, {options.state}, {options.gates} gates, seed {options.seed}{noise}.")
    print("| group | number | n | bias (95 % interval) | SD | r |\n|---|---|---|---|---|---|")
    for name, chosen in groups.items():
        if len(chosen) > 2:
            for column in COLUMNS:
                print(line(name, chosen, column, relative=column in COLUMNS[:2]))
    print(f"median {np.median([r['seconds'] for r in rows]):.2f} s a patient")


if __name__ == "__main__":
    main()
