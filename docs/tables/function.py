"""Tables of function.md and synchrony.md: simulated patients against their truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from tables.layout import interval, markdown, read

RELATIVE = ("edv_ml", "esv_ml", "mass_g")
SEGMENTS = range(1, 17)
PLACES = {"apex": [17], "apical": range(13, 17), "middle": range(7, 13), "basal": range(1, 7)}


def correlation(true: Any, seen: Any) -> tuple[float, float, float]:
    """Give Pearson's r with its 95 % interval by Fisher's transform."""
    r = float(np.corrcoef(true, seen)[0, 1])
    reach = 1.96 / np.sqrt(max(len(true) - 3, 1))
    return r, float(np.tanh(np.arctanh(r) - reach)), float(np.tanh(np.arctanh(r) + reach))


def errors(rows: pd.DataFrame, name: str, measured: str = "") -> Any:
    """Return the errors of a number (or of another column that measures it): in percent for volumes and mass."""
    true, seen = rows[f"{name}_true"].to_numpy(), rows[measured or name].to_numpy()
    return 100.0 * (seen / true - 1.0) if name in RELATIVE else seen - true


def line(group: str, rows: pd.DataFrame, name: str) -> list[str]:
    """Return one row of a table: bias with its interval, SD, r with its interval, slope, SD with the true pose."""
    rows = rows.dropna(subset=name)
    true, measured, error = rows[f"{name}_true"].to_numpy(), rows[name].to_numpy(), errors(rows, name)
    digits = 3 if name == "tid_ratio" else 1
    half = 1.96 * error.std(ddof=1) / np.sqrt(len(error))
    bias = interval(error.mean(), error.mean() - half, error.mean() + half, f"+.{digits}f")
    spread = [f"{values.std(ddof=1):.{digits}f}" for values in (true, error)]
    best = f"{name}_true_pose"
    ceiling = f"{np.nanstd(errors(rows, name, best), ddof=1):.{digits}f}" if best in rows else ""
    r = interval(*correlation(true, measured), ".2f")
    slope = f"{np.polyfit(true, measured, 1)[0]:.2f}"
    return [group, name, str(len(error)), spread[0], bias, spread[1], ceiling, r, slope]


def sd_with_interval(error: Any) -> tuple[float, float, float]:
    """Return the SD of errors with its 95 % interval (chi-square)."""
    sd, n = float(np.std(error, ddof=1)), len(error)
    low, high = (sd * float(np.sqrt((n - 1) / chi2.ppf(p, n - 1))) for p in (0.975, 0.025))
    return sd, low, high


def verdict(
    what: str, value: tuple[float, float, float], goal: float, *, least: bool, n: int, form: str = ".2f"
) -> str:
    """Say of a number with its interval whether it is met: at least (or at most) the goal, by the whole interval."""
    estimate, low, high = value
    whole, half = (low >= goal, estimate >= goal) if least else (high <= goal, estimate <= goal)
    how = "met" if whole else "met by the estimate only" if half else "**missed**"
    return (
        f"- {what}, {'at least' if least else 'at most'} {goal:g}: {interval(estimate, low, high, form)}, n {n}: {how}."
    )


def goals(people: pd.DataFrame, uneven: pd.DataFrame, dilated: pd.DataFrame) -> list[str]:
    """Say whether what was asked for is met."""
    n = len(people)
    names = {"lvef_percent": ("points", 4.0), "edv_ml": ("%", 10.0), "esv_ml": ("%", 10.0)}
    out = [
        verdict(f"SD of the error of {name}, {unit}", sd_with_interval(errors(people, name)), most, least=False, n=n)
        for name, (unit, most) in names.items()
    ]
    for what, rows, name, goal in (
        ("r of the TID ratio in the cohort dilation", dilated, "tid_ratio", 0.85),
        ("r of the phase SD in the cohort dyssynchrony", uneven, "phase_sd_deg", 0.8),
    ):
        given = rows.dropna(subset=name)
        if len(given) > 3:
            r = correlation(given[f"{name}_true"], given[name])
            out.append(verdict(what, r, goal, least=True, n=len(given)))
    seen, true = (_of_segments(people, name) for name in ("thickening_{}", "thickening_{}_true"))
    r = _bootstrapped(people, lambda rows: float(np.corrcoef(*_both(rows, "thickening"))[0, 1]))
    out.append(verdict("r of the thickening of segments 1 to 16", r, 0.6, least=True, n=n))
    slope = np.polyfit(true, seen, 1)[0]
    spread = f"SD of the error {np.std(seen - true):.0f} points"
    out[-1] += f" Slope {slope:.2f}, {spread}, from {seen.min():.0f} to {seen.max():.0f} %."
    out.append(_motion(people))
    gaps = _bootstrapped(people, _basal_gap)
    size = verdict("Basal segments, found less true pose, size of the mean in points", gaps, 8.0, least=False, n=n)
    off = _bootstrapped(people, lambda rows: float(rows.anterior_error_deg.median()))
    return [*out, size, verdict("Median error of the anterior direction, degrees", off, 8.0, least=False, n=n)]


def _of_segments(rows: pd.DataFrame, form: str, which: Iterable[int] = SEGMENTS) -> Any:
    return np.concatenate([rows[form.format(k)].to_numpy() for k in which])


def _motion(rows: pd.DataFrame) -> str:
    """Return the motion from apex to base; the simulator's truth is relative to the valve plane and not compared."""
    places = (f"{place} {_of_segments(rows, 'motion_{}', which).mean():.1f}" for place, which in PLACES.items())
    return f"- Motion, mm, mean of the patients: {', '.join(places)}."


def _both(rows: pd.DataFrame, name: str) -> tuple[Any, Any]:
    return _of_segments(rows, f"{name}_{{}}"), _of_segments(rows, f"{name}_{{}}_true")


def _basal_gap(rows: pd.DataFrame) -> float:
    """Return the size of the mean difference of basal segments between the found and the true pose of one image."""
    found, true = (_of_segments(rows, f"segment_{{}}{end}", PLACES["basal"]) for end in ("", "_true_pose"))
    return abs(float((found - true).mean()))


def _bootstrapped(rows: pd.DataFrame, number: Callable[[pd.DataFrame], float]) -> tuple[float, float, float]:
    """Return a number of the patients with its 95 % interval, from 500 draws of patients."""
    rng, rows = np.random.default_rng(1), rows.copy()  # a copy joins its columns: rows are then drawn quickly
    draws = [number(rows.iloc[rng.integers(len(rows), size=len(rows))]) for _ in range(500)]
    low, high = np.percentile(draws, (2.5, 97.5))
    return number(rows), float(low), float(high)


def ceiling(people: pd.DataFrame) -> list[str]:
    """Say what r the spread of the true TID allows, given the error of the ratio that noise alone makes."""
    repeats = read("repeatability").query("number == 'tid_ratio'")
    gap = repeats.eval("second - first").to_numpy()
    noise, n = float(np.sqrt((gap**2).mean() / 2.0)), len(gap)
    spread = float(people.tid_ratio_true.std(ddof=1))
    most, low, high = (
        spread / np.hypot(spread, noise * factor)
        for factor in (1.0, *(np.sqrt(n / chi2.ppf(p, n)) for p in (0.025, 0.975)))
    )
    return [
        f"Ceiling of the TID ratio: the SD of the true ratio in the cohort dilation is {spread:.3f}. Noise alone moves "
        f"a measured one by an SD of {noise:.3f} ({n} patients, acquired twice: "
        "docs/results/repeatability.csv), so that r cannot exceed "
        f"{interval(most, low, high, '.2f')}, SD / sqrt(SD^2 + noise^2), however right the rest."
    ]


GROUPS = (
    "group",
    "number",
    "n",
    "SD of truth",
    "bias (95 % interval)",
    "SD of error",
    "with the true pose",
    "r (95 % interval)",
    "slope",
)


def measured() -> pd.DataFrame:
    """Return the patients that could be measured."""
    rows = read("function_simulated")
    return rows[rows["failed"].isna()] if "failed" in rows else rows


def cohort(name: str) -> pd.DataFrame:
    """Return the measured patients of a cohort with 8 gates."""
    return measured().query("cohort == @name and gates == 8")


def group_table(groups: dict[str, pd.DataFrame], numbers: tuple[str, ...]) -> list[list[str]]:
    """Return a row for each number of each group of at least 4 patients."""
    return [
        line(name, rows, number)
        for name, rows in groups.items()
        for number in numbers
        if rows[number].notna().sum() > 3 and (name == "all" or len(rows) < len(groups["all"]))
    ]


def function() -> str:
    """Return volumes, ejection fraction and TID against the truth, and which goals are met."""
    people, uneven, dilated = measured(), cohort("dyssynchrony"), cohort("dilation")
    volumes = {
        "all": people,
        "EDV >= 90 ml": people[people.edv_ml_true >= 90.0],
        "EDV < 90 ml": people[people.edv_ml_true < 90.0],
        "no doubt": people[people.doubt == 0],
    }
    ratios = {"all": people, "dilation": dilated, "dilation, no doubt": dilated[dilated.doubt == 0]}
    rows = group_table(volumes, ("edv_ml", "esv_ml", "lvef_percent", "mass_g")) + group_table(ratios, ("tid_ratio",))
    failed = len(read("function_simulated")) - len(people)
    counts = ", ".join(f"{n} of {name}" for name, n in people.cohort.value_counts().items())
    said = f"{len(people)} simulated patients, 8 gates ({counts}); {failed} not measured."
    verdicts = [*goals(people, uneven, dilated), *(f"- {text}" for text in ceiling(dilated))]
    return "\n".join([said, "", markdown(GROUPS, rows), "", *verdicts])


def synchrony() -> str:
    """Return spread of the phase against the truth."""
    people, uneven = measured(), cohort("dyssynchrony")
    groups = {
        "all": people,
        "no scar": people[people.scars == 0],
        "dyssynchrony": uneven,
        "dyssynchrony, no scar": uneven[uneven.scars == 0],
    }
    given = f"Given in {people.phase_sd_deg.notna().sum()} of {len(people)}; null in the others: noise forbids a phase."
    return f"{markdown(GROUPS, group_table(groups, ('phase_sd_deg', 'phase_bandwidth_deg')))}\n\n{given}"


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


def pet() -> str:
    """Return function of simulated PET beside the truth, and the range and order of thickening and motion."""
    rows = read("function_pet")
    table = []
    for name in ("edv_ml", "esv_ml", "lvef_percent"):
        error = errors(rows, name)
        half = 1.96 * error.std(ddof=1) / np.sqrt(len(error))
        bias = interval(error.mean(), error.mean() - half, error.mean() + half, "+.1f")
        table.append([name, len(rows), bias, f"{error.std(ddof=1):.1f}", f"{rows[f'{name}_true'].std(ddof=1):.1f}"])
    seen, true = _both(rows, "thickening")
    inside = 100.0 * float(((seen >= -10.0) & (seen <= 100.0)).mean())
    notes = [
        f"- Thickening of segments 1 to 16: from {seen.min():.0f} to {seen.max():.0f} % (truth {true.min():.0f} to "
        f"{true.max():.0f} %), {inside:.0f} % of them within -10 to 100 %; r with the truth "
        f"{np.corrcoef(seen, true)[0, 1]:.2f}.",
        _motion(rows),
    ]
    head = ("number", "n", "bias (95 % interval)", "SD of error", "SD of truth")
    return "\n".join([markdown(head, table), "", *notes])


SETS = {"patients": "patients, full physics", "hearts": "independent hearts, true pose"}


def wall_prior() -> str:
    """Return the errors of function with each prior of the wall's fit, mean and SD over the cases of a set."""
    table, rows = read("wall_prior"), []
    for (which, name), part in table.groupby(["set", "prior"], sort=False):
        cells = []
        for column, unit in (("edv_error_percent", " %"), ("esv_error_percent", " %"), ("lvef_error_points", "")):
            cells.append(f"{part[column].mean():+.1f}{unit} (SD {part[column].std(ddof=1):.1f})")
        wall = f"{part.wall_ed_mm.mean():.1f} ({part.wall_mm_true.mean():.1f})"
        r = f"{np.corrcoef(part.edv_error_percent, part.wall_mm_true)[0, 1]:+.2f}"
        rows.append([SETS[which], name, len(part), *cells, wall, r])
    head = (
        "simulated",
        "prior",
        "n",
        "EDV",
        "ESV",
        "ejection fraction, points",
        "wall, mm (truth)",
        "r of EDV error, wall",
    )
    measured = table.measured_fwhm_mm.dropna().drop_duplicates()
    found = f"Measured blur: {measured.min():.1f} to {measured.max():.1f} mm of full width at half maximum."
    return f"{markdown(head, rows)}\n\n{found}"
