"""Systematic errors of ventricular function: what the draws of an interval do not show, on hearts whose truth is known.

    python benchmarks/independent_hearts.py --hearts 60
    python benchmarks/systematic_errors.py
    python docs/pages.py quality

On the independent hearts for development (pose as found) each error is taken as normal with the variance of its draws
plus that of a systematic error: a share of the value (volumes, mass) or an amount (ejection fraction). Its SD is that
of the greatest likelihood. Each heart is then left out in turn, and its interval made with the SD of the others. Two
parts of the error are told apart by regression: what follows the error of the wall's thickness (which goes with that of
the resolution), and what follows the error of the valve plane; the rest is of gates, of an uneven wall and of noise.
`myoperf.pipeline.systematic` has the SDs of ``docs/results/systematic_errors.csv``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from myoperf.pipeline.systematic import widened
from myoperf.types import Float, Interval

RESULTS = Path(__file__).parents[1] / "docs/results"
SHARES = {"edv_ml": True, "esv_ml": True, "stroke_volume_ml": True, "lvef_percent": False, "mass_g": True}
"""Whether a number's systematic error is a share of its value or an amount in its own unit."""
BOOTSTRAPS = 200


def hearts() -> pd.DataFrame:
    """Return the hearts for development whose function was measured in the pose as found."""
    rows = pd.read_csv(RESULTS / "independent_development.csv")
    rows = rows[rows.pose == "found"].dropna(subset=["edv_ml", "edv_ml_drawn_sd"])
    stroke = {f"stroke_volume_ml{end}": rows[f"edv_ml{end}"] - rows[f"esv_ml{end}"] for end in ("", "_true")}
    # The table does not keep the draws of the stroke volume: they spread, relative to it, as those of EDV.
    stroke["stroke_volume_ml_drawn_sd"] = stroke["stroke_volume_ml"] * rows.edv_ml_drawn_sd / rows.edv_ml
    return pd.concat([rows, pd.DataFrame(stroke)], axis=1).reset_index(drop=True)


def likeliest_sd(error: Float, drawn_sd: Float, scale: Float) -> float:
    """Return the systematic SD, in units of `scale`, of the greatest likelihood."""

    def unlikely(sd: float) -> float:
        variance = drawn_sd**2 + (sd * scale) ** 2
        return float((error**2 / variance + np.log(variance)).sum())

    most = 4.0 * float(np.std(error / scale)) + 1e-6
    return float(minimize_scalar(unlikely, bounds=(0.0, most), method="bounded").x)


def left_out(
    value: Float, error: Float, drawn_sd: Float, scale: Float, draws: NDArray[np.int64]
) -> tuple[float, float]:
    """Return the share of intervals, each with the SD of the other hearts, that hold the truth; their median width."""
    held, widths = [], []
    for k in range(len(error)):
        others = np.arange(len(error)) != k
        sd = likeliest_sd(error[others], drawn_sd[others], scale[others]) * scale[k]
        whole = widened(Interval(value[k], value[k], value[k], drawn_sd[k], int(draws[k]), ""), sd)
        held.append(whole.low <= value[k] - error[k] <= whole.high)
        widths.append(whole.high - whole.low)
    return float(np.mean(held)), float(np.median(widths / scale))


def explained(rows: pd.DataFrame, error: Float, scale: Float) -> tuple[float, float]:
    """Return the shares of the error's variance that follow the wall's error and, beyond it, the valve plane's."""
    size = rows.edv_ml_true.to_numpy() ** (1.0 / 3.0)
    wall = (rows.wall_ed_mm - rows.wall_ed_mm_true).to_numpy() / size
    base = rows.base_error_mm.to_numpy() / size
    left = [np.var(_rest(error / scale, columns)) for columns in ((), (wall,), (wall, base))]
    return float(1.0 - left[1] / left[0]), float((left[1] - left[2]) / left[0])


def _rest(values: Float, columns: tuple[Float, ...]) -> Float:
    design = np.column_stack([np.ones(len(values)), *columns])
    return np.asarray(values - design @ np.linalg.lstsq(design, values, rcond=None)[0])


def row_of(rows: pd.DataFrame, name: str, *, share: bool) -> dict[str, Any]:
    """Return what is found of a number; SDs of shares and the bias are in percent."""
    value, error = rows[name].to_numpy(), (rows[name] - rows[f"{name}_true"]).to_numpy()
    drawn = rows[f"{name}_drawn_sd"].to_numpy()
    scale = value / 100.0 if share else np.ones(len(value))
    draws = rows.draws.to_numpy(dtype=np.int64)
    rng, n = np.random.default_rng(1), len(value)
    chosen = (rng.integers(n, size=n) for _ in range(BOOTSTRAPS))
    low, high = np.percentile([likeliest_sd(error[k], drawn[k], scale[k]) for k in chosen], (2.5, 97.5))
    covered, width = left_out(value, error, drawn, scale, draws)
    by_wall, by_valve = explained(rows, error, scale)
    return {
        "number": name,
        "unit": "percent of the value" if share else "points",
        "n": n,
        "bias": float(np.mean(error / scale)),
        "error_sd": float(np.std(error / scale, ddof=1)),
        "drawn_sd": float(np.median(drawn / scale)),
        "systematic_sd": likeliest_sd(error, drawn, scale),
        "systematic_sd_low": float(low),
        "systematic_sd_high": float(high),
        "follows_wall": by_wall,
        "follows_valve_plane": by_valve,
        "covered": covered,
        "median_width": width,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    rows = hearts()
    found = pd.DataFrame([row_of(rows, name, share=share) for name, share in SHARES.items()])
    found.to_csv(RESULTS / "systematic_errors.csv", index=False, float_format="%.3f")
    print(found.to_string())


if __name__ == "__main__":
    main()
