"""Where the wall ends round the long axis in a static image: the rim of the polar map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.geometry import sample
from myoperf.types import MYOCARDIUM, Float, LVFrame, Volume
from myoperf.ventricle.rays import Rays, lay_rays, mid_wall_on_rays
from myoperf.ventricle.surface import fit_surface
from myoperf.ventricle.valve_plane import ValveSearch, lay_planes

_PAST_MM, _STEP_MM = 26.0, 1.0
"""The end is looked for this far past the mitral plane of the pose, in steps of a millimetre."""
_THROUGH_MM = np.linspace(-4.0, 4.0, 5)
"""Counts are averaged through this depth of wall, so that a mid-wall a little off does not look like an end."""
_PLATEAU_MM, _BEHIND_MM = (22.0, 7.0), 24.0
"""The level of the wall is taken from 22 to 7 mm before its end, that of what follows from the 24 mm behind it."""
_SMOOTH_MM, _SMOOTH_ANGLES = 1.5, 1.0
_ROUNDS = 4
_FAINT, _CLEAR = 0.15, 0.45
"""Fall in counts at the end, as a share of the wall's usual counts: below the first a sector does not vote, from the
second on its vote is whole."""
_WEAK, _STRONG = 0.3, 0.6
"""The same for the level of the wall before its end: a basal defect does not vote."""
_LABELS_OFF_MM = 8.0
"""Distance from the labels' end at which a sector's vote is halved."""
_SEARCH = ValveSearch(
    usual_rings=slice(0),
    usual_percentile=75.0,
    lowest_mm=0.0,
    open_sectors=False,
    ridge=0.2,
    rounds=10,
    most_tilt_mm=16.0,
)


@dataclass(frozen=True, eq=False)
class WallEnd:
    """Where the wall ends.

    Attributes
    ----------
    rim_mm
        Shape (angles,), evenly spaced from anterior through the septum: height of the plane through the ends, above
        the apex along the long axis.
    trust
        0 to 1: how clearly the image shows an end, mean over the sectors.
    """

    rim_mm: Float
    trust: float


def find_wall_end(volume: Volume, labels: Volume, frame: LVFrame) -> WallEnd:
    """Find where the wall ends towards the base in a static image.

    Along the mid-wall, continued past the mitral plane of the pose, each sector's counts fall from the level of its
    wall to the level of what lies behind (atrium, outflow tract, liver). Blur, and the plane's movement in a sum over
    the beat, spread the fall evenly to both sides, so that the wall ends half-way between the two levels, not where
    counts reach half of the wall's. A sector whose end lies far from its labels' end has little say: a basal defect
    ends early, liver or the right ventricle end late. A tilted plane is laid through the ends, since the septum is
    shorter than the lateral wall. In a sum over the beat this is about the mean of the plane's places. MyoPerf's own
    method.

    Parameters
    ----------
    volume
        Gates are summed.
    labels
        Of the wall (1) and the blood pool (2), on any grid; they may end too early or too late.
    frame
        Pose whose mitral plane lies within some 25 mm of the wall's end.

    Raises
    ------
    AnalysisError
        As `myoperf.ventricle.fit_surface`.
    """
    tube = np.arange(int((0.5 * frame.length_mm + _PAST_MM) / _STEP_MM) + 1) * _STEP_MM
    rays = lay_rays(frame, tube_height_mm=tube)
    middle = mid_wall_on_rays(rays, fit_surface(labels, frame))
    height = rays.height_mm[rays.cap_rings :]
    end, votes = _ends(_mid_wall_counts(volume.summed(), rays, middle), height, rays.base_mm)
    off = (end - _label_ends(labels, rays, middle, height)) / _LABELS_OFF_MM
    weight = votes / (1.0 + off**2)
    plane = lay_planes(end[None], weight[None], np.full((1, rays.angles), rays.base_mm), _SEARCH)[0]
    return WallEnd(plane + frame.length_mm - rays.base_mm, float(votes.mean()))


def _mid_wall_counts(volume: Volume, rays: Rays, middle_mm: Float) -> Float:
    """Return the counts along the tube, averaged through the wall and a little smoothed: (tube rings, angles)."""
    places = np.maximum(middle_mm + _THROUGH_MM[:, None, None], 0.0)
    counts = sample(volume, rays.points(places))[0].mean(axis=0, dtype=np.float64)[rays.cap_rings :]
    counts = ndimage.gaussian_filter1d(counts, _SMOOTH_MM / _STEP_MM, axis=0, mode="nearest")
    return np.asarray(ndimage.gaussian_filter1d(counts, _SMOOTH_ANGLES, axis=1, mode="wrap"))


def _label_ends(labels: Volume, rays: Rays, middle_mm: Float, height_mm: Float) -> Float:
    """Return the last height (angles,) at which labels show a wall; the first of the tube where they show none."""
    wall = labels.with_array((labels.array == MYOCARDIUM).astype(np.float32))
    places = np.maximum(middle_mm + _THROUGH_MM[:, None, None], 0.0)
    shown = sample(wall, rays.points(places))[0].max(axis=0)[rays.cap_rings :] > 0.5
    last = height_mm[len(shown) - 1 - shown[::-1].argmax(axis=0)]
    return np.asarray(np.where(shown.any(axis=0), last, height_mm[0]))


def _ends(counts: Float, height_mm: Float, base_mm: float) -> tuple[Float, Float]:
    """Return where counts (heights, angles) fall half-way, and how far each sector is trusted: (angles,) each."""
    height = height_mm[:, None]
    usual = max(float(np.percentile(counts[height_mm < base_mm - 10.0], 75)), 1e-9)
    own = np.percentile(counts[height_mm < base_mm - 8.0], 75, axis=0)
    # A first guess: half of the sector's own counts, in the basal half of the tube.
    end = _first_below(counts, 0.5 * own, height > 0.5 * base_mm, height_mm)
    for _ in range(_ROUNDS):
        before = (height > end - _PLATEAU_MM[0]) & (height < end - _PLATEAU_MM[1])
        level = (counts * before).sum(axis=0) / np.maximum(before.sum(axis=0), 1)
        behind = np.where((height >= end) & (height < end + _BEHIND_MM), counts, np.inf)
        low = np.minimum(behind.min(axis=0), level)
        end = _first_below(counts, 0.5 * (level + low), height > end - _PLATEAU_MM[0], height_mm)
    fall, strength = (level - low) / usual, level / usual
    votes = np.clip((fall - _FAINT) / (_CLEAR - _FAINT), 0, 1) * np.clip((strength - _WEAK) / (_STRONG - _WEAK), 0, 1)
    return end, np.where(end < height_mm[-1], votes, 0.0)


def _first_below(counts: Float, level: Float, allowed: NDArray[np.bool_], height_mm: Float) -> Float:
    """Return the first allowed height at which counts (heights, angles) are below a level; the last where none is."""
    below = allowed & (counts < level)
    found = below.any(axis=0)
    first = np.where(found, below.argmax(axis=0), len(counts) - 1)
    before, after = (np.take_along_axis(counts, np.maximum(first - back, 0)[None], axis=0)[0] for back in (1, 0))
    part = np.where(before > after, (before - level) / np.maximum(before - after, 1e-12), 1.0)
    place = first - 1 + np.clip(part, 0.0, 1.0)
    return np.asarray(np.where(found, np.interp(place, np.arange(len(counts)), height_mm), height_mm[-1]))
