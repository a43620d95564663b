"""``myoperf train transfer``: one network of Hai et al. 2022, trained by one strategy and kept as a model to apply."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from myoperf import __version__
from myoperf.phantom.records import SIMULATOR_VERSION
from myoperf.pipeline.jobs import claim_folder
from myoperf.research.training.options import RunOptions
from myoperf.research.training.predictions import describe_held_out
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.transfer_learning.networks import NAME, save_classifier
from myoperf.research.transfer_learning.recipes import RECIPES, choose_runs
from myoperf.research.transfer_learning.study import Trainings, make_trainings, settings_of
from myoperf.research.transfer_learning.training import Classifier, predict


def run(scale: str, out: Path, seed: int, *, options: RunOptions) -> None:
    """Train one network, measure it on held-out patients, write weights and card.

    Parameters
    ----------
    scale
        A key of `RECIPES`.
    out
        Gets ``model.safetensors``, ``card.json``, ``held_out.csv`` (probabilities of the held-out patients, for
        ``myoperf evaluate``), and ``jobs/`` with the pictures and, where the recipe tunes, the head's tuning, which a
        run that resumes does not make again.
    options
        The first of `networks` and the last of `strategies` are trained; by default the recipe's first network by both
        stages (6). `data` is as `myoperf.research.screenshots.labelled_maps.find_maps` explains.

    Raises
    ------
    InputError, MissingWeightsError
        For data, weights or names that cannot be used.
    """
    recipe = choose_runs(pick_recipe(RECIPES, scale), options)
    first = recipe.runs[0]
    number = first.strategies[-1]
    recipe = replace(recipe, runs=(replace(first, strategies=(number,)),))
    trainings, maps = make_trainings(recipe, out, seed, options)
    settings = {"train": "transfer", "myoperf": __version__, "scale": scale, "seed": seed}
    claim_folder(out / "jobs", settings | settings_of(recipe, maps, options))
    trainings.tune_heads(quiet=options.quiet)
    model, fitted = trainings.fit(first, number)
    held_out = _predict_held_out(trainings, first.network, model)
    held_out.to_csv(out / "held_out.csv", index=False)
    data = trainings.data(first.network)
    parts = [part for part in data.parts if part != "fresh"]
    card = {
        "version": __version__,
        "task": "obstructive coronary disease per patient" if maps is None else "the class given with --data",
        "input": "stress polar map as it was painted, text removed"
        if options.colours
        else "stress polar map as a grey disc, by its own maximum, repeated to three channels",
        "training_data": f"simulated patients only (simulator version {SIMULATOR_VERSION})"
        if maps is None
        else "stress maps given with --data",
        "data_sha256": None if maps is None else maps.fingerprint,
        "strategy": number,
        "start": first.start,
        "schedule": asdict(trainings.schedule(first)),
        "patients": {part: len(data.names(part)) for part in parts},
        "class_balance": {part: float(np.mean(data.truth(part))) for part in parts},
        "chosen_epoch": fitted.chosen_epoch,
        "held_out": describe_held_out(held_out["truth"], held_out[NAME], seed=seed),
        "scale": scale,
        "seed": seed,
        "command": f"myoperf train transfer --scale {scale} --seed {seed} --networks {first.network} "
        f"--strategies {number}" + ("" if maps is None else " --data DATA"),
        "licence": "Apache-2.0",
        "intended_use": "research only; not shipped and not used by analyze",
    }
    save_classifier(
        out,
        model,
        card,
        network=first.network,
        shape=data.discs.shape[1:],
        schedule=trainings.schedule(first),
    )


def _predict_held_out(trainings: Trainings, network: str, model: Classifier) -> pd.DataFrame:
    """Return the probabilities of the test part, a row a patient."""
    data = trainings.data(network)
    probability = predict(model, trainings.pictures(data, "test", network).inputs[0]).cpu().double().numpy()
    values = data.by_patient("test", probability)
    return pd.DataFrame({"patient": data.names("test"), "truth": data.truth("test"), NAME: values})
