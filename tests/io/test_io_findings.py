"""What reading says of a file that it can use only with a reservation."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from myoperf.dicom import quiet_pydicom
from myoperf.io import read_studies, write_nifti
from myoperf.io.beats import check_beats
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


@pytest.mark.parametrize(("stated", "said"), [(7, False), (1, False), (9, True)])
def test_fewer_slices_than_the_file_states_are_said(save, stated, said):
    dataset = recon_nm(counts_of(1, 7, 8, 9))
    dataset.NumberOfSlices = stated
    assert ("slices-missing" in codes(save(dataset))) is said
    slices = pet_slices(counts_of(1, 7, 8, 9))
    for one in slices:
        one.NumberOfSlices = stated
    assert ("slices-missing" in codes(*[save(one, f"{n}.dcm") for n, one in enumerate(slices)])) is said


def test_gates_without_a_length(save):
    assert "gate-duration-missing" in codes(save(recon_nm(counts_of(8, 7, 8, 9))))


def gated_nm(**values):
    """A gated NM file whose gated information states these values, one item a R-R window where they are lists."""
    dataset = recon_nm(counts_of(8, 7, 8, 9))
    windows = max((len(v) for v in values.values() if isinstance(v, list)), default=1)
    gated = Dataset()
    gated.DataInformationSequence = [Dataset() for _ in range(windows)]
    for number, data in enumerate(gated.DataInformationSequence):
        for keyword, value in values.items():
            setattr(data, keyword, value[number] if isinstance(value, list) else value)
    dataset.GatedInformationSequence = [gated]
    return dataset


def severities(header):
    return {finding.code: finding.severity for finding in check_beats(header)}


@pytest.mark.parametrize(("rejected", "severity"), [(3, None), (8, "info"), (24, "info"), (26, "warning")])
def test_rejected_beats_are_said_with_their_number(save, rejected, severity):
    dataset = gated_nm(IntervalsAcquired=100, IntervalsRejected=rejected)
    (scan,) = read_studies([save(dataset)]).studies[0].scans
    found = {f.code: f for f in scan.findings}
    assert severity == (found["beats-rejected"].severity if "beats-rejected" in found else None)
    if severity:
        assert f"rejected {rejected} of {100 + rejected} beats" in found["beats-rejected"].message


def test_rejected_beats_of_several_windows_are_added():
    assert severities(gated_nm(IntervalsAcquired=[80, 20], IntervalsRejected=[0, 30])) == {"beats-rejected": "warning"}
    assert severities(gated_nm(LowRRValue=[300, 900], HighRRValue=[900, 1500])) == {}, "windows sort the beats"


def test_beats_of_very_different_lengths_in_one_window():
    wide = gated_nm(LowRRValue=500, HighRRValue=1100, NominalInterval=800)
    assert severities(wide) == {"rr-window-wide": "info"}
    assert "500 to 1100 ms" in check_beats(wide)[0].message
    assert severities(gated_nm(LowRRValue=640, HighRRValue=960, NominalInterval=800)) == {}
    assert severities(gated_nm(LowRRValue=1100, HighRRValue=500)) == {}, "limits that make no sense say nothing"


def test_rejected_beats_of_pet(save, tmp_path):
    for number, dataset in enumerate(pet_slices(counts_of(8, 7, 8, 9), kind="GATED")):
        dataset.IntervalsAcquired, dataset.IntervalsRejected = 300, 100
        save(dataset, f"{number}.dcm", tmp_path / "pet")
    assert "beats-rejected" in codes(tmp_path / "pet")


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
