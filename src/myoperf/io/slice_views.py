"""Short-axis or long-axis: how a file names the slices of a reoriented heart."""

import re
from typing import Literal

from pydicom.dataset import Dataset

from myoperf.io.header import items, text_of
from myoperf.io.words import fold, words_of

SliceView = Literal["short_axis", "long_axis", "both"]

# PS3.16 CID 26, SNOMED CT and its predecessor SNOMED-RT.
_SHORT_AXIS_CODES = {"103340004", "G-A186"}
_LONG_AXIS_CODES = {"131186000", "G-A18B", "131185001", "G-A18A", "103339001", "G-A185"}
# Slice Progression Direction (0054,0500), PS3.3 C.8.4.15.
_SHORT_AXIS_DIRECTIONS = {"APEX_TO_BASE", "BASE_TO_APEX"}
_LONG_AXIS_DIRECTIONS = {"ANT_TO_INF", "INF_TO_ANT", "SEPTUM_TO_WALL", "WALL_TO_SEPTUM"}
_SHORT_AXIS = re.compile(
    r"\b(?:(?:stress|str|rest|rst|gated|gate)?sa|(?:stress|str|rest|rst|gated|gate|g|ac|nac)*saxs?(?:ac|nac|gated)?"
    r"|s ax|s a|shax|sh ?ax|short ?ax(?:is|es)?|petit axe|eje (?:corto|menor)|asse corto|eixo (?:curto|menor)"
    r"|kurze? ?achs\w*|kort\w* ?(?:as|ax\w*|aks\w*)|kisa (?:aks|eksen)\w*|kratk\w* os\w?|os krotk\w*|krotk\w* os\w?"
    r"|lyhyt ?akseli\w*|rovid ?tengely\w*|ax\w* scurt\w*|коротк\w* ос\w*"
    r"|ос\w* коротк\w*|кратк\w* ос\w?|къс\w* ос\w?|коротк\w* віс\w*|μικρ\w* αξον\w*)\b|短軸|短轴|" + fold("단축")
)
_LONG_AXIS = re.compile(
    r"\b(?:(?:stress|str|rest|rst|gated|gate|[grs]|ac|nac)*(?:[hv]lax?|lax)(?:ac|nac|gated)?|[hv]l ax(?:is)?"
    r"|(?:h|v|hor[a-z]*|ver[a-z]*) ?(?:long ?(?:ax(?:is)?)?|la)|(?:long|la) (?:hor|ver)[a-z]*|long ?ax(?:is|es)?"
    r"|l ax|grand axe|axe long|eje (?:largo|mayor)|asse lungo|eixo (?:longo|maior)|lang\w* ?(?:as|ax\w*|aks\w*|achs\w*)"
    r"|uzun (?:aks|eksen)\w*|dl(?:ouh|h|ug)\w* (?:\w+ )?os\w?|os dlug\w*|duga os|pitka ?akseli\w*|hosszu ?tengely\w*"
    r"|ax\w* lung\w*|длинн\w* (?:\w+ )?ос\w*|ос\w* длинн\w*|дълг\w* ос\w?|дуг\w* ос\w?|довг\w* (?:\w+ )?(?:віс|ос)\w*"
    r"|μακρ\w* αξον\w*)\b"
    r"|長軸|长轴|" + fold("장축")
)
_LONG_AXIS_ALONE = re.compile(
    r"(?:(?:stress|str|strs|rest|rst|s|r|g|gated|gate|sgate|rgate|recon|tomo|spect|mibi|ac|nac|nc|irac|irnc) ?)*\bla\b"
    r"(?: (?:stress|str|rest|rst|gated|gate|recon|tomo|spect|mibi|ac|nac|nc|irac|irnc))*"
)
"""The whole name: "la" among other words may be an article or the name of a hospital."""
_CHAMBERS = re.compile(
    r"(?<![^\W_])(?:[234]|two|three|four|zwei|drei|vier|deux|trois|quatre|dos|tres|cuatro|due|tre|quattro)[ _-]?"
    r"(?:chambers?|ch|kammer\w*|cavites?|cavidades|camaras?|camere)(?![^\W_])|[234]\W?камер\w*|[二三四]腔"
)


def slice_view_in_text(text: str) -> SliceView | None:
    """Return the slices that a description names; None where it names none.

    Examples
    --------
    >>> [slice_view_in_text(t) for t in ("Short Ax", "STRESS_SAX", "H Long Ax", "HLA", "SA + VLA", "Stress")]
    ['short_axis', 'short_axis', 'long_axis', 'long_axis', 'both', None]
    """
    words = " ".join(words_of(text))
    short = bool(_SHORT_AXIS.search(words))
    long = bool(_LONG_AXIS.search(words) or _LONG_AXIS_ALONE.fullmatch(words) or _CHAMBERS.search(fold(text).lower()))
    if short and long:
        return "both"
    return "short_axis" if short else "long_axis" if long else None


def slice_view_of(dataset: Dataset) -> SliceView | None:
    """Return the slices that a header names; None where it names none.

    Order of trust: View Code Sequence, Image ID, Series Description, Slice Progression Direction. A text that names
    both kinds decides nothing; where nothing else decides, the result is ``"both"``.
    """
    codes = _view_codes(dataset)
    short, long = bool(codes & _SHORT_AXIS_CODES), bool(codes & _LONG_AXIS_CODES)
    if short != long:
        return "short_axis" if short else "long_axis"
    named = [slice_view_in_text(text_of(dataset, keyword)) for keyword in ("ImageID", "SeriesDescription")]
    for view in named:
        if view in ("short_axis", "long_axis"):
            return view
    direction = text_of(dataset, "SliceProgressionDirection").upper()
    if direction in _LONG_AXIS_DIRECTIONS:
        return "long_axis"
    if direction in _SHORT_AXIS_DIRECTIONS and not codes:
        return "short_axis"
    return "both" if "both" in named else None


def runs_to_apex(dataset: Dataset) -> bool | None:
    """Whether short-axis slices run from base to apex, by Slice Progression Direction; None where it is not given."""
    return {"BASE_TO_APEX": True, "APEX_TO_BASE": False}.get(text_of(dataset, "SliceProgressionDirection").upper())


def _view_codes(dataset: Dataset) -> set[str]:
    """Return the codes of View Code Sequence, in the detector's item (PS3.3 C.8.4.11) or at the top level."""
    holders = (dataset, *items(dataset, "DetectorInformationSequence"))
    return {text_of(code, "CodeValue") for holder in holders for code in items(holder, "ViewCodeSequence")}
