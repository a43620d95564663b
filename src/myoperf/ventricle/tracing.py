"""The wall's surfaces along rays: mid-wall, inner and outer edge, and where the wall ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from myoperf.geometry import sample
from myoperf.types import Float, Volume
from myoperf.ventricle.bullet import ANGLES, Bullet, Nodes, bullet_nodes

__all__ = ["Surfaces", "smooth_surface", "trace_wall", "valve_plane"]


PAST_BASE_MM = 24.0
EDGE_MM = (4.0, 14.0)  # limits of half a wall's thickness as seen


@dataclass(frozen=True, eq=False)
class Surfaces:
    """The wall as distances along the rays of `nodes`.

    Parameters
    ----------
    bullet, nodes
        What the rays were laid over.
    inner_mm, middle_mm, outer_mm
        (rings, angles) distances from the rays' origins.
    counts
        (rings, angles) at mid-wall.
    weight
        (rings, angles) 0 to 1: how clearly a wall was seen; 0 where it was only interpolated.
    rim_mm
        (angles,) where the wall ends, along the axis from the hub.
    """

    bullet: Bullet
    nodes: Nodes
    inner_mm: Float
    middle_mm: Float
    outer_mm: Float
    counts: Float
    weight: Float
    rim_mm: Float

    def middle_points(self) -> Float:
        """(rings, angles, 3) LPS positions of the mid-wall."""
        return self.nodes.origins + self.middle_mm[..., None] * self.nodes.directions


def smooth_surface(values: Float, weight: Float, prior: Float, *, stiffness: float = 3.0, pull: float = 0.03) -> Float:
    """Give the smooth surface nearest to weighted values: bending costs, and so does leaving the prior.

    Minimises the sum of weight (x - values)^2 + pull (x - prior)^2 + stiffness times the squared
    second differences along rings (closed) and angles, so that low-count sectors are bridged.
    """
    rings, angles = values.shape
    turn = sparse.eye(angles, format="lil") * -2.0
    for i in range(angles):
        turn[i, (i + 1) % angles] += 1
        turn[i, (i - 1) % angles] += 1
    along = sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(max(rings - 2, 0), rings))
    bend_turn = sparse.kron(sparse.eye(rings), turn.tocsr())
    bend_along = sparse.kron(along, sparse.eye(angles))
    matrix = sparse.diags(weight.ravel() + pull) + stiffness * (bend_turn.T @ bend_turn + bend_along.T @ bend_along)
    right = (weight * values + pull * prior).ravel()
    return np.asarray(spsolve(matrix.tocsc(), right)).reshape(rings, angles)


def _peaks(profiles: Float, expected: Float, sigma_mm: float) -> tuple[Float, Float]:
    """Give the place of the wall's peak near the expected radius, and how clearly it rises above the cavity."""
    steps = np.arange(profiles.shape[-1], dtype=np.float64)
    window = np.exp(-0.5 * ((steps - expected[..., None]) / sigma_mm) ** 2)
    place = np.argmax(profiles * window, axis=-1)
    peak = np.take_along_axis(profiles, place[..., None], axis=-1)[..., 0]
    inside = np.where(steps <= place[..., None], profiles, np.inf).min(axis=-1)
    usual = np.percentile(peak, 75)
    clear = np.clip((peak - inside) / (0.4 * usual + 1e-12), 0, 1) * np.clip(peak / (0.6 * usual + 1e-12), 0, 1) ** 2
    clear = np.where(peak > 1.7 * usual, 0.2 * clear, clear)  # hotter than this is rarely wall
    return place.astype(np.float64), clear


def _edges(profiles: Float, middle: Float, weight: Float) -> tuple[Float, Float]:
    """Give the half-height distances inwards and outwards from mid-wall, regularised over the wall."""
    rings, angles, length = profiles.shape
    steps = np.arange(length, dtype=np.float64)
    place = np.clip(np.rint(middle), 0, length - 1).astype(int)
    peak = np.take_along_axis(profiles, place[..., None], axis=-1)
    out = []
    for sign in (-1, 1):
        offset = sign * (steps - middle[..., None])
        side = (offset >= 0) & (offset <= 20.0)
        low = np.where(side, profiles, np.inf).min(axis=-1, keepdims=True)
        low = np.minimum(low, peak)
        level = np.maximum(0.5 * (peak + low), 0.5 * peak)
        below = side & (profiles < level)
        first = np.where(below, offset, np.inf).min(axis=-1) - 0.5
        seen = np.isfinite(first) & ((peak - low)[..., 0] > 0.25 * peak[..., 0])
        trust = weight * seen
        usual = float(np.median(first[trust > 0.3])) if (trust > 0.3).any() else 8.0
        half = np.clip(np.where(seen, first, usual), *EDGE_MM)
        out.append(smooth_surface(half, trust, np.full((rings, angles), usual), stiffness=2.0, pull=0.1))
    return np.clip(out[0], *EDGE_MM), np.clip(out[1], *EDGE_MM)


def valve_plane(nodes: Nodes, bullet: Bullet, counts: Float) -> Float:
    """Find where the wall ends towards the base, as a slightly tilted plane.

    In each sector the wall ends where its counts fall below half of that sector's own usual counts,
    so that a hot septum does not shorten the lateral wall; sectors far below the whole wall's usual
    counts (a defect) do not vote.

    Returns
    -------
    (angles,): position along the axis from the hub.
    """
    tube = counts[nodes.cap_rings :]
    step = float(nodes.depth_mm[-1] - nodes.depth_mm[-2]) if len(tube) > 1 else 4.0
    own = np.percentile(counts[nodes.cap_rings // 2 : nodes.cap_rings + max(2, int(30 / step))], 75, axis=0)
    usual = np.percentile(own, 75)
    gone = tube < 0.5 * own
    gone[: max(1, int(0.3 * bullet.radius_mm / step))] = False
    first = np.where(gone.any(axis=0), np.argmax(gone, axis=0), len(tube))
    previous = tube[np.maximum(first - 1, 0), np.arange(ANGLES)]
    current = tube[np.minimum(first, len(tube) - 1), np.arange(ANGLES)]
    part = np.where(previous > current, (previous - 0.5 * own) / np.maximum(previous - current, 1e-9), 0.5)
    end = (first - 1 + np.clip(part, 0, 1)) * step
    votes = own > 0.5 * usual
    turn = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    design = np.stack([np.ones(ANGLES), np.cos(turn), np.sin(turn)], axis=1)
    weight = votes.astype(float)
    plane = np.array([np.median(end[votes]) if votes.any() else bullet.base_mm, 0.0, 0.0])
    for _ in range(10):
        gap = end - design @ plane
        robust = weight / np.maximum(np.abs(gap), 3.0)
        ridge = np.diag([1e-6, 0.2, 0.2])
        plane = np.linalg.solve(design.T @ (robust[:, None] * design) + ridge, design.T @ (robust * end))
    tilt = float(np.hypot(plane[1], plane[2]))
    plane[1:] *= min(1.0, 0.4 * bullet.radius_mm / max(tilt, 1e-9))
    return np.asarray(design @ plane)


def trace_wall(image: Volume, bullet: Bullet, anterior: Float, *, rim_mm: Float | None = None) -> Surfaces:
    """Trace the wall of a static image along the rays of a bullet.

    The mid-wall is the profile's maximum near the bullet, regularised (`smooth_surface`); the edges
    are half-way between the wall's peak and the lowest counts within 20 mm on either side, so
    they outline the wall *as the image shows it*, broadened by its resolution.

    Parameters
    ----------
    image
        Static, of `myoperf.lv.detect.prepare`.
    rim_mm
        A mitral plane that is known, along the axis from the hub; found when None.
    """
    nodes = bullet_nodes(bullet, anterior, beyond_mm=PAST_BASE_MM)
    reach = np.arange(float(np.ceil(nodes.radius_mm.max() + 32.0)))
    points = nodes.origins[..., None, :] + reach[:, None] * nodes.directions[..., None, :]
    profiles = ndimage.gaussian_filter1d(sample(image, points)[0].astype(np.float64), 1.5, axis=-1)
    profiles = ndimage.gaussian_filter1d(profiles, 0.7, axis=1, mode="wrap")
    past = 1 / (1 + np.exp((nodes.depth_mm - nodes.depth_mm[nodes.cap_rings] - bullet.base_mm) / 4.0))
    middle = nodes.radius_mm
    for sigma in (9.0, 6.0, 5.0):
        place, clear = _peaks(profiles, middle, sigma)
        weight = clear * past[:, None]
        middle = smooth_surface(place, weight, nodes.radius_mm)
    middle = np.clip(middle, 0.4 * nodes.radius_mm, 1.6 * nodes.radius_mm)
    inwards, outwards = _edges(profiles, middle, weight)
    near = np.clip(np.rint(middle), 0, len(reach) - 1).astype(int)
    counts = np.take_along_axis(profiles, near[..., None], axis=-1)[..., 0]
    rim = valve_plane(nodes, bullet, counts) if rim_mm is None else np.broadcast_to(rim_mm, (ANGLES,))
    inner = np.maximum(middle - inwards, 0.15 * middle)
    return Surfaces(bullet, nodes, inner, middle, middle + outwards, counts, weight, np.asarray(rim))
