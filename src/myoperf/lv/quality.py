"""How far a found left ventricle can be trusted, in a number and in findings."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from myoperf.geometry import sample
from myoperf.types import MYOCARDIUM, Finding, Volume
from myoperf.ventricle.tracing import TracedWall

__all__ = ["check_wall", "rate"]


EXPECTED_SCORE = 0.45  # half-way mark of a clear ventricle's score


def rate(wall: TracedWall, score: float, rival: float) -> tuple[float, tuple[Finding, ...]]:
    """Turn a match into a confidence of 0 to 1, with a warning when it is below one half.

    Three things must hold: the wall stands out (score), no other place matches as well (margin),
    and the size is a heart's.

    Parameters
    ----------
    score, rival
        Of `myoperf.lv.refine.score_bullets`: of this match and of the best other place.
    """
    clear = 1 / (1 + np.exp(-(score - EXPECTED_SCORE) / 0.08))
    alone = 1 / (1 + np.exp(-(score - rival - 0.05) / 0.05))
    outer = float(np.median(wall.outer_mm[wall.rays.cap_rings :]))
    length = float(wall.middle_mm[0].mean() + wall.rim_mm.mean())
    usual = float(np.exp(-0.5 * (max(0.0, abs(np.log(outer / 36.0)) - 0.35) / 0.15) ** 2))
    usual *= float(np.exp(-0.5 * (max(0.0, abs(np.log(length / 75.0)) - 0.4) / 0.15) ** 2))
    confidence = float(clear * alone * usual)
    if confidence >= 0.5:
        return confidence, ()
    causes = {
        "its wall stands out little": clear,
        "another place matches nearly as well": alone,
        "its size is unusual": usual,
    }
    cause = min(causes, key=lambda name: causes[name])
    message = f"The left ventricle was found with little certainty ({confidence:.2f}): {cause}; check pose and outline."
    return confidence, (Finding("lv-uncertain", "warning", message),)


def check_wall(wall: TracedWall, labels: Volume, image: Volume) -> tuple[Finding, ...]:
    """Look for what spoils a wall: activity next to it, gaps, and the edge of the volume."""
    found: list[Finding] = []
    below = wall.below_valve
    usual = float(np.percentile(wall.counts[below], 75))
    ahead = wall.outer_mm + np.array([6.0, 10.0, 14.0])[:, None, None]
    outside = sample(image, wall.rays.points(ahead))[0].max(axis=0)
    hot = float(np.mean((outside > 0.9 * usual)[below]))
    if hot > 0.02:
        found.append(
            Finding(
                "lv-extracardiac-activity",
                "warning",
                f"Activity as hot as the wall lies within 15 mm of {100 * hot:.0f} % of it; its counts may be raised.",
            )
        )
    unseen = float(np.mean((wall.weight < 0.1)[below]))
    if unseen > 0.15:
        found.append(
            Finding(
                "lv-open-wall",
                "warning",
                f"No wall is seen over {100 * unseen:.0f} % of the left ventricle; its outline is interpolated there.",
            )
        )
    marked = labels.array[0] == MYOCARDIUM
    inner = np.zeros(marked.shape, dtype=bool)
    inner[1:-1, 1:-1, 1:-1] = True
    rim = ndimage.binary_dilation(marked) & ~inner
    if rim.any() or not marked.any():
        found.append(
            Finding(
                "lv-at-edge", "warning", "The left ventricle reaches the edge of the volume; part of it may be cut off."
            )
        )
    return tuple(found)
