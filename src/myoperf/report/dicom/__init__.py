"""DICOM results to send back: Segmentation, Structured Report, Encapsulated PDF.

All join the input's study, are marked as research, and are written by highdicom and pydicom.
The codes are listed in `docs/dicom.md`.
"""

from __future__ import annotations

from pathlib import Path

from myoperf.errors import OutputExistsError
from myoperf.report.dicom.pdf import build_pdf_object, write_pdf_object
from myoperf.report.dicom.seg import build_seg, write_seg
from myoperf.report.dicom.source import Stamp, read_headers, save
from myoperf.report.dicom.sr import build_sr, write_sr
from myoperf.types import Report

__all__ = ["Stamp", "write_dicom_results", "write_pdf_object", "write_seg", "write_sr"]


def write_dicom_results(
    report: Report, folder: str | Path, pdf: bytes, *, stamp: Stamp | None = None
) -> tuple[Path, ...]:
    """Write every DICOM object of a report: ``NAME_seg.dcm`` for each scan, ``sr.dcm``, ``report_pdf.dcm``.

    Parameters
    ----------
    folder
        Made if it is not there. Objects are built before the first is written.
    pdf
        The finished report.
    stamp
        Gives the same UIDs and times again; by default a new set of each.

    Raises
    ------
    OutputExistsError
        When one of the files is there already; nothing is written then.
    """
    stamp = stamp or Stamp()
    folder = Path(folder)
    headers = [read_headers(result.scan) for result in report.results]
    segs = [
        build_seg(result, own, study=report.study, stamp=stamp, number=number)
        for number, (result, own) in enumerate(zip(report.results, headers, strict=True), start=1)
    ]
    objects = {f"{result.name}_seg.dcm": seg for result, seg in zip(report.results, segs, strict=True)}
    objects["sr.dcm"] = build_sr(report, headers, segmentations=segs, stamp=stamp)
    every = tuple(header for own in headers for header in own)
    objects["report_pdf.dcm"] = build_pdf_object(report, pdf, every, stamp=stamp)
    present = [name for name in objects if (folder / name).exists()]
    if present:
        raise OutputExistsError(f"{present[0]} exists already; choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(save(dataset, folder / name) for name, dataset in objects.items())
