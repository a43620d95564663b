"""Two views of a picture or a volume for self-supervised training: crop, mirror, noise, blur, brightness, gamma.

Order, probabilities and strengths are those of the UniMiSS authors' code, which differ between the two views: pictures
are cropped to 14-100 % of their area, volumes in plane at 0.8-1.2 of the view's size out of one larger crop, and
mirrored along every axis with probability 0.8. Colour (saturation, hue, the random loss of colour) is left out: our
pictures are grey. On small grids and stacks of stress and rest, such views lose what distinguishes patients:
`ViewOptions` makes them weaker.
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
    noise
        Largest SD of the noise of a volume.
    shift
        SD of what is added to all of a volume.
    """

    picture_area: float = 0.14
    picture_mirror: float = 0.5
    volume_mirror: float = 0.8
    blur_px: float = 2.0
    noise: float = 0.1
    shift: float = 0.4


AUTHORS_VIEWS = ViewOptions()


def picture_views(
    picture: NDArray[Any], side: int, rng: np.random.Generator, *, options: ViewOptions = AUTHORS_VIEWS
) -> tuple[Float, Float]:
    """Return two random views, each (3, side, side), of a grey (rows, columns) picture with values from 0 to 1.

    The second is always blurred, the first half of the time.
    """
    return tuple(_picture_view(picture, side, rng, options, blurred) for blurred in (0.5, 1.0))  # type: ignore[return-value]


def _picture_view(
    picture: NDArray[Any], side: int, rng: np.random.Generator, options: ViewOptions, blurred: float
) -> Float:
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
    if rng.random() < blurred:
        view = ndimage.gaussian_filter(view, rng.uniform(0.1, options.blur_px))
    return np.ascontiguousarray(np.broadcast_to(view, (3, side, side)), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class _Strength:
    """Probabilities that differ between the two views of a volume, as in the authors' code."""

    blur: float
    brightness: float
    shift: float
    gamma: float


_STRENGTHS = (
    _Strength(blur=0.64, brightness=0.8, shift=0.64, gamma=0.8),
    _Strength(blur=0.4, brightness=1.0, shift=0.4, gamma=1.0),
)


def volume_views(
    volume: NDArray[Any], shape: tuple[int, int, int], rng: np.random.Generator, *, options: ViewOptions = AUTHORS_VIEWS
) -> tuple[Float, Float]:
    """Return two random views, each (1, *shape), of a (planes, rows, columns) volume with values from 0 to 1.

    Both are crops of one larger crop, 1.4 to 1.8 times the view's rows and columns where the volume is larger.
    """
    outer = _crop(volume, (volume.shape[0], *shape[1:]), rng, (1.4, 1.8))
    return tuple(_volume_view(outer, shape, rng, options, each) for each in _STRENGTHS)  # type: ignore[return-value]


def _crop(
    volume: NDArray[Any], shape: tuple[int, int, int], rng: np.random.Generator, factors: tuple[float, float]
) -> NDArray[Any]:
    """Cut rows and columns at random factors of a shape; where a volume is no larger than that, at the shape itself."""
    take = [min(shape[0], volume.shape[0])]
    for wanted, have in zip(shape[1:], volume.shape[1:], strict=True):
        scaled = int(wanted * rng.uniform(*factors))
        take.append(min(scaled if scaled < have else wanted, have))
    start = [int(rng.integers(0, have - part + 1)) for have, part in zip(volume.shape, take, strict=True)]
    return volume[tuple(slice(first, first + part) for first, part in zip(start, take, strict=True))]


def _volume_view(
    volume: NDArray[Any],
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    options: ViewOptions,
    strength: _Strength,
) -> Float:
    view = _crop(volume, shape, rng, (0.8, 1.2))
    for axis in range(3):
        if rng.random() < options.volume_mirror:
            view = np.flip(view, axis)
    view = resize_stack(view, shape)
    view = view + rng.normal(0.0, rng.uniform(0.0, options.noise), view.shape)
    if rng.random() < strength.blur:
        view = ndimage.gaussian_filter(view, rng.uniform(0.1, options.blur_px))
    if rng.random() < strength.brightness:
        view = view * rng.uniform(0.75, 1.25)
    if rng.random() < strength.shift:
        view = view + rng.normal(0.0, options.shift)
    low, high, mean = float(view.min()), float(view.max()), float(view.mean())
    view = np.clip(mean + rng.uniform(0.75, 1.25) * (view - mean), low, high)  # contrast, within the view's range
    if rng.random() < strength.gamma:
        view = _gamma(view, rng.uniform(0.7, 1.5))
    return np.ascontiguousarray(view[None], dtype=np.float32)


def _gamma(view: NDArray[Any], power: float) -> NDArray[Any]:
    """Raise the values, brought to 0 to 1, to a power; mean and SD stay."""
    low, high, mean, spread = float(view.min()), float(view.max()), float(view.mean()), float(view.std())
    changed = ((view - low) / max(high - low, 1e-7)) ** power
    restored: NDArray[Any] = mean + spread * (changed - changed.mean()) / max(float(changed.std()), 1e-7)
    return restored


def _brightness(view: NDArray[Any], rng: np.random.Generator, amount: float) -> NDArray[Any]:
    """Scale the values and their distance from the mean."""
    mean = float(view.mean())
    return mean + rng.uniform(1 - amount, 1 + amount) * (view * rng.uniform(1 - amount, 1 + amount) - mean)
