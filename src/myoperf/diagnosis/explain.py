"""Where on the wall a probability comes from: occlusion and class activation, on the bull's eye and in space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from myoperf.errors import InputError
from myoperf.geometry import index_from_lps, transform_points
from myoperf.types import VESSELS, Float, PolarMap, Volume

if TYPE_CHECKING:
    from myoperf.diagnosis.classifier import Classifier

__all__ = ["activation_map", "occlusion_map", "paint_on_volume"]


def occlusion_map(
    classifier: Classifier, stress: Float, rest: Float | None, clinical: Float, *, rows: int = 6, columns: int = 12
) -> dict[str, Float]:
    """Measure how much of each vessel's probability rests on each place of the stress map.

    A patch is replaced by the normal map (in both states, so that no difference between them remains); the fall
    of the probability is shared among the patch's places and averaged over overlapping patches.

    Parameters
    ----------
    stress, rest
        (rings, angles) as sampled, on the classifier's grid.
    clinical
        (8,).
    rows, columns
        Size of a patch in rings and angles; patches overlap by half.

    Returns
    -------
    Vessel -> (rings, angles): fall of the probability, positive where the place speaks for disease.
    """
    from myoperf.diagnosis.classifier import scale_maps

    if rows < 2 or columns < 2:
        raise InputError(f"A patch needs at least 2 x 2 places; got {rows} x {columns}.")
    rings, angles = stress.shape
    masks = []
    for ring in range(0, rings - rows // 2, rows // 2):
        for angle in range(0, angles, columns // 2):
            mask = np.zeros((rings, angles), dtype=bool)
            mask[ring : ring + rows, np.arange(angle, angle + columns) % angles] = True
            masks.append(mask)
    hidden = np.stack([np.zeros((rings, angles), dtype=bool), *masks])
    shown = np.where(hidden, classifier.constants["normal_stress"], scale_maps(stress))
    resting = None if rest is None else np.where(hidden, classifier.constants["normal_rest"], scale_maps(rest))
    repeated = np.repeat(clinical[None], len(hidden), axis=0)
    logits = classifier.logits(*classifier.inputs(shown, resting, repeated)).mean(axis=0)
    probability = classifier.calibrate(logits, rest=rest is not None)
    fall = probability[0] - probability[1:]  # (patches, 3)
    cover = hidden[1:].astype(np.float64)
    total = np.tensordot(fall.T, cover, 1) / cover.sum(axis=0)
    return {vessel: total[index] for index, vessel in enumerate(VESSELS)}


def activation_map(classifier: Classifier, stress: Float, rest: Float | None, clinical: Float) -> dict[str, Float]:
    """Give Grad-CAM (Selvaraju et al., doi:10.1109/ICCV.2017.74) of each vessel, averaged over the networks.

    Returns
    -------
    Vessel -> (rings, angles), 0 to 1 (all 0 where nothing speaks for disease).
    """
    from myoperf.diagnosis.classifier import scale_maps

    maps, values = classifier.inputs(
        scale_maps(stress)[None], None if rest is None else scale_maps(rest)[None], clinical[None]
    )
    out: dict[str, Float] = {}
    for index, vessel in enumerate(VESSELS):
        total = torch.zeros(stress.shape)
        for net in classifier.networks:
            features = net.last_maps(maps).detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(net.classify(features, values)[0, index], features)
            heat = functional.relu((features * gradient.mean(dim=(2, 3), keepdim=True)).sum(dim=1, keepdim=True))
            total += functional.interpolate(heat, size=stress.shape, mode="bilinear", align_corners=False)[
                0, 0
            ].detach()
        top = float(total.max())
        out[vessel] = (total / top if top > 0 else total).numpy().astype(np.float64)
    return out


def paint_on_volume(values: Float, polar: PolarMap, labels: Volume) -> Volume:
    """Bring a map of the wall back on the slices: every myocardial voxel takes the nearest place's value.

    Parameters
    ----------
    values
        (rings, angles) on the grid of `polar`.
    labels
        1 is myocardium.

    Returns
    -------
    Volume on the labels' grid, float32, 0 outside the wall.
    """
    from scipy.spatial import cKDTree

    if values.shape != polar.mid_wall_mm.shape[:2]:
        raise InputError(f"The map's grid {values.shape} differs from the wall's {polar.mid_wall_mm.shape[:2]}.")
    wall = np.argwhere(labels.array[0] == 1)
    places = transform_points(index_from_lps(labels.lps_from_index), np.asarray(polar.mid_wall_mm).reshape(-1, 3))
    spacing = labels.spacing_mm
    _, nearest = cKDTree(places * spacing).query(wall * spacing)
    painted = np.zeros(labels.array.shape, dtype=np.float32)
    painted[0][tuple(wall.T)] = np.asarray(values).ravel()[nearest]
    return labels.with_array(painted)
