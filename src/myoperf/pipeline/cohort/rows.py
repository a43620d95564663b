"""A study's row of the cohort's table, and the file that keeps it beside the study's results."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from myoperf.quantities import quantities
from myoperf.report.study_findings import findings_of_study
from myoperf.types import VESSELS, Report

Cell = str | float | int | None
Row = Mapping[str, Cell]

STUDIES = "studies"
"""Folder of a cohort that holds a folder for each entry."""
ROWS_FILE = "rows.json"
HEAD = (
    "study",
    "folder",
    "patient_id",
    "status",
    "reason",
    "study_uid",
    "sex",
    "age_years",
    "modality",
    "camera",
    "tracer",
    "normal_limits",
    "category",
)
"""First columns of the table; the numbers follow."""
TAIL = ("findings", "seconds", "memory_mb")
"""Last columns of the table."""
_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class InputRows:
    """What ``rows.json`` holds: the rows of one entry's studies, and the choices that were given for the entry."""

    rows: tuple[Row, ...]
    choices: Mapping[str, Cell]


def row_of_report(report: Report) -> dict[str, Cell]:
    """Return the row of an analysed study, without its name, folder, time and memory.

    A number of the study keeps its name (``sss``), one of a territory or a scan has that before it (``LAD.sss``,
    ``stress.edv_ml``, ``stress-prone.sss``); the ends of its interval are ``NAME_lo`` and ``NAME_hi``.
    """
    study, scores, scans = report.study, report.scores, [result.scan for result in report.results]
    findings = {f.code for f in (*findings_of_study(report), *(f for r in report.results for f in r.findings))}
    limits = scores.normal_limits
    return {
        "patient_id": study.patient_id,
        "status": "ok",
        "reason": None,
        "study_uid": study.study_uid,
        "sex": study.sex,
        "age_years": _plain(study.age_years),
        "modality": _each_once([scan.modality for scan in scans]),
        "camera": _each_once([scan.camera for scan in scans]),
        "tracer": _each_once([scan.tracer for scan in scans]),
        "normal_limits": None if limits is None else f"{limits.name} {limits.version}",
        "category": scores.category,
        **_numbers(report),
        "findings": ";".join(sorted(findings)),
    }


def failed_row(reason: str) -> dict[str, Cell]:
    """Return the row of a study that could not be analysed."""
    return {"status": "failed", "reason": reason}


def _numbers(report: Report) -> dict[str, Cell]:
    """Return every number of the report with the ends of its interval."""
    scores = report.scores
    numbers: dict[str, Cell] = {q.name: None for q in quantities("study") if not q.per}  # columns of every cohort
    for q in quantities("study"):
        numbers |= _with_intervals(report, "scores", "", q.numbers(scores))
    for vessel in VESSELS:
        if (territory := scores.territories.get(vessel)) is not None:
            for q in quantities("territory"):
                numbers |= _with_intervals(report, "scores", f"{vessel}.", q.numbers(territory), prefixed=True)
    if report.diagnosis is not None:
        for q in quantities("diagnosis"):
            numbers |= {name: _plain(value) for name, value in q.numbers(report.diagnosis).items()}
        low, high = report.diagnosis.interval
        numbers |= {"per_patient_lo": _plain(low), "per_patient_hi": _plain(high)}
    for name, own in report.scan_scores.items():
        for q in quantities("study"):
            numbers |= {f"{name}.{key}": _plain(value) for key, value in q.numbers(own).items()}
    for result in report.results:
        for q in quantities("scan"):
            numbers |= _with_intervals(report, result.name, f"{result.name}.", q.numbers(result))
    return numbers


def _with_intervals(
    report: Report, owner: str, prefix: str, values: Mapping[str, float], *, prefixed: bool = False
) -> dict[str, Cell]:
    """Return values by column, with their intervals' ends; `prefixed`: the intervals' names have the prefix too."""
    intervals = report.intervals.get(owner, {})
    cells: dict[str, Cell] = {}
    for name, value in values.items():
        column, interval = f"{prefix}{name}", intervals.get(f"{prefix}{name}" if prefixed else name)
        cells[column] = _plain(value)
        if interval is not None:
            cells |= {f"{column}_lo": _plain(interval.low), f"{column}_hi": _plain(interval.high)}
    return cells


def _plain(value: float | None) -> float | None:
    """Round to six digits; None for what is absent or not finite."""
    return float(f"{value:.{_DIGITS}g}") if value is not None and math.isfinite(value) else None


def _each_once(words: Sequence[str | None]) -> str | None:
    """Join the different words; None where there are none."""
    return "; ".join(dict.fromkeys(word for word in words if word)) or None


def write_rows(folder: Path, rows: InputRows) -> None:
    """Write ``rows.json`` into the folder of an entry's results."""
    content = {"choices": dict(rows.choices), "rows": [dict(row) for row in rows.rows]}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    (folder / ROWS_FILE).write_text(text + "\n", encoding="utf-8", errors="replace")


def read_rows(folder: Path) -> InputRows | None:
    """Read the rows of an entry; None where it is not finished, or the file is damaged (after a power failure)."""
    try:
        content = json.loads((folder / ROWS_FILE).read_text(encoding="utf-8"))
        return InputRows(rows=tuple(content["rows"]), choices=content["choices"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
