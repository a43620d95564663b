"""The simulated dynamic PET study, at the place where the field cases (../shared/field) import it from."""

from support.dynamic_pet import *  # noqa: F403
