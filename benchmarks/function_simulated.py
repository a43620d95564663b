"""Volumes, ejection fraction, phase and TID of simulated patients against their truth.

    python benchmarks/function_simulated.py --cohort population --seed 9611 --patients 200
    python benchmarks/function_simulated.py --cohort dyssynchrony --seed 9612 --patients 40
    python benchmarks/function_simulated.py --cohort dilation --seed 9614 --patients 40
    python benchmarks/function_simulated.py --cohort population --seed 9611 --patients 40 --gates 16
    python benchmarks/function_simulated.py --again --cohort population --seed 9611 --patients 200

Simulates the views (full physics; see ``function_cohort.py``) and gives them to `analyze`, which gets no part of the
truth; function is measured once more in the true pose, as a ceiling. It writes one row per patient to
``docs/results/function_simulated.csv``, goes on where it stopped and ends by itself after ``--minutes``. With
``--again`` rows that another version of the measurement wrote (column ``method``: hash of the sources of
``myoperf.gated``) are measured again from the stored views; call it until it says that all are done.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from function_cohort import COHORTS, patient_of, views_of
from myoperf import Options, analyze, load_models
from myoperf.errors import AnalysisError, MyoPerfError
from myoperf.gated import measure_function
from myoperf.gated.function import WALL_G_PER_ML
from myoperf.geometry import angle_deg
from myoperf.phantom.motion import volumes
from myoperf.phantom.truth import truth
from myoperf.polar import sample_polar_map, segments_percent
from myoperf.types import FunctionResult, LVFrame, Projections, Scan, Sex, State, Study

ROOT = Path(__file__).parents[1]
VIEWS = ROOT / "runs" / "function"
TABLE = ROOT / "docs/results/function_simulated.csv"
MODELS = load_models(diagnosis=False)
NUMBERS = ("edv_ml", "esv_ml", "lvef_percent", "phase_sd_deg", "phase_bandwidth_deg")
STATES: tuple[State, State] = ("stress", "rest")
KEYS = ("cohort", "seed", "patient", "gates")
TRACER = "Tc-99m sestamibi"
_DOUBT = ("check-orientation", "lv-classical", "frame-from-other-scan", "ventricles-differ")
"""Findings that a ventricle may be located wrongly."""


def known_of(cohort: str, seed: int, index: int) -> dict[str, Any]:
    """Return what is true of a patient; TID compares the cavities' means over the beat, as ungated images show them."""
    patient, _ = patient_of(cohort, seed, index)
    known, beat = truth(patient), np.arange(64) / 64.0
    out: dict[str, Any] = {f"{name}_true": float(getattr(known, name)["stress"]) for name in NUMBERS}
    out["tid_ratio_true"] = float(volumes(patient, "stress", beat).mean() / volumes(patient, "rest", beat).mean())
    out["mass_g_true"] = known.myocardium_ml * WALL_G_PER_ML
    out["wall_mm"] = float(np.mean(patient.ventricle.wall_mm))
    out["scars"] = len(patient.coronary.infarcts)
    moving = (known.segment_thickening_percent["stress"], known.segment_motion_mm["stress"])
    for k, (thickening, motion) in enumerate(zip(*moving, strict=True), start=1):
        out |= {f"thickening_{k}_true": float(thickening), f"motion_{k}_true": float(motion)}
    return out


def measure_patient(views: dict[str, Projections], true: LVFrame, sex: Sex | None) -> dict[str, Any]:
    """Analyse a patient, and measure the function once more with the true pose (``_true_pose``): the ceiling."""
    scans = (
        Scan(views["stress"], state="stress", framing="gated", tracer=TRACER),
        Scan(views["rest"], state="rest", tracer=TRACER),
    )
    report = analyze(Study(scans, sex=sex), MODELS, Options(motion="off", interval_draws=0))
    stress, scores = report.result("stress"), report.scores
    found, function = stress.frame, stress.function
    if function is None or stress.gated_volume is None:
        raise AnalysisError("The function could not be measured.")
    out = numbers_of(function) | {"tid_ratio": float("nan") if scores.tid_ratio is None else scores.tid_ratio}
    codes = {one.code for one in (*report.findings, *(f for result in report.results for f in result.findings))}
    out |= {"doubt": float(bool(codes & set(_DOUBT))), "findings": ";".join(sorted(codes))}
    out |= {"counts": float(views["stress"].array.sum(dtype=np.float64))}
    out |= {
        "anterior_error_deg": angle_deg(found.anterior, true.anterior),
        "axis_error_deg": angle_deg(found.axis, true.axis),
    }
    out |= {"base_error_mm": float((found.base_mm - true.base_mm) @ true.axis)}
    labels = MODELS.segment_lv(stress.volume, true)[0]
    polar = sample_polar_map(stress.volume, labels, true).maximum
    out |= {f"segment_{k + 1}": value for k, value in enumerate(stress.segments_percent)}
    out |= {f"segment_{k + 1}_true_pose": value for k, value in enumerate(segments_percent(polar))}
    ceiling = numbers_of(measure_function(stress.gated_volume, true, polar))
    return out | {f"{name}_true_pose": ceiling[name] for name in (*NUMBERS, "mass_g")}


def numbers_of(function: FunctionResult) -> dict[str, Any]:
    """Return the measured numbers; those that are not given are NaN."""
    wall, synchrony = function.wall, function.synchrony
    assert wall is not None
    assert synchrony is not None
    holders = {name: synchrony if name.startswith("phase") else function for name in NUMBERS}
    found = {name: getattr(holder, name) for name, holder in holders.items()}
    out: dict[str, Any] = {name: float("nan") if value is None else float(value) for name, value in found.items()}
    out |= {name: getattr(wall, name) for name in ("mass_g", "wall_ed_mm", "wall_sd_mm", "resolution_fwhm_mm")}
    names = ("phase_noise_deg", "phase_sd_uncorrected_deg", "phase_reliable", "phase_disagreement")
    out |= {name: getattr(synchrony, name) for name in names}
    for k in range(17):
        out |= {f"thickening_{k + 1}": wall.thickening_percent[k], f"motion_{k + 1}": wall.motion_mm[k]}
    return out


def method_of() -> str:
    """Return a name that changes with the sources of the measurement."""
    files = [*sorted((ROOT / "src/myoperf/gated").glob("*.py")), ROOT / "src/myoperf/lv/match.py"]
    return "q" + hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def row_of(cohort: str, seed: int, index: int, gates: int) -> dict[str, Any]:
    """Simulate and measure a patient; the row says why where nothing could be measured."""
    views = views_of(VIEWS, cohort, seed, index, gates)
    patient, _ = patient_of(cohort, seed, index)
    row: dict[str, Any] = dict(zip(KEYS, (cohort, seed, index, gates), strict=True)) | known_of(cohort, seed, index)
    row |= {"sex": patient.clinical.sex, "method": method_of()}
    try:
        return row | measure_patient(views, patient.frame, patient.clinical.sex)
    except MyoPerfError as error:
        return row | {"failed": str(error).split(".")[0]}


def measure(
    cohort: str, seed: int, patients: int, gates: int, minutes: float, processes: int, *, again: bool = False
) -> None:
    """Add the rows that are not there yet; with `again` also repeat those that another version measured."""
    start = time.monotonic()
    table = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame(columns=[*KEYS, "method"])
    good = table[table.method == method_of()] if again else table
    there = set(good[list(KEYS)].itertuples(index=False, name=None))
    todo = [index for index in range(patients) if (cohort, seed, index, gates) not in there]
    with ProcessPoolExecutor(processes) as pool:
        while todo and time.monotonic() - start < 60.0 * minutes:
            now, todo = todo[: 4 * processes], todo[4 * processes :]
            rows = pd.DataFrame(pool.map(row_of, repeat(cohort), repeat(seed), now, repeat(gates)))
            table = rows if table.empty else pd.concat([table, rows], ignore_index=True)
            table = table.drop_duplicates(list(KEYS), keep="last")
            table.sort_values(list(KEYS)).to_csv(TABLE, index=False, float_format="%.3f")
    print(f"{cohort} {seed}, {gates} gates: {patients - len(todo)} of {patients} are there", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", choices=COHORTS, default="population")
    parser.add_argument("--seed", type=int, default=9611)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--gates", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=11.0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    cohort = options.cohort, options.seed, options.patients, options.gates
    measure(*cohort, options.minutes, options.processes, again=options.again)


if __name__ == "__main__":
    main()
