"""The study of Hajianfar et al. 2025 on simulated patients: ``myoperf study label-strategies``.

The grid is a list of 728 jobs (13 networks, 4 inputs, with and without augmentation, task 1 and six strategies of
task 2). The predictions of each job are a file, so an interrupted run resumes where it stopped.
"""

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from myoperf import __version__
from myoperf.errors import AnalysisError
from myoperf.pipeline.engines import Engine, LocalEngine, ThisProcess
from myoperf.pipeline.jobs import claim_folder, run_jobs
from myoperf.research.backbones.efficientnet_lite0 import LITE0, EfficientNetLite0
from myoperf.research.label_strategies.cohort import CohortSize, StudyCohort, draw_cohort
from myoperf.research.label_strategies.grid import STRATEGIES, Job, list_jobs
from myoperf.research.label_strategies.polar_fusion import (
    INPUTS,
    NETWORKS,
    FusionInput,
    PolarFusion,
    build_polar_fusion,
)
from myoperf.research.label_strategies.roles import Roles, assign_roles, pseudo_labels, training_rows
from myoperf.research.label_strategies.tables import write_tables
from myoperf.research.label_strategies.training import (
    ImageNetInput,
    Inputs,
    Schedule,
    fit_polar,
    frozen_features,
    predict_polar,
    scale_clinical,
)
from myoperf.research.training.arrays import load_arrays, save_arrays
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.seeds import seeded
from myoperf.research.training.weights import load_weights, save_weights


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a run.

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
    rules: Schedule
    side: int
    width: int = 32
    inputs: tuple[FusionInput, ...] = INPUTS
    augmented: tuple[bool, ...] = (False, True)
    frozen: tuple[str, ...] = ()
    frozen_side: int = 96


_PAPER_SIZE = CohortSize(train=141, validation=40, test=100, expert=659, fresh=200)
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "smoke": Recipe(
            cohort=CohortSize(train=16, validation=8, test=16, expert=24, fresh=8, imaged=False),
            networks=("CNN1",),
            rules=Schedule(epochs=2, batch=8, patience=1),
            side=32,
            inputs=("stress", "late"),
        ),
        "small": Recipe(
            cohort=_PAPER_SIZE,
            networks=("CNN1", "CNN2", LITE0),
            rules=Schedule(epochs=10, batch=32, patience=2),
            side=32,
            width=4,
            frozen=(LITE0,),
            frozen_side=64,
        ),
        "full": Recipe(cohort=_PAPER_SIZE, networks=NETWORKS, rules=Schedule(), side=290),
    }
)
"""Small: the whole cohort and all strategies, three small networks, fewer epochs and larger batches. EfficientNet-Lite0
is not among the paper's thirteen: it is the one network whose ImageNet weights an installable package carries."""


@dataclass(eq=False)
class JobTrainer:
    """Trains one job after the other; keeps the inputs of the last network, which its jobs share.

    Attributes
    ----------
    folder
        Of the jobs' files.
    """

    recipe: Recipe
    cohort: StudyCohort
    roles: Roles
    folder: Path
    seed: int
    _kept: dict[tuple[str, str], Inputs] = field(default_factory=dict)

    def __call__(self, job: Job, path: Path) -> None:
        """Train a job's network and write its probabilities, (patients, 3) a part, and how the training went."""
        started = time.perf_counter()
        cases, roles = self.cohort.cases, self.roles
        seed = int.from_bytes(hashlib.sha256(f"{self.seed} {job.key}".encode()).digest()[:4], "big")
        data, net = self._inputs(job), self._network(job, seed)
        pseudo = None
        if job.needs and job.strategy == "4":
            load_weights(self._weights(job.needs), net)
        elif job.needs:
            pseudo = pseudo_labels(load_arrays(job_file(self.folder, job.needs))["expert"])
        train, validation = training_rows(job.strategy, roles, cases.ica, cases.expert, pseudo)
        fitted = fit_polar(net, data, train, validation, self.recipe.rules, augmented=job.augmented, seed=seed)
        if job.strategy == "task 1":
            save_weights(self._weights(job), net)
        parts = {
            "test": roles.test,
            "validation": roles.ica_validation,
            "expert": roles.expert,
            "fresh": self.cohort.fresh,
        }
        arrays: dict[str, Any] = {name: predict_polar(net, data, rows) for name, rows in parts.items()}
        arrays |= {k: np.asarray(v) for k, v in asdict(fitted).items()}
        arrays |= {"job": np.array(json.dumps(asdict(job))), "seconds": np.asarray(time.perf_counter() - started)}
        save_arrays(path, arrays)

    def _weights(self, job: Job) -> Path:
        return self.folder / "weights" / f"{job.key}.safetensors"

    def _network(self, job: Job, seed: int) -> PolarFusion:
        with seeded(seed):
            if job.network in self.recipe.frozen:
                return PolarFusion(torch.nn.Identity(), EfficientNetLite0.features, job.fusion)
            return build_polar_fusion(job.network, job.fusion, input_size=self.recipe.side, width=self.recipe.width)

    def _inputs(self, job: Job) -> Inputs:
        """Return the pictures, which all networks share, or the features of a frozen network and input."""
        key = (job.network, job.fusion) if job.network in self.recipe.frozen else ("", "")
        if key not in self._kept:
            versions = self._features(job.fusion) if key[0] else self.cohort.pictures(self.recipe.side)[None]
            inputs = Inputs(versions, scale_clinical(self.cohort.cases.clinical, self.roles.ica_train))
            self._kept = {k: v for k, v in self._kept.items() if k == ("", "")} | {key: inputs}
        return self._kept[key]

    def _features(self, fusion: FusionInput) -> torch.Tensor:
        side, turn = self.recipe.frozen_side, self.recipe.rules.turn_deg
        backbone = ImageNetInput(EfficientNetLite0("imagenet"), size=side, input_range=EfficientNetLite0.input_range)
        net = PolarFusion(backbone, EfficientNetLite0.features, fusion)
        return frozen_features(net, self.cohort.pictures(side), degrees=(0.0, -turn, -0.5 * turn, 0.5 * turn, turn))


def job_file(folder: Path, job: Job) -> Path:
    """Return the file of a job's result."""
    return folder / f"{job.key}.npz"


def run(scale: str, out: Path, seed: int = 0, *, quiet: bool = False, workers: int = 1) -> list[dict[str, Any]]:
    """Draw the cohort, run the jobs that have not run yet, and write the tables.

    Parameters
    ----------
    scale
        A key of `RECIPES`.
    out
        Folder; a run of the same settings that stopped there is resumed.
    workers
        Processes that train networks at the same time, with one thread each.

    Returns
    -------
    One row a model.
    """
    recipe, folder = pick_recipe(RECIPES, scale), out / "jobs"
    settings = {"myoperf": __version__, "study": "label-strategies", "scale": scale, "seed": seed}
    claim_folder(folder, settings | {"plan": asdict(recipe)})
    cohort = draw_cohort(recipe.cohort, seed, out / "cohort", quiet=quiet)
    roles = assign_roles(cohort.cases.ica[: recipe.cohort.angiography], recipe.cohort, seed)
    jobs = list_jobs(recipe.networks, recipe.inputs, STRATEGIES, recipe.augmented)
    # Jobs of one frozen network and input run together, so that its features are computed once.
    ordered = sorted(jobs, key=lambda job: (job.network, job.fusion) if job.network in recipe.frozen else ("", ""))
    trainer = JobTrainer(recipe, cohort, roles, folder, seed)
    engine: Engine = LocalEngine(workers=workers, memory_mb=math.inf) if workers > 1 else ThisProcess()
    for rank in sorted({job.rank for job in jobs}):
        files = {job_file(folder, job): job for job in ordered if job.rank == rank}
        outcome = run_jobs(files, trainer, engine=engine, title="training", quiet=quiet)
        if outcome.failed:
            raise AnalysisError(f"{len(outcome.failed)} trainings ended early: {next(iter(outcome.failed.values()))}.")
    results = [load_arrays(job_file(folder, job)) for job in jobs]
    return write_tables(out, jobs, results, cohort, roles, seed=seed)
