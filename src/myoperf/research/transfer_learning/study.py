"""Paper 002: two-stage transfer learning on stress polar maps, one class a patient.

Run on simulated patients: 112 with and 106 without disease, split 80/20 within each class as in the paper; a fifth of
the training part chooses the epoch. More patients that were in no part judge beside the small test. Or run on a folder
of screens with a class a patient, as the paper's were, split the same way; then the test part alone judges.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.pipeline.jobs import claim_folder
from myoperf.research.backbones.efficientnet_lite0 import EfficientNetLite0
from myoperf.research.backbones.keras_backbones import (
    BACKBONES,
    TABLE_2,
    build_backbone,
    get_spec,
    load_keras,
    read_layer_counts,
)
from myoperf.research.screenshots.screen_folder import ScreenFolder, find_screens
from myoperf.research.transfer_learning.data import (
    SIMULATED,
    Discs,
    describe_given,
    draw_discs,
    given_discs,
    require_patients,
    simulated_discs,
    split,
)
from myoperf.research.transfer_learning.head_tuning import tune_head
from myoperf.research.transfer_learning.tables import write_tables
from myoperf.research.transfer_learning.training import (
    STRATEGIES,
    Backbone,
    Pictures,
    Schedule,
    activation_map,
    backbone_features,
    fit_strategy,
    predict,
)

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


def _pictures(data: Discs, part: str, network: str) -> Pictures:
    """Give a part's pictures as a network takes them, with labels."""
    low_high = EfficientNetLite0.input_range if network == LITE0 else get_spec(network).input_range
    rows = data.parts[part]
    return Pictures(to_range(data.discs[rows], low_high), torch.from_numpy(data.labels[rows]))


def _train_one(
    chosen: Run, number: int, data: Discs, schedule: Schedule, chooser: str, seed: int, cam: Path | None
) -> dict[str, Any]:
    """Train one network by one strategy; give probabilities and how it went."""
    given = chosen.weights if STRATEGIES[number].pretrained else None
    backbone = make_backbone(chosen.network, given, data.discs.shape[1], seed)
    train, choose = (_pictures(data, part, chosen.network) for part in ("train", chooser))
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
    for part in data.judged:
        probability = predict(backbone, fitted.head, _pictures(data, part, chosen.network).images)
        out[part] = data.by_patient(part, probability.double().numpy()).tolist()
    if cam is not None:
        pictures = _pictures(data, "test", chosen.network)
        truth = pictures.labels.numpy()
        rows = [int(i) for label in (1, 0) for i in np.flatnonzero(truth == label)[:3]]
        maps = np.stack([activation_map(backbone, fitted.head, pictures.images[i]).numpy() for i in rows])
        seen = predict(backbone, fitted.head, pictures.images[rows]).numpy()
        shown = data.discs[data.parts["test"][rows]]
        np.savez_compressed(cam, maps=maps, discs=shown, truth=truth[rows], probability=seen)
    return out


def _tune(size: Scale, data: Discs, schedule: Schedule, seed: int) -> dict[str, Any]:
    """Choose the head by Hyperband on the first run's features, beside the paper's 256 units."""
    first = size.runs[0]
    backbone = make_backbone(first.network, first.weights, data.discs.shape[1], seed)
    parts = [_pictures(data, part, first.network) for part in ("train", "validation")]
    train, held = (backbone_features(backbone, p.images) for p in parts)
    found = tune_head(train, parts[0].labels, (held, parts[1].labels), schedule, trials=size.trials, seed=seed)
    return {"network": first.network, "trials": size.trials, **found}


def _side(size: Scale, network: str) -> int:
    """Rows of a network's pictures."""
    return size.input_size or (EfficientNetLite0.input_size if network == LITE0 else get_spec(network).input_size)


def _settings(size: Scale, found: ScreenFolder | None) -> dict[str, Any]:
    """Give what going on from a folder of jobs asks to be the same, besides the words of the command."""
    plan = json.loads(json.dumps(asdict(size), default=lambda file: file.name))
    if found is None:
        return {"plan": plan}
    simulated = ("diseased", "healthy", "fresh", "imaged")
    return {"plan": {k: v for k, v in plan.items() if k not in simulated}, "data_sha256": found.fingerprint}


def _run_jobs(
    size: Scale, discs: Callable[[str], Discs], folder: Path, seed: int, chooser: str, *, quiet: bool
) -> list[dict[str, Any]]:
    """Train what is not yet in the folder; give every job's probabilities."""
    jobs = [(chosen, number) for chosen in size.runs for number in chosen.strategies]
    rows = []
    for place, (chosen, number) in enumerate(track(jobs, "training", disable=quiet, console=Console(stderr=True))):
        path = folder / f"{chosen.network}-{chosen.start}-{number}.json"
        if not path.exists():
            data = discs(chosen.network)
            exponent = 3 if chosen.network == LITE0 else get_spec(chosen.network).rate_exponent
            schedule = replace(size.schedule, rate_exponent=exponent)
            cam = folder / "cam.npz" if place == len(size.runs[0].strategies) - 1 else None
            row = _train_one(chosen, number, data, schedule, chooser, seed, cam)
            row |= {"truth": {part: data.truth(part) for part in data.judged}}
            path.write_text(json.dumps(row) + "\n", encoding="utf-8")
        rows.append(json.loads(path.read_text(encoding="utf-8")))
    tuned = folder / "hyperband.json"
    if size.trials and not tuned.exists():
        found = _tune(size, discs(size.runs[0].network), size.schedule, seed)
        tuned.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return rows


def run(
    scale: str,
    out: Path,
    seed: int = 0,
    *,
    choose_on: Choice = "validation",
    weights: str | Path | None = None,
    data: str | Path | None = None,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Train networks by strategies and write 002's tables 3 and 4 with intervals.

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
    data
        Folder of screens with a class a patient, see
        `myoperf.research.screenshots.screen_folder`, in place of simulated patients.
        Its test part is all that judges: a row a patient, the mean of the patient's pictures.

    Raises
    ------
    InputError
        For an unknown scale or way to choose, for weights or screens that are none, or for a folder of other settings.
    MissingWeightsError
        Where ImageNet weights are neither on this machine nor to be had.
    """
    if scale not in SCALES:
        raise InputError(f"Unknown scale {scale!r}; known are {', '.join(SCALES)}.")
    if choose_on not in get_args(Choice):
        raise InputError(f"The epoch is chosen on {' or '.join(get_args(Choice))}; got {choose_on}.")
    size = replace(SCALES[scale], runs=plan_runs(SCALES[scale].runs, weights))
    found = None if data is None else find_screens(Path(data))
    if found is not None:
        require_patients(found.screens)
    how = {"myoperf": __version__, "study": "two-stage", "scale": scale, "seed": seed, "choose_on": choose_on}
    claim_folder(out / "jobs", how | _settings(size, found))

    @cache
    def discs(side: int) -> Discs:
        if found is not None:
            return given_discs(found, side=side, seed=seed, out=out, quiet=quiet)
        numbers = size.diseased, size.healthy, size.fresh
        return simulated_discs(*numbers, side=side, seed=seed, imaged=size.imaged, folder=out / "jobs")

    sides = {chosen.network: _side(size, chosen.network) for chosen in size.runs}
    about: dict[str, Any] = {"data": SIMULATED}
    patients = None
    if found is not None:
        given, *_ = (discs(side) for side in sides.values())  # all pages, before anything is trained
        about, patients = describe_given(given) | {"data_sha256": found.fingerprint}, given.names("test")
    chooser = "validation" if choose_on == "validation" else "test"
    rows = _run_jobs(size, lambda network: discs(sides[network]), out / "jobs", seed, chooser, quiet=quiet)
    return write_tables(out, rows, how | about, seed=seed, patients=patients)
