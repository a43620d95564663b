"""``myoperf train slices``: a multi-branch network, and whether it adds to the classifier of polar maps.

It learns from simulated patients (obstructive disease by angiography) or, with ``--data``, from one's own patients or
the public SPECT-MPI set. On simulated patients that nothing was chosen on, its probability, and its mean with the
shipped polar classifier's, are compared with the polar classifier alone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.progress import Progress

from myoperf import __version__
from myoperf.diagnosis.classifier import load_classifier
from myoperf.diagnosis.inputs import clinical_row
from myoperf.errors import InputError
from myoperf.phantom.records import SIMULATOR_VERSION
from myoperf.pipeline.device import resolve_device
from myoperf.pipeline.jobs import claim_folder
from myoperf.research.slice_transformer.arms import ARMS, Arm
from myoperf.research.slice_transformer.cases import SliceCases, collect_cases
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.mit_weights import read_checkpoint
from myoperf.research.slice_transformer.multi_branch import (
    COMPACT_ENCODER,
    PAPER_ENCODER,
    build_multi_branch,
    load_branches,
)
from myoperf.research.slice_transformer.own_cases import read_own_cases
from myoperf.research.slice_transformer.prediction import NAME
from myoperf.research.slice_transformer.tables import compare_with_polar, measure_held_out
from myoperf.research.slice_transformer.training import FitOptions, fit, predict, split_patients
from myoperf.research.training.options import RunOptions, choose_names
from myoperf.research.training.predictions import describe_held_out
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.weights import save_model
from myoperf.types import Float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a run.

    Parameters
    ----------
    patients, test_share
        Simulated patients, and the share of each class that is held out.
    """

    patients: int
    test_share: float
    encoder: MiTConfig
    fit: FitOptions


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "smoke": Recipe(
            patients=12,
            test_share=0.3,
            encoder=COMPACT_ENCODER,
            fit=FitOptions(epochs=1, batch=4, learning_rate=1e-3),
        ),
        "small": Recipe(
            patients=300,
            test_share=0.4,
            encoder=COMPACT_ENCODER,
            fit=FitOptions(epochs=8, batch=16, learning_rate=3e-4, cosine=True),
        ),
        "full": Recipe(patients=2000, test_share=0.2, encoder=PAPER_ENCODER, fit=FitOptions()),
    }
)


def run(scale: str, out: Path, seed: int, *, options: RunOptions) -> None:
    """Train, measure on held-out patients, write weights and card.

    Parameters
    ----------
    scale
        A key of `RECIPES`.
    out
        Gets ``patients/`` (simulated), ``state.pt`` (the training after its last epoch), ``model.safetensors``,
        ``card.json``, ``losses.csv``, ``held_out.csv`` (probabilities of the held-out patients, for ``myoperf
        evaluate``), ``held_out_metrics.csv`` and, of simulated patients, ``versus_polar.csv``; of one's own,
        ``refused.csv``.
    options
        `data`: see `read_own_cases`. Where the table or set has a split, its training part trains and its test part is
        held out; the validation part is left out, as no epoch is chosen. `weights`: a UniMiSS checkpoint, the authors'
        or of ``myoperf train unimiss``, whose student the branches start from; None: random numbers. `networks`: the
        first is trained, see `myoperf.research.slice_transformer.arms.Arm.key`; by default the fused one. `resume`
        continues the training that ``state.pt`` in `out` holds; otherwise it starts from the first epoch. Simulated
        patients in `out` are kept either way.

    Raises
    ------
    InputError
        When the checkpoint is of another encoder than the recipe's, or ``state.pt`` has other settings.
    """
    recipe, weights, arm = pick_recipe(RECIPES, scale), _checkpoint(options), _choose_arm(options)
    loaded = None if weights is None else read_checkpoint(weights)
    start = None if weights is None else hashlib.sha256(weights.read_bytes()).hexdigest()
    recipe = replace(recipe, fit=replace(recipe.fit, epochs=options.epochs or recipe.fit.epochs, frozen=arm.frozen))
    network = build_multi_branch(arm.config(recipe.encoder), seed=seed)
    if loaded is not None:
        load_branches(network, loaded, positions=options.positions)
    out.mkdir(parents=True, exist_ok=True)
    shape = recipe.encoder.volume_shape
    own, cases = None, None
    if options.data is not None:
        own = read_own_cases(options.data, shape, order=options.order, scale=options.colour_scale)
        stacks, truth = own.stacks, own.labels
    else:
        cases = collect_cases(out / "patients", recipe.patients, seed, shape=shape, quiet=options.quiet)
        stacks, truth = cases.stacks.astype(np.float32), cases.ica
    names = np.arange(len(truth)) if own is None else own.patients
    rng = np.random.default_rng([seed, 0])
    given = None if own is None else own.split()
    train, test = given or split_patients(truth.tolist(), share=recipe.test_share, rng=rng)
    settings = {"scale": scale, "positions": options.positions, "data_sha256": None if own is None else own.sha256}
    whole = settings | {"train": "slices", "network": arm.key, "weights": start} | options.reading()
    checkpoint = _checkpoint_for(out, whole, resume=options.resume)
    network.to(resolve_device(options.device))
    with Progress(disable=options.quiet, transient=True) as bar:
        task = bar.add_task("training", total=recipe.fit.epochs)
        losses = fit(
            network,
            stacks[train][:, arm.columns],
            truth[train].tolist(),
            options=recipe.fit,
            seed=seed,
            checkpoint=checkpoint,
            report=lambda epoch, loss: bar.update(task, completed=epoch + 1),
        )
    if own is not None:
        own.refused.to_csv(out / "refused.csv", index=False)
    pd.DataFrame({"epoch": range(len(losses)), "loss": losses}).to_csv(out / "losses.csv", index=False)
    slices = predict(network, stacks[test][:, arm.columns])
    pd.DataFrame({"patient": names[test], "truth": truth[test], NAME: slices}).to_csv(out / "held_out.csv", index=False)
    measured, versus = _measure(truth[test], slices, None if cases is None else cases.take(test), seed, out)
    card = _describe(recipe, arm, simulated=cases is not None, start=start) | settings
    card |= {
        "class_balance": {"training": float(truth[train].mean()), "held_out": float(truth[test].mean())},
        "patients": {"training": len(train), "held_out": len(test)},
        "seed": seed,
        "command": f"myoperf train slices --scale {scale} --seed {seed} --networks {arm.key}" + _words(options),
        "held_out": measured.to_dict("records"),
        "calibration": describe_held_out(truth[test], slices, seed=seed).get("calibration"),
        "versus_polar": None if versus is None else versus.to_dict("records"),
    }
    save_model(out, network, card)


def _checkpoint_for(out: Path, settings: dict[str, object], *, resume: bool) -> Path:
    """Return where a training in `out` keeps its state, removed where it starts anew; `settings` must not change."""
    checkpoint = out / "state.pt"
    if not resume:
        for kept in (checkpoint, out / "jobs" / "settings.json"):
            kept.unlink(missing_ok=True)
    claim_folder(out / "jobs", settings)
    return checkpoint


def _measure(
    truth: NDArray[np.int64], slices: Float, cases: SliceCases | None, seed: int, out: Path
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Measure the held-out probabilities and, of simulated patients, compare them with the polar classifier's."""
    scores, versus = {"slices": slices}, None
    if cases is not None:
        polar = polar_probability(cases)
        scores |= {"polar classifier": polar, "mean of both": 0.5 * (slices + polar)}
        versus = compare_with_polar(truth, slices, polar, seed=seed).assign(other_version=load_classifier().name)
        versus.to_csv(out / "versus_polar.csv", index=False, float_format="%.5g")
    measured = measure_held_out(truth, scores, seed=seed)
    measured.to_csv(out / "held_out_metrics.csv", index=False, float_format="%.5g")
    return measured, versus


def _checkpoint(options: RunOptions) -> Path | None:
    """Return the file of the weights to start from; InputError where positions are to be resized without any."""
    if options.weights in (None, "none"):
        if options.positions != "grid":
            raise InputError("--positions says how the positions of --weights are resized; give a checkpoint too.")
        return None
    return Path(str(options.weights))


def _words(options: RunOptions) -> str:
    """Return the options of the command that say what it learned from, without the user's paths."""
    data = "" if options.data is None else " --data DATA"
    start = "" if _checkpoint(options) is None else f" --weights FILE --positions {options.positions}"
    return data + start


def _choose_arm(options: RunOptions) -> Arm:
    """Return the first model that is asked for; a start from weights is an option of its own here."""
    known = {arm.key: arm for arm in ARMS if not arm.pretrained}
    return known[choose_names("--networks", options.networks, list(known), list(known))[0]]


def _describe(recipe: Recipe, arm: Arm, *, simulated: bool, start: str | None) -> dict[str, object]:
    """Return what the card says about the model besides its numbers."""
    return {
        "name": NAME,
        "task": "obstructive coronary disease per patient" if simulated else "abnormal to two readers",
        "input": f"stacks {', '.join(arm.views).upper()} of {recipe.encoder.volume_shape}, stress planes before "
        "rest planes, each state scaled to the 99th percentile of its wall"
        + ("" if simulated else " (report pages: to the 99.5th percentile of its slices)"),
        "version": __version__,
        "training_data": f"simulated patients only (simulator version {SIMULATOR_VERSION})"
        if simulated
        else "patients given with --data",
        "encoder": asdict(recipe.encoder),
        "views": list(arm.views),
        "fusion": arm.fusion,
        "fit": asdict(recipe.fit),
        "start": "random numbers" if start is None else f"UniMiSS, sha256 {start}",
        "myoperf": __version__,
        "licence": "Apache-2.0",
        "intended_use": "research only; not shipped and not used by analyze",
    }


def polar_probability(cases: SliceCases) -> Float:
    """Return the shipped polar classifier's probability of disease for each patient, from maps of the same images."""
    classifier = load_classifier()
    mean, sd = classifier.constants["clinical_mean"], classifier.constants["clinical_sd"]
    clinical = np.stack([clinical_row(tuple(row), mean, sd) for row in cases.clinical.astype(np.float64)])
    polar = cases.polar.astype(np.float64)
    return np.asarray(classifier.read(polar[:, 0], polar[:, 1], clinical).per_patient)
