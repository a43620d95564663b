"""Building normal limits: pooled by sex and state; folders that cannot be used are said, not fatal."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from myoperf.errors import InputError
from myoperf.io import write_nifti
from myoperf.pipeline import normals
from myoperf.pipeline.normals import NormalMap, Pooled, measure_normals, patient_folders, pool_normals
from myoperf.types import Finding, PolarMap, Scores, Volume


def maps(n: int, sex: str | None, state: str, level: float, **of: str) -> list[NormalMap]:
    rng = np.random.default_rng(n)
    shape = (24, 72)
    ramp = np.linspace(1.0, level, 24)[:, None]
    return [
        NormalMap(
            PolarMap(ramp * (1 + 0.02 * rng.normal(size=shape)), np.zeros((*shape, 3)), np.ones(shape)),
            state,
            sex,
            **of,
        )
        for _ in range(n)
    ]


ABOUT = {"name": "t", "version": "1", "tracer": None, "camera": None, "provenance": "simulated", "licence": "CC0"}


def test_women_men_and_all_are_pooled_apart():
    pooled = Pooled((*maps(12, "F", "stress", 0.8), *maps(15, "M", "stress", 0.6)), studies=27, failed=0, doubtful=0)
    limits = {one.name: one for one in pool_normals(pooled, **ABOUT)}
    assert {name: one.n for name, one in limits.items()} == {
        "t-women-stress": 12,
        "t-men-stress": 15,
        "t-all-stress": 27,
    }
    base = {name: one.mean[-1].mean() / one.mean[0].mean() for name, one in limits.items()}
    assert base["t-women-stress"] == pytest.approx(0.8, abs=0.01)
    assert base["t-men-stress"] == pytest.approx(0.6, abs=0.01)


def test_too_few_of_a_sex_give_no_limits_of_that_sex():
    pooled = Pooled((*maps(3, "F", "rest", 0.8), *maps(11, "M", "rest", 0.6)), studies=14, failed=0, doubtful=0)
    assert [one.name for one in pool_normals(pooled, **ABOUT)] == ["t-men-rest", "t-all-rest"]


def test_tracers_named_by_the_files_are_pooled_apart_unless_one_is_given():
    both = (
        *maps(11, "F", "stress", 0.8, tracer="Technetium Tc 99m Sestamibi"),
        *maps(12, "F", "stress", 0.6, tracer="99mTc-tetrofosmin"),
        *maps(10, "F", "stress", 0.6, tracer="N-13 ammonia"),
    )
    pooled = Pooled(both, studies=33, failed=0, doubtful=0)
    apart = {one.name: (one.tracer, one.n) for one in pool_normals(pooled, **ABOUT) if one.sex}
    assert apart == {"t-tc-99m-women-stress": ("Tc-99m", 23), "t-n-13-women-stress": ("N-13", 10)}
    together = [one for one in pool_normals(pooled, **{**ABOUT, "tracer": "any"}) if one.sex]
    assert [(one.name, one.n) for one in together] == [("t-women-stress", 33)]


def test_cameras_are_pooled_apart_when_asked_for():
    both = (*maps(11, "F", "rest", 0.8, camera="Discovery NM 530c"), *maps(12, "F", "rest", 0.6, camera="Infinia"))
    pooled = Pooled(both, studies=23, failed=0, doubtful=0)
    apart = {one.name: one.camera for one in pool_normals(pooled, **{**ABOUT, "camera": "each"}) if one.sex}
    assert apart == {"t-czt-women-rest": "CZT", "t-infinia-women-rest": "Infinia"}
    assert [one.n for one in pool_normals(pooled, **ABOUT) if one.sex] == [23]


def test_simulated_cohorts_beside_patients_give_their_patients(tmp_path):
    for inner in ("clinic-7", "part-1/patient-0001", "part-1/patient-0002", "part-2/patient-0001"):
        (tmp_path / inner / "dicom").mkdir(parents=True)
    for cohort in ("part-1", "part-2"):
        (tmp_path / cohort / "cohort.csv").write_text("patient")
    found = [p.relative_to(tmp_path).as_posix() for p in patient_folders(tmp_path)]
    assert found == ["clinic-7", "part-1/patient-0001", "part-1/patient-0002", "part-2/patient-0001"]
    with pytest.raises(InputError, match="no sub-folders"):
        patient_folders(tmp_path / "clinic-7" / "dicom")


def test_folders_without_a_heart_give_a_clear_error(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_nifti(tmp_path / name / "rest.nii.gz", Volume(np.ones((20, 22, 24), np.float32), np.diag([4, 4, 4, 1.0])))
    seen: list[int] = []
    with pytest.raises(InputError, match="No study"):
        measure_normals(sorted(tmp_path.iterdir()), progress=seen.append)
    assert seen == [1, 2]


def result_of(state, *findings):
    polar = maps(1, None, "stress", 0.8)[0].polar
    scan = SimpleNamespace(tracer="Tc-99m", camera=None, modality="NM", attenuation_corrected=False, position="supine")
    return SimpleNamespace(state=state, findings=findings, polar=polar, scan=scan)


def test_scans_whose_ventricle_is_in_doubt_are_left_out_and_both_days_of_a_patient_are_taken(tmp_path, monkeypatch):
    # The network says check-orientation where its passes disagree: such scans had been pooled.
    doubt = Finding("check-orientation", "warning", "The network's passes agree poorly.")
    days = {"day-1": result_of("stress"), "day-2": result_of("rest"), "doubted": result_of("rest", doubt)}
    held = {"a": ("day-1", "day-2"), "b": ("day-1", "doubted"), "c": ("doubted",)}
    seen = []

    def read(folders):
        return SimpleNamespace(studies=tuple(SimpleNamespace(sex="F", name=day) for day in held[folders[0].name]))

    def analyse(study, models, options):
        seen.append(options.interval_draws)
        return SimpleNamespace(results=(days[study.name],), scores=Scores(tid_ratio=1.1))

    monkeypatch.setattr(normals, "read_studies", read)
    monkeypatch.setattr(normals, "analyze", analyse)
    pooled = measure_normals([tmp_path / name for name in held])
    assert [one.state for one in pooled.maps] == ["stress", "rest", "stress"]
    assert (pooled.failed, pooled.doubtful) == (0, 1)
    assert set(seen) == {0}, "intervals would be drawn for nothing"


def test_why_studies_fail_is_said(tmp_path, monkeypatch):
    def read(folders):
        raise InputError("a.dcm is cut short.")

    monkeypatch.setattr(normals, "read_studies", read)
    with pytest.raises(InputError, match=r"No study.*a\.dcm is cut short"):
        measure_normals([tmp_path / "a"])


def pairs(count: int, **of: object) -> list[NormalMap]:
    """Stress and rest of as many patients, with their TID ratio."""
    both = zip(maps(count, "F", "stress", 0.8, **of), maps(count, "F", "rest", 0.8, **of), strict=True)
    return [
        replace(one, patient=f"p{i}", tid_ratio=1.0 + 0.01 * i if one.state == "stress" else None)
        for i, pair in enumerate(both)
        for one in pair
    ]


def test_limits_of_20_patients_hold_cut_offs_of_their_own_and_of_their_pairs():
    pooled = Pooled(tuple(pairs(24)), studies=24, failed=0, doubtful=0)
    held = {one.name: one.cutoffs for one in pool_normals(pooled, **ABOUT)}
    stress, rest = held["t-women-stress"], held["t-women-rest"]
    assert stress.n == rest.n == 24
    assert stress.tpd_percent >= 1.0
    assert stress.sds == 2, "the floor: these normals do not differ"
    assert stress.tid_ratio == pytest.approx(1.22, abs=0.015)
    assert rest.sds is rest.tid_ratio is None
    few = pool_normals(Pooled(tuple(pairs(19)), studies=19, failed=0, doubtful=0), **ABOUT)
    assert {one.cutoffs for one in few} == {None}


def test_corrected_and_prone_scans_have_limits_of_their_own():
    """Pooled with the rest, they widened the limits of supine, uncorrected scans."""
    kinds = (*maps(10, "M", "rest", 0.8), *maps(11, "M", "rest", 0.6, corrected=True))
    held = pool_normals(Pooled((*kinds, *maps(12, "M", "rest", 0.7, position="prone")), 33, 0, 0), **ABOUT)
    assert [(one.name, one.n, one.corrected, one.position) for one in held if one.sex] == [
        ("t-men-rest", 10, None, None),
        ("t-ac-men-rest", 11, True, None),
        ("t-prone-men-rest", 12, None, "prone"),
    ]


def test_mixed_patients_are_said_and_those_who_stand_out_left_out():
    ill = [
        replace(one, polar=replace(one.polar, values=_with_defect(one.polar.values)))
        for one in maps(12, "M", "rest", 0.8)
    ]
    mixed = Pooled((*maps(30, "M", "rest", 0.8), *ill), 42, 0, 0, mixed=True)
    robust = next(one for one in pool_normals(mixed, **ABOUT) if one.sex)
    naive = next(one for one in pool_normals(replace(mixed, mixed=False), **ABOUT) if one.sex)
    assert (robust.n, naive.n) == (30, 42)
    assert "some of them ill" in robust.provenance
    assert robust.mean[20, 36] > 1.1 * naive.mean[20, 36]


def _with_defect(values):
    hurt = values.copy()
    hurt[12:, 28:44] *= 0.4
    return hurt
