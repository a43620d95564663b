"""Write simulated PET volumes as classic PET slices, one file a slice and gate.

Modules: PS3.3 A.21 (PET Image IOD) and C.8.9 (PET Series, Isotope, Multi-gated Acquisition, Image).
"""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from myoperf.dicom import (
    add_pixels,
    decimal_string,
    plane_geometry,
    plane_origins,
    save_dataset,
    scaled_to_integers,
    uid_from,
)
from myoperf.errors import InputError
from myoperf.io.simulated_header import (
    SimulatedHeader,
    gate_duration_ms,
    start_dataset,
)
from myoperf.types import Volume

_LARGEST = 32767
_HALF_LIFE_S = {"N-13": 597.9, "Rb-82": 76.4}
_POSITRON_FRACTION = {"N-13": 0.998, "Rb-82": 0.954}


def write_pet(
    folder: str | Path, volume: Volume, header: SimulatedHeader, *, frame_duration_ms: float | None = None
) -> Path:
    """Write a transaxial volume, marked as corrected for attenuation and decay, as a new folder of slices.

    Parameters
    ----------
    folder
        Made here; holds ``0001.dcm`` and so on, gates one after the other.
    volume
        Values from 0, axes at right angles; several frames are gates.
    header
        Its tracer must be one of PET.
    frame_duration_ms
        Length of one gate; needed when the volume has more than one frame.

    Raises
    ------
    InputError, GeometryError
        For a tracer of SPECT, negative values, gates without a length, or oblique axes.
    """
    gate_ms = gate_duration_ms(volume, frame_duration_ms)
    low, high = float(volume.array.min()), float(volume.array.max())
    if low < 0 or high <= 0:
        raise InputError(f"A PET volume holds activity from 0 up; got {low:g} to {high:g}.")
    series = _series(header, volume, gate_ms)
    stored, slope = scaled_to_integers(volume.array, _LARGEST)
    origins = plane_origins(volume)
    folder = Path(folder)
    folder.mkdir(parents=True)
    for number, (frame, plane) in enumerate(np.ndindex(volume.array.shape[:2]), start=1):
        image = Dataset()
        image.update(series)
        image.SOPInstanceUID = uid_from(series.SeriesInstanceUID, number)
        image.InstanceNumber = image.ImageIndex = number
        image.ImagePositionPatient = [decimal_string(v) for v in origins[plane]]
        image.SliceLocation = decimal_string(origins[plane][2])
        if gate_ms is not None:
            image.TriggerTime = decimal_string(frame * gate_ms)
        image.RescaleIntercept, image.RescaleSlope = "0", decimal_string(slope)
        add_pixels(image, stored[frame, plane].astype(np.int16))
        save_dataset(image, folder / f"{number:04d}.dcm")
    return folder


def _series(header: SimulatedHeader, volume: Volume, gate_ms: float | None) -> Dataset:
    """Return what a series' slices share."""
    nuclide, grid = header.nuclide, plane_geometry(volume)
    if nuclide not in _HALF_LIFE_S:
        raise InputError(f"PET is written for {', '.join(_HALF_LIFE_S)}; got the tracer {header.tracer!r}.")
    series = start_dataset(header, PositronEmissionTomographyImageStorage, "PT", nuclide)
    series.Modality, series.ImageType = "PT", ["ORIGINAL", "PRIMARY"]
    series.Units, series.CountsSource = "PROPCNTS", "EMISSION"
    series.SeriesType = ["STATIC" if gate_ms is None else "GATED", "IMAGE"]
    series.CorrectedImage, series.DecayCorrection, series.DecayFactor = ["ATTN", "DECY"], "START", "1"
    series.CollimatorType, series.NumberOfSlices = "NONE", volume.grid_shape[0]
    series.FrameReferenceTime, series.ActualFrameDuration = "0", 600000
    if gate_ms is not None:
        series.NumberOfRRIntervals, series.NumberOfTimeSlots = 1, volume.frames
        series.BeatRejectionFlag, series.TriggerSourceOrType = "N", "EKG"
        series.FrameTime = decimal_string(gate_ms)
        series.NominalInterval = round(volume.frames * gate_ms)
        series.IntervalsAcquired = series.IntervalsRejected = None
    isotope = series.RadiopharmaceuticalInformationSequence[0]
    isotope.RadionuclideHalfLife = decimal_string(_HALF_LIFE_S[nuclide])
    isotope.RadionuclidePositronFraction = decimal_string(_POSITRON_FRACTION[nuclide])
    isotope.RadionuclideTotalDose, isotope.RadiopharmaceuticalStartTime = None, ""  # no dose was given
    series.ImageOrientationPatient, series.PixelSpacing = grid.orientation, grid.pixel_spacing
    series.SliceThickness = grid.thickness
    return series
