"""Errors a user can act on.

A message says what failed, what was expected, what came and what to do, in one
line, and never carries a patient's data: no name, identifier, date, or path
above the file's own name. Paths that the user typed may be shown.
"""

import errno
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from myoperf.text import printable

_QUOTES_HEADERS = ("pydicom", "highdicom", "nibabel.global")
"""Loggers of libraries whose messages quote values from files, and so a patient's data."""


class MyoPerfError(Exception):
    """Base of every error MyoPerf raises on purpose; the command line prints it as one line with its `code`.

    Catch it around a call to go on with the next study: the message says what failed, what was expected, what came and
    what to do, and holds no patient's data.
    """

    code: ClassVar[str] = "error"


class InputError(MyoPerfError):
    """A file or value cannot be used: damaged, incomplete or contradictory."""

    code = "input"


class UnsupportedInputError(InputError):
    """A well-formed input of a kind MyoPerf does not analyse (a CT, a bone scan, a 2D picture)."""

    code = "unsupported-input"


class GeometryError(InputError):
    """Spacing, orientation, angle or position is missing or impossible; MyoPerf never invents one."""

    code = "geometry"


class AnalysisError(MyoPerfError):
    """A stage could not give a result on a readable study (no heart found, empty wall)."""

    code = "analysis"


class MissingWeightsError(MyoPerfError):
    """The weights of a requested network are not on this machine."""

    code = "missing-weights"


class OutputExistsError(MyoPerfError):
    """The output folder already holds a result; MyoPerf never overwrites one silently."""

    code = "output-exists"


def describe_error(error: BaseException) -> str:
    """Return any exception as one line that ends in its code in brackets, safe to show and to keep.

    An error of the disk gives the system's reason and the file's name. An exception that MyoPerf did not raise on
    purpose is a fault of the program: the line names its kind and the place in MyoPerf that it came through, but not
    its text, which may quote a patient's data.

    Examples
    --------
    >>> describe_error(GeometryError("stress.dcm: no pixel spacing."))
    'stress.dcm: no pixel spacing. [geometry]'
    >>> describe_error(OSError(28, "No space left on device", "/data/out/report.pdf"))
    'No space left on device: report.pdf. [ENOSPC]'
    """
    if isinstance(error, MyoPerfError):
        return printable(f"{error} [{error.code}]")
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        named = f": {Path(str(error.filename)).name}" if error.filename else ""
        return printable(f"{error.strerror}{named}. [{errno.errorcode[error.errno]}]")
    if isinstance(error, MemoryError):
        return "Not enough memory; close other programs, or choose a machine with more. [memory]"
    return f"{type(error).__name__} in {_place_of(error)}; a fault in MyoPerf, not in how you called it. [internal]"


def _place_of(error: BaseException) -> str:
    """Return the file and line of the package, or of the library below it, that an exception came through last."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "myoperf" in Path(frame.filename).parts]
    if not (own or frames):
        return "an unknown place"
    frame = (own or frames)[-1]
    parts = Path(frame.filename).parts
    start = len(parts) - parts[::-1].index("myoperf") - 1 if own else len(parts) - 1
    return f"{'/'.join(parts[start:])}, line {frame.lineno}"


@contextmanager
def silent_libraries() -> Iterator[None]:
    """Keep libraries from printing values of files; what matters of these becomes a finding or an error."""
    loggers = [logging.getLogger(name) for name in _QUOTES_HEADERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
