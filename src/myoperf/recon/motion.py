"""A patient who moved between raw views: found by comparing each view with the next, and undone.

What a camera sees changes slowly from view to view; a jump stands out. Along the body's axis the sum
of a row is nearly the same in every view (the zeroth moment of consistency); across it the heart
follows a smooth curve in the sinogram. Shifts of neighbouring views are measured by cross-correlation,
the slow trend is taken off, and what is left above the noise is movement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.types import Finding, Float, Projections

__all__ = ["Motion", "check_motion", "correct_motion", "estimate_motion"]


_TREND_VIEWS = 13
_SIDE = 3
_LEAST_PIXELS = 0.45
_MAX_PIXELS = 6
_UPSAMPLE = 20
_LEAST_SIDE = 4 * _MAX_PIXELS


@dataclass(frozen=True, eq=False)
class Motion:
    """Movement in raw views.

    Attributes
    ----------
    shift_mm
        Shape (views, 2): how far the picture of each view lies from the first's place, along rows (positive
        towards the feet) and along columns (positive towards higher columns), in mm.
    """

    shift_mm: Float

    @property
    def largest_mm(self) -> float:
        """Largest distance between any two views' places along one direction."""
        return float(np.ptp(self.shift_mm, axis=0).max())


def estimate_motion(projections: Projections) -> Motion:
    """Find sudden shifts between neighbouring views; gates are summed.

    Along a side of fewer than 24 pixels no shift is looked for.

    Raises
    ------
    InputError
        When there are fewer than 12 views.
    """
    if projections.views < 12:
        raise InputError(f"Motion is judged on 12 views or more; got {projections.views}.")
    order = np.argsort(projections.angles_deg, kind="stable")
    if _start_of_arc(projections.angles_deg[order]) > 0:
        order = np.roll(order, -_start_of_arc(projections.angles_deg[order]))
    views = projections.summed().array[0][order].astype(np.float64)
    views = ndimage.gaussian_filter(np.sqrt(np.maximum(views, 0.0)), (0, 0.7, 0.7))
    step_deg = float(np.median(np.abs(_turned(np.diff(projections.angles_deg[order])))))
    shift = np.zeros((projections.views, 2))
    for axis in (0, 1):
        # Across the body the heart itself moves on from view to view: ask for more there.
        least = _LEAST_PIXELS + (0.15 * step_deg if axis == 1 else 0.0)
        if views.shape[1 + axis] < _LEAST_SIDE:
            continue
        steps = _sudden(_steps(views, axis), least)
        total = np.concatenate([[0.0], np.cumsum(steps)]) * projections.pixel_mm[axis]
        shift[order, axis] = total - np.median(total)
    return Motion(shift)


def _start_of_arc(angles: Float) -> int:
    """Give how far to roll sorted angles so that the widest gap of the arc lies at the ends."""
    gaps = np.diff(np.concatenate([angles, angles[:1] + 360.0]))
    return int((gaps.argmax() + 1) % angles.size)


def _turned(degrees: Float) -> Float:
    """Bring angles to -180 to 180."""
    return np.asarray((degrees + 180.0) % 360.0 - 180.0)


def _steps(views: Float, axis: int) -> Float:
    """Measure by how many pixels the views before each border differ from those after it: (views - 1,).

    Three views are averaged on either side: noise falls, and a step that lasts stays whole.
    """
    steps = np.empty(len(views) - 1)
    for border in range(1, len(views)):
        before, after = views[max(0, border - _SIDE) : border], views[border : border + _SIDE]
        size = min(len(before), len(after))
        steps[border - 1] = _shift(before[-size:].mean(axis=0), after[:size].mean(axis=0), axis)
    return steps


def _shift(first: Float, second: Float, axis: int) -> float:
    """Cross-correlate two pictures along one axis, to a twentieth of a pixel by a parabola."""
    lags = np.arange(-_MAX_PIXELS, _MAX_PIXELS + 1)
    a, b = (np.moveaxis(picture, axis, 0) for picture in (first, second))
    inner = slice(_MAX_PIXELS, a.shape[0] - _MAX_PIXELS)
    scores = np.empty(lags.size)
    for i, lag in enumerate(lags):
        moved = np.roll(b, -lag, axis=0)[inner]
        scores[i] = -((moved - a[inner]) ** 2).sum()
    best = int(np.clip(scores.argmax(), 1, lags.size - 2))
    left, middle, right = scores[best - 1 : best + 2]
    bend = left - 2 * middle + right
    part = 0.0 if bend >= 0 else float(np.clip(0.5 * (left - right) / bend, -1, 1))
    return round((float(lags[best]) + part) * _UPSAMPLE) / _UPSAMPLE


def _sudden(steps: Float, least: float) -> Float:
    """Keep only what stands out from the slow trend and the noise of the steps, once a movement; the rest is 0."""
    rest = steps - ndimage.median_filter(steps, _TREND_VIEWS, mode="nearest")
    noise = 1.4826 * float(np.median(np.abs(rest)))
    # A step spreads over the borders whose averages hold it: only the largest of them is the movement.
    largest = np.abs(rest) >= ndimage.maximum_filter1d(np.abs(rest), 2 * _SIDE + 1)
    return np.where(largest & (np.abs(rest) > max(least, 5.0 * noise)), rest, 0.0)


def correct_motion(projections: Projections, motion: Motion | None = None) -> Projections:
    """Move every view back, linearly interpolated; counts that leave the view are lost.

    A shift within the view is undone; turning and movement towards the camera cannot be.

    Parameters
    ----------
    motion
        What to undo; estimated when None.
    """
    motion = motion or estimate_motion(projections)
    if motion.shift_mm.shape != (projections.views, 2):
        raise InputError(f"{projections.views} views need as many shifts; got {motion.shift_mm.shape[0]}.")
    pixels = motion.shift_mm / np.asarray(projections.pixel_mm)
    out = projections.array.astype(np.float32)
    for view in np.flatnonzero(np.abs(pixels).max(axis=1) > 0):
        for frame in out:
            frame[view] = ndimage.shift(frame[view], -pixels[view], order=1, mode="constant")
    return replace(projections, array=out)


def check_motion(projections: Projections) -> tuple[Finding, ...]:
    """Warn of movement: ``patient-motion``, info from half a pixel, warning from one pixel (of 6.4 mm)."""
    if projections.views < 12:
        return ()
    motion = estimate_motion(projections)
    if motion.largest_mm < 3.2:
        return ()
    direction = (
        "along the body" if np.ptp(motion.shift_mm[:, 0]) >= np.ptp(motion.shift_mm[:, 1]) else "across the body"
    )
    message = (
        f"The patient seems to have moved by {motion.largest_mm:.0f} mm {direction} between views; this can "
        "look like disease. The views can be corrected before reconstruction."
    )
    return (Finding("patient-motion", "warning" if motion.largest_mm >= 6.4 else "info", message),)
