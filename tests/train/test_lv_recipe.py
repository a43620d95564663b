import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import ndimage

from myoperf.errors import AnalysisError, InputError, MissingWeightsError
from myoperf.geometry import affine_from_axes
from myoperf.lv.metrics import dice, hausdorff95_mm
from myoperf.lv.network import NetworkLV
from myoperf.train import lv
from myoperf.train.cases import Case, folds, read_cases, read_real, write_cases
from myoperf.train.losses import dice_loss, rotation_loss, segmentation_loss, wrap
from myoperf.train.lv import RecipeLV, train_lv
from myoperf.types import LVFrame, Volume


def case(patient="A", name="A-1"):
    affine = affine_from_axes((-68, -68, -68), [[0, 0, 1], [0, 1, 0], [1, 0, 0]], 4.0)
    place = np.stack(np.meshgrid(*(np.arange(35),) * 3, indexing="ij"), -1) * 4.0 - 68
    radius = np.linalg.norm(place[..., ::-1] - np.array([4.0, -4.0, 0.0]), axis=-1)
    labels = np.where(radius < 20, 2, np.where(radius < 32, 1, 0)).astype(np.uint8)
    image = Volume((labels == 1).astype(np.float32) + 0.05, affine)
    return Case(patient, name, image, image.with_array(labels), LVFrame((28, -32, -8), (-20, 24, 8), (0, 0, 1)), False)


def test_a_training_starts_goes_on_and_its_weights_find_something(tmp_path):
    torch.set_num_threads(1)
    net = train_lv([case()], RecipeLV(steps=3, batch=1), folder=tmp_path / "run")
    assert all(torch.isfinite(p).all() for p in net.parameters())
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 3
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, tmp_path / "model.safetensors")
    (tmp_path / "card.json").write_text(json.dumps({"name": "test"}))
    fit = None
    try:
        fit = NetworkLV(tmp_path).find_lv(case().image, fall_back=False)
    except AnalysisError as error:
        assert "No left ventricle was found" in str(error)  # noqa: PT017
    if fit is not None:
        assert fit.labels.grid_shape == (35, 35, 35)


def test_a_training_that_was_stopped_goes_on_to_the_same_network(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    recipe = RecipeLV(steps=4, batch=1)
    whole = train_lv([case()], recipe, folder=tmp_path / "whole")
    begun = 0

    def stop_at_the_third(*args):
        nonlocal begun
        begun += 1
        if begun == 3:
            raise KeyboardInterrupt
        return segment(*args)

    segment = lv._segment_step
    monkeypatch.setattr(lv, "_segment_step", stop_at_the_third)
    monkeypatch.setattr(lv, "SAVE_EVERY", 2)
    with pytest.raises(KeyboardInterrupt):
        train_lv([case()], recipe, folder=tmp_path / "parts")
    monkeypatch.setattr(lv, "_segment_step", segment)
    parts = train_lv([case()], recipe, folder=tmp_path / "parts", resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


def test_absent_weights_are_named(tmp_path):
    with pytest.raises(MissingWeightsError, match="not installed"):
        NetworkLV(tmp_path)


def test_cases_are_written_and_read_and_split_by_patient(tmp_path):
    cases = [case("A", "A-1"), case("A", "A-2"), case("B", "B-1"), case("C", "C-1")]
    write_cases(tmp_path / "cases.npz", cases)
    back = read_cases(tmp_path / "cases.npz")
    assert [c.name for c in back] == [c.name for c in cases]
    assert np.array_equal(back[1].labels.array, cases[1].labels.array)
    assert np.allclose(back[2].frame.apex_mm, cases[2].frame.apex_mm)
    dealt = folds(cases, 2, 0)
    assert sorted(p for group in dealt for p in group) == ["A", "B", "C"]
    with pytest.raises(InputError, match=r"index\.csv"):
        read_real(tmp_path)


def test_losses():
    assert float(wrap(torch.tensor(2 * math.pi - 0.1))) == pytest.approx(-0.1, abs=1e-5)
    near, far = torch.tensor([math.pi - 0.1]), torch.tensor([-math.pi + 0.1])
    assert float(rotation_loss(near, far)) == pytest.approx(0.2, abs=1e-5)
    labels = torch.tensor([[[[0, 1, 2, 2]]]])
    perfect = torch.nn.functional.one_hot(labels, 3).permute(0, 4, 1, 2, 3).float()
    assert float(segmentation_loss(perfect, labels)) == pytest.approx(0, abs=1e-5)
    assert float(segmentation_loss(perfect[:, [1, 2, 0]], labels)) == pytest.approx(5, abs=1e-3)
    half = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    assert float(dice_loss(half, torch.tensor([[1, 0, 0, 0]]))) == pytest.approx(1 - 2 / 3, abs=1e-4)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
def test_hd95_is_monais():
    monai = pytest.importorskip("monai.metrics")
    rng = np.random.default_rng(1)
    for _ in range(4):
        a, b = (ndimage.gaussian_filter(rng.normal(size=(17, 18, 19)), 2) > 0.05 for _ in range(2))
        theirs = monai.compute_hausdorff_distance(
            torch.from_numpy(a)[None, None],
            torch.from_numpy(b)[None, None],
            include_background=True,
            percentile=95,
            spacing=[2.0, 3.0, 4.0],
        )
        assert hausdorff95_mm(a, b, (2, 3, 4)) == pytest.approx(float(theirs), rel=1e-6)


def test_metrics_of_known_masks():
    a, b = np.zeros((9, 9, 9), bool), np.zeros((9, 9, 9), bool)
    a[4, 4, 4], b[4, 4, 6] = True, True
    assert hausdorff95_mm(a, b, (1, 1, 3)) == pytest.approx(6.0)
    assert dice(a, b) == 0
    assert dice(a, a) == 1
    with pytest.raises(AnalysisError, match="empty"):
        hausdorff95_mm(a, np.zeros_like(a), 1)
    with pytest.raises(InputError, match="one 3D shape"):
        dice(a, b[:3])
