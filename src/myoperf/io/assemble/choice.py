"""Which of several scans of the same state is analysed.

One scan of each state is used; the others are listed with the reason. A dynamic PET series, which
alone gives flow, is kept in addition. In order of weight: PET before SPECT, images not already in
short axis, raw projections before reconstructions (the same algorithm then reconstructs both
states), gated before static before dynamic (the sum of a gated scan is the static one), supine
before prone, SPECT without and PET with attenuation correction, then the lower series number and
the file's name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from myoperf.types import Framing, Modality, Orientation, State

_FRAMING_RANK = {"gated": 0, "static": 1, "dynamic": 2}


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is known of a scan before its pixels are read.

    Parameters
    ----------
    name
        Its first file's name.
    corrected
        Whether it is marked as corrected for attenuation.
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
        """Sort key of how its images were made: the lowest is used."""
        return self.modality != "PT", self.orientation == "short_axis", not self.raw

    @property
    def rank(self) -> tuple[bool | int | float | str, ...]:
        """Sort key: the lowest is used."""
        unwanted_correction = self.corrected == (self.modality == "NM")
        framing = _FRAMING_RANK[self.framing]
        return (*self.origin, framing, self.prone, unwanted_correction, self.series, self.name)

    @property
    def kind(self) -> str:
        """What it is, in words."""
        origin = "raw" if self.raw else "short-axis" if self.orientation == "short_axis" else "reconstructed"
        position = " prone" if self.prone else ""
        return f"{self.framing}{position} {origin} {'PET' if self.modality == 'PT' else 'SPECT'}"


def choose(candidates: Sequence[Candidate]) -> tuple[tuple[int, ...], ...]:
    """Group a study's scans by state and order each group by preference.

    Scans of unknown state may be of different states, so each is a group. But where some are raw, the
    reconstructions are assumed to be made from them, and where some are transaxial, the short-axis
    ones.

    Returns
    -------
    One tuple of positions for each group: the first is used; should it fail, the next.
    """
    groups = [
        [i for i, c in enumerate(candidates) if c.state == state and _for_flow(c) == flow]
        for flow in (False, True)
        for state in ("stress", "rest")
    ]
    groups += _unknown_groups(candidates)
    return tuple(tuple(sorted(group, key=lambda i: candidates[i].rank)) for group in groups if group)


def _for_flow(candidate: Candidate) -> bool:
    """Whether flow can be measured on a scan."""
    return candidate.modality == "PT" and candidate.framing == "dynamic"


def _unknown_groups(candidates: Sequence[Candidate]) -> list[list[int]]:
    """Group the scans of unknown state: one each, those made from others with the first of these."""
    unknown = sorted((i for i, c in enumerate(candidates) if c.state is None), key=lambda i: candidates[i].rank)
    leading = [i for i in unknown if candidates[i].origin == candidates[unknown[0]].origin]
    derived = [i for i in unknown if i not in leading]
    return [[leading[0], *derived], *([i] for i in leading[1:])] if leading else []
