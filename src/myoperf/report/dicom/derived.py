"""Volumes that the analysis made and the archive has not got, and what their headers share in NM and PET."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from myoperf.dicom import DERIVED_BY, PATIENT_STATE, STATE_CODES, code_item, instance_reference
from myoperf.geometry import short_axis
from myoperf.report.dicom.source import Headers, Stamp, study_attributes
from myoperf.types import ScanResult, Study, Volume
from myoperf.version import __version__

_SERIES_NUMBER = 9301
_FROM_SOURCE = (
    "RadiopharmaceuticalInformationSequence",
    "PatientOrientationCodeSequence",
    "PatientGantryRelationshipCodeSequence",
    "AcquisitionDate",
    "AcquisitionTime",
)
"""What holds for a derived image as for what it was made from; the first three are there even where that has none."""


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A volume to be written.

    Parameters
    ----------
    name
        Of the file, behind the scan's name.
    volume
        One frame, or one a gate.
    view
        ``"transaxial"`` or ``"short_axis"``.
    words
        What the series is, for a list.
    """

    name: str
    volume: Volume
    view: str
    words: str


def derived_volumes(result: ScanResult) -> Iterator[Derived]:
    """Yield what the archive has not got of a scan.

    The volume that was analysed, where it was made here: the reconstruction of raw views, the mean of a dynamic scan's
    late time frames. The short axis. Gated volumes only where the length of a gate is known.
    """
    gated = result.gated_volume if gate_ms(result) is not None else None
    if result.scan.is_raw:
        summed = result.volume.summed()
        yield Derived(name="recon", volume=summed, view="transaxial", words="reconstruction")
        if gated is not None:
            yield Derived(name="recon_gated", volume=gated, view="transaxial", words="gated reconstruction")
    elif result.scan.framing == "dynamic":
        yield Derived(name="late", volume=result.volume, view="transaxial", words="mean of late time frames")
    turned = result.short_axis.summed()
    yield Derived(name="short_axis", volume=turned, view="short_axis", words="short axis")
    if gated is not None:
        turned = short_axis(gated, result.frame)
        yield Derived(name="short_axis_gated", volume=turned, view="short_axis", words="gated short axis")


def gate_ms(result: ScanResult) -> float | None:
    """Return the length of a gate; None where the files do not tell it."""
    durations = result.scan.frame_duration_ms
    return None if result.gated_volume is None or durations is None else float(np.mean(durations))


def derived_header(
    result: ScanResult, derived: Derived, headers: Headers, *, study: Study, stamp: Stamp, number: int, shared: str
) -> Dataset:
    """Return the header of a derived series without its pixels, places and SOP Class.

    Parameters
    ----------
    headers
        Of the scan, from `read_headers`: patient, study and tracer come from there.
    number
        Of the series.
    shared
        Frame of reference, which the scan's Segmentation shares.
    """
    dataset, source = study_attributes(study, headers, stamp), next(iter(headers), Dataset())
    dataset.SeriesInstanceUID = stamp.uid("derived series", result.name, derived.name)
    dataset.SeriesNumber, dataset.Modality = _SERIES_NUMBER + number, result.scan.modality
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = shared, ""
    dataset.SeriesDescription = f"RESEARCH {derived.words} {result.name}"[:64]
    comments = [finding.message for finding in result.findings if finding.code == "late-frames-summed"]
    if derived.volume.array.min() < 0:
        comments.append("Negative values are stored as zero.")
    dataset.ImageComments = " ".join(["RESEARCH.", *comments])
    dataset.DerivationDescription = f"{DERIVED_BY}{__version__}: {derived.words}"
    dataset.Manufacturer = dataset.ManufacturerModelName = "MyoPerf"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "none", __version__
    dataset.BodyPartExamined = "HEART"
    for name in _FROM_SOURCE:
        if source.get(name):
            setattr(dataset, name, deepcopy(source.get(name)))
        elif name in _FROM_SOURCE[:3]:
            setattr(dataset, name, [])
    dataset.AcquisitionContextSequence = [] if result.state is None else [_patient_state(result)]
    stamp.mark(dataset)
    return dataset


def source_item(header: Dataset) -> Dataset:
    """Return the item that names an image that a derived one was made from (PS3.3 C.7.6.1, Source Image Sequence)."""
    item = instance_reference(header)
    item.PurposeOfReferenceCodeSequence = [code_item("121322", "DCM", "Source image for image processing operation")]
    return item


def _patient_state(result: ScanResult) -> Dataset:
    assert result.state is not None
    item = Dataset()
    item.ConceptNameCodeSequence = [code_item(*PATIENT_STATE)]
    item.ValueType, item.ConceptCodeSequence = "CODE", [code_item(*STATE_CODES[result.state])]
    return item
