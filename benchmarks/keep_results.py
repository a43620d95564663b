"""Keep what a study or a training wrote as the results that the pages show: CSV files, settings and pictures.

    python benchmarks/keep_results.py label-strategies FOLDER     after myoperf study label-strategies -o FOLDER
    python benchmarks/keep_results.py reader FOLDER               after myoperf study reader --scale small -o FOLDER
    python benchmarks/keep_results.py two-stage FOLDER            after myoperf study two-stage -o FOLDER
    python benchmarks/keep_results.py ms-st-unet FOLDER           after myoperf study ms-st-unet -o FOLDER
    python benchmarks/keep_results.py other-seed FOLDER           the same from another seed, whole or in part
    python benchmarks/keep_results.py as-written FOLDER           the same without stabilised training, whole or in part
    python benchmarks/keep_results.py ventricle FOLDER            after myoperf train lv -o FOLDER
    python benchmarks/keep_results.py classifier FOLDER           after myoperf train polar -o FOLDER, or as shipped

Then ``python docs/pages.py`` fills the pages.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from myoperf.research.reorientation.tables import write_tables

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS / "results"
LABEL_TABLES = [f"label_strategies_{name}.csv" for name in ("models", "best", "cohort", "factors", "optimism")]
AGAINST = "classifier_against_"
STUDIES = {"ms-st-unet": "study", "other-seed": "other_seed", "as-written": "as_written"}
ENDINGS = {
    "ms-st-unet": {name: name for name in ("overlap", "pose", "wall_volume", "differences")},
    "other-seed": {name: f"{name}_again" for name in ("overlap", "differences")},
    "as-written": {"overlap": "as_written"},
}
"""Tables of a study, and what ends their names among the results."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write_json(name: str, content: Mapping[str, Any]) -> None:
    """Write a JSON file among the results."""
    (RESULTS / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def keep_label_strategies(folder: Path) -> None:
    """Keep tables, picture and the size of the study of label strategies."""
    for name in LABEL_TABLES:
        shutil.copy(folder / name, RESULTS / name)
    shutil.copy(folder / "label_strategies.png", DOCS / "images")
    manifest = read_json(folder / "manifest.json")
    write_json("label_strategies_run.json", {n: manifest[n] for n in ("models", "patients", "fresh", "seconds")})


def keep_reader(folder: Path) -> None:
    """Keep the tables and settings of the reader study."""
    shutil.copy(folder / "reader_study.csv", RESULTS / "label_strategies_reader.csv")
    shutil.copy(folder / "reader_comparisons.csv", RESULTS / "label_strategies_reader_tests.csv")
    shutil.copy(folder / "manifest.json", RESULTS / "label_strategies_reader.json")


def keep_two_stage(folder: Path) -> None:
    """Keep tables, picture and the tuned head of the first network of the study of two-stage transfer learning."""
    for name in ("two_stage.csv", "two_stage_delong.csv"):
        shutil.copy(folder / name, RESULTS / name)
    shutil.copy(folder / "two_stage_cam.png", DOCS / "images")
    tuned = read_json(sorted((folder / "jobs").glob("hyperband-*.json"))[0])
    names = ("trials", "network", "units", "dropout", "accuracy")
    write_json("two_stage_hyperband.json", {name: tuned[name] for name in names})


def keep_reorientation(what: str, folder: Path) -> None:
    """Keep tables, settings and pictures of the study of MS-ST-UNet and its peers."""
    write_tables(folder)
    for name, ending in ENDINGS[what].items():
        shutil.copy(folder / f"{name}.csv", RESULTS / f"ms_st_unet_{ending}.csv")
    jobs = sorted(file.stem for file in (folder / "jobs").glob("*.csv"))
    runs = read_json(RESULTS / "ms_st_unet_runs.json")
    if what == "ms-st-unet":
        manifest = read_json(folder / "manifest.json")
        names = ("scale", "size", "field", "recipe", "training", "testing")
        run = {name: manifest[name] for name in names}
        for picture in sorted(folder.glob("figure*.png")):
            shutil.copy(picture, DOCS / "images" / f"ms_st_unet_{picture.name}")
    else:
        settings = read_json(folder / "jobs" / "settings.json")
        run = {"seed": settings["seed"], "recipe": settings["recipe"], "jobs": jobs}
    write_json("ms_st_unet_runs.json", runs | {STUDIES[what]: run})


def area_row(cohort: str, level: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the areas of the classifier and what it is compared with in one cohort, with the paired tests."""
    row: dict[str, Any] = {"cohort": cohort, "level": level, "n": part["n"], "n_diseased": part["n_positive"]}
    for name, value in part.items():
        if isinstance(value, Mapping) and "auc" in value:
            row |= {f"{name}_auc": value["auc"], f"{name}_lo": value["interval"][0], f"{name}_hi": value["interval"][1]}
        elif name.startswith(AGAINST):
            row[f"p_{name.removeprefix(AGAINST).removesuffix('_p')}"] = value
    return row


def area_rows(card: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every cohort's, vessel's and group's areas."""
    told, before = card["told_the_same"], card["shipped_before"]["test"]
    for level in ("patient", "vessels"):
        yield area_row("told_the_same", level, told[level])
        yield area_row("shipped_before", level, before[level])
    for name, measured in card["metrics"].items():
        if name == "groups":
            yield from (area_row(group, "group", part) for group, part in measured.items() if "classifier" in part)
            continue
        for level in ("patient", "vessels", "LAD", "LCX", "RCA"):
            if level in measured:
                yield area_row(name, level, measured[level])
        if "patient_without_abstained" in measured:
            yield area_row(name, "without abstained", measured["patient_without_abstained"])


def main() -> None:
    """Keep one folder's results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", choices=("label-strategies", "reader", "two-stage", *STUDIES, "ventricle", "classifier")
    )
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.what in STUDIES:
        keep_reorientation(given.what, given.folder)
    elif given.what == "ventricle":
        shutil.copy(given.folder / "judged.csv", RESULTS / "lv_network.csv")
    elif given.what == "classifier":
        rows = area_rows(read_json(given.folder / "card.json"))
        pd.DataFrame(rows).to_csv(RESULTS / "polar_classifier.csv", index=False)
    else:
        kept = {"label-strategies": keep_label_strategies, "reader": keep_reader, "two-stage": keep_two_stage}
        kept[given.what](given.folder)


if __name__ == "__main__":
    main()
