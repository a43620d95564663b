"""Load pre-trained weights into a Medical Transformer (MiT): the UniMiSS authors' files and MyoPerf's own.

A published file holds ``{'student': ..., 'teacher': ...}``. Student keys start with ``module.backbone.``, teacher keys
with ``backbone.``; then follow the encoder (``transformer.*``), the decoder, and, after ``head.``, the projection head.
Every encoder or decoder key must map to one of `mit`'s keys, and each of those must be filled: nothing is skipped
silently. Files that MyoPerf's pre-training writes hold `mit`'s keys and the configuration they were trained with.
"""

import argparse
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from myoperf.errors import InputError, MissingWeightsError
from myoperf.pipeline.jobs import write_whole
from myoperf.research.slice_transformer.mit import MiT, MiTConfig, MiTEncoder, interpolate_position

Positions = Literal["grid", "flat"]
PUBLISHED = MiTConfig()
"""What the authors' files were trained for: 224 x 224 pictures and 16 x 96 x 96 volumes."""


@dataclass(frozen=True, eq=False)
class MiTWeights:
    """Pre-trained weights of an MiT.

    Parameters
    ----------
    tensors
        By name, in the authors' layout or MyoPerf's.
    config
        What the network was trained for; its shapes are those of the learned positions.
    """

    tensors: Mapping[str, Tensor]
    config: MiTConfig = PUBLISHED


_BLOCK = {
    "attn.q": "attention.q",
    "attn.kv": "attention.kv",
    "attn.proj": "attention.proj",
    "attn.norm": "attention.norm",
    "attn.sr2D": "attention.reduce.2D",
    "attn.sr3D": "attention.reduce.3D",
    "norm1": "norm1",
    "norm2": "norm2",
    "mlp.fc1": "fc1",
    "mlp.fc2": "fc2",
}


def _stage(rest: str, match: re.Match[str], owner: str, first: int) -> str:
    """Return the rest of a key after ``owner.stage.``."""
    return f"{owner}.{int(match['stage']) - first}.{rest}"


def _map_stage_key(key: str, *, owner: str, first: int) -> str | None:
    """Map the key of an encoder stage (counted from 1) or decoder stage (from 0); None for any other key."""
    if match := re.fullmatch(r"(?:Dec)?[Bb]lock(?P<stage>\d)\.(\d+)\.(.+)\.(weight|bias)", key):
        inner = _BLOCK.get(match[3])
        return inner and _stage(f"blocks.{match[2]}.{inner}.{match[4]}", match, owner, first)
    if match := re.fullmatch(r"(?:pos_embed|DecPosEmbed)(?P<mode>2D|3D)(?P<stage>\d)", key):
        return _stage(f"position.{match['mode']}", match, owner, first)
    if match := re.fullmatch(r"(?:patch_embed|DecEmbed)(?P<mode>2D|3D)(?P<stage>\d)\.proj\.(.+)", key):
        return _stage(f"embed.{match['mode']}.{match[3]}", match, owner, first)
    if match := re.fullmatch(r"cls_tokens(?P<stage>\d)\.(weight|bias)", key):
        return _stage(f"carry.{match[2]}", match, owner, first)
    return None


def map_mit_key(key: str) -> str:
    """Return `mit`'s key for a key of the authors' MiT (``transformer.block1.0.mlp.fc1.weight``).

    Parameters
    ----------
    key
        Without ``module.`` and ``backbone.``; one of the encoder starts with ``transformer.``.

    Raises
    ------
    InputError
        When the key belongs to no part of an MiT.
    """
    mapped: str | None
    if key.startswith("transformer."):
        inner = key.removeprefix("transformer.")
        if inner == "cls_tokens1":
            mapped = "stages.0.token"
        elif match := re.fullmatch(r"patch_embed(2D|3D)0\.(.+)", inner):
            mapped = f"stem.{match[1]}.{match[2]}"
        else:
            mapped = _map_stage_key(inner, owner="stages", first=1)
        mapped = mapped and f"encoder.{mapped}"
    elif key in ("norm.weight", "norm.bias"):
        mapped = key
    else:
        mapped = _map_stage_key(key, owner="decoder", first=0)
    if mapped is None:
        raise InputError(f"{key!r} is no key of an MiT checkpoint; the published UniMiSS layout was expected.")
    return mapped


def map_mit_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a student's or teacher's tensors under `mit`'s keys, without the projection head (``head.*``).

    Raises
    ------
    InputError
        When a key belongs to no part of an MiT, or two keys mean the same tensor.
    """
    if any(key.startswith("encoder.") for key in state):  # written by MyoPerf
        return dict(state)
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        bare = key.removeprefix("module.")
        if bare.startswith("head."):
            continue
        mapped = map_mit_key(bare.removeprefix("backbone."))
        if mapped in out:
            raise InputError(f"{key!r} and another key of the checkpoint mean the same tensor; each must come once.")
        out[mapped] = value
    return out


def read_checkpoint(path: Path, which: Literal["student", "teacher"] = "student") -> MiTWeights:
    """Read one half of a UniMiSS checkpoint, the authors' or MyoPerf's; no code in the file is run.

    Raises
    ------
    MissingWeightsError
        When the file does not exist.
    InputError
        When the file is no such checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingWeightsError(f"No weights file {path.name!r}; give the path of a UniMiSS checkpoint (.pth).")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # the authors' files hold their command's options
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or foreign file
        raise InputError(f"{path.name!r} cannot be read as a PyTorch checkpoint of plain weights.") from error
    if not isinstance(content, dict) or not isinstance(content.get(which), dict):
        raise InputError(f"{path.name!r} holds no {which!r} weights; expected a dict with 'student' and 'teacher'.")
    tensors, config = {str(key): value for key, value in content[which].items()}, content.get("config")
    return MiTWeights(tensors, MiTConfig(**config)) if isinstance(config, dict) else MiTWeights(tensors)


def write_checkpoint(path: Path, student: MiT, teacher: MiT) -> None:
    """Write both halves of a pre-training with their configuration, for `read_checkpoint`."""
    content = {"student": student.state_dict(), "teacher": teacher.state_dict(), "config": asdict(student.config)}
    with write_whole(path) as part:
        torch.save(content, part)


def stretch_positions(position: Tensor, count: int) -> Tensor:
    """Resize learned positions (1, N, C) to `count`, linearly along the list that they are, class token included.

    This is what the UniMiSS authors' fine-tuning code does (`scipy.ndimage.zoom` of order 1). Neighbours in the list
    are neighbours in a row only, so rows and columns mix.
    """
    listed = position.transpose(1, 2)  # (1, C, N)
    return F.interpolate(listed, size=count, mode="linear", align_corners=True).transpose(1, 2)


def _load(
    network: MiT | MiTEncoder, tensors: Mapping[str, Tensor], source: MiTConfig, positions: Positions = "grid"
) -> None:
    """Check keys and shapes and load, with positions resized where the grid differs from the checkpoint's."""
    unused = {"2D", "3D"} - set(network.config.modes)  # a checkpoint serves pictures and volumes, a network maybe one
    state = {key: value for key, value in tensors.items() if not unused & set(key.split("."))}
    expected = network.state_dict()
    if missing := sorted(expected.keys() - state.keys()):
        raise InputError(f"The checkpoint lacks {len(missing)} of {len(expected)} MiT tensors, first {missing[0]!r}.")
    if unknown := sorted(state.keys() - expected.keys()):
        raise InputError(f"The checkpoint holds {len(unknown)} tensors this MiT has not, first {unknown[0]!r}.")
    grids = {
        f"{name}.position.{mode}": grid
        for name, module in network.named_modules()
        for mode, grid in getattr(module, "grids", {}).items()
    }
    fitted = {}
    for key, value in state.items():
        if not isinstance(value, Tensor) or value.is_floating_point() != expected[key].is_floating_point():
            kind = str(value.dtype) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"{key!r} is of kind {kind}; a tensor like {expected[key].dtype} was expected.")
        if not torch.isfinite(value).all():
            raise InputError(f"{key!r} holds NaN or infinite numbers; the checkpoint is damaged.")
        if key in grids and value.ndim == 3:
            stage = int(key.split(".")[-3])
            level = 2 - stage if key.startswith("decoder") else stage
            grid = source.grid("2D" if key.endswith("2D") else "3D", level)
            if value.shape[1] != 1 + int(np.prod(grid)):
                raise InputError(f"{key!r} has {value.shape[1]} positions; {1 + int(np.prod(grid))} were expected.")
            if positions == "grid":
                value = interpolate_position(value.float(), grid, grids[key])
            else:
                value = stretch_positions(value.float(), expected[key].shape[1])
        if value.shape != expected[key].shape:
            raise InputError(f"{key!r} has shape {tuple(value.shape)}; this MiT needs {tuple(expected[key].shape)}.")
        fitted[key] = value
    network.load_state_dict(fitted)


def load_mit(network: MiT, weights: MiTWeights) -> None:
    """Load pre-trained weights into an MiT, in place.

    Parameters
    ----------
    network
        Its norm must be the checkpoint's: batch norm keeps running means, instance norm has none.
    weights
        From `read_checkpoint`.

    Raises
    ------
    InputError
        When a key is unknown, missing or of another shape.
    """
    _load(network, map_mit_state(weights.tensors), weights.config)


def load_mit_encoder(encoder: MiTEncoder, weights: MiTWeights, *, positions: Positions = "grid") -> None:
    """Load pre-trained weights into an encoder alone, without the checkpoint's decoder; as strict as `load_mit`.

    Parameters
    ----------
    positions
        Resize the learned positions along each axis of their grid, or as one flat list (`stretch_positions`).
    """
    mapped = map_mit_state(weights.tensors)
    inner = {key.removeprefix("encoder."): value for key, value in mapped.items() if key.startswith("encoder.")}
    _load(encoder, inner, weights.config, positions)
