"""Weights of networks with the card that says what they are: checked before they are used."""

import hashlib
import json
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from myoperf.errors import InputError, MissingWeightsError

REQUIRED = ("name", "version", "sha256", "licence")
"""What every card states."""


def read_weights(folder: Path | Traversable, file: str) -> tuple[bytes, Mapping[str, Any]]:
    """Return a file of weights and its ``card.json``, after comparing the file with the SHA-256 on the card.

    Raises
    ------
    MissingWeightsError
        When the folder lacks the file or the card.
    InputError
        When the card is damaged or incomplete, or the file is not the one it describes.
    """
    try:
        data = folder.joinpath(file).read_bytes()
        text = folder.joinpath("card.json").read_bytes()
    except OSError:
        raise MissingWeightsError(
            f"Weights {folder.name!r} are not installed; {file} and card.json were expected. Install MyoPerf again."
        ) from None
    card = _checked_card(text, folder.name)
    digest = hashlib.sha256(data).hexdigest()
    if digest != card["sha256"]:
        raise InputError(
            f"The weights {folder.name!r} are not those of their card (SHA-256 {digest[:12]}..., expected "
            f"{str(card['sha256'])[:12]}...); install both together."
        )
    return data, card


def read_card(folder: Path | Traversable) -> Mapping[str, Any]:
    """Return the ``card.json`` of a folder of weights, without reading the weights.

    Raises
    ------
    InputError
        When the card is missing, damaged or incomplete.
    """
    try:
        return _checked_card(folder.joinpath("card.json").read_bytes(), folder.name)
    except OSError:
        raise InputError(f"The weights {folder.name!r} have no card.json; install both together.") from None


def _checked_card(text: bytes, name: str) -> Mapping[str, Any]:
    """Return what a card holds; raise where it lacks what every card states."""
    try:
        card = json.loads(text)
    except (ValueError, RecursionError):
        card = None
    missing = [key for key in REQUIRED if not isinstance(card, dict) or not card.get(key)]
    if missing:
        raise InputError(f"The card of the weights {name!r} lacks {', '.join(missing)}; install both together.")
    return dict(card)
