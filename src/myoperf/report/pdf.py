"""``report.pdf``: A4 landscape, vector text, the first page laid out like a workstation's summary screen."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from myoperf.report import content, narrative, numbers
from myoperf.report.canvas import MM_PER_PT, Align, Canvas, Font
from myoperf.report.colours import FAINT, INK, SOFT
from myoperf.report.drawings import Drawings, Plate, draw_report
from myoperf.report.figures import bull_eyes_drawing
from myoperf.report.fonts import fitted, text_width_mm, wrap
from myoperf.report.paper import write_pages
from myoperf.report.reader import ReaderPart
from myoperf.report.slices import slices_drawing, slices_shape
from myoperf.report.tables import Table, without_empty_columns
from myoperf.segments import SEGMENT_NAMES, TERRITORIES
from myoperf.types import Finding, Report, ScanResult

PAGE_MM = (297.0, 210.0)
_MARGIN = 9.0
_FULL = PAGE_MM[0] - 2 * _MARGIN
"""Width between the margins."""
_TOP_MM, _READER_MM, _TEXT_MM = 23.0, 150.0, 150.0
"""Where a page's contents begin; width of what a reader wrote, and of the report in words."""
_GATED_A_PAGE = 3
_NUMBERS_PT = 6.8
_CHECK = (
    "Orange: wall. Blue: blood pool. Green: long axis, dot at the apex, bar at the base. If they do not fit the heart, "
    "do not use the numbers."
)
_OUTSIDE = "#a31515"
"""Colour of a number outside of the normal range."""
_TINTS = {
    "failure": ("#fde8e6", "#c62828"),
    "warning": ("#fff3d6", "#e09b00"),
    "info": ("#f0f2f5", "#9aa4b1"),
}


class _Sheet(Canvas):
    """One page, in millimetres from its upper left corner."""

    def __init__(self) -> None:
        super().__init__(*PAGE_MM)

    def rule(self, x: float, y: float, width: float, colour: str = FAINT, width_mm: float = 0.2) -> None:
        """Draw a horizontal line."""
        self.line([(x, y), (x + width, y)], colour, width_mm)

    def heading(self, x: float, y: float, width: float, text: str) -> float:
        """Write a heading with a rule; return the height at which to continue."""
        self.text(x, y + 3.2, text, Font(8.5, bold=True))
        self.rule(x, y + 4.6, width, INK, 0.3)
        return y + 5.6

    def table(self, x: float, y: float, widths: list[float], table: Table, *, size: float = 6.5) -> float:
        """Write a table, the first column left-aligned, the others right; return the height at which to continue."""
        step = MM_PER_PT * size * 1.55
        for i, row in enumerate((table.columns, *table.rows)):
            at, right = y + (i + 0.75) * step, x
            for j, (cell, width) in enumerate(zip(row, widths, strict=True)):
                right += width
                place: tuple[float, Align] = (right - width, "left") if j == 0 else (right - 1.0, "right")
                outside = cell.endswith(tuple(numbers.FLAGS.values()))
                colour = SOFT if i == 0 else _OUTSIDE if outside else INK
                font = fitted(cell, Font(size, bold=i == 0 or outside, colour=colour), width - 1.5)
                self.text(place[0], at, cell, font, align=place[1])
            rule = (INK, 0.25) if i == 0 else (FAINT, 0.15)
            self.rule(x, y + (i + 1) * step, sum(widths), *rule)
        return y + (len(table.rows) + 1) * step


def write_pdf(
    report: Report, path: Path | str, *, drawings: Drawings | None = None, reader: ReaderPart | None = None
) -> Path:
    """Write the report as a PDF of A4 pages; return its path. The same report gives the same bytes.

    Parameters
    ----------
    drawings
        From `myoperf.report.draw_report`, where they are drawn already.
    reader
        What a reader made of the report: it stands on the first page, and whole on the second.
    """
    path = Path(path)
    pages = pdf_pages(report, drawings or draw_report(report), reader=reader)
    write_pages(pages, path, title="MyoPerf report", subject=content.RESEARCH_BAND)
    return path


def pdf_pages(report: Report, drawings: Drawings, *, reader: ReaderPart | None = None) -> list[Canvas]:
    """Draw the pages: summary, further scans, numbers and checks, then flow, function and diagnosis where available."""
    first, *further = drawings.plates
    draws: list[tuple[Plate, Callable[[_Sheet], None]]] = [(first, lambda s: _summary_page(s, report, first, reader))]
    if reader is not None:
        for i, lines in enumerate(_reader_lines(reader)):
            scored = report if i == 0 else None
            draws.append((first, lambda s, lines=lines, scored=scored: _reader_page(s, lines, reader, scored)))  # type: ignore[misc]
    for plate in further:
        draws.append((plate, lambda s, plate=plate: _further_page(s, report, plate)))  # type: ignore[misc]
    draws.append((first, lambda s: _detail_page(s, report, first)))
    for i, lines in enumerate(_report_lines(report)):
        beside = report if i == 0 else None
        draws.append((first, lambda s, lines=lines, beside=beside: _text_page(s, lines, beside)))  # type: ignore[misc]
    if (stability := narrative.stability_table(report)) is not None:
        draws.append((first, lambda s: _stability_page(s, report, stability)))
    if (flow := drawings.flow) is not None:
        draws.append((first, lambda s: _flow_page(s, report, flow)))
    for start in range(0, len(drawings.function), _GATED_A_PAGE):
        rows = drawings.function[start : start + _GATED_A_PAGE]
        draws.append((first, lambda s, rows=rows: _function_page(s, rows)))  # type: ignore[misc]
    if (diagnosis := drawings.diagnosis) is not None:
        draws.append((first, lambda s: _diagnosis_page(s, report, diagnosis)))
    pages: list[Canvas] = []
    for i, (plate, draw) in enumerate(draws, start=1):
        sheet = _Sheet()
        _head(sheet, report, plate.results, f"{i} / {len(draws)}")
        draw(sheet)
        pages.append(sheet)
    return pages


def _head(sheet: _Sheet, report: Report, results: tuple[ScanResult, ...], page: str) -> None:
    """Draw bands, title, patient and the acquisition of the page's scans on top of a page."""
    width = PAGE_MM[0]
    simulated = content.is_simulated(report)
    split = 0.62 * width if simulated else width
    sheet.box(0, 0, split, 6.5, "#ffd84d")
    research = content.RESEARCH_BAND.upper()
    sheet.text(0.5 * split, 3.25, research, Font(8, colour="#3a2c00", bold=True), align="middle", centred=True)
    if simulated:
        sheet.box(split, 0, width - split, 6.5, "#6b3fa0")
        at, words = 0.5 * (split + width), content.SIMULATED_BAND.upper()
        sheet.text(at, 3.25, words, Font(8, colour="#ffffff", bold=True), align="middle", centred=True)
    sheet.text(_MARGIN, 13.5, "Myocardial perfusion", Font(13, bold=True))
    sheet.text(_MARGIN, 17.6, f"MyoPerf {report.provenance.myoperf}", Font(6.5, colour=SOFT))
    sheet.text(width - _MARGIN, 10.6, page, Font(7, colour=SOFT), align="right")
    facts = " · ".join(f"{f.label}: {f.text}" for f in content.patient_facts(report))
    line = wrap(facts, width_mm=196, size_pt=8, lines=1, bold=True)
    sheet.text(76, 12.6, line[0] if line else "", Font(8, bold=True))
    for i, fact in enumerate(content.acquisition_facts(results)):
        label = wrap(fact.label, width_mm=18, size_pt=6.3, lines=1)[0]
        left = 76.0 + max(13.0, text_width_mm(label, 6.3) + 2.0)
        text = wrap(fact.text, width_mm=PAGE_MM[0] - _MARGIN - left, size_pt=6.3, lines=1)
        sheet.text(76, 16.2 + 3.2 * i, label, Font(6.3, colour=SOFT))
        sheet.text(left, 16.2 + 3.2 * i, text[0] if text else "", Font(6.3))
    sheet.rule(_MARGIN, 21.2, _FULL, INK, 0.4)


def _findings(sheet: _Sheet, report: Report, y: float, *, most: int, width: float, x: float = _MARGIN) -> float:
    """Write findings as tinted lines, the most severe first, and how many more there are; return the next height."""
    findings = content.all_findings(report)
    for scope, finding in findings[:most]:
        y = _finding(sheet, scope, finding, x, y, width)
    if len(findings) > most:
        sheet.text(
            x,
            y + 2.4,
            f"and {len(findings) - most} more; all are in report.html and results.json",
            Font(6.3, colour=SOFT),
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
    sheet.text(x + 2.4, y + 3.1, head, fitted(head, Font(6.5, bold=True), 26.6))
    for i, line in enumerate(lines):
        sheet.text(x + 30, y + 3.1 + 3.0 * i, line, Font(6.5))
    return y + height + 0.7


def _place_plate(sheet: _Sheet, report: Report, plate: Plate, y: float, height: float) -> None:
    """Draw the slices on the left and the bull's eyes on the right, in a height."""
    rows, columns = slices_shape(len(plate.results))
    width = min(0.62 * _FULL, height * columns / rows)
    slices = slices_drawing(plate.results, plate.slices, width_mm=width)
    sheet.place(slices, _MARGIN, y)
    left = _MARGIN + width + 3.0
    territories = report.scores.territory_segments or TERRITORIES
    size = (PAGE_MM[0] - _MARGIN - left, min(height, slices.height + 4.0))
    sheet.place(bull_eyes_drawing(plate.discs, size, territories), left, y)


def _further_page(sheet: _Sheet, report: Report, plate: Plate) -> None:
    """Draw the page of a further scan: slices, bull's eyes, and below them the check of its ventricle."""
    _place_plate(sheet, report, plate, 24.0, 128.0)
    for overlay in plate.overlays:
        sheet.place(overlay, _MARGIN, 156.0, width=0.5 * _FULL)
    sheet.text(_MARGIN + 0.5 * _FULL + 4.0, 163.0, "Check the ventricle", Font(8.5, bold=True))
    for i, line in enumerate(wrap(_CHECK, width_mm=0.45 * _FULL, size_pt=6.5, lines=3)):
        sheet.text(_MARGIN + 0.5 * _FULL + 4.0, 167.5 + 3.2 * i, line, Font(6.5, colour=SOFT))


def _summary_page(sheet: _Sheet, report: Report, plate: Plate, reader: ReaderPart | None) -> None:
    """Draw page 1: impression, what to beware of, slices left, bull's eyes right; below them a dozen numbers."""
    y = _impression(sheet, report, 22.6)
    y = _findings(sheet, report, y, most=3, width=_FULL)
    table = without_empty_columns(numbers.first_page_numbers(report))
    width = 0.62 * _FULL
    below = (max(len(table.rows), 6) + 1) * MM_PER_PT * _NUMBERS_PT * 1.55 + 8.0
    _place_plate(sheet, report, plate, y + 1.0, PAGE_MM[1] - below - y - 2.5)
    y = PAGE_MM[1] - below
    if table.rows:
        _draw_numbers(sheet, table, _MARGIN, y, width)
    x, wide = _MARGIN + width + 8.0, _FULL - width - 8.0
    if reader is None:
        _signature(sheet, x, y, wide)
    else:
        _reader_box(sheet, report, reader, (x, y), wide)


def _impression(sheet: _Sheet, report: Report, y: float) -> float:
    """Write the verdict and what function adds to it, whole; return the height at which to continue."""
    first, *others = content.summary_lines(report) or ("",)
    first = " ".join(filter(None, (content.category_words(report), first)))
    for text, size, step in ((first, 9.5, 4.8), (" ".join(others), 7.0, 3.6)):
        for line in wrap(text, width_mm=_FULL, size_pt=size, lines=3, bold=size > 8) if text else ():
            sheet.text(_MARGIN, y + 3.6, line, Font(size, bold=size > 8))
            y += step
    return y + 1.6


def _signature(sheet: _Sheet, x: float, y: float, width: float) -> None:
    """Draw where a reader writes the impression, name and date."""
    y = sheet.heading(x, y - 1.2, width, "Reader")
    sheet.text(x, y + 3.2, "Impression, if it differs from the above:", Font(6.5, colour=SOFT))
    bottom = PAGE_MM[1] - 9.0
    for line in range(2):
        sheet.rule(x, y + 9.0 + 6.0 * line, width)
    for share, label in ((0.0, "Name, signature"), (0.64, "Date")):
        sheet.rule(x + share * width, bottom - 3.6, (0.6 if share == 0 else 0.36) * width, INK)
        sheet.text(x + share * width, bottom - 0.8, label, Font(6.0, colour=SOFT))


def _reader_box(sheet: _Sheet, report: Report, reader: ReaderPart, corner: tuple[float, float], width: float) -> None:
    """Write what the reader made of the report as far as it fits, and the signature."""
    x, y = corner[0], sheet.heading(*corner, width, "Reader")
    bottom, scores = PAGE_MM[1] - 9.0, report.scores
    sums = reader.sums(scores)
    told = (reader.impression or "The impression above stands.", sums and f"Reader's scores: {sums}")
    for text in filter(None, told):
        room_for = max(int((bottom - 8.0 - y) / 3.5), 1)
        for line in wrap(text, width_mm=width, size_pt=7.0, lines=room_for):
            sheet.text(x, y + 3.0, line, Font(7.0))
            y += 3.5
    sheet.rule(x, bottom - 3.6, width, INK)
    sheet.text(x, bottom - 0.8, reader.signature, Font(6.5, bold=True))


class _Line(NamedTuple):
    """A line of the reader's pages, and how far below the top of the page it begins."""

    kind: Literal["heading", "text", "signature"]
    text: str
    y: float


def _reader_lines(reader: ReaderPart) -> list[list[_Line]]:
    """Return the lines of a reader's words, page by page and in full, as they are what was signed."""
    heights = {"heading": 7.0, "text": 4.0, "signature": 9.0}

    def written(title: str, text: str) -> Iterator[tuple[Literal["heading", "text", "signature"], str]]:
        yield "heading", title
        for paragraph in text.splitlines():
            for line in wrap(paragraph, width_mm=_READER_MM, size_pt=8.0, lines=len(text)):
                yield "text", line

    impression = written("Impression of the reader", reader.impression or "The machine's impression stands.")
    addenda = (line for text in reader.addenda for line in written("Addendum", text))
    pages: list[list[_Line]] = [[]]
    y = _TOP_MM
    for kind, text in chain(impression, [("signature", reader.signature)], addenda):
        if y + heights[kind] > PAGE_MM[1] - _MARGIN:
            pages.append([])
            y = _TOP_MM
        pages[-1].append(_Line(kind, text, y))  # type: ignore[arg-type]
        y += heights[kind]
    return pages


def _reader_page(sheet: _Sheet, lines: Sequence[_Line], reader: ReaderPart, scored: Report | None) -> None:
    """Draw a page of the reader's words, signature and addenda; beside the first of them the scores."""
    for kind, text, y in lines:
        if kind == "heading":
            sheet.heading(_MARGIN, y, _READER_MM, text)
        else:
            sheet.text(_MARGIN, y + (6.0 if kind == "signature" else 3.2), text, Font(8.0, bold=kind == "signature"))
    if scored is not None:
        _reader_scores(sheet, scored, reader)


def _reader_scores(sheet: _Sheet, report: Report, reader: ReaderPart) -> None:
    """Write the reader's scores of the 17 segments beside the machine's."""
    x, right = _MARGIN + _READER_MM + 8.0, _FULL - _READER_MM - 8.0
    columns = [
        (title, scores)
        for title, scores in (
            ("Stress, reader", reader.stress_scores),
            ("Stress, machine", report.scores.stress_scores),
            ("Rest, reader", reader.rest_scores),
            ("Rest, machine", report.scores.rest_scores),
        )
        if scores is not None
    ]
    if columns:
        names = [f"{i}  {name}" for i, name in enumerate(SEGMENT_NAMES, start=1)]
        rows = [(name, *(str(scores[i]) for _, scores in columns)) for i, name in enumerate(names)]
        rows.append(("Sum", *(str(sum(scores)) for _, scores in columns)))
        table = Table(("Segment", *(title for title, _ in columns)), tuple(rows))
        y = sheet.heading(x, _TOP_MM, right, "Scores, 0 normal to 4 absent")
        sheet.table(x, y, [40.0, *([(right - 40.0) / len(columns)] * len(columns))], table)


def _draw_numbers(sheet: _Sheet, table: Table, x: float, y: float, width: float, *, size: float = _NUMBERS_PT) -> float:
    """Write the numbers in a block; return the height at which to continue."""
    block = without_empty_columns(table)
    narrow = {"Normal": 0.08 * width, "Unit": 0.07 * width}
    cells = [name for name in block.columns[1:] if name not in narrow]
    share = (0.7 * width - sum(narrow.get(name, 0.0) for name in block.columns[1:])) / max(len(cells), 1)
    return sheet.table(x, y, [0.3 * width, *(narrow.get(name, share) for name in block.columns[1:])], block, size=size)


def _detail_page(sheet: _Sheet, report: Report, plate: Plate) -> None:
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
        y = sheet.table(_MARGIN, y, _shared_widths(territories, 14.0, left), territories, size=5.8)
    _provenance(sheet, report, y + 3.0, left)
    y = sheet.heading(x, 23.0, right, "Check the ventricle")
    for overlay in plate.overlays:
        sheet.place(overlay, x, y, width=right)
        y += overlay.height * right / overlay.width
    sheet.text(x, y + 2.6, _CHECK, Font(6.0, colour=SOFT))
    y = _geometry(sheet, report, x, y + 5.0, right)
    if content.all_findings(report):
        y = sheet.heading(x, y + 3.0, right, "Findings")
        _findings(sheet, report, y + 0.6, most=max(int((PAGE_MM[1] - 12 - y) / 8.2), 1), width=right, x=x)


def _report_lines(report: Report) -> list[list[_Line]]:
    """Lay out the report in words, page by page, to the last word: its conclusion comes last."""
    pages: list[list[_Line]] = [[]]
    y = _TOP_MM
    for section in narrative.report_text(report):
        lines = [
            line
            for sentence in section.sentences
            for line in wrap(sentence, width_mm=_TEXT_MM, size_pt=7.0, lines=len(sentence))
        ]
        for i, line in enumerate(lines):
            heading = 5.6 if i == 0 else 0.0  # no heading stands apart from its first line
            if y + heading + 3.4 > PAGE_MM[1] - _MARGIN:
                pages.append([])
                y = _TOP_MM
            if heading:
                pages[-1].append(_Line("heading", section.title, y))
            pages[-1].append(_Line("text", line, y + heading))
            y += heading + 3.4
        y += 1.6
    return pages


def _text_page(sheet: _Sheet, lines: Sequence[_Line], report: Report | None) -> None:
    """Draw a page of the report in words; beside the first of them how firm it is, and the technical numbers."""
    x, right = _MARGIN + _TEXT_MM + 8.0, _FULL - _TEXT_MM - 8.0
    for kind, text, y in lines:
        if kind == "heading":
            sheet.heading(_MARGIN, y, _TEXT_MM, text)
        else:
            sheet.text(_MARGIN, y + 2.8, text, Font(7.0))
    if report is None:
        return
    y = _stability(sheet, report, (x, _TOP_MM), right)
    for title, table in (
        ("Further numbers", numbers.further_numbers(report)),
        ("Technical details", numbers.numbers_table(report, "technical")),
    ):
        if table.rows:
            y = sheet.heading(x, y, right, title)
            y = _draw_numbers(sheet, table, x, y, right, size=5.8) + 2.5


def _stability(sheet: _Sheet, report: Report, corner: tuple[float, float], width: float) -> float:
    """Say how firm the decision is; return the height at which to continue."""
    x, y = corner
    for line in narrative.stability_lines(report):
        y = sheet.heading(x, y, width, "Decision stability")
        for text in wrap(line, width_mm=width, size_pt=7.0, lines=len(line)):
            sheet.text(x, y + 2.8, text, Font(7.0))
            y += 3.4
        y += 2.0
    return y


def _stability_page(sheet: _Sheet, report: Report, table: Table) -> None:
    """Draw the page behind the line on stability: what each other way of processing gives."""
    y = _stability(sheet, report, (_MARGIN, _TOP_MM), _FULL)
    last = 62.0
    between = (_FULL - 80.0 - last) / (len(table.columns) - 2)
    sheet.table(_MARGIN, y, [80.0, *[between] * (len(table.columns) - 2), last], table)


def _shared_widths(table: Table, first: float, width: float) -> list[float]:
    """Share a table's width among its columns by the length of their names, the first column apart."""
    parts = [len(name) + 3.0 for name in table.columns[1:]]
    return [first, *((width - first) * part / sum(parts) for part in parts)]


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
        sheet.text(_MARGIN, y + 2.4, fact.label, Font(6.0, colour=SOFT))
        for line in lines:
            sheet.text(_MARGIN + 22, y + 2.4, line, Font(6.0))
            y += 2.9
    timings = content.timings_table(report)
    if timings is not None:
        sheet.table(_MARGIN, y + 1.0, _shared_widths(timings, 20.0, width), timings, size=5.2)


def _flow_page(sheet: _Sheet, report: Report, drawing: Canvas) -> None:
    """Draw the page of blood flow: by territory, by segment, and the curves."""
    table = numbers.flow_table(report)
    assert table is not None
    y = sheet.heading(_MARGIN, 23.0, _FULL, "Blood flow")
    cells = len(table.columns) - 1
    y = sheet.table(_MARGIN, y, [40.0, *([45.0] * cells)], table) + 4.0
    sheet.place(drawing, _MARGIN, y, width=_FULL)


def _function_page(sheet: _Sheet, rows: tuple[Canvas, ...]) -> None:
    """Draw a page of gated function."""
    y = sheet.heading(_MARGIN, 23.0, _FULL, "Gated function and synchrony") + 1.0
    for row in rows:
        sheet.place(row, _MARGIN, y, width=_FULL)
        y += row.height * _FULL / row.width + 3.0


def _diagnosis_page(sheet: _Sheet, report: Report, drawing: Canvas) -> None:
    """Draw the page of the research model: probabilities, and what contributes to each vessel's."""
    y = sheet.heading(_MARGIN, 23.0, _FULL, content.RESEARCH_MODEL)
    for line in content.research_lines(report):
        for text in wrap(line, width_mm=_FULL, size_pt=7.5, lines=2):
            sheet.text(_MARGIN, y + 3.2, text, Font(7.5))
            y += 3.8
    sheet.place(drawing, _MARGIN, y, width=_FULL)
