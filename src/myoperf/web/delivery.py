"""The report as its reader made it: PDF and DICOM objects with the reader's words, scores and signature."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from myoperf.report import draw_report, write_pdf
from myoperf.report.canvas import Canvas
from myoperf.report.pdf import pdf_pages
from myoperf.report.reader import ReaderPart
from myoperf.types import Report
from myoperf.web.analysis import PDF, ZIP, load_record
from myoperf.web.room import Room
from myoperf.web.security import MACHINE


def reader_part(found: Mapping[str, Any]) -> ReaderPart | None:
    """Return what readers made of a study as `study_of` tells it; None where the machine's report stands unsigned."""
    reading, signature = found["reading"], found["signature"]
    stress, rest = reading["stress_scores"], reading["rest_scores"]
    if signature is None and not (reading["impression"] or stress or rest):
        return None
    readers = [edit["reader"] for edit in found["history"] if edit["reader"] != MACHINE]
    return ReaderPart(
        reader=signature["reader"] if signature else readers[-1],
        signed_at=signature["signed_at"].replace("T", " ").removesuffix("Z") if signature else "",
        impression=reading["impression"],
        stress_scores=None if stress is None else tuple(stress),
        rest_scores=None if rest is None else tuple(rest),
        addenda=tuple(f"{one['made_at']} {one['reader']}: {one['text']}" for one in found["addenda"]),
    )


def readers_file(room: Room, study_id: int, number: int, reader: ReaderPart, name: str) -> tuple[str, bytes]:
    """Return the media type and the content of ``report.pdf`` or ``dicom.zip`` of an analysis with a reader's part.

    Raises
    ------
    NotThereError
        When the analysis is not complete yet, or another version made it.
    """
    report = load_record(room, study_id, number)
    with room.scratch() as folder:
        drawings = draw_report(report)
        pdf = write_pdf(report, folder / "report.pdf", drawings=drawings, reader=reader).read_bytes()
        if name == "report.pdf":
            return PDF, pdf
        return ZIP, _packed(report, folder / "dicom", pdf, pdf_pages(report, drawings, reader=reader), reader)


def _packed(report: Report, folder: Path, pdf: bytes, pages: Sequence[Canvas], reader: ReaderPart) -> bytes:
    from myoperf.report import dicom  # highdicom takes long to load

    stamp = dicom.Stamp()
    built, _ = dicom.build_dicom_results(report, stamp=stamp, reader=reader)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in dicom.write_dicom_results(report, folder, pdf, pages=pages, stamp=stamp, built=built):
            archive.write(path, path.name)
    return packed.getvalue()
