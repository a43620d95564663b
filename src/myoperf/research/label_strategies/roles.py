"""Who trains, validates and tests, and by which labels, in each strategy of Hajianfar et al. 2025."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.research.label_strategies.cohort import CohortSize
from myoperf.research.label_strategies.grid import STRATEGIES


@dataclass(frozen=True, eq=False)
class Roles:
    """Rows of a cohort by what is known of the patients and what they are for: 141, 40, 100 and 659 in the paper."""

    ica_train: NDArray[np.int64]
    ica_validation: NDArray[np.int64]
    test: NDArray[np.int64]
    expert: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Rows of a cohort (n,) and their labels (n, 3), 0 or 1 for LAD, LCX, RCA."""

    rows: NDArray[np.int64]
    labels: NDArray[Any]

    def __add__(self, other: LabelledRows) -> LabelledRows:
        """Join two sets of patients."""
        return LabelledRows(np.concatenate([self.rows, other.rows]), np.concatenate([self.labels, other.labels]))


def assign_roles(labels: NDArray[Any], size: CohortSize, seed: int) -> Roles:
    """Deal the patients to the parts, so that the test vessels are diseased as often as the others.

    Parameters
    ----------
    labels
        (patients with angiography, 3) 0 or 1: they are the cohort's first rows; the expert-only ones follow.
    """
    n = size.angiography
    if len(labels) != n:
        raise InputError(f"Expected labels of {n} patients with angiography; got {len(labels)}.")
    rng = np.random.default_rng(seed)
    code = np.asarray(labels) @ (4, 2, 1)
    # Sorted by their diseased vessels, in random order among equals, patients at equal steps keep every prevalence.
    order = np.lexsort((rng.random(n), code))
    test = order[np.floor((np.arange(size.test) + rng.random()) * n / size.test).astype(np.int64) % n]
    left = rng.permutation(np.setdiff1d(np.arange(n), test))
    return Roles(np.sort(left[: size.train]), np.sort(left[size.train :]), np.sort(test), np.arange(n, n + size.expert))


def available_strategies(roles: Roles) -> tuple[str, ...]:
    """Return the strategies that these patients allow: without patients that an expert alone read, only the first."""
    return STRATEGIES if len(roles.expert) >= 2 else ("1",)


def training_rows(
    strategy: str, roles: Roles, ica: NDArray[Any], expert: NDArray[Any], pseudo: NDArray[Any] | None = None
) -> tuple[LabelledRows, LabelledRows]:
    """Return the patients to train on and to validate on, with their labels.

    Parameters
    ----------
    ica, expert
        (patients, 3) of the cohort, by angiography and by an expert. Angiography is read only where there was one.
    pseudo
        (len(roles.expert), 3): a model's labels of the expert-only patients, for strategies 5 and 6.

    Notes
    -----
    Strategy 3 spreads the 659: 145 of them validate, which gives the paper's 655 in training and 185 in validation.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"Unknown strategy {strategy!r}; choose from {', '.join(STRATEGIES)}.")
    held = max(1, round(len(roles.expert) * 145 / 659))
    by_expert, by_expert_held = (LabelledRows(r, expert[r]) for r in (roles.expert[held:], roles.expert[:held]))
    if strategy == "task 1":
        return by_expert, by_expert_held
    train, validation = (LabelledRows(rows, ica[rows]) for rows in (roles.ica_train, roles.ica_validation))
    if strategy == "2":
        return train + LabelledRows(roles.expert, expert[roles.expert]), validation
    if strategy == "3":
        return train + by_expert, validation + by_expert_held
    if strategy in ("5", "6"):
        if pseudo is None:
            raise InputError(f"Strategy {strategy} needs pseudo-labels of the patients without angiography.")
        return train + LabelledRows(roles.expert, pseudo), validation
    return train, validation


def pseudo_labels(probability: NDArray[Any]) -> NDArray[np.int64]:
    """Return labels from a model's probabilities (n, 3), at one half."""
    return (np.asarray(probability) >= 0.5).astype(np.int64)
