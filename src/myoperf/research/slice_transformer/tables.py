"""Tables of the multi-branch study: areas with intervals by patient, and answers to the paper's three questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from myoperf.stats import (
    bootstrap_auc,
    delong_table,
    measure_threshold,
    percentile_interval,
    resample_counts,
)
from myoperf.types import Float

__all__ = ["QUESTIONS", "answer_questions", "markdown", "mean_areas", "measure_models"]


RESAMPLES = 2000
QUESTIONS: tuple[tuple[str, str, str], ...] = (
    ("fusion beats single axes", "fusion, average", "SA only"),
    ("fusion beats single axes", "fusion, average", "HLA only"),
    ("fusion beats single axes", "fusion, average", "VLA only"),
    ("average beats other fusions", "fusion, average", "fusion, concatenation"),
    ("average beats other fusions", "fusion, average", "fusion, learnable weights"),
    ("fine-tuned beats frozen", "fusion, average", "fusion, average, frozen"),
    ("fine-tuned beats frozen", "SA only", "SA only, frozen"),
    ("fine-tuned beats frozen", "HLA only", "HLA only, frozen"),
    ("fine-tuned beats frozen", "VLA only", "VLA only, frozen"),
    ("fine-tuned beats frozen", "fusion, average, pre-trained", "fusion, average, pre-trained, frozen"),
    ("pre-trained beats random", "fusion, average, pre-trained", "fusion, average"),
    ("pre-trained beats random", "fusion, average, pre-trained, frozen", "fusion, average, frozen"),
    ("pre-trained beats random", "SA only, pre-trained, frozen", "SA only, frozen"),
    ("pre-trained beats random", "HLA only, pre-trained, frozen", "HLA only, frozen"),
    ("pre-trained beats random", "VLA only, pre-trained, frozen", "VLA only, frozen"),
)
"""What the paper claims, then what pre-training adds: question, model said to be better, the other."""
_ANSWER_COLUMNS = (
    *("question", "model", "other", "splits", "n_tests", "n_patients", "auc", "auc_other"),
    *("difference", "difference_lo", "difference_hi", "p", "answer"),
)


def _wide(predictions: pd.DataFrame, models: Sequence[str]) -> tuple[pd.DataFrame, Float]:
    """Give split, patient and truth of every row that all the models predicted, and scores (models, rows)."""
    chosen = predictions[predictions["model"].isin(models)]
    wide = chosen.pivot_table(index=["split", "patient", "truth"], columns="model", values="probability").dropna()
    return wide.index.to_frame(index=False), wide[list(models)].to_numpy().T


def mean_areas(rows: pd.DataFrame, scores: Float, seed: int) -> tuple[Float, Float]:
    """Average each model's area over the splits.

    Probabilities of different splits come from different trainings and are not compared with each other.

    Parameters
    ----------
    rows
        Columns split, patient, truth.
    scores
        (models, rows).

    Returns
    -------
    (models,) areas, and (models, resamples) with patients drawn with replacement: a patient in several
    test sets is drawn as one.
    """
    truth, split = rows["truth"].to_numpy(), rows["split"].to_numpy()
    counts = resample_counts(
        truth, resamples=RESAMPLES, rng=np.random.default_rng(seed), patient=rows["patient"].to_numpy()
    )
    points, samples = [], []
    for which in np.unique(split):
        at = np.flatnonzero(split == which)
        points.append(delong_table(truth[at], scores[:, at]).auc)
        part, positive = counts[:, at], truth[at].astype(bool)
        both = (part[:, positive].sum(axis=1) > 0) & (part[:, ~positive].sum(axis=1) > 0)
        drawn = np.full((len(scores), RESAMPLES), np.nan)
        drawn[:, both] = bootstrap_auc(truth[at], scores[:, at], np.ascontiguousarray(part[both]))
        samples.append(drawn)
    known = ~np.isnan(samples).all(axis=(0, 1))
    return np.mean(points, axis=0), np.nanmean(np.asarray(samples)[:, :, known], axis=0)


def measure_models(predictions: pd.DataFrame, tables: Mapping[str, str], seed: int) -> pd.DataFrame:
    """Measure every model: mean area over its splits; F1, sensitivity and specificity at 0.5 of all its test rows.

    Parameters
    ----------
    predictions
        Columns split, patient, truth, model, probability.
    tables
        Model -> numbers of the paper's tables it stands in.
    """
    out = []
    for model in dict.fromkeys(predictions["model"]):
        rows, scores = _wide(predictions, [str(model)])
        areas, samples = mean_areas(rows, scores, seed)
        interval = percentile_interval(samples[0])
        truth, splits = rows["truth"].to_numpy(), rows["split"].nunique()
        row: dict[str, Any] = {"model": model, "tables": tables.get(str(model), "3"), "splits": splits}
        row |= {"n_tests": len(rows), "n_patients": rows["patient"].nunique(), "n_abnormal_tests": int(truth.sum())}
        row |= {"auc": float(areas[0]), "auc_lo": interval.lo, "auc_hi": interval.hi}
        counts = resample_counts(
            truth, resamples=RESAMPLES, rng=np.random.default_rng(seed), patient=rows["patient"].to_numpy()
        )
        measured = measure_threshold(truth, scores[0], counts=counts, clustered=True)[1]
        for metric in ("f1", "sensitivity", "specificity"):
            value = measured[metric]
            row |= {metric: value.value, f"{metric}_lo": value.interval.lo, f"{metric}_hi": value.interval.hi}
        out.append(row)
    whole = predictions.drop_duplicates(["split", "patient"])
    share = float(whole["truth"].mean())
    trivial = {"auc": 0.5, "f1": 2 * share / (1 + share), "sensitivity": 1.0, "specificity": 0.0}
    counted = {"splits": whole["split"].nunique(), "n_tests": len(whole), "n_patients": whole["patient"].nunique()}
    out.append({"model": "all called abnormal", "tables": "3", **counted, **trivial})
    return pd.DataFrame(out)


def answer_questions(predictions: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Compare the pairs of `QUESTIONS` and the fused model with every baseline on the rows both predicted.

    The difference of mean areas, its 95 % interval and two-sided p from one bootstrap over patients; nothing is
    adjusted for the number of questions.
    """
    models = [str(m) for m in dict.fromkeys(predictions["model"])]
    ours = {name for _, a, b in QUESTIONS for name in (a, b)}
    pairs = [q for q in QUESTIONS if q[1] in models and q[2] in models]
    pairs += [("fusion beats convolutional networks", "fusion, average", m) for m in models if m not in ours]
    out = []
    for question, better, other in pairs:
        rows, scores = _wide(predictions, [better, other])
        areas, samples = mean_areas(rows, scores, seed)
        gap = samples[0] - samples[1]
        interval = percentile_interval(gap)
        beyond = min(float((gap <= 0).mean()), float((gap >= 0).mean()))
        p = min(1.0, 2 * (beyond * len(gap) + 1) / (len(gap) + 1))
        shown = p < 0.05  # the interval and p are of one bootstrap but may part at the border: both must agree
        answer = "not shown"
        if shown and interval.lo > 0:
            answer = "yes"
        elif shown and interval.hi < 0:
            answer = "no, the other is better"
        row = {"question": question, "model": better, "other": other, "splits": rows["split"].nunique()}
        row |= {"n_tests": len(rows), "n_patients": rows["patient"].nunique(), "auc": areas[0], "auc_other": areas[1]}
        row |= {"difference": areas[0] - areas[1], "difference_lo": interval.lo, "difference_hi": interval.hi, "p": p}
        out.append(row | {"answer": answer})
    return pd.DataFrame(out, columns=_ANSWER_COLUMNS)


def markdown(table: pd.DataFrame, answers: pd.DataFrame) -> str:
    """Write both tables for reading."""

    def cell(row: Any, metric: str) -> str:
        if pd.isna(row.get(f"{metric}_lo")):
            return f"{row[metric]:.3f}"
        return f"{row[metric]:.3f} ({row[f'{metric}_lo']:.3f}-{row[f'{metric}_hi']:.3f})"

    lines = [
        "| model | tables | splits | tests | AUC | F1 | sensitivity | specificity |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for _, row in table.iterrows():
        cells = " | ".join(cell(row, metric) for metric in ("auc", "f1", "sensitivity", "specificity"))
        lines.append(f"| {row['model']} | {row['tables']} | {row['splits']} | {row['n_tests']} | {cells} |")
    lines += ["", "| question | model | other | AUC | other's | difference (95 %) | p | shown? |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for _, row in answers.iterrows():
        gap = f"{row['difference']:+.3f} ({row['difference_lo']:+.3f} to {row['difference_hi']:+.3f})"
        lines.append(
            f"| {row['question']} | {row['model']} | {row['other']} | {row['auc']:.3f} | {row['auc_other']:.3f} "
            f"| {gap} | {row['p']:.3f} | {row['answer']} |"
        )
    return "\n".join(lines) + "\n"
