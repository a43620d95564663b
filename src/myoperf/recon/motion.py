"""Patient motion in raw views: estimated on the heart, judged, and undone.

Views of a patient who lies still are views of one image. So how well a motion explains the views can be measured: the
views are shifted back, one half of them is reconstructed, and the image is projected to the other half, where the heart
is seen (`_Judge.disagreement`, cross-validated: an image never explains the views it was made of). Candidates are
sudden steps between neighbouring views, found by registering the heart in them, and a creep along the body; each is
kept only where the views agree clearly better with it. Several heads take their views at the same time: what moves
in one of them alone (a truncated field, a head's offset) is no motion of the patient, who moves in all.

Consistency of reprojected views as the criterion: Lee and Barber, Br J Radiol 71 (1998) 734; Matsumoto et al., J Nucl
Med 42 (2001) 687.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.recon.filters import butterworth
from myoperf.recon.osem import interleaved_subsets, osem
from myoperf.recon.projector import Projector
from myoperf.recon.system import SystemGeometry
from myoperf.types import Array, Float, Float32, Float64, Projections, Volume

_SMALLEST_MM, _LARGEST_MM = 4.5, 45.0
"""Motion below the first hardly shows in the image; the heart of a patient on the couch does not move by the second."""
LEAST_MOTION_VIEWS = 12
_STEP_GAIN, _CREEP_GAIN = 0.03, 0.15
"""Share of the disagreement that a step and a creep have to remove. A step also shows in the views; attenuation,
which the image knows nothing of, looks like a creep of a few millimetres."""
_HEART_RADIUS_MM, _HEART_EDGE_MM = 55.0, 10.0
_SUBSETS, _ITERATIONS = 4, 3
_NEIGHBOURS = 2  # views averaged on either side of a border
_STEP_PIXELS, _STEP_NOISES = 0.5, 5.0  # a step stands out from the noise of steps, and is half a pixel or more
_MOST_STEPS, _TREND = 4, 6  # steps differ from the median of so many borders on either side
_CREEP_MM = 8.0
_EDGE = 12  # pixels by which the edge is repeated: what lies beyond changes a spline by less than 1e-5


@dataclass(frozen=True, eq=False)
class Motion:
    """Motion of the heart in raw views.

    Attributes
    ----------
    shift_mm
        Shape (views, 2): displacement of each view from where the heart lay in most views, along rows (positive towards
        the feet) and along columns (positive towards higher columns).
    disagreement_before, disagreement_after
        Mean square difference between the views and those of the image made from the other views, over the variance of
        the counts, where the heart is seen (1: noise alone); as the views are, and with the shifts undone.
    doubtful_mm
        Largest sudden step of the heart between views that the shifts do not hold: across the body, or one that does
        not make the views agree better.
    """

    shift_mm: Float
    disagreement_before: float = 1.0
    disagreement_after: float = 1.0
    doubtful_mm: float = 0.0

    @property
    def largest_mm(self) -> float:
        """Largest displacement between any two views along one direction."""
        return float(np.ptp(self.shift_mm, axis=0).max())

    @property
    def farthest_mm(self) -> float:
        """Largest displacement of a view from where the heart lay in most."""
        return float(np.abs(self.shift_mm).max())

    @property
    def moved_views(self) -> int:
        """Number of views that lie 2 mm or more from where the heart lay in most."""
        return int((np.abs(self.shift_mm).max(axis=1) >= 2.0).sum())

    @property
    def is_motion(self) -> bool:
        """Whether the patient moved by 4.5 mm or more (the estimate holds only what makes the views agree better)."""
        return self.largest_mm >= _SMALLEST_MM


def estimate_motion(projections: Projections, heart_lps_mm: tuple[float, float, float]) -> Motion:
    """Estimate how far the heart lies from its place in each view.

    Parameters
    ----------
    projections
        Raw views; gates are summed.
    heart_lps_mm
        Centre of the left ventricle, to 2 cm: of an image of the views as they are.

    Returns
    -------
    Motion
        Shifts that no view can show (of all views alike) are 0. With several heads, the motion that all saw at the same
        time.

    Raises
    ------
    InputError
        When there are fewer than 12 views.
    """
    if projections.views < LEAST_MOTION_VIEWS:
        raise InputError(f"Motion can be estimated from {LEAST_MOTION_VIEWS} views or more; got {projections.views}.")
    judge = _Judge.of(_about_heart(projections.summed(), heart_lps_mm), heart_lps_mm)
    time, pixel_mm = _times(judge.views), judge.views.pixel_mm[0]
    rows = np.zeros(projections.views)
    before = level = judge.disagreement(rows)
    steps, across = _sudden_steps(judge, time)
    if steps:
        rows, level = _needed_steps(judge, time, steps, before)
    left = max((abs(size) * pixel_mm for border, size in steps if not _has_step(rows, time, border)), default=0.0)
    left = max(left, _step_across_mm(judge, time, across, rows, level))
    rows, level = _with_creep(judge, time, rows, level)
    rows = rows - np.median(rows)
    if np.ptp(rows) * pixel_mm > _LARGEST_MM:
        rows, level, left = np.zeros_like(rows), before, float(np.ptp(rows) * pixel_mm)
    shift = np.stack([rows * pixel_mm, np.zeros_like(rows)], axis=1)
    return Motion(shift, before, level, left)


def correct_motion(projections: Projections, motion: Motion) -> Projections:
    """Return the projections with every view shifted back by cubic splines; what is shifted in repeats the edge.

    Only shifts within the view can be corrected, neither rotation nor motion towards the camera.

    Raises
    ------
    InputError
        When the motion is of another number of views.
    """
    if motion.shift_mm.shape != (projections.views, 2):
        raise InputError(f"{projections.views} views need as many shifts; got {motion.shift_mm.shape[0]}.")
    pixels = motion.shift_mm / np.asarray(projections.pixel_mm)

    def shifted_back(views: Array) -> Float32:
        return np.maximum(_shifted(views.astype(np.float32), -pixels), 0.0).astype(np.float32)

    array = np.stack([shifted_back(frame) for frame in projections.array])
    windows = tuple(replace(window, counts=shifted_back(window.counts)) for window in projections.scatter_windows)
    return replace(projections, array=array, scatter_windows=windows)


def _about_heart(views: Projections, heart_lps_mm: tuple[float, float, float]) -> Projections:
    """Return the rows of the views that can show the heart."""
    rows, row_mm = views.array.shape[2], views.pixel_mm[0]
    middle = 0.5 * (rows - 1) - (heart_lps_mm[2] - views.axis_lps_mm[2]) / row_mm
    reach = (_HEART_RADIUS_MM + _HEART_EDGE_MM + _LARGEST_MM) / row_mm
    first, last = max(0, int(middle - reach)), min(rows, int(middle + reach) + 2)
    if last - first < _HEART_RADIUS_MM / row_mm:
        raise InputError("The heart lies outside the views: its motion cannot be estimated.")
    x, y, z = views.axis_lps_mm
    axis = (x, y, z + (0.5 * (rows - 1) - 0.5 * (first + last - 1)) * row_mm)
    return replace(views, array=views.array[:, :, first:last], axis_lps_mm=axis, scatter_windows=())


@dataclass(frozen=True, eq=False)
class _Judge:
    """Measures how well the views of a scan agree with each other at the heart, given how each is shifted."""

    views: Projections
    heart_lps_mm: tuple[float, float, float]
    geometry: SystemGeometry
    whole: Projector
    inside_heart: NDArray[np.float32]  # (voxels, 1, planes), 1 in the heart, falling to 0 at its edge
    columns_of_heart: Float64  # (views,), of its centre, in mm from the middle of the detector

    @classmethod
    def of(cls, views: Projections, heart_lps_mm: tuple[float, float, float]) -> "_Judge":
        geometry = SystemGeometry.of(views)
        x, y = geometry.voxels_mm
        centre = np.subtract(heart_lps_mm, views.axis_lps_mm)
        z = (0.5 * (geometry.rows - 1) - np.arange(geometry.rows)) * geometry.row_mm
        across = np.square(x - centre[0]) + np.square(y - centre[1])
        away = np.sqrt(across[:, None] + np.square(z - centre[2])[None])
        share = np.clip((_HEART_RADIUS_MM - away) / _HEART_EDGE_MM + 0.5, 0.0, 1.0)
        angles = np.deg2rad(views.angles_deg)
        place = -centre[0] * np.cos(angles) + centre[1] * np.sin(angles)
        place = place if views.axis_offset_mm is None else place + views.axis_offset_mm
        return cls(views, heart_lps_mm, geometry, Projector(geometry), share[:, None].astype(np.float32), place)

    def window(self, column_mm: float) -> Float64:
        """Return the weight (rows, columns) of the pixels about the heart's centre in a column: 1 within its radius."""
        rows, columns = (np.arange(n) - 0.5 * (n - 1) for n in (self.geometry.rows, self.geometry.columns))
        away = np.hypot(rows[:, None] * self.geometry.row_mm, columns[None] * self.geometry.column_mm - column_mm)
        return np.asarray(np.clip((_HEART_RADIUS_MM - away) / _HEART_EDGE_MM + 0.5, 0.0, 1.0))

    def reproject(self, counts: Float64, chosen: NDArray[np.intp]) -> tuple[Float64, Float64]:
        """Return the views (views, rows, columns) of the heart and of the rest, of the image of the chosen views."""
        subsets = interleaved_subsets(self.views.angles_deg[chosen], _SUBSETS)
        projectors = [Projector(self.geometry, tuple(int(chosen[i]) for i in part)) for part in subsets]
        seen = np.maximum(counts, 0.0).transpose(0, 2, 1)[:, :, None].astype(np.float32)
        activity = osem(seen, projectors, iterations=_ITERATIONS)
        affine = self.geometry.lps_from_index((0.0, 0.0, 0.0))
        smooth = butterworth(Volume(projectors[0].scatter(activity), affine)).array
        activity = np.maximum(np.moveaxis(smooth[:, :, self.geometry.inside], 2, 0), 0.0)
        heart = np.ascontiguousarray(activity * self.inside_heart)
        parts = (self.whole.forward(part) for part in (heart, np.ascontiguousarray(activity - heart)))
        heart_views, rest_views = (part[:, :, 0].transpose(0, 2, 1).astype(np.float64) for part in parts)
        return heart_views, rest_views

    def disagreement(self, rows: Float64, columns: Float64 | None = None) -> float:
        """Return how far views differ from those of the image of the others, over the variance of their counts.

        Parameters
        ----------
        rows, columns
            (views,): by how many pixels each view is shifted against the image; columns None: by none.
        """
        counts = self.views.array[0].astype(np.float64)
        shift = np.stack([rows, np.zeros_like(rows) if columns is None else columns], axis=1)
        order = np.argsort(self.views.angles_deg, kind="stable")
        squares = total = 0.0
        for held, used in ((order[::2], order[1::2]), (order[1::2], order[::2])):
            parts = self.reproject(_shifted(counts, -shift), used)
            heart, rest, weights = _fit(counts[held], *(_shifted(part[held], shift[held]) for part in parts))
            squares += float((weights * np.square(counts[held] - heart - rest)).sum())
            total += float((weights * (heart + rest)).sum())
        return squares / max(total, 1e-12)


def _shifted(views: Float, pixels: Float) -> Float64:
    """Return views (views, rows, columns) shifted by (views, 2) pixels; what is shifted in repeats the edge."""
    out = np.array(views, dtype=np.float64)
    for axis in (1, 2):
        moved = np.flatnonzero(pixels[:, axis - 1])
        if moved.size:
            out[moved] = _shifted_along(out[moved], pixels[moved, axis - 1], axis)
    return out


def _shifted_along(views: Float64, pixels: Float, axis: int) -> Float64:
    """Shift every view along one axis by a cubic spline, all views at once: what `scipy.ndimage.shift` does to one."""
    lines = np.pad(np.swapaxes(views, axis, 1), ((0, 0), (_EDGE, _EDGE), (0, 0)), mode="edge")
    coefficients = ndimage.spline_filter1d(lines, order=3, axis=1, mode="nearest")
    count, size = views.shape[0], views.shape[axis]
    place = np.clip(np.arange(size) - pixels[:, None], 1 - _EDGE, size + _EDGE - 3) + _EDGE
    low = np.floor(place).astype(np.intp)
    t = place - low
    taps = ((1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * (t + t**2 - t**3), t**3)  # six times the cubic B-spline
    matrix = np.zeros((count, size, lines.shape[1]))
    for k, weight in enumerate(taps):
        np.put_along_axis(matrix, low[..., None] + k - 1, weight[..., None] / 6.0, axis=2)
    return np.swapaxes(matrix @ coefficients, axis, 1)


def _weights(counts: Float64, heart: Float64, rest: Float64) -> Float64:
    """Return the weight of every pixel: how much of it is heart, over its variance; 0 outside a truncated field."""
    expected = heart + rest
    level = np.maximum(0.02 * expected.max(axis=(1, 2), keepdims=True), 1e-9)
    rows, columns = (np.asarray(counts.any(axis=axis, keepdims=True)) for axis in (2, 1))
    return np.asarray(np.maximum(heart, 0.0) / np.square(np.maximum(expected, level)) * rows * columns)


def _solve(terms: list[Float64], target: Float64, weights: Float64) -> Float64:
    """Fit a weighted sum of terms to every view; return the factors, (views, terms)."""
    flat = [term.reshape(len(target), -1) for term in terms]
    root = np.sqrt(weights.reshape(len(target), -1))
    design = np.stack([term * root for term in flat], axis=2)
    scale = np.maximum(np.sqrt(np.square(design).sum(axis=1, keepdims=True)), 1e-12)
    design = design / scale
    gram = design.transpose(0, 2, 1) @ design + 1e-6 * np.eye(len(terms))
    right = design.transpose(0, 2, 1) @ (target.reshape(len(target), -1) * root)[:, :, None]
    return np.asarray(np.linalg.solve(gram, right)[:, :, 0] / scale[:, 0])


def _fit(counts: Float64, heart: Float64, rest: Float64) -> tuple[Float64, Float64, Float64]:
    """Fit the heart, the rest and an even background to views; return the heart's part, the others', and the weights.

    Their factors differ from view to view by attenuation, decay between heads, and activity that comes and goes.
    """
    terms, weights = [heart, rest, np.ones_like(heart)], _weights(counts, heart, rest)
    for _ in range(2):
        factors = _solve(terms, counts, weights)
        parts = [np.maximum(f, 0.0)[:, None, None] * term for f, term in zip(factors.T, terms, strict=True)]
        weights = _weights(counts, parts[0], parts[1] + parts[2])
    return parts[0], parts[1] + parts[2], weights


def _times(views: Projections) -> NDArray[np.intp]:
    """Return when each view was taken, counted from 0: all heads take theirs at the same time."""
    if views.heads is None:
        return np.arange(views.views)
    time = np.zeros(views.views, dtype=np.intp)
    for head in np.unique(views.heads):
        time[views.heads == head] = np.arange(np.count_nonzero(views.heads == head))
    return time


_Steps = list[tuple[int, float]]
"""Times before which the heart moved suddenly, and by how many pixels."""


def _sudden_steps(judge: _Judge, time: NDArray[np.intp]) -> tuple[_Steps, _Steps]:
    """Return the heart's sudden steps along the body and the largest across it: those that all heads see at once."""
    heads = np.zeros(time.size) if judge.views.heads is None else judge.views.heads
    each = [_steps_of_head(judge, np.flatnonzero(heads == head)) for head in np.unique(heads)]
    shortest = min(len(steps) for steps in each)
    if shortest < 2 * _NEIGHBOURS:
        return [], []
    steps = np.stack([steps[:shortest] for steps in each])  # (heads, borders, 2)
    steps = steps - ndimage.median_filter(steps, (1, 2 * _TREND + 1, 1), mode="nearest")
    agree = (np.sign(steps[..., 0]) == np.sign(steps[0, :, 0])).all(axis=0)
    size = np.abs(steps).min(axis=0)
    size[~agree, 0] = 0.0
    largest = size >= ndimage.maximum_filter1d(size, 2 * _NEIGHBOURS + 1, axis=0)
    noise = 1.4826 * np.median(np.abs(steps), axis=(0, 1))
    sudden = largest & (size > np.maximum((_STEP_PIXELS, 2.0 * _STEP_PIXELS), _STEP_NOISES * noise))

    def at(borders: NDArray[np.intp], axis: int, most: int) -> _Steps:
        # The row is the same in every head; across the body each sees another part of the step.
        largest = borders[np.argsort(-size[borders, axis])][:most]
        pixels = steps[0, :, axis] if axis else steps[:, :, axis].mean(axis=0)
        return [(int(border) + 1, float(pixels[border])) for border in largest]

    along, across = (np.flatnonzero(sudden[:, axis]) for axis in (0, 1))
    return at(along, 0, _MOST_STEPS), at(across, 1, 1)


def _step_across_mm(judge: _Judge, time: NDArray[np.intp], steps: _Steps, rows: Float64, level: float) -> float:
    """Return the size of a step across the body where the views agree clearly better with it; 0 where they do not.

    Only its part along the first head's columns is seen.
    """
    for border, size in steps:
        angle = np.deg2rad(judge.views.angles_deg)
        first = angle[np.flatnonzero(time == border)[0]]
        columns = np.where(time >= border, size * np.cos(angle - first), 0.0)
        if judge.disagreement(rows, columns) < (1.0 - _STEP_GAIN) * level:
            return abs(size) * judge.views.pixel_mm[1]
    return 0.0


def _has_step(rows: Float64, time: NDArray[np.intp], border: int) -> bool:
    """Return whether the shifts change before a time."""
    return bool(abs(rows[time == border].mean() - rows[time == border - 1].mean()) > 0.0)


def _needed_steps(judge: _Judge, time: NDArray[np.intp], steps: _Steps, before: float) -> tuple[Float64, float]:
    """Return the shifts (in rows) of the steps without which the views agree clearly less, and the disagreement."""

    def shifts(chosen: _Steps) -> Float64:
        rows = np.zeros(time.size)
        for border, size in chosen:
            rows += size * (time >= border)
        return rows

    kept, level = steps, judge.disagreement(shifts(steps))
    for step in sorted(steps, key=lambda one: abs(one[1])):
        fewer = [one for one in kept if one is not step]
        without = judge.disagreement(shifts(fewer)) if fewer else before
        if level > (1.0 - _STEP_GAIN) * without:
            kept, level = fewer, without
    return shifts(kept), level


def _with_creep(judge: _Judge, time: NDArray[np.intp], rows: Float64, level: float) -> tuple[Float64, float]:
    """Return the shifts with the creep with which the views agree clearly better, if there is one."""
    pattern = (time / max(float(time.max()), 1.0) - 0.5) / judge.views.pixel_mm[0]
    sizes = (-_CREEP_MM, _CREEP_MM)
    tried = {0.0: level} | {size: judge.disagreement(rows + size * pattern) for size in sizes}
    best = min(tried, key=tried.__getitem__)
    if tried[best] > (1.0 - 0.5 * _CREEP_GAIN) * level:
        return rows, level
    tried[2.0 * best] = judge.disagreement(rows + 2.0 * best * pattern)
    best = min(tried, key=tried.__getitem__)
    for width in (4.0, 2.0):
        for size in (best - width, best + width):
            tried[size] = judge.disagreement(rows + size * pattern)
        best = min(tried, key=tried.__getitem__)
    if tried[best] > (1.0 - _CREEP_GAIN) * level or not _in_every_head(judge, rows, rows + best * pattern):
        return rows, level
    return rows + best * pattern, tried[best]


def _in_every_head(judge: _Judge, rows: Float64, tried: Float64) -> bool:
    """Return whether the views of each of several heads alone agree better with shifts that are tried.

    An offset between heads makes their views disagree, which a creep mends in part; within a head it mends nothing.
    """
    views = judge.views
    if views.heads is None:
        return True
    for head in np.unique(views.heads):
        of_head = np.flatnonzero(views.heads == head)
        offset = None if views.axis_offset_mm is None else views.axis_offset_mm[of_head]
        counts, angles = views.array[:, of_head], views.angles_deg[of_head]
        alone = Projections(counts, angles, views.pixel_mm, axis_lps_mm=views.axis_lps_mm, axis_offset_mm=offset)
        one = _Judge.of(alone, judge.heart_lps_mm)
        if one.disagreement(tried[of_head]) > (1.0 - 0.5 * _CREEP_GAIN) * one.disagreement(rows[of_head]):
            return False
    return True


def _steps_of_head(judge: _Judge, order: NDArray[np.intp]) -> Float64:
    """Return the heart's step (rows, columns) between neighbouring views of one head, (views - 1, 2)."""
    place, pixel_mm = judge.columns_of_heart, judge.views.pixel_mm[1]
    back = -(place[order] - place[order].mean()) / pixel_mm
    shift = np.stack([np.zeros(order.size), back], axis=1)
    views = _shifted(np.sqrt(judge.views.array[0][order].astype(np.float64)), shift)
    views = ndimage.gaussian_filter(views, (0, 0.7, 0.7))
    window = judge.window(float(place[order].mean()))
    sizes = [min(_NEIGHBOURS, border, order.size - border) for border in range(1, order.size)]
    before = np.stack([views[border - size : border].mean(axis=0) for border, size in enumerate(sizes, start=1)])
    after = np.stack([views[border : border + size].mean(axis=0) for border, size in enumerate(sizes, start=1)])
    weights = np.broadcast_to(window, after.shape)
    steps = np.zeros((order.size - 1, 2))
    for _ in range(5):
        there = _shifted(before, steps)
        slopes = [-np.gradient(there, axis=axis) for axis in (1, 2)]
        factors = _solve([*slopes, there, np.ones_like(there)], after, weights)
        steps = np.clip(steps + np.clip(factors[:, :2], -1.0, 1.0), -4.0, 4.0)
    return steps
