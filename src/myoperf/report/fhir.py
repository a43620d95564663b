"""The report as FHIR R5 JSON: a Bundle of the patient, a DiagnosticReport and an Observation a number.

https://hl7.org/fhir/R5: DiagnosticReport, Observation. Codes are those of the structured report (`myoperf.quantities`).
"""

import json
import math
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.sr.coding import Code

from myoperf.quantities import UNIT_CODES, Quantity, quantities
from myoperf.report.dicom import codes as words
from myoperf.report.narrative import report_text
from myoperf.report.numbers import normal_limits
from myoperf.types import Report, ScanResult

_Json = dict[str, object]
_SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "LN": "http://loinc.org",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    words.PRIVATE_SCHEME: f"urn:oid:{words.PRIVATE_UID}",
}
_UCUM, _TERMINOLOGY = "http://unitsofmeasure.org", "http://terminology.hl7.org/CodeSystem"
_GENDERS = {"M": "male", "F": "female", "O": "other"}
_STUDY = Code("252432008", "SCT", "Radionuclide myocardial perfusion study")
_DOCUMENT = Code("49118-3", "LN", "Nuclear Medicine Report")
_NOTE = "Research use only, not for diagnosis."


def write_fhir(report: Report, path: Path | str) -> Path:
    """Write the report as a FHIR Bundle in JSON; return its path."""
    path = Path(path)
    path.write_text(json.dumps(fhir_bundle(report), indent=1, ensure_ascii=False), encoding="utf-8")
    return path


def fhir_bundle(report: Report) -> _Json:
    """Return the report as a FHIR R5 Bundle of type "collection", ready for JSON.

    The report is preliminary and says that it is research. A number that was not measured has no Observation. An
    interval stands as two components, where normal ends as reference range with an interpretation. The same report
    gives the same identifiers.
    """
    key = f"{report.study.study_uid or ''} {report.provenance.myoperf} {report.study.patient_id or ''}"
    patient = _reference(key, "patient")
    observations = [
        (_reference(key, number.owner, number.quantity.of, number.name), _observation(report, number, patient))
        for number in _numbers(report)
    ]
    conclusion = next(part for part in report_text(report) if part.key == "conclusion")
    diagnostic: _Json = {
        "resourceType": "DiagnosticReport",
        "status": "preliminary",
        "category": [_concept(Code("NM", "DCM", "Nuclear Medicine"))],
        "code": _concept(_DOCUMENT, _STUDY),
        "subject": {"reference": patient},
        "result": [{"reference": url} for url, _ in observations],
        "conclusion": f"{' '.join(conclusion.sentences)} {_NOTE}",
    }
    if report.scores.verdict is not None:
        category = words.CATEGORIES[report.scores.verdict.category]
        diagnostic["conclusionCode"] = [_concept(category)]
    if report.study.study_uid:
        diagnostic["identifier"] = [{"system": "urn:dicom:uid", "value": f"urn:oid:{report.study.study_uid}"}]
    entries = [(patient, _patient(report)), (_reference(key, "report"), diagnostic), *observations]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in entries],
    }


def _patient(report: Report) -> _Json:
    patient: _Json = {"resourceType": "Patient", "gender": _GENDERS.get(report.study.sex or "", "unknown")}
    if report.study.patient_id:
        patient["identifier"] = [{"value": report.study.patient_id}]
    return patient


def _reference(key: str, *parts: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, "\x1f".join((key, *parts))).urn


def _concept(*codes: Code) -> _Json:
    coding = [{"system": _SYSTEMS[c.scheme_designator], "code": c.value, "display": c.meaning} for c in codes]
    return {"coding": coding, "text": codes[0].meaning}


@dataclass(frozen=True, kw_only=True)
class _Number:
    """A number and where it belongs: its owner in the intervals ("scores" or a scan), its name there, and its site."""

    quantity: Quantity
    owner: str
    name: str
    value: float
    site: Code
    result: ScanResult | None = None


def _numbers(report: Report) -> Iterator[_Number]:
    """Yield every coded number of the study, of its territories and of its scans."""
    for quantity in quantities("study"):
        yield from _values(quantity, report.scores, "scores")
    for vessel, territory in report.scores.territories.items():
        for quantity in quantities("territory"):
            for number in _values(quantity, territory, "scores"):
                yield replace(number, name=f"{vessel}.{number.name}", site=words.CORONARY[vessel])
    for result in report.results:
        for quantity in quantities("scan"):
            for number in _values(quantity, result, result.name):
                yield replace(number, result=result)


def _values(quantity: Quantity, record: object, owner: str) -> Iterator[_Number]:
    """Yield the finite numbers of a coded quantity."""
    if quantity.code is None:
        return
    for i, (name, value) in enumerate(quantity.numbers(record).items()):
        vessel = name.rpartition(".")[2]
        site = words.SEGMENTS[i] if quantity.per == "segment" else words.CORONARY.get(vessel, words.LEFT_VENTRICLE)
        if math.isfinite(value):
            yield _Number(quantity=quantity, owner=owner, name=name, value=value, site=site)


def _observation(report: Report, number: _Number, patient: str) -> _Json:
    """Return the Observation of a number, with its interval and where normal ends."""
    code = number.quantity.code
    assert code is not None
    observation: _Json = {
        "resourceType": "Observation",
        "status": "preliminary",
        "code": _concept(words.concept(code)),
        "subject": {"reference": patient},
        "bodySite": _concept(number.site),
        "valueQuantity": _quantity(number.quantity, number.value),
        "note": [{"text": _NOTE}],
        "device": {"display": f"MyoPerf {report.provenance.myoperf}"},
    }
    components = []
    state = number.quantity.state or (number.result.state if number.result is not None else None)
    if state:
        value = _concept(words.STATES[state])
        components.append({"code": _concept(words.PATIENT_STATE), "valueCodeableConcept": value})
    interval = report.intervals.get(number.owner, {}).get(number.name)
    if interval is not None and math.isfinite(interval.high - interval.low):
        for text, end in (("95 % interval, lower end", interval.low), ("95 % interval, upper end", interval.high)):
            components.append({"code": {"text": text}, "valueQuantity": _quantity(number.quantity, end)})
    if components:
        observation["component"] = components
    low, high = normal_limits(report).get(number.name, (-math.inf, math.inf))
    edges = {"low": low, "high": high}
    ends = {name: _quantity(number.quantity, edge) for name, edge in edges.items() if math.isfinite(edge)}
    if ends and not number.quantity.per:
        observation["referenceRange"] = [ends]
        flag = ("L", "Low") if number.value < low else ("H", "High") if number.value >= high else ("N", "Normal")
        coding = {"system": f"{_TERMINOLOGY}/v3-ObservationInterpretation", "code": flag[0], "display": flag[1]}
        observation["interpretation"] = [{"coding": [coding]}]
    return observation


def _quantity(quantity: Quantity, value: float) -> _Json:
    unit = UNIT_CODES[quantity.unit]
    return {"value": round(float(value), 4), "unit": unit.meaning, "system": _UCUM, "code": unit.value}
