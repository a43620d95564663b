"""Myocardial blood flow from dynamic PET: one tissue compartment with spill-over.

The tissue's activity is C_T(t) = K1 exp(-k2 t) * C_a(t) (convolved); what the image shows of the wall is
(1 - f_LV - f_RV) C_T + f_LV C_LV + f_RV C_RV, averaged over each frame (Hutchins et al., J Am Coll Cardiol
1990;15:1032 for N-13 ammonia; Lortie et al., Eur J Nucl Med Mol Imaging 2007;34:1765,
doi:10.1007/s00259-007-0478-2 for Rb-82). Activities are decay-corrected and share one unit; times
are seconds, flow is ml/min/g, K1 ml/min/g and k2 1/min.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from myoperf.errors import InputError
from myoperf.types import Float

FlowTracer = Literal["N-13", "Rb-82"]

HALF_LIFE_S = {"Rb-82": 76.4, "N-13": 597.9}
"""Physical half-lives."""

FEWEST_FRAMES = 8
"""Time frames that a fit of four parameters needs at least."""

_EXTRACTION = {"N-13": (0.0, 1.0), "Rb-82": (0.77, 0.63)}
"""a and b of K1 = F (1 - a exp(-b / F)): Lortie et al. 2007 for Rb-82; N-13 ammonia is taken as fully extracted."""
_STEP_S = 1.0
"""Grid on which the tissue curve is computed; a fraction of the shortest frames in use (5 s)."""
_K2_PER_MIN = np.concatenate([[0.0], np.geomspace(0.01, 6.0, 90)])
_REFINEMENTS, _REFINED_STEPS = 3, 7
"""How often, and in how many steps, the best k2 of the grid is refined between its neighbours."""
_TAIL_S, _LEAST_SHARE = 45.0, 0.02
"""`resample_blood`: where the tail of a blood curve begins after its peak, and the least activity for its noise."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DynamicProtocol:
    """Tracer and timing of a dynamic series.

    Parameters
    ----------
    tracer
        ``"N-13"`` or ``"Rb-82"``.
    start_s, duration_s
        Shape (frames,): start of each time frame after the first one's, and its length.

    Raises
    ------
    InputError
        For another tracer, or times that are not finite, not in order, or overlap.
    """

    tracer: FlowTracer
    start_s: Float
    duration_s: Float

    def __post_init__(self) -> None:
        _extraction(self.tracer)
        start, duration = (np.asarray(times, dtype=np.float64) for times in (self.start_s, self.duration_s))
        if start.ndim != 1 or not start.size or start.shape != duration.shape:
            raise InputError(f"Every time frame needs a start and a duration; got {start.shape} and {duration.shape}.")
        if not (np.isfinite(start).all() and np.isfinite(duration).all()):
            raise InputError("Time frames must have finite start times and durations.")
        if (duration <= 0).any() or (np.diff(start) <= 0).any() or start[0] < 0:
            raise InputError("Time frames must have positive durations and rising start times.")
        if (start[1:] < (start + 0.8 * duration)[:-1]).any():
            raise InputError("Time frames overlap: their start times and durations do not go together.")
        object.__setattr__(self, "start_s", start)
        object.__setattr__(self, "duration_s", duration)

    @property
    def middle_s(self) -> Float:
        """Middle of each time frame."""
        return self.start_s + 0.5 * self.duration_s


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
    """Return the uptake rate of a flow: K1 = F (1 - a exp(-b / F)).

    Parameters
    ----------
    flow
        F in ml/min/g, any shape, not negative.
    tracer
        ``"Rb-82"`` (a = 0.77, b = 0.63 ml/min/g, Lortie et al. 2007) or ``"N-13"`` ammonia (a = 0: all is taken up).

    Returns
    -------
    K1 in ml/min/g.

    Raises
    ------
    InputError
        For a negative flow or another tracer.

    Examples
    --------
    >>> round(float(k1_from_flow(1.0, "Rb-82")), 2), float(k1_from_flow(1.0, "N-13"))
    (0.59, 1.0)
    """
    a, b = _extraction(tracer)
    f = np.asarray(flow, dtype=np.float64)
    if (f < 0).any():
        raise InputError("Blood flow cannot be negative.")
    return np.asarray(f * (1.0 - a * np.exp(-b / np.maximum(f, 1e-9))))


def flow_from_k1(k1: ArrayLike, tracer: FlowTracer) -> Float:
    """Return the flow of an uptake rate: `k1_from_flow` inverted, by interpolation in a fine table to 12 ml/min/g.

    Parameters
    ----------
    k1
        In ml/min/g, any shape.
    tracer
        ``"Rb-82"`` or ``"N-13"``.

    Examples
    --------
    >>> round(float(flow_from_k1(k1_from_flow(2.5, "Rb-82"), "Rb-82")), 3)
    2.5
    """
    table = np.linspace(0.0, 12.0, 24001)
    return np.asarray(np.interp(np.asarray(k1, dtype=np.float64), k1_from_flow(table, tracer), table))


def _extraction(tracer: str) -> tuple[float, float]:
    """Return a and b of a tracer's extraction."""
    if tracer not in _EXTRACTION:
        raise InputError(f"Flow is modelled for N-13 and Rb-82; got {tracer!r}.")
    return _EXTRACTION[tracer]


def tissue_curve(k1: float, k2: float, times_s: Float, arterial: Float) -> Float:
    """Return the activity of tissue in the one-tissue model, C_T = K1 exp(-k2 t) convolved with the arterial activity.

    Exact for an input that is linear between the times.

    Parameters
    ----------
    k1, k2
        Rates of uptake (ml/min/g) and washout (1/min).
    times_s
        (times,), equally spaced from 0.
    arterial
        (times,) activity of the blood.

    Returns
    -------
    Shape (times,), in the unit of `arterial`.

    Examples
    --------
    >>> times = np.arange(0.0, 601.0)
    >>> float(tissue_curve(0.5, 0.1, times, np.ones(601))[-1].round(2))  # towards K1 / k2 = 5 under constant activity
    3.16
    """
    from scipy.signal import lfilter  # loads scipy.stats, which nothing else of an analysis needs

    step = float(times_s[1] - times_s[0]) / 60.0
    decay = np.exp(-k2 * step)
    # The integral of exp(-k2 (step - u)) times the straight line between two samples has a closed form; its limit is
    # taken where k2 is too small to divide by.
    if k2 * step > 1e-6:
        whole = (1.0 - decay) / k2
        late = (step - whole) / (k2 * step)
    else:
        whole, late = step, 0.5 * step
    gained = np.zeros(times_s.size)
    gained[1:] = k1 * ((whole - late) * arterial[:-1] + late * arterial[1:])
    return np.asarray(lfilter([1.0], [1.0, -decay], gained))


def fit_flow(tissue: Float, left: Float, *, protocol: DynamicProtocol, right: Float | None = None) -> FlowFit:
    """Fit the one-tissue model to every region.

    For each k2 of a fine logarithmic grid the other parameters enter linearly and are solved by
    non-negative least squares, frames weighted with their duration; the best k2 is refined between its neighbours.

    Parameters
    ----------
    tissue
        Shape (regions, frames), e.g. the 17 segments.
    left, right
        Shape (frames,): activity of the left and (optional) right ventricle's blood.

    Raises
    ------
    InputError
        When shapes differ, there are fewer than 8 frames, a value is not finite, or the blood curve is empty.
    """
    region = np.atleast_2d(np.asarray(tissue, dtype=np.float64))
    blood = [np.asarray(pool, dtype=np.float64) for pool in (left, right) if pool is not None]
    _check_curves(region, blood, protocol)
    pools, duration = np.stack(blood), protocol.duration_s
    average, arterial, times = _fine_grid(protocol, pools[0])
    weight = np.sqrt(duration / duration.sum())

    def curves(k2: Float) -> Float:
        return np.stack([average @ tissue_curve(1.0, float(k), times, arterial) for k in k2])

    def solve(k2: Float, columns: Float) -> tuple[Float, Float, Float]:
        return _best(k2, *_solve(region * weight, columns * weight, pools * weight))

    grid = np.broadcast_to(_K2_PER_MIN, (len(region), _K2_PER_MIN.size))
    k2, solution, misfit = solve(grid, np.broadcast_to(curves(_K2_PER_MIN), (*grid.shape, duration.size)))
    nearest = np.searchsorted(_K2_PER_MIN, k2)
    low, high = (_K2_PER_MIN[np.clip(nearest + side, 0, _K2_PER_MIN.size - 1)] for side in (-1, 1))
    for _ in range(_REFINEMENTS):
        grid = np.linspace(low, high, _REFINED_STEPS, axis=1)
        refined = solve(grid, np.stack([curves(one) for one in grid]))
        better = refined[2] < misfit
        k2, misfit = np.where(better, refined[0], k2), np.where(better, refined[2], misfit)
        solution = np.where(better[:, None], refined[1], solution)
        step = grid[:, 1] - grid[:, 0]
        low, high = np.maximum(k2 - step, 0.0), k2 + step
    spill = np.pad(solution[:, 1:], ((0, 0), (0, 2 - len(pools))))
    # The wall's own share of what the image shows is what the blood leaves; K1 refers to the wall alone.
    k1 = solution[:, 0] / np.maximum(1.0 - spill.sum(axis=1), 0.05)
    level = np.maximum((region * duration).sum(axis=1) / duration.sum(), 1e-12)
    columns = np.concatenate([curves(k2)[:, None], np.broadcast_to(pools, (len(region), *pools.shape))], axis=1)
    return FlowFit(
        mbf_ml_min_g=flow_from_k1(k1, protocol.tracer),
        k1=k1,
        k2=k2,
        spill_lv=spill[:, 0],
        spill_rv=spill[:, 1],
        residual_percent=100.0 * misfit / level,
        fitted=np.einsum("rp,rpf->rf", solution, columns),
    )


def resample_residuals(tissue: Float, fitted: Float, rng: np.random.Generator, *, parameters: int = 4) -> Float:
    """Return resampled curves: the fit plus the residuals, each with a random sign, widened by n / (n - parameters).

    The wild bootstrap (Wu, Ann Stat 1986;14:1261): it does not require the same noise in every frame, which
    dynamic PET does not have.

    Parameters
    ----------
    tissue, fitted
        Shape (regions, frames).
    """
    frames = fitted.shape[-1]
    wider = np.sqrt(frames / max(frames - parameters, 1))
    return np.asarray(fitted + wider * (tissue - fitted) * rng.choice((-1.0, 1.0), size=fitted.shape))


def resample_blood(curve: Float, rng: np.random.Generator, *, protocol: DynamicProtocol) -> Float:
    """Return a blood curve resampled about itself, with the noise that its tail shows.

    Variance is taken to follow activity, decay correction and duration as counts do: s^2 A g / d, with A at least a
    fiftieth of the peak. s comes from the frames whose middle lies 45 s or more after the peak's: how far each three in
    a row miss a straight line, against what unit noise would make of it. What is left of the bolus bends the tail
    too and widens the noise a little. The whole curve is one region's: nothing else tells its noise apart from flow.

    Returns
    -------
    Shape (frames,), not negative; the curve itself where fewer than 5 frames make the tail.
    """
    duration, middle = protocol.duration_s, protocol.middle_s
    rate = np.log(2.0) / HALF_LIFE_S[protocol.tracer]
    # What decay correction multiplied a frame's activity by: decay until the frame and within it.
    growth = np.exp(rate * protocol.start_s) * rate * duration / -np.expm1(-rate * duration)
    unit = np.sqrt(np.maximum(curve, _LEAST_SHARE * curve.max()) * growth / duration)
    tail = np.flatnonzero(middle >= middle[curve.argmax()] + _TAIL_S)
    if tail.size < 5:
        return np.array(curve, dtype=np.float64)
    one, two, three = tail[:-2], tail[1:-1], tail[2:]
    share = (middle[two] - middle[one]) / (middle[three] - middle[one])
    missed = curve[two] - (1.0 - share) * curve[one] - share * curve[three]
    expected = unit[two] ** 2 + ((1.0 - share) * unit[one]) ** 2 + (share * unit[three]) ** 2
    scale = np.sqrt((missed**2 / expected).mean())
    return np.asarray(np.maximum(curve + scale * unit * rng.normal(size=curve.size), 0.0))


def _check_curves(region: Float, pools: Sequence[Float], protocol: DynamicProtocol) -> None:
    """Refuse curves of another number of frames than the protocol's, of too few, or that are not numbers."""
    frames = region.shape[1]
    if any(curve.shape != (frames,) for curve in (*pools, protocol.start_s)):
        raise InputError(f"Tissue, blood and times need the same number of frames ({frames}).")
    if not all(np.isfinite(curves).all() for curves in (region, *pools)):
        raise InputError("Activities must be finite numbers; the curves hold NaN or infinity.")
    if frames < FEWEST_FRAMES:
        raise InputError(f"Blood flow needs {FEWEST_FRAMES} time frames or more; got {frames}.")
    if not pools[0].max() > 0:
        raise InputError("The blood curve holds no activity.")


def _fine_grid(protocol: DynamicProtocol, blood: Float) -> tuple[Float, Float, Float]:
    """Return the averaging matrix of the frames, the arterial input and its times, on a grid of 1 s."""
    start, duration = protocol.start_s, protocol.duration_s
    times = np.arange(0.0, float((start + duration)[-1]) + _STEP_S, _STEP_S)
    # The tracer is taken to arrive after time 0.
    arterial = np.interp(times, np.concatenate([[0.0], protocol.middle_s]), np.concatenate([[0.0], blood]))
    return _averaging(times, start, duration), arterial, times


def _averaging(times: Float, start: Float, duration: Float) -> Float:
    """Return the (frames, times) matrix that averages a finely sampled curve over each frame."""
    low, high = times - 0.5 * _STEP_S, times + 0.5 * _STEP_S
    share = np.clip(np.minimum(high, (start + duration)[:, None]) - np.maximum(low, start[:, None]), 0.0, None)
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def _solve(values: Float, curve: Float, pools: Float) -> tuple[Float, Float]:
    """Solve non-negative least squares of up to three columns for every region and k2 at once.

    Every subset of columns is solved by itself; the best of the solutions without a negative number is the answer. That
    is as exact as an active-set method and, for three columns, lets all regions and k2 be solved in one call.

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
    projected = np.einsum("rkif,rf->rki", design, values)
    square_sum = (values**2).sum(axis=1)[:, None]
    best, least = np.zeros(projected.shape), np.broadcast_to(square_sum, projected.shape[:2]).copy()
    scale = np.trace(gram, axis1=2, axis2=3)[..., None]
    for count in range(1, design.shape[2] + 1):
        for chosen in combinations(range(design.shape[2]), count):
            pick = np.ix_(chosen, chosen)
            # A trace of ridge keeps columns that are zero or alike solvable.
            part = gram[..., pick[0], pick[1]] + 1e-12 * scale[..., None] * np.eye(count)
            found = np.linalg.solve(part, projected[..., chosen][..., None])[..., 0]
            misfit = square_sum - (found * projected[..., chosen]).sum(axis=-1)
            better = (found >= 0).all(axis=-1) & (misfit < least)
            full = np.zeros(projected.shape)
            full[..., chosen] = found
            best, least = np.where(better[..., None], full, best), np.where(better, misfit, least)
    left = values[:, None] - np.einsum("rkp,rkpf->rkf", best, design)
    return best, np.asarray(np.sqrt((left**2).sum(axis=-1)))


def _best(k2: Float, solution: Float, misfit: Float) -> tuple[Float, Float, Float]:
    """Return each region's best k2, its coefficients and its misfit."""
    rows, best = np.arange(len(k2)), misfit.argmin(axis=1)
    return k2[rows, best], solution[rows, best], misfit[rows, best]


def flow_reserve(stress: ArrayLike, rest: ArrayLike) -> Float:
    """Return the flow reserve: flow at stress over flow at rest of every region.

    Parameters
    ----------
    stress, rest
        Flow of the same regions, any shape.

    Returns
    -------
    The same shape; NaN where rest flow is not positive.

    Raises
    ------
    InputError
        When the shapes differ.

    Examples
    --------
    >>> flow_reserve([2.4, 1.0], [0.8, 0.0]).round(1).tolist()
    [3.0, nan]
    """
    above, below = np.asarray(stress, dtype=np.float64), np.asarray(rest, dtype=np.float64)
    if above.shape != below.shape:
        raise InputError("Flow reserve needs the same regions at stress and at rest.")
    positive = below > 0
    return np.asarray(np.where(positive, above / np.where(positive, below, 1.0), np.nan))
