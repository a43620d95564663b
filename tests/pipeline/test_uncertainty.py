"""Intervals of a whole study, patient motion undone, and checks of the phase, on small simulated scans."""

from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.gated import fit_volume_curve, measure_synchrony
from myoperf.lv import LVFit
from myoperf.pipeline import Models, Options, analyze, uncertainty
from myoperf.pipeline.scan import check_phase
from myoperf.pipeline.scoring import MatchedLimits, _cavity_ratio
from myoperf.pipeline.uncertainty import measure_intervals
from myoperf.quality.counts import place_in_views
from myoperf.report.contract import results_json
from myoperf.report.numbers import numbers_table
from myoperf.types import FunctionResult, LVFrame, Projections, Scan, Study
from myoperf.ventricle.rays import lay_rays

FRAME = LVFrame((50.0, -50.0, -35.0), (0.0, -2.0, 1.0), (0.0, -0.5, 0.8))
VIEWS, SIDE, PIXEL = 32, 48, 6.6
ANGLES = (225 - 180 / VIEWS * np.arange(VIEWS)) % 360


def wall_points():
    rays = lay_rays(FRAME)
    distance = np.full(rays.direction.shape[:2], 24.0)
    inside = rays.height_mm < rays.base_mm
    return rays.points(distance)[inside].reshape(-1, 3)


def views(seed=0, *, gates=1, moved_mm=0.0):
    """Project points of a wall as Gaussian blobs, with Poisson noise; gates alike."""
    empty = Projections(np.zeros((1, VIEWS, SIDE, SIDE)), ANGLES, (PIXEL, PIXEL))
    points = wall_points()[::5]
    total = np.zeros((VIEWS, SIDE, SIDE))
    grid = np.arange(SIDE)
    for point in points:
        row, column = place_in_views(empty, point)
        for view in range(VIEWS):
            up = row[view] + (moved_mm / PIXEL if view >= 20 else 0.0)
            along = np.exp(-0.5 * ((grid - up) * PIXEL / 7.0) ** 2)
            total[view] += np.outer(along, np.exp(-0.5 * ((grid - column[view]) * PIXEL / 7.0) ** 2))
    mean = 60.0 * total / total.max() + 0.5
    noisy = np.random.default_rng(seed).poisson(np.repeat(mean[None] / gates, gates, axis=0))
    return replace(empty, array=noisy.astype(np.float32))


SCAN = Scan(views(3))


def labels_of(volume, frame):
    """Label a thick half shell about the frame's axis: what a segmentation gives, without looking."""
    index = np.indices(volume.grid_shape).reshape(3, -1).T
    place = index @ volume.lps_from_index[:3, :3].T + volume.lps_from_index[:3, 3] - frame.centre_mm
    height = place @ frame.axis
    far = np.linalg.norm(place - np.maximum(height, 0)[:, None] * frame.axis, axis=1)
    label = np.where(far < 19, 2, np.where(far < 29, 1, 0)) * (height < 0.5 * frame.length_mm)
    return volume.summed().with_array(label.reshape(volume.grid_shape).astype(np.uint8))


MODELS = Models(
    find_lv=lambda volume: LVFit(FRAME, labels_of(volume, FRAME), 1.0, ()),
    segment_lv=lambda volume, frame: (labels_of(volume, frame), ()),
)


@pytest.fixture(scope="module")
def report():
    scans = (Scan(views(1), state="stress"), Scan(views(2, gates=8), state="rest", framing="gated"))
    return analyze(Study(scans, sex="M"), MODELS, Options(interval_draws=3, seed=4))


def test_every_number_has_an_interval_that_holds_it(report):
    found = results_json(report)["intervals"]
    assert set(found) == {"stress", "rest", "scores"}
    assert {f"segments_percent.{i}" for i in range(1, 18)} <= set(found["stress"])
    assert {"edv_ml", "esv_ml", "lvef_percent", "phase_sd_uncorrected_deg", "mass_g"} <= set(found["rest"])
    assert {"tid_ratio", "tpd_stress_percent", "sss"} <= set(found["scores"])
    for numbers in found.values():
        for entry in numbers.values():
            assert entry["low"] <= entry["value"] <= entry["high"]
            assert entry["draws"] == 3
            assert entry["source"] in ("counts", "counts and model")
    assert found["rest"]["lvef_percent"]["source"] == "counts and model"
    assert found["stress"]["segments_percent.1"]["source"] == "counts"
    assert found["rest"]["edv_ml"]["value"] == report.results[1].function.edv_ml
    assert found["rest"]["edv_ml"]["sd"] > 0
    assert min(entry["low"] for entry in found["scores"].values()) >= 0, "a score cannot be negative"


def test_a_wall_that_does_not_beat_has_no_phase(report):
    synchrony = report.results[1].function.synchrony
    assert synchrony.phase_sd_deg is None
    assert "phase-unreliable" in {finding.code for finding in report.results[1].findings}
    assert "phase_sd_deg" not in report.intervals["rest"]


def test_draws_measured_at_once_are_those_measured_one_by_one(report, monkeypatch):
    study = Study((report.study.scans[0],), sex="M")
    drawn = []
    for threads, memory in (("1", 1), ("3", 10**9)):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        monkeypatch.setattr(uncertainty, "_MOST_BYTES", memory)
        drawn.append(analyze(study, MODELS, Options(interval_draws=3, seed=4)).intervals)
    assert drawn[0] == drawn[1]
    assert drawn[0]["stress"]["segments_percent.3"].sd > 0


def test_a_draw_without_a_ventricle_does_not_count(report):
    def label(posed):
        return [None if k == 1 else labels_of(*case) for k, case in enumerate(posed)]

    study = Study((Scan(report.results[0].volume, state="rest"),))
    some = analyze(study, replace(MODELS, segment_all=label), Options(interval_draws=5)).intervals["rest"]
    assert some["cavity_ml"].draws == 4


def test_views_that_are_not_counts_have_no_interval(report):
    (scan,) = report.study.scans[:1]
    below = replace(scan.image, array=scan.image.array - 1.0)
    result = replace(report.results[0], scan=replace(scan, image=below))
    scores = report.scores
    assert measure_intervals([result], scores, MatchedLimits({}, ()), MODELS, Options(interval_draws=3)) == {}


def test_the_report_shows_the_intervals(report):
    rows = {row[0]: row for row in numbers_table(report).rows}
    assert " to " in rows["End-diastolic volume (EDV)"][2]
    assert " to " in rows["Transient ischaemic dilation (TID)"][3]


def test_without_draws_the_contract_s_keys_stay_as_they_are(report):
    bare = analyze(report.study, MODELS, Options(interval_draws=0))
    assert "intervals" not in results_json(bare)
    with pytest.raises(InputError, match="3 draws"):
        Options(interval_draws=2)


def test_tid_compares_model_walls_and_falls_back_on_labels(report):
    stress, rest = report.results
    assert report.scores.tid_ratio == pytest.approx(1.0, abs=0.1)
    short = replace(FRAME, base_mm=FRAME.apex_mm + 20.0 * FRAME.axis)
    fallen = _cavity_ratio(replace(stress, frame=short, cavity_ml=90.0), replace(rest, cavity_ml=60.0))
    assert fallen == pytest.approx(1.5)


def test_volumes_without_views_get_the_outline_s_doubt(report):
    volume = report.results[0].volume
    drawn = analyze(Study((Scan(volume, state="rest"),)), MODELS, Options(interval_draws=3)).intervals["rest"]
    assert {entry.source for entry in drawn.values()} == {"outline"}, "no function, so no error of its model"
    assert drawn["cavity_ml"].sd > 0
    assert "lung_heart_ratio" not in drawn


def test_patient_motion_is_undone_or_reported_as_the_options_say():
    spoilt, still = (replace(SCAN, image=views(3, moved_mm=moved)) for moved in (14.0, 0.0))
    results = {
        (name, motion): analyze(Study((scan,)), MODELS, Options(interval_draws=0, motion=motion)).results[0]
        for name, scan, motion in (
            ("still", still, "auto"),
            ("moved", spoilt, "auto"),
            ("moved", spoilt, "report"),
            ("moved", spoilt, "off"),
        )
    }
    about = {key: [f for f in one.findings if "motion" in f.code] for key, one in results.items()}
    assert about["still", "auto"] == about["moved", "off"] == []
    (undone,), (reported,) = about["moved", "auto"], about["moved", "report"]
    assert (undone.code, undone.severity) == ("motion-corrected", "info")
    assert "12 of 32 raw views" in undone.message
    assert (reported.code, reported.severity) == ("patient-motion", "warning")
    mended = results["moved", "auto"].scan.image.array
    off = [np.abs(array - still.image.array).sum() for array in (spoilt.image.array, mended)]
    assert off[1] < 0.75 * off[0]
    for key in (("still", "auto"), ("moved", "report"), ("moved", "off")):
        given = still if key[0] == "still" else spoilt
        assert np.array_equal(results[key].scan.image.array, given.image.array)


def with_phase(**changes):
    """Function of a beat whose wall contracts in step, with some numbers of its phase changed."""
    beat = np.cos(2 * np.pi * (np.arange(8) + 0.5) / 8)[:, None, None] * np.ones((24, 36))
    return FunctionResult(100.0, 40.0, 60.0, synchrony=replace(measure_synchrony(1 + 0.2 * beat), **changes))


def test_a_phase_that_is_noise_is_a_finding():
    assert check_phase(with_phase()) == ()
    (finding,) = check_phase(with_phase(phase_reliable=False, phase_noise_deg=14.2))
    assert (finding.code, finding.severity) == ("phase-unreliable", "warning")
    assert "14 degrees" in finding.message
    (few,) = check_phase(with_phase(phase_reliable=False, phase_noise_deg=0.0))
    assert "too few gates" in few.message


def test_the_phase_of_gates_without_a_beat_is_not_blamed_on_noise():
    still = replace(with_phase(phase_reliable=False, phase_noise_deg=8.0), curve=fit_volume_curve(np.full(8, 90.0)))
    (finding,) = check_phase(still)
    assert "the gates show no beat" in finding.message
    assert "noise leaves" not in finding.message


def test_thickness_and_motion_of_two_phases_are_a_finding():
    time = (np.arange(8) + 0.5) / 8
    angle = np.deg2rad(np.arange(36) * 10.0)
    side = np.sin(0.5 * np.pi * (np.arange(24) + 0.5) / 24)[:, None] * np.cos(angle)

    def beating(delay_deg):
        return np.cos(2 * np.pi * time[:, None, None] - np.deg2rad(150.0 + delay_deg))

    noise = np.random.default_rng(2).normal(0, 0.05, (8, 24, 36))
    told = []
    for sign in (1.0, -1.0):
        phase = measure_synchrony(1 + 0.2 * beating(20 * side) + noise, 3.0 * beating(sign * 20 * side))
        told.append([f.code for f in check_phase(FunctionResult(100.0, 40.0, 60.0, synchrony=phase))])
    assert told == [[], ["phase-disagrees"]]
