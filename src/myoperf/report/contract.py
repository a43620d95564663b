"""``results.json``: the numbers of a report by the contract ``myoperf.report/1``, absent values null."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from myoperf.quantities import quantities
from myoperf.report.narrative import report_text
from myoperf.report.study_findings import TIMED_STAGES, findings_of_study
from myoperf.types import (
    VESSELS,
    Diagnosis,
    Finding,
    Report,
    ScanResult,
    Scores,
    Settings,
    State,
    TerritoryScores,
    Verdict,
)
from myoperf.types.comparison import PriorComparison, Stability

STATES: tuple[State, ...] = ("stress", "rest")
SCHEMA = "myoperf.report/1"
_CURVE_STEP = 5
"""Of the 360 samples of the volume curve every fifth is written."""


def results_json(report: Report) -> dict[str, Any]:
    """Return everything measured as plain Python values, ready for ``json.dumps(..., allow_nan=False)``.

    Parameters
    ----------
    report
        A finished analysis.

    Returns
    -------
    A dictionary with exactly the contract's keys; what was not measured, or is not finite, is None.
    Numbers with an interval have it under ``"intervals"``: name of a scan or ``"scores"`` -> number ->
    ``{"value", "low", "high", "sd", "draws", "source"}``. Findings about the study as a whole are under
    ``"findings"``. The numbers are those of `myoperf.quantities`; the optional ones are left out where they were
    not measured.
    """
    study = report.study
    return {
        "schema": SCHEMA,
        "study": {
            "study_uid": study.study_uid,
            **({"study_uids": list(study.study_uids)} if study.study_uids else {}),
            "patient_id": study.patient_id,
            "sex": study.sex,
            "age_years": plain(study.age_years),
        },
        "findings": [_finding(f) for f in findings_of_study(report)],
        "scans": [_scan(result, report.scan_scores.get(result.name)) for result in report.results],
        "scores": _scores(report.scores),
        "diagnosis": _diagnosis(report.diagnosis),
        "provenance": _provenance(report),
        **_intervals(report),
        "text": {section.key: list(section.sentences) for section in report_text(report)},
        **({} if report.prior is None else {"prior": _prior(report.prior)}),
        **({} if report.stability is None else {"stability": _stability(report.stability)}),
    }


def write_json(report: Report, path: Path | str) -> Path:
    """Write `results_json` as UTF-8 text with two-space indents; return the path."""
    path = Path(path)
    text = json.dumps(results_json(report), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def plain(value: Any) -> Any:
    """Turn numpy scalars, arrays, tuples and mappings into what JSON knows; NaN and infinity become None.

    Raises
    ------
    TypeError
        For a value that JSON cannot hold.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(entry) for entry in value]
    raise TypeError(f"JSON cannot hold a {type(value).__name__}.")


def _finding(finding: Finding) -> dict[str, str]:
    return {"code": finding.code, "severity": finding.severity, "message": finding.message}


def _scan(result: ScanResult, scores: Scores | None) -> dict[str, Any]:
    frame, flow, scan = result.frame, result.flow, result.scan
    return {
        "name": result.name,
        "state": result.state,
        "modality": scan.modality,
        "framing": scan.framing,
        **({} if scan.position is None else {"position": scan.position}),
        **({"attenuation_corrected": True} if scan.attenuation_corrected else {}),
        **({"stressors": list(scan.stressors)} if scan.stressors else {}),
        "source": list(scan.source),
        "reconstruction": None if result.reconstruction is None else plain(asdict(result.reconstruction)),
        "lv_frame": {
            "apex_mm": plain(frame.apex_mm),
            "base_mm": plain(frame.base_mm),
            "anterior": plain(frame.anterior),
        },
        "volumes_ml": {"myocardium": plain(result.myocardium_ml), "cavity": plain(result.cavity_ml)},
        "segments_percent": plain(np.asarray(result.segments_percent, dtype=np.float64)),
        "function": None if result.function is None else _function(result),
        **({} if result.lung_heart_ratio is None else {"lung_heart_ratio": plain(result.lung_heart_ratio)}),
        **({} if flow is None else {"flow": plain(asdict(flow))}),
        **({} if scores is None else {"scores": _scores(scores)}),
        "findings": [_finding(f) for f in result.findings],
    }


def _function(result: ScanResult) -> dict[str, Any]:
    """Return the numbers of a gated scan's function, its volume curve and its phase histogram; no maps."""
    numbers = {q.name: plain(q.read(result)) for q in quantities("scan") if q.path.startswith("function.")}
    function = result.function
    assert function is not None
    curve, synchrony = function.curve, function.synchrony
    if curve is not None:
        thinned = {"time_cycles": curve.time_cycles[::_CURVE_STEP], "volume_ml": curve.volume_ml[::_CURVE_STEP]}
        numbers["volume_curve"] = plain(thinned)
    if synchrony is not None:
        numbers["phase_reliable"], numbers["phase_agrees"] = synchrony.phase_reliable, synchrony.phase_agrees
        numbers["phase_histogram"] = plain(asdict(synchrony.phase_histogram))
    return numbers


def _intervals(report: Report) -> dict[str, Any]:
    """Return the intervals of every scan and of the scores; nothing where there are none."""
    if not report.intervals:
        return {}
    return {
        "intervals": {
            name: {key: plain(asdict(interval)) for key, interval in numbers.items()}
            for name, numbers in report.intervals.items()
        }
    }


def _scores(scores: Scores) -> dict[str, Any]:
    limits, reserve = scores.normal_limits, scores.flow_reserve
    words = {name: getattr(scores, name) for name in ("convention", "category")}
    values = {q.name: (q.read(scores), q.optional) for q in quantities("study") if q.name != "flow_reserve"}
    return {
        **{name: word for name, word in words.items() if word is not None},
        **{name: plain(value) for name, (value, optional) in values.items() if value is not None or not optional},
        **({} if reserve is None else {"flow_reserve": plain({"segments": reserve.segments, **reserve.territories})}),
        "territories": {v: plain(asdict(scores.territories.get(v, TerritoryScores()))) for v in VESSELS},
        "normal_limits": None if limits is None else plain(asdict(limits)),
        "summary": scores.summary or None,
        **({} if scores.verdict is None else {"verdict": _verdict(scores.verdict)}),
        "scans": {state: scores.scans.get(state) for state in STATES} if scores.scans else None,
    }


def _prior(prior: PriorComparison) -> dict[str, Any]:
    """Return an earlier result's numbers beside today's, and which differ by more than repeated scans do."""
    changes = [{**asdict(change), "exceeds": change.exceeds} for change in prior.changes]
    return plain({**asdict(prior), "changes": changes})  # type: ignore[no-any-return]


def _stability(stability: Stability) -> dict[str, Any]:
    """Return what other ways of processing give, and how many of them flip the decision."""
    return plain({**asdict(stability), "flips": stability.flips})  # type: ignore[no-any-return]


def _verdict(verdict: Verdict) -> dict[str, Any]:
    """Return the decision, its defects without their maps, and the cut-offs that it rests on."""
    defects = [{key: value for key, value in vars(defect).items() if key != "region"} for defect in verdict.defects]
    return plain(  # type: ignore[no-any-return]
        {
            "category": verdict.category,
            "headline": verdict.headline,
            "reliable": verdict.reliable,
            "doubts": verdict.doubts,
            "extensive_disease": verdict.warnings,
            "defects": defects,
            "cutoffs": vars(verdict.cutoffs),
        }
    )


def _diagnosis(diagnosis: Diagnosis | None) -> dict[str, Any] | None:
    if diagnosis is None:
        return None
    pretest = diagnosis.pretest
    return {
        "model": diagnosis.model,
        "per_vessel": {v: None if diagnosis.abstained else plain(diagnosis.per_vessel.get(v)) for v in VESSELS},
        "per_patient": None if diagnosis.abstained else plain(diagnosis.per_patient),
        "interval": None if diagnosis.abstained else plain(diagnosis.interval),
        "abstained": bool(diagnosis.abstained),
        "reason": diagnosis.reason,
        **({} if pretest is None else {"pretest": plain(asdict(pretest))}),
    }


def _provenance(report: Report) -> dict[str, Any]:
    provenance, settings = report.provenance, report.provenance.settings
    return {
        "myoperf": provenance.myoperf,
        "weights": [{"name": w.name, "sha256": w.sha256} for w in provenance.weights],
        "command": provenance.command,
        "seed": provenance.seed,
        "threads": provenance.threads,
        "timings_s": {stage: plain(provenance.timings_s.get(stage)) for stage in TIMED_STAGES},
        "peak_memory_mb": plain(provenance.peak_memory_mb),
        "settings": {} if settings is None else _settings(settings),
    }


def _settings(settings: Settings) -> dict[str, Any]:
    territories = {"name": settings.territories, **settings.territory_segments}
    return {"territories": plain(territories), "engine": settings.engine}
