"""The anterior direction by the direction to the head, by the right ventricle and by both, beside the truth.

    python benchmarks/anterior.py ../shared/real --hearts 60 --patients 30 --minutes 30

Independent hearts (development) and simulated patients (full physics, another seed than any that was developed on) have
a true direction; in the open real volumes only the angle between the two estimates is known. The ventricle is found as
``analyze`` finds it. Goes on where it stopped; one row a volume in ``docs/results/anterior.csv``.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from myoperf.errors import MyoPerfError
from myoperf.geometry import anterior_direction, transform_points
from myoperf.io import read_studies
from myoperf.phantom.acquire import Protocol, acquire, scanner_from_patient
from myoperf.phantom.independent import draw_heart
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import PopulationOptions
from myoperf.pipeline import load_models
from myoperf.pipeline.anterior import turn_to_septum
from myoperf.polar import estimate_anterior, fit_surface, turn_anterior
from myoperf.recon import reconstruct
from myoperf.types import LVFrame, Volume

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/anterior.csv"
COLUMNS = ("set", "volume", "head_error_deg", "right_ventricle_error_deg", "analyze_error_deg")
COLUMNS += ("turn_deg", "rise", "seen", "axis_error_deg")
MODELS = load_models()


def simulated(seed: int, number: int) -> tuple[Volume, LVFrame]:
    """Return the stress image of a simulated patient and its true pose, in the scanner's space."""
    rng = np.random.default_rng([seed, number])
    patient = draw_patient(rng, PopulationOptions(normal=number % 4 == 0))
    image = reconstruct(acquire(patient, "stress", rng, Protocol(gates=1)).projections).volume.summed()
    moved, frame = scanner_from_patient(patient), patient.frame
    apex, base = transform_points(moved, np.stack([frame.apex_mm, frame.base_mm]))
    return image, LVFrame(apex, base, moved[:3, :3] @ frame.anterior)


def independent(number: int) -> tuple[Volume, LVFrame]:
    """Return the image and the true pose of an independent heart of the development series."""
    drawn = draw_heart(number)
    image = drawn.study.scans[0].image
    assert isinstance(image, Volume)
    return image.summed(), drawn.frame


def real(path: Path) -> tuple[Volume, None]:
    """Return an open real volume."""
    image = read_studies([path]).studies[0].scans[0].image
    assert isinstance(image, Volume)
    return image.summed(), None


def roll_deg(frame: LVFrame, true: LVFrame) -> float:
    """Return how far the true anterior direction is turned from a frame's, towards the septum."""
    return float(np.degrees(np.arctan2(true.anterior @ frame.septal, true.anterior @ frame.anterior)))


def measure(volume: Volume, true: LVFrame | None) -> dict[str, object]:
    """Return the row of one volume."""
    fit = MODELS.find_lv(volume)
    head = LVFrame(fit.frame.apex_mm, fit.frame.base_mm, anterior_direction(fit.frame.axis))
    found = estimate_anterior(volume, fit_surface(fit.labels, head))
    row: dict[str, object] = {"turn_deg": round(found.turn_deg, 1), "rise": round(found.rise, 3), "seen": found.seen}
    if true is not None:
        row["head_error_deg"] = round(roll_deg(head, true), 1)
        row["right_ventricle_error_deg"] = round(roll_deg(turn_anterior(head, found.turn_deg), true), 1)
        row["analyze_error_deg"] = round(roll_deg(turn_to_septum((volume, fit))[0].frame, true), 1)
        row["axis_error_deg"] = round(float(np.degrees(np.arccos(np.clip(head.axis @ true.axis, -1, 1)))), 1)
    return row


def wanted(given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield set and name of every volume, the sets in turns."""
    files = [path.stem for path in sorted((given.folder / "physionet_mps/dicom").glob("*.dcm"))]
    names = ([f"{given.seed}-{i}" for i in range(given.patients)], [f"{i}" for i in range(given.hearts)], files)
    for row in itertools.zip_longest(*names):
        yield from ((s, n) for s, n in zip(("simulated", "independent", "real"), row, strict=True) if n is not None)


def load(given: argparse.Namespace, kind: str, name: str) -> tuple[Volume, LVFrame | None]:
    """Return a volume and its true pose."""
    if kind == "simulated":
        seed, number = name.split("-")
        return simulated(int(seed), int(number))
    return independent(int(name)) if kind == "independent" else real(given.folder / f"physionet_mps/dicom/{name}.dcm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=16301)
    parser.add_argument("--patients", type=int, default=30)
    parser.add_argument("--hearts", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=30.0)
    given = parser.parse_args()
    rows = list(csv.DictReader(TABLE.open(encoding="utf-8"))) if TABLE.exists() else []
    there, start = {(row["set"], row["volume"]) for row in rows}, time.monotonic()
    for kind, name in wanted(given):
        if (kind, name) in there or time.monotonic() - start > 60.0 * given.minutes:
            continue
        row = {"set": kind, "volume": name}
        try:
            rows.append(row | measure(*load(given, kind, name)))  # type: ignore[arg-type]
        except MyoPerfError as error:
            print(kind, name, error)
        with TABLE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(sorted(rows, key=lambda one: (one["set"], one["volume"])))


if __name__ == "__main__":
    main()
