"""Paper 002: two-stage transfer learning on stress polar maps, one class a patient.

Run here on simulated patients: 112 with and 106 without disease, split 80/20 within each class as in the paper; a
fifth of the training part chooses the epoch. More patients that were in no part judge beside the small test.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy import ndimage

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.nets.efficientnet_lite0 import EfficientNetLite0
from myoperf.nets.keras_backbones import BACKBONES, TABLE_2, build_backbone, get_spec, load_keras, read_layer_counts
from myoperf.phantom.fast import image_model
from myoperf.phantom.labels import ica_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import truth_polar
from myoperf.polar import disc_image
from myoperf.studies.jobs import claim_folder
from myoperf.studies.two_stage_tables import write_tables
from myoperf.train.head_tuning import tune_head
from myoperf.train.polar_cases import image_state
from myoperf.train.two_stage import (
    STRATEGIES,
    Backbone,
    Pictures,
    Schedule,
    activation_map,
    backbone_features,
    fit_strategy,
    predict,
)
from myoperf.types import PolarMap

__all__ = ["LITE0", "SCALES", "Run", "Scale", "draw_discs", "list_backbones", "plan_runs", "run", "split"]

Choice = Literal["validation", "test as in the paper"]
LITE0 = "EfficientNetLite0"
"""Not among 002's fifteen: the network whose ImageNet weights an installable package carries."""


@dataclass(frozen=True)
class Run:
    """One network trained by some strategies.

    Attributes
    ----------
    weights
        For the strategies that start from given weights: ``"imagenet"``, a Keras file of the network without top, or
        None: random ones, no transfer.
    """

    network: str
    strategies: tuple[int, ...]
    weights: str | Path | None = None

    @property
    def start(self) -> str:
        """What the weights are called in tables: imagenet, file or random."""
        return "file" if isinstance(self.weights, Path) else self.weights or "random"


@dataclass(frozen=True)
class Scale:
    """Size of a study.

    Attributes
    ----------
    diseased, healthy
        Patients of each class.
    fresh
        Patients of each class besides, in no part of the split.
    input_size
        Rows and columns of the pictures; None for each network's own.
    imaged
        Stress images with attenuation corrected, unrolled on the known ventricle with an error of pose; otherwise
        the known perfusion, blurred.
    trials
        Of Hyperband over the head's units and dropout, for the first run; 0 for none.
    """

    diseased: int
    healthy: int
    fresh: int
    runs: tuple[Run, ...]
    schedule: Schedule
    input_size: int | None
    imaged: bool = True
    trials: int = 0


_ALL = (1, 2, 3, 4, 5, 6)
SCALES: Mapping[str, Scale] = {
    "smoke": Scale(12, 12, 4, (Run("MobileNetV2", (4, 6)),), Schedule(3, 1, 1, batch=8), 64, imaged=False),
    "small": Scale(
        112,
        106,
        80,
        (
            Run(LITE0, _ALL, "imagenet"),
            Run(LITE0, (4, 5, 6)),
            *(Run(name, (4, 6)) for name in ("VGG16", "MobileNetV2", "EfficientNetB0", "ResNet50V2", "InceptionV3")),
        ),
        Schedule(100, 10, 10, batch=8),
        96,
        trials=12,
    ),
    "full": Scale(
        112,
        106,
        500,
        (Run("ResNet152V2", _ALL, "imagenet"), *(Run(n, (6,), "imagenet") for n in TABLE_2 if n != "ResNet152V2")),
        Schedule(100, 30, 100),
        None,
        trials=30,
    ),
}
"""Full is the paper's. Small: pictures of 96 x 96, the network with ImageNet weights by all strategies, five of the
fifteen with random weights; stage 2 and strategies 1 to 3 for 10 epochs."""


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
            "layers": counts[name]["layers"],
            "opened_layers": counts[name]["opened_layers"],
            "stage2_rule": BACKBONES[name].stage2_rule,
            "rate_exponent": BACKBONES[name].rate_exponent,
            "matches_paper": (counts[name]["trainable"], counts[name]["non_trainable"]) == TABLE_2[name],
        }
        for name in TABLE_2
    ]


def draw_discs(
    diseased: int, healthy: int, size: int, seed: int, *, imaged: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw simulated stress maps as grey discs, (n, size, size) from 0 to 1, and their labels.

    Labels: angiography, per patient.

    Parameters
    ----------
    imaged
        By the fast image-space model with attenuation corrected, as 002's were, and unrolled on the known ventricle
        with an error of pose; otherwise perfusion as it is, a little blurred and with noise.
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
        if imaged:
            values = image_state(patient, rng, replace(image_model("spect", rng), attenuated=0.0), "stress")
        else:
            known = truth_polar(patient, "stress", 24, 72)
            values = ndimage.gaussian_filter(known, (1.5, 3.0), mode=("nearest", "wrap"))
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


def plan_runs(runs: tuple[Run, ...], weights: str | Path | None) -> tuple[Run, ...]:
    """Give every run other weights than planned, each network and start once.

    Parameters
    ----------
    weights
        ``"none"``, ``"imagenet"`` or a folder with a file ``NETWORK.h5`` each; None: as planned.

    Raises
    ------
    InputError
        For other words, or a folder that lacks a file.
    """
    if weights is None:
        return runs
    strategies: dict[str, set[int]] = {}
    for each in runs:
        strategies.setdefault(each.network, set()).update(each.strategies)
    starts: dict[str, str | Path | None] = dict.fromkeys(strategies, "imagenet" if weights == "imagenet" else None)
    if weights not in ("none", "imagenet"):
        starts = {name: Path(weights) / f"{name}.h5" for name in strategies}
        lacking = [name for name, file in starts.items() if not Path(str(file)).is_file()]
        if lacking:
            raise InputError(f"--weights is none, imagenet or a folder of NETWORK.h5; {lacking[0]}.h5 is not there.")
    return tuple(Run(name, tuple(sorted(numbers)), starts[name]) for name, numbers in strategies.items())


def make_backbone(name: str, weights: str | Path | None, size: int, seed: int) -> Backbone:
    """Build a backbone with ImageNet or with random weights drawn from the seed."""
    if name == LITE0:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return EfficientNetLite0(weights)
    load_keras().utils.set_random_seed(seed)
    return build_backbone(name, weights=weights, input_size=size)


@dataclass(frozen=True, eq=False)
class _Data:
    """Grey discs at one size with the rows of each part."""

    discs: NDArray[np.float32]
    labels: NDArray[np.int64]
    parts: Mapping[str, NDArray[np.int64]]

    def pictures(self, part: str, network: str) -> Pictures:
        low_high = EfficientNetLite0.input_range if network == LITE0 else get_spec(network).input_range
        rows = self.parts[part]
        return Pictures(to_range(self.discs[rows], low_high), torch.from_numpy(self.labels[rows]))


def _draw(size: Scale, side: int, seed: int, folder: Path) -> _Data:
    """Draw the discs, or read those that a run that stopped kept."""
    path = folder / f"discs-{side}.npz"
    if not path.exists():
        discs, labels = draw_discs(size.diseased, size.healthy, side, seed, imaged=size.imaged)
        more, more_labels = draw_discs(size.fresh, size.fresh, side, 900_000 + seed, imaged=size.imaged)
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, discs=discs, labels=labels, more=more, more_labels=more_labels)
        part.replace(path)
    with np.load(path) as kept:
        discs, labels, more, more_labels = (kept[k] for k in ("discs", "labels", "more", "more_labels"))
    train, valid, test = split(labels, seed)
    fresh = np.arange(len(labels), len(labels) + len(more_labels))
    return _Data(
        np.concatenate([discs, more]),
        np.concatenate([labels, more_labels]),
        {"train": train, "validation": valid, "test": test, "fresh": fresh},
    )


def _train_one(
    chosen: Run, number: int, data: _Data, schedule: Schedule, chooser: str, seed: int, cam: Path | None
) -> dict[str, Any]:
    """Train one network by one strategy; give probabilities and how it went."""
    given = chosen.weights if STRATEGIES[number].pretrained else None
    backbone = make_backbone(chosen.network, given, data.discs.shape[1], seed)
    train, choose = (data.pictures(part, chosen.network) for part in ("train", chooser))
    start = time.process_time()
    fitted = fit_strategy(number, backbone, train, choose, schedule, seed=seed)
    seconds = time.process_time() - start
    out: dict[str, Any] = {
        "network": chosen.network,
        "strategy": number,
        "weights": chosen.start if STRATEGIES[number].pretrained else "random",
        "cpu_seconds": round(seconds, 2),
        "chosen_epoch": fitted.chosen_epoch,
    }
    for part in ("test", "fresh"):
        pictures = data.pictures(part, chosen.network)
        out[part] = predict(backbone, fitted.head, pictures.images).tolist()
    if cam is not None:
        pictures = data.pictures("test", chosen.network)
        truth = data.labels[data.parts["test"]]
        rows = [int(i) for label in (1, 0) for i in np.flatnonzero(truth == label)[:3]]
        maps = np.stack([activation_map(backbone, fitted.head, pictures.images[i]).numpy() for i in rows])
        shown = data.discs[data.parts["test"][rows]]
        np.savez_compressed(cam, maps=maps, discs=shown, truth=truth[rows], probability=np.asarray(out["test"])[rows])
    return out


def _tune(size: Scale, data: _Data, schedule: Schedule, seed: int) -> dict[str, Any]:
    """Choose the head by Hyperband on the first run's features, beside the paper's 256 units."""
    first = size.runs[0]
    backbone = make_backbone(first.network, first.weights, data.discs.shape[1], seed)
    parts = [data.pictures(part, first.network) for part in ("train", "validation")]
    train, held = (backbone_features(backbone, p.images) for p in parts)
    found = tune_head(train, parts[0].labels, (held, parts[1].labels), schedule, trials=size.trials, seed=seed)
    return {"network": first.network, "trials": size.trials, **found}


def run(
    scale: str,
    out: Path,
    seed: int = 0,
    *,
    choose_on: Choice = "validation",
    weights: str | Path | None = None,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Train networks by strategies on simulated patients and write 002's tables 3 and 4 with intervals.

    Parameters
    ----------
    scale
        smoke, small or full (which needs ImageNet weights of all fifteen).
    out
        Folder; one that holds jobs of the same settings is gone on with.
    choose_on
        What chooses the epoch; the paper's way reports on the pictures it chose on.
    weights
        In place of the scale's: see `plan_runs`.

    Raises
    ------
    InputError
        For an unknown scale or way to choose, for weights that are none, or for a folder of other settings.
    MissingWeightsError
        Where ImageNet weights are neither on this machine nor to be had.
    """
    if scale not in SCALES:
        raise InputError(f"Unknown scale {scale!r}; known are {', '.join(SCALES)}.")
    if choose_on not in get_args(Choice):
        raise InputError(f"The epoch is chosen on {' or '.join(get_args(Choice))}; got {choose_on}.")
    size = replace(SCALES[scale], runs=plan_runs(SCALES[scale].runs, weights))
    how = {"myoperf": __version__, "study": "two-stage", "scale": scale, "seed": seed, "choose_on": choose_on}
    claim_folder(out / "jobs", how | json.loads(json.dumps({"plan": asdict(size)}, default=lambda file: file.name)))
    drawn: dict[int, _Data] = {}

    def data_of(network: str) -> _Data:
        own = EfficientNetLite0.input_size if network == LITE0 else get_spec(network).input_size
        side = size.input_size or own
        if side not in drawn:
            drawn[side] = _draw(size, side, seed, out / "jobs")
        return drawn[side]

    chooser = "validation" if choose_on == "validation" else "test"
    jobs = [(chosen, number) for chosen in size.runs for number in chosen.strategies]
    rows = []
    for place, (chosen, number) in enumerate(track(jobs, "training", disable=quiet, console=Console(stderr=True))):
        path = out / "jobs" / f"{chosen.network}-{chosen.start}-{number}.json"
        if not path.exists():
            data = data_of(chosen.network)
            exponent = 3 if chosen.network == LITE0 else get_spec(chosen.network).rate_exponent
            schedule = replace(size.schedule, rate_exponent=exponent)
            cam = out / "jobs" / "cam.npz" if place == len(size.runs[0].strategies) - 1 else None
            row = _train_one(chosen, number, data, schedule, chooser, seed, cam)
            row |= {"truth": {part: data.labels[data.parts[part]].tolist() for part in ("test", "fresh")}}
            path.write_text(json.dumps(row) + "\n", encoding="utf-8")
        rows.append(json.loads(path.read_text(encoding="utf-8")))
    tuned = out / "jobs" / "hyperband.json"
    if size.trials and not tuned.exists():
        first = size.runs[0].network
        tuned.write_text(json.dumps(_tune(size, data_of(first), size.schedule, seed)) + "\n", encoding="utf-8")
    return write_tables(out, rows, how, seed=seed)
