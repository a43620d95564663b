"""A drawing as SVG for an HTML page: vector lines and texts, pictures inside as PNG."""

import base64
from html import escape

from myoperf.report.canvas import MM_PER_PT, Canvas, Mark, Picture, Shape, Text
from myoperf.report.raster import picture_png
from myoperf.types import Float

_ANCHORS = {"left": "", "middle": ' text-anchor="middle"', "right": ' text-anchor="end"'}
_HALO_MM = 0.25


def to_svg(drawing: Canvas, label: str) -> str:
    """Return the drawing as an ``<svg>`` element, in user units of a millimetre.

    Parameters
    ----------
    label
        What the picture shows, for those who cannot see it.
    """
    size = f"{_number(drawing.width)} {_number(drawing.height)}"
    head = (
        f'<svg viewBox="0 0 {size}" role="img" aria-label="{escape(label)}" '
        'font-family="DejaVu Sans, Verdana, sans-serif" stroke-linejoin="round" fill="none">'
    )
    return "".join([head, *map(_element, drawing.marks), "</svg>"])


def _element(mark: Mark) -> str:
    if isinstance(mark, Shape):
        return _path(mark)
    return _text(mark) if isinstance(mark, Text) else _image(mark)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _path(shape: Shape) -> str:
    paint = f' fill="{shape.fill}"' if shape.fill else ""
    if shape.stroke:
        paint += f' stroke="{shape.stroke}" stroke-width="{_number(shape.width_mm)}"'
    if shape.dash_mm:
        paint += f' stroke-dasharray="{_number(shape.dash_mm)}"'
    end = "Z" if shape.fill else ""
    return f'<path d="{"".join(_points(line) + end for line in shape.lines)}"{paint}/>'


def _points(line: Float) -> str:
    return "M" + " ".join(f"{_number(x)},{_number(y)}" for x, y in line.tolist())


def _text(text: Text) -> str:
    style = f' font-size="{_number(text.font.size_pt * MM_PER_PT)}" fill="{text.font.colour}"{_ANCHORS[text.align]}'
    if text.font.bold:
        style += ' font-weight="bold"'
    if text.font.halo:
        style += f' stroke="{text.font.halo}" stroke-width="{2 * _HALO_MM}" paint-order="stroke"'
    x, y = _number(text.x), _number(text.y)
    if text.turn_deg:
        style += f' transform="rotate({_number(-text.turn_deg)} {x} {y})"'
    words = "".join(c for c in " ".join(text.text.split()) if c.isprintable())
    return f'<text x="{x}" y="{y}"{style}>{escape(words)}</text>'


def _image(picture: Picture) -> str:
    data = base64.b64encode(picture_png(picture.pixels, picture.palette)).decode("ascii")
    place = f'x="{_number(picture.x)}" y="{_number(picture.y)}"'
    size = f'width="{_number(picture.width)}" height="{_number(picture.height)}"'
    return f'<image {place} {size} preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'
