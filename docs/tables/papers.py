"""Table of docs/papers.md: what each of the four papers claimed, what was run here, and what was found.

The figures of the papers are transcribed from their texts; those found here are read from the results.
"""

from __future__ import annotations

import pandas as pd

from tables.layout import markdown, read
from tables.slice_transformer import AUGMENTATION, withdrawn

PAGES = {
    "Ni et al. 2023, doi:10.48550/arXiv.2310.10095": "ms-st-unet.md",
    "Hai et al. 2022, doi:10.32604/cmc.2022.031027": "two-stage.md",
    "Hajianfar et al. 2025, doi:10.1007/s00259-025-07145-x": "label-strategies.md",
    "Zhao et al., multi-branch Medical Transformer": "multi-branch-mit.md",
}


def figure(row: pd.Series, name: str = "auc", digits: int = 3) -> str:
    """Return a value with its interval."""
    return f"{row[name]:.{digits}f} ({row[f'{name}_lo']:.{digits}f} to {row[f'{name}_hi']:.{digits}f})"


def ms_st_unet() -> tuple[str, str, str]:
    """Return what Ni et al. claimed, what was run and what was found."""
    differences, overlap = read("ms_st_unet_differences"), read("ms_st_unet_overlap")
    whole = overlap[overlap["network"].str.contains("MS-ST-UNet") & (overlap["tested_on"] == overlap["trained_on"])]
    found = [
        f"{row['tested_on']}: wall DSC {figure(row, 'wall_dice', 1)} %, n = {row['n']}" for _, row in whole.iterrows()
    ]
    for claim in ("joint against separate", "multi-scale against single, with pose", "against nnU-Net"):
        gains = [
            f"{row['tested_on'].split(',')[0]} {row['wall_points']:+.1f} ({row['wall_points_lo']:+.1f} to "
            f"{row['wall_points_hi']:+.1f})"
            for _, row in differences[differences["claim"] == claim].iterrows()
        ]
        found.append(f"{claim}, points of wall DSC: {', '.join(gains)}")
    claimed = (
        "pose and mask learned jointly are better than apart, several scales better than one; wall DSC 91.5 % (PET, 14 "
        "patients) and 94.8 % (SPECT, 10); better than V-Net, nnU-Net and others"
    )
    return claimed, "compact networks, one or two seeds, simulated patients", "<br>".join(found)


def two_stage() -> tuple[str, str, str]:
    """Return what Hai et al. claimed, what was run and what was found."""
    rows, splits = read("two_stage"), read("two_stage_optimism")
    fresh = rows[(rows["part"] == "fresh") & (rows["weights"] == "imagenet")].set_index("strategy")
    found = [
        f"EfficientNet-Lite0, AUC in {fresh['n'].iloc[0]} fresh patients: "
        + ", ".join(f"strategy {one} {figure(fresh.loc[one])}" for one in fresh.index)
    ]
    wide = splits.pivot_table(index="split", columns="chosen_on", values="test_accuracy")
    gain = (wide["test"] - wide["validation"]).mean()
    found.append(f"choosing the epoch on the pictures that are reported adds {gain:+.3f} to their accuracy")
    claimed = (
        "warming up and fine-tuning (strategy 6) is best of six strategies: accuracy 0.955, AUC 0.932 (ResNet152V2, 44 "
        "patients, epoch chosen on them)"
    )
    ran = f"{rows['network'].nunique()} of 15 networks, those with ImageNet weights at hand; simulated patients"
    return claimed, ran, "<br>".join(found)


def label_strategies() -> tuple[str, str, str]:
    """Return what Hajianfar et al. claimed, what was run and what was found."""
    best, optimism = read("label_strategies_best"), read("label_strategies_optimism")
    found = []
    for level in ("vessel", "patient"):
        rows = best[(best["level"] == level) & (best["strategy"] != "task 1")]
        top = rows.loc[rows["auc"].idxmax()]
        halves = optimism[(optimism["level"] == level) & optimism["way"].str.contains("half")].iloc[0]
        found.append(
            f"best of task 2 per {level}: AUC {figure(top)} (strategy {top['strategy']}, {top['network']}); chosen on "
            f"half of the test and reported on the other half {halves['auc_reported']:.3f}"
        )
    claimed = (
        "the best model on angiography labels has an AUC of 0.71 per vessel (strategy 3) and 0.77 per patient "
        "(strategy 5), best of 624 on the same 100 patients"
    )
    networks = read("label_strategies_models")["network"].nunique()
    return claimed, f"{networks} of 13 networks, short schedule, simulated patients", "<br>".join(found)


def slice_transformer() -> tuple[str, str, str]:
    """Return what Zhao et al. claimed, what was run and what was found."""
    claimed = (
        "three branches with UniMiSS pre-training: AUC 0.960, F1 0.943 on 32 pictures; better than VGG16, ResNet50, "
        "DenseNet121, InceptionV3"
    )
    ran = "small encoders, own pre-training, simulated patients"
    if withdrawn("mit_study", AUGMENTATION, "study"):
        why = "withdrawn: the networks were trained before their augmentation was corrected, and are to be trained anew"
        return claimed, ran, why
    tables = read("mit_tables").set_index("model")
    held = read("mit_held_out").set_index("model")
    networks = tables[tables["n_patients"] < tables["n_patients"].max()]
    strongest = networks["auc"].idxmax()
    found = [
        f"fusion by average: AUC {figure(tables.loc['fusion, average'])}; pre-trained "
        f"{figure(tables.loc['fusion, average, pre-trained'])}",
        f"best convolutional network: {strongest} {figure(networks.loc[strongest])}",
        f"on {held['n'].iloc[0]} other patients {figure(held.loc['slices'])} against "
        f"{figure(held.loc['polar classifier'])} of the classifier of polar maps",
    ]
    return claimed, ran, "<br>".join(found)


def claims() -> str:
    """Return a row for each paper."""
    rows = []
    for (paper, page), entry in zip(
        PAGES.items(), (ms_st_unet(), two_stage(), label_strategies(), slice_transformer()), strict=True
    ):
        rows.append([f"[{paper}]({page})", *(text.replace("|", "\\|") for text in entry)])
    return markdown(("paper", "claimed, on patients", "run here", "found here, on simulated patients"), rows)
