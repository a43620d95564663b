"""The simulated dynamic PET study, at the place where the field cases (../shared/field) import it from."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from support.dynamic_pet import *  # noqa: F403
