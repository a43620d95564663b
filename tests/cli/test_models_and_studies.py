"""``myoperf models`` and ``myoperf study --list``: cards with intervals, the fifteen backbones."""

import hashlib
import json
from importlib import resources

from support.command import run_command


def test_every_shipped_model_has_a_card_that_fits_its_weights():
    done = run_command("models", "--json")
    assert done.returncode == 0, done.stderr
    cards = json.loads(done.stdout)
    assert cards
    for card in cards:
        (weights,) = (
            f for f in (resources.files("myoperf") / "weights" / card["name"]).iterdir() if "tensors" in f.name
        )
        assert hashlib.sha256(weights.read_bytes()).hexdigest() == card["sha256"]
        assert len(weights.read_bytes()) < 20e6
        assert "simulated" in card["training_data"]


def test_the_backbones_of_the_two_stage_paper_are_listed():
    done = run_command("study", "two-stage", "--list", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == 15
    assert {"name", "input_size", "input_range", "trainable", "non_trainable"} <= set(rows[0])


def test_an_unknown_study_or_scale_gives_one_line(tmp_path):
    for words in (("study", "five-stage"), ("study", "two-stage", "--scale", "huge")):
        done = run_command(*words, "-o", tmp_path / "out")
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
