"""The study of Hajianfar et al. 2025 on simulated patients: ``myoperf study label-strategies``.

The grid is a list of 728 jobs (13 networks, 4 inputs, with and without augmentation, task 1 and six strategies of
task 2). The predictions of each job are a file, so an interrupted run resumes where it stopped.
"""

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from myoperf import __version__
from myoperf.errors import AnalysisError, InputError, MissingWeightsError
from myoperf.pipeline.device import resolve_device
from myoperf.pipeline.engines import Engine, LocalEngine, ThisProcess
from myoperf.pipeline.jobs import claim_folder, run_jobs
from myoperf.research.backbones.efficientnet_lite0 import LITE0, EfficientNetLite0
from myoperf.research.label_strategies.cohort import CohortSize, StudyCohort, draw_cohort
from myoperf.research.label_strategies.grid import STRATEGIES, Job, list_jobs, with_needs
from myoperf.research.label_strategies.own_cohort import read_own_cohort
from myoperf.research.label_strategies.polar_fusion import (
    INPUTS,
    NETWORKS,
    FusionInput,
    PolarFusion,
    build_polar_fusion,
)
from myoperf.research.label_strategies.roles import (
    Roles,
    assign_roles,
    available_strategies,
    pseudo_labels,
    training_rows,
)
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
from myoperf.research.training.options import RunOptions, choose_names
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.seeds import seeded
from myoperf.research.training.tables import require_finished
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

    @property
    def read_side(self) -> int:
        """Rows and columns that one's own maps are read at, before they are made as small as a network takes them."""
        return max(self.side, self.frozen_side if self.frozen else 0)


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
    device
        That networks are trained on.
    keep
        Keys of jobs whose weights are kept, besides those of task 1, which strategy 4 starts from.
    """

    recipe: Recipe
    cohort: StudyCohort
    roles: Roles
    folder: Path
    seed: int
    device: str = "cpu"
    keep: frozenset[str] = frozenset()
    _kept: dict[tuple[str, str], Inputs] = field(default_factory=dict)

    def __call__(self, job: Job, path: Path) -> None:
        """Train a job's network and write its probabilities, (patients, 3) a part, and how the training went."""
        started = time.perf_counter()
        cohort, roles = self.cohort, self.roles
        seed = int.from_bytes(hashlib.sha256(f"{self.seed} {job.key}".encode()).digest()[:4], "big")
        data, net = self.inputs(job), self.network(job, seed)
        pseudo = None
        if job.needs and job.strategy == "4":
            load_weights(self.weights_file(job.needs), net)
        elif job.needs:
            pseudo = pseudo_labels(load_arrays(job_file(self.folder, job.needs))["expert"])
        train, validation = training_rows(job.strategy, roles, cohort.ica, cohort.expert, pseudo)
        fitted = fit_polar(net, data, train, validation, self.recipe.rules, augmented=job.augmented, seed=seed)
        if job.strategy == "task 1" or job.key in self.keep:
            save_weights(self.weights_file(job), net)
        parts = {
            "test": roles.test,
            "validation": roles.ica_validation,
            "expert": roles.expert,
            "fresh": self.cohort.fresh,
        }
        arrays: dict[str, Any] = {name: predict_polar(net, data, rows) for name, rows in parts.items()}
        arrays |= {k: np.asarray(v) for k, v in asdict(fitted).items()}
        steps = len(fitted.accuracy) * math.ceil(len(train.rows) / self.recipe.rules.batch)
        arrays |= {"trained": np.asarray(len(train.rows)), "steps": np.asarray(steps)}
        arrays |= {"job": np.array(json.dumps(asdict(job))), "seconds": np.asarray(time.perf_counter() - started)}
        save_arrays(path, arrays)

    def weights_file(self, job: Job) -> Path:
        """Return the file of a job's weights."""
        return self.folder / "weights" / f"{job.key}.safetensors"

    def network(self, job: Job, seed: int) -> PolarFusion:
        """Build a job's network with random weights from a seed."""
        with seeded(seed):
            if job.network in self.recipe.frozen:
                return PolarFusion(torch.nn.Identity(), EfficientNetLite0.features, job.fusion).to(self.device)
            side, width = self.recipe.side, self.recipe.width
            return build_polar_fusion(job.network, job.fusion, input_size=side, width=width, device=self.device)

    def inputs(self, job: Job) -> Inputs:
        """Return the pictures, which all networks share, or the features of a frozen network and input."""
        key = (job.network, job.fusion) if job.network in self.recipe.frozen else ("", "")
        if key not in self._kept:
            versions = self._features(job.fusion) if key[0] else self.cohort.pictures(self.recipe.side)[None]
            clinical = scale_clinical(self.cohort.clinical, self.roles.ica_train)
            inputs = Inputs(versions.to(self.device), clinical.to(self.device))
            self._kept = {k: v for k, v in self._kept.items() if k == ("", "")} | {key: inputs}
        return self._kept[key]

    def _features(self, fusion: FusionInput) -> torch.Tensor:
        side, turn = self.recipe.frozen_side, self.recipe.rules.turn_deg
        pictures = self.cohort.pictures(side).to(self.device)
        degrees = (0.0, -turn, -0.5 * turn, 0.5 * turn, turn)
        return frozen_features(frozen_network(fusion, side).to(self.device), pictures, degrees=degrees)


def frozen_network(fusion: FusionInput, side: int) -> PolarFusion:
    """Return the network whose frozen ImageNet backbone gives the features that its head is trained on."""
    backbone = ImageNetInput(EfficientNetLite0("imagenet"), size=side, input_range=EfficientNetLite0.input_range)
    return PolarFusion(backbone, EfficientNetLite0.features, fusion)


def job_file(folder: Path, job: Job) -> Path:
    """Return the file of a job's result."""
    return folder / f"{job.key}.npz"


@dataclass(frozen=True, eq=False, kw_only=True)
class Patients:
    """The cohort of a run with everybody's part in it.

    Attributes
    ----------
    settings
        What must match for a run to resume on them.
    about
        What tables and manifest say of them.
    """

    cohort: StudyCohort
    roles: Roles
    settings: Mapping[str, Any]
    about: Mapping[str, Any]


def find_patients(recipe: Recipe, out: Path, seed: int, options: RunOptions) -> Patients:
    """Read the user's own patients, or draw the recipe's."""
    if options.data is not None:
        own = read_own_cohort(options.data, side=recipe.read_side, scale=options.colour_scale)
        about = {"data": "patients given with --data", "data_sha256": own.sha256, "refused": len(own.refused)}
        settings: dict[str, Any] = {"data_sha256": own.sha256, **options.reading()}
        roles = own.roles(seed)
        out.mkdir(parents=True, exist_ok=True)
        own.refused.to_csv(out / "refused.csv", index=False)
        return Patients(cohort=own.cohort, roles=roles, settings=settings, about=about)
    cohort = draw_cohort(recipe.cohort, seed, out / "cohort", quiet=options.quiet)
    roles = assign_roles(cohort.ica[: recipe.cohort.angiography], recipe.cohort, seed)
    return Patients(cohort=cohort, roles=roles, settings={}, about={"data": "simulated patients"})


def choose_recipe(scale: str, options: RunOptions) -> Recipe:
    """Return the recipe of a scale with the networks, inputs and epochs that the user chose."""
    recipe = pick_recipe(RECIPES, scale)
    networks = choose_names("--networks", options.networks, (*NETWORKS, LITE0), recipe.networks)
    inputs = choose_names("--inputs", options.inputs, INPUTS, recipe.inputs)
    recipe = replace(recipe, networks=networks, inputs=tuple(name for name in INPUTS if name in inputs))
    if LITE0 in networks:
        recipe = replace(recipe, frozen=(LITE0,))
    if options.epochs is not None:
        recipe = replace(recipe, rules=replace(recipe.rules, epochs=options.epochs))
    return recipe


def choose_jobs(recipe: Recipe, patients: Patients, options: RunOptions) -> tuple[Job, ...]:
    """Return the jobs that the user chose and the patients allow, with those that they build on."""
    known = available_strategies(patients.roles)
    wanted = [name.replace("-", " ") for name in options.strategies]
    strategies = with_needs(choose_names("--strategies", wanted, STRATEGIES, known))
    lacking = [name for name in strategies if name not in known]
    if lacking:
        raise InputError(f"Strategy {lacking[0]} needs patients that an expert alone read; the table has none.")
    inputs = recipe.inputs if patients.cohort.rest is not None else ("stress",)
    blind = [name for name in options.inputs if name not in inputs]
    if blind:
        raise InputError(f"The input {blind[0]} needs a rest map of every patient; the table has stress maps alone.")
    return list_jobs(recipe.networks, inputs, strategies, recipe.augmented)


def find_missing(recipe: Recipe, jobs: Sequence[Job]) -> dict[Job, str]:
    """Return the jobs whose ImageNet weights are not on this machine, with the reason."""
    frozen = [job for job in jobs if job.network in recipe.frozen]
    if frozen:
        try:
            EfficientNetLite0("imagenet")
        except MissingWeightsError as error:
            return dict.fromkeys(frozen, str(error))
    return {}


def run_trainings(trainer: JobTrainer, jobs: Sequence[Job], *, quiet: bool, workers: int = 1) -> None:
    """Run the jobs that have not run yet, those that others build on first.

    Raises
    ------
    AnalysisError
        When a training ended early.
    """
    frozen = trainer.recipe.frozen
    # Jobs of one frozen network and input run together, so that its features are computed once.
    ordered = sorted(jobs, key=lambda job: (job.network, job.fusion) if job.network in frozen else ("", ""))
    engine: Engine = LocalEngine(workers=workers, memory_mb=math.inf) if workers > 1 else ThisProcess()
    for rank in sorted({job.rank for job in jobs}):
        files = {job_file(trainer.folder, job): job for job in ordered if job.rank == rank}
        outcome = run_jobs(files, trainer, engine=engine, title="training", quiet=quiet)
        if outcome.failed:
            raise AnalysisError(f"{len(outcome.failed)} trainings ended early: {next(iter(outcome.failed.values()))}.")


def run(
    scale: str, out: Path, seed: int = 0, *, options: RunOptions | None = None, workers: int = 1
) -> list[dict[str, Any]]:
    """Draw or read the cohort, run the jobs that have not run yet, and write the tables.

    Parameters
    ----------
    scale
        A key of `RECIPES`.
    out
        Folder; a run of the same settings that stopped there is resumed, and may train other networks.
    options
        `data`: see `myoperf.research.label_strategies.own_cohort.read_own_cohort`.
    workers
        Processes that train networks at the same time, with one thread each.

    Returns
    -------
    One row a model.
    """
    options = options or RunOptions()
    recipe, folder = choose_recipe(scale, options), out / "jobs"
    patients = find_patients(recipe, out, seed, options)
    settings = {"myoperf": __version__, "study": "label-strategies", "scale": scale, "seed": seed}
    plan = {name: value for name, value in asdict(recipe).items() if name not in ("networks", "inputs", "frozen")}
    claim_folder(folder, settings | {"plan": plan} | dict(patients.settings))
    jobs = choose_jobs(recipe, patients, options)
    device = resolve_device(options.device).type
    trainer = JobTrainer(recipe, patients.cohort, patients.roles, folder, seed, device)
    missing = find_missing(recipe, jobs)
    files = {job: job_file(folder, job) for job in jobs}
    run_trainings(trainer, [job for job in jobs if job not in missing], quiet=options.quiet, workers=workers)
    require_finished(out, {files[job]: reason for job, reason in missing.items()}, list(files.values()))
    results = {job: load_arrays(file) for job, file in files.items() if file.exists()}
    about = {**patients.about, "scale": scale}
    return write_tables(
        out, list(results), list(results.values()), patients.cohort, patients.roles, seed=seed, about=about
    )
