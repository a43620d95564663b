"""The training of Hai et al. 2022: a head warmed up on a frozen backbone, then its top layers fine-tuned.

With the backbone frozen (its batch norms too) and no random augmentation, its features of a picture never
change, so they are computed once, not once an epoch; the head's weights come out the same. Stage 2 does so with
the frozen trunk below the first open layer.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from myoperf.errors import InputError
from myoperf.research.training.epochs import BestEpoch, HasWeights
from myoperf.research.training.prediction import run_in_batches
from myoperf.research.training.seeds import seeded


class Backbone(HasWeights, Protocol):
    """A network of pictures without its top, such as `KerasBackbone` and `EfficientNetLite0`."""

    features: int

    def __call__(self, images: Tensor, /) -> Tensor:
        """Pictures (B, 3, H, W) -> last maps (B, features, h, w)."""

    def train(self, mode: bool = True) -> Any:
        """Set training behaviour."""

    def eval(self) -> Any:
        """Set behaviour for use."""

    def trainable_parameters(self) -> list[Tensor]:
        """Return the parameters of open layers."""

    def freeze_first(self, share: float) -> None:
        """Freeze the first share of the layers and open the others."""

    def open_top(self) -> None:
        """Open the layers of stage 2 and freeze the rest."""

    def halves(self) -> tuple[Callable[[Tensor], tuple[Tensor, ...]], Callable[[tuple[Tensor, ...]], Tensor]] | None:
        """Return the frozen trunk and the open rest, or None where there is no trunk."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A backbone, and a head on the mean of its last maps with one logit a class."""

    backbone: Backbone
    head: nn.Module


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Epochs, learning rates 10^-a and 10^-(a + 2), and the head.

    Attributes
    ----------
    warm_epochs, fine_epochs, long_epochs
        Of stage 1, of stage 2, and of strategies 1 to 3.
    rate_exponent
        The paper's a.
    """

    warm_epochs: int = 100
    fine_epochs: int = 30
    long_epochs: int = 100
    rate_exponent: int = 3
    batch: int = 16
    units: int = 256
    dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """One of the paper's six.

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
    frozen_first: float | None = None
    warm: bool = False
    fine: bool = False


STRATEGIES: Mapping[int, Strategy] = MappingProxyType(
    {
        1: Strategy(pretrained=False, frozen_first=0.0),
        2: Strategy(pretrained=True, frozen_first=0.0),
        3: Strategy(pretrained=True, frozen_first=200 / 564),
        4: Strategy(pretrained=True, warm=True),
        5: Strategy(pretrained=True, fine=True),
        6: Strategy(pretrained=True, warm=True, fine=True),
    }
)
"""From scratch; all trainable; the first 200 of ResNet152V2's 564 layers frozen; stage 1 only; stage 2 only; both."""


@dataclass(frozen=True, eq=False)
class Examples:
    """What a network or its head learns from.

    Attributes
    ----------
    inputs
        Tensors of n rows each: one of pictures (n, 3, H, W) in the network's range or of features (n, features).
    labels
        (n,) 0 or 1.
    """

    inputs: tuple[Tensor, ...]
    labels: Tensor

    def __post_init__(self) -> None:
        if any(len(rows) != len(self.labels) for rows in self.inputs):
            shapes = ", ".join(str(tuple(rows.shape)) for rows in self.inputs)
            raise InputError(f"Expected one label a row; got inputs {shapes} and {len(self.labels)} labels.")


@dataclass(frozen=True, eq=False)
class Fitted:
    """The result of a training: the head, and accuracy and loss on the choosing pictures after every epoch.

    Attributes
    ----------
    chosen_epoch
        Index of the epoch whose weights were kept: the most accurate, of equals the lowest loss.
    """

    head: nn.Module
    accuracy: tuple[float, ...]
    loss: tuple[float, ...]
    chosen_epoch: int


def make_head(features: int, schedule: Schedule, seed: int) -> nn.Sequential:
    """Make the head of Hai et al. 2022 (doi:10.32604/cmc.2022.031027): dense with ReLU, dropout, dense with 2 outputs.

    It returns logits (B, 2), as the loss holds the softmax.

    Parameters
    ----------
    features
        Length of the backbone's features.
    """
    with seeded(seed):
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
    run = _frozen_graph(backbone, images[:1]) if graph else backbone
    return run_in_batches(lambda part: run(part).mean(dim=(2, 3)), images, batch=batch)


def _frozen_graph(backbone: Backbone, image: Tensor) -> Callable[[Tensor], Tensor]:
    """Trace a network in evaluation mode, with its weights as they are now, and prepare it for the processor."""
    with warnings.catch_warnings(), torch.no_grad():
        # What the tracer fixes (the picture's size, the kind of padding) is the same for every picture.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(backbone, image, check_trace=False)  # type: ignore[no-untyped-call]
        made: Callable[[Tensor], Tensor] = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
    return made


@dataclass(frozen=True, eq=False)
class Trainee:
    """What `train_epochs` trains.

    Attributes
    ----------
    forward
        Inputs as in `Examples` -> logits (B, 2).
    modules
        Set to training and evaluation; the best epoch's weights of them are kept.
    parameters
        What the optimiser changes.
    """

    forward: Callable[..., Tensor]
    modules: Sequence[Any]
    parameters: Sequence[Tensor]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One run of Adam; the order of the pictures and the dropout follow the seed."""

    epochs: int
    rate: float
    batch: int
    seed: int


def train_epochs(trainee: Trainee, train: Examples, choose_on: Examples, phase: Phase) -> BestEpoch:
    """Train and keep the best epoch's weights; each score is accuracy and negative loss on `choose_on`.

    Everything runs where the pictures and the parameters lie; the order of the pictures does not depend on it.
    """
    generator, best = torch.Generator().manual_seed(phase.seed), BestEpoch(*trainee.modules)
    optimiser = torch.optim.Adam(list(trainee.parameters), lr=phase.rate, fused=True)
    with seeded(phase.seed):
        for _ in range(phase.epochs):
            for module in trainee.modules:
                module.train()
            for rows in torch.split(torch.randperm(len(train.labels), generator=generator), phase.batch):
                logits = trainee.forward(*(part[rows] for part in train.inputs))
                loss = functional.cross_entropy(logits, train.labels[rows])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            for module in trainee.modules:
                module.eval()
            logits = run_in_batches(trainee.forward, *choose_on.inputs, batch=phase.batch)
            accuracy = float((logits.argmax(dim=1) == choose_on.labels).float().mean())
            best.record(accuracy, -float(functional.cross_entropy(logits, choose_on.labels)))
    best.restore()
    return best


def _fitted(head: nn.Module, best: BestEpoch) -> Fitted:
    accuracy, negative_loss = zip(*best.scores, strict=True)
    return Fitted(head, accuracy, tuple(-value for value in negative_loss), best.epoch)


def warm_up(train: Examples, choose_on: Examples, schedule: Schedule, *, seed: int) -> Fitted:
    """Train the head on features computed once (stage 1).

    Parameters
    ----------
    train, choose_on
        Features with labels; the second, of validation pictures, choose the epoch.
    """
    head = make_head(train.inputs[0].shape[1], schedule, seed).to(train.labels.device)
    phase = Phase(epochs=schedule.warm_epochs, rate=10.0**-schedule.rate_exponent, batch=schedule.batch, seed=seed)
    return _fitted(head, train_epochs(Trainee(head, [head], list(head.parameters())), train, choose_on, phase))


def fit_strategy(
    number: int, backbone: Backbone, train: Examples, choose_on: Examples, schedule: Schedule, *, seed: int
) -> Fitted:
    """Train by one of the six strategies; the backbone is changed in place.

    Parameters
    ----------
    backbone
        With pre-trained weights, but for strategy 1; the caller sees to that.
    choose_on
        Pictures that choose the epoch: validation ones. Giving the test pictures here repeats what the paper
        did, and makes its accuracy optimistic.

    Raises
    ------
    InputError
        For a number other than 1 to 6.
    """
    if number not in STRATEGIES:
        raise InputError(f"The strategies are 1 to 6; got {number}.")
    strategy = STRATEGIES[number]
    fitted = Fitted(make_head(backbone.features, schedule, seed).to(train.labels.device), (), (), 0)
    if strategy.warm:
        both = backbone_features(backbone, torch.cat([train.inputs[0], choose_on.inputs[0]]), batch=schedule.batch)
        features, held = (
            Examples((rows,), part.labels)
            for rows, part in zip(
                (both[: len(train.labels)], both[len(train.labels) :]), (train, choose_on), strict=True
            )
        )
        fitted = warm_up(features, held, schedule, seed=seed)
    if strategy.fine:
        fine = fine_tune(Classifier(backbone, fitted.head), train, choose_on, schedule, seed=seed)
        chosen = len(fitted.accuracy) + fine.chosen_epoch
        fitted = Fitted(fine.head, fitted.accuracy + fine.accuracy, fitted.loss + fine.loss, chosen)
    elif strategy.frozen_first is not None:
        backbone.freeze_first(strategy.frozen_first)
        phase = Phase(epochs=schedule.long_epochs, rate=10.0**-schedule.rate_exponent, batch=schedule.batch, seed=seed)
        fitted = _fit_open(Classifier(backbone, fitted.head), train, choose_on, phase, keep=False)
    fitted.head.eval()
    return fitted


def fine_tune(
    network: Classifier, train: Examples, choose_on: Examples, schedule: Schedule, *, seed: int, keep: bool = True
) -> Fitted:
    """Train the top of the backbone with the head at a hundredth of the rate (stage 2), both in place.

    Parameters
    ----------
    keep
        Run the frozen trunk once a picture and keep its output; the result is the same to rounding.
    """
    network.backbone.open_top()
    rate = 10.0 ** -(schedule.rate_exponent + 2)
    phase = Phase(epochs=schedule.fine_epochs, rate=rate, batch=schedule.batch, seed=seed)
    return _fit_open(network, train, choose_on, phase, keep=keep)


def _fit_open(network: Classifier, train: Examples, choose_on: Examples, phase: Phase, *, keep: bool) -> Fitted:
    """Train the open layers of a backbone with the head."""
    backbone, head = network.backbone, network.head
    backbone.eval()
    halves = backbone.halves() if keep else None
    if halves is not None:
        train, choose_on = (
            Examples(_run_once(halves[0], part.inputs[0], phase.batch), part.labels) for part in (train, choose_on)
        )

    def forward(*parts: Tensor) -> Tensor:
        maps = backbone(parts[0]) if halves is None else halves[1](parts)
        logits: Tensor = head(maps.mean(dim=(2, 3)))
        return logits

    parameters = [*backbone.trainable_parameters(), *head.parameters()]
    return _fitted(head, train_epochs(Trainee(forward, [backbone, head], parameters), train, choose_on, phase))


def _run_once(trunk: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor, batch: int) -> tuple[Tensor, ...]:
    with torch.no_grad():
        pieces = [trunk(part) for part in torch.split(images, batch)]
    return tuple(torch.cat(parts) for parts in zip(*pieces, strict=True))


def predict(network: Classifier, images: Tensor) -> Tensor:
    """Return the probability of disease, (n,), for pictures as the backbone takes them; without a gradient."""
    with torch.no_grad():
        logits: Tensor = network.head(backbone_features(network.backbone, images))
    return torch.softmax(logits, dim=1)[:, 1]


def activation_map(network: Classifier, image: Tensor) -> Tensor:
    """Return the class activation map of disease (Grad-CAM), (H, W) from 0 to 1.

    The gradients of the disease's logit at the last feature maps weigh the maps, as in the paper.
    """
    network.backbone.eval()
    network.head.eval()
    with torch.no_grad():
        maps = network.backbone(image[None])
    maps = maps.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(network.head(maps.mean(dim=(2, 3)))[0, 1], maps)
    heat = functional.relu((maps * gradient.mean(dim=(2, 3), keepdim=True)).sum(dim=1, keepdim=True)).detach()
    shown = functional.interpolate(heat, size=image.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
    return shown / shown.max().clamp_min(1e-12)
