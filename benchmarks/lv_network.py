"""Judge the compact network on held-out patients of the open real volumes: numbers with intervals over patients."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from myoperf.lv.metrics import dice, hausdorff95_mm
from myoperf.lv.network import NetworkLV
from myoperf.train.cases import Case, folds, read_cases


def judge(model: NetworkLV, case: Case) -> dict[str, float | str]:
    start = time.perf_counter()
    fit = model.find_lv(case.image, fall_back=False)
    spent = time.perf_counter() - start
    got, truth = fit.labels.array[0], case.labels.array[0]
    cosine = float(np.clip(fit.frame.axis @ case.frame.axis, -1, 1))
    return {
        "patient": case.patient,
        "case": case.name,
        "wall_dice": dice(got == 1, truth == 1),
        "pool_dice": dice(got == 2, truth == 2),
        "wall_hd95_mm": hausdorff95_mm(got == 1, truth == 1, case.image.spacing_mm),
        "axis_error_deg": float(np.rad2deg(np.arccos(cosine))),
        "centre_error_mm": float(np.linalg.norm(fit.frame.centre_mm - case.frame.centre_mm)),
        "length_error_mm": fit.frame.length_mm - case.frame.length_mm,
        "confidence": fit.confidence,
        "flagged": float(bool(fit.findings)),
        "seconds": spent,
    }


def interval(values: NDArray[np.float64], patients: NDArray[np.str_]) -> list[float]:
    """Give mean and its 95 % interval by resampling patients."""
    rng = np.random.default_rng(0)
    groups = [values[patients == p] for p in np.unique(patients)]
    means = [
        np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))]).mean() for _ in range(2000)
    ]
    return [round(float(v), 4) for v in (values.mean(), *np.percentile(means, (2.5, 97.5)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path, help="file of myoperf.train.cases.write_cases")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(2)
    cases = read_cases(args.cases)
    held = folds(cases, args.folds, args.seed)[args.fold]
    model = NetworkLV(args.weights)
    rows = [judge(model, case) for case in cases if case.patient in held]
    patients = np.array([r["patient"] for r in rows])
    result: dict[str, object] = {"patients": len(set(patients)), "volumes": len(rows)}
    for key in rows[0]:
        if key not in ("patient", "case"):
            values = np.array([float(r[key]) for r in rows])
            result[key] = {
                "mean_lo_hi": interval(values, patients),
                "median": round(float(np.median(values)), 4),
                "min": round(float(values.min()), 4),
                "max": round(float(values.max()), 4),
            }
    args.out.write_text(json.dumps({"summary": result, "cases": rows}, indent=1))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
