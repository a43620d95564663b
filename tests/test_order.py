"""The order of the tests' files: what takes long begins."""

from pathlib import Path
from types import SimpleNamespace

from support.order import slow_files_first


def test_files_with_most_slow_tests_come_first_and_the_rest_keep_their_order():
    marks = {"c": "quick", "a": "slow", "b": "slow slow quick", "d": "quick"}
    items = [
        SimpleNamespace(path=Path(name), get_closest_marker=lambda wanted, mark=mark: mark if mark == wanted else None)
        for name, all_marks in marks.items()
        for mark in all_marks.split()
    ]
    assert [str(item.path) for item in slow_files_first(items)] == ["b", "b", "b", "a", "c", "d"]
