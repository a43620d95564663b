"""Words for tracers and modalities in descriptions: free text, so that a name counts as a whole word alone.

`myoperf.io.tracers` reads attributes that hold nothing but a tracer, where "13 N" is nitrogen; here it may be a number.
"""

import re
from collections.abc import Mapping
from typing import Literal

from myoperf.io.words import fold, words_of

_NAMES: Mapping[str, str] = {
    "Tc-99m": r"99m?[-_ ]?tc|tc[-_ ]?99m?|tc99m\w*|technet\w*|tecnec\w*|(?:sesta)?mibi|cardiolite|tetrofosmin\w*"
    r"|myoview",
    "Tl-201": r"201[-_ ]?tl|tl[-_ ]?201|thall?i\w*|thallous|tallium|tall?io|talio",
    "I-123": r"123[-_]?i|i[-_]?123|bmipp|mibg",
    "N-13": r"13[-_]?n|n[-_]?13|ammonia\w*|ammoniak|amoniac\w*|nh3",
    "Rb-82": r"82[-_ ]?rb|rb[-_ ]?82|rubid\w*|ruby[-_ ]?fill|cardiogen",
    "O-15": r"15[-_]?o|o[-_]?15|h2o|(?:o15[-_ ]?)?water",
    "F-18": r"18[-_]?f|f[-_]?18|(?:f18[-_ ]?)?fdg|flurpiridaz|flyrcado",
}
_PATTERNS = {
    nuclide: re.compile(rf"(?<![^\W_])(?:{names})(?![^\W_])", re.IGNORECASE) for nuclide, names in _NAMES.items()
}
_SPECT = {"spect", "tomoscintigraphie", "gspect"}


def nuclides_in_text(text: str) -> frozenset[str]:
    """Return the radionuclides that a description names, themselves or by their agents.

    Examples
    --------
    >>> [sorted(nuclides_in_text(t)) for t in ("Stress MIBI", "TL201_REST", "MIBI SPECT / FDG PET", "Scan 13 rest")]
    [['Tc-99m'], ['Tl-201'], ['F-18', 'Tc-99m'], []]
    """
    plain = fold(text)
    return frozenset(nuclide for nuclide, pattern in _PATTERNS.items() if pattern.search(plain))


def modality_in_text(text: str) -> Literal["NM", "PT"] | None:
    """Return SPECT ("NM") or PET ("PT") where a description names one of them alone.

    Examples
    --------
    >>> [modality_in_text(t) for t in ("Stress SPECT", "Rest PET/CT", "SPECT and PET", "Prospect")]
    ['NM', 'PT', None, None]
    """
    words = set(words_of(text))
    spect, pet = bool(words & _SPECT), "pet" in words
    return None if spect == pet else "NM" if spect else "PT"
