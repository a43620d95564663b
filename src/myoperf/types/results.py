"""What a scan gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from myoperf.types.basics import Finding, Float, State
from myoperf.types.image import Volume
from myoperf.types.study import Scan
from myoperf.types.ventricle import LVFrame, PolarMap

__all__ = ["FlowResult", "FunctionResult", "ScanResult"]


@dataclass(frozen=True, eq=False)
class FunctionResult:
    """Ventricular function and synchrony of a gated scan; None where not measured."""

    edv_ml: float
    esv_ml: float
    lvef_percent: float
    phase_sd_deg: float | None = None
    phase_bandwidth_deg: float | None = None
    phase_entropy_percent: float | None = None
    volumes_ml: tuple[float, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FlowResult:
    """Myocardial blood flow of a dynamic PET scan, with the curves it comes from.

    Attributes
    ----------
    tracer
        ``"N-13"`` or ``"Rb-82"``: whose extraction was used.
    mbf_ml_min_g, k1_ml_min_g, k2_per_min
        Shape (17,): flow, uptake and washout rate, AHA order.
    spill_lv, spill_rv
        Shape (17,): shares of the blood pools in the wall's activity.
    residual_percent
        Shape (17,): root mean square misfit against the segment's mean activity.
    territories_ml_min_g
        Vessel, and ``"global"`` -> mean flow of its segments.
    start_s, duration_s
        Shape (frames,), from the start of the first frame.
    left, right
        Shape (frames,): activity of the ventricles' blood.
    wall, fitted
        Shape (17, frames): activity of the segments, and of the fit.
    """

    tracer: str
    mbf_ml_min_g: Float
    k1_ml_min_g: Float
    k2_per_min: Float
    spill_lv: Float
    spill_rv: Float
    residual_percent: Float
    territories_ml_min_g: Mapping[str, float]
    start_s: Float
    duration_s: Float
    left: Float
    right: Float
    wall: Float
    fitted: Float


@dataclass(frozen=True, eq=False)
class ScanResult:
    """All that was made of one scan.

    Parameters
    ----------
    name
        ``"stress"``, ``"rest"`` or ``"scan-N"``; names the scan's files.
    volume
        The transaxial volume analysed, summed over gates, or over the late time frames of a dynamic scan.
    labels
        Same grid as `volume`, uint8: 0 background, 1 myocardium, 2 blood pool.
    short_axis
        Planes from apex to base, rows from anterior to inferior, columns from septal to lateral.
    polar, polar_mean
        Maximum and mean over the wall.
    segments_percent
        Shape (17,), AHA order, percent of the map's maximum.
    gated_volume, gated_polar
        Kept for gated scans.
    gate_labels
        Of gated scans, where asked for: uint8 (gates, planes, rows, columns), every gate labelled in the summed frame.
    flow
        Of dynamic PET scans, where it could be measured.
    lung_heart_ratio
        Of raw views, where lung and heart lie inside them.
    """

    name: str
    scan: Scan
    volume: Volume
    frame: LVFrame
    labels: Volume
    short_axis: Volume
    polar: PolarMap
    polar_mean: PolarMap
    segments_percent: Float
    myocardium_ml: float
    cavity_ml: float
    reconstruction: Mapping[str, Any] | None = None
    function: FunctionResult | None = None
    gated_volume: Volume | None = None
    gated_polar: PolarMap | None = None
    gate_labels: Volume | None = None
    flow: FlowResult | None = None
    lung_heart_ratio: float | None = None
    findings: tuple[Finding, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: Mapping[str, float] = field(default_factory=dict)

    @property
    def state(self) -> State | None:
        """Stress, rest or unknown."""
        return self.scan.state
