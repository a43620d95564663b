"""The second family of phantom hearts: closed forms, conservation, and that it shares nothing with the simulator."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import myoperf.phantom.independent as independent
from myoperf.geometry import transform_points
from myoperf.phantom.independent import Camera, Delay, Heart, Patch, Surroundings, draw_heart, heart_truth, image_heart
from myoperf.phantom.independent.imaging import _time_shares
from myoperf.phantom.independent.shape import contraction, moments
from myoperf.types import LVFrame

PLAIN = Heart(length_mm=80.0, radius_mm=25.0, wall_mm=10.0, apex_wall_mm=10.0, widest=1.0, taper=0.0)


def test_a_half_ellipsoid_has_the_volume_of_the_closed_form():
    relaxed = moments(replace(PLAIN, shortening=0.0, descent=0.0, wall_loss=0.0), 1)[0]
    assert relaxed.cavity_ml == pytest.approx(2 / 3 * np.pi * 25**2 * 70 / 1000, rel=2e-3)
    assert relaxed.wall_ml == pytest.approx(2 / 3 * np.pi * 35**2 * 80 / 1000 - relaxed.cavity_ml, rel=4e-3)


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_the_wall_loses_the_stated_share_of_its_volume_at_end_systole(loss):
    heart = replace(PLAIN, wall_loss=loss, systole_cycles=0.4)
    beat = moments(heart, 200)
    assert beat[79].wall_ml / beat[0].wall_ml == pytest.approx(1.0 - loss, abs=2e-3)
    assert beat[79].cavity_ml == min(moment.cavity_ml for moment in beat)


def test_contraction_is_periodic_continuous_and_full_at_end_systole():
    time = np.linspace(0.0, 1.0, 2001)
    share = contraction(PLAIN, time)
    assert contraction(PLAIN, PLAIN.systole_cycles) == pytest.approx(1.0)
    assert np.abs(np.diff(share)).max() < 0.01
    assert contraction(PLAIN, -0.3) == pytest.approx(contraction(PLAIN, 0.7))
    assert share.min() >= 0
    assert share.max() <= 1


def test_truth_of_a_delay_is_the_spread_of_a_third_harmonic():
    spread = [heart_truth(replace(PLAIN, delay=Delay(third_harmonic=size))).phase_sd_deg for size in (0.02, 0.04)]
    # cos has a root mean square of 1/sqrt(2), and the delay grows from the apex to the base: a root mean square of
    # 1/sqrt(3) over a cylinder, more over a bullet, which has less wall at the apex.
    assert 1 / np.sqrt(3) < spread[1] / (360 * 0.04 / np.sqrt(2)) < 0.8
    assert spread[1] == pytest.approx(2 * spread[0], rel=0.01)
    assert heart_truth(PLAIN).phase_sd_deg == 0.0


def test_a_stiff_region_lowers_the_ejection_fraction_and_a_bulging_one_lowers_it_more():
    def fraction(depth):
        patch = Patch(along=0.6, angle_deg=0.0, along_sd=0.3, angle_sd_deg=50.0, depth=depth)
        return heart_truth(replace(PLAIN, stiff=(patch,) if depth else ())).lvef_percent

    assert fraction(0.0) > fraction(0.8) + 2 > fraction(1.4) + 4


def test_counts_stay_and_late_gates_lose_those_of_short_beats():
    share = _time_shares(Camera(beat_spread=0.1, gates=8), np.random.default_rng(0))
    assert share.sum() == pytest.approx(1.0)
    assert share[-1].sum() < 0.9 * share[0].sum()
    even = _time_shares(Camera(beat_spread=1e-9, gates=8), np.random.default_rng(0))
    np.testing.assert_allclose(even.sum(axis=1), 1 / 8, rtol=1e-6)
    assert np.count_nonzero(even[0] > 1e-4) >= 3, "a gate is an average over its time"


def test_the_image_lies_where_the_frame_says():
    heart = replace(PLAIN, shortening=0.0, descent=0.0)
    frame = LVFrame((20.0, -30.0, 10.0), (20.0 - 40.0, -30.0 + 55.0, 10.0 + 42.0), (0.0, -0.6, 0.8))
    empty = Surroundings(blood=0.0, body=0.0, lung=0.0, liver=0.0, right_wall=0.0)
    camera = Camera(
        gates=4, voxels=40, counts=1e9, haze=0.0, tail=0.0, fwhm_mm=(1, 1, 1), filter_fwhm_mm=1.0, voxel_mm=4.8
    )
    volume = image_heart(heart, frame, camera=camera, surroundings=empty, rng=np.random.default_rng(1)).summed()
    assert volume.array.sum() == pytest.approx(1e9, rel=1e-3)
    index = np.stack(np.meshgrid(*map(np.arange, volume.grid_shape), indexing="ij"), axis=-1)
    centre = np.average(
        transform_points(volume.lps_from_index, index).reshape(-1, 3), axis=0, weights=volume.array.ravel()
    )
    local = centre - frame.apex_mm
    # On the axis; at the height of the centre of mass of the shell between two half ellipsoids (3/8 of the height
    # from the valve plane).
    outer, inner = 35**2 * 80, 25**2 * 70
    height = 80 - (outer * 3 / 8 * 80 - inner * 3 / 8 * 70) / (outer - inner)
    assert local @ frame.axis == pytest.approx(height, abs=0.5)
    assert abs(local @ frame.anterior) < 0.3
    assert abs(local @ frame.lateral) < 0.3


def test_a_defect_lies_on_the_side_it_is_put():
    frame = LVFrame((20.0, -30.0, 10.0), (-20.0, 25.0, 52.0), (0.0, -0.6, 0.8))
    camera = Camera(gates=4, voxels=40, counts=1e9, fwhm_mm=(4, 4, 4), voxel_mm=4.8)
    septal = Patch(along=0.6, angle_deg=90.0, along_sd=0.3, angle_sd_deg=40.0, depth=0.9)

    def made(defects):
        around = Surroundings(defects=defects)
        return image_heart(PLAIN, frame, camera=camera, surroundings=around, rng=np.random.default_rng(1)).summed()

    healthy = made(())
    loss = healthy.array[0] - made((septal,)).array[0]
    place = np.array(np.unravel_index(loss.argmax(), loss.shape))
    offset = transform_points(healthy.lps_from_index, place) - frame.apex_mm
    assert offset @ frame.septal > 15


@pytest.mark.slow
def test_the_same_number_gives_the_same_heart_and_the_series_share_none():
    one, again, held = draw_heart(3), draw_heart(3), draw_heart(3, series="held")
    np.testing.assert_array_equal(one.study.scans[0].image.array, again.study.scans[0].image.array)
    assert one.heart != held.heart


def test_nothing_is_shared_with_the_simulator():
    allowed = (
        "myoperf.types",
        "myoperf.geometry",
        "myoperf.phantom.independent",
        "numpy",
        "scipy",
        "dataclasses",
        "typing",
    )
    for file in Path(independent.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name.startswith(allowed), f"{file.name} imports {name}"
