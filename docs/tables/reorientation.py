"""Tables of ms-st-unet.md: the network of the ventricle and the study of its kinds."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from myoperf.research.reorientation.tables import NAMES, OURS, TITLES
from myoperf.research.training.tables import markdown_table
from myoperf.stats import bootstrap_statistic, percentile_interval
from tables.layout import RESULTS, markdown, read, read_json, transcribed
from tables.layout import interval as written

CARD = RESULTS.parents[1] / "src/myoperf/weights/lv-compact/card.json"
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
    """Write mean (interval), median; nothing where there is no measurement."""
    if figures is None:
        return ""
    low, high = figures["interval"]
    mean, median = f"{figures['mean']:.{digits}f}", f"{figures['median']:.{digits}f}"
    return f"{mean} ({low:.{digits}f} to {high:.{digits}f}), {median}"


def metrics() -> dict[str, Any]:
    """Return what the shipped network's card says of every set of volumes."""
    measured: dict[str, Any] = json.loads(CARD.read_text(encoding="utf-8"))["metrics"]
    return measured


def training() -> str:
    """Return overlaps and errors of the shipped network."""
    rows = []
    for name, figures in metrics().items():
        n = f"{figures['volumes']} volumes, {figures['patients']} patients, {figures['found']} found"
        wall, axis = figures["wall_dice"], figures["axis_error_deg"]
        tail = [f"{wall['least']:.3f}", f"{axis['percentile_95']:.1f}" if axis else ""]
        rows.append([name, n, *(cell(figures[key], digits) for key, _, digits in SHOWN), *tail])
    head = ("", "n", *(title for _, title, _ in SHOWN), "least wall DSC", "axis, 95th percentile")
    return f"Mean (95 % interval over patients), median.\n\n{markdown(head, rows)}"


def failures() -> str:
    """Return how often the network's doubt marks a bad volume."""
    rows = []
    for name, figures in metrics().items():
        doubt = figures["failures"]
        rows.append([name, share(doubt["sensitivity"]), share(doubt["specificity"])])
    bad = next(iter(metrics().values()))["failures"]["bad"]
    return f"Bad is: {bad}. Wilson 95 % intervals.\n\n{markdown(('', 'sensitivity', 'specificity'), rows)}"


def share(figures: dict[str, Any]) -> str:
    """Write a share with its interval and n."""
    if figures["value"] is None:
        return "no such volume"
    low, high = figures["interval"]
    return f"{figures['value']:.2f} ({low:.2f} to {high:.2f}), n {figures['n']}"


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
    own = "with" if (recipe.get("peers_own") or recipe.get("nn_unet_own")) else "without"
    return f"{said} nnU-Net {own} its own augmentation, loss and mirroring."


def counts(of: dict[str, int]) -> str:
    """Write how many volumes of each camera there are."""
    return " and ".join(f"{n} {kind.upper()}" for kind, n in of.items())


GOAL = 0.95


def pool_groups(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return all volumes, those of each camera, and SPECT's by thirds of the pool's volume and the wall's thickness."""
    out = [("all", rows)]
    for camera in ("spect", "czt", "pet"):
        out.append((camera, rows[rows["camera"] == camera]))
    spect = rows[rows["camera"] == "spect"]
    for column, title, unit in (("pool_ml", "true pool", "ml"), ("wall_mm", "anatomical wall", "mm")):
        edges = spect[column].quantile([1 / 3, 2 / 3]).to_numpy()
        third = np.digitize(spect[column], edges)
        for k in range(3):
            part = spect[third == k]
            span = f"{part[column].min():.3g} to {part[column].max():.3g} {unit}"
            out.append((f"spect, {title} {span}", part))
    return out


def edge_error_voxels(rows: pd.DataFrame) -> pd.Series:
    """Shift of the whole edge that would cost as much overlap, from what a quarter of a voxel costs, in proportion."""
    quarter = 1 - rows[["dice_moved_-0.25", "dice_moved_+0.25"]].mean(axis=1)
    return 0.25 * (1 - rows["pool_dice"]) / quarter


GOALS = (
    ("wall_dice", 93.0, "wall DSC, %", False),
    ("pool_dice", 95.0, "pool DSC, %", False),
    ("wall_hd95_mm", 7.0, "wall HD95, mm", True),
    ("axis_median_deg", 3.0, "long axis by the network's pose, median, degrees", True),
    ("axis_p95_deg", 8.0, "the same, 95th percentile", True),
    ("mask_axis_median_deg", 3.0, "long axis by its mask, median, degrees", True),
    ("mask_axis_p95_deg", 8.0, "the same, 95th percentile", True),
)


def goals() -> str:
    """Say for each goal whether MS-ST-UNet's row of the study meets it."""
    table = read("ms_st_unet_overlap")
    both = table["tested_on"].str.startswith("spect") & table["trained_on"].str.startswith("spect")
    row = table[both & (table["network"] == NAMES[OURS])].iloc[0]
    lines = []
    for column, goal, name, less in GOALS:
        met = row[column] <= goal if less else row[column] >= goal
        word = "at most" if less else "at least"
        end = "met" if met else f"**missed by {abs(row[column] - goal):.2g}**"
        lines.append(f"- {name}, {word} {goal:g}: {row[column]:.3g}, {end}.")
    return "\n".join(lines)


UNFAIR = {"Seg Op2": "network", "multi-scale against single, segmentation only": "claim"}
"""What was measured while the two smaller scales of Seg Op2 showed the middle of the field alone, and its column."""


def study_table(name: str) -> str:
    """Return a table of the study, values with their intervals; what was unfair to Seg Op2 is marked as withdrawn."""
    table = read(f"ms_st_unet_{name}")
    for value, column in UNFAIR.items():
        if column in table:
            table[column] = table[column].replace(value, f"{value} (withdrawn, see below)")
    return markdown_table(table, titles=TITLES, number=".4g").strip()


def questions() -> str:
    """Return the paper's claims on the present code from every seed that was run, and what stands in all of them."""
    if not (RESULTS / "ms_st_unet_questions.csv").exists():
        return "Not run yet: `python benchmarks/reorientation_questions.py FOLDER`."
    rows, run = read("ms_st_unet_questions"), read_json("ms_st_unet_questions")
    lines = [
        f"{run['size'].capitalize()} networks, {run['field']['side']}^3 voxels of {run['field']['voxel_mm']:g} mm, "
        f"{run['recipe']['iterations']} iterations, simulated SPECT: {run['training']['spect']} patients for training, "
        f"{run['testing']['spect']} others for the test, new ones with each seed. {conditions(run['recipe'])}",
        markdown_table(rows, titles=TITLES, number=".4g").strip(),
    ]
    for claim, part in rows.groupby("claim", sort=False):
        for column in (name for name in part if name.startswith("verdict_")):
            found = part[column].dropna().tolist()
            if found:
                same = found[0] if len(set(found)) == 1 else "the seeds differ"
                lines.append(f"- {claim}, {TITLES[column].removesuffix(': shown?')}: {same} ({len(found)} seeds).")
    return "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:])


def pictures(stem: str, title: str) -> str:
    """Return links to the pictures of SPECT and PET that belong to a table."""
    return "".join(f"\n\n![{title}, {k.upper()}](images/ms_st_unet_{stem}-{k}.png)" for k in ("spect", "pet"))


def study() -> str:
    """Return the tables of the study with the conditions of its training."""
    run = read_json("ms_st_unet_runs")["study"]
    recipe, field = run["recipe"], run["field"]
    pose = pictures("figure4", "Pose found against the true one")
    volume = pictures("figure6", "Volume of the wall, found against true, and Bland-Altman")
    return "\n\n".join(
        [
            f"The run of scale `{run['scale']}` trained the {run['size']} networks on {field['side']}^3 voxels of "
            f"{field['voxel_mm']} mm for {recipe['iterations']} iterations of {recipe['batch']} volumes, "
            f"with a learning rate of {recipe['rate']}: {counts(run['training'])} simulated volumes for training, "
            f"{counts(run['testing'])} of other patients for the test. Intervals are 95 %, over patients; DSC is in "
            "percent. " + conditions(recipe) + transcribed(run),
            f"### Tables 3 and 4\n\n{study_table('overlap')}",
            f"### The claims: paired differences of DSC, in points\n\n{study_table('differences')}",
            "### Figure 4: R2 of the line, and the share of variance explained without a line\n\n"
            f"{study_table('pose')}{pose}",
            f"### Figure 6: volume of the wall\n\n{study_table('wall_volume')}{volume}",
            f"### Goals, MS-ST-UNet compact, SPECT, in this study\n\n{goals()}",
        ]
    )


def other_seed() -> str:
    """Return the claims, and the overlaps behind them, of the same trainings from another seed."""
    run = read_json("ms_st_unet_runs")["other_seed"]
    head = f"Seed {run['seed']}: other patients to learn from and to judge; jobs done: {', '.join(run['jobs'])}."
    head += transcribed(run)
    return "\n\n".join([head, study_table("differences_again"), study_table("overlap_again")])


def as_written() -> str:
    """Return the overlaps of the training as Ni et al. wrote it."""
    run = read_json("ms_st_unet_runs")["as_written"]
    done = f"{run['recipe']['iterations']} iterations, jobs done: {', '.join(run['jobs'])}.{transcribed(run)}"
    return f"{conditions(run['recipe'])} {done}\n\n{study_table('as_written')}"


def interval(values: pd.Series) -> str:
    """Write a mean with its 95 % interval."""
    ends = percentile_interval(bootstrap_statistic(values.to_numpy(), rng=np.random.default_rng(0)))
    return written(values.mean(), ends.lo, ends.hi)


def pool() -> str:
    """Return why the blood pool overlaps less than the wall."""
    table, rows = read("lv_pool"), []
    for name, part in pool_groups(table):
        moved = [
            " / ".join(f"{part[f'dice_moved_{sign}{size}'].mean():.3f}" for sign in "-+") for size in ("0.25", "0.5")
        ]
        share_good, off = (part["pool_dice"] >= GOAL).mean(), edge_error_voxels(part)
        n = [len(part), f"{part['pool_voxels'].median():.0f}"]
        ends = [f"{off.median():.2f}", f"{(off * part['voxel_mm']).median():.1f}"]
        rows.append([name, *n, interval(part["pool_dice"]), f"{share_good:.2f}", *moved, *ends])
    head = ("", "n", "voxels of the true pool, median", "pool DSC", "share with 0.95 or more")
    head += ("pool against itself, 1/4 voxel smaller / larger", "1/2 voxel smaller / larger")
    head += ("edge off by about, voxel, median", "mm")
    spect = table[table["camera"] == "spect"]
    rank = spect[["pool_dice", "pool_voxels"]].rank().corr().iloc[0, 1]
    against = spect[["pool_dice", "dice_moved_-0.25"]].rank().corr().iloc[0, 1]
    larger = spect[spect["pool_voxels"] >= 100]
    quarter = 1 - spect[["dice_moved_-0.25", "dice_moved_+0.25"]].mean(axis=1)
    return (
        f"{markdown(head, rows)}\n\n"
        f"SPECT: rank correlation of the pool's DSC with its number of voxels {rank:.2f}, with what a quarter of a "
        f"voxel less leaves {against:.2f}; {len(spect) - len(larger)} of {len(spect)} true pools have fewer than 100 "
        f"voxels; the others reach {interval(larger['pool_dice'])}.\n\n"
        "For 0.95 the edge of the median SPECT pool would have to be right to "
        f"{0.25 * (1 - GOAL) / quarter.median():.2f} voxel."
    )


def reader_levels() -> str:
    """Return how high an overlap any level of the counts reaches with the readers' masks."""
    best, lines = read("lv_reader_levels"), []
    for name, one in read_json("lv_reader_levels").items():
        own = best[best["level_of"] == name]
        lines.append(
            f"- level as a share of the wall's {name}: each volume's own best level goes from {own['level'].min():.2f} "
            f"to {own['level'].max():.2f} (median {own['level'].median():.2f}) and then overlaps by "
            f"{own['dice'].mean():.3f} on average ({(own['dice'] > 0.995).sum()} of {len(own)} volumes by more than "
            f"0.995); the best single level, {one['level']:.2f}, by {one['mean_dice']:.3f} (least "
            f"{one['least_dice']:.3f})."
        )
    return "\n".join(lines)


def by_reader() -> str:
    """Return the cross-validated overlap of the wall by how much thicker or thinner the reader drew it."""
    table = read("lv_network")
    rows = table[table["set"] == "real and simulated, real volumes not seen"].copy()
    own = read("lv_reader_levels").query("level_of == 'mean'").set_index("case")
    rows["own"], rows["level"] = rows["case"].map(own["dice"]), rows["case"].map(own["level"])
    off = rows["wall_volume_error_percent"].abs()
    groups = {
        "all": rows,
        "network's wall within 10 % of the reader's": rows[off <= 10],
        "10 to 25 %": rows[(off > 10) & (off <= 25)],
        "over 25 %": rows[off > 25],
    }
    head = ["volumes", "n", "network, not trained on the patient", "least", "the reader's own level of the counts"]
    body = [
        [name, str(len(g)), interval(g["wall_dice"]), f"{g['wall_dice'].min():.3f}", f"{g['own'].mean():.3f}"]
        for name, g in groups.items()
    ]
    flagged = rows["flagged"].astype(bool)
    correlation = float(np.corrcoef(rows["level"], rows["wall_volume_error_percent"])[0, 1])
    return (
        f"{markdown(head, body)}\n\nThe error of the wall's volume follows the reader's level with "
        f"r = {correlation:.2f} (n = {len(rows)}). The worst overlap without a warning is "
        f"{rows.loc[~flagged, 'wall_dice'].min():.3f}; {int(flagged.sum())} of {len(rows)} volumes have a warning."
    )
