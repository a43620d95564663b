"""One description, every kind of page: marks lie in the same place and have the same colours in PDF, PNG and SVG."""

import io
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from myoperf.report.canvas import MM_PER_PT, Canvas, Font, Picture, Shape, Text
from myoperf.report.colours import GREY, PERFUSION, WEIGHT, colour_numbers
from myoperf.report.fonts import text_width_mm
from myoperf.report.paper import write_pages
from myoperf.report.plot import Plot, round_steps
from myoperf.report.raster import to_png
from myoperf.report.svg import to_svg


def drawing() -> Canvas:
    """Draw a box, a picture of four quarters, a see-through one over its lower half, and a thick line."""
    canvas = Canvas(60.0, 40.0)
    canvas.box(5.0, 5.0, 10.0, 10.0, "#c62828")
    quarters = np.kron(np.array([[0.0, 1.0], [0.25, np.nan]]), np.ones((16, 16)))
    canvas.picture(20.0, 5.0, 20.0, 20.0, colour_numbers(quarters, (0.0, 1.0)), GREY)
    canvas.picture(20.0, 15.0, 20.0, 10.0, colour_numbers(np.ones((8, 16)), (0.0, 1.0)), WEIGHT)
    canvas.picture(45.0, 5.0, 10.0, 10.0, colour_numbers(np.full((8, 8), 0.55), (0.0, 1.0)), PERFUSION)
    canvas.line([(5.0, 32.0), (55.0, 32.0)], "#1565c0", 3.0)
    return canvas


def of_pdf(canvas: Canvas, folder) -> np.ndarray:
    write_pages([canvas], folder / "page.pdf", title="t", subject="s")
    words = ["pdftoppm", "-r", "254", "-png", "-singlefile", str(folder / "page.pdf"), str(folder / "page")]
    subprocess.run(words, check=True)
    return np.asarray(Image.open(folder / "page.png").convert("RGB")).astype(int)


def of_png(canvas: Canvas, folder) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(to_png(canvas, dpi=254))).convert("RGB")).astype(int)


@pytest.mark.parametrize("render", [of_pdf, of_png])
def test_marks_have_their_place_and_colour(render, tmp_path):
    image = render(drawing(), tmp_path)
    assert image.shape == (400, 600, 3)

    def at(x_mm: float, y_mm: float) -> list[int]:
        return image[round(10 * y_mm), round(10 * x_mm)].tolist()

    assert at(10, 10) == [0xC6, 0x28, 0x28]
    assert at(4, 10) == at(10, 4) == at(16.5, 10) == [255, 255, 255]
    assert at(24, 9) == [0, 0, 0]
    assert at(36, 9) == [255, 255, 255]
    red, opacity = WEIGHT.colours[-1, :3], WEIGHT.colours[-1, 3] / 255
    for place, below in (((24, 20), 64.0), ((36, 20), 255.0)):
        assert at(*place) == pytest.approx(opacity * red + (1 - opacity) * below, abs=2.0)
    assert at(50, 10) == pytest.approx(PERFUSION.colours[140, :3], abs=1.0)
    assert at(30, 31) == at(30, 33) == [0x15, 0x65, 0xC0]
    assert at(30, 29.8) == at(30, 34.2) == [255, 255, 255]


@pytest.mark.parametrize("render", [of_pdf, of_png])
@pytest.mark.parametrize(("align", "before"), [("left", 0.0), ("middle", 0.5), ("right", 1.0)])
@pytest.mark.parametrize("turned", [False, True])
def test_texts_start_or_end_where_they_should(render, align, before, turned, tmp_path):
    canvas, font = Canvas(60.0, 60.0), Font(8.0)
    long, high = text_width_mm("HHHHHH", font.size_pt), 0.729 * font.size_pt * MM_PER_PT
    canvas.text(30.0, 30.0, "HHHHHH", font, align=align, turn_deg=90.0 if turned else 0.0)
    rows, columns = np.nonzero(render(canvas, tmp_path).sum(axis=2) < 300)
    found = [columns.min() / 10, rows.min() / 10, (columns.max() + 1) / 10, (rows.max() + 1) / 10]
    start, end = 30.0 - before * long, 30.0 - before * long + long
    expected = [30.0 - high, 60.0 - end, 30.0, 60.0 - start] if turned else [start, 30.0 - high, end, 30.0]
    assert found == pytest.approx(expected, abs=0.45), "but for the narrow gap before and after a letter"


def test_svg_has_the_same_numbers():
    text = to_svg(drawing(), 'a "label" & more')
    assert 'viewBox="0 0 60 40"' in text
    assert 'aria-label="a &quot;label&quot; &amp; more"' in text
    assert '<path d="M5,5 15,5 15,15 5,15Z" fill="#c62828"/>' in text
    assert '<path d="M5,32 55,32" stroke="#1565c0" stroke-width="3"/>' in text
    assert len(re.findall(r'<image x="20" y="5" width="20" height="20"', text)) == 1


def test_a_placed_drawing_is_scaled_and_moved():
    inner, page = Canvas(30.0, 20.0), Canvas(100.0, 100.0)
    inner.line([(0.0, 0.0), (30.0, 20.0)], "#000000", 0.4)
    inner.text(15.0, 10.0, "a", Font(6.0, bold=True))
    inner.picture(3.0, 4.0, 6.0, 8.0, np.zeros((2, 2), np.uint8), GREY)
    page.place(inner, 10.0, 20.0, width=60.0)
    line, text, picture = page.marks
    assert isinstance(line, Shape)
    assert isinstance(text, Text)
    assert isinstance(picture, Picture)
    assert line.lines[0].tolist() == [[10.0, 20.0], [70.0, 60.0]]
    assert line.width_mm == 0.8
    assert (text.x, text.y, text.font.size_pt, text.font.bold) == (40.0, 40.0, 12.0, True)
    assert (picture.x, picture.y, picture.width, picture.height) == (16.0, 28.0, 12.0, 16.0)


def test_grey_pictures_take_fewer_bytes_on_paper(tmp_path):
    noise, sizes = np.random.default_rng(0).integers(0, 255, (200, 200)).astype(np.uint8), []
    for palette in (GREY, PERFUSION):
        canvas = Canvas(40.0, 40.0)
        canvas.picture(0.0, 0.0, 40.0, 40.0, noise, palette)
        write_pages([canvas], tmp_path / "page.pdf", title="", subject="")
        sizes.append((tmp_path / "page.pdf").stat().st_size)
    assert sizes[0] < 0.65 * sizes[1]


def test_a_plot_puts_values_in_their_place_and_leaves_gaps():
    canvas = Canvas(50.0, 30.0)
    plot = Plot(canvas=canvas, corner=(10.0, 5.0), size=(20.0, 10.0), across=(0.0, 4.0), up=(0.0, 100.0))
    assert plot.places([0.0, 4.0], [0.0, 100.0]).tolist() == [[10.0, 15.0], [30.0, 5.0]]
    plot.curve([0, 1, 2, 3, 4], [0.0, 50.0, np.nan, 50.0, 100.0], "#000000")
    (shape,) = canvas.marks
    assert [len(line) for line in shape.lines] == [2, 2]
    plot.dots([0, 1, 2], [0.0, np.nan, 50.0], "#000000")
    assert len(canvas.marks) == 3


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.0, 100.0, 6, [0, 20, 40, 60, 80, 100]),
        (-50.0, 50.0, 6, [-40, -20, 0, 20, 40]),
        (0.0, 4.0, 6, [0, 1, 2, 3, 4]),
        (0.0, 5.0, 6, [0, 1, 2, 3, 4, 5]),
        (0.0, 114.1, 7, [0, 20, 40, 60, 80, 100]),
        (3.0, 3.0, 6, [3.0]),
    ],
)
def test_steps_of_a_scale_are_round(low, high, most, expected):
    assert round_steps(low, high, most=most) == pytest.approx(expected)
