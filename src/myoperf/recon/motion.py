"""Patient motion between raw views: estimated by comparing neighbouring views, and corrected.

The image changes slowly from view to view, so a jump stands out. Along the body's axis the sum of a
row is nearly the same in every view (the zeroth moment of consistency); across it the heart follows
a smooth curve in the sinogram. Shifts between neighbouring views are measured by least squares, the
slow trend is subtracted, and what remains above the noise is motion.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.types import Finding, Float, Projections

_TREND_VIEWS = 13  # width of the median that follows the slow trend
_VIEWS_AVERAGED = 3  # on either side of a border
_SMALLEST_SHIFT_PIXELS = 0.45
_LARGEST_SHIFT_PIXELS = 6
_STEPS_PER_PIXEL = 20  # shifts are rounded to a twentieth of a pixel
_SMALLEST_SIDE_PIXELS = 4 * _LARGEST_SHIFT_PIXELS  # shorter sides overlap too little at the largest shift


@dataclass(frozen=True, eq=False)
class Motion:
    """Motion of a patient in raw views.

    Attributes
    ----------
    shift_mm
        Shape (views, 2): displacement of each view from the median position, along rows (positive towards
        the feet) and along columns (positive towards higher columns).
    """

    shift_mm: Float

    @property
    def largest_mm(self) -> float:
        """Largest displacement between any two views along one direction."""
        return float(np.ptp(self.shift_mm, axis=0).max())


def estimate_motion(projections: Projections) -> Motion:
    """Estimate sudden shifts between neighbouring views; gates are summed.

    No shift is estimated along a side of fewer than 24 pixels.

    Raises
    ------
    InputError
        When there are fewer than 12 views.
    """
    if projections.views < 12:
        raise InputError(f"Motion can be estimated from 12 views or more; got {projections.views}.")
    order = np.argsort(projections.angles_deg, kind="stable")
    order = np.roll(order, -_start_of_arc(projections.angles_deg[order]))
    views = projections.summed().array[0][order].astype(np.float64)
    views = ndimage.gaussian_filter(np.sqrt(np.maximum(views, 0.0)), (0, 0.7, 0.7))
    step_deg = float(np.median(np.abs((np.diff(projections.angles_deg[order]) + 180.0) % 360.0 - 180.0)))
    shift = np.zeros((projections.views, 2))
    for axis in (0, 1):
        # Across the body the heart's projection itself moves from view to view: the threshold is higher there.
        threshold = _SMALLEST_SHIFT_PIXELS + (0.15 * step_deg if axis == 1 else 0.0)
        if views.shape[1 + axis] < _SMALLEST_SIDE_PIXELS:
            continue
        steps = _sudden_steps(_steps(views, axis), threshold)
        total = np.concatenate([[0.0], np.cumsum(steps)]) * projections.pixel_mm[axis]
        shift[order, axis] = total - np.median(total)
    return Motion(shift)


def _start_of_arc(angles: Float) -> int:
    """Return the index in sorted angles of the first view after the arc's widest gap."""
    gaps = np.diff(np.concatenate([angles, angles[:1] + 360.0]))
    return int((gaps.argmax() + 1) % angles.size)


def _steps(views: Float, axis: int) -> Float:
    """Return the shift in pixels between the views before and after each border, shape (views - 1,).

    Three views are averaged on either side: noise falls, and a lasting step keeps its size.
    """
    steps = np.empty(len(views) - 1)
    for border in range(1, len(views)):
        before, after = views[max(0, border - _VIEWS_AVERAGED) : border], views[border : border + _VIEWS_AVERAGED]
        size = min(len(before), len(after))
        steps[border - 1] = _shift(before[-size:].mean(axis=0), after[:size].mean(axis=0), axis)
    return steps


def _shift(first: Float, second: Float, axis: int) -> float:
    """Return the shift along one axis at which two images match best, by a parabola to a twentieth of a pixel."""
    lags = np.arange(-_LARGEST_SHIFT_PIXELS, _LARGEST_SHIFT_PIXELS + 1)
    fixed, moving = (np.moveaxis(image, axis, 0) for image in (first, second))
    inner = slice(_LARGEST_SHIFT_PIXELS, fixed.shape[0] - _LARGEST_SHIFT_PIXELS)
    scores = np.array([-((np.roll(moving, -lag, axis=0)[inner] - fixed[inner]) ** 2).sum() for lag in lags])
    best = int(np.clip(scores.argmax(), 1, lags.size - 2))
    left, middle, right = scores[best - 1 : best + 2]
    curvature = left - 2 * middle + right
    fraction = 0.0 if curvature >= 0 else float(np.clip(0.5 * (left - right) / curvature, -1, 1))
    return round((float(lags[best]) + fraction) * _STEPS_PER_PIXEL) / _STEPS_PER_PIXEL


def _sudden_steps(steps: Float, threshold: float) -> Float:
    """Return the steps that stand out from their slow trend and noise, one for each motion; the rest are 0."""
    rest = steps - ndimage.median_filter(steps, _TREND_VIEWS, mode="nearest")
    noise = 1.4826 * float(np.median(np.abs(rest)))
    # A motion shows at every border whose averages include it: only the largest step counts.
    largest = np.abs(rest) >= ndimage.maximum_filter1d(np.abs(rest), 2 * _VIEWS_AVERAGED + 1)
    return np.where(largest & (np.abs(rest) > max(threshold, 5.0 * noise)), rest, 0.0)


def correct_motion(projections: Projections, motion: Motion | None = None) -> Projections:
    """Return the projections with every view shifted back, linearly interpolated.

    Counts shifted out of a view are lost. Only shifts within the view can be corrected, neither
    rotation nor motion towards the camera.

    Parameters
    ----------
    motion
        Estimated when None.
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
    """Return the finding ``patient-motion``: info from half a pixel, warning from one pixel (of 6.4 mm)."""
    if projections.views < 12:
        return ()
    motion = estimate_motion(projections)
    if motion.largest_mm < 3.2:
        return ()
    direction = (
        "along the body" if np.ptp(motion.shift_mm[:, 0]) >= np.ptp(motion.shift_mm[:, 1]) else "across the body"
    )
    message = (
        f"The patient appears to have moved by {motion.largest_mm:.0f} mm {direction} between views; this can "
        "mimic disease. The views can be corrected before reconstruction."
    )
    return (Finding("patient-motion", "warning" if motion.largest_mm >= 6.4 else "info", message),)
