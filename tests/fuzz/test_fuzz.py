"""Damaged copies of valid inputs: every reader answers in time, and either reads or refuses with a cause.

`benchmarks/fuzz.py` does the same with many more, in limits of time and memory (`make fuzz`, docs/fuzz.md).
"""

import shutil

import numpy as np
import pytest

from support.mutations import TARGETS, attempt, mutate

MUTANTS = 12
LONGEST_S = 20.0


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_damaged_input_is_read_or_refused_with_a_cause(tmp_path, target):
    original = tmp_path / "original"
    original.mkdir()
    target.write(original)
    expected = target.read(original)
    assert attempt(target.read, original, expected).kind == "right"
    for seed in range(MUTANTS):
        folder = tmp_path / str(seed)
        shutil.copytree(original, folder)
        kind, harmless = mutate(target, folder, np.random.default_rng(seed))
        outcome = attempt(target.read, folder, expected)
        assert outcome.kind != "fault", (seed, kind, outcome)
        assert outcome.seconds < LONGEST_S, (seed, kind, outcome)
        assert outcome.kind == "right" or not harmless, (seed, kind, outcome)
