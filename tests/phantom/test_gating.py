"""Gates as averages over their time, from beats of unequal length."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from myoperf.errors import InputError
from myoperf.phantom.acquire import Protocol, expected_views
from myoperf.phantom.gating import gate_beats, volume_curve
from myoperf.phantom.motion import volumes
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PatientModel, PopulationOptions
from myoperf.phantom.truth import truth
from myoperf.phantom.voxelise import heart_boxes


def _patient(seed: int, spread: float) -> PatientModel:
    patient = draw_patient(np.random.default_rng(seed), PopulationOptions(normal=True))
    return replace(patient, function=replace(patient.function, beat_spread=spread))


@pytest.mark.parametrize("gates", [1, 8, 16, 32])
def test_the_shares_of_time_are_shares(gates: int) -> None:
    beats = gate_beats(_patient(1, 0.1).function, gates)
    np.testing.assert_allclose(beats.weights.sum(axis=1), 1.0)
    assert beats.recorded.sum() == pytest.approx(1.0)
    assert (beats.weights >= 0).all()
    assert beats.mean.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("gates", [8, 16])
def test_gates_of_a_regular_beat_are_means_of_the_continuous_curve(gates: int) -> None:
    patient = _patient(2, 0.0)
    fine = volumes(patient, "rest", (np.arange(gates * 50) + 0.5) / (gates * 50))
    expected = fine.reshape(gates, 50).mean(axis=1)
    np.testing.assert_allclose(volume_curve(patient, "rest", gates), expected, atol=0.005 * fine.max())
    np.testing.assert_allclose(gate_beats(patient.function, gates).recorded, 1.0 / gates)


def test_averaged_gates_hide_part_of_the_ejection() -> None:
    patient = _patient(3, 0.02)
    known = truth(patient).lvef_percent["rest"]
    few, many = (volume_curve(patient, "rest", gates) for gates in (8, 32))
    shown = [100 * (1 - curve.min() / curve.max()) for curve in (few, many)]
    assert 2.0 < known - shown[0] < 7.0
    assert 0.0 < known - shown[1] < 1.0


def test_short_beats_take_counts_from_the_last_gate_alone() -> None:
    spread, gates = 0.04, 8
    recorded = gate_beats(_patient(4, spread).function, gates).recorded
    lost = spread / np.sqrt(2 * np.pi)  # mean of what a normal deviate falls short of 0
    assert recorded[-1] == pytest.approx((1 / gates - lost) / (1 - lost), rel=0.02)
    np.testing.assert_allclose(recorded[: gates - 2], recorded[0], rtol=1e-6)


def test_beats_outside_the_window_are_rejected() -> None:
    function = _patient(5, 0.15).function
    assert gate_beats(function, 8, window=0.2).accepted == pytest.approx(2 * norm.cdf(0.2 / 0.15) - 1)
    assert gate_beats(function, 8, window=0.05).recorded[-1] > gate_beats(function, 8, window=0.3).recorded[-1]
    with pytest.raises(InputError, match="one gate or more"):
        gate_beats(function, 0)


def test_short_beats_move_systole_less_than_diastole() -> None:
    # At a length of 0.81 systole lasts 0.9 of its time: end systole of the mean beat lies 0.36 after the R wave.
    patient = _patient(6, 0.19)
    function = replace(patient.function, systole=0.36)
    beats = gate_beats(function, 32, window=0.19)
    seen = beats.weights @ beats.times
    assert seen[11] == pytest.approx(0.36, abs=0.02)
    assert (beats.times[beats.weights[11] > 0].min(), beats.times[beats.weights[11] > 0].max()) < (0.34, 0.46)


def test_voxelised_gates_hold_the_averaged_volumes() -> None:
    patient = _patient(7, 0.05)
    beats = gate_beats(patient.function, 8)
    grid = Grid.centred((44, 46, 48), 4.0, tuple(patient.frame.centre_mm))
    boxes = heart_boxes(patient, grid, state="rest", times=beats.times, weights=beats.weights, supersample=2)
    measured = np.array([box.cavity.sum() * grid.voxel_ml for box in boxes])
    np.testing.assert_allclose(measured, volume_curve(patient, "rest", 8), rtol=0.02)


def test_views_of_the_last_gate_lack_the_counts_of_short_beats() -> None:
    patient = _patient(8, 0.08)
    protocol = Protocol(views=4, pixels=16, pixel_mm=12.0, gates=4, oversampling=1.5)
    views, record = expected_views(patient, "rest", protocol, np.random.default_rng(0))
    counts = views.array.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(counts / counts.sum(), np.array(record["gate_time_percent"]) / 100.0, atol=0.01)
    assert counts[-1] < 0.95 * counts[0]
