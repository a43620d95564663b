"""kill -9 at any moment while studies are received, analysed and signed: nothing lost, nothing twice."""

import contextlib
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from sqlalchemy import func, select

from myoperf.web import readings
from myoperf.web.database import analyses, edits, reading, signatures, studies
from myoperf.web.errors import SignedError
from myoperf.web.queue import take_up_again
from myoperf.web.room import check_room, wanted_files
from myoperf.web.worklist import study_of
from support.room import ALL, READER, closed_form_arrays, make_room, put_study, work_all

STUDIES, KILLS = 12, 20


def read_all(folder):
    """Receive, analyse and sign every study, from wherever an earlier process was stopped."""
    room = make_room(folder)
    take_up_again(room, ALL, crashed=False)
    for i in range(STUDIES):
        study = put_study(room, b"study %d" % i)
        work_all(room)
        with contextlib.suppress(SignedError):
            readings.sign(room, study, study_of(room, study)["study"]["version"], reader=READER)


def run_and_kill(folder, seconds):
    """Run `read_all` in a process and kill it after some time; return whether it was killed before its end."""
    process = multiprocessing.get_context("fork").Process(target=read_all, args=(folder,))
    process.start()
    process.join(seconds)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)  # it may reach its end first
    process.join()
    assert process.exitcode in (-signal.SIGKILL, 0)
    return process.exitcode != 0


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_repeat_nothing(tmp_path):
    closed_form_arrays()
    start = time.perf_counter()
    assert not run_and_kill(tmp_path / "unharmed", 120)
    usual = time.perf_counter() - start
    rng = np.random.default_rng(20)
    kills = sum(run_and_kill(tmp_path / "killed", usual * rng.uniform(0.02, 0.25)) for _ in range(KILLS))
    assert kills >= 5
    read_all(tmp_path / "killed")

    room = make_room(tmp_path / "killed")
    with reading(room.engine) as connection:
        for table in (studies, analyses, edits, signatures):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == STUDIES, table.name
        contents = [key for (key,) in connection.execute(select(signatures.c.sha256))]
    assert check_room(room) == 0
    assert all(room.blobs.read_checked(key) for key in contents)
    assert wanted_files(room) <= set(room.blobs.keys())
