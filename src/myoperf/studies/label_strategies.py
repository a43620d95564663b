"""Paper 001: thirteen networks, four inputs, six ways to use expert labels beside angiography.

The grid is a list of 728 jobs (13 networks, 4 inputs, with and without augmentation, task 1 and six strategies of
task 2); each job's predictions are a file, so a run that stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.nets.polar_fusion import INPUTS, NETWORKS
from myoperf.stats import delong_table

__all__ = ["STRATEGIES", "Job", "Roles", "assign_roles", "list_jobs", "pseudo_labels", "run_jobs", "training_rows"]

STRATEGIES = ("task 1", "1", "2", "3", "4", "5", "6")
"""Task 1: expert labels. Task 2, angiography: 1 the 141; 2 with 659 expert-labelled; 3 those spread over training
and validation; 4 as 1, started from task 1; 5 with 659 pseudo-labelled by 1; 6 by 4."""


@dataclass(frozen=True)
class Job:
    """One model of the grid."""

    network: str
    fusion: str
    augmented: bool
    strategy: str

    @property
    def key(self) -> str:
        """Name of its file."""
        name = f"{self.network}-{self.fusion}-{'augmented' if self.augmented else 'plain'}-{self.strategy}"
        return name.replace(" ", "-").lower()

    @property
    def needs(self) -> Job | None:
        """The job whose model this one starts from or takes labels from."""
        first = {"4": "task 1", "5": "1", "6": "4"}.get(self.strategy)
        return None if first is None else Job(self.network, self.fusion, self.augmented, first)


@dataclass(frozen=True, eq=False)
class Roles:
    """Rows of a cohort by what is known of them and what they are for: 001 has 141, 40, 100 and 659."""

    ica_train: NDArray[np.int64]
    ica_validation: NDArray[np.int64]
    test: NDArray[np.int64]
    expert: NDArray[np.int64]


def list_jobs(
    networks: Sequence[str] = NETWORKS,
    inputs: Sequence[str] = INPUTS,
    strategies: Sequence[str] = STRATEGIES,
    augmented: Sequence[bool] = (False, True),
) -> tuple[Job, ...]:
    """List the grid in an order in which every job comes after the one it needs."""
    jobs = [Job(n, i, a, s) for s, n, i, a in product(strategies, networks, inputs, augmented)]
    place = {job: index for index, job in enumerate(jobs)}
    for job in jobs:
        if job.needs is not None and place.get(job.needs, len(jobs)) > place[job]:
            raise InputError(f"Strategy {job.strategy} needs {job.needs.strategy} before it in the list.")
    return tuple(jobs)


def assign_roles(n: int, seed: int, *, train: int = 141, validation: int = 40, test: int = 100) -> Roles:
    """Draw the roles of n patients; who is left has an expert's labels only."""
    if n <= train + validation + test:
        raise InputError(f"{n} patients cannot give {train + validation + test} with angiography and some without.")
    order = np.random.default_rng(seed).permutation(n)
    ends = np.cumsum((train, validation, test))
    parts = np.split(order, ends)
    return Roles(*(np.sort(part) for part in parts))


def training_rows(
    strategy: str, roles: Roles, ica: NDArray[Any], expert: NDArray[Any], pseudo: NDArray[Any] | None = None
) -> tuple[tuple[NDArray[np.int64], NDArray[Any]], tuple[NDArray[np.int64], NDArray[Any]]]:
    """Give rows and labels (n, 3) to train on, and to validate on.

    Parameters
    ----------
    ica, expert
        (patients, 3) of the cohort. Angiography is read in rows that have it only.
    pseudo
        (len(roles.expert), 3): labels given to the expert-only patients; strategies 5 and 6.

    Notes
    -----
    Strategy 3 spreads the 659: 001's totals of 655 in training and 185 in validation.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"Unknown strategy {strategy!r}; known are {', '.join(STRATEGIES)}.")
    if strategy in ("5", "6") and pseudo is None:
        raise InputError(f"Strategy {strategy} needs pseudo-labels of the patients without angiography.")
    spread = round(len(roles.expert) * 145 / 659)
    held, given = roles.expert[:spread], roles.expert[spread:]
    if strategy == "task 1":
        return (given, expert[given]), (held, expert[held])
    train, validation = (roles.ica_train, ica[roles.ica_train]), (roles.ica_validation, ica[roles.ica_validation])
    if strategy in ("2", "5", "6"):
        labels = expert[roles.expert] if strategy == "2" else pseudo
        return _joined(train, (roles.expert, labels)), validation
    if strategy == "3":
        return _joined(train, (given, expert[given])), _joined(validation, (held, expert[held]))
    return train, validation


def _joined(
    first: tuple[NDArray[np.int64], NDArray[Any]], second: tuple[NDArray[np.int64], Any]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def pseudo_labels(probability: NDArray[Any]) -> NDArray[np.int64]:
    """Turn a model's probabilities (n, 3) into labels at one half."""
    return (np.asarray(probability) >= 0.5).astype(np.int64)


def run_jobs(
    jobs: Sequence[Job], out: Path, train: Callable[[Job], NDArray[Any]], settings: dict[str, Any]
) -> tuple[int, int]:
    """Run the jobs whose predictions are not there yet.

    Parameters
    ----------
    train
        Trains a job and gives probabilities (test patients, 3).
    settings
        What every file must agree on; a folder with others is refused.

    Returns
    -------
    (run now, found there).
    """
    out.mkdir(parents=True, exist_ok=True)
    mark = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    known = out / "settings.json"
    if known.exists() and json.loads(known.read_text(encoding="utf-8"))["mark"] != mark:
        raise InputError("The folder holds jobs of other settings; choose another folder.")
    known.write_text(json.dumps({"mark": mark, **settings}, indent=1) + "\n", encoding="utf-8")
    done = 0
    for job in jobs:
        path = out / f"{job.key}.npz"
        if path.exists():
            continue
        probability = np.asarray(train(job), dtype=np.float32)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(file, probability=probability, job=np.array(json.dumps(asdict(job))))
        part.replace(path)
        done += 1
    return done, len(jobs) - done


def collect(jobs: Sequence[Job], out: Path, truth: NDArray[Any]) -> list[dict[str, Any]]:
    """Measure all jobs on the test patients: AUC per vessel (probabilities one after the other) and per patient."""
    matrix = np.stack([np.load(out / f"{job.key}.npz")["probability"] for job in jobs])
    flat = delong_table(truth.ravel(), matrix.reshape(len(jobs), -1)).auc
    patient = delong_table(truth.max(axis=1), matrix.max(axis=2)).auc
    return [
        {**asdict(job), "auc_vessel": float(flat[i]), "auc_patient": float(patient[i])} for i, job in enumerate(jobs)
    ]
