"""``myoperf evaluate``: a predictions file in; tables, plots and a page out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from myoperf.cli.app import Out, Quiet, app
from myoperf.cli.console import destination, stages
from myoperf.errors import InputError
from myoperf.text import table_cell

if TYPE_CHECKING:
    import pandas as pd

    from myoperf.stats.evaluation import Evaluation

SHOWN = 8
"""Models drawn in the plots: the best by area. The tables hold all."""


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(metavar="PREDICTIONS.csv", hidden=True)],
    out: Out = Path("myoperf-evaluation"),
    threshold: Annotated[
        float,
        typer.Option(
            metavar="P", help="Probability (0-1) from which a patient is positive; choose it on other patients."
        ),
    ] = 0.5,
    resamples: Annotated[int, typer.Option(min=10, metavar="N", help="Bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the bootstrap.")] = 0,
    factors: Annotated[
        Path | None,
        typer.Option(
            metavar="MODELS.csv", help="What each model consists of: column model, then a column for each factor."
        ),
    ] = None,
    unverified: Annotated[
        bool,
        typer.Option(
            "--unverified",
            help="An empty truth means no reference test; sensitivity and specificity are corrected for such patients.",
        ),
    ] = False,
    covariates: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Further columns on which referral to the reference test depends, such as 'age,sex'."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure and compare classifiers, with intervals.

    PREDICTIONS.csv has the columns patient and truth (0 or 1), then one column of probabilities for each model, and may
    have a column vessel. Writes metrics with 95 % intervals, ROC curves, DeLong's test, bootstrap and calibration; with
    --unverified also verification.csv.
    """
    from myoperf.files import whole_folder
    from myoperf.stats import evaluation
    from myoperf.stats.predictions import read_factors, read_partly_verified, read_predictions

    if not 0 < threshold < 1:
        raise InputError(f"--threshold lies between 0 and 1; got {threshold}.")
    with destination(out), stages(quiet=quiet) as announce:
        announce("reading")
        partly = read_partly_verified(predictions, _names(covariates)) if unverified or covariates else None
        read = read_predictions(predictions) if partly is None else partly.verified
        parts = None if factors is None else read_factors(factors, read.models)
        announce(f"{len(read.models)} models, {read.truth.size} rows")
        done = evaluation.evaluate(read, threshold=threshold, resamples=resamples, seed=seed)
        table = None
        if partly is not None:
            announce("verification bias")
            table = evaluation.verification_table(partly, threshold=threshold, resamples=resamples, seed=seed)
        announce("tables and plots")
        with whole_folder(out) as folder:
            _write(done, folder, factors=parts, verification=table)
    for note in done.notes if not quiet else ():
        typer.echo(f"note: {note}", err=True)
    typer.echo(str(out / "report.html"))


def _names(text: str | None) -> tuple[str, ...]:
    """Split names at commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _write(
    done: Evaluation,
    folder: Path,
    *,
    factors: Mapping[str, Sequence[str]] | None,
    verification: pd.DataFrame | None,
) -> None:
    """Write the tables, plots and page of an evaluation.

    `factors` names the parts of each model; `verification` holds rates corrected for verification bias.
    """
    import numpy as np

    from myoperf.report.evaluation import EvaluationTables, write_evaluation_page
    from myoperf.stats.evaluation import calibration_table, factor_table, model_curves

    models = done.predictions.models

    def write_table(frame: pd.DataFrame, name: str) -> None:
        frame.map(table_cell).rename(columns=table_cell).to_csv(folder / name, index=False)

    write_table(done.metrics, "metrics.csv")
    write_table(done.delong, "delong.csv")
    areas = done.metrics["auc"].to_numpy()[: len(models)]
    np.savez_compressed(folder / "bootstrap.npz", models=np.array(models), auc=done.auc_samples.astype(np.float32))
    shown = np.argsort(-areas, kind="stable")[:SHOWN]
    curves = {models[i]: model_curves(done.predictions, int(i)) for i in shown}
    calibration = calibration_table(done.predictions)
    write_table(calibration, "calibration.csv")
    table = None
    if factors is not None:
        table = factor_table(factors, areas, done.auc_samples, seed=done.seed)
        write_table(table, "factors.csv")
    if verification is not None:
        write_table(verification, "verification.csv")
    method = f"{done.resamples} bootstrap resamples by patient, seed {done.seed}; threshold {done.threshold:g}."
    note = " ".join([method, *done.notes])
    tables = EvaluationTables(
        metrics=done.metrics, delong=done.delong, calibration=calibration, factors=table, verification=verification
    )
    write_evaluation_page(tables, curves, folder, note=note)
