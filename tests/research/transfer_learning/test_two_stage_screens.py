"""The two-stage study on a folder of screens, painted from simulated patients, through the command line."""

import csv
import json
import re
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from myoperf.cli.main import app
from myoperf.errors import InputError
from myoperf.research.screenshots.colour_scales import SCALES, colours_of
from myoperf.research.screenshots.screen_folder import find_screens
from myoperf.research.training.options import RunOptions
from myoperf.research.transfer_learning import study
from myoperf.research.transfer_learning.data import Discs, discs_from_screens, simulate_discs
from myoperf.research.transfer_learning.networks import to_range
from myoperf.research.transfer_learning.study import run

SIZE, EACH = 90, 12


def _page(discs, scale, path):
    """Maps side by side with text beside and over them, as JPEG."""
    picture = np.zeros((150, 20 + 110 * len(discs), 3), np.uint8)
    across = (np.arange(SIZE) + 0.5) * 2 / SIZE - 1
    inside = np.hypot(*np.meshgrid(across, across)) <= 1
    for index, disc in enumerate(discs):
        window = picture[40 : 40 + SIZE, 15 + 110 * index : 15 + 110 * index + SIZE]
        window[inside] = colours_of(disc, SCALES[scale])[inside]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    draw.text((10, 4), "Patient 0001  Stress / Rest", fill=(255, 255, 255))
    draw.text((55, 75), "68", fill=(255, 255, 255))
    image.save(path, quality=92)


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """24 patients, four of them with two pictures, their map first or second of its page; three rows are no map."""
    folder = tmp_path_factory.mktemp("screens")
    images, labels = simulate_discs(EACH, EACH, SIZE, 5)
    rest = np.roll(images, 1, axis=0)
    rows = []
    for index, label in enumerate(labels.tolist()):
        first = bool(index % 2)
        pair = [images[index], rest[index]] if first else [rest[index], images[index]]
        _page(pair, ("hot", "cool", "grey")[index % 3], folder / f"{index:02d}.jpg")
        rows.append((f"name-{index:02d}", f"{index:02d}.jpg", label, 1 if first else 2))
        if index % 6 == 0:
            _page([images[index]], "ge", folder / f"{index:02d}-again.jpg")
            rows.append((f"name-{index:02d}", f"{index:02d}-again.jpg", label, ""))
    Image.new("RGB", (200, 150)).save(folder / "blank.png")
    (folder / "text.jpg").write_text("no picture")
    rows += [("name-00", "blank.png", labels[0], 1), ("name-98", "text.jpg", 0, 1), ("name-01", "01.jpg", labels[1], 7)]
    _table(folder, rows)
    return folder


def _table(folder, rows):
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("patient", "file", "label", "map"), *rows])


def _rows(folder):
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


def _call(out, folder, *words):
    return CliRunner().invoke(app, ["study", "two-stage", "--data", str(folder), "-o", str(out), *words])


@pytest.fixture(scope="module")
def done(painted, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    told = _call(out, painted)
    assert told.exit_code == 0, told.output
    return out


def test_a_patient_is_on_one_side_and_classes_are_kept(painted, tmp_path):
    found = find_screens(painted)
    (tmp_path / "jobs").mkdir()
    data = discs_from_screens(found, side=32, seed=3, out=tmp_path)
    names = {part: data.names(part) for part in ("train", "validation", "test")}
    every = [name for part in names.values() for name in part]
    assert sorted(every) == sorted({s.patient for s in found.screens} - {"name-98"})
    assert len(every) == len(set(every)) == 2 * EACH
    assert {part: (len(names[part]), sum(data.truth(part))) for part in names} == {
        "train": (14, 7),
        "validation": (4, 2),
        "test": (6, 3),
    }
    rows = np.concatenate(list(data.parts.values()))
    assert sorted(rows.tolist()) == list(range(len(data.discs)))
    twice = {name for name in every if (data.patients == name).sum() == 2}
    assert twice == {"name-00", "name-06", "name-12", "name-18"}
    label_of = {s.patient: s.label for s in found.screens}
    assert all(data.truth(part) == [label_of[name] for name in names[part]] for part in names)


def test_the_disc_is_the_patients_and_not_the_other_of_the_page(painted, tmp_path):
    images, _ = simulate_discs(EACH, EACH, SIZE, 5)
    (tmp_path / "jobs").mkdir()
    data = discs_from_screens(find_screens(painted), side=SIZE, seed=0, out=tmp_path)
    # Correlation, since two patients without disease may differ less than the brightness that a colour scale returns.
    found, true = (values.reshape(len(values), -1) for values in (data.discs, images))
    alike = np.corrcoef(found, true)[: len(found), len(found) :]
    assert [f"name-{i:02d}" for i in alike.argmax(axis=1)] == data.patients.tolist()
    assert alike.max(axis=1).min() > 0.998


def test_pictures_of_a_patient_are_judged_together():
    labels, owners = np.asarray([1, 0, 1, 0]), np.asarray(["b", "a", "b", "c"])
    data = Discs(np.zeros((4, 2, 2), np.float32), labels, {"test": np.asarray([0, 1, 2])}, owners)
    assert data.names("test") == ["b", "a"]
    assert data.by_patient("test", np.asarray([0.2, 0.5, 0.6])).tolist() == pytest.approx([0.4, 0.5])
    assert data.truth("test") == [1, 0]
    assert data.tested == ("test",)


@pytest.mark.slow
def test_the_study_says_what_it_was_run_on(painted, done):
    table = pd.read_csv(done / "two_stage.csv")
    assert table[["part", "n", "strategy"]].to_numpy().tolist() == [["test", 6, 4], ["test", 6, 6]]
    words = (done / "two_stage.md").read_text()
    assert "Pictures given with --data" in words
    assert "Test part only" in words
    assert "left out (refused.csv): 3" in words
    assert not re.search("simulated", words, re.IGNORECASE)
    manifest = json.loads((done / "manifest.json").read_text())
    assert manifest["data"] == "pictures given with --data"
    assert manifest["data_sha256"] == find_screens(painted).fingerprint
    assert (manifest["pictures"], manifest["refused"]) == (28, 3)
    assert manifest["patients"] == {"train": 14, "validation": 4, "test": 6}
    told = pd.read_csv(done / "predictions.csv")
    label_of = {row[0]: int(row[2]) for row in _rows(painted)}
    assert [label_of[name] for name in told["patient"]] == told["truth"].tolist()
    assert told["patient"].is_unique
    assert (done / "two_stage_cam.png").stat().st_size > 3000


def test_what_was_refused_is_listed_with_the_reason(done):
    with (done / "refused.csv").open(newline="") as file:
        refused = list(csv.reader(file))
    assert refused[0] == ["patient", "file", "map", "reason"]
    assert [row[:3] for row in refused[1:]] == [
        ["name-00", "blank.png", "1"],
        ["name-98", "text.jpg", "1"],
        ["name-01", "01.jpg", "7"],
    ]
    assert all(
        word in row[3]
        for row, word in zip(refused[1:], ("no polar map", "cannot be read as a picture", "it shows 2"), strict=True)
    )


def test_a_finished_study_is_gone_on_with_and_other_data_refused(painted, done, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("done again")

    before = (done / "two_stage.csv").read_text()
    monkeypatch.setattr(study, "fit_strategy", fail)
    monkeypatch.setattr("myoperf.research.transfer_learning.data.read_screens", fail)
    assert _call(done, painted, "--resume").exit_code == 0
    assert (done / "two_stage.csv").read_text() == before
    kept = (painted / "labels.csv").read_bytes()
    rows = _rows(painted)
    try:
        _table(painted, [*rows[:-1], (*rows[-1][:3], 8)])
        with pytest.raises(InputError, match="other settings"):
            run("smoke", done, options=RunOptions(data=painted, quiet=True))
    finally:
        (painted / "labels.csv").write_bytes(kept)
    with pytest.raises(InputError, match="other settings"):
        run("smoke", done, options=RunOptions(quiet=True))


def test_too_few_patients_are_refused_before_anything_is_trained(painted, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "fit_strategy", None)
    by_label = defaultdict(list)
    for path in painted.glob("[0-9][0-9].jpg"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for name, file, label, place in _rows(painted):
        if (tmp_path / file).is_file():
            by_label[label].append([name, file, label, place])
    few = by_label["0"][:10] + by_label["1"][:10]
    _table(tmp_path, few[1:])
    with pytest.raises(
        InputError, match=r"10 patients of each class .* 10 with label 1 and 9 with label 0 are in the data"
    ):
        run("smoke", tmp_path / "a", options=RunOptions(data=tmp_path, quiet=True))
    assert not (tmp_path / "a").exists()
    (tmp_path / few[0][1]).write_text("spoilt")
    _table(tmp_path, few)
    with pytest.raises(InputError, match=r"9 with label 0 .* refused\.csv"):
        run("smoke", tmp_path / "b", options=RunOptions(data=tmp_path, quiet=True))
    assert few[0][1] in (tmp_path / "b" / "refused.csv").read_text()


def test_a_faulty_table_is_one_line_of_the_command(painted, tmp_path):
    _table(tmp_path, [("Doe", "../labels.csv", 1, 1)])
    told = _call(tmp_path / "out", tmp_path)
    assert isinstance(told.exception, InputError)
    assert "line 2: the file of the column file is not there" in str(told.exception)
    assert not (tmp_path / "out").exists()
    words = CliRunner().invoke(app, ["study", "ms-st-unet", "--weights", "none", "-o", str(tmp_path / "out")])
    assert "--weights is not for ms-st-unet" in str(words.exception)


def test_a_model_may_see_the_pictures_colours(painted, tmp_path):
    words = ["train", "transfer", "--scale", "smoke", "--keep-colours"]
    more = ["--data", str(painted), "--strategies", "4", "--epochs", "1", "-q", "-o", str(tmp_path / "model")]
    told = CliRunner().invoke(app, [*words, *more])
    assert told.exit_code == 0, told.output
    kept = np.load(tmp_path / "model" / "jobs" / "discs-64-colours.npz")["discs"]
    assert kept.shape[1:] == (64, 64, 3)
    assert np.ptp(kept, axis=3).max() > 0.3  # coloured scales are not grey
    pictures = to_range(kept, (-1, 1))
    assert pictures.shape[1:] == (3, 64, 64)
    assert float(pictures.min()) == -1.0
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["build"]["colours"] is True
    told = CliRunner().invoke(app, ["predict", str(tmp_path / "model"), str(painted), "-o", str(tmp_path / "out")])
    assert told.exit_code == 0, told.output
    assert len(pd.read_csv(tmp_path / "out" / "predictions.csv")) == 2 * EACH
    told = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "none")])
    assert "simulated maps have no colours" in str(told.exception)
