"""Which way the apex points, by the image alone, and where the body lies about the ventricle.

The search for a ventricle (`myoperf.lv.detect`) and the network both expect an apex that points left, forward and
down. In a volume whose axes are exchanged they fit that pose to whatever is there. Here nothing is expected: the closed
end of the wall is looked for in every direction.
"""

from dataclasses import dataclass

import numpy as np

from myoperf.geometry import transform_points
from myoperf.lv.refine import refine, score_bullets
from myoperf.types import Float, Volume
from myoperf.ventricle.bullet import Bullet

CAP_RATIO, BASE_RATIO = 1.3, 1.2
"""Cap and base of the bullets that are tried, over their radius."""
SIZES, SHIFTS_MM = (0.85, 1.15), (-8.0, 8.0)
"""Radii over the expected one, and places along the axis, that are tried in every direction."""
APART_DEG = 60.0
"""Directions that differ by more than this are refined each for itself."""
FAINT, FEW = 0.3, 0.005
"""Share of the wall's counts from which activity is an organ's, and the mean over the shell of what exceeds it, as a
share of the wall's counts, from which its direction is believed by half."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ApexSearch:
    """The direction in which a bullet fits the wall best.

    Attributes
    ----------
    direction
        (3,) LPS unit vector from base to apex.
    score
        Of that bullet (`myoperf.lv.refine.score_bullets` without its prior on the axis).
    rival
        The best score in a direction more than `APART_DEG` away: how well the wall fits another way round.
    """

    direction: Float
    score: float
    rival: float


def search_apex(image: Volume, centre_mm: Float, radius_mm: float) -> ApexSearch:
    """Find the direction of the apex of a ventricle whose place and size are known, among all directions alike.

    Parameters
    ----------
    image
        From `myoperf.lv.detect.prepare`.
    centre_mm
        (3,) LPS middle of the ventricle, to within about 15 mm.
    radius_mm
        Mid-wall radius, to within about a third.
    """
    directions = _sphere(60)
    starts = np.concatenate(
        [
            _bullets(centre_mm + shift * directions, directions, size * radius_mm)
            for size in SIZES
            for shift in SHIFTS_MM
        ]
    )
    order = np.argsort(-score_bullets(image, starts, any_axis=True))
    near = np.cos(np.deg2rad(APART_DEG))
    chosen: list[int] = []
    for place in order:
        if all(float(starts[place, 3:6] @ starts[other, 3:6]) < near for other in chosen):
            chosen.append(int(place))
        if len(chosen) == 3:
            break
    refined = [refine(image, _bullet(starts[place]), rounds=7, seed=1, any_axis=True) for place in chosen]
    refined.sort(key=lambda item: -item[0])
    score, best = refined[0]
    rivals = [other for other, bullet in refined[1:] if float(bullet.axis @ best.axis) < near]
    return ApexSearch(direction=-best.axis, score=score, rival=max(rivals, default=-np.inf))


def _sphere(total: int) -> Float:
    """Return directions spread evenly over the sphere (a Fibonacci lattice): shape (total, 3)."""
    k = np.arange(total) + 0.5
    z = 1 - 2 * k / total
    turn = np.pi * (1 + np.sqrt(5.0)) * k
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)


def _bullets(middle_mm: Float, axes: Float, radius_mm: float) -> Float:
    """Return the parameters (n, 9) of bullets of one size whose long axes have these middles (n, 3)."""
    hub = middle_mm + 0.5 * (CAP_RATIO - BASE_RATIO) * radius_mm * axes
    shape = np.broadcast_to([np.log(radius_mm), CAP_RATIO, BASE_RATIO], (len(axes), 3))
    return np.column_stack([hub, axes, shape])


def _bullet(parameters: Float) -> Bullet:
    radius = float(np.exp(parameters[6]))
    return Bullet(parameters[:3], parameters[3:6], radius, radius * parameters[7], radius * parameters[8])


def surroundings(image: Volume, centre_mm: Float, level: float, *, from_mm: float, to_mm: float) -> Float:
    """Return in which direction the activity lies in a spherical shell about the ventricle.

    Parameters
    ----------
    level
        Counts of the wall. Hotter activity counts no more than this, and activity below three tenths of it (lungs,
        muscle, noise) not at all: what lies on one side of the heart is liver, spleen and gut.
    from_mm, to_mm
        Radii of the shell.

    Returns
    -------
    (3,) LPS: the mean direction, weighted by counts; near 0 where they lie evenly or hardly anything is hot, at most 1
    long.
    """
    index = np.indices(image.grid_shape).reshape(3, -1).T
    offset = transform_points(image.lps_from_index, index) - centre_mm
    distance = np.linalg.norm(offset, axis=1)
    shell = (distance > from_mm) & (distance <= to_mm)
    hot = np.clip(image.array[0].reshape(-1)[shell] / level - FAINT, 0.0, 1.0 - FAINT)
    enough = float(hot.sum()) + FEW * max(hot.size, 1)
    return np.asarray((offset[shell] / distance[shell, None] * hot[:, None]).sum(axis=0) / enough)
