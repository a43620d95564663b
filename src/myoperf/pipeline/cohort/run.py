"""Run a cohort: every study that has no result yet, on an engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from myoperf.errors import InputError, OutputExistsError
from myoperf.files import lock_destination
from myoperf.pipeline.cohort.inputs import StudyInput
from myoperf.pipeline.cohort.rows import STUDIES, InputRows, failed_row, read_rows, write_rows
from myoperf.pipeline.cohort.settings import CohortSettings
from myoperf.pipeline.cohort.study import AnalyseInput, named
from myoperf.pipeline.engines import Engine, WorkerDied
from myoperf.pipeline.jobs import claim_folder, map_jobs, remove_part, write_whole


@dataclass(frozen=True, kw_only=True)
class CohortProgress:
    """How far a run is.

    Attributes
    ----------
    total
        Entries of the cohort.
    kept
        Entries that earlier runs finished.
    done, failed
        Entries that this run finished, and how many of them failed.
    written_bytes
        Size of this run's results so far.
    """

    total: int
    kept: int
    done: int = 0
    failed: int = 0
    written_bytes: int = 0

    @property
    def expected_bytes(self) -> float | None:
        """Estimate of what this run still has to write; None before the first result."""
        left = self.total - self.kept - self.done
        return left * self.written_bytes / self.done if self.done else None


def run_cohort(
    inputs: Sequence[StudyInput],
    out: Path,
    settings: CohortSettings,
    engine: Engine,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    progress: Callable[[CohortProgress], None] = lambda _: None,
) -> CohortProgress:
    """Analyse every entry that has no result in `out` yet; each result appears there whole or not at all.

    Parameters
    ----------
    out
        New or empty; with `resume`, the folder of an earlier run of the same settings.
    retry_failed
        Analyse entries again that failed before.
    progress
        Called at the start and after each entry.

    Raises
    ------
    OutputExistsError
        When `out` holds something and `resume` is false, or another run is at work in it.
    InputError
        When `out` holds results of other settings, or a study's were made with another state, sex or limits.
    """
    record = settings.record()
    if not resume and out.exists() and any(out.iterdir()):
        raise OutputExistsError(
            f"The folder {out.name} is not empty; choose another with -o, or continue its cohort with --resume."
        )
    out.mkdir(parents=True, exist_ok=True)
    with lock_destination(out):
        claim_folder(out, record)
        kept = finished_inputs(inputs, out, retry_failed=retry_failed)
        todo = {out / STUDIES / one.folder_name: one for one in inputs if one not in kept}
        # Remove what a killed run was writing, what a power failure damaged, and failures that are to be tried again.
        for folder in (*(out / STUDIES).glob("*.part"), *(out / STUDIES).glob(".*"), *todo):
            remove_part(folder)
        state = CohortProgress(total=len(inputs), kept=len(kept))
        progress(state)
        for folder, outcome in map_jobs(todo, AnalyseInput(settings), engine=engine):
            if isinstance(outcome, WorkerDied):
                _write_death(folder, todo[folder], outcome)
            state = _advanced(state, folder)
            progress(state)
    return state


def finished_inputs(
    inputs: Sequence[StudyInput], out: Path, *, retry_failed: bool = False
) -> Mapping[StudyInput, InputRows]:
    """Return the entries that have a result in `out`, with their rows.

    Raises
    ------
    InputError
        When a result was made with another state, sex or limits than the entry gives.
    """
    finished = {}
    for one in inputs:
        rows = read_rows(out / STUDIES / one.folder_name)
        if rows is None or (retry_failed and any(row["status"] == "failed" for row in rows.rows)):
            continue
        if rows.choices != one.choices():
            raise InputError(
                f"The result of {one.name} was made with another state, sex or limits than its row now gives; choose "
                "another folder, or restore the row."
            )
        finished[one] = rows
    return finished


def _write_death(folder: Path, one: StudyInput, died: WorkerDied) -> None:
    """Write the row of an entry whose process died."""
    row = failed_row(f"The study could not be finished: {died.reason}.")
    with write_whole(folder) as part:
        part.mkdir()
        write_rows(part, InputRows(rows=(named(row, one),), choices=one.choices()))


def _advanced(state: CohortProgress, folder: Path) -> CohortProgress:
    """Return the progress after one more entry."""
    rows = read_rows(folder)
    failed = rows is None or any(row["status"] == "failed" for row in rows.rows)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return CohortProgress(
        total=state.total,
        kept=state.kept,
        done=state.done + 1,
        failed=state.failed + failed,
        written_bytes=state.written_bytes + size,
    )
