"""The augmentation of nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, supplement 4), with MONAI."""

import math
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

TURN_RAD = math.radians(30)


def build_augmentation() -> Any:
    """Return nnU-Net's chain for the keys "volume" and "labels", each (1, D, H, W); the volume has mean 0 and SD 1.

    In its order and with its probabilities for 3D data of one channel: rotation by up to 30 degrees about
    each axis (0.2), scale 0.7 to 1.4 (0.2), noise of variance up to 0.1 (0.1), blur of 0.5 to 1 voxel (0.1),
    brightness and contrast times 0.75 to 1.25 (0.15 each), resolution down to one half (0.125), gamma 0.7 to 1.5 of
    the inverted (0.1) and of the original volume (0.3), and mirroring along each axis (0.5).
    Two of these differ a little from the original: the SD of the noise is uniform, not its variance,
    and gamma keeps the volume's mean and SD in both cases.
    """
    mt: Any = import_module("monai.transforms")  # an extra, and slow to load
    both, volume = ["volume", "labels"], ["volume"]
    nearest = ["bilinear", "nearest"]
    turn = dict.fromkeys(("range_x", "range_y", "range_z"), TURN_RAD)
    gamma = {"gamma": (0.7, 1.5), "retain_stats": True}
    return mt.Compose(
        [
            mt.RandRotated(both, prob=0.2, keep_size=True, mode=nearest, padding_mode="border", **turn),
            mt.RandZoomd(
                both,
                prob=0.2,
                min_zoom=0.7,
                max_zoom=1.4,
                mode=["trilinear", "nearest"],
                align_corners=[False, None],
                padding_mode="edge",
            ),
            mt.RandGaussianNoised(volume, prob=0.1, mean=0.0, std=math.sqrt(0.1)),
            mt.RandGaussianSmoothd(volume, prob=0.1, **dict.fromkeys(("sigma_x", "sigma_y", "sigma_z"), (0.5, 1.0))),
            mt.RandScaleIntensityd(volume, prob=0.15, factors=0.25),
            mt.RandScaleIntensityFixedMeand(volume, prob=0.15, factors=0.25, preserve_range=True),
            mt.RandSimulateLowResolutiond(volume, prob=0.125, zoom_range=(0.5, 1.0)),
            mt.RandAdjustContrastd(volume, prob=0.1, invert_image=True, **gamma),
            mt.RandAdjustContrastd(volume, prob=0.3, **gamma),
            *(mt.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3)),
        ]
    )


def augment_as_nn_unet(volume: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Augment volumes (B, 1, D, H, W) and labels (B, D, H, W) as nnU-Net does; repeatable for a generator's state.

    The settings are for volumes of mean 0 and SD 1: the volumes are scaled to that and back.
    """
    chain = build_augmentation()
    changed = []
    for image, mask in zip(volume, labels, strict=True):
        chain.set_random_state(seed=int(rng.integers(2**31)))
        mean, spread = image.mean(), image.std().clamp_min(1e-6)
        one = chain({"volume": (image - mean) / spread, "labels": mask[None].float()})
        picture = torch.as_tensor(one["volume"].as_tensor()).to(volume.device) * spread + mean
        changed.append(
            (
                picture.clamp_min(0),
                torch.as_tensor(one["labels"].as_tensor()).to(labels.device)[0].round().to(labels.dtype),
            )
        )
    return torch.stack([a for a, _ in changed]), torch.stack([b for _, b in changed])
