"""The tables of ``myoperf evaluate``: every model of a predictions file, with intervals.

The file has a row a patient (or a row a vessel, with a column ``vessel``), ``patient``, ``truth``
(0 or 1) and one column of probabilities a model. With vessels, the rows of a patient hang together:
all intervals are bootstrapped by patient, and a patient's own probability is the highest of the
vessels' (paper 001).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.stats.auc import AucTable, Interval, delong_pairs, delong_table
from myoperf.stats.bootstrap import bootstrap_auc, percentile_interval, resample_counts
from myoperf.stats.calibration import decision_curve, measure_calibration, precision_recall_curve, roc_curve
from myoperf.stats.compare import adjust_p, beaten_by
from myoperf.stats.metrics import METRICS, measure_threshold

__all__ = ["Evaluation", "Predictions", "calibration_table", "evaluate", "model_curves", "read_predictions"]

_NOT_MODELS = ("patient", "truth", "vessel")


@dataclass(frozen=True, eq=False)
class Predictions:
    """What models said of patients.

    Parameters
    ----------
    patient
        (rows,) identifiers.
    truth
        (rows,) 0 or 1.
    vessel
        (rows,) names, or None for a row a patient.
    models
        Names.
    probability
        (models, rows), each from 0 to 1.
    """

    patient: NDArray[np.str_]
    truth: NDArray[np.int64]
    vessel: NDArray[np.str_] | None
    models: tuple[str, ...]
    probability: NDArray[np.float64]

    def of_vessel(self, name: str) -> Predictions:
        """Give the rows of one vessel, a row a patient."""
        if self.vessel is None:
            raise InputError("These predictions have no vessels.")
        rows = self.vessel == name
        return Predictions(self.patient[rows], self.truth[rows], None, self.models, self.probability[:, rows])

    def of_patients(self) -> Predictions:
        """Give a row a patient: diseased when any vessel is, probability the highest of the vessels'."""
        names, index = np.unique(self.patient, return_inverse=True)
        truth = np.zeros(names.size, dtype=np.int64)
        np.maximum.at(truth, index, self.truth)
        probability = np.zeros((len(self.models), names.size))
        for values, best in zip(self.probability, probability, strict=True):
            np.maximum.at(best, index, values)
        return Predictions(names, truth, None, self.models, probability)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The tables as frames ready to write, and the bootstrapped areas.

    Parameters
    ----------
    metrics
        A row a model (and, with vessels, a group): n, n_positive, auc and each of `METRICS` with ``_lo`` and ``_hi``.
    delong
        A row a pair of models.
    auc_samples
        (models, resamples).
    """

    predictions: Predictions
    metrics: pd.DataFrame
    delong: pd.DataFrame
    auc_samples: NDArray[np.float64]
    threshold: float
    resamples: int
    seed: int


def read_predictions(path: Path) -> Predictions:
    """Read and check a predictions file.

    Raises
    ------
    InputError
        When it is no CSV, lacks a column, holds a missing or impossible value, repeats a patient
        (or a patient's vessel), or has one class only.
    """
    try:
        table = pd.read_csv(path, dtype={"patient": str, "vessel": str})
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path.name} is not a readable CSV file ({type(error).__name__}).") from error
    for column in ("patient", "truth"):
        if column not in table:
            raise InputError(
                f"{path.name} lacks the column '{column}'; expected patient, truth and one column a model."
            )
    models = tuple(str(column) for column in table.columns if column not in _NOT_MODELS)
    if not models:
        raise InputError(f"{path.name} has no model: after patient and truth, one column of probabilities each.")
    wrong = [name for name in models if not pd.api.types.is_numeric_dtype(table[name])]
    if wrong:
        raise InputError(f"{path.name}: column '{wrong[0]}' is not numeric.")
    if table.isna().to_numpy().any():
        raise InputError(f"{path.name} has empty cells; every model needs a probability for every row.")
    probability = table[list(models)].to_numpy(dtype=np.float64).T
    if not ((probability >= 0) & (probability <= 1)).all():
        raise InputError(f"{path.name}: probabilities must lie between 0 and 1.")
    if not table["truth"].isin([0, 1]).all() or table["truth"].nunique() < 2:
        raise InputError(f"{path.name}: truth must be 0 or 1, with both present.")
    keys = ["patient", "vessel"] if "vessel" in table else ["patient"]
    if table.duplicated(keys).any():
        raise InputError(f"{path.name}: each {' and '.join(keys)} may stand once.")
    vessel = table["vessel"].to_numpy(dtype=str) if "vessel" in table else None
    return Predictions(
        table["patient"].to_numpy(dtype=str), table["truth"].to_numpy(dtype=np.int64), vessel, models, probability
    )


def evaluate(predictions: Predictions, *, threshold: float = 0.5, resamples: int = 1000, seed: int = 0) -> Evaluation:
    """Measure every model and compare every two."""
    rng = np.random.default_rng(seed)
    metrics, samples = _metrics(predictions, threshold, resamples, rng)
    table = delong_table(predictions.truth, predictions.probability)
    if predictions.vessel is not None:
        parts = [metrics.assign(vessel="all")]
        for name in dict.fromkeys(predictions.vessel.tolist()):
            part = predictions.of_vessel(name)
            if 0 < part.truth.sum() < part.truth.size:
                parts.append(_metrics(part, threshold, resamples, rng)[0].assign(vessel=name))
        per_patient = predictions.of_patients()
        if 0 < per_patient.truth.sum() < per_patient.truth.size:
            parts.append(_metrics(per_patient, threshold, resamples, rng)[0].assign(vessel="patient"))
        metrics = pd.concat(parts, ignore_index=True)
    return Evaluation(
        predictions=predictions,
        metrics=metrics,
        delong=_delong(predictions.models, table, samples),
        auc_samples=samples,
        threshold=threshold,
        resamples=resamples,
        seed=seed,
    )


def _metrics(
    predictions: Predictions, threshold: float, resamples: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """One row a model, and the bootstrapped areas."""
    truth = predictions.truth
    clustered = predictions.vessel is not None
    counts = resample_counts(truth, resamples=resamples, rng=rng, patient=predictions.patient if clustered else None)
    samples = bootstrap_auc(truth, predictions.probability, counts)
    table = delong_table(truth, predictions.probability)
    wins = beaten_by(delong_pairs(table), len(predictions.models))
    rows = []
    for index, (model, probability) in enumerate(zip(predictions.models, predictions.probability, strict=True)):
        area = percentile_interval(samples[index]) if clustered else table.interval(index)
        row: dict[str, object] = {"model": model, "n": truth.size, "n_positive": int(truth.sum())}
        row |= _with_interval("auc", float(table.auc[index]), area)
        cells, measured = measure_threshold(truth, probability, counts=counts, threshold=threshold, clustered=clustered)
        for name in METRICS:
            row |= _with_interval(name, measured[name].value, measured[name].interval)
        row |= {"tn": cells.tn, "fp": cells.fp, "fn": cells.fn, "tp": cells.tp}
        rows.append(row | {"threshold": threshold, "beats": int(wins[index])})
    return pd.DataFrame(rows), np.asarray(samples)


def _with_interval(name: str, value: float, interval: Interval) -> dict[str, float]:
    """Name a value and its limits as the contract does."""
    return {name: value, f"{name}_lo": interval.lo, f"{name}_hi": interval.hi}


def _delong(models: tuple[str, ...], table: AucTable, samples: NDArray[np.float64]) -> pd.DataFrame:
    """Every pair: DeLong's paired test, corrected p values, and the p of the bootstrap by patient."""
    pairs = delong_pairs(table)
    names = np.asarray(models, dtype=object)
    frame = pd.DataFrame(
        {
            "model_a": names[pairs.a],
            "model_b": names[pairs.b],
            "auc_a": table.auc[pairs.a],
            "auc_b": table.auc[pairs.b],
            "difference": pairs.difference,
            "z": pairs.z,
            "p": pairs.p,
        }
    )
    if len(frame):
        frame["p_holm"] = adjust_p(pairs.p)
        frame["p_benjamini_hochberg"] = adjust_p(pairs.p, method="benjamini-hochberg")
        frame["p_bootstrap"] = [_bootstrap_p(samples[a] - samples[b]) for a, b in zip(pairs.a, pairs.b, strict=True)]
    return frame


def _bootstrap_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p that a difference of areas is 0: twice the smaller share of resamples beyond it."""
    n = differences.size
    tail = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2.0 * (tail + 1) / (n + 1)))


def model_curves(predictions: Predictions, model: int) -> dict[str, NDArray[np.float64]]:
    """Points of one model's curves, each of shape (points, 2) as (x, y).

    Returns
    -------
    Keys ``roc`` (1 - specificity, sensitivity), ``precision_recall``, ``reliability`` (predicted,
    observed) and ``net_benefit`` (threshold, benefit), with ``net_benefit_all`` of acting on everyone.
    """
    truth, probability = predictions.truth, predictions.probability[model]
    calibration = measure_calibration(truth, probability)
    cuts = np.arange(0.02, 0.99, 0.02)
    benefit = decision_curve(truth, probability, cuts)
    return {
        "roc": np.stack(roc_curve(truth, probability), axis=1),
        "precision_recall": np.stack(precision_recall_curve(truth, probability), axis=1),
        "reliability": np.stack([calibration.mean_predicted, calibration.observed], axis=1),
        "net_benefit": np.stack([cuts, benefit[:, 0]], axis=1),
        "net_benefit_all": np.stack([cuts, benefit[:, 1]], axis=1),
    }


def calibration_table(predictions: Predictions) -> pd.DataFrame:
    """Brier score, slope, intercept and expected calibration error of every model."""
    rows = []
    for model, probability in zip(predictions.models, predictions.probability, strict=True):
        c = measure_calibration(predictions.truth, probability)
        rows.append(
            {
                "model": model,
                "n": predictions.truth.size,
                "brier": c.brier,
                "slope": c.slope,
                "intercept": c.intercept,
                "expected_calibration_error": c.ece,
            }
        )
    return pd.DataFrame(rows)
