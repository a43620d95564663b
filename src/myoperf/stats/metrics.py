"""Sensitivity, specificity and the like at a threshold, with their intervals.

Wilson, JASA 1927, doi:10.1080/01621459.1927.10502953, for proportions of patients; the percentile
bootstrap by patient where a number is no plain proportion (balanced accuracy, F1) or where several
rows belong to one patient.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as distributions

from myoperf.errors import InputError
from myoperf.stats.auc import ConfidenceInterval, check_scores
from myoperf.stats.bootstrap import percentile_interval
from myoperf.types import Float

METRICS = ("sensitivity", "specificity", "accuracy", "balanced_accuracy", "precision", "f1")


@dataclass(frozen=True)
class Confusion:
    """How many patients a threshold classifies rightly and wrongly.

    Parameters
    ----------
    tn, fp, fn, tp
        True negatives, false positives, false negatives, true positives.
    """

    tn: int
    fp: int
    fn: int
    tp: int


@dataclass(frozen=True)
class Measured:
    """A number with its interval.

    Parameters
    ----------
    value
        NaN where its denominator is zero.
    interval
        NaN where it is undefined.
    n
        The number of patients (rows) that it is a share of.
    """

    value: float
    interval: ConfidenceInterval
    n: int

    def columns(self, name: str) -> dict[str, float]:
        """Return the value and its limits as columns of a table: NAME, NAME_lo and NAME_hi."""
        return self.interval.columns(name, self.value)


def wilson_interval(successes: int, n: int, *, level: float = 0.95) -> ConfidenceInterval:
    """Return the score interval of a proportion without continuity correction.

    Examples
    --------
    >>> ci = wilson_interval(42, 44)
    >>> round(ci.lo, 2), round(ci.hi, 2)
    (0.85, 0.99)
    """
    if not 0 <= successes <= n:
        raise InputError(f"A proportion needs 0 <= successes <= n; got {successes} of {n}.")
    if n == 0:
        return ConfidenceInterval(float("nan"), float("nan"), level)
    ends = distributions.binomtest(successes, n).proportion_ci(level, method="wilson")
    return ConfidenceInterval(float(ends.low), float(ends.high), level)


def threshold_for_sensitivity(truth: ArrayLike, scores: ArrayLike, sensitivity: float) -> float:
    """Return the highest threshold that still reaches the requested sensitivity.

    Choose it on validation data, never on the patients that the result is reported for.

    Parameters
    ----------
    truth
        (patients,) 0 or 1.
    scores
        (patients,).
    sensitivity
        Above 0, up to 1.

    Raises
    ------
    InputError
        For a sensitivity out of range, or labels and scores that `check_scores` refuses.

    Examples
    --------
    >>> threshold_for_sensitivity([0, 1, 1, 1, 1], [0.3, 0.2, 0.6, 0.7, 0.9], 0.75)
    0.6
    """
    positive, matrix = check_scores(truth, scores)
    if not 0 < sensitivity <= 1:
        raise InputError(f"A sensitivity lies between 0 and 1; got {sensitivity}.")
    cases = np.sort(matrix[0, positive])[::-1]
    return float(cases[int(np.ceil(sensitivity * cases.size)) - 1])


def measure_threshold(
    truth: ArrayLike,
    probability: ArrayLike,
    *,
    counts: NDArray[np.int32],
    threshold: float = 0.5,
    clustered: bool = False,
    level: float = 0.95,
) -> tuple[Confusion, Mapping[str, Measured]]:
    """Measure one model at a threshold (positive at or above it).

    Parameters
    ----------
    truth, probability
        (rows,).
    counts
        (resamples, rows) from `resample_counts`, for the intervals that are bootstrapped.
    clustered
        Several rows belong to one patient (one per vessel): every interval is bootstrapped.

    Returns
    -------
    The confusion counts and a `Measured` for each name in `METRICS`.
    """
    positive, matrix = check_scores(truth, probability)
    called = matrix[0] >= threshold
    ones = np.ones((1, positive.size), dtype=np.int32)
    tn, fp, fn, tp = (int(value) for value in _cells(positive, called, ones)[:, 0])
    values = {name: float(value[0]) for name, value in _ratios(_cells(positive, called, ones)).items()}
    samples = _ratios(_cells(positive, called, counts))
    plain = {
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "accuracy": (tp + tn, positive.size),
        "precision": (tp, tp + fp),
    }
    measured = {}
    for name in METRICS:
        n = plain.get(name, (0, positive.size))[1]
        if name in plain and not clustered:
            interval = wilson_interval(*plain[name], level=level)
        elif np.isnan(values[name]):
            interval = ConfidenceInterval(float("nan"), float("nan"), level)
        else:
            interval = percentile_interval(samples[name], level=level)
        measured[name] = Measured(values[name], interval, n)
    return Confusion(tn, fp, fn, tp), measured


def _cells(positive: NDArray[np.bool_], called: NDArray[np.bool_], counts: NDArray[np.int32]) -> Float:
    """Return weighted TN, FP, FN, TP, shape (4, resamples)."""
    masks = np.stack([~positive & ~called, ~positive & called, positive & ~called, positive & called])
    return masks.astype(np.float64) @ counts.T.astype(np.float64)


def _ratios(cells: Float) -> dict[str, Float]:
    """Return every metric from (4, resamples) cells; NaN where a denominator is 0."""
    tn, fp, fn, tp = cells

    def share(part: Float, whole: Float) -> Float:
        return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)

    sensitivity, specificity = share(tp, tp + fn), share(tn, tn + fp)
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "accuracy": share(tp + tn, cells.sum(axis=0)),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "precision": share(tp, tp + fp),
        "f1": share(2 * tp, 2 * tp + fp + fn),
    }
