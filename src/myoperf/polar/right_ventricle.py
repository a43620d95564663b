"""Where the right ventricle's wall joins the left: the landmark that distinguishes septum from lateral wall.

Just outside the septal wall lies the right ventricle's blood pool; where the right ventricle's free wall joins
the left ventricle, anteriorly and inferiorly, there is more activity: two peaks with a dip between them round the
short axis. Outside the lateral wall lies lung.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from myoperf import geometry
from myoperf.types import Finding, Float, Volume
from myoperf.ventricle.surface import WallSurface

_ROWS = (0.45, 0.9)
"""Part of the arc from apex to base along which the right ventricle lies."""
_NEAR_MM, _WIDE_MM = np.arange(8.0, 23.0, 2.0), np.arange(6.0, 31.0, 3.0)
"""Distances outside the epicardium: where its wall joins, and where all of its activity lies."""
_SMOOTH_DEG = 10.0
_RISE = 1.15
_FAINT = 0.05
"""Share of the wall's counts below which activity outside it is no sign of the right ventricle."""
_USUAL_DEG, _OFF_DEG = 95.0, 45.0
"""Usual middle of the septum, and how far from it raises a warning."""


@dataclass(frozen=True)
class RVInsertions:
    """Where the right ventricle's free wall joins the left ventricle.

    Attributes
    ----------
    anterior_deg, inferior_deg
        Angles on the polar map (0 anterior, 90 septal).
    contrast
        The lower of the two peaks over the dip between them.
    """

    anterior_deg: float
    inferior_deg: float
    contrast: float

    @property
    def septum_deg(self) -> float:
        """Angle half-way between the insertions: about 95 degrees in hearts whose anterior direction is correct."""
        return 0.5 * (self.anterior_deg + self.inferior_deg)


def find_rv_insertions(volume: Volume, surface: WallSurface, *, about_deg: float = 90.0) -> RVInsertions | None:
    """Find the two insertion points of the right ventricle on the middle and basal wall.

    The counts 8 to 22 mm outside the epicardium are averaged from 45 to 90 % of the arc and smoothed
    round the axis. The minimum within 35 degrees of `about_deg` is the dip. On either side of it, at least
    15 degrees away and within 95 degrees of `about_deg`, the highest peak is an insertion if it exceeds the dip by
    15 % and reaches a twentieth of the wall's counts. MyoPerf's own rule.

    Parameters
    ----------
    volume
        The image; gates are summed.
    surface
        Its wall.
    about_deg
        Expected middle of the septum; 270 tests whether the lateral wall looks like a septum.

    Returns
    -------
    RVInsertions
        None where there are no such peaks.
    """
    profile = counts_outside(volume, surface, _NEAR_MM)
    step = 360.0 / profile.size
    profile = ndimage.gaussian_filter1d(profile, _SMOOTH_DEG / step, mode="wrap")
    offset = (np.arange(profile.size) * step - about_deg + 180.0) % 360.0 - 180.0
    order = np.argsort(offset)
    offset, profile = offset[order], profile[order]
    middle = np.flatnonzero(np.abs(offset) <= 35.0)
    dip = middle[np.argmin(profile[middle])]
    peaks = 1 + np.flatnonzero((profile[1:-1] > profile[:-2]) & (profile[1:-1] >= profile[2:]))
    before = peaks[(offset[peaks] < offset[dip] - 15.0) & (offset[peaks] > -95.0)]
    after = peaks[(offset[peaks] > offset[dip] + 15.0) & (offset[peaks] < 95.0)]
    if not before.size or not after.size:
        return None
    first, second = before[np.argmax(profile[before])], after[np.argmax(profile[after])]
    lower = float(min(profile[first], profile[second]))
    if lower < _RISE * profile[dip] or lower < _FAINT:
        return None
    contrast = lower / max(float(profile[dip]), 1e-6)
    return RVInsertions(float(offset[first] + about_deg), float(offset[second] + about_deg), contrast)


def check_rv_side(volume: Volume, surface: WallSurface) -> tuple[Finding, ...]:
    """Check that the right ventricle lies on the septal side of the pose.

    Insertions on the septal side confirm it, unless their middle is more than 45 degrees from the usual 95.
    Without them there is a warning where the lateral side has insertions and, 6 to 30 mm outside the wall, more counts
    than the septal one. More counts alone say nothing: the lung beside the lateral wall has them too, above all with
    Tl-201. The inferior quadrant is left out, since liver and bowel lie there. MyoPerf's own rule.

    Returns
    -------
    One warning ``orientation-doubt``, or none.
    """
    insertions = find_rv_insertions(volume, surface)
    if insertions is not None:
        off = insertions.septum_deg - _USUAL_DEG
        if abs(off) <= _OFF_DEG:
            return ()
        text = f"The right ventricle joins the left {abs(off):.0f} degrees from its usual position"
    else:
        wide = counts_outside(volume, surface, _WIDE_MM)
        angle = np.arange(wide.size) * (360.0 / wide.size)
        septal = float(wide[np.abs(angle - 90.0) <= 45.0].mean())
        lateral = float(wide[np.abs(angle - 270.0) <= 45.0].mean())
        if lateral <= septal or find_rv_insertions(volume, surface, about_deg=270.0) is None:
            return ()
        text = "Activity outside the wall suggests that the right ventricle lies on the lateral, not the septal, side"
    message = f"{text}. Check the anterior direction and that the volume is not mirrored."
    return (Finding("orientation-doubt", "warning", message),)


def counts_outside(volume: Volume, surface: WallSurface, distance_mm: Float) -> Float:
    """Return the mean counts at distances outside the epicardium, as a share of the wall's: shape (angles,)."""
    rings = surface.thickness_mm.shape[0]
    rows = slice(int(_ROWS[0] * rings), int(_ROWS[1] * rings) + 1)
    reach = 0.5 * surface.thickness_mm[rows, :, None, None] + distance_mm[:, None]
    points = surface.mid_wall_mm[rows, :, None] + reach * surface.normal[rows, :, None]
    still = volume.summed()
    outside = geometry.sample(still, points)[0].mean(axis=(0, 2), dtype=np.float64)
    wall = float(np.median(geometry.sample(still, surface.mid_wall_mm[rows])))
    return np.asarray(outside / max(wall, 1e-9))
