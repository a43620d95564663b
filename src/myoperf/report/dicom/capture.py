"""Pictures for an archive that shows no reports: the first page as a Secondary Capture, moving slices as a cine.

PS3.3 A.8.1 (Secondary Capture Image) and A.8.5 (Multi-frame True Color Secondary Capture Image).
"""

from pydicom.dataset import Dataset
from pydicom.uid import MultiFrameTrueColorSecondaryCaptureImageStorage, SecondaryCaptureImageStorage

from myoperf.dicom import decimal_string, instance_reference
from myoperf.report.canvas import Canvas
from myoperf.report.cine import Cine
from myoperf.report.colours import Bytes
from myoperf.report.dicom.source import Headers, Stamp, study_attributes
from myoperf.report.raster import to_rgb, to_rgb_frames
from myoperf.types import Study
from myoperf.version import __version__

_SERIES_NUMBER = 9401
_PAGE_DPI, _CINE_DPI = 130, 80
_GATES_A_SECOND = 14


def build_page(page: Canvas, study: Study, headers: Headers, *, stamp: Stamp) -> Dataset:
    """Return a page of the report as a Secondary Capture image."""
    dataset = _start(study, headers, stamp, "page", _SERIES_NUMBER)
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SeriesDescription = "RESEARCH first page of the report"
    _add_pixels(dataset, to_rgb(page, dpi=_PAGE_DPI)[None])
    return dataset


def build_cine(
    cine: Cine, name: str, study: Study, headers: Headers, *, stamp: Stamp, number: int, gate_ms: float | None
) -> Dataset:
    """Return the moving slices of a gated scan as a multi-frame Secondary Capture, a frame a gate.

    Parameters
    ----------
    name
        Of the scan.
    number
        Of the scan, for the number of the series.
    gate_ms
        Length of a gate; None where the files do not tell it: frames are then numbered, not timed.
    """
    dataset = _start(study, headers, stamp, f"cine {name}", _SERIES_NUMBER + number)
    dataset.SOPClassUID = MultiFrameTrueColorSecondaryCaptureImageStorage
    dataset.SeriesDescription = f"RESEARCH gated slices {name}"[:64]
    frames = to_rgb_frames(cine.still, cine.frames, dpi=_CINE_DPI)
    dataset.NumberOfFrames = len(frames)
    if gate_ms is None:
        dataset.FrameIncrementPointer = 0x00182001
        dataset.PageNumberVector = list(range(1, len(frames) + 1))
    else:
        dataset.FrameIncrementPointer = 0x00181063
        dataset.FrameTime = decimal_string(gate_ms)
    dataset.RecommendedDisplayFrameRate = _GATES_A_SECOND
    _add_pixels(dataset, frames)
    return dataset


def _start(study: Study, headers: Headers, stamp: Stamp, what: str, series_number: int) -> Dataset:
    """Return what all captures share (PS3.3 C.7.3.1, C.8.6.1, C.7.6.1)."""
    dataset = study_attributes(study, headers, stamp)
    dataset.SOPInstanceUID = stamp.uid("capture", what)
    dataset.SeriesInstanceUID = stamp.uid("capture series", what)
    dataset.SeriesNumber, dataset.InstanceNumber = series_number, 1
    dataset.Modality, dataset.ConversionType = "OT", "WSD"
    dataset.Manufacturer = dataset.ManufacturerModelName = "MyoPerf"
    dataset.SecondaryCaptureDeviceManufacturer = dataset.SecondaryCaptureDeviceManufacturerModelName = "MyoPerf"
    dataset.SecondaryCaptureDeviceSoftwareVersions = dataset.SoftwareVersions = __version__
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.BurnedInAnnotation = "YES"
    dataset.BodyPartExamined = "HEART"
    dataset.PatientOrientation = None
    stamp.mark(dataset)
    if headers:
        dataset.SourceImageSequence = [instance_reference(header) for header in headers]
    return dataset


def _add_pixels(dataset: Dataset, frames: Bytes) -> None:
    """Write pixels of shape (frames, rows, columns, 3)."""
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    pixels = frames.tobytes()
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
