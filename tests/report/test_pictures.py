"""The pictures show the heart where it is: sides, scales and maps against the closed-form ventricle."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from myoperf.geometry import index_from_lps, transform_points
from myoperf.geometry.disc import disc_image
from myoperf.perfusion import decide, with_verdict
from myoperf.report import draw_report, write_polar
from myoperf.report.bullseye import BullEye, draw_disc, segment_centre, segment_disc
from myoperf.report.canvas import Canvas, Picture, Shape, Text
from myoperf.report.charts import function_drawings
from myoperf.report.colours import PERFUSION, WEIGHT
from myoperf.report.diagnosis_figures import SLICES, diagnosis_drawing, weights_on_wall
from myoperf.report.figures import bull_eyes, bull_eyes_drawing
from myoperf.report.fonts import printable, text_width_mm, wrap
from myoperf.report.numbers import numbers_table, segments_table
from myoperf.report.overlays import Field, overlay_drawing
from myoperf.report.slices import cut_slices, slices_drawing
from myoperf.report.tables import number
from myoperf.report.tiles import extent_of, lv_maximum, plane_tiles, views_of
from myoperf.segments import TERRITORIES, segment_map, segment_of
from myoperf.types import Scores
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


def pictures(drawing: Canvas, palette=None) -> list[Picture]:
    return [m for m in drawing.marks if isinstance(m, Picture) and palette in (None, m.palette)]


def test_planes_are_cut_as_a_spline_in_three_dimensions_would_cut_them():
    result = make_result("stress", depth=0.9, state="stress")
    view, offsets = views_of(result.short_axis)["hla"], np.array([-7.3, 2.0, 11.3])
    tiles = plane_tiles(view, result.frame.centre_mm, offsets, field_mm=91.0, pixels=40)
    edge = (np.arange(40) - 19.5) * 91.0 / 40
    step = view.spacing_mm
    centre = transform_points(index_from_lps(view.lps_from_index), result.frame.centre_mm)
    at = np.meshgrid(*(c + along / s for c, along, s in zip(centre, (offsets, edge, edge), step, strict=True)),
                     indexing="ij")  # fmt: skip
    expected = ndimage.map_coordinates(view.array[0].astype(np.float64), at, order=3, mode="constant")
    assert np.abs(tiles - np.maximum(expected, 0.0)).max() < 1e-4 * expected.max()


def test_stress_stands_above_rest_slice_by_slice(full):
    drawing = slices_drawing(full.results, cut_slices(full.results))
    rows = pictures(drawing)
    tile, step = 96, 99
    assert [row.pixels.shape for row in rows] == [(tile, 10 * step - 3)] * 8
    assert [row.scale for row in rows] == ["stress", "rest"] * 4
    assert np.all(np.diff([row.y for row in rows]) > 0)
    stress, rest = (row.pixels[:, 4 * step :][:, :tile].astype(int) for row in rows[:2])
    assert stress[55:, 44:52].max() < 0.75 * rest[55:, 44:52].max(), "the defect lies inferior, in the upper row"
    assert drawing.texts.count("STRESS") == drawing.texts.count("REST") == 4
    alone = pictures(slices_drawing(full.results[:1], cut_slices(full.results[:1])))
    assert [row.pixels.shape for row in alone] == [(tile, 7 * step - 3)] * 5


def test_pictures_exist_only_where_there_is_something(full, bare):
    pair, size = full.results, (110.0, 140.0)
    discs = bull_eyes(pair, full.scores)
    assert [d.title.split(":")[0] for d in discs] == ["Stress", "Rest", "Stress", "Rest", "Rest - stress"]
    assert len(pictures(bull_eyes_drawing(discs, size, TERRITORIES))) == 5 + 2, "five maps, two bars"
    few = bull_eyes(bare.results, bare.scores)
    assert len(few) == 1
    assert len(pictures(bull_eyes_drawing(few, size, TERRITORIES))) == 1 + 1
    assert len(pictures(overlay_drawing(pair[0]))) == 4
    assert len(function_drawings(full)) == 1
    assert function_drawings(bare) == ()
    assert diagnosis_drawing(bare) is None


def test_a_further_scan_is_compared_with_limits_by_its_own_scores_only(full):
    prone = make_result("stress-prone", depth=0.0, state="stress")
    results = (prone, *full.results)
    scores = replace(full.scores, scans={"stress": "stress", "rest": "rest"})
    report = replace(full, results=results, scores=scores)
    titles = [[disc.title for disc in plate.discs] for plate in draw_report(report).plates]
    assert titles[0][:2] == ["Stress: uptake %", "Rest: uptake %"], "the scored scans stand first, whatever the order"
    assert titles[1] == ["Stress-prone: uptake %"], "the defect of the scored scan is not drawn on another"
    own = Scores(sss=0, tpd_stress_percent=0.0, stress_severity=np.zeros((24, 72)), stress_scores=(0,) * 17)
    own = with_verdict(own, decide(own))
    titles = [disc.title for disc in draw_report(replace(report, scan_scores={"stress-prone": own})).plates[1].discs]
    assert titles == ["Stress-prone: uptake %", "Stress-prone: within limits"]


@pytest.mark.parametrize("scored", ["stress", "stress-ac"])
def test_maps_with_and_without_correction_stand_side_by_side_whichever_is_scored(full, scored):
    made = make_result("stress-ac", depth=0.1, state="stress")
    corrected = replace(made, scan=replace(made.scan, attenuation_corrected=True))
    scores = replace(full.scores, scans={"stress": scored, "rest": "rest"})
    own = Scores(sss=0, tpd_stress_percent=0.0, stress_severity=np.zeros((24, 72)), stress_scores=(0,) * 17)
    own = with_verdict(own, decide(own))
    (other,) = {"stress", "stress-ac"} - {scored}
    report = replace(full, results=(*full.results, corrected), scores=scores, scan_scores={other: own})
    titles = [disc.title for disc in draw_report(report).plates[1].discs]
    words = {scored: "defects black", other: "within limits"}
    assert titles == [
        "Stress: uptake %",
        "Stress-ac: uptake %",
        f"Stress: {words['stress']}",
        f"Stress-ac: {words['stress-ac']}",
    ]
    prone = replace(report, results=(*full.results, replace(made, name="stress-prone")))
    assert draw_report(prone).plates[1].discs[0].title == "Stress-prone: uptake %"


def test_the_rows_of_slices_have_names_that_do_not_run_into_each_other(full):
    """ "STRESS-PRONE-AC" was longer than its row where page 1 leaves little height."""
    named = tuple(replace(r, name=f"{r.name}-prone-ac") for r in full.results)
    drawing = slices_drawing(named, cut_slices(named), width_mm=90.0)
    names = [m for m in drawing.marks if isinstance(m, Text) and m.turn_deg == 90.0 and m.text.endswith("-PRONE-AC")]
    places = sorted({mark.y for mark in names})
    assert len(places) == 8
    step = min(b - a for a, b in itertools.pairwise(places))
    assert max(text_width_mm(m.text, m.font.size_pt, bold=True) for m in names) <= step


def test_a_map_beyond_its_cut_off_is_not_called_within_limits(full):
    """What rest shows alone is no defect: "within limits" stood beside a TPD that is marked as too high."""
    rest = np.where(np.isin(segment_map(24, 72), (6, 12)), 1.0, 0.0)
    scores = Scores(
        sss=0,
        srs=0,
        sds=0,
        tpd_stress_percent=0.0,
        tpd_rest_percent=5.2,
        stress_severity=np.zeros((24, 72)),
        rest_severity=rest,
        scans={"stress": "stress", "rest": "rest"},
    )
    scores = with_verdict(scores, decide(scores))
    assert scores.category == "normal"
    titles = [disc.title for disc in draw_report(replace(full, scores=scores)).plates[0].discs]
    assert titles[2:4] == ["Stress: within limits", "Rest: no defect named"]


def test_everything_drawn_lies_on_its_drawing(full, bare):
    discs = bull_eyes(full.results, full.scores)
    shown = [
        slices_drawing(full.results, cut_slices(full.results)),
        *map(overlay_drawing, full.results),
        *function_drawings(full),
    ]
    shown += [diagnosis_drawing(full), slices_drawing(bare.results, cut_slices(bare.results))]
    shown += [bull_eyes_drawing(discs, size, TERRITORIES) for size in ((110.0, 140.0), (104.0, 70.0), (160.0, 100.0))]
    for drawing in shown:
        for mark in drawing.marks:
            if isinstance(mark, Shape):
                points = np.concatenate(mark.lines)
                low, high = points.min(axis=0), points.max(axis=0)
            elif isinstance(mark, Picture):
                low, high = (mark.x, mark.y), (mark.x + mark.width, mark.y + mark.height)
            else:
                long = text_width_mm(mark.text, mark.font.size_pt, bold=mark.font.bold)
                before = {"left": 0.0, "middle": 0.5, "right": 1.0}[mark.align] * long
                turn = np.radians(mark.turn_deg)
                ends = np.array([-before, long - before])[:, None] * (np.cos(turn), -np.sin(turn)) + (mark.x, mark.y)
                low, high = ends.min(axis=0), ends.max(axis=0)
            assert min(low) > -0.01, mark
            assert high[0] < drawing.width + 0.01, mark
            assert high[1] < drawing.height + 0.01, mark


def test_a_segment_without_a_value_is_grey_not_zero():
    canvas = Canvas(50.0, 50.0)
    values = np.where(np.arange(17) == 3, np.nan, 0.0)
    disc = BullEye(picture=values, title="", palette=PERFUSION, limits=(0.0, 4.0))
    draw_disc(canvas, disc, (0.0, 0.0), 50.0)
    fills = [mark.fill for mark in canvas.marks if isinstance(mark, Shape) and mark.fill]
    assert fills == ["#000000"] * 3 + ["#c3c8d0"] + ["#000000"] * 13


def test_an_outline_follows_the_edge_of_a_mask():
    canvas = Canvas(50.0, 50.0)
    field = Field(canvas=canvas, corner=(5.0, 3.0), side=40.0, field_mm=80.0)
    right, down = np.meshgrid((np.arange(160) - 79.5) / 2.0, (np.arange(160) - 79.5) / 2.0)
    field.outline(1.0 / (1.0 + np.exp(np.hypot(right - 10.0, down) - 20.0)), "#ffb000")
    (shape,) = canvas.marks
    (line,) = shape.lines
    radius = np.hypot(*((line - (5.0 + 25.0, 3.0 + 20.0)) * 2.0).T)
    assert np.abs(radius - 20.0).max() < 0.05
    field.outline(np.zeros((160, 160)), "#ffb000")
    assert len(canvas.marks) == 1, "no edge, no outline"


def test_what_counts_lies_on_its_wall_in_every_slice(full):
    result = full.results[0]
    maps = np.zeros((2, 12, 36))  # another grid than the polar map's
    maps[0, :, 16:21] = 1.0  # inferior
    maps[1, :3] = 1.0  # apex
    views = views_of(result.short_axis)

    def on(view: str, offset: float = 0.0) -> np.ndarray:
        everywhere = np.ones((100, 100), bool)
        return weights_on_wall(maps, result, views[view], offset, field_mm=100.0, wall=everywhere)

    radius = round(RADIUS * np.sqrt(0.75))
    inferior, apex = on("sa")[0], on("hla")[1]
    assert inferior[50 + radius, 50] == 1.0, "inferior is below"
    assert inferior[50 - radius, 50] == 0.0
    assert inferior[50, 50 + radius] == inferior[50, 50 - radius] == 0.0
    assert on("vla")[0, 50 + radius, 50] == 1.0
    assert on("vla")[0, 50 - radius, 50] == 0.0
    assert on("hla")[0, 50, 50 + radius] == on("hla")[0, 50, 50 - radius] == 0.0
    near, far = 50 - round(LENGTH / 2), 50 + round(LENGTH / 2) - 3
    assert apex[near, 50] == 1.0, "the apex is on top"
    assert apex[far, 50 + radius] == 0.0
    assert on("sa", -0.45 * LENGTH)[1, 50, 50] == 1.0
    part = np.zeros((100, 100), bool)
    part[70:80, 45:55] = True
    within = weights_on_wall(maps, result, views["sa"], 0.0, field_mm=100.0, wall=part)
    assert np.array_equal(within[:, part], on("sa")[:, part])
    assert np.isnan(within[:, ~part]).all()


def test_the_diagnosis_shows_each_vessel_on_bull_eye_and_slices(full):
    assert len(pictures(diagnosis_drawing(full), WEIGHT)) == 3 * (1 + len(SLICES)) + 1
    few = replace(full.diagnosis, explanation={"RCA": full.diagnosis.explanation["RCA"]})
    drawing = diagnosis_drawing(replace(full, diagnosis=few))
    assert len(pictures(drawing, WEIGHT)) == 1 + len(SLICES) + 1
    assert [text for text in drawing.texts if text.startswith(("LAD ", "LCX ", "RCA "))] == ["RCA  0.87"]
    none = replace(full.diagnosis, explanation={})
    assert pictures(diagnosis_drawing(replace(full, diagnosis=none))) == []


def test_the_picture_of_a_polar_map_has_its_colours(full, tmp_path):
    _, file = write_polar(full.results[0], tmp_path)
    image = np.asarray(Image.open(file).convert("RGB")).astype(int)
    rows, columns = image.shape[:2]
    assert (rows, columns) == (630, 567)
    radius = 0.45 * columns / 1.24
    middle = (0.5 * columns, (6.0 + 0.45 * 90.0) / 100.0 * rows)

    def at(x: float, y: float) -> np.ndarray:
        return image[round(middle[1] + y * radius), round(middle[0] + x * radius)]

    normal, defect = at(0.1, -0.9), at(-0.1, 0.9)
    assert normal.min() > 180, "anterior, on top: bright"
    assert defect[1] < 60, "inferior, below: violet"
    assert (image[3, 3] == 255).all()


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
    assert table.columns[1:] == ("Stress", "Rest", "Stress – rest", "Normal", "Unit")
    assert rows["Summed score (SSS, SRS, SDS)"] == ("14 ↑", "4 ↑", "10 ↑", "< 4", "of 68")
    assert rows["Ejection fraction (LVEF)"] == ("71", "", "", "≥ 59", "%")
    swapped = numbers_table(replace(full, results=full.results[::-1]))
    assert swapped.rows[0][1:] == ("4 ↑", "14 ↑", "10 ↑", "< 4", "of 68")


def test_text_is_made_printable_and_wrapped():
    assert printable("a\n b\u0000\u6f22") == "a b??"
    lines = wrap("word " * 100, width_mm=40, size_pt=7, lines=2)
    assert len(lines) == 2
    assert lines[-1].endswith("...")
    assert 30.0 < text_width_mm(lines[0], 7) <= 40.0
    assert text_width_mm(lines[1], 7) <= 40.0
    assert wrap("as it is", width_mm=40, size_pt=7, lines=2) == ["as it is"]
    long = wrap("abc" * 30, width_mm=20, size_pt=7, lines=9)
    assert "".join(long) == "abc" * 30
    assert max(text_width_mm(line, 7) for line in long) <= 20.0


def test_names_of_all_of_europe_are_shown_as_they_are():
    assert printable("Łukasz Ωμέγα Дмитрий Ström") == "Łukasz Ωμέγα Дмитрий Ström"


def test_volumes_of_end_diastole_and_end_systole_are_those_of_the_fitted_curve(full):
    stress = full.results[0]
    function = stress.function
    gates = len(function.volumes_ml)
    fuller = replace(function.curve, volume_ml=function.curve.volume_ml + 25.0)
    at_end = {}
    for name, curve in (("gates alone", None), ("curve", function.curve), ("fuller curve", fuller)):
        result = replace(stress, function=replace(function, curve=curve))
        (drawing,) = function_drawings(replace(full, results=(result,)))
        at_end[name] = {m.text: (m.x, m.y) for m in drawing.marks if isinstance(m, Text) and m.text in ("ED", "ES")}
        line = max((m.lines[0] for m in drawing.marks if isinstance(m, Shape) and m.stroke == "#2b6cb0"), key=len)
        assert len(line) == (gates if curve is None else curve.time_cycles.size)
    assert at_end["fuller curve"]["ES"][1] < at_end["curve"]["ES"][1], "the least volume of the curve stands higher"
    assert at_end["curve"]["ES"][0] == pytest.approx(at_end["gates alone"]["ES"][0], abs=2.5)


def test_a_long_title_of_a_map_stays_within_the_drawing(full):
    discs = [replace(d, title=f"Stress-prone-ac: {d.title}") for d in bull_eyes(full.results[:1], full.scores)]
    drawing = bull_eyes_drawing(discs, (104.0, 70.0), TERRITORIES)
    titles = [m for m in drawing.marks if isinstance(m, Text) and m.text.startswith("Stress-prone-ac")]
    assert len(titles) == len(discs)
    for title in titles:
        half = 0.5 * text_width_mm(title.text, title.font.size_pt, bold=True)
        assert title.x - half > -0.01
        assert title.x + half < drawing.width + 0.01


def test_scans_that_were_not_compared_are_not_subtracted(full):
    apart = replace(full.scores, sds=None, tpd_ischemic_percent=None, tid_ratio=None)
    assert not full.scores.apart
    assert apart.apart
    assert [d.title for d in bull_eyes(full.results, full.scores)][-1].startswith("Rest - stress")
    assert not any("Rest - stress" in d.title for d in bull_eyes(full.results, apart))
    assert "Rest – stress" in segments_table(full).columns
    assert "Rest – stress" not in segments_table(replace(full, scores=apart)).columns


def test_black_is_what_the_verdict_names_and_nothing_else(full):
    """A normal map had black patches, and every speck below the limits of an abnormal one was black."""
    severity = np.zeros((24, 72))
    severity[8:16, 30:46], severity[20, 5] = 2.5, 2.5
    blackened = {}
    for sss, tpd in ((8, 6.0), (3, 2.0)):
        scores = Scores(sss=sss, tpd_stress_percent=tpd, stress_severity=severity, stress_scores=(0,) * 17)
        (_, disc) = bull_eyes(full.results[:1], with_verdict(scores, decide(scores)))
        blackened[disc.title] = disc.picture
    black = {title: float((picture == 0.0).mean()) for title, picture in blackened.items()}
    region = float((severity[:, 30:46] > 0).mean() * 16 / 72)
    assert set(black) == {"Stress: defects black", "Stress: within limits"}
    assert black["Stress: defects black"] - black["Stress: within limits"] == pytest.approx(region, abs=0.04)


def test_rest_minus_stress_shows_the_rest_map_that_the_scores_compare(full):
    pair, turned = full.results[:2], np.roll(full.results[0].polar.values, 6, axis=1)
    alike = bull_eyes(pair, replace(full.scores, compared_rest=full.results[0].polar.values))[-1]
    assert np.nanmax(np.abs(alike.picture)) < 1e-6
    drawn = bull_eyes(pair, replace(full.scores, compared_rest=turned))[-1]
    assert np.nanmax(np.abs(drawn.picture)) > 1.0
