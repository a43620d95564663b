"""What is abnormal by the normal patients themselves: their own cut-offs, the doubt that their number leaves, and
limits from patients some of whom are ill.

Every normal patient is measured against limits of the others; abnormal is what 95 % of them do not reach.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from myoperf.errors import InputError
from myoperf.perfusion.normal_limits import (
    MIN_MAPS,
    Jackknife,
    LimitsLabel,
    NormalCutoffs,
    NormalLimits,
    build_limits,
    pool_scaled,
    scale_map,
    scale_to,
    stack_maps,
)
from myoperf.perfusion.scores import Perfusion, measure_perfusion, severity_map
from myoperf.perfusion.verdict import PUBLISHED
from myoperf.types import Float, PolarMap
from myoperf.types.verdict import Cutoffs

_SHARE = 0.95
_FEWEST = 20
"""Fewest normal patients from which the value that 95 % of them stay below can be estimated."""
_MOST_LEFT_OUT, _JACKKNIFE_GROUPS = 100, 10
_FLOORS = {"tpd_percent": 1.0, "summed_score": 2, "sds": 2, "diffuse_percent": 1.0, "tid_ratio": 1.05}
"""Cut-offs are no lower than these: noise alone reaches them in one of twenty repeated scans."""


def diffuse_loss(polar: PolarMap, limits: NormalLimits) -> float:
    """Return by how many percent a map lies below the normal mean, averaged over the wall; negative where above.

    The map is scaled by its hottest quarter, so what this shows is how far the rest falls short, be it too little
    anywhere to reach the limit: the mark of disease that is spread out.
    """
    ratio = scale_map(polar.values, limits) / limits.mean
    return 100.0 * (1.0 - float(ratio.mean()))


def _groups(count: int, most: int) -> Iterator[np.ndarray]:
    """Yield the numbers of each group that is left out in turn: single ones, or every n-th one."""
    for first in range(min(count, most)):
        yield np.arange(first, count, min(count, most))


def leave_out(maps: Sequence[PolarMap], label: LimitsLabel) -> tuple[tuple[Perfusion, float], ...]:
    """Return the perfusion and the diffuse loss of each normal map against limits of the others, in the maps' order.

    Above a hundred maps, a hundredth of them is left out at a time.
    """
    held: dict[int, tuple[Perfusion, float]] = {}
    for out in _groups(len(maps), _MOST_LEFT_OUT):
        limits = build_limits([one for i, one in enumerate(maps) if i not in out], label)
        held |= {int(i): (measure_perfusion(maps[i], limits), diffuse_loss(maps[i], limits)) for i in out}
    return tuple(held[i] for i in range(len(maps)))


def leave_out_groups(maps: Sequence[PolarMap], label: LimitsLabel) -> Jackknife | None:
    """Return what limits become when a tenth of the maps after the other is left out; None where too few are left."""
    if len(maps) - -(-len(maps) // _JACKKNIFE_GROUPS) < MIN_MAPS:
        return None
    groups = [
        build_limits([one for i, one in enumerate(maps) if i not in out], label)
        for out in _groups(len(maps), _JACKKNIFE_GROUPS)
    ]
    return Jackknife(
        np.stack([one.mean for one in groups]),
        np.stack([one.mad for one in groups]),
        np.array([one.top_ratio for one in groups]),
    )


def with_cutoffs(
    limits: NormalLimits,
    maps: Sequence[PolarMap],
    *,
    sds: Sequence[int] = (),
    tid_ratios: Sequence[float] = (),
    left_out: Sequence[tuple[Perfusion, float]] | None = None,
) -> NormalLimits:
    """Return limits with the protocol's own cut-offs and what the number of normals leaves in doubt.

    Parameters
    ----------
    limits, maps
        From `build_limits`, and the maps they are of.
    sds, tid_ratios
        Of those normal patients who have stress and rest; the summed difference scores against limits of the others.
    left_out
        From `leave_out`, where it is known already.

    Returns
    -------
    The limits; without cut-offs where there are fewer than 20 normals, too few to estimate them.
    """
    label = label_of(limits)
    jackknife = leave_out_groups(maps, label)
    if len(maps) < _FEWEST:
        return replace(limits, jackknife=jackknife)
    measured = leave_out(maps, label) if left_out is None else left_out
    cutoffs = NormalCutoffs(
        tpd_percent=_edge("tpd_percent", [one.tpd_percent or 0.0 for one, _ in measured]),
        summed_score=int(_edge("summed_score", [int(one.scores.sum()) for one, _ in measured])),
        diffuse_percent=_edge("diffuse_percent", [loss for _, loss in measured]),
        sds=int(_edge("sds", sds)) if len(sds) >= _FEWEST else None,
        tid_ratio=_edge("tid_ratio", tid_ratios) if len(tid_ratios) >= _FEWEST else None,
        n=len(maps),
    )
    return replace(limits, cutoffs=cutoffs, jackknife=jackknife)


def label_of(limits: NormalLimits) -> LimitsLabel:
    """Return the label of limits alone."""
    return LimitsLabel(**{name: getattr(limits, name) for name in LimitsLabel.__dataclass_fields__})


def _edge(name: str, values: Sequence[float]) -> float:
    """Return the value from which on a number is abnormal; of whole numbers the next one."""
    edge = float(np.quantile(values, _SHARE, method="median_unbiased"))
    whole = name in ("summed_score", "sds")
    return max(float(_FLOORS[name]), float(np.floor(edge) + 1.0) if whole else edge)


def cutoffs_of(stress: NormalLimits | None, rest: NormalLimits | None) -> Cutoffs:
    """Return the cut-offs that a study's verdict rests on: those of its limits, and the published ones for the rest."""
    at_stress, at_rest = (None if limits is None else limits.cutoffs for limits in (stress, rest))
    own = [(limits.name, limits.cutoffs.n) for limits in (stress, rest) if limits is not None and limits.cutoffs]
    if not own:
        return PUBLISHED
    source = " and ".join(f"the {n} normal patients of {name}" for name, n in own)
    values: dict[str, float] = {}
    if at_rest is not None:
        values |= {"rest_tpd_percent": at_rest.tpd_percent, "rest_summed_score": at_rest.summed_score}
    if at_stress is not None:
        values |= {"tpd_percent": at_stress.tpd_percent, "summed_score": at_stress.summed_score}
        pairs = {"sds": at_stress.sds, "tid_ratio": at_stress.tid_ratio}
        values |= {name: value for name, value in pairs.items() if value is not None}
    diffuse = at_rest if at_stress is None else at_stress
    return replace(
        PUBLISHED,
        **values,
        diffuse_percent=None if diffuse is None else diffuse.diffuse_percent,
        source=f"95 % of {source}",
        own=True,
        published={name: text for name, text in PUBLISHED.published.items() if name not in values},
    )


def database_sd_percent(polar: PolarMap, limits: NormalLimits) -> float:
    """Return the standard deviation that the number of normal patients leaves in a map's TPD, in percent points.

    From limits without one group of normals after the other (jackknife, Tukey 1958), where the file keeps them. Else
    the most that it can be: mean and MAD of every sample are taken to be off together, by their standard errors, as
    normal samples of n patients have them.
    """
    held = limits.jackknife
    if held is not None:
        count = len(held.top_ratio)
        parts = zip(held.mean, held.mad, held.top_ratio, strict=True)
        tpd = [_tpd(polar, replace(limits, mean=m, mad=d, top_ratio=float(t), jackknife=None)) for m, d, t in parts]
        return float(np.sqrt((count - 1) / count * np.sum((np.array(tpd) - np.mean(tpd)) ** 2)))
    # SD of a mean absolute deviation: .603 SD / sqrt(n); of the mean: SD / sqrt(n); the limit is mean - 3 MAD.
    error = limits.sd * np.sqrt((1.0 + 9.0 * 0.603**2) / limits.n)
    scaled = scale_map(polar.values, limits)
    ends = [severity_map(scaled, replace(limits, mean=limits.mean + step * error)).sum() for step in (-1.0, 1.0)]
    return float(0.5 * 100.0 * (ends[1] - ends[0]) / (4.0 * scaled.size))


def _tpd(polar: PolarMap, limits: NormalLimits) -> float:
    severity = severity_map(scale_map(polar.values, limits), limits)
    return float(100.0 * severity.sum() / (4.0 * severity.size))


_OUTLYING = 3.0
"""Robust SDs above the median TPD from which a patient is taken to be ill."""
_ROUNDS = 12


def build_robust_limits(maps: Sequence[PolarMap], label: LimitsLabel) -> tuple[NormalLimits, tuple[int, ...]]:
    """Return limits from patients of a department of whom some are ill, and the numbers of the maps that count.

    Defects only lower a map. So the normal value of a sample is the median, and the spread is taken from what lies
    above it; patients whose TPD against these limits is out of line are left out, and all is repeated until the same
    patients stay. Fewer than half may be ill at any one place.

    Parameters
    ----------
    maps
        Static maps of one state, one a patient, on one grid.
    label
        What the limits are called.

    Raises
    ------
    InputError
        When fewer than ten maps are left, or their grids differ.
    """
    values = stack_maps(maps)
    kept = np.arange(len(values))
    mean = np.ones(values.shape[1:])
    for _ in range(_ROUNDS):
        for _ in range(2):  # the scale depends on the mean and the mean on the scale
            mean = np.median(scale_to(values[kept], mean), axis=0)
            mean /= mean.max()
        limits = _upper_limits(scale_to(values[kept], mean), label)
        tpd = np.array([_tpd(one, limits) for one in maps])
        centre = float(np.median(tpd[kept]))
        spread = 1.4826 * float(np.median(np.abs(tpd[kept] - centre)))
        inside = np.flatnonzero(tpd <= centre + _OUTLYING * max(spread, 0.3))
        if inside.size < MIN_MAPS:
            raise InputError(
                f"Only {inside.size} of {len(maps)} maps are alike enough for limits; {MIN_MAPS} are needed."
            )
        if np.array_equal(inside, kept):
            break
        kept = inside
    return _upper_limits(scale_to(values[kept], mean), label), tuple(kept.tolist())


def _upper_limits(scaled: Float, label: LimitsLabel) -> NormalLimits:
    """Pool scaled maps (maps, rings, angles) by their medians and what lies above them."""
    middle = np.median(scaled, axis=0)
    above = np.maximum(scaled - middle, 0.0)
    # Half of the patients lie above the median: the mean distance of these is the MAD of a symmetric spread.
    mad = 2.0 * above.mean(axis=0)
    return replace(pool_scaled(scaled, label), mean=middle, mad=mad, sd=np.sqrt(2.0 * (above**2).mean(axis=0)))
