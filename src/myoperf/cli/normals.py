"""``myoperf normals``: build limits from a folder of normal studies, show those there are."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from myoperf.errors import InputError, OutputExistsError
from myoperf.pipeline.normals import measure_normals, patient_folders, pool_normals
from myoperf.quant import shipped_limits, write_limits

__all__ = ["build", "show"]


def build(
    folder: Path,
    out: Path,
    *,
    name: str,
    version: str,
    tracer: str | None,
    camera: str | None,
    provenance: str,
    licence: str,
    workers: int,
    quiet: bool,
) -> None:
    """Build limits from the sub-folders of `folder`, one patient or one simulated cohort each, into `out`."""
    folders = patient_folders(folder)
    if out.exists() and any(out.glob(f"{name}-*.npz")):
        raise OutputExistsError(f"{out.name} already holds limits named {name}; give another --name or folder.")
    columns = (TextColumn("normals"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=len(folders))
        pooled = measure_normals(folders, workers=workers, progress=lambda n: bar.update(task, completed=n))
    said = f"{provenance}; {pooled.studies} studies, {pooled.failed} failed, {pooled.doubtful} left out as doubtful"
    limits = pool_normals(
        pooled, name=name, version=version, tracer=tracer, camera=camera, provenance=said, licence=licence
    )
    if not limits:
        raise InputError("Fewer than 10 maps of a state: too few for normal limits.")
    out.mkdir(parents=True, exist_ok=True)
    for one in limits:
        write_limits(out / f"{one.name}.npz", one)
        typer.echo(f"{one.name}: n = {one.n}")


def show() -> None:
    """List the limits in the package."""
    for one in shipped_limits():
        typer.echo(f"{one.name}  version {one.version}  n = {one.n}  {one.provenance}  licence {one.licence}")
    if not shipped_limits():
        typer.echo("no normal limits in the package")
