"""The recipe of the shipped polar classifier: train, calibrate, set the abstention limit, measure, write.

All patients are simulated. Networks learn on one part, calibration and limits come from a second, every number
of the card from a third that nothing was chosen on. The imaged patients are widened by patients whose known
perfusion is given the blur and the artefacts found in the imaged ones of the training part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from myoperf.diagnosis.classifier import Classifier, Reading, classifier_from, subspace_distances
from myoperf.diagnosis.inputs import clinical_row, scale_maps
from myoperf.diagnosis.network import PolarClassifier, network_input
from myoperf.phantom.labels import ica_labels
from myoperf.phantom.population import draw_patient
from myoperf.phantom.truth import truth_polar
from myoperf.research.polar_classifier.calibration import choose_calibration
from myoperf.research.polar_classifier.cases import ANGLES, RINGS, SETS, PolarCases
from myoperf.types import VESSELS, Float

__all__ = ["Recipe", "Widened", "fit_classifier", "move_maps", "read_cohort", "rows_of", "widen", "write_classifier"]


@dataclass(frozen=True)
class Recipe:
    """Settings of the training.

    Attributes
    ----------
    networks
        Members of the ensemble.
    epochs, batch, rate, decay
        AdamW with a cosine schedule.
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


@dataclass(frozen=True, eq=False)
class Widened:
    """Training material: scaled maps (n, rings, angles), clinical values (n, 4), labels (n, 3), whose rest is known."""

    stress: Float
    rest: Float
    clinical: Float
    labels: NDArray[np.int64]
    has_rest: NDArray[np.bool_]


def _blurred(maps: Float) -> Float:
    """Blur perfusion as the camera does: about a ring and a half along the wall, more columns near the apex."""
    out = ndimage.gaussian_filter(maps, (0, 1.6, 0), mode=("nearest", "reflect", "nearest"))
    girth = np.sin(0.5 * np.pi * (np.arange(RINGS) + 0.5) / RINGS)
    for ring in range(RINGS):
        sd = min(4.0 / girth[ring], 30.0)
        out[:, ring] = ndimage.gaussian_filter1d(out[:, ring], sd, axis=-1, mode="wrap")
    return np.asarray(out)


def widen(imaged: PolarCases, seed: int, n: int) -> Widened:
    """Add n patients that were not imaged: known perfusion, blurred, with the artefacts of an imaged patient.

    What an image has beside its (blurred) perfusion, attenuation, neighbouring activity, thickness, noise and error
    of pose, is the ratio of the two; each new patient takes the ratio of an imaged one of the same sex.

    Parameters
    ----------
    imaged
        The training part; its keys say how each patient was drawn.
    """
    known = [_perfusion(key) for key in imaged.key]
    truth = _blurred(np.concatenate([[k[0] for k in known], [k[1] for k in known]]))
    with_rest = imaged.has_rest
    resting = np.where(with_rest[:, None, None], imaged.rest, imaged.stress)  # a place-holder, never shown as rest
    maps = scale_maps(np.concatenate([imaged.stress, resting]))
    ratio = (maps / np.maximum(truth, 0.05)).clip(0.3, 3.0).reshape(2, len(imaged), RINGS, ANGLES)
    rng = np.random.default_rng(seed)
    stress, rest, clinical, labels, donors = [], [], [], [], []
    male = imaged.clinical[:, 0] > 0.5
    for index in range(n):
        patient = draw_patient(np.random.default_rng((seed, index)))
        form, ica = patient.clinical, ica_labels(patient.coronary)
        stress.append(truth_polar(patient, "stress", RINGS, ANGLES))
        rest.append(truth_polar(patient, "rest", RINGS, ANGLES))
        clinical.append((form.sex == "M", form.age_years, form.height_m, form.weight_kg))
        labels.append([ica[v] for v in VESSELS])
        alike = np.flatnonzero(with_rest & (male == (form.sex == "M")))
        donors.append(rng.choice(alike if alike.size else np.flatnonzero(with_rest)))
    first = Widened(maps[: len(imaged)], maps[len(imaged) :], imaged.clinical, imaged.ica, with_rest)
    if not n:
        return first
    made = [_blurred(np.asarray(m)) * ratio[i, donors] for i, m in enumerate((stress, rest))]
    return Widened(
        np.concatenate([first.stress, scale_maps(made[0])]),
        np.concatenate([first.rest, scale_maps(made[1])]),
        np.concatenate([first.clinical, np.asarray(clinical, dtype=np.float64)]),
        np.concatenate([first.labels, np.asarray(labels)]),
        np.concatenate([with_rest, np.ones(n, dtype=bool)]),
    )


def _perfusion(key: NDArray[np.int64]) -> tuple[Float, Float]:
    seed, index = (int(value) for value in key)
    options = {plan.seed: plan.options for plan in SETS.values()}.get(seed)
    patient = draw_patient(np.random.default_rng((seed, index)), options)
    return truth_polar(patient, "stress", RINGS, ANGLES), truth_polar(patient, "rest", RINGS, ANGLES)


def rows_of(clinical: Float, mean: Float, sd: Float) -> Float:
    """Standardise known clinical values (n, 4) to rows (n, 8)."""
    return np.stack([clinical_row(tuple(row), mean, sd) for row in clinical.astype(np.float64)])


def _augment(stress: Tensor, rest: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Move each patient's maps as an error of the found ventricle does, and add noise.

    About the long axis by 6 degrees (SD); apex and base by 0.6 and 1 ring, alike in both states up to a third;
    the base askew by 0.7 rings.
    """
    count = len(stress)
    shared = torch.randn(count, 5, generator=generator)
    out = []
    for maps in (stress, rest):
        own = shared + 0.5 * torch.randn(count, 5, generator=generator)
        turn, low, high, askew, noise = own[:, 0] * 6.0, own[:, 1] * 0.6, own[:, 2] * 1.0, own[:, 3:], 0.02
        moved = move_maps(maps, turn, low, high, 0.5 * askew)
        out.append(moved + noise * torch.randn(maps.shape, generator=generator))
    return out[0], out[1]


def move_maps(maps: Tensor, turn_deg: Tensor, apex: Tensor, base: Tensor, askew: Tensor) -> Tensor:
    """Resample maps (B, rings, angles) as seen with an error of the ventricle's pose.

    Parameters
    ----------
    turn_deg
        (B,): about the long axis.
    apex, base
        (B,): rings by which the two ends are misplaced.
    askew
        (B, 2): rings by which the base's anterior and septal side are misplaced further.
    """
    rings, angles = maps.shape[1:]
    pad = 12
    wide = torch.cat([maps[..., -pad:], maps, maps[..., :pad]], dim=-1)
    along = torch.linspace(0.0, 1.0, rings)[None, :, None]
    theta = torch.arange(angles)[None, None, :] * (2.0 * torch.pi / angles)
    tilt = askew[:, 0, None, None] * torch.cos(theta) + askew[:, 1, None, None] * torch.sin(theta)
    ring = torch.arange(rings)[None, :, None] + apex[:, None, None] * (1 - along) + (base[:, None, None] + tilt) * along
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
    data: Widened, rows: Float, constants: Mapping[str, Float], recipe: Recipe, seed: int
) -> PolarClassifier:
    """Train one network."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = PolarClassifier(recipe.width)
        stress, rest, clinical, labels, normal, normal_rest = (
            torch.from_numpy(np.asarray(a, dtype=np.float32))
            for a in (
                data.stress,
                data.rest,
                rows,
                data.labels,
                constants["normal_stress"],
                constants["normal_rest"],
            )
        )
        has_rest = torch.from_numpy(data.has_rest)
        steps = recipe.epochs * (len(stress) // recipe.batch)
        optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=steps)
        for _ in range(recipe.epochs):
            order = torch.randperm(len(stress), generator=generator)
            for batch in torch.split(order[: len(order) // recipe.batch * recipe.batch], recipe.batch):
                first, second = _augment(stress[batch], rest[batch], generator)
                maps = network_input(first, second, normal, normal_rest)
                absent = (torch.rand(len(batch), generator=generator) < recipe.no_rest) | ~has_rest[batch]
                maps[absent, 1:] = 0.0
                known = (torch.rand(len(batch), 4, generator=generator) >= recipe.no_value).float()
                loss = functional.binary_cross_entropy_with_logits(
                    net(maps, clinical[batch] * known.repeat(1, 2)), labels[batch]
                )
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
    return net.eval().requires_grad_(False)


def _kept_network(
    data: Widened, rows: Float, constants: Mapping[str, Float], recipe: Recipe, seed: int, keep: Path | None
) -> PolarClassifier:
    """Read a network trained before on the same material by the same recipe, or train it and keep it."""
    if keep is None:
        return _fit_network(data, rows, constants, recipe, seed)
    digest = hashlib.sha256(f"{recipe} {seed}".encode())
    for array in (data.stress, data.rest, rows, data.labels, data.has_rest):
        digest.update(np.ascontiguousarray(array).tobytes())
    path = keep / f"network-{digest.hexdigest()[:16]}.safetensors"
    if path.exists():
        net = PolarClassifier(recipe.width)
        net.load_state_dict(load_tensors(path.read_bytes()), strict=True)
        return net.eval().requires_grad_(False)
    net = _fit_network(data, rows, constants, recipe, seed)
    path.write_bytes(save_tensors({k: v.contiguous() for k, v in net.state_dict().items()}))
    return net


def _constants(data: Widened, recipe: Recipe) -> dict[str, Float]:
    """Work out from training patients: normal maps, scales of clinical values, main components."""
    well = data.labels.sum(axis=1) == 0
    out: dict[str, Float] = {
        "normal_stress": data.stress[well].mean(axis=0),
        "normal_rest": data.rest[well & data.has_rest].mean(axis=0),
    }
    out |= {"clinical_mean": data.clinical.mean(axis=0), "clinical_sd": data.clinical.std(axis=0)}
    centred = (data.stress - out["normal_stress"]).reshape(len(data.stress), -1)
    _, singular, components = np.linalg.svd(centred, full_matrices=False)
    out["components"] = components[: recipe.components]
    out["variance"] = (singular[: recipe.components] ** 2) / len(centred)
    return out | {"slope": np.ones(3), "offset": np.zeros(3), "slope_stress": np.ones(3), "offset_stress": np.zeros(3)}


def fit_classifier(
    data: Widened, calibration: PolarCases, recipe: Recipe, seed: int, *, keep: Path | None = None
) -> Classifier:
    """Train the ensemble and set calibration, of both states and of stress alone, and abstention limits.

    Parameters
    ----------
    calibration
        Patients the networks have not seen, both states imaged.
    keep
        Folder that keeps each network once it is trained; one there already, of the same recipe and material, is read.
    """
    constants = _constants(data, recipe)
    constants["limits"] = np.ones(2)
    rows = rows_of(data.clinical, constants["clinical_mean"], constants["clinical_sd"])
    networks = tuple(_kept_network(data, rows, constants, recipe, seed + i, keep) for i in range(recipe.networks))
    card: dict[str, Any] = {"networks": recipe.networks, "width": recipe.width}
    raw = Classifier(networks, constants, card, "")
    fitted = {k: v for k, v in constants.items() if not k.startswith(("slope", "offset"))}
    card["calibration"] = {}
    seen = rows_of(calibration.clinical, constants["clinical_mean"], constants["clinical_sd"])
    stress = scale_maps(calibration.stress)
    for end, name in (("", "stress and rest"), ("_stress", "stress alone")):
        rest = None if end else scale_maps(calibration.rest)
        logits = raw.logits(stress, rest, seen).mean(axis=0)
        kind, losses, found = choose_calibration(logits, calibration.ica, seed)
        fitted |= {f"{k}{end}": v for k, v in found.items()}
        card["calibration"][name] = {"kind": kind, "n": len(calibration), "cross_validated_log_loss": dict(losses)}
    fitted["limits"] = np.quantile(subspace_distances(constants, stress), 1.0 - recipe.abstain, axis=1)
    return Classifier(networks, fitted, card, "")


def read_cohort(classifier: Classifier, cases: PolarCases, *, rest: bool = True, clinical: bool = True) -> Reading:
    """Read a cohort, with or without its rest maps (without where one is lacking) and its clinical values."""
    mean, sd = classifier.constants["clinical_mean"], classifier.constants["clinical_sd"]
    rows = rows_of(cases.clinical, mean, sd) if clinical else np.zeros((len(cases), 8))
    both = rest and bool(cases.has_rest.all())
    return classifier.read(cases.stress, cases.rest if both else None, rows)


def write_classifier(folder: Path, classifier: Classifier, card: Mapping[str, Any]) -> Classifier:
    """Write weights and card; give the classifier as it will load."""
    tensors: dict[str, Tensor] = {
        f"constant.{k}": torch.from_numpy(np.array(v, dtype=np.float32)) for k, v in classifier.constants.items()
    }
    for index, net in enumerate(classifier.networks):
        tensors |= {f"network.{index}.{k}": v.contiguous() for k, v in net.state_dict().items()}
    data = save_tensors(tensors)
    full = {**classifier.card, **card, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "polar-classifier.safetensors").write_bytes(data)
    (folder / "card.json").write_text(json.dumps(full, indent=1) + "\n", encoding="utf-8")
    return classifier_from(tensors, full, full["sha256"])
