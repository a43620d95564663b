"""Tables and figures from rows of evaluated volumes: tables 3 and 4, figures 4 and 6 of Ni et al. 2023."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.research.reorientation.figures import PARAMETERS, draw_poses, draw_volumes, r2
from myoperf.research.reorientation.networks import LV_NETWORKS
from myoperf.research.training.tables import mark_scale, write_table
from myoperf.stats import bootstrap_statistic, percentile_interval
from myoperf.types import Float

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "seg-op1": "Seg Op1",
        "seg-op2": "Seg Op2",
        "rot-op1-seg-op1": "Rot Op1-Seg Op1",
        "sep-rot-op2-seg-op2": "Sep Rot Op2-Seg Op2",
        "rot-op2-seg-op2": "Rot Op2-Seg Op2 (MS-ST-UNet)",
        "msunet": "MSUNet, trained in the true pose",
        "rot-op1": "Rot Op1",
        "rot-op2": "Rot Op2",
        "v-net": "V-Net",
        "dense-unet": "Dense-U-Net",
        "nn-unet": "nnU-Net",
        "omega-net": "Omega-Net",
    }
)
OURS = "rot-op2-seg-op2"
CALIBRATION = ("_brier", "_expected_over_true")
"""What ends the names of the measures of calibration."""
R2_RESAMPLES = 500
COMPARED = (
    (OURS, "sep-rot-op2-seg-op2", "joint against separate"),
    (OURS, "rot-op1-seg-op1", "multi-scale against single, with pose"),
    ("seg-op2", "seg-op1", "multi-scale against single, segmentation only"),
    (OURS, "nn-unet", "against nnU-Net"),
    ("rot-op2", "rot-op1", "multi-scale against single, pose only"),
    (OURS, "rot-op2", "joint with masks against pose only, multi-scale"),
    ("rot-op1-seg-op1", "rot-op1", "joint with masks against pose only, single scale"),
)
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "wall_dice": "wall DSC, %",
        "pool_dice": "pool DSC, %",
        "wall_hd95_mm": "wall HD95, mm",
        "pool_hd95_mm": "pool HD95, mm",
        "rotation_mse": "rotation MSE",
        "axis_error_deg": "long axis, degrees, by the network's pose",
        "axis_median_deg": "median",
        "axis_p95_deg": "95th percentile",
        "mask_axis_error_deg": "long axis, degrees, by its mask",
        "mask_axis_median_deg": "median",
        "mask_axis_p95_deg": "95th percentile",
        "error_percent": "error, %",
        "error_percent_sd": "SD, %",
        "agreement_lo_percent": "limits of agreement, from, %",
        "agreement_hi_percent": "to, %",
        "wall_points": "wall DSC, points",
        "pool_points": "pool DSC, points",
        "rotation_mse_less": "rotation MSE, less",
        "r2_more": "mean R2, more",
        "verdict_wall": "wall: shown?",
        "verdict_pool": "pool: shown?",
        "verdict_rotation": "rotation MSE: shown?",
        "verdict_r2": "R2: shown?",
    }
)


def write_tables(out: Path) -> None:
    """Make tables and figures from the jobs finished so far."""
    files = sorted((out / "jobs").glob("*.csv"))
    if not files:
        raise InputError("There are no tables to make: no job is finished yet.")
    rows = pd.concat([pd.read_csv(file) for file in files])
    about = json.loads((out / "manifest.json").read_text(encoding="utf-8")) if (out / "manifest.json").exists() else {}
    patients = "patients given with --data" if "data_sha256" in about else "simulated patients"
    made = {
        "overlap": _overlaps(rows),
        "pose": _poses(rows),
        "wall_volume": _wall_volumes(rows),
        "differences": _differences(rows),
    }
    for name, table in made.items():
        for column in {"tested_on", "trained_on"} & set(table.columns):
            table[column] += "" if "data_sha256" in about else ", simulated"
        marked = mark_scale(table, str(about.get("scale", "")))
        write_table(out, name, marked, titles=TITLES, number=".4g", float_format="%.5g")
    for kind in sorted(set(rows["tested_on"])):
        shown = [(NAMES[key[3]], part) for key, part in _with_pose(rows) if key[0] == kind]
        if shown:
            draw_poses(shown, kind, out / f"figure4-{kind}.png", patients=patients)
        masked = [(name, part) for name, part in shown if part["wall_ml"].notna().any()] if "wall_ml" in rows else []
        if masked:
            draw_volumes(masked, kind, out / f"figure6-{kind}.png", patients=patients)


def _groups(rows: pd.DataFrame) -> list[tuple[tuple[str, str, str, str], pd.DataFrame]]:
    """Split rows by (tested on, trained on, pose, network), in the order of the paper's tables."""
    keys = ["tested_on", "trained_on", "pose", "network"]
    groups = dict(list(rows.groupby(keys)))
    order = sorted(groups, key=lambda k: (k[0] == "pet", k[0] != k[1], k[2], LV_NETWORKS.index(str(k[3]))))
    return [((str(k[0]), str(k[1]), str(k[2]), str(k[3])), groups[k]) for k in order]


def _label(key: tuple[str, str, str, str]) -> dict[str, str]:
    tested, trained, pose, network = key
    name = "MSUNet, true pose given" if pose == "given" and network == OURS else NAMES[network]
    return {"tested_on": tested, "trained_on": trained, "network": name}


def _overlaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Tables 3 and 4: overlap and distance with intervals over patients, and the mean squared error of the angles."""
    out = []
    for key, part in _groups(rows):
        rng = np.random.default_rng(0)
        row: dict[str, str | float] = {**_label(key), "n": len(part)}
        for column, scale in (
            ("wall_dice", 100),
            ("pool_dice", 100),
            ("wall_hd95_mm", 1),
            ("pool_hd95_mm", 1),
            ("rotation_mse", 1),
            ("axis_error_deg", 1),
            ("mask_axis_error_deg", 1),
        ):
            values = part[column].to_numpy(float) if column in part else np.full(len(part), np.nan)
            if key[2] == "given" and column in ("rotation_mse", "axis_error_deg"):
                values = np.full(len(part), np.nan)
            row |= _mean(column, scale * values, rng)
            if column.endswith("axis_error_deg"):
                which, known = column.removesuffix("_error_deg"), values[np.isfinite(values)]
                middle, far = np.percentile(known, [50, 95]) if known.size else (np.nan, np.nan)
                row |= {f"{which}_median_deg": middle, f"{which}_p95_deg": far}
        out.append(row)
    return pd.DataFrame(out)


def _with_pose(rows: pd.DataFrame) -> list[tuple[tuple[str, str, str, str], pd.DataFrame]]:
    return [
        (key, part)
        for key, part in _groups(rows)
        if key[0] == key[1] and key[2] == "found" and "alpha" in part and part["alpha"].notna().all()
    ]


def _poses(rows: pd.DataFrame) -> pd.DataFrame:
    """Numbers of figure 4: R2 of the regression line and of the prediction itself, for each of the six parameters."""
    out = []
    for key, part in _with_pose(rows):
        row: dict[str, str | float] = {**_label(key), "n": len(part)}
        for name in PARAMETERS:
            estimate, truth = part[name].to_numpy(float), part[f"true_{name}"].to_numpy(float)
            row[f"r2_{name}"] = r2(estimate, truth)
            row[f"explained_{name}"] = 1 - ((estimate - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
        out.append(row)
    return pd.DataFrame(out)


def _wall_volumes(rows: pd.DataFrame) -> pd.DataFrame:
    """Numbers of figure 6: regression of the wall's volume, relative error and limits of agreement."""
    out = []
    for key, part in _groups(rows):
        if "wall_ml" not in part or part["wall_ml"].isna().all():
            continue
        estimate, truth = part["wall_ml"].to_numpy(float), part["true_wall_ml"].to_numpy(float)
        error = 100 * (estimate - truth) / truth
        slope, offset = np.polyfit(truth, estimate, 1) if len(part) > 2 else (np.nan, np.nan)
        spread = float(error.std(ddof=1)) if len(part) > 1 else np.nan
        low, high = error.mean() - 1.96 * spread, error.mean() + 1.96 * spread
        out.append(
            {**_label(key), "n": len(part), "r2": r2(estimate, truth), "slope": slope, "offset_ml": offset}
            | _mean("error_percent", error, np.random.default_rng(0))
            | {"error_percent_sd": spread, "agreement_lo_percent": low, "agreement_hi_percent": high}
        )
    return pd.DataFrame(out)


def _differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Compute the claims of the paper as paired differences in the overlap of wall and pool, in points."""
    own = rows[(rows["trained_on"] == rows["tested_on"]) & (rows["pose"] == "found")]
    out = []
    for kind, part in own.groupby("tested_on"):
        wide = {name: table.set_index("case") for name, table in part.groupby("network")}
        for one, other, claim in COMPARED:
            if one not in wide or other not in wide:
                continue
            row: dict[str, str | float] = {"tested_on": str(kind), "claim": claim, "n": len(wide[one])}
            for mask in ("wall", "pool"):
                if f"{mask}_dice" not in part:
                    continue
                difference = 100 * (wide[one][f"{mask}_dice"] - wide[other][f"{mask}_dice"]).to_numpy(float)
                row |= _mean(f"{mask}_points", difference, np.random.default_rng(0))
                row[f"verdict_{mask}"] = verdict(row[f"{mask}_points_lo"], row[f"{mask}_points_hi"])
            out.append(row | _pose_differences(wide[one], wide[other]))
    return pd.DataFrame(out)


def verdict(lo: float | str, hi: float | str) -> str:
    """Return whether a claimed difference is shown by its 95 % interval."""
    low, high = float(lo), float(hi)
    if not (np.isfinite(low) and np.isfinite(high)):
        return ""
    return "yes" if low > 0 else "no, the other is better" if high < 0 else "not shown"


def _pose_differences(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, str | float]:
    """Return how much smaller the rotation's MSE and larger the mean R2 of the six parameters is, where both estimate.

    Paired over patients; the intervals are bootstraps of patients.
    """
    if "alpha" not in one or one["alpha"].isna().any() or other["alpha"].isna().any():
        return {}
    less = (other["rotation_mse"] - one["rotation_mse"]).to_numpy(float)
    row: dict[str, str | float] = {**_mean("rotation_mse_less", less, np.random.default_rng(0))}
    row["verdict_rotation"] = verdict(row["rotation_mse_less_lo"], row["rotation_mse_less_hi"])
    other = other.loc[one.index]
    rng, n = np.random.default_rng(0), len(one)
    draws = [_mean_r2(one, rows) - _mean_r2(other, rows) for rows in rng.integers(n, size=(R2_RESAMPLES, n))]
    known = np.asarray(draws)[np.isfinite(draws)]
    every = np.arange(n)
    row["r2_more"] = _mean_r2(one, every) - _mean_r2(other, every)
    row["r2_more_lo"], row["r2_more_hi"] = np.percentile(known, (2.5, 97.5)) if known.size else (np.nan, np.nan)
    return row | {"verdict_r2": verdict(row["r2_more_lo"], row["r2_more_hi"])}


def _mean_r2(part: pd.DataFrame, rows: NDArray[np.integer[Any]]) -> float:
    drawn = part.iloc[rows]
    return float(
        np.mean([r2(drawn[name].to_numpy(float), drawn[f"true_{name}"].to_numpy(float)) for name in PARAMETERS])
    )


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of each measure of `evaluate_network` over volumes, with its 95 % interval over patients."""
    endings = ("_dice", "_hd95_mm", "_error_deg", *CALIBRATION)
    numbers = [name for name in rows.columns if name.endswith(endings) or name == "rotation_mse"]
    by_patient = rows.groupby("patient")[numbers].mean()
    out = []
    for name in numbers:
        values = _mean("mean", by_patient[name].to_numpy(float), np.random.default_rng(0))
        out.append({"measure": name, "patients": int(by_patient[name].notna().sum()), **values})
    return pd.DataFrame(out)


def _mean(name: str, values: Float, rng: np.random.Generator) -> dict[str, float]:
    """Return the mean and its 95 % interval over patients (one volume each) as columns; NaN is left out."""
    known = values[np.isfinite(values)]
    if not known.size:
        return {name: np.nan, f"{name}_lo": np.nan, f"{name}_hi": np.nan}
    return percentile_interval(bootstrap_statistic(known, rng=rng)).columns(name, float(known.mean()))
