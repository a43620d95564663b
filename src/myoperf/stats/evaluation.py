"""The tables of ``myoperf evaluate``: every model of a predictions file, with intervals.

With one row per vessel, the rows of a patient are dependent: all intervals are bootstrapped by patient. A patient's
probability is the highest of the vessels' (Hajianfar et al. 2025, doi:10.1007/s00259-025-07145-x).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from myoperf.stats.auc import AucTable, ConfidenceInterval, delong_pairs, delong_table
from myoperf.stats.bootstrap import bootstrap_auc, bootstrap_p, percentile_interval, resample_counts
from myoperf.stats.calibration import (
    average_precision,
    decision_curve,
    measure_calibration,
    precision_recall_curve,
    roc_curve,
)
from myoperf.stats.compare import adjust_p, beaten_by, compare_levels
from myoperf.stats.metrics import METRICS, measure_threshold
from myoperf.stats.predictions import PartlyVerified, Predictions
from myoperf.stats.verification import correct_verification
from myoperf.types import Float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The tables as frames ready to write, and the bootstrapped areas.

    Parameters
    ----------
    metrics
        One row per model (and, with vessels, per group): n, n_positive, auc, each of `METRICS` (with ``_lo``, ``_hi``).
    delong
        One row per pair of models (and, with vessels, per group).
    auc_samples
        (models, resamples), of all rows.
    notes
        What could not be measured, with the reason.
    """

    predictions: Predictions
    metrics: pd.DataFrame
    delong: pd.DataFrame
    auc_samples: NDArray[np.float64]
    threshold: float
    resamples: int
    seed: int
    notes: tuple[str, ...]


def evaluate(predictions: Predictions, *, threshold: float = 0.5, resamples: int = 1000, seed: int = 0) -> Evaluation:
    """Measure every model and compare every pair; with vessels over all rows, per vessel and per patient."""
    rng = np.random.default_rng(seed)
    groups, notes = _groups(predictions)
    metrics, delong, drawn = [], [], []
    for name, part in groups.items():
        measured, table, samples = _metrics(part, threshold, resamples, rng)
        compared = _delong(part.models, table, samples)
        if predictions.vessel is not None:
            measured, compared = measured.assign(vessel=name), compared.assign(vessel=name)
        metrics.append(measured)
        delong.append(compared)
        drawn.append(samples)
        notes += _doubts(name, table)
    return Evaluation(
        predictions=predictions,
        metrics=pd.concat(metrics, ignore_index=True),
        delong=pd.concat(delong, ignore_index=True),
        auc_samples=drawn[0],
        threshold=threshold,
        resamples=resamples,
        seed=seed,
        notes=tuple(notes),
    )


def _groups(predictions: Predictions) -> tuple[dict[str, Predictions], list[str]]:
    """Return the groups of rows to measure, all rows first, and notes on groups that cannot be measured."""
    parts, notes = {"all": predictions}, list[str]()
    if predictions.vessel is None:
        return parts, notes
    of_patients = predictions.of_patients()
    lacking = np.unique(predictions.patient).size - of_patients.truth.size
    if lacking:
        notes.append(f"{lacking} patients lack a vessel and are left out of the rows per patient.")
    apart = {name: predictions.of_vessel(name) for name in predictions.vessels} | {"patient": of_patients}
    for name, part in apart.items():
        if part.has_both:
            parts[name] = part
        else:
            notes.append(f"{name}: one class only among {part.truth.size}, so this group is not measured.")
    return parts, notes


def _doubts(name: str, table: AucTable) -> list[str]:
    """Return notes where DeLong's interval is missing or has no width."""
    if min(table.n_positive, table.n_negative) < 2:
        return [f"{name}: fewer than two with or without the disease, so there is no DeLong interval or test."]
    if ((table.auc <= 0) | (table.auc >= 1)).any():
        return [
            f"{name}: DeLong's interval of an area of exactly 0 or 1 has no width and does not show its uncertainty."
        ]
    return []


def _metrics(
    predictions: Predictions, threshold: float, resamples: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, AucTable, NDArray[np.float64]]:
    """One row a model, the areas, and the bootstrapped areas."""
    truth = predictions.truth
    clustered = predictions.vessel is not None
    counts = resample_counts(truth, resamples=resamples, rng=rng, patient=predictions.patient if clustered else None)
    samples = bootstrap_auc(truth, predictions.probability, counts)
    table = delong_table(truth, predictions.probability)
    pairs, models = delong_pairs(table), len(predictions.models)
    wins, sure = beaten_by(pairs, models), beaten_by(pairs, models, p=adjust_p(pairs.p))
    whole = np.ones((1, truth.size), dtype=np.int32)
    rows = []
    for index, (model, probability) in enumerate(zip(predictions.models, predictions.probability, strict=True)):
        area = percentile_interval(samples[index]) if clustered else table.interval(index)
        if min(table.n_positive, table.n_negative) < 2:
            area = ConfidenceInterval(float("nan"), float("nan"))
        row: dict[str, object] = {"model": model, "n": truth.size, "n_positive": int(truth.sum())}
        row |= area.columns("auc", float(table.auc[index]))
        cells, measured = measure_threshold(truth, probability, counts=counts, threshold=threshold, clustered=clustered)
        for name in METRICS:
            row |= measured[name].columns(name)
        area_pr = float(average_precision(truth, probability, whole)[0])
        drawn = percentile_interval(average_precision(truth, probability, counts))
        row |= drawn.columns("average_precision", area_pr)
        row |= {"tn": cells.tn, "fp": cells.fp, "fn": cells.fn, "tp": cells.tp}
        rows.append(row | {"threshold": threshold, "beats": int(wins[index]), "beats_holm": int(sure[index])})
    return pd.DataFrame(rows), table, np.asarray(samples)


def _delong(models: tuple[str, ...], table: AucTable, samples: NDArray[np.float64]) -> pd.DataFrame:
    """Compare every pair of models: DeLong's paired test, corrected p values, and the p of the bootstrap by patient."""
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
        frame["p_bootstrap"] = [bootstrap_p(samples[a] - samples[b]) for a, b in zip(pairs.a, pairs.b, strict=True)]
    return frame


def model_curves(predictions: Predictions, model: int) -> dict[str, NDArray[np.float64]]:
    """Return the points of one model's curves, each of shape (points, 2) as (x, y).

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
    """Return Brier score, slope, intercept (with intervals) and expected calibration error of every model and group."""
    rows: list[dict[str, object]] = []
    for name, part in _groups(predictions)[0].items():
        for model, probability in zip(part.models, part.probability, strict=True):
            c = measure_calibration(part.truth, probability, patient=part.patient)
            row: dict[str, object] = {"model": model, "n": part.truth.size}
            row |= c.brier_interval.columns("brier", c.brier)
            row |= c.slope_interval.columns("slope", c.slope)
            row |= c.intercept_interval.columns("intercept", c.intercept)
            row |= {"expected_calibration_error": c.ece}
            rows.append(row if predictions.vessel is None else row | {"vessel": name})
    return pd.DataFrame(rows)


def factor_table(
    factors: Mapping[str, Sequence[str]], auc: ArrayLike, samples: ArrayLike, *, seed: int
) -> pd.DataFrame:
    """Compare the levels of every factor of a grid of models: pooled rank sum and matched permutation.

    Parameters
    ----------
    factors
        Factor -> its level for every model.
    auc
        (models,).
    samples
        (models, resamples).

    Returns
    -------
    One row per pair of levels; Holm's correction is within a factor.
    """
    rows = []
    for factor, levels in factors.items():
        if len(set(levels)) < 2:
            continue
        pairs = compare_levels(factors, factor, auc, samples, rng=np.random.default_rng(seed))
        for pair, corrected in zip(pairs, adjust_p([p.p_paired for p in pairs]), strict=True):
            values = {k: getattr(pair, k) for k in ("a", "b", "median_difference", "p_rank_sum", "p_paired")}
            row = {"factor": factor, **values, "p_paired_holm": float(corrected)}
            rows.append(row | {"mean_difference_matched": pair.mean_difference, "n_matched": pair.n_matched})
    return pd.DataFrame(rows)


def verification_table(read: PartlyVerified, *, threshold: float, resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Correct every model's sensitivity and specificity for verification bias.

    Returns
    -------
    One row for each model and method (``"test alone"``, ``"with covariates"`` where there are any): model, method, n,
    n_verified, then sensitivity, specificity and the corrected ones, each with _lo and _hi.
    """
    methods: list[tuple[str, Float | None]] = [("test alone", None)]
    if read.covariates is not None:
        methods.append(("with covariates", read.covariates))
    rows = []
    for model, probability in zip(read.verified.models, read.probability, strict=True):
        for method, covariates in methods:
            rng = np.random.default_rng(seed)
            done = correct_verification(probability >= threshold, read.truth, covariates, resamples=resamples, rng=rng)
            rows.append(
                {"model": model, "method": method, "n": done.n, "n_verified": done.n_verified}
                | done.sensitivity.columns("sensitivity")
                | done.specificity.columns("specificity")
                | done.corrected_sensitivity.columns("corrected_sensitivity")
                | done.corrected_specificity.columns("corrected_specificity")
            )
    return pd.DataFrame(rows)
