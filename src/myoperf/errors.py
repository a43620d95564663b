"""Errors a user can act on.

A message says what failed, what was expected, what came and what to do, in one
line, and never carries a patient's data: no name, identifier, date, or path
above the file's own name.
"""


class MyoPerfError(Exception):
    """Base of every error MyoPerf raises on purpose; the command line prints it as one line."""


class InputError(MyoPerfError):
    """A file or value cannot be used: damaged, incomplete or contradictory."""


class UnsupportedInputError(InputError):
    """A well-formed input of a kind MyoPerf does not analyse (a CT, a bone scan, a 2D picture)."""


class GeometryError(InputError):
    """Spacing, orientation, angle or position is missing or impossible; MyoPerf never invents one."""


class AnalysisError(MyoPerfError):
    """A stage could not give a result on a readable study (no heart found, empty wall)."""


class MissingWeightsError(MyoPerfError):
    """The weights of a requested network are not on this machine."""


class OutputExistsError(MyoPerfError):
    """The output folder already holds a result; MyoPerf never overwrites one silently."""
