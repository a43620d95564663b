"""Cohorts of the fast model (CZT, PET, fast SPECT), NIfTI, arrays and attenuation maps."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.geometry import index_from_lps, transform_points
from myoperf.io import read_nifti, read_studies
from myoperf.phantom import cohort_scans
from myoperf.phantom.acquire import Protocol, expected_views
from myoperf.phantom.cohort import CohortOptions, simulate_cohort
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions

SMALL = Protocol(views=12, pixels=32, pixel_mm=12.0, gates=2, oversampling=1.7)
PET = PopulationOptions(tracer="N-13")
THALLIUM = PopulationOptions(tracer="Tl-201")


@pytest.fixture(autouse=True)
def small_fields(monkeypatch):
    fields = {"spect": (12.0, (36, 36, 36)), "czt": (4.0, (60, 64, 64)), "pet": (8.0, (26, 48, 48))}
    monkeypatch.setattr(cohort_scans, "_FIELDS", fields)


def made(tmp_path, **options):
    simulate_cohort(1, tmp_path / "c", seed=4, options=CohortOptions(**options))
    return tmp_path / "c" / "patient-0001"


def assert_heart_is_hot(image, labels):
    assert labels.grid_shape == image.grid_shape
    np.testing.assert_allclose(labels.lps_from_index, image.lps_from_index, atol=0.01)
    inside = image.array.sum(axis=0)
    assert inside[labels.array[0] == 1].mean() > 2.0 * inside.mean()


@pytest.mark.parametrize(
    ("options", "modality", "tracer"),
    [
        ({"modality": "pet", "population": PET}, "PT", "N-13 ammonia"),
        ({"modality": "pet", "population": PopulationOptions(tracer="Rb-82")}, "PT", "Rb-82 rubidium chloride"),
        ({"modality": "czt"}, "NM", "Tc-99m sestamibi"),
        ({"fast": True}, "NM", "Tc-99m sestamibi"),
    ],
)
def test_reconstructed_dicom_reads_back_with_its_truth(tmp_path, options, modality, tracer):
    patient = made(tmp_path, protocol=Protocol(gates=2), **options)
    (study,) = read_studies([patient / "dicom"]).studies
    assert {scan.state for scan in study.scans} == {"stress", "rest"}
    known = json.loads((patient / "truth.json").read_text())
    for scan in study.scans:
        assert (scan.modality, scan.framing, scan.tracer) == (modality, "gated", tracer)
        image, labels = scan.image, read_nifti(patient / f"truth_{scan.state}_labels.nii.gz")
        if image.lps_from_index[2, 0] * labels.lps_from_index[2, 0] > 0:
            assert_heart_is_hot(image, labels)
        middle = 0.5 * (np.array(known["lv_frame"]["apex_mm"]) + known["lv_frame"]["base_mm"])
        place = transform_points(index_from_lps(labels.lps_from_index), middle)
        found = np.argwhere(labels.array[0] > 0).mean(axis=0)
        assert np.linalg.norm((found - place) * labels.spacing_mm) < 25.0
        assert len(known[scan.state]["gate_volumes_ml"]) == 2
        assert known["acquisition"][scan.state]["method"] == "image-space model"


def test_nifti_of_reconstructed_views_pairs_stress_and_rest(tmp_path):
    patient = made(tmp_path, as_="nifti", protocol=SMALL)
    (study,) = read_studies([patient / "nifti"]).studies
    assert {scan.state for scan in study.scans} == {"stress", "rest"}
    for scan in study.scans:
        assert scan.image.frames == 2
        assert_heart_is_hot(scan.image, read_nifti(patient / f"truth_{scan.state}_labels.nii.gz"))


def test_reconstructed_dicom_cohorts_hold_the_volumes_as_nifti_too(tmp_path):
    patient = made(tmp_path, reconstructed=True, protocol=SMALL)
    volume = read_nifti(patient / "rest_volume.nii.gz")
    (nm,) = read_studies([patient / "dicom" / "rest_recon.dcm"]).studies[0].scans
    np.testing.assert_allclose(nm.image.array, volume.array, atol=2e-4 * volume.array.max())


@pytest.mark.parametrize("options", [{"protocol": SMALL}, {"modality": "czt", "protocol": Protocol(gates=1)}])
def test_arrays_hold_what_training_needs(tmp_path, options):
    patient = made(tmp_path, as_="arrays", **options)
    known = json.loads((patient / "truth.json").read_text())
    with np.load(patient / "arrays.npz") as arrays:
        np.testing.assert_allclose(arrays["apex_mm"], known["lv_frame"]["apex_mm"], atol=1e-3)
        assert arrays["ica"].tolist() == [known["ica"][v] for v in ("LAD", "LCX", "RCA")]
        for state in ("stress", "rest"):
            volume, quiet = (arrays[f"{state}_{what}"].astype(float) for what in ("volume", "noiseless"))
            labels = arrays[f"{state}_labels"]
            assert volume.shape == quiet.shape == labels.shape
            assert 0.9 < np.corrcoef(volume.ravel(), quiet.ravel())[0, 1] < 0.99999
            assert quiet.sum() == pytest.approx(volume.sum(), rel=0.02)
            np.testing.assert_allclose(arrays[f"{state}_segments_percent"], known[state]["segments_percent"], atol=0.01)
            assert arrays[f"{state}_polar"].shape == (40, 72)
    assert (patient / "arrays.npz").stat().st_size < 4e6


def test_an_attenuation_map_can_lie_beside_the_heart(tmp_path):
    patient = made(tmp_path, attenuation_map=True, misregistration_mm=8.0, protocol=SMALL)
    record = json.loads((patient / "truth.json").read_text())["acquisition"]["stress"]
    offset = np.array(record["map_offset_mm"])
    assert np.linalg.norm(offset) > 1.0
    mu, labels = (read_nifti(patient / f"{name}.nii.gz") for name in ("stress_attenuation", "truth_stress_labels"))
    assert 0.13 < np.percentile(mu.array[mu.array > 0.05], 60) < 0.17
    ends = [v.lps_from_index @ np.append(0.5 * (np.array(v.grid_shape) - 1), 1.0) for v in (mu, labels)]
    np.testing.assert_allclose((ends[0] - ends[1])[:3], offset, atol=0.02)


def test_a_map_does_not_change_the_views(tmp_path):
    plain = made(tmp_path / "a", protocol=SMALL)
    mapped = made(tmp_path / "b", protocol=SMALL, attenuation_map=True)
    for name in ("stress_tomo.dcm", "rest_tomo.dcm"):
        first, second = (hashlib.sha256((p / "dicom" / name).read_bytes()).digest() for p in (plain, mapped))
        assert first == second


def test_prone_patients_are_read_as_prone_and_imaged_otherwise(tmp_path):
    views = {}
    for position in ("supine", "prone"):
        patient = made(tmp_path / position, protocol=replace(SMALL, position=position, motion_probability=0.0))
        (study,) = read_studies([patient / "dicom"]).studies
        assert {scan.position for scan in study.scans} == {position}
        views[position] = study.scans[0].image.array.astype(float)
    assert np.abs(views["prone"] - views["supine"]).sum() > 0.05 * views["supine"].sum()
    (visit,) = read_studies([tmp_path]).studies
    assert len({(scan.state, scan.position) for scan in visit.scans}) == len(visit.scans) == 4
    assert "instance-uid-repeated" not in {finding.code for of in (visit, *visit.scans) for finding in of.findings}


def test_lower_dose_is_noisier(tmp_path):
    rough = {}
    for dose in ("full", "quarter"):
        patient = made(tmp_path / dose, as_="arrays", fast=True, protocol=Protocol(gates=1, dose=dose))
        with np.load(patient / "arrays.npz") as a:
            rough[dose] = float(np.std(a["rest_volume"].astype(float) - a["rest_noiseless"].astype(float)))
    assert rough["quarter"] == pytest.approx(2.0 * rough["full"], rel=0.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modality": "pet"}, "cannot be simulated with Tc-99m"),
        ({"population": PET}, "cannot be simulated with N-13"),
        ({"population": THALLIUM, "fast": True}, "Tl-201 is simulated as raw SPECT views"),
        ({"population": THALLIUM, "protocol": Protocol(scatter_windows=True)}, "without scatter windows"),
        ({"fast": True, "protocol": Protocol(position="prone")}, "Prone patients are simulated as raw SPECT views"),
        ({"ct": True, "protocol": Protocol(position="prone")}, "Prone patients are simulated as raw SPECT views"),
        ({"modality": "mri"}, "spect, czt, pet"),
        ({"fast": True, "attenuation_map": True}, "raw SPECT views"),
        ({"misregistration_mm": 3.0}, "needs the attenuation map"),
    ],
)
def test_impossible_cohorts_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        CohortOptions(**options)


def test_photons_of_thallium_are_attenuated_and_scattered_more_than_those_of_technetium():
    coarse = Protocol(views=4, pixels=32, pixel_mm=12.0, gates=1, motion_probability=0.0)
    technetium = draw_patient(np.random.default_rng(3), PopulationOptions(normal=True))
    found = {
        tracer: expected_views(replace(technetium, tracer=tracer), "stress", coarse, np.random.default_rng(4))
        for tracer in ("Tc-99m", "Tl-201")
    }
    (bright, first), (dim, second) = found["Tc-99m"], found["Tl-201"]
    passed = float(dim.array.sum() / bright.array.sum())
    assert 0.6 < passed < 0.9  # broad beam of 0.128 against 0.115 a cm, through 10 to 20 cm
    assert second["scatter_to_primary"] > 1.2 * first["scatter_to_primary"]
