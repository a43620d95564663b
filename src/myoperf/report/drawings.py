"""Every picture of a report, drawn once for all kinds of pages."""

from collections.abc import Mapping
from dataclasses import dataclass

from myoperf.report.bullseye import BullEye
from myoperf.report.canvas import Canvas
from myoperf.report.charts import function_drawings
from myoperf.report.colours import Bytes
from myoperf.report.content import display_groups
from myoperf.report.diagnosis_figures import diagnosis_drawing
from myoperf.report.figures import bull_eyes
from myoperf.report.flow_figures import flow_drawing
from myoperf.report.overlays import overlay_drawing
from myoperf.report.slices import cut_slices
from myoperf.types import Report, ScanResult


@dataclass(frozen=True, eq=False, kw_only=True)
class Plate:
    """The scans shown together: their slices by view, and what their bull's eyes show."""

    results: tuple[ScanResult, ...]
    slices: Mapping[str, Bytes]
    discs: list[BullEye]


@dataclass(frozen=True, eq=False, kw_only=True)
class Drawings:
    """The pictures of a report; None, or no drawing, where there is nothing to show.

    `overlays` holds a drawing for each scan, `function` one or more for each gated scan.
    """

    plates: tuple[Plate, ...]
    overlays: tuple[Canvas, ...]
    function: tuple[Canvas, ...]
    flow: Canvas | None
    diagnosis: Canvas | None


def draw_report(report: Report) -> Drawings:
    """Draw the pictures of a report, to be handed to `write_html` and `write_pdf`."""
    return Drawings(
        plates=tuple(
            Plate(results=results, slices=cut_slices(results), discs=bull_eyes(results, report.scores))
            for results in display_groups(report)
        ),
        overlays=tuple(overlay_drawing(result) for result in report.results),
        function=function_drawings(report),
        flow=flow_drawing(report),
        diagnosis=diagnosis_drawing(report),
    )
