"""DICOM Segmentation of the left ventricle: BINARY, on the grid of the analysed volume (PS3.3 A.51).

One of the summed volume; those of the gates are objects of their own in one series, since few viewers show a
segmentation that changes with time.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, NuclearMedicineImageStorage

from myoperf.dicom import code_item, decimal_string, instance_reference, plane_geometry, plane_origins, uid_from
from myoperf.errors import AnalysisError, GeometryError
from myoperf.report.dicom.codes import BLOOD, LEFT_VENTRICLE, LV_MYOCARDIUM
from myoperf.report.dicom.source import Headers, Reference, Stamp, image_references, plane_references, study_attributes
from myoperf.types import BLOOD_POOL, MYOCARDIUM, ScanResult, Study, Volume
from myoperf.version import __version__

_SERIES_NUMBER, _GATES_SERIES_NUMBER = 9001, 9501


def frame_of_reference(result: ScanResult, headers: Headers, stamp: Stamp) -> str:
    """Return the frame of reference of what is derived from a scan.

    It is the headers' only where the grid lies where they say: not if it was reconstructed about the axis of rotation,
    or placed by the reader for want of a position. One that breaks DICOM's rules is replaced by one made from it, the
    same for all scans that share it.
    """
    _, preserved = plane_references(result.scan, headers, result.labels)
    given = str(headers[0].get("FrameOfReferenceUID") or "") if preserved else ""
    if not given:
        return stamp.uid("frame of reference", result.name)
    return given if UID(given).is_valid else uid_from("frame of reference", given)


def build_seg(
    result: ScanResult,
    headers: Headers,
    *,
    study: Study,
    stamp: Stamp,
    number: int = 1,
    drawn_on: Headers = (),
    gate: int | None = None,
) -> Dataset:
    """Return the labels of a scan, or of one of its gates, as a DICOM Segmentation.

    Parameters
    ----------
    result
        Its `labels` become segments 1 (LV myocardium) and 2 (LV blood pool).
    headers
        Of the scan, from `read_headers`.
    study
        Identifies the patient where the scan has no DICOM headers (NIfTI); the object then begins a
        new study and refers to no source image.
    number
        Counts the scans of a report, from 1, for the series number.
    drawn_on
        The volume that was made for the analysis and labelled (`derived_volumes`), as it is written: every frame then
        refers to its place there. For a gate, the gated reconstruction.
    gate
        From 1: the frame of the result's `gate_labels` that is written; None for its `labels`.

    Raises
    ------
    AnalysisError
        When the labels' grid has axes not at right angles, which DICOM cannot hold.
    """
    import highdicom as hd

    labels, names = _labels(result, gate)
    references, preserved = plane_references(result.scan, headers, labels, gate=gate)
    if drawn_on:
        references, preserved = image_references(drawn_on, labels, gate=gate)
    attributes = study_attributes(study, headers, stamp)
    reference_uid = frame_of_reference(result, headers, stamp)
    carrier = _carrier(labels, attributes, reference_uid, stamp)
    grid = hd.Volume(
        np.ascontiguousarray(labels.array[0], dtype=np.uint8),
        labels.lps_from_index,
        coordinate_system="PATIENT",
        frame_of_reference_uid=reference_uid,
    )
    seg: Dataset = hd.seg.Segmentation(
        [carrier],
        grid,
        "BINARY",
        _segments(stamp, result.name),
        series_instance_uid=stamp.uid(names.series, result.name),
        series_number=names.series_number + number - 1,
        sop_instance_uid=stamp.uid(names.instance, result.name),
        instance_number=gate or 1,
        manufacturer="MyoPerf",
        manufacturer_model_name="MyoPerf",
        software_versions=__version__,
        device_serial_number="none",
        content_label=names.label,
        content_description=names.description,
        content_creator_name="MyoPerf^Software",
        series_description=f"RESEARCH {names.title} {result.name}"[:64],
        omit_empty_frames=False,
    )
    stamp.mark(seg)
    organization = stamp.uid("dimensions", result.name)
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    seg.PatientName = attributes.PatientName
    seg.BodyPartExamined = "HEART"
    _refer(seg, references, labels, preserved=preserved)
    return seg


@dataclass(frozen=True, kw_only=True)
class _Names:
    """How the Segmentation of a sum or of a gate is called in its header, and what its UIDs are made of."""

    label: str
    title: str
    description: str
    instance: str
    series: str
    series_number: int


def _labels(result: ScanResult, gate: int | None) -> tuple[Volume, _Names]:
    """Return the labels of the sum, or of a gate, and the names of their object."""
    parts = "myocardium and blood pool"
    if gate is None:
        return result.labels, _Names(
            label="LV",
            title="LV segmentation",
            description=f"RESEARCH left ventricle: {parts}",
            instance="seg",
            series="seg series",
            series_number=_SERIES_NUMBER,
        )
    if result.gate_labels is None:
        raise AnalysisError(f"The gates of {result.name} are not labelled.")
    return result.gate_labels.with_array(result.gate_labels.array[gate - 1]), _Names(
        label=f"LV_GATE_{gate:02d}",
        title="LV segmentation by gate",
        description=f"RESEARCH LV, gate {gate} of {result.gate_labels.frames}: {parts}",
        instance=f"seg gate {gate}",
        series="seg gates series",
        series_number=_GATES_SERIES_NUMBER,
    )


def _segments(stamp: Stamp, name: str) -> list[Any]:
    """Return the descriptions of the two segments."""
    import highdicom as hd

    algorithm = hd.AlgorithmIdentificationSequence(
        name="MyoPerf", family=codes.DCM.ArtificialIntelligence, version=__version__
    )

    def describe(number: int, label: str, category: Any, kind: Any, colour: tuple[float, float, float]) -> Any:
        return hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=category,
            segmented_property_type=kind,
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            tracking_uid=stamp.uid("segment", name, str(number)),
            tracking_id=f"{name} {label}",
            anatomic_regions=[LEFT_VENTRICLE],
            display_color=hd.color.CIELabColor(*colour),
        )

    return [
        describe(MYOCARDIUM, "LV myocardium", codes.SCT.AnatomicalStructure, LV_MYOCARDIUM, (54.0, 81.0, 70.0)),
        describe(BLOOD_POOL, "LV blood pool", codes.SCT.BodySubstance, BLOOD, (30.0, 68.0, -112.0)),
    ]


def _carrier(labels: Volume, attributes: Dataset, frame_of_reference_uid: str, stamp: Stamp) -> Dataset:
    """Return a source image for highdicom: the labels' grid as functional groups of an enhanced image.

    A classic multi-frame NM image keeps its geometry in the Detector Information Sequence and Spacing
    Between Slices, which highdicom does not read; raw projections have no such grid at all. The
    references to the real source are written afterwards, by `_refer`.
    """
    try:
        grid = plane_geometry(labels)
    except GeometryError as error:
        raise AnalysisError(f"The labels cannot be written as DICOM. {error}") from None
    carrier = deepcopy(attributes)
    carrier.PatientName = ""  # highdicom warns of, and so prints, an unusual name
    carrier.SOPClassUID, carrier.Modality = NuclearMedicineImageStorage, "NM"
    carrier.SOPInstanceUID, carrier.SeriesInstanceUID = stamp.uid("carrier"), stamp.uid("carrier series")
    carrier.FrameOfReferenceUID = frame_of_reference_uid
    carrier.NumberOfFrames, carrier.Rows, carrier.Columns = labels.grid_shape
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing = grid.pixel_spacing
    measures.SliceThickness = measures.SpacingBetweenSlices = grid.thickness
    orientation.ImageOrientationPatient = grid.orientation
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    carrier.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for origin in plane_origins(labels):
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = [decimal_string(v) for v in origin]
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    carrier.PerFrameFunctionalGroupsSequence = frames
    return carrier


def _refer(seg: Dataset, references: list[list[Reference]], labels: Volume, *, preserved: bool) -> None:
    """Write references from every frame to the images it was made from (PS3.3 C.7.6.16.2.6 and C.12.2), if any."""
    origins = plane_origins(labels)
    derivations = [_derivation(plane, preserved=preserved) for plane in references]
    for frame in seg.PerFrameFunctionalGroupsSequence:
        frame.pop("DerivationImageSequence", None)
        position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64)
        derivation = derivations[int(np.linalg.norm(origins - position, axis=1).argmin())]
        if derivation is not None:
            frame.DerivationImageSequence = [derivation]
    for name in (
        "ReferencedSeriesSequence",
        "StudiesContainingOtherReferencedInstancesSequence",
        "SourceImageSequence",
    ):
        seg.pop(name, None)
    instances = {reference.instance.SOPInstanceUID: reference.instance for plane in references for reference in plane}
    here = [header for header in instances.values() if header.StudyInstanceUID == seg.StudyInstanceUID]
    if here:
        seg.ReferencedSeriesSequence = _by_series(here)
    studies = []
    for uid in sorted({header.StudyInstanceUID for header in instances.values()} - {seg.StudyInstanceUID}):
        item = Dataset()
        item.StudyInstanceUID = uid
        item.ReferencedSeriesSequence = _by_series([h for h in instances.values() if h.StudyInstanceUID == uid])
        studies.append(item)
    if studies:
        seg.StudiesContainingOtherReferencedInstancesSequence = studies


def _derivation(plane: list[Reference], *, preserved: bool) -> Dataset | None:
    """Return the item that names the source images of a plane, or None where there are none."""
    if not plane:
        return None
    sources = []
    # One item for each frame: ReferencedFrameNumber may hold several, but not every program reads that.
    for reference, frame in ((r, f) for r in plane for f in (r.frames or (None,))):
        source = instance_reference(reference.instance)
        if frame is not None:
            source.ReferencedFrameNumber = frame
        source.SpatialLocationsPreserved = "YES" if preserved else "NO"
        source.PurposeOfReferenceCodeSequence = [
            code_item("121322", "DCM", "Source image for image processing operation")
        ]
        sources.append(source)
    item = Dataset()
    item.SourceImageSequence = sources
    item.DerivationCodeSequence = [code_item("113076", "DCM", "Segmentation")]  # PS3.16, CID 7203
    return item


def _by_series(headers: list[Dataset]) -> list[Dataset]:
    """Return an item for every series, with a reference to each of its instances."""
    series = []
    for uid in dict.fromkeys(header.SeriesInstanceUID for header in headers):
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedInstanceSequence = [instance_reference(h) for h in headers if h.SeriesInstanceUID == uid]
        series.append(item)
    return series
