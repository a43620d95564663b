"""Myocardial blood flow from dynamic PET: one tissue compartment with spill-over.

The tissue's activity is C_T(t) = K1 exp(-k2 t) * C_a(t) (convolved); what the image shows of the wall is
(1 - f_LV - f_RV) C_T + f_LV C_LV + f_RV C_RV, averaged over each frame (Hutchins et al., J Am Coll Cardiol
1990;15:1032 for N-13 ammonia; Lortie et al., Eur J Nucl Med Mol Imaging 2007;34:1765,
doi:10.1007/s00259-007-0478-2 for Rb-82). Activities are decay-corrected and share one unit; times
are seconds, flow is ml/min/g, K1 ml/min/g and k2 1/min.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import lfilter

from myoperf.errors import InputError
from myoperf.types import Float, FlowResult

__all__ = [
    "HALF_LIFE_S",
    "FlowFit",
    "FlowTracer",
    "fit_flow",
    "flow_from_k1",
    "flow_reserve",
    "k1_from_flow",
    "resample_blood",
    "resample_residuals",
    "tissue_curve",
]

FlowTracer = Literal["N-13", "Rb-82"]

HALF_LIFE_S = {"Rb-82": 76.4, "N-13": 597.9}
"""Physical half-lives."""

_EXTRACTION = {"N-13": (0.0, 1.0), "Rb-82": (0.77, 0.63)}
_STEP_S = 1.0
_K2_PER_MIN = np.concatenate([[0.0], np.geomspace(0.01, 6.0, 90)])
_ROUNDS, _FINE = 3, 7
_TAIL_S, _LEAST_SHARE = 45.0, 0.02


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
    fitted
        Shape (regions, frames): the curves of the fit.
    """

    mbf_ml_min_g: Float
    k1: Float
    k2: Float
    spill_lv: Float
    spill_rv: Float
    residual_percent: Float
    fitted: Float


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
    decay = np.exp(-k2 * step)
    # Integral of exp(-k2 (step - u)) times the straight line between two samples.
    if k2 * step > 1e-6:
        whole = (1.0 - decay) / k2
        late = (step - whole) / (k2 * step)
    else:
        whole, late = step, 0.5 * step
    gained = np.zeros(times_s.size)
    gained[1:] = k1 * ((whole - late) * arterial[:-1] + late * arterial[1:])
    return np.asarray(lfilter([1.0], [1.0, -decay], gained))


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
    non-negative least squares, frames weighted with their duration; the best k2 is refined between its neighbours.

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
        When shapes differ, there are fewer than 8 frames, times are not in order, a value is not finite, or the blood
        curve is empty.
    """
    region, blood = np.atleast_2d(np.asarray(tissue, dtype=np.float64)), np.asarray(left, dtype=np.float64)
    start, duration = np.asarray(frame_start_s, dtype=np.float64), np.asarray(frame_duration_s, dtype=np.float64)
    _tracer(tracer)
    _check(region, blood, start, duration, right)
    average, arterial, times = _grid(start, duration, blood)
    pools = np.stack([blood] if right is None else [blood, np.asarray(right, dtype=np.float64)])
    weight = np.sqrt(duration / duration.sum())

    def curves(k2: Float) -> Float:
        return np.stack([average @ tissue_curve(1.0, float(k), times, arterial) for k in k2])

    def solve(k2: Float, columns: Float) -> tuple[Float, Float]:
        return _solve(region * weight, columns * weight, pools * weight)

    at = np.broadcast_to(_K2_PER_MIN, (len(region), _K2_PER_MIN.size))
    solution, misfit = solve(at, np.broadcast_to(curves(_K2_PER_MIN), (*at.shape, blood.size)))
    low, high = (_K2_PER_MIN[np.clip(misfit.argmin(axis=1) + side, 0, _K2_PER_MIN.size - 1)] for side in (-1, 1))
    k2, found, least = _pick(at, solution, misfit)
    for _ in range(_ROUNDS):
        at = np.linspace(low, high, _FINE, axis=1)
        solution, misfit = solve(at, np.stack([curves(one) for one in at]))
        newer, better, lesser = _pick(at, solution, misfit)
        won = lesser < least
        k2, least = np.where(won, newer, k2), np.where(won, lesser, least)
        found = np.where(won[:, None], better, found)
        step = at[:, 1] - at[:, 0]
        low, high = np.maximum(k2 - step, 0.0), k2 + step
    spill = np.pad(found[:, 1:], ((0, 0), (0, 2 - len(pools))))
    k1 = found[:, 0] / np.maximum(1.0 - spill.sum(axis=1), 0.05)
    level = np.maximum((region * duration).sum(axis=1) / duration.sum(), 1e-12)
    columns = np.concatenate([curves(k2)[:, None], np.broadcast_to(pools, (len(region), *pools.shape))], axis=1)
    fitted = np.einsum("rp,rpf->rf", found, columns)
    return FlowFit(flow_from_k1(k1, tracer), k1, k2, spill[:, 0], spill[:, 1], 100.0 * least / level, fitted)


def resample_residuals(tissue: Float, fitted: Float, rng: np.random.Generator, *, parameters: int = 4) -> Float:
    """Draw curves anew: the fit plus the residuals, each with a random sign, widened by n / (n - parameters).

    The wild bootstrap (Wu, Ann Stat 1986;14:1261): it does not ask for the same noise in every frame, which
    dynamic PET has not.

    Parameters
    ----------
    tissue, fitted
        Shape (regions, frames).
    """
    frames = fitted.shape[-1]
    wider = np.sqrt(frames / max(frames - parameters, 1))
    return np.asarray(fitted + wider * (tissue - fitted) * rng.choice((-1.0, 1.0), size=fitted.shape))


def resample_blood(
    curve: Float,
    rng: np.random.Generator,
    *,
    frame_start_s: Float,
    frame_duration_s: Float,
    tracer: FlowTracer,
) -> Float:
    """Draw a blood curve anew about itself, with the noise that its tail shows.

    Variance is taken to follow activity, decay correction and duration as counts do: s^2 A g / d, with A at least a
    fiftieth of the peak. s comes from the frames whose middle lies 45 s or more after the peak's: what each three in
    a row miss of a straight line, against what unit noise would make of it. What is left of the bolus bends the tail
    too and widens the noise a little. The whole curve is one region's: nothing else tells its noise apart from flow.

    Returns
    -------
    Shape (frames,), not negative; the curve itself where fewer than 5 frames make the tail.
    """
    start, duration = np.asarray(frame_start_s, dtype=np.float64), np.asarray(frame_duration_s, dtype=np.float64)
    _tracer(tracer)
    rate = np.log(2.0) / HALF_LIFE_S[tracer]
    growth = np.exp(rate * start) * rate * duration / -np.expm1(-rate * duration)
    unit = np.sqrt(np.maximum(curve, _LEAST_SHARE * curve.max()) * growth / duration)
    middle = start + 0.5 * duration
    tail = np.flatnonzero(middle >= middle[curve.argmax()] + _TAIL_S)
    if tail.size < 5:
        return np.array(curve, dtype=np.float64)
    one, two, three = tail[:-2], tail[1:-1], tail[2:]
    share = (middle[two] - middle[one]) / (middle[three] - middle[one])
    missed = curve[two] - (1.0 - share) * curve[one] - share * curve[three]
    expected = unit[two] ** 2 + ((1.0 - share) * unit[one]) ** 2 + (share * unit[three]) ** 2
    scale = np.sqrt((missed**2 / expected).mean())
    return np.asarray(np.maximum(curve + scale * unit * rng.normal(size=curve.size), 0.0))


def _grid(start: Float, duration: Float, blood: Float) -> tuple[Float, Float, Float]:
    """Give the averaging matrix of the frames, the arterial input and its times, on a grid of 1 s."""
    times = np.arange(0.0, float((start + duration)[-1]) + _STEP_S, _STEP_S)
    middle = start + 0.5 * duration
    arterial = np.interp(times, np.concatenate([[0.0], middle]), np.concatenate([[0.0], blood]))
    return _averaging(times, start, duration), arterial, times


def _check(region: Float, blood: Float, start: Float, duration: Float, right: Float | None) -> None:
    frames = region.shape[1]
    shapes = [blood.shape, start.shape, duration.shape, *([] if right is None else [np.shape(right)])]
    if any(shape != (frames,) for shape in shapes):
        raise InputError(f"Tissue, blood and times need the same number of frames ({frames}).")
    if not (np.isfinite(region).all() and np.isfinite(blood).all() and (right is None or np.isfinite(right).all())):
        raise InputError("Activities must be finite numbers; the curves hold NaN or infinity.")
    if not (np.isfinite(start).all() and np.isfinite(duration).all()):
        raise InputError("Time frames must have finite start times and durations.")
    if frames < 8:
        raise InputError(f"Blood flow needs 8 time frames or more; got {frames}.")
    if (duration <= 0).any() or (np.diff(start) <= 0).any() or start[0] < 0:
        raise InputError("Time frames must have positive durations and rising start times.")
    if (start[1:] < (start + 0.8 * duration)[:-1]).any():
        raise InputError("Time frames overlap: their start times and durations do not go together.")
    if not blood.max() > 0:
        raise InputError("The blood curve holds no activity.")


def _averaging(times: Float, start: Float, duration: Float) -> Float:
    """Give the (frames, times) matrix that averages a finely sampled curve over each frame."""
    low, high = times - 0.5 * _STEP_S, times + 0.5 * _STEP_S
    share = np.clip(np.minimum(high, (start + duration)[:, None]) - np.maximum(low, start[:, None]), 0.0, None)
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def _solve(values: Float, curve: Float, pools: Float) -> tuple[Float, Float]:
    """Solve non-negative least squares of up to three columns for every region and k2 at once.

    Every set of columns is solved by itself; the best of the solutions without a negative number is the answer.

    Parameters
    ----------
    values
        Shape (regions, frames).
    curve
        Shape (regions, k2, frames).
    pools
        Shape (pools, frames).

    Returns
    -------
    (coefficients (regions, k2, 1 + pools), root of the sum of squares (regions, k2)).
    """
    design = np.concatenate(
        [curve[:, :, None], np.broadcast_to(pools, (*curve.shape[:2], *pools.shape))], axis=2
    )  # (regions, k2, columns, frames)
    gram = np.einsum("rkif,rkjf->rkij", design, design)
    aim = np.einsum("rkif,rf->rki", design, values)
    size = (values**2).sum(axis=1)[:, None]
    best, least = np.zeros(aim.shape), np.broadcast_to(size, aim.shape[:2]).copy()
    scale = np.trace(gram, axis1=2, axis2=3)[..., None]
    for count in range(1, design.shape[2] + 1):
        for chosen in combinations(range(design.shape[2]), count):
            pick = np.ix_(chosen, chosen)
            part = gram[..., pick[0], pick[1]] + 1e-12 * scale[..., None] * np.eye(count)
            found = np.linalg.solve(part, aim[..., chosen][..., None])[..., 0]
            misfit = size - (found * aim[..., chosen]).sum(axis=-1)
            won = (found >= 0).all(axis=-1) & (misfit < least)
            full = np.zeros(aim.shape)
            full[..., chosen] = found
            best, least = np.where(won[..., None], full, best), np.where(won, misfit, least)
    left = values[:, None] - np.einsum("rkp,rkpf->rkf", best, design)
    return best, np.asarray(np.sqrt((left**2).sum(axis=-1)))


def _pick(k2: Float, solution: Float, misfit: Float) -> tuple[Float, Float, Float]:
    """Give each region's best k2, its coefficients and its misfit."""
    rows, best = np.arange(len(k2)), misfit.argmin(axis=1)
    return k2[rows, best], solution[rows, best], misfit[rows, best]


def flow_reserve(stress: FlowFit | FlowResult, rest: FlowFit | FlowResult) -> Float:
    """Give stress over rest flow of every region; NaN where rest flow is not positive."""
    if stress.mbf_ml_min_g.shape != rest.mbf_ml_min_g.shape:
        raise InputError("Flow reserve needs the same regions at stress and at rest.")
    positive = rest.mbf_ml_min_g > 0
    return np.asarray(np.where(positive, stress.mbf_ml_min_g / np.where(positive, rest.mbf_ml_min_g, 1.0), np.nan))
