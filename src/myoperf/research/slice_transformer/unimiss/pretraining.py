"""UniMiSS: self-supervised training of a Medical Transformer on pictures and volumes together.

A student learns to give, for one view of an image, what a teacher gives for the other; the teacher is the running mean
of the student. Epochs of pictures and of volumes alternate; a volume is also read as the mean of its slices, and every
pairing of volume and slices across the two views is a term of the loss.

Source: Xie et al., ECCV 2022, doi:10.1007/978-3-031-19803-8_33 (UniMiSS). Formula (2) of Zhao et al. (see
`multi_branch`), the running mean, is printed as mu <- lambda mu + (1 - lambda) mu; the second mu is the student's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from myoperf.errors import InputError
from myoperf.research.slice_stacks import resize_stack
from myoperf.research.slice_transformer.mit import WIDTHS, MiT, MiTConfig, Mode, build_mit
from myoperf.research.slice_transformer.unimiss.images import ImageSet
from myoperf.research.slice_transformer.unimiss.losses import CrossEntropy, Pair, ProjectionHead, loss_2d, loss_3d
from myoperf.research.slice_transformer.unimiss.options import UniMissOptions
from myoperf.research.slice_transformer.unimiss.views import picture_views, volume_views
from myoperf.research.training.prediction import run_in_batches
from myoperf.research.training.seeds import seeded
from myoperf.research.training.weights import HasState, resume_checkpoint, save_checkpoint
from myoperf.types import Float


class Learner(nn.Module):
    """A backbone and its projection head: the student, or the teacher."""

    def __init__(self, config: MiTConfig, options: UniMissOptions, seed: int) -> None:
        super().__init__()
        self.backbone = build_mit(config, seed=seed)
        with seeded(seed + 1):
            self.head = ProjectionHead(WIDTHS[0], options)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures or volumes to (B, outputs)."""
        out: Tensor = self.head(self.backbone(images))
        return out

    def forward_slices(self, volumes: Tensor) -> Tensor:
        """Read volumes (B, 1, D, H, W) slice by slice and average the outputs: (B, outputs)."""
        batch, _, depth, rows, columns = volumes.shape
        slices = volumes.reshape(batch * depth, 1, rows, columns).expand(-1, 3, -1, -1)
        out: Tensor = self(slices).reshape(batch, depth, -1).mean(dim=1)
        return out


@dataclass(frozen=True)
class Step:
    """Measurements of one training step.

    Attributes
    ----------
    entropy
        Mean entropy of the teacher's targets relative to its largest possible value; 1 would be uniform targets, which
        hold no information.
    spread
        Entropy of the targets' mean over the batch, relative to its largest possible value; 0 would be the same
        answer to every image.
    """

    epoch: int
    kind: Mode
    loss: float
    entropy: float
    spread: float
    learning_rate: float
    momentum: float


@dataclass(frozen=True, eq=False)
class Pretrained:
    """Both networks, and the course of their training.

    Attributes
    ----------
    student, teacher
        Backbones without heads.
    ranks
        Effective rank of the teacher's encoder tokens on all volumes, before training and after each epoch.
    """

    student: MiT
    teacher: MiT
    steps: tuple[Step, ...]
    ranks: tuple[float, ...]


def pretrain(
    images: ImageSet,
    *,
    config: MiTConfig,
    options: UniMissOptions,
    seed: int = 0,
    checkpoint: Path | None = None,
    report: Callable[[Step], None] | None = None,
    device: torch.device | str = "cpu",
) -> Pretrained:
    """Pre-train an MiT without labels.

    Parameters
    ----------
    images
        Volumes at least as deep as the config's volume shape.
    config
        Of student and teacher; must take pictures and volumes.
    checkpoint
        File that keeps the state after every epoch; if it exists, the training resumes there and gives the same numbers
        as if it had not stopped.
    report
        Called after every step.
    device
        To train on.

    Raises
    ------
    InputError
        When there are fewer images than a batch, the loss is no longer finite, or the checkpoint has other settings.
    """
    pictures, volumes = images.pictures, images.volumes
    if min(len(pictures), len(volumes)) < options.batch or set(config.modes) != {"2D", "3D"}:
        raise InputError(
            f"UniMiSS needs at least a batch ({options.batch}) of pictures and of volumes, and an MiT for both; "
            f"got {len(pictures)} pictures, {len(volumes)} volumes, modes {config.modes}."
        )
    rng = np.random.default_rng(seed)
    student, teacher = (Learner(config, options, seed).to(device) for _ in range(2))
    teacher.requires_grad_(False)
    entropy = CrossEntropy(torch.zeros(options.outputs, device=device), options)
    optimizer = torch.optim.AdamW(_parameter_groups(student), lr=0.0)
    plan = _plan(len(pictures), len(volumes), options)
    rate, decay, momentum = _schedules(plan, options)
    state: dict[str, HasState] = {"student": student, "teacher": teacher, "optimizer": optimizer, "rng": rng}
    settings = {"config": asdict(config), "options": asdict(options)}
    steps, ranks = list[Step](), list[float]()
    if checkpoint and (kept := resume_checkpoint(checkpoint, state, settings=settings)):
        if kept.get("seed", seed) != seed:  # version 0.1.0 did not keep the seed
            raise InputError(f"{checkpoint.name} is the state of a training with seed {kept['seed']}, not {seed}.")
        entropy.centre, ranks = kept["centre"].to(device), kept["ranks"]
        steps = [Step(**step) for step in kept["steps"]]
    ranks = ranks or [effective_rank(_tokens(teacher.backbone, volumes))]
    for i in range(len(steps), len(plan)):
        epoch, kind = plan[i]
        optimizer.param_groups[0].update(lr=float(rate[i]), weight_decay=float(decay[i]))
        optimizer.param_groups[1].update(lr=float(rate[i]))
        entropy.set_epoch(epoch)
        views = _draw_views(images, kind, config, options, rng)
        loss, targets = _losses(student, teacher, entropy, (views[0].to(device), views[1].to(device)))
        if not math.isfinite(loss.item()):
            raise InputError(f"The loss of step {i} is {loss.item()}; lower the learning rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter in student.parameters():  # each tensor by its own norm, as DINO does
            nn.utils.clip_grad_norm_(parameter, options.clip)
        if epoch < options.frozen_epochs:
            student.head.last.grad = None
        optimizer.step()
        update_teacher(teacher, student, float(momentum[i]))
        step = Step(epoch, kind, loss.item(), *_entropies(targets), float(rate[i]), float(momentum[i]))
        steps.append(step)
        if report is not None:
            report(step)
        if i + 1 == len(plan) or plan[i + 1][0] != epoch:
            ranks.append(effective_rank(_tokens(teacher.backbone, volumes)))
            if checkpoint is not None:
                values = {"centre": entropy.centre, "seed": seed, "ranks": ranks, "steps": [asdict(s) for s in steps]}
                save_checkpoint(checkpoint, state, settings=settings, **values)
    return Pretrained(student.backbone.cpu().eval(), teacher.backbone.cpu().eval(), tuple(steps), tuple(ranks))


def _plan(pictures: int, volumes: int, options: UniMissOptions) -> list[tuple[int, Mode]]:
    """Return (epoch, kind) of every step: `interval` epochs of pictures, then as many of volumes."""
    plan: list[tuple[int, Mode]] = []
    for epoch in range(options.epochs):
        kind: Mode = "2D" if (epoch // options.interval) % 2 == 0 else "3D"
        count = max(1, (pictures if kind == "2D" else volumes) // options.batch)
        plan += [(epoch, kind)] * min(count, options.epoch_steps or count)
    return plan


def choose_batch(groups: Sequence[int], batch: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw a batch of different images, from one group if that group fills a batch."""
    members = np.flatnonzero(np.asarray(groups) == groups[int(rng.integers(len(groups)))])
    return rng.choice(members if len(members) >= batch else len(groups), batch, replace=False)


def _schedules(plan: Sequence[tuple[int, str]], options: UniMissOptions) -> tuple[Float, Float, Float]:
    """Return learning rate, weight decay and teacher momentum of every step."""
    steps = len(plan)
    warmup = sum(epoch < options.warmup_epochs for epoch, _ in plan)
    peak = options.learning_rate * options.batch / 256.0
    return (
        cosine_schedule(peak, options.final_learning_rate, steps, warmup=warmup),
        cosine_schedule(*options.weight_decay, steps),
        cosine_schedule(options.momentum, 1.0, steps),
    )


def _parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Separate the parameters with weight decay from vectors (biases, norms), which have none."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    return [{"params": decayed}, {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0}]


def cosine_schedule(first: float, last: float, steps: int, *, warmup: int = 0) -> Float:
    """Return values (steps,): linear from 0 to `first` during `warmup`, then down to `last` by half a cosine.

    Examples
    --------
    >>> cosine_schedule(1.0, 0.0, 4, warmup=2).round(3).tolist()
    [0.0, 1.0, 1.0, 0.5]
    """
    rest = np.arange(steps - warmup)
    curve = last + 0.5 * (first - last) * (1.0 + np.cos(np.pi * rest / max(len(rest), 1)))
    return np.concatenate([np.linspace(0.0, first, warmup), curve])


def _draw_views(
    images: ImageSet, kind: Mode, config: MiTConfig, options: UniMissOptions, rng: np.random.Generator
) -> Pair:
    """Choose a batch of images and return two views of each."""
    groups = images.picture_groups if kind == "2D" else images.volume_groups
    chosen = choose_batch(groups, options.batch, rng)

    def view(index: int) -> tuple[Float, Float]:
        if kind == "2D":
            return picture_views(images.pictures[index], config.picture_shape[0], rng, options=options.views)
        return volume_views(images.volumes[index], config.volume_shape, rng, options=options.views)

    first, second = zip(*(view(int(index)) for index in chosen), strict=True)
    return torch.from_numpy(np.stack(first)), torch.from_numpy(np.stack(second))


def _losses(student: Learner, teacher: Learner, entropy: CrossEntropy, views: Pair) -> tuple[Tensor, Tensor]:
    """Return the loss of a step and the teacher's targets; the centre moves after each symmetric mean."""
    both = torch.cat(views)

    def halves(out: Tensor) -> Pair:
        return out[: len(out) // 2], out[len(out) // 2 :]

    with torch.no_grad():
        from_teacher = teacher(both)
    from_student = student(both)
    targets = entropy.target(from_teacher)
    if both.ndim == 4:  # pictures
        loss = loss_2d(entropy, halves(from_student), halves(from_teacher))
        entropy.update(from_teacher)
        return loss, targets
    with torch.no_grad():
        slices_teacher = teacher.forward_slices(both)
    slices_student = student.forward_slices(both)
    parts = (from_student, from_teacher, slices_student, slices_teacher)
    loss = loss_3d(entropy, *(halves(part) for part in parts), after=lambda teacher: entropy.update(*teacher))
    return loss, targets


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move every parameter of the teacher: mu <- momentum mu + (1 - momentum) theta."""
    for mean, new in zip(teacher.parameters(), student.parameters(), strict=True):
        mean.mul_(momentum).add_(new, alpha=1.0 - momentum)


def _entropies(targets: Tensor) -> tuple[float, float]:
    """Return the targets' mean entropy and the entropy of their mean, each relative to its largest possible value."""
    full = math.log(targets.shape[1])
    mean_entropy = torch.special.entr(targets).sum(dim=-1).mean()
    return float(mean_entropy) / full, float(torch.special.entr(targets.mean(dim=0)).sum()) / full


def effective_rank(features: Tensor) -> float:
    """Measure how many directions features (N, C) use: exp of the entropy of the singular values' shares.

    1 means that all inputs give features along one line (collapse). Source: Roy and Vetterli, EUSIPCO 2007.
    """
    values = torch.linalg.svdvals((features - features.mean(dim=0)).double())
    share = values / values.sum().clamp_min(1e-12)
    return float(torch.exp(torch.special.entr(share).sum()))


def _tokens(backbone: MiT, volumes: Sequence[Float]) -> Tensor:
    """Return the encoder's class tokens of up to 64 whole volumes, in evaluation mode."""
    resized = [resize_stack(volume, backbone.config.volume_shape) for volume in volumes[:64]]
    training, device = backbone.training, next(backbone.parameters()).device
    backbone.eval()
    stacked = torch.from_numpy(np.stack(resized))[:, None].to(device)
    tokens = run_in_batches(lambda part: backbone.encoder(part).token, stacked, batch=8)
    backbone.train(training)
    return tokens.cpu()
