"""PET slices written for simulated patients: read back, valid, always the same bytes."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import GeometryError, InputError
from myoperf.io import read_studies
from myoperf.io.pet.writer import write_pet
from myoperf.io.simulated_header import SimulatedHeader
from myoperf.types import Volume
from support.dicom import dciodvfy_errors

HEADER = SimulatedHeader(
    patient_id="SIM-1",
    state="stress",
    sex="F",
    age_years=61.0,
    series_description="Simulated stress PET",
    tracer="N-13 ammonia",
)
DOWN = np.array([[0, 0, 3.0, -10], [0, 3.5, 0, -20], [-4.0, 0, 0, 60], [0, 0, 0, 1]])


def volume(frames):
    return Volume(np.random.default_rng(frames).random((frames, 12, 16, 14)).astype(np.float32), DOWN)


@pytest.mark.parametrize(("frames", "framing"), [(1, "static"), (3, "gated")])
def test_a_volume_comes_back_where_it_was(tmp_path, frames, framing):
    written = volume(frames)
    write_pet(tmp_path / "pet", written, replace(HEADER, tracer="Rb-82 rubidium chloride"), frame_duration_ms=100.0)
    (scan,) = read_studies([tmp_path / "pet"]).studies[0].scans
    assert (scan.state, scan.modality, scan.framing, scan.tracer) == (
        "stress",
        "PT",
        framing,
        "Rb-82 rubidium chloride",
    )
    order = 1 if scan.image.lps_from_index[2, 0] < 0 else -1
    np.testing.assert_allclose(scan.image.array[:, ::order], written.array, atol=1.0 / 32767)
    corner = scan.image.lps_from_index @ np.array([0 if order > 0 else 11, 0, 0, 1.0])
    np.testing.assert_allclose(corner[:3], DOWN[:3, 3], atol=1e-6)
    np.testing.assert_allclose(scan.image.spacing_mm, (4.0, 3.5, 3.0), atol=1e-6)


def test_same_volume_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_pet(tmp_path / name, volume(1), HEADER)
    files = [sorted((tmp_path / name).iterdir()) for name in ("a", "b")]
    assert len(files[0]) == 12
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]


@pytest.mark.parametrize("frames", [1, 2])
def test_slices_pass_dciodvfy(tmp_path, frames):
    folder = write_pet(tmp_path / "pet", volume(frames), HEADER, frame_duration_ms=100.0)
    assert dciodvfy_errors(folder / "0003.dcm", "PETImage") == []


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match="N-13, Rb-82"):
        write_pet(tmp_path / "x", volume(1), replace(HEADER, tracer="Tc-99m sestamibi"))
    with pytest.raises(InputError, match="length of one gate"):
        write_pet(tmp_path / "x", volume(2), HEADER)
    with pytest.raises(InputError, match="from 0 up"):
        write_pet(tmp_path / "x", Volume(-np.ones((1, 3, 4, 5), np.float32), DOWN), HEADER)
    skew = DOWN.copy()
    skew[0, 1] = 2.0
    with pytest.raises(GeometryError, match="right angles"):
        write_pet(tmp_path / "y", Volume(volume(1).array, skew), HEADER)
