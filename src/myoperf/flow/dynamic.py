"""From a dynamic PET volume to flow in 17 segments: curves of wall and blood, then the compartment fit."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import AnalysisError, InputError
from myoperf.flow.kinetics import DynamicProtocol, fit_flow, resample_blood, resample_residuals
from myoperf.geometry import sample, transform_points
from myoperf.segments import TERRITORIES, Territories, segment_means
from myoperf.types import BLOOD_POOL, Finding, Float, FlowResult, LVFrame, PolarMap, Volume

# These limits are MyoPerf's own.
_CORE_MM = 10.0
"""Radius about the long axis in which the left blood pool is read."""
_RIGHT_MM, _RIGHT_RADIUS_MM = 16.0, 7.0
"""Distance of the right ventricle's sample beyond the outside of the septum, and the radius of that ball."""
_AFTER_PEAK_S, _ENOUGH_S = 90.0, 60.0
"""Late frames begin this long after the first pass, and last at least this long together."""
_ARRIVED, _PEAK_RATIO = 0.5, 2.0
"""A first pass: less than this share of the peak in the first frame, and a peak of this many times late activity."""
_MOST_BLOOD = 0.7
"""Share of blood in a segment's activity above which its flow is not given: what is left of the wall's own would be
multiplied by more than 3."""
_POOR_PERCENT, _POOR_SEGMENTS = 25.0, 4
"""A poor fit misses the mean activity by this much, in this many segments."""


def late_frames(dynamic: Volume, frame_start_s: Float, frame_duration_s: Float) -> NDArray[np.bool_]:
    """Return which time frames show the wall against the blood.

    Those that begin 90 s or more after the frame whose brightest thousandth of voxels is hottest (the blood's first
    pass). Where these make less than 60 s, all frames in the last third of the scan's time.

    Parameters
    ----------
    dynamic
        (frames, planes, rows, columns).
    frame_start_s, frame_duration_s
        Shape (frames,).

    Returns
    -------
    Shape (frames,), bool.
    """
    start, end = np.asarray(frame_start_s), np.asarray(frame_start_s) + np.asarray(frame_duration_s)
    level = np.percentile(dynamic.array.reshape(dynamic.frames, -1), 99.9, axis=1)
    peak = int(level.argmax())
    late = start >= 0.5 * (start[peak] + end[peak]) + _AFTER_PEAK_S
    if (end - start)[late].sum() < _ENOUGH_S:
        late = end > start[0] + (end[-1] - start[0]) * 2.0 / 3.0
    return np.asarray(late)


def blood_curves(dynamic: Volume, labels: Volume, frame: LVFrame, polar: PolarMap) -> tuple[Float, Float]:
    """Return the time-activity curves of the blood in both ventricles.

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
    """Return points (n, 3) in the right ventricle, placed from the septum's mid-wall."""
    ring, column = round(0.7 * polar.rings), round(0.25 * polar.angles)
    out = 0.5 * float(polar.thickness_mm[ring, column]) + _RIGHT_MM
    centre = polar.mid_wall_mm[ring, column] + out * frame.septal
    grid = np.arange(-2, 3) * (_RIGHT_RADIUS_MM / 2.0)
    ball = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(centre + ball[np.linalg.norm(ball, axis=1) <= _RIGHT_RADIUS_MM])


def _check_input(left: Float) -> None:
    """Refuse a curve of the left ventricle's blood in which the tracer's first pass cannot be seen."""
    peak = int(left.argmax())
    late = float(np.median(left[-max(3, left.size // 4) :]))
    if not left[peak] > _PEAK_RATIO * late:
        raise AnalysisError(
            "No arterial input: the left ventricle's blood has no peak of twice its late activity; the dynamic series "
            "must begin before the injection, and the ventricle must be located correctly."
        )
    if left[0] > _ARRIVED * left[peak]:
        raise AnalysisError(
            "No arterial input: the tracer was in the left ventricle when the first time frame began; start the "
            "dynamic series before the injection."
        )


def territory_means(values: Float, territories: Territories) -> dict[str, float]:
    """Return the mean of 17 numbers over each vessel's segments and over all (``"global"``).

    NaN is left out, and so is a vessel that has nothing else.

    Parameters
    ----------
    values
        Shape (17,), AHA order.
    territories
        Vessel -> its segments.

    Examples
    --------
    >>> means = territory_means(np.arange(1.0, 18.0), TERRITORIES)
    >>> means["RCA"], means["global"]
    (8.2, 9.0)
    """
    parts = {v: np.asarray(values)[np.asarray(segments, dtype=np.int64) - 1] for v, segments in territories.items()}
    parts["global"] = np.asarray(values)
    return {name: float(np.nanmean(part)) for name, part in parts.items() if np.isfinite(part).any()}


def measure_flow(
    dynamic: Volume,
    labels: Volume,
    frame: LVFrame,
    polar: PolarMap,
    *,
    protocol: DynamicProtocol,
    territories: Territories = TERRITORIES,
    rng: np.random.Generator | None = None,
) -> FlowResult:
    """Measure flow in the 17 segments of a dynamic scan.

    Parameters
    ----------
    dynamic
        Decay-corrected activity, one frame a time interval.
    labels, frame
        Of the late frames' mean: labels on any grid, pose.
    polar
        Mean over the wall of `dynamic`, shape (frames, rings, angles).
    territories
        Whose segments are averaged for the vessels' flow.
    rng
        With it the segments' curves are resampled about their fit (`resample_residuals`), those of the blood about
        themselves (`resample_blood`), and all is fitted again: one draw of what noise does to flow.

    Returns
    -------
    FlowResult
        Flow and K1 are NaN where more than 70 % of a segment's activity is blood. Blood that spills into the
        wall is fitted; what the wall loses outwards, to lung, is not: flow comes out low by that share.

    Raises
    ------
    InputError
        When the polar map is not a mean, or does not have one map for each frame.
    AnalysisError
        When the blood of a ventricle cannot be read, or does not show the tracer's first pass.
    """
    if polar.values.ndim != 3 or polar.values.shape[0] != dynamic.frames or polar.statistic != "mean":
        raise InputError(
            f"Flow needs a polar map of the wall's mean for each of the {dynamic.frames} frames; got shape "
            f"{polar.values.shape} of the {polar.statistic}."
        )
    left, right = blood_curves(dynamic, labels, frame, polar)
    _check_input(left)
    wall = np.asarray(segment_means(np.asarray(polar.values, dtype=np.float64)).T)
    fit = fit_flow(wall, left, right=right, protocol=protocol)
    if rng is not None:
        resampled = [resample_residuals(wall, fit.fitted, rng)]
        resampled += [resample_blood(pool, rng, protocol=protocol) for pool in (left, right)]
        fit = replace(fit_flow(*resampled[:2], right=resampled[2], protocol=protocol), fitted=fit.fitted)
    blood = fit.spill_lv + fit.spill_rv > _MOST_BLOOD
    mbf, k1 = (np.where(blood, np.nan, values) for values in (fit.mbf_ml_min_g, fit.k1))
    return FlowResult(
        tracer=protocol.tracer,
        mbf_ml_min_g=mbf,
        k1_ml_min_g=k1,
        k2_per_min=fit.k2,
        spill_lv=fit.spill_lv,
        spill_rv=fit.spill_rv,
        residual_percent=fit.residual_percent,
        territories_ml_min_g=territory_means(mbf, territories),
        start_s=protocol.start_s,
        duration_s=protocol.duration_s,
        left=left,
        right=right,
        wall=wall,
        fitted=fit.fitted,
    )


def check_flow(flow: FlowResult) -> tuple[Finding, ...]:
    """Return findings on a flow measurement.

    Returns
    -------
    ``flow-fit-poor`` where the model does not follow the curves of several segments, ``flow-segments-blood`` where
    segments have no flow because they are mostly blood.
    """
    findings = []
    poor = int((flow.residual_percent > _POOR_PERCENT).sum())
    if poor >= _POOR_SEGMENTS:
        text = (
            f"In {poor} of 17 segments the flow model misses the measured curve by more than {_POOR_PERCENT:.0f} % of "
            "its mean: check for motion between time frames and for noise before relying on flow."
        )
        findings.append(Finding("flow-fit-poor", "warning", text))
    without = np.flatnonzero(~np.isfinite(flow.mbf_ml_min_g)) + 1
    if without.size:
        text = (
            f"More than {100 * _MOST_BLOOD:.0f} % of the activity in segment {', '.join(map(str, without))} is blood: "
            "no flow is given there; check the contours."
        )
        findings.append(Finding("flow-segments-blood", "warning", text))
    return tuple(findings)
