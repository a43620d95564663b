"""The numbers of a report as a DICOM Structured Report: Comprehensive 3D SR, TID 1500 (PS3.16)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import NuclearMedicineImageStorage

from myoperf import __version__
from myoperf.report.dicom import codes as words
from myoperf.report.dicom.source import Headers, Stamp, instance_of, study_attributes
from myoperf.types import Finding, Report, ScanResult

__all__ = ["build_sr"]

_SERIES_NUMBER = 9101
_EJECTION_FRACTION = Code("70822001", "SCT", "Cardiac ejection fraction")
_END_DIASTOLIC = Code("8821-1", "LN", "Left Ventricular ED Volume")
_END_SYSTOLIC = Code("8823-7", "LN", "Left Ventricular ES Volume")
_TID_RATIO = Code("428832008", "SCT", "Transient ischemic dilation ratio")
_VOLUME = Code("118565006", "SCT", "Volume")
_STUDY = Code("252432008", "SCT", "Radionuclide myocardial perfusion study")


def build_sr(
    report: Report, headers: Sequence[Headers], *, stamp: Stamp, segmentations: Sequence[Dataset] = ()
) -> Dataset:
    """Return a report's numbers as a Structured Report.

    Parameters
    ----------
    headers
        Of each result's scan, from `read_headers`.
    segmentations
        The Segmentation of each result, in the report's order, where they were made: the wall's
        and the cavity's volume then refer to their segment.
    """
    import highdicom as hd

    attributes = study_attributes(report.study, (h for some in headers for h in some), stamp)
    sources = [[instance_of(header) for header in some] for some in headers]
    groups: list[Any] = []
    for index, (result, images) in enumerate(zip(report.results, sources, strict=True)):
        scores = _scores_of(report, result)
        seg = segmentations[index] if index < len(segmentations) else None
        volumes = _volume_groups(result, seg, images) if seg is not None and images else []
        groups.append(_scan_group(result, scores, images, stamp, with_volumes=not volumes))
        groups += volumes
    groups += _study_groups(report, stamp)
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=_observer()),
        procedure_reported=_STUDY,
        title=codes.DCM.ImagingMeasurementReport,
        imaging_measurements=groups,
    )
    evidence = [image for images in sources for image in images] + [instance_of(seg) for seg in segmentations]
    report_object: Dataset = hd.sr.Comprehensive3DSR(
        evidence=_with_attributes(evidence, attributes, stamp),
        content=content,
        series_instance_uid=stamp.uid("sr series"),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=stamp.uid("sr"),
        instance_number=1,
        manufacturer="MyoPerf",
        is_complete=True,
        is_final=False,
        manufacturer_model_name="MyoPerf",
        software_versions=__version__,
        series_description="RESEARCH MyoPerf measurements",
    )
    if not evidence:
        for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
            report_object.pop(name, None)
    stamp.mark(report_object)
    report_object.CodingSchemeIdentificationSequence = DicomSequence([_scheme()])
    report_object.update(attributes)
    return report_object


def _scheme() -> Dataset:
    """Identify the private coding scheme (PS3.3 C.12.1.1, Coding Scheme Identification Sequence)."""
    item = Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeUID = words.PRIVATE_SCHEME, words.PRIVATE_UID
    item.CodingSchemeName = "MyoPerf measurements"
    item.CodingSchemeResponsibleOrganization = "MyoPerf"
    return item


def _observer() -> Any:
    import highdicom as hd

    return hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=words.PRIVATE_UID, name="MyoPerf", manufacturer_name="MyoPerf", model_name=f"MyoPerf {__version__}"
        ),
    )


def _scan_group(
    result: ScanResult, scores: tuple[int, ...] | None, images: list[Dataset], stamp: Stamp, *, with_volumes: bool
) -> Any:
    """Tell what was measured on one scan: the 17 segments, function, and volumes no group of their own holds."""
    site = [words.LEFT_VENTRICLE]
    numbers = [
        _number(words.private("REL_UPTAKE"), value, "percent", [segment])
        for segment, value in zip(words.SEGMENTS, result.segments_percent, strict=True)
    ]
    if scores is not None:
        numbers += [
            _number(words.private("SEGMENT_SCORE"), value, "score", [segment])
            for segment, value in zip(words.SEGMENTS, scores, strict=True)
        ]
    if with_volumes:
        numbers += [
            _number(_VOLUME, result.myocardium_ml, "ml", [words.LV_MYOCARDIUM]),
            _number(_VOLUME, result.cavity_ml, "ml", site),
        ]
    function = result.function
    if function is not None:
        numbers += [
            _number(_END_DIASTOLIC, function.edv_ml, "ml"),
            _number(_END_SYSTOLIC, function.esv_ml, "ml"),
            _number(_EJECTION_FRACTION, function.lvef_percent, "percent"),
            _number(words.private("PHASE_SD"), function.phase_sd_deg, "deg"),
            _number(words.private("PHASE_BANDWIDTH"), function.phase_bandwidth_deg, "deg"),
            _number(words.private("PHASE_ENTROPY"), function.phase_entropy_percent, "percent"),
        ]
    evaluations = [_evaluation(words.PATIENT_STATE, words.STATES[result.state])] if result.state else []
    evaluations += _findings((*result.scan.findings, *result.findings))
    return _group(f"{result.name} perfusion", numbers, evaluations, stamp, site=site, images=images)


def _volume_groups(result: ScanResult, seg: Dataset, images: list[Dataset]) -> list[Any]:
    """Tie the volumes to their segments (TID 1411), which takes the source images."""
    import highdicom as hd

    groups = []
    kinds = (words.LV_MYOCARDIUM, result.myocardium_ml), (words.BLOOD, result.cavity_ml)
    for segment, (kind, volume_ml) in enumerate(kinds, start=1):
        description = seg.SegmentSequence[segment - 1]
        groups.append(
            hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=hd.sr.TrackingIdentifier(
                    uid=description.TrackingUID, identifier=description.TrackingID
                ),
                referenced_segment=hd.sr.ReferencedSegment(
                    sop_class_uid=seg.SOPClassUID,
                    sop_instance_uid=seg.SOPInstanceUID,
                    segment_number=segment,
                    **_segment_source(images),
                ),
                finding_type=kind,
                finding_sites=[hd.sr.FindingSite(words.LEFT_VENTRICLE)],
                algorithm_id=_algorithm(),
                measurements=[_measurement(_VOLUME, volume_ml, "ml")],
            )
        )
    return groups


def _segment_source(images: list[Dataset]) -> dict[str, Any]:
    """Name the image a segment was drawn on, or the series where it has many instances (TID 1411)."""
    import highdicom as hd

    if len(images) > 1 and len({image.SeriesInstanceUID for image in images}) == 1:
        return {"source_series": hd.sr.SourceSeriesForSegmentation(images[0].SeriesInstanceUID)}
    return {
        "source_images": [hd.sr.SourceImageForSegmentation(i.SOPClassUID, i.SOPInstanceUID) for i in images],
    }


def _study_groups(report: Report, stamp: Stamp) -> list[Any]:
    """Tell the scores of the whole study, of each artery's territory, and the estimated probabilities."""
    scores = report.scores
    numbers = [
        *_summed(scores),
        _number(words.private("TPD_ISCHEMIC"), scores.tpd_ischemic_percent, "percent"),
        _number(_TID_RATIO, scores.tid_ratio, "ratio"),
    ]
    for vessel, territory in scores.territories.items():
        numbers += _summed(territory, [words.CORONARY[vessel]])
    evaluations = [_evaluation(words.private("USE"), words.private("RESEARCH_ONLY"))]
    evaluations += _findings((*report.study.findings, *scores.findings, *report.findings))
    groups = [_group("perfusion scores", numbers, evaluations, stamp, site=[words.LEFT_VENTRICLE])]
    diagnosis = report.diagnosis
    if diagnosis is not None and not diagnosis.abstained:
        low, high = diagnosis.interval
        probability = words.private("CAD_PROBABILITY")
        chances = [_number(probability, diagnosis.per_patient, "one")]
        chances += [
            _number(words.private("CAD_PROB_LOW"), low, "one"),
            _number(words.private("CAD_PROB_HIGH"), high, "one"),
        ]
        chances += [_number(probability, p, "one", [words.CORONARY[v]]) for v, p in diagnosis.per_vessel.items()]
        groups.append(_group("estimated probability of coronary disease", chances, [], stamp, model=diagnosis.model))
    return groups


def _summed(scores: Any, site: list[Code] | None = None) -> list[Any]:
    return [
        _number(words.private("SSS"), scores.sss, "score", site),
        _number(words.private("SRS"), scores.srs, "score", site),
        _number(words.private("SDS"), scores.sds, "score", site),
        _number(words.private("TPD_STRESS"), scores.tpd_stress_percent, "percent", site),
        _number(words.private("TPD_REST"), scores.tpd_rest_percent, "percent", site),
    ]


def _group(
    name: str,
    numbers: Iterable[Any],
    evaluations: list[Any],
    stamp: Stamp,
    *,
    site: list[Code] | None = None,
    images: list[Dataset] | None = None,
    model: str | None = None,
) -> Any:
    """Make a measurement group (TID 1501); numbers that were not measured (None) are left out."""
    import highdicom as hd

    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=stamp.uid("group", name), identifier=name),
        algorithm_id=_algorithm(model),
        finding_sites=[hd.sr.FindingSite(s) for s in site] if site else None,
        measurements=[number for number in numbers if number is not None],
        qualitative_evaluations=evaluations or None,
        source_images=[hd.sr.SourceImageForMeasurementGroup(i.SOPClassUID, i.SOPInstanceUID) for i in images or ()]
        or None,
    )


def _number(name: Code, value: float | None, unit: str, sites: list[Code] | None = None) -> Any:
    """Make a measurement, or None where there is no finite value."""
    if value is None or not math.isfinite(value):
        return None
    return _measurement(name, value, unit, sites)


def _measurement(name: Code, value: float, unit: str, sites: list[Code] | None = None) -> Any:
    import highdicom as hd

    return hd.sr.Measurement(
        name=name,
        value=int(value) if unit == "score" else round(float(value), 4),
        unit=words.UNITS[unit],
        finding_sites=[hd.sr.FindingSite(site) for site in sites] if sites else None,
    )


def _algorithm(model: str | None = None) -> Any:
    import highdicom as hd

    return hd.sr.AlgorithmIdentification(name=f"MyoPerf {model}" if model else "MyoPerf", version=__version__)


def _evaluation(name: Code, value: Code) -> Any:
    import highdicom as hd

    return hd.sr.QualitativeEvaluation(name=name, value=value)


def _findings(findings: Iterable[Finding]) -> list[Any]:
    """Carry warnings and failures along, each under its own code, the message cut to DICOM's 64 characters."""
    return [
        _evaluation(words.private("FINDING"), Code(finding.code, words.PRIVATE_SCHEME, finding.message[:64]))
        for finding in dict.fromkeys(findings)
        if finding.severity != "info"
    ]


def _scores_of(report: Report, result: ScanResult) -> tuple[int, ...] | None:
    """Give the 17 scores of a scan; they belong to the first scan of each state."""
    if result.state is None or report.result(result.state) is not result:
        return None
    return report.scores.stress_scores if result.state == "stress" else report.scores.rest_scores


def _with_attributes(evidence: list[Dataset], attributes: Dataset, stamp: Stamp) -> list[Dataset]:
    """Put the study's attributes on the first instance, where highdicom takes them from.

    Without evidence a stand-in carries them, which nothing refers to in the end.
    """
    first = deepcopy(attributes)
    first.PatientName = ""  # highdicom warns of, and so prints, a name it finds odd
    if evidence:
        first.update(evidence[0])
        return [first, *evidence[1:]]
    first.SOPClassUID, first.Modality = NuclearMedicineImageStorage, "NM"
    first.SOPInstanceUID, first.SeriesInstanceUID = stamp.uid("none"), stamp.uid("none series")
    return [first]
