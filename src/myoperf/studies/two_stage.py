"""Paper 002: two-stage transfer learning on stress polar maps, one class a patient.

Run here on simulated patients: their stress perfusion drawn as a disc, 112 with and 106 without disease at full
scale, split 80/20 within each class; a fifth of the training part chooses the epoch.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.nets.keras_backbones import BACKBONES, TABLE_2, build_backbone, get_spec, load_keras, read_layer_counts
from myoperf.phantom.labels import ica_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import truth_polar
from myoperf.polar import disc_image
from myoperf.stats import delong_table, wilson_interval
from myoperf.train.two_stage import STRATEGIES, Pictures, Schedule, fit_strategy, predict
from myoperf.types import PolarMap

__all__ = ["SCALES", "Scale", "list_backbones", "run"]

Choice = Literal["validation", "test as in the paper"]


@dataclass(frozen=True)
class Scale:
    """Size of a run.

    Attributes
    ----------
    diseased, healthy
        Patients of each class.
    input_size
        Rows and columns of the pictures; None for each network's own.
    """

    diseased: int
    healthy: int
    networks: tuple[str, ...]
    strategies: tuple[int, ...]
    warm_epochs: int
    fine_epochs: int
    input_size: int | None


SCALES = {
    "smoke": Scale(12, 12, ("MobileNetV2",), (4, 6), 3, 1, 64),
    "small": Scale(112, 106, ("MobileNetV2", "ResNet50V2"), (1, 2, 3, 4, 5, 6), 10, 3, 96),
    "full": Scale(112, 106, tuple(TABLE_2), (1, 2, 3, 4, 5, 6), 100, 30, None),
}


def list_backbones() -> list[dict[str, Any]]:
    """List 002's fifteen networks with parameters at stage 2, from counts kept with the package."""
    counts = read_layer_counts()
    return [
        {
            "name": name,
            "input_size": BACKBONES[name].input_size,
            "input_range": list(BACKBONES[name].input_range),
            "trainable": counts[name]["trainable"],
            "non_trainable": counts[name]["non_trainable"],
            "stage2_rule": BACKBONES[name].stage2_rule,
            "rate_exponent": BACKBONES[name].rate_exponent,
            "matches_paper": (counts[name]["trainable"], counts[name]["non_trainable"]) == TABLE_2[name],
        }
        for name in TABLE_2
    ]


def draw_discs(diseased: int, healthy: int, size: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw simulated stress maps as grey discs, (n, size, size) from 0 to 1, and their labels.

    Perfusion as it is, a little blurred and with noise; no camera. Labels: angiography, per patient.
    """
    left, discs, labels = [healthy, diseased], [], []
    index = 0
    while sum(left):
        rng = np.random.default_rng((seed, index))
        index += 1
        patient = draw_patient(rng)
        label = ica_labels(patient.coronary)["patient"]
        if not left[label]:
            continue
        left[label] -= 1
        values = ndimage.gaussian_filter(truth_polar(patient, "stress", 24, 72), (1.5, 3.0), mode=("nearest", "wrap"))
        values = np.maximum(values + ndimage.gaussian_filter(rng.normal(0.0, 0.15, values.shape), (1.0, 2.0)), 0.0)
        polar = PolarMap(values / values.max(), np.zeros((24, 72, 3)), np.ones((24, 72)))
        discs.append(np.nan_to_num(disc_image(polar, size)))
        labels.append(label)
    return np.stack(discs).astype(np.float32), np.asarray(labels)


def split(labels: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Split patients 64/16/20 within each class into training, validation and test rows."""
    rng, parts = np.random.default_rng(seed), ([], [], [])  # type: ignore[var-annotated]
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        test, valid = ceil(0.2 * rows.size), ceil(0.16 * rows.size)
        for part, chosen in zip(parts, (rows[test + valid :], rows[test : test + valid], rows[:test]), strict=True):
            part.extend(chosen.tolist())
    train, valid_rows, test_rows = (np.sort(np.asarray(p, dtype=np.int64)) for p in parts)
    return train, valid_rows, test_rows


def to_range(discs: NDArray[np.float32], input_range: tuple[float, float]) -> torch.Tensor:
    """Repeat grey discs to three channels in a network's range, (n, 3, H, W)."""
    low, high = input_range
    return torch.from_numpy(discs * (high - low) + low)[:, None].repeat(1, 3, 1, 1).float()


def _measure(truth: NDArray[np.int64], probability: NDArray[Any]) -> dict[str, float]:
    """Give 002's columns with intervals."""
    called = probability >= 0.5
    table = delong_table(truth, probability)
    out = {"auc": float(table.auc[0]), "auc_lo": table.interval(0).lo, "auc_hi": table.interval(0).hi}
    positive = truth == 1
    counts = {
        "accuracy": (int((called == positive).sum()), truth.size),
        "sensitivity": (int((called & positive).sum()), int(positive.sum())),
        "specificity": (int((~called & ~positive).sum()), int((~positive).sum())),
    }
    for name, (hits, n) in counts.items():
        interval = wilson_interval(hits, n)
        out |= {name: hits / n, f"{name}_lo": interval.lo, f"{name}_hi": interval.hi}
    return out


def run(
    scale: str,
    out: Path,
    seed: int = 0,
    *,
    weights: str | None = None,
    networks: Sequence[str] | None = None,
    choose_on: Choice = "validation",
) -> list[dict[str, Any]]:
    """Train networks by strategies on simulated patients and write the table.

    Parameters
    ----------
    scale
        smoke, small or full.
    out
        Folder for ``two_stage.csv``, ``two_stage.md`` and ``manifest.json``.
    weights
        ``"imagenet"``, or None for random ones: then no strategy is a transfer, and the table says so.
    choose_on
        What chooses the epoch; the paper's way reports on the pictures it chose on.
    """
    if scale not in SCALES:
        raise InputError(f"Unknown scale {scale!r}; known are {', '.join(SCALES)}.")
    size = SCALES[scale]
    rows = []
    for name in networks or size.networks:
        spec = get_spec(name)
        side = size.input_size or spec.input_size
        discs, labels = draw_discs(size.diseased, size.healthy, side, seed)
        train, valid, test = split(labels, seed)
        images, truth = to_range(discs, spec.input_range), torch.from_numpy(labels)
        schedule = Schedule(size.warm_epochs, size.fine_epochs, spec.rate_exponent, batch=8)
        chooser = valid if choose_on == "validation" else test
        for number in size.strategies:
            load_keras().utils.set_random_seed(seed)
            given = weights if STRATEGIES[number].pretrained else None
            backbone = build_backbone(name, weights=given, input_size=side)
            fitted = fit_strategy(
                number,
                backbone,
                spec,
                Pictures(images[train], truth[train]),
                Pictures(images[chooser], truth[chooser]),
                schedule,
                seed=seed,
            )
            probability = predict(backbone, fitted.head, images[test]).numpy()
            head = {"network": name, "strategy": number, "weights": given or "random", "n_test": len(test)}
            rows.append({**head, "chosen_epoch": fitted.chosen_epoch, **_measure(labels[test], probability)})
    _write(out, rows, {"scale": scale, "seed": seed, "weights": weights or "random", "choose_on": choose_on})
    return rows


def _write(out: Path, rows: list[dict[str, Any]], how: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / "two_stage.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    lines = [
        "| network | strategy | weights | accuracy | AUC | sensitivity | specificity |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            f"{row[n]:.3f} ({row[f'{n}_lo']:.2f}-{row[f'{n}_hi']:.2f})"
            for n in ("accuracy", "auc", "sensitivity", "specificity")
        ]
        lines.append(f"| {row['network']} | {row['strategy']} | {row['weights']} | " + " | ".join(cells) + " |")
    note = f"Simulated patients, {rows[0]['n_test']} in the test; epoch chosen on: {how['choose_on']}. 95 % intervals."
    (out / "two_stage.md").write_text("\n".join([note, "", *lines]) + "\n", encoding="utf-8")
    (out / "manifest.json").write_text(json.dumps({"myoperf": __version__, **how}, indent=1) + "\n", encoding="utf-8")
