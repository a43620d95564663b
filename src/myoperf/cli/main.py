"""``myoperf``: the entry point.

Only typer loads here. A command imports the package's parts when it runs, so that ``myoperf --help`` answers at once.
"""

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Never

import typer

from myoperf import __version__
from myoperf.cli import (
    analyze,
    cohort,
    convert,
    data,
    demo,
    evaluate,
    models,
    normals,
    predict,
    reconstruct,
    serve,
    simulate,
    study,
    train,
)
from myoperf.cli.app import app
from myoperf.errors import InputError, describe_error, silent_libraries

COMMANDS = (
    analyze,
    cohort,
    demo,
    convert,
    reconstruct,
    evaluate,
    simulate,
    normals,
    serve,
    data,
    models,
    train,
    study,
    predict,
)
"""Modules whose import registers a command."""

_FAILED = 2


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"myoperf {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show where an error came from; may quote a patient's data. Goes anywhere in the line."
        ),
    ] = False,
) -> None:
    """Myocardial perfusion SPECT and PET: from the camera's files to the report. Research use only."""


def run() -> None:
    """Run the command line: any error becomes one line with a code on standard error, and exit code 2.

    What the process writes is for its owner only. SIGINT, SIGTERM and SIGHUP end it as an error does, so that temporary
    files are removed.
    """
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    with _private_files(), _ended_by_signals(), nullcontext() if debug else silent_libraries():
        try:
            _require_working_folder()
            if not all(word.strip() for word in sys.argv[1:]):  # Path("") would be the folder that the shell is in
                raise InputError("An argument is empty; is a shell variable not set?")
            app()
        except Exception as error:
            if debug:
                traceback.print_exc()
            _end(describe_error(error), _FAILED)


def _require_working_folder() -> None:
    """Raise where the folder that the shell is in has been removed: every relative path would fail without a name."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise InputError("The current folder no longer exists; change to another.") from None


@contextmanager
def _private_files() -> Iterator[None]:
    """Give group and others no permission to new files; the user's umask may be stricter."""
    before = os.umask(0o077)
    os.umask(before | 0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let signals end the program by an exception, so that everything open is closed; those ignored stay ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    heeded = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}  # as under nohup
    for number in heeded:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)


def _stop(number: int, _: object) -> Never:
    """End the program by an exception; a second signal does not disturb it."""
    signal.signal(number, signal.SIG_IGN)
    _end(f"stopped [{signal.Signals(number).name}]", 128 + number)


def _end(line: str, code: int) -> Never:
    typer.echo(f"myoperf: {line}", err=True)
    sys.exit(code)
