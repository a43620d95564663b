"""Flow from a simulated dynamic volume, segment by segment, through images, polar maps and blood regions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from myoperf.errors import AnalysisError, InputError
from myoperf.flow import DynamicProtocol, blood_curves, flow_reserve, k1_from_flow, measure_flow, tissue_curve
from myoperf.polar import sample_polar_map
from myoperf.types import Volume
from support.ventricle import grid_about, make_ventricle, points_of, right_ventricle

SPACING, FWHM, SHAPE = 3.0, 5.0, (54, 54, 54)
VENTRICLE = make_ventricle((0.0, 0.0, 0.0), (-0.64, 0.6, 0.48), (0.0, -0.5, 0.8), radius=27.0, length=80.0, wall=11.0)
FRAME = VENTRICLE.frame
DURATION = np.concatenate([np.full(12, 5.0), np.full(6, 10.0), np.full(6, 30.0)])
START = np.concatenate([[0.0], np.cumsum(DURATION)[:-1]])
PROTOCOL = DynamicProtocol(tracer="Rb-82", start_s=START, duration_s=DURATION)
TIME = np.arange(0.0, START[-1] + DURATION[-1] + 1.0)
REST = np.where(np.isin(np.arange(1, 18), (4, 10, 15)), 0.5, 0.9)
STRESS = np.where(np.isin(np.arange(1, 18), (4, 10, 15)), 0.9, 2.4)


def bolus(arrival, width):
    t = np.maximum(TIME - arrival, 0) / width
    return 100 * t * np.exp(1 - t) + 8 * (1 - np.exp(-t / 3))


LEFT, RIGHT = bolus(18, 9), bolus(8, 7)


def averaged(curve):
    return np.array([curve[(a <= TIME) & (b > TIME)].mean() for a, b in zip(START, START + DURATION, strict=True)])


def dynamic(flows, tracer="Rb-82"):
    """Build wall, left and right blood, each with its curve; blur as PET does."""
    affine = grid_about(FRAME.centre_mm + 8 * FRAME.septal, SHAPE, SPACING)
    points = points_of(affine, SHAPE)
    labels, segment = VENTRICLE.labels(points), VENTRICLE.segments(points)
    parts = [(labels == 2, averaged(LEFT)), (right_ventricle(VENTRICLE, points), averaged(RIGHT))]
    for number, flow in enumerate(flows, start=1):
        curve = tissue_curve(float(k1_from_flow(flow, tracer)), 0.25, TIME, LEFT)
        parts.append(((labels == 1) & (segment == number), averaged(curve)))
    array = np.zeros((DURATION.size, *SHAPE), np.float32)
    for mask, curve in parts:
        smooth = ndimage.gaussian_filter(mask.astype(np.float32), FWHM / 2.3548 / SPACING)
        array += curve[:, None, None, None].astype(np.float32) * smooth
    return Volume(array, affine), Volume(labels, affine)


def flow_of(flows):
    volume, labels = dynamic(flows)
    polar = sample_polar_map(volume, labels, FRAME).mean
    return measure_flow(volume, labels, FRAME, polar, protocol=PROTOCOL)


@pytest.fixture(scope="module")
def both():
    return flow_of(STRESS), flow_of(REST)


def test_flow_of_segments_comes_back_from_images(both):
    stress, rest = both
    # The wall loses activity outwards: flow is low by that share, the same at stress and rest.
    assert rest.mbf_ml_min_g / REST == pytest.approx(0.85, abs=0.2)
    assert np.corrcoef(stress.mbf_ml_min_g, STRESS)[0, 1] > 0.97
    assert np.corrcoef(rest.mbf_ml_min_g, REST)[0, 1] > 0.95


def test_the_segments_with_a_poor_reserve_stand_out(both):
    reserve = flow_reserve(*(flow.mbf_ml_min_g for flow in both))
    poor = np.isin(np.arange(1, 18), (4, 10, 15))
    assert reserve[poor].max() < 2.2 < reserve[~poor].min()
    assert np.median(reserve[~poor]) == pytest.approx(2.4 / 0.9, rel=0.2)
    assert np.median(reserve[poor]) == pytest.approx(0.9 / 0.5, rel=0.2)


def test_blood_curves_are_those_of_the_two_ventricles():
    volume, labels = dynamic(REST)
    left, right = blood_curves(volume, labels, FRAME, sample_polar_map(volume, labels, FRAME).mean)
    assert left == pytest.approx(averaged(LEFT), rel=0.1, abs=3)
    assert right == pytest.approx(averaged(RIGHT), rel=0.15, abs=3)
    assert right.argmax() < left.argmax()


def test_impossible_input_is_refused():
    volume, labels = dynamic(REST)
    pair = sample_polar_map(volume, labels, FRAME)
    with pytest.raises(InputError, match="mean"):
        measure_flow(volume, labels, FRAME, pair.maximum, protocol=PROTOCOL)
    with pytest.raises(AnalysisError, match="labelled blood"):
        blood_curves(volume, labels.with_array(np.minimum(labels.array, 1)), FRAME, pair.mean)
    far = replace(pair.mean, mid_wall_mm=pair.mean.mid_wall_mm + 200.0 * FRAME.septal)
    with pytest.raises(AnalysisError, match="right ventricle lies outside"):
        blood_curves(volume, labels, FRAME, far)
