"""Simulated volumes with the true pose and labels of the left ventricle, to train on in addition to real ones.

Readers draw the wall as it looks: blurred, so nearly twice as thick as it is. A network that learns from their masks
and from simulation must be taught one meaning of "wall"; here it is the *apparent* wall, which a reader would draw at
two fifths of the maximum across it (`apparent_labels`). Everything that is measured on simulated patients keeps the
anatomical labels as its truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import ndimage

from myoperf.phantom.fast import Kind, czt_field, image_model, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid
from myoperf.research.lv_network.cases import Case
from myoperf.types import BLOOD_POOL, MYOCARDIUM, State, Volume

LOCAL_MM = 14.0
"""How far "nearby" reaches: across a blurred wall, but not to the opposite one."""
READER_LEVEL = 0.4
"""Share of the maximum nearby at which readers draw the edge: in the open volumes of patients P01-P25
(doi:10.13026/ce2z-dw74) the voxels on the two sides of a drawn edge have a median of 0.50 and 0.34."""


@dataclass(frozen=True)
class ImageGrid:
    """The grids of images from one kind of camera.

    Parameters
    ----------
    shape
        Planes, rows, columns.
    smallest_mm, largest_mm
        Side of the cubic voxels, drawn uniformly between the two.
    """

    shape: tuple[int, int, int]
    smallest_mm: float
    largest_mm: float


KINDS: Mapping[Kind, ImageGrid] = MappingProxyType(
    {
        "spect": ImageGrid((56, 64, 64), 5.8, 7.0),
        "czt": ImageGrid((60, 88, 88), 4.0, 4.0),
        "pet": ImageGrid((52, 80, 80), 3.6, 4.6),
    }
)


def draw_case(
    seed: int,
    index: int,
    kind: Kind,
    *,
    apparent: bool = True,
    grid: ImageGrid | None = None,
) -> Case:
    """Simulate one image in image space (`myoperf.phantom.fast`) with labels and pose.

    Depends on (seed, kind, index) alone; stress where the index is even, rest where it is odd.
    Images of the CZT kind are cut to that camera's small field.

    Parameters
    ----------
    seed, index
        Which case.
    kind
        Camera of the image-space model.
    apparent
        Label the wall as it looks at the image's resolution instead of its anatomy.
    grid
        Default: that of the kind.
    """
    grid = grid or KINDS[kind]
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind), index])
    patient = draw_patient(rng)
    model = image_model(kind, rng, tracer=patient.tracer)
    spacing = float(rng.uniform(grid.smallest_mm, grid.largest_mm))
    state: State = "rest" if index % 2 else "stress"
    image, labels, frame = simulate_fast(
        patient, rng, state=state, model=model, grid=Grid.centred(grid.shape, spacing, patient.scan_centre_mm)
    )
    if apparent:
        labels = apparent_labels(labels, across_mm=model.across_mm, along_mm=model.along_mm)
    if kind == "czt":
        field_seed = int(rng.integers(2**31))
        image = czt_field(image, frame.centre_mm, np.random.default_rng(field_seed))
        labels = czt_field(labels, frame.centre_mm, np.random.default_rng(field_seed))
        labels = labels.with_array(labels.array[0].astype(np.uint8))
    name = f"{kind}-{seed}-{index}"
    return Case(f"S{name}", name, image, labels, frame, simulated=True)


def apparent_labels(labels: Volume, *, across_mm: float, along_mm: float) -> Volume:
    """Label the wall as it looks when blurred: where it reaches `READER_LEVEL` of the maximum nearby.

    Parameters
    ----------
    labels
        Anatomical: 1 myocardium, 2 blood pool; planes along the body.
    across_mm, along_mm
        SD of the image's resolution in the plane and along the body.

    Returns
    -------
    uint8 on the same grid; the blood pool is what the apparent wall leaves of the anatomical cavity.
    """
    wall = labels.array[0] == MYOCARDIUM
    spacing = labels.spacing_mm
    sigma = np.array([along_mm, across_mm, across_mm]) / spacing
    blurred = ndimage.gaussian_filter(wall.astype(np.float32), sigma, truncate=3.0)
    reach = np.maximum(1, np.rint(LOCAL_MM / spacing)).astype(int)
    nearby = ndimage.maximum_filter(blurred, size=tuple(2 * reach + 1))
    apparent = (blurred >= READER_LEVEL * nearby) & (nearby > 0.1)
    pool = (labels.array[0] == BLOOD_POOL) & ~apparent
    return labels.with_array(np.where(apparent, MYOCARDIUM, np.where(pool, BLOOD_POOL, 0)).astype(np.uint8))
