"""Today's code measures what the shipped normal limits were made with."""

import pytest

from myoperf.research.normal_limits.frozen import PATIENTS, changes, measure_frozen, read_frozen, write_frozen


@pytest.mark.slow
def test_frozen_normals_measure_as_when_the_limits_were_made():
    frozen = read_frozen()
    assert len(frozen) == sum(PATIENTS.values()) == 10
    moved = changes(frozen, measure_frozen())
    assert moved == [], "the code moved: build the normal limits anew (docs/perfusion.md), then write the table anew"


def test_a_change_that_limits_do_not_bear_is_told(tmp_path):
    frozen = {("czt", 0): {"tpd": 1.0, "1": 70.0, "2": 80.0}}
    for name, step, told in (("tpd", 0.2, 0), ("tpd", 0.4, 1), ("1", -0.9, 0), ("1", -1.1, 1)):
        key = next(iter(frozen))
        moved = {key: frozen[key] | {name: frozen[key][name] + step}}
        assert len(changes(frozen, moved)) == told
    assert changes(frozen, {}) == ["('czt', 0): not measured"]


def test_the_table_is_read_as_it_was_written(tmp_path):
    values = {"tpd": 0.125, **{str(k): 50.0 + k for k in range(1, 18)}}
    write_frozen(tmp_path / "t.csv", {("czt", 3): values})
    assert read_frozen(tmp_path / "t.csv") == {("czt", 3): values}
