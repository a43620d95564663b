"""Stress and rest together: perfusion scores against the nearest limits, and the ratio of the cavities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from myoperf.errors import MyoPerfError
from myoperf.gated import static_cavities_ml
from myoperf.lv import check_lengths
from myoperf.perfusion import NormalLimits, choose_limits, score_perfusion, tid_ratio
from myoperf.pipeline.flow import reserve_of_scans
from myoperf.polar import register_polar
from myoperf.segments import TERRITORIES, Territories
from myoperf.types import Finding, PolarMap, ScanResult, Scores, State, Study


@dataclass(frozen=True)
class MatchedLimits:
    """The normal limits that a study's scans are scored against, with findings on how well they fit."""

    by_state: Mapping[State, NormalLimits | None]
    findings: tuple[Finding, ...]


def match_limits(study: Study, results: Sequence[ScanResult], available: Sequence[NormalLimits]) -> MatchedLimits:
    """Return the available limits nearest to each state's scan, by sex, tracer, camera and modality."""
    by_state: dict[State, NormalLimits | None] = {}
    findings: tuple[Finding, ...] = ()
    for state, result in first_of_each_state(results).items():
        by_state[state], more = choose_limits(
            available,
            sex=study.sex,
            tracer=result.scan.tracer,
            state=state,
            camera=result.scan.camera,
            modality=result.scan.modality,
        )
        findings += more
        if by_state[state] is not None:
            findings += _check_condition(result)
    return MatchedLimits(by_state, findings)


def _check_condition(result: ScanResult) -> tuple[Finding, ...]:
    """Return a finding where a SPECT scan is not as those that limits come from: supine and not corrected."""
    scan = result.scan
    differs = ["prone"] if scan.position == "prone" else []
    differs += ["corrected for attenuation"] if scan.attenuation_corrected and scan.modality == "NM" else []
    if not differs:
        return ()
    message = (
        f"Scan {result.name} is {' and '.join(differs)}; the normal limits are of supine scans without correction: "
        "inferior defects may be underestimated and anterior ones overestimated."
    )
    return (Finding("limits-other-condition", "warning", message),)


def score(results: Sequence[ScanResult], limits: MatchedLimits, *, territories: Territories = TERRITORIES) -> Scores:
    """Score stress and rest against their normal limits, with the ratio of the cavities and the flow reserve.

    The first scan of each state is scored. Where their ventricles differ too much in length to be one heart's, every
    number that compares them is None. Without a scan there are no scores and no findings: what withheld the scans
    says why.
    """
    if not results:
        return Scores(convention=score_perfusion(None, None).convention)
    scans = first_of_each_state(results)
    stress, rest = scans.get("stress"), scans.get("rest")
    rest_polar, findings = _align_rest_to_stress(stress, rest)
    unlike = check_lengths(stress.frame, rest.frame) if stress and rest else ()
    scores = score_perfusion(
        stress.polar if stress else None,
        rest_polar,
        stress_limits=limits.by_state.get("stress"),
        rest_limits=limits.by_state.get("rest"),
        territories=territories,
        compare=not unlike,
    )
    ratio = _cavity_ratio(stress, rest) if stress and rest and not unlike else None
    findings = (*scores.findings, *limits.findings, *findings, *unlike, *_check_pair(scans))
    return replace(
        scores,
        tid_ratio=ratio,
        findings=findings,
        flow_reserve=reserve_of_scans(results),
        scans={state: result.name for state, result in scans.items()},
    )


def _check_pair(scans: Mapping[State, ScanResult]) -> tuple[Finding, ...]:
    """Return a finding where stress and rest were not acquired or corrected alike."""
    conditions = {(r.scan.position == "prone", r.scan.attenuation_corrected) for r in scans.values()}
    if len(conditions) < 2:
        return ()
    stress, rest = (condition_of(scans[state]) for state in ("stress", "rest"))
    message = f"Stress is {stress}, rest {rest}: differences between them can come from that instead of ischaemia."
    return (Finding("scans-unlike", "warning", message),)


def condition_of(result: ScanResult) -> str:
    """Describe position, correction and framing of a scan."""
    scan = result.scan
    corrected = "corrected for attenuation" if scan.attenuation_corrected else "not corrected for attenuation"
    return f"{scan.framing}, {'prone' if scan.position == 'prone' else 'supine'}, {corrected}"


def first_of_each_state(results: Sequence[ScanResult]) -> dict[State, ScanResult]:
    """Return the scans that the study's scores are of."""
    scans: dict[State, ScanResult] = {}
    for result in results:
        if result.state is not None:
            scans.setdefault(result.state, result)
    return scans


def _align_rest_to_stress(
    stress: ScanResult | None, rest: ScanResult | None
) -> tuple[PolarMap | None, tuple[Finding, ...]]:
    """Return the rest map rotated by the few degrees that match it to stress, with a finding where it was rotated."""
    if stress is None or rest is None or stress.polar.values.shape != rest.polar.values.shape:
        return (rest.polar if rest else None), ()
    registered = register_polar(stress.polar, rest.polar)
    if registered.shift_deg == 0.0:
        return rest.polar, ()
    text = f"For scoring, the rest map was rotated by {registered.shift_deg:+.0f} degrees to match stress."
    return registered.polar, (Finding("rest-turned", "info", text),)


def _cavity_ratio(stress: ScanResult, rest: ScanResult) -> float | None:
    """Return stress over rest cavity by a model of the wall, or by the labels where it cannot be fitted to both."""
    try:
        return tid_ratio(*static_cavities_ml([(r.volume, r.frame, r.polar) for r in (stress, rest)]))
    except MyoPerfError:
        return tid_ratio(stress.cavity_ml, rest.cavity_ml)
