"""Stress and rest together: perfusion scores against the nearest limits, and the ratio of the cavities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from myoperf.errors import MyoPerfError
from myoperf.gated import static_cavities_ml
from myoperf.lv import check_lengths, share_pose
from myoperf.perfusion import (
    Condition,
    Evidence,
    NormalLimits,
    choose_limits,
    cutoffs_of,
    database_sd_percent,
    decide,
    diffuse_loss,
    other_condition,
    score_perfusion,
    tid_ratio,
    with_verdict,
)
from myoperf.pipeline.flow import reserve_of_scans
from myoperf.pipeline.scan_names import CORRECTED
from myoperf.polar import register_polar
from myoperf.segments import TERRITORIES, Territories
from myoperf.types import Finding, PolarMap, ScanResult, Scores, State, Study


@dataclass(frozen=True)
class MatchedLimits:
    """The normal limits that a study's scans are scored against, with findings on how well they fit.

    Attributes
    ----------
    by_state
        None for a state without limits.
    findings
        On what does not match.
    sex
        Of the patient: what is a large ventricle depends on it.
    """

    by_state: Mapping[State, NormalLimits | None]
    findings: tuple[Finding, ...]
    sex: str | None = None


POSE_DOUBTS: Mapping[str, str] = {
    "check-orientation": "the ventricle's pose or contours are in doubt",
    "lv-uncertain": "the ventricle's pose or contours are in doubt",
    "lv-classical": "the ventricle's pose or contours are in doubt",
    "orientation-doubt": "the ventricle's orientation is in doubt",
}
"""Findings under which nothing is compared and no verdict is given, in words. A pose that the operator gave counts."""
_GIVEN = "frame-given"
_FUNCTION_DOUBTS = frozenset({"volume-curve-odd", "wall-fit-poor", "gating-error"})
"""Findings under which ejection fraction and volumes do not bear on the verdict."""


def match_limits(
    study: Study, results: Sequence[ScanResult], available: Sequence[NormalLimits], *, alone: bool = False
) -> MatchedLimits:
    """Return the available limits nearest to each state's scan, by sex, tracer, camera and modality.

    Findings name the scan that they hold for, but not that of a scan scored alone, to which they are added.
    """
    by_state: dict[State, NormalLimits | None] = {}
    findings: tuple[Finding, ...] = ()
    chosen: list[tuple[ScanResult, NormalLimits]] = []
    for state, result in first_of_each_state(results).items():
        by_state[state], more = choose_limits(
            available,
            sex=study.sex,
            tracer=result.scan.tracer,
            state=state,
            camera=result.scan.camera,
            modality=result.scan.modality,
            condition=_condition(result),
        )
        findings += more
        if (held := by_state[state]) is not None:
            chosen.append((result, held))
            findings += _check_cutoffs(held)
    findings += _check_conditions(chosen, alone=alone)
    return MatchedLimits(by_state, _each_once(findings), study.sex)


def in_scoring_order(results: Sequence[ScanResult], available: Sequence[NormalLimits]) -> tuple[ScanResult, ...]:
    """Return a study's scans with those in front that its scores are of.

    The order is the study's own (`myoperf.io.assemble.choice`: uncorrected before corrected SPECT), unless limits of
    corrected scans exist that fit as well, and every state has a corrected scan whose map is not in doubt.
    """
    first = first_of_each_state(results)
    better = {state: _corrected_twin(results, one, available) for state, one in first.items()}
    twins = [twin for twin in better.values() if twin is not None]
    if not first or len(twins) < len(first):
        return tuple(results)
    return (*twins, *(result for result in results if not any(result is twin for twin in twins)))


def _corrected_twin(
    results: Sequence[ScanResult], one: ScanResult, available: Sequence[NormalLimits]
) -> ScanResult | None:
    """Return the corrected scan to score in place of an uncorrected one; None where there is no better one."""
    if one.scan.modality != "NM" or one.scan.attenuation_corrected:
        return None
    held = _limits_of(one, available)
    for twin in results:
        of_same = (twin.state, twin.scan.position, twin.scan.modality) == (one.state, one.scan.position, "NM")
        if not of_same or not twin.scan.attenuation_corrected or any(f.code in MAP_DOUBTS for f in twin.findings):
            continue
        limits = _limits_of(twin, available)
        fits = limits is not None and not other_condition(limits, _condition(twin), "NM")
        if fits and held is not None and limits is not None and limits.camera == held.camera:
            return twin
    return None


MAP_DOUBTS = frozenset({"attenuation-doubt"})
"""Findings on a map of attenuation that does not fit the heart."""


def _limits_of(result: ScanResult, available: Sequence[NormalLimits]) -> NormalLimits | None:
    """Return the limits of a scan whose patient's sex does not matter."""
    scan = result.scan
    return choose_limits(
        available,
        state="rest" if result.state == "rest" else "stress",
        tracer=scan.tracer,
        camera=scan.camera,
        modality=scan.modality,
        condition=_condition(result),
    )[0]


def _condition(result: ScanResult) -> Condition:
    """Return how a scan was taken and reconstructed, as limits are chosen by it."""
    record = result.reconstruction
    return Condition(
        corrected=result.scan.attenuation_corrected,
        position=result.scan.position,
        reconstruction=None if record is None else record.method.upper(),
    )


def _check_conditions(chosen: Sequence[tuple[ScanResult, NormalLimits]], *, alone: bool) -> tuple[Finding, ...]:
    """Return a finding where a position or correction is not that of the patients that limits come from.

    Stress and rest that differ in the same way share one.
    """
    differing: dict[tuple[str, str], list[str]] = {}
    for result, limits in chosen:
        differs = other_condition(limits, _condition(result), result.scan.modality)
        if differs:
            held = f"{limits.position or 'supine'} scans {'with' if limits.corrected else 'without'} correction"
            differing.setdefault((" and ".join(differs), held), []).append(result.name)
    return tuple(
        Finding(
            "limits-other-condition",
            "warning",
            f"{_subject(names, alone=alone)} {differs}; the normal limits are of {held}: defects of the inferior and "
            "the anterior wall may be underestimated or overestimated.",
        )
        for (differs, held), names in differing.items()
    )


def _subject(names: Sequence[str], *, alone: bool) -> str:
    if alone:
        return "The scan is"
    return f"Scan {names[0]} is" if len(names) == 1 else f"Scans {' and '.join(names)} are"


def _check_cutoffs(limits: NormalLimits) -> tuple[Finding, ...]:
    """Return a finding where limits hold no cut-offs of their own normal patients."""
    if limits.cutoffs is not None:
        return ()
    message = (
        f"The normal limits ({limits.name}) hold no cut-offs from their own patients; published cut-offs of other "
        "programs decide what is abnormal (TPD 5 %, summed score 4)."
    )
    return (Finding("cutoffs-published", "info", message),)


def _each_once(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings of stress and rest with each thing said once: of a code at the same severity the first."""
    said = {(f.code, f.severity if f.severity == "info" else f.message): f for f in reversed(findings)}
    return tuple(reversed(said.values()))


def score(results: Sequence[ScanResult], limits: MatchedLimits, *, territories: Territories = TERRITORIES) -> Scores:
    """Score stress and rest against their normal limits, with the ratio of the cavities and the flow reserve.

    The first scan of each state is scored. Where their ventricles differ too much in length to be one heart's, or the
    pose of one is in doubt, every number that compares them is None. Without a scan there are no scores and no
    findings: what withheld the scans says why.
    """
    if not results:
        return Scores(convention=score_perfusion(None, None).convention)
    scans = first_of_each_state(results)
    stress, rest = scans.get("stress"), scans.get("rest")
    rest_polar, findings = _align_rest_to_stress(stress, rest)
    unlike = check_lengths(stress.frame, rest.frame) if stress and rest else ()
    doubts = (*pose_doubts(scans), *(("stress and rest show ventricles of unlike length",) if unlike else ()))
    scores = score_perfusion(
        stress.polar if stress else None,
        rest_polar,
        stress_limits=limits.by_state.get("stress"),
        rest_limits=limits.by_state.get("rest"),
        territories=territories,
        compare=not doubts,
    )
    ratio = (
        _cavity_ratio(_uncorrected(results, stress), _uncorrected(results, rest))
        if stress and rest and not doubts
        else None
    )
    findings = (*scores.findings, *limits.findings, *findings, *unlike, *_check_pair(scans))
    scores = replace(
        scores,
        tid_ratio=ratio,
        compared_rest=None if rest_polar is None or stress is None else rest_polar.values,
        findings=findings,
        flow_reserve=reserve_of_scans(results),
        scans={state: result.name for state, result in scans.items()},
        tpd_stress_database_sd_percent=_database_sd(stress.polar if stress else None, limits.by_state.get("stress")),
        tpd_rest_database_sd_percent=_database_sd(rest_polar, limits.by_state.get("rest")),
    )
    verdict = decide(
        scores,
        replace(_evidence(results, scans, limits), doubts=doubts),
        cutoffs=cutoffs_of(limits.by_state.get("stress"), limits.by_state.get("rest")),
        territories=territories,
    )
    return with_verdict(scores, verdict)


def pose_doubts(scans: Mapping[State, ScanResult]) -> tuple[str, ...]:
    """Return why the pose of a scored scan is in doubt, as phrases; empty where none is."""
    said: dict[str, list[str]] = {}
    for state, result in scans.items():
        codes = {finding.code for finding in result.findings}
        for phrase in dict.fromkeys(POSE_DOUBTS[code] for code in POSE_DOUBTS if code in codes and _GIVEN not in codes):
            said.setdefault(phrase, []).append(state)
    return tuple(f"{phrase} at {' and '.join(states)}" for phrase, states in said.items())


def _evidence(results: Sequence[ScanResult], scans: Mapping[State, ScanResult], limits: MatchedLimits) -> Evidence:
    """Return what beside the scores bears on the verdict: sex, function and the map's diffuse loss."""
    measured = [r for r in results if r.function and not _FUNCTION_DOUBTS & {f.code for f in r.findings}]
    lvef = {r.state: r.function.lvef_percent for r in reversed(measured) if r.function}
    volumes = [r.function.edv_ml for r in measured if r.function]
    state: State = "stress" if "stress" in scans else "rest"
    held = limits.by_state.get(state)
    return Evidence(
        sex=limits.sex,
        lvef_stress_percent=lvef.get("stress"),
        lvef_rest_percent=lvef.get("rest"),
        edv_ml=max(volumes, default=None),
        diffuse_loss_percent=None if held is None or state not in scans else diffuse_loss(scans[state].polar, held),
    )


def _database_sd(polar: PolarMap | None, limits: NormalLimits | None) -> float | None:
    """Return what the number of normals leaves in doubt of a TPD."""
    return None if polar is None or limits is None else database_sd_percent(polar, limits)


def _check_pair(scans: Mapping[State, ScanResult]) -> tuple[Finding, ...]:
    """Return a finding where stress and rest were not acquired or corrected alike."""
    conditions = {(r.scan.position == "prone", r.scan.attenuation_corrected) for r in scans.values()}
    if len(conditions) < 2:
        return ()
    stress, rest = (condition_of(scans[state]) for state in ("stress", "rest"))
    message = f"Stress is {stress}, rest {rest}: differences between them may reflect that rather than ischaemia."
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


def _uncorrected(results: Sequence[ScanResult], one: ScanResult) -> ScanResult:
    """Return the scan that a corrected one was made of, on which function is measured and TID has its limits."""
    return next((r for r in results if r.name == one.name.removesuffix(CORRECTED)), one)


def _cavity_ratio(stress: ScanResult, rest: ScanResult) -> float | None:
    """Return stress over rest cavity by a model of the wall, or by the labels where it cannot be fitted to both.

    Both cavities are measured in one pose and with one thickness of the wall, so that only what differs between the
    scans makes the ratio.
    """
    both = (stress, rest)
    walls = [one.function.wall for one in both if one.function]
    measured = [wall.wall_ed_mm for wall in walls if wall]
    try:
        poses = share_pose(stress.volume, rest.volume, (stress.frame, rest.frame))
        scans = [(one.volume, pose, one.polar) for one, pose in zip(both, poses, strict=True)]
        if measured:
            return tid_ratio(*static_cavities_ml(scans, thickness_mm=sum(measured) / len(measured)))
        return tid_ratio(*static_cavities_ml(scans))
    except MyoPerfError:
        return tid_ratio(stress.cavity_ml, rest.cavity_ml)
