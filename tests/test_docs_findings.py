"""The page of findings lists every finding that the package makes, and no other."""

import re
from collections import defaultdict
from pathlib import Path

from support.findings import findings_of_package

PAGE = (Path(__file__).parents[1] / "docs" / "findings.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z0-9-]+)` \| ([^|]+) \| ([^|]{20,}) \| ([^|]{5,}) \|$", re.MULTILINE)
ORDER = ("info", "warning", "failure")


def in_package():
    severities = defaultdict(set)
    for finding in findings_of_package():
        code, severity = finding.split()
        severities[code].add(severity)
    return {code: " / ".join(s for s in ORDER if s in of_code) for code, of_code in severities.items()}


def in_page():
    return {code: severity for code, severity, *_ in ROW.findall(PAGE)}


def test_the_page_has_a_row_for_every_finding():
    missing = {code: severity for code, severity in in_package().items() if code not in in_page()}
    rows = [f"| `{code}` | {severity} | what it means | what to do |" for code, severity in sorted(missing.items())]
    assert not missing, "add to a table of docs/findings.md:\n" + "\n".join(rows)


def test_the_page_has_no_row_of_a_finding_that_is_gone():
    gone = sorted(in_page().keys() - in_package().keys())
    assert not gone, f"remove from docs/findings.md, or mend the code: {', '.join(gone)}"


def test_the_page_gives_every_severity_and_each_code_once():
    assert in_page() == in_package(), "docs/findings.md gives another severity than the code"
    codes = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE, re.MULTILINE)
    listed = [code for code in codes if code not in ORDER]
    assert len(listed) == len(set(listed)) == len(in_page()), "a code is listed twice, or a row lacks a column"
