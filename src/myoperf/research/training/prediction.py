"""Batched prediction."""

from collections.abc import Callable

import torch
from torch import Tensor


def run_in_batches(forward: Callable[..., Tensor], *inputs: Tensor, batch: int) -> Tensor:
    """Return what a function gives for all rows of its inputs, computed batch by batch without gradients.

    Parameters
    ----------
    forward
        Takes as many tensors as there are inputs, of at most `batch` rows. A network should be in evaluation mode.
    inputs
        Tensors of the same number of rows.
    """
    with torch.no_grad():
        parts = zip(*(torch.split(rows, batch) for rows in inputs), strict=True)
        return torch.cat([forward(*part) for part in parts])
