"""Area under the ROC curve with DeLong's variance, for any number of models at once.

DeLong, DeLong, Clarke-Pearson, Biometrics 1988, doi:10.2307/2531595; the mid-rank form of Sun and
Xu, IEEE Signal Processing Letters 2014, doi:10.1109/LSP.2014.2337313. Every model is ranked in one
call and the covariance of all is one matrix product, so the test between all pairs costs no loop.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy import stats as distributions

from myoperf.errors import InputError
from myoperf.types import Float

_NO_VARIANCE = 1e-15
"""Below this a variance (or a difference) is round-off: the models rank the patients alike."""


@dataclass(frozen=True)
class ConfidenceInterval:
    """A two-sided confidence interval.

    Parameters
    ----------
    lo, hi
        Its ends; NaN where it is undefined.
    level
        Its coverage, 0.95 by default.
    """

    lo: float
    hi: float
    level: float = 0.95

    def columns(self, name: str, value: float) -> dict[str, float]:
        """Return a value and its limits as columns of a table: NAME, NAME_lo and NAME_hi."""
        return {name: value, f"{name}_lo": self.lo, f"{name}_hi": self.hi}


@dataclass(frozen=True, eq=False)
class AucTable:
    """Areas of all models on the same patients.

    Parameters
    ----------
    auc
        Shape (models,).
    covariance
        Shape (models, models): DeLong's estimate for the paired areas; NaN with fewer than two patients in a class,
        as in pROC.
    n_positive, n_negative
        Patients with and without the disease.
    """

    auc: Float
    covariance: Float
    n_positive: int
    n_negative: int

    @property
    def variance(self) -> Float:
        """Variance of each area, shape (models,)."""
        return np.diagonal(self.covariance)

    def interval(self, model: int, *, level: float = 0.95) -> ConfidenceInterval:
        """Return the Wald interval of one area, clipped to [0, 1] (pROC's ``ci.auc(method="delong")``); NaN if none.

        For an area of exactly 0 or 1 it has no width, as in pROC, although the area is uncertain.
        """
        variance = float(self.variance[model])
        if np.isnan(variance):
            return ConfidenceInterval(float("nan"), float("nan"), level)
        half = float(distributions.norm.ppf(0.5 + level / 2) * np.sqrt(max(variance, 0.0)))
        area = float(self.auc[model])
        return ConfidenceInterval(max(area - half, 0.0), min(area + half, 1.0), level)


@dataclass(frozen=True, eq=False)
class DelongPairs:
    """The paired test of every two models, one entry a pair ``a < b``.

    Parameters
    ----------
    a, b
        Shape (pairs,): indices of the models.
    difference
        auc[a] - auc[b].
    z, p
        Statistic and two-sided p value. Two models that rank the patients alike have z = 0, p = 1; NaN with fewer
        than two patients in a class.
    """

    a: NDArray[np.intp]
    b: NDArray[np.intp]
    difference: Float
    z: Float
    p: Float


def check_scores(truth: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], Float]:
    """Check labels and scores; return them as (patients,) bool and (models, patients) float64.

    Raises
    ------
    InputError
        When shapes disagree, a value is not finite, a label is not 0 or 1, or one class is empty.
    """
    labels = np.asarray(truth)
    matrix = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    if labels.ndim != 1 or matrix.ndim != 2 or matrix.shape[1] != labels.size:
        raise InputError(f"Labels {labels.shape} and scores {matrix.shape} disagree: expected (models, patients).")
    if not np.isin(labels, (0, 1)).all():
        raise InputError("The truth must be 0 or 1.")
    if not np.isfinite(matrix).all():
        raise InputError("The scores hold NaN or infinite values.")
    positive = labels.astype(bool)
    if positive.all() or not positive.any():
        raise InputError("The truth holds one class only; an ROC curve needs both.")
    return positive, matrix


def delong_table(truth: ArrayLike, scores: ArrayLike) -> AucTable:
    """Return the area under the ROC curve of every model, with DeLong's covariance.

    Parameters
    ----------
    truth
        (patients,) 0 or 1.
    scores
        (models, patients), or (patients,) for one model; higher means more likely diseased.

    Raises
    ------
    InputError
        When shapes disagree, a score is not finite, a label is not 0 or 1, or one class is empty.

    References
    ----------
    DeLong et al., Biometrics 1988, doi:10.2307/2531595; Sun and Xu, IEEE Signal Processing Letters 2014,
    doi:10.1109/LSP.2014.2337313.

    Examples
    --------
    >>> table = delong_table([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> float(table.auc[0])
    0.75
    >>> round(table.interval(0).lo, 2), table.interval(0).hi
    (0.06, 1.0)
    """
    positive, matrix = check_scores(truth, scores)
    cases, controls = matrix[:, positive], matrix[:, ~positive]
    m, n = cases.shape[1], controls.shape[1]
    everyone = distributions.rankdata(np.concatenate([cases, controls], axis=1), axis=1)
    above = (
        everyone[:, :m] - distributions.rankdata(cases, axis=1)
    ) / n  # (models, m): share of controls below each case
    below = (
        1.0 - (everyone[:, m:] - distributions.rankdata(controls, axis=1)) / m
    )  # (models, n): share of cases above each control
    auc = above.mean(axis=1)
    if min(m, n) < 2:
        return AucTable(auc, np.full((len(auc), len(auc)), np.nan), m, n)
    scaled = [
        (part - part.mean(axis=1, keepdims=True)) / np.sqrt((size - 1) * size)
        for part, size in ((above, m), (below, n))
    ]
    both = np.concatenate(scaled, axis=1)
    covariance = both @ both.T
    return AucTable(auc, covariance, m, n)


def delong_pairs(table: AucTable) -> DelongPairs:
    """Test whether the areas of every two models differ, on the same patients, two-sided.

    Parameters
    ----------
    table
        From `delong_table`. Correct the p values of many pairs with `myoperf.stats.adjust_p`.

    Examples
    --------
    >>> table = delong_table([0, 0, 0, 1, 1, 1], [[0.1, 0.4, 0.3, 0.35, 0.8, 0.9], [0.5, 0.1, 0.6, 0.2, 0.7, 0.4]])
    >>> pairs = delong_pairs(table)
    >>> pairs.a.tolist(), pairs.b.tolist(), pairs.difference.round(2).tolist()
    ([0], [1], [0.33])
    """
    a, b = np.triu_indices(table.auc.size, k=1)
    difference = table.auc[a] - table.auc[b]
    variance = table.variance
    spread = variance[a] + variance[b] - 2.0 * table.covariance[a, b]
    return DelongPairs(a, b, difference, *_z_and_p(difference, spread))


def _z_and_p(difference: Float, variance: Float) -> tuple[Float, Float]:
    """Return the normal statistic and its two-sided p: (0, 1) for no difference, (inf, 0) for one without variance."""
    sure = variance <= _NO_VARIANCE
    same = np.abs(difference) <= _NO_VARIANCE
    z = np.divide(difference, np.sqrt(np.where(sure, 1.0, variance)))
    z = np.where(sure, np.where(same, 0.0, np.copysign(np.inf, difference)), z)
    return z, 2.0 * special.ndtr(-np.abs(z))
