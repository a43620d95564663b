"""Resolution recovery in OSEM on and off, on the same simulated patients: perfusion and volumes against the truth.

    python benchmarks/recovery_simulated.py draw --count 60
    python benchmarks/recovery_simulated.py measure
    python benchmarks/recovery_simulated.py table

``draw`` simulates raw views of full physics (a gated stress acquisition, nobody moves), patients and normals in turn,
and keeps them in ``runs/recovery``; ``measure`` reconstructs each with and without the collimator's response, finds the
ventricle as ``myoperf analyze`` does, and measures perfusion map and volumes. Both resume where they stopped and end by
themselves after ``--minutes``. ``table`` divides each map by the mean map of the normals of the same reconstruction (a
normal's own map left out for it), compares segments and total deficit with the truth and with each other, and writes
``docs/results/recovery_simulated.csv`` (one row a scan and reconstruction) and ``docs/results/recovery_summary.csv``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from myoperf.errors import MyoPerfError
from myoperf.gated import measure_function
from myoperf.phantom.acquire import Protocol, acquire, scanner_from_patient
from myoperf.phantom.truth import defect_map, truth
from myoperf.pipeline import load_models
from myoperf.polar import sample_polar_map
from myoperf.recon import GE_LEHR, ReconOptions, reconstruct
from myoperf.types import Projections
from reconstruction_pairs import compare_maps, draw_case, is_normal, keep_arrays, share_above, stored_arrays

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "recovery"
SEED = 16101
VARIANTS = {
    "off": ReconOptions(),
    "on": ReconOptions(psf=GE_LEHR),
    "long": ReconOptions(psf=GE_LEHR, iterations=8, subsets=8),
}
"""Without the collimator's response, with it at the same number of updates, and with four times as many."""
VOLUMES = ("edv_ml", "esv_ml", "lvef_percent")
MODELS = load_models(diagnosis=False)
PROTOCOL = Protocol(views=32, gates=8, motion_probability=0.0, oversampling=1.5)


def draw_scan(index: int) -> dict[str, Any]:
    """Simulate the scan of one patient (even numbers) or normal (odd ones), with its truth in the scanner's space."""
    (patient, rng), normal = draw_case(SEED, index), is_normal(index)
    scan = acquire(patient, "stress", rng, replace(PROTOCOL, gates=1) if normal else PROTOCOL)
    views, known = scan.projections, truth(patient)
    move = scanner_from_patient(patient)[:3, 3]
    out: dict[str, Any] = {"normal": normal, "sex": patient.clinical.sex, "angles": views.angles_deg}
    out |= {"counts": views.array, "expected": scan.expected.array.sum(axis=0), "radius": views.radius_mm}
    out |= {"pixel": views.pixel_mm, "axis": views.axis_lps_mm}
    out |= {"apex": known.lv_frame.apex_mm + move, "base": known.lv_frame.base_mm + move}
    out |= {"anterior": known.lv_frame.anterior, "wall_mm": float(np.mean(patient.ventricle.wall_mm))}
    out |= {name: getattr(known, name)["stress"] for name in VOLUMES}
    out["segments"] = known.segments_percent["stress"]
    out["defect"] = defect_map(patient, "stress", 24, 72).astype(np.float32)
    out["ill"] = any(known.ica.values())
    return out


def draw(count: int, minutes: float) -> None:
    """Simulate the first `count` scans, those already there apart."""
    keep_arrays({RUNS / f"scan-{index:04d}.npz": index for index in range(count)}, draw_scan, minutes)


def stored_scan(index: int) -> tuple[dict[str, Any], Projections]:
    """Return what `draw_scan` stored, and its views."""
    with np.load(RUNS / f"scan-{index:04d}.npz") as stored:
        scan = dict(stored)
    row_mm, column_mm = (float(v) for v in scan["pixel"])
    x, y, z = (float(v) for v in scan["axis"])
    return scan, Projections(scan["counts"], scan["angles"], (row_mm, column_mm), scan["radius"], (x, y, z))


def measure_scan(views: Projections, options: ReconOptions) -> dict[str, Any]:
    """Reconstruct, find the ventricle and measure; volumes only of gated views."""
    frames = reconstruct(views, options).volume
    fit = MODELS.find_lv(frames.summed())
    maps = sample_polar_map(frames.summed(), fit.labels, fit.frame)
    out: dict[str, Any] = {"map": maps.maximum.values.astype(np.float32)}
    out["doubt"] = any(f.severity != "info" for f in fit.findings)
    if frames.frames > 1:
        function = measure_function(frames, fit.frame, maps.maximum)
        out |= {name: getattr(function, name) for name in VOLUMES}
    return out


def measure(minutes: float) -> None:
    """Measure every scan in every variant, those already there apart."""

    def work(job: tuple[int, str]) -> dict[str, Any]:
        index, variant = job
        scan, views = stored_scan(index)
        about = {"normal": scan["normal"], "sex": scan["sex"]}
        try:
            return about | measure_scan(views, VARIANTS[variant])
        except MyoPerfError as error:
            return about | {"failed": str(error)}

    scans = [int(path.stem[-4:]) for path in sorted(RUNS.glob("scan-????.npz"))]
    keep_arrays(
        {RUNS / f"{variant}-{index:04d}.npz": (index, variant) for index in scans for variant in VARIANTS},
        work,
        minutes,
    )


def rows_of(variant: str) -> list[dict[str, Any]]:
    """Return one row a scan of a variant."""
    stored = {index: one for index, one in stored_arrays(RUNS, variant).items() if "map" in one}
    scans = {index: stored_scan(index)[0] for index in stored}
    compared = compare_maps(
        {index: one["map"] for index, one in stored.items()}, {index: scan["defect"] for index, scan in scans.items()}
    )
    rows = []
    for index, one in stored.items():
        scan = scans[index]
        row: dict[str, Any] = {"variant": variant, "scan": index, "normal": int(one["normal"]), "ill": int(scan["ill"])}
        row |= compared[index]
        for name in VOLUMES:
            row |= {name: float(one.get(name, np.nan)), f"{name}_true": float(scan[name])}
        rows.append(row)
    return rows


def table() -> None:
    """Write the rows, and the summary of the scans that every variant has."""
    rows = pd.DataFrame([row for variant in VARIANTS for row in rows_of(variant)])
    rows.to_csv(ROOT / "docs/results/recovery_simulated.csv", index=False, float_format="%.4f")
    common = rows.groupby("scan").variant.nunique()
    rows = rows[rows.scan.isin(common[common == len(VARIANTS)].index)]
    summary = []
    for variant, each in rows.groupby("variant", sort=False):
        ill, normal = each[each.normal == 0], each[each.normal == 1]
        row: dict[str, Any] = {"variant": variant, "patients": len(ill), "normals": len(normal)}
        row |= {"map_r": ill.map_r.median(), "deficit_r": ill.deficit.corr(ill.deficit_true)}
        row |= {"patients_above_normals": share_above(ill.deficit, normal.deficit)}
        edv = 100.0 * (ill.edv_ml / ill.edv_ml_true - 1.0)
        ef = ill.lvef_percent - ill.lvef_percent_true
        row |= {"edv_bias": edv.mean(), "edv_sd": edv.std(), "edv_r": ill.edv_ml.corr(ill.edv_ml_true)}
        row |= {"ef_bias": ef.mean(), "ef_sd": ef.std()}
        summary.append(row)
    pd.DataFrame(summary).to_csv(ROOT / "docs/results/recovery_summary.csv", index=False, float_format="%.3f")
    print(pd.DataFrame(summary).to_string(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("draw", "measure", "table"))
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=11.0)
    given = parser.parse_args()
    if given.step == "draw":
        draw(given.count, given.minutes)
    elif given.step == "measure":
        measure(given.minutes)
    else:
        table()


if __name__ == "__main__":
    main()
