"""The device to train on, and seeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from myoperf.errors import InputError

__all__ = ["DEVICES", "resolve_device", "seeded"]

DEVICES = ("auto", "cpu", "cuda")


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device to train on; ``"auto"`` is a CUDA GPU where there is one, else the processor.

    Raises
    ------
    InputError
        For an unknown name, or ``"cuda"`` where PyTorch has no CUDA GPU.
    """
    if name not in DEVICES:
        raise InputError(f"Unknown device {name!r}; choose from {', '.join(DEVICES)}.")
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        raise InputError("PyTorch has no CUDA GPU on this machine; choose the device cpu or auto.")
    return torch.device("cuda" if present and name != "cpu" else "cpu")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Start PyTorch's random numbers (weights, dropout) from a seed inside the block, and leave them alone outside."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
