"""``myoperf train label-strategies``: one network of Hajianfar et al. 2025, kept as a model to apply."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from myoperf import __version__
from myoperf.phantom.records import SIMULATOR_VERSION
from myoperf.pipeline.device import resolve_device
from myoperf.pipeline.jobs import claim_folder
from myoperf.research.label_strategies.figures import draw_saliency
from myoperf.research.label_strategies.grid import Job
from myoperf.research.label_strategies.prediction import NAME, vessel_rows
from myoperf.research.label_strategies.study import (
    JobTrainer,
    Patients,
    Recipe,
    choose_jobs,
    choose_recipe,
    find_missing,
    find_patients,
    job_file,
    run_trainings,
)
from myoperf.research.label_strategies.training import clinical_scale, saliency
from myoperf.research.training.arrays import load_arrays
from myoperf.research.training.options import RunOptions
from myoperf.research.training.predictions import describe_held_out
from myoperf.research.training.tables import require_finished
from myoperf.research.training.weights import load_weights, save_model
from myoperf.types import VESSELS


def run(scale: str, out: Path, seed: int, *, options: RunOptions) -> None:
    """Train one network by one strategy (and what it builds on), measure it on held-out patients, write it with a card.

    Parameters
    ----------
    scale
        A key of `myoperf.research.label_strategies.study.RECIPES`.
    out
        Gets ``model.safetensors``, ``card.json``, ``held_out.csv`` (for ``myoperf evaluate``), ``saliency.png`` and
        ``jobs/``, the finished trainings, which a run that resumes does not make again.
    options
        The first of `networks`, the first of `inputs` and the last of `strategies` are trained, with rotations; by
        default the recipe's first network on both maps (early fusion; the stress map where rest is not known), by
        strategy 1.

    Raises
    ------
    InputError, MissingWeightsError
        For data, names or weights that cannot be used.
    """
    recipe = choose_recipe(scale, options)
    patients = find_patients(recipe, out, seed, options)
    fusions = options.inputs or (("early",) if patients.cohort.rest is not None else ("stress",))
    recipe = choose_recipe(scale, replace(options, inputs=fusions[:1]))
    recipe = replace(recipe, networks=recipe.networks[:1], augmented=(True,))
    wanted = options.strategies[-1:] or ("1",)
    jobs = choose_jobs(recipe, patients, replace(options, strategies=wanted))
    job = next(job for job in jobs if job.strategy == wanted[0].lower().replace("-", " "))
    missing = find_missing(recipe, jobs)
    require_finished(out, {job_file(out / "jobs", j): why for j, why in missing.items()}, [])
    settings = {"train": "label-strategies", "myoperf": __version__, "scale": scale, "seed": seed}
    claim_folder(out / "jobs", settings | {"plan": asdict(recipe)} | dict(patients.settings))
    trainer = JobTrainer(
        recipe=recipe,
        cohort=patients.cohort,
        roles=patients.roles,
        folder=out / "jobs",
        seed=seed,
        device=resolve_device(options.device).type,
        keep=frozenset({job.key}),
    )
    run_trainings(trainer, jobs, quiet=options.quiet)
    held_out = _held_out(job, patients, out)
    held_out.to_csv(out / "held_out.csv", index=False)
    _draw_saliency(trainer, job, out)
    card = _describe(job, recipe, patients, held_out, seed) | {
        "scale": scale,
        "seed": seed,
        "command": f"myoperf train label-strategies --scale {scale} --seed {seed} --networks {job.network} "
        f"--inputs {job.fusion} --strategies {job.strategy.replace(' ', '-')}"
        + ("" if options.data is None else " --data TABLE"),
    }
    save_model(out, load_file(trainer.weights_file(job)), card)


def _held_out(job: Job, patients: Patients, out: Path) -> pd.DataFrame:
    """Return the test patients' probabilities, a row a vessel; rows whose truth is not known are left out."""
    cohort, test = patients.cohort, patients.roles.test
    truth = (cohort.expert if job.strategy == "task 1" else cohort.ica)[test]
    rows = vessel_rows(cohort.names[test], truth, load_arrays(job_file(out / "jobs", job))["test"])
    return rows[rows["truth"].notna()].reset_index(drop=True)


def _draw_saliency(trainer: JobTrainer, job: Job, out: Path) -> None:
    """Draw the saliency maps of two diseased and two healthy test patients as ``saliency.png``; none if frozen."""
    data = trainer.inputs(job)
    if not data.are_pictures:
        return
    net = trainer.network(job, trainer.seed)
    load_weights(trainer.weights_file(job), net)
    test, diseased = trainer.roles.test, trainer.cohort.ica[trainer.roles.test].max(axis=1)
    rows = np.concatenate([test[diseased == label][:2] for label in (1, 0)])
    titles = ["diseased artery" if trainer.cohort.ica[row].max() else "none diseased" for row in rows]
    stress = data.versions[0, torch.from_numpy(rows).to(data.versions.device), 0].cpu().numpy()
    draw_saliency(stress, saliency(net, data, rows), titles).savefig(out / "saliency.png", dpi=150)


def _describe(job: Job, recipe: Recipe, patients: Patients, held_out: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the card without what the command says."""
    cohort, roles, simulated = patients.cohort, patients.roles, "data_sha256" not in patients.about
    scale = clinical_scale(cohort.clinical, roles.ica_train)
    labels = {"ica_train": cohort.ica, "ica_validation": cohort.ica, "test": cohort.ica, "expert": cohort.expert}
    parts: Mapping[str, Any] = {name: getattr(roles, name) for name in labels}
    balance = {
        name: {vessel: float(np.mean(labels[name][rows, i])) for i, vessel in enumerate(VESSELS)}
        for name, rows in parts.items()
        if len(rows)
    }
    known = len(held_out) > 0
    return {
        "name": NAME,
        "version": __version__,
        "task": "the expert's call of each artery"
        if job.strategy == "task 1"
        else "diseased by angiography, per artery",
        "input": "stress and rest polar maps as grey discs, each by its own maximum; sex, age, height, weight",
        "training_data": f"simulated patients only (simulator version {SIMULATOR_VERSION})"
        if simulated
        else "patients given with --data",
        "data_sha256": patients.about.get("data_sha256"),
        "build": {
            "network": job.network,
            "fusion": job.fusion,
            "frozen": job.network in recipe.frozen,
            "side": recipe.frozen_side if job.network in recipe.frozen else recipe.side,
            "read_side": recipe.read_side,
            "width": recipe.width,
            "clinical_mean": scale[0].tolist(),
            "clinical_sd": scale[1].tolist(),
        },
        "strategy": job.strategy,
        "schedule": asdict(recipe.rules),
        "patients": {name: len(rows) for name, rows in parts.items()},
        "class_balance": balance,
        "held_out": describe_held_out(
            held_out["truth"].astype(int), held_out[NAME], seed=seed, patient=held_out["patient"]
        )
        if known
        else None,
        "licence": "Apache-2.0",
        "intended_use": "research only; not shipped and not used by analyze",
    }
