"""Every kind of finding, once: code, severities, what it means and what to do.

A `myoperf.types.Finding` can only be made of a code and a severity that stand here, and docs/findings.md is filled from
here. Codes are part of what other programs rely on: they do not change.
"""

from collections.abc import Mapping

from myoperf.types.finding_kinds.files import FILE, WHICH_SCAN
from myoperf.types.finding_kinds.images import COUNTS, VENTRICLE
from myoperf.types.finding_kinds.kind import FindingKind, Severity
from myoperf.types.finding_kinds.numbers import FLOW, FUNCTION, PERFUSION

__all__ = ["FINDING_KINDS", "SECTIONS", "FindingKind", "Severity", "check_finding"]

SECTIONS: Mapping[str, Mapping[str, FindingKind]] = {
    "The file": FILE,
    "Which scan": WHICH_SCAN,
    "Counts, motion, field of view": COUNTS,
    "The left ventricle": VENTRICLE,
    "Perfusion and diagnosis": PERFUSION,
    "Function and synchrony": FUNCTION,
    "Blood flow": FLOW,
}
"""The kinds by the headings of docs/findings.md."""
FINDING_KINDS: Mapping[str, FindingKind] = {code: kind for kinds in SECTIONS.values() for code, kind in kinds.items()}


def check_finding(code: str, severity: str) -> None:
    """Check that a finding's code is declared, with this severity.

    Raises
    ------
    ValueError
        Otherwise.
    """
    kind = FINDING_KINDS.get(code)
    if kind is None:
        raise ValueError(f"No finding {code!r} is declared in myoperf.types.finding_kinds; add its code there.")
    if severity not in kind.severities:
        raise ValueError(f"Finding {code} has severity {' or '.join(kind.severities)}, not {severity!r}.")
