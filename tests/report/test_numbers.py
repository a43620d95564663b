"""The numbers a reader expects: each stands in results.json and in the tables of the report."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.report import results_json
from myoperf.report.content import provenance_facts
from myoperf.report.narrative import report_text
from myoperf.report.numbers import first_page_numbers, flow_table, further_numbers, normal_limits, numbers_table
from myoperf.types import Finding, FlowReserve, FlowResult, Interval, Scores, Settings
from support.report import make_report, make_scores

EXTENTS = {
    "stress_extent_percent": 23.4,
    "rest_extent_percent": 4.2,
    "stress_mean_severity": 2.13,
    "rest_mean_severity": 0.9,
    "stress_percent_myocardium": 20.6,
    "rest_percent_myocardium": 5.9,
    "ischemic_percent_myocardium": 14.7,
    "reversible_share_percent": 71.4,
    "category": "severely abnormal",
    "sss_20": 18,
}


def flow(scale):
    values = np.linspace(0.6, 1.2, 17) * scale
    values[4] = np.nan
    frames = np.arange(9.0)
    return FlowResult(
        "Rb-82", values, values, 0.2 + 0 * values, 0.3 + 0 * values, 0.1 + 0 * values, 2 + 0 * values,
        {"LAD": 0.8 * scale, "LCX": 0.9 * scale, "RCA": 1.0 * scale, "global": 0.87 * scale},
        10 * frames, np.full(9, 10.0), frames[::-1], frames, np.ones((17, 9)), np.ones((17, 9)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def report():
    made = make_report()
    stress, rest = made.results
    results = (replace(stress, flow=flow(2.0), lung_heart_ratio=0.371), replace(rest, flow=flow(1.0)))
    settings = Settings("segment-16-lad", {"LAD": (1, 16), "LCX": (5,), "RCA": (4,)}, None)
    reserve = FlowReserve(np.linspace(1.2, 3.0, 17), {"LAD": 2.2, "LCX": 2.4, "RCA": 1.31, "global": 2.05})
    return replace(
        made,
        results=results,
        scores=replace(made.scores, **EXTENTS, flow_reserve=reserve, territory_segments={"LAD": (1,)}),
        provenance=replace(made.provenance, settings=settings),
        intervals={
            "stress": {"flow.LAD": Interval(1.6, 1.2, 2.0, 0.14, 5, "outline and residuals")},
            "scores": {"stress_extent_percent": Interval(23.4, 20.0, 26.8, 1.2, 5, "counts")},
        },
    )


def test_extent_severity_and_reversibility_have_rows(report):
    rows = {row[0]: row[1:] for row in numbers_table(report).rows}
    assert rows["Extent below the limits"][:2] == ("23 (20 to 27)", "4")
    assert rows["Mean severity below the limits"][:2] == ("2.1", "0.9")
    assert rows["Myocardium by the scores (100 S / 68)"] == ("20.6", "5.9", "14.7", "", "%")
    assert rows["Reversible share (SDS / SSS)"] == ("", "", "71", "", "%")
    assert rows["Lung-heart ratio (front view)"][:2] == ("0.37", "")


def test_where_normal_ends_stands_beside_the_numbers(report):
    head = numbers_table(report).columns
    rows = {row[0]: row[head.index("Normal")] for row in numbers_table(report).rows}
    assert rows["Summed score (SSS, SRS, SDS)"] == "< 4"
    assert rows["Total perfusion deficit (TPD)"] == "< 5.0"
    assert rows["Ejection fraction (LVEF)"] == {"F": "≥ 59", "M": "≥ 55"}.get(report.study.sex, "≥ 55")
    assert rows["Extent below the limits"] == "", "no range is known"


def test_they_stand_in_results_json(report):
    out = results_json(report)
    for name, value in EXTENTS.items():
        assert out["scores"][name] == value
    assert out["scores"]["flow_reserve"]["RCA"] == 1.31
    assert out["scores"]["summary"] == report.scores.summary
    assert len(out["scores"]["stress_scores"]) == 17
    assert set(out["scores"]["territories"]["LAD"]) >= {"sss", "tpd_stress_percent"}
    assert out["scans"][0]["lung_heart_ratio"] == 0.371
    assert "lung_heart_ratio" not in out["scans"][1]
    assert out["scans"][0]["flow"]["mbf_ml_min_g"][4] is None
    assert out["provenance"]["settings"]["territories"]["name"] == "segment-16-lad"


def test_flow_stands_by_territory_with_its_reserve(report):
    table = flow_table(report)
    assert table.columns == ("Territory", "Stress ml/min/g", "Rest ml/min/g", "Reserve")
    assert table.rows[0] == ("LAD", "1.60 (1.20 to 2.00)", "0.80", "2.20")
    assert table.rows[-1] == ("Whole ventricle", "1.74", "0.87", "2.05")
    assert flow_table(make_report()) is None


def test_the_territories_in_use_are_named(report):
    facts = {fact.label: fact.text for fact in provenance_facts(report)}
    assert facts["Territories"] == "segment-16-lad (LAD 1 16; LCX 5; RCA 4)"


def test_shape_between_nought_and_one_has_two_digits(report):
    rows = {row[0]: row[1:] for row in numbers_table(report).rows}
    assert rows["Shape index, end diastole"][0] == "0.64"


def test_the_table_says_from_how_many_draws_its_intervals_are(report):
    assert numbers_table(report).columns[0] == "95 % intervals of 5 draws (SD ±35 %)"
    assert numbers_table(replace(report, intervals={})).columns[0] == ""
    fewer = {**report.intervals, "rest": {"sss": Interval(3.0, 1.0, 5.0, 0.6, 3, "counts")}}
    assert numbers_table(replace(report, intervals=fewer)).columns[0].startswith("95 % intervals of 3 to 5 draws")


def test_a_further_scan_has_its_own_scores_in_its_column():
    made = make_report()
    stress, rest = made.results
    own = Scores(sss=7, tpd_stress_percent=6.4, combined_tpd_percent=3.2, scans={"stress": "stress-prone"})
    results = (stress, rest, replace(stress, name="stress-prone"))
    scores = replace(made.scores, scans={"stress": "stress", "rest": "rest"})
    report = replace(made, results=results, scores=scores, scan_scores={"stress-prone": own})
    rows = {row[0]: row[1:] for row in numbers_table(report).rows}
    assert "7" in rows["Summed score (SSS, SRS, SDS)"][2]
    assert "6.4" in rows["Total perfusion deficit (TPD)"][2]
    assert "3.2" in rows["TPD, abnormal in both scans"][2]
    assert rows["TPD, abnormal in both scans"][:2] == ("", "")
    assert results_json(report)["scans"][2]["scores"]["combined_tpd_percent"] == 3.2


def test_numbers_outside_of_the_normal_range_are_marked(report):
    """An SSS of 14 and an LVEF of 40 stood in the table like normal ones."""
    stress = report.results[0]
    weak = replace(stress, function=replace(stress.function, lvef_percent=40.0, edv_ml=190.0))
    table = first_page_numbers(replace(report, results=(weak, report.results[1])))
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["Summed score (SSS, SRS, SDS)"][0] == "14 ↑"
    assert rows["Summed score (SSS, SRS, SDS)"][3] == "< 4"
    assert rows["Ejection fraction (LVEF)"][0] == "40 ↓"
    assert rows["End-diastolic volume (EDV)"][0] == "190 ↑", "a woman's ends at 178 ml"
    assert not rows["Transient ischaemic dilation (TID)"][2].endswith(("↑", "↓"))
    unknown = replace(report, study=replace(report.study, sex=None), results=(weak, report.results[1]))
    assert "edv_ml" not in normal_limits(unknown), "of unknown sex no range holds"


def test_scores_are_not_marked_while_the_verdict_is_not_reliable(report):
    doubtful = replace(report.scores, verdict=replace(report.scores.verdict, doubts=("the pose",)))
    assert "sss" not in normal_limits(replace(report, scores=doubtful))


def test_the_first_page_holds_a_dozen_numbers_and_the_rest_stand_further_on(report):
    whole = [row[0] for row in numbers_table(report, "numbers").rows]
    first = [row[0] for row in first_page_numbers(report).rows]
    further = [row[0] for row in further_numbers(report).rows]
    assert sorted(first[:-2] + further) == sorted(whole)
    assert first[-2:] == ["Blood flow, whole ventricle (MBF)", "Myocardial flow reserve (MFR)"]
    assert 8 <= len(first) <= 15


def test_a_further_scan_is_marked_by_its_own_cutoffs(report):
    """An SSS of 9 of the uncorrected scan stood unmarked beside "< 2"."""
    own = make_scores(both=False)
    further = replace(report.results[0], name="stress-2")
    with_further = replace(report, results=(*report.results, further), scan_scores={"stress-2": own})
    (row,) = [row for row in numbers_table(with_further).rows if row[0].startswith("Summed score")]
    assert own.sss >= 4
    assert row[3] == f"{own.sss} ↑"


def test_the_text_gives_normal_ranges_and_keeps_the_research_model_out_of_quality(report):
    doubt = Finding("diagnosis-doubt", "info", "The research model gives none.")
    against = Finding("model-contradicts", "warning", "The research model contradicts the verdict.")
    text = {one.key: " ".join(one.sentences) for one in report_text(replace(report, findings=(doubt, against)))}
    assert "research model" not in text["quality"]
    assert "(normal from 59 %)" in text["function"]
    assert "(normal below 178 ml)" in text["function"]
    assert "2.05 over the whole ventricle (normal from 2.0)" in text["function"]


def test_a_published_cut_off_stands_with_its_publication_beside_those_of_the_normal_patients(report):
    """Limits without pairs of stress and rest hold no cut-off of the TID ratio: 95 % of nobody lie below it."""
    verdict = report.scores.verdict
    source = "95 % of the 44 normal patients of a"
    cutoffs = replace(verdict.cutoffs, source=source, own=True, published={"tid_ratio": "a paper (doi:1)"})
    scores = replace(report.scores, tid_ratio=1.05, verdict=replace(verdict, cutoffs=cutoffs))
    (part,) = [one for one in report_text(replace(report, scores=scores)) if one.key == "perfusion"]
    assert "TID ratio 1.05 (normal below 1.31; a paper (doi:1))." in part.sentences
    assert f"Cut-offs: {source}." in part.sentences
    assert "paper" not in part.sentences[0]
