"""The study of Hai et al. 2022, two-stage transfer learning on stress polar maps: ``myoperf study two-stage``.

Run on simulated patients: 112 with and 106 without disease, split 80/20 within each class as in the paper; a fifth of
the training part chooses the epoch. Fresh patients that were in no part are predicted too, as the test part is small.
Or run on one's own maps with a class a patient, as the paper's were, split the same way; there is then no other
test than the test part.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from myoperf import __version__
from myoperf.errors import InputError, MissingWeightsError
from myoperf.pipeline.device import resolve_device
from myoperf.pipeline.jobs import claim_folder, run_jobs, write_whole
from myoperf.research.backbones.keras_backbones import BACKBONES, TABLE_2, read_layer_counts
from myoperf.research.screenshots.labelled_maps import find_maps
from myoperf.research.screenshots.screen_folder import ScreenFolder
from myoperf.research.training.arrays import save_arrays
from myoperf.research.training.options import RunOptions
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.tables import require_finished
from myoperf.research.transfer_learning.data import (
    SIMULATED,
    Discs,
    describe_screens,
    discs_from_screens,
    require_patients,
    simulated_discs,
)
from myoperf.research.transfer_learning.head_tuning import TunedHead, tune_head
from myoperf.research.transfer_learning.networks import make_backbone, save_classifier, spec_of, to_range
from myoperf.research.transfer_learning.recipes import RECIPES, Recipe, Run, choose_runs
from myoperf.research.transfer_learning.tables import write_tables
from myoperf.research.transfer_learning.training import (
    STRATEGIES,
    Classifier,
    Examples,
    Fitted,
    Schedule,
    activation_map,
    backbone_features,
    fit_strategy,
    predict,
)

Choice = Literal["validation", "test as in the paper"]


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


@dataclass(frozen=True, eq=False)
class Trainings:
    """Everything the trainings of a study share.

    Attributes
    ----------
    discs
        Discs of a number of rows and columns.
    folder
        Of the results.
    chooser
        Part that chooses the epoch.
    device
        That networks are trained on.
    """

    recipe: Recipe
    discs: Callable[[int], Discs]
    folder: Path
    chooser: str
    seed: int
    device: str

    def tunings(self) -> dict[Path, Callable[[], dict[str, Any]]]:
        """List the tunings of the heads by result file: one for each network and start; none without trials."""
        runs = self.recipe.runs if self.recipe.trials else ()
        return {self._tuned_file(run.network, run.start): partial(self.tune, run) for run in runs}

    def tune_heads(self, *, quiet: bool) -> None:
        """Run the tunings that are not finished; where weights are missing, the training says so."""
        run_jobs(self.tunings(), _write_row, title="tuning", quiet=quiet, expected=(MissingWeightsError,))

    def jobs(self) -> dict[Path, Callable[[], dict[str, Any]]]:
        """List the trainings by result file."""
        first = self.recipe.runs[0]
        return {
            self.folder / f"{run.network}-{run.start}-{number}.json": partial(
                self.train, run, number, show=run is first
            )
            for run in self.recipe.runs
            for number in run.strategies
        }

    def data(self, network: str) -> Discs:
        """Return the discs at a network's size."""
        return self.discs(self.recipe.input_size or spec_of(network).input_size)

    def pictures(self, data: Discs, part: str, network: str) -> Examples:
        """Return a part's pictures as a network takes them, with labels."""
        rows = data.parts[part]
        pictures = to_range(data.discs[rows], spec_of(network).input_range).to(self.device)
        return Examples((pictures,), torch.from_numpy(data.labels[rows]).to(self.device))

    def schedule(self, run: Run) -> Schedule:
        """Return the schedule of a network: with the head and rate that Hyperband chose, or the paper's."""
        file = self._tuned_file(run.network, run.start)
        if self.recipe.trials and file.exists():
            tuned = json.loads(file.read_text(encoding="utf-8"))
            return TunedHead(**{name: tuned[name] for name in TunedHead.__dataclass_fields__}).schedule(
                self.recipe.schedule
            )
        return replace(self.recipe.schedule, rate_exponent=spec_of(run.network).rate_exponent)

    def fit(self, run: Run, number: int) -> tuple[Classifier, Fitted]:
        """Train one network by one strategy."""
        name, data = run.network, self.data(run.network)
        weights = run.weights if STRATEGIES[number].pretrained else None
        backbone = make_backbone(name, weights, data.discs.shape[1], self.seed, self.device)
        train, choose = (self.pictures(data, part, name) for part in ("train", self.chooser))
        fitted = fit_strategy(number, backbone, train, choose, self.schedule(run), seed=self.seed)
        return Classifier(backbone, fitted.head), fitted

    def train(self, run: Run, number: int, *, show: bool) -> dict[str, Any]:
        """Train one network by one strategy; return probabilities and how the training went; keep the model.

        Parameters
        ----------
        show
            Draw activation maps of some test patients too.
        """
        name, start = run.network, time.process_time()
        network, fitted = self.fit(run, number)
        row: dict[str, Any] = {
            "network": name,
            "strategy": number,
            "weights": run.start if STRATEGIES[number].pretrained else "random",
            "cpu_seconds": round(time.process_time() - start, 2),
            "chosen_epoch": fitted.chosen_epoch,
            "accuracy_curve": fitted.accuracy,
            "loss_curve": fitted.loss,
        }
        data, schedule = self.data(name), self.schedule(run)
        for part in data.tested:
            probability = predict(network, self.pictures(data, part, name).inputs[0]).cpu()
            row[part] = data.by_patient(part, probability.double().numpy()).tolist()
        place = self.folder.parent / "models" / f"{name}-{run.start}-{number}"
        card = {"strategy": number, "version": __version__, "licence": "Apache-2.0", "schedule": asdict(schedule)}
        save_classifier(place, network, card, network=name, shape=data.discs.shape[1:], schedule=schedule)
        if show:
            self._show(network, data, self.pictures(data, "test", name), number)
        return row | {"truth": {part: data.truth(part) for part in data.tested}}

    def _show(self, network: Classifier, data: Discs, pictures: Examples, number: int) -> None:
        """Keep the activation maps of three patients with and three without disease, the same for every strategy."""
        truth, images = pictures.labels.cpu().numpy(), pictures.inputs[0]
        rows = [int(i) for label in (1, 0) for i in np.flatnonzero(truth == label)[:3]]
        maps = np.stack([activation_map(network, images[i]).cpu().numpy() for i in rows])
        arrays: dict[str, NDArray[Any]] = {
            "maps": maps,
            "discs": data.discs[data.parts["test"][rows]],
            "truth": truth[rows],
            "probability": predict(network, images[rows]).cpu().numpy(),
        }
        with write_whole(self.folder / f"cam-{number}.npz") as part:
            save_arrays(part, arrays)

    def _tuned_file(self, network: str, start: str) -> Path:
        return self.folder / f"hyperband-{network}-{start}.json"

    def tune(self, run: Run) -> dict[str, Any]:
        """Choose a network's head and rate by Hyperband on its features, before it is trained."""
        data = self.data(run.network)
        backbone = make_backbone(run.network, run.weights, data.discs.shape[1], self.seed, self.device)
        parts = [self.pictures(data, part, run.network) for part in ("train", "validation")]
        train, held = (Examples((backbone_features(backbone, p.inputs[0]),), p.labels) for p in parts)
        trials = self.recipe.trials
        head = tune_head(train, held, self.recipe.schedule, trials=trials, seed=self.seed)
        return {"network": run.network, "weights": run.start, "trials": trials, **asdict(head)}


def make_trainings(
    recipe: Recipe, out: Path, seed: int, options: RunOptions, *, chooser: str = "validation"
) -> tuple[Trainings, ScreenFolder | None]:
    """Prepare the trainings of a recipe on the user's own maps, which are found here, or on simulated patients."""
    maps = None if options.data is None else find_maps(options.data)
    if options.colours and maps is None:
        raise InputError("--keep-colours needs pictures (--data): simulated maps have no colours.")
    if maps is not None:
        require_patients(maps.screens)

    @cache
    def discs(side: int) -> Discs:
        if maps is not None:
            return discs_from_screens(maps, side=side, seed=seed, out=out, options=options)
        return simulated_discs(recipe.patients, side=side, seed=seed, folder=out / "jobs")

    device = resolve_device(options.device).type
    return Trainings(recipe, discs, out / "jobs", chooser, seed, device), maps


def settings_of(recipe: Recipe, maps: ScreenFolder | None, options: RunOptions) -> dict[str, Any]:
    """Return the settings that must match for a run to resume in a folder; networks may be added to it."""
    plan = json.loads(json.dumps(asdict(recipe), default=lambda file: file.name))
    del plan["runs"]
    patients = plan.pop("patients")
    return options.reading() | (
        {"plan": plan | patients} if maps is None else {"plan": plan, "data_sha256": maps.fingerprint}
    )


def _write_row(job: Callable[[], dict[str, Any]], path: Path) -> None:
    path.write_text(json.dumps(job()) + "\n", encoding="utf-8")


def run(
    scale: str,
    out: Path,
    seed: int = 0,
    *,
    choose_on: Choice = "validation",
    options: RunOptions | None = None,
) -> list[dict[str, Any]]:
    """Train networks by strategies and write Tables 3 and 4 of Hai et al. 2022 with intervals.

    Parameters
    ----------
    scale
        A key of `RECIPES`; full needs ImageNet weights of all fifteen networks.
    out
        Folder; a run of the same settings that stopped there is resumed, and may train other networks.
    choose_on
        What chooses the epoch; the paper reports on the pictures it chose on.
    options
        `data` is as `find_maps` explains; tables are then of its test part only: a row a patient, the mean of the
        patient's pictures. `weights` as in `myoperf.research.transfer_learning.recipes.plan_runs`.

    Returns
    -------
    The rows of ``two_stage.csv``: one a model and part, of the trainings that could be made. Networks whose weights are
    neither on this machine nor to be had are listed in ``missing.csv``.

    Raises
    ------
    InputError
        For an unknown scale or way to choose, for weights or maps that cannot be used, or for a folder of other
        settings.
    MissingWeightsError
        Where no network's weights are to be had.
    """
    options = options or RunOptions()
    recipe = choose_runs(pick_recipe(RECIPES, scale), options)
    if choose_on not in get_args(Choice):
        raise InputError(f"The epoch is chosen on {' or '.join(get_args(Choice))}; got {choose_on}.")
    chooser = "validation" if choose_on == "validation" else "test"
    trainings, maps = make_trainings(recipe, out, seed, options, chooser=chooser)
    how = {"myoperf": __version__, "study": "two-stage", "scale": scale, "seed": seed, "choose_on": choose_on}
    claim_folder(out / "jobs", how | settings_of(recipe, maps, options))
    about: Mapping[str, Any] = {"data": SIMULATED}
    patients = None
    if maps is not None:
        # All pictures are read, at every size, before anything is trained.
        read, *_ = [trainings.data(chosen.network) for chosen in recipe.runs]
        about, patients = describe_screens(read) | {"data_sha256": maps.fingerprint}, read.names("test")
    trainings.tune_heads(quiet=options.quiet)
    jobs = trainings.jobs()
    outcome = run_jobs(jobs, _write_row, title="training", quiet=options.quiet, expected=(MissingWeightsError,))
    require_finished(out, outcome.failed, jobs)
    done = sorted((out / "jobs").glob("*-[1-6].json"), key=lambda path: _order(path, trainings))
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in done]
    return write_tables(out, rows, {**how, **about}, seed=seed, patients=patients)


def _order(path: Path, trainings: Trainings) -> tuple[int, str]:
    """Sort results: those of this run in its order, then those of earlier runs by name."""
    jobs = list(trainings.jobs())
    return (jobs.index(path), "") if path in jobs else (len(jobs), path.name)
