"""A drawing as SVG for an HTML page: vector lines and texts, pictures inside as PNG."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from myoperf.report.canvas import MM_PER_PT, Canvas, Mark, Picture, Shape, Text
from myoperf.report.colours import NUMBERS, Palette
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
    return _svg(drawing, label, map(_element, drawing.marks))


def to_moving_svg(still: Canvas, frames: Sequence[Canvas], label: str) -> str:
    """Return a drawing of which one part moves: what stays, and a group of class ``frame`` for each frame.

    Only the first frame is shown until a script shows another.
    """
    shown = "".join(map(_element, still.marks))
    groups = (
        f'<g class="frame"{" hidden" if i else ""}>{"".join(map(_element, frame.marks))}</g>'
        for i, frame in enumerate(frames)
    )
    return _svg(still, label, (shown, *groups), kind=' class="cine"')


def colour_filters(names: Iterable[str], palette: Palette) -> str:
    """Return the colour scales that pictures name, as filters that make the colours of a palette of their numbers."""
    table = palette.colours[:, :3] / 255.0
    channels = zip("RGB", np.concatenate([table, table[-1:]]).T, strict=True)
    parts = "".join(
        f'<feFunc{letter} type="table" tableValues="{" ".join(map(_short, values))}"/>' for letter, values in channels
    )
    place = 'x="0" y="0" width="1" height="1" color-interpolation-filters="sRGB"'
    filters = (
        f'<filter id="scale-{escape(name)}" {place}><feComponentTransfer>{parts}</feComponentTransfer></filter>'
        for name in names
    )
    return f'<svg class="scales" aria-hidden="true"><defs>{"".join(filters)}</defs></svg>'


def _short(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") or "0"


def _svg(drawing: Canvas, label: str, elements: Iterable[str], *, kind: str = "") -> str:
    size = f"{_number(drawing.width)} {_number(drawing.height)}"
    head = (
        f'<svg{kind} viewBox="0 0 {size}" role="img" aria-label="{escape(label)}" '
        'font-family="DejaVu Sans, Verdana, sans-serif" stroke-linejoin="round" fill="none">'
    )
    return "".join([head, *elements, "</svg>"])


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
    palette = NUMBERS if picture.scale else picture.palette
    scale = f' data-scale="{(name := escape(picture.scale))}" filter="url(#scale-{name})"' if picture.scale else ""
    data = base64.b64encode(picture_png(picture.pixels, palette)).decode("ascii")
    place = f'x="{_number(picture.x)}" y="{_number(picture.y)}"'
    size = f'width="{_number(picture.width)}" height="{_number(picture.height)}"'
    return f'<image{scale} {place} {size} preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'
