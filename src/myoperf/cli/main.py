"""``myoperf``: the entry point.

Only typer loads here. A command imports the package's parts when it runs, so that ``myoperf --help`` answers at once.
"""

import errno
import sys
from pathlib import Path
from typing import Annotated

import typer

from myoperf import __version__
from myoperf.cli import analyze, data, demo, evaluate, models, normals, reconstruct, simulate, study, train
from myoperf.cli.app import app
from myoperf.errors import MyoPerfError

COMMANDS = (analyze, demo, reconstruct, evaluate, simulate, normals, data, models, train, study)
"""Modules whose import registers a command."""

_DISK_ERRORS = (
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)
"""Errors of a disk or a path, not of the program: reported in one line."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"myoperf {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Myocardial perfusion SPECT and PET: from the camera's files to the report. Research use only."""


def run() -> None:
    """Run the command line; an error that MyoPerf expects becomes one line and exit code 2."""
    try:
        app()
    except MyoPerfError as error:
        typer.echo(f"myoperf: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        named = f" ({Path(str(error.filename)).name})" if error.filename else ""
        typer.echo(f"myoperf: {error.strerror}{named}; choose files and folders that can be used.", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("myoperf: stopped", err=True)
        sys.exit(130)
