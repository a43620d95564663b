"""The report: pages, pictures and JSON of an analysis (DICOM objects in ``myoperf.report.dicom``).

Nothing heavy is imported until a function that needs it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from myoperf.report.contract import results_json, write_json
    from myoperf.report.drawings import draw_report
    from myoperf.report.fhir import write_fhir
    from myoperf.report.html import write_html
    from myoperf.report.pdf import write_pdf
    from myoperf.report.polar_files import write_polar

__all__ = ["draw_report", "results_json", "write_fhir", "write_html", "write_json", "write_pdf", "write_polar"]

_HOMES = {
    "draw_report": "drawings",
    "results_json": "contract",
    "write_json": "contract",
    "write_fhir": "fhir",
    "write_html": "html",
    "write_pdf": "pdf",
    "write_polar": "polar_files",
}


def __getattr__(name: str) -> Any:
    """Import a public function's module when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
