import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from myoperf.errors import InputError, UnsupportedInputError
from myoperf.geometry.disc import disc_image
from myoperf.research.screenshots.colour_scales import SCALES, colours_of
from myoperf.research.screenshots.screens import clean_screen, read_screen


def _map(seed, defect=0.6):
    """A smooth map with a defect, as a function of the disc's size."""
    rng = np.random.default_rng(seed)
    values = np.full((24, 72), 0.9) + gaussian_filter(rng.normal(0, 0.5, (24, 72)), (3, 5), mode=("nearest", "wrap"))
    where = np.exp(-(((np.arange(24)[:, None] - 15) / 5) ** 2) - (((np.arange(72) - rng.integers(20, 50)) / 9) ** 2))
    values = np.clip(values * (1 - defect * where), 0.05, None)
    return lambda size: np.nan_to_num(disc_image(values / values.max(), size))


def _screen(maps, scale, *, shape=(1068, 1640), quality=90, lines=True, seed=0, background=0, font=22):
    """Render discs (map, row, column, diameter) with text, a colour bar and slices, through JPEG."""
    rows, columns = shape
    picture = np.full((rows, columns, 3), background, np.uint8)
    for made, row, column, size in maps:
        disc = made(size)
        across = (np.arange(size) + 0.5) * 2 / size - 1
        inside = np.hypot(*np.meshgrid(across, across)) <= 1
        window = picture[row : row + size, column : column + size]
        window[inside] = colours_of(disc, SCALES[scale])[inside]
    bar = colours_of(np.linspace(1, 0, rows // 3)[:, None].repeat(14, 1), SCALES[scale])
    picture[20 : 20 + len(bar), 8:22] = bar
    image = Image.fromarray(picture)
    draw, letters = ImageDraw.Draw(image), ImageFont.load_default(size=font)
    ink = (255, 255, 255) if background < 128 else (0, 0, 0)
    rng = np.random.default_rng(seed)
    for word in ("Stress AC", "2026-01-01 10:30", "Patient 0001", "Severity 12 %", "ANT"):
        place = (int(rng.integers(30, columns - 250)), int(rng.integers(5, rows - 40)))
        draw.text(place, word, fill=ink, font=letters)
    for _, row, column, size in maps:
        draw.text((column + size * 0.42, row + size * 0.45), "68", fill=(255, 255, 255), font=letters)
        draw.text((column + size * 0.7, row + size * 0.3), "LCX", fill=(255, 255, 255), font=letters)
        if lines:
            inner = size * 0.3
            box = [column + inner, row + inner, column + size - inner, row + size - inner]
            draw.ellipse(box, outline=(255, 255, 255), width=2)
            draw.line([column + size / 2, row, column + size / 2, row + inner], fill=(255, 255, 255), width=2)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))


def _error(found, made):
    size = found.disc.shape[0]
    across = (np.arange(size) + 0.5) * 2 / size - 1
    inside = np.hypot(*np.meshgrid(across, across)) < 0.97
    return float(np.abs(found.disc - made(size))[inside].mean())


@pytest.mark.parametrize("scale", ["grey", "hot", "warm-metal", "cool", "ge", "myoperf"])
def test_a_screen_of_any_scale_gives_back_its_map(scale):
    made = _map(1)
    (found,) = clean_screen(_screen([(made, 100, 250, 320)], scale, shape=(534, 820), font=12), size=128)
    assert found.scale == "colour bar"
    assert np.hypot(found.centre[0] - 259.5, found.centre[1] - 409.5) < 1.5
    assert abs(found.radius - 160) < 2
    assert _error(found, made) < 0.03
    assert 0 < found.repaired < 0.3


@pytest.mark.parametrize(("seed", "shape", "size", "font"), [(1, (480, 640), 260, 12), (2, (900, 900), 700, 30)])
def test_text_may_stand_elsewhere_and_the_picture_have_another_size(seed, shape, size, font):
    made = _map(seed)
    picture = _screen([(made, 150, 110, size)], "cool", shape=shape, seed=seed, font=font)
    (found,) = clean_screen(picture, size=96)
    assert _error(found, made) < 0.04


def test_text_is_taken_away():
    flat = _map(3, defect=0.0)
    picture = _screen([(flat, 200, 500, 500)], "grey", lines=False)
    (found,) = clean_screen(picture, size=250)
    middle = slice(100, 150)
    assert np.abs(found.disc[middle, middle] - flat(250)[middle, middle]).max() < 0.12


def test_several_maps_of_a_page_come_in_reading_order():
    made = [_map(i) for i in range(4)]
    places = [(60, 100), (60, 700), (600, 100), (600, 700)]
    picture = _screen([(m, r, c, 380) for m, (r, c) in zip(made, places, strict=True)], "hot")
    found = clean_screen(picture, size=96)
    assert len(found) == 4
    for one, wanted in zip(found, made, strict=True):
        errors = [_error(one, other) for other in made]
        assert _error(one, wanted) == min(errors) < 0.04


def test_a_light_background_and_a_given_scale():
    made = _map(5)
    picture = _screen([(made, 100, 200, 400)], "cool", shape=(700, 900), background=235)
    (found,) = clean_screen(picture, size=96, scale=SCALES["cool"])
    assert found.scale == "given"
    assert _error(found, made) < 0.04
    with pytest.raises(UnsupportedInputError, match=r"lie on the scale \w+ rather than on the one that was given"):
        clean_screen(picture, size=96, scale=SCALES["hot"])


def _not_screens():
    rng = np.random.default_rng(0)
    blank = np.zeros((400, 500, 3), np.uint8)
    bars = blank.copy()
    bars[100:350, 100:160] = bars[180:350, 200:260] = 200
    square = blank.copy()
    square[100:300, 100:300] = colours_of(rng.random((200, 200)), SCALES["hot"])
    rows, columns = np.ogrid[:400, :500]
    half = blank.copy()
    half[((rows - 200) ** 2 + (columns - 250) ** 2 < 150**2) & (columns > 250)] = 180
    photo = (gaussian_filter(rng.random((400, 500, 3)), (20, 20, 0)) * 900 % 255).astype(np.uint8)
    return {"blank": blank, "bars": bars, "square": square, "half": half, "photo": photo}


@pytest.mark.parametrize("name", list(_not_screens()))
def test_what_is_no_screen_is_refused_with_a_reason(name):
    with pytest.raises(InputError, match=r"no polar map|no known colour scale"):
        clean_screen(_not_screens()[name])


def test_colours_of_no_scale_are_refused():
    picture = np.zeros((400, 400, 3), np.uint8)
    rows, columns = np.ogrid[:400, :400]
    inside = (rows - 200) ** 2 + (columns - 200) ** 2 < 150**2
    picture[inside] = (120, 200, 150)
    picture[inside & (rows % 40 < 20)] = (190, 120, 230)
    with pytest.raises(InputError, match="no known colour scale"):
        clean_screen(picture)


def test_wrong_input_is_refused(tmp_path):
    with pytest.raises(InputError, match="too small"):
        clean_screen(np.zeros((20, 300, 3), np.uint8))
    with pytest.raises(InputError, match="colour picture"):
        clean_screen(np.zeros((300, 300), np.uint8))
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(InputError, match="cannot be read as a picture"):
        read_screen(tmp_path / "a.jpg")
    Image.new("1", (30000, 15000)).save(tmp_path / "huge.png")
    with pytest.raises(InputError, match="cannot be read as a picture"):
        read_screen(tmp_path / "huge.png")
    Image.fromarray(_screen([(_map(1), 100, 200, 400)], "hot", shape=(700, 900))).save(tmp_path / "b.png")
    assert read_screen(tmp_path / "b.png", size=64)[0].disc.shape == (64, 64)
