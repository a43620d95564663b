"""Stress maps with a class a patient, however the user keeps them: a table, a folder with a table, a folder a class."""

import hashlib
from pathlib import Path

from myoperf.errors import InputError
from myoperf.research.screenshots.pictures import SUFFIXES
from myoperf.research.screenshots.polar_files import MAP_SUFFIXES
from myoperf.research.screenshots.screen_folder import LABELS, LabelledScreen, ScreenFolder, find_screens
from myoperf.research.training.case_table import TableRow, read_table

CLASSES = {
    0: ("0", "non-cad", "noncad", "no-cad", "non cad", "normal", "healthy", "negative"),
    1: ("1", "cad", "abnormal", "disease", "diseased", "positive"),
}
"""Names, in lower case, of the two folders of Hai et al. 2022's layout."""


def find_maps(path: Path, *, labelled: bool = True) -> ScreenFolder:
    """Find the stress maps of one's own patients, without opening them.

    Parameters
    ----------
    path
        A CSV table with the columns patient, picture (a screen; optional: place, which map of the page, from 1) or map
        (a NumPy array, ``NAME_polar.npz`` or ``results.json``), label (0 or 1) and, optionally, split; a folder with
        ``labels.csv``, see `find_screens`; or a folder with a folder of pictures for each class, see `CLASSES`, a
        picture a patient.
    labelled
        Whether every row of a table needs a label.

    Raises
    ------
    InputError
        For data that are incomplete or contradict themselves; see `find_screens` and `read_table`.
    """
    if path.is_file():
        return _from_table(path, labelled=labelled)
    if (path / LABELS).is_file():
        return find_screens(path)
    classes = {label: [d for d in _folders(path) if d.name.lower() in names] for label, names in CLASSES.items()}
    if [len(found) for found in classes.values()] != [1, 1]:
        raise InputError(
            f"A folder of pictures needs a table {LABELS} (patient, file, label) or two folders, named normal and CAD "
            f"(or {CLASSES[0][1]} and {CLASSES[1][1]}, 0 and 1); {path.name} has neither."
        )
    return _from_classes(path, {label: found[0] for label, found in classes.items()})


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []


def _from_classes(root: Path, classes: dict[int, Path]) -> ScreenFolder:
    """Read the layout of the paper: every picture of a class's folder is a patient, named by its file."""
    screens, mark = [], hashlib.sha256()
    for label, folder in classes.items():
        for file in sorted(f for f in folder.iterdir() if f.suffix.lower() in (*SUFFIXES, *MAP_SUFFIXES)):
            name = str(file.relative_to(root))
            screens.append(LabelledScreen(f"{folder.name}/{file.stem}", name, file, label, 1))
            mark.update(f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return ScreenFolder(tuple(screens), mark.hexdigest())


def _from_table(path: Path, *, labelled: bool) -> ScreenFolder:
    table = read_table(path, needs=("label",) if labelled else (), files=("picture", "map"), once=False)
    screens = tuple(_screen(row) for row in table.rows)
    label_of: dict[str, int | None] = {}
    for screen, row in zip(screens, table.rows, strict=True):
        if label_of.setdefault(screen.patient, screen.label) != screen.label:
            raise InputError(f"{row.where}: the patient has another label in an earlier line; expected one.")
    return ScreenFolder(screens, table.sha256)


def _screen(row: TableRow) -> LabelledScreen:
    columns = [name for name in ("picture", "map") if name in row.files]
    if len(columns) != 1:
        raise InputError(f"{row.where}: expected a path in one of the columns picture and map; got {len(columns)}.")
    place = row.number("place")
    if place is not None and place not in range(1, 100):
        raise InputError(f"{row.where}: place is a whole number from 1 to 99, in reading order.")
    path = row.files[columns[0]]
    return LabelledScreen(
        row.patient, row.cells[columns[0]], path, row.label("label"), int(place or 1), split=row.split
    )
