"""``myoperf demo``: simulate one patient as DICOM, read the files, analyse, write."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from myoperf.cli.app import Out, Overwrite, Quiet, app
from myoperf.cli.console import destination, stages


@app.command()
def demo(
    out: Out = Path("myoperf-demo"),
    seed: Annotated[int, typer.Option(metavar="N", help="Which simulated patient.")] = 1151,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Simulate one patient as DICOM, then analyse it.

    Needs no file and no network. The patient's files and known truth are kept under simulated/ in the results.
    """
    from myoperf import pipeline
    from myoperf.io import read_studies
    from myoperf.phantom.cohort import simulate_cohort

    with (
        destination(out, lambda: pipeline.check_free(out, overwrite=overwrite)),
        stages(quiet=quiet) as announce,
        tempfile.TemporaryDirectory(prefix="myoperf-demo-") as scratch,
    ):
        announce("simulating a patient: projections of stress and rest")
        simulate_cohort(1, Path(scratch) / "cohort", seed=seed)
        patient = Path(scratch) / "cohort" / "patient-0001"
        clock = pipeline.StageClock(announce)
        with clock.stage("read", "reading"):
            study = read_studies([patient / "dicom"]).studies[0]
        options = pipeline.Options(command=f"myoperf demo --seed {seed}", seed=seed)
        report = pipeline.analyze(study, pipeline.load_models(), options, clock=clock)
        pipeline.write_report(report, out, overwrite=overwrite, clock=clock, attach={"simulated": patient})
    typer.echo(f"{out / 'report.html'}  (a simulated patient; its files and known truth are in {out / 'simulated'})")
