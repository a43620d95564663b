"""What the name of a series says about attenuation: images corrected for it or not, or the map itself.

Manufacturers name series in their own way: GE "STRESS_IRAC", "IRACSC" (with scatter correction), "IRACRR" (with
resolution recovery) against "IRNC"; Siemens "AC", "NAC"; Philips "[CTAC]", "NAC". Users add phrases of their language
("mit Schwächungskorrektur"). A negation anywhere wins: "NoAC", "Non-AC" and "uncorrected" contain the word for the
opposite.
"""

import re

from myoperf.io.words import fold, words_of

_BEFORE = r"(?:stress|str|rest|rst|sgate|rgate|recon|gated|gate|g|sax|sa)?(?:ir|fbp|osem|flash|d)?"
_AFTER = r"(?:sc|rr|gated|gate|g|sax|sa|stress|str|rest|rst)*"
_CORRECTED = re.compile(rf"{_BEFORE}(?:ct|mr|m)?ac{_AFTER}")
_UNCORRECTED = re.compile(
    rf"{_BEFORE}(?:nac|nc|noac|nonac|unac|woac|natc){_AFTER}|no(?:n)?at+(?:n|en)\w*|uncorr?\w*|noncorr\w*"
    r"|unkorr\w*|[uo]korr\w*|nekor\w*|ongecorr\w*|duzeltmesiz"
)
_NEGATION_WORDS = (
    "n no non not without wo ohne nicht kein keine keiner minus pre before vor avant sans pas sin senza sem nao zonder "
    "niet geen bez nie ne utan inte uden uten "
    "ikke ilman fara без"
)
_NEGATIONS = frozenset(_NEGATION_WORDS.split())
_OFF_WORDS = (
    "off none not nein aus false disabled inactive failed unavailable uit less desactive desactivee wylaczone выкл"
)
_OFF = frozenset(_OFF_WORDS.split())
_NO_AT_THE_END = {"non", "nao", "n", "niet", "geen", "nicht", "nie", "ne", "inte", "ikke", "yok", "degil", "bez", "нет"}
"""Behind the name of the correction, these say that it was not made; the second only as the last word."""
_OFF_SIGN = re.compile(r"\bs/ ?(?:ct)?ac\b|(?:\bac|cor\w*|kor\w*) ?[=:]? ?0\s*(?:$|[\])_|])")
_PHRASE = re.compile(
    r"\bat+(?:enu?\w*|n)?[ ]?[ck]or\w*"  # attenuation corrected, att corr, attenuatiecorrectie
    r"|\bcor\w* (?:\w+ ){0,2}at+en\w+"  # correction d'attenuation, corretto per attenuazione
    r"|\b[ck]or\w* (?:\w+ )?(?:atenuac|oslab|zoslab|zeslab|utlum|tlumien)\w*"  # Polish, Czech, Slovak, Croatian
    r"|\b(?:schwae?chungs|dempings|da?e?mpnings|verzwakkings|gyengites|elnyeles|vaimennus) ?[ck]or\w*"
    r"|\b(?:at+enuasyon|zayiflama) (?:duzelt|korek)\w*"  # Turkish
    r"|\bкорр?екц\w* (?:\w+ )?(?:ат+енуац|ослаблен|поглощен|затухан)\w*"  # Russian, Ukrainian
    r"|\b(?:avec|con|com) ca\b|\bmit (?:ak|ac)\b"
)
_UNSPACED = re.compile(fold(r"(?:衰减|衰減|减弱|減弱|吸収|감쇠) ?(?:校正|補正|矯正|修正|보정|교정)"))
_UNSPACED_DENIED = re.compile(
    rf"(?:非|无|無|未|不)(?:{_UNSPACED.pattern})|(?:{_UNSPACED.pattern})[ :=]*(?:前|なし|無し|无|無|off|オフ|关|關|否|"
    + fold("없음|안|전")
    + ")"
)
_DENIED = re.compile(
    r"\bw o(?:ut)? (?:ac|ctac|att)|\b(?:w out|wout) (?:ac|ctac)\b|\b(?:sans|sin|sem) ca\b|\bohne (?:ak|ac)\b"
)
_MAP = re.compile(
    r"(?:\bmu|\bu|(?<!cardi)ac|\bct|att|atten|attn|attenuation|attenuation correction|att corr|trans|tx"
    r"|transmission|density) ?maps?\b"
    r"|umaps?\b|\btransmis\w*|\btransm\b|\btct\b|\blinear attenuation\b|\battenuation coefficients?\b"
    r"|\bschwae?chungs ?(?:karte|bild)\w*|\b(?:da?e?mpnings|dempings|verzwakkings) ?(?:ka+r?t|map)\w*"
    r"|\b(?:carte|mapa|mappa|karta|harta) mu\b|\b(?:carte|mapa|mappa|harta|karta|kaart) (?:\w+ ){0,2}at+en\w*"
    r"|\bat+en\w* ?(?:s ?)?(?:kart|kaart|kort|harita)\w*|\bmap[aey] (?:utlum|oslab|zoslab|zeslab)\w*"
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
    if (
        any(_is_negated(words, place, plain) for place in places)
        or _OFF_SIGN.search(plain)
        or re.search(r"\bac ?[-−]\s*$", plain)
    ):
        return False
    phrases = list(_PHRASE.finditer(joined))
    if any(_is_negated_phrase(joined, phrase, plain) for phrase in phrases):
        return False
    return True if places or phrases or _UNSPACED.search(plain) else None


def _denied_before(words: list[str]) -> bool:
    """Whether words end in one that says no; the kind of correction may stand between ("no CT AC")."""
    before = [word for word in words[-2:] if word not in ("ct", "mr")]
    return bool(before) and before[-1] in _NEGATIONS


def _is_negated_phrase(joined: str, phrase: re.Match[str], plain: str) -> bool:
    """Whether the word before a phrase for the correction denies it, or the one behind says that it is off."""
    after = joined[phrase.end() :].split()
    return _denied_before(joined[: phrase.start()].split()) or _says_off(after, plain)


def _says_off(after: list[str], plain: str) -> bool:
    """Whether the words behind the correction's name say that it was not made; "AC No. 2" counts, it does not deny."""
    says_no = after[:1] == ["no"] and after[1:2] in ([], ["applied"]) and not re.search(r"\bno\W*\d", plain)
    return says_no or bool(_OFF & set(after[:1])) or (len(after) == 1 and after[0] in _NO_AT_THE_END)


def _is_negated(words: list[str], place: int, plain: str) -> bool:
    """Whether the word before says no, or what comes after says off; "correction" may stand between."""
    after = words[place + 1 :]
    after = after[1:] if after[:1] in (["corr"], ["correction"]) else after
    return _denied_before(words[:place]) or _says_off(after, plain)


def names_attenuation_map(text: str) -> bool:
    """Whether a series' name says that it is an attenuation map or a transmission scan, never emission.

    Examples
    --------
    >>> [names_attenuation_map(t) for t in ("Stress Mu Map", "_ACMAP_TC", "CTACMAP", "CTAC", "Cardiac map")]
    [True, True, True, False, False]
    """
    spellings = (" ".join(words_of(text)), " ".join(words_of(text.lower())))  # "CTmap" splits before its small letters
    return any(_MAP.search(words) for words in spellings) or _MAP_UNSPACED.search(fold(text).lower()) is not None
