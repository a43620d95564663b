"""Vendors' habits, and the patient's attributes."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.sequence import Sequence

from myoperf.dicom import code_item
from myoperf.io.header import age_years, camera_of, study_of
from myoperf.io.quirks import (
    first_start_angle,
    height_in_metres,
    nuclide_from_window_name,
    orbit_radii,
    rotation_sign,
    stretched_counts,
    view_ranks,
)
from myoperf.io.tracers import tracer_of
from myoperf.types import Scan, Volume
from support.dicom import item


def test_start_angle_of_the_detector_wins():
    assert first_start_angle(135.0, 225.0) == 135.0
    assert first_start_angle(135.0, 225.0, shift=10.0) == 145.0
    assert first_start_angle(None, 225.0, shift=10.0) == 225.0
    assert first_start_angle(None, None) is None


def test_direction_words():
    assert [rotation_sign(text) for text in ("CW", "CC", "CCW", "cw ", "", "UP")] == [-1, 1, 1, -1, None, None]


def test_views_counted_on_over_heads():
    assert view_ranks([33, 34, 35], own_start=True) == [0, 1, 2]
    assert view_ranks([33, 34, 35], own_start=False) == [32, 33, 34]
    assert view_ranks([1, 2, 3], own_start=False) == [0, 1, 2]


@pytest.mark.parametrize(
    ("values", "word"), [((), "no radial"), ((0.0,), "no radial"), ((25.4,), "25.4"), ((250.0,) * 3, "3")]
)
def test_radii_not_believed(values, word):
    radii, why = orbit_radii(values, 4)
    assert radii is None
    assert word in why


def test_radii_one_or_one_a_view():
    assert orbit_radii((250.0,), 3)[0] == (250.0, 250.0, 250.0)
    assert orbit_radii((210.0, 220.0, 230.0), 3)[0] == (210.0, 220.0, 230.0)


def test_nuclide_in_the_window_name():
    assert nuclide_from_window_name(["Scatter", "Tc99m_EM"]) == "Tc-99m"
    assert nuclide_from_window_name(["Tl201"]) == "Tl-201"
    assert nuclide_from_window_name(["Window 1"]) is None


def test_stretched_counts_only_at_the_full_range():
    assert [finding.code for finding in stretched_counts(32767.0)] == ["counts-stretched"]
    assert stretched_counts(32766.0) == ()


@pytest.mark.parametrize(("size", "metres"), [(1.7, 1.7), (170.0, 1.7), (0.0, None), (17.0, None), (None, None)])
def test_height(size, metres):
    assert height_in_metres(size) == metres


@pytest.mark.parametrize(
    ("values", "age"),
    [
        ({"PatientAge": "063Y"}, 63.0),
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientBirthDate": "19600615", "StudyDate": "20200614"}, 59.0),
        ({"PatientBirthDate": "19600615", "StudyDate": "20200615"}, 60.0),
        ({"PatientBirthDate": "19600615"}, None),
        ({}, None),
    ],
)
def test_age(values, age):
    assert age_years(item(**values)) == age


@pytest.mark.parametrize(
    ("nuclide", "agent", "expected"),
    [
        (("C-163A8", "SRT", "x"), "", "Tc-99m"),
        (("72454006", "SCT", "x"), "Tetrofosmin", "Tc-99m tetrofosmin"),
        (("C-163A8", "99SDM", "^99m^Technetium"), "C-163AB", "Tc-99m sestamibi"),
        (("local", "99X", "^201^Thallium"), "Thallous chloride", "Tl-201 chloride"),
        (("C-107A1", "SRT", "^13^Nitrogen"), "Ammonia N13", "N-13 ammonia"),
        (("local", "99X", "?"), "Zacharias took it", None),
    ],
)
def test_tracer(nuclide, agent, expected):
    drug = item(Radiopharmaceutical=agent, RadionuclideCodeSequence=Sequence([code_item(*nuclide)]))
    assert tracer_of(item(RadiopharmaceuticalInformationSequence=Sequence([drug]))) == expected


def test_absent_attributes_are_none():
    study = study_of(item(PatientWeight=0, PatientSex=""), (Scan(Volume(np.ones((2, 3, 4)), np.eye(4))),))
    names = ("study_uid", "patient_id", "sex", "age_years", "height_m", "weight_kg")
    assert [getattr(study, name) for name in names] == [None] * 6
    assert camera_of(item()) is None
    assert camera_of(item(Manufacturer="Maker", ManufacturerModelName="Maker One")) == "Maker One"
    assert camera_of(item(Manufacturer="Maker", ManufacturerModelName="One")) == "Maker One"
    assert tracer_of(item()) is None
