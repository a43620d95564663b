"""The figures of MS-ST-UNet's experiments: pose and wall volume, found against true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["PARAMETERS", "draw_poses", "draw_volumes", "r2"]

PARAMETERS = ("alpha", "beta", "gamma", "tx", "ty", "tz")


def r2(got: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Square of the correlation; NaN for fewer than three values or where one side does not vary."""
    if len(got) < 3 or np.ptp(got) == 0 or np.ptp(truth) == 0:
        return float("nan")
    return float(np.corrcoef(got, truth)[0, 1] ** 2)


def draw_poses(shown: Sequence[tuple[str, pd.DataFrame]], kind: str, file: Path) -> None:
    """Draw the paper's figure 4: each of the six parameters of each network with a pose.

    Parameters
    ----------
    shown
        Name and rows (`myoperf.research.reorientation.training.judge_network`) of each network.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(shown), 6, figsize=(15, 2.6 * len(shown)), squeeze=False, layout="constrained")
    for line, (name, part) in zip(axes, shown, strict=True):
        for axis, key in zip(line, PARAMETERS, strict=True):
            got, truth = part[key].to_numpy(float), part[f"true_{key}"].to_numpy(float)
            axis.plot(truth, got, ".", ms=3, color="#1f5fa8")
            axis.axline((truth.mean(), truth.mean()), slope=1, lw=0.8, color="0.5")
            axis.set_title(f"{key}: R2 {r2(got, truth):.3f}", fontsize=8)
            axis.tick_params(labelsize=7)
        line[0].set_ylabel(f"{name}\nfound", fontsize=7)
    figure.suptitle(f"Pose found against truth, {kind.upper()}, simulated patients (radians; halves of the field)")
    figure.savefig(file, dpi=110)
    plt.close(figure)


def draw_volumes(shown: Sequence[tuple[str, pd.DataFrame]], kind: str, file: Path) -> None:
    """Draw the paper's figure 6: the wall's volume, and its relative error against the mean."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, len(shown), figsize=(3.4 * len(shown), 6), squeeze=False, layout="constrained")
    for column, (name, part) in enumerate(shown):
        got, truth = part["wall_ml"].to_numpy(float), part["true_wall_ml"].to_numpy(float)
        error = 100 * (got - truth) / truth
        axes[0, column].plot(truth, got, ".", ms=4, color="#1f5fa8")
        axes[0, column].axline((truth.mean(), truth.mean()), slope=1, lw=0.8, color="0.5")
        axes[0, column].set_title(name, fontsize=8)
        axes[0, column].set_xlabel("true wall, ml", fontsize=7)
        axes[1, column].plot(0.5 * (got + truth), error, ".", ms=4, color="#1f5fa8")
        for level in (error.mean(), error.mean() - 1.96 * error.std(), error.mean() + 1.96 * error.std()):
            axes[1, column].axhline(level, lw=0.8, color="0.5")
        axes[1, column].set_xlabel("mean of found and true, ml", fontsize=7)
    axes[0, 0].set_ylabel("found wall, ml", fontsize=8)
    axes[1, 0].set_ylabel("relative error, %", fontsize=8)
    figure.suptitle(f"Volume of the wall, {kind.upper()}, simulated patients")
    figure.savefig(file, dpi=110)
    plt.close(figure)
