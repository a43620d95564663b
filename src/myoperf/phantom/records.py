"""The records of a simulated patient: frozen, parametric, drawn from one generator.

How the package is laid out, arrows downwards::

    (physics, acquisition, outputs)      built on the functions named here
    population   draw_patient(rng, options) -> PatientModel
    truth        truth(patient) -> Truth; truth_polar(patient, state, rings, angles)
    labels       ICA and expert labels, reader noise
    voxelise     voxelise(patient, grid, state=, gate=, gates=) -> Organs, each gate an average over its time
                 attenuation(patient, grid) -> attenuation map, 1/mm
                 label_volume(patient, grid, state) -> uint8
    anatomy      torso organs as closed-form solids; static_organs(patient, grid)
    coronary     territories, lesions, flow, tracer uptake on (fraction, angle, depth)
    gating       gates and beats of unequal length: which instants each gate sees, and for how long
    motion       the beat: regional ejection, phase, twist, volume curves
    heart        the ventricle's surfaces, wall coordinates, exact volumes
    pose         LVFrame from the Euler angles of Ni et al. 2023; draws of pose and place
    records      this file; parts: what a patient is made of

Everything is in LPS millimetres. The patient's own space has its origin on the body's long axis at
the height of the heart; `PatientModel.scan_centre_mm` is where the scanner's field of view is
centred. A place in the LV wall has material coordinates: ``fraction`` (0 apex to 1 valve plane, arc
length along the mid-wall at end diastole), ``angle_deg`` (0 anterior, rising through the septum: 90
septal, 180 inferior, 270 lateral) and ``depth`` (0 endocardium to 1 epicardium).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import GeometryError, InputError
from myoperf.phantom.parts import Clinical, Coronary, Function, Reader, Torso, Vector, Ventricle
from myoperf.types import Float, LVFrame, State

SIMULATOR_VERSION = 3
"""Raised whenever the simulated patients become others; in truth files, cards of models and names of normal limits.

1 (where none is stated): hearts of the volumes that SPECT programs read, gates as instants. 2: hearts of the volumes
and walls of magnetic resonance imaging, gates averaged over their time, beats of unequal length.
"""

Tracer = Literal["Tc-99m", "Tl-201", "N-13", "Rb-82"]

ORGANS = (
    "myocardium",
    "blood",
    "right_ventricle",
    "lungs",
    "liver",
    "gallbladder",
    "stomach",
    "bowel",
    "spleen",
    "kidneys",
    "spine",
    "body",
)
"""Keys of `Organs.occupancy`. ``blood`` is all cavities, atria and aorta; ``right_ventricle`` the thin
right ventricular wall; ``body`` all other soft tissue with the breasts."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A voxel grid in the patient's space.

    Parameters
    ----------
    shape
        (planes, rows, columns).
    lps_from_index
        Shape (4, 4), as `myoperf.types.Volume`.
    """

    shape: tuple[int, int, int]
    lps_from_index: Float

    def __post_init__(self) -> None:
        affine = np.array(self.lps_from_index, dtype=np.float64)
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise GeometryError(f"A grid needs three positive sizes; got {self.shape}.")
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise GeometryError("A grid needs a finite, invertible 4 x 4 affine.")
        affine.flags.writeable = False
        object.__setattr__(self, "lps_from_index", affine)

    @classmethod
    def centred(cls, shape: tuple[int, int, int], spacing_mm: float, centre_mm: Vector = (0.0, 0.0, 0.0)) -> Grid:
        """Lay a transaxial grid of cubes about a point: planes rise to the head, rows to the back, columns to the left.

        DICOM's usual orientation of rows and columns; the first plane is the lowest.
        """
        affine = np.zeros((4, 4))
        affine[2, 0] = affine[1, 1] = affine[0, 2] = spacing_mm
        affine[3, 3] = 1.0
        middle = 0.5 * (np.asarray(shape, dtype=np.float64) - 1.0)
        affine[:3, 3] = np.asarray(centre_mm) - affine[:3, :3] @ middle
        return cls(shape, affine)

    @property
    def cube_mm(self) -> float:
        """Side of the voxels of a grid laid as `Grid.centred` does; GeometryError for any other grid."""
        spacing = float(self.lps_from_index[2, 0])
        if spacing <= 0 or not np.allclose(self.lps_from_index[:3, :3], spacing * np.fliplr(np.eye(3)), atol=1e-6):
            raise GeometryError("This simulation needs transaxial cubes with planes rising to the head.")
        return spacing

    def bounds(self, index: Float) -> NDArray[np.int64]:
        """Return the first and past-the-last voxel along each axis, (3, 2), that hold points given by index, (n, 3)."""
        low = np.clip(np.floor(index.min(axis=0)), 0, self.shape)
        high = np.clip(np.ceil(index.max(axis=0)) + 1, 0, self.shape)
        return np.stack([low, high], axis=1).astype(np.int64)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.lps_from_index[:3, :3])) / 1000.0)


@dataclass(frozen=True, eq=False)
class PatientModel:
    """One simulated patient, everything a function of these numbers.

    Attributes
    ----------
    frame
        True pose of the LV at the reference instant, LPS mm.
    scan_centre_mm
        Where the scanner's field of view is centred.
    uptake
        State -> organ -> activity concentration relative to normal myocardium (1) in that state.
    """

    clinical: Clinical
    tracer: Tracer
    frame: LVFrame
    scan_centre_mm: Vector
    ventricle: Ventricle
    function: Function
    coronary: Coronary
    torso: Torso
    uptake: Mapping[State, Mapping[str, float]]
    reader: Reader


@dataclass(frozen=True)
class PopulationOptions:
    """Which patients to draw.

    Parameters
    ----------
    prevalence
        Share of patients with obstructive disease of LAD, LCX, RCA; default: the angiography
        cohort of Hajianfar et al. 2025 (doi:10.1007/s00259-025-07145-x).
    patient_prevalence
        Share with disease of any vessel.
    normal
        Low-likelihood patients: no lesion, no scar, normal function.
    tracer
        Of both states.
    male
        Share of men.
    """

    prevalence: Mapping[str, float] = field(default_factory=lambda: {"LAD": 0.57, "LCX": 0.42, "RCA": 0.39})
    patient_prevalence: float = 0.66
    normal: bool = False
    tracer: Tracer = "Tc-99m"
    male: float = 0.75

    def __post_init__(self) -> None:
        if set(self.prevalence) != {"LAD", "LCX", "RCA"}:
            raise InputError(f"Prevalence is needed for LAD, LCX and RCA; got {sorted(self.prevalence)}.")
        shares = [*self.prevalence.values(), self.patient_prevalence, self.male]
        if not all(0.0 <= share <= 1.0 for share in shares):
            raise InputError("Prevalences and shares lie between 0 and 1.")
        largest, total = max(self.prevalence.values()), sum(self.prevalence.values())
        if not largest - 1e-9 <= self.patient_prevalence <= min(1.0, total) + 1e-9:
            raise InputError(
                f"A patient prevalence of {self.patient_prevalence:.2f} cannot go with vessels of {self.prevalence}: "
                f"it must lie between {largest:.2f} and {min(1.0, total):.2f}."
            )


@dataclass(frozen=True, eq=False)
class Organs:
    """The patient on a grid.

    Attributes
    ----------
    occupancy
        Organ (`ORGANS`) -> float32 (planes, rows, columns): the share of each voxel, 0-1; their sum is <= 1.
    myocardium_uptake
        float32: occupancy of the LV wall times its relative uptake (1 where perfusion is normal).
    bowel_uptake
        float32: occupancy of the bowel times the brightness of its loops.
    lv_cavity
        float32: occupancy of the LV cavity alone (a part of ``blood``).
    uptake
        Organ -> concentration relative to normal myocardium, in this state.
    """

    grid: Grid
    state: State
    occupancy: Mapping[str, NDArray[np.float32]]
    myocardium_uptake: NDArray[np.float32]
    bowel_uptake: NDArray[np.float32]
    lv_cavity: NDArray[np.float32]
    uptake: Mapping[str, float]

    def activity(self, organ: str) -> NDArray[np.float32]:
        """Return one organ's activity concentration, float32 (planes, rows, columns)."""
        weighted = {"myocardium": self.myocardium_uptake, "bowel": self.bowel_uptake}
        return weighted.get(organ, self.occupancy[organ]) * np.float32(self.uptake[organ])

    def total(self) -> NDArray[np.float32]:
        """Return the activity concentration of all organs together, float32 (planes, rows, columns)."""
        out = np.zeros(self.grid.shape, dtype=np.float32)
        for organ in self.occupancy:
            out += self.activity(organ)
        return out


@dataclass(frozen=True, eq=False)
class Truth:
    """Everything that is true of a patient, named as in the truth file (schema ``myoperf.truth/1``).

    Attributes
    ----------
    segments_percent, defect_extent_percent, edv_ml, esv_ml, lvef_percent, phase_sd_deg, phase_bandwidth_deg
        State -> value. Volumes are those of the continuous beat; a gated study of n gates sees
        `myoperf.phantom.gating.volume_curve`.
    segment_phase_deg, segment_ejection, segment_thickening_percent, segment_motion_mm
        State -> shape (17,).
    ica, expert
        LAD, LCX, RCA, patient -> 0 or 1.
    expert_scores
        State -> 17 scores, 0-4.
    """

    lv_frame: LVFrame
    edv_ml: Mapping[State, float]
    esv_ml: Mapping[State, float]
    lvef_percent: Mapping[State, float]
    myocardium_ml: float
    phase_sd_deg: Mapping[State, float]
    phase_bandwidth_deg: Mapping[State, float]
    segments_percent: Mapping[State, Float]
    defect_extent_percent: Mapping[State, float]
    segment_phase_deg: Mapping[State, Float]
    segment_ejection: Mapping[State, Float]
    segment_thickening_percent: Mapping[State, Float]
    segment_motion_mm: Mapping[State, Float]
    stenosis_percent: Mapping[str, float]
    ica: Mapping[str, int]
    expert: Mapping[str, int]
    expert_scores: Mapping[State, tuple[int, ...]]
