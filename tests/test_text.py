"""Text from files cannot act on a terminal, a page or a spreadsheet."""

import csv
import json
from io import StringIO

import numpy as np
import pytest

from myoperf.io import read_studies, write_nifti
from myoperf.text import printable, table_cell
from myoperf.types import Volume


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Łukasz 田中", "Łukasz 田中"),
        ("two\r\nlines", "two lines"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\u202etxt.exe", r"a\u202etxt.exe"),
        ("caf\udce9", r"caf\udce9"),
        ("\x9b31m", r"\x9b31m"),
    ],
)
def test_nothing_that_acts_is_shown(text, shown):
    assert printable(text) == shown
    shown.encode()


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_is_no_formula(text):
    table = StringIO()
    csv.writer(table).writerow([table_cell(text)])
    (row,) = csv.reader(StringIO(table.getvalue()))
    assert row[0] == "'" + text.strip()


def test_a_cell_holds_no_escape_codes():
    assert table_cell("x\x1b[2J\ny") == r"x\x1b[2J y"


@pytest.mark.parametrize("value", [-1.5, 3, "-1.5", "+2e-3", "patient-1", "", None, True])
def test_numbers_and_plain_text_stay(value):
    assert table_cell(value) is value


def test_the_name_of_a_file_that_is_no_text_can_be_written_as_json(tmp_path):
    name = b"stress\xe9\x1b[2J.nii.gz"
    volume = Volume(np.random.default_rng(0).random((12, 13, 14)).astype(np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
    write_nifti(tmp_path / "a.nii.gz", volume)
    (tmp_path / "a.nii.gz").rename(tmp_path / name.decode("utf-8", "surrogateescape"))
    (scan,) = read_studies(tmp_path).studies[0].scans
    assert scan.source == (r"stress\udce9\x1b[2J.nii.gz",)
    json.dumps(scan.source, ensure_ascii=False).encode()
