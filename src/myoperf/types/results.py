"""What was measured on a scan."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from myoperf.types.basics import Finding, Float, State
from myoperf.types.image import Volume
from myoperf.types.study import Scan
from myoperf.types.ventricle import LVFrame, PolarMap, WallShift


@dataclass(frozen=True, eq=False, kw_only=True)
class VolumeCurve:
    """A periodic curve through the volumes of the gates, and how fast the ventricle fills.

    Attributes
    ----------
    time_cycles
        Shape (samples,): in cycles from the R wave.
    volume_ml
        Shape (samples,).
    pfr_edv_per_s, ttpf_ms, mfr3_edv_per_s
        Peak filling rate, time from end systole to it, and mean filling rate of the first third of
        diastole; None where the length of the beat is not known.
    """

    time_cycles: Float
    volume_ml: Float
    pfr_edv_per_s: float | None = None
    ttpf_ms: float | None = None
    mfr3_edv_per_s: float | None = None

    @property
    def edv_ml(self) -> float:
        """Largest volume of the curve."""
        return float(self.volume_ml.max())

    @property
    def esv_ml(self) -> float:
        """Smallest volume of the curve."""
        return float(self.volume_ml.min())

    @property
    def ed_cycles(self) -> float:
        """Time of the largest volume."""
        return float(self.time_cycles[self.volume_ml.argmax()])

    @property
    def es_cycles(self) -> float:
        """Time of the smallest volume."""
        return float(self.time_cycles[self.volume_ml.argmin()])

    @property
    def beats(self) -> bool:
        """Whether the volume changes by more than noise does: by 3 % of its maximum.

        MyoPerf's own limit; a phantom at rest with the counts of a usual scan shows 1 %.
        """
        return self.edv_ml - self.esv_ml >= 0.03 * self.edv_ml


@dataclass(frozen=True, eq=False, kw_only=True)
class WallFunction:
    """Shape, motion and thickening of the wall between end diastole and end systole, and how well it was fitted.

    Attributes
    ----------
    ed_gate, es_gate
        Gates of end diastole and end systole, from 1.
    mass_g
        Mass of the myocardium.
    wall_ed_mm, wall_es_mm
        Mean thickness of the wall at end diastole and end systole.
    wall_sd_mm, resolution_sd_mm
        Standard deviations with which the end-diastolic thickness and the blur (as a full width) are known.
    resolution_fwhm_mm, fit_residual_mm
        Blur of the fitted model wall; root mean square distance of its peaks from those of the image.
    shape_index_ed, shape_index_es
        Largest inner diameter over inner length, apex to valve; 1 is a sphere.
    eccentricity_ed, eccentricity_es
        Of the half ellipsoid with the mid-wall's length and largest radius; 0 is half a sphere.
    motion_mm, thickening_percent
        Shape (17,), AHA order: inward motion of the endocardium, rise of the wall's thickness.
    """

    ed_gate: int
    es_gate: int
    mass_g: float
    wall_ed_mm: float
    wall_es_mm: float
    wall_sd_mm: float
    resolution_sd_mm: float
    resolution_fwhm_mm: float
    fit_residual_mm: float
    shape_index_ed: float
    shape_index_es: float
    eccentricity_ed: float
    eccentricity_es: float
    motion_mm: Float
    thickening_percent: Float


@dataclass(frozen=True, eq=False, kw_only=True)
class WallSurfaces:
    """Surfaces of the wall in every gate, up to the valve plane.

    Attributes
    ----------
    endocardium_mm, mid_wall_mm
        Shape (gates, rings, angles, 3), LPS: rings at equal steps of the mid-wall's arc from apex to valve plane;
        angle 0 anterior, rising through the septum. A place keeps its share of the mid-wall's arc in all gates.
    """

    endocardium_mm: Float
    mid_wall_mm: Float


@dataclass(frozen=True)
class PhaseHistogram:
    """Histogram of the phase over the wall.

    Attributes
    ----------
    edges_deg
        Edges of the bins in degrees, one more than counts.
    counts
        Number of the wall's samples in each bin.
    """

    edges_deg: tuple[float, ...]
    counts: tuple[float, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Synchrony:
    """Phase of contraction over the wall, the noise of the counts allowed for.

    Attributes
    ----------
    phase_mean_deg, phase_sd_deg, phase_bandwidth_deg, phase_entropy_percent, phase_skewness, phase_kurtosis
        Of the map, every sample weighted alike. Kurtosis is excess (0 for a normal distribution). All but the mean are
        None where noise forbids them (see `phase_reliable`).
    phase_sd_interval_deg
        What data and noise allow for `phase_sd_deg` (95 percent); None where that is None.
    phase_sd_uncorrected_deg
        Amplitude-weighted SD of the first harmonic's phase over single places, noise not removed.
    phase_noise_deg
        Root mean square over the wall of what noise leaves unknown of the phase; 0 where the noise is unknown (fewer
        than 7 gates).
    phase_reliable
        Whether the noise is known and the interval of `phase_sd_deg` narrower than 13 degrees.
    phase_disagreement
        Difference between the delays that the harmonics of thickness and of motion show, over its noise: about 1 where
        only noise differs; None without motion or noise.
    phase_agrees
        Whether they agree within noise, or cannot be compared.
    phase_histogram
        Of the map, bins of 6 degrees.
    phase_segments_deg
        Shape (17,): mean phase of each segment minus the wall's mean.
    phase_map_deg
        Shape (rings, angles): 0 to 360, where in the cycle (from the R wave) the wall is most contracted: the
        likeliest field, scaled to the spread that is reported.
    amplitude_map_percent
        Shape (rings, angles): first harmonic of the thickness over its mean there.
    """

    phase_mean_deg: float
    phase_sd_deg: float | None
    phase_bandwidth_deg: float | None
    phase_entropy_percent: float | None
    phase_sd_uncorrected_deg: float
    phase_noise_deg: float
    phase_reliable: bool
    phase_disagreement: float | None
    phase_agrees: bool
    phase_skewness: float | None
    phase_kurtosis: float | None
    phase_histogram: PhaseHistogram
    phase_segments_deg: Float
    phase_map_deg: Float
    amplitude_map_percent: Float
    phase_sd_interval_deg: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class FunctionResult:
    """Ventricular function and synchrony of a gated scan; None where not measured.

    Attributes
    ----------
    edv_ml, esv_ml, lvef_percent
        End-diastolic and end-systolic volume of the fitted curve, and ejection fraction.
    volumes_ml, mid_wall_volumes_ml
        Volume at each gate inside the endocardium, and inside the middle of the wall, which rests on no thickness.
    surfaces
        Endocardium and mid-wall of every gate, for display.
    """

    edv_ml: float
    esv_ml: float
    lvef_percent: float
    volumes_ml: tuple[float, ...] = ()
    mid_wall_volumes_ml: tuple[float, ...] = ()
    surfaces: WallSurfaces | None = None
    curve: VolumeCurve | None = None
    wall: WallFunction | None = None
    synchrony: Synchrony | None = None

    @property
    def stroke_volume_ml(self) -> float:
        """End-diastolic minus end-systolic volume."""
        return self.edv_ml - self.esv_ml


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
class FlowReserve:
    """Myocardial flow reserve: flow at stress over flow at rest; NaN where rest has none.

    Attributes
    ----------
    segments
        Shape (17,), AHA order.
    territories
        Vessel, and ``"global"`` -> ratio of its mean flows.
    """

    segments: Float
    territories: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class FilterRecord:
    """The low-pass filter applied after reconstruction.

    Attributes
    ----------
    name, amplitude
        What it is called, and the formula of its amplitude over frequency.
    order
        Of the Butterworth filter.
    cutoff_fraction_of_nyquist, cutoff_cycles_per_mm, cutoff_cycles_per_cm
        The same cut-off frequency in three units.
    """

    name: str
    amplitude: str
    order: float
    cutoff_fraction_of_nyquist: float
    cutoff_cycles_per_mm: float
    cutoff_cycles_per_cm: float


@dataclass(frozen=True, kw_only=True)
class CollimatorRecord:
    """The collimator response modelled in a reconstruction, and how closely.

    Attributes
    ----------
    name, source
        Of the collimator, and where its numbers come from.
    fwhm_mm
        The formula of the blur's width over the distance.
    intrinsic_fwhm_mm, offset_mm, slope
        Its terms.
    fwhm_mm_at_100_mm
        The width 100 mm from the collimator's face.
    blurs, kernel_error
        Number of fixed blurs from which that at every distance is interpolated, and the largest error (norm).
    """

    name: str
    fwhm_mm: str
    intrinsic_fwhm_mm: float
    offset_mm: float
    slope: float
    fwhm_mm_at_100_mm: float
    source: str
    blurs: int
    kernel_error: float


@dataclass(frozen=True, kw_only=True)
class ReconstructionRecord:
    """How a volume was reconstructed from raw views; the fields are the keys of results.json.

    Attributes
    ----------
    subsets, subsets_asked
        Used and requested: there are never more subsets than views.
    counts
        Sum of all views.
    filter, psf, attenuation, scatter
        None where not applied.
    """

    method: str
    iterations: int
    subsets: int
    subsets_asked: int
    views: int
    views_per_subset: tuple[int, ...]
    frames: int
    counts: float
    voxel_mm: tuple[float, ...]
    filter: FilterRecord | None = None
    psf: CollimatorRecord | None = None
    attenuation: str | None = None
    scatter: str | None = None


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Everything derived from one scan.

    Parameters
    ----------
    name
        ``"stress"``, ``"rest"`` or ``"scan-N"``, followed by ``"-prone"``, ``"-ac"`` (corrected for attenuation) or
        ``"-2"`` where a state has several. Names the scan's files.
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
    gated_volume
        Of gated scans: the frames are the gates.
    gate_labels
        Of gated scans, on request: uint8 (gates, planes, rows, columns), every gate labelled in the summed pose.
    flow
        Of dynamic PET scans, where it could be measured.
    lung_heart_ratio
        Of raw views, where lung and heart lie inside them.
    rim_mm
        Shape (angles,), evenly spaced from anterior through the septum: how far past the mitral plane of `frame` the
        wall ends round the axis (negative: before it). None: at the plane all round.
    wall_shift
        How a reader moved the limits of the wall; None where they are as measured.
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
    reconstruction: ReconstructionRecord | None = None
    function: FunctionResult | None = None
    gated_volume: Volume | None = None
    gate_labels: Volume | None = None
    flow: FlowResult | None = None
    lung_heart_ratio: float | None = None
    rim_mm: Float | None = None
    wall_shift: WallShift | None = None
    findings: tuple[Finding, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: Mapping[str, float] = field(default_factory=dict)

    @property
    def state(self) -> State | None:
        """Stress, rest or unknown."""
        return self.scan.state
