"""How well a method finds and segments the left ventricle: one row a volume, means with intervals over patients."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import MyoPerfError
from myoperf.geometry import angle_deg
from myoperf.lv import LVFit
from myoperf.lv.metrics import dice, hausdorff95_mm
from myoperf.lv.network import Agreement
from myoperf.research.lv_network.cases import Case
from myoperf.stats import bootstrap_statistic, percentile_interval, wilson_interval
from myoperf.types import Float, Volume

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

Row = dict[str, str | bool | float]
"""What was measured on one volume, by the name of its column."""


def compare_masks(
    labels: NDArray[Any], truth: NDArray[Any], spacing_mm: NDArray[np.floating[Any]] | float
) -> dict[str, float]:
    """Compare labels (1 wall, 2 blood pool) of one 3D grid with the truth.

    Returns
    -------
    wall_dice, wall_hd95_mm, pool_dice and pool_hd95_mm; the distance is NaN if a mask is empty.
    """
    row = {}
    for name, label in (("wall", 1), ("pool", 2)):
        one, other = labels == label, truth == label
        row[f"{name}_dice"] = dice(one, other)
        row[f"{name}_hd95_mm"] = hausdorff95_mm(one, other, spacing_mm) if one.any() and other.any() else np.nan
    return row


def evaluate_cases(find: Callable[[Volume], tuple[LVFit, Agreement | None]], cases: Sequence[Case]) -> list[Row]:
    """Compare a method's pose and labels with the truth, one row a case.

    Parameters
    ----------
    find
        For example `myoperf.lv.network.NetworkLV.find_with_agreement`, which has no fall-back.
    """
    return [_row(case, find) for case in cases]


def _row(case: Case, find: Callable[[Volume], tuple[LVFit, Agreement | None]]) -> Row:
    row: Row = {"patient": case.patient, "case": case.name, "simulated": case.simulated, "found": True}
    start = time.perf_counter()
    try:
        fit, agreement = find(case.image)
    except MyoPerfError:
        nothing = dict.fromkeys(MEASURES, np.nan) | {"wall_dice": 0.0, "pool_dice": 0.0}
        return row | {"found": False, "flagged": True, "bad": True} | nothing
    values = {"seconds": time.perf_counter() - start}
    labels, truth = fit.labels.array[0], case.labels.array[0]
    masks = compare_masks(labels, truth, case.image.spacing_mm)
    values |= {name: value for name, value in masks.items() if name in MEASURES}
    values["axis_error_deg"] = angle_deg(fit.frame.axis, case.frame.axis)
    values["anterior_error_deg"] = angle_deg(fit.frame.anterior, case.frame.anterior)
    values["centre_error_mm"] = float(np.linalg.norm(fit.frame.centre_mm - case.frame.centre_mm))
    values["length_error_mm"] = fit.frame.length_mm - case.frame.length_mm
    values["wall_volume_error_percent"] = 100.0 * (float((labels == 1).sum()) / float((truth == 1).sum()) - 1.0)
    flagged = any(f.severity != "info" for f in fit.findings)
    bad = values["wall_dice"] < BAD_DICE or values["axis_error_deg"] > BAD_AXIS_DEG
    passes = {} if agreement is None else asdict(agreement)
    return row | values | {"flagged": flagged, "bad": bad} | passes


def summarise(rows: Sequence[Row], *, seed: int = 0, resamples: int = 2000) -> dict[str, Any]:
    """Summarise each measure by its mean with a 95 % interval over resampled patients, median, extremes and n.

    A volume in which no ventricle was found counts with an overlap of 0, and not in the other measures.
    """
    patients = [row["patient"] for row in rows]
    values = np.array([[float(row[name]) for name in MEASURES] for row in rows])
    rng = np.random.default_rng(seed)
    samples = bootstrap_statistic(values, _mean_of_known, rng=rng, resamples=resamples, patient=patients)
    return {
        "patients": len(set(patients)),
        "volumes": len(rows),
        "found": sum(bool(row["found"]) for row in rows),
        **{name: _spread(values[:, k], samples[:, k]) for k, name in enumerate(MEASURES)},
    }


def _mean_of_known(values: Float) -> Float:
    """Mean over rows of the values that are not NaN; NaN if there are none."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(values, axis=0) / np.isfinite(values).sum(axis=0))


def _spread(values: Float, means: Float) -> dict[str, Any] | None:
    """Describe the finite values, with the interval of their resampled means; None if there are none."""
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    interval = percentile_interval(means)
    return {
        "mean": _rounded(known.mean()),
        "interval": [_rounded(interval.lo), _rounded(interval.hi)],
        "median": _rounded(np.median(known)),
        "percentile_95": _rounded(np.percentile(known, 95)),
        "least": _rounded(known.min()),
        "most": _rounded(known.max()),
    }


def failure_detection(rows: Sequence[Row]) -> dict[str, Any]:
    """Return how well the warning tells bad results from good ones, with 95 % intervals by Wilson.

    Parameters
    ----------
    rows
        Of `evaluate_cases`; a row has whether its result is ``bad`` and whether it was ``flagged``.

    Returns
    -------
    ``bad``: what counts as bad, in words; ``sensitivity`` and ``specificity``: each with ``n`` (volumes), ``value`` and
    ``interval``, which are None where there is no such volume.
    """
    bad = np.array([bool(row["bad"]) for row in rows])
    flagged = np.array([bool(row["flagged"]) for row in rows])

    def share(hits: int, n: int) -> dict[str, Any]:
        if n == 0:
            return {"n": 0, "value": None, "interval": None}
        interval = wilson_interval(hits, n)
        return {"n": n, "value": _rounded(hits / n), "interval": [_rounded(interval.lo), _rounded(interval.hi)]}

    return {
        "bad": f"wall DSC < {BAD_DICE} or long axis off by > {BAD_AXIS_DEG:.0f} degrees",
        "sensitivity": share(int((bad & flagged).sum()), int(bad.sum())),
        "specificity": share(int((~bad & ~flagged).sum()), int((~bad).sum())),
    }


def _rounded(value: Any) -> float:
    return round(float(value), 4)
