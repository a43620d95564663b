"""One polar map as a disc of counts, from whatever file a table names: a picture, a NumPy map or MyoPerf's results."""

import json
import zipfile
from pathlib import Path

import numpy as np

from myoperf.errors import InputError
from myoperf.geometry.disc import disc_image
from myoperf.research.screenshots.colour_scales import Anchors
from myoperf.research.screenshots.pictures import SUFFIXES
from myoperf.research.screenshots.screens import read_screen
from myoperf.types import Float, Float32, State

MAP_SUFFIXES = (".npy", ".npz", ".json")
"""NumPy arrays (rings, angles), ``NAME_polar.npz`` and ``results.json`` as ``myoperf analyze`` writes them."""
_LEAST = 0.05  # of the largest value: filtered backprojection may leave so much below zero


def read_polar_disc(path: Path, *, size: int, state: State, place: int = 1, scale: Anchors | None = None) -> Float32:
    """Return a polar map as a disc (size, size), by its own maximum, 0 outside.

    Parameters
    ----------
    path
        A picture with a polar map; a NumPy array (rings, angles), ring 0 at the apex, angle 0 anterior, rising through
        the septum; ``NAME_polar.npz``; or ``results.json`` with the polar files beside it.
    state
        Which scan of ``results.json``.
    place
        Which polar map of a picture, in reading order from 1.
    scale
        Colours of a picture, where they are not recognised.

    Raises
    ------
    InputError
        When the file holds no such map.
    """
    if path.suffix.lower() in SUFFIXES:
        maps = read_screen(path, size=size, scale=scale)
        if place > len(maps):
            raise InputError(f"The page has no polar map {place}; it shows {len(maps)}.")
        return maps[place - 1].disc
    file = _scan_file(path, state) if path.suffix.lower() == ".json" else path
    values = _read_map(file)
    return np.nan_to_num(disc_image(values / values.max(), size)).astype(np.float32)


def _scan_file(results: Path, state: State) -> Path:
    """Return the polar file of a state's scored scan, beside ``results.json``."""
    try:
        content = json.loads(results.read_text(encoding="utf-8"))
        names = [scan["name"] for scan in content["scans"] if scan["state"] == state]
        scored = (content["scores"] or {}).get("scans") or {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{results.name} is not a result of myoperf analyze ({type(error).__name__}).") from error
    if not names:
        raise InputError(f"{results.name} has no scan of state {state}.")
    name = scored.get(state) if isinstance(scored, dict) else None
    file = results.with_name(f"{name if name in names else names[0]}_polar.npz")
    if not file.is_file():
        raise InputError(f"{file.name} must stand beside {results.name}; analyze with --formats json,polar.")
    return file


def _read_map(path: Path) -> Float:
    """Read an array (rings, angles) of values of which the largest is above 0."""
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            values = stored["maximum"] if isinstance(stored, np.lib.npyio.NpzFile) else stored
            array = np.asarray(values, dtype=np.float64)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path.name} cannot be read as a polar map ({type(error).__name__}); expected a picture, a NumPy array "
            "(rings, angles) or NAME_polar.npz."
        ) from error
    if array.ndim != 2 or min(array.shape) < 4 or not np.isfinite(array).all() or array.max() <= 0:
        raise InputError(
            f"{path.name} is not a polar map: expected finite values (rings, angles), at least 4 of each, above 0; "
            f"got shape {array.shape}."
        )
    if array.min() < -_LEAST * array.max():
        raise InputError(
            f"{path.name} holds values below zero, as a difference or a score has; expected counts or percent of them."
        )
    return np.maximum(array, 0.0)
