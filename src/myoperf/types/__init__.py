"""The records that travel between stages: frozen, numpy only, checked when made.

One world frame is used inside MyoPerf: DICOM's patient frame LPS (x to the
patient's left, y to the back, z to the head), in millimetres. Arrays are
indexed (frames, planes, rows, columns); an affine ``lps_from_index`` maps the
homogeneous index ``(plane, row, column, 1)`` to ``(x, y, z, 1)``.
"""

from myoperf.types.basics import (
    BACKGROUND,
    BLOOD_POOL,
    MYOCARDIUM,
    VESSELS,
    Finding,
    Float,
    Float32,
    Float64,
    Framing,
    Interval,
    Modality,
    Orientation,
    Severity,
    State,
)
from myoperf.types.image import Projections, Volume
from myoperf.types.report import Diagnosis, NormalLimitsInfo, Provenance, Report, Scores, TerritoryScores, WeightsInfo
from myoperf.types.results import FlowResult, FunctionResult, ScanResult
from myoperf.types.study import Scan, Study
from myoperf.types.ventricle import LVFrame, PolarMap

__all__ = [
    "BACKGROUND",
    "BLOOD_POOL",
    "MYOCARDIUM",
    "VESSELS",
    "Diagnosis",
    "Finding",
    "Float",
    "Float32",
    "Float64",
    "FlowResult",
    "Framing",
    "FunctionResult",
    "Interval",
    "LVFrame",
    "Modality",
    "NormalLimitsInfo",
    "Orientation",
    "PolarMap",
    "Projections",
    "Provenance",
    "Report",
    "Scan",
    "ScanResult",
    "Scores",
    "Severity",
    "State",
    "Study",
    "TerritoryScores",
    "Volume",
    "WeightsInfo",
]
