"""The words of a description: letters without accents, in lower case, in any script."""

import re
import unicodedata

_LETTERS = str.maketrans({"ı": "i", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "ß": "ss", "æ": "ae", "œ": "oe"})
"""Letters that Unicode does not decompose into a plain one and a mark."""
_MU = re.compile(r"(?<![\u0370-\u03ff])[\u00b5\u03bc](?![\u0370-\u03ff])")
"""The sign of the attenuation coefficient, micro sign or a Greek letter alone: often typed as u."""
_POINTED = re.compile(r"(?<![^\W\d_])[A-Za-z](?:\.[A-Za-z])+(?![^\W\d_])\.?")
"""An abbreviation written with points: S.A., N.A.C."""
_WORD = re.compile(
    r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+"  # Latin, split before a capital after a small letter
    r"|[\u0400-\u04ff]+"  # Cyrillic
    r"|[\u0370-\u03ff]+"  # Greek
    r"|[\u3040-\u30ff\u3400-\u9fff\u1100-\u11ff\uac00-\ud7af]+"  # Japanese, Chinese, Korean: not separated by blanks
)


def fold(text: str) -> str:
    """Return a text without accents and other marks; other scripts than Latin are kept."""
    compatible = unicodedata.normalize("NFKC", _MU.sub("u", text)).translate(_LETTERS)
    marked = unicodedata.normalize("NFKD", compatible)
    return "".join(letter for letter in marked if not unicodedata.combining(letter))


def words_of(text: str) -> list[str]:
    """Split a description into lower-case words, at signs, at digits and before a capital after a small letter.

    Letters with points between them are one word.

    Examples
    --------
    >>> words_of("StressGated_AC 2"), words_of("Wysiłek"), words_of("Покой"), words_of("S.A.")
    (['stress', 'gated', 'ac'], ['wysilek'], ['покои'], ['sa'])
    """
    joined = _POINTED.sub(lambda match: f"{match[0].replace('.', '').upper()} ", fold(text))
    return [word.lower() for word in _WORD.findall(joined)]
