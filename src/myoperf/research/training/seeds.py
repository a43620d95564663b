"""Seeds of PyTorch's random numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Start PyTorch's random numbers (weights, dropout) from a seed inside the block, and leave them alone outside."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
