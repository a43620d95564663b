"""Paper 001: thirteen networks, four inputs, six ways to use expert labels beside angiography.

The grid is a list of 728 jobs (13 networks, 4 inputs, with and without augmentation, task 1 and six strategies of
task 2); each job's predictions are a file, so a run that stopped goes on where it was. Patients are simulated.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file, save_file

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.pipeline.jobs import claim_folder
from myoperf.research.backbones.efficientnet_lite0 import EfficientNetLite0
from myoperf.research.label_strategies.cohort import CohortSize, StudyCohort, draw_cohort
from myoperf.research.label_strategies.polar_fusion import (
    INPUTS,
    NETWORKS,
    FusionInput,
    PolarFusion,
    build_polar_fusion,
)
from myoperf.research.label_strategies.training import (
    Inputs,
    Rules,
    fit_polar,
    frozen_features,
    predict_polar,
    scale_clinical,
)

__all__ = [
    "LITE0",
    "SCALES",
    "STRATEGIES",
    "Job",
    "Roles",
    "Scale",
    "assign_roles",
    "list_jobs",
    "pseudo_labels",
    "read_jobs",
    "run",
    "run_jobs",
    "training_rows",
]

STRATEGIES = ("task 1", "1", "2", "3", "4", "5", "6")
"""Task 1: expert labels. Task 2, angiography: 1 the 141; 2 with 659 expert-labelled; 3 those spread over training
and validation; 4 as 1, started from task 1; 5 with 659 pseudo-labelled by 1; 6 by 4."""


LITE0 = "EfficientNetLite0"
"""Not among the paper's thirteen: the one network whose ImageNet weights an installable package carries."""


@dataclass(frozen=True)
class Scale:
    """Size of a run.

    Attributes
    ----------
    side
        Rows and columns of the pictures; the paper's maps had 290.
    width
        Channels of CNN2's first block (32 at full scale).
    frozen
        Networks whose ImageNet backbone stays frozen: its features are computed once, its head is trained.
    frozen_side
        Rows and columns that frozen backbones see.
    """

    cohort: CohortSize
    networks: tuple[str, ...]
    rules: Rules
    side: int
    width: int = 32
    inputs: tuple[FusionInput, ...] = INPUTS
    augmented: tuple[bool, ...] = (False, True)
    frozen: tuple[str, ...] = ()
    frozen_side: int = 96


SCALES: Mapping[str, Scale] = {
    "smoke": Scale(
        CohortSize(16, 8, 16, 24, 8, imaged=False), ("CNN1",), Rules(2, 8, patience=1), 32, inputs=("stress", "late")
    ),
    "small": Scale(
        CohortSize(141, 40, 100, 659, 200),
        ("CNN1", "CNN2", LITE0),
        Rules(epochs=10, batch=32, patience=2),
        32,
        width=4,
        frozen=(LITE0,),
        frozen_side=64,
    ),
    "full": Scale(CohortSize(141, 40, 100, 659, 200), NETWORKS, Rules(), 290),
}
"""Small: the whole cohort and all strategies, three small networks, fewer epochs and larger batches."""


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


def assign_roles(labels: NDArray[Any], size: CohortSize, seed: int) -> Roles:
    """Share out the patients with angiography; the test's vessels are as often diseased as the others'.

    Parameters
    ----------
    labels
        (patients with angiography, 3) 0 or 1: they are the cohort's first rows; the expert-only ones follow.
    """
    n = size.train + size.validation + size.test
    if len(labels) != n:
        raise InputError(f"{n} patients with angiography are to be shared out; got labels of {len(labels)}.")
    rng = np.random.default_rng(seed)
    code = np.asarray(labels) @ (4, 2, 1)
    order = np.lexsort((rng.random(n), code))  # alike patients stand together, in random order
    test = order[np.floor((np.arange(size.test) + rng.random()) * n / size.test).astype(np.int64) % n]
    left = rng.permutation(np.setdiff1d(np.arange(n), test))
    return Roles(np.sort(left[: size.train]), np.sort(left[size.train :]), np.sort(test), np.arange(n, n + size.expert))


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
    jobs: Sequence[Job],
    out: Path,
    train: Callable[[Job], Mapping[str, NDArray[Any]]],
    settings: dict[str, Any],
    *,
    quiet: bool = True,
) -> tuple[int, int]:
    """Run the jobs whose predictions are not there yet.

    Parameters
    ----------
    train
        Trains a job and gives the arrays of its file; ``"test"`` holds probabilities (test patients, 3).
    settings
        What every file must agree on; a folder with others is refused.

    Returns
    -------
    (run now, found there).
    """
    claim_folder(out, settings)
    done = 0
    for job in track(jobs, "training", disable=quiet, console=Console(stderr=True)):
        path = out / f"{job.key}.npz"
        if path.exists():
            continue
        arrays = train(job)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(file, job=np.array(json.dumps(asdict(job))), **arrays)  # type: ignore[arg-type]
        part.replace(path)
        done += 1
    return done, len(jobs) - done


def read_jobs(jobs: Sequence[Job], out: Path) -> list[dict[str, NDArray[Any]]]:
    """Read every job's arrays; InputError names the first that is missing."""
    found = []
    for job in jobs:
        path = out / f"{job.key}.npz"
        if not path.is_file():
            raise InputError(f"The job {job.key} has not run; run the study again into the same folder.")
        with np.load(path, allow_pickle=False) as stored:
            found.append({name: stored[name] for name in stored.files})
    return found


@dataclass(eq=False)
class _Trainer:
    """Trains jobs one after the other; keeps the inputs of the last network, which its jobs share."""

    scale: Scale
    cohort: StudyCohort
    roles: Roles
    out: Path
    seed: int
    _kept: dict[tuple[str, str], Inputs] = field(default_factory=dict)

    def __call__(self, job: Job) -> dict[str, NDArray[Any]]:
        started = time.perf_counter()
        cases, roles = self.cohort.cases, self.roles
        pseudo = None
        if job.strategy in ("5", "6") and job.needs:
            pseudo = pseudo_labels(read_jobs([job.needs], self.out)[0]["expert"])
        start = load_file(self._weights(job.needs)) if job.strategy == "4" and job.needs else None
        train, validation = training_rows(job.strategy, roles, cases.ica, cases.expert, pseudo)
        seed = int.from_bytes(hashlib.sha256(f"{self.seed} {job.key}".encode()).digest()[:4], "big")
        data = self._inputs(job)
        net = self._network(job, seed)
        went = fit_polar(
            net, data, train, validation, self.scale.rules, augmented=job.augmented, seed=seed, start=start
        )
        if job.strategy == "task 1":
            path = self._weights(job)
            path.parent.mkdir(exist_ok=True)
            save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path)
        asked = {
            "test": roles.test,
            "validation": roles.ica_validation,
            "expert": roles.expert,
            "fresh": self.cohort.fresh,
        }
        return {name: predict_polar(net, data, rows) for name, rows in asked.items()} | {
            "accuracy": np.asarray(went.accuracy),
            "chosen_epoch": np.asarray(went.chosen_epoch),
            "stopped": np.asarray(went.stopped),
            "seconds": np.asarray(time.perf_counter() - started),
        }

    def _weights(self, job: Job) -> Path:
        return self.out / "weights" / f"{job.key}.safetensors"

    def _network(self, job: Job, seed: int) -> PolarFusion:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            fusion = _fusion(job)
            if job.network in self.scale.frozen:
                return PolarFusion(torch.nn.Identity(), EfficientNetLite0.features, fusion)
            return build_polar_fusion(job.network, fusion, input_size=self.scale.side, width=self.scale.width)

    def _inputs(self, job: Job) -> Inputs:
        frozen = job.network in self.scale.frozen
        key = (job.network, job.fusion) if frozen else ("", "")
        if key not in self._kept:
            pictures = self.cohort.pictures(self.scale.side)
            clinical = scale_clinical(self.cohort.cases.clinical, self.roles.ica_train)
            versions = pictures[None]
            if frozen:
                turn = self.scale.rules.turn_deg
                versions = frozen_features(
                    EfficientNetLite0("imagenet"),
                    self.cohort.pictures(self.scale.frozen_side),
                    _fusion(job),
                    degrees=(0.0, -turn, -0.5 * turn, 0.5 * turn, turn),
                    size=self.scale.frozen_side,
                    input_range=EfficientNetLite0.input_range,
                )
            self._kept = {k: v for k, v in self._kept.items() if k == ("", "")} | {key: Inputs(versions, clinical)}
        return self._kept[key]


def _fusion(job: Job) -> FusionInput:
    for known in INPUTS:
        if known == job.fusion:
            return known
    raise InputError(f"Unknown input {job.fusion!r}; known are {', '.join(INPUTS)}.")


def _grouped(jobs: Sequence[Job], frozen: Sequence[str]) -> list[Job]:
    """Put jobs of one frozen network and input together, so that its features are computed once."""
    return sorted(jobs, key=lambda job: (job.network, job.fusion) if job.network in frozen else ("", ""))


def run(scale: str, out: Path, seed: int = 0, *, quiet: bool = False) -> list[dict[str, Any]]:
    """Draw the cohort, run the jobs that have not run yet, and write the tables.

    Parameters
    ----------
    scale
        smoke, small or full.
    out
        Folder; one that holds jobs of the same settings is gone on with.

    Returns
    -------
    One row a model.
    """
    from myoperf.research.label_strategies.tables import write_tables

    if scale not in SCALES:
        raise InputError(f"Unknown scale {scale!r}; known are {', '.join(SCALES)}.")
    chosen = SCALES[scale]
    settings = {"myoperf": __version__, "study": "label-strategies", "scale": scale, "seed": seed}
    settings |= json.loads(json.dumps({"plan": asdict(chosen)}))
    claim_folder(out / "jobs", settings)
    cohort = draw_cohort(chosen.cohort, seed, out / "cohort", quiet=quiet)
    size = chosen.cohort
    roles = assign_roles(cohort.cases.ica[: size.train + size.validation + size.test], size, seed)
    jobs = list_jobs(chosen.networks, chosen.inputs, STRATEGIES, chosen.augmented)
    trainer = _Trainer(chosen, cohort, roles, out / "jobs", seed)
    run_jobs(_grouped(jobs, chosen.frozen), out / "jobs", trainer, settings, quiet=quiet)
    return write_tables(out, jobs, read_jobs(jobs, out / "jobs"), cohort, roles, seed=seed)
