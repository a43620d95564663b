"""Defects of perfusion: the connected parts of the wall that lie below the normal limits."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.segments import SEGMENT_NAMES, TERRITORIES, Territories, segment_map
from myoperf.types import Float, State
from myoperf.types.verdict import Defect, Depth, Kind, Size

EDGE = 0.25
"""Severity above which a sample belongs to a defect: where a segment's score of 1 begins."""
LEAST_PERCENT = 3.0
"""Share of the ventricle below which a region is not named: half a segment of 17. MyoPerf's own."""
_SIZES: Sequence[tuple[float, Size]] = ((10.0, "small"), (20.0, "medium"))
"""In percent of the ventricle; segments of 17 (1-2 small, 3-4 medium) as reporting guidelines count them come to the
same: a segment is 6 % of the wall."""
_DEPTHS: Sequence[tuple[float, Depth]] = ((1.0, "mild"), (2.0, "moderate"))
_DEEP = 75.0
"""Percentile of a defect's severities that names it: blur makes every edge mild."""
_REVERSIBLE, _FIXED = 0.7, 0.3
"""Share of a defect that is gone at rest, from which it is reversible, and below which it is fixed."""
_MAIN_SHARE = 0.3
"""A wall, level or territory is named where it holds this share of what the one with the most holds."""
_WALLS: Mapping[str, tuple[int, ...]] = {
    "anterior": (1, 7, 13),
    "septal": (2, 3, 8, 9, 14),
    "inferior": (4, 10, 15),
    "lateral": (5, 6, 11, 12, 16),
}
_LEVELS: Mapping[str, tuple[int, ...]] = {
    "apical": (13, 14, 15, 16, 17),
    "mid": tuple(range(7, 13)),
    "basal": tuple(range(1, 7)),
}
_APEX = len(SEGMENT_NAMES)


def connected_regions(below: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return the connected parts of a map of the wall, each of the map's shape (rings, angles), the largest first.

    The map closes round the axis, and the samples of the ring at the apex all touch each other.

    Examples
    --------
    >>> below = np.zeros((4, 6), bool)
    >>> below[2, [0, 5]] = below[0, [1, 4]] = True  # across the seam; both sides of the apex
    >>> [int(region.sum()) for region in connected_regions(below)]
    [2, 2]
    """
    labels, count = ndimage.label(below)
    same = list(range(count + 1))

    def root(label: int) -> int:
        while same[label] != label:
            label = same[label]
        return label

    seam = zip(labels[:, 0], labels[:, -1], strict=True)
    apex = [(one, labels[0].max()) for one in labels[0]]
    for one, other in (*seam, *apex):
        if one and other:
            same[root(int(one))] = root(int(other))
    joined = np.array([root(label) for label in range(count + 1)])[labels]
    regions = [joined == label for label in np.unique(joined[joined > 0])]
    return sorted(regions, key=lambda region: -int(region.sum()))


def find_defects(
    severity: Float,
    state: State,
    *,
    at_rest: Float | None = None,
    at_stress: Float | None = None,
    territories: Territories = TERRITORIES,
    least_percent: float = LEAST_PERCENT,
) -> tuple[Defect, ...]:
    """Return the defects of a map, the one with the largest part of the TPD first.

    Parameters
    ----------
    severity
        Shape (rings, angles), from `myoperf.perfusion.severity_map`.
    state
        Of the map.
    at_rest
        The severity at rest on the same places, where the two states may be compared.
    at_stress
        The same at stress; `severity` where that is None.
    territories
        Which segments belong to which vessel.
    least_percent
        Smaller regions, in percent of the ventricle, are noise at the limit and are not named.
    """
    segments, before = segment_map(*severity.shape), severity if at_stress is None else at_stress
    defects = []
    for region in connected_regions(severity > EDGE):
        extent = 100.0 * float(region.mean())
        if extent < least_percent:
            continue
        deep = float(np.percentile(severity[region], _DEEP))
        by_segment = np.array([severity[region & (segments == s)].sum() for s in range(1, _APEX + 1)])
        held = {vessel: float(by_segment[np.array(of, int) - 1].sum()) for vessel, of in territories.items() if of}
        touched = [s for s in range(1, _APEX + 1) if region[segments == s].mean() >= 1 / 3]
        defects.append(
            Defect(
                state=state,
                site=_site(by_segment),
                vessels=_main(held),
                segments=tuple(touched),
                extent_percent=extent,
                size=next((word for edge, word in _SIZES if extent < edge), "large"),
                mean_severity=float(severity[region].mean()),
                severity=next((word for edge, word in _DEPTHS if deep < edge), "severe"),
                tpd_percent=float(100.0 * severity[region].sum() / (4.0 * severity.size)),
                kind=None if at_rest is None else _kind(before[region], at_rest[region]),
                region=region,
            )
        )
    return tuple(sorted(defects, key=lambda defect: -defect.tpd_percent))


def _main(held: Mapping[str, float]) -> tuple[str, ...]:
    """Return the names that hold a main share, the one with the most first."""
    most = max(held.values())
    return tuple(
        sorted((n for n, part in held.items() if part >= _MAIN_SHARE * most and part > 0), key=lambda n: -held[n])
    )


def _site(by_segment: Float) -> str:
    """Name the levels and walls that hold most of a defect."""

    def of(groups: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
        return _main({name: float(by_segment[np.array(group) - 1].sum()) for name, group in groups.items()})

    if by_segment[_APEX - 1] >= 0.5 * by_segment.sum():
        return "apical"
    walls, levels = of(_WALLS), of(_LEVELS)
    named = "" if {"apical", "basal"} <= set(levels) else listed([name for name in _LEVELS if name in levels])
    return f"{named} {listed(walls)}".strip()


def listed(names: Sequence[str]) -> str:
    """Join names: ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _kind(stress: Float, rest: Float) -> Kind:
    """Return how much of a defect is gone at rest."""
    gone = float(np.maximum(stress - rest, 0.0).sum() / np.maximum(stress, rest).sum())
    if gone >= _REVERSIBLE:
        return "reversible"
    return "fixed" if gone < _FIXED else "mixed"
