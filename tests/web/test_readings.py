"""Readings: one change at a time, everything kept, and nothing after the signature."""

import json

import pytest

from myoperf.errors import InputError
from myoperf.web import readings
from myoperf.web.database import writing
from myoperf.web.errors import ConflictError, NotThereError, SignedError
from myoperf.web.queue import add_correction
from myoperf.web.worker import ANALYSES, CORRECTIONS
from myoperf.web.worklist import study_of
from support.report import VENTRICLE
from support.room import READER, make_room, put_study, ready_study, work_all

ONES = [1] * 17


@pytest.fixture
def room(tmp_path):
    return make_room(tmp_path)


@pytest.fixture
def study(room):
    return ready_study(room)


def version(room, study):
    return study_of(room, study)["study"]["version"]


def state(room, study):
    return study_of(room, study)["reading"]


def correct(room, study, mm=5.0):
    frame = VENTRICLE.frame
    base = (frame.base_mm + mm * frame.axis).tolist()
    pose = {"apex_mm": frame.apex_mm.tolist(), "base_mm": base, "anterior": frame.anterior.tolist()}
    with writing(room.engine) as connection:
        readings.advance(connection, study, study_of(room, study)["study"]["version"])
        number = readings.latest(connection, study).analysis
        add_correction(connection, study, based_on=number, reader=READER, corrections={"stress": pose})


def test_the_second_of_two_readers_is_told_and_overwrites_nothing(room, study):
    seen = version(room, study)
    readings.set_scores(room, study, seen, reader="Dr Ada", stress=ONES, rest=None)
    with pytest.raises(ConflictError, match=f"version {seen + 1}, you saw {seen}"):
        readings.set_scores(room, study, seen, reader="Dr Bo", stress=[2] * 17, rest=None)
    assert state(room, study)["stress_scores"] == ONES


@pytest.mark.parametrize("scores", [[1] * 16, [5] + [0] * 16, [-1] + [0] * 16])
def test_scores_are_seventeen_from_0_to_4(room, study, scores):
    with pytest.raises(InputError, match="17 whole numbers"):
        readings.set_scores(room, study, version(room, study), reader=READER, stress=scores, rest=None)
    assert version(room, study) == 1


def test_undo_takes_back_one_change_after_the_other_and_keeps_them_all(room, study):
    readings.set_impression(room, study, 1, reader=READER, text="first")
    readings.set_scores(room, study, 2, reader=READER, stress=ONES, rest=ONES)
    readings.set_impression(room, study, 3, reader=READER, text="second")
    for v, (text, scores) in enumerate([("first", ONES), ("first", None), ("", None)], start=4):
        readings.undo(room, study, v, reader=READER)
        assert (state(room, study)["impression"], state(room, study)["stress_scores"]) == (text, scores)
    with pytest.raises(InputError, match="nothing to undo"):
        readings.undo(room, study, 7, reader=READER)
    assert [edit["kind"] for edit in study_of(room, study)["history"]] == [
        *("analysis", "impression", "scores", "impression", "undo", "undo", "undo")
    ]


def test_a_correction_is_measured_twice_and_the_readers_scores_stay(room, study):
    readings.set_scores(room, study, 1, reader=READER, stress=ONES, rest=None)
    correct(room, study)
    work_all(room, CORRECTIONS)
    told = study_of(room, study)
    assert (told["reading"]["analysis"], told["analyses"][-1]["complete"]) == (2, False)
    work_all(room, ANALYSES)
    told = study_of(room, study)
    assert (told["reading"]["analysis"], told["analyses"][-1]["complete"]) == (3, True)
    assert told["reading"]["stress_scores"] == ONES
    assert [one["reader"] for one in told["analyses"]] == ["machine", READER, READER]


def test_undo_of_a_correction_returns_to_the_machines_analysis_and_its_numbers(room, study):
    before = study_of(room, study)["study"]
    correct(room, study)
    work_all(room)
    corrected = study_of(room, study)["study"]
    assert corrected["tpd_stress_percent"] == pytest.approx(before["tpd_stress_percent"] + 0.5)
    readings.undo(room, study, corrected["version"], reader=READER)
    after = study_of(room, study)
    assert (after["reading"]["analysis"], after["study"]["tpd_stress_percent"]) == (1, before["tpd_stress_percent"])


def test_undo_of_a_second_correction_returns_to_the_first_in_its_complete_form(room, study):
    correct(room, study, 5.0)
    work_all(room, CORRECTIONS)
    correct(room, study, 8.0)
    work_all(room)
    readings.undo(room, study, version(room, study), reader=READER)
    told = study_of(room, study)
    made = told["analyses"][told["reading"]["analysis"] - 1]
    assert made["complete"]
    assert made["correction"]["stress"]["base_mm"] == pytest.approx(VENTRICLE.frame.base_mm + 5 * VENTRICLE.frame.axis)


def test_a_signed_study_refuses_every_change(room, study):
    readings.set_impression(room, study, 1, reader=READER, text="Normal.")
    sha256 = readings.sign(room, study, 2, reader=READER)
    signed = study_of(room, study)
    for change in (
        lambda v: readings.set_scores(room, study, v, reader=READER, stress=ONES, rest=None),
        lambda v: readings.set_impression(room, study, v, reader=READER, text="Abnormal."),
        lambda v: readings.undo(room, study, v, reader=READER),
        lambda v: readings.sign(room, study, v, reader="Dr Bo"),
        lambda _: correct(room, study),
    ):
        with pytest.raises(SignedError, match="addendum"):
            change(version(room, study))
    assert study_of(room, study) == signed
    content = json.loads(room.blobs.read_checked(sha256))
    assert content["reading"]["impression"] == "Normal."
    assert content["files"]["report.pdf"]


def test_an_addendum_amends_a_signed_study_only(room, study):
    with pytest.raises(ConflictError, match="not signed"):
        readings.add_addendum(room, study, reader=READER, text="More.")
    readings.sign(room, study, 1, reader=READER)
    with pytest.raises(InputError):
        readings.add_addendum(room, study, reader=READER, text="  ")
    readings.add_addendum(room, study, reader="Dr Bo", text="More.")
    (addendum,) = study_of(room, study)["addenda"]
    assert (addendum["reader"], addendum["text"]) == ("Dr Bo", "More.")


def test_nothing_is_signed_before_or_during_a_measurement(room):
    waiting = put_study(room, b"other")
    with pytest.raises(ConflictError, match="still being measured"):
        readings.sign(room, waiting, 0, reader=READER)
    with pytest.raises(ConflictError, match="not analysed yet"):
        readings.set_impression(room, waiting, 0, reader=READER, text="Normal.")
    study = ready_study(room)
    correct(room, study)
    with pytest.raises(ConflictError, match="still being measured"):
        readings.sign(room, study, version(room, study), reader=READER)


def test_a_measurement_that_ends_after_the_signature_changes_nothing(room, study):
    """The page refuses it; should it happen all the same, what was signed stays."""
    correct(room, study)
    with writing(room.engine) as connection:
        connection.exec_driver_sql("UPDATE studies SET signed_at = 'now'")
    work_all(room)
    assert state(room, study)["analysis"] == 1


def test_an_unknown_study_is_named(room):
    with pytest.raises(NotThereError, match="no study 9"):
        readings.set_impression(room, 9, 0, reader=READER, text="")
