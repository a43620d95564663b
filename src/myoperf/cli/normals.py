"""``myoperf normals``: build normal limits from a folder of normal studies, and list limits."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from myoperf.cli.app import Quiet, app
from myoperf.cli.console import counting, destination
from myoperf.errors import InputError, OutputExistsError

if TYPE_CHECKING:
    from myoperf.perfusion import NormalLimits

normals = typer.Typer(help="Normal limits: build them from normal studies, list them.", no_args_is_help=True)
app.add_typer(normals, name="normals")


@normals.command()
def build(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", hidden=True)],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder for the limits.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the limits in reports.")],
    provenance: Annotated[
        str, typer.Option(metavar="TEXT", help="Origin of the studies; say so if they are simulated.")
    ],
    licence: Annotated[str, typer.Option(metavar="TEXT", help="Terms under which the limits may be used.")],
    version: Annotated[str, typer.Option(metavar="TEXT", help="Version of the limits.")] = "1",
    tracer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Tracer that the limits are for, such as Tc-99m; by default, every tracer in the files.",
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|each",
            help="Camera that the limits are for; each: separate limits for every camera in the files.",
        ),
    ] = None,
    mixed: Annotated[
        bool,
        typer.Option(
            "--mixed", help="The patients are a department's own, some of them diseased; outliers are left out."
        ),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Number of processes.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Build normal limits from normal studies, by sex and state.

    FOLDER has one sub-folder of files for each patient with a low likelihood of disease; with --mixed, for each patient
    of a department. Their polar maps are pooled to mean and spread, with the cut-offs that 5 % of them pass.
    """
    from myoperf.files import add_to_folder, check_folder
    from myoperf.perfusion import write_limits
    from myoperf.perfusion.normal_limits import MIN_MAPS
    from myoperf.pipeline.normals import measure_normals, patient_folders, pool_normals

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"--name starts the files' names: letters, digits, '.', '_' and '-' only; got {name!r}.")
    if out.exists() and not out.is_dir():
        raise InputError(f"-o is a folder for the limits; {out.name} is a file.")
    check_folder(out)
    folders = patient_folders(folder)
    if len(folders) < MIN_MAPS:
        raise InputError(f"Normal limits need {MIN_MAPS} patients or more; {folder.name} has {len(folders)}.")
    with (
        destination(out, lambda: _check_free(out, name)),
        counting("normals", quiet=quiet, total=len(folders)) as progress,
    ):
        pooled = replace(measure_normals(folders, workers=workers, progress=progress), mixed=mixed)
    counts = f"{pooled.failed} failed, {pooled.doubtful} left out as doubtful"
    source = f"{provenance}; {pooled.studies} studies, {counts}"
    limits = pool_normals(
        pooled, name=name, version=version, tracer=tracer, camera=camera, provenance=source, licence=licence
    )
    if not limits:
        raise InputError(
            f"No state has {MIN_MAPS} maps, too few for normal limits: {len(pooled.maps)} maps of {pooled.studies} "
            f"patients, {counts}."
        )
    with add_to_folder(out) as partial:
        for one in limits:
            write_limits(partial / f"{one.name}.npz", one)
    for one in limits:
        typer.echo(f"{one.name}: n = {one.n}{_cutoffs(one)}")


def _cutoffs(limits: "NormalLimits") -> str:
    """Return the cut-offs of limits as text; empty where they hold none."""
    own = limits.cutoffs
    return "" if own is None else f"; abnormal from TPD {own.tpd_percent:.1f} %, summed score {own.summed_score}"


def _check_free(out: Path, name: str) -> None:
    """Raise where a folder already has limits of this name."""
    if any(out.glob(f"{name}-*.npz")):
        raise OutputExistsError(f"{out.name} already holds limits named {name}; choose another --name or folder.")


@normals.command()
def show(
    folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", hidden=True)] = None,
) -> None:
    """List the limits of the package, or those in FOLDER."""
    from myoperf.perfusion import read_limits_folder, shipped_limits

    limits = shipped_limits() if folder is None else read_limits_folder(folder)
    for one in limits:
        held = f"{one.name}  version {one.version}  n = {one.n}{_cutoffs(one)}"
        typer.echo(f"{held}  {one.provenance}  licence {one.licence}")
    if not limits:
        typer.echo("The package has no normal limits.")
