"""Myocardial blood flow from dynamic PET."""

from myoperf.flow.dynamic import blood_curves, check_flow, late_frames, measure_flow, territory_means
from myoperf.flow.kinetics import (
    FEWEST_FRAMES,
    HALF_LIFE_S,
    DynamicProtocol,
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

__all__ = [
    "FEWEST_FRAMES",
    "HALF_LIFE_S",
    "DynamicProtocol",
    "FlowFit",
    "FlowTracer",
    "blood_curves",
    "check_flow",
    "fit_flow",
    "flow_from_k1",
    "flow_reserve",
    "k1_from_flow",
    "late_frames",
    "measure_flow",
    "resample_blood",
    "resample_residuals",
    "territory_means",
    "tissue_curve",
]
