"""Read picture files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from myoperf.errors import InputError


def open_picture(path: Path) -> NDArray[np.uint8]:
    """Return the pixels of a picture file, (rows, columns, 3) red, green, blue.

    Raises
    ------
    InputError
        When the file cannot be read as a picture.
    """
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path.name} cannot be read as a picture ({type(error).__name__}); expected JPEG or PNG."
        ) from error
