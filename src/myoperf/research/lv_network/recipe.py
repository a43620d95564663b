"""``myoperf train lv``: simulate, train, cross-validate on real volumes, evaluate, write weights and card.

1. A network is trained on simulated volumes alone.
2. If there are real volumes, its training continues for each fold of their patients, on real and simulated volumes
   together, and the network of each fold is tested on the patients left out.
3. The network that ships is trained further in the same way on all of them. So its results on real volumes are those of
   the folds' networks, and its results on simulated volumes are its own, on patients of another seed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from rich.progress import track
from torch import Tensor

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.lv import LVFit, find_lv
from myoperf.lv.compact_network import LVCompact
from myoperf.lv.engine import TorchNetwork
from myoperf.lv.network import Agreement, NetworkLV
from myoperf.phantom.fast import Kind
from myoperf.phantom.records import SIMULATOR_VERSION
from myoperf.pipeline.jobs import make_once
from myoperf.research.lv_network.cases import Case, folds, read_cases, read_real, redraw_wall, write_cases
from myoperf.research.lv_network.disturbance import DISTURBANCES, disturb_case
from myoperf.research.lv_network.evaluation import Row, evaluate_cases, failure_detection, summarise
from myoperf.research.lv_network.simulated import KINDS, draw_case
from myoperf.research.lv_network.training import Schedule, train_lv
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.weights import load_weights, save_model, save_weights
from myoperf.types import Volume

Finder = Callable[[Volume], tuple[LVFit, Agreement | None]]
REAL_SOURCE = "doi:10.13026/ce2z-dw74 (Calixto et al., PhysioNet 1.0.0, CC BY 4.0)"
TRAINING_SEED, TESTING_SEED, REAL_SHARE = 501, 901, 0.7


READERS_LEVELS = (0.54, 0.58, 0.64)
"""The quartiles of the levels at which the open masks were drawn, as shares of the wall's mean
(docs/results/lv_reader_levels.csv)."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a run.

    Parameters
    ----------
    training, testing
        Simulated volumes by kind of camera, one per patient; the two sets share no seed.
    first, onward, final
        Trainings on simulated volumes alone, on each fold, and on all volumes.
    folds
        Groups of the real volumes' patients.
    levels
        Each real volume is learned also with its wall's edge at these shares of the wall's mean counts
        (`myoperf.research.lv_network.cases.redraw_wall`), so that no single reader's level is learned. Results are
        those on the walls as they were drawn.
    """

    training: Mapping[Kind, int]
    testing: Mapping[Kind, int]
    first: Schedule
    onward: Schedule
    final: Schedule
    folds: int = 3
    levels: tuple[float, ...] = ()


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "smoke": Recipe(
            training={"spect": 1, "czt": 1},
            testing={"spect": 1},
            first=Schedule(steps=2, batch=1),
            onward=Schedule(steps=1, batch=1),
            final=Schedule(steps=1, batch=1),
            folds=2,
            levels=(0.6,),
        ),
        "small": Recipe(
            training={"czt": 200, "spect": 240, "pet": 100},
            testing={"spect": 100, "czt": 60, "pet": 60},
            first=Schedule(steps=4500),
            onward=Schedule(steps=1800, rate=1e-3),
            final=Schedule(steps=2400, rate=1e-3),
            levels=READERS_LEVELS,
        ),
        "full": Recipe(
            training={"spect": 2000, "czt": 1500, "pet": 1500},
            testing={"spect": 200, "czt": 100, "pet": 100},
            first=Schedule(steps=40000, batch=4),
            onward=Schedule(steps=10000, batch=4, rate=1e-3),
            final=Schedule(steps=10000, batch=4, rate=1e-3),
            folds=5,
            levels=READERS_LEVELS,
        ),
    }
)
"""``small`` is what ships; the shipped weights were trained before several levels were learned."""


def run(scale: str, out: Path, seed: int, *, data: Path | None, resume: bool, quiet: bool) -> None:
    """Train and evaluate; with `resume`, continue where an earlier run in `out` stopped.

    Parameters
    ----------
    scale
        A key of `RECIPES`.
    out
        Gets ``model.safetensors``, ``card.json``, ``judged.csv`` and a folder for each training.
    seed
        Added to every seed.
    data
        Folder of the open real volumes with masks (see `myoperf.research.lv_network.cases.read_real`); None for
        simulation alone.

    Raises
    ------
    InputError
        If `data` has too few patients.
    """
    recipe = pick_recipe(RECIPES, scale)
    real = () if data is None else read_real(data)
    if data is not None and len({c.patient for c in real}) < recipe.folds:
        raise InputError(f"--data needs volumes with masks of at least {recipe.folds} patients.")
    out.mkdir(parents=True, exist_ok=True)
    training = _simulated(out / "training.npz", recipe.training, TRAINING_SEED + seed, quiet)
    testing = _simulated(out / "testing.npz", recipe.testing, TESTING_SEED + seed, quiet)

    def train(
        name: str, schedule: Schedule, cases: Sequence[Case], start: Mapping[str, Tensor] | None = None
    ) -> LVCompact:
        file, net = out / name / "model.safetensors", LVCompact()
        if resume and file.exists():
            load_weights(file, net)
        else:
            schedule = replace(schedule, seed=schedule.seed + seed)
            options = {"resume": resume, "quiet": quiet}
            net = train_lv(cases, schedule, folder=file.parent, start=start, real_share=REAL_SHARE, **options)
            save_weights(file, net)
        return net.eval()

    judged: list[tuple[str, Row]] = []

    def judge(name: str, find: Finder, cases: Sequence[Case], part: str = "all") -> None:
        file = out / "judged" / f"{name}, {part}.json"
        if not resume:
            file.unlink(missing_ok=True)
        make_once(file, lambda part: part.write_text(json.dumps(evaluate_cases(find, cases)), encoding="utf-8"))
        judged.extend((name, row) for row in json.loads(file.read_text(encoding="utf-8")))

    last = first = train("simulated", recipe.first, training)
    start = first.state_dict()
    if real:
        judge("simulated only, real volumes", _finder(first), real)
    judge("simulated only, simulated volumes", _finder(first), testing)
    if real:
        walls = _at_levels(real, recipe.levels)
        for k, held_out in enumerate(folds(real, recipe.folds, 0)):
            learned = [c for c in walls if c.patient not in held_out]
            model = train(f"fold{k}", replace(recipe.onward, seed=k + 1), [*learned, *training], start)
            tested = [c for c in real if c.patient in held_out]
            judge("real and simulated, real volumes not seen", _finder(model), tested, f"fold {k}")
        last = train("all", replace(recipe.final, seed=9), [*walls, *training], start)
        judge("shipped, simulated volumes", _finder(last), testing)
        judge("classical method, real volumes", _find_classically, real)
    judge("classical method, simulated volumes", _find_classically, testing)
    disturbed = _disturbed(testing, TESTING_SEED + seed)
    judge("shipped, spoilt simulated volumes", _finder(last), disturbed)
    write_model(out, last, judged, _about(scale, recipe, seed, data is not None))


def _at_levels(cases: Sequence[Case], levels: Sequence[float]) -> list[Case]:
    """Return cases as they were drawn, and with their walls redrawn at each level."""
    return [*cases, *(redraw_wall(case, level) for level in levels for case in cases)]


def _finder(net: LVCompact) -> Finder:
    return NetworkLV(TorchNetwork(net), {}).find_with_agreement


def _find_classically(volume: Volume) -> tuple[LVFit, None]:
    return find_lv(volume), None


def _simulated(file: Path, counts: Mapping[Kind, int], seed: int, quiet: bool) -> list[Case]:
    wanted = [(kind, index) for kind, count in counts.items() for index in range(count)]

    def simulate(part: Path) -> None:
        drawn = track(wanted, description="simulating", disable=quiet, transient=True)
        write_cases(part, [draw_case(seed, index, kind) for kind, index in drawn])

    make_once(file, simulate)
    return list(read_cases(file))


def _disturbed(cases: Sequence[Case], seed: int) -> list[Case]:
    """Disturb every third case, each in the next way of `DISTURBANCES`."""
    rng, ways = np.random.default_rng(seed), list(DISTURBANCES)
    return [disturb_case(case, rng, ways[k % len(ways)]) for k, case in enumerate(cases[::3])]


def _about(scale: str, recipe: Recipe, seed: int, with_real: bool) -> dict[str, Any]:
    counts = ", ".join(f"{n} {kind}" for kind, n in recipe.training.items())
    source = f"simulated volumes (simulator version {SIMULATOR_VERSION}; {counts})"
    source += f" and open real volumes, {REAL_SOURCE}" if with_real else ""
    data = " --data FOLDER" if with_real else ""
    return {
        "name": "lv-compact",
        "version": "1",
        "task": "pose, wall and blood pool of the left ventricle in a transaxial perfusion volume",
        "training_data": source,
        "command": f"myoperf train lv --scale {scale} --seed {seed}{data}",
        "recipe": {name: asdict(getattr(recipe, name)) for name in ("first", "onward", "final")},
        "folds": recipe.folds if with_real else 0,
        "levels": list(recipe.levels) if with_real else [],
        "truth_of_real_volumes": "wall drawn by readers; blood pool and pose derived from the wall's geometry",
        "myoperf": __version__,
        "licence": "Apache-2.0",
        "limits": "Research use only. Trained and tested on PET and ordinary SPECT in simulation only.",
    }


def write_model(out: Path, net: LVCompact, judged: Sequence[tuple[str, Row]], about: Mapping[str, Any]) -> None:
    """Write ``model.safetensors``, ``card.json`` and ``judged.csv`` (one row a volume) into a folder.

    The figures of the card are computed from the rows, over each set and over each kind of camera in it.

    Parameters
    ----------
    judged
        Name of the set and row of `evaluate_cases`, for every volume.
    about
        What the card says besides its figures.
    """
    metrics: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _ in judged):
        rows = [row for other, row in judged if other == name]
        parts = {"": rows} | {f", {k}": [r for r in rows if str(r["case"]).startswith(f"{k}-")] for k in KINDS}
        for ending, part in parts.items():
            if part:
                metrics[name + ending] = summarise(part) | {"failures": failure_detection(part)}
    save_model(out, net, {**about, "metrics": metrics, "verdict": verdict(metrics)})
    table = pd.DataFrame([{"set": name, **row} for name, row in judged])
    table.to_csv(out / "judged.csv", index=False, float_format="%.6g")


def verdict(metrics: Mapping[str, Any]) -> str:
    """Return in one line the overlap of the wall on every set, all cameras together, with its interval.

    Parameters
    ----------
    metrics
        Figures by name of the set, as the card has them; a name that ends in a kind of camera is a part of a set.
    """
    parts = []
    for name, figures in metrics.items():
        if name.endswith(tuple(KINDS)):
            continue
        wall = figures["wall_dice"]
        low, high = wall["interval"]
        n = f"{figures['volumes']} volumes of {figures['patients']} patients"
        parts.append(f"{name}: wall DSC {wall['mean']:.3f} ({low:.3f}-{high:.3f}; {n})")
    return "; ".join(parts)
