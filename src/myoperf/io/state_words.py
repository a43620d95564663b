"""Words for stress and rest, by language, as they stand in the names of series and protocols.

A word counts only as a whole; an asterisk stands for its endings. Left out are words that mean something else in a
series' name: Chinese and Japanese "motion" alone (wall motion, motion correction), "static", "early", "initial".
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from myoperf.io.words import fold, words_of
from myoperf.types import State


class _Words(NamedTuple):
    stress: str
    rest: str


_LATIN: Mapping[str, _Words] = {
    "English": _Words(
        "stress str strs stresstest sgate sgated sgat exercise exercised treadmill tmt bruce ergo ergometer ergometry "
        "bicycle poststress pharm pharma pharmacologic pharmacological",
        "rest rst resting rgate rgated rgat baseline redistribution redist redistrib reinjection reinj",
    ),
    "drugs, in any language": _Words(
        "adenosine adenosin adeno adenosina adenozin adenozyna adenoscan regadenoson regadenozon* regad rega rapiscan "
        "lexiscan lexi dipyridamole dipyridamol dipiridamol dipiridamolo dipy dipyr dipirydamol* persantine "
        "persantin persant dobutamine dobutamin dobutamina dobutamini dobu",
        "",
    ),
    "German": _Words(
        "belast* anstrengung* ergometrie* fahrradergomet* pharmakologisch*",
        "ruhe ruheaufnahme* ruhebild* ruheuntersuchung* ruheszinti* ruhespect ruhestudie",
    ),
    "French": _Words("effort exercice pharmacologique", "repos basale redistribution reinjection"),
    "Spanish": _Words("esfuerzo estres ejercicio farmacologico", "reposo basal redistribucion reinyeccion"),
    "Portuguese": _Words("esforco estresse exercicio", "repouso redistribuicao reinjecao"),
    "Italian": _Words("sforzo esercizio farmacologico", "riposo basale ridistribuzione reiniezione"),
    "Dutch": _Words(
        "inspanning* belasting* fietsergometrie farmacologisch*", "rust rustonderzoek rustopname* ruststudie rustbeeld*"
    ),
    "Turkish": _Words(
        "efor eforlu stres egzersiz yuklenme* farmakolojik", "istirahat* dinlenme dinlenim redistribusyon"
    ),
    "Polish": _Words("wysilek wysilk* powysilk* obciazen* farmakologiczn*", "spoczynek spoczynk* redystrybucj*"),
    "Czech and Slovak": _Words(
        "zatez* zataz* namaha namahov* farmakologick*", "klid klidu klidov* klud kludu kludov* redistribuc*"
    ),
    "Swedish": _Words(
        "arbete arbetsprov belastning* anstrangning* cykel* farmakologisk*", "vila vilo vilande vilobild* vilostudie"
    ),
    "Danish and Norwegian": _Words(
        "belastning* arbejde arbejdsbelastning anstrengelse* arbeid arbeidsbelastning ergometrisk* farmakologisk*",
        "hvile hvilebild* hvilestudie hvileundersog* hvileopptak*",
    ),
    "Finnish": _Words("rasitus* rasituksessa kuormitus*", "lepo levossa lepokuvaus lepotutkimus"),
    "Hungarian": _Words("terheles*", "nyugalmi nyugalom nyugalomban"),
    "Romanian": _Words("efort", "repaus odihna"),
    "Croatian, Serbian, Slovene": _Words("opterecenj* obremenit*", "mirovanj* miru"),
}
_OTHER_SCRIPTS: Mapping[str, _Words] = {
    "Russian, Ukrainian, Bulgarian": _Words(
        "стресс стрес нагр нагрузк* нагрузочн* физнагрузк* велоэргометр* эргометр* навантажен* натоварван* оптерећењ* "
        "аденозин* регаденозон* дипиридамол* добутамин*",
        "покой покоя покое покою покоем спокою спокій перераспределен* мировањ*",
    ),
    "Greek": _Words("κοπωση κοπωσης φορτιση φορτισης", "ηρεμια ηρεμιας αναπαυση"),
}
_UNSPACED: Mapping[str, _Words] = {
    # Chinese and Japanese put no blanks between words, so these count anywhere in a run of characters.
    "Chinese": _Words(
        "负荷 負荷 运动试验 運動試驗 平板运动 应激 應激 腺苷 瑞加诺生 双嘧达莫 潘生丁 多巴酚丁胺",
        "静息 靜息 再分布 休息",
    ),
    "Japanese": _Words("負荷 ストレス アデノシン ジピリダモール ドブタミン エルゴメータ", "安静 レスト 再分布"),
    "Korean": _Words("부하 스트레스 아데노신 운동검사", "휴식 안정 재분포"),
}
_THALLIUM_REST = "delayed delay late laat tardif tardiva tardio tardia spat spate pozne pozdni sen gec otlozene"
"""Redistribution of Tl-201; with another tracer a delayed image is of the state it was injected in."""
_LATE_ANYWHERE = "遅延|遅発|後期|延迟|延遲|晚期|지연|отсроченн|отложенн"
_HOURS = re.compile(
    r"(?<![\d.,])(?:[2-9]|[1-4]\d)[ _.]*(?:(?:h|hr|hrs|hours?|std|stunden?|heures?|horas?|ore|uur|uren|saat|godz\w*"
    r"|hod\w*|tim(?:m?ar|mer|er)?|ч|час\w*)(?![^\W_])|小时|小時|時間|시간)"
    r"|(?<![^\W_])h[ _]?(?:[2-9]|24)(?!\w)|(?<!\d)(?:1[2-9]\d|[2-4]\d\d)[ _]*min"
)
"""Two hours or more: Tl-201 has redistributed; the state of another tracer stays that of its injection."""
_NEGATIONS = (
    "no non not sine nao nicht kein keine keiner niet geen nie ne ikke inte ingen ei nem не aucun aucune nessun "
    "nessuno ningun degil without pre before prior vor ohne sans avant sin antes senza prima sem zonder voor bez przed "
    "pred utan uden uten fore for ilman ennen inainte fara до без"
)
"""Before a state's word, articles between them left out, these deny it."""
_WITHOUT = re.compile(r"(?<!\w)w/o(?!\w)", re.IGNORECASE)
_NEGATIONS_AFTER = "less free of oncesi elott nelkul degil yok"
_ARTICLES = "at in l d de del della dello di do da dem der die the to"
_ANATOMY = (
    "apex apical apicale base mid medial medio distal apico ventricle septum septal slice slices section sections wall "
    "plane planes cut cuts corte cortes coupe coupes third tercio terzo level region segment segments segmento "
    "segmentos anterior inferior lateral short long axis axes ax sa sax hla vla eje asse axe view views"
)
"""Beside these, "basal" is the base of the heart, not the state before stress, or may be."""
_UNSPACED_NEGATIONS = "(?:非|无|無|未|不)(?:{words})|(?:{words})(?:前|なし|无|無)"

_BEFORE = r"(?:irac|irnc|ac|nac|nc|g|gat|gate|gated|recon|post|mibi|tl|tc)?"
_AFTER = (
    r"(?:gate|gated|gat|gtd|g|tomo|raw|recon|ac|nac|nc|irac|irnc|sa|sax|supine|sup|prone|pron"
    r"|mibi|spect|pet|myo|test|post)*"
)


def state_in_text(text: str, *, thallium: bool = False) -> State | None:
    """Return the state that a description names; None where it names both or neither, or denies one.

    Parameters
    ----------
    thallium
        Whether the tracer is Tl-201, of which a delayed image shows rest.

    Examples
    --------
    >>> [state_in_text(t) for t in ("SGATE", "ReconRest", "AC_STRESS", "forest", "Rest/Stress 1 day", "安静時")]
    ['stress', 'rest', 'stress', None, None, 'rest']
    """
    text = _WITHOUT.sub("without", text)
    words, plain = words_of(text), fold(text)
    if _denied(words, plain):
        return None
    anatomy = bool(set(words) & set(_ANATOMY.split()))
    words = [word for word in words if not (anatomy and word.startswith("basal"))]
    stress = any(_STRESS.fullmatch(word) for word in words) or bool(_STRESS_RUN.search(plain))
    rest = any(_REST.fullmatch(word) for word in words) or bool(_REST_RUN.search(plain))
    late = _is_late(words, plain.lower())
    if thallium and not stress:
        rest = rest or late
    if stress == rest or (stress and late):
        return None
    return "stress" if stress else "rest"


def denies_state(text: str) -> bool:
    """Whether a description denies a state or a stressor that it names: "non-stress", "before exercise"."""
    return _denied(words_of(text), fold(text))


def _is_late(words: list[str], plain: str) -> bool:
    """Whether a description says that the image was made hours after the injection."""
    named = set(words) & set(_THALLIUM_REST.split()) or re.search(fold(_LATE_ANYWHERE), plain)
    return bool(named or _HOURS.search(plain))


def _denied(words: list[str], plain: str) -> bool:
    """Whether a word for a state stands next to one that denies it: "non-stress", "stress-less", "before exercise"."""
    states = [i for i, word in enumerate(words) if _STRESS.fullmatch(word) or _REST.fullmatch(word)]
    before = any(_word_before(words, i) in _DENIALS for i in states)
    after = any(set(words[i + 1 : i + 2]) & _DENIALS_AFTER for i in states)
    return before or after or bool(_DENIED_RUN.search(plain))


def _word_before(words: list[str], place: int) -> str:
    """Return the word before a place, articles left out; empty where there is none."""
    return next((word for word in reversed(words[:place]) if word not in _ARTICLES.split()), "")


def _pattern(texts: Iterable[str], *, glued: bool) -> re.Pattern[str]:
    """Return a pattern of whole words; where glued, also with what series' names add before and after."""
    words = [re.escape(fold(word).lower()).replace(r"\*", r"\w*") for text in texts for word in text.split()]
    choice = "|".join(sorted(set(words), key=len, reverse=True))
    return re.compile(rf"{_BEFORE}(?:{choice}){_AFTER}" if glued else rf"(?:{choice})")


def _both_scripts(position: int) -> re.Pattern[str]:
    latin = _pattern((words[position] for words in _LATIN.values()), glued=True)
    others = _pattern((words[position] for words in _OTHER_SCRIPTS.values()), glued=False)
    return re.compile(f"{latin.pattern}|{others.pattern}")


_STRESS, _REST = _both_scripts(0), _both_scripts(1)
_STRESS_RUN, _REST_RUN = (_pattern((w[i] for w in _UNSPACED.values()), glued=False) for i in (0, 1))
_DENIED_RUN = re.compile(
    fold(_UNSPACED_NEGATIONS.format(words=f"{_STRESS_RUN.pattern[3:-1]}|{_REST_RUN.pattern[3:-1]}"))
)
_DENIALS = frozenset(fold(word) for word in _NEGATIONS.split())
_DENIALS_AFTER = frozenset(_NEGATIONS_AFTER.split())
