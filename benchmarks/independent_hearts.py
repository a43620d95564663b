"""What MyoPerf measures on phantom hearts that were made without its simulator, beside their truth.

    python benchmarks/independent_hearts.py --hearts 60                      hearts for development
    python benchmarks/independent_hearts.py --series held --hearts 200       the held half: one look, at a release
    python benchmarks/independent_hearts.py --processes 2 --minutes 30       two at a time; goes on where it stopped
    python benchmarks/independent_hearts.py --keep FOLDER                    keeps drawn hearts, which take longest
    python docs/pages.py independent-hearts

Every heart goes through `analyze` as a study of one gated, reconstructed scan would (pose ``found``), and its
function is measured once more with the true pose (``true``): what a perfect search for the ventricle would reach. One
row a heart and pose in ``docs/results/independent_development.csv`` or ``independent_held.csv``. A row keeps the hash
of the sources that measured it; ``--again`` repeats the rows of other versions. The intervals' SD of the draws alone is
kept (``_drawn_sd``), without the systematic errors, which are set on these errors (``systematic_errors.py``).
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from independent_truth import regional_truth
from myoperf import Options, analyze, load_models
from myoperf.errors import MyoPerfError
from myoperf.gated import measure_function
from myoperf.geometry import angle_deg
from myoperf.phantom.independent import draw_heart
from myoperf.phantom.independent.draw import DrawnHeart
from myoperf.pipeline.systematic import SYSTEMATIC_ERRORS
from myoperf.polar import sample_polar_map
from myoperf.types import FunctionResult, Interval, LVFrame, Report

ROOT = Path(__file__).parents[1]
ROOMS = ("gated", "ventricle", "lv", "polar", "pipeline")
NUMBERS = ("edv_ml", "esv_ml", "lvef_percent", "mass_g", "phase_sd_deg")
Series = Literal["development", "held"]
Row = dict[str, Any]


def method_of() -> str:
    """Return a name that changes with the sources of the measurement."""
    files = [file for room in ROOMS for file in sorted((ROOT / "src/myoperf" / room).rglob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def draw(series: Series, number: int, keep: Path | None) -> DrawnHeart:
    """Return a heart, from `keep` where it lies there."""
    path = keep / f"{series[:3]}-{number:03d}.pkl" if keep else None
    if path is not None and path.exists():
        return pickle.loads(path.read_bytes())  # type: ignore[no-any-return]  # a file that this command wrote
    drawn = draw_heart(number, series=series)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(pickle.dumps(drawn))
        part.rename(path)
    return drawn


def measure(number: int, series: Series, keep: Path | None) -> list[Row]:
    """Return the rows of one heart: pose as found, and true."""
    drawn = draw(series, number, keep)
    known = {"heart": number} | truth_of(drawn)
    rows = []
    for pose, measured in (("found", partial(as_analysed, drawn, number)), ("true", partial(with_true_pose, drawn))):
        try:
            rows.append(known | {"pose": pose} | measured())
        except MyoPerfError as error:
            rows.append(known | {"pose": pose, "failed": str(error).split(".")[0]})
    return rows


def truth_of(drawn: DrawnHeart) -> Row:
    """Return the columns of the truth and of what the image is like."""
    heart, truth, camera = drawn.heart, drawn.truth, drawn.camera
    row: Row = {f"{name}_true": getattr(truth, name) for name in NUMBERS}
    row |= {"wall_ed_mm_true": truth.wall_mm, "length_mm_true": truth.length_mm, "gates": camera.gates}
    row |= {"fwhm_mm": sum(camera.fwhm_mm) / 3, "filter_mm": camera.filter_fwhm_mm, "counts": camera.counts}
    row |= {"loss": heart.wall_loss, "stiff": len(heart.stiff), "focal": len(heart.delay.focal)}
    row |= {"moves": camera.movement_share > 0, "gut": drawn.surroundings.gut}
    for k, (thickening, motion) in enumerate(zip(*regional_truth(heart), strict=True), start=1):
        row |= {f"thickening_{k}_true": thickening, f"motion_{k}_true": motion}
    return row


def as_analysed(drawn: DrawnHeart, seed: int) -> Row:
    """Return what `analyze` finds."""
    report = analyze(drawn.study, load_models(diagnosis=False), Options(seed=seed))
    result = report.results[0]
    findings = (*report.findings, *result.findings)
    row: Row = {"findings": ";".join(sorted({one.code for one in findings}))}
    row |= {"warned": any(one.severity != "info" for one in findings)} | pose_errors(result.frame, drawn.frame)
    if result.function is None:
        return row | {"failed": "no function"}
    return row | numbers_of(result.function) | spread_of(report)


def with_true_pose(drawn: DrawnHeart) -> Row:
    """Return the function that is measured in the true pose."""
    volume, options = drawn.study.scans[0].image, Options()
    summed = volume.summed()
    labels = load_models(diagnosis=False).segment_lv(summed, drawn.frame)[0]
    polar = sample_polar_map(summed, labels, drawn.frame, rings=options.rings, angles=options.angles).maximum
    return numbers_of(measure_function(volume, drawn.frame, polar))


def pose_errors(found: LVFrame, true: LVFrame) -> Row:
    """Return how far a pose lies from the truth."""
    return {
        "length_mm": found.length_mm,
        "axis_error_deg": angle_deg(found.axis, true.axis),
        "anterior_error_deg": angle_deg(found.anterior, true.anterior),
        "apex_error_mm": float(np.linalg.norm(found.apex_mm - true.apex_mm)),
        "base_error_mm": float((found.base_mm - true.base_mm) @ true.axis),
    }


def numbers_of(function: FunctionResult) -> Row:
    """Return the measured numbers; those that are not given are NaN."""
    wall, synchrony = function.wall, function.synchrony
    holders = {name: next(one for one in (function, wall, synchrony) if hasattr(one, name)) for name in NUMBERS}
    found = {name: getattr(holder, name) for name, holder in holders.items()}
    row: Row = {name: float("nan") if value is None else float(value) for name, value in found.items()}
    names = ("wall_ed_mm", "wall_es_mm", "wall_sd_mm", "resolution_fwhm_mm")
    row |= {name: getattr(wall, name) for name in names}
    for k in range(17):
        row |= {f"thickening_{k + 1}": wall.thickening_percent[k], f"motion_{k + 1}": wall.motion_mm[k]}
    return row


def spread_of(report: Report) -> Row:
    """Return the draws' own SD of every number, and the interval of the phase, which holds no draws."""
    intervals, row = report.intervals.get(report.results[0].name, {}), {}
    for name in NUMBERS:
        if name in SYSTEMATIC_ERRORS and name in intervals:
            row |= {f"{name}_drawn_sd": drawn_sd(name, intervals[name]), "draws": intervals[name].draws}
    if "phase_sd_deg" in intervals:
        row |= {f"phase_sd_deg_{end}": getattr(intervals["phase_sd_deg"], end) for end in ("low", "high")}
    return row


def drawn_sd(name: str, interval: Interval) -> float:
    """Return the SD over the draws: a report's interval without its systematic error."""
    systematic = SYSTEMATIC_ERRORS[name].sd(interval.value)
    return float(np.sqrt(max(interval.sd**2 - systematic**2, 0.0)))


def stored(path: Path) -> pd.DataFrame:
    """Return the rows that are there."""
    return pd.read_csv(path, dtype={"method": str}) if path.exists() else pd.DataFrame({"heart": [], "method": []})


def with_rows(table: pd.DataFrame, rows: Iterable[Row], method: str) -> pd.DataFrame:
    """Return the table with a heart's rows in place of those it had."""
    new = pd.DataFrame([{"method": method} | row for row in rows])
    left = table[~table.heart.isin(new.heart)]
    return pd.concat([left, new], ignore_index=True) if len(left) else new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", choices=("development", "held"), default="development")
    parser.add_argument("--hearts", type=int, default=60)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--keep", type=Path, help="folder for drawn hearts")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs/results", help="where the table lies")
    parser.add_argument("--again", action="store_true", help="also repeat the rows of other versions")
    options = parser.parse_args()
    path = options.folder / f"independent_{options.series}.csv"
    table, method, start = stored(path), method_of(), time.monotonic()
    there = set(table[table.method == method].heart if options.again else table.heart)
    todo = [number for number in range(options.hearts) if number not in there]
    with ProcessPoolExecutor(options.processes) as pool:
        while todo and time.monotonic() - start < 60.0 * options.minutes:
            now, todo = todo[: options.processes], todo[options.processes :]
            for rows in pool.map(measure, now, repeat(options.series), repeat(options.keep)):
                table = with_rows(table, rows, method)
            table.sort_values(["heart", "pose"]).to_csv(path, index=False, float_format="%.4f")
    print(f"{options.series}: {table.heart.nunique()} hearts, {len(todo)} to do")


if __name__ == "__main__":
    main()
