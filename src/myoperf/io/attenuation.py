"""A study's CT or attenuation map, read when attenuation is corrected."""

from pathlib import Path

from myoperf.errors import InputError
from myoperf.io.assemble.series import sort_files
from myoperf.io.assemble.studies import find_files
from myoperf.io.header import read_frames, read_header
from myoperf.io.nifti import is_nifti, read_nifti
from myoperf.io.nm.volume import volume_from
from myoperf.io.pet.slices import slice_grid, volume_from_slices
from myoperf.types import AttenuationImage, Volume


def find_attenuation(path: Path) -> AttenuationImage:
    """Return the CT or the attenuation map in a file or a folder.

    Parameters
    ----------
    path
        A folder or a zip file of CT slices or of one map, an NM file of a map, or a NIfTI file in 1/cm.

    Raises
    ------
    InputError
        When it holds no CT and no map, or several.
    """
    files = find_files([path])
    if len(files) == 1 and is_nifti(files[0]):
        return AttenuationImage("map", files)
    found = sort_files(files, lambda done, total: None, alone=len(files) == 1).attenuation
    if len(found) != 1:
        raise InputError(
            f"{path.name} holds {len(found)} CTs or attenuation maps; expected one: a folder of CT slices, an NM file "
            "whose series is named as a map, or a NIfTI file in 1/cm."
        )
    return found[0].image


def read_attenuation(image: AttenuationImage) -> Volume:
    """Read the pixels of a CT or an attenuation map.

    Returns
    -------
    Volume
        A CT in Hounsfield units; a map in its writer's own unit, with rescale slope and intercept applied.

    Raises
    ------
    InputError
        When files are damaged or slices missing.
    GeometryError
        When orientation, position or spacing is missing.
    """
    first = image.files[0]
    if is_nifti(first):
        return read_nifti(first)
    headers = [read_header(path) for path in image.files]
    if image.kind == "map" and headers[0].get("Modality") == "NM":
        return volume_from(headers[0], read_frames(first), first.name)[0]
    pixels = [read_frames(path)[0] for path in image.files]
    return volume_from_slices(slice_grid(headers, first.name), headers, pixels, first.name)
