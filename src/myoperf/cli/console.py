"""What commands share: progress on standard error, and checks of options."""

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from myoperf.errors import InputError, OutputExistsError
from myoperf.files import check_destination, lock_destination, sweep

# rich.progress is imported where a bar is drawn: `myoperf --help` does without it.


@contextmanager
def stages(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show the stage that is running and the time elapsed; yields the function that announces a stage."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda text: bar.update(task, description=text)


@contextmanager
def counting(what: str, *, quiet: bool, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show how much is done of a total; yields a function to call with the number done, and the total if not given."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, whole=total: bar.update(task, completed=done, total=whole)


@contextmanager
def destination(path: Path, check: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the right to write to a path while a command works; refuse at once what could not be written at its end.

    What a killed run left there is removed and named on standard error.

    Parameters
    ----------
    check
        Raises where the path is not free. By default: unless it is new or an empty folder.

    Raises
    ------
    OutputExistsError
        When another run is writing to the path, or from `check`.
    OSError
        When the place cannot be written to.
    """
    check_destination(path)
    with lock_destination(path):
        for line in sweep(path):
            typer.echo(line, err=True)
        (check or (lambda: check_new(path)))()
        yield


def one_of(option: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return which of a few choices the value of an option is; words may have any case."""
    for choice in choices:
        if str(choice).casefold() == str(value).casefold():
            return choice
    raise InputError(f"{option} is {', '.join(map(str, choices[:-1]))} or {choices[-1]}; got {value}.")


def check_new(out: Path, *, advice: str = "choose another with -o") -> None:
    """Raise unless a folder is new or empty, and its place can be written to."""
    check_destination(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(f"{out.name} exists and is not an empty folder; {advice}.")


def command_line() -> str:
    """Return the command line without folders, which may carry a patient's name."""
    words = [Path(word).name if "/" in word or "\\" in word else word for word in sys.argv[1:]]
    return shlex.join(["myoperf", *words])
