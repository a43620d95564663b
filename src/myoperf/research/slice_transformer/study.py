"""``myoperf study multi-branch-mit``: tables 3 to 6 of Zhao et al. (see `multi_branch`) on simulated patients.

Compared by repeated splits by patient: the fused model, single axes, three fusions, fine-tuned and frozen encoders,
random and UniMiSS start, and convolutional baselines on the same slices laid out as a picture. The label is the
simulated reader's, as in the paper it is the readers'. The paper's models all start from UniMiSS weights, and its
convolutional networks from ImageNet's; here the tables start from random numbers unless weights are given. Every
training's predictions are a file of their own, so an interrupted study resumes.
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

from myoperf.errors import InputError, MissingWeightsError
from myoperf.pipeline.device import resolve_device
from myoperf.pipeline.jobs import claim_folder, run_jobs
from myoperf.research.slice_transformer.arms import ARMS, Arm, key_of
from myoperf.research.slice_transformer.baselines import (
    RANDOM_START,
    Baseline,
    BaselineStart,
    keras_baselines,
    montage,
)
from myoperf.research.slice_transformer.cases import collect_cases
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.mit_weights import MiTWeights, Positions, read_checkpoint
from myoperf.research.slice_transformer.multi_branch import (
    COMPACT_ENCODER,
    PAPER_ENCODER,
    MultiBranchConfig,
    build_multi_branch,
    load_branches,
)
from myoperf.research.slice_transformer.own_cases import read_own_cases
from myoperf.research.slice_transformer.results import write_results
from myoperf.research.slice_transformer.training import FitOptions, fit, predict, split_patients
from myoperf.research.training.options import RunOptions, choose_names
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.tables import require_finished
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


DATA = "simulated patients (image-space mode), the simulated reader's label, slices cut near the true pose"
OWN_DATA = "patients given with --data"


@dataclass(frozen=True, eq=False, kw_only=True)
class _Patients:
    """Whom a study trains and tests on.

    Attributes
    ----------
    stacks, truth, names
        (patients, 3 views, planes, rows, columns), (patients,) of 0 or 1, and (patients,).
    given
        Training and test rows, where the data have a split.
    sha256
        Of one's own data; None: simulated.
    """

    stacks: Float
    truth: NDArray[np.int64]
    names: NDArray[Any]
    given: tuple[NDArray[np.intp], NDArray[np.intp]] | None
    sha256: str | None


@dataclass(frozen=True, eq=False, kw_only=True)
class _Trials:
    """Everything a training needs except which model and which split.

    Parameters
    ----------
    weights, positions
        Of pre-trained models, or None; how their positions are resized.
    baselines, start
        Functions by the tables' names, and what they start from.
    arms
        Transformers that are trained.
    """

    recipe: Recipe
    seed: int
    patients: _Patients
    weights: MiTWeights | None
    positions: Positions
    baselines: Mapping[str, Baseline]
    start: BaselineStart
    arms: tuple[Arm, ...]
    device: torch.device

    def jobs(self, folder: Path) -> dict[Path, tuple[int, Arm | str]]:
        """Return result file -> (split, model): all models of the first split, of the next ..., baselines last."""
        arms = [arm for arm in self.arms if self.weights is not None or not arm.pretrained]
        listed: list[tuple[int, Arm | str]] = [(split, arm) for split in range(self.recipe.splits) for arm in arms]
        repeated = range(min(self.recipe.splits, self.recipe.baseline_splits))
        listed += [(split, name) for split in repeated for name in self.baselines]
        return {
            self._folder(folder, model) / f"{split}-{key_of(_name(model))}.csv": (split, model)
            for split, model in listed
        }

    def _folder(self, folder: Path, model: Arm | str) -> Path:
        """Return the folder of a model's results: those of models that start from weights have one of their own."""
        if isinstance(model, Arm):
            return folder / "pre-trained" if model.pretrained else folder
        return folder if self.start.kind == "none" else folder / self.start.kind

    def run(self, job: tuple[int, Arm | str], path: Path) -> None:
        """Train a model on a split's training patients and write its predictions of the test patients."""
        (split, model), before, those = job, time.process_time(), self.patients
        rng, seed = np.random.default_rng([self.seed, split]), self.seed + split
        train, test = those.given or split_patients(those.truth.tolist(), share=self.recipe.test_share, rng=rng)
        if isinstance(model, Arm):
            values = self._predict_arm(model, train, test, seed)
        else:
            pictures = montage(those.stacks, side=self.recipe.baseline_side)
            values = self.baselines[model](pictures[train], those.truth[train], pictures[test], seed)
        table = pd.DataFrame({"split": split, "patient": those.names[test], "truth": those.truth[test]})
        table = table.assign(model=_name(model), probability=values, cpu_s=time.process_time() - before)
        table.to_csv(path, index=False)

    def _predict_arm(self, arm: Arm, train: NDArray[np.intp], test: NDArray[np.intp], seed: int) -> Float:
        network = build_multi_branch(arm.config(self.recipe.encoder), seed=seed).to(self.device)
        if arm.pretrained and self.weights is not None:
            load_branches(network, self.weights, positions=self.positions)
        options, stacks = self.recipe.fit_options(frozen=arm.frozen), self.patients.stacks
        fit(network, stacks[train][:, arm.columns], self.patients.truth[train].tolist(), options=options, seed=seed)
        return predict(network, stacks[test][:, arm.columns])


def _name(model: Arm | str) -> str:
    return model.name if isinstance(model, Arm) else model


def default_baselines(
    scale: str, recipe: Recipe | None = None, *, start: BaselineStart = RANDOM_START, device: str = "cpu"
) -> Mapping[str, Baseline]:
    """Return table 3's convolutional networks as a scale trains them; smoke has none."""
    recipe = recipe or pick_recipe(RECIPES, scale)
    if scale == "smoke":
        return {}
    return keras_baselines(
        epochs=recipe.baseline_epochs, batch=recipe.batch, side=recipe.baseline_side, start=start, device=device
    )


def _choose_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    """Return a recipe with other epochs in every training, where they are given."""
    return recipe if epochs is None else replace(recipe, epochs=epochs, frozen_epochs=epochs, baseline_epochs=epochs)


def _load_start(options: RunOptions, recipe: Recipe) -> tuple[MiTWeights | None, str | None]:
    """Return the teacher of a checkpoint and the file's hash.

    It is tried on one branch, so that weights that do not fit are refused before anything is run.
    """
    if options.weights in (None, "none"):
        if options.positions != "grid":
            raise InputError("--positions says how the positions of --weights are resized; give a checkpoint too.")
        return None, None
    file = Path(str(options.weights))
    loaded = read_checkpoint(file, "teacher")
    one = build_multi_branch(MultiBranchConfig(views=("sa",), encoder=recipe.encoder))
    load_branches(one, loaded, positions=options.positions)
    return loaded, hashlib.sha256(file.read_bytes()).hexdigest()


def _read_patients(data: Path, recipe: Recipe, out: Path, options: RunOptions) -> _Patients:
    """Read one's own patients; what cannot be read is listed in ``refused.csv``."""
    own = read_own_cases(data, recipe.encoder.volume_shape, order=options.order, scale=options.colour_scale)
    out.mkdir(parents=True, exist_ok=True)
    own.refused.to_csv(out / "refused.csv", index=False)
    return _Patients(stacks=own.stacks, truth=own.labels, names=own.patients, given=own.split(), sha256=own.sha256)


def _draw_patients(recipe: Recipe, out: Path, seed: int, *, quiet: bool) -> _Patients:
    """Simulate the recipe's patients, whose label is the simulated reader's."""
    shape = recipe.encoder.volume_shape
    cases = collect_cases(out / "cohort", recipe.patients, seed, shape=shape, quiet=quiet)
    stacks = cases.stacks.astype(np.float32)
    return _Patients(stacks=stacks, truth=cases.expert, names=np.arange(len(stacks)), given=None, sha256=None)


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
        Gets ``cohort/`` and ``jobs/`` (what is finished so far), then what `results.write_results` writes, and
        ``missing.csv`` with the networks whose weights are not to be had.
    seed
        Of patients, splits, weights and augmentation.
    options
        `data`: one's own patients, see `read_own_cases`, whose split, where they have one, replaces the repeated ones.
        `weights`: UniMiSS checkpoint whose teacher the pre-trained models start from; None: these are left out.
        `networks`: see `Arm.key`. `baseline_weights`: see `BaselineStart`; by default random numbers, at scale full
        ImageNet's weights, as in the paper. All three can be added to a folder later.
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
    MissingWeightsError
        When no model that was asked for has its weights.
    """
    options, began, out = options or RunOptions(), time.monotonic(), Path(out)
    recipe = _choose_epochs(pick_recipe(RECIPES, scale), options.epochs)
    loaded, checkpoint = _load_start(options, recipe)
    start = BaselineStart.of(options.baseline_weights or ("imagenet" if scale == "full" else "none"))
    device = resolve_device(options.device)
    chosen = default_baselines(scale, recipe, start=start, device=device.type) if baselines is None else baselines
    if options.baseline_weights is not None and not chosen:
        raise InputError(f"Scale {scale} trains no convolutional network; --baseline-weights is for small and full.")
    known = [arm.key for arm in ARMS] + list(chosen)
    names = choose_names("--networks", options.networks, known, known)
    own = None if options.data is None else _read_patients(options.data, recipe, out, options)
    settings = {"scale": scale, "seed": seed, "size": asdict(recipe)}
    settings |= {} if own is None else {"data_sha256": own.sha256, **options.reading()}
    _claim_folders(out / "jobs", settings, checkpoint=checkpoint, positions=options.positions, start=start)
    patients = own or _draw_patients(recipe, out, seed, quiet=options.quiet)
    trials = _Trials(
        recipe=recipe if patients.given is None else replace(recipe, splits=1),
        seed=seed,
        patients=patients,
        weights=loaded,
        positions=options.positions,
        baselines={start.title(name): chosen[name] for name in chosen if name in names},
        start=start,
        arms=tuple(arm for arm in ARMS if arm.key in names),
        device=device,
    )
    jobs, until = trials.jobs(out / "jobs"), None if minutes is None else began + 60 * minutes
    expected = (MissingWeightsError,)
    outcome = run_jobs(jobs, trials.run, title="trainings", quiet=options.quiet, until=until, expected=expected)
    require_finished(out, outcome.failed, list(jobs))
    about = {
        "scale": scale,
        "seed": seed,
        "data": DATA if patients.sha256 is None else OWN_DATA,
        "data_sha256": patients.sha256,
        "pre_trained_start_from": checkpoint and f"UniMiSS weights, sha256 {checkpoint}",
        "positions": options.positions,
        "convolutional_networks_start_from": start.kind,
        "size": asdict(recipe),
        "trainings_in_all": len(jobs),
        "patients": len(patients.truth),
        "abnormal": int(patients.truth.sum()),
    }
    write_results(out, about)
    return None if outcome.left else out / "table.md"


def _claim_folders(
    jobs: Path, settings: Mapping[str, Any], *, checkpoint: str | None, positions: Positions, start: BaselineStart
) -> None:
    """Claim the folder of the jobs, and those of models that start from weights, each with what they start from."""
    claim_folder(jobs, settings)
    if checkpoint is not None:
        resized = {} if positions == "grid" else {"positions": positions}
        claim_folder(jobs / "pre-trained", {**settings, "start": checkpoint, **resized})
    if start.kind != "none":
        claim_folder(jobs / start.kind, {**settings, "start": start.fingerprint()})
