"""Tables of phantom.md, phantom-physics.md and phantom-population.md: the simulated patients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from myoperf.stats.metrics import wilson_interval
from myoperf.types import VESSELS
from tables.layout import markdown, read

FAST_MODE = {
    "rms_error_percent": "difference of the noiseless images about the heart, RMS, % of the image",
    "profile_error_percent": "difference of profiles through the heart, RMS, % of the maximum",
    "contrast": "wall (90th percentile) / cavity, full physics and fast",
    "noise": "SD of the noise at the image's 99.5th percentile, %, full physics and fast",
    "grain": "SD of the noise's grain, mm, full physics and fast",
}


LOOKS = {
    "radius_mm": "radius of the wall's ridge at mid-ventricle, mm",
    "length_mm": "length of the found ventricle, mm",
    "wall_fwhm_mm": "FWHM of the wall across, mm",
    "wall_to_cavity": "wall / cavity at mid-ventricle",
    "right_heart_to_wall": "brightest beyond the septum / wall",
    "below_right_to_wall": "below right of the heart (liver) / wall",
    "background_to_wall": "above and about the heart / wall",
    "lung_to_wall": "darkest tenth about the heart / wall",
    "background_cv": "SD / mean of the background after taking off a 15 mm mean",
    "grain_mm": "distance to half the background's autocorrelation, mm",
    "wall_cv": "SD / mean of the ridge around mid-ventricle",
    "counts_million": "counts of all views, million",
    "peak_counts": "counts of the brightest pixel, mean over views",
}


COMPARED = {"czt": ("real P01-P25", "real P26-P50"), "spect": ("real GE",)}
"""Groups of real images by kind of camera; each is held against the simulated ones."""


def labels() -> str:
    """Return how well noiseless uptake tells who is abnormal, by angiography and by the simulated expert."""
    table, rows = read("phantom_labels"), []
    for _, (vessel, patient) in table.groupby(table.index // 2).apply(lambda pair: pair.to_dict("records")).items():
        shares = " / ".join(f"{vessel[f'abnormal_{v}']:.3f}" for v in (*VESSELS, "patient"))
        areas = (f"{r['auc']:.3f} ({r['auc_lo']:.3f}-{r['auc_hi']:.3f})" for r in (vessel, patient))
        cohort = f"{vessel['cohort']} (n = {vessel['n']})"
        rows.append([cohort, vessel["label"], shares, vessel["predictor"], *areas])
    head = ("cohort", "label", "abnormal LAD / LCX / RCA / any", "predictor", "AUC per vessel", "AUC per patient")
    return markdown(head, rows)


def fast_mode() -> str:
    """Return how the fast images differ from full physics."""
    table = read("phantom_fast")

    def span(key: str) -> str:
        return f"{table[key].mean():.3g} ({table[key].min():.3g}-{table[key].max():.3g})"

    rows = []
    for key, title in FAST_MODE.items():
        columns = [key] if key in table else [f"{key}_full", f"{key}_fast"]
        rows.append([title, "; ".join(map(span, columns))])
    return markdown((f"n = {len(table)} simulated patients, mean (least-most)", ""), rows)


def looks() -> str:
    """Return how real images compare with simulated ones: medians (5-95 %), and how many lie in the simulated range."""
    return "\n\n".join(looks_of(kind, groups) for kind, groups in COMPARED.items())


def looks_of(kind: str, groups: tuple[str, ...]) -> str:
    """Return the comparison for one kind of camera."""
    table = read("phantom_looks").query("kind == @kind")
    parts = {group: table[table["group"] == group] for group in ("simulated", *groups)}
    head = [f"{g} (n = {len(p)}, heart found in {p['found'].sum()})" for g, p in parts.items()]
    rows = []
    for key, title in LOOKS.items():
        values = {group: part[key].dropna().to_numpy() for group, part in parts.items()}
        if all(len(v) for v in values.values()):
            within = comparisons(values["simulated"], [values[group] for group in groups])
            rows.append([title, *map(span, values.values()), *within])
    return markdown((kind.upper(), *head, *(f"{group} within" for group in groups)), rows)


def span(values: np.ndarray) -> str:
    """Write median (5-95 %); a single value as it is."""
    if len(values) == 1:
        return f"{values[0]:.3g}"
    low, middle, high = np.percentile(values, (5, 50, 95))
    return f"{middle:.3g} ({low:.3g}-{high:.3g})"


def comparisons(simulated: np.ndarray, real: list[np.ndarray]) -> Iterator[str]:
    """Yield for each group of real values how many lie within the simulated 5-95 %."""
    low, high = np.percentile(simulated, (5, 95))
    for values in real:
        outside = "" if low <= np.median(values) <= high else " (median outside)"
        yield f"{((values >= low) & (values <= high)).sum()}/{len(values)}{outside}"


def speed() -> str:
    """Return time and memory of the simulation, with the machine's load, and what two free cores would make."""
    table, rows = read("phantom_speed"), []
    for row in table[table["what"].str.endswith("processor seconds an image")].to_dict("records"):
        name = f"{row['what'].split(':')[0]}: patients, stress and rest, a second that two free cores would make"
        rows.append([name, f"{1.0 / row['value']:.3g}", ""])
    rows += [[row["what"], f"{row['value']:.3g}", row["load"]] for row in table.to_dict("records")]
    return markdown(("", "", "load (1 min)"), rows)


def shipped() -> str:
    """Return how the shipped network and limits do on normal patients of the present simulator, by sex."""
    table, rows = read("population_shipped"), []
    for title, part in (("men", table[table.sex == "M"]), ("women", table[table.sex == "F"]), ("both", table)):
        high = int((part.tpd_percent >= 5.0).sum())
        share = wilson_interval(high, len(part))
        rows.append(
            [
                title,
                len(part),
                int(part.found.sum()),
                int(part.warnings.notna().sum()),
                f"{part.centre_mm.median():.1f} ({part.centre_mm.max():.1f})",
                f"{part.axis_deg.median():.1f} ({part.axis_deg.max():.1f})",
                f"{part.tpd_percent.median():.1f} ({part.tpd_percent.max():.1f})",
                f"{high} ({100 * share.lo:.0f} to {100 * share.hi:.0f} %)",
            ]
        )
    head = ("", "n", "found", "with a warning", "centre off, mm", "axis off, degrees", "TPD, %", "TPD of 5 % or more")
    return markdown(head, rows)
