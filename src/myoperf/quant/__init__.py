"""Numbers from polar maps and gated volumes, formula by formula with its source."""

from __future__ import annotations

from myoperf.quant.counts import lung_heart_ratio
from myoperf.quant.curve import VolumeCurve, fit_volume_curve
from myoperf.quant.dynamic import blood_curves, late_frames, measure_flow, territory_means
from myoperf.quant.flow import (
    FlowFit,
    FlowTracer,
    fit_flow,
    flow_from_k1,
    flow_reserve,
    k1_from_flow,
    resample_blood,
    resample_residuals,
    tissue_curve,
)
from myoperf.quant.function import measure_function, static_cavities_ml, static_cavity_ml
from myoperf.quant.intervals import (
    Interval,
    interval_from_counts,
    interval_from_outline,
    interval_of_draws,
    jitter_frame,
    resample_counts,
)
from myoperf.quant.motion import Motion, correct_motion, estimate_motion
from myoperf.quant.normals import (
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
from myoperf.quant.perfusion import (
    Perfusion,
    measure_perfusion,
    score_perfusion,
    score_segments,
    severity_map,
    tid_ratio,
)
from myoperf.quant.quality import check_quality
from myoperf.quant.summary import summarise
from myoperf.quant.synchrony import Synchrony, measure_synchrony

__all__ = [
    "FlowFit",
    "FlowTracer",
    "Interval",
    "Motion",
    "NormalLimits",
    "Perfusion",
    "Synchrony",
    "VolumeCurve",
    "blood_curves",
    "build_limits",
    "check_quality",
    "choose_limits",
    "correct_motion",
    "detector_of",
    "estimate_motion",
    "fit_flow",
    "fit_volume_curve",
    "flow_from_k1",
    "flow_reserve",
    "interval_from_counts",
    "interval_from_outline",
    "interval_of_draws",
    "isotope_of",
    "jitter_frame",
    "k1_from_flow",
    "late_frames",
    "lung_heart_ratio",
    "measure_flow",
    "measure_function",
    "measure_perfusion",
    "measure_synchrony",
    "preferred_limits",
    "read_limits",
    "read_limits_folder",
    "resample_blood",
    "resample_counts",
    "resample_residuals",
    "scale_map",
    "score_perfusion",
    "score_segments",
    "severity_map",
    "shipped_limits",
    "static_cavities_ml",
    "static_cavity_ml",
    "summarise",
    "territory_means",
    "tid_ratio",
    "tissue_curve",
    "write_limits",
]
