"""The report's numbers as tables: of the study, by territory, by segment, and blood flow."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from myoperf.quantities import QUANTITIES, Page, Quantity, Value, quantities
from myoperf.report.content import scored_scan
from myoperf.report.tables import ABSENT, Table, number, state_title
from myoperf.segments import SEGMENT_NAMES
from myoperf.types import VESSELS, Report, ScanResult, Verdict


def numbers_table(report: Report, page: Page | None = None) -> Table:
    """Return a table of the study's numbers: a column for each scan, one for stress against rest, one for units.

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
    head = (_draws(report), *scans, *((_COMPARED,) * compare), *(("Normal",) * ranges), "Unit")
    body = [
        (label, *cells, *((cell,) * compare), *((text,) * ranges), unit)
        for (label, cells, cell, unit), text in zip(rows, normal, strict=True)
    ]
    return Table(head, tuple(body))


_COMPARED = "Stress – rest"
_SCORES = ("sss", "tpd_stress_percent", "combined_tpd_percent", "stress_extent_percent", "tid_ratio")
_OF_SCANS = ("lung_heart_ratio", "edv_ml", "esv_ml", "lvef_percent", "stroke_volume_ml", "mass_g")
_FIRST_PAGE = (*_SCORES, *_OF_SCANS, "phase_sd_deg", "phase_bandwidth_deg")
"""Numbers whose rows stand on the first page."""
NORMAL_RESERVE = 2.0
"""Myocardial flow reserve from which on it is normal."""
FLAGS = {"low": "↓", "high": "↑"}
"""Marks behind a number that lies outside of the normal range."""


def first_page_numbers(report: Report) -> Table:
    """Return a table of the dozen numbers that a reader signs for, and of blood flow where it was measured."""
    table, first = numbers_table(report, "numbers"), {q.row for q in QUANTITIES if q.name in _FIRST_PAGE}
    rows = (*(row for row in table.rows if row[0] in first), *_flow_rows(report, table.columns))
    return Table(table.columns, rows)


def further_numbers(report: Report) -> Table:
    """Return a table of the numbers that the first page leaves out and a reader may look for."""
    table, first = numbers_table(report, "numbers"), {row[0] for row in first_page_numbers(report).rows}
    return Table(table.columns, tuple(row for row in table.rows if row[0] not in first))


def _flow_rows(report: Report, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the whole ventricle's blood flow in the columns of the numbers; no row where none was measured."""
    if all(result.flow is None for result in report.results):
        return []
    cells = dict.fromkeys(columns, "") | {"Unit": "ml/min/g", columns[0]: "Blood flow, whole ventricle (MBF)"}
    for result in report.results:
        if result.flow is not None:
            flow = result.flow.territories_ml_min_g.get("global")
            cells[state_title(result)] = with_interval(report, result.name, "flow.global", flow, 2)
    rows = [tuple(cells[name] for name in columns)]
    reserve = report.scores.flow_reserve
    if reserve is not None and _COMPARED in columns:
        value = reserve.territories.get("global")
        own = dict.fromkeys(columns, "") | {columns[0]: "Myocardial flow reserve (MFR)", "Unit": "ratio"}
        own[_COMPARED] = with_interval(report, "scores", "flow_reserve.global", value, 2)
        own[_COMPARED] += "" if value is None or value >= NORMAL_RESERVE else f" {FLAGS['low']}"
        if "Normal" in columns:
            own["Normal"] = f"≥ {NORMAL_RESERVE:.1f}"
        rows.append(tuple(own[name] for name in columns))
    return rows


def normal_limits(report: Report) -> Mapping[str, tuple[float, float]]:
    """Return where normal ends for numbers by name: from the first value on, below the second.

    The scores' are the verdict's cut-offs, left out while the verdict is not reliable. Published are: ejection
    fraction, mean - 2 SD by QGS (PMC3699706); volumes and mass, mean + 2 SD by magnetic resonance imaging
    (Kawel-Boehm 2015, in PMC7758747), where the sex is known; phase (Romero-Farina et al. 2015,
    doi:10.1007/s12350-015-0143-2).
    """
    none, verdict, sex = -math.inf, report.scores.verdict, report.study.sex
    limits = {
        "lvef_percent": (59.0 if sex == "F" else 55.0, math.inf),
        "phase_sd_deg": (none, 18.4),
        "phase_bandwidth_deg": (none, 51.0),
    }
    if sex in ("F", "M"):
        women = sex == "F"
        limits |= {
            "edv_ml": (none, 178.0 if women else 214.0),
            "esv_ml": (none, 66.0 if women else 82.0),
            "mass_g": (none, 140.0 if women else 176.0),
        }
    return limits | _score_limits(verdict)


def _score_limits(verdict: Verdict | None) -> dict[str, tuple[float, float]]:
    """Return where normal ends for scores: the verdict's cut-offs, nothing while it is not reliable."""
    if verdict is None or not verdict.reliable:
        return {}
    cut = verdict.cutoffs
    ends = {
        "sss": cut.summed_score,
        "srs": cut.rest_summed_score,
        "sds": cut.sds,
        "tpd_stress_percent": cut.tpd_percent,
        "tpd_rest_percent": cut.rest_tpd_percent,
        "tid_ratio": cut.tid_ratio,
    }
    return {name: (-math.inf, float(end)) for name, end in ends.items()}


def outside(report: Report, name: str, value: Value) -> Literal["low", "high", ""]:
    """Return on which side of the normal range a number lies; empty inside of it, or where none is known."""
    return _side(normal_limits(report), name, value)


def _side(limits: Mapping[str, tuple[float, float]], name: str, value: Value) -> Literal["low", "high", ""]:
    """Return on which side of its limits a number lies; empty inside of them, or where there are none."""
    low, high = limits.get(name, (-math.inf, math.inf))
    if not isinstance(value, int | float | np.number) or low <= value < high or math.isnan(value):
        return ""
    return "low" if value < low else "high"


def _flagged(report: Report, name: str, value: Value, text: str) -> str:
    """Add the mark of a number outside of the normal range to its text."""
    side = outside(report, name, value)
    return f"{text} {FLAGS[side]}" if side else text


def normal_range(report: Report, label: str) -> str:
    """Return where normal ends for a row of the table, by `normal_limits`; empty if unknown."""
    limits = normal_limits(report)
    for quantity in QUANTITIES:
        if quantity.row == label and quantity.name in limits and not quantity.per:
            low, high = limits[quantity.name]
            edge = high if math.isfinite(high) else low
            return f"{'<' if math.isfinite(high) else '≥'} {number(edge, quantity.digits)}"
    return ""


def _draws(report: Report) -> str:
    """Return from how many draws the intervals come, and how well these determine an SD; empty without intervals."""
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
    """Return the rows of the scores: each scan's own in its column, those of stress against rest in theirs."""
    rows: dict[str, list[Quantity]] = {}
    for quantity in quantities("study"):
        if quantity.page in pages:
            rows.setdefault(quantity.row, []).append(quantity)
    out = []
    for label, held in rows.items():
        if all(q.read(scores) is None for q in held for scores in (report.scores, *report.scan_scores.values())):
            continue
        texts = {
            q.state: _flagged(report, q.name, value, with_interval(report, "scores", q.name, value, q.digits))
            for q in held
            for value in (q.read(report.scores),)
        }
        cells = [
            texts.get(r.state or "unknown", "") if _is_scored(report, r) else _own_score(report, r, held)
            for r in report.results
        ]
        out.append((label, cells, texts.get("", ""), held[0].unit))
    return out


def _own_score(report: Report, result: ScanResult, held: Sequence[Quantity]) -> str:
    """Write the score of a further scan: that of its state, or what compares it with the scored scan; else nothing.

    Its mark is by the cut-offs of its own limits, which are not those of the scored scan's.
    """
    own = report.scan_scores.get(result.name)
    if own is None:
        return ""
    values = [(q, q.read(own)) for q in held if q.state in (result.state, "")]
    limits = _score_limits(own.verdict)
    for quantity, value in values:
        if value is not None:
            side = _side(limits, quantity.name, value)
            return number(value, quantity.digits) + (f" {FLAGS[side]}" if side else "")
    return ""


def _is_scored(report: Report, result: ScanResult) -> bool:
    """Whether the study's scores of a state are of this scan."""
    return result.state is not None and scored_scan(report, result.state) is result


def _scan_rows(report: Report, pages: Sequence[str]) -> list[_Row]:
    """Return the rows of the scans' single numbers that at least one scan has."""
    rows = []
    for quantity in quantities("scan"):
        values = [quantity.read(r) for r in report.results]
        if quantity.page not in pages or all(value is None for value in values):
            continue
        cells = [
            ""
            if value is None
            else _flagged(
                report, quantity.name, value, with_interval(report, r.name, quantity.name, value, quantity.digits)
            )
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
    """Return a table of the scores by territory, without empty columns; None if all are empty."""
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
    """Return a table of blood flow and its reserve by territory; None where no flow was measured."""
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
    """Return a table of the 17 segments: uptake of every scan in % of its maximum, and scores, 0 to 4, if any."""
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
