"""What `nm_writer` writes, `read_studies` reads back: two programs' worth of one convention."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from myoperf.geometry import affine_from_axes
from myoperf.io import read_studies
from myoperf.io.nm.writer import write_projections, write_volume
from myoperf.io.simulated_header import SimulatedHeader
from myoperf.types import Projections, Volume
from support.dicom import counts_of


@pytest.mark.parametrize("gates", [1, 8])
@pytest.mark.parametrize("detectors", [1, 2])
@pytest.mark.parametrize("sign", [-1, 1])
def test_projections(tmp_path, gates, detectors, sign):
    first = 225.0 if sign < 0 else 45.0
    raw = Projections(
        counts_of(gates, 10, 7, 8),
        (first + sign * 18.0 * np.arange(10)) % 360.0,
        (6.5, 6.0),
        np.linspace(200.0, 260.0, 10),
        (0.0, 0.0, -35.0),
    )
    path = write_projections(
        tmp_path / "a.dcm",
        raw,
        SimulatedHeader("P1", state="rest", age_years=61.0),
        detectors=detectors,
        frame_duration_ms=100.0 if gates > 1 else None,
    )
    study = read_studies([path]).studies[0]
    scan = study.scans[0]
    back = scan.image
    assert isinstance(back, Projections)
    np.testing.assert_array_equal(back.array, raw.array)
    np.testing.assert_allclose(back.angles_deg, raw.angles_deg, atol=1e-4)
    np.testing.assert_allclose(back.radius_mm, raw.radius_mm, atol=1e-3)
    np.testing.assert_allclose(back.axis_lps_mm, raw.axis_lps_mm, atol=1e-3)
    assert back.pixel_mm == raw.pixel_mm
    assert (scan.state, scan.tracer, study.age_years) == ("rest", "Tc-99m sestamibi", 61.0)
    assert scan.findings == ()


@pytest.mark.parametrize("gates", [1, 4])
@pytest.mark.parametrize("upwards", [False, True])
def test_transaxial_volume(tmp_path, gates, upwards):
    axes = np.array([[0, 0, 1.0 if upwards else -1.0], [0, 1, 0], [1, 0, 0]])
    volume = Volume(counts_of(gates, 7, 8, 9).astype(float), affine_from_axes([-50, -190, 600], axes, [6, 6.5, 6]))
    path = write_volume(
        tmp_path / "v.dcm", volume, SimulatedHeader("P1", state="stress"), frame_duration_ms=90.0 if gates > 1 else None
    )
    scan = read_studies([path]).studies[0].scans[0]
    assert isinstance(scan.image, Volume)
    np.testing.assert_allclose(scan.image.array, volume.array, rtol=1e-3)
    np.testing.assert_allclose(scan.image.lps_from_index, volume.lps_from_index, atol=1e-3)
    assert scan.orientation == "transaxial"


def test_short_axis_volume(tmp_path):
    axes = Rotation.from_euler("zx", [40, 60], degrees=True).as_matrix()
    volume = Volume(counts_of(1, 7, 8, 9).astype(float), affine_from_axes([-50, -190, 600], axes, [6, 6.5, 6]))
    path = write_volume(tmp_path / "v.dcm", volume, SimulatedHeader("P1", state="stress"), orientation="short_axis")
    scan = read_studies([path]).studies[0].scans[0]
    assert isinstance(scan.image, Volume)
    np.testing.assert_allclose(scan.image.lps_from_index, volume.lps_from_index, atol=1e-3)
    assert scan.orientation == "short_axis"
    assert "orientation-nominal" not in [finding.code for finding in scan.findings]
