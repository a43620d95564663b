"""``myoperf evaluate``: a predictions file in, tables, plots and a page out."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import typer

from myoperf.cli.console import stages
from myoperf.errors import InputError, OutputExistsError
from myoperf.report.evaluation import write_evaluation_page
from myoperf.stats.evaluation import calibration_table, evaluate, model_curves, read_predictions

__all__ = ["evaluate_file"]

SHOWN = 8
"""Models drawn in the plots: the best by area. The tables hold all."""


def evaluate_file(
    predictions: Path, out: Path, *, threshold: float, resamples: int, seed: int, quiet: bool = False
) -> None:
    """Write metrics.csv, delong.csv, bootstrap.npz, plots and report.html into a new folder."""
    if not 0 < threshold < 1:
        raise InputError(f"--threshold lies between 0 and 1; got {threshold}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(f"{out.name} exists and is not an empty folder; give another with -o.")
    with stages(quiet=quiet) as progress:
        read = read_predictions(predictions)
        progress(f"{len(read.models)} models, {read.truth.size} rows")
        done = evaluate(read, threshold=threshold, resamples=resamples, seed=seed)
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            done.metrics.to_csv(partial / "metrics.csv", index=False)
            done.delong.to_csv(partial / "delong.csv", index=False)
            np.savez_compressed(
                partial / "bootstrap.npz", models=np.array(read.models), auc=done.auc_samples.astype(np.float32)
            )
            progress("plots")
            shown = np.argsort(-done.metrics["auc"].to_numpy()[: len(read.models)], kind="stable")[:SHOWN]
            curves = {read.models[i]: model_curves(read, int(i)) for i in shown}
            calibration = calibration_table(read)
            calibration.to_csv(partial / "calibration.csv", index=False)
            note = f"{resamples} bootstrap resamples by patient, seed {seed}; threshold {threshold:g}."
            write_evaluation_page(done.metrics, done.delong, calibration, curves, partial, note=note)
            partial.chmod(0o755)
            if out.exists():
                out.rmdir()
            partial.rename(out)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    typer.echo(str(out / "report.html"))
