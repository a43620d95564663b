"""Reader studies: blind, in a random order, once without and once with the machine's help, and what they export."""

import csv

import pytest

from myoperf.errors import InputError
from myoperf.research.label_strategies.readings import read_readings
from myoperf.types import VESSELS
from myoperf.web import trials
from myoperf.web.errors import ConflictError
from myoperf.web.trials import Case
from support.command import run_command
from support.room import READER, client_of, make_room, put_study, work_all

ANSWER = {"LAD": 0.8, "LCX": 0.2, "RCA": 0.0, "seconds": 0.0}


@pytest.fixture
def room(tmp_path):
    return make_room(tmp_path)


def studies(room, count):
    made = [put_study(room, str(i).encode()) for i in range(count)]
    work_all(room)
    return made


def a_trial(room, count):
    """Make a reader study whose cases are diseased in turn: case i in LAD where i is odd."""
    cases = [Case(study=study, ica=(i % 2, 0, 0)) for i, study in enumerate(studies(room, count))]
    return trials.make_trial(room, "Angina", cases, reader=READER)


def read_all(room, trial, *, reader):
    """Read every case, the LAD right and sure; return the studies in the reader's order."""
    order = []
    while (turn := trials.next_turn(room, trial, reader=reader)) is not None:
        trials.open_turn(room, trial, turn.number, reader=reader)
        lad = float((turn.study_id - 1) % 2)
        called = dict(zip(VESSELS, (lad, 0.2, 0.0), strict=True))
        trials.answer(room, trial, turn.number, called, seconds=0.0, reader=reader)
        order.append(turn.study_id)
    return order


def test_a_reader_sees_images_alone_and_then_the_machine_too(room):
    client = client_of(room)
    given = [{"study": study, "ica": [1, 0, None]} for study in studies(room, 2)]
    trial = client.post("/api/trials", json={"name": "Angina", "cases": given}).json()["trial"]
    path = f"/api/trials/{trial}/cases"
    first = client.get(f"{path}/0")
    assert (first.json()["helped"], first.json()["of"]) == (False, 4)
    assert set(first.json()["scene"]) == {"scans", "scored", "segments"}
    assert all(scan["segments_percent"] is None and not scan["findings"] for scan in first.json()["scene"]["scans"])
    assert "EX-0042" not in first.text
    assert "study" not in first.json()
    assert client.get(f"{path}/0/files/heart/stress").status_code == 200
    for hidden in ("polar-severity/stress", "scene", "results.json", "report.pdf", "record/x"):
        assert client.get(f"{path}/0/files/{hidden}").status_code == 404, hidden
    assert client.get(f"{path}/2").json()["code"] == "conflict", "the machine's help comes later"

    assert client.post(f"{path}/0", json=ANSWER).json() == {"turn": 1, "of": 4, "helped": False}
    assert client.post(f"{path}/0", json=ANSWER).json()["code"] == "conflict", "an answer is given once"
    assert client.post(f"{path}/1", json=ANSWER).json()["code"] == "conflict", "not opened yet"
    client.get(f"{path}/1")
    assert client.post(f"{path}/1", json={**ANSWER, "LAD": 1.5}).status_code == 422
    assert client.post(f"{path}/1", json=ANSWER).json()["helped"] is True
    helped = client.get(f"{path}/2").json()
    assert helped["scene"]["scores"]["summary"]
    assert client.get(f"{path}/2/files/polar-severity/stress").status_code == 200
    assert client.get("/api/trials").json()[0]["done"] == 2


def test_every_reader_has_an_order_of_their_own_in_which_each_case_comes_twice(room):
    trial = a_trial(room, 8)
    orders = {reader: read_all(room, trial, reader=reader) for reader in (READER, "Dr Bo")}
    for order in orders.values():
        assert sorted(order[:8]) == sorted(order[8:]) == list(range(1, 9))
        assert order[:8] != order[8:]
    assert orders[READER][:8] != orders["Dr Bo"][:8]


def test_times_are_those_of_the_page_but_no_longer_than_the_case_was_open(room):
    trial = a_trial(room, 2)
    for seconds in (0.0, 1e6):
        turn = trials.next_turn(room, trial, reader=READER)
        trials.open_turn(room, trial, turn.number, reader=READER)
        trials.answer(room, trial, turn.number, dict.fromkeys(VESSELS, 0.2), seconds=seconds, reader=READER)
    rows = list(csv.DictReader(trials.export_trial(room, trial, "times.csv", reader=READER).splitlines()))
    assert float(rows[0]["seconds"]) == 0.0
    assert 0.0 <= float(rows[1]["seconds"]) < 60.0


def test_the_tables_are_those_of_study_reader_and_evaluate(room, tmp_path):
    trial = a_trial(room, 12)
    for reader in (READER, "=cmd|Bo"):
        read_all(room, trial, reader=reader)
    table = tmp_path / "readings.csv"
    table.write_text(trials.export_trial(room, trial, "readings.csv", reader=READER))
    readings = read_readings(table)
    assert len(readings.patients) == 12
    assert (readings.called["reader alone"][:, 0] == readings.ica[:, 0]).all()

    predictions = tmp_path / "predictions.csv"
    predictions.write_text(trials.export_trial(room, trial, "predictions.csv", reader=READER))
    head = predictions.read_text().splitlines()[0].split(",")
    assert head[:3] == ["patient", "vessel", "truth"]
    named = {f"{who} {how}" for who in ("Dr Ada", "'=cmd|Bo") for how in ("alone", "with help")}
    assert named <= {*head} <= {*named, "network", *head[:3]}, "nothing that a spreadsheet takes for a formula"
    assert run_command("evaluate", str(predictions), "-o", str(tmp_path / "out")).returncode == 0
    metrics = {row["model"]: row for row in csv.DictReader((tmp_path / "out" / "metrics.csv").read_text().splitlines())}
    assert float(metrics["Dr Ada alone"]["auc"]) > 0.9


def test_what_no_reader_study_can_be_made_of(room):
    (study,) = studies(room, 1)
    waiting = put_study(room, b"waiting")
    for cases in ([], [Case(study=study), Case(study=study)], [Case(study=waiting)], [Case(study=99)]):
        with pytest.raises(InputError):
            trials.make_trial(room, "Angina", cases, reader=READER)
    with pytest.raises(InputError, match="0, 1 or not known"):
        Case(study=study, ica=(2, 0, 0))
    trial = trials.make_trial(room, "Angina", [Case(study=study)], reader=READER)
    with pytest.raises(ConflictError, match="of this name"):
        trials.make_trial(room, "Angina", [Case(study=study)], reader=READER)
    with pytest.raises(InputError, match="angiography"):
        trials.export_trial(room, trial, "predictions.csv", reader=READER)
