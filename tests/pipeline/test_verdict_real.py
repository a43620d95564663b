"""Headline, category and scores of real studies agree, by the right limits."""

import pytest

from myoperf.io import read_studies
from myoperf.perfusion import decide
from myoperf.pipeline import Options, analyze, load_models
from myoperf.report import results_json

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def models():
    return load_models()


def analysed(files, models):
    (study, *_) = read_studies(sorted(files)).studies
    return analyze(study, models, Options(interval_draws=0))


def agree(report):
    """Check that everything that a reader sees says the same."""
    scores, out = report.scores, results_json(report)
    verdict = scores.verdict
    assert out["scores"]["category"] == verdict.category
    assert out["scores"]["summary"] == verdict.headline
    cut = verdict.cutoffs
    stress, rest = (
        (total is not None and total >= edge) or (tpd is not None and tpd >= tpd_edge)
        for total, edge, tpd, tpd_edge in (
            (scores.sss, cut.summed_score, scores.tpd_stress_percent, cut.tpd_percent),
            (scores.srs, cut.rest_summed_score, scores.tpd_rest_percent, cut.rest_tpd_percent),
        )
    )
    at_rest_alone = "at rest alone" in verdict.headline
    if verdict.reliable:
        assert verdict.abnormal is (stress or (rest and not at_rest_alone))
        assert bool(verdict.defects) <= verdict.abnormal
    else:
        assert (scores.sds, scores.tid_ratio, scores.tpd_ischemic_percent) == (None, None, None)
        assert verdict.headline.startswith("Not reliable")


@pytest.mark.parametrize("patient", ["P05", "P20", "P32", "P46"])
def test_studies_of_a_solid_state_camera(real, models, patient):
    report = analysed((real / "physionet_mps" / "dicom").glob(f"{patient}_*.dcm"), models)
    agree(report)
    assert report.scores.normal_limits.name.startswith("simulated-czt")
    assert report.diagnosis is None or report.diagnosis.abstained
    if patient == "P20":
        assert report.scores.verdict.defects == ()  # by limits of other cameras "medium fixed inferior defect"


def test_the_raw_study(real, models):
    report = analysed([real / "ge_projections" / "stress_tomo.dcm"], models)
    agree(report)
    assert report.scores.normal_limits.name.startswith("simulated-tc99m")
    assert report.diagnosis.pretest.probability == 0.2
    assert decide(report.scores, cutoffs=report.scores.verdict.cutoffs).defects == report.scores.verdict.defects == ()
