"""Read picture files, and what is page in them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from myoperf.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
"""Of picture files that are looked for in a folder, in lower case."""

_DEEP = ("I", "F", "I;16", "I;16B", "I;16L")
_FLAT = 12  # of 255: as much the page's colour may vary


def open_picture(path: Path) -> NDArray[np.uint8]:
    """Return the pixels of a picture file, (rows, columns, 3) red, green, blue.

    A picture is turned as its Exif orientation says, which viewers follow, too. Grey pictures of more than 8 bits (PNG,
    TIFF) are scaled to their own maximum.

    Raises
    ------
    InputError
        When the file cannot be read as a picture, has several pages, or pixels that are transparent, which have no
        colour.
    """
    try:
        with Image.open(path) as file:
            pages = getattr(file, "n_frames", 1)
            picture = ImageOps.exif_transpose(file)
            clear = picture.has_transparency_data and np.asarray(picture.convert("RGBA"))[..., 3].min() < 255
            deep = np.asarray(picture, dtype=np.float64) if picture.mode in _DEEP else None
            colours = np.asarray(picture.convert("RGB")) if deep is None else None
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path.name} cannot be read as a picture ({type(error).__name__}); expected JPEG, PNG or TIFF."
        ) from error
    if pages > 1:
        raise InputError(f"{path.name} has {pages} pages; expected one picture a file.")
    if clear:
        raise InputError(f"{path.name} has transparent pixels; expected a picture without transparency.")
    if colours is None:
        grey = np.clip(np.asarray(deep), 0.0, None)
        grey = np.rint(grey * (255.0 / max(float(grey.max()), 1e-9))).astype(np.uint8)
        colours = np.repeat(grey[..., None], 3, axis=2)
    return np.asarray(colours)


def page_colour(picture: NDArray[Any]) -> NDArray[np.float64]:
    """Return the most frequent colour of a picture's edges, (3,)."""
    edge = np.concatenate([picture[:4].reshape(-1, 3), picture[-4:].reshape(-1, 3), picture[:, :4].reshape(-1, 3)])
    coarse = (edge // 16).astype(np.int64) @ (256, 16, 1)
    common = edge[coarse == np.bincount(coarse).argmax()]
    return np.asarray(common.mean(axis=0))


def page_of(picture: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a picture shows the bare page: pixels of the page's colour, connected with the edge."""
    alike = np.abs(picture.astype(np.float64) - page_colour(picture)).max(axis=2) <= _FLAT
    parts, count = ndimage.label(alike)
    edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    outer = np.zeros(count + 1, bool)
    outer[edge] = True
    outer[0] = False
    return np.asarray(outer[parts])
