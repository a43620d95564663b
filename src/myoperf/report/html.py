"""``report.html``: one self-contained file with its pictures inside, ready to print."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from myoperf.report import content, narrative, numbers
from myoperf.report.canvas import Canvas
from myoperf.report.cine import Cine
from myoperf.report.colours import PALETTE_NAMES, PERFUSION, palette
from myoperf.report.drawings import Drawings, Plate, draw_report
from myoperf.report.figures import MAPS, bull_eyes_drawing
from myoperf.report.slices import slices_drawing, with_bars
from myoperf.report.svg import colour_filters, to_moving_svg, to_svg
from myoperf.report.tables import state_title
from myoperf.segments import TERRITORIES
from myoperf.types import Report, ScanResult

_ANGLES = ("difference", "phase")
"""Palettes that show no uptake."""
_BULL_EYES_MM = 110.0
"""Width of the bull's eyes, beside slices of 62 to their 38 parts of the page."""


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("myoperf.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_html(report: Report, path: Path | str, *, drawings: Drawings | None = None) -> Path:
    """Write the report as one self-contained HTML page; return its path.

    Parameters
    ----------
    drawings
        From `myoperf.report.draw_report`, where they are drawn already.
    """
    path = Path(path)
    path.write_text(render_html(report, drawings or draw_report(report)), encoding="utf-8")
    return path


def render_html(report: Report, drawings: Drawings) -> str:
    """Return the report as the text of an HTML page."""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            version=report.provenance.myoperf,
            research_band=content.RESEARCH_BAND,
            simulated_band=content.SIMULATED_BAND if content.is_simulated(report) else "",
            patient=content.patient_facts(report),
            acquisition=content.acquisition_facts(report.results),
            findings=content.all_findings(report),
            summary=content.summary_lines(report),
            category=report.scores.category or "",
            tone=_tone(report),
            filters=colour_filters((*(result.name for result in report.results), MAPS), PERFUSION),
            scales=_scales(report),
            script=(script := _script()),
            policy=f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {_hash(script)}",
            groups=[_group(report, plate, drawings.cines) for plate in drawings.plates],
            numbers=numbers.first_page_numbers(report),
            further=numbers.further_numbers(report),
            technical=numbers.numbers_table(report, "technical"),
            territories=numbers.territories_table(report),
            flow=numbers.flow_table(report),
            flow_picture=_figure(drawings.flow, "Flow by segment, its reserve, and the curves of blood and wall"),
            segments=numbers.segments_table(report),
            geometry=content.geometry_table(report),
            text=narrative.report_text(report),
            stability=narrative.stability_lines(report),
            stability_table=narrative.stability_table(report),
            research_heading=content.RESEARCH_MODEL,
            research=content.research_lines(report),
            diagnosis_rows=_diagnosis_rows(report),
            diagnosis_picture=_figure(
                drawings.diagnosis, "Probabilities with interval, and maps of what contributes to each vessel's"
            ),
            function_pictures=[
                _figure(row, "Volume curve, end-diastole, end-systole, phase histogram and maps")
                for row in drawings.function
            ],
            overlay_pictures=[
                _figure(row, "Middle slices with the outlines of wall and blood pool and the long axis")
                for plate in drawings.plates
                for row in plate.overlays
            ],
            provenance=content.provenance_facts(report),
            timings=content.timings_table(report),
        )
    )


def _tone(report: Report) -> str:
    """Return the class of the headline's box, whose colour follows the verdict."""
    verdict = report.scores.verdict
    if verdict is None or not verdict.reliable:
        return "open"
    if verdict.abnormal:
        return "ill"
    return "open" if verdict.warnings else "fine"


def _figure(drawing: Canvas | None, label: str) -> str:
    """Return a drawing as SVG; an empty text where there is nothing to show."""
    return "" if drawing is None else to_svg(drawing, label)


def _group(report: Report, plate: Plate, cines: Mapping[str, Cine]) -> dict[str, str]:
    """Return the pictures of scans shown together, in colour and in grey."""
    title, slices = " and ".join(state_title(r) for r in plate.results), slices_drawing(plate.results, plate.slices)
    height = _BULL_EYES_MM * 62.0 / 38.0 * slices.height / slices.width
    territories = report.scores.territory_segments or TERRITORIES
    discs = bull_eyes_drawing(plate.discs, (_BULL_EYES_MM, height), territories)
    words = "short axis from apex to base, vertical and horizontal long axis"
    return {
        "title": title,
        "slices": _figure(with_bars(slices, plate.results), f"{title}: {words}"),
        "cines": "".join(_cine(result, cines.get(result.name)) for result in plate.results),
        "bull_eyes": _figure(discs, f"{title}: polar maps with 17 segments, anterior on top, septum on the left"),
    }


def _cine(result: ScanResult, cine: Cine | None) -> str:
    """Return a gated scan's slices as a drawing whose frames the page's script shows in turn; empty without gates."""
    label = f"{state_title(result)}: slices of every gate with the surfaces of the wall, and the volume"
    return "" if cine is None else to_moving_svg(cine.still, cine.frames, label)


def _scales(report: Report) -> str:
    """Return what the page's script knows of colours, as JSON: the scales that have a window, and all palettes."""
    colours = {name: palette(name).colours[:, :3].tobytes().hex() for name in PALETTE_NAMES if name not in _ANGLES}
    windows = {result.name: state_title(result) for result in report.results}
    return json.dumps({"windows": windows, "maps": MAPS, "palette": PERFUSION.name, "palettes": colours}).replace(
        "<", "\\u003c"
    )


@lru_cache(maxsize=1)
def _script() -> str:
    """Return the script of the page: cine, windows, palettes."""
    return resources.files("myoperf.report").joinpath("templates/report.js").read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """Return the expression by which the page's policy lets this script run and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _diagnosis_rows(report: Report) -> list[tuple[str, str]]:
    diagnosis = report.diagnosis
    if diagnosis is None or diagnosis.abstained:
        return []
    low, high = diagnosis.interval
    patient = f"{diagnosis.per_patient:.3f} (interval {low:.3f} to {high:.3f})"
    return [("Patient", patient), *((vessel, f"{p:.3f}") for vessel, p in diagnosis.per_vessel.items())]
