"""A field of contraction delay over the wall, and its spread, from noisy harmonics of the beat.

The field is a series fine enough for a late region of a sixth of the wall's length and for a third harmonic round the
axis. Its terms have a common prior whose spread and roughness are not known: everything is averaged over all spreads
and roughnesses by how well they explain the data (marginal likelihood), so that each study sets its own smoothing.
Subtracting the variance of the noise from that of the field instead fails where the two are similar, and a fixed
smoothing hides focal delays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import gammainc

from myoperf.types import Float

AROUND, ALONG = 4, 3
"""Highest harmonic round the axis; cosines along it for each harmonic."""
_SMOOTH_RINGS, _SMOOTH_DEG = 3.0, 22.5
_ROUNDS = 6
"""Gauss-Newton steps."""
_START_RAD, _LEAST_RAD, _MOST_RAD = np.deg2rad((10.0, 2.0, 60.0))
"""Spread of the prior while the field is searched: first guess and bounds."""
_SPREADS_RAD = np.deg2rad(np.geomspace(0.2, 60.0, 30))
"""Grid of spreads that the posterior is averaged over."""
_ROUGHNESS = (0.5, 0.8, 1.4)
"""Grid of the orders' scale: a term of order n has a prior variance in proportion to 1 / (1 + (n roughness)^2)^2."""
_SCALE_RAD = np.deg2rad(10.0)
"""Scale of the half Cauchy prior of the spread: half of all hearts below 10 degrees, and a long tail."""
_QUANTILES = (0.5, 0.025, 0.975)
_FINE_RAD = np.deg2rad(np.linspace(0.02, 70.0, 3500))
_COARSER = 50
"""Where the quantiles are sought, first at every fiftieth place."""
_ZERO_RAD = np.deg2rad(1.0)
"""A spread below this cannot be distinguished from none: the lower end of an interval that reaches it is 0."""


@dataclass(frozen=True, eq=False)
class Basis:
    """The terms of the field.

    Attributes
    ----------
    values
        Shape (rings * angles, terms), each of mean 0 and mean square 1.
    around, along
        Shape (terms,): harmonic round the axis and order of the cosine along it.
    """

    values: Float
    around: NDArray[np.int64]
    along: NDArray[np.int64]

    def prior(self, roughness: float) -> Float:
        """Return the prior variance of the terms (terms,) for a mean square of the field of 1."""
        order2 = self.around.astype(np.float64) ** 2 + self.along.astype(np.float64) ** 2
        variance = 1.0 / (1.0 + roughness**2 * order2) ** 2
        return np.asarray(variance / variance.sum())


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
        Shape (terms,): how much of each term of the delay it shows.
    noise
        Its variance relative to that implied by `weight`.
    """

    values: NDArray[np.complex128]
    weight: Float
    order: int
    response: Float
    noise: float = 1.0


@dataclass(frozen=True, eq=False)
class DelayData:
    """What the harmonics say of the terms of a field of delay, without a prior.

    Attributes
    ----------
    precision, pull
        Shapes (maps, terms, terms) and (maps, terms): of each map, the inverse covariance of the terms it alone would
        give, and that times those terms.
    start
        Phase of the first map in radians where the field is zero.
    misfit
        Squared disagreement of the maps over that expected from noise, 1 where only noise differs; by it `precision`
        and `pull` were divided where it exceeds 1. None for one map.
    """

    precision: Float
    pull: Float
    start: float
    misfit: float | None


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The spread of a field of delay, in radians.

    Attributes
    ----------
    median, low, high
        Of its posterior distribution; low and high hold 95 percent of it.
    noise
        Root mean square of what is not known of the field.
    terms
        Shape (terms,): mean of the posterior distribution.
    """

    median: float
    low: float
    high: float
    noise: float
    terms: Float


def delay_basis(rings: int, angles: int) -> Basis:
    """Return the terms of the field: cosines from apex to base times harmonics round the axis, fading at the apex."""
    share = ((np.arange(rings) + 0.5) / rings)[:, None]
    turn = (np.arange(angles) * (2.0 * np.pi / angles))[None]
    girth = np.sin(0.5 * np.pi * share)
    terms, orders = [], []
    for n in range(1, ALONG + 1):
        terms.append(np.cos(n * np.pi * share) * np.ones_like(turn))
        orders.append((0, n))
    for k in range(1, AROUND + 1):
        for n in range(ALONG):
            profile = girth ** min(k, 2) * np.cos(n * np.pi * share)
            terms += [profile * np.cos(k * turn), profile * np.sin(k * turn)]
            orders += [(k, n), (k, n)]
    flat = np.stack([term.ravel() for term in terms], axis=1)
    flat = flat - flat.mean(axis=0)
    around, along = np.array(orders).T
    return Basis(flat / np.sqrt((flat**2).mean(axis=0)), around, along)


def read_delay(maps: Sequence[Harmonic], basis: Basis, noise: float) -> DelayData:
    """Find the field of delay that, when undone, gives every map one phase over the whole wall.

    Gauss-Newton steps minimise the sum of weight / noise |size Im(z exp(-i (k R phi + phase)))|^2, where size is
    the smoothed real part and each map has a phase of its own. A prior, whose spread is re-estimated in every round
    from the field's mean square and its uncertainty, keeps the field from following the noise. What is returned is
    the data's part alone, linearised at the last field.

    Where the maps disagree by more than noise explains (an approximate response, a wall that was not followed), the
    noise of all is raised until they agree (Birge, Phys Rev 1932;40:207).

    Parameters
    ----------
    noise
        Variance of the real or imaginary part of the first map times its weight; 0 where it is unknown.
    """
    values = basis.values
    gram, prior = values.T @ values / len(values), basis.prior(_ROUGHNESS[1])
    point, spread2 = np.zeros(len(prior)), float(_START_RAD**2)
    phases = np.array([float(np.angle((m.weight * m.values).sum())) for m in maps])
    for last in [False] * (_ROUNDS - 1) + [True]:
        pieces = [_linearised(m, values, point, phases[i]) for i, m in enumerate(maps)]
        parts, pulls = np.array([piece[0] for piece in pieces]), np.array([piece[1] for piece in pieces])
        phases = phases + np.clip([piece[2] for piece in pieces], -0.3, 0.3)
        level = max(noise, 1e-8 * float(np.trace(parts.sum(axis=0))), 1e-30)
        parts, pulls = parts / level, pulls / level
        if last:
            break
        held = parts.sum(axis=0) + np.diag(1.0 / (spread2 * prior))
        step = np.linalg.solve(held, pulls.sum(axis=0) - point / (spread2 * prior))
        point = point + np.clip(step, -0.4, 0.4)
        spread2 = float(point @ gram @ point + np.trace(gram @ np.linalg.inv(held)))
        spread2 = float(np.clip(spread2, _LEAST_RAD**2, _MOST_RAD**2))
    data = DelayData(parts, pulls + parts @ point, float(phases[0]), None)
    return data if len(maps) < 2 else _with_misfit(data)


def _linearised(harmonic: Harmonic, values: Float, point: Float, phase: float) -> tuple[Float, Float, float]:
    """Return a map's normal matrix and right-hand side for the terms, and the step of its own phase."""
    design = values * (harmonic.order * harmonic.response)
    turned = harmonic.values * np.exp(-1j * ((design @ point).reshape(harmonic.values.shape) + phase))
    size = np.maximum(smoothed(turned).real, 0.0)
    share = harmonic.weight / harmonic.noise
    weight, pull = (share * size**2).ravel(), (share * size * turned.imag).ravel()
    whole = max(float(weight.sum()), 1e-30)
    mean, middle = design.T @ weight / whole, float(pull.sum()) / whole
    part = design.T @ (weight[:, None] * design) - whole * np.outer(mean, mean)
    return part, design.T @ pull - whole * mean * middle, middle


def _with_misfit(data: DelayData) -> DelayData:
    """Return the data with the squared disagreement of the maps, and their noise raised where it exceeds 1."""
    shares = [(part, pull, _known(part)) for part, pull in zip(data.precision, data.pull, strict=True)]
    whole, pull = data.precision.sum(axis=0), data.pull.sum(axis=0)
    apart = sum(float(one @ inverse @ one) for _, one, inverse in shares) - float(pull @ _known(whole) @ pull)
    misfit = max(apart, 0.0) / ((len(shares) - 1) * len(pull))
    excess = max(misfit, 1.0)
    return replace(data, precision=data.precision / excess, pull=data.pull / excess, misfit=misfit)


def _known(precision: Float) -> Float:
    """Return the inverse of a precision, near 0 in the directions that it does not hold."""
    size = float(np.trace(precision)) / len(precision)
    return np.asarray(np.linalg.inv(precision + max(1e-6 * size, 1e-30) * np.eye(len(precision))))


def posterior_spread(data: DelayData, basis: Basis) -> Spread:
    """Average the spread of the field, and its terms, over all spreads and roughnesses that data and noise allow.

    The true terms have covariance s^2 P(roughness); s has a half Cauchy prior of 10 degrees. Each pair on a grid is
    weighted with its prior and its marginal likelihood; for each the field's mean square is taken as gamma
    distributed with its exact mean and variance.
    """
    precision, pull = data.precision.sum(axis=0), data.pull.sum(axis=0)
    gram = basis.values.T @ basis.values / len(basis.values)
    spreads2 = _SPREADS_RAD[:, None] ** 2
    prior_of_spread = np.log(_SPREADS_RAD) - np.log1p((_SPREADS_RAD / _SCALE_RAD) ** 2)
    logs, squares, variances, unknown, terms = [], [], [], [], []
    for roughness in _ROUGHNESS:
        root = np.sqrt(basis.prior(roughness))
        size, turn = np.linalg.eigh(root[:, None] * precision * root)
        turned = root[:, None] * turn
        seen, shape = turned.T @ pull, turned.T @ gram @ turned
        left = spreads2 / (1.0 + spreads2 * np.maximum(size, 0.0))  # (spreads, terms): what stays unknown of each
        mean = left * seen
        logs.append(0.5 * (np.log(left / spreads2) + mean * seen).sum(axis=1) + prior_of_spread)
        unknown.append(left @ np.diag(shape))
        cross = mean @ shape
        squares.append((cross * mean).sum(axis=1) + unknown[-1])
        variances.append(((2.0 * left @ shape**2 + 4.0 * cross**2) * left).sum(axis=1))
        terms.append(mean @ turned.T)
    log = np.concatenate(logs)
    share = np.exp(log - log.max())
    share = share / share.sum()
    square, variance = np.concatenate(squares), np.maximum(np.concatenate(variances), 1e-30)
    median, low, high = _quantiles(share, square**2 / variance, square / variance)
    return Spread(
        median=median,
        low=low if low > _ZERO_RAD else 0.0,
        high=high,
        noise=float(np.sqrt(share @ np.concatenate(unknown))),
        terms=np.asarray(share @ np.concatenate(terms)),
    )


def _quantiles(share: Float, shape: Float, rate: Float) -> list[float]:
    """Return the quantiles of a mixture of gamma distributions of the squared field, as its root; each (n,)."""

    def below(radii: Float) -> Float:
        return np.asarray(share @ gammainc(shape[:, None], radii**2 * rate[:, None]))

    coarse, quantiles = below(_FINE_RAD[::_COARSER]), []
    for quantile in _QUANTILES:  # each lies between two coarse steps: only there the fine ones are needed
        step = int(np.searchsorted(coarse, quantile))
        near = _FINE_RAD[max(step - 1, 0) * _COARSER : step * _COARSER + 1]
        quantiles.append(float(np.interp(quantile, below(near), near)))
    return quantiles


def smoothed(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Average a map over its neighbours: 3 of 24 rings and 22.5 degrees (standard deviations)."""
    sigma = (_SMOOTH_RINGS * values.shape[0] / 24.0, _SMOOTH_DEG * values.shape[1] / 360.0)
    parts = [ndimage.gaussian_filter(part, sigma, mode=("nearest", "wrap")) for part in (values.real, values.imag)]
    return np.asarray(parts[0] + 1j * parts[1])
