"""Multi-branch Medical Transformer: one MiT encoder per view, joined into one diagnosis.

Short-axis, horizontal and vertical long-axis slices are each stacked with stress and rest along depth and read by a
separate encoder; the branches' features are averaged (or concatenated, or weighted) and classified by one linear layer:
y = softmax(W (f_SA + f_HLA + f_VLA) / 3 + b).

Source: Zhao F, Zhang X, Xu L, Huang X. Multi-Branch Medical Transformer for SPECT Myocardial Perfusion Imaging: A Novel
Approach to Diagnosis; formula (1) and section 3.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from myoperf.errors import InputError
from myoperf.research.slice_stacks import VIEWS
from myoperf.research.slice_transformer.mit import WIDTHS, Features, Grid, MiTConfig, MiTEncoder
from myoperf.research.slice_transformer.mit_weights import MiTWeights, Positions, load_mit_encoder
from myoperf.research.training.seeds import seeded

Fusion = Literal["average", "concatenation", "learnable"]
Pooling = Literal["mean", "token", "both"]

PAPER_ENCODER = MiTConfig(volume_shape=(32, 96, 96), modes=("3D",))
COMPACT_ENCODER = MiTConfig("tiny", "batch", "relu", volume_shape=(16, 32, 32), modes=("3D",))
"""For one processor core. Batch norm, as instance norm needs more than the one token that the last stage has here."""


@dataclass(frozen=True)
class MultiBranchConfig:
    """Structure of a multi-branch MiT.

    Parameters
    ----------
    views
        One or more of ``"sa"``, ``"hla"``, ``"vla"``; one gives the paper's single-axis models.
    fusion
        ``"average"``, ``"concatenation"`` or ``"learnable"`` (one weight per view, softmax over views).
    pooling
        A branch's feature before its norm: the ``"mean"`` of the last stage's patch tokens (the paper), its class
        ``"token"``, or the mean of ``"both"`` (similar to the UniMiSS authors', which norms every token).
    classes
        Outputs of the linear layer.
    encoder
        Of every branch; must take volumes.
    """

    views: tuple[str, ...] = VIEWS
    fusion: Fusion = "average"
    pooling: Pooling = "mean"
    classes: int = 2
    encoder: MiTConfig = PAPER_ENCODER

    def __post_init__(self) -> None:
        if not self.views or not set(self.views) <= set(VIEWS) or len(set(self.views)) != len(self.views):
            raise InputError(f"Views are one or more of {', '.join(VIEWS)}, each once; got {self.views}.")
        if self.fusion not in ("average", "concatenation", "learnable"):
            raise InputError(f"Fusion is 'average', 'concatenation' or 'learnable'; got {self.fusion!r}.")
        if self.pooling not in ("mean", "token", "both"):
            raise InputError(f"Pooling is 'mean', 'token' or 'both'; got {self.pooling!r}.")
        if "3D" not in self.encoder.modes:
            raise InputError("The branches read volumes: the encoder needs the mode '3D'.")


class MultiBranchMiT(nn.Module):
    """Stacks of slices in, class logits out."""

    def __init__(self, config: MultiBranchConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MultiBranchConfig()
        self.branches = nn.ModuleDict({view: MiTEncoder(config.encoder) for view in config.views})
        self.norms = nn.ModuleDict({view: nn.LayerNorm(WIDTHS[-1]) for view in config.views})
        self.view_weights = nn.Parameter(torch.zeros(len(config.views))) if config.fusion == "learnable" else None
        joined = WIDTHS[-1] * (len(config.views) if config.fusion == "concatenation" else 1)
        self.head = nn.Linear(joined, config.classes)
        self.frozen = False

    def freeze_branches(self) -> None:
        """Keep the encoders as they are, so that only the norms, the fusion and the linear layer are trained."""
        self.frozen = True
        self.branches.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> MultiBranchMiT:
        """Set training mode; frozen encoders, with their batch statistics, stay in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.branches.eval()
        return self

    def encode(self, stacks: Tensor) -> dict[str, Features]:
        """Return each branch's `Features` by view, for stacks (B, views, planes, rows, columns)."""
        if stacks.ndim != 5 or stacks.shape[1] != len(self.config.views):
            raise InputError(
                f"Expected stacks (batch, {len(self.config.views)} views, planes, rows, columns); "
                f"got {tuple(stacks.shape)}."
            )
        return {view: branch(stacks[:, i : i + 1]) for i, (view, branch) in enumerate(self.branches.items())}

    def pool(self, features: Mapping[str, Features]) -> Tensor:
        """Return one feature vector per view, before its norm: (B, views, 512)."""
        pooled = []
        for view in self.config.views:
            mean = features[view].pyramid[-1].flatten(2).mean(dim=2)  # (B, 512)
            token = features[view].token
            pooled.append({"mean": mean, "token": token, "both": 0.5 * (mean + token)}[self.config.pooling])
        return torch.stack(pooled, dim=1)

    def classify(self, pooled: Tensor) -> Tensor:
        """Return logits (B, classes) for pooled features (B, views, 512)."""
        normed = torch.stack([norm(pooled[:, i]) for i, norm in enumerate(self.norms.values())], dim=1)
        if self.config.fusion == "concatenation":
            joined = normed.flatten(1)
        elif self.view_weights is not None:
            joined = (torch.softmax(self.view_weights, dim=0)[:, None] * normed).sum(dim=1)
        else:
            joined = normed.mean(dim=1)
        out: Tensor = self.head(joined)
        return out

    def forward(self, stacks: Tensor) -> Tensor:
        """(B, views, planes, rows, columns) to logits (B, classes)."""
        return self.classify(self.pool(self.encode(stacks)))


def build_multi_branch(config: MultiBranchConfig | None = None, *, seed: int = 0) -> MultiBranchMiT:
    """Build the network with random weights that depend on the seed alone."""
    with seeded(seed):
        return MultiBranchMiT(config)


def load_branches(network: MultiBranchMiT, weights: MiTWeights, *, positions: Positions = "grid") -> None:
    """Start every branch from the same pre-trained weights, as Zhao et al. do; see `mit_weights.load_mit_encoder`.

    Raises
    ------
    InputError
        When the weights are of another encoder; the message says which encoder was expected.
    """
    for branch in network.branches.values():
        assert isinstance(branch, MiTEncoder)
        try:
            load_mit_encoder(branch, weights, positions=positions)
        except InputError as error:
            encoder = network.config.encoder
            raise InputError(f"The weights must fit an MiT {encoder.size} with {encoder.norm} norm. {error}") from error


def attention_maps(network: MultiBranchMiT, stacks: Tensor) -> Tensor:
    """Return the attention that the class token of the last stage pays to each place, averaged over heads.

    Parameters
    ----------
    stacks
        (B, views, planes, rows, columns).

    Returns
    -------
    Same shape, 0 to 1 with each stack's maximum at 1. The map is coarse: one token of the last stage covers 16 planes
    of 32 x 32 pixels.
    """
    maps = []
    with torch.no_grad():
        for i, branch in enumerate(network.branches.values()):
            assert isinstance(branch, MiTEncoder)
            weights: list[Tensor] = []
            attention = branch.stages[-1].blocks[-1].attention  # type: ignore[union-attr, index]

            def keep(module: nn.Module, inputs: tuple[Tensor, Grid], kept: list[Tensor] = weights) -> None:
                kept.append(module.weights(*inputs))  # type: ignore[operator]

            hook = attention.register_forward_pre_hook(keep)
            try:
                grid = branch(stacks[:, i : i + 1]).pyramid[-1].shape[2:]
            finally:
                hook.remove()
            maps.append(weights[0][:, :, 0, 1:].mean(dim=1).unflatten(1, tuple(grid)))  # type: ignore[no-untyped-call]
    return _on_stacks(torch.stack(maps, dim=1), stacks)


def grad_cam(network: MultiBranchMiT, stacks: Tensor, *, target: int = 1, stage: int = 3) -> Tensor:
    """Return which places of the stacks raise a class's logit.

    Source: Selvaraju et al., ICCV 2017, doi:10.1109/ICCV.2017.74 (Grad-CAM).

    Parameters
    ----------
    stacks
        (B, views, planes, rows, columns).
    target
        Class, default 1 (abnormal).
    stage
        Encoder stage 1 to 4 whose maps are weighted; a token of stage 3 covers 8 planes of 16 x 16 pixels.

    Returns
    -------
    Same shape as the stacks, 0 to 1 with each stack's maximum at 1; all 0 where nothing raises the logit.
    """
    if stage not in (1, 2, 3, 4) or not 0 <= target < network.config.classes:
        raise InputError(f"Grad-CAM needs a stage from 1 to 4 and a class of the network; got {stage} and {target}.")
    with torch.enable_grad():
        features = network.encode(stacks.detach().requires_grad_(True))
        logits = network.classify(network.pool(features))
        maps = [features[view].pyramid[stage] for view in network.config.views]
        slopes = torch.autograd.grad(logits[:, target].sum(), maps)
    cams = [
        F.relu((m * s.mean(dim=(2, 3, 4), keepdim=True)).sum(dim=1)).detach() for m, s in zip(maps, slopes, strict=True)
    ]
    return _on_stacks(torch.stack(cams, dim=1), stacks)


def _on_stacks(maps: Tensor, stacks: Tensor) -> Tensor:
    """Interpolate maps (B, views, ...) to the stacks' grid and scale each to a maximum of 1."""
    full = F.interpolate(maps, size=stacks.shape[2:], mode="trilinear")
    peak = full.amax(dim=(2, 3, 4), keepdim=True)
    return full / peak.clamp_min(torch.finfo(full.dtype).tiny)
