"""Engines: every item comes back with its outcome, whatever becomes of the processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from myoperf.errors import InputError
from myoperf.pipeline.engines import DaskEngine, LocalEngine, ThisProcess, WorkerDied
from support.work import double_or_end, hold_memory, threads

TESTS = Path(__file__).parents[1]
RUN_AND_BE_KILLED = """
import sys
from pathlib import Path
from myoperf.pipeline.engines import LocalEngine
from myoperf.pipeline.jobs import map_jobs
from support.work import write_slowly

if __name__ == "__main__":
    out = Path(sys.argv[1])
    jobs = {out / "results" / str(i): i for i in range(8)}
    todo = {path: job for path, job in jobs.items() if not path.exists()}
    print("running", flush=True)
    for path, failed in map_jobs(todo, write_slowly, engine=LocalEngine(workers=2)):
        assert failed is None
    print("finished", flush=True)
"""


def test_this_process_keeps_the_order():
    assert list(ThisProcess().map(abs, [-3, 1, -2])) == [(-3, 3), (1, 1), (-2, 2)]


def test_a_process_that_dies_fails_its_item_alone():
    outcomes = dict(LocalEngine(workers=2).map(double_or_end, [1, "die", 2, "leave", 3, 4]))
    assert {item: outcomes[item][0] for item in (1, 2, 3, 4)} == {1: 2, 2: 4, 3: 6, 4: 8}
    assert outcomes["die"] == WorkerDied("its process was killed (often because memory ran out)")
    assert outcomes["leave"] == WorkerDied("its process ended with exit code 3")


def test_an_error_stops_the_map_and_says_where_it_was_raised():
    with pytest.raises(ZeroDivisionError, match="seven") as raised:
        list(LocalEngine(workers=1).map(double_or_end, [1, "raise", 2]))
    assert "double_or_end" in raised.value.__notes__[0]


def test_processes_have_one_thread_each_and_this_one_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    assert [count for _, count in LocalEngine(workers=1).map(threads, [0])] == ["1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "NUMBA_NUM_THREADS" not in os.environ


def test_a_process_is_kept_until_it_holds_too_much_memory():
    kept = [pid for _, pid in LocalEngine(workers=1).map(hold_memory, [1, 1, 1])]
    assert len(set(kept)) == 1
    first, second, third = (pid for _, pid in LocalEngine(workers=1, memory_mb=600).map(hold_memory, [1, 600, 1]))
    assert first == second != third


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_resumes_without_doing_anything_twice(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(RUN_AND_BE_KILLED)
    command, environment = [sys.executable, str(script), str(tmp_path)], os.environ | {"PYTHONPATH": _paths()}
    results = tmp_path / "results"
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as run:
        assert run.stdout.readline() == b"running\n"
        _wait_for_results(results, 1)
        os.kill(run.pid, signal.SIGKILL)
    started = len((tmp_path / "started.txt").read_text().split())
    time.sleep(0.5)
    assert len((tmp_path / "started.txt").read_text().split()) == started  # no orphan goes on
    subprocess.run(command, check=True, env=environment, timeout=120)
    assert _whole(results) == sorted(map(str, range(8)))
    assert not list(results.glob("*.part"))
    log = (tmp_path / "started.txt").read_text().split()
    assert len(log) <= 8 + 2  # only what was at work when the run was killed starts again


def _whole(results):
    folders = [path for path in results.iterdir() if path.suffix != ".part"]
    assert all({file.name for file in folder.iterdir()} == {"first", "second"} for folder in folders)
    return sorted(path.name for path in folders)


def _paths():
    return os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])


def _wait_for_results(results, count, seconds=120.0):
    end = time.monotonic() + seconds
    while not (results.is_dir() and len(_whole(results)) >= count):
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_dask_gives_the_items_of_killed_processes_to_others():
    engine = DaskEngine(workers=2)
    numbers = list(range(1, 9))  # some wait on the workers that die, and are blamed with "die"
    outcomes = dict(engine.map(double_or_end, [*numbers[:2], "die", *numbers[2:]]))
    assert {item: outcomes[item][0] for item in numbers} == {item: 2 * item for item in numbers}
    assert isinstance(outcomes["die"], WorkerDied)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_dask_replaces_workers_that_are_not_started_again(monkeypatch):
    from distributed import Nanny, dask

    async def give_up(nanny, exitcode):
        await nanny.close()

    monkeypatch.setattr(Nanny, "_on_worker_exit", give_up)  # as on a machine too busy to start a process in time
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        outcomes = dict(DaskEngine(workers=1).map(double_or_end, [1, "die", 2]))
    assert (outcomes[1][0], outcomes[2][0]) == (2, 4)
    assert isinstance(outcomes["die"], WorkerDied)


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_does_not_answer_is_named():
    with pytest.raises(InputError, match="No Dask scheduler answers at nonsense://"):
        list(DaskEngine(workers=1, scheduler="nonsense://nowhere").map(abs, [1]))
