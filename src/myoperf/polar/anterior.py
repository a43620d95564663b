"""The anterior direction from the right ventricle, where its insertions are seen."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from myoperf.polar.right_ventricle import counts_outside
from myoperf.types import LVFrame, Volume
from myoperf.ventricle.surface import WallSurface

NEAR_MM = np.arange(6.0, 15.0, 3.0)
"""Distances outside the epicardium at which the right ventricle's wall joins: nearer the wall's blur covers it, farther
liver and bowel do."""
HALF_SPAN_DEG = 45.0
"""From the middle of the septum to either insertion; 45 (SD 10) degrees in the open real volumes (docs/polar.md)."""
MIDDLE_DEG, PRIOR_DEG, PRIOR_WEIGHT = 92.0, 40.0, 0.1
"""Usual middle of the septum on a map whose anterior direction is the patient's "up", and how firmly it is expected."""
MOST_TURN_DEG = 35.0
"""Farther from the direction to the head no anterior wall of the open real volumes lies: a larger rise there is that of
liver, bowel or the wrong pair of peaks."""
SMOOTH_DEG = 10.0
LEAST_RISE = 0.1
"""Logarithm of the lower insertion over the septum's middle from which the insertions stand out clearly."""
FAINT = 0.05
"""Share of the wall's counts that is added before the logarithm, so that noise where nothing is does not count."""


@dataclass(frozen=True, kw_only=True)
class AnteriorEstimate:
    """Where the anterior wall lies on a polar map.

    Attributes
    ----------
    turn_deg
        Angle of the anterior direction on the map it was estimated on (0: where the frame has it, 90: septal); about 0
        where nothing is seen of the right ventricle.
    rise
        Logarithm of the lower insertion's counts over those of the septum's middle.
    seen
        Whether the right ventricle's insertions stand out clearly and within 35 degrees of the usual place; where
        not, the estimate is a weak preference.
    """

    turn_deg: float
    rise: float
    seen: bool


def estimate_anterior(volume: Volume, surface: WallSurface) -> AnteriorEstimate:
    """Estimate the anterior direction from the right ventricle's two insertions.

    The septum's middle is the angle at which the counts just outside the wall are low between two places 45 degrees to
    either side where they are high: the largest rise, in logarithms, less a weak preference for the usual place. The
    anterior direction lies 90 degrees before it (AHA 2002, doi:10.1161/hc0402.102975: the insertions bound the septum).
    MyoPerf's own rule.

    Parameters
    ----------
    volume
        The image; gates are summed.
    surface
        Its wall, in a frame whose anterior direction is the projection of the direction to the head
        (`myoperf.geometry.anterior_direction`).

    Returns
    -------
    AnteriorEstimate
        `turn_anterior` applies it to a frame.
    """
    outside = np.clip(counts_outside(volume, surface, NEAR_MM), 0.0, 1.0)
    step = 360.0 / outside.size
    profile = np.log(ndimage.gaussian_filter1d(outside, SMOOTH_DEG / step, mode="wrap") + FAINT)
    span = round(HALF_SPAN_DEG / step)
    rise = np.minimum(np.roll(profile, span), np.roll(profile, -span)) - profile
    off = (np.arange(profile.size) * step - MIDDLE_DEG + 180.0) % 360.0 - 180.0
    turns = off + MIDDLE_DEG - 90.0
    likely = np.where(np.abs(turns) <= MOST_TURN_DEG, rise - PRIOR_WEIGHT * (off / PRIOR_DEG) ** 2, -np.inf)
    best = int(np.argmax(likely))
    turn = float(turns[best])
    highest, ends = float(rise[best]), abs(turn) > MOST_TURN_DEG - step  # a rise that goes on beyond is another's
    return AnteriorEstimate(turn_deg=turn, rise=highest, seen=highest >= LEAST_RISE and not ends)


def turn_anterior(frame: LVFrame, turn_deg: float) -> LVFrame:
    """Return a frame whose anterior direction is turned about the long axis, towards the septum.

    Examples
    --------
    >>> frame = LVFrame(apex_mm=(0, 0, 0), base_mm=(80, 0, 0), anterior=(0, 0, 1))
    >>> turn_anterior(frame, 90.0).anterior.round(3).tolist() == frame.septal.round(3).tolist()
    True
    """
    angle = np.deg2rad(turn_deg)
    return LVFrame(frame.apex_mm, frame.base_mm, np.cos(angle) * frame.anterior + np.sin(angle) * frame.septal)
