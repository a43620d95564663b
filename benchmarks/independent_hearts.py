"""What MyoPerf measures on phantom hearts that were made without its simulator, beside their truth.

    python benchmarks/independent_hearts.py --hearts 40                      hearts for development
    python benchmarks/independent_hearts.py --series held --hearts 200       the held half: one look, at a release
    python benchmarks/independent_hearts.py --processes 2 --minutes 30       two at a time; goes on where it stopped

Every heart goes through `analyze` as a study of one gated, reconstructed scan would. One row a heart in
``docs/results/independent_development.csv`` or ``independent_held.csv``. A row keeps the hash of the sources that
measured it; ``--again`` repeats the rows of other versions.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from myoperf import Options, analyze, load_models
from myoperf.errors import MyoPerfError
from myoperf.geometry import angle_deg
from myoperf.phantom.independent import draw_heart

ROOT = Path(__file__).parents[1]
ROOMS = ("gated", "ventricle", "lv", "polar", "pipeline")
NUMBERS = ("edv_ml", "esv_ml", "lvef_percent", "mass_g", "phase_sd_deg")


def method_of() -> str:
    """Return a name that changes with the sources of the measurement."""
    files = [file for room in ROOMS for file in sorted((ROOT / "src/myoperf" / room).rglob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def measure(series: str, number: int) -> dict[str, Any]:
    """Return the row of one heart."""
    drawn = draw_heart(number, series=series)  # type: ignore[arg-type]
    heart, truth, camera = drawn.heart, drawn.truth, drawn.camera
    row: dict[str, Any] = {f"{name}_true": getattr(truth, name) for name in NUMBERS}
    row |= {"wall_mm_true": truth.wall_mm, "length_mm_true": truth.length_mm, "gates": camera.gates}
    row |= {"fwhm_mm": sum(camera.fwhm_mm) / 3, "filter_mm": camera.filter_fwhm_mm, "counts": camera.counts}
    row |= {"loss": heart.wall_loss, "stiff": len(heart.stiff), "focal": len(heart.delay.focal)}
    row |= {"moves": camera.movement_share > 0, "gut": drawn.surroundings.gut}
    row |= {f"thickening_{place}_true": value for place, value in zip(PLACES, truth.thickening_percent, strict=True)}
    try:
        report = analyze(drawn.study, load_models(diagnosis=False), Options(seed=number))
    except MyoPerfError as error:
        return row | {"failed": str(error).split(".")[0]}
    result = report.results[0]
    findings = (*report.findings, *result.findings)
    row["findings"] = ";".join(sorted({one.code for one in findings}))
    row["warned"] = any(one.severity != "info" for one in findings)
    frame = result.frame
    row["length_mm"] = frame.length_mm
    row["axis_error_deg"] = angle_deg(frame.axis, drawn.frame.axis)
    row["anterior_error_deg"] = angle_deg(frame.anterior, drawn.frame.anterior)
    row["apex_error_mm"] = float(((frame.apex_mm - drawn.frame.apex_mm) ** 2).sum() ** 0.5)
    row["base_error_mm"] = float((frame.base_mm - drawn.frame.base_mm) @ drawn.frame.axis)
    function = result.function
    if function is None:
        return row | {"failed": "no function"}
    intervals = report.intervals.get("stress", {})
    for name in NUMBERS:
        holder = next(part for part in (function, function.wall, function.synchrony) if hasattr(part, name))
        value = getattr(holder, name)
        row[name] = float("nan") if value is None else float(value)
        if name in intervals:
            row[f"{name}_low"], row[f"{name}_high"] = intervals[name].low, intervals[name].high
    wall = function.wall
    row["resolution_fwhm_mm"] = wall.resolution_fwhm_mm
    for place, segments in zip(PLACES, (slice(12, 16), slice(6, 12), slice(0, 6)), strict=True):
        row[f"thickening_{place}"] = float(wall.thickening_percent[segments].mean())
        row[f"motion_{place}_mm"] = float(wall.motion_mm[segments].mean())
    return row


PLACES = ("apical", "middle", "basal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", choices=("development", "held"), default="development")
    parser.add_argument("--hearts", type=int, default=40)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--again", action="store_true", help="also repeat the rows of other versions")
    options = parser.parse_args()
    path = ROOT / f"docs/results/independent_{options.series}.csv"
    table = pd.read_csv(path, dtype={"method": str}) if path.exists() else pd.DataFrame({"heart": [], "method": []})
    method, start = method_of(), time.monotonic()
    there = set(table[table.method == method].heart if options.again else table.heart)
    todo = [number for number in range(options.hearts) if number not in there]
    with ProcessPoolExecutor(options.processes) as pool:
        while todo and time.monotonic() - start < 60.0 * options.minutes:
            now, todo = todo[: options.processes], todo[options.processes :]
            for number, row in zip(now, pool.map(measure, [options.series] * len(now), now), strict=True):
                table = table[table.heart != number]
                new = pd.DataFrame([{"heart": number, "method": method} | row])
                table = pd.concat([table, new], ignore_index=True) if len(table) else new
            table.sort_values("heart").to_csv(path, index=False, float_format="%.3f")
    print(f"{options.series}: {len(table)} rows, {len(todo)} to do")


if __name__ == "__main__":
    main()
