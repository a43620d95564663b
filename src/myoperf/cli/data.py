"""``myoperf data``: public data sets by name, fetched where they can be checked, else verified where they lie."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from myoperf.errors import InputError
from myoperf.research.public_sets import SETS, PublicSet, fetch_files, keep_hashes

__all__ = ["fetch", "show"]


def show() -> None:
    """List the sets, their homes and terms."""
    for entry in SETS.values():
        typer.echo(f"{entry.name}: {entry.title}\n  {entry.home}\n  licence: {entry.licence}\n  cite: {entry.cite}")


def fetch(name: str, out: Path, *, quiet: bool) -> None:
    """Fetch a set into `out` or verify what lies there; exit code 1 when a picture of a report could not be read."""
    if name not in SETS:
        raise InputError(f"The set is one of {', '.join(SETS)}; got {name}.")
    entry = SETS[name]
    typer.echo(f"{entry.title}\nlicence: {entry.licence}\ncite: {entry.cite}")
    if entry.files:
        out.mkdir(parents=True, exist_ok=True)
        with _bar("files", quiet) as report:
            fetched, count = fetch_files(entry, out, report=report)
        typer.echo(f"{count} files have the hashes their publisher lists; {fetched} were fetched now.")
    else:
        _verify_pictures(entry, out, quiet=quiet)


def _verify_pictures(entry: PublicSet, out: Path, *, quiet: bool) -> None:
    """Check the layout of the SPECT-MPI set, its hashes since the last time, and that its pictures can be read."""
    from myoperf.research.slice_transformer.spect_mpi import PATIENTS, find_spect_mpi, read_spect_mpi

    if not out.is_dir() or not any(out.iterdir()):
        raise InputError(f"{entry.name} cannot be fetched by MyoPerf ({entry.home}). {entry.by_hand}")
    found = find_spect_mpi(out)
    compared = keep_hashes(out, list(found.pictures.values()))
    with _bar("pictures", quiet) as report:
        read, refused = read_spect_mpi(found, report=report)
    with (out / "myoperf-pictures.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("patient", "part", "abnormal", "read", "scale", "reason"))
        for key in found.pictures:
            scale = read[key].scale if key in read else ""
            writer.writerow((key, found.part[key], found.truth[key], int(key in read), scale, refused.get(key, "")))
    abnormal = sum(found.truth.values())
    typer.echo(
        f"{len(found.truth)} patients, {len(found.truth) - abnormal} normal and {abnormal} abnormal (the whole set: "
        f"{PATIENTS['normal']} and {PATIENTS['abnormal']}); "
        + (f"{compared} hashes are as before." if compared else "hashes kept for the next time.")
    )
    typer.echo(f"{len(read)} pictures can be read, {len(refused)} cannot; see myoperf-pictures.csv.")
    if refused:
        raise typer.Exit(1)


@contextmanager
def _bar(what: str, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    if quiet:
        yield None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
