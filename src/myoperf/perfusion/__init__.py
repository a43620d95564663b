"""Normal limits, perfusion scores and their summary in words."""

from myoperf.perfusion.cameras import camera_kind
from myoperf.perfusion.cutoffs import (
    build_robust_limits,
    cutoffs_of,
    database_sd_percent,
    diffuse_loss,
    leave_out,
    with_cutoffs,
)
from myoperf.perfusion.defects import find_defects
from myoperf.perfusion.limits_choice import (
    Condition,
    choose_limits,
    detector_of,
    isotope_of,
    other_condition,
    preferred_limits,
)
from myoperf.perfusion.limits_files import read_limits, read_limits_folder, shipped_limits, write_limits
from myoperf.perfusion.normal_limits import LimitsLabel, NormalCutoffs, NormalLimits, build_limits, scale_map
from myoperf.perfusion.scores import (
    Perfusion,
    combined_tpd,
    deviation_map,
    measure_perfusion,
    score_perfusion,
    score_segments,
    severity_map,
    tid_ratio,
)
from myoperf.perfusion.verdict import Evidence, decide, with_verdict

__all__ = [
    "Condition",
    "Evidence",
    "LimitsLabel",
    "NormalCutoffs",
    "NormalLimits",
    "Perfusion",
    "build_limits",
    "build_robust_limits",
    "camera_kind",
    "choose_limits",
    "combined_tpd",
    "cutoffs_of",
    "database_sd_percent",
    "decide",
    "detector_of",
    "deviation_map",
    "diffuse_loss",
    "find_defects",
    "isotope_of",
    "leave_out",
    "measure_perfusion",
    "other_condition",
    "preferred_limits",
    "read_limits",
    "read_limits_folder",
    "scale_map",
    "score_perfusion",
    "score_segments",
    "severity_map",
    "shipped_limits",
    "tid_ratio",
    "with_cutoffs",
    "with_verdict",
    "write_limits",
]
