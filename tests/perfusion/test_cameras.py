"""Cameras by the names in files, and the limits that each gets."""

import numpy as np
import pytest

from myoperf import perfusion
from myoperf.perfusion import Condition, NormalLimits, camera_kind, choose_limits, other_condition


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("GE MEDICAL SYSTEMS UFC", "CZT"),
        ("Discovery NM 530c", "CZT"),
        ("Spectrum Dynamics D-SPECT", "CZT"),
        ("GE MEDICAL SYSTEMS Tandem_Discovery_670", "parallel-hole"),
        ("Tandem_Discovery_670_Pro", "parallel-hole"),
        ("Tandem_Discovery_670_ES", "parallel-hole"),
        ("Tandem_870_DR", "parallel-hole"),
        ("Tandem_870_CZT", "parallel-hole"),
        ("Tandem_Optima_640", "parallel-hole"),
        ("GE INFINIA", "parallel-hole"),
        ("SIEMENS NM Encore2", "parallel-hole"),
        ("Some Other Camera", None),
        (None, None),
    ],
)
def test_a_camera_by_its_name_in_real_headers(name, kind):
    assert camera_kind(name) == kind


def limits(**label):
    flat = np.ones((24, 72))
    about = {"name": "l", "version": "1", "state": "stress", "provenance": "hand", "licence": "CC0"} | label
    return NormalLimits(**about, n=40, mean=flat, sd=0.1 * flat, mad=0.08 * flat, top_ratio=1.0)


def chosen(held, **scan):
    best, findings = choose_limits(held, state="stress", **scan)
    return best.name, {f.code: f.message for f in findings}


def test_files_of_the_nm_530c_are_scored_with_the_limits_of_its_kind():
    """They call the camera "UFC" and got parallel-hole limits without a word."""
    for camera in ("GE MEDICAL SYSTEMS UFC", "Discovery NM 530c"):
        best, findings = choose_limits(
            perfusion.shipped_limits(), state="rest", sex="M", tracer="Technetium Tc 99m Sestamibi", camera=camera
        )
        assert best.camera == "CZT"
        assert "normal-limits-nearest" not in {f.code for f in findings}


@pytest.mark.parametrize(("tracer", "expected"), [("13N ammonia", "N-13"), ("Rubidium Rb 82", "Rb-82")])
def test_pet_of_either_tracer_is_scored_with_limits_of_its_own(tracer, expected):
    for state in ("stress", "rest"):
        best, findings = choose_limits(
            perfusion.shipped_limits(), state=state, sex="F", tracer=tracer, camera="Biograph", modality="PT"
        )
        assert best.tracer == expected
        assert "normal-limits-nearest" not in {f.code for f in findings}


def test_limits_of_a_kind_hold_for_its_models_and_another_kind_is_warned_of():
    parallel = limits(name="parallel", camera="parallel-hole")
    assert chosen([parallel], camera="Tandem_870_DR")[1] == {}
    assert "camera" in chosen([parallel], camera="UFC")[1]["normal-limits-nearest"]
    assert "camera" in chosen([parallel])[1]["normal-limits-nearest"]
    model = limits(name="model", camera="Infinia")
    assert chosen([parallel, model], camera="INFINIA")[0] == "model"


@pytest.mark.parametrize(
    ("label", "scan", "said"),
    [
        ({"sex": "M"}, {"sex": "F"}, "sex"),
        ({"tracer": "Tc-99m"}, {"tracer": "Tl-201"}, "tracer"),
        ({"camera": "CZT"}, {"camera": "Symbia"}, "camera"),
        ({"reconstruction": "OSEM"}, {}, "reconstruction"),
        ({"reconstruction": "OSEM"}, {"condition": Condition(reconstruction="FBP")}, "reconstruction"),
    ],
)
def test_every_mismatch_is_a_warning(label, scan, said):
    best, findings = choose_limits([limits(**label)], state="stress", **scan)
    assert best is not None
    assert [(f.code, f.severity) for f in findings] == [("normal-limits-nearest", "warning")]
    assert f"match the {said} of this" in findings[0].message


def test_limits_of_the_scan_s_position_and_correction_are_taken_first():
    held = [limits(name="usual"), limits(name="prone", position="prone"), limits(name="ac", corrected=True)]
    assert chosen(held)[0] == "usual"
    assert chosen(held, condition=Condition(position="prone"))[0] == "prone"
    assert chosen(held, condition=Condition(corrected=True))[0] == "ac"
    assert other_condition(held[1], Condition()) == ("supine",)
    assert other_condition(held[2], Condition(corrected=False)) == ("not corrected for attenuation",)
    assert other_condition(limits(tracer="Rb-82"), Condition(corrected=True), "PT") == ()
