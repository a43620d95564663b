import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from myoperf.errors import InputError, MissingWeightsError
from myoperf.research.training.epochs import BestEpoch
from myoperf.research.training.prediction import run_in_batches
from myoperf.research.training.recipes import pick_recipe
from myoperf.research.training.seeds import seeded
from myoperf.research.training.splits import split_rows
from myoperf.research.training.tables import markdown_table, write_manifest, write_table
from myoperf.research.training.weights import (
    load_tensors,
    load_weights,
    read_model,
    resume_checkpoint,
    save_checkpoint,
    save_model,
    save_weights,
)


def test_the_first_of_the_best_epochs_is_restored():
    one, two = nn.Linear(2, 1), nn.Linear(2, 1)
    best, weights = BestEpoch(one, two), []
    for score in ((0.5, -0.7), (0.8, -0.6), (0.8, -0.4), (0.8, -0.4), (0.7, -0.1)):
        with torch.no_grad():
            one.weight.add_(1.0)
            two.bias.sub_(1.0)
        weights.append((one.weight.clone(), two.bias.clone()))
        best.record(*score)
    best.restore()
    assert best.epoch == 2
    assert [s[0] for s in best.scores] == [0.5, 0.8, 0.8, 0.8, 0.7]
    assert torch.equal(one.weight, weights[2][0])
    assert torch.equal(two.bias, weights[2][1])


def test_weights_are_loaded_strictly(tmp_path):
    net = nn.Linear(3, 2)
    save_weights(tmp_path / "a" / "net.safetensors", net)
    other = nn.Linear(3, 2)
    load_weights(tmp_path / "a" / "net.safetensors", other)
    assert torch.equal(net.weight, other.weight)
    with pytest.raises(RuntimeError, match="Missing key"):
        load_weights(tmp_path / "a" / "net.safetensors", nn.Sequential(net))
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["net.safetensors"]


def test_a_model_has_a_card_with_the_hash_of_its_weights(tmp_path):
    from hashlib import sha256

    card = save_model(tmp_path, nn.Linear(3, 2), {"name": "line"})
    data = (tmp_path / "model.safetensors").read_bytes()
    assert card == json.loads((tmp_path / "card.json").read_text())
    about = {"format": "myoperf.model/1", "name": "line"}
    assert card == about | {"sha256": sha256(data).hexdigest(), "bytes": len(data)}


def _train(net, optimiser, rng, steps):
    for _ in range(steps):
        given = torch.from_numpy(rng.normal(size=(4, 3)).astype(np.float32))
        loss = net(given).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _parts():
    with seeded(3):
        net = nn.Linear(3, 2)
    return {"net": net, "optimiser": torch.optim.Adam(net.parameters(), lr=0.1), "rng": np.random.default_rng(5)}


def test_a_training_resumed_from_a_checkpoint_ends_as_one_that_never_stopped(tmp_path):
    whole = _parts()
    _train(*whole.values(), steps=6)
    first = _parts()
    _train(*first.values(), steps=2)
    save_checkpoint(tmp_path / "state.pt", first, step=2, losses=[0.5, 0.25])
    second = _parts()
    assert resume_checkpoint(tmp_path / "state.pt", second) == {"step": 2, "losses": [0.5, 0.25]}
    _train(*second.values(), steps=4)
    assert torch.equal(second["net"].weight, whole["net"].weight)
    with pytest.raises(RuntimeError, match="size mismatch"):
        resume_checkpoint(tmp_path / "state.pt", {"net": nn.Linear(4, 2)})


@pytest.mark.parametrize("batch", [1, 3, 7, 20])
def test_batches_do_not_change_a_prediction(batch):
    net, first, second = nn.Linear(3, 2), torch.randn(7, 3), torch.randn(7, 2)
    got = run_in_batches(lambda a, b: net(a) + b, first, second, batch=batch)
    assert torch.allclose(got, net(first) + second)
    assert not got.requires_grad


def test_a_seed_inside_changes_nothing_outside():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    with seeded(7):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with seeded(7):
        assert torch.equal(torch.rand(2), inside)


def test_an_unknown_scale_is_one_line():
    assert pick_recipe({"smoke": 1}, "smoke") == 1
    with pytest.raises(InputError, match="Unknown scale 'huge'; choose from smoke, full"):
        pick_recipe({"smoke": 1, "full": 2}, "huge")


def test_classes_are_dealt_in_proportion():
    labels = np.repeat([0, 1], (106, 112))
    train, validation, test = split_rows(labels, 0.16, 0.2, rng=np.random.default_rng(0))
    assert sorted(np.concatenate([train, validation, test]).tolist()) == list(range(218))
    assert [int(labels[part].sum()) for part in (validation, test)] == [18, 23]
    assert [len(part) for part in (validation, test)] == [17 + 18, 22 + 23]
    _, few = split_rows(labels, 0.001, rng=np.random.default_rng(0), rounding=round)
    assert labels[few].tolist() == [0, 1]
    assert math.isclose(len(split_rows(labels, 0.2, rng=np.random.default_rng(0), rounding=round)[1]), 21 + 22)
    with pytest.raises(InputError, match="class 1 has 1"):
        split_rows([0, 0, 1], 0.5, rng=np.random.default_rng(0))


def test_a_markdown_cell_holds_the_interval(tmp_path):
    frame = pd.DataFrame(
        {
            "network": ["a", "b", "c"],
            "n": [10, 20, 30],
            "auc": [0.91234, np.nan, 0.5],
            "auc_lo": [0.8, np.nan, np.nan],
            "auc_hi": [0.95, np.nan, np.nan],
        }
    )
    assert markdown_table(frame, titles={"auc": "AUC"}, number=".2f").splitlines() == [
        "| network | n | AUC |",
        "|---|---|---|",
        "| a | 10 | 0.91 (0.80 to 0.95) |",
        "| b | 20 |  |",
        "| c | 30 | 0.50 |",
    ]
    write_table(tmp_path, "models", frame, text="Simulated.")
    assert (tmp_path / "models.md").read_text().startswith("Simulated.\n\n| network | n | auc |\n")
    assert pd.read_csv(tmp_path / "models.csv")["auc"].iloc[0] == 0.91234
    write_manifest(tmp_path, {"seed": 1})
    assert json.loads((tmp_path / "manifest.json").read_text()) == {"seed": 1}


def test_a_folder_that_is_no_usable_model_is_refused_with_the_reason(tmp_path):
    with pytest.raises(MissingWeightsError, match=r"is not a trained model: expected a folder with model\.safetensors"):
        read_model(tmp_path)
    save_model(tmp_path, nn.Linear(3, 2), {"name": "line", "version": "1", "licence": "Apache-2.0"})
    data, card = read_model(tmp_path, "line")
    with pytest.raises(InputError, match=r"name two-stage; got myoperf\.model/1 and line"):
        read_model(tmp_path, "two-stage")
    with pytest.raises(InputError, match="lacks build"):
        read_model(tmp_path, needs=("name", "build"))
    (tmp_path / "card.json").write_text(json.dumps({**card, "format": "myoperf.model/2"}))
    with pytest.raises(InputError, match=r"format myoperf\.model/1 and name of a paper; got myoperf\.model/2"):
        read_model(tmp_path)
    for modules in ({"": nn.Linear(2, 3)}, {"": nn.Sequential(nn.Linear(3, 2))}, {"weigh": nn.Linear(3, 2)}):
        with pytest.raises(InputError, match="not of the network on its card"):
            load_tensors(tmp_path, data, modules)
    load_tensors(tmp_path, data, {"": nn.Linear(3, 2)})


@pytest.mark.parametrize("content", [b"", b"no state", b"PK\x03\x04cut short"])
def test_a_damaged_checkpoint_is_one_line(tmp_path, content):
    (tmp_path / "state.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"state\.pt is not the state of a training"):
        resume_checkpoint(tmp_path / "state.pt", {})
    torch.save({"a": 1}, tmp_path / "state.pt")
    with pytest.raises(InputError, match=r"state\.pt is not the state of a training"):
        resume_checkpoint(tmp_path / "state.pt", {})


def test_a_training_without_a_checkpoint_begins(tmp_path):
    parts = _parts()
    before = parts["net"].weight.clone()
    assert resume_checkpoint(None, parts) == resume_checkpoint(tmp_path / "state.pt", parts) == {}
    assert torch.equal(parts["net"].weight, before)
