"""The shipped polar-map classifier: a calibrated ensemble that abstains on maps unlike those it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from scipy.special import expit

from myoperf.cards import read_weights
from myoperf.diagnosis.explain import occlusion_map
from myoperf.diagnosis.inputs import clinical_row, on_grid, scale_maps
from myoperf.diagnosis.network import CLINICAL, PolarNetwork, network_input
from myoperf.errors import InputError
from myoperf.types import VESSELS, Diagnosis, Float, ScanResult, Study

NAME = "polar-classifier"


def calibrate(constants: Mapping[str, Float], logits: Float, suffix: str = "") -> Float:
    """Turn log odds (..., 3) into probabilities by one line per vessel, or by isotonic curves if there are any.

    Parameters
    ----------
    constants
        ``slope`` and ``offset`` (3,), or ``knots`` (k,) and ``isotonic`` (3, k); each name ends in `suffix`.
    """
    if f"isotonic{suffix}" in constants:
        knots, curves = constants[f"knots{suffix}"], constants[f"isotonic{suffix}"]
        return np.stack([np.interp(logits[..., v], knots, curve) for v, curve in enumerate(curves)], axis=-1)
    odds = constants[f"slope{suffix}"] * logits + constants[f"offset{suffix}"]
    return np.asarray(expit(odds))


def subspace_distances(constants: Mapping[str, Float], stress: Float) -> Float:
    """Measure how far scaled stress maps (B, rings, angles) lie from the training maps, (2, B).

    The first is the Mahalanobis distance in the space of the main components; the second is the root mean square of
    what the components leave over.
    """
    centred = (stress - constants["normal_stress"]).reshape(len(stress), -1)
    scores = centred @ constants["components"].T
    inside = np.sqrt((scores**2 / constants["variance"]).sum(axis=1))
    left = np.sqrt(((centred - scores @ constants["components"]) ** 2).mean(axis=1))
    return np.stack([inside, left])


@dataclass(frozen=True, eq=False)
class Reading:
    """The ensemble's answer for a batch.

    Attributes
    ----------
    probability
        (B, 3) calibrated; LAD, LCX, RCA.
    members
        (networks, B, 3) calibrated probability of each network.
    distance
        (B,): distance from the training maps in units of the abstention limit; abstain above 1.
    """

    probability: Float
    members: Float
    distance: Float

    @property
    def per_patient(self) -> Float:
        """The largest of the three, (B,), as Hajianfar et al. 2025 define it (doi:10.1007/s00259-025-07145-x)."""
        return np.asarray(self.probability.max(axis=1))


@dataclass(frozen=True, eq=False)
class Classifier:
    """The ensemble with its calibration, normal maps and abstention rule.

    Attributes
    ----------
    networks
        Its members.
    constants
        ``normal_stress``, ``normal_rest`` (rings, angles); ``clinical_mean``, ``clinical_sd`` (4,);
        ``slope``, ``offset`` (3,) of the calibration of the mean logit for both states, and
        ``slope_stress``, ``offset_stress`` for stress alone (or isotonic curves, see `calibrate`);
        ``components`` (k, places), ``variance`` (k,), ``limits`` (2,): the subspace of training maps and the
        limits of `subspace_distances`.
    card
        The model card.
    sha256
        Of the weights file.
    """

    networks: tuple[PolarNetwork, ...]
    constants: Mapping[str, Float]
    card: Mapping[str, Any]
    sha256: str

    @property
    def name(self) -> str:
        """Name and version."""
        return f"{NAME}/{self.card.get('version', '0')}"

    def logits(self, stress: Float, rest: Float | None, clinical: Float) -> Float:
        """Return each network's log odds (networks, B, 3) for scaled maps (B, rings, angles), clinical rows (B, 8)."""
        maps = network_input(stress, rest, self.constants["normal_stress"], self.constants["normal_rest"])
        values = clinical.astype(np.float32)
        return np.stack([network(maps, values) for network in self.networks]).astype(np.float64)

    def read(self, stress: Float, rest: Float | None, clinical: Float) -> Reading:
        """Read maps (B, rings, angles) as they were sampled, with clinical rows (B, 8)."""
        scaled, suffix = scale_maps(stress), "_stress" if rest is None else ""
        logits = self.logits(scaled, None if rest is None else scale_maps(rest), clinical)
        return Reading(
            calibrate(self.constants, logits.mean(axis=0), suffix),
            calibrate(self.constants, logits, suffix),
            np.asarray((subspace_distances(self.constants, scaled).T / self.constants["limits"]).max(axis=1)),
        )

    def explain(self, stress: Float, rest: Float | None, clinical: Float) -> dict[str, Float]:
        """Map for each vessel how much its probability rests on each place of the stress map (`occlusion_map`).

        Parameters
        ----------
        stress, rest
            (rings, angles) as sampled, on the classifier's grid; rest may be None.
        clinical
            (8,).

        Returns
        -------
        Vessel -> (rings, angles): fall of the probability, positive where the place speaks for disease.
        """

        def probability(at_stress: Float, at_rest: Float | None) -> Float:
            rows = np.repeat(clinical[None], len(at_stress), axis=0)
            mean = self.logits(at_stress, at_rest, rows).mean(axis=0)
            return calibrate(self.constants, mean, "_stress" if at_rest is None else "")

        normal = self.constants["normal_stress"], self.constants["normal_rest"]
        fall = occlusion_map(probability, scale_maps(stress), None if rest is None else scale_maps(rest), normal)
        return dict(zip(VESSELS, fall, strict=True))

    def clinical(self, study: Study) -> Float:
        """Return a study's clinical row, (8,); an age, height or weight of 0, as in an empty form, is missing."""
        sex = {"M": 1.0, "F": 0.0}.get(study.sex or "")
        measures = (study.age_years, study.height_m, study.weight_kg)
        values = (sex, *(value if value is not None and value > 0 else None for value in measures))
        return clinical_row(values, self.constants["clinical_mean"], self.constants["clinical_sd"])

    def classify(self, study: Study, results: Sequence[ScanResult]) -> Diagnosis | None:
        """Diagnose a study from its stress map, and from its rest map if there is one.

        Returns
        -------
        Diagnosis, or None if no scan is known to be stress. `Diagnosis.interval` spans the ensemble's
        networks: how far they disagree, not a confidence interval.
        """
        first = {state: next((r for r in results if r.state == state), None) for state in ("stress", "rest")}
        at_stress, at_rest = first["stress"], first["rest"]
        if at_stress is None:
            return None
        stress = on_grid(at_stress.polar.values)
        rest = None if at_rest is None else on_grid(at_rest.polar.values)
        clinical = self.clinical(study)
        reading = self.read(stress[None], None if rest is None else rest[None], clinical[None])
        per_patient = float(reading.per_patient[0])
        members = reading.members[:, 0].max(axis=1)
        abstained = bool(reading.distance[0] > 1.0)
        return Diagnosis(
            model=self.name,
            per_vessel={v: float(p) for v, p in zip(VESSELS, reading.probability[0], strict=True)},
            per_patient=per_patient,
            interval=(min(float(members.min()), per_patient), max(float(members.max()), per_patient)),
            abstained=abstained,
            reason="The stress map is unlike the maps the classifier was trained on." if abstained else None,
            explanation=self.explain(stress, rest, clinical),
        )


def load_classifier(folder: Path | None = None) -> Classifier:
    """Load the shipped classifier, or one that ``myoperf train polar`` wrote.

    Raises
    ------
    MissingWeightsError
        If the folder lacks the weights or the card.
    InputError
        If the weights are not those the card describes.
    """
    data, card = read_weights(
        folder or resources.files("myoperf").joinpath("weights", NAME), "polar-classifier.safetensors"
    )
    return classifier_from(load_arrays(data), card, str(card["sha256"]))


def classifier_from(arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any], sha256: str) -> Classifier:
    """Build a classifier from the arrays of its file; every network loads strictly."""
    networks = []
    for index in range(int(card["networks"])):
        head = f"network.{index}."
        networks.append(PolarNetwork({k[len(head) :]: v for k, v in arrays.items() if k.startswith(head)}))
    constants = {k[9:]: v.astype(np.float64) for k, v in arrays.items() if k.startswith("constant.")}
    if len(CLINICAL) != constants["clinical_mean"].size:
        raise InputError(
            f"Weights for {len(CLINICAL)} clinical values were expected; got {constants['clinical_mean'].size}."
        )
    return Classifier(tuple(networks), constants, card, sha256)
