"""Simulated patients that several tests learn from are drawn once."""

from dataclasses import fields
from functools import cache

import numpy as np
import pytest

from myoperf.research.slice_transformer import cases
from myoperf.research.slice_transformer.cases import SliceCases, draw_slice_cases


@cache
def draw_one(seed, index, shape):
    return draw_slice_cases(1, seed, shape=shape, first=index)


@pytest.fixture
def drawn_once(monkeypatch):
    """Draw a patient of a seed once in all tests: it does not depend on who is drawn with it, as a test of it shows."""

    def draw(n, seed, *, shape, first=0):
        drawn = [draw_one(seed, index, shape) for index in range(first, first + n)]
        return SliceCases(
            **{f.name: np.concatenate([getattr(one, f.name) for one in drawn]) for f in fields(SliceCases)}
        )

    monkeypatch.setattr(cases, "draw_slice_cases", draw)
