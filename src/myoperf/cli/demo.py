"""``myoperf demo``: simulate one patient as DICOM, read the files back, analyse, write."""

from __future__ import annotations

import tempfile
from pathlib import Path

import typer

from myoperf.cli.console import stages
from myoperf.io import read_studies
from myoperf.phantom.cohort import simulate_cohort
from myoperf.pipeline import Options, StageClock, analyze, check_free, deliver, load_models

__all__ = ["run_demo"]


def run_demo(out: Path, *, seed: int, overwrite: bool = False, quiet: bool = False) -> None:
    """Simulate patient 1 of the cohort `seed`, analyse it, and keep its files under ``simulated/``."""
    check_free(out, overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        stages(quiet=quiet) as progress,
        tempfile.TemporaryDirectory(prefix=f".{out.name}-simulated-", dir=out.parent) as scratch,
    ):
        progress("simulating a patient: projections of stress and rest")
        simulate_cohort(1, Path(scratch) / "cohort", seed=seed)
        patient = Path(scratch) / "cohort" / "patient-0001"
        clock = StageClock(progress)
        with clock.stage("read"):
            study = read_studies([patient / "dicom"]).studies[0]
        options = Options(command=f"myoperf demo --seed {seed}", seed=seed)
        report = analyze(study, load_models(), options, clock=clock)
        deliver(report, out, overwrite=overwrite, clock=clock, attach={"simulated": patient})
    typer.echo(f"{out / 'report.html'}  (a simulated patient; its files and truth stand in {out / 'simulated'})")
