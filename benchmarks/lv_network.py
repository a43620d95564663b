"""Write the page of the network that finds the left ventricle from a training's and a study's folder.

``python benchmarks/lv_network.py TRAINING [--study STUDY] [--again OTHER]`` after ``myoperf train lv -o TRAINING ...``,
``myoperf study ms-st-unet -o STUDY`` and, whole or in part, the same with ``--seed 1 -o OTHER``: tables go between the
marks in docs/ms-st-unet.md, rows to docs/results.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from myoperf.research.reorientation.tables import NAMES, OURS, write_tables

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "ms-st-unet.md"
SHOWN = (
    ("wall_dice", "wall DSC", 3),
    ("pool_dice", "pool DSC", 3),
    ("wall_hd95_mm", "wall HD95, mm", 1),
    ("axis_error_deg", "long axis, degrees", 1),
    ("centre_error_mm", "centre, mm", 1),
    ("wall_volume_error_percent", "wall volume error, %", 1),
    ("seconds", "s a volume", 2),
)


def cell(figures: dict[str, Any] | None, digits: int) -> str:
    if figures is None:
        return ""
    low, high = figures["interval"]
    mean, median = f"{figures['mean']:.{digits}f}", f"{figures['median']:.{digits}f}"
    return f"{mean} ({low:.{digits}f} to {high:.{digits}f}), {median}"


def training_table(card: dict[str, Any]) -> str:
    lines = [
        "| | n | " + " | ".join(title for _, title, _ in SHOWN) + " | least wall DSC | axis, 95th percentile |",
        "|---|---|" + "---|" * (len(SHOWN) + 2),
    ]
    for name, figures in card["metrics"].items():
        n = f"{figures['volumes']} volumes, {figures['patients']} patients, {figures['found']} found"
        cells = [cell(figures[key], digits) for key, _, digits in SHOWN]
        wall, axis = figures["wall_dice"], figures["axis_error_deg"]
        tail = [f"{wall['least']:.3f}", f"{axis['percentile_95']:.1f}" if axis else ""]
        lines.append(f"| {name} | {n} | " + " | ".join([*cells, *tail]) + " |")
    return "\n".join(["Mean (95 % interval over patients), median.", "", *lines])


def share(figures: dict[str, Any]) -> str:
    if figures["value"] is None:
        return "no such volume"
    low, high = figures["interval"]
    return f"{figures['value']:.2f} ({low:.2f} to {high:.2f}), n {figures['n']}"


def failure_table(card: dict[str, Any]) -> str:
    lines = ["| | sensitivity | specificity |", "|---|---|---|"]
    for name, figures in card["metrics"].items():
        found = figures["failures"]
        lines.append(f"| {name} | {share(found['sensitivity'])} | {share(found['specificity'])} |")
    bad = next(iter(card["metrics"].values()))["failures"]["bad"]
    return "\n".join([f"Bad is: {bad}. Wilson 95 % intervals.", "", *lines])


def conditions(recipe: dict[str, Any]) -> str:
    """Say what was on in the training beyond the paper's."""
    steadied = recipe.get("steadied")
    said = "Trained as the paper has it."
    if steadied:
        said = (
            f"Stabilised (see above): first {steadied['pose_first']} iterations of {steadied['pose_batch']} volumes on "
            f"the pose alone; then masks in the true pose for {100 * steadied['given']:.0f} % of the iterations "
            f"(throughout where trained apart); cross-entropy of weight {steadied['entropy']:g} beside the overlap, "
            "for every network."
        )
    own = "with" if recipe.get("nn_unet_own") else "without"
    return f"{said} nnU-Net {own} its own augmentation, loss and mirroring."


def counts(of: dict[str, int]) -> str:
    return " and ".join(f"{n} {kind.upper()}" for kind, n in of.items())


def other_seed(folder: Path) -> str:
    """Lay out the claims, and the overlaps behind them, of the same trainings from another seed."""
    write_tables(folder)
    settings = json.loads((folder / "jobs" / "settings.json").read_text())
    parts = [f"Seed {settings['seed']}: other patients to learn from and to judge; jobs done: {jobs(folder)}."]
    parts += [(folder / f"{name}.md").read_text().strip() for name in ("differences", "overlap")]
    return "\n\n".join(parts)


PICTURES = {
    "pose": ("figure4", "Pose found against the true one"),
    "wall_volume": ("figure6", "Volume of the wall, found against true, and Bland-Altman"),
}


def pictures(name: str) -> str:
    """Link the pictures that belong to a table."""
    if name not in PICTURES:
        return ""
    stem, title = PICTURES[name]
    return "".join(f"\n\n![{title}, {k.upper()}](images/ms_st_unet_{stem}-{k}.png)" for k in ("spect", "pet"))


def study_tables(folder: Path) -> str:
    manifest = json.loads((folder / "manifest.json").read_text())
    recipe, field = manifest["recipe"], manifest["field"]
    parts = [
        f"Scale `{manifest['scale']}`: networks of size {manifest['size']}, {field['side']}^3 voxels of "
        f"{field['voxel_mm']} mm, {recipe['iterations']} iterations of {recipe['batch']} volumes, "
        f"rate {recipe['rate']}; trained on {counts(manifest['training'])} simulated volumes, tested on "
        f"{counts(manifest['testing'])} of other simulated patients. Intervals: 95 %, over patients. DSC in percent. "
        + conditions(recipe),
    ]
    for name, title in (
        ("overlap", "Tables 3 and 4"),
        ("differences", "The claims: paired differences of DSC, in points"),
        ("pose", "Figure 4: R2 of the line, and the share of variance explained without a line"),
        ("wall_volume", "Figure 6: volume of the wall"),
    ):
        parts.append(f"### {title}\n\n{(folder / f'{name}.md').read_text().strip()}{pictures(name)}")
    parts.append(f"### Goals, MS-ST-UNet compact, SPECT, in this study\n\n{goals(folder)}")
    return "\n\n".join(parts)


GOALS = (
    ("wall_dice", 93.0, "wall DSC, %", False),
    ("pool_dice", 95.0, "pool DSC, %", False),
    ("wall_hd95_mm", 7.0, "wall HD95, mm", True),
    ("axis_median_deg", 3.0, "long axis by the network's pose, median, degrees", True),
    ("axis_p95_deg", 8.0, "the same, 95th percentile", True),
    ("mask_axis_median_deg", 3.0, "long axis by its mask, median, degrees", True),
    ("mask_axis_p95_deg", 8.0, "the same, 95th percentile", True),
)
"""Of MS-ST-UNet compact on SPECT: column, goal, name, whether less is better."""


def goals(folder: Path) -> str:
    """Say for each goal whether MS-ST-UNet's row of the study meets it."""
    rows = pd.read_csv(folder / "overlap.csv")
    both = rows["tested_on"].str.startswith("spect") & rows["trained_on"].str.startswith("spect")
    row = rows[both & (rows["network"] == NAMES[OURS])].iloc[0]
    lines = []
    for column, goal, name, less in GOALS:
        met = row[column] <= goal if less else row[column] >= goal
        word = "at most" if less else "at least"
        end = "met" if met else f"**missed by {abs(row[column] - goal):.2g}**"
        lines.append(f"- {name}, {word} {goal:g}: {row[column]:.3g}, {end}.")
    return "\n".join(lines)


def jobs(folder: Path) -> str:
    return ", ".join(sorted(file.stem for file in (folder / "jobs").glob("*.csv")))


def fill(text: str, mark: str, table: str) -> str:
    start, end = f"<!-- {mark}: start -->", f"<!-- {mark}: end -->"
    if start not in text or end not in text:
        raise SystemExit(f"{PAGE.name} has no marks for {mark}.")
    return re.sub(f"{re.escape(start)}.*?{re.escape(end)}", lambda _: f"{start}\n{table}\n{end}", text, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("training", type=Path)
    parser.add_argument("--study", type=Path)
    parser.add_argument("--again", type=Path, help="folder of the same study, or part of one, from another seed")
    parser.add_argument("--as-written", type=Path, help="folder of a study, or part of one, without steadying")
    args = parser.parse_args()
    card = json.loads((args.training / "card.json").read_text())
    text = fill(PAGE.read_text(), "training", training_table(card))
    text = fill(text, "failures", failure_table(card))
    shutil.copy(args.training / "judged.csv", ROOT / "docs" / "results" / "lv_network.csv")
    if args.study:
        write_tables(args.study)
        text = fill(text, "study", study_tables(args.study))
        for name in ("overlap", "pose", "wall_volume", "differences"):
            shutil.copy(args.study / f"{name}.csv", ROOT / "docs" / "results" / f"ms_st_unet_{name}.csv")
        for picture in sorted(args.study.glob("figure*.png")):
            shutil.copy(picture, ROOT / "docs" / "images" / f"ms_st_unet_{picture.name}")
    if args.again:
        text = fill(text, "again", other_seed(args.again))
        for name in ("overlap", "differences"):
            shutil.copy(args.again / f"{name}.csv", ROOT / "docs" / "results" / f"ms_st_unet_{name}_again.csv")
    if args.as_written:
        write_tables(args.as_written)
        settings = json.loads((args.as_written / "jobs" / "settings.json").read_text())
        done = f"{settings['recipe']['iterations']} iterations, jobs done: {jobs(args.as_written)}."
        overlap = (args.as_written / "overlap.md").read_text().strip()
        text = fill(text, "as-written", f"{conditions(settings['recipe'])} {done}\n\n{overlap}")
        shutil.copy(args.as_written / "overlap.csv", ROOT / "docs" / "results" / "ms_st_unet_as_written.csv")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
