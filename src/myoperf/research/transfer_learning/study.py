"""The study of Hai et al. 2022, two-stage transfer learning on stress polar maps: ``myoperf study two-stage``.

Run on simulated patients: 112 with and 106 without disease, split 80/20 within each class as in the paper; a fifth of
the training part chooses the epoch. Fresh patients that were in no part are predicted too, as the test part is small.
Or run on a folder of screens with a class a patient, as the paper's were, split the same way; there is then no other
test than the test part.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.pipeline.jobs import claim_folder, run_jobs, write_whole
from myoperf.research.backbones.efficientnet_lite0 import LITE0, EfficientNetLite0
from myoperf.research.backbones.keras_backbones import (
    BACKBONES,
    TABLE_2,
    BackboneSpec,
    build_backbone,
    get_spec,
    load_keras,
    read_layer_counts,
)
from myoperf.research.screenshots.screen_folder import ScreenFolder, find_screens
from myoperf.research.training.arrays import save_arrays
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.seeds import seeded
from myoperf.research.transfer_learning.data import (
    SIMULATED,
    CohortSize,
    Discs,
    describe_screens,
    discs_from_screens,
    require_patients,
    simulated_discs,
)
from myoperf.research.transfer_learning.head_tuning import tune_head
from myoperf.research.transfer_learning.tables import write_tables
from myoperf.research.transfer_learning.training import (
    STRATEGIES,
    Backbone,
    Classifier,
    Examples,
    Schedule,
    activation_map,
    backbone_features,
    fit_strategy,
    predict,
)

Choice = Literal["validation", "test as in the paper"]
_LITE0_SPEC = BackboneSpec(LITE0, EfficientNetLite0.input_size, EfficientNetLite0.input_range)


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
        """How tables name the weights: imagenet, file or random."""
        return "file" if isinstance(self.weights, Path) else self.weights or "random"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a study.

    Attributes
    ----------
    patients
        Simulated ones; not used with a folder of screens.
    input_size
        Rows and columns of the pictures; None for each network's own.
    trials
        Of Hyperband over the head's units and dropout, for the first run; 0 for none.
    """

    patients: CohortSize
    runs: tuple[Run, ...]
    schedule: Schedule
    input_size: int | None
    trials: int = 0


_ALL = (1, 2, 3, 4, 5, 6)
_RANDOM = ("VGG16", "MobileNetV2", "EfficientNetB0", "ResNet50V2", "InceptionV3")
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "smoke": Recipe(
            patients=CohortSize(diseased=12, healthy=12, fresh=4, imaged=False),
            runs=(Run("MobileNetV2", (4, 6)),),
            schedule=Schedule(warm_epochs=3, fine_epochs=1, long_epochs=1, batch=8),
            input_size=64,
        ),
        "small": Recipe(
            patients=CohortSize(diseased=112, healthy=106, fresh=80),
            runs=(Run(LITE0, _ALL, "imagenet"), Run(LITE0, (4, 5, 6)), *(Run(name, (4, 6)) for name in _RANDOM)),
            schedule=Schedule(warm_epochs=100, fine_epochs=10, long_epochs=10, batch=8),
            input_size=96,
            trials=12,
        ),
        "full": Recipe(
            patients=CohortSize(diseased=112, healthy=106, fresh=500),
            runs=(
                Run("ResNet152V2", _ALL, "imagenet"),
                *(Run(n, (6,), "imagenet") for n in TABLE_2 if n != "ResNet152V2"),
            ),
            schedule=Schedule(warm_epochs=100, fine_epochs=30, long_epochs=100),
            input_size=None,
            trials=30,
        ),
    }
)
"""Full is the paper's. Small: pictures of 96 x 96, the network with ImageNet weights by all strategies, five of the
fifteen with random weights; stage 2 and strategies 1 to 3 for 10 epochs. EfficientNet-Lite0 is not among the paper's
fifteen: it is the network whose ImageNet weights an installable package carries."""


def list_backbones() -> list[dict[str, Any]]:
    """List the paper's fifteen networks with parameters at stage 2, from counts kept with the package."""
    counts = read_layer_counts()
    return [
        {
            "name": name,
            "input_size": BACKBONES[name].input_size,
            "input_range": list(BACKBONES[name].input_range),
            **{k: counts[name][k] for k in ("trainable", "non_trainable", "layers", "opened_layers")},
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
    """Return the runs with other weights than planned, each network and start once.

    Parameters
    ----------
    weights
        ``"none"``, ``"imagenet"`` or a folder with a file ``NETWORK.h5`` each; None: as planned.

    Raises
    ------
    InputError
        For another word, or a folder that lacks a file.
    """
    if weights is None:
        return runs
    strategies: dict[str, set[int]] = {}
    for each in runs:
        strategies.setdefault(each.network, set()).update(each.strategies)
    starts: dict[str, str | Path | None] = dict.fromkeys(strategies, "imagenet" if weights == "imagenet" else None)
    if weights not in ("none", "imagenet"):
        starts = {name: Path(weights) / f"{name}.h5" for name in strategies}
        missing = [name for name, file in starts.items() if not Path(str(file)).is_file()]
        if missing:
            raise InputError(f"--weights is none, imagenet or a folder of NETWORK.h5; {missing[0]}.h5 is missing.")
    return tuple(Run(name, tuple(sorted(numbers)), starts[name]) for name, numbers in strategies.items())


def make_backbone(name: str, weights: str | Path | None, size: int, seed: int) -> Backbone:
    """Build a backbone with given weights, or with random ones drawn from the seed."""
    if name == LITE0:
        with seeded(seed):
            return EfficientNetLite0(weights)
    load_keras().utils.set_random_seed(seed)
    return build_backbone(name, weights=weights, input_size=size)


def _spec(network: str) -> BackboneSpec:
    return _LITE0_SPEC if network == LITE0 else get_spec(network)


def _pictures(data: Discs, part: str, network: str) -> Examples:
    """Return a part's pictures as a network takes them, with labels."""
    rows = data.parts[part]
    return Examples((to_range(data.discs[rows], _spec(network).input_range),), torch.from_numpy(data.labels[rows]))


@dataclass(frozen=True, eq=False)
class _Trainings:
    """Everything the jobs of a study share.

    Attributes
    ----------
    discs
        Discs of a number of rows and columns.
    chooser
        Part that chooses the epoch.
    """

    recipe: Recipe
    discs: Callable[[int], Discs]
    folder: Path
    chooser: str
    seed: int

    def jobs(self) -> dict[Path, Callable[[], dict[str, Any]]]:
        """List the trainings by result file, then the tuning of the head."""
        first = self.recipe.runs[0]
        jobs: dict[Path, Callable[[], dict[str, Any]]] = {}
        for chosen in self.recipe.runs:
            for number in chosen.strategies:
                shown = chosen is first and number == chosen.strategies[-1]
                file = self.folder / f"{chosen.network}-{chosen.start}-{number}.json"
                jobs[file] = partial(self.train, chosen, number, show=shown)
        if self.recipe.trials:
            jobs[self.folder / "hyperband.json"] = self.tune
        return jobs

    def data(self, network: str) -> Discs:
        """Return the discs at a network's size."""
        return self.discs(self.recipe.input_size or _spec(network).input_size)

    def train(self, chosen: Run, number: int, *, show: bool) -> dict[str, Any]:
        """Train one network by one strategy; return probabilities and how the training went.

        Parameters
        ----------
        show
            Draw activation maps of some test patients too.
        """
        name, data = chosen.network, self.data(chosen.network)
        pretrained = STRATEGIES[number].pretrained
        backbone = make_backbone(name, chosen.weights if pretrained else None, data.discs.shape[1], self.seed)
        train, choose = (_pictures(data, part, name) for part in ("train", self.chooser))
        schedule = replace(self.recipe.schedule, rate_exponent=_spec(name).rate_exponent)
        start = time.process_time()
        fitted = fit_strategy(number, backbone, train, choose, schedule, seed=self.seed)
        row: dict[str, Any] = {
            "network": name,
            "strategy": number,
            "weights": chosen.start if pretrained else "random",
            "cpu_seconds": round(time.process_time() - start, 2),
            "chosen_epoch": fitted.chosen_epoch,
        }
        network = Classifier(backbone, fitted.head)
        for part in data.tested:
            probability = predict(network, _pictures(data, part, name).inputs[0])
            row[part] = data.by_patient(part, probability.double().numpy()).tolist()
        if show:
            self._show(network, data, _pictures(data, "test", name))
        return row | {"truth": {part: data.truth(part) for part in data.tested}}

    def _show(self, network: Classifier, data: Discs, pictures: Examples) -> None:
        """Keep the activation maps of three patients with and three without disease."""
        truth, images = pictures.labels.numpy(), pictures.inputs[0]
        rows = [int(i) for label in (1, 0) for i in np.flatnonzero(truth == label)[:3]]
        maps = np.stack([activation_map(network, images[i]).numpy() for i in rows])
        probability = predict(network, images[rows]).numpy()
        arrays: dict[str, NDArray[Any]] = {
            "maps": maps,
            "discs": data.discs[data.parts["test"][rows]],
            "truth": truth[rows],
            "probability": probability,
        }
        with write_whole(self.folder / "cam.npz") as part:
            save_arrays(part, arrays)

    def tune(self) -> dict[str, Any]:
        """Choose the head by Hyperband on the first run's features, to compare with the paper's 256 units."""
        first = self.recipe.runs[0]
        data = self.data(first.network)
        backbone = make_backbone(first.network, first.weights, data.discs.shape[1], self.seed)
        parts = [_pictures(data, part, first.network) for part in ("train", "validation")]
        train, held = (Examples((backbone_features(backbone, p.inputs[0]),), p.labels) for p in parts)
        trials = self.recipe.trials
        head = tune_head(train, held, self.recipe.schedule, trials=trials, seed=self.seed)
        return {"network": first.network, "trials": trials, **head}


def _settings(recipe: Recipe, screens: ScreenFolder | None) -> dict[str, Any]:
    """Return the settings that must match for a run to resume in a folder, apart from the command's options."""
    plan = json.loads(json.dumps(asdict(recipe), default=lambda file: file.name))
    patients = plan.pop("patients")
    return {"plan": plan | patients} if screens is None else {"plan": plan, "data_sha256": screens.fingerprint}


def _write_row(job: Callable[[], dict[str, Any]], path: Path) -> None:
    path.write_text(json.dumps(job()) + "\n", encoding="utf-8")


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
    """Train networks by strategies and write Tables 3 and 4 of Hai et al. 2022 with intervals.

    Parameters
    ----------
    scale
        A key of `RECIPES`; full needs ImageNet weights of all fifteen networks.
    out
        Folder; a run of the same settings that stopped there is resumed.
    choose_on
        What chooses the epoch; the paper reports on the pictures it chose on.
    weights
        In place of the recipe's: see `plan_runs`.
    data
        Folder of screens with a class a patient, see
        `myoperf.research.screenshots.screen_folder`, in place of simulated patients.
        Tables are then of its test part only: a row a patient, the mean of the patient's pictures.

    Returns
    -------
    The rows of ``two_stage.csv``: one a model and part.

    Raises
    ------
    InputError
        For an unknown scale or way to choose, for weights or screens that cannot be used, or for a folder of other
        settings.
    MissingWeightsError
        Where ImageNet weights are neither on this machine nor to be had.
    """
    recipe = pick_recipe(RECIPES, scale)
    if choose_on not in get_args(Choice):
        raise InputError(f"The epoch is chosen on {' or '.join(get_args(Choice))}; got {choose_on}.")
    recipe = replace(recipe, runs=plan_runs(recipe.runs, weights))
    screens = None if data is None else find_screens(Path(data))
    if screens is not None:
        require_patients(screens.screens)
    how = {"myoperf": __version__, "study": "two-stage", "scale": scale, "seed": seed, "choose_on": choose_on}
    folder = out / "jobs"
    claim_folder(folder, how | _settings(recipe, screens))

    @cache
    def discs(side: int) -> Discs:
        if screens is not None:
            return discs_from_screens(screens, side=side, seed=seed, out=out, quiet=quiet)
        return simulated_discs(recipe.patients, side=side, seed=seed, folder=folder)

    trainings = _Trainings(recipe, discs, folder, "validation" if choose_on == "validation" else "test", seed)
    about: dict[str, Any] = {"data": SIMULATED}
    patients = None
    if screens is not None:
        # All pages are read, at every size, before anything is trained.
        read, *_ = [trainings.data(chosen.network) for chosen in recipe.runs]
        about, patients = describe_screens(read) | {"data_sha256": screens.fingerprint}, read.names("test")
    jobs = trainings.jobs()
    run_jobs(jobs, _write_row, title="training", quiet=quiet)
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in jobs if path.stem != "hyperband"]
    return write_tables(out, rows, how | about, seed=seed, patients=patients)
