"""The public SPECT-MPI set, of simulated report pictures, is verified where the user has put it."""

import csv

import numpy as np
import pytest
import typer
from PIL import Image

from myoperf.cli.data import fetch
from myoperf.errors import InputError
from myoperf.research import public_sets
from myoperf.research.slice_transformer.spect_mpi import find_spect_mpi
from support.screenshots import LAYOUTS, patient_stacks, render


def _place(folder, labels):
    """Put painted report pictures as the public set has them: number -> (label, folder)."""
    for index, (number, (_, part)) in enumerate(labels.items()):
        (folder / part).mkdir(parents=True, exist_ok=True)
        picture, _ = render(LAYOUTS["public"], patient_stacks(index))
        Image.fromarray(picture).save(folder / part / f"{number}.jpg", quality=90)
    with (folder / "GroundTruth.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("# Patients", "Evaluation", "Age", "Sex", "Set Distribution"))
        for number, (label, part) in labels.items():
            writer.writerow((number, label, 60, "F ", "Train" if part == "TrainSet" else "Test"))
        writer.writerow(("Total", "", "", "", ""))


def test_spect_mpi_is_verified_where_it_was_put(tmp_path, capsys):
    folder = tmp_path / "set"
    _place(folder, {"1001": ("Normal", "TrainSet"), "2001": ("Ischemia", "TestSet")})
    found = find_spect_mpi(folder)
    assert found.truth == {"1001": 0, "2001": 1}
    assert found.part == {"1001": "train", "2001": "test"}
    fetch("spect-mpi", folder, quiet=True)
    said = capsys.readouterr().out
    assert "2 patients, 1 normal and 1 abnormal" in said
    assert "hashes kept" in said
    assert "2 pictures can be read, 0 cannot" in said
    Image.fromarray(np.zeros((600, 700, 3), np.uint8)).save(folder / "TrainSet" / "1001.jpg")
    with pytest.raises(InputError, match="1 files changed"):
        fetch("spect-mpi", folder, quiet=True)
    (folder / public_sets.KEPT).unlink()
    with pytest.raises(typer.Exit) as ended:
        fetch("spect-mpi", folder, quiet=True)
    assert ended.value.exit_code == 1
    with (folder / "myoperf-pictures.csv").open() as file:
        rows = {row["patient"]: row for row in csv.DictReader(file)}
    assert rows["1001"]["read"] == "0"
    assert "nearly black" in rows["1001"]["reason"]
    assert rows["2001"]["read"] == "1"


def test_spect_mpi_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match=r"cannot be fetched by MyoPerf \(https://www.*account is needed"):
        fetch("spect-mpi", tmp_path / "none", quiet=True)
    (tmp_path / "TrainSet").mkdir()
    with pytest.raises(InputError, match="TestSet is missing"):
        find_spect_mpi(tmp_path)
    (tmp_path / "TestSet").mkdir()
    with pytest.raises(InputError, match="There is no table of labels"):
        find_spect_mpi(tmp_path)
    table = tmp_path / "GroundTruth.csv"
    table.write_text("patient,label\n1,0\n")
    with pytest.raises(InputError, match="needs the columns # Patients"):
        find_spect_mpi(tmp_path)
    table.write_text("# Patients,Evaluation,Set Distribution\n1,Normal,Train\n")
    table.write_bytes(b"# Patients,Evaluation\n1,Normal\n1,2,3,4,5\n\xff\xfe")
    with pytest.raises(InputError, match=r"GroundTruth.csv cannot be read as a table"):
        find_spect_mpi(tmp_path)
    table.write_text("# Patients,Evaluation,Set Distribution\n1,Normal,Train\n")
    with pytest.raises(InputError, match="1 of 1 labels lack a picture"):
        find_spect_mpi(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "TrainSet" / "1.jpg")
    assert find_spect_mpi(tmp_path).truth == {"1": 0}
    for word, part in (("Training", "train"), (" validation ", "validation"), ("TEST", "test")):
        table.write_text(f"# Patients,Evaluation,Set Distribution\n1,Normal,{word}\n")
        assert find_spect_mpi(tmp_path).part == {"1": part}
    table.write_text("# Patients,Evaluation,Set Distribution\n1,Normal,A\n")
    with pytest.raises(InputError, match="holds Train, Validation or Test; got 'A'"):
        find_spect_mpi(tmp_path)
    table.write_text("# Patients,Evaluation,Set Distribution\n1,Normal,Train\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "TestSet" / "1.jpeg")
    with pytest.raises(InputError, match="in both folders"):
        find_spect_mpi(tmp_path)
