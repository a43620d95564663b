"""What other programs rely on: the keys of results.json, and the codes and severities of findings.

The lists beside this file were written from real runs; a change here is a change of the contract.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from myoperf.quantities import numbers_of_scan, numbers_of_scores
from myoperf.report import results_json
from myoperf.types import FlowReserve, FlowResult, Interval, Settings
from support.findings import findings_of_package

HERE = Path(__file__).parent
PARTS = ("LAD", "LCX", "RCA", "global")


def frozen(name):
    return set((HERE / name).read_text(encoding="utf-8").split("\n")) - {""}


def key_paths(value, path=""):
    """Paths of all leaves; lists as ``[]``, the number of an entry of a list in the name of an interval as N."""
    if isinstance(value, dict):
        return {
            p for key, entry in value.items() for p in key_paths(entry, f"{path}/{re.sub(r'[.][0-9]+$', '.N', key)}")
        }
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {p for entry in value for p in key_paths(entry, f"{path}[]")}
    return {path}


def with_intervals(report, **provenance):
    """Add an interval to every number, a finding to every scan, and the settings every analysis records."""

    def intervals(numbers):
        return {name: Interval(value, value - 1, value + 1, 0.5, 5, "counts") for name, value in numbers.items()}

    of_scans = {result.name: intervals(numbers_of_scan(result)) for result in report.results}
    settings = Settings("default", {"LAD": (1, 2), "LCX": (5,), "RCA": (3, 4)}, "float32")
    return replace(
        report,
        intervals=of_scans | {"scores": intervals(numbers_of_scores(report.scores))},
        results=tuple(replace(result, findings=report.results[0].findings) for result in report.results),
        provenance=replace(report.provenance, settings=settings, **provenance),
    )


def scored(scores):
    """Add what scoring against normal limits adds."""
    return replace(
        scores,
        convention="myoperf-perfusion/1",
        category="severely abnormal",
        stress_extent_percent=23.4,
        rest_extent_percent=4.2,
        stress_mean_severity=2.13,
        rest_mean_severity=0.9,
        stress_percent_myocardium=20.6,
        rest_percent_myocardium=5.9,
        ischemic_percent_myocardium=14.7,
        reversible_share_percent=71.4,
        sss_20=18,
        srs_20=5,
        scans={"stress": "stress", "rest": "rest"},
    )


@pytest.fixture(scope="module")
def gated(full):
    """Gated stress and rest from raw views, scored against normal limits."""
    stress, rest = (replace(result, lung_heart_ratio=0.4, function=full.results[0].function) for result in full.results)
    return with_intervals(replace(full, results=(stress, rest), scores=scored(full.scores)))


@pytest.fixture(scope="module")
def dynamic(full):
    """Dynamic PET at stress and at rest."""
    segments, frames = np.ones(17), np.ones(9)
    flow = FlowResult(
        "Rb-82", *(segments,) * 6, dict.fromkeys(PARTS, 1.0), *(frames,) * 4, *(np.ones((17, 9)),) * 2
    )  # fmt: skip
    results = tuple(replace(result, flow=flow, function=None, reconstruction=None) for result in full.results)
    scores = replace(scored(full.scores), flow_reserve=FlowReserve(segments, dict.fromkeys(PARTS, 2.0)))
    return with_intervals(replace(full, results=results, scores=scores, diagnosis=None), weights=())


@pytest.mark.parametrize("kind", ["gated", "dynamic"])
def test_the_keys_of_results_json_do_not_change(kind, request):
    measured = {path for path in key_paths(results_json(request.getfixturevalue(kind))) if "peak_memory" not in path}
    assert measured == frozen(f"keys_{kind}.txt")


def test_codes_and_severities_of_findings_do_not_change():
    assert findings_of_package() == frozen("finding_codes.txt")
