"""Whether a decision stays when a study is processed in other ways."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.perfusion import NormalLimits
from myoperf.pipeline import Models, Options, analyze
from myoperf.report import draw_report, results_json
from myoperf.report.canvas import Text
from myoperf.report.narrative import stability_lines, stability_table
from myoperf.report.pdf import pdf_pages
from myoperf.types import Scan, Study
from myoperf.types.comparison import Stability, Variation
from support.report import make_report
from support.ventricle import thick_ventricle, wall_image

VENTRICLE = thick_ventricle()


def weak_inferior_wall():
    """A thick half ellipsoid whose inferior wall has a fifth of the counts."""
    frame = VENTRICLE.frame
    return wall_image(
        VENTRICLE, uptake=lambda points: np.where((points - frame.centre_mm) @ frame.anterior < -12.0, 0.2, 1.0)
    )


def limits():
    flat = np.ones((24, 72))
    label = {"name": "l", "version": "1", "state": "stress", "provenance": "hand", "licence": "CC0"}
    return NormalLimits(**label, n=40, mean=flat, sd=0.12 * flat, mad=0.1 * flat, top_ratio=1.0)


@pytest.fixture(scope="module")
def report():
    study = Study((Scan(weak_inferior_wall(), state="stress"),))
    options = Options(frame=VENTRICLE.frame, interval_draws=0, stability=True)
    return analyze(study, Models(limits=(limits(),)), options)


def test_a_volume_is_processed_in_other_poses_planes_and_turns(report):
    kinds = [one.kind for one in report.stability.variations]
    assert sorted(set(kinds)) == ["map shift", "pose", "valve plane"], "a volume has no views to filter or to thin"
    assert len(kinds) + report.stability.failed == 8
    assert report.stability.category == report.scores.category
    values = [one.tpd_stress_percent for one in report.stability.variations if one.kind == "pose"]
    assert len(set(values)) == len(values), "each pose is another"
    turns = [one for one in report.stability.variations if one.kind == "map shift"]
    assert all(abs(one.tpd_stress_percent - report.scores.tpd_stress_percent) < 2.0 for one in turns)
    low, high = report.stability.spread("tpd_stress_percent")
    assert low <= report.scores.tpd_stress_percent <= high + 2.0
    assert report.stability.flips == 0, "a wall with a fifth of the counts is abnormal in every pose"


def test_it_is_in_every_form_of_the_report(report):
    out = results_json(report)["stability"]
    assert out["flips"] == 0
    assert len(out["variations"]) == len(report.stability.variations)
    (line,) = stability_lines(report)
    others = sum(one.category != report.scores.category for one in report.stability.variations)
    expected = f"changes in {others}, between normal and abnormal in none" if others else "does not change"
    assert f"the category {expected}: " in line
    assert len(stability_table(report).rows) == len(report.stability.variations)
    assert stability_lines(make_report()) == ()


def variation(category, sss=3):
    return Variation(
        kind="pose",
        sss=sss,
        srs=None,
        tpd_stress_percent=4.0,
        tpd_rest_percent=None,
        lvef_percent=None,
        category=category,
    )


def test_a_flip_is_between_normal_and_abnormal():
    """Mild to moderate is no flip; normal to mild is, in either direction."""
    ways = (variation("normal"), variation("mildly abnormal", 6), variation("severely abnormal", 14))
    assert Stability(category="moderately abnormal", variations=ways).flips == 1
    normal = Stability(category="extensive disease not excluded", variations=ways)
    assert normal.flips == 2
    assert normal.spread("sss") == (3.0, 14.0)
    assert normal.spread("lvef_percent") is None
    (line,) = stability_lines(replace(make_report(), stability=replace(normal, failed=1)))
    assert "the category changes in 3, between normal and abnormal in 2: " in line
    assert "SSS 3 to 14" in line
    assert "1 further ways could not be measured" in line


def test_another_category_is_a_change_though_neither_is_abnormal():
    ways = (variation("normal"), variation("extensive disease not excluded"))
    (line,) = stability_lines(replace(make_report(), stability=Stability(category="normal", variations=ways)))
    assert "the category changes in 1, between normal and abnormal in none: " in line
    same = Stability(category="normal", variations=ways[:1])
    assert "the category does not change: " in stability_lines(replace(make_report(), stability=same))[0]


def test_the_pdf_has_a_page_behind_the_line():
    ways = tuple(variation("extensive disease not excluded", sss) for sss in range(14))
    report = replace(make_report(), stability=Stability(category="normal", variations=ways))
    pages = [{m.text for m in page.marks if isinstance(m, Text)} for page in pdf_pages(report, draw_report(report))]
    (page,) = [page for page in pages if "Varied" in page]
    assert {"Decision stability", "extensive disease not excluded", *map(str, range(14))} <= page


def test_a_study_that_is_not_reliable_has_no_stability(report):
    study = Study((Scan(weak_inferior_wall(), state="stress"),))
    assert (
        analyze(study, Models(limits=()), Options(frame=VENTRICLE.frame, interval_draws=0, stability=True)).stability
        is None
    )
