"""The multi-branch Medical Transformer's experiments (paper 000, tables 3 to 6) on simulated patients.

Compared by repeated splits by patient: the fused model, single axes, three fusions, fine-tuned and frozen
encoders, and convolutional baselines on the same slices laid out as a picture. The encoders start from a
UniMiSS checkpoint when one is given, from random numbers otherwise; the tables say which.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from myoperf import __version__
from myoperf.data.slices import stacks_from_volumes
from myoperf.errors import InputError, OutputExistsError
from myoperf.nets.mit import MiTConfig
from myoperf.nets.mit_weights import read_checkpoint
from myoperf.nets.multi_branch import MultiBranchConfig, build_multi_branch, load_branches
from myoperf.phantom.fast import simulate_fast
from myoperf.phantom.labels import ica_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions
from myoperf.stats import (
    bootstrap_auc,
    delong_pairs,
    delong_table,
    measure_threshold,
    percentile_interval,
    resample_counts,
)
from myoperf.train.slices import FitOptions, fit, predict, split_patients
from myoperf.types import State

__all__ = ["ARMS", "SCALES", "Arm", "Scale", "montage", "run", "simulate_stacks"]

Float = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Scale:
    """How large a run is; only ``full`` is the paper's.

    Parameters
    ----------
    patients, splits
        Simulated patients; repeated 8:2 splits of them.
    encoder
        Of every branch.
    epochs, batch, learning_rate
        Of fine-tuning; frozen encoders train ten times as many epochs on features computed once.
    """

    patients: int
    splits: int
    encoder: MiTConfig
    epochs: int
    batch: int
    learning_rate: float


SCALES: Mapping[str, Scale] = {
    "smoke": Scale(10, 1, MiTConfig("tiny", "batch", "relu", volume_shape=(16, 32, 32), modes=("3D",)), 1, 4, 3e-4),
    "small": Scale(120, 3, MiTConfig("tiny", "batch", "relu", volume_shape=(16, 32, 32), modes=("3D",)), 12, 8, 3e-4),
    "full": Scale(192, 5, MiTConfig("small", volume_shape=(32, 96, 96), modes=("3D",)), 200, 16, 1e-5),
}


@dataclass(frozen=True)
class Arm:
    """One model of the tables.

    Parameters
    ----------
    name
        As the table shows it.
    tables
        Numbers of the paper's tables it stands in.
    """

    name: str
    tables: tuple[int, ...]
    views: tuple[str, ...] = ("sa", "hla", "vla")
    fusion: Literal["average", "concatenation", "learnable"] = "average"
    frozen: bool = False


ARMS = (
    Arm("fusion, average", (3, 4, 5, 6)),
    Arm("fusion, concatenation", (5,), fusion="concatenation"),
    Arm("fusion, learnable weights", (5,), fusion="learnable"),
    Arm("SA only", (4, 6), views=("sa",)),
    Arm("HLA only", (4, 6), views=("hla",)),
    Arm("VLA only", (4, 6), views=("vla",)),
    Arm("fusion, average, frozen", (6,), frozen=True),
    Arm("SA only, frozen", (6,), views=("sa",), frozen=True),
    Arm("HLA only, frozen", (6,), views=("hla",), frozen=True),
    Arm("VLA only, frozen", (6,), views=("vla",), frozen=True),
)
"""The models of tables 4 to 6; the baselines of table 3 come as functions (see `run`)."""

Baseline = Callable[[Float, NDArray[Any], Float, int], Float]
"""(training pictures (n, 3, side, side), labels, test pictures, seed) -> probability of each test picture."""


def simulate_stacks(patients: int, shape: tuple[int, int, int], seed: int) -> tuple[Float, NDArray[np.int64]]:
    """Simulate patients and cut their slices at the true pose.

    Returns
    -------
    stacks (patients, 3 views, planes, rows, columns), and 1 where angiography would find obstructive
    disease (the set's share of abnormal patients, 150 of 192, is the population's).
    """
    population = PopulationOptions(prevalence={"LAD": 0.57, "LCX": 0.42, "RCA": 0.39}, patient_prevalence=150 / 192)
    stacks, truth = [], []
    states: tuple[State, State] = ("stress", "rest")
    for index in range(patients):
        rng = np.random.default_rng([seed, index])
        patient = draw_patient(rng, population)
        scans = {}
        for state in states:
            volume, _, frame = simulate_fast(patient, rng, state=state)
            scans[state] = (volume, frame)
        stacks.append(stacks_from_volumes(scans, shape=shape).array())
        truth.append(ica_labels(patient.coronary)["patient"])
    return np.stack(stacks), np.array(truth, dtype=np.int64)


def montage(stacks: Float, *, side: int = 224) -> Float:
    """Lay every view's planes out as one picture, a channel a view.

    (n, 3, planes, rows, columns) to (n, 3, side, side): what the convolutional baselines read, whose input is
    a picture of three channels.
    """
    count = stacks.shape[2]
    across = int(np.ceil(np.sqrt(count)))
    down = -(-count // across)
    tile = side // across
    index = ((np.arange(tile) + 0.5) * stacks.shape[-1] / tile).astype(np.intp)
    rows = ((np.arange(tile) + 0.5) * stacks.shape[-2] / tile).astype(np.intp)
    small = stacks[:, :, :, rows][..., index]
    out = np.zeros((*stacks.shape[:2], side, side), dtype=np.float32)
    for plane in range(count):
        y, x = divmod(plane, across)
        if y < down:
            out[:, :, y * tile : (y + 1) * tile, x * tile : (x + 1) * tile] = small[:, :, plane]
    return out


def run(
    scale: str,
    out: Path,
    seed: int = 0,
    *,
    weights: Path | None = None,
    baselines: Mapping[str, Baseline] | None = None,
    report: Callable[[str], None] | None = None,
) -> Path:
    """Run the experiments and write their tables.

    Parameters
    ----------
    scale
        ``"smoke"`` (seconds; shows only that it runs), ``"small"`` (minutes) or ``"full"`` (the paper's size).
    out
        New folder: ``predictions.csv``, ``table.csv``, ``table.md``, ``delong.csv``, ``manifest.json``.
    weights
        A published UniMiSS checkpoint the encoders start from; random numbers otherwise.
    baselines
        Name -> a function that trains on pictures and predicts; table 3's other models.
    report
        Called with a line of progress.

    Returns
    -------
    Path of ``table.md``.

    Raises
    ------
    InputError
        When the scale is unknown.
    OutputExistsError
        When the folder already holds tables.
    """
    if scale not in SCALES:
        raise InputError(f"A scale is one of {', '.join(SCALES)}; got {scale!r}.")
    out = Path(out)
    if (out / "table.csv").exists():
        raise OutputExistsError(f"{out.name!r} already holds the tables of a study; choose a new folder.")
    size = SCALES[scale]
    stacks, truth = simulate_stacks(size.patients, size.encoder.volume_shape, seed)
    rows = []
    for split in range(size.splits):
        train, test = split_patients(truth.tolist(), share=0.2, rng=np.random.default_rng([seed, split]))
        rows += _run_split(stacks, truth, (train, test), split, size, seed, weights, baselines or {}, report)
    predictions = pd.DataFrame(rows)
    out.mkdir(parents=True, exist_ok=True)
    predictions.to_csv(out / "predictions.csv", index=False)
    table = _table(predictions, seed)
    table.to_csv(out / "table.csv", index=False)
    _delong(predictions).to_csv(out / "delong.csv", index=False)
    start = "random numbers" if weights is None else "a UniMiSS checkpoint"
    manifest = {
        "schema": "myoperf.study/1",
        "study": "multi-branch-mit",
        "scale": scale,
        "seed": seed,
        "myoperf": __version__,
        "data": "simulated patients (image-space mode), angiographic label, slices cut at the true pose",
        "encoders_start_from": start,
        "baselines": sorted(baselines or {}),
        "size": asdict(size),
        "patients": int(size.patients),
        "abnormal": int(truth.sum()),
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    (out / "table.md").write_text(_markdown(table, manifest))
    return out / "table.md"


def _run_split(
    stacks: Float,
    truth: NDArray[np.int64],
    parts: tuple[Float, Float],
    split: int,
    size: Scale,
    seed: int,
    weights: Path | None,
    baselines: Mapping[str, Baseline],
    report: Callable[[str], None] | None,
) -> list[dict[str, Any]]:
    """Train every model on one split's training patients and predict its test patients."""
    train, test = (np.asarray(p, dtype=np.intp) for p in parts)
    state = read_checkpoint(weights) if weights is not None else None
    predicted: dict[str, Float] = {}
    for arm in ARMS:
        views = [("sa", "hla", "vla").index(view) for view in arm.views]
        config = MultiBranchConfig(views=arm.views, fusion=arm.fusion, encoder=size.encoder)
        network = build_multi_branch(config, seed=seed + split)
        if state is not None:
            load_branches(network, state)
        options = FitOptions(
            epochs=size.epochs * (10 if arm.frozen else 1),
            batch=size.batch,
            learning_rate=1e-3 if arm.frozen else size.learning_rate,
            frozen=arm.frozen,
        )
        losses = fit(network, stacks[train][:, views], truth[train].tolist(), options=options, seed=seed + split)
        predicted[arm.name] = predict(network, stacks[test][:, views])
        if report is not None:
            report(f"split {split + 1}, {arm.name}: loss {losses[0]:.3f} to {losses[-1]:.3f}")
    for name, baseline in baselines.items():
        predicted[name] = baseline(montage(stacks[train]), truth[train], montage(stacks[test]), seed + split)
    return [
        {"split": split, "patient": int(p), "truth": int(truth[p]), "model": name, "probability": float(value)}
        for name, values in predicted.items()
        for p, value in zip(test, values, strict=True)
    ]


def _wide(predictions: pd.DataFrame) -> tuple[NDArray[np.int64], Float, list[str], NDArray[np.int64]]:
    """Give truth, scores (models, rows), model names and patients, a row for each patient of each test set."""
    wide = predictions.pivot_table(index=["split", "patient", "truth"], columns="model", values="probability")
    names = [str(name) for name in dict.fromkeys(predictions["model"])]
    index = wide.index.to_frame(index=False)
    return index["truth"].to_numpy(), wide[names].to_numpy().T, names, index["patient"].to_numpy()


def _table(predictions: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Measure every model over all test sets: area, F1, sensitivity, specificity at 0.5, intervals by patient."""
    truth, scores, names, patient = _wide(predictions)
    counts = resample_counts(truth, resamples=1000, rng=np.random.default_rng(seed), patient=patient)
    areas = bootstrap_auc(truth, scores, counts)
    point = delong_table(truth, scores).auc
    rows = []
    for i, name in enumerate(names):
        interval = percentile_interval(areas[i])
        tables = next((arm.tables for arm in ARMS if arm.name == name), (3,))
        row: dict[str, Any] = {"model": name, "tables": " ".join(map(str, tables)), "n": len(truth)}
        row |= {"auc": float(point[i]), "auc_lo": interval.lo, "auc_hi": interval.hi}
        measured = measure_threshold(truth, scores[i], counts=counts, clustered=True)[1]
        for metric in ("f1", "sensitivity", "specificity"):
            value = measured[metric]
            row |= {metric: value.value, f"{metric}_lo": value.interval.lo, f"{metric}_hi": value.interval.hi}
        rows.append(row)
    share = float(truth.mean())  # what calling everyone abnormal would score
    trivial = {"auc": 0.5, "f1": 2 * share / (1 + share), "sensitivity": 1.0, "specificity": 0.0}
    rows.append({"model": "all called abnormal", "tables": "3", "n": len(truth), **trivial})
    return pd.DataFrame(rows)


def _delong(predictions: pd.DataFrame) -> pd.DataFrame:
    """Compare every pair of models on the same rows; a patient in several test sets makes p a little too small."""
    truth, scores, names, _ = _wide(predictions)
    table = delong_table(truth, scores)
    pairs = delong_pairs(table)
    return pd.DataFrame(
        {
            "model_a": [names[i] for i in pairs.a],
            "model_b": [names[i] for i in pairs.b],
            "auc_a": table.auc[pairs.a],
            "auc_b": table.auc[pairs.b],
            "difference": pairs.difference,
            "z": pairs.z,
            "p": pairs.p,
        }
    )


def _markdown(table: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """Write the table for reading, with what it was measured on."""

    def cell(row: pd.Series[Any], metric: str) -> str:
        if pd.isna(row.get(f"{metric}_lo")):
            return f"{row[metric]:.3f}"
        return f"{row[metric]:.3f} ({row[f'{metric}_lo']:.3f}-{row[f'{metric}_hi']:.3f})"

    lines = [
        f"# Multi-branch MiT, scale {manifest['scale']}",
        "",
        f"{manifest['patients']} {manifest['data']}; {manifest['abnormal']} abnormal. "
        f"Encoders start from {manifest['encoders_start_from']}. Test sets of "
        f"{manifest['size']['splits']} split(s) by patient pooled; 95 % intervals by bootstrap over patients; "
        "threshold 0.5. Research use only.",
        "",
        "| model | tables | AUC | F1 | sensitivity | specificity |",
        "|---|---|---|---|---|---|",
    ]
    for _, row in table.iterrows():
        cells = " | ".join(cell(row, metric) for metric in ("auc", "f1", "sensitivity", "specificity"))
        lines.append(f"| {row['model']} | {row['tables']} | {cells} |")
    return "\n".join(lines) + "\n"
