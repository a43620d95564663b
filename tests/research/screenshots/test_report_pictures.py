"""Reading report pictures painted from simulated patients, and refusing what is none."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from myoperf.errors import InputError, UnsupportedInputError
from myoperf.research.screenshots.colour_scales import SCALES, colours_of, intensity_of
from myoperf.research.screenshots.report_pictures import read_report_picture
from myoperf.research.screenshots.scale_choice import fit_scales
from myoperf.research.slice_stacks import SliceStacks, resize_stack
from support.screenshots import LAYOUTS, patient_stacks, render


@pytest.mark.parametrize(
    ("name", "seed", "quality", "shift"),
    [("public", 0, 85, (0, 0)), ("public", 5, 60, (5, 8)), ("wide", 2, 80, (4, -6)), ("large", 3, 90, (-7, 9))],
)
def test_slices_come_back_from_a_picture(tmp_path, name, seed, quality, shift):
    layout = LAYOUTS[name]
    picture, painted = render(layout, patient_stacks(seed), shift=shift)
    path = tmp_path / "report.jpg"
    Image.fromarray(picture).save(path, quality=quality)
    read = read_report_picture(path, shape=(32, 64, 64))
    views = tuple(view for view, pairs in layout.groups for _ in range(2 * pairs))
    assert read.grid.views == views
    assert read.scale == ("colour bar" if layout.bar else layout.scale)
    assert abs(read.grid.pitch - layout.block - layout.gap) < 1
    assert len(read.grid.columns) == layout.columns
    tops = [top + shift[1] for top in layout.tops]
    assert np.abs(np.array(read.grid.rows[::2]) - tops).max() <= 0.1 * layout.block
    assert abs(read.grid.columns[0] - layout.left - shift[0]) <= 0.1 * layout.block + layout.gap
    for (view, state), slices in painted.items():
        assert len(slices) == read.slices[view, state]
    if name == "public":  # no gaps: the crops are the painted blocks
        for (view, state), slices in painted.items():
            if read.slices[view, state] == len(slices):
                expected = resize_stack(slices / np.percentile(slices, 99.5), (16, 64, 64)).clip(0, 1)
                error = np.abs(expected - read.stacks.state(state, view))
                assert np.mean(error) < 0.05
                numbers = error[:, 2:12, 2:16]
                assert numbers.mean() < 0.1


@pytest.mark.parametrize(
    ("name", "seed", "scale", "factor"),
    [
        ("wide", 1, "rainbow", 1.0),
        ("public", 1, "warm-metal", 0.5),
        ("wide", 2, "grey", 1.5),
        ("public", 0, "hot", 0.4),
    ],
)
def test_large_small_and_abnormal_ones_are_read(tmp_path, name, seed, scale, factor):
    layout = replace(LAYOUTS[name], scale=scale)
    picture, _ = render(layout, patient_stacks(seed))  # the wall of patient 1 is open to the left in all views
    path = tmp_path / "report.jpg"
    image = Image.fromarray(picture)
    image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS).save(path)
    read = read_report_picture(path, shape=(32, 64, 64))
    assert read.grid.views == tuple(view for view, pairs in layout.groups for _ in range(2 * pairs))
    assert abs(read.grid.pitch / factor - layout.block - layout.gap) < 2
    assert len(read.grid.columns) == layout.columns
    assert abs(read.grid.columns[0] / factor - layout.left) <= 0.1 * layout.block + layout.gap


def test_the_order_of_the_long_axes_can_be_given(tmp_path):
    layout = LAYOUTS["wide"]
    picture, _ = render(layout, patient_stacks(2))
    path = tmp_path / "report.png"
    Image.fromarray(picture).save(path)
    assert read_report_picture(path).grid.views[2::2] == ("vla", "hla")
    assert read_report_picture(path, order=("hla", "vla")).grid.views[2::2] == ("hla", "vla")
    with pytest.raises(InputError, match="order of the long axes"):
        read_report_picture(path, order=("sa", "vla"))


@pytest.mark.parametrize("turn", [(1,), (0,), (0, 1)], ids=["mirrored", "upside down", "turned round"])
def test_a_page_that_is_mirrored_or_turned_is_refused_also_with_its_order(tmp_path, turn):
    picture, _ = render(LAYOUTS["public"], patient_stacks(1))
    path = tmp_path / "report.png"
    Image.fromarray(np.ascontiguousarray(np.flip(picture, turn))).save(path)
    with pytest.raises(UnsupportedInputError, match="mirrored or upside down"):
        read_report_picture(path, shape=(32, 64, 64), order=("hla", "vla"), scale=SCALES["ge"])


def test_stress_and_rest_are_not_mixed_up(tmp_path):
    stacks = patient_stacks(1)
    left_half = np.arange(64) < 32  # stress loses everything on the right of its slices
    views = {view: np.concatenate([v[:16] * left_half, v[16:]]) for view, v in stacks.views.items()}
    changed = SliceStacks(views)
    picture, _ = render(LAYOUTS["public"], changed)
    path = tmp_path / "report.png"
    Image.fromarray(picture).save(path)
    read = read_report_picture(path, shape=(32, 64, 64), scale=SCALES["ge"])
    halves = {s: read.stacks.state(s, "vla")[:, :, 40:].mean() for s in ("stress", "rest")}
    assert halves["stress"] < 0.2 * halves["rest"]
    with pytest.raises(UnsupportedInputError, match=r"lie on the scale \w+ rather than on the one that was given"):
        read_report_picture(path, shape=(32, 64, 64), scale=SCALES["warm-metal"])
    swapped = read_report_picture(path, shape=(32, 64, 64), states=("rest", "stress"))
    np.testing.assert_array_equal(swapped.stacks.state("rest", "vla"), read.stacks.state("stress", "vla"))


def _noise(rng):
    return rng.integers(0, 256, (600, 700, 3), dtype=np.uint8)


def _blank(rng):
    return np.zeros((600, 700, 3), dtype=np.uint8)


def _page(rng):
    return np.full((600, 700, 3), 250, dtype=np.uint8)


def _bullseye(rng):
    y, x = np.mgrid[-300:300, -350:350]
    return colours_of(np.where(np.hypot(x, y) < 250, 0.5 + 0.4 * np.cos(np.hypot(x, y) / 40), 0), SCALES["hot"])


def _checks(rng):
    y, x = np.mgrid[:600, :700]
    return np.where(((y // 40 + x // 40) % 2)[..., None] > 0, 180, 0).astype(np.uint8).repeat(3, axis=2)


def _tiny(rng):
    return np.zeros((90, 90, 3), dtype=np.uint8)


def _sheet(block, scale):
    return colours_of(np.pad(np.block([[block(r, c) for c in range(10)] for r in range(8)]), 30), SCALES[scale])


def _polar_maps(rng):
    y, x = np.mgrid[:80, :80] / 80 - 0.5
    far, turn = np.hypot(x, y), np.arctan2(y, x)
    return _sheet(lambda r, c: np.where(far < 0.42, 0.5 + 0.9 * far * np.cos(2 * turn + r), 0), "ge")


def _different_polar_maps(rng):
    y, x = np.mgrid[:80, :80] / 80 - 0.5
    far, turn = np.hypot(x, y), np.arctan2(y, x)

    def block(r, c):
        dip = rng.uniform(0.2, 0.9) * np.exp(-3 * (1 - np.cos(turn - rng.uniform(0, 2 * np.pi))))
        return np.where(far < 0.42, 0.95 - dip, 0)

    return _sheet(block, "hot")


def _rings(rng):
    y, x = np.mgrid[:80, :80] / 80 - 0.5
    return _sheet(lambda r, c: np.exp(-(((np.hypot(x, y) - 0.22) / 0.07) ** 2)), "grey")


def _digits(rng):
    shapes = rng.random((10, 8, 8)).round()
    return _sheet(lambda r, c: np.kron(shapes[rng.integers(10)], np.ones((10, 10))), "grey")


def _stripes(rng):
    return ((np.arange(700) // 45 % 2) * 200).astype(np.uint8)[None, :, None].repeat(600, 0).repeat(3, 2)


@pytest.mark.parametrize(
    "make",
    [
        *(_noise, _blank, _page, _bullseye, _checks, _tiny),
        *(_polar_maps, _different_polar_maps, _rings, _digits, _stripes),
    ],
)
def test_other_pictures_are_refused_with_a_reason(tmp_path, make):
    path = tmp_path / "picture.png"
    Image.fromarray(make(np.random.default_rng(4))).save(path)
    with pytest.raises(UnsupportedInputError, match=r"expected|not a report|has at least|a report has"):
        read_report_picture(path)


def test_no_picture_at_all(tmp_path):
    path = tmp_path / "report.jpg"
    path.write_text("not a picture")
    with pytest.raises(InputError, match=r"report.jpg cannot be read as a picture"):
        read_report_picture(path)


@pytest.mark.parametrize("name", SCALES)
def test_colours_turn_back_to_intensity(name):
    values = np.linspace(0, 1, 200)
    back, distance = intensity_of(colours_of(values, SCALES[name]), SCALES[name])
    assert np.abs(back - values).max() < (0.06 if name == "pet-20-step" else 0.03)
    assert distance.max() < 3
    noisy = colours_of(values, SCALES[name]) + np.random.default_rng(0).normal(0, 4, (200, 3))
    best = fit_scales(noisy[40:])
    # grey and inverted grey have the same colours
    assert name in [fit.name for fit in best if fit.mean < best[0].mean + 1e-3]
