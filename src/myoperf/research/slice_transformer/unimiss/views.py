"""Two views of a picture or a volume for self-supervised training: crop, mirror, noise, blur, brightness, gamma.

Strengths follow the UniMiSS authors' recipe: pictures are cropped to 14-100 % of their area, volumes are cropped in
plane at 0.8-1.2 of the view's size and mirrored along every axis with probability 0.8. On small grids and stacks of
stress and rest, such views lose what distinguishes patients: `ViewOptions` makes them weaker.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.research.slice_stacks import resize_stack
from myoperf.types import Float


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """How much a view may differ from its image; the defaults are the authors'.

    Parameters
    ----------
    picture_area
        Smallest share of a picture's area that a crop keeps.
    picture_mirror, volume_mirror
        Probability of mirroring the columns of a picture, and each axis of a volume (mirrored planes exchange stress
        and rest).
    blur_px
        Largest SD of the Gaussian blur.
    """

    picture_area: float = 0.14
    picture_mirror: float = 0.5
    volume_mirror: float = 0.8
    blur_px: float = 2.0


AUTHORS_VIEWS = ViewOptions()


def picture_view(
    picture: NDArray[Any], side: int, rng: np.random.Generator, *, options: ViewOptions = AUTHORS_VIEWS
) -> Float:
    """Return one random view, (3, side, side), of a grey (rows, columns) picture with values from 0 to 1."""
    rows, columns = picture.shape
    area = rng.uniform(options.picture_area, 1.0) * rows * columns
    ratio = float(np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3))))
    height = int(np.clip(round(np.sqrt(area / ratio)), 8, rows))
    width = int(np.clip(round(np.sqrt(area * ratio)), 8, columns))
    top, left = rng.integers(0, rows - height + 1), rng.integers(0, columns - width + 1)
    view = resize_stack(picture[top : top + height, left : left + width], (side, side))
    if rng.random() < options.picture_mirror:
        view = view[:, ::-1]
    if rng.random() < 0.8:
        view = _brightness(view, rng, 0.4)
    if rng.random() < 0.75:
        view = ndimage.gaussian_filter(view, rng.uniform(0.1, options.blur_px))
    return np.ascontiguousarray(np.broadcast_to(view, (3, side, side)), dtype=np.float32)


def volume_view(
    volume: NDArray[Any], shape: tuple[int, int, int], rng: np.random.Generator, *, options: ViewOptions = AUTHORS_VIEWS
) -> Float:
    """Return one random view, (1, *shape), of a (planes, rows, columns) volume with values from 0 to 1."""
    factors = (1.0, *rng.uniform(0.8, 1.2, 2))
    take = [int(min(round(f * n), have)) for f, n, have in zip(factors, shape, volume.shape, strict=True)]
    start = [int(rng.integers(0, have - part + 1)) for have, part in zip(volume.shape, take, strict=True)]
    view = volume[tuple(slice(first, first + part) for first, part in zip(start, take, strict=True))]
    for axis in range(3):
        if rng.random() < options.volume_mirror:
            view = np.flip(view, axis)
    view = resize_stack(view, shape)
    if rng.random() < 0.1:
        view = view + rng.normal(0.0, rng.uniform(0.0, 0.1), view.shape)
    if rng.random() < 0.64:
        view = ndimage.gaussian_filter(view, (0.0, *(rng.uniform(0.1, options.blur_px, 2))))
    if rng.random() < 0.8:
        view = _brightness(view, rng, 0.25)
    if rng.random() < 0.8:
        view = np.clip(view, 0.0, None) ** rng.uniform(0.7, 1.5)
    return np.ascontiguousarray(view[None], dtype=np.float32)


def _brightness(view: NDArray[Any], rng: np.random.Generator, amount: float) -> NDArray[Any]:
    """Scale the values and their distance from the mean."""
    mean = float(view.mean())
    return mean + rng.uniform(1 - amount, 1 + amount) * (view * rng.uniform(1 - amount, 1 + amount) - mean)
