"""DICOM results to send back: Segmentation, Structured Report, Encapsulated PDF.

All belong to the input's study and are marked as research. `docs/dicom.md` lists the codes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset

from myoperf.dicom import encode_dataset, quiet_pydicom
from myoperf.errors import AnalysisError, OutputExistsError, describe_error
from myoperf.files import whole_file
from myoperf.report.dicom.pdf import build_pdf_object
from myoperf.report.dicom.seg import build_seg
from myoperf.report.dicom.source import Stamp, read_headers
from myoperf.report.dicom.sr import build_sr
from myoperf.types import Finding, Report

__all__ = ["Stamp", "build_dicom_results", "not_made", "write_dicom_results"]


def build_dicom_results(
    report: Report, *, stamp: Stamp | None = None
) -> tuple[Mapping[str, bytes], tuple[Finding, ...]]:
    """Return a report's Segmentations and Structured Report as files, by name; what cannot be made is a finding.

    Use it before the pages are written, so that they show the findings, and pass the objects to `write_dicom_results`.
    """
    stamp = stamp or Stamp()
    headers = [read_headers(result.scan) for result in report.results]
    objects: dict[str, bytes] = {}
    findings: list[Finding] = []

    def attempt(name: str, build: Callable[[], Dataset]) -> Dataset | None:
        try:
            with quiet_pydicom():
                dataset = build()
                objects[name] = encode_dataset(dataset)
        except Exception as error:  # whatever a header makes pydicom or highdicom raise, the report goes on
            findings.append(not_made(name, error))
            return None
        return dataset

    segs = [
        attempt(
            f"{result.name}_seg.dcm", partial(build_seg, result, some, study=report.study, stamp=stamp, number=number)
        )
        for number, (result, some) in enumerate(zip(report.results, headers, strict=True), start=1)
    ]
    attempt("sr.dcm", partial(build_sr, report, headers, segmentations=segs, stamp=stamp))
    return objects, tuple(findings)


def write_dicom_results(
    report: Report,
    folder: str | Path,
    pdf: bytes,
    *,
    stamp: Stamp | None = None,
    built: Mapping[str, bytes] | None = None,
) -> tuple[Path, ...]:
    """Write every DICOM object of a report: ``NAME_seg.dcm`` for each scan, ``sr.dcm``, ``report_pdf.dcm``.

    Parameters
    ----------
    folder
        Made if it does not exist. All objects are built before the first is written.
    pdf
        The finished report.
    stamp
        UIDs and time of the set; by default new ones.
    built
        What `build_dicom_results` returned for this report and `stamp`, all or some; built here by default.

    Raises
    ------
    AnalysisError
        When an object cannot be made.
    OutputExistsError
        When one of the files exists; nothing is written then.
    """
    stamp = stamp or Stamp()
    folder = Path(folder)
    if built is None:
        built, not_made = build_dicom_results(report, stamp=stamp)
        if not_made:
            raise AnalysisError(not_made[0].message)
    headers = tuple(header for result in report.results for header in read_headers(result.scan))
    with quiet_pydicom():
        pdf_object = encode_dataset(build_pdf_object(report.study, pdf, headers, stamp=stamp))
    objects = {**built, "report_pdf.dcm": pdf_object}
    present = [name for name in objects if (folder / name).exists()]
    if present:
        raise OutputExistsError(f"{present[0]} exists already; choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, encoded in objects.items():
        with whole_file(folder / name) as partial_file:
            partial_file.write_bytes(encoded)
    return tuple(folder / name for name in objects)


def not_made(name: str, error: Exception) -> Finding:
    """Return the finding that a DICOM object could not be made, with the cause."""
    return Finding("dicom-not-made", "warning", f"The DICOM object {name} could not be made. {describe_error(error)}")
