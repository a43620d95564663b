"""MS-ST-UNet: one network that turns the left ventricle to short axis and segments it; two sizes, five ablations.

Ni, Zhang et al., "A multi-scale spatial transformer U-Net for simultaneously automatic reorientation and
segmentation of 3D nuclear cardiac images". MSSTN: a localiser reads the pose from the volume; three samplers
show 1, 1/2 and 1/4 of the field in that pose on grids of N, N/2 and N/4. MSUNet: an Attention U-Net that
takes the three pictures (see ``attention_unet``).

What the paper leaves open, and what is assumed here:

- Equation 6 speaks of differences of the pose between two scales, so each sampler has a pose of its own
  (`own_poses`), all read by one linear layer from one localiser; the pose of the whole field is the one reported
  and the frame of the first logits. All of them should be trained (``LVOutput.scale_rotations``).
- ResNet50 keeps its batch norm, the Attention U-Net has instance norm (the batch is 2).
- The rotation comes as the first two columns of its matrix, not as angles, so that it cannot jump (Zhou et al.,
  doi:10.1109/CVPR.2019.00589); angles are read from it.
- The last layer starts near nought about the mean pose of the paper's Table 2 (SPECT).
- "Sep": the segmentation sees the pose, but sends no gradient back to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from myoperf.research.reorientation.attention_unet import AttentionUNet, AttentionUNetConfig, scale_transform
from myoperf.research.reorientation.localiser import LVLocaliser, LVLocaliserConfig
from myoperf.research.reorientation.output import LVOutput
from myoperf.research.reorientation.pose import (
    full_precision,
    matrix_from_euler,
    matrix_from_six,
    relative_pose,
    sample_in_pose,
    six_from_matrix,
)
from myoperf.research.reorientation.resnet3d import ResNet3D, ResNet3DConfig

__all__ = ["ABLATIONS", "MSSTN", "MSSTUNet", "MSSTUNetConfig", "ablation", "compact_config", "paper_config"]

ABLATIONS = ("seg-op1", "seg-op2", "rot-op1-seg-op1", "sep-rot-op2-seg-op2", "rot-op2-seg-op2")


@dataclass(frozen=True)
class MSSTUNetConfig:
    """Sizes and options.

    Parameters
    ----------
    unet
        Of the segmentation; its ``scales`` is the number of samplers.
    localiser
        Of the pose; None for segmentation alone, in a given pose.
    own_poses
        One pose a sampler; else one for all, and the scale transformers cut and pad.
    exact
        Compose poses of two scales exactly; False is the paper's difference of angles.
    joint
        False: the gradient of the segmentation stops at the pose.
    start_euler, start_translation
        Pose at the start of training: radians; parts of half the field.
    """

    unet: AttentionUNetConfig = field(default_factory=AttentionUNetConfig)
    localiser: ResNet3DConfig | LVLocaliserConfig | None = field(default_factory=ResNet3DConfig)
    own_poses: bool = True
    exact: bool = False
    joint: bool = True
    start_euler: tuple[float, float, float] = (-0.83, -1.14, 1.22)
    start_translation: tuple[float, float, float] = (0.19, -0.15, 0.29)


def paper_config() -> MSSTUNetConfig:
    """Give the network as written: ResNet50 in 3D and the Attention U-Net, for 128^3."""
    return MSSTUNetConfig()


def compact_config() -> MSSTUNetConfig:
    """Give the same design for a plain CPU, for 64^3 or 48^3."""
    unet = AttentionUNetConfig(channels=(8, 16, 32, 64, 96))
    return MSSTUNetConfig(unet=unet, localiser=LVLocaliserConfig(), exact=True)


def ablation(config: MSSTUNetConfig, name: Literal["seg-op1", "seg-op2"] | str) -> MSSTUNetConfig:
    """Change a configuration to one of the paper's Table 3.

    Parameters
    ----------
    name
        ``seg-op1``, ``seg-op2``: segmentation alone, one scale or three, in the given frame ("wo Rot") or in a pose
        handed to ``forward`` (the paper's MSUNet of Table 4). ``rot-op1-seg-op1``: one scale, joint.
        ``sep-rot-op2-seg-op2``: three scales, trained apart. ``rot-op2-seg-op2``: MS-ST-UNet.

    Raises
    ------
    ValueError
        For another name.
    """
    if name not in ABLATIONS:
        raise ValueError(f"An ablation of {', '.join(ABLATIONS)} was expected; got {name!r}.")
    if "op1" in name:
        config = replace(config, unet=replace(config.unet, scales=1))
    if name.startswith("seg"):
        return replace(config, localiser=None)
    return replace(config, joint=not name.startswith("sep"))


class MSSTN(nn.Module):
    """Volume (B, 1, N, N, N) -> six (B, S, 6), rotations (B, S, 3, 3), translations (B, S, 3) of the samplers."""

    start: Tensor

    def __init__(self, config: MSSTUNetConfig) -> None:
        super().__init__()
        poses = config.unet.scales if config.own_poses else 1
        self.poses = poses
        if isinstance(config.localiser, LVLocaliserConfig):
            self.localiser: LVLocaliser | ResNet3D = LVLocaliser(config.localiser)
            features = config.localiser.hidden
        else:
            self.localiser = ResNet3D(config.localiser)
            features = self.localiser.features
        self.head = nn.Linear(features, 9 * poses)
        nn.init.normal_(self.head.weight, std=1e-3)
        nn.init.zeros_(self.head.bias)
        six = six_from_matrix(matrix_from_euler(torch.tensor(config.start_euler)))
        self.register_buffer("start", torch.cat([six, torch.tensor(config.start_translation)]))

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read the poses; see the class."""
        found = self.localiser(volume)
        with full_precision(volume):
            if isinstance(found, tuple):  # the compact localiser has found the centre itself
                centre, features = found
            else:
                centre, features = self.start[6:].expand(len(volume), 3), found
            raw = self.head(features.float()).view(-1, self.poses, 9)
            six = self.start[:6] + raw[..., :6]
            translation = centre[:, None] + raw[..., 6:]
            return six, matrix_from_six(six), translation


class MSSTUNet(nn.Module):
    """``forward(volume)``: (B, 1, N, N, N) -> ``LVOutput``; N divisible by 16.

    ``forward(volume, rotation, translation)`` segments in the given pose, (B, 3, 3) and (B, 3), whatever the localiser
    says (its pose is still returned): for networks without one, to train both parts apart, and
    for an operator's correction. A network without localiser and pose segments in the given frame.
    """

    def __init__(self, config: MSSTUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or paper_config()
        self.msstn = None if config.localiser is None else MSSTN(config)
        self.msunet = AttentionUNet(config.unet)

    def locate(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        """Give the poses alone: rotations (B, S, 3, 3) and translations (B, S, 3) of the samplers.

        Raises
        ------
        ValueError
            For a network without localiser.
        """
        if self.msstn is None:
            raise ValueError("This network has no localiser, so it finds no pose.")
        _, rotations, translations = self.msstn(volume)
        return rotations, translations

    def forward(self, volume: Tensor, rotation: Tensor | None = None, translation: Tensor | None = None) -> LVOutput:
        """Find the pose, turn and segment; see the class."""
        scales = [0.5**k for k in range(self.config.unet.scales)]
        outputs = self.config.unet.outputs
        fields = tuple((scales + [scales[-1]] * outputs)[:outputs])
        six, rotations, translations = (None, None, None) if self.msstn is None else self.msstn(volume)
        used, places = rotations, translations
        if rotation is not None and translation is not None:
            used, places = rotation[:, None], translation[:, None]
        elif used is not None and places is not None and not self.config.joint:
            used, places = used.detach(), places.detach()
        pictures, moves = self._sample(volume, used, places, scales)
        logits = self.msunet(pictures, moves)
        if six is None or rotations is None or translations is None:
            return LVOutput(logits, fields, rotation, translation)
        return LVOutput(logits, fields, rotations[:, 0], translations[:, 0], six[:, 0], rotations, translations)

    def _sample(
        self, volume: Tensor, rotations: Tensor | None, translations: Tensor | None, scales: list[float]
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """Show each scale in its pose, and tell how the poses follow each other."""
        sides = [(volume.shape[2], volume.shape[3], volume.shape[4])]
        sides += [(d >> k, h >> k, w >> k) for k in range(1, len(scales)) for d, h, w in sides[:1]]
        pictures, moves = [], list[Tensor | None]([None] * (len(scales) - 1))
        for k, scale in enumerate(scales):
            if rotations is not None and translations is not None and k < rotations.shape[1]:
                pose = rotations[:, k], translations[:, k]
                pictures.append(sample_in_pose(volume, *pose, scale=scale, size=sides[k]))
                if k:
                    before = rotations[:, k - 1], translations[:, k - 1]
                    moves[k - 1] = relative_pose(
                        *before, *pose, scale=scales[k - 1], next_scale=scale, exact=self.config.exact
                    )
            else:  # one pose for all: the middle of the picture before
                pictures.append(scale_transform(pictures[-1], 0.5, size=sides[k]) if k else volume)
        return pictures, moves
