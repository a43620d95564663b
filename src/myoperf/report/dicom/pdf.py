"""The report's PDF as a DICOM object: Encapsulated PDF (PS3.3 A.45.1)."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from myoperf import __version__
from myoperf.errors import InputError
from myoperf.report.dicom.source import Headers, Stamp, read_headers, save, study_attributes
from myoperf.types import Report

__all__ = ["IMPLEMENTATION_UID", "build_pdf_object", "write_pdf_object"]

IMPLEMENTATION_UID = "2.25.91433146938446127318206116934264110533"
_SERIES_NUMBER = 9201


def write_pdf_object(report: Report, pdf: bytes, path: str | Path, *, stamp: Stamp | None = None) -> Path:
    """Write the PDF of a report as an Encapsulated PDF of the patient's study.

    Raises
    ------
    InputError
        When `pdf` is not a PDF.
    OutputExistsError
        When `path` exists.
    """
    headers = tuple(header for result in report.results for header in read_headers(result.scan))
    return save(build_pdf_object(report, pdf, headers, stamp=stamp or Stamp()), Path(path))


def build_pdf_object(report: Report, pdf: bytes, headers: Headers, *, stamp: Stamp) -> Dataset:
    """Make the Encapsulated PDF in memory; see `write_pdf_object`. `headers` are those of all scans."""
    if not pdf.startswith(b"%PDF-"):
        raise InputError(f"An encapsulated report must be a PDF; got {len(pdf)} bytes of something else.")
    dataset = study_attributes(report.study, headers, stamp)
    dataset.SOPClassUID = EncapsulatedPDFStorage
    dataset.SOPInstanceUID = stamp.uid("pdf")
    dataset.SeriesInstanceUID = stamp.uid("pdf series")
    dataset.SeriesNumber, dataset.InstanceNumber = _SERIES_NUMBER, 1
    dataset.Modality, dataset.ConversionType = "DOC", "WSD"
    dataset.Manufacturer = dataset.ManufacturerModelName = "MyoPerf"
    dataset.SoftwareVersions = __version__
    dataset.SeriesDescription = "RESEARCH MyoPerf report"
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = "RESEARCH MyoPerf myocardial perfusion report, not for diagnosis"
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator = "49118-3", "LN"
    title.CodeMeaning = "Nuclear Medicine Report"
    dataset.ConceptNameCodeSequence = Sequence([title])
    dataset.AcquisitionDateTime = ""
    stamp.put(dataset)
    sources = []
    for header in headers:
        source = Dataset()
        source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
        sources.append(source)
    if sources:
        dataset.SourceInstanceSequence = Sequence(sources)
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    dataset.EncapsulatedDocumentLength = len(pdf)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID, meta.ImplementationVersionName = UID(IMPLEMENTATION_UID), "MYOPERF"
    dataset.file_meta = meta
    return dataset
