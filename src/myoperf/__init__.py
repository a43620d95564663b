"""MyoPerf: myocardial perfusion from the camera's files to the report. Research use only.

What most programs need is here, under one name. A study becomes a report by::

    import myoperf

    study = myoperf.read_studies("patient/").studies[0]
    report = myoperf.analyze(study)
    myoperf.write_report(report, "out")

Everything is imported when first used: ``import myoperf`` takes no time, and PyTorch loads only with a network.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from myoperf.version import __version__

if TYPE_CHECKING:
    from myoperf.errors import MyoPerfError
    from myoperf.gated import measure_function
    from myoperf.io import read_nifti, read_studies, write_nifti
    from myoperf.lv import find_lv
    from myoperf.perfusion import score_perfusion
    from myoperf.phantom.acquire import Protocol
    from myoperf.phantom.cohort_scans import CohortOptions
    from myoperf.phantom.patient import SimulatedPatient, simulate_patient
    from myoperf.phantom.records import PopulationOptions
    from myoperf.pipeline import Models, Options, load_models, write_report
    from myoperf.pipeline.analyze import analyze
    from myoperf.polar import sample_polar_map
    from myoperf.recon import ReconOptions, reconstruct
    from myoperf.types import (
        Diagnosis,
        Finding,
        FunctionResult,
        Interval,
        LVFrame,
        PolarMap,
        Projections,
        Report,
        Scan,
        ScanResult,
        Scores,
        Study,
        Volume,
    )

__all__ = [
    "CohortOptions",
    "Diagnosis",
    "Finding",
    "FunctionResult",
    "Interval",
    "LVFrame",
    "Models",
    "MyoPerfError",
    "Options",
    "PolarMap",
    "PopulationOptions",
    "Projections",
    "Protocol",
    "ReconOptions",
    "Report",
    "Scan",
    "ScanResult",
    "Scores",
    "SimulatedPatient",
    "Study",
    "Volume",
    "__version__",
    "analyze",
    "find_lv",
    "load_models",
    "measure_function",
    "read_nifti",
    "read_studies",
    "reconstruct",
    "sample_polar_map",
    "score_perfusion",
    "simulate_patient",
    "write_nifti",
    "write_report",
]

_HOMES = {
    "CohortOptions": "phantom.cohort_scans",
    "Models": "pipeline",
    "MyoPerfError": "errors",
    "Options": "pipeline",
    "PopulationOptions": "phantom.records",
    "Protocol": "phantom.acquire",
    "ReconOptions": "recon",
    "SimulatedPatient": "phantom.patient",
    "analyze": "pipeline",
    "find_lv": "lv",
    "load_models": "pipeline",
    "measure_function": "gated",
    "read_nifti": "io",
    "read_studies": "io",
    "reconstruct": "recon",
    "sample_polar_map": "polar",
    "score_perfusion": "perfusion",
    "simulate_patient": "phantom.patient",
    "write_nifti": "io",
    "write_report": "pipeline",
}
"""Module of each public name; the others are records of `myoperf.types`."""


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'types')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
