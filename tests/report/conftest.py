"""Two reports: one with everything a study can have, one with almost nothing."""

import pytest

from myoperf.types import Report
from support.report import bare_report, make_report


@pytest.fixture(scope="session")
def full() -> Report:
    """Return a report with stress and rest, gates, scores and a diagnosis."""
    return make_report()


@pytest.fixture(scope="session")
def bare() -> Report:
    """Return a report of one static scan of unknown state."""
    return bare_report()
