"""The report's numbers as tables: of the study, by territory, by segment, and blood flow."""

import math
from collections.abc import Sequence

import numpy as np

from myoperf.quantities import Page, Quantity, Value, quantities
from myoperf.report.content import scored_scan
from myoperf.report.tables import ABSENT, Table, number, state_title
from myoperf.segments import SEGMENT_NAMES
from myoperf.types import VESSELS, Report, ScanResult


def numbers_table(report: Report, page: Page | None = None) -> Table:
    """Lay out the study's numbers: one column a scan, one for the comparison of stress and rest, one for units.

    Parameters
    ----------
    page
        Only the numbers a reader looks for (``"numbers"``) or only how they were obtained (``"technical"``);
        both by default.
    """
    pages = ("numbers", "technical") if page is None else (page,)
    rows = [*_study_rows(report, pages), *_scan_rows(report, pages)]
    compare = any(cell not in ("", ABSENT) for _, _, cell, _ in rows)
    normal = [normal_range(report, label) for label, *_ in rows]
    ranges = any(normal)
    scans = tuple(state_title(r) for r in report.results)
    head = (_draws(report), *scans, *(("Stress – rest",) * compare), *(("Normal",) * ranges), "Unit")
    body = [
        (label, *cells, *((cell,) * compare), *((text,) * ranges), unit)
        for (label, cells, cell, unit), text in zip(rows, normal, strict=True)
    ]
    return Table(head, tuple(body))


def normal_range(report: Report, label: str) -> str:
    """Return where normal ends for a row of the table: by the verdict's cut-offs, else as published; empty if unknown.

    Published ranges are of other programs: the ejection fraction's lower end is mean - 2 SD by QGS (PMC3699706).
    """
    verdict = report.scores.verdict
    if verdict is not None:
        cut = verdict.cutoffs
        own = {
            "Summed score (SSS, SRS, SDS)": f"< {number(cut.summed_score, 0)}",
            "Total perfusion deficit (TPD)": f"< {number(cut.tpd_percent)}",
            "Transient ischaemic dilation (TID)": f"< {number(cut.tid_ratio, 2)}",
        }
        if label in own:
            return own[label]
    low = {"M": 55, "F": 59}.get(report.study.sex or "", 55)
    return {"Ejection fraction (LVEF)": f"≥ {low}", "Phase SD": "< 18.4", "Phase bandwidth (95 %)": "< 51"}.get(
        label, ""
    )


def _draws(report: Report) -> str:
    """Say from how many draws the intervals are, and how well these know a standard deviation; nothing without them."""
    draws = {interval.draws for of_scan in report.intervals.values() for interval in of_scan.values()}
    if not draws:
        return ""
    fewest, most = min(draws), max(draws)
    known = 100.0 / math.sqrt(2.0 * (most - 1)) if most > 1 else math.inf
    count = str(most) if fewest == most else f"{fewest} to {most}"
    return f"95 % intervals of {count} draws (SD ±{known:.0f} %)"


_Row = tuple[str, list[str], str, str]
"""Label, a cell for each scan, the cell for the comparison, unit."""


def _study_rows(report: Report, pages: Sequence[str]) -> list[_Row]:
    """Lay out the scores: those of a state under its scans, each with its own, the others under the comparison."""
    rows: dict[str, list[Quantity]] = {}
    for quantity in quantities("study"):
        if quantity.page in pages:
            rows.setdefault(quantity.row, []).append(quantity)
    out = []
    for label, held in rows.items():
        if all(q.read(scores) is None for q in held for scores in (report.scores, *report.scan_scores.values())):
            continue
        texts = {q.state: with_interval(report, "scores", q.name, q.read(report.scores), q.digits) for q in held}
        cells = [
            texts.get(r.state or "unknown", "") if _is_scored(report, r) else _own_score(report, r, held)
            for r in report.results
        ]
        out.append((label, cells, texts.get("", ""), held[0].unit))
    return out


def _own_score(report: Report, result: ScanResult, held: Sequence[Quantity]) -> str:
    """Write the score of a further scan: that of its state, or what compares it with the scored scan; else nothing."""
    own = report.scan_scores.get(result.name)
    if own is None:
        return ""
    values = [(q, q.read(own)) for q in held if q.state in (result.state, "")]
    return next((number(value, q.digits) for q, value in values if value is not None), "")


def _is_scored(report: Report, result: ScanResult) -> bool:
    """Whether the study's scores of a state are of this scan."""
    return result.state is not None and scored_scan(report, result.state) is result


def _scan_rows(report: Report, pages: Sequence[str]) -> list[_Row]:
    """Lay out the single numbers of the scans, of which at least one has them."""
    rows = []
    for quantity in quantities("scan"):
        values = [quantity.read(r) for r in report.results]
        if quantity.page not in pages or all(value is None for value in values):
            continue
        cells = [
            "" if value is None else with_interval(report, r.name, quantity.name, value, quantity.digits)
            for r, value in zip(report.results, values, strict=True)
        ]
        rows.append((quantity.label, cells, "", quantity.unit))
    return rows


def with_interval(report: Report, scan: str, key: str, value: Value, digits: int = 1) -> str:
    """Write a number, followed by its interval where it has one."""
    text, interval = number(value, digits), report.intervals.get(scan, {}).get(key)
    if interval is None or text == ABSENT:
        return text
    return f"{text} ({number(interval.low, digits)} to {number(interval.high, digits)})"


def territories_table(report: Report) -> Table | None:
    """Lay out the scores by territory, only the columns that hold something; None when nothing does."""
    territories = report.scores.territories
    shown = [q for q in quantities("territory") if any(q.read(t) is not None for t in territories.values())]
    if not shown:
        return None
    rows = [
        (vessel, *(number(q.read(territories[vessel]), q.digits) for q in shown))
        for vessel in VESSELS
        if vessel in territories
    ]
    return Table(("Territory", *(f"{q.label} %" if q.unit == "%" else q.label for q in shown)), tuple(rows))


def flow_table(report: Report) -> Table | None:
    """Lay out blood flow and its reserve by territory; None where no flow was measured."""
    results = [r for r in report.results if r.flow is not None]
    if not results:
        return None
    reserve = report.scores.flow_reserve
    names = list(results[0].flow.territories_ml_min_g) if results[0].flow else []
    rows = []
    for name in names:
        cells = [
            with_interval(report, r.name, f"flow.{name}", r.flow.territories_ml_min_g.get(name), 2)
            for r in results
            if r.flow
        ]
        if reserve is not None:
            cells.append(with_interval(report, "scores", f"flow_reserve.{name}", reserve.territories.get(name), 2))
        rows.append(("Whole ventricle" if name == "global" else name, *cells))
    titles = [f"{state_title(r)} ml/min/g" for r in results]
    return Table(("Territory", *titles, *(("Reserve",) if reserve else ())), tuple(rows))


def segments_table(report: Report) -> Table:
    """Lay out the 17 segments: uptake of every scan in % of its maximum, and scores from 0 to 4 where there are any."""
    columns: list[tuple[str, list[str]]] = [
        (f"{state_title(r)} %", [number(float(v), 1) for v in r.segments_percent]) for r in report.results
    ]
    stress, rest = report.result("stress"), report.result("rest")
    if stress is not None and rest is not None and not report.scores.apart:
        change = np.asarray(rest.segments_percent, float) - np.asarray(stress.segments_percent, float)
        columns.append(("Rest – stress", [f"{v:+z.1f}" for v in change]))
    for title, scores in (("Score stress", report.scores.stress_scores), ("Score rest", report.scores.rest_scores)):
        if scores is not None:
            columns.append((title, [number(s, 0) for s in scores]))
    rows = [(str(i + 1), SEGMENT_NAMES[i], *(values[i] for _, values in columns)) for i in range(len(SEGMENT_NAMES))]
    return Table(("No.", "Segment", *(title for title, _ in columns)), tuple(rows))
