"""Where on the wall a probability comes from: occlusion of the polar map, patch by patch."""

from collections.abc import Callable

import numpy as np

from myoperf.errors import InputError
from myoperf.types import Float


def occlusion_map(
    probability: Callable[[Float, Float | None], Float],
    stress: Float,
    rest: Float | None,
    normal: tuple[Float, Float],
    *,
    patch: tuple[int, int] = (6, 12),
) -> Float:
    """Measure how much each probability rests on each place of the stress map.

    A patch is replaced by the normal map (in both states, so that no difference between them remains); the fall
    of the probability is shared among the patch's places and averaged over overlapping patches (Zeiler and Fergus
    2014, doi:10.1007/978-3-319-10590-1_53).

    Parameters
    ----------
    probability
        Takes stress and rest maps (B, rings, angles) and returns (B, vessels).
    stress, rest
        (rings, angles), on the scale that `probability` expects; rest may be None.
    normal
        Normal stress and rest map, (rings, angles) each, on the same scale.
    patch
        Size of a patch in rings and angles; patches overlap by half.

    Returns
    -------
    Fall of the probability, (vessels, rings, angles): positive where the place speaks for disease.
    """
    rows, columns = patch
    if rows < 2 or columns < 2:
        raise InputError(f"A patch needs at least 2 x 2 places; got {rows} x {columns}.")
    rings, angles = stress.shape
    masks = [np.zeros((rings, angles), dtype=bool)]
    for ring in range(0, rings - rows // 2, rows // 2):
        for angle in range(0, angles, columns // 2):
            mask = np.zeros((rings, angles), dtype=bool)
            mask[ring : ring + rows, np.arange(angle, angle + columns) % angles] = True
            masks.append(mask)
    hidden = np.stack(masks)  # the first hides nothing
    shown = probability(
        np.where(hidden, normal[0], stress), None if rest is None else np.where(hidden, normal[1], rest)
    )
    fall = shown[0] - shown[1:]  # (patches, vessels)
    cover = hidden[1:].astype(np.float64)
    return np.asarray(np.tensordot(fall.T, cover, 1) / cover.sum(axis=0))
