"""Small DICOM datasets made in memory, their axes of unequal length so that none can be mistaken for another."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from myoperf.dicom import code_item

NM_STORAGE = "1.2.840.10008.5.1.4.1.1.20"
PET_STORAGE = "1.2.840.10008.5.1.4.1.1.128"
CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
PATIENT_NAME, PATIENT_ID = "Zacharias^Quentin", "ID-8812764"
STUDY_UID = "1.2.826.0.1.3680043.8.498.1"


def item(**values: Any) -> Dataset:
    """Return a dataset of these attributes."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def base(sop_class: str, modality: str, pixels: np.ndarray) -> Dataset:
    """Return a dataset with patient, study and pixels of shape (frames, rows, columns), uint16."""
    dataset = item(
        SOPClassUID=sop_class,
        SOPInstanceUID=generate_uid(),
        Modality=modality,
        PatientName=PATIENT_NAME,
        PatientID=PATIENT_ID,
        PatientSex="F",
        PatientAge="063Y",
        PatientSize=1.66,
        PatientWeight=71.5,
        StudyInstanceUID=STUDY_UID,
        SeriesInstanceUID=generate_uid(),
        StudyDate="20200102",
        Manufacturer="Maker",
        ManufacturerModelName="Camera",
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=pixels.shape[-2],
        Columns=pixels.shape[-1],
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        PixelRepresentation=0,
        PixelSpacing=[6.5, 6.0],
        PixelData=np.ascontiguousarray(pixels, dtype="<u2").tobytes(),
    )
    if modality == "NM":
        dataset.NumberOfFrames = pixels.shape[0]
    return dataset


def raw_nm(
    counts: np.ndarray,
    *,
    start: float = 225.0,
    step: float = 180.0 / 9,
    direction: str = "CW",
    shuffle: int | None = None,
    detector_starts: tuple[float, ...] = (),
) -> Dataset:
    """Return raw NM tomography from counts of shape (gates, detectors, views, rows, columns)."""
    gates, heads, views = counts.shape[:3]
    gate, head, view = (v.ravel() + 1 for v in np.indices((gates, heads, views)))
    order = np.arange(gate.size) if shuffle is None else np.random.default_rng(shuffle).permutation(gate.size)
    dataset = base(NM_STORAGE, "NM", counts.reshape(-1, *counts.shape[3:])[order])
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "GATED TOMO" if gates > 1 else "TOMO", "EMISSION"]
    dataset.DetectorVector = head[order].tolist()
    dataset.RotationVector = [1] * gate.size
    dataset.AngularViewVector = view[order].tolist()
    if gates > 1:
        dataset.RRIntervalVector = [1] * gate.size
        dataset.TimeSlotVector = gate[order].tolist()
        data = item(FrameTime=112.5)
        dataset.GatedInformationSequence = Sequence([item(DataInformationSequence=Sequence([data]))])
    detectors = [
        item(ImageOrientationPatient=[1, 0, 0, 0, 0, -1], ImagePositionPatient=[-20, -30, 100], CollimatorType="PARA")
        for _ in range(heads)
    ]
    for detector, value in zip(detectors, detector_starts, strict=False):
        detector.StartAngle = value
    dataset.DetectorInformationSequence = Sequence(detectors)
    rotation = item(
        RotationDirection=direction,
        RadialPosition=250.0,
        ScanArc=step * views,
        AngularStep=step,
        NumberOfFramesInRotation=views,
        StartAngle=start,
    )
    dataset.RotationInformationSequence = Sequence([rotation])
    tracer = item(
        Radiopharmaceutical="Sestamibi",
        RadionuclideCodeSequence=Sequence([code_item("C-163A8", "SRT", "^99m^Technetium")]),
    )
    dataset.RadiopharmaceuticalInformationSequence = Sequence([tracer])
    dataset.ImageID = "SGATE"
    return dataset


def recon_nm(values: np.ndarray, *, spacing: float = -6.0, shuffle: int | None = None) -> Dataset:
    """Return reconstructed NM tomography from values of shape (gates, slices, rows, columns)."""
    gates, slices = values.shape[:2]
    gate, plane = (v.ravel() + 1 for v in np.indices((gates, slices)))
    order = np.arange(gate.size) if shuffle is None else np.random.default_rng(shuffle).permutation(gate.size)
    dataset = base(NM_STORAGE, "NM", values.reshape(-1, *values.shape[2:])[order])
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "RECON GATED TOMO" if gates > 1 else "RECON TOMO", "EMISSION"]
    dataset.SliceVector = plane[order].tolist()
    if gates > 1:
        dataset.RRIntervalVector = [1] * gate.size
        dataset.TimeSlotVector = gate[order].tolist()
    dataset.SpacingBetweenSlices = spacing
    geometry = item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0], ImagePositionPatient=[-50.0, -190.0, 600.0])
    dataset.DetectorInformationSequence = Sequence([geometry])
    dataset.ImageID = "ReconRest"
    return dataset


def pet_slices(values: np.ndarray, *, kind: str = "STATIC", step: float = 6.0) -> list[Dataset]:
    """Return PET slices from values of shape (frames, slices, rows, columns)."""
    series, slices = generate_uid(), []
    for frame, plane in np.ndindex(*values.shape[:2]):
        dataset = base(PET_STORAGE, "PT", values[frame, plane])
        dataset.SeriesInstanceUID = series
        dataset.SeriesType = [kind, "IMAGE"]
        dataset.CorrectedImage = ["ATTN", "DECY"]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.ImagePositionPatient = [-40.0, -60.0, 10.0 + step * plane]
        dataset.RescaleSlope = 1.0 + 0.5 * plane
        dataset.RescaleIntercept = 0.0
        dataset.SeriesDescription = "Stress perfusion"
        if kind == "GATED":
            dataset.TriggerTime, dataset.FrameTime = 100.0 * frame, 100.0
        if kind == "DYNAMIC":
            dataset.FrameReferenceTime, dataset.ActualFrameDuration = 5000.0 * frame + 2500.0, 5000
        slices.append(dataset)
    return slices


def counts_of(*shape: int, seed: int = 5) -> np.ndarray:
    """Return whole numbers, no two neighbours alike."""
    return np.random.default_rng(seed).integers(1, 4000, size=shape)


def nm_affine(dataset: Dataset) -> np.ndarray:
    """Return lps_from_index of an NM reconstruction, straight from PS3.3 C.7.6.2 and (0018,0088)."""
    detector = dataset.DetectorInformationSequence[0]
    across, down = np.array(detector.ImageOrientationPatient, float).reshape(2, 3)
    affine = np.eye(4)
    affine[:3, 0] = np.cross(across, down) * float(dataset.SpacingBetweenSlices)
    affine[:3, 1] = down * float(dataset.PixelSpacing[0])
    affine[:3, 2] = across * float(dataset.PixelSpacing[1])
    affine[:3, 3] = np.array(detector.ImagePositionPatient, float)
    return affine


def oblique_affine(*, mirrored: bool = False, seed: int = 5) -> np.ndarray:
    """Return an anisotropic grid turned at random; where mirrored, its planes run along DICOM's normal reversed."""
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    # Plane, row, column is left-handed when the planes follow DICOM's normal (row vector x column vector).
    if (np.linalg.det(rotation) > 0) != mirrored:
        rotation[:, 0] *= -1
    affine = np.eye(4)
    affine[:3, :3] = rotation * (4.5, 3.0, 3.5)
    affine[:3, 3] = (-101.123456789, 55.5, 1402.25)
    return affine


def dciodvfy_errors(path: Path, iod: str) -> list[str]:
    """Return dciodvfy's error lines; it must recognise the object as an `iod` of its own names."""
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    output = subprocess.run([tool, str(path)], capture_output=True, text=True, errors="replace", check=False)
    lines = (output.stdout + output.stderr).splitlines()
    assert iod in lines, lines
    return [line for line in lines if line.startswith("Error")]
