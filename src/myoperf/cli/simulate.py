"""``myoperf simulate``: a cohort whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from myoperf.errors import InputError
from myoperf.phantom.acquire import Protocol
from myoperf.phantom.cohort import CohortOptions, simulate_cohort
from myoperf.phantom.records import PopulationOptions

__all__ = ["simulate"]


def simulate(
    n: int,
    out: Path,
    *,
    seed: int,
    as_: str,
    reconstructed: bool,
    normal: bool,
    male: float,
    gates: int,
    views: int,
    workers: int,
    quiet: bool = False,
) -> None:
    """Simulate `n` patients into `out`."""
    if as_ not in ("dicom", "arrays"):
        raise InputError(f"--as is dicom or arrays; got {as_}.")
    options = CohortOptions(
        as_=cast(Literal["dicom", "arrays"], as_),
        reconstructed=reconstructed,
        population=PopulationOptions(normal=normal, male=male),
        protocol=Protocol(gates=gates, views=views),
    )
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=n)
        table = simulate_cohort(
            n, out, seed=seed, options=options, workers=workers, progress=lambda done: bar.update(task, completed=done)
        )
    typer.echo(str(table))
