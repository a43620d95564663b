"""Resumable jobs: a folder with one result file a job, written whole or not at all.

Studies and cohorts run their jobs by `run_jobs`. A job whose result file exists is finished and is not run again, so an
interrupted run resumes where it stopped. `claim_folder` makes sure that all results of a folder have the same settings.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

from myoperf.errors import InputError

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
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a path to write to; the file moves to `path` when the block ends, so that a stop leaves no partial file.

    The path ends in ``.part``: open it for functions that add an ending of their own, such as `numpy.savez`.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def run_jobs(
    jobs: Mapping[Path, Job],
    work: Callable[[Job, Path], None],
    *,
    title: str = "jobs",
    quiet: bool = True,
    expected: tuple[type[Exception], ...] = (),
    until: float | None = None,
) -> JobsOutcome:
    """Run the jobs whose result file does not exist yet, in order.

    Parameters
    ----------
    jobs
        Result file -> job.
    work
        Does a job and writes its result to the path it gets, see `write_whole`.
    title
        Of the progress bar on standard error; none is drawn when `quiet`.
    expected
        Errors that end a job but not the run; they are listed in the outcome. Any other error stops the run.
    until
        Value of `time.monotonic` after which no further job starts; default: no limit.
    """
    finished, kept, failed, left = [], [], {}, []
    for path, job in track(jobs.items(), title, total=len(jobs), disable=quiet, console=Console(stderr=True)):
        if path.exists():
            kept.append(path)
        elif until is not None and time.monotonic() > until:
            left.append(path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with write_whole(path) as part:
                    work(job, part)
            except expected as error:
                failed[path] = str(error)
            else:
                finished.append(path)
    return JobsOutcome(finished=tuple(finished), kept=tuple(kept), failed=failed, left=tuple(left))
