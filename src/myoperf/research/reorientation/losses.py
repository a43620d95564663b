"""Losses of MS-ST-UNet (Ni et al. 2023, equations 7 to 12), and the truth that masks are compared with.

As printed, masks are compared with the truth in the *true* pose while the network sees the volume in the pose it
*estimates*, rotations by their Euler angles, and masks by their overlap alone; `Stabilisation` changes all three.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from myoperf.research.lv_network.training import dice_loss
from myoperf.research.reorientation.batches import Batch
from myoperf.research.reorientation.output import LVOutput, labels_for
from myoperf.research.reorientation.pose import euler_from_matrix, sample_in_pose, wrap_angle


@dataclass(frozen=True, kw_only=True)
class Stabilisation:
    """Changes that make a short joint training of pose and masks stable; the paper has none of them.

    As long as the estimated pose is off by more than the thickness of the wall, the masks learn nothing (the blood
    pool may vanish for good), and a mask that is right for what the network sees counts as wrong. The gradient of Euler
    angles has no bound near beta = -90 degrees, which these hearts reach. And the overlap alone has no gradient for a
    class whose probability is zero everywhere, which easily happens to a tenth of a percent of a volume.

    Parameters
    ----------
    given
        Share of the iterations, at the start, in which the masks are made in the true pose; a network whose parts are
        trained separately has it in all of them. The localiser learns from the start.
    pose_first, pose_batch, pose_rate
        Iterations on the pose alone before the others, volumes in each, and their learning rate: a pose needs far more
        volumes than a mask, and each costs far less.
    pose_share
        Learning rate of the localiser afterwards, as a share of the others'.
    entropy
        Weight of the cross-entropy added to the overlap, for every network: enough to bring a vanished class back. A
        weight of 1 taught pools that were too small (Dice 0.81 against 0.93 without, Seg Op1, SPECT).
    steepness
        How much steeper the edges of true masks are made after interpolation in the estimated pose.
    """

    given: float = 0.5
    pose_first: int = 1200
    pose_batch: int = 8
    pose_rate: float = 1e-3
    pose_share: float = 0.1
    entropy: float = 0.1
    steepness: float = 4.0


def rotation_loss(estimate: Tensor, truth: Tensor) -> Tensor:
    """Return the mean absolute difference of Euler angles: equation 7 of Ni et al. (doi:10.48550/arXiv.2310.10095).

    Parameters
    ----------
    estimate, truth
        (..., 3) in radians; a difference is taken the short way round.
    """
    return wrap_angle(truth - estimate).abs().mean()


def translation_loss(estimate: Tensor, truth: Tensor) -> Tensor:
    """Return the mean absolute difference of translations (..., 3): equation 8 of Ni et al. 2023."""
    return (truth - estimate).abs().mean()


def segmentation_loss(probability: Tensor, labels: Tensor) -> Tensor:
    """Return 3 DL(myocardium) + DL(blood pool) + DL(background): equation 11 of Ni et al. 2023, with Dice losses DL.

    Parameters
    ----------
    probability
        (B, 3, ...): background, myocardium, blood pool.
    labels
        (B, ...): 0 background, 1 myocardium, 2 blood pool.
    """
    return _weighted_dice(probability, [labels == k for k in range(3)])


def _weighted_dice(probability: Tensor, masks: list[Tensor]) -> Tensor:
    background, wall, pool = (dice_loss(probability[:, k], masks[k]) for k in range(3))
    return 3 * wall + pool + background


def total_loss(
    output: LVOutput,
    batch: Batch,
    stabilisation: Stabilisation | None = None,
    *,
    used_pose: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Sum of the losses (equation 12) with deep supervision; without a pose, the masks' part in the given frame.

    Parameters
    ----------
    used_pose
        Rotation and translation in which the masks were made, if not those that the network estimated; only with
        `stabilisation`.
    """
    turned = output.rotation is not None  # estimated, or given (MSUNet in the true pose)
    if stabilisation is None or not turned or used_pose is not None:
        truth = _one_hot(batch.turned_labels if turned else batch.labels)
    else:
        truth = truth_in_pose(output, batch, stabilisation.steepness)
    total = batch.volume.new_zeros(())
    levels = zip(*(labels_for(truth[:, k], output) for k in range(3)), strict=True)
    for level, (logits, masks) in enumerate(zip(output.logits, levels, strict=True)):
        logits = logits.float()
        total = total + 0.5**level * _weighted_dice(logits.softmax(1), list(masks))
        if stabilisation is not None:
            entropy = F.cross_entropy(logits, torch.stack(masks, 1))
            total = total + 0.5**level * stabilisation.entropy * entropy
    if output.initial is not None:
        total = total + segmentation_loss(output.initial.float().softmax(1), batch.labels)
    return total + _pose_loss(output, batch, matrices=stabilisation is not None)


def truth_in_pose(output: LVOutput, batch: Batch, steepness: float) -> Tensor:
    """Return the true masks (B, 3, D, H, W) in the pose that the network estimated, with a gradient.

    The edges of interpolated masks are made steeper: the overlap with soft ones is best for a wall that is too large.
    """
    assert output.rotation is not None
    assert output.translation is not None
    moved = sample_in_pose(_one_hot(batch.labels)[:, 1:], output.rotation.float(), output.translation.float())
    moved = ((moved - 0.5) * steepness + 0.5).clamp(0, 1)
    moved = moved / moved.sum(1, keepdim=True).clamp_min(1)
    return torch.cat([1 - moved.sum(1, keepdim=True), moved], 1)


def _one_hot(labels: Tensor) -> Tensor:
    return F.one_hot(labels, 3).movedim(-1, 1).float()


def _pose_loss(output: LVOutput, batch: Batch, *, matrices: bool) -> Tensor:
    """Equations 7 to 10 over the samplers; rotations compared as matrices, or by Euler angles as in the paper."""
    if output.scale_rotations is None or output.scale_translations is None:
        return batch.volume.new_zeros(())
    rotations, translations = output.scale_rotations.float(), output.scale_translations.float()
    bright = (batch.volume > batch.volume.mean((1, 2, 3, 4), keepdim=True)).float()
    moved = sample_in_pose(bright, rotations[:, 0], translations[:, 0])
    overlap = dice_loss(moved, sample_in_pose(bright, batch.rotation, batch.translation))  # equation 10
    return pose_distance((rotations, translations), (batch.rotation, batch.translation), matrices=matrices) + overlap


def pose_distance(estimates: tuple[Tensor, Tensor], truth: tuple[Tensor, Tensor], *, matrices: bool) -> Tensor:
    """Mean of equations 7 to 9 over the samplers.

    Parameters
    ----------
    estimates
        Rotations (B, S, 3, 3) and translations (B, S, 3).
    truth
        Rotation (B, 3, 3) and translation (B, 3).
    matrices
        Compare rotations as matrices instead of by their Euler angles.
    """
    rotations, translations = estimates
    total, angles = truth[0].new_zeros(()), euler_from_matrix(truth[0])
    for rotation, translation in zip(rotations.unbind(1), translations.unbind(1), strict=True):
        if matrices:
            turned = (rotation - truth[0]).abs().mean()
        else:
            turned = rotation_loss(euler_from_matrix(rotation, near=angles), angles)
        total = total + 10 * turned + translation_loss(translation, truth[1])
    return total / rotations.shape[1]
