"""One look for the plots of every topic, whatever the user's own matplotlib settings are."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from myoperf.stats import roc_curve
from myoperf.types import Float

_SETTINGS = {
    "font.family": ["DejaVu Sans"],
    "font.size": 7.0,
    "axes.linewidth": 0.5,
    "text.usetex": False,
    "axes.unicode_minus": False,
    "savefig.bbox": None,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Use matplotlib's defaults and MyoPerf's own settings inside the block."""
    defaults = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith(("backend", "date."))}
    settings: dict[Any, Any] = {**defaults, **_SETTINGS}
    with mpl.rc_context(settings):
        yield


def draw_roc(curves: Mapping[str, Sequence[tuple[str, NDArray[Any], Float]]]) -> Figure:
    """Draw ROC curves, an axis a level or artery.

    Parameters
    ----------
    curves
        Title of an axis -> (name of the model, truth, scores) of each line.
    """
    with house_style():
        figure = Figure(figsize=(2.4 * len(curves), 2.8), layout="constrained")
        for axis, (title, lines) in zip(np.atleast_1d(figure.subplots(1, len(curves))), curves.items(), strict=True):
            for name, truth, scores in lines:
                if 0 < truth.sum() < truth.size:
                    axis.plot(*roc_curve(truth, scores), lw=0.8, label=name)
            axis.plot((0, 1), (0, 1), lw=0.5, color="0.6")
            axis.set_title(title)
            axis.set_xlabel("1 - specificity")
            axis.set_aspect("equal")
        figure.axes[0].set_ylabel("sensitivity")
        figure.axes[-1].legend(fontsize=4)
    return figure


def draw_confusion(calls: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> Figure:
    """Draw a confusion matrix for each model: how many normal and abnormal cases it called either.

    Parameters
    ----------
    calls
        Model -> (truth, called), each 0 or 1.
    """
    with house_style():
        columns = min(6, len(calls))
        rows = -(-len(calls) // columns)
        figure = Figure(figsize=(1.7 * columns, 1.8 * rows), layout="constrained")
        axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for axis in axes:
            axis.set_axis_off()
        for axis, (name, (truth, called)) in zip(axes, calls.items(), strict=False):
            counts = np.array([[int(((truth == t) & (called == c)).sum()) for c in (0, 1)] for t in (0, 1)])
            axis.set_axis_on()
            axis.imshow(counts, cmap="Blues", vmin=0)
            for (row, column), count in np.ndenumerate(counts):
                dark = count > 0.6 * counts.max()
                axis.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
            axis.set_xticks((0, 1), ("normal", "abnormal"))
            axis.set_yticks((0, 1), ("normal", "abnormal"), rotation=90, va="center")
            axis.set_title(name, fontsize=5)
    return figure
