"""Tables of independent-hearts.md: function of hearts that the simulator did not make, against their truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from myoperf.pipeline.systematic import SYSTEMATIC_ERRORS, widened
from myoperf.types import Interval
from tables.layout import RESULTS, interval, markdown, read

RELATIVE = ("edv_ml", "esv_ml")
DRAWS = 300
FEWEST = 8
"""Fewer hearts have no bootstrap worth the name."""
SEGMENTS = range(1, 17)
PLACES = {"apex": [17], "apical": range(13, 17), "middle": range(7, 13), "basal": range(1, 7)}
WITHIN = 1.96
NEEDED = (
    "wall_ed_mm_true",
    *(f"{n}{e}" for n in ("edv_ml", "lvef_percent", "mass_g", "phase_sd_deg") for e in ("", "_true")),
)
COVERED = ("edv_ml", "esv_ml", "lvef_percent", "mass_g")


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A number of a group of hearts, and the range it is asked to lie in."""

    what: str
    least: float
    most: float
    number: Callable[[pd.DataFrame], float]
    of: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows


def errors(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Return the errors: in percent of the truth for volumes, else in the number's own unit."""
    true, seen = rows[f"{name}_true"].to_numpy(), rows[name].to_numpy()
    return 100.0 * (seen / true - 1.0) if name in RELATIVE else seen - true


def numbers(true: np.ndarray, seen: np.ndarray, error: np.ndarray) -> list[float]:
    """Return bias, SD of the error, r and slope; the last two NaN where the truth does not vary."""
    x, y = true - true.mean(), seen - seen.mean()
    variance, common, other = (a @ b / (len(x) - 1) for a, b in ((x, x), (x, y), (y, y)))
    varies = variance > 0
    return [
        error.mean(),
        error.std(ddof=1),
        common / np.sqrt(variance * other) if varies else np.nan,
        common / variance if varies else np.nan,
    ]


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
    found = numbers(*columns)
    cells = [
        "" if np.isnan(three).any() else interval(*three, form)
        for *three, form in zip(found, low, high, ("+.1f", ".1f", ".2f", ".2f"), strict=True)
    ]
    return [group, name, str(len(of_heart)), *cells]


def by_segment(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return one row a segment of the first 16."""
    parts = [
        pd.DataFrame({"heart": rows.heart, name: rows[f"{name}_{k}"], f"{name}_true": rows[f"{name}_{k}_true"]})
        for k in SEGMENTS
    ]
    return pd.concat(parts)


def measured(series: str) -> pd.DataFrame:
    """Return the rows of hearts whose function was measured."""
    return read(f"independent_{series}").dropna(subset=["edv_ml"])


def groups_of(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the groups of hearts that goals are set for."""
    return {
        "all": rows,
        "wall 6 to 12 mm": rows[rows.wall_ed_mm_true.between(6.0, 12.0)],
        "EDV < 60 ml": rows[rows.edv_ml_true < 60.0],
    }


def _function(series: str) -> str:
    table = measured(series)
    lines, notes = [], []
    for pose, rows in table.groupby("pose"):
        for group, part in groups_of(rows).items():
            for name in ("edv_ml", "esv_ml", "lvef_percent") if group == "all" else ("edv_ml", "lvef_percent"):
                if len(part) >= FEWEST:
                    lines.append(line(f"{group}, {pose} pose", part, name))
        for name in ("mass_g", "wall_ed_mm"):
            lines.append(line(f"all, {pose} pose", rows, name))
        for name in ("thickening", "motion"):
            lines.append(line(f"segments 1 to 16, {pose} pose", by_segment(rows, name), name))
        phased = rows.dropna(subset=["phase_sd_deg"])
        for group, part in {"focal delay": phased[phased.focal > 0], "in step": phased[phased.focal == 0]}.items():
            if len(part) >= FEWEST:
                lines.append(line(f"{group}, {pose} pose", part, "phase_sd_deg"))
        notes += [wall_note(f"{pose.capitalize()} pose", rows), motion_note(f"{pose.capitalize()} pose", rows)]
    head = ["group", "number", "n", "bias", "SD of error", "r", "slope"]
    return "\n".join([markdown(head, lines), "", *notes])


def wall_note(title: str, rows: pd.DataFrame) -> str:
    """Return how the errors of volume and wall go with the wall, and the range of thickening."""
    z = (errors(rows, "wall_ed_mm") / rows.wall_sd_mm).to_numpy()
    thickening = np.concatenate([rows[f"thickening_{k}"] for k in range(1, 18)])
    return (
        f"- {title}: error of the wall over its stated SD: mean {z.mean():+.2f}, SD {z.std(ddof=1):.2f}, within "
        f"1.96 in {100 * np.mean(abs(z) < WITHIN):.0f} % of {len(z)} hearts. Thickening of single segments from "
        f"{thickening.min():.0f} to {thickening.max():.0f} %."
    )


def motion_note(title: str, rows: pd.DataFrame) -> str:
    """Return motion from apex to base beside the truth."""
    places = (
        f"{place} {np.mean([rows[f'motion_{k}'].mean() for k in which]):.1f} "
        f"({np.mean([rows[f'motion_{k}_true'].mean() for k in which]):.1f})"
        for place, which in PLACES.items()
    )
    return f"- {title}, motion (mm, the truth in brackets): {', '.join(places)}."


def _bias(name: str) -> Callable[[pd.DataFrame], float]:
    return lambda rows: float(errors(rows, name).mean())


def _of_mass(place: int) -> Callable[[pd.DataFrame], float]:
    """Return a function that gives r (2) or slope (3) of the mass."""
    return lambda rows: numbers(rows.mass_g_true.to_numpy(), rows.mass_g.to_numpy(), errors(rows, "mass_g"))[place]


def _delayed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the hearts with a focal delay that were given a spread of the phase."""
    return rows[rows.focal > 0].dropna(subset=["phase_sd_deg"])


GOALS = (
    Goal(what="bias of the ejection fraction, points", least=-2, most=2, number=_bias("lvef_percent")),
    Goal(
        what="SD of its error, points",
        least=0,
        most=4,
        number=lambda rows: float(errors(rows, "lvef_percent").std(ddof=1)),
    ),
    Goal(
        what="its bias in walls of 6 to 12 mm, points",
        least=-3,
        most=3,
        number=_bias("lvef_percent"),
        of=lambda rows: groups_of(rows)["wall 6 to 12 mm"],
    ),
    Goal(
        what="its bias in cavities below 60 ml, points",
        least=-5,
        most=5,
        number=_bias("lvef_percent"),
        of=lambda rows: groups_of(rows)["EDV < 60 ml"],
    ),
    Goal(
        what="r of the error of EDV (percent) with the true wall",
        least=-0.3,
        most=0.3,
        number=lambda rows: float(np.corrcoef(errors(rows, "edv_ml"), rows.wall_ed_mm_true)[0, 1]),
    ),
    Goal(what="r of the mass", least=0.9, most=1, number=_of_mass(2)),
    Goal(what="slope of the mass", least=0.85, most=1.15, number=_of_mass(3)),
    Goal(
        what="focal delay: mean size of the error of the phase SD, degrees",
        least=0,
        most=3,
        number=lambda rows: float(np.abs(errors(rows, "phase_sd_deg")).mean()),
        of=_delayed,
    ),
)


def function() -> str:
    """Return the table of the development hearts and what belongs under it."""
    return _function("development")


def held() -> str:
    """Return what was asked for, on the held hearts, and their table; a sentence where they were not looked at yet."""
    if not (RESULTS / "independent_held.csv").exists():
        return "The held hearts have not been measured with this version."
    return "\n\n".join([_goals("held"), _function("held")])


def goals() -> str:
    """Return what was asked for beside what the hearts for development show."""
    return _goals("development")


def _goals(series: str) -> str:
    table = measured(series)
    found, true = (table[table.pose == pose] for pose in ("found", "true"))
    lines = [_asked(goal, found, true) for goal in GOALS]
    for name in (*COVERED, "phase_sd_deg"):
        share, width, n = coverage(found, name)
        met = "yes" if 0.9 <= round(share, 2) <= 0.98 else "**no**"
        what = f"95 % intervals of {name} that hold the truth (median width {width:.3g})"
        lines.append([what, "90 to 98 %", f"{100.0 * share:.0f} %", "", str(n), met])
    return markdown(["asked for", "goal", "found pose (95 % interval)", "true pose", "n", "met"], lines)


def _asked(goal: Goal, found: pd.DataFrame, true: pd.DataFrame) -> list[str]:
    """Return the row of one goal: met where the whole interval lies within it."""
    rows, ceiling = goal.of(found), goal.of(true)
    value, low, high = _bootstrapped(rows, goal.number)
    met = "yes" if goal.least <= low and high <= goal.most else "**no**"
    if met != "yes" and goal.least <= value <= goal.most:
        met = "by the estimate only"
    return [
        goal.what,
        f"{goal.least:g} to {goal.most:g}",
        interval(value, low, high, ".2f"),
        f"{goal.number(ceiling):.2f}",
        str(len(rows)),
        met,
    ]


def coverage(rows: pd.DataFrame, name: str) -> tuple[float, float, int]:
    """Return the share of a number's 95 percent intervals that hold the truth, their median width, and how many."""
    if name == "phase_sd_deg":
        given = rows.dropna(subset=[name, f"{name}_low"])
        low, high = given[f"{name}_low"], given[f"{name}_high"]
    else:
        given = rows.dropna(subset=[f"{name}_drawn_sd"])
        ends = [_reported(name, row[name], row[f"{name}_drawn_sd"], int(row.draws)) for _, row in given.iterrows()]
        low, high = (pd.Series(values, index=given.index) for values in zip(*ends, strict=True))
    true = given[f"{name}_true"]
    return float(((low <= true) & (true <= high)).mean()), float((high - low).median()), len(given)


def _reported(name: str, value: float, drawn_sd: float, draws: int) -> tuple[float, float]:
    """Return the ends of the interval that a report gives: that of the draws and the systematic error."""
    whole = widened(Interval(value, value, value, drawn_sd, draws, "outline"), SYSTEMATIC_ERRORS[name].sd(value))
    return max(whole.low, 0.0), whole.high


def _bootstrapped(rows: pd.DataFrame, number: Callable[[pd.DataFrame], float]) -> tuple[float, float, float]:
    """Return a number of the hearts with its 95 percent interval over hearts."""
    rng = np.random.default_rng(1)
    slim = rows[[*NEEDED]].copy()  # few columns, joined by the copy: rows are then drawn quickly
    draws = [number(slim.iloc[rng.integers(len(rows), size=len(rows))]) for _ in range(DRAWS)]
    low, high = np.nanpercentile(draws, (2.5, 97.5))
    return float(number(rows)), float(low), float(high)
