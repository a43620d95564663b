"""Stress and rest together: perfusion scores against the nearest limits, and the ratio of the cavities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from myoperf.errors import MyoPerfError
from myoperf.gated import static_cavities_ml
from myoperf.lv import doubt_lengths
from myoperf.perfusion import NormalLimits, choose_limits, score_perfusion, tid_ratio
from myoperf.pipeline.flow import with_reserve
from myoperf.polar import register_polar
from myoperf.segments import TERRITORIES, Territories
from myoperf.types import Finding, PolarMap, ScanResult, Scores, State, Study

__all__ = ["score"]


def score(
    study: Study,
    results: Sequence[ScanResult],
    available: tuple[NormalLimits, ...],
    *,
    territories: Territories = TERRITORIES,
) -> Scores:
    """Score stress and rest against the nearest normal limits, with the cavity ratio of the two."""
    by_state: dict[State, ScanResult] = {}
    for result in results:
        if result.state is not None:
            by_state.setdefault(result.state, result)
    stress, rest = by_state.get("stress"), by_state.get("rest")
    limits: dict[State, NormalLimits | None] = {}
    findings: tuple[Finding, ...] = ()
    for state, result in by_state.items():
        limits[state], said = choose_limits(
            available,
            sex=study.sex,
            tracer=result.scan.tracer,
            state=state,
            camera=result.scan.camera,
            modality=result.scan.modality,
        )
        findings += said
    rest_polar, said = _in_step(stress, rest)
    findings += said
    if stress and rest:
        findings += doubt_lengths(stress.frame, rest.frame)
    scores = score_perfusion(
        stress.polar if stress else None,
        rest_polar,
        stress_limits=limits.get("stress"),
        rest_limits=limits.get("rest"),
        territories=territories,
    )
    ratio = _dilation(stress, rest) if stress and rest else None
    return with_reserve(replace(scores, tid_ratio=ratio, findings=(*scores.findings, *findings)), results)


def _in_step(stress: ScanResult | None, rest: ScanResult | None) -> tuple[PolarMap | None, tuple[Finding, ...]]:
    """Turn the rest map by the few degrees that bring it into step with stress, and say so."""
    if stress is None or rest is None or stress.polar.values.shape != rest.polar.values.shape:
        return (rest.polar if rest else None), ()
    found = register_polar(stress.polar, rest.polar)
    if found.shift_deg == 0.0:
        return rest.polar, ()
    text = f"For scoring, the rest map was turned by {found.shift_deg:+.0f} degrees to match stress."
    return found.polar, (Finding("rest-turned", "info", text),)


def _dilation(stress: ScanResult, rest: ScanResult) -> float | None:
    """Compare the two cavities by a model wall; by the labels where the model cannot be fitted to both."""
    try:
        return tid_ratio(*static_cavities_ml([(r.volume, r.frame, r.polar) for r in (stress, rest)]))
    except MyoPerfError:
        return tid_ratio(stress.cavity_ml, rest.cavity_ml)
