"""Figures 4 and 6 of Ni et al. 2023: estimated pose and wall volume against the true ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

PARAMETERS = ("alpha", "beta", "gamma", "tx", "ty", "tz")


def r2(estimate: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Return the square of the correlation; NaN for fewer than three values, or where one side does not vary."""
    if len(estimate) < 3 or np.ptp(estimate) == 0 or np.ptp(truth) == 0:
        return float("nan")
    return float(np.corrcoef(estimate, truth)[0, 1] ** 2)


def _axes(rows: int, columns: int, size_inches: tuple[float, float]) -> tuple[Figure, NDArray[np.object_]]:
    figure = Figure(figsize=size_inches, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def draw_poses(
    shown: Sequence[tuple[str, pd.DataFrame]], kind: str, file: Path, *, patients: str = "simulated patients"
) -> None:
    """Draw figure 4: each of the six parameters, for each network with a pose.

    Parameters
    ----------
    shown
        Name and rows (`myoperf.research.reorientation.evaluation.evaluate_network`) of each network.
    """
    figure, axes = _axes(len(shown), 6, (15, 2.6 * len(shown)))
    for line, (name, part) in zip(axes, shown, strict=True):
        for axis, key in zip(line, PARAMETERS, strict=True):
            estimate, truth = part[key].to_numpy(float), part[f"true_{key}"].to_numpy(float)
            axis.plot(truth, estimate, ".", ms=3, color="#1f5fa8")
            axis.axline((truth.mean(), truth.mean()), slope=1, lw=0.8, color="0.5")
            axis.set_title(f"{key}: R2 {r2(estimate, truth):.3f}", fontsize=8)
            axis.tick_params(labelsize=7)
        line[0].set_ylabel(f"{name}\nestimated", fontsize=7)
    figure.suptitle(f"Estimated against true pose, {kind.upper()}, {patients} (radians; halves of the field)")
    figure.savefig(file, dpi=110)


def draw_volumes(
    shown: Sequence[tuple[str, pd.DataFrame]], kind: str, file: Path, *, patients: str = "simulated patients"
) -> None:
    """Draw figure 6: the wall's volume against the true one, and its relative error against the mean of the two.

    Parameters
    ----------
    shown
        As for `draw_poses`.
    """
    figure, axes = _axes(2, len(shown), (3.4 * len(shown), 6))
    for column, (name, part) in enumerate(shown):
        estimate, truth = part["wall_ml"].to_numpy(float), part["true_wall_ml"].to_numpy(float)
        error = 100 * (estimate - truth) / truth
        axes[0, column].plot(truth, estimate, ".", ms=4, color="#1f5fa8")
        axes[0, column].axline((truth.mean(), truth.mean()), slope=1, lw=0.8, color="0.5")
        axes[0, column].set_title(name, fontsize=8)
        axes[0, column].set_xlabel("true wall, ml", fontsize=7)
        axes[1, column].plot(0.5 * (estimate + truth), error, ".", ms=4, color="#1f5fa8")
        for level in (error.mean(), error.mean() - 1.96 * error.std(), error.mean() + 1.96 * error.std()):
            axes[1, column].axhline(level, lw=0.8, color="0.5")
        axes[1, column].set_xlabel("mean of estimated and true, ml", fontsize=7)
    axes[0, 0].set_ylabel("estimated wall, ml", fontsize=8)
    axes[1, 0].set_ylabel("relative error, %", fontsize=8)
    figure.suptitle(f"Volume of the wall, {kind.upper()}, {patients}")
    figure.savefig(file, dpi=110)
