"""Phase of contraction over the wall of a gated scan.

As the wall contracts it thickens, hence brightens, and moves inwards; the Fourier harmonics of both over the
beat show when (phase analysis of counts: Chen et al., J Nucl Cardiol 2005;12:687,
doi:10.1016/j.nuclcard.2005.06.088; of motion: Van Kriekinge et al., J Nucl Med 2008;49:1790,
doi:10.2967/jnumed.108.055160). At the counts of a gated scan the phase of a single sample is mostly
noise, so one field of delay, as smooth as the study's own noise requires, is fitted to all samples, both harmonics,
counts and motion together (`myoperf.gated.delay`).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.gated.delay import Basis, Harmonic, delay_basis, posterior_spread, read_delay, smoothed
from myoperf.segments import segment_map
from myoperf.types import Float, PhaseHistogram, Synchrony

BIN_DEG = 6.0
"""Width of the bins of the phase histogram."""
_WIDEST_DEG = 13.0
"""Width of the 95 percent interval of the phase SD from which it says nothing: that from a normal heart (5.3 degrees by
QGS; doi:10.1007/s12350-017-0863-6) to the limit of disease (18.4; doi:10.1007/s12350-015-0143-2)."""
_WIDENED = 2.0
"""Factor on the distance of the interval's ends from the phase SD, for the errors that noise does not show (response,
tracking): with it 95 percent intervals hold the truth of 96 percent of the independent hearts for development."""
_MOTION_WEIGHT = 0.005
"""Weight of motion in mm relative to thickness as a share of the wall's: a motion of 1.4 mm is as uncertain as a
thickening of 10 percent. Set on simulated patients of a tuning set."""
_NOISE = ((2.4, 3.8), (1.1, 1.8))
"""Noise variance of the first and second harmonic of thickness, then of motion, relative to that implied by the highest
harmonic of thickness and the weights; measured on tuning patients of the simulator, each scanned twice, and doubled
for thickness, which has systematic errors that its noise does not show."""
_DISAGREES = 2.0
"""Disagreement of the harmonics of thickness and motion, in units of noise, above which they count as different."""
_MOTION_RINGS = (0.25, 0.92)
"""Part of the wall, from apex (0) to base (1), whose motion is used."""


def measure_synchrony(
    thickness: Float,
    motion_mm: Float | None = None,
    level: Float | None = None,
    *,
    response: Float | None = None,
) -> Synchrony:
    """Measure the phase of contraction and its spread.

    A field of delay phi(place) (`myoperf.gated.delay.delay_basis`) is fitted by weighted least squares so that first
    harmonics, turned by phi, and the second, turned by 2 phi, are in phase over the whole wall. Noise is estimated from
    the highest harmonic, to which the beat hardly contributes, and raised where thickness and motion disagree by more.
    The spread is the median over all fields that data and noise allow (`myoperf.gated.delay.posterior_spread`). Where
    its 95 percent interval is wider than 13 degrees, or the noise unknown, the numbers of the phase are None.

    Parameters
    ----------
    thickness
        Shape (gates, rings, angles), ring 0 at the apex, 4 gates or more: thickness of the moving wall, or its
        counts, on any scale. Counts at fixed positions are not suitable, as the wall moves out of them.
    motion_mm
        Shape as `thickness`: inward displacement; None leaves motion out.
    level
        Shape (rings, angles): counts, which weight a sample; None weights all samples equally.
    response
        Shape (4, 4): how much of a delay the first and second harmonic of thickness, then of motion, show, for terms of
        the harmonic 0, 1, 2 and 3 or more round the axis (`myoperf.gated.regional.PHASE_RESPONSE` for walls tracked in
        images; 0 where a map is not used); None for all of it.

    Raises
    ------
    InputError
        When there are fewer than 4 gates, no counts, values that are not finite, a map of fewer than 4 rings x 6
        angles, or the shapes differ.
    """
    values = _checked(thickness, motion_mm)
    values = values / values.mean()
    basis = delay_basis(*values.shape[1:])
    maps = _maps(values, motion_mm, level, _response(basis, response))
    noise = _noise(values, maps[0])
    data = read_delay(maps, basis, noise)
    spread = posterior_spread(data, basis)
    spread_deg, low_deg, high_deg = (float(np.rad2deg(angle)) for angle in (spread.median, spread.low, spread.high))
    field = (basis.values @ spread.terms).reshape(values.shape[1:])
    scaled = field / max(float(field.std()), 1e-9)
    phase = spread_deg * scaled
    centre = float(np.rad2deg(data.start))
    whole = (centre + phase) % 360.0
    edges = np.arange(0.0, 360.0 + 0.5 * BIN_DEG, BIN_DEG)
    index = segment_map(*phase.shape)
    first, mean = smoothed(maps[0].values), smoothed(values.mean(axis=0).astype(np.complex128)).real
    disagreement = None if data.misfit is None or motion_mm is None or noise <= 0 else float(np.sqrt(data.misfit))
    known = values.shape[0] >= 7 and high_deg - low_deg < _WIDEST_DEG
    ends = (max(spread_deg - _WIDENED * (spread_deg - low_deg), 0.0), spread_deg + _WIDENED * (high_deg - spread_deg))
    return Synchrony(
        phase_mean_deg=centre % 360.0,
        phase_sd_deg=spread_deg if known else None,
        phase_sd_interval_deg=ends if known else None,
        phase_bandwidth_deg=phase_bandwidth_deg(phase) if known else None,
        phase_entropy_percent=phase_entropy_percent(whole) if known else None,
        phase_sd_uncorrected_deg=_raw_sd_deg(first),
        phase_noise_deg=float(np.rad2deg(spread.noise)) if noise > 0 else 0.0,
        phase_reliable=known,
        phase_disagreement=disagreement,
        phase_agrees=disagreement is None or disagreement < _DISAGREES,
        phase_skewness=float((scaled**3).mean()) if known else None,
        phase_kurtosis=float((scaled**4).mean() - 3.0) if known else None,
        phase_histogram=PhaseHistogram(
            tuple(edges.tolist()), tuple(np.histogram(whole, edges)[0].astype(float).tolist())
        ),
        phase_segments_deg=np.array([phase[index == s].mean() for s in range(1, 18)]),
        phase_map_deg=whole,
        amplitude_map_percent=100.0 * np.abs(first) / np.maximum(mean, 1e-3 * mean.max()),
    )


def without_phase(synchrony: Synchrony) -> Synchrony:
    """Return a result whose phase is not given, as of a ventricle that does not beat."""
    return replace(
        synchrony,
        phase_sd_deg=None,
        phase_sd_interval_deg=None,
        phase_bandwidth_deg=None,
        phase_entropy_percent=None,
        phase_skewness=None,
        phase_kurtosis=None,
        phase_reliable=False,
    )


def _checked(thickness: Float, motion_mm: Float | None) -> Float:
    """Return thickness as numbers from which a phase can be measured, or raise."""
    values = np.asarray(thickness, dtype=np.float64)
    if values.ndim != 3 or values.shape[0] < 4:
        raise InputError(f"Phase needs (gates, rings, angles) with at least 4 gates; got shape {values.shape}.")
    if values.shape[1] < 4 or values.shape[2] < 6:
        raise InputError(f"Phase needs a map of 4 rings x 6 angles or more; got {values.shape[1]} x {values.shape[2]}.")
    if not np.isfinite(values).all():
        raise InputError("The gated polar map holds NaN or infinity, so it has no phase.")
    if not (values.mean(axis=0).max() > 0):
        raise InputError("The gated polar map holds no counts, so it has no phase.")
    if motion_mm is not None and np.shape(motion_mm) != values.shape:
        raise InputError(f"Motion and thickness need the same shape; got {np.shape(motion_mm)} and {values.shape}.")
    return values


def _response(basis: Basis, response: Float | None) -> Float:
    """Return how much of every term the four maps show, (4, terms)."""
    if response is None:
        return np.ones((4, len(basis.around)))
    return np.asarray(response, dtype=np.float64)[:, np.minimum(basis.around, 3)]


def _maps(values: Float, motion_mm: Float | None, level: Float | None, response: Float) -> list[Harmonic]:
    """Return the harmonics to fit: of thickness, then of motion if given; weights fall towards the apex."""
    rings, angles = values.shape[1:]
    share = ((np.arange(rings) + 0.5) / rings)[:, None] * np.ones((1, angles))
    weight = np.sin(0.5 * np.pi * np.minimum(share / 0.6, 1.0))
    if level is not None:
        weight = weight * np.clip(level / max(float(np.percentile(level, 80.0)), 1e-12), 0.02, 1.2)
    orders = (1, 2) if values.shape[0] >= 6 else (1,)
    maps = [Harmonic(_harmonic(values, k), weight, k, response[k - 1], _NOISE[0][k - 1]) for k in orders]
    if motion_mm is not None:
        inside = (share >= _MOTION_RINGS[0]) & (share <= _MOTION_RINGS[1])
        moving, weight = np.asarray(motion_mm, dtype=np.float64), _MOTION_WEIGHT * weight * inside
        maps += [Harmonic(_harmonic(moving, k), weight, k, response[k + 1], _NOISE[1][k - 1]) for k in orders]
    return [one for i, one in enumerate(maps) if i == 0 or one.response.any()]


def _harmonic(values: Float, order: int) -> NDArray[np.complex128]:
    """Return a Fourier harmonic of the beat, (rings, angles); the k-th gate's time is (k + 0.5) / gates."""
    gates = values.shape[0]
    turn = np.exp(2j * np.pi * order * (np.arange(gates) + 0.5) / gates)
    return np.asarray(np.tensordot(turn, values, axes=(0, 0)) * (2.0 / gates))


def _noise(values: Float, first: Harmonic) -> float:
    """Return the variance of the real or imaginary part of the first harmonic times its weight; 0 below 7 gates.

    The highest full harmonic, less its part with the first one's pattern, is projected on smooth patterns, so that
    noise shared by neighbours counts as it does in the fit.
    """
    order = (values.shape[0] - 1) // 2
    if order < 3:
        return 0.0
    root = np.sqrt(first.weight).ravel()
    size = np.maximum(smoothed(first.values * np.exp(-1j * np.angle(first.values.sum()))).real, 0.0).ravel()
    directions, _ = np.linalg.qr(_patterns(*values.shape[1:]) * (root * size)[:, None])
    signal, rest = root * first.values.ravel(), root * _harmonic(values, order).ravel()
    rest = rest - signal * (np.vdot(signal, rest) / max(float(np.vdot(signal, signal).real), 1e-30))
    return float(0.5 * (np.abs(directions.T @ rest) ** 2).sum() / (directions.shape[1] - 1))


def _patterns(rings: int, angles: int) -> Float:
    """Return 15 smooth patterns of a polar map, (rings * angles, 15): three along, up to the second harmonic around."""
    share = ((np.arange(rings) + 0.5) / rings)[:, None]
    turn = (np.arange(angles) * (2.0 * np.pi / angles))[None]
    around = [np.ones_like(turn), *(wave(k * turn) for k in (1, 2) for wave in (np.cos, np.sin))]
    return np.stack([(np.cos(np.pi * j * share) * wave).ravel() for wave in around for j in range(3)], axis=1)


def _raw_sd_deg(first: NDArray[np.complex128]) -> float:
    """Return the SD of the first harmonic's phase over single samples, weighted with its amplitude."""
    weight = np.abs(first) / max(float(np.abs(first).sum()), 1e-12)
    phase = np.rad2deg(np.angle(first * np.exp(-1j * np.angle(first.sum()))))
    square = float((weight * phase**2).sum()) - float((weight * phase).sum()) ** 2
    return float(np.sqrt(max(square, 0.0)))


def phase_bandwidth_deg(phase_deg: Float, weight: Float | None = None) -> float:
    """Return the shortest arc of the circle that holds 95 % of the phases.

    Parameters
    ----------
    phase_deg
        Phases of the wall's samples, any shape.
    weight
        Of each sample; None weights all alike.

    Returns
    -------
    Degrees, 0 to 360.
    """
    values = np.asarray(phase_deg, dtype=np.float64).ravel() % 360.0
    if not values.size:
        raise InputError("A bandwidth needs at least one phase.")
    share = np.ones(values.size) if weight is None else np.asarray(weight, dtype=np.float64).ravel()
    order = np.argsort(values, kind="stable")
    around = np.concatenate([values[order], values[order] + 360.0])
    share = np.concatenate([share[order], share[order]]) / share.sum()
    upto = np.cumsum(share)
    before = upto[: values.size] - share[: values.size]
    last = np.searchsorted(upto, before + 0.95 - 1e-9)
    return float((around[np.minimum(last, around.size - 1)] - around[: values.size]).min())


def phase_entropy_percent(phase_deg: Float, *, bin_deg: float = BIN_DEG) -> float:
    """Return the Shannon entropy of the phase histogram in percent of its maximum, ln(360 / bin).

    Parameters
    ----------
    phase_deg
        Phases of the wall's samples, any shape.
    bin_deg
        Width of the histogram's bins.

    Examples
    --------
    >>> round(phase_entropy_percent(np.arange(0.0, 360.0, 6.0))), round(phase_entropy_percent(np.full(60, 90.0)))
    (100, 0)
    """
    bins = round(360.0 / bin_deg)
    count = np.bincount((np.asarray(phase_deg).ravel() % 360.0 // bin_deg).astype(np.int64) % bins, minlength=bins)
    share = count[count > 0] / count.sum()
    return float(-100.0 * (share * np.log(share)).sum() / np.log(bins))
