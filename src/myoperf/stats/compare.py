"""Comparing many models: multiplicity, rank sums pooled by factor, and a paired alternative."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as distributions

from myoperf.errors import InputError
from myoperf.stats.auc import DelongPairs
from myoperf.types import Float


@dataclass(frozen=True)
class FactorPair:
    """Two levels of a factor (strategies, inputs, networks) compared.

    Parameters
    ----------
    median_difference
        Median area of `a` minus that of `b` over the pooled bootstraps.
    p_rank_sum
        Wilcoxon rank-sum over pooled bootstraps as if independent, as Hajianfar et al. 2025 do it, its variance
        corrected for ties. Every resample of every model counts as an observation, which overstates significance.
    p_paired
        Sign-flip permutation over models matched on the other factors (each contributes one
        difference of areas on all patients); NaN with fewer than two matched pairs.
    n_matched
        How many matched pairs the permutation rests on.
    mean_difference
        Mean of `a` minus `b` over the matched pairs; NaN without any.
    """

    a: str
    b: str
    median_difference: float
    p_rank_sum: float
    p_paired: float
    n_matched: int
    mean_difference: float


def adjust_p(p: ArrayLike, *, method: str = "holm") -> Float:
    """Correct p values for multiplicity.

    Parameters
    ----------
    p
        (tests,); NaN, a test that could not be made, stays NaN and does not count.
    method
        ``"holm"`` (family-wise, Holm 1979) or ``"benjamini-hochberg"`` (false discovery rate, 1995).

    Returns
    -------
    Shape (tests,).

    Raises
    ------
    InputError
        For an unknown method, or a p that is not from 0 to 1.

    Examples
    --------
    >>> adjust_p([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p, dtype=np.float64)
    made = ~np.isnan(given)
    values = given[made]
    if given.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise InputError("p values must be a list of numbers from 0 to 1.")
    if method == "holm":
        order, steps = np.argsort(values), np.arange(values.size, 0, -1)
        adjusted = np.empty_like(values)
        adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * steps), 1.0)
    elif method == "benjamini-hochberg":
        adjusted = distributions.false_discovery_control(values)
    else:
        raise InputError(f"Unknown correction {method}: holm or benjamini-hochberg.")
    out = np.full(given.size, np.nan)
    out[made] = adjusted
    return out


def beaten_by(pairs: DelongPairs, models: int, *, alpha: float = 0.05, p: ArrayLike | None = None) -> NDArray[np.int64]:
    """Count, for each model, how many others it beats: greater area, and p below alpha.

    Parameters
    ----------
    pairs
        From `delong_pairs`.
    models
        How many models there are.
    alpha
        Level of the test.
    p
        (pairs,) p values to use instead of the pairs' own, such as corrected ones (`adjust_p`).

    Returns
    -------
    Shape (models,).
    """
    values = pairs.p if p is None else np.asarray(p)
    sure = values < alpha
    wins = np.bincount(pairs.a[sure & (pairs.difference > 0)], minlength=models)
    return wins + np.bincount(pairs.b[sure & (pairs.difference < 0)], minlength=models)


def _rank_sum(a: Float, b: Float) -> float:
    """Return the two-sided p of the Wilcoxon rank-sum test by the normal approximation, variance corrected for ties."""
    if a.size and b.size and np.ptp(np.concatenate([a, b])) == 0:
        return 1.0
    return float(distributions.mannwhitneyu(a, b, use_continuity=False, method="asymptotic").pvalue)


def mcnemar(a: ArrayLike, b: ArrayLike) -> float:
    """Return the two-sided exact p of McNemar's test: whether two readings of the same cases are right equally often.

    Parameters
    ----------
    a, b
        (cases,) whether each reading is right. Give the diseased cases to compare sensitivities, the others for
        specificities.

    Returns
    -------
    1 where the readings never differ.

    Raises
    ------
    InputError
        When the two differ in shape or are not one-dimensional.

    References
    ----------
    McNemar, Psychometrika 1947, doi:10.1007/BF02295996; exact by the binomial distribution of the cases that differ.

    Examples
    --------
    >>> mcnemar([1, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0])
    0.03125
    """
    one, other = (np.asarray(values).astype(bool) for values in (a, b))
    if one.shape != other.shape or one.ndim != 1:
        raise InputError(f"McNemar's test needs two readings of the same cases; got {one.shape} and {other.shape}.")
    first, second = int((one & ~other).sum()), int((other & ~one).sum())
    return float(distributions.binomtest(first, first + second).pvalue) if first + second else 1.0


def compare_levels(
    factors: Mapping[str, Sequence[str]],
    factor: str,
    auc: ArrayLike,
    samples: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 9999,
) -> tuple[FactorPair, ...]:
    """Compare the levels of one factor over all models that have them.

    Parameters
    ----------
    factors
        For each factor its level for every model, e.g. ``{"network": [...], "input": [...]}``.
    factor
        The one to compare.
    auc
        (models,) areas on all patients.
    samples
        (models, resamples) from `bootstrap_auc`.
    """
    areas, boots = np.asarray(auc, dtype=np.float64), np.asarray(samples, dtype=np.float64)
    if factor not in factors:
        raise InputError(f"Unknown factor {factor}: choose from {', '.join(factors)}.")
    level = np.asarray(factors[factor])
    others = [tuple(factors[name][model] for name in factors if name != factor) for model in range(areas.size)]
    out = []
    for a, b in combinations(dict.fromkeys(level.tolist()), 2):
        pooled_a, pooled_b = boots[level == a].ravel(), boots[level == b].ravel()
        by_other = {others[m]: areas[m] for m in np.flatnonzero(level == b)}
        matched = np.array(
            [areas[m] - by_other[others[m]] for m in np.flatnonzero(level == a) if others[m] in by_other]
        )
        out.append(
            FactorPair(
                a=str(a),
                b=str(b),
                median_difference=float(np.median(pooled_a) - np.median(pooled_b)),
                p_rank_sum=_rank_sum(pooled_a, pooled_b),
                p_paired=_sign_flip(matched, rng, permutations),
                n_matched=matched.size,
                mean_difference=float(matched.mean()) if matched.size else float("nan"),
            )
        )
    return tuple(out)


def _sign_flip(differences: Float, rng: np.random.Generator, permutations: int) -> float:
    """Two-sided p of the mean difference under random signs, the observed one counted in."""
    if differences.size < 2:
        return float("nan")
    signs = rng.choice((-1.0, 1.0), size=(permutations, differences.size))
    extreme = np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12
    return float((extreme.sum() + 1) / (permutations + 1))
