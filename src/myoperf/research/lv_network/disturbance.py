"""Volumes spoilt on purpose, so that a network fails: what its doubt is measured on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.geometry import index_from_lps, transform_points
from myoperf.research.lv_network.cases import Case

__all__ = ["DISTURBANCES", "disturb_case"]

DISTURBANCES = ("noise", "cut", "gut", "wiped", "defect", "blurred")


def disturb_case(case: Case, rng: np.random.Generator, how: str) -> Case:
    """Spoil a volume; the truth stays.

    Parameters
    ----------
    how
        "noise": as from a sixteenth to a hundredth of the counts. "cut": the field ends within the
        ventricle. "gut": a spot up to five times as hot as the wall touches the inferior wall. "wiped": the
        ventricle is replaced by its surroundings (no method can be right there). "defect": up to three quarters of
        the wall take up nothing. "blurred": by 12 to 20 mm more (SD).
    """
    image = np.array(case.image.array[0], dtype=np.float32)
    labels = case.labels.array[0]
    wall, heart = labels == 1, labels > 0
    level = float(np.percentile(image[wall], 90))
    spacing = case.image.spacing_mm
    if how == "noise":
        grain = ndimage.gaussian_filter(rng.standard_normal(image.shape), 6.0 / spacing)
        image = image + rng.uniform(0.25, 0.6) * level * np.sqrt(np.maximum(image, 0) / level) * grain / grain.std()
    elif how == "cut":
        axis = int(rng.integers(3))
        places = np.unique(np.nonzero(heart)[axis])
        edge = int(np.quantile(places, rng.uniform(0.3, 0.7)))
        keep = [slice(None)] * 3
        keep[axis] = slice(edge, None) if rng.random() < 0.5 else slice(None, edge)
        image[tuple(keep)] = 0.0
    elif how == "gut":
        frame = case.frame
        spot = frame.centre_mm - (0.35 * frame.length_mm + rng.uniform(5, 15)) * np.asarray(frame.anterior)
        image = image + level * rng.uniform(1.5, 5.0) * _blob(case, spot, float(rng.uniform(8, 16)))
    elif how == "wiped":
        near = ndimage.binary_dilation(heart, iterations=max(1, round(12.0 / float(spacing.mean()))))
        ring = ndimage.binary_dilation(near, iterations=2) & ~near
        fill = rng.permutation(np.resize(image[ring], int(near.sum())))
        image[near] = fill
    elif how == "defect":
        turn = rng.standard_normal(3)
        side = (_places(case) - case.frame.centre_mm) @ (turn / np.linalg.norm(turn))
        gone = wall & (side > np.quantile(side[wall], rng.uniform(0.25, 0.6)))
        weight = ndimage.gaussian_filter(gone.astype(np.float32), 6.0 / spacing)
        image = image * (1 - 0.9 * np.clip(1.5 * weight, 0, 1))
    elif how == "blurred":
        image = ndimage.gaussian_filter(image, rng.uniform(12.0, 20.0) / spacing)
    else:
        raise ValueError(f"A disturbance of {', '.join(DISTURBANCES)} was expected; got {how!r}.")
    return replace(
        case, name=f"{case.name}, {how}", image=case.image.with_array(np.maximum(image, 0).astype(np.float32))
    )


def _places(case: Case) -> NDArray[Any]:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in case.image.grid_shape), indexing="ij"), -1)
    return np.asarray(transform_points(case.image.lps_from_index, index))


def _blob(case: Case, centre_mm: NDArray[Any], sd_mm: float) -> NDArray[np.float32]:
    place = transform_points(index_from_lps(case.image.lps_from_index), centre_mm)
    grids = np.ogrid[tuple(slice(0, n) for n in case.image.grid_shape)]
    squared = sum(((g - p) * s) ** 2 for g, p, s in zip(grids, place, case.image.spacing_mm, strict=True))
    return np.asarray(np.exp(-0.5 * squared / sd_mm**2), dtype=np.float32)
