"""Volumes, ejection fraction, phase and TID of simulated patients against their truth.

    python benchmarks/function_simulated.py measure --cohort population --seed 9501 --patients 200
    python benchmarks/function_simulated.py measure --cohort dyssynchrony --seed 9502 --patients 40
    python benchmarks/function_simulated.py measure --cohort dilation --seed 9504 --patients 40
    python benchmarks/function_simulated.py measure --cohort population --seed 9501 --patients 40 --gates 16
    python benchmarks/function_simulated.py pages

    python benchmarks/function_simulated.py measure --again --cohort population --seed 9501 --patients 200

``measure`` simulates the views (full physics; see ``function_cohort.py``), reconstructs them, finds the ventricle as
``myoperf analyze`` does and measures; nothing is told to the measurement. It writes a row a patient to
``docs/results/function_simulated.csv``, goes on where it stopped and ends by itself after ``--minutes``. With
``--again`` rows that another version of the measurement wrote (column ``method``: hash of the sources of
``myoperf.gated``) are measured anew from the views that are kept; call it until it says that all are there.
``--doubted`` measures anew only those in which a ventricle was found with a warning in either state, or in which it is
not known whether it was.
``pages`` writes the tables in ``docs/function.md`` and ``docs/synchrony.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from function_cohort import COHORTS, patient_of, views_of
from myoperf.errors import MyoPerfError
from myoperf.gated import measure_function
from myoperf.gated.function import static_cavities_ml
from myoperf.lv import check_lengths
from myoperf.perfusion import tid_ratio
from myoperf.phantom.motion import volumes
from myoperf.phantom.truth import truth
from myoperf.pipeline import Options, load_models
from myoperf.pipeline.scan import LocatedScan, locate_ventricle, reconstruct_scan, transfer_uncertain_pose
from myoperf.polar import sample_polar_map
from myoperf.types import BLOOD_POOL, Finding, Projections, Scan, State

ROOT = Path(__file__).parents[1]
VIEWS = ROOT / "runs" / "function"
TABLE = ROOT / "docs/results/function_simulated.csv"
REPEATS = ROOT / "docs/results/repeatability.csv"
MODELS = load_models(diagnosis=False)
STATES: tuple[State, State] = ("stress", "rest")
KEYS = ("cohort", "seed", "patient", "gates")
NUMBERS = ("edv_ml", "esv_ml", "lvef_percent", "phase_sd_deg", "phase_bandwidth_deg", "tid_ratio")
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


def known_of(cohort: str, seed: int, index: int) -> dict[str, float]:
    """Give what is true of a patient; TID compares the cavities' means over the beat, as ungated images show them."""
    patient, _ = patient_of(cohort, seed, index)
    known, beat = truth(patient), np.arange(64) / 64.0
    out = {f"{name}_true": float(getattr(known, name)["stress"]) for name in NUMBERS if name != "tid_ratio"}
    out["tid_ratio_true"] = float(volumes(patient, "stress", beat).mean() / volumes(patient, "rest", beat).mean())
    out["wall_mm"] = float(np.mean(patient.ventricle.wall_mm))
    out["scars"] = len(patient.coronary.infarcts)
    return out


def doubted(findings: Iterable[Finding]) -> bool:
    """Whether a finding of the ventricle's warns."""
    return any(f.severity != "info" for f in findings)


def located(views: dict[str, Projections], again: str) -> tuple[LocatedScan, LocatedScan]:
    """Find the ventricle under stress and at rest as analyze does, on the first noise or (``_again``) the second."""
    options = Options(correct_motion=False)
    scans: dict[str, Scan] = {state: Scan(views[f"{state}{again}"], state=state, framing="gated") for state in STATES}
    images = {state: reconstruct_scan(scan, options, name=state) for state, scan in scans.items()}
    each = {state: locate_ventricle(one, MODELS, options) for state, one in images.items()}
    both = transfer_uncertain_pose(each, MODELS, options)
    return both["stress"], both["rest"]


def labelled_ml(found: LocatedScan) -> float:
    """Give the labelled cavity."""
    return found.fit.labels.label_ml(BLOOD_POOL)


def measure_patient(views: dict[str, Projections], again: str = "") -> dict[str, float]:
    """Measure one patient on the first noise, or (``again="_again"``) on the second."""
    stress, rest = located(views, again)
    maps = [sample_polar_map(one.summed, one.fit.labels, one.fit.frame).maximum for one in (stress, rest)]
    result = measure_function(stress.frames, stress.fit.frame, maps[0])
    synchrony = result.synchrony
    assert synchrony is not None
    holders = {name: synchrony if name.startswith("phase") else result for name in NUMBERS if name != "tid_ratio"}
    out = {name: float(getattr(holder, name)) for name, holder in holders.items()}
    modelled = static_cavities_ml(
        [(one.frames, one.fit.frame, polar) for one, polar in zip((stress, rest), maps, strict=True)]
    )
    out["tid_ratio"] = tid_ratio(modelled[0], modelled[1]) or float("nan")
    out["tid_labels_ratio"] = tid_ratio(labelled_ml(stress), labelled_ml(rest)) or float("nan")
    out["phase_noise_deg"] = synchrony.phase_noise_deg
    out["phase_sd_uncorrected_deg"] = synchrony.phase_sd_uncorrected_deg
    out["phase_reliable"] = float(synchrony.phase_reliable)
    told = synchrony.phase_disagreement
    out["phase_disagreement"] = float("nan") if told is None else told
    unlike = check_lengths(stress.fit.frame, rest.fit.frame)
    out["doubt"] = float(any(doubted((*one.fit.findings, *unlike)) for one in (stress, rest)))
    out["counts"] = float(views[f"stress{again}"].array.sum(dtype=np.float64))
    return out


def method_of() -> str:
    """Give a name that changes with the sources of the measurement."""
    files = sorted((ROOT / "src/myoperf/quant").glob("*.py"))
    return "q" + hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def measure(
    cohort: str, seed: int, patients: int, gates: int, minutes: float, *, again: bool = False, doubts: bool = False
) -> None:
    """Add the rows that are not there yet.

    Parameters
    ----------
    again
        Also measure anew those that another version measured; with `doubts` only where a ventricle is in doubt.
    """
    start, method = time.monotonic(), method_of()
    table = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame(columns=list(KEYS))
    if "method" not in table:
        table["method"] = ""
    good = table[(table.method == method) | (doubts & (table.doubt == 0))] if again or doubts else table
    there = set(good[list(KEYS)].itertuples(index=False, name=None))
    for index in range(patients):
        key = (cohort, seed, index, gates)
        if key in there:
            continue
        if time.monotonic() - start > 60.0 * minutes:
            print(f"stopped before {index}; call again to go on", flush=True)
            return
        views = views_of(VIEWS, cohort, seed, index, gates)
        row: dict[str, Any] = dict(zip(KEYS, key, strict=True)) | known_of(cohort, seed, index) | {"method": method}
        try:
            row |= measure_patient(views)
        except MyoPerfError as error:
            row["failed"] = str(error).split(".")[0]
        table = table[~(table[list(KEYS)] == list(key)).all(axis=1)]
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        table.sort_values(list(KEYS)).to_csv(TABLE, index=False, float_format="%.3f")
    print(f"{cohort} {seed}, {gates} gates: {patients} are there", flush=True)


def correlation(true: Any, seen: Any) -> tuple[float, float, float]:
    """Give Pearson's r with its 95 % interval by Fisher's transform."""
    r = float(np.corrcoef(true, seen)[0, 1])
    reach = 1.96 / np.sqrt(max(len(true) - 3, 1))
    return r, float(np.tanh(np.arctanh(r) - reach)), float(np.tanh(np.arctanh(r) + reach))


def line(group: str, rows: pd.DataFrame, name: str) -> str:
    """Write one line of the table: bias with its interval, SD, r with its interval."""
    true, seen = rows[f"{name}_true"].to_numpy(), rows[name].to_numpy()
    error = 100.0 * (seen / true - 1.0) if name in RELATIVE else seen - true
    digits = 3 if name == "tid_ratio" else 1
    half = 1.96 * error.std(ddof=1) / np.sqrt(len(error))
    r, low, high = correlation(true, seen)
    bias = f"{error.mean():+.{digits}f} ({error.mean() - half:+.{digits}f} to {error.mean() + half:+.{digits}f})"
    return (
        f"| {group} | {name} | {len(error)} | {true.std(ddof=1):.{digits}f} | {bias} | {error.std(ddof=1):.{digits}f} "
        f"| {r:.2f} ({low:.2f} to {high:.2f}) |"
    )


def verdict(name: str, groups: dict[str, pd.DataFrame], *, goal: float = 0.9) -> str:
    """Say whether the goal of r is met in every group of at least 4 patients."""
    said = []
    for group, rows in groups.items():
        if len(rows) > 3:
            r, low, _ = correlation(rows[f"{name}_true"].to_numpy(), rows[name].to_numpy())
            how = "met" if low >= goal else "met by the estimate only" if r >= goal else f"**missed by {goal - r:.2f}**"
            said.append(f"in {group} {how}")
    return f"Goal for {name}, r of {goal:g}: {'; '.join(said)}."


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
    repeats = pd.read_csv(REPEATS)
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


HEAD = (
    "| group | number | n | SD of truth | bias (95 % interval) | SD of error | r (95 % interval) |\n"
    "|---|---|---|---|---|---|---|"
)


def tables() -> dict[str, str]:
    """Give the text of every table by its mark."""
    table = pd.read_csv(TABLE)
    failed = table["failed"].notna() if "failed" in table else pd.Series(False, index=table.index)
    good = table[~failed]
    people = good[(good.cohort == "population") & (good.gates == 8)]
    uneven = good[(good.cohort == "dyssynchrony") & (good.gates == 8)]
    large, small = people[people.edv_ml_true >= 70.0], people[people.edv_ml_true < 70.0]
    said = (
        f"{len(people)} simulated patients, 8 gates, seed {int(people.seed.iloc[0])}; {int(failed.sum())} not measured."
    )
    volumes_of = [
        line(name, rows, number)
        for name, rows in (
            ("all", people),
            ("EDV >= 70 ml", large),
            ("EDV < 70 ml", small),
            ("wall <= 11 mm", people[people.wall_mm <= 11.0]),
        )
        for number in ("edv_ml", "esv_ml", "lvef_percent")
        if len(rows) > 3
    ]
    wider = good[(good.cohort == "dilation") & (good.gates == 8)]
    dilated: dict[str, pd.DataFrame] = {"all": people}
    if "doubt" in good:
        dilated["ventricle found without a warning"] = people[people.doubt == 0]
    if len(wider):
        dilated["dilation"] = wider
        dilated["dilation, without a warning"] = wider[wider.doubt == 0]
    volumes_of += [line(name, rows, "tid_ratio") for name, rows in dilated.items() if len(rows) > 3]
    phases = [
        line(name, rows, number)
        for name, rows in (
            ("population", people),
            ("population, no scar", people[people.scars == 0]),
            ("population, phase_reliable", people[people.phase_reliable == 1]),
            ("dyssynchrony", uneven),
            ("dyssynchrony, phase_reliable", uneven[uneven.phase_reliable == 1] if len(uneven) else uneven),
        )
        for number in ("phase_sd_deg", "phase_bandwidth_deg")
        if len(rows) > 3
    ]
    asked = {"the population": people}
    if len(wider):
        sure = wider[wider.doubt == 0]
        asked |= {f"the cohort dilation ({len(wider)} patients)": wider, f"its {len(sure)} without a warning": sure}
    ending = ["", *(f"- {text}" for text in (*goals(people), verdict("tid_ratio", asked), *ceiling(people)))]
    groups = {"the population": people, f"the cohort dyssynchrony ({len(uneven)} patients)": uneven}
    return {
        "function_simulated": "\n".join([said, "", HEAD, *volumes_of, *ending]),
        "synchrony_simulated": "\n".join([HEAD, *phases, "", verdict("phase_sd_deg", groups)]),
        "gates_simulated": gates_table(good),
        "limits_simulated": limits_table(people),
    }


def gates_table(good: pd.DataFrame) -> str:
    """Compare 8 and 16 gates on the same patients (the noise is another)."""
    wide = good[good.cohort == "population"].pivot(
        index="patient", columns="gates", values=["edv_ml", "esv_ml", "lvef_percent", "phase_sd_deg"]
    )
    if 16 not in wide.columns.get_level_values("gates"):
        return "Not run yet."
    rows = ["| number | n | 16 less 8 gates (95 % interval) | SD |", "|---|---|---|---|"]
    for name in ("edv_ml", "esv_ml", "lvef_percent", "phase_sd_deg"):
        both = wide[name].dropna()
        gap = (both[16] - both[8]).to_numpy()
        mean, sd = gap.mean(), gap.std(ddof=1)
        half = 1.96 * sd / np.sqrt(len(gap))
        rows.append(f"| {name} | {len(gap)} | {mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f}) | {sd:.1f} |")
    return "\n".join(rows)


def limits_table(people: pd.DataFrame) -> str:
    """Set limits of normal found on low-likelihood patients (every fourth) beside published ones."""
    normal = people[people.patient % 4 == 0]
    rows = ["| number | n | mean | SD | limit here (mean and 2 SD) | published |", "|---|---|---|---|---|---|"]
    for name, (side, text) in PUBLISHED.items():
        values = normal[name].to_numpy()
        digits = 2 if name == "tid_ratio" else 1
        mean, sd = values.mean(), values.std(ddof=1)
        limit = f">= {mean - 2 * sd:.{digits}f}" if side == "low" else f"<= {mean + 2 * sd:.{digits}f}"
        rows.append(f"| {name} | {len(values)} | {mean:.{digits}f} | {sd:.{digits}f} | {limit} | {text} |")
    return "\n".join(rows)


def pages() -> None:
    """Write every table between its marks in the pages that hold them."""
    for name, text in tables().items():
        mark, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        for page in (ROOT / "docs/function.md", ROOT / "docs/synchrony.md"):
            old = page.read_text(encoding="utf-8")
            if mark in old:
                page.write_text(old[: old.index(mark)] + f"{mark}\n{text}\n" + old[old.index(end) :], encoding="utf-8")
                print(page.name, name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("measure", "pages"))
    parser.add_argument("--cohort", choices=COHORTS, default="population")
    parser.add_argument("--seed", type=int, default=9501)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--gates", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=11.0)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--doubted", action="store_true")
    options = parser.parse_args()
    if options.do == "pages":
        pages()
    else:
        again, doubts = options.again, options.doubted
        cohort = options.cohort, options.seed, options.patients, options.gates
        measure(*cohort, options.minutes, again=again, doubts=doubts)


if __name__ == "__main__":
    main()
