"""Medical Transformer (MiT): one pyramid transformer for pictures and volumes.

A convolutional stem, four encoder stages and three decoder stages. Each stage embeds its input by a
convolution, adds a class token and learned positions, and runs pre-norm transformer blocks whose keys
and values are reduced in space by a strided convolution. The convolutions and positions exist once for
pictures ("2D") and once for volumes ("3D") and are chosen by the input; the blocks are shared.

Source: Xie Y, Zhang J, Xia Y, Wu Q. UniMiSS: Universal Medical Self-Supervised Learning via Breaking
Dimensionality Barrier. ECCV 2022, doi:10.1007/978-3-031-19803-8_33. The numbers follow the authors' published weights,
which `mit_weights` reads; those were trained with instance norm and leaky ReLU, while the paper's figure says batch
norm and ReLU: both are available.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.errors import InputError
from myoperf.research.training.seeds import seeded

Mode = Literal["2D", "3D"]
Grid = tuple[int, ...]  # tokens along (rows, columns) or (planes, rows, columns)

WIDTHS = (48, 128, 256, 512)
HEADS = (1, 2, 4, 8)
REDUCTIONS = (6, 4, 2, 1)
STEM_WIDTH = 32
ENCODER_DEPTHS = {"small": (2, 3, 4, 3), "tiny": (1, 1, 1, 1)}
DECODER_DEPTHS = {"small": (3, 4, 3), "tiny": (1, 1, 1)}
STEM_STRIDE: dict[Mode, Grid] = {"2D": (2, 2), "3D": (1, 2, 2)}
PICTURE_CHANNELS, VOLUME_CHANNELS = 3, 1


@dataclass(frozen=True)
class MiTConfig:
    """Structure of an MiT and the input shapes it is built for.

    Parameters
    ----------
    size
        ``"small"`` or ``"tiny"``: 2, 3, 4, 3 or 1, 1, 1, 1 encoder blocks.
    norm
        After each convolution: ``"instance"`` (the published weights) or ``"batch"``.
    activation
        After each norm: ``"leaky_relu"`` (the published weights) or ``"relu"``.
    picture_shape
        (rows, columns) the 2D positions are learned for; multiples of 32.
    volume_shape
        (planes, rows, columns) the 3D positions are learned for; multiples of (16, 32, 32).
    modes
        Which inputs the network takes.
    """

    size: Literal["small", "tiny"] = "small"
    norm: Literal["instance", "batch"] = "instance"
    activation: Literal["leaky_relu", "relu"] = "leaky_relu"
    picture_shape: tuple[int, int] = (224, 224)
    volume_shape: tuple[int, int, int] = (16, 96, 96)
    modes: tuple[Mode, ...] = ("2D", "3D")

    def __post_init__(self) -> None:
        if self.size not in ENCODER_DEPTHS:
            raise InputError(f"MiT comes as 'small' or 'tiny'; got {self.size!r}.")
        if not self.modes or not set(self.modes) <= {"2D", "3D"}:
            raise InputError(f"MiT modes are '2D' and '3D'; got {self.modes}.")
        for shape, multiple in ((self.picture_shape, (32, 32)), (self.volume_shape, (16, 32, 32))):
            if any(side < m or side % m for side, m in zip(shape, multiple, strict=True)):
                raise InputError(f"MiT needs sides that are multiples of {multiple}; got {shape}.")
        if self.norm == "instance" and any(math.prod(self.grid(mode, 3)) < 2 for mode in self.modes):
            raise InputError(
                "Instance norm needs more than one token at the last stage; choose a larger shape or batch norm."
            )

    def grid(self, mode: Mode, stage: int) -> Grid:
        """Return the tokens along each axis at encoder stage 0 to 3, for the input the positions are learned for."""
        shape = self.picture_shape if mode == "2D" else self.volume_shape
        strides = STEM_STRIDE[mode]
        return tuple(side // stride // 2 ** (stage + 1) for side, stride in zip(shape, strides, strict=True))


class Features(NamedTuple):
    """Output of the encoder.

    Attributes
    ----------
    pyramid
        Five maps (batch, channels, [planes,] rows, columns): the stem (32 channels) and the four stages.
    token
        Class token of the last stage, (batch, 512).
    """

    pyramid: tuple[Tensor, ...]
    token: Tensor


def mode_of(images: Tensor) -> Mode:
    """Return "2D" for pictures (batch, 3, rows, columns), "3D" for volumes (batch, 1, planes, rows, columns)."""
    if images.ndim == 4 and images.shape[1] == PICTURE_CHANNELS:
        return "2D"
    if images.ndim == 5 and images.shape[1] == VOLUME_CHANNELS:
        return "3D"
    raise InputError(
        f"MiT takes pictures (batch, 3, rows, columns) or volumes (batch, 1, planes, rows, columns); "
        f"got {tuple(images.shape)}."
    )


def tokens_of(maps: Tensor) -> Tensor:
    """Turn maps (B, C, ...) into a sequence (B, N, C)."""
    return maps.flatten(2).transpose(1, 2)


def maps_of(tokens: Tensor, grid: Grid) -> Tensor:
    """Turn a sequence (B, N, C) into maps (B, C, *grid)."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *grid)


def interpolate_position(position: Tensor, source: Grid, target: Grid) -> Tensor:
    """Resize learned positions to another grid; the class token's position stays.

    Bicubic for pictures, trilinear for volumes. As in the original, the scale has 0.1 added to the target side, which
    keeps rounding from losing a row and shifts samples by at most 0.1 / side.

    Parameters
    ----------
    position
        Shape (1, 1 + N, C).
    source, target
        Tokens along each axis; N is the product of `source`.

    Returns
    -------
    Shape (1, 1 + M, C), M the product of `target`.
    """
    if source == target:
        return position
    maps = maps_of(position[:, 1:], source)
    scale = [(after + 0.1) / before for after, before in zip(target, source, strict=True)]
    mode = "bicubic" if len(target) == 2 else "trilinear"
    resized = F.interpolate(maps, scale_factor=scale, mode=mode)
    return torch.cat([position[:, :1], tokens_of(resized)], dim=1)


class ConvUnit(nn.Module):
    """Convolution without bias, norm, activation."""

    def __init__(
        self, mode: Mode, config: MiTConfig, channels: tuple[int, int], *, kernel: int, stride: int | Grid
    ) -> None:
        super().__init__()
        conv = nn.Conv2d if mode == "2D" else nn.Conv3d
        self.conv = conv(*channels, kernel, stride=stride, padding=kernel // 2, bias=False)  # type: ignore[arg-type]
        self.norm: nn.Module
        if config.norm == "instance":
            self.norm = (nn.InstanceNorm2d if mode == "2D" else nn.InstanceNorm3d)(channels[1], affine=True)
        else:
            self.norm = (nn.BatchNorm2d if mode == "2D" else nn.BatchNorm3d)(channels[1])
        self.activation = nn.LeakyReLU(0.01) if config.activation == "leaky_relu" else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) to (B, C', ... / stride)."""
        out: Tensor = self.activation(self.norm(self.conv(x)))
        return out


class Attention(nn.Module):
    """Multi-head attention over keys and values reduced in space; the class token is never reduced."""

    def __init__(self, width: int, heads: int, reduction: int, modes: tuple[Mode, ...], *, qkv_bias: bool) -> None:
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.q = nn.Linear(width, width, bias=qkv_bias)
        self.kv = nn.Linear(width, 2 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)
        if reduction > 1:
            self.reduce = nn.ModuleDict(
                {
                    mode: (nn.Conv2d if mode == "2D" else nn.Conv3d)(width, width, reduction, stride=reduction)
                    for mode in modes
                }
            )
            self.norm = nn.LayerNorm(width)

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)  # (B, heads, N, C / heads)

    def _weights_and_values(self, x: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        source = x
        if self.reduction > 1:
            if min(grid) < self.reduction:
                raise InputError(
                    f"A grid of {grid} tokens is too small for spatial reduction by {self.reduction}; "
                    "MiT needs at least 16 planes and 32 rows and columns."
                )
            reduced = self.reduce[f"{len(grid)}D"](maps_of(x[:, 1:], grid))
            source = self.norm(torch.cat([x[:, :1], tokens_of(reduced)], dim=1))  # (B, 1 + N / reduction ** d, C)
        keys, values = (self._split(part) for part in self.kv(source).chunk(2, dim=2))
        queries = self._split(self.q(x))
        scores = queries @ keys.transpose(2, 3) * queries.shape[-1] ** -0.5
        return torch.softmax(scores, dim=-1), values

    def weights(self, x: Tensor, grid: Grid) -> Tensor:
        """Return the attention of every token to every key: (B, heads, 1 + N, 1 + M); rows sum to 1."""
        return self._weights_and_values(x, grid)[0]

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """(B, 1 + N, C) to the same shape."""
        weights, values = self._weights_and_values(x, grid)
        out: Tensor = self.proj((weights @ values).transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Pre-norm transformer block: attention, then an MLP of four times the width."""

    def __init__(
        self, width: int, heads: int, reduction: int, modes: tuple[Mode, ...], *, qkv_bias: bool, eps: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attention = Attention(width, heads, reduction, modes, qkv_bias=qkv_bias)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """(B, 1 + N, C) to the same shape."""
        x = x + self.attention(self.norm1(x), grid)
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return out


class Stage(nn.Module):
    """Tokens with positions, then transformer blocks, over one grid: a stage of the encoder or the decoder.

    Parameters
    ----------
    embed
        Per mode, the module that maps the previous stage's maps to this stage's.
    grids
        Per mode, the grid the positions are learned for.
    token
        The class token: learned here (first stage) or a linear map of the previous stage's.
    blocks
        Transformer blocks.
    """

    def __init__(
        self,
        embed: dict[Mode, nn.Module],
        grids: dict[Mode, Grid],
        width: int,
        *,
        previous: int | None,
        blocks: list[Block],
    ) -> None:
        super().__init__()
        self.grids = dict(grids)
        self.embed = nn.ModuleDict(dict(embed.items()))
        self.position = nn.ParameterDict(
            {mode: nn.Parameter(torch.zeros(1, 1 + math.prod(grid), width)) for mode, grid in grids.items()}
        )
        self.token = nn.Parameter(torch.zeros(1, 1, width)) if previous is None else None
        self.carry = nn.Linear(previous, width) if previous is not None else None
        self.blocks = nn.ModuleList(blocks)

    def forward(self, maps: Tensor, token: Tensor | None, skip: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return this stage's maps (B, C, *grid) and class token (B, 1, C) from the previous stage's."""
        mode: Mode = "2D" if maps.ndim == 4 else "3D"
        maps = self.embed[mode](maps)
        if skip is not None:
            maps = maps + skip
        grid = tuple(maps.shape[2:])
        if self.carry is not None:
            token = self.carry(token)
        elif self.token is not None:
            token = self.token.expand(maps.shape[0], -1, -1)
        assert token is not None
        x = torch.cat([token, tokens_of(maps)], dim=1)  # (B, 1 + N, C)
        x = x + interpolate_position(self.position[mode], self.grids[mode], grid)
        for block in self.blocks:
            x = block(x, grid)
        return maps_of(x[:, 1:], grid).contiguous(), x[:, :1]


class MiTEncoder(nn.Module):
    """Stem and four stages: pictures or volumes in, a feature pyramid and a class token out."""

    def __init__(self, config: MiTConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MiTConfig()
        channels = {"2D": PICTURE_CHANNELS, "3D": VOLUME_CHANNELS}
        self.stem = nn.ModuleDict(
            {
                mode: ConvUnit(mode, config, (channels[mode], STEM_WIDTH), kernel=7, stride=STEM_STRIDE[mode])
                for mode in config.modes
            }
        )
        stages = []
        for stage, depth in enumerate(ENCODER_DEPTHS[config.size]):
            before, width = (STEM_WIDTH, *WIDTHS)[stage], WIDTHS[stage]
            blocks = [
                Block(width, HEADS[stage], REDUCTIONS[stage], config.modes, qkv_bias=True, eps=1e-6)
                for _ in range(depth)
            ]
            embed: dict[Mode, nn.Module] = {
                mode: ConvUnit(mode, config, (before, width), kernel=3, stride=2) for mode in config.modes
            }
            grids = {mode: config.grid(mode, stage) for mode in config.modes}
            stages.append(Stage(embed, grids, width, previous=before if stage else None, blocks=blocks))
        self.stages = nn.ModuleList(stages)
        self.apply(_init_module)

    def forward(self, images: Tensor) -> Features:
        """(B, 3, rows, columns) or (B, 1, planes, rows, columns) to `Features`."""
        mode = mode_of(images)
        if mode not in self.config.modes:
            raise InputError(f"This MiT was built for {' and '.join(self.config.modes)} input; got a {mode} batch.")
        maps = self.stem[mode](images)
        pyramid, token = [maps], None
        for stage in self.stages:
            maps, token = stage(maps, token)
            pyramid.append(maps)
        assert token is not None
        return Features(tuple(pyramid), token[:, 0])


class MiT(nn.Module):
    """Encoder and decoder: images in, the decoder's class token out, (batch, 48).

    The decoder doubles the grid three times by transposed convolutions and adds the encoder's maps.
    """

    def __init__(self, config: MiTConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MiTConfig()
        self.encoder = MiTEncoder(config)
        stages = []
        for step, depth in enumerate(DECODER_DEPTHS[config.size]):
            level = 2 - step
            before, width = WIDTHS[level + 1], WIDTHS[level]
            blocks = [
                Block(width, HEADS[level + 1], (2, 4, 6)[step], config.modes, qkv_bias=False, eps=1e-5)
                for _ in range(depth)
            ]
            embed: dict[Mode, nn.Module] = {
                mode: (nn.ConvTranspose2d if mode == "2D" else nn.ConvTranspose3d)(before, width, 2, stride=2)
                for mode in config.modes
            }
            grids = {mode: config.grid(mode, level) for mode in config.modes}
            stages.append(Stage(embed, grids, width, previous=before, blocks=blocks))
        self.decoder = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(WIDTHS[0])
        self.apply(_init_module)

    def decode(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return the finest decoder maps (B, 48, *grid), not normalised, and the class token (B, 48), normalised."""
        maps, token = features.pyramid[-1], features.token[:, None]
        for stage, skip in zip(self.decoder, features.pyramid[3:0:-1], strict=True):
            maps, token = stage(maps, token, skip)
        return maps, self.norm(token[:, 0])

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, rows, columns) or (B, 1, planes, rows, columns) to (B, 48)."""
        return self.decode(self.encoder(images))[1]


def _init_module(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d | nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, Stage):
        for position in module.position.values():
            nn.init.trunc_normal_(position, std=0.02)
        if module.token is not None:
            nn.init.trunc_normal_(module.token, std=0.02)


def build_mit(config: MiTConfig | None = None, *, seed: int = 0) -> MiT:
    """Build an MiT whose random weights depend on the seed alone; the global generator is left as it was."""
    with seeded(seed):
        return MiT(config)
