"""Repeatability: the same simulated patient acquired twice, nothing but the noise differing.

    python benchmarks/repeatability.py --patients 40
    python benchmarks/repeatability.py --patients 40 --restart  # discard the rows; then continue without

Uses the views of ``function_simulated.py`` (population, 8 gates at stress, ungated rest) with their second drawing of
the noise, and measures every number of the report on both: the ventricle is located separately each time. Rows go to
``docs/results/repeatability.csv`` (patient, number, first, second). It
goes on where it stopped and ends by itself after ``--minutes``; rows of another version of the program do not
count as there only with ``--restart``, which empties the table first.
Repeatability coefficient: 1.96 x sqrt(2) x within-patient SD (Bland and Altman, Lancet 1986;1:307); 95 % of
repeats differ by less.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd

from function_cohort import patient_of, views_of
from myoperf.errors import MyoPerfError
from myoperf.pipeline import Options, analyze, load_models
from myoperf.quantities import numbers_of_scan, numbers_of_scores
from myoperf.types import Projections, Scan, Study

ROOT = Path(__file__).parents[1]
VIEWS = ROOT / "runs" / "function"
TABLE = ROOT / "docs/results/repeatability.csv"
DOUBT = "doubt"
"""Not a number of the report: whether the ventricle was found with a warning."""
DOUBTED = ("check-orientation", "lv-classical")
MODELS = load_models()


def numbers_of(views: dict[str, Projections], sex: str, again: str) -> dict[str, float]:
    """Analyse both scans and name every number: ``stress.edv_ml``, ``rest.cavity_ml``, ``tid_ratio`` ..."""
    scans = (
        Scan(views[f"stress{again}"], state="stress", framing="gated", tracer="Tc-99m sestamibi"),
        Scan(views[f"rest{again}"], state="rest", tracer="Tc-99m sestamibi"),
    )
    report = analyze(Study(scans, sex=sex), MODELS, Options(interval_draws=0))  # type: ignore[arg-type]
    out = numbers_of_scores(report.scores)
    for result in report.results:
        out |= {f"{result.name}.{name}": value for name, value in numbers_of_scan(result).items()}
        out[f"{result.name}.{DOUBT}"] = float(any(f.code in DOUBTED for f in result.findings))
    return out


def measure(seed: int, patients: int, minutes: float, *, restart: bool = False) -> None:
    """Add the patients that are not there yet."""
    start, columns = time.monotonic(), ["patient", "number", "first", "second"]
    table = pd.read_csv(TABLE) if TABLE.exists() and not restart else pd.DataFrame(columns=columns)
    for index in range(patients):
        if index in set(table.patient):
            continue
        if time.monotonic() - start > 60.0 * minutes:
            print(f"stopped before {index}; call again to go on", flush=True)
            return
        views = views_of(VIEWS, "population", seed, index, 8)
        sex = patient_of("population", seed, index)[0].clinical.sex
        try:
            first, second = (numbers_of(views, sex, again) for again in ("", "_again"))
        except MyoPerfError as error:
            print(f"{index}: {error}", flush=True)
            first, second = {"failed": 1.0}, {"failed": 1.0}
        both = [name for name in first if name in second]
        rows = pd.DataFrame(
            {
                "patient": index,
                "number": both,
                "first": [first[n] for n in both],
                "second": [second[n] for n in both],
            }
        )
        table = pd.concat([table, rows], ignore_index=True).astype({"first": float, "second": float})
        table.sort_values(["patient", "number"]).to_csv(TABLE, index=False, float_format="%.4f")
    print(f"{patients} patients are there", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=9501)
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=11.0)
    parser.add_argument("--restart", action="store_true")
    options = parser.parse_args()
    measure(options.seed, options.patients, options.minutes, restart=options.restart)


if __name__ == "__main__":
    main()
