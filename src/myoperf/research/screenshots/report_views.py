"""Recognise which rows of a report's slices are short axis, horizontal and vertical long axis, by their shape.

A short-axis slice is a ring; a horizontal long-axis one a horseshoe open below, higher than broad; a vertical one a
horseshoe open to the left, broader than high. A picture without such rows is refused with the reason.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np

from myoperf.errors import InputError, UnsupportedInputError
from myoperf.research.slice_stacks import resize_stack
from myoperf.types import Float

_TEMPLATE = 24
_CLEAR = 0.5  # least mean correlation of the rows with drawn ventricles
_LEAN = 0.15  # weight of breadth over height, added to that correlation
_APART = 0.04  # by how much the long axes must resemble their own views more than each other's, mean of both
_AGAINST = -0.08  # by how much one of them may resemble the other's view more: a large defect changes the shape
_TURNED = -0.05  # by how much less it may resemble its view than turned round (0.11 to 0.18 more in 12 patients)
_SAME = 0.95  # correlation of a row's ends with its middle from which they count as one picture
_VIEWS = ("sa", "hla", "vla")
_ORDERS = (("hla", "vla"), ("vla", "hla"))


def recognise_views(tiles: Float, *, order: tuple[str, str] | None = None) -> tuple[str, ...]:
    """Return the view of each row: short-axis pairs first, then equally many of the two long axes in either order.

    Parameters
    ----------
    tiles
        Blocks of slices, (rows, columns, size, size); rows in pairs of the two states.
    order
        Of the long axes, when it is known.

    Raises
    ------
    InputError
        When the order is not one of the two.
    UnsupportedInputError
        When the rows are not those of a perfusion report, the long axes cannot be distinguished, or the page is
        mirrored or upside down, also when the order is given.
    """
    if order is not None and order not in _ORDERS:
        raise InputError(f"The order of the long axes is ('hla', 'vla') or ('vla', 'hla'); got {order}.")
    if _same(tiles) > _SAME:
        raise UnsupportedInputError(
            "The blocks of a row all show the same picture; expected slices that change from end to end."
        )
    third = tiles.shape[1] // 3
    middle = tiles[:, third : max(third + 1, tiles.shape[1] - third)]
    pairs = [middle[i : i + 2].reshape(-1, *tiles.shape[2:]) for i in range(0, len(tiles), 2)]
    likes = [{view: float(np.mean([_resembles(b, view) for b in blocks])) for view in _VIEWS} for blocks in pairs]
    leans = [float(np.mean([_lean(b) for b in blocks])) for blocks in pairs]
    scored = [
        {"sa": like["sa"], "hla": like["hla"] - 0.5 * _LEAN * lean, "vla": like["vla"] + 0.5 * _LEAN * lean}
        for like, lean in zip(likes, leans, strict=True)
    ]
    count = len(pairs)
    candidates = [
        ("sa",) * (count - 2 * each) + (first,) * each + (second,) * each
        for each in range(1, (count - 1) // 2 + 1)
        for first, second in ((order,) if order else _ORDERS)
    ]
    best = max(candidates, key=lambda named: sum(score[v] for score, v in zip(scored, named, strict=True)))
    clear = float(np.mean([like[view] for like, view in zip(likes, best, strict=True)]))
    if clear < _CLEAR:
        raise UnsupportedInputError(
            "The rows do not look like short-axis rings followed by horizontal and vertical long-axis horseshoes "
            f"(likeness {clear:.2f}, expected at least {_CLEAR})."
        )
    apart = [_apart(scored, best, view) for view in ("hla", "vla")]
    if order is None and (float(np.mean(apart)) < _APART or min(apart) < _AGAINST):
        raise UnsupportedInputError(
            "The rows below the short axis cannot be distinguished as horizontal and vertical long axis; expected "
            "horseshoes open below and to the left. If this is a report of slices, give their order: ('hla', 'vla')."
        )
    upright = min(_upright(blocks, view) for blocks, view in zip(pairs, best, strict=True) if view != "sa")
    from_below = max(_likeness([np.flip(b, axes) for b in reversed(pairs)], best) for axes in ((1,), (1, 2)))
    if upright < _TURNED or from_below > clear:
        raise UnsupportedInputError(
            "The rows are a report's when seen from below or in a mirror: the page is mirrored or upside down; turn it "
            "and try again."
        )
    return tuple(view for view in best for _ in (0, 1))


def _likeness(pairs: Sequence[Float], views: Sequence[str]) -> float:
    """Return the mean correlation of the slices of each pair of rows with their view."""
    return float(
        np.mean([np.mean([_resembles(b, view) for b in blocks]) for blocks, view in zip(pairs, views, strict=True)])
    )


def _upright(blocks: Float, view: str) -> float:
    """Return how much more slices of a long axis resemble it as they are than with base and apex exchanged."""
    axis = 1 if view == "hla" else 2
    turned = np.flip(blocks, axis)
    return float(np.mean([_resembles(b, view) - _resembles(t, view) for b, t in zip(blocks, turned, strict=True)]))


def _same(tiles: Float) -> float:
    """Correlate the ends of each row with its middle, mean over rows."""
    flat = tiles.reshape(*tiles.shape[:2], -1)
    centred = flat - flat.mean(axis=2, keepdims=True)
    units = centred / np.maximum(np.linalg.norm(centred, axis=2, keepdims=True), 1e-9)
    return float((units[:, [0, -1]] * units[:, [units.shape[1] // 2]]).sum(axis=2).mean())


def _apart(scored: list[dict[str, float]], named: tuple[str, ...], view: str) -> float:
    """Return how much more the rows named as one long axis resemble it than the other, mean over pairs."""
    other = "vla" if view == "hla" else "hla"
    return float(
        np.mean([score[view] - score[other] for score, name in zip(scored, named, strict=True) if name == view])
    )


@cache
def _templates(view: str) -> Float:
    """Draw ventricles of several sizes and places, (templates, pixels), each of zero mean and unit length."""
    y, x = np.mgrid[:_TEMPLATE, :_TEMPLATE] / (_TEMPLATE - 1) - 0.5
    drawn = []
    for radius, up, aside in product((0.14, 0.18, 0.22, 0.26), (-0.08, 0.0, 0.08), (-0.08, 0.0, 0.08)):
        down, right = y - up, x - aside
        if view == "vla":
            down, right = -right, down  # the apex of a VLA points right, that of an HLA up
        wall = np.abs(np.hypot(down, right) - radius)
        if view != "sa":
            arch = np.abs(np.hypot(down + 0.6 * radius, right) - radius)
            legs = np.where(down < 1.6 * radius, np.abs(np.abs(right) - radius), np.hypot(down - 1.6 * radius, 1.0))
            wall = np.where(down < -0.6 * radius, arch, legs)
        picture = np.exp(-0.5 * (wall / 0.07) ** 2) * _window()
        picture -= picture.mean()
        drawn.append((picture / np.linalg.norm(picture)).ravel())
    return np.stack(drawn).astype(np.float32)


def _window() -> Float:
    """Return weights of a block's pixels: its centre, where the ventricle lies, counts more than its corners."""
    y, x = np.mgrid[:_TEMPLATE, :_TEMPLATE] / (_TEMPLATE - 1) - 0.5
    return np.asarray(np.exp(-((np.hypot(y, x) / 0.42) ** 6)), dtype=np.float32)


def _resembles(block: Float, view: str) -> float:
    """Correlate a block with the best of a view's templates."""
    small = _small(block)
    small = small - small.mean()
    return float((_templates(view) @ small.ravel()).max()) / max(float(np.linalg.norm(small)), 1e-9)


def _small(block: Float) -> Float:
    """Resize a block to the templates and weight it as they are."""
    return np.asarray(resize_stack(block[None], (1, _TEMPLATE, _TEMPLATE))[0] * _window(), dtype=np.float32)


def _lean(block: Float) -> float:
    """Measure how much broader than high what is bright in a block is: log of the ratio of its variances."""
    small = _small(block)
    bright = np.clip(small - 0.4 * small.max(), 0.0, None)
    total = max(float(bright.sum()), 1e-9)
    y, x = np.mgrid[:_TEMPLATE, :_TEMPLATE]
    spread = [float((bright * (at - (bright * at).sum() / total) ** 2).sum()) / total for at in (x, y)]
    return float(np.log((spread[0] + 0.1) / (spread[1] + 0.1)))
