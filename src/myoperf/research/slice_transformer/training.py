"""Train the multi-branch Medical Transformer: one readable loop.

Source: Zhao et al. (see `multi_branch`), section 3.5: the rarer class upsampled; spatial, noise, low-resolution, mirror
and intensity augmentation; AdamW, learning rate 1e-5, batch 16, 200 epochs, cross-entropy.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from myoperf.errors import InputError
from myoperf.research.slice_transformer.multi_branch import MultiBranchMiT
from myoperf.research.training.prediction import run_in_batches
from myoperf.research.training.splits import split_rows
from myoperf.research.training.weights import HasState, resume_checkpoint, save_checkpoint
from myoperf.types import Float


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Settings of a training; the defaults are Zhao et al.'s, and PyTorch's weight decay.

    Parameters
    ----------
    epochs, batch, learning_rate, weight_decay
        Of AdamW.
    augment
        Whether training stacks are changed at random.
    cosine
        Raise the learning rate over the first tenth of the steps, then lower it to 0 by half a cosine; otherwise it is
        constant, as in the paper.
    frozen
        Train the fusion and the linear layer on features that are computed once; the encoders stay as they are.
    """

    epochs: int = 200
    batch: int = 16
    learning_rate: float = 1e-5
    weight_decay: float = 0.01
    augment: bool = True
    cosine: bool = False
    frozen: bool = False


class Augmentation:
    """The paper's augmentation for stacks (views, planes, rows, columns), built from MONAI; views change together.

    Rotation by up to 10 degrees, scaling by up to 10 %, shifts by up to 3 %; noise; low resolution; mirrored rows and
    columns; intensity scaling and gamma. Geometry changes within the planes only: along depth stress lies beside rest,
    and the two must not mix.

    Parameters
    ----------
    seed
        Same seed, same changes.
    side
        Rows and columns of the stacks.
    device
        That the stacks are on.
    """

    def __init__(self, seed: int, *, side: int = 96, device: torch.device | None = None) -> None:
        from monai.transforms.compose import Compose  # MONAI is slow to import
        from monai.transforms.intensity.array import RandAdjustContrast, RandGaussianNoise, RandScaleIntensity
        from monai.transforms.spatial.array import RandAffine, RandFlip, RandSimulateLowResolution

        spatial = RandAffine(
            prob=0.5,
            rotate_range=np.pi / 18,
            scale_range=(0.1, 0.1),
            translate_range=(side / 32, side / 32),
            padding_mode="zeros",
            device=device,
        )
        transforms = [
            spatial,
            RandGaussianNoise(prob=0.3, std=0.05),
            RandSimulateLowResolution(prob=0.25, zoom_range=(0.5, 1.0), upsample_mode="bilinear"),
            RandFlip(prob=0.2, spatial_axis=0),
            RandFlip(prob=0.2, spatial_axis=1),
            RandScaleIntensity(factors=0.2, prob=0.5),
            RandAdjustContrast(prob=0.3, gamma=(0.7, 1.5)),
        ]
        self._chain = Compose(transforms)
        self._chain.set_random_state(seed=seed)
        self._generators: list[np.random.RandomState] = [t.R for t in (spatial.rand_affine_grid, *transforms)]

    def __call__(self, stacks: Tensor) -> Tensor:
        """Return a changed copy of one patient's stacks, on the device that they are on."""
        planes = stacks.flatten(0, 1)  # pictures of many channels
        return torch.as_tensor(self._chain(planes)).as_subclass(Tensor).reshape(stacks.shape)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the random numbers, for a checkpoint."""
        states = [generator.get_state(legacy=False) for generator in self._generators]
        for state in states:
            state["state"]["key"] = state["state"]["key"].tolist()
        return {"generators": states}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a state of `state_dict`."""
        for generator, state in zip(self._generators, state_dict["generators"], strict=True):
            generator.set_state(state)


def split_patients(
    truth: Sequence[int], *, share: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return training and test patients; `share` of each class, and at least one patient, goes to the test.

    Returns
    -------
    Rows for training and for testing, each in ascending order.

    Examples
    --------
    >>> train, test = split_patients([0, 0, 0, 1, 1, 1], share=0.3, rng=np.random.default_rng(0))
    >>> len(train), len(test)
    (4, 2)
    """
    train, test = split_rows(truth, share, rng=rng, rounding=round)
    return train, test


def balanced_order(truth: NDArray[np.integer[Any]], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a random order of all patients, the rarer class repeated until both are equally frequent."""
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
    checkpoint: Path | None = None,
    report: Callable[[int, float], None] | None = None,
) -> tuple[float, ...]:
    """Train a network in place, on the device that its weights are on.

    Parameters
    ----------
    stacks
        (patients, views, planes, rows, columns), 0 to 1, of the training patients.
    truth
        0 or 1 for each patient; both must occur.
    checkpoint
        File that keeps the state after every epoch; if it exists, the training resumes there and ends with the same
        weights as if it had not stopped.
    report
        Called with (epoch, mean loss).

    Returns
    -------
    Mean loss of every epoch.

    Raises
    ------
    InputError
        When stacks and labels differ in number, one class is missing, or the checkpoint has other settings.
    """
    labels = np.asarray(truth)
    if len(labels) != len(stacks) or set(np.unique(labels)) != {0, 1}:
        raise InputError(
            f"Training needs a label 0 or 1 for each patient, both present; got {len(labels)} labels for {len(stacks)}."
        )
    rng, device = np.random.default_rng(seed), network.head.weight.device
    augment = None
    if options.augment and not options.frozen:
        augment = Augmentation(seed, side=stacks.shape[-1], device=device)
    if options.frozen:
        network.freeze_branches()
    features, whole = _pooled(network, stacks) if options.frozen else None, _tensor(stacks, device)
    targets = torch.from_numpy(labels.astype(np.int64)).to(device)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.learning_rate, weight_decay=options.weight_decay)
    steps = options.epochs * -(-len(balanced_order(labels, np.random.default_rng(0))) // options.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_share(step, steps) if options.cosine else 1.0
    )
    state: dict[str, HasState] = {"network": network, "optimizer": optimizer, "schedule": schedule, "rng": rng}
    if augment is not None:
        state["augmentation"] = augment
    settings = {"options": asdict(options), "seed": seed, "truth": labels.tolist()}
    history: list[float] = resume_checkpoint(checkpoint, state, settings=settings).get("losses", [])
    network.train()
    for epoch in range(len(history), options.epochs):
        order = balanced_order(labels, rng)
        losses = []
        for start in range(0, len(order), options.batch):
            chosen = order[start : start + options.batch]
            if features is not None:
                logits = network.classify(features[chosen])
            else:
                logits = network(torch.stack([whole[i] if augment is None else augment(whole[i]) for i in chosen]))
            loss = F.cross_entropy(logits, targets[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        history.append(float(np.mean(losses)))
        if checkpoint is not None:
            save_checkpoint(checkpoint, state, settings=settings, losses=history)
        if report is not None:
            report(epoch, history[-1])
    network.eval()
    return tuple(history)


def predict(network: MultiBranchMiT, stacks: Float, *, batch: int = 4) -> Float:
    """Return the probability of class 1 of each patient, shape (patients,).

    Parameters
    ----------
    stacks
        (patients, views, planes, rows, columns), 0 to 1, with the views that the network was built for.
    batch
        Patients at a time; it changes memory and not the result.
    """
    network.eval()
    logits = run_in_batches(network, _tensor(stacks, network.head.weight.device), batch=batch)
    return np.asarray(torch.softmax(logits, dim=1)[:, 1].cpu().numpy(), dtype=np.float64)


def rate_share(step: int, steps: int) -> float:
    """Return the share of the learning rate at a step: up over the first tenth, down to 0 by half a cosine."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + float(np.cos(np.pi * (step - warm) / max(1, steps - warm))))


def _tensor(stacks: Float, device: torch.device) -> Tensor:
    return torch.from_numpy(np.asarray(stacks, dtype=np.float32)).to(device)


def _pooled(network: MultiBranchMiT, stacks: Float) -> Tensor:
    """Compute every patient's features once, (patients, views, 512): exact, as frozen encoders see no augmentation."""
    network.eval()
    whole = _tensor(stacks, network.head.weight.device)
    return run_in_batches(lambda part: network.pool(network.encode(part)), whole, batch=4)
