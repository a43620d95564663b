"""Every number of a scan and of a study's scores by name, for intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from myoperf.types import FlowResult, Interval, ScanResult, Scores

__all__ = ["FLOW_LISTS", "end_at_zero", "numbers_of_scan", "numbers_of_scores"]

_SEGMENT_LISTS = ("thickening_percent", "motion_mm", "phase_segments_deg")
_SIGNED = (
    "thickening_percent",
    "motion_mm",
    "phase_segments_deg",
    "phase_mean_deg",
    "phase_skewness",
    "phase_kurtosis",
)
"""Numbers that may be negative; the intervals of all others end at 0."""
_SCORES = ("sss", "srs", "sds", "tpd_stress_percent", "tpd_rest_percent", "tpd_ischemic_percent", "tid_ratio")
_MORE_SCORES = (
    "stress_extent_percent",
    "rest_extent_percent",
    "stress_mean_severity",
    "rest_mean_severity",
    "stress_percent_myocardium",
    "rest_percent_myocardium",
    "ischemic_percent_myocardium",
    "reversible_share_percent",
    "sss_20",
    "srs_20",
)
FLOW_LISTS = ("mbf_ml_min_g", "k1_ml_min_g", "k2_per_min", "spill_lv", "spill_rv")
"""Numbers of every segment of a dynamic scan that have intervals."""


def numbers_of_scan(result: ScanResult) -> dict[str, float]:
    """Name every number of a scan; those of a list are numbered from 1."""
    out = {"myocardium_ml": result.myocardium_ml, "cavity_ml": result.cavity_ml}
    out |= _listed("segments_percent", result.segments_percent)
    if result.lung_heart_ratio is not None:
        out["lung_heart_ratio"] = result.lung_heart_ratio
    if result.flow is not None:
        out |= _flow_numbers(result.flow)
    function = result.function
    if function is not None:
        named = ("edv_ml", "esv_ml", "lvef_percent", "phase_sd_deg", "phase_bandwidth_deg", "phase_entropy_percent")
        out |= {name: float(getattr(function, name)) for name in named if getattr(function, name) is not None}
        out |= _listed("volumes_ml", function.volumes_ml)
        for name, value in function.more.items():
            if isinstance(value, float | int | np.number) and not isinstance(value, bool):
                out[name] = float(value)
            elif name in _SEGMENT_LISTS:
                out |= _listed(name, value)
    return out


def _flow_numbers(flow: FlowResult) -> dict[str, float]:
    """Name the numbers of a dynamic scan: ``flow.mbf_ml_min_g.1`` ..., ``flow.LAD``, ``flow.global``."""
    out = {f"flow.{name}": value for name, value in flow.territories_ml_min_g.items()}
    for name in FLOW_LISTS:
        out |= _listed(f"flow.{name}", getattr(flow, name))
    return out


def numbers_of_scores(scores: Scores) -> dict[str, float]:
    """Name every score of a study; territories as ``LAD.sss``."""
    out = {name: float(getattr(scores, name)) for name in _SCORES if getattr(scores, name) is not None}
    for vessel, territory in scores.territories.items():
        out |= {f"{vessel}.{name}": float(value) for name, value in asdict(territory).items() if value is not None}
    out |= {name: float(scores.more[name]) for name in _MORE_SCORES if scores.more.get(name) is not None}
    for name, value in scores.more.get("flow_reserve", {}).items():
        out |= _listed("flow_reserve", value) if name == "segments" else {f"flow_reserve.{name}": float(value)}
    return out


def end_at_zero(name: str, interval: Interval) -> Interval:
    """End the interval of a number that cannot be negative at 0."""
    signed = name.rpartition(".")[0] in _SIGNED or name in _SIGNED
    return interval if signed or interval.value < 0 else replace(interval, low=max(interval.low, 0.0))


def _listed(
    name: str, values: Sequence[float] | np.ndarray[tuple[int, ...], np.dtype[np.floating]]
) -> dict[str, float]:
    return {f"{name}.{i}": float(value) for i, value in enumerate(values, start=1)}
