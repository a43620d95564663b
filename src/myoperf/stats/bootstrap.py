"""The bootstrap by patient: of areas under the ROC curve, and of any other statistic.

A resample is a vector of counts (how often each patient was drawn), so the weighted area needs one
sort a model and, a resample, one pass of running sums; nothing is copied. Efron and Tibshirani, An
Introduction to the Bootstrap, 1993. A resample with one class only has no area and is replaced by
another draw.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myoperf.errors import InputError
from myoperf.kernels import kernel
from myoperf.stats.auc import ConfidenceInterval, check_scores
from myoperf.types import Float


def resample_counts(
    truth: ArrayLike, *, resamples: int, rng: np.random.Generator, patient: ArrayLike | None = None
) -> NDArray[np.int32]:
    """Draw patients with replacement; return how often each row is in each resample.

    Parameters
    ----------
    truth
        (rows,) 0 or 1.
    resamples
        How many to draw.
    rng
        Source of randomness.
    patient
        (rows,) identifier; the rows of a patient (vessels) are drawn together. None: a row a patient.

    Returns
    -------
    Array of shape (resamples, rows), int32; both classes are present in every resample.
    """
    labels = np.asarray(truth).astype(bool)
    if resamples < 1:
        raise InputError(f"The number of resamples must be positive; got {resamples}.")
    group = np.arange(labels.size) if patient is None else np.unique(np.asarray(patient), return_inverse=True)[1]
    groups = int(group.max()) + 1
    counts = np.empty((resamples, labels.size), dtype=np.int32)
    missing = np.arange(resamples)
    while missing.size:
        drawn = rng.integers(groups, size=(missing.size, groups))
        flat = drawn + groups * np.arange(missing.size)[:, None]
        per_group = np.bincount(flat.ravel(), minlength=missing.size * groups).reshape(missing.size, groups)
        counts[missing] = per_group[:, group]
        both = (counts[missing] @ labels > 0) & (counts[missing] @ ~labels > 0)
        missing = missing[~both]
    return counts


def bootstrap_auc(truth: ArrayLike, scores: ArrayLike, counts: NDArray[np.int32]) -> Float:
    """Return the area of every model on every resample.

    Parameters
    ----------
    truth
        (rows,) 0 or 1.
    scores
        (models, rows) or (rows,).
    counts
        (resamples, rows) from `resample_counts`.

    Returns
    -------
    Array of shape (models, resamples), float64.
    """
    positive, matrix = check_scores(truth, scores)
    if counts.ndim != 2 or counts.shape[1] != positive.size:
        raise InputError(f"Counts of shape {counts.shape} do not fit {positive.size} rows.")
    order = np.argsort(matrix, axis=1)
    ordered = np.take_along_axis(matrix, order, axis=1)
    last_of_tie = np.ones(order.shape, dtype=np.bool_)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=last_of_tie[:, :-1])
    return np.asarray(_weighted_areas(order, last_of_tie, positive, np.ascontiguousarray(counts.T)))


@kernel()
def _weighted_areas(order: Any, last_of_tie: Any, positive: Any, counts: Any) -> Any:
    """Sum, over cases, the controls below plus half of those tied; counts is (rows, resamples).

    The inner loops run over resamples, contiguous in memory, so they vectorise.
    """
    models, rows = order.shape
    resamples = counts.shape[1]
    areas = np.zeros((models, resamples))
    for model in range(models):
        twice = np.zeros(resamples, dtype=np.int64)
        below = np.zeros(resamples, dtype=np.int32)
        tied_cases = np.zeros(resamples, dtype=np.int32)
        tied_controls = np.zeros(resamples, dtype=np.int32)
        cases = np.zeros(resamples, dtype=np.int64)
        for place in range(rows):
            row = order[model, place]
            if positive[row]:
                for r in range(resamples):
                    tied_cases[r] += counts[row, r]
            else:
                for r in range(resamples):
                    tied_controls[r] += counts[row, r]
            if last_of_tie[model, place]:
                for r in range(resamples):
                    twice[r] += tied_cases[r] * (2 * below[r] + tied_controls[r])
                    below[r] += tied_controls[r]
                    cases[r] += tied_cases[r]
                    tied_cases[r] = 0
                    tied_controls[r] = 0
        for r in range(resamples):
            areas[model, r] = twice[r] / (2.0 * cases[r] * below[r])
    return areas


def bootstrap_statistic(
    values: ArrayLike,
    statistic: Callable[[Float], ArrayLike] = np.mean,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    patient: ArrayLike | None = None,
) -> Float:
    """Return a statistic of every resample of patients; `percentile_interval` makes an interval of the samples.

    Parameters
    ----------
    values
        (rows, ...).
    statistic
        Takes resampled rows, such as `numpy.mean`, `numpy.median` or, where values are missing, `numpy.nanmean`.
    patient
        (rows,) identifier; the rows of a patient are drawn together. None: one row per patient.

    Returns
    -------
    Array of shape (resamples, ...), float64.

    Examples
    --------
    >>> samples = bootstrap_statistic([1.0, 2.0, 3.0, 4.0], rng=np.random.default_rng(0))
    >>> bool(percentile_interval(samples).lo < 2.5 < percentile_interval(samples).hi)
    True
    """
    rows = np.asarray(values, dtype=np.float64)
    names = np.arange(len(rows)) if patient is None else np.asarray(patient)
    group = np.unique(names, return_inverse=True)[1]
    places = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    drawn = (rng.integers(len(places), size=len(places)) for _ in range(resamples))
    return np.array([statistic(rows[np.concatenate([places[i] for i in one])]) for one in drawn], dtype=np.float64)


def percentile_interval(samples: ArrayLike, *, level: float = 0.95) -> ConfidenceInterval:
    """Return the percentile interval of bootstrap samples (Efron and Tibshirani 1993).

    Parameters
    ----------
    samples
        Any shape; NaN are left out.
    level
        Coverage.

    Examples
    --------
    >>> interval = percentile_interval(np.arange(1001) / 1000)
    >>> round(interval.lo, 3), round(interval.hi, 3)
    (0.025, 0.975)
    """
    values = np.asarray(samples, dtype=np.float64)
    lo, hi = np.nanpercentile(values, [50 * (1 - level), 50 * (1 + level)])
    return ConfidenceInterval(float(lo), float(hi), level)


def bootstrap_p(differences: ArrayLike) -> float:
    """Return the two-sided p that a difference is 0: twice the smaller share of bootstrap samples on one side of 0.

    Parameters
    ----------
    differences
        (resamples,), such as the difference of two rows that `bootstrap_auc` returns. One sample is added to either
        side, so that p is never 0.

    Examples
    --------
    >>> bootstrap_p([0.1] * 99)
    0.02
    """
    values = np.asarray(differences)
    tail = min((values <= 0).sum(), (values >= 0).sum())
    return float(min(1.0, 2.0 * (tail + 1) / (values.size + 1)))
