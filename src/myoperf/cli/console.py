"""What commands share: progress on standard error, and checks of options."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from myoperf.errors import InputError, OutputExistsError

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


def one_of(option: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return the value of an option that must be one of a few."""
    if value not in choices:
        raise InputError(f"{option} is {', '.join(map(str, choices[:-1]))} or {choices[-1]}; got {value}.")
    return value


def check_new(out: Path, *, advice: str = "choose another with -o") -> None:
    """Raise unless a folder is new or empty."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(f"{out.name} exists and is not an empty folder; {advice}.")
