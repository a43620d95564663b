"""Scores of several models per vessel or per patient, and how optimistic choosing a model on the test patients is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from myoperf.research.label_strategies.figures import LEVELS
from myoperf.stats import bootstrap_auc, delong_table, percentile_interval, resample_counts
from myoperf.types import Float

RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Level:
    """Scores of several models per vessel or per patient.

    Attributes
    ----------
    truth, patient
        (rows,), and whose row it is.
    scores
        (models, rows).
    """

    name: str
    truth: NDArray[Any]
    scores: Float
    patient: NDArray[Any]

    @classmethod
    def of(cls, name: str, truth: NDArray[Any], probability: Float) -> Level:
        """Build a level from labels (n, 3) and probabilities (models, n, 3)."""
        if name == "vessel":
            owner = np.repeat(np.arange(len(truth)), 3)
            return cls(name, truth.ravel(), probability.reshape(len(probability), -1), owner)
        return cls(name, truth.max(axis=1), probability.max(axis=2), np.arange(len(truth)))

    @property
    def has_both(self) -> bool:
        """Whether there are diseased and healthy rows: otherwise there is no area."""
        return bool(self.truth.size) and int(self.truth.min()) < int(self.truth.max())

    def auc(self) -> Float:
        """Areas, (models,); NaN where all rows are of one class."""
        if not self.has_both:
            return np.full(len(self.scores), np.nan)
        return np.asarray(delong_table(self.truth, self.scores).auc)

    def counts(self, seed: int) -> NDArray[np.int32]:
        """Draw the bootstrap's patients."""
        rng = np.random.default_rng(seed)
        return resample_counts(self.truth, resamples=RESAMPLES, rng=rng, patient=self.patient)


def optimism(
    truth: Mapping[str, NDArray[Any]], probability: Mapping[str, Float], seed: int, *, repeats: int = RESAMPLES
) -> pd.DataFrame:
    """Measure how optimistic it is to choose the best of many models on the patients it is reported on.

    Parameters
    ----------
    truth, probability
        Of ``"test"``, ``"validation"`` and ``"fresh"``: labels (n, 3) and probabilities (models, n, 3).

    Returns
    -------
    A row a level and way: the mean area where the model was chosen, and on other patients, with intervals: of the
    area for one choice (bootstrap by patient), of the mean over repeats for halves (2.5 to 97.5 % of the repeats).
    """
    rows = []
    for name in LEVELS:
        levels = {part: Level.of(name, truth[part], probability[part]) for part in truth}
        areas = {part: level.auc() for part, level in levels.items()}
        for way, chosen_on, reported_on in (
            ("chosen and reported on the test, as in the paper", "test", "test"),
            ("the same model on fresh patients", "test", "fresh"),
            ("chosen on validation, reported on the test", "validation", "test"),
            ("chosen on validation, reported on fresh patients", "validation", "fresh"),
        ):
            model = int(areas[chosen_on].argmax())
            level = levels[reported_on]
            limits = percentile_interval(bootstrap_auc(level.truth, level.scores[model], level.counts(seed))[0])
            rows.append(
                {
                    "level": name,
                    "way": way,
                    "auc_where_chosen": areas[chosen_on][model],
                    "auc_reported": areas[reported_on][model],
                    "lo": limits.lo,
                    "hi": limits.hi,
                    "n_reported": len(truth[reported_on]),
                }
            )
        rows.append(_halves(name, truth["test"], probability["test"], seed, repeats))
        typical = float(np.median(areas["test"])), float(np.median(areas["fresh"]))
        rows.append(
            {"level": name, "way": "median of all models, test and fresh", "auc_where_chosen": typical[0]}
            | {"auc_reported": typical[1], "n_reported": len(truth["fresh"])}
        )
    return pd.DataFrame(rows)


def _halves(name: str, truth: NDArray[Any], probability: Float, seed: int, repeats: int) -> dict[str, Any]:
    """Choose on a random half of the test patients, report on the other half."""
    rng = np.random.default_rng(seed)
    chosen: list[float] = []
    reported: list[float] = []
    n = len(truth)
    while len(chosen) < repeats:
        order = rng.permutation(n)
        halves = [Level.of(name, truth[rows], probability[:, rows]) for rows in (order[: n // 2], order[n // 2 :])]
        if any(h.truth.min() == h.truth.max() for h in halves):
            continue
        first, second = (half.auc() for half in halves)
        model = int(first.argmax())
        chosen.append(first[model])
        reported.append(second[model])
    lo, hi = np.percentile(reported, (2.5, 97.5))
    return {
        "level": name,
        "way": f"chosen on half of the test, reported on the other half, mean of {repeats}",
        "auc_where_chosen": float(np.mean(chosen)),
        "auc_reported": float(np.mean(reported)),
        "lo": float(lo),
        "hi": float(hi),
        "n_reported": n - n // 2,
    }
