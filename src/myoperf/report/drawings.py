"""Every picture of a report, drawn once for all kinds of pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from myoperf.report.bullseye import BullEye
from myoperf.report.canvas import Canvas
from myoperf.report.charts import function_drawings
from myoperf.report.cine import Cine, cine_drawing
from myoperf.report.colours import Bytes
from myoperf.report.content import display_groups, scores_of
from myoperf.report.diagnosis_figures import diagnosis_drawing
from myoperf.report.figures import bull_eyes, side_by_side
from myoperf.report.flow_figures import flow_drawing
from myoperf.report.overlays import overlay_drawing
from myoperf.report.slices import cut_slices
from myoperf.types import Report, ScanResult


@dataclass(frozen=True, eq=False, kw_only=True)
class Plate:
    """The scans shown together: their slices by view, what their bull's eyes show, and the check of each ventricle."""

    results: tuple[ScanResult, ...]
    slices: Mapping[str, Bytes]
    discs: list[BullEye]
    overlays: tuple[Canvas, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Drawings:
    """The pictures of a report; None, or no drawing, where there is nothing to show.

    `function` holds one drawing or more for each gated scan.
    """

    plates: tuple[Plate, ...]
    function: tuple[Canvas, ...]
    flow: Canvas | None
    diagnosis: Canvas | None

    @cached_property
    def cines(self) -> Mapping[str, Cine]:
        """The moving slices of each gated scan, by its name; drawn when first used."""
        drawn = {result.name: cine_drawing(result) for plate in self.plates for result in plate.results}
        return {name: cine for name, cine in drawn.items() if cine is not None}


def draw_report(report: Report) -> Drawings:
    """Draw the pictures of a report, to be handed to `write_html` and `write_pdf`."""
    return Drawings(
        plates=tuple(_plate(report, results) for results in display_groups(report)),
        function=function_drawings(report),
        flow=flow_drawing(report),
        diagnosis=diagnosis_drawing(report),
    )


def _plate(report: Report, results: tuple[ScanResult, ...]) -> Plate:
    return Plate(
        results=results,
        slices=cut_slices(results),
        discs=_discs(report, results),
        overlays=tuple(overlay_drawing(result) for result in results),
    )


def _discs(report: Report, results: tuple[ScanResult, ...]) -> list[BullEye]:
    """Return the bull's eyes of scans shown together; one scan stands beside its twin of the other correction."""
    twins = _both_corrections(report, results)
    if twins is None:
        return bull_eyes(results, scores_of(report, results[0]))
    return side_by_side([(result, scores_of(report, result)) for result in twins])


def _both_corrections(report: Report, results: tuple[ScanResult, ...]) -> tuple[ScanResult, ScanResult] | None:
    """Return a scan without and with correction for attenuation, where one of the two is shown alone; else None."""
    if len(results) != 1:
        return None
    by_name = {result.name: result for result in report.results}
    name = results[0].name.removesuffix("-ac")
    uncorrected, corrected = by_name.get(name), by_name.get(f"{name}-ac")
    return None if uncorrected is None or corrected is None else (uncorrected, corrected)
