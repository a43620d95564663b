"""Copies of an image, and different images under one identifier.

Every SOP Instance UID should name one image. Folders hold copies of a file, and some de-identifiers write one UID into
all files.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from pydicom.dataset import Dataset

from myoperf.errors import InputError
from myoperf.io.files import open_file
from myoperf.io.header import read_frames, text_of

_TELLS_APART = (
    "SeriesInstanceUID",
    "ImageID",
    "SeriesDescription",
    "ImagePositionPatient",
    "AcquisitionTime",
    "TriggerTime",
    "FrameReferenceTime",
    "ImageIndex",
)
"""Attributes in which two images with the same pixels may differ: slices without counts, gates, time frames."""


class Instances:
    """The images read so far, by SOP Instance UID."""

    def __init__(self) -> None:
        self._by_uid: dict[str, dict[bytes | None, tuple[str, Callable[[], bytes]]]] = {}
        self.repeated_uid = False
        """Whether different images had the same UID."""

    def original_of(self, path: Path, header: Dataset) -> str | None:
        """Return the name of the file that this one is a copy of; None for a new image, which is remembered.

        Contents are compared only where a UID comes again: the decoded pixels, so that a compressed copy counts as one,
        and what tells slices and gates apart.
        """
        uid = text_of(header, "SOPInstanceUID")
        if not uid:
            return None

        def digest() -> bytes:
            return _digest(path, header)

        known = self._by_uid.get(uid)
        if known is None:
            self._by_uid[uid] = {None: (path.name, digest)}
            return None
        if None in known:  # the first image of this UID, whose content was not needed until now
            first, digest_of_first = known.pop(None)
            known[digest_of_first()] = (first, digest_of_first)
        content = digest()
        if content in known:
            return known[content][0]
        known[content] = (path.name, digest)
        self.repeated_uid = True
        return None


def _digest(path: Path, header: Dataset) -> bytes:
    """Return a hash of an image's pixels and of what tells it from its neighbours; of the file if it is damaged."""
    summary = hashlib.sha256("\n".join(text_of(header, keyword) for keyword in _TELLS_APART).encode())
    try:
        pixels = read_frames(path)
        summary.update(f"{pixels.dtype.kind}{pixels.shape}".encode())
        summary.update(pixels.tobytes())
    except InputError:
        with open_file(path) as stream:
            summary.update(stream.read())
    return summary.digest()
