"""``report.html``: one self-contained file with its pictures inside, ready to print."""

import base64
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from myoperf.report import content, numbers
from myoperf.report.charts import function_figure
from myoperf.report.colours import GREY
from myoperf.report.diagnosis_figures import diagnosis_figure
from myoperf.report.figures import bull_eyes_figure, slice_tiles, slices_figure, slices_shape
from myoperf.report.flow_figures import flow_figure
from myoperf.report.overlays import overlay_figure
from myoperf.report.style import house_style, save_png
from myoperf.report.tables import state_title
from myoperf.types import Report, ScanResult


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("myoperf.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_html(report: Report, path: Path | str) -> Path:
    """Write the report as one self-contained HTML page; return its path."""
    path = Path(path)
    path.write_text(render_html(report), encoding="utf-8")
    return path


def render_html(report: Report) -> str:
    """Return the report as the text of an HTML page."""
    groups = [_group(report, results) for results in content.display_groups(report)]
    findings = content.all_findings(report)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            version=report.provenance.myoperf,
            research_band=content.RESEARCH_BAND,
            simulated_band=content.SIMULATED_BAND if content.is_simulated(report) else "",
            patient=content.patient_facts(report),
            acquisition=content.acquisition_facts(report),
            findings=findings,
            summary=content.summary_lines(report),
            groups=groups,
            numbers=numbers.numbers_table(report, "numbers"),
            technical=numbers.numbers_table(report, "technical"),
            territories=numbers.territories_table(report),
            flow=numbers.flow_table(report),
            flow_picture=_optional(lambda: flow_figure(report), 130),
            segments=numbers.segments_table(report),
            geometry=content.geometry_table(report),
            diagnosis=report.diagnosis,
            diagnosis_rows=_diagnosis_rows(report),
            diagnosis_picture=_optional(lambda: diagnosis_figure(report), 130),
            function_picture=_optional(lambda: function_figure(report), 130),
            overlay_picture=_data_uri(lambda: overlay_figure(report), 130),
            provenance=content.provenance_facts(report),
            timings=content.timings_table(report),
        )
    )


def _group(report: Report, results: tuple[ScanResult, ...]) -> dict[str, Any]:
    """Return the pictures of scans shown together, in colour and in grey."""
    tiles = slice_tiles(results)
    rows, columns = slices_shape(len(results))
    height = 110.0 * 62.0 / 38.0 * rows / columns
    return {
        "title": " and ".join(state_title(r) for r in results),
        "slices": _data_uri(lambda: slices_figure(results, tiles=tiles), 150),
        "slices_grey": _data_uri(lambda: slices_figure(results, cmap=GREY, tiles=tiles), 150),
        "bull_eyes": _data_uri(lambda: bull_eyes_figure(results, report.scores, height_mm=height), 150),
    }


def _diagnosis_rows(report: Report) -> list[tuple[str, str]]:
    diagnosis = report.diagnosis
    if diagnosis is None:
        return []
    low, high = diagnosis.interval
    patient = f"{diagnosis.per_patient:.3f} (interval {low:.3f} to {high:.3f})"
    return [("Patient", patient), *((vessel, f"{p:.3f}") for vessel, p in diagnosis.per_vessel.items())]


def _data_uri(draw: Callable[[], Figure], dpi: int) -> str:
    return "data:image/png;base64," + base64.b64encode(save_png(draw, dpi=dpi)).decode("ascii")


def _optional(draw: Callable[[], Figure | None], dpi: int) -> str:
    """Return the picture's data URI, or an empty text where there is nothing to draw."""
    with house_style():
        figure = draw()
    return "" if figure is None else _data_uri(lambda: figure, dpi)
