"""Acquisition by a SPECT camera: protocol, dose, movement of the patient, views with Poisson noise."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.phantom.anatomy import static_organs
from myoperf.phantom.gating import BEAT_WINDOW, gate_beats, record_of
from myoperf.phantom.photons import photons_of
from myoperf.phantom.physics import LEHR_GE, LEHR_SIEMENS, Camera, Scatter, orbit_radius, project
from myoperf.phantom.records import Grid, PatientModel
from myoperf.phantom.surroundings import ARMS_REACH_MM, add_surroundings
from myoperf.phantom.voxelise import attenuation, heart_boxes, heart_window, place_heart_box
from myoperf.phantom.windows import WINDOW_KEV, scatter_windows
from myoperf.types import Float, Position, Projections, State, Volume

DOSES: Mapping[str, float] = {"full": 1.0, "half": 0.5, "quarter": 0.25}
"""Share of the clinical counts."""

_CIRCLE_CLEARS_MM = 150.0
"""Largest distance between a circular orbit and the skin: it clears couch and arms (327 mm in the public GE file)."""


@dataclass(frozen=True)
class Protocol:
    """How both states are acquired.

    Parameters
    ----------
    views, arc_deg
        30, 32, 60 or 64 views over 180 degrees from RAO 45 over the front to LPO 45, or over 360.
    pixels, pixel_mm
        Square views.
    gates
        1 for a static acquisition, else 8, 16 or 32.
    dose
        ``"full"``, ``"half"`` or ``"quarter"`` of the clinical counts.
    vendor
        Collimator: GE or Siemens LEHR.
    circular
        Orbit: a circle, or the body's contour.
    radius_mm
        Of the circle; None draws one that clears the body by 10 to 150 mm.
    motion_probability
        Share of scans in which the patient shifts once by a few millimetres.
    breathing
        Whether breathing blurs the views.
    beat_window
        Beats whose length differs from the mean by more than this fraction are rejected: 0.2 is a window of 40 %.
    oversampling
        Fine voxels across a detector pixel.
    couch, arms_down
        Whether the couch below the patient, and arms beside the trunk, attenuate.
    position
        How the patient lies; ``"prone"``: on the belly, the couch before the heart (`myoperf.phantom.prone`).
    scatter_windows
        Whether the two windows beside the photopeak's are acquired too (triple energy window).
    """

    views: int = 60
    arc_deg: Literal[180, 360] = 180
    pixels: int = 64
    pixel_mm: float = 6.6
    gates: int = 8
    dose: Literal["full", "half", "quarter"] = "full"
    vendor: Literal["GE", "Siemens"] = "GE"
    circular: bool = False
    radius_mm: float | None = None
    motion_probability: float = 0.15
    breathing: bool = True
    beat_window: float = BEAT_WINDOW
    oversampling: float = 2.0
    couch: bool = False
    arms_down: bool = False
    scatter_windows: bool = False
    position: Position = "supine"

    def __post_init__(self) -> None:
        if self.views < 2 or self.pixels < 8 or not 2.0 <= self.pixel_mm <= 12.0:
            raise InputError(
                f"A protocol needs 2 views, 8 pixels of 2 to 12 mm or more; got {self.views}, {self.pixels}, "
                f"{self.pixel_mm:g} mm."
            )
        if self.gates < 1 or self.dose not in DOSES or not 0.0 <= self.motion_probability <= 1.0:
            raise InputError(f"Unusable protocol: gates {self.gates}, dose {self.dose!r}.")
        if self.beat_window <= 0:
            raise InputError(f"The window of accepted beats must be above 0; got {self.beat_window:g}.")
        if self.radius_mm is not None and not (self.circular and self.radius_mm > 0):
            raise InputError("A radius is positive and belongs to a circular orbit.")
        if self.oversampling <= 1.0:
            raise InputError("The simulation's grid must be finer than the detector's pixels (oversampling above 1).")

    @property
    def angles_deg(self) -> Float:
        """Detector angles, falling from 225 (RAO 45) over 180 (front) to 45 (LPO 45)."""
        step = self.arc_deg / self.views
        return (225.0 - step * np.arange(self.views)) % 360.0


@dataclass(frozen=True, eq=False)
class Acquisition:
    """The acquired views, the same without noise (`expected`), and the acquisition's record in the truth file."""

    projections: Projections
    record: Mapping[str, Any]
    expected: Projections


def scanner_from_patient(patient: PatientModel) -> Float:
    """Return the (4, 4) translation from the model's space to the scanner's, in which all files are written.

    The scanner's x and y have their origin on the axis of rotation, as readers of NM files take it;
    heights are the model's.
    """
    out = np.eye(4)
    out[:2, 3] = -np.asarray(patient.scan_centre_mm)[:2]
    return out


def fine_grid(patient: PatientModel, protocol: Protocol) -> Grid:
    """Return the grid, about the middle of the field of view, on which the patient is voxelised before projection.

    Its voxels are `Protocol.oversampling` times finer than the views' pixels; it is wide enough for the body (with the
    arms, where they are down) and as long as the field of view.
    """
    spacing = protocol.pixel_mm / protocol.oversampling
    planes = 2 * int(np.ceil(0.5 * protocol.pixels * protocol.pixel_mm / spacing)) + 4
    torso, centre = patient.torso, patient.scan_centre_mm
    beside = 15.0 + (ARMS_REACH_MM if protocol.arms_down else 0.0)
    grow = 1.0 + abs(torso.waist_per_mm) * (0.5 * planes * spacing + abs(centre[2]))
    columns = 2 * int(np.ceil((torso.half_width_mm * grow + abs(centre[0]) + beside) / spacing))
    rows = 2 * int(np.ceil((torso.half_depth_mm * grow + abs(centre[1]) + 55.0) / spacing))
    return Grid.centred((planes, rows, columns), spacing, centre)


def expected_views(
    patient: PatientModel, state: State, protocol: Protocol, rng: np.random.Generator, *, threads: int = 1
) -> tuple[Projections, dict[str, Any]]:
    """Return noiseless views, (gates, views, rows, columns), in units of relative activity times volume.

    The torso outside the heart's box is projected once, the box once a gate, averaged over the gate's time; the
    attenuation is that of the time-averaged heart.
    """
    grid = fine_grid(patient, protocol)
    static = static_organs(patient, grid)
    window = heart_window(patient, grid)
    part, cut = _sub_grid(grid, window), {organ: share[window] for organ, share in static.items()}
    beats = gate_beats(patient.function, protocol.gates, window=protocol.beat_window)
    mean, *gated = heart_boxes(
        patient,
        part,
        state=state,
        times=beats.times,
        weights=np.concatenate([beats.mean[None], beats.weights]),
        supersample=2,
    )
    averaged = place_heart_box(patient, grid, replace(mean, window=window), state=state, static=static)
    mu = attenuation(patient, grid, organs=averaged)
    mu = add_surroundings(
        mu, patient.torso, grid, couch=protocol.couch, arms_down=protocol.arms_down, position=protocol.position
    )
    outside = averaged.total()
    outside[window] = 0.0
    sources = [outside]
    for heart in gated:
        beating = np.zeros(grid.shape, np.float32)
        beating[window] = place_heart_box(patient, part, heart, state=state, static=cut).total()
        sources.append(beating)
    camera, moved = place_camera(patient, grid, mu, protocol, rng)
    views = project(sources, mu, grid, camera, threads=threads)
    shares = np.asarray(beats.recorded * grid.voxel_ml, dtype=np.float32)[:, None, None, None]
    total = (views.total[:1] + views.total[1:]) * shares
    axis = (0.0, 0.0, float(camera.axis_lps_mm[2]))
    projections = Projections(total, camera.angles_deg, (camera.pixel_mm, camera.pixel_mm), camera.radius_mm, axis)
    if protocol.scatter_windows:
        primary, scattered = (((v[:1] + v[1:]) * shares).sum(axis=0) for v in (views.primary, views.scattered))
        beside = scatter_windows(primary, scattered)
        projections = replace(projections, window_kev=WINDOW_KEV, scatter_windows=beside)
    ratio = float(views.scattered.sum() / max(float(views.primary.sum()), 1e-9))
    return projections, {**moved, **record_of(beats), "scatter_to_primary": round(ratio, 4)}


def acquire(
    patient: PatientModel,
    state: State,
    rng: np.random.Generator,
    protocol: Protocol | None = None,
    *,
    threads: int = 1,
) -> Acquisition:
    """Acquire one state: noiseless views, scaled to the protocol's counts, with Poisson noise.

    Counts of a patient spread log-normally (SD 0.25) about the median of the state; rejected beats are lost.
    """
    protocol = protocol or Protocol()
    expected, record = expected_views(patient, state, protocol, rng, threads=threads)
    median = photons_of(patient.tracer).counts[state] * DOSES[protocol.dose] * protocol.arc_deg / 180.0
    counts = median * float(np.exp(rng.normal(0.0, 0.25)))
    counts *= record["beats_accepted_percent"] / 100.0
    scale = counts / float(expected.array.sum(dtype=np.float64))
    mean = expected.array * scale
    noisy = rng.poisson(mean).astype(np.uint16)
    windows = tuple(replace(one, counts=one.counts * np.float32(scale)) for one in expected.scatter_windows)
    drawn = tuple(replace(one, counts=rng.poisson(one.counts).astype(np.float32)) for one in windows)
    record = {
        "simulated": True,
        "tracer": patient.tracer,
        "views": protocol.views,
        "arc_deg": protocol.arc_deg,
        "gates": protocol.gates,
        "pixel_mm": protocol.pixel_mm,
        "dose": protocol.dose,
        "position": protocol.position,
        "collimator": f"{protocol.vendor} LEHR",
        "orbit": "circular" if protocol.circular else "contour",
        "expected_counts": round(counts),
        "counts": int(noisy.sum(dtype=np.int64)),
        **record,
    }
    return Acquisition(
        replace(expected, array=noisy, scatter_windows=drawn),
        record,
        replace(expected, array=mean, scatter_windows=windows),
    )


def attenuation_map(
    patient: PatientModel, projections: Projections, *, offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> Volume:
    """Return the map an attenuation correction would use, 1/cm, on cubes of the views' pixels, in the scanner's space.

    Parameters
    ----------
    offset_mm
        How far the map lies from where the patient lay during emission (misregistration), LPS.
    """
    views = projections.array.shape[-1]
    shape = (int(projections.array.shape[-2]), int(views), int(views))
    grid = Grid.centred(shape, projections.pixel_mm[1], patient.scan_centre_mm)
    affine = scanner_from_patient(patient) @ grid.lps_from_index
    affine[:3, 3] += offset_mm
    return Volume(10.0 * attenuation(patient, grid), affine)


def _sub_grid(grid: Grid, window: tuple[slice, slice, slice]) -> Grid:
    affine = grid.lps_from_index.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([part.start for part in window], dtype=np.float64)
    return Grid((*(part.stop - part.start for part in window),), affine)


def place_camera(
    patient: PatientModel, grid: Grid, mu: NDArray[Any], protocol: Protocol, rng: np.random.Generator
) -> tuple[Camera, dict[str, Any]]:
    """Place the camera around the body and draw the patient's motion.

    Parameters
    ----------
    mu
        Attenuation (planes, rows, columns) on `grid`, 1/mm: the orbit keeps clear of the body in it.

    Returns
    -------
    camera
        With the radius of each view, a shift from a random view on (SD 2, 2 and 5 mm along x, y, z, in as many scans as
        the protocol says) and the blur of breathing. The sizes of both are assumed.
    record
        What was drawn, for the truth file.
    """
    angles = protocol.angles_deg
    axis = patient.scan_centre_mm
    margin = float(rng.uniform(10.0, _CIRCLE_CLEARS_MM if protocol.circular else 30.0))
    radius = orbit_radius(mu > 0.002, grid, angles, axis_lps_mm=axis, margin_mm=margin, circular=protocol.circular)
    if protocol.radius_mm is not None:
        radius = np.maximum(radius - margin, protocol.radius_mm)  # never inside the body
    moves = rng.random() < protocol.motion_probability
    jump = rng.normal(0.0, (2.0, 2.0, 5.0)) if moves else np.zeros(3)
    first = int(rng.integers(1, protocol.views))
    shift = np.where(np.arange(protocol.views)[:, None] >= first, jump[None], 0.0)
    breath = float(rng.uniform(1.5, 4.5)) if protocol.breathing else 0.0
    photons, collimator = photons_of(patient.tracer), LEHR_GE if protocol.vendor == "GE" else LEHR_SIEMENS
    camera = Camera(
        angles,
        radius,
        shape=(protocol.pixels, protocol.pixels),
        pixel_mm=protocol.pixel_mm,
        axis_lps_mm=axis,
        collimator=replace(collimator, intrinsic_fwhm_mm=collimator.intrinsic_fwhm_mm * photons.intrinsic),
        scatter=Scatter(photons.scatter_share),
        shift_lps_mm=shift,
        axial_blur_mm=breath,
    )
    record = {
        "radius_mm": [round(float(radius.min()), 1), round(float(radius.max()), 1)],
        "motion_mm": [round(float(v), 2) for v in jump],
        "motion_view": first if moves else None,
        "breathing_sd_mm": round(breath, 2),
    }
    return camera, record
