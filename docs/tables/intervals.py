"""Table of quality.md: errors of function on independent hearts that the thickness of the wall does not explain."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tables.layout import interval, markdown, read

SHARES = {"edv_ml": True, "esv_ml": True, "lvef_percent": False, "mass_g": True}
"""Whether the error of a number is taken as a share of the truth, in percent, or in its own unit."""


def systematic() -> str:
    """Return the errors of function, and what is left of them after the part that follows the wall's error."""
    hearts = read("independent_function").query("pose == 'found'").dropna(subset=["edv_ml"])
    rows = [_row(hearts, name, share=share) for name, share in SHARES.items()]
    head = ("number", "n", "bias (95 % interval)", "SD of error", "left without the wall's error: SD")
    return markdown((*head, "95 % intervals of both errors that hold the truth", "their median width"), rows)


def _row(hearts: pd.DataFrame, name: str, *, share: bool) -> list[str]:
    true = hearts[f"{name}_true"]
    error = 100.0 * (hearts[name] / true - 1.0) if share else hearts[name] - true
    scale = _scale(hearts, name)
    wall = hearts.wall_ed_mm - hearts.wall_ed_mm_true
    design = np.stack([wall * scale, np.ones(len(hearts))], axis=1)
    terms = np.linalg.lstsq(design, error, rcond=None)[0]
    left = float((error - design @ terms).std(ddof=2))
    reach = 1.96 * np.hypot(np.abs(terms[0] * scale * hearts.wall_sd_mm), left)
    half = 1.96 * float(error.std(ddof=1)) / np.sqrt(len(error))
    unit = " %" if share else " points"
    return [
        name,
        str(len(hearts)),
        interval(float(error.mean()), float(error.mean()) - half, float(error.mean()) + half, "+.1f"),
        f"{error.std(ddof=1):.1f}{unit}",
        f"{left:.1f}{unit}",
        f"{100.0 * float((error.abs() <= reach).mean()):.0f} %",
        f"{2.0 * float(reach.median()):.0f}{unit}",
    ]


def _scale(hearts: pd.DataFrame, name: str) -> pd.Series:
    """Return what a millimetre of wall weighs by: the surface over the volume of a cavity, or the thickness itself."""
    if name == "mass_g":
        return 1.0 / hearts.wall_ed_mm_true
    if name == "lvef_percent":
        return (100.0 - hearts.lvef_percent_true) * hearts.edv_ml_true ** (-1.0 / 3.0)
    return hearts[f"{name}_true"] ** (-1.0 / 3.0)
