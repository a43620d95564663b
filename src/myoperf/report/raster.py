"""Pictures and drawings as PNG."""

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from myoperf.report.canvas import MM_PER_PT, Canvas, Picture, Shape, Text
from myoperf.report.colours import Bytes, Palette
from myoperf.report.fonts import font_file, printable

_FINER = 2
"""Drawn so many times finer, then averaged: smooth edges."""
_HALO_MM = 0.25
_COMPRESSION = 4


def picture_png(pixels: Bytes, palette: Palette) -> bytes:
    """Return pixels of shape (rows, columns) as a PNG with the palette inside."""
    image = Image.fromarray(pixels, mode="P")
    table = palette.table
    image.putpalette(table[:, :3].tobytes())
    if not palette.opaque or int(pixels.max(initial=0)) == len(table) - 1:
        image.info["transparency"] = table[:, 3].tobytes()
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def to_png(drawing: Canvas, *, dpi: int = 160) -> bytes:
    """Return a drawing on white as a PNG."""
    buffer = io.BytesIO()
    _drawn(drawing, dpi).save(buffer, format="PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def to_rgb(drawing: Canvas, *, dpi: int = 160) -> Bytes:
    """Return a drawing on white as pixels, shape (rows, columns, 3)."""
    return np.asarray(_drawn(drawing, dpi))


def to_rgb_frames(still: Canvas, frames: Sequence[Canvas], *, dpi: int) -> Bytes:
    """Return frames drawn over what stands still, on white, as pixels: shape (frames, rows, columns, 3)."""
    ground = _with_marks(_sheet(still, dpi), still, dpi)
    images = (_with_marks(ground.copy(), frame, dpi).reduce(_FINER) for frame in frames)
    return np.stack([np.asarray(image) for image in images])


def _drawn(drawing: Canvas, dpi: int) -> Image.Image:
    return _with_marks(_sheet(drawing, dpi), drawing, dpi).reduce(_FINER)


def _sheet(drawing: Canvas, dpi: int) -> Image.Image:
    """Return a white sheet as large as a drawing, `_FINER` times finer."""
    size = tuple(_FINER * math.ceil(side * dpi / 25.4) for side in (drawing.width, drawing.height))
    return Image.new("RGB", (size[0], size[1]), "white")


def _with_marks(image: Image.Image, drawing: Canvas, dpi: int) -> Image.Image:
    """Draw a drawing's marks on a sheet and return it."""
    scale = _FINER * dpi / 25.4
    for mark in drawing.marks:
        if isinstance(mark, Shape):
            _draw_shape(ImageDraw.Draw(image), mark, scale)
        elif isinstance(mark, Text):
            _draw_text(image, mark, scale)
        else:
            _draw_picture(image, mark, scale)
    return image


def _draw_shape(draw: ImageDraw.ImageDraw, shape: Shape, scale: float) -> None:
    width = max(round(shape.width_mm * scale), 1)
    for line in shape.lines:
        points = [(x, y) for x, y in (line * scale).tolist()]
        if shape.fill:
            draw.polygon(points, fill=shape.fill)
        if shape.stroke:
            draw.line([*points, points[0]] if shape.fill else points, fill=shape.stroke, width=width, joint="curve")


def _draw_text(image: Image.Image, text: Text, scale: float) -> None:
    words, font = printable(text.text), text.font
    edge = round(_HALO_MM * scale) if font.halo else 0
    face = ImageFont.truetype(str(font_file(bold=font.bold)), font.size_pt * MM_PER_PT * scale)
    anchor = {"left": "ls", "middle": "ms", "right": "rs"}[text.align]
    x, y = text.x * scale, text.y * scale
    if not text.turn_deg:
        ImageDraw.Draw(image).text(
            (x, y), words, fill=font.colour, font=face, anchor=anchor, stroke_width=edge, stroke_fill=font.halo
        )
        return
    half = math.ceil(face.getlength(words) + 2 * face.size)
    mask = Image.new("L", (2 * half, 2 * half))
    ImageDraw.Draw(mask).text((half, half), words, fill=255, font=face, anchor=anchor)
    turned = mask.rotate(text.turn_deg, resample=Image.Resampling.BICUBIC)
    image.paste(font.colour, (round(x) - half, round(y) - half), turned)


def _draw_picture(image: Image.Image, picture: Picture, scale: float) -> None:
    colours = Image.fromarray(picture.palette.table[picture.pixels])
    low = (round(picture.x * scale), round(picture.y * scale))
    size = (round(picture.width * scale), round(picture.height * scale))
    large = colours.resize(size, Image.Resampling.BILINEAR)
    image.paste(large.convert("RGB"), low, large.getchannel("A"))
