"""The CT of a simulated patient for attenuation correction: Hounsfield units, noise, couch, and another breath."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from myoperf.phantom.acquire import scanner_from_patient
from myoperf.phantom.anatomy import ATTENUATION_PER_MM
from myoperf.phantom.parts import EllipsoidShape, Torso
from myoperf.phantom.records import Grid, PatientModel
from myoperf.phantom.surroundings import add_surroundings
from myoperf.phantom.voxelise import attenuation
from myoperf.recon import hounsfield_line
from myoperf.types import LVFrame, Volume

_SPACING_MM, _COLUMNS = 4.0, 125
"""Cubes of the patient that the CT is made from: a field of 500 mm, as scanners reconstruct for attenuation."""
_FINER = 2
"""Pixels of the CT across a cube."""
_MOVED_BY_BREATH = ("liver", "stomach", "spleen", "kidneys", "gallbladder", "mediastinum")


@dataclass(frozen=True, kw_only=True)
class CTOptions:
    """How the CT was taken.

    Parameters
    ----------
    kvp
        Voltage, kV; it decides how bright bone is.
    noise_hu
        SD of a pixel's noise: a scan of low dose, without contrast.
    couch, arms_down
        Whether the couch is in the image, and whether the arms lie beside the trunk (wider than the field).
    shift_lps_mm
        How far the whole patient lies from where he lay during emission.
    breath_mm
        How much higher (towards the head) diaphragm, heart and upper abdomen stand than during emission, where
        breathing is free; negative after a deep breath in.
    length_mm
        Of the scan along the body.
    """

    kvp: float = 120.0
    noise_hu: float = 15.0
    couch: bool = True
    arms_down: bool = False
    shift_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    breath_mm: float = 0.0
    length_mm: float = 420.0


def simulate_ct(patient: PatientModel, options: CTOptions, rng: np.random.Generator) -> Volume:
    """Return a patient's CT in Hounsfield units, in the space of the SPECT scanner.

    Soft tissue and lung are water of their density, so that their units do not depend on the voltage; bone follows the
    slope of `myoperf.recon.hounsfield_line` for an unknown scanner. The conversion back is therefore exercised by such
    a CT, not validated.

    Returns
    -------
    Volume
        float32, planes 4 mm apart from the feet up, pixels of 2 mm; air outside the field of 500 mm.
    """
    planes = max(8, round(options.length_mm / _SPACING_MM))
    grid = Grid.centred((planes, _COLUMNS, _COLUMNS), _SPACING_MM, patient.scan_centre_mm)
    breathed = with_breath(patient, options.breath_mm)
    mu = attenuation(breathed, grid)
    mu = add_surroundings(mu, patient.torso, grid, couch=options.couch, arms_down=options.arms_down)
    soft = ATTENUATION_PER_MM["soft"]
    above = 0.1 * hounsfield_line(None, options.kvp).above
    hounsfield = np.where(mu > soft, (mu - soft) / above, 1000.0 * (mu / soft - 1.0)).astype(np.float32)
    hounsfield = ndimage.zoom(hounsfield, (1, _FINER, _FINER), order=1, mode="nearest", grid_mode=True)
    hounsfield += rng.normal(0.0, options.noise_hu, hounsfield.shape).astype(np.float32)
    affine = scanner_from_patient(patient) @ grid.lps_from_index
    affine[:3, 3] += affine[:3, :3] @ np.array([0.0, 0.5 / _FINER - 0.5, 0.5 / _FINER - 0.5])
    affine[:3, 1:3] /= _FINER
    affine[:3, 3] += options.shift_lps_mm
    return Volume(np.maximum(hounsfield, -1024.0), affine)


def with_breath(patient: PatientModel, breath_mm: float) -> PatientModel:
    """Return the patient in another state of breathing: diaphragm, heart and upper abdomen higher by some millimetres.

    Trunk, spine and lungs' outer walls stay; the lungs give or take the room.
    """
    if breath_mm == 0.0:
        return patient
    up = np.array([0.0, 0.0, breath_mm])
    frame = LVFrame(patient.frame.apex_mm + up, patient.frame.base_mm + up, patient.frame.anterior)
    return replace(patient, frame=frame, torso=_breathed(patient.torso, breath_mm))


def _breathed(torso: Torso, breath_mm: float) -> Torso:
    def raised(shape: EllipsoidShape) -> EllipsoidShape:
        x, y, z = shape.centre_mm
        return replace(shape, centre_mm=(x, y, z + breath_mm))

    solids = {
        organ: tuple(raised(shape) for shape in shapes) if organ in _MOVED_BY_BREATH else shapes
        for organ, shapes in torso.solids.items()
    }
    loops = tuple(
        replace(tube, points_mm=tuple((x, y, z + breath_mm) for x, y, z in tube.points_mm)) for tube in torso.loops
    )
    return replace(
        torso,
        diaphragm_left_mm=torso.diaphragm_left_mm + breath_mm,
        diaphragm_right_mm=torso.diaphragm_right_mm + breath_mm,
        solids=solids,
        loops=loops,
    )
