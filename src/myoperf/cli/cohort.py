"""``myoperf cohort``: many studies, one row each in a table."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from myoperf.cli.app import Device, Diagnosis, Finder, Formats, Limits, NetworkEngine, Quiet, Territories, app
from myoperf.cli.console import command_line, one_of
from myoperf.errors import InputError
from myoperf.files import check_folder
from myoperf.text import printable

if TYPE_CHECKING:
    from myoperf.pipeline.cohort import CohortProgress, CohortSettings, StudyInput
    from myoperf.pipeline.engines import Engine

_LINE_EVERY_S = 60.0
"""Without a terminal, progress is a line this often."""

CohortFolder = Annotated[
    Path,
    typer.Option("-o", "--out", metavar="FOLDER", help="Folder for the table, the summary and the results."),
]
EngineName = Annotated[
    str,
    typer.Option(metavar="local|dask", help="Where studies are analysed: in processes on this machine, or by Dask."),
]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="With --engine dask: a running scheduler, tcp://HOST:PORT.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Number of processes; by default one for each core.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue a run that stopped; finished studies are kept.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="With --resume: analyse failed studies again.")]
Merge = Annotated[
    bool, typer.Option("--merge", help="Merge cohorts that were analysed with the same settings into one.")
]
Intervals = Annotated[
    bool, typer.Option(help="Repeat each analysis to get intervals of its numbers; without them, it is much faster.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the studies and what is left to do; write nothing.")]


@app.command()
def cohort(
    sources: Annotated[list[Path], typer.Argument(metavar="FOLDER|CSV", hidden=True)],
    out: CohortFolder,
    engine: EngineName = "local",
    scheduler: Scheduler = None,
    workers: Workers = None,
    resume: Resume = False,
    retry_failed: RetryFailed = False,
    merge: Merge = False,
    formats: Formats = "json",
    limits: Limits = None,
    territories: Territories = "default",
    lv: Finder = "network",
    lv_engine: NetworkEngine = "auto",
    device: Device = "cpu",
    diagnosis: Diagnosis = True,
    intervals: Intervals = True,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Analyse many studies; write a table, a summary and each study's results.

    FOLDER has a sub-folder, or a DICOM, NIfTI or zip file, for each study. CSV has a row for each study with the column
    path and any of study, state, sex and limits. A study that fails is listed with its reason and the others go on; the
    exit code is then 1. With --merge, give the folders of cohorts that were analysed apart.
    """
    from myoperf.pipeline import read_formats
    from myoperf.pipeline.cohort import CohortSettings, list_inputs, run_cohort

    if merge:
        _merge(sources, out)
        return
    if len(sources) != 1:
        raise InputError(f"A cohort is one folder or one CSV file; got {len(sources)}. To join cohorts, use --merge.")
    engine = one_of("--engine", engine, ("local", "dask"))
    settings = CohortSettings(
        formats=read_formats(formats),
        lv=one_of("--lv", lv, ("network", "classical")),
        engine=lv_engine,
        device=device,
        diagnosis=diagnosis,
        territories=territories,
        limits=limits,
        intervals=intervals,
        command=command_line(),
    )
    if out.resolve().is_relative_to(sources[0].resolve()):
        raise InputError(
            f"The results cannot lie in the folder of the studies; choose a folder outside {sources[0].name}."
        )
    check_folder(out)
    inputs = list_inputs(sources[0])
    if dry_run:
        _describe(inputs, out, settings)
        return
    chosen = _engine(engine, scheduler, workers)
    try:
        with _shown(quiet=quiet, out=out) as progress:
            run_cohort(inputs, out, settings, chosen, resume=resume, retry_failed=retry_failed, progress=progress)
    except (KeyboardInterrupt, SystemExit):
        typer.echo("the finished studies are kept; go on with the same command and --resume", err=True)
        raise
    raise typer.Exit(_finish(out))


def _engine(name: str, scheduler: str | None, workers: int | None) -> Engine:
    """Return where the studies are analysed."""
    from myoperf.pipeline.engines import DaskEngine, LocalEngine
    from myoperf.threads import usable_cores

    if name == "dask":
        return DaskEngine(workers=workers or usable_cores(), scheduler=scheduler)
    if scheduler is not None:
        raise InputError("--scheduler is for --engine dask.")
    return LocalEngine(workers=workers or usable_cores())


def _finish(out: Path) -> int:
    """Write the table and the summary, list the failures, and return the exit code."""
    from myoperf.pipeline.cohort import iterate_rows, write_tables
    from myoperf.report.cohort_summary import write_cohort_summary

    tables = write_tables(out)
    page = write_cohort_summary(out / "cohort.csv", out / "summary.html")
    failed = [(row["study"], row["reason"]) for row in iterate_rows(out) if row["status"] == "failed"]
    for study, reason in failed[:20]:
        typer.echo(printable(f"failed {study}: {reason}"), err=True)
    if len(failed) > 20:
        typer.echo(f"... and {len(failed) - 20} more; see the column reason of cohort.csv", err=True)
    for path in (*tables, page):
        typer.echo(str(path))
    return 1 if failed else 0


def _merge(sources: Sequence[Path], out: Path) -> None:
    """Merge cohorts and write the table and the summary of all."""
    from myoperf.pipeline.cohort import merge_cohorts

    if len(sources) < 2:
        raise InputError("--merge needs two cohorts or more.")
    check_folder(out)
    taken, left_out = merge_cohorts(sources, out)
    typer.echo(f"{taken} studies; {left_out} were in several cohorts and are taken once", err=True)
    raise typer.Exit(_finish(out))


def _describe(inputs: Sequence[StudyInput], out: Path, settings: CohortSettings) -> None:
    """Print what a run would do."""
    from myoperf.pipeline.cohort import finished_inputs

    settings.record()  # raises where a setting cannot be used
    finished = finished_inputs(inputs, out)
    for one in inputs:
        given = ", ".join(f"{key} {value}" for key, value in one.choices().items() if value)
        words = (printable(one.name), f"[{given}]" if given else "", "done" if one in finished else "")
        typer.echo("  ".join(word for word in words if word))
    free = shutil.disk_usage(next(path for path in (out, *out.resolve().parents) if path.exists())).free
    typer.echo(f"{len(inputs)} studies, {len(finished)} done, {len(inputs) - len(finished)} to analyse")
    seconds = [float(row["seconds"] or 0) for rows in finished.values() for row in rows.rows]
    if seconds:
        left = (len(inputs) - len(finished)) * sum(seconds) / len(finished)
        size = sum(f.stat().st_size for f in (out / "studies").rglob("*") if f.is_file()) / len(finished)
        need = _size((len(inputs) - len(finished)) * size)
        typer.echo(
            f"about {_duration(left)} on one core and {need} of disk, by the finished studies; {_size(free)} free"
        )
    else:
        typer.echo(f"{_size(free)} of disk free; time and disk are estimated once the first studies are done")


@contextmanager
def _shown(*, quiet: bool, out: Path) -> Iterator[Callable[[CohortProgress], None]]:
    """Show progress with estimates of time and disk: a bar on a terminal, else a line a minute."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    started, last, console = time.monotonic(), [time.monotonic()], Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        def show(state: CohortProgress) -> None:
            text = _progress_text(state, time.monotonic() - started, shutil.disk_usage(out).free)
            bar.update(task, completed=state.kept + state.done, total=state.total, description=text)
            if not quiet and not console.is_terminal and time.monotonic() - last[0] > _LINE_EVERY_S:
                typer.echo(
                    ", ".join(filter(None, (f"{state.kept + state.done} of {state.total} done", text))), err=True
                )
                last[0] = time.monotonic()

        yield show


def _progress_text(state: CohortProgress, elapsed: float, free: int) -> str:
    """Describe how far a run is: failures, time left, disk used and still needed."""
    parts = [f"{state.failed} failed"] if state.failed else []
    if state.done and state.expected_bytes is not None:
        left = (state.total - state.kept - state.done) * elapsed / state.done
        parts += [f"{_duration(left)} left", f"{_size(state.expected_bytes)} more disk"]
        if state.expected_bytes > free:
            parts.append(f"only {_size(free)} free")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {int(seconds % 60):02d} s"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
