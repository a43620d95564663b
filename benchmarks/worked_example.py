"""One simulated patient, every number of the report, and where it comes from.

    myoperf demo -o runs/demo
    python benchmarks/worked_example.py runs/demo

Reads ``results.json`` and ``simulated/truth.json`` of the demonstration and writes ``docs/worked-example.md``.
A number that no line of `SOURCES` explains stops the script, so that the page stays whole when numbers are added.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs/worked-example.md"

SOURCES: dict[str, tuple[str, str, str, str]] = {
    # key: (what and formula, function, source, key of the truth)
    "segments_percent": (
        "mean of the polar map over a segment, % of the map's maximum",
        "polar.segments_percent",
        "AHA 2002, doi:10.1161/hc0402.102975",
        "segments_percent",
    ),
    "myocardium_ml": (
        "labelled wall voxels x voxel volume (labels follow the blurred image: larger than the wall)",
        "lv.find_lv",
        "own",
        "",
    ),
    "cavity_ml": ("labelled blood voxels x voxel volume, mean over the beat", "lv.find_lv", "own", ""),
    "lung_heart_ratio": (
        "mean of a 30 mm square of lung / mean of heart above 70 % of its hottest, front view",
        "quant.lung_heart_ratio",
        "regions own",
        "",
    ),
    "edv_ml": (
        "largest volume of the fitted curve",
        "quant.measure_function",
        "own wall model; Germano 1995 for the approach",
        "edv_ml",
    ),
    "esv_ml": ("smallest volume of the fitted curve", "quant.measure_function", "the same", "esv_ml"),
    "lvef_percent": ("100 (EDV - ESV) / EDV", "quant.measure_function", "definition", "lvef_percent"),
    "stroke_volume_ml": ("EDV - ESV", "quant.measure_function", "definition", ""),
    "volumes_ml": (
        "volume inside the endocardium up to the valve plane, a gate each",
        "quant.rays.cavity_ml",
        "hybrid rays: Garcia 1990",
        "",
    ),
    "pfr_edv_per_s": ("largest slope of the fit after end systole / EDV", "quant.fit_volume_curve", "definition", ""),
    "ttpf_ms": ("end systole to that slope", "quant.fit_volume_curve", "definition", ""),
    "mfr3_edv_per_s": ("mean slope over the first third of filling / EDV", "quant.fit_volume_curve", "definition", ""),
    "motion_mm": (
        "inward motion of the endocardium along the rays, end diastole to end systole",
        "quant.shape.regional",
        "own",
        "segment_motion_mm",
    ),
    "thickening_percent": (
        "rise of the wall's peak counts, end diastole to end systole",
        "quant.shape.regional",
        "partial volume: Galt 1990",
        "segment_thickening_percent",
    ),
    "mass_g": (
        "wall volume x 1.05 g/ml, wall assumed 9.5 mm at end diastole",
        "quant.measure_function",
        "density 1.05",
        "",
    ),
    "resolution_fwhm_mm": (
        "blur of the model wall that gives the image's peak width",
        "quant.tracking.track_wall",
        "own",
        "",
    ),
    "fit_residual_mm": (
        "peaks of the image against those of the model, root mean square",
        "quant.tracking.track_wall",
        "own",
        "",
    ),
    "ed_gate": ("gate that holds the fit's largest volume, from 1", "quant.measure_function", "own", ""),
    "es_gate": ("gate that holds the fit's smallest volume, from 1", "quant.measure_function", "own", ""),
    "shape_index_ed": (
        "largest inner diameter / inner length, end diastole",
        "quant.shape.shape_numbers",
        "Abidov 2006",
        "",
    ),
    "shape_index_es": ("the same at end systole", "quant.shape.shape_numbers", "Abidov 2006", ""),
    "eccentricity_ed": (
        "sqrt(1 - (radius / length)^2) of the mid-wall, end diastole",
        "quant.shape.shape_numbers",
        "definition",
        "",
    ),
    "eccentricity_es": ("the same at end systole", "quant.shape.shape_numbers", "definition", ""),
    "phase_sd_deg": (
        "SD over the polar map of the fitted field of delay, noise taken off",
        "quant.measure_synchrony",
        "own field; phase: Chen 2005, Van Kriekinge 2008",
        "phase_sd_deg",
    ),
    "phase_bandwidth_deg": (
        "shortest arc with 95 % of that field",
        "quant.synchrony.phase_bandwidth_deg",
        "Chen 2005",
        "phase_bandwidth_deg",
    ),
    "phase_entropy_percent": (
        "-sum p ln p / ln 60 of its histogram, 6 degree bins",
        "quant.synchrony.phase_entropy_percent",
        "definition",
        "",
    ),
    "phase_mean_deg": ("mean of that field, degrees after the R wave", "quant.measure_synchrony", "own", ""),
    "phase_sd_uncorrected_deg": (
        "SD of the first harmonic's phase place by place, noise left in",
        "quant.measure_synchrony",
        "Chen 2005",
        "",
    ),
    "phase_noise_deg": ("SD that noise alone gives the field", "quant.measure_synchrony", "own", ""),
    "phase_disagreement": (
        "difference of thickness' and motion's delay over its noise, five coefficients (about 1: noise alone)",
        "quant.measure_synchrony",
        "own",
        "",
    ),
    "phase_skewness": ("third standardised moment of the field", "quant.measure_synchrony", "definition", ""),
    "phase_kurtosis": ("fourth standardised moment less 3", "quant.measure_synchrony", "definition", ""),
    "phase_segments_deg": (
        "mean of the field in a segment less the wall's mean",
        "quant.measure_synchrony",
        "own",
        "segment_phase_deg",
    ),
    "sss": ("sum of 17 scores at stress", "quant.score_perfusion", "scores by severity: see perfusion", ""),
    "srs": ("sum of 17 scores at rest", "quant.score_perfusion", "the same", ""),
    "sds": ("sum of max(stress - rest, 0)", "quant.score_perfusion", "the same", ""),
    "tpd_stress_percent": ("100 sum severity / (4 samples)", "quant.measure_perfusion", "Slomka 2005", ""),
    "tpd_rest_percent": ("the same at rest", "quant.measure_perfusion", "Slomka 2005", ""),
    "tpd_ischemic_percent": ("max(stress - rest, 0)", "quant.score_perfusion", "Slomka 2005", ""),
    "stress_extent_percent": (
        "100 x samples below the limit / samples, at stress",
        "quant.measure_perfusion",
        "see perfusion",
        "",
    ),
    "rest_extent_percent": ("the same at rest", "quant.measure_perfusion", "the same", ""),
    "stress_mean_severity": (
        "mean severity (0-4) of the samples below the limit, at stress",
        "quant.measure_perfusion",
        "own",
        "",
    ),
    "rest_mean_severity": ("the same at rest", "quant.measure_perfusion", "own", ""),
    "stress_percent_myocardium": ("100 SSS / 68", "quant.score_perfusion", "Hachamovitch 2003", ""),
    "rest_percent_myocardium": ("100 SRS / 68", "quant.score_perfusion", "Hachamovitch 2003", ""),
    "ischemic_percent_myocardium": ("100 SDS / 68", "quant.score_perfusion", "Hachamovitch 2003", ""),
    "reversible_share_percent": ("100 SDS / SSS", "quant.score_perfusion", "own", ""),
    "sss_20": ("sum of 20 segments' scores at stress, of 80", "quant.score_segments", "Berman 2006 for the model", ""),
    "srs_20": ("the same at rest", "quant.score_segments", "the same", ""),
    "tid_ratio": (
        "cavity at stress / cavity at rest, both by a model wall of one resolution in the ungated images",
        "quant.static_cavities_ml",
        "own",
        "",
    ),
    "mean_stress_percent": (
        "mean uptake of the territory's segments at stress, % of the maximum",
        "quant.score_perfusion",
        "own",
        "",
    ),
    "mean_rest_percent": ("the same at rest", "quant.score_perfusion", "own", ""),
}


def shown(entry: dict[str, Any] | None, value: Any) -> str:
    """Write a value with its interval."""
    digits = 0 if float(value).is_integer() else 2 if abs(value) < 10 else 1
    if entry is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({entry['low']:.{digits}f} to {entry['high']:.{digits}f})"


def of_truth(truth: dict[str, Any], state: str, key: str) -> Any:
    """Find a truth by state or for both states; None where there is none."""
    if not key:
        return None
    for place in (truth.get(state, {}), truth):
        value = place.get(key) if isinstance(place, dict) else None
        if isinstance(value, dict):
            value = value.get(state)
        if value is not None:
            return value
    return None


def table(numbers: dict[str, Any], truth: dict[str, Any], state: str) -> list[str]:
    """Lay out the numbers of one scan, or of the study; lists by the range of their values."""
    lines = ["| number | value (95 % interval) | truth | formula | function | source |", "|---|---|---|---|---|---|"]
    lists: dict[str, list[dict[str, Any]]] = {}
    for name, entry in numbers.items():
        head, _, last = name.rpartition(".")
        if last.isdigit():
            lists.setdefault(head, []).append(entry)
            continue
        formula, function, source, known = SOURCES[last]
        true = of_truth(truth, state, known)
        text = "" if true is None else f"{true:.1f}"
        lines.append(f"| {name} | {shown(entry, entry['value'])} | {text} | {formula} | `{function}` | {source} |")
    for name, entries in lists.items():
        formula, function, source, known = SOURCES[name]
        true = of_truth(truth, state, known)
        text = "" if true is None else ", ".join(f"{v:.0f}" for v in true)
        values = ", ".join(f"{e['value']:.0f}" for e in entries)
        sd = sum(e["sd"] for e in entries) / len(entries)
        lines.append(
            f"| {name} | {values} (SD of each {sd:.1f} on average) | {text} | {formula} | `{function}` | {source} |"
        )
    return lines


def diagnosis(found: dict[str, Any], ill: dict[str, Any]) -> list[str]:
    """Lay out the probabilities beside the simulated patient's angiography."""
    low, high = found["interval"]
    lines = [
        "",
        "## Diagnosis",
        "",
        f"`{found['model']}`, `diagnosis.Classifier.classify` ([diagnosis](diagnosis.md)). ",
    ]
    lines[-1] += str(found["reason"] or "")
    lines += ["", "| probability of obstructive disease | value | truth, by angiography |", "|---|---|---|"]
    for vessel, value in found["per_vessel"].items():
        lines.append(f"| {vessel} | {value:.2f} | {'diseased' if ill[vessel] else 'free'} |")
    whole = f"{found['per_patient']:.2f} ({low:.2f} to {high:.2f}, the networks' spread)"
    return [*lines, f"| patient: the largest | {whole} | {'diseased' if ill['patient'] else 'free'} |"]


def page(folder: Path) -> str:
    """Write the page."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    truth = json.loads((folder / "simulated/truth.json").read_text(encoding="utf-8"))
    drawn = results["intervals"]
    command = results["provenance"]["command"]
    one = next(iter(drawn["scores"].values()))
    out = [
        "# A worked example",
        "",
        f"One **simulated** patient (`{command}`), every number that the report gives, its interval, the",
        "truth where the simulation knows it, and where the number comes from. Made by",
        "`python benchmarks/worked_example.py`; no number is typed. Intervals: "
        f"{one['draws']} draws of the raw counts, Student's",
        "quantile (see [quality](quality.md)).",
        "",
        "The way: raw views -> OSEM ([reconstruction](reconstruction.md)) -> the ventricle found and labelled",
        "([lv](lv.md)) -> polar maps ([polar](polar.md)) -> scores ([perfusion](perfusion.md)); gates -> moving wall",
        "([function](function.md)) -> phase ([synchrony](synchrony.md)).",
    ]
    for scan in results["scans"]:
        name, made = scan["name"], scan["reconstruction"] or {}
        out += [
            "",
            f"## {name.capitalize()}",
            "",
            f"{made.get('method')} {made.get('iterations')} x {made.get('subsets')}, {made.get('views')} views, "
            f"{made.get('frames')} gates, {made.get('counts', 0) / 1e6:.2f} million counts. Findings: "
            + (", ".join(f"`{f['code']}`" for f in scan["findings"]) or "none")
            + ".",
            "",
            *table(drawn[name], truth, str(scan["state"])),
        ]
    out += ["", "## Stress against rest", "", *table(drawn["scores"], truth, "stress")]
    limits = results["scores"]["normal_limits"]
    if limits:
        out += [
            "",
            f"Normal limits: {limits['name']}, version {limits['version']}, n = {limits['n']} (simulated normals).",
        ]
    if results["diagnosis"]:
        out += diagnosis(results["diagnosis"], truth["ica"])
    return "\n".join(out) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    PAGE.write_text(page(parser.parse_args().folder), encoding="utf-8")


if __name__ == "__main__":
    main()
