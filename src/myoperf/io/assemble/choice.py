"""Which of several scans of the same state is analysed.

One scan a state is used; the others are listed with the reason. A dynamic PET series, which alone gives
flow, is kept beside them. In order of weight: a volume or
projections of the heart as it lies (not already reoriented), raw projections before reconstructions
(one known algorithm then makes both states alike), gated before static before dynamic (a gated
scan's sum is the static one), supine before prone, SPECT without and PET with attenuation
correction, then the lower series number and the file's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from myoperf.types import Framing, Modality, Orientation, State

__all__ = ["Candidate", "choose"]

_FRAMING_RANK = {"gated": 0, "static": 1, "dynamic": 2}


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is known of a scan before its pixels are read.

    Parameters
    ----------
    name
        Its first file's name.
    corrected
        Whether it says to be corrected for attenuation.
    series
        Series number, 0 where absent.
    """

    name: str
    state: State | None
    modality: Modality
    raw: bool
    framing: Framing
    orientation: Orientation
    prone: bool = False
    corrected: bool = False
    series: float = 0.0

    @property
    def origin(self) -> tuple[bool, bool, bool]:
        """Where its images come from: the lowest is used."""
        return self.modality != "PT", self.orientation == "short_axis", not self.raw

    @property
    def rank(self) -> tuple[bool | int | float | str, ...]:
        """Sort key: the lowest is used."""
        plain = self.corrected if self.modality == "NM" else not self.corrected
        return (
            *self.origin,
            _FRAMING_RANK[self.framing],
            self.prone,
            plain,
            self.series,
            self.name,
        )

    @property
    def kind(self) -> str:
        """Say what it is, in words."""
        origin = "raw" if self.raw else "short-axis" if self.orientation == "short_axis" else "reconstructed"
        lying = " prone" if self.prone else ""
        return f"{self.framing}{lying} {origin} {'PET' if self.modality == 'PT' else 'SPECT'}"


def choose(candidates: Sequence[Candidate]) -> tuple[tuple[int, ...], ...]:
    """Group a study's scans by state; order each group by preference.

    Scans of unknown state may be different states: each stays a group of its own, but where some
    are raw, the reconstructions (and where some are transaxial, the short-axis ones) are taken for
    their derivatives.

    Returns
    -------
    One tuple of positions a group: the first is used, the others, should it fail, stand in for it.
    """
    groups = [
        [i for i, c in enumerate(candidates) if c.state == state and _for_flow(c) == flow]
        for flow in (False, True)
        for state in ("stress", "rest")
    ]
    groups += _unknown_groups(candidates)
    return tuple(tuple(sorted(group, key=lambda i: candidates[i].rank)) for group in groups if group)


def _for_flow(candidate: Candidate) -> bool:
    """Whether a scan is one that flow is measured on."""
    return candidate.modality == "PT" and candidate.framing == "dynamic"


def _unknown_groups(candidates: Sequence[Candidate]) -> list[list[int]]:
    """Group the scans of unknown state: one each, derivatives joined to the first of their origin."""
    unknown = sorted((i for i, c in enumerate(candidates) if c.state is None), key=lambda i: candidates[i].rank)
    leading = [i for i in unknown if candidates[i].origin == candidates[unknown[0]].origin]
    derived = [i for i in unknown if i not in leading]
    return [[leading[0], *derived], *([i] for i in leading[1:])] if leading else []
