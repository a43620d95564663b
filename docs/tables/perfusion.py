"""Tables of perfusion.md."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from myoperf.stats import delong_table, wilson_interval
from myoperf.types import VESSELS
from tables.layout import RESULTS, interval, markdown, read

VARIANTS = ("package", "found", "true")
STATES = ("stress", "rest")
ABNORMAL_TPD_PERCENT = 5.0


def correlation(x: Any, y: Any) -> str:
    """Write Pearson's r with its interval by Fisher's transform."""
    r, half = float(np.corrcoef(x, y)[0, 1]), 1.96 / np.sqrt(len(x) - 3)
    return interval(r, *np.tanh(np.arctanh(min(r, 1 - 1e-12)) + np.array([-half, half])))


def area(truth: Any, values: Any) -> str:
    """Write the area under the ROC curve with DeLong's interval."""
    table = delong_table(np.asarray(truth, dtype=int), np.asarray(values, dtype=float))
    around = table.interval(0)
    return interval(table.auc[0], around.lo, around.hi)


def share(hits: Any) -> str:
    """Write a share in percent with Wilson's interval."""
    count, n = int(np.sum(hits)), len(hits)
    ends = wilson_interval(count, n)
    return f"{100 * count / n:.1f} % ({100 * ends.lo:.1f} to {100 * ends.hi:.1f}), {count} of {n}"


def simulated() -> str:
    """Return how perfusion scores agree with the truth and with angiography, for each ventricle and set of limits."""
    table = read("perfusion_simulated")
    ill, normal = table[table["set"] == "patients"], table[table["set"] == "normals"]
    rows: list[list[str]] = []

    def add(name: str, make: Any, *columns: str, of: pd.DataFrame) -> None:
        cells = [name]
        for variant in VARIANTS:
            wanted = [c if c in of else f"{c}_{variant}" for c in columns]
            known = of.dropna(subset=wanted)
            cells.append(make(*(known[c] for c in wanted)))
        rows.append(cells)

    saturated = ill["extent_stress_known"] > 75
    add("stress TPD, true extent up to 75 %, r", correlation, "tpd_stress_known", "tpd_stress", of=ill[~saturated])
    for state in STATES:
        for word, known, measured in (
            ("TPD against the true one", "tpd", "tpd"),
            ("extent against the true one", "extent", "extent"),
            ("TPD against the true extent", "extent", "tpd"),
        ):
            add(f"{state} {word}, r", correlation, f"{known}_{state}_known", f"{measured}_{state}", of=ill)
    for number, word in (("tpd_stress", "stress TPD"), ("sss", "SSS"), ("sds", "SDS")):
        add(f"any diseased vessel by {word}, area", area, "ica_any", number, of=ill)
    for vessel in VESSELS:
        for number in ("tpd", "sss"):
            name = f"{vessel} by its territory's {number.upper()}, area"
            add(name, area, f"ica_{vessel}", f"{number}_{vessel}", of=ill)
    for state in STATES:
        name = f"new normals with {state} TPD >= 5 %"
        add(name, lambda x: share(x >= ABNORMAL_TPD_PERCENT), f"tpd_{state}", of=normal)
    add("new normals with SSS >= 4", lambda x: share(x >= 4), "sss", of=normal)
    head = ("number", "found ventricle, package's limits", "found ventricle, own limits", "true ventricle, own limits")
    known = ill.dropna(subset=["tpd_stress_known"])
    return (
        f"{len(ill)} patients ({int(ill['ica_any'].sum())} with a diseased vessel) and {len(normal)} new normals, "
        f"all simulated.\n\n{markdown(head, rows)}\n\n"
        "Own limits are made from the new normals by sex; a normal is scored against those made without it. "
        f"{int(saturated.sum())} of the {len(ill)} have a true extent above 75 % at stress.\n\n"
        "What a measurement without error would reach: true stress TPD against true extent, "
        f"r = {correlation(known['extent_stress_known'], known['tpd_stress_known'])} "
        "(a mild wide defect and a deep small one differ in one and not in the other); any diseased vessel by the "
        f"true stress TPD, area {area(known['ica_any'], known['tpd_stress_known'])}.\n\n"
        f"No ventricle was found in {int(table['tpd_stress_found'].isna().sum())} of {len(table)} at stress."
    )


KINDS = {"plain": "without CT", "ct": "with CT"}
WIDE_EXTENT_PERCENT, FALSE_ALARMS = 10.0, 0.05


def physics() -> str:
    """Return TPD against the truth in patients simulated by full physics, without and with their CT."""
    if not (RESULTS / "perfusion_physics.csv").is_file():
        return "Not measured yet: `python benchmarks/perfusion_physics.py` writes the figures."
    table = read("perfusion_physics")
    done = table[table["failed"].isna()] if "failed" in table else table
    ill, normal, three = (done[done["set"] == name] for name in ("patients", "normals", "three-vessel"))
    rows: list[list[str]] = []

    def add(name: str, make: Any, of: pd.DataFrame) -> None:
        rows.append([name, *(make(of.dropna(subset=[f"tpd_stress_{kind}"]), kind) for kind in KINDS)])

    add(
        "stress TPD against the true one, r", lambda t, k: correlation(t["known_tpd_stress"], t[f"tpd_stress_{k}"]), ill
    )
    add("slope", lambda t, k: f"{np.polyfit(t['known_tpd_stress'], t[f'tpd_stress_{k}'], 1)[0]:.2f}", ill)
    add("rest TPD against the true one, r", lambda t, k: correlation(t["known_tpd_rest"], t[f"tpd_rest_{k}"]), ill)
    wide = ill[ill["known_extent_stress"] >= WIDE_EXTENT_PERCENT]
    add(
        f"found of those with an extent of {WIDE_EXTENT_PERCENT:.0f} % or more, at 5 % of these normals",
        lambda t, k: share(t[f"tpd_stress_{k}"] > normal[f"tpd_stress_{k}"].quantile(1 - FALSE_ALARMS)),
        wide,
    )
    add(
        "the same, called abnormal by the verdict",
        lambda t, k: share(t[f"category_{k}"].str.endswith("abnormal")),
        wide,
    )
    disease = pd.concat([ill, normal])
    add(
        "extent of 10 % or more by stress TPD, area",
        lambda t, k: area(t["known_extent_stress"] >= WIDE_EXTENT_PERCENT, t[f"tpd_stress_{k}"]),
        disease,
    )
    add("new normals called abnormal", lambda t, k: share(t[f"category_{k}"].str.endswith("abnormal")), normal)
    add("new normals with another warning", lambda t, k: share(t[f"warned_{k}"] > 0), normal)
    add("severe disease of three vessels called normal", lambda t, k: share(t[f"category_{k}"] == "normal"), three)
    limits = sorted({str(v) for kind in KINDS for v in done[f"limits_stress_{kind}"].dropna().unique()})
    return (
        f"{len(ill)} patients, {len(normal)} new normals and {len(three)} with severe disease of three vessels, all "
        f"simulated; {len(table) - len(done)} not analysed.\n\n{markdown(('number', *KINDS.values()), rows)}\n\n"
        f"{_gain(ill, normal)} Limits: {', '.join(limits)}."
    )


def _gain(ill: pd.DataFrame, normal: pd.DataFrame, draws: int = 2000) -> str:
    """Return what the CT adds to r and to sensitivity in the same patients, with bootstrap intervals."""
    pair = ["tpd_stress_plain", "tpd_stress_ct"]
    held = ill.dropna(subset=pair)[["known_tpd_stress", "known_extent_stress", *pair]].to_numpy(float)
    well = normal.dropna(subset=pair)[pair].to_numpy(float)

    def gains(patients: Any, normals: Any) -> tuple[float, float]:
        known, extent, plain, with_ct = patients.T
        r = np.corrcoef(known, with_ct)[0, 1] - np.corrcoef(known, plain)[0, 1]
        cut = np.quantile(normals, 1 - FALSE_ALARMS, axis=0)
        found = (patients[extent >= WIDE_EXTENT_PERCENT][:, 2:] > cut).mean(axis=0)
        return float(r), float(100 * (found[1] - found[0]))

    rng = np.random.default_rng(0)
    drawn = [
        gains(held[rng.integers(len(held), size=len(held))], well[rng.integers(len(well), size=len(well))])
        for _ in range(draws)
    ]
    r, found = zip(gains(held, well), *np.percentile(drawn, (2.5, 97.5), axis=0), strict=True)
    return f"Gain by the CT, paired: {interval(*r)} in r, {interval(*found, '.1f')} points of that sensitivity."


def normal_limits() -> str:
    """Return how many new patients of each protocol are called abnormal by its own limits and by those of SPECT."""
    rows, called = [], []
    for name, (kind, part) in _protocols().items():
        normal, three = (part[part["set"] == of] for of in ("normals", "three-vessel"))
        abnormal = normal[f"category_{kind}"].dropna().str.endswith("abnormal")
        called.append(abnormal)
        warned = share(normal[f"warned_{kind}"].dropna() > 0)
        missed = share(three[f"category_{kind}"] == "normal") if len(three) else ""
        elsewhere = share(normal["category_spect"].dropna().str.endswith("abnormal")) if kind == "own" else ""
        rows.append([name, share(abnormal), warned, elsewhere, missed])
    rows.append(["all", share(pd.concat(called)), "", "", ""])
    head = ("normals called abnormal", "warned of", "abnormal by SPECT's limits", "three-vessel disease called normal")
    return markdown(("protocol", *head), rows)


def _protocols() -> dict[str, tuple[str, pd.DataFrame]]:
    """Return the patients of each protocol, and how the columns with its own limits end."""
    out: dict[str, tuple[str, pd.DataFrame]] = {}
    if (RESULTS / "perfusion_physics.csv").is_file():
        full = read("perfusion_physics")
        of = full[full["set"].isin(("normals", "three-vessel"))]
        out |= {"Tc-99m, full physics": ("plain", of), "the same with a CT": ("ct", of)}
        for name, title in (("half-dose", "the same, half the dose"), ("prone", "the same, prone")):
            if (part := full[full["set"] == name].assign(set="normals")).size:
                out[title] = ("plain", part)
        sets = {"thallium": "normals", "thallium-three-vessel": "three-vessel"}
        thallium = full[full["set"].isin(sets)]
        out["Tl-201, full physics"] = ("plain", thallium.assign(set=thallium["set"].map(sets)))
    for protocol, part in read("normal_limits").groupby("protocol", sort=False):
        out[PROTOCOLS[str(protocol)]] = ("own", part)
    return out


PROTOCOLS = {"czt": "Tc-99m, CZT", "czt-prone": "Tc-99m, CZT, prone", "rb82": "Rb-82", "n13": "N-13"}
