"""The report's PDF as a DICOM object: Encapsulated PDF (PS3.3 A.45.1)."""

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from myoperf.dicom import code_item, instance_reference
from myoperf.errors import InputError
from myoperf.report.dicom.source import Headers, Stamp, study_attributes
from myoperf.types import Study
from myoperf.version import __version__

_SERIES_NUMBER = 9201


def build_pdf_object(study: Study, pdf: bytes, headers: Headers, *, stamp: Stamp) -> Dataset:
    """Return the PDF of a report as an Encapsulated PDF of the patient's study.

    Parameters
    ----------
    study
        Identifies the patient where there are no headers.
    headers
        Of all scans of the report, from `read_headers`.

    Raises
    ------
    InputError
        When `pdf` is not a PDF.
    """
    if not pdf.startswith(b"%PDF-"):
        raise InputError(f"An encapsulated report must be a PDF; got {len(pdf)} bytes of something else.")
    dataset = study_attributes(study, headers, stamp)
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
    dataset.ConceptNameCodeSequence = [code_item("49118-3", "LN", "Nuclear Medicine Report")]
    dataset.AcquisitionDateTime = ""
    stamp.mark(dataset)
    if headers:
        dataset.SourceInstanceSequence = [instance_reference(header) for header in headers]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    dataset.EncapsulatedDocumentLength = len(pdf)
    return dataset
