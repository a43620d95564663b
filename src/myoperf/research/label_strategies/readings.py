"""Readings of the reader study of Hajianfar et al. 2025: from a table of real readers, or simulated.

The paper compares four readings of the same patients with angiography: the summed segment scores of the expert who read
them at the time, a new reader alone, that reader shown the network's probabilities and saliency maps, and the network.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from myoperf.diagnosis.classifier import load_classifier
from myoperf.diagnosis.inputs import clinical_row
from myoperf.errors import InputError
from myoperf.phantom.labels import draw_reader, expert_scores
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import truth, truth_polar
from myoperf.research.label_strategies.cohort import draw_blurred
from myoperf.research.polar_classifier.cases import ANGLES, RINGS, SETS, PolarCases, draw_set
from myoperf.research.training.case_table import TableRow, read_table
from myoperf.segments import TERRITORIES, segment_means
from myoperf.types import VESSELS, Float

READINGS = ("expert scores", "reader alone", "reader with network", "network")
ABNORMAL_SCORE = 4
"""Summed score of a territory from which the expert calls it abnormal."""
_COLUMNS = {"reader alone": "alone", "reader with network": "helped", "network": "network"}
_TRUST = 0.5
"""Weight of the network's log odds in a simulated reader's mind, beside the reader's own."""
_SHARPNESS = 1.0
"""Log odds that one point of a territory's summed score above `ABNORMAL_SCORE` is worth to a simulated reader."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Readings:
    """What was read on the same patients.

    Attributes
    ----------
    patients
        (patients,) names.
    ica
        (patients, 3) 0 or 1 by angiography, LAD, LCX, RCA.
    called
        Reading -> (patients, 3) from 0 to 1, diseased at 0.5 or more; readers may give 0 and 1 alone. Summed scores
        s are s / (s + 4), which is 0.5 at the score from which a territory is abnormal.
    source
        "simulated readers" or "readers given with --data".
    sha256
        Of the data given; empty for simulated readers.
    """

    patients: NDArray[np.str_]
    ica: NDArray[np.int64]
    called: dict[str, Float]
    source: str
    sha256: str = ""


def from_scores(scores: NDArray[np.number]) -> Float:
    """Return what 17 segment scores (patients, 17) say of each artery, see `Readings.called`."""
    sums = np.stack([scores[:, [s - 1 for s in TERRITORIES[vessel]]].sum(axis=1) for vessel in VESSELS], axis=1)
    return np.asarray(sums / (sums + float(ABNORMAL_SCORE)), dtype=np.float64)


def read_readings(path: Path) -> Readings:
    """Read a table of real readings.

    Parameters
    ----------
    path
        CSV, a row a patient: patient; ica_LAD, ica_LCX, ica_RCA (0 or 1); score_1 to score_17 (the expert's stress
        scores, 0 to 4); alone_LAD ..., helped_LAD ... (a reader without and with the network: 0 or 1, or a confidence
        between); network_LAD ... (probabilities). Of the four readings, those whose columns are there are compared;
        all their cells must be filled.

    Raises
    ------
    InputError
        For a table that cannot be used, or with fewer than two readings.
    """
    needs = [f"ica_{vessel}".lower() for vessel in VESSELS]
    table = read_table(path, needs=needs, files=())
    columns = {"expert scores": [f"score_{k}" for k in range(1, 18)]}
    columns |= {name: [f"{word}_{v}".lower() for v in VESSELS] for name, word in _COLUMNS.items()}
    called: dict[str, Float] = {}
    for name in READINGS:
        there = [column for column in columns[name] if column in table.columns]
        if there and len(there) < len(columns[name]):
            lacking = next(column for column in columns[name] if column not in there)
            raise InputError(
                f"{table.name} lacks the column {lacking}, but has {there[0]}; a reading needs all of them."
            )
        if there:
            most = 4.0 if name == "expert scores" else 1.0
            values = np.array([[_value(row, column, most) for column in there] for row in table.rows])
            called[name] = from_scores(values) if name == "expert scores" else values
    if len(called) < 2:
        raise InputError(
            f"{table.name} holds {len(called)} readings; two or more of {', '.join(READINGS)} are compared."
        )
    ica = np.array([[row.label(column) for column in needs] for row in table.rows], dtype=np.int64)
    names = np.array([row.patient for row in table.rows])
    return Readings(patients=names, ica=ica, called=called, source="readers given with --data", sha256=table.sha256)


def _value(row: TableRow, column: str, most: float) -> float:
    value = row.number(column)
    if value is None or not 0.0 <= value <= most:
        raise InputError(f"{row.where}: {column} must be a number from 0 to {most:.0f}.")
    return value


def simulate_readings(patients: int, seed: int, folder: Path, *, imaged: bool, quiet: bool) -> Readings:
    """Simulate the four readings of patients with angiography.

    The expert and the new reader score the true uptake of the segments, each with errors of their own
    (`myoperf.phantom.labels.draw_reader`). The network is the shipped classifier of polar maps. With its help the
    reader adds half of its log odds to their own: a stand-in for how much a person might trust it, not a measurement.

    Parameters
    ----------
    imaged
        The network reads maps of simulated images, kept in the folder; otherwise the true perfusion, blurred.
    """
    plan = SETS["main"]
    cases = draw_set("main", patients, folder, quiet=quiet) if imaged else draw_blurred(patients, plan, seed)
    rng = np.random.default_rng([seed, 7])
    expert, new = [], []
    for key in cases.key.tolist():
        patient = draw_patient(np.random.default_rng(tuple(key)), plan.options)
        known = truth(patient)
        polar = truth_polar(patient, "stress", RINGS, ANGLES)
        uptake = segment_means(polar) / np.percentile(polar, 98.0)  # as the expert sees it
        expert.append(known.expert_scores["stress"])
        new.append(expert_scores(draw_reader(rng, patient.clinical.sex == "M"), "stress", uptake))
    alone = _log_odds_of_scores(np.asarray(new))
    network = _classify(cases)
    helped = alone + _TRUST * np.log(network / (1.0 - network))
    called = {
        "expert scores": from_scores(np.asarray(expert)),
        "reader alone": (alone >= 0).astype(np.float64),
        "reader with network": (helped >= 0).astype(np.float64),
        "network": network,
    }
    names = np.array([f"P{index:04d}" for index in range(len(cases.ica))])
    return Readings(patients=names, ica=cases.ica, called=called, source="simulated readers")


def _log_odds_of_scores(scores: NDArray[np.integer]) -> Float:
    """Return a simulated reader's log odds (patients, 3): 0 at the score from which a territory is abnormal."""
    sums = np.stack([scores[:, [s - 1 for s in TERRITORIES[vessel]]].sum(axis=1) for vessel in VESSELS], axis=1)
    return _SHARPNESS * (sums.astype(np.float64) - ABNORMAL_SCORE + 0.5)


def _classify(cases: PolarCases) -> Float:
    """Return the shipped classifier's probability of each artery, (patients, 3)."""
    classifier = load_classifier()
    mean, sd = classifier.constants["clinical_mean"], classifier.constants["clinical_sd"]
    clinical = np.stack([clinical_row(tuple(row), mean, sd) for row in cases.clinical.astype(np.float64)])
    read = classifier.read(cases.stress.astype(np.float64), cases.rest.astype(np.float64), clinical)
    return np.clip(np.asarray(read.probability, dtype=np.float64), 1e-4, 1.0 - 1e-4)
