"""The recipe of the shipped polar classifier: train, calibrate, set the abstention limit, write.

All patients are simulated. The networks learn from one part, calibration and limits come from a second, and every
number of the card from a third, on which nothing was chosen. The imaged patients are supplemented by patients who were
not imaged: their true perfusion is blurred and given the artefacts of an imaged patient of the training part.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from myoperf.diagnosis.classifier import Classifier, Reading, subspace_distances
from myoperf.diagnosis.inputs import clinical_row, scale_maps
from myoperf.diagnosis.network import PolarNetwork, network_input
from myoperf.phantom.labels import ica_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import truth_polar
from myoperf.research.polar_classifier.calibration import choose_calibration
from myoperf.research.polar_classifier.cases import ANGLES, RINGS, SETS, STATES, PolarCases, clinical_values
from myoperf.research.polar_classifier.network import PolarClassifier
from myoperf.research.training.seeds import seeded
from myoperf.research.training.weights import load_weights, save_model, save_weights
from myoperf.types import VESSELS, Float


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Settings of the training.

    Attributes
    ----------
    networks
        Members of the ensemble.
    width
        Channels of a network's first block.
    epochs, batch, rate, decay
        AdamW with a one-cycle schedule.
    no_rest, no_value
        Share of training samples without the rest map, and of clinical values left out.
    components
        Main components of the abstention rule.
    abstain
        Share of the calibration patients that lies beyond each of its two limits.
    """

    networks: int = 3
    width: int = 16
    epochs: int = 14
    batch: int = 64
    rate: float = 2e-3
    decay: float = 0.02
    no_rest: float = 0.3
    no_value: float = 0.25
    components: int = 24
    abstain: float = 0.01


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingSet:
    """What the networks learn from.

    Attributes
    ----------
    stress, rest
        Scaled maps (n, rings, angles); rest is a place-holder where `has_rest` is False.
    clinical, labels
        (n, 4) and (n, 3).
    has_rest
        (n,).
    """

    stress: Float
    rest: Float
    clinical: Float
    labels: NDArray[np.int64]
    has_rest: NDArray[np.bool_]


def _blurred(maps: Float) -> Float:
    """Blur perfusion as the camera does: about a ring and a half along the wall, over more columns near the apex."""
    out = ndimage.gaussian_filter(maps, (0, 1.6, 0), mode=("nearest", "reflect", "nearest"))
    girth = np.sin(0.5 * np.pi * (np.arange(RINGS) + 0.5) / RINGS)
    for ring in range(RINGS):
        sd = min(4.0 / girth[ring], 30.0)
        out[:, ring] = ndimage.gaussian_filter1d(out[:, ring], sd, axis=-1, mode="wrap")
    return np.asarray(out)


def supplement(imaged: PolarCases, seed: int, n: int) -> TrainingSet:
    """Add n patients who were not imaged: true perfusion, blurred, with the artefacts of an imaged patient.

    What an image shows besides its (blurred) perfusion (attenuation, neighbouring activity, thickness, noise, error
    of pose) is the ratio of the two; each new patient takes the ratio of an imaged one of the same sex.

    Parameters
    ----------
    imaged
        The training part; its keys tell how each patient was drawn.
    """
    known = [_perfusion(key) for key in imaged.key]
    truth = _blurred(np.concatenate([[k[0] for k in known], [k[1] for k in known]]))
    with_rest = imaged.has_rest
    resting = np.where(with_rest[:, None, None], imaged.rest, imaged.stress)  # a place-holder, never used as rest
    maps = scale_maps(np.concatenate([imaged.stress, resting]))
    stress, rest = maps[: len(imaged)], maps[len(imaged) :]
    learned = TrainingSet(stress=stress, rest=rest, clinical=imaged.clinical, labels=imaged.ica, has_rest=with_rest)
    if not n:
        return learned
    ratio = (maps / np.maximum(truth, 0.05)).clip(0.3, 3.0).reshape(2, len(imaged), RINGS, ANGLES)
    rng = np.random.default_rng(seed)
    male = imaged.clinical[:, 0] > 0.5
    patients = [draw_patient(np.random.default_rng((seed, index))) for index in range(n)]
    donors = []
    for patient in patients:
        alike = np.flatnonzero(with_rest & (male == (patient.clinical.sex == "M")))
        donors.append(rng.choice(alike if alike.size else np.flatnonzero(with_rest)))
    made = []
    for k, state in enumerate(STATES):
        perfusion = np.asarray([truth_polar(patient, state, RINGS, ANGLES) for patient in patients])
        made.append(scale_maps(_blurred(perfusion) * ratio[k, donors]))
    labels = [[ica_labels(patient.coronary)[v] for v in VESSELS] for patient in patients]
    return TrainingSet(
        stress=np.concatenate([stress, made[0]]),
        rest=np.concatenate([rest, made[1]]),
        clinical=np.concatenate([learned.clinical, [clinical_values(patient) for patient in patients]]),
        labels=np.concatenate([learned.labels, labels]),
        has_rest=np.concatenate([with_rest, np.ones(n, dtype=bool)]),
    )


def _perfusion(key: NDArray[np.int64]) -> tuple[Float, Float]:
    """Return the true stress and rest perfusion of a patient of one of `SETS`."""
    seed, index = (int(value) for value in key)
    options = {plan.seed: plan.options for plan in SETS.values()}.get(seed)
    patient = draw_patient(np.random.default_rng((seed, index)), options)
    stress, rest = (truth_polar(patient, state, RINGS, ANGLES) for state in STATES)
    return stress, rest


def rows_of(clinical: Float, constants: Mapping[str, Float]) -> Float:
    """Return the rows (n, 8) that the network reads: standardised values, and which of them are known (here all).

    Parameters
    ----------
    clinical
        (n, 4), see `clinical_values`.
    constants
        ``clinical_mean`` and ``clinical_sd``, (4,) each.
    """
    mean, sd = constants["clinical_mean"], constants["clinical_sd"]
    return np.stack([clinical_row(tuple(row), mean, sd) for row in clinical.astype(np.float64)])


def _augment(stress: Tensor, rest: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Move each patient's maps by a random error of the ventricle's pose, and add noise.

    The SD is 6 degrees about the long axis, 0.6 rings at the apex, 1 ring at the base, and 0.7 rings of tilt of the
    base; both states share most of it.
    """
    count = len(stress)
    shared = torch.randn(count, 5, generator=generator)
    out = []
    for maps in (stress, rest):
        error = shared + 0.5 * torch.randn(count, 5, generator=generator)
        moved = move_maps(maps, error[:, 0] * 6.0, error[:, 1] * 0.6, error[:, 2] * 1.0, 0.5 * error[:, 3:])
        out.append(moved + 0.02 * torch.randn(maps.shape, generator=generator))
    return out[0], out[1]


def move_maps(maps: Tensor, turn_deg: Tensor, apex: Tensor, base: Tensor, tilt: Tensor) -> Tensor:
    """Resample maps (B, rings, angles) as they look with an error of the ventricle's pose.

    Parameters
    ----------
    turn_deg
        (B,): about the long axis.
    apex, base
        (B,): rings by which the two ends are misplaced.
    tilt
        (B, 2): further rings by which the anterior and septal sides of the base are misplaced.
    """
    rings, angles = maps.shape[1:]
    pad = 12
    wide = torch.cat([maps[..., -pad:], maps, maps[..., :pad]], dim=-1)
    along = torch.linspace(0.0, 1.0, rings)[None, :, None]
    theta = torch.arange(angles)[None, None, :] * (2.0 * torch.pi / angles)
    lift = tilt[:, 0, None, None] * torch.cos(theta) + tilt[:, 1, None, None] * torch.sin(theta)
    ring = torch.arange(rings)[None, :, None] + apex[:, None, None] * (1 - along) + (base[:, None, None] + lift) * along
    column = torch.arange(angles)[None, None, :] + pad + turn_deg[:, None, None].clamp(-50, 50) * (angles / 360.0)
    grid = torch.stack(
        [
            (2.0 * column + 1.0) / (angles + 2 * pad) - 1.0 + torch.zeros_like(ring),
            (2.0 * ring + 1.0) / rings - 1.0 + torch.zeros_like(column),
        ],
        dim=-1,
    )
    moved = functional.grid_sample(wide[:, None], grid, padding_mode="border", align_corners=False)
    return moved[:, 0]


def _fit_network(
    data: TrainingSet, rows: Float, constants: Mapping[str, Float], schedule: Schedule, seed: int
) -> PolarClassifier:
    """Train one network."""
    generator = torch.Generator().manual_seed(seed)
    stress, rest, clinical, labels = (
        torch.from_numpy(np.asarray(array, dtype=np.float32)) for array in (data.stress, data.rest, rows, data.labels)
    )
    normal = constants["normal_stress"], constants["normal_rest"]
    has_rest = torch.from_numpy(data.has_rest)
    batches = len(stress) // schedule.batch
    with seeded(seed):
        net = PolarClassifier(schedule.width)
        optimiser = torch.optim.AdamW(net.parameters(), lr=schedule.rate, weight_decay=schedule.decay)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.rate, total_steps=schedule.epochs * batches)
        for _ in range(schedule.epochs):
            order = torch.randperm(len(stress), generator=generator)
            for batch in torch.split(order[: batches * schedule.batch], schedule.batch):
                first, second = (maps.numpy() for maps in _augment(stress[batch], rest[batch], generator))
                maps = torch.from_numpy(network_input(first, second, *normal))
                absent = (torch.rand(len(batch), generator=generator) < schedule.no_rest) | ~has_rest[batch]
                maps[absent, 1:] = 0.0
                known = (torch.rand(len(batch), 4, generator=generator) >= schedule.no_value).float()
                logits = net(maps, clinical[batch] * known.repeat(1, 2))
                loss = functional.binary_cross_entropy_with_logits(logits, labels[batch])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                rate.step()
    return net.eval().requires_grad_(False)


def _network(
    data: TrainingSet, constants: Mapping[str, Float], schedule: Schedule, seed: int, keep: Path | None
) -> PolarClassifier:
    """Train a network, or read it from `keep` if it was trained there on the same data by the same schedule."""
    rows = rows_of(data.clinical, constants)
    if keep is None:
        return _fit_network(data, rows, constants, schedule, seed)
    digest = hashlib.sha256(f"{schedule} {seed}".encode())
    for array in (data.stress, data.rest, rows, data.labels, data.has_rest):
        digest.update(np.ascontiguousarray(array).tobytes())
    path = keep / f"network-{digest.hexdigest()[:16]}.safetensors"
    if not path.exists():
        save_weights(path, _fit_network(data, rows, constants, schedule, seed))
    net = PolarClassifier(schedule.width)
    load_weights(path, net)
    return net.eval().requires_grad_(False)


def _constants(data: TrainingSet, schedule: Schedule) -> dict[str, Float]:
    """Compute the constants of `Classifier` from training patients; calibration and limits change nothing yet."""
    well = data.labels.sum(axis=1) == 0
    out: dict[str, Float] = {
        "normal_stress": data.stress[well].mean(axis=0),
        "normal_rest": data.rest[well & data.has_rest].mean(axis=0),
    }
    out |= {"clinical_mean": data.clinical.mean(axis=0), "clinical_sd": data.clinical.std(axis=0)}
    centred = (data.stress - out["normal_stress"]).reshape(len(data.stress), -1)
    _, singular, components = np.linalg.svd(centred, full_matrices=False)
    out["components"] = components[: schedule.components]
    out["variance"] = (singular[: schedule.components] ** 2) / len(centred)
    return out | {"limits": np.ones(2)}


def fit_classifier(
    data: TrainingSet, calibration: PolarCases, schedule: Schedule, seed: int, *, keep: Path | None = None
) -> Classifier:
    """Train the ensemble; set the calibration, for both states and for stress alone, and the abstention limits.

    Parameters
    ----------
    calibration
        Patients the networks have not seen, both states imaged.
    keep
        Folder that keeps each trained network; a network of the same data and schedule is read from there.
    """
    constants = _constants(data, schedule)
    trained = (_network(data, constants, schedule, seed + i, keep) for i in range(schedule.networks))
    networks = tuple(PolarNetwork({k: v.numpy() for k, v in net.state_dict().items()}) for net in trained)
    uncalibrated = Classifier(networks, constants, {}, "")
    rows, stress = rows_of(calibration.clinical, constants), scale_maps(calibration.stress)
    fitted, reports = dict(constants), {}
    for suffix, name in (("", "stress and rest"), ("_stress", "stress alone")):
        rest = None if suffix else scale_maps(calibration.rest)
        logits = uncalibrated.logits(stress, rest, rows).mean(axis=0)
        kind, losses, chosen = choose_calibration(logits, calibration.ica, seed)
        fitted |= {f"{k}{suffix}": v for k, v in chosen.items()}
        reports[name] = {"kind": kind, "n": len(calibration), "cross_validated_log_loss": dict(losses)}
    fitted["limits"] = np.quantile(subspace_distances(constants, stress), 1.0 - schedule.abstain, axis=1)
    card = {"networks": schedule.networks, "width": schedule.width, "calibration": reports}
    return Classifier(networks, fitted, card, "")


def read_cohort(classifier: Classifier, cases: PolarCases, *, rest: bool = True, clinical: bool = True) -> Reading:
    """Return the classifier's reading of a cohort.

    Parameters
    ----------
    rest
        Show it the rest maps; it sees none if one patient lacks them.
    clinical
        Show it the clinical values.
    """
    rows = rows_of(cases.clinical, classifier.constants) if clinical else np.zeros((len(cases), 8))
    both = rest and bool(cases.has_rest.all())
    return classifier.read(cases.stress, cases.rest if both else None, rows)


def write_classifier(folder: Path, classifier: Classifier, card: Mapping[str, Any]) -> None:
    """Write weights and card, as `myoperf.diagnosis.load_classifier` reads them."""
    tensors: dict[str, Tensor] = {
        f"constant.{k}": torch.from_numpy(np.array(v, dtype=np.float32)) for k, v in classifier.constants.items()
    }
    for index, net in enumerate(classifier.networks):
        tensors |= {f"network.{index}.{k}": torch.from_numpy(np.array(v)) for k, v in net.weights.items()}
    save_model(folder, tensors, {**classifier.card, **card}, name="polar-classifier.safetensors")
