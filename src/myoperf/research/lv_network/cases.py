"""Volumes with a labelled left ventricle, to train and test the networks that find it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from myoperf.errors import InputError
from myoperf.geometry import index_from_lps, largest_piece
from myoperf.io.assemble.scans import nm_scan
from myoperf.io.header import read_header
from myoperf.io.nifti import read_nifti
from myoperf.lv import cavity_from_wall, frame_from_mask
from myoperf.types import MYOCARDIUM, LVFrame, Volume


@dataclass(frozen=True, eq=False)
class Case:
    """One volume with its truth.

    Parameters
    ----------
    patient
        Pseudonym; all cases of a patient go to the same side of a split.
    name
        Unique among the cases.
    image
        One frame, transaxial.
    labels
        uint8 on the image's grid: 0 background, 1 myocardium, 2 blood pool.
    frame
        Pose of the ventricle.
    simulated
        Whether the truth is known from simulation; otherwise readers drew the wall, and blood pool and
        pose were derived from it (`myoperf.lv.frame_from_mask`, `cavity_from_wall`).
    """

    patient: str
    name: str
    image: Volume
    labels: Volume
    frame: LVFrame
    simulated: bool


def _largest(mask: NDArray[Any]) -> NDArray[np.uint8]:
    piece = largest_piece(mask)
    if not piece.any():
        raise InputError("The mask of a wall is empty; check the file.")
    return piece.astype(np.uint8)


def _resample_mask(mask: Volume, image: Volume) -> NDArray[np.uint8]:
    """Resample a mask, which may cover only part of the image, to the grid of the image by nearest neighbour."""
    matrix = index_from_lps(mask.lps_from_index) @ image.lps_from_index
    resampled = ndimage.affine_transform(
        mask.array[0].astype(np.float32),
        matrix[:3, :3],
        matrix[:3, 3],
        output_shape=image.grid_shape,
        order=0,
        mode="grid-constant",
    )
    return _largest(resampled)


def read_real(folder: Path) -> tuple[Case, ...]:
    """Read the open volumes that have a mask of the wall (doi:10.13026/ce2z-dw74, CC BY 4.0).

    The largest piece of each mask is used; cavity and pose are derived from it.

    Parameters
    ----------
    folder
        Holds ``index.csv`` (patient, image_id, dicom, mask).

    Raises
    ------
    InputError
        If the table or a mask is missing or empty.
    """
    table = folder / "index.csv"
    if not table.is_file():
        raise InputError("The folder of the open perfusion volumes must hold index.csv; none was found.")
    with table.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["mask"]]
    cases = []
    for row in rows:
        path = folder / row["dicom"]
        scan = nm_scan(path, read_header(path))
        image = scan.image
        if not isinstance(image, Volume):
            raise InputError(f"A reconstructed volume was expected; {path.name} holds projections.")
        image = image.with_array(image.array[0].astype(np.float32))
        wall = image.with_array(_resample_mask(read_nifti(folder / row["mask"]), image))
        frame = frame_from_mask(wall)
        name = f"{row['patient']}-{row['image_id'].replace(' ', '-')}"
        cases.append(Case(row["patient"], name, image, cavity_from_wall(wall, frame), frame, simulated=False))
    return tuple(cases)


def redraw_wall(case: Case, level: float) -> Case:
    """Draw a case's wall as a reader would who puts its edge at another level of the counts.

    Readers draw the same wall thinner or thicker, each at a level of the counts of its own (docs/ms-st-unet.md). A
    network that learns several levels of one image is not tied to one reader's.

    Parameters
    ----------
    level
        Of the edge, as a share of the mean counts in the wall as it was drawn.

    Returns
    -------
    Case
        The wall's edge moves by at most a voxel; the cavity follows, the pose stays.

    """
    image, wall = case.image.array[0], case.labels.array[0] == MYOCARDIUM
    near = ndimage.binary_dilation(wall)
    core = ndimage.binary_erosion(wall)
    drawn = case.labels.with_array(_largest(((image > level * float(image[wall].mean())) & near) | core))
    return replace(case, name=f"{case.name}, level {level:.2f}", labels=cavity_from_wall(drawn, case.frame))


def folds(cases: Sequence[Case], count: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """Divide the patients (not the volumes) at random into `count` groups of nearly equal size, for cross-validation.

    Returns
    -------
    Names of the patients of each group; the same seed gives the same groups.
    """
    patients = sorted({case.patient for case in cases})
    order = np.random.default_rng(seed).permutation(len(patients))
    return tuple(tuple(sorted(patients[i] for i in order[k::count])) for k in range(count))


def write_cases(path: Path, cases: Sequence[Case]) -> None:
    """Write cases to one NumPy file, at the path as it is given; its folder is made where it is missing."""
    arrays: dict[str, Any] = {}
    for i, case in enumerate(cases):
        arrays[f"{i}/image"] = case.image.array[0]
        arrays[f"{i}/labels"] = case.labels.array[0]
        arrays[f"{i}/affine"] = case.image.lps_from_index
        arrays[f"{i}/frame"] = np.stack([case.frame.apex_mm, case.frame.base_mm, case.frame.anterior])
        arrays[f"{i}/about"] = np.array([case.patient, case.name, str(int(case.simulated))])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # `numpy.savez` would add the ending .npz to a path
        np.savez(file, **arrays)


def read_cases(path: Path) -> tuple[Case, ...]:
    """Return the cases that `write_cases` wrote, in their order."""
    with np.load(path, allow_pickle=False) as file:
        count = sum(key.endswith("/image") for key in file.files)
        cases = []
        for i in range(count):
            image = Volume(file[f"{i}/image"], file[f"{i}/affine"])
            patient, name, simulated = (str(v) for v in file[f"{i}/about"])
            frame = LVFrame(*file[f"{i}/frame"])
            cases.append(Case(patient, name, image, image.with_array(file[f"{i}/labels"]), frame, simulated == "1"))
    return tuple(cases)
