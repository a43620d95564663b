"""Paper 001's training loop: a polar network with clinical values, three sigmoids, rates that drop on a plateau.

Adam at 1e-3 with binary cross-entropy and the L2 term of the dense layers; the rate falls to a tenth after ten
epochs without better validation accuracy; training stops when it would fall under 1e-7 or after 300 epochs. The
paper does not say which epoch's weights it used: here those of the most accurate validation epoch, of equals the
one with the lowest loss. A network whose backbone is frozen is trained on features computed once, one set a turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from myoperf.errors import InputError
from myoperf.research.label_strategies.polar_fusion import FusionInput, PolarFusion, pyramid_pool

__all__ = [
    "Inputs",
    "Rules",
    "Trained",
    "fit_polar",
    "frozen_features",
    "predict_polar",
    "scale_clinical",
    "turn_pictures",
]


@dataclass(frozen=True)
class Rules:
    """001's schedule; the defaults are the paper's.

    Attributes
    ----------
    drop, patience, lowest
        The rate is multiplied by `drop` after `patience` epochs without better accuracy, and not below `lowest`.
    turn_deg
        Largest turn of an augmented picture.
    """

    epochs: int = 300
    batch: int = 2
    rate: float = 1e-3
    drop: float = 0.1
    patience: int = 10
    lowest: float = 1e-7
    turn_deg: float = 10.0


@dataclass(frozen=True, eq=False)
class Inputs:
    """What the networks are given, a row a patient.

    Attributes
    ----------
    versions
        (turns, patients, ...): pictures (1, patients, 2, H, W), stress then rest, or features of a frozen
        backbone, one set a turn, the unturned first.
    clinical
        (patients, 4), standardised.
    """

    versions: Tensor
    clinical: Tensor

    def __post_init__(self) -> None:
        if self.versions.ndim < 3 or self.versions.shape[1] != len(self.clinical):
            shapes = f"{tuple(self.versions.shape)} and clinical values {tuple(self.clinical.shape)}"
            raise InputError(f"Inputs {shapes} do not go together: the second side must be the patients.")

    @property
    def are_pictures(self) -> bool:
        """Whether the network's backbone is to be run on them."""
        return self.versions.ndim == 5


@dataclass(frozen=True, eq=False)
class Trained:
    """How a training went.

    Attributes
    ----------
    accuracy, rates
        Validation accuracy after, and learning rate during, each epoch.
    chosen_epoch
        Index of the epoch whose weights the network holds.
    stopped
        ``"rate"`` when the lowest rate was used up, ``"epochs"`` when there were no more.
    """

    accuracy: tuple[float, ...]
    rates: tuple[float, ...]
    chosen_epoch: int
    stopped: Literal["rate", "epochs"]


def scale_clinical(values: NDArray[Any], known: NDArray[Any]) -> Tensor:
    """Standardise clinical values (patients, 4) by the mean and spread of the rows `known`."""
    seen = np.asarray(values, dtype=np.float64)[known]
    spread = seen.std(axis=0)
    scaled = (np.asarray(values, dtype=np.float64) - seen.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return torch.from_numpy(scaled.astype(np.float32))


def turn_pictures(pictures: Tensor, degrees: Tensor) -> Tensor:
    """Turn each picture (B, C, H, W) about its middle by degrees (B,), anticlockwise on the screen; edges are 0."""
    angle = torch.deg2rad(degrees.float())
    cosine, sine, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    # The grid says where each pixel comes from; rows run down.
    matrix = torch.stack([torch.stack([cosine, -sine, zero], dim=1), torch.stack([sine, cosine, zero], dim=1)], dim=1)
    grid = functional.affine_grid(matrix, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, align_corners=False)


def frozen_features(
    backbone: nn.Module,
    pictures: Tensor,
    fusion: FusionInput,
    *,
    degrees: Sequence[float] = (0.0,),
    size: int,
    input_range: tuple[float, float],
    batch: int = 64,
) -> Tensor:
    """Run a frozen three-channel backbone once a picture and turn.

    Parameters
    ----------
    pictures
        (patients, 2, H, W), stress then rest, from 0 to 1.
    fusion
        Early fusion gives stress, rest and their mean as the three channels; late fusion the pyramid-pooled
        maximum of the last maps of stress and of rest.
    degrees
        Turns; the first should be 0.
    size
        Rows and columns the pictures are enlarged to.

    Returns
    -------
    (turns, patients, features) float32.
    """
    backbone.eval()
    low, high = input_range

    def maps(channels: Tensor) -> Tensor:
        big = functional.interpolate(channels, size=size, mode="bilinear", align_corners=False)
        out: Tensor = backbone(big * (high - low) + low)
        return out

    def pooled(part: Tensor) -> Tensor:
        stress, rest = (part[:, i : i + 1].expand(-1, 3, -1, -1) for i in (0, 1))
        if fusion == "late":
            return pyramid_pool(torch.maximum(maps(stress), maps(rest)))
        early = torch.cat([part, part.mean(dim=1, keepdim=True)], dim=1)
        given = {"stress": stress, "rest": rest, "early": early}[fusion]
        return maps(given).mean(dim=(2, 3))

    turns = []
    with torch.inference_mode():
        for turn in degrees:
            parts = []
            for part in torch.split(pictures, batch):
                turned = part if turn == 0 else turn_pictures(part, torch.full((len(part),), float(turn)))
                parts.append(pooled(turned))
            turns.append(torch.cat(parts))
    return torch.stack(turns).clone()


def _given(data: Inputs, rows: Tensor, rules: Rules, generator: torch.Generator | None) -> Tensor:
    """Take rows; with a generator each is turned, or the features of a random turn are taken."""
    if generator is None:
        return data.versions[0, rows]
    if data.are_pictures:
        degrees = rules.turn_deg * (2.0 * torch.rand(len(rows), generator=generator) - 1.0)
        return turn_pictures(data.versions[0, rows], degrees)
    return data.versions[torch.randint(len(data.versions), (len(rows),), generator=generator), rows]


def _logits(net: PolarFusion, data: Inputs, rows: Tensor, given: Tensor) -> Tensor:
    if data.are_pictures:
        out: Tensor = net(given, data.clinical[rows])
        return out
    return net.classify(given, data.clinical[rows])


def fit_polar(
    net: PolarFusion,
    data: Inputs,
    train: tuple[NDArray[np.int64], NDArray[Any]],
    validation: tuple[NDArray[np.int64], NDArray[Any]],
    rules: Rules,
    *,
    augmented: bool,
    seed: int,
    start: Mapping[str, Tensor] | None = None,
) -> Trained:
    """Train a network in place and leave it with the weights of its best epoch.

    Parameters
    ----------
    train, validation
        Rows of `data` and their labels (n, 3).
    augmented
        Turn training pictures by up to ``rules.turn_deg`` either way, anew every epoch.
    start
        Weights to start from (001's strategy 4).
    """
    if start is not None:
        net.load_state_dict(dict(start), strict=True)
    if data.are_pictures:
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on a CPU
    rows, labels = torch.from_numpy(train[0]), torch.from_numpy(train[1]).float()
    held, truth = torch.from_numpy(validation[0]), torch.from_numpy(validation[1]).float()
    generator = torch.Generator().manual_seed(seed)
    best = _Best()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=rules.rate)
        plateau = _Plateau(rules)
        for _ in range(rules.epochs):
            net.train()
            order = torch.randperm(len(rows), generator=generator)
            for part in torch.split(order, rules.batch):
                if len(part) == 1 and len(order) > 1:
                    continue  # batch norms need two
                given = _given(data, rows[part], rules, generator if augmented else None)
                loss = functional.binary_cross_entropy_with_logits(_logits(net, data, rows[part], given), labels[part])
                optimiser.zero_grad()
                (loss + net.penalty()).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            logits = _predict(net, data, held)
            best.see(logits, truth, net)
            if not plateau.step(best.accuracy[-1], optimiser):
                break
    best.restore(net)
    return Trained(tuple(best.accuracy), tuple(plateau.rates), best.epoch, plateau.stopped)


class _Plateau:
    """001's schedule: a lower rate after `patience` epochs without a better accuracy."""

    def __init__(self, rules: Rules) -> None:
        self.rules, self.best, self.waited, self.rate = rules, -1.0, 0, rules.rate
        self.rates: list[float] = []
        self.stopped: Literal["rate", "epochs"] = "epochs"

    def step(self, accuracy: float, optimiser: torch.optim.Optimizer) -> bool:
        """Note an epoch; False when training is over."""
        self.rates.append(self.rate)
        self.waited = 0 if accuracy > self.best else self.waited + 1
        self.best = max(self.best, accuracy)
        if self.waited < self.rules.patience:
            return True
        self.rate, self.waited = self.rate * self.rules.drop, 0
        if self.rate < self.rules.lowest * (1 - 1e-6):
            self.stopped = "rate"
            return False
        for group in optimiser.param_groups:
            group["lr"] = self.rate
        return True


class _Best:
    """Keep the weights of the most accurate epoch."""

    def __init__(self) -> None:
        self.accuracy: list[float] = []
        self.score = (-1.0, 0.0)
        self.epoch = 0
        self.state: dict[str, Tensor] = {}

    def see(self, logits: Tensor, truth: Tensor, net: nn.Module) -> None:
        accuracy = float(((logits > 0).float() == truth).float().mean())
        score = (accuracy, -float(functional.binary_cross_entropy_with_logits(logits, truth)))
        self.accuracy.append(accuracy)
        if score > self.score:
            self.score, self.epoch = score, len(self.accuracy) - 1
            self.state = {k: v.detach().clone() for k, v in net.state_dict().items()}

    def restore(self, net: nn.Module) -> None:
        net.load_state_dict(self.state, strict=True)


def _predict(net: PolarFusion, data: Inputs, rows: Tensor, batch: int = 256) -> Tensor:
    net.eval()
    with torch.inference_mode():
        parts = [_logits(net, data, part, data.versions[0, part]) for part in torch.split(rows, batch)]
    return torch.cat(parts)


def predict_polar(net: PolarFusion, data: Inputs, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Give the probability of each vessel, (rows, 3)."""
    out: NDArray[np.float32] = torch.sigmoid(_predict(net, data, torch.from_numpy(rows))).numpy()
    return out
