"""What the report says, as plain texts and tables that the HTML page and the PDF both lay out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from myoperf.report.contract import TIMED_STAGES, findings_of_study
from myoperf.segments import SEGMENT_NAMES
from myoperf.types import VESSELS, Finding, Report, ScanResult

__all__ = [
    "ABSENT",
    "RESEARCH_BAND",
    "SIMULATED_BAND",
    "Fact",
    "Table",
    "acquisition_facts",
    "all_findings",
    "display_groups",
    "flow_table",
    "geometry_table",
    "is_simulated",
    "number",
    "numbers_table",
    "patient_facts",
    "provenance_facts",
    "reconstruction_text",
    "segments_table",
    "split_numbers",
    "state_title",
    "summary_lines",
    "territories_table",
    "timings_table",
    "without_empty_columns",
]

ABSENT = "–"
RESEARCH_BAND = "Research use only - not for clinical decisions"
SIMULATED_BAND = "Simulated data - no patient"
_SEVERITIES = ("failure", "warning", "info")
_SEX = {"M": "male", "F": "female", "O": "other"}
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
_RECONSTRUCTION = (
    ("iterations", "iterations", ""),
    ("subsets", "subsets", ""),
    ("views", "", " views"),
    ("counts", "", " counts"),
    ("voxel_mm", "voxel", " mm"),
    ("psf", "collimator response", ""),
    ("attenuation", "attenuation", ""),
)
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


@dataclass(frozen=True)
class Fact:
    """One labelled text."""

    label: str
    text: str


@dataclass(frozen=True)
class Table:
    """A small table of texts: the first column names the rows; an empty text is an empty cell."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def without_empty_columns(table: Table) -> Table:
    """Leave out the columns of which every cell is empty."""
    kept = [i for i in range(len(table.columns)) if i == 0 or any(row[i] for row in table.rows)]
    return Table(tuple(table.columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in table.rows))


def number(value: Any, digits: int = 1) -> str:
    """Write a number with fixed decimals; whole numbers as they are; what is absent or not finite as a dash."""
    if value is None:
        return ABSENT
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | np.integer):
        return str(int(value))
    return f"{float(value):z.{digits}f}" if math.isfinite(float(value)) else ABSENT


def state_title(result: ScanResult) -> str:
    """Name a scan as the report shows it: ``Stress``, ``Rest`` or its own name."""
    return result.name[:1].upper() + result.name[1:]


def display_groups(report: Report) -> tuple[tuple[ScanResult, ...], ...]:
    """Sort the scans into what is shown together: stress over rest first, every further scan alone."""
    pair = tuple(r for r in (report.result("stress"), report.result("rest")) if r is not None)
    further = tuple((r,) for r in report.results if not any(r is shown for shown in pair))
    return (pair, *further) if pair else further


def is_simulated(report: Report) -> bool:
    """Whether a camera or a description says that the data is simulated."""
    scans = (*report.study.scans, *(r.scan for r in report.results))
    return any("simulated" in f"{scan.camera or ''} {scan.description}".lower() for scan in scans)


def all_findings(report: Report) -> tuple[tuple[str, Finding], ...]:
    """Give (scope, finding) of the study and of every scan, the gravest first."""
    scoped = [("Study", f) for f in findings_of_study(report)]
    scoped += [(state_title(r), f) for r in report.results for f in dict.fromkeys(r.findings)]
    return tuple(sorted(scoped, key=lambda entry: _SEVERITIES.index(entry[1].severity)))


def patient_facts(report: Report) -> tuple[Fact, ...]:
    """Describe the patient with what the files gave."""
    study = report.study
    facts = [
        ("Patient", study.patient_id or "not given"),
        ("Sex", _SEX.get(study.sex or "", "not given")),
        ("Age", "not given" if study.age_years is None else f"{study.age_years:.0f} years"),
    ]
    if study.height_m is not None:
        facts.append(("Height", f"{study.height_m:.2f} m"))
    if study.weight_kg is not None:
        facts.append(("Weight", f"{study.weight_kg:.0f} kg"))
    return tuple(Fact(*fact) for fact in facts)


def acquisition_facts(report: Report) -> tuple[Fact, ...]:
    """Describe each scan in one line: modality, framing, tracer, camera, reconstruction."""
    return tuple(Fact(state_title(r), _acquisition(r)) for r in report.results)


def _acquisition(result: ScanResult) -> str:
    scan = result.scan
    kind = {"NM": "SPECT", "PT": "PET"}[scan.modality]
    frames = result.gated_volume.frames if result.gated_volume is not None else scan.image.frames
    framing = f"gated, {frames} frames" if scan.framing == "gated" else scan.framing
    said = [f"{kind}, {framing}", scan.tracer, scan.camera, scan.description, reconstruction_text(result)]
    if result.state is None:
        said.insert(0, "state unknown")
    return "; ".join(text for text in said if text)


def reconstruction_text(result: ScanResult) -> str:
    """Tell how the volume was reconstructed, as the stage recorded it; or that it came reconstructed."""
    if not result.reconstruction:
        return "reconstructed before" if not result.scan.is_raw else "reconstruction not recorded"
    record = dict(result.reconstruction)
    method = str(record.pop("method", record.pop("algorithm", "reconstructed"))).upper()
    parts = [
        f"{label} {_short(record[key])}".strip() + unit
        for key, label, unit in _RECONSTRUCTION
        if _short(record.get(key))
    ]
    said = [_filter_text(record["filter"])] if isinstance(record.get("filter"), Mapping) else []
    return ", ".join([method, *parts, *said])


def _filter_text(settings: Mapping[str, Any]) -> str:
    """Tell the post-filter with its cut-off in both units."""
    text = f"{str(settings.get('name', 'filter')).capitalize()} order {_short(settings.get('order'))}"
    cutoff, per_cm = settings.get("cutoff_fraction_of_nyquist"), settings.get("cutoff_cycles_per_cm")
    if cutoff is not None:
        text += f" at {_short(cutoff)} of Nyquist"
    return text + (f" ({float(per_cm):.3f} cycles/cm)" if per_cm is not None else "")


def _short(value: Any) -> str:
    """Write a recorded setting; nothing for what is absent."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{float(value):.4g}"
    if isinstance(value, Mapping):
        return " ".join(f"{key.replace('_', ' ')} {_short(entry)}" for key, entry in value.items() if _short(entry))
    if isinstance(value, tuple | list | np.ndarray):
        return " x ".join(_short(entry) for entry in value)
    return str(value)


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
            with_interval(report, r.name, key, found[key]) if key in found else ""
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


def geometry_table(report: Report) -> Table:
    """Lay out where each ventricle was found."""

    def point(values: Any, digits: int) -> str:
        return ", ".join(number(float(v), digits) for v in values)

    rows = [
        (
            state_title(r),
            point(r.frame.apex_mm, 1),
            point(r.frame.base_mm, 1),
            point(r.frame.anterior, 3),
            number(r.frame.length_mm, 1),
            ", ".join(r.scan.source) or ABSENT,
        )
        for r in report.results
    ]
    return Table(("Scan", "Apex (LPS mm)", "Base (LPS mm)", "Anterior", "Long axis mm", "Files"), tuple(rows))


def summary_lines(report: Report) -> tuple[str, ...]:
    """Say the result in plain words: perfusion, function, disease, and what to look at first."""
    lines = [report.scores.summary or _unscored(report)]
    for result in report.results:
        function = result.function
        if function is not None:
            lines.append(
                f"{state_title(result)} LVEF {number(function.lvef_percent, 0)} % "
                f"(EDV {number(function.edv_ml, 0)} ml, ESV {number(function.esv_ml, 0)} ml)."
            )
    reserve = report.scores.more.get("flow_reserve", {})
    if reserve:
        lines.append(f"Myocardial flow reserve {number(reserve['global'], 2)} over the whole ventricle.")
    if report.diagnosis is not None:
        lines.append(_diagnosis_line(report))
    return tuple(line for line in lines if line)


def _unscored(report: Report) -> str:
    if report.scores.normal_limits is not None:
        return ""
    return "Perfusion was not scored: no normal limits were applied. The maps show uptake relative to its maximum."


def _diagnosis_line(report: Report) -> str:
    diagnosis = report.diagnosis
    assert diagnosis is not None
    if diagnosis.abstained:
        return f"The model {diagnosis.model} abstained: {(diagnosis.reason or 'no reason recorded').rstrip('.')}."
    low, high = diagnosis.interval
    return (
        f"Model {diagnosis.model}: probability of obstructive disease {diagnosis.per_patient:.2f} "
        f"(interval {low:.2f} to {high:.2f})."
    )


def provenance_facts(report: Report) -> tuple[Fact, ...]:
    """Tell how the report was made."""
    provenance, limits = report.provenance, report.scores.normal_limits
    facts = [Fact("Made by", f"MyoPerf {provenance.myoperf}")]
    if provenance.command:
        facts.append(Fact("Command", provenance.command))
    if provenance.seed is not None:
        facts.append(Fact("Seed", str(provenance.seed)))
    facts += [Fact("Weights", f"{w.name}, SHA-256 {w.sha256}") for w in provenance.weights]
    if not provenance.weights:
        facts.append(Fact("Weights", "none: classical methods only"))
    if limits is not None:
        facts.append(Fact("Normal limits", f"{limits.name}, version {limits.version}, n = {limits.n}"))
    if report.study.study_uid:
        facts.append(Fact("Study", report.study.study_uid))
    return tuple(facts)


def timings_table(report: Report) -> Table | None:
    """Lay out seconds and peak memory by stage; None when nothing was measured."""
    seconds, memory = report.provenance.timings_s, report.provenance.peak_memory_mb
    stages = [s for s in dict.fromkeys((*TIMED_STAGES, *seconds, *memory)) if s in seconds or s in memory]
    if not stages:
        return None
    rows = (
        ("Seconds", *(number(seconds.get(s), 2) for s in stages)),
        *((("Peak memory MB", *(number(memory.get(s), 0) for s in stages)),) if memory else ()),
    )
    return Table(("", *stages), rows)
