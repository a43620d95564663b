"""Dynamic PET in the main job: the late frames that show the wall, and flow where the series allows it."""

from collections.abc import Mapping, Sequence

import numpy as np

from myoperf.errors import AnalysisError, MyoPerfError
from myoperf.flow import (
    FEWEST_FRAMES,
    HALF_LIFE_S,
    DynamicProtocol,
    FlowTracer,
    check_flow,
    flow_reserve,
    late_frames,
    measure_flow,
)
from myoperf.lv import LVFit
from myoperf.perfusion import isotope_of
from myoperf.polar import WallSurface, sample_surface
from myoperf.segments import Territories
from myoperf.types import Finding, Float, FlowReserve, FlowResult, Scan, ScanResult, State, Volume

_TRACERS: Mapping[str, FlowTracer] = {"Rb-82": "Rb-82", "N-13": "N-13"}
_UNRELIABLE = ("decay-doubtful", "time-frames-missing")
"""Findings of reading after which activities or times of a dynamic series cannot be trusted."""


def summed_volume(scan: Scan, frames: Volume) -> tuple[Volume, tuple[Finding, ...]]:
    """Return the one-frame volume that the ventricle is located on.

    It is the sum over gates, or the mean over a dynamic scan's late frames (`myoperf.flow.late_frames`). Those are
    weighted with their duration and with the share of the tracer that has not decayed, that is by their counts, since
    the values are corrected for decay.
    """
    if scan.framing != "dynamic" or frames.frames == 1:
        return frames.summed(), ()
    times = _times_s(scan)
    if times is None:
        chosen, weight = np.arange(frames.frames) >= frames.frames // 2, np.ones(frames.frames)
        when = "the second half, as the files give no times"
    else:
        start, duration = times
        chosen = late_frames(frames, start, duration)
        half_life = HALF_LIFE_S.get(isotope_of(scan.tracer) or "", np.inf)
        weight = duration * 0.5 ** ((start + 0.5 * duration) / half_life)
        at = np.flatnonzero(chosen)
        when = f"{start[at[0]]:.0f} to {start[at[-1]] + duration[at[-1]]:.0f} s after the first frame began"
    share = np.where(chosen, weight, 0.0)
    volume = frames.with_array(np.tensordot((share / share.sum()).astype(np.float32), frames.array, axes=1))
    first, last = np.flatnonzero(chosen)[[0, -1]] + 1
    text = f"The ventricle was located on time frames {first} to {last} of {frames.frames} ({when})."
    return volume, (Finding("late-frames-summed", "info", text),)


def flow_of_scan(
    scan: Scan,
    frames: Volume,
    fit: LVFit,
    surface: WallSurface,
    *,
    territories: Territories,
    rng: np.random.Generator | None = None,
) -> tuple[FlowResult | None, tuple[Finding, ...]]:
    """Measure the blood flow of a dynamic scan; where that cannot be done, return a finding that says why.

    Parameters
    ----------
    frames
        The scan's time frames.
    fit, surface
        Pose and labels of the ventricle, and the surface of its wall, on which every frame is sampled.
    rng
        Resamples the time-activity curves, for intervals.
    """
    if scan.framing != "dynamic" or frames.frames == 1:
        return None, ()
    tracer, times = _TRACERS.get(isotope_of(scan.tracer) or ""), _times_s(scan)
    unreliable = [f.code for f in scan.findings if f.code in _UNRELIABLE]
    if tracer is None:
        return _no_flow("flow-tracer-unknown", "its model covers N-13 ammonia and Rb-82 only, not this tracer")
    if times is None:
        return _no_flow("flow-no-times", "the files do not give the start and the duration of each time frame")
    if unreliable:
        return _no_flow("flow-series-doubtful", f"the dynamic series is unreliable ({', '.join(unreliable)})")
    if frames.frames < FEWEST_FRAMES:
        return _no_flow("flow-too-few-frames", f"{frames.frames} time frames are too few; it needs {FEWEST_FRAMES}")
    try:
        flow = measure_flow(
            frames,
            fit.labels,
            fit.frame,
            sample_surface(frames, surface).mean,
            protocol=DynamicProtocol(tracer=tracer, start_s=times[0], duration_s=times[1]),
            territories=territories,
            rng=rng,
        )
    except AnalysisError as error:
        return _no_flow("flow-no-input", str(error).rstrip("."))
    except MyoPerfError as error:
        return _no_flow("flow-failed", str(error).rstrip("."))
    if not np.isfinite(flow.mbf_ml_min_g).any():
        return _no_flow("flow-no-input", "most of the activity is blood in every segment")
    return flow, check_flow(flow)


def _no_flow(code: str, reason: str) -> tuple[None, tuple[Finding, ...]]:
    return None, (Finding(code, "warning", f"Blood flow was not measured: {reason}."),)


def _times_s(scan: Scan) -> tuple[Float, Float] | None:
    """Return the starts and durations of the time frames in seconds, where both are known."""
    if scan.frame_start_ms is None or scan.frame_duration_ms is None:
        return None
    return scan.frame_start_ms / 1000.0, scan.frame_duration_ms / 1000.0


def reserve_of_scans(results: Sequence[ScanResult]) -> FlowReserve | None:
    """Return the myocardial flow reserve of a study; None unless the first scans of stress and of rest have flow.

    A vessel's is its mean flow at stress over that at rest.
    """
    flows: dict[State, FlowResult] = {}
    for result in results:
        if result.state is not None and result.flow is not None:
            flows.setdefault(result.state, result.flow)
    if len(flows) < 2:
        return None
    stress, rest = flows["stress"], flows["rest"]
    below = rest.territories_ml_min_g
    return FlowReserve(
        segments=flow_reserve(stress.mbf_ml_min_g, rest.mbf_ml_min_g),
        territories={
            name: float(flow_reserve(flow, below.get(name, 0.0))) for name, flow in stress.territories_ml_min_g.items()
        },
    )
