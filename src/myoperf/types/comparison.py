"""What a study is held against: an earlier result, and itself processed in other ways."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Change:
    """One number in an earlier result and now.

    Attributes
    ----------
    name, label, unit, digits
        Of the number (`myoperf.quantities`); the name begins with the scan's where it belongs to one.
    before, after
        Its values.
    limit
        What 95 % of repeated scans of an unchanged patient differ by less than.
    """

    name: str
    label: str
    unit: str
    digits: int
    before: float
    after: float
    limit: float

    @property
    def exceeds(self) -> bool:
        """Whether it differs by more than repeated scans do."""
        return abs(self.after - self.before) > self.limit


@dataclass(frozen=True, kw_only=True)
class PriorComparison:
    """A study against an earlier result of the same patient.

    Attributes
    ----------
    changes
        Of every number that both have and whose repeatability is known.
    category_before, category_after
        Of the verdicts; None where there was none.
    notes
        What makes the two hard to compare, as sentences: other limits, another version.
    """

    changes: tuple[Change, ...]
    category_before: str | None
    category_after: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Variation:
    """The study processed in one other way.

    Attributes
    ----------
    kind
        What was varied: ``"pose"``, ``"valve plane"``, ``"filter"``, ``"map shift"`` or ``"half the counts"``.
    sss, srs, tpd_stress_percent, tpd_rest_percent, lvef_percent
        What came out; None where it is not measured in the study.
    category
        Of the verdict.
    """

    kind: str
    sss: int | None
    srs: int | None
    tpd_stress_percent: float | None
    tpd_rest_percent: float | None
    lvef_percent: float | None
    category: str | None


@dataclass(frozen=True, kw_only=True)
class Stability:
    """Whether the decision on a study stays when it is processed in other ways.

    Attributes
    ----------
    category
        Of the study as it was processed.
    variations
        Each with its own category.
    failed
        How many could not be measured.
    """

    category: str | None
    variations: tuple[Variation, ...]
    failed: int = 0

    @property
    def flips(self) -> int:
        """How many variations change normal into abnormal or the other way round."""
        return sum(_is_abnormal(one.category) != _is_abnormal(self.category) for one in self.variations)

    def spread(self, name: str) -> tuple[float, float] | None:
        """Return the lowest and highest value of a number over the variations; None where it was not measured."""
        values = [getattr(one, name) for one in self.variations if getattr(one, name) is not None]
        return (float(min(values)), float(max(values))) if values else None


def _is_abnormal(category: str | None) -> bool:
    return category is not None and category.endswith("abnormal")
