"""Charts of a cohort's summary: distributions beside normal ranges, and stress against rest."""

import numpy as np

from myoperf.report.canvas import Canvas, Font
from myoperf.report.cohort_numbers import Agreement, Distribution
from myoperf.report.colours import INK
from myoperf.report.plot import Plot, as_ticks, round_steps
from myoperf.types import Float

_COLOURS = {"": "#4a6fa5", "stress": "#c8641e", "rest": "#2f7fb8"}
_NORMAL, _MUTED = "#dcefdc", "#5d6675"
_BINS = 24
_TITLE_LETTERS = 38
"""Letters of a title in full size; longer titles are set smaller."""
_MOST_DOTS = 1500
"""Dots of a chart; of more studies an even choice is drawn, and the chart says so."""


def distribution_chart(one: Distribution) -> Canvas:
    """Draw the share of studies over a number, stress and rest as two outlines, the normal range shaded behind."""
    canvas = Canvas(62.0, 40.0)
    everything = np.concatenate(list(one.values.values()))
    low, high = _ends(everything, one)
    edges = _edges(low, high, whole=one.quantity.digits == 0 and one.quantity.unit.startswith(("of", "score")))
    low, high = float(edges[0]), float(edges[-1])
    shares = {
        state: 100.0 * np.histogram(np.clip(values, low, high), edges)[0] / max(values.size, 1)
        for state, values in one.values.items()
    }
    top = 1.15 * max((float(share.max()) for share in shares.values()), default=1.0) or 1.0
    plot = Plot(canvas=canvas, corner=(9.0, 7.5), size=(51.0, 21.5), across=(low, high), up=(0.0, top))
    for number, normal in enumerate(one.normal):
        left, right = max(normal.low, low), min(normal.high, high)
        if right > left:
            height = top / len(one.normal)
            box = plot.places([left, right, right, left], np.array([0, 0, height, height]) + number * height)
            canvas.shape([box], fill=_NORMAL)
            if normal.whom:
                corner = box[3].tolist()
                canvas.text(corner[0] + 0.6, corner[1] + 2.2, normal.whom, Font(5.0, colour=_MUTED))
    for state, share in shares.items():
        steps = np.repeat(edges, 2), np.concatenate([[0.0], np.repeat(share, 2), [0.0]])
        canvas.shape([plot.places(*steps)], fill="#b9c9e2" if not state else None)
        plot.curve(*steps, _COLOURS[state], 0.4)
    unit = f" ({one.quantity.unit})" if one.quantity.unit not in ("", "ratio", "score") else ""
    plot.frame(
        x_ticks=round_steps(low, high, most=7), y_ticks=as_ticks(round_steps(0.0, top, most=4)), y_label="% of studies"
    )
    title = f"{one.quantity.label}{unit}"
    canvas.text(1.0, 3.6, title, Font(min(7.0, 7.0 * _TITLE_LETTERS / len(title)), bold=True))
    for line, (state, values) in enumerate((s, v) for s, v in one.values.items() if v.size):
        colour = _COLOURS[state] if state else INK
        canvas.text(9.0, 35.6 + 2.9 * line, _described(one, state, values), Font(5.6, colour=colour))
    return canvas


def _described(one: Distribution, state: str, values: Float) -> str:
    """Return number, median and quartiles of the values in words."""
    low, median, high = (f"{value:.{one.quantity.digits}f}" for value in np.percentile(values, [25, 50, 75]))
    return f"{state + ': ' if state else ''}n = {values.size}, median {median} ({low} to {high})"


def _edges(low: float, high: float, *, whole: bool) -> Float:
    """Return the edges of the bars; those of whole numbers have the numbers in their middle."""
    if not whole:
        return np.linspace(low, high, _BINS + 1)
    step = max(1.0, np.ceil((high - low) / _BINS))
    return np.arange(np.floor(low) - 0.5, high + step, step)


def _ends(values: Float, one: Distribution) -> tuple[float, float]:
    """Return the range shown: 1st to 99th percentile and what the normal range ends at; the rest joins the end bins."""
    low, high = np.percentile(values, [1.0, 99.0])
    limits = [end for normal in one.normal for end in (normal.low, normal.high) if np.isfinite(end)]
    low, high = min([low, *limits]), max([high, *limits])
    if not one.quantity.signed:
        low = min(low, 0.0) if low < 0.35 * high else low
    margin = 0.03 * (high - low) or 0.5
    return float(low if low == 0.0 else low - margin), float(high + margin)


def agreement_chart(one: Agreement) -> Canvas:
    """Draw the difference of stress and rest over their mean, with bias and limits of agreement."""
    canvas = Canvas(62.0, 46.0)
    mean, difference = 0.5 * (one.stress + one.rest), one.stress - one.rest
    chosen = np.unique(np.linspace(0, mean.size - 1, min(mean.size, _MOST_DOTS)).astype(int))
    reach = 1.15 * max(abs(one.low), abs(one.high), float(np.percentile(np.abs(difference), 99.0)), 1e-6)
    low, high = float(mean.min()), float(mean.max())
    margin = 0.05 * (high - low) or 1.0
    plot = Plot(
        canvas=canvas, corner=(11.0, 7.5), size=(49.0, 24.5), across=(low - margin, high + margin), up=(-reach, reach)
    )
    plot.dots(mean[chosen], np.clip(difference[chosen], -reach, reach), "#4a6fa5", 0.45)
    for value, dash in ((one.bias, 0.0), (one.low, 1.2), (one.high, 1.2)):
        canvas.line(plot.places([low - margin, high + margin], [value, value]), "#b3260f", 0.25, dash_mm=dash)
    unit = f" ({one.quantity.unit})" if one.quantity.unit else ""
    plot.frame(
        x_label="mean of stress and rest",
        y_label="stress - rest",
        x_ticks=round_steps(low, high),
        y_ticks=as_ticks(round_steps(-reach, reach, most=5)),
    )
    canvas.text(1.0, 3.6, f"{one.quantity.label}{unit}", Font(7.0, bold=True))
    words = f"n = {mean.size}; stress - rest {one.bias:.1f} (limits of agreement {one.low:.1f} to {one.high:.1f})"
    if chosen.size < mean.size:
        words += f"; {chosen.size} drawn"
    canvas.text(1.0, 44.3, words, Font(5.6, colour=_MUTED))
    return canvas
