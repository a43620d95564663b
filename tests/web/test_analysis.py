"""A real study through the room's worker: files in, analysis out, corrections of it."""

import json
from dataclasses import replace

import pytest

from myoperf import CohortOptions, Options, Protocol, analyze, read_studies
from myoperf.errors import AnalysisError, InputError
from myoperf.phantom.cohort import simulate_cohort
from myoperf.pipeline import Models
from myoperf.pipeline.correction import correct_scans
from myoperf.web import analysis
from myoperf.web.analysis import Analyst
from myoperf.web.corrections import read_pose
from myoperf.web.database import writing
from myoperf.web.intake import ReceivedFile, receive
from myoperf.web.pictures import SCENE
from myoperf.web.queue import add_correction, prepare
from myoperf.web.readings import advance
from myoperf.web.worker import ANALYSES, CORRECTIONS, work_once
from myoperf.web.worklist import file_of, files_of, study_of
from support.room import ALL, READER, make_room, put_study

BOTH = ("stress", "rest")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patient")
    simulate_cohort(1, folder, options=CohortOptions(fast=True, protocol=Protocol(gates=1)), seed=5)
    return sorted(folder.rglob("*.dcm"))


@pytest.fixture(scope="module")
def quick(files):
    """Return options that skip what these tests are not about: the search for the ventricle, and intervals."""
    truth = json.loads((files[0].parents[1] / "truth.json").read_text())
    return Options(frame=read_pose(truth["lv_frame"]), interval_draws=0)


@pytest.fixture
def analyst(quick):
    return Analyst(options=quick, load=Models)


def add(room, files):
    received = [ReceivedFile(name=path.name, sha256=room.blobs.put_file(path)) for path in files]
    return receive(room, received, reader=READER)


def scene(room, study):
    number = study_of(room, study)["reading"]["analysis"]
    return json.loads(room.blobs.read(file_of(room, study, number, SCENE)[1]))


def move_base(room, study, mm):
    scan = min(scene(room, study)["scans"], key=lambda one: one["state"] != "stress")
    frame = read_pose(scan["lv_frame"])
    base = (frame.base_mm + mm * frame.axis).tolist()
    pose = {"apex_mm": frame.apex_mm.tolist(), "base_mm": base, "anterior": frame.anterior.tolist()}
    with writing(room.engine) as connection:
        advance(connection, study, study_of(room, study)["study"]["version"])
        add_correction(connection, study, based_on=1, reader=READER, corrections={scan["name"]: pose})
    return read_pose(pose)


@pytest.mark.slow
def test_a_correction_gives_the_numbers_of_the_command_at_once_and_in_full(tmp_path, files, analyst, quick):
    room = make_room(tmp_path)
    study = add(room, files)
    assert work_once(room, ANALYSES, analyst)
    assert study_of(room, study)["study"]["note"] == ""
    assert {"results.json", "report.html", "report.pdf", "dicom.zip"} <= {*files_of(room, study, 1)}
    before = study_of(room, study)["study"]["tpd_stress_percent"]

    frame = move_base(room, study, -6.0)
    afresh = analyze(read_studies(files).studies[0], Models(), replace(quick, frame=frame))
    assert work_once(room, CORRECTIONS, analyst)
    assert study_of(room, study)["study"]["tpd_stress_percent"] == afresh.scores.tpd_stress_percent
    assert afresh.scores.tpd_stress_percent != before
    assert "report.pdf" not in files_of(room, study, 2)
    assert {role for role in files_of(room, study, 1) if role.startswith("heart/")} <= {*files_of(room, study, 2)}
    same = {name: file_of(room, study, 1, f"heart/{name}") == file_of(room, study, 2, f"heart/{name}") for name in BOTH}
    assert same == {"stress": False, "rest": True}, "only the corrected scan has new pictures"

    assert work_once(room, ANALYSES, Analyst(options=quick, load=Models)), "by a process that starts from the record"
    assert study_of(room, study)["study"]["tpd_stress_percent"] == afresh.scores.tpd_stress_percent
    results = json.loads(room.blobs.read(file_of(room, study, 3, "results.json")[1]))
    assert results["scores"]["tpd_stress_percent"] == afresh.scores.tpd_stress_percent


@pytest.mark.slow
def test_what_a_correction_needs_is_loaded_and_run_once_before_anyone_waits(tmp_path, files, analyst, monkeypatch):
    room = make_room(tmp_path)
    study = add(room, files[:1])
    work_once(room, ANALYSES, analyst)
    measured = []

    def counting(report, poses, *rest, **options):
        measured.append(sorted(poses))
        return correct_scans(report, poses, *rest, **options)

    monkeypatch.setattr(analysis, "correct_scans", counting)
    for _ in range(2):
        prepare(room, study, reader=READER)
        assert work_once(room, CORRECTIONS, analyst)
    assert measured == [[one["name"] for one in scene(room, study)["scans"]]]
    assert study_of(room, study)["reading"]["analysis"] == 1, "nothing is kept of it"


@pytest.mark.slow
def test_a_record_of_another_version_is_not_read_but_made_again(tmp_path, files, analyst, quick, monkeypatch):
    room = make_room(tmp_path)
    study = add(room, files[:1])
    work_once(room, ANALYSES, analyst)
    move_base(room, study, -6.0)
    monkeypatch.setattr(analysis, "RECORD", "record/another")
    assert work_once(room, CORRECTIONS, Analyst(options=quick, load=Models))
    assert study_of(room, study)["reading"]["analysis"] == 2


def test_a_file_that_is_no_study_fails_with_its_reason(tmp_path, analyst):
    room = make_room(tmp_path)
    (tmp_path / "a.txt").write_text("no study")
    study = add(room, [tmp_path / "a.txt"])
    work_once(room, ANALYSES, analyst)
    told = study_of(room, study)["study"]
    assert told["status"] == "failed"
    assert told["note"].endswith("]")
    assert AnalysisError.code not in told["note"]


def test_a_patients_files_are_unpacked_in_the_room_alone(tmp_path, analyst, monkeypatch):
    room = make_room(tmp_path)
    folders = []

    def read_nothing(paths):
        folders.extend(paths)
        raise InputError("nothing to read")

    monkeypatch.setattr("myoperf.io.read_studies", read_nothing)
    put_study(room)
    assert work_once(room, ALL, analyst)
    assert [folder.is_relative_to(room.blobs.folder.parent) for folder in folders] == [True]
    assert not folders[0].exists()
