"""Tables of docs/valve-plane.md."""

import numpy as np
import pandas as pd

from tables.layout import markdown, read

_WAYS = {"before": "labels' end (before)", "after": "wall's end (now)", "ceiling": "true end (ceiling)"}
_BASAL = range(1, 7)


def _segments(table: pd.DataFrame, way: str, numbers: range = _BASAL) -> pd.Series:
    return pd.concat([table[f"segment_{number}_{way}"] for number in numbers])


def _interval(values: pd.Series, hearts: pd.Series) -> tuple[float, float]:
    """Return the 95 % interval of a mean, by a bootstrap over hearts."""
    rng = np.random.default_rng(0)
    means = values.groupby(hearts).mean().to_numpy()
    drawn = rng.choice(means, (2000, means.size)).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def errors() -> str:
    """Errors of the ends and of the basal segments by set of hearts and way of ending."""
    table = read("valve_plane").dropna(subset=["basal_true"])
    rows = []
    for hearts, part in table.groupby("hearts"):
        for way, name in _WAYS.items():
            basal, septal = _segments(part, way), _segments(part, way, range(2, 4))
            mean = basal.groupby(level=0).mean()
            low, high = _interval(mean, part.number)
            end = part[f"end_mm_{way}"]
            rows.append(
                [
                    f"{hearts} ({part.number.nunique()} hearts, {len(part)} scans)",
                    name,
                    f"{end.mean():+.1f} ({end.std():.1f})",
                    f"{part[f'end_rms_mm_{way}'].mean():.1f}",
                    f"{basal.mean():+.1f} ({low:+.1f} to {high:+.1f}); SD {basal.std():.1f}",
                    f"{septal.mean():+.1f}; SD {septal.std():.1f}",
                    f"{100 * (basal.abs() > 8).mean():.0f} %",
                ]
            )
    head = ["hearts", "map ends at", "end, mm: mean (SD)", "end round the axis, mm: RMS"]
    head += ["basal segments, points: mean (95 % interval)", "septal two of them", "farther off than 8 points"]
    return markdown(head, rows)


def real() -> str:
    """Lengths and basal segments of the real volumes."""
    table = read("valve_plane_real")
    rows = []
    for way in ("before", "after"):
        septal = table[[f"segment_{number}_{way}" for number in (2, 3)]].to_numpy()
        others = table[[f"segment_{number}_{way}" for number in (1, 4, 5, 6)]].to_numpy()
        darker = (septal.mean(axis=1) < 0.7 * others.mean(axis=1)).sum()
        rows.append(
            [
                _WAYS[way],
                len(table),
                f"{table[f'length_mm_{way}'].mean():.0f} ({table[f'length_mm_{way}'].std():.0f})",
                f"{septal.mean():.0f} (lowest {septal.min():.0f})",
                f"{others.mean():.0f}",
                f"{darker} of {len(table)}",
            ]
        )
    head = ["map ends at", "volumes", "length, mm: mean (SD)", "basal septal segments, % of maximum"]
    head += ["other basal segments", "septal two more than 30 % below the other four"]
    return markdown(head, rows)


def pairs() -> str:
    """Lengths of the volumes of patients with stress and rest."""
    table = read("valve_plane_real")
    table = table[table.file.str.match(r"P\d+_")]
    patient, scan = table.file.str.split("_", n=1, expand=True).T.to_numpy()
    rows = []
    for name in sorted(set(patient)):
        own = table[patient == name]
        kinds = scan[patient == name]
        if not any("Stress" in kind for kind in kinds) or not any("Rest" in kind for kind in kinds):
            continue
        for kind, row in zip(kinds, own.to_dict("records"), strict=True):
            rows.append([name, kind, f"{row['length_mm_before']:.0f}", f"{row['length_mm_after']:.0f}"])
    return markdown(["patient", "volume", "length by labels' end, mm", "by wall's end, each alone"], rows)


def normals() -> str:
    """Scores of simulated normal patients against the limits of the package, before and now."""
    table = read("valve_plane_normals")
    rows = []
    for way, name in (("before", _WAYS["before"]), ("after", _WAYS["after"])):
        stress, rest = table[f"tpd_stress_percent_{way}"], table[f"tpd_rest_percent_{way}"]
        ratio = table[f"length_ratio_{way}"]
        rows.append(
            [
                name,
                f"{stress.mean():.1f} ({stress.std():.1f})",
                f"{rest.mean():.1f} ({rest.std():.1f})",
                f"{int((stress >= 5).sum())} of {len(table)}",
                f"{int((table[f'sss_{way}'] >= 4).sum())} of {len(table)}",
                f"{table[f'sss_{way}'].mean():.1f}",
                f"{table[f'basal_stress_{way}'].mean():.0f}",
                f"{int((np.maximum(ratio, 1 / ratio) > 1.1).sum())} of {len(table)}",
            ]
        )
    head = ["map ends at", "stress TPD, %: mean (SD)", "rest TPD, %", "stress TPD 5 % or more", "SSS 4 or more"]
    head += ["SSS, mean", "basal segments, % of maximum", "lengths of stress and rest over a tenth apart"]
    return markdown(head, rows)
