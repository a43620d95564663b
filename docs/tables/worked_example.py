"""Tables of worked-example.md: one simulated patient, every number of the report with its truth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from myoperf.quantities import Owner, quantities
from tables.layout import interval, markdown, read_json

TRUTH = {
    "segments_percent": "segments_percent",
    "edv_ml": "edv_ml",
    "esv_ml": "esv_ml",
    "lvef_percent": "lvef_percent",
    "phase_sd_deg": "phase_sd_deg",
    "phase_bandwidth_deg": "phase_bandwidth_deg",
    "phase_segments_deg": "segment_phase_deg",
    "motion_mm": "segment_motion_mm",
    "thickening_percent": "segment_thickening_percent",
}
"""What a number is called in the simulation's truth, where it is known."""


@cache
def example() -> dict[str, Any]:
    """Return results and truth of the patient."""
    return read_json("worked_example")


def form_of(value: float) -> str:
    """Return the format of a number: whole numbers as they are, two digits below 10, else one."""
    return f".{0 if float(value).is_integer() else 2 if abs(value) < 10 else 1}f"


def truth_of(name: str, state: str) -> Any:
    """Return the truth of a number in a state, or of both states; None where there is none."""
    truth, key = example()["truth"], TRUTH.get(name)
    for place in (truth.get(state, {}), truth):
        value = place.get(key)
        if isinstance(value, dict):
            value = value.get(state)
        if value is not None:
            return value
    return None


def numbers(values: Mapping[str, Any], of: Owner, state: str) -> str:
    """Return the table of the numbers of a scan or of the study; lists come last, each in one row."""
    explained = {q.name: (q.definition, q.source) for q in quantities(of)}
    in_territory = {q.name: (q.definition, q.source) for q in quantities("territory")}
    single, lists = [], dict[str, list[dict[str, Any]]]()
    for name, entry in values.items():
        head, _, last = name.rpartition(".")
        if last.isdigit():
            lists.setdefault(head, []).append(entry)
            continue
        true = truth_of(last, state)
        text = interval(entry["value"], entry["low"], entry["high"], form_of(entry["value"]))
        single.append([name, text, "" if true is None else f"{true:.1f}", *(in_territory if head else explained)[last]])
    for name, entries in lists.items():
        true = truth_of(name, state)
        sd = sum(e["sd"] for e in entries) / len(entries)
        listed = ", ".join(f"{e['value']:.0f}" for e in entries)
        text = f"{listed} (SD of each {sd:.1f} on average)"
        single.append([name, text, "" if true is None else ", ".join(f"{v:.0f}" for v in true), *explained[name]])
    return markdown(("number", "value (95 % interval)", "truth", "definition", "source"), single)


def scan(number: int) -> str:
    """Return how a scan was acquired and reconstructed, and its numbers."""
    of = example()["scans"][number]
    how = of["reconstruction"]
    codes = ", ".join(f"`{finding['code']}`" for finding in of["findings"])
    return (
        f"{how['method']} {how['iterations']} x {how['subsets']}, {how['views']} views, {how['frames']} gates, "
        f"{how['counts'] / 1e6:.2f} million counts. "
        f"Findings: {codes or 'none'}.\n\n" + numbers(example()["intervals"][of["name"]], "scan", of["state"])
    )


def stress() -> str:
    """Return the numbers of the stress scan."""
    return scan(0)


def rest() -> str:
    """Return the numbers of the rest scan."""
    return scan(1)


def scores() -> str:
    """Return the numbers of both scans together."""
    limits = example()["normal_limits"]
    return (
        f"{numbers(example()['intervals']['scores'], 'study', 'stress')}\n\nNormal limits: {limits['name']}, version "
        f"{limits['version']}, n = {limits['n']} (simulated normals)."
    )


def diagnosis() -> str:
    """Return the probabilities of obstructive disease and the simulated patient's angiography."""
    probabilities, ill = example()["diagnosis"], example()["truth"]["ica"]
    low, high = probabilities["interval"]
    rows = [[vessel, f"{p:.2f}", truth(ill[vessel])] for vessel, p in probabilities["per_vessel"].items()]
    whole = f"{probabilities['per_patient']:.2f} ({low:.2f} to {high:.2f}, the networks' spread)"
    rows.append(["patient: the largest", whole, truth(ill["patient"])])
    head = ("probability of obstructive disease", "value", "truth, by angiography")
    return f"`{probabilities['model']}`. {probabilities['reason'] or ''}\n\n{markdown(head, rows)}"


def truth(is_ill: int) -> str:
    """Write what angiography shows."""
    return "diseased" if is_ill else "free"
