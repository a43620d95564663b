"""Every number of a report, once: its name, label, unit, digits, sign, code and definition.

``quantities.csv`` holds one row a number. results.json, the report's tables, the DICOM Structured Report, the
intervals and the columns of a cohort's table read it; ``python -m myoperf.quantities`` prints it as Markdown
(``docs/quantities.md``). A new number needs a field in `myoperf.types` and a row here.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np

from myoperf.types import Float, Interval, ScanResult, Scores

Owner = Literal["study", "scan", "territory", "diagnosis"]
Part = Literal["", "segment", "gate", "territory"]
Page = Literal["", "numbers", "technical"]
Value = float | Float | tuple[float, ...] | Mapping[str, float] | None


@dataclass(frozen=True)
class Code:
    """A coded concept.

    Parameters
    ----------
    value, scheme, meaning
        As DICOM stores it; the scheme is SCT (SNOMED CT), LN (LOINC), DCM, 99MYOPERF (MyoPerf's own) or UCUM (units).
    """

    value: str
    scheme: str
    meaning: str


UNIT_CODES: Mapping[str, Code] = {
    "%": Code("%", "UCUM", "Percent"),
    "ml": Code("ml", "UCUM", "Milliliter"),
    "°": Code("deg", "UCUM", "Degrees of plane angle"),
    "score": Code("{score}", "UCUM", "Score"),
    "of 4": Code("{score}", "UCUM", "Score"),
    "of 68": Code("{score}", "UCUM", "Score"),
    "of 80": Code("{score}", "UCUM", "Score"),
    "g": Code("g", "UCUM", "Gram"),
    "mm": Code("mm", "UCUM", "Millimeter"),
    "ms": Code("ms", "UCUM", "Millisecond"),
    "EDV/s": Code("{EDV}/s", "UCUM", "End-diastolic volumes per second"),
    "ml/min/g": Code("ml/min/g", "UCUM", "Milliliter per minute and gram"),
    "1/min": Code("/min", "UCUM", "Per minute"),
    "ratio": Code("{ratio}", "UCUM", "Ratio"),
    "": Code("1", "UCUM", "No units"),
}
"""The UCUM code of the unit of every number that has a DICOM code."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What is known of one number of a report.

    Parameters
    ----------
    name
        Key in results.json, name of the field that holds it and stem of its columns in a cohort's table.
    of
        What it belongs to: the study's scores, a scan, the scores of a territory, or the diagnosis.
    per
        What a list of it runs over (17 segments, gates, or vessels and ``"global"``); empty for a single number.
    path
        Dotted path from a `Scores`, `ScanResult`, `TerritoryScores` or `Diagnosis` to the value.
    label
        Its name for a reader.
    row
        Label of the row that numbers at stress, at rest and of their comparison share in the report's table.
    state
        Of a study's number: ``"stress"`` or ``"rest"``; empty for a comparison of both.
    unit, digits
        As the report shows it.
    signed
        Whether it may be negative.
    interval
        Whether it gets an interval when the analysis is repeated.
    optional
        Whether results.json leaves it out where it was not measured; others are null there.
    page
        Where the report shows it: among the numbers, among the technical details, or in neither table.
    code
        Its DICOM concept, where it is part of the Structured Report.
    normal, normal_source
        A published normal range, of other programs, and where it was published; empty where none is known.
    definition, source
        How it is computed, and after whom.
    """

    name: str
    of: Owner
    per: Part
    path: str
    label: str
    row: str
    state: str
    unit: str
    digits: int
    signed: bool
    interval: bool
    optional: bool
    page: Page
    code: Code | None
    normal: str
    normal_source: str
    definition: str
    source: str

    def read(self, record: object) -> Value:
        """Return the value held by a record of the kind it belongs to; None where it was not measured."""
        found = record
        for part in self.path.split("."):
            if found is None:
                return None
            found = getattr(found, part)
        return found  # type: ignore[return-value]  # the table's test reads every path

    def numbers(self, record: object) -> dict[str, float]:
        """Return its values by name; those of a list are numbered from 1 or named by vessel after a point."""
        value = self.read(record)
        if value is None:
            return {}
        if isinstance(value, Mapping):
            return {f"{self.name}.{key}": float(entry) for key, entry in value.items()}
        if isinstance(value, tuple | np.ndarray):
            return {f"{self.name}.{i}": float(entry) for i, entry in enumerate(value, start=1)}
        return {self.name: float(value)}


def _read_table() -> Iterator[Quantity]:
    """Read the table in ``quantities.csv``."""
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            scheme, _, value = row["code"].partition(" ")
            yield Quantity(
                name=row["name"],
                of=cast(Owner, row["of"]),
                per=cast(Part, row["per"]),
                path=row["path"],
                label=row["label"],
                row=row["row"] or row["label"],
                state=row["state"],
                unit=row["unit"],
                digits=int(row["digits"]),
                signed=row["signed"] == "yes",
                interval=row["interval"] == "yes",
                optional=row["optional"] == "yes",
                page=cast(Page, row["page"]),
                code=Code(value, scheme, row["meaning"]) if value else None,
                normal=row["normal"],
                normal_source=row["normal_source"],
                definition=row["definition"],
                source=row["source"],
            )


QUANTITIES: tuple[Quantity, ...] = tuple(_read_table())
_SIGNED = frozenset(q.name for q in QUANTITIES if q.signed)
_SHARES = re.compile(r"tpd_\w+_percent|\w+_extent_percent|\w+_percent_myocardium|reversible_share_percent|lvef_percent")
_MOST: Mapping[str, float] = {
    **{q.name: float(q.unit.removeprefix("of ")) for q in QUANTITIES if q.unit.startswith("of ")},
    **{q.name: 100.0 for q in QUANTITIES if _SHARES.fullmatch(q.name)},
}
"""The most that a score or a share of a whole can be."""


def quantities(of: Owner, *, page: Page | None = None) -> tuple[Quantity, ...]:
    """Return the numbers of the study, of a scan, of a territory or of the diagnosis, in the table's order.

    Parameters
    ----------
    of
        What they belong to.
    page
        Only those that the report shows there; None for all.

    Examples
    --------
    >>> [quantity.name for quantity in quantities("study")][:3]
    ['sss', 'srs', 'sds']
    """
    return tuple(q for q in QUANTITIES if q.of == of and page in (None, q.page))


def numbers_of_scan(result: ScanResult) -> dict[str, float]:
    """Return every number of a scan that gets an interval.

    Returns
    -------
    Name -> value; the entries of a list are numbered from 1 or named by their vessel: ``"edv_ml"``, ``"motion_mm.1"``,
    ``"flow.LAD"``.
    """
    return {name: value for q in quantities("scan") if q.interval for name, value in q.numbers(result).items()}


def numbers_of_scores(scores: Scores) -> dict[str, float]:
    """Return every score of a study that gets an interval.

    Returns
    -------
    Name -> value; those of a territory as ``"LAD.sss"``.
    """
    whole = {name: value for q in quantities("study") if q.interval for name, value in q.numbers(scores).items()}
    for vessel, territory in scores.territories.items():
        for q in quantities("territory"):
            whole |= {f"{vessel}.{name}": value for name, value in q.numbers(territory).items()}
    return whole


def within_range(name: str, interval: Interval) -> Interval:
    """Return the interval of a number, its ends drawn in to what the number can be.

    The lower end is at least 0 where the number cannot be negative; the upper end is at most 68 of 68 or 100 % where
    the number is a score or a share of a whole. An end is never drawn in beyond the value itself.

    Parameters
    ----------
    name
        As `numbers_of_scan` or `numbers_of_scores` give it.
    interval
        As measured.

    Examples
    --------
    >>> from myoperf.types import Interval
    >>> within_range("sss", Interval(1.0, -1.0, 3.0, 0.7, 5, "counts")).low
    0.0
    >>> within_range("reversible_share_percent", Interval(80.0, 10.0, 150.0, 35.0, 5, "counts")).high
    100.0
    """
    stem = name.rpartition(".")[0]
    if name not in _SIGNED and stem not in _SIGNED and interval.value >= 0:
        interval = replace(interval, low=max(interval.low, 0.0))
    most = _MOST.get(name, math.inf)
    return interval if interval.value > most else replace(interval, high=min(interval.high, most))


def markdown() -> str:
    """Return the table as a page of Markdown (``docs/quantities.md``)."""
    lines = [
        "# Every number of a report",
        "",
        "Written by `python -m myoperf.quantities` from `myoperf/quantities.csv`, the table behind results.json, the",
        "report, the DICOM Structured Report and the intervals. Published normal ranges come from other programs and",
        "need not hold for MyoPerf's numbers. In a cohort's table the columns of a number are `name`, `name_lo` and",
        "`name_hi`.",
    ]
    for of, title in _TITLES.items():
        lines += ["", f"## {title}", "", "| " + " | ".join(_COLUMNS) + " |", "|---" * len(_COLUMNS) + "|"]
        for q in quantities(of):
            name = f"{q.label}<br>`{q.name}`" + (f", one per {q.per}" if q.per else "")
            unit = q.unit + ("; may be negative" if q.signed else "")
            source = re.sub(r"docs/([\w-]+)\.md", r"[\1](\1.md)", q.source)
            normal = f"{q.normal} ({q.normal_source})" if q.normal else ""
            more = [f"Source: {source}"] if source else []
            more += [f"DICOM: {q.code.scheme} {q.code.value}"] if q.code else []
            cells = (name, unit, "<br>".join([q.definition, *more]), normal)
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


_TITLES: Mapping[Owner, str] = {
    "study": "Of the study (`scores`)",
    "territory": "Of a territory (`scores.territories.LAD`, `LCX`, `RCA`)",
    "scan": "Of a scan (`scans`)",
    "diagnosis": "Of the diagnosis (`diagnosis`)",
}
_COLUMNS = ("number", "unit", "definition, source and DICOM code", "published normal range")

if __name__ == "__main__":
    print(markdown(), end="")
