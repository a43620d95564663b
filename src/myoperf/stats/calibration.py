"""Calibration of probabilities, the benefit of acting on them, and curves over all thresholds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy import stats as distributions

from myoperf.errors import InputError
from myoperf.stats.auc import ConfidenceInterval, check_scores
from myoperf.types import Float


@dataclass(frozen=True, eq=False)
class Calibration:
    """Agreement of probabilities with outcomes.

    Parameters
    ----------
    brier
        Mean squared difference of probability and outcome.
    slope, intercept
        Cox 1958: logistic regression of the outcome on the log odds; 1 and 0 when calibrated. Where the probabilities
        separate the classes, the slope is infinite and the intercept NaN; where all are equal, both are NaN.
    ece
        Expected calibration error over `bins` of equal count. It has no interval: chance alone makes it larger.
    mean_predicted, observed, count
        Shape (bins,): the reliability diagram.
    brier_interval, slope_interval, intercept_interval
        Wald, with the variance of the sums by patient (the sandwich of White 1980, doi:10.2307/1912934; rows of a
        patient together as Liang and Zeger 1986, doi:10.1093/biomet/73.1.13); NaN where undefined.
    """

    brier: float
    slope: float
    intercept: float
    ece: float
    mean_predicted: Float
    observed: Float
    count: NDArray[np.int64]
    brier_interval: ConfidenceInterval
    slope_interval: ConfidenceInterval
    intercept_interval: ConfidenceInterval


def _probabilities(truth: ArrayLike, probability: ArrayLike) -> tuple[NDArray[np.bool_], Float]:
    """Check labels and one model's probabilities."""
    positive, matrix = check_scores(truth, probability)
    if matrix.min() < 0 or matrix.max() > 1:
        raise InputError("Calibration needs probabilities from 0 to 1.")
    return positive, matrix[0]


def measure_calibration(
    truth: ArrayLike, probability: ArrayLike, *, bins: int = 10, patient: ArrayLike | None = None, level: float = 0.95
) -> Calibration:
    """Measure the calibration of one model on (rows,) labels and probabilities.

    Parameters
    ----------
    patient
        (rows,) identifier, where several rows (vessels) are of one patient; None: one row per patient.
    """
    positive, p = _probabilities(truth, probability)
    y = positive.astype(np.float64)
    group = np.arange(p.size) if patient is None else np.unique(np.asarray(patient), return_inverse=True)[1]
    (intercept, slope), (intercept_sd, slope_sd) = _cox(special.logit(np.clip(p, 1e-6, 1 - 1e-6)), y, group)
    squared = (p - y) ** 2
    brier = float(squared.mean())
    brier_sd = float(np.sqrt(_spread((squared - brier)[:, None], group)[0, 0])) / p.size
    groups = np.array_split(np.argsort(p, kind="stable"), min(bins, p.size))
    predicted = np.array([p[g].mean() for g in groups])
    observed = np.array([y[g].mean() for g in groups])
    count = np.array([g.size for g in groups])
    reach = float(distributions.norm.ppf(0.5 + level / 2))
    return Calibration(
        brier=brier,
        slope=slope,
        intercept=intercept,
        ece=float(np.abs(predicted - observed) @ count / p.size),
        mean_predicted=predicted,
        observed=observed,
        count=count,
        brier_interval=ConfidenceInterval(
            max(brier - reach * brier_sd, 0.0), min(brier + reach * brier_sd, 1.0), level
        ),
        slope_interval=ConfidenceInterval(slope - reach * slope_sd, slope + reach * slope_sd, level),
        intercept_interval=ConfidenceInterval(
            intercept - reach * intercept_sd, intercept + reach * intercept_sd, level
        ),
    )


def _spread(parts: Float, group: NDArray[np.intp]) -> Float:
    """Return the covariance (k, k) of the total of parts (rows, k), dependent within groups; NaN for a single group."""
    sums = np.stack([np.bincount(group, weights=column) for column in parts.T], axis=1)
    n = len(sums)
    return np.asarray(sums.T @ sums * (n / (n - 1))) if n > 1 else np.full((parts.shape[1],) * 2, np.nan)


def _cox(odds: Float, y: Float, group: NDArray[np.intp]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Fit intercept and slope of the outcome on the log odds by Newton's method; return both and their deviations."""
    nan = float("nan")
    cases, controls = odds[y > 0], odds[y == 0]
    if odds.min() == odds.max():
        return (nan, nan), (nan, nan)
    if cases.min() >= controls.max() or cases.max() <= controls.min():  # no finite fit
        return (nan, float(np.copysign(np.inf, cases.mean() - controls.mean()))), (nan, nan)
    design = np.stack([np.ones_like(odds), odds], axis=1)

    def loss(weights: Float) -> float:
        linear = design @ weights
        return float(np.sum(np.logaddexp(0.0, linear) - y * linear))

    weights = np.zeros(2)
    for _ in range(100):
        fitted = special.expit(design @ weights)
        curvature = design.T @ (design * (fitted * (1 - fitted))[:, None])
        step = np.linalg.solve(curvature, design.T @ (y - fitted))
        size = 1.0
        while loss(weights + size * step) > loss(weights) + 1e-12 and size > 1e-6:
            size *= 0.5
        weights = weights + size * step
        if np.abs(step).max() < 1e-10:
            break
    inverse = np.linalg.inv(curvature)
    covariance = inverse @ _spread(design * (y - special.expit(design @ weights))[:, None], group) @ inverse
    deviation = np.sqrt(np.diagonal(covariance))
    return (float(weights[0]), float(weights[1])), (float(deviation[0]), float(deviation[1]))


def decision_curve(truth: ArrayLike, probability: ArrayLike, thresholds: ArrayLike) -> Float:
    """Return the net benefit at each threshold probability (Vickers and Elkin 2006, doi:10.1177/0272989X06295361).

    Returns
    -------
    (thresholds, 2): of the model, and of acting on everyone. Acting on no one is 0.
    """
    positive, p = _probabilities(truth, probability)
    cut = np.asarray(thresholds, dtype=np.float64)
    if ((cut <= 0) | (cut >= 1)).any():
        raise InputError("Threshold probabilities lie strictly between 0 and 1.")
    called = p[None] >= cut[:, None]
    odds = cut / (1 - cut)
    model = (called & positive).mean(axis=1) - odds * (called & ~positive).mean(axis=1)
    everyone = positive.mean() - odds * (1 - positive.mean())
    return np.stack([model, everyone], axis=1)


def roc_curve(truth: ArrayLike, scores: ArrayLike) -> tuple[Float, Float]:
    """Return the ROC curve of one model, one point for each distinct score.

    Parameters
    ----------
    truth
        (patients,) 0 or 1.
    scores
        (patients,).

    Returns
    -------
    (1 - specificity, sensitivity), from (0, 0) to (1, 1).

    Examples
    --------
    >>> false_positive, sensitivity = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> false_positive.tolist(), sensitivity.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    fp, tp = _cumulative(truth, scores)
    return fp / fp[-1], tp / tp[-1]


def precision_recall_curve(truth: ArrayLike, scores: ArrayLike) -> tuple[Float, Float]:
    """Return the curve of precision over recall of one model, one point for each distinct score, highest first.

    Parameters
    ----------
    truth
        (patients,) 0 or 1.
    scores
        (patients,).

    Returns
    -------
    (recall, precision). Recall is sensitivity, precision the positive predictive value at this prevalence.
    """
    fp, tp = _cumulative(truth, scores)
    return tp[1:] / tp[-1], tp[1:] / (tp[1:] + fp[1:])


def average_precision(truth: ArrayLike, scores: ArrayLike, counts: NDArray[np.int32]) -> Float:
    """Return the area under one model's precision-recall curve on every resample, as scikit-learn's average precision.

    Parameters
    ----------
    truth, scores
        (rows,).
    counts
        (resamples, rows) from `resample_counts`; a row of ones is the sample itself.

    Returns
    -------
    Array of shape (resamples,).
    """
    positive, matrix = check_scores(truth, scores)
    order = np.argsort(-matrix[0], kind="stable")
    ordered = matrix[0][order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), ordered.size - 1)
    drawn = counts[:, order]
    tp = np.cumsum(drawn * positive[order], axis=1, dtype=np.float64)[:, ends]
    called = np.cumsum(drawn, axis=1, dtype=np.float64)[:, ends]
    precision = np.divide(tp, called, out=np.zeros_like(tp), where=called > 0)
    gained = np.diff(tp, axis=1, prepend=0.0) / tp[:, -1:]
    return np.asarray((gained * precision).sum(axis=1))


def _cumulative(truth: ArrayLike, scores: ArrayLike) -> tuple[Float, Float]:
    """Cumulative false and true positives from the highest score down, ties taken at once."""
    positive, matrix = check_scores(truth, scores)
    order = np.argsort(-matrix[0], kind="stable")
    ordered = matrix[0][order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), ordered.size - 1)
    tp = np.cumsum(positive[order])[ends]
    fp = ends + 1 - tp
    return np.concatenate([[0.0], fp]), np.concatenate([[0.0], tp])
