"""The classical left ventricle: closed-form shells, then the real studies."""

import numpy as np
import pytest

from myoperf.errors import AnalysisError, InputError
from myoperf.geometry import affine_from_axes, anterior_direction, rotate_frame, transform_points
from myoperf.lv import cavity_from_wall, find_lv, frame_from_mask, segment_lv
from myoperf.types import LVFrame, Volume
from support.torso import grid, make, shell


def degrees(one, two):
    return float(np.rad2deg(np.arccos(np.clip(one @ two, -1, 1))))


def centroid(labels, value=1):
    return transform_points(labels.lps_from_index, np.argwhere(labels.array[0] == value)).mean(axis=0)


def dice(one, two, value):
    a, b = one.array[0] == value, two.array[0] == value
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize(
    ("base", "axis"),
    [
        ((30, 8, 12), (-0.55, 0.75, 0.37)),
        ((10, 25, 0), (-0.20, 0.90, 0.30)),
        ((45, 0, 20), (-0.85, 0.40, 0.20)),
        ((25, 5, 25), (-0.40, 0.45, 0.80)),
    ],
)
def test_a_shell_is_found_where_it_lies(base, axis):
    heart = shell(base, axis)
    image, truth = make(heart, noise=0.4)
    fit = find_lv(image)
    assert np.linalg.norm(centroid(fit.labels) - centroid(truth)) < 5.0
    assert degrees(fit.frame.axis, heart.frame.axis) < 10.0
    assert np.linalg.norm(fit.frame.apex_mm - heart.frame.apex_mm) < 8.0
    assert fit.confidence > 0.5
    assert fit.labels.array.dtype == np.uint8
    assert fit.labels.grid_shape == image.grid_shape
    assert np.array_equal(fit.labels.lps_from_index, image.lps_from_index)


@pytest.mark.parametrize(
    "heart", [shell(), shell(outer=(30.0, 70.0), wall=12.0), shell(outer=(46.0, 105.0), wall=14.0)]
)
def test_wall_and_cavity_have_their_volumes(heart):
    image, truth = make(heart, fwhm=6.0)
    fit = find_lv(image)
    for value in (1, 2):
        found, true = ((v.array == value).sum() for v in (fit.labels, truth))
        assert found / true == pytest.approx(1.0, abs=0.16)
        assert dice(fit.labels, truth, value) > 0.85


@pytest.mark.parametrize(
    ("spacing", "shape"), [((5.0, 2.5, 2.5), (48, 104, 112)), (6.8, (40, 64, 64)), ((4.0, 4.0, 4.0), (50, 70, 70))]
)
def test_any_spacing(spacing, shape):
    image, truth = make(spacing=spacing, shape=shape, fwhm=10.0, noise=0.3)
    fit = find_lv(image)
    assert np.linalg.norm(centroid(fit.labels) - centroid(truth)) < 5.0
    assert degrees(fit.frame.axis, shell().frame.axis) < 10.0


@pytest.mark.slow
@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0, 270.0])
def test_a_defect_of_forty_percent_does_not_open_the_wall(angle):
    image, truth = make(defect=(angle, 72.0, 0.25), noise=0.3)
    fit = find_lv(image)
    assert np.linalg.norm(centroid(fit.labels) - centroid(truth)) < 6.0
    assert degrees(fit.frame.axis, shell().frame.axis) < 12.0
    assert dice(fit.labels, truth, 2) > 0.75
    assert "lv-open-wall" in {finding.code for finding in fit.findings}


def test_a_liver_hotter_than_the_heart_is_not_taken_for_it():
    image, truth = make(liver=2.5, noise=0.3)
    fit = find_lv(image)
    assert np.linalg.norm(centroid(fit.labels) - centroid(truth)) < 5.0


def test_hot_bowel_at_the_inferior_wall_is_said():
    image, truth = make(noise=0.3)
    _, points = grid()
    frame = shell().frame
    place = frame.base_mm - 35 * frame.axis - 52 * frame.anterior
    hot = ((points - place) ** 2).sum(-1) < 17**2
    fit = find_lv(image.with_array(np.where(hot, 160.0, image.array[0]).astype(np.float32)))
    assert np.linalg.norm(centroid(fit.labels) - centroid(truth)) < 6.0
    assert "lv-extracardiac-activity" in {finding.code for finding in fit.findings}
    assert "lv-extracardiac-activity" not in {finding.code for finding in find_lv(image).findings}


def test_turning_the_patient_turns_the_frame():
    image, _ = make(noise=0.2)
    turn = np.deg2rad(12.0)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix[:3, 3] = (7.0, -5.0, 9.0)
    before = rotate_frame(find_lv(image).frame, matrix)
    after = find_lv(Volume(image.array, matrix @ image.lps_from_index)).frame
    assert np.linalg.norm(after.apex_mm - before.apex_mm) < 4.0
    assert np.linalg.norm(after.base_mm - before.base_mm) < 5.0
    assert degrees(after.axis, before.axis) < 4.0
    assert degrees(after.anterior, before.anterior) < 6.0


def test_gates_are_summed_and_the_input_is_kept():
    image, _ = make()
    gated = Volume(np.repeat(image.array / 8, 8, axis=0), image.lps_from_index)
    copy = gated.array.copy()
    assert np.allclose(find_lv(gated).frame.apex_mm, find_lv(image).frame.apex_mm, atol=0.1)
    assert np.array_equal(gated.array, copy)


def test_a_cut_heart_is_said():
    image, _ = make()
    top = Volume(image.array[:, 22:], image.lps_from_index @ affine_from_axes((22, 0, 0), np.eye(3), 1.0))
    assert {"lv-at-edge", "lv-uncertain"} & {finding.code for finding in find_lv(top).findings}


@pytest.mark.parametrize("fill", [0.0, 5.0])
def test_an_empty_or_flat_volume_is_refused(fill):
    affine, points = grid()
    with pytest.raises(AnalysisError, match="No left ventricle"):
        find_lv(Volume(np.full(points.shape[:3], fill, np.float32), affine))


def test_a_liver_alone_is_refused_or_doubted():
    image, _ = make(heart=0.0, liver=1.0, noise=0.3)
    try:
        fit = find_lv(image)
    except AnalysisError:
        return
    assert "lv-uncertain" in {finding.code for finding in fit.findings}


def test_labels_for_a_given_pose():
    heart = shell(outer=(32.0, 76.0))
    image, truth = make(heart, noise=0.2)
    labels, findings = segment_lv(image, heart.frame)
    assert dice(labels, truth, 1) > 0.85
    assert dice(labels, truth, 2) > 0.85
    assert all(finding.severity != "failure" for finding in findings)


def test_a_pose_outside_the_volume_is_refused():
    image, _ = make()
    with pytest.raises(AnalysisError, match="outside the volume"):
        segment_lv(image, LVFrame((900, 0, 0), (900, 80, 0), (0, 0, 1)))


@pytest.mark.parametrize("axis", [(-0.55, 0.75, 0.37), (-0.1, 0.5, 0.85), (0.7, 0.6, 0.3)])
def test_pose_and_cavity_from_a_wall(axis):
    heart = shell((20, 8, 12), axis)
    _, truth = make(heart)
    wall = truth.with_array((truth.array[0] == 1).astype(np.uint8))
    frame = frame_from_mask(wall)
    assert degrees(frame.axis, heart.frame.axis) < 5.0
    assert np.linalg.norm(frame.apex_mm - heart.frame.apex_mm) < 8.0
    assert np.linalg.norm(frame.base_mm - heart.frame.base_mm) < 8.0
    closed = cavity_from_wall(wall, frame)
    assert np.array_equal(closed.array == 1, wall.array == 1)
    assert dice(closed, truth, 2) > 0.9


def test_a_gap_in_the_wall_is_closed():
    heart = shell()
    _, truth = make(heart)
    _, points = grid()
    frame = heart.frame
    angle = heart.local(points)[2]
    wall = truth.with_array(((truth.array[0] == 1) & (np.abs(angle) > 35)).astype(np.uint8))
    assert dice(cavity_from_wall(wall, frame), truth, 2) > 0.85


def test_empty_and_gated_masks_are_refused():
    affine, points = grid()
    with pytest.raises(AnalysisError, match="empty"):
        frame_from_mask(Volume(np.zeros(points.shape[:3], np.uint8), affine))
    with pytest.raises(InputError, match="one frame"):
        frame_from_mask(Volume(np.zeros((2, 4, 4, 4), np.uint8), affine))


def test_anterior_is_up_and_lateral_is_left():
    frame = shell().frame
    assert frame.anterior[2] > 0.8
    assert frame.lateral[0] > 0.5
    assert frame.septal[0] < -0.5
    assert np.allclose(anterior_direction((0, 0, 1)), (0, -1, 0))


@pytest.mark.slow
@pytest.mark.real
def test_real_ventricles_lie_within_15_mm_of_their_masks(real):
    from myoperf.io import read_nifti, read_studies

    for name in ("P02_ReconRest", "P20_ReconRest", "P32_ReconStress_gate"):
        study = read_studies([real / "physionet_mps/dicom" / f"{name}.dcm"]).studies[0]
        mask = read_nifti(real / "physionet_mps/masks" / f"{name}_mask.nii.gz")
        fit = find_lv(study.scans[0].image)
        assert np.linalg.norm(centroid(fit.labels) - centroid(mask)) < 15.0
        assert degrees(fit.frame.axis, frame_from_mask(mask).axis) < 20.0
