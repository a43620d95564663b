"""A simulated dynamic PET study as DICOM slices: a closed-form ventricle, its blood and flow that is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid
from scipy import ndimage

from myoperf.flow import k1_from_flow, tissue_curve
from support.ventricle import grid_about, make_ventricle, points_of, right_ventricle

SPACING, FWHM, SIDE = 4.5, 5.0, 32
VENTRICLE = make_ventricle((0.0, 0.0, 0.0), (-0.64, 0.6, 0.48), (0.0, -0.5, 0.8), radius=27.0, length=80.0, wall=11.0)
FRAME = VENTRICLE.frame
DURATION = np.concatenate([np.full(10, 5.0), np.full(5, 14.0), np.full(3, 60.0)])
START = np.concatenate([[0.0], np.cumsum(DURATION)[:-1]])
TIME = np.arange(0.0, START[-1] + DURATION[-1] + 1.0)
POOR = np.isin(np.arange(1, 18), (4, 10, 15))
REST, STRESS = np.where(POOR, 0.5, 0.9), np.where(POOR, 0.9, 2.4)
K2 = 0.15
HALF_LIFE = 76.4


def bolus(arrival: float, width: float) -> np.ndarray:
    t = np.maximum(TIME - arrival, 0) / width
    return 100 * t * np.exp(1 - t) + 5 * (1 - np.exp(-t / 3))


def averaged(curve: np.ndarray) -> np.ndarray:
    return np.array([curve[(a <= TIME) & (b > TIME)].mean() for a, b in zip(START, START + DURATION, strict=True)])


def affine() -> np.ndarray:
    """Map (plane, row, column) to LPS: slices towards the head, rows to the back, columns to the left."""
    return grid_about(FRAME.centre_mm + 8 * FRAME.septal, (SIDE,) * 3, SPACING)


def activity(flows: np.ndarray, *, blood_in: int = 0) -> np.ndarray:
    """Give decay-corrected activity (frames, planes, rows, columns); one segment may hold blood over wall."""
    points = points_of(affine(), (SIDE,) * 3)
    labels, segment = VENTRICLE.labels(points), VENTRICLE.segments(points)
    right = right_ventricle(VENTRICLE, points)
    left_curve, right_curve = bolus(18, 9), bolus(8, 7)
    parts = [(labels == 2, left_curve), (right, right_curve)]
    for number, flow in enumerate(flows, start=1):
        curve = tissue_curve(float(k1_from_flow(flow, "Rb-82")), K2, TIME, left_curve)
        parts.append(((labels == 1) & (segment == number), curve + 1.5 * left_curve * (number == blood_in)))
    out = np.zeros((DURATION.size, SIDE, SIDE, SIDE), np.float32)
    for mask, curve in parts:
        smooth = ndimage.gaussian_filter(mask.astype(np.float32), FWHM / 2.3548 / SPACING)
        out += averaged(curve)[:, None, None, None].astype(np.float32) * smooth
    return out


def write(folder: Path, values: np.ndarray, state: str, *, study: str = "1.2.3", number: int = 1, **header) -> Path:
    """Write values (frames, planes, rows, columns) as PET slices; `header` changes or (None) leaves out attributes.

    Fewer than `SIDE` planes are the first ones: where only reading is tested, a few will do.
    """
    folder.mkdir(parents=True)
    series, frames = generate_uid(), len(values)
    slope = float(values.max()) / 32000.0
    for frame, plane in np.ndindex(values.shape[:2]):
        out = Dataset()
        out.file_meta = FileMetaDataset()
        out.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        out.file_meta.MediaStorageSOPClassUID = out.SOPClassUID = PositronEmissionTomographyImageStorage
        out.file_meta.MediaStorageSOPInstanceUID = out.SOPInstanceUID = generate_uid()
        out.StudyInstanceUID, out.SeriesInstanceUID, out.PatientID, out.PatientSex = study, series, "SIM-1", "F"
        out.Modality, out.SeriesDescription, out.SeriesNumber = "PT", f"Simulated {state} PET", number
        out.ManufacturerModelName = "simulated"
        out.SeriesType = ["DYNAMIC" if frames > 1 else "STATIC", "IMAGE"]
        out.Units, out.CorrectedImage, out.DecayCorrection = "BQML", ["ATTN", "DECY"], "START"
        out.NumberOfTimeSlices = frames
        out.ActualFrameDuration = round(1000 * DURATION[frame])
        out.FrameReferenceTime = f"{1000 * (START[frame] + 0.5 * DURATION[frame]):.1f}"
        out.ImagePositionPatient = [f"{v:.4f}" for v in (affine() @ np.array([plane, 0, 0, 1.0]))[:3]]
        out.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        out.PixelSpacing, out.SliceThickness = [SPACING, SPACING], SPACING
        out.Rows = out.Columns = SIDE
        out.SamplesPerPixel, out.PhotometricInterpretation = 1, "MONOCHROME2"
        out.BitsAllocated, out.BitsStored, out.HighBit, out.PixelRepresentation = 16, 16, 15, 1
        out.RescaleSlope, out.RescaleIntercept = f"{slope:.8g}", "0"
        out.PixelData = np.rint(values[frame, plane] / slope).astype("<i2").tobytes()
        tracer = Dataset()
        tracer.Radiopharmaceutical, tracer.RadionuclideHalfLife = "Rubidium chloride Rb-82", str(HALF_LIFE)
        out.RadiopharmaceuticalInformationSequence = Sequence([tracer])
        for name, value in header.items():
            given = value(frame) if callable(value) else value
            if given is None:
                del out[name]
            else:
                setattr(out, name, given)
        out.save_as(folder / f"{frame:02d}-{plane:03d}.dcm", enforce_file_format=True)
    return folder
