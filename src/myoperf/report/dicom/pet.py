"""Derived volumes of PET as classic PET images, a file a slice and gate, which every PET workstation reads.

PS3.3 A.21 and C.8.9. The Segmentation of a dynamic scan refers to the slices of the mean of its late time frames.
"""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from myoperf.dicom import add_pixels, decimal_string, plane_geometry, plane_origins, scaled_to_integers
from myoperf.report.dicom.derived import Derived, derived_header, gate_ms, source_item
from myoperf.report.dicom.source import Headers, Reference, Stamp, plane_references
from myoperf.types import ScanResult, Study

_LARGEST = 32767
"""The largest value of a signed pixel of 16 bits, which classic PET images have."""
_MOST_SOURCES = 5000
"""References to sources that all slices of a turned series hold together; where it would be more, none does."""
_DECAY = ("START", "ADMIN")


def build_slices(
    result: ScanResult, derived: Derived, headers: Headers, *, study: Study, stamp: Stamp, number: int, shared: str
) -> tuple[Dataset, ...]:
    """Return a derived volume of PET as slices, gates one after the other; values are relative activity.

    The parameters are those of `derived_header`.

    Raises
    ------
    GeometryError
        When the grid's axes are not at right angles.
    """
    volume = derived.volume
    series = derived_header(result, derived, headers, study=study, stamp=stamp, number=number, shared=shared)
    _describe_series(series, derived, headers, gate_ms(result))
    stored, slope = scaled_to_integers(np.maximum(volume.array, 0.0), _LARGEST)
    series.RescaleIntercept, series.RescaleSlope = "0", decimal_string(slope)
    origins, sources = plane_origins(volume), _sources(result, derived, headers)
    slices = []
    for index, (gate, plane) in enumerate(np.ndindex(volume.array.shape[:2]), start=1):
        image = Dataset()
        image.update(series)
        image.SOPInstanceUID = stamp.uid("pet", result.name, derived.name, str(index))
        image.InstanceNumber = image.ImageIndex = index
        image.ImagePositionPatient = [decimal_string(v) for v in origins[plane]]
        if volume.frames > 1:
            image.TriggerTime = decimal_string(gate * float(series.FrameTime))
        if sources[plane]:
            image.SourceImageSequence = [source_item(reference.instance) for reference in sources[plane]]
        add_pixels(image, stored[gate, plane].astype(np.int16))
        slices.append(image)
    return tuple(slices)


def _describe_series(series: Dataset, derived: Derived, headers: Headers, length_ms: float | None) -> None:
    """Write what all slices share (PS3.3 C.8.9.1, C.8.9.3): corrections and reference time are the source's."""
    volume, grid, source = derived.volume, plane_geometry(derived.volume), headers[0] if headers else Dataset()
    series.SOPClassUID, series.ImageType = PositronEmissionTomographyImageStorage, ["DERIVED", "PRIMARY"]
    series.Units, series.CountsSource, series.CollimatorType = "PROPCNTS", "EMISSION", "NONE"
    series.SeriesType = ["STATIC" if volume.frames == 1 else "GATED", "IMAGE"]
    series.NumberOfSlices = volume.grid_shape[0]
    series.CorrectedImage = source.get("CorrectedImage") or []
    decay = str(source.get("DecayCorrection") or "")
    series.DecayCorrection = decay if decay in _DECAY else "NONE"
    if decay in _DECAY:
        series.DecayFactor = source.get("DecayFactor") or "1"
    series.FrameReferenceTime = source.get("FrameReferenceTime") or "0"
    series.ActualFrameDuration = None
    for name in ("AcquisitionDate", "AcquisitionTime"):
        if name not in series:
            setattr(series, name, "")
    series.ImageOrientationPatient, series.PixelSpacing = grid.orientation, grid.pixel_spacing
    series.SliceThickness = grid.thickness
    if volume.frames > 1 and length_ms is not None:
        series.NumberOfRRIntervals, series.NumberOfTimeSlots = 1, volume.frames
        series.FrameTime, series.NominalInterval = decimal_string(length_ms), round(volume.frames * length_ms)
        series.BeatRejectionFlag, series.TriggerSourceOrType = "", "EKG"
        series.IntervalsAcquired = series.IntervalsRejected = None


def _sources(result: ScanResult, derived: Derived, headers: Headers) -> list[list[Reference]]:
    """Return the images that each plane was made from: those at its place, or all of a turned scan if they are few."""
    if derived.view == "transaxial":
        references, placed = plane_references(result.scan, headers, derived.volume)
        if placed:
            return references
    frames, planes = derived.volume.array.shape[:2]
    few = headers if len(headers) * frames * planes <= _MOST_SOURCES else ()
    return [[Reference(header) for header in few]] * planes
