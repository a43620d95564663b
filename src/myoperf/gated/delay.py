"""A smooth field of delay over the wall, and how widely it spreads, from noisy harmonics of the beat.

The field has five terms. A prior that knows no place of unknown spread is laid on them; the
spread is averaged over what the data and their noise leave open (empirical Bayes), in place of taking the
noise's variance off the one that is seen, which has no good answer where the two are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.types import Float

__all__ = ["Delay", "Harmonic", "delay_terms", "fit_delay", "posterior_spread", "smoothed"]


TERMS = 5
_SMOOTH_RINGS, _SMOOTH_DEG = 3.0, 22.5
_ROUNDS = 8
_START_RAD, _LEAST_RAD, _MOST_RAD = np.deg2rad((10.0, 2.0, 60.0))
_SPREADS_RAD = np.deg2rad(np.geomspace(1.0, 70.0, 60))
_SCALE_RAD = np.deg2rad(10.0)
"""Scale of the half Cauchy prior of the spread: half of all hearts below 10 degrees, and a long tail."""


@dataclass(frozen=True, eq=False)
class Harmonic:
    """One harmonic of one quantity over the wall.

    Attributes
    ----------
    values
        Shape (rings, angles), complex.
    weight
        Shape (rings, angles): 1 / variance of a place's real or imaginary part, on a scale that all maps share
        but for `noise`.
    order
        1 or 2: a delay turns it by so many times its angle.
    response
        Shape (5,): how much of each term of the delay shows in it.
    noise
        Its variance against what `weight` says.
    trust
        Factor on its weight in the fit beyond what its noise gives it.
    """

    values: NDArray[np.complex128]
    weight: Float
    order: int
    response: Float
    noise: float = 1.0
    trust: float = 1.0


@dataclass(frozen=True, eq=False)
class Delay:
    """The five terms of a field of delay, as data alone give them.

    Attributes
    ----------
    terms
        Shape (5,), radians.
    covariance
        Shape (5, 5): what noise does to them.
    start
        Phase of the first map in radians where the field is zero.
    parts, pulls
        Shapes (maps, 5, 5) and (maps, 5): what each map adds to the normal matrix and to its right side at `point`.
    point
        Shape (5,): terms at which the last round was linearised.
    """

    terms: Float
    covariance: Float
    start: float
    parts: Float
    pulls: Float
    point: Float


def delay_terms(rings: int, angles: int) -> Float:
    """Give the terms of the field, (rings * angles, 5), each of mean zero.

    cos(pi f) from apex to base (f, 0 to 1), and the first and second harmonic around, times sin(pi f / 2) and its
    square.
    """
    share = ((np.arange(rings) + 0.5) / rings)[:, None]
    turn = (np.arange(angles) * (2.0 * np.pi / angles))[None]
    girth = np.sin(0.5 * np.pi * share)
    terms = [np.cos(np.pi * share) * np.ones_like(turn)]
    for k in (1, 2):
        terms += [girth**k * np.cos(k * turn), girth**k * np.sin(k * turn)]
    flat = np.stack([term.ravel() for term in terms], axis=1)
    return np.asarray(flat - flat.mean(axis=0))


def _prior_covariance(basis: Float) -> Float:
    """Give the terms' covariance (5, 5) for a mean square of the field of 1: all terms alike and apart."""
    gram = basis.T @ basis / len(basis)
    return np.asarray(np.eye(TERMS) / np.trace(gram))


def fit_delay(maps: Sequence[Harmonic], basis: Float, noise: float) -> Delay:
    """Find the field that, undone, brings every map into one phase over the wall.

    Gauss and Newton on sum of trust weight / noise |size Im(z exp(-i (k R phi + own)))|, the size being the smoothed
    real part; every map keeps a phase of its own. The field is held by a prior whose spread is found on the way (from
    the field's mean square and its uncertainty), so that it does not run away in noise; the terms that come back are
    those of the data alone, linearised at the held field.

    Parameters
    ----------
    noise
        Variance of a part of the first map times its weight; 0 where it is not known.
    """
    shape, gram, hold = maps[0].values.shape, basis.T @ basis / len(basis), np.linalg.inv(_prior_covariance(basis))
    point, spread2 = np.zeros(TERMS), float(_START_RAD**2)
    own = np.array([float(np.angle((m.weight * m.values).sum())) for m in maps])
    for last in [False] * (_ROUNDS - 1) + [True]:
        seen = [_linearised(m, basis, point, own[i], shape) for i, m in enumerate(maps)]
        parts, pulls = np.array([s[0] for s in seen]), np.array([s[1] for s in seen])
        own = own + np.clip([s[2] for s in seen], -0.3, 0.3)
        normal, pull = parts.sum(axis=0), pulls.sum(axis=0)
        normal = normal + 1e-9 * max(float(np.trace(normal)), 1e-30) * np.eye(TERMS)
        level = max(noise, 1e-8 * float(np.trace(normal)))
        if last:
            break
        held = normal / level + hold / spread2
        point = point + np.clip(np.linalg.solve(held, pull / level - hold @ point / spread2), -0.4, 0.4)
        spread2 = float(point @ gram @ point + np.trace(gram @ np.linalg.inv(held)))
        spread2 = float(np.clip(spread2, _LEAST_RAD**2, _MOST_RAD**2))
    inverse = np.linalg.inv(normal)
    shaken = np.tensordot(np.array([m.trust for m in maps]), parts, axes=(0, 0))
    covariance = level * inverse @ shaken @ inverse
    return Delay(point + inverse @ pull, covariance, float(own[0]), parts, pulls, point)


def _linearised(
    m: Harmonic, basis: Float, point: Float, own: float, shape: tuple[int, ...]
) -> tuple[Float, Float, float]:
    """Give one map's normal matrix, its pull on the terms, and the step of its own phase."""
    design = basis * (m.order * m.response)
    turned = m.values * np.exp(-1j * ((design @ point).reshape(shape) + own))
    size = np.maximum(smoothed(turned).real, 0.0)
    share = m.trust / m.noise * m.weight
    weight, pull = (share * size**2).ravel(), (share * size * turned.imag).ravel()
    whole = max(float(weight.sum()), 1e-30)
    mean, middle = design.T @ weight / whole, float(pull.sum()) / whole
    part = design.T @ (weight[:, None] * design) - whole * np.outer(mean, mean)
    return part, design.T @ pull - whole * mean * middle, middle


def posterior_spread(delay: Delay, basis: Float) -> tuple[float, Float]:
    """Average over the spreads that data and noise leave open.

    Terms c = true terms + noise of covariance C; true terms have covariance s^2 P; s has a half Cauchy prior
    of 10 degrees. Each s on a grid is weighed with its prior and the density of c under s^2 P + C.

    Returns
    -------
    Mean of the field's root mean square, and the mean of its terms (5,), both in radians.
    """
    gram, prior = basis.T @ basis / len(basis), _prior_covariance(basis)
    spreads2 = (_SPREADS_RAD**2)[:, None, None]
    whole = spreads2 * prior + delay.covariance
    gain = spreads2 * prior @ np.linalg.inv(whole)
    terms = gain @ delay.terms
    left = spreads2 * prior - gain @ (spreads2 * prior)
    square = np.einsum("si,ij,sj->s", terms, gram, terms) + np.einsum("ij,sji->s", gram, left)
    density = -0.5 * np.einsum("i,sij,j->s", delay.terms, np.linalg.inv(whole), delay.terms)
    density = density - 0.5 * np.linalg.slogdet(whole)[1]
    density = density + np.log(_SPREADS_RAD) - np.log1p((_SPREADS_RAD / _SCALE_RAD) ** 2)
    share = np.exp(density - density.max())
    share = share / share.sum()
    return float(share @ np.sqrt(np.maximum(square, 0.0))), np.asarray(share @ terms)


def smoothed(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Average a map over its neighbours: 3 of 24 rings and 22.5 degrees (standard deviations)."""
    sigma = (_SMOOTH_RINGS * values.shape[0] / 24.0, _SMOOTH_DEG * values.shape[1] / 360.0)
    parts = [ndimage.gaussian_filter(part, sigma, mode=("nearest", "wrap")) for part in (values.real, values.imag)]
    return np.asarray(parts[0] + 1j * parts[1])
