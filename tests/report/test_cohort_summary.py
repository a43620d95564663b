"""The summary of a cohort: what its numbers mean, and that every study is found from it."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from myoperf.report import cohort_numbers as numbers
from myoperf.report.cohort_charts import agreement_chart, distribution_chart
from myoperf.report.cohort_summary import read_cohort_table, render_cohort_summary, write_cohort_summary


def make_table(n=40):
    """Return a cohort of alternating women and men, on two cameras, with one failed study."""
    rng = np.random.default_rng(0)
    rest = rng.normal(100.0, 10.0, n)
    table = pd.DataFrame(
        {
            "study": [f"p{i:02d}" for i in range(n)],
            "folder": [f"studies/p{i:02d}" for i in range(n)],
            "patient_id": "x",
            "status": "ok",
            "reason": None,
            "sex": ["F", "M"] * (n // 2),
            "camera": ["A", "A", "B", "B"] * (n // 4),
            "tracer": "Tc-99m",
            "age_years": 60.0,
            "normal_limits": "limits 1",
            "sss": [0, 3, 10, 4] * (n // 4),
            "stress.edv_ml": rest + 5.0,
            "rest.edv_ml": rest,
            "stress.lvef_percent": rng.normal(60.0, 5.0, n),
            "findings": ["hot-gut;short-arc", "hot-gut", None, ""] * (n // 4),
            "seconds": 2.0,
            "memory_mb": 700.0,
            "category": None,
        }
    )
    failed = {"study": "bad", "folder": "studies/bad", "status": "failed", "reason": "No <heart> was found."}
    return pd.concat([table, pd.DataFrame([failed])], ignore_index=True)


def analysed(table):
    return table[table["status"] == "ok"].reset_index(drop=True)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("below 18.4", [("", -math.inf, 18.4)]),
        ("2.0 or more (Rb-82)", [("", 2.0, math.inf)]),
        ("women 71.4 (SD 6.0), men 67.2 (SD 6.0), by QGS", [("women", 59.4, 83.4), ("men", 55.2, 79.2)]),
        ("up to 1.13 to 1.38, by protocol", []),
        ("", []),
    ],
)
def test_published_ranges_are_read(text, ends):
    found = [(one.whom, one.low, one.high) for one in numbers.normal_ranges(text)]
    assert [one[0] for one in found] == [one[0] for one in ends]
    np.testing.assert_allclose([one[1:] for one in found], [one[1:] for one in ends])


def test_stress_and_rest_agree_to_their_bias():
    (one,) = numbers.agreements(analysed(make_table()))
    assert one.quantity.name == "edv_ml"
    np.testing.assert_allclose([one.bias, one.low, one.high], 5.0, atol=1e-9)


def test_a_value_far_from_the_others_is_worth_a_look_and_disease_is_not():
    table = analysed(make_table())
    table.loc[7, "rest.edv_ml"] = 400.0
    table.loc[3, "sss"] = 60
    (one,) = numbers.outliers(table)
    assert (one.row, one.label, one.value) == (7, "End-diastolic volume (EDV), rest", "400 ml")
    median = table["rest.edv_ml"].median()
    spread = 1.4826 * (table["rest.edv_ml"] - median).abs().median()
    assert one.distance == pytest.approx((400.0 - median) / spread)


def test_sub_groups_count_every_study_once_in_each_kind():
    rows = numbers.groups(analysed(make_table()))
    assert rows[0].n == 40
    for kind, expected in (("sex", {"F": 20, "M": 20}), ("camera", {"A": 20, "B": 20}), ("tracer", {"Tc-99m": 40})):
        assert {row.name: row.n for row in rows if row.kind == kind} == expected


def test_findings_are_counted():
    assert numbers.count_words(["b;a", "a", None, "", math.nan]) == [("a", 2), ("b", 1)]


def test_charts_say_what_they_show():
    (sss, *_) = numbers.distributions(analysed(make_table()))
    texts = distribution_chart(sss).texts
    assert texts[-2] == "Summed stress score (SSS) (of 68)"
    assert texts[-1] == "n = 40, median 4 (2 to 6)"
    (edv,) = numbers.agreements(analysed(make_table()))
    assert agreement_chart(edv).texts[-1] == "n = 40; stress - rest 5.0 (limits of agreement 5.0 to 5.0)"


def test_a_cohort_of_one_and_one_where_all_failed_have_a_page():
    table = make_table()
    assert "1 study" in render_cohort_summary(table.head(1), Path())
    assert "No &lt;heart&gt; was found." in render_cohort_summary(table.tail(1), Path())


def test_the_page_links_every_study_and_stands_alone(tmp_path):
    table = make_table()
    table["stress.edv_ml_lo"], table["stress.segments_percent.1"] = 1.0, 2.0
    table.to_csv(tmp_path / "cohort.csv", index=False)
    for name, file in (("p00", "report.html"), ("p01", "results.json")):
        (tmp_path / "studies" / name).mkdir(parents=True)
        (tmp_path / "studies" / name / file).touch()
    page = write_cohort_summary(tmp_path / "cohort.csv", tmp_path / "summary.html").read_text(encoding="utf-8")
    assert 'href="studies/p00/report.html"' in page
    assert 'href="studies/p01/results.json"' in page
    assert all(f"p{i:02d}" in page for i in range(40))
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "Research use only" in page
    assert "No &lt;heart&gt; was found." in page
    read = read_cohort_table(tmp_path / "cohort.csv")
    assert not {"stress.edv_ml_lo", "stress.segments_percent.1"} & set(read.columns)
