"""Write the tables of a study's folder into its page: ``python benchmarks/study_pages.py label-strategies FOLDER``.

Copies the folder's CSV files to ``docs/results`` and its picture to ``docs/images``, and writes every number of the
page between its marks from those files. Studies: label-strategies, two-stage. ``diagnosis FOLDER`` writes the page of
the classifier from the card in a folder that ``myoperf train polar`` wrote, or of the shipped weights.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from myoperf.research.transfer_learning.tables import TABLE_3, TABLE_4

DOCS = Path(__file__).parents[1] / "docs"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def number(row: Mapping[str, Any], name: str) -> str:
    """Give a number with its interval."""
    if pd.isna(row[name]):
        return "-"
    return f"{row[name]:.3f} ({row[f'{name}_lo']:.2f}-{row[f'{name}_hi']:.2f})"


def small(p: float) -> str:
    """Give a p value."""
    return "-" if pd.isna(p) else "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def model_of(row: Mapping[str, Any]) -> str:
    """Name a model of paper 001's grid."""
    return f"{row['network']}, {row['input']}, {row['augmentation']}"


def put(page: Path, parts: Mapping[str, str]) -> None:
    """Put texts between ``<!-- name -->`` and ``<!-- end of name -->``."""
    text = page.read_text(encoding="utf-8")
    for name, part in parts.items():
        before, rest = text.split(f"<!-- {name} -->")
        after = rest.split(f"<!-- end of {name} -->")[1]
        text = f"{before}<!-- {name} -->\n{part}\n<!-- end of {name} -->{after}"
    page.write_text(text, encoding="utf-8")


def read(folder: Path, name: str) -> pd.DataFrame:
    """Read one of the study's tables and copy it beside the pages."""
    shutil.copy(folder / f"{name}.csv", DOCS / "results" / f"{name}.csv")
    return pd.read_csv(folder / f"{name}.csv", dtype={"strategy": str})


def cohort_part(folder: Path) -> str:
    """Show prevalence beside the paper's."""
    rows = []
    for row in read(folder, "label_strategies_cohort").to_dict("records"):
        cells = []
        for name in ("LAD", "LCX", "RCA", "patient"):
            paper = row[f"{name}_percent_in_paper"]
            cells.append(f"{row[f'{name}_percent']:.0f}" + ("" if pd.isna(paper) else f" ({paper:.0f})"))
        rows.append([row["part"], str(row["n"]), row["labels"], *cells])
    return table(("part", "n", "labels", "LAD %", "LCX %", "RCA %", "patient %"), rows)


def best_part(folder: Path) -> str:
    """001's tables 2 and 3."""
    best = read(folder, "label_strategies_best")
    parts = []
    names = ("auc", "accuracy", "sensitivity", "specificity", "balanced_accuracy", "precision")
    for level in ("vessel", "patient"):
        rows = [
            [row["strategy"], model_of(row), *(number(row, n) for n in names)]
            for row in best[best["level"] == level].to_dict("records")
        ]
        head = ("strategy", "network, input, augmentation", *(n.replace("_", " ") for n in names))
        parts.append(f"Per {level}:\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def beats_part(models: pd.DataFrame) -> str:
    """001's table 4: the ten models of task 2 that beat most others."""
    second = models[models["strategy"] != "task 1"]
    parts = []
    for level in ("vessel", "patient"):
        top = second.sort_values([f"beats_{level}", f"auc_{level}"], ascending=False).head(10)
        rows = [
            [
                row["strategy"],
                model_of(row),
                number(row, f"auc_{level}"),
                str(row[f"beats_{level}"]),
                str(row[f"beats_{level}_holm"]),
            ]
            for row in top.to_dict("records")
        ]
        head = ("strategy", "network, input, augmentation", "AUC", f"beats, of {len(second) - 1}", "after Holm")
        parts.append(f"Per {level}:\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def factors_part(folder: Path) -> str:
    """Show the pooled rank sum beside the matched permutation."""
    rows = [
        [
            row["level"],
            row["factor"],
            f"{row['a']} - {row['b']}",
            f"{row['median_difference']:+.3f}",
            small(row["p_rank_sum"]),
            f"{row['mean_difference_matched']:+.3f}",
            str(row["n_matched"]),
            small(row["p_paired"]),
            small(row["p_paired_holm"]),
        ]
        for row in read(folder, "label_strategies_factors").to_dict("records")
    ]
    head = (
        "level",
        "factor",
        "compared",
        "difference of pooled medians",
        "p, pooled rank sum",
        "mean difference, matched models",
        "pairs",
        "p, permutation",
        "after Holm",
    )
    return table(head, rows)


def optimism_part(folder: Path) -> str:
    """Show what choosing on the test does."""
    rows = []
    for row in read(folder, "label_strategies_optimism").to_dict("records"):
        around = "" if pd.isna(row["lo"]) else f" ({row['lo']:.2f}-{row['hi']:.2f})"
        reported = f"{row['auc_reported']:.3f}{around}"
        rows.append([row["level"], row["way"], f"{row['auc_where_chosen']:.3f}", reported, f"{row['n_reported']:.0f}"])
    return table(("level", "way", "AUC where chosen", "AUC reported", "n"), rows)


def label_strategies(folder: Path) -> None:
    """Write docs/label-strategies.md."""
    models = read(folder, "label_strategies_models")
    shutil.copy(folder / "label_strategies.png", DOCS / "images" / "label_strategies.png")
    said = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    factors = pd.read_csv(folder / "label_strategies_factors.csv")
    sure, paired = (factors["p_rank_sum"] < 0.05).sum(), (factors["p_paired"] < 0.05).sum()
    holm = (factors["p_paired_holm"] < 0.05).sum()
    ran = (
        f"{said['models']} models of {said['patients']} simulated patients and {said['fresh']} fresh ones; "
        f"training took {said['seconds']:.0f} s on a busy machine. Mean epochs {models['epochs'].mean():.1f}."
    )
    counted = (
        f"Of {len(factors)} comparisons the pooled rank sum calls {sure} significant at 0.05, the permutation over "
        f"matched models {paired}, after Holm within a factor {holm}."
    )
    put(
        DOCS / "label-strategies.md",
        {
            "ran": ran,
            "cohort": cohort_part(folder),
            "best": best_part(folder),
            "beats": beats_part(models),
            "factors": f"{counted}\n\n{factors_part(folder)}",
            "optimism": optimism_part(folder),
        },
    )


def two_stage(folder: Path) -> None:
    """Write the tables of docs/two-stage.md."""
    frame = read(folder, "two_stage")
    tests = read(folder, "two_stage_delong")
    shutil.copy(folder / "two_stage_cam.png", DOCS / "images" / "two_stage_cam.png")
    names = ("accuracy", "auc", "precision", "sensitivity", "specificity", "f1")
    parts = {}
    for part in ("test", "fresh"):
        chosen = frame[frame["part"] == part]
        rows = [
            [row["network"], row["weights"], row["strategy"], *(number(row, n) for n in names)]
            for row in chosen.to_dict("records")
        ]
        parts[part] = f"n {chosen['n'].iloc[0]}\n\n{table(('network', 'weights', 'strategy', *names), rows)}"
    lead = frame[(frame["network"] == "EfficientNetLite0") & (frame["part"] == "fresh")]
    rows = []
    for row in lead[lead["weights"].eq("imagenet") | lead["strategy"].eq("1")].to_dict("records"):
        paper = TABLE_4[int(row["strategy"])]
        cells = [number(row, n) for n in ("accuracy", "auc", "specificity", "sensitivity")]
        rows.append([row["strategy"], *cells, f"{row['cpu_seconds']:.0f}", *(f"{v:.3f}" for v in paper[:4])])
        rows[-1].append(f"{paper[4]:.0f}")
    head = ("strategy", "accuracy", "AUC", "specificity", "sensitivity", "time, s")
    paper_head = tuple(f"paper: {n}" for n in ("accuracy", "AUC", "specificity", "sensitivity", "time, s"))
    parts["strategies"] = table((*head, *paper_head), rows)
    wanted = tests[tests["part"].eq("fresh") & tests["a"].str.startswith("EfficientNetLite0 imagenet")]
    pairs = []
    for number_ in ("4", "5", "6"):
        rival = f"EfficientNetLite0 random strategy {number_}"
        mine = wanted[wanted["a"].str.endswith(f"strategy {number_}") & wanted["b"].eq(rival)]
        pairs += [[number_, f"{r['difference']:+.3f}", small(r["p"])] for r in mine.to_dict("records")]
    parts["transfer"] = table(("strategy", "AUC, ImageNet less random weights", "p, DeLong, paired"), pairs)
    tuned = json.loads((folder / "jobs" / "hyperband.json").read_text(encoding="utf-8"))
    parts["hyperband"] = (
        f"Hyperband over {tuned['trials']} heads on {tuned['network']} chose {tuned['units']} units and dropout "
        f"{tuned['dropout']:.1f} (validation accuracy {tuned['accuracy']:.3f}); the study keeps the paper's 256 units."
    )
    rows = [[name, *(f"{v:.3f}" for v in values)] for name, values in TABLE_3.items()]
    parts["paper"] = table(("network", "accuracy", "AUC", "precision", "sensitivity", "F1"), rows)
    put(DOCS / "two-stage.md", parts)


TOLD = {
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
    "with_normals": "with patients of low likelihood beside them",
}
SCORES = ("classifier", "tpd", "sss")


def area_row(cohort: str, level: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten the areas of classifier, TPD and SSS in one cohort with the paired tests."""
    row: dict[str, Any] = {"cohort": cohort, "level": level, "n": part["n"], "n_diseased": part["n_positive"]}
    for name in SCORES:
        lo, hi = part[name]["interval"]
        row |= {f"{name}_auc": part[name]["auc"], f"{name}_lo": lo, f"{name}_hi": hi}
    return row | {f"p_{name}": part[f"classifier_against_{name}_p"] for name in SCORES[1:]}


def area_rows(card: Mapping[str, Any]) -> pd.DataFrame:
    """Give every cohort's, vessel's and group's areas, one a row."""
    rows = []
    for name, measured in card["metrics"].items():
        if name == "groups":
            rows += [area_row(k, "group", v) for k, v in measured.items() if "classifier" in v]
            continue
        levels = ("patient", "vessels", "LAD", "LCX", "RCA")
        rows += [area_row(name, level, measured[level]) for level in levels if level in measured]
        if "patient_without_abstained" in measured:
            rows.append(area_row(name, "without abstained", measured["patient_without_abstained"]))
    return pd.DataFrame(rows)


def area_table(rows: pd.DataFrame, *, level: bool = True) -> str:
    """Write areas with intervals and paired tests."""
    lines = []
    for row in rows.to_dict("records"):
        cells = [f"{row[f'{k}_auc']:.3f} ({row[f'{k}_lo']:.2f}-{row[f'{k}_hi']:.2f})" for k in SCORES]
        about = [TOLD.get(row["cohort"], row["cohort"].replace("_", " ")), f"{row['n']} ({row['n_diseased']})"]
        about += [{"vessels": "vessel"}.get(row["level"], row["level"])] if level else []
        lines.append([*about, *cells, small(row["p_tpd"]), small(row["p_sss"])])
    head = ("patients", "n (diseased)", *(("per",) if level else ()), "classifier", "TPD", "SSS", "p, TPD", "p, SSS")
    return table(head, lines)


def said_share(part: Mapping[str, Any]) -> str:
    """Give a share with its interval."""
    lo, hi = part["interval"]
    return f"{100 * part['share']:.1f} % ({100 * lo:.1f}-{100 * hi:.1f}) of {part['n']}"


def abstention_part(card: Mapping[str, Any]) -> str:
    """Show how often it abstains and what that does to the area."""
    rows = []
    for name, measured in card["metrics"].items():
        if name == "groups":
            continue
        kept, whole = measured.get("patient_without_abstained"), measured["patient"]["classifier"]["auc"]
        after = "-" if kept is None else f"{kept['classifier']['auc']:.3f} (n {kept['n']})"
        rows.append([TOLD.get(name, name), said_share(measured["abstained"]), f"{whole:.3f}", after])
    groups = card["metrics"]["groups"]
    if "normals_abstained" in groups:
        rows.append(["patients of low likelihood", said_share(groups["normals_abstained"]), "-", "-"])
    return table(("patients", "abstains", "AUC, all", "AUC without them"), rows)


def diagnosis(folder: Path) -> None:
    """Write the tables of docs/diagnosis.md from the card, and docs/results/polar_classifier.csv."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    rows = area_rows(card)
    rows.to_csv(DOCS / "results" / "polar_classifier.csv", index=False)
    calibration = []
    for name, part in card["calibration"].items():
        losses = part["cross_validated_log_loss"]
        calibration.append([name, str(part["n"]), *(f"{losses[k]:.3f}" for k in losses), part["kind"]])
    kinds = next(iter(card["calibration"].values()))["cross_validated_log_loss"]
    seen = card["metrics"]["test"]["calibration"]
    cut = card["threshold"]
    told = [
        f"{n} {cut[n]['value']:.2f} ({cut[n]['interval'][0]:.2f}-{cut[n]['interval'][1]:.2f})"
        for n in ("sensitivity", "specificity")
    ]
    measured = (
        f"On the test patients: Brier {seen['brier']:.3f}, slope {seen['slope']:.2f}, intercept "
        f"{seen['intercept']:+.2f}, expected calibration error {seen['ece']:.3f}, per vessel. The cut for a "
        f"sensitivity of {cut['wanted_sensitivity']:.2f}, chosen on the calibration patients, is "
        f"{cut['threshold']:.2f}; on the test patients it gives {told[0]} and {told[1]} per patient."
    )
    apart = card["known_told_from_found"]
    lo, hi = apart["told_apart"]["interval"]
    patients = card["patients"]
    learned = ", ".join(f"{n} {v['n']}" for n, v in patients.items() if n in ("main", "rarer", "learned"))
    shares = (
        f"Learned from: {learned}, and {patients['widened']} that were not imaged; calibrated on "
        f"{patients['calibration']['n']}, judged on {patients['test']['n']}. A linear model tells stress maps on known "
        f"ventricles from those on found ones with an area of {apart['told_apart']['auc']:.2f} ({lo:.2f}-{hi:.2f}), "
        f"n {apart['n']}; 0.5 would be not at all."
    )
    own = rows[~rows["level"].isin(("group", "without abstained"))]
    whole = ("test", "test_stress_only", "judged")
    put(
        DOCS / "diagnosis.md",
        {
            "verdict": f"Version {card['version']}: {card['verdict']}.",
            "patients": shares,
            "cohorts": area_table(own[own["cohort"].isin(whole)]),
            "shifts": area_table(own[~own["cohort"].isin(whole)]),
            "groups": area_table(rows[rows["level"] == "group"], level=False),
            "abstention": abstention_part(card),
            "calibration": f"{table(('reading', 'n', *kinds, 'chosen'), calibration)}\n\n{measured}",
        },
    )


PAGES: Mapping[str, Callable[[Path], None]] = {
    "label-strategies": label_strategies,
    "two-stage": two_stage,
    "diagnosis": diagnosis,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=PAGES)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    PAGES[given.study](given.folder)


if __name__ == "__main__":
    main()
