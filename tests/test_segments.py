"""The 17 and 20 segments: where they lie, how much of the map they own, whose they are."""

import numpy as np
import pytest

from myoperf import segments
from myoperf.errors import InputError
from myoperf.segments import AHA17, SEGMENTS20


@pytest.mark.parametrize(
    ("fraction", "angle", "segment"),
    [(0.9, 0, 1), (0.9, 60, 2), (0.9, 120, 3), (0.9, 180, 4), (0.9, 240, 5), (0.9, 300, 6), (0.6, 359, 7),
     (0.6, 60, 8), (0.6, 180, 10), (0.3, 0, 13), (0.3, 90, 14), (0.3, 180, 15), (0.3, 270, 16), (0.05, 77, 17)],
)  # fmt: skip
def test_a_place_belongs_to_its_segment(fraction, angle, segment):
    assert segments.segment_of(fraction, angle) == segment


@pytest.mark.parametrize(
    ("fraction", "angle", "segment", "name"),
    [(0.3, 0, 1, "distal anterior"), (0.3, 60, 2, "distal anteroseptal"), (0.3, 180, 4, "distal inferior"),
     (0.6, 240, 11, "mid inferolateral"), (0.9, 0, 13, "basal anterior"), (0.9, 300, 18, "basal anterolateral"),
     (0.05, 20, 19, "anteroapical"), (0.05, 300, 19, "anteroapical"), (0.05, 180, 20, "inferoapical")],
)  # fmt: skip
def test_a_place_belongs_to_its_segment_of_twenty(fraction, angle, segment, name):
    assert segments.segment_of(fraction, angle, model=SEGMENTS20) == segment
    assert SEGMENTS20.names[segment - 1] == name


@pytest.mark.parametrize("model", [AHA17, SEGMENTS20])
def test_every_segment_has_samples_and_a_uniform_map_gives_uniform_means(model):
    assert set(np.unique(segments.segment_map(24, 72, model=model))) == set(range(1, model.count + 1))
    means = segments.segment_means(np.full((2, 24, 72), 3.5), model=model)
    assert means.shape == (2, model.count)
    assert np.allclose(means, 3.5)


def test_both_models_share_walls_levels_and_vessels_where_they_agree():
    """Basal and mid segments differ in number alone; the apex is one segment or two."""
    whole, twenty = segments.segment_map(48, 144), segments.segment_map(48, 144, model=SEGMENTS20)
    for segment in range(1, 13):
        assert np.array_equal(whole == segment, twenty == (segment + 12 if segment <= 6 else segment))
        partner = segment + 12 if segment <= 6 else segment
        assert segments.territory_of(segment) == segments.territory_of(partner, SEGMENTS20.territories)
    assert np.array_equal(whole == 17, twenty >= 19)


def test_a_map_too_coarse_for_segments_is_refused():
    with pytest.raises(InputError, match="too coarse"):
        segments.segment_means(np.ones((2, 4)))


@pytest.mark.parametrize("model", [AHA17, SEGMENTS20])
def test_territories_share_the_segments_without_overlap(model):
    everything = sorted(s for group in model.territories.values() for s in group)
    assert everything == list(range(1, model.count + 1))
    assert segments.territory_of(17) == "LAD"


def test_territories_by_default_are_those_of_the_published_expert_labels():
    assert dict(segments.TERRITORIES) == {
        "LAD": (1, 2, 7, 8, 13, 14, 17), "RCA": (3, 4, 9, 10, 15), "LCX": (5, 6, 11, 12, 16),
    }  # fmt: skip


def test_a_segment_moves_to_another_vessel_and_the_default_stays():
    other = segments.assign_segments({16: "LAD"})
    assert segments.territory_of(16, other) == "LAD"
    assert 16 not in other["LCX"]
    assert segments.territory_of(16) == "LCX"
    assert sorted(s for group in other.values() for s in group) == list(range(1, 18))


def test_territories_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="1 to 17"):
        segments.assign_segments({18: "LAD"})
    with pytest.raises(InputError, match="LAD, LCX, RCA"):
        segments.assign_segments({16: "LM"})
    with pytest.raises(InputError, match="once"):
        segments.assign_segments({}, territories={"LAD": (1, 2), "LCX": (2,), "RCA": ()})
    with pytest.raises(InputError, match="1 to 17"):
        segments.territory_of(0)
