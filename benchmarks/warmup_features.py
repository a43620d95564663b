"""Time the warm-up of a frozen backbone: features once, against features in every epoch.

    python benchmarks/warmup_features.py --network MobileNetV2 --size 96 --pictures 40 --epochs 100

An epoch of recomputing (features of all pictures, then the head's steps) is timed twice and its median multiplied by
the number of epochs; the warm-up on features computed once is run whole. Random weights: time does not depend on them.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from pathlib import Path

import torch

from myoperf.nets.keras_backbones import build_backbone
from myoperf.train.two_stage import Schedule, backbone_features, warm_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="MobileNetV2")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("-o", "--out", type=Path)
    given = parser.parse_args()
    backbone = build_backbone(given.network, input_size=given.size)
    images = torch.rand(given.pictures, 3, given.size, given.size, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(given.pictures) % 2
    backbone_features(backbone, images[:2])  # the first call sets up
    epochs = []
    for _ in range(2):
        start = time.perf_counter()
        features = backbone_features(backbone, images)
        warm_up(features, labels, (features, labels), Schedule(1), seed=0)
        epochs.append(time.perf_counter() - start)
    start = time.perf_counter()
    features = backbone_features(backbone, images)
    warm_up(features, labels, (features, labels), Schedule(given.epochs), seed=0)
    once = time.perf_counter() - start
    every = statistics.median(epochs) * given.epochs
    row = {
        "network": given.network,
        "size": given.size,
        "pictures": given.pictures,
        "epochs": given.epochs,
        "every_epoch_s_extrapolated": round(every, 2),
        "once_s": round(once, 2),
        "ratio": round(every / once, 1),
    }
    print(row)
    if given.out:
        with given.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerow(row)


if __name__ == "__main__":
    main()
