import importlib.util

import pytest
import torch

from myoperf.errors import InputError
from myoperf.lv import engine, inference
from myoperf.lv.compact_network import LVCompact

LOW = ["float32", "bfloat16"]


@pytest.fixture(scope="module")
def net():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return LVCompact().eval()


def crops(count, side, seed=1):
    return torch.rand(count, 1, side, side, side, generator=torch.Generator().manual_seed(seed))


def test_the_processor_needs_no_torch_and_a_gpu_runs_in_single_precision():
    assert inference.choose_engine() == "compiled"
    assert inference.choose_engine("bfloat16") == "bfloat16"
    assert inference.choose_engine("auto", "cuda") == "float32"
    assert inference.choose_engine("bfloat16", "cuda") == "bfloat16"
    with pytest.raises(InputError, match="compiled runs on the processor only"):
        inference.choose_engine("compiled", "cuda")


def test_what_cannot_run_is_refused(monkeypatch):
    with pytest.raises(InputError, match="one of auto, compiled"):
        inference.choose_engine("tensorrt")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"install myoperf\[openvino\]"):
        inference.choose_engine("openvino")


@pytest.mark.parametrize("name", LOW)
@pytest.mark.slow
def test_parts_of_a_batch_give_what_single_crops_give(net, name):
    batch = crops(3, 16)
    together = engine.build_runner(net, name, at_a_time=2)(batch)
    alone = torch.cat([engine.build_runner(net, name)(batch[k : k + 1]) for k in range(3)])
    assert together.shape == (3, 3, 16, 16, 16)
    assert together.dtype == torch.float32
    assert torch.allclose(together, alone, atol=1e-5 if name == "float32" else 0.05)


def test_single_precision_is_the_network_itself(net):
    batch = crops(2, 16)
    with torch.inference_mode():
        assert torch.allclose(engine.build_runner(net, "float32")(batch), net(batch)[0], atol=1e-6)


# A crop's own size takes half a minute where bfloat16 is emulated; the small grids are where old memory was read.
@pytest.mark.parametrize("side", [8, 12, 40 if engine.cpu_has_bfloat16() else 20])
def test_bfloat16_is_finite_close_and_does_not_read_old_memory_on_small_grids(net, side):
    batch, low = crops(1, side), engine.build_runner(net, "bfloat16")
    full = engine.build_runner(net, "float32")(batch).softmax(1)
    found = []
    for dirt in (0.0, float("nan")):
        for _ in range(2):
            del [torch.full((2**k,), dirt) for k in range(4, 19) for _ in range(20)][:]
        found.append(low(batch))
    assert torch.isfinite(found[1]).all()
    assert torch.equal(*found)
    assert float((found[0].softmax(1) - full).abs().max()) < 0.1


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="the extra openvino is not installed")
def test_openvino_labels_as_torch_does(net):
    batch = crops(2, 40)
    run = engine.build_runner(net, "openvino")
    full = engine.build_runner(net, "float32")(batch)
    assert torch.allclose(run(batch), full, atol=2e-3)
