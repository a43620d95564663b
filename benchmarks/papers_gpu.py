"""The papers' networks at their own size on a GPU, in a given number of minutes: one command.

    python benchmarks/papers_gpu.py OUT [--minutes 12] [--device cuda]
    python benchmarks/papers_gpu.py OUT --tiny --minutes 1 --device cpu  (a test of the code: its figures mean nothing)

First the multi-branch Medical Transformer (small encoder, 32 x 96 x 96, batch 16), then MS-ST-UNet and Seg Op1 (128^3,
batch 2, the same iterations for both). Ten steps of each are timed, and as many as fit in its share of the minutes are
trained, at most the paper's number. Patients are simulated. Writes OUT/gpu.csv, a row a model after it is tested.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from myoperf.research.lv_network.cases import Case
from myoperf.research.lv_network.simulated import ImageGrid, draw_case
from myoperf.research.reorientation.batches import FieldOfView, mean_pose
from myoperf.research.reorientation.evaluation import evaluate_network
from myoperf.research.reorientation.losses import Stabilisation
from myoperf.research.reorientation.networks import Size, build_lv_network
from myoperf.research.reorientation.pose import start_of
from myoperf.research.reorientation.training import Schedule, train_network
from myoperf.research.slice_transformer.cases import collect_cases
from myoperf.research.slice_transformer.mit import MiTConfig
from myoperf.research.slice_transformer.multi_branch import (
    COMPACT_ENCODER,
    PAPER_ENCODER,
    MultiBranchConfig,
    build_multi_branch,
)
from myoperf.research.slice_transformer.tables import measure_held_out
from myoperf.research.slice_transformer.training import FitOptions, fit, predict, split_patients
from myoperf.types import Float

SEED, TIMED_STEPS = 9090, 10
SHARE = 0.4
"""Of the minutes, for the multi-branch network; the two others share as much, and simulating takes the rest."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of a run."""

    encoder: MiTConfig
    patients: int
    batch: int
    size: Size
    field: FieldOfView
    volumes: int
    tested: int


PAPER = Plan(
    encoder=PAPER_ENCODER,
    patients=160,
    batch=16,
    size="paper",
    field=FieldOfView(side=128, voxel_mm=2.5),
    volumes=60,
    tested=20,
)
TINY = Plan(
    encoder=COMPACT_ENCODER,
    patients=10,
    batch=4,
    size="compact",
    field=FieldOfView(side=32, voxel_mm=10.0),
    volumes=2,
    tested=2,
)


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long work takes, the device's included."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def multi_branch(plan: Plan, out: Path, seconds: float, device: str) -> list[dict[str, Any]]:
    """Train the fused network on simulated patients for at most so many seconds and test it on others."""
    cases = collect_cases(out / "patients", plan.patients, SEED, shape=plan.encoder.volume_shape, quiet=False)
    stacks, truth = cases.stacks.astype(np.float32), cases.expert
    train, test = split_patients(truth.tolist(), share=0.25, rng=np.random.default_rng(SEED))

    def trained(rows: NDArray[np.intp], epochs: int) -> Float:
        network = build_multi_branch(MultiBranchConfig(encoder=plan.encoder), seed=SEED).to(device)
        options = FitOptions(epochs=epochs, batch=plan.batch)
        fit(network, stacks[rows], truth[rows].tolist(), options=options, seed=SEED)
        return predict(network, stacks[test])

    count = TIMED_STEPS * plan.batch // 2  # of each class, so that an epoch has as many steps as are timed
    both = np.concatenate([np.resize(train[truth[train] == label], count) for label in (0, 1)])
    step = seconds_of(lambda: trained(both, 1)) / TIMED_STEPS
    steps = -(-2 * max(np.bincount(truth[train])) // plan.batch)
    epochs = int(np.clip(seconds / (step * steps), 1, FitOptions().epochs))
    measured = measure_held_out(truth[test], {"fusion, average": trained(train, epochs)}, seed=SEED)
    about = {"steps": epochs * steps, "of": FitOptions().epochs * steps, "seconds_a_step": step}
    return [about | row for row in measured.to_dict("records")]


def reorientation(plan: Plan, seconds: float, device: str) -> list[dict[str, Any]]:
    """Train MS-ST-UNet and Seg Op1 on the same simulated volumes for the same number of iterations, and test both."""
    grid = ImageGrid((plan.field.side,) * 3, plan.field.voxel_mm, plan.field.voxel_mm)
    drawn = [draw_case(SEED, i, "spect", apparent=False, grid=grid) for i in range(plan.volumes + plan.tested)]
    training, testing = drawn[: plan.volumes], drawn[plan.volumes :]
    quick = Schedule(iterations=TIMED_STEPS)
    names = ("rot-op2-seg-op2", "seg-op1")
    steps = {name: seconds_of(lambda name=name: _trained(name, training, plan, quick, device)) / 10 for name in names}
    iterations = int(np.clip(seconds / (2.5 * sum(steps.values())), 2, 20_000))
    # The pose is learned first in as many steps as a fifth of the time allows; without that it fails in so few.
    stabilisation = replace(Stabilisation(), pose_first=max(1, iterations // 2), pose_batch=2)
    schedule = Schedule(iterations=iterations, stabilisation=stabilisation)
    rows = []
    for name in names:
        found = pd.DataFrame(evaluate_network(_trained(name, training, plan, schedule, device), testing, plan.field))
        columns = [c for c in ("wall_dice", "pool_dice", "wall_hd95_mm", "rotation_mse") if c in found]
        about = {"model": name, "n": len(found), "steps": iterations, "of": 20_000, "seconds_a_step": steps[name]}
        rows.append(about | found[columns].mean().to_dict())
    return rows


def _trained(name: str, cases: Sequence[Case], plan: Plan, schedule: Schedule, device: str) -> torch.nn.Module:
    torch.manual_seed(SEED)
    net = build_lv_network(name, plan.size)
    for module in net.modules():
        if "start" in dict(module.named_buffers(recurse=False)):
            module.load_state_dict({"start": start_of(*mean_pose(cases, plan.field))}, strict=False)
    return train_network(net.to(device), cases, plan.field, schedule, seed=SEED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    plan, seconds = (TINY if given.tiny else PAPER), SHARE * 60 * given.minutes
    rows: list[dict[str, Any]] = []
    for part in (
        lambda: multi_branch(plan, given.out, seconds, given.device),
        lambda: reorientation(plan, seconds, given.device),
    ):
        rows += part()
        pd.DataFrame(rows).assign(tiny=given.tiny).to_csv(given.out / "gpu.csv", index=False, float_format="%.5g")
    print(pd.read_csv(given.out / "gpu.csv").to_string(index=False))


if __name__ == "__main__":
    main()
