"""Tables of docs/findings.md, of the kinds of findings that the package declares."""

from myoperf.types.finding_kinds import SECTIONS
from tables.layout import markdown


def _table(section: str) -> str:
    """Return the kinds of a section, a row each."""
    rows = [
        [f"`{code}`", " / ".join(kind.severities), kind.meaning, kind.action]
        for code, kind in SECTIONS[section].items()
    ]
    return markdown(["code", "severity", "what it means", "what to do"], rows)


def file() -> str:
    """Return the findings of this section."""
    return _table("The file")


def which_scan() -> str:
    """Return the findings of this section."""
    return _table("Which scan")


def counts() -> str:
    """Return the findings of this section."""
    return _table("Counts, motion, field of view")


def ventricle() -> str:
    """Return the findings of this section."""
    return _table("The left ventricle")


def perfusion() -> str:
    """Return the findings of this section."""
    return _table("Perfusion and diagnosis")


def function() -> str:
    """Return the findings of this section."""
    return _table("Function and synchrony")


def flow() -> str:
    """Return the findings of this section."""
    return _table("Blood flow")
