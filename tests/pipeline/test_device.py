"""Choosing the device that networks run on."""

import pytest
import torch

from myoperf.errors import InputError
from myoperf.pipeline.device import resolve_device


def test_the_device_is_one_that_is_there():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match="auto, cpu, cuda"):
        resolve_device("tpu")


def test_cuda_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA GPU"):
        resolve_device("cuda")
