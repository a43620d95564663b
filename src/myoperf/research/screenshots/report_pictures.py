"""Read the slices from a picture of a perfusion report.

The public SPECT-MPI set (192 patients) consists of such pictures: rows of short-axis, horizontal and vertical
long-axis slices, stress above rest, painted in a colour scale, with slice numbers in the corners. Of the
layout only this is assumed: square blocks of one pitch, rows in pairs of the two states, ventricles near the
centre of their blocks, a dark background. The views are recognised by their shape (a ring; a horseshoe open
below; one open to the left). A picture that cannot be such a report is refused with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.errors import UnsupportedInputError
from myoperf.research.screenshots.colour_scales import Anchors, intensity_of
from myoperf.research.screenshots.pictures import open_picture, page_of
from myoperf.research.screenshots.report_views import recognise_views
from myoperf.research.screenshots.scale_choice import ScaleFit, bar_scale, check_scale, choose_scale
from myoperf.research.slice_stacks import SliceStacks, resize_stack
from myoperf.types import Float, State

_SMALLEST, _LARGEST, _PITCHES = 200, 1400, (28, 350)
_SIMILAR = 0.35  # correlation of the picture with itself one block further
_COLOUR_LIMIT = 30.0  # 75th percentile distance from the scale, of 441
_OFF_LIMIT = 0.15  # share of pixels off the scale: text, icons
_TEXT_CONTRAST = 0.2
_BLANK = 0.05  # 99th percentile of a slot, of the scale's maximum, up to which it is blank: JPEG's noise


@dataclass(frozen=True)
class PictureGrid:
    """The places of the slices.

    Attributes
    ----------
    pitch
        Pixels from block to block, along rows and columns.
    columns, rows
        Left and top pixel of every block.
    views
        View of every row: ``"sa"``, ``"hla"`` or ``"vla"``.
    """

    pitch: float
    columns: tuple[float, ...]
    rows: tuple[float, ...]
    views: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ReportPicture:
    """The slices of a picture.

    Attributes
    ----------
    stacks
        Stress then rest, resized to the requested shape, each state scaled to its own 99.5th percentile.
    grid
        Where the slices are.
    scale
        Name of the colour scale, ``"given"`` when the caller gave one.
    slices
        Number of slices of each (view, state) before resizing.
    """

    stacks: SliceStacks
    grid: PictureGrid
    scale: str
    slices: dict[tuple[str, State], int]


def read_report_picture(
    path: Path,
    *,
    shape: tuple[int, int, int] = (32, 96, 96),
    states: tuple[State, State] = ("stress", "rest"),
    scale: Anchors | None = None,
    order: tuple[str, str] | None = None,
) -> ReportPicture:
    """Read one report picture.

    Parameters
    ----------
    path
        JPEG, PNG or another format Pillow reads.
    shape
        (planes, rows, columns) of every stack.
    states
        Of the upper and the lower row of each pair.
    scale
        The workstation's colour scale; default: recognised among `colour_scales.SCALES`.
    order
        Which long axis comes first below the short axis, ``("hla", "vla")`` or ``("vla", "hla")``; None:
        recognised by the slices' shape.

    Raises
    ------
    InputError
        When the file cannot be read as a picture.
    UnsupportedInputError
        When the picture is not such a report; the message gives the reason.
    """
    picture = open_picture(path)
    name, anchors = _choose_scale(picture, scale, order)
    intensity = _intensity(picture, anchors)
    grid = find_grid(intensity, order=order)
    values = np.stack([[_without_numbers(block) for block in row] for row in _blocks(intensity, grid)])
    return _collect(values, grid, states=states, shape=shape, scale=name)


def _choose_scale(
    picture: NDArray[np.uint8], given: Anchors | None, order: tuple[str, str] | None
) -> tuple[str, Anchors]:
    """Return the scale that is given, that of the picture's colour bar, or the known one that fits; refuse others.

    Of scales that contradict each other the one counts in which the picture is a report: in the other, walls are
    darker than what lies around them.
    """
    painted = picture[picture.max(axis=2) > 40]
    if len(painted) < 0.02 * picture[..., 0].size:
        raise UnsupportedInputError("The picture is nearly black; expected a report of slices.")
    if given is not None:
        check_scale(painted, given, farthest=_COLOUR_LIMIT, most_off=_OFF_LIMIT)
        return "given", given

    def is_report(fit: ScaleFit) -> bool:
        try:
            find_grid(_intensity(picture, fit.anchors), order=order)
        except UnsupportedInputError:
            return False
        return True

    fit = bar_scale(picture, painted, plausible=is_report, farthest=_COLOUR_LIMIT, most_off=_OFF_LIMIT)
    fit = fit or choose_scale(painted, plausible=is_report, farthest=_COLOUR_LIMIT, most_off=_OFF_LIMIT)
    return fit.name, fit.anchors


def _intensity(picture: NDArray[np.uint8], anchors: Anchors) -> Float:
    """Turn colours into values from 0 to 1; the page around the blocks, of whatever colour, is 0."""
    return np.where(page_of(picture), np.float32(0.0), intensity_of(picture, anchors)[0])


def find_grid(intensity: Float, *, order: tuple[str, str] | None = None) -> PictureGrid:
    """Find the blocks of slices in a picture of intensities from 0 to 1, (rows, columns).

    Parameters
    ----------
    order
        Views of the rows below the short axis, ``("hla", "vla")`` or ``("vla", "hla")``; None: recognised by
        their shape.

    Raises
    ------
    UnsupportedInputError
        When it has none, or they are not the rows of a perfusion report.
    """
    if min(intensity.shape) < _SMALLEST:
        raise UnsupportedInputError(
            f"A report picture has at least {_SMALLEST} pixels a side; got {intensity.shape[1]} x {intensity.shape[0]}."
        )
    if float(np.median(intensity)) > 0.5:
        raise UnsupportedInputError("The picture's background is bright; expected a report of slices on black.")
    shrunk = -(-max(intensity.shape) // _LARGEST)
    if shrunk > 1:
        small = find_grid(_shrink(intensity, shrunk), order=order)
        lefts, tops = (tuple(shrunk * at for at in lines) for lines in (small.columns, small.rows))
        return PictureGrid(shrunk * small.pitch, lefts, tops, small.views)
    bright = ndimage.gaussian_filter(ndimage.median_filter(intensity, 7), 1.5)  # numbers and headings are thin
    pitch = _find_pitch(bright)
    plain = ndimage.median_filter(intensity, 3)  # strokes of numbers must not pass for seams
    pitch, columns = _find_columns(bright, plain, pitch)
    rows = _find_rows(bright, plain, pitch, columns) if len(columns) >= 4 else []
    if len(rows) < 6 or len(rows) % 2 or len(columns) < 4:
        raise UnsupportedInputError(
            f"Found {len(rows)} rows of {len(columns)} blocks; a report has stress and rest rows of three views "
            "(6, 8 or more rows, an even number) of at least 4 slices."
        )
    tiles = np.stack([[_crop(bright, top, left, pitch) for left in columns] for top in rows])
    return PictureGrid(pitch, tuple(columns), tuple(rows), recognise_views(tiles, order=order))


def _find_pitch(bright: Float) -> float:
    """Find the distance between blocks: that at which the picture, moved sideways, is most like itself."""
    low, high = _PITCHES[0], min(_PITCHES[1], bright.shape[1] // 4)
    content = bright - bright.mean()
    spectrum = np.fft.rfft(content, n=2 * content.shape[1], axis=1)
    similar = np.fft.irfft((np.abs(spectrum) ** 2).sum(axis=0))[: content.shape[1]]
    overlap = np.arange(content.shape[1], 0, -1)
    energy = np.cumsum((content**2).sum(axis=0))
    heads, tails = energy[::-1], energy[-1] - np.concatenate([[0.0], energy[:-1]])
    similar = similar / np.sqrt(np.maximum(heads * tails, 1e-9)) * (overlap > 0)
    lags = np.arange(low, high)
    peaks = [int(lag) for lag in lags if similar[lag] >= similar[lag - 3 : lag + 4].max() and similar[lag] > _SIMILAR]
    if not peaks:
        raise UnsupportedInputError(
            "No blocks repeat across the picture at equal distances; it is not a report of slices."
        )
    best = max(similar[lag] for lag in peaks)
    first = next(lag for lag in peaks if similar[lag] >= 0.85 * best)
    fine = np.arange(first - 0.6, first + 0.61, 0.05)
    most = min(5, (bright.shape[1] - 1) // (first + 1))
    sums = [sum(float(np.interp(k * p, np.arange(len(similar)), similar)) for k in range(1, most + 1)) for p in fine]
    return float(fine[int(np.argmax(sums))])


def _bump(pitch: float) -> Float:
    """Return weights that compare a block's centre with its edges; their sum is zero."""
    count = round(pitch)
    weights = -np.cos(2 * np.pi * (np.arange(count) + 0.5) / count)
    return np.asarray(weights - weights.mean(), dtype=np.float32)


def _seams(intensity: Float, axis: int) -> Float:
    """Measure how much more the picture changes at one line than at its neighbours: 0 as usual, 1 at the sharpest.

    Edges of blocks are one line thin; those of hearts are not.
    """
    jump = np.abs(np.diff(intensity, axis=axis, prepend=0.0)).mean(axis=1 - axis)
    jump = np.clip(jump - ndimage.median_filter(jump, 9), 0.0, None)
    if not jump.any():
        return np.zeros_like(jump)
    usual, most = float(np.median(jump[jump > 0])), float(np.percentile(jump, 99.5))
    sharp = np.clip((jump - usual) / max(most - usual, 1e-6), 0.0, 1.0)
    return np.asarray(ndimage.maximum_filter1d(sharp, 3), dtype=np.float32)


def _find_rows(bright: Float, intensity: Float, pitch: float, columns: Sequence[float]) -> list[float]:
    """Find the tops of the rows of blocks, two by two; between pairs there may be any gap.

    A pair scores by hearts in the middle of both rows, by the likeness of stress to rest, and by seams at
    its edges; of all sets of pairs that do not overlap, the best sum wins.
    """
    span = slice(max(0, round(columns[0])), round(columns[-1] + pitch))
    size, step = round(pitch), pitch
    inside = bright[:, span]
    bump = np.correlate(inside.mean(axis=1), _bump(pitch), mode="valid")
    bump = np.clip(bump / max(float(bump.max()), 1e-9), -1.0, 1.0)
    seam = _seams(intensity[:, span], 0)
    last = len(bright) - round(2 * step)
    if last <= 0:
        return []
    score = np.empty(last)
    for y in range(last):
        below = round(y + step)
        ends = seam[min(round(y + 2 * step), len(seam) - 1)]
        like = _likeness(inside[y : y + size : 2, ::2], inside[below : below + size : 2, ::2])
        score[y] = bump[y] + bump[min(below, len(bump) - 1)] + like + seam[y] + seam[below] + ends
    tops = _best_disjoint(score - 0.4 * float(score.max()), round(1.95 * step))
    return [y + k * step for y in tops for k in (0, 1)]


def _likeness(first: Float, second: Float) -> float:
    """Correlate two equally large pieces, 0 where one is flat."""
    n = min(len(first), len(second))
    a, b = first[:n] - first[:n].mean(), second[:n] - second[:n].mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / size if size > 1e-9 else 0.0


def _best_disjoint(gain: NDArray[np.float64], length: int) -> list[float]:
    """Choose the starts of disjoint stretches of one length whose gains have the greatest sum."""
    best = np.zeros(len(gain) + length + 1)
    for y in range(len(gain) - 1, -1, -1):
        best[y] = max(best[y + 1], gain[y] + best[y + length])
    chosen, y = [], 0
    while y < len(gain):
        if gain[y] > 0 and gain[y] + best[y + length] >= best[y + 1]:
            chosen.append(float(y))
            y += length
        else:
            y += 1
    return chosen


def _find_columns(bright: Float, intensity: Float, pitch: float) -> tuple[float, list[float]]:
    """Find the left edges of the blocks that hold slices, and the pitch by which the edges fit best."""
    pitch, first = _find_edges(bright, intensity, pitch)
    if first > 0.88 * pitch:
        first -= pitch  # a block may begin a little before the picture does
    lefts = np.arange(first, bright.shape[1] - pitch + 2.0, pitch)
    if len(lefts) < 2:
        return pitch, []
    tiles = np.stack([_crop(bright, 0, x, pitch, height=len(bright)).ravel() for x in lefts])
    centred = tiles - tiles.mean(axis=1, keepdims=True)
    size_of = np.linalg.norm(centred, axis=1)
    units = centred / np.maximum(size_of, 1e-9)[:, None]
    adjacent = np.abs(np.subtract.outer(np.arange(len(lefts)), np.arange(len(lefts)))) == 1
    alike = np.where(adjacent, units @ units.T, -1.0).max(axis=1)  # a colour bar or a caption is unlike its neighbours
    good = (alike > 0.3) & (size_of > 0.25 * np.median(size_of[size_of > 0.1 * size_of.max()]))
    return pitch, [float(x) for x, keep in zip(lefts, good, strict=True) if keep]


def _find_edges(bright: Float, intensity: Float, pitch: float) -> tuple[float, float]:
    """Return the pitch and the first edge, from the seams between blocks where they show, else from the hearts."""
    profile, seam = bright.mean(axis=0), _seams(intensity, 1)
    at = np.arange(len(profile))
    phase = np.exp(-2j * np.pi * (at + 0.5) / pitch) @ profile
    rough = (-np.angle(phase) / (2 * np.pi) * pitch - 0.5 * pitch) % pitch  # hearts are in the centre of their blocks
    shifts = np.arange(-0.25 * pitch, 0.25 * pitch, 0.5)
    pitches = np.arange(0.98 * pitch, 1.02 * pitch, 0.1)
    sums = np.array(
        [
            [np.interp(np.arange((rough + d) % step, len(profile), step), at, seam).mean() for d in shifts]
            for step in pitches
        ]
    )
    best = np.unravel_index(int(sums.argmax()), sums.shape)
    if sums.max() < max(2.0 * float(np.median(sums)), 0.1):
        return pitch, float(rough)
    step = float(pitches[best[0]])
    return step, float((rough + shifts[best[1]]) % step)


def _shrink(intensity: Float, by: int) -> Float:
    """Average squares of `by` pixels; what is left over at the right and the bottom is dropped."""
    rows, columns = (side // by for side in intensity.shape)
    whole = intensity[: rows * by, : columns * by].reshape(rows, by, columns, by)
    return np.asarray(whole.mean(axis=(1, 3)), dtype=np.float32)


def _crop(picture: Float, top: float, left: float, pitch: float, *, height: int | None = None) -> Float:
    """Cut one block; what lies beyond the picture is 0."""
    size, y, x = round(pitch), round(top), round(left)
    high = height or size
    out = np.zeros((high, size), dtype=picture.dtype)
    part = picture[max(y, 0) : max(y + high, 0), max(x, 0) : max(x + size, 0)]
    out[max(-y, 0) : max(-y, 0) + len(part), max(-x, 0) : max(-x, 0) + part.shape[1]] = part
    return out


def _blocks(picture: Float, grid: PictureGrid) -> Float:
    """Cut all blocks, (rows, columns, size, size)."""
    return np.stack([[_crop(picture, top, left, grid.pitch) for left in grid.columns] for top in grid.rows])


def _without_numbers(block: Float) -> Float:
    """Fill thin, contrasting strokes in the corners and at the edges from what lies around them."""
    size = block.shape[0]
    rim = max(1, round(0.02 * size))
    corner = np.zeros(block.shape, dtype=bool)
    reach = round(0.28 * size)
    for rows in (slice(0, reach), slice(size - reach, size)):
        for columns in (slice(0, reach), slice(size - reach, size)):
            corner[rows, columns] = True
    corner[:rim], corner[-rim:], corner[:, :rim], corner[:, -rim:] = True, True, True, True
    smooth = ndimage.median_filter(block, max(7, 2 * round(0.06 * size) + 1))
    strokes = corner & ndimage.binary_dilation(np.abs(block - smooth) > _TEXT_CONTRAST, iterations=2)
    return np.where(strokes, smooth, block)


def _collect(
    values: Float, grid: PictureGrid, *, states: tuple[State, State], shape: tuple[int, int, int], scale: str
) -> ReportPicture:
    """Stack the slices of each view and state, without the blank slots at the ends, and resize them to the shape."""
    planes = shape[0] // 2
    stacks: dict[str, list[Float]] = {}
    counts: dict[tuple[str, State], int] = {}
    order: tuple[State, State] = ("stress", "rest")
    for view in ("sa", "hla", "vla"):
        both = []
        for state in order:
            lines = [i for i, name in enumerate(grid.views) if name == view and i % 2 == states.index(state)]
            both.append(values[lines].reshape(-1, *values.shape[2:]))
        kept = _filled_slots(*both)
        for state, slots in zip(order, both, strict=True):
            slices = slots[kept]
            counts[view, state] = len(slices)
            highest = max(float(np.percentile(slices, 99.5)), 1e-9)
            stack = resize_stack(np.clip(slices / highest, 0.0, 1.0), (planes, *shape[1:]))
            stacks.setdefault(view, []).append(stack)
    return ReportPicture(
        SliceStacks({view: np.concatenate(parts) for view, parts in stacks.items()}), grid, scale, counts
    )


def _filled_slots(stress: Float, rest: Float) -> slice:
    """Return the slots from the first to the last that either state fills.

    A slice that a defect leaves dark is not blank, and stress keeps facing rest: slots go at the ends only, for both.
    """
    bright = np.maximum(*(np.percentile(slots, 99.0, axis=(1, 2)) for slots in (stress, rest)))
    filled = np.flatnonzero(bright > _BLANK)
    if len(filled) == 0:
        raise UnsupportedInputError("A view's slots are all blank; expected slices.")
    return slice(int(filled[0]), int(filled[-1]) + 1)
