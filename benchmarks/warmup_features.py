"""Time the warm-up of a frozen backbone: features once, against features in every epoch.

    python benchmarks/warmup_features.py --network ResNet152V2 --size 224 --pictures 175 --epochs 100

Two ways to compute features in every epoch are timed on a few pictures and multiplied by pictures and epochs: this
package's backbone (channels first) and Keras as it comes (channels last, which is what a user of ``fit`` gets). The
warm-up on features computed once is run whole, the making of the frozen graph counted in. Time is processor time of one
thread, all jobs taking turns, so that a busy machine counts little. The head's weights after some epochs are compared
between both ways. Random weights: time does not depend on them. Writes ``docs/results/warmup.csv``, where
other networks stay.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from myoperf.research.backbones.keras_backbones import KerasBackbone, build_backbone, load_keras
from myoperf.research.transfer_learning.training import (
    Examples,
    Phase,
    Schedule,
    Trainee,
    backbone_features,
    make_head,
    train_epochs,
    warm_up,
)

ROOT = Path(__file__).parents[1]
GOAL = 150


def seconds(*jobs: Callable[[], object], repeats: int) -> list[float]:
    """Return the median processor time of jobs that take turns, so that a busy machine slows them alike."""
    spent: list[list[float]] = [[] for _ in jobs]
    for _ in range(repeats):
        for job, own in zip(jobs, spent, strict=True):
            start = time.process_time()
            job()
            own.append(time.process_time() - start)
    return [statistics.median(own) for own in spent]


def head_difference(backbone: KerasBackbone, images: torch.Tensor, epochs: int) -> float:
    """Train the head both ways; give the greatest difference of a weight."""
    labels = torch.arange(len(images)) % 2
    schedule = Schedule(warm_epochs=epochs, batch=4)
    features = Examples((backbone_features(backbone, images, batch=4, graph=True),), labels)
    once = warm_up(features, features, schedule, seed=0)
    head = make_head(backbone.features, schedule, 0)

    def forward(part: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            maps = backbone.eval()(part).mean(dim=(2, 3))
        return head(maps)

    pictures = Examples((images,), labels)
    phase = Phase(epochs=epochs, rate=10.0**-schedule.rate_exponent, batch=4, seed=0)
    train_epochs(Trainee(forward, [head], list(head.parameters())), pictures, pictures, phase)
    pairs = zip(once.head.parameters(), head.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def measure(network: str, size: int, pictures: int, epochs: int, sample: int, repeats: int) -> dict[str, object]:
    torch.set_num_threads(1)
    keras = load_keras()
    generator = torch.Generator().manual_seed(0)
    few = torch.rand(sample, 3, size, size, generator=generator)
    stock = getattr(keras.applications, network)(include_top=False, weights=None, input_shape=(size, size, 3))
    last = few.permute(0, 2, 3, 1).contiguous()

    def as_it_comes() -> object:
        with torch.no_grad():
            return stock(last, training=False)

    backbone = build_backbone(network, input_size=size)
    images = few.repeat(-(-pictures // sample), 1, 1, 1)[:pictures]
    labels = torch.arange(pictures) % 2
    kept = torch.zeros(pictures, backbone.features)

    def features_once() -> None:
        kept.copy_(backbone_features(backbone, images))

    def train_head() -> object:
        examples = Examples((kept,), labels)
        return warm_up(examples, examples, Schedule(warm_epochs=epochs), seed=0)

    as_it_comes()
    backbone_features(backbone, few[:2])
    stock_s, own_s, features_s, head_s = seconds(
        as_it_comes, lambda: backbone_features(backbone, few), features_once, train_head, repeats=repeats
    )
    once = features_s + head_s
    every_stock, every_own = (each / sample * pictures * epochs + head_s for each in (stock_s, own_s))
    return {
        "network": network,
        "size": size,
        "pictures": pictures,
        "epochs": epochs,
        "timed_pictures": sample,
        "stock_every_epoch_s_extrapolated": round(every_stock, 1),
        "own_every_epoch_s_extrapolated": round(every_own, 1),
        "once_s": round(once, 2),
        "of_which_features_s": round(features_s, 2),
        "repeats": repeats,
        "ratio_to_stock": round(every_stock / once, 1),
        "ratio_to_own": round(every_own / once, 1),
        "greatest_difference_of_a_head_weight": head_difference(backbone, few[: min(sample, 8)], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", default=["ResNet152V2", "MobileNetV2"])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--pictures", type=int, default=175)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--sample", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "docs/results/warmup.csv")
    given = parser.parse_args()
    rows = kept_rows(given.out, given.network)
    rows += [
        measure(name, given.size, given.pictures, given.epochs, given.sample, given.repeats) for name in given.network
    ]
    with given.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(*rows, sep="\n")


def kept_rows(path: Path, but: list[str]) -> list[dict[str, object]]:
    """Read the rows of networks that are not measured now; none where they were measured otherwise."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        rows = [dict[str, object](row) for row in csv.DictReader(file)]
    return [row for row in rows if row["network"] not in but and "repeats" in row]


if __name__ == "__main__":
    main()
