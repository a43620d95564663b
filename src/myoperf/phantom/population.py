"""Draw patients: clinical facts, the disease that follows from them, the heart and function that follow from it.

Clinical distributions: the table of Hajianfar et al. 2025 (doi:10.1007/s00259-025-07145-x).
Left ventricle: shapes and motion such that volumes, mass and thickness are those of magnetic resonance imaging
(Kawel-Boehm et al. 2015, in PMC7758747; Petersen et al. 2017, doi:10.1186/s12968-017-0327-9; Kawel et al. 2012,
PMC3412148). What a SPECT program reads of them is smaller: its cavity ends inside the blurred wall.
``benchmarks/population.py`` holds the population against published values.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.special import ndtr

from myoperf.phantom.disease import Pattern, draw_coronary, draw_pattern
from myoperf.phantom.labels import draw_reader
from myoperf.phantom.parts import Clinical, Coronary, Function, Stressor, Ventricle
from myoperf.phantom.pose import draw_euler, draw_place, frame_from_euler
from myoperf.phantom.records import PatientModel, PopulationOptions
from myoperf.phantom.torso import draw_torso, draw_uptake, place_heart

_STRESSORS: tuple[Stressor, ...] = ("exercise", "dipyridamole", "dobutamine")
_AGE, _AGE_SD = 59.9, 11.6
_BODY = {"M": 1.7225 * np.sqrt(84.5), "F": 1.5925 * np.sqrt(75.7)}
"""Mean body size, height (m) times the root of weight (kg), that the mean hearts belong to."""
_CARDIOMYOPATHY = 0.008
"""Share with asymmetric hypertrophy of the septum."""
_SINUS_SPREAD = 0.022
"""Median standard deviation of R-R intervals about their running mean, relative to it (assumed; see docs)."""
_DIABETES, _HYPERTENSION = 0.24, 0.59


def draw_clinical(rng: np.random.Generator, options: PopulationOptions) -> tuple[Clinical, float]:
    """Draw the clinical facts, and the rank (0-1) of the severity of the patient's disease, which depends on them.

    Age, male sex, diabetes and hypertension raise the rank by a Gaussian copula, which keeps both the
    table's shares and the wanted prevalence.
    """
    z_age, z_sugar, z_pressure, z_disease = rng.normal(size=4)
    male = rng.random() < options.male
    sex: Literal["M", "F"] = "M" if male else "F"
    z_height = rng.normal()
    height = (1.7225 if male else 1.5925) + 0.094 * z_height
    weight = (84.5 if male else 75.7) + 15.1 * (0.4 * z_height + np.sqrt(1 - 0.4**2) * rng.normal())
    # Diabetes and hypertension are weakly correlated with age and with each other.
    sugar = 0.15 * z_age + np.sqrt(1 - 0.15**2) * z_sugar
    pressure = 0.25 * z_age + 0.2 * z_sugar + np.sqrt(1 - 0.25**2 - 0.2**2) * z_pressure
    clinical = Clinical(
        sex,
        float(np.clip(_AGE + _AGE_SD * z_age, 22.0, 95.0)),
        float(np.clip(height, 1.40, 2.05)),
        float(np.clip(weight, 40.0, 150.0)),
        _STRESSORS[rng.choice(3, p=(0.59, 0.40, 0.01))],
        bool(ndtr(sugar) > 1 - _DIABETES),
        bool(ndtr(pressure) > 1 - _HYPERTENSION),
    )
    gender = _standard_sex(male, options.male)
    weights = np.array([0.22, 0.15, 0.10, 0.15])
    score = weights @ [z_age, z_sugar, z_pressure, gender] + np.sqrt(1 - (weights**2).sum()) * z_disease
    return clinical, _rank(float(score), options.male)


def _standard_sex(male: bool, share: float) -> float:
    """Return sex as a variable of mean 0 and SD 1 (0 where all patients have one sex)."""
    spread = np.sqrt(share * (1 - share))
    return 0.0 if spread < 1e-9 else float((float(male) - share) / spread)


@lru_cache(maxsize=16)
def _sex_steps(share: float) -> tuple[float, float]:
    return 0.15 * _standard_sex(True, share), 0.15 * _standard_sex(False, share)


def _rank(score: float, share: float) -> float:
    """Return the exact distribution function of the copula's score: a mixture of men's and women's normals."""
    men, women = _sex_steps(share)
    spread = np.sqrt(1 - 0.15**2)
    return float(share * ndtr((score - men) / spread) + (1 - share) * ndtr((score - women) / spread))


def draw_ventricle(rng: np.random.Generator, clinical: Clinical, coronary: Coronary, normal: bool) -> Ventricle:
    """Draw the shape of a ventricle: normal, small, hypertrophied, dilated or aneurysmal.

    Size follows sex and body; infarcts make dilation likelier, hypertension a thick wall. docs/phantom-population.md
    compares the shapes with published ones.

    Parameters
    ----------
    normal
        Only normal and small ventricles.
    """
    (own,) = rng.spawn(1)  # for what was added later: the draws that follow, such as the patient's place, stay the same
    male = clinical.sex == "M"
    size = np.clip((clinical.height_m * np.sqrt(clinical.weight_kg) / _BODY[clinical.sex]) ** 0.35, 0.9, 1.12)
    radius = rng.normal(32.1 if male else 30.3, 1.6) * size
    length = rng.normal(94.0 if male else 87.0, 4.5) * size
    wall = (6.5 if male else 5.35) * float(np.exp(rng.normal(0.0, 0.12))) * size
    scars = sum(i.severity * i.half_fraction for i in coronary.infarcts)
    septum = 1.0
    kind = rng.random()
    dilate = (0.06 + 0.5 * min(scars, 0.6)) if not normal else 0.0
    if kind < dilate:
        radius, length = radius * rng.uniform(1.12, 1.45), length * rng.uniform(1.05, 1.18)
    elif not normal and kind > 1 - (0.20 if clinical.hypertension else 0.05):
        wall, radius = wall * rng.uniform(1.35, 1.9), radius * rng.uniform(0.92, 1.02)
    elif not normal and kind < dilate + _CARDIOMYOPATHY:
        wall, septum, radius = wall * rng.uniform(1.3, 1.6), rng.uniform(1.5, 2.2), radius * rng.uniform(0.86, 0.98)
    elif 0.5 < kind < 0.55:
        radius, length = radius * rng.uniform(0.82, 0.92), length * rng.uniform(0.85, 0.93)
    radius, length = float(np.clip(radius, 20.0, 46.0)), float(np.clip(length, 66.0, 125.0))
    anterior = [i for i in coronary.infarcts if i.vessel == "LAD" and i.severity > 0.7 and i.half_fraction > 0.2]
    bulge = float(rng.uniform(4.0, 11.0)) if anterior and rng.random() < 0.35 else 0.0
    return Ventricle(
        length_mm=length,
        radius_mm=radius,
        power=float(np.clip(rng.normal(2.25, 0.15), 1.9, 2.8)),
        ellipticity=float(np.clip(abs(rng.normal(0.0, 0.035)), 0.0, 0.1)),
        ellipticity_deg=float(rng.uniform(0.0, 180.0)),
        valve_tilt=float(np.clip(rng.normal(0.22, 0.07), 0.05, 0.42)),
        wall_mm=_wall_of_segments(rng, float(np.clip(wall, 3.6, 14.0)), septum, coronary),
        papillary_mm=float(rng.uniform(1.5, 4.5)),
        taper=float(np.clip(own.normal(0.08, 0.04), 0.0, 0.2)),
        bulge_mm=bulge,
        bulge_fraction=anterior[0].fraction if bulge else 0.1,
        bulge_angle_deg=anterior[0].angle_deg if bulge else 0.0,
        bulge_width=float(rng.uniform(0.12, 0.2)),
    )


def _wall_of_segments(rng: np.random.Generator, wall: float, septum: float, coronary: Coronary) -> tuple[float, ...]:
    """Draw 17 thicknesses from that of the mid-cavity: base and septum thicker, apex thin, old scars thinned.

    `septum` multiplies the septum's thickness (1: normal; asymmetric hypertrophy more).
    """
    from_base = np.concatenate([np.full(6, 1.12), np.full(6, 0.98), np.full(4, 0.88), [0.62]])
    from_base[[1, 2]] *= 1.12
    from_base[[7, 8]] *= 1.05
    from_base[[1, 2, 7, 8, 13]] *= septum
    out = wall * from_base * (1.0 + 0.035 * rng.normal(size=17))
    heights = np.concatenate([np.full(6, 0.86), np.full(6, 0.585), np.full(4, 0.30), [0.0]])
    around = np.concatenate([np.arange(6) * 60.0, np.arange(6) * 60.0, np.arange(4) * 90.0, [0.0]])
    for scar in coronary.infarcts:
        turn = (around - scar.angle_deg + 180.0) % 360.0 - 180.0
        girth = np.sin(0.5 * np.pi * heights)
        near = np.exp(
            -0.5 * ((heights - scar.fraction) / scar.half_fraction) ** 2
            - 0.5 * (turn * girth / scar.half_angle_deg) ** 2
        )
        out *= 1.0 - 0.3 * scar.severity * scar.epicardial_share * near
    return tuple(float(x) for x in np.clip(out, 2.0, 28.0))


def draw_function(
    rng: np.random.Generator, ventricle: Ventricle, coronary: Coronary, clinical: Clinical, normal: bool
) -> Function:
    """Draw how a ventricle beats: weaker if it is dilated, dyssynchronous or irregular in some patients.

    Parameters
    ----------
    normal
        No reduced ejection, dyssynchrony or irregular rhythm.
    """
    ejection = rng.normal(0.63 if clinical.sex == "M" else 0.65, 0.05)
    dilated = ventricle.radius_mm > 38.0 and not normal
    if dilated:
        ejection *= rng.uniform(0.4, 0.75)
    elif not normal and rng.random() < 0.06:
        ejection *= rng.uniform(0.5, 0.85)
    dyssynchronous = not normal and rng.random() < (0.2 if dilated else 0.05)
    median = 26.0 if dyssynchronous else 10.0 if coronary.infarcts else 6.5
    pattern = rng.normal(0.0, 0.5, size=5)
    if dyssynchronous:
        pattern[1] -= 2.0  # the septum first, the lateral wall late: left bundle branch block
    (own,) = rng.spawn(1)  # as in `draw_ventricle`
    # Small variation of the sinus rhythm; one patient in sixteen has an irregular one.
    irregular = not normal and own.random() < 0.06
    spread = own.uniform(0.08, 0.22) if irregular else _SINUS_SPREAD * np.exp(own.normal(0.0, 0.4))
    narrowed = sum(lesion.effective_percent > 70.0 for lesion in coronary.lesions)
    return Function(
        ejection=float(np.clip(ejection, 0.18, 0.80)),
        apex_gain=float(rng.normal(0.03, 0.03)),
        septal_gain=float(rng.normal(-0.06, 0.04)),
        systole=float(np.clip(rng.normal(0.36, 0.03), 0.28, 0.46)),
        stretch=float(np.clip(rng.normal(1.10, 0.015), 1.05, 1.15)),
        twist_deg=float(np.clip(rng.normal(11.0, 3.0), 2.0, 20.0)),
        phase_sd_deg=float(np.clip(median * np.exp(rng.normal(0.0, 0.35)), 2.0, 65.0)),
        phase_pattern=(pattern[0], pattern[1], pattern[2], pattern[3], pattern[4]),
        stress_dilation=float(np.clip(rng.normal(0.02, 0.06) + 0.08 * narrowed * rng.random(), -0.12, 0.40)),
        stress_stunning=float(0.0 if normal else rng.uniform(0.0, 0.35)),
        heart_rate_bpm=float(np.clip(rng.normal(69.0, 10.0), 45.0, 110.0)),
        beat_spread=float(np.clip(spread, 0.008, 0.25)),
        wall_loss=float(np.clip(own.normal(0.05, 0.02), 0.0, 0.10)),
    )


def draw_patient(rng: np.random.Generator, options: PopulationOptions | None = None) -> PatientModel:
    """Draw one patient; the same generator state gives the same patient.

    Parameters
    ----------
    rng
        The only source of chance: perfusion, anatomy, function, labels and reader all come from it.
    options
        Default: the angiography cohort of Hajianfar et al. 2025, Tc-99m.
    """
    options = options or PopulationOptions()
    clinical, rank = draw_clinical(rng, options)
    pattern: Pattern = draw_pattern(options, rank)
    coronary = draw_coronary(rng, clinical, pattern, options)
    ventricle = draw_ventricle(rng, clinical, coronary, options.normal)
    function = draw_function(rng, ventricle, coronary, clinical, options.normal)
    euler = draw_euler(rng)
    centre, height = draw_place(rng)
    torso = draw_torso(rng, clinical)
    frame, torso = place_heart(rng, torso, ventricle, frame_from_euler(euler, centre, ventricle.length_mm), clinical)
    scan_centre = (float(rng.normal(0.0, 4.0)), float(rng.normal(0.0, 4.0)), -height)
    uptake = draw_uptake(rng, clinical, options.tracer)
    reader = draw_reader(rng, clinical.sex == "M")
    return PatientModel(
        clinical, options.tracer, frame, scan_centre, ventricle, function, coronary, torso, uptake, reader
    )
