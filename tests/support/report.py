"""Reports of a closed-form ventricle: a half-ellipsoid shell with an inferior defect, no stage involved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from myoperf.geometry import affine_from_axes, short_axis
from myoperf.perfusion import decide, with_verdict
from myoperf.segments import segment_means
from myoperf.types import (
    Diagnosis,
    FilterRecord,
    Finding,
    FunctionResult,
    NormalLimitsInfo,
    PolarMap,
    Provenance,
    ReconstructionRecord,
    Report,
    Scan,
    ScanResult,
    Scores,
    Study,
    TerritoryScores,
    Volume,
    VolumeCurve,
    WeightsInfo,
)
from support.dicom_report import make_synchrony, make_wall
from support.ventricle import make_ventricle, points_of

HALF_WALL = 5.5
AXIS = np.array([-0.62, 0.62, 0.48]) / np.linalg.norm([-0.62, 0.62, 0.48])
VENTRICLE = make_ventricle(
    np.array([12.0, -18.0, 9.0]) + 37.0 * AXIS,
    AXIS,
    np.array([0.1, -0.45, 0.9]),
    radius=27.0,
    length=74.0,
    wall=2 * HALF_WALL,
)
"""Apex to the left, front and below; as in a patient."""
LENGTH, RADIUS = VENTRICLE.length, VENTRICLE.radius
RECONSTRUCTION = ReconstructionRecord(
    method="OSEM",
    iterations=4,
    subsets=4,
    subsets_asked=4,
    views=64,
    views_per_subset=(16, 16, 16, 16),
    frames=1,
    counts=4.2e6,
    voxel_mm=(4.5, 4.5, 4.5),
    filter=FilterRecord(
        name="butterworth",
        amplitude="1/sqrt(1+(f/fc)^(2n))",
        order=5.0,
        cutoff_fraction_of_nyquist=0.5,
        cutoff_cycles_per_mm=0.0556,
        cutoff_cycles_per_cm=0.556,
    ),
)
SHAPE, SPACING = (36, 44, 40), 4.5


def uptake(fraction: np.ndarray, angle: np.ndarray, depth: float) -> np.ndarray:
    """Give uptake (1 normal) with a smooth inferior defect of a depth."""
    away = np.minimum(np.abs(angle - 190.0), 360.0 - np.abs(angle - 190.0))
    inside = 1.0 / (1.0 + np.exp((away - 48.0) / 7.0)) / (1.0 + np.exp((0.22 - fraction) / 0.05))
    return (1.0 - depth * inside) * (1.0 - 0.1 * np.sin(np.radians(angle)) ** 2)


def make_result(name: str, *, depth: float, state: str | None, modality: str = "NM", frames: int = 1) -> ScanResult:
    """Build one analysed scan of the closed-form ventricle."""
    frame, rng = VENTRICLE.frame, np.random.default_rng(7)
    affine = affine_from_axes((-96.0, -100.0, -72.0), np.eye(3)[[2, 1, 0]], SPACING)
    points = points_of(affine, SHAPE)
    distance, fraction, angle = VENTRICLE.distance_mm(points), VENTRICLE.slope(points), VENTRICLE.local(points)[2] % 360
    gates = []
    for gate in range(frames):
        wall = HALF_WALL * (1.0 + (0.35 * np.sin(np.pi * gate / frames) if frames > 1 else 0.0))
        shell = uptake(fraction, angle, depth) / (1.0 + np.exp((np.abs(distance) - wall) / 2.2))
        gut = 0.7 * np.exp(-np.sum((points - np.array([30.0, -10.0, -62.0])) ** 2, axis=-1) / (2 * 14.0**2))
        clean = 1000.0 * shell + 60.0 + 1000.0 * gut
        gates.append(rng.poisson(clean * 2 / frames).astype(np.float32) / 2)
    gated = Volume(np.stack(gates), affine)
    volume = gated.summed()
    cavity = distance < -HALF_WALL
    labels = np.where(np.abs(distance) <= HALF_WALL, 1, np.where(cavity, 2, 0)).astype(np.uint8)
    polar = make_polar(depth)
    scan = Scan(
        gated if frames > 1 else volume,
        state=state,
        modality=modality,
        framing="gated" if frames > 1 else "static",
        tracer="Tc-99m sestamibi" if modality == "NM" else "N-13 ammonia",
        camera="Example camera",
        source=(f"{name}.dcm",),
    )
    segments = segment_means(polar.values)
    voxel = volume.voxel_ml
    return ScanResult(
        name=name,
        scan=scan,
        volume=volume,
        frame=frame,
        labels=Volume(labels, affine),
        short_axis=short_axis(volume, frame),
        polar=polar,
        polar_mean=replace(polar, values=0.9 * polar.values, statistic="mean"),
        segments_percent=100.0 * segments / polar.values.max(),
        myocardium_ml=float((labels == 1).sum() * voxel),
        cavity_ml=float((labels == 2).sum() * voxel),
        reconstruction=RECONSTRUCTION,
        function=make_function(frames) if frames > 1 else None,
        gated_volume=gated if frames > 1 else None,
    )


def make_polar(depth: float, rings: int = 24, angles: int = 72) -> PolarMap:
    """Return the map of the ventricle with an inferior defect of a depth, rings at equal steps of eccentric angle."""
    frame = VENTRICLE.frame
    fraction = ((np.arange(rings) + 0.5) / rings)[:, None]
    angle = (np.arange(angles) * 360.0 / angles)[None, :]
    slope, turn = np.broadcast_arrays(fraction * np.pi / 2, np.radians(angle))
    side = np.cos(turn)[..., None] * frame.anterior + np.sin(turn)[..., None] * frame.septal
    points = frame.base_mm - LENGTH * np.cos(slope)[..., None] * frame.axis + RADIUS * np.sin(slope)[..., None] * side
    values = 1000.0 * uptake(*np.broadcast_arrays(fraction, angle), depth)
    return PolarMap(values, points, np.full((rings, angles), 2 * HALF_WALL))


def make_function(frames: int) -> FunctionResult:
    volumes = 62.3 + 34.2 * np.cos(2 * np.pi * np.arange(frames) / frames)
    time = (np.arange(360) + 0.5) / 360
    curve = VolumeCurve(
        time_cycles=time,
        volume_ml=62.3 + 34.2 * np.cos(2 * np.pi * time),
        pfr_edv_per_s=2.7,
        ttpf_ms=171.0,
        mfr3_edv_per_s=1.4,
    )
    return FunctionResult(
        edv_ml=96.5,
        esv_ml=28.1,
        lvef_percent=70.9,
        volumes_ml=tuple(float(v) for v in volumes),
        mid_wall_volumes_ml=tuple(float(v) for v in volumes),
        curve=curve,
        wall=make_wall(),
        synchrony=make_synchrony(),
    )


def make_scores(*, both: bool = True) -> Scores:
    severity = np.zeros((24, 72))
    severity[6:, 30:46] = 2.5
    territory = {
        "LAD": TerritoryScores(1, 0, 1, 0.6, 0.2, 87.3, 91.5),
        "LCX": TerritoryScores(2, 1, 1, 1.9, 1.1, 82.9, 86.4),
        "RCA": TerritoryScores(11, 3, 8, 12.7, 3.6, 55.2, 78.8),
    }
    scores = Scores(
        sss=14,
        srs=4 if both else None,
        sds=10 if both else None,
        tpd_stress_percent=15.2,
        tpd_rest_percent=4.9 if both else None,
        tpd_ischemic_percent=10.3 if both else None,
        tid_ratio=1.13 if both else None,
        territories=territory,
        normal_limits=NormalLimitsInfo("simulated-tc99m", "1.2", 83),
        stress_scores=(0, 0, 2, 4, 2, 0, 0, 0, 1, 3, 1, 0, 0, 0, 1, 0, 0),
        rest_scores=(0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0) if both else None,
        stress_severity=severity,
        rest_severity=0.3 * severity if both else None,
        stress_deviation=0.4 - 1.5 * severity,
        rest_deviation=-0.5 * severity if both else None,
    )
    return with_verdict(scores, decide(scores))


def make_report(**changes) -> Report:
    """Stress (gated) and rest, scored and classified, with findings of every severity."""
    stress = make_result("stress", depth=0.62, state="stress", frames=8)
    stress = replace(
        stress, findings=(Finding("hot-gut", "warning", "Activity near the inferior wall may hide or mimic a defect."),)
    )
    rest = make_result("rest", depth=0.18, state="rest")
    rings, angle = np.arange(24)[:, None], np.arange(72)[None, :] * 5.0
    explanation = {
        vessel: np.exp(-(((angle - middle + 180) % 360 - 180) ** 2) / 1800.0 - (rings - 15) ** 2 / 60.0)
        for vessel, middle in (("LAD", 20.0), ("LCX", 290.0), ("RCA", 185.0))
    }
    given = {
        "study": Study(
            (stress.scan, rest.scan),
            study_uid="1.2.826.0.1",
            patient_id="EX-0042",
            sex="F",
            age_years=63.0,
            weight_kg=71.0,
        ),
        "results": (stress, rest),
        "scores": make_scores(),
        "diagnosis": Diagnosis(
            "polar-ensemble 1",
            {"LAD": 0.213, "LCX": 0.318, "RCA": 0.874},
            0.891,
            (0.772, 0.947),
            explanation=explanation,
        ),
        "findings": (
            Finding("normal-limits-simulated", "info", "No limits for this protocol; the nearest were used."),
            Finding("scan-failed", "failure", "Scan scan-3: the projections hold no counts."),
        ),
        "provenance": Provenance(
            "0.1.0",
            (WeightsInfo("polar-ensemble", "ab" * 32),),
            "myoperf analyze study -o out",
            11,
            {"read": 0.12, "reconstruct": 0.83, "orient": 0.41, "polar": 0.05, "report": 1.94, "total": 3.61},
            {"read": 210.0, "reconstruct": 411.0, "total": 411.0},
        ),
    }
    return Report(**{**given, **changes})


def bare_report(**changes) -> Report:
    """One static scan of unknown state: no scores, no diagnosis, no gates, no patient data."""
    result = make_result("scan-1", depth=0.4, state=None)
    result = replace(result, reconstruction=None)
    given = {
        "study": Study((result.scan,)),
        "results": (result,),
        "scores": Scores(),
        "diagnosis": None,
        "findings": (Finding("state-unknown", "warning", "Nothing tells whether this is stress or rest."),),
        "provenance": Provenance("0.1.0"),
    }
    return Report(**{**given, **changes})
