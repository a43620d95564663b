"""The shipped classifier of polar maps: an ensemble, calibrated, that abstains on what it has not learned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from safetensors.torch import load as load_tensors
from scipy.special import expit
from torch import Tensor

from myoperf.diagnosis.network import CLINICAL, PolarClassifier, network_input
from myoperf.errors import InputError, MissingWeightsError
from myoperf.types import VESSELS, Diagnosis, Float, ScanResult, Study

__all__ = ["Classifier", "Reading", "calibrated", "clinical_row", "load_classifier", "scale_maps"]

NAME = "polar-classifier"
GRID = (24, 72)


def scale_maps(values: ArrayLike) -> Float:
    """Scale maps (..., rings, angles) so that the 98th percentile of each is 1.

    Raises
    ------
    InputError
        When a map has no positive values, or holds NaN or infinite ones.
    """
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise InputError("A polar map holds NaN or infinite values; the classifier reads whole maps.")
    top = np.percentile(array, 98, axis=(-2, -1), keepdims=True)
    if not (top > 0).all():
        raise InputError("A polar map has no counts to scale by.")
    return array / top


def clinical_row(values: Sequence[float | None], mean: Float, sd: Float) -> Float:
    """Standardise the clinical values in the order of `CLINICAL`; absent ones (None, NaN) become 0 with their flag 0.

    Returns
    -------
    Shape (8,): four values, four flags.
    """
    given = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    known = np.isfinite(given)
    scaled = np.where(known, np.clip((np.where(known, given, mean) - mean) / sd, -4.0, 4.0), 0.0)
    return np.concatenate([scaled, known.astype(np.float64)])


def calibrated(constants: Mapping[str, Float], logits: Float, end: str = "") -> Float:
    """Turn log odds (..., 3) into probabilities: by a line a vessel, or by isotonic curves where there are any.

    Parameters
    ----------
    constants
        ``slope``, ``offset`` (3,); isotonic: ``knots`` (k,) and ``isotonic`` (3, k) too, each name with `end`.
    """
    if f"isotonic{end}" in constants:
        knots, curves = constants[f"knots{end}"], constants[f"isotonic{end}"]
        return np.stack([np.interp(logits[..., v], knots, curve) for v, curve in enumerate(curves)], axis=-1)
    odds = constants[f"slope{end}"] * logits + constants[f"offset{end}"]
    return np.asarray(expit(odds))


@dataclass(frozen=True, eq=False)
class Reading:
    """What the ensemble says of a batch.

    Attributes
    ----------
    probability
        (B, 3) calibrated, LAD, LCX, RCA.
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
        """The largest of the three, paper 001's rule, (B,)."""
        return np.asarray(self.probability.max(axis=1))


@dataclass(frozen=True, eq=False)
class Classifier:
    """The ensemble with its calibration, normal maps and abstention rule.

    Attributes
    ----------
    networks
        In evaluation mode.
    constants
        ``normal_stress``, ``normal_rest`` (rings, angles); ``clinical_mean``, ``clinical_sd`` (4,);
        ``slope``, ``offset`` (3,) of the calibration on the mean logit, of both states and
        ``slope_stress``, ``offset_stress`` with stress alone (or isotonic curves, see `calibrated`);
        ``components`` (k, places), ``variance`` (k,), ``limits`` (2,): the subspace of training maps and the
        limits of distance within and from it.
    card
        The model card.
    sha256
        Of the weights file.
    """

    networks: tuple[PolarClassifier, ...]
    constants: Mapping[str, Float]
    card: Mapping[str, Any]
    sha256: str

    @property
    def name(self) -> str:
        """Name and version."""
        return f"{NAME}/{self.card.get('version', '0')}"

    def inputs(self, stress: Float, rest: Float | None, clinical: Float) -> tuple[Tensor, Tensor]:
        """Prepare scaled maps (B, rings, angles) and clinical rows (B, 8) for the networks."""
        maps = network_input(
            _tensor(stress),
            None if rest is None else _tensor(rest),
            _tensor(self.constants["normal_stress"]),
            _tensor(self.constants["normal_rest"]),
        )
        return maps, _tensor(clinical)

    def logits(self, maps: Tensor, clinical: Tensor) -> Float:
        """Give every network's logits, (networks, B, 3)."""
        with torch.inference_mode():
            return torch.stack([net(maps, clinical) for net in self.networks]).numpy().astype(np.float64)

    def calibrate(self, logits: Float, *, rest: bool) -> Float:
        """Turn logits (..., 3) into probabilities."""
        return calibrated(self.constants, logits, "" if rest else "_stress")

    def distance(self, stress: Float) -> Float:
        """Measure how far scaled stress maps (B, rings, angles) lie from the training maps; 1 is the limit.

        The larger of two: Mahalanobis distance in the space of the main components, and what those leave over.
        """
        centred = (stress - self.constants["normal_stress"]).reshape(len(stress), -1)
        scores = centred @ self.constants["components"].T
        inside = np.sqrt((scores**2 / self.constants["variance"]).sum(axis=1))
        left = np.sqrt(((centred - scores @ self.constants["components"]) ** 2).mean(axis=1))
        return np.asarray(np.maximum(inside / self.constants["limits"][0], left / self.constants["limits"][1]))

    def read(self, stress: Float, rest: Float | None, clinical: Float) -> Reading:
        """Read maps (B, rings, angles) as they were sampled, with clinical rows (B, 8)."""
        scaled = scale_maps(stress)
        logits = self.logits(*self.inputs(scaled, None if rest is None else scale_maps(rest), clinical))
        both = rest is not None
        return Reading(
            self.calibrate(logits.mean(axis=0), rest=both), self.calibrate(logits, rest=both), self.distance(scaled)
        )

    def clinical(self, study: Study) -> Float:
        """Give a study's clinical row, (8,); an age, height or weight of 0, as empty forms have it, is not known."""
        sex = {"M": 1.0, "F": 0.0}.get(study.sex or "")
        measures = (study.age_years, study.height_m, study.weight_kg)
        values = (sex, *(value if value is not None and value > 0 else None for value in measures))
        return clinical_row(values, self.constants["clinical_mean"], self.constants["clinical_sd"])

    def classify(self, study: Study, results: Sequence[ScanResult]) -> Diagnosis | None:
        """Diagnose a study from its stress map, and its rest map where there is one.

        Returns
        -------
        Diagnosis, or None where no scan is known to be stress. `Diagnosis.interval` spans the ensemble's
        networks: how far they disagree, not an interval of confidence.
        """
        from myoperf.diagnosis.explain import occlusion_map

        first = {state: next((r for r in results if r.state == state), None) for state in ("stress", "rest")}
        at_stress, at_rest = first["stress"], first["rest"]
        if at_stress is None:
            return None
        stress = on_grid(at_stress.polar.values)[None]
        rest = None if at_rest is None else on_grid(at_rest.polar.values)[None]
        clinical = self.clinical(study)[None]
        reading = self.read(stress, rest, clinical)
        patients = reading.members[:, 0].max(axis=1)
        far = bool(reading.distance[0] > 1.0)
        reason = "The stress map is unlike those the classifier learned from." if far else None
        shown = occlusion_map(self, stress[0], None if rest is None else rest[0], clinical[0])
        return Diagnosis(
            model=self.name,
            per_vessel={v: float(p) for v, p in zip(VESSELS, reading.probability[0], strict=True)},
            per_patient=float(reading.per_patient[0]),
            interval=(
                float(min(patients.min(), reading.per_patient[0])),
                float(max(patients.max(), reading.per_patient[0])),
            ),
            abstained=far,
            reason=reason,
            explanation=shown,
        )


def on_grid(values: ArrayLike) -> Float:
    """Bring a static map of any grid to the classifier's: linear along the wall, periodic round it."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise InputError(f"The classifier reads static polar maps (rings, angles); got shape {array.shape}.")
    if array.shape == GRID:
        return array
    rings, angles = GRID
    places = (np.arange(rings) + 0.5) / rings * array.shape[0] - 0.5
    along = np.stack([np.interp(places, np.arange(array.shape[0]), column) for column in array.T], axis=1)
    turns = np.arange(angles) / angles
    known = np.arange(array.shape[1]) / array.shape[1]
    return np.stack([np.interp(turns, known, row, period=1.0) for row in along])


def _tensor(array: Float) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def load_classifier(folder: Path | None = None) -> Classifier:
    """Load the shipped classifier, or one that ``myoperf train polar`` wrote.

    Raises
    ------
    MissingWeightsError
        When the folder lacks the weights or the card.
    InputError
        When the weights are not those the card names.
    """
    import hashlib

    home: Traversable | Path = folder or resources.files("myoperf").joinpath("weights", NAME)
    try:
        data = home.joinpath("polar-classifier.safetensors").read_bytes()
        card = json.loads(home.joinpath("card.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingWeightsError("The polar classifier's weights are not there; run 'myoperf train polar'.") from error
    digest = hashlib.sha256(data).hexdigest()
    if card.get("sha256") != digest:
        raise InputError("The polar classifier's weights are not those its card names; get both anew.")
    return classifier_from(load_tensors(data), card, digest)


def classifier_from(tensors: Mapping[str, Tensor], card: Mapping[str, Any], sha256: str) -> Classifier:
    """Put a classifier together from the tensors of its file; every network loads strictly."""
    networks = []
    for index in range(int(card["networks"])):
        head = f"network.{index}."
        net = PolarClassifier(width=int(card["width"]))
        net.load_state_dict({k[len(head) :]: v for k, v in tensors.items() if k.startswith(head)}, strict=True)
        networks.append(net.eval().requires_grad_(False))
    constants = {k[9:]: v.numpy().astype(np.float64) for k, v in tensors.items() if k.startswith("constant.")}
    if len(CLINICAL) != constants["clinical_mean"].size:
        raise InputError(f"The classifier's weights know {constants['clinical_mean'].size} clinical values, not 4.")
    return Classifier(tuple(networks), constants, card, sha256)
