"""What the name of a series says about attenuation: images corrected for it or not, or the map itself.

Manufacturers name series in their own way: GE "STRESS_IRAC", "IRACSC" (with scatter correction), "IRACRR" (with
resolution recovery) against "IRNC"; Siemens "AC", "NAC"; Philips "[CTAC]", "NAC". Users add phrases of their language
("mit Schwächungskorrektur"). A negation anywhere wins: "NoAC", "Non-AC" and "uncorrected" contain the word for the
opposite.
"""

import re

from myoperf.io.words import fold, words_of

_BEFORE = r"(?:stress|str|rest|rst|sgate|rgate|recon|gated|gate|g)?(?:ir|fbp|osem|flash)?"
_AFTER = r"(?:sc|rr|gated|gate|g|sax|sa)*"
_CORRECTED = re.compile(rf"{_BEFORE}(?:ct|mr|m)?ac{_AFTER}")
_UNCORRECTED = re.compile(
    rf"{_BEFORE}(?:nac|nc|noac|nonac|unac|woac|natc){_AFTER}|no(?:n)?at+(?:n|en)\w*|uncorr?\w*|noncorr\w*"
    r"|unkorr\w*|[uo]korr\w*|nekor\w*|ongecorr\w*|duzeltmesiz"
)
_NEGATION_WORDS = (
    "n no non not without wo ohne nicht sans pas sin senza sem nao zonder niet geen bez nie ne utan inte uden uten "
    "ikke ilman fara без"
)
_NEGATIONS = frozenset(_NEGATION_WORDS.split())
_OFF = {"off", "none", "not", "nein", "aus"}
_PHRASE = re.compile(
    r"\bat+(?:enu?\w*|n)?[ ]?[ck]or\w*"  # attenuation corrected, att corr, attenuatiecorrectie
    r"|\bcor\w* (?:\w+ ){0,2}at+en\w+"  # correction d'attenuation, corretto per attenuazione
    r"|\b[ck]or\w* (?:\w+ )?(?:atenuac|oslab|zoslab|zeslab|utlum|tlumien)\w*"  # Polish, Czech, Slovak, Croatian
    r"|\b(?:schwachungs|dempings|dempnings|verzwakkings|gyengites|elnyeles|vaimennus) ?[ck]or\w*"
    r"|\b(?:at+enuasyon|zayiflama) (?:duzelt|korek)\w*"  # Turkish
    r"|\bкорр?екц\w* (?:\w+ )?(?:ат+енуац|ослаблен|поглощен|затухан)\w*"  # Russian, Ukrainian
    r"|\b(?:avec|con|com) ca\b|\bmit (?:ak|ac)\b"
)
_UNSPACED = re.compile(r"(?:衰减|衰減|减弱|減弱|吸収)(?:校正|補正|矯正|修正)")
_UNSPACED_DENIED = re.compile(
    rf"(?:非|无|無|未|不)(?:{_UNSPACED.pattern})|(?:{_UNSPACED.pattern})(?:前|なし|無し|无|無)"
)
_DENIED = re.compile(r"\bw o (?:ac|ctac|att)|\b(?:sans|sin|sem) ca\b|\bohne (?:ak|ac)\b")
_MAP = re.compile(
    r"(?:\bmu|\bu|(?<!cardi)ac|\bct|att|atten|attn|attenuation|attenuation correction|transmission|density) ?maps?\b"
    r"|umaps?\b|\btransmis\w*|\btransm\b|\btct\b|\blinear attenuation\b|\battenuation coefficients?\b"
    r"|\bschwachungs ?(?:karte|bild)\w*|\b(?:carte|mapa|mappa|harta|karta|kaart) (?:\w+ ){0,2}at+en\w*"
    r"|\bat+en\w* ?(?:kart|kaart|harita)\w*|\bmap[aey] (?:utlum|oslab|zoslab|zeslab)\w*"
    r"|\bкарта (?:\w+ )?(?:ат+енуац|ослаблен|поглощен)\w*"
)
_MAP_UNSPACED = re.compile(fold(r"(?:衰减|衰減|减弱|減弱|吸収|(?<!\w)u)(?:系数|係数)?(?:图|圖|マップ)"))


def attenuation_correction_named(text: str) -> bool | None:
    """Return whether a series' name says that its images are corrected for attenuation; None where it says neither.

    Parameters
    ----------
    text
        Image ID, description or both with a vertical bar between them.

    Examples
    --------
    >>> [attenuation_correction_named(t) for t in ("STRESS_IRACSC", "IRNC", "stress PET NoAC", "Stress", "Non-AC rest")]
    [True, False, False, None, False]
    >>> attenuation_correction_named("Belastung mit Schwächungskorrektur"), attenuation_correction_named("AC: none")
    (True, False)
    """
    answers = {_named_in(part) for part in text.split("|")} - {None}
    return None if not answers else all(answers)


def _named_in(text: str) -> bool | None:
    """Return what one name says, as `attenuation_correction_named`."""
    words, plain = words_of(text), fold(text).lower()
    joined = " ".join(words)
    if any(_UNCORRECTED.fullmatch(word) for word in words) or _DENIED.search(joined) or _UNSPACED_DENIED.search(plain):
        return False
    places = [i for i, word in enumerate(words) if _CORRECTED.fullmatch(word)]
    if any(_is_negated(words, place, plain) for place in places) or re.search(r"\bac ?[-−]\s*$", plain):
        return False
    phrases = list(_PHRASE.finditer(joined))
    if any(_denied_before(joined[: phrase.start()].split()) for phrase in phrases):
        return False
    return True if places or phrases or _UNSPACED.search(plain) else None


def _denied_before(words: list[str]) -> bool:
    """Whether words end in one that says no; the kind of correction may stand between ("no CT AC")."""
    before = [word for word in words[-2:] if word not in ("ct", "mr")]
    return bool(before) and before[-1] in _NEGATIONS


def _is_negated(words: list[str], place: int, plain: str) -> bool:
    """Whether the word before says no, or what comes after says off; "AC No. 2" counts, it does not deny."""
    after = words[place + 1 :]
    counts = re.search(r"\bno\W*\d", plain)
    says_no = after[:1] == ["no"] and after[1:2] in ([], ["applied"]) and not counts
    return _denied_before(words[:place]) or bool(_OFF & set(after[:1])) or says_no


def names_attenuation_map(text: str) -> bool:
    """Whether a series' name says that it is an attenuation map or a transmission scan, never emission.

    Examples
    --------
    >>> [names_attenuation_map(t) for t in ("Stress Mu Map", "_ACMAP_TC", "CTACMAP", "CTAC", "Cardiac map")]
    [True, True, True, False, False]
    """
    spellings = (" ".join(words_of(text)), " ".join(words_of(text.lower())))  # "CTmap" splits before its small letters
    return any(_MAP.search(words) for words in spellings) or _MAP_UNSPACED.search(fold(text).lower()) is not None
