"""From a dynamic PET volume to flow in 17 segments: curves of wall and blood, then the compartment fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import AnalysisError, InputError
from myoperf.geometry import sample, transform_points
from myoperf.quant.flow import FlowFit, FlowTracer, fit_flow
from myoperf.segments import segment_means
from myoperf.types import BLOOD_POOL, LVFrame, PolarMap, Volume

__all__ = ["blood_curves", "measure_flow"]

Float = NDArray[np.floating[Any]]

_CORE_MM = 10.0
_RIGHT_MM, _RIGHT_RADIUS_MM = 16.0, 7.0


def blood_curves(dynamic: Volume, labels: Volume, frame: LVFrame, polar: PolarMap) -> tuple[Float, Float]:
    """Read the blood of both ventricles.

    Left: labelled blood pool in the basal half, within 10 mm of the long axis, where the wall spills in least.
    Right: a ball of 7 mm radius, 16 mm beyond the outside of the septum, 70 percent of the way from apex to base.

    Returns
    -------
    (left, right), each (frames,): mean activity.

    Raises
    ------
    AnalysisError
        When no labelled blood lies there, or the ball lies outside the volume.
    """
    index = np.argwhere(labels.array[0] == BLOOD_POOL)
    points = transform_points(labels.lps_from_index, index) if index.size else np.zeros((0, 3))
    offset = points - frame.centre_mm
    height = offset @ frame.axis
    far = np.linalg.norm(offset - height[:, None] * frame.axis, axis=1)
    core = points[(far <= _CORE_MM) & (height > 0) & (height < 0.5 * frame.length_mm)]
    if len(core) < 3:
        raise AnalysisError("There is too little labelled blood in the basal half of the left ventricle for a curve.")
    left = sample(dynamic, core).mean(axis=1)
    right = sample(dynamic, _right_ball(frame, polar), outside=np.nan)
    if not np.isfinite(right).all():
        raise AnalysisError("The right ventricle lies outside the volume, so it has no blood curve.")
    return np.asarray(left, dtype=np.float64), np.asarray(right.mean(axis=1), dtype=np.float64)


def _right_ball(frame: LVFrame, polar: PolarMap) -> Float:
    """Give points (n, 3) in the right ventricle, found from the septum's mid-wall."""
    ring, column = round(0.7 * polar.rings), round(0.25 * polar.angles)
    out = 0.5 * float(polar.thickness_mm[ring, column]) + _RIGHT_MM
    centre = polar.mid_wall_mm[ring, column] + out * frame.septal
    grid = np.arange(-2, 3) * (_RIGHT_RADIUS_MM / 2.0)
    ball = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(centre + ball[np.linalg.norm(ball, axis=1) <= _RIGHT_RADIUS_MM])


def measure_flow(
    dynamic: Volume,
    labels: Volume,
    frame: LVFrame,
    polar: PolarMap,
    *,
    frame_start_s: Float,
    frame_duration_s: Float,
    tracer: FlowTracer,
) -> FlowFit:
    """Measure flow in the 17 segments of a dynamic scan.

    Parameters
    ----------
    dynamic
        Decay-corrected activity, one frame a time interval.
    labels, frame
        Of the late frames' sum: labels on any grid, pose.
    polar
        Mean over the wall of `dynamic`, shape (frames, rings, angles).
    frame_start_s, frame_duration_s
        Shape (frames,).
    tracer
        ``"N-13"`` or ``"Rb-82"``.

    Returns
    -------
    FlowFit
        Arrays of 17, AHA order. Blood that spills into the wall is fitted; what the wall loses outwards, to lung,
        is not: flow comes out low by that share.

    Raises
    ------
    InputError
        When the polar map is not a mean, or has not a map a frame.
    """
    if polar.values.ndim != 3 or polar.values.shape[0] != dynamic.frames or polar.statistic != "mean":
        raise InputError(
            f"Flow needs a polar map of the wall's mean for each of the {dynamic.frames} frames; got shape "
            f"{polar.values.shape} of the {polar.statistic}."
        )
    left, right = blood_curves(dynamic, labels, frame, polar)
    return fit_flow(
        segment_means(np.asarray(polar.values, dtype=np.float64)).T,
        left,
        right=right,
        frame_start_s=frame_start_s,
        frame_duration_s=frame_duration_s,
        tracer=tracer,
    )
