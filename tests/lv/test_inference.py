"""The network without torch: the same answers as torch's, the same convolutions as the definition."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from myoperf.errors import InputError
from myoperf.geometry import index_from_lps
from myoperf.lv.compact_network import LVCompact
from myoperf.lv.inference import CompiledNetwork
from myoperf.lv.sampling import COARSE, CROP, coarse_grid, middle_mm, pose_grid, probabilities_on, turned
from myoperf.lv.winograd import convolve, transform_filters
from myoperf.research.lv_network import sampling as tensors
from myoperf.types import Volume


@pytest.fixture(scope="module")
def networks():
    """The network in torch with random weights, norms included, and compiled."""
    torch.set_num_threads(1)
    torch.manual_seed(3)
    net = LVCompact().eval()
    for name, parameter in net.named_parameters():
        if "norm" in name or "again" in name or name.endswith("bias"):
            torch.nn.init.uniform_(parameter.data, 0.2, 1.5)
    return net, CompiledNetwork.from_weights({name: value.numpy() for name, value in net.state_dict().items()})


@pytest.mark.parametrize(
    ("shape", "channels"), [((4, 8, 12), (2, 3)), ((8, 20, 4), (5, 1)), ((2, 2, 2), (3, 4)), ((5, 6, 7), (2, 2))]
)
def test_tiles_convolve_as_the_definition_says(shape, channels):
    rng = np.random.default_rng(1)
    image = rng.normal(size=(*shape, channels[0])).astype(np.float32)
    weights = rng.normal(size=(channels[1], channels[0], 3, 3, 3)).astype(np.float32)
    padded = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (1, 1), (0, 0)))
    near = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3), axis=(0, 1, 2))  # (..., in, 3, 3, 3)
    expected = np.einsum("dhwcijk,ocijk->dhwo", near, weights)
    error = convolve(image, transform_filters(weights)) - expected
    assert np.abs(error).max() < 1e-5 * np.abs(expected).max()


def test_transforms_lose_no_more_than_the_last_digits_in_single_precision():
    rng = np.random.default_rng(1)
    image = rng.normal(size=(12, 12, 12, 16)).astype(np.float32)
    weights = rng.normal(size=(8, 16, 3, 3, 3)).astype(np.float32)
    padded = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (1, 1), (0, 0)))
    near = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3), axis=(0, 1, 2))
    expected = np.tensordot(near, weights.astype(np.float64), ((3, 4, 5, 6), (1, 2, 3, 4)))
    error = convolve(image, transform_filters(weights)) - expected
    assert np.abs(error).max() < 1e-5 * np.abs(expected).max()


def test_the_u_net_gives_the_logits_of_torch(networks):
    net, compiled = networks
    crops = np.random.default_rng(2).gamma(2.0, size=(2, 16, 16, 16)).astype(np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(crops)[:, None])[0].numpy()
    assert compiled.label(crops).shape == (2, 3, 16, 16, 16)
    assert np.abs(compiled.label(crops) - expected).max() < 1e-4 * np.abs(expected).max()


def test_the_localiser_gives_the_pose_of_torch(networks):
    net, compiled = networks
    field = np.random.default_rng(4).gamma(2.0, size=(COARSE, COARSE, COARSE)).astype(np.float32)
    with torch.inference_mode():
        expected = net.locator(torch.from_numpy(field)[None, None])[0].numpy()
    assert compiled.locate(field) == pytest.approx(expected, abs=1e-4)


def test_threads_change_nothing(networks, monkeypatch):
    compiled = networks[1]
    crops = np.random.default_rng(5).gamma(2.0, size=(3, 8, 8, 8)).astype(np.float32)
    labelled = []
    for count in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", count)
        labelled.append(compiled.label(crops))
    assert np.array_equal(*labelled)


def test_weights_of_another_network_are_refused():
    with pytest.raises(InputError, match=r"lack 'locator\.body\.0\.skip\.weight'"):
        CompiledNetwork.from_weights({})


def test_a_volume_is_turned_as_tensors_are():
    """Oblique, anisotropic, with unequal sides; the pose near the volume's middle."""
    rng = np.random.default_rng(6)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * [5.0, 4.0, 6.0]
    affine[:3, 3] = [-30.0, 10.0, 50.0]
    volume = Volume(rng.gamma(2.0, size=(20, 30, 24)).astype(np.float32), affine)
    centre, rotation = middle_mm(volume) + np.array([3.0, -2.0, 1.0]), np.linalg.qr(rng.normal(size=(3, 3)))[0]
    image, inverse = tensors.single(volume.array), tensors.single(index_from_lps(affine))
    turn = tensors.single(centre), tensors.single(rotation)
    expected = tensors.normalise(tensors.sample_at(image, inverse, tensors.crop_points(*turn)))[0].numpy()
    assert np.abs(turned(volume, pose_grid(centre, rotation), CROP) - expected).max() < 2e-3
    middle = tensors.middle_mm(volume)
    field = tensors.normalise(tensors.sample_at(image, inverse, tensors.coarse_points(middle)))[0].numpy()
    assert np.abs(turned(volume, coarse_grid(middle_mm(volume)), COARSE) - field).max() < 2e-3

    logits = rng.normal(size=(3, CROP, CROP, CROP)).astype(np.float32)
    logits[0, [0, -1]] = logits[0, :, [0, -1]] = logits[0, :, :, [0, -1]] = 30.0  # background at the rim, as always
    box = slice(2, 18), slice(0, 30), slice(5, 24)
    points = tensors.voxel_points(volume, box)
    back = tensors.logits_at(torch.from_numpy(logits), points, *turn).softmax(0).numpy()
    found = probabilities_on(logits, pose_grid(centre, rotation), volume, box)
    assert np.abs(found - back).max() < 1e-3


def test_the_product_runs_without_what_is_slow_to_load():
    """Models are loaded, and a volume is labelled, in a process that cannot import torch or scipy.optimize."""
    code = """
import sys
sys.modules["torch"] = sys.modules["scipy.optimize"] = None
import numpy as np
from myoperf.pipeline import load_models
from myoperf.types import LVFrame, Volume
models = load_models(device="cpu")
assert models.classify is not None
volume = Volume(np.random.default_rng(0).gamma(2.0, size=(40, 40, 40)).astype(np.float32), np.diag([4.0, 4, 4, 1]))
frame = LVFrame((60.0, 60.0, 100.0), (100.0, 90.0, 60.0), (0.0, 1.0, 0.0))
print(int((models.segment_lv(volume, frame)[0].array == 1).sum()) > 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr
