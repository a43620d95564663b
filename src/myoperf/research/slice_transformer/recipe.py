"""``myoperf train slices``: the fused multi-branch network, and whether it adds to the classifier of polar maps.

It learns from simulated patients (obstructive disease by angiography) or, with ``--data``, from the pictures and labels
of the public SPECT-MPI set. On simulated patients that nothing was chosen on, its probability, and its mean with the
shipped polar classifier's, are compared with the polar classifier alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from safetensors.torch import save_file

from myoperf import __version__
from myoperf.diagnosis import load_classifier
from myoperf.diagnosis.inputs import clinical_row
from myoperf.errors import InputError
from myoperf.research.slice_transformer.cases import PAPER_POPULATION, SliceCases, collect_cases
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.mit_weights import read_checkpoint, read_config
from myoperf.research.slice_transformer.multi_branch import (
    MultiBranchConfig,
    MultiBranchMiT,
    build_multi_branch,
    load_branches,
)
from myoperf.research.slice_transformer.spect_mpi import find_spect_mpi, read_spect_mpi
from myoperf.research.slice_transformer.training import FitOptions, fit, predict, split_patients
from myoperf.stats import (
    bootstrap_auc,
    delong_pairs,
    delong_table,
    measure_threshold,
    percentile_interval,
    resample_counts,
)
from myoperf.types import Float

__all__ = ["SCALES", "Scale", "compare_with_polar", "measure_held_out", "polar_probability", "run", "start_from"]


@dataclass(frozen=True)
class Scale:
    """How large a run is.

    Parameters
    ----------
    patients, test_share
        Simulated patients, and the share of each class that is held out.
    """

    patients: int
    test_share: float
    encoder: MiTConfig
    fit: FitOptions


_COMPACT = MiTConfig("tiny", "batch", "relu", volume_shape=(16, 32, 32), modes=("3D",))
SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "smoke": Scale(12, 0.3, _COMPACT, FitOptions(epochs=1, batch=4, learning_rate=1e-3)),
        "small": Scale(300, 0.4, _COMPACT, FitOptions(epochs=8, batch=16, learning_rate=3e-4, cosine=True)),
        "full": Scale(2000, 0.2, MiTConfig("small", volume_shape=(32, 96, 96), modes=("3D",)), FitOptions()),
    }
)


def measure_held_out(truth: NDArray[np.int64], scores: Mapping[str, Float], *, seed: int = 0) -> pd.DataFrame:
    """Measure probabilities of held-out patients: area, sensitivity and specificity at 0.5, each with 95 % interval."""
    matrix = np.stack(list(scores.values()))
    counts = resample_counts(truth, resamples=2000, rng=np.random.default_rng(seed))
    areas, drawn = delong_table(truth, matrix).auc, bootstrap_auc(truth, matrix, counts)
    rows = []
    for i, name in enumerate(scores):
        interval = percentile_interval(drawn[i])
        row: dict[str, Any] = {"model": name, "n": len(truth), "n_positive": int(truth.sum())}
        row |= {"auc": areas[i], "auc_lo": interval.lo, "auc_hi": interval.hi}
        measured = measure_threshold(truth, matrix[i], counts=counts)[1]
        for metric in ("sensitivity", "specificity"):
            value = measured[metric]
            row |= {metric: value.value, f"{metric}_lo": value.interval.lo, f"{metric}_hi": value.interval.hi}
        rows.append(row)
    return pd.DataFrame(rows)


def compare_with_polar(truth: NDArray[np.int64], slices: Float, polar: Float, *, seed: int = 0) -> pd.DataFrame:
    """Test the slices' probability, and its mean with the polar classifier's, against the polar classifier's.

    Returns
    -------
    A row for each of the two: areas, difference with bootstrap interval, DeLong's p, and whether it earns its place.
    """
    scores = {"slices": slices, "mean of both": 0.5 * (slices + polar), "polar classifier": polar}
    matrix = np.stack(list(scores.values()))
    counts = resample_counts(truth, resamples=2000, rng=np.random.default_rng(seed))
    table, drawn = delong_table(truth, matrix), bootstrap_auc(truth, matrix, counts)
    pairs = delong_pairs(table)
    p = {(int(a), int(b)): float(value) for a, b, value in zip(pairs.a, pairs.b, pairs.p, strict=True)}
    rows = []
    for i, name in ((0, "slices"), (1, "mean of both")):
        interval = percentile_interval(drawn[i] - drawn[2])
        row = {"model": name, "other": "polar classifier", "n": len(truth), "n_positive": int(truth.sum())}
        row |= {"auc": table.auc[i], "auc_other": table.auc[2], "difference": table.auc[i] - table.auc[2]}
        row |= {"difference_lo": interval.lo, "difference_hi": interval.hi, "p_delong": p[i, 2]}
        rows.append(row | {"earns_its_place": bool(interval.lo > 0 and p[i, 2] < 0.05)})
    return pd.DataFrame(rows)


def run(
    scale: str,
    out: Path,
    seed: int,
    *,
    data: Path | None,
    resume: bool,
    quiet: bool,
    patients: Path | None = None,
    weights: Path | None = None,
) -> None:
    """Train, measure on held-out patients, write weights and card.

    Parameters
    ----------
    scale
        A key of `SCALES`.
    out
        Gets ``model.safetensors``, ``card.json``, ``losses.csv``, ``held_out.csv`` and, of simulated patients,
        ``versus_polar.csv``.
    data
        Folder of the public SPECT-MPI set (see `spect_mpi` beside this module); None for simulated patients.
    resume
        Keep the patients an earlier run simulated; the training itself starts anew.
    patients
        Folder of simulated patients of this and other seeds; default: ``patients`` in `out`.
    weights
        UniMiSS checkpoint, the authors' or of ``myoperf train unimiss``, whose student the branches start from; None:
        random numbers.

    Raises
    ------
    InputError
        When the checkpoint is not of the scale's encoder.
    """
    del resume  # patients in the folder are kept either way; the command line guards the folder
    size = SCALES[scale]
    network = build_multi_branch(MultiBranchConfig(encoder=size.encoder), seed=seed)
    if weights is not None:
        start_from(network, weights)
    out.mkdir(parents=True, exist_ok=True)
    shape = size.encoder.volume_shape
    with Progress(disable=quiet, transient=True) as bar:
        task = bar.add_task("patients", total=None)
        cases: SliceCases | None = None
        if data is None:
            cases = collect_cases(
                patients or out / "patients",
                size.patients,
                seed,
                shape=shape,
                options=PAPER_POPULATION,
                report=lambda n: bar.update(task, completed=n, total=size.patients),
            )
            stacks, truth = cases.stacks.astype(np.float32), cases.ica
        else:
            stacks, truth = _public(data, shape)
        train, test = (
            np.asarray(part, dtype=np.intp)
            for part in split_patients(truth.tolist(), share=size.test_share, rng=np.random.default_rng([seed, 0]))
        )
        task = bar.add_task("training", total=size.fit.epochs)
        losses = fit(
            network,
            stacks[train],
            truth[train].tolist(),
            options=size.fit,
            seed=seed,
            report=lambda epoch, loss: bar.update(task, completed=epoch + 1),
        )
    pd.DataFrame({"epoch": range(len(losses)), "loss": losses}).to_csv(out / "losses.csv", index=False)
    scores = {"slices": predict(network, stacks[test])}
    compared = None
    if cases is not None:
        polar = polar_probability(cases.take(test))
        scores |= {"polar classifier": polar, "mean of both": 0.5 * (scores["slices"] + polar)}
        compared = compare_with_polar(truth[test], scores["slices"], polar, seed=seed)
        compared["other_version"] = load_classifier().name
        compared.to_csv(out / "versus_polar.csv", index=False, float_format="%.5g")
    measured = measure_held_out(truth[test], scores, seed=seed)
    measured.to_csv(out / "held_out.csv", index=False, float_format="%.5g")
    _write(network, out, size, scale, seed, data is None, len(train), measured, compared, weights)


def start_from(network: MultiBranchMiT, weights: Path) -> None:
    """Start every branch from a UniMiSS checkpoint's student, as the paper does.

    Raises
    ------
    InputError
        When the checkpoint is of another encoder; the message says which was expected.
    """
    encoder = network.config.encoder
    state = read_checkpoint(weights)
    try:
        load_branches(network, state, published=read_config(weights))
    except InputError as error:
        raise InputError(
            f"{weights.name} does not fit an MiT {encoder.size} with {encoder.norm} norm, which this scale has: {error}"
        ) from error


def _public(data: Path, shape: tuple[int, int, int]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Read the SPECT-MPI set's stacks and labels; pictures that cannot be read are left out."""
    found = find_spect_mpi(data)
    read, refused = read_spect_mpi(found, shape=shape)
    if not read:
        raise InputError(f"None of {len(refused)} pictures could be read; myoperf data fetch spect-mpi says why.")
    truth = np.array([found.truth[key] for key in read], dtype=np.int64)
    return np.stack([picture.stacks.array() for picture in read.values()]), truth


def polar_probability(cases: SliceCases) -> Float:
    """Give the shipped polar classifier's probability per patient of the same images."""
    classifier = load_classifier()
    mean, sd = classifier.constants["clinical_mean"], classifier.constants["clinical_sd"]
    clinical = np.stack([clinical_row(tuple(row), mean, sd) for row in cases.clinical.astype(np.float64)])
    polar = cases.polar.astype(np.float64)
    return np.asarray(classifier.read(polar[:, 0], polar[:, 1], clinical).per_patient)


def _write(
    network: MultiBranchMiT,
    out: Path,
    size: Scale,
    scale: str,
    seed: int,
    simulated: bool,
    trained_on: int,
    measured: pd.DataFrame,
    compared: pd.DataFrame | None,
    start: Path | None,
) -> None:
    """Write weights and card."""
    with torch.no_grad():
        tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, out / "model.safetensors")
    card = {
        "name": "multi-branch-mit",
        "task": "obstructive coronary disease per patient" if simulated else "abnormal to two readers",
        "input": f"stacks SA, HLA, VLA of {size.encoder.volume_shape}, stress planes before rest planes, each state "
        "scaled to the 99th percentile of its wall",
        "training_data": "simulated patients only" if simulated else "the public SPECT-MPI set",
        "patients": {"training": trained_on, "held_out": int(measured["n"].iloc[0])},
        "encoder": asdict(size.encoder),
        "fit": asdict(size.fit),
        "start": "random numbers"
        if start is None
        else "UniMiSS, sha256 " + hashlib.sha256(start.read_bytes()).hexdigest(),
        "seed": seed,
        "command": f"myoperf train slices --scale {scale} --seed {seed}"
        + ("" if simulated else " --data FOLDER")
        + ("" if start is None else " --weights FILE"),
        "held_out": measured.to_dict("records"),
        "versus_polar": None if compared is None else compared.to_dict("records"),
        "sha256": hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest(),
        "myoperf": __version__,
        "licence": "Apache-2.0",
        "intended_use": "research only; not shipped and not used by analyze",
    }
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
