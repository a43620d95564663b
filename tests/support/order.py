"""The order in which files of tests are given to processes."""

from collections import Counter
from collections.abc import Sequence

import pytest


def slow_files_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return tests with the files first that have most slow tests, otherwise in the order given.

    A file is given to one process as a whole. A long one that comes last leaves the others without work.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    return sorted(items, key=lambda item: -slow[item.path])
