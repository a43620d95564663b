"""A folder of screens with a class a patient: what its table may say, and which pictures are left out."""

import csv

import numpy as np
import pytest
from PIL import Image, ImageDraw

from myoperf.errors import InputError
from myoperf.research.screenshots.colour_scales import SCALES, colours_of
from myoperf.research.screenshots.screen_folder import LABELS, find_screens, read_screens

SIZE = 100


def _page(levels):
    """Discs side by side, each bright with a darker half at its level, with text beside and on them."""
    picture = np.zeros((160, 30 + 120 * len(levels), 3), np.uint8)
    across = (np.arange(SIZE) + 0.5) * 2 / SIZE - 1
    inside = np.hypot(*np.meshgrid(across, across)) <= 1
    for index, level in enumerate(levels):
        disc = np.where(across[:, None] + 0 * across > 0, level, 0.9)
        window = picture[40 : 40 + SIZE, 20 + 120 * index : 20 + 120 * index + SIZE]
        window[inside] = colours_of(disc, SCALES["hot"])[inside]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    draw.text((10, 5), "Stress AC", fill=(255, 255, 255))
    draw.text((60, 70), "68", fill=(255, 255, 255))
    return image


def _folder(tmp_path, rows, columns=("patient", "file", "label", "map")):
    with (tmp_path / LABELS).open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([columns, *rows])
    return tmp_path


@pytest.fixture
def screens(tmp_path):
    folder = tmp_path / "screens"
    (folder / "later").mkdir(parents=True)
    _page([0.3]).save(folder / "a.png")
    _page([0.3, 0.6]).save(folder / "later" / "b.jpg", quality=92)
    Image.new("RGB", (200, 200)).save(folder / "blank.png")
    (folder / "text.jpg").write_text("no picture")
    return folder


def test_pages_give_the_map_asked_for_and_the_rest_is_refused_with_a_reason(screens):
    rows = [
        ("Z", "a.png", 1, ""),
        ("Z", "later/b.jpg", 1, 2),
        ("Z", "later/b.jpg", 1, 1),
        ("Z", "later/b.jpg", 1, 3),
        ("B", "blank.png", 0, 1),
        ("C", "text.jpg", 0, 1),
    ]
    found = find_screens(_folder(screens, rows))
    assert [(s.patient, s.file, s.label, s.place) for s in found.screens] == [(p, f, n, m or 1) for p, f, n, m in rows]
    steps = []
    read = read_screens(found, size=48, report=lambda *step: steps.append(step))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert read.screens == found.screens[:3]
    assert read.discs.shape == (3, 48, 48)
    # the lower half shows which map it is
    assert [round(float(disc[30:42, 14:34].mean()), 1) for disc in read.discs] == [0.3, 0.6, 0.3]
    assert [screen.file for screen in read.refused] == ["later/b.jpg", "blank.png", "text.jpg"]
    for reason, word in zip(
        read.refused.values(),
        ("no polar map 3; it shows 2", "no polar map", "cannot be read as a picture"),
        strict=True,
    ):
        assert word in reason


def test_a_folder_without_a_single_screen_is_read(screens):
    read = read_screens(find_screens(_folder(screens, [("B", "blank.png", 0, 1)])), size=48)
    assert read.discs.shape == (0, 48, 48)
    assert len(read.refused) == 1


def test_columns_may_stand_in_any_order_and_the_map_be_left_out(screens):
    _folder(screens, [("1", "x", "a.png", "P"), ("0", "y", "later/b.jpg", "Q")], ("Label ", "age", "File", "patient"))
    assert [(s.patient, s.label, s.place) for s in find_screens(screens).screens] == [("P", 1, 1), ("Q", 0, 1)]


def test_the_fingerprint_follows_table_and_pictures(screens):
    rows = [("A", "a.png", 1, 1), ("B", "later/b.jpg", 0, 1)]
    marks = [find_screens(_folder(screens, rows)).fingerprint, find_screens(screens).fingerprint]
    marks.append(find_screens(_folder(screens, [("A", "a.png", 0, 1), rows[1]])).fingerprint)
    _folder(screens, rows)
    _page([0.5]).save(screens / "a.png")
    marks.append(find_screens(screens).fingerprint)
    assert marks[0] == marks[1]
    assert len(set(marks)) == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("Doe", "a.png", 2, 1)], "line 2: label must be 0 or 1"),
        ([("Doe", "a.png", "", 1)], "line 2: label must not be empty"),
        ([("Doe", "a.png", 1, 0)], "line 2: map is a number from 1"),
        ([("Doe", "a.png", 1, "first")], "line 2: map is a number from 1"),
        ([("Doe", "a.png", 1, 1), ("", "later/b.jpg", 0, 1)], "line 3: patient must not be empty"),
        ([("Doe", "", 1, 1)], "line 2: file must not be empty"),
        ([("Doe", "a.png", 1, 1), ("Doe", "later/b.jpg", 0, 1)], "line 3: the patient has another label"),
        ([("Doe", "a.png", 1, 1), ("Roe", "a.png", 0, 2)], "line 3: file is the same as in line 2, of another"),
        (
            [("Doe", "a.png", 1, 1), ("Roe", "copy.png", 0, 1)],
            "line 3: file is the same as in line 2, of another",
        ),
        ([("Doe", "a.png", 1, 1), ("Doe", "a.png", 1, 1)], "line 3: the same picture and map as in line 2"),
        ([("Doe", "gone.png", 1, 1)], "line 2: the file of the column file is not there"),
        ([("Doe", "later", 1, 1)], "line 2: the file of the column file is not there"),
        ([("Doe", "../outside.png", 1, 1)], "line 2: file leads out of the folder"),
        ([("Doe", "later/../../outside.png", 1, 1)], "line 2: file leads out of the folder"),
        ([("Doe", "/etc/hostname", 1, 1)], "line 2: file leads out of the folder"),
        ([("Doe", "link.png", 1, 1)], "line 2: file leads out of the folder"),
        ([("Doe", "a\0.png", 1, 1)], "line 2: the file of the column file is not there|cannot be read as a table"),
        ([], "no rows"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused_by_line_and_without_names(screens, rows, message):
    _page([0.5]).save(screens.parent / "outside.png")
    (screens / "link.png").symlink_to(screens.parent / "outside.png")
    (screens / "copy.png").write_bytes((screens / "a.png").read_bytes())
    with pytest.raises(InputError, match=message) as caught:
        find_screens(_folder(screens, rows))
    assert "\n" not in str(caught.value)
    assert not any(name in str(caught.value) for name in ("Doe", "Roe", ".png", str(screens)))


def test_a_missing_table_or_column_is_refused(screens, tmp_path):
    with pytest.raises(InputError, match=r"needs a table labels\.csv"):
        find_screens(screens)
    with pytest.raises(InputError, match=r"needs a table labels\.csv"):
        find_screens(tmp_path / "nowhere")
    with pytest.raises(InputError, match="lacks the column file"):
        find_screens(_folder(screens, [("A", "a.png", 1)], ("patient", "picture", "class")))
    (screens / LABELS).write_text("patient;file;label\nA;a.png;1\n")
    with pytest.raises(InputError, match="separated by semicolons"):
        find_screens(screens)
    (screens / LABELS).write_bytes("patient,file,label\nM\xfcller,a.png,1\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        find_screens(screens)
    (screens / LABELS).write_text("")
    with pytest.raises(InputError, match="lacks the column patient"):
        find_screens(screens)
