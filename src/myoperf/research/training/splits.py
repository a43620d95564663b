"""Deal patients to parts."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myoperf.errors import InputError


def split_rows(
    labels: ArrayLike, *shares: float, rng: np.random.Generator, rounding: Callable[[float], int] = math.ceil
) -> tuple[NDArray[np.intp], ...]:
    """Deal rows to parts at random, each class (0 and 1) in the same proportion.

    Where a patient has several rows, split the patients and look their rows up.

    Parameters
    ----------
    labels
        (rows,) 0 or 1.
    shares
        Of each class that every part but the first gets; at least one row each.
    rounding
        Makes a whole number of a share of a class.

    Returns
    -------
    The rows of the first part, which gets what the shares leave, then of one part a share; each sorted.

    Raises
    ------
    InputError
        When a class has fewer rows than there are parts.
    """
    classes, parts = np.asarray(labels), len(shares) + 1
    dealt: list[list[NDArray[np.intp]]] = []
    for label in (0, 1):
        members = rng.permutation(np.flatnonzero(classes == label))
        if len(members) < parts:
            raise InputError(
                f"A split into {parts} parts needs {parts} rows or more a class; class {label} has {len(members)}."
            )
        counts = [max(1, rounding(share * len(members))) for share in shares]
        *held, rest = np.split(members, np.cumsum(counts))
        dealt.append([rest, *held])
    return tuple(np.sort(np.concatenate(both)) for both in zip(*dealt, strict=True))


def given_split(splits: Sequence[str]) -> dict[str, NDArray[np.intp]] | None:
    """Return the patients (rows) of each part of the split that a table gives, or None where it gives none.

    Raises
    ------
    InputError
        When only some patients have a part, or nobody is in train or test.
    """
    if not any(splits):
        return None
    parts = {part: np.flatnonzero(np.asarray(splits) == part) for part in ("train", "validation", "test")}
    known = sum(len(rows) for rows in parts.values())
    if known < len(splits) or not len(parts["train"]) or not len(parts["test"]):
        counts = ", ".join(f"{part} {len(rows)}" for part, rows in parts.items())
        raise InputError(
            f"The column split needs a part for every patient, and patients in train and test; got {counts} of "
            f"{len(splits)} patients."
        )
    return {part: rows for part, rows in parts.items() if len(rows)}
