"""Paper 002's training: a head warmed up on a frozen backbone, then its top layers fine-tuned.

With the backbone frozen (its batch norms too) and no random augmentation, its features of a picture never
change, so they are computed once, not once an epoch; the head's weights come out the same. Stage 2 does so with
the frozen trunk below the first open layer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from myoperf.errors import InputError

__all__ = [
    "STRATEGIES",
    "Backbone",
    "Fitted",
    "Pictures",
    "Schedule",
    "Strategy",
    "activation_map",
    "backbone_features",
    "fine_tune",
    "fit_strategy",
    "make_head",
    "warm_up",
]


class Backbone(Protocol):
    """What the training asks of a backbone: `KerasBackbone` and `EfficientNetLite0` are such."""

    features: int

    def __call__(self, images: Tensor, /) -> Tensor:
        """Pictures (B, 3, H, W) -> last maps (B, features, h, w)."""

    def train(self, mode: bool = True) -> Any:
        """Set training behaviour."""

    def eval(self) -> Any:
        """Set behaviour for use."""

    def state_dict(self) -> Any:
        """Give the weights."""

    def load_state_dict(self, state_dict: Any, strict: bool = True) -> Any:
        """Take weights."""

    def trainable_parameters(self) -> list[Tensor]:
        """Give the parameters of open layers."""

    def freeze_first(self, share: float) -> None:
        """Freeze the first share of the layers and open the others."""

    def open_top(self) -> None:
        """Open the layers of stage 2 and freeze the rest."""

    def halves(self) -> tuple[Callable[[Tensor], tuple[Tensor, ...]], Callable[[tuple[Tensor, ...]], Tensor]] | None:
        """Give the frozen trunk and the open rest, or None."""


@dataclass(frozen=True)
class Schedule:
    """Epochs, learning rates 10^-a and 10^-(a + 2), and the head.

    Attributes
    ----------
    warm_epochs, fine_epochs, long_epochs
        Of stage 1, of stage 2, and of strategies 1 to 3.
    rate_exponent
        002's a.
    """

    warm_epochs: int = 100
    fine_epochs: int = 30
    long_epochs: int = 100
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
        Share of layers frozen while the rest trains for the long phase; None where no such phase is run.
    warm, fine
        Whether stage 1 and stage 2 are run.
    """

    pretrained: bool
    frozen_first: float | None
    warm: bool
    fine: bool


STRATEGIES: Mapping[int, Strategy] = MappingProxyType(
    {
        1: Strategy(False, 0.0, False, False),
        2: Strategy(True, 0.0, False, False),
        3: Strategy(True, 200 / 564, False, False),
        4: Strategy(True, None, True, False),
        5: Strategy(True, None, False, True),
        6: Strategy(True, None, True, True),
    }
)
"""From scratch; all trainable; the first 200 of ResNet152V2's 564 layers frozen; stage 1 only; stage 2 only; both."""


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


GRAPH_FROM = 64
"""Pictures from which turning the network into a frozen graph (a second or two) pays."""


def backbone_features(backbone: Backbone, images: Tensor, *, batch: int = 16, graph: bool | None = None) -> Tensor:
    """Run the frozen backbone once over all pictures: (n, 3, H, W) -> (n, features), averaged over the maps.

    Parameters
    ----------
    graph
        Run the network as a frozen graph, batch norms folded into convolutions: the same to rounding and up to twice
        as fast on a processor. Default: for `GRAPH_FROM` pictures or more.
    """
    backbone.eval()
    if graph is None:
        graph = len(images) >= GRAPH_FROM and images.device.type == "cpu"
    with torch.inference_mode():
        run = _frozen_graph(backbone, images[:1]) if graph else backbone
        parts = [run(part).mean(dim=(2, 3)) for part in torch.split(images, batch)]
    return torch.cat(parts).clone()


def _frozen_graph(backbone: Backbone, image: Tensor) -> Callable[[Tensor], Tensor]:
    """Trace a network in evaluation mode, with its weights as they are now, and prepare it for the processor."""
    with warnings.catch_warnings():
        # What the tracer fixes (the picture's size, the kind of padding) is the same for every picture.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(backbone, image, check_trace=False)  # type: ignore[no-untyped-call]
        made: Callable[[Tensor], Tensor] = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
    return made


class _Greedy:
    """Keep the weights of the best epoch."""

    def __init__(self) -> None:
        self.accuracy: list[float] = []
        self.best = (-1.0, 0.0)
        self.epoch = 0
        self.state: list[dict[str, Tensor]] = []

    def see(self, logits: Tensor, labels: Tensor, modules: Sequence[Any]) -> None:
        accuracy = float((logits.argmax(dim=1) == labels).float().mean())
        score = (accuracy, -float(functional.cross_entropy(logits, labels)))
        self.accuracy.append(accuracy)
        if score > self.best:
            self.best, self.epoch = score, len(self.accuracy) - 1
            self.state = [{k: v.detach().clone() for k, v in m.state_dict().items()} for m in modules]

    def restore(self, modules: Sequence[Any]) -> None:
        for module, state in zip(modules, self.state, strict=True):
            module.load_state_dict(state, strict=True)


def _fit(
    inputs: tuple[Tensor, ...],
    labels: Tensor,
    forward: Callable[[tuple[Tensor, ...]], Tensor],
    modules: Sequence[Any],
    parameters: Sequence[Tensor],
    choose_on: tuple[tuple[Tensor, ...], Tensor],
    *,
    epochs: int,
    rate: float,
    batch: int,
    seed: int,
) -> _Greedy:
    """Train with Adam and keep the best epoch; the order of pictures and the dropout follow the seed."""
    generator, kept = torch.Generator().manual_seed(seed), _Greedy()
    optimiser = torch.optim.Adam(list(parameters), lr=rate, fused=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for _ in range(epochs):
            for module in modules:
                module.train()
            for rows in torch.split(torch.randperm(len(labels), generator=generator), batch):
                loss = functional.cross_entropy(forward(tuple(part[rows] for part in inputs)), labels[rows])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            for module in modules:
                module.eval()
            with torch.no_grad():
                pieces = zip(*(torch.split(part, batch) for part in choose_on[0]), strict=True)
                logits = torch.cat([forward(piece) for piece in pieces])
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
        (features,),
        labels,
        lambda parts: head(parts[0]),
        [head],
        list(head.parameters()),
        ((choose_on[0],), choose_on[1]),
        epochs=schedule.warm_epochs,
        rate=10.0**-schedule.rate_exponent,
        batch=schedule.batch,
        seed=seed,
    )
    return Fitted(head, tuple(kept.accuracy), kept.epoch)


def fit_strategy(
    number: int, backbone: Backbone, train: Pictures, choose_on: Pictures, schedule: Schedule, *, seed: int
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
        both = backbone_features(backbone, torch.cat([train.images, choose_on.images]), batch=schedule.batch)
        features, held = both[: len(train.labels)], both[len(train.labels) :]
        fitted = warm_up(features, train.labels, (held, choose_on.labels), schedule, seed=seed)
        head, chosen = fitted.head, fitted.chosen_epoch
        accuracy.extend(fitted.accuracy)
    if strategy.fine:
        kept = fine_tune(backbone, head, train, choose_on, schedule, seed=seed)
        chosen = len(accuracy) + kept.chosen_epoch
        accuracy.extend(kept.accuracy)
    elif strategy.frozen_first is not None:
        backbone.freeze_first(strategy.frozen_first)
        rate, epochs = 10.0**-schedule.rate_exponent, schedule.long_epochs
        kept = _fit_open(backbone, head, train, choose_on, schedule, epochs=epochs, rate=rate, seed=seed, keep=False)
        chosen, accuracy = kept.chosen_epoch, [*kept.accuracy]
    return Fitted(head.eval(), tuple(accuracy), chosen)


def fine_tune(
    backbone: Backbone,
    head: nn.Sequential,
    train: Pictures,
    choose_on: Pictures,
    schedule: Schedule,
    *,
    seed: int,
    keep: bool = True,
) -> Fitted:
    """Train the top of the backbone with the head at a hundredth of the rate (stage 2), both in place.

    Parameters
    ----------
    keep
        Run the frozen trunk once a picture and keep what it gives; the result is the same to rounding.
    """
    backbone.open_top()
    rate = 10.0 ** -(schedule.rate_exponent + 2)
    return _fit_open(
        backbone, head, train, choose_on, schedule, epochs=schedule.fine_epochs, rate=rate, seed=seed, keep=keep
    )


def _fit_open(
    backbone: Backbone,
    head: nn.Sequential,
    train: Pictures,
    choose_on: Pictures,
    schedule: Schedule,
    *,
    epochs: int,
    rate: float,
    seed: int,
    keep: bool,
) -> Fitted:
    """Train the open layers of a backbone with the head."""
    backbone.eval()
    halves = backbone.halves() if keep else None
    inputs: tuple[Tensor, ...] = (train.images,)
    held: tuple[Tensor, ...] = (choose_on.images,)

    if halves is not None:
        inputs, held = (_run_once(halves[0], p.images, schedule.batch) for p in (train, choose_on))

    def forward(parts: tuple[Tensor, ...]) -> Tensor:
        maps = backbone(parts[0]) if halves is None else halves[1](parts)
        logits: Tensor = head(maps.mean(dim=(2, 3)))
        return logits

    kept = _fit(
        inputs,
        train.labels,
        forward,
        [backbone, head],
        [*backbone.trainable_parameters(), *head.parameters()],
        (held, choose_on.labels),
        epochs=epochs,
        rate=rate,
        batch=schedule.batch,
        seed=seed,
    )
    return Fitted(head, tuple(kept.accuracy), kept.epoch)


def _run_once(trunk: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor, batch: int) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        pieces = [trunk(part) for part in torch.split(images, batch)]
    return tuple(torch.cat([piece[i] for piece in pieces]).clone() for i in range(len(pieces[0])))


def predict(backbone: Backbone, head: nn.Module, images: Tensor) -> Tensor:
    """Give the probability of disease, (n,)."""
    with torch.no_grad():
        logits: Tensor = head(backbone_features(backbone, images))
    return torch.softmax(logits, dim=1)[:, 1]


def activation_map(backbone: Backbone, head: nn.Module, image: Tensor) -> Tensor:
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
