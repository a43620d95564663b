"""The 17 segments: where they lie and how much of the map they own."""

import numpy as np
import pytest

from myoperf import segments
from myoperf.errors import InputError


@pytest.mark.parametrize(
    ("fraction", "angle", "segment"),
    [(0.9, 0, 1), (0.9, 60, 2), (0.9, 120, 3), (0.9, 180, 4), (0.9, 240, 5), (0.9, 300, 6), (0.6, 359, 7),
     (0.6, 60, 8), (0.6, 180, 10), (0.3, 0, 13), (0.3, 90, 14), (0.3, 180, 15), (0.3, 270, 16), (0.05, 77, 17)],
)  # fmt: skip
def test_a_place_belongs_to_its_segment(fraction, angle, segment):
    assert segments.segment_of(fraction, angle) == segment


def test_every_segment_has_samples_and_a_uniform_map_gives_uniform_means():
    assert set(np.unique(segments.segment_map(24, 72))) == set(range(1, 18))
    assert np.allclose(segments.segment_means(np.full((2, 24, 72), 3.5)), 3.5)


def test_a_map_too_coarse_for_segments_is_refused():
    with pytest.raises(InputError, match="too coarse"):
        segments.segment_means(np.ones((2, 4)))


def test_territories_share_the_segments_without_overlap():
    everything = sorted(s for group in segments.TERRITORIES.values() for s in group)
    assert everything == list(range(1, 18))
    assert segments.territory_of(17) == "LAD"
