"""The perfusion finding in words: size, kind, wall and territory of each defect."""

import numpy as np

from myoperf.segments import TERRITORIES, Territories
from myoperf.types import Scores

_WALLS = {
    "anterior": (1, 7, 13),
    "septal": (2, 3, 8, 9, 14),
    "inferior": (4, 10, 15),
    "lateral": (5, 6, 11, 12, 16),
    "apical": (17,),
}
_SIZES = ((3, "small"), (5, "medium"))


def summarise(scores: Scores, *, territories: Territories = TERRITORIES) -> str:
    """Describe the 17-segment scores at stress (or of the only state) in a sentence, by territory.

    A territory is described when its summed score is 2 or more. Size by segments scored 2 or more
    (or 1, if none): up to 2 small, 3-4 medium, more large. Kind by the share of the stress score gone
    at rest: 70 % or more reversible, under 30 % fixed, otherwise partly reversible.
    """
    at_stress = scores.stress_scores is not None
    values = np.asarray(scores.stress_scores if at_stress else scores.rest_scores or (0,) * 17)
    if scores.stress_scores is None and scores.rest_scores is None:
        return ""
    rest = np.asarray(scores.rest_scores) if at_stress and scores.rest_scores is not None else None
    parts = []
    for vessel, segments in territories.items():
        index = np.asarray(segments, dtype=np.int64) - 1
        inside = values[index]
        if inside.sum() < 2:
            continue
        marked = int((inside >= 2).sum()) or int((inside >= 1).sum())
        size = next((word for edge, word in _SIZES if marked < edge), "large")
        kind = f"{_kind(inside, rest[index])} " if rest is not None else ""
        alone = "" if rest is not None else (" at stress" if at_stress else " at rest")
        parts.append((int(inside.sum()), f"{size} {kind}{_wall(values, segments)} defect{alone}, {vessel}"))
    if not parts:
        return f"No perfusion defect at {'stress' if at_stress else 'rest'}."
    words = "; ".join(text for _, text in sorted(parts, key=lambda part: -part[0]))
    return words[0].upper() + words[1:] + "."


def _kind(stress: np.ndarray, rest: np.ndarray) -> str:
    """Return whether a defect is reversible, partly reversible or fixed."""
    gone = float(np.maximum(stress - rest, 0).sum()) / float(stress.sum())
    if gone >= 0.7:
        return "reversible"
    return "fixed" if gone < 0.3 else "partly reversible"


def _wall(values: np.ndarray, segments: tuple[int, ...]) -> str:
    """Return the wall with the highest score in a territory."""
    weight = {wall: sum(int(values[s - 1]) for s in of if s in segments) for wall, of in _WALLS.items()}
    return max(weight, key=lambda wall: weight[wall])
