"""The records that travel between stages: frozen, numpy only, checked when made.

One world frame is used inside MyoPerf: DICOM's patient frame LPS (x to the
patient's left, y to the back, z to the head), in millimetres. Arrays are
indexed (frames, planes, rows, columns); an affine ``lps_from_index`` maps the
homogeneous index ``(plane, row, column, 1)`` to ``(x, y, z, 1)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import AnalysisError, GeometryError, InputError

__all__ = [
    "BACKGROUND",
    "BLOOD_POOL",
    "MYOCARDIUM",
    "VESSELS",
    "Diagnosis",
    "Finding",
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

Float = NDArray[np.floating[Any]]
State = Literal["stress", "rest"]
Modality = Literal["NM", "PT"]
Framing = Literal["static", "gated", "dynamic"]
Orientation = Literal["transaxial", "short_axis"]
Severity = Literal["info", "warning", "failure"]

BACKGROUND, MYOCARDIUM, BLOOD_POOL = 0, 1, 2
VESSELS = ("LAD", "LCX", "RCA")


@dataclass(frozen=True)
class Finding:
    """Something the reader of the report has to know about how far to trust it.

    Parameters
    ----------
    code
        Stable identifier in lower case with hyphens, e.g. ``"state-unknown"``.
    severity
        ``"info"``, ``"warning"`` (look before you trust) or ``"failure"`` (a stage gave nothing).
    message
        One plain sentence for the report, without patient data.
    """

    code: str
    severity: Severity
    message: str


@dataclass(frozen=True)
class Interval:
    """A number with its interval.

    Parameters
    ----------
    value
        Measured on the study as it is.
    low, high
        ``value`` plus and minus Student's quantile times ``sd``.
    sd
        Standard deviation over the draws.
    draws
        How many draws gave a value.
    source
        ``"counts"`` or ``"outline"``: what was drawn anew.
    """

    value: float
    low: float
    high: float
    sd: float
    draws: int
    source: str


@dataclass(frozen=True, eq=False)
class Volume:
    """A stack of images in the patient's space.

    Parameters
    ----------
    array
        Shape (frames, planes, rows, columns); a 3D array becomes one frame. Finite.
    lps_from_index
        Shape (4, 4), maps (plane, row, column, 1) to LPS millimetres; invertible.

    Raises
    ------
    InputError
        When the array is empty, of another dimension or not finite.
    GeometryError
        When the affine is not a finite, invertible 4 x 4 matrix.
    """

    array: NDArray[Any]
    lps_from_index: Float

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim == 3:
            array = array[None]
        if array.ndim != 4 or array.size == 0:
            raise InputError(f"A volume needs 3 or 4 non-empty axes; got shape {array.shape}.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError("The volume holds NaN or infinite values.")
        affine = np.asarray(self.lps_from_index, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError(f"An affine must be a finite 4 x 4 matrix; got shape {affine.shape}.")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9 or not np.allclose(affine[3], (0, 0, 0, 1)):
            raise GeometryError("The affine cannot be inverted: a spacing is zero or two axes coincide.")
        view = array.view()
        view.flags.writeable = False
        affine = affine.copy()
        affine.flags.writeable = False
        object.__setattr__(self, "array", view)
        object.__setattr__(self, "lps_from_index", affine)

    @property
    def frames(self) -> int:
        """Number of gates or dynamic frames; 1 for a static volume."""
        return int(self.array.shape[0])

    @property
    def grid_shape(self) -> tuple[int, int, int]:
        """(planes, rows, columns)."""
        planes, rows, columns = self.array.shape[1:]
        return int(planes), int(rows), int(columns)

    @property
    def spacing_mm(self) -> Float:
        """Distance between neighbours along (planes, rows, columns), always positive."""
        return np.asarray(np.linalg.norm(self.lps_from_index[:3, :3], axis=0))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.lps_from_index[:3, :3])) / 1000.0)

    def label_ml(self, label: int) -> float:
        """Volume in millilitres of the voxels that hold a label, over all frames."""
        return float(np.count_nonzero(self.array == label)) * self.voxel_ml

    def with_array(self, array: NDArray[Any]) -> Self:
        """Give a volume on the same grid with other values."""
        return replace(self, array=array)

    def summed(self) -> Self:
        """Give the static volume: the sum over frames (itself when there is one frame)."""
        if self.frames == 1:
            return self
        return self.with_array(self.array.sum(axis=0, dtype=np.float64).astype(np.float32))

    def __repr__(self) -> str:
        """Tell shape and spacing, never the values."""
        spacing = " x ".join(f"{s:.2f}" for s in self.spacing_mm)
        return f"Volume(shape={self.array.shape}, spacing_mm={spacing}, dtype={self.array.dtype})"


@dataclass(frozen=True, eq=False)
class Projections:
    """Raw tomographic views of a rotating parallel-hole camera, detectors already joined.

    Parameters
    ----------
    array
        Counts, shape (frames, views, rows, columns). Row 0 is nearest the patient's head; columns
        run along (-cos a, sin a, 0) in LPS, a picture as seen from the detector: the view from the
        front (180 degrees) has the patient's right at column 0.
    angles_deg
        Shape (views,). Where the detector stands about the patient, DICOM PS3.3 (0054,0200): 0
        behind the back, 90 at the patient's left, 180 in front, 270 at the right. The unit vector
        from the axis to the detector is (sin a, cos a, 0) in LPS.
    pixel_mm
        (row spacing along the axis, column spacing across it).
    radius_mm
        Shape (views,), axis to collimator face, or None where the file gives none.
    axis_lps_mm
        World position of the axis of rotation at the middle row: (x, y, z). The reconstruction
        puts its grid's centre here.
    """

    array: NDArray[Any]
    angles_deg: Float
    pixel_mm: tuple[float, float]
    radius_mm: Float | None = None
    axis_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim == 3:
            array = array[None]
        if array.ndim != 4 or array.size == 0:
            raise InputError(f"Projections need (frames, views, rows, columns); got shape {array.shape}.")
        if not np.isfinite(array).all():
            raise InputError("The projections hold NaN or infinite counts.")
        angles = np.array(self.angles_deg, dtype=np.float64)
        if angles.shape != (array.shape[1],) or not np.isfinite(angles).all():
            raise GeometryError(f"{array.shape[1]} views need as many angles; got {angles.size}.")
        if len(self.pixel_mm) != 2 or min(self.pixel_mm) <= 0:
            raise GeometryError(f"Pixel spacing must be two positive lengths; got {self.pixel_mm}.")
        angles.flags.writeable = False
        view = array.view()
        view.flags.writeable = False
        object.__setattr__(self, "array", view)
        object.__setattr__(self, "angles_deg", angles)
        if self.radius_mm is not None:
            radius = np.array(self.radius_mm, dtype=np.float64)
            if radius.shape != angles.shape or not (radius > 0).all():
                raise GeometryError("The radius must be positive and given for every view.")
            radius.flags.writeable = False
            object.__setattr__(self, "radius_mm", radius)

    @property
    def frames(self) -> int:
        """Number of gates; 1 for an ungated acquisition."""
        return int(self.array.shape[0])

    @property
    def views(self) -> int:
        """Number of angles."""
        return int(self.array.shape[1])

    def __repr__(self) -> str:
        """Tell shape and angles, never the values."""
        first, last = self.angles_deg[[0, -1]]
        return f"Projections(shape={self.array.shape}, angles_deg={first:.1f}..{last:.1f}, pixel_mm={self.pixel_mm})"

    def summed(self) -> Self:
        """Give the ungated projections: the sum over frames."""
        if self.frames == 1:
            return self
        return replace(self, array=self.array.sum(axis=0, dtype=np.float64).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Scan:
    """One acquisition (or one reconstruction of it) of a patient in one state.

    Parameters
    ----------
    image
        Raw `Projections` or a `Volume`.
    state
        ``"stress"``, ``"rest"`` or None where nothing in the file tells and the user did not say.
    modality
        ``"NM"`` (SPECT) or ``"PT"``.
    framing
        What the image's frames are: one (static), gates of the cardiac cycle, or time frames.
    orientation
        Of a volume: ``"transaxial"`` (patient axes) or ``"short_axis"`` (already reoriented).
    tracer, camera
        As the file names them, in the field's words ("Tc-99m sestamibi"); None when absent.
    frame_duration_ms
        Shape (frames,): length of each gate or time frame; None when absent.
    frame_start_ms
        Shape (frames,): start of each time frame after the first one's; None when absent or not dynamic.
    description
        The kind of series in the file's words, free of patient data.
    source
        File names (no folders) the scan was read from.
    source_headers
        The DICOM headers without pixel data, encoded as DICOM files, so that derived objects can
        refer to their source; empty for NIfTI.
    findings
        What reading already noticed.
    """

    image: Projections | Volume
    state: State | None = None
    modality: Modality = "NM"
    framing: Framing = "static"
    orientation: Orientation = "transaxial"
    tracer: str | None = None
    camera: str | None = None
    frame_duration_ms: Float | None = None
    frame_start_ms: Float | None = None
    description: str = ""
    source: tuple[str, ...] = ()
    source_headers: tuple[bytes, ...] = field(default=(), repr=False)
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if self.framing == "static" and self.image.frames != 1:
            raise InputError(f"A static scan has one frame; got {self.image.frames}.")

    @property
    def is_raw(self) -> bool:
        """Whether the scan still has to be reconstructed."""
        return isinstance(self.image, Projections)


@dataclass(frozen=True, eq=False)
class Study:
    """The scans of one patient's visit. Clinical values are None where the files do not give them."""

    scans: tuple[Scan, ...]
    study_uid: str | None = field(default=None, repr=False)
    patient_id: str | None = field(default=None, repr=False)
    sex: Literal["M", "F", "O"] | None = None
    age_years: float | None = None
    height_m: float | None = None
    weight_kg: float | None = None
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if not self.scans:
            raise InputError("A study needs at least one scan.")


@dataclass(frozen=True, eq=False)
class LVFrame:
    """Where the left ventricle lies: the pose every later stage works in.

    Parameters
    ----------
    apex_mm
        LPS position of the apex: the mid-wall point at the tip of the left ventricle.
    base_mm
        LPS position of the centre of the mitral (valve) plane.
    anterior
        LPS unit vector at right angles to the long axis towards the middle of the anterior wall;
        made perpendicular and unit when given roughly.

    Notes
    -----
    Seen from the apex with anterior up, the septum lies on the viewer's left and the lateral wall
    on the right (AHA 2002, doi:10.1161/hc0402.102975).
    """

    apex_mm: Float
    base_mm: Float
    anterior: Float

    def __post_init__(self) -> None:
        apex, base, anterior = (np.array(v, dtype=np.float64) for v in (self.apex_mm, self.base_mm, self.anterior))
        for name, vector in (("apex_mm", apex), ("base_mm", base), ("anterior", anterior)):
            if vector.shape != (3,) or not np.isfinite(vector).all():
                raise GeometryError(f"{name} must be three finite numbers; got {vector!r}.")
        length = np.linalg.norm(base - apex)
        if length < 1.0:
            raise GeometryError(f"Apex and base are {length:.2f} mm apart; a long axis needs two points.")
        axis = (base - apex) / length
        anterior = anterior - axis * (anterior @ axis)
        if np.linalg.norm(anterior) < 1e-6:
            raise GeometryError("The anterior direction is parallel to the long axis.")
        anterior = anterior / np.linalg.norm(anterior)
        for name, vector in (("apex_mm", apex), ("base_mm", base), ("anterior", anterior)):
            vector.flags.writeable = False
            object.__setattr__(self, name, vector)

    @property
    def axis(self) -> Float:
        """Unit vector from apex to base."""
        return (self.base_mm - self.apex_mm) / self.length_mm

    @property
    def length_mm(self) -> float:
        """Distance from apex to the mitral plane."""
        return float(np.linalg.norm(self.base_mm - self.apex_mm))

    @property
    def lateral(self) -> Float:
        """Unit vector towards the lateral wall: axis x anterior."""
        return np.cross(self.axis, self.anterior)

    @property
    def septal(self) -> Float:
        """Unit vector towards the septum."""
        return -self.lateral

    @property
    def centre_mm(self) -> Float:
        """Point half-way between apex and base."""
        return 0.5 * (self.apex_mm + self.base_mm)


@dataclass(frozen=True, eq=False)
class PolarMap:
    """Values on the unrolled mid-wall of the left ventricle.

    Parameters
    ----------
    values
        Shape (rings, angles) or, gated, (frames, rings, angles). Ring 0 lies at the apex, the last
        at the mitral plane; angle 0 is anterior and rises through the septum, so a sample at
        angle a lies on the side cos(a) * anterior + sin(a) * septal.
    mid_wall_mm
        Shape (rings, angles, 3): LPS positions of the mid-wall samples.
    thickness_mm
        Shape (rings, angles): wall thickness sampled over.
    statistic
        ``"maximum"`` or ``"mean"`` over the wall.
    """

    values: Float
    mid_wall_mm: Float
    thickness_mm: Float
    statistic: Literal["maximum", "mean"] = "maximum"

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        grid = values.shape[-2:]
        if values.ndim not in (2, 3) or min(grid) < 2:
            raise InputError(f"A polar map needs (rings, angles); got shape {values.shape}.")
        if np.shape(self.mid_wall_mm) != (*grid, 3) or np.shape(self.thickness_mm) != grid:
            raise InputError("Mid-wall positions and thickness must match the polar map's grid.")
        if not np.isfinite(values).all():
            raise AnalysisError("The polar map holds NaN: the wall left the volume.")

    @property
    def rings(self) -> int:
        """Number of rings from apex to base."""
        return int(self.values.shape[-2])

    @property
    def angles(self) -> int:
        """Number of samples round a ring."""
        return int(self.values.shape[-1])

    @property
    def angles_deg(self) -> Float:
        """Angle of each column: 0 anterior, 90 septal, 180 inferior, 270 lateral."""
        return np.arange(self.angles) * (360.0 / self.angles)


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


@dataclass(frozen=True)
class NormalLimitsInfo:
    """Which normal limits a score was measured against."""

    name: str
    version: str
    n: int


@dataclass(frozen=True)
class TerritoryScores:
    """Scores of one coronary territory; None where a state is missing or no limits apply."""

    sss: int | None = None
    srs: int | None = None
    sds: int | None = None
    tpd_stress_percent: float | None = None
    tpd_rest_percent: float | None = None
    mean_stress_percent: float | None = None
    mean_rest_percent: float | None = None


@dataclass(frozen=True, eq=False)
class Scores:
    """Perfusion scores of a study; None where a state is missing or no limits apply.

    Attributes
    ----------
    stress_scores, rest_scores
        Shape (17,), 0 (normal) to 4 (absent), AHA order.
    """

    sss: int | None = None
    srs: int | None = None
    sds: int | None = None
    tpd_stress_percent: float | None = None
    tpd_rest_percent: float | None = None
    tpd_ischemic_percent: float | None = None
    tid_ratio: float | None = None
    territories: Mapping[str, TerritoryScores] = field(default_factory=dict)
    normal_limits: NormalLimitsInfo | None = None
    stress_scores: tuple[int, ...] | None = None
    rest_scores: tuple[int, ...] | None = None
    summary: str = ""
    findings: tuple[Finding, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Probability of obstructive coronary disease, with its doubt.

    Attributes
    ----------
    explanation
        Per vessel, shape (rings, angles): how much each place of the stress map counts for it.
    """

    model: str
    per_vessel: Mapping[str, float]
    per_patient: float
    interval: tuple[float, float]
    abstained: bool = False
    reason: str | None = None
    explanation: Mapping[str, Float] = field(default_factory=dict)


@dataclass(frozen=True)
class WeightsInfo:
    """Name and SHA-256 of weights a result came from."""

    name: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Provenance:
    """How a report was made, enough to make it again; `settings` holds what was chosen and has no place elsewhere."""

    myoperf: str
    weights: tuple[WeightsInfo, ...] = ()
    command: str = ""
    seed: int | None = None
    timings_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Report:
    """What `analyze` gives: the study and everything measured on it.

    Parameters
    ----------
    intervals
        Scan's name, or ``"scores"`` -> number -> its interval; empty where none were asked for. The values of a
        list are numbered from 1: ``"segments_percent.1"``.
    """

    study: Study
    results: tuple[ScanResult, ...]
    scores: Scores
    diagnosis: Diagnosis | None
    findings: tuple[Finding, ...]
    provenance: Provenance
    intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)

    def result(self, state: State) -> ScanResult | None:
        """Give the first result of a state, or None."""
        return next((r for r in self.results if r.state == state), None)
