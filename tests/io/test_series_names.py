"""What a series' name says about attenuation: corrected, not corrected, or the map itself."""

import pytest

from myoperf.io.kinds import correction_conflicts, is_attenuation_corrected
from myoperf.io.series_names import attenuation_correction_named, names_attenuation_map
from support.dicom import item

CORRECTED = (
    """
STRESS_IRACSC|IRAC|IRACRR|IRACSCRR|STRESS_IRACSCRR|CTAC|AC|stress AC|[AC]|StressAC|STRESSAC|restAC gated
Attenuation Corrected|stress att corr|PET AC|MAC 3D|Rest CTAC|AC SC
""".strip()
    .replace("\n", "|")
    .split("|")
)
CORRECTED += [
    *("Belastung mit Schwächungskorrektur", "schwächungskorrigiert", "corrigé de l'atténuation", "attenuatiecorrectie"),
    *("Corrección de atenuación", "com correção de atenuação", "corretto per attenuazione", "korekcja atenuacji"),
    *("atenüasyon düzeltmeli", "с коррекцией аттенуации", "衰减校正", "減弱補正 負荷", "AC No. 2", "avec CA"),
    *("감쇠보정", "부하 감쇠 보정"),
    *("AC w/ RR", "AC non gated", "S_AC", "schwaechungskorrigiert", "FLASH3DAC", "ACSTRESS", "SAXAC", "REST_ACGATED"),
]
UNCORRECTED = (
    """
NoAC|NO AC|Non-AC|NonAC|NAC|IRNC|IRNCRR|uncorrected|Uncorr|STRESS_IRNC|NC|stress nac|without AC|w/o AC|AC off|ohne AC
not attenuation corrected|Non attenuation-corrected|stressNAC|NONAC|NACSC|no attenuation correction|AC and NAC
""".strip()
    .replace("\n", "|")
    .split("|")
)
UNCORRECTED += [
    "감쇠보정 없음",
    *("ohne Schwächungskorrektur", "sans correction d'atténuation", "sin corrección de atenuación", "sans CA"),
    *("无衰减校正", "減弱補正なし", "без коррекции аттенуации", "bez korekcji atenuacji", "unkorrigiert"),
    *("AC=No", "AC not applied", "N-AC", "AC-", "NO_CT_AC", "STRESS | AC off"),
    *(
        "AC=0",
        "AC: N",
        "AC false",
        "AC disabled",
        "AC failed",
        "AC-less",
        "kein AC",
        "keine AC",
        "minus AC",
        "pre AC",
        "s/AC",
    ),
    *(
        "AC corr off",
        "attenuation correction: none",
        "AttCorr=0",
        "att.corr.: nein",
        "AC uit",
        "AC nie",
        "AC ikke",
    ),
    *(
        "Schwächungskorrektur aus",
        "Schwaechungskorrektur: nein",
        "correction d'atténuation: non",
        "减弱校正:无",
        "減弱補正OFF",
    ),
    *("w/out AC", "AC yok", "AC désactivé", "AC 0", "ohne Schwaechungskorrektur", "STRESS AC Off | STRESS"),
]
SILENT = [
    "Stress",
    "SGATE",
    "back",
    "Motion corrected",
    "attack",
    "Cardiac",
    "tomo sc",
    "Rest gated",
    "ACCESS",
    "place",
    "synchro",
    "Stress SA",
]
MAPS = (
    """
Stress Mu Map|_ACMAP_TC|STRESS_CTACMAP|umap|\u00b5Map|\u03bc-map|MuMap|mu_map|AC Map|AttMap|Att. Map|Attenuation Map
stress_umap|StressUMap|CT AC Map|CTAC_MAP|TRANSMISSION|UMAP_AC|Transmission map|ACMap|muMAP Rest|u-map|CTMAP|Density Map
""".strip()
    .replace("\n", "|")
    .split("|")
)
MAPS += [
    *("Schwächungskarte", "carte d'atténuation", "mapa de atenuación", "mappa di attenuazione", "карта аттенуации"),
    *("衰减图", "減弱マップ", "μマップ", "CTmap140", "TCT", "attenuation coefficients"),
    *("TX map", "Trans map", "TransMap", "Schwaechungskarte", "carte mu", "mappa mu", "AttCorrMap", "attenuationskort"),
    *("dämpningskarta", "dempingskart", "verzwakkingskaart", "verzwakkingsmap"),
]
EMISSION = (
    """
CTAC|Cardiac map|Stress|polar map|Perfusion map|Stress AC|Myocardial Map|Rest bullseye map|Heart map|STRESS_IRAC
flow map
""".strip()
    .replace("\n", "|")
    .split("|")
)


@pytest.mark.parametrize(
    ("texts", "answer"), [(CORRECTED, True), (UNCORRECTED, False), (SILENT, None)], ids=["AC", "NC", "neither"]
)
def test_correction(texts, answer):
    assert {text: attenuation_correction_named(text) for text in texts} == dict.fromkeys(texts, answer)


@pytest.mark.parametrize(("texts", "answer"), [(MAPS, True), (EMISSION, False)], ids=["maps", "emission"])
def test_maps(texts, answer):
    assert {text: names_attenuation_map(text) for text in texts} == dict.fromkeys(texts, answer)


@pytest.mark.parametrize(
    ("attributes", "corrected", "conflict"),
    [
        ({"CorrectedImage": ["DECY", "ATTN"], "SeriesDescription": "stress"}, True, False),
        ({"CorrectedImage": ["DECY", "ATTN"], "SeriesDescription": "stress NoAC"}, True, True),
        ({"CorrectedImage": ["DECY", "RADL"], "SeriesDescription": "stress AC"}, False, True),
        ({"CorrectedImage": "", "SeriesDescription": "stress AC"}, True, False),
        ({"CorrectedImage": "UNIF", "ImageID": "STRESS_IRNC"}, False, False),
        ({"AttenuationCorrected": "YES", "ImageID": "STRESS"}, True, False),
        ({"AttenuationCorrected": "NO", "ImageID": "STRESS_IRAC"}, False, True),
        ({"AttenuationCorrectionMethod": "NONE", "ImageID": "STRESS"}, False, False),
        ({"AttenuationCorrectionMethod": "measured, AC_CT", "ImageID": "STRESS"}, True, False),
        ({"ImageID": "STRESS_IRACSCRR"}, True, False),
        ({"ImageID": "STRESS"}, False, False),
    ],
)
def test_attributes_come_before_names(attributes, corrected, conflict):
    header = item(**attributes)
    assert is_attenuation_corrected(header) is corrected
    assert correction_conflicts(header) is conflict
