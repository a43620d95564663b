"""The Structured Report and the encapsulated PDF, read by other programs; all objects of a report together."""

import io
import shutil
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import replace
from datetime import datetime

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement

from myoperf.errors import InputError, OutputExistsError
from myoperf.io.header import encode_header
from myoperf.pipeline import write_report
from myoperf.report.dicom import Stamp, write_dicom_results
from myoperf.report.dicom.codes import SEGMENTS
from myoperf.types import Finding, Scores
from support.dicom import dciodvfy_errors
from support.dicom_report import (
    PDF,
    full_diagnosis,
    full_scores,
    gated_nm_result,
    ge_result,
    make_report,
    nifti_report,
    pet_result,
    physionet_result,
    two_day_report,
    write_pdf_object,
    write_sr,
)

KINDS = {"NM": "NMImage", "PT": "PETImage"}
SCHEME = "99MYOPERF"
LAD = "59438005"


def _numbers(path):
    """Walk the tree with plain pydicom: (name code, scheme, site code or None, value, unit) of every NUM."""
    found = []

    def walk(item):
        if item.get("ValueType") == "NUM":
            sites = [
                child.ConceptCodeSequence[0].CodeValue
                for child in item.get("ContentSequence", ())
                if child.ConceptNameCodeSequence[0].CodeValue == "363698007"
            ]
            name, value = item.ConceptNameCodeSequence[0], item.MeasuredValueSequence[0]
            unit = value.MeasurementUnitsCodeSequence[0]
            assert unit.CodingSchemeDesignator == "UCUM"
            found.append(
                (
                    name.CodeValue,
                    name.CodingSchemeDesignator,
                    sites[0] if sites else None,
                    float(value.NumericValue),
                    unit.CodeValue,
                )
            )
        for child in item.get("ContentSequence", ()):
            walk(child)

    walk(pydicom.dcmread(path))
    return found


def _one(numbers, code, scheme=SCHEME, site=None):
    matching = [(value, unit) for c, s, where, value, unit in numbers if (c, s, where) == (code, scheme, site)]
    assert len(matching) == 1, (code, matching)
    return matching[0]


def _dump(path):
    tool = shutil.which("dsrdump")
    if tool is None:
        pytest.skip("dsrdump (Debian package dcmtk) is not installed")
    said = subprocess.run([tool, "+Pc", str(path)], capture_output=True, text=True, errors="replace", check=False)
    assert said.returncode == 0, said.stderr
    assert not [line for line in said.stderr.splitlines() if line.startswith("E:")]
    return said.stdout


def _gated_report():
    return make_report([gated_nm_result()], scores=full_scores(), diagnosis=full_diagnosis())


@pytest.fixture
def gated():
    return _gated_report()


def test_function_and_scores_are_coded(tmp_path, gated):
    numbers = _numbers(write_sr(gated, tmp_path / "sr.dcm"))
    assert _one(numbers, "70822001", "SCT") == (59.96, "%")
    assert _one(numbers, "8821-1", "LN") == (120.5, "ml")
    assert _one(numbers, "8823-7", "LN") == (48.25, "ml")
    assert _one(numbers, "428832008", "SCT") == (1.23, "{ratio}")
    assert _one(numbers, "PHASE_SD") == (14.5, "deg")
    assert _one(numbers, "PHASE_BANDWIDTH") == (42.0, "deg")
    assert _one(numbers, "PHASE_ENTROPY") == (37.5, "%")
    assert [_one(numbers, name)[0] for name in ("SSS", "SRS", "SDS")] == [14, 3, 11]
    assert [_one(numbers, name) for name in ("TPD_STRESS", "TPD_REST", "TPD_ISCHEMIC")] == [
        (18.25, "%"),
        (4.5, "%"),
        (13.75, "%"),
    ]
    assert _one(numbers, "SSS", site=LAD) == (10, "{score}")
    assert "CAD_PROBABILITY" not in {name for name, *_ in numbers}, "a research model has no place in the SR"


def test_seventeen_segments_in_the_order_of_the_standard(tmp_path, gated):
    numbers = _numbers(write_sr(gated, tmp_path / "sr.dcm"))
    result = gated.results[0]
    values = [_one(numbers, "REL_UPTAKE", site=code.value)[0] for code in SEGMENTS]
    assert values == pytest.approx(result.segments_percent, abs=1e-4)
    scores = [_one(numbers, "SEGMENT_SCORE", site=code.value)[0] for code in SEGMENTS]
    assert scores == list(gated.scores.rest_scores)


def test_segment_codes_agree_with_cid_3717_and_the_ahas_names():
    from pydicom.sr.codedict import Collection

    from myoperf.segments import SEGMENT_NAMES

    collection = Collection("CID3717")
    published = {getattr(collection, name).value: getattr(collection, name).meaning for name in collection.dir()}
    assert len({code.value for code in SEGMENTS}) == 17
    for code, name in zip(SEGMENTS, SEGMENT_NAMES, strict=True):
        assert name.split()[-1] in published[code.value].lower()
        assert name.split()[0] in published[code.value].lower()
        assert code.meaning.lower() == published[code.value].lower()


def test_absent_numbers_are_left_out(tmp_path):
    report = nifti_report()
    report = replace(report, scores=Scores(), diagnosis=full_diagnosis(abstained=True))
    numbers = _numbers(write_sr(report, tmp_path / "sr.dcm"))
    assert {name for name, *_ in numbers}.isdisjoint({"SSS", "TPD_STRESS", "428832008", "CAD_PROBABILITY"})
    assert sum(name == "REL_UPTAKE" for name, *_ in numbers) == 34
    assert sum(name == "70822001" for name, *_ in numbers) == 1


def test_further_scans_have_a_group_of_their_own_scores(tmp_path):
    report = nifti_report()
    own = Scores(sss=7, tpd_stress_percent=6.4, combined_tpd_percent=3.2, stress_scores=(1,) * 7 + (0,) * 10)
    before = _numbers(write_sr(report, tmp_path / "one.dcm"))
    after = _numbers(write_sr(replace(report, scan_scores={"stress-prone": own}), tmp_path / "two.dcm"))
    added = Counter((name, value) for name, _, _, value, _ in after) - Counter(
        (name, value) for name, _, _, value, _ in before
    )
    assert {("SSS", 7.0), ("TPD_STRESS", 6.4), ("TPD_COMBINED", 3.2)} <= set(added), added
    assert added[("SEGMENT_SCORE", 1.0)] == 7
    assert "stress-prone perfusion scores" in _dump(tmp_path / "two.dcm")
    assert dciodvfy_errors(tmp_path / "two.dcm", "Comprehensive3DSR") == []


def test_findings_and_research_use_are_told(tmp_path):
    finding = Finding("state-unknown", "warning", "Neither stress nor rest is named in the file. " * 3)
    report = replace(nifti_report(), findings=(finding, Finding("state-given", "info", "Nothing to say.")))
    text = str(pydicom.dcmread(write_sr(report, tmp_path / "sr.dcm")))
    for code in ("RESEARCH_ONLY", "state-unknown", "heart-truncated"):
        assert f"Code Value                          SH: '{code}'" in text
    assert "'state-given'" not in text


def test_highdicom_reads_the_report_as_tid_1500(tmp_path, gated):
    folder = tmp_path / "dicom"
    write_dicom_results(gated, folder, PDF)
    groups = hd.sr.srread(folder / "sr.dcm").content.get_volumetric_roi_measurement_groups()
    seg = pydicom.dcmread(folder / "rest_seg.dcm")
    assert len(groups) == 2
    for group, segment, volume_ml in zip(groups, seg.SegmentSequence, (131.25, 70.5), strict=True):
        assert group.tracking_uid == segment.TrackingUID
        assert group.reference_type == hd.sr.coding.CodedConcept("121191", "DCM", "Referenced Segment")
        (measurement,) = group.get_measurements()
        assert measurement.value == volume_ml
    assert pydicom.dcmread(folder / "sr.dcm").CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == SCHEME


def test_evidence_names_every_source_and_segmentation(tmp_path):
    result, uids = pet_result()
    paths = write_dicom_results(make_report([result]), tmp_path, PDF)
    sr = pydicom.dcmread(tmp_path / "sr.dcm")
    named = {
        instance.ReferencedSOPInstanceUID
        for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in sr.get(name, ())
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    seg = pydicom.dcmread(tmp_path / "stress_seg.dcm")
    assert named == {*uids.values(), seg.SOPInstanceUID}
    names = [path.name for path in paths if "_short_axis_" not in path.name]
    assert names == ["stress_seg.dcm", "sr.dcm", "report_pdf.dcm"]


def test_patient_and_study_come_from_the_source_in_any_alphabet(tmp_path, gated):
    for path in write_dicom_results(gated, tmp_path, PDF):
        dataset = pydicom.dcmread(path)
        assert str(dataset.PatientName) == "Müßter^Jörg"
        assert str(dataset.ReferringPhysicianName) == "Ärztin^Eva"
        assert (dataset.PatientID, dataset.PatientBirthDate, dataset.PatientAge) == ("SIM-7", "19600102", "065Y")
        assert (dataset.AccessionNumber, dataset.StudyDate, dataset.StudyTime) == ("A-1", "20260102", "101500")
        assert dataset.SeriesDescription.startswith("RESEARCH")
        assert dataset.ContentQualification == "RESEARCH"
        assert dataset.Manufacturer == "MyoPerf"


def test_a_damaged_header_neither_stops_nor_leaks(tmp_path, gated):
    result = gated.results[0]
    header = pydicom.dcmread(io.BytesIO(result.scan.source_headers[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header.StudyDate, header.PatientSex, header.PatientID = "2026.01.02", "Q-female-Q-female", "P" * 80
        damaged = encode_header(header, "source")
        del header.SeriesInstanceUID
        nameless = encode_header(header, "source")
    for name, source in (("damaged", damaged), ("nameless", nameless)):
        scan = replace(result.scan, source_headers=(source,))
        report = make_report([replace(result, scan=scan)])
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            write_dicom_results(report, tmp_path / name, PDF)
        assert said == []
    seg = pydicom.dcmread(tmp_path / "damaged/rest_seg.dcm")
    assert (seg.StudyInstanceUID, seg.StudyDate, seg.PatientSex) == (header.StudyInstanceUID, "", "")
    seg = pydicom.dcmread(tmp_path / "nameless/rest_seg.dcm")
    assert seg.StudyInstanceUID != header.StudyInstanceUID
    assert "ReferencedSeriesSequence" not in seg


HOSTILE = {
    "PatientName": "Zacha\x1b[2Jrias^Quen\ntin" + "n" * 70,
    "PatientID": "P" * 65,
    "PatientSex": "U",
    "StudyInstanceUID": ["1.2.3", "1.2.4"],
    "SeriesInstanceUID": "1.02.x",
    "SpacingBetweenSlices": "abc",
    "PatientWeight": "heavy",
    "StudyID": "S" * 17,
    "StudyTime": "noon",
}
"""Values that break DICOM's rules, as cameras write them."""


def hostile_header(encoded):
    """Return an encoded header with `HOSTILE` values in it, byte by byte as given."""
    header = pydicom.dcmread(io.BytesIO(encoded))
    for keyword, value in HOSTILE.items():
        text = "\\".join([value] if isinstance(value, str) else value).encode()
        tag = pydicom.datadict.tag_for_keyword(keyword)
        kind = pydicom.datadict.dictionary_VR(tag)
        header[tag] = RawDataElement(pydicom.tag.Tag(tag), kind, len(text), text, 0, False, True)
    return encode_header(header, "source")


def test_values_that_break_the_rules_are_made_valid(tmp_path, gated):
    """Each object is valid to another program, belongs to one study and names its source the same way."""
    scans = [replace(r.scan, source_headers=tuple(map(hostile_header, r.scan.source_headers))) for r in gated.results]
    report = make_report([replace(r, scan=scan) for r, scan in zip(gated.results, scans, strict=True)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = write_dicom_results(report, tmp_path, PDF)
    assert len(paths) == 2 * len(gated.results) + 2, "a short axis and a Segmentation of each, report and numbers"
    for path in paths:
        dataset = pydicom.dcmread(path)
        assert (dataset.PatientID, dataset.PatientSex) == ("P" * 64, "")
        assert (dataset.StudyInstanceUID, dataset.StudyTime, dataset.StudyID) == ("1.2.3", "", "S" * 16)
        assert str(dataset.PatientName) == ("Zacha[2Jrias^Quentin" + "n" * 70)[:64]
        assert "PatientWeight" not in dataset
        iod = {"sr.dcm": "Comprehensive3DSR", "report_pdf.dcm": "EncapsulatedPDF"}.get(
            path.name, "Segmentation" if "seg" in path.name else "NMImage"
        )
        assert (path.name, dciodvfy_errors(path, iod)) == (path.name, [])
    references = pydicom.dcmread(tmp_path / "report_pdf.dcm").SourceInstanceSequence
    assert all(item.ReferencedSOPInstanceUID.is_valid for item in references)


def test_an_object_that_cannot_be_made_costs_nothing_else(tmp_path, gated, monkeypatch):
    """The report, the other objects and a finding with the cause are there, but not the text of the error."""

    def fails(*_, **__):
        raise ValueError("Zacharias^Quentin")

    monkeypatch.setattr("myoperf.report.dicom.build_seg", fails)
    report = write_report(gated, tmp_path / "out", formats=("dicom", "json"))
    assert {path.name for path in (tmp_path / "out" / "dicom").iterdir()} == {
        *("sr.dcm", "report_pdf.dcm", "report_page.dcm"),
        *(f"{result.name}_short_axis.dcm" for result in gated.results),
    }
    missing = [finding for finding in report.findings if finding.code == "dicom-not-made"]
    assert len(missing) == len(gated.results)
    assert "_seg.dcm could not be made. ValueError in" in missing[0].message
    assert "Zacharias" not in missing[0].message
    monkeypatch.setattr("myoperf.report.dicom.build_pdf_object", fails)
    report = write_report(gated, tmp_path / "second", formats=("dicom", "json"))
    assert {path.name for path in (tmp_path / "second").iterdir()} == {"results.json"}
    assert "report_pdf.dcm" in report.findings[-1].message


def test_a_picture_that_cannot_be_made_costs_no_other_object(tmp_path, gated, monkeypatch):
    def fails(*_, **__):
        raise ValueError("no picture")

    monkeypatch.setattr("myoperf.report.dicom.build_page", fails)
    report = write_report(gated, tmp_path / "out", formats=("dicom", "json"))
    names = {path.name for path in (tmp_path / "out" / "dicom").iterdir()}
    assert {"sr.dcm", "report_pdf.dcm", "rest_seg.dcm"} <= names
    assert "report_page.dcm" not in names
    assert ["report_page.dcm" in f.message for f in report.findings if f.code == "dicom-not-made"] == [True]


def test_nifti_objects_share_one_new_study(tmp_path):
    paths = write_dicom_results(nifti_report(), tmp_path, PDF)
    assert [path.name for path in paths] == [
        *("stress_short_axis.dcm", "stress_seg.dcm", "rest_short_axis.dcm", "rest_seg.dcm"),
        *("sr.dcm", "report_pdf.dcm"),
    ]
    datasets = [pydicom.dcmread(path) for path in paths]
    assert len({dataset.StudyInstanceUID for dataset in datasets}) == 1
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 6
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == 6
    assert "SourceInstanceSequence" not in datasets[-1]


def test_sr_alone_without_any_dicom_source(tmp_path):
    path = write_sr(nifti_report(), tmp_path / "sr.dcm")
    assert "CurrentRequestedProcedureEvidenceSequence" not in pydicom.dcmread(path)
    assert len([number for number in _numbers(path) if number[0] == "REL_UPTAKE"]) == 34


@pytest.mark.parametrize(
    "make",
    [
        nifti_report,
        _gated_report,
        two_day_report,
        lambda: make_report([pet_result()[0]], scores=full_scores()),
        pytest.param(lambda: make_report([physionet_result()], scores=full_scores()), marks=pytest.mark.real),
        pytest.param(lambda: make_report([ge_result()], diagnosis=full_diagnosis()), marks=pytest.mark.real),
    ],
    ids=["nifti", "gated-nm", "two-day", "pet", "physionet", "ge"],
)
def test_other_programs_find_no_error(tmp_path, make):
    paths = write_dicom_results(make(), tmp_path, PDF)
    text = _dump(tmp_path / "sr.dcm")
    assert '(264850008,SCT,"Left ventricle basal anterior segment")' in text
    assert "(RESEARCH_ONLY,99MYOPERF" in text
    for path in paths:
        iod = {"sr.dcm": "Comprehensive3DSR", "report_pdf.dcm": "EncapsulatedPDF"}.get(
            path.name, "Segmentation" if "seg" in path.name else KINDS.get(pydicom.dcmread(path).Modality, "")
        )
        assert (path.name, dciodvfy_errors(path, iod)) == (path.name, [])


@pytest.mark.real
@pytest.mark.parametrize("make", [physionet_result, ge_result])
def test_real_sources_give_objects_without_a_warning(tmp_path, make):
    report = make_report([make()], scores=full_scores(), diagnosis=full_diagnosis())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = write_dicom_results(report, tmp_path, PDF)
    volumes = {"stress_recon.dcm"} if report.results[0].scan.is_raw else set()
    assert {path.name for path in paths} == {
        *volumes, "stress_short_axis.dcm", "stress_seg.dcm", "sr.dcm", "report_pdf.dcm"
    }  # fmt: skip


def test_pdf_comes_back_byte_for_byte(tmp_path, gated):
    odd = PDF + b"%" * (1 - len(PDF) % 2)
    path = write_pdf_object(gated, odd, tmp_path / "p.dcm")
    dataset = pydicom.dcmread(path)
    assert len(odd) % 2 == 1
    assert dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength] == odd
    assert dataset.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert dataset.BurnedInAnnotation == "YES"
    source = pydicom.dcmread(io.BytesIO(gated.results[0].scan.source_headers[0]))
    assert dataset.SourceInstanceSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_refuses_what_is_no_pdf_and_what_is_there(tmp_path, gated):
    with pytest.raises(InputError, match="must be a PDF"):
        write_dicom_results(gated, tmp_path / "new", b"<html>")
    assert not (tmp_path / "new").exists()
    (tmp_path / "sr.dcm").write_bytes(b"kept")
    with pytest.raises(OutputExistsError, match=r"sr\.dcm"):
        write_dicom_results(gated, tmp_path, PDF)
    assert [path.name for path in tmp_path.iterdir()] == ["sr.dcm"]


def test_highdicom_is_loaded_only_when_needed():
    code = "import sys, myoperf.report.dicom; sys.exit('highdicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_inputs_are_not_changed(tmp_path, gated):
    before = [result.labels.array.copy() for result in gated.results], gated.results[0].scan.source_headers
    write_dicom_results(gated, tmp_path, PDF)
    assert all(np.array_equal(a, r.labels.array) for a, r in zip(before[0], gated.results, strict=True))
    assert before[1] == gated.results[0].scan.source_headers


def test_one_stamp_gives_the_same_files_again(tmp_path, gated):
    stamp = Stamp(key="k", when=datetime(2026, 1, 2, 3, 4, 5))
    first, again = (write_dicom_results(gated, tmp_path / name, PDF, stamp=stamp) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    for path in first:
        dataset = pydicom.dcmread(path)
        assert (dataset.ContentDate, dataset.ContentTime) == ("20260102", "030405")
