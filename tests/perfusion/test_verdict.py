"""One decision: category, headline and defects of a study, at and next to every edge."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.perfusion import Evidence, decide, find_defects
from myoperf.perfusion.defects import connected_regions
from myoperf.perfusion.verdict import PUBLISHED
from myoperf.segments import segment_map
from myoperf.types import FlowReserve, Scores

RINGS, ANGLES = 24, 72
SEGMENTS = segment_map(RINGS, ANGLES)


def wall(segments, severity=2.5):
    """A severity map that is abnormal in some segments."""
    return np.where(np.isin(SEGMENTS, segments), severity, 0.0)


def scores(stress=None, rest=None, *, sss=None, tpd=None, compared=True, **more):
    """Scores whose numbers follow from the maps, or are given."""

    def tpd_of(severity):
        return None if severity is None else float(100.0 * severity.sum() / (4.0 * severity.size))

    def total_of(severity):
        return None if severity is None else round(sum(severity[s == SEGMENTS].mean() for s in range(1, 18)))

    return Scores(
        sss=total_of(stress) if sss is None else sss,
        srs=total_of(rest),
        sds=0 if compared and stress is not None and rest is not None else None,
        tpd_stress_percent=tpd_of(stress) if tpd is None else tpd,
        tpd_rest_percent=tpd_of(rest),
        stress_severity=stress,
        rest_severity=rest,
        **more,
    )


def test_no_defect_is_named_where_scores_and_tpd_are_within_limits():
    """SSS 2 and TPD 1.9 were "normal" in one line and "small anterior defect, LAD" in the headline."""
    low = scores(wall((7,), 1.8))
    assert (low.sss, low.tpd_stress_percent) == (2, pytest.approx(1.9, abs=0.1))
    verdict = decide(low)
    assert (verdict.category, verdict.headline, verdict.defects) == ("normal", "No perfusion defect at stress.", ())


@pytest.mark.parametrize(
    ("sss", "tpd", "category"),
    [
        (3, 4.99, "normal"),
        (4, 4.99, "mildly abnormal"),
        (3, 5.0, "mildly abnormal"),
        (8, 9.9, "mildly abnormal"),
        (9, 5.0, "moderately abnormal"),
        (4, 10.0, "moderately abnormal"),
        (13, 14.9, "moderately abnormal"),
        (14, 5.0, "severely abnormal"),
        (4, 15.0, "severely abnormal"),
    ],
)
def test_the_category_is_the_graver_of_what_summed_score_and_tpd_say(sss, tpd, category):
    assert decide(scores(wall((7,)), sss=sss, tpd=tpd)).category == category


def test_the_cut_offs_of_the_limits_replace_the_published_ones():
    own = replace(PUBLISHED, tpd_percent=1.5, summed_score=2, own=True)
    low = scores(wall((7,), 1.8))
    assert decide(low, cutoffs=own).category == "mildly abnormal"
    assert decide(low, cutoffs=replace(own, tpd_percent=3.0, summed_score=3)).category == "normal"


@pytest.mark.parametrize(
    ("rest", "kind", "words"),
    [
        *(
            (0.0, "reversible", "reversible "),
            (0.74, "reversible", "reversible "),
            (0.78, "mixed", "partly reversible "),
        ),
        *((1.74, "mixed", "partly reversible "), (1.76, "fixed", "fixed "), (2.5, "fixed", "fixed ")),
    ],
)
def test_the_kind_of_a_defect_at_and_next_to_its_edges(rest, kind, words):
    """Of a severity of 2.5, 70 percent gone at rest are reversible and less than 30 percent fixed."""
    verdict = decide(scores(wall((4, 10, 15)), wall((4, 10, 15), rest)))
    assert [defect.kind for defect in verdict.defects] == [kind]
    assert f"severe {words}inferior defect (RCA)." in verdict.headline


@pytest.mark.parametrize(("samples", "size"), [(172, "small"), (173, "medium"), (345, "medium"), (346, "large")])
def test_the_size_of_a_defect_at_and_next_to_its_edges(samples, size):
    """10 and 20 percent of 1728 samples."""
    severity = np.zeros(RINGS * ANGLES)
    severity[:samples] = 1.5
    assert [d.size for d in find_defects(severity.reshape(RINGS, ANGLES), "stress")] == [size]


@pytest.mark.parametrize(
    ("level", "severity"), [(0.26, "mild"), (0.99, "mild"), (1.0, "moderate"), (1.99, "moderate"), (2.0, "severe")]
)
def test_the_depth_of_a_defect_at_and_next_to_its_edges(level, severity):
    assert [d.severity for d in find_defects(wall((7, 13), level), "stress")] == [severity]
    assert find_defects(wall((7, 13), 0.25), "stress") == ()


def test_a_defect_is_a_connected_region_and_not_a_vessel():
    """One infarct across a border of territories was two defects."""
    across = decide(scores(wall((10, 11))))
    assert [(d.site, d.vessels) for d in across.defects] == [("mid inferior and lateral", ("LCX", "RCA"))]
    apart = decide(scores(wall((7, 10))))
    assert {d.site for d in apart.defects} == {"mid anterior", "mid inferior"}
    assert apart.warnings[0].startswith("reduced uptake in the territories of ")
    assert across.warnings == ()


def test_regions_close_round_the_axis_and_over_the_apex():
    below = np.zeros((4, 12), bool)
    below[3, [0, 11]] = below[1, [3, 9]] = below[0, [3, 9]] = below[3, 5] = True
    assert [int(region.sum()) for region in connected_regions(below)] == [4, 2, 1]


def test_specks_at_the_limit_are_no_defects():
    speck = np.zeros((RINGS, ANGLES))
    speck[10:14, 10:22] = 3.0  # 2.8 percent of the wall
    verdict = decide(scores(speck, sss=4))
    assert verdict.defects == ()
    assert verdict.headline == "Mildly reduced uptake at stress without a localised defect."


def test_an_infarct_that_passes_its_cut_off_at_rest_alone_stays_one():
    """With the right limits "medium fixed inferior defect" was gone from a study whose rest scores 5."""
    verdict = decide(scores(wall((4, 10), 1.2), wall((4, 10, 15), 1.9), sss=3))
    assert verdict.category == "mildly abnormal"
    assert [(d.state, d.kind) for d in verdict.defects] == [("rest", "fixed")]


def test_what_rest_shows_alone_is_no_scar():
    """A study with SSS 0 and SRS 1 was called "small moderate fixed mid and basal lateral and inferior defect"."""
    verdict = decide(scores(wall((4,), 0.9), wall((4, 10, 15), 1.9), sss=0))
    assert (verdict.category, verdict.defects) == ("normal", ())
    assert verdict.headline == (
        "No perfusion defect at stress. Reduced uptake at rest alone (inferior): an artefact or reverse redistribution."
    )
    only_rest = decide(scores(None, wall((4, 10, 15), 1.9)))
    assert only_rest.headline == "Medium moderate inferior defect (RCA) at rest."


def test_a_scar_does_not_hide_what_rest_shows_alone():
    verdict = decide(scores(wall((4, 10), 1.2), wall((4, 10, 15, 7), 1.9), sss=3))
    assert [d.site for d in verdict.defects] == ["inferior"]
    assert "Reduced uptake at rest alone (mid anterior)" in verdict.headline


def test_states_that_are_not_compared_have_no_kind():
    verdict = decide(scores(wall((4, 10, 15)), wall((4, 10, 15)), compared=False))
    assert verdict.defects[0].kind is None
    assert verdict.headline == "Medium severe inferior defect (RCA) at stress."


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (Evidence(lvef_stress_percent=44.9), "LVEF 45 %"),
        (Evidence(lvef_rest_percent=40.0), "LVEF 40 %"),
        (Evidence(lvef_stress_percent=50.0, lvef_rest_percent=60.0), "LVEF falls from 60 % at rest to 50 %"),
        (Evidence(sex="F", edv_ml=178.0), "a dilated ventricle, EDV 178 ml"),
        (Evidence(sex="M", edv_ml=214.0), "a dilated ventricle, EDV 214 ml"),
        (Evidence(edv_ml=214.0), "a dilated ventricle"),
        (Evidence(diffuse_loss_percent=6.0), "uptake 6 % below normal over the whole wall"),
    ],
)
def test_what_speaks_for_balanced_disease_forbids_normal(evidence, words):
    cutoffs = replace(PUBLISHED, diffuse_percent=6.0)
    verdict = decide(scores(wall(())), evidence, cutoffs=cutoffs)
    assert verdict.category == "extensive disease not excluded"
    assert verdict.headline.startswith(
        "No perfusion defect at stress. Extensive or balanced disease cannot be excluded: "
    )
    assert words in verdict.headline


def test_what_is_next_to_those_edges_does_not():
    fine = (
        Evidence(lvef_stress_percent=45.0, lvef_rest_percent=54.9),
        Evidence(sex="F", edv_ml=177.0),
        Evidence(sex="M", edv_ml=213.0),
        Evidence(diffuse_loss_percent=50.0),
    )
    for evidence in fine:
        assert decide(scores(wall(())), evidence).category == "normal"


def test_dilation_and_a_low_flow_reserve_forbid_normal():
    for changes, words in (
        ({"tid_ratio": 1.31}, "transient dilation, TID ratio 1.31"),
        ({"flow_reserve": FlowReserve(np.ones(17), {"global": 1.9})}, "flow reserve 1.9 over the whole ventricle"),
    ):
        verdict = decide(scores(wall(()), **changes))
        assert verdict.warnings == (words,)
        assert verdict.category == "extensive disease not excluded"
    assert decide(scores(wall(()), tid_ratio=1.30)).category == "normal"


def test_three_vessels_a_little_below_the_limits_are_not_called_normal():
    """N-13 PET with three vessels narrowed by over 80 percent scored SSS 3."""
    verdict = decide(scores(wall((1, 4, 6), 0.5), sss=3))
    assert verdict.category == "extensive disease not excluded"
    assert "territories of" in verdict.headline


def test_while_the_pose_is_in_doubt_nothing_more_is_said():
    doubted = decide(scores(wall((4, 10, 15))), Evidence(doubts=("the pose is in doubt at rest",), edv_ml=400.0))
    assert (doubted.category, doubted.defects, doubted.warnings) == ("not reliable", (), ())
    assert doubted.headline == "Not reliable: the pose is in doubt at rest. Check the contours, or give the pose."
    assert not doubted.reliable


def test_without_limits_there_is_no_verdict():
    assert decide(Scores(sss=3)) is None
