"""Whether a defect stays in a scan of the same state in another position or corrected for attenuation.

A weak inferior wall that recovers when the patient lies prone, or when attenuation is corrected, is the diaphragm's
shadow rather than disease; so is a weak anterior wall behind breast tissue (Nishina et al., J Nucl Med 2006;47:51;
Slomka et al., J Nucl Cardiol 2007;14:44). What stays in both is likely to be real.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from myoperf.types import Finding, Float

_WALLS: Mapping[str, tuple[tuple[int, ...], str]] = {
    "inferior": ((4, 10, 15), "the diaphragm"),
    "anterior": ((1, 7, 13), "breast tissue"),
}
"""AHA segments of a wall, and what attenuates it."""
_DEFECT, _GONE = 3, 1
"""Summed score of a wall's three segments (of 12): a defect from the first on, gone up to the second. MyoPerf's own."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoredScan:
    """A scan's name and, by AHA segment, its scores (0 to 4) and its uptake in percent of the maximum; shape (17,)."""

    name: str
    scores: tuple[int, ...]
    segments_percent: Float


def compare_conditions(
    usual: ScoredScan,
    other: ScoredScan,
    *,
    condition: Literal["prone", "corrected for attenuation"],
    combined_tpd_percent: float | None = None,
) -> tuple[Finding, ...]:
    """Return for each inferior and anterior defect whether it is gone or stays in the other scan.

    Parameters
    ----------
    usual
        The supine scan without attenuation correction.
    other
        Of the same state.
    condition
        What the other scan is.
    combined_tpd_percent
        Of samples that are abnormal in both scans; mentioned where given.

    Returns
    -------
    ``defect-gone`` (warning) where a wall's summed score falls from 3 or more to 1 or less, ``defect-stays`` (info)
    where it stays 3 or more; nothing in between, and nothing for a wall without a defect.
    """
    findings = []
    for wall, (segments, attenuator) in _WALLS.items():
        index = np.array(segments) - 1
        before, after = (int(np.asarray(scan.scores)[index].sum()) for scan in (usual, other))
        if before < _DEFECT or _GONE < after < _DEFECT:
            continue
        percent = [float(np.asarray(scan.segments_percent)[index].mean()) for scan in (usual, other)]
        compared = (
            f"the {wall} defect of {usual.name} (summed score {before}, {percent[0]:.0f} % of the maximum) "
            f"{{}} in {other.name}, which is {condition} ({after}, {percent[1]:.0f} %)"
        )
        both = (
            "" if combined_tpd_percent is None else f" TPD of what is abnormal in both: {combined_tpd_percent:.1f} %."
        )
        if after <= _GONE:
            text = f"{compared.format('is gone')}: attenuation by {attenuator} is the likely cause.{both}"
            findings.append(Finding("defect-gone", "warning", text[0].upper() + text[1:]))
        else:
            text = f"{compared.format('stays')}: attenuation by {attenuator} is an unlikely cause.{both}"
            findings.append(Finding("defect-stays", "info", text[0].upper() + text[1:]))
    return tuple(findings)
