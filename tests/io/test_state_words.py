"""Words for stress and rest in the languages of series' names: right or unknown, never wrong."""

import pytest

from myoperf.io.state import detect_state
from myoperf.io.state_words import state_in_text
from support.dicom import item

STRESS = (
    """
SGATE|STRESS_IRAC|Stress Gated Tomo|MIBI post-stress|Exercise tomo|TMT Tomo|BRUCE
Bicycle ergometry SPECT|Ergometrie
Adenosine|ADENO SPECT|Regadenoson gated|Lexiscan|Rapiscan MIBI|Dipyridamol|PERSANTIN|Dobutamine PET
Stress 1h pi|Stress 60 min|Stress 1 hour|Stress 10h15|Stress 3 heads|Stress 4 head|Stress 16 min|S.T.R.E.S.S.
Pharm. Tomo|DOBU|Yüklenme|YÜKLENME GATED|arbeid|Regadenozon|ergometrisk belastning|cykelprov|Fahrradergometer|нагр. МИБИ
GATEDSTRESS|farmakologisk|Dipirydamol|Arbejde|fietsergometrie
Belastung|Belastungs-SPECT|Belast. Tomo|MIBI Belastungsuntersuchung|Effort|Épreuve d'effort|Esfuerzo
ESFORÇO|Estrés
Sforzo|Inspanning|inspanningsonderzoek|Belasting gated|EFOR|Efor sonrası|Kalp stres|Egzersiz
Wysiłek|po wysiłku|WYSIŁEK GATED|powysiłkowe|Obciążenie|Zátěž|ZATEZ|zátěžová scintigrafie|Námaha|Po záťaži
Arbete|Belastning|Ansträngning|Arbejdsbelastning|Anstrengelse|Rasitus|Terhelés|Efort
Нагрузка|НАГРУЗКА|после нагрузки|Стресс|нагрузочная проба|аденозин|Навантаження|Κόπωση
负荷|负荷心肌显像|NoAC stress|non AC stress|Stress No AC
運動負荷|运动负荷|药物负荷 门控|腺苷负荷|负荷后|ストレス|薬物負荷|負荷時|アデノシン負荷|부하
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
REST = (
    """
RGATE|ReconRest|REST_IRNC|Resting|Baseline PET|Basal|Basale|Redistribution|Reinjection Tl|MIBI rest gated
4h redistribution|Redistribution 24h|Rest 4h|RST 3 HR|Basal gated|Basal AC|Estudio basal
Ruhe|RUHE SPECT|Ruheaufnahme|Repos|Reposo|REPOUSO|Riposo|Rust|rustopname|İstirahat|ISTIRAHAT|istirahatte
Dinlenme|hvileundersøgelse|hvileopptak|hvilestudie
vilande|kľud|у мировању|u miru|GATEDREST|redystrybucja|Redistribuce Tl
Spoczynek|spoczynkowe|W spoczynku|Klid|klidová|v klidu|Vila|Vilobild|Hvile|HVILE|Lepo|Nyugalmi|Repaus
Покой|ПОКОЙ|в покое|Спокій|Ηρεμία|静息|静息心肌显像|靜息|安静|安静時|再分布|レスト|휴식
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
UNKNOWN = (
    """
|Tomo|forest|restored|Restoration|arrest|Cardiac arrest|interest|distress|prestige|STRUCTURE
Restaktivität|Rest of body
stress-less|Stressless|non-stress|No stress|Stress free|without stress|ohne Belastung|sans effort|sin esfuerzo
before exercise|pre-stress|bez wysiłku|без нагрузки|до нагрузки|bez zátěže|efor öncesi|terhelés előtt
avant l'effort|antes del esfuerzo
prima dello sforzo|ennen rasitusta|före belastning|before the exercise|prior to stress|vor der Belastung
負荷前|非负荷|未負荷|无负荷
Rest/Stress 1 day|REST_STRESS|Stress-Redistribution|efor-istirahat|Belastung/Ruhe|负荷/静息|運動負荷・安静
нагрузка-покой|Strahlenbelastung|wall motion|壁運動|室壁运动|运动校正|静态|静态采集|体动校正|Apex to basal|Mid basal
Delayed|late|early|Static|Statisch|Myocard|Herz|trust|crust|Vilalobos|Eforia|Stressed|ro|effortless
stroke|adenoma
Delayed stress|stress late|geç stres|inspanning laat|belastning sen|отсроченный стресс|負荷 遅延像|負荷後期像|负荷延迟
nicht Belastung|keine Belastung|geen belasting|nie wysiłkowe|ikke belastning|не нагрузка|não esforço
stres değil|aucun effort
Basal slice|Basal section|Basal wall|Basal short axis|SAX basal|SA Basal|Basal slices|Basal cut|basal third
basal anterior|Basal inferior wall|Basal level|Basal segments|Basal-Mid-Apical|Basal HLA|corte basal|tercio basal
Stress 4h|Stress 4 h|STRESS_4HR|Stress 3 hours|Stress +4h|Stress 24h|Belastung 4 Std|Belastung nach 4 Stunden
Effort 4 heures|Effort H4|Esfuerzo 4 horas|Inspanning 4 uur|Efor 4. saat|Stress 4hrs delayed|4h post stress|4 h
нагрузка 4 ч|нагрузка 4 часа|负荷4小时|負荷 4時間後|Stress 240 min
""".strip("\n")
    .replace("\n", "|")
    .split("|")
)


@pytest.mark.parametrize("text", STRESS)
def test_stress(text):
    assert state_in_text(text) == "stress"


@pytest.mark.parametrize("text", REST)
def test_rest(text):
    assert state_in_text(text) == "rest"


@pytest.mark.parametrize("text", UNKNOWN)
def test_unknown(text):
    assert state_in_text(text) is None


@pytest.mark.parametrize(("window", "state"), [("Tl-201", "rest"), ("Tc99m", None)])
def test_a_delayed_image_is_rest_with_thallium_alone(window, state):
    header = item(SeriesDescription="Delayed gated", EnergyWindowInformationSequence=[item(EnergyWindowName=window)])
    assert detect_state(header)[0] == state
    header.SeriesDescription = "Stress delayed"
    assert detect_state(header)[0] is None
    for hours in ("4h", "4 hours", "24 HR", "3 Std."):
        header.SeriesDescription = f"MIBI {hours}"
        assert detect_state(header)[0] == state


def test_thallium_is_known_by_the_description_too():
    assert detect_state(item(SeriesDescription="Tl-201 delayed"))[0] == "rest"
    assert detect_state(item(SeriesDescription="MIBI delayed"))[0] is None
