"""What reading says of a file that it can use only with a reservation."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from myoperf.dicom import quiet_pydicom
from myoperf.io import read_studies, write_nifti
from myoperf.io.header import study_of
from myoperf.types import Scan, Volume
from support.dicom import counts_of, pet_slices, recon_nm


def codes(*paths):
    (scan,) = read_studies(list(paths)).studies[0].scans
    return {f.code for f in scan.findings}


@pytest.mark.parametrize(("name", "said"), [("stress.nii.gz", True), ("stress_gated.nii.gz", False)])
def test_frames_of_a_nifti_that_nothing_explains(tmp_path, name, said):
    volume = Volume(counts_of(8, 7, 8, 9).astype(np.float32), np.diag([6.0, 6.0, 6.0, 1.0]))
    write_nifti(tmp_path / name, volume)
    assert ("framing-assumed" in codes(tmp_path / name)) is said


def test_gates_without_a_length(save):
    assert "gate-duration-missing" in codes(save(recon_nm(counts_of(8, 7, 8, 9))))


def test_a_gated_file_of_one_frame(save):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "RECON GATED TOMO", "EMISSION"]
    assert "gated-single" in codes(save(dataset))


def test_oblique_planes_that_nothing_names(save):
    dataset = recon_nm(counts_of(1, 11, 8, 9), spacing=4.0)
    dataset.DetectorInformationSequence[0].ImageOrientationPatient = [0.6, 0.64, 0.48, 0.0, 0.6, -0.8]
    assert "oblique-planes" in codes(save(dataset))


@pytest.mark.parametrize(("corrected", "said"), [(["DECY"], True), (["ATTN", "DECY"], False)])
def test_pet_that_is_not_said_to_be_corrected(save, tmp_path, corrected, said):
    for number, dataset in enumerate(pet_slices(counts_of(1, 7, 8, 9))):
        dataset.CorrectedImage = corrected
        save(dataset, f"{number}.dcm", tmp_path / "pet")
    assert ("pet-uncorrected" in codes(tmp_path / "pet")) is said


@pytest.mark.parametrize(
    ("keyword", "value", "severity", "name"),
    [("PatientSex", "W", "info", "Patient's Sex"), ("StudyInstanceUID", "1.2.x", "warning", "Study Instance UID")],
)
def test_values_that_break_dicom_become_a_finding_without_the_value(keyword, value, severity, name):
    header = Dataset()
    with quiet_pydicom():
        setattr(header, keyword, value)
        study = study_of(header, (Scan(Volume(np.ones((2, 2, 2)), np.eye(4))),))
    (finding,) = study.findings
    assert (finding.code, finding.severity) == ("dicom-values", severity)
    assert finding.message.endswith(f": {name}.")
    assert value not in finding.message
