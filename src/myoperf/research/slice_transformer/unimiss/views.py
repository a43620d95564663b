"""Two views of a picture or a volume for self-supervised training: crop, mirror, noise, blur, brightness, gamma.

Order, probabilities and strengths are those of the UniMiSS authors' code, which differ between the two views: pictures
are cropped to 14-100 % of their area, volumes in plane at 0.8-1.2 of the view's size out of one larger crop, and
mirrored along every axis with probability 0.8. Their transforms take the planes of a volume for channels, so that each
plane has a blur, brightness, shift, contrast and gamma of its own. Two things differ: colour (saturation, hue, the
random loss of colour) is left out, as our pictures are grey, and pictures are resized linearly instead of bicubically.
On small grids and stacks of stress and rest, such views lose what distinguishes patients: `ViewOptions` makes them
weaker.
"""

from collections.abc import Callable
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
        SD of what is added to a volume, or to each of its planes.
    planewise
        Whether intensities change in each plane of a volume on its own, or in the whole volume alike.
    """

    picture_area: float = 0.14
    picture_mirror: float = 0.5
    volume_mirror: float = 0.8
    blur_px: float = 2.0
    noise: float = 0.1
    shift: float = 0.4
    planewise: bool = True


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
        view = _jitter(view, rng, 0.4)
    if rng.random() < blurred:
        view = ndimage.gaussian_filter(view, rng.uniform(0.1, options.blur_px))
    return np.ascontiguousarray(np.broadcast_to(view, (3, side, side)), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class _Strength:
    """Probabilities that differ between the two views of a volume, as in the authors' code.

    `brightness`, `shift` and `gamma` are those of changing a view at all; of a view that is blurred, `blurred_planes`
    is the share of its planes.
    """

    blurred_planes: float
    brightness: float
    shift: float
    gamma: float


_STRENGTHS = (
    _Strength(blurred_planes=0.8, brightness=0.8, shift=0.8, gamma=0.8),
    _Strength(blurred_planes=0.5, brightness=1.0, shift=0.5, gamma=1.0),
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
    parts = view if options.planewise else view[None]

    def change(of_views: float, of_parts: float, changed: Callable[[Float], Float]) -> None:
        if rng.random() < of_views:
            for part in parts:
                if rng.random() < of_parts:
                    part[...] = changed(part)

    change(0.8, strength.blurred_planes, lambda p: ndimage.gaussian_filter(p, rng.uniform(0.1, options.blur_px)))
    change(strength.brightness, 1.0, lambda p: p * rng.uniform(0.75, 1.25))
    change(strength.shift, 0.8, lambda p: p + rng.normal(0.0, options.shift))
    change(1.0, 1.0, lambda p: _contrast(p, draw_about_one(rng, 0.75, 1.25)))
    change(strength.gamma, 1.0, lambda p: _gamma(p, draw_about_one(rng, 0.7, 1.5)))
    return np.ascontiguousarray(view[None], dtype=np.float32)


def draw_about_one(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a factor that is below 1 half of the time, uniform on either side."""
    return float(rng.uniform(low, 1.0) if rng.random() < 0.5 else rng.uniform(1.0, high))


def _contrast(view: Float, factor: float) -> Float:
    """Scale the distance of the values from their mean, within the range that they have."""
    mean = float(view.mean())
    changed: Float = np.clip(mean + factor * (view - mean), float(view.min()), float(view.max()))
    return changed


def _gamma(view: Float, power: float) -> Float:
    """Raise the values, brought to 0 to 1, to a power; mean and SD stay."""
    low, high, mean, spread = float(view.min()), float(view.max()), float(view.mean()), float(view.std())
    changed = ((view - low) / max(high - low, 1e-7)) ** power
    restored: Float = mean + spread * (changed - changed.mean()) / max(float(changed.std()), 1e-7)
    return restored


def _jitter(picture: NDArray[Any], rng: np.random.Generator, amount: float) -> NDArray[Any]:
    """Scale the values and their distance from the mean, clipped to 0 to 1 as the authors' pictures of 8 bits are."""
    brightness, contrast = rng.uniform(1 - amount, 1 + amount, 2)
    mean = float(picture.mean())
    changed: NDArray[Any] = np.clip(brightness * (mean + contrast * (picture - mean)), 0.0, 1.0)
    return changed
