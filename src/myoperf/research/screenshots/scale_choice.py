"""Choose the colour scale that a picture is painted in, or refuse: a picture is never read upside down.

A scale explains a picture when few of its colours lie off the scale. Two scales may share colours but give them
opposite values (grey and inverted grey; blue to red and red to blue): where both explain the picture, only what is
known of the contents, such as a dark background of slices, can decide, and where that does not, the picture is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import UnsupportedInputError
from myoperf.research.screenshots.colour_bars import read_colour_bar
from myoperf.research.screenshots.colour_scales import SCALES, Anchors, intensity_of
from myoperf.types import Float32

ADVICE = "give the workstation's scale (--colour-scale NAME or FILE)"
_COMPARED = 20_000
_OFF = 45.0
"""Distance from the scale, of 441, from which a colour does not belong to it."""
_COUNTED = 100.0
_AS_GOOD = (1.6, 3.0)
"""A scale explains a picture as well as the nearest one up to this many times its mean distance, or this much more."""
_AGREE = 0.95
"""Correlation of two readings from which they are one."""


@dataclass(frozen=True, eq=False)
class ScaleFit:
    """How well a scale fits the colours of a picture.

    Attributes
    ----------
    mean
        Mean of the pixels' distance from the scale, each counted up to 100: what scales are compared by.
    distance
        75th percentile of the pixels' distance from the scale, 0 to 441.
    off
        Share of the pixels farther than 45 from it.
    values
        Of the compared pixels, 0 to 1.
    """

    name: str
    anchors: Anchors
    mean: float
    distance: float
    off: float
    values: Float32


def fit_scales(colours: NDArray[Any], scales: Mapping[str, Anchors] = SCALES) -> list[ScaleFit]:
    """Fit scales to pixels, (n, 3) from 0 to 255, of which about 20,000 are compared; the nearest scale comes first."""
    few = colours[:: max(1, len(colours) // _COMPARED)]
    fits = []
    for name, anchors in scales.items():
        values, distances = intensity_of(few, anchors)
        distance, off = float(np.percentile(distances, 75.0)), float(np.mean(distances > _OFF))
        mean = float(np.minimum(distances, _COUNTED).mean())
        fits.append(ScaleFit(name, anchors, mean, distance, off, values))
    return sorted(fits, key=lambda fit: fit.mean)


def choose_scale(
    colours: NDArray[Any],
    *,
    plausible: Callable[[ScaleFit], bool],
    farthest: float,
    most_off: float,
    scales: Mapping[str, Anchors] = SCALES,
) -> ScaleFit:
    """Return the scale that pixels are painted in.

    Parameters
    ----------
    colours
        (pixels, 3), 0 to 255, background left out.
    plausible
        Whether contents of this kind can look so on a scale; asked where fitting scales contradict each other.
    farthest, most_off
        Largest distance and share of pixels off the scale that are accepted, see `ScaleFit`.

    Raises
    ------
    UnsupportedInputError
        When no scale fits, or scales fit that contradict each other.
    """
    fits = fit_scales(colours, scales)
    nearest = fits[0]
    if nearest.distance > farthest or nearest.off > most_off:
        raise UnsupportedInputError(
            f"The picture's colours lie on no known colour scale (nearest {nearest.name}, distance "
            f"{nearest.distance:.0f}, expected at most {farthest:.0f}; off the scale {100 * nearest.off:.0f} %, "
            f"expected at most {100 * most_off:.0f} %); {ADVICE}."
        )
    explaining = [fit for fit in fits if fit.mean <= _as_good_as(nearest)]
    if not _contradicting(explaining):
        return nearest
    possible = [fit for fit in explaining if plausible(fit)]
    if len(possible) == 0 or _contradicting(possible):
        named = possible or explaining
        rivals = [fit.name for fit in _contradicting(named)] or [fit.name for fit in named[1:]]
        raise UnsupportedInputError(
            f"The picture's colours fit the scales {named[0].name} and {' and '.join(rivals)}, which contradict each "
            f"other; expected one; {ADVICE}."
        )
    return possible[0]


def check_scale(colours: NDArray[Any], anchors: Anchors, *, farthest: float, most_off: float) -> None:
    """Raise UnsupportedInputError where pixels do not lie on the scale that the user gave, see `choose_scale`.

    Nor may a known scale explain them far better and give them other values.
    """
    (fit,), nearest = fit_scales(colours, {"given": anchors}), fit_scales(colours)[0]
    if fit.mean > _as_good_as(nearest) and _contradicting([nearest, fit]):
        raise UnsupportedInputError(
            f"The picture's colours lie on the scale {nearest.name} rather than on the one that was given; {ADVICE}, "
            "or none, to have it recognised."
        )
    if fit.distance > farthest or fit.off > most_off:
        raise UnsupportedInputError(
            f"The picture's colours do not lie on the colour scale that was given (distance {fit.distance:.0f}, "
            f"expected at most {farthest:.0f}; off the scale {100 * fit.off:.0f} %, expected at most "
            f"{100 * most_off:.0f} %); {ADVICE}, or none, to have it recognised."
        )


def bar_scale(
    picture: NDArray[Any],
    colours: NDArray[Any],
    *,
    plausible: Callable[[ScaleFit], bool],
    farthest: float,
    most_off: float,
) -> ScaleFit | None:
    """Return the scale of the page's colour bar; None without a bar, or when the pixels do not lie on it.

    Raises
    ------
    UnsupportedInputError
        When the pixels lie on it, but the picture would be implausible.
    """
    bar = read_colour_bar(picture)
    if bar is None:
        return None
    (fit,) = fit_scales(colours, {"colour bar": bar})
    if fit.distance > farthest or fit.off > most_off:
        return None
    if not plausible(fit):
        raise UnsupportedInputError(f"By its colour bar the picture would be upside down or no report; {ADVICE}.")
    return fit


def _as_good_as(nearest: ScaleFit) -> float:
    """Return the mean distance up to which a scale explains a picture as well as the nearest one."""
    return max(_AS_GOOD[0] * nearest.mean, nearest.mean + _AS_GOOD[1])


def _contradicting(fits: Sequence[ScaleFit]) -> list[ScaleFit]:
    """Return the fits that give the pixels other values than the first one does."""
    return [fit for fit in fits[1:] if _correlation(fit.values, fits[0].values) < _AGREE]


def _correlation(first: Float32, second: Float32) -> float:
    """Correlate two readings of the same pixels; -1 where one of them is flat, as it then says nothing."""
    if min(float(first.std()), float(second.std())) < 1e-6:
        return -1.0
    return float(np.corrcoef(first, second)[0, 1])
