"""The character set of a header's text where the header does not state it, or not rightly."""

import re

from pydicom.dataset import Dataset

from myoperf.dicom import quiet_pydicom
from myoperf.io.header import text_of
from myoperf.types import Finding

_NAMES = ("ImageID", "SeriesDescription", "ProtocolName")
"""Texts whose words decide how a scan is read."""
_TEXTS = (*_NAMES, "PerformedProcedureStepDescription", "RequestedProcedureDescription", "StudyDescription")
_ONE_BYTE = re.compile(r"(?:ISO_IR (?:6|1(?!3|92)\d+))?")
"""Values of Specific Character Set (0008,0005) by which a byte is a letter; empty: ASCII alone (PS3.3 C.12.1.1.2)."""


def repair_character_set(header: Dataset) -> None:
    """Take the text of a header as UTF-8 where it is that and the header states another character set or none.

    Many programs write UTF-8 and forget to say so. Text of another set that happens to be valid UTF-8 would have to
    alternate between two groups of letters throughout, which no language does.
    """
    if not _ONE_BYTE.fullmatch(text_of(header, "SpecificCharacterSet")):
        return
    raw = (getattr(header.get_item(keyword), "value", None) for keyword in (*_TEXTS, "PatientName"))
    beyond_ascii = [text for text in raw if isinstance(text, bytes) and not text.isascii()]  # not decoded yet
    if beyond_ascii and all(_is_utf8(text) for text in beyond_ascii):
        with quiet_pydicom():
            header.SpecificCharacterSet = "ISO_IR 192"
            implicit, little = header.original_encoding
            header.set_original_encoding(implicit, little, "utf8")  # by which elements are decoded


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def check_character_set(header: Dataset) -> tuple[Finding, ...]:
    """Return a finding where a scan's name has letters that the header's character set does not account for."""
    stated = text_of(header, "SpecificCharacterSet")
    if stated not in ("", "ISO_IR 6") or all(text_of(header, keyword).isascii() for keyword in _NAMES):
        return ()
    message = (
        "The scan's name has letters beyond ASCII, but the file states no character set for them: words in it for the "
        "state, the slices or the correction may not have been understood."
    )
    return (Finding("character-set", "info", message),)
