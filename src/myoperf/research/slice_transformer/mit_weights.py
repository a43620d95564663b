"""Read the UniMiSS authors' published MiT weights into `myoperf.research.slice_transformer.mit`, strictly.

A published file holds ``{'student': ..., 'teacher': ...}``. Student keys start with
``module.backbone.``, teacher keys with ``backbone.``; then follow the encoder (``transformer.*``),
the decoder, and, after ``head.``, the projection head. Every encoder or decoder key must map to one of ours,
and every one of ours must be filled: nothing is skipped in silence. Files that MyoPerf's own pre-training writes hold
our keys and, beside them, the configuration they were built for.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from myoperf.errors import InputError, MissingWeightsError
from myoperf.research.slice_transformer.mit import Grid, MiT, MiTConfig, MiTEncoder, interpolate_position

__all__ = [
    "load_mit",
    "load_mit_encoder",
    "map_mit_key",
    "map_mit_state",
    "read_checkpoint",
    "read_config",
    "resize_position",
    "write_checkpoint",
]

Resize = Literal["grid", "flat"]

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
    """Write ``owner.stage.`` before what is left of a key."""
    return f"{owner}.{int(match['stage']) - first}.{rest}"


def _map_stage_key(key: str, *, owner: str, first: int) -> str | None:
    """Map a key of an encoder (stages from 1) or decoder (stages from 0) stage; None when it is none."""
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
    """Turn one key of the authors' MiT (``transformer.block1.0.mlp.fc1.weight``) into ours.

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
        raise InputError(f"{key!r} is no key of an MiT checkpoint; expected the published UniMiSS layout.")
    return mapped


def map_mit_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn a student's or teacher's state into ours; keys of the projection head (``head.*``) are left out.

    Raises
    ------
    InputError
        When a key is none of an MiT, or two keys mean the same tensor.
    """
    if any(key.startswith("encoder.") for key in state):  # ours already
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


def resize_position(position: Tensor, source: Grid, target: Grid, *, rule: Resize = "grid") -> Tensor:
    """Fit a checkpoint's positions (1, 1 + N, C) to the grid a network is built for.

    ``"grid"`` interpolates along each axis and keeps the class token's. ``"flat"`` is what the authors'
    downstream code does: one linear interpolation along the flattened sequence, class token included, which
    mixes rows; it is here to repeat their results.
    """
    if source == target:
        return position
    if rule == "grid":
        return interpolate_position(position, source, target)
    count = 1 + int(np.prod(target))
    zoomed = ndimage.zoom(position[0].numpy(), (count / position.shape[1], 1), order=1)
    return torch.from_numpy(zoomed)[None]


def read_checkpoint(path: Path, which: Literal["student", "teacher"] = "student") -> dict[str, Tensor]:
    """Read the authors' keys and tensors of one half of a published file; no code in the file is run.

    Raises
    ------
    MissingWeightsError
        When the file is not there.
    InputError
        When it is no such checkpoint.
    """
    content = _content(Path(path))
    if not isinstance(content.get(which), dict):
        raise InputError(f"{path.name!r} holds no {which!r} weights; expected a dict with 'student' and 'teacher'.")
    return {str(key): value for key, value in content[which].items()}


def _content(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingWeightsError(f"No weights file {path.name!r}; give the path of a UniMiSS checkpoint (.pth).")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path.name!r} cannot be read as a PyTorch checkpoint of plain weights.") from error
    return content if isinstance(content, dict) else {}


def read_config(path: Path) -> MiTConfig | None:
    """Give what a file of MyoPerf's own pre-training was built for; None where the file does not say."""
    written = _content(Path(path)).get("config")
    return MiTConfig(**written) if isinstance(written, dict) else None


def write_checkpoint(path: Path, student: MiT, teacher: MiT) -> None:
    """Write both halves of a pre-training with their configuration, readable by `read_checkpoint`."""
    content = {"student": student.state_dict(), "teacher": teacher.state_dict(), "config": asdict(student.config)}
    torch.save(content, path)


def _fit(
    state: dict[str, Tensor], network: torch.nn.Module, *, published: MiTConfig, rule: Resize
) -> dict[str, Tensor]:
    """Check keys and shapes, resizing positions whose grid differs from the published one."""
    own = network.state_dict()
    if missing := sorted(own.keys() - state.keys()):
        raise InputError(f"The checkpoint lacks {len(missing)} of {len(own)} MiT tensors, first {missing[0]!r}.")
    if unknown := sorted(state.keys() - own.keys()):
        raise InputError(f"The checkpoint holds {len(unknown)} tensors this MiT has not, first {unknown[0]!r}.")
    grids = {
        f"{name}.position.{mode}": grid
        for name, module in network.named_modules()
        for mode, grid in getattr(module, "grids", {}).items()
    }
    fitted = {}
    for key, value in state.items():
        if not isinstance(value, Tensor) or value.is_floating_point() != own[key].is_floating_point():
            kind = str(value.dtype) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"{key!r} is of kind {kind}; a tensor like {own[key].dtype} was expected.")
        if not torch.isfinite(value).all():
            raise InputError(f"{key!r} holds NaN or infinite numbers; the checkpoint is damaged.")
        if key in grids and value.ndim == 3:
            mode = "2D" if key.endswith("2D") else "3D"
            stage = int(key.split(".")[-3])
            level = 2 - stage if key.startswith("decoder") else stage
            source = published.grid(mode, level)  # type: ignore[arg-type]
            if value.shape[1] != 1 + int(np.prod(source)):
                raise InputError(f"{key!r} has {value.shape[1]} positions; {1 + int(np.prod(source))} were expected.")
            value = resize_position(value.float(), source, grids[key], rule=rule)
        if value.shape != own[key].shape:
            raise InputError(f"{key!r} has shape {tuple(value.shape)}; this MiT needs {tuple(own[key].shape)}.")
        fitted[key] = value
    return fitted


def _selected(state: dict[str, Tensor], modes: tuple[str, ...]) -> dict[str, Tensor]:
    """Leave out the tensors of an input kind the network was not built for."""
    dropped = {"2D", "3D"} - set(modes)
    return {key: value for key, value in state.items() if not dropped & set(key.split("."))}


def load_mit(
    network: MiT, state: Mapping[str, Tensor], *, published: MiTConfig | None = None, rule: Resize = "grid"
) -> None:
    """Fill an MiT with a published student's or teacher's weights; see `read_checkpoint`.

    Parameters
    ----------
    network
        Filled in place. Its norm must be the checkpoint's: batch norm keeps running means, instance norm has none.
    state
        The authors' keys and tensors.
    published
        What the checkpoint was built for; default 224x224 pictures and 16x96x96 volumes.
    rule
        How positions are resized: see `resize_position`.

    Raises
    ------
    InputError
        When a key is unknown, missing or of another shape.
    """
    mapped = _selected(map_mit_state(state), network.config.modes)
    network.load_state_dict(_fit(mapped, network, published=published or MiTConfig(), rule=rule))


def load_mit_encoder(
    encoder: MiTEncoder, state: Mapping[str, Tensor], *, published: MiTConfig | None = None, rule: Resize = "grid"
) -> None:
    """Fill an encoder alone: the checkpoint's decoder is left out, the rest is as strict as in `load_mit`."""
    mapped = _selected(map_mit_state(state), encoder.config.modes)
    inner = {key.removeprefix("encoder."): value for key, value in mapped.items() if key.startswith("encoder.")}
    encoder.load_state_dict(_fit(inner, encoder, published=published or MiTConfig(), rule=rule))
