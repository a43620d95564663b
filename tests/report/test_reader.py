"""What a reader made of a report, in its pages and its structured report."""

import shutil
import subprocess
from dataclasses import replace

import pydicom
import pytest

from myoperf.report import draw_report, write_pdf
from myoperf.report.canvas import Text
from myoperf.report.dicom import Stamp
from myoperf.report.dicom.source import read_headers
from myoperf.report.dicom.sr import build_sr
from myoperf.report.pdf import pdf_pages
from myoperf.report.reader import ReaderPart
from myoperf.types import Scores
from support.dicom_report import full_scores, gated_nm_result
from support.dicom_report import make_report as dicom_report
from support.report import make_report

STRESS = (4, 3, *[0] * 15)
PART = ReaderPart(
    reader="Dr Ada Müller",
    signed_at="2026-11-30 09:00:00",
    impression="Small inferior defect; attenuation is likely.\nNo ischaemia.",
    stress_scores=STRESS,
    addenda=("2026-12-01 Dr Bob: Confirmed prone.",),
)


@pytest.fixture(scope="module")
def report():
    return make_report()


def test_words_scores_and_signature_stand_on_the_first_page_and_whole_on_the_second(report, tmp_path):
    path = write_pdf(report, tmp_path / "report.pdf", reader=PART)
    tool = shutil.which("pdftotext")
    assert tool, "pdftotext is missing: install poppler-utils (make tools does)."
    done = subprocess.run([tool, "-layout", str(path), "-"], check=True, capture_output=True)
    first, second, *_ = done.stdout.decode().split("\f")
    rest = sum(report.scores.rest_scores)
    for text in ("Small inferior defect", "Signed by Dr Ada Müller, 2026-11-30 09:00:00 UTC", f"SSS 7, SRS {rest}"):
        assert text in first
    for text in ("No ischaemia.", "Signed by Dr Ada Müller", "Confirmed prone.", "Stress, reader", "Stress, machine"):
        assert text in second
    sums = next(line.split() for line in second.splitlines() if "Sum " in line)
    assert sums[sums.index("Sum") + 1 :][:2] == ["7", str(sum(report.scores.stress_scores))]


def test_no_word_of_a_reader_is_cut_on_paper(report):
    """A long impression ended in dots, and the addenda behind it ran off the page."""
    numbered = " ".join(f"word{i}" for i in range(2500))
    part = replace(PART, impression=numbered, addenda=("An addendum. " * 200, "The last addendum."))
    drawings = draw_report(report)
    pages = pdf_pages(report, drawings, reader=part)[1:]
    pages = pages[: -len(pdf_pages(report, drawings)) + 1]
    words = [word for page in pages for text in page.texts for word in text.split()]
    assert [word for word in words if word.startswith("word")] == numbered.split()
    assert words.count("addendum.") == 201
    assert all(0 < mark.y < page.height for page in pages for mark in page.marks if isinstance(mark, Text))


def test_without_a_reader_the_page_is_to_be_signed_and_nothing_else_changes(report):
    drawings = draw_report(report)
    alone, read = (pdf_pages(report, drawings, reader=part) for part in (None, PART))
    assert len(read) == len(alone) + 1
    assert "Name, signature" in alone[0].texts
    assert "Name, signature" not in read[0].texts
    assert [page.texts[5:] for page in read[2:]] == [page.texts[5:] for page in alone[1:]]


def test_a_reader_s_scores_have_no_difference_where_stress_and_rest_were_not_compared():
    machine = Scores(stress_scores=(1,) * 17, rest_scores=(0,) * 17)
    assert PART.sums(machine) == "SSS 7, SRS 0"
    assert PART.sums(replace(machine, sds=17)) == "SSS 7, SRS 0, SDS 7"


def test_who_has_not_signed_is_not_said_to_have():
    assert ReaderPart(reader="Dr Ada", impression="x").signature == "Dr Ada, not signed"


def test_the_structured_report_has_the_readers_part_beside_the_machines():
    report = dicom_report([gated_nm_result()], scores=full_scores())
    headers = [read_headers(result.scan) for result in report.results]
    sr: pydicom.Dataset = build_sr(report, headers, stamp=Stamp(), reader=PART)
    told = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item.TextValue
        for item in sr.ContentSequence
        if item.ValueType == "TEXT" and "ConceptNameCodeSequence" in item
    }
    assert "attenuation is likely" in told["Impression"]
    assert "Signed by Dr Ada Müller" in told["Impression"]
    assert "Confirmed prone." in told["Impression"]
    assert "Impression" not in told["Conclusion"]
