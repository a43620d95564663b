"""The table of every number: complete, readable by path, and the same as its page."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from myoperf import types
from myoperf.quantities import QUANTITIES, UNIT_CODES, markdown, numbers_of_scores, quantities, within_range
from myoperf.types import FlowReserve, Interval, Scores, TerritoryScores

OWNERS = {
    "study": types.Scores,
    "scan": types.ScanResult,
    "territory": types.TerritoryScores,
    "diagnosis": types.Diagnosis,
}
PAGE = Path(__file__).parents[1] / "docs" / "quantities.md"


def record_in(hint):
    """The record that a field holds, be it optional or not; None for a number, a list or a text."""
    return next((t for t in (hint, *get_args(hint)) if dataclasses.is_dataclass(t)), None)


def fields_of(record):
    hints = get_type_hints(record)
    properties = {name: get_type_hints(p.fget)["return"] for name, p in vars(record).items() if isinstance(p, property)}
    return hints | properties


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda q: f"{q.of}.{q.name}.{q.per}")
def test_every_path_leads_to_a_field(quantity):
    record = OWNERS[quantity.of]
    *records, last = quantity.path.split(".")
    for name in records:
        record = record_in(fields_of(record)[name])
        assert record is not None
    hint = str(fields_of(record)[last])
    assert ("Mapping" in hint) == (quantity.per == "territory")
    assert ("tuple" in hint or "ndarray" in hint) == (quantity.per in ("segment", "gate"))
    assert last == quantity.name.rpartition(".")[2] or quantity.name in ("flow", "flow_reserve")


def numbers_held(record, path=""):
    """Paths of all numbers and lists of numbers of a record and the records in it; no texts, flags, maps or images."""
    for name, hint in fields_of(record).items():
        inner = record_in(hint)
        if inner in (types.FunctionResult, types.WallFunction, types.Synchrony, types.VolumeCurve):
            yield from numbers_held(inner, f"{path}{name}.")
        elif hint in (int, float, int | None, float | None):
            yield f"{path}{name}"


@pytest.mark.parametrize("owner", OWNERS)
def test_every_single_number_of_a_result_has_a_row(owner):
    repeated = {"edv_ml", "esv_ml", "ed_cycles", "es_cycles"}  # the curve's own, reported as the function's
    held = {p for p in numbers_held(OWNERS[owner]) if not (".curve." in p and p.rpartition(".")[2] in repeated)}
    assert held - {q.path for q in quantities(owner)} == set()


def test_names_are_unique_where_they_belong_and_units_of_coded_numbers_have_a_code():
    keys = [(q.of, q.name, q.per) for q in QUANTITIES]
    assert len(set(keys)) == len(keys)
    assert {q.unit for q in QUANTITIES if q.code} <= set(UNIT_CODES)
    assert all(q.label and q.definition and q.source for q in QUANTITIES)
    assert all(bool(q.normal) == bool(q.normal_source) for q in QUANTITIES)
    for field in ("of", "per", "page"):
        hint = get_type_hints(type(QUANTITIES[0]))[field]
        assert get_origin(hint) is Literal
        assert {getattr(q, field) for q in QUANTITIES} <= set(get_args(hint))


def test_scores_are_named_with_their_territory_and_lists_are_numbered():
    reserve = FlowReserve(np.array([2.0, 3.0]), {"LAD": 2.5, "global": 2.4})
    scores = Scores(sss=4, territories={"LAD": TerritoryScores(sss=3)}, stress_scores=(4,) * 17, flow_reserve=reserve)
    assert numbers_of_scores(scores) == {
        "sss": 4.0,
        "flow_reserve.LAD": 2.5,
        "flow_reserve.global": 2.4,
        "flow_reserve.1": 2.0,
        "flow_reserve.2": 3.0,
        "LAD.sss": 3.0,
    }


@pytest.mark.parametrize(
    ("name", "value", "low"),
    [
        ("mass_g", 10.0, 0.0),
        ("LAD.sss", 1.0, 0.0),
        ("thickening_percent.3", 10.0, -5.0),
        ("phase_skewness", 0.2, -5.0),
        ("mass_g", -1.0, -5.0),
    ],
)
def test_intervals_of_numbers_that_cannot_be_negative_within_range(name, value, low):
    assert within_range(name, Interval(value, -5.0, 25.0, 3.0, 5, "counts")).low == low


def test_the_page_is_what_the_command_prints():
    printed = subprocess.run([sys.executable, "-m", "myoperf.quantities"], capture_output=True, check=True).stdout
    assert printed.decode("utf-8") == markdown() == PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "value", "high"),
    [
        ("sss", 60.0, 68.0),
        ("reversible_share_percent", 80.0, 100.0),
        ("tpd_stress_percent", 90.0, 100.0),
        ("stress_mean_severity", 3.5, 4.0),
        ("lvef_percent", 85.0, 100.0),
        ("tid_ratio", 80.0, 150.0),
        ("thickening_percent.3", 90.0, 150.0),
    ],
)
def test_intervals_of_scores_and_shares_end_at_what_they_can_be(name, value, high):
    assert within_range(name, Interval(value, 0.0, 150.0, 3.0, 5, "counts")).high == high
    assert within_range(name, Interval(200.0, 0.0, 300.0, 3.0, 5, "counts")).high == 300.0


def test_gates_have_no_interval():
    assert not any(q.interval for q in quantities("scan") if q.name in ("ed_gate", "es_gate"))
