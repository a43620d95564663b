"""Ways to run the U-Net of the compact network on a CPU.

Inference only: bfloat16 is then safe on every grid (it is the weight gradient that can read unwritten memory). The time
of each engine, and how much its masks differ from single precision, is measured by ``benchmarks/lv_engines.py``.
"""

import copy
import importlib.util
import warnings
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from myoperf.errors import InputError
from myoperf.lv.compact_network import LVCompact
from myoperf.lv.sampling import CROP

Engine = Literal["auto", "float32", "bfloat16", "openvino", "openvino-bfloat16"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

CPU = torch.device("cpu")

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


def choose_engine(engine: Engine = "auto", device: torch.device = CPU) -> Engine:
    """Return the engine to use: for "auto", "bfloat16" if the processor has it, otherwise "float32".

    Raises
    ------
    InputError
        For an unknown name, or for OpenVINO if it is not installed.
    """
    if engine not in ENGINES:
        raise InputError(f"The engine is one of {', '.join(ENGINES)}; got {engine}.")
    if engine == "auto":
        return "bfloat16" if device.type == "cpu" and cpu_has_bfloat16() else "float32"
    if engine.startswith("openvino") and device.type != "cpu":
        raise InputError("OpenVINO runs on the processor only; choose the device cpu, or another engine.")
    if engine.startswith("openvino") and importlib.util.find_spec("openvino") is None:
        raise InputError("OpenVINO is not installed; install myoperf[openvino], or choose the engine auto.")
    return engine


def build_runner(
    net: LVCompact, engine: Engine = "auto", *, device: torch.device = CPU, at_a_time: int = AT_A_TIME
) -> Runner:
    """Return the function that labels crops; the network is not changed.

    Parameters
    ----------
    net
        In evaluation mode, in single precision.
    engine
        See `choose_engine`. OpenVINO converts the network once, here (about a second), and uses as many threads as
        torch.
    device
        Where it runs; crops and logits stay on the processor.
    at_a_time
        Crops per call of the network.

    Raises
    ------
    InputError
        As `choose_engine`.
    """
    chosen = choose_engine(engine, device)
    one = _openvino(net, low=chosen.endswith("bfloat16")) if chosen.startswith("openvino") else None
    run = one or _eager(net, device, low=chosen == "bfloat16")

    def in_parts(crops: Tensor) -> Tensor:
        return torch.cat([run(crops[k : k + at_a_time]) for k in range(0, len(crops), at_a_time)])

    return in_parts


def _eager(net: LVCompact, device: torch.device, *, low: bool) -> Runner:
    placed = net if device.type == "cpu" else copy.deepcopy(net).to(device)

    def run(crops: Tensor) -> Tensor:
        # A GPU's TensorFloat-32 would round single precision to ten bits.
        exact = torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=low), exact:
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
