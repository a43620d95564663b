"""The device that networks run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from myoperf.errors import InputError

if TYPE_CHECKING:
    import torch

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
