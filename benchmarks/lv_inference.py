"""Time the ways to run the study's compact MS-ST-UNet on the CPU, in one process, alternating, one thread.

    python benchmarks/lv_inference.py [--job whole|segmentation] [--seconds-of-fitting 15]

Jobs: MS-ST-UNet whole (64^3), and its segmentation alone in a given pose. Ways: eager float32 (the reference), channels
last, bfloat16 autocast, and OpenVINO where it is installed and converts the job (its GridSample knows no 3D, so not
the whole MS-ST-UNet). The shipped network is measured by ``benchmarks/lv_engines.py``.
The weights are fitted for a short while to simulated shells, so that there are masks to compare: Dice of the walls
and the largest difference of a probability, each against the reference. Gates: 8 volumes at once against one by one.
Processor time, so that other work on the machine counts less; the first call is wall time, with the conversion. Writes
the rows of its jobs into docs/results/lv_inference.csv.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from myoperf.lv.metrics import dice
from myoperf.research.reorientation.losses import segmentation_loss
from myoperf.research.reorientation.networks import build_lv_network
from myoperf.research.reorientation.output import LVOutput, labels_for
from myoperf.research.reorientation.pose import matrix_from_euler, sample_back, sample_in_pose

JOBS = ("whole", "segmentation")
SIDE, GATES, ROUNDS = 64, 8, 5


@dataclass(frozen=True)
class Shells:
    """Volumes (B, 1, N, N, N), labels (B, N, N, N) in the turned frame, and the pose."""

    volume: Tensor
    turned: Tensor
    labels: Tensor
    rotation: Tensor
    translation: Tensor


def shells(count: int, side: int, seed: int, *, radius: float) -> Shells:
    """Simulate cut shells in random poses, with noise."""
    rng = torch.Generator().manual_seed(seed)
    steps = (2 * torch.arange(side) + 1) / side - 1
    z, y, x = torch.meshgrid(steps, steps, steps, indexing="ij")
    away = torch.sqrt(x**2 + y**2 + (0.8 * z) ** 2)
    inside = z < 0.5 * radius
    labels = torch.where(inside & (away < radius), 1, 0)
    labels = torch.where(inside & (away < 0.6 * radius), 2, labels).expand(count, side, side, side)
    angles = torch.tensor([-0.83, -1.14, 1.22]) + 0.2 * torch.randn(count, 3, generator=rng)
    rotation, translation = matrix_from_euler(angles), 0.1 * torch.randn(count, 3, generator=rng)
    wall = (labels == 1).float()[:, None]
    volume = sample_back(wall, rotation, translation) + 0.15 * torch.rand(count, 1, side, side, side, generator=rng)
    turned = wall + 0.15 * torch.rand(count, 1, side, side, side, generator=rng)
    return Shells(volume, turned, labels, rotation, translation)


class Whole(nn.Module):
    """MS-ST-UNet -> logits, rotation, translation."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Run it."""
        found: LVOutput = self.net(volume)
        return found.logits[0], found.rotation, found.translation


class Segmentation(nn.Module):
    """A turned volume (B, 1, N, N, N) -> logits; both smaller pictures are its middle."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, turned: Tensor) -> tuple[Tensor]:
        """Run it."""
        pictures = [turned]
        for _ in range(2):
            side = pictures[-1].shape[2]
            pictures.append(
                pictures[-1][..., side // 4 : -(side // 4), side // 4 : -(side // 4), side // 4 : -(side // 4)]
            )
        return (self.net(pictures)[0],)


def fit(step: Callable[[int], Tensor], parameters: Iterator[nn.Parameter], seconds: float) -> int:
    """Fit by Adam for so many processor seconds -> steps taken."""
    optimiser = torch.optim.Adam(parameters, lr=3e-3)
    start, done = time.process_time(), 0
    while time.process_time() - start < seconds:
        loss = step(done)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        done += 1
    return done


@lru_cache
def fitted_ms_st_unet(seconds: float) -> nn.Module:
    torch.manual_seed(0)
    net = build_lv_network("rot-op2-seg-op2").to(memory_format=torch.channels_last_3d)

    def step(k: int) -> Tensor:
        batch = shells(2, SIDE, k, radius=0.22)
        with torch.autocast("cpu", torch.bfloat16):
            found: LVOutput = net(batch.volume)
        pairs = zip(found.logits, labels_for(batch.labels, found), strict=True)
        loss = torch.stack([segmentation_loss(logits.float().softmax(1), truth) for logits, truth in pairs]).sum()
        assert found.scale_rotations is not None
        assert found.scale_translations is not None
        loss = loss + 10 * (found.scale_rotations - batch.rotation[:, None]).abs().mean()
        return loss + 3 * (found.scale_translations - batch.translation[:, None]).abs().mean()

    print("MS-ST-UNet:", fit(step, net.parameters(), seconds), "steps", flush=True)
    return net.eval()


Way = Callable[[Tensor], Tensor]


def eager(net: nn.Module, *, low: bool) -> Way:
    def run(x: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=low):
            return net(x)[0].float()

    return run


def openvino(net: nn.Module, example: Tensor, *, low: bool) -> Way:
    import openvino as ov

    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "bf16" if low else "f32"}
    ready = ov.Core().compile_model(ov.convert_model(net, example_input=example), "CPU", settings)

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(ready(x.numpy())[0])

    return run


def seconds_of(job: Callable[[], object]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def ways_of(net: nn.Module, example: Tensor, *, convert: bool) -> dict[str, Callable[[], Way]]:
    """Every way by name, built when asked for; a changed memory format needs a copy of the weights."""
    plain = net.to(memory_format=torch.contiguous_format)
    state = {key: value.clone() for key, value in plain.state_dict().items()}

    def last() -> nn.Module:
        other = copy.deepcopy(plain)
        other.load_state_dict(state)
        return other.to(memory_format=torch.channels_last_3d)

    ways: dict[str, Callable[[], Way]] = {
        "eager f32": lambda: eager(plain, low=False),
        "channels last f32": lambda: eager(last(), low=False),
        "channels last bf16": lambda: eager(last(), low=True),
    }
    if convert:
        ways["OpenVINO f32"] = lambda: openvino(plain, example, low=False)
        ways["OpenVINO bf16"] = lambda: openvino(plain, example, low=True)
    return ways


def judge(job: str, net: nn.Module, volumes: Tensor, *, convert: bool = False) -> list[dict[str, object]]:
    """Build each way, compare it with the reference, then time all in turn."""
    one, ready, rows = volumes[:1], {}, []
    for name, build in ways_of(net, one, convert=convert).items():
        start = time.perf_counter()
        way = build()
        first = way(one)
        ready[name] = way, first.softmax(1), time.perf_counter() - start
        print(job, name, f"first {ready[name][2]:.1f} s", flush=True)
    reference = ready["eager f32"][1]
    wall = (reference.argmax(1) == 1)[0].numpy()
    times: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(ROUNDS):
        for name, (way, _, _) in ready.items():
            times[name].append(seconds_of(lambda way=way: way(one)))
    for name, (way, chance, first_s) in ready.items():
        row: dict[str, object] = {
            "job": job,
            "way": name,
            "first_call_s": round(first_s, 1),
            "ms": round(1000 * median(times[name]), 1),
            "ratio": round(median(np.divide(times["eager f32"], times[name])), 2),
            "wall_voxels": int(wall.sum()),
            "wall_dice_to_reference": round(dice((chance.argmax(1) == 1)[0].numpy(), wall), 5),
            "largest_probability_difference": float(f"{float((chance - reference).abs().max()):.2g}"),
        }
        way(volumes)
        pairs = [
            (seconds_of(lambda way=way: [way(v[None]) for v in volumes]), seconds_of(lambda way=way: way(volumes)))
            for _ in range(2)
        ]
        row["gates"] = len(volumes)
        row["gates_together_ms"] = round(1000 * median(b for _, b in pairs), 1)
        row["gates_ratio_to_one_by_one"] = round(median(a / b for a, b in pairs), 2)
        rows.append(row)
    return rows


def run(job: str, seconds: float, convert: bool) -> list[dict[str, object]]:
    """Fit the job's network and judge the ways to run it."""
    net, test = fitted_ms_st_unet(seconds), shells(GATES, SIDE, 10_000, radius=0.22)
    if job == "whole":
        return judge("MS-ST-UNet, 64^3", Whole(net), test.volume)
    turned = sample_in_pose(test.volume, test.rotation, test.translation)
    return judge("its segmentation, pose given, 64^3", Segmentation(net.msunet), turned, convert=convert)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", choices=JOBS, action="append", help="default: all")
    parser.add_argument("--seconds-of-fitting", type=float, default=15.0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    convert = importlib.util.find_spec("openvino") is not None
    if not convert:
        print("OpenVINO is not installed; its ways are left out.")
    out = Path(__file__).parents[1] / "docs" / "results" / "lv_inference.csv"
    for job in args.job or JOBS:
        table = pd.DataFrame(run(job, args.seconds_of_fitting, convert))
        if out.exists():
            before = pd.read_csv(out)
            table = pd.concat([before[~before["job"].isin(table["job"])], table])
        table.to_csv(out, index=False)
        print(table.to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
