"""Train a polar network with clinical values and three sigmoids, as Hajianfar et al. 2025 did.

Adam at 1e-3 with binary cross-entropy and the L2 term of the dense layers; the rate falls to a tenth after ten
epochs without better validation accuracy; training stops when it would fall under 1e-7 or after 300 epochs. The
paper does not say which epoch's weights it used: here those of the most accurate validation epoch, of equals the
one with the lowest loss. A network whose backbone is frozen is trained on features computed once, one set a rotation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import ReduceLROnPlateau

from myoperf.errors import InputError
from myoperf.research.label_strategies.polar_fusion import PolarFusion
from myoperf.research.label_strategies.roles import LabelledRows
from myoperf.research.training.epochs import BestEpoch
from myoperf.research.training.prediction import run_in_batches
from myoperf.research.training.seeds import seeded
from myoperf.types import Float


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a network is trained; the defaults are the paper's.

    Attributes
    ----------
    drop, patience, lowest
        The rate is multiplied by `drop` after `patience` epochs without better accuracy, and not below `lowest`.
    turn_deg
        Largest rotation of an augmented picture.
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
    """What the networks learn from, a row a patient.

    Attributes
    ----------
    versions
        (rotations, patients, ...): pictures (1, patients, 2, H, W), stress then rest, or features of a frozen
        backbone, one set a rotation, the upright one first.
    clinical
        (patients, 4), standardised.
    """

    versions: Tensor
    clinical: Tensor

    def __post_init__(self) -> None:
        if self.versions.ndim < 3 or self.versions.shape[1] != len(self.clinical):
            raise InputError(
                f"Expected inputs (rotations, patients, ...) and clinical values (patients, 4); "
                f"got {tuple(self.versions.shape)} and {tuple(self.clinical.shape)}."
            )

    @property
    def are_pictures(self) -> bool:
        """Whether the network's backbone is to be run on them."""
        return self.versions.ndim == 5


@dataclass(frozen=True)
class Fitted:
    """How a training went.

    Attributes
    ----------
    accuracy
        Of the validation patients after each epoch.
    chosen_epoch
        Index of the epoch whose weights the network has.
    stopped
        ``"rate"`` when the lowest rate was used up, ``"epochs"`` when there were no more.
    """

    accuracy: tuple[float, ...]
    chosen_epoch: int
    stopped: Literal["rate", "epochs"]


def scale_clinical(values: NDArray[Any], known: NDArray[Any]) -> Tensor:
    """Standardise clinical values (patients, 4) by mean and spread of the rows `known`, the training patients.

    A value that is not known (NaN) becomes 0, the mean.
    """
    return apply_clinical(values, clinical_scale(values, known))


def clinical_scale(values: NDArray[Any], known: NDArray[Any]) -> Float:
    """Return mean and spread (2, 4) of clinical values (patients, 4) in the rows `known`; 0 and 1 without any."""
    chosen = np.asarray(values, dtype=np.float64)[known]
    there = np.isfinite(chosen)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, chosen, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(there, (chosen - mean) ** 2, 0.0).sum(axis=0) / count)
    return np.stack([mean, np.where(spread > 0, spread, 1.0)])


def apply_clinical(values: NDArray[Any], scale: Float) -> Tensor:
    """Standardise clinical values (patients, 4) by a mean and spread (2, 4); a value that is not known becomes 0."""
    standardised = (np.asarray(values, dtype=np.float64) - scale[0]) / scale[1]
    return torch.from_numpy(np.nan_to_num(standardised).astype(np.float32))


def rotate_pictures(pictures: Tensor, degrees: Tensor) -> Tensor:
    """Rotate each picture (B, C, H, W) about its centre by degrees (B,), anticlockwise on the screen; edges are 0."""
    angle = torch.deg2rad(degrees.float())
    cosine, sine, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    # The grid holds where each pixel comes from; rows run down.
    matrix = torch.stack([torch.stack([cosine, -sine, zero], dim=1), torch.stack([sine, cosine, zero], dim=1)], dim=1)
    grid = functional.affine_grid(matrix, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, align_corners=False)


class ImageNetInput(nn.Module):
    """A backbone of colour photographs that takes grey polar maps (B, 1 or 2, H, W) from 0 to 1.

    One channel is repeated; of two (stress, rest) the mean is the third.

    Parameters
    ----------
    size
        Rows and columns the maps are enlarged to.
    input_range
        Of the values that the backbone expects.
    """

    def __init__(self, backbone: nn.Module, *, size: int, input_range: tuple[float, float]) -> None:
        super().__init__()
        self.backbone, self.size, self.input_range = backbone, size, input_range

    def forward(self, maps: Tensor) -> Tensor:
        """Return the backbone's last feature maps."""
        if maps.shape[1] == 1:
            colour = maps.expand(-1, 3, -1, -1)
        else:
            colour = torch.cat([maps, maps.mean(dim=1, keepdim=True)], dim=1)
        large = functional.interpolate(colour, size=self.size, mode="bilinear", align_corners=False)
        low, high = self.input_range
        out: Tensor = self.backbone(large * (high - low) + low)
        return out


def frozen_features(
    net: PolarFusion, pictures: Tensor, *, degrees: Sequence[float] = (0.0,), batch: int = 64
) -> Tensor:
    """Run a frozen network's backbone once a picture and rotation.

    Parameters
    ----------
    pictures
        (patients, 2, H, W), stress then rest, from 0 to 1.
    degrees
        Rotations; the first should be 0.

    Returns
    -------
    (rotations, patients, features) float32, as `PolarFusion.classify` takes them.
    """
    net.eval()

    def pooled(part: Tensor, turn: float) -> Tensor:
        degrees = torch.full((len(part),), turn, device=part.device)
        return net.pooled(rotate_pictures(part, degrees) if turn else part)

    return torch.stack([run_in_batches(lambda part, t=t: pooled(part, t), pictures, batch=batch) for t in degrees])


def _parts(train: LabelledRows, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return rows and labels as tensors."""
    return torch.from_numpy(train.rows).to(device), torch.from_numpy(train.labels).float().to(device)


def _training_input(data: Inputs, rows: Tensor, turn_deg: float, generator: torch.Generator | None) -> Tensor:
    """Return rows as they are or, with a generator, each picture rotated or the features of a random rotation."""
    if generator is None:
        return data.versions[0, rows]
    if data.are_pictures:
        degrees = turn_deg * (2.0 * torch.rand(len(rows), generator=generator) - 1.0).to(data.versions.device)
        return rotate_pictures(data.versions[0, rows], degrees)
    turns = torch.randint(len(data.versions), (len(rows),), generator=generator).to(rows.device)
    return data.versions[turns, rows]


def _logits(net: PolarFusion, data: Inputs, rows: Tensor, network_input: Tensor) -> Tensor:
    forward = net.forward if data.are_pictures else net.classify
    return forward(network_input, data.clinical[rows])


def lower_on_plateau(optimiser: torch.optim.Optimizer, schedule: Schedule) -> ReduceLROnPlateau:
    """Return the scheduler that lowers the rate after `patience` epochs without better accuracy."""
    return ReduceLROnPlateau(
        optimiser, mode="max", factor=schedule.drop, patience=schedule.patience - 1, threshold=0.0, eps=0.0
    )


def fit_polar(
    net: PolarFusion,
    data: Inputs,
    train: LabelledRows,
    validation: LabelledRows,
    schedule: Schedule,
    *,
    augmented: bool,
    seed: int,
) -> Fitted:
    """Train a network in place from the weights it has, and leave it with those of its best epoch.

    Network and data are on one device; what is random is drawn alike on every device.

    Parameters
    ----------
    augmented
        Rotate training pictures by up to ``schedule.turn_deg`` either way, by another angle in every epoch.
    """
    if data.are_pictures:
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on a CPU
    device = data.clinical.device
    rows, labels = _parts(train, device)
    _, truth = _parts(validation, device)
    generator = torch.Generator().manual_seed(seed)
    best = BestEpoch(net)
    stopped: Literal["rate", "epochs"] = "epochs"
    with seeded(seed):
        optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=schedule.rate)
        scheduler = lower_on_plateau(optimiser, schedule)
        for _ in range(schedule.epochs):
            net.train()
            order = torch.randperm(len(rows), generator=generator).to(device)
            for part in torch.split(order, schedule.batch):
                if len(part) == 1 and len(order) > 1:
                    continue  # batch norms need two
                chosen = _training_input(data, rows[part], schedule.turn_deg, generator if augmented else None)
                logits = _logits(net, data, rows[part], chosen)
                loss = functional.binary_cross_entropy_with_logits(logits, labels[part])
                optimiser.zero_grad()
                (loss + net.penalty()).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            logits = _predict(net, data, validation.rows)
            accuracy = float(((logits > 0).float() == truth).float().mean())
            best.record(accuracy, -float(functional.binary_cross_entropy_with_logits(logits, truth)))
            scheduler.step(accuracy)
            if scheduler.get_last_lr()[0] < schedule.lowest * (1 - 1e-6):
                stopped = "rate"
                break
    best.restore()
    return Fitted(tuple(score[0] for score in best.scores), best.epoch, stopped)


def _predict(net: PolarFusion, data: Inputs, rows: NDArray[np.int64]) -> Tensor:
    net.eval()
    return run_in_batches(
        lambda part: _logits(net, data, part, data.versions[0, part]),
        torch.from_numpy(rows).to(data.clinical.device),
        batch=256,
    )


def predict_polar(net: PolarFusion, data: Inputs, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the probability of disease in each vessel, (rows, 3), for pictures as they are, without augmentation."""
    probability: NDArray[np.float32] = torch.sigmoid(_predict(net, data, rows)).cpu().numpy()
    return probability


def saliency(net: PolarFusion, data: Inputs, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return how much each place of the stress map moves each artery's logit: (rows, 3, side, side), each 0 to 1.

    The absolute gradient of the logit by the picture (Simonyan et al. 2014, arXiv:1312.6034). All 0 for a network of
    the rest map.

    Raises
    ------
    InputError
        For a frozen network, which sees features instead of pictures.
    """
    if not data.are_pictures:
        raise InputError("Saliency needs pictures; a frozen network is trained on features of them.")
    net.eval()
    chosen = torch.from_numpy(rows).to(data.clinical.device)
    pictures = data.versions[0, chosen].clone().requires_grad_(True)
    logits, maps = net(pictures, data.clinical[chosen]), []
    for vessel in range(logits.shape[1]):
        (slope,) = torch.autograd.grad(logits[:, vessel].sum(), pictures, retain_graph=True)
        maps.append(slope[:, 0].abs())
    stacked = torch.stack(maps, dim=1)
    peak = stacked.amax(dim=(2, 3), keepdim=True).clamp_min(torch.finfo(stacked.dtype).tiny)
    return np.asarray((stacked / peak).cpu().numpy(), dtype=np.float32)
