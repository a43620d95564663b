"""Tables of diagnosis.md, from the card of the shipped classifier of polar maps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pandas as pd

from tables.layout import RESULTS, corrected, markdown, p_value, read

CARD = RESULTS.parents[1] / "src/myoperf/weights/polar-classifier/card.json"
COHORTS = {
    "test": "ventricle found, both states",
    "test_stress_only": "ventricle found, stress alone",
    "judged": "ventricle found, both states, the patients versions 2 and 3 were judged on",
    "known-judged": "known ventricle, both states",
    "louder": "known ventricle, twice the noise",
    "czt": "known ventricle, CZT camera",
    "rarer-judged": "known ventricle, fewer diseased",
    "louder-found": "ventricle found, twice the noise",
    "czt-found": "ventricle found, CZT camera",
    "rarer-found": "ventricle found, fewer diseased",
    "small_hearts": "small hearts (the smallest quarter)",
    "with_normals": "with patients of low likelihood added",
}


SCORES = ("classifier", "tpd", "sss")


@cache
def card() -> Any:
    """Return the card of the shipped classifier."""
    return json.loads(CARD.read_text(encoding="utf-8"))


def area_table(rows: pd.DataFrame, *, level: bool = True) -> str:
    """Write areas with intervals and paired tests."""
    lines = []
    for row in rows.to_dict("records"):
        cells = [f"{row[f'{k}_auc']:.3f} ({row[f'{k}_lo']:.2f}-{row[f'{k}_hi']:.2f})" for k in SCORES]
        first = [COHORTS.get(row["cohort"], row["cohort"].replace("_", " ")), f"{row['n']} ({row['n_diseased']})"]
        first += [{"vessels": "vessel"}.get(row["level"], row["level"])] if level else []
        lines.append([*first, *cells, p_value(row["p_tpd"]), p_value(row["p_sss"])])
    head = ("patients", "n (diseased)", *(("per",) if level else ()), "classifier", "TPD", "SSS", "p, TPD", "p, SSS")
    return markdown(head, lines)


def share(part: Mapping[str, Any]) -> str:
    """Write a share with its interval."""
    lo, hi = part["interval"]
    return f"{100 * part['share']:.1f} % ({100 * lo:.1f}-{100 * hi:.1f}) of {part['n']}"


WHOLE = ("test", "test_stress_only", "judged")


def compared() -> pd.DataFrame:
    """Return the comparisons of all patients, their p values corrected together."""
    rows = read("polar_classifier")
    rows[["p_tpd", "p_sss"]] = corrected(rows[["p_tpd", "p_sss"]], "benjamini-hochberg")
    return rows


def cohorts() -> str:
    """Return areas on the test patients."""
    rows = compared()
    return area_table(rows[~rows["level"].isin(("group", "without abstained")) & rows["cohort"].isin(WHOLE)])


def shifts() -> str:
    """Return areas under other conditions than those of training."""
    rows = compared()
    return area_table(rows[~rows["level"].isin(("group", "without abstained")) & ~rows["cohort"].isin(WHOLE)])


def groups() -> str:
    """Return areas in groups of the test patients."""
    rows = compared()
    return area_table(rows[rows["level"] == "group"], level=False)


def verdict() -> str:
    """Return what the card concludes."""
    return f"Version {card()['version']}: {card()['verdict']}."


def patients() -> str:
    """Return on whom the classifier was trained, calibrated and tested."""
    apart, patients = card()["known_told_from_found"], card()["patients"]
    lo, hi = apart["told_apart"]["interval"]
    learned = ", ".join(f"{n} {v['n']}" for n, v in patients.items() if n in ("main", "rarer", "learned"))
    return (
        f"Learned from: {learned}, and {patients['widened']} that were not imaged; calibrated on "
        f"{patients['calibration']['n']}, judged on {patients['test']['n']}. A linear model tells stress maps on known "
        f"ventricles from those on found ones with an area of {apart['told_apart']['auc']:.2f} ({lo:.2f}-{hi:.2f}), "
        f"n {apart['n']}; 0.5 would be not at all."
    )


def abstention() -> str:
    """Return how often the classifier abstains and what that does to the area."""
    rows = []
    for name, measured in card()["metrics"].items():
        if name == "groups":
            continue
        kept, whole = measured.get("patient_without_abstained"), measured["patient"]["classifier"]["auc"]
        after = "-" if kept is None else f"{kept['classifier']['auc']:.3f} (n {kept['n']})"
        rows.append([COHORTS.get(name, name), share(measured["abstained"]), f"{whole:.3f}", after])
    groups = card()["metrics"]["groups"]
    if "normals_abstained" in groups:
        rows.append(["patients of low likelihood", share(groups["normals_abstained"]), "-", "-"])
    return markdown(("patients", "abstains", "AUC, all", "AUC without them"), rows)


def calibration() -> str:
    """Return the calibrations compared, and the one chosen on the test patients."""
    rows = []
    for name, part in card()["calibration"].items():
        losses = part["cross_validated_log_loss"]
        rows.append([name, part["n"], *(f"{losses[kind]:.3f}" for kind in losses), part["kind"]])
    test, cut = card()["metrics"]["test"]["calibration"], card()["threshold"]
    reached = [
        f"{n} {cut[n]['value']:.2f} ({cut[n]['interval'][0]:.2f}-{cut[n]['interval'][1]:.2f})"
        for n in ("sensitivity", "specificity")
    ]
    return (
        f"{markdown(('reading', 'n', *losses, 'chosen'), rows)}\n\n"
        f"On the test patients: Brier {test['brier']:.3f}, slope {test['slope']:.2f}, intercept "
        f"{test['intercept']:+.2f}, expected calibration error {test['ece']:.3f}, per vessel. The cut for a "
        f"sensitivity of {cut['wanted_sensitivity']:.2f}, chosen on the calibration patients, is "
        f"{cut['threshold']:.2f}; on the test patients it gives {reached[0]} and {reached[1]} per patient."
    )
