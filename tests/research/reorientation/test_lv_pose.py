import math

import pytest
import torch

from myoperf.lv.compact_network import matrix_from_six
from myoperf.research.reorientation.pose import (
    euler_from_matrix,
    matrix_from_euler,
    pose_matrix,
    relative_pose,
    sample_back,
    sample_by_matrix,
    sample_in_pose,
    six_from_matrix,
)


def rotations(n, seed=0):
    return matrix_from_six(torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)))


def blob(side, centre, width=0.3):
    """A Gaussian about `centre`, (x, y, z) in [-1, 1]."""
    steps = (2 * torch.arange(side) + 1) / side - 1
    z, y, x = torch.meshgrid(steps, steps, steps, indexing="ij")
    square = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2
    return torch.exp(-square / (2 * width**2))[None, None]


def test_angles_turn_about_y_then_x_then_z():
    a, b, g = 0.3, -0.4, 0.5
    one = matrix_from_euler(torch.tensor([[a, 0, 0], [0, b, 0], [0, 0, g]]))
    ry = torch.tensor([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    rx = torch.tensor([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    rz = torch.tensor([[math.cos(g), -math.sin(g), 0], [math.sin(g), math.cos(g), 0], [0, 0, 1]])
    assert torch.allclose(one, torch.stack([ry, rx, rz]), atol=1e-6)
    assert torch.allclose(matrix_from_euler(torch.tensor([a, b, g])), ry @ rx @ rz, atol=1e-6)


def test_angles_and_matrices_go_round():
    matrix = rotations(200).double()
    assert torch.allclose(matrix_from_euler(euler_from_matrix(matrix)), matrix, atol=1e-5)
    angles = (torch.rand(200, 3, dtype=torch.float64) - 0.5) * torch.tensor([6.2, 3.0, 6.2])
    assert torch.allclose(euler_from_matrix(matrix_from_euler(angles)), angles, atol=1e-5)
    assert torch.allclose(matrix_from_six(six_from_matrix(matrix)), matrix, atol=1e-6)


def test_the_nearer_set_of_angles_reaches_beyond_the_quarter_turn():
    angles = torch.tensor([[-0.9, -1.68, 1.3], [-0.9, -1.2, 1.3]], dtype=torch.float64)
    matrix = matrix_from_euler(angles)
    assert not torch.allclose(euler_from_matrix(matrix)[0], angles[0], atol=0.1)
    assert torch.allclose(euler_from_matrix(matrix, near=angles + 0.1), angles, atol=1e-6)


def test_angles_have_gradients_where_two_axes_fall_together():
    matrix = matrix_from_euler(torch.tensor([0.3, math.pi / 2, 0.2])).requires_grad_()
    euler_from_matrix(matrix).sum().backward()
    assert torch.isfinite(matrix.grad).all()


def test_the_standing_pose_returns_the_volume():
    volume = torch.rand(2, 1, 6, 6, 6)
    upright, still = torch.eye(3).expand(2, 3, 3), torch.zeros(2, 3)
    assert torch.allclose(sample_in_pose(volume, upright, still), volume, atol=1e-5)
    middle = sample_in_pose(volume, upright, still, scale=1 / 3, size=(2, 2, 2))
    assert torch.allclose(middle, volume[..., 2:4, 2:4, 2:4], atol=1e-5)


def test_the_centre_of_the_pose_comes_to_the_middle_and_its_axes_to_the_grids():
    centre = torch.tensor([0.25, -0.15, 0.1])
    rotation = matrix_from_euler(torch.tensor([[-0.83, -1.14, 1.22]]))
    ahead = centre + 0.4 * rotation[0, :, 2]  # along the turned grid's z
    volume = blob(48, ahead, 0.2)
    turned = sample_in_pose(volume, rotation, centre[None])
    expected = blob(48, torch.tensor([0.0, 0.0, 0.4]), 0.2)
    assert float((turned - expected).abs().max()) < 0.03


def test_what_was_turned_comes_back():
    volume = blob(32, torch.tensor([0.2, -0.1, 0.15]), 0.3)
    rotation, shift = rotations(1, 3), torch.tensor([[0.15, -0.1, 0.2]])
    turned = sample_in_pose(volume, rotation, shift, scale=0.8)
    back = sample_back(turned, rotation, shift, scale=0.8)
    middle = (slice(None), slice(None), slice(10, 24), slice(8, 22), slice(12, 26))
    assert float((back - volume)[middle].abs().max()) < 0.04


@pytest.mark.parametrize("exact", [True, False])
def test_without_differences_both_forms_only_scale(exact):
    rotation, shift = rotations(3), torch.randn(3, 3) * 0.1
    found = relative_pose(rotation, shift, rotation, shift, scale=1.0, next_scale=0.5, exact=exact)
    assert torch.allclose(found, pose_matrix(torch.eye(3).expand(3, 3, 3), torch.zeros(3, 3), 0.5), atol=1e-5)


def test_the_exact_form_lays_one_scale_on_the_other_and_the_written_one_does_not():
    volume = blob(48, torch.tensor([0.1, 0.05, -0.05]), 0.2)
    angles = torch.tensor([[-0.83, -1.14, 1.22]])
    one, two = matrix_from_euler(angles), matrix_from_euler(angles + torch.tensor([[0.1, -0.2, 0.15]]))
    shift, other = torch.tensor([[0.1, 0.0, -0.1]]), torch.tensor([[0.06, 0.05, -0.05]])
    direct = sample_in_pose(volume, two, other, scale=0.5, size=(24, 24, 24))
    whole = sample_in_pose(volume, one, shift)
    errors = []
    for exact in (True, False):
        matrix = relative_pose(one, shift, two, other, scale=1.0, next_scale=0.5, exact=exact)
        errors.append(float((sample_by_matrix(whole, matrix, (24, 24, 24)) - direct).abs().max()))
    assert errors[0] < 0.02 < 0.1 < errors[1]


def test_the_grid_keeps_its_precision_under_autocast():
    volume = blob(32, torch.tensor([0.2, -0.1, 0.15]), 0.2)
    rotation, shift = rotations(1, 3), torch.tensor([[0.15, -0.1, 0.2]])
    with torch.autocast("cpu", torch.bfloat16):
        low = sample_in_pose(volume, rotation, shift)
    assert torch.equal(low, sample_in_pose(volume, rotation, shift))
