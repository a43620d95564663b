"""Weights, models with their cards, and checkpoints to resume from, as files that are whole or absent."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save_file
from torch import Tensor, nn

from myoperf.cards import read_weights
from myoperf.errors import InputError, MissingWeightsError
from myoperf.pipeline.jobs import write_whole
from myoperf.research.training.epochs import HasWeights

FORMAT = "myoperf.model/1"
"""Version of the folder that `save_model` writes, in its card."""


class StateDict(Protocol):
    """A module, an optimiser, a scheduler, or what behaves like one."""

    def state_dict(self) -> Any:
        """Return the state."""

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Take a state."""


HasState = StateDict | np.random.Generator


def save_weights(path: Path, weights: nn.Module | Mapping[str, Tensor]) -> None:
    """Write a network's weights, or tensors by name, as safetensors: whole or not at all."""
    tensors = weights.state_dict() if isinstance(weights, nn.Module) else weights
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(path) as part:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, part)


def load_weights(path: Path, network: nn.Module) -> None:
    """Read weights of `save_weights` into a network of the same structure, in place.

    Raises
    ------
    RuntimeError
        If a name or a shape differs, or one is left over: PyTorch's own message.
    """
    network.load_state_dict(load_file(path), strict=True)


def save_model(
    folder: Path,
    weights: nn.Module | Mapping[str, Tensor],
    card: Mapping[str, Any],
    *,
    name: str = "model.safetensors",
) -> dict[str, Any]:
    """Write a trained model as a folder of weights and ``card.json``; return the card with hash and size of the file.

    Parameters
    ----------
    card
        What the model is, what it learned from, and how well it does.
    name
        Of the file of weights.
    """
    file = folder / name
    save_weights(file, weights)
    full = {
        "format": FORMAT,
        **card,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size,
    }
    with write_whole(folder / "card.json") as part:
        part.write_text(json.dumps(full, indent=1) + "\n", encoding="utf-8")
    return full


def read_model(folder: Path, *names: str, needs: Sequence[str] = ()) -> tuple[bytes, Mapping[str, Any]]:
    """Return the weights and the card of a folder that `save_model` wrote.

    Parameters
    ----------
    names
        Of the models that are expected; none: any.
    needs
        Entries of the card from which the network is built.

    Raises
    ------
    MissingWeightsError, InputError
        When the folder is no such model, has another format version, or its weights are not those of its card.
    """
    try:
        data, card = read_weights(folder, "model.safetensors")
    except MissingWeightsError as error:
        raise MissingWeightsError(
            f"{folder.name} is not a trained model: expected a folder with model.safetensors and card.json, as "
            "myoperf train writes."
        ) from error
    if card.get("format") != FORMAT or (names and card["name"] not in names):
        raise InputError(
            f"{folder.name} is not a model that can be used here: expected a card of format {FORMAT} and name "
            f"{' or '.join(names) or 'of a paper'}; got {card.get('format')} and {card['name']}."
        )
    lacking = [name for name in needs if name not in card]
    if lacking:
        raise InputError(f"The card of {folder.name} lacks {lacking[0]}; train the model again.")
    return data, card


def load_tensors(folder: Path, data: bytes, modules: Mapping[str, HasWeights]) -> None:
    """Read the weights of `read_model` into modules, in place and strictly.

    Parameters
    ----------
    folder
        Of the model, for the message.
    modules
        By the beginning of their tensors' names, such as ``head.``; a single module has the empty one.

    Raises
    ------
    InputError
        When a tensor is missing, left over or of another shape: the network is not the one that was saved.
    """
    try:
        tensors = load(data)
        strange = [name for name in tensors if not name.startswith(tuple(modules))]
        if strange:
            raise RuntimeError(f"{strange[0]} is left over")
        for start, module in modules.items():
            own = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
            module.load_state_dict(own, strict=True)
    except (RuntimeError, SafetensorError) as error:
        raise InputError(f"The weights of {folder.name} are not of the network on its card; train it again.") from error


def save_checkpoint(
    path: Path,
    parts: Mapping[str, HasState],
    *,
    settings: Mapping[str, Any] | None = None,
    **values: object,
) -> None:
    """Write the state of a training, so that it can resume as if it had not stopped.

    Parameters
    ----------
    parts
        Modules, optimisers, schedulers and NumPy generators by name.
    settings
        What must be equal where the training resumes, as JSON can hold it.
    values
        Numbers, text, tensors and lists and dicts of them.
    """
    states = {
        name: json.dumps(part.bit_generator.state) if isinstance(part, np.random.Generator) else part.state_dict()
        for name, part in parts.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(path) as file:
        torch.save({"settings": json.dumps(settings), **states, **values}, file)


def resume_checkpoint(
    path: Path | None,
    parts: Mapping[str, HasState],
    *,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Read a state that `save_checkpoint` wrote into the same parts, strictly, if there is one.

    Returns
    -------
    The values saved with it; empty where a training begins, because no path is given or the file does not exist.

    Raises
    ------
    InputError
        When the checkpoint was written with other settings, or is damaged.
    """
    if path is None or not path.exists():
        return {}
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True)
        before = json.loads(content.pop("settings"))
    except (OSError, EOFError, RuntimeError, UnpicklingError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path.name} is not the state of a training ({type(error).__name__}); remove it to start again."
        ) from error
    if before != json.loads(json.dumps(settings)):
        raise InputError(f"{path.name} is the state of a training with other settings; choose another folder.")
    for name, part in parts.items():
        state = content.pop(name)
        if isinstance(part, np.random.Generator):
            part.bit_generator.state = json.loads(state)
        else:
            part.load_state_dict(state)
    return content
