"""Volumes and ejection fraction on closed-form beating ventricles, blurred as a scanner blurs."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from myoperf.errors import AnalysisError, InputError
from myoperf.gated import (
    fit_volume_curve,
    function,
    measure_function,
    static_cavities_ml,
)
from myoperf.gated.thickness import SPECT_BLUR
from myoperf.gated.tracking import track_walls
from myoperf.types import Volume
from support.ventricle import Ventricle, grid_about, half_ellipsoid_ml, make_ventricle, points_of, subvoxels

WALL, AXIS = 9.0, (-0.64, 0.6, 0.48)
REST = make_ventricle(
    np.array((40.0, -40.0, -30.0)) + 82.0 * np.array(AXIS), AXIS, (0, -0.5, 0.8), radius=27.0, length=82.0, wall=WALL
)
"""The ventricle at the end of diastole."""
FRAME = REST.frame
GATES = 8


def beat(scale) -> Ventricle:
    """Return the ventricle with its blood narrowed to a share: its wall keeps its volume, its valve comes down."""
    inner = REST.inner[0] * scale, REST.inner[1] * (1 - 0.4 * (1 - scale))
    thick = np.linspace(1, 30, 5000)
    whole = half_ellipsoid_ml((inner[0] + thick, inner[1] + thick))
    thick = thick[np.argmin(np.abs(whole - REST.wall_ml - half_ellipsoid_ml(inner)))]
    outer = inner[0] + thick, inner[1] + thick
    return REST.scaled(outer, inner, towards_apex_mm=REST.outer[1] - outer[1])


def scales(gates, strength=0.3):
    return 1 - strength * 0.5 * (1 - np.cos(2 * np.pi * (np.arange(gates) + 0.5) / gates))


@cache
def heart(gates=GATES, *, strength=0.3, fwhm_mm=15.0, spacing=6.0, background=0.06, counts=None, seed=0):
    """Voxelise gates of a contracting half ellipsoid shell, blur them; give (volume, EDV, ESV)."""
    shape = (36,) * 3
    affine = grid_about(FRAME.centre_mm, shape, spacing)
    places = [points_of(affine, shape, shift=shift) for shift in subvoxels(3)]
    array = np.full((gates, *shape), background, np.float32)
    for image, scale in zip(array, scales(gates, strength), strict=True):
        ventricle = beat(scale)
        for points in places:
            image += (ventricle.labels(points) == 1) / np.float32(27)
    blurred = ndimage.gaussian_filter(array, (0, *(fwhm_mm / 2.3548 / spacing,) * 3))
    if counts is not None:
        blurred = np.random.default_rng(seed).poisson(blurred * counts).astype(np.float32)
    truth = [beat(scale).pool_ml for scale in scales(64, strength)]
    return Volume(blurred, affine), max(truth), min(truth)


def measured(volume, **options):
    return measure_function(volume, FRAME, REST.polar_map(), **options)


@pytest.fixture(scope="module")
def normal():
    volume, edv, esv = heart()
    return measured(volume, frame_duration_ms=np.full(GATES, 100.0)), edv, esv


def test_volumes_of_a_blurred_beating_shell(normal):
    result, edv, esv = normal
    assert result.edv_ml == pytest.approx(edv, rel=0.06)
    assert result.esv_ml == pytest.approx(esv, rel=0.10)
    assert result.lvef_percent == pytest.approx(100 * (1 - esv / edv), abs=3.0)
    assert len(result.volumes_ml) == GATES


@pytest.mark.parametrize("strength", [0.08, 0.38])
def test_ejection_fraction_follows_the_beat(strength):
    volume, edv, esv = heart(strength=strength)
    assert measured(volume).lvef_percent == pytest.approx(100 * (1 - esv / edv), abs=4.0)


def test_sharper_images_give_the_same_volumes():
    """Where the camera's resolution is known to be better than usual; the usual prior alone holds the wall too thin."""
    volume, edv, esv = heart(fwhm_mm=9.0, spacing=4.5)
    result = measured(volume, prior=replace(SPECT_BLUR, sigma_mm=4.2, sigma_sd_mm=0.8))
    assert result.edv_ml == pytest.approx(edv, rel=0.06)
    assert result.lvef_percent == pytest.approx(100 * (1 - esv / edv), abs=3.0)


def test_volumes_are_in_millilitres_on_any_scale_of_counts(normal):
    volume, _, _ = heart()
    scaled = measured(volume.with_array(volume.array * 3000.0))
    assert scaled.edv_ml == pytest.approx(normal[0].edv_ml, rel=1e-4)


def test_every_part_of_the_function_is_measured(normal):
    result = normal[0]
    curve, wall = result.curve, result.wall
    assert result.stroke_volume_ml == pytest.approx(result.edv_ml - result.esv_ml)
    segments = (wall.thickening_percent, wall.motion_mm, result.synchrony.phase_segments_deg)
    assert {np.shape(values) for values in segments} == {(17,)}
    assert wall.ed_gate in (1, 8)
    assert wall.es_gate in (4, 5)
    assert 0 < wall.shape_index_es < wall.shape_index_ed < 1
    # The fit of a cosine beat of 800 ms fills fastest a quarter of the beat after end systole.
    assert curve.ttpf_ms == pytest.approx(200.0, abs=60.0)
    assert curve.pfr_edv_per_s > curve.mfr3_edv_per_s > 0


def test_the_wall_thickens_and_moves_inwards_everywhere(normal):
    assert min(normal[0].wall.thickening_percent) > 10
    assert min(normal[0].wall.motion_mm[:16]) > 2


def test_a_beat_in_step_has_a_narrow_phase(normal):
    assert normal[0].synchrony.phase_sd_deg < 6
    assert normal[0].synchrony.phase_mean_deg == pytest.approx(180.0, abs=12.0)


def test_mass_is_that_of_a_given_wall():
    result = measured(heart()[0], thickness_mm=WALL)
    wall = REST.wall_ml
    assert result.wall.wall_sd_mm == 0.0
    assert result.wall.mass_g == pytest.approx(1.05 * wall, rel=0.12)


def test_filling_rates_need_the_length_of_the_beat():
    volume, _, _ = heart()
    curve = measured(volume).curve
    assert curve.pfr_edv_per_s is None
    assert curve.ttpf_ms is None


def test_volume_curve_of_a_known_beat():
    time = (np.arange(16) + 0.5) / 16
    # A gate holds the mean over its sixteenth of the beat.
    curve = fit_volume_curve(80 + 40 * np.sinc(1 / 16) * np.cos(2 * np.pi * time), beat_ms=1000.0)
    assert curve.edv_ml == pytest.approx(120, rel=1e-3)
    assert curve.esv_ml == pytest.approx(40, rel=1e-3)
    assert curve.pfr_edv_per_s == pytest.approx(40 * 2 * np.pi / 120, rel=1e-3)
    assert curve.ttpf_ms == pytest.approx(250.0, abs=4)
    assert curve.mfr3_edv_per_s == pytest.approx(20.0 / (1 / 6) / 120, rel=0.02)  # 20 ml in a third of half a second


def test_the_cavity_of_an_ungated_image_lies_between_the_extremes_and_grows_with_it():
    cavity = []
    for strength in (0.12, 0.3):
        volume, edv, esv = heart(strength=strength)
        cavity.append(static_cavities_ml([(volume, FRAME, REST.polar_map())])[0])
        assert esv < cavity[-1] < 1.02 * edv
    assert cavity[1] < 0.97 * cavity[0]


def test_scans_of_one_camera_share_their_resolution_and_those_of_two_do_not():
    scans = [(heart(2, strength=s)[0].summed(), FRAME, REST.polar_map()) for s in (0.12, 0.3)]
    walls = track_walls(scans)
    assert walls[0].blur.sigma_mm == walls[1].blur.sigma_mm
    together = static_cavities_ml(scans)
    alone = [static_cavities_ml([scan])[0] for scan in scans]
    assert together[0] / together[1] == pytest.approx(alone[0] / alone[1], rel=0.03)
    other = (heart(2, strength=0.3, spacing=5.0)[0].summed(), FRAME, REST.polar_map())
    assert static_cavities_ml([scans[0], other]) == (alone[0], *static_cavities_ml([other]))


def test_noise_moves_cavities_that_share_their_resolution_less_against_each_other():
    rng, apart, shared = np.random.default_rng(1), [], []
    still = [heart(2, strength=strength)[0].summed() for strength in (0.12, 0.3)]
    for _ in range(5):
        noisy = [v.with_array(rng.poisson(100.0 * v.array).astype(np.float32)) for v in still]
        scans = [(v, FRAME, REST.polar_map()) for v in noisy]
        shared.append(np.divide(*static_cavities_ml(scans)))
        apart.append(np.divide(*(static_cavities_ml([scan])[0] for scan in scans)))
    assert np.std(shared) < 0.9 * np.std(apart)


def test_impossible_input_is_refused():
    volume, _, _ = heart(4)
    with pytest.raises(InputError, match="4 gates"):
        measured(volume.with_array(volume.array[:3]))
    polar = replace(REST.polar_map(), values=np.ones((5, 24, 72)))
    with pytest.raises(InputError, match="5 gates"):
        measure_function(volume, FRAME, polar)
    with pytest.raises(AnalysisError, match="no counts"):
        measured(volume.with_array(np.zeros_like(volume.array)))
    with pytest.raises(InputError, match="positive"):
        fit_volume_curve(np.array([1.0, 2.0, 0.0, 1.0]))


@pytest.mark.parametrize("gate", [3, 7])
def test_a_gate_without_counts_is_named_and_no_volume_is_given(gate):
    volume, _, _ = heart()
    array = volume.array.copy()
    array[gate] *= 0.1
    with pytest.raises(AnalysisError, match=f"gate {gate + 1} of 8 has 10 %"):
        measured(volume.with_array(array))


def test_a_curve_that_no_ventricle_can_have_is_refused(monkeypatch):
    """Harmonics through a wall that was lost in one gate can fall below zero."""
    volume, _, _ = heart()
    lost = np.array([85.0, 71.0, 6.0, 0.5, 18.0, 89.0, 76.0, 54.0])
    monkeypatch.setattr(function, "cavity_ml", lambda *_: lost)
    with pytest.raises(AnalysisError, match="no ventricle empties so far"):
        measured(volume)


def test_copies_of_one_image_have_no_phase():
    volume, _, _ = heart()
    still = measured(volume.with_array(np.repeat(volume.array.mean(axis=0, keepdims=True), GATES, axis=0)))
    assert still.lvef_percent == pytest.approx(0.0, abs=0.5)
    phase = still.synchrony
    assert not phase.phase_reliable
    assert {phase.phase_sd_deg, phase.phase_bandwidth_deg, phase.phase_entropy_percent} == {None}


@pytest.mark.parametrize("beat", [0.0, -800.0, float("nan"), float("inf")])
def test_a_beat_without_a_length_gives_no_rates(beat):
    curve = fit_volume_curve(np.array([100.0, 80, 55, 50, 60, 80, 90, 98]), beat_ms=beat)
    assert curve.pfr_edv_per_s is None
    assert curve.ttpf_ms is None
    assert curve.mfr3_edv_per_s is None
