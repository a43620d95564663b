"""A smooth field of contraction delay over the wall, and its spread, from noisy harmonics of the beat.

The field has five terms with a common prior of unknown spread. The reported spread is averaged over all spreads that
the data and their noise allow (empirical Bayes). Subtracting the variance of the noise from that of the field instead
fails where the two are similar.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.types import Float

TERMS = 5
_SMOOTH_RINGS, _SMOOTH_DEG = 3.0, 22.5
_ROUNDS = 8
"""Gauss-Newton steps."""
_START_RAD, _LEAST_RAD, _MOST_RAD = np.deg2rad((10.0, 2.0, 60.0))
"""Spread of the prior: first guess and bounds."""
_SPREADS_RAD = np.deg2rad(np.geomspace(1.0, 70.0, 60))
"""Grid of spreads that the posterior is averaged over."""
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
        Shape (rings, angles): 1 / variance of the real or imaginary part of a sample, on a scale that all maps share
        except for `noise`.
    order
        1 or 2: a delay rotates it by that multiple of its angle.
    response
        Shape (5,): how much of each term of the delay it shows.
    noise
        Its variance relative to that implied by `weight`.
    trust
        Factor on its weight in the fit in addition to `noise`.
    """

    values: NDArray[np.complex128]
    weight: Float
    order: int
    response: Float
    noise: float = 1.0
    trust: float = 1.0


@dataclass(frozen=True, eq=False)
class Delay:
    """The five terms of a field of delay, estimated from the data alone.

    Attributes
    ----------
    terms
        Shape (5,), radians.
    covariance
        Shape (5, 5): covariance of their noise.
    start
        Phase of the first map in radians where the field is zero.
    parts, pulls
        Shapes (maps, 5, 5) and (maps, 5): what each map adds to the normal matrix and right-hand side at `point`.
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
    """Return the terms of the field, (rings * angles, 5), each of mean zero.

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
    """Return the prior covariance (5, 5) of the terms for a mean square of the field of 1: equal and uncorrelated."""
    gram = basis.T @ basis / len(basis)
    return np.asarray(np.eye(TERMS) / np.trace(gram))


def fit_delay(maps: Sequence[Harmonic], basis: Float, noise: float) -> Delay:
    """Estimate the field of delay that, when undone, gives every map one phase over the whole wall.

    Gauss-Newton steps minimise the sum of trust weight / noise |size Im(z exp(-i (k R phi + phase)))|^2, where size is
    the smoothed real part and each map has a phase of its own. A prior, whose spread is re-estimated in every round
    from the field's mean square and its uncertainty, keeps the field from following the noise. The returned terms are
    those of the data without the prior, linearised at the last field.

    Parameters
    ----------
    noise
        Variance of the real or imaginary part of the first map times its weight; 0 where it is unknown.
    """
    shape, gram, hold = maps[0].values.shape, basis.T @ basis / len(basis), np.linalg.inv(_prior_covariance(basis))
    point, spread2 = np.zeros(TERMS), float(_START_RAD**2)
    phases = np.array([float(np.angle((m.weight * m.values).sum())) for m in maps])
    for last in [False] * (_ROUNDS - 1) + [True]:
        pieces = [_linearised(m, basis, point, phases[i], shape) for i, m in enumerate(maps)]
        parts, pulls = np.array([piece[0] for piece in pieces]), np.array([piece[1] for piece in pieces])
        phases = phases + np.clip([piece[2] for piece in pieces], -0.3, 0.3)
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
    spread = np.tensordot(np.array([m.trust for m in maps]), parts, axes=(0, 0))
    covariance = level * inverse @ spread @ inverse
    return Delay(point + inverse @ pull, covariance, float(phases[0]), parts, pulls, point)


def _linearised(
    harmonic: Harmonic, basis: Float, point: Float, phase: float, shape: tuple[int, ...]
) -> tuple[Float, Float, float]:
    """Return a map's normal matrix and right-hand side for the terms, and the step of its own phase."""
    design = basis * (harmonic.order * harmonic.response)
    turned = harmonic.values * np.exp(-1j * ((design @ point).reshape(shape) + phase))
    size = np.maximum(smoothed(turned).real, 0.0)
    share = harmonic.trust / harmonic.noise * harmonic.weight
    weight, pull = (share * size**2).ravel(), (share * size * turned.imag).ravel()
    whole = max(float(weight.sum()), 1e-30)
    mean, middle = design.T @ weight / whole, float(pull.sum()) / whole
    part = design.T @ (weight[:, None] * design) - whole * np.outer(mean, mean)
    return part, design.T @ pull - whole * mean * middle, middle


def posterior_spread(delay: Delay, basis: Float) -> tuple[float, Float]:
    """Average the spread of the field, and its terms, over all spreads that data and noise allow.

    Terms c = true terms + noise of covariance C; true terms have covariance s^2 P; s has a half Cauchy prior
    of 10 degrees. Each s on a grid is weighted with its prior and the density of c under s^2 P + C.

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
