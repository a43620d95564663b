"""Myocardial blood flow from dynamic PET: one tissue compartment with spill-over.

The tissue's activity is C_T(t) = K1 exp(-k2 t) * C_a(t) (convolved); what the image shows of the wall is
(1 - f_LV - f_RV) C_T + f_LV C_LV + f_RV C_RV, averaged over each frame (Hutchins et al., J Am Coll Cardiol
1990;15:1032 for N-13 ammonia; Lortie et al., Eur J Nucl Med Mol Imaging 2007;34:1765,
doi:10.1007/s00259-007-0478-2 for Rb-82). Activities are decay-corrected and share one unit; times
are seconds, flow is ml/min/g, K1 ml/min/g and k2 1/min.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from myoperf.errors import InputError

__all__ = ["FlowFit", "FlowTracer", "fit_flow", "flow_from_k1", "flow_reserve", "k1_from_flow", "tissue_curve"]

Float = NDArray[np.floating[Any]]
FlowTracer = Literal["N-13", "Rb-82"]

_EXTRACTION = {"N-13": (0.0, 1.0), "Rb-82": (0.77, 0.63)}
_STEP_S = 1.0
_K2_PER_MIN = np.concatenate([[0.0], np.geomspace(0.01, 6.0, 90)])


@dataclass(frozen=True, eq=False)
class FlowFit:
    """Flow of each region; arrays of shape (regions,).

    Attributes
    ----------
    mbf_ml_min_g, k1, k2
        Flow, uptake rate (ml/min/g) and washout rate (1/min).
    spill_lv, spill_rv
        Shares of the blood pools in the region.
    residual_percent
        Root mean square of the misfit against the region's mean activity.
    """

    mbf_ml_min_g: Float
    k1: Float
    k2: Float
    spill_lv: Float
    spill_rv: Float
    residual_percent: Float


def k1_from_flow(flow: ArrayLike, tracer: FlowTracer) -> Float:
    """Give K1 = F (1 - a exp(-b / F)): a = 0.77, b = 0.63 for Rb-82; a = 0 for N-13 ammonia."""
    a, b = _tracer(tracer)
    f = np.asarray(flow, dtype=np.float64)
    if (f < 0).any():
        raise InputError("Blood flow cannot be negative.")
    return np.asarray(f * (1.0 - a * np.exp(-b / np.maximum(f, 1e-9))))


def flow_from_k1(k1: ArrayLike, tracer: FlowTracer) -> Float:
    """Invert `k1_from_flow` by interpolation in a fine table up to 12 ml/min/g."""
    table = np.linspace(0.0, 12.0, 24001)
    return np.asarray(np.interp(np.asarray(k1, dtype=np.float64), k1_from_flow(table, tracer), table))


def _tracer(tracer: str) -> tuple[float, float]:
    if tracer not in _EXTRACTION:
        raise InputError(f"Flow is modelled for N-13 and Rb-82; got {tracer!r}.")
    return _EXTRACTION[tracer]


def tissue_curve(k1: float, k2: float, times_s: Float, arterial: Float) -> Float:
    """Give C_T at equally spaced times from 0, with rates per minute: exact for an input linear in between."""
    step = float(times_s[1] - times_s[0]) / 60.0
    out = np.zeros(times_s.size)
    decay = np.exp(-k2 * step)
    # Integral of exp(-k2 (step - u)) times the straight line between two samples.
    if k2 * step > 1e-6:
        whole = (1.0 - decay) / k2
        late = (step - whole) / (k2 * step)
    else:
        whole, late = step, 0.5 * step
    for i in range(1, times_s.size):
        out[i] = decay * out[i - 1] + k1 * ((whole - late) * arterial[i - 1] + late * arterial[i])
    return out


def fit_flow(
    tissue: Float,
    left: Float,
    *,
    frame_start_s: Float,
    frame_duration_s: Float,
    right: Float | None = None,
    tracer: FlowTracer,
) -> FlowFit:
    """Fit the one-tissue model to every region.

    For each k2 of a fine logarithmic grid the other parameters enter linearly and are found by
    non-negative least squares, frames weighted with their duration; the best k2 is refined by a parabola.

    Parameters
    ----------
    tissue
        Shape (regions, frames), e.g. the 17 segments.
    left, right
        Shape (frames,): activity of the left and (optional) right ventricle's blood.
    frame_start_s, frame_duration_s
        Shape (frames,).
    tracer
        ``"N-13"`` or ``"Rb-82"``.

    Raises
    ------
    InputError
        When shapes differ, there are fewer than 8 frames, times are not in order, or the blood curve is empty.
    """
    region, blood = np.atleast_2d(np.asarray(tissue, dtype=np.float64)), np.asarray(left, dtype=np.float64)
    start, duration = np.asarray(frame_start_s, dtype=np.float64), np.asarray(frame_duration_s, dtype=np.float64)
    _tracer(tracer)
    _check(region, blood, start, duration, right)
    times = np.arange(0.0, float((start + duration)[-1]) + _STEP_S, _STEP_S)
    middle = start + 0.5 * duration
    arterial = np.interp(times, np.concatenate([[0.0], middle]), np.concatenate([[0.0], blood]))
    average = _averaging(times, start, duration)
    pools = [blood] if right is None else [blood, np.asarray(right, dtype=np.float64)]
    curves = np.stack([average @ tissue_curve(1.0, k2, times, arterial) for k2 in _K2_PER_MIN])
    weight = np.sqrt(duration / duration.sum())
    fits = [_fit_region(values, curves, pools, weight) for values in region]
    best = [
        _refined(values, fit, times, arterial, average, pools, weight) for values, fit in zip(region, fits, strict=True)
    ]
    k2, scale, misfit = (np.array([b[i] for b in best]) for i in (0, 1, 3))
    spill = np.array([np.append(b[2], np.zeros(2 - len(pools))) for b in best])
    k1 = scale / np.maximum(1.0 - spill.sum(axis=1), 0.05)
    level = np.maximum((region * duration).sum(axis=1) / duration.sum(), 1e-12)
    return FlowFit(flow_from_k1(k1, tracer), k1, k2, spill[:, 0], spill[:, 1], 100.0 * misfit / level)


def _check(region: Float, blood: Float, start: Float, duration: Float, right: Float | None) -> None:
    frames = region.shape[1]
    shapes = [blood.shape, start.shape, duration.shape, *([] if right is None else [np.shape(right)])]
    if any(shape != (frames,) for shape in shapes):
        raise InputError(f"Tissue, blood and times need the same number of frames ({frames}).")
    if frames < 8:
        raise InputError(f"Blood flow needs 8 time frames or more; got {frames}.")
    if (duration <= 0).any() or (np.diff(start) <= 0).any() or start[0] < 0:
        raise InputError("Time frames must have positive durations and rising start times.")
    if not blood.max() > 0:
        raise InputError("The blood curve holds no activity.")


def _averaging(times: Float, start: Float, duration: Float) -> Float:
    """Give the (frames, times) matrix that averages a finely sampled curve over each frame."""
    low, high = times - 0.5 * _STEP_S, times + 0.5 * _STEP_S
    share = np.clip(np.minimum(high, (start + duration)[:, None]) - np.maximum(low, start[:, None]), 0.0, None)
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def _fit_region(values: Float, curves: Float, pools: Sequence[Float], weight: Float) -> tuple[int, Float]:
    """Give the best k2's index and the misfit of every k2."""
    misfit = np.array([_solve(values, curve, pools, weight)[1] for curve in curves])
    return int(misfit.argmin()), misfit


def _solve(values: Float, curve: Float, pools: Sequence[Float], weight: Float) -> tuple[Float, float]:
    design = np.stack([curve, *pools], axis=1) * weight[:, None]
    solution, misfit = nnls(design, values * weight)
    return np.asarray(solution), float(misfit)


def _refined(
    values: Float,
    fit: tuple[int, Float],
    times: Float,
    arterial: Float,
    average: Float,
    pools: Sequence[Float],
    weight: Float,
) -> tuple[float, float, Float, float]:
    """Refine k2 between its grid neighbours; give (k2, scale of the tissue curve, spill-over, misfit)."""
    index, _ = fit
    low = _K2_PER_MIN[max(index - 1, 0)]
    high = _K2_PER_MIN[min(index + 1, _K2_PER_MIN.size - 1)]
    best: tuple[float, float, Float, float] | None = None
    for _ in range(3):
        grid = np.linspace(low, high, 7)
        for k2 in grid:
            solution, misfit = _solve(values, average @ tissue_curve(1.0, float(k2), times, arterial), pools, weight)
            if best is None or misfit < best[3]:
                best = (float(k2), float(solution[0]), solution[1:], misfit)
        assert best is not None
        step = grid[1] - grid[0]
        low, high = max(0.0, best[0] - step), best[0] + step
    assert best is not None
    return best


def flow_reserve(stress: FlowFit, rest: FlowFit) -> Float:
    """Give stress over rest flow of every region; NaN where rest flow is not positive."""
    if stress.mbf_ml_min_g.shape != rest.mbf_ml_min_g.shape:
        raise InputError("Flow reserve needs the same regions at stress and at rest.")
    positive = rest.mbf_ml_min_g > 0
    return np.asarray(np.where(positive, stress.mbf_ml_min_g / np.where(positive, rest.mbf_ml_min_g, 1.0), np.nan))
