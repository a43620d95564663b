"""Train the multi-branch Medical Transformer: the paper's recipe in one readable loop.

Source: paper 000, section 3.5: the rarer class upsampled; spatial, noise, low-resolution, mirror and intensity
augmentation; AdamW, learning rate 1e-5, batch 16, 200 epochs, cross-entropy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from myoperf.errors import InputError
from myoperf.research.slice_transformer.multi_branch import MultiBranchMiT
from myoperf.types import Float

__all__ = ["FitOptions", "augmentation", "balanced_order", "fit", "predict", "rate_share", "split_patients"]


@dataclass(frozen=True)
class FitOptions:
    """How to train.

    Parameters
    ----------
    epochs, batch, learning_rate, weight_decay
        Of AdamW; the paper: 200, 16, 1e-5; PyTorch's default decay.
    augment
        Whether training stacks are changed at random.
    cosine
        Raise the learning rate over the first tenth of the steps, then lower it to nothing by half a cosine; else
        it is constant, as in the paper.
    frozen
        Train the fusion and the linear layer on features computed once; the encoders stay as they are.
    """

    epochs: int = 200
    batch: int = 16
    learning_rate: float = 1e-5
    weight_decay: float = 0.01
    augment: bool = True
    cosine: bool = False
    frozen: bool = False


def augmentation(seed: int, *, side: int = 96) -> Callable[[Float], Float]:
    """Give the paper's augmentation for stacks (views, planes, rows, columns), built from MONAI.

    Rotation by up to 10 degrees in plane, scaling by up to 10 %, shifts by up to 3 %; noise; low
    resolution; mirror of the rows and columns; intensity scaling and gamma. Views are changed together.

    Parameters
    ----------
    side
        Rows and columns of the stacks.
    """
    from monai.transforms.compose import Compose
    from monai.transforms.intensity.array import RandAdjustContrast, RandGaussianNoise, RandScaleIntensity
    from monai.transforms.spatial.array import RandAffine, RandFlip, RandSimulateLowResolution

    shift = side / 32
    spatial = RandAffine(
        prob=0.5,
        rotate_range=(np.pi / 18, 0, 0),
        scale_range=0.1,
        translate_range=(0, shift, shift),
        padding_mode="zeros",
    )
    chain = Compose(
        [
            spatial,
            RandGaussianNoise(prob=0.3, std=0.05),
            RandSimulateLowResolution(prob=0.25, zoom_range=(0.5, 1.0)),
            RandFlip(prob=0.2, spatial_axis=1),
            RandFlip(prob=0.2, spatial_axis=2),
            RandScaleIntensity(factors=0.2, prob=0.5),
            RandAdjustContrast(prob=0.3, gamma=(0.7, 1.5)),
        ]
    )
    chain.set_random_state(seed=seed)

    def augment(stacks: Float) -> Float:
        return np.asarray(chain(torch.from_numpy(np.asarray(stacks, dtype=np.float32))), dtype=np.float32)

    return augment


def split_patients(truth: Sequence[int], *, share: float, rng: np.random.Generator) -> tuple[Float, Float]:
    """Deal patients into train and test, each class in the same proportion: (train indices, test indices).

    Parameters
    ----------
    truth
        0 or 1 a patient.
    share
        Of each class that goes to the test, at least one patient.
    """
    labels = np.asarray(truth)
    test: list[int] = []
    for label in (0, 1):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise InputError(f"A split needs two patients of each class; class {label} has {len(members)}.")
        test.extend(members[: max(1, round(share * len(members)))])
    chosen = np.sort(np.array(test))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


def balanced_order(truth: NDArray[Any], rng: np.random.Generator) -> NDArray[np.intp]:
    """Give a random order of all patients, the rarer class repeated until both are equally frequent."""
    classes = [np.flatnonzero(truth == label) for label in (0, 1)]
    most = max(len(members) for members in classes)
    order = [np.concatenate([rng.permutation(c) for _ in range(-(-most // len(c)))])[:most] for c in classes]
    return np.asarray(rng.permutation(np.concatenate(order)))


def fit(
    network: MultiBranchMiT,
    stacks: Float,
    truth: Sequence[int],
    *,
    options: FitOptions,
    seed: int = 0,
    report: Callable[[int, float], None] | None = None,
) -> tuple[float, ...]:
    """Train a network in place.

    Parameters
    ----------
    stacks
        (patients, views, planes, rows, columns), 0 to 1, of the training patients.
    truth
        0 or 1 a patient; both must occur.
    report
        Called with (epoch, mean loss).

    Returns
    -------
    Mean loss of every epoch.

    Raises
    ------
    InputError
        When stacks and labels disagree in number, or one class is missing.
    """
    labels = np.asarray(truth)
    if len(labels) != len(stacks) or set(np.unique(labels)) != {0, 1}:
        raise InputError(f"Training needs a label 0 or 1 a patient, both present; got {len(labels)} for {len(stacks)}.")
    rng = np.random.default_rng(seed)
    augment = augmentation(seed, side=stacks.shape[-1]) if options.augment and not options.frozen else None
    if options.frozen:
        network.freeze_branches()
    features = _pooled(network, stacks) if options.frozen else None
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.learning_rate, weight_decay=options.weight_decay)
    steps = options.epochs * -(-len(balanced_order(labels, np.random.default_rng(0))) // options.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_share(step, steps) if options.cosine else 1.0
    )
    network.train()
    history = []
    for epoch in range(options.epochs):
        order = balanced_order(labels, rng)
        losses = []
        for start in range(0, len(order), options.batch):
            chosen = order[start : start + options.batch]
            if features is not None:
                logits = network.classify(features[chosen])
            else:
                logits = network(_batch(stacks, chosen, augment))
            loss = F.cross_entropy(logits, torch.from_numpy(labels[chosen].astype(np.int64)))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        history.append(float(np.mean(losses)))
        if report is not None:
            report(epoch, history[-1])
    network.eval()
    return tuple(history)


def predict(network: MultiBranchMiT, stacks: Float, *, batch: int = 4) -> Float:
    """Give the probability of class 1 for (patients, views, planes, rows, columns): (patients,)."""
    network.eval()
    with torch.no_grad():
        parts = [
            torch.softmax(network(torch.from_numpy(np.asarray(stacks[i : i + batch], dtype=np.float32))), dim=1)[:, 1]
            for i in range(0, len(stacks), batch)
        ]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float64)


def rate_share(step: int, steps: int) -> float:
    """Give the share of the learning rate at a step: up over the first tenth, down to nothing by half a cosine."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + float(np.cos(np.pi * (step - warm) / max(1, steps - warm))))


def _batch(stacks: Float, chosen: NDArray[np.intp], augment: Callable[[Float], Float] | None) -> Tensor:
    picked = [stacks[i] if augment is None else augment(stacks[i]) for i in chosen]
    return torch.from_numpy(np.stack(picked).astype(np.float32))


def _pooled(network: MultiBranchMiT, stacks: Float, *, batch: int = 4) -> Tensor:
    """Compute every patient's features once, (patients, views, 512): exact, as frozen encoders see no augmentation."""
    network.eval()
    with torch.no_grad():
        parts = [
            network.pool(network.encode(torch.from_numpy(np.asarray(stacks[i : i + batch], dtype=np.float32))))
            for i in range(0, len(stacks), batch)
        ]
    return torch.cat(parts)
