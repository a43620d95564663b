"""Which of a study's series are separate scans, which is scored first, and which repeat another.

Scans of one state differ in the patient's position, in the correction for attenuation, in tracer or modality; all are
kept. The first of a state is scored: PET before SPECT, perfusion before FDG, supine before prone, SPECT without and PET
with correction for attenuation, images not already in short axis, raw projections before
reconstructions (the same algorithm then reconstructs both states), gated before static before dynamic, then the lower
series number and the file's name. A series that only repeats another is set aside with the reason: the reconstruction
of raw projections that are there too, short-axis slices of a transaxial volume, the static sum of a gated scan.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from myoperf.types import Framing, Modality, Orientation, Position, State

_FRAMING_RANK = {"gated": 0, "static": 1, "dynamic": 2}
_STATES: tuple[State, ...] = ("stress", "rest")


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is known of a scan before its pixels are read.

    Parameters
    ----------
    name
        Its first file's name.
    position
        How the patient lay; None, where the file does not say, counts as supine.
    corrected
        Whether it is marked as corrected for attenuation.
    tracer
        As `myoperf.io.tracers.tracer_of` returns it.
    series
        Series number, 0 where absent.
    """

    name: str
    state: State | None
    modality: Modality
    raw: bool
    framing: Framing
    orientation: Orientation
    position: Position | None = None
    corrected: bool = False
    tracer: str | None = None
    series: float = 0.0

    @property
    def prone(self) -> bool:
        """Whether the patient lay prone."""
        return self.position == "prone"

    @property
    def isotope(self) -> str:
        """The tracer's first word, its radionuclide; empty where the file does not name it."""
        return (self.tracer or "").split(" ")[0]

    @property
    def metabolic(self) -> bool:
        """Whether it shows metabolism (FDG), not perfusion."""
        return "FDG" in (self.tracer or "")

    @property
    def condition(self) -> tuple[object, ...]:
        """What scans of one state may differ in."""
        return self.for_flow, self.modality, self.prone, self.corrected, self.metabolic

    @property
    def for_flow(self) -> bool:
        """Whether flow can be measured on the scan."""
        return self.modality == "PT" and self.framing == "dynamic"

    @property
    def origin(self) -> tuple[bool, bool]:
        """How its images were made: the higher may have been made from the lower."""
        return self.orientation == "short_axis", not self.raw

    @property
    def rank(self) -> tuple[bool | int | float | str, ...]:
        """Sort key: the lowest is scored."""
        unwanted_correction = self.corrected == (self.modality == "NM")
        conditions = (self.metabolic, self.modality != "PT", self.prone, unwanted_correction)
        return (*conditions, *self.origin, _FRAMING_RANK[self.framing], self.series, self.name)

    @property
    def kind(self) -> str:
        """What it is, in words."""
        origin = "raw" if self.raw else "short-axis" if self.orientation == "short_axis" else "reconstructed"
        position = " prone" if self.prone else ""
        correction = " attenuation-corrected" if self.corrected and self.modality == "NM" else ""
        return f"{self.framing}{position}{correction} {origin} {'PET' if self.modality == 'PT' else 'SPECT'}"


def choose(candidates: Sequence[Candidate]) -> tuple[tuple[int, ...], ...]:
    """Group a study's series by scan and order each group by preference.

    Returns
    -------
    One tuple of positions for each scan, in the order of `in_order`: the first is used; should it fail, the next, which
    repeats it.
    """
    groups = [tuple(group) for same in _conditions(candidates) for group in _scans(candidates, same)]
    return tuple(groups[i] for i in in_order([candidates[group[0]] for group in groups]))


def in_order(scans: Sequence[Candidate]) -> tuple[int, ...]:
    """Return the positions of a study's scans in the study's order.

    The scan of stress that is scored comes first, then that of rest, then the others of stress and of rest, dynamic
    PET, and last those of unknown state.
    """
    ranked = sorted(range(len(scans)), key=lambda i: scans[i].rank)
    of_state = [[i for i in ranked if scans[i].state == s and not scans[i].for_flow] for s in _STATES]
    dynamic = [i for s in _STATES for i in ranked if scans[i].state == s and scans[i].for_flow]
    scored = [same[0] for same in of_state if same]
    others = [i for same in of_state for i in same[1:]]
    return (*scored, *others, *dynamic, *(i for i in ranked if scans[i].state is None))


def _conditions(candidates: Sequence[Candidate]) -> list[list[int]]:
    """Group the series of one state, position, correction, modality and tracer; ordered by preference."""
    known = {c.isotope for c in candidates if c.isotope}
    only = known.pop() if len(known) == 1 else ""
    groups: dict[tuple[object, ...], list[int]] = {}
    for i in sorted(range(len(candidates)), key=lambda i: candidates[i].rank):
        c = candidates[i]
        groups.setdefault((c.state, *c.condition, c.isotope or only), []).append(i)
    return list(groups.values())


def _scans(candidates: Sequence[Candidate], same: Sequence[int]) -> list[tuple[int, ...]]:
    """Split series of the same condition into scans, each with the series that repeat it."""
    scans: list[list[int]] = []
    for i in same:
        repeated = next((scan for scan in scans if _repeats(candidates[i], candidates[scan[0]])), None)
        if repeated is None:
            scans.append([i])
        else:
            repeated.append(i)
    return [tuple(scan) for scan in scans]


def _repeats(one: Candidate, first: Candidate) -> bool:
    """Whether a series may have been made from another: its reconstruction, its short axis, its sum over the gates.

    Of unknown state, a gated and a static series of one origin may be stress and rest.
    """
    later, summed = one.origin > first.origin, _FRAMING_RANK[one.framing] > _FRAMING_RANK[first.framing]
    if one.origin < first.origin or _FRAMING_RANK[one.framing] < _FRAMING_RANK[first.framing]:
        return False
    return later or (summed and first.state is not None)
