"""The HTML page and the PDF: self-contained, complete, and safe against hostile text."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from myoperf.report import draw_report, results_json, write_html, write_pdf
from myoperf.report.canvas import Text
from myoperf.report.content import RESEARCH_BAND, SIMULATED_BAND, all_findings, display_groups
from myoperf.report.fonts import text_width_mm
from myoperf.report.html import render_html
from myoperf.report.numbers import numbers_table
from myoperf.report.pdf import pdf_pages
from myoperf.types import Finding, Interval, Study
from myoperf.types.finding_kinds import FINDING_KINDS
from support.report import make_report, make_result

HOSTILE = "<script>alert('$x_{1}$')</script>\n\u0000\u6f22\u5b57 & \"quotes\" {{ 7 * 7 }}"


class Page(HTMLParser):
    """Collects tags, attributes and visible text; fails on tags that do not close in order."""

    VOID = frozenset({"meta", "img", "input", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def full_page(full) -> Page:
    return Page(render_html(full, draw_report(full)))


@pytest.fixture(scope="module")
def bare_page(bare) -> Page:
    return Page(render_html(bare, draw_report(bare)))


def pdf_text(path) -> list[str]:
    tool = shutil.which("pdftotext")
    assert tool, "pdftotext is missing: install poppler-utils (make tools does)."
    text = subprocess.run([tool, "-layout", str(path), "-"], check=True, capture_output=True).stdout.decode("utf-8")
    return text.split("\f")[:-1]


@pytest.fixture(scope="module")
def full_pdf(full, tmp_path_factory) -> list[str]:
    return pdf_text(write_pdf(full, tmp_path_factory.mktemp("pdf") / "report.pdf"))


@pytest.fixture(scope="module")
def bare_pdf(bare, tmp_path_factory) -> list[str]:
    return pdf_text(write_pdf(bare, tmp_path_factory.mktemp("pdf") / "report.pdf"))


def test_html_loads_nothing_from_anywhere(full, full_page):
    assert not {"link", "iframe", "object", "base"} & set(full_page.tags)
    assert not [value for tag, name, value in full_page.attributes if tag == "script" and name == "src"]
    sources = [value for _, name, value in full_page.attributes if name in ("src", "href", "srcset", "action")]
    assert len(sources) >= 20
    assert all(value.startswith("data:image/png;base64,") for value in sources)
    written = render_html(full, draw_report(full)).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|url\((?!#)|@import|fetch|XMLHttp", written)


def test_the_page_lets_its_own_script_run_and_no_other(full):
    """The policy names the hash of the one script; another script, or one changed by a byte, is refused."""
    written = render_html(full, draw_report(full))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', written)[1]
    (script,) = re.findall(r"<script>(.*?)</script>", written, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert html.unescape(policy).endswith(f"script-src 'sha256-{digest}'")
    assert html.unescape(policy).startswith("default-src 'none'")
    assert len(written) < 6e6


def test_every_picture_is_named_and_its_pixels_are_png(full_page):
    for tag, name, value in full_page.attributes:
        if tag == "image" and name == "href":
            assert base64.b64decode(value.split(",", 1)[1])[:8] == b"\x89PNG\r\n\x1a\n"
    labels = [value for tag, name, value in full_page.attributes if tag == "svg" and name == "aria-label"]
    assert len(labels) == full_page.tags.count("svg") - 1 == 7, (
        "slices, cine, bull's eyes, function, diagnosis, two checks"
    )
    assert all(labels)
    assert len(set(labels)) == 6, "the two checks have one name"


def expected_numbers(out: dict) -> list[str]:
    """Write every number of results.json as the report rounds it."""
    scores, shown = out["scores"], []
    shown += [str(scores[k]) for k in ("sss", "srs", "sds")]
    shown += [f"{scores[k]:.1f}" for k in ("tpd_stress_percent", "tpd_rest_percent", "tpd_ischemic_percent")]
    shown.append(f"{scores['tid_ratio']:.2f}")
    for territory in scores["territories"].values():
        shown += [str(territory[k]) for k in ("sss", "srs", "sds")]
        shown += [f"{territory[k]:.1f}" for k in ("tpd_stress_percent", "tpd_rest_percent")]
        shown += [f"{territory[k]:.0f}" for k in ("mean_stress_percent", "mean_rest_percent")]
    for scan in out["scans"]:
        shown += [f"{v:.1f}" for v in scan["segments_percent"]]
        shown += [f"{scan['volumes_ml'][k]:.0f}" for k in ("myocardium", "cavity")]
        shown += [f"{v:.1f}" for k in ("apex_mm", "base_mm") for v in scan["lv_frame"][k]]
        shown += [f"{v:.3f}" for v in scan["lv_frame"]["anterior"]]
        if scan["function"]:
            shown += [f"{scan['function'][k]:.0f}" for k in ("edv_ml", "esv_ml", "lvef_percent", "phase_bandwidth_deg")]
            shown += [f"{scan['function'][k]:.1f}" for k in ("phase_sd_deg", "stroke_volume_ml")]
    diagnosis = out["diagnosis"]
    shown += [f"{p:.3f}" for p in (*diagnosis["per_vessel"].values(), diagnosis["per_patient"], *diagnosis["interval"])]
    shown += [f"{v:.2f}" for v in out["provenance"]["timings_s"].values() if v is not None]
    shown += [f"{v:.0f}" for v in out["provenance"]["peak_memory_mb"].values()]
    return shown


def test_html_holds_every_number_of_the_json(full, full_page):
    words = set(re.findall(r"[-+]?\d+(?:\.\d+)?", full_page.text))
    missing = [text for text in expected_numbers(results_json(full)) if text not in words]
    assert missing == []


def test_html_says_who_what_and_how(full_page):
    for text in (
        "EX-0042",
        "female",
        "63 years",
        "Tc-99m sestamibi",
        "Example camera",
        "OSEM",
        "Medium severe reversible inferior defect (RCA).",
        "simulated-tc99m",
        "ab" * 32,
        "myoperf analyze study -o out",
        RESEARCH_BAND,
    ):
        assert text in full_page.text


def test_findings_stand_by_gravity(full, full_page):
    order = [full_page.text.index(f.message) for f in (full.findings[1], full.results[0].findings[0], full.findings[0])]
    assert order == sorted(order)
    classes = [v for tag, name, v in full_page.attributes if tag == "li" and name == "class"]
    assert classes == ["failure", "warning", "info"]


def test_bare_page_has_no_empty_boxes(bare_page):
    for absent in ("Territories", "Probability", "Gated function", "Basis of the diagnosis", "LVEF", "None", "nan"):
        assert absent not in bare_page.text
    assert "state unknown" in bare_page.text
    assert "not scored" in bare_page.text
    assert "Nothing tells whether this is stress or rest." in bare_page.text


def test_simulated_band_only_where_simulated(bare, bare_page, tmp_path):
    assert SIMULATED_BAND not in bare_page.text
    scan = replace(bare.results[0].scan, camera="MyoPerf Simulated camera")
    report = replace(bare, study=Study((scan,)), results=(replace(bare.results[0], scan=scan),))
    assert SIMULATED_BAND in Page(render_html(report, draw_report(report))).text
    for page in pdf_text(write_pdf(report, tmp_path / "report.pdf")):
        assert SIMULATED_BAND.upper() in page


def test_pdf_pages_carry_band_and_patient(full_pdf):
    assert len(full_pdf) == 5
    for page in full_pdf:
        assert RESEARCH_BAND.upper() in page
        assert "EX-0042" in page


def test_pdf_holds_numbers_findings_and_provenance(full, full_pdf):
    text = " ".join(" ".join(full_pdf).split())
    words = set(re.findall(r"[-+]?\d+(?:\.\d+)?", text))
    segments = [f"{v:.1f}" for r in full.results for v in r.segments_percent]
    scores = ["14", "15.2", "10.3", "1.13", "96", "28", "71", "21.4", "12.7", "0.89"]
    assert [v for v in (*segments, *scores) if v not in words] == []
    for finding in (*full.findings, *full.results[0].findings):
        assert finding.message in text
    assert "Medium severe reversible inferior defect (RCA)." in text
    assert "myoperf analyze study -o out" in text


def test_nothing_on_a_line_of_the_pdf_lies_over_another_however_many_scans(full):
    more = [make_result(name, depth=0.0, state=name.split("-")[0]) for name in ("stress-prone", "rest-2", "rest-prone")]
    noted = [replace(r, findings=(Finding("check-orientation", "warning", "The patient lay prone."),)) for r in more]
    wide = Interval(value=197.2, low=190.1, high=204.3, sd=3.0, draws=5, source="counts")
    intervals = {r.name: {"myocardium_ml": wide, "cavity_ml": wide} for r in (*full.results, *more)}
    scores = replace(full.scores, scans={"stress": "stress", "rest": "rest"})
    report = replace(full, results=(*full.results, *noted), intervals=intervals, scores=scores)
    lines: dict[tuple[int, float], list[tuple[float, float, str]]] = {}
    for page, sheet in enumerate(pdf_pages(report, draw_report(report))):
        for mark in sheet.marks:
            if isinstance(mark, Text) and mark.turn_deg == 0.0 and mark.align != "middle":
                long = text_width_mm(mark.text, mark.font.size_pt, bold=mark.font.bold)
                left = mark.x - (long if mark.align == "right" else 0.0)
                lines.setdefault((page, round(mark.y, 2)), []).append((left, left + long, mark.text))
    assert len(lines) > 100
    for line in lines.values():
        for (_, end, before), (start, _, after) in itertools.pairwise(sorted(line)):
            assert end < start + 0.01, (before, after)


def test_pdf_of_one_scan_without_scores(bare_pdf):
    assert len(bare_pdf) == 3
    text = " ".join(bare_pdf)
    assert "state unknown" in text
    assert "Nothing tells whether this is stress or rest." in text
    assert "Territories" not in text.replace("Segments and territories", "")


def test_same_report_same_bytes(bare, tmp_path):
    first, second = (write_pdf(bare, tmp_path / name).read_bytes() for name in ("a.pdf", "b.pdf"))
    assert first == second


def test_hostile_text_stays_text(bare, tmp_path):
    scan = replace(bare.results[0].scan, camera=HOSTILE, description=HOSTILE, source=(HOSTILE,))
    finding = Finding("check-orientation", "warning", HOSTILE + " long" * 200)
    result = replace(bare.results[0], scan=scan, findings=(finding,))
    report = replace(bare, study=Study((scan,), patient_id=HOSTILE), results=(result,))
    page = Page(write_html(report, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("script") == 2, "the page's own and its colours"
    assert "<script>alert('$x_{1}$')</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    text = " ".join(pdf_text(write_pdf(report, tmp_path / "report.pdf")))
    assert "<script>alert('$x_{1}$')</script>" in text


def test_many_findings_and_no_labels_still_give_a_report(bare, tmp_path):
    result = bare.results[0]
    empty = replace(result, labels=result.labels.with_array(np.zeros_like(result.labels.array)), cavity_ml=0.0)
    mild = [code for code, kind in FINDING_KINDS.items() if kind.severities == ("info",)]
    findings = tuple(Finding(mild[i % len(mild)], "info", f"Remark number {i} end.") for i in range(29))
    findings += (Finding("scan-failed", "failure", "Remark number 29 end."),)
    report = replace(bare, results=(empty,), findings=findings)
    text = Page(render_html(report, draw_report(report))).text
    assert all(f.message in text for f in findings)
    first, second, _ = pdf_text(write_pdf(report, tmp_path / "report.pdf"))
    assert "Remark number 29 end." in first, "the failure comes first"
    assert "and 27 more" in first
    assert second.count("Remark number") >= 8


def test_abstention_is_shown(full, bare, tmp_path):
    diagnosis = replace(full.diagnosis, abstained=True, reason="unlike the training data", explanation={})
    report = replace(bare, diagnosis=diagnosis)
    drawn = draw_report(report)
    assert drawn.diagnosis is None
    text = Page(render_html(report, drawn)).text
    assert "gives no probability: unlike the training data" in text
    assert "0.89" not in text


@pytest.mark.parametrize("modality", ["NM", "PT"])
def test_rest_only_and_pet(bare, modality):
    result = make_result("rest", depth=0.2, state="rest", modality=modality)
    report = replace(bare, study=Study((result.scan,)), results=(result,))
    text = Page(render_html(report, draw_report(report))).text
    assert {"NM": "SPECT", "PT": "PET"}[modality] in text
    assert "Rest %" in text
    assert "Stress" not in text


def test_further_scans_are_shown_alone(full, bare):
    extra = make_result("scan-3", depth=0.1, state="stress")
    scans = (*full.study.scans, extra.scan)
    report = replace(full, results=(*full.results, extra), study=replace(full.study, scans=scans))
    assert [[r.name for r in group] for group in display_groups(report)] == [["stress", "rest"], ["scan-3"]]
    scans = (*bare.study.scans, extra.scan)
    report = replace(bare, results=(*bare.results, extra), study=replace(bare.study, scans=scans))
    text = Page(render_html(report, draw_report(report))).text
    assert text.index("Scan-3: slices and polar maps") < text.index("Scan-1: slices and polar maps")


def test_every_scan_has_the_check_of_its_ventricle_in_the_pdf(full, tmp_path):
    extra = make_result("stress-prone", depth=0.1, state="stress")
    scans = (full.study.scans[0], extra.scan, full.study.scans[1])
    results = (full.results[0], extra, full.results[1])
    report = replace(full, results=results, study=replace(full.study, scans=scans))
    text = pdf_text(write_pdf(report, tmp_path / "report.pdf"))
    checks = [{state for state in ("Stress", "Rest", "Stress-prone") if f"{state} VLA" in page} for page in text[:3]]
    assert checks == [set(), {"Stress-prone"}, {"Stress", "Rest"}]
    heads = [
        set(re.findall(r"^ *(?:MyoPerf [\d.]+ +)?(Stress|Rest|Stress-prone) +SPECT", page, re.MULTILINE))
        for page in text
    ]
    assert heads[:3] == [{"Stress", "Rest"}, {"Stress-prone"}, {"Stress", "Rest"}]


def test_import_is_light():
    heavy = ("matplotlib", "jinja2", "reportlab", "highdicom", "pandas", "torch")
    code = f"import sys, myoperf.report; print(*sorted(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_numbers_that_tell_how_others_came_about_are_folded_away():
    report = make_report()
    whole, main, technical = (
        {row[0] for row in numbers_table(report, page).rows} for page in (None, "numbers", "technical")
    )
    assert main | technical == whole
    assert not main & technical
    assert "Ejection fraction (LVEF)" in main
    assert "Phase that noise leaves unknown" in technical


def test_html_pdf_and_json_say_the_same_category_and_no_probability_in_the_headline(full, full_page, full_pdf):
    """A normal study had "probability .73" beside its headline."""
    verdict, out = full.scores.verdict, results_json(full)
    assert out["scores"]["category"] == out["scores"]["verdict"]["category"] == verdict.category
    assert out["scores"]["summary"] == verdict.headline
    for text in (full_page.text, " ".join(" ".join(full_pdf).split())):
        assert f"Perfusion: {verdict.category}. {verdict.headline}" in text
    assert not any("probab" in sentence for section in out["text"].values() for sentence in section)
    assert f"{verdict.category.capitalize()}. {verdict.headline}" in " ".join(full_pdf[0].split())
    assert "0.89" not in full_pdf[0]
    assert "Research model, learned from simulated patients" in full_pdf[-1]


def test_the_text_follows_the_societies_structure_and_gives_where_normal_ends(full, full_page):
    titles = ("Indication", "Procedure", "Quality", "Perfusion", "Function", "Comparison", "Conclusion")
    places = [full_page.text.index(f" {title} ", full_page.text.index(" Indication Not")) for title in titles]
    assert places == sorted(places)
    assert (
        "SSS 14 (normal below 4; Hachamovitch et al. 1998 (doi:10.1161/01.CIR.97.6.535)), TPD 15.2 % (normal below "
        "5.0 %; Nakazato et al. 2010 (PMC3130607))" in full_page.text
    )
    assert "equivocal" not in full_page.text.lower()


def test_a_finding_of_several_scans_stands_once(full):
    same = full.results[0].findings[0]
    report = replace(full, results=tuple(replace(r, findings=(same,)) for r in full.results))
    assert [scope for scope, finding in all_findings(report) if finding == same] == ["Stress, Rest"]


def test_warnings_of_the_scored_scans_come_before_those_of_other_scans(full):
    """A moved CT of the scored scans fell off page 1 behind the counts of scans that were not scored."""
    moved = Finding("attenuation-moved", "warning", "The CT was moved by 9 mm.")
    counts = [Finding("low-counts", "warning", f"The front view has {n} counts.") for n in range(4)]
    stress = replace(full.results[0], findings=(counts[0], moved))
    further = [replace(stress, name=f"stress-{n}", findings=(counts[n],)) for n in (1, 2, 3)]
    scores = replace(full.scores, scans={"stress": "stress", "rest": "rest"})
    report = replace(full, findings=(), results=(*further, stress, full.results[1]), scores=scores)
    warnings = [finding for _, finding in all_findings(report) if finding.severity == "warning"]
    assert warnings[:2] == [moved, counts[0]]
    assert warnings[-3:] == counts[1:]
    first = " ".join(mark.text for mark in pdf_pages(report, draw_report(report))[0].marks if isinstance(mark, Text))
    assert moved.message in first


def test_the_report_in_words_is_in_the_pdf_to_its_last_word(full):
    """With many warnings the conclusion fell off the page, and a long sentence ended in dots."""
    long = " ".join(f"word-{i}" for i in range(200))
    noted = [Finding("low-counts", "warning", f"Warning {i}: {long} end-{i}.") for i in range(12)]
    report = replace(full, findings=tuple(noted))
    pages = pdf_pages(report, draw_report(report))
    words = [" ".join(m.text for m in page.marks if isinstance(m, Text) and m.font.size_pt == 7.0) for page in pages]
    text = " ".join(words)
    assert all(f"word-{n}" in text for n in range(200))
    assert [i for i in range(12) if f"end-{i}." not in text] == []
    assert f"Perfusion: {full.scores.category}. {full.scores.summary}" in text
    lowest = max(m.y for page in pages for m in page.marks if isinstance(m, Text) and m.font.size_pt == 7.0)
    assert lowest < 210.0 - 6.0
