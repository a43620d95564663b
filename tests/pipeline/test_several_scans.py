"""Several scans of a state: what they are called, which is scored, what is said of the others."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.perfusion import NormalLimits
from myoperf.pipeline import scoring
from myoperf.pipeline.other_scans import score_other_scans, with_findings_of_scores
from myoperf.pipeline.scan_names import scan_names
from myoperf.pipeline.scoring import in_scoring_order, match_limits, score
from myoperf.segments import segment_map
from myoperf.types import Finding, LVFrame, PolarMap, Scan, ScanResult, Study, Volume

RINGS, ANGLES = 24, 72
VOLUME = Volume(np.ones((4, 5, 6), np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
FRAME = LVFrame((30.0, -40.0, -10.0), (-5.0, 5.0, 20.0), (0.4, -0.4, 0.8))
INFERIOR = (4, 10, 15)


def limits(state):
    flat = np.full((RINGS, ANGLES), 1.0)
    label = {"name": "l", "version": "1", "state": state, "provenance": "hand", "licence": "CC0"}
    return NormalLimits(**label, n=40, mean=flat, sd=0.06 * flat, mad=0.05 * flat, top_ratio=1.0)


def scan(state, **kind):
    return Scan(VOLUME, state=state, **kind)


def result(name, one, *, defect=(), depth=0.3):
    """A scan whose map has a defect in some segments."""
    values = np.ones((RINGS, ANGLES))
    values[np.isin(segment_map(RINGS, ANGLES), defect)] *= depth
    polar = PolarMap(values, np.zeros((RINGS, ANGLES, 3)), np.full((RINGS, ANGLES), 10.0))
    return ScanResult(name, one, VOLUME, FRAME, VOLUME, VOLUME, polar, polar, np.ones(17), 100.0, 50.0)


def scored(*results):
    study, available = Study(tuple(r.scan for r in results)), (limits("stress"), limits("rest"))
    scores = score(results, match_limits(study, results, available))
    return scores, score_other_scans(study, results, scores, available)


def of_corrected(held, *, camera=None):
    return replace(held, name="ac", corrected=True, camera=camera)


def order(results, available):
    return [one.name for one in in_scoring_order(results, available)]


def messages(scores, code):
    return [f.message for f in scores.findings if f.code == code]


PRONE, AC = {"position": "prone"}, {"attenuation_corrected": True}


@pytest.mark.parametrize(
    ("scans", "names"),
    [
        ([scan("stress"), scan("rest")], ["stress", "rest"]),
        ([scan("stress", **PRONE, **AC)], ["stress"]),
        ([scan("stress"), scan("rest"), scan("stress", **PRONE)], ["stress", "rest", "stress-prone"]),
        ([scan("rest"), scan("rest", **AC), scan("rest", **PRONE, **AC)], ["rest", "rest-ac", "rest-prone-ac"]),
        ([scan("stress", **PRONE), scan("stress", **PRONE)], ["stress", "stress-2"]),
        ([scan("stress", **AC), scan("stress"), scan("stress", **AC)], ["stress-ac", "stress", "stress-ac-2"]),
        ([scan("stress", position="supine"), scan("stress")], ["stress", "stress-2"]),
        ([scan(None), scan("rest"), scan(None)], ["scan-1", "rest", "scan-3"]),
    ],
)
def test_names(scans, names):
    assert list(scan_names(scans)) == names


def test_the_first_of_a_state_is_scored_and_the_others_on_their_own():
    stress, prone = result("stress", scan("stress"), defect=INFERIOR), result("stress-prone", scan("stress", **PRONE))
    rest = result("rest", scan("rest"))
    scores, others = scored(stress, rest, prone)
    assert scores.scans == {"stress": "stress", "rest": "rest"}
    assert scores.sss > 0
    assert list(others.scores) == ["stress-prone"]
    own = others.scores["stress-prone"]
    assert (own.sss, own.srs, own.sds, own.scans) == (0, None, None, {"stress": "stress-prone"})
    (message,) = messages(others, "scan-choice")
    assert "was scored, because it is supine, as the normal limits are; measured" in message
    assert "stress (static, supine, not corrected for attenuation) was scored" in message
    assert "stress-prone (static, prone, not corrected for attenuation)" in message
    assert messages(scores, "limits-other-condition") == []
    assert messages(own, "limits-other-condition")[0].startswith("The scan is prone; ")


def test_what_holds_for_stress_and_rest_is_said_once():
    """Two scans of each state gave the choice twice and each prone scan a warning of its own."""
    plain = result("stress", scan("stress")), result("rest", scan("rest"))
    prone = result("stress-prone", scan("stress", **PRONE)), result("rest-prone", scan("rest", **PRONE))
    _, others = scored(*plain, *prone)
    (message,) = messages(others, "scan-choice")
    assert message == (
        "There are several stress and rest scans: stress (static, supine, not corrected for attenuation) and rest "
        "(static, supine, not corrected for attenuation) were scored, because they are supine, as the normal limits "
        "are; measured and scored on their own: stress-prone (static, prone, not corrected for attenuation), "
        "rest-prone (static, prone, not corrected for attenuation)."
    )
    warnings = [messages(own, "limits-other-condition") for own in others.scores.values()]
    assert len(warnings) == 2
    assert warnings[0] == warnings[1], "equal findings of two scans are shown once"


def test_each_state_has_its_own_reason_where_they_differ():
    plain = result("stress", scan("stress")), result("rest", scan("rest"))
    _, others = scored(*plain, result("stress-prone", scan("stress", **PRONE)), result("rest-ac", scan("rest", **AC)))
    (message,) = messages(others, "scan-choice")
    assert "was scored, because it is supine, as the normal limits are; rest (" in message
    assert "was scored, because it is not corrected for attenuation, as the normal limits are; measured" in message


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ({}, AC, "it is not corrected for attenuation, as the normal limits are"),
        ({"modality": "PT", **AC}, {"modality": "NM"}, "it is PET"),
        ({}, {}, "its series comes first by number and name"),
    ],
)
def test_the_choice_of_a_scan_has_a_reason(one, other, reason):
    _, others = scored(result("stress", scan("stress", **one)), result("other", scan("stress", **other)))
    assert f"because {reason};" in messages(others, "scan-choice")[0]


def test_a_corrected_scan_in_doubt_is_not_scored_for_that_reason():
    doubted = replace(result("ac", scan("stress", **AC)), findings=(Finding("attenuation-doubt", "warning", "off"),))
    _, others = scored(result("stress", scan("stress")), doubted)
    assert "because the map that corrected the other one is in doubt;" in messages(others, "scan-choice")[0]


PATTERN = Finding("attenuation-pattern", "info", "weak")


@pytest.mark.parametrize(
    ("other", "more", "stays"),
    [
        (scan("stress", **AC), (), False),
        (scan("stress", **PRONE), (), False),
        (scan("stress", **AC), (Finding("attenuation-doubt", "warning", "off"),), True),
        (scan("rest", **AC), (), True),
        (scan("stress"), (), True),
    ],
)
def test_a_pattern_of_attenuation_is_not_named_where_another_scan_shows_what_it_is(other, more, stays):
    stress = replace(result("stress", scan("stress")), findings=(PATTERN,))
    results = (stress, replace(result("other", other), findings=more))
    kept = with_findings_of_scores(results, *scored(*results))
    assert (PATTERN in kept[0].findings) is stays


def test_that_limits_are_simulated_is_said_once():
    usual = replace(limits("stress"), provenance="simulated patients")
    available = (usual, replace(usual, name="prone", position="prone"))
    results = result("stress", scan("stress")), result("prone", scan("stress", **PRONE))
    study = Study(tuple(r.scan for r in results))
    scores = score(results, match_limits(study, results, available))
    others = score_other_scans(study, results, scores, available)
    both = [*messages(scores, "normal-limits-simulated"), *messages(others.scores["prone"], "normal-limits-simulated")]
    assert len(set(both)) == 2
    kept = with_findings_of_scores(results, scores, others)
    assert not any(f.code == "normal-limits-simulated" for one in kept for f in one.findings)


def test_what_is_abnormal_in_both_scans_is_a_number_of_the_further_one():
    stress, prone = (result(n, scan("stress", **c), defect=INFERIOR) for n, c in (("stress", {}), ("prone", PRONE)))
    scores, others = scored(stress, prone)
    assert scores.combined_tpd_percent is None
    assert others.scores["prone"].combined_tpd_percent == pytest.approx(scores.tpd_stress_percent)
    gone = scored(stress, result("prone", scan("stress", **PRONE)))[1]
    assert gone.scores["prone"].combined_tpd_percent == 0.0


def test_a_pair_that_is_not_alike_is_doubted():
    pair = result("stress", scan("stress", **AC)), result("rest", scan("rest"))
    (message,) = messages(scored(*pair)[0], "scans-unlike")
    assert message.startswith("Stress is static, supine, corrected for attenuation, rest static, supine, not corrected")
    both = result("stress", scan("stress", **AC)), result("rest", scan("rest", **AC))
    assert messages(scored(*both)[0], "scans-unlike") == []
    (message,) = messages(scored(*both)[0], "limits-other-condition")
    assert message.startswith("Scans stress and rest are corrected for attenuation; ")
    (message,) = messages(scored(*pair)[0], "limits-other-condition")
    assert message.startswith("Scan stress is")


def test_corrected_pet_is_what_limits_of_pet_are_of():
    pet = result("stress", scan("stress", modality="PT", **AC))
    assert messages(scored(pet)[0], "limits-other-condition") == []


@pytest.mark.parametrize(
    ("condition", "words"), [(PRONE, "is prone"), (AC, "is corrected for attenuation")], ids=["prone", "AC"]
)
@pytest.mark.parametrize(("wall", "cause"), [((4, 10, 15), "the diaphragm"), ((1, 7, 13), "breast tissue")])
def test_a_defect_that_is_gone_in_the_other_scan_is_called_attenuation(condition, words, wall, cause):
    stress = result("stress", scan("stress"), defect=wall)
    (finding,) = [
        f for f in scored(stress, result("other", scan("stress", **condition)))[1].findings if "def" in f.code
    ]
    assert (finding.code, finding.severity) == ("defect-gone", "warning")
    assert f"is gone in other, which {words}" in finding.message
    assert f"attenuation by {cause} is the likely cause. TPD of what is abnormal in both: 0.0 %." in finding.message


def test_a_defect_that_stays_is_real():
    stress, prone = (result(n, scan("stress", **k), defect=INFERIOR) for n, k in (("stress", {}), ("prone", PRONE)))
    scores, others = scored(stress, prone)
    (finding,) = [f for f in others.findings if f.code.startswith("defect")]
    assert (finding.code, finding.severity) == ("defect-stays", "info")
    assert f"TPD of what is abnormal in both: {scores.tpd_stress_percent:.1f} %" in finding.message


def test_only_scans_of_one_state_that_differ_in_one_thing_are_compared():
    stress = result("stress", scan("stress"), defect=INFERIOR)
    both, rest, again = scan("stress", **PRONE, **AC), scan("rest", **PRONE), scan("stress")
    for other in (both, rest, again, scan("stress", modality="PT", **AC)):
        findings = scored(stress, result("other", other))[1].findings
        assert [f.code for f in findings if f.code.startswith("defect")] == []
    healthy = scored(result("stress", scan("stress")), result("prone", scan("stress", **PRONE)))[1].findings
    assert [f.code for f in healthy if f.code.startswith("defect")] == []


def pair_with_ct(**of_rest):
    """Stress and rest of one study, each without and with correction."""
    plain = [result("stress", scan("stress")), result("rest", scan("rest"))]
    return [*plain, result("stress-ac", scan("stress", **AC)), result("rest-ac", scan("rest", **AC, **of_rest))]


def test_corrected_scans_are_scored_where_there_are_limits_of_corrected_scans():
    plain = [limits("stress"), limits("rest")]
    both = [*plain, *map(of_corrected, plain)]
    scans = pair_with_ct()
    assert order(scans, plain) == ["stress", "rest", "stress-ac", "rest-ac"]
    assert order(scans, both) == ["stress-ac", "rest-ac", "stress", "rest"]
    assert order(scans, both[:3]) == ["stress", "rest", "stress-ac", "rest-ac"]  # at stress alone
    assert order(scans[:3], both) == ["stress", "rest", "stress-ac"]  # rest has no corrected scan
    assert order(pair_with_ct(**PRONE), both) == ["stress", "rest", "stress-ac", "rest-ac"]


def test_a_map_in_doubt_or_limits_of_another_camera_leave_the_uncorrected_scan_first():
    plain = [limits("stress"), limits("rest")]
    both = [*plain, *map(of_corrected, plain)]
    scans = pair_with_ct()
    doubted = [*scans[:3], replace(scans[3], findings=(Finding("attenuation-doubt", "warning", "In the lung."),))]
    assert order(doubted, both)[0] == "stress"
    solid = [replace(one, camera="CZT") for one in plain]
    seen = [replace(one, scan=replace(one.scan, camera="UFC")) for one in scans]
    assert order(seen, [*solid, *map(of_corrected, plain)])[0] == "stress"
    assert order(seen, [*solid, *(of_corrected(one, camera="CZT") for one in plain)])[0] == "stress-ac"


def test_the_ratio_of_the_cavities_is_of_the_uncorrected_scans(monkeypatch):
    """Its normal range is; a corrected scan has no function to take the wall from."""
    measured = []
    monkeypatch.setattr(scoring, "_cavity_ratio", lambda *pair: measured.append([one.name for one in pair]))
    plain = [limits("stress"), limits("rest")]
    both = [*plain, *map(of_corrected, plain)]
    results = in_scoring_order(pair_with_ct(), both)
    scores = score(results, match_limits(Study(tuple(r.scan for r in results)), results, both))
    assert scores.scans == {"stress": "stress-ac", "rest": "rest-ac"}
    assert measured == [["stress", "rest"]]
