"""``myoperf train slices``: the fused multi-branch network, and whether it adds to the classifier of polar maps.

It learns from simulated patients (obstructive disease by angiography) or, with ``--data``, from the pictures and labels
of the public SPECT-MPI set. On simulated patients that nothing was chosen on, its probability, and its mean with the
shipped polar classifier's, are compared with the polar classifier alone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
from myoperf.research.slice_transformer.cases import SliceCases, collect_cases
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.mit_weights import read_checkpoint
from myoperf.research.slice_transformer.multi_branch import (
    COMPACT_ENCODER,
    PAPER_ENCODER,
    MultiBranchConfig,
    build_multi_branch,
    load_branches,
)
from myoperf.research.slice_transformer.prediction import read_pages
from myoperf.research.slice_transformer.spect_mpi import find_spect_mpi, read_spect_mpi
from myoperf.research.slice_transformer.tables import compare_with_polar, measure_held_out
from myoperf.research.slice_transformer.training import FitOptions, fit, predict, split_patients
from myoperf.research.training.case_table import read_case_table
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.weights import save_model
from myoperf.types import Float, Float32


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


def run(
    scale: str,
    out: Path,
    seed: int,
    *,
    data: Path | None,
    resume: bool,
    quiet: bool,
    weights: Path | None = None,
) -> None:
    """Train, measure on held-out patients, write weights and card.

    Parameters
    ----------
    scale
        A key of `RECIPES`.
    out
        Gets ``patients/`` (simulated), ``state.pt`` (the training after its last epoch), ``model.safetensors``,
        ``card.json``, ``losses.csv``, ``held_out.csv`` and, of simulated patients, ``versus_polar.csv``.
    data
        Folder of the public SPECT-MPI set (see `spect_mpi`), or a table of report pages, see
        `myoperf.research.training.case_table`; None for simulated patients. Where the table or set has a split, its
        training part trains and its test part is held out; the validation part is left out, as no epoch is chosen.
    resume
        Continue the training that ``state.pt`` in `out` holds; otherwise it starts from the first epoch. Simulated
        patients in `out` are kept either way.
    weights
        UniMiSS checkpoint, the authors' or of ``myoperf train unimiss``, whose student the branches start from; None:
        random numbers.

    Raises
    ------
    InputError
        When the checkpoint is of another encoder than the recipe's, or ``state.pt`` has other settings.
    """
    recipe = pick_recipe(RECIPES, scale)
    network = build_multi_branch(MultiBranchConfig(encoder=recipe.encoder), seed=seed)
    if weights is not None:
        load_branches(network, read_checkpoint(weights))
    out.mkdir(parents=True, exist_ok=True)
    shape = recipe.encoder.volume_shape
    cases, parts, data_sha256 = None, np.full(0, ""), ""
    if data is None:
        cases = collect_cases(out / "patients", recipe.patients, seed, shape=shape, quiet=quiet)
        stacks, truth = cases.stacks.astype(np.float32), cases.ica
    else:
        stacks, truth, parts, data_sha256 = _own_cases(data, shape) if data.is_file() else _public_cases(data, shape)
    train, test = _split(truth, parts, recipe.test_share, seed)
    checkpoint = out / "state.pt"
    if not resume:
        checkpoint.unlink(missing_ok=True)
    with Progress(disable=quiet, transient=True) as bar:
        task = bar.add_task("training", total=recipe.fit.epochs)
        losses = fit(
            network,
            stacks[train],
            truth[train].tolist(),
            options=recipe.fit,
            seed=seed,
            checkpoint=checkpoint,
            report=lambda epoch, loss: bar.update(task, completed=epoch + 1),
        )
    pd.DataFrame({"epoch": range(len(losses)), "loss": losses}).to_csv(out / "losses.csv", index=False)
    slices = predict(network, stacks[test])
    scores, versus = {"slices": slices}, None
    if cases is not None:
        polar = polar_probability(cases.take(test))
        scores |= {"polar classifier": polar, "mean of both": 0.5 * (slices + polar)}
        versus = compare_with_polar(truth[test], slices, polar, seed=seed).assign(other_version=load_classifier().name)
        versus.to_csv(out / "versus_polar.csv", index=False, float_format="%.5g")
    measured = measure_held_out(truth[test], scores, seed=seed)
    measured.to_csv(out / "held_out.csv", index=False, float_format="%.5g")
    card = _describe(recipe, simulated=cases is not None, start=weights) | {
        "data_sha256": data_sha256 or None,
        "scale": scale,
        "class_balance": {"training": float(truth[train].mean()), "held_out": float(truth[test].mean())},
        "patients": {"training": len(train), "held_out": len(test)},
        "seed": seed,
        "command": f"myoperf train slices --scale {scale} --seed {seed}"
        + ("" if data is None else " --data FOLDER")
        + ("" if weights is None else " --weights FILE"),
        "held_out": measured.to_dict("records"),
        "versus_polar": None if versus is None else versus.to_dict("records"),
    }
    save_model(out, network, card)


def _describe(recipe: Recipe, *, simulated: bool, start: Path | None) -> dict[str, object]:
    """Return what the card says about the model besides its numbers."""
    start_words = "random numbers"
    if start is not None:
        start_words = "UniMiSS, sha256 " + hashlib.sha256(start.read_bytes()).hexdigest()
    return {
        "name": "multi-branch-mit",
        "task": "obstructive coronary disease per patient" if simulated else "abnormal to two readers",
        "input": f"stacks SA, HLA, VLA of {recipe.encoder.volume_shape}, stress planes before rest planes, each state "
        "scaled to the 99th percentile of its wall",
        "version": __version__,
        "training_data": f"simulated patients only (simulator version {SIMULATOR_VERSION})"
        if simulated
        else "pictures of reports given with --data",
        "encoder": asdict(recipe.encoder),
        "fit": asdict(recipe.fit),
        "start": start_words,
        "myoperf": __version__,
        "licence": "Apache-2.0",
        "intended_use": "research only; not shipped and not used by analyze",
    }


_Cases = tuple[Float32, NDArray[np.int64], NDArray[np.str_], str]
"""Stacks, labels, parts of the split (empty where there is none), SHA-256 of the data."""


def _public_cases(data: Path, shape: tuple[int, int, int]) -> _Cases:
    """Read the SPECT-MPI set; pictures that cannot be read are left out."""
    public = find_spect_mpi(data)
    pictures, refused = read_spect_mpi(public, shape=shape)
    if not pictures:
        raise InputError(f"None of {len(refused)} pictures could be read; myoperf data fetch spect-mpi gives reasons.")
    truth = np.array([public.truth[patient] for patient in pictures], dtype=np.int64)
    parts = np.array([public.part[patient] for patient in pictures])
    mark = hashlib.sha256(b"".join(hashlib.sha256(public.pictures[p].read_bytes()).digest() for p in pictures))
    return np.stack([picture.stacks.array() for picture in pictures.values()]), truth, parts, mark.hexdigest()


def _own_cases(data: Path, shape: tuple[int, int, int]) -> _Cases:
    """Read the report pages of a table; pages that cannot be read are left out."""
    table = read_case_table(data, labelled=True)
    read, stacks, _ = read_pages(table, shape, order=None, scale=None)
    rows = [table.rows[index] for index in read]
    truth = np.array([row.label for row in rows], dtype=np.int64)
    return stacks, truth, np.array([row.split for row in rows]), table.sha256


def _split(
    truth: NDArray[np.int64], parts: NDArray[np.str_], share: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return training and held-out rows: by the split that the data have, else at random."""
    train, test = (np.flatnonzero(parts == part) for part in ("train", "test"))
    if len(train) and len(test):
        return train, test
    return split_patients(truth.tolist(), share=share, rng=np.random.default_rng([seed, 0]))


def polar_probability(cases: SliceCases) -> Float:
    """Return the shipped polar classifier's probability of disease for each patient, from maps of the same images."""
    classifier = load_classifier()
    mean, sd = classifier.constants["clinical_mean"], classifier.constants["clinical_sd"]
    clinical = np.stack([clinical_row(tuple(row), mean, sd) for row in cases.clinical.astype(np.float64)])
    polar = cases.polar.astype(np.float64)
    return np.asarray(classifier.read(polar[:, 0], polar[:, 1], clinical).per_patient)
