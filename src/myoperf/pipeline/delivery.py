"""Write a report's files: all of them, or none."""

import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from myoperf.errors import InputError, OutputExistsError
from myoperf.io import write_nifti
from myoperf.pipeline.clock import StageClock
from myoperf.report import write_html, write_json, write_pdf, write_polar
from myoperf.segments import TERRITORIES
from myoperf.types import Report, ScanResult

FORMATS = ("html", "pdf", "json", "nifti", "polar", "dicom")
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
        Any of `FORMATS`; ``json`` is always written, as it marks a folder as a result.
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
    with write_whole_folder(folder) as partial:
        report = _write_all(report, partial, formats, clock)
        for name, source in (attach or {}).items():
            shutil.copytree(source, partial / name)
    return report


def check_formats(formats: Collection[str]) -> None:
    """Raise unless every format is one of `FORMATS`."""
    unknown = set(formats) - set(FORMATS)
    if unknown:
        raise InputError(f"Unknown format {', '.join(sorted(unknown))}; choose from {', '.join(FORMATS)}.")


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Raise unless results may be written to `folder`."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputExistsError(f"{folder.name} is a file; choose a folder for the results.")
    if not any(folder.iterdir()):
        return
    if not overwrite:
        raise OutputExistsError(
            f"The folder {folder.name} is not empty; choose another, or --overwrite to replace an earlier result."
        )
    if not _is_result(folder):
        raise OutputExistsError(f"The folder {folder.name} holds no earlier MyoPerf result; it will not be replaced.")


@contextmanager
def write_whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `folder` when the block ends without an error.

    A process that stops before leaves `folder` as it was. An earlier folder of that name is set aside under
    ``NAME-earlier-...`` for the moment between two renames, and removed last.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield partial
        partial.chmod(0o755)  # mkdtemp's folders are for the owner only
        _put_in_place(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _put_in_place(partial: Path, folder: Path) -> None:
    """Rename the finished folder to its name."""
    if not folder.exists():
        partial.rename(folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}-earlier-", dir=folder.parent)) / folder.name
    folder.rename(aside)
    try:
        partial.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    finally:
        if folder.exists():
            shutil.rmtree(aside.parent, ignore_errors=True)


def _is_result(folder: Path) -> bool:
    """Return whether a folder was written by `write_report`."""
    try:
        schema = json.loads((folder / "results.json").read_text(encoding="utf-8")).get("schema", "")
    except (OSError, ValueError, AttributeError):
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
                write_polar(result, folder, territories=report.scores.territory_segments or TERRITORIES)
        report = _timed(report, clock)
        if "html" in formats:
            clock.announce("report.html")
            write_html(report, folder / "report.html")
        if "pdf" in formats or "dicom" in formats:
            clock.announce("report.pdf")
            write_pdf(report, folder / "report.pdf")
        if "dicom" in formats:
            clock.announce("DICOM objects")
            _write_dicom(report, folder, keep_pdf="pdf" in formats)
    report = _timed(report, clock)
    write_json(report, folder / "results.json")
    return report


def _write_dicom(report: Report, folder: Path, *, keep_pdf: bool) -> None:
    """Write SEG, SR and the encapsulated PDF into ``dicom/``."""
    from myoperf.report.dicom import write_dicom_results  # highdicom takes long to load

    pdf = folder / "report.pdf"
    write_dicom_results(report, folder / "dicom", pdf.read_bytes())
    if not keep_pdf:
        pdf.unlink()


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
