"""Volumes disturbed on purpose, so that a network fails: what its warning of doubt is tested on."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.geometry import index_from_lps, transform_points
from myoperf.research.lv_network.cases import Case

Image = NDArray[np.float32]


def _noise(case: Case, image: Image, rng: np.random.Generator) -> Image:
    """Add noise as from a sixteenth to a hundredth of the counts."""
    level = _wall_level(case)
    grain = ndimage.gaussian_filter(rng.standard_normal(image.shape), 6.0 / case.image.spacing_mm)
    added = rng.uniform(0.25, 0.6) * level * np.sqrt(np.maximum(image, 0) / level) * grain / grain.std()
    return np.asarray(image + added, dtype=np.float32)


def _cut(case: Case, image: Image, rng: np.random.Generator) -> Image:
    """End the field of view within the ventricle."""
    axis = int(rng.integers(3))
    places = np.unique(np.nonzero(case.labels.array[0] > 0)[axis])
    edge = int(np.quantile(places, rng.uniform(0.3, 0.7)))
    gone = [slice(None)] * 3
    gone[axis] = slice(edge, None) if rng.random() < 0.5 else slice(None, edge)
    image[tuple(gone)] = 0.0
    return image


def _gut(case: Case, image: Image, rng: np.random.Generator) -> Image:
    """Place a spot up to five times as hot as the wall next to the inferior wall."""
    frame, level = case.frame, _wall_level(case)
    spot = frame.centre_mm - (0.35 * frame.length_mm + rng.uniform(5, 15)) * np.asarray(frame.anterior)
    return image + level * rng.uniform(1.5, 5.0) * _blob(case, spot, float(rng.uniform(8, 16)))


def _wipe(case: Case, image: Image, rng: np.random.Generator) -> Image:
    """Replace the ventricle by its surroundings, so that no method can be right."""
    heart = case.labels.array[0] > 0
    near = ndimage.binary_dilation(heart, iterations=max(1, round(12.0 / float(case.image.spacing_mm.mean()))))
    ring = ndimage.binary_dilation(near, iterations=2) & ~near
    image[near] = rng.permutation(np.resize(image[ring], int(near.sum())))
    return image


def _defect(case: Case, image: Image, rng: np.random.Generator) -> Image:
    """Take the uptake away from up to three quarters of the wall."""
    wall = case.labels.array[0] == 1
    direction = rng.standard_normal(3)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in case.image.grid_shape), indexing="ij"), -1)
    offset = transform_points(case.image.lps_from_index, index) - case.frame.centre_mm
    side = offset @ (direction / np.linalg.norm(direction))
    gone = wall & (side > np.quantile(side[wall], rng.uniform(0.25, 0.6)))
    weight = ndimage.gaussian_filter(gone.astype(np.float32), 6.0 / case.image.spacing_mm)
    return np.asarray(image * (1 - 0.9 * np.clip(1.5 * weight, 0, 1)), dtype=np.float32)


def _blur(case: Case, image: Image, rng: np.random.Generator) -> Image:
    """Blur by 12 to 20 mm more (SD)."""
    return np.asarray(ndimage.gaussian_filter(image, rng.uniform(12.0, 20.0) / case.image.spacing_mm))


DISTURBANCES: Mapping[str, Callable[[Case, Image, np.random.Generator], Image]] = MappingProxyType(
    {"noise": _noise, "cut": _cut, "gut": _gut, "wiped": _wipe, "defect": _defect, "blurred": _blur}
)


def disturb_case(case: Case, rng: np.random.Generator, how: str) -> Case:
    """Disturb a volume; the truth stays.

    Parameters
    ----------
    how
        One of `DISTURBANCES`.
    """
    if how not in DISTURBANCES:
        raise ValueError(f"A disturbance of {', '.join(DISTURBANCES)} was expected; got {how!r}.")
    image = DISTURBANCES[how](case, np.array(case.image.array[0], dtype=np.float32), rng)
    disturbed = case.image.with_array(np.maximum(image, 0).astype(np.float32))
    return replace(case, name=f"{case.name}, {how}", image=disturbed)


def _wall_level(case: Case) -> float:
    """Return the counts of the well perfused wall: the 90th percentile."""
    return float(np.percentile(np.asarray(case.image.array[0], dtype=np.float32)[case.labels.array[0] == 1], 90))


def _blob(case: Case, centre_mm: NDArray[Any], sd_mm: float) -> Image:
    centre = transform_points(index_from_lps(case.image.lps_from_index), centre_mm)
    grids = np.ogrid[tuple(slice(0, n) for n in case.image.grid_shape)]
    squared = sum(((g - p) * s) ** 2 for g, p, s in zip(grids, centre, case.image.spacing_mm, strict=True))
    return np.asarray(np.exp(-0.5 * squared / sd_mm**2), dtype=np.float32)
