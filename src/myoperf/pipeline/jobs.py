"""Resumable jobs: a folder with one result a job, a file or a folder, written whole or not at all.

The papers' studies run their jobs by `run_jobs`, cohorts by `map_jobs`, on any engine of `myoperf.pipeline.engines`. A
job whose result exists is finished and is not run again, so an interrupted run resumes where it stopped. `make_once`
does the same for a single file, such as the patients that the jobs share. `claim_folder` makes sure that all results of
a folder have the same settings.
"""

import errno
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from rich.console import Console
from rich.progress import track

from myoperf.errors import InputError
from myoperf.pipeline.engines import Engine, ThisProcess, WorkerDied

Job = TypeVar("Job")
_NOT_COMPARED = ("mark", "myoperf")  # a checksum that version 0.1.0 wrote, and the version that began the folder


@dataclass(frozen=True, kw_only=True)
class JobsOutcome:
    """What `run_jobs` did.

    Attributes
    ----------
    finished
        Result files written now.
    kept
        Result files that existed before.
    failed
        Reason by result file, of jobs that failed with an expected error.
    left
        Result files of jobs that were not started because time was up.
    """

    finished: tuple[Path, ...]
    kept: tuple[Path, ...]
    failed: Mapping[Path, str]
    left: tuple[Path, ...]


def claim_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make a folder of jobs and record its settings in ``settings.json``; refuse a folder of other settings.

    Parameters
    ----------
    settings
        Everything that changes a result, as JSON can hold it. ``myoperf``, the version, is recorded but not compared.

    Raises
    ------
    InputError
        When the folder has other settings; the message names the first that differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "settings.json"
    wanted = json.loads(json.dumps(settings))
    if not file.exists():
        with write_whole(file) as part:
            part.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        return
    existing = json.loads(file.read_text(encoding="utf-8"))
    differing = sorted(
        name for name in {*wanted, *existing}.difference(_NOT_COMPARED) if wanted.get(name) != existing.get(name)
    )
    if differing:
        raise InputError(
            f"The folder {folder.name} holds results of other settings ({', '.join(differing)}); choose another folder."
        )


@contextmanager
def write_whole(path: Path, *, writer: str = "") -> Iterator[Path]:
    """Yield a path for a file or folder; it moves to `path` when the block ends, so that a stop leaves nothing partial.

    The path ends in ``.part``: open it for functions that add an ending of their own, such as `numpy.savez`. Where
    several processes might write the same result, each gives its own `writer`, which becomes part of the name.
    """
    part = path.with_name(f"{path.name}.{writer}.part" if writer else f"{path.name}.part")
    remove_part(part)
    try:
        yield part
        part.replace(path)
    finally:
        remove_part(part)


def make_once(path: Path, make: Callable[[Path], object]) -> None:
    """Make a file or folder unless an earlier run did; one that exists is kept as it is.

    Parameters
    ----------
    make
        Writes to the path that it gets, see `write_whole`.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as part:
            make(part)


def remove_part(part: Path) -> None:
    """Remove what an interrupted process left of a file or folder, if anything."""
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


@dataclass(frozen=True)
class _DoJob(Generic[Job]):
    """Does a job and writes its result whole, in whatever process; returns why the job failed, or None."""

    work: Callable[[Job, Path], None]
    expected: tuple[type[Exception], ...]
    alone: bool

    def __call__(self, job: tuple[Path, Job]) -> str | None:
        path, what = job
        writer = "" if self.alone else f"{socket.gethostname()}-{os.getpid()}"
        try:
            with write_whole(path, writer=writer) as part:
                self.work(what, part)
        except self.expected as error:
            return str(error)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # a cluster may give a job to a second worker
                raise
        return None


def map_jobs(
    jobs: Mapping[Path, Job],
    work: Callable[[Job, Path], None],
    *,
    engine: Engine,
    expected: tuple[type[Exception], ...] = (),
    until: float | None = None,
) -> Iterator[tuple[Path, str | WorkerDied | None]]:
    """Run jobs whose result does not exist yet; yield each path as its job ends, with the reason where it failed.

    Only one run at a time may write to a folder: what earlier runs left unfinished is removed at the start.

    Parameters
    ----------
    jobs
        Result, a file or a folder -> job.
    work
        Does a job and writes its result to the path it gets, see `write_whole`. Engines other than
        `~myoperf.pipeline.engines.ThisProcess` send it and the jobs to other processes, by pickle.
    expected
        Errors that end a job but not the run. Any other error stops the run.
    until
        Value of `time.monotonic` after which no further job starts; default: no limit.
    """
    alone = isinstance(engine, ThisProcess)
    for folder in {path.parent for path in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
        for part in () if alone else folder.glob("*.part"):
            remove_part(part)
    started = ((path, job) for path, job in jobs.items() if until is None or time.monotonic() <= until)
    for (path, _), outcome in engine.map(_DoJob(work, expected, alone), started):
        yield path, outcome


def run_jobs(
    jobs: Mapping[Path, Job],
    work: Callable[[Job, Path], None],
    *,
    engine: Engine | None = None,
    title: str = "jobs",
    quiet: bool = True,
    expected: tuple[type[Exception], ...] = (),
    until: float | None = None,
) -> JobsOutcome:
    """Run the jobs whose result does not exist yet, and return what became of each.

    Parameters
    ----------
    jobs, work, expected, until
        As in `map_jobs`.
    engine
        Where the jobs run; default: in this process, one after the other in their order.
    title
        Of the progress bar on standard error; none is drawn when `quiet`.
    """
    kept = tuple(path for path in jobs if path.exists())
    todo = {path: job for path, job in jobs.items() if path not in set(kept)}
    finished, failed = [], {}
    ends = map_jobs(todo, work, engine=engine or ThisProcess(), expected=expected, until=until)
    for path, reason in track(ends, title, total=len(todo), disable=quiet, console=Console(stderr=True)):
        if reason is None:
            finished.append(path)
        else:
            failed[path] = reason.reason if isinstance(reason, WorkerDied) else reason
    left = tuple(path for path in todo if path not in failed and path not in set(finished))
    return JobsOutcome(finished=tuple(finished), kept=kept, failed=failed, left=left)
