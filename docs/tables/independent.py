"""Table of independent-hearts.md: function of hearts that the simulator did not make, against their truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tables.layout import interval, markdown, read

RELATIVE = ("edv_ml", "esv_ml")
DRAWS = 1000
SEGMENTS = range(1, 17)
PLACES = {"apex": [17], "apical": range(13, 17), "middle": range(7, 13), "basal": range(1, 7)}


def errors(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Return the errors: in percent of the truth for volumes, else in the number's own unit."""
    true, seen = rows[f"{name}_true"].to_numpy(), rows[name].to_numpy()
    return 100.0 * (seen / true - 1.0) if name in RELATIVE else seen - true


def numbers(true: np.ndarray, seen: np.ndarray, error: np.ndarray) -> list[float]:
    """Return bias, SD of the error, r and slope."""
    (variance, common), (_, other) = np.cov(true, seen)
    return [error.mean(), error.std(ddof=1), common / np.sqrt(variance * other), common / variance]


def line(group: str, rows: pd.DataFrame, name: str) -> list[str]:
    """Return a row of the table; intervals are from a bootstrap over hearts."""
    rng, columns = (
        np.random.default_rng(1),
        (rows[f"{name}_true"].to_numpy(), rows[name].to_numpy(), errors(rows, name)),
    )
    of_heart = [np.flatnonzero(rows.heart == heart) for heart in rows.heart.unique()]
    draws = []
    for _ in range(DRAWS):
        chosen = np.concatenate([of_heart[k] for k in rng.integers(len(of_heart), size=len(of_heart))])
        draws.append(numbers(*(column[chosen] for column in columns)))
    low, high = np.percentile(draws, (2.5, 97.5), axis=0)
    cells = [
        interval(*three, form)
        for *three, form in zip(numbers(*columns), low, high, ("+.1f", ".1f", ".2f", ".2f"), strict=True)
    ]
    return [group, name, str(len(of_heart)), *cells]


def by_segment(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return one row a segment of the first 16."""
    parts = [
        pd.DataFrame({"heart": rows.heart, name: rows[f"{name}_{k}"], f"{name}_true": rows[f"{name}_{k}_true"]})
        for k in SEGMENTS
    ]
    return pd.concat(parts)


def function() -> str:
    """Return the table of the development hearts and what belongs under it."""
    table = read("independent_function").dropna(subset=["edv_ml"])
    lines, notes = [], []
    for pose, rows in table.groupby("pose"):
        groups = {
            "all": rows,
            "wall 6 to 12 mm": rows[rows.wall_ed_mm_true.between(6.0, 12.0)],
            "EDV < 60 ml": rows[rows.edv_ml_true < 60.0],
        }
        for group, part in groups.items():
            for name in ("edv_ml", "esv_ml", "lvef_percent") if group == "all" else ("lvef_percent",):
                if len(part) >= 8:  # fewer hearts have no bootstrap worth the name
                    lines.append(line(f"{group}, {pose} pose", part, name))
        for name in ("mass_g", "wall_ed_mm"):
            lines.append(line(f"all, {pose} pose", rows, name))
        for name in ("thickening", "motion"):
            lines.append(line(f"segments 1 to 16, {pose} pose", by_segment(rows, name), name))
        r = np.corrcoef(errors(rows, "edv_ml"), rows.wall_ed_mm_true)[0, 1]
        z = (errors(rows, "wall_ed_mm") / rows.wall_sd_mm).to_numpy()
        thickening = np.concatenate([rows[f"thickening_{k}"] for k in range(1, 18)])
        within, title = 100 * np.mean(abs(z) < 1.96), f"{pose.capitalize()} pose"
        notes += [
            f"- {title}: r of the error of EDV with the true wall {r:+.2f}. Error of the wall over its stated SD: mean "
            f"{z.mean():+.2f}, SD {z.std(ddof=1):.2f}, within 1.96 in {within:.0f} % of {len(z)} hearts. Thickening of "
            f"single segments from {thickening.min():.0f} to {thickening.max():.0f} %.",
            f"- {title}, motion (mm, the truth in brackets): "
            + ", ".join(
                f"{place} {np.mean([rows[f'motion_{k}'].mean() for k in which]):.1f} "
                f"({np.mean([rows[f'motion_{k}_true'].mean() for k in which]):.1f})"
                for place, which in PLACES.items()
            )
            + ".",
        ]
    head = ["group", "number", "n", "bias", "SD of error", "r", "slope"]
    return "\n".join([markdown(head, lines), "", *notes])
