"""Tables of diagnosis.md, from the card of the shipped classifier of polar maps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pandas as pd

from myoperf.stats import adjust_p, delong_pairs, delong_table
from myoperf.types import VESSELS
from tables.layout import RESULTS, corrected, markdown, p_value, read

CARD = RESULTS.parents[1] / "src/myoperf/weights/polar-classifier/card.json"
COHORTS = {
    "test": "ventricle found, both states",
    "test_stress_only": "ventricle found, stress alone",
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
        cells = [area(row, name) for name in SCORES]
        first = [COHORTS.get(row["cohort"], row["cohort"].replace("_", " ")), f"{row['n']} ({row['n_diseased']})"]
        first += [{"vessels": "vessel"}.get(row["level"], row["level"])] if level else []
        lines.append([*first, *cells, p_value(row["p_tpd"]), p_value(row["p_sss"])])
    head = ("patients", "n (diseased)", *(("per",) if level else ()), "classifier", "TPD", "SSS", "p, TPD", "p, SSS")
    return markdown(head, lines)


def share(part: Mapping[str, Any]) -> str:
    """Write a share with its interval."""
    lo, hi = part["interval"]
    return f"{100 * part['share']:.1f} % ({100 * lo:.1f}-{100 * hi:.1f}) of {part['n']}"


WHOLE = ("test", "test_stress_only")
SIDE = ("told_the_same", "shipped_before")
TOLD = {
    "classifier": "the classifier",
    "tpd_model": "logistic regression of TPD at stress and rest, whole and by vessel, and the clinical values",
    "true_perfusion": "ceiling: the same of the true loss of perfusion",
}


def compared() -> pd.DataFrame:
    """Return the comparisons of all patients, their p values corrected together."""
    rows = read("polar_classifier")
    tests = [name for name in rows if name.startswith("p_")]
    rows[tests] = corrected(rows[tests], "benjamini-hochberg")
    return rows


def told() -> str:
    """Return the classifier beside models that are told as much, and beside the version before."""
    rows = compared().set_index(["cohort", "level"])
    lines = []
    for name, title in TOLD.items():
        cells = [title]
        for level in ("patient", "vessels"):
            row = rows.loc[("told_the_same", level)]
            cells += [area(row, name), p_value(row[f"p_{name}"]) if f"p_{name}" in row else "-"]
        lines.append(cells)
    before = card()["shipped_before"]["version"]
    cells = [f"version {before}, shipped before"]
    for level in ("patient", "vessels"):
        cells += [area(rows.loc[("shipped_before", level)], "classifier"), "-"]
    lines.append(cells)
    return markdown(("", "patient", "p", "vessel", "p"), lines)


def physics() -> str:
    """Return the areas on patients by full physics, per patient and per vessel."""
    if not (RESULTS / "classifier_physics.csv").is_file():
        return "Not measured yet: `python benchmarks/classifier_physics.py`."
    rows = read("classifier_physics")
    ica = rows[[f"ica_{vessel}" for vessel in VESSELS]].to_numpy()
    ill = ica.max(axis=1)
    table = delong_table(ill, rows[["probability", "tpd", "sss"]].to_numpy().T)
    pairs = delong_pairs(table)
    p = adjust_p(pairs.p[pairs.a == 0])
    lines = []
    for index, title in enumerate(("the classifier", "TPD", "SSS")):
        around = table.interval(index)
        against = p_value(p[index - 1]) if index else "-"
        lines.append([title, f"{table.auc[index]:.3f} ({around.lo:.2f}-{around.hi:.2f})", against])
    n = f"{len(rows)} ({ill.sum()} diseased)"
    kept = rows["abstained"] == 0
    return (
        f"{markdown(('n = ' + n, 'area, per patient', 'p (Holm)'), lines)}\n\n"
        f"The classifier abstains in {len(rows) - kept.sum()} of {len(rows)}; version {rows['version'].iloc[0]}."
    )


def area(row: Mapping[str, Any] | pd.Series, name: str) -> str:
    """Write an area with its interval."""
    return f"{row[f'{name}_auc']:.3f} ({row[f'{name}_lo']:.2f}-{row[f'{name}_hi']:.2f})"


def cohorts() -> str:
    """Return areas on the test patients."""
    rows = compared()
    return area_table(rows[~rows["level"].isin(("group", "without abstained")) & rows["cohort"].isin(WHOLE)])


def shifts() -> str:
    """Return areas under other conditions than those of training."""
    rows = compared()
    return area_table(rows[~rows["level"].isin(("group", "without abstained")) & ~rows["cohort"].isin(WHOLE + SIDE)])


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
        f"{patients['calibration']['n']}, judged on {patients['test']['n']}. TPD and SSS by limits: "
        f"{'; '.join(card()['normal_limits'])}. A linear model tells stress maps on known "
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
