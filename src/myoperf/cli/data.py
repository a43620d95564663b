"""``myoperf data``: public data sets by name, fetched where they can be checked, else verified where they are."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from myoperf.cli.app import Quiet, app
from myoperf.cli.console import counting, one_of
from myoperf.errors import InputError

if TYPE_CHECKING:
    from myoperf.research.public_sets import PublicSet

data = typer.Typer(help="Public data sets: list them, fetch them by name, check them by hash.", no_args_is_help=True)
app.add_typer(data, name="data")


@data.command("list")
def show() -> None:
    """List the public sets, where they come from and their terms."""
    from myoperf.research.public_sets import SETS

    for entry in SETS.values():
        typer.echo(f"{entry.name}: {entry.title}\n  {entry.home}\n  licence: {entry.licence}\n  cite: {entry.cite}")


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", hidden=True)],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FOLDER", help="Folder of the set; files already there are verified."),
    ],
    quiet: Quiet = False,
) -> None:
    """Fetch a public set and check each file by hash.

    NAME is physionet-mps, or spect-mpi, which needs an account and is verified where you put it.
    """
    from myoperf.research.public_sets import SETS, fetch_files

    entry = SETS[one_of("The set", name, tuple(SETS))]
    typer.echo(f"{entry.title}\nlicence: {entry.licence}\ncite: {entry.cite}")
    if not entry.files:
        _verify_pictures(entry, out, quiet=quiet)
        return
    out.mkdir(parents=True, exist_ok=True)
    with counting("files", quiet=quiet) as report:
        fetched, count = fetch_files(entry, out, report=report)
    typer.echo(f"{count} files have the hashes their publisher lists; {fetched} were fetched now.")


def _verify_pictures(entry: PublicSet, out: Path, *, quiet: bool) -> None:
    """Check the layout of the SPECT-MPI set, its hashes since the last time, and that its pictures can be read.

    Exits with code 1 when a picture cannot be read.
    """
    from myoperf.files import whole_file
    from myoperf.research.public_sets import keep_hashes
    from myoperf.research.slice_transformer.spect_mpi import PATIENTS, find_spect_mpi, read_spect_mpi

    if not out.is_dir() or not any(out.iterdir()):
        raise InputError(f"{entry.name} cannot be fetched by MyoPerf ({entry.home}). {entry.by_hand}")
    files = find_spect_mpi(out)
    compared = keep_hashes(out, list(files.pictures.values()))
    with counting("pictures", quiet=quiet) as report:
        read, refused = read_spect_mpi(files, report=report)
    with (
        whole_file(out / "myoperf-pictures.csv", overwrite=True) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("patient", "part", "abnormal", "read", "scale", "reason"))
        for key in files.pictures:
            scale = read[key].scale if key in read else ""
            writer.writerow((key, files.part[key], files.truth[key], int(key in read), scale, refused.get(key, "")))
    abnormal = sum(files.truth.values())
    typer.echo(
        f"{len(files.truth)} patients, {len(files.truth) - abnormal} normal and {abnormal} abnormal (the whole set: "
        f"{PATIENTS['normal']} and {PATIENTS['abnormal']}); "
        + (f"{compared} hashes are unchanged." if compared else "hashes kept for the next time.")
    )
    typer.echo(f"{len(read)} pictures can be read, {len(refused)} cannot; see myoperf-pictures.csv.")
    if refused:
        raise typer.Exit(1)
