"""How far the pose and labels of a left ventricle can be trusted: a confidence and findings."""

import numpy as np
from scipy import ndimage

from myoperf.geometry import sample
from myoperf.types import MYOCARDIUM, Finding, Volume
from myoperf.ventricle.tracing import TracedWall

EXPECTED_SCORE = 0.45
"""Score at which a wall is as likely clear as not."""


def rate(wall: TracedWall, score: float, rival: float) -> tuple[float, tuple[Finding, ...]]:
    """Return a confidence of 0 to 1, with a warning when it is below one half.

    Three things must hold: the wall stands out (score), no other place matches as well (margin),
    and the size is a heart's. MyoPerf's own rule.

    Parameters
    ----------
    score, rival
        Scores of `myoperf.lv.refine.score_bullets` of this ventricle and of the best other place.
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
        "its wall hardly stands out": clear,
        "another place matches nearly as well": alone,
        "its size is unusual": usual,
    }
    cause = min(causes, key=lambda name: causes[name])
    message = (
        f"The left ventricle was located with low confidence ({confidence:.2f}): {cause}. Check pose and contours."
    )
    return confidence, (Finding("lv-uncertain", "warning", message),)


def check_wall(wall: TracedWall, labels: Volume, image: Volume) -> tuple[Finding, ...]:
    """Return findings where activity next to the wall, gaps or the volume's edge may distort it.

    Parameters
    ----------
    labels
        Of the wall that was traced.
    image
        Static, from `myoperf.lv.detect.prepare`.

    Returns
    -------
    ``lv-extracardiac-activity``, ``lv-open-wall``, ``lv-at-edge`` where they apply.
    """
    findings: list[Finding] = []

    def warn(code: str, message: str) -> None:
        findings.append(Finding(code, "warning", message))

    below = wall.below_valve
    usual = float(np.percentile(wall.counts[below], 75))
    ahead = wall.outer_mm + np.array([6.0, 10.0, 14.0])[:, None, None]
    outside = sample(image, wall.rays.points(ahead))[0].max(axis=0)
    hot = float(np.mean((outside > 0.9 * usual)[below]))
    if hot > 0.02:
        share = f"{100 * hot:.0f} % of the wall"
        warn(
            "lv-extracardiac-activity",
            f"Activity as intense as the myocardium lies within 15 mm of {share} and may raise its counts.",
        )
    open_wall = float(np.mean((wall.weight < 0.1)[below]))
    if open_wall > 0.15:
        share = f"{100 * open_wall:.0f} % of the left ventricle"
        warn("lv-open-wall", f"No wall is visible over {share}; its contours are interpolated there.")
    marked = labels.array[0] == MYOCARDIUM
    inner = np.zeros(marked.shape, dtype=bool)
    inner[1:-1, 1:-1, 1:-1] = True
    if (ndimage.binary_dilation(marked) & ~inner).any() or not marked.any():
        warn("lv-at-edge", "The left ventricle reaches the edge of the volume; part of it may be missing.")
    return tuple(findings)
