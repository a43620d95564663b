"""The page of ``myoperf evaluate``: curves and tables in one file that needs no network."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from myoperf.types import Float

Curves = Mapping[str, Mapping[str, Float]]

_Rows = tuple[list[str], list[list[tuple[str, str]]], int]
"""Header, rows of cells (value, interval), and how many rows are left out."""
_Section = tuple[str, str, list[str], list[list[tuple[str, str]]], int]
"""Title and explanation of a table, then its rows."""
_ROWS_SHOWN = 40
_COLOURS = ("#1b6ca8", "#d1495b", "#2e933c", "#edae49", "#6a4c93", "#00798c", "#8d5524", "#555555")


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluationTables:
    """The tables of an evaluation's page, as they are written to CSV files beside it.

    Attributes
    ----------
    metrics, delong, calibration
        Of every model, of every pair of models, and of every model again.
    factors
        The levels of factors compared, if models have factors.
    verification
        Sensitivity and specificity corrected for verification bias, if they were; then they come first.
    """

    metrics: pd.DataFrame
    delong: pd.DataFrame
    calibration: pd.DataFrame
    factors: pd.DataFrame | None = None
    verification: pd.DataFrame | None = None


def write_evaluation_page(tables: EvaluationTables, curves: Curves, folder: Path, *, note: str) -> None:
    """Write ``report.html`` and one PNG a plot.

    Parameters
    ----------
    tables
        What the page shows below the plots.
    curves
        Per model, the points of its curves: ``roc``, ``precision_recall``, ``reliability``,
        ``net_benefit`` and ``net_benefit_all``, each (points, 2).
    folder
        Where the files go.
    note
        How the intervals were made; stands at the top.
    """
    plots = []
    for name, draw in (
        ("roc", _draw_roc),
        ("precision_recall", _draw_precision_recall),
        ("calibration", _draw_reliability),
        ("decision_curve", _draw_benefit),
    ):
        path = folder / f"{name}.png"
        _plot(path, draw, curves, tables.metrics)
        plots.append((name, base64.b64encode(path.read_bytes()).decode("ascii")))
    page = jinja2.Environment(loader=jinja2.PackageLoader("myoperf.report"), autoescape=True).get_template(
        "evaluation.html.j2"
    )
    html = page.render(models=tables.metrics["model"].nunique(), note=note, plots=plots, tables=_sections(tables))
    (folder / "report.html").write_text(html, encoding="utf-8")


def _sections(tables: EvaluationTables) -> list[_Section]:
    """Return the tables in the order of the page, each with its title and explanation."""
    sections: list[_Section] = [
        *_verification_section(tables.verification),
        (
            "Metrics" if tables.verification is None else "Metrics of the verified patients alone",
            "95 % intervals in grey: DeLong for areas, Wilson for proportions, the bootstrap for the rest "
            "(for all, where a patient has several rows).",
            *_metric_rows(tables.metrics),
        ),
        (
            "Calibration",
            "Slope 1 and intercept 0 is calibrated. Intervals: Wald, by patient.",
            *_metric_rows(tables.calibration),
        ),
        (
            "DeLong, every pair",
            "Paired, two-sided; p corrected by Holm and by Benjamini and Hochberg, "
            "and the p of the bootstrap by patient.",
            *_plain_rows(tables.delong),
        ),
    ]
    if tables.factors is not None:
        about = (
            "Rank sum: every resample of every model taken as independent, which overstates significance; "
            "permutation (p paired): models matched on the other factors."
        )
        sections.append(("Factors", about, *_plain_rows(tables.factors)))
    return sections


def _verification_section(verification: pd.DataFrame | None) -> tuple[_Section, ...]:
    """Return the table of corrected sensitivity and specificity beside the naive ones; empty where there is none."""
    if verification is None:
        return ()
    corrected = [c for c in verification.columns if c.startswith("corrected_")]
    others = [c for c in verification.columns if c not in corrected]
    first = [c for c in others if not c.startswith(("sensitivity", "specificity"))]
    naive = {c: f"verified_alone_{c}" for c in others if c not in first}
    table = verification[[*first, *corrected, *naive]].rename(columns=naive)
    about = (
        "Corrected: for all patients, those without a reference test among them (Begg and Greenes 1983; with "
        "covariates, by logistic regression on the verified). Verified alone: biased where referral follows the test. "
        "Bootstrap intervals, by patient."
    )
    return (("Sensitivity and specificity, corrected for verification bias", about, *_metric_rows(table)),)


def _metric_rows(metrics: pd.DataFrame) -> _Rows:
    """Header and rows with each interval under its value."""
    names = [c for c in metrics.columns if not c.endswith(("_lo", "_hi"))]
    names.sort(key=lambda name: name not in ("model", "vessel"))  # what a row is about comes first
    rows = []
    for _, row in metrics.head(_ROWS_SHOWN).iterrows():
        cells = []
        for name in names:
            ci = f"{row[f'{name}_lo']:.3f}-{row[f'{name}_hi']:.3f}" if f"{name}_lo" in metrics else ""
            cells.append((_text(row[name]), ci))
        rows.append(cells)
    return [n.replace("_", " ") for n in names], rows, max(0, len(metrics) - _ROWS_SHOWN)


def _plain_rows(table: pd.DataFrame) -> _Rows:
    """Header and rows as they are."""
    rows = [[(_text(value), "") for value in row] for row in table.head(_ROWS_SHOWN).itertuples(index=False)]
    return [str(c).replace("_", " ") for c in table.columns], rows, max(0, len(table) - _ROWS_SHOWN)


def _text(value: object) -> str:
    """Three decimals for a fraction, two digits of a small p value, a dash for what is not there."""
    if not isinstance(value, float):
        return str(value)
    if np.isnan(value):
        return "–"
    return f"{value:.1e}" if 0 < abs(value) < 5e-4 else f"{value:.3f}"


def _plot(path: Path, draw: Callable[[Any, Curves, pd.DataFrame], None], curves: Curves, metrics: pd.DataFrame) -> None:
    """Draw one square plot to a PNG."""
    from matplotlib.figure import Figure  # loads slowly: only when a plot is drawn

    figure = Figure(figsize=(5.2, 5.0), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    axes.set_prop_cycle(color=_COLOURS)
    draw(axes, curves, metrics)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Software": None})


def _draw_roc(axes: Any, curves: Curves, metrics: pd.DataFrame) -> None:
    """ROC curves with areas and intervals in the legend."""
    first = metrics.drop_duplicates("model").set_index("model")
    for model, lines in curves.items():
        row = first.loc[model]
        label = f"{model}: {row['auc']:.3f} ({row['auc_lo']:.3f}-{row['auc_hi']:.3f})"
        axes.step(*lines["roc"].T, where="post", label=label)
    axes.plot([0, 1], [0, 1], color="#cbd5e1", lw=1)
    axes.set(
        xlabel="1 - specificity",
        ylabel="sensitivity",
        title="ROC, area with 95 % interval",
        xlim=(0, 1),
        ylim=(0, 1.01),
    )


def _draw_precision_recall(axes: Any, curves: Curves, metrics: pd.DataFrame) -> None:
    """Precision against recall, with the prevalence."""
    for model, lines in curves.items():
        axes.plot(*lines["precision_recall"].T, label=model)
    prevalence = metrics["n_positive"].iloc[0] / metrics["n"].iloc[0]
    axes.axhline(prevalence, color="#cbd5e1", lw=1, label=f"prevalence {prevalence:.2f}")
    axes.set(
        xlabel="recall (sensitivity)", ylabel="precision", title="Precision and recall", xlim=(0, 1), ylim=(0, 1.01)
    )


def _draw_reliability(axes: Any, curves: Curves, metrics: pd.DataFrame) -> None:
    """Observed against predicted, groups of equal count."""
    del metrics
    axes.plot([0, 1], [0, 1], color="#cbd5e1", lw=1)
    for model, lines in curves.items():
        axes.plot(*lines["reliability"].T, marker="o", ms=3.5, label=model)
    axes.set(xlabel="predicted probability", ylabel="observed share", title="Calibration", xlim=(0, 1), ylim=(0, 1))


def _draw_benefit(axes: Any, curves: Curves, metrics: pd.DataFrame) -> None:
    """Draw the net benefit of each model, and of treating everyone or no one."""
    for model, lines in curves.items():
        axes.plot(*lines["net_benefit"].T, label=model)
    everyone = next(iter(curves.values()))["net_benefit_all"]
    axes.plot(*everyone.T, color="#94a3b8", lw=1, ls="--", label="act on everyone")
    axes.axhline(0, color="#cbd5e1", lw=1)
    prevalence = metrics["n_positive"].iloc[0] / metrics["n"].iloc[0]
    axes.set(
        xlabel="threshold probability",
        ylabel="net benefit",
        title="Decision curve",
        xlim=(0, 1),
        ylim=(-0.1, prevalence + 0.05),
    )
