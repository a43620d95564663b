"""Public sets: fetched against their publisher's hashes from a server of this test; verified where put by hand."""

import csv
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import typer
from PIL import Image
from report_rendering import LAYOUTS, patient_stacks, render

from myoperf.cli.data import fetch
from myoperf.errors import InputError
from myoperf.research import public_sets
from myoperf.research.public_sets import SETS, PublicSet, fetch_files, keep_hashes, read_hash_list
from myoperf.research.slice_transformer.spect_mpi import find_spect_mpi


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def served(tmp_path):
    """A published set of two files with its list of hashes, on this machine."""
    source = tmp_path / "published"
    (source / "dicom").mkdir(parents=True)
    (source / "README.txt").write_text("read me")
    (source / "dicom" / "one.dcm").write_bytes(bytes(range(256)) * 9)
    names = ("README.txt", "dicom/one.dcm")
    lines = [f"{hashlib.sha256((source / name).read_bytes()).hexdigest()} {name}" for name in names]
    (source / "SHA256SUMS.txt").write_text("\n".join(lines) + "\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=source))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    yield source, PublicSet("test", "A set", "home", address, "CC0", "nobody", "Put the files there.")
    server.shutdown()
    server.server_close()
    thread.join()


def test_files_are_fetched_once_and_checked(served, tmp_path):
    source, entry = served
    folder = tmp_path / "here"
    seen = []
    assert fetch_files(entry, folder, report=lambda done, total: seen.append((done, total))) == (2, 2)
    assert seen == [(1, 2), (2, 2)]
    assert (folder / "dicom" / "one.dcm").read_bytes() == (source / "dicom" / "one.dcm").read_bytes()
    assert fetch_files(entry, folder) == (0, 2)
    (folder / "README.txt").write_text("damaged here")
    assert fetch_files(entry, folder) == (1, 2)
    assert (folder / "README.txt").read_text() == "read me"


def test_a_file_with_another_hash_is_not_kept(served, tmp_path):
    source, entry = served
    (source / "dicom" / "one.dcm").write_bytes(b"changed at the source")
    with pytest.raises(InputError, match=r"one.dcm of test came with another hash"):
        fetch_files(entry, tmp_path / "here")
    assert not (tmp_path / "here" / "dicom" / "one.dcm").exists()
    (source / "dicom" / "one.dcm").unlink()
    with pytest.raises(InputError, match=r"could not be fetched .* By hand: Put the files there"):
        fetch_files(entry, tmp_path / "here")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), ("not a hash  file", "damaged"), (f"{'a' * 64} ../secret", "outside"), ("0" * 64, "damaged")],
)
def test_a_bad_list_of_hashes_is_refused(text, reason):
    with pytest.raises(InputError, match=reason):
        read_hash_list(text)


def test_the_hash_list_reads_both_common_forms():
    assert read_hash_list(f"{'A' * 64}  a.txt\n{'0' * 64} *b/c.txt\n") == {"a.txt": "a" * 64, "b/c.txt": "0" * 64}


def test_kept_hashes_tell_a_change(tmp_path):
    files = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for path in files:
        path.write_text(path.name)
    assert keep_hashes(tmp_path, files) == 0
    assert keep_hashes(tmp_path, files) == 2
    files[0].write_text("other")
    with pytest.raises(InputError, match="1 files are not what they were"):
        keep_hashes(tmp_path, files)
    with pytest.raises(InputError, match="2 files"):
        keep_hashes(tmp_path, [files[0]])


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
    with pytest.raises(InputError, match="1 files are not what they were"):
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
    with pytest.raises(InputError, match=r"cannot be fetched by MyoPerf \(https://www.kaggle.com.* account is needed"):
        fetch("spect-mpi", tmp_path / "none", quiet=True)
    (tmp_path / "TrainSet").mkdir()
    with pytest.raises(InputError, match="TestSet was not found"):
        find_spect_mpi(tmp_path)
    (tmp_path / "TestSet").mkdir()
    with pytest.raises(InputError, match="table of labels was not found"):
        find_spect_mpi(tmp_path)
    table = tmp_path / "GroundTruth.csv"
    table.write_text("patient,label\n1,0\n")
    with pytest.raises(InputError, match="needs the columns # Patients"):
        find_spect_mpi(tmp_path)
    table.write_text("# Patients,Evaluation,Set Distribution\n1,Normal,Train\n")
    with pytest.raises(InputError, match="1 labels no picture"):
        find_spect_mpi(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "TrainSet" / "1.jpg")
    assert find_spect_mpi(tmp_path).truth == {"1": 0}
    Image.new("RGB", (8, 8)).save(tmp_path / "TestSet" / "1.jpeg")
    with pytest.raises(InputError, match="in both folders"):
        find_spect_mpi(tmp_path)


def test_every_set_says_where_it_is_and_its_terms():
    for entry in SETS.values():
        assert entry.home.startswith("https://")
        assert entry.licence
        assert "doi:" in entry.cite
    with pytest.raises(InputError, match="physionet-mps or spect-mpi; got other"):
        fetch("other", None, quiet=True)
