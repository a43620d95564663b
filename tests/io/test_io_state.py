"""Stress or rest: from the code, then the words, never guessed."""

from __future__ import annotations

import pytest
from pydicom.sequence import Sequence

from myoperf.dicom import code_item
from myoperf.io import read_studies
from myoperf.io.state import detect_state
from myoperf.io.state_words import state_in_text
from support.dicom import counts_of, item, raw_nm


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("SGATE", "stress"),
        ("RGATE", "rest"),
        ("ReconRest", "rest"),
        ("ReconRest-1", "rest"),
        ("ReconStress gate", "stress"),
        ("Stress", "stress"),
        ("STR", "stress"),
        ("RST", "rest"),
        ("REST", "rest"),
        ("AC_STRESS", "stress"),
        ("STRESS_IRAC", "stress"),
        ("StressGated", "stress"),
        ("STRGATED", "stress"),
        ("MIBI post-stress", "stress"),
        ("Esforço", "stress"),
        ("repouso", "rest"),
        ("Adenosine gated", "stress"),
        ("RESTING", "rest"),
        ("Cardiac Rest SPECT [Recon]", "rest"),
        ("forest", None),
        ("restored", None),
        ("interest", None),
        ("distress", None),
        ("strong", None),
        ("Rest/Stress 1 day", None),
        ("REST_STRESS", None),
        ("TWO DAY CT", None),
        ("", None),
    ],
)
def test_words(text, state):
    assert state_in_text(text) == state


@pytest.mark.parametrize(
    ("value", "scheme", "state"),
    [
        ("F-05019", "SRT", "stress"),
        ("432655005", "SCT", "stress"),
        ("109091", "DCM", "stress"),
        ("F-01604", "SRT", "rest"),
        ("128975004", "SCT", "rest"),
        ("109093", "DCM", "rest"),
        ("F-00000", "SRT", None),
    ],
)
def test_acquisition_context(value, scheme, state):
    context = item(
        ConceptNameCodeSequence=Sequence([code_item("109054", "DCM", "Patient State")]),
        ConceptCodeSequence=Sequence([code_item(value, scheme, "as coded")]),
    )
    assert detect_state(item(AcquisitionContextSequence=Sequence([context])))[0] == state


def test_code_wins_over_words_and_the_conflict_is_said():
    context = item(ConceptCodeSequence=Sequence([code_item("F-05019", "SRT", "Cardiac Stress State")]))
    state, findings = detect_state(item(AcquisitionContextSequence=Sequence([context]), ImageID="ReconRest"))
    assert state == "stress"
    assert [(f.code, f.severity) for f in findings] == [("state-conflict", "warning")]


def test_image_id_comes_before_descriptions():
    assert detect_state(item(ImageID="RGATE", SeriesDescription="Stress"))[0] == "rest"
    assert detect_state(item(ImageID="Tomo", SeriesDescription="Stress"))[0] == "stress"


def test_study_description_alone_is_said():
    state, findings = detect_state(item(ImageID="Tomo", StudyDescription="Myocardium rest"))
    assert state == "rest"
    assert [f.code for f in findings] == ["state-from-study"]


def test_unknown_stays_unknown_and_is_said(save):
    dataset = raw_nm(counts_of(1, 1, 9, 7, 8))
    dataset.ImageID = "Tomo"
    path = save(dataset)
    scan = read_studies([path]).studies[0].scans[0]
    assert scan.state is None
    assert "state-unknown" in [finding.code for finding in scan.findings]
    given = read_studies([path], state="rest").studies[0].scans[0]
    assert given.state == "rest"
    assert "state-given" in [finding.code for finding in given.findings]


def test_the_users_state_over_the_files_is_said(save):
    scan = read_studies([save(raw_nm(counts_of(1, 1, 9, 7, 8)))], state="rest").studies[0].scans[0]
    assert scan.state == "rest"
    assert "state-overridden" in [finding.code for finding in scan.findings]
