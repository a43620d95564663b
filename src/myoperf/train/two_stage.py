"""Paper 002's training: a head warmed up on a frozen backbone, then its top layers fine-tuned.

With the backbone frozen (its batch norms too) and no random augmentation, its features of a picture never
change, so they are computed once, not once an epoch; the head's weights come out the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from myoperf.errors import InputError
from myoperf.nets.keras_backbones import BackboneSpec, KerasBackbone, stage2_layers, train_only

__all__ = [
    "STRATEGIES",
    "Fitted",
    "Pictures",
    "Schedule",
    "Strategy",
    "activation_map",
    "backbone_features",
    "fit_strategy",
    "make_head",
    "tune_head",
    "warm_up",
]


@dataclass(frozen=True)
class Schedule:
    """Epochs, learning rates 10^-a and 10^-(a + 2), and the head.

    Attributes
    ----------
    rate_exponent
        002's a.
    """

    warm_epochs: int = 100
    fine_epochs: int = 30
    rate_exponent: int = 3
    batch: int = 16
    units: int = 256
    dropout: float = 0.0


@dataclass(frozen=True)
class Strategy:
    """One of 002's six.

    Attributes
    ----------
    pretrained
        Starts from given weights; otherwise from random ones.
    frozen_first
        Layers frozen while the rest trains for the warm-up's epochs; None where no such phase is run.
    warm, fine
        Whether stage 1 and stage 2 are run.
    """

    pretrained: bool
    frozen_first: int | None
    warm: bool
    fine: bool


STRATEGIES: Mapping[int, Strategy] = MappingProxyType(
    {
        1: Strategy(False, 0, False, False),
        2: Strategy(True, 0, False, False),
        3: Strategy(True, 200, False, False),
        4: Strategy(True, None, True, False),
        5: Strategy(True, None, False, True),
        6: Strategy(True, None, True, True),
    }
)
"""From scratch; all trainable; first 200 layers frozen; stage 1 only; stage 2 only; both."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures (n, 3, H, W) in the network's range, and labels (n,) 0 or 1."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or len(self.images) != len(self.labels):
            raise InputError(f"Pictures {tuple(self.images.shape)} and {len(self.labels)} labels do not go together.")


@dataclass(frozen=True, eq=False)
class Fitted:
    """What training gave: the head, and accuracy on the choosing pictures after every epoch.

    Attributes
    ----------
    chosen_epoch
        Index of the epoch whose weights were kept: the most accurate, of equals the lowest loss.
    """

    head: nn.Sequential
    accuracy: tuple[float, ...]
    chosen_epoch: int


def make_head(features: int, schedule: Schedule, seed: int) -> nn.Sequential:
    """Make 002's head: dense ReLU, dropout, dense 2; the softmax is in the loss."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(features, schedule.units), nn.ReLU(), nn.Dropout(schedule.dropout), nn.Linear(schedule.units, 2)
        )


def backbone_features(backbone: KerasBackbone, images: Tensor, *, batch: int = 16) -> Tensor:
    """Run the frozen backbone once over all pictures: (n, 3, H, W) -> (n, features), averaged over the maps."""
    backbone.eval()
    with torch.inference_mode():
        parts = [backbone(part).mean(dim=(2, 3)) for part in torch.split(images, batch)]
    return torch.cat(parts).clone()


class _Greedy:
    """Keep the weights of the best epoch."""

    def __init__(self) -> None:
        self.accuracy: list[float] = []
        self.best = (-1.0, 0.0)
        self.epoch = 0
        self.state: list[dict[str, Tensor]] = []

    def see(self, logits: Tensor, labels: Tensor, modules: Sequence[nn.Module]) -> None:
        accuracy = float((logits.argmax(dim=1) == labels).float().mean())
        score = (accuracy, -float(functional.cross_entropy(logits, labels)))
        self.accuracy.append(accuracy)
        if score > self.best:
            self.best, self.epoch = score, len(self.accuracy) - 1
            self.state = [{k: v.detach().clone() for k, v in m.state_dict().items()} for m in modules]

    def restore(self, modules: Sequence[nn.Module]) -> None:
        for module, state in zip(modules, self.state, strict=True):
            module.load_state_dict(state, strict=True)


def _fit(
    inputs: Tensor,
    labels: Tensor,
    forward: Callable[[Tensor], Tensor],
    modules: Sequence[nn.Module],
    parameters: Sequence[Tensor],
    choose_on: tuple[Tensor, Tensor],
    *,
    epochs: int,
    rate: float,
    batch: int,
    seed: int,
) -> _Greedy:
    """Train with Adam and keep the best epoch; the order of pictures and the dropout follow the seed."""
    generator, kept = torch.Generator().manual_seed(seed), _Greedy()
    optimiser = torch.optim.Adam(list(parameters), lr=rate)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for _ in range(epochs):
            for module in modules:
                module.train()
            for rows in torch.split(torch.randperm(len(inputs), generator=generator), batch):
                loss = functional.cross_entropy(forward(inputs[rows]), labels[rows])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            for module in modules:
                module.eval()
            with torch.no_grad():
                logits = torch.cat([forward(part) for part in torch.split(choose_on[0], batch)])
            kept.see(logits, choose_on[1], modules)
    kept.restore(modules)
    return kept


def warm_up(
    features: Tensor, labels: Tensor, choose_on: tuple[Tensor, Tensor], schedule: Schedule, *, seed: int
) -> Fitted:
    """Train the head on features computed once (stage 1).

    Parameters
    ----------
    choose_on
        Features and labels that choose the epoch: of validation pictures.
    """
    head = make_head(features.shape[1], schedule, seed)
    kept = _fit(
        features,
        labels,
        head,
        [head],
        list(head.parameters()),
        choose_on,
        epochs=schedule.warm_epochs,
        rate=10.0**-schedule.rate_exponent,
        batch=schedule.batch,
        seed=seed,
    )
    return Fitted(head, tuple(kept.accuracy), kept.epoch)


def fit_strategy(
    number: int,
    backbone: KerasBackbone,
    spec: BackboneSpec,
    train: Pictures,
    choose_on: Pictures,
    schedule: Schedule,
    *,
    seed: int,
) -> Fitted:
    """Train by one of the six strategies; the backbone is changed in place.

    Parameters
    ----------
    backbone
        With pre-trained weights, but for strategy 1; whether it is so is the caller's to see to.
    choose_on
        Pictures that choose the epoch: validation ones. Giving the test pictures here repeats what the paper
        did, and makes its accuracy optimistic.

    Raises
    ------
    InputError
        For a number other than 1 to 6.
    """
    if number not in STRATEGIES:
        raise InputError(f"Paper 002 has strategies 1 to 6; got {number}.")
    strategy = STRATEGIES[number]
    head = make_head(backbone.features, schedule, seed)
    accuracy: list[float] = []
    chosen = 0
    if strategy.warm:
        parts = [backbone_features(backbone, p.images, batch=schedule.batch) for p in (train, choose_on)]
        fitted = warm_up(parts[0], train.labels, (parts[1], choose_on.labels), schedule, seed=seed)
        head, chosen = fitted.head, fitted.chosen_epoch
        accuracy.extend(fitted.accuracy)
    if strategy.fine or strategy.frozen_first is not None:
        epochs = schedule.fine_epochs if strategy.fine else schedule.warm_epochs
        exponent = schedule.rate_exponent + (2 if strategy.fine else 0)
        opened = stage2_layers(backbone, spec) if strategy.fine else backbone.model.layers[strategy.frozen_first :]
        train_only(backbone, opened)
        kept = _fit(
            train.images,
            train.labels,
            lambda images: head(backbone(images).mean(dim=(2, 3))),
            [backbone, head],
            [*backbone.trainable_parameters(), *head.parameters()],
            (choose_on.images, choose_on.labels),
            epochs=epochs,
            rate=10.0**-exponent,
            batch=schedule.batch,
            seed=seed,
        )
        chosen = len(accuracy) + kept.epoch
        accuracy.extend(kept.accuracy)
    return Fitted(head.eval(), tuple(accuracy), chosen)


def predict(backbone: KerasBackbone, head: nn.Module, images: Tensor) -> Tensor:
    """Give the probability of disease, (n,)."""
    with torch.no_grad():
        logits: Tensor = head(backbone_features(backbone, images))
    return torch.softmax(logits, dim=1)[:, 1]


def activation_map(backbone: KerasBackbone, head: nn.Module, image: Tensor) -> Tensor:
    """Give the class activation map of disease, (H, W) from 0 to 1: gradients at the last feature maps (Grad-CAM)."""
    backbone.eval()
    head.eval()
    with torch.no_grad():
        maps = backbone(image[None])
    maps = maps.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(head(maps.mean(dim=(2, 3)))[0, 1], maps)
    heat = functional.relu((maps * gradient.mean(dim=(2, 3), keepdim=True)).sum(dim=1, keepdim=True)).detach()
    shown = functional.interpolate(heat, size=image.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
    return shown / shown.max().clamp_min(1e-12)


def tune_head(
    features: Tensor,
    labels: Tensor,
    choose_on: tuple[Tensor, Tensor],
    schedule: Schedule,
    *,
    trials: int,
    seed: int,
) -> dict[str, Any]:
    """Choose units and dropout by Hyperband (Li et al. 2018, arXiv:1603.06560) on features computed once.

    Returns
    -------
    ``units``, ``dropout`` and the ``accuracy`` reached on the choosing pictures.
    """
    import optuna

    def objective(trial: Any) -> float:
        units = trial.suggest_categorical("units", [32, 64, 128, 256, 512])
        dropout = trial.suggest_float("dropout", 0.0, 0.5, step=0.1)
        best, epochs = 0.0, max(1, schedule.warm_epochs // 9)
        for rung in (1, 3, 9):
            tried = Schedule(epochs * rung, 0, schedule.rate_exponent, schedule.batch, units, dropout)
            best = max(best, max(warm_up(features, labels, choose_on, tried, seed=seed).accuracy))
            trial.report(best, rung)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(seed=seed),
            pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3),
        )
        study.optimize(objective, n_trials=trials)
    finally:
        optuna.logging.set_verbosity(level)
    return {**study.best_params, "accuracy": float(study.best_value)}
