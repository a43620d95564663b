"""The multi-branch Medical Transformer's experiments (paper 000, tables 3 to 6) on simulated patients.

Compared by repeated splits by patient: the fused model, single axes, three fusions, fine-tuned and frozen
encoders, random and UniMiSS start, and convolutional baselines on the same slices laid out as a picture. The label is
the simulated reader's, as in the paper it is the readers'. The paper's models all start from UniMiSS weights; here the
tables start from random numbers, and pre-trained models stand beside them. Every training's predictions are a file of
their own, so a run that stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.pipeline.jobs import claim_folder
from myoperf.research.slice_stacks import resize_stack
from myoperf.research.slice_transformer.baselines import keras_baselines
from myoperf.research.slice_transformer.cases import PAPER_POPULATION, collect_cases
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.mit_weights import read_checkpoint, read_config
from myoperf.research.slice_transformer.multi_branch import MultiBranchConfig, build_multi_branch, load_branches
from myoperf.research.slice_transformer.tables import answer_questions, markdown, measure_models
from myoperf.research.slice_transformer.training import FitOptions, fit, predict, split_patients
from myoperf.types import Float

__all__ = ["ARMS", "SCALES", "Arm", "Scale", "default_baselines", "montage", "run"]


@dataclass(frozen=True)
class Scale:
    """How large a run is; only ``full`` is the paper's.

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
        """Say how a model is trained."""
        epochs, rate = (self.frozen_epochs, self.frozen_rate) if frozen else (self.epochs, self.learning_rate)
        return FitOptions(epochs=epochs, batch=self.batch, learning_rate=rate, cosine=self.cosine, frozen=frozen)


_COMPACT = MiTConfig("tiny", "batch", "relu", volume_shape=(16, 32, 32), modes=("3D",))
SCALES: Mapping[str, Scale] = {
    "smoke": Scale(10, 0.2, 1, _COMPACT, 1, 4, 3e-4, True, 10, 1e-3, 80, 1, 1),
    "small": Scale(300, 0.4, 2, _COMPACT, 8, 16, 3e-4, True, 200, 1e-3, 80, 12, 1),
    "full": Scale(192, 0.2, 5, MiTConfig("small", volume_shape=(32, 96, 96), modes=("3D",)), 200, 16, 1e-5),
}
"""``small`` is takes one processor core about 20 minutes; ``full`` has the paper's numbers and wants a GPU."""


@dataclass(frozen=True)
class Arm:
    """One model of the tables.

    Parameters
    ----------
    name
        As the table shows it.
    tables
        Numbers of the paper's tables it stands in.
    pretrained
        Whether it starts from the checkpoint; left out where there is none.
    """

    name: str
    tables: tuple[int, ...]
    views: tuple[str, ...] = ("sa", "hla", "vla")
    fusion: Literal["average", "concatenation", "learnable"] = "average"
    frozen: bool = False
    pretrained: bool = False


_FUSED, _SINGLE = ("sa", "hla", "vla"), (("sa",), ("hla",), ("vla",))
ARMS = (
    Arm("fusion, average", (3, 4, 5, 6)),
    *(Arm(f"{view[0].upper()} only", (4, 6), views=view) for view in _SINGLE),
    Arm("fusion, average, frozen", (6,), frozen=True),
    *(Arm(f"{view[0].upper()} only, frozen", (6,), views=view, frozen=True) for view in _SINGLE),
    Arm("fusion, concatenation", (5,), fusion="concatenation"),
    Arm("fusion, learnable weights", (5,), fusion="learnable"),
    Arm("fusion, average, pre-trained", (3, 6), pretrained=True),
    Arm("fusion, average, pre-trained, frozen", (6,), frozen=True, pretrained=True),
    *(Arm(f"{v[0].upper()} only, pre-trained, frozen", (6,), views=v, frozen=True, pretrained=True) for v in _SINGLE),
)
"""The models of tables 4 to 6, from random numbers and, where weights are given, pre-trained; table 3's baselines
come as functions."""

Baseline = Callable[[Float, NDArray[Any], Float, int], Float]
"""(training pictures (n, 3, side, side), labels, test pictures, seed) -> probability of each test picture."""


def montage(stacks: Float, *, side: int = 224) -> Float:
    """Lay the planes of every view out as a square picture, the views as its colours, for networks of photographs.

    Parameters
    ----------
    stacks
        (patients, 3 views, planes, rows, columns).

    Returns
    -------
    (patients, 3, side, side) float32.
    """
    n, views, planes = stacks.shape[:3]
    grid = int(np.ceil(np.sqrt(planes)))
    tile = side // grid
    pictures = np.zeros((n, views, side, side), np.float32)
    for i in range(n):
        for v in range(views):
            tiles = resize_stack(stacks[i, v], (planes, tile, tile))
            for k, plane in enumerate(tiles):
                y, x = divmod(k, grid)
                pictures[i, v, y * tile : (y + 1) * tile, x * tile : (x + 1) * tile] = plane
    return pictures


@dataclass(frozen=True, eq=False)
class _Trials:
    """All that a training needs but which model and which split.

    Parameters
    ----------
    stacks, truth
        (patients, 3 views, planes, rows, columns) and (patients,) of 0 or 1.
    weights
        UniMiSS checkpoint, or None.
    """

    size: Scale
    seed: int
    stacks: Float
    truth: NDArray[np.int64]
    weights: Path | None
    baselines: Mapping[str, Baseline]

    def jobs(self) -> list[tuple[int, Arm | str]]:
        """List every (split, model): all models of the first split, of the next ..., baselines last."""
        arms = [arm for arm in ARMS if self.weights is not None or not arm.pretrained]
        listed: list[tuple[int, Arm | str]] = []
        for split in range(self.size.splits):
            listed += [(split, arm) for arm in arms]
        repeated = range(min(self.size.splits, self.size.baseline_splits))
        return listed + [(split, name) for split in repeated for name in self.baselines]

    def split(self, number: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Give the training and the test patients of a split."""
        rng = np.random.default_rng([self.seed, number])
        train, test = split_patients(self.truth.tolist(), share=self.size.test_share, rng=rng)
        return np.asarray(train, dtype=np.intp), np.asarray(test, dtype=np.intp)

    def run(self, split: int, job: Arm | str) -> pd.DataFrame:
        """Train one model on a split's training patients and predict its test patients."""
        before, (train, test), seed = time.process_time(), self.split(split), self.seed + split
        if isinstance(job, Arm):
            values = self._arm(job, train, test, seed)
        else:
            pictures = montage(self.stacks, side=self.size.baseline_side)
            values = self.baselines[job](pictures[train], self.truth[train], pictures[test], seed)
        done = pd.DataFrame({"split": split, "patient": test, "truth": self.truth[test], "model": _name(job)})
        return done.assign(probability=values, cpu_s=time.process_time() - before)

    def _arm(self, arm: Arm, train: NDArray[np.intp], test: NDArray[np.intp], seed: int) -> Float:
        views = [("sa", "hla", "vla").index(view) for view in arm.views]
        config = MultiBranchConfig(views=arm.views, fusion=arm.fusion, encoder=self.size.encoder)
        network = build_multi_branch(config, seed=seed)
        if self.weights is not None and arm.pretrained:
            load_branches(network, read_checkpoint(self.weights, "teacher"), published=read_config(self.weights))
        options = self.size.fit_options(frozen=arm.frozen)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fit(network, self.stacks[train][:, views], self.truth[train].tolist(), options=options, seed=seed)
        return predict(network, self.stacks[test][:, views])


def default_baselines(scale: str) -> Mapping[str, Baseline]:
    """Give table 3's convolutional networks as a scale trains them, from random numbers; smoke has none."""
    size = SCALES[scale]
    if scale == "smoke":
        return {}
    return keras_baselines(epochs=size.baseline_epochs, batch=size.batch, side=size.baseline_side)


def _name(job: Arm | str) -> str:
    return job.name if isinstance(job, Arm) else job


def run(
    scale: str,
    out: Path,
    seed: int = 0,
    *,
    weights: Path | None = None,
    baselines: Mapping[str, Baseline] | None = None,
    minutes: float | None = None,
    models: Collection[str] | None = None,
    patients: Path | None = None,
    report: Callable[[str], None] | None = None,
) -> Path | None:
    """Run the study into a folder, or go on from what is there.

    Parameters
    ----------
    scale
        A key of `SCALES`.
    out
        Gets ``cohort/`` and ``jobs/`` (what was done so far), then ``predictions.csv``, ``table.csv``,
        ``answers.csv``, ``table.md`` and ``manifest.json``.
    seed
        Of patients, splits, weights and augmentation.
    weights
        UniMiSS checkpoint whose teacher the branches of the pre-trained models start from (see
        `mit_weights.read_checkpoint`); None: those models are left out. They can be added to a folder later.
    baselines
        Name -> a function that trains on pictures and predicts; table 3's other models. None: the paper's four from
        random numbers, at scale smoke none.
    minutes
        Start no training after so many minutes; None: go to the end.
    models
        Train these only, now; None: all.
    patients
        Folder of simulated patients of this and other seeds; default: ``cohort`` in `out`.
    report
        Called with a line of progress.

    Returns
    -------
    Path of ``table.md``, or None when trainings are left to do; the tables then hold what was done.

    Raises
    ------
    InputError
        When the scale is unknown, or the folder holds jobs of other settings.
    """
    if scale not in SCALES:
        raise InputError(f"A scale is one of {', '.join(SCALES)}; got {scale!r}.")
    if weights is not None:
        _check_start(Path(weights), SCALES[scale].encoder)
    size, out, began, said = SCALES[scale], Path(out), time.monotonic(), report or (lambda line: None)
    start = None if weights is None else hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    settings = json.loads(json.dumps({"scale": scale, "seed": seed, "size": asdict(size)}))
    claim_folder(out / "jobs", settings)
    if weights is not None:
        claim_folder(out / "jobs" / "pre-trained", settings | {"start": start})
    cases = collect_cases(
        patients or out / "cohort",
        size.patients,
        seed,
        shape=size.encoder.volume_shape,
        options=PAPER_POPULATION,
        report=lambda n: said(f"{n} of {size.patients} patients simulated"),
    )
    others = default_baselines(scale) if baselines is None else baselines
    trials = _Trials(size, seed, cases.stacks.astype(np.float32), cases.expert, weights, others)
    _train_missing(trials, out / "jobs", models, None if minutes is None else began + 60 * minutes, said)
    jobs = trials.jobs()
    finished = len(list((out / "jobs").rglob("*.csv")))
    if finished:
        _write(out, size, scale, seed, start, int(trials.truth.sum()), (finished, len(jobs)))
    return out / "table.md" if finished >= len(jobs) else None


def _train_missing(
    trials: _Trials, folder: Path, models: Collection[str] | None, end: float | None, said: Callable[[str], None]
) -> None:
    """Train what has no table in the folder yet, of `models` if they are told; begin nothing after `end`."""
    for split, job in trials.jobs():
        place = folder / ("pre-trained" if isinstance(job, Arm) and job.pretrained else "")
        path = place / f"{split}-{_name(job).replace(', ', '_').replace(' ', '-')}.csv"
        if path.exists() or (models is not None and _name(job) not in models):
            continue
        if end is not None and time.monotonic() > end:
            said("time is up; run again to go on")
            return
        done = trials.run(split, job)
        done.to_csv(path.with_suffix(".part"), index=False)
        path.with_suffix(".part").replace(path)
        said(f"split {split + 1}, {_name(job)}: {done['cpu_s'].iloc[0]:.0f} s of processor time")


def _check_start(weights: Path, encoder: MiTConfig) -> None:
    """Refuse weights that do not fit the encoder, before anything is simulated."""
    network = build_multi_branch(MultiBranchConfig(views=("sa",), encoder=encoder))
    load_branches(network, read_checkpoint(weights, "teacher"), published=read_config(weights))


def _write(
    out: Path, size: Scale, scale: str, seed: int, start: str | None, abnormal: int, jobs: tuple[int, int]
) -> None:
    """Put all jobs' predictions together and measure them."""
    files = sorted((out / "jobs").rglob("*.csv"))
    predictions = pd.concat([pd.read_csv(path) for path in files], ignore_index=True)
    names = {arm.name: index for index, arm in enumerate(ARMS)}
    order = predictions["model"].map(lambda name: names.get(name, len(names)))
    predictions = predictions.iloc[np.lexsort((predictions["patient"], predictions["split"], order))]
    predictions.to_csv(out / "predictions.csv", index=False)
    tables = {arm.name: " ".join(map(str, arm.tables)) or "-" for arm in ARMS}
    table, answers = measure_models(predictions, tables, seed), answer_questions(predictions, seed)
    spent = predictions.groupby(["model", "split"])["cpu_s"].first().groupby("model").sum()
    table["cpu_s"] = table["model"].map(spent)
    table.to_csv(out / "table.csv", index=False, float_format="%.5g")
    answers.to_csv(out / "answers.csv", index=False, float_format="%.5g")
    manifest = {
        "schema": "myoperf.study/1",
        "study": "multi-branch-mit",
        "scale": scale,
        "seed": seed,
        "myoperf": __version__,
        "data": "simulated patients (image-space mode), the simulated reader's label, slices cut near the true pose",
        "pre_trained_start_from": start and f"UniMiSS weights, sha256 {start}",
        "trainings_done": jobs[0],
        "trainings_in_all": jobs[1],
        "size": asdict(size),
        "patients": size.patients,
        "abnormal": abnormal,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    heading = (
        f"# Multi-branch MiT, scale {scale}\n\n{size.patients} {manifest['data']}; {abnormal} abnormal. Encoders start "
        f"from random numbers, those called pre-trained from UniMiSS weights. Areas are means over splits by patient, "
        "95 % intervals by bootstrap over patients, F1, sensitivity and specificity at 0.5. Research use only.\n\n"
    )
    (out / "table.md").write_text(heading + markdown(table, answers))
