"""A study against an earlier ``results.json`` of the same patient: what differs by more than repeated scans do.

How much repeated scans of an unchanged patient differ was measured on simulated patients acquired twice
(docs/repeatability.md; ``repeatability.csv`` beside this file holds the coefficients, written by
``benchmarks/repeatability_limits.py``); where the intervals of the two results are wider, they count.
"""

import csv
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from myoperf.errors import InputError
from myoperf.files import read_bytes
from myoperf.quantities import Quantity, quantities
from myoperf.text import printable
from myoperf.types import Report
from myoperf.types.comparison import Change, PriorComparison

_SCHEMA = "myoperf.report/1"
_LARGEST = 2**26
_OF_SCORES = ("sss", "srs", "sds", "tpd_stress_percent", "tpd_rest_percent", "tpd_ischemic_percent", "tid_ratio")
_OF_SCANS = ("edv_ml", "esv_ml", "lvef_percent")


@cache
def repeatability() -> Mapping[str, float]:
    """Return the repeatability coefficient of every number, by its name."""
    with Path(__file__).with_name("repeatability.csv").open(encoding="utf-8", newline="") as file:
        return {row["number"]: float(row["coefficient"]) for row in csv.DictReader(file)}


def read_prior(path: Path) -> dict[str, Any]:
    """Read an earlier ``results.json``.

    Raises
    ------
    InputError
        When the file is not one.
    """
    name = printable(path.name)
    if path.is_dir():
        path = path / "results.json"
    try:
        held = json.loads(read_bytes(path, at_most=_LARGEST).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(f"--prior {name} is not a readable results.json ({reason}).") from error
    if not isinstance(held, dict) or held.get("schema") != _SCHEMA:
        raise InputError(f"--prior {name} is not of the schema {_SCHEMA}; give a results.json of `myoperf analyze`.")
    return held


def compare_prior(report: Report, prior: Mapping[str, Any]) -> PriorComparison:
    """Compare a study with an earlier result, number by number.

    Parameters
    ----------
    report
        The study now.
    prior
        From `read_prior`.

    Raises
    ------
    InputError
        When the earlier result is of another patient.
    """
    before_id, after_id = _get(prior, "study", "patient_id"), report.study.patient_id
    if before_id and after_id and before_id != after_id:
        raise InputError("--prior is the result of another patient: the patient IDs differ.")
    changes = [*_score_changes(report, prior), *_scan_changes(report, prior)]
    notes = []
    if not before_id or not after_id:
        notes.append("A patient ID is missing: that both studies are of one patient is not checked.")
    limits = report.scores.normal_limits
    if limits is not None and _get(prior, "scores", "normal_limits", "name") != limits.name:
        notes.append("The earlier scores rest on other normal limits.")
    made = _get(prior, "provenance", "myoperf")
    if made != report.provenance.myoperf:
        notes.append(f"The earlier result was made by version {printable(str(made))} of MyoPerf.")
    category = _get(prior, "scores", "category")
    return PriorComparison(
        changes=tuple(changes),
        category_before=category if isinstance(category, str) else None,
        category_after=report.scores.category,
        notes=tuple(notes),
    )


def _get(held: object, *keys: str) -> Any:
    """Return what nested dictionaries hold; None where a key is missing."""
    for key in keys:
        held = held.get(key) if isinstance(held, dict) else None
    return held


def _finite(value: object) -> float | None:
    """Return a number of JSON; None for anything else, also for one that no float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _score_changes(report: Report, prior: Mapping[str, Any]) -> list[Change]:
    """Compare the scores."""
    found = []
    for quantity in quantities("study"):
        if quantity.name in _OF_SCORES:
            after = quantity.read(report.scores)
            found.append(_change(report, prior, quantity, "scores", _get(prior, "scores", quantity.name), after))
    return [change for change in found if change is not None]


def _scan_changes(report: Report, prior: Mapping[str, Any]) -> list[Change]:
    """Compare the function of scans of the same name."""
    scans = _get(prior, "scans")
    earlier = {str(_get(scan, "name")): scan for scan in (scans if isinstance(scans, list) else [])}
    found = []
    for result in report.results:
        for quantity in quantities("scan"):
            if quantity.name in _OF_SCANS and result.name in earlier:
                before = _get(earlier[result.name], "function", quantity.name)
                found.append(_change(report, prior, quantity, result.name, before, quantity.read(result)))
    return [change for change in found if change is not None]


def _change(
    report: Report, prior: Mapping[str, Any], quantity: Quantity, owner: str, before: object, after: object
) -> Change | None:
    """Compare one number; None where either is missing or its repeatability is not known."""
    earlier_value = _finite(before)
    if earlier_value is None or not isinstance(after, int | float | np.integer | np.floating):
        return None
    of_scan = owner != "scores"
    coefficient = repeatability().get(f"stress.{quantity.name}" if of_scan else quantity.name)
    if coefficient is None:
        return None
    interval = report.intervals.get(owner, {}).get(quantity.name)
    earlier_sd = _finite(_get(prior, "intervals", owner, quantity.name, "sd")) or 0.0
    now_sd = interval.sd if interval else 0.0
    return Change(
        name=f"{owner}.{quantity.name}" if of_scan else quantity.name,
        label=f"{owner.capitalize()} {quantity.label}" if of_scan else quantity.label,
        unit=quantity.unit,
        digits=quantity.digits,
        before=earlier_value,
        after=float(after),
        limit=max(coefficient, 1.96 * float(np.hypot(now_sd, earlier_sd))),
    )
