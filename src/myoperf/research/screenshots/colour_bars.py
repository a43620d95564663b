"""Read the colour bar of a page: the one exact source of a workstation's colour scale.

A bar is a narrow upright or lying strip whose colours change along it and not across it. Upright bars have
their highest value on top, lying ones on the right, as workstations draw them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.research.screenshots.colour_scales import Anchors
from myoperf.research.screenshots.pictures import page_colour

_LEAST_LENGTH = 0.12  # of the page's shorter side
_LEAST_SLIM = 5.0  # length over width
_WIDTHS = (5, 70)  # pixels
_EVEN = 14.0  # mean spread of colour across a bar, of 255: JPEG blurs it
_COLOURS = 6  # of a bar at least, of 512 in coarse steps
_ANCHORS = 64
_FADES = 60.0


def read_colour_bar(picture: NDArray[Any]) -> Anchors | None:
    """Return the scale of a page's colour bar, the longest if there are several; None where there is none.

    Parameters
    ----------
    picture
        (rows, columns, 3), 0 to 255.
    """
    upright = [(len(bar), bar[::-1]) for bar in _bars(np.asarray(picture))]
    lying = [(len(bar), bar) for bar in _bars(np.asarray(picture).transpose(1, 0, 2))]
    found = sorted(upright + lying, key=lambda entry: -entry[0])
    if not found:
        return None
    colours = found[0][1]
    page = page_colour(picture)
    colours = _with_hidden_end(_with_hidden_end(colours, page)[::-1], page)[::-1]
    places = np.linspace(0.0, len(colours) - 1.0, min(_ANCHORS, len(colours)))
    sampled = np.stack([np.interp(places, np.arange(len(colours)), colours[:, i]) for i in range(3)], axis=1)
    last = len(places) - 1
    return tuple((i / last, (round(r), round(g), round(b))) for i, (r, g, b) in enumerate(sampled.tolist()))


def _with_hidden_end(colours: NDArray[np.float64], page: NDArray[np.float64]) -> NDArray[np.float64]:
    """Prolong the first end of a bar to the page's colour, where it fades into it: that part cannot be seen."""
    gap = float(np.abs(colours[0] - page).max())
    near = max(2, len(colours) // 25)
    slope = float(np.abs(colours[near] - colours[0]).max()) / near
    if gap >= _FADES or slope <= 0:
        return colours
    hidden = min(round(gap / slope), len(colours) // 6)
    ramp = np.linspace(page, colours[0], hidden, endpoint=False).reshape(-1, 3)
    return np.concatenate([ramp, colours])


def _bars(picture: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Yield the colours of upright bars from top to bottom, (length, 3)."""
    away = np.abs(picture.astype(np.float64) - page_colour(picture)).max(axis=2) > 24.0
    parts, _ = ndimage.label(ndimage.binary_opening(away, np.ones((3, 3), bool)))
    for index, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not _WIDTHS[0] <= width <= _WIDTHS[1] or height < _LEAST_SLIM * width:
            continue
        if height < _LEAST_LENGTH * min(picture.shape[:2]) or (parts[rows, columns] == index).mean() < 0.85:
            continue
        inner = picture[rows, columns.start + 2 : columns.stop - 2].astype(np.float64)
        if inner.shape[1] < 1:
            continue
        colours = np.median(inner, axis=1)
        coarse = len(np.unique((colours // 32).astype(np.int64) @ (64, 8, 1)))
        if np.abs(inner - colours[:, None]).mean() <= _EVEN and coarse >= _COLOURS:
            yield colours
