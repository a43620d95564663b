"""From a rough candidate to the bullet that fits best: a score of bounded contrasts and a search over it."""

import numpy as np

from myoperf.geometry import anterior_direction, sample, unit
from myoperf.types import Float, Volume
from myoperf.ventricle.bullet import TYPICAL_AXIS, Bullet

REACH_MM = 13.0
"""Distance from mid-wall at which cavity and surroundings are sampled."""
GAIN = 0.25
"""Contrast above which a stretch of wall adds to the score."""
RADIUS_MM = (13.0, 48.0)
CAP_RATIO = (0.7, 2.0)
BASE_RATIO = (0.3, 2.2)
"""Limits of the mid-wall radius, and of cap and base over it."""
_TILTS = np.deg2rad([8.0, 24.0, 40.0, 56.0, 72.0, 86.0])
_SHARES = (np.arange(5) + 0.5) / 5
_TURNS = np.arange(16) * (2 * np.pi / 16)


def score_bullets(image: Volume, parameters: Float, *, any_axis: bool = False) -> Float:
    """Score bullets by how well a wall stands out from its cavity and its surroundings.

    At each of some 170 places the counts of the wall W, the cavity C and the outside O give
    (W - C)/(W + C) and (W - O)/(W + O), both cut off, so that a hot liver next to the wall or a
    defect costs that place and no more. Places are weighted by area over radius squared; only
    contrast above `GAIN` adds to the score, so that the length ends where the wall does. Mild
    priors on size, shape and direction break ties.

    Parameters
    ----------
    image
        From `myoperf.lv.detect.prepare`.
    parameters
        (n, 9): hub (3), axis (3), log radius, cap over radius, base over radius.
    any_axis
        Leave out the prior on the axis, to ask the image alone where the apex points.

    Returns
    -------
    Shape (n,); about 0.5 and more for a left ventricle, below 0.2 elsewhere.
    """
    hub, axis = parameters[:, :3], unit(parameters[:, 3:6])
    radius, cap_ratio, base_ratio = np.exp(parameters[:, 6]), parameters[:, 7], parameters[:, 8]
    cap, base = radius * cap_ratio, radius * base_ratio
    side = unit(np.cross(axis, (0.31, 0.17, -0.93)))
    other = np.cross(axis, side)
    spoke = np.cos(_TURNS)[None, :, None] * side[:, None] + np.sin(_TURNS)[None, :, None] * other[:, None]
    fan = (
        -np.cos(_TILTS)[None, :, None, None] * axis[:, None, None]
        + np.sin(_TILTS)[None, :, None, None] * spoke[:, None]
    )
    fan_radius = 1 / np.sqrt((np.cos(_TILTS) / cap[:, None]) ** 2 + (np.sin(_TILTS) / radius[:, None]) ** 2)
    tube = hub[:, None] + (base[:, None] * _SHARES)[..., None] * axis[:, None]
    count, turns = len(parameters), len(_TURNS)
    origins = np.concatenate(
        [
            np.broadcast_to(hub[:, None, None], (count, len(_TILTS), turns, 3)),
            np.broadcast_to(tube[:, :, None], (count, len(_SHARES), turns, 3)),
        ],
        axis=1,
    )
    directions = np.concatenate([fan, np.broadcast_to(spoke[:, None], (count, len(_SHARES), turns, 3))], axis=1)
    radii = np.concatenate([fan_radius, np.repeat(radius[:, None], len(_SHARES), axis=1)], axis=1)
    steps = np.stack([np.maximum(radii - REACH_MM, 0.3 * radii), radii, radii + REACH_MM])[..., None, None]
    inside, wall, outside = sample(image, origins + steps * directions)[0]
    level = 0.15 * np.mean(wall, axis=(1, 2), keepdims=True) + 1e-12
    contrast = np.clip((wall - inside) / (wall + inside + level), -0.3, 0.35)
    contrast = contrast + np.clip((wall - outside) / (wall + outside + level), -0.1, 0.35)
    rings = contrast.mean(axis=2)
    cap_area = fan_radius * np.sin(_TILTS) * np.deg2rad(16.0) * np.sqrt(0.5 * (1 + cap_ratio[:, None] ** 2))
    area = np.concatenate([cap_area / radius[:, None], np.repeat(base_ratio[:, None] / 5, 5, axis=1)], axis=1)
    value = np.sum(area * (rings - GAIN), axis=1)
    turned = np.arccos(np.clip(axis @ TYPICAL_AXIS, -1, 1))
    prior = 0.1 * (parameters[:, 6] - np.log(25.0)) ** 2 / 0.3**2 + (0.0 if any_axis else 0.1) * (turned / 0.6) ** 2
    prior = prior + 0.05 * ((cap_ratio - 1.25) / 0.3) ** 2 + 0.02 * ((base_ratio - 1.3) / 0.5) ** 2
    return np.asarray(value - 0.5 * prior)


def _pack(bullet: Bullet) -> Float:
    shape = (np.log(bullet.radius_mm), bullet.cap_mm / bullet.radius_mm, bullet.base_mm / bullet.radius_mm)
    return np.concatenate([bullet.hub_mm, unit(bullet.axis), shape])


def _unpack(parameters: Float) -> Bullet:
    radius = float(np.exp(parameters[6]))
    return Bullet(parameters[:3], unit(parameters[3:6]), radius, radius * parameters[7], radius * parameters[8])


def _bounded(parameters: Float) -> Float:
    out = parameters.copy()
    out[:, 6] = np.clip(out[:, 6], *np.log(RADIUS_MM))
    out[:, 7] = np.clip(out[:, 7], *CAP_RATIO)
    out[:, 8] = np.clip(out[:, 8], *BASE_RATIO)
    return out


def refine(
    image: Volume, bullet: Bullet, *, rounds: int, seed: int = 0, width: float = 1.0, any_axis: bool = False
) -> tuple[float, Bullet]:
    """Improve a bullet by the cross-entropy method: draw, keep the best eighth, draw about those.

    Parameters
    ----------
    image
        From `myoperf.lv.detect.prepare`.
    rounds
        Number of rounds of 64 draws.
    seed
        The same seed gives the same bullet.
    width
        Scale of the first round's spread (8 mm, 14 degrees, a fifth of the size).
    any_axis
        As for `score_bullets`.

    Returns
    -------
    Score (`score_bullets`) and bullet.
    """
    rng = np.random.default_rng(seed)
    centre = _pack(bullet)
    spread = width * np.array([8.0, 8.0, 8.0, 0.25, 0.25, 0.25, 0.2, 0.2, 0.4])
    best, best_score = centre, float(score_bullets(image, centre[None], any_axis=any_axis)[0])
    for _ in range(rounds):
        draws = _bounded(centre + spread * rng.standard_normal((64, 9)))
        scores = score_bullets(image, draws, any_axis=any_axis)
        elite = draws[np.argsort(-scores)[:8]]
        if scores.max() > best_score:
            best, best_score = draws[int(np.argmax(scores))], float(scores.max())
        centre = elite.mean(axis=0)
        centre[3:6] = unit(centre[3:6])
        spread = 0.35 * spread + 0.65 * elite.std(axis=0)
    return best_score, _unpack(best)


def fit_bullet(points_mm: Float, start: Bullet, *, weights: Float | None = None) -> tuple[float, Bullet]:
    """Fit a bullet's mid-wall to points by robust least squares of their distances.

    Parameters
    ----------
    points_mm
        (n, 3) mid-wall points, or all points of a wall mask.
    start
        First guess; its mitral plane stays in place.
    weights
        (n,) or None for equal weights.

    Returns
    -------
    Mean absolute distance in mm, and the bullet.
    """
    axis = unit(start.axis)
    up = anterior_direction(axis)
    lateral = np.cross(axis, up)
    root = np.ones(len(points_mm)) if weights is None else np.sqrt(weights)

    def build(x: Float) -> Bullet:
        turned = unit(axis + x[3] * up + x[4] * lateral)
        radius = float(np.exp(x[5]))
        hub = start.hub_mm + x[:3]
        base = start.base_mm + float((start.hub_mm - hub) @ axis)
        return Bullet(hub, turned, radius, radius * float(np.exp(x[6])), max(base, 1.0))

    def residual(x: Float) -> Float:
        # A cap of 1.25 radii is the usual shape where the points leave it open.
        prior = (x[6] - np.log(1.25)) * 0.1 * np.sqrt(len(points_mm))
        return np.concatenate([root * build(x).distance_mm(points_mm), [prior]])

    x0 = np.zeros(7)
    x0[5], x0[6] = np.log(start.radius_mm), np.log(start.cap_mm / start.radius_mm)
    lower, upper = np.full(7, -np.inf), np.full(7, np.inf)
    lower[5:], upper[5:] = (np.log(8.0), np.log(0.6)), (np.log(60.0), np.log(2.2))
    x0[5:] = np.clip(x0[5:], lower[5:] + 1e-3, upper[5:] - 1e-3)
    scale = np.array([5.0, 5.0, 5.0, 0.2, 0.2, 0.2, 0.2])
    from scipy import optimize  # slow to load, and the network needs none

    solution = optimize.least_squares(residual, x0, bounds=(lower, upper), loss="soft_l1", f_scale=6.0, x_scale=scale)
    return float(np.average(np.abs(residual(solution.x)[:-1]))), build(solution.x)
