"""MS-ST-UNet: one network that turns the left ventricle to short axis and segments it; two sizes, five ablations.

Ni et al. 2023, "A multi-scale spatial transformer U-Net for simultaneously automatic reorientation and segmentation of
3D nuclear cardiac images" (doi:10.48550/arXiv.2310.10095). MSSTN: a localiser estimates the pose from the volume; three
samplers show 1, 1/2 and 1/4 of the field in that pose on grids of N, N/2 and N/4. MSUNet: an Attention U-Net that
takes the three sampled volumes (see ``attention_unet``).

The paper leaves some points open. Assumed here:

- Equation 6 has differences of the pose between two scales, so each sampler has its own pose, all
  estimated by one linear layer from one localiser; the pose of the whole field is the one reported
  and the frame of the first logits. All of them should be trained (``LVOutput.scale_rotations``).
- ResNet50 keeps its batch norm; the Attention U-Net has instance norm (the batch is 2).
- The rotation is estimated as the first two columns of its matrix, not as angles, so that it cannot jump (Zhou et al.
  2019, doi:10.1109/CVPR.2019.00589); angles are computed from it.
- The last layer starts near zero around the mean pose of the paper's Table 2 (SPECT).
- "Sep": the segmentation uses the pose but sends no gradient back to it.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.lv.compact_network import matrix_from_six
from myoperf.research.reorientation.attention_unet import OUTPUTS, AttentionUNet, AttentionUNetConfig, scale_transform
from myoperf.research.reorientation.localiser import LVLocaliser, LVLocaliserConfig
from myoperf.research.reorientation.output import LVOutput
from myoperf.research.reorientation.pose import full_precision, relative_pose, sample_in_pose, start_of
from myoperf.research.reorientation.resnet3d import ResNet3D, ResNet3DConfig

ABLATIONS = ("seg-op1", "seg-op2", "rot-op1-seg-op1", "sep-rot-op2-seg-op2", "rot-op2-seg-op2")
MSUNET = "msunet"
POSE_ONLY = ("rot-op1", "rot-op2")
"""Networks of figure 4: the localiser alone, with the samplers of one scale or of three."""


@dataclass(frozen=True)
class MSSTUNetConfig:
    """Sizes and options; the default is the network of the paper, for 128^3.

    Parameters
    ----------
    unet
        Of the segmentation; its ``scales`` is the number of samplers.
    localiser
        Of the pose; None for segmentation alone, in a given pose.
    exact
        Compose the poses of two scales exactly; False uses the paper's difference of angles.
    joint
        False: the gradient of the segmentation stops at the pose.
    """

    unet: AttentionUNetConfig = field(default_factory=AttentionUNetConfig)
    localiser: ResNet3DConfig | LVLocaliserConfig | None = field(default_factory=ResNet3DConfig)
    exact: bool = False
    joint: bool = True


def compact_config() -> MSSTUNetConfig:
    """Return the same design for a plain CPU, for 64^3 or 48^3."""
    unet = AttentionUNetConfig(channels=(8, 16, 32, 64, 96))
    return MSSTUNetConfig(unet=unet, localiser=LVLocaliserConfig(), exact=True)


def ablation(config: MSSTUNetConfig, name: Literal["seg-op1", "seg-op2"] | str) -> MSSTUNetConfig:
    """Change a configuration to one of the paper's Table 3.

    Parameters
    ----------
    name
        ``seg-op1``, ``seg-op2``: segmentation alone, one scale or three, in the given frame ("wo Rot"); the three
        scales show the whole field, as the middle quarter of a transaxial field holds a small part of the heart or
        none. ``msunet``: three scales in a pose passed to ``forward`` (the paper's MSUNet of Table 4). ``rot-op1``,
        ``rot-op2``: of `PoseNetwork`. ``rot-op1-seg-op1``: one scale, joint.
        ``sep-rot-op2-seg-op2``: three scales, trained separately. ``rot-op2-seg-op2``: MS-ST-UNet.

    Raises
    ------
    ValueError
        For another name.
    """
    if name not in (*ABLATIONS, MSUNET, *POSE_ONLY):
        raise ValueError(f"An ablation of {', '.join(ABLATIONS)} was expected; got {name!r}.")
    if "op1" in name:
        config = replace(config, unet=replace(config.unet, scales=1))
    if name == "seg-op2":
        config = replace(config, unet=replace(config.unet, whole_field=True))
    if name in (MSUNET, "seg-op1", "seg-op2"):
        return replace(config, localiser=None)
    return replace(config, joint=not name.startswith("sep"))


class MSSTN(nn.Module):
    """Volume (B, 1, N, N, N) -> rotations (B, S, 3, 3) and translations (B, S, 3) of the samplers."""

    start: Tensor

    def __init__(self, config: MSSTUNetConfig) -> None:
        super().__init__()
        self.poses = config.unet.scales
        if isinstance(config.localiser, LVLocaliserConfig):
            self.localiser: LVLocaliser | ResNet3D = LVLocaliser(config.localiser)
            features = config.localiser.hidden
        else:
            self.localiser = ResNet3D(config.localiser)
            features = self.localiser.features
        self.head = nn.Linear(features, 9 * self.poses)
        nn.init.normal_(self.head.weight, std=1e-3)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("start", start_of())

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate the poses; see the class."""
        located = self.localiser(volume)
        with full_precision(volume):
            if isinstance(located, tuple):  # the compact localiser estimates the centre itself
                centre, features = located
            else:
                centre, features = self.start[6:].expand(len(volume), 3), located
            raw = self.head(features.float()).view(-1, self.poses, 9)
            return matrix_from_six(self.start[:6] + raw[..., :6]), centre[:, None] + raw[..., 6:]


class MSSTUNet(nn.Module):
    """``forward(volume)``: (B, 1, N, N, N) -> ``LVOutput``; N divisible by 16.

    ``forward(volume, rotation, translation)`` segments in the given pose, (B, 3, 3) and (B, 3), instead of the
    localiser's (which is still returned): for networks without a localiser, to train both parts separately, and
    for an operator's correction. A network without localiser and pose segments in the frame of the volume.
    """

    def __init__(self, config: MSSTUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MSSTUNetConfig()
        self.msstn = None if config.localiser is None else MSSTN(config)
        self.msunet = AttentionUNet(config.unet)

    def locate(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate the poses alone: rotations (B, S, 3, 3) and translations (B, S, 3) of the samplers.

        Raises
        ------
        ValueError
            For a network without localiser.
        """
        if self.msstn is None:
            raise ValueError("This network has no localiser, so it cannot estimate a pose.")
        poses: tuple[Tensor, Tensor] = self.msstn(volume)
        return poses

    def forward(self, volume: Tensor, rotation: Tensor | None = None, translation: Tensor | None = None) -> LVOutput:
        """Estimate the pose, turn and segment; see the class."""
        scales = [1.0 if self.config.unet.whole_field else 0.5**k for k in range(self.config.unet.scales)]
        fields = tuple((scales + [scales[-1]] * OUTPUTS)[:OUTPUTS])
        rotations, translations = (None, None) if self.msstn is None else self.msstn(volume)
        used, places = rotations, translations
        if rotation is not None and translation is not None:
            used, places = rotation[:, None], translation[:, None]
        elif used is not None and places is not None and not self.config.joint:
            used, places = used.detach(), places.detach()
        volumes, moves = self._sample(volume, used, places, scales)
        logits = self.msunet(volumes, moves)
        if rotations is None or translations is None:
            return LVOutput(logits, fields, rotation, translation)
        return LVOutput(logits, fields, rotations[:, 0], translations[:, 0], rotations, translations)

    def _sample(
        self, volume: Tensor, rotations: Tensor | None, translations: Tensor | None, scales: list[float]
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """Sample each scale in its pose; return also the matrices between successive poses."""
        sides = [(volume.shape[2], volume.shape[3], volume.shape[4])]
        sides += [(d >> k, h >> k, w >> k) for k in range(1, len(scales)) for d, h, w in sides[:1]]
        volumes, moves = [], list[Tensor | None]([None] * (len(scales) - 1))
        for k, scale in enumerate(scales):
            if rotations is not None and translations is not None and k < rotations.shape[1]:
                pose = rotations[:, k], translations[:, k]
                volumes.append(sample_in_pose(volume, *pose, scale=scale, size=sides[k]))
                if k and not self.config.unet.whole_field:
                    before = rotations[:, k - 1], translations[:, k - 1]
                    moves[k - 1] = relative_pose(
                        *before, *pose, scale=scales[k - 1], next_scale=scale, exact=self.config.exact
                    )
            elif k and self.config.unet.whole_field:
                volumes.append(F.avg_pool3d(volumes[-1], 2))
            else:  # one pose for all: the middle of the scale before
                volumes.append(scale_transform(volumes[-1], 0.5, size=sides[k]) if k else volume)
        return volumes, moves


class PoseNetwork(nn.Module):
    """The localiser and its samplers alone, ``forward(volume)``: (B, 1, N, N, N) -> ``LVOutput`` without masks."""

    def __init__(self, config: MSSTUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or MSSTUNetConfig()
        self.msstn = MSSTN(self.config)

    def locate(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate the poses: rotations (B, S, 3, 3) and translations (B, S, 3) of the samplers."""
        poses: tuple[Tensor, Tensor] = self.msstn(volume)
        return poses

    def forward(self, volume: Tensor) -> LVOutput:
        """Estimate the pose; see the class."""
        rotations, translations = self.locate(volume)
        return LVOutput((), (), rotations[:, 0], translations[:, 0], rotations, translations)
