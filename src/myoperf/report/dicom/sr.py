"""The numbers of a report as a DICOM Structured Report: Comprehensive 3D SR, TID 1500 (PS3.16)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import NuclearMedicineImageStorage

from myoperf.quantities import UNIT_CODES, Quantity, quantities
from myoperf.report.content import all_findings
from myoperf.report.dicom import codes as words
from myoperf.report.dicom.source import Headers, Stamp, instance_of, study_attributes
from myoperf.report.narrative import report_text
from myoperf.report.reader import ReaderPart
from myoperf.types import Finding, Interval, Report, ScanResult, Stressor
from myoperf.version import __version__

_SERIES_NUMBER = 9101
_STUDY = Code("252432008", "SCT", "Radionuclide myocardial perfusion study")
_VOLUMES = {"myocardium_ml": words.LV_MYOCARDIUM, "cavity_ml": words.LEFT_VENTRICLE}
"""The volumes share one code; their site tells them apart."""


def build_sr(
    report: Report,
    headers: Sequence[Headers],
    *,
    stamp: Stamp,
    segmentations: Sequence[Dataset | None] = (),
    reader: ReaderPart | None = None,
) -> Dataset:
    """Return a report's numbers as a Structured Report.

    Parameters
    ----------
    headers
        Of each result's scan, from `read_headers`.
    segmentations
        The Segmentation of each result, in the report's order, None where it was not made: the wall's
        and the cavity's volume refer to their segment.
    reader
        What a reader made of the report: it stands as text beside the machine's numbers.
    """
    import highdicom as hd

    attributes = study_attributes(report.study, (h for some in headers for h in some), stamp)
    sources = [[instance_of(header) for header in some] for some in headers]
    groups: list[Any] = []
    for index, (result, images) in enumerate(zip(report.results, sources, strict=True)):
        seg = segmentations[index] if index < len(segmentations) else None
        volumes = _volume_groups(result, seg, images) if seg is not None and images else []
        groups.append(_scan_group(report, result, images, stamp, with_volumes=not volumes))
        groups += volumes
    groups += _further_groups(report, stamp)
    groups += _study_groups(report, stamp)
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=_observer()),
        procedure_reported=_STUDY,
        title=codes.DCM.ImagingMeasurementReport,
        imaging_measurements=groups,
    )
    (root,) = content
    parts = [*root.ContentSequence, *_texts(report, reader)]
    root.ContentSequence = []  # highdicom would copy the whole tree, check it again and search it twice for images
    evidence = [image for images in sources for image in images] + [
        instance_of(seg) for seg in segmentations if seg is not None
    ]
    report_object: Dataset = hd.sr.Comprehensive3DSR(
        evidence=_with_attributes(evidence, attributes, stamp),
        content=root,
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
    report_object.ContentSequence = parts
    if not evidence:
        for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
            report_object.pop(name, None)
    stamp.mark(report_object)
    report_object.CodingSchemeIdentificationSequence = DicomSequence([_scheme()])
    report_object.update(attributes)
    return report_object


def _texts(report: Report, reader: ReaderPart | None) -> list[Any]:
    """Write the procedure, the reader's part, the conclusion and every finding, each whole."""
    import highdicom as hd

    sections = {part.key: " ".join(part.sentences) for part in report_text(report)}
    lines = [(words.PROCEDURE, sections["procedure"]), (words.CONCLUSION, sections["conclusion"])]
    if reader is not None:
        sums = reader.sums(report.scores)
        own = [reader.impression, sums and f"Reader's scores: {sums}.", f"{reader.signature}.", *reader.addenda]
        lines.insert(1, (words.IMPRESSION, " ".join(text for text in own if text)))
    lines += [(words.COMMENT, f"{scope}: {finding.message}") for scope, finding in all_findings(report)]
    return [hd.sr.TextContentItem(name, text, hd.sr.RelationshipTypeValues.CONTAINS) for name, text in lines if text]


def _tracer(tracer: str | None) -> list[Any]:
    """Encode a radiopharmaceutical whose code is known; nothing for another."""
    code = next((code for part, code in words.TRACERS.items() if part in (tracer or "").lower()), None)
    return [] if code is None else [_evaluation(words.RADIOPHARMACEUTICAL, code)]


def _stress(stressors: Sequence[Stressor]) -> list[Any]:
    """Encode the kind of stress test and the drug; nothing where the stressor is not known."""
    drugs = [words.STRESS_AGENTS[stressor] for stressor in stressors if stressor in words.STRESS_AGENTS]
    if not stressors:
        return []
    with_drug = words.DRUG_AND_EXERCISE_TEST if "exercise" in stressors else words.DRUG_TEST
    protocol = _evaluation(words.STRESS_PROTOCOL, with_drug if drugs else words.EXERCISE_TEST)
    return [protocol, *(_evaluation(words.DRUG, drug) for drug in drugs)]


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
            uid=words.DEVICE_UID, name="MyoPerf", manufacturer_name="MyoPerf", model_name=f"MyoPerf {__version__}"
        ),
    )


def _scan_group(report: Report, result: ScanResult, images: list[Dataset], stamp: Stamp, *, with_volumes: bool) -> Any:
    """Report the numbers of one scan: the 17 segments, function, and volumes that have no group of their own."""
    of_scan = quantities("scan")
    known = report.intervals.get(result.name, {})
    numbers = [m for q in of_scan if q.per for m in _measurements(q, result, known=known)]
    if result.state is not None and report.result(result.state) is result:  # the scores are of a state's first scan
        of_study = [q for q in quantities("study") if q.per and q.state == result.state]
        numbers += [m for q in of_study for m in _measurements(q, report.scores)]
    for q in of_scan:
        if not q.per and (with_volumes or q.name not in _VOLUMES):
            numbers += _measurements(q, result, _VOLUMES.get(q.name), known=known)
    evaluations = [_evaluation(words.PATIENT_STATE, words.STATES[result.state])] if result.state else []
    evaluations += _stress(result.scan.stressors)
    evaluations += _tracer(result.scan.tracer)
    evaluations += _findings((*result.scan.findings, *result.findings))
    return _group(f"{result.name} perfusion", numbers, evaluations, stamp, site=[words.LEFT_VENTRICLE], images=images)


def _further_groups(report: Report, stamp: Stamp) -> list[Any]:
    """Report the own scores of each scan that the study's scores are not of: prone, corrected, repeated."""
    groups = []
    for name, scores in report.scan_scores.items():
        numbers = [m for q in quantities("study") for m in _measurements(q, scores)]
        for vessel, territory in scores.territories.items():
            numbers += [m for q in quantities("territory") for m in _measurements(q, territory, words.CORONARY[vessel])]
        if numbers:
            groups.append(_group(f"{name} perfusion scores", numbers, [], stamp, site=[words.LEFT_VENTRICLE]))
    return groups


def _volume_groups(result: ScanResult, seg: Dataset, images: list[Dataset]) -> list[Any]:
    """Refer each volume to its segment and to the source images (TID 1411)."""
    import highdicom as hd

    groups = []
    volumes = [q for q in quantities("scan") if q.name in _VOLUMES]
    for segment, (kind, quantity) in enumerate(zip((words.LV_MYOCARDIUM, words.BLOOD), volumes, strict=True), start=1):
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
                measurements=_measurements(quantity, result),
            )
        )
    return groups


def _segment_source(images: list[Dataset]) -> dict[str, Any]:
    """Refer to the image a segment was drawn on, or to the series where it has many instances (TID 1411)."""
    import highdicom as hd

    if len(images) > 1 and len({image.SeriesInstanceUID for image in images}) == 1:
        return {"source_series": hd.sr.SourceSeriesForSegmentation(images[0].SeriesInstanceUID)}
    return {
        "source_images": [hd.sr.SourceImageForSegmentation(i.SOPClassUID, i.SOPInstanceUID) for i in images],
    }


def _study_groups(report: Report, stamp: Stamp) -> list[Any]:
    """Report the verdict, the scores of the whole study and of each artery's territory; no research model's numbers."""
    scores = report.scores
    known = report.intervals.get("scores", {})
    of_study = [q for q in quantities("study") if not q.per or not q.state]
    numbers = [m for q in of_study for m in _measurements(q, scores, known=known)]
    for vessel, territory in scores.territories.items():
        numbers += [m for q in quantities("territory") for m in _measurements(q, territory, words.CORONARY[vessel])]
    evaluations = [_evaluation(words.private("USE"), words.private("RESEARCH_ONLY"))]
    evaluations += _findings((*report.study.findings, *scores.findings, *report.findings))
    if scores.verdict is not None:
        evaluations.append(_evaluation(words.private("CATEGORY"), words.CATEGORIES[scores.verdict.category]))
    return [_group("perfusion scores", numbers, evaluations, stamp, site=[words.LEFT_VENTRICLE])]


def _group(
    name: str,
    numbers: Sequence[Any],
    evaluations: list[Any],
    stamp: Stamp,
    *,
    site: list[Code] | None = None,
    images: list[Dataset] | None = None,
) -> Any:
    """Make a measurement group (TID 1501)."""
    import highdicom as hd

    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=stamp.uid("group", name), identifier=name),
        algorithm_id=_algorithm(),
        finding_sites=[hd.sr.FindingSite(s) for s in site] if site else None,
        measurements=numbers,
        qualitative_evaluations=evaluations or None,
        source_images=[hd.sr.SourceImageForMeasurementGroup(i.SOPClassUID, i.SOPInstanceUID) for i in images or ()]
        or None,
    )


def _measurements(
    quantity: Quantity, record: object, site: Code | None = None, *, known: Mapping[str, Interval] | None = None
) -> list[Any]:
    """Make the measurements of a number, one a segment or vessel for a list; none where it is not coded or finite.

    Parameters
    ----------
    known
        Intervals by the name that `Quantity.numbers` gives.
    """
    value = quantity.read(record)
    if quantity.code is None or value is None:
        return []
    name, values = words.concept(quantity.code), quantity.numbers(record)
    if isinstance(value, Mapping):
        sites: Sequence[Code | None] = [words.CORONARY.get(vessel, words.LEFT_VENTRICLE) for vessel in value]
    else:
        sites = words.SEGMENTS if quantity.per == "segment" else [site]
    return [
        _measurement(name, number, quantity.unit, place, (known or {}).get(key))
        for (key, number), place in zip(values.items(), sites, strict=True)
        if math.isfinite(number)
    ]


def _measurement(name: Code, value: float, unit: str, site: Code | None, interval: Interval | None) -> Any:
    """Make a measurement; the ends of its interval are the uncertainty above and below it."""
    import highdicom as hd

    around = None
    if interval is not None and math.isfinite(interval.high - interval.low):
        around = hd.sr.MeasurementProperties(
            upper_measurement_uncertainty=round(max(interval.high - value, 0.0), 4),
            lower_measurement_uncertainty=round(max(value - interval.low, 0.0), 4),
        )

    unit_code = words.concept(UNIT_CODES[unit])
    return hd.sr.Measurement(
        name=_concept(*name),
        value=int(value) if unit_code.value == "{score}" and value == int(value) else round(float(value), 4),
        properties=around,
        unit=_concept(*unit_code),
        finding_sites=[_finding_site(*site)] if site is not None else None,
    )


@cache
def _concept(value: str, scheme: str, meaning: str, version: str | None) -> Any:
    """Return highdicom's item of a code: one for all numbers, as making it takes longer than the rest of a number."""
    import highdicom as hd

    return hd.sr.CodedConcept(value, scheme, meaning, version)


@cache
def _finding_site(value: str, scheme: str, meaning: str, version: str | None) -> Any:
    """Return the content item of a site, one for all numbers measured there."""
    import highdicom as hd

    return hd.sr.FindingSite(Code(value, scheme, meaning, version))


def _algorithm() -> Any:
    import highdicom as hd

    return hd.sr.AlgorithmIdentification(name="MyoPerf", version=__version__)


def _evaluation(name: Code, value: Code) -> Any:
    import highdicom as hd

    return hd.sr.QualitativeEvaluation(name=name, value=value)


def _findings(findings: Iterable[Finding]) -> list[Any]:
    """Encode warnings and failures, each under its own code; a meaning holds 64 characters, `_texts` the whole."""
    return [
        _evaluation(words.private("FINDING"), Code(finding.code, words.PRIVATE_SCHEME, finding.message[:64]))
        for finding in dict.fromkeys(findings)
        if finding.severity != "info"
    ]


def _with_attributes(evidence: list[Dataset], attributes: Dataset, stamp: Stamp) -> list[Dataset]:
    """Set the study's attributes on the first instance, from which highdicom takes them.

    Without evidence a placeholder carries them; nothing refers to it in the result.
    """
    first = deepcopy(attributes)
    first.PatientName = ""  # highdicom warns of, and so prints, a name it finds odd
    if evidence:
        first.update(evidence[0])
        return [first, *evidence[1:]]
    first.SOPClassUID, first.Modality = NuclearMedicineImageStorage, "NM"
    first.SOPInstanceUID, first.SeriesInstanceUID = stamp.uid("none"), stamp.uid("none series")
    return [first]
