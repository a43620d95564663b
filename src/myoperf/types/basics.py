"""Names, labels, findings and intervals."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from myoperf.types.finding_kinds import Severity, check_finding

# NumPy's parameter for the kind of number is the only Any of the records.
Array = NDArray[Any]  # type: ignore[explicit-any]
Float = NDArray[np.floating[Any]]  # type: ignore[explicit-any]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
State = Literal["stress", "rest"]
Modality = Literal["NM", "PT"]
Framing = Literal["static", "gated", "dynamic"]
Orientation = Literal["transaxial", "short_axis"]
Sex = Literal["M", "F"]
Position = Literal["supine", "prone"]
Stressor = Literal["exercise", "adenosine", "regadenoson", "dipyridamole", "dobutamine"]
STRESSORS: tuple[Stressor, ...] = get_args(Stressor)

BACKGROUND, MYOCARDIUM, BLOOD_POOL = 0, 1, 2
VESSELS = ("LAD", "LCX", "RCA")


@dataclass(frozen=True)
class Finding:
    """Something the reader of a report must know about how far to trust it.

    Parameters
    ----------
    code
        One of `myoperf.types.finding_kinds.FINDING_KINDS`, e.g. ``"state-unknown"``.
    severity
        ``"info"``, ``"warning"`` (check before use) or ``"failure"`` (a stage produced nothing).
    message
        One plain sentence for the report, without patient data.

    Raises
    ------
    ValueError
        When the code is not declared, or not with this severity.
    """

    code: str
    severity: Severity
    message: str

    def __post_init__(self) -> None:
        check_finding(self.code, self.severity)


@dataclass(frozen=True)
class Interval:
    """A number with its interval.

    Parameters
    ----------
    value
        Measured on the study as it is.
    low, high
        ``value`` plus and minus Student's quantile times ``sd``.
    sd
        Standard deviation over the draws, with the model's own errors where the source names them.
    draws
        How many draws gave a value.
    source
        What was resampled: ``"counts"``, ``"outline"`` (the pose) or both, or ``"outline and residuals"``; followed by
        ``" and model"`` where systematic errors are in it.
    """

    value: float
    low: float
    high: float
    sd: float
    draws: int
    source: str
