"""The experiments of Ni et al. 2023 (their tables 3 and 4, figures 4 and 6) on simulated patients.

Every network is trained in the same way on the same simulated volumes and tested on others, for each modality.
Differences from the paper: the patients are simulated, so the truth is exact; networks that only segment work in the
given frame; all masks are compared in the given frame, so that a wrong pose is not excused by a mask in its own frame.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd
import torch
from rich.progress import track

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.phantom.fast import Kind
from myoperf.pipeline.device import resolve_device
from myoperf.pipeline.jobs import claim_folder, make_once, run_jobs
from myoperf.research.lv_network.cases import Case, read_cases, write_cases
from myoperf.research.lv_network.simulated import ImageGrid, draw_case
from myoperf.research.reorientation.batches import FieldOfView, mean_pose
from myoperf.research.reorientation.evaluation import evaluate_network
from myoperf.research.reorientation.losses import Stabilisation
from myoperf.research.reorientation.ms_st_unet import MSUNET
from myoperf.research.reorientation.networks import LV_NETWORKS, build_lv_network
from myoperf.research.reorientation.own_cases import OwnCases, read_own_cases
from myoperf.research.reorientation.pose import start_of
from myoperf.research.reorientation.tables import OURS, write_tables
from myoperf.research.reorientation.training import Schedule, train_network
from myoperf.research.training.options import RunOptions, choose_names
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.tables import write_manifest
from myoperf.research.training.weights import save_weights

MODALITIES: tuple[Kind, ...] = ("spect", "pet")
TRAINING_SEED, TESTING_SEED = 601, 602


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a run; ``full`` has the paper's sizes, iterations and rate.

    Parameters
    ----------
    size
        "compact" or "paper", of `myoperf.research.reorientation.networks`.
    field
        What the networks see.
    fields
        By modality where it differs from `field`: the paper's.
    training, testing
        Volumes by modality, one per patient.
    schedule
        Of every network.
    """

    size: Literal["compact", "paper"]
    field: FieldOfView
    training: Mapping[Kind, int]
    testing: Mapping[Kind, int]
    schedule: Schedule
    fields: Mapping[str, FieldOfView] | None = None

    def field_of(self, kind: str) -> FieldOfView:
        """Return the field of a modality."""
        return (self.fields or {}).get(kind, self.field)


PAPER_FIELD_MM: Mapping[str, float] = MappingProxyType({"spect": 870.0, "pet": 260.0})
"""Side of the cube: 128 voxels of 6.80 mm, and of 2.03 mm across the slices (PET's 5 mm slices are not cubic)."""
_PAPER_TESTING: Mapping[Kind, int] = MappingProxyType({"spect": 200, "pet": 100})
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "smoke": Recipe(
            size="compact",
            field=FieldOfView(side=32, voxel_mm=10.0),
            training={"spect": 2, "pet": 1},
            testing={"spect": 2, "pet": 2},
            schedule=Schedule(iterations=1, rate=1e-3, stabilisation=Stabilisation(pose_first=1, pose_batch=2)),
        ),
        "small": Recipe(
            size="compact",
            field=FieldOfView(side=64, voxel_mm=5.0),
            training={"spect": 200, "pet": 150},
            testing=_PAPER_TESTING,
            schedule=Schedule(iterations=600, rate=2e-3, stabilisation=Stabilisation()),
        ),
        "full": Recipe(
            size="paper",
            field=FieldOfView(side=128, voxel_mm=2.5),
            training={"spect": 2000, "pet": 2000},
            testing=_PAPER_TESTING,
            schedule=Schedule(iterations=20_000),
        ),
    }
)


def choose_recipe(scale: str, options: RunOptions, *, own_training: bool = False) -> Recipe:
    """Return the recipe of a scale with the iterations, poses and fields of view that the user chose.

    Parameters
    ----------
    own_training
        Peers as their own authors train them, see `Schedule.peers_own`; in the paper all are trained alike.
    """
    recipe = pick_recipe(RECIPES, scale)
    schedule = recipe.schedule
    if options.as_written:
        schedule = replace(schedule, stabilisation=None, poses="sets")
        fields = {kind: replace(recipe.field, voxel_mm=mm / recipe.field.side) for kind, mm in PAPER_FIELD_MM.items()}
        recipe = replace(recipe, fields=fields)
    schedule = replace(schedule, peers_own=own_training, iterations=options.epochs or schedule.iterations)
    return replace(recipe, schedule=schedule)


@dataclass(frozen=True, eq=False, kw_only=True)
class Volumes:
    """Training and test volumes of a run by kind (modality).

    Attributes
    ----------
    settings
        What must match for a run to resume on them.
    """

    kinds: tuple[str, ...]
    of: Callable[[str, str], Sequence[Case]]
    settings: Mapping[str, Any]


def find_volumes(recipe: Recipe, out: Path, seed: int, options: RunOptions) -> Volumes:
    """Read the user's own volumes, or draw the recipe's when they are asked for."""
    if options.data is not None:
        return _own_volumes(read_own_cases(options.data), out, seed)

    @cache
    def drawn(part: str, kind: Kind) -> list[Case]:
        count, first = (
            (recipe.training[kind], TRAINING_SEED) if part == "train" else (recipe.testing[kind], TESTING_SEED)
        )
        name = "training" if part == "train" else "testing"
        return _simulate(out / f"{name}-{kind}.npz", kind, count, first + seed, recipe.field_of(kind))

    numbers = {"training": dict(recipe.training), "testing": dict(recipe.testing)}
    return Volumes(kinds=MODALITIES, of=drawn, settings={"data": "simulated patients only", **numbers})


def _own_volumes(own: OwnCases, out: Path, seed: int) -> Volumes:
    parts = own.parts(seed)
    cases = {
        (part, kind): [own.cases[i] for i in rows if own.kinds[i] == kind]
        for part, rows in parts.items()
        for kind in dict.fromkeys(own.kinds)
    }
    for (part, kind), found in cases.items():
        if not found:
            raise InputError(f"Modality {kind} has no volume in the part {part}; every modality needs both.")
    out.mkdir(parents=True, exist_ok=True)
    own.refused.to_csv(out / "refused.csv", index=False)
    settings = {
        "data": "volumes given with --data",
        "data_sha256": own.sha256,
        "refused": len(own.refused),
        "poses": {pose: own.poses.count(pose) for pose in sorted(set(own.poses))},
        "training": {kind: len(cases["train", kind]) for kind in dict.fromkeys(own.kinds)},
        "testing": {kind: len(cases["test", kind]) for kind in dict.fromkeys(own.kinds)},
    }
    return Volumes(kinds=tuple(dict.fromkeys(own.kinds)), of=lambda part, kind: cases[part, kind], settings=settings)


def run(
    scale: str,
    out: Path,
    seed: int = 0,
    *,
    options: RunOptions | None = None,
    own_training: bool = False,
) -> None:
    """Train and test every network, one job for each network and modality; finished jobs in `out` are kept.

    Parameters
    ----------
    scale
        A key of `RECIPES`.
    out
        Gets ``jobs/*.csv``, the networks' weights, the tables, the figures and ``manifest.json``.
    seed
        Added to the seeds of the patients and of the training.
    options
        `data`: see `read_own_cases`. `networks`: see `LV_NETWORKS`; a folder may get further ones later. `inputs`: the
        modalities; by default all. `epochs`: iterations.
    own_training
        See `choose_recipe`.

    Raises
    ------
    InputError
        For another scale or network, or if `out` holds jobs of other settings.
    """
    options = options or RunOptions()
    recipe = choose_recipe(scale, options, own_training=own_training)
    names = choose_names("--networks", options.networks, LV_NETWORKS, LV_NETWORKS)
    resolve_device(options.device)  # refused before anything is simulated
    volumes = find_volumes(recipe, out, seed, options)
    kinds = choose_names("--inputs", options.inputs, volumes.kinds, volumes.kinds)
    require_fields(recipe, kinds)
    settings = _settings(scale, recipe, seed) | dict(volumes.settings)
    claim_folder(out / "jobs", settings)

    def work(job: tuple[str, str], file: Path) -> None:
        kind, name = job
        field, state = recipe.field_of(kind), out / "jobs" / f"{kind}-{name}.state"
        net = train_by_recipe(
            name, volumes.of("train", kind), recipe, kind=kind, seed=seed, options=options, checkpoint=state
        )
        save_weights(out / "jobs" / f"{kind}-{name}.safetensors", net)
        own = recipe.schedule.peers_own and name == "nn-unet"
        tables = []
        for other, given in _tests(kind, name, kinds):
            rows = evaluate_network(net, volumes.of("test", other), field, given_pose=given, mirrored=own)
            about = {"network": name, "trained_on": kind, "tested_on": other, "pose": "given" if given else "found"}
            tables.append(pd.DataFrame([{**about, **row} for row in rows]))
        pd.concat(tables).to_csv(file, index=False, float_format="%.6g")
        state.unlink(missing_ok=True)

    jobs = {out / "jobs" / f"{kind}-{name}.csv": (kind, name) for kind in kinds for name in names}
    run_jobs(jobs, work)
    write_manifest(out, settings)
    write_tables(out)


def require_fields(recipe: Recipe, kinds: Sequence[str]) -> None:
    """Raise InputError where the recipe's field depends on the modality and that of a volume is not known."""
    if recipe.fields and not set(kinds) <= set(recipe.fields):
        raise InputError("--as-written needs the column modality (spect or pet) for every volume: the fields differ.")


def _tests(kind: str, name: str, kinds: Sequence[str]) -> list[tuple[str, bool]]:
    """Return what a network is tested on: the modality, and whether it is given the true pose."""
    if name == MSUNET:
        return [(kind, True)]
    if name == OURS:
        return [*((other, False) for other in kinds), (kind, True)]
    return [(kind, False)]


def _settings(scale: str, recipe: Recipe, seed: int) -> dict[str, Any]:
    schedule = {key: value for key, value in asdict(recipe.schedule).items() if value not in (None, False)}
    if "stabilisation" in schedule:
        schedule["steadied"] = schedule.pop("stabilisation")  # the key of version 0.1.0, which pages and folders have
    if schedule["poses"] == "around":
        del schedule["poses"]
    networks = {name: build_lv_network(name, recipe.size) for name in LV_NETWORKS}
    return {
        "study": "ms-st-unet",
        "scale": scale,
        "seed": seed,
        "myoperf": __version__,
        "size": recipe.size,
        "field": asdict(recipe.field),
        **({"fields": {kind: asdict(field) for kind, field in recipe.fields.items()}} if recipe.fields else {}),
        "recipe": schedule,
        "parameters": {name: sum(p.numel() for p in net.parameters()) for name, net in networks.items()},
    }


def _simulate(file: Path, kind: Kind, count: int, seed: int, field: FieldOfView) -> list[Case]:
    """Simulate on the grid of the field itself, so that the labels are as exact as the grid can hold."""
    grid = ImageGrid((field.side,) * 3, field.voxel_mm, field.voxel_mm)

    def simulate(part: Path) -> None:
        indices = track(range(count), description=f"simulating {kind}", transient=True)
        write_cases(part, [draw_case(seed, index, kind, apparent=False, grid=grid) for index in indices])

    make_once(file, simulate)
    return list(read_cases(file))


def train_by_recipe(
    name: str,
    cases: Sequence[Case],
    recipe: Recipe,
    *,
    kind: str,
    seed: int,
    options: RunOptions,
    checkpoint: Path,
) -> torch.nn.Module:
    """Build a network, start its pose at the cases' mean one, and train it; a checkpoint that exists is resumed.

    Parameters
    ----------
    kind
        Modality, which sets the field.
    """
    torch.manual_seed(seed)
    net, field = build_lv_network(name, recipe.size), recipe.field_of(kind)
    for module in net.modules():
        if "start" in dict(module.named_buffers(recurse=False)):  # what estimates a pose starts at the mean one
            module.load_state_dict({"start": start_of(*mean_pose(cases, field))}, strict=False)
    schedule = replace(recipe.schedule, given_pose=name == MSUNET)
    shown = None if options.quiet else f"{kind} {name}"
    net.to(resolve_device(options.device))
    return train_network(net, cases, field, schedule, seed=seed, name=shown, checkpoint=checkpoint)
