"""Uploads and jobs: nothing lost, nothing twice, whatever ends when."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from myoperf.cli.serve import serve
from myoperf.errors import AnalysisError, InputError
from myoperf.web.database import analyses, jobs, reading
from myoperf.web.errors import NotThereError
from myoperf.web.intake import ReceivedFile, receive, safe_name, unpack
from myoperf.web.queue import claim, finish, retry, take_up_again
from myoperf.web.room import back_up, check_room, open_room
from myoperf.web.worker import ANALYSES, CORRECTIONS, work_once
from myoperf.web.worklist import Page, study_of, worklist
from support.room import READER, analyse, make_room, put_study, ready_study, work_all


@pytest.fixture
def room(tmp_path):
    return make_room(tmp_path)


def count(room, table):
    with reading(room.engine) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def status(room, study):
    return study_of(room, study)["study"]["status"]


def test_the_same_files_in_any_order_are_one_study(room):
    a, b = (ReceivedFile(name=name, sha256=room.blobs.put([name.encode()])) for name in ("a", "b"))
    assert receive(room, [a, b], reader=READER) == receive(room, [b, a], reader="Dr Bo") == 1
    assert count(room, jobs) == 1


def test_an_upload_needs_files_that_are_there(room):
    with pytest.raises(InputError, match="got 0"):
        receive(room, [], reader=READER)
    with pytest.raises(NotThereError):
        receive(room, [ReceivedFile(name="a", sha256="0" * 64)], reader=READER)
    assert worklist(room, Page())["total"] == 0


def test_files_are_unpacked_under_safe_names_that_differ(room, tmp_path):
    names = ("../../a.dcm", "a.dcm", "x/b c.dcm", ".hidden")
    files = [ReceivedFile(name=name, sha256=room.blobs.put([str(i).encode()])) for i, name in enumerate(names)]
    out = tmp_path / "deep" / "out"
    unpack(room, receive(room, files, reader=READER), out)
    placed = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert placed == {"a.dcm": b"0", "2-a.dcm": b"1", "x/b_c.dcm": b"2", "hidden": b"3"}


@pytest.mark.parametrize(
    ("name", "safe"),
    [("..", "file"), ("a/../../b", "a/b"), ("C:\\x\\stress.dcm", "C_/x/stress.dcm"), ("a\0b/\n", "a_b"), ("", "file")],
)
def test_safe_names(name, safe):
    assert safe_name(name) == safe


def test_a_job_is_claimed_once(room):
    put_study(room)
    assert claim(room, CORRECTIONS) is None
    assert claim(room, ANALYSES) is not None
    assert claim(room, ANALYSES) is None


def test_a_job_that_ends_twice_gives_one_analysis(room):
    study = put_study(room)
    job = claim(room, ANALYSES)
    outcome = analyse(room, job, lambda _: None)
    finish(room, job, outcome)
    finish(room, job, outcome)
    assert count(room, analyses) == 1
    assert study_of(room, study)["reading"]["analysis"] == 1


def test_a_stopped_server_takes_its_jobs_up_again_however_often(room):
    study = put_study(room)
    for _ in range(20):
        assert claim(room, ANALYSES) is not None  # the server is killed here
        assert take_up_again(room, ANALYSES, crashed=False) == 1
    work_all(room)
    assert status(room, study) == "ready"
    assert count(room, analyses) == 1


def test_a_job_that_kills_its_worker_is_given_up_at_the_third_time(room):
    study = put_study(room)
    for _ in range(3):
        assert claim(room, ANALYSES) is not None
        take_up_again(room, ANALYSES, crashed=True)
    assert claim(room, ANALYSES) is None
    assert status(room, study) == "failed"
    assert retry(room, study, reader=READER)
    work_all(room)
    assert status(room, study) == "ready"


def test_a_study_that_cannot_be_analysed_says_why_and_the_worker_goes_on(room):
    first = put_study(room, b"bad")

    def fails(*_):
        raise AnalysisError("No left ventricle was found.")

    assert work_once(room, ANALYSES, fails)
    second = ready_study(room)
    assert study_of(room, first)["study"]["note"] == "No left ventricle was found. [analysis]"
    assert (status(room, first), status(room, second)) == ("failed", "ready")


def test_a_fault_of_the_program_quotes_nothing(room):
    study = put_study(room)

    def fails(*_):
        raise ValueError("Doe^Jane")

    work_once(room, ANALYSES, fails)
    assert "Doe" not in study_of(room, study)["study"]["note"]


def test_an_upload_of_several_studies_becomes_several_once(room):
    first = put_study(room)
    job = claim(room, ANALYSES)
    finish(room, job, replace(analyse(room, job, lambda _: None), parts=3))
    work_all(room)
    told = worklist(room, Page())["studies"]
    assert sorted((study["id"], study["part"], study["status"]) for study in told) == [
        (first, 0, "ready"),
        (first + 1, 1, "ready"),
        (first + 2, 2, "ready"),
    ]


def test_files_and_rows_agree_and_a_missing_file_is_counted(room):
    ready_study(room)
    assert check_room(room) == 0
    room.blobs.path(next(iter(room.blobs.keys()))).unlink()
    assert check_room(room) == 1


def test_a_backup_of_a_room_in_use_is_a_room(room, tmp_path):
    study = ready_study(room)
    room.blobs.put([b"nothing names this yet"])
    assert back_up(tmp_path / "room", tmp_path / "copy") == 1
    copy = open_room(tmp_path / "copy")
    assert study_of(copy, study) == study_of(room, study)
    assert check_room(copy) == 0
    with pytest.raises(InputError, match="holds no reading room"):
        back_up(tmp_path, tmp_path / "other")


def test_a_backup_of_another_database_names_what_to_do_instead(tmp_path):
    with pytest.raises(InputError, match="pg_dump"):
        serve(tmp_path, db="postgresql://host/room", backup=tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_the_same_files_sent_at_once_are_one_study(room):
    """On PostgreSQL some of the senders were told of a fault in the program."""
    with ThreadPoolExecutor(8) as senders:
        numbers = list(senders.map(lambda _: put_study(room), range(8)))
    assert numbers == [1] * 8


def test_files_in_the_making_stay_in_the_room_and_are_removed(room):
    with room.scratch() as folder:
        (folder / "patient.dcm").write_bytes(b"a patient's")
        assert folder.is_relative_to(room.blobs.folder.parent)
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    with room.scratch() as left:
        (left / "patient.dcm").write_bytes(b"a patient's, of a killed process")
        room.clear_scratch()
        assert not left.exists()
