"""The cut-offs of a protocol's own normals, what their number leaves in doubt, and limits from mixed patients."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf import perfusion
from myoperf.errors import InputError
from myoperf.perfusion.cutoffs import leave_out, leave_out_groups
from myoperf.perfusion.verdict import PUBLISHED
from myoperf.segments import segment_map
from myoperf.types import PolarMap

SHAPE = (24, 72)
LABEL = perfusion.LimitsLabel(name="a", version="1", state="stress", provenance="hand", licence="CC0")
SEGMENTS = segment_map(*SHAPE)


def maps(count, *, seed=0, share_ill=0.0, depth=0.5):
    """Normal maps that vary in broad patterns and in grain; the first share of them has a large defect."""
    rng = np.random.default_rng(seed)
    angle = np.deg2rad(np.arange(72) * 5.0)
    out = []
    for index in range(count):
        pattern = 0.05 * rng.normal() * np.cos(angle - rng.uniform(0, 6.28))
        values = 100.0 * (0.9 + pattern + 0.03 * rng.normal(size=SHAPE))
        if index < share_ill * count:
            values = np.where(np.isin(SEGMENTS, ((4, 10, 15), (1, 7, 13), (5, 11, 16))[index % 3]), depth, 1.0) * values
        out.append(PolarMap(values, np.zeros((*SHAPE, 3)), np.ones(SHAPE)))
    return out


def test_each_normal_is_measured_against_the_others_and_5_percent_pass_the_cut_off():
    """Measured against limits that hold it, a normal is nearer to them: the cut-off would be too low."""
    normals = maps(60)
    limits = perfusion.build_limits(normals, LABEL)
    left_out = leave_out(normals, LABEL)
    one = [m for i, m in enumerate(normals) if i != 7]
    assert (
        left_out[7][0].tpd_percent
        == perfusion.measure_perfusion(normals[7], perfusion.build_limits(one, LABEL)).tpd_percent
    )
    within = np.mean([perfusion.measure_perfusion(m, limits).tpd_percent for m in normals])
    assert np.mean([p.tpd_percent for p, _ in left_out]) > within
    cutoffs = perfusion.with_cutoffs(limits, normals, left_out=left_out).cutoffs
    tpd = np.array([p.tpd_percent for p, _ in left_out])
    assert cutoffs.tpd_percent == pytest.approx(max(1.0, np.quantile(tpd, 0.95, method="median_unbiased")))
    assert cutoffs.n == 60
    assert cutoffs.sds is cutoffs.tid_ratio is None


def test_cut_offs_of_pairs_and_whole_numbers():
    """Of 0 to 39 the 95 percent quantile is 37.7: abnormal from 38 on."""
    normals = maps(25)
    limits = perfusion.with_cutoffs(
        perfusion.build_limits(normals, LABEL), normals, sds=range(40), tid_ratios=[1 + i / 100 for i in range(40)]
    )
    assert limits.cutoffs.sds == 38
    assert limits.cutoffs.tid_ratio == pytest.approx(1.377, abs=0.01)
    few = perfusion.with_cutoffs(perfusion.build_limits(normals, LABEL), normals, sds=range(19))
    assert few.cutoffs.sds is None


def test_fewer_than_20_normals_tell_no_95_percent():
    normals = maps(19)
    limits = perfusion.with_cutoffs(perfusion.build_limits(normals, LABEL), normals)
    assert limits.cutoffs is None
    assert limits.jackknife is not None
    assert perfusion.cutoffs_of(limits, None) is PUBLISHED


def test_the_verdict_s_cut_offs_come_from_the_limits_of_each_state():
    stress = perfusion.with_cutoffs(perfusion.build_limits(maps(25), LABEL), maps(25))
    own = replace(stress, cutoffs=replace(stress.cutoffs, tpd_percent=2.2, summed_score=3))
    both = perfusion.cutoffs_of(own, replace(own, cutoffs=replace(own.cutoffs, tpd_percent=3.3)))
    assert (both.tpd_percent, both.summed_score, both.rest_tpd_percent) == (2.2, 3, 3.3)
    assert both.own
    assert "25 normal patients" in both.source
    assert set(both.published) == {"sds", "tid_ratio"}, "limits without pairs hold no cut-offs of a comparison"
    pairs = replace(own, cutoffs=replace(own.cutoffs, sds=3, tid_ratio=1.12))
    assert perfusion.cutoffs_of(pairs, own).published == {}
    alone = perfusion.cutoffs_of(None, own)
    assert (alone.tpd_percent, alone.rest_tpd_percent) == (PUBLISHED.tpd_percent, 2.2)


def test_cut_offs_and_the_jackknife_survive_the_disk(tmp_path):
    limits = perfusion.with_cutoffs(perfusion.build_limits(maps(25), LABEL), maps(25))
    limits = replace(limits, corrected=True, position="prone", reconstruction="OSEM")
    perfusion.write_limits(tmp_path / "l.npz", limits)
    back = perfusion.read_limits(tmp_path / "l.npz")
    assert back.cutoffs == limits.cutoffs
    assert (back.corrected, back.position, back.reconstruction) == (True, "prone", "OSEM")
    ill = maps(1, seed=5, share_ill=1.0, depth=0.6)[0]
    assert perfusion.database_sd_percent(ill, back) == pytest.approx(
        perfusion.database_sd_percent(ill, limits), rel=0.02
    )


def test_impossible_cut_offs_are_refused(tmp_path):
    limits = perfusion.with_cutoffs(perfusion.build_limits(maps(25), LABEL), maps(25))
    perfusion.write_limits(tmp_path / "l.npz", replace(limits, cutoffs=replace(limits.cutoffs, tpd_percent=-1.0)))
    with pytest.raises(InputError, match="cut-offs must be numbers above 0"):
        perfusion.read_limits(tmp_path / "l.npz")


def test_the_doubt_from_the_number_of_normals_is_that_of_databases_drawn_anew():
    """Against the spread over 60 databases of 30 normals; the formula for files without groups is no smaller."""
    ill = maps(1, seed=5, share_ill=1.0, depth=0.6)[0]
    drawn = [perfusion.build_limits(maps(30, seed=100 + i), LABEL) for i in range(60)]
    spread = np.std([perfusion.measure_perfusion(ill, limits).tpd_percent for limits in drawn], ddof=1)
    told = []
    for seed in range(8):
        normals = maps(30, seed=200 + seed)
        limits = replace(perfusion.build_limits(normals, LABEL), jackknife=leave_out_groups(normals, LABEL))
        told.append(perfusion.database_sd_percent(ill, limits))
    assert np.mean(told) == pytest.approx(spread, rel=0.35)
    assert perfusion.database_sd_percent(ill, drawn[0]) > 0.8 * spread


def test_a_department_s_mixed_patients_give_the_limits_of_its_healthy_ones():
    """Pooled as if all were normal, 40 percent of patients with disease lower the limits."""
    mixed, healthy = maps(100, seed=3, share_ill=0.4), maps(100, seed=3)[40:]
    robust, kept = perfusion.build_robust_limits(mixed, LABEL)
    truth, naive = perfusion.build_limits(healthy, LABEL), perfusion.build_limits(mixed, LABEL)
    wrong = [np.abs(limits.lower / truth.lower - 1).mean() for limits in (robust, naive)]
    assert wrong[0] < 0.03
    assert wrong[1] > 3 * wrong[0]
    assert set(kept) <= set(range(40, 100))
    assert len(kept) >= 50


def test_diffuse_loss_shows_what_lies_above_the_limit_everywhere():
    limits = perfusion.build_limits(maps(40), LABEL)
    normal = PolarMap(limits.mean, np.zeros((*SHAPE, 3)), np.ones(SHAPE))
    spread_out = replace(normal, values=np.where(np.arange(72) < 20, 1.0, 0.93) * limits.mean)
    assert perfusion.measure_perfusion(spread_out, limits).tpd_percent < 1.0
    gained = perfusion.diffuse_loss(spread_out, limits) - perfusion.diffuse_loss(normal, limits)
    assert gained == pytest.approx(0.72 * 7.0, abs=1.0)
