from dataclasses import replace

import numpy as np
import pytest

from myoperf.errors import AnalysisError
from myoperf.lv import LVFit
from myoperf.perfusion import shipped_limits
from myoperf.phantom.fast import image_model, simulate_fast
from myoperf.phantom.population import draw_patient
from myoperf.phantom.records import Grid, PopulationOptions
from myoperf.research.normal_limits import recipe as limits_recipe
from myoperf.research.normal_limits.recipe import RECIPES, Normal, build_limits_of, image_normal, read_normals
from myoperf.types import Finding

SMALL = replace(RECIPES["rb82"], spacing_mm=6.6, shape=(48, 56, 56))


def true_fit(index, *findings):
    """What finds the ventricle of a patient of `SMALL` without error: the truth itself, state by state."""
    rng = np.random.default_rng([SMALL.seed, index])
    patient = draw_patient(rng, PopulationOptions(normal=True, male=float(index % 2 == 0), tracer=SMALL.tracer))
    model = image_model(SMALL.kind, rng, tracer=SMALL.tracer)
    grid = Grid.centred(SMALL.shape, SMALL.spacing_mm, patient.scan_centre_mm)
    _, labels, frame = simulate_fast(patient, rng, state="stress", model=model, grid=grid, quick_labels=True)
    return LVFit(frame, labels, 1.0, findings)


def test_a_patient_is_normal_of_known_sex_and_depends_on_its_number_alone():
    fit = true_fit(1)
    one, two = (image_normal(SMALL, 1, find_lv=lambda _: fit) for _ in range(2))
    assert one.sex == "F"
    assert set(one.maps) == {"stress", "rest"}
    for state, values in one.maps.items():
        assert values.shape == (24, 72)
        assert np.array_equal(values, two.maps[state])
    other = image_normal(SMALL, 1, find_lv=lambda _: fit, seed=SMALL.seed + 1)
    assert not np.array_equal(one.maps["stress"], other.maps["stress"])


def test_a_doubtful_ventricle_is_left_out_and_its_maps_are_kept_as_drawn(tmp_path, monkeypatch):
    calls = []

    def find(volume):
        calls.append(volume)
        if len(calls) == 1:
            raise AnalysisError("No ventricle.")
        return true_fit(0, *([Finding("lv-classical", "warning", "In doubt.")] if len(calls) == 2 else []))

    class Found:
        find_lv = staticmethod(find)

    monkeypatch.setattr(limits_recipe, "load_models", lambda **_: Found)
    limits_recipe.draw_normals(SMALL, tmp_path, name="rb82", count=1, quiet=True)
    limits_recipe.draw_normals(SMALL, tmp_path, name="rb82", count=1, quiet=True)
    assert len(calls) == 2, "the patient is kept"
    (normal,) = read_normals(tmp_path, "rb82")
    assert normal.sex == "M"
    assert normal.maps == {}


def test_limits_are_pooled_by_state_and_sex_and_named_as_the_shipped_ones():
    rng = np.random.default_rng(0)
    sexes = ["M", "F"] * 10
    normals = tuple(Normal(s, {"stress": 1 + 0.05 * rng.standard_normal((24, 72))}) for s in sexes)
    built = {one.name: one for one in build_limits_of("rb82", (*normals, Normal("M", {})), version="7")}
    assert {name: one.n for name, one in built.items()} == {
        "simulated-rb82-women-stress": 10,
        "simulated-rb82-men-stress": 10,
        "simulated-rb82-all-stress": 20,
    }
    assert set(built) < {one.name for one in shipped_limits()}
    women = built["simulated-rb82-women-stress"]
    assert (women.tracer, women.camera, women.version, women.licence) == ("Rb-82", None, "7", "Apache-2.0")
    assert "21 studies, 1 left out" in women.provenance
    assert women.mean.mean() == pytest.approx(0.9, abs=0.05)


def test_limits_of_prone_patients_are_of_prone_patients(monkeypatch):
    """Named and marked so that prone scans find them; the patients lie prone, with other counts in the wall."""
    fit = true_fit(1)
    supine, prone = (image_normal(replace(SMALL, position=of), 1, find_lv=lambda _: fit) for of in ("supine", "prone"))
    assert not np.array_equal(supine.maps["stress"], prone.maps["stress"])
    normals = tuple(
        Normal(sex, {"stress": np.random.default_rng(index).normal(1.0, 0.05, (24, 72))})
        for index, sex in enumerate("MF" * 10)
    )
    for one in build_limits_of("czt-prone", normals, version="1"):
        assert one.name.startswith("simulated-czt-prone-")
        assert (one.position, one.camera) == ("prone", "CZT")
