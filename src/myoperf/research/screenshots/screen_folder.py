"""A folder of workstation screens with a table of classes, as Hai et al. 2022 (doi:10.32604/cmc.2022.031027) had.

Layout: ``labels.csv`` with the columns patient, file (path of a picture inside the folder) and label (0 or 1), and,
optionally, map: which polar map of the page in reading order, counted from 1; 1 where left out or empty. A patient may
have several pictures, all of one label.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from myoperf.errors import InputError
from myoperf.research.screenshots.colour_scales import Anchors
from myoperf.research.screenshots.polar_files import MAP_SUFFIXES, read_polar_disc
from myoperf.research.screenshots.screens import read_screen
from myoperf.research.training.case_table import TableRow, read_table

LABELS = "labels.csv"


@dataclass(frozen=True)
class LabelledScreen:
    """One polar map of one picture, or a map in a file of its own, with its patient's class.

    Attributes
    ----------
    file
        As the table names it.
    path
        Of the file.
    label
        0 or 1; None where it is not known.
    place
        Which map of the page in reading order, from 1.
    split
        train, validation, test, or empty: the patients are dealt at random.
    """

    patient: str
    file: str
    path: Path
    label: int | None
    place: int
    split: str = ""


@dataclass(frozen=True)
class ScreenFolder:
    """The labelled screens of a folder.

    Attributes
    ----------
    screens
        In the order of the table.
    fingerprint
        SHA-256 of the table and of all its pictures.
    """

    screens: tuple[LabelledScreen, ...]
    fingerprint: str


@dataclass(frozen=True, eq=False)
class ReadScreens:
    """The clean maps of the screens that could be read.

    Attributes
    ----------
    discs
        (n, size, size) from 0 to 1, or (n, size, size, 3) red, green, blue as painted; 0 outside the disc.
    screens
        Whose they are, n.
    refused
        The other screens, and why.
    """

    discs: NDArray[np.float32]
    screens: tuple[LabelledScreen, ...]
    refused: Mapping[LabelledScreen, str]


def find_screens(folder: Path) -> ScreenFolder:
    """Read a folder's table and find its pictures, without opening them.

    Raises
    ------
    InputError
        When the table lacks a column or contradicts itself, a label is neither 0 nor 1, or a picture is missing,
        lies outside the folder or is listed twice; the message gives the line, never the patient.
    """
    if not (folder / LABELS).is_file():
        raise InputError(f"The folder needs a table {LABELS} with the columns patient, file and label; it is missing.")
    table = read_table(folder / LABELS, needs=("file", "label"), files=("file",), once=False)
    screens: list[LabelledScreen] = []
    label_of: dict[str, int | None] = {}
    line_of: dict[tuple[Path, int], int] = {}
    for row in table.rows:
        screen = _screen(folder, row)
        if label_of.setdefault(screen.patient, screen.label) != screen.label:
            raise InputError(f"{row.where}: the patient has another label in an earlier line; expected one.")
        before = line_of.setdefault((screen.path, screen.place), row.line)
        if before != row.line:
            raise InputError(f"{row.where}: the same picture and map as in line {before}; list each only once.")
        screens.append(screen)
    return ScreenFolder(tuple(screens), table.sha256)


def _screen(folder: Path, row: TableRow) -> LabelledScreen:
    """Check one row."""
    place = row.cells.get("map") or "1"
    if not re.fullmatch("[1-9][0-9]?", place):
        raise InputError(f"{row.where}: map is a number from 1 to 99, in reading order.")
    path = row.files["file"].resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InputError(f"{row.where}: file leads out of the folder; expected a path inside it.")
    return LabelledScreen(row.patient, row.cells["file"], path, row.label("label"), int(place), split=row.split)


def read_screens(
    folder: ScreenFolder,
    *,
    size: int = 224,
    colours: bool = False,
    scale: Anchors | None = None,
    report: Callable[[int, int], None] | None = None,
) -> ReadScreens:
    """Read every file and clean the map that the table names; of ``results.json`` the stress map.

    Parameters
    ----------
    size
        Rows and columns of the maps.
    colours
        Keep the maps as they were painted, text removed, as the networks of Hai et al. 2022 saw them; files without a
        picture are then refused.
    scale
        Colours of the screens, where they are not recognised.
    report
        Called with (pictures done, pictures in all).
    """
    listed: dict[Path, list[LabelledScreen]] = {}
    for screen in folder.screens:
        listed.setdefault(screen.path, []).append(screen)
    discs: dict[LabelledScreen, NDArray[np.float32]] = {}
    refused: dict[LabelledScreen, str] = {}
    for done, (path, screens) in enumerate(listed.items(), start=1):
        maps: tuple[NDArray[np.float32], ...] = ()
        reason = ""
        try:
            if path.suffix.lower() in MAP_SUFFIXES:
                if colours:
                    raise InputError(f"{path.name} holds counts, not colours; give a picture, or leave colours out.")
                maps = (read_polar_disc(path, size=size, state="stress"),)
            else:
                read = read_screen(path, size=size, scale=scale)
                maps = tuple((m.colours / 255.0).astype(np.float32) if colours else m.disc for m in read)
        except InputError as error:
            reason = str(error)
        for screen in screens:
            if screen.place <= len(maps):
                discs[screen] = maps[screen.place - 1]
            else:
                refused[screen] = reason or f"The page has no polar map {screen.place}; it shows {len(maps)}."
        if report is not None:
            report(done, len(listed))
    kept = tuple(screen for screen in folder.screens if screen in discs)
    shape = (0, size, size, 3) if colours else (0, size, size)
    stack = np.stack([discs[s] for s in kept]).astype(np.float32) if kept else np.zeros(shape, np.float32)
    return ReadScreens(stack, kept, {s: refused[s] for s in folder.screens if s in refused})
