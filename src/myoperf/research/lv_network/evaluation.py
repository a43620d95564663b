"""How well a network finds the left ventricle: one row a volume, means with intervals over patients."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from myoperf.errors import MyoPerfError
from myoperf.lv import LVFit
from myoperf.lv.metrics import dice, hausdorff95_mm
from myoperf.lv.network import Agreement, NetworkLV
from myoperf.research.lv_network.cases import Case
from myoperf.stats import bootstrap_statistic, percentile_interval, wilson_interval
from myoperf.types import Float

__all__ = ["BAD_AXIS_DEG", "BAD_DICE", "MEASURES", "failure_detection", "judge", "judge_finder", "summarise"]

BAD_DICE, BAD_AXIS_DEG = 0.8, 10.0
MEASURES = (
    "wall_dice",
    "pool_dice",
    "wall_hd95_mm",
    "axis_error_deg",
    "anterior_error_deg",
    "centre_error_mm",
    "length_error_mm",
    "wall_volume_error_percent",
    "seconds",
)

Row = dict[str, Any]


def judge(model: NetworkLV, cases: Sequence[Case]) -> list[Row]:
    """Judge a network, without its fall-back; one row a case, with how well its passes agreed."""

    def find(case: Case) -> tuple[LVFit, Agreement | None]:
        return model.find_with_agreement(case.image)

    return [_row(case, find) for case in cases]


def judge_finder(finder: Callable[[Any], LVFit], cases: Sequence[Case]) -> list[Row]:
    """Judge any function from a volume to a fit, e.g. `myoperf.lv.find_lv`."""

    def find(case: Case) -> tuple[LVFit, Agreement | None]:
        return finder(case.image), None

    return [_row(case, find) for case in cases]


def _row(case: Case, find: Callable[[Case], tuple[LVFit, Agreement | None]]) -> Row:
    row: Row = {"patient": case.patient, "case": case.name, "simulated": case.simulated, "found": True}
    start = time.perf_counter()
    try:
        fit, agreement = find(case)
    except MyoPerfError:
        nothing = dict.fromkeys(MEASURES, np.nan) | {"wall_dice": 0.0, "pool_dice": 0.0}
        return row | {"found": False, "flagged": True, "bad": True} | nothing
    row["seconds"] = time.perf_counter() - start
    got, truth = fit.labels.array[0], case.labels.array[0]
    row["wall_dice"], row["pool_dice"] = dice(got == 1, truth == 1), dice(got == 2, truth == 2)
    row["wall_hd95_mm"] = hausdorff95_mm(got == 1, truth == 1, case.image.spacing_mm)
    row["axis_error_deg"] = _angle_deg(fit.frame.axis, case.frame.axis)
    row["anterior_error_deg"] = _angle_deg(fit.frame.anterior, case.frame.anterior)
    row["centre_error_mm"] = float(np.linalg.norm(fit.frame.centre_mm - case.frame.centre_mm))
    row["length_error_mm"] = fit.frame.length_mm - case.frame.length_mm
    row["wall_volume_error_percent"] = 100.0 * (float((got == 1).sum()) / float((truth == 1).sum()) - 1.0)
    row["flagged"] = any(f.severity != "info" for f in fit.findings)
    row["bad"] = row["wall_dice"] < BAD_DICE or row["axis_error_deg"] > BAD_AXIS_DEG
    if agreement is not None:
        row |= {
            name: getattr(agreement, name) for name in ("overlap", "spread_deg", "volume_spread_percent", "sureness")
        }
    return row


def _angle_deg(one: Float, other: Float) -> float:
    return float(np.rad2deg(np.arccos(np.clip(np.dot(one, other), -1, 1))))


def summarise(rows: Sequence[Row], *, seed: int = 0, resamples: int = 2000) -> dict[str, Any]:
    """Give mean, its 95 % interval by resampling patients, median, least and most of every measure, and n.

    A volume in which nothing was found counts with an overlap of 0 and in no other measure.
    """
    patients = np.array([row["patient"] for row in rows])
    out: dict[str, Any] = {
        "patients": np.unique(patients).size,
        "volumes": len(rows),
        "found": sum(bool(row["found"]) for row in rows),
    }
    for name in MEASURES:
        values = np.array([float(row[name]) for row in rows])
        # The same seed for every measure: the same patients are drawn, so that the intervals can be compared.
        rng = np.random.default_rng(seed)
        out[name] = _describe(
            values, bootstrap_statistic(values, _mean, rng=rng, resamples=resamples, patient=patients)
        )
    return out


def _mean(values: Float) -> float:
    """Return the mean of the finite values; NaN where there are none."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else np.nan


def _describe(values: Float, means: Float) -> dict[str, Any] | None:
    """Describe the finite values, with the interval of their resampled means; None where there are none."""
    there = values[np.isfinite(values)]
    if not there.size:
        return None
    interval = percentile_interval(means)
    return {
        "mean": _short(there.mean()),
        "interval": [_short(interval.lo), _short(interval.hi)],
        "median": _short(np.median(there)),
        "percentile_95": _short(np.percentile(there, 95)),
        "least": _short(there.min()),
        "most": _short(there.max()),
    }


def failure_detection(rows: Sequence[Row]) -> dict[str, Any]:
    """Give sensitivity and specificity of the flag for bad results, with Wilson intervals."""
    bad = np.array([bool(row["bad"]) for row in rows])
    flagged = np.array([bool(row["flagged"]) for row in rows])

    def share(hits: int, n: int) -> dict[str, Any]:
        if n == 0:
            return {"n": 0, "value": None, "interval": None}
        interval = wilson_interval(hits, n)
        return {"n": n, "value": _short(hits / n), "interval": [_short(interval.lo), _short(interval.hi)]}

    return {
        "bad": f"wall DSC < {BAD_DICE} or long axis off by > {BAD_AXIS_DEG:.0f} degrees",
        "sensitivity": share(int((bad & flagged).sum()), int(bad.sum())),
        "specificity": share(int((~bad & ~flagged).sum()), int((~bad).sum())),
    }


def _short(value: Any) -> float:
    return round(float(value), 4)
