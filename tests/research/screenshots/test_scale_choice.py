"""A picture is read the right way up or refused: colour scales, colour bars, slices left dark by a defect."""

import numpy as np
import pytest
from PIL import Image

from myoperf.errors import InputError, UnsupportedInputError
from myoperf.research.screenshots.colour_bars import read_colour_bar
from myoperf.research.screenshots.colour_scales import SCALES, colours_of, intensity_of, read_scale
from myoperf.research.screenshots.pictures import open_picture
from myoperf.research.screenshots.report_pictures import _filled_slots
from myoperf.research.screenshots.screens import clean_screen

SIDE = 120


def _disc(level=0.85, dip=0.5):
    """A polar map, bright with a smooth defect."""
    across = (np.arange(SIDE) + 0.5) * 2 / SIDE - 1
    x, y = np.meshgrid(across, across)
    made = level - dip * np.exp(-(((x - 0.3) / 0.3) ** 2 + ((y - 0.2) / 0.35) ** 2)) + 0.1 * y
    return np.where(np.hypot(x, y) <= 1, made, np.nan)


def _page(disc, anchors, page=(0, 0, 0), bar=None):
    picture = np.empty((200, 300, 3), np.uint8)
    picture[:] = page
    inside = np.isfinite(disc)
    picture[40 : 40 + SIDE, 60 : 60 + SIDE][inside] = colours_of(np.nan_to_num(disc), anchors)[inside]
    if bar is not None:
        picture[20:180, 250:264] = colours_of(np.linspace(1, 0, 160)[:, None].repeat(14, axis=1), bar)
    return picture


def _correlation(found, disc):
    inside = np.isfinite(disc) & (found.disc > 0)
    return float(np.corrcoef(found.disc[inside], disc[inside])[0, 1])


@pytest.mark.parametrize("page", [(0, 0, 0), (238, 238, 238)])
def test_a_polar_map_of_any_scale_is_read_the_right_way_up_or_refused(page):
    disc, read = _disc(), 0
    for name, anchors in SCALES.items():
        try:
            (found,) = clean_screen(_page(disc, anchors, page), size=SIDE)
        except InputError:
            continue
        read += 1
        assert _correlation(found, disc) > 0.95, name
    assert read >= 14


@pytest.mark.parametrize("name", ["hot", "warm-metal", "cool", "pet", "jet", "myoperf"])
def test_the_reverse_of_a_scale_is_not_taken_for_the_scale(name):
    reverse = tuple((1.0 - place, colour) for place, colour in reversed(SCALES[name]))
    disc = _disc()
    try:
        (found,) = clean_screen(_page(disc, reverse), size=SIDE)
    except InputError:
        return
    assert _correlation(found, disc) > 0.95


def test_a_grey_map_that_may_be_inverted_is_refused_unless_its_bar_or_the_user_says():
    disc = _disc(level=0.55, dip=0.3)  # its median fits grey and inverted grey
    grey = SCALES["grey"]
    with pytest.raises(UnsupportedInputError, match=r"grey and .*contradict each other.*--colour-scale"):
        clean_screen(_page(disc, grey))
    assert _correlation(clean_screen(_page(disc, grey), size=SIDE, scale=grey)[0], disc) > 0.99
    foreign = ((0.0, (0, 0, 0)), (1.0, (0, 255, 0)))  # a scale of no colour of the page, nor of any other known one
    with pytest.raises(UnsupportedInputError, match=r"rather than|do not lie on the colour scale that was given"):
        clean_screen(_page(disc, grey), size=SIDE, scale=foreign)
    (found,) = clean_screen(_page(disc, grey, bar=grey), size=SIDE)
    assert found.scale == "colour bar"
    assert _correlation(found, disc) > 0.99


def test_a_scale_known_to_nobody_is_read_from_the_bar():
    own = ((0.0, (0, 0, 0)), (0.3, (0, 90, 40)), (0.6, (200, 80, 160)), (1.0, (255, 250, 120)))
    disc = _disc()
    with pytest.raises(UnsupportedInputError, match="no known colour scale"):
        clean_screen(_page(disc, own))
    (found,) = clean_screen(_page(disc, own, bar=own), size=SIDE)
    assert _correlation(found, disc) > 0.98
    bar = read_colour_bar(_page(disc, own, bar=own))
    values = np.linspace(0.05, 0.95, 50)
    assert np.abs(intensity_of(colours_of(values, own), bar)[0] - values).max() < 0.04
    assert read_colour_bar(_page(disc, own)) is None


def test_the_colours_of_a_map_can_be_kept():
    disc = _disc()
    (found,) = clean_screen(_page(disc, SCALES["jet"]), size=SIDE)
    inside = found.disc > 0
    wanted = colours_of(np.nan_to_num(disc), SCALES["jet"])
    assert np.abs(found.colours[inside].astype(int) - wanted[inside]).mean() < 6
    assert not found.colours[~inside].any()


def test_scales_come_from_files(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text("red,green,blue\n0,0,0\n0,128,125\n255,255,255\n")
    assert read_scale(str(file)) == ((0.0, (0, 0, 0)), (0.5, (0, 128, 125)), (1.0, (255, 255, 255)))
    assert read_scale("pet") == SCALES["pet"]
    for text in ("1,2\n3,4\n", "0,0,0\n", "0,0,0\n300,0,0\n", "a,b,c\n1,2,3\n"):
        file.write_text(text)
        with pytest.raises(InputError, match=r"own.csv is not a colour scale.*expected"):
            read_scale(str(file))
    with pytest.raises(InputError, match="one of grey"):
        read_scale("no such scale")


def test_slots_go_only_where_both_states_are_blank_and_only_at_the_ends():
    stress, rest = np.zeros((8, 10, 10)), np.zeros((8, 10, 10))
    rest[1:7] = 0.6
    stress[3:6] = 0.8  # the apex, slots 1 and 2, is dark under stress
    assert _filled_slots(stress, rest) == slice(1, 7)
    stress[4] = rest[4] = 0.0  # a blank slot between slices
    assert _filled_slots(stress, rest) == slice(1, 7)
    with pytest.raises(UnsupportedInputError, match="all blank"):
        _filled_slots(np.zeros_like(stress), np.zeros_like(rest))


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
@pytest.mark.parametrize("turn", [2, 3, 6])
def test_a_picture_is_seen_the_way_up_that_its_orientation_says(tmp_path, ending, turn):
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:10, :20] = 255  # top left
    stored = {2: upright[:, ::-1], 3: upright[::-1, ::-1], 6: np.rot90(upright)}[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / f"page.{ending}", exif=exif)
    read = open_picture(tmp_path / f"page.{ending}")
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).mean() < 3


def test_transparent_pictures_and_several_pages_are_refused(tmp_path):
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 255))
    clear.save(tmp_path / "opaque.png")
    assert open_picture(tmp_path / "opaque.png")[0, 0].tolist() == [255, 0, 0]
    clear.putpixel((3, 3), (255, 0, 0, 100))
    clear.save(tmp_path / "clear.png")
    with pytest.raises(InputError, match=r"clear\.png has transparent pixels"):
        open_picture(tmp_path / "clear.png")
    grey = Image.new("L", (20, 20), 7)
    grey.save(tmp_path / "two.tif", save_all=True, append_images=[grey])
    with pytest.raises(InputError, match=r"two\.tif has 2 pages"):
        open_picture(tmp_path / "two.tif")


@pytest.mark.parametrize("name", ["page.png", "page.tif"])
def test_pictures_of_16_bits_are_read(tmp_path, name):
    ramp = np.linspace(0, 4095, 400).reshape(20, 20).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / name)
    read = open_picture(tmp_path / name)
    assert read.shape == (20, 20, 3)
    assert np.abs(read[..., 0] - ramp / 4095 * 255).max() < 1
