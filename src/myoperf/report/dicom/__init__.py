"""DICOM results to send back: derived volumes, Segmentation, Structured Report, pictures, Encapsulated PDF.

All belong to the input's study and are marked as research. `docs/dicom.md` lists the codes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset

from myoperf.dicom import encode_dataset, quiet_pydicom
from myoperf.errors import AnalysisError, OutputExistsError, describe_error
from myoperf.files import whole_file
from myoperf.report.canvas import Canvas
from myoperf.report.cine import Cine, cine_drawing
from myoperf.report.dicom.capture import build_cine, build_page
from myoperf.report.dicom.derived import Derived, derived_volumes, gate_ms
from myoperf.report.dicom.nm import build_volume
from myoperf.report.dicom.pdf import build_pdf_object
from myoperf.report.dicom.pet import build_slices
from myoperf.report.dicom.seg import build_seg, frame_of_reference
from myoperf.report.dicom.source import Headers, Stamp, read_headers
from myoperf.report.dicom.sr import build_sr
from myoperf.report.reader import ReaderPart
from myoperf.types import Finding, Report, ScanResult, Study

__all__ = ["Stamp", "build_dicom_results", "not_made", "write_dicom_results"]


def build_dicom_results(
    report: Report, *, stamp: Stamp | None = None, reader: ReaderPart | None = None, gates: bool = False
) -> tuple[Mapping[str, bytes], tuple[Finding, ...]]:
    """Return a report's volumes, Segmentations and Structured Report, by name; what cannot be made is a finding.

    Use it before the pages are written, so that they show the findings, and pass the objects to `write_dicom_results`.
    With `gates`, each gate that is labelled has a Segmentation of its own, ``NAME_seg_gate-01.dcm`` and so on.
    """
    stamp = stamp or Stamp()
    headers = [read_headers(result.scan) for result in report.results]
    objects: dict[str, bytes] = {}
    findings: list[Finding] = []

    def attempt(name: str, build: Callable[[], Dataset | Headers]) -> Headers:
        try:
            with quiet_pydicom():
                made = build()
                files = {f"{name}.dcm": made} if isinstance(made, Dataset) else _numbered(name, made)
                objects.update({file: encode_dataset(dataset) for file, dataset in files.items()})
        except Exception as error:  # whatever a header makes pydicom or highdicom raise, the report goes on
            findings.append(not_made(f"{name}.dcm", error))
            return ()
        return tuple(files.values())

    segs = []
    for number, (result, some) in enumerate(zip(report.results, headers, strict=True), start=1):
        build = partial(_build_volume, report.study, result, some, stamp)
        made = {
            one.name: attempt(f"{result.name}_{one.name}", partial(build, one, 10 * number + i))
            for i, one in enumerate(derived_volumes(result))
        }
        seg = partial(build_seg, result, some, study=report.study, stamp=stamp, number=number)
        drawn_on = made.get("recon") or made.get("late") or ()
        segs.append(next(iter(attempt(f"{result.name}_seg", partial(seg, drawn_on=drawn_on))), None))
        labelled = result.gate_labels.frames if gates and result.gate_labels is not None else 0
        for gate in range(1, labelled + 1):
            of_gate = partial(seg, drawn_on=made.get("recon_gated") or (), gate=gate)
            attempt(f"{result.name}_seg_gate-{gate:02d}", of_gate)
    attempt("sr", partial(build_sr, report, headers, segmentations=segs, stamp=stamp, reader=reader))
    return objects, tuple(findings)


def _build_volume(
    study: Study, result: ScanResult, headers: Headers, stamp: Stamp, derived: Derived, number: int
) -> Dataset | Headers:
    """Build a derived volume, as its modality has it, in the frame of reference of its scan's Segmentation."""
    shared = frame_of_reference(result, headers, stamp)
    build = build_volume if result.scan.modality == "NM" else build_slices
    return build(result, derived, headers, study=study, stamp=stamp, number=number, shared=shared)


def _numbered(name: str, slices: Headers) -> dict[str, Dataset]:
    """Return the slices of a volume by the names of their files."""
    return {f"{name}_{number:03d}.dcm": dataset for number, dataset in enumerate(slices, start=1)}


def write_dicom_results(
    report: Report,
    folder: str | Path,
    pdf: bytes,
    *,
    pages: Sequence[Canvas] = (),
    cines: Mapping[str, Cine] | None = None,
    stamp: Stamp | None = None,
    built: Mapping[str, bytes] | None = None,
) -> tuple[Path, ...]:
    """Write every DICOM object of a report: for each scan volumes and ``NAME_seg.dcm``, ``sr.dcm``, ``report_pdf.dcm``.

    Parameters
    ----------
    folder
        Made if it does not exist. All objects are built before the first is written.
    pdf
        The finished report.
    pages
        The drawn pages of the report, of which the first is kept as a picture; with them also the cine of each gated
        scan. No pictures where there are none.
    cines
        The moving slices by name of the scan, where they are drawn already (`Drawings.cines`).
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
        pictures = _pictures(report, pages, cines, headers, stamp) if pages else {}
    objects = {**built, "report_pdf.dcm": pdf_object, **pictures}
    present = [name for name in objects if (folder / name).exists()]
    if present:
        raise OutputExistsError(f"{present[0]} exists already; choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, encoded in objects.items():
        with whole_file(folder / name) as partial_file:
            partial_file.write_bytes(encoded)
    return tuple(folder / name for name in objects)


def _pictures(
    report: Report, pages: Sequence[Canvas], cines: Mapping[str, Cine] | None, headers: Headers, stamp: Stamp
) -> dict[str, bytes]:
    """Return the first page and the cine of each gated scan, by the names of their files."""
    objects = {"report_page.dcm": encode_dataset(build_page(pages[0], report.study, headers, stamp=stamp))}
    for number, result in enumerate(report.results, start=1):
        cine = cine_drawing(result) if cines is None else cines.get(result.name)
        if cine is not None:
            own = read_headers(result.scan)
            dataset = build_cine(
                cine, result.name, report.study, own, stamp=stamp, number=number, gate_ms=gate_ms(result)
            )
            objects[f"{result.name}_cine.dcm"] = encode_dataset(dataset)
    return objects


def not_made(name: str, error: Exception) -> Finding:
    """Return the finding that a DICOM object could not be made, with the cause."""
    return Finding("dicom-not-made", "warning", f"The DICOM object {name} could not be made. {describe_error(error)}")
