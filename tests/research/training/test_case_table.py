"""Tables of one's own patients: what is read, and what is refused with its line and without its patient."""

import pytest

from myoperf.errors import InputError
from myoperf.research.training.case_table import read_table


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.npy").write_bytes(name.encode())
    series = tmp_path / "series"
    series.mkdir()
    (series / "1.dcm").write_bytes(b"1")
    return tmp_path


def _table(folder, text, **options):
    (folder / "table.csv").write_text(text, encoding="utf-8")
    chosen = {"needs": ("map", "label"), "files": ("map",)} | options
    return read_table(folder / "table.csv", **chosen)


def test_labels_may_be_written_as_spreadsheets_write_them_and_empty_rows_are_left_out(folder):
    table = _table(folder, "Patient,map,label,\nP1,a.npy,1.0,\n,,,\nP2,b.npy,0,\n\n")
    assert [(row.line, row.label("label")) for row in table.rows] == [(2, 1), (4, 0)]
    assert table.columns == ("patient", "map", "label")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("patient;map;label\nDoe;a.npy;1\n", "semicolons or tabs; expected commas"),
        ("patient,map,label,Label\nDoe,a.npy,1,0\n", "the column label twice"),
        ("patient,map,label,height\nDoe,a.npy,1,1,72\n", "line 2: 5 cells, but the table has 4 columns"),
        ("patient,map,age,label\nDoe,a.npy,1\n", "line 2: 3 cells, but the table has 4 columns"),
        ("patient,map,label\nDoe,a.npy,2\n", "line 2: label must be 0 or 1"),
        ("patient,map,label\nDoe,a.npy,\n", "line 2: label must not be empty"),
        ("patient,map,label\nDoe,a.npy,nan\n", "line 2: label must be 0 or 1"),
        ("patient,map\nDoe,a.npy\n", "lacks the column label"),
        ("patient,map,label\nDoe,a.npy,1\nRoe,a.npy,0\n", "line 3: map is the same as in line 2, of another patient"),
        ("patient,map,label\nDoe,a.npy,1\nDoe,b.npy,1\n", "line 3: the patient of line 2 occurs again"),
        ("patient,map,label\nDoe,series,1\n", "line 2: the file of the column map is not there"),
        ("patient,map,label,split\nDoe,a.npy,1,holdout\n", "line 2: split is train, validation, test or empty"),
        ("", "lacks the column patient"),
        ("patient,map,label\n", "has no rows"),
    ],
)
def test_a_wrong_table_is_one_line_without_the_patient(folder, text, reason):
    with pytest.raises(InputError, match=reason) as caught:
        [row.label("label") for row in _table(folder, text).rows]
    assert "\n" not in str(caught.value)
    assert not any(name in str(caught.value) for name in ("Doe", "Roe"))


def test_a_copy_of_another_patients_file_is_noticed(folder):
    (folder / "copy.npy").write_bytes((folder / "a.npy").read_bytes())
    with pytest.raises(InputError, match="line 3: map is the same as in line 2, of another patient"):
        _table(folder, "patient,map,label\nP1,a.npy,1\nP2,copy.npy,0\n")
    several = _table(folder, "patient,map,label\nP1,a.npy,1\nP1,copy.npy,1\n", once=False)
    assert len(several.rows) == 2


def test_the_hash_follows_the_files_of_a_folder(folder):
    text, options = "patient,map,label\nP1,series,1\n", {"folders": ("map",)}
    before = _table(folder, text, **options).sha256
    assert _table(folder, text, **options).sha256 == before
    (folder / "series" / "2.dcm").write_bytes(b"2")
    more = _table(folder, text, **options).sha256
    (folder / "series" / "2.dcm").rename(folder / "series" / "3.dcm")
    assert len({before, more, _table(folder, text, **options).sha256}) == 3
