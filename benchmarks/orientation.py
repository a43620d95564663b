"""Whether a wrong orientation is noticed: real and simulated volumes as they are, and with axes of the body exchanged.

    python benchmarks/orientation.py ../shared/real --untouched            every volume as it is
    python benchmarks/orientation.py ../shared/real --every 8              every eighth in all seven wrong orientations
    python benchmarks/orientation.py ../shared/real --heart-only --every 8 counts outside the labelled heart set to 0
    python benchmarks/orientation.py ... --minutes 30 --seed 16101 --patients 20

Sets: the open real volumes, hearts of the independent family (development), simulated patients by full physics
(reconstructed without corrections). Only the volume's affine is changed, as a file with wrong fields would: three
mirrors, three turns by 180 degrees, and all three axes at once. The ventricle is found as `analyze` finds it. One row a
volume and orientation in ``docs/results/orientation.csv``; goes on where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from myoperf.errors import MyoPerfError
from myoperf.geometry import transform_points
from myoperf.io import read_studies
from myoperf.lv import check_pose, pose_refused
from myoperf.phantom.acquire import Protocol, acquire
from myoperf.phantom.independent import draw_heart
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions
from myoperf.pipeline import load_models
from myoperf.quality.checks import check_orientation
from myoperf.recon import reconstruct
from myoperf.types import Volume

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/orientation.csv"
KEPT = ROOT / "runs/orientation"
SIGNS = list(itertools.product((1, -1), repeat=3))
NAMES = ("left-right", "front-back", "head-feet")
OF_POSE = ("pose-implausible", "orientation-implausible", "orientation-doubt", "check-orientation", "lv-uncertain")


def name_of(signs: tuple[int, ...]) -> str:
    """Return the name of an orientation: which axes run the wrong way."""
    return " + ".join(name for name, sign in zip(NAMES, signs, strict=True) if sign < 0) or "as it is"


def exchanged(volume: Volume, signs: tuple[int, ...]) -> Volume:
    """Return a volume whose affine runs the wrong way along some of the patient's axes."""
    middle = transform_points(volume.lps_from_index, 0.5 * (np.array(volume.grid_shape) - 1))
    turn = np.diag([*signs, 1]).astype(np.float64)
    turn[:3, 3] = middle - np.array(signs) * middle
    return Volume(volume.array, turn @ volume.lps_from_index)


def simulated(seed: int, number: int) -> Volume:
    """Return the stress image of a simulated patient, from the folder of this benchmark where it is there."""
    path = KEPT / f"patient-{seed}-{number:03d}.npz"
    if not path.exists():
        rng = np.random.default_rng([seed, number])
        patient = draw_patient(rng, PopulationOptions(normal=number % 4 == 0))
        image = reconstruct(acquire(patient, "stress", rng, Protocol(gates=1)).projections).volume.summed()
        KEPT.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, array=image.array, affine=image.lps_from_index)
    with np.load(path) as stored:
        return Volume(stored["array"], stored["affine"])


def independent(number: int) -> Volume:
    """Return a heart of the independent family, from the folder of this benchmark where it is there."""
    path = KEPT / f"independent-{number:03d}.npz"
    if not path.exists():
        image = draw_heart(number).study.scans[0].image
        assert isinstance(image, Volume)
        KEPT.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, array=image.summed().array, affine=image.lps_from_index)
    with np.load(path) as stored:
        return Volume(stored["array"], stored["affine"])


def real(path: Path) -> Volume:
    image = read_studies([path]).studies[0].scans[0].image
    assert isinstance(image, Volume)
    return image.summed()


def volumes(folder: Path, seed: int, patients: int, hearts: int, every: int) -> Iterator[tuple[str, str, Volume]]:
    """Yield set, name and volume, the sets in turns."""
    files = sorted((folder / "physionet_mps/dicom").glob("*.dcm"))
    of_set: dict[str, list[tuple[str, Callable[[], Volume]]]] = {
        "real": [(f.stem, lambda f=f: real(f)) for f in files],  # type: ignore[misc]
        "independent": [(f"{i}", lambda i=i: independent(i)) for i in range(hearts)],  # type: ignore[misc]
        "simulated": [(f"{seed}-{i}", lambda i=i: simulated(seed, i)) for i in range(patients)],  # type: ignore[misc]
    }
    for row in itertools.zip_longest(*(members[::every] for members in of_set.values())):
        for kind, member in zip(of_set, row, strict=True):
            if member is not None:
                yield kind, member[0], member[1]()


def judge(volume: Volume, find: Callable[[Volume], object]) -> dict[str, object]:
    """Find the ventricle and check its pose, as `analyze` does."""
    start = time.process_time()
    try:
        fit = find(volume)
    except MyoPerfError:
        return {"refused": True, "warned": True, "codes": "refused"}
    between = time.process_time()
    found = (*fit.findings, *check_pose(volume, fit))  # type: ignore[attr-defined]
    seconds = time.process_time() - between
    codes = [one.code for one in (*found, *check_orientation(fit.frame)) if one.severity != "info"]  # type: ignore[attr-defined]
    return {
        "refused": pose_refused(found),
        "warned": any(code in OF_POSE for code in codes),
        "codes": " ".join(dict.fromkeys(codes)),
        "cavity_ml": round(fit.labels.label_ml(2), 1),  # type: ignore[attr-defined]
        "seconds_find": round(between - start, 2),
        "seconds_check": round(seconds, 2),
    }


def heart_only(volume: Volume, find: Callable[[Volume], object]) -> Volume:
    """Return a volume without counts outside the labelled heart, widened by 8 mm."""
    labels = find(volume).labels.array[0] > 0  # type: ignore[attr-defined]
    near = ndimage.distance_transform_edt(~labels, sampling=volume.spacing_mm) <= 8.0
    return volume.with_array(np.where(near, volume.array[0], 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--untouched", action="store_true")
    parser.add_argument("--heart-only", action="store_true")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=16101)
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--hearts", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=30.0)
    given = parser.parse_args()
    find, start = load_models(diagnosis=False).find_lv, time.monotonic()
    rows = pd.read_csv(TABLE, dtype={"volume": str}).to_dict("records") if TABLE.exists() else []
    there = {(row["set"], row["volume"], row["orientation"]) for row in rows}
    wanted = ["heart alone"] if given.heart_only else [name_of(s) for s in (SIGNS[:1] if given.untouched else SIGNS)]
    for kind, name, volume in volumes(given.folder, given.seed, given.patients, given.hearts, given.every):
        for orientation in wanted:
            if (kind, name, orientation) in there or time.monotonic() - start > 60.0 * given.minutes:
                continue
            signs = next((one for one in SIGNS if name_of(one) == orientation), None)
            shown = heart_only(volume, find) if signs is None else exchanged(volume, signs)
            rows.append({"set": kind, "volume": name, "orientation": orientation} | judge(shown, find))
        write(rows)


def write(rows: list[dict[str, object]]) -> None:
    """Write the table, sorted."""
    columns = [
        "set",
        "volume",
        "orientation",
        "refused",
        "warned",
        "codes",
        "cavity_ml",
        "seconds_find",
        "seconds_check",
    ]
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (str(row["set"]), str(row["volume"]), str(row["orientation"]))))


if __name__ == "__main__":
    main()
