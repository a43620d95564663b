"""The main job: a study in, a report out. Only this package knows the order of the stages."""

from myoperf.pipeline.analyze import analyze
from myoperf.pipeline.clock import StageClock
from myoperf.pipeline.delivery import (
    FORMATS,
    check_formats,
    check_free,
    needs_gate_labels,
    read_formats,
    write_report,
)
from myoperf.pipeline.models import load_models
from myoperf.pipeline.options import Models, Options
from myoperf.pipeline.prior import read_prior
from myoperf.pipeline.scan_names import scan_names
from myoperf.pipeline.territories import read_territories

__all__ = [
    "FORMATS",
    "Models",
    "Options",
    "StageClock",
    "analyze",
    "check_formats",
    "check_free",
    "load_models",
    "needs_gate_labels",
    "read_formats",
    "read_prior",
    "read_territories",
    "scan_names",
    "write_report",
]
