"""A patient who lies on the belly: what of the trunk attenuates less, and what more.

The abdomen hangs away from the heart, so that the left dome of the diaphragm leaves the inferior wall, and breasts are
pressed flat against the couch, which now lies before the heart. In 99 men whose inferior wall had few
counts supine, prone imaging of Tc-99m sestamibi raised the inferior wall's counts by 11 % and the septum's by 7 %, and
lowered the anterior wall's by 4 % and the lateral wall's by 3 % (Clin Nucl Med 1995;20:678,
doi:10.1097/00003072-199508000-00003). How far organs fall here is set by hand;
``benchmarks/prone_simulated.py`` compares the walls with these figures.
"""

from dataclasses import replace

import numpy as np

from myoperf.phantom.parts import EllipsoidShape, Tube, Vector
from myoperf.phantom.records import PatientModel

_FALL_MM = (8.0, 24.0)
"""How far diaphragm and abdomen move to the feet."""
_FLATTENED, _SPREAD = 0.55, 1.2
"""Of a breast: depth and width against those of a woman on her back."""
_BELOW = ("liver", "lungs", "stomach", "spleen", "gallbladder", "kidneys")


def lay_prone(patient: PatientModel, rng: np.random.Generator) -> PatientModel:
    """Return a patient as imaged prone: heart, disease and uptake stay, diaphragm, abdomen and breasts move.

    Parameters
    ----------
    rng
        For how far the organs fall.
    """
    fall = float(rng.uniform(*_FALL_MM))
    torso = patient.torso
    solids = {
        name: tuple(_moved(one, (0.0, 0.0, -fall)) if name in _BELOW else one for one in shapes)
        for name, shapes in torso.solids.items()
    }
    if "breasts" in solids:
        solids["breasts"] = tuple(_flattened(one) for one in solids["breasts"])
    return replace(
        patient,
        torso=replace(
            torso,
            diaphragm_left_mm=torso.diaphragm_left_mm - fall,
            diaphragm_right_mm=torso.diaphragm_right_mm - fall,
            solids=solids,
            loops=tuple(_lowered(loop, fall) for loop in torso.loops),
        ),
    )


def _moved(shape: EllipsoidShape, by_mm: Vector) -> EllipsoidShape:
    x, y, z = (one + step for one, step in zip(shape.centre_mm, by_mm, strict=True))
    return replace(shape, centre_mm=(x, y, z))


def _flattened(breast: EllipsoidShape) -> EllipsoidShape:
    x, y, z = breast.radii_mm
    return replace(breast, radii_mm=(x * _SPREAD, y * _FLATTENED, z * _SPREAD))


def _lowered(loop: Tube, fall: float) -> Tube:
    return replace(loop, points_mm=tuple((x, y, z - fall) for x, y, z in loop.points_mm))
