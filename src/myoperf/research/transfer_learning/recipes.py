"""The runs of the study of Hai et al. 2022 in three sizes: networks, strategies, weights to start from, schedule."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from myoperf.errors import InputError
from myoperf.research.backbones.efficientnet_lite0 import LITE0
from myoperf.research.backbones.keras_backbones import TABLE_2
from myoperf.research.training.options import RunOptions, choose_names
from myoperf.research.transfer_learning.data import CohortSize
from myoperf.research.transfer_learning.training import STRATEGIES, Schedule


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
        Of Hyperband over the head's units and dropout and the rate, for each network before it is trained; 0 for none:
        the paper's 256 units, no dropout, and its rate.
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
"""Full has the paper's networks, epochs and sizes of picture; docs/two-stage.md says what differs. Small: pictures of
96 x 96, the network with ImageNet weights by all strategies, five of the fifteen with random weights; stage 2 and
strategies 1 to 3 for 10 epochs. EfficientNet-Lite0 is not among the paper's fifteen: it is the network whose ImageNet
weights an installable package carries."""


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


def choose_runs(recipe: Recipe, options: RunOptions) -> Recipe:
    """Return a recipe with the networks, strategies, weights and epochs that the user chose.

    A network that the recipe does not plan is trained by strategies 4 and 6.

    Raises
    ------
    InputError
        For an unknown network or strategy, or weights that `plan_runs` refuses.
    """
    planned = tuple(dict.fromkeys(run.network for run in recipe.runs))
    networks = choose_names("--networks", options.networks, (LITE0, *TABLE_2), planned)
    wanted = choose_names("--strategies", options.strategies, [str(number) for number in STRATEGIES], ())
    runs = tuple(run for run in recipe.runs if run.network in networks)
    runs += tuple(Run(name, (4, 6)) for name in networks if name not in planned)
    if wanted:
        runs = tuple(replace(run, strategies=tuple(int(number) for number in wanted)) for run in runs)
    schedule, epochs = recipe.schedule, options.epochs
    if epochs is not None:
        schedule = replace(schedule, warm_epochs=epochs, fine_epochs=epochs, long_epochs=epochs)
    return replace(recipe, runs=plan_runs(runs, options.weights), schedule=schedule)
