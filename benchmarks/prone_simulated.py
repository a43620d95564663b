"""Prone against supine imaging of the same simulated normal patients: what each wall gains, against a published study.

    python benchmarks/prone_simulated.py measure --count 60
    python benchmarks/prone_simulated.py table

``measure`` simulates a stress scan of full physics of each patient on the back and on the belly, reconstructs both and
unrolls them on the true pose and labels. ``table`` compares the walls at mid-ventricle, relative to the profile's
maximum as in Clin Nucl Med 1995;20:678 (doi:10.1097/00003072-199508000-00003), whose 99 men had few inferior counts
supine: here the half of the men with the fewest. It writes ``docs/results/prone_simulated.csv``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from myoperf.geometry import index_from_lps, rotate_frame
from myoperf.phantom.acquire import Protocol, acquire, scanner_from_patient
from myoperf.phantom.population import draw_patient
from myoperf.phantom.prone import lay_prone
from myoperf.phantom.records import Grid, PopulationOptions
from myoperf.phantom.voxelise import label_volume
from myoperf.polar import sample_polar_map
from myoperf.recon import reconstruct
from myoperf.segments import segment_means
from myoperf.types import Volume
from reconstruction_pairs import keep_arrays, stored_arrays

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "prone"
SEED = 9721
SUPINE = Protocol(gates=1, motion_probability=0.0, couch=True)
POSITIONS = {"supine": SUPINE, "prone": replace(SUPINE, position="prone")}
WALLS = {"anterior": (7,), "septal": (8, 9), "inferior": (10,), "lateral": (11, 12)}
"""Segments of the mid-ventricle."""
PUBLISHED = {"anterior": -4.0, "septal": 7.0, "inferior": 11.0, "lateral": -3.0}


def measure_case(index: int) -> dict[str, Any]:
    """Return the segments of one normal patient, supine and prone, in percent of the mid-ventricle's maximum."""
    rng = np.random.default_rng([SEED, index])
    patient = draw_patient(rng, PopulationOptions(normal=True, male=0.7))
    lying = {"supine": patient, "prone": lay_prone(patient, rng)}
    out: dict[str, Any] = {"sex": patient.clinical.sex}
    for name, protocol in POSITIONS.items():
        volume = reconstruct(
            acquire(lying[name], "stress", np.random.default_rng([SEED, index, 1]), protocol).projections
        ).volume
        place = scanner_from_patient(patient)
        inside = Grid(volume.grid_shape, index_from_lps(place) @ volume.lps_from_index)
        labels = Volume(label_volume(patient, inside, "stress"), volume.lps_from_index)
        values = sample_polar_map(volume, labels, rotate_frame(patient.frame, place)).maximum.values
        segments = segment_means(values)
        out[name] = 100.0 * segments / segments[6:12].max()
    return out


def table() -> None:
    """Write a row a group and wall."""
    cases = pd.DataFrame(stored_arrays(RUNS, "case").values())
    walls = {
        wall: {p: np.array([case[[s - 1 for s in of]].mean() for case in cases[p]]) for p in POSITIONS}
        for wall, of in WALLS.items()
    }
    men = (cases.sex.astype(str) == "M").to_numpy()
    few = men & (walls["inferior"]["supine"] <= np.median(walls["inferior"]["supine"][men]))
    rows = []
    for group, chosen in (("men, few inferior counts", few), ("men", men), ("women", ~men)):
        for wall, values in walls.items():
            change = 100.0 * (values["prone"] / values["supine"] - 1.0)[chosen]
            half = 1.96 * change.std(ddof=1) / np.sqrt(change.size)
            row: dict[str, Any] = {
                "group": group,
                "wall": wall,
                "n": change.size,
                "supine": values["supine"][chosen].mean(),
            }
            row |= {"prone": values["prone"][chosen].mean(), "change": change.mean()}
            row |= {"change_lo": change.mean() - half, "change_hi": change.mean() + half}
            rows.append(row | {"published": PUBLISHED[wall] if chosen is few else np.nan})
    pd.DataFrame(rows).to_csv(ROOT / "docs/results/prone_simulated.csv", index=False, float_format="%.3g")
    print(pd.DataFrame(rows).round(1).to_string(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("measure", "table"))
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=30.0)
    given = parser.parse_args()
    if given.step == "table":
        table()
        return
    keep_arrays({RUNS / f"case-{index:04d}.npz": index for index in range(given.count)}, measure_case, given.minutes)


if __name__ == "__main__":
    main()
