"""Losses of the networks that find the left ventricle (MS-ST-UNet, equations 7-12)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["dice_loss", "rotation_loss", "segmentation_loss", "threshold_loss", "translation_loss", "wrap"]


def wrap(angle: Tensor) -> Tensor:
    """Bring angles to [-pi, pi): ``mod(x + pi, 2 pi) - pi``."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def rotation_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute wrapped difference of Euler angles (..., 3) in radians (equation 7)."""
    return wrap(truth - predicted).abs().mean()


def translation_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of translations (..., 3) (equation 8)."""
    return (truth - predicted).abs().mean()


def dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """1 - Dice overlap of soft masks (B, ...), averaged over the batch; empty against empty costs nothing."""
    p, t = probability.flatten(1), truth.flatten(1).to(probability.dtype)
    return (1 - (2 * (p * t).sum(1) + 1e-5) / (p.sum(1) + t.sum(1) + 1e-5)).mean()


def threshold_loss(moved_by_prediction: Tensor, moved_by_truth: Tensor) -> Tensor:
    """Dice loss between the input, binarised at its mean, moved by predicted and by true parameters."""
    return dice_loss(moved_by_prediction, moved_by_truth)


def segmentation_loss(probability: Tensor, labels: Tensor) -> Tensor:
    """3 DL(myocardium) + DL(blood pool) + DL(background); probability (B, 3, ...), labels (B, ...) of 0, 1, 2."""
    parts = [dice_loss(probability[:, k], labels == k) for k in range(3)]
    return 3 * parts[1] + parts[2] + parts[0]
