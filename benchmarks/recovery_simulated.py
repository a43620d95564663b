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
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from myoperf.errors import MyoPerfError
from myoperf.gated import measure_function
from myoperf.phantom.acquire import Protocol, acquire, scanner_from_patient
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions
from myoperf.phantom.truth import defect_map, truth
from myoperf.pipeline import load_models
from myoperf.polar import sample_polar_map
from myoperf.recon import GE_LEHR, ReconOptions, reconstruct
from myoperf.types import Projections

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
    rng, normal = np.random.default_rng([SEED, index]), index % 2 == 1
    population = PopulationOptions(normal=True, male=0.5) if normal else PopulationOptions(male=0.5)
    patient = draw_patient(rng, population)
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
    RUNS.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    for index in range(count):
        path = RUNS / f"scan-{index:04d}.npz"
        if path.exists():
            continue
        if time.monotonic() - start > 60.0 * minutes:
            print(f"stopped before {path.stem}; call again to go on", flush=True)
            return
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez_compressed(file, **draw_scan(index))
        partial.rename(path)
        print(path.stem, f"{time.monotonic() - start:.0f} s", flush=True)


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
    start = time.monotonic()
    for path in sorted(RUNS.glob("scan-????.npz")):
        index = int(path.stem[-4:])
        scan, views = stored_scan(index)
        for variant, options in VARIANTS.items():
            target = RUNS / f"{variant}-{index:04d}.npz"
            if target.exists():
                continue
            if time.monotonic() - start > 60.0 * minutes:
                print(f"stopped before {target.stem}; call again to go on", flush=True)
                return
            try:
                measured = measure_scan(views, options)
            except MyoPerfError as error:
                measured = {"failed": str(error)}
            partial = target.with_suffix(".part")
            with partial.open("wb") as file:
                np.savez_compressed(file, normal=scan["normal"], sex=scan["sex"], **measured)
            partial.rename(target)
            print(target.stem, f"{time.monotonic() - start:.0f} s", flush=True)


def relative_map(measured: Any, normals: list[Any]) -> Any:
    """Return a map over the mean of normal maps, 1 where it is best perfused."""
    mean = np.mean([one / one.mean() for one in normals], axis=0)
    ratio = (measured / measured.mean()) / mean
    return ratio / np.percentile(ratio, 98.0)


def rows_of(variant: str) -> list[dict[str, Any]]:
    """Return one row a scan of a variant."""
    stored = {}
    for path in sorted(RUNS.glob(f"{variant}-????.npz")):
        with np.load(path) as one:
            if "map" in one:
                stored[int(path.stem[-4:])] = dict(one)
    rows = []
    for index, one in stored.items():
        scan, _ = stored_scan(index)
        normals = [other["map"] for key, other in stored.items() if other["normal"] and key != index]
        relative, true = relative_map(one["map"], normals), scan["defect"]
        row: dict[str, Any] = {"variant": variant, "scan": index, "normal": int(one["normal"]), "ill": int(scan["ill"])}
        row |= {"deficit": float(np.clip(1.0 - relative, 0.0, 1.0).mean())}
        row |= {"deficit_true": float(np.clip(1.0 - true, 0.0, 1.0).mean())}
        row |= {"map_r": np.nan if one["normal"] else float(np.corrcoef(relative.ravel(), true.ravel())[0, 1])}
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
        higher = np.mean(np.subtract.outer(ill.deficit.to_numpy(), normal.deficit.to_numpy()) > 0)
        row |= {"patients_above_normals": float(higher)}
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
