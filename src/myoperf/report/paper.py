"""Drawings as the pages of a PDF: vector lines, embedded fonts, the same bytes for the same pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from myoperf.report.canvas import Canvas, Picture, Shape, Text
from myoperf.report.colours import Bytes, rgb_of
from myoperf.report.fonts import pdf_font, printable

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas as Sheets

_PT_PER_MM = 72.0 / 25.4
_HALO_MM = 0.25


def write_pages(pages: Sequence[Canvas], path: Path, *, title: str, subject: str) -> None:
    """Write drawings as the pages of a PDF, each page of its drawing's size; no time or date is written."""
    from reportlab.pdfgen.canvas import Canvas as Sheets

    sheets = Sheets(str(path), invariant=1, pageCompression=1)
    sheets.setTitle(title)
    sheets.setSubject(subject)
    sheets.setCreator("MyoPerf")
    with _binary_streams():
        for page in pages:
            _draw_page(sheets, page)
        sheets.save()


@contextmanager
def _binary_streams() -> Iterator[None]:
    """Let reportlab write streams as bytes inside the block, not as ASCII text, which takes much longer."""
    from reportlab import rl_config

    before = rl_config.useA85
    rl_config.useA85 = 0
    try:
        yield
    finally:
        rl_config.useA85 = before


def _draw_page(sheets: Sheets, page: Canvas) -> None:
    sheets.setPageSize((page.width * _PT_PER_MM, page.height * _PT_PER_MM))
    sheets.setLineJoin(1)
    for mark in page.marks:
        if isinstance(mark, Shape):
            _draw_shape(sheets, mark, page.height)
        elif isinstance(mark, Text):
            _draw_text(sheets, mark, page.height)
        else:
            _draw_picture(sheets, mark, page.height)
    sheets.showPage()


def _colour(colour: str) -> tuple[float, float, float]:
    """Return red, green and blue from 0 to 1."""
    red, green, blue = rgb_of(colour)
    return red / 255.0, green / 255.0, blue / 255.0


def _draw_shape(sheets: Sheets, shape: Shape, page_height: float) -> None:
    from reportlab.pdfgen.pathobject import PDFPathObject

    code = []  # written here, as reportlab's own formatting of numbers takes long
    for line in shape.lines:
        points = (line * (1.0, -1.0) + (0.0, page_height)) * _PT_PER_MM
        steps = [f"{x:.2f} {y:.2f} l" for x, y in points.tolist()]
        code += [steps[0][:-1] + "m", *steps[1:], *(["h"] if shape.fill else [])]
    path = PDFPathObject(code)
    if shape.fill:
        sheets.setFillColorRGB(*_colour(shape.fill))
    if shape.stroke:
        sheets.setStrokeColorRGB(*_colour(shape.stroke))
        sheets.setLineWidth(shape.width_mm * _PT_PER_MM)
        sheets.setDash(*([shape.dash_mm * _PT_PER_MM] * 2 if shape.dash_mm else []))
    sheets.drawPath(path, stroke=int(shape.stroke is not None), fill=int(shape.fill is not None))


def _draw_text(sheets: Sheets, text: Text, page_height: float) -> None:
    words = printable(text.text)
    x, y = text.x * _PT_PER_MM, (page_height - text.y) * _PT_PER_MM
    draw = {"left": sheets.drawString, "middle": sheets.drawCentredString, "right": sheets.drawRightString}[text.align]
    sheets.setFont(pdf_font(bold=text.font.bold).fontName, text.font.size_pt)
    if text.turn_deg:
        sheets.saveState()
        sheets.translate(x, y)
        sheets.rotate(text.turn_deg)
        x = y = 0.0
    if text.font.halo:
        sheets.setStrokeColorRGB(*_colour(text.font.halo))
        sheets.setLineWidth(2 * _HALO_MM * _PT_PER_MM)
        sheets.setDash()
        draw(x, y, words, mode=1)
    sheets.setFillColorRGB(*_colour(text.font.colour))
    draw(x, y, words, mode=0 if text.font.halo else None)
    if text.turn_deg:
        sheets.restoreState()


def _draw_picture(sheets: Sheets, picture: Picture, page_height: float) -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    image = ImageReader(Image.fromarray(_channels(picture)))
    left, bottom = picture.x * _PT_PER_MM, (page_height - picture.y - picture.height) * _PT_PER_MM
    sheets.drawImage(image, left, bottom, picture.width * _PT_PER_MM, picture.height * _PT_PER_MM, mask="auto")


def _channels(picture: Picture) -> Bytes:
    """Return the fewest channels that show a picture on white: grey, red-green-blue, or those with opacity."""
    palette, table = picture.palette, picture.palette.table  # its transparent colour is white
    if not palette.opaque:
        return table[picture.pixels]
    grey = bool((table[:, :1] == table[:, :3]).all())
    return np.ascontiguousarray(table[:, 0] if grey else table[:, :3])[picture.pixels]
