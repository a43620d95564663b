"""The report's numbers as tables: of the study, by territory, by segment, and blood flow."""

from __future__ import annotations

from typing import Any

import numpy as np

from myoperf.report.tables import ABSENT, Table, number, state_title
from myoperf.segments import SEGMENT_NAMES
from myoperf.types import VESSELS, Report, ScanResult

__all__ = [
    "flow_table",
    "numbers_table",
    "segments_table",
    "split_numbers",
    "territories_table",
    "with_interval",
]

_FUNCTION_ROWS = (
    ("edv_ml", "End-diastolic volume (EDV)", "ml", 0),
    ("esv_ml", "End-systolic volume (ESV)", "ml", 0),
    ("lvef_percent", "Ejection fraction (LVEF)", "%", 0),
    ("phase_sd_deg", "Phase SD", "°", 1),
    ("phase_bandwidth_deg", "Phase bandwidth (95 %)", "°", 0),
    ("phase_entropy_percent", "Phase entropy", "%", 0),
)
_MORE_ROWS = {
    "pfr_edv_per_s": "Peak filling rate (PFR)",
    "ttpf_ms": "Time to peak filling (TTPF)",
    "mfr3_edv_per_s": "Mean filling rate, first third (MFR/3)",
    "ed_gate": "Gate of end diastole",
    "es_gate": "Gate of end systole",
    "mass_g": "Myocardial mass",
    "resolution_fwhm_mm": "Resolution fitted (FWHM)",
    "fit_residual_mm": "Residual of the wall's fit",
    "shape_index_ed": "Shape index, end diastole",
    "shape_index_es": "Shape index, end systole",
    "eccentricity_ed": "Eccentricity, end diastole",
    "eccentricity_es": "Eccentricity, end systole",
}
_FINE = ("shape_index_ed", "shape_index_es", "eccentricity_ed", "eccentricity_es")
"""Between 0 and 1: shown with two digits."""
_UNITS = {
    "ml_per_s": "ml/s",
    "edv_per_s": "EDV/s",
    "percent": "%",
    "deg": "°",
    "ms": "ms",
    "ml": "ml",
    "mm": "mm",
    "ratio": "",
    "g": "g",
    "s": "s",
}


def numbers_table(report: Report) -> Table:
    """Lay out the study's numbers: one column a scan, one for the comparison of stress and rest, one for units."""
    results, scores = report.results, report.scores
    stress, rest = report.result("stress"), report.result("rest")
    rows: list[tuple[str, list[str], str, str]] = []

    def by_state(label: str, keys: tuple[str, str, str], unit: str, digits: int) -> None:
        of_stress, of_rest, of_both = (
            with_interval(report, "scores", key, getattr(scores, key), digits) for key in keys
        )
        at = {id(stress): of_stress, id(rest): of_rest}
        rows.append((label, [at[id(r)] if id(r) in at and r.state else "" for r in results], of_both, unit))

    if (scores.sss, scores.srs, scores.sds) != (None, None, None):
        by_state("Summed score (SSS, SRS, SDS)", ("sss", "srs", "sds"), "of 68", 0)
    tpd = (scores.tpd_stress_percent, scores.tpd_rest_percent, scores.tpd_ischemic_percent)
    if tpd != (None, None, None):
        keys = ("tpd_stress_percent", "tpd_rest_percent", "tpd_ischemic_percent")
        by_state("Total perfusion deficit (TPD)", keys, "%", 1)
    rows.extend(_extent_rows(report))
    if scores.tid_ratio is not None:
        tid = with_interval(report, "scores", "tid_ratio", scores.tid_ratio, 2)
        rows.append(("Transient ischaemic dilation (TID)", [""] * len(results), tid, "ratio"))
    for key, label in (("myocardium_ml", "Myocardium (labelled wall)"), ("cavity_ml", "Cavity (labelled blood pool)")):
        rows.append((label, [with_interval(report, r.name, key, getattr(r, key), 0) for r in results], "", "ml"))
    ratios = [r.lung_heart_ratio for r in results]
    if any(ratio is not None for ratio in ratios):
        cells = [
            "" if ratio is None else with_interval(report, r.name, "lung_heart_ratio", ratio, 2)
            for r, ratio in zip(results, ratios, strict=True)
        ]
        rows.append(("Lung-heart ratio (front view)", cells, "", "ratio"))
    rows.extend(_function_rows(report))
    compare = any(cell not in ("", ABSENT) for _, _, cell, _ in rows)
    head = ("", *(state_title(r) for r in results), *(("Stress – rest",) if compare else ()), "Unit")
    body = [(label, *cells, *((cell,) if compare else ()), unit) for label, cells, cell, unit in rows]
    return Table(head, tuple(body))


_EXTENT_ROWS = (
    ("Extent below the limits", ("stress_extent_percent", "rest_extent_percent", ""), "%", 0),
    ("Mean severity below the limits", ("stress_mean_severity", "rest_mean_severity", ""), "of 4", 1),
    (
        "Myocardium by the scores (100 S / 68)",
        ("stress_percent_myocardium", "rest_percent_myocardium", "ischemic_percent_myocardium"),
        "%",
        1,
    ),
    ("Reversible share (SDS / SSS)", ("", "", "reversible_share_percent"), "%", 0),
)


def _extent_rows(report: Report) -> list[tuple[str, list[str], str, str]]:
    """Give the rows of perfusion that the scores' further numbers hold."""
    held, rows = report.scores.more, []
    at = {"stress": 0, "rest": 1}
    first = [report.result("stress"), report.result("rest")]
    for label, keys, unit, digits in _EXTENT_ROWS:
        if all(held.get(key) is None for key in keys):
            continue
        texts = [with_interval(report, "scores", key, held[key], digits) if key in held else "" for key in keys]
        cells = [texts[at[r.state]] if r.state and any(r is one for one in first) else "" for r in report.results]
        rows.append((label, cells, texts[2], unit))
    return rows


_TECHNICAL = (
    "ed_gate",
    "es_gate",
    "resolution_fwhm_mm",
    "fit_residual_mm",
    "phase_mean_deg",
    "phase_sd_uncorrected_deg",
    "phase_noise_deg",
    "phase_disagreement",
    "phase_skewness",
    "phase_kurtosis",
)


def split_numbers(table: Table) -> tuple[Table, Table]:
    """Split the numbers into those a reader looks for and those that tell how they came about."""
    labels = {_label_and_unit(key)[0] for key in _TECHNICAL}
    technical = tuple(row for row in table.rows if row[0] in labels)
    return Table(table.columns, tuple(row for row in table.rows if row[0] not in labels)), Table(
        table.columns, technical
    )


def with_interval(report: Report, scan: str, key: str, value: Any, digits: int = 1) -> str:
    """Write a number with its interval behind it, where it has one."""
    text, found = number(value, digits), report.intervals.get(scan, {}).get(key)
    if found is None or text == ABSENT:
        return text
    if isinstance(value, int | np.integer):
        digits = 0
    return f"{text} ({number(found.low, digits)} to {number(found.high, digits)})"


def _function_rows(report: Report) -> list[tuple[str, list[str], str, str]]:
    """Give the rows of ventricular function that any gated scan has."""
    rows, results = [], report.results
    for key, label, unit, digits in _FUNCTION_ROWS:
        values = [getattr(r.function, key, None) for r in results]
        if any(v is not None for v in values):
            cells = [
                with_interval(report, r.name, key, v, digits) if r.function else ""
                for r, v in zip(results, values, strict=True)
            ]
            rows.append((label, cells, "", unit))
    scalars = [_scalars(r) for r in results]
    for key in dict.fromkeys(key for found in scalars for key in found):
        label, unit = _label_and_unit(key)
        cells = [
            with_interval(report, r.name, key, found[key], 2 if key in _FINE else 1) if key in found else ""
            for r, found in zip(results, scalars, strict=True)
        ]
        rows.append((label, cells, "", unit))
    return rows


def _scalars(result: ScanResult) -> dict[str, float]:
    """Give the further single numbers of a scan's function."""
    more = result.function.more if result.function else {}
    return {
        key: value if isinstance(value, int) else float(value)
        for key, value in more.items()
        if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    }


def _label_and_unit(key: str) -> tuple[str, str]:
    """Split a name such as ``stroke_volume_ml`` into ``Stroke volume`` and ``ml``."""
    suffix = next((s for s in _UNITS if key.endswith(f"_{s}")), "")
    unit = _UNITS.get(suffix, "")
    if key in _MORE_ROWS:
        return _MORE_ROWS[key], unit
    key = key if suffix in ("", "ratio") else key.removesuffix(f"_{suffix}")
    text = key.replace("_", " ")
    return text[:1].upper() + text[1:], unit


def territories_table(report: Report) -> Table | None:
    """Lay out the scores by territory, only the columns that hold something; None when nothing does."""
    territories = report.scores.territories
    columns = (
        ("SSS", "sss", 0),
        ("SRS", "srs", 0),
        ("SDS", "sds", 0),
        ("TPD stress %", "tpd_stress_percent", 1),
        ("TPD rest %", "tpd_rest_percent", 1),
        ("Uptake stress %", "mean_stress_percent", 0),
        ("Uptake rest %", "mean_rest_percent", 0),
    )
    shown = [c for c in columns if any(getattr(t, c[1]) is not None for t in territories.values())]
    if not shown:
        return None
    rows = [
        (vessel, *(number(getattr(territories[vessel], name), digits) for _, name, digits in shown))
        for vessel in VESSELS
        if vessel in territories
    ]
    return Table(("Territory", *(title for title, _, _ in shown)), tuple(rows))


def flow_table(report: Report) -> Table | None:
    """Lay out blood flow and its reserve by territory; None where no flow was measured."""
    results = [r for r in report.results if r.flow is not None]
    if not results:
        return None
    reserve = report.scores.more.get("flow_reserve", {})
    names = list(results[0].flow.territories_ml_min_g) if results[0].flow else []
    rows = []
    for name in names:
        cells = [
            with_interval(report, r.name, f"flow.{name}", r.flow.territories_ml_min_g.get(name), 2)
            for r in results
            if r.flow
        ]
        if reserve:
            cells.append(with_interval(report, "scores", f"flow_reserve.{name}", reserve.get(name), 2))
        rows.append(("Whole ventricle" if name == "global" else name, *cells))
    titles = [f"{state_title(r)} ml/min/g" for r in results]
    return Table(("Territory", *titles, *(("Reserve",) if reserve else ())), tuple(rows))


def segments_table(report: Report) -> Table:
    """Lay out the 17 segments: uptake of every scan in % of its maximum, and 0-4 scores where there are any."""
    columns: list[tuple[str, list[str]]] = [
        (f"{state_title(r)} %", [number(float(v), 1) for v in r.segments_percent]) for r in report.results
    ]
    stress, rest = report.result("stress"), report.result("rest")
    if stress is not None and rest is not None:
        change = np.asarray(rest.segments_percent, float) - np.asarray(stress.segments_percent, float)
        columns.append(("Rest – stress", [f"{v:+z.1f}" for v in change]))
    for title, scores in (("Score stress", report.scores.stress_scores), ("Score rest", report.scores.rest_scores)):
        if scores is not None:
            columns.append((title, [number(s, 0) for s in scores]))
    rows = [(str(i + 1), SEGMENT_NAMES[i], *(values[i] for _, values in columns)) for i in range(len(SEGMENT_NAMES))]
    return Table(("No.", "Segment", *(title for title, _ in columns)), tuple(rows))
