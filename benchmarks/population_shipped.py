"""The shipped network of the ventricle and the shipped limits on normal patients of the simulator as it is now.

    python benchmarks/population_shipped.py draw --patients 30     (resumes where it stopped)
    python benchmarks/population_shipped.py table

``draw`` acquires an ungated stress scan of normal patients by full physics (60 views, full dose, no correction; half of
them men), finds the ventricle and scores the polar map against the shipped limits, into ``runs/population-shipped``.
``table`` writes ``docs/results/population_shipped.csv``, a row a patient.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from myoperf.errors import MyoPerfError
from myoperf.geometry import rotate_frame
from myoperf.perfusion import choose_limits, measure_perfusion, shipped_limits
from myoperf.phantom.acquire import Protocol, acquire, scanner_from_patient
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions
from myoperf.pipeline import load_models
from myoperf.pipeline.jobs import run_jobs
from myoperf.polar import sample_polar_map
from myoperf.recon import reconstruct

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/population_shipped.csv"
FOLDER = ROOT / "runs/population-shipped"
SEED = 3300


def scan_patient(index: int) -> dict[str, object]:
    """Acquire, find and score one normal patient: even numbers are men."""
    rng = np.random.default_rng([SEED, index])
    patient = draw_patient(rng, PopulationOptions(normal=True, male=float(index % 2 == 0)))
    image = reconstruct(acquire(patient, "stress", rng, Protocol(gates=1)).projections).volume
    row: dict[str, object] = {"patient": index, "sex": patient.clinical.sex, "found": False}
    try:
        fit = load_models(diagnosis=False).find_lv(image)
        polar = sample_polar_map(image, fit.labels, fit.frame).maximum
    except MyoPerfError as error:
        return row | {"warnings": type(error).__name__}
    true = rotate_frame(patient.frame, scanner_from_patient(patient))
    limits, _ = choose_limits(shipped_limits(), state="stress", sex=patient.clinical.sex, tracer="Tc-99m")
    measured = measure_perfusion(polar, limits)
    return row | {
        "found": bool(np.linalg.norm(fit.frame.centre_mm - true.centre_mm) < 25.0),
        "warnings": ";".join(f.code for f in fit.findings if f.severity != "info"),
        "centre_mm": round(float(np.linalg.norm(fit.frame.centre_mm - true.centre_mm)), 2),
        "axis_deg": round(float(np.rad2deg(np.arccos(np.clip(fit.frame.axis @ true.axis, -1.0, 1.0)))), 2),
        "tpd_percent": round(float(measured.tpd_percent or 0.0), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draw", "table"))
    parser.add_argument("--patients", type=int, default=30)
    given = parser.parse_args()
    if given.what == "draw":
        FOLDER.mkdir(parents=True, exist_ok=True)
        jobs = {FOLDER / f"patient-{index:04d}.csv": index for index in range(given.patients)}
        run_jobs(
            jobs,
            lambda index, path: pd.DataFrame([scan_patient(index)]).to_csv(path, index=False),
            title="normals",
        )
        return
    rows = pd.concat([pd.read_csv(path) for path in sorted(FOLDER.glob("patient-????.csv"))], ignore_index=True)
    rows.to_csv(TABLE, index=False)
    print(rows.to_string())


if __name__ == "__main__":
    main()
