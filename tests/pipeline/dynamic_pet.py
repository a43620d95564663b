"""The simulated dynamic PET study, at the place where the field cases (../shared/field) import it from.

Where FIELD_PLANES is set, it has only so many planes.
"""

import os

from support import dynamic_pet
from support.dynamic_pet import *  # noqa: F403


def activity(flows):
    """Give decay-corrected activity (frames, planes, rows, columns)."""
    return dynamic_pet.activity(flows)[:, : int(os.environ.get("FIELD_PLANES", dynamic_pet.SIDE))]
