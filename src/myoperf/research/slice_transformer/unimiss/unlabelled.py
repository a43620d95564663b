"""Volumes and pictures of any folder, as pre-training without labels takes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from myoperf.errors import InputError, MyoPerfError
from myoperf.io import read_studies
from myoperf.lv import find_lv
from myoperf.research.slice_stacks import resize_stack, stacks_from_volumes
from myoperf.types import Volume

__all__ = ["Unlabelled", "read_unlabelled"]

_PICTURES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """What a folder gave.

    Attributes
    ----------
    volumes
        (planes, rows, columns), 0 to 1: three views of every reconstructed study in which a ventricle was found.
    pictures
        (rows, columns), 0 to 1.
    failed
        Files or scans that gave nothing.
    """

    volumes: tuple[NDArray[np.float32], ...]
    pictures: tuple[NDArray[np.float32], ...]
    failed: int


def read_unlabelled(folder: Path, shape: tuple[int, int, int]) -> Unlabelled:
    """Read all pictures, and the reconstructed volumes of all studies, of a folder.

    Parameters
    ----------
    shape
        (planes, rows, columns) of the volumes; pictures are fitted to its rows and columns.

    Raises
    ------
    InputError
        When nothing can be read.
    """
    pictures, volumes, failed = [], [], 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in _PICTURES):
        try:
            pictures.append(_picture(path, shape))
        except OSError:
            failed += 1
    for scan in _scans(folder):
        try:
            volumes.extend(_stacks(scan, shape))
        except MyoPerfError:
            failed += 1
    if not pictures and not volumes:
        raise InputError("The folder of --data holds no picture and no volume that could be read.")
    return Unlabelled(tuple(volumes), tuple(pictures), failed)


def _scans(folder: Path) -> list[Any]:
    try:
        found = read_studies([folder])
    except MyoPerfError:
        return []
    return [scan for study in found.studies for scan in study.scans]


def _stacks(scan: Any, shape: tuple[int, int, int]) -> list[NDArray[np.float32]]:
    """Cut the three views of one reconstructed scan at the ventricle that is found in it."""
    if not isinstance(scan.image, Volume):
        raise InputError("Pre-training reads reconstructed volumes; reconstruct raw projections first.")
    fit = find_lv(scan.image)
    stacks = stacks_from_volumes({"stress": (scan.image, fit.frame, fit.labels)}, shape=shape)
    return list(stacks.array())


def _picture(path: Path, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    with Image.open(path) as image:
        grey = np.asarray(image.convert("L"), dtype=np.float32) / 255.0
    return np.asarray(resize_stack(grey[None], (1, *shape[1:]))[0])
