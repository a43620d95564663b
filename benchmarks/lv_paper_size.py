"""Take one true training step of each paper-sized network on 128^3, batch 2: time, peak memory, finite gradients.

    python benchmarks/lv_paper_size.py [--network NAME ...]

Each in a process of its own, on the CPU, one thread, bfloat16 autocast, channels last. Processor time of one step,
the first (it includes what the libraries set up). Writes its rows into
docs/results/lv_paper_size.csv.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import torch

from myoperf.research.reorientation.losses import segmentation_loss, translation_loss
from myoperf.research.reorientation.networks import LV_NETWORKS, build_lv_network
from myoperf.research.reorientation.output import labels_for
from myoperf.research.reorientation.pose import matrix_from_euler

SIDE, BATCH = 128, 2
JUDGED = ("rot-op2-seg-op2", "rot-op1-seg-op1", "v-net", "dense-unet", "nn-unet", "omega-net")


def step(name: str) -> dict[str, float | str | int]:
    """Take one step on random volumes with a box for a wall."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = build_lv_network(name, "paper").to(memory_format=torch.channels_last_3d)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=1e-4)
    labels = torch.zeros(BATCH, SIDE, SIDE, SIDE, dtype=torch.uint8)
    labels[:, 48:80, 48:80, 48:80] = 1
    labels[:, 56:72, 56:72, 56:72] = 2
    volume = torch.rand(BATCH, 1, SIDE, SIDE, SIDE) + (labels == 1)[:, None]
    start = time.process_time()
    with torch.autocast("cpu", torch.bfloat16):
        output = net(volume)
    parts = zip(output.logits, labels_for(labels, output), strict=True)
    loss = torch.stack([segmentation_loss(logits.float().softmax(1), truth) for logits, truth in parts]).sum()
    if output.scale_rotations is not None:
        truth = matrix_from_euler(torch.tensor([-0.8, -1.0, 1.2]))
        loss = loss + (output.scale_rotations - truth).abs().mean()
        loss = loss + translation_loss(output.scale_translations, torch.tensor([0.1, -0.1, 0.2]))
    if output.initial is not None:
        loss = loss + segmentation_loss(output.initial.float().softmax(1), labels)
    loss.backward()
    sound = all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())
    optimiser.step()
    spent = time.process_time() - start
    return {
        "network": name,
        "parameters_million": round(sum(p.numel() for p in net.parameters()) / 1e6, 2),
        "side": SIDE,
        "batch": BATCH,
        "loss": round(float(loss.detach()), 4),
        "gradients_finite": int(sound),
        "step_cpu_s": round(spent, 1),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=LV_NETWORKS, action="append", help="default: a choice of six")
    parser.add_argument("--one", choices=LV_NETWORKS, help="take the step of one network here and print it")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(step(args.one)))
        return
    out = Path(__file__).parents[1] / "docs" / "results" / "lv_paper_size.csv"
    for name in args.network or JUDGED:
        done = subprocess.run([sys.executable, __file__, "--one", name], capture_output=True, text=True, check=True)
        table = pd.DataFrame([json.loads(done.stdout.splitlines()[-1])])
        if out.exists():
            before = pd.read_csv(out)
            table = pd.concat([before[before["network"] != name], table])
        table.to_csv(out, index=False)
        print(table.to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
