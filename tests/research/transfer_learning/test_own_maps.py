"""From one's own stress maps to a trained model, its predictions on others, and their evaluation."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from myoperf.errors import InputError
from myoperf.research.screenshots.labelled_maps import find_maps
from myoperf.research.screenshots.polar_files import read_polar_disc
from myoperf.research.training.options import RunOptions
from myoperf.research.transfer_learning import study
from myoperf.research.transfer_learning.networks import load_classifier
from support.command import run_command


def _maps(folder, n, *, seed=0):
    """Polar maps of which every second has a dark septum."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(n):
        values = 1 + 0.05 * rng.standard_normal((24, 72))
        values[:, 10:30] *= 1 - 0.6 * (index % 2)
        np.save(folder / f"{index}.npy", values.astype(np.float32))
        part = "train" if index < n - 6 else "test"
        rows.append({"patient": f"P{index}", "map": f"{index}.npy", "label": index % 2, "split": part})
    table = folder / "table.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    return table


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    table = _maps(folder, 20)
    # Frozen features of a random MobileNetV2 are constant; VGG16's are not.
    words = ("train", "transfer", "--data", table, "--scale", "smoke", "--networks", "VGG16", "--strategies", "4")
    done = run_command(*words, "--epochs", "12", "-o", folder / "model", "-q")
    assert done.returncode == 0, done.stderr
    return folder


def test_own_maps_train_a_model_that_predicts_others_and_is_evaluated(trained, tmp_path):
    card = json.loads((trained / "model" / "card.json").read_text())
    assert (card["format"], card["name"], card["strategy"]) == ("myoperf.model/1", "two-stage", 4)
    assert card["data_sha256"] == find_maps(trained / "table.csv").fingerprint
    assert card["patients"] == {"train": 10, "test": 6, "validation": 4}
    assert card["class_balance"]["train"] == 0.5
    assert {"brier", "slope", "brier_lo"} <= set(card["held_out"]["calibration"])
    others = _maps(tmp_path, 12, seed=1)
    rows = pd.read_csv(others)
    rows.loc[0, "map"] = "broken.npy"
    (tmp_path / "broken.npy").write_text("no array")
    rows.drop(columns="split").to_csv(others, index=False)
    done = run_command("predict", trained / "model", others, "-o", tmp_path / "predictions", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "1 cases could not be read" in done.stderr
    told = pd.read_csv(tmp_path / "predictions" / "predictions.csv")
    assert list(told.columns) == ["patient", "truth", "two-stage"]
    assert told["patient"].tolist() == [f"P{i}" for i in range(1, 12)]
    assert "broken.npy" in (tmp_path / "predictions" / "refused.csv").read_text()
    done = run_command("evaluate", tmp_path / "predictions" / "predictions.csv", "-o", tmp_path / "evaluation")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "evaluation" / "metrics.csv").is_file()


def test_the_model_read_again_is_the_one_that_was_measured(trained):
    from myoperf.research.transfer_learning.networks import to_range
    from myoperf.research.transfer_learning.training import predict

    kept = load_classifier(trained / "model")
    held_out = pd.read_csv(trained / "model" / "held_out.csv")
    discs = np.stack(
        [read_polar_disc(trained / f"{p[1:]}.npy", size=kept.size, state="stress") for p in held_out["patient"]]
    )
    again = predict(kept.model, to_range(discs, study.spec_of(kept.network).input_range)).numpy()
    assert held_out["two-stage"].std() > 0.01
    assert held_out["two-stage"].to_numpy() == pytest.approx(again, abs=1e-4)


@pytest.mark.slow
def test_a_study_on_a_table_keeps_the_tables_split_and_goes_on_with_another_strategy(trained, tmp_path):
    words = ("study", "two-stage", "--data", trained / "table.csv", "-o", tmp_path / "out", "--epochs", "1", "-q")
    done = run_command(*words, "--strategies", "4")
    assert done.returncode == 0, done.stderr
    predictions = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert predictions["patient"].tolist() == [f"P{i}" for i in range(14, 20)]
    again = run_command(*words, "--strategies", "5")
    assert (again.returncode, "--resume" in again.stderr) == (2, True)
    assert run_command(*words, "--strategies", "5", "--resume").returncode == 0
    table = pd.read_csv(tmp_path / "out" / "two_stage.csv")
    assert sorted(table["strategy"]) == [4, 5]
    assert set(table["scale"]) == {"smoke"}
    assert len((tmp_path / "out" / "two_stage.md").read_text().split("Its figures mean nothing")) == 2
    assert (tmp_path / "out" / "models" / "MobileNetV2-random-5" / "card.json").is_file()


def test_networks_that_lack_weights_are_listed_and_the_others_tabulated(trained, tmp_path, monkeypatch):
    from myoperf.errors import MissingWeightsError

    def make(name, weights, *args, build=study.make_backbone):
        if name == "VGG16":
            raise MissingWeightsError("ImageNet weights of VGG16 could not be loaded.")
        return build(name, weights, *args)

    monkeypatch.setattr(study, "make_backbone", make)
    options = RunOptions(
        data=trained / "table.csv", networks=("vgg16", "MobileNetV2"), strategies=("4",), epochs=1, quiet=True
    )
    rows = study.run("smoke", tmp_path / "out", options=options)
    assert [row["network"] for row in rows] == ["MobileNetV2"]
    assert "VGG16" in (tmp_path / "out" / "missing.csv").read_text()
    with pytest.raises(MissingWeightsError, match="VGG16"):
        study.run("smoke", tmp_path / "none", options=RunOptions(**{**vars(options), "networks": ("VGG16",)}))


def test_a_folder_for_each_class_is_read_as_the_paper_had_it(tmp_path):
    for name in ("CAD", "non-CAD"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", np.ones((8, 8)))
    screens = find_maps(tmp_path).screens
    assert {(screen.patient, screen.label) for screen in screens} == {("CAD/a", 1), ("non-CAD/a", 0)}
    (tmp_path / "normal").mkdir()
    with pytest.raises(InputError, match="two folders"):
        find_maps(tmp_path)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("A", "", "", "1", ""), "one of the columns picture and map; got 0"),
        (("A", "a.npy", "a.npy", "1", ""), "one of the columns picture and map; got 2"),
        (("A", "", "a.npy", "2", ""), "label must be 0 or 1"),
        (("A", "", "b.npy", "1", ""), "the file of the column map is not there"),
        (("A", "a.npy", "", "1", "0"), "place is a whole number"),
    ],
)
def test_a_wrong_row_is_one_line(tmp_path, row, reason):
    np.save(tmp_path / "a.npy", np.ones((8, 8)))
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("patient", "picture", "map", "label", "place"), row])
    with pytest.raises(InputError, match=f"t.csv, line 2: .*{reason}"):
        find_maps(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((8, 8), np.nan), "expected finite values"),
        (np.where(np.arange(64).reshape(8, 8) == 5, np.inf, 1.0), "expected finite values"),
        (np.zeros((8, 8)), "expected finite values .* above 0"),
        (np.ones((3, 8, 8)), "got shape"),
        (np.linspace(-3, 2, 64).reshape(8, 8), "values below zero"),
    ],
)
def test_an_array_that_is_no_map_of_counts_is_refused(tmp_path, values, reason):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(InputError, match=reason):
        read_polar_disc(tmp_path / "a.npy", size=17, state="stress")


def test_what_filtered_backprojection_leaves_below_zero_is_zero(tmp_path):
    values = np.ones((8, 8))
    values[:, :4] = -0.02
    np.save(tmp_path / "a.npy", values)
    disc = read_polar_disc(tmp_path / "a.npy", size=33, state="stress")
    assert (float(disc.min()), float(disc.max())) == (0.0, 1.0)


def test_a_map_of_results_is_that_of_the_state(tmp_path):
    for name, dark in (("stress", 0), ("rest", 4)):
        values = np.ones((8, 8))
        values[dark] = 0.1
        np.savez(tmp_path / f"{name}_polar.npz", maximum=values)
    scans = [{"name": name, "state": name} for name in ("stress", "rest")]
    (tmp_path / "results.json").write_text(json.dumps({"scans": scans, "scores": None}))
    stress, rest = (read_polar_disc(tmp_path / "results.json", size=33, state=s) for s in ("stress", "rest"))
    assert stress[16, 16] < 0.2
    assert rest[16, 16] > 0.9
    (tmp_path / "rest_polar.npz").unlink()
    with pytest.raises(InputError, match=r"rest_polar\.npz must stand beside"):
        read_polar_disc(tmp_path / "results.json", size=33, state="rest")
