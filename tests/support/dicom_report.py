"""Reports made by hand for the tests of the DICOM results: a shell and its cavity on any grid."""

import io
from dataclasses import replace

import numpy as np
import pydicom

from myoperf.dicom import save_dataset
from myoperf.io.header import encode_header
from myoperf.report.dicom import Stamp
from myoperf.report.dicom.pdf import build_pdf_object
from myoperf.report.dicom.seg import build_seg
from myoperf.report.dicom.source import read_headers
from myoperf.report.dicom.sr import build_sr
from myoperf.types import (
    Diagnosis,
    Finding,
    FunctionResult,
    LVFrame,
    PhaseHistogram,
    PolarMap,
    Projections,
    Provenance,
    Report,
    Scan,
    ScanResult,
    Scores,
    Study,
    Synchrony,
    TerritoryScores,
    Volume,
    WallFunction,
)
from support.dicom import nm_affine, oblique_affine
from support.real import real_folder

PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


def labels_on(shape, seed=0):
    """Give an unsymmetric shell (1) around a cavity (2) with a few loose voxels, so that any flip shows."""
    index = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    distance = np.sqrt((((index.T - (0.2, -0.1, 0.15)) / (0.7, 0.6, 0.5)) ** 2).sum(-1)).T
    labels = np.where(distance < 0.6, 2, np.where(distance < 1.0, 1, 0)).astype(np.uint8)
    generator = np.random.default_rng(seed)
    labels.ravel()[generator.choice(labels.size, 12, replace=False)] = generator.integers(0, 3, 12)
    return labels


def make_result(name, scan, *, volume=None, function=None, findings=()):
    volume = volume or scan.image
    labels = labels_on(volume.grid_shape)
    generator = np.random.default_rng(len(name))
    polar = PolarMap(generator.random((12, 24)) + 1, generator.random((12, 24, 3)), np.full((12, 24), 10.0))
    return ScanResult(
        name=name,
        scan=scan,
        volume=volume.summed(),
        frame=LVFrame((0, 0, 0), (80, 0, 0), (0, 0, 1)),
        labels=Volume(labels, volume.lps_from_index),
        short_axis=volume.summed(),
        polar=polar,
        polar_mean=polar,
        segments_percent=50 + 50 * generator.random(17),
        myocardium_ml=131.25,
        cavity_ml=70.5,
        function=function,
        findings=findings,
    )


def make_report(results, *, study=None, scores=None, diagnosis=None, findings=()):
    study = study or Study(tuple(r.scan for r in results), patient_id="SIM-1", sex="F", age_years=61.0)
    return Report(study, tuple(results), scores or Scores(), diagnosis, tuple(findings), Provenance("test"))


def full_scores():
    return Scores(
        sss=14,
        srs=3,
        sds=11,
        tpd_stress_percent=18.25,
        tpd_rest_percent=4.5,
        tpd_ischemic_percent=13.75,
        tid_ratio=1.23,
        territories={
            "LAD": TerritoryScores(10, 2, 8, 12.0, 3.0),
            "LCX": TerritoryScores(0, 0, 0, 0.5, 0.25),
            "RCA": TerritoryScores(4, 1, 3, 5.75, 1.25),
        },
        stress_scores=(0, 4, 3) + (1,) * 7 + (0,) * 7,
        rest_scores=(0, 1, 2) + (0,) * 14,
    )


def full_diagnosis(**changes):
    values = {
        "model": "test-net 1",
        "per_vessel": {"LAD": 0.83, "LCX": 0.12, "RCA": 0.44},
        "per_patient": 0.87,
        "interval": (0.71, 0.95),
    }
    return Diagnosis(**{**values, **changes})


def make_synchrony(**numbers):
    """A phase map that is uneven by hand, with the numbers given."""
    turn = np.radians(np.arange(72) * 5.0 - 190.0)
    phase = 131.0 + 14.0 * np.random.default_rng(3).standard_normal((24, 72)) + 25.0 * np.cos(turn)
    given = {
        "phase_mean_deg": 131.0,
        "phase_sd_deg": 21.4,
        "phase_bandwidth_deg": 78.0,
        "phase_entropy_percent": 47.6,
        "phase_sd_uncorrected_deg": 27.3,
        "phase_noise_deg": 6.2,
        "phase_reliable": True,
        "phase_disagreement": 0.9,
        "phase_agrees": True,
        "phase_skewness": -0.3,
        "phase_kurtosis": 0.4,
    }
    return Synchrony(
        **(given | numbers),
        phase_histogram=PhaseHistogram((0.0, 180.0, 360.0), (1500.0, 228.0)),
        phase_segments_deg=np.linspace(-20.0, 20.0, 17),
        phase_map_deg=phase,
        amplitude_map_percent=np.full((24, 72), 20.0),
    )


def make_wall(**numbers):
    given = {
        "ed_gate": 1,
        "es_gate": 5,
        "mass_g": 142.4,
        "wall_ed_mm": 8.7,
        "wall_es_mm": 12.4,
        "wall_sd_mm": 1.2,
        "resolution_sd_mm": 1.1,
        "resolution_fwhm_mm": 14.2,
        "fit_residual_mm": 1.3,
        "shape_index_ed": 0.6449,
        "shape_index_es": 0.512,
        "eccentricity_ed": 0.841,
        "eccentricity_es": 0.884,
        "motion_mm": np.linspace(2.0, 9.0, 17),
        "thickening_percent": 20.0 + 4.0 * np.arange(17),
    }
    return WallFunction(**(given | numbers))


def function():
    phase = make_synchrony(phase_sd_deg=14.5, phase_bandwidth_deg=42.0, phase_entropy_percent=37.5)
    return FunctionResult(120.5, 48.25, 59.96, synchrony=phase)


def nifti_report():
    """Give stress and rest without any DICOM header."""
    results = [
        make_result(
            state,
            Scan(Volume(np.ones((7, 8, 9), np.float32), oblique_affine(mirrored=state == "rest")), state=state),
            function=function() if state == "stress" else None,
            findings=(Finding("heart-truncated", "warning", "The base leaves the field of view."),),
        )
        for state in ("stress", "rest")
    ]
    return make_report(results, scores=full_scores(), diagnosis=full_diagnosis())


def physionet_result(name="P17_ReconStress_gate.dcm", *, state="stress"):
    dataset = pydicom.dcmread(real_folder() / "physionet_mps/dicom" / name)
    scan = Scan(
        Volume(dataset.pixel_array.astype(np.float32), nm_affine(dataset)),
        state=state,
        source=(name,),
        source_headers=(encode_header(dataset, "source"),),
    )
    return make_result(state, scan)


def ge_result():
    dataset = pydicom.dcmread(real_folder() / "ge_projections/stress_tomo.dcm")
    angles = 225.44 - 6.0 * np.arange(30)
    scan = Scan(
        Projections(dataset.pixel_array.astype(np.float32), angles % 360, (6.799385, 6.799385)),
        state="stress",
        source=("stress_tomo.dcm",),
        source_headers=(encode_header(dataset, "source"),),
    )
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, 6.8], [0, 6.8, 0], [-6.8, 0, 0]])
    affine[:3, 3] = (-214.2, -214.2, 214.2)
    return make_result("stress", scan, volume=Volume(np.ones((64, 64, 64), np.float32), affine))


def gated_nm_result(frames=3, shape=(7, 8, 9)):
    """Give a gated NM reconstruction with negative slice spacing, as its headers tell it."""
    dataset = _header("1.2.840.10008.5.1.4.1.1.20", "NM", "gated")
    planes = shape[0]
    detector = pydicom.Dataset()
    detector.ImagePositionPatient = [-70.5, -180.25, 573.0]
    detector.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.DetectorInformationSequence = [detector]
    dataset.SpacingBetweenSlices, dataset.PixelSpacing = "-4.5", ["3", "3.5"]
    dataset.NumberOfFrames = planes * frames
    dataset.SliceVector = [int(i) for i in np.tile(np.arange(1, planes + 1), frames)]
    dataset.TimeSlotVector = [int(i) for i in np.repeat(np.arange(1, frames + 1), planes)]
    volume = Volume(np.ones((frames, *shape), np.float32), nm_affine(dataset))
    scan = Scan(volume, state="rest", framing="gated", source_headers=(encode_header(dataset, "source"),))
    return make_result("rest", scan, function=function())


def pet_result(shape=(7, 8, 9)):
    """Give a PET scan of single slices whose headers come out of order, and each plane's instance UID."""
    volume = Volume(np.ones(shape, np.float32), oblique_affine())
    uids, headers = {}, []
    for plane in np.random.default_rng(2).permutation(shape[0]):
        dataset = _header("1.2.840.10008.5.1.4.1.1.128", "PT", f"pet {plane}", series="pet")
        origin = volume.lps_from_index @ (plane, 0, 0, 1)
        dataset.ImagePositionPatient = [f"{v:.6f}" for v in origin[:3]]
        uids[int(plane)] = dataset.SOPInstanceUID
        headers.append(encode_header(dataset, "source"))
    scan = Scan(volume, state="stress", modality="PT", source_headers=tuple(headers))
    return make_result("stress", scan), uids


def two_day_report():
    """Give stress and rest as two studies of one patient on two days, and a prone scan with scores of its own."""
    rest = gated_nm_result()
    other = pydicom.dcmread(io.BytesIO(rest.scan.source_headers[0]))
    other.StudyInstanceUID, other.StudyDate, other.StudyID = pydicom.uid.generate_uid(), "20260109", "S2"
    other.SOPInstanceUID, other.SeriesInstanceUID = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
    scan = replace(rest.scan, state="stress", source_headers=(encode_header(other, "source"),))
    stress, prone = (make_result(name, scan, function=function()) for name in ("stress", "stress-prone"))
    report = make_report([stress, rest, prone], scores=full_scores(), diagnosis=full_diagnosis())
    own = replace(full_scores(), srs=None, sds=None, rest_scores=None, combined_tpd_percent=3.2)
    return replace(report, scan_scores={"stress-prone": own})


def _header(sop_class, modality, instance, *, series="series"):
    dataset = pydicom.Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.Modality = sop_class, modality
    dataset.SOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[instance])
    dataset.SeriesInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[series])
    dataset.StudyInstanceUID = pydicom.uid.generate_uid(entropy_srcs=["study"])
    dataset.FrameOfReferenceUID = pydicom.uid.generate_uid(entropy_srcs=["frame"])
    dataset.PatientID, dataset.PatientName = "SIM-7", "Müßter^Jörg"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19600102", "M", "065Y"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260102", "101500", "S1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "A-1", "Ärztin^Eva"
    return dataset


def write_seg(result, path, *, study, stamp=None):
    return save_dataset(build_seg(result, read_headers(result.scan), study=study, stamp=stamp or Stamp()), path)


def write_sr(report, path):
    headers = [read_headers(result.scan) for result in report.results]
    return save_dataset(build_sr(report, headers, stamp=Stamp()), path)


def write_pdf_object(report, pdf, path):
    headers = tuple(header for result in report.results for header in read_headers(result.scan))
    return save_dataset(build_pdf_object(report.study, pdf, headers, stamp=Stamp()), path)
