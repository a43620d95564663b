"""Turn log odds into probabilities: one temperature, one line per vessel (Platt), or isotonic curves.

The kind is chosen by cross-validation. Guo et al. 2017, arXiv:1706.04599 (temperature); Platt 1999; Zadrozny and Elkan
2002, doi:10.1145/775047.775151 (isotonic).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from sklearn.isotonic import IsotonicRegression

from myoperf.diagnosis.classifier import calibrate
from myoperf.types import Float

KINDS = ("temperature", "platt", "isotonic")
ISOTONIC_FROM = 200
"""Least number of patients for isotonic curves. With fewer, their steps fit chance, and where a curve is flat, an
explanation by the fall of the probability shows nothing."""
_KNOTS = np.linspace(-8.0, 8.0, 65)
_SURE = 0.01


def log_loss(probability: Float, labels: NDArray[Any]) -> float:
    """Return the mean negative log likelihood of labels 0 or 1.

    Parameters
    ----------
    probability, labels
        Of one shape; probabilities are kept 1e-6 away from 0 and 1, so that the loss is finite.

    Examples
    --------
    >>> round(log_loss(np.array([0.5, 0.5]), np.array([0, 1])), 4)
    0.6931
    """
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return float(-(labels * np.log(p) + (1 - labels) * np.log1p(-p)).mean())


def _line(x: Float, y: NDArray[Any], *, offset: bool) -> tuple[float, float]:
    """Fit slope (positive) and offset of log odds."""

    def loss(v: Float) -> float:
        odds = np.exp(v[0]) * x + (v[1] if offset else 0.0)
        return float((np.logaddexp(0.0, odds) - y * odds).mean())

    best = optimize.minimize(loss, np.zeros(2 if offset else 1), method="Nelder-Mead").x
    return float(np.exp(best[0])), float(best[1]) if offset else 0.0


def fit_calibration(kind: str, logits: Float, labels: NDArray[Any]) -> dict[str, Float]:
    """Fit one kind on log odds (patients, 3) and labels.

    Returns
    -------
    The constants of `myoperf.diagnosis.classifier.calibrate`: ``slope``, ``offset`` (3,), and for isotonic also
    ``knots`` (k,) and ``isotonic`` (3, k). Isotonic probabilities are kept between 0.01 and 0.99.
    """
    if kind == "temperature":
        slope, _ = _line(logits.ravel(), labels.ravel(), offset=False)
        return {"slope": np.full(3, slope), "offset": np.zeros(3)}
    lines = [_line(logits[:, v], labels[:, v], offset=True) for v in range(3)]
    out: dict[str, Float] = {"slope": np.array([a for a, _ in lines]), "offset": np.array([b for _, b in lines])}
    if kind == "isotonic":
        curves = []
        for vessel in range(3):
            fitted = IsotonicRegression(y_min=_SURE, y_max=1 - _SURE, out_of_bounds="clip")
            curves.append(fitted.fit(logits[:, vessel], labels[:, vessel]).predict(_KNOTS))
        out |= {"knots": _KNOTS, "isotonic": np.stack(curves)}
    elif kind != "platt":
        raise ValueError(f"A calibration of {', '.join(KINDS)} was expected; got {kind!r}.")
    return out


def choose_calibration(
    logits: Float, labels: NDArray[Any], seed: int, *, folds: int = 5
) -> tuple[str, Mapping[str, float], dict[str, Float]]:
    """Choose the kind with the lowest log loss, cross-validated by patient, and fit it on all patients.

    With fewer than `ISOTONIC_FROM` patients isotonic curves are measured but not chosen.

    Returns
    -------
    (kind, cross-validated log loss of each kind and of ``"none"``, fitted constants).
    """
    order = np.random.default_rng(seed).permutation(len(logits))
    losses = {"none": log_loss(1.0 / (1.0 + np.exp(-logits)), labels)}
    for kind in KINDS:
        predicted = np.empty(logits.shape)
        for part in np.array_split(order, folds):
            others = np.setdiff1d(order, part)
            predicted[part] = calibrate(fit_calibration(kind, logits[others], labels[others]), logits[part])
        losses[kind] = log_loss(predicted, labels)
    allowed = KINDS if len(logits) >= ISOTONIC_FROM else tuple(kind for kind in KINDS if kind != "isotonic")
    best = min(allowed, key=lambda kind: losses[kind])
    return best, {k: round(v, 4) for k, v in losses.items()}, fit_calibration(best, logits, labels)
