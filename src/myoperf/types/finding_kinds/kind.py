"""What is the same for every finding of a code."""

from typing import Literal, NamedTuple

Severity = Literal["info", "warning", "failure"]


class FindingKind(NamedTuple):
    """What a code of findings stands for.

    Parameters
    ----------
    severities
        Those that findings of this code can have, the mildest first.
    meaning
        What was noticed, for a reader of reports.
    action
        What to do about it.
    """

    severities: tuple[Severity, ...]
    meaning: str
    action: str
