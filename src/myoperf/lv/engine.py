"""The compact network run by torch or OpenVINO: on a GPU, in bfloat16, or to compare with.

What runs by default needs neither (`myoperf.lv.inference`).

Inference only: bfloat16 is then safe on every grid (it is the weight gradient that can read unwritten memory). The time
of each engine, and how much its masks differ from single precision, is measured by ``benchmarks/lv_engines.py``.
"""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor

from myoperf.lv.compact_network import LVCompact
from myoperf.lv.inference import Device, Engine, choose_engine
from myoperf.lv.sampling import CROP
from myoperf.types import Float32

Runner = Callable[[Tensor], Tensor]
"""Crops (B, 1, D, H, W) in single precision -> logits (B, classes, D, H, W) in single precision."""

AT_A_TIME = 4
"""Crops per call: with more, each crop takes longer, because fresh memory has to be mapped for every call."""


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware (AVX-512 BF16 or AMX); otherwise float32 is faster.

    Read from ``torch.cpu.get_capabilities``, without a timing, so the answer is always the same on one machine; False
    if torch has no such function.
    """
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is None:
        return False
    known = capabilities()
    return any(bool(known.get(name, False)) for name in ("avx512_bf16", "amx_bf16"))


@dataclass(frozen=True, eq=False)
class TorchNetwork:
    """The compact network in torch: a `myoperf.lv.inference.Inference`.

    Parameters
    ----------
    net
        In evaluation mode, on the processor.
    runner
        Runs the U-Net, from `build_runner`; None for single precision.
    """

    net: LVCompact
    runner: Runner | None = None

    @torch.inference_mode()
    def locate(self, field: Float32) -> Float32:
        """Estimate a pose (10,) from the whole field (D, H, W)."""
        return np.asarray(self.net.locator(torch.from_numpy(field)[None, None])[0].numpy())

    @torch.inference_mode()
    def label(self, crops: Float32) -> Float32:
        """Label turned crops (B, D, H, W): logits (B, classes, D, H, W)."""
        batch = torch.from_numpy(crops)[:, None]
        logits = self.net(batch)[0] if self.runner is None else self.runner(batch)
        return np.asarray(logits.numpy())


def load_torch_network(data: bytes, engine: Engine, *, device: Device = "cpu") -> TorchNetwork:
    """Return the network with weights from a file's bytes, loaded strictly; see `build_runner`."""
    net = LVCompact()
    net.load_state_dict(load(data), strict=True)
    net.eval()
    return TorchNetwork(net, build_runner(net, engine, device=device))


def build_runner(
    net: LVCompact, engine: Engine = "float32", *, device: Device = "cpu", at_a_time: int = AT_A_TIME
) -> Runner:
    """Return the function that labels crops; the network is not changed.

    Parameters
    ----------
    net
        In evaluation mode, in single precision.
    engine
        Any but "auto" and "compiled", which need no torch. OpenVINO converts the network once, here (about a second),
        and uses as many threads as torch.
    device
        Where it runs; crops and logits stay on the processor.
    at_a_time
        Crops per call of the network.

    Raises
    ------
    InputError
        As `myoperf.lv.inference.choose_engine`.
    """
    chosen = choose_engine(engine, device)
    one = _openvino(net, low=chosen.endswith("bfloat16")) if chosen.startswith("openvino") else None
    run = one or _eager(net, device, low=chosen == "bfloat16")

    def in_parts(crops: Tensor) -> Tensor:
        return torch.cat([run(crops[k : k + at_a_time]) for k in range(0, len(crops), at_a_time)])

    return in_parts


def _eager(net: LVCompact, device: Device, *, low: bool) -> Runner:
    placed = net if device == "cpu" else copy.deepcopy(net).to(device)

    def run(crops: Tensor) -> Tensor:
        # A GPU's TensorFloat-32 would round single precision to ten bits.
        exact = torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False)
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=low), exact:
            logits: Tensor = placed(crops.to(device))[0]
        return logits.float().cpu()

    return run


def _openvino(net: LVCompact, *, low: bool) -> Runner:
    import openvino as ov

    example = torch.zeros(1, 1, CROP, CROP, CROP)
    with warnings.catch_warnings():  # tracing warns about branches on the grid's size, which is fixed here
        warnings.simplefilter("ignore")
        model = ov.convert_model(net, example_input=example, input=[-1, 1, CROP, CROP, CROP])
    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "bf16" if low else "f32",
    }
    ready = ov.Core().compile_model(model, "CPU", settings)

    def run(crops: Tensor) -> Tensor:
        return torch.from_numpy(ready(crops.numpy())[0].copy())

    return run
