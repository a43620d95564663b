"""One look for every picture, whatever the user's own matplotlib settings are."""

import io
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

_PLAIN = str.maketrans({"\u2013": "-", "\u2212": "-", "\u2026": "..."})
_SETTINGS = {
    "font.family": ["DejaVu Sans"],
    "font.size": 7.0,
    "axes.linewidth": 0.5,
    "hatch.linewidth": 0.4,
    "pdf.fonttype": 42,
    "text.usetex": False,
    "axes.unicode_minus": False,
    "savefig.bbox": None,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Use the report's own settings inside the block: matplotlib's defaults, DejaVu Sans, TrueType in PDF."""
    defaults = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith(("backend", "date."))}
    settings: dict[Any, Any] = {**defaults, **_SETTINGS}
    with mpl.rc_context(settings):
        yield


def save_png(draw: Callable[[], Figure], *, dpi: int = 150) -> bytes:
    """Draw a figure in the house style and give it as PNG."""
    buffer = io.BytesIO()
    with house_style():
        draw().savefig(buffer, format="png", dpi=dpi, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
    return buffer.getvalue()


def printable(text: str) -> str:
    """Replace what the font cannot show, and control characters, by a question mark; line breaks by spaces.

    Dashes and dots become plain ones: a PDF that keeps to Latin-1 embeds half as many fonts.
    """
    known = get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap()
    flat = " ".join(text.split()).translate(_PLAIN)
    return "".join(c if ord(c) in known and c.isprintable() else "?" for c in flat)


def wrap(text: str, *, width_mm: float, size_pt: float, lines: int) -> list[str]:
    """Break a text into at most `lines` lines of a width, by the font's average character; the rest becomes dots."""
    characters = max(8, int(width_mm / (0.3528 * size_pt * 0.54)))
    return textwrap.wrap(printable(text), characters, max_lines=lines, placeholder=" ...")
