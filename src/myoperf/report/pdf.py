"""``report.pdf``: A4 landscape, vector text, the first page laid out like a workstation's summary screen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from myoperf.report import content, numbers
from myoperf.report.charts import draw_function, function_height_mm
from myoperf.report.colours import INK
from myoperf.report.diagnosis_figures import diagnosis_height_mm, draw_diagnosis
from myoperf.report.figures import MM, draw_bull_eyes, draw_slices, slices_shape
from myoperf.report.flow_figures import draw_flow, flow_height_mm
from myoperf.report.overlays import draw_overlays
from myoperf.report.style import house_style, printable, wrap
from myoperf.report.tables import Table, without_empty_columns
from myoperf.types import Finding, Report, ScanResult

PAGE_MM = (297.0, 210.0)
_MARGIN, _SOFT = 9.0, "#5a6472"
_FULL = PAGE_MM[0] - 2 * _MARGIN
"""Width between the margins."""
_TINTS = {
    "failure": ("#fde8e6", "#c62828"),
    "warning": ("#fff3d6", "#e09b00"),
    "info": ("#f0f2f5", "#9aa4b1"),
}


class _Sheet:
    """One page, addressed in millimetres from its upper left corner."""

    def __init__(self) -> None:
        self.fig = Figure(figsize=(PAGE_MM[0] * MM, PAGE_MM[1] * MM))

    def text(self, x: float, y: float, text: str, size: float = 7.0, **style: Any) -> None:
        style = {"color": INK, "va": "baseline", **style}
        self.fig.text(x / PAGE_MM[0], 1 - y / PAGE_MM[1], printable(text), fontsize=size, parse_math=False, **style)

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        corner = (x / PAGE_MM[0], 1 - (y + height) / PAGE_MM[1])
        size = (width / PAGE_MM[0], height / PAGE_MM[1])
        self.fig.add_artist(Rectangle(corner, *size, facecolor=colour, edgecolor="none", zorder=-1))

    def line(self, x: float, y: float, width: float, colour: str = "#d5dae1", weight: float = 0.2) -> None:
        self.box(x, y - 0.5 * weight, width, weight, colour)

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        return self.fig.add_axes(
            (x / PAGE_MM[0], 1 - (y + height) / PAGE_MM[1], width / PAGE_MM[0], height / PAGE_MM[1])
        )

    def heading(self, x: float, y: float, width: float, text: str) -> float:
        """Write a heading with a rule; return the height at which to continue."""
        self.text(x, y + 3.2, text, 8.5, fontweight="bold")
        self.line(x, y + 4.6, width, INK, 0.3)
        return y + 5.6

    def table(self, x: float, y: float, widths: list[float], table: Table, *, size: float = 6.5) -> float:
        """Write a table, the first column left-aligned, the others right; return the height at which to continue."""
        step = 0.3528 * size * 1.55
        for i, row in enumerate((table.columns, *table.rows)):
            at, right = y + (i + 0.75) * step, x
            for j, (cell, width) in enumerate(zip(row, widths, strict=True)):
                right += width
                place = {"ha": "left"} if j == 0 or width < 0 else {"ha": "right"}
                style = {"color": _SOFT, "fontweight": "bold"} if i == 0 else {}
                if cell:
                    self.text(right - width if j == 0 else right - 1.0, at, cell, size, **place, **style)
            self.line(x, y + (i + 1) * step, sum(widths), INK if i == 0 else "#d5dae1", 0.25 if i == 0 else 0.15)
        return y + (len(table.rows) + 1) * step


def write_pdf(report: Report, path: Path | str) -> Path:
    """Write the report as a PDF of A4 pages; return its path. The same report gives the same bytes."""
    path = Path(path)
    information = {"Title": "MyoPerf report", "Subject": content.RESEARCH_BAND, "CreationDate": None}
    with house_style():
        pages = pdf_pages(report)
        with PdfPages(path, metadata=information) as document:
            for page in pages:
                document.savefig(page, dpi=150)
    return path


def pdf_pages(report: Report) -> list[Figure]:
    """Draw the pages: summary, further scans, numbers and checks, then flow, function and diagnosis where available."""
    groups = content.display_groups(report)
    draws: list[Callable[[_Sheet], None]] = [lambda s: _summary_page(s, report, groups[0])]
    for group in groups[1:]:
        draws.append(lambda s, group=group: _plates(s, report, group, 34.0, 150.0))  # type: ignore[misc]
    draws.append(lambda s: _detail_page(s, report))
    if flow_height_mm(report) > 0:
        draws.append(lambda s: _flow_page(s, report))
    if function_height_mm(report, _FULL) > 0:
        draws.append(lambda s: _function_page(s, report))
    if report.diagnosis is not None:
        draws.append(lambda s: _diagnosis_page(s, report))
    pages = []
    for i, draw in enumerate(draws, start=1):
        sheet = _Sheet()
        _head(sheet, report, f"{i} / {len(draws)}")
        draw(sheet)
        pages.append(sheet.fig)
    return pages


def _head(sheet: _Sheet, report: Report, page: str) -> None:
    """Draw bands, title, patient and acquisition on top of a page."""
    width = PAGE_MM[0]
    simulated = content.is_simulated(report)
    split = 0.62 * width if simulated else width
    bold: dict[str, Any] = {"fontweight": "bold", "ha": "center"}
    sheet.box(0, 0, split, 6.5, "#ffd84d")
    sheet.text(0.5 * split, 4.5, content.RESEARCH_BAND.upper(), 8, **{**bold, "color": "#3a2c00"})
    if simulated:
        sheet.box(split, 0, width - split, 6.5, "#6b3fa0")
        sheet.text(0.5 * (split + width), 4.5, content.SIMULATED_BAND.upper(), 8, **{**bold, "color": "white"})
    sheet.text(_MARGIN, 13.5, "Myocardial perfusion", 13, fontweight="bold")
    sheet.text(_MARGIN, 17.6, f"MyoPerf {report.provenance.myoperf}", 6.5, color=_SOFT)
    sheet.text(width - _MARGIN, 13.5, page, 7, ha="right", color=_SOFT)
    facts = " · ".join(f"{f.label}: {f.text}" for f in content.patient_facts(report))
    line = wrap(facts, width_mm=185, size_pt=8, lines=1)
    sheet.text(76, 12.6, line[0] if line else "", 8, fontweight="bold")
    shown = content.acquisition_facts(report)[:2]
    for i, fact in enumerate(shown):
        text = wrap(fact.text, width_mm=188, size_pt=6.3, lines=1)
        sheet.text(76, 16.2 + 3.2 * i, fact.label, 6.3, color=_SOFT)
        sheet.text(89, 16.2 + 3.2 * i, text[0] if text else "", 6.3)
    sheet.line(_MARGIN, 21.2, _FULL, INK, 0.4)


def _findings(sheet: _Sheet, report: Report, y: float, *, most: int, width: float, x: float = _MARGIN) -> float:
    """Write findings as tinted lines, the most severe first, and how many more there are; return the next height."""
    findings = content.all_findings(report)
    for scope, finding in findings[:most]:
        y = _finding(sheet, scope, finding, x, y, width)
    if len(findings) > most:
        sheet.text(
            x, y + 2.4, f"and {len(findings) - most} more; all are in report.html and results.json", 6.3, color=_SOFT
        )
        y += 3.6
    return y


def _finding(sheet: _Sheet, scope: str, finding: Finding, x: float, y: float, width: float) -> float:
    tint, edge = _TINTS[finding.severity]
    head = f"{finding.severity.capitalize()} · {scope}"
    lines = wrap(finding.message, width_mm=width - 32, size_pt=6.5, lines=2)
    height = 1.4 + 3.0 * max(len(lines), 1)
    sheet.box(x, y, width, height, tint)
    sheet.box(x, y, 1.2, height, edge)
    sheet.text(x + 2.4, y + 3.1, head, 6.5, fontweight="bold")
    for i, line in enumerate(lines):
        sheet.text(x + 30, y + 3.1 + 3.0 * i, line, 6.5)
    return y + height + 0.7


def _plates(sheet: _Sheet, report: Report, results: tuple[ScanResult, ...], y: float, height: float) -> None:
    """Draw the slices on the left and the bull's eyes on the right, in a height."""
    rows, columns = slices_shape(len(results))
    width = min(0.62 * _FULL, height * columns / rows)
    side = width * rows / columns
    ax = sheet.axes(_MARGIN, y, width, side)
    draw_slices(ax, results, size_pt=5.8 if len(results) > 1 else 7.0)
    sheet.box(_MARGIN, y, width, side, "black")
    left = _MARGIN + width + 3.0
    draw_bull_eyes(
        sheet.fig, (left, PAGE_MM[1] - y - height, PAGE_MM[0] - _MARGIN - left, height), results, report.scores
    )


def _summary_page(sheet: _Sheet, report: Report, results: tuple[ScanResult, ...]) -> None:
    """Draw page 1: findings and summary, slices left, bull's eyes right, numbers below."""
    y = _findings(sheet, report, 22.6, most=3, width=_FULL)
    first, *others = content.summary_lines(report) or ("",)
    for i, line in enumerate(text for text in (first, " ".join(others)) if text):
        size = 9.0 if i == 0 else 7.0
        for text in wrap(line, width_mm=_FULL, size_pt=size, lines=1):
            sheet.text(_MARGIN, y + 3.6, text, size, fontweight="bold" if i == 0 else "normal")
            y += 4.6 if i == 0 else 3.6
    table = numbers.numbers_table(report)
    below = _numbers_height(table) + 4.0
    _plates(sheet, report, results, y + 1.5, PAGE_MM[1] - below - y - 3.0)
    _draw_numbers(sheet, table, PAGE_MM[1] - below)


def _numbers_height(table: Table) -> float:
    """Return the height of the numbers when set in two blocks side by side."""
    return (-(-len(table.rows) // 2) + 1) * 0.3528 * 6.5 * 1.55 + 2.0


def _draw_numbers(sheet: _Sheet, table: Table, y: float) -> None:
    """Write the numbers in two blocks side by side."""
    half = -(-len(table.rows) // 2)
    width = 0.5 * _FULL - 4.0
    for i, rows in enumerate((table.rows[:half], table.rows[half:])):
        if rows:
            block = without_empty_columns(Table(table.columns, rows))
            cells = len(block.columns) - 2
            widths = [0.35 * width, *([0.58 * width / cells] * cells), 0.07 * width]
            sheet.table(_MARGIN + i * (width + 8.0), y, widths, block)


def _detail_page(sheet: _Sheet, report: Report) -> None:
    """Draw the page of segments, territories, the check of the ventricle, all findings and provenance."""
    left, right = 118.0, _FULL - 126.0
    x = _MARGIN + 126.0
    y = sheet.heading(_MARGIN, 23.0, left, "Segments: uptake in % of the maximum")
    segments = numbers.segments_table(report)
    cells = len(segments.columns) - 2
    narrow = Table(("Segment", *segments.columns[2:]), tuple((f"{r[0]}  {r[1]}", *r[2:]) for r in segments.rows))
    y = sheet.table(_MARGIN, y, [31.0, *([87.0 / cells] * cells)], narrow, size=6.2)
    territories = numbers.territories_table(report)
    if territories is not None:
        y = sheet.heading(_MARGIN, y + 3.0, left, "Territories")
        parts = [len(name) + 3.0 for name in territories.columns[1:]]
        widths = [14.0, *(104.0 * part / sum(parts) for part in parts)]
        y = sheet.table(_MARGIN, y, widths, territories, size=5.8)
    _provenance(sheet, report, y + 3.0, left)
    y = sheet.heading(x, 23.0, right, "Check the ventricle")
    shown = report.results[:2]
    side = right / 4.0
    for result in shown:
        axes = [sheet.axes(x + i * side + 0.4, y + 3.0, side - 0.8, side - 0.8) for i in range(4)]
        draw_overlays(axes, result)
        y += side + 3.0
    note = "Orange: wall. Blue: blood pool. Green: long axis, dot at the apex, bar at the base."
    sheet.text(x, y + 2.6, f"{note} If they do not fit the heart, do not use the numbers.", 6.0, color=_SOFT)
    y = _geometry(sheet, report, x, y + 5.0, right)
    if content.all_findings(report):
        y = sheet.heading(x, y + 3.0, right, "Findings")
        _findings(sheet, report, y + 0.6, most=max(int((PAGE_MM[1] - 12 - y) / 8.2), 1), width=right, x=x)


def _geometry(sheet: _Sheet, report: Report, x: float, y: float, width: float) -> float:
    """Write the pose of each ventricle; return the height at which to continue."""
    table = content.geometry_table(report)
    cut = Table(table.columns[:-1], tuple(row[:-1] for row in table.rows))
    return sheet.table(x, y, [18.0, *([(width - 18.0) / 4.0] * 4)], cut, size=6.0)


def _provenance(sheet: _Sheet, report: Report, y: float, width: float) -> None:
    """Write how the report was made, and the seconds and memory by stage."""
    y = sheet.heading(_MARGIN, y, width, "How this report was made")
    for fact in content.provenance_facts(report):
        lines = wrap(fact.text, width_mm=width - 22, size_pt=6.0, lines=2)
        sheet.text(_MARGIN, y + 2.4, fact.label, 6.0, color=_SOFT)
        for line in lines:
            sheet.text(_MARGIN + 22, y + 2.4, line, 6.0)
            y += 2.9
    timings = content.timings_table(report)
    if timings is not None:
        cells = len(timings.columns) - 1
        sheet.table(_MARGIN, y + 1.0, [18.0, *([100.0 / cells] * cells)], timings, size=5.2)


def _flow_page(sheet: _Sheet, report: Report) -> None:
    """Draw the page of blood flow: by territory, by segment, and the curves."""
    table = numbers.flow_table(report)
    assert table is not None
    y = sheet.heading(_MARGIN, 23.0, _FULL, "Blood flow")
    cells = len(table.columns) - 1
    y = sheet.table(_MARGIN, y, [40.0, *([45.0] * cells)], table) + 4.0
    height = flow_height_mm(report)
    draw_flow(sheet.fig, (_MARGIN, PAGE_MM[1] - y - height, _FULL, height), report)


def _function_page(sheet: _Sheet, report: Report) -> None:
    """Draw the page of gated function."""
    height = function_height_mm(report, _FULL)
    y = sheet.heading(_MARGIN, 23.0, _FULL, "Gated function and synchrony") + 2.0
    draw_function(sheet.fig, (_MARGIN, PAGE_MM[1] - y - height, _FULL, height), report)


def _diagnosis_page(sheet: _Sheet, report: Report) -> None:
    """Draw the page of the diagnosis: probabilities, and what contributes to each vessel's."""
    diagnosis = report.diagnosis
    assert diagnosis is not None
    y = sheet.heading(_MARGIN, 23.0, _FULL, f"Basis of the diagnosis: {diagnosis.model}")
    for line in (*content.summary_lines(report)[-1:], *([diagnosis.reason] if diagnosis.reason else [])):
        for text in wrap(line, width_mm=_FULL, size_pt=7.5, lines=2):
            sheet.text(_MARGIN, y + 3.2, text, 7.5)
            y += 3.8
    height = diagnosis_height_mm(report, _FULL)
    draw_diagnosis(sheet.fig, (_MARGIN, PAGE_MM[1] - y - height, _FULL, height), report)
