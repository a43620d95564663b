"""``myoperf simulate``: a cohort whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from myoperf.errors import InputError
from myoperf.phantom.acquire import Protocol
from myoperf.phantom.cohort import CohortOptions, simulate_cohort
from myoperf.phantom.records import PopulationOptions, Tracer

__all__ = ["simulate"]


def simulate(
    n: int,
    out: Path,
    *,
    seed: int,
    as_: str,
    modality: str,
    tracer: str,
    fast: bool,
    reconstructed: bool,
    attenuation_map: bool,
    misregistration: float,
    normal: bool,
    male: float,
    gates: int,
    views: int,
    arc: int,
    pixel: float,
    dose: str,
    prevalence: str | None,
    workers: int,
    quiet: bool = False,
) -> None:
    """Simulate `n` patients into `out`."""
    _one_of("--as", as_, ("dicom", "nifti", "arrays"))
    _one_of("--modality", modality, ("spect", "czt", "pet"))
    _one_of("--tracer", tracer, ("N-13", "Rb-82"))
    _one_of("--arc", str(arc), ("180", "360"))
    options = CohortOptions(
        as_=cast(Literal["dicom", "nifti", "arrays"], as_),
        modality=cast(Literal["spect", "czt", "pet"], modality),
        fast=fast,
        reconstructed=reconstructed,
        attenuation_map=attenuation_map,
        misregistration_mm=misregistration,
        population=_population(
            normal=normal, male=male, prevalence=prevalence, tracer=tracer if modality == "pet" else "Tc-99m"
        ),
        protocol=Protocol(
            gates=gates,
            views=views,
            arc_deg=cast(Literal[180, 360], arc),
            pixel_mm=pixel,
            dose=cast(Literal["full", "half", "quarter"], dose),
        ),
    )
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=n)
        table = simulate_cohort(
            n, out, seed=seed, options=options, workers=workers, progress=lambda done: bar.update(task, completed=done)
        )
    typer.echo(str(table))


def _one_of(flag: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise InputError(f"{flag} is {', '.join(known[:-1])} or {known[-1]}; got {given}.")


def _population(*, normal: bool, male: float, prevalence: str | None, tracer: str) -> PopulationOptions:
    """Read ``--prevalence``: the shares of LAD, LCX, RCA and of patients with any."""
    given = PopulationOptions(normal=normal, male=male, tracer=cast(Tracer, tracer))
    if prevalence is None:
        return given
    try:
        lad, lcx, rca, anyone = (float(part) for part in prevalence.split(","))
    except ValueError:
        raise InputError("--prevalence needs four shares, 'LAD,LCX,RCA,patient', e.g. 0.25,0.2,0.17,0.43.") from None
    return replace(given, prevalence={"LAD": lad, "LCX": lcx, "RCA": rca}, patient_prevalence=anyone)
