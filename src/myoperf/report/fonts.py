"""The report's font: its files, the width of texts, and what it can show."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from myoperf.errors import InputError
from myoperf.report.canvas import MM_PER_PT, Font

if TYPE_CHECKING:
    from reportlab.pdfbase.ttfonts import TTFont

_PLAIN = str.maketrans({"\u2013": "-", "\u2212": "-", "\u2026": "..."})
_FILES = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}


@cache
def font_file(*, bold: bool) -> Path:
    """Return the file of DejaVu Sans that comes with matplotlib, which is not imported.

    Raises
    ------
    InputError
        When matplotlib is not installed, or holds no such file.
    """
    spec = find_spec("matplotlib")
    for folder in spec.submodule_search_locations or () if spec else ():
        file = Path(folder) / "mpl-data" / "fonts" / "ttf" / _FILES[bold]
        if file.is_file():
            return file
    raise InputError(f"The report's font {_FILES[bold]} is missing; it comes with matplotlib: reinstall matplotlib.")


@cache
def pdf_font(*, bold: bool) -> TTFont:
    """Return the font, registered with reportlab under the name that its `fontName` tells."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    font = TTFont("MyoPerf-Bold" if bold else "MyoPerf", str(font_file(bold=bold)))
    pdfmetrics.registerFont(font)
    return font


def text_width_mm(text: str, size_pt: float, *, bold: bool = False) -> float:
    """Return the width of a text without line breaks."""
    return float(pdf_font(bold=bold).stringWidth(text, size_pt)) * MM_PER_PT


def fitted(text: str, font: Font, width_mm: float) -> Font:
    """Return a font, smaller where a text would be wider than `width_mm` in it."""
    width = text_width_mm(printable(text), font.size_pt, bold=font.bold)
    return font if width <= width_mm else replace(font, size_pt=font.size_pt * width_mm / width)


def printable(text: str) -> str:
    """Replace what the font cannot show, and control characters, by a question mark; line breaks by spaces.

    Dashes and dots become plain ones: a PDF that keeps to Latin-1 embeds half as many fonts.
    """
    flat = " ".join(text.split()).translate(_PLAIN)
    if flat.isascii() and flat.isprintable():
        return flat
    known = pdf_font(bold=False).face.charToGlyph
    return "".join(c if ord(c) in known and c.isprintable() else "?" for c in flat)


def wrap(text: str, *, width_mm: float, size_pt: float, lines: int, bold: bool = False) -> list[str]:
    """Break a text into at most `lines` lines of a width; what does not fit becomes dots.

    Words longer than a line are broken.
    """
    out, line = [], ""
    for word in printable(text).split():
        longer = f"{line} {word}" if line else word
        if text_width_mm(longer, size_pt, bold=bold) <= width_mm:
            line = longer
            continue
        if line:
            out.append(line)
        while text_width_mm(word, size_pt, bold=bold) > width_mm:
            fits = _fitting(word, width_mm, size_pt, bold=bold)
            out.append(word[:fits])
            word = word[fits:]
        line = word
        if len(out) > lines:
            break
    out += [line] if line else []
    if len(out) <= lines:
        return out
    last = out[lines - 1]
    room = width_mm - text_width_mm(" ...", size_pt, bold=bold)
    kept = last if text_width_mm(last, size_pt, bold=bold) <= room else last[: _fitting(last, room, size_pt, bold=bold)]
    return [*out[: lines - 1], kept.rstrip() + " ..."]


def _fitting(text: str, width_mm: float, size_pt: float, *, bold: bool) -> int:
    """Return how many of a text's first characters fit a width; at least one."""
    width = 0.0
    for i, character in enumerate(text):
        width += text_width_mm(character, size_pt, bold=bold)
        if width > width_mm:
            return max(i, 1)
    return len(text)
