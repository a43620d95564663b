"""The device that networks run on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from myoperf.errors import InputError

if TYPE_CHECKING:
    import torch

_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""NVIDIA's driver on Linux, and under Windows (WSL)."""
DEVICES = ("auto", "cpu", "cuda")


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device to run or train networks on; ``"auto"`` is a CUDA GPU where there is one, else the processor.

    Raises
    ------
    InputError
        For an unknown name, or ``"cuda"`` where PyTorch has no CUDA GPU.
    """
    if name not in DEVICES:
        raise InputError(f"Unknown device {name!r}; choose from {', '.join(DEVICES)}.")
    import torch  # takes seconds to load: only where a network runs

    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        raise InputError("PyTorch has no CUDA GPU on this machine; choose the device cpu or auto.")
    return torch.device("cuda" if present and name != "cpu" else "cpu")


def inference_device(name: str = "auto") -> Literal["cpu", "cuda"]:
    """Return the device to run the shipped networks on, as `resolve_device` does.

    Torch, which takes seconds to load, is only consulted where it can matter: not for "cpu", and not for "auto" on
    Linux without NVIDIA's driver.
    """
    if name == "cpu" or (name == "auto" and sys.platform == "linux" and not any(map(Path.exists, _DRIVERS))):
        return "cpu"
    return "cuda" if resolve_device(name).type == "cuda" else "cpu"
