"""The left ventricle as two surfaces around the centre of the valve plane, and its exact volumes.

Local frame: origin at the centre of the valve plane, components (anterior, septal, apexward) in mm. A
direction is given by its angle ``theta`` from the apex and ``angle`` about the axis (0 anterior, 90
septal). The wall lies between two distances, ``inner(theta, angle)`` and ``outer(theta, angle)``, down to
the valve plane ``apexward = tilt * septal``, which holds the origin: the septum is shorter than the
lateral wall. Where a cavity loses the share e of its cone in a direction and the wall the share w of its
volume (blood squeezed out of its vessels)::

    inner'^3 = (1 - e) inner^3        outer'^3 = inner'^3 + (1 - w) (outer^3 - inner^3)

so that the wall thickens as tissue of that volume must, and the ejection fraction is the mean of e
weighted with the cones' volumes. Volumes are integrals of ``r^3 / 3`` over directions.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myoperf.errors import InputError
from myoperf.phantom.parts import Ventricle
from myoperf.types import Float

_FINE = (161, 96)
"""Nodes of the mid-wall's tables along the meridian and around."""
_LEVEL_CENTRES = np.array([0.0, 0.30, 0.585, 0.86])
_TAPER_FROM = 0.6
"""Cosine of the angle from the apex beyond which the wall draws in towards the valve."""
_PAPILLARY = ((0.60, 322.0), (0.60, 215.0))
"""(fraction, angle) of the anterolateral and the posteromedial papillary muscle."""


@dataclass(frozen=True, eq=False)
class Wall:
    """The wall at places given by (meridian share q, angle).

    Attributes
    ----------
    theta
        Angle from the apex, radians.
    inner_mm, mid_mm, outer_mm
        Distances from the centre of the valve plane.
    fraction
        Arc length along the mid-wall, 0 apex to 1 valve plane.
    """

    theta: Float
    inner_mm: Float
    mid_mm: Float
    outer_mm: Float
    fraction: Float


def spread_segments(values: ArrayLike, fraction: ArrayLike, angle_deg: ArrayLike) -> NDArray[np.float64]:
    """Spread 17 segment values smoothly over the wall.

    Trigonometric interpolation around each ring through the centres of its segments, linear between the
    levels' centres along the wall.

    Parameters
    ----------
    values
        Shape (17,), AHA order.
    fraction, angle_deg
        Broadcast together.
    """
    seg = np.asarray(values, dtype=np.float64)
    if seg.shape != (17,):
        raise InputError(f"The left ventricle has 17 segments; got {seg.shape}.")
    fraction, angle = np.broadcast_arrays(np.asarray(fraction, float), np.deg2rad(np.asarray(angle_deg, float)))
    rings = (
        np.full(angle.shape, seg[16]),
        _around(seg[12:16], angle),
        _around(seg[6:12], angle),
        _around(seg[0:6], angle),
    )
    position = np.interp(fraction, _LEVEL_CENTRES, np.arange(4.0))
    lower = np.minimum(position.astype(np.int64), 2)
    share = position - lower
    stack = np.stack(rings)
    below = np.take_along_axis(stack, lower[None], axis=0)[0]
    above = np.take_along_axis(stack, lower[None] + 1, axis=0)[0]
    return np.asarray(below * (1 - share) + above * share)


def _around(ring: Float, angle: Float) -> Float:
    """Interpolate equally spaced values around a circle by their Fourier series."""
    n = ring.size
    spectrum = np.fft.rfft(ring) / n
    out = np.full(angle.shape, spectrum[0].real)
    for k in range(1, spectrum.size):
        gain = 1.0 if 2 * k == n else 2.0
        out += gain * (spectrum[k].real * np.cos(k * angle) - spectrum[k].imag * np.sin(k * angle))
    return out


def end_of_wall(ventricle: Ventricle, angle_deg: ArrayLike) -> Float:
    """Return the angle theta (radians) from the apex, about the valve plane's centre, at which the wall ends.

    It is a right angle for a valve plane across the long axis; a tilted plane ends the wall sooner on one side.
    """
    return np.asarray(0.5 * np.pi - np.arctan(ventricle.valve_tilt * np.sin(np.deg2rad(angle_deg))))


def _mid_surface(ventricle: Ventricle, theta: Float, angle_deg: Float) -> Float:
    """Return the distance to the smooth mid-wall, before any bulge."""
    v = ventricle
    radius = v.radius_mm * (1 + v.ellipticity * np.cos(2 * np.deg2rad(angle_deg - v.ellipticity_deg)))
    along, across = np.abs(np.cos(theta)) / v.length_mm, np.sin(theta) / radius
    near_valve = np.clip(1.0 - np.cos(theta) / _TAPER_FROM, 0.0, None)
    return np.asarray((along**v.power + across**v.power) ** (-1.0 / v.power) * (1.0 - v.taper * near_valve**2))


def _bump(fraction: Float, angle_deg: Float, centre: tuple[float, float], widths: tuple[float, float]) -> Float:
    """Return a smooth bump of height 1 on the wall; `widths` in (fraction, degrees at the equator)."""
    turn = (angle_deg - centre[1] + 180.0) % 360.0 - 180.0
    near_apex = np.sin(0.5 * np.pi * np.clip(0.5 * (fraction + centre[0]), 0, 1))
    return np.asarray(
        np.exp(-0.5 * ((fraction - centre[0]) / widths[0]) ** 2 - 0.5 * (turn * near_apex / widths[1]) ** 2)
    )


def _arc(theta: Float, distance: Float) -> Float:
    """Integrate arc length along axis 0 by the trapezium of chord lengths."""
    x, z = distance * np.sin(theta), distance * np.cos(theta)
    chords = np.hypot(np.diff(x, axis=0), np.diff(z, axis=0))
    return np.concatenate([np.zeros_like(chords[:1]), np.cumsum(chords, axis=0)])


@lru_cache(maxsize=32)
def _fine(ventricle: Ventricle) -> tuple[Float, Float, Float, Float]:
    """Tabulate (q, angle, mid distance with bulge, fraction) finely: q (n,), angle (m,), tables (n, m)."""
    q, angle = np.linspace(0, 1, _FINE[0]), np.arange(_FINE[1]) * (360.0 / _FINE[1])
    theta = q[:, None] * end_of_wall(ventricle, angle)[None]
    smooth = _mid_surface(ventricle, theta, angle[None])
    arc = _arc(theta, smooth)
    v = ventricle
    width = (v.bulge_width, 180.0 * v.bulge_width)
    bulge = v.bulge_mm * _bump(arc / arc[-1:], angle[None], (v.bulge_fraction, v.bulge_angle_deg), width)
    mid = smooth + bulge
    arc = _arc(theta, mid)
    return q, angle, mid, arc / arc[-1:]


def _lookup(table: Float, q: Float, angle_deg: Float) -> Float:
    """Interpolate a table of (q, angle) bilinearly, periodic in angle."""
    n, m = table.shape
    a, b = np.clip(q, 0, 1) * (n - 1.0), (angle_deg % 360.0) * (m / 360.0)
    i, j = np.minimum(a.astype(np.int64), n - 2), b.astype(np.int64) % m
    s, t, k = a - i, b - np.floor(b), (j + 1) % m
    lower = table[i, j] * (1 - t) + table[i, k] * t
    return np.asarray(lower * (1 - s) + (table[i + 1, j] * (1 - t) + table[i + 1, k] * t) * s)


def wall_at(ventricle: Ventricle, q: ArrayLike, angle_deg: ArrayLike) -> Wall:
    """Return the wall at the reference instant.

    Parameters
    ----------
    q
        theta as a share of the wall's end in that direction: 0 apex, 1 valve plane.
    angle_deg
        Broadcast with `q`.
    """
    share, angle = np.broadcast_arrays(np.asarray(q, float), np.asarray(angle_deg, float))
    end = end_of_wall(ventricle, angle)
    _, _, mid_table, fraction_table = _fine(ventricle)
    mid = _lookup(mid_table, share, angle)
    fraction = _lookup(fraction_table, share, angle)
    step = 1.0 / (_FINE[0] - 1)
    low, high = np.clip(share - step, 0, 1), np.clip(share + step, 0, 1)
    slope = (1 / _lookup(mid_table, high, angle) - 1 / _lookup(mid_table, low, angle)) / ((high - low) * end)
    # F = distance / mid is 1 on the mid-wall; a normal step t changes F by t |grad F|.
    half = 0.5 * spread_segments(ventricle.wall_mm, fraction, angle) * np.hypot(1 / mid, slope)
    inner = mid * (1 - np.minimum(half, 0.8))
    outer = mid * (1 + half)
    papillary = sum((_bump(fraction, angle, centre, (0.14, 13.0)) for centre in _PAPILLARY), np.zeros_like(mid))
    inner = inner - ventricle.papillary_mm * papillary
    return Wall(share * end, np.maximum(inner, 0.1 * mid), mid, outer, fraction)


def fraction_of_meridian(ventricle: Ventricle, fraction: ArrayLike, angle_deg: ArrayLike) -> NDArray[np.float64]:
    """Return the meridian coordinate q (0 apex, 1 base) of an arc-length fraction of the mid-wall, by 24 bisections.

    The inverse of `Wall.fraction`. The arguments are broadcast.
    """
    target, angle = np.broadcast_arrays(np.asarray(fraction, float), np.asarray(angle_deg, float))
    _, _, _, table = _fine(ventricle)
    low, high = np.zeros(target.shape), np.ones(target.shape)
    for _ in range(24):
        middle = 0.5 * (low + high)
        under = _lookup(table, middle, angle) < target
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return 0.5 * (low + high)


def deform(wall: Wall, ejection: ArrayLike, wall_loss: ArrayLike = 0.0) -> tuple[Float, Float]:
    """Move the wall: (inner, outer) distances once each cone has ejected the share `ejection`.

    Negative values fill the cavity further. Every cone of the wall keeps its volume but for the share `wall_loss`.
    """
    inner = (1.0 - np.asarray(ejection)) * wall.inner_mm**3
    tissue = (1.0 - np.asarray(wall_loss)) * (wall.outer_mm**3 - wall.inner_mm**3)
    return np.cbrt(inner), np.cbrt(inner + tissue)


def solid_angle_weights(ventricle: Ventricle, rings: int = 48, angles: int = 96) -> tuple[Float, Float, Float]:
    """Return quadrature nodes over the wall's directions.

    Returns
    -------
    q (rings, 1), angle_deg (1, angles) and weights (rings, angles) in steradian: Gauss-Legendre in q,
    equal steps in angle.
    """
    node, weight = np.polynomial.legendre.leggauss(rings)
    q, w = 0.5 * (node + 1.0)[:, None], 0.5 * weight[:, None]
    angle = (np.arange(angles) * (360.0 / angles))[None]
    end = end_of_wall(ventricle, angle)
    return q, angle, w * end * np.sin(q * end) * (2 * np.pi / angles)


def myocardium_ml(ventricle: Ventricle) -> float:
    """Return the volume of the wall at end diastole, ml, integrated over its surfaces."""
    q, angle, weight = solid_angle_weights(ventricle)
    wall = wall_at(ventricle, q, angle)
    return float((weight * (wall.outer_mm**3 - wall.inner_mm**3)).sum() / 3000.0)
