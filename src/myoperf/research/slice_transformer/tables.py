"""Areas under the ROC curve with bootstrap intervals by patient, and the tables of recipe and study made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from myoperf.research.training.tables import markdown_table
from myoperf.stats import (
    bootstrap_auc,
    bootstrap_p,
    delong_pairs,
    delong_table,
    measure_threshold,
    percentile_interval,
    resample_counts,
)
from myoperf.types import Float

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
"""What Zhao et al. claim, then what pre-training adds: question, the model claimed to be better, the other model."""
_ANSWER_COLUMNS = (
    *("question", "model", "other", "splits", "n_tests", "n_patients", "auc", "auc_other"),
    *("difference", "difference_lo", "difference_hi", "p", "answer"),
)
_TITLES = {"n_tests": "tests", "auc": "AUC", "f1": "F1", "auc_other": "AUC of the other", "answer": "shown?"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Areas:
    """Areas under the ROC curve of several models on the same test rows, with their bootstrap by patient.

    Attributes
    ----------
    auc
        (models,).
    samples
        (models, resamples).
    counts
        (resamples, rows): how often each row was drawn.
    """

    auc: Float
    samples: Float
    counts: NDArray[np.int32]

    def columns(self, model: int) -> dict[str, float]:
        """Return a model's area and its 95 % interval as columns of a table."""
        return percentile_interval(self.samples[model]).columns("auc", float(self.auc[model]))

    def difference(self, model: int, other: int) -> dict[str, float]:
        """Return the difference of two models' areas and its 95 % interval as columns of a table."""
        interval = percentile_interval(self.samples[model] - self.samples[other])
        return interval.columns("difference", float(self.auc[model] - self.auc[other]))


def measure_areas(
    truth: ArrayLike, scores: Float, *, seed: int, patient: ArrayLike | None = None, split: ArrayLike | None = None
) -> Areas:
    """Measure each model's area, averaged over repeated splits if there are any.

    Probabilities of different splits come from different trainings and are not compared with each other.

    Parameters
    ----------
    truth
        (rows,) 0 or 1.
    scores
        (models, rows).
    patient
        (rows,) identifier: a patient who is tested in several splits is drawn as one. None: one row per patient.
    split
        (rows,) number of the split whose training gave the row. None: there is only one.
    """
    labels = np.asarray(truth)
    splits = np.zeros(len(labels), dtype=int) if split is None else np.asarray(split)
    counts = resample_counts(labels, resamples=RESAMPLES, rng=np.random.default_rng(seed), patient=patient)
    points, samples = [], []
    for number in np.unique(splits):
        rows = np.flatnonzero(splits == number)
        drawn, positive = counts[:, rows], labels[rows].astype(bool)
        both = (drawn[:, positive].sum(axis=1) > 0) & (drawn[:, ~positive].sum(axis=1) > 0)
        areas = np.full((len(scores), RESAMPLES), np.nan)  # a resample may leave one class only in a split
        areas[:, both] = bootstrap_auc(labels[rows], scores[:, rows], np.ascontiguousarray(drawn[both]))
        points.append(delong_table(labels[rows], scores[:, rows]).auc)
        samples.append(areas)
    known = ~np.isnan(samples).all(axis=(0, 1))
    mean = np.nanmean(np.asarray(samples)[:, :, known], axis=0)
    return Areas(auc=np.mean(points, axis=0), samples=mean, counts=counts)


def measure_held_out(truth: NDArray[np.int64], scores: Mapping[str, Float], *, seed: int = 0) -> pd.DataFrame:
    """Measure the probabilities of held-out patients: AUC, and sensitivity and specificity at 0.5.

    Parameters
    ----------
    truth
        0 or 1 of each patient.
    scores
        Probabilities (patients,) by the model's name.

    Returns
    -------
    One row a model; each measure with its 95 % interval (``_lo``, ``_hi``; bootstrap over patients).
    """
    areas = measure_areas(truth, np.stack(list(scores.values())), seed=seed)
    rows = []
    for index, (name, probability) in enumerate(scores.items()):
        measured = measure_threshold(truth, probability, counts=areas.counts)[1]
        row: dict[str, Any] = {"model": name, "n": len(truth), "n_positive": int(truth.sum())}
        row |= areas.columns(index) | measured["sensitivity"].columns("sensitivity")
        rows.append(row | measured["specificity"].columns("specificity"))
    return pd.DataFrame(rows)


def compare_with_polar(truth: NDArray[np.int64], slices: Float, polar: Float, *, seed: int = 0) -> pd.DataFrame:
    """Test whether the slices' probability, or its mean with the polar classifier's, beats the polar classifier's.

    Returns
    -------
    A row for each of the two: areas, difference with bootstrap interval, DeLong's p, and whether the model earns its
    place, which takes both an interval above 0 and p < 0.05.
    """
    matrix = np.stack([slices, 0.5 * (slices + polar), polar])
    areas, pairs = measure_areas(truth, matrix, seed=seed), delong_pairs(delong_table(truth, matrix))
    rows = []
    for index, name in enumerate(("slices", "mean of both")):
        p = float(pairs.p[(pairs.a == index) & (pairs.b == 2)][0])
        gap = areas.difference(index, 2)
        row = {"model": name, "other": "polar classifier", "n": len(truth), "n_positive": int(truth.sum())}
        row |= {"auc": areas.auc[index], "auc_other": areas.auc[2], **gap, "p_delong": p}
        rows.append(row | {"earns_its_place": gap["difference_lo"] > 0 and p < 0.05})
    return pd.DataFrame(rows)


def _paired(predictions: pd.DataFrame, models: Sequence[str]) -> tuple[pd.DataFrame, Float]:
    """Return split, patient and truth of every row that all models predicted, and the scores (models, rows)."""
    chosen = predictions[predictions["model"].isin(models)]
    wide = chosen.pivot_table(index=["split", "patient", "truth"], columns="model", values="probability").dropna()
    return wide.index.to_frame(index=False), wide[list(models)].to_numpy().T


def _measure_paired(predictions: pd.DataFrame, models: Sequence[str], seed: int) -> tuple[pd.DataFrame, Float, Areas]:
    rows, scores = _paired(predictions, models)
    return rows, scores, measure_areas(rows["truth"], scores, seed=seed, patient=rows["patient"], split=rows["split"])


def _counted(rows: pd.DataFrame) -> dict[str, int]:
    return {"splits": rows["split"].nunique(), "n_tests": len(rows), "n_patients": rows["patient"].nunique()}


def measure_models(predictions: pd.DataFrame, tables: Mapping[str, str], seed: int) -> pd.DataFrame:
    """Measure every model: mean area over its splits; F1, sensitivity and specificity at 0.5 of all its test rows.

    Parameters
    ----------
    predictions
        Columns split, patient, truth, model, probability.
    tables
        Model -> numbers of the paper's tables it appears in.
    """
    out: list[dict[str, Any]] = []
    for model in dict.fromkeys(predictions["model"].astype(str)):
        rows, scores, areas = _measure_paired(predictions, [model], seed)
        row = {"model": model, "tables": tables.get(model, "3"), **_counted(rows)}
        row |= {"n_abnormal_tests": int(rows["truth"].sum())} | areas.columns(0)
        measured = measure_threshold(rows["truth"], scores[0], counts=areas.counts, clustered=True)[1]
        for metric in ("f1", "sensitivity", "specificity"):
            row |= measured[metric].columns(metric)
        out.append(row)
    whole = predictions.drop_duplicates(["split", "patient"])
    share = float(whole["truth"].mean())
    trivial = {"auc": 0.5, "f1": 2 * share / (1 + share), "sensitivity": 1.0, "specificity": 0.0}
    out.append({"model": "all called abnormal", "tables": "3", **_counted(whole), **trivial})
    return pd.DataFrame(out)


def answer_questions(predictions: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Compare the pairs of `QUESTIONS`, and the fused model with every baseline, on the rows that both predicted.

    The difference of mean areas, its 95 % interval and two-sided p from one bootstrap over patients; nothing is
    adjusted for the number of questions.
    """
    models = list(dict.fromkeys(predictions["model"].astype(str)))
    transformers = {name for _, *pair in QUESTIONS for name in pair}
    pairs = [q for q in QUESTIONS if q[1] in models and q[2] in models]
    pairs += [("fusion beats convolutional networks", "fusion, average", m) for m in models if m not in transformers]
    out = []
    for question, better, other in pairs:
        rows, _, areas = _measure_paired(predictions, [better, other], seed)
        gap, p = areas.difference(0, 1), bootstrap_p(areas.samples[0] - areas.samples[1])
        answer = "not shown"  # interval and p come from one bootstrap but may part at the border: both must agree
        if p < 0.05 and gap["difference_lo"] > 0:
            answer = "yes"
        elif p < 0.05 and gap["difference_hi"] < 0:
            answer = "no, the other is better"
        row = {"question": question, "model": better, "other": other, **_counted(rows)}
        out.append(row | {"auc": areas.auc[0], "auc_other": areas.auc[1], **gap, "p": p, "answer": answer})
    return pd.DataFrame(out, columns=_ANSWER_COLUMNS)


def markdown(table: pd.DataFrame, answers: pd.DataFrame) -> str:
    """Return the tables of `measure_models` and `answer_questions` as Markdown."""
    metrics = ("auc", "f1", "sensitivity", "specificity")
    shown = ["model", "tables", "splits", "n_tests", *(m + end for m in metrics for end in ("", "_lo", "_hi"))]
    questions = answers.drop(columns=["splits", "n_tests", "n_patients"])
    return markdown_table(table[shown], titles=_TITLES) + "\n" + markdown_table(questions, titles=_TITLES)
