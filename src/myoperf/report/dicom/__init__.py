"""DICOM results to send back: Segmentation, Structured Report, Encapsulated PDF.

All belong to the input's study and are marked as research. `docs/dicom.md` lists the codes.
"""

from pathlib import Path

from myoperf.dicom import save_dataset
from myoperf.errors import OutputExistsError
from myoperf.report.dicom.pdf import build_pdf_object
from myoperf.report.dicom.seg import build_seg
from myoperf.report.dicom.source import Stamp, read_headers
from myoperf.report.dicom.sr import build_sr
from myoperf.types import Report

__all__ = ["Stamp", "write_dicom_results"]


def write_dicom_results(
    report: Report, folder: str | Path, pdf: bytes, *, stamp: Stamp | None = None
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

    Raises
    ------
    OutputExistsError
        When one of the files exists; nothing is written then.
    """
    stamp = stamp or Stamp()
    folder = Path(folder)
    headers = [read_headers(result.scan) for result in report.results]
    segs = [
        build_seg(result, of_scan, study=report.study, stamp=stamp, number=number)
        for number, (result, of_scan) in enumerate(zip(report.results, headers, strict=True), start=1)
    ]
    objects = {f"{result.name}_seg.dcm": seg for result, seg in zip(report.results, segs, strict=True)}
    objects["sr.dcm"] = build_sr(report, headers, segmentations=segs, stamp=stamp)
    of_all_scans = tuple(header for of_scan in headers for header in of_scan)
    objects["report_pdf.dcm"] = build_pdf_object(report.study, pdf, of_all_scans, stamp=stamp)
    present = [name for name in objects if (folder / name).exists()]
    if present:
        raise OutputExistsError(f"{present[0]} exists already; choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(save_dataset(dataset, folder / name) for name, dataset in objects.items())
