"""Energy windows beside the photopeak's, written and read with the views."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal

from myoperf.io import read_studies
from myoperf.io.nm.writer import write_projections
from myoperf.io.simulated_header import SimulatedHeader
from myoperf.types import Projections, ScatterWindow

HEADER = SimulatedHeader(patient_id="SIM-1", state="stress")
LOW, HIGH = (119.0, 126.0), (154.0, 161.0)


def views(gates=1):
    rng = np.random.default_rng(4)
    counts = rng.poisson(40.0, (gates, 12, 9, 10)).astype(np.float32)
    low, high = (rng.poisson(mean, (12, 9, 10)).astype(np.float32) for mean in (9.0, 3.0))
    return Projections(
        counts,
        200.0 - 15.0 * np.arange(12),
        (6.0, 6.0),
        np.full(12, 210.0),
        window_kev=(126.0, 154.0),
        scatter_windows=(
            ScatterWindow(counts=low, limits_kev=LOW),
            ScatterWindow(counts=high, limits_kev=HIGH),
        ),
    )


@pytest.mark.parametrize("gates", [1, 3])
@pytest.mark.parametrize("detectors", [1, 2])
def test_windows_come_back_with_their_limits_summed_over_gates(tmp_path, gates, detectors):
    given = views(gates)
    path = write_projections(
        tmp_path / "a.dcm", given, HEADER, frame_duration_ms=100.0 if gates > 1 else None, detectors=detectors
    )
    read = read_studies(path).studies[0].scans[0].image
    assert_array_equal(read.array, given.array)
    assert read.window_kev == (126.0, 154.0)
    assert [window.limits_kev for window in read.scatter_windows] == [LOW, HIGH]
    for got, expected in zip(read.scatter_windows, given.scatter_windows, strict=True):
        assert_array_equal(got.counts, expected.counts)


def test_a_window_far_from_the_photopeak_is_of_another_radionuclide(tmp_path):
    given = views()
    far = replace(given.scatter_windows[0], limits_kev=(63.0, 77.0))
    path = write_projections(tmp_path / "a.dcm", replace(given, scatter_windows=(far,)), HEADER)
    assert read_studies(path).studies[0].scans[0].image.scatter_windows == ()


def test_a_window_that_lacks_a_view_is_left_out_and_the_study_read(tmp_path):
    path = write_projections(tmp_path / "a.dcm", views(), HEADER)
    dataset = pydicom.dcmread(path)
    frames = dataset.pixel_array
    keep = np.ones(len(frames), dtype=bool)
    keep[-1] = False
    for name in ("EnergyWindowVector", "DetectorVector", "RotationVector", "AngularViewVector"):
        setattr(dataset, name, np.array(getattr(dataset, name))[keep].tolist())
    dataset.PixelData, dataset.NumberOfFrames = frames[keep].tobytes(), int(keep.sum())
    dataset.save_as(path)
    read = read_studies(path).studies[0].scans[0].image
    assert [window.limits_kev for window in read.scatter_windows] == [LOW]
