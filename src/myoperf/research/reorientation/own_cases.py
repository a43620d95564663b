"""One's own volumes with a drawn wall: a table of volumes, masks and poses, as cases that networks learn from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.errors import InputError, MyoPerfError
from myoperf.geometry import index_from_lps, transform_points
from myoperf.io import read_studies
from myoperf.io.nifti import read_nifti
from myoperf.lv import cavity_from_wall, frame_from_mask
from myoperf.research.lv_network.cases import Case
from myoperf.research.reorientation.pose import MEAN_EULER, euler_from_matrix, matrix_from_euler
from myoperf.research.training.case_table import Table, TableRow, read_table
from myoperf.research.training.splits import given_split
from myoperf.types import MYOCARDIUM, Float, LVFrame, Volume

POINTS = tuple(f"{name}_{axis}" for name in ("apex", "base", "anterior") for axis in "xyz")
"""Columns of a pose by its points, LPS mm; anterior is a direction."""
PARAMETERS = ("alpha", "beta", "gamma", "tx", "ty", "tz")
"""Columns of a pose as in Table 2 of Ni et al. 2023: radians, and the shift of the image to the grid's centre."""
TEST_SHARE = 0.2
BLOOD_POOL = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnCases:
    """Cases of a table that could be read.

    Attributes
    ----------
    cases, rows
        Of the same length.
    kinds
        Of each case, what the column modality says (spect, pet), or "own".
    poses
        Of each case: given, or derived from its mask.
    sha256
        Of the table and its files.
    refused
        Columns line and reason.
    """

    cases: tuple[Case, ...]
    rows: tuple[TableRow, ...]
    kinds: tuple[str, ...]
    poses: tuple[str, ...]
    sha256: str
    refused: pd.DataFrame

    def parts(self, seed: int) -> dict[str, NDArray[np.intp]]:
        """Return the rows of train and test: by the table's split (validation trains too), or 80/20 by patient.

        Raises
        ------
        InputError
            When there are fewer than two patients.
        """
        given = given_split([row.split for row in self.rows])
        if given is not None:
            train = np.concatenate([given["train"], given.get("validation", np.zeros(0, np.intp))])
            return {"train": np.sort(train), "test": given["test"]}
        names = sorted({case.patient for case in self.cases})
        if len(names) < 2:
            raise InputError(f"A split needs two patients or more; got {len(names)}.")
        order = np.random.default_rng(seed).permutation(len(names))
        held = {names[i] for i in order[: max(1, round(TEST_SHARE * len(names)))]}
        tested = np.array([case.patient in held for case in self.cases])
        return {"train": np.flatnonzero(~tested), "test": np.flatnonzero(tested)}


def read_image(path: Path) -> Volume:
    """Read one volume, NIfTI or DICOM (a file or a folder), summed over its frames.

    Raises
    ------
    InputError
        When it cannot be read, or holds raw projections or several scans.
    """
    if ".nii" in path.name.lower():
        return read_nifti(path).summed()
    scans = [scan for study in read_studies(path).studies for scan in study.scans]
    if len(scans) != 1 or not isinstance(scans[0].image, Volume):
        kinds = "raw projections" if scans and not isinstance(scans[0].image, Volume) else f"{len(scans)} scans"
        raise InputError(f"{path.name} holds {kinds}; expected one reconstructed volume.")
    return scans[0].image.summed()


def read_own_cases(path: Path) -> OwnCases:
    """Read a table of volumes.

    Parameters
    ----------
    path
        CSV with the columns patient; volume (NIfTI or DICOM, transaxial); mask (NIfTI: 1 wall, 2 blood pool, which may
        be missing: it is then derived); a pose, `POINTS` or `PARAMETERS`, or none: derived from the mask; and,
        optionally, modality (spect or pet) and split. A patient may have several rows.

    Raises
    ------
    InputError
        For a table that cannot be used, or when no case can be read.
    """
    table = read_volume_table(path, labelled=True)
    read: list[tuple[Case, TableRow, str]] = []
    refused: list[tuple[int, str]] = []
    for row in table.rows:
        try:
            case, pose = read_case(row)
            read.append((case, row, pose))
        except MyoPerfError as error:
            refused.append((row.line, str(error)))
    if not read:
        raise InputError(f"None of {len(table.rows)} volumes could be read; the first: {refused[0][1]}")
    return OwnCases(
        cases=tuple(case for case, _, _ in read),
        rows=tuple(row for _, row, _ in read),
        kinds=tuple(row.cells.get("modality", "").lower() or "own" for _, row, _ in read),
        poses=tuple(pose for _, _, pose in read),
        sha256=table.sha256,
        refused=pd.DataFrame(refused, columns=["line", "reason"]),
    )


def read_volume_table(path: Path, *, labelled: bool) -> Table:
    """Return the table of ``--data``, checked for poses and modalities before any volume is opened.

    Parameters
    ----------
    labelled
        Every row needs a ``mask`` beside its ``volume``.

    Raises
    ------
    InputError
        For a pose in part or given twice, or another modality than spect or pet.
    """
    needs = ("volume", "mask") if labelled else ("volume",)
    table = read_table(path, needs=needs, files=("volume", "mask"), folders=("volume",), once=False)
    for row in table.rows:
        given_pose(row)
        if row.cells.get("modality", "").lower() not in ("", "spect", "pet"):
            raise InputError(f"{row.where}: modality is spect or pet, or empty.")
    return table


def given_pose(row: TableRow) -> tuple[str, Float] | None:
    """Return the kind of pose (points, parameters) that a row gives with its numbers, or None where it gives none.

    Raises
    ------
    InputError
        For a pose in part, or both kinds.
    """
    found = {}
    for kind, columns in (("points", POINTS), ("parameters", PARAMETERS)):
        values = [row.number(column) for column in columns]
        known = [value for value in values if value is not None]
        if known and len(known) < len(columns):
            lacking = columns[values.index(None)]
            raise InputError(f"{row.where}: a pose needs all of {', '.join(columns)}; {lacking} is empty.")
        if known:
            found[kind] = np.asarray(known, dtype=np.float64)
    if len(found) > 1:
        raise InputError(f"{row.where}: a pose is given by its points or by its parameters, not by both.")
    return next(iter(found.items()), None)


def read_case(row: TableRow) -> tuple[Case, str]:
    """Return a row's volume, mask and pose as a case, and whether the pose was ``given`` or ``derived from the mask``.

    The mask may have a grid of its own; without a cavity (value 2) in it, what the wall encloses is the cavity.

    Raises
    ------
    InputError
        If the wall (value 1) is empty on the volume's grid.
    """
    image = read_image(row.files["volume"])
    image = image.with_array(image.array[0].astype(np.float32))
    mask = read_nifti(row.files["mask"])
    wall = image.with_array(_on_grid(mask, image, MYOCARDIUM))
    if not wall.array.any():
        raise InputError("The mask of the wall (value 1) is empty on the volume's grid; check both files.")
    pose = given_pose(row)
    frame = frame_from_mask(wall) if pose is None else _frame(pose, image, wall)
    pool = _on_grid(mask, image, BLOOD_POOL)
    if pool.any():
        labels = wall.with_array(np.where(wall.array[0] > 0, MYOCARDIUM, BLOOD_POOL * pool).astype(np.uint8))
    else:
        labels = cavity_from_wall(wall, frame)
    name = f"line-{row.line:04d}"
    return Case(row.patient, name, image, labels, frame, False), "derived from the mask" if pose is None else "given"


def _on_grid(mask: Volume, image: Volume, label: int) -> NDArray[np.uint8]:
    """Resample one label of a mask, which may have a grid of its own, to the grid of the image."""
    matrix = index_from_lps(mask.lps_from_index) @ image.lps_from_index
    share = ndimage.affine_transform(
        (mask.array[0] == label).astype(np.float32),
        matrix[:3, :3],
        matrix[:3, 3],
        output_shape=image.grid_shape,
        order=1,
        mode="grid-constant",
    )
    return np.asarray(share >= 0.5, dtype=np.uint8)


def _frame(pose: tuple[str, Float], image: Volume, wall: Volume) -> LVFrame:
    """Return the frame of a pose; the length of one by parameters is that of the wall along its axis."""
    kind, values = pose
    if kind == "points":
        apex, base, anterior = values.reshape(3, 3)
        return LVFrame(apex, base, anterior)
    _, inferior, axis = matrix_from_euler(torch.tensor(values[:3])).numpy().T
    centre = image_middle(image) - half_extent(image) * values[3:]
    along = (transform_points(wall.lps_from_index, np.argwhere(wall.array[0] > 0)) - centre) @ axis
    return LVFrame(centre + along.min() * axis, centre + along.max() * axis, -inferior)


def image_middle(image: Volume) -> Float:
    """Return the LPS point (3,), mm, in the middle of a volume's grid."""
    return transform_points(image.lps_from_index, 0.5 * (np.array(image.grid_shape) - 1))


def half_extent(image: Volume) -> Float:
    """Return half of a volume's extent along x, y and z, mm, (3,): the unit of translations in Ni et al. 2023."""
    across = np.abs(np.asarray(image.lps_from_index)[:3, :3] @ np.diag(image.grid_shape))
    return np.asarray(0.5 * across.max(axis=1))


def parameters_of(frame: LVFrame, image: Volume) -> dict[str, float]:
    """Return a pose by the names in `PARAMETERS`: Euler angles in radians, translation in halves of the extent.

    As in Table 2 of Ni et al. 2023: the translation is the one that brings the heart to the middle.
    """
    axes = np.stack([frame.lateral, -np.asarray(frame.anterior), frame.axis], 1)
    euler = euler_from_matrix(torch.tensor(axes), near=torch.tensor(MEAN_EULER, dtype=torch.float64)).tolist()
    shift = ((image_middle(image) - frame.centre_mm) / half_extent(image)).tolist()
    return dict(zip(PARAMETERS, (*euler, *shift), strict=True))
