import torch

from myoperf.lv.compact_network import LVCompact, LVCompactConfig, matrix_from_six
from myoperf.lv.sampling import COARSE, CROP
from myoperf.research.lv_network.sampling import crop_points, logits_at, sample_at


def small():
    torch.manual_seed(0)
    return LVCompact(LVCompactConfig(channels=(4, 6, 8), locator_channels=(4, 4, 8)))


def test_shapes_are_pinned_and_every_parameter_learns():
    net = small()
    logits, pose = net(torch.randn(2, 1, 16, 16, 16))
    place = net.locator(torch.randn(2, 1, COARSE, COARSE, COARSE))
    assert logits.shape == (2, 3, 16, 16, 16)
    assert pose.shape == place.shape == (2, 10)
    assert all(torch.isfinite(t).all() for t in (logits, pose, place))
    (logits.square().mean() + pose.square().sum() + place.square().sum()).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_six_numbers_give_rotations():
    matrix = matrix_from_six(torch.randn(5, 6))
    assert torch.allclose(matrix.transpose(1, 2) @ matrix, torch.eye(3).expand(5, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(matrix), torch.ones(5), atol=1e-5)


def test_the_locators_heat_map_points_at_the_bright_voxel():
    net = small()
    net.locator.body = torch.nn.AvgPool3d(1, 2)
    net.locator.heat = torch.nn.Conv3d(1, 1, 1)
    net.locator.head = torch.nn.Linear(1, 7)
    torch.nn.init.constant_(net.locator.heat.weight, 100.0)
    field = torch.zeros(1, 1, COARSE, COARSE, COARSE)
    field[0, 0, 4, 20, 10] = 1.0
    centre = net.locator(field)[0, :3]
    half = 0.5 * COARSE
    expected = torch.tensor([10.0, 20.0, 4.0]) - 0.5 * (COARSE - 1)
    assert torch.allclose(centre, expected / half, atol=1e-4)


def test_a_crop_sampled_back_is_the_image():
    index = torch.stack(torch.meshgrid(*(torch.arange(n).float() for n in (30, 34, 38)), indexing="ij"), -1)
    image = torch.exp(-((index - torch.tensor([15.0, 17, 20])) ** 2).sum(-1) / 60)[None]
    affine = torch.eye(4)
    affine[:3, :3] /= 4.0  # 4 mm voxels, index order
    rotation = matrix_from_six(torch.tensor([0.8, 0.6, 0.1, -0.5, 0.7, 0.2]))
    centre = torch.tensor([60.0, 68, 80])
    crop = sample_at(image, affine, crop_points(centre, rotation))
    assert crop.shape == (1, CROP, CROP, CROP)
    inside = index[8:22, 10:24, 13:27]
    back = logits_at(crop, inside * 4.0, centre, rotation)
    assert float((back - image[:, 8:22, 10:24, 13:27]).abs().max()) < 0.03
