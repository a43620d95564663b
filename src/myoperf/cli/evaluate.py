"""``myoperf evaluate``: a predictions file in, tables, plots and a page out."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import typer

from myoperf.cli.console import stages
from myoperf.errors import InputError, OutputExistsError
from myoperf.report.evaluation import write_evaluation_page
from myoperf.stats.evaluation import Evaluation, calibration_table, evaluate, factor_table, model_curves
from myoperf.stats.predictions import read_factors, read_predictions

__all__ = ["evaluate_file"]

SHOWN = 8
"""Models drawn in the plots: the best by area. The tables hold all."""


def evaluate_file(
    predictions: Path,
    out: Path,
    *,
    threshold: float,
    resamples: int,
    seed: int,
    factors: Path | None = None,
    quiet: bool = False,
) -> None:
    """Write metrics.csv, delong.csv, calibration.csv, bootstrap.npz, plots and report.html into a new folder.

    With `factors`, a table of what each model is made of, factors.csv too.
    """
    if not 0 < threshold < 1:
        raise InputError(f"--threshold lies between 0 and 1; got {threshold}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(f"{out.name} exists and is not an empty folder; give another with -o.")
    with stages(quiet=quiet) as progress:
        read = read_predictions(predictions)
        made_of = None if factors is None else read_factors(factors, read.models)
        progress(f"{len(read.models)} models, {read.truth.size} rows")
        done = evaluate(read, threshold=threshold, resamples=resamples, seed=seed)
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            progress("tables and plots")
            _write(done, partial, made_of)
            partial.chmod(0o755)
            if out.exists():
                out.rmdir()
            partial.rename(out)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        for note in done.notes if not quiet else ():
            typer.echo(f"note: {note}", err=True)
    typer.echo(str(out / "report.html"))


def _write(done: Evaluation, folder: Path, made_of: Mapping[str, Sequence[str]] | None) -> None:
    """Write every file of an evaluation."""
    models = done.predictions.models
    done.metrics.to_csv(folder / "metrics.csv", index=False)
    done.delong.to_csv(folder / "delong.csv", index=False)
    areas = done.metrics["auc"].to_numpy()[: len(models)]
    np.savez_compressed(folder / "bootstrap.npz", models=np.array(models), auc=done.auc_samples.astype(np.float32))
    shown = np.argsort(-areas, kind="stable")[:SHOWN]
    curves = {models[i]: model_curves(done.predictions, int(i)) for i in shown}
    calibration = calibration_table(done.predictions)
    calibration.to_csv(folder / "calibration.csv", index=False)
    table = None
    if made_of is not None:
        table = factor_table(made_of, areas, done.auc_samples, seed=done.seed)
        table.to_csv(folder / "factors.csv", index=False)
    said = f"{done.resamples} bootstrap resamples by patient, seed {done.seed}; threshold {done.threshold:g}."
    note = " ".join([said, *done.notes])
    write_evaluation_page(done.metrics, done.delong, calibration, curves, folder, note=note, factors=table)
