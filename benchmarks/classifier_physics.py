"""The shipped classifier of polar maps on simulated patients by full physics, which it did not learn from.

    python benchmarks/perfusion_physics.py measure --set classifier --seed 9735 --count 600
    python benchmarks/classifier_physics.py

The classifier learned from a fast image-space model. Here views are simulated by full physics (Tc-99m, no CT), written
as DICOM, read, reconstructed and analysed as by ``analyze``. TPD and SSS are by the package's limits, which were made
from other patients of full physics. One row a patient in ``docs/results/classifier_physics.csv``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from myoperf.diagnosis import load_classifier
from myoperf.diagnosis.classifier import Classifier
from myoperf.research.polar_classifier.cases import clinical_values
from myoperf.research.polar_classifier.training import rows_of
from myoperf.types import VESSELS
from perfusion_physics import ROOT, RUNS, SEEDS, patients_of, scores_of

TABLE = ROOT / "docs" / "results" / "classifier_physics.csv"
NAME = "classifier"


def row_of(classifier: Classifier, path: Path, clinical: tuple[float, ...]) -> dict[str, Any] | None:
    """Return a patient's labels, readings and scores; None where a ventricle was not found."""
    with np.load(path, allow_pickle=False) as file:
        stored = {name: file[name] for name in file if name != "verdict"}
    row: dict[str, Any] = {"patient": int(path.stem.rsplit("-", 1)[1]), "version": classifier.card["version"]}
    row |= {f"ica_{vessel}": int(stored[f"ica_{vessel}"]) for vessel in VESSELS}
    if not {"stress_plain", "rest_plain"} <= set(stored):
        return None
    maps = (stored[f"{state}_plain"][None].astype(np.float64) for state in ("stress", "rest"))
    reading = classifier.read(*maps, rows_of(np.asarray([clinical]), classifier.constants))
    row |= {f"probability_{vessel}": p for vessel, p in zip(VESSELS, reading.probability[0], strict=True)}
    row |= {"probability": reading.per_patient[0], "abstained": int(reading.distance[0] > 1.0)}
    scores = scores_of(stored, "plain", NAME)
    return row | {"tpd": scores["tpd_stress_plain"], "sss": scores["sss_plain"]}


def main() -> None:
    """Read every patient who was measured."""
    classifier = load_classifier()
    paths = sorted(RUNS.glob(f"{NAME}-{SEEDS[NAME]}-*.npz"))
    patients = patients_of(NAME, SEEDS[NAME], len(paths))
    rows = [
        row_of(classifier, path, clinical_values(patient)) for path, (_, patient) in zip(paths, patients, strict=True)
    ]
    read = [row for row in rows if row is not None]
    pd.DataFrame(read).to_csv(TABLE, index=False, float_format="%.4g")
    print(f"{len(read)} of {len(rows)} patients in {TABLE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
