"""Registration of two polar maps about the long axis."""

from dataclasses import dataclass, replace

import numpy as np

from myoperf.errors import InputError
from myoperf.types import Float, PolarMap

_STEP_DEG = 1.0
_MIN_GAIN = 0.01
"""Gain in correlation below which a map is left as it is: the pattern then has no landmarks."""


@dataclass(frozen=True, eq=False)
class Registration:
    """A polar map turned to match a reference.

    Attributes
    ----------
    polar
        The moving map, turned.
    shift_deg
        Angle by which it was turned; positive moves the pattern from anterior towards the septum.
    correlation_before, correlation
        With the reference, before and after.
    """

    polar: PolarMap
    shift_deg: float
    correlation_before: float
    correlation: float


def register_polar(reference: PolarMap, moving: PolarMap, *, max_shift_deg: float = 15.0) -> Registration:
    """Turn a map about the long axis by the small angle that best matches a reference.

    Stress and rest, each in its `LVFrame`, already share apex, base and anterior; a few degrees of
    uncertainty in the anterior direction remain. The angle with the highest correlation of uptake and
    wall thickness is taken, in steps of one degree, and only if the correlation gains at least 0.01 or
    half of what it lacks from 1: a defect present in one state alone must not turn the map. Values
    between samples are interpolated linearly. A perfusion pattern without landmarks gives no shift.
    MyoPerf's own method.

    Parameters
    ----------
    reference, moving
        Ungated, on the same grid.
    max_shift_deg
        Largest angle, 0 to 45 degrees.

    Raises
    ------
    InputError
        When a map is gated, the grids differ or the largest shift is not within 0 to 45 degrees.
    """
    if reference.values.ndim != 2 or reference.values.shape != moving.values.shape:
        raise InputError(
            f"Registration needs two ungated maps of one grid; got {reference.values.shape} and {moving.values.shape}."
        )
    if not 0.0 <= max_shift_deg <= 45.0:
        raise InputError(f"The largest shift is an angle from 0 to 45 degrees; got {max_shift_deg}.")
    shifts = np.arange(-max_shift_deg, max_shift_deg + 0.5 * _STEP_DEG, _STEP_DEG)
    shifts = shifts[np.argsort(np.abs(shifts), kind="stable")]
    features = [moving.values, moving.thickness_mm]
    targets = [_standard(reference.values), _standard(reference.thickness_mm)]
    scores = np.array(
        [
            np.mean([np.mean(_standard(_turn(f, s)) * t) for f, t in zip(features, targets, strict=True) if t.any()])
            if any(t.any() for t in targets)
            else 0.0
            for s in np.concatenate([[0.0], shifts])
        ]
    )
    best = int(np.argmax(scores))
    if scores[best] - scores[0] < min(_MIN_GAIN, 0.5 * (1.0 - scores[0])):
        best = 0
    shift = float(np.concatenate([[0.0], shifts])[best])
    turned = replace(
        moving,
        values=_turn(moving.values, shift),
        thickness_mm=_turn(moving.thickness_mm, shift),
        mid_wall_mm=np.moveaxis(_turn(np.moveaxis(moving.mid_wall_mm, -1, 0), shift), 0, -1),
    )
    return Registration(turned, shift, float(scores[0]), float(scores[best]))


def _turn(values: Float, shift_deg: float) -> Float:
    """Shift a (..., rings, angles) pattern towards higher angles, linearly interpolated."""
    steps = shift_deg * values.shape[-1] / 360.0
    whole = int(np.floor(steps))
    part = steps - whole
    near = np.roll(values, whole, axis=-1)
    return near if part == 0 else (1 - part) * near + part * np.roll(values, whole + 1, axis=-1)


def _standard(values: Float) -> Float:
    """Scale to mean 0, SD 1; a flat map becomes zeros."""
    centred = values - values.mean()
    spread = centred.std()
    return np.asarray(centred / spread if spread > 1e-6 * abs(float(values.mean())) else np.zeros_like(centred))
