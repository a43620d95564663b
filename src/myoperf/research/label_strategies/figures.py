"""Figures of the label strategies: heat map, ROC curves, figure 3 of Hajianfar et al. 2025, saliency maps."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from myoperf.research.training.plots import house_style
from myoperf.types import VESSELS, Float

LEVELS = ("vessel", "patient")


def heat_map(table: pd.DataFrame) -> Figure:
    """Draw areas by strategy (columns) and network, input, augmentation (rows), as the paper's supplement does.

    Parameters
    ----------
    table
        A row a model: ``network``, ``input``, ``augmentation``, ``strategy``, ``auc_vessel``, ``auc_patient``. A model
        that is missing leaves its field empty.
    """
    with house_style():
        names = [f"{r.network}, {r.input}, {r.augmentation}" for r in table.itertuples()]
        rows, columns = list(dict.fromkeys(names)), list(dict.fromkeys(table["strategy"]))
        figure = Figure(figsize=(8.5, 1.2 + 0.17 * len(rows)), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        low = min(float(table[f"auc_{level}"].min()) for level in LEVELS)
        high = max(float(table[f"auc_{level}"].max()) for level in LEVELS)
        for axis, level in zip(axes, LEVELS, strict=True):
            values = np.full((len(rows), len(columns)), np.nan)
            for name, record in zip(names, table.itertuples(), strict=True):
                values[rows.index(name), columns.index(str(record.strategy))] = getattr(record, f"auc_{level}")
            drawn = axis.imshow(values, cmap="viridis", vmin=low, vmax=high)
            axis.set_aspect("auto")
            axis.set_title(f"per {level}")
            axis.set_xticks(
                range(len(columns)), [c if c == "task 1" else f"strategy {c}" for c in columns], rotation=60
            )
            axis.set_yticks(range(len(rows)), rows)
            for (i, j), value in np.ndenumerate(values):
                colour = "black" if value > 0.5 * (low + high) else "white"
                axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=5, color=colour)
        figure.colorbar(drawn, ax=axes, label="AUC on the test patients")
    return figure


def draw_factors(factors: Mapping[str, Sequence[str]], samples: Mapping[str, Float]) -> Figure:
    """Draw figure 3: bootstrapped areas of all models pooled by strategy, input, augmentation and network.

    Parameters
    ----------
    factors
        Factor -> its level for every model.
    samples
        Level of reading (vessel, patient) -> (models, resamples).
    """
    with house_style():
        figure = Figure(figsize=(2.6 * len(factors), 2.4 * len(samples)), layout="constrained")
        axes = figure.subplots(len(samples), len(factors), squeeze=False)
        for row, (reading, areas) in zip(axes, samples.items(), strict=True):
            for axis, (factor, levels) in zip(row, factors.items(), strict=True):
                names = list(dict.fromkeys(levels))
                pooled = [areas[np.asarray(levels) == name].ravel() for name in names]
                axis.boxplot(pooled, whis=(2.5, 97.5), showfliers=False, widths=0.6)
                axis.set_xticks(range(1, len(names) + 1), names, rotation=40)
                axis.set_title(f"per {reading}, by {factor}")
            row[0].set_ylabel("AUC, bootstrap of patients, models pooled")
    return figure


def draw_saliency(pictures: Float, maps: Float, titles: Sequence[str]) -> Figure:
    """Draw the stress map of patients, and under it how much each of its places moves each artery's probability.

    Parameters
    ----------
    pictures, maps
        (patients, side, side) from 0 to 1; (patients, 3, side, side), each from 0 to 1.
    titles
        Of each patient.
    """
    with house_style():
        count = len(pictures)
        figure = Figure(figsize=(1.4 * count, 5.6), layout="constrained")
        axes = figure.subplots(4, count, squeeze=False)
        for column in range(count):
            axes[0, column].imshow(pictures[column], cmap="gray", vmin=0, vmax=1)
            axes[0, column].set_title(titles[column])
            for vessel in range(3):
                axes[1 + vessel, column].imshow(pictures[column], cmap="gray", vmin=0, vmax=1)
                axes[1 + vessel, column].imshow(maps[column, vessel], cmap="inferno", alpha=0.55, vmin=0, vmax=1)
                axes[1 + vessel, column].set_title(VESSELS[vessel])
            for axis in axes[:, column]:
                axis.set_axis_off()
    return figure
