"""Write a simulated CT as CT images, one file a slice (PS3.3 A.3 and C.8.2.1)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from myoperf.dicom import add_pixels, decimal_string, plane_geometry, plane_origins, save_dataset, uid_from
from myoperf.errors import InputError
from myoperf.io.simulated_header import SimulatedHeader, start_dataset
from myoperf.types import Volume

_INTERCEPT = -1024
_PADDING = -2000
"""Stored value outside the circle that the scanner reconstructs."""


def write_ct(folder: str | Path, volume: Volume, header: SimulatedHeader, *, kvp: float) -> Path:
    """Write a CT in Hounsfield units as a new folder of axial slices, padded outside the inscribed circle.

    Its frame of reference is that of the nuclear image written with the same header.

    Parameters
    ----------
    folder
        Made here; holds ``0001.dcm`` and so on.
    volume
        One frame, axes at right angles.
    header
        `state` and `study_uid` as those of the nuclear image.
    kvp
        Voltage, kV.

    Raises
    ------
    InputError
        When the volume has several frames, or values that 16 bits do not hold.
    GeometryError
        For oblique axes.
    """
    if volume.frames != 1:
        raise InputError(f"A CT has one frame; got {volume.frames}.")
    stored = np.rint(volume.array[0]) - _INTERCEPT
    if stored.min() < _PADDING or stored.max() > 32767:
        raise InputError(f"A CT holds -3024 to 31743 HU; got {volume.array.min():.0f} to {volume.array.max():.0f}.")
    stored[:, ~_circle(*volume.grid_shape[1:])] = _PADDING
    grid, origins = plane_geometry(volume), plane_origins(volume)
    series = start_dataset(header, CTImageStorage, "CT")
    del series.RadiopharmaceuticalInformationSequence
    series.Modality, series.ImageType, series.KVP = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], decimal_string(kvp)
    series.RescaleIntercept, series.RescaleSlope, series.RescaleType = str(_INTERCEPT), "1", "HU"
    series.PixelSpacing, series.ImageOrientationPatient = grid.pixel_spacing, grid.orientation
    series.SliceThickness, series.GantryDetectorTilt = grid.thickness, "0"
    series.PatientPosition = "HFS"
    series.AcquisitionNumber = 1
    folder = Path(folder)
    folder.mkdir(parents=True)
    for number, (plane, origin) in enumerate(zip(stored, origins, strict=True), start=1):
        image = Dataset()
        image.update(series)
        image.SOPInstanceUID = uid_from(series.SeriesInstanceUID, number)
        image.InstanceNumber = number
        image.ImagePositionPatient = [decimal_string(v) for v in origin]
        image.SliceLocation = decimal_string(origin[2])
        add_pixels(image, plane.astype(np.int16))
        image.PixelPaddingValue = _PADDING
        image["PixelPaddingValue"].VR = "SS"
        save_dataset(image, folder / f"{number:04d}.dcm")
    return folder


def _circle(rows: int, columns: int) -> NDArray[np.bool_]:
    y, x = (np.arange(size) - 0.5 * (size - 1) for size in (rows, columns))
    return np.asarray(np.hypot(y[:, None], x[None, :]) <= 0.5 * min(rows, columns))
