"""What applying a trained model gives, and how a card describes a model's probabilities."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from myoperf.stats import (
    bootstrap_auc,
    delong_table,
    measure_calibration,
    measure_threshold,
    percentile_interval,
    resample_counts,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Predicted:
    """Results of a model on new cases.

    Attributes
    ----------
    predictions
        In the form that ``myoperf evaluate`` reads, where the model gives probabilities; otherwise None.
    refused
        What could not be read, with the reason.
    tables
        Further tables by name, each written as ``NAME.csv``.
    write_files
        Writes what is no table, such as masks, into the folder of the results.
    """

    refused: pd.DataFrame
    predictions: pd.DataFrame | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    write_files: Callable[[Path], None] = lambda folder: None

    @property
    def unknown(self) -> int:
        """Number of rows whose truth is not known."""
        return 0 if self.predictions is None else int(self.predictions["truth"].isna().sum())

    def write(self, folder: Path) -> None:
        """Write ``predictions.csv``, ``refused.csv``, the other tables and files into a folder.

        Where the truth of some rows is not known, ``known.csv`` has the others, which ``myoperf evaluate`` measures.
        """
        named = {**self.tables, "refused": self.refused}
        if self.predictions is not None:
            named["predictions"] = self.predictions
            if 0 < self.unknown < len(self.predictions):
                named["known"] = self.predictions[self.predictions["truth"].notna()]
        for name, table in named.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        self.write_files(folder)


def describe_held_out(
    truth: ArrayLike, probability: ArrayLike, *, seed: int, patient: ArrayLike | None = None
) -> dict[str, Any]:
    """Return what a card says of a model's probabilities on held-out cases: area, metrics at one half, calibration.

    Parameters
    ----------
    truth, probability
        (rows,) 0 or 1, and 0 to 1.
    patient
        (rows,) whose they are; None: a row a patient.

    Returns
    -------
    ``n``, ``prevalence``, ``auc``, metrics and ``calibration`` (Brier score, Cox's slope and intercept), each with 95 %
    limits ``_lo``, ``_hi``; only ``n`` and ``prevalence`` where one class is missing.
    """
    labels, values = np.asarray(truth), np.asarray(probability, dtype=np.float64)
    row: dict[str, Any] = {"n": int(labels.size), "prevalence": float(labels.mean())}
    if labels.min() == labels.max():
        return row
    counts = resample_counts(labels, resamples=1000, rng=np.random.default_rng(seed), patient=patient)
    samples = bootstrap_auc(labels, values, counts)[0]
    row |= percentile_interval(samples).columns("auc", float(delong_table(labels, values).auc[0]))
    _, measured = measure_threshold(labels, values, counts=counts, clustered=patient is not None)
    for name in ("accuracy", "sensitivity", "specificity"):
        row |= measured[name].columns(name)
    fitted = measure_calibration(labels, values, bins=max(1, min(10, labels.size // 5)), patient=patient)
    calibration: dict[str, float | None] = {}
    for name, interval in (
        ("brier", fitted.brier_interval),
        ("slope", fitted.slope_interval),
        ("intercept", fitted.intercept_interval),
    ):
        for key, value in interval.columns(name, float(getattr(fitted, name))).items():
            calibration[key] = value if np.isfinite(value) else None  # a card is JSON, which has no NaN
    return {
        **{key: None if not np.isfinite(value) else value for key, value in row.items()},
        "calibration": calibration,
    }
