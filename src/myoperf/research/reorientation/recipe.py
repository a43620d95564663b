"""``myoperf train reorientation``: one network of Ni et al. 2023, kept as a model to apply."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.phantom.records import SIMULATOR_VERSION
from myoperf.pipeline.jobs import claim_folder
from myoperf.research.reorientation.evaluation import evaluate_network
from myoperf.research.reorientation.ms_st_unet import MSUNET
from myoperf.research.reorientation.networks import LV_NETWORKS
from myoperf.research.reorientation.prediction import NAME
from myoperf.research.reorientation.study import choose_recipe, find_volumes, require_fields, train_by_recipe
from myoperf.research.reorientation.tables import CALIBRATION, OURS, summarise
from myoperf.research.training.options import RunOptions, choose_names
from myoperf.research.training.weights import save_model


def run(scale: str, out: Path, seed: int, *, options: RunOptions) -> None:
    """Train one network on volumes of every modality together, measure it on held-out patients, write it with a card.

    Parameters
    ----------
    scale
        A key of `myoperf.research.reorientation.study.RECIPES`.
    out
        Gets ``model.safetensors``, ``card.json``, ``held_out.csv`` (a row a volume) and ``training.state``, which a run
        that resumes continues.
    options
        The first of `networks` is trained; MS-ST-UNet by default. `data`: see
        `myoperf.research.reorientation.own_cases.read_own_cases`; without it the recipe's simulated SPECT volumes.
        `epochs`: iterations. `as_written`: see `RunOptions`; all volumes are then of one modality, whose field of view
        the model keeps.

    Raises
    ------
    InputError
        For data or names that cannot be used, or a folder of another training.
    """
    recipe, name = choose_recipe(scale, options), choose_names("--networks", options.networks, LV_NETWORKS, (OURS,))[0]
    volumes = find_volumes(recipe, out, seed, options)
    kinds = volumes.kinds if options.data is not None else volumes.kinds[:1]
    require_fields(recipe, kinds)
    if recipe.fields and len(kinds) > 1:
        raise InputError("--as-written trains a model of one modality: SPECT and PET have fields of their own.")
    field = recipe.field_of(kinds[0])
    settings = {"train": "reorientation", "network": name, "scale": scale, "seed": seed, "size": recipe.size}
    claim_folder(out / "jobs", settings | {"recipe": asdict(recipe.schedule)} | dict(volumes.settings))
    training, testing = ([case for kind in kinds for case in volumes.of(part, kind)] for part in ("train", "test"))
    state = out / "training.state"
    net = train_by_recipe(name, training, recipe, kind=kinds[0], seed=seed, options=options, checkpoint=state)
    held_out = pd.DataFrame(evaluate_network(net, testing, field, given_pose=name == MSUNET))
    held_out.to_csv(out / "held_out.csv", index=False)
    measured, simulated = summarise(held_out).replace({np.nan: None}), options.data is None
    calibrated = measured["measure"].str.endswith(CALIBRATION)
    balance = {
        label: float(np.mean([(case.labels.array == value).mean() for case in training]))
        for label, value in (("wall", 1), ("pool", 2))
    }
    card = {
        "name": NAME,
        "version": __version__,
        "task": "pose of the left ventricle; labels 1 myocardium, 2 blood pool",
        "input": f"transaxial volume, {field.side}^3 voxels of {field.voxel_mm:g} mm around its middle, "
        "divided by the 99th percentile of its middle ball",
        "training_data": f"simulated patients only (simulator version {SIMULATOR_VERSION})"
        if simulated
        else "volumes given with --data",
        "data_sha256": volumes.settings.get("data_sha256"),
        "poses": volumes.settings.get("poses"),
        "build": {"network": name, "size": recipe.size, "field": asdict(field)},
        "schedule": asdict(recipe.schedule),
        "patients": {
            "training": len({case.patient for case in training}),
            "held_out": len({case.patient for case in testing}),
        },
        "modalities": list(kinds),
        "class_balance": balance,
        "calibration": measured[calibrated].to_dict("records") or None,
        "held_out": measured[~calibrated].to_dict("records"),
        "scale": scale,
        "seed": seed,
        "command": f"myoperf train reorientation --scale {scale} --seed {seed} --networks {name}"
        + (" --as-written" if options.as_written else "")
        + ("" if simulated else " --data TABLE"),
        "licence": "Apache-2.0",
        "intended_use": "research only; not shipped and not used by analyze",
    }
    save_model(out, net.to("cpu"), card)
    state.unlink(missing_ok=True)
