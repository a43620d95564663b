"""No training is tied to the processor: tensors follow the device of the data and the network."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

import myoperf
from myoperf.research.label_strategies.otaki_cnn import OtakiCNN
from myoperf.research.label_strategies.polar_fusion import PolarFusion
from myoperf.research.label_strategies.roles import LabelledRows
from myoperf.research.label_strategies.training import Inputs, Schedule, fit_polar, rotate_pictures
from myoperf.research.reorientation.batches import Batch
from myoperf.research.reorientation.losses import Stabilisation, total_loss
from myoperf.research.reorientation.networks import LV_NETWORKS, build_lv_network
from myoperf.research.slice_transformer.multi_branch import COMPACT_ENCODER, MultiBranchConfig, build_multi_branch
from myoperf.research.training.seeds import seeded

TOPICS = ("reorientation", "transfer_learning", "label_strategies", "slice_transformer", "training")
ROOT = Path(myoperf.__file__).parent / "research"
ALLOWED_CALLS = {"to", "load", "is_autocast_enabled"}
"""Moving a result back, reading a file, and a question about the processor's own low precision."""


def _fixed(tree):
    """Yield the lines where a call, other than of ALLOWED_CALLS, is given the processor by name."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if (
            any(isinstance(value, ast.Constant) and value.value == "cpu" for value in given)
            and name not in ALLOWED_CALLS
        ):
            yield node.lineno


def test_no_call_is_given_the_processor_by_name():
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for topic in TOPICS
        for path in (ROOT / topic).rglob("*.py")
        for line in _fixed(ast.parse(path.read_text(encoding="utf-8")))
    }
    # Shapes alone are followed there, on the device meta, by the processor's rules for bfloat16; and a pose of NumPy.
    assert {place.rsplit(":", 1)[0] for place in found} <= {"reorientation/training.py", "reorientation/batches.py"}
    assert len(found) <= 2


def test_the_check_finds_a_fixed_device():
    assert list(_fixed(ast.parse("torch.autocast('cpu', enabled=True)"))) == [1]
    assert not list(_fixed(ast.parse("net.to('cpu')")))


@pytest.mark.parametrize("name", LV_NETWORKS)
def test_networks_and_losses_of_ms_st_unet_run_where_their_inputs_are(name):
    with torch.device("meta"):
        net = build_lv_network(name)
    side, device = 64, torch.device("meta")
    batch = Batch(
        volume=torch.rand(2, 1, side, side, side, device=device),
        labels=torch.zeros(2, side, side, side, dtype=torch.int64, device=device),
        turned_labels=torch.zeros(2, side, side, side, dtype=torch.int64, device=device),
        rotation=torch.rand(2, 3, 3, device=device),
        translation=torch.rand(2, 3, device=device),
    )
    pose = (batch.rotation, batch.translation) if name == "msunet" else None
    for stabilisation in (None, Stabilisation()):
        loss = total_loss(net(batch.volume, *(pose or ())), batch, stabilisation, used_pose=pose)
        assert loss.device.type == "meta"


def test_polar_and_slice_networks_run_where_their_inputs_are():
    with torch.device("meta"):
        polar = PolarFusion(OtakiCNN(2), 128, "early")
        slices = build_multi_branch(MultiBranchConfig(encoder=COMPACT_ENCODER))
    pictures = rotate_pictures(torch.rand(2, 2, 32, 32, device="meta"), torch.rand(2, device="meta"))
    assert polar(pictures, torch.rand(2, 4, device="meta")).device.type == "meta"
    stacks = torch.rand(2, 3, *COMPACT_ENCODER.volume_shape, device="meta")
    assert slices(stacks).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_one_epoch_on_a_gpu_is_that_of_the_processor():
    weights = []
    for device in ("cpu", "cuda"):
        with seeded(0):
            net = PolarFusion(OtakiCNN(2), 128, "early").to(device)
        net.dropout.p = 0.0  # its random numbers are the device's own
        pictures = torch.rand(1, 8, 2, 32, 32, generator=torch.Generator().manual_seed(0)).to(device)
        data = Inputs(pictures, torch.zeros(8, 4, device=device))
        rows = LabelledRows(np.arange(8), np.arange(24).reshape(8, 3) % 2)
        fit_polar(net, data, rows, rows, Schedule(epochs=1, batch=4), augmented=True, seed=0)
        weights.append(torch.cat([p.detach().cpu().flatten() for p in net.parameters()]))
    assert torch.allclose(*weights, atol=1e-4)
