"""How far probabilities can be believed, and what acting on them is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from myoperf.errors import InputError
from myoperf.stats.auc import check_scores

__all__ = ["Calibration", "decision_curve", "measure_calibration", "precision_recall_curve", "roc_curve"]

Float = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Agreement of probabilities with outcomes.

    Parameters
    ----------
    brier
        Mean squared difference of probability and outcome.
    slope, intercept
        Cox 1958: logistic regression of the outcome on the log odds; 1 and 0 when calibrated.
    ece
        Expected calibration error over `bins` of equal count.
    mean_predicted, observed, count
        Shape (bins,): the reliability diagram.
    """

    brier: float
    slope: float
    intercept: float
    ece: float
    mean_predicted: Float
    observed: Float
    count: NDArray[np.int64]


def _probabilities(truth: ArrayLike, probability: ArrayLike) -> tuple[NDArray[np.bool_], Float]:
    """Check labels and one model's probabilities."""
    positive, matrix = check_scores(truth, probability)
    if matrix.min() < 0 or matrix.max() > 1:
        raise InputError("Calibration needs probabilities from 0 to 1.")
    return positive, matrix[0]


def measure_calibration(truth: ArrayLike, probability: ArrayLike, *, bins: int = 10) -> Calibration:
    """Measure the calibration of one model on (patients,) labels and probabilities."""
    positive, p = _probabilities(truth, probability)
    odds = special.logit(np.clip(p, 1e-6, 1 - 1e-6))
    y = positive.astype(np.float64)

    def loss(weights: Float) -> tuple[float, Float]:
        linear = weights[0] + weights[1] * odds
        error = special.expit(linear) - y
        value = float(np.sum(np.logaddexp(0, linear) - y * linear))
        return value, np.array([error.sum(), error @ odds])

    fit = optimize.minimize(loss, np.array([0.0, 1.0]), jac=True, method="BFGS")
    groups = np.array_split(np.argsort(p, kind="stable"), min(bins, p.size))
    predicted = np.array([p[g].mean() for g in groups])
    observed = np.array([y[g].mean() for g in groups])
    count = np.array([g.size for g in groups])
    return Calibration(
        brier=float(np.mean((p - y) ** 2)),
        slope=float(fit.x[1]),
        intercept=float(fit.x[0]),
        ece=float(np.abs(predicted - observed) @ count / p.size),
        mean_predicted=predicted,
        observed=observed,
        count=count,
    )


def decision_curve(truth: ArrayLike, probability: ArrayLike, thresholds: ArrayLike) -> Float:
    """Net benefit of acting at each threshold probability (Vickers and Elkin 2006, doi:10.1177/0272989X06295361).

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
    """Give (1 - specificity, sensitivity) from (0, 0) to (1, 1), one point a distinct score."""
    fp, tp = _cumulative(truth, scores)
    return fp / fp[-1], tp / tp[-1]


def precision_recall_curve(truth: ArrayLike, scores: ArrayLike) -> tuple[Float, Float]:
    """Give (recall, precision), one point a distinct score, highest first."""
    fp, tp = _cumulative(truth, scores)
    return tp[1:] / tp[-1], tp[1:] / (tp[1:] + fp[1:])


def _cumulative(truth: ArrayLike, scores: ArrayLike) -> tuple[Float, Float]:
    """Cumulative false and true positives from the highest score down, ties taken at once."""
    positive, matrix = check_scores(truth, scores)
    order = np.argsort(-matrix[0], kind="stable")
    ordered = matrix[0][order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), ordered.size - 1)
    tp = np.cumsum(positive[order])[ends]
    fp = ends + 1 - tp
    return np.concatenate([[0.0], fp]), np.concatenate([[0.0], tp])
