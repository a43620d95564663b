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
    STRESSORS,
    VESSELS,
    Array,
    Finding,
    Float,
    Float32,
    Float64,
    Framing,
    Interval,
    Modality,
    Orientation,
    Position,
    Sex,
    State,
    Stressor,
)
from myoperf.types.finding_kinds import Severity
from myoperf.types.image import Projections, ScatterWindow, Volume
from myoperf.types.report import (
    Diagnosis,
    NormalLimitsInfo,
    PretestProbability,
    Provenance,
    Report,
    Scores,
    Settings,
    TerritoryScores,
    WeightsInfo,
)
from myoperf.types.results import (
    CollimatorRecord,
    FilterRecord,
    FlowReserve,
    FlowResult,
    FunctionResult,
    PhaseHistogram,
    ReconstructionRecord,
    ScanResult,
    Synchrony,
    VolumeCurve,
    WallFunction,
    WallSurfaces,
)
from myoperf.types.study import AttenuationImage, Scan, Study
from myoperf.types.ventricle import LVFrame, PolarMap
from myoperf.types.verdict import Category, Cutoffs, Defect, Kind, Verdict

__all__ = [
    "BACKGROUND",
    "BLOOD_POOL",
    "MYOCARDIUM",
    "STRESSORS",
    "VESSELS",
    "Array",
    "AttenuationImage",
    "Category",
    "CollimatorRecord",
    "Cutoffs",
    "Defect",
    "Diagnosis",
    "FilterRecord",
    "Finding",
    "Float",
    "Float32",
    "Float64",
    "FlowReserve",
    "FlowResult",
    "Framing",
    "FunctionResult",
    "Interval",
    "Kind",
    "LVFrame",
    "Modality",
    "NormalLimitsInfo",
    "Orientation",
    "PhaseHistogram",
    "PolarMap",
    "Position",
    "PretestProbability",
    "Projections",
    "Provenance",
    "ReconstructionRecord",
    "Report",
    "Scan",
    "ScanResult",
    "ScatterWindow",
    "Scores",
    "Settings",
    "Severity",
    "Sex",
    "State",
    "Stressor",
    "Study",
    "Synchrony",
    "TerritoryScores",
    "Verdict",
    "Volume",
    "VolumeCurve",
    "WallFunction",
    "WallSurfaces",
    "WeightsInfo",
]
