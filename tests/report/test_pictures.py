"""The pictures show the heart where it is: sides, scales and maps against the closed-form ventricle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from myoperf.geometry.disc import disc_image
from myoperf.report import write_polar
from myoperf.report.bullseye import segment_centre, segment_disc
from myoperf.report.charts import function_figure
from myoperf.report.colours import GREY, PERFUSION
from myoperf.report.diagnosis_figures import SLICES, diagnosis_figure, weights_on_tile
from myoperf.report.figures import bull_eyes_figure, slices_figure
from myoperf.report.numbers import numbers_table
from myoperf.report.overlays import overlay_figure
from myoperf.report.style import printable, wrap
from myoperf.report.tables import number
from myoperf.report.tiles import extent_of, lv_maximum, plane_tiles, views_of
from myoperf.segments import segment_map, segment_of
from support.report import HALF_WALL, LENGTH, RADIUS, make_result


def middle_tile(result, view, *, side_mm=100.0, pixels=100):
    """Cut the slice through the middle of the long axis, one pixel a millimetre."""
    volume = views_of(result.short_axis)[view]
    return plane_tiles(volume, result.frame.centre_mm, np.zeros(1), field_mm=side_mm, pixels=pixels)[0]


def test_short_axis_has_anterior_on_top_and_septum_left():
    result = make_result("stress", depth=0.9, state="stress")
    tile = middle_tile(result, "sa")
    radius = RADIUS * np.sqrt(0.75)
    at = {side: round(50 + s * radius) for side, s in (("near", -1), ("far", 1))}
    top, bottom = tile[at["near"] - 2 : at["near"] + 3, 47:53].mean(), tile[at["far"] - 2 : at["far"] + 3, 47:53].mean()
    left, right = tile[47:53, at["near"] - 2 : at["near"] + 3].mean(), tile[47:53, at["far"] - 2 : at["far"] + 3].mean()
    assert bottom < 0.4 * top, "the defect is inferior: at the bottom"
    assert min(left, right) > 0.7 * top
    lower_left = tile[round(50 + 0.5 * radius), round(50 - 0.87 * radius)]
    lower_right = tile[round(50 + 0.5 * radius), round(50 + 0.87 * radius)]
    assert lower_right < 0.75 * lower_left, "the defect leans to the lateral wall: to the right"


def test_vertical_long_axis_has_apex_right_and_anterior_on_top():
    tile = middle_tile(make_result("stress", depth=0.9, state="stress"), "vla")
    apex, opening = tile[47:53, 50 + round(LENGTH / 2)].mean(), tile[47:53, 50 - round(LENGTH / 2)].mean()
    assert apex > 4 * opening
    assert tile[:40, 30].max() > 2 * tile[60:, 30].max()


def test_horizontal_long_axis_has_apex_on_top():
    tile = middle_tile(make_result("stress", depth=0.0, state="stress"), "hla")
    assert tile[50 - round(LENGTH / 2), 47:53].mean() > 4 * tile[50 + round(LENGTH / 2), 47:53].mean()


def test_planes_run_from_apex_to_base():
    result = make_result("stress", depth=0.0, state="stress")
    extent = extent_of((result,))
    offsets = extent.short_axis_offsets(result.frame, 9)
    tiles = plane_tiles(
        views_of(result.short_axis)["sa"], result.frame.centre_mm, offsets, field_mm=extent.field_mm, pixels=80
    )
    hole = tiles[:, 38:42, 38:42].mean(axis=(1, 2)) / tiles.max(axis=(1, 2))
    assert hole[0] > 0.8, "at the apex the middle is wall"
    assert hole[-2] < 0.3, "at the base the middle is cavity"


def test_extent_covers_the_wall():
    extent = extent_of((make_result("stress", depth=0.0, state="stress"),))
    assert extent.septal_lateral[1] == pytest.approx(RADIUS + HALF_WALL, abs=4.0)
    assert extent.field_mm > LENGTH + 2 * HALF_WALL
    assert extent.field_mm > 2 * (RADIUS + HALF_WALL)


def test_lv_maximum_ignores_the_gut():
    result = make_result("stress", depth=0.0, state="stress")
    hot = result.short_axis.with_array(np.where(np.arange(40)[:, None] == 39, 1e6, result.short_axis.array))
    assert lv_maximum(replace(result, short_axis=hot)) == lv_maximum(result) < 2000


def test_disc_places_the_walls():
    rings, angles = 24, 72
    for angle, (row, column) in {0: (16, 128), 90: (128, 16), 180: (240, 128), 270: (128, 240)}.items():
        values = np.zeros((rings, angles))
        values[16:, (np.arange(-3, 4) + angle // 5) % angles] = 1.0
        picture = disc_image(values, size=256)
        assert picture[row, column] > 0.9
        assert np.nansum(picture) < 0.12 * np.isfinite(picture).sum()
    apex = np.zeros((rings, angles))
    apex[:2] = 1.0
    assert disc_image(apex, size=256)[128, 128] == 1.0
    assert np.isnan(disc_image(apex, size=256)[0, 0])


def test_disc_of_segments_agrees_with_the_segment_map():
    numbers = np.arange(1.0, 18.0)
    drawn = segment_disc(numbers, size=400)
    sampled = disc_image(segment_map(96, 360).astype(float), size=400, order=0)
    inside = np.isfinite(drawn)
    assert (drawn[inside] == sampled[inside]).mean() > 0.97
    for segment in range(1, 18):
        x, y = segment_centre(segment)
        assert segment_of(np.hypot(x, y), np.degrees(np.arctan2(-x, y)) % 360) == segment


def test_colour_scales_grow_brighter():
    weights = np.array([0.2126, 0.7152, 0.0722])
    for cmap in (PERFUSION, GREY):
        light = cmap(np.linspace(0, 1, 64))[:, :3] @ weights
        assert (np.diff(light) > 0).all()


def test_figures_exist_only_where_there_is_something(full, bare):
    pair = full.results
    assert isinstance(slices_figure(pair), Figure)
    assert len(bull_eyes_figure(pair, full.scores).axes) == 2 + 2 + 1 + 1 + 2
    assert len(bull_eyes_figure(bare.results, bare.scores).axes) == 1 + 1 + 1
    assert len(overlay_figure(full).axes) == 8
    assert function_figure(full) is not None
    assert diagnosis_figure(full) is not None
    assert function_figure(bare) is None
    assert diagnosis_figure(bare) is None


def test_what_counts_lies_on_its_wall_in_every_slice(full):
    result = full.results[0]
    inferior = np.zeros((12, 36))  # another grid than the polar map's
    inferior[:, 16:21] = 1.0
    views = views_of(result.short_axis)
    tile = {
        v: weights_on_tile(inferior, result, views[v], 0.0, field_mm=100.0, pixels=100) for v in ("sa", "vla", "hla")
    }
    radius = round(RADIUS * np.sqrt(0.75))
    assert tile["sa"][50 + radius, 50] == 1.0, "inferior is below"
    assert tile["sa"][50 - radius, 50] == 0.0
    assert tile["sa"][50, 50 + radius] == tile["sa"][50, 50 - radius] == 0.0
    assert tile["vla"][50 + radius, 50] == 1.0
    assert tile["vla"][50 - radius, 50] == 0.0
    assert tile["hla"][50, 50 + radius] == tile["hla"][50, 50 - radius] == 0.0
    apex = np.zeros((24, 72))
    apex[:6] = 1.0
    near, far = 50 - round(LENGTH / 2), 50 + round(LENGTH / 2) - 3
    on_hla = weights_on_tile(apex, result, views["hla"], 0.0, field_mm=100.0, pixels=100)
    assert on_hla[near, 50] == 1.0, "the apex is on top"
    assert on_hla[far, 50 + radius] == 0.0
    first = weights_on_tile(apex, result, views["sa"], -0.45 * LENGTH, field_mm=100.0, pixels=100)
    assert first[50, 50] == 1.0


def test_the_diagnosis_shows_each_vessel_on_bull_eye_and_slices(full):
    fig = diagnosis_figure(full)
    assert len(fig.axes) == 1 + 1 + 3 * (1 + 1 + len(SLICES)) + 1
    few = replace(full.diagnosis, explanation={"RCA": full.diagnosis.explanation["RCA"]})
    assert len(diagnosis_figure(replace(full, diagnosis=few)).axes) == 1 + 1 + (1 + 1 + len(SLICES)) + 1
    none = replace(full.diagnosis, explanation={})
    assert len(diagnosis_figure(replace(full, diagnosis=none)).axes) == 1


def test_polar_files_hold_what_is_needed(full, tmp_path):
    result = full.results[0]
    arrays, picture = write_polar(result, tmp_path)
    assert (arrays.name, picture.name) == ("stress_polar.npz", "stress_polar.png")
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with np.load(arrays, allow_pickle=False) as stored:
        assert np.allclose(stored["maximum"], result.polar.values)
        assert np.allclose(stored["mean"], result.polar_mean.values)
        assert stored["mid_wall_mm"].shape == (24, 72, 3)
        assert stored["thickness_mm"].shape == (24, 72)
        assert stored["angles_deg"][18] == 90.0
        assert set(np.unique(stored["segment_map"])) == set(range(1, 18))
        assert np.allclose(stored["apex_mm"], result.frame.apex_mm)
        assert np.allclose(stored["base_mm"], result.frame.base_mm)
        assert np.allclose(stored["anterior"], result.frame.anterior)
        assert "rises through the septum" in str(stored["convention"])


def test_numbers_are_written_plainly():
    assert number(None) == "–"
    assert number(float("nan")) == "–"
    assert number(-0.04) == "0.0"
    assert number(-0.05, 2) == "-0.05"
    assert number(np.int64(4)) == "4"


def test_numbers_table_puts_each_score_under_its_state(full):
    table = numbers_table(full)
    rows = {row[0]: row[1:] for row in table.rows}
    assert table.columns[1:] == ("Stress", "Rest", "Stress – rest", "Unit")
    assert rows["Summed score (SSS, SRS, SDS)"] == ("14", "4", "10", "of 68")
    assert rows["Ejection fraction (LVEF)"] == ("71", "", "", "%")
    swapped = numbers_table(replace(full, results=full.results[::-1]))
    assert swapped.rows[0][1:] == ("4", "14", "10", "of 68")


def test_text_is_made_printable_and_wrapped():
    assert printable("a\n b\u0000\u6f22") == "a b??"
    lines = wrap("word " * 100, width_mm=40, size_pt=7, lines=2)
    assert len(lines) == 2
    assert lines[-1].endswith("...")
