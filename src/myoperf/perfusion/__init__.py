"""Normal limits, perfusion scores and their summary in words."""

from myoperf.perfusion.normal_limits import (
    LimitsLabel,
    NormalLimits,
    build_limits,
    choose_limits,
    detector_of,
    isotope_of,
    preferred_limits,
    read_limits,
    read_limits_folder,
    scale_map,
    shipped_limits,
    write_limits,
)
from myoperf.perfusion.scores import (
    Perfusion,
    combined_tpd,
    measure_perfusion,
    score_perfusion,
    score_segments,
    severity_map,
    tid_ratio,
)
from myoperf.perfusion.summary import summarise

__all__ = [
    "LimitsLabel",
    "NormalLimits",
    "Perfusion",
    "build_limits",
    "choose_limits",
    "combined_tpd",
    "detector_of",
    "isotope_of",
    "measure_perfusion",
    "preferred_limits",
    "read_limits",
    "read_limits_folder",
    "scale_map",
    "score_perfusion",
    "score_segments",
    "severity_map",
    "shipped_limits",
    "summarise",
    "tid_ratio",
    "write_limits",
]
