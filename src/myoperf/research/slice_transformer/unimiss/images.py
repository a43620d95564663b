"""What UniMiSS learns from, without labels: stacks of simulated patients, volumes and pictures of any folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from myoperf.errors import InputError, MyoPerfError
from myoperf.io import read_studies
from myoperf.lv import find_lv
from myoperf.research.screenshots.report_pictures import read_report_picture
from myoperf.research.slice_stacks import VIEWS, resize_stack, stacks_from_volumes
from myoperf.research.slice_transformer.cases import SliceCases
from myoperf.types import Float, Float32, Projections, Volume

_PICTURES = (".jpg", ".jpeg", ".png")
_REAL_GROUP = len(VIEWS)  # groups: the simulated views, the views of real volumes, pictures
_PICTURE_GROUP = 2 * len(VIEWS)


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageSet:
    """Images to learn from, without labels.

    Attributes
    ----------
    volumes
        (planes, rows, columns), 0 to 1.
    pictures
        (rows, columns), grey, 0 to 1.
    volume_groups, picture_groups
        Number of each image's group: a step uses images of one group, so that what distinguishes groups (the views of
        the heart) is not what is learned. A group smaller than a batch is mixed with all others.
    unreadable
        How many files or scans of a folder could not be used.
    """

    volumes: tuple[Float, ...]
    pictures: tuple[Float, ...]
    volume_groups: tuple[int, ...]
    picture_groups: tuple[int, ...]
    unreadable: int = 0

    def joined(self, other: ImageSet) -> ImageSet:
        """Return the images of both sets."""
        return ImageSet(
            volumes=self.volumes + other.volumes,
            pictures=self.pictures + other.pictures,
            volume_groups=self.volume_groups + other.volume_groups,
            picture_groups=self.picture_groups + other.picture_groups,
            unreadable=self.unreadable + other.unreadable,
        )


def simulated_images(cases: SliceCases, rng: np.random.Generator) -> ImageSet:
    """Return the three views of every simulated patient as volumes, and one slice of each as pictures."""
    volumes = tuple(cases.stacks.reshape(-1, *cases.stacks.shape[2:]).astype(np.float32))
    groups = tuple(place % len(VIEWS) for place in range(len(volumes)))
    pictures = _slices(volumes, rng, states=2)
    return ImageSet(volumes=volumes, pictures=pictures, volume_groups=groups, picture_groups=groups)


def read_images(folder: Path, shape: tuple[int, int, int], rng: np.random.Generator) -> ImageSet:
    """Read a folder of studies (DICOM, NIfTI) and pictures (JPEG, PNG).

    Every reconstructed scan in which a ventricle can be found, and every picture of a report page, gives three views as
    volumes, and one slice of each view as a picture. Other pictures are taken as they are, in grey.

    Parameters
    ----------
    shape
        (planes, rows, columns) of the volumes; pictures are resized to its rows and columns.

    Raises
    ------
    InputError
        When nothing can be read.
    """
    pictures: list[Float] = []
    volumes: list[Float] = []
    unreadable = 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in _PICTURES):
        try:
            volumes.extend(read_report_picture(path, shape=shape).stacks.array())
        except InputError:  # no report page: a picture as it is
            try:
                with Image.open(path) as image:
                    grey = np.asarray(image.convert("L"), dtype=np.float32) / 255.0
                pictures.append(resize_stack(grey, shape[1:]))
            except OSError:
                unreadable += 1
    for scan in _read_scans(folder):
        try:
            volumes.extend(_cut_views(scan, shape))
        except MyoPerfError:
            unreadable += 1
    if not pictures and not volumes:
        raise InputError("The folder of --data holds no picture and no volume that could be read.")
    groups = tuple(_REAL_GROUP + place % len(VIEWS) for place in range(len(volumes)))
    return ImageSet(
        volumes=tuple(volumes),
        pictures=_slices(tuple(volumes), rng, states=1) + tuple(pictures),
        volume_groups=groups,
        picture_groups=groups + (_PICTURE_GROUP,) * len(pictures),
        unreadable=unreadable,
    )


def _read_scans(folder: Path) -> list[Volume | Projections]:
    try:
        studies = read_studies([folder]).studies
    except MyoPerfError:  # the folder holds pictures only
        return []
    return [scan.image for study in studies for scan in study.scans]


def _cut_views(image: Volume | Projections, shape: tuple[int, int, int]) -> Float32:
    """Return the three views (3, planes, rows, columns) of a volume, cut around the ventricle found in it."""
    if not isinstance(image, Volume):
        raise InputError("Pre-training reads reconstructed volumes; reconstruct raw projections first.")
    fit = find_lv(image)
    return stacks_from_volumes({"stress": (image, fit.frame, fit.labels)}, shape=shape).array()


def _slices(volumes: tuple[Float, ...], rng: np.random.Generator, *, states: int) -> tuple[Float, ...]:
    """Return one plane of every volume, from the middle two thirds of one of its states."""
    out = []
    for volume in volumes:
        depth = len(volume) // states
        out.append(volume[rng.integers(states) * depth + rng.integers(depth // 6, depth - depth // 6)])
    return tuple(out)
