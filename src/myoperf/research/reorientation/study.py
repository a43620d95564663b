"""MS-ST-UNet's experiments (paper 003: tables 3 and 4, figures 4 and 6) on simulated patients.

Every network is trained alike on the same simulated volumes and judged on others, by modality. Differences to
the paper: the patients are simulated, so the truth is exact; segmentation-only networks work in the given frame;
all masks are compared in the given frame, so that a wrong pose is not excused by a mask in its own frame.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd
import torch
from rich.progress import track
from safetensors.torch import save_file

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.phantom.fast import Kind
from myoperf.research.lv_network.cases import Case, read_cases, write_cases
from myoperf.research.lv_network.simulated import Camera, draw_case
from myoperf.research.reorientation.evaluation import judge_network
from myoperf.research.reorientation.networks import LV_NETWORKS, build_lv_network
from myoperf.research.reorientation.tables import OURS, write_tables
from myoperf.research.reorientation.training import Field, Recipe, Steadied, mean_pose, train_network

__all__ = ["SCALES", "Scale", "run"]

MODALITIES: tuple[Kind, ...] = ("spect", "pet")
TRAINING_SEED, TESTING_SEED = 601, 602


@dataclass(frozen=True)
class Scale:
    """How large a run is; only ``full`` is the paper's.

    Parameters
    ----------
    size
        "compact" or "paper", of `myoperf.research.reorientation.networks`.
    field
        What the networks see.
    training, testing
        Volumes by modality, one a patient.
    recipe
        Of every network.
    """

    size: Literal["compact", "paper"]
    field: Field
    training: Mapping[Kind, int]
    testing: Mapping[Kind, int]
    recipe: Recipe


_PAPER_TESTING: Mapping[Kind, int] = MappingProxyType({"spect": 200, "pet": 100})
SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "smoke": Scale(
            "compact",
            Field(32, 10.0),
            {"spect": 2, "pet": 1},
            {"spect": 2, "pet": 2},
            Recipe(1, rate=1e-3, steadied=Steadied(pose_first=1, pose_batch=2)),
        ),
        "small": Scale(
            "compact",
            Field(64, 5.0),
            {"spect": 200, "pet": 150},
            _PAPER_TESTING,
            Recipe(600, rate=2e-3, steadied=Steadied()),
        ),
        "full": Scale(
            "paper",
            Field(128, 2.5),
            {"spect": 2000, "pet": 2000},
            _PAPER_TESTING,
            Recipe(20_000, nn_unet_own=True),
        ),
    }
)


def run(scale: str, out: Path, seed: int = 0) -> None:
    """Train and judge every network, one job a network and modality; jobs already done in `out` are kept.

    Parameters
    ----------
    scale
        A key of `SCALES`.
    out
        Gets ``jobs/*.csv``, the tables, the figures and ``manifest.json``.
    seed
        Added to the patients' and the training's seeds.

    Raises
    ------
    InputError
        For another scale, or when `out` holds jobs of other settings.
    """
    if scale not in SCALES:
        raise InputError(f"The scale is one of {', '.join(SCALES)}; got {scale}.")
    size = SCALES[scale]
    (out / "jobs").mkdir(parents=True, exist_ok=True)
    settings = _manifest(scale, size, seed)
    known = out / "jobs" / "settings.json"
    if known.exists() and json.loads(known.read_text()) != json.loads(json.dumps(settings)):
        raise InputError("The folder holds jobs of other settings; choose another folder.")
    known.write_text(json.dumps(settings, indent=1) + "\n")
    for kind in MODALITIES:
        training = _volumes(out / f"training-{kind}.npz", kind, size.training[kind], TRAINING_SEED + seed, size.field)
        testing = {
            other: _volumes(out / f"testing-{other}.npz", other, size.testing[other], TESTING_SEED + seed, size.field)
            for other in MODALITIES
        }
        for name in LV_NETWORKS:
            _job(out / "jobs", name, kind, size, training, testing, seed)
    (out / "manifest.json").write_text(json.dumps(settings, indent=1) + "\n")
    write_tables(out)


def _manifest(scale: str, size: Scale, seed: int) -> dict[str, Any]:
    return {
        "study": "ms-st-unet",
        "scale": scale,
        "seed": seed,
        "myoperf": __version__,
        "data": "simulated patients only",
        "size": size.size,
        "field": asdict(size.field),
        "recipe": {key: value for key, value in asdict(size.recipe).items() if value not in (None, False)},
        "training": dict(size.training),
        "testing": dict(size.testing),
        "parameters": {name: _parameters(name, size) for name in LV_NETWORKS},
    }


def _parameters(name: str, size: Scale) -> int:
    return int(sum(p.numel() for p in build_lv_network(name, size.size).parameters()))


def _volumes(file: Path, kind: Kind, count: int, seed: int, field: Field) -> list[Case]:
    """Simulate on the field's own grid, so that the labels are as exact as the grid can hold."""
    camera = Camera((field.side,) * 3, field.voxel_mm, field.voxel_mm)
    if not file.exists():
        indices = track(range(count), description=f"simulating {kind}", transient=True)
        write_cases(file, [draw_case(seed, index, kind, apparent=False, camera=camera) for index in indices])
    return list(read_cases(file))


def _job(
    folder: Path,
    name: str,
    kind: Kind,
    size: Scale,
    training: Sequence[Case],
    testing: Mapping[Kind, Sequence[Case]],
    seed: int,
) -> None:
    """Train one network and judge it; write one table, at the end."""
    file = folder / f"{kind}-{name}.csv"
    if file.exists():
        return
    torch.manual_seed(seed)
    net = build_lv_network(name, size.size)
    start = next((module for module in net.modules() if "start" in dict(module.named_buffers(recurse=False))), None)
    if start is not None:
        start.load_state_dict({"start": _start(training, size.field)}, strict=False)
    train_network(net, training, size.field, size.recipe, seed=seed, quiet=False, name=f"{kind} {name}")
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, file.with_suffix(".safetensors"))
    tables = []
    for other, cases in testing.items():
        if other == kind or name == OURS:
            mirrored = size.recipe.nn_unet_own and name == "nn-unet"
            tables.append(_judged(net, cases, size.field, name, kind, other, "found", mirrored=mirrored))
    if name == OURS:
        tables.append(_judged(net, testing[kind], size.field, name, kind, kind, "given"))
    pd.concat(tables).to_csv(file, index=False, float_format="%.6g")


def _start(training: Sequence[Case], field: Field) -> torch.Tensor:
    from myoperf.research.reorientation.pose import matrix_from_euler, six_from_matrix

    euler, place = mean_pose(training, field)
    return torch.cat([six_from_matrix(matrix_from_euler(torch.tensor(euler))), torch.tensor(place)])


def _judged(
    net: torch.nn.Module,
    cases: Sequence[Case],
    field: Field,
    name: str,
    kind: Kind,
    other: Kind,
    pose: str,
    *,
    mirrored: bool = False,
) -> pd.DataFrame:
    table = pd.DataFrame(judge_network(net, cases, field, given_pose=pose == "given", mirrored=mirrored))
    table.insert(0, "network", name)
    table.insert(1, "trained_on", kind)
    table.insert(2, "tested_on", other)
    table.insert(3, "pose", pose)
    return table
