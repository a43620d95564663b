"""``myoperf normals``: build limits from a folder of normal studies, show those there are."""

from __future__ import annotations

import re
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from myoperf.errors import InputError, OutputExistsError
from myoperf.perfusion import read_limits_folder, shipped_limits, write_limits
from myoperf.perfusion.normal_limits import MIN_MAPS
from myoperf.pipeline.normals import measure_normals, patient_folders, pool_normals

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
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"--name starts the files' names: letters, digits, '.', '_' and '-' only; got {name!r}.")
    if out.exists() and not out.is_dir():
        raise InputError(f"-o is a folder for the limits; {out.name} is a file.")
    folders = patient_folders(folder)
    if len(folders) < MIN_MAPS:
        raise InputError(f"Normal limits need {MIN_MAPS} patients or more; {folder.name} has {len(folders)}.")
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
        raise InputError(
            f"No state has {MIN_MAPS} maps, too few for normal limits: {len(pooled.maps)} maps of {pooled.studies} "
            f"patients, {pooled.failed} failed, {pooled.doubtful} left out as doubtful."
        )
    out.mkdir(parents=True, exist_ok=True)
    for one in limits:
        write_limits(out / f"{one.name}.npz", one)
        typer.echo(f"{one.name}: n = {one.n}")


def show(folder: Path | None = None) -> None:
    """List the limits in the package, or in a folder."""
    held = shipped_limits() if folder is None else read_limits_folder(folder)
    for one in held:
        typer.echo(f"{one.name}  version {one.version}  n = {one.n}  {one.provenance}  licence {one.licence}")
    if not held:
        typer.echo("no normal limits in the package")
