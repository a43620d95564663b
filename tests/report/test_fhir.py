"""The report as FHIR: valid by a FHIR library's models, and with the report's own numbers."""

import json
import math

import pytest
from fhir.resources.bundle import Bundle

from myoperf.pipeline import write_report
from myoperf.report import write_fhir
from myoperf.report.fhir import fhir_bundle
from support.dicom_report import full_scores, gated_nm_result, make_report, nifti_report
from support.report import make_report as drawn_report


def observations(bundle, code):
    resources = [entry["resource"] for entry in bundle["entry"]]
    return [r for r in resources if r["resourceType"] == "Observation" and r["code"]["coding"][0]["code"] == code]


@pytest.mark.parametrize(
    "make", [drawn_report, nifti_report, lambda: make_report([gated_nm_result()], scores=full_scores())]
)
def test_the_bundle_is_valid_by_the_models_of_another_library(make, tmp_path):
    text = write_fhir(make(), tmp_path / "report.fhir.json").read_text(encoding="utf-8")
    bundle = Bundle.model_validate_json(text)
    kinds = [entry.resource.get_resource_type() for entry in bundle.entry]
    assert kinds[:2] == ["Patient", "DiagnosticReport"]
    assert set(kinds[2:]) == {"Observation"}
    urls = [entry.fullUrl for entry in bundle.entry]
    assert len(set(urls)) == len(urls)
    assert {result.reference for result in bundle.entry[1].resource.result} == set(urls[2:])


def test_numbers_have_units_sites_and_where_normal_ends():
    report = drawn_report()
    bundle = fhir_bundle(report)
    (lvef,) = observations(bundle, "70822001")
    assert lvef["valueQuantity"] | {"value": 0} == {
        "value": 0, "unit": "Percent", "system": "http://unitsofmeasure.org", "code": "%"
    }  # fmt: skip
    assert lvef["valueQuantity"]["value"] == round(report.results[0].function.lvef_percent, 4)
    assert lvef["referenceRange"][0]["low"]["value"] == 59.0
    assert lvef["interpretation"][0]["coding"][0]["code"] == "N"
    whole = [o for o in observations(bundle, "SSS") if o["bodySite"]["coding"][0]["code"] == "87878005"]
    assert [o["valueQuantity"]["value"] for o in whole] == [14.0]
    assert whole[0]["interpretation"][0]["coding"][0]["code"] == "H"
    states = [c["valueCodeableConcept"]["text"] for c in whole[0]["component"] if "valueCodeableConcept" in c]
    assert states == ["Cardiac stress state"]
    segments = observations(bundle, "REL_UPTAKE")
    assert len(segments) == 34
    assert all(math.isfinite(o["valueQuantity"]["value"]) for o in segments)


def test_the_report_says_that_it_is_research_and_holds_no_probability_of_a_research_model():
    bundle = fhir_bundle(drawn_report())
    diagnostic = bundle["entry"][1]["resource"]
    assert diagnostic["status"] == "preliminary"
    assert diagnostic["conclusion"].endswith("Research use only, not for diagnosis.")
    assert "0.89" not in json.dumps(bundle)


def test_it_is_written_where_it_is_named(tmp_path):
    write_report(nifti_report(), tmp_path / "out", formats=("fhir",))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.fhir.json", "results.json"}
    write_report(nifti_report(), tmp_path / "other", formats=("json",))
    assert {path.name for path in (tmp_path / "other").iterdir()} == {"results.json"}
