"""Phase of contraction over the wall of a gated scan.

The wall thickens, and so brightens, and moves inwards as it contracts; Fourier harmonics of both over the
beat tell when (phase analysis of counts: Chen et al., J Nucl Cardiol 2005;12:687,
doi:10.1016/j.nuclcard.2005.06.088; of motion: Van Kriekinge et al., J Nucl Med 2008;49:1790,
doi:10.2967/jnumed.108.055160). At the counts of a gated scan the phase of a single place is mostly
noise: a smooth field of delay is fitted to all places, both harmonics, counts and motion at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.segments import segment_map

__all__ = ["Synchrony", "measure_synchrony", "phase_bandwidth_deg", "phase_entropy_percent"]

Float = NDArray[np.floating[Any]]

BIN_DEG = 6.0
_SMOOTH_RINGS, _SMOOTH_DEG = 3.0, 22.5
_RELIABLE_DEG = 8.0
_MOTION_WEIGHT = 0.005
"""Weight of a millimetre of motion against the same number as a share of the wall's thickness: motion of 1.4 mm
is as uncertain as a thickness of 10 percent. Set on simulated patients of a tuning set."""
_MOTION_NOISE = 4.0
"""Noise variance of the motion against what its weight says; set on the same tuning set."""
_MOTION_RINGS = (0.25, 0.92)
_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class Synchrony:
    """Phase of contraction over the wall, the noise of the counts taken off.

    Attributes
    ----------
    phase_deg
        Shape (rings, angles): 0 to 360, where in the cycle (from the R wave) the wall is at its most contracted;
        the fitted field, drawn towards its mean by what noise alone would spread it.
    amplitude_percent
        Shape (rings, angles): first harmonic of the thickness against its mean there.
    mean_deg, sd_deg, bandwidth_deg, skewness, kurtosis, entropy_percent
        Of that field, every place of the polar map alike. Kurtosis is excess (0 for a Gaussian).
    raw_sd_deg
        SD of the first harmonic's phase place by place, noise left in, weighed with its amplitude.
    noise_deg
        SD that noise alone would give the fitted field; 0 where it cannot be told (fewer than 7 gates).
    reliable
        Whether the noise has been measured and is below 8 degrees.
    histogram
        ``edges_deg`` (61,) and ``counts`` (60,), bins of 6 degrees.
    segments_deg
        Shape (17,): mean phase of each segment minus the wall's mean.
    """

    phase_deg: Float
    amplitude_percent: Float
    mean_deg: float
    sd_deg: float
    bandwidth_deg: float
    skewness: float
    kurtosis: float
    entropy_percent: float
    raw_sd_deg: float
    noise_deg: float
    reliable: bool
    histogram: Mapping[str, list[float]]
    segments_deg: Float


@dataclass(frozen=True, eq=False)
class _Harmonic:
    """One harmonic of one quantity: values (rings, angles), weights, its order, and its noise against the weights."""

    values: NDArray[np.complex128]
    weight: Float
    order: int
    noise: float = 1.0


def measure_synchrony(thickness: Float, motion_mm: Float | None = None, level: Float | None = None) -> Synchrony:
    """Measure phase and its spread.

    A field of delay phi(place) made of five smooth terms (apex to base; the first and second harmonic around,
    fading towards the apex) is fitted by weighted least squares so that the first harmonics, turned by phi,
    and the second, turned by 2 phi, lie in phase over the whole wall. Noise is read from the
    highest harmonic, which a ventricle hardly fills, carried through the fit, and taken off the variance of the
    field (to no less than 0.3 of the SD).

    Parameters
    ----------
    thickness
        Shape (gates, rings, angles), ring 0 at the apex, 4 gates or more: thickness of the moving wall, or its
        counts, on any scale. Counts at fixed places will not do: the wall moves out of them.
    motion_mm
        Shape as `thickness`: inward displacement; None leaves motion out.
    level
        Shape (rings, angles): counts there, the weight of a place; None weighs all alike.

    Raises
    ------
    InputError
        When there are fewer than 4 gates, no counts, or the shapes differ.
    """
    values = np.asarray(thickness, dtype=np.float64)
    if values.ndim != 3 or values.shape[0] < 4:
        raise InputError(f"Phase needs (gates, rings, angles) with at least 4 gates; got shape {values.shape}.")
    if not (values.mean(axis=0).max() > 0):
        raise InputError("The gated polar map holds no counts, so it has no phase.")
    if motion_mm is not None and np.shape(motion_mm) != values.shape:
        raise InputError(f"Motion and thickness need the same shape; got {np.shape(motion_mm)} and {values.shape}.")
    values = values / values.mean()
    maps = _maps(values, motion_mm, level)
    basis = _basis(*values.shape[1:])
    field, start, normal, noisy = _fit_field(maps, basis)
    spread = float(np.rad2deg(field.std()))
    noise = _noise_deg(values, maps[0], basis, normal, noisy)
    kept = float(np.sqrt(max(1.0 - (noise / max(spread, 1e-9)) ** 2, 0.3**2))) if noise > 0 else 1.0
    phase = kept * np.rad2deg(field - field.mean())
    spread = kept * spread
    scaled = phase / max(spread, 1e-9)
    centre = float(np.rad2deg(start + field.mean()))
    whole = (centre + phase) % 360.0
    edges = np.arange(0.0, 360.0 + 0.5 * BIN_DEG, BIN_DEG)
    index = segment_map(*phase.shape)
    first, mean = _smoothed(maps[0].values), _smoothed(values.mean(axis=0).astype(np.complex128)).real
    return Synchrony(
        phase_deg=whole,
        amplitude_percent=100.0 * np.abs(first) / np.maximum(mean, 1e-3 * mean.max()),
        mean_deg=centre % 360.0,
        sd_deg=spread,
        bandwidth_deg=phase_bandwidth_deg(phase),
        skewness=float((scaled**3).mean()),
        kurtosis=float((scaled**4).mean() - 3.0) if spread > 1e-9 else 0.0,
        entropy_percent=phase_entropy_percent(whole),
        raw_sd_deg=_raw_sd_deg(first),
        noise_deg=noise,
        reliable=values.shape[0] >= 7 and noise < _RELIABLE_DEG,
        histogram={"edges_deg": edges.tolist(), "counts": np.histogram(whole, edges)[0].astype(float).tolist()},
        segments_deg=np.array([phase[index == s].mean() for s in range(1, 18)]),
    )


def _maps(values: Float, motion_mm: Float | None, level: Float | None) -> list[_Harmonic]:
    """Lay out the harmonics to fit: thickness, then motion where it is there; weights fall towards the apex."""
    rings, angles = values.shape[1:]
    share = ((np.arange(rings) + 0.5) / rings)[:, None] * np.ones((1, angles))
    weight = np.sin(0.5 * np.pi * np.minimum(share / 0.6, 1.0))
    if level is not None:
        weight = weight * np.clip(level / max(float(np.percentile(level, 80.0)), 1e-12), 0.02, 1.2)
    orders = (1, 2) if values.shape[0] >= 6 else (1,)
    maps = [_Harmonic(_harmonic(values, k), weight, k) for k in orders]
    if motion_mm is not None:
        inside = (share >= _MOTION_RINGS[0]) & (share <= _MOTION_RINGS[1])
        moving = np.asarray(motion_mm, dtype=np.float64)
        maps += [_Harmonic(_harmonic(moving, k), _MOTION_WEIGHT * weight * inside, k, _MOTION_NOISE) for k in orders]
    return maps


def _basis(rings: int, angles: int) -> Float:
    """Give the terms of the field of delay, (rings * angles, 5), each of mean zero."""
    share = ((np.arange(rings) + 0.5) / rings)[:, None]
    turn = (np.arange(angles) * (2.0 * np.pi / angles))[None]
    girth = np.sin(0.5 * np.pi * share)
    terms = [np.cos(np.pi * share) * np.ones_like(turn)]
    for k in (1, 2):
        terms += [girth**k * np.cos(k * turn), girth**k * np.sin(k * turn)]
    flat = np.stack([term.ravel() for term in terms], axis=1)
    return np.asarray(flat - flat.mean(axis=0))


def _fit_field(maps: list[_Harmonic], basis: Float) -> tuple[Float, float, Float, Float]:
    """Fit the field by Gauss and Newton; every map keeps a phase of its own.

    Returns
    -------
    field in radians (rings, angles); the first map's phase; the normal matrix; the same with each map's noise.
    """
    shape, terms = maps[0].values.shape, basis.shape[1]
    found = np.zeros(terms)
    own = [float(np.angle((m.weight * m.values).sum())) for m in maps]
    normal = noisy = np.zeros((terms, terms))
    for _ in range(_ROUNDS):
        field = (basis @ found).reshape(shape)
        normal, noisy, slope = np.zeros((terms, terms)), np.zeros((terms, terms)), np.zeros(terms)
        for i, m in enumerate(maps):
            turned = m.values * np.exp(-1j * (m.order * field + own[i]))
            size = np.maximum(_smoothed(turned).real, 0.0)
            weight, pull = (m.weight * size**2).ravel(), (m.weight * size * turned.imag).ravel()
            design = m.order * basis
            whole = max(float(weight.sum()), 1e-30)
            mean, middle = design.T @ weight / whole, float(pull.sum()) / whole
            part = design.T @ (weight[:, None] * design) - whole * np.outer(mean, mean)
            normal, noisy = normal + part, noisy + m.noise * part
            slope = slope + design.T @ pull - whole * mean * middle
            own[i] += float(np.clip(middle, -0.3, 0.3))
        normal = normal + 1e-9 * max(float(np.trace(normal)), 1e-30) * np.eye(terms)
        found = found + np.clip(np.linalg.solve(normal, slope), -0.4, 0.4)
    return (basis @ found).reshape(shape), own[0], normal, noisy


def _harmonic(values: Float, order: int) -> NDArray[np.complex128]:
    """Give a Fourier harmonic of the beat, (rings, angles); the k-th gate's time is (k + 0.5) / gates."""
    gates = values.shape[0]
    turn = np.exp(2j * np.pi * order * (np.arange(gates) + 0.5) / gates)
    return np.asarray(np.tensordot(turn, values, axes=(0, 0)) * (2.0 / gates))


def _noise_deg(values: Float, first: _Harmonic, basis: Float, normal: Float, noisy: Float) -> float:
    """Give the SD that noise alone makes in the fitted field (0 with fewer than 7 gates).

    The highest full harmonic, with whatever has the first one's pattern taken off, is projected on smooth
    patterns, where noise that neighbours share counts as it does in the fit.
    """
    order = (values.shape[0] - 1) // 2
    if order < 3:
        return 0.0
    root = np.sqrt(first.weight).ravel()
    size = np.maximum(_smoothed(first.values * np.exp(-1j * np.angle(first.values.sum()))).real, 0.0).ravel()
    directions, _ = np.linalg.qr(_patterns(*values.shape[1:]) * (root * size)[:, None])
    signal, rest = root * first.values.ravel(), root * _harmonic(values, order).ravel()
    rest = rest - signal * (np.vdot(signal, rest) / max(float(np.vdot(signal, signal).real), 1e-30))
    variance = 0.5 * float((np.abs(directions.T @ rest) ** 2).sum()) / (directions.shape[1] - 1)
    inverse = np.linalg.inv(normal)
    covariance = variance * inverse @ noisy @ inverse
    return float(np.rad2deg(np.sqrt(max(float(np.trace(basis.T @ basis @ covariance)) / len(basis), 0.0))))


def _patterns(rings: int, angles: int) -> Float:
    """Give 15 smooth patterns of a polar map, (rings * angles, 15): three along, up to the second harmonic around."""
    share = ((np.arange(rings) + 0.5) / rings)[:, None]
    turn = (np.arange(angles) * (2.0 * np.pi / angles))[None]
    around = [np.ones_like(turn), *(wave(k * turn) for k in (1, 2) for wave in (np.cos, np.sin))]
    return np.stack([(np.cos(np.pi * j * share) * wave).ravel() for wave in around for j in range(3)], axis=1)


def _raw_sd_deg(first: NDArray[np.complex128]) -> float:
    """Give the SD of the first harmonic's phase place by place, weighed with its amplitude."""
    weight = np.abs(first) / max(float(np.abs(first).sum()), 1e-12)
    phase = np.rad2deg(np.angle(first * np.exp(-1j * np.angle(first.sum()))))
    return float(np.sqrt((weight * (phase - (weight * phase).sum()) ** 2).sum()))


def _smoothed(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    sigma = (_SMOOTH_RINGS * values.shape[0] / 24.0, _SMOOTH_DEG * values.shape[1] / 360.0)
    parts = [ndimage.gaussian_filter(part, sigma, mode=("nearest", "wrap")) for part in (values.real, values.imag)]
    return np.asarray(parts[0] + 1j * parts[1])


def phase_bandwidth_deg(phase_deg: Float, weight: Float | None = None) -> float:
    """Give the shortest arc of the circle, in degrees, that holds 95 % of the samples, or of their weight."""
    values = np.asarray(phase_deg, dtype=np.float64).ravel() % 360.0
    share = np.ones(values.size) if weight is None else np.asarray(weight, dtype=np.float64).ravel()
    order = np.argsort(values, kind="stable")
    around = np.concatenate([values[order], values[order] + 360.0])
    share = np.concatenate([share[order], share[order]]) / share.sum()
    upto = np.cumsum(share)
    before = upto[: values.size] - share[: values.size]
    last = np.searchsorted(upto, before + 0.95 - 1e-9)
    return float((around[np.minimum(last, around.size - 1)] - around[: values.size]).min())


def phase_entropy_percent(phase_deg: Float, *, bin_deg: float = BIN_DEG) -> float:
    """Give the Shannon entropy of the phase histogram in percent of its maximum, ln(360 / bin)."""
    bins = round(360.0 / bin_deg)
    count = np.bincount((np.asarray(phase_deg).ravel() % 360.0 // bin_deg).astype(np.int64) % bins, minlength=bins)
    share = count[count > 0] / count.sum()
    return float(-100.0 * (share * np.log(share)).sum() / np.log(bins))
