"""The contents of the report as plain texts and tables, which the HTML page and the PDF lay out."""

from myoperf.report.study_findings import TIMED_STAGES, findings_of_study
from myoperf.report.tables import ABSENT, Fact, Table, number, state_title
from myoperf.types import VESSELS, FilterRecord, Finding, Float, Report, ScanResult, Scores, State

RESEARCH_BAND = "Research use only - not for clinical decisions"
SIMULATED_BAND = "Simulated data - no patient"
_SEVERITIES = ("failure", "warning", "info")
_SEX = {"M": "male", "F": "female", "O": "other"}


def display_groups(report: Report) -> tuple[tuple[ScanResult, ...], ...]:
    """Sort the scans into what is shown together: the scored stress over rest first, every further scan alone."""
    pair = tuple(r for r in (scored_scan(report, "stress"), scored_scan(report, "rest")) if r is not None)
    further = tuple((r,) for r in report.results if not any(r is shown for shown in pair))
    return (pair, *further) if pair else further


def scored_scan(report: Report, state: State) -> ScanResult | None:
    """Return the scan of a state that the study's scores are of; the first of the state where they name none."""
    name = report.scores.scans.get(state)
    named = next((r for r in report.results if r.name == name), None)
    return named or report.result(state)


def scores_of(report: Report, result: ScanResult) -> Scores:
    """Return the scores that hold for a scan: the study's for the scored ones, a further scan's own, or none."""
    if result.state is not None and scored_scan(report, result.state) is result:
        return report.scores
    return report.scan_scores.get(result.name, Scores())


def is_simulated(report: Report) -> bool:
    """Whether a camera or a description says that the data is simulated."""
    scans = (*report.study.scans, *(r.scan for r in report.results))
    return any("simulated" in f"{scan.camera or ''} {scan.description}".lower() for scan in scans)


_FIRST = frozenset(
    {
        "check-orientation",
        "orientation-doubt",
        "ventricles-differ",
        "attenuation-moved",
        "attenuation-doubt",
        "pet-ct-misregistered",
        "scans-unlike",
        "defect-gone",
    }
)
"""Findings that question the maps themselves: they come before those on counts, gates and files."""


def all_findings(report: Report) -> tuple[tuple[str, Finding], ...]:
    """Return (scope, finding), each finding once with all the scans it holds for.

    The most severe come first; among equals those on the study and the scans that its scores are of, since a first
    page has room for few; among these what questions the maps.
    """
    scopes: dict[Finding, list[str]] = {f: ["Study"] for f in findings_of_study(report)}
    of_scored = set(scopes)
    for result in report.results:
        is_scored = result.state is None or scored_scan(report, result.state) is result
        for finding in dict.fromkeys(result.findings):
            scopes.setdefault(finding, []).append(state_title(result))
            if is_scored:
                of_scored.add(finding)

    def rank(finding: Finding) -> tuple[int, bool, bool]:
        return _SEVERITIES.index(finding.severity), finding not in of_scored, finding.code not in _FIRST

    return tuple((", ".join(scopes[finding]), finding) for finding in sorted(scopes, key=rank))


def patient_facts(report: Report) -> tuple[Fact, ...]:
    """Describe the patient as far as the files do."""
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


def acquisition_facts(results: tuple[ScanResult, ...]) -> tuple[Fact, ...]:
    """Describe each scan in one line: modality, framing, stressor, tracer, camera, reconstruction."""
    return tuple(Fact(state_title(r), _acquisition(r)) for r in results)


def _acquisition(result: ScanResult) -> str:
    scan = result.scan
    kind = {"NM": "SPECT", "PT": "PET"}[scan.modality]
    frames = result.gated_volume.frames if result.gated_volume is not None else scan.image.frames
    kinds = {"gated": f"gated, {frames} frames", "dynamic": f"dynamic, {frames} time frames"}
    framing = kinds.get(scan.framing, scan.framing)
    stress = f"stress by {' and '.join(scan.stressors)}" if scan.stressors else ""
    parts = [f"{kind}, {framing}", stress, scan.tracer, scan.camera, scan.description, reconstruction_text(result)]
    if result.state is None:
        parts.insert(0, "state unknown")
    return "; ".join(text for text in parts if text)


def reconstruction_text(result: ScanResult) -> str:
    """Describe how the volume was reconstructed, or say that it came reconstructed."""
    record = result.reconstruction
    if record is None:
        return "reconstruction not recorded" if result.scan.is_raw else "reconstructed by the camera or workstation"
    parts = [
        record.method.upper(),
        f"{record.iterations} iterations",
        f"{record.subsets} subsets",
        f"{record.views} views",
        f"{record.counts:.4g} counts",
        f"voxel {' x '.join(f'{step:.4g}' for step in record.voxel_mm)} mm",
    ]
    if record.psf is not None:
        parts.append(f"collimator response {record.psf.name}")
    if record.attenuation is not None:
        parts.append(f"attenuation {record.attenuation}")
    if record.scatter is not None:
        parts.append(f"scatter {record.scatter}")
    if record.filter is not None:
        parts.append(_filter_text(record.filter))
    return ", ".join(parts)


def _filter_text(record: FilterRecord) -> str:
    """Describe the filter with its cut-off in both units."""
    return (
        f"{record.name.capitalize()} order {record.order:.4g} at {record.cutoff_fraction_of_nyquist:.4g} of Nyquist "
        f"({record.cutoff_cycles_per_cm:.3f} cycles/cm)"
    )


def geometry_table(report: Report) -> Table:
    """Return a table of the pose of each ventricle, and the files of its scan."""

    def point(values: Float, digits: int) -> str:
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
    """Summarise perfusion, function and flow in a sentence each."""
    lines = [report.scores.summary or _unscored(report)]
    others = ((r, report.scan_scores[r.name]) for r in report.results if r.name in report.scan_scores)
    lines += [f"{state_title(result)}, scored on its own: {own.category}." for result, own in others if own.category]
    for result in report.results:
        function = result.function
        if function is not None:
            lines.append(
                f"{state_title(result)} LVEF {number(function.lvef_percent, 0)} % "
                f"(EDV {number(function.edv_ml, 0)} ml, ESV {number(function.esv_ml, 0)} ml)."
            )
    reserve = report.scores.flow_reserve
    if reserve is not None:
        lines.append(f"Myocardial flow reserve {number(reserve.territories['global'], 2)} over the whole ventricle.")
    return tuple(line for line in lines if line)


def category_words(report: Report) -> str:
    """Return the category as the sentence before the headline; empty where there is none or the headline says it."""
    verdict = report.scores.verdict
    return "" if verdict is None or not verdict.reliable else f"{verdict.category.capitalize()}."


def _unscored(report: Report) -> str:
    if report.scores.normal_limits is not None:
        return ""
    withheld = dict.fromkeys(f.message for r in report.results for f in r.findings if f.severity == "failure")
    if withheld:
        return f"Perfusion was not scored. {' '.join(withheld)}"
    return "Perfusion was not scored, as no normal limits were applied. The maps show uptake relative to their maximum."


RESEARCH_MODEL = "Research model, learned from simulated patients"
"""Heading of all that a classifier gives: its page, apart from the verdict."""


def research_lines(report: Report) -> tuple[str, ...]:
    """Return what the classifier gives, at which pre-test probability, or why it abstains; empty without one."""
    diagnosis = report.diagnosis
    if diagnosis is None:
        return ()
    if diagnosis.abstained:
        return (f"{diagnosis.model} gives no probability: {(diagnosis.reason or 'no reason recorded').rstrip('.')}.",)
    low, high = diagnosis.interval
    lines = [
        f"{diagnosis.model}: probability of obstructive disease {diagnosis.per_patient:.2f} "
        f"(its networks differ from {low:.2f} to {high:.2f})."
    ]
    if (pretest := diagnosis.pretest) is not None:
        lines.append(f"At a probability of {pretest.probability:.2f} before the test, {pretest.source}.")
    if diagnosis.reason:
        lines.append(diagnosis.reason)
    lines.append("It is no part of the verdict and not for the care of a patient.")
    return tuple(lines)


def provenance_facts(report: Report) -> tuple[Fact, ...]:
    """List how the report was made: version, command, weights, limits, territories."""
    provenance, limits = report.provenance, report.scores.normal_limits
    facts = [Fact("Made by", f"MyoPerf {provenance.myoperf}")]
    if provenance.command:
        facts.append(Fact("Command", provenance.command))
    if provenance.seed is not None:
        facts.append(Fact("Seed", str(provenance.seed)))
    if provenance.threads is not None:
        facts.append(Fact("Threads", str(provenance.threads)))
    facts += [Fact("Weights", f"{w.name}, SHA-256 {w.sha256}") for w in provenance.weights]
    if not provenance.weights:
        facts.append(Fact("Weights", "none: classical methods only"))
    if limits is not None:
        facts.append(Fact("Normal limits", f"{limits.name}, version {limits.version}, n = {limits.n}"))
    if (settings := provenance.settings) is not None:
        segments = settings.territory_segments
        held = "; ".join(f"{vessel} {' '.join(map(str, segments[vessel]))}" for vessel in VESSELS if vessel in segments)
        facts.append(Fact("Territories", f"{settings.territories} ({held})"))
    if report.study.study_uid:
        facts.append(Fact("Study", report.study.study_uid))
    return tuple(facts)


def timings_table(report: Report) -> Table | None:
    """Return a table of seconds and peak memory by stage; None where nothing was measured."""
    seconds, memory = report.provenance.timings_s, report.provenance.peak_memory_mb
    known = [s for s in dict.fromkeys((*TIMED_STAGES, *seconds, *memory)) if s in seconds or s in memory]
    stages = [s for s in known if s != "report" or seconds.get(s, 0.0) >= 0.005]  # not begun while pages are drawn
    if not stages:
        return None
    rows = (
        ("Seconds", *(number(seconds.get(s), 2) for s in stages)),
        *((("Peak memory MB", *(number(memory.get(s), 0) for s in stages)),) if memory else ()),
    )
    return Table(("", *stages), rows)
