"""Sensitivity and specificity where only some patients had the reference test, more often those with a positive test.

Among the patients who were verified, sensitivity looks too high and specificity too low. Where verification depends on
nothing but the test (and on covariates that are known), the share of diseased patients with each result is what the
verified ones show, and everyone's results are known (Begg and Greenes, Biometrics 1983;39:207). With covariates that
share is modelled by logistic regression on the verified patients and averaged over all patients.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from myoperf.errors import InputError
from myoperf.types import Float

_RIDGE = 1e-6
"""Keeps a logistic regression finite where a group of patients is all diseased or all not."""
_STEPS = 50


@dataclass(frozen=True)
class Rate:
    """A share with the ends of its 95 % interval."""

    value: float
    lo: float
    hi: float

    def columns(self, name: str) -> dict[str, float]:
        """Return it as columns of a table: NAME, NAME_lo and NAME_hi."""
        return {name: self.value, f"{name}_lo": self.lo, f"{name}_hi": self.hi}


@dataclass(frozen=True)
class Verified:
    """Sensitivity and specificity with their intervals.

    Attributes
    ----------
    sensitivity, specificity
        By the verified patients alone.
    corrected_sensitivity, corrected_specificity
        For all patients.
    n, n_verified
        Number of patients, and of those with a reference test.
    """

    sensitivity: Rate
    specificity: Rate
    corrected_sensitivity: Rate
    corrected_specificity: Rate
    n: int
    n_verified: int


def correct_verification(
    positive: NDArray[np.bool_],
    truth: Float,
    covariates: Float | None = None,
    *,
    resamples: int = 1000,
    rng: np.random.Generator,
) -> Verified:
    """Return sensitivity and specificity corrected for verification bias, beside what the verified alone show.

    Parameters
    ----------
    positive
        Shape (patients,): the test's result.
    truth
        Shape (patients,): 1 diseased, 0 not, NaN where there was no reference test.
    covariates
        Shape (patients, values): numbers on which verification depends in addition to the test; None: on the test alone
        (Begg and Greenes).
    resamples
        Of the patients, for the percentile intervals (95 %).
    rng
        Draws them.

    Raises
    ------
    InputError
        Where no patient with a positive, or none with a negative test was verified, or the verified are all diseased or
        all not.

    Examples
    --------
    >>> positive = np.repeat([True, True, False, False, True, False], [195, 232, 5, 39, 996, 1221])
    >>> truth = np.repeat([1, 0, 1, 0, np.nan, np.nan], [195, 232, 5, 39, 996, 1221])
    >>> done = correct_verification(positive, truth, resamples=10, rng=np.random.default_rng(0))
    >>> [round(v.value, 3) for v in (done.sensitivity, done.specificity)]
    [0.975, 0.144]
    >>> [round(v.value, 3) for v in (done.corrected_sensitivity, done.corrected_specificity)]
    [0.819, 0.592]
    """
    positive, truth = np.asarray(positive, dtype=bool), np.asarray(truth, dtype=np.float64)
    verified = np.isfinite(truth)
    for result, word in ((True, "positive"), (False, "negative")):
        if not (verified & (positive == result)).any():
            raise InputError(f"No patient with a {word} test has a truth; the correction needs some of each.")
    if np.unique(truth[verified]).size < 2:
        raise InputError("The verified patients are all diseased or all not; the correction needs some of each.")
    naive = _rates(positive[verified], truth[verified])
    drawn: list[tuple[float, ...]] = []
    for _ in range(resamples):
        rows = rng.integers(0, positive.size, positive.size)
        known = rows[verified[rows]]
        if not all((positive[known] == result).any() for result in (True, False)) or np.unique(truth[known]).size < 2:
            continue  # such a sample tells nothing of one result
        share = _probability(positive[rows], truth[rows], None if covariates is None else covariates[rows])
        drawn.append((*_rates(positive[known], truth[known]), *_rates(positive[rows], share)))
    values = (*naive, *_rates(positive, _probability(positive, truth, covariates)))
    if not drawn:
        raise InputError("Too few patients are verified for intervals.")
    low, high = np.quantile(np.array(drawn), (0.025, 0.975), axis=0)
    naive_1, naive_2, all_1, all_2 = map(Rate, values, low.tolist(), high.tolist())
    return Verified(naive_1, naive_2, all_1, all_2, n=positive.size, n_verified=int(verified.sum()))


def _rates(positive: NDArray[np.bool_], diseased: Float) -> tuple[float, float]:
    """Return sensitivity and specificity; `diseased` may be a probability."""
    healthy = 1.0 - diseased
    return float(diseased[positive].sum() / diseased.sum()), float(healthy[~positive].sum() / healthy.sum())


def _probability(positive: NDArray[np.bool_], truth: Float, covariates: Float | None) -> Float:
    """Return every patient's probability of disease by the verified patients."""
    verified = np.isfinite(truth)
    if covariates is None:
        share = {result: float(truth[verified & (positive == result)].mean()) for result in (True, False)}
        return np.where(positive, share[True], share[False])
    spread = covariates.std(axis=0)
    scaled = (covariates - covariates.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    design = np.column_stack([np.ones(positive.size), positive, scaled])
    return np.asarray(expit(design @ _fit_logistic(design[verified], truth[verified])))


def _fit_logistic(design: Float, truth: Float) -> Float:
    """Fit a logistic regression by Newton's method."""
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        fitted = expit(design @ weights)
        gradient = design.T @ (truth - fitted) - _RIDGE * weights
        hessian = (design * (fitted * (1.0 - fitted))[:, None]).T @ design + _RIDGE * np.eye(weights.size)
        step = np.linalg.solve(hessian, gradient)
        weights = weights + np.clip(step, -5.0, 5.0)
        if np.abs(step).max() < 1e-9:
            break
    return weights
