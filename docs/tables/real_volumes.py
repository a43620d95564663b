"""Tables of lv.md, polar.md, real-studies.md and reconstruction.md: real studies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from myoperf.stats import bootstrap_statistic, percentile_interval, wilson_interval
from tables.layout import interval, markdown, read, read_json, transcribed

ERRORS = (
    ("centre error, mm", "centre_error_mm", 1),
    ("Dice of the wall", "wall_dice", 3),
    ("axis against the mask's, degrees", "axis_error_deg", 1),
    ("apex against the mask's along the axis, mm", "apex_shift_mm", 1),
    ("base against the mask's along the axis, mm", "base_shift_mm", 1),
    ("processor time, s", "seconds", 2),
)
MISS_MM = 15


def share(hits: Sequence[bool] | pd.Series) -> str:
    """Write a share with its 95 % Wilson interval."""
    count, n = int(sum(hits)), len(hits)
    ends = wilson_interval(count, n)
    return f"{count}/{n} = {100 * count / n:.1f} % ({100 * ends.lo:.1f}-{100 * ends.hi:.1f})"


def median(rows: pd.DataFrame, key: str, digits: int) -> str:
    """Write a median with its 95 % interval over patients, and the worst value."""
    values = rows[key].to_numpy()
    rng = np.random.default_rng(0)
    samples = bootstrap_statistic(values, np.median, rng=rng, resamples=1000, patient=rows["patient"].tolist())
    ends = percentile_interval(samples)
    worst = values.min() if key == "wall_dice" else values[np.argmax(np.abs(values))]
    return f"{interval(float(np.median(values)), ends.lo, ends.hi, f'.{digits}f')}; worst {worst:.{digits}f}"


def classical_ventricle() -> str:
    """Return the errors of the classical method on real volumes with a reader's mask."""
    table = read("lv_real", keep_default_na=False, na_values={"centre_error_mm": "", "control": ""})
    masked = table.dropna(subset=["centre_error_mm"])
    is_first = masked["patient"].str[1:].astype(int) <= 25
    parts = {"all": masked, "P01-P25 (developed on)": masked[is_first], "P26-P50 (check)": masked[~is_first]}
    sets, rows = list(parts.values()), []
    rows.append(["volumes with a mask (patients)", *(f"{len(s)} ({s['patient'].nunique()})" for s in sets)])
    rows.append(["centre within 15 mm", *(share(s["centre_error_mm"] <= MISS_MM) for s in sets)])
    misses = [s[s["centre_error_mm"] > MISS_MM] for s in sets]
    rows.append(["misses with a warning", *(f"{(m['warnings'] != '').sum()} of {len(m)}" for m in misses)])
    rows += [[title, *(median(s.astype({key: float}), key, digits) for s in sets)] for title, key, digits in ERRORS]
    rows.append(["`lv-uncertain` on these", *(share(s["warnings"].str.contains("lv-uncertain")) for s in sets)])
    rows.append(["heart wiped out: refused or warned", *(share(s["control"] != "false find") for s in sets)])
    return f"{len(table)} volumes went through.\n\n{markdown(('', *parts), rows)}"


def right_side() -> str:
    """Return how often the right ventricle's side is recognised."""
    rows = read("rv_side_real")
    first, second = (f"{rows[c].mean():.0f} (SD {rows[c].std(ddof=1):.0f})" for c in ("anterior_deg", "inferior_deg"))

    def doubted(column: str) -> str:
        hits = int(rows[column].sum())
        ends = wilson_interval(hits, len(rows))
        return f"{hits} of {len(rows)} (95 % interval {100 * ends.lo:.0f} to {100 * ends.hi:.0f} %)"

    return (
        f"On {len(rows)} open real CZT volumes (doi:10.13026/ce2z-dw74) the insertions were found in "
        f"{rows['contrast'].notna().sum()}, on average at {first} and {second} degrees. Doubt was raised in "
        f"{doubted('doubt')} as they are, and in {doubted('doubt_turned')} with septum and lateral wall exchanged."
    )


def files() -> str:
    """Return how many real files were analysed, in what time, and their findings."""
    rows = read("real_studies")
    done = rows[rows["done"]]
    counts = done["findings"].str.split().explode().dropna().value_counts()
    seconds = done["total_s"].iloc[1:]
    return (
        f"{len(done)} of {len(rows)} files went through (one raw acquisition, the rest reconstructed volumes).\n\n"
        f"Total time a volume, JSON only: median {seconds.median():.1f} s, worst {seconds.max():.1f} s; "
        f"n = {len(seconds)}.\n\n"
        f"{markdown(('finding', 'files'), [[f'`{code}`', count] for code, count in counts.items()])}"
    )


def reconstruction() -> str:
    """Return agreement and time of OSEM compared with PyTomography."""
    rows = read("recon", dtype=str, keep_default_na=False)
    run = read_json("recon_run")
    return f"{run['conditions']}{transcribed(run)}\n\n{markdown(list(rows), rows.to_numpy())}"
