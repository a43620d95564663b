"""Time the multi-branch Medical Transformer and weigh its memory; show what spatial reduction saves as depth grows.

    python benchmarks/mit_speed.py            # goes on where an earlier run stopped

Writes docs/results/mit_speed.csv, a row as it comes: the forward pass of one patient and training steps, then one
attention layer with and without spatial reduction and the whole encoder at depths of 16 to 128 planes, on one
thread; the forward passes on two threads too. ``cpu_s`` is the processor time (of all threads), which other jobs on
the machine stretch less than the wall's. Memory is what the process's peak rises above what it held before the case
(Linux).
"""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from myoperf.research.slice_transformer.mit import Attention, MiTConfig, MiTEncoder
from myoperf.research.slice_transformer.multi_branch import MultiBranchConfig, build_multi_branch

DEPTHS = (16, 32, 64, 128)
GRID = (12, 12)  # tokens of stage 1 for planes of 48 x 48: the layer without reduction fits in memory at every depth
OUT = Path(__file__).parents[1] / "docs" / "results" / "mit_speed.csv"
Case = tuple[str, int, int, Callable[[], object]]


def _status(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def peak_rise(job: Callable[[], object]) -> tuple[float, float]:
    """Run a job; give by how many MB the process's peak rose above what it held, and the peak itself."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    held = _status("VmRSS")
    job()
    peak = _status("VmHWM")
    return max(peak - held, 0.0), peak


def seconds(job: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median wall and processor seconds of a job."""
    walls, used = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        job()
        walls.append(time.perf_counter() - wall)
        used.append(time.process_time() - cpu)
    return median(walls), median(used)


def patient_cases() -> Iterator[Case]:
    """One patient through the networks, and training steps of AdamW: (what, depth, rounds, job)."""
    for size, shape, batch in (("small", (32, 96, 96), 1), ("tiny", (32, 96, 96), 2), ("tiny", (16, 32, 32), 16)):
        norm = "instance" if size == "small" else "batch"
        config = MultiBranchConfig(encoder=MiTConfig(size, norm, volume_shape=shape, modes=("3D",)))  # type: ignore[arg-type]
        model = build_multi_branch(config)
        name = f"{size}, {' x '.join(map(str, shape))}"
        stacks = torch.rand(batch, 3, *shape, generator=torch.manual_seed(0))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

        def forward() -> None:
            with torch.no_grad():
                model.eval()(stacks[:1])  # noqa: B023

        def step() -> None:
            loss = F.cross_entropy(model.train()(stacks), torch.zeros(len(stacks), dtype=torch.long))  # noqa: B023
            optimizer.zero_grad(set_to_none=True)  # noqa: B023
            loss.backward()
            optimizer.step()  # noqa: B023

        yield f"forward, one patient, {name}", shape[0], 3, forward
        yield f"training step of {batch}, {name}", shape[0], 1 if size == "small" else 3, step


def depth_cases() -> Iterator[Case]:
    """One layer with and without reduction, and the encoder, at growing depth: (what, depth, rounds, job)."""
    for reduction in (6, 1):
        layer = Attention(48, 1, reduction, ("3D",), qkv_bias=True)
        for depth in DEPTHS:
            grid = (depth // 2, *GRID)
            tokens = torch.rand(1, 1 + int(np.prod(grid)), 48, generator=torch.manual_seed(0))

            def attend() -> None:
                with torch.no_grad():
                    layer(tokens, grid)  # noqa: B023

            yield f"attention, reduction {reduction}", depth, 5 if reduction > 1 else 3, attend
    encoder = MiTEncoder(MiTConfig(volume_shape=(32, 96, 96), modes=("3D",))).eval()
    for depth in DEPTHS:
        volume = torch.rand(1, 1, depth, 96, 96, generator=torch.manual_seed(0))

        def encode() -> None:
            with torch.no_grad():
                encoder(volume)  # noqa: B023

        yield "encoder small, 96 x 96", depth, 3, encode


def main() -> None:
    """Measure what is not in the table yet."""
    OUT.parent.mkdir(parents=True, exist_ok=True)
    rows = pd.read_csv(OUT).to_dict("records") if OUT.exists() else []
    for cases, threads in ((patient_cases, 1), (patient_cases, 2), (depth_cases, 1)):
        torch.set_num_threads(threads)
        for what, depth, rounds, job in cases():
            known = any((row["what"], row["depth"], row["threads"]) == (what, depth, threads) for row in rows)
            if known or (threads > 1 and not what.startswith("forward")):
                continue
            job()
            rise, peak = peak_rise(job)
            wall, cpu = seconds(job, rounds)
            row = {"what": what, "depth": depth, "cpu_s": cpu, "wall_s": wall, "peak_rise_mb": rise, "peak_mb": peak}
            rows.append(row | {"rounds": rounds, "threads": threads, "load_1_min": os.getloadavg()[0]})
            pd.DataFrame(rows).to_csv(OUT, index=False, float_format="%.4g")
            print(f"{what}, depth {depth}, threads {threads}: {cpu:.3f} s, {rise:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
