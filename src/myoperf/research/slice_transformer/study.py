"""``myoperf study multi-branch-mit``: tables 3 to 6 of Zhao et al. (see `multi_branch`) on simulated patients.

Compared by repeated splits by patient: the fused model, single axes, three fusions, fine-tuned and frozen encoders,
random and UniMiSS start, and convolutional baselines on the same slices laid out as a picture. The label is the
simulated reader's, as in the paper it is the readers'. The paper's models all start from UniMiSS weights; here the
tables start from random numbers, and pre-trained models are added. Every training's predictions are a file of their
own, so an interrupted study resumes.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from myoperf import __version__
from myoperf.pipeline.device import resolve_device
from myoperf.pipeline.jobs import claim_folder, run_jobs
from myoperf.research.slice_stacks import VIEWS
from myoperf.research.slice_transformer.baselines import Baseline, keras_baselines, montage
from myoperf.research.slice_transformer.cases import collect_cases
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.mit_weights import MiTWeights, read_checkpoint
from myoperf.research.slice_transformer.multi_branch import (
    COMPACT_ENCODER,
    PAPER_ENCODER,
    Fusion,
    MultiBranchConfig,
    build_multi_branch,
    load_branches,
)
from myoperf.research.slice_transformer.own_cases import read_own_cases
from myoperf.research.slice_transformer.tables import answer_questions, markdown, measure_models
from myoperf.research.slice_transformer.training import FitOptions, fit, predict, split_patients
from myoperf.research.training.options import RunOptions, choose_names
from myoperf.research.training.plots import draw_confusion, draw_roc
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.tables import SMOKE, mark_scale, write_manifest
from myoperf.types import Float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a run; only those of scale full are the paper's.

    Parameters
    ----------
    patients, test_share, splits
        Simulated patients; the share of each class that is tested; repeated splits.
    encoder
        Of every branch.
    epochs, batch, learning_rate, cosine
        Of fine-tuning; the rate follows half a cosine after a warm-up, or is constant.
    frozen_epochs, frozen_rate
        With frozen encoders, whose features are computed once.
    baseline_side, baseline_epochs, baseline_splits
        Pixels of the pictures, epochs and splits of the convolutional networks.
    """

    patients: int
    test_share: float
    splits: int
    encoder: MiTConfig
    epochs: int
    batch: int
    learning_rate: float
    cosine: bool = False
    frozen_epochs: int = 200
    frozen_rate: float = 1e-3
    baseline_side: int = 224
    baseline_epochs: int = 20
    baseline_splits: int = 5

    def fit_options(self, *, frozen: bool) -> FitOptions:
        """Return the settings of one training."""
        epochs, rate = (self.frozen_epochs, self.frozen_rate) if frozen else (self.epochs, self.learning_rate)
        return FitOptions(epochs=epochs, batch=self.batch, learning_rate=rate, cosine=self.cosine, frozen=frozen)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "smoke": Recipe(
            patients=10,
            test_share=0.2,
            splits=1,
            encoder=COMPACT_ENCODER,
            epochs=1,
            batch=4,
            learning_rate=3e-4,
            cosine=True,
            frozen_epochs=10,
            baseline_side=80,
            baseline_epochs=1,
            baseline_splits=1,
        ),
        "small": Recipe(
            patients=300,
            test_share=0.4,
            splits=2,
            encoder=COMPACT_ENCODER,
            epochs=8,
            batch=16,
            learning_rate=3e-4,
            cosine=True,
            baseline_side=80,
            baseline_epochs=12,
            baseline_splits=1,
        ),
        "full": Recipe(
            patients=192,
            test_share=0.2,
            splits=5,
            encoder=PAPER_ENCODER,
            epochs=200,
            batch=16,
            learning_rate=1e-5,
        ),
    }
)
"""Small takes one processor core about 20 minutes; full has the paper's numbers and needs a GPU."""


@dataclass(frozen=True)
class Arm:
    """One model of the tables.

    Parameters
    ----------
    name
        As the table shows it.
    tables
        Numbers of the paper's tables it appears in.
    pretrained
        Whether it starts from the checkpoint; left out where there is none.
    """

    name: str
    tables: tuple[int, ...]
    views: tuple[str, ...] = VIEWS
    fusion: Fusion = "average"
    frozen: bool = False
    pretrained: bool = False

    @property
    def key(self) -> str:
        """The model's name in files and options."""
        return _key(self.name)


def _key(name: str) -> str:
    return name.replace(", ", "_").replace(" ", "-")


DATA = "simulated patients (image-space mode), the simulated reader's label, slices cut near the true pose"
OWN_DATA = "patients given with --data"

_SINGLE = tuple((view,) for view in VIEWS)
ARMS = (
    Arm("fusion, average", (3, 4, 5, 6)),
    *(Arm(f"{v[0].upper()} only", (4, 6), views=v) for v in _SINGLE),
    Arm("fusion, average, frozen", (6,), frozen=True),
    *(Arm(f"{v[0].upper()} only, frozen", (6,), views=v, frozen=True) for v in _SINGLE),
    Arm("fusion, concatenation", (5,), fusion="concatenation"),
    Arm("fusion, learnable weights", (5,), fusion="learnable"),
    Arm("fusion, average, pre-trained", (3, 6), pretrained=True),
    Arm("fusion, average, pre-trained, frozen", (6,), frozen=True, pretrained=True),
    *(Arm(f"{v[0].upper()} only, pre-trained, frozen", (6,), views=v, frozen=True, pretrained=True) for v in _SINGLE),
)
"""The transformers of the tables; the convolutional networks of table 3 come as functions."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Trials:
    """Everything a training needs except which model and which split.

    Parameters
    ----------
    stacks, truth
        (patients, 3 views, planes, rows, columns) and (patients,) of 0 or 1.
    weights
        Of pre-trained models, or None.
    arms
        Transformers that are trained.
    given
        Training and test rows, where the data have a split.
    """

    recipe: Recipe
    seed: int
    stacks: Float
    truth: NDArray[np.int64]
    weights: MiTWeights | None
    baselines: Mapping[str, Baseline]
    arms: tuple[Arm, ...]
    given: tuple[NDArray[np.intp], NDArray[np.intp]] | None
    device: torch.device

    def jobs(self, folder: Path) -> dict[Path, tuple[int, Arm | str]]:
        """Return result file -> (split, model): all models of the first split, of the next ..., baselines last."""
        arms = [arm for arm in self.arms if self.weights is not None or not arm.pretrained]
        listed: list[tuple[int, Arm | str]] = [(split, arm) for split in range(self.recipe.splits) for arm in arms]
        repeated = range(min(self.recipe.splits, self.recipe.baseline_splits))
        listed += [(split, name) for split in repeated for name in self.baselines]
        out = {}
        for split, model in listed:
            place = folder / ("pre-trained" if isinstance(model, Arm) and model.pretrained else "")
            out[place / f"{split}-{_key(_name(model))}.csv"] = split, model
        return out

    def run(self, job: tuple[int, Arm | str], path: Path) -> None:
        """Train a model on a split's training patients and write its predictions of the test patients."""
        (split, model), before = job, time.process_time()
        rng, seed = np.random.default_rng([self.seed, split]), self.seed + split
        train, test = self.given or split_patients(self.truth.tolist(), share=self.recipe.test_share, rng=rng)
        if isinstance(model, Arm):
            values = self._predict_arm(model, train, test, seed)
        else:
            pictures = montage(self.stacks, side=self.recipe.baseline_side)
            values = self.baselines[model](pictures[train], self.truth[train], pictures[test], seed)
        table = pd.DataFrame({"split": split, "patient": test, "truth": self.truth[test], "model": _name(model)})
        table.assign(probability=values, cpu_s=time.process_time() - before).to_csv(path, index=False)

    def _predict_arm(self, arm: Arm, train: NDArray[np.intp], test: NDArray[np.intp], seed: int) -> Float:
        views = [VIEWS.index(view) for view in arm.views]
        config = MultiBranchConfig(views=arm.views, fusion=arm.fusion, encoder=self.recipe.encoder)
        network = build_multi_branch(config, seed=seed).to(self.device)
        if arm.pretrained and self.weights is not None:
            load_branches(network, self.weights)
        options = self.recipe.fit_options(frozen=arm.frozen)
        fit(network, self.stacks[train][:, views], self.truth[train].tolist(), options=options, seed=seed)
        return predict(network, self.stacks[test][:, views])


def _name(model: Arm | str) -> str:
    return model.name if isinstance(model, Arm) else model


def default_baselines(scale: str, recipe: Recipe | None = None) -> Mapping[str, Baseline]:
    """Return table 3's convolutional networks as a scale trains them, from random numbers; smoke has none."""
    recipe = recipe or pick_recipe(RECIPES, scale)
    if scale == "smoke":
        return {}
    return keras_baselines(epochs=recipe.baseline_epochs, batch=recipe.batch, side=recipe.baseline_side)


def _choose_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    """Return a recipe with other epochs in every training, where they are given."""
    return recipe if epochs is None else replace(recipe, epochs=epochs, frozen_epochs=epochs, baseline_epochs=epochs)


def _load_start(weights: str | None, recipe: Recipe) -> tuple[MiTWeights | None, str | None]:
    """Return the teacher of a checkpoint and the file's hash.

    It is tried on one branch, so that weights that do not fit are refused before anything is run.
    """
    if weights is None:
        return None, None
    loaded = read_checkpoint(Path(weights), "teacher")
    load_branches(build_multi_branch(MultiBranchConfig(views=("sa",), encoder=recipe.encoder)), loaded)
    return loaded, hashlib.sha256(Path(weights).read_bytes()).hexdigest()


def run(
    scale: str,
    out: Path,
    seed: int = 0,
    *,
    options: RunOptions | None = None,
    baselines: Mapping[str, Baseline] | None = None,
    minutes: float | None = None,
) -> Path | None:
    """Run the study into a folder, or resume there.

    Parameters
    ----------
    scale
        A key of `RECIPES`.
    out
        Gets ``cohort/`` and ``jobs/`` (what is finished so far), then ``predictions.csv``, ``table.csv``,
        ``answers.csv``, ``table.md``, ``roc.png``, ``confusion.png`` (at 0.5, all splits together) and
        ``manifest.json``.
    seed
        Of patients, splits, weights and augmentation.
    options
        `data`: one's own patients, see `read_own_cases`, whose split, where they have one, replaces the repeated ones.
        `weights`: UniMiSS checkpoint whose teacher the pre-trained models start from; None: these are left out.
        `networks`: see `Arm.key`. Both can be added to a folder later.
    baselines
        Name -> a function that trains on pictures and predicts; table 3's other models. None: those of
        `default_baselines`.
    minutes
        Start no training after so many minutes; None: run to the end.

    Returns
    -------
    Path of ``table.md``, or None when trainings are left to do; the tables then hold the finished ones.

    Raises
    ------
    InputError
        When the scale is unknown, the weights do not fit, or the folder holds results of other settings.
    """
    options, began, out = options or RunOptions(), time.monotonic(), Path(out)
    recipe = _choose_epochs(pick_recipe(RECIPES, scale), options.epochs)
    loaded, start = _load_start(options.weights, recipe)
    chosen = default_baselines(scale, recipe) if baselines is None else baselines
    known = [arm.key for arm in ARMS] + list(chosen)
    names = choose_names("--networks", options.networks, known, known)
    shape = recipe.encoder.volume_shape
    own = None if options.data is None else read_own_cases(options.data, shape)
    settings = {"scale": scale, "seed": seed, "size": asdict(recipe)}
    settings |= {} if own is None else {"data_sha256": own.sha256}
    claim_folder(out / "jobs", settings)
    if start is not None:
        claim_folder(out / "jobs" / "pre-trained", settings | {"start": start})
    if own is None:
        cases = collect_cases(out / "cohort", recipe.patients, seed, shape=shape, quiet=options.quiet)
        stacks, truth, given = cases.stacks.astype(np.float32), cases.expert, None
    else:
        stacks, truth, given = own.stacks, own.labels, own.split()
        own.refused.to_csv(out / "refused.csv", index=False)
    trials = _Trials(
        recipe=recipe if given is None else replace(recipe, splits=1),
        seed=seed,
        stacks=stacks,
        truth=truth,
        weights=loaded,
        baselines={name: chosen[name] for name in chosen if name in names},
        arms=tuple(arm for arm in ARMS if arm.key in names),
        given=given,
        device=resolve_device(options.device),
    )
    about: dict[str, Any] = {"scale": scale, "data": DATA if own is None else OWN_DATA}
    about |= {"pre_trained_start_from": start and f"UniMiSS weights, sha256 {start}"}
    jobs, until = trials.jobs(out / "jobs"), None if minutes is None else began + 60 * minutes
    outcome = run_jobs(jobs, trials.run, title="trainings", quiet=options.quiet, until=until)
    _write_results(out, trials, about | {"size": asdict(recipe), "trainings_in_all": len(jobs)})
    return None if outcome.left else out / "table.md"


def _write_results(out: Path, trials: _Trials, about: Mapping[str, Any]) -> None:
    """Write tables and manifest of the trainings that are done; nothing if none is."""
    files = sorted((out / "jobs").rglob("*.csv"))
    if not files:
        return
    manifest = {
        "schema": "myoperf.study/1",
        "study": "multi-branch-mit",
        "seed": trials.seed,
        "myoperf": __version__,
        "trainings_done": len(files),
        "patients": len(trials.truth),
        "abnormal": int(trials.truth.sum()),
        **about,
    }
    _write_tables(out, pd.concat([pd.read_csv(path) for path in files], ignore_index=True), manifest)


def _write_tables(out: Path, predictions: pd.DataFrame, manifest: Mapping[str, Any]) -> None:
    """Write all predictions, in the order of the arms, their tables and the manifest."""
    names = [arm.name for arm in ARMS]
    order = predictions["model"].map(lambda name: names.index(name) if name in names else len(names))
    predictions = predictions.iloc[np.lexsort((predictions["patient"], predictions["split"], order))]
    predictions.to_csv(out / "predictions.csv", index=False)
    numbers = {arm.name: " ".join(map(str, arm.tables)) for arm in ARMS}
    table = measure_models(predictions, numbers, manifest["seed"])
    answers = answer_questions(predictions, manifest["seed"])
    spent = predictions.groupby(["model", "split"])["cpu_s"].first().groupby("model").sum()
    table["cpu_s"] = table["model"].map(spent)
    scale = str(manifest["scale"])
    for name, frame in (("table", table), ("answers", answers)):
        mark_scale(frame, scale).to_csv(out / f"{name}.csv", index=False, float_format="%.5g")
    write_manifest(out, manifest)
    by_model = {str(name): part for name, part in predictions.groupby("model", sort=False)}
    lines = [(name, part["truth"].to_numpy(), part["probability"].to_numpy()) for name, part in by_model.items()]
    draw_roc({"all models": lines}).savefig(out / "roc.png", dpi=150)
    called = {name: (truth, (score >= 0.5).astype(int)) for name, truth, score in lines}
    draw_confusion(called).savefig(out / "confusion.png", dpi=150)
    heading = (f"{SMOKE}\n\n" if scale == "smoke" else "") + (
        f"# Multi-branch MiT, scale {manifest['scale']}\n\n{manifest['patients']} {manifest['data']}; "
        f"{manifest['abnormal']} abnormal. Encoders start from random numbers, those called pre-trained from UniMiSS "
        "weights. Areas are means over splits by patient, 95 % intervals by bootstrap over patients, F1, sensitivity "
        "and specificity at 0.5. Research use only.\n\n"
    )
    (out / "table.md").write_text(heading + markdown(table, answers), encoding="utf-8")
