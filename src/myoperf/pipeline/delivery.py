"""Write a report's files: all of them, or none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from myoperf import report as output  # its functions load their libraries when first used
from myoperf.errors import InputError, OutputExistsError
from myoperf.files import check_destination, whole_folder
from myoperf.io import write_nifti
from myoperf.pipeline.clock import StageClock
from myoperf.report import write_json
from myoperf.segments import TERRITORIES
from myoperf.text import printable
from myoperf.types import Finding, Report, ScanResult

if TYPE_CHECKING:
    from myoperf.report.drawings import Drawings

FORMATS = ("html", "pdf", "json", "nifti", "polar", "dicom")
_NAMED_ONLY = ("seg-gated", "fhir")
"""Formats that are written where they are named, and not among all."""
_SCHEMA = "myoperf.report/"


def write_report(
    report: Report,
    folder: str | Path,
    *,
    formats: Collection[str] = FORMATS,
    overwrite: bool = False,
    clock: StageClock | None = None,
    attach: Mapping[str, Path] | None = None,
) -> Report:
    """Write a report's files into `folder`: all of the chosen formats, or nothing.

    ``results.json``, and by format ``report.html``, ``report.pdf``, volumes and labels as NIfTI, polar maps as NumPy
    archives and pictures, and DICOM objects in ``dicom/``.

    Parameters
    ----------
    report
        What to write.
    folder
        Must be absent or empty, or hold an earlier result when `overwrite` is true.
    formats
        Any of `FORMATS`, ``seg-gated`` for ``dicom`` with a Segmentation of each gate that is labelled, or ``fhir``
        for ``report.fhir.json``; ``json`` is always written, as it marks a folder as a result.
    clock
        Goes on counting; its figures enter the written report's provenance.
    attach
        Folders to copy in next to the results, by the name they get.

    Returns
    -------
    The report as written: its provenance holds the time of the writing too.

    Raises
    ------
    OutputExistsError
        When the folder holds something that may not be replaced; nothing is changed.
    InputError
        For an unknown format.

    Examples
    --------
    >>> import myoperf
    >>> report = myoperf.analyze(myoperf.read_studies("patient/").studies[0])  # doctest: +SKIP
    >>> myoperf.write_report(report, "out", formats=("html", "json"))  # doctest: +SKIP
    """
    folder = Path(folder)
    check_formats(formats)
    check_free(folder, overwrite=overwrite)
    clock = clock or StageClock()
    with whole_folder(folder, overwrite=overwrite) as partial:
        report = _write_all(report, partial, formats, clock)
        for name, source in (attach or {}).items():
            shutil.copytree(source, partial / name)
    return report


def check_formats(formats: Collection[str]) -> None:
    """Raise unless every format is one of `FORMATS`, ``seg-gated`` or ``fhir``."""
    unknown, known = set(formats) - {*FORMATS, *_NAMED_ONLY}, ", ".join((*FORMATS, *_NAMED_ONLY))
    if unknown:
        raise InputError(f"Unknown format {printable(', '.join(sorted(unknown)))}; choose from {known}.")


def read_formats(text: str) -> tuple[str, ...]:
    """Return the formats that a comma-separated text names, in the order of `FORMATS`; ``all`` stands for those.

    Raises
    ------
    InputError
        When it names none, or an unknown one.

    Examples
    --------
    >>> read_formats("PDF, html")
    ('html', 'pdf')
    """
    named = {part.strip().lower() for part in text.split(",")} - {""}
    if "all" in named:
        named = named - {"all"} | set(FORMATS)
    check_formats(named)
    if not named:
        raise InputError(f"No format is named; choose from {', '.join(FORMATS)}, or all.")
    return tuple(name for name in (*FORMATS, *_NAMED_ONLY) if name in named)


def needs_gate_labels(formats: Collection[str]) -> bool:
    """Return whether a format shows the labels of every gate, which `Options.gate_labels` asks for."""
    return bool({"nifti", "seg-gated"} & set(formats))


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Raise unless results may and can be written to `folder`; nothing is created.

    Raises
    ------
    OutputExistsError
        When the folder holds something that may not be replaced.
    OSError
        When the place cannot be written to, see `myoperf.files.check_destination`.
    """
    check_destination(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputExistsError(f"{folder.name} is a file; choose a folder for the results.")
    if not any(folder.iterdir()):
        return
    if not overwrite:
        raise OutputExistsError(
            f"The folder {folder.name or folder} is not empty; choose another, or --overwrite to replace an earlier "
            "result."
        )
    if not _is_result(folder):
        raise OutputExistsError(f"The folder {folder.name} holds no earlier MyoPerf result; it will not be replaced.")


def _is_result(folder: Path) -> bool:
    """Return whether a folder was written by `write_report`."""
    try:
        schema = json.loads((folder / "results.json").read_text(encoding="utf-8")).get("schema", "")
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
    return str(schema).startswith(_SCHEMA)


def _write_all(report: Report, folder: Path, formats: Collection[str], clock: StageClock) -> Report:
    """Write the large files first, then the pages, last the JSON, which holds the time of all of it."""
    with clock.stage("report"):
        for result in report.results:
            if "nifti" in formats:
                clock.announce(f"{result.name}: volumes")
                _write_volumes(result, folder)
            if "polar" in formats:
                clock.announce(f"{result.name}: polar map")
                output.write_polar(result, folder, territories=report.scores.territory_segments or TERRITORIES)
        if {"dicom", "seg-gated"} & set(formats):
            report = _write_dicom_and_pages(report, folder, formats, clock)
        else:
            report, _ = _write_pages(report, folder, formats, clock)
    report = _timed(report, clock)
    if "fhir" in formats:
        output.write_fhir(report, folder / "report.fhir.json")
    write_json(report, folder / "results.json")
    return report


def _write_pages(
    report: Report, folder: Path, formats: Collection[str], clock: StageClock
) -> tuple[Report, Drawings | None]:
    """Draw the pictures once and write the pages; return the report as they show it, and the pictures."""
    report = _timed(report, clock)
    if not {"html", "pdf"} & set(formats):
        return report, None
    clock.announce("pictures")
    drawings = output.draw_report(report)
    if "html" in formats:
        clock.announce("report.html")
        output.write_html(report, folder / "report.html", drawings=drawings)
    if "pdf" in formats:
        clock.announce("report.pdf")
        output.write_pdf(report, folder / "report.pdf", drawings=drawings)
    return report, drawings


def _write_dicom_and_pages(report: Report, folder: Path, formats: Collection[str], clock: StageClock) -> Report:
    """Write the pages and the objects of ``dicom/``; what cannot be made becomes a finding."""
    from myoperf.report import dicom  # highdicom takes long to load
    from myoperf.report.pdf import pdf_pages

    clock.announce("DICOM objects")
    stamp = dicom.Stamp()
    built, not_made = dicom.build_dicom_results(report, stamp=stamp, gates="seg-gated" in formats)
    report, drawings = _write_pages(_with_findings(report, not_made), folder, {*formats, "pdf"}, clock)
    pdf = folder / "report.pdf"
    pages = pdf_pages(report, drawings) if drawings is not None else ()
    for pictured, name in ((pages, "report_page.dcm"), ((), "report_pdf.dcm")):  # no picture costs the other objects
        try:
            cines = drawings.cines if pictured and drawings is not None else None
            dicom.write_dicom_results(
                report, folder / "dicom", pdf.read_bytes(), pages=pictured, cines=cines, stamp=stamp, built=built
            )
            break
        except OSError:
            raise
        except Exception as error:  # as in `build_dicom_results`; the pages are written by now
            report = _with_findings(report, (dicom.not_made(name, error),))
    if "pdf" not in formats:
        pdf.unlink()
    return report


def _with_findings(report: Report, findings: tuple[Finding, ...]) -> Report:
    """Return the report with further findings about the study."""
    return replace(report, findings=(*report.findings, *findings))


def _write_volumes(result: ScanResult, folder: Path) -> None:
    """Write the volume, the labels (those of the gates too) and the short-axis volume as NIfTI."""
    write_nifti(folder / f"{result.name}_volume.nii.gz", result.volume)
    write_nifti(folder / f"{result.name}_lv_labels.nii.gz", result.labels)
    if result.gate_labels is not None:
        write_nifti(folder / f"{result.name}_lv_labels_gated.nii.gz", result.gate_labels)
    write_nifti(folder / f"{result.name}_short_axis.nii.gz", result.short_axis)


def _timed(report: Report, clock: StageClock) -> Report:
    """Return the report with the clock's present figures."""
    return replace(
        report, provenance=replace(report.provenance, timings_s=clock.timings(), peak_memory_mb=clock.peaks())
    )
