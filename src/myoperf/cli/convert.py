"""``myoperf convert``: scans to NIfTI, each with a JSON file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from myoperf.cli.app import GivenState, Quiet, Series, app
from myoperf.cli.console import counting, destination, one_of
from myoperf.errors import OutputExistsError
from myoperf.files import check_folder
from myoperf.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from myoperf.types import Scan, State, Study


@app.command()
def convert(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", hidden=True)],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder for the files.")],
    state: GivenState = None,
    series: Series = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files of the same name.")] = False,
    quiet: Quiet = False,
) -> None:
    """Convert perfusion scans to NIfTI, each with a JSON file beside it.

    PATH is a file, a folder or a zip file: DICOM (NM or PT, raw or reconstructed) or NIfTI. Every series becomes one
    file, with gates or time frames as the fourth axis; several studies get a folder each. The JSON file holds what
    NIfTI cannot (times, tracer, corrections, gates) and never who the patient is. `myoperf analyze` reads both back.
    """
    from myoperf.io import read_studies, write_converted
    from myoperf.io.sidecar import sidecar_path

    if out.exists() and not out.is_dir():
        raise OutputExistsError(f"{out.name} is a file; choose a folder for the files.")
    check_folder(out)
    with counting("reading", quiet=quiet) as progress:
        given = cast("State | None", state and one_of("--state", state, ("stress", "rest")))
        read = read_studies(paths, state=given, series=series or (), every_series=True, progress=progress)
    for skipped in read.skipped:
        typer.echo(printable(f"skipped {skipped.file}: {skipped.reason}"), err=True)
    jobs = dict(_files(read.studies, out))
    taken = [name for path in jobs for name in (path, sidecar_path(path)) if name.exists()]
    if taken and not overwrite:
        raise OutputExistsError(f"{taken[0].name} exists in the folder; choose another, or --overwrite.")
    with destination(out, lambda: None), counting("writing", quiet=quiet, total=len(jobs)) as progress:
        for done, (path, scan) in enumerate(jobs.items(), start=1):
            write_converted(path, scan, overwrite=overwrite)
            progress(done)
    for path in jobs:
        typer.echo(str(path))


def _files(studies: Sequence[Study], out: Path) -> Iterator[tuple[Path, Scan]]:
    """Yield the file of every scan."""
    from myoperf.io import converted_name
    from myoperf.pipeline import scan_names

    for study in studies:
        folder = out if len(studies) == 1 else out / study.name
        for name, scan in zip(scan_names(study.scans), study.scans, strict=True):
            yield folder / f"{converted_name(name, scan)}.nii.gz", scan
