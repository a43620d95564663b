"""Simulated patients held against published values of real ones.

    python benchmarks/population.py images --patients 40
    python benchmarks/population.py fast --patients 80
    python benchmarks/population.py table --patients 400

``images`` makes noiseless images of normal patients by full physics (half of them men), reconstructed with and
without attenuation correction, ``fast`` by the fast model. Both sample them along the true wall, keep a patient's 17
segments in ``runs/population``, so that they resume where they stopped, and gather all in
``docs/results/population_images.csv``. ``table`` draws patients, measures what needs no image, adds the images that
there are and writes ``docs/results/population.csv``: the published value and its source, the simulated
one with a 95 % interval of its mean, the tolerance, and whether it is met. A mean is met within half the published
SD, a spread within a factor of 1.5; where sources disagree each has its row.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from myoperf.phantom.coronary import flow_reserve_share
from myoperf.phantom.disease import draw_lesion
from myoperf.phantom.gating import volume_curve
from myoperf.phantom.heart import myocardium_ml
from myoperf.phantom.motion import volumes
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PatientModel, PopulationOptions
from myoperf.types import Float
from population_images import METHODS, SEGMENTS, draw_images, read_images

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/population.csv"
IMAGES = ROOT / "runs/population"
DENSITY_G_PER_ML = 1.05
SEED = 3100
KAWEL_BOEHM = "MRI, Kawel-Boehm 2015 (PMC7758747)"
BIOBANK = "MRI, Petersen 2017 (10.1186/s12968-017-0327-9)"
KAWEL = "MRI, Kawel 2012 (PMC3412148)"
JAPAN = "10.1007/s12350-017-0863-6; PMC5413527"
FAME = "Tonino 2010 (PMID 20579537)"
UNCORRECTED = "PMID 8976501"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; `low` to `high` is the 95 % interval of the simulated value."""

    quantity: str
    group: str
    published: str
    source: str
    simulated: str
    low: float
    high: float
    n: int
    tolerance: str
    met: bool


def compare_mean(quantity: str, group: str, values: Float, published: tuple[float, float], source: str) -> Row:
    """Hold a mean and SD against published ones."""
    mean, sd = published
    n, centre, spread = values.size, float(values.mean()), float(values.std(ddof=1))
    half = 1.96 * spread / np.sqrt(n)
    return Row(
        quantity=quantity,
        group=group,
        published=f"{mean:g} +- {sd:g}",
        source=source,
        simulated=f"{centre:.1f} +- {spread:.1f}",
        low=round(centre - half, 2),
        high=round(centre + half, 2),
        n=n,
        tolerance=f"mean within {0.5 * sd:.2g}, SD {sd / 1.5:.2g}-{sd * 1.5:.2g}",
        met=bool(abs(centre - mean) <= 0.5 * sd and sd / 1.5 <= spread <= sd * 1.5),
    )


def compare_range(
    quantity: str, group: str, values: Float, span: tuple[float, float], source: str, *, published: str = ""
) -> Row:
    """Hold a mean against a published range."""
    n, centre = values.size, float(values.mean())
    half = 1.96 * float(values.std(ddof=1)) / np.sqrt(n)
    return Row(
        quantity=quantity,
        group=group,
        published=published or f"{span[0]:g} to {span[1]:g}",
        source=source,
        simulated=f"{centre:.1f}",
        low=round(centre - half, 2),
        high=round(centre + half, 2),
        n=n,
        tolerance=f"{span[0]:g} to {span[1]:g}",
        met=bool(span[0] <= centre <= span[1]),
    )


def draw_normals(male: bool, count: int) -> list[PatientModel]:
    """Draw normal patients of one sex."""
    options = PopulationOptions(normal=True, male=float(male))
    return [draw_patient(np.random.default_rng([SEED, int(male), i]), options) for i in range(count)]


def ejection(curve: Float) -> float:
    """Return the ejection fraction of a volume curve in per cent."""
    return float(100.0 * (1.0 - curve.min() / curve.max()))


def body_surface_m2(patient: PatientModel) -> float:
    """Return the body's surface by Mosteller's formula."""
    return float(np.sqrt(patient.clinical.height_m * 100.0 * patient.clinical.weight_kg / 3600.0))


def anatomy(count: int) -> list[Row]:
    """Compare volumes, mass, walls and ejection of normal hearts by sex."""
    published = {
        "men": ((160.0, 27.0), (54.0, 14.0), (134.0, 21.0), (53.0, 9.0), (58.0, 5.0), (6.3, 1.1), (8.0, 9.0)),
        "women": ((132.0, 23.0), (44.0, 11.0), (98.0, 21.0), (42.0, 7.0), (61.0, 5.0), (5.3, 0.9), (6.5, 7.5)),
    }
    rows: list[Row] = []
    for group, (edv, esv, mass, index, ef, wall, thickest) in published.items():
        patients = draw_normals(group == "men", count)
        curves = np.array([volumes(p, "rest", np.arange(64) / 64) for p in patients])
        grams = DENSITY_G_PER_ML * np.array([myocardium_ml(p.ventricle) for p in patients])
        walls = np.array([p.ventricle.wall_mm for p in patients])
        rows += [
            compare_mean("end-diastolic volume, ml", group, curves.max(axis=1), edv, KAWEL_BOEHM),
            compare_mean("end-systolic volume, ml", group, curves.min(axis=1), esv, KAWEL_BOEHM),
            compare_mean("ejection fraction, %", group, np.array([ejection(c) for c in curves]), ef, BIOBANK),
            compare_mean("mass, g", group, grams, mass, KAWEL_BOEHM),
            compare_mean(
                "mass by body surface, g/m2", group, grams / [body_surface_m2(p) for p in patients], index, BIOBANK
            ),
            compare_mean("wall at mid-cavity, mm", group, walls[:, 6:12].mean(axis=1), wall, KAWEL),
            compare_range("thickest segment, mm", group, walls.max(axis=1), thickest, KAWEL),
        ]
    return rows


def function(count: int) -> list[Row]:
    """Compare gates, synchrony and the stress heart's size of normal patients of both sexes."""
    patients = draw_normals(True, count // 2) + draw_normals(False, count // 2)
    gates = [[ejection(volume_curve(p, "rest", n)) for n in (8, 16)] for p in patients]
    few, many = np.transpose(gates)
    phase = np.array([p.function.phase_sd_deg for p in patients])
    ratio = np.array([1.0 + p.function.stress_dilation for p in patients])
    limit = np.full(2, ratio.mean() + 2 * ratio.std(ddof=1))
    rows = [
        compare_range("EF lost by 8 gates against 16, points", "both", many - few, (3.0, 6.0), "28 patients, by QGS",
                      published="4.5"),
        compare_range("phase SD, degrees", "both", phase, (5.3, 11.5), JAPAN, published="5.3 to 11.5 by program"),
        compare_range("TID ratio, mean + 2 SD", "both", limit, (1.13, 1.38), "10.1007/s12350-017-1040-7"),
    ]  # fmt: skip
    return [*rows[:2], replace(rows[2], n=len(patients))]


def lesions(count: int) -> list[Row]:
    """Compare how often a stenosis limits flow: a fractional flow reserve of .80 or less."""
    bands = {(50, 70): 35.0, (71, 90): 80.0, (91, 99): 96.0}
    rows = []
    for (low, high), share in bands.items():
        limited = []
        for index in range(count):
            rng = np.random.default_rng([SEED, low, index])
            reserve = draw_patient(rng, PopulationOptions(normal=True)).coronary.reserve
            lesion = draw_lesion(rng, "LAD", float(rng.uniform(low, high)))
            left = 1.0 - (1.0 - float(flow_reserve_share(lesion.effective_percent))) * (1.0 - lesion.collateral)
            limited.append(100.0 * ((1.0 + (reserve - 1.0) * left) / reserve <= 0.80))
        rows.append(
            compare_range(
                "stenoses that limit flow, %",
                f"{low}-{high} %",
                np.array(limited),
                (share - 7.0, share + 7.0),
                FAME,
                published=f"{share:g}",
            )
        )
    return rows


def pictures() -> list[Row]:
    """Compare the spread of uptake in images of normal patients, with and without attenuation correction."""
    segments = read_images()
    rows = []
    methods = [method for method in METHODS if (segments.method == method).any()]
    for method in methods:
        some = segments[segments.method == method]
        for group, chosen in (("men", some[some.sex == "M"]), ("women", some[some.sex == "F"]), ("both", some)):
            for corrected, published in ((False, (35.8, 10.8)), (True, (20.9, 3.3))):
                values = chosen[chosen.corrected == corrected][SEGMENTS].to_numpy()
                what = f"highest less lowest segment, {'' if corrected else 'un'}corrected ({method}), %"
                rows.append(compare_mean(what, group, np.ptp(values, axis=1), published, UNCORRECTED))
    kinds = [(method, corrected) for method in methods for corrected in (False, True)]
    return rows + [sex_pattern(segments, method, corrected) for method, corrected in kinds]


def sex_pattern(segments: pd.DataFrame, method: str, corrected: bool) -> Row:
    """Count the segments whose uptake differs between men and women (p < .05, Welch)."""
    from scipy import stats

    some = segments[(segments.method == method) & (segments.corrected == corrected)]
    men, women = (some[some.sex == sex][SEGMENTS].to_numpy() for sex in "MF")
    differ = int((stats.ttest_ind(men, women, equal_var=False).pvalue < 0.05).sum())
    span, published = ((0, 4), "few (BMC Med Imaging 2011;11:18)") if corrected else ((8, 17), "12")
    return Row(
        quantity=f"segments that differ between sexes, {'' if corrected else 'un'}corrected ({method})",
        group="both",
        published=published,
        source="10.1016/j.nuclcard.2006.06.131",
        simulated=str(differ),
        low=float("nan"),
        high=float("nan"),
        n=len(some),
        tolerance=f"{span[0]} to {span[1]}",
        met=span[0] <= differ <= span[1],
    )


def write_table(rows: Sequence[Row]) -> None:
    """Write the comparison."""
    table = pd.DataFrame([vars(row) for row in rows])
    table["met"] = np.where(table["met"], "yes", "no")
    TABLE.parent.mkdir(exist_ok=True)
    table.to_csv(TABLE, index=False)
    print(table.to_string())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("images", "fast", "table"))
    parser.add_argument("--patients", type=int, default=40)
    given = parser.parse_args()
    if given.what != "table":
        draw_images(IMAGES, given.patients, "fast" if given.what == "fast" else "full physics")
    else:
        n = given.patients
        write_table([*anatomy(n // 2), *function(n), *lesions(n), *pictures()])


if __name__ == "__main__":
    main()
