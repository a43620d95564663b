"""``results.json``: the numbers of a report by the contract ``myoperf.report/1``, absent values null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from myoperf.types import VESSELS, Diagnosis, Finding, FunctionResult, Report, ScanResult, Scores, TerritoryScores

__all__ = ["SCHEMA", "TIMED_STAGES", "findings_of_study", "plain", "results_json", "write_json"]

SCHEMA = "myoperf.report/1"
TIMED_STAGES = ("read", "reconstruct", "orient", "segment", "polar", "quantify", "diagnose", "report", "total")
_LONGEST_LIST = 72
_UNFIT = object()


def results_json(report: Report) -> dict[str, Any]:
    """Give everything measured as plain Python values, ready for ``json.dumps(..., allow_nan=False)``.

    Parameters
    ----------
    report
        A finished analysis.

    Returns
    -------
    A dictionary with exactly the contract's keys; what was not measured, or is not finite, is None.
    Where numbers have intervals, ``"intervals"`` stands beside them: scan's name or ``"scores"`` -> number ->
    ``{"value", "low", "high", "sd", "draws", "source"}``.
    Findings of the study as a whole stand under ``"findings"``; peak memory by stage (MB) and settings under
    ``"provenance"``; further scalars and short lists of a gated scan under its ``"function"``. Where they were
    measured, flow and the lung-heart ratio stand under their scan, and extent, mean severity, percent myocardium,
    category, 17 scores, summary and flow reserve under ``"scores"``.
    """
    study = report.study
    return {
        "schema": SCHEMA,
        "study": {
            "study_uid": study.study_uid,
            "patient_id": study.patient_id,
            "sex": study.sex,
            "age_years": plain(study.age_years),
        },
        "findings": [_finding(f) for f in findings_of_study(report)],
        "scans": [_scan(result) for result in report.results],
        "scores": _scores(report.scores),
        "diagnosis": _diagnosis(report.diagnosis),
        "provenance": _provenance(report),
        **_intervals(report),
    }


def write_json(report: Report, path: Path | str) -> Path:
    """Write `results_json` as UTF-8 text with two-space indents; give the path."""
    path = Path(path)
    text = json.dumps(results_json(report), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def findings_of_study(report: Report) -> tuple[Finding, ...]:
    """Give the findings about the study as a whole, each once: those of no scan in particular."""
    everything = (*report.findings, *report.study.findings, *report.scores.findings)
    of_scans = {f for result in report.results for f in result.findings}
    return tuple(f for f in dict.fromkeys(everything) if f not in of_scans)


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


def _scan(result: ScanResult) -> dict[str, Any]:
    frame = result.frame
    return {
        "name": result.name,
        "state": result.state,
        "modality": result.scan.modality,
        "framing": result.scan.framing,
        "source": list(result.scan.source),
        "reconstruction": None if result.reconstruction is None else plain(result.reconstruction),
        "lv_frame": {
            "apex_mm": plain(frame.apex_mm),
            "base_mm": plain(frame.base_mm),
            "anterior": plain(frame.anterior),
        },
        "volumes_ml": {"myocardium": plain(result.myocardium_ml), "cavity": plain(result.cavity_ml)},
        "segments_percent": plain(np.asarray(result.segments_percent, dtype=np.float64)),
        "function": None if result.function is None else _function(result.function),
        **({} if result.lung_heart_ratio is None else {"lung_heart_ratio": plain(result.lung_heart_ratio)}),
        **({} if result.flow is None else {"flow": plain(asdict(result.flow))}),
        "findings": [_finding(f) for f in result.findings],
    }


def _function(function: FunctionResult) -> dict[str, Any]:
    """Give the contract's numbers, the volume curve, and what else of the result is small enough to list."""
    named = {
        "edv_ml": plain(function.edv_ml),
        "esv_ml": plain(function.esv_ml),
        "lvef_percent": plain(function.lvef_percent),
        "phase_sd_deg": plain(function.phase_sd_deg),
        "phase_bandwidth_deg": plain(function.phase_bandwidth_deg),
        "phase_entropy_percent": plain(function.phase_entropy_percent),
        "volumes_ml": plain(function.volumes_ml),
    }
    more = {key: _small(value) for key, value in function.more.items() if key not in named}
    return {**named, **{key: value for key, value in more.items() if value is not _UNFIT}}


def _small(value: Any) -> Any:
    """Give a scalar, string or short flat list (or a mapping of these) as plain values; maps and volumes are unfit."""
    if isinstance(value, Mapping):
        entries = {str(key): _small(entry) for key, entry in value.items()}
        return {key: entry for key, entry in entries.items() if entry is not _UNFIT}
    try:
        given = plain(value)
    except TypeError:
        return _UNFIT
    if isinstance(given, list) and (len(given) > _LONGEST_LIST or any(isinstance(e, list | dict) for e in given)):
        return _UNFIT
    return given


def _intervals(report: Report) -> dict[str, Any]:
    """Give the intervals of every scan and of the scores; nothing where there are none."""
    if not report.intervals:
        return {}
    return {
        "intervals": {
            name: {key: plain(asdict(found)) for key, found in numbers.items()}
            for name, numbers in report.intervals.items()
        }
    }


def _scores(scores: Scores) -> dict[str, Any]:
    names = ("sss", "srs", "sds", "tpd_stress_percent", "tpd_rest_percent", "tpd_ischemic_percent", "tid_ratio")
    limits = scores.normal_limits
    more = {key: _small(value) for key, value in scores.more.items() if key != "territories"}
    return {
        **{key: value for key, value in more.items() if value is not _UNFIT},
        **{name: plain(getattr(scores, name)) for name in names},
        "territories": {v: plain(asdict(scores.territories.get(v, TerritoryScores()))) for v in VESSELS},
        "normal_limits": None if limits is None else plain(asdict(limits)),
        "summary": scores.summary or None,
        "stress_scores": plain(scores.stress_scores),
        "rest_scores": plain(scores.rest_scores),
    }


def _diagnosis(diagnosis: Diagnosis | None) -> dict[str, Any] | None:
    if diagnosis is None:
        return None
    return {
        "model": diagnosis.model,
        "per_vessel": {vessel: plain(diagnosis.per_vessel.get(vessel)) for vessel in VESSELS},
        "per_patient": plain(diagnosis.per_patient),
        "interval": plain(diagnosis.interval),
        "abstained": bool(diagnosis.abstained),
        "reason": diagnosis.reason,
    }


def _provenance(report: Report) -> dict[str, Any]:
    provenance = report.provenance
    return {
        "myoperf": provenance.myoperf,
        "weights": [{"name": w.name, "sha256": w.sha256} for w in provenance.weights],
        "command": provenance.command,
        "seed": provenance.seed,
        "timings_s": {stage: plain(provenance.timings_s.get(stage)) for stage in TIMED_STAGES},
        "peak_memory_mb": plain(provenance.peak_memory_mb),
        "settings": plain(provenance.settings),
    }
