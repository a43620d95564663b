"""What the name of a series says about attenuation: images corrected for it or not, or the map itself.

Manufacturers name series in their own way: GE "STRESS_IRAC", "IRACSC" (with scatter correction), "IRACRR" (with
resolution recovery) against "IRNC"; Siemens "AC", "NAC"; Philips "[CTAC]", "NAC". A negation anywhere wins: "NoAC",
"Non-AC" and "uncorrected" contain the word for the opposite.
"""

import re

from myoperf.io.words import words_of

_BEFORE = r"(?:stress|str|rest|rst|sgate|rgate|recon|gated|gate|g)?(?:ir|fbp|osem|flash)?"
_AFTER = r"(?:sc|rr|gated|gate|g|sax|sa)*"
_CORRECTED = re.compile(rf"{_BEFORE}(?:ct|mr|m)?ac{_AFTER}")
_UNCORRECTED = re.compile(rf"{_BEFORE}(?:nac|nc|noac|nonac|unac|woac){_AFTER}|uncorr\w*|noncorr\w*|uncor")
_NEGATIONS = {
    "no",
    "non",
    "not",
    "without",
    "wo",
    "ohne",
    "sans",
    "sin",
    "senza",
    "sem",
    "zonder",
    "bez",
    "utan",
    "uden",
}
_NEGATIONS |= {"uten", "ilman"}
_OFF = {"off", "none"}
_MAP = re.compile(
    r"(?:\bmu|\bu|(?<!cardi)ac|\bct|att|atten|attn|attenuation|attenuation correction|transmission|density) ?maps?\b"
    r"|umaps?\b|\btransmission\b"
)


def attenuation_correction_named(text: str) -> bool | None:
    """Return whether a series' name says that its images are corrected for attenuation; None where it says neither.

    Examples
    --------
    >>> [attenuation_correction_named(t) for t in ("STRESS_IRACSC", "IRNC", "stress PET NoAC", "Stress", "Non-AC rest")]
    [True, False, False, None, False]
    """
    words = words_of(text)
    joined = " ".join(words)
    if any(_UNCORRECTED.fullmatch(word) for word in words):
        return False
    places = [i for i, word in enumerate(words) if _CORRECTED.fullmatch(word)]
    places += [i for i in range(len(words) - 1) if words[i].startswith("att") and words[i + 1].startswith("corr")]
    if not places:
        return None
    negated = any(_is_negated(words, place) for place in places)
    return not (negated or re.search(r"\bw o (?:ac|ctac|att)", joined))


def _is_negated(words: list[str], place: int) -> bool:
    """Whether the word before says no, or the one after says off."""
    return bool(_NEGATIONS & set(words[max(0, place - 1) : place])) or bool(_OFF & set(words[place + 1 : place + 2]))


def names_attenuation_map(text: str) -> bool:
    """Whether a series' name says that it is an attenuation map or a transmission scan, never emission.

    Examples
    --------
    >>> [names_attenuation_map(t) for t in ("Stress Mu Map", "_ACMAP_TC", "CTACMAP", "CTAC", "Cardiac map")]
    [True, True, True, False, False]
    """
    return _MAP.search(" ".join(words_of(text))) is not None
