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
    dose: str,
    prevalence: str | None,
    workers: int,
    quiet: bool = False,
) -> None:
    """Simulate `n` patients into `out`."""
    if as_ not in ("dicom", "arrays"):
        raise InputError(f"--as is dicom or arrays; got {as_}.")
    options = CohortOptions(
        as_=cast(Literal["dicom", "arrays"], as_),
        reconstructed=reconstructed,
        population=_population(normal=normal, male=male, prevalence=prevalence),
        protocol=Protocol(gates=gates, views=views, dose=cast(Literal["full", "half", "quarter"], dose)),
    )
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=n)
        table = simulate_cohort(
            n, out, seed=seed, options=options, workers=workers, progress=lambda done: bar.update(task, completed=done)
        )
    typer.echo(str(table))


def _population(*, normal: bool, male: float, prevalence: str | None) -> PopulationOptions:
    """Read ``--prevalence``: the shares of LAD, LCX, RCA and of patients with any."""
    if prevalence is None:
        return PopulationOptions(normal=normal, male=male)
    try:
        lad, lcx, rca, anyone = (float(part) for part in prevalence.split(","))
    except ValueError:
        raise InputError("--prevalence needs four shares, 'LAD,LCX,RCA,patient', e.g. 0.25,0.2,0.17,0.43.") from None
    return PopulationOptions(
        prevalence={"LAD": lad, "LCX": lcx, "RCA": rca}, patient_prevalence=anyone, normal=normal, male=male
    )
