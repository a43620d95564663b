import numpy as np
import pytest
from scipy import ndimage

from myoperf.lv.metrics import hausdorff95_mm


def by_transform(a, b, spacing):
    """The definition: distance transforms of both edges, over the whole field."""
    edges = [m & ~ndimage.binary_erosion(m) for m in (a, b)]
    ways = [ndimage.distance_transform_edt(~there, sampling=spacing)[here] for here, there in (edges, reversed(edges))]
    return max(np.percentile(way, 95) for way in ways)


def blob(rng, shape, share):
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), rng.uniform(0.4, 3))
    return noise > np.quantile(noise, 1 - share)


@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_distance_transforms_value_for_masks_of_any_kind(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(7, 24, 3))
    spacing = tuple(rng.uniform(0.5, 7, 3))
    a, b = (blob(rng, shape, rng.uniform(0.01, 0.8)) for _ in range(2))
    assert hausdorff95_mm(a, b, spacing) == pytest.approx(by_transform(a, b, spacing), rel=1e-9)


def test_masks_far_apart_and_at_the_end_of_the_field():
    a, b = np.zeros((2, 40, 9, 12), dtype=bool)
    a[0:3, 0:3, 0:3] = True
    b[35:40, 6:9, 8:12] = True
    assert hausdorff95_mm(a, b, (2, 3, 4)) == pytest.approx(by_transform(a, b, (2, 3, 4)), rel=1e-9)
    assert hausdorff95_mm(b, a, (2, 3, 4)) == hausdorff95_mm(a, b, (2, 3, 4))
    assert hausdorff95_mm(np.asfortranarray(a), a, 1) == 0.0
