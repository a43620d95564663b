import json
import os
import signal
import subprocess
import sys
import time

import pytest

from myoperf.errors import InputError
from myoperf.pipeline.jobs import claim_folder, make_once, run_jobs, write_whole


def _write(job, path):
    path.write_text(job)


def test_a_folder_takes_jobs_of_its_own_settings_only(tmp_path):
    settings = {"myoperf": "0.1.0", "seed": 0, "plan": {"inputs": ("stress", "rest")}}
    claim_folder(tmp_path / "jobs", settings)
    claim_folder(tmp_path / "jobs", settings | {"myoperf": "0.2.0"})
    assert json.loads((tmp_path / "jobs" / "settings.json").read_text())["myoperf"] == "0.1.0"
    with pytest.raises(InputError, match=r"other settings \(seed\)"):
        claim_folder(tmp_path / "jobs", settings | {"seed": 1})
    with pytest.raises(InputError, match=r"other settings \(data_sha256\)"):
        claim_folder(tmp_path / "jobs", settings | {"data_sha256": "0"})


def test_a_folder_that_version_0_1_0_began_is_resumed(tmp_path):
    begun = json.dumps({"mark": "77", "myoperf": "0.1.0", "seed": 0})
    (tmp_path / "settings.json").write_text(begun)
    claim_folder(tmp_path, {"myoperf": "0.2.0", "seed": 0})
    assert (tmp_path / "settings.json").read_text() == begun


def test_finished_jobs_are_kept_and_the_others_run_in_order(tmp_path):
    jobs = {tmp_path / f"{name}.txt": name for name in "cab"}
    (tmp_path / "a.txt").write_text("kept")
    done = run_jobs(jobs, _write)
    assert [p.stem for p in done.finished] == ["c", "b"]
    assert [p.stem for p in done.kept] == ["a"]
    assert {p.stem: p.read_text() for p in jobs} == {"a": "kept", "b": "b", "c": "c"}
    assert run_jobs(jobs, _write).finished == ()


def test_an_expected_error_is_listed_and_any_other_stops_the_run(tmp_path):
    def work(job, path):
        path.write_text("half")
        if job == "bad":
            raise InputError("no volume")
        if job == "worse":
            raise ZeroDivisionError
        path.write_text(job)

    jobs = {tmp_path / name: name for name in ("bad", "good", "worse", "last")}
    with pytest.raises(ZeroDivisionError):
        run_jobs(jobs, work, expected=(InputError,))
    assert [p.name for p in tmp_path.iterdir()] == ["good"]
    del jobs[tmp_path / "worse"]
    done = run_jobs(jobs, work, expected=(InputError,))
    assert {p.name: reason for p, reason in done.failed.items()} == {"bad": "no volume"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["good", "last"]


def test_no_job_starts_when_time_is_up(tmp_path):
    done = run_jobs({tmp_path / "a": "a"}, _write, until=time.monotonic() - 1)
    assert [p.name for p in done.left] == ["a"]
    assert not list(tmp_path.iterdir())


def test_a_killed_process_leaves_no_result(tmp_path):
    code = (
        "import sys, time, pathlib; from myoperf.pipeline.jobs import write_whole\n"
        "with write_whole(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.write_text('half'); print('writing', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.csv")], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        os.kill(process.pid, signal.SIGKILL)
    assert not list(tmp_path.glob("*.csv"))
    with write_whole(tmp_path / "a.csv") as part:
        part.write_text("whole")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["whole"]


def test_a_file_is_made_once_and_whole(tmp_path):
    file, made = tmp_path / "cohort" / "patients.txt", []

    def make(part):
        part.write_text("half")
        made.append(part)
        if len(made) == 1:
            raise KeyboardInterrupt
        part.write_text("whole")

    with pytest.raises(KeyboardInterrupt):
        make_once(file, make)
    assert list(file.parent.iterdir()) == []  # what the stopped run began is gone
    make_once(file, make)
    make_once(file, make)
    assert file.read_text() == "whole"
    assert len(made) == 2
