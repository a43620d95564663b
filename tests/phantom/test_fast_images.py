"""The image-space model."""

import numpy as np
import pytest

from myoperf.errors import GeometryError, InputError
from myoperf.geometry import index_from_lps, transform_points
from myoperf.phantom.fast import (
    FITTED,
    ImageModel,
    czt_field,
    half_turn_attenuation,
    image_model,
    simulate_fast,
)
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PatientModel, PopulationOptions
from myoperf.types import Volume

SHAPE = (40, 48, 52)


def _grid(patient: PatientModel) -> Grid:
    return Grid.centred(SHAPE, 6.6, patient.scan_centre_mm)


@pytest.mark.parametrize("kind", ["spect", "czt", "pet"])
def test_the_wall_is_hot_where_labels_and_pose_say(kind):
    population = PopulationOptions(tracer="N-13" if kind == "pet" else "Tc-99m", normal=True)
    patient = draw_patient(np.random.default_rng(3), population)
    rng = np.random.default_rng(0)
    model = image_model(kind, rng, tracer=patient.tracer)
    image, labels, frame = simulate_fast(patient, rng, model=model, grid=_grid(patient))
    assert image.grid_shape == labels.grid_shape == SHAPE
    np.testing.assert_array_equal(image.lps_from_index, labels.lps_from_index)
    assert image.lps_from_index[2, 0] < 0  # plane 0 nearest the head
    wall, pool = (image.array[0][labels.array[0] == value].mean() for value in (1, 2))
    assert wall > 1.15 * pool
    centre = transform_points(index_from_lps(labels.lps_from_index), frame.centre_mm)
    assert np.linalg.norm(np.argwhere(labels.array[0] == 2).mean(axis=0) - centre) * 6.6 < 20.0


def test_half_turn_attenuation_of_air_is_one_and_in_water_falls_with_depth():
    assert half_turn_attenuation(np.zeros((8, 32, 36)), 8.0) == pytest.approx(np.ones((8, 32, 36)))
    r, c = np.indices((40, 44)) - np.array([19.5, 21.5])[:, None, None]
    water = np.broadcast_to(np.where(np.hypot(r, c) < 16, 0.015, 0.0), (8, 40, 44))
    field = half_turn_attenuation(water, 6.0)
    centre = np.exp(-0.015 * 16 * 6.0)
    assert field[4, 19:21, 21:23].mean() == pytest.approx(centre, rel=0.06)
    assert field[4, 8, 30] > field[4, 20, 22] > field[4, 31, 13]  # front left, middle, back right


def test_noise_and_blur_are_what_the_model_asks_for():
    patient = draw_patient(np.random.default_rng(3))
    quiet = ImageModel(6.0, 6.0, 0.0, 0.0, 40.0, 0.0, 0.7, 5.0)
    clean, _, _ = simulate_fast(patient, np.random.default_rng(0), grid=_grid(patient), model=quiet)
    loud = ImageModel(6.0, 6.0, 0.0, 0.0, 40.0, 0.05, 0.7, 5.0)
    noisy, _, _ = simulate_fast(patient, np.random.default_rng(0), grid=_grid(patient), model=loud)
    level = np.percentile(clean.array, 99.5)
    bright = clean.array > 0.3 * level
    expected = 0.05 * level * (clean.array[bright] / level) ** 0.7
    relative = (noisy.array[bright] - clean.array[bright]) / expected
    assert relative.std() == pytest.approx(1.0, abs=0.12)


def test_models_vary_and_rubidium_is_blurrier_and_noisier():
    nitrogen = image_model("pet", np.random.default_rng(0), tracer="N-13")
    rubidium = image_model("pet", np.random.default_rng(0), tracer="Rb-82")
    assert rubidium.across_mm > nitrogen.across_mm
    assert rubidium.noise == pytest.approx(2 * nitrogen.noise)
    assert image_model("spect", np.random.default_rng(1)) != image_model("spect", np.random.default_rng(2))
    with pytest.raises(InputError, match="knows"):
        image_model("ct", np.random.default_rng(0))
    patient = draw_patient(np.random.default_rng(3))
    with pytest.raises(InputError, match="cubes"):
        simulate_fast(patient, np.random.default_rng(0), grid=Grid.centred(SHAPE, 0.1), model=FITTED["spect"])
    with pytest.raises(GeometryError, match="transaxial"):
        simulate_fast(patient, np.random.default_rng(0), grid=Grid(SHAPE, np.eye(4)), model=FITTED["spect"])


def test_the_small_field_keeps_the_heart_where_it_was():
    patient = draw_patient(np.random.default_rng(3))
    rng = np.random.default_rng(0)
    grid = Grid.centred((60, 90, 90), 4.0, patient.scan_centre_mm)
    image, labels, frame = simulate_fast(patient, rng, model=image_model("czt", rng), grid=grid)
    heart = 0.5 * (frame.apex_mm + frame.base_mm)
    cut, marks = (czt_field(v, heart, np.random.default_rng(1)) for v in (image, labels))
    assert cut.grid_shape == (50, 70, 70)
    assert 0.4 < (cut.array == 0).mean() < 0.75
    assert (marks.array > 0).sum() > 0.95 * (labels.array > 0).sum()
    old, new = (transform_points(v.lps_from_index, np.argwhere(v.array[0] == 1)).mean(axis=0) for v in (labels, marks))
    np.testing.assert_allclose(new, old, atol=2.0)
    coarse = Volume(np.zeros((8, 8, 8), np.float32), np.diag([5.0, 5.0, 5.0, 1.0])[[2, 1, 0, 3]])
    with pytest.raises(InputError, match="4 mm"):
        czt_field(coarse, heart, np.random.default_rng(1))


def test_quick_labels_differ_from_the_exact_ones_at_edges_only():
    patient = draw_patient(np.random.default_rng(5))
    exact, quick = (
        simulate_fast(patient, np.random.default_rng(1), grid=_grid(patient), quick_labels=is_quick)
        for is_quick in (False, True)
    )
    np.testing.assert_array_equal(exact[0].array, quick[0].array)
    differ = exact[1].array != quick[1].array
    assert differ.sum() < 0.08 * (exact[1].array > 0).sum()
    assert set(np.unique(quick[1].array)) == {0, 1, 2}
