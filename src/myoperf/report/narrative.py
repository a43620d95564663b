"""The report in words, in the sections that the societies ask for, written from the quantities.

Indication, procedure, quality, perfusion, function, comparison, conclusion (ASNC 2017, doi:10.1007/s12350-017-1057-y).
What no file holds is named as missing, never made up. The conclusion is the verdict, in plain words and without a
probability; "equivocal" is none of them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from myoperf.report.content import acquisition_facts, all_findings
from myoperf.report.numbers import NORMAL_RESERVE, normal_limits
from myoperf.report.tables import ABSENT, Table, number, state_title
from myoperf.types import Report, ScanResult, Scores, Verdict
from myoperf.types.verdict import Cutoffs

_OF_THE_MODEL = frozenset({"diagnosis-doubt", "model-contradicts"})
"""Findings on the research model, which has a section of its own: they say nothing about the study's quality."""


@dataclass(frozen=True)
class Section:
    """A heading and its sentences."""

    key: str
    title: str
    sentences: tuple[str, ...]


def report_text(report: Report) -> tuple[Section, ...]:
    """Return the report's sections in their order; every one has a sentence at least."""
    written = (
        ("indication", "Indication", ("Not stated in the files.",)),
        ("procedure", "Procedure", tuple(_procedure(report))),
        ("quality", "Quality", tuple(_quality(report))),
        ("perfusion", "Perfusion", tuple(_perfusion(report.scores))),
        ("function", "Function", tuple(_function(report))),
        ("comparison", "Comparison", tuple(_comparison(report))),
        ("conclusion", "Conclusion", tuple(_conclusion(report.scores))),
    )
    return tuple(Section(key, title, sentences) for key, title, sentences in written)


def _procedure(report: Report) -> Iterator[str]:
    """Yield what was acquired, and what the files do not state about the stress test."""
    for fact in acquisition_facts(report.results):
        yield f"{fact.label}: {fact.text}."
    stress_is_known = any(result.scan.stressors for result in report.results)
    missing = "Adequacy of stress" if stress_is_known else "Type and adequacy of stress"
    yield f"{missing}, heart rate, blood pressure, symptoms and ECG are not in the files."


def _quality(report: Report) -> Iterator[str]:
    """Yield what the reader has to know before relying on the numbers."""
    doubts = [
        f"{scope}: {finding.message}"
        for scope, finding in all_findings(report)
        if finding.severity != "info" and finding.code not in _OF_THE_MODEL
    ]
    yield from doubts or ("No warning.",)


def _perfusion(scores: Scores) -> Iterator[str]:
    """Yield a description of each defect, then the scores with their normal limits."""
    verdict = scores.verdict
    if verdict is None:
        yield "Perfusion was not scored against normal limits."
        return
    if not verdict.reliable:
        yield verdict.headline
    elif not verdict.defects:
        yield verdict.headline.split(" Extensive or balanced disease")[0]
    for defect in verdict.defects:
        text = defect.text
        yield (
            f"{text[0].upper()}{text[1:]}: {defect.extent_percent:.0f} % of the ventricle, mean severity "
            f"{defect.mean_severity:.1f} of 4, TPD {defect.tpd_percent:.1f} %."
        )
    yield from _scores(scores, verdict)


def _scores(scores: Scores, verdict: Verdict) -> Iterator[str]:
    """Yield the scores of each state and of the comparison, with their cut-offs and the source of these."""
    cutoffs = verdict.cutoffs
    held: tuple[tuple[str, str, float | None, str, float | None, str], ...] = (
        ("Stress", "SSS", scores.sss, "summed_score", scores.tpd_stress_percent, "tpd_percent"),
        ("Rest", "SRS", scores.srs, "rest_summed_score", scores.tpd_rest_percent, "rest_tpd_percent"),
    )
    for state, name, total, edge, tpd, tpd_edge in held:
        if total is not None:
            yield (
                f"{state}: {name} {number(total, 0)}{_normal_below(cutoffs, edge, 0)}, TPD {number(tpd)} %"
                f"{_normal_below(cutoffs, tpd_edge, 1, ' %')}."
            )
    if scores.sds is not None:
        ischaemic = number(scores.tpd_ischemic_percent)
        yield f"Difference: SDS {scores.sds}{_normal_below(cutoffs, 'sds', 0)}, ischaemic TPD {ischaemic} %."
    if scores.tid_ratio is not None:
        yield f"TID ratio {number(scores.tid_ratio, 2)}{_normal_below(cutoffs, 'tid_ratio', 2)}."
    yield f"Cut-offs: {cutoffs.source}."


def _normal_below(cutoffs: Cutoffs, name: str, digits: int, unit: str = "") -> str:
    """Return the normal limit of a number in words, with its publication if it comes from the literature."""
    published = cutoffs.published.get(name)
    whose = f"; {published}" if published else ""
    return f" (normal below {number(getattr(cutoffs, name), digits)}{unit}{whose})"


def _function(report: Report) -> Iterator[str]:
    """Yield volumes and ejection fraction of each gated scan, and flow where it was measured."""
    measured = False
    for result in report.results:
        if result.function is not None:
            measured = True
            yield _volumes(report, result)
    reserve = report.scores.flow_reserve
    if reserve is not None:
        measured = True
        value = number(reserve.territories["global"], 2)
        yield f"Myocardial flow reserve {value} over the whole ventricle (normal from {NORMAL_RESERVE:.1f})."
    if not measured:
        yield "Not measured: no scan is gated."


def _volumes(report: Report, result: ScanResult) -> str:
    """Return a scan's ejection fraction and volumes, each with its normal limit if that is known."""
    function, limits = result.function, normal_limits(report)
    assert function is not None
    texts = []
    for label, name, value, unit in (
        ("LVEF", "lvef_percent", function.lvef_percent, "%"),
        ("EDV", "edv_ml", function.edv_ml, "ml"),
        ("ESV", "esv_ml", function.esv_ml, "ml"),
    ):
        low, high = limits.get(name, (-math.inf, math.inf))
        edge = f"from {low:.0f}" if math.isfinite(low) else f"below {high:.0f}"
        known = math.isfinite(low) or math.isfinite(high)
        texts.append(f"{label} {number(value, 0)} {unit}" + (f" (normal {edge} {unit})" if known else ""))
    return f"{state_title(result)}: {', '.join(texts)}."


def _comparison(report: Report) -> Iterator[str]:
    """Yield what has changed since an earlier study by more than repeated scans differ."""
    prior = report.prior
    if prior is None:
        yield "No earlier result was given."
        return
    before, after = (category or "not scored" for category in (prior.category_before, prior.category_after))
    yield f"Earlier result: perfusion {before}; now {after}."
    for change in prior.changes:
        if change.exceeds:
            before, after, limit = (number(v, change.digits) for v in (change.before, change.after, change.limit))
            unit = f" {change.unit}" if change.unit in ("%", "ml") else ""
            yield (
                f"{change.label}: {before} before, {after} now{unit}; repeated scans differ by less than {limit} in "
                "95 % of patients."
            )
    if not any(change.exceeds for change in prior.changes):
        compared = ", ".join(change.label for change in prior.changes) or "no number"
        yield f"Nothing differs by more than repeated scans do ({compared})."
    yield from prior.notes


def _conclusion(scores: Scores) -> Iterator[str]:
    """Yield the verdict."""
    verdict = scores.verdict
    if verdict is None:
        yield "Perfusion was not scored against normal limits."
        return
    if verdict.reliable:
        yield f"Perfusion: {verdict.category}."
    yield verdict.headline


def stability_lines(report: Report) -> tuple[str, ...]:
    """Return how firm the decision is under other ways of processing; empty if that was not requested."""
    stability = report.stability
    if stability is None:
        return ()
    count = len(stability.variations)
    ranges = []
    for name, label, digits in (
        ("sss", "SSS", 0),
        ("srs", "SRS", 0),
        ("tpd_stress_percent", "TPD at stress (%)", 1),
        ("tpd_rest_percent", "TPD at rest (%)", 1),
        ("lvef_percent", "LVEF (%)", 0),
    ):
        spread = stability.spread(name)
        if spread is not None:
            ranges.append(f"{label} {number(spread[0], digits)} to {number(spread[1], digits)}")
    others = sum(one.category != stability.category for one in stability.variations)
    flips = f"between normal and abnormal in {stability.flips or 'none'}"
    changes = f"changes in {others}, {flips}" if others else "does not change"
    failed = f" {stability.failed} further ways could not be measured." if stability.failed else ""
    return (
        f"Decision stability: processed in {count} other ways, the category {changes}: {', '.join(ranges)}.{failed}",
    )


def stability_table(report: Report) -> Table | None:
    """Return a table of what each way of processing gives; None if that was not requested."""
    if report.stability is None:
        return None
    head = ("Varied", "SSS", "SRS", "TPD stress %", "TPD rest %", "LVEF %", "Category")
    rows = tuple(
        (
            one.kind,
            number(one.sss, 0),
            number(one.srs, 0),
            number(one.tpd_stress_percent),
            number(one.tpd_rest_percent),
            number(one.lvef_percent, 0),
            one.category or ABSENT,
        )
        for one in report.stability.variations
    )
    return Table(head, rows)
