"""Kinds of findings: each is declared once, the package makes each and no other, and the page lists them."""

import re
from pathlib import Path

import pytest

from myoperf.types import Finding
from myoperf.types.finding_kinds import FINDING_KINDS, SECTIONS
from support.findings import findings_of_package

PAGE = (Path(__file__).parents[1] / "docs" / "findings.md").read_text(encoding="utf-8")
ORDER = ("info", "warning", "failure")
DECLARED = {f"{code} {severity}" for code, kind in FINDING_KINDS.items() for severity in kind.severities}


def test_every_finding_that_the_package_makes_is_declared_and_no_other():
    assert findings_of_package() - DECLARED == set(), "add to myoperf.types.finding_kinds"
    assert DECLARED - findings_of_package() == set(), "nothing makes these: remove from myoperf.types.finding_kinds"


@pytest.mark.parametrize("finding", sorted(DECLARED))
def test_a_declared_finding_can_be_made(finding):
    code, severity = finding.split()
    assert Finding(code, severity, "A sentence.").code == code


def test_no_other_code_and_no_other_severity_can_be_made():
    with pytest.raises(ValueError, match="'state-unknwon' is declared"):
        Finding("state-unknwon", "warning", "A sentence.")
    for code, kind in FINDING_KINDS.items():
        for severity in set(ORDER) - set(kind.severities):
            with pytest.raises(ValueError, match=f"{code} has severity"):
                Finding(code, severity, "A sentence.")


@pytest.mark.parametrize("code", sorted(FINDING_KINDS))
def test_a_kind_says_what_it_means_and_what_to_do(code):
    kind = FINDING_KINDS[code]
    assert re.fullmatch(r"[a-z][a-z-]*[a-z]", code)
    assert list(kind.severities) == [severity for severity in ORDER if severity in kind.severities]
    assert len(set(kind.severities)) == len(kind.severities) > 0
    assert len(kind.meaning) >= 20
    assert kind.meaning.rstrip("`")[-1] == kind.action.rstrip("`")[-1] == "."
    assert "|" not in kind.meaning + kind.action


def test_each_code_stands_in_one_section():
    assert sum(len(kinds) for kinds in SECTIONS.values()) == len(FINDING_KINDS)


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_lists_each_section(section):
    part = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", part, re.MULTILINE) == list(SECTIONS[section])
