"""The real studies beside the checkout: every voxel where the masks say, no mirror, no flip."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from myoperf.geometry import sample, transform_points
from myoperf.io import read_nifti, read_studies
from myoperf.types import Projections, Volume

pytestmark = pytest.mark.real


def rows(real: Path) -> list[dict[str, str]]:
    with (real / "physionet_mps/index.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_volume_lands_under_its_mask(real):
    seen = masked = 0
    for row in rows(real):
        scan = read_studies([real / "physionet_mps" / row["dicom"]]).studies[0].scans[0]
        volume = scan.image
        assert isinstance(volume, Volume)
        assert volume.array.shape == (1, 50, 70, 70)
        assert scan.state == ("stress" if "Stress" in row["image_id"] else "rest")
        assert scan.tracer == "Tc-99m"
        seen += 1
        if not row["mask"]:
            continue
        mask = read_nifti(real / "physionet_mps" / row["mask"])
        wall = mask.array[0] > 0
        around = ndimage.binary_dilation(np.pad(wall, 3), iterations=3)
        around &= ~ndimage.binary_dilation(np.pad(wall, 3), iterations=1)
        inside = sample(volume, transform_points(mask.lps_from_index, np.argwhere(wall)), order=0)
        outside = sample(volume, transform_points(mask.lps_from_index, np.argwhere(around) - 3), order=0)
        assert inside.mean() > 1.5 * outside.mean(), row["dicom"]
        if wall.shape == volume.grid_shape:
            np.testing.assert_allclose(mask.lps_from_index, volume.lps_from_index, atol=1e-3)
        masked += 1
    assert (seen, masked) == (61, 59)


def test_heat_outside_the_heart_lies_below_it_and_to_the_right(real):
    below = right = masked = 0
    for row in rows(real):
        if not row["mask"]:
            continue
        volume = read_studies([real / "physionet_mps" / row["dicom"]]).studies[0].scans[0].image
        mask = read_nifti(real / "physionet_mps" / row["mask"])
        heart = transform_points(mask.lps_from_index, np.argwhere(mask.array[0] > 0)).mean(axis=0)
        hot = np.argwhere(volume.array[0] > 0.5 * volume.array.max())
        away = transform_points(volume.lps_from_index, hot) - heart
        liver = away[np.linalg.norm(away, axis=1) > 70].mean(axis=0)
        below, right, masked = below + (liver[2] < 0), right + (liver[0] < 0), masked + 1
    assert min(below, right) > 0.9 * masked


def test_folder_of_all_patients_is_one_study_each(real):
    result = read_studies([real / "physionet_mps/dicom"])
    assert len(result.studies) == len({row["patient"] for row in rows(real)}) == 50
    states = [tuple(scan.state for scan in study.scans) for study in result.studies]
    assert sum(set(scans) == {"stress", "rest"} for scans in states) == 4
    assert len(result.skipped) + sum(map(len, states)) == 61


def test_the_raw_study_shows_the_heart_left_and_in_front(real):
    scan = read_studies([real / "ge_projections/stress_tomo.dcm"]).studies[0].scans[0]
    raw = scan.image
    assert isinstance(raw, Projections)
    assert (scan.state, scan.framing, scan.tracer) == ("stress", "static", "Tc-99m sestamibi")
    assert raw.array.shape == (1, 30, 64, 64)
    np.testing.assert_allclose(raw.angles_deg, 225.44 - 6.0 * np.arange(30))
    np.testing.assert_allclose(raw.radius_mm, 327.333)
    heart, body = hot_spot(raw)
    assert heart[0] - body[0] > 20  # to the left
    assert heart[1] - body[1] < -20  # in front
    assert abs(heart[2] - raw.axis_lps_mm[2]) < 60
    assert "detector-orientation" not in [finding.code for finding in scan.findings]


def hot_spot(raw: Projections) -> tuple[np.ndarray, np.ndarray]:
    """Back-project ramp-filtered views by the convention of `Projections`: centres of the hottest blob and the body."""
    _, _, rows_, columns = raw.array.shape
    across = (np.arange(columns) - (columns - 1) / 2) * raw.pixel_mm[1]
    x, y = np.meshgrid(across, across)
    ramp = np.fft.rfftfreq(2 * columns)
    ramp *= 0.5 * (1 + np.cos(np.pi * np.clip(ramp / 0.3, 0, 1)))
    filtered = np.fft.irfft(np.fft.rfft(raw.array[0], 2 * columns) * ramp)[..., :columns]
    volume = np.zeros((rows_, columns, columns))
    for view, angle in zip(filtered, np.deg2rad(raw.angles_deg), strict=True):
        at = (-np.cos(angle) * x + np.sin(angle) * y) / raw.pixel_mm[1] + (columns - 1) / 2
        at = np.clip(np.round(at).astype(int), 0, columns - 1)
        volume += view[:, at]
    inner = volume[rows_ // 4 : 3 * rows_ // 4]
    hot = ndimage.label(inner > 0.5 * inner.max())[0]
    heart = ndimage.center_of_mass(hot == np.bincount(hot.ravel())[1:].argmax() + 1)
    smooth = ndimage.gaussian_filter(inner, 3)
    body = ndimage.center_of_mass(smooth > 0.08 * smooth.max())
    centre = np.array([(rows_ - 1) / 2 - rows_ // 4, (columns - 1) / 2, (columns - 1) / 2])
    steps = np.array([-raw.pixel_mm[0], raw.pixel_mm[1], raw.pixel_mm[1]])
    place = [((np.array(c) - centre) * steps)[::-1] + raw.axis_lps_mm for c in (heart, body)]
    return place[0], place[1]
