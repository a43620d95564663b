"""Attenuation correction on simulated patients: maps against the truth with and without, and the alignment of the CT.

    python benchmarks/attenuation_simulated.py measure --count 60
    python benchmarks/attenuation_simulated.py table

``measure`` simulates a static stress scan of full physics with scatter windows and the couch, patients and normals in
turn, and two CTs of each, written and read as DICOM: one that fits the emission, and one that lies off it (SD 8 mm
along each axis) and was taken at another breath (SD 6 mm). Every variant is reconstructed and unrolled on the true pose
and labels, so that nothing but the reconstruction differs. Cases are kept in ``runs/attenuation``; a call resumes where
the last stopped and ends by itself after ``--minutes``. ``table`` divides each map by the mean map of the normals of
the same variant (a normal's own map left out for it) and writes ``docs/results/attenuation_cases.csv`` (one row a scan
and variant), ``attenuation_summary.csv`` and ``attenuation_alignment.csv``.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from myoperf.geometry import index_from_lps, rotate_frame
from myoperf.io import find_attenuation
from myoperf.io.ct import CoarseCT, coarse_ct, read_ct_series
from myoperf.io.ct_writer import write_ct
from myoperf.io.simulated_header import SimulatedHeader
from myoperf.phantom.acquire import Protocol, acquire, attenuation_map, scanner_from_patient
from myoperf.phantom.ct import CTOptions, simulate_ct
from myoperf.phantom.records import Grid, PatientModel
from myoperf.phantom.truth import defect_map, truth
from myoperf.phantom.voxelise import label_volume
from myoperf.polar import sample_polar_map
from myoperf.recon import align_attenuation, attenuation_per_cm, hounsfield_line, reconstruct
from myoperf.recon.alignment import moved
from myoperf.recon.attenuation_map import on_emission_grid
from myoperf.recon.outline import body_outline
from myoperf.types import Projections, Volume
from reconstruction_pairs import compare_maps, draw_case, is_normal, keep_arrays, share_above, stored_arrays

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "attenuation"
SEED = 17101
SHIFT_MM, BREATH_MM = 8.0, 6.0
PROTOCOL = Protocol(views=60, gates=1, motion_probability=0.0, oversampling=1.5, couch=True, scatter_windows=True)
HEADER = SimulatedHeader(patient_id="SIM-AC", state="stress", series_description="Simulated stress CT")
VARIANTS = {
    "none": "no correction",
    "ct": "CT that fits, scatter by coefficient",
    "ct windows": "CT that fits, scatter windows",
    "off": "CT that lies off, as it is, scatter windows",
    "off moved": "CT that lies off, aligned, scatter windows",
    "true map": "the patient's own map, scatter windows",
}


def read_back(patient: PatientModel, options: CTOptions, rng: np.random.Generator) -> CoarseCT:
    """Return a CT after it was written as DICOM and read."""
    with tempfile.TemporaryDirectory() as folder:
        image = find_attenuation(write_ct(Path(folder) / "ct", simulate_ct(patient, options, rng), HEADER, kvp=120.0))
        series = read_ct_series(image)
        convert = partial(attenuation_per_cm, line=hounsfield_line(series.scanner, series.kvp))
        return coarse_ct(series, convert, pixel_mm=4.0)


def measure_case(index: int) -> dict[str, Any]:
    """Simulate one patient (even numbers) or normal (odd ones); return maps of every variant and what is true."""
    (patient, rng), normal = draw_case(SEED, index), is_normal(index)
    views = acquire(patient, "stress", rng, PROTOCOL).projections
    shift, breath = rng.normal(0.0, SHIFT_MM, 3), float(rng.normal(0.0, BREATH_MM))
    options = CTOptions(length_mm=views.array.shape[2] * views.pixel_mm[0])
    fits = read_back(patient, options, rng)
    there = (float(shift[0]), float(shift[1]), float(shift[2]))
    lies_off = read_back(patient, replace(options, shift_lps_mm=there, breath_mm=breath), rng)
    plain = reconstruct(views).volume
    place = scanner_from_patient(patient)
    frame = rotate_frame(patient.frame, place)
    inside = Grid(plain.grid_shape, index_from_lps(place) @ plain.lps_from_index)
    labels = Volume(label_volume(patient, inside, "stress"), plain.lps_from_index)
    found = align_attenuation(lies_off.converted, plain, frame.centre_mm)
    still = align_attenuation(fits.converted, plain, frame.centre_mm)
    outline = body_outline(views)

    def on_grid(ct: CoarseCT, by: Any = (0.0, 0.0, 0.0)) -> Volume:
        return on_emission_grid(moved(ct.converted, by), plain, measured=ct.measured, outline=outline)[0]

    far = np.linalg.norm(found.shift_mm) >= max(views.pixel_mm)  # as `myoperf analyze` decides
    pays = far and found.likeness_after > found.likeness_before
    alone = replace(views, scatter_windows=())
    corrected: dict[str, tuple[Projections, Volume]] = {
        "ct": (alone, on_grid(fits)),
        "ct windows": (views, on_grid(fits)),
        "off": (views, on_grid(lies_off)),
        "off moved": (views, on_grid(lies_off, found.shift_mm if pays else (0.0, 0.0, 0.0))),
        "true map": (views, on_emission_grid(attenuation_map(patient, views), plain)[0]),
    }
    images = {"none": plain} | {name: reconstruct(v, attenuation=mu).volume for name, (v, mu) in corrected.items()}
    maps = {name: sample_polar_map(image, labels, frame).maximum.values for name, image in images.items()}
    out: dict[str, Any] = {f"map {name}": values.astype(np.float32) for name, values in maps.items()}
    out |= {"normal": normal, "sex": patient.clinical.sex, "defect": defect_map(patient, "stress", 24, 72)}
    out |= {
        "segments": truth(patient).segments_percent["stress"],
        "moved": pays,
        "displaced": shift + np.array([0, 0, breath]),
    }
    return out | {"found": found.shift_mm, "found still": still.shift_mm}


def measure(count: int, minutes: float) -> None:
    """Measure the first `count` cases, those already there apart."""
    keep_arrays({RUNS / f"case-{index:04d}.npz": index for index in range(count)}, measure_case, minutes)


def rows_of(cases: dict[int, dict[str, Any]], variant: str) -> list[dict[str, Any]]:
    """Return one row a scan of a variant."""
    maps = {index: case[f"map {variant}"] for index, case in cases.items()}
    compared = compare_maps(maps, {index: case["defect"] for index, case in cases.items()})
    rows = []
    for index, case in cases.items():
        row: dict[str, Any] = {"variant": variant, "scan": index, "normal": int(case["normal"]), **compared[index]}
        scaled = maps[index] / np.percentile(maps[index], 98.0)
        row["uneven"] = float(scaled.std()) if case["normal"] else np.nan
        rows.append(row)
    return rows


def interval(values: Any, seed: int = 0) -> tuple[float, float]:
    """Return the bootstrap's 95 % interval of a median."""
    rng, kept = np.random.default_rng(seed), np.asarray(values, dtype=np.float64)
    medians = np.median(rng.choice(kept, (2000, kept.size)), axis=1)
    low, high = np.percentile(medians, (2.5, 97.5))
    return float(low), float(high)


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a variant."""
    plain = rows[(rows.variant == "none") & (rows.normal == 0)].set_index("scan").map_r
    out = []
    for variant, each in rows.groupby("variant", sort=False):
        ill, normal = each[each.normal == 0].set_index("scan"), each[each.normal == 1]
        low, high = interval(ill.map_r)
        gain = ill.map_r - plain
        gain_low, gain_high = interval(gain)
        row: dict[str, Any] = {"variant": VARIANTS[str(variant)], "patients": len(ill), "normals": len(normal)}
        row |= {"map_r": ill.map_r.median(), "map_r_lo": low, "map_r_hi": high}
        row |= {"gain": gain.median(), "gain_lo": gain_low, "gain_hi": gain_high}
        row |= {
            "deficit_r": ill.deficit.corr(ill.deficit_true),
            "patients_above_normals": share_above(ill.deficit, normal.deficit),
        }
        out.append(row | {"normal_map_sd": normal.uneven.mean()})
    return pd.DataFrame(out)


def alignment(cases: dict[int, dict[str, Any]]) -> pd.DataFrame:
    """Return how near the alignment came, along each axis and in all: for CTs that lie off, and for those that fit."""
    pixel, out = PROTOCOL.pixel_mm, []
    for name, errors in (
        ("lies off", np.array([case["found"] + case["displaced"] for case in cases.values()])),
        ("fits", np.array([case["found still"] for case in cases.values()])),
    ):
        row: dict[str, Any] = {"ct": name, "n": len(errors)}
        row |= {f"rms_{axis}": v for axis, v in zip("xyz", np.sqrt(np.square(errors).mean(axis=0)), strict=True)}
        row |= {f"within_{axis}": v for axis, v in zip("xyz", 100 * (np.abs(errors) < pixel).mean(axis=0), strict=True)}
        row["median_mm"] = float(np.median(np.linalg.norm(errors, axis=1)))
        row["within_pixel"] = 100 * float((np.linalg.norm(errors, axis=1) < pixel).mean())
        out.append(row)
    return pd.DataFrame(out)


def table() -> None:
    """Write rows, summary and alignment."""
    cases = stored_arrays(RUNS, "case")
    rows = pd.DataFrame([row for variant in VARIANTS for row in rows_of(cases, variant)])
    results = ROOT / "docs/results"
    rows.to_csv(results / "attenuation_cases.csv", index=False, float_format="%.4f")
    for name, frame in (("summary", summarise(rows)), ("alignment", alignment(cases))):
        frame.to_csv(results / f"attenuation_{name}.csv", index=False, float_format="%.3f")
        print(frame.to_string(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("measure", "table"))
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=11.0)
    given = parser.parse_args()
    if given.step == "measure":
        measure(given.count, given.minutes)
    else:
        table()


if __name__ == "__main__":
    main()
