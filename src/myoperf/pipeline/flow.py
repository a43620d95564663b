"""Dynamic PET in the main job: the late frames that show the wall, and flow where the series allows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from myoperf.errors import AnalysisError, MyoPerfError
from myoperf.flow import FlowTracer, flow_reserve, late_frames, measure_flow
from myoperf.flow.dynamic import MOST_BLOOD
from myoperf.flow.kinetics import HALF_LIFE_S
from myoperf.perfusion import isotope_of
from myoperf.polar import sample_polar_map
from myoperf.segments import Territories
from myoperf.types import Finding, Float, FlowResult, LVFrame, Scan, ScanResult, Scores, State, Volume

__all__ = ["flow_of", "reserve_of", "still_volume", "with_reserve"]


_TRACERS: Mapping[str, FlowTracer] = {"Rb-82": "Rb-82", "N-13": "N-13"}
_FEWEST = 8
_POOR_PERCENT = 25.0
_DOUBTS = ("decay-doubtful", "time-frames-missing")


def still_volume(scan: Scan, moving: Volume) -> tuple[Volume, tuple[Finding, ...]]:
    """Give the volume the ventricle is found on: the sum over gates, or the mean over a dynamic scan's late frames.

    Late frames (`myoperf.flow.late_frames`) are weighted with their duration and with what of the tracer has not
    decayed, that is by their counts, as the values are corrected for decay.
    """
    if scan.framing != "dynamic" or moving.frames == 1:
        return moving.summed(), ()
    times = _times_s(scan)
    if times is None:
        chosen, weight = np.arange(moving.frames) >= moving.frames // 2, np.ones(moving.frames)
        spoken = "without times: its second half was taken"
    else:
        start, duration = times
        chosen = late_frames(moving, start, duration)
        half_life = HALF_LIFE_S.get(isotope_of(scan.tracer) or "", np.inf)
        weight = duration * 0.5 ** ((start + 0.5 * duration) / half_life)
        at = np.flatnonzero(chosen)
        spoken = f"{start[at[0]]:.0f} to {start[at[-1]] + duration[at[-1]]:.0f} s after the first began"
    share = np.where(chosen, weight, 0.0)
    volume = moving.with_array(np.tensordot((share / share.sum()).astype(np.float32), moving.array, axes=1))
    first, last = np.flatnonzero(chosen)[[0, -1]] + 1
    text = f"The ventricle was found on time frames {first} to {last} of {moving.frames} ({spoken})."
    return volume, (Finding("late-frames-summed", "info", text),)


def flow_of(
    scan: Scan,
    moving: Volume,
    frame: LVFrame,
    labels: Volume,
    *,
    grid: tuple[int, int],
    territories: Territories,
    rng: np.random.Generator | None = None,
) -> tuple[FlowResult | None, tuple[Finding, ...]]:
    """Measure the flow of a dynamic scan; where that cannot be done, say why and go on.

    Parameters
    ----------
    moving
        The scan's time frames.
    grid
        (rings, angles) of the polar map.
    rng
        Draws the curves anew, for intervals.
    """
    if scan.framing != "dynamic" or moving.frames == 1:
        return None, ()
    tracer, times = _TRACERS.get(isotope_of(scan.tracer) or ""), _times_s(scan)
    doubts = [f.code for f in scan.findings if f.code in _DOUBTS]
    if tracer is None:
        return _none("flow-tracer-unknown", "the tracer is none whose extraction is known here (N-13 ammonia, Rb-82)")
    if times is None:
        return _none("flow-no-times", "the files do not tell when each time frame began and how long it was")
    if doubts:
        return _none("flow-series-doubtful", f"the series is in doubt ({', '.join(doubts)})")
    if moving.frames < _FEWEST:
        return _none("flow-too-few-frames", f"{moving.frames} time frames are too few, {_FEWEST} are needed")
    try:
        maps = sample_polar_map(moving, labels, frame, rings=grid[0], angles=grid[1])
        found = measure_flow(
            moving,
            labels,
            frame,
            maps.mean,
            frame_start_s=times[0],
            frame_duration_s=times[1],
            tracer=tracer,
            territories=territories,
            rng=rng,
        )
    except AnalysisError as error:
        return _none("flow-no-input", str(error).rstrip("."))
    except MyoPerfError as error:
        return _none("flow-failed", str(error).rstrip("."))
    if not np.isfinite(found.mbf_ml_min_g).any():
        return _none("flow-no-input", "blood outshines the wall in every segment")
    return found, (*_poor(found), *_mostly_blood(found))


def _none(code: str, why: str) -> tuple[None, tuple[Finding, ...]]:
    return None, (Finding(code, "warning", f"Blood flow was not measured: {why}."),)


def _poor(found: FlowResult) -> tuple[Finding, ...]:
    """Say when the model does not describe the curves."""
    poor = int((found.residual_percent > _POOR_PERCENT).sum())
    if poor < 4:
        return ()
    text = (
        f"In {poor} of 17 segments the flow model misses the measured curve by more than {_POOR_PERCENT:.0f} % of its "
        "mean: look for movement between frames and noise before trusting flow."
    )
    return (Finding("flow-fit-poor", "warning", text),)


def _mostly_blood(found: FlowResult) -> tuple[Finding, ...]:
    """Say which segments have no flow."""
    without = np.flatnonzero(~np.isfinite(found.mbf_ml_min_g)) + 1
    if not without.size:
        return ()
    text = (
        f"More than {100 * MOST_BLOOD:.0f} % of the activity in segment {', '.join(map(str, without))} is blood: no "
        "flow is given there; check the contours."
    )
    return (Finding("flow-segments-blood", "warning", text),)


def _times_s(scan: Scan) -> tuple[Float, Float] | None:
    """Give starts and durations in seconds, where both are known."""
    if scan.frame_start_ms is None or scan.frame_duration_ms is None:
        return None
    return scan.frame_start_ms / 1000.0, scan.frame_duration_ms / 1000.0


def reserve_of(results: Sequence[ScanResult]) -> dict[str, Any]:
    """Give myocardial flow reserve: 17 ``segments``, each vessel's and ``global``; empty without stress and rest.

    A vessel's is its mean flow at stress over that at rest; NaN where rest has none.
    """
    of: dict[State, FlowResult] = {}
    for result in results:
        if result.state is not None and result.flow is not None:
            of.setdefault(result.state, result.flow)
    if len(of) < 2:
        return {}
    stress, rest = of["stress"], of["rest"]
    out: dict[str, Any] = {"segments": flow_reserve(stress, rest)}
    for name, flow in stress.territories_ml_min_g.items():
        below = rest.territories_ml_min_g.get(name, 0.0)
        out[name] = flow / below if below > 0 else float("nan")
    return out


def with_reserve(scores: Scores, results: Sequence[ScanResult]) -> Scores:
    """Add the flow reserve to a study's scores, where there is one."""
    reserve = reserve_of(results)
    return replace(scores, more={**scores.more, "flow_reserve": reserve}) if reserve else scores
