"""Every finding is provoked once, and keeps silent where nothing is wrong. Views are sums of Gaussian blobs."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import AnalysisError
from myoperf.quality import check_quality, lung_heart_ratio
from myoperf.quality.checks import check_attenuation, check_orientation
from myoperf.quality.counts import beat_spread_percent, check_gates, check_views, place_in_views
from myoperf.segments import segment_map
from myoperf.types import LVFrame, PolarMap, Projections, Scan, Volume
from support.ventricle import Ventricle, grid_about, points_of

FRAME = LVFrame((62, -72, -18), (22, -22, 18), (0, -0.5, 0.8))
VENTRICLE = Ventricle(frame=FRAME, outer=(32.0, FRAME.length_mm + 5.0), inner=(22.0, FRAME.length_mm - 5.0))
HEART = FRAME.centre_mm
VIEWS, ROWS, COLUMNS, PIXEL = 60, 48, 64, 6.6
ANGLES = (225 - 3 * np.arange(VIEWS)) % 360
# (centre, SD in mm, counts of the brightest pixel)
BODY, LIVER, LV = ((0, 0, 0), 75.0, 25.0), ((-70, 10, -75), 35.0, 50.0), (HEART, 24.0, 260.0)


def views(*, moved=None, blobs=(BODY, LIVER, LV), seed=1, noise=True, angles=ANGLES):
    """Project blobs; `moved` is (views, 3) in LPS mm."""
    empty = Projections(np.zeros((1, angles.size, ROWS, COLUMNS)), angles, (PIXEL, PIXEL))
    total = np.zeros((angles.size, ROWS, COLUMNS))
    grid = np.indices((ROWS, COLUMNS))
    moved = np.zeros((angles.size, 3)) if moved is None else moved
    for view in range(angles.size):
        for centre, sd, counts in blobs:
            row, column = (place[view] for place in place_in_views(empty, np.asarray(centre) + moved[view]))
            square = (grid[0] - row) ** 2 + (grid[1] - column) ** 2
            total[view] += counts * np.exp(-0.5 * square * PIXEL**2 / sd**2)
    if noise:
        total = np.random.default_rng(seed).poisson(total)
    return replace(empty, array=total.astype(np.float32))


def wall_and_labels(*, gut=0.0):
    """Return the wall as volume and labels, with a bright spot of gut below it."""
    affine = grid_about(HEART, (40,) * 3, 5.0)
    points = points_of(affine, (40,) * 3)
    labels = VENTRICLE.labels(points)
    array = np.where(labels == 1, 100.0, 8.0)
    array[np.linalg.norm(points - HEART + 54 * FRAME.anterior, axis=-1) < 18] = gut
    return Volume(array.astype(np.float32), affine), Volume(labels, affine)


def codes(found):
    return {finding.code: finding.severity for finding in found}


def check(projections=None, *, gut=0.0, frame=FRAME, **scan):
    volume, labels = wall_and_labels(gut=gut)
    image = projections if projections is not None else volume
    return codes(check_quality(Scan(image, **scan), volume, labels, frame))


def test_a_good_scan_gives_no_finding():
    assert check(views()) == {}


def test_few_counts():
    few = [(*blob[:2], blob[2] * share) for blob in (BODY, LIVER, LV) for share in (0.1,)]
    some = [(*blob[:2], blob[2] * 0.25) for blob in (BODY, LIVER, LV)]
    assert check(views(blobs=few)).get("low-counts") == "warning"
    assert check(views(blobs=some)).get("low-counts") == "info"


def test_gates_that_lost_beats():
    assert check_gates(np.full(8, 1e5)) == ()
    counts = np.full(8, 1e5)
    counts[-1] = 7e4
    assert codes(check_gates(counts)) == {"gating-error": "warning"}
    assert "varied in length by about 9 %" in check_gates(counts)[0].message
    counts[0] = 7e4
    assert "the gating failed" in check_gates(counts)[0].message, "short beats do not empty the first gate"
    array = np.repeat(views().array / 8, 8, axis=0)
    array[7] *= 0.6
    assert "gating-error" in check(replace(views(), array=array), framing="gated")


@pytest.mark.parametrize(("gates", "spread"), [(8, 0.04), (8, 0.10), (16, 0.07)])
def test_the_spread_of_beats_follows_from_the_counts_they_take_from_the_last_gates(gates, spread):
    length = np.random.default_rng(gates).normal(1.0, spread, 20_000)
    clock = np.arange(gates) / gates
    counts = np.clip(length[:, None] - clock, 0.0, 1.0 / gates).sum(axis=0) * 1e3
    assert beat_spread_percent(counts) == pytest.approx(100.0 * spread, rel=0.05)


def test_gates_that_do_not_fall_towards_the_end_tell_nothing_of_the_beats():
    assert beat_spread_percent(np.full(8, 1e5)) == 0.0
    assert beat_spread_percent(np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.7, 1.0, 1.0])) is None
    assert beat_spread_percent(np.zeros(8)) is None


def test_a_view_that_flickers():
    flicker = views().array.copy()
    flicker[:, 20] *= 0.7
    assert codes(check_views(replace(views(), array=flicker))) == {"view-counts": "warning"}


def test_truncated_heart_and_body():
    away = np.array((110.0, 40.0, 60.0))
    assert check(views(), frame=LVFrame(FRAME.apex_mm + away, FRAME.base_mm + away, FRAME.anterior)).get(
        "heart-truncated"
    )
    wide = ((0, 0, 0), 170.0, 60.0)
    assert check(views(blobs=(wide, LV))).get("body-truncated") == "info"


def test_gut_beside_the_inferior_wall():
    assert check(gut=80.0) == {"hot-gut": "info"}
    assert check(gut=200.0) == {"hot-gut": "warning"}
    assert check(gut=20.0) == {}


def test_doubtful_orientation():
    mirrored = LVFrame(FRAME.apex_mm * (-1, 1, 1), FRAME.base_mm * (-1, 1, 1), FRAME.anterior)
    assert check_orientation(FRAME) == ()
    assert "orientation-doubt" in codes(check_orientation(LVFrame(FRAME.base_mm, FRAME.apex_mm, FRAME.anterior)))
    assert "orientation-doubt" in codes(check_orientation(LVFrame(FRAME.apex_mm, FRAME.base_mm, -FRAME.anterior)))
    assert "orientation-doubt" in codes(check_orientation(mirrored))


def test_attenuation_pattern():
    values = np.full((24, 72), 100.0)
    flat = PolarMap(values, np.zeros((24, 72, 3)), np.ones((24, 72)))
    assert check_attenuation(flat) == ()
    for segments, word in (((4, 10), "inferior wall"), ((1, 7), "anterior wall")):
        weak = np.where(np.isin(segment_map(24, 72), segments), 70.0, values)
        (finding,) = check_attenuation(replace(flat, values=weak))
        assert finding.code == "attenuation-pattern"
        assert word in finding.message
        assert "can cause this, and so can disease" in finding.message
    for percent, said in ((80.1, 0), (79.9, 1), (50.1, 1), (49.9, 0), (32.0, 0)):  # 32 percent is no attenuation
        weak = np.where(np.isin(segment_map(24, 72), (4, 10)), percent, values)
        assert len(check_attenuation(replace(flat, values=weak))) == said


@pytest.mark.parametrize(
    ("kind", "said"), [({}, True), ({"attenuation_corrected": True}, False), ({"modality": "PT"}, False)]
)
def test_only_spect_without_correction_is_checked_for_attenuation(kind, said):
    volume, labels = wall_and_labels()
    scan = Scan(volume, state="stress", **kind)
    weak = np.where(np.isin(segment_map(24, 72), (4, 10)), 70.0, 100.0)
    polar = PolarMap(weak, np.zeros((24, 72, 3)), np.ones((24, 72)))
    codes = {f.code for f in check_quality(scan, volume, labels, FRAME, polar=polar)}
    assert ("attenuation-pattern" in codes) is said


def test_lung_heart_ratio_of_known_activity():
    lung = (HEART + np.array((0, 0, 75)), 30.0, 100.0)
    plain = lung_heart_ratio(views(blobs=(LV,), noise=False), HEART)
    with_lung = lung_heart_ratio(views(blobs=(LV, lung), noise=False), HEART)
    assert plain < 0.03
    assert 0.35 < with_lung < 0.55
    with pytest.raises(AnalysisError, match="outside"):
        lung_heart_ratio(views(), HEART + np.array((0, 0, 110)))
    with pytest.raises(AnalysisError, match="outside the raw views"):
        lung_heart_ratio(views(), HEART + np.array((0, 0, 1000)))
    with pytest.raises(AnalysisError, match="no counts"):
        lung_heart_ratio(replace(views(), array=np.zeros((1, VIEWS, ROWS, COLUMNS))), HEART)


def test_messages_tell_no_names_and_end_with_a_point():
    volume, labels = wall_and_labels(gut=200.0)
    for finding in check_quality(Scan(views(blobs=(LV,), seed=4)), volume, labels, FRAME):
        assert finding.message.endswith(".")


def test_views_without_counts_are_judged_without_an_error():
    assert check_gates(np.zeros(8)) == ()
