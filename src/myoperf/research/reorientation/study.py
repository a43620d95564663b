"""The experiments of Ni et al. 2023 (their tables 3 and 4, figures 4 and 6) on simulated patients.

Every network is trained in the same way on the same simulated volumes and tested on others, for each modality.
Differences from the paper: the patients are simulated, so the truth is exact; networks that only segment work in the
given frame; all masks are compared in the given frame, so that a wrong pose is not excused by a mask in its own frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd
import torch
from rich.progress import track

from myoperf import __version__
from myoperf.phantom.fast import Kind
from myoperf.pipeline.jobs import claim_folder, run_jobs
from myoperf.research.lv_network.cases import Case, read_cases, write_cases
from myoperf.research.lv_network.simulated import ImageGrid, draw_case
from myoperf.research.reorientation.batches import FieldOfView, mean_pose
from myoperf.research.reorientation.evaluation import evaluate_network
from myoperf.research.reorientation.losses import Stabilisation
from myoperf.research.reorientation.networks import LV_NETWORKS, build_lv_network
from myoperf.research.reorientation.pose import start_of
from myoperf.research.reorientation.tables import OURS, write_tables
from myoperf.research.reorientation.training import Schedule, train_network
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.tables import write_manifest
from myoperf.research.training.weights import save_weights

MODALITIES: tuple[Kind, ...] = ("spect", "pet")
TRAINING_SEED, TESTING_SEED = 601, 602


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a run; only ``full`` is the paper's.

    Parameters
    ----------
    size
        "compact" or "paper", of `myoperf.research.reorientation.networks`.
    field
        What the networks see.
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
            schedule=Schedule(iterations=20_000, nn_unet_own=True),
        ),
    }
)


def run(scale: str, out: Path, seed: int = 0) -> None:
    """Train and test every network, one job for each network and modality; finished jobs in `out` are kept.

    Parameters
    ----------
    scale
        A key of `RECIPES`.
    out
        Gets ``jobs/*.csv``, the tables, the figures and ``manifest.json``.
    seed
        Added to the seeds of the patients and of the training.

    Raises
    ------
    InputError
        For another scale, or if `out` holds jobs of other settings.
    """
    recipe = pick_recipe(RECIPES, scale)
    settings = _settings(scale, recipe, seed)
    claim_folder(out / "jobs", settings)

    @cache
    def volumes(part: str, kind: Kind) -> list[Case]:
        count, first = (
            (recipe.training[kind], TRAINING_SEED) if part == "training" else (recipe.testing[kind], TESTING_SEED)
        )
        return _volumes(out / f"{part}-{kind}.npz", kind, count, first + seed, recipe.field)

    def work(job: tuple[Kind, str], file: Path) -> None:
        kind, name = job
        net = _train(name, kind, volumes("training", kind), recipe, seed)
        save_weights(out / "jobs" / f"{kind}-{name}.safetensors", net)
        tests = [(other, False) for other in MODALITIES if other == kind or name == OURS]
        tests += [(kind, True)] if name == OURS else []
        own = recipe.schedule.nn_unet_own and name == "nn-unet"
        tables = []
        for other, given in tests:
            rows = evaluate_network(net, volumes("testing", other), recipe.field, given_pose=given, mirrored=own)
            about = {"network": name, "trained_on": kind, "tested_on": other, "pose": "given" if given else "found"}
            tables.append(pd.DataFrame([{**about, **row} for row in rows]))
        pd.concat(tables).to_csv(file, index=False, float_format="%.6g")

    jobs = {out / "jobs" / f"{kind}-{name}.csv": (kind, name) for kind in MODALITIES for name in LV_NETWORKS}
    run_jobs(jobs, work)
    write_manifest(out, settings)
    write_tables(out)


def _settings(scale: str, recipe: Recipe, seed: int) -> dict[str, Any]:
    schedule = {key: value for key, value in asdict(recipe.schedule).items() if value not in (None, False)}
    if "stabilisation" in schedule:
        schedule["steadied"] = schedule.pop("stabilisation")  # the key of version 0.1.0, which pages and folders have
    networks = {name: build_lv_network(name, recipe.size) for name in LV_NETWORKS}
    return {
        "study": "ms-st-unet",
        "scale": scale,
        "seed": seed,
        "myoperf": __version__,
        "data": "simulated patients only",
        "size": recipe.size,
        "field": asdict(recipe.field),
        "recipe": schedule,
        "training": dict(recipe.training),
        "testing": dict(recipe.testing),
        "parameters": {name: sum(p.numel() for p in net.parameters()) for name, net in networks.items()},
    }


def _volumes(file: Path, kind: Kind, count: int, seed: int, field: FieldOfView) -> list[Case]:
    """Simulate on the grid of the field itself, so that the labels are as exact as the grid can hold."""
    grid = ImageGrid((field.side,) * 3, field.voxel_mm, field.voxel_mm)
    if not file.exists():
        indices = track(range(count), description=f"simulating {kind}", transient=True)
        write_cases(file, [draw_case(seed, index, kind, apparent=False, grid=grid) for index in indices])
    return list(read_cases(file))


def _train(name: str, kind: Kind, cases: Sequence[Case], recipe: Recipe, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    net = build_lv_network(name, recipe.size)
    for module in net.modules():
        if "start" in dict(module.named_buffers(recurse=False)):  # what estimates a pose starts at the mean one
            module.load_state_dict({"start": start_of(*mean_pose(cases, recipe.field))}, strict=False)
    return train_network(net, cases, recipe.field, recipe.schedule, seed=seed, quiet=False, name=f"{kind} {name}")
