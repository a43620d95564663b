"""A study's CT or attenuation map, read when attenuation is corrected."""

from myoperf.io.header import read_frames, read_header
from myoperf.io.nifti import is_nifti, read_nifti
from myoperf.io.nm.volume import volume_from
from myoperf.io.pet.slices import slice_grid, volume_from_slices
from myoperf.types import AttenuationImage, Volume


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
