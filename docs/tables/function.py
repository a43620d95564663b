"""Tables of function.md and synchrony.md: simulated patients against their truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from tables.layout import interval, markdown, read

RELATIVE = ("edv_ml", "esv_ml")


PUBLISHED = {
    "lvef_percent": ("low", "45 to 50, by program"),
    "phase_sd_deg": (
        "high",
        "18.4 (cut-off; Romero-Farina et al., J Nucl Cardiol 2015;22:1247); normal men 14.2, SD 5.1 (Chen et al. 2005)",
    ),
    "phase_bandwidth_deg": ("high", "51 (cut-off; Romero-Farina); normal men 38.7, SD 11.8 (Chen)"),
    "tid_ratio": ("high", "1.19 (same day, rest then stress)"),
}


def correlation(true: Any, seen: Any) -> tuple[float, float, float]:
    """Give Pearson's r with its 95 % interval by Fisher's transform."""
    r = float(np.corrcoef(true, seen)[0, 1])
    reach = 1.96 / np.sqrt(max(len(true) - 3, 1))
    return r, float(np.tanh(np.arctanh(r) - reach)), float(np.tanh(np.arctanh(r) + reach))


def line(group: str, rows: pd.DataFrame, name: str) -> list[str]:
    """Return one row of a table: bias with its interval, SD, r with its interval."""
    rows = rows.dropna(subset=name)
    true, measured = rows[f"{name}_true"].to_numpy(), rows[name].to_numpy()
    error = 100.0 * (measured / true - 1.0) if name in RELATIVE else measured - true
    digits = 3 if name == "tid_ratio" else 1
    half = 1.96 * error.std(ddof=1) / np.sqrt(len(error))
    bias = interval(error.mean(), error.mean() - half, error.mean() + half, f"+.{digits}f")
    spread = [f"{values.std(ddof=1):.{digits}f}" for values in (true, error)]
    return [group, name, str(len(error)), spread[0], bias, spread[1], interval(*correlation(true, measured), ".2f")]


def verdict(name: str, groups: dict[str, pd.DataFrame], *, goal: float = 0.9) -> str:
    """Say whether the goal of r is met in every group of at least 4 patients."""
    verdicts = []
    for group, rows in groups.items():
        if len(rows) > 3:
            r, low, _ = correlation(rows[f"{name}_true"].to_numpy(), rows[name].to_numpy())
            how = "met" if low >= goal else "met by the estimate only" if r >= goal else f"**missed by {goal - r:.2f}**"
            verdicts.append(f"in {group} {how}")
    return f"Goal for {name}, r of {goal:g}: {'; '.join(verdicts)}."


def goals(people: pd.DataFrame) -> list[str]:
    """Say of the volumes and of ejection fraction whether what was asked for is met."""
    out = []
    for name, limit in (("edv_ml", 10.0), ("esv_ml", 10.0), ("lvef_percent", 2.0)):
        true, seen = people[f"{name}_true"], people[name]
        error = 100.0 * (seen / true - 1.0) if name in RELATIVE else seen - true
        bias, sd = float(error.mean()), float(error.std(ddof=1))
        unit = "%" if name in RELATIVE else "points"
        met = "met" if abs(bias) <= limit else f"**missed by {abs(bias) - limit:.1f}**"
        out.append(f"Goal for {name}, bias within {limit:g} {unit}: {bias:+.1f}, {met}.")
        if name == "lvef_percent":
            n = len(error)
            low, high = (sd * np.sqrt((n - 1) / chi2.ppf(p, n - 1)) for p in (0.975, 0.025))
            met = "met" if sd <= 5.0 else f"**missed by {sd - 5.0:.3f}**"
            out.append(f"Goal for {name}, SD of 5 points: {sd:.3f} ({low:.1f} to {high:.1f}), {met}.")
    return out


def ceiling(people: pd.DataFrame) -> list[str]:
    """Say what r the spread of the true TID allows, given the error of the ratio that noise alone makes."""
    repeats = read("repeatability")
    doubted_ones = set(people[people.doubt == 1].patient) if "doubt" in people else set()
    repeats = repeats[(repeats.number == "tid_ratio") & ~repeats.patient.isin(doubted_ones)]
    gap = repeats.eval("second - first").to_numpy()
    noise, n = float(np.sqrt((gap**2).mean() / 2.0)), len(gap)
    spread = float(people.tid_ratio_true.std(ddof=1))
    most, low, high = (
        spread / np.hypot(spread, noise * factor)
        for factor in (1.0, *(np.sqrt(n / chi2.ppf(p, n)) for p in (0.025, 0.975)))
    )
    error = float((people.tid_ratio - people.tid_ratio_true).std(ddof=1))
    return [
        f"The SD of the true TID is {spread:.3f}. Noise alone moves a measured TID by an SD of {noise:.3f} ({n} "
        "patients whose ventricle is not in doubt, acquired twice: docs/results/repeatability.csv): r cannot exceed "
        f"{most:.2f} ({low:.2f} to {high:.2f}) here, SD / sqrt(SD^2 + noise^2), however right the rest. "
        f"With the whole error, SD {error:.3f}, it would be {spread / np.hypot(spread, error):.2f}. "
        f"An r of 0.9 asks for an error of at most {spread * np.sqrt(1 / 0.81 - 1):.3f}, or, with noise alone, "
        f"for a true SD of {noise * 0.9 / np.sqrt(1 - 0.81):.3f}."
    ]


GROUPS = ("group", "number", "n", "SD of truth", "bias (95 % interval)", "SD of error", "r (95 % interval)")


def measured() -> pd.DataFrame:
    """Return the patients that could be measured."""
    rows = read("function_simulated")
    return rows[rows["failed"].isna()] if "failed" in rows else rows


def cohort(name: str) -> pd.DataFrame:
    """Return the measured patients of a cohort with 8 gates."""
    return measured().query("cohort == @name and gates == 8")


def group_table(groups: dict[str, pd.DataFrame], numbers: tuple[str, ...]) -> list[list[str]]:
    """Return a row for each number of each group of at least 4 patients."""
    return [line(name, rows, number) for name, rows in groups.items() for number in numbers if len(rows) > 3]


def function() -> str:
    """Return volumes, ejection fraction and TID against the truth, and which goals are met."""
    people, wider = cohort("population"), cohort("dilation")
    sure = wider[wider.doubt == 0]
    volumes = {
        "all": people,
        "EDV >= 70 ml": people[people.edv_ml_true >= 70.0],
        "EDV < 70 ml": people[people.edv_ml_true < 70.0],
        "wall <= 11 mm": people[people.wall_mm <= 11.0],
    }
    dilated = {
        "all": people,
        "ventricle found without a warning": people[people.doubt == 0],
        "dilation": wider,
        "dilation, without a warning": sure,
    }
    rows = group_table(volumes, ("edv_ml", "esv_ml", "lvef_percent")) + group_table(dilated, ("tid_ratio",))
    groups = {
        "the population": people,
        f"the cohort dilation ({len(wider)} patients)": wider,
        f"its {len(sure)} without a warning": sure,
    }
    failed = len(read("function_simulated")) - len(measured())
    said = f"{len(people)} simulated patients, 8 gates, seed {int(people.seed.iloc[0])}; {failed} not measured."
    verdicts = [f"- {text}" for text in (*goals(people), verdict("tid_ratio", groups), *ceiling(people))]
    return "\n".join([said, "", markdown(GROUPS, rows), "", *verdicts])


def synchrony() -> str:
    """Return spread of the phase against the truth."""
    people, uneven = cohort("population"), cohort("dyssynchrony")
    groups = {
        "population": people,
        "population, no scar": people[people.scars == 0],
        "population, phase_reliable": people[people.phase_reliable == 1],
        "dyssynchrony": uneven,
        "dyssynchrony, phase_reliable": uneven[uneven.phase_reliable == 1],
    }
    rows = group_table(groups, ("phase_sd_deg", "phase_bandwidth_deg"))
    goal = {"the population": people, f"the cohort dyssynchrony ({len(uneven)} patients)": uneven}
    return f"{markdown(GROUPS, rows)}\n\n{verdict('phase_sd_deg', goal)}"


def gates() -> str:
    """Return 16 against 8 gates on the same patients (the noise is another)."""
    numbers = ["edv_ml", "esv_ml", "lvef_percent", "phase_sd_deg"]
    wide = measured().query("cohort == 'population'").pivot(index="patient", columns="gates", values=numbers)
    rows = []
    for name in numbers:
        both = wide[name].dropna()
        gap = (both[16] - both[8]).to_numpy()
        mean, sd = gap.mean(), gap.std(ddof=1)
        half = 1.96 * sd / np.sqrt(len(gap))
        rows.append([name, len(gap), interval(mean, mean - half, mean + half, "+.1f"), f"{sd:.1f}"])
    return markdown(("number", "n", "16 less 8 gates (95 % interval)", "SD"), rows)


def limits() -> str:
    """Return limits of normal from patients of low likelihood (every fourth) and published ones."""
    normal = cohort("population").query("patient % 4 == 0")
    rows = []
    for name, (side, text) in PUBLISHED.items():
        values = normal[name]
        digits = 2 if name == "tid_ratio" else 1
        mean, sd = values.mean(), values.std(ddof=1)
        limit = f">= {mean - 2 * sd:.{digits}f}" if side == "low" else f"<= {mean + 2 * sd:.{digits}f}"
        rows.append([name, len(values), f"{mean:.{digits}f}", f"{sd:.{digits}f}", limit, text])
    return markdown(("number", "n", "mean", "SD", "limit here (mean and 2 SD)", "published"), rows)


def phase_response() -> str:
    """Return how much of a delay of contraction shows in thickness and motion, by the harmonic round the axis."""
    table = read("phase_response")
    orders, rows = list(dict.fromkeys(table.around.astype(str))), []
    for (family, name), part in table.groupby(["family", "map"], sort=False):
        share = 100.0 * (1.0 - part.out_of_phase.iloc[0] / part.out_of_phase_without.iloc[0])
        rows.append([family, name, part.hearts.iloc[0], *(f"{v:.2f}" for v in part.response), f"{share:.0f} %"])
    return markdown(("hearts", "harmonic", "n", *(f"around {order}" for order in orders), "explained"), rows)


def phase_spread() -> str:
    """Return the measured spread of the phase against the truth of hearts whose delay is known."""
    table = read("phase_spread")
    rows = []
    for family, of_family in table.groupby("family", sort=False):
        groups = {
            family: of_family,
            f"{family}, delayed": of_family[of_family.phase_sd_deg_true > 0],
            f"{family}, in step": of_family[of_family.phase_sd_deg_true == 0],
            f"{family}, EDV 60 ml or more": of_family[of_family.edv_ml_true >= 60.0],
        }
        rows += [_spread_row(name, part) for name, part in groups.items() if len(part) > 4]
    head = (
        "hearts",
        "n",
        "given",
        "mean truth",
        "bias (95 % interval)",
        "SD of error",
        "mean size of error",
        "r",
        "slope",
    )
    return markdown((*head, "intervals that hold the truth", "median width"), rows)


def _spread_row(name: str, part: pd.DataFrame) -> list[str]:
    """Return a group's row: bias, SD, mean size of the error, r and slope where the truth varies, coverage, width."""
    given = part.dropna(subset="phase_sd_deg")
    true, error = given.phase_sd_deg_true, given.phase_sd_deg - given.phase_sd_deg_true
    half = 1.96 * error.std(ddof=1) / np.sqrt(len(error))
    held = ((given.phase_sd_deg_low <= true) & (true <= given.phase_sd_deg_high)).mean()
    varies = float(true.std()) > 0
    return [
        name,
        str(len(part)),
        str(len(given)),
        f"{true.mean():.1f}",
        interval(error.mean(), error.mean() - half, error.mean() + half, "+.1f"),
        f"{error.std(ddof=1):.1f}",
        f"{error.abs().mean():.1f}",
        interval(*correlation(true, given.phase_sd_deg), ".2f") if varies else "",
        f"{np.polyfit(true, given.phase_sd_deg, 1)[0]:.2f}" if varies else "",
        f"{100 * held:.0f} %",
        f"{(given.phase_sd_deg_high - given.phase_sd_deg_low).median():.1f}",
    ]


def phase_ceiling() -> str:
    """Return how the true spread of the delay compares with that of the true thickness."""
    table, rows = read("phase_ceiling"), []
    for name, part in {
        "all": table,
        "truth below 20 degrees": table[table.phase_sd_deg_true < 20.0],
        "no scar": table[table.scars == 0],
    }.items():
        true, measured = part.phase_sd_deg_true, part.phase_sd_deg_of_thickness
        r = np.corrcoef(true, measured)[0, 1]
        rows.append([name, len(true), f"{true.mean():.1f}", f"{measured.mean():.1f}", f"{r:.2f}"])
    return markdown(("patients", "n", "mean truth", "mean of thickness", "r"), rows)
